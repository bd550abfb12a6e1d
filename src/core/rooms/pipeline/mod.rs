//! The proposal pipeline: every write of this server's clients on its way into the one history,
//! and the history on its way to the tree.
//!
//! It hosts the Zab member, so the epoch in force, acknowledgements and commits are its affair.
//! Around the member it keeps what Zab is blind to: the requests of this server's clients that
//! are not decided yet ([`desk`]), their way to the leader ([`relay`]), and, on the leader, which
//! connection speaks for which session ([`owners`]).
//!
//! Clients survive the loss of a leader here. Nothing is answered on a guess: when a new leader's
//! history is known, what is in it is answered, and the rest is asked for again, in order.
//!
//! Elections and links are not here, nor is what a payload means.

mod anew;
mod clients;
mod desk;
mod io;
mod lead;
mod owners;
mod relay;
mod requests;
mod sessions;
#[cfg(test)]
pub(super) mod tests;

pub use io::{Effect, Input, PeerMessage, PipelineSettings};
pub use relay::{Forwarded, ForwardedBody, Ownership, Relay};
pub use requests::{Claim, Committed, CommittedBody, Item, ItemBody, Sender, Submission};

use super::{Machine, Now};
use crate::types::{ConnectionId, ServerId, SessionId, Xid, Zxid};
use crate::wire::txn;
use crate::words::Summary;
use crate::zab::io::{Flow, MemberEffect, MemberInput};
use crate::zab::member::Member;
use crate::zab::message::Message;
use crate::zab::{Proposal, Reign};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use anew::{Ground, rests_on_a_member};
use desk::Desk;
use lead::Asked;
use owners::Owners;

/// Whether writes find a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// There is no leader, or its history is not delivered yet: requests wait at the desk.
    Closed,
    /// To this leader.
    Open(Reign),
}

/// See the module.
pub struct Pipeline {
    me: ServerId,
    /// Whether nobody else can ever lead.
    alone: bool,
    ground: Ground,
    member: Member,
    /// The member waits for what the log holds.
    is_restoring: bool,
    /// Servers whose link is being broken: what still comes by it was said to an earlier member.
    muted: BTreeSet<ServerId>,
    /// Said to the member that is still to be made, by links that are new.
    unheard: Vec<(ServerId, Vec<PeerMessage>)>,
    /// What outlives a pipeline is being changed.
    is_changing: bool,
    inputs: VecDeque<MemberInput>,
    scratch: Vec<MemberEffect>,
    desk: Desk,
    /// Some wanted to be vouched for, and were not told since that they may ask again.
    has_asked: bool,
    way: Way,
    /// Serving under a reign whose initial history, up to this zxid, is still being delivered.
    settling: Option<(Reign, Zxid)>,
    /// End of the initial history of the reign served under last.
    inherited: Zxid,
    delivered: Zxid,
    /// Time of the latest entry given to the log, in milliseconds since 1970.
    time_ms: i64,
    owners: Owners,
    /// Which of this server's connections speaks for which session, and since when.
    attached: BTreeMap<SessionId, (ConnectionId, Zxid)>,
    /// Confirmations asked of the member, and for whom.
    tokens: BTreeMap<u64, Asked>,
    next_token: u64,
    ready: Vec<Committed>,
    /// Connections whose requests nobody can tell the fate of; they are being closed.
    lost: BTreeSet<ConnectionId>,
    /// Writes taken in since the start.
    pub proposed: u64,
    /// Bytes of the last of them.
    pub last_proposal_bytes: u64,
    /// Bytes of all of them.
    pub proposal_bytes: Summary,
    /// Proposals that a leader sent, since the start.
    pub proposals_received: u64,
    /// Reports of learners that something is durable there, since the start.
    pub acks_received: u64,
    /// Requests dropped since the start because their session had moved to another connection.
    pub dropped: u64,
}

impl Machine for Pipeline {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Received(from, _) if self.muted.contains(&from) => {}
            Input::Received(from, messages) if self.is_restoring => {
                self.hear_later(from, messages, effects);
            }
            input if self.is_restoring && rests_on_a_member(&input) => {}
            Input::Start => self.member.start(&mut self.scratch),
            Input::Anew => self.begin_anew(effects),
            Input::Restated(restated) => self.restated(now, restated, effects),
            Input::Try(leader) => self.tell(MemberInput::Try(leader)),
            Input::Received(from, messages) => self.received(now, from, messages, effects),
            Input::LinkDown(peer) => self.link_down(peer),
            Input::Submit(submission) => self.submit(submission, effects),
            Input::Vouch(senders) => self.vouch_for(senders, effects),
            Input::Propose(payloads) => self.propose_own(payloads),
            Input::Durable(mark) => self.tell(MemberInput::Durable(mark)),
            Input::History(reader, history) => self.tell(MemberInput::History(reader, history)),
            Input::SnapshotRead { learner, zxid, bytes, last } => {
                self.tell(MemberInput::SnapshotRead { learner, zxid, bytes, last });
            }
            Input::SnapshotUnreadable(learner) => {
                self.tell(MemberInput::SnapshotUnreadable { learner });
            }
            Input::SnapshotInstalled(zxid) => self.tell(MemberInput::SnapshotInstalled(zxid)),
            Input::SnapshotLost => self.tell(MemberInput::SnapshotLost),
            Input::Loaded(zxid) => self.tell(MemberInput::Delivered(zxid)),
            Input::Opened(sessions, zxid) => {
                let owns = self.changing(|this| this.opened(sessions, zxid));
                self.claim(owns, effects);
            }
            Input::Attached(session, connection, zxid) => {
                // It may have moved on meanwhile.
                let known = self.attached.get(&session).copied();
                if known.is_some_and(|(owner, _)| owner == connection) {
                    let sessions = alloc::vec![(session, connection)];
                    let owns = self.changing(|this| this.opened(sessions, zxid));
                    self.claim(owns, effects);
                }
            }
            Input::Ended(sessions) => self.changing(|this| this.ended(&sessions, effects)),
            Input::Gone(session, connection) => {
                self.changing(|this| this.gone(session, connection));
            }
            Input::Touched(sessions) => self.touched(sessions, effects),
            Input::Tick => self.tell(MemberInput::Tick),
        }
        self.drive(now, effects);
        // What was decided made room for more.
        self.forward(effects);
        self.hand_over(effects);
        if self.has_asked && !self.desk.asks() {
            self.has_asked = false;
            effects.push(Effect::MayAsk);
        }
    }
}

impl Pipeline {
    /// A pipeline that has not begun; see [`Input::Start`].
    pub fn new(settings: PipelineSettings) -> Self {
        let PipelineSettings { me, membership, timing, recovered, window_bytes, first_serial } =
            settings;
        let flow = Flow::default();
        let ground = Ground { membership, timing, window_bytes, flow, counter_max: None };
        Self {
            me,
            alone: ground.membership.is_single(),
            member: ground.member(me, recovered),
            ground,
            is_restoring: false,
            muted: BTreeSet::new(),
            unheard: Vec::new(),
            is_changing: false,
            inputs: VecDeque::new(),
            scratch: Vec::new(),
            desk: Desk::new(first_serial),
            has_asked: false,
            way: Way::Closed,
            settling: None,
            inherited: Zxid::ZERO,
            delivered: recovered.delivered,
            time_ms: recovered.time_ms,
            owners: Owners::default(),
            attached: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: 0,
            ready: Vec::new(),
            lost: BTreeSet::new(),
            proposed: 0,
            last_proposal_bytes: 0,
            proposal_bytes: Summary::default(),
            proposals_received: 0,
            acks_received: 0,
            dropped: 0,
        }
    }

    /// Begins a new epoch as soon as a counter reaches `counter_max`: see
    /// [`Member::roll_over_at`].
    pub fn roll_over_at(&mut self, counter_max: u32) {
        self.ground.counter_max = Some(counter_max);
        self.member.roll_over_at(counter_max);
    }

    /// Requests of this server's clients that are not decided yet.
    pub fn outstanding(&self) -> usize {
        self.desk.len()
    }

    /// Requests that wait for this server's proof that it leads.
    pub fn confirmations(&self) -> usize {
        self.tokens.len()
    }

    /// How much may be under way, if it is not the usual: see [`Member::let_flow`].
    pub fn let_flow(&mut self, flow: Flow) {
        self.ground.flow = flow;
        self.member.let_flow(flow);
    }

    /// The Zab member, for four-letter words and metrics.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The reign it serves under, if it does.
    pub fn reign(&self) -> Option<Reign> {
        match (self.way, self.settling) {
            (Way::Open(reign), _) | (Way::Closed, Some((reign, _))) => Some(reign),
            (Way::Closed, None) => None,
        }
    }

    /// The same, for operators: to them it serves when the tree has what the reign began with,
    /// and not while that is on its way, be it as a snapshot.
    pub fn reign_seen_by(&self, applied: Zxid) -> Option<Reign> {
        self.reign().filter(|_| applied >= self.inherited)
    }

    /// For the member, behind what it is to be told already. It is never told anything while its
    /// effects are being carried out: what those lead to must stand behind all of them.
    fn tell(&mut self, input: MemberInput) {
        self.inputs.push_back(input);
    }

    fn drive(&mut self, now: Now, effects: &mut Vec<Effect>) {
        loop {
            for effect in core::mem::take(&mut self.scratch) {
                self.carry_out(effect, effects);
            }
            let Some(input) = self.inputs.pop_front() else { break };
            self.member.step(now, input, &mut self.scratch);
        }
    }

    fn carry_out(&mut self, effect: MemberEffect, effects: &mut Vec<Effect>) {
        match effect {
            MemberEffect::Send(to, message) => {
                effects.push(Effect::Send(to, PeerMessage::Zab(message)));
            }
            MemberEffect::Disconnect(peer) => effects.push(Effect::Disconnect(peer)),
            MemberEffect::Log { mark, committed, orders } => {
                self.note_time(&orders);
                effects.push(Effect::Log { mark, committed, orders });
            }
            MemberEffect::Deliver(proposals) => {
                self.changing(|this| this.deliver(proposals, effects));
                self.tell(MemberInput::Delivered(self.delivered));
                self.settle(effects);
            }
            MemberEffect::LoadSnapshot(zxid) => {
                self.changing(|this| this.load(zxid, effects));
                self.settle(effects);
            }
            MemberEffect::Serve { reign, history } => self.serve(reign, history, effects),
            MemberEffect::Suspend => self.suspend(effects),
            MemberEffect::Look { epoch, last } => effects.push(Effect::Look { epoch, last }),
            // The servers they came from ask again when they have a leader.
            MemberEffect::Refused(_) => {}
            MemberEffect::BeginsAnew(learner) => self.forget_asked_by(learner),
            MemberEffect::Confirmed { token, target } => self.confirmed(token, target, effects),
            MemberEffect::ReadHistory(reader, after) => {
                effects.push(Effect::ReadHistory(reader, after));
            }
            MemberEffect::OpenSnapshot(learner) => effects.push(Effect::OpenSnapshot(learner)),
            MemberEffect::ReadSnapshot(learner) => effects.push(Effect::ReadSnapshot(learner)),
            MemberEffect::CloseSnapshot(learner) => effects.push(Effect::CloseSnapshot(learner)),
            MemberEffect::BeginSnapshot(zxid) => effects.push(Effect::BeginSnapshot(zxid)),
            MemberEffect::WriteSnapshot { bytes, last } => {
                effects.push(Effect::WriteSnapshot { bytes, last });
            }
            MemberEffect::Halt(reason) => effects.push(Effect::Halt(reason)),
        }
    }

    fn deliver(&mut self, proposals: Vec<Proposal>, effects: &mut Vec<Effect>) {
        for proposal in proposals {
            self.delivered = proposal.zxid;
            let moved = txn::takeover(&proposal.payload);
            let mut taker = None;
            if proposal.origin.server == self.me {
                taker = self.desk.connection_of(proposal.origin.serial);
                self.desk.deliver(proposal, &mut self.ready);
            } else {
                let body = CommittedBody::Txn(proposal);
                self.ready.push(Committed { sender: None, xid: Xid(0), body });
            }
            if let Some(session) = moved {
                self.moved(session, taker, effects);
            }
            self.desk.reached(self.delivered, &mut self.ready);
        }
    }

    fn load(&mut self, zxid: Zxid, effects: &mut Vec<Effect>) {
        self.hand_over(effects);
        self.delivered = zxid;
        effects.push(Effect::Load(zxid));
        self.lose_track(effects);
    }

    fn hand_over(&mut self, effects: &mut Vec<Effect>) {
        if !self.ready.is_empty() {
            effects.push(Effect::Commit(core::mem::take(&mut self.ready)));
        }
    }

    // The reign.

    fn serve(&mut self, reign: Reign, history: Zxid, effects: &mut Vec<Effect>) {
        effects.push(Effect::Serving(reign));
        if let Way::Open(before) = self.way
            && before.leader == reign.leader
        {
            // The same leader in its next epoch: nothing that was under way is lost.
            self.way = Way::Open(reign);
            return;
        }
        if self.reign().is_none_or(|before| before.leader != reign.leader) {
            self.owners.clear();
        }
        self.way = Way::Closed;
        self.settling = Some((reign, history));
        self.inherited = history;
        self.settle(effects);
    }

    /// Once the initial history of a reign is delivered, what is still at the desk is in no
    /// history and never will be, unless it is asked for again.
    fn settle(&mut self, effects: &mut Vec<Effect>) {
        let Some((reign, history)) = self.settling else { return };
        if self.delivered < history {
            return;
        }
        self.settling = None;
        self.way = Way::Open(reign);
        let owns = self.attached.iter().map(|(session, (connection, since))| Ownership {
            session: *session,
            connection: *connection,
            since: *since,
        });
        let owns: Vec<_> = owns.collect();
        self.claim(owns, effects);
        let question = self.changing(|this| this.desk.again());
        self.ask(question, effects);
        self.forward(effects);
    }

    fn suspend(&mut self, effects: &mut Vec<Effect>) {
        self.way = Way::Closed;
        self.settling = None;
        self.tokens.clear();
        self.desk.forget_vouchers();
        effects.push(Effect::Suspended);
    }

    // Other servers.

    fn received(
        &mut self,
        now: Now,
        from: ServerId,
        messages: Vec<PeerMessage>,
        effects: &mut Vec<Effect>,
    ) {
        for message in messages {
            match message {
                PeerMessage::Zab(message) => {
                    self.count(&message);
                    if let Message::SyncSnapshot { time_ms, .. } = message {
                        self.time_ms = self.time_ms.max(time_ms);
                    }
                    self.tell(MemberInput::Received(from, message));
                }
                PeerMessage::Relay(relay) => self.relayed(from, relay, effects),
            }
            // One after the other: what one leads to, the next may build on.
            self.drive(now, effects);
        }
    }

    /// For operators; whether the member makes anything of the message is its affair.
    fn count(&mut self, message: &Message) {
        if let Message::Propose { entries, .. } = message {
            self.proposals_received += entries.len() as u64;
        }
        self.acks_received += u64::from(matches!(message, Message::Ack { .. }));
    }

    fn relayed(&mut self, from: ServerId, relay: Relay, effects: &mut Vec<Effect>) {
        let from_leader = self.follows(from);
        // Who has not heard yet that its link was made anew may go on where it stood, though what
        // it said last was lost: it has to ask to follow first.
        let from_learner = self.leads() && self.member.is_followed_by(from);
        match relay {
            Relay::Forward(requests) if from_learner => self.take_in(from, requests, effects),
            Relay::Owns(owns) if from_learner => {
                for report in owns {
                    let lost = self.owners.learn(from, report);
                    self.kick(lost, effects);
                }
            }
            Relay::Touched(sessions) if from_learner => effects.push(Effect::Touch(sessions)),
            Relay::Confirmed { serial, target } if from_leader => {
                self.vouched_for(serial, target);
            }
            Relay::Moved { serial } if from_leader => self.abandon(serial, effects),
            Relay::Kick(connections) if from_leader => effects.push(Effect::Kick(connections)),
            // Said to or by a leader that no longer is one: whoever said it says it again.
            Relay::Forward(requests) => self.dropped += requests.len() as u64,
            Relay::Owns(_)
            | Relay::Touched(_)
            | Relay::Confirmed { .. }
            | Relay::Moved { .. }
            | Relay::Kick(_) => {}
        }
    }
}
