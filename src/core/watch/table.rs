//! The table of all watches of one server.

use super::holders::{HolderId, Holders};
use super::kinds::Kinds;
use super::paths::{PathId, Paths};
use crate::types::{ConnectionId, EventType, RemoveKind, WatchRegistration, parent_of};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Who watches what.
///
/// Invariant: a path stands among those of a connection exactly if the connection stands among
/// that path's watchers.
#[derive(Debug)]
pub struct WatchTable {
    paths: Paths,
    holders: Holders,
    counts: Counts,
    /// What entries held before each change since [`WatchTable::begin`], if that was called.
    journal: Option<Vec<(ConnectionId, Arc<str>, Kinds)>>,
    /// A change is under way.
    is_changing: bool,
}

/// Sums over all entries.
#[derive(Debug, Default)]
struct Counts {
    data_watches: usize,
    child_watches: usize,
    data_paths: usize,
    recursive_watches: usize,
}

/// A journal longer than this gives its memory back.
const JOURNAL_KEPT: usize = 1024;

/// What `wchs` and `mntr` tell. Counted as ZooKeeper counts: an entry is a path and a connection,
/// whatever kinds it holds there; all but the last number look at the data table only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchSummary {
    /// Connections with at least one entry.
    pub connections: usize,
    /// Paths with at least one entry.
    pub paths: usize,
    /// Entries.
    pub watches: usize,
    /// Entries of the data table and of the child table together.
    pub watches_of_both_tables: usize,
}

impl WatchTable {
    /// An empty table. The seed keeps clients from choosing paths whose hashes collide.
    pub fn new(hash_seed: u64) -> Self {
        Self {
            paths: Paths::new(hash_seed),
            holders: Holders::new(hash_seed),
            counts: Counts::default(),
            journal: None,
            is_changing: false,
        }
    }

    /// From here on changes can be taken back, until [`Self::settle`].
    pub fn begin(&mut self) {
        self.journal.get_or_insert_default().clear();
    }

    /// What was changed stays.
    pub fn settle(&mut self) {
        self.journal = self.journal.take().filter(|journal| journal.capacity() <= JOURNAL_KEPT);
        self.journal.iter_mut().for_each(Vec::clear);
    }

    /// The table as it was when [`Self::begin`] was last called, or as it is if that is settled.
    /// None if it was left in the middle of a change.
    pub fn undone(mut self) -> Option<Self> {
        if self.is_changing {
            return None;
        }
        for (connection, path, before) in self.journal.take().unwrap_or_default().into_iter().rev()
        {
            let (holder, id) = (self.holders.intern(connection), self.paths.intern(path));
            self.set(holder, id, before);
        }
        let unused = |id: &HolderId| self.holders.paths_of(*id).next().is_none();
        let unused: Vec<_> = self.holders.ids().filter(unused).collect();
        unused.into_iter().for_each(|id| self.holders.release(id));
        Some(self)
    }

    /// Adds a watch beside those the connection holds on the path already.
    pub fn register(
        &mut self,
        connection: ConnectionId,
        path: Arc<str>,
        registration: WatchRegistration,
    ) {
        let kinds = Kinds::of(registration);
        self.is_changing = true;
        let (holder, id) = (self.holders.intern(connection), self.paths.intern(path));
        let before = self.paths.at(id).watchers.kinds(holder);
        if before.with(kinds) != before {
            self.set(holder, id, before.with(kinds));
        }
        self.is_changing = false;
    }

    /// Uses up the one-shot watches that a change concerns, and appends each connection to be
    /// told to `told`: once, in ascending order, whatever number of watches it holds.
    pub fn fire(&mut self, event: EventType, path: &str, told: &mut Vec<ConnectionId>) {
        let first = told.len();
        self.is_changing = true;
        self.fire_at(event, path, told);
        self.is_changing = false;
        told[first..].sort_unstable();
        let beyond = Kinds::told_of_descendant(event);
        if self.counts.recursive_watches == 0 || beyond.is_empty() {
            return;
        }
        let mut below = path;
        while let Some(ancestor) = parent_of(below) {
            if let Some(id) = self.paths.find(ancestor) {
                let watchers = self.paths.at(id).watchers.iter();
                let concerned = watchers.filter(|(_, kinds)| kinds.meets(beyond));
                told.extend(concerned.map(|(holder, _)| self.holders.connection(holder)));
            }
            below = ancestor;
        }
        sort_and_dedup_from(first, told);
    }

    /// Takes the watches of this kind from the connection; whether there was one.
    pub fn remove(&mut self, connection: ConnectionId, path: &str, kind: RemoveKind) -> bool {
        let Some((holder, id)) = self.entry(connection, path) else { return false };
        let kinds = Kinds::removable(kind);
        self.take(holder, id, kinds).meets(kinds)
    }

    /// Forgets all watches of a connection.
    pub fn forget(&mut self, connection: ConnectionId) {
        let Some(holder) = self.holders.find(connection) else { return };
        let held: Vec<PathId> = self.holders.paths_of(holder).collect();
        for id in held {
            self.take(holder, id, Kinds::removable(RemoveKind::Any));
        }
        self.is_changing = true;
        self.holders.release(holder);
        self.is_changing = false;
    }

    /// Whether the connection holds a watch of this kind.
    pub fn holds(&self, connection: ConnectionId, path: &str, kind: RemoveKind) -> bool {
        self.entry(connection, path).is_some_and(|(holder, id)| {
            self.paths.at(id).watchers.kinds(holder).meets(Kinds::removable(kind))
        })
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The counts of `wchs` and `mntr`, without a walk.
    pub fn summary(&self) -> WatchSummary {
        let Counts { data_watches, child_watches, data_paths, .. } = self.counts;
        WatchSummary {
            connections: self.holders.in_data_table(),
            paths: data_paths,
            watches: data_watches,
            watches_of_both_tables: data_watches + child_watches,
        }
    }

    /// For `wchc`: each connection with the paths of its data table entries, both in order.
    pub fn by_connection(&self) -> Vec<(ConnectionId, Vec<Arc<str>>)> {
        let mut listed = Vec::with_capacity(self.holders.in_data_table());
        for holder in self.holders.ids() {
            let held = self.holders.paths_of(holder).map(|id| self.paths.at(id));
            let held = held.filter(|held| held.watchers.kinds(holder).in_data_table());
            let mut paths: Vec<_> = held.map(|held| held.path.clone()).collect();
            if !paths.is_empty() {
                paths.sort_unstable();
                listed.push((self.holders.connection(holder), paths));
            }
        }
        listed.sort_unstable();
        listed
    }

    /// For `wchp`: each path with the connections of its data table entries, both in order.
    pub fn by_path(&self) -> Vec<(Arc<str>, Vec<ConnectionId>)> {
        let mut listed = Vec::with_capacity(self.counts.data_paths);
        for watched in self.paths.iter().filter(|watched| watched.watchers.in_data_table()) {
            let watchers = watched.watchers.iter().filter(|(_, kinds)| kinds.in_data_table());
            let connections = watchers.map(|(holder, _)| self.holders.connection(holder));
            let mut connections: Vec<_> = connections.collect();
            connections.sort_unstable();
            listed.push((watched.path.clone(), connections));
        }
        listed.sort_unstable();
        listed
    }

    /// The places of a connection and a path, if both are known.
    fn entry(&self, connection: ConnectionId, path: &str) -> Option<(HolderId, PathId)> {
        Some((self.holders.find(connection)?, self.paths.find(path)?))
    }

    /// Takes kinds from one entry; answers what it held before.
    fn take(&mut self, holder: HolderId, id: PathId, kinds: Kinds) -> Kinds {
        self.is_changing = true;
        let before = self.paths.at(id).watchers.kinds(holder);
        if before.meets(kinds) {
            self.set(holder, id, before.without(kinds));
        }
        self.is_changing = false;
        before
    }

    /// Lets a connection hold exactly this on a path.
    fn set(&mut self, holder: HolderId, id: PathId, kinds: Kinds) {
        let Self { paths, holders, counts, journal, .. } = self;
        let watched = paths.at_mut(id);
        let listed = watched.watchers.in_data_table();
        let before = watched.watchers.set(holder, kinds);
        if let Some(journal) = journal {
            journal.push((holders.connection(holder), watched.path.clone(), before));
        }
        holders.account(holder, id, before, kinds);
        counts.account(before, kinds);
        counts.account_path(listed, watched.watchers.in_data_table());
        paths.release_if_unwatched(id);
    }

    /// Fires the watches set on the path itself.
    fn fire_at(&mut self, event: EventType, path: &str, told: &mut Vec<ConnectionId>) {
        let Some(id) = self.paths.find(path) else { return };
        let Self { paths, holders, counts, journal, .. } = self;
        let watched = paths.at_mut(id);
        let listed = watched.watchers.in_data_table();
        let (concerned, spent) = (Kinds::told_of(event), Kinds::spent_by(event));
        watched.watchers.change_all(|holder, before| {
            let connection = holders.connection(holder);
            if before.meets(concerned) {
                told.push(connection);
            }
            let after = before.without(spent);
            if before.meets(spent) {
                if let Some(journal) = journal {
                    journal.push((connection, watched.path.clone(), before));
                }
                holders.account(holder, id, before, after);
                counts.account(before, after);
            }
            after
        });
        counts.account_path(listed, watched.watchers.in_data_table());
        paths.release_if_unwatched(id);
    }
}

impl Counts {
    /// Follows the change of one entry.
    fn account(&mut self, before: Kinds, after: Kinds) {
        self.data_watches += usize::from(after.in_data_table());
        self.data_watches -= usize::from(before.in_data_table());
        self.child_watches += usize::from(after.in_child_table());
        self.child_watches -= usize::from(before.in_child_table());
        self.recursive_watches += usize::from(after.is_recursive());
        self.recursive_watches -= usize::from(before.is_recursive());
    }

    /// Follows a path into ZooKeeper's data table or out of it.
    fn account_path(&mut self, was_listed: bool, is_listed: bool) {
        self.data_paths += usize::from(is_listed);
        self.data_paths -= usize::from(was_listed);
    }
}

/// Orders what was appended behind `first` and drops repetitions of it.
fn sort_and_dedup_from(first: usize, told: &mut Vec<ConnectionId>) {
    told[first..].sort_unstable();
    let mut kept = first;
    for at in first..told.len() {
        if kept == first || told[kept - 1] != told[at] {
            told[kept] = told[at];
            kept += 1;
        }
    }
    told.truncate(kept);
}
