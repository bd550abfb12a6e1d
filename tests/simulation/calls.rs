//! What clients asked and what came back: the notes that the verdict is drawn from.

use ostler_core::types::{
    AclEntry, Create, CreateVariant, Op, Perms, Read, Request, SessionId, WatchEvent, WatchMode,
    WatchOp, Xid, Zxid,
};
use ostler_core::wire::OwnedReply;
use std::collections::{BTreeSet, VecDeque};

/// Life of a znode that has one, in milliseconds.
const TTL_MS: i64 = 300;

/// Who may do what with a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Everybody everything.
    Open,
    /// Everybody may read it, its maker everything.
    Readable,
    /// Nobody but its maker may do anything.
    Closed,
}

impl Guard {
    fn acl(self) -> Vec<AclEntry<'static>> {
        let anyone = |perms| AclEntry { perms, scheme: "world", id: "anyone" };
        let maker = AclEntry { perms: Perms::ALL, scheme: "auth", id: "" };
        match self {
            Self::Open => vec![anyone(Perms::ALL)],
            Self::Readable => vec![maker, anyone(Perms::READ)],
            Self::Closed => vec![maker],
        }
    }
}

fn borrowed(paths: &BTreeSet<String>) -> Vec<&str> {
    paths.iter().map(String::as_str).collect()
}

/// What a client says on a new connection it had been watching.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched {
    /// What it had seen.
    pub(crate) relative: Zxid,
    pub(crate) data: BTreeSet<String>,
    pub(crate) exist: BTreeSet<String>,
    pub(crate) child: BTreeSet<String>,
    pub(crate) persistent: BTreeSet<String>,
    pub(crate) recursive: BTreeSet<String>,
}

impl Watched {
    fn op(&self) -> WatchOp<'_> {
        WatchOp::Set {
            relative_zxid: self.relative.to_wire(),
            data: borrowed(&self.data),
            exist: borrowed(&self.exist),
            child: borrowed(&self.child),
            persistent: borrowed(&self.persistent),
            persistent_recursive: borrowed(&self.recursive),
            broken_off: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let all = [&self.data, &self.exist, &self.child, &self.persistent, &self.recursive];
        all.iter().all(|paths| paths.is_empty())
    }
}

/// A request, owning its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Create {
        path: String,
        data: String,
        flags: i32,
        guard: Guard,
    },
    Set {
        path: String,
        data: String,
        version: i32,
    },
    SetAcl {
        path: String,
        guard: Guard,
        version: i32,
    },
    Delete {
        path: String,
        version: i32,
    },
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<Self>),
    Get {
        path: String,
        watch: bool,
    },
    Exists {
        path: String,
        watch: bool,
    },
    Children {
        path: String,
        watch: bool,
    },
    AddWatch {
        path: String,
        recursive: bool,
    },
    SetWatches(Watched),
    /// Proof of an identity, `user:password`.
    Auth(String),
    Sync,
    Ping,
    Close,
}

impl Ask {
    /// As a request of the protocol.
    pub(crate) fn request(&self) -> Request<'_> {
        match self {
            Self::Create { .. }
            | Self::Set { .. }
            | Self::SetAcl { .. }
            | Self::Delete { .. }
            | Self::Check { .. } => Request::Write(self.op()),
            Self::Multi(parts) => Request::Write(Op::Multi(parts.iter().map(Self::op).collect())),
            Self::Get { path, watch } => Request::Read(Read::Data { path, watch: *watch }),
            Self::Exists { path, watch } => Request::Read(Read::Exists { path, watch: *watch }),
            Self::Children { path, watch } => {
                Request::Read(Read::Children { path, watch: *watch, with_stat: true })
            }
            Self::AddWatch { path, recursive: true } => {
                Request::Watch(WatchOp::Add { path, mode: WatchMode::PersistentRecursive })
            }
            Self::AddWatch { path, recursive: false } => {
                Request::Watch(WatchOp::Add { path, mode: WatchMode::Persistent })
            }
            Self::SetWatches(watched) => Request::Watch(watched.op()),
            Self::Auth(proof) => Request::Auth { scheme: "digest", auth: proof.as_bytes() },
            Self::Sync => Request::Sync("/"),
            Self::Ping => Request::Ping,
            Self::Close => Request::CloseSession,
        }
    }

    fn op(&self) -> Op<'_> {
        match self {
            Self::Create { path, data, flags, guard } => Op::Create(Create {
                path,
                data: Some(data.as_bytes()),
                acl: guard.acl(),
                flags: *flags,
                ttl_ms: if *flags == 5 { TTL_MS } else { 0 },
                variant: match flags {
                    4 => CreateVariant::Container,
                    5 => CreateVariant::Ttl,
                    _ => CreateVariant::WithStat,
                },
            }),
            Self::Set { path, data, version } => {
                Op::SetData { path, data: Some(data.as_bytes()), version: *version }
            }
            Self::SetAcl { path, guard, version } => {
                Op::SetAcl { path, acl: guard.acl(), version: *version }
            }
            Self::Delete { path, version } => Op::Delete { path, version: *version },
            Self::Check { path, version } => Op::Check { path, version: *version },
            Self::Multi(_)
            | Self::Get { .. }
            | Self::Exists { .. }
            | Self::Children { .. }
            | Self::AddWatch { .. }
            | Self::SetWatches(_)
            | Self::Auth(_)
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
            | Self::SetAcl { .. }
            | Self::Delete { .. }
            | Self::Check { .. }
            | Self::Multi(_)
            | Self::Close => true,
            Self::Get { .. }
            | Self::Exists { .. }
            | Self::Children { .. }
            | Self::AddWatch { .. }
            | Self::SetWatches(_)
            | Self::Auth(_)
            | Self::Sync
            | Self::Ping => false,
        }
    }

    /// Whether it looks at the tree.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::Exists { .. } | Self::Children { .. })
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
    /// Its answer must have seen that.
    pub(crate) is_linearizable: bool,
    /// What the connection it came on had proven, `user:password`.
    pub(crate) proof: Option<String>,
    /// It was sent again, so its answer may be that of the first time.
    pub(crate) is_again: bool,
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
