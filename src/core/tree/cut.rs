//! A snapshot in the making: the tree exactly as it was at one zxid, handed out in slices while
//! transactions go on. A znode that changes before its slice is made leaves a copy of what it
//! was; slots already handed out, and slots first used since, cost nothing.

use super::slice::{self, ZnodeWriter};
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
    Znodes,
}

/// What the snapshot under way has handed out and what it must remember.
pub(super) struct Cut {
    zxid: Zxid,
    digest: u64,
    znodes: u64,
    sessions: u64,
    stage: Stage,
    end: Slot,
    next: Slot,
    kept: BTreeMap<Slot, Option<Znode>>,
    last_session: Option<SessionId>,
    kept_sessions: BTreeMap<SessionId, Option<SessionRecord>>,
}

impl Cut {
    /// Whether this slot's present content will be needed and is not kept yet.
    pub(super) fn needs(&self, slot: Slot) -> bool {
        (self.next..self.end).contains(&slot) && !self.kept.contains_key(&slot)
    }

    pub(super) fn keep(&mut self, slot: Slot, was: Option<Znode>) {
        self.kept.insert(slot, was);
    }

    /// To be called before a session comes or goes.
    pub(super) fn keep_session(&mut self, session: SessionId, was: Option<SessionRecord>) {
        if !matches!(self.stage, Stage::Znodes) && self.last_session < Some(session) {
            self.kept_sessions.entry(session).or_insert(was);
        }
    }
}

impl Tree {
    /// Starts a snapshot of this moment and returns its zxid. One that was under way is dropped.
    pub fn snapshot_begin(&mut self) -> Zxid {
        self.store.cut = Some(Cut {
            zxid: self.last_applied,
            digest: self.store.digest,
            znodes: self.store.znodes as u64,
            sessions: self.sessions.len() as u64,
            stage: Stage::Head,
            end: self.store.slab.end(),
            next: 0,
            kept: BTreeMap::new(),
            last_session: None,
            kept_sessions: BTreeMap::new(),
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
                slice::head(cut.zxid, cut.digest, cut.znodes, cut.sessions)
            }
            Stage::Sessions => self.sessions_slice(&mut cut, max_znodes.max(1)),
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
        let from = cut.last_session.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (from, Bound::Unbounded);
        let mut live = self.sessions.range(range).peekable();
        let mut kept = cut.kept_sessions.range(range).peekable();
        let mut taken = Vec::new();
        let mut last = cut.last_session;
        while taken.len() < max {
            let ids = (live.peek().map(|(id, _)| **id), kept.peek().map(|(id, _)| **id));
            let (Some(id), was) = (
                match ids {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                },
                ids.1,
            ) else {
                cut.stage = Stage::Znodes;
                break;
            };
            let now = if ids.0 == Some(id) { live.next().map(|(_, now)| *now) } else { None };
            let then = if was == Some(id) { kept.next().and_then(|(_, was)| *was) } else { now };
            last = Some(id);
            taken.extend(then.map(|record| (id, record)));
        }
        cut.last_session = last;
        slice::sessions(&taken)
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
