//! The connections that hold watches, each under a small number, and what each of them watches.

use super::bag::Bag;
use super::kinds::Kinds;
use super::paths::PathId;
use crate::types::ConnectionId;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// The number of a connection that has set a watch; used again once it is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HolderId(u32);

impl HolderId {
    /// Leaves room for kinds beside it.
    const MAX: u32 = u32::MAX >> Kinds::BITS;

    pub(super) fn number(self) -> u32 {
        self.0
    }

    pub(super) fn numbered(number: u32) -> Self {
        Self(number)
    }
}

/// One connection that has set a watch.
///
/// Invariant: the count of `paths` is how many of its entries stand in ZooKeeper's data table.
#[derive(Debug)]
struct Holder {
    connection: ConnectionId,
    paths: Bag<0>,
}

/// All connections that have set a watch and are not forgotten.
#[derive(Debug)]
pub(super) struct Holders {
    slots: Vec<Option<Holder>>,
    free: Vec<HolderId>,
    index: HashTable<HolderId>,
    hasher: FixedState,
    /// How many have an entry in ZooKeeper's data table.
    in_data_table: usize,
}

impl Holders {
    pub(super) fn new(hash_seed: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(hash_seed),
            in_data_table: 0,
        }
    }

    /// The number of a connection, given to it if it has none.
    pub(super) fn intern(&mut self, connection: ConnectionId) -> HolderId {
        if let Some(id) = self.find(connection) {
            return id;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            let last =
                u32::try_from(self.slots.len() - 1).ok().filter(|last| *last <= HolderId::MAX);
            HolderId(last.expect("a server has fewer than 2^28 connections"))
        });
        self.slots[id.0 as usize] = Some(Holder { connection, paths: Bag::default() });
        let hash = self.hasher.hash_one(connection);
        let Self { slots, index, hasher, .. } = self;
        index.insert_unique(hash, id, |id| hasher.hash_one(connection_of(slots, *id)));
        id
    }

    pub(super) fn find(&self, connection: ConnectionId) -> Option<HolderId> {
        let hash = self.hasher.hash_one(connection);
        self.index.find(hash, |id| connection_of(&self.slots, *id) == connection).copied()
    }

    pub(super) fn connection(&self, id: HolderId) -> ConnectionId {
        connection_of(&self.slots, id)
    }

    /// Follows the change of what a connection holds on one path.
    pub(super) fn account(&mut self, id: HolderId, path: PathId, before: Kinds, after: Kinds) {
        let holder = self.slots[id.0 as usize].as_mut().expect("only holders are accounted");
        if before.is_empty() && !after.is_empty() {
            holder.paths.put(path.member());
        } else if !before.is_empty() && after.is_empty() {
            holder.paths.take(path.member().get());
        }
        let held = holder.paths.count;
        holder.paths.count += u32::from(after.in_data_table());
        holder.paths.count -= u32::from(before.in_data_table());
        self.in_data_table += usize::from(held == 0 && holder.paths.count > 0);
        self.in_data_table -= usize::from(held > 0 && holder.paths.count == 0);
    }

    /// How many connections have an entry in ZooKeeper's data table.
    pub(super) fn in_data_table(&self) -> usize {
        self.in_data_table
    }

    /// The paths that a connection watches, in no order that means anything.
    pub(super) fn paths_of(&self, id: HolderId) -> impl Iterator<Item = PathId> {
        let holder = self.slots[id.0 as usize].as_ref();
        holder.into_iter().flat_map(|holder| holder.paths.iter().map(PathId::of_member))
    }

    /// Takes the number back from a connection that holds nothing any more.
    pub(super) fn release(&mut self, id: HolderId) {
        let connection = self.connection(id);
        let hash = self.hasher.hash_one(connection);
        let entry = self.index.find_entry(hash, |found| *found == id);
        entry.expect("a holder is indexed").remove();
        self.slots[id.0 as usize] = None;
        self.free.push(id);
    }

    /// All of them, in no order that means anything.
    pub(super) fn ids(&self) -> impl Iterator<Item = HolderId> {
        self.index.iter().copied()
    }
}

fn connection_of(slots: &[Option<Holder>], id: HolderId) -> ConnectionId {
    slots[id.0 as usize].as_ref().expect("only ids of holders are kept").connection
}
