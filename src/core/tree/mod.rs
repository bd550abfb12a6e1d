//! The replicated state machine: znodes, sessions, ephemerals, quotas. Every server that applies
//! the same transactions in the same order holds the same tree and gives the same outcomes.
//!
//! It waits for nothing, reads no clock and writes no log: `TreeStore` hands it committed
//! transactions, connections read it under a lock. Watches are not its business, it only tells
//! what changed.

mod acl;
mod cut;
mod digests;
mod loader;
mod quota;
mod read;
mod recall;
mod slab;
mod slice;
mod store;
mod write;
mod znode;

#[cfg(test)]
mod facts_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod once_test;
#[cfg(test)]
mod plain_test;
#[cfg(test)]
mod snapshot_test;

pub use loader::{Loader, SnapshotError};
pub use read::{Children, PREFETCH_MAX};

use crate::types::{Acl, AuthId, EventType, Op, Perms, SessionId, Xid, Zxid};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use digests::DigestHistory;
use recall::Recalls;
use store::Store;
use znode::{Fields, ROOT, Znode};

/// Znodes that can never be deleted.
const PROTECTED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", CONFIG_PATH];

/// Where the members of the ensemble are written down; empty for a server alone.
const CONFIG_PATH: &str = "/zookeeper/config";

/// Settings that decide outcomes; they must be the same on all servers of an ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether TTL znodes may be created.
    pub extended_types: bool,
    /// Whether hard quotas refuse writes.
    pub enforce_quota: bool,
    /// Whether ACLs are stored but not looked at.
    pub skip_acl: bool,
}

/// One committed transaction.
#[derive(Clone, Debug)]
pub struct Txn<'a> {
    /// Its place in the order.
    pub zxid: Zxid,
    /// Its time, in milliseconds since the Unix epoch, as its proposer read the clock.
    pub time_ms: i64,
    /// On whose behalf; [`SessionId::NONE`] for the server's own.
    pub session: SessionId,
    /// The identities of the connection it came on.
    pub ids: &'a [AuthId],
    /// What to do.
    pub op: Op<'a>,
}

/// Something that watches may be waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The transaction that did it.
    pub zxid: Zxid,
    /// What happened.
    pub event: EventType,
    /// To which znode.
    pub path: Arc<str>,
    /// Who may know.
    pub readers: Readers,
}

/// Who may be told about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Every connection.
    Anyone,
    /// Those whom this ACL gives READ.
    Listed(Arc<[Acl]>),
}

impl Readers {
    /// Whether a connection with these identities may be told.
    pub fn admits(&self, ids: &[AuthId]) -> bool {
        match self {
            Self::Anyone => true,
            Self::Listed(acl) => acl::permits(acl, Perms::READ, ids),
        }
    }
}

/// A session that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// It exists from now on.
    Opened {
        /// Its id.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// It is no more.
    Closed {
        /// Its id.
        session: SessionId,
    },
}

/// Which of a quota's two quantities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaKind {
    /// Znodes.
    Count,
    /// Bytes of data.
    Bytes,
}

/// A write that was done although it went, or stayed, beyond a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaExceeded {
    /// Whose quota it is.
    pub path: String,
    /// Which quantity grew.
    pub kind: QuotaKind,
    /// How much was meant to be the most.
    pub limit: i64,
    /// How much there is now.
    pub used: i64,
}

/// What transactions caused, in order. The caller empties it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// For the watches, in the order in which they are told.
    pub changes: Vec<Change>,
    /// For the sweeper of sessions.
    pub sessions: Vec<SessionChange>,
    /// For the operator.
    pub quotas: Vec<QuotaExceeded>,
    /// Nobody watches anything, so changes need not be told. Set by the caller, and never by the tree.
    pub unwatched: bool,
}

impl Effects {
    /// Forgets everything, and keeps the memory.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.sessions.clear();
        self.quotas.clear();
    }
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Negotiated timeout in milliseconds.
    pub timeout_ms: i32,
    /// What a client must show to take the session over.
    pub password: [u8; 16],
}

/// The tree and its sessions at one position of the order.
pub struct Tree {
    rules: Rules,
    store: Store,
    sessions: BTreeMap<SessionId, SessionRecord>,
    recalls: Recalls,
    last_applied: Zxid,
    /// The latest time of any transaction so far, in milliseconds since the Unix epoch.
    time_ms: i64,
    history: DigestHistory,
}

impl core::fmt::Debug for Tree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tree at {} with {} znodes", self.last_applied(), self.znode_count())
    }
}

impl Tree {
    /// The tree before every transaction. The seed only spreads the index; trees with different
    /// seeds behave the same.
    pub fn new(rules: Rules, hash_seed: u64) -> Self {
        let mut tree = Self::bare(rules, hash_seed);
        let anyone =
            |perms| vec![Acl { perms, scheme: "world".to_owned(), id: "anyone".to_owned() }];
        let open = tree.store.acls.intern(anyone(Perms::ALL));
        let readable = tree.store.acls.intern(anyone(Perms::READ));
        tree.store.plant(open.clone());
        let born = |ordinal, aversion| Fields { ordinal, aversion, ..Fields::default() };
        // Ordinals below zero: these children are in no `creates` of their parents.
        let system = Znode::new("zookeeper", Some(b""), open.clone(), born(-1, 0));
        let system = tree.store.append(ROOT, "/zookeeper", system);
        let quota = Znode::new("quota", Some(b""), open, born(-2, 0));
        tree.store.append(system, "/zookeeper/quota", quota);
        let config = Znode::new("config", Some(b""), readable, born(-1, -1));
        tree.store.append(system, CONFIG_PATH, config);
        tree
    }

    fn bare(rules: Rules, hash_seed: u64) -> Self {
        Self {
            rules,
            store: Store::empty(hash_seed),
            sessions: BTreeMap::new(),
            recalls: Recalls::default(),
            last_applied: Zxid::ZERO,
            time_ms: 0,
            history: DigestHistory::default(),
        }
    }

    /// The position this tree is at.
    pub fn last_applied(&self) -> Zxid {
        self.last_applied
    }

    /// The latest time of any transaction so far, in milliseconds since the Unix epoch; 0 if there
    /// was none, or if the tree is from a snapshot that did not say. None to come may be earlier.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    fn move_on(&mut self, txn: &Txn<'_>) {
        self.last_applied = self.last_applied.max(txn.zxid);
        self.time_ms = self.time_ms.max(txn.time_ms);
    }

    /// A session, if it is alive.
    pub fn session(&self, id: SessionId) -> Option<SessionRecord> {
        self.sessions.get(&id).copied()
    }

    /// All sessions by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, SessionRecord)> + '_ {
        self.sessions.iter().map(|(id, record)| (*id, *record))
    }

    /// The number of the session's last write that takes effect once, 0 if there was none.
    pub fn last_once(&self, session: SessionId) -> Xid {
        self.recalls.last(session)
    }

    /// A sum over all znodes, and over what is kept of writes that take effect once: equal trees
    /// have equal digests on every server.
    pub fn digest(&self) -> u64 {
        self.store.digest.wrapping_add(self.recalls.digest)
    }

    /// Digests at past positions, oldest first: what to compare two servers by.
    pub fn past_digests(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.history.iter()
    }

    /// What `/zookeeper/config` says of the members; empty before anybody wrote it.
    pub fn configuration(&self) -> &[u8] {
        let slot = self.store.find(CONFIG_PATH);
        slot.and_then(|slot| self.store.slab.at(slot).data()).unwrap_or_default()
    }

    /// Number of znodes, the root and the built-in ones included.
    pub fn znode_count(&self) -> usize {
        self.store.znodes
    }

    /// Number of ephemeral znodes.
    pub fn ephemeral_count(&self) -> usize {
        self.store.ephemeral_count
    }

    /// Bytes of all paths and data.
    pub fn data_size(&self) -> u64 {
        self.store.bytes as u64
    }
}
