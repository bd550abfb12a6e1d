//! Watched paths, each stored once: a slab with a hash index over it.

use super::watchers::Watchers;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use core::num::NonZeroU32;
use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// A slot of the slab; used again once nobody watches its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathId(u32);

impl PathId {
    /// As a member of a set.
    pub(super) fn member(self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.0)
    }

    pub(super) fn of_member(member: NonZeroU32) -> Self {
        Self(member.get() - 1)
    }
}

/// One watched path.
#[derive(Debug)]
pub(super) struct WatchedPath {
    pub(super) path: Arc<str>,
    pub(super) watchers: Watchers,
}

const _: () = assert!(size_of::<Option<WatchedPath>>() == 32);

/// Slots are made so many at a time, and stay where they are: to copy a million of them would
/// take a moment, and twice their memory.
const PIECE: usize = 512;

/// All watched paths.
#[derive(Debug)]
pub(super) struct Paths {
    pieces: Vec<Vec<Option<WatchedPath>>>,
    free: Vec<PathId>,
    index: HashTable<PathId>,
    hasher: FixedState,
}

impl Paths {
    /// The seed keeps clients from choosing paths that collide.
    pub(super) fn new(hash_seed: u64) -> Self {
        Self {
            pieces: Vec::new(),
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
        let id = self.free.pop().unwrap_or_else(|| self.new_slot());
        *slot_mut(&mut self.pieces, id) = Some(WatchedPath { path, watchers: Watchers::default() });
        let Self { pieces, index, hasher, .. } = self;
        index.insert_unique(hash, id, |id| hasher.hash_one(text_of(pieces, *id)));
        id
    }

    /// Gives a slot back if nobody watches its path any more.
    pub(super) fn release_if_unwatched(&mut self, id: PathId) {
        if !self.at(id).watchers.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(text_of(&self.pieces, id));
        let entry = self.index.find_entry(hash, |found| *found == id);
        entry.expect("a watched path is indexed").remove();
        *slot_mut(&mut self.pieces, id) = None;
        self.free.push(id);
        if self.index.is_empty() {
            let Self { pieces, free, index, .. } = self;
            (*pieces, *free, *index) = (Vec::new(), Vec::new(), HashTable::new());
        }
    }

    pub(super) fn at_mut(&mut self, id: PathId) -> &mut WatchedPath {
        slot_mut(&mut self.pieces, id).as_mut().expect("only ids of watched paths are kept")
    }

    pub(super) fn at(&self, id: PathId) -> &WatchedPath {
        slot(&self.pieces, id).as_ref().expect("only ids of watched paths are kept")
    }

    /// The slot of a path somebody watches.
    pub(super) fn find(&self, path: &str) -> Option<PathId> {
        let hash = self.hasher.hash_one(path);
        self.index.find(hash, |id| text_of(&self.pieces, *id) == path).copied()
    }

    /// All watched paths, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &WatchedPath> {
        self.pieces.iter().flatten().flatten()
    }

    /// Whether nobody watches anything.
    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    fn new_slot(&mut self) -> PathId {
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            // The first one grows as it is needed: most servers have few watches.
            let room = if self.pieces.is_empty() { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        let before = (self.pieces.len() - 1) * PIECE;
        let piece = self.pieces.last_mut().expect("one was just made if there was none");
        piece.push(None);
        // One less than there are numbers, because members of sets are counted from 1.
        let last = u32::try_from(before + piece.len()).map(|count| PathId(count - 1));
        last.expect("four thousand million watched paths do not fit into memory")
    }
}

fn slot(pieces: &[Vec<Option<WatchedPath>>], id: PathId) -> &Option<WatchedPath> {
    &pieces[id.0 as usize / PIECE][id.0 as usize % PIECE]
}

fn slot_mut(pieces: &mut [Vec<Option<WatchedPath>>], id: PathId) -> &mut Option<WatchedPath> {
    &mut pieces[id.0 as usize / PIECE][id.0 as usize % PIECE]
}

fn text_of(pieces: &[Vec<Option<WatchedPath>>], id: PathId) -> &str {
    &slot(pieces, id).as_ref().expect("only watched paths are indexed").path
}
