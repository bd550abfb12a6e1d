//! Moving to a new epoch without an election: when an epoch has no places left, or when a server
//! that wants to follow has promised to a later one.
//!
//! The leader lets what is under way be committed, then goes through discovery and adoption again
//! with the learners it has. Writes that come meanwhile are kept and ordered first.

use super::EPOCH_MAX;
use super::ground::{Effects, Ground};
use super::leader::{Leader, Phase, Progress};
use crate::types::{Epoch, ServerId};
use crate::zab::io::MemberEffect;
use crate::zab::message::Message;
use crate::zab::{Draft, Reign};
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
    /// Bounded by what the host lets in.
    kept: Vec<Kept>,
}

/// What came while nothing was ordered, in the order it came.
#[derive(Clone, Debug)]
enum Kept {
    Draft(Draft),
    /// It must not overtake the writes before it.
    Confirm {
        token: u64,
        asker: ServerId,
    },
}

impl Kept {
    fn server(&self) -> ServerId {
        match self {
            Self::Draft(draft) => draft.origin.server,
            Self::Confirm { asker, .. } => *asker,
        }
    }
}

impl RollOver {
    pub(super) fn new(counter_max: u32) -> Self {
        Self { counter_max, demanded: None, is_full: false, kept: Vec::new() }
    }

    /// Whether nothing is ordered in this epoch any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_full || self.demanded.is_some()
    }

    pub(super) fn demand(&mut self, epoch: Epoch) {
        self.demanded = self.demanded.max(Some(epoch));
    }

    pub(super) fn keep(&mut self, drafts: Vec<Draft>) {
        self.kept.extend(drafts.into_iter().map(Kept::Draft));
    }

    /// Keeps a confirmation that came behind a kept write; false if there is none.
    pub(super) fn keep_confirm(&mut self, token: u64, asker: ServerId) -> bool {
        let behind = !self.kept.is_empty();
        if behind {
            self.kept.push(Kept::Confirm { token, asker });
        }
        behind
    }

    /// Writes that will not be ordered; confirmations among them are nobody's any more.
    pub(super) fn take_drafts(&mut self) -> Vec<Draft> {
        let drafts = core::mem::take(&mut self.kept).into_iter().filter_map(|kept| match kept {
            Kept::Draft(draft) => Some(draft),
            Kept::Confirm { .. } => None,
        });
        drafts.collect()
    }

    /// A server that begins anew decides by its initial history what became of its writes: one
    /// that is still kept here must not be ordered afterwards.
    pub(super) fn forget_kept_of(&mut self, server: ServerId) {
        self.kept.retain(|kept| kept.server() != server);
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
            self.roll_over.is_full = true;
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
        self.roll(ground, out);
    }

    /// Orders what was kept.
    pub(super) fn resume(&mut self, ground: &mut Ground, out: &mut Effects) {
        let mut drafts = Vec::new();
        for kept in core::mem::take(&mut self.roll_over.kept) {
            match kept {
                Kept::Draft(draft) => drafts.push(draft),
                Kept::Confirm { token, asker } => {
                    self.propose(ground, core::mem::take(&mut drafts), out);
                    self.confirm(ground, token, asker, out);
                }
            }
        }
        self.propose(ground, drafts, out);
    }
}
