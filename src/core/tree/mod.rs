//! The replicated state: znodes, sessions, ephemerals, quotas.
//!
//! `apply` is the only way to change it. It is total and deterministic: what it does depends on
//! the sequence of transactions alone. Reads look at it where they are. No I/O, no clock, and no
//! knowledge of connections or watches lives here.

mod acl;
mod apply;
mod effects;
mod journal;
mod quota;
mod read;
mod snapshot;
mod store;

pub use effects::{Change, Effects, Readers, SessionChange};
pub use read::Children;
pub use snapshot::{Loader, SnapshotError};

use crate::types::{Acl, AuthId, Op, Owner, Perms, SessionId, Zxid};
use acl::AclTable;
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use journal::Undo;
use quota::Quotas;
use snapshot::Running;
use store::{Facts, Id, NIL, Node, ROOT, Store};

/// What `apply` may depend on besides the transactions. The same on every server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether TTL znodes may be created.
    pub extended_types: bool,
    /// Whether a write over a hard quota fails.
    pub enforce_quota: bool,
    /// Whether permissions are ignored.
    pub skip_acl: bool,
}

/// One transaction.
#[derive(Clone, Debug)]
pub struct Txn<'a> {
    /// Its place in the order.
    pub zxid: Zxid,
    /// The leader's wall time, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// Who asks; `NONE` is the server itself.
    pub session: SessionId,
    /// What the connection has proven.
    pub ids: &'a [AuthId],
    /// What is asked for.
    pub op: Op<'a>,
}

/// A live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Timeout negotiated when it was made, in milliseconds.
    pub timeout_ms: i32,
    /// Proof of ownership.
    pub password: [u8; 16],
}

/// See the module.
pub struct Tree {
    rules: Rules,
    store: Store,
    acls: AclTable,
    sessions: BTreeMap<SessionId, SessionRecord>,
    ephemerals: BTreeMap<SessionId, BTreeSet<Id>>,
    /// Containers and TTL znodes.
    mortal: BTreeSet<Id>,
    quotas: Quotas,
    data_bytes: u64,
    digest: u64,
    last_applied: Zxid,
    undo: Option<Vec<Undo>>,
    snapshot: Option<Running>,
}

impl Tree {
    /// The tree every ensemble is born with. `hash_seed` keeps clients from choosing paths that
    /// collide; it has no influence on any answer.
    pub fn new(rules: Rules, hash_seed: u64) -> Self {
        let mut acls = AclTable::default();
        let open = acls.intern(&[anyone(Perms::ALL)]);
        let root = Node::new("", Some(b""), open, Facts::default(), NIL);
        let mut tree = Self::over(rules, Store::new(root, hash_seed), acls);
        tree.digest = tree.store.node(ROOT).digest("/");
        for (path, name, parent) in [
            ("/zookeeper", "zookeeper", "/"),
            ("/zookeeper/config", "config", "/zookeeper"),
            ("/zookeeper/quota", "quota", "/zookeeper"),
        ] {
            let parent = tree.store.find(parent).expect("made a moment ago");
            let mut facts = Facts::default();
            let acl = if name == "config" {
                facts.aversion = -1;
                tree.acls.intern(&[anyone(Perms::READ)])
            } else {
                tree.acls.intern(&[anyone(Perms::ALL)])
            };
            tree.insert(path, Node::new(name, Some(b""), acl, facts, parent));
        }
        tree
    }

    fn over(rules: Rules, store: Store, acls: AclTable) -> Self {
        Self {
            rules,
            store,
            acls,
            sessions: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            mortal: BTreeSet::new(),
            quotas: Quotas::default(),
            data_bytes: 0,
            digest: 0,
            last_applied: Zxid::ZERO,
            undo: None,
            snapshot: None,
        }
    }

    /// The last transaction that was applied.
    pub fn last_applied(&self) -> Zxid {
        self.last_applied
    }

    /// A live session.
    pub fn session(&self, id: SessionId) -> Option<SessionRecord> {
        self.sessions.get(&id).copied()
    }

    /// All live sessions, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, SessionRecord)> + '_ {
        self.sessions.iter().map(|(id, record)| (*id, *record))
    }

    /// Sessions that own ephemerals, with the paths of these in order.
    pub fn ephemerals_by_session(&self) -> Vec<(SessionId, Vec<String>)> {
        let paths = |id: &SessionId| self.ephemerals(*id, "");
        self.ephemerals.keys().map(|id| (*id, paths(id))).collect()
    }

    /// A sum over all znodes that is equal on servers in the same state.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of znodes, the root and those of the service itself included.
    pub fn znode_count(&self) -> usize {
        self.store.len()
    }

    /// Number of ephemerals.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// Bytes of names and data.
    pub fn data_size(&self) -> u64 {
        self.data_bytes
    }

    /// Paths of containers and TTL znodes that may go now, at most `max`.
    ///
    /// A container must have had a child, or be older than `never_used_ms` unless that is 0.
    pub fn reapable(&self, now_ms: i64, never_used_ms: i64, max: usize) -> Vec<String> {
        let may_go = |id: &&Id| {
            let node = self.store.node(**id);
            let age = now_ms.saturating_sub(node.facts.mtime);
            node.children == 0
                && match Owner::decode(node.facts.owner) {
                    Owner::Container => {
                        node.facts.cversion > 0 || (never_used_ms > 0 && age > never_used_ms)
                    }
                    Owner::Ttl(ttl) => age > ttl,
                    Owner::Persistent | Owner::Session(_) => false,
                }
        };
        self.mortal.iter().filter(may_go).take(max).map(|id| self.store.path(*id)).collect()
    }

    fn allows(&self, id: Id, wanted: Perms, ids: &[AuthId]) -> bool {
        self.rules.skip_acl || self.acls.allows(self.store.node(id).acl, wanted, ids)
    }

    /// Adds a znode and everything that follows from it. Its ACL has been counted already.
    fn insert(&mut self, path: &str, node: Node) -> Id {
        self.preserve(self.store.next_id());
        self.digest = self.digest.wrapping_add(node.digest(path));
        self.data_bytes += (node.name.len() + node.data_len()) as u64;
        let owner = Owner::decode(node.facts.owner);
        let id = self.store.insert(node, path);
        match owner {
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(id);
            }
            Owner::Container | Owner::Ttl(_) => {
                self.mortal.insert(id);
            }
            Owner::Persistent => {}
        }
        id
    }

    /// Takes out a znode without children; its ACL stays counted.
    fn remove(&mut self, path: &str, id: Id) -> Node {
        self.preserve(id);
        let node = self.store.remove(id);
        self.digest = self.digest.wrapping_sub(node.digest(path));
        self.data_bytes -= (node.name.len() + node.data_len()) as u64;
        match Owner::decode(node.facts.owner) {
            Owner::Session(session) => {
                if let Some(own) = self.ephemerals.get_mut(&session) {
                    own.remove(&id);
                    if own.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
            Owner::Container | Owner::Ttl(_) => {
                self.mortal.remove(&id);
            }
            Owner::Persistent => {}
        }
        node
    }

    /// Changes a znode in place, keeping digest, sizes and a running snapshot right.
    fn change(&mut self, path: &str, id: Id, change: impl FnOnce(&mut Node)) {
        self.preserve(id);
        let node = self.store.node_mut(id);
        self.digest = self.digest.wrapping_sub(node.digest(path));
        self.data_bytes -= node.data_len() as u64;
        change(node);
        self.data_bytes += node.data_len() as u64;
        self.digest = self.digest.wrapping_add(node.digest(path));
    }
}

/// World may do this.
fn anyone(perms: Perms) -> Acl {
    Acl { perms, scheme: "world".to_owned(), id: "anyone".to_owned() }
}

/// The parent's path and the name, as ZooKeeper cuts them: "/" for a path with one slash.
fn cut(path: &str) -> Option<(&str, &str)> {
    let slash = path.rfind('/')?;
    let parent = if slash == 0 { "/" } else { &path[..slash] };
    Some((parent, &path[slash + 1..]))
}
