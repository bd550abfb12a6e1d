//! Both protocols at one port: they open on one tree, and the bytes of the native one as a program
//! without our library would send them.

use super::{Client, PATIENCE, Playground, Server, connect, next_shown, speaking};
use ostler::client::{ClientError, ClientOptions, CreateOptions, ErrorCode, Protocol, WatchMode};
use ostler_core::types::{Op, Outcome, Read, Request, SessionId, Xid, Zxid};
use ostler_core::wire::native::{Hello, HelloOptions, Refusal, VERSION, Welcome, greeting};
use ostler_core::wire::{Codec, OwnedReply, ReplyKind};
use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const NATIVE: Codec = Codec::Native;

/// Each does something that the other has to see and to hear of.
async fn sees(writer: &Client, reader: &Client, name: &str) {
    let (_, mut exists) = reader.exists_watched(name).await.expect("answers");
    let mut tree = reader.watch("/", WatchMode::PersistentRecursive).await.expect("sets");
    let made = writer.create(name, Some(b"x"), &CreateOptions::default()).await;
    let (path, stat) = made.expect("creates");
    assert_eq!(
        (path.as_str(), next_shown(&mut exists).await),
        (name, format!("NodeCreated {name}"))
    );
    assert_eq!(reader.data(name).await, Ok((Some(b"x".to_vec()), stat)));
    let (_, _, mut data) = reader.data_watched(name).await.expect("reads");
    writer.set_data(name, None, 0).await.expect("sets");
    assert_eq!(next_shown(&mut data).await, format!("NodeDataChanged {name}"));
    writer.delete(name, 1).await.expect("deletes");
    for event in ["NodeCreated", "NodeDataChanged", "NodeDeleted"] {
        assert_eq!(next_shown(&mut tree).await, format!("{event} {name}"));
    }
    assert_eq!(reader.exists(name).await, Ok(None));
}

#[tokio::test]
async fn both_protocols_open_on_one_tree() {
    let place = Playground::open("both", Protocol::Native).await;
    let other = place.another(speaking(Protocol::ZooKeeper)).await;
    sees(&place.client, &other, "/from-native").await;
    sees(&other, &place.client, "/from-zookeeper").await;
}

#[tokio::test]
async fn a_session_may_change_its_protocol() {
    let place = Playground::open("change", Protocol::ZooKeeper).await;
    let ephemeral = CreateOptions::of(ostler::client::Kind::Ephemeral);
    place.client.create("/e", None, &ephemeral).await.expect("creates");
    let mut options = speaking(Protocol::Native);
    options.session = Some(place.client.ticket());
    drop(place.client);
    let native = connect(&format!("{}{}", place.server.address(), place.root), options).await;
    assert_eq!(native.ephemerals("/").await.expect("lists"), ["/e"]);
    native.close().await;
    assert_eq!(native.data("/e").await, Err(ClientError::SessionExpired));
}

#[tokio::test]
async fn linearizable_reads_are_there_for_native_clients() {
    let place = Playground::open("linearizable", Protocol::Native).await;
    let options = ClientOptions { linearizable: true, ..speaking(Protocol::Native) };
    let reader = place.another(options).await;
    place.make("/a").await;
    for round in 1..50 {
        let told = place.client.set_data("/a", None, -1).await.expect("sets");
        assert_eq!((told.version, reader.data("/a").await), (round, Ok((None, told))));
    }
    let options = ClientOptions { linearizable: true, ..ClientOptions::default() };
    let refused = Client::connect(&place.server.address(), options).await;
    assert!(matches!(refused, Err(ClientError::Options(_))), "{refused:?}");
}

/// A socket that speaks natively.
struct Wire(TcpStream);

impl Wire {
    fn open(server: &Server) -> Self {
        let until = Instant::now() + PATIENCE;
        // The server may still be on its way up.
        let stream = loop {
            match TcpStream::connect(server.address()) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < until, "no server: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("is set");
        Self(stream)
    }

    /// Says hello as a client without a session, and takes the welcome.
    fn shake_hands(&mut self) -> Welcome {
        let hello = Hello {
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 10_000,
            session: SessionId::NONE,
            password: [0; 16],
            options: HelloOptions::default(),
        };
        let mut bytes = greeting().to_vec();
        hello.encode(&mut bytes);
        self.0.write_all(&bytes).expect("sends");
        Welcome::decode(&self.frame().expect("an answer")).expect("a welcome")
    }

    /// The next frame's body; `None` if the server has closed.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut body = vec![0; NATIVE.frame_length(length).ok()?];
        self.0.read_exact(&mut body).ok()?;
        Some(body)
    }
}

#[test]
fn a_batch_is_answered_in_its_order() {
    let server = Server::start_own();
    let mut wire = Wire::open(&server);
    assert!(matches!(wire.shake_hands(), Welcome::Accepted { version: VERSION, .. }));
    let set = Request::Write(Op::SetData { path: "/zookeeper", data: Some(b"x"), version: -1 });
    let read = Request::Read(Read::Data { path: "/zookeeper", watch: false });
    let cycle = [&read, &set, &read, &Request::WhoAmI];
    let batch: Vec<_> = (1..=3000).map(Xid).zip(cycle.into_iter().cycle()).collect();
    let mut bytes = Vec::new();
    NATIVE.encode_requests(&batch, &mut bytes);
    wire.0.write_all(&bytes).expect("sends");
    let mut written = 0;
    for (xid, request) in batch {
        let body = wire.frame().expect("an answer");
        let (header, record) = NATIVE.decode_reply_header(&body).expect("a header");
        assert_eq!((header.xid, header.error), (xid, 0));
        match NATIVE.decode_reply(ReplyKind::of(request), header, record).expect("a record") {
            OwnedReply::Outcome(Outcome::DataSet(_)) => written += 1,
            OwnedReply::Data(_, stat) => assert_eq!(stat.version, written, "answer {xid:?}"),
            reply => assert!(matches!(reply, OwnedReply::Identities(_)), "{reply:?}"),
        }
    }
}

#[test]
fn refusals_say_why_and_close() {
    let server = Server::start_own();
    let mut newer = Wire::open(&server);
    newer.0.write_all(b"OSTLER\xff\xff").expect("sends");
    let refusal = Welcome::decode(&newer.frame().expect("an answer"));
    assert_eq!(refusal, Ok(Welcome::Refused(Refusal::Version(VERSION))));
    assert_eq!(newer.frame(), None);
    let hellos =
        [(i64::MAX, SessionId::NONE, Refusal::Behind), (0, SessionId(77), Refusal::SessionExpired)];
    for (seen, session, refusal) in hellos {
        let mut wire = Wire::open(&server);
        let mut bytes = greeting().to_vec();
        let last_zxid_seen = Zxid::from_wire(seen);
        Hello {
            last_zxid_seen,
            timeout_ms: 1,
            session,
            password: [0; 16],
            options: HelloOptions::default(),
        }
        .encode(&mut bytes);
        wire.0.write_all(&bytes).expect("sends");
        let answer = Welcome::decode(&wire.frame().expect("an answer"));
        assert_eq!(answer, Ok(Welcome::Refused(refusal)));
        assert_eq!(wire.frame(), None);
    }
}

#[test]
fn an_operation_that_does_not_exist_is_answered_and_ends_the_connection() {
    let server = Server::start_own();
    let mut wire = Wire::open(&server);
    wire.shake_hands();
    let mut bytes = Vec::new();
    NATIVE.encode_requests(&[(Xid(7), &Request::Unknown), (Xid(8), &Request::WhoAmI)], &mut bytes);
    wire.0.write_all(&bytes).expect("sends");
    let body = wire.frame().expect("an answer");
    let (header, _) = NATIVE.decode_reply_header(&body).expect("a header");
    assert_eq!((header.xid, header.error), (Xid(7), ErrorCode::Unimplemented.code()));
    assert_eq!(wire.frame(), None);
}
