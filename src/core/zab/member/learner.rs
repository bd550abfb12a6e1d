//! A learner: promises, adopts a leader's history, then follows it.
//!
//! What a leader sends before its history is adopted is taken in by [`super::staging`].

use super::ground::{Effects, Ground, Promise};
use super::staging::Intake;
use super::window::follows;
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::io::{MemberEffect, Timing};
use crate::zab::message::Message;
use crate::zab::{LogOrder, Proposal, Reign};
use alloc::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// `Info` is sent.
    Asked,
    /// The promise is on its way to the disk.
    Promising,
    /// `AckEpoch` is sent; history comes in.
    Syncing,
    /// The adoption is on its way to the disk. From here on proposals may come.
    Adopting,
    /// `AckNewLeader` is sent.
    Adopted,
    /// The leader is established.
    Following,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Learner {
    pub(super) leader: ServerId,
    pub(super) phase: Phase,
    pub(super) epoch: Epoch,
    attempt: u64,
    /// Whether the promise counts for the leader's election.
    counts: bool,
    /// Whether the host serves under this leader: also while it moves to another epoch.
    pub(super) is_serving: bool,
    heard_ms: u64,
    pub(super) intake: Intake,
    /// Where the adopted history ended.
    initial: Zxid,
    ack_due: bool,
}

impl Learner {
    /// Asks to be let in.
    pub(super) fn new(ground: &Ground, leader: ServerId, attempt: u64, out: &mut Effects) -> Self {
        let accepted = ground.accepted;
        out.push(MemberEffect::Send(leader, Message::Info { attempt, accepted }));
        Self {
            leader,
            phase: Phase::Asked,
            epoch: accepted.epoch,
            attempt,
            counts: false,
            is_serving: false,
            heard_ms: ground.now.mono_ms,
            intake: Intake::default(),
            initial: Zxid::ZERO,
            ack_due: false,
        }
    }

    pub(super) fn receive(&mut self, ground: &mut Ground, message: Message, out: &mut Effects) {
        match message {
            Message::LeaderInfo { attempt, epoch } => {
                return self.leader_info(ground, attempt, epoch, out);
            }
            // One that is asked already says so without an epoch in common.
            Message::Leave { epoch } if self.phase == Phase::Asked || epoch == self.epoch => {
                ground.is_leaving = true;
                return;
            }
            _ if self.phase == Phase::Asked || message.epoch() != Some(self.epoch) => {
                ground.dropped += 1;
                return;
            }
            _ => {}
        }
        self.heard_ms = ground.now.mono_ms;
        if ground.installing {
            // What follows a snapshot waits until the snapshot is in its place.
            self.intake.held.push(message);
        } else {
            self.take_in(ground, message, out);
        }
    }

    pub(super) fn take_in(&mut self, ground: &mut Ground, message: Message, out: &mut Effects) {
        let is_syncing = self.phase == Phase::Syncing;
        let is_following = self.phase == Phase::Following;
        match message {
            Message::SyncFrom { base, .. } if is_syncing => self.sync_from(ground, base, out),
            Message::SyncSnapshot { zxid, time_ms, .. } if is_syncing => {
                self.begin_snapshot(ground, zxid, time_ms, out);
            }
            Message::SnapshotChunk { bytes, last, .. } if is_syncing => {
                self.take_chunk(ground, bytes, last, out);
            }
            Message::SyncEntries { entries, .. } if is_syncing => self.stage(ground, entries, out),
            Message::NewLeader { last, .. } if is_syncing => self.adopt(ground, last, out),
            Message::UpToDate { committed, .. } if self.phase == Phase::Adopted => {
                self.serve(ground, committed, out);
            }
            Message::Propose { previous, entries, committed, .. } => {
                self.propose(ground, previous, entries, committed, out);
            }
            Message::Commit { committed, .. } if is_following => {
                self.commit(ground, committed, out);
            }
            Message::Ping { epoch, round, committed } => {
                let pong = Message::Pong { epoch, round };
                out.push(MemberEffect::Send(self.leader, pong));
                if is_following {
                    self.commit(ground, committed, out);
                }
            }
            // A commit before `UpToDate` is repeated in it; the rest is for another phase or role.
            Message::SyncFrom { .. }
            | Message::SyncSnapshot { .. }
            | Message::SnapshotChunk { .. }
            | Message::SyncEntries { .. }
            | Message::NewLeader { .. }
            | Message::UpToDate { .. }
            | Message::Commit { .. }
            | Message::Info { .. }
            | Message::LeaderInfo { .. }
            | Message::AckEpoch { .. }
            | Message::SyncTaken { .. }
            | Message::AckNewLeader { .. }
            | Message::Ack { .. }
            | Message::Pong { .. }
            | Message::Leave { .. } => ground.dropped += 1,
        }
    }

    /// What has become durable may now be promised.
    pub(super) fn durable(&mut self, ground: &mut Ground, promise: Promise, out: &mut Effects) {
        if !self.is_serving {
            // The leader may be silent because it waits for this disk.
            self.heard_ms = ground.now.mono_ms;
        }
        match promise {
            Promise::Accepted => self.acknowledge_epoch(ground, out),
            Promise::Adopted(_) => {
                self.phase = Phase::Adopted;
                let message = Message::AckNewLeader { epoch: self.epoch };
                out.push(MemberEffect::Send(self.leader, message));
            }
            Promise::Logged(_) => self.ack_due = true,
            Promise::Begun => {}
            Promise::Staged => self.staged_durable(out),
        }
    }

    /// All of one report from the disk was taken in.
    pub(super) fn after_durable(&mut self, ground: &mut Ground, out: &mut Effects) {
        if core::mem::take(&mut self.ack_due) {
            let message = Message::Ack { epoch: self.epoch, durable: ground.durable };
            out.push(MemberEffect::Send(self.leader, message));
        }
        ground.deliver(out);
    }

    pub(super) fn tick(&mut self, ground: &mut Ground, paused: bool) {
        let Timing { silence_ms, join_ms, .. } = ground.timing;
        let patience_ms = if self.is_serving { silence_ms } else { join_ms };
        let now_ms = ground.now.mono_ms;
        if paused {
            // It was this server that was silent: what the leader sent meanwhile is still to come.
            self.heard_ms = self.heard_ms.max(now_ms.saturating_sub(patience_ms / 2));
        }
        if now_ms.saturating_sub(self.heard_ms) > patience_ms {
            ground.is_leaving = true;
        }
    }

    fn leader_info(&mut self, ground: &mut Ground, attempt: u64, epoch: Epoch, out: &mut Effects) {
        let answers = self.phase == Phase::Asked && attempt == self.attempt;
        let moves_on = self.phase == Phase::Following && attempt == 0;
        if !answers && !moves_on {
            ground.dropped += 1;
            return;
        }
        self.heard_ms = ground.now.mono_ms;
        let reign = Reign { epoch, leader: self.leader };
        let is_stale = epoch < ground.accepted.epoch || epoch > super::EPOCH_MAX;
        if is_stale || (moves_on && epoch == ground.accepted.epoch) {
            ground.is_leaving = true;
            return;
        }
        self.epoch = epoch;
        self.intake = Intake::default();
        if epoch > ground.accepted.epoch {
            self.counts = ground.electorate.membership.is_voter(ground.me);
            self.phase = Phase::Promising;
            ground.accept(reign, out);
            return;
        }
        // Promised before, durably. If to another server, this one may bring us up to date if it
        // is elected by others, but our word is given.
        self.counts = ground.accepted == reign && ground.electorate.membership.is_voter(ground.me);
        self.acknowledge_epoch(ground, out);
    }

    fn acknowledge_epoch(&mut self, ground: &Ground, out: &mut Effects) {
        self.phase = Phase::Syncing;
        if self.is_serving {
            // Moving to a new epoch in place: the history we hold is the one to be adopted.
            self.intake.begin(ground.logged());
        }
        let message = Message::AckEpoch {
            epoch: self.epoch,
            current: ground.current,
            last: ground.durable,
            counts: self.counts,
        };
        out.push(MemberEffect::Send(self.leader, message));
    }

    fn adopt(&mut self, ground: &mut Ground, last: Zxid, out: &mut Effects) {
        let Some(stage) = self.intake.stage.take().filter(|stage| stage.window.last() == last)
        else {
            return self.refuse(ground, out);
        };
        let reign = Reign { epoch: self.epoch, leader: self.leader };
        let mut orders = Vec::with_capacity(2);
        if !stage.is_begun {
            orders.push(LogOrder::BeginStage { base: stage.base, snapshot: false });
        }
        orders.push(LogOrder::CommitStage { reign });
        self.phase = Phase::Adopting;
        self.initial = last;
        ground.time_ms = ground.time_ms.max(stage.time_ms);
        ground.adopt(reign, stage.base, stage.window, stage.is_snapshot);
        ground.log(orders, Promise::Adopted(last), out);
    }

    fn serve(&mut self, ground: &mut Ground, committed: Zxid, out: &mut Effects) {
        if committed > ground.logged() {
            return self.refuse(ground, out);
        }
        self.phase = Phase::Following;
        self.is_serving = true;
        let reign = ground.current;
        out.push(MemberEffect::Serve { reign, history: self.initial });
        self.commit(ground, committed, out);
    }

    fn propose(
        &mut self,
        ground: &mut Ground,
        previous: Zxid,
        entries: Vec<Proposal>,
        committed: Zxid,
        out: &mut Effects,
    ) {
        // Proposals come only after everything that is to be adopted.
        let has_adopted = match self.phase {
            Phase::Asked | Phase::Promising | Phase::Syncing => false,
            Phase::Adopting | Phase::Adopted | Phase::Following => true,
        };
        let epoch = self.epoch;
        let is_own = entries.iter().all(|entry| entry.zxid.epoch() == epoch);
        if !has_adopted || previous != ground.logged() || !is_own || !is_gapless(previous, &entries)
        {
            return self.refuse(ground, out);
        }
        ground.append(entries, out);
        if self.phase == Phase::Following {
            self.commit(ground, committed, out);
        }
    }

    fn commit(&mut self, ground: &mut Ground, committed: Zxid, out: &mut Effects) {
        if !ground.commit(committed) {
            return self.refuse(ground, out);
        }
        ground.deliver(out);
    }

    /// The leader said something that cannot follow what it said before: the link is made anew.
    pub(super) fn refuse(&self, ground: &mut Ground, out: &mut Effects) {
        out.push(MemberEffect::Disconnect(self.leader));
        ground.is_leaving = true;
    }

    /// Says good-bye; whatever was staged is void.
    pub(super) fn leave(&mut self, out: &mut Effects) {
        out.push(MemberEffect::Send(self.leader, Message::Leave { epoch: self.epoch }));
        if self.is_serving {
            out.push(MemberEffect::Suspend);
        }
    }
}

/// Whether `entries` continue a history that ends at `last`.
pub(super) fn is_gapless(last: Zxid, entries: &[Proposal]) -> bool {
    let mut last = last;
    for entry in entries {
        if !follows(last, entry.zxid) {
            return false;
        }
        last = entry.zxid;
    }
    !entries.is_empty()
}
