//! What applying a transaction tells the rooms behind the tree.

use super::acl::{is_super, list_allows};
use crate::types::{Acl, AuthId, EventType, Perms, SessionId, Zxid};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// One event of one znode, in the order ZooKeeper fires them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transaction that made it.
    pub zxid: Zxid,
    /// What happened.
    pub event: EventType,
    /// To which znode.
    pub path: Arc<str>,
    /// Who may be told.
    pub readers: Readers,
}

/// Who may read a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    Anyone,
    /// Whoever this ACL gives READ.
    Listed(Arc<[Acl]>),
}

impl Readers {
    /// Whether a connection with these identities may read.
    pub fn admits(&self, ids: &[AuthId]) -> bool {
        let Self::Listed(acl) = self else { return true };
        is_super(ids) || list_allows(acl, Perms::READ, ids)
    }
}

/// A session made or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// Made.
    Opened {
        /// Which one.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// Ended.
    Closed {
        /// Which one.
        session: SessionId,
    },
}

/// Everything one transaction, or a batch of them, tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Events of znodes.
    pub changes: Vec<Change>,
    /// Events of sessions.
    pub sessions: Vec<SessionChange>,
}
