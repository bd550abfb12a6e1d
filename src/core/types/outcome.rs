//! Answers, free of any wire protocol.

use super::{Acl, AuthId, ErrorCode, SessionId, Stat};
use alloc::string::String;
use alloc::vec::Vec;

/// What applying one write came to. The same on every replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A znode was made.
    Created {
        /// Its path, with the sequence number where one was asked for.
        path: String,
        /// Its stat, for the operations that answer it.
        stat: Option<Stat>,
    },
    /// A znode was removed.
    Deleted,
    /// Data was replaced.
    DataSet(Stat),
    /// The ACL was replaced.
    AclSet(Stat),
    /// A version was as demanded.
    Checked,
    /// Results of a multi, one each. If one is `Failed`, all are, and nothing was changed.
    Multi(Vec<Self>),
    /// A session was made.
    SessionCreated {
        /// Its id.
        session: SessionId,
        /// Its negotiated timeout in milliseconds.
        timeout_ms: i32,
        /// Its password.
        password: [u8; 16],
    },
    /// A session ended, its ephemerals with it.
    SessionClosed,
    /// Nothing was changed.
    Failed(ErrorCode),
    /// Would have succeeded; undone because another operation of its multi failed.
    RolledBack,
}

/// Names of children, wherever they are stored.
pub trait NameList {
    /// How many there are.
    fn count(&self) -> usize;
    /// Hands each name to `each`, in a stable order.
    fn each(&self, each: &mut dyn FnMut(&str));
}

impl NameList for Vec<String> {
    fn count(&self) -> usize {
        self.len()
    }

    fn each(&self, each: &mut dyn FnMut(&str)) {
        for name in self {
            each(name);
        }
    }
}

/// One answer, borrowed from wherever its parts live, ready for a codec.
pub enum Reply<'a> {
    /// Refused.
    Error(ErrorCode),
    /// Done, nothing to tell.
    Done,
    /// What a write came to.
    Outcome(&'a Outcome),
    /// Exists.
    Stat(Stat),
    /// getData.
    Data(Option<&'a [u8]>, Stat),
    /// getACL, already masked.
    Acl(&'a [Acl], Stat),
    /// getChildren, and getChildren2 with the stat.
    Children(&'a dyn NameList, Option<Stat>),
    /// getEphemerals.
    Paths(&'a [String]),
    /// getAllChildrenNumber.
    Count(i32),
    /// sync: the path, echoed.
    Path(&'a str),
    /// addWatch.
    WatchAdded,
    /// whoAmI: schemes and users; a codec shows of a digest only the user.
    Identities(&'a [AuthId]),
    /// multiRead: one each.
    Reads(Vec<ReadReply<'a>>),
    /// sasl: the server's token.
    Token(Option<&'a [u8]>),
}

/// What one read of a multiRead came to.
pub enum ReadReply<'a> {
    /// Refused.
    Error(ErrorCode),
    /// getData.
    Data(Option<&'a [u8]>, Stat),
    /// getChildren.
    Children(&'a dyn NameList),
}

impl Reply<'_> {
    /// The refusal that stands in the answer's header, with nothing behind it.
    pub fn refusal(&self) -> Option<ErrorCode> {
        match self {
            Self::Error(error) | Self::Outcome(Outcome::Failed(error)) => Some(*error),
            Self::Done
            | Self::Outcome(_)
            | Self::Stat(_)
            | Self::Data(..)
            | Self::Acl(..)
            | Self::Children(..)
            | Self::Paths(_)
            | Self::Count(_)
            | Self::Path(_)
            | Self::WatchAdded
            | Self::Identities(_)
            | Self::Reads(_)
            | Self::Token(_) => None,
        }
    }
}
