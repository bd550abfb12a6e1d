//! The tree store: the only writer of the tree. It applies what is committed and durable, and
//! answers the requests that travelled behind it.
//!
//! Everything it says to connections goes through the watch fan-out as one FIFO, so that no
//! event is overtaken by data. It performs no I/O: slices of a snapshot are handed out one at a
//! time, and the next only when the last has been taken off its hands.

mod turn;

use super::pipeline::Committed;
use super::quota_warnings::QuotaWarnings;
use super::watch_fanout::Delivery;
use super::{Machine, Now};
use crate::tree::{Effects as TreeEffects, QuotaExceeded, Tree};
use crate::types::limits::{APPLY_BATCH_MAX, SNAPSHOT_SLICE_ZNODES};
use crate::types::{ConnectionId, Op, SessionId, Xid, Zxid};
use crate::wire::txn;
use alloc::vec::Vec;
use bytes::Bytes;
use turn::{Turn, act};

/// Shared access to the tree: one writer, many readers.
pub trait View {
    /// Runs `f` with nobody else looking.
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R;
    /// Runs `f` while the tree stands still.
    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R;
}

/// What can happen to the tree store.
#[derive(Clone, Debug)]
pub enum Input {
    /// To be applied or answered, in order.
    Commit(Vec<Committed>),
    /// The snapshot writer took the last slice.
    SliceTaken,
    /// The snapshot is published.
    SnapshotDone,
    /// The snapshot could not be written; what there is of it is void.
    SnapshotFailed,
    /// Time to look for containers and TTL znodes that outlived their use.
    ReapDue,
}

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The connection speaks for this session now.
    Open {
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
        /// Its password.
        password: [u8; 16],
    },
    /// There is no such session (any more).
    Expired,
}

/// What the tree store wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To the watch fan-out.
    Deliver(Delivery),
    /// To a connection that shakes hands.
    Attached(ConnectionId, Attached),
    /// To the session sweeper and the pipeline: sessions made, with their timeouts and the
    /// connections that asked for them.
    Opened(Vec<(SessionId, i32, Option<ConnectionId>)>),
    /// To the session sweeper: a session's clock starts again with this timeout.
    Renewed(SessionId, i32),
    /// To the session sweeper and the pipeline.
    Ended(Vec<SessionId>),
    /// To the snapshot writer.
    SnapshotBegin(Zxid),
    /// To the snapshot writer, answered by `SliceTaken`.
    SnapshotSlice(Vec<u8>),
    /// To the snapshot writer, answered by `SnapshotDone`.
    SnapshotEnd,
    /// To the pipeline.
    Propose(Vec<Bytes>),
    /// To the operator: quotas whose limits writes went beyond. Never empty.
    QuotasExceeded(Vec<QuotaExceeded>),
}

/// When snapshots and reaping are due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Transactions between snapshots.
    pub snapshot_every_txns: u64,
    /// Bytes of payload between snapshots.
    pub snapshot_every_bytes: u64,
    /// Age of a container that never had a child, in milliseconds; 0 keeps it.
    pub never_used_ms: i64,
    /// Znodes reaped at a time.
    pub reap_max: usize,
}

/// See the module.
pub struct TreeStore<V> {
    view: V,
    schedule: Schedule,
    scratch: TreeEffects,
    watched: bool,
    snapshot_running: bool,
    txns_since_snapshot: u64,
    bytes_since_snapshot: u64,
    quota_warnings: QuotaWarnings,
    /// Transactions applied since the start.
    pub applied: u64,
    /// Snapshots published since the start.
    pub snapshots: u64,
    /// Snapshots that failed since the start.
    pub snapshots_failed: u64,
}

impl<V: View> Machine for TreeStore<V> {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Commit(batch) => self.commit(now, batch, effects),
            Input::SliceTaken => self.next_slice(effects),
            Input::SnapshotDone => {
                self.snapshots += 1;
                self.snapshot_running = false;
            }
            Input::SnapshotFailed => {
                self.snapshots_failed += 1;
                self.snapshot_running = false;
                self.view.write(Tree::snapshot_cancel);
            }
            Input::ReapDue => self.reap(now, effects),
        }
    }
}

impl<V: View> TreeStore<V> {
    /// A store over a recovered tree that has so many transactions behind its last snapshot.
    pub fn new(view: V, schedule: Schedule, txns_since_snapshot: u64) -> Self {
        Self {
            view,
            schedule,
            scratch: TreeEffects::default(),
            watched: false,
            snapshot_running: false,
            txns_since_snapshot,
            bytes_since_snapshot: 0,
            quota_warnings: QuotaWarnings::default(),
            applied: 0,
            snapshots: 0,
            snapshots_failed: 0,
        }
    }

    fn commit(&mut self, now: Now, batch: Vec<Committed>, effects: &mut Vec<Effect>) {
        let mut rest = batch.into_iter();
        loop {
            let mut turn = Turn::default();
            let mut taken = 0;
            let Self { view, scratch, watched, .. } = self;
            let upto = view.write(|tree| {
                for committed in rest.by_ref().take(APPLY_BATCH_MAX) {
                    taken += 1;
                    scratch.clear();
                    act(tree, committed, scratch, watched, &mut turn);
                }
                tree.last_applied()
            });
            if taken == 0 {
                break;
            }
            self.applied += turn.txns;
            self.txns_since_snapshot += turn.txns;
            self.bytes_since_snapshot += turn.bytes;
            let exceeded = self.quota_warnings.sift(now.mono_ms, &mut turn.exceeded);
            if !exceeded.is_empty() {
                effects.push(Effect::QuotasExceeded(exceeded));
            }
            turn.finish(upto, effects);
        }
        self.begin_snapshot_if_due(effects);
    }

    fn begin_snapshot_if_due(&mut self, effects: &mut Vec<Effect>) {
        let due = self.txns_since_snapshot >= self.schedule.snapshot_every_txns
            || self.bytes_since_snapshot >= self.schedule.snapshot_every_bytes;
        if due && !self.snapshot_running {
            self.snapshot_running = true;
            self.txns_since_snapshot = 0;
            self.bytes_since_snapshot = 0;
            effects.push(Effect::SnapshotBegin(self.view.write(Tree::snapshot_begin)));
        }
    }

    fn next_slice(&mut self, effects: &mut Vec<Effect>) {
        let slice = self.view.write(|tree| tree.snapshot_slice(SNAPSHOT_SLICE_ZNODES));
        effects.push(slice.map_or(Effect::SnapshotEnd, Effect::SnapshotSlice));
    }

    fn reap(&self, now: Now, effects: &mut Vec<Effect>) {
        let Schedule { never_used_ms, reap_max, .. } = self.schedule;
        let paths = self.view.read(|tree| tree.reapable(now.wall_ms, never_used_ms, reap_max));
        let payloads = paths.iter().map(|path| {
            let mut payload = Vec::new();
            txn::encode(SessionId::NONE, Xid(0), &[], &Op::Reap { path }, &mut payload);
            Bytes::from(payload)
        });
        let payloads: Vec<_> = payloads.collect();
        if !payloads.is_empty() {
            effects.push(Effect::Propose(payloads));
        }
    }
}
