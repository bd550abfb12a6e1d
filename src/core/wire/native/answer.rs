//! Answers and events for native clients: between the vocabulary and the shapes of frames.

use super::message::{
    Answer, Came, Entry, Event, Header, List, Names, Seen, frame, read, read_all,
};
use crate::types::{
    Acl, AuthId, ErrorCode, Outcome, Perms, ReadReply, Reply, WatchEvent, Xid, Zxid,
};
use crate::wire::jute::reply::{error_code, event_type};
use crate::wire::{DecodeError, OwnedReadReply, OwnedReply, ReplyHeader, shown_user};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// Appends the whole frame of an answer.
pub(in crate::wire) fn encode_reply(xid: Xid, zxid: Zxid, reply: &Reply<'_>, out: &mut Vec<u8>) {
    let header = |error| Header { xid: xid.0, zxid: zxid.to_wire(), error };
    match reply.refusal() {
        Some(error) => frame(out, &header(error.code())),
        None => frame(out, &(header(0), answer(reply))),
    }
}

/// Appends the whole frame of a watch event.
pub(in crate::wire) fn encode_event(event: &WatchEvent, out: &mut Vec<u8>) {
    let zxid = event.zxid.map_or(-1, Zxid::to_wire);
    let header = Header { xid: Xid::EVENT.0, zxid, error: 0 };
    frame(out, &(header, Event { event: event.event as i32, path: &event.path }));
}

/// The header of an answer or event, and what follows it.
pub(in crate::wire) fn decode_header(body: &[u8]) -> Result<(ReplyHeader, &[u8]), DecodeError> {
    let (Header { xid, zxid, error }, record) = read(body)?;
    Ok((ReplyHeader { xid: Xid(xid), zxid: Zxid::from_wire(zxid), error }, record))
}

/// The record behind a header whose error is 0.
pub(in crate::wire) fn decode_reply(record: &[u8]) -> Result<OwnedReply, DecodeError> {
    Ok(match read_all(record)? {
        Answer::Done => OwnedReply::Done,
        Answer::Result(came) => OwnedReply::Outcome(outcome(came)?),
        Answer::Multi(List(results)) => {
            let results = results.into_iter().map(outcome).collect::<Result<_, _>>()?;
            OwnedReply::Outcome(Outcome::Multi(results))
        }
        Answer::Stat(stat) => OwnedReply::Stat(stat.into()),
        Answer::Data(data, stat) => OwnedReply::Data(data.map(<[u8]>::to_vec), stat.into()),
        Answer::Acl(List(entries), stat) => {
            OwnedReply::Acl(entries.iter().map(owned_entry).collect(), stat.into())
        }
        Answer::Children(names, stat) => {
            OwnedReply::Children(owned_names(&names), stat.map(Into::into))
        }
        Answer::Paths(paths) => OwnedReply::Paths(owned_names(&paths)),
        Answer::Count(count) => OwnedReply::Count(count),
        Answer::Path(path) => OwnedReply::Path(path.to_owned()),
        Answer::WatchAdded => OwnedReply::WatchAdded,
        Answer::Identities(List(ids)) => {
            let owned = |(scheme, id): (&str, &str)| AuthId {
                scheme: scheme.to_owned(),
                id: id.to_owned(),
            };
            OwnedReply::Identities(ids.into_iter().map(owned).collect())
        }
        Answer::Reads(List(results)) => {
            OwnedReply::Reads(results.into_iter().map(owned_seen).collect::<Result<_, _>>()?)
        }
        Answer::Token(token) => OwnedReply::Token(token.map(<[u8]>::to_vec)),
    })
}

/// The event behind a header.
pub(in crate::wire) fn decode_event(zxid: Zxid, record: &[u8]) -> Result<WatchEvent, DecodeError> {
    let Event { event, path } = read_all(record)?;
    let zxid = (zxid.to_wire() != -1).then_some(zxid);
    Ok(WatchEvent { zxid, event: event_type(event)?, path: path.into() })
}

fn answer<'r>(reply: &'r Reply<'_>) -> Answer<'r> {
    match reply {
        // A refusal stands in the header, which this is not asked about.
        Reply::Error(_) | Reply::Done => Answer::Done,
        Reply::Outcome(Outcome::Multi(results)) => {
            Answer::Multi(List(results.iter().map(came).collect()))
        }
        Reply::Outcome(outcome) => Answer::Result(came(outcome)),
        Reply::Stat(stat) => Answer::Stat((*stat).into()),
        Reply::Data(data, stat) => Answer::Data(*data, (*stat).into()),
        Reply::Acl(acl, stat) => Answer::Acl(List(acl.iter().map(entry).collect()), (*stat).into()),
        Reply::Children(names, stat) => {
            Answer::Children(Names::Stored(*names), stat.map(Into::into))
        }
        Reply::Paths(paths) => Answer::Paths(Names::Paths(paths)),
        Reply::Count(count) => Answer::Count(*count),
        Reply::Path(path) => Answer::Path(path),
        Reply::WatchAdded => Answer::WatchAdded,
        Reply::Identities(ids) => {
            Answer::Identities(List(ids.iter().map(|id| (&*id.scheme, shown_user(id))).collect()))
        }
        Reply::Reads(results) => Answer::Reads(List(results.iter().map(seen).collect())),
        Reply::Token(token) => Answer::Token(*token),
    }
}

fn came(outcome: &Outcome) -> Came<'_> {
    match outcome {
        Outcome::Created { path, stat } => Came::Created { path, stat: stat.map(Into::into) },
        Outcome::Deleted => Came::Deleted,
        Outcome::DataSet(stat) => Came::DataSet((*stat).into()),
        Outcome::AclSet(stat) => Came::AclSet((*stat).into()),
        Outcome::Checked => Came::Checked,
        Outcome::SessionClosed => Came::SessionClosed,
        Outcome::Failed(error) => Came::Failed(error.code()),
        Outcome::RolledBack => Came::RolledBack,
        // A multi holds no multi, and a session's creation is answered by the handshake.
        Outcome::Multi(_) | Outcome::SessionCreated { .. } => {
            Came::Failed(ErrorCode::SystemError.code())
        }
    }
}

fn outcome(came: Came<'_>) -> Result<Outcome, DecodeError> {
    Ok(match came {
        Came::Created { path, stat } => {
            Outcome::Created { path: path.to_owned(), stat: stat.map(Into::into) }
        }
        Came::Deleted => Outcome::Deleted,
        Came::DataSet(stat) => Outcome::DataSet(stat.into()),
        Came::AclSet(stat) => Outcome::AclSet(stat.into()),
        Came::Checked => Outcome::Checked,
        Came::SessionClosed => Outcome::SessionClosed,
        Came::Failed(code) => Outcome::Failed(error_code(code)?),
        Came::RolledBack => Outcome::RolledBack,
    })
}

fn seen<'r>(reply: &ReadReply<'r>) -> Seen<'r> {
    match reply {
        ReadReply::Error(error) => Seen::Error(error.code()),
        ReadReply::Data(data, stat) => Seen::Data(*data, (*stat).into()),
        ReadReply::Children(names) => Seen::Children(Names::Stored(*names)),
    }
}

fn owned_seen(seen: Seen<'_>) -> Result<OwnedReadReply, DecodeError> {
    Ok(match seen {
        Seen::Error(code) => OwnedReadReply::Error(error_code(code)?),
        Seen::Data(data, stat) => OwnedReadReply::Data(data.map(<[u8]>::to_vec), stat.into()),
        Seen::Children(names) => OwnedReadReply::Children(owned_names(&names)),
    })
}

fn entry(acl: &Acl) -> Entry<'_> {
    Entry { perms: acl.perms.0, scheme: &acl.scheme, id: &acl.id }
}

fn owned_entry(entry: &Entry<'_>) -> Acl {
    Acl { perms: Perms(entry.perms), scheme: entry.scheme.to_owned(), id: entry.id.to_owned() }
}

fn owned_names(names: &Names<'_>) -> Vec<String> {
    match names {
        Names::Read(names) => names.iter().map(|&name| name.to_owned()).collect(),
        Names::Paths(paths) => paths.to_vec(),
        Names::Stored(names) => {
            let mut owned = Vec::with_capacity(names.count());
            names.each(&mut |name| owned.push(name.to_owned()));
            owned
        }
    }
}
