//! The tree store: the only writer of the tree. It applies what is committed and durable, and
//! answers the requests that travelled behind it.
//!
//! Everything it says to connections goes through the watch fan-out as one FIFO, so that no
//! event is overtaken by data. It performs no I/O: slices of a snapshot are handed out one at a
//! time, and the next only when the last has been taken off its hands.

mod anew;
mod turn;

use super::pipeline::{Claim, Committed};
use super::quota_warnings::QuotaWarnings;
use super::watch_fanout::Delivery;
use super::{Machine, Now};
use crate::tree::{PREFETCH_MAX, QuotaExceeded, Tree};
use crate::types::limits::{APPLY_BATCH_MAX, SNAPSHOT_SLICE_ZNODES};
use crate::types::{ConnectionId, Op, SessionId, Xid, Zxid};
use crate::wire::txn;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use anew::Awaited;
use bytes::Bytes;
use turn::{Scratch, Turn, act, prefetch};

/// Shared access to the tree: one writer, many readers.
pub trait View {
    /// Runs `f` with nobody else looking. Should it panic, the tree is hidden.
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R;
    /// Runs `f` while the tree stands still: for the writer, who knows whether it is hidden.
    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R;
    /// The same for everybody else; None while the tree is hidden.
    fn look<R>(&self, f: impl FnOnce(&Tree) -> R) -> Option<R> {
        Some(self.read(f))
    }
    /// Nobody looks at the tree any more: it may be half-changed, or older than what was shown.
    fn hide(&self) {}
    /// The tree may be looked at again.
    fn show(&self) {}
}

/// What can happen to the tree store.
#[derive(Debug)]
pub enum Input {
    /// To be applied or answered, in order.
    Commit(Vec<Committed>),
    /// The snapshot writer took the last slice of the snapshot at this zxid.
    SliceTaken(Zxid),
    /// The snapshot at this zxid is published.
    SnapshotDone(Zxid),
    /// The snapshot at this zxid could not be written; what there is of it is void.
    SnapshotFailed(Zxid),
    /// The snapshot writer remembers nothing: whatever snapshot is under way is void.
    SnapshotWriterLost,
    /// The tree is going to be replaced by the snapshot at this zxid, which the leader sent: what
    /// is committed after it waits until then.
    Replacing(Zxid),
    /// Here is the tree that is waited for.
    Replaced(Box<Tree>),
    /// This server leads now: `/zookeeper/config` has to say what its configuration says.
    Leads,
    /// This store has succeeded one that panicked: the tree has to be made anew.
    Rebuild,
    /// The session sweeper needs all sessions and cannot look itself.
    SessionsWanted,
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
        /// The number of its last write that takes effect once, 0 if there was none.
        last_once: Xid,
    },
    /// There is no such session (any more).
    Expired,
    /// The claim was judged; nothing was taken over yet.
    Judged(Judgement),
}

/// What the tree says to a client's claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds.
    Good,
    /// The client has seen more than this state has.
    Behind,
    /// There is no such session in this state.
    Unknown,
    /// The session is somebody else's. Nothing else may depend on the claim: whoever only knows
    /// a session's id cannot disturb it.
    WrongPassword,
}

/// Holds a claim against the tree.
pub fn judge(tree: &Tree, claim: &Claim) -> Judgement {
    if claim.last_zxid_seen.to_wire() > tree.last_applied().to_wire() {
        return Judgement::Behind;
    }
    if claim.session == SessionId::NONE {
        return Judgement::Good;
    }
    match tree.session(claim.session) {
        None => Judgement::Unknown,
        Some(record) if claim.password == record.password[..] => Judgement::Good,
        Some(_) => Judgement::WrongPassword,
    }
}

/// What the tree store wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To the watch fan-out.
    Deliver(Delivery),
    /// To a connection that shakes hands.
    Attached(ConnectionId, Attached),
    /// To the session sweeper and the pipeline: sessions made up to this zxid, with their
    /// timeouts and the connections of this server that asked for them.
    Opened(Vec<(SessionId, i32, Option<ConnectionId>)>, Zxid),
    /// To the session sweeper and the pipeline: a connection took over a session.
    Renewed {
        /// The session.
        session: SessionId,
        /// Its timeout from now on, in milliseconds; its clock starts again.
        timeout_ms: i32,
        /// Who speaks for it.
        connection: ConnectionId,
        /// What the takeover has seen.
        at: Zxid,
    },
    /// To the session sweeper and the pipeline.
    Ended(Vec<SessionId>),
    /// To the snapshot writer.
    SnapshotBegin(Zxid),
    /// To the snapshot writer, answered by `SliceTaken`.
    SnapshotSlice(Vec<u8>),
    /// To the snapshot writer, answered by `SnapshotDone`.
    SnapshotEnd,
    /// To the snapshot writer, answered by `SnapshotFailed`: there is nothing to go on with.
    SnapshotVoid,
    /// The tree was replaced by the snapshot at this zxid. To the pipeline; to the session
    /// sweeper, whom these sessions and timeouts in milliseconds concern; and to all connections:
    /// they end, since what changed in between has no events.
    Replaced(Zxid, Vec<(SessionId, i32)>),
    /// To the snapshot writer: make the tree as it was at this zxid from what is on the disk;
    /// answered by `Replaced`.
    Rebuild(Zxid),
    /// To the session sweeper: all sessions, with their timeouts in milliseconds.
    Sessions(Vec<(SessionId, i32)>),
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
    scratch: Scratch,
    watched: bool,
    /// The snapshot under way is exact at this zxid.
    snapshot_running: Option<Zxid>,
    /// The snapshot under way is of a tree that was replaced.
    snapshot_void: bool,
    /// A tree that is on its way.
    awaited: Option<Awaited>,
    /// Taken in and not yet told of in whole.
    underway: Vec<Committed>,
    /// The state that all that was told of rests on: the one before `underway`.
    told: Zxid,
    sessions_wanted: bool,
    txns_since_snapshot: u64,
    bytes_since_snapshot: u64,
    quota_warnings: QuotaWarnings,
    /// Who the members are, as `/zookeeper/config` shows it; empty for a server alone.
    members: String,
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
            Input::Commit(batch) => match &mut self.awaited {
                Some(awaited) => awaited.held_back.extend(batch),
                None => {
                    self.underway = batch;
                    self.commit(now, effects);
                }
            },
            Input::Replacing(zxid) => self.await_leaders(zxid),
            Input::Replaced(tree) => self.replace(now, *tree, effects),
            Input::Rebuild => self.rebuild(effects),
            Input::SessionsWanted => self.tell_sessions(effects),
            // News of a snapshot that was given up may still come.
            Input::SliceTaken(zxid) | Input::SnapshotDone(zxid) | Input::SnapshotFailed(zxid)
                if self.snapshot_running != Some(zxid) => {}
            Input::SliceTaken(_) => self.next_slice(effects),
            Input::SnapshotDone(_) => {
                self.snapshots += 1;
                self.snapshot_running = None;
            }
            Input::SnapshotFailed(_) => self.give_snapshot_up(),
            Input::SnapshotWriterLost => {
                if self.snapshot_running.is_some() {
                    self.give_snapshot_up();
                }
            }
            Input::Leads => self.propose_members(effects),
            // What is not there cannot be outlived.
            Input::ReapDue if self.awaited.is_some() => {}
            Input::ReapDue => self.reap(now, effects),
        }
    }
}

impl<V: View> TreeStore<V> {
    /// A store over a recovered tree that has so many transactions behind its last snapshot.
    pub fn new(view: V, schedule: Schedule, txns_since_snapshot: u64) -> Self {
        let told = view.read(Tree::last_applied);
        Self {
            view,
            schedule,
            scratch: Scratch::default(),
            watched: false,
            snapshot_running: None,
            snapshot_void: false,
            awaited: None,
            underway: Vec::new(),
            told,
            sessions_wanted: false,
            txns_since_snapshot,
            bytes_since_snapshot: 0,
            quota_warnings: QuotaWarnings::default(),
            members: String::new(),
            applied: 0,
            snapshots: 0,
            snapshots_failed: 0,
        }
    }

    /// The same, for a member of an ensemble whose members are written down like this.
    pub fn among(self, members: String) -> Self {
        Self { members, ..self }
    }

    /// If they stand otherwise in the tree, or it cannot be told. The tree may still lag behind the
    /// history, and then this may come in vain: that changes nothing.
    fn propose_members(&self, effects: &mut Vec<Effect>) {
        let members = self.members.as_str();
        let stands = |tree: &Tree| tree.configuration() == members.as_bytes();
        if self.awaited.is_some() || !self.view.read(stands) {
            let mut payload = Vec::new();
            let op = Op::Configure { text: members };
            txn::encode(SessionId::NONE, Xid(0), &[], &op, &mut payload);
            effects.push(Effect::Propose(alloc::vec![payload.into()]));
        }
    }

    /// Applies or answers what is under way.
    fn commit(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let mut told = self.told;
        for first in (0..self.underway.len()).step_by(APPLY_BATCH_MAX) {
            let mut turn = Turn::default();
            let Self { view, scratch, watched, underway, .. } = self;
            let upto = view.write(|tree| {
                let end = underway.len().min(first + APPLY_BATCH_MAX);
                for together in underway[first..end].chunks(PREFETCH_MAX) {
                    prefetch(tree, together);
                    for committed in together {
                        act(tree, committed, scratch, watched, &mut turn);
                    }
                }
                tree.last_applied()
            });
            told = upto;
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
        self.underway = Vec::new();
        self.told = told;
    }

    fn begin_snapshot_if_due(&mut self, effects: &mut Vec<Effect>) {
        let due = self.txns_since_snapshot >= self.schedule.snapshot_every_txns
            || self.bytes_since_snapshot >= self.schedule.snapshot_every_bytes;
        if due && self.snapshot_running.is_none() {
            self.txns_since_snapshot = 0;
            self.bytes_since_snapshot = 0;
            let zxid = self.view.write(Tree::snapshot_begin);
            self.snapshot_running = Some(zxid);
            effects.push(Effect::SnapshotBegin(zxid));
        }
    }

    fn give_snapshot_up(&mut self) {
        self.snapshots_failed += u64::from(!self.snapshot_void);
        self.snapshot_running = None;
        self.snapshot_void = false;
        self.view.write(Tree::snapshot_cancel);
    }

    fn next_slice(&mut self, effects: &mut Vec<Effect>) {
        if self.snapshot_void {
            effects.push(Effect::SnapshotVoid);
            return;
        }
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
