//! The machine alone: how it opens in either protocol whatever the pieces in which bytes arrive,
//! and what it does with bytes that are no protocol. What it does once open is told in `serving`
//! and `window`, by the same bench.

use super::*;
use crate::rooms::tree_store::{Attached, Judgement};
use crate::tree::{Effects, Rules, Txn};
use crate::types::limits::{
    CONNECTION_BYTES_IN_FLIGHT_MAX, CONNECTION_BYTES_KEPT_MAX, CONNECTION_REQUESTS_IN_FLIGHT_MAX,
};
use crate::types::{AclEntry, Create, CreateVariant, Epoch, Outcome, Perms, Read};
use crate::wire::jute::{ConnectRequest, ConnectResponse};
use crate::wire::native::{Hello, HelloOptions, Refusal, VERSION, Welcome, greeting, stamp};
use crate::wire::{OwnedReply, ReplyKind};
use alloc::string::String;
use alloc::vec;
use core::cell::RefCell;

mod serving;
mod window;

const BOTH: [Codec; 2] = [Codec::Jute, Codec::Native];
const SESSION: SessionId = SessionId(9);
const PASSWORD: [u8; 16] = [3; 16];
const OPEN: Attached =
    Attached::Open { session: SESSION, timeout_ms: 4_000, password: PASSWORD, last_once: Xid(0) };

struct Shown(RefCell<Tree>);

impl View for Shown {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        f(&self.0.borrow())
    }
}

/// A tree with `/large` in it, and a session that can be taken up.
fn shown() -> Shown {
    let view = Shown(RefCell::new(Tree::new(Rules::default(), 1)));
    let large = vec![7; 1 << 16];
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    let create = Create {
        path: "/large",
        data: Some(&large),
        acl,
        flags: 0,
        ttl_ms: 0,
        variant: CreateVariant::Plain,
    };
    let ops = [Op::CreateSession { timeout_ms: 4_000, password: PASSWORD }, Op::Create(create)];
    for (counter, op) in (1..).zip(ops) {
        let zxid = Zxid::new(Epoch(1), counter);
        let txn = Txn { zxid, time_ms: 1, session: SessionId::NONE, ids: &[], op };
        let outcome = view.write(|tree| tree.apply(&txn, &mut Effects::default()));
        assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
    view
}

fn taken_up() -> SessionId {
    SessionId(Zxid::new(Epoch(1), 1).to_wire())
}

fn fresh() -> Connection {
    beside(true)
}

/// One of a server that is alone, or not.
fn beside(alone: bool) -> Connection {
    let door = Door {
        frame_bytes_max: 1 << 20,
        min_session_timeout_ms: 1_000,
        max_session_timeout_ms: 20_000,
        auth: AuthRules { digest_enabled: true, super_digest: None },
        alone,
    };
    let ip = AuthId { scheme: "ip".into(), id: "127.0.0.1".into() };
    Connection::new(Arc::new(door), ConnectionId(1), ip, PASSWORD)
}

/// One with a session in this protocol.
fn open(codec: Codec, view: &Shown) -> Connection {
    let mut connection = fresh();
    let bytes = opening(codec, 0, SessionId::NONE);
    let mut out = Output::default();
    assert_eq!(connection.receive(&bytes, view, &mut out), bytes.len());
    connection.attached(&OPEN, &mut out);
    connection
}

/// What a client begins with, in this protocol.
fn opening(codec: Codec, seen: i64, session: SessionId) -> Vec<u8> {
    let (last_zxid_seen, timeout_ms) = (Zxid::from_wire(seen), 600);
    let mut bytes = vec![];
    match codec {
        Codec::Jute => ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms,
            session,
            password: PASSWORD.to_vec(),
            read_only: Some(true),
        }
        .encode(&mut bytes),
        Codec::Native => {
            bytes.extend_from_slice(&greeting());
            Hello {
                last_zxid_seen,
                timeout_ms,
                session,
                password: PASSWORD,
                options: HelloOptions::default(),
            }
            .encode(&mut bytes);
        }
    }
    bytes
}

/// Offers `bytes` in pieces of this size, as a socket would give them.
fn offer(connection: &mut Connection, view: &Shown, bytes: &[u8], piece: usize) -> Output {
    let mut out = Output::default();
    let mut unread = vec![];
    for piece in bytes.chunks(piece) {
        unread.extend_from_slice(piece);
        let consumed = connection.receive(&unread, view, &mut out);
        unread.drain(..consumed);
    }
    out
}

/// Numbers and errors of the answers, all of which must be whole.
fn answers(codec: Codec, mut bytes: &[u8]) -> Vec<(i32, i32)> {
    let mut answers = vec![];
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (body, rest) =
            rest.split_at(codec.frame_length(*length).expect("an answer has a length"));
        let (header, _) = codec.decode_reply_header(body).expect("an answer has a header");
        answers.push((header.xid.0, header.error));
        bytes = rest;
    }
    answers
}

fn requests(codec: Codec, requests: &[(i32, Request<'_>)]) -> Vec<u8> {
    let numbered: Vec<_> = requests.iter().map(|(xid, request)| (Xid(*xid), request)).collect();
    let mut bytes = vec![];
    codec.encode_requests(&numbered, &mut bytes);
    bytes
}

fn read(path: &str) -> Request<'_> {
    Request::Read(Read::Data { path, watch: false })
}

fn write() -> Request<'static> {
    Request::Write(Op::Delete { path: "/none", version: -1 })
}

#[test]
fn a_session_is_opened_whatever_the_pieces() {
    let view = shown();
    for codec in BOTH {
        let bytes = opening(codec, 0, SessionId::NONE);
        for piece in 1..=bytes.len() {
            let mut connection = fresh();
            let out = offer(&mut connection, &view, &bytes, piece);
            let [asked] = &out.submissions[..] else { panic!("{codec:?} in pieces of {piece}") };
            let ItemBody::Write(payload) = &asked.items[0].body else { panic!("no write") };
            let op = txn::decode(payload).expect("a write is a transaction").op;
            // The door's shortest timeout, for the client wanted an even shorter one.
            assert_eq!(op, Op::CreateSession { timeout_ms: 1_000, password: PASSWORD });
            assert!(out.bytes.is_empty() && !out.close && connection.in_flight() == 0);
        }
    }
}

#[test]
fn a_session_is_taken_up_by_its_password_alone() {
    let view = shown();
    for codec in BOTH {
        let bytes = opening(codec, 0, taken_up());
        let out = offer(&mut fresh(), &view, &bytes, bytes.len());
        let attach = &out.submissions[0].items[0].body;
        let ItemBody::Attach { session, timeout_ms } = attach else { panic!("{attach:?}") };
        assert_eq!((*session, *timeout_ms), (taken_up(), 1_000));
        let at = bytes.iter().rposition(|byte| *byte == 3).expect("the password is sent");
        let mut forged = bytes.clone();
        forged[at] = 4;
        let out = offer(&mut fresh(), &view, &forged, bytes.len());
        assert!(out.close && out.submissions.is_empty());
        assert_eq!(verdict(codec, &out.bytes), Welcome::Refused(Refusal::SessionExpired));
    }
}

/// What the server said to an opening.
fn verdict(codec: Codec, bytes: &[u8]) -> Welcome {
    match codec {
        Codec::Native => Welcome::decode(&bytes[4..]).expect("a welcome"),
        Codec::Jute => {
            let ConnectResponse { session, timeout_ms, password, read_only } =
                ConnectResponse::decode(&bytes[4..]).expect("an answer to the opening");
            assert_eq!(read_only, Some(false), "the flag is answered to whoever sent it");
            match session {
                SessionId::NONE => Welcome::Refused(Refusal::SessionExpired),
                session => {
                    let (version, last_once) = (VERSION, Xid(0));
                    Welcome::Accepted { version, session, timeout_ms, password, last_once }
                }
            }
        }
    }
}

#[test]
fn the_outcome_of_a_handshake_is_told() {
    let view = shown();
    for codec in BOTH {
        for (attached, expected) in [
            (
                OPEN,
                Welcome::Accepted {
                    version: VERSION,
                    session: SESSION,
                    timeout_ms: 4_000,
                    password: PASSWORD,
                    last_once: Xid(0),
                },
            ),
            (Attached::Expired, Welcome::Refused(Refusal::SessionExpired)),
        ] {
            let mut connection = fresh();
            let bytes = opening(codec, 0, SessionId::NONE);
            offer(&mut connection, &view, &bytes, bytes.len());
            let mut out = Output::default();
            connection.attached(&attached, &mut out);
            assert_eq!(verdict(codec, &out.bytes), expected);
            assert_eq!(out.close, attached == Attached::Expired);
        }
    }
}

#[test]
fn a_client_from_the_future_is_sent_away_with_a_reason_if_it_can_read_one() {
    let view = shown();
    let told = |bytes: &[u8]| {
        let out = offer(&mut fresh(), &view, bytes, bytes.len());
        assert!(out.close && out.submissions.is_empty());
        out.bytes
    };
    // Another server may have what this one has not seen yet, so it is judged once more.
    let behind = |codec| {
        let mut connection = fresh();
        let bytes = opening(codec, i64::MAX, SessionId::NONE);
        let out = offer(&mut connection, &view, &bytes, bytes.len());
        let [submission] = &out.submissions[..] else { panic!("a claim is submitted") };
        assert!(matches!(submission.items[0].body, ItemBody::Claim(_)));
        let mut out = Output::default();
        connection.attached(&Attached::Judged(Judgement::Behind), &mut out);
        assert!(out.close);
        out.bytes
    };
    assert_eq!(behind(Codec::Jute), []);
    let reason = verdict(Codec::Native, &behind(Codec::Native));
    assert_eq!(reason, Welcome::Refused(Refusal::Behind));
    for version in [0, VERSION + 1, u16::MAX] {
        let mut bytes = opening(Codec::Native, 0, SessionId::NONE);
        bytes[6..8].copy_from_slice(&version.to_le_bytes());
        let refused = verdict(Codec::Native, &told(&bytes));
        assert_eq!(refused, Welcome::Refused(Refusal::Version(VERSION)));
    }
}

#[test]
fn what_is_no_opening_is_closed_without_an_answer() {
    let view = shown();
    let hello = opening(Codec::Native, 0, SessionId::NONE);
    let with_length = |length: u32, body: usize| {
        [&hello[..8], &length.to_le_bytes()[..], &vec![0; body]].concat()
    };
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"OSTLEX\x01\0".to_vec(),
        b"\x16\x03\x01\x02".to_vec(),
        with_length(u32::MAX, 0),
        with_length(1 << 20, 0),
        with_length(37, 37),
        with_length(39, 39),
        with_length(0, 0),
    ] {
        let out = offer(&mut fresh(), &view, &bytes, bytes.len());
        assert!(out.close && out.bytes.is_empty() && out.submissions.is_empty(), "{bytes:?}");
    }
}
