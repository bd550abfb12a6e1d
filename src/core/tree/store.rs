//! The slab of znodes: parent links, lists of siblings, and one hash index over full paths that
//! are stored nowhere. A lookup verifies its candidate by walking up the parents.
//!
//! Knows structure only: no permissions, no sessions, no rules of the protocol.

use super::acl::AclRef;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use foldhash::quality::FixedState;
use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A znode's place in the slab.
pub(super) type Id = u32;
/// No znode.
pub(super) const NIL: Id = Id::MAX;
/// The root's place.
pub(super) const ROOT: Id = 0;

/// What a znode says about itself, as ZooKeeper persists it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) czxid: i64,
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// Creates of children.
    pub(super) cversion: i32,
    pub(super) aversion: i32,
    /// See [`crate::types::Owner`].
    pub(super) owner: i64,
}

/// A znode.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: Box<str>,
    pub(super) data: Option<Box<[u8]>>,
    pub(super) acl: AclRef,
    pub(super) facts: Facts,
    pub(super) parent: Id,
    pub(super) children: u32,
    first_child: Id,
    last_child: Id,
    previous: Id,
    next: Id,
    hash: u64,
}

impl Node {
    pub(super) fn new(
        name: &str,
        data: Option<&[u8]>,
        acl: AclRef,
        facts: Facts,
        parent: Id,
    ) -> Self {
        Self {
            name: Box::from(name),
            data: data.map(Box::from),
            acl,
            facts,
            parent,
            children: 0,
            first_child: NIL,
            last_child: NIL,
            previous: NIL,
            next: NIL,
            hash: 0,
        }
    }

    /// Bytes of data, 0 for null.
    pub(super) fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, |data| data.len())
    }

    /// What this znode adds to the digest of the tree.
    pub(super) fn digest(&self, path: &str) -> u64 {
        let f = &self.facts;
        let mut bytes = [0; 60];
        let longs = [f.czxid, f.mzxid, f.pzxid, f.ctime, f.mtime, f.owner];
        for (chunk, value) in bytes.chunks_exact_mut(8).zip(longs) {
            chunk.copy_from_slice(&value.to_le_bytes());
        }
        for (index, value) in [f.version, f.cversion, f.aversion].into_iter().enumerate() {
            bytes[48 + index * 4..52 + index * 4].copy_from_slice(&value.to_le_bytes());
        }
        let data = self.data.as_deref().map_or(1, xxh3_64);
        xxh3_64_with_seed(&bytes, xxh3_64_with_seed(path.as_bytes(), data))
    }
}

/// See the module.
///
/// Invariant: every live znode but the root is in the index and in its parent's list.
pub(super) struct Store {
    slots: Vec<Option<Node>>,
    free: Vec<Id>,
    index: HashTable<Id>,
    hasher: FixedState,
    live: usize,
}

impl Store {
    /// A store with only a root.
    pub(super) fn new(root: Node, hash_seed: u64) -> Self {
        let hasher = FixedState::with_seed(hash_seed);
        let slots = alloc::vec![Some(root)];
        Self { slots, free: Vec::new(), index: HashTable::new(), hasher, live: 1 }
    }

    /// Puts the slots of a snapshot in place; `None` if they are not one tree.
    pub(super) fn from_slots(slots: Vec<Option<Node>>, hash_seed: u64) -> Option<Self> {
        let live = slots.iter().flatten().count();
        let root = slots.first()?.as_ref()?;
        if root.parent != NIL {
            return None;
        }
        let hasher = FixedState::with_seed(hash_seed);
        let index = HashTable::with_capacity(live);
        let free =
            (0..slots.len() as Id).rev().filter(|id| slots[*id as usize].is_none()).collect();
        let mut store = Self { slots, free, index, hasher, live };
        store.link_all()?;
        let reached = store.index_all()?;
        (reached == live).then_some(store)
    }

    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn slot_count(&self) -> Id {
        self.slots.len() as Id
    }

    pub(super) fn slot(&self, id: Id) -> Option<&Node> {
        self.slots.get(id as usize)?.as_ref()
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        self.slot(id).expect("ids are only taken from live znodes")
    }

    /// For data, ACL and facts; links belong to this module.
    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        self.slots[id as usize].as_mut().expect("ids are only taken from live znodes")
    }

    pub(super) fn find(&self, path: &str) -> Option<Id> {
        // ZooKeeper knows the root by both names; writes refuse the empty one before they look.
        if matches!(path, "/" | "") {
            return Some(ROOT);
        }
        self.index.find(self.hash(path), |id| self.is_at(*id, path)).copied()
    }

    /// The full path of a znode.
    pub(super) fn path(&self, id: Id) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let node = self.node(at);
            names.push(&*node.name);
            at = node.parent;
        }
        if names.is_empty() {
            return String::from("/");
        }
        let mut path = String::new();
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// The place the next znode will get.
    pub(super) fn next_id(&self) -> Id {
        self.free.last().copied().unwrap_or(self.slots.len() as Id)
    }

    /// Adds a znode at the end of its parent's list.
    pub(super) fn insert(&mut self, mut node: Node, path: &str) -> Id {
        node.hash = self.hash(path);
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Id::try_from(self.slots.len() - 1).expect("fewer than 2^32 znodes")
        });
        let hash = node.hash;
        self.slots[id as usize] = Some(node);
        self.link(id);
        let Self { slots, index, .. } = self;
        index.insert_unique(hash, id, |id| hash_of(slots, *id));
        self.live += 1;
        id
    }

    /// Takes out a znode without children.
    pub(super) fn remove(&mut self, id: Id) -> Node {
        let hash = self.node(id).hash;
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.unlink(id);
        self.free.push(id);
        self.live -= 1;
        self.slots[id as usize].take().expect("unlinked a moment ago")
    }

    /// Children in the order of their creation.
    pub(super) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let first = self.node(id).first_child;
        core::iter::successors((first != NIL).then_some(first), |id| {
            let next = self.node(*id).next;
            (next != NIL).then_some(next)
        })
    }

    /// All live znodes, in the order of their places.
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        (0..self.slot_count()).filter(|id| self.slots[*id as usize].is_some())
    }

    fn hash(&self, path: &str) -> u64 {
        self.hasher.hash_one(path.as_bytes())
    }

    fn is_at(&self, id: Id, path: &str) -> bool {
        let mut rest = path;
        let mut at = id;
        while at != ROOT {
            let node = self.node(at);
            let Some(before) = rest.strip_suffix(&*node.name).and_then(|r| r.strip_suffix('/'))
            else {
                return false;
            };
            rest = before;
            at = node.parent;
        }
        rest.is_empty()
    }

    fn link(&mut self, id: Id) {
        let parent = self.node(id).parent;
        let last = self.node(parent).last_child;
        let node = self.node_mut(id);
        node.previous = last;
        node.next = NIL;
        if last == NIL {
            self.node_mut(parent).first_child = id;
        } else {
            self.node_mut(last).next = id;
        }
        let parent = self.node_mut(parent);
        parent.last_child = id;
        parent.children += 1;
    }

    fn unlink(&mut self, id: Id) {
        let node = self.node(id);
        let (parent, previous, next) = (node.parent, node.previous, node.next);
        if previous == NIL {
            self.node_mut(parent).first_child = next;
        } else {
            self.node_mut(previous).next = next;
        }
        if next == NIL {
            self.node_mut(parent).last_child = previous;
        } else {
            self.node_mut(next).previous = previous;
        }
        self.node_mut(parent).children -= 1;
    }

    fn link_all(&mut self) -> Option<()> {
        for id in 1..self.slot_count() {
            let Some(node) = self.slot(id) else { continue };
            let parent = node.parent;
            if parent == id || self.slot(parent).is_none() {
                return None;
            }
            self.link(id);
        }
        Some(())
    }

    /// Indexes everything the root leads to; `None` at a path that exists twice.
    fn index_all(&mut self) -> Option<usize> {
        let mut waiting = alloc::vec![(ROOT, String::new())];
        let mut reached = 0;
        while let Some((id, path)) = waiting.pop() {
            reached += 1;
            let children: Vec<Id> = self.children(id).collect();
            for child in children {
                let child_path = alloc::format!("{path}/{}", self.node(child).name);
                let hash = self.hash(&child_path);
                if self.find(&child_path).is_some() {
                    return None;
                }
                self.node_mut(child).hash = hash;
                let Self { slots, index, .. } = self;
                index.insert_unique(hash, child, |id| hash_of(slots, *id));
                waiting.push((child, child_path));
            }
        }
        Some(reached)
    }
}

fn hash_of(slots: &[Option<Node>], id: Id) -> u64 {
    slots[id as usize].as_ref().expect("the index holds live znodes only").hash
}
