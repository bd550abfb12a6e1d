//! Native frames are frozen as tests/golden/native.txt has them, and come back from their bytes.

use super::native::{
    Hello, HelloOptions, Refusal, VERSION, Welcome, check_greeting, greeting, stamp,
};
use super::txn::tests::parts;
use super::{Codec, DecodeError, OwnedReadReply, OwnedReply, ReplyKind};
use crate::types::limits::{NATIVE_FRAME_REQUESTS_MAX, RECALLED_WRITES_MAX, RESENT_BYTES_MAX};
use crate::types::{
    Acl, AclEntry, AuthId, Create, CreateVariant, ErrorCode, EventType, Op, Outcome, Perms, Read,
    RemoveKind, Request, SessionId, Stat, WatchEvent, WatchMode, WatchOp, Xid, Zxid,
};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

const FRAMES: &str = include_str!("../../../tests/golden/native.txt");
const DESCRIPTION: &str = include_str!("native/PROTOCOL.md");

fn stat() -> Stat {
    Stat {
        czxid: 1,
        mzxid: 2,
        ctime: 3,
        mtime: 4,
        version: 5,
        cversion: 6,
        aversion: 7,
        ephemeral_owner: 8,
        data_length: 9,
        num_children: 10,
        pzxid: 11,
    }
}

fn requests() -> Vec<(&'static str, Request<'static>)> {
    let path = "/a";
    let read = |read| Request::Read(read);
    let watch = |op| Request::Watch(op);
    let set = WatchOp::Set {
        relative_zxid: 9,
        data: vec!["/a"],
        exist: vec!["/b"],
        child: vec![],
        persistent: vec!["/c", "/d"],
        persistent_recursive: vec!["/"],
        broken_off: false,
    };
    let reads = vec![
        Read::Data { path, watch: false },
        Read::Children { path, watch: false, with_stat: false },
    ];
    let entry = AclEntry { perms: Perms::READ, scheme: "digest", id: "ann:one" };
    let create = |variant, flags, ttl_ms| {
        let (data, acl) = (Some(&b"x"[..]), vec![entry]);
        Request::Write(Op::Create(Create { path, data, acl, flags, ttl_ms, variant }))
    };
    let delete = Op::Delete { path, version: -1 };
    let check = Op::Check { path, version: 3 };
    let set_data = Op::SetData { path, data: None, version: 4 };
    let multi = Op::Multi(vec![check, set_data.clone(), delete.clone()]);
    vec![
        ("ping", Request::Ping),
        ("delete", Request::Write(delete)),
        ("setData", Request::Write(set_data)),
        ("create", create(CreateVariant::WithStat, 3, 0)),
        ("createTTL", create(CreateVariant::Ttl, 5, 60_000)),
        ("setACL", Request::Write(Op::SetAcl { path, acl: vec![entry], version: 2 })),
        ("multi", Request::Write(multi)),
        ("exists", read(Read::Exists { path, watch: true })),
        ("getData", read(Read::Data { path, watch: false })),
        ("getACL", read(Read::Acl { path })),
        ("getChildren", read(Read::Children { path, watch: true, with_stat: true })),
        ("getEphemerals", read(Read::Ephemerals { prefix: path })),
        ("getAllChildrenNumber", read(Read::DescendantCount { path })),
        ("multiRead", read(Read::Multi(reads))),
        ("addWatch", watch(WatchOp::Add { path, mode: WatchMode::PersistentRecursive })),
        ("removeWatches", watch(WatchOp::Remove { path, kind: RemoveKind::Any })),
        ("checkWatches", watch(WatchOp::Check { path, kind: RemoveKind::Data })),
        ("setWatches", watch(set)),
        ("sync", Request::Sync(path)),
        ("auth", Request::Auth { scheme: "digest", auth: b"ann:one" }),
        ("whoAmI", Request::WhoAmI),
        ("sasl", Request::Sasl(b"token")),
        ("reconfig", Request::Reconfig),
        ("closeSession", Request::CloseSession),
        ("unknown", Request::Unknown),
    ]
}

fn replies() -> Vec<(&'static str, OwnedReply)> {
    let acl = Acl { perms: Perms::ALL, scheme: "world".into(), id: "anyone".into() };
    let id = AuthId { scheme: "ip".into(), id: "::1".into() };
    let names = || vec!["a".to_string(), "bc".to_string()];
    let created = |stat| Outcome::Created { path: "/a".into(), stat };
    let data = OwnedReply::Data(Some(b"x".to_vec()), stat());
    let children = OwnedReply::Children(names(), None);
    let reads = vec![
        OwnedReadReply::Error(ErrorCode::NoNode),
        OwnedReadReply::Data(Some(b"x".to_vec()), stat()),
        OwnedReadReply::Children(names()),
    ];
    let results = vec![
        created(None),
        created(Some(stat())),
        Outcome::Deleted,
        Outcome::DataSet(stat()),
        Outcome::Checked,
        Outcome::RolledBack,
        Outcome::Failed(ErrorCode::BadVersion),
    ];
    vec![
        ("error", OwnedReply::Error(ErrorCode::NoAuth)),
        ("done", OwnedReply::Done),
        ("created", OwnedReply::Outcome(created(Some(stat())))),
        ("deleted", OwnedReply::Outcome(Outcome::Deleted)),
        ("data set", OwnedReply::Outcome(Outcome::DataSet(stat()))),
        ("acl set", OwnedReply::Outcome(Outcome::AclSet(stat()))),
        ("session closed", OwnedReply::Outcome(Outcome::SessionClosed)),
        ("multi", OwnedReply::Outcome(Outcome::Multi(results))),
        ("stat", OwnedReply::Stat(stat())),
        ("data", data),
        ("null data", OwnedReply::Data(None, stat())),
        ("acl", OwnedReply::Acl(vec![acl], stat())),
        ("children", children),
        ("children and stat", OwnedReply::Children(names(), Some(stat()))),
        ("paths", OwnedReply::Paths(names())),
        ("count", OwnedReply::Count(7)),
        ("path", OwnedReply::Path("/a".into())),
        ("watch added", OwnedReply::WatchAdded),
        ("identities", OwnedReply::Identities(vec![id])),
        ("reads", OwnedReply::Reads(reads)),
        ("token", OwnedReply::Token(Some(b"t".to_vec()))),
    ]
}

fn event() -> WatchEvent {
    WatchEvent { zxid: Some(Zxid(12)), event: EventType::ChildrenChanged, path: "/a".into() }
}

fn hello() -> Hello {
    let (last_zxid_seen, session) = (Zxid(5), SessionId(6));
    let options = HelloOptions { linearizable: true, exactly_once: true };
    Hello { last_zxid_seen, timeout_ms: 7, session, password: [8; 16], options }
}

fn welcomes() -> [Welcome; 3] {
    let (session, password) = (SessionId(6), [8; 16]);
    [
        Welcome::Accepted { version: VERSION, session, timeout_ms: 7, password, last_once: Xid(9) },
        Welcome::Refused(Refusal::SessionExpired),
        Welcome::Refused(Refusal::Version(VERSION)),
    ]
}

/// What the golden file must say: a line per frame, its name and its bytes.
fn golden_lines() -> Vec<String> {
    let mut lines = vec![line("greeting", &greeting())];
    let mut add = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = vec![];
        write(&mut out);
        lines.push(line(name, &out));
    };
    add("hello", &|out| hello().encode(out));
    for welcome in welcomes() {
        add("welcome", &|out| welcome.encode(out));
    }
    for (name, request) in requests() {
        let name = format!("request {name}");
        add(&name, &|out| Codec::Native.encode_request(Xid(3), &request, out));
    }
    let all = requests();
    let batch: Vec<_> = all[..2].iter().map(|(_, request)| (Xid(4), request)).collect();
    add("request batch", &|out| Codec::Native.encode_requests(&batch, out));
    for (name, reply) in replies() {
        let name = format!("reply {name}");
        add(&name, &|out| Codec::Native.encode_reply(Xid(3), Zxid(4), &reply.as_reply(), out));
    }
    add("event", &|out| Codec::Native.encode_event(&event(), out));
    lines
}

fn line(name: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}: {hex}")
}

fn body(frame: &[u8]) -> &[u8] {
    let (length, body) = frame.split_first_chunk::<4>().expect("a frame has a length");
    assert_eq!(Codec::Native.frame_length(*length), Ok(body.len()));
    body
}

#[test]
fn the_bytes_are_frozen() {
    let frozen: Vec<_> = FRAMES.lines().filter(|line| !line.starts_with('#')).collect();
    let now = golden_lines();
    assert_eq!(now, frozen, "the file would have to say:\n{}", now.join("\n"));
}

/// All requests of a frame's body; each must say the same again by its own bytes.
fn decode(codec: Codec, body: &[u8]) -> Result<Vec<(Xid, Request<'_>)>, DecodeError> {
    let mut decoded = vec![];
    codec.decode_requests(body, &mut decoded)?;
    let checked = decoded.into_iter().map(|(xid, request, own)| {
        assert_eq!(codec.decode_request(own), Ok((xid, request.clone())));
        (xid, request)
    });
    Ok(checked.collect())
}

#[test]
fn requests_come_back_alone_and_in_a_batch() {
    let all = requests();
    for (name, request) in &all {
        let mut out = vec![];
        Codec::Native.encode_request(Xid(3), request, &mut out);
        let xid = if *name == "ping" { Xid::PING } else { Xid(3) };
        let decoded = decode(Codec::Native, body(&out));
        assert_eq!(decoded, Ok(vec![(xid, request.clone())]), "{name}");
    }
    let numbers = core::iter::once(Xid::PING).chain((1..).map(Xid));
    let batch: Vec<_> = numbers.zip(all.iter().map(|(_, request)| request)).collect();
    let mut out = vec![];
    Codec::Native.encode_requests(&batch, &mut out);
    let decoded = decode(Codec::Native, body(&out)).expect("what was encoded can be decoded");
    let expected: Vec<_> = batch.iter().map(|(xid, request)| (*xid, (*request).clone())).collect();
    assert_eq!(decoded, expected);
}

#[test]
fn a_frame_holds_so_many_requests_and_is_taken_whole_or_not_at_all() {
    let batch = |count: i32| -> Vec<u8> {
        let asks = (1..=count).flat_map(|xid| [xid.to_le_bytes(), [11, 0, 0, 0]].concat());
        let count = (count as u64).to_le_bytes();
        [0; 4].into_iter().chain(count).chain(asks).collect()
    };
    let most = i32::try_from(NATIVE_FRAME_REQUESTS_MAX).expect("a small number");
    let fits = batch(most);
    let all = decode(Codec::Native, &fits).expect("as many as fit");
    assert_eq!(all.last(), Some(&(Xid(most), Request::WhoAmI)));
    assert_eq!(decode(Codec::Native, &batch(most + 1)), Err(DecodeError::Length));
    let mut cut = vec![(Xid(0), Request::WhoAmI, &[][..])];
    let broken = &fits[..fits.len() - 1];
    assert_eq!(Codec::Native.decode_requests(broken, &mut cut), Err(DecodeError::Truncated));
    assert_eq!(cut.len(), 1);
    let asks: Vec<_> = all.iter().map(|(xid, request)| (*xid, request)).collect();
    let mut frames = vec![];
    Codec::Native.encode_requests(&[&asks[..], &asks[..1]].concat(), &mut frames);
    assert_eq!(frames.len(), 4 + fits.len() + 4 + 4 + 8 + 8, "two frames");
}

#[test]
fn the_description_shows_frozen_frames() {
    let blocks = DESCRIPTION.split("```frames\n").skip(1);
    let shown = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let shown: Vec<_> = shown.collect();
    assert!(shown.len() > 10, "{shown:?}");
    for line in shown {
        assert!(FRAMES.lines().any(|frozen| frozen == line), "not a frozen frame: {line}");
    }
    let most = format!("at most {RECALLED_WRITES_MAX} requests without answer");
    assert!(DESCRIPTION.contains(&most) && RESENT_BYTES_MAX == 1 << 20);
    let bound = format!("up to {NATIVE_FRAME_REQUESTS_MAX}, none too");
    assert!(DESCRIPTION.contains(&bound), "the description says another bound of a frame");
}

#[test]
fn answers_and_events_come_back() {
    for (name, reply) in replies() {
        let mut out = vec![];
        Codec::Native.encode_reply(Xid(3), Zxid(4), &reply.as_reply(), &mut out);
        let (header, record) =
            Codec::Native.decode_reply_header(body(&out)).expect("an answer has a header");
        assert_eq!((header.xid, header.zxid), (Xid(3), Zxid(4)));
        let decoded = Codec::Native.decode_reply(ReplyKind::Done, header, record);
        assert_eq!(decoded, Ok(reply), "{name}");
    }
    let mut out = vec![];
    Codec::Native.encode_event(&event(), &mut out);
    let (header, record) =
        Codec::Native.decode_reply_header(body(&out)).expect("an answer has a header");
    assert_eq!(header.xid, Xid::EVENT);
    assert_eq!(Codec::Native.decode_event(header, record), Ok(event()));
}

#[test]
fn handshakes_come_back() {
    assert_eq!(check_greeting(&greeting()), Ok(VERSION));
    assert!(check_greeting(b"OSTLEX\x01\0").is_err());
    let mut out = vec![];
    hello().encode(&mut out);
    assert_eq!(Hello::decode(body(&out)), Ok(hello()));
    for welcome in welcomes() {
        out.clear();
        welcome.encode(&mut out);
        assert_eq!(Welcome::decode(body(&out)), Ok(welcome));
    }
}

#[test]
fn a_multi_that_changes_an_acl_fails_and_a_check_alone_is_unknown() {
    let set_acl = Op::SetAcl { path: "/a", acl: vec![], version: 0 };
    let check = Op::Check { path: "/a", version: 0 };
    let exists = Read::Exists { path: "/a", watch: false };
    for (request, expected) in [
        (
            Request::Write(Op::Multi(vec![set_acl])),
            Request::Write(Op::Fail(ErrorCode::MarshallingError)),
        ),
        (Request::Write(check), Request::Unknown),
        (Request::Read(Read::Multi(vec![exists])), Request::Malformed),
    ] {
        let mut out = vec![];
        Codec::Native.encode_request(Xid(1), &request, &mut out);
        assert_eq!(decode(Codec::Native, body(&out)), Ok(vec![(Xid(1), expected)]));
    }
}

#[test]
fn lying_counts_are_refused_without_making_room_for_them() {
    let lie = u64::MAX.to_le_bytes();
    let lying = [&[0; 4][..], &lie].concat();
    assert_eq!(decode(Codec::Native, &lying), Err(DecodeError::Length));
    let mut data = vec![];
    Codec::Native.encode_request(Xid(1), &Request::Sync("/a"), &mut data);
    let at = data.len() - 2 - 8;
    data[at..at + 8].copy_from_slice(&lie);
    assert!(decode(Codec::Native, body(&data)).is_err());
}

#[test]
fn a_frame_says_what_its_client_has_heard() {
    let (_, request) = &requests()[1];
    let mut out = vec![];
    Codec::Native.encode_request(Xid(0), request, &mut out);
    assert_eq!(Codec::Native.decode_heard(body(&out)), None);
    stamp(&mut out, Xid(17), Xid(16));
    assert_eq!(Codec::Native.decode_heard(body(&out)), Some(Xid(16)));
    assert_eq!(decode(Codec::Native, body(&out)), Ok(vec![(Xid(17), request.clone())]));
    let mut short = [7; 9];
    stamp(&mut short, Xid(1), Xid(2));
    assert_eq!(short, [7, 7, 7, 7, 2, 0, 0, 0, 7]);
    assert_eq!(Codec::Jute.decode_heard(body(&out)), None);
}

/// Both codecs bring every operation back, whatever is in it.
fn op_comes_back(codec: Codec, op: Op<'_>) -> Result<(), TestCaseError> {
    let request = Request::Write(op);
    let mut out = vec![];
    codec.encode_request(Xid(9), &request, &mut out);
    prop_assert_eq!(decode(codec, &out[4..]), Ok(vec![(Xid(9), request)]));
    Ok(())
}

/// Inside a multi a create comes back only with a mode that goes with its operation.
fn with_a_mode_of_its_own(op: Op<'_>) -> Op<'_> {
    let Op::Create(mut create) = op else { return op };
    create.flags = match create.variant {
        CreateVariant::Ttl => 5 + (create.flags & 1),
        CreateVariant::Container => 4,
        CreateVariant::Plain | CreateVariant::WithStat => create.flags & 3,
    };
    Op::Create(create)
}

proptest! {
    #[test]
    fn writes_come_back(parts in parts()) {
        let op = parts.client_op();
        if !matches!(op, Op::Check { .. }) {
            op_comes_back(Codec::Jute, op.clone())?;
            op_comes_back(Codec::Native, op)?;
        }
    }

    #[test]
    fn multis_come_back(parts in proptest::collection::vec(parts(), 0..5)) {
        let ops = parts.iter().map(|parts| parts.client_op());
        let ops = ops.filter(|op| !matches!(op, Op::SetAcl { .. }));
        let ops: Vec<_> = ops.map(with_a_mode_of_its_own).collect();
        op_comes_back(Codec::Jute, Op::Multi(ops.clone()))?;
        op_comes_back(Codec::Native, Op::Multi(ops))?;
    }

    #[test]
    fn arbitrary_bodies_are_decoded_or_refused(bytes: Vec<u8>, opcode in -12..110_i32) {
        let mut numbered = vec![0, 0, 0, 1];
        numbered.extend_from_slice(&opcode.to_be_bytes());
        numbered.extend_from_slice(&bytes);
        for body in [&bytes, &numbered] {
            for codec in [Codec::Jute, Codec::Native] {
                let _ = decode(codec, body);
                let _ = codec.decode_reply_header(body);
            }
            let _ = super::jute::ConnectRequest::decode(body);
            let _ = super::jute::ConnectResponse::decode(body);
            let _ = Hello::decode(body);
            let _ = Welcome::decode(body);
        }
    }

    /// One byte of a sound frame changed: read or refused, never a panic.
    #[test]
    fn damaged_frames_are_decoded_or_refused(at: prop::sample::Index, to: u8) {
        for codec in [Codec::Jute, Codec::Native] {
            for (_, request) in requests() {
                let mut out = vec![];
                codec.encode_request(Xid(1), &request, &mut out);
                let at = at.index(out.len());
                out[at] = to;
                let _ = decode(codec, &out[4..]);
            }
            for (_, reply) in replies() {
                let mut out = vec![];
                codec.encode_reply(Xid(1), Zxid(1), &reply.as_reply(), &mut out);
                let at = at.index(out.len());
                out[at] = to;
                let Ok((header, record)) = codec.decode_reply_header(&out[4..]) else { continue };
                for kind in ReplyKind::ALL {
                    let _ = codec.decode_reply(*kind, header, record);
                }
                let _ = codec.decode_event(header, record);
            }
        }
    }
}
