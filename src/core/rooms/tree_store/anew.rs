//! A tree that takes the place of the one there is: sent by a leader, or made anew from the disk
//! after a panic that may have left the old one half-changed.
//!
//! What is committed meanwhile is held back. A tree made anew is as old as what was told of last;
//! what had been taken in behind that is applied once more and told of for the first time, before
//! anybody looks at the tree again: so nobody is told anything twice, and nobody sees an older
//! state than before.

use super::{Delivery, Effect, TreeStore, View};
use crate::rooms::Now;
use crate::rooms::pipeline::Committed;
use crate::tree::Tree;
use crate::types::{SessionId, Zxid};
use alloc::vec::Vec;

/// A tree that is on its way.
pub(super) struct Awaited {
    /// It is exact at this zxid.
    at: Zxid,
    /// Whether a leader sent it. Else it is this server's own, made anew.
    is_leaders: bool,
    /// What is committed behind it.
    pub(super) held_back: Vec<Committed>,
}

impl<V: View> TreeStore<V> {
    /// The store that comes after this one, which panicked with an input before it: to be told
    /// [`super::Input::Rebuild`] before anything else. Nobody sees the tree until it is made anew.
    pub fn heir(self) -> Self {
        self.view.hide();
        let Self { view, schedule, txns_since_snapshot, watched, awaited, underway, told, .. } =
            self;
        let mut awaited =
            awaited.unwrap_or(Awaited { at: told, is_leaders: false, held_back: Vec::new() });
        awaited.held_back.splice(..0, underway);
        Self {
            view,
            schedule,
            scratch: Default::default(),
            watched,
            snapshot_running: self.snapshot_running,
            snapshot_void: false,
            awaited: Some(awaited),
            underway: Vec::new(),
            told,
            sessions_wanted: self.sessions_wanted,
            txns_since_snapshot,
            bytes_since_snapshot: self.bytes_since_snapshot,
            quota_warnings: Default::default(),
            members: self.members,
            applied: self.applied,
            snapshots: self.snapshots,
            snapshots_failed: self.snapshots_failed,
        }
    }

    /// Whether the tree is being made anew.
    pub fn is_rebuilding(&self) -> bool {
        self.awaited.as_ref().is_some_and(|awaited| !awaited.is_leaders)
    }

    pub(super) fn rebuild(&mut self, effects: &mut Vec<Effect>) {
        if self.snapshot_running.take().is_some() {
            // It was of the tree that is gone.
            self.snapshots_failed += 1;
            effects.push(Effect::SnapshotVoid);
        }
        effects.extend(self.awaited.as_ref().map(|awaited| Effect::Rebuild(awaited.at)));
    }

    /// Whatever else was awaited is older. Who waits for answers behind that is cut off when this
    /// one is there.
    pub(super) fn await_leaders(&mut self, at: Zxid) {
        self.awaited = Some(Awaited { at, is_leaders: true, held_back: Vec::new() });
    }

    pub(super) fn replace(&mut self, now: Now, new: Tree, effects: &mut Vec<Effect>) {
        let at = new.last_applied();
        // One that was made for an earlier wait is nobody's any more.
        let Some(awaited) = self.awaited.as_mut().filter(|awaited| awaited.at == at) else {
            return;
        };
        let is_leaders = awaited.is_leaders;
        self.underway = core::mem::take(&mut awaited.held_back);
        self.told = at;
        let old = self.view.write(|tree| core::mem::replace(tree, new));
        drop(old);
        if is_leaders {
            self.snapshot_void = self.snapshot_running.is_some();
            self.txns_since_snapshot = 0;
            self.bytes_since_snapshot = 0;
            effects.push(Effect::Replaced(at, self.sessions()));
            effects.push(Effect::Deliver(Delivery { upto: at, steps: Vec::new() }));
        } else if self.sessions_wanted {
            effects.push(Effect::Sessions(self.sessions()));
        }
        self.commit(now, effects);
        // Not before: a panic up to here takes back all that was said.
        (self.awaited, self.sessions_wanted) = (None, false);
        self.view.show();
    }

    pub(super) fn tell_sessions(&mut self, effects: &mut Vec<Effect>) {
        self.sessions_wanted = true;
        if self.awaited.is_none() {
            effects.push(Effect::Sessions(self.sessions()));
            self.sessions_wanted = false;
        }
    }

    fn sessions(&self) -> Vec<(SessionId, i32)> {
        self.view.read(|tree| tree.sessions().map(|(id, record)| (id, record.timeout_ms)).collect())
    }
}
