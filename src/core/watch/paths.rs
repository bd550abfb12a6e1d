//! Watched paths, each stored once: a slab with a hash index over it.

use super::watchers::Watchers;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// A slot of the slab; used again once nobody watches its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathId(u32);

impl PathId {
    pub(super) const MIN: Self = Self(0);
    pub(super) const MAX: Self = Self(u32::MAX);
}

/// One watched path.
#[derive(Debug)]
pub(super) struct WatchedPath {
    pub(super) path: Arc<str>,
    pub(super) watchers: Watchers,
    /// How many of the watchers ZooKeeper would list in its data table.
    pub(super) data_watchers: u32,
}

/// All watched paths.
#[derive(Debug)]
pub(super) struct Paths {
    slots: Vec<Option<WatchedPath>>,
    free: Vec<PathId>,
    index: HashTable<PathId>,
    hasher: FixedState,
}

impl Paths {
    /// The seed keeps clients from choosing paths that collide.
    pub(super) fn new(hash_seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
        }
    }

    /// The slot of a path, made if it has none.
    pub(super) fn intern(&mut self, path: Arc<str>) -> PathId {
        if let Some(id) = self.find(&path) {
            return id;
        }
        let hash = self.hasher.hash_one(&*path);
        let watched = WatchedPath { path, watchers: Watchers::Nobody, data_watchers: 0 };
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            let last = u32::try_from(self.slots.len() - 1);
            PathId(last.expect("four thousand million watched paths do not fit into memory"))
        });
        self.slots[id.0 as usize] = Some(watched);
        let Self { slots, index, hasher, .. } = self;
        index.insert_unique(hash, id, |id| hasher.hash_one(text_of(slots, *id)));
        id
    }

    /// Gives a slot back if nobody watches its path any more.
    pub(super) fn release_if_unwatched(&mut self, id: PathId) {
        if !self.at(id).watchers.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(text_of(&self.slots, id));
        let entry = self.index.find_entry(hash, |found| *found == id);
        entry.expect("a watched path is indexed").remove();
        self.slots[id.0 as usize] = None;
        self.free.push(id);
    }

    pub(super) fn at_mut(&mut self, id: PathId) -> &mut WatchedPath {
        self.slots[id.0 as usize].as_mut().expect("only ids of watched paths are kept")
    }

    pub(super) fn at(&self, id: PathId) -> &WatchedPath {
        self.slots[id.0 as usize].as_ref().expect("only ids of watched paths are kept")
    }

    /// The slot of a path somebody watches.
    pub(super) fn find(&self, path: &str) -> Option<PathId> {
        let hash = self.hasher.hash_one(path);
        self.index.find(hash, |id| text_of(&self.slots, *id) == path).copied()
    }

    /// All watched paths, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &WatchedPath> {
        self.slots.iter().flatten()
    }
}

fn text_of(slots: &[Option<WatchedPath>], id: PathId) -> &str {
    &slots[id.0 as usize].as_ref().expect("only watched paths are indexed").path
}
