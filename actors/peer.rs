//! Room of the peer machine.

use crate::room::Perform;
use crate::switchboard::Switchboard;
use ostler_core::rooms::peer::{Effect, Input, Peer};
use ostler_core::rooms::{log_writer, pipeline};

pub(crate) struct PeerRoom {
    pub(crate) rooms: Switchboard,
}

impl Perform<Peer> for PeerRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::RecordEpoch(epoch) => {
                self.rooms.log_writer(log_writer::Input::RecordEpoch(epoch));
            }
            Effect::Lead(epoch) => self.rooms.pipeline(pipeline::Input::Lead { epoch }),
        }
    }
}
