//! Makes a tree from the slices of a snapshot and believes none of it: whatever the bytes are,
//! the result is a whole and consistent tree or an error, never a panic.

use super::slice::{HEAD, HEAD_VERSION, Head, RECALLS, Reader, SESSIONS, VERSION, ZNODES};
use super::znode::{NONE, ROOT, Slot};
use super::{PROTECTED, Rules, Tree};
use crate::types::{Owner, Zxid};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use thiserror::Error;

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Written by a version of Ostler that this one does not know.
    #[error("the snapshot has format version {0}, this server reads up to {HEAD_VERSION}")]
    Version(u8),
    /// A slice ends early, goes on too long or holds an impossible value.
    #[error("a slice of the snapshot cannot be decoded")]
    Malformed,
    /// The head is missing, or there are two.
    #[error("the snapshot does not begin with one head")]
    Head,
    /// Slices are missing, or there are too many.
    #[error("the snapshot holds another number of znodes or sessions than it announces")]
    Count,
    /// The root is missing or not the first znode.
    #[error("the snapshot does not begin with the root")]
    Root,
    /// A znode's parent is missing, or it is its own ancestor.
    #[error("the snapshot holds a znode that is not connected to the root")]
    Orphan,
    /// Two znodes, or two sessions, are the same.
    #[error("the snapshot holds something twice")]
    Duplicate,
    /// What is kept of writes is that of no session, or cannot be.
    #[error("the snapshot holds outcomes of writes that cannot be")]
    Recall,
    /// A name that no znode can have.
    #[error("the snapshot holds an invalid name")]
    Name,
    /// An ephemeral whose session is missing, or a child of an ephemeral.
    #[error("the snapshot holds an ephemeral that cannot be")]
    Ephemeral,
    /// A znode that every tree has is not there.
    #[error("the snapshot lacks a built-in znode")]
    BuiltIn,
    /// The sum over the znodes is not the one that was noted.
    #[error("the digest of the snapshot does not match its znodes")]
    Digest,
    /// It was taken at another position than expected.
    #[error("the snapshot was taken at zxid {0}, not at the expected one")]
    Zxid(Zxid),
}

/// Takes the slices of one snapshot in the order they were made.
pub struct Loader {
    tree: Tree,
    head: Option<Head>,
    /// Where the slots of the snapshot have gone.
    places: BTreeMap<Slot, Slot>,
}

impl Loader {
    /// Rules and seed are the new tree's; they are no part of a snapshot.
    pub fn new(rules: Rules, hash_seed: u64) -> Self {
        Self { tree: Tree::bare(rules, hash_seed), head: None, places: BTreeMap::new() }
    }

    /// Takes the next slice. After an error the loader is of no more use.
    pub fn feed(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader(slice);
        let version = reader.byte().ok_or(SnapshotError::Malformed)?;
        let kind = reader.byte().ok_or(SnapshotError::Malformed)?;
        let newest = if kind == HEAD { HEAD_VERSION } else { VERSION };
        if !(VERSION..=newest).contains(&version) {
            return Err(SnapshotError::Version(version));
        }
        if (kind == HEAD) != self.head.is_none() {
            return Err(SnapshotError::Head);
        }
        match kind {
            HEAD => self.head = Some(reader.head(version).ok_or(SnapshotError::Malformed)?),
            SESSIONS => self.feed_sessions(&mut reader)?,
            RECALLS => self.feed_recalls(&mut reader)?,
            ZNODES => self.feed_znodes(&mut reader)?,
            _ => return Err(SnapshotError::Malformed),
        }
        if reader.0.is_empty() { Ok(()) } else { Err(SnapshotError::Malformed) }
    }

    fn feed_sessions(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        for _ in 0..reader.u32().ok_or(SnapshotError::Malformed)? {
            let (id, record) = reader.session().ok_or(SnapshotError::Malformed)?;
            if self.tree.sessions.insert(id, record).is_some() {
                return Err(SnapshotError::Duplicate);
            }
        }
        Ok(())
    }

    fn feed_recalls(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        for _ in 0..reader.u32().ok_or(SnapshotError::Malformed)? {
            let (session, writes) = reader.recall().ok_or(SnapshotError::Malformed)?;
            let tree = &mut self.tree;
            if !tree.sessions.contains_key(&session) || !tree.recalls.restore(session, writes) {
                return Err(SnapshotError::Recall);
            }
        }
        Ok(())
    }

    fn feed_znodes(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let mut acls = Vec::new();
        for _ in 0..reader.u32().ok_or(SnapshotError::Malformed)? {
            let entries = reader.acl().ok_or(SnapshotError::Malformed)?;
            acls.push(self.tree.store.acls.intern(entries));
        }
        for _ in 0..reader.u32().ok_or(SnapshotError::Malformed)? {
            let (slot, znode) = reader.znode(&acls).ok_or(SnapshotError::Malformed)?;
            let is_root = slot == ROOT && znode.parent == NONE && znode.name().is_empty();
            if is_root != self.places.is_empty() || is_root != (znode.parent == NONE) {
                return Err(SnapshotError::Root);
            }
            let place = self.tree.store.slab.insert(znode);
            if self.places.insert(slot, place).is_some() {
                return Err(SnapshotError::Duplicate);
            }
        }
        Ok(())
    }

    /// The tree, once all slices are in and if they make one whose digest is right.
    pub fn finish(mut self, zxid: Zxid) -> Result<Tree, SnapshotError> {
        let head = self.head.take().ok_or(SnapshotError::Head)?;
        if head.zxid != zxid {
            return Err(SnapshotError::Zxid(head.zxid));
        }
        let found = (self.places.len() as u64, self.tree.sessions.len() as u64);
        if found != (head.znodes, head.sessions) {
            return Err(SnapshotError::Count);
        }
        if self.places.is_empty() {
            return Err(SnapshotError::Root);
        }
        self.link_all()?;
        self.admit_all()?;
        if PROTECTED.iter().any(|path| self.tree.store.find(path).is_none()) {
            return Err(SnapshotError::BuiltIn);
        }
        if self.tree.digest() != head.digest {
            return Err(SnapshotError::Digest);
        }
        self.tree.last_applied = zxid;
        self.tree.time_ms = head.time_ms;
        Ok(self.tree)
    }

    /// Gives every znode its parent, and its siblings in the order of their creation.
    fn link_all(&mut self) -> Result<(), SnapshotError> {
        let places = core::mem::take(&mut self.places);
        let slab = &mut self.tree.store.slab;
        let mut order = Vec::with_capacity(places.len());
        for slot in places.values().copied().filter(|slot| *slot != ROOT) {
            let parent = places.get(&slab.at(slot).parent).ok_or(SnapshotError::Orphan)?;
            slab.at_mut(slot).parent = *parent;
            let fields = slab.at(slot).fields;
            // Counted back from the parent's counter, so that its overflow does not matter.
            let age = slab.at(*parent).fields.creates.wrapping_sub(fields.ordinal) as u32;
            order.push((*parent, fields.czxid, core::cmp::Reverse(age), slot));
        }
        order.sort_unstable();
        for (parent, _, _, slot) in order {
            slab.at_mut(slot).prev = slab.at(parent).last_child;
            slab.link(slot);
        }
        Ok(())
    }

    /// Walks down from the root and makes every znode known. Those in a circle are not reached.
    fn admit_all(&mut self) -> Result<(), SnapshotError> {
        let mut path = String::new();
        let mut at = Some(ROOT);
        let mut reached = 0;
        while let Some(slot) = at {
            if slot != ROOT {
                self.check(slot, &path)?;
            }
            self.tree.store.admit(slot, if slot == ROOT { "/" } else { &path });
            reached += 1;
            at = self.tree.store.slab.walk(ROOT, slot, &mut path);
        }
        let all = self.tree.store.slab.end() as usize;
        if reached == all { Ok(()) } else { Err(SnapshotError::Orphan) }
    }

    fn check(&self, slot: Slot, path: &str) -> Result<(), SnapshotError> {
        let store = &self.tree.store;
        let znode = store.slab.at(slot);
        // The parent's path was checked before, so this is about the name alone.
        if znode.name().contains('/') || !crate::types::is_valid_path(path) {
            return Err(SnapshotError::Name);
        }
        if store.find(path).is_some() {
            return Err(SnapshotError::Duplicate);
        }
        if let Owner::Session(session) = znode.owner()
            && (znode.num_children > 0 || !self.tree.sessions.contains_key(&session))
        {
            return Err(SnapshotError::Ephemeral);
        }
        Ok(())
    }
}
