//! Requests of native clients: between the vocabulary and the shapes of frames.

use super::message::{
    Ask, Change, Entry, List, Look, Variant, Verb, WatchLists, frame, read, read_all,
};
use crate::types::limits::NATIVE_FRAME_REQUESTS_MAX;
use crate::types::{
    AclEntry, Create, CreateVariant, ErrorCode, Op, Perms, Read, RemoveKind, Request, WatchMode,
    WatchOp, Xid,
};
use crate::wire::{DecodeError, Decoded};
use alloc::vec::Vec;

const NOTHING_HEARD: i32 = 0;
/// Where a frame says what its client has heard, behind its length.
const HEARD_AT: usize = 4;
/// Where the first request has its number, behind the count of requests.
const FIRST_XID_AT: usize = HEARD_AT + 4 + 8;

/// Every request of one frame, in order, with its own bytes; none of them if the frame is broken.
pub(in crate::wire) fn decode_requests<'a>(
    body: &'a [u8],
    into: &mut Vec<Decoded<'a>>,
) -> Result<(), DecodeError> {
    let before = into.len();
    let decoded = append_requests(body, into);
    if decoded.is_err() {
        into.truncate(before);
    }
    decoded
}

fn append_requests<'a>(body: &'a [u8], into: &mut Vec<Decoded<'a>>) -> Result<(), DecodeError> {
    let ((_heard, count), mut rest) = read::<(i32, u64)>(body)?;
    if count > NATIVE_FRAME_REQUESTS_MAX as u64 {
        return Err(DecodeError::Length);
    }
    for _ in 0..count {
        let (ask, behind) = read::<Ask<'_>>(rest)?;
        let own = &rest[..rest.len() - behind.len()];
        let (xid, request) = numbered(ask);
        into.push((xid, request, own));
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
}

/// One request from its own bytes.
pub(in crate::wire) fn decode_request(own: &[u8]) -> Result<(Xid, Request<'_>), DecodeError> {
    read_all(own).map(numbered)
}

/// Appends as few frames as these requests fit in. What only a server can make is sent as an
/// operation that does not exist.
pub(in crate::wire) fn encode_requests(requests: &[(Xid, &Request<'_>)], out: &mut Vec<u8>) {
    for requests in requests.chunks(NATIVE_FRAME_REQUESTS_MAX) {
        let asks = requests.iter().map(|(xid, request)| Ask { xid: xid.0, verb: verb(request) });
        frame(out, &(NOTHING_HEARD, List(asks.collect())));
    }
}

/// Up to which number the client of this frame has heard all answers, if it says so.
pub(in crate::wire) fn decode_heard(body: &[u8]) -> Option<Xid> {
    let (heard, _) = body.split_first_chunk()?;
    Some(Xid(i32::from_le_bytes(*heard))).filter(|heard| *heard != Xid(NOTHING_HEARD))
}

/// Gives the first request of a whole frame this number, and lets the frame say up to which number
/// its client has heard all answers.
pub fn stamp(frame: &mut [u8], xid: Xid, heard: Xid) {
    for (at, number) in [(HEARD_AT, heard), (FIRST_XID_AT, xid)] {
        if let Some(place) = frame.get_mut(at..at + 4) {
            place.copy_from_slice(&number.0.to_le_bytes());
        }
    }
}

fn numbered(Ask { xid, verb }: Ask<'_>) -> (Xid, Request<'_>) {
    match request(verb) {
        Request::Ping => (Xid::PING, Request::Ping),
        request => (Xid(xid), request),
    }
}

fn request(verb: Verb<'_>) -> Request<'_> {
    match verb {
        Verb::Ping => Request::Ping,
        Verb::Write(Change::Check { .. }) | Verb::Unknown => Request::Unknown,
        Verb::Write(change) => Request::Write(op(change)),
        Verb::Multi(List(changes)) => Request::Write(multi(changes)),
        Verb::Read(look) => Request::Read(look_at(look)),
        Verb::MultiRead(List(looks)) => multi_read(looks),
        Verb::AddWatch { path, recursive } => {
            let mode =
                if recursive { WatchMode::PersistentRecursive } else { WatchMode::Persistent };
            Request::Watch(WatchOp::Add { path, mode })
        }
        Verb::RemoveWatches { path, kind } => RemoveKind::from_code(kind)
            .map_or(Request::Malformed, |kind| Request::Watch(WatchOp::Remove { path, kind })),
        Verb::CheckWatches { path, kind } => RemoveKind::from_code(kind)
            .map_or(Request::Malformed, |kind| Request::Watch(WatchOp::Check { path, kind })),
        Verb::SetWatches(lists) => Request::Watch(WatchOp::Set {
            relative_zxid: lists.relative_zxid,
            data: lists.data.0,
            exist: lists.exist.0,
            child: lists.child.0,
            persistent: lists.persistent.0,
            persistent_recursive: lists.persistent_recursive.0,
            broken_off: false,
        }),
        Verb::Sync(path) => Request::Sync(path),
        Verb::Auth { scheme, auth } => Request::Auth { scheme, auth },
        Verb::WhoAmI => Request::WhoAmI,
        Verb::Sasl(token) => Request::Sasl(token),
        Verb::Reconfig => Request::Reconfig,
        Verb::CloseSession => Request::CloseSession,
    }
}

/// As in Jute, a multi holds no change of an ACL, and one that does fails as a whole.
fn multi(changes: Vec<Change<'_>>) -> Op<'_> {
    if changes.iter().any(|change| matches!(change, Change::SetAcl { .. })) {
        Op::Fail(ErrorCode::MarshallingError)
    } else {
        Op::Multi(changes.into_iter().map(op).collect())
    }
}

fn multi_read(looks: Vec<Look<'_>>) -> Request<'_> {
    let reads = looks.into_iter().map(|look| match look {
        Look::Data { path, .. } => Some(Read::Data { path, watch: false }),
        Look::Children { path, with_stat: false, .. } => {
            Some(Read::Children { path, watch: false, with_stat: false })
        }
        Look::Exists { .. }
        | Look::Acl { .. }
        | Look::Children { with_stat: true, .. }
        | Look::Ephemerals { .. }
        | Look::DescendantCount { .. } => None,
    });
    match reads.collect::<Option<Vec<_>>>() {
        Some(reads) => Request::Read(Read::Multi(reads)),
        None => Request::Malformed,
    }
}

fn op(change: Change<'_>) -> Op<'_> {
    match change {
        Change::Create { variant, path, data, acl, flags, ttl_ms } => {
            let (variant, ttl_ms) = match variant {
                Variant::Plain => (CreateVariant::Plain, 0),
                Variant::WithStat => (CreateVariant::WithStat, 0),
                Variant::Container => (CreateVariant::Container, 0),
                Variant::Ttl => (CreateVariant::Ttl, ttl_ms),
            };
            Op::Create(Create { path, data, acl: acl_entries(acl), flags, ttl_ms, variant })
        }
        Change::Delete { path, version } => Op::Delete { path, version },
        Change::SetData { path, data, version } => Op::SetData { path, data, version },
        Change::SetAcl { path, acl, version } => {
            Op::SetAcl { path, acl: acl_entries(acl), version }
        }
        Change::Check { path, version } => Op::Check { path, version },
    }
}

fn acl_entries<'a>(List(entries): List<Entry<'a>>) -> Vec<AclEntry<'a>> {
    let entry =
        |Entry { perms, scheme, id }: Entry<'a>| AclEntry { perms: Perms(perms), scheme, id };
    entries.into_iter().map(entry).collect()
}

fn look_at(look: Look<'_>) -> Read<'_> {
    match look {
        Look::Exists { path, watch } => Read::Exists { path, watch },
        Look::Data { path, watch } => Read::Data { path, watch },
        Look::Acl { path } => Read::Acl { path },
        Look::Children { path, watch, with_stat } => Read::Children { path, watch, with_stat },
        Look::Ephemerals { prefix } => Read::Ephemerals { prefix },
        Look::DescendantCount { path } => Read::DescendantCount { path },
    }
}

fn verb<'a>(request: &Request<'a>) -> Verb<'a> {
    match request {
        Request::Write(Op::CloseSession { .. }) | Request::CloseSession => Verb::CloseSession,
        Request::Write(Op::Multi(ops)) => ops
            .iter()
            .map(change)
            .collect::<Option<_>>()
            .map_or(Verb::Unknown, |changes| Verb::Multi(List(changes))),
        Request::Write(op) => change(op).map_or(Verb::Unknown, Verb::Write),
        Request::Read(Read::Multi(reads)) => reads
            .iter()
            .map(look)
            .collect::<Option<_>>()
            .map_or(Verb::Unknown, |looks| Verb::MultiRead(List(looks))),
        Request::Read(read) => look(read).map_or(Verb::Unknown, Verb::Read),
        Request::Watch(op) => watch_verb(op),
        Request::Sync(path) => Verb::Sync(path),
        Request::Ping => Verb::Ping,
        Request::Auth { scheme, auth } => Verb::Auth { scheme, auth },
        Request::WhoAmI => Verb::WhoAmI,
        Request::Sasl(token) => Verb::Sasl(token),
        Request::Reconfig => Verb::Reconfig,
        Request::Malformed | Request::Unknown => Verb::Unknown,
    }
}

/// `None` for what no client may ask for, and for a multi, which holds no other.
fn change<'a>(op: &Op<'a>) -> Option<Change<'a>> {
    Some(match op {
        Op::Create(create) => Change::Create {
            variant: match create.variant {
                CreateVariant::Plain => Variant::Plain,
                CreateVariant::WithStat => Variant::WithStat,
                CreateVariant::Container => Variant::Container,
                CreateVariant::Ttl => Variant::Ttl,
            },
            path: create.path,
            data: create.data,
            acl: entries(&create.acl),
            flags: create.flags,
            ttl_ms: create.ttl_ms,
        },
        Op::Delete { path, version } => Change::Delete { path, version: *version },
        Op::SetData { path, data, version } => {
            Change::SetData { path, data: *data, version: *version }
        }
        Op::SetAcl { path, acl, version } => {
            Change::SetAcl { path, acl: entries(acl), version: *version }
        }
        Op::Check { path, version } => Change::Check { path, version: *version },
        Op::Multi(_)
        | Op::Reap { .. }
        | Op::Configure { .. }
        | Op::CreateSession { .. }
        | Op::CloseSession { .. }
        | Op::Fail(_) => return None,
    })
}

fn entries<'a>(acl: &[AclEntry<'a>]) -> List<Entry<'a>> {
    let entry =
        |entry: &AclEntry<'a>| Entry { perms: entry.perms.0, scheme: entry.scheme, id: entry.id };
    List(acl.iter().map(entry).collect())
}

/// `None` for a multi, which holds no other.
fn look<'a>(read: &Read<'a>) -> Option<Look<'a>> {
    Some(match *read {
        Read::Exists { path, watch } => Look::Exists { path, watch },
        Read::Data { path, watch } => Look::Data { path, watch },
        Read::Acl { path } => Look::Acl { path },
        Read::Children { path, watch, with_stat } => Look::Children { path, watch, with_stat },
        Read::Ephemerals { prefix } => Look::Ephemerals { prefix },
        Read::DescendantCount { path } => Look::DescendantCount { path },
        Read::Multi(_) => return None,
    })
}

fn watch_verb<'a>(op: &WatchOp<'a>) -> Verb<'a> {
    match op {
        WatchOp::Add { path, mode } => {
            Verb::AddWatch { path, recursive: *mode == WatchMode::PersistentRecursive }
        }
        WatchOp::Remove { path, kind } => Verb::RemoveWatches { path, kind: *kind as i32 },
        WatchOp::Check { path, kind } => Verb::CheckWatches { path, kind: *kind as i32 },
        WatchOp::Set {
            relative_zxid,
            data,
            exist,
            child,
            persistent,
            persistent_recursive,
            ..
        } => Verb::SetWatches(WatchLists {
            relative_zxid: *relative_zxid,
            data: List(data.clone()),
            exist: List(exist.clone()),
            child: List(child.clone()),
            persistent: List(persistent.clone()),
            persistent_recursive: List(persistent_recursive.clone()),
        }),
    }
}
