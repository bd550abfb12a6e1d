//! Moving to a new epoch without an election: when an epoch has no places left, or when a server
//! that wants to follow has promised to a later one.
//!
//! The leader lets what is under way be committed, then goes through discovery and adoption again
//! with the learners it has. Writes that come meanwhile wait, and are ordered first.

use super::EPOCH_MAX;
use super::ground::{Effects, Ground};
use super::leader::{Leader, Phase, Progress};
use crate::types::Epoch;
use crate::zab::Reign;
use crate::zab::io::MemberEffect;
use crate::zab::message::Message;
use alloc::vec::Vec;

/// Places used of an epoch before the next one is begun.
pub(super) const COUNTER_MAX: u32 = u32::MAX - (1 << 20);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct RollOver {
    counter_max: u32,
    /// An epoch that was promised elsewhere, and has to be passed.
    demanded: Option<Epoch>,
    is_full: bool,
}

impl RollOver {
    pub(super) fn new(counter_max: u32) -> Self {
        Self { counter_max, demanded: None, is_full: false }
    }

    /// Whether nothing is ordered in this epoch any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_full || self.demanded.is_some()
    }

    pub(super) fn demand(&mut self, epoch: Epoch) {
        self.demanded = self.demanded.max(Some(epoch));
    }

    /// No place of this epoch is left.
    pub(super) fn fill(&mut self) {
        self.is_full = true;
    }

    /// How many places an epoch still has whose counter stands here.
    pub(super) fn room(&self, counter: u32) -> usize {
        self.counter_max.saturating_sub(counter) as usize
    }
}

impl Leader {
    /// Begins to move on, if that is due and nothing is under way.
    pub(super) fn roll(&mut self, ground: &mut Ground, out: &mut Effects) {
        let last = ground.logged();
        if last.epoch() == self.epoch && self.roll_over.room(last.counter()) == 0 {
            self.roll_over.fill();
        }
        let is_due = self.phase == Phase::Established && self.roll_over.is_closed();
        let is_begun = ground.accepted.epoch != self.epoch;
        let is_quiet = ground.committed == last && ground.durable == last;
        if !is_due || is_begun || !is_quiet {
            return;
        }
        let epoch = self.roll_over.demanded.unwrap_or_default().max(self.epoch);
        if epoch >= EPOCH_MAX {
            out.push(MemberEffect::Halt("all epochs are used up"));
            return;
        }
        ground.accept(Reign { epoch: epoch.next(), leader: ground.me }, out);
    }

    /// The old epoch ends here. Learners that have adopted its history move on in place, those
    /// that were just joining it have to begin again.
    pub(super) fn leave_behind(&mut self, ground: &mut Ground, out: &mut Effects) {
        let epoch = self.epoch;
        let learners: Vec<_> = self.peers.keys().copied().collect();
        for learner in learners {
            let Some(peer) = self.peers.get_mut(&learner) else { continue };
            match peer.progress {
                Progress::Waiting => {}
                Progress::Adopted => {
                    peer.attempt = 0;
                    peer.is_counted = false;
                    peer.progress = Progress::Waiting;
                }
                Progress::Invited
                | Progress::Promised(_)
                | Progress::Syncing(_)
                | Progress::Forwarded(_) => {
                    self.remove(ground, learner, out);
                    out.push(MemberEffect::Send(learner, Message::Leave { epoch }));
                }
            }
        }
    }

    /// The leader is established again, or for the first time.
    pub(super) fn rolled(&mut self, ground: &mut Ground, out: &mut Effects) {
        self.roll_over.is_full = false;
        self.roll_over.demanded = self.roll_over.demanded.filter(|epoch| *epoch > self.epoch);
        self.resume(ground, out);
    }
}
