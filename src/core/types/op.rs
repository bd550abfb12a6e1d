//! What a client can ask for, free of any wire protocol. Values borrow from the frame they were
//! decoded from.

use super::{AclEntry, ErrorCode, RemoveKind, SessionId, WatchMode};
use alloc::vec::Vec;

/// One request, sorted by how it travels through the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Takes a zxid.
    Write(Op<'a>),
    /// Answered from the local tree.
    Read(Read<'a>),
    /// Looks at or changes the connection's watches.
    Watch(WatchOp<'a>),
    /// Answered when everything proposed before it is committed here. The path is echoed.
    Sync(&'a str),
    /// Keeps the session alive.
    Ping,
    /// Proves an identity.
    Auth {
        /// `digest`, `ip`, …
        scheme: &'a str,
        /// What the scheme needs, `user:password` for `digest`.
        auth: &'a [u8],
    },
    /// Lists the connection's identities.
    WhoAmI,
    /// A SASL token.
    Sasl(&'a [u8]),
    /// Dynamic reconfiguration; the arguments are kept undecoded until it is supported.
    Reconfig,
    /// Ends the session.
    CloseSession,
    /// A body that could not be decoded, of an operation that is otherwise answered locally.
    Malformed,
    /// An operation this server does not have: -6, then close.
    Unknown,
}

/// An operation that changes the tree. It is replicated as it stands and decided at apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// create, create2, createContainer, createTTL.
    Create(Create<'a>),
    /// Removes a znode without children.
    Delete {
        /// Absolute path, unchecked.
        path: &'a str,
        /// Expected data version, -1 for any.
        version: i32,
    },
    /// Replaces a znode's data.
    SetData {
        /// Absolute path, unchecked.
        path: &'a str,
        /// `None` is null, which is kept apart from empty.
        data: Option<&'a [u8]>,
        /// Expected data version, -1 for any.
        version: i32,
    },
    /// Replaces a znode's ACL.
    SetAcl {
        /// Absolute path, unchecked.
        path: &'a str,
        /// Entries as sent; a null list is empty.
        acl: Vec<AclEntry<'a>>,
        /// Expected ACL version, -1 for any.
        version: i32,
    },
    /// Demands a data version; inside multi only.
    Check {
        /// Absolute path, unchecked.
        path: &'a str,
        /// Expected data version, -1 for any.
        version: i32,
    },
    /// All or nothing. Holds only creates, deletes, set-datas and checks, never another multi.
    Multi(Vec<Self>),
    /// The reaper's delete of an empty container or outlived TTL znode; does nothing if the
    /// znode has become ineligible meanwhile. Never accepted from a client.
    Reap {
        /// Absolute path.
        path: &'a str,
    },
    /// The leader's word on who the members are, for `/zookeeper/config`; does nothing if that is
    /// what stands there. Never accepted from a client.
    Configure {
        /// A line for each, and the version, as ZooKeeper writes them.
        text: &'a str,
    },
    /// Makes a session, whose id is the zxid of this operation.
    CreateSession {
        /// Negotiated timeout in milliseconds.
        timeout_ms: i32,
        /// Proof of ownership at reconnect.
        password: [u8; 16],
    },
    /// Ends a session and removes its ephemerals.
    CloseSession {
        /// The session that ends.
        session: SessionId,
    },
    /// A write whose body could not be decoded, or which is refused by rule: it fails with this
    /// code, yet takes its zxid as ZooKeeper's does.
    Fail(ErrorCode),
}

impl<'a> Op<'a> {
    /// The path it looks at, if that is one.
    pub fn path(&self) -> Option<&'a str> {
        match self {
            Self::Create(create) => Some(create.path),
            Self::Delete { path, .. }
            | Self::SetData { path, .. }
            | Self::SetAcl { path, .. }
            | Self::Check { path, .. }
            | Self::Reap { path } => Some(path),
            Self::Multi(_)
            | Self::Configure { .. }
            | Self::CreateSession { .. }
            | Self::CloseSession { .. }
            | Self::Fail(_) => None,
        }
    }
}

/// The four creates of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create<'a> {
    /// Absolute path, unchecked.
    pub path: &'a str,
    /// `None` is null, which is kept apart from empty.
    pub data: Option<&'a [u8]>,
    /// Entries as sent; a null list is empty.
    pub acl: Vec<AclEntry<'a>>,
    /// As sent; see [`super::CreateMode::from_flags`].
    pub flags: i32,
    /// Time to live in milliseconds as sent; 0 where the operation has none.
    pub ttl_ms: i64,
    /// Which of the four operations it is.
    pub variant: CreateVariant,
}

/// Which create operation a client used; it decides the reply's form and the znode's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateVariant {
    /// Op 1: answers the path.
    Plain,
    /// Op 15: answers path and stat.
    WithStat,
    /// Op 19: a container whatever the flags say; answers path and stat.
    Container,
    /// Op 21: the only one that may make TTL znodes; answers path and stat.
    Ttl,
}

/// An operation answered from the tree of the server the client is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// Stat of a znode; the watch is set even if it does not exist.
    Exists {
        /// Path as sent.
        path: &'a str,
        /// Whether to set a watch.
        watch: bool,
    },
    /// Data and stat.
    Data {
        /// Path as sent.
        path: &'a str,
        /// Whether to set a watch.
        watch: bool,
    },
    /// ACL and stat; digests are masked without ADMIN.
    Acl {
        /// Path as sent.
        path: &'a str,
    },
    /// Names of the children.
    Children {
        /// Path as sent.
        path: &'a str,
        /// Whether to set a watch.
        watch: bool,
        /// Whether the stat is answered too (getChildren2).
        with_stat: bool,
    },
    /// The session's own ephemerals below a prefix, compared as plain strings.
    Ephemerals {
        /// Prefix as sent; "/" and "" mean all.
        prefix: &'a str,
    },
    /// Number of all descendants.
    DescendantCount {
        /// Path as sent.
        path: &'a str,
    },
    /// Several reads answered from one state. Holds only `Data` and `Children` without stat;
    /// their watch flags are off.
    Multi(Vec<Self>),
}

/// An operation on the watches of the connection it came on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchOp<'a> {
    /// addWatch.
    Add {
        /// The znode need not exist.
        path: &'a str,
        /// Persistent or persistent recursive.
        mode: WatchMode,
    },
    /// removeWatches.
    Remove {
        /// Path as sent.
        path: &'a str,
        /// Which kinds.
        kind: RemoveKind,
    },
    /// checkWatches.
    Check {
        /// Path as sent.
        path: &'a str,
        /// Which kinds.
        kind: RemoveKind,
    },
    /// setWatches and setWatches2.
    Set {
        /// Last zxid the client has seen.
        relative_zxid: i64,
        /// Paths of data watches.
        data: Vec<&'a str>,
        /// Paths of exist watches.
        exist: Vec<&'a str>,
        /// Paths of child watches.
        child: Vec<&'a str>,
        /// Paths of persistent watches.
        persistent: Vec<&'a str>,
        /// Paths of persistent recursive watches.
        persistent_recursive: Vec<&'a str>,
        /// A null stood behind the paths that are here: they take effect, and the answer is -5.
        broken_off: bool,
    },
}

impl WatchOp<'_> {
    /// Whether this is a `Set` without a path.
    pub fn is_empty_set(&self) -> bool {
        match self {
            Self::Set { data, exist, child, persistent, persistent_recursive, .. } => {
                [data, exist, child, persistent, persistent_recursive]
                    .iter()
                    .all(|paths| paths.is_empty())
            }
            Self::Add { .. } | Self::Remove { .. } | Self::Check { .. } => false,
        }
    }
}

impl<'a> Read<'a> {
    /// The one znode it looks at, if it looks at one.
    pub fn path(&self) -> Option<&'a str> {
        match self {
            Self::Exists { path, .. }
            | Self::Data { path, .. }
            | Self::Acl { path }
            | Self::Children { path, .. }
            | Self::DescendantCount { path } => Some(path),
            Self::Ephemerals { .. } | Self::Multi(_) => None,
        }
    }

    /// Whether this read sets a watch.
    pub fn sets_watch(&self) -> bool {
        match self {
            Self::Exists { watch, .. }
            | Self::Data { watch, .. }
            | Self::Children { watch, .. } => *watch,
            Self::Acl { .. }
            | Self::Ephemerals { .. }
            | Self::DescendantCount { .. }
            | Self::Multi(_) => false,
        }
    }
}
