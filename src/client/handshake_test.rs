//! Openings and verdicts, and a client against a server of a few lines that speaks the native
//! protocol.

use super::*;
use crate::client::{Client, ClientError, ClientOptions, ErrorCode, open_acl};
use ostler_core::types::{Outcome, Read, Reply, Request, Stat, Xid};
use ostler_core::wire::native::VERSION;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TICKET: SessionTicket = SessionTicket { session: SessionId(7), password: [3; 16] };

#[test]
fn a_session_is_handed_over_in_both_protocols() {
    let opening = Opening {
        last_zxid: 5,
        timeout_ms: 900,
        ticket: TICKET,
        read_only: true,
        options: HelloOptions { linearizable: true, exactly_once: true },
    };
    let jute = opening.encode(Codec::Jute);
    let request = ConnectRequest::decode(&jute[4..]).expect("decodes");
    assert_eq!((request.session, request.timeout_ms), (SessionId(7), 900));
    assert_eq!((request.password, request.read_only), (vec![3; 16], Some(true)));
    let native = opening.encode(Codec::Native);
    assert_eq!(native[..8], greeting());
    let hello = Hello::decode(&native[12..]).expect("decodes");
    assert_eq!((hello.session, hello.password), (SessionId(7), [3; 16]));
    assert_eq!(hello.last_zxid_seen, Zxid::from_wire(5));
    assert!(hello.options.linearizable && hello.options.exactly_once);
}

#[test]
fn a_password_without_a_session_stays_at_home() {
    let ticket = SessionTicket { session: SessionId::NONE, password: [3; 16] };
    let opening = Opening {
        last_zxid: 0,
        timeout_ms: 900,
        ticket,
        read_only: false,
        options: HelloOptions::default(),
    };
    let hello = Hello::decode(&opening.encode(Codec::Native)[12..]).expect("decodes");
    assert_eq!(hello.password, [0; 16]);
}

#[test]
fn a_refusal_ends_the_session_only_if_it_says_so() {
    let verdict = |welcome: Welcome| {
        let mut frame = Vec::new();
        welcome.encode(&mut frame);
        Verdict::decode(Codec::Native, &frame[4..])
    };
    assert_eq!(verdict(Welcome::Refused(Refusal::SessionExpired)), Ok(Verdict::Expired));
    for refusal in [Refusal::Behind, Refusal::NotServing, Refusal::Version(9)] {
        assert_eq!(verdict(Welcome::Refused(refusal)), Ok(Verdict::TryAnother));
    }
    let mut frame = Vec::new();
    ConnectResponse::refusal(Some(false)).encode(&mut frame);
    assert_eq!(Verdict::decode(Codec::Jute, &frame[4..]), Ok(Verdict::Expired));
    assert!(Verdict::decode(Codec::Native, b"?").is_err());
}

async fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u32_le().await.ok()?;
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// Serves one client until it leaves: one znode, `/a`, and creates that always succeed.
async fn serve(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.expect("a client comes");
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.expect("greets");
    assert_eq!(first, greeting());
    Hello::decode(&frame(&mut stream).await.expect("says hello")).expect("decodes");
    let SessionTicket { session, password } = TICKET;
    let mut out = Vec::new();
    let (version, last_once) = (VERSION, Xid(0));
    Welcome::Accepted { version, session, timeout_ms: 600, password, last_once }.encode(&mut out);
    while stream.write_all(&out).await.is_ok() {
        out.clear();
        let Some(body) = frame(&mut stream).await else { return };
        let mut requests = Vec::new();
        Codec::Native.decode_requests(&body, &mut requests).expect("decodes");
        for (xid, request, _) in requests {
            answer(xid, &request, &mut out);
        }
    }
}

fn answer(xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
    let created = Outcome::Created { path: "/a".into(), stat: Some(Stat::default()) };
    let reply = match request {
        Request::Read(Read::Data { path: "/a", .. }) => Reply::Data(Some(b"x"), Stat::default()),
        Request::Read(_) => Reply::Error(ErrorCode::NoNode),
        Request::Write(_) => Reply::Outcome(&created),
        _anything_else => Reply::Done,
    };
    Codec::Native.encode_reply(xid, Zxid(4), &reply, out);
}

#[tokio::test]
async fn a_client_speaks_the_native_protocol_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("has one").to_string();
    let server = tokio::spawn(serve(listener));
    let options = ClientOptions { protocol: Protocol::Native, ..ClientOptions::default() };
    let client = Client::connect(&address, options).await.expect("is accepted");
    assert_eq!(client.ticket(), TICKET);
    assert_eq!(client.session_timeout(), Duration::from_millis(600));
    client.add_auth("digest", b"u:p").await.expect("is taken");
    let options = crate::client::CreateOptions { acl: open_acl(), ..Default::default() };
    assert_eq!(client.create("/a", None, &options).await.expect("creates").0, "/a");
    assert_eq!(client.data("/a").await.expect("reads").0, Some(b"x".to_vec()));
    let missing = client.children("/b").await.expect_err("is not there");
    assert_eq!(missing, ClientError::from_code(ErrorCode::NoNode));
    // Longer than the session: pings are answered, or the client would give the server up.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(client.data("/a").await.is_ok());
    client.close().await;
    server.await.expect("served to the end");
}
