//! Room of the proposal pipeline.

use crate::postbox::{Post, Postboxes};
use crate::room::Perform;
use crate::switchboard::Switchboard;
use ostler_core::rooms::log_writer;
use ostler_core::rooms::pipeline::{Effect, Input, Pipeline};
use ostler_core::rooms::tree_store;

pub(crate) struct PipelineRoom {
    pub(crate) rooms: Switchboard,
    pub(crate) postboxes: Postboxes,
}

impl Perform<Pipeline> for PipelineRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Append(proposals) => {
                self.rooms.log_writer(log_writer::Input::Append(proposals));
            }
            Effect::Commit(batch) => self.rooms.tree_store(tree_store::Input::Commit(batch)),
            Effect::Kick(connections) => {
                self.postboxes.post(connections.into_iter().map(Post::Kick));
            }
        }
    }
}
