//! A candidate on its way to be leader: an epoch is agreed on, the history is adopted by a
//! quorum, and the leader is established.
//!
//! How one learner is brought up to date is in [`super::sync`], what an established leader does
//! in [`super::broadcast`] and [`super::pulse`].

use super::EPOCH_MAX;
use super::ground::{Effects, Ground, Promise};
use super::pulse::Pulse;
use super::queue::{Queue, UnderWay};
use super::roll_over::RollOver;
use super::sync::Sync;
use super::window::Window;
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::io::{Flow, MemberEffect};
use crate::zab::message::Message;
use crate::zab::{LogOrder, Reign};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for a quorum to ask.
    Gathering,
    /// The epoch is fixed; the promise to oneself is on its way to the disk.
    Promising,
    /// Waits for a quorum to promise.
    Electing,
    /// Elected: a quorum has to adopt the history.
    Adopting,
    /// A quorum has.
    Established,
}

/// How far a learner has come.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// Has asked, and is not told the epoch yet.
    Waiting,
    /// Was told.
    Invited,
    /// Has promised; its history ends here.
    Promised(Zxid),
    /// Gets history.
    Syncing(Sync),
    /// Has been sent everything and gets what comes; its acknowledgement will mean this.
    Forwarded(Zxid),
    /// Has adopted.
    Adopted,
}

/// A learner as its leader sees it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) attempt: u64,
    pub(super) progress: Progress,
    /// Whether its promise to this epoch was counted.
    pub(super) is_counted: bool,
    /// Durable there.
    pub(super) matched: Zxid,
    /// Batches on their way.
    pub(super) unacknowledged: UnderWay,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    pub(super) phase: Phase,
    /// The epoch that messages carry. Follows `accepted` once that is durable.
    pub(super) epoch: Epoch,
    /// Whether the host serves, also while this leader moves to another epoch.
    pub(super) is_serving: bool,
    /// Whether this server's own adoption is durable.
    pub(super) has_adopted: bool,
    pub(super) peers: BTreeMap<ServerId, Peer>,
    pub(super) pulse: Pulse,
    pub(super) roll_over: RollOver,
    pub(super) queue: Queue,
    /// Batches that are not committed.
    pub(super) under_way: UnderWay,
    pub(super) flow: Flow,
    pub(super) progress_ms: u64,
}

impl Peer {
    pub(super) fn new(attempt: u64) -> Self {
        Self {
            attempt,
            progress: Progress::Waiting,
            is_counted: false,
            matched: Zxid::ZERO,
            unacknowledged: UnderWay::default(),
        }
    }

    pub(super) fn has_adopted(&self) -> bool {
        matches!(self.progress, Progress::Adopted)
    }

    /// Whether it gets new proposals.
    pub(super) fn is_forwarded(&self) -> bool {
        matches!(self.progress, Progress::Forwarded(_) | Progress::Adopted)
    }

    /// Whether it has adopted this leader's history, be it that of the epoch before.
    pub(super) fn follows(&self) -> bool {
        self.has_adopted() || self.is_in_place()
    }

    /// Whether it moves with an established leader to a new epoch.
    pub(super) fn is_in_place(&self) -> bool {
        self.attempt == 0
    }
}

impl Leader {
    pub(super) fn new(ground: &Ground, roll_over: RollOver) -> Self {
        Self {
            phase: Phase::Gathering,
            epoch: ground.accepted.epoch,
            is_serving: false,
            has_adopted: false,
            peers: BTreeMap::new(),
            pulse: Pulse::new(ground.now.mono_ms),
            roll_over,
            queue: Queue::default(),
            under_way: UnderWay::default(),
            flow: ground.flow,
            progress_ms: ground.now.mono_ms,
        }
    }

    /// A server asks to follow; what it said before is void.
    pub(super) fn info(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        attempt: u64,
        accepted: Reign,
        out: &mut Effects,
    ) {
        if accepted.epoch >= EPOCH_MAX || attempt == 0 {
            ground.dropped += 1;
            out.push(MemberEffect::Disconnect(from));
            return;
        }
        self.remove(ground, from, out);
        self.queue.forget(from);
        out.push(MemberEffect::BeginsAnew(from));
        self.peers.insert(from, Peer::new(attempt));
        match self.phase {
            Phase::Gathering => {
                self.epoch = self.epoch.max(accepted.epoch);
                self.fix_epoch(ground, out);
            }
            // It would refuse this epoch, and keep away as long as it lasts.
            Phase::Established if accepted.epoch > ground.accepted.epoch => {
                self.roll_over.demand(accepted.epoch);
                self.roll(ground, out);
            }
            Phase::Promising | Phase::Electing | Phase::Adopting | Phase::Established
                if accepted.epoch > ground.accepted.epoch =>
            {
                ground.is_leaving = true;
            }
            Phase::Promising => {}
            Phase::Electing | Phase::Adopting | Phase::Established => {
                self.invite(ground, from, out);
            }
        }
    }

    /// As soon as a quorum has asked, the epoch is one that all of it can promise.
    pub(super) fn fix_epoch(&mut self, ground: &mut Ground, out: &mut Effects) {
        let askers = self.peers.keys().copied();
        if self.phase != Phase::Gathering || !ground.electorate.decide(ground.me, askers) {
            return;
        }
        let epoch = self.epoch.max(ground.accepted.epoch);
        if epoch >= EPOCH_MAX {
            out.push(MemberEffect::Halt("all epochs are used up"));
            return;
        }
        self.progressed(ground, Phase::Promising);
        ground.accept(Reign { epoch: epoch.next(), leader: ground.me }, out);
    }

    fn progressed(&mut self, ground: &Ground, phase: Phase) {
        self.phase = phase;
        self.progress_ms = ground.now.mono_ms;
    }

    fn invite(&mut self, ground: &Ground, learner: ServerId, out: &mut Effects) {
        // The promise to oneself is still on its way to the disk: all are invited when it is there.
        if ground.accepted.epoch != self.epoch {
            return;
        }
        let Some(peer) = self.peers.get_mut(&learner) else { return };
        peer.progress = Progress::Invited;
        let message = Message::LeaderInfo { attempt: peer.attempt, epoch: self.epoch };
        out.push(MemberEffect::Send(learner, message));
    }

    /// What has become durable here may now be counted.
    pub(super) fn durable(&mut self, ground: &mut Ground, promise: Promise, out: &mut Effects) {
        match promise {
            Promise::Accepted => self.accepted(ground, out),
            Promise::Adopted(_) => {
                self.has_adopted = true;
                self.establish(ground, out);
            }
            Promise::Logged(_) => {}
            Promise::Begun | Promise::Staged => unreachable!("a leader stages nothing"),
        }
    }

    fn accepted(&mut self, ground: &mut Ground, out: &mut Effects) {
        self.leave_behind(ground, out);
        self.epoch = ground.accepted.epoch;
        self.progressed(ground, Phase::Electing);
        let waiting: Vec<_> = self.peers.keys().copied().collect();
        for learner in waiting {
            self.invite(ground, learner, out);
        }
        self.elect(ground, out);
    }

    /// A learner has promised, or has given its word to another server.
    pub(super) fn ack_epoch(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        (current, last): (Reign, Zxid),
        counts: bool,
        out: &mut Effects,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else { return ground.dropped += 1 };
        if !matches!(peer.progress, Progress::Invited) {
            ground.dropped += 1;
            return;
        }
        peer.progress = Progress::Promised(last);
        let counts = counts && ground.electorate.membership.is_voter(from);
        if self.phase != Phase::Electing {
            return self.begin_sync(ground, from, out);
        }
        let ours = (ground.current.epoch, ground.logged());
        if counts && (current.epoch, last) > ours {
            // Somebody of our quorum knows more: what it knows may be committed.
            ground.is_leaving = true;
            return;
        }
        peer.is_counted = counts;
        self.elect(ground, out);
    }

    fn elect(&mut self, ground: &mut Ground, out: &mut Effects) {
        let counted = self.peers.iter().filter(|(_, peer)| peer.is_counted);
        if !ground.electorate.decide(ground.me, counted.map(|(server, _)| *server)) {
            return;
        }
        self.progressed(ground, Phase::Adopting);
        let reign = ground.accepted;
        let base = ground.logged();
        // A stage that was begun as a learner and never adopted must not be adopted by this.
        let begin = LogOrder::BeginStage { base, snapshot: false };
        let orders = vec![begin, LogOrder::CommitStage { reign }];
        ground.adopt_own(reign);
        self.has_adopted = false;
        ground.log(orders, Promise::Adopted(base), out);
        let learners: Vec<_> = self.peers.keys().copied().collect();
        for learner in learners {
            self.begin_sync(ground, learner, out);
        }
    }

    /// A learner has adopted the history, durably.
    pub(super) fn ack_new_leader(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        out: &mut Effects,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else { return ground.dropped += 1 };
        let Progress::Forwarded(last) = peer.progress else { return ground.dropped += 1 };
        peer.progress = Progress::Adopted;
        peer.matched = peer.matched.max(last);
        self.progress_ms = ground.now.mono_ms;
        self.pulse.heard_new(from, ground.now.mono_ms);
        if self.phase == Phase::Established {
            self.welcome(ground, from, out);
            self.advance(ground, out);
        } else {
            self.establish(ground, out);
        }
    }

    fn establish(&mut self, ground: &mut Ground, out: &mut Effects) {
        let adopted = self.peers.iter().filter(|(_, peer)| peer.has_adopted());
        let servers = adopted.map(|(server, _)| *server);
        let decided = ground.electorate.decide(ground.me, servers);
        if self.phase != Phase::Adopting || !self.has_adopted || !decided {
            return;
        }
        self.progressed(ground, Phase::Established);
        self.is_serving = true;
        let history = ground.logged();
        assert!(ground.commit(history), "the history reaches up to its end");
        out.push(MemberEffect::Serve { reign: ground.current, history });
        let learners: Vec<_> = self.peers.keys().copied().collect();
        for learner in learners {
            self.welcome(ground, learner, out);
        }
        self.pulse.settle_committed(ground.committed, out);
        ground.deliver(out);
        self.beat(ground, out);
        self.rolled(ground, out);
    }

    fn welcome(&self, ground: &Ground, learner: ServerId, out: &mut Effects) {
        if self.peers.get(&learner).is_some_and(Peer::has_adopted) {
            let committed = ground.committed;
            let message = Message::UpToDate { epoch: self.epoch, committed };
            out.push(MemberEffect::Send(learner, message));
        }
    }

    /// A link broke. With too few left there is nothing to wait for: the silence of those that
    /// are gone would only keep clients here longer, and a leader that was stopped and finds its
    /// links broken has long been replaced.
    pub(super) fn lost(&mut self, ground: &mut Ground, learner: ServerId, out: &mut Effects) {
        self.remove(ground, learner, out);
        let linked = self.peers.keys().copied();
        ground.is_leaving |= self.is_serving && !ground.electorate.decide(ground.me, linked);
    }

    /// Forgets a learner and what was going on with it.
    pub(super) fn remove(&mut self, ground: &mut Ground, learner: ServerId, out: &mut Effects) {
        let Some(peer) = self.peers.remove(&learner) else { return };
        ground.forget_reads_for(learner);
        if matches!(&peer.progress, Progress::Syncing(sync) if sync.has_snapshot_open()) {
            out.push(MemberEffect::CloseSnapshot(learner));
        }
    }

    /// Says good-bye to everybody.
    pub(super) fn leave(&mut self, ground: &mut Ground, out: &mut Effects) {
        let epoch = self.epoch;
        let learners: Vec<_> = self.peers.keys().copied().collect();
        for learner in learners {
            self.remove(ground, learner, out);
            out.push(MemberEffect::Send(learner, Message::Leave { epoch }));
        }
        if self.is_serving {
            out.push(MemberEffect::Suspend);
        }
        let drafts = self.queue.take_drafts();
        if !drafts.is_empty() {
            let origins = drafts.iter().map(|draft| draft.origin).collect();
            out.push(MemberEffect::Refused(origins));
        }
    }
}

impl Ground {
    /// A leader's own history stays as it is; only the reign changes.
    fn adopt_own(&mut self, reign: Reign) {
        assert_eq!(self.durable, self.logged(), "a candidate's history is durable");
        let base = self.logged();
        self.adopt(reign, base, Window::new(base), false);
    }
}
