//! The slab that holds all znodes, and the index from paths to its slots.
//!
//! Slots live in chunks, and the index in parts, so that neither ever grows by one long copy.
//! No order of the index ever leaves this file. Called by `store` only.

use super::znode::{NONE, ROOT, Slot, Znode};
use alloc::string::String;
use alloc::vec::Vec;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const CHUNK_SLOTS: usize = 4096;
const INDEX_PARTS: usize = 256;

/// Znodes by slot.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Option<Znode>>>,
    free: Vec<Slot>,
}

impl Slab {
    /// The znode in a slot that something links to.
    pub(super) fn at(&self, slot: Slot) -> &Znode {
        self.occupant(slot).expect("a linked slot is occupied")
    }

    /// As [`Slab::at`], to change it.
    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Znode {
        self.chunks[slot as usize / CHUNK_SLOTS][slot as usize % CHUNK_SLOTS]
            .as_mut()
            .expect("a linked slot is occupied")
    }

    /// The znode in any slot below [`Slab::end`], if there is one.
    pub(super) fn occupant(&self, slot: Slot) -> Option<&Znode> {
        self.chunks[slot as usize / CHUNK_SLOTS][slot as usize % CHUNK_SLOTS].as_ref()
    }

    /// One past the highest slot ever used.
    pub(super) fn end(&self) -> Slot {
        let Some(last) = self.chunks.last() else { return 0 };
        let slots = (self.chunks.len() - 1) * CHUNK_SLOTS + last.len();
        Slot::try_from(slots).expect("fewer znodes than slots: memory ends first")
    }

    /// The slot that the next [`Slab::insert`] uses.
    pub(super) fn vacancy(&self) -> Slot {
        self.free.last().copied().unwrap_or_else(|| self.end())
    }

    pub(super) fn insert(&mut self, znode: Znode) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.chunks[slot as usize / CHUNK_SLOTS][slot as usize % CHUNK_SLOTS] = Some(znode);
            return slot;
        }
        let slot = self.end();
        if (slot as usize).is_multiple_of(CHUNK_SLOTS) {
            self.chunks.push(Vec::with_capacity(if slot == 0 { 64 } else { CHUNK_SLOTS }));
        }
        self.chunks[slot as usize / CHUNK_SLOTS].push(Some(znode));
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Znode {
        let place = &mut self.chunks[slot as usize / CHUNK_SLOTS][slot as usize % CHUNK_SLOTS];
        let znode = place.take().expect("a linked slot is occupied");
        self.free.push(slot);
        znode
    }

    /// Looks at the bytes that a lookup compares and a read copies. What comes back means nothing.
    pub(super) fn touch(&self, slot: Slot) -> u8 {
        let znode = self.at(slot);
        let parent = self.at(if slot == ROOT { ROOT } else { znode.parent });
        let name = znode.name_bytes().first();
        let data = znode.data().and_then(<[u8]>::last);
        let above = parent.name_bytes().first();
        [name, data, above].into_iter().flatten().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    /// The full path, put together by walking up.
    pub(super) fn path_of(&self, slot: Slot) -> String {
        let mut names = Vec::new();
        let mut at = slot;
        while at != ROOT {
            let znode = self.at(at);
            names.push(znode.name());
            at = znode.parent;
        }
        if names.is_empty() {
            return String::from("/");
        }
        let mut path = String::with_capacity(names.iter().map(|name| name.len() + 1).sum());
        for name in names.iter().rev() {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// Whether `slot` is the znode at `path`, found out by walking up.
    fn is_at(&self, slot: Slot, path: &str) -> bool {
        let mut rest = path.as_bytes();
        let mut at = slot;
        while at != ROOT {
            let znode = self.at(at);
            let name = znode.name_bytes();
            let Some(head) = rest.strip_suffix(name).and_then(|head| head.strip_suffix(b"/"))
            else {
                return false;
            };
            rest = head;
            at = znode.parent;
        }
        rest.is_empty()
    }

    /// The znode that follows `at` in a walk over `top` and its descendants, parents first.
    /// `path` holds the path of `at` and is moved along; the root's is the empty string.
    pub(super) fn walk(&self, top: Slot, at: Slot, path: &mut String) -> Option<Slot> {
        let child = self.at(at).first_child;
        if child != NONE {
            self.descend(child, path);
            return Some(child);
        }
        let mut at = at;
        while at != top {
            let znode = self.at(at);
            path.truncate(path.len() - znode.name_bytes().len() - 1);
            if znode.next != NONE {
                self.descend(znode.next, path);
                return Some(znode.next);
            }
            at = znode.parent;
        }
        None
    }

    fn descend(&self, child: Slot, path: &mut String) {
        path.push('/');
        path.push_str(self.at(child).name());
    }

    /// Puts a znode that already names its neighbours between them.
    pub(super) fn link(&mut self, slot: Slot) {
        let (parent, prev, next) = self.neighbours(slot);
        if prev == NONE {
            self.at_mut(parent).first_child = slot;
        } else {
            self.at_mut(prev).next = slot;
        }
        if next == NONE {
            self.at_mut(parent).last_child = slot;
        } else {
            self.at_mut(next).prev = slot;
        }
        self.at_mut(parent).num_children += 1;
    }

    /// Takes a znode out from between its neighbours; it goes on naming them.
    pub(super) fn unlink(&mut self, slot: Slot) {
        let (parent, prev, next) = self.neighbours(slot);
        if prev == NONE {
            self.at_mut(parent).first_child = next;
        } else {
            self.at_mut(prev).next = next;
        }
        if next == NONE {
            self.at_mut(parent).last_child = prev;
        } else {
            self.at_mut(next).prev = prev;
        }
        self.at_mut(parent).num_children -= 1;
    }

    fn neighbours(&self, slot: Slot) -> (Slot, Slot, Slot) {
        let znode = self.at(slot);
        (znode.parent, znode.prev, znode.next)
    }
}

/// Slots by the seeded hash of their paths.
pub(super) struct Index {
    parts: Vec<HashTable<Slot>>,
    seed: u64,
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self { parts: (0..INDEX_PARTS).map(|_| HashTable::new()).collect(), seed }
    }

    pub(super) fn hash(&self, path: &str) -> u64 {
        xxh3_64_with_seed(path.as_bytes(), self.seed)
    }

    pub(super) fn find(&self, slab: &Slab, path: &str) -> Option<Slot> {
        self.find_hashed(slab, self.hash(path), path)
    }

    /// As [`Index::find`], for whoever has the hash of the path already.
    pub(super) fn find_hashed(&self, slab: &Slab, hash: u64, path: &str) -> Option<Slot> {
        let same = |slot: &Slot| slab.at(*slot).index_hash == hash && slab.is_at(*slot, path);
        self.parts[part(hash)].find(hash, same).copied()
    }

    /// Where the znode whose path has this hash is, unless another one's path has the same.
    pub(super) fn likely(&self, slab: &Slab, hash: u64) -> Option<Slot> {
        self.parts[part(hash)].find(hash, |slot| slab.at(*slot).index_hash == hash).copied()
    }

    /// Adds a slot whose znode carries its hash already.
    pub(super) fn insert(&mut self, slab: &Slab, slot: Slot) {
        let hash = slab.at(slot).index_hash;
        self.parts[part(hash)].insert_unique(hash, slot, |other| slab.at(*other).index_hash);
    }

    pub(super) fn remove(&mut self, hash: u64, slot: Slot) {
        let entry = self.parts[part(hash)].find_entry(hash, |other| *other == slot);
        entry.expect("every linked slot is in the index").remove();
    }
}

/// Bits that the tables themselves use for neither buckets nor tags.
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % INDEX_PARTS
}
