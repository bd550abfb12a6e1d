//! Room of the proposal pipeline.

use crate::clock::wall_ms;
use crate::counters::Counters;
use crate::postbox::{Post, Postboxes};
use crate::room::Perform;
use crate::switchboard::Switchboard;
use ostler_core::rooms::log_writer;
use ostler_core::rooms::pipeline::{Committed, CommittedBody, Effect, Input, Pipeline};
use ostler_core::rooms::tree_store;
use std::sync::Arc;

pub(crate) struct PipelineRoom {
    pub(crate) rooms: Switchboard,
    pub(crate) postboxes: Postboxes,
    pub(crate) counters: Arc<Counters>,
}

impl Perform<Pipeline> for PipelineRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Append(proposals) => {
                self.rooms.log_writer(log_writer::Input::Append(proposals));
            }
            Effect::Commit(batch) => {
                self.measure(&batch);
                self.rooms.tree_store(tree_store::Input::Commit(batch));
            }
            Effect::Kick(connections) => {
                self.postboxes.post(connections.into_iter().map(Post::Kick));
            }
        }
    }
}

impl PipelineRoom {
    /// How long ago the transactions of this batch were stamped.
    fn measure(&self, batch: &[Committed]) {
        let now = wall_ms();
        let mut measures = self.counters.measures.lock();
        for committed in batch {
            match &committed.body {
                CommittedBody::Txn(proposal) => {
                    // The host's clock may have been set back.
                    let age = u64::try_from(now - proposal.time_ms).unwrap_or_default();
                    measures.propagation_ms.observe_many(age, 1);
                }
                CommittedBody::Travel(_) | CommittedBody::Attach { .. } => {}
            }
        }
    }
}
