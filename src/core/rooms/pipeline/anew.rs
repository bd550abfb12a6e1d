//! A pipeline that begins anew while its server goes on: after a panic in it, or because the log
//! lost what it had been given of a leader's history.
//!
//! What clients wait for stays: their requests at the desk, which connection speaks for which
//! session, what was delivered. All else is forgotten, as in a crash: the links are broken, so that
//! nothing said to the earlier member reaches the next one; the log is asked what it holds; and
//! the member looks for a leader. Under that leader's reign the requests find out what became of
//! them, by the same path as after any election.

use super::{Effect, Input, PeerMessage, Pipeline, PipelineSettings};
use crate::rooms::Now;
use crate::types::limits::UNHEARD_MESSAGES_MAX;
use crate::types::{ServerId, Zxid};
use crate::zab::io::{Flow, MemberInput, Timing};
use crate::zab::member::Member;
use crate::zab::quorum::Membership;
use crate::zab::{LogOrder, Recovered, Restated};
use alloc::vec::Vec;

/// What a member is made from, besides what was recovered.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) membership: Membership,
    pub(super) timing: Timing,
    pub(super) window_bytes: usize,
    pub(super) flow: Flow,
    /// See [`Pipeline::roll_over_at`].
    pub(super) counter_max: Option<u32>,
}

impl Ground {
    pub(super) fn member(&self, me: ServerId, recovered: Recovered) -> Member {
        let Self { membership, timing, window_bytes, flow, counter_max } = self;
        let mut member = Member::new(me, membership.clone(), *timing, recovered, *window_bytes);
        member.let_flow(*flow);
        if let Some(counter_max) = counter_max {
            member.roll_over_at(*counter_max);
        }
        member
    }
}

/// Whether an input means nothing to a pipeline whose member is still to be made: it was meant for
/// an earlier one, or comes again.
pub(super) fn rests_on_a_member(input: &Input) -> bool {
    match input {
        Input::Start
        | Input::Try(_)
        | Input::Received(..)
        | Input::Durable(_)
        | Input::History(..)
        | Input::SnapshotRead { .. }
        | Input::SnapshotUnreadable(_)
        | Input::SnapshotInstalled(_)
        | Input::SnapshotLost
        | Input::Loaded(_)
        | Input::Tick => true,
        Input::LinkDown(_)
        | Input::Submit(_)
        | Input::Vouch(_)
        | Input::Propose(_)
        | Input::Opened(..)
        | Input::Attached(..)
        | Input::Ended(_)
        | Input::Gone(..)
        | Input::Touched(_)
        | Input::Anew
        | Input::Restated(_) => false,
    }
}

impl Pipeline {
    /// The pipeline that comes after this one, to be told [`Input::Anew`] before anything else.
    /// None if this one was changing just what the next one needs.
    pub fn heir(self) -> Option<Self> {
        if self.is_changing {
            return None;
        }
        let Self { me, ground, desk, attached, ready, lost, delivered, time_ms, .. } = self;
        let Ground { membership, timing, window_bytes, flow, counter_max } = ground;
        let recovered = Recovered { delivered, time_ms, ..Recovered::default() };
        let settings =
            PipelineSettings { me, membership, timing, recovered, window_bytes, first_serial: 0 };
        let mut heir = Self::new(settings);
        heir.ground.counter_max = counter_max;
        heir.ground.flow = flow;
        heir.proposed = self.proposed;
        heir.last_proposal_bytes = self.last_proposal_bytes;
        heir.proposal_bytes = self.proposal_bytes;
        heir.proposals_received = self.proposals_received;
        heir.acks_received = self.acks_received;
        heir.dropped = self.dropped;
        // Whether somebody had asked may be what was lost.
        Some(Self { desk, attached, ready, lost, has_asked: true, ..heir })
    }

    /// Whether it has not yet learned what the log holds.
    pub fn is_restoring(&self) -> bool {
        self.is_restoring
    }

    /// Runs what changes that which outlives this pipeline: a panic half-way through is not to be
    /// got over.
    pub(super) fn changing<R>(&mut self, change: impl FnOnce(&mut Self) -> R) -> R {
        self.is_changing = true;
        let result = change(self);
        self.is_changing = false;
        result
    }

    pub(super) fn begin_anew(&mut self, effects: &mut Vec<Effect>) {
        self.is_restoring = true;
        self.inputs.clear();
        self.scratch.clear();
        self.unheard.clear();
        self.owners.clear();
        let others: Vec<_> =
            self.ground.membership.members().into_iter().filter(|id| *id != self.me).collect();
        self.muted = others.iter().copied().collect();
        effects.extend(others.into_iter().map(Effect::Disconnect));
        self.suspend(effects);
        effects.push(Effect::Restate);
    }

    pub(super) fn restated(&mut self, now: Now, restated: Restated, effects: &mut Vec<Effect>) {
        if !self.is_restoring {
            return;
        }
        self.is_restoring = false;
        let Restated { accepted, current, last, committed, base } = restated;
        let (delivered, time_ms) = (self.delivered, self.time_ms);
        let recovered = Recovered { accepted, current, last, time_ms, committed, delivered };
        self.member = self.ground.member(self.me, recovered);
        if base > delivered {
            self.member.begins_with_a_snapshot(base);
        }
        self.member.start(&mut self.scratch);
        self.drive(now, effects);
        for (from, messages) in core::mem::take(&mut self.unheard) {
            self.received(now, from, messages, effects);
        }
    }

    /// Keeps what is said to the member that is still to be made. Whoever says more than it could
    /// mean has its link made anew.
    pub(super) fn hear_later(
        &mut self,
        from: ServerId,
        messages: Vec<PeerMessage>,
        effects: &mut Vec<Effect>,
    ) {
        self.unheard.push((from, messages));
        let of_its = self.unheard.iter().filter(|(peer, _)| *peer == from);
        if of_its.map(|(_, messages)| messages.len()).sum::<usize>() > UNHEARD_MESSAGES_MAX {
            self.unheard.retain(|(peer, _)| *peer != from);
            self.muted.insert(from);
            effects.push(Effect::Disconnect(from));
        }
    }

    pub(super) fn link_down(&mut self, peer: ServerId) {
        self.muted.remove(&peer);
        self.unheard.retain(|(from, _)| *from != peer);
        if !self.is_restoring {
            self.tell(MemberInput::LinkDown(peer));
        }
    }

    /// A request was confirmed by the leader.
    pub(super) fn vouched_for(&mut self, serial: u64, target: Zxid) {
        self.changing(|this| {
            this.desk.confirmed(serial, target, this.delivered, &mut this.ready);
        });
    }

    /// So that time does not go back, whichever member gives it next.
    pub(super) fn note_time(&mut self, orders: &[LogOrder]) {
        for order in orders {
            match order {
                LogOrder::Append(proposal) | LogOrder::Stage(proposal) => {
                    self.time_ms = self.time_ms.max(proposal.time_ms);
                }
                LogOrder::Accept(_)
                | LogOrder::BeginStage { .. }
                | LogOrder::CommitStage { .. } => {}
            }
        }
    }
}
