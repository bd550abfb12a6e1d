//! Room of the peer machine.

use crate::links::Links;
use crate::room::Perform;
use crate::switchboard::Switchboard;
use ostler_core::rooms::peer::{Effect, Input, Peer};
use ostler_core::rooms::pipeline;
use ostler_core::wire::peer::LinkMessage;

pub(crate) struct PeerRoom {
    pub(crate) rooms: Switchboard,
    pub(crate) links: Links,
}

impl Perform<Peer> for PeerRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Send(to, notification) => {
                self.links.send(to, &LinkMessage::Election(notification));
            }
            Effect::Try(leader) => self.rooms.pipeline(pipeline::Input::Try(leader)),
        }
    }
}
