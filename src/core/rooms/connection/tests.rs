//! The machine alone: how it opens in either protocol whatever the pieces in which bytes arrive,
//! what it does with bytes that are no protocol, and when it takes no more.

use super::*;
use crate::rooms::tree_store::{Attached, Judgement};
use crate::tree::{Effects, Rules, Txn};
use crate::types::limits::{CONNECTION_BYTES_IN_FLIGHT_MAX, CONNECTION_REQUESTS_IN_FLIGHT_MAX};
use crate::types::{AclEntry, Create, CreateVariant, Epoch, Outcome, Perms, Read};
use crate::wire::jute::{ConnectRequest, ConnectResponse};
use crate::wire::native::{Hello, HelloOptions, Refusal, VERSION, Welcome, greeting, stamp};
use crate::wire::{OwnedReply, ReplyKind};
use alloc::string::String;
use alloc::vec;
use core::cell::RefCell;

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
        let (body, rest) = rest.split_at(codec.frame_length(*length).unwrap());
        let (header, _) = codec.decode_reply_header(body).unwrap();
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
            let op = txn::decode(payload).unwrap().op;
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
        let at = bytes.iter().rposition(|byte| *byte == 3).unwrap();
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
        Codec::Native => Welcome::decode(&bytes[4..]).unwrap(),
        Codec::Jute => {
            let ConnectResponse { session, timeout_ms, password, read_only } =
                ConnectResponse::decode(&bytes[4..]).unwrap();
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

#[test]
fn a_frame_of_reads_and_writes_is_one_submission_behind_its_first_write() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let asked = [
            (1, read("/none")),
            (2, Request::WhoAmI),
            (3, write()),
            (4, read("/large")),
            (5, write()),
            (6, Request::Ping),
        ];
        let bytes = requests(codec, &asked);
        for piece in [bytes.len(), 1] {
            let out = offer(&mut connection, &view, &bytes, piece);
            let in_place = answers(codec, &out.bytes);
            assert_eq!(in_place, [(1, ErrorCode::NoNode.code()), (2, 0)]);
            let items: Vec<_> = out.submissions.iter().flat_map(|sent| &sent.items).collect();
            let numbers: Vec<_> = items.iter().map(|item| item.xid.0).collect();
            assert_eq!(numbers, [3, 4, 5, Xid::PING.0]);
            // What travels can be read again by itself, at the other end.
            let ItemBody::Travel(own) = &items[1].body else { panic!("a read travels here") };
            assert_eq!(codec.decode_request(own), Ok((Xid(4), read("/large"))));
            connection.answered(4, &mut Output::default());
        }
    }
}

/// What became of the requests of one frame: those answered in place, and how the others travel.
fn fates(connection: &mut Connection, view: &Shown, asked: &[(i32, Request<'_>)]) -> String {
    let bytes = requests(Codec::Native, asked);
    let out = offer(connection, view, &bytes, bytes.len());
    let mut fates = String::new();
    answers(Codec::Native, &out.bytes).iter().for_each(|_| fates.push('.'));
    for item in out.submissions.iter().flat_map(|sent| &sent.items) {
        fates.push(match item.body {
            ItemBody::Write(_) => 'w',
            ItemBody::Travel(_) => 't',
            ItemBody::Confirm(_) => 'c',
            ItemBody::Claim(_) | ItemBody::Attach { .. } => '?',
        });
    }
    fates
}

#[test]
fn linearizable_reads_that_come_together_share_what_vouches_for_them() {
    let view = shown();
    let greeted = |mut connection: Connection, linearizable| {
        let mut bytes = greeting().to_vec();
        let options = HelloOptions { linearizable, ..HelloOptions::default() };
        let (last_zxid_seen, session) = (Zxid::ZERO, SessionId::NONE);
        Hello { last_zxid_seen, timeout_ms: 600, session, password: [0; 16], options }
            .encode(&mut bytes);
        offer(&mut connection, &view, &bytes, bytes.len());
        connection.attached(&OPEN, &mut Output::default());
        connection
    };
    let watching = Request::Read(Read::Exists { path: "/none", watch: true });
    let together = [(1, Request::WhoAmI), (2, read("/large")), (3, read("/none")), (4, watching)];
    let behind_a_write = [(5, write()), (6, read("/large")), (7, Request::Sync("/"))];
    let expected = [
        // Alone, a server has in its tree what anybody was told.
        (true, true, "...t", "wtc"),
        (false, false, "...t", "wtc"),
        (false, true, ".ctt", "wtc"),
    ];
    for (alone, linearizable, first, second) in expected {
        let mut connection = greeted(beside(alone), linearizable);
        assert_eq!(fates(&mut connection, &view, &together), first, "{alone} {linearizable}");
        let under_way = connection.in_flight();
        connection.answered(under_way, &mut Output::default());
        assert_eq!(fates(&mut connection, &view, &behind_a_write), second);
        // What vouched for reads that came before says nothing of what was told since.
        let later = if linearizable && !alone { "c" } else { "t" };
        assert_eq!(fates(&mut connection, &view, &[(8, read("/large"))]), later);
    }
}

#[test]
fn a_write_that_takes_effect_once_says_what_its_client_has_heard() {
    let view = shown();
    for exactly_once in [false, true] {
        let mut connection = fresh();
        let mut bytes = greeting().to_vec();
        let options = HelloOptions { exactly_once, ..HelloOptions::default() };
        let (last_zxid_seen, session) = (Zxid::ZERO, SessionId::NONE);
        Hello { last_zxid_seen, timeout_ms: 600, session, password: [0; 16], options }
            .encode(&mut bytes);
        let out = offer(&mut connection, &view, &bytes, bytes.len());
        let mut payloads = written(&out);
        connection.attached(&OPEN, &mut Output::default());
        // A frame that says nothing of it changes nothing of what was said before.
        for (xid, heard) in [(1, 0), (5, 4), (6, 0), (7, 6)] {
            let mut bytes = requests(Codec::Native, &[(xid, write()), (xid + 1, write())]);
            stamp(&mut bytes, Xid(xid), Xid(heard));
            payloads.extend(written(&offer(&mut connection, &view, &bytes, bytes.len())));
        }
        let bytes = requests(Codec::Native, &[(9, Request::CloseSession)]);
        payloads.extend(written(&offer(&mut connection, &view, &bytes, bytes.len())));
        let once = |xid, heard| exactly_once.then_some((xid, heard));
        let pairs = [(1, 0), (2, 0), (5, 4), (6, 4), (6, 4), (7, 4), (7, 6), (8, 6)];
        let mut expected = vec![None];
        expected.extend(pairs.map(|(xid, heard)| once(xid, heard)));
        expected.push(None);
        assert_eq!(payloads, expected, "sessions come and go as they always did");
    }
}

/// By what the writes that were submitted will be known: their numbers, and what was heard.
fn written(out: &Output) -> Vec<Option<(i32, i32)>> {
    let items = out.submissions.iter().flat_map(|sent| &sent.items);
    let payloads = items.map(|item| match &item.body {
        ItemBody::Write(payload) => txn::decode(payload).unwrap().once(),
        other => panic!("{other:?} is no write"),
    });
    payloads.map(|once| once.map(|once| (once.xid.0, once.heard.0))).collect()
}

#[test]
fn a_broken_frame_is_not_served_in_part_and_what_came_before_it_is() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let mut bytes = requests(codec, &[(1, write()), (2, read("/large"))]);
        bytes.extend_from_slice(&match codec {
            Codec::Jute => (-1_i32).to_be_bytes(),
            Codec::Native => u32::MAX.to_le_bytes(),
        });
        bytes.extend_from_slice(&requests(codec, &[(3, write())]));
        let mut out = Output::default();
        assert_eq!(connection.receive(&bytes, &view, &mut out), bytes.len());
        assert_eq!((out.submissions[0].items.len(), out.close), (2, false));
        connection.answered(2, &mut out);
        assert!(out.close, "the last answer is out");
    }
    let mut connection = open(Codec::Native, &view);
    let mut bytes = requests(Codec::Native, &[(1, read("/large")), (2, Request::WhoAmI)]);
    let verb = bytes.len() - 4;
    bytes[verb..].copy_from_slice(&99_u32.to_le_bytes());
    let out = offer(&mut connection, &view, &bytes, bytes.len());
    assert!(out.close && out.bytes.is_empty(), "its first request was sound, the frame is not");
}

#[test]
fn an_unknown_operation_is_answered_and_then_nothing_more() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let asked = [(1, Request::Unknown), (2, Request::WhoAmI)];
        let bytes = requests(codec, &asked);
        let out = offer(&mut connection, &view, &bytes, bytes.len());
        assert_eq!(answers(codec, &out.bytes), [(1, ErrorCode::Unimplemented.code())]);
        assert!(out.close);
    }
}

/// Answers pile up, the rest of the frame waits, and goes on where it stopped.
#[test]
fn a_client_that_does_not_fetch_its_answers_waits_in_the_middle_of_a_frame() {
    let view = shown();
    let count = 3 * CONNECTION_OUTPUT_BYTES_MAX as i32 / (1 << 16);
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let asked: Vec<_> = (1..=count).map(|xid| (xid, read("/large"))).collect();
        let mut unread = requests(codec, &asked);
        let mut got = vec![];
        let mut pauses = 0;
        loop {
            let mut out = Output::default();
            let consumed = connection.receive(&unread, &view, &mut out);
            assert!(out.bytes.len() < CONNECTION_OUTPUT_BYTES_MAX + (1 << 17));
            got.extend(answers(codec, &out.bytes));
            unread.drain(..consumed);
            if !out.stalled {
                break;
            }
            pauses += 1;
        }
        assert_eq!((unread.len(), pauses), (0, 2));
        let expected: Vec<_> = (1..=count).map(|xid| (xid, 0)).collect();
        assert_eq!(got, expected, "{codec:?}");
    }
}

#[test]
fn requests_under_way_are_counted_by_number_and_by_bytes() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let many = i32::try_from(CONNECTION_REQUESTS_IN_FLIGHT_MAX).unwrap();
        let asked: Vec<_> = (1..many).map(|xid| (xid, write())).collect();
        let bytes = requests(codec, &asked);
        offer(&mut connection, &view, &bytes, bytes.len());
        assert!(!connection.is_full());
        let one = requests(codec, &[(many, write())]);
        offer(&mut connection, &view, &one, one.len());
        assert!(connection.is_full());
        connection.answered(1, &mut Output::default());
        assert!(!connection.is_full());
        connection.answered(connection.in_flight(), &mut Output::default());

        let data = vec![0; 1 << 19];
        let set = Request::Write(Op::SetData { path: "/a", data: Some(&data), version: -1 });
        let few = CONNECTION_BYTES_IN_FLIGHT_MAX >> 19;
        let bytes = requests(codec, &[(1, set)]);
        for _ in 0..few {
            assert!(!connection.is_full());
            offer(&mut connection, &view, &bytes, bytes.len());
        }
        assert!(connection.is_full() && connection.in_flight() == few);
        connection.answered(1, &mut Output::default());
        assert!(!connection.is_full());
    }
}

/// However much one read of the socket gave: the rest waits until half of the room is free again,
/// and goes on in the middle of a frame.
#[test]
fn no_more_is_let_in_than_may_be_under_way() {
    let view = shown();
    let window = CONNECTION_REQUESTS_IN_FLIGHT_MAX;
    let last = i32::try_from(3 * window).unwrap();
    let half = last / 2;
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let frames = [1..half, half..last].map(|xids| {
            let asked: Vec<_> = xids.map(|xid| (xid, write())).collect();
            asked.chunks(window).flat_map(|some| requests(codec, some)).collect::<Vec<u8>>()
        });
        let mut unread = frames.concat();
        let mut submitted = vec![];
        loop {
            let mut out = Output::default();
            let consumed = connection.receive(&unread, &view, &mut out);
            unread.drain(..consumed);
            let items = out.submissions.iter().flat_map(|submission| &submission.items);
            submitted.extend(items.map(|item| item.xid.0));
            assert!(connection.in_flight() <= window, "{codec:?}");
            if !out.stalled {
                break;
            }
            assert!(connection.is_full() && !connection.has_room());
            connection.answered(window / 2 - 1, &mut Output::default());
            assert!(!connection.has_room());
            connection.answered(1, &mut Output::default());
            assert!(connection.has_room());
        }
        assert!(unread.is_empty());
        assert_eq!(submitted, (1..last).collect::<Vec<_>>(), "{codec:?}");
    }
}

#[test]
fn answers_are_in_the_protocol_of_the_question() {
    let view = shown();
    for codec in BOTH {
        let mut connection = open(codec, &view);
        let bytes = requests(codec, &[(5, Request::WhoAmI)]);
        let out = offer(&mut connection, &view, &bytes, 1);
        let (header, record) = codec.decode_reply_header(&out.bytes[4..]).unwrap();
        let ip = AuthId { scheme: "ip".into(), id: "127.0.0.1".into() };
        let reply = codec.decode_reply(ReplyKind::Identities, header, record);
        assert_eq!(reply, Ok(OwnedReply::Identities(vec![ip])));
    }
}

#[test]
fn strings_that_are_not_utf8_are_looked_for_like_any_other() {
    let view = shown();
    let mut bytes = vec![];
    for (xid, path) in [(1, "/no[e"), (2, "/large"), (3, "/no[]e"), (4, "/large")] {
        bytes.extend(requests(Codec::Jute, &[(xid, read(path))]));
    }
    for byte in &mut bytes {
        *byte = if b"[]".contains(byte) { 0xff } else { *byte };
    }
    for piece in [1, 20, bytes.len()] {
        let mut connection = open(Codec::Jute, &view);
        let out = offer(&mut connection, &view, &bytes, piece);
        assert!(!out.close);
        assert_eq!(answers(Codec::Jute, &out.bytes), [(1, -101), (2, 0), (3, -101), (4, 0)]);
    }
}
