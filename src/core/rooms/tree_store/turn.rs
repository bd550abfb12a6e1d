//! One turn of the tree store under the write lock: what is applied and answered, and in which
//! order the fan-out, the pipeline and the sweeper hear of it.
//!
//! Called by the tree store alone, for each thing committed.

use super::{Attached, Effect, judge};
use crate::rooms::answer::Reader;
use crate::rooms::pipeline::{Committed, CommittedBody, Sender};
use crate::rooms::watch_catch_up::set_watches;
use crate::rooms::watch_fanout::{Delivery, OwnedWatchOp, Step};
use crate::tree::{Effects as TreeEffects, QuotaExceeded, SessionChange, Tree, Txn};
use crate::types::{
    ConnectionId, ErrorCode, Outcome, Read, Reply, Request, SessionId, WatchMode, WatchOp,
    WatchRegistration, Xid, Zxid,
};
use crate::wire::txn::{self, KnownIds};
use crate::zab::Proposal;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// What the answer to a write takes, most often: it grows only where several follow each other.
const REPLY_BYTES: usize = 128;

/// What one turn under the write lock came to.
#[derive(Default)]
pub(super) struct Turn {
    steps: Vec<Step>,
    /// Watches set since the last step that was not a reply. They say nothing by themselves, so
    /// that the replies around them can share a buffer; but whatever else comes meets them.
    registrations: Vec<Step>,
    attached: Vec<(ConnectionId, Attached)>,
    opened: Vec<(SessionId, i32, Option<ConnectionId>)>,
    renewed: Vec<(SessionId, i32, ConnectionId)>,
    ended: Vec<SessionId>,
    pub(super) exceeded: Vec<QuotaExceeded>,
    pub(super) txns: u64,
    pub(super) bytes: u64,
}

impl Turn {
    pub(super) fn finish(mut self, upto: Zxid, effects: &mut Vec<Effect>) {
        self.steps();
        // Sessions first: the pipeline must know an owner before the client can send anything.
        if !self.opened.is_empty() {
            effects.push(Effect::Opened(self.opened, upto));
        }
        effects.extend(self.renewed.into_iter().map(|(session, timeout_ms, connection)| {
            Effect::Renewed { session, timeout_ms, connection, at: upto }
        }));
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
            let bytes = Vec::with_capacity(REPLY_BYTES);
            self.steps.push(Step::Reply { connection: to, requests: 0, bytes });
        }
        match self.steps.last_mut() {
            Some(Step::Reply { requests, bytes, .. }) => {
                *requests += 1;
                bytes
            }
            Some(_) | None => unreachable!("a reply step was just pushed"),
        }
    }

    /// All steps so far, for another one that is not a reply.
    fn steps(&mut self) -> &mut Vec<Step> {
        self.steps.append(&mut self.registrations);
        &mut self.steps
    }
}

/// What one turn leaves to the next to use again.
#[derive(Default)]
pub(super) struct Scratch {
    effects: TreeEffects,
    known: KnownIds,
}

/// Brings closer what these will look at; at most [`PREFETCH_MAX`](crate::tree::PREFETCH_MAX) of
/// them.
pub(super) fn prefetch(tree: &Tree, together: &[Committed]) {
    if together.len() > 1 {
        tree.prefetch(together.iter().filter_map(|committed| match &committed.body {
            CommittedBody::Txn(proposal) => txn::path(&proposal.payload),
            CommittedBody::Travel(_)
            | CommittedBody::Vouched
            | CommittedBody::Claim(_)
            | CommittedBody::Attach { .. } => None,
        }));
    }
}

/// Applies or answers one thing.
pub(super) fn act(
    tree: &mut Tree,
    committed: &Committed,
    scratch: &mut Scratch,
    watched: &mut bool,
    turn: &mut Turn,
) {
    let Committed { sender, xid, body } = committed;
    match (body, sender) {
        (CommittedBody::Txn(proposal), sender) => {
            scratch.effects.clear();
            scratch.effects.unwatched = !*watched;
            apply(tree, proposal, sender.as_deref(), *xid, scratch, turn);
        }
        (CommittedBody::Travel(frame), Some(sender)) => {
            travel(tree, frame, sender, watched, turn);
        }
        (CommittedBody::Vouched, Some(sender)) => {
            turn.reply_to(sender.connection);
        }
        (CommittedBody::Claim(claim), Some(sender)) => {
            let judged = Attached::Judged(judge(tree, claim));
            turn.attached.push((sender.connection, judged));
        }
        (CommittedBody::Attach { session, timeout_ms }, Some(sender)) => {
            attach(tree, *session, *timeout_ms, sender.connection, turn);
        }
        (
            CommittedBody::Travel(_)
            | CommittedBody::Vouched
            | CommittedBody::Claim(_)
            | CommittedBody::Attach { .. },
            None,
        ) => unreachable!("only connections send travellers"),
    }
}

fn apply(
    tree: &mut Tree,
    proposal: &Proposal,
    sender: Option<&Sender>,
    xid: Xid,
    scratch: &mut Scratch,
    turn: &mut Turn,
) {
    let Scratch { effects, known } = scratch;
    let payload = txn::decode_knowing(&proposal.payload, known)
        .expect("what the log holds was encoded by us");
    let once = payload.once();
    let (zxid, outcome) = tree.apply_once(
        &Txn {
            zxid: proposal.zxid,
            time_ms: proposal.time_ms,
            session: payload.session,
            ids: &payload.ids,
            op: payload.op,
        },
        once,
        effects,
    );
    turn.txns += 1;
    turn.bytes += proposal.payload.len() as u64;
    turn.exceeded.append(&mut effects.quotas);
    turn.steps().extend(effects.changes.drain(..).map(Step::Change));
    for change in &effects.sessions {
        match change {
            SessionChange::Opened { session, timeout_ms } => {
                turn.opened.push((*session, *timeout_ms, sender.map(|s| s.connection)));
            }
            SessionChange::Closed { session } => turn.ended.push(*session),
        }
    }
    if let Some(sender) = sender {
        answer_write(&outcome, zxid, sender, xid, turn);
    }
}

fn answer_write(outcome: &Outcome, zxid: Zxid, sender: &Sender, xid: Xid, turn: &mut Turn) {
    if let Outcome::SessionCreated { session, timeout_ms, password } = outcome {
        let (session, timeout_ms, password) = (*session, *timeout_ms, *password);
        let open = Attached::Open { session, timeout_ms, password, last_once: Xid(0) };
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
            turn.renewed.push((session, timeout_ms, connection));
            let (password, last_once) = (record.password, tree.last_once(session));
            Attached::Open { session, timeout_ms, password, last_once }
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
                let set = registration(&read).map(|(path, kind)| register(sender, path, kind));
                turn.registrations.extend(set);
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
            turn.steps().push(Step::Identities { connection, ids });
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
            turn.registrations.push(register(sender, path, kind));
            codec.encode_reply(xid, zxid, &Reply::WatchAdded, turn.reply_to(connection));
        }
        WatchOp::Remove { path, kind } => {
            let op = OwnedWatchOp::Remove { path: Arc::from(*path), kind: *kind };
            turn.steps().push(Step::Watch { connection, codec, xid, zxid, op });
        }
        WatchOp::Check { path, kind } => {
            let op = OwnedWatchOp::Check { path: Arc::from(*path), kind: *kind };
            turn.steps().push(Step::Watch { connection, codec, xid, zxid, op });
        }
        WatchOp::Set { broken_off, .. } => {
            set_watches(tree, op, sender, turn.steps());
            let broken = Reply::Error(ErrorCode::MarshallingError);
            let reply = if *broken_off { broken } else { Reply::Done };
            codec.encode_reply(xid, zxid, &reply, turn.reply_to(connection));
        }
    }
}
