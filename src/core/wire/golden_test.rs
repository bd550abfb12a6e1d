//! Frames captured from a real Apache ZooKeeper server decode, and encode back to themselves.

use super::{Codec, ReplyKind, jute};
use crate::types::{Create, CreateVariant};
use crate::types::{ErrorCode, NULL, Op, Read, Request, WatchOp, Xid};
use std::vec::Vec;
use std::{format, vec};

const FRAMES: &str = include_str!("../../../tests/golden/jute.txt");

/// Requests whose bytes cannot come back, because what is decoded means the same without them.
const ONE_WAY: [&str; 9] = [
    "create: -114 null acl",
    "create: -5 null path",
    "addWatch: -5 unknown mode",
    "checkWatches: -5 unknown type",
    "setWatches2: -5 null lists",
    "unknown op: -6 and close",
    "check alone: -6 and close",
    "notification as a request: -6 and close",
    "exists: bytes behind the record are ignored",
];

/// One entry of the file.
#[derive(Default)]
struct Entry {
    name: &'static str,
    request: Option<(&'static str, Vec<u8>)>,
    replies: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
}

fn entries() -> Vec<Entry> {
    let mut entries = vec![];
    for line in FRAMES.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "name" {
            entries.push(Entry { name: rest, ..Entry::default() });
        }
        let Some(entry) = entries.last_mut() else { continue };
        match word {
            "request" => {
                let (op, hex) = rest.split_once(' ').expect("an operation stands before its bytes");
                entry.request = Some((op, bytes(hex)));
            }
            "reply" => entry.replies.push(bytes(rest)),
            "event" => entry.events.push(bytes(rest)),
            "name" | "" | "#" => {}
            other => panic!("{other} is no line of a golden file"),
        }
    }
    entries
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits"))
        .collect()
}

/// The body of a frame, `None` if its length is not the length of what follows.
fn body(frame: &[u8]) -> Option<&[u8]> {
    let (length, body) = frame.split_first_chunk::<4>()?;
    (usize::try_from(i32::from_be_bytes(*length)) == Ok(body.len())).then_some(body)
}

/// The body of a frame that was recorded whole.
fn whole(frame: &[u8]) -> &[u8] {
    body(frame).expect("a recorded frame is as long as it says")
}

fn op_name(request: &Request<'_>) -> &'static str {
    match request {
        Request::Write(op) => write_name(op),
        Request::Read(read) => match read {
            Read::Exists { .. } => "exists",
            Read::Data { .. } => "getData",
            Read::Acl { .. } => "getACL",
            Read::Children { with_stat: false, .. } => "getChildren",
            Read::Children { with_stat: true, .. } => "getChildren2",
            Read::Ephemerals { .. } => "getEphemerals",
            Read::DescendantCount { .. } => "getAllChildrenNumber",
            Read::Multi(_) => "multiRead",
        },
        Request::Watch(op) => match op {
            WatchOp::Add { .. } => "addWatch",
            WatchOp::Remove { .. } => "removeWatches",
            WatchOp::Check { .. } => "checkWatches",
            WatchOp::Set { persistent, persistent_recursive, .. } => {
                if persistent.is_empty() && persistent_recursive.is_empty() {
                    "setWatches"
                } else {
                    "setWatches2"
                }
            }
        },
        Request::Sync(_) => "sync",
        Request::Ping => "ping",
        Request::Auth { .. } => "auth",
        Request::WhoAmI => "whoAmI",
        Request::Sasl(_) => "sasl",
        Request::Reconfig => "reconfig",
        Request::CloseSession => "closeSession",
        Request::Malformed => "malformed",
        Request::Unknown => "error",
    }
}

fn write_name(op: &Op<'_>) -> &'static str {
    match op {
        Op::Create(Create { variant, .. }) => match variant {
            CreateVariant::Plain => "create",
            CreateVariant::WithStat => "create2",
            CreateVariant::Container => "createContainer",
            CreateVariant::Ttl => "createTTL",
        },
        Op::Delete { .. } => "delete",
        Op::SetData { .. } => "setData",
        Op::SetAcl { .. } => "setACL",
        Op::Multi(_) => "multi",
        Op::Check { .. }
        | Op::Reap { .. }
        | Op::Configure { .. }
        | Op::CreateSession { .. }
        | Op::CloseSession { .. }
        | Op::Fail(_) => "never from a client",
    }
}

/// Entries with a request that has a header, its operation's name and its body.
fn requests() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let entries = entries().into_iter();
    entries
        .filter_map(|entry| entry.request.map(|(op, frame)| (entry.name, op, frame)))
        .filter(|(_, op, _)| *op != "connect")
        .collect()
}

#[test]
fn well_formed_requests_decode_to_what_they_are_and_back() {
    let mut seen = 0;
    for (name, op, frame) in requests() {
        if name.starts_with("malformed") {
            continue;
        }
        seen += 1;
        let (xid, request) =
            Codec::Jute.decode_request(whole(&frame)).expect("ZooKeeper took this request");
        let mut again = vec![];
        Codec::Jute.encode_request(xid, &request, &mut again);
        if ONE_WAY.contains(&name) {
            assert_ne!(again, frame, "{name} comes back after all");
            continue;
        }
        assert_eq!(op_name(&request), op, "{name}");
        // The arguments of a reconfig are not kept.
        if request != Request::Reconfig {
            assert_eq!(again, frame, "{name}: {request:?}");
        }
    }
    assert!(seen > 100, "{seen} requests are not the whole file");
}

#[test]
fn what_zookeeper_refuses_is_sorted_as_zookeeper_sorts_it() {
    let all = requests();
    let decoded = |name: &str| {
        let (_, _, frame) = all.iter().find(|(n, ..)| *n == name).expect("the scene was recorded");
        Codec::Jute.decode_request(whole(frame)).expect("ZooKeeper took this request").1
    };
    for name in ["unknown op", "check alone", "notification as a request", "error as a request"] {
        assert_eq!(decoded(&format!("{name}: -6 and close")), Request::Unknown, "{name}");
    }
    for name in [
        "addWatch: -5 unknown mode",
        "checkWatches: -5 unknown type",
        "setWatches2: -5 null lists",
        "malformed create: -5 the record is cut short",
        "malformed getData: -5 a length that lies",
        "malformed setData: -5 a negative length",
    ] {
        assert_eq!(decoded(name), Request::Malformed, "{name}");
    }
    let failed = Request::Write(Op::Fail(ErrorCode::MarshallingError));
    for name in [
        "malformed multi: -5 an operation that is not allowed",
        "malformed multi: -5 reads and writes mixed",
    ] {
        assert_eq!(decoded(name), failed, "{name}");
    }
    let Request::Write(Op::Create(create)) = decoded("create: -114 null acl") else {
        panic!("a null acl is an empty acl");
    };
    assert_eq!(create.acl, vec![]);
    let Request::Write(Op::Create(create)) = decoded("create: -5 null path") else {
        panic!("a null path is decoded, and stumbled over when the znode would be made");
    };
    assert_eq!(create.path, NULL);
    let ignoring = decoded("exists: bytes behind the record are ignored");
    assert_eq!(op_name(&ignoring), "exists");
}

#[test]
fn every_malformed_entry_is_refused() {
    let mut seen = 0;
    for (name, _, frame) in requests() {
        if !name.starts_with("malformed") {
            continue;
        }
        seen += 1;
        let refused = match body(&frame).map(|body| Codec::Jute.decode_request(body)) {
            None | Some(Err(_)) => true,
            Some(Ok((_, request))) => matches!(
                request,
                Request::Malformed | Request::Write(Op::Fail(ErrorCode::MarshallingError))
            ),
        };
        assert!(refused, "{name}");
    }
    assert_eq!(seen, 6);
}

#[test]
fn handshakes_come_back_byte_for_byte() {
    let mut seen = 0;
    for entry in entries() {
        let Some(("connect", frame)) = &entry.request else { continue };
        let mut again = vec![];
        jute::ConnectRequest::decode(whole(frame))
            .expect("ZooKeeper took this opening")
            .encode(&mut again);
        assert_eq!(&again, frame, "{}", entry.name);
        let Some(frame) = entry.replies.first() else { continue };
        seen += 1;
        // A server that refuses the whole connection answers a reply header instead.
        if entry.name == "connect: read-only server refuses a client without the flag set" {
            continue;
        }
        again.clear();
        jute::ConnectResponse::decode(whole(frame))
            .expect("ZooKeeper sent this answer")
            .encode(&mut again);
        assert_eq!(&again, frame, "{}", entry.name);
    }
    assert!(seen > 10, "{seen} handshakes are not the whole file");
}

#[test]
fn every_answer_is_read_by_the_client_and_written_again_by_the_server() {
    let mut seen = 0;
    for entry in entries() {
        let Some((op, request)) = &entry.request else { continue };
        if *op == "connect" {
            continue;
        }
        let Some((_, request)) = body(request)
            .map(|b| Codec::Jute.decode_request(b).expect("ZooKeeper took this request"))
        else {
            continue;
        };
        let mut kind = ReplyKind::of(&request);
        for frame in &entry.replies {
            seen += 1;
            let (header, record) =
                Codec::Jute.decode_reply_header(whole(frame)).expect("ZooKeeper sent this reply");
            if request == Request::Malformed {
                kind = ReplyKind::Done;
            }
            let reply = Codec::Jute.decode_reply(kind, header, record);
            let reply = reply.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
            let mut again = vec![];
            Codec::Jute.encode_reply(header.xid, header.zxid, &reply.as_reply(), &mut again);
            assert_eq!(&again, frame, "{}: {reply:?}", entry.name);
        }
    }
    assert!(seen > 100, "{seen} answers are not the whole file");
}

#[test]
fn every_event_is_read_by_the_client_and_written_again_by_the_server() {
    let events: Vec<_> = entries().into_iter().flat_map(|entry| entry.events).collect();
    for frame in &events {
        let (header, record) =
            Codec::Jute.decode_reply_header(whole(frame)).expect("ZooKeeper sent this reply");
        assert_eq!(header.xid, Xid::EVENT);
        let event = Codec::Jute.decode_event(header, record).expect("ZooKeeper sent this event");
        let mut again = vec![];
        Codec::Jute.encode_event(&event, &mut again);
        assert_eq!(&again, frame, "{event:?}");
    }
    assert!(events.len() > 8, "{} events are not the whole file", events.len());
}

/// A create of "/a" with one ACL entry, whose strings may be null.
fn create_with_entry(scheme: Option<&str>, id: Option<&str>) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, b'/', b'a'];
    body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 31]);
    for text in [scheme, id] {
        let length = text.map_or(-1, |text| i32::try_from(text.len()).expect("short texts"));
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    body.extend_from_slice(&[0; 4]);
    body
}

#[test]
fn a_null_id_is_told_apart_where_zookeeper_looks_at_ids() {
    for (scheme, id, stands_out) in [
        (Some("digest"), None, true),
        (Some("digest"), Some(""), false),
        (Some("auth"), None, false),
        (None, Some("x"), false),
    ] {
        let body = create_with_entry(scheme, id);
        let (_, request) = Codec::Jute.decode_request(&body).expect("well formed but for its text");
        let Request::Write(Op::Create(create)) = &request else { panic!("{request:?}") };
        assert_eq!(create.acl[0].id == NULL, stands_out, "{scheme:?} {id:?}");
        // Cut short, it is no record at all, null or not.
        let cut = &body[..body.len() - 1];
        assert_eq!(Codec::Jute.decode_request(cut), Ok((Xid(1), Request::Malformed)));
    }
}

#[test]
fn packets_that_zookeeper_closes_on_are_errors() {
    for body in [
        &[][..],
        &[0, 0, 0, 1, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xfc, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 1, 0, 0, 0, 102, 0, 0, 0, 9],
    ] {
        assert!(Codec::Jute.decode_request(body).is_err(), "{body:?}");
    }
}
