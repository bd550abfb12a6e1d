//! The table of all watches of one server.

use super::kinds::Kinds;
use super::paths::{PathId, Paths};
use crate::types::{ConnectionId, EventType, RemoveKind, WatchRegistration, parent_of};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use foldhash::quality::FixedState;
use hashbrown::HashMap;

/// Who watches what.
///
/// Invariant: `held` has a pair exactly if that connection stands among that path's watchers.
#[derive(Debug)]
pub struct WatchTable {
    paths: Paths,
    held: BTreeSet<(ConnectionId, PathId)>,
    /// Entries in ZooKeeper's data table per connection that has any.
    data_watches_held: HashMap<ConnectionId, u32, FixedState>,
    data_watches: usize,
    child_watches: usize,
    data_paths: usize,
    recursive_watches: usize,
    /// Kept between calls so that firing allocates nothing in the long run.
    changed: Vec<(ConnectionId, Kinds, Kinds)>,
    /// What entries held before each change since [`WatchTable::begin`], if that was called.
    journal: Option<Vec<(ConnectionId, Arc<str>, Kinds)>>,
    /// A change is under way.
    is_changing: bool,
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
            held: BTreeSet::new(),
            data_watches_held: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
            data_watches: 0,
            child_watches: 0,
            data_paths: 0,
            recursive_watches: 0,
            changed: Vec::new(),
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
            self.put(connection, path, before);
        }
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
        let id = self.paths.intern(path);
        let before = self.paths.at_mut(id).watchers.add(connection, kinds);
        self.account(id, connection, before, before.with(kinds));
        self.is_changing = false;
    }

    /// Uses up the one-shot watches that a change concerns, and appends each connection to be
    /// told to `told`: once, in ascending order, whatever number of watches it holds.
    pub fn fire(&mut self, event: EventType, path: &str, told: &mut Vec<ConnectionId>) {
        let first = told.len();
        self.is_changing = true;
        self.fire_at(event, path, told);
        self.is_changing = false;
        let beyond = Kinds::told_of_descendant(event);
        if self.recursive_watches == 0 || beyond.is_empty() {
            return;
        }
        let mut below = path;
        while let Some(ancestor) = parent_of(below) {
            if let Some(id) = self.paths.find(ancestor) {
                self.paths.at(id).watchers.each(|connection, kinds| {
                    if kinds.meets(beyond) {
                        told.push(connection);
                    }
                });
            }
            below = ancestor;
        }
        sort_and_dedup_from(first, told);
    }

    /// Takes the watches of this kind from the connection; whether there was one.
    pub fn remove(&mut self, connection: ConnectionId, path: &str, kind: RemoveKind) -> bool {
        let Some(id) = self.paths.find(path) else { return false };
        let kinds = Kinds::removable(kind);
        self.take(connection, id, kinds).meets(kinds)
    }

    /// Forgets all watches of a connection.
    pub fn forget(&mut self, connection: ConnectionId) {
        let all = (connection, PathId::MIN)..=(connection, PathId::MAX);
        let held: Vec<PathId> = self.held.range(all).map(|(_, id)| *id).collect();
        for id in held {
            self.take(connection, id, Kinds::removable(RemoveKind::Any));
        }
    }

    /// Whether the connection holds a watch of this kind.
    pub fn holds(&self, connection: ConnectionId, path: &str, kind: RemoveKind) -> bool {
        self.paths.find(path).is_some_and(|id| {
            self.paths.at(id).watchers.kinds(connection).meets(Kinds::removable(kind))
        })
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The counts of `wchs` and `mntr`, without a walk.
    pub fn summary(&self) -> WatchSummary {
        WatchSummary {
            connections: self.data_watches_held.len(),
            paths: self.data_paths,
            watches: self.data_watches,
            watches_of_both_tables: self.data_watches + self.child_watches,
        }
    }

    /// For `wchc`: each connection with the paths of its data table entries, both in order.
    pub fn by_connection(&self) -> Vec<(ConnectionId, Vec<Arc<str>>)> {
        let mut listed: Vec<(ConnectionId, Vec<Arc<str>>)> = Vec::new();
        for (connection, id) in &self.held {
            let watched = self.paths.at(*id);
            if !watched.watchers.kinds(*connection).in_data_table() {
                continue;
            }
            match listed.last_mut() {
                Some((last, paths)) if last == connection => paths.push(watched.path.clone()),
                Some(_) | None => listed.push((*connection, Vec::from([watched.path.clone()]))),
            }
        }
        listed.iter_mut().for_each(|(_, paths)| paths.sort_unstable());
        listed
    }

    /// For `wchp`: each path with the connections of its data table entries, both in order.
    pub fn by_path(&self) -> Vec<(Arc<str>, Vec<ConnectionId>)> {
        let mut listed = Vec::with_capacity(self.data_paths);
        for watched in self.paths.iter() {
            let mut connections = Vec::new();
            watched.watchers.each(|connection, kinds| {
                if kinds.in_data_table() {
                    connections.push(connection);
                }
            });
            if !connections.is_empty() {
                listed.push((watched.path.clone(), connections));
            }
        }
        listed.sort_unstable();
        listed
    }

    /// Takes kinds from one entry; answers what it held before.
    fn take(&mut self, connection: ConnectionId, id: PathId, kinds: Kinds) -> Kinds {
        self.is_changing = true;
        let before = self.paths.at_mut(id).watchers.remove(connection, kinds);
        self.account(id, connection, before, before.without(kinds));
        self.paths.release_if_unwatched(id);
        self.is_changing = false;
        before
    }

    /// Lets a connection hold exactly this on a path.
    fn put(&mut self, connection: ConnectionId, path: Arc<str>, kinds: Kinds) {
        let id = self.paths.intern(path);
        let watchers = &mut self.paths.at_mut(id).watchers;
        let before = watchers.remove(connection, Kinds::removable(RemoveKind::Any));
        if !kinds.is_empty() {
            watchers.add(connection, kinds);
        }
        self.account(id, connection, before, kinds);
        self.paths.release_if_unwatched(id);
    }

    /// Fires the watches set on the path itself.
    fn fire_at(&mut self, event: EventType, path: &str, told: &mut Vec<ConnectionId>) {
        let Some(id) = self.paths.find(path) else { return };
        let concerned = Kinds::told_of(event);
        let spent = Kinds::spent_by(event);
        let mut changed = core::mem::take(&mut self.changed);
        self.paths.at_mut(id).watchers.change_all(|connection, before| {
            if before.meets(concerned) {
                told.push(connection);
            }
            if before.meets(spent) {
                changed.push((connection, before, before.without(spent)));
            }
            before.without(spent)
        });
        for (connection, before, after) in changed.drain(..) {
            self.account(id, connection, before, after);
        }
        self.changed = changed;
        self.paths.release_if_unwatched(id);
    }

    /// Keeps the index by connection and the counts in step with one entry's change.
    fn account(&mut self, id: PathId, connection: ConnectionId, before: Kinds, after: Kinds) {
        if let Some(journal) = &mut self.journal {
            journal.push((connection, self.paths.at(id).path.clone(), before));
        }
        if before.is_empty() && !after.is_empty() {
            self.held.insert((connection, id));
        } else if !before.is_empty() && after.is_empty() {
            self.held.remove(&(connection, id));
        }
        if !before.in_data_table() && after.in_data_table() {
            self.add_data_watch(id, connection);
        } else if before.in_data_table() && !after.in_data_table() {
            self.drop_data_watch(id, connection);
        }
        self.child_watches += usize::from(after.in_child_table());
        self.child_watches -= usize::from(before.in_child_table());
        self.recursive_watches += usize::from(after.is_recursive());
        self.recursive_watches -= usize::from(before.is_recursive());
    }

    fn add_data_watch(&mut self, id: PathId, connection: ConnectionId) {
        self.data_watches += 1;
        *self.data_watches_held.entry(connection).or_insert(0) += 1;
        let watched = self.paths.at_mut(id);
        watched.data_watchers += 1;
        self.data_paths += usize::from(watched.data_watchers == 1);
    }

    fn drop_data_watch(&mut self, id: PathId, connection: ConnectionId) {
        self.data_watches -= 1;
        let held = self.data_watches_held.get_mut(&connection);
        let held = held.expect("a connection with a data watch is counted");
        *held -= 1;
        if *held == 0 {
            self.data_watches_held.remove(&connection);
        }
        let watched = self.paths.at_mut(id);
        watched.data_watchers -= 1;
        self.data_paths -= usize::from(watched.data_watchers == 0);
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
