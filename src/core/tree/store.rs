//! The znodes and everything derived from them: the index, the sums, the ephemerals of each
//! session, the znodes that may be reaped, the paths with a quota. It keeps them consistent
//! under every single change, notes how to undo changes while a multi runs, and lets a snapshot
//! keep what it still needs. It knows no rules: those are in `write`.

use super::acl::{AclList, AclTable};
use super::cut::Cut;
use super::quota::Judged;
use super::slab::{Index, Slab};
use super::znode::{Fields, NONE, ROOT, Slot, Znode, digest_path_hash};
use crate::types::{Owner, Quota, SessionId, parent_of};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Changes whose room in the journal is kept from one multi to the next.
const JOURNAL_KEPT: usize = 256;

/// How to take one change back.
enum Undo {
    Insert { slot: Slot },
    Remove { znode: Box<Znode> },
    Fields { slot: Slot, fields: Fields },
    Data { slot: Slot, data: Option<Vec<u8>> },
}

/// The hash of a path that has no znode.
pub(super) struct Vacancy(u64);

pub(super) struct Store {
    pub(super) slab: Slab,
    pub(super) index: Index,
    pub(super) acls: AclTable,
    pub(super) ephemerals: BTreeMap<SessionId, BTreeSet<Slot>>,
    pub(super) ephemeral_count: usize,
    /// Containers and TTL znodes.
    pub(super) perishable: BTreeSet<Slot>,
    /// Paths that have a `zookeeper_limits`.
    pub(super) quotas: BTreeSet<String>,
    pub(super) digest: u64,
    pub(super) znodes: usize,
    /// Bytes of all paths and data.
    pub(super) bytes: usize,
    /// The snapshot under way.
    pub(super) cut: Option<Cut>,
    /// What is noted while `is_noting`; its memory serves one multi after another.
    journal: Vec<Undo>,
    is_noting: bool,
    /// What growth is judged by while a multi runs, see [`Store::judge_by_now`].
    pub(super) judged_by: Option<Judged>,
}

impl Store {
    /// Nothing at all, not even a root.
    pub(super) fn empty(seed: u64) -> Self {
        Self {
            slab: Slab::default(),
            index: Index::new(seed),
            acls: AclTable::default(),
            ephemerals: BTreeMap::new(),
            ephemeral_count: 0,
            perishable: BTreeSet::new(),
            quotas: BTreeSet::new(),
            digest: 0,
            znodes: 0,
            bytes: 0,
            cut: None,
            journal: Vec::new(),
            is_noting: false,
            judged_by: None,
        }
    }

    /// The znode at a path. The empty string is the root too, as in ZooKeeper.
    pub(super) fn find(&self, path: &str) -> Option<Slot> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        self.index.find(&self.slab, path)
    }

    /// The place in the index of a path where there is no znode; nothing if there is one.
    pub(super) fn vacancy(&self, path: &str) -> Option<Vacancy> {
        if path == "/" {
            return None;
        }
        let hash = self.index.hash(path);
        self.index.find_hashed(&self.slab, hash, path).is_none().then_some(Vacancy(hash))
    }

    /// Adds the root to an empty store.
    pub(super) fn plant(&mut self, acl: Arc<AclList>) {
        let slot = self.slab.insert(Znode::new("", Some(b""), acl, Fields::default()));
        debug_assert_eq!(slot, ROOT);
        self.admit(slot, "/");
    }

    /// Adds a znode as the last child of `parent`, whose own fields are left alone.
    pub(super) fn append(&mut self, parent: Slot, path: &str, znode: Znode) -> Slot {
        self.append_to(Vacancy(self.index.hash(path)), parent, path, znode)
    }

    /// As [`Store::append`], for whoever has looked for the path already.
    pub(super) fn append_to(
        &mut self,
        vacancy: Vacancy,
        parent: Slot,
        path: &str,
        mut znode: Znode,
    ) -> Slot {
        znode.parent = parent;
        znode.prev = self.slab.at(parent).last_child;
        znode.next = NONE;
        self.insert(path, vacancy, znode)
    }

    fn insert(&mut self, path: &str, Vacancy(hash): Vacancy, znode: Znode) -> Slot {
        self.keep_for_cut(self.slab.vacancy());
        let slot = self.slab.insert(znode);
        self.slab.link(slot);
        self.admit_hashed(slot, path, hash);
        self.note(|| Undo::Insert { slot });
        slot
    }

    /// Makes a linked znode known to everything that is derived from znodes.
    pub(super) fn admit(&mut self, slot: Slot, path: &str) {
        self.admit_hashed(slot, path, self.index.hash(path));
    }

    fn admit_hashed(&mut self, slot: Slot, path: &str, hash: u64) {
        self.slab.at_mut(slot).index_hash = hash;
        self.index.insert(&self.slab, slot);
        let znode = self.slab.at(slot);
        let path_hash = digest_path_hash(path);
        self.digest = self
            .digest
            .wrapping_add(znode.stat_digest(path_hash))
            .wrapping_add(znode.data_digest(path_hash));
        self.znodes += 1;
        self.bytes += path.len() + znode.data_len();
        match znode.owner() {
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(slot);
                self.ephemeral_count += 1;
            }
            Owner::Container | Owner::Ttl(_) => {
                self.perishable.insert(slot);
            }
            Owner::Persistent => {}
        }
        if let Some(target) = Quota::limited_by(path) {
            self.quotas.insert(target.to_owned());
        }
    }

    /// Removes a znode without children; its parent's own fields are left alone.
    pub(super) fn remove(&mut self, slot: Slot, path: &str) {
        self.keep_for_cut(slot);
        self.dismiss(slot, path);
        self.slab.unlink(slot);
        let znode = self.slab.remove(slot);
        self.note(|| Undo::Remove { znode: Box::new(znode) });
    }

    fn dismiss(&mut self, slot: Slot, path: &str) {
        let znode = self.slab.at(slot);
        self.index.remove(znode.index_hash, slot);
        let path_hash = digest_path_hash(path);
        self.digest = self
            .digest
            .wrapping_sub(znode.stat_digest(path_hash))
            .wrapping_sub(znode.data_digest(path_hash));
        self.znodes -= 1;
        self.bytes -= path.len() + znode.data_len();
        match znode.owner() {
            Owner::Session(session) => self.forget_ephemeral(session, slot),
            Owner::Container | Owner::Ttl(_) => {
                self.perishable.remove(&slot);
            }
            Owner::Persistent => {}
        }
        if let Some(target) = Quota::limited_by(path) {
            self.quotas.remove(target);
        }
    }

    fn forget_ephemeral(&mut self, session: SessionId, slot: Slot) {
        self.ephemeral_count -= 1;
        if let Some(slots) = self.ephemerals.get_mut(&session) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.ephemerals.remove(&session);
            }
        }
    }

    /// Changes the stat of the znode at `path`.
    pub(super) fn update(&mut self, slot: Slot, path: &str, change: impl FnOnce(&mut Fields)) {
        self.keep_for_cut(slot);
        let path_hash = digest_path_hash(path);
        let znode = self.slab.at_mut(slot);
        let (before, fields) = (znode.stat_digest(path_hash), znode.fields);
        change(&mut znode.fields);
        let after = znode.stat_digest(path_hash);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        self.note(|| Undo::Fields { slot, fields });
    }

    /// Replaces the data of the znode at `path`, and nothing of its stat but the length.
    pub(super) fn replace_data(&mut self, slot: Slot, path: &str, data: Option<&[u8]>) {
        self.keep_for_cut(slot);
        if self.is_noting {
            let data = self.slab.at(slot).data().map(<[u8]>::to_vec);
            self.note(|| Undo::Data { slot, data });
        }
        let path_hash = digest_path_hash(path);
        let znode = self.slab.at_mut(slot);
        let (before, length) = (znode.data_digest(path_hash), znode.data_len());
        znode.set_data(data);
        let after = znode.data_digest(path_hash);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        self.bytes = self.bytes - length + znode.data_len();
    }

    /// Replaces the ACL of the znode at `path`. Never part of a multi, so nothing is noted.
    pub(super) fn replace_acl(&mut self, slot: Slot, path: &str, acl: Arc<AclList>) {
        self.keep_for_cut(slot);
        let path_hash = digest_path_hash(path);
        let znode = self.slab.at_mut(slot);
        let before = znode.stat_digest(path_hash);
        znode.acl = acl;
        let after = znode.stat_digest(path_hash);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
    }

    /// From here on, changes can be taken back.
    pub(super) fn begin(&mut self) {
        self.is_noting = true;
    }

    /// The changes since [`Store::begin`] stay.
    pub(super) fn commit(&mut self) {
        self.is_noting = false;
        self.judged_by = None;
        self.journal.clear();
        self.journal.shrink_to(JOURNAL_KEPT);
    }

    /// Takes back every change since [`Store::begin`], the last one first: so every slot and
    /// every neighbour is again what it was when the change was made.
    pub(super) fn roll_back(&mut self) {
        self.is_noting = false;
        self.judged_by = None;
        for undo in core::mem::take(&mut self.journal).into_iter().rev() {
            match undo {
                Undo::Insert { slot } => {
                    let path = self.slab.path_of(slot);
                    self.remove(slot, &path);
                }
                Undo::Remove { znode } => {
                    let mut path = self.slab.path_of(znode.parent);
                    if znode.parent != ROOT {
                        path.push('/');
                    }
                    path.push_str(znode.name());
                    let vacancy = Vacancy(self.index.hash(&path));
                    self.insert(&path, vacancy, *znode);
                }
                Undo::Fields { slot, fields } => {
                    let path = self.slab.path_of(slot);
                    self.update(slot, &path, |now| *now = fields);
                }
                Undo::Data { slot, data } => {
                    let path = self.slab.path_of(slot);
                    self.replace_data(slot, &path, data.as_deref());
                }
            }
        }
    }

    /// What is noted is made in its place in the journal. Made elsewhere and copied, it would be read
    /// back in wider pieces than it was written in, and so wait for every write before it.
    #[inline]
    fn note(&mut self, undo: impl FnOnce() -> Undo) {
        if self.is_noting {
            self.journal.push(undo());
        }
    }

    fn keep_for_cut(&mut self, slot: Slot) {
        if let Some(cut) = &mut self.cut
            && cut.needs(slot)
        {
            cut.keep(slot, self.slab.occupant(slot).cloned());
        }
    }

    /// Number of znodes and bytes of data of `path` and all below it, as a quota counts them.
    pub(super) fn usage(&self, path: &str) -> (i64, i64) {
        let Some(top) = self.find(path) else { return (0, 0) };
        let (mut count, mut bytes) = (0, 0);
        let mut walked = String::new();
        let mut at = Some(top);
        while let Some(slot) = at {
            count += 1;
            bytes += self.slab.at(slot).data_len() as i64;
            at = self.slab.walk(top, slot, &mut walked);
        }
        (count, bytes)
    }

    /// The digest, computed from nothing.
    #[cfg(test)]
    pub(super) fn digest_from_scratch(&self) -> u64 {
        let mut sum = 0u64;
        let mut path = String::new();
        let mut at = Some(ROOT);
        while let Some(slot) = at {
            let hash = digest_path_hash(if path.is_empty() { "/" } else { &path });
            let znode = self.slab.at(slot);
            sum = sum.wrapping_add(znode.stat_digest(hash)).wrapping_add(znode.data_digest(hash));
            at = self.slab.walk(ROOT, slot, &mut path);
        }
        sum
    }

    /// The deepest of `path` and its ancestors that has a quota; never the root.
    pub(super) fn deepest_quota(&self, path: &str) -> Option<String> {
        if self.quotas.is_empty() {
            return None;
        }
        let mut at = Some(path);
        while let Some(candidate) = at {
            if self.quotas.contains(candidate) {
                return Some(candidate.to_owned());
            }
            at = parent_of(candidate);
        }
        None
    }
}
