//! Room of the watch fan-out.

use crate::postbox::{Post, Postboxes};
use crate::room::Perform;
use crate::view::ReadView;
use ostler_core::rooms::watch_fanout::{Effect, Input, WatchFanout};

pub(crate) struct WatchFanoutRoom {
    pub(crate) postboxes: Postboxes,
    pub(crate) view: ReadView,
}

impl Perform<WatchFanout> for WatchFanoutRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Post(parcels) => self.postboxes.post(parcels.into_iter().map(Post::Parcel)),
            Effect::Delivered(upto) => self.view.set_delivered(upto),
        }
    }

    /// A delivery is kept by the machine itself.
    fn keep(&mut self, input: &Input) -> Option<Input> {
        match input {
            Input::Deliver(_) | Input::ForgetStats => None,
            Input::Closed(connections) => Some(Input::Closed(connections.clone())),
        }
    }
}
