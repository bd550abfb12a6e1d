//! A fan-out that begins anew after a panic: with the watches as they were before the delivery
//! under way, which is then taken in once more. Nothing of it had been posted, so nobody is told
//! anything twice, and nothing is lost.

use super::parcels::Parcels;
use super::{Delivery, Fan, FanoutStats, KEPT, Step, WatchFanout, Watcher};
use crate::types::ConnectionId;
use alloc::vec::Vec;
use foldhash::quality::FixedState;
use hashbrown::HashMap;

/// How to take back what a delivery has changed; the table of watches has a journal of its own.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// What was known of connections before each change of it, in order.
    pub(super) known: Vec<(ConnectionId, Option<Watcher>)>,
    pub(super) moved: Vec<Moved>,
    stats: FanoutStats,
}

/// Bytes of a reply that went into the parcel of its connection, before anything else there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// The place of the step they came with.
    pub(super) at: usize,
    pub(super) connection: ConnectionId,
    pub(super) length: usize,
}

impl Fan {
    /// What is changed from here on can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo.stats = self.stats;
        self.table.begin();
    }

    /// What was changed stays.
    pub(super) fn settle(&mut self) {
        let Undo { known, moved, .. } = &mut self.undo;
        known.clear();
        known.shrink_to(KEPT);
        moved.clear();
        moved.shrink_to(KEPT);
        self.table.settle();
    }
}

impl WatchFanout {
    /// The fan-out that comes after this one, which panicked, and the delivery that it has to take
    /// in first, if this one had not done so. None if the watches themselves are in doubt.
    pub fn heir(self, hash_seed: u64) -> Option<(Self, Option<Delivery>)> {
        let Self { fan, mut underway, upto } = self;
        let Fan { table, mut watchers, mut parcels, stats, undo, .. } = fan;
        let was_at_work = !underway.is_empty();
        let table = table.undone()?;
        take_back_known(undo.known, &mut watchers);
        for Moved { at, connection, length } in undo.moved {
            let Some(Step::Reply { bytes, .. }) = underway.get_mut(at) else { return None };
            *bytes = parcels.take_back(connection, length)?;
        }
        let fan = Fan {
            table,
            watchers,
            parcels: Parcels::new(hash_seed),
            told: Vec::new(),
            stats: if was_at_work { undo.stats } else { stats },
            undo: Undo::default(),
        };
        let again = was_at_work.then_some(Delivery { upto, steps: underway });
        Some((Self { fan, underway: Vec::new(), upto }, again))
    }
}

fn take_back_known(
    known: Vec<(ConnectionId, Option<Watcher>)>,
    watchers: &mut HashMap<ConnectionId, Watcher, FixedState>,
) {
    for (connection, before) in known.into_iter().rev() {
        match before {
            Some(watcher) => watchers.insert(connection, watcher),
            None => watchers.remove(&connection),
        };
    }
}
