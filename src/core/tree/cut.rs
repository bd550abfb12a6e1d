//! A snapshot in the making: the tree exactly as it was at one zxid, handed out in slices while
//! transactions go on. A znode that changes before its slice is made leaves a copy of what it
//! was; slots already handed out, and slots first used since, cost nothing.

use super::recall::Recall;
use super::slice::{self, Head, RecallWriter, ZnodeWriter};
use super::znode::{Slot, Znode};
use super::{SessionRecord, Tree};
use crate::types::{SessionId, Zxid};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

/// Bytes at which a slice is full, however few znodes it holds.
const SLICE_BYTES: usize = 1 << 20;

enum Stage {
    Head,
    Sessions,
    Recalls,
    Znodes,
}

/// What the snapshot under way has handed out and what it must remember.
pub(super) struct Cut {
    head: Head,
    stage: Stage,
    end: Slot,
    next: Slot,
    kept: BTreeMap<Slot, Option<Znode>>,
    pub(super) sessions: Column<SessionRecord>,
    pub(super) recalls: Column<Recall>,
}

impl Cut {
    /// Whether this slot's present content will be needed and is not kept yet.
    pub(super) fn needs(&self, slot: Slot) -> bool {
        (self.next..self.end).contains(&slot) && !self.kept.contains_key(&slot)
    }

    pub(super) fn keep(&mut self, slot: Slot, was: Option<Znode>) {
        self.kept.insert(slot, was);
    }
}

/// Something there is of sessions, handed out by their ids.
pub(super) struct Column<T> {
    last: Option<SessionId>,
    was: BTreeMap<SessionId, Option<T>>,
    done: bool,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { last: None, was: BTreeMap::new(), done: false }
    }
}

impl<T: Clone> Column<T> {
    /// To be called before what there is of this session changes.
    pub(super) fn keep(&mut self, session: SessionId, now: &BTreeMap<SessionId, T>) {
        if !self.done && self.last < Some(session) {
            self.was.entry(session).or_insert_with(|| now.get(&session).cloned());
        }
    }

    /// The next of them, as it was.
    fn next(&mut self, now: &BTreeMap<SessionId, T>) -> Option<(SessionId, T)> {
        loop {
            let from = self.last.map_or(Bound::Unbounded, Bound::Excluded);
            let live = now.range((from, Bound::Unbounded)).next().map(|(id, _)| *id);
            let changed = self.was.first_key_value().map(|(id, _)| *id);
            let Some(id) = live.into_iter().chain(changed).min() else {
                self.done = true;
                return None;
            };
            self.last = Some(id);
            let then = self.was.remove(&id).unwrap_or_else(|| now.get(&id).cloned());
            if let Some(then) = then {
                return Some((id, then));
            }
        }
    }
}

impl Tree {
    /// Starts a snapshot of this moment and returns its zxid. One that was under way is dropped.
    pub fn snapshot_begin(&mut self) -> Zxid {
        self.store.cut = Some(Cut {
            head: Head {
                zxid: self.last_applied,
                digest: self.digest(),
                znodes: self.store.znodes as u64,
                sessions: self.sessions.len() as u64,
                time_ms: self.time_ms,
            },
            stage: Stage::Head,
            end: self.store.slab.end(),
            next: 0,
            kept: BTreeMap::new(),
            sessions: Column::default(),
            recalls: Column::default(),
        });
        self.last_applied
    }

    /// The next slice, of at most `max_znodes` znodes or sessions and about 1 MiB; `None` when
    /// all have been handed out, or when no snapshot is under way.
    pub fn snapshot_slice(&mut self, max_znodes: usize) -> Option<Vec<u8>> {
        let mut cut = self.store.cut.take()?;
        let slice = match cut.stage {
            Stage::Head => {
                cut.stage = Stage::Sessions;
                slice::head(&cut.head)
            }
            Stage::Sessions => self.sessions_slice(&mut cut, max_znodes.max(1)),
            Stage::Recalls => self.recalls_slice(&mut cut, max_znodes.max(1)),
            Stage::Znodes if cut.next == cut.end => return None,
            Stage::Znodes => self.znodes_slice(&mut cut, max_znodes.max(1)),
        };
        self.store.cut = Some(cut);
        Some(slice)
    }

    /// Drops the snapshot under way, if there is one.
    pub fn snapshot_cancel(&mut self) {
        self.store.cut = None;
    }

    fn sessions_slice(&self, cut: &mut Cut, max: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(session) = cut.sessions.next(&self.sessions) else {
                cut.stage = Stage::Recalls;
                break;
            };
            taken.push(session);
        }
        slice::sessions(&taken)
    }

    /// Where there is nothing left to recall, the first znodes.
    fn recalls_slice(&self, cut: &mut Cut, max: usize) -> Vec<u8> {
        let mut writer = RecallWriter::default();
        while writer.count() < max && writer.len() < SLICE_BYTES {
            let Some((session, recall)) = cut.recalls.next(&self.recalls.sessions) else {
                cut.stage = Stage::Znodes;
                break;
            };
            writer.add(session, &recall);
        }
        if writer.count() == 0 {
            return self.znodes_slice(cut, max);
        }
        writer.finish()
    }

    fn znodes_slice(&self, cut: &mut Cut, max: usize) -> Vec<u8> {
        let mut writer = ZnodeWriter::default();
        while cut.next < cut.end && writer.count() < max && writer.len() < SLICE_BYTES {
            let slot = cut.next;
            cut.next += 1;
            match cut.kept.remove(&slot) {
                Some(Some(was)) => writer.add(slot, &was),
                Some(None) => {}
                None => {
                    if let Some(znode) = self.store.slab.occupant(slot) {
                        writer.add(slot, znode);
                    }
                }
            }
        }
        writer.finish()
    }
}
