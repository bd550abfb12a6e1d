//! The proposal pipeline: gives each write its zxid, and lets nothing through to the tree before
//! it is durable.
//!
//! One FIFO carries writes and *travellers*: requests without a zxid that must keep their place
//! behind the writes of their session (reads behind unanswered writes, reads that set a watch,
//! syncs, takeovers of sessions). A traveller leaves when every write before it has been
//! committed. What a payload means is not known here.

use super::{Machine, Now};
use crate::types::{AuthId, ConnectionId, Epoch, SessionId, Xid, Zxid};
use crate::wire::Codec;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// The connection a request came on, shared by all its requests.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Where the replies go.
    pub connection: ConnectionId,
    /// The session that speaks, `NONE` during the handshake.
    pub session: SessionId,
    /// How replies are encoded.
    pub codec: Codec,
    /// What the connection has proven.
    pub ids: Arc<[AuthId]>,
}

/// All requests that one socket read gave and that could not be answered in place.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who asks.
    pub sender: Arc<Sender>,
    /// What for, in the order of the socket.
    pub items: Vec<Item>,
}

/// One request of a submission.
#[derive(Clone, Debug)]
pub struct Item {
    /// Echoed in the reply.
    pub xid: Xid,
    /// What is asked for.
    pub body: ItemBody,
}

/// What a request of a submission asks for.
#[derive(Clone, Debug)]
pub enum ItemBody {
    /// A transaction payload; takes a zxid.
    Write(Bytes),
    /// A request's own bytes, answered from the tree at its place in the order.
    Travel(Bytes),
    /// The sender's connection takes this session over, its password having been checked.
    Attach {
        /// The session taken over.
        session: SessionId,
        /// Its newly negotiated timeout in milliseconds.
        timeout_ms: i32,
    },
}

impl ItemBody {
    /// Size of what it carries, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Write(bytes) | Self::Travel(bytes) => bytes.len(),
            Self::Attach { .. } => 0,
        }
    }
}

/// A write on its way to the log.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Its place in the order.
    pub zxid: Zxid,
    /// The leader's wall time, never decreasing, in milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// See `wire::txn`.
    pub payload: Bytes,
}

/// Something the tree store may act on.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Who is to be answered; nobody for transactions the server made.
    pub sender: Option<Arc<Sender>>,
    /// Echoed in the reply.
    pub xid: Xid,
    /// What to do.
    pub body: CommittedBody,
}

/// What the tree store is to do.
#[derive(Clone, Debug)]
pub enum CommittedBody {
    /// Apply a transaction.
    Txn(Proposal),
    /// Answer a request, given by its own bytes.
    Travel(Bytes),
    /// Confirm a takeover.
    Attach {
        /// The session taken over.
        session: SessionId,
        /// Its newly negotiated timeout in milliseconds.
        timeout_ms: i32,
    },
}

/// What can happen to the pipeline.
#[derive(Clone, Debug)]
pub enum Input {
    /// This server leads from now on; the first write gets the zxid after `last`.
    Lead {
        /// The epoch it leads.
        epoch: Epoch,
    },
    /// A connection's requests.
    Submit(Submission),
    /// Payloads the server itself proposes: expiries and reaping.
    Propose(Vec<Bytes>),
    /// Durable up to and including this zxid.
    Flushed(Zxid),
    /// Sessions made by committed transactions, and the connections that asked for them.
    Opened(Vec<(SessionId, ConnectionId)>),
    /// Sessions ended by committed transactions.
    Ended(Vec<SessionId>),
    /// A socket is gone.
    Gone(SessionId, ConnectionId),
}

/// What the pipeline wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To the log writer, in order.
    Append(Vec<Proposal>),
    /// To the tree store, in order.
    Commit(Vec<Committed>),
    /// Close these sockets: their session was taken over or has ended.
    Kick(Vec<ConnectionId>),
}

struct Entry {
    zxid: Option<Zxid>,
    committed: Committed,
}

/// See the module.
///
/// Invariant: zxids in `in_flight` rise without a gap, and all are above `committed`.
#[derive(Default)]
pub struct Pipeline {
    last: Option<Zxid>,
    time_ms: i64,
    in_flight: VecDeque<Entry>,
    waiting: Vec<Submission>,
    waiting_own: Vec<Bytes>,
    owners: BTreeMap<SessionId, ConnectionId>,
    /// Writes proposed since the start.
    pub proposed: u64,
    /// Requests dropped since the start because their session had moved to another connection.
    pub dropped: u64,
}

impl Machine for Pipeline {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Lead { epoch } => self.lead(now, epoch, effects),
            Input::Submit(submission) => self.submit(now, submission, effects),
            Input::Propose(payloads) => self.propose_own(now, payloads, effects),
            Input::Flushed(zxid) => self.release(Some(zxid), effects),
            Input::Opened(sessions) => self.owners.extend(sessions),
            Input::Ended(sessions) => self.end(&sessions, effects),
            Input::Gone(session, connection) => self.forget(session, connection),
        }
    }
}

impl Pipeline {
    /// Entries that wait for their turn.
    pub fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    fn lead(&mut self, now: Now, epoch: Epoch, effects: &mut Vec<Effect>) {
        let first = Zxid::new(epoch, 0);
        assert!(self.last.is_none_or(|last| last < first), "epoch {epoch:?} is not new");
        self.last = Some(first);
        for submission in core::mem::take(&mut self.waiting) {
            self.submit(now, submission, effects);
        }
        let own = core::mem::take(&mut self.waiting_own);
        self.propose_own(now, own, effects);
    }

    fn submit(&mut self, now: Now, submission: Submission, effects: &mut Vec<Effect>) {
        if self.last.is_none() {
            self.waiting.push(submission);
            return;
        }
        let sender = submission.sender;
        if self.is_moved(&sender) {
            // What a connection still sends after its session was taken over must never act.
            self.dropped += submission.items.len() as u64;
            effects.push(Effect::Kick(alloc::vec![sender.connection]));
            return;
        }
        let mut proposals = Vec::new();
        for item in submission.items {
            self.admit(now, &sender, item, &mut proposals, effects);
        }
        self.hand_over(proposals, effects);
    }

    fn admit(
        &mut self,
        now: Now,
        sender: &Arc<Sender>,
        item: Item,
        proposals: &mut Vec<Proposal>,
        effects: &mut Vec<Effect>,
    ) {
        let body = match item.body {
            ItemBody::Write(payload) => {
                let proposal = self.proposal(now, payload);
                proposals.push(proposal.clone());
                CommittedBody::Txn(proposal)
            }
            ItemBody::Travel(frame) => CommittedBody::Travel(frame),
            ItemBody::Attach { session, timeout_ms } => {
                self.take_over(session, sender.connection, effects);
                CommittedBody::Attach { session, timeout_ms }
            }
        };
        self.enqueue(Committed { sender: Some(sender.clone()), xid: item.xid, body });
    }

    fn propose_own(&mut self, now: Now, payloads: Vec<Bytes>, effects: &mut Vec<Effect>) {
        if self.last.is_none() {
            self.waiting_own.extend(payloads);
            return;
        }
        let mut proposals = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let proposal = self.proposal(now, payload);
            proposals.push(proposal.clone());
            let body = CommittedBody::Txn(proposal);
            self.enqueue(Committed { sender: None, xid: Xid(0), body });
        }
        self.hand_over(proposals, effects);
    }

    fn proposal(&mut self, now: Now, payload: Bytes) -> Proposal {
        let last = self.last.expect("proposals are made while leading");
        // A used-up counter goes on in the next epoch: alone, no vote is needed for it.
        let zxid = last.next().unwrap_or_else(|| Zxid::new(last.epoch().next(), 1));
        self.last = Some(zxid);
        self.time_ms = self.time_ms.max(now.wall_ms);
        self.proposed += 1;
        Proposal { zxid, time_ms: self.time_ms, payload }
    }

    fn enqueue(&mut self, committed: Committed) {
        let zxid = match &committed.body {
            CommittedBody::Txn(proposal) => Some(proposal.zxid),
            CommittedBody::Travel(_) | CommittedBody::Attach { .. } => None,
        };
        self.in_flight.push_back(Entry { zxid, committed });
    }

    fn hand_over(&mut self, proposals: Vec<Proposal>, effects: &mut Vec<Effect>) {
        if !proposals.is_empty() {
            effects.push(Effect::Append(proposals));
        }
        self.release(None, effects);
    }

    /// Lets out everything up to the durable zxid, and the travellers right behind it.
    fn release(&mut self, flushed: Option<Zxid>, effects: &mut Vec<Effect>) {
        let mut batch = Vec::new();
        while let Some(front) = self.in_flight.front() {
            let free = front.zxid.is_none_or(|zxid| flushed.is_some_and(|upto| zxid <= upto));
            if !free {
                break;
            }
            batch.extend(self.in_flight.pop_front().map(|entry| entry.committed));
        }
        if !batch.is_empty() {
            effects.push(Effect::Commit(batch));
        }
    }

    fn is_moved(&self, sender: &Sender) -> bool {
        self.owners.get(&sender.session).is_some_and(|owner| *owner != sender.connection)
    }

    fn take_over(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        effects: &mut Vec<Effect>,
    ) {
        let before = self.owners.insert(session, connection);
        if let Some(old) = before.filter(|old| *old != connection) {
            effects.push(Effect::Kick(alloc::vec![old]));
        }
    }

    fn end(&mut self, sessions: &[SessionId], effects: &mut Vec<Effect>) {
        let kicked: Vec<_> = sessions.iter().filter_map(|s| self.owners.remove(s)).collect();
        if !kicked.is_empty() {
            effects.push(Effect::Kick(kicked));
        }
    }

    fn forget(&mut self, session: SessionId, connection: ConnectionId) {
        if self.owners.get(&session) == Some(&connection) {
            self.owners.remove(&session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const NOW: Now = Now { mono_ms: 0, wall_ms: 1000 };

    fn sender(connection: u64) -> Arc<Sender> {
        Arc::new(Sender {
            connection: ConnectionId(connection),
            session: SessionId(7),
            codec: Codec::Jute,
            ids: Arc::from([]),
        })
    }

    fn submit(connection: u64, bodies: Vec<ItemBody>) -> Input {
        let items = bodies.into_iter().map(|body| Item { xid: Xid(1), body }).collect();
        Input::Submit(Submission { sender: sender(connection), items })
    }

    fn write() -> ItemBody {
        ItemBody::Write(Bytes::from_static(b"w"))
    }

    fn travel() -> ItemBody {
        ItemBody::Travel(Bytes::from_static(b"r"))
    }

    fn leading() -> Pipeline {
        let mut pipeline = Pipeline::default();
        pipeline.step(NOW, Input::Lead { epoch: Epoch(1) }, &mut Vec::new());
        pipeline
    }

    fn run(pipeline: &mut Pipeline, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        pipeline.step(NOW, input, &mut effects);
        effects
    }

    #[test]
    fn nothing_is_committed_before_its_flush() {
        let mut pipeline = leading();
        let effects = run(&mut pipeline, submit(1, vec![write(), travel(), write()]));
        assert!(matches!(&effects[..], [Effect::Append(proposals)] if proposals.len() == 2));
        let effects = run(&mut pipeline, Input::Flushed(Zxid::new(Epoch(1), 1)));
        assert!(matches!(&effects[..], [Effect::Commit(batch)] if batch.len() == 2));
        let effects = run(&mut pipeline, Input::Flushed(Zxid::new(Epoch(1), 2)));
        assert!(matches!(&effects[..], [Effect::Commit(batch)] if batch.len() == 1));
        assert_eq!(pipeline.outstanding(), 0);
    }

    #[test]
    fn a_traveller_with_nothing_before_it_passes_at_once() {
        let effects = run(&mut leading(), submit(1, vec![travel()]));
        assert!(matches!(&effects[..], [Effect::Commit(batch)] if batch.len() == 1));
    }

    #[test]
    fn requests_wait_for_a_leader() {
        let mut pipeline = Pipeline::default();
        assert!(run(&mut pipeline, submit(1, vec![write()])).is_empty());
        let effects = run(&mut pipeline, Input::Lead { epoch: Epoch(3) });
        let Some(Effect::Append(proposals)) = effects.first() else { panic!("{effects:?}") };
        assert_eq!(proposals[0].zxid, Zxid::new(Epoch(3), 1));
    }

    #[test]
    fn a_connection_whose_session_moved_can_no_longer_write() {
        let mut pipeline = leading();
        run(&mut pipeline, Input::Opened(vec![(SessionId(7), ConnectionId(1))]));
        let attach = ItemBody::Attach { session: SessionId(7), timeout_ms: 4000 };
        let taken = Submission {
            sender: Arc::new(Sender { session: SessionId::NONE, ..(*sender(2)).clone() }),
            items: vec![Item { xid: Xid(0), body: attach }],
        };
        let effects = run(&mut pipeline, Input::Submit(taken));
        assert!(matches!(&effects[0], Effect::Kick(kicked) if kicked[..] == [ConnectionId(1)]));
        let effects = run(&mut pipeline, submit(1, vec![write()]));
        assert!(matches!(&effects[..], [Effect::Kick(_)]));
    }

    #[test]
    fn the_counter_goes_on_in_the_next_epoch() {
        let mut pipeline = leading();
        pipeline.last = Some(Zxid::new(Epoch(1), u32::MAX));
        let effects = run(&mut pipeline, submit(1, vec![write()]));
        let Some(Effect::Append(proposals)) = effects.first() else { panic!("{effects:?}") };
        assert_eq!(proposals[0].zxid, Zxid::new(Epoch(2), 1));
    }

    #[test]
    fn time_never_goes_back() {
        let mut pipeline = leading();
        run(&mut pipeline, submit(1, vec![write()]));
        let mut effects = Vec::new();
        let earlier = Now { mono_ms: 5, wall_ms: 10 };
        pipeline.step(earlier, submit(1, vec![write()]), &mut effects);
        let Some(Effect::Append(proposals)) = effects.first() else { panic!("{effects:?}") };
        assert_eq!(proposals[0].time_ms, NOW.wall_ms);
    }
}
