//! Which operation a request is, by the names monitors know.

use super::{Op, Read, Request, WatchOp, Xid};

/// An operation of the protocol, without its arguments. The server's own are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// None, or one that has no name: it was refused before it was understood.
    #[default]
    None,
    /// createSession: the connect request that opens a session.
    CreateSession,
    /// closeSession.
    CloseSession,
    /// ping.
    Ping,
    /// All creates.
    Create,
    /// delete.
    Delete,
    /// setData.
    SetData,
    /// setACL.
    SetAcl,
    /// check.
    Check,
    /// multi.
    Multi,
    /// reconfig.
    Reconfig,
    /// sync.
    Sync,
    /// exists.
    Exists,
    /// getData.
    GetData,
    /// getACL.
    GetAcl,
    /// getChildren and getChildren2.
    GetChildren,
    /// getAllChildrenNumber.
    GetDescendantCount,
    /// getEphemerals.
    GetEphemerals,
    /// multiRead.
    MultiRead,
    /// addWatch.
    AddWatch,
    /// removeWatches.
    RemoveWatches,
    /// checkWatches.
    CheckWatches,
    /// setWatches without persistent ones.
    SetWatches,
    /// setWatches2.
    SetWatches2,
    /// whoAmI.
    WhoAmI,
}

impl Operation {
    /// ZooKeeper's code, as `cons` tells the last operation of a connection.
    pub fn code(self) -> &'static str {
        match self {
            Self::None => "NA",
            Self::CreateSession => "SESS",
            Self::CloseSession => "CLOS",
            Self::Ping => "PING",
            Self::Create => "CREA",
            Self::Delete => "DELE",
            Self::SetData => "SETD",
            Self::SetAcl => "SETA",
            Self::Check => "CHEC",
            Self::Multi => "MULT",
            Self::Reconfig => "RECO",
            Self::Sync => "SYNC",
            Self::Exists => "EXIS",
            Self::GetData => "GETD",
            Self::GetAcl => "GETA",
            Self::GetChildren => "GETC",
            Self::GetDescendantCount => "GETACN",
            Self::GetEphemerals => "GETE",
            Self::MultiRead => "MLTR",
            Self::AddWatch => "ADDW",
            Self::RemoveWatches => "REMW",
            Self::CheckWatches => "CHKW",
            Self::SetWatches => "SETW",
            Self::SetWatches2 => "STW2",
            Self::WhoAmI => "HOMI",
        }
    }

    fn of_write(op: &Op<'_>) -> Self {
        match op {
            Op::Create(_) => Self::Create,
            Op::Delete { .. } | Op::Reap { .. } => Self::Delete,
            Op::SetData { .. } | Op::Configure { .. } => Self::SetData,
            Op::SetAcl { .. } => Self::SetAcl,
            Op::Check { .. } => Self::Check,
            Op::Multi(_) => Self::Multi,
            Op::CreateSession { .. } => Self::CreateSession,
            Op::CloseSession { .. } => Self::CloseSession,
            Op::Fail(_) => Self::None,
        }
    }

    fn of_read(read: &Read<'_>) -> Self {
        match read {
            Read::Exists { .. } => Self::Exists,
            Read::Data { .. } => Self::GetData,
            Read::Acl { .. } => Self::GetAcl,
            Read::Children { .. } => Self::GetChildren,
            Read::Ephemerals { .. } => Self::GetEphemerals,
            Read::DescendantCount { .. } => Self::GetDescendantCount,
            Read::Multi(_) => Self::MultiRead,
        }
    }

    fn of_watch(op: &WatchOp<'_>) -> Self {
        match op {
            WatchOp::Add { .. } => Self::AddWatch,
            WatchOp::Remove { .. } => Self::RemoveWatches,
            WatchOp::Check { .. } => Self::CheckWatches,
            WatchOp::Set { persistent, persistent_recursive, .. } => {
                // The two operations differ in nothing else.
                let older = persistent.is_empty() && persistent_recursive.is_empty();
                if older { Self::SetWatches } else { Self::SetWatches2 }
            }
        }
    }
}

impl From<&Request<'_>> for Operation {
    fn from(request: &Request<'_>) -> Self {
        match request {
            Request::Write(op) => Self::of_write(op),
            Request::Read(read) => Self::of_read(read),
            Request::Watch(op) => Self::of_watch(op),
            Request::Sync(_) => Self::Sync,
            Request::Ping => Self::Ping,
            Request::WhoAmI => Self::WhoAmI,
            Request::Reconfig => Self::Reconfig,
            Request::CloseSession => Self::CloseSession,
            Request::Auth { .. } | Request::Sasl(_) | Request::Malformed | Request::Unknown => {
                Self::None
            }
        }
    }
}

/// A request as far as it is counted: what remains of it once it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number; below zero for requests that need none.
    pub xid: Xid,
    /// What it asks for.
    pub operation: Operation,
    /// Whether it takes a zxid.
    pub is_update: bool,
    /// Whether the time of its answer is counted: not of a proof of identity, which is answered
    /// before it travels, if it does at all.
    pub is_timed: bool,
}

impl Asked {
    /// What is counted of a request.
    pub fn of(xid: Xid, request: &Request<'_>) -> Self {
        let is_update =
            matches!(request, Request::Write(_) | Request::Reconfig | Request::CloseSession);
        let is_timed = !matches!(request, Request::Auth { .. });
        Self { xid, operation: request.into(), is_update, is_timed }
    }

    /// What is counted of a connect request that opens a session.
    pub const SESSION: Self =
        Self { xid: Xid(0), operation: Operation::CreateSession, is_update: true, is_timed: true };

    /// A connection wants to be vouched for: no request of its client, and nothing is counted.
    pub const NOTHING: Self =
        Self { xid: Xid(0), operation: Operation::None, is_update: false, is_timed: false };
}
