//! Room of the watch fan-out.

use crate::postbox::{Post, Postboxes};
use crate::room::Perform;
use ostler_core::rooms::watch_fanout::{Effect, Input, WatchFanout};

pub(crate) struct WatchFanoutRoom {
    pub(crate) postboxes: Postboxes,
}

impl Perform<WatchFanout> for WatchFanoutRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Post(parcels) => self.postboxes.post(parcels.into_iter().map(Post::Parcel)),
            // Connections that hold a watch do not read past the fan-out, so nobody waits here.
            Effect::Delivered(_) => {}
        }
    }
}
