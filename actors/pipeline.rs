//! Room of the proposal pipeline.

use crate::clock::{Clock, wall_ms};
use crate::counters::Counters;
use crate::fatal;
use crate::links::Links;
use crate::postbox::{Post, Postboxes};
use crate::questions::Questions;
use crate::room::Perform;
use crate::session_clocks::SessionClocks;
use crate::switchboard::Switchboard;
use ostler_core::rooms::pipeline::{Committed, CommittedBody, Effect, Input, Pipeline};
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::{log_writer, peer, session_sweeper, tree_store};
use ostler_core::types::{ServerId, SessionId};
use ostler_core::wire::peer::LinkMessage;
use ostler_core::zab::Reign;
use slog::{Logger, info};
use std::sync::Arc;

pub(crate) struct PipelineRoom {
    pub(crate) me: ServerId,
    /// What operators call it when it does not lead.
    pub(crate) learns_as: &'static str,
    pub(crate) rooms: Switchboard,
    pub(crate) postboxes: Postboxes,
    pub(crate) questions: Questions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) links: Links,
    pub(crate) session_clocks: SessionClocks,
    pub(crate) clock: Clock,
    pub(crate) logger: Logger,
}

impl Perform<Pipeline> for PipelineRoom {
    fn perform(&mut self, effect: Effect, again: &mut Vec<Input>) {
        match effect {
            Effect::Send(to, message) => self.links.send(to, &LinkMessage::Pipeline(message)),
            Effect::Disconnect(peer) => {
                // One that is up is told of when it is down.
                if !self.links.disconnect(peer) {
                    again.push(Input::LinkDown(peer));
                }
            }
            Effect::Log { mark, committed, orders } => {
                self.rooms.log_writer(log_writer::Input::Orders { mark, committed, orders });
            }
            Effect::Commit(batch) => {
                let times = stamps(&batch);
                self.rooms.tree_store(tree_store::Input::Commit(batch));
                self.measure(&times);
            }
            Effect::Load(zxid) => {
                self.rooms.tree_store(tree_store::Input::Replacing(zxid));
                self.rooms.snapshot_writer(SnapshotWork::Load(zxid));
            }
            Effect::Kick(connections) => {
                self.postboxes.post(connections.into_iter().map(Post::Kick));
            }
            Effect::Look { epoch, last } => self.look(epoch, last),
            Effect::Serving(reign) => self.serving(reign),
            Effect::Suspended => self.suspended(),
            Effect::Touch(sessions) => self.touch(sessions),
            Effect::Renew { session, timeout_ms } => {
                let at = self.clock.mono_ms();
                let attached = session_sweeper::Input::Attached { session, timeout_ms, at };
                self.rooms.session_sweeper(attached);
            }
            Effect::ReadHistory(reader, after) => {
                self.rooms.log_writer(log_writer::Input::ReadHistory { reader, after });
            }
            Effect::OpenSnapshot(learner) => {
                self.rooms.snapshot_writer(SnapshotWork::Open(learner));
            }
            Effect::ReadSnapshot(learner) => {
                self.rooms.snapshot_writer(SnapshotWork::Read(learner));
            }
            Effect::CloseSnapshot(learner) => {
                self.rooms.snapshot_writer(SnapshotWork::Close(learner));
            }
            Effect::BeginSnapshot(zxid) => {
                self.rooms.snapshot_writer(SnapshotWork::Receive(zxid));
            }
            Effect::WriteSnapshot { bytes, last } => {
                self.rooms.snapshot_writer(SnapshotWork::Received { bytes, last });
            }
            Effect::MayAsk => again.extend(self.questions.may_ask()),
            Effect::Restate => self.rooms.log_writer(log_writer::Input::Restate),
            Effect::Halt(reason) => fatal::stop_at_broken_invariant(&self.logger, reason),
        }
    }

    /// What clients and sessions depend on is taken in again; requests are at the desk as soon as
    /// anything can go wrong, and the rest is decided anew.
    fn keep(&mut self, input: &Input) -> Option<Input> {
        input.outlives_its_pipeline().then(|| input.clone())
    }

    fn is_recovering(&self, pipeline: &Pipeline) -> bool {
        pipeline.is_restoring()
    }
}

/// The times of transactions, each as often as there are of it. Those ordered together bear one,
/// so there are few different ones.
fn stamps(batch: &[Committed]) -> Vec<i64> {
    let times = batch.iter().filter_map(|committed| match &committed.body {
        CommittedBody::Txn(proposal) => Some(proposal.time_ms),
        CommittedBody::Travel(_)
        | CommittedBody::Vouched
        | CommittedBody::Claim(_)
        | CommittedBody::Attach { .. } => None,
    });
    times.collect()
}

impl PipelineRoom {
    /// How long ago transactions were stamped.
    fn measure(&self, times: &[i64]) {
        let now = wall_ms();
        if times.is_empty() {
            return;
        }
        let mut measures = self.counters.measures.lock();
        for same in times.chunk_by(i64::eq) {
            // The host's clock may have been set back.
            let age = u64::try_from(now - same[0]).unwrap_or_default();
            measures.propagation_ms.observe_many(age, same.len() as u64);
        }
    }

    fn look(&self, epoch: ostler_core::types::Epoch, last: ostler_core::types::Zxid) {
        info!(self.logger, "looking for a leader"; "epoch" => epoch.0, "zxid" => %last,
            "links" => ?self.links.up());
        self.rooms.peer(peer::Input::Look { epoch, last });
    }

    fn serving(&self, reign: Reign) {
        let leads = reign.leader == self.me;
        info!(self.logger, "serving"; "as" => if leads { "leader" } else { self.learns_as },
            "epoch" => reign.epoch.0, "leader" => reign.leader.0);
        self.rooms.peer(peer::Input::Settled(reign));
        if leads {
            self.rooms.tree_store(tree_store::Input::Leads);
        }
        let clocks =
            if leads { session_sweeper::Input::Resume } else { session_sweeper::Input::Follow };
        self.let_clocks(clocks);
    }

    fn suspended(&self) {
        info!(self.logger, "no leader; clients keep their connections, writes wait");
        self.let_clocks(session_sweeper::Input::Pause);
    }

    fn let_clocks(&self, clocks: session_sweeper::Input) {
        self.session_clocks.set(clocks.clone());
        self.rooms.session_sweeper(clocks);
    }

    fn touch(&self, sessions: Vec<(SessionId, u32)>) {
        let now = self.clock.mono_ms();
        let heard = sessions.into_iter().map(|(id, ago)| (id, now.saturating_sub(ago.into())));
        self.rooms.session_sweeper(session_sweeper::Input::Touched(heard.collect()));
    }
}
