//! What clients asked and what came back: the notes that the verdict is drawn from.

use ostler_core::types::{
    AclEntry, Create, CreateVariant, Op, Perms, Read, Request, SessionId, WatchEvent, Xid, Zxid,
};
use ostler_core::wire::OwnedReply;
use std::collections::VecDeque;

/// A request, owning its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Create { path: String, data: String, flags: i32 },
    Set { path: String, data: String, version: i32 },
    Delete { path: String, version: i32 },
    Check { path: String, version: i32 },
    Multi(Vec<Self>),
    Get { path: String, watch: bool },
    Exists { path: String, watch: bool },
    Children { path: String, watch: bool },
    Sync,
    Ping,
    Close,
}

impl Ask {
    /// As a request of the protocol.
    pub(crate) fn request(&self) -> Request<'_> {
        match self {
            Self::Create { .. } | Self::Set { .. } | Self::Delete { .. } | Self::Check { .. } => {
                Request::Write(self.op())
            }
            Self::Multi(parts) => Request::Write(Op::Multi(parts.iter().map(Self::op).collect())),
            Self::Get { path, watch } => Request::Read(Read::Data { path, watch: *watch }),
            Self::Exists { path, watch } => Request::Read(Read::Exists { path, watch: *watch }),
            Self::Children { path, watch } => {
                Request::Read(Read::Children { path, watch: *watch, with_stat: true })
            }
            Self::Sync => Request::Sync("/"),
            Self::Ping => Request::Ping,
            Self::Close => Request::CloseSession,
        }
    }

    fn op(&self) -> Op<'_> {
        match self {
            Self::Create { path, data, flags } => Op::Create(Create {
                path,
                data: Some(data.as_bytes()),
                acl: vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }],
                flags: *flags,
                ttl_ms: 0,
                variant: CreateVariant::WithStat,
            }),
            Self::Set { path, data, version } => {
                Op::SetData { path, data: Some(data.as_bytes()), version: *version }
            }
            Self::Delete { path, version } => Op::Delete { path, version: *version },
            Self::Check { path, version } => Op::Check { path, version: *version },
            Self::Multi(_)
            | Self::Get { .. }
            | Self::Exists { .. }
            | Self::Children { .. }
            | Self::Sync
            | Self::Ping
            | Self::Close => unreachable!("no part of a multi"),
        }
    }

    /// Whether it takes a zxid.
    pub(crate) fn is_write(&self) -> bool {
        match self {
            Self::Create { .. }
            | Self::Set { .. }
            | Self::Delete { .. }
            | Self::Check { .. }
            | Self::Multi(_)
            | Self::Close => true,
            Self::Get { .. }
            | Self::Exists { .. }
            | Self::Children { .. }
            | Self::Sync
            | Self::Ping => false,
        }
    }
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) session: SessionId,
    pub(crate) xid: Xid,
    pub(crate) ask: Ask,
    /// The greatest zxid that anybody held an acknowledgement of when it was sent.
    pub(crate) floor: Zxid,
    /// The zxid and the answer. Without, nobody knows.
    pub(crate) answer: Option<(Zxid, OwnedReply)>,
}

/// Something a client got, on one connection.
#[derive(Clone, Debug)]
pub(crate) enum Got {
    /// The answer to the call with this number.
    Answer(usize),
    Event(WatchEvent),
}

/// All of it.
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) calls: Vec<Call>,
    /// What each connection of a client got, in order.
    pub(crate) streams: Vec<Vec<Got>>,
    /// Answered calls that nobody has looked at yet.
    pub(crate) answered: VecDeque<usize>,
    /// Sessions whose clients were told that they are gone, though nobody had asked to close them.
    pub(crate) lost: Vec<SessionId>,
}

impl Calls {
    /// The next answered call that nobody has looked at.
    pub(crate) fn fresh(&mut self) -> Option<&Call> {
        let number = self.answered.pop_front()?;
        Some(&self.calls[number])
    }
}
