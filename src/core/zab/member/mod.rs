//! A member of the ensemble: everything of Zab that comes after an election.
//!
//! One machine, split by phase: [`learner`] and [`staging`] for one that follows; [`leader`],
//! [`sync`], [`broadcast`], [`pulse`] and [`roll_over`] for one that leads; [`ground`] and
//! [`window`] for what both stand on. This file knows which role is played and hands each input
//! to it. Who should lead is decided elsewhere ([`super::election`]), what a payload means too.
//!
//! A role is left in three steps: it ends at once, so that nothing more is promised; what it gave
//! to the disk is waited for; then the election is asked to look, with what is durable. So no
//! write of one role can land in another, and every role begins with a history that is on disk.

mod broadcast;
mod ground;
mod leader;
mod learner;
mod pulse;
mod queue;
mod roll_over;
mod staging;
mod sync;
mod window;

use self::ground::{Answer, Effects, Ground, Read};
use self::leader::{Leader, Peer};
use self::learner::Learner;
use self::roll_over::{COUNTER_MAX, RollOver};
use self::sync::Chunk;
use super::io::{Flow, MemberEffect, MemberInput, Timing};
use super::message::Message;
use super::quorum::Membership;
use super::{Draft, History, HistoryReader, Recovered, Reign};
use crate::rooms::{Machine, Now};
use crate::types::{Epoch, ServerId, Zxid};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Most bytes of proposals on their way to one learner. A slower one is cut off and synchronised
/// again later, from the disk.
pub const LEARNER_BYTES_MAX: usize = 64 << 20;

/// The last epoch: a zxid has to stay positive as a signed number.
const EPOCH_MAX: Epoch = Epoch(i32::MAX as u32);

#[derive(Clone, Debug)]
enum Role {
    /// The role before was left; its writes are still on their way to the disk.
    Draining,
    /// The election has been asked.
    Looking,
    Learning(Learner),
    Leading(Leader),
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Member {
    ground: Ground,
    role: Role,
    /// Servers that want this one to lead, before it knows whether it will.
    askers: BTreeMap<ServerId, (u64, Reign)>,
    attempts: u64,
    counter_max: u32,
    ticked_ms: Option<u64>,
}

impl Machine for Member {
    type Input = MemberInput;
    type Effect = MemberEffect;

    fn step(&mut self, now: Now, input: MemberInput, effects: &mut Vec<MemberEffect>) {
        self.ground.now = now;
        match input {
            MemberInput::Try(leader) => self.try_leader(leader, effects),
            MemberInput::Received(from, message) => self.receive(from, message, effects),
            MemberInput::LinkDown(peer) => self.link_down(peer, effects),
            MemberInput::Durable(mark) => self.durable(mark, effects),
            MemberInput::Propose(drafts) => self.propose(drafts, effects),
            MemberInput::Confirm { token, asker } => self.confirm(token, asker, effects),
            MemberInput::History(reader, history) => self.history(reader, history, effects),
            MemberInput::SnapshotRead { learner, zxid, bytes, last } => {
                self.snapshot_read(learner, Chunk { zxid, bytes, last }, effects);
            }
            MemberInput::SnapshotUnreadable { learner } => {
                self.snapshot_unreadable(learner, effects);
            }
            MemberInput::SnapshotInstalled(zxid) => self.snapshot_installed(zxid, effects),
            MemberInput::SnapshotLost => self.snapshot_lost(effects),
            MemberInput::Delivered(zxid) => {
                self.ground.taken = self.ground.taken.max(zxid);
                self.ground.deliver(effects);
            }
            MemberInput::Tick => self.tick(effects),
        }
        self.leave_if_asked(effects);
    }
}

impl Member {
    /// A member that has just recovered. `window_bytes` is how much history is kept in memory
    /// for learners, about.
    pub fn new(
        me: ServerId,
        membership: Membership,
        timing: Timing,
        recovered: Recovered,
        window_bytes: usize,
    ) -> Self {
        Self {
            ground: Ground::new(me, membership, timing, recovered, window_bytes),
            role: Role::Draining,
            askers: BTreeMap::new(),
            attempts: 0,
            counter_max: COUNTER_MAX,
            ticked_ms: None,
        }
    }

    /// Begins a new epoch as soon as a counter reaches `counter_max`, at least 1: for trials of
    /// what is otherwise rare. Takes effect with the next role.
    pub fn roll_over_at(&mut self, counter_max: u32) {
        self.counter_max = counter_max.max(1);
    }

    /// How much may be under way, if it is not the usual. Takes effect with the next role.
    pub fn let_flow(&mut self, flow: Flow) {
        self.ground.flow = flow;
    }

    /// Begins: the host is given what is known to be committed, and a leader is looked for.
    pub fn start(&mut self, effects: &mut Vec<MemberEffect>) {
        self.ground.deliver(effects);
        self.look_when_drained(effects);
    }

    /// The history was adopted with a snapshot, at this zxid, that the host's state lacks. To be
    /// said before [`Self::start`].
    pub fn begins_with_a_snapshot(&mut self, zxid: Zxid) {
        self.ground.committed = self.ground.committed.max(zxid);
        self.ground.unloaded = Some(zxid);
    }

    /// Messages and answers that came too late to mean anything, since this was asked last.
    pub fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.ground.dropped)
    }

    /// Whether the election has been asked and has not named a candidate yet.
    pub fn is_looking(&self) -> bool {
        matches!(self.role, Role::Looking)
    }

    /// The end of the history, whether durable or not.
    pub fn logged(&self) -> Zxid {
        self.ground.logged()
    }

    /// Everything up to here is known to be committed.
    pub fn committed(&self) -> Zxid {
        self.ground.committed
    }

    /// Whether this server leads and that one has adopted its history, on the link they have now.
    pub fn is_followed_by(&self, server: ServerId) -> bool {
        match &self.role {
            Role::Draining | Role::Looking | Role::Learning(_) => false,
            Role::Leading(leader) => leader.peers.get(&server).is_some_and(Peer::follows),
        }
    }

    /// Servers that ask this one to lead them: whether each has adopted its history, and up to
    /// where it is known to be durable there. Empty unless this server leads.
    pub fn learners(&self) -> Vec<(ServerId, bool, Zxid)> {
        match &self.role {
            Role::Draining | Role::Looking | Role::Learning(_) => Vec::new(),
            Role::Leading(leader) => {
                let peers = leader.peers.iter();
                peers.map(|(server, peer)| (*server, peer.has_adopted(), peer.matched)).collect()
            }
        }
    }

    fn try_leader(&mut self, leader: ServerId, out: &mut Effects) {
        match self.role {
            Role::Looking => {}
            Role::Draining | Role::Learning(_) | Role::Leading(_) => {
                self.ground.dropped += 1;
                return;
            }
        }
        if leader == self.ground.me {
            return self.stand(out);
        }
        let epoch = self.ground.accepted.epoch;
        for asker in core::mem::take(&mut self.askers).into_keys() {
            out.push(MemberEffect::Send(asker, Message::Leave { epoch }));
        }
        self.attempts += 1;
        self.role = Role::Learning(Learner::new(&self.ground, leader, self.attempts, out));
    }

    fn stand(&mut self, out: &mut Effects) {
        if !self.ground.electorate.membership.is_voter(self.ground.me) {
            self.ground.is_leaving = true;
            return;
        }
        let mut leader = Leader::new(&self.ground, RollOver::new(self.counter_max));
        leader.fix_epoch(&mut self.ground, out);
        for (asker, (attempt, accepted)) in core::mem::take(&mut self.askers) {
            leader.info(&mut self.ground, asker, attempt, accepted, out);
        }
        self.role = Role::Leading(leader);
    }

    fn receive(&mut self, from: ServerId, message: Message, out: &mut Effects) {
        if from == self.ground.me || !self.ground.electorate.members.contains(&from) {
            self.ground.dropped += 1;
            return;
        }
        match (&mut self.role, message) {
            (Role::Leading(leader), message) => {
                leader.receive(&mut self.ground, from, message, out);
            }
            (Role::Learning(learner), Message::Info { .. }) => {
                let epoch = learner.epoch;
                out.push(MemberEffect::Send(from, Message::Leave { epoch }));
                // Two servers that want to follow each other would wait for long.
                self.ground.is_leaving |= learner.leader == from;
            }
            (Role::Learning(learner), message) if learner.leader == from => {
                learner.receive(&mut self.ground, message, out);
            }
            (Role::Draining | Role::Looking, Message::Info { attempt, accepted }) => {
                self.askers.insert(from, (attempt, accepted));
            }
            (Role::Draining | Role::Looking, Message::Leave { .. }) => {
                self.askers.remove(&from);
            }
            (Role::Draining | Role::Looking | Role::Learning(_), _) => self.ground.dropped += 1,
        }
    }

    fn link_down(&mut self, peer: ServerId, out: &mut Effects) {
        self.askers.remove(&peer);
        match &mut self.role {
            Role::Draining | Role::Looking => {}
            Role::Learning(learner) => self.ground.is_leaving |= learner.leader == peer,
            Role::Leading(leader) => leader.lost(&mut self.ground, peer, out),
        }
    }

    fn durable(&mut self, mark: u64, out: &mut Effects) {
        let Self { ground, role, .. } = self;
        while let Some(promise) = ground.pop_durable(mark) {
            match role {
                Role::Draining | Role::Looking => {}
                Role::Learning(learner) => learner.durable(ground, promise, out),
                Role::Leading(leader) => leader.durable(ground, promise, out),
            }
        }
        match role {
            Role::Draining | Role::Looking => ground.deliver(out),
            Role::Learning(learner) => learner.after_durable(ground, out),
            Role::Leading(leader) => leader.advance(ground, out),
        }
    }

    fn propose(&mut self, drafts: Vec<Draft>, out: &mut Effects) {
        match &mut self.role {
            Role::Leading(leader) => leader.propose(&mut self.ground, drafts, out),
            Role::Draining | Role::Looking | Role::Learning(_) => {
                let origins = drafts.iter().map(|draft| draft.origin).collect();
                out.push(MemberEffect::Refused(origins));
            }
        }
    }

    fn confirm(&mut self, token: u64, asker: ServerId, out: &mut Effects) {
        match &mut self.role {
            Role::Leading(leader) => leader.confirm(&mut self.ground, token, asker, out),
            Role::Draining | Role::Looking | Role::Learning(_) => self.ground.dropped += 1,
        }
    }

    fn history(&mut self, reader: HistoryReader, history: History, out: &mut Effects) {
        let answer = self.ground.answered(Read::History(reader));
        match reader {
            HistoryReader::Host => self.ground.history_for_host(history, out),
            // Whoever reads for that is answered elsewhere.
            HistoryReader::Rebuild => self.ground.dropped += 1,
            HistoryReader::Learner(learner) => {
                self.for_learner(answer, |leader, ground| {
                    leader.history_for_learner(ground, learner, (answer, history), out);
                });
            }
        }
    }

    fn snapshot_read(&mut self, learner: ServerId, chunk: Chunk, out: &mut Effects) {
        let answer = self.ground.answered(Read::Snapshot(learner));
        self.for_learner(answer, |leader, ground| {
            leader.snapshot_read(ground, learner, (answer, chunk), out);
        });
    }

    fn snapshot_unreadable(&mut self, learner: ServerId, out: &mut Effects) {
        let answer = self.ground.answered(Read::Snapshot(learner));
        self.for_learner(answer, |leader, ground| {
            leader.snapshot_unreadable(ground, learner, answer, out);
        });
    }

    /// An answer of the disk that was asked for on behalf of a learner.
    fn for_learner(&mut self, answer: Answer, take: impl FnOnce(&mut Leader, &mut Ground)) {
        self.ground.dropped += u64::from(answer == Answer::Stale);
        match &mut self.role {
            Role::Leading(leader) => take(leader, &mut self.ground),
            Role::Draining | Role::Looking | Role::Learning(_) => {}
        }
    }

    fn snapshot_installed(&mut self, zxid: Zxid, out: &mut Effects) {
        self.ground.installing = false;
        match &mut self.role {
            Role::Learning(learner) => learner.snapshot_installed(&mut self.ground, zxid, out),
            Role::Draining | Role::Looking | Role::Leading(_) => {}
        }
    }

    fn snapshot_lost(&mut self, out: &mut Effects) {
        self.ground.installing = false;
        match &self.role {
            Role::Learning(learner) => learner.snapshot_lost(&mut self.ground, out),
            Role::Draining | Role::Looking | Role::Leading(_) => {}
        }
    }

    fn tick(&mut self, out: &mut Effects) {
        let now_ms = self.ground.now.mono_ms;
        let since_ms = self.ticked_ms.map_or(0, |ticked_ms| now_ms.saturating_sub(ticked_ms));
        self.ticked_ms = Some(now_ms);
        let paused = since_ms > self.ground.timing.silence_ms / 2;
        match &mut self.role {
            Role::Draining | Role::Looking => {}
            Role::Learning(learner) => learner.tick(&mut self.ground, paused),
            Role::Leading(leader) => leader.tick(&mut self.ground, paused, out),
        }
    }

    /// Ends the role if this step found that it has to end.
    fn leave_if_asked(&mut self, out: &mut Effects) {
        if core::mem::take(&mut self.ground.is_leaving) {
            match core::mem::replace(&mut self.role, Role::Draining) {
                Role::Draining | Role::Looking => {}
                Role::Learning(mut learner) => learner.leave(out),
                Role::Leading(mut leader) => leader.leave(&mut self.ground, out),
            }
        }
        self.look_when_drained(out);
    }

    fn look_when_drained(&mut self, out: &mut Effects) {
        match self.role {
            Role::Draining if self.ground.is_drained() => {
                assert_eq!(self.ground.durable, self.ground.logged(), "what is drained is durable");
                self.role = Role::Looking;
                let (epoch, last) = (self.ground.current.epoch, self.ground.durable);
                out.push(MemberEffect::Look { epoch, last });
            }
            Role::Draining | Role::Looking | Role::Learning(_) | Role::Leading(_) => {}
        }
    }
}

impl Leader {
    fn receive(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        message: Message,
        out: &mut Effects,
    ) {
        match message {
            Message::Info { attempt, accepted } => {
                return self.info(ground, from, attempt, accepted, out);
            }
            Message::Leave { .. } => return self.remove(ground, from, out),
            _ if message.epoch() != Some(self.epoch) => {
                ground.dropped += 1;
                return;
            }
            _ => {}
        }
        match message {
            Message::AckEpoch { current, last, counts, .. } => {
                self.ack_epoch(ground, from, (current, last), counts, out);
            }
            Message::SyncTaken { count, .. } => self.sync_taken(ground, from, count, out),
            Message::AckNewLeader { .. } => self.ack_new_leader(ground, from, out),
            Message::Ack { durable, .. } => self.ack(ground, from, durable, out),
            Message::Pong { round, .. } => self.pong(ground, from, round, out),
            Message::Info { .. }
            | Message::LeaderInfo { .. }
            | Message::SyncFrom { .. }
            | Message::SyncSnapshot { .. }
            | Message::SnapshotChunk { .. }
            | Message::SyncEntries { .. }
            | Message::NewLeader { .. }
            | Message::UpToDate { .. }
            | Message::Propose { .. }
            | Message::Commit { .. }
            | Message::Ping { .. }
            | Message::Leave { .. } => ground.dropped += 1,
        }
    }
}

#[cfg(test)]
mod member_test;
