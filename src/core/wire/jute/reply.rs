//! An answer or event, read by the client.
//!
//! An answer does not say what it answers: the client remembers the [`ReplyKind`] of each request
//! it sent and reads the answers in the same order.

use super::multi::next;
use super::opcode;
use super::read::Reader;
use crate::types::{
    Acl, AuthId, CreateVariant, ErrorCode, EventType, Op, Outcome, Read, ReadReply, Reply, Request,
    Stat, WatchEvent, WatchOp, Xid, Zxid,
};
use crate::wire::DecodeError;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// What every answer and event begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// Of the request; [`Xid::EVENT`] for an event.
    pub xid: Xid,
    /// State of the server that answered, -1 and 0 as ZooKeeper sends them.
    pub zxid: Zxid,
    /// 0, or the code of a refusal, behind which there is no record.
    pub error: i32,
}

/// What the record of an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyKind {
    /// Nothing.
    Done,
    /// The path of a created znode.
    Created,
    /// The path of a created znode and its stat.
    CreatedWithStat,
    /// The stat after a change of data.
    DataSet,
    /// The stat after a change of the ACL.
    AclSet,
    /// Results of a multi.
    Multi,
    /// A stat.
    Stat,
    /// Data and stat.
    Data,
    /// ACL and stat.
    Acl,
    /// Names.
    Children,
    /// Names and stat.
    ChildrenWithStat,
    /// Paths.
    Paths,
    /// A number.
    Count,
    /// A path.
    Path,
    /// The record of addWatch.
    WatchAdded,
    /// Identities.
    Identities,
    /// Results of a multiRead.
    Reads,
    /// A SASL token.
    Token,
}

/// A [`Reply`] that owns its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedReply {
    /// Refused.
    Error(ErrorCode),
    /// Done, nothing to tell.
    Done,
    /// What a write came to.
    Outcome(Outcome),
    /// Exists.
    Stat(Stat),
    /// getData.
    Data(Option<Vec<u8>>, Stat),
    /// getACL.
    Acl(Vec<Acl>, Stat),
    /// getChildren, and getChildren2 with the stat.
    Children(Vec<String>, Option<Stat>),
    /// getEphemerals.
    Paths(Vec<String>),
    /// getAllChildrenNumber.
    Count(i32),
    /// sync.
    Path(String),
    /// addWatch.
    WatchAdded,
    /// whoAmI.
    Identities(Vec<AuthId>),
    /// multiRead: one each.
    Reads(Vec<OwnedReadReply>),
    /// sasl.
    Token(Option<Vec<u8>>),
}

/// A [`ReadReply`] that owns its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedReadReply {
    /// Refused.
    Error(ErrorCode),
    /// getData.
    Data(Option<Vec<u8>>, Stat),
    /// getChildren.
    Children(Vec<String>),
}

impl OwnedReadReply {
    fn as_reply(&self) -> ReadReply<'_> {
        match self {
            Self::Error(error) => ReadReply::Error(*error),
            Self::Data(data, stat) => ReadReply::Data(data.as_deref(), *stat),
            Self::Children(names) => ReadReply::Children(names),
        }
    }
}

impl OwnedReply {
    /// As a borrowed reply.
    pub fn as_reply(&self) -> Reply<'_> {
        match self {
            Self::Error(error) => Reply::Error(*error),
            Self::Done => Reply::Done,
            Self::Outcome(outcome) => Reply::Outcome(outcome),
            Self::Stat(stat) => Reply::Stat(*stat),
            Self::Data(data, stat) => Reply::Data(data.as_deref(), *stat),
            Self::Acl(acl, stat) => Reply::Acl(acl, *stat),
            Self::Children(names, stat) => Reply::Children(names, *stat),
            Self::Paths(paths) => Reply::Paths(paths),
            Self::Count(count) => Reply::Count(*count),
            Self::Path(path) => Reply::Path(path),
            Self::WatchAdded => Reply::WatchAdded,
            Self::Identities(ids) => Reply::Identities(ids),
            Self::Reads(results) => {
                Reply::Reads(results.iter().map(OwnedReadReply::as_reply).collect())
            }
            Self::Token(token) => Reply::Token(token.as_deref()),
        }
    }
}

impl ReplyKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Done,
        Self::Created,
        Self::CreatedWithStat,
        Self::DataSet,
        Self::AclSet,
        Self::Multi,
        Self::Stat,
        Self::Data,
        Self::Acl,
        Self::Children,
        Self::ChildrenWithStat,
        Self::Paths,
        Self::Count,
        Self::Path,
        Self::WatchAdded,
        Self::Identities,
        Self::Reads,
        Self::Token,
    ];

    /// What a server answers to this request when it does not refuse it.
    pub fn of(request: &Request<'_>) -> Self {
        match request {
            Request::Write(op) => Self::of_op(op),
            Request::Read(read) => Self::of_read(read),
            Request::Watch(WatchOp::Add { .. }) => Self::WatchAdded,
            Request::Sync(_) => Self::Path,
            Request::WhoAmI => Self::Identities,
            Request::Sasl(_) => Self::Token,
            Request::Reconfig => Self::Data,
            Request::Watch(
                WatchOp::Remove { .. } | WatchOp::Check { .. } | WatchOp::Set { .. },
            )
            | Request::Ping
            | Request::Auth { .. }
            | Request::CloseSession
            | Request::Malformed
            | Request::Unknown => Self::Done,
        }
    }

    fn of_op(op: &Op<'_>) -> Self {
        match op {
            Op::Create(create) => match create.variant {
                CreateVariant::Plain => Self::Created,
                CreateVariant::WithStat | CreateVariant::Container | CreateVariant::Ttl => {
                    Self::CreatedWithStat
                }
            },
            Op::SetData { .. } => Self::DataSet,
            Op::SetAcl { .. } => Self::AclSet,
            Op::Multi(_) => Self::Multi,
            Op::Delete { .. }
            | Op::Check { .. }
            | Op::Reap { .. }
            | Op::Configure { .. }
            | Op::CreateSession { .. }
            | Op::CloseSession { .. }
            | Op::Fail(_) => Self::Done,
        }
    }

    fn of_read(read: &Read<'_>) -> Self {
        match read {
            Read::Exists { .. } => Self::Stat,
            Read::Data { .. } => Self::Data,
            Read::Acl { .. } => Self::Acl,
            Read::Children { with_stat: false, .. } => Self::Children,
            Read::Children { with_stat: true, .. } => Self::ChildrenWithStat,
            Read::Ephemerals { .. } => Self::Paths,
            Read::DescendantCount { .. } => Self::Count,
            Read::Multi(_) => Self::Reads,
        }
    }
}

/// The header of an answer or event, and what follows it.
///
/// # Errors
/// If the body is shorter than a header.
pub fn decode_header(body: &[u8]) -> Result<(ReplyHeader, &[u8]), DecodeError> {
    let mut reader = Reader::new(body);
    let header = ReplyHeader {
        xid: Xid(reader.int()?),
        zxid: Zxid::from_wire(reader.long()?),
        error: reader.int()?,
    };
    Ok((header, reader.rest()))
}

/// The record behind a header whose error is 0.
///
/// # Errors
/// If the record is not of this kind.
pub fn decode_record(kind: ReplyKind, record: &[u8]) -> Result<OwnedReply, DecodeError> {
    let reader = &mut Reader::new(record);
    Ok(match kind {
        ReplyKind::Done => OwnedReply::Done,
        ReplyKind::Created => OwnedReply::Outcome(created(reader, false)?),
        ReplyKind::CreatedWithStat => OwnedReply::Outcome(created(reader, true)?),
        ReplyKind::DataSet => OwnedReply::Outcome(Outcome::DataSet(reader.stat()?)),
        ReplyKind::AclSet => OwnedReply::Outcome(Outcome::AclSet(reader.stat()?)),
        ReplyKind::Multi => OwnedReply::Outcome(Outcome::Multi(multi(reader)?)),
        ReplyKind::Stat => OwnedReply::Stat(reader.stat()?),
        ReplyKind::Data => {
            let (data, stat) = data(reader)?;
            OwnedReply::Data(data, stat)
        }
        ReplyKind::Acl => OwnedReply::Acl(reader.owned_acl()?, reader.stat()?),
        ReplyKind::Children => OwnedReply::Children(names(reader)?, None),
        ReplyKind::ChildrenWithStat => OwnedReply::Children(names(reader)?, Some(reader.stat()?)),
        ReplyKind::Paths => OwnedReply::Paths(names(reader)?),
        ReplyKind::Count => OwnedReply::Count(reader.int()?),
        ReplyKind::Path => OwnedReply::Path(reader.string_or_refuse()?.to_owned()),
        ReplyKind::WatchAdded => watch_added(reader)?,
        ReplyKind::Identities => OwnedReply::Identities(identities(reader)?),
        ReplyKind::Reads => OwnedReply::Reads(reads(reader)?),
        ReplyKind::Token => OwnedReply::Token(reader.buffer()?.map(<[u8]>::to_vec)),
    })
}

/// The record of an event; `zxid` is its header's.
///
/// # Errors
/// If the record is no watch event.
pub fn decode_event(zxid: Zxid, record: &[u8]) -> Result<WatchEvent, DecodeError> {
    let mut reader = Reader::new(record);
    let event = event_type(reader.int()?)?;
    reader.int()?;
    let path = reader.string_or_refuse()?.into();
    Ok(WatchEvent { zxid: (zxid.to_wire() != -1).then_some(zxid), event, path })
}

/// The refusal with this code.
///
/// # Errors
/// If ZooKeeper has no such code.
pub fn error_code(code: i32) -> Result<ErrorCode, DecodeError> {
    ErrorCode::from_code(code)
        .ok_or(DecodeError::Unknown { what: "error code", value: code.into() })
}

/// The event with this number.
///
/// # Errors
/// If a server sends no such event.
pub fn event_type(code: i32) -> Result<EventType, DecodeError> {
    Ok(match code {
        1 => EventType::Created,
        2 => EventType::Deleted,
        3 => EventType::DataChanged,
        4 => EventType::ChildrenChanged,
        code => return Err(DecodeError::Unknown { what: "event", value: code.into() }),
    })
}

fn created(reader: &mut Reader<'_>, with_stat: bool) -> Result<Outcome, DecodeError> {
    let path = reader.string_or_refuse()?.to_owned();
    let stat = if with_stat { Some(reader.stat()?) } else { None };
    Ok(Outcome::Created { path, stat })
}

fn data(reader: &mut Reader<'_>) -> Result<(Option<Vec<u8>>, Stat), DecodeError> {
    Ok((reader.buffer()?.map(<[u8]>::to_vec), reader.stat()?))
}

fn names(reader: &mut Reader<'_>) -> Result<Vec<String>, DecodeError> {
    Ok(reader.strings()?.into_iter().map(str::to_owned).collect())
}

fn watch_added(reader: &mut Reader<'_>) -> Result<OwnedReply, DecodeError> {
    match reader.int()? {
        0 => Ok(OwnedReply::WatchAdded),
        code => error_code(code).map(OwnedReply::Error),
    }
}

fn identities(reader: &mut Reader<'_>) -> Result<Vec<AuthId>, DecodeError> {
    reader
        .vector(|reader| {
            Ok(AuthId {
                scheme: reader.string()?.unwrap_or_default().to_owned(),
                id: reader.string()?.unwrap_or_default().to_owned(),
            })
        })?
        .ok_or(DecodeError::Null)
}

fn multi(reader: &mut Reader<'_>) -> Result<Vec<Outcome>, DecodeError> {
    let mut results = Vec::new();
    while let Some(code) = next(reader)? {
        results.push(match code {
            opcode::CREATE => created(reader, false)?,
            opcode::CREATE2 => created(reader, true)?,
            opcode::DELETE => Outcome::Deleted,
            opcode::SET_DATA => Outcome::DataSet(reader.stat()?),
            opcode::CHECK => Outcome::Checked,
            opcode::ERROR => match reader.int()? {
                0 => Outcome::RolledBack,
                code => Outcome::Failed(error_code(code)?),
            },
            code => return Err(unknown_result(code)),
        });
    }
    Ok(results)
}

fn reads(reader: &mut Reader<'_>) -> Result<Vec<OwnedReadReply>, DecodeError> {
    let mut results = Vec::new();
    while let Some(code) = next(reader)? {
        results.push(match code {
            opcode::GET_DATA => {
                let (data, stat) = data(reader)?;
                OwnedReadReply::Data(data, stat)
            }
            opcode::GET_CHILDREN => OwnedReadReply::Children(names(reader)?),
            opcode::ERROR => OwnedReadReply::Error(error_code(reader.int()?)?),
            code => return Err(unknown_result(code)),
        });
    }
    Ok(results)
}

fn unknown_result(code: i32) -> DecodeError {
    DecodeError::Unknown { what: "result in a multi", value: code.into() }
}
