//! The tree store: the only writer of the tree. It applies what is committed and durable, and
//! answers the requests that travelled behind it.
//!
//! Everything it says to connections goes through the watch fan-out as one FIFO, so that no
//! event is overtaken by data. It performs no I/O: slices of a snapshot are handed out one at a
//! time, and the next only when the last has been taken off its hands.

use super::answer::Reader;
use super::pipeline::{Committed, CommittedBody, Proposal, Sender};
use super::quota_warnings::QuotaWarnings;
use super::watch_fanout::{Delivery, OwnedWatchOp, Step};
use super::{Machine, Now};
use crate::tree::{Effects as TreeEffects, QuotaExceeded, SessionChange, Tree, Txn};
use crate::types::limits::{APPLY_BATCH_MAX, SNAPSHOT_SLICE_ZNODES};
use crate::types::{
    ConnectionId, Op, Outcome, Read, Reply, Request, SessionId, WatchMode, WatchOp,
    WatchRegistration, Xid, Zxid,
};
use crate::wire::txn;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

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

/// What one turn under the write lock came to.
#[derive(Default)]
struct Turn {
    steps: Vec<Step>,
    attached: Vec<(ConnectionId, Attached)>,
    opened: Vec<(SessionId, i32, Option<ConnectionId>)>,
    renewed: Vec<(SessionId, i32)>,
    ended: Vec<SessionId>,
    exceeded: Vec<QuotaExceeded>,
    txns: u64,
    bytes: u64,
}

impl Turn {
    fn finish(self, upto: Zxid, effects: &mut Vec<Effect>) {
        // Sessions first: the pipeline must know an owner before the client can send anything.
        if !self.opened.is_empty() {
            effects.push(Effect::Opened(self.opened));
        }
        effects.extend(self.renewed.into_iter().map(|(s, timeout)| Effect::Renewed(s, timeout)));
        // An empty delivery too says how far the tree has moved: connections that watch read in
        // place only where the fan-out has caught up.
        if !self.steps.is_empty() || self.txns > 0 {
            effects.push(Effect::Deliver(Delivery { upto, steps: self.steps }));
        }
        effects.extend(self.attached.into_iter().map(|(c, a)| Effect::Attached(c, a)));
        if !self.ended.is_empty() {
            effects.push(Effect::Ended(self.ended));
        }
    }

    /// The buffer the next reply of this connection goes to.
    fn reply_to(&mut self, to: ConnectionId) -> &mut Vec<u8> {
        let same =
            matches!(self.steps.last(), Some(Step::Reply { connection, .. }) if *connection == to);
        if !same {
            self.steps.push(Step::Reply { connection: to, requests: 0, bytes: Vec::new() });
        }
        match self.steps.last_mut() {
            Some(Step::Reply { requests, bytes, .. }) => {
                *requests += 1;
                bytes
            }
            Some(_) | None => unreachable!("a reply step was just pushed"),
        }
    }
}

fn act(
    tree: &mut Tree,
    committed: Committed,
    scratch: &mut TreeEffects,
    watched: &mut bool,
    turn: &mut Turn,
) {
    let Committed { sender, xid, body } = committed;
    match (body, sender) {
        (CommittedBody::Txn(proposal), sender) => {
            apply(tree, &proposal, sender.as_deref(), xid, scratch, *watched, turn);
        }
        (CommittedBody::Travel(frame), Some(sender)) => {
            travel(tree, &frame, &sender, watched, turn);
        }
        (CommittedBody::Attach { session, timeout_ms }, Some(sender)) => {
            attach(tree, session, timeout_ms, sender.connection, turn);
        }
        (CommittedBody::Travel(_) | CommittedBody::Attach { .. }, None) => {
            unreachable!("only connections send travellers")
        }
    }
}

fn apply(
    tree: &mut Tree,
    proposal: &Proposal,
    sender: Option<&Sender>,
    xid: Xid,
    scratch: &mut TreeEffects,
    watched: bool,
    turn: &mut Turn,
) {
    let payload = txn::decode(&proposal.payload).expect("what the log holds was encoded by us");
    let outcome = tree.apply(
        &Txn {
            zxid: proposal.zxid,
            time_ms: proposal.time_ms,
            session: payload.session,
            ids: &payload.ids,
            op: payload.op,
        },
        scratch,
    );
    turn.txns += 1;
    turn.bytes += proposal.payload.len() as u64;
    turn.exceeded.append(&mut scratch.quotas);
    if watched {
        turn.steps.extend(scratch.changes.drain(..).map(Step::Change));
    }
    for change in &scratch.sessions {
        match change {
            SessionChange::Opened { session, timeout_ms } => {
                turn.opened.push((*session, *timeout_ms, sender.map(|s| s.connection)));
            }
            SessionChange::Closed { session } => turn.ended.push(*session),
        }
    }
    if let Some(sender) = sender {
        answer_write(&outcome, proposal.zxid, sender, xid, turn);
    }
}

fn answer_write(outcome: &Outcome, zxid: Zxid, sender: &Sender, xid: Xid, turn: &mut Turn) {
    if let Outcome::SessionCreated { session, timeout_ms, password } = outcome {
        let (session, timeout_ms, password) = (*session, *timeout_ms, *password);
        let open = Attached::Open { session, timeout_ms, password };
        turn.attached.push((sender.connection, open));
        return;
    }
    let out = turn.reply_to(sender.connection);
    sender.codec.encode_reply(xid, zxid, &Reply::Outcome(outcome), out);
}

fn attach(
    tree: &Tree,
    session: SessionId,
    timeout_ms: i32,
    connection: ConnectionId,
    turn: &mut Turn,
) {
    let attached = match tree.session(session) {
        Some(record) => {
            turn.renewed.push((session, timeout_ms));
            Attached::Open { session, timeout_ms, password: record.password }
        }
        None => {
            // The pipeline gave the session to this connection; there is nothing to own.
            turn.ended.push(session);
            Attached::Expired
        }
    };
    turn.attached.push((connection, attached));
}

fn travel(tree: &Tree, frame: &Bytes, sender: &Arc<Sender>, watched: &mut bool, turn: &mut Turn) {
    let (xid, request) = sender
        .codec
        .decode_request(frame)
        .expect("the connection decoded these bytes before it sent them on");
    let reader = Reader { codec: sender.codec, session: sender.session, ids: &sender.ids };
    match request {
        Request::Read(read) => {
            let set = reader.read(tree, xid, &read, turn.reply_to(sender.connection));
            if set {
                *watched = true;
                turn.steps
                    .extend(registration(&read).map(|(path, kind)| register(sender, path, kind)));
            }
        }
        Request::Watch(op) => {
            *watched = true;
            watch(tree, xid, &op, sender, turn);
        }
        Request::Sync(_)
        | Request::Ping
        | Request::WhoAmI
        | Request::Sasl(_)
        | Request::Malformed
        | Request::Unknown => {
            let out = turn.reply_to(sender.connection);
            reader.other(tree.last_applied(), xid, &request, out);
        }
        Request::Auth { .. } => {
            let (connection, ids) = (sender.connection, sender.ids.clone());
            turn.steps.push(Step::Identities { connection, ids });
            // The connection has answered it; no bytes follow, but it is no longer under way.
            turn.reply_to(connection);
        }
        Request::Write(_) | Request::Reconfig | Request::CloseSession => {
            unreachable!("never sent on as a traveller")
        }
    }
}

fn registration<'a>(read: &Read<'a>) -> Option<(&'a str, WatchRegistration)> {
    match read {
        Read::Exists { path, .. } | Read::Data { path, .. } => {
            Some((path, WatchRegistration::Data))
        }
        Read::Children { path, .. } => Some((path, WatchRegistration::Child)),
        Read::Acl { .. }
        | Read::Ephemerals { .. }
        | Read::DescendantCount { .. }
        | Read::Multi(_) => None,
    }
}

fn register(sender: &Sender, path: &str, registration: WatchRegistration) -> Step {
    Step::Register {
        connection: sender.connection,
        codec: sender.codec,
        ids: sender.ids.clone(),
        path: Arc::from(path),
        registration,
    }
}

fn watch(tree: &Tree, xid: Xid, op: &WatchOp<'_>, sender: &Sender, turn: &mut Turn) {
    let zxid = tree.last_applied();
    let (connection, codec) = (sender.connection, sender.codec);
    match op {
        WatchOp::Add { path, mode } => {
            let kind = match mode {
                WatchMode::Persistent => WatchRegistration::Persistent,
                WatchMode::PersistentRecursive => WatchRegistration::PersistentRecursive,
            };
            turn.steps.push(register(sender, path, kind));
            codec.encode_reply(xid, zxid, &Reply::WatchAdded, turn.reply_to(connection));
        }
        WatchOp::Remove { path, kind } => {
            let op = OwnedWatchOp::Remove { path: Arc::from(*path), kind: *kind };
            turn.steps.push(Step::Watch { connection, codec, xid, zxid, op });
        }
        WatchOp::Check { path, kind } => {
            let op = OwnedWatchOp::Check { path: Arc::from(*path), kind: *kind };
            turn.steps.push(Step::Watch { connection, codec, xid, zxid, op });
        }
        WatchOp::Set { .. } => {
            super::watch_catch_up::set_watches(tree, op, sender, &mut turn.steps);
            codec.encode_reply(xid, zxid, &Reply::Done, turn.reply_to(connection));
        }
    }
}
