//! Those who want to be vouched for, of all connection arbiters: they ask the pipeline together.

use crate::supervisor::shared;
use crate::switchboard::Switchboard;
use ostler_core::rooms::asking::Asking;
use ostler_core::rooms::pipeline::{Input, Sender};
use ostler_core::types::ConnectionId;
use parking_lot::Mutex;
use std::sync::Arc;

/// See the module. What is asked is posted before anybody else may look, or a connection's next
/// request could come before what it wanted first.
#[derive(Clone)]
pub(crate) struct Questions {
    asking: Arc<Mutex<Asking>>,
    rooms: Switchboard,
}

impl Questions {
    pub(crate) fn new(rooms: Switchboard) -> Self {
        Self { asking: Arc::default(), rooms }
    }

    /// See [`Asking::want`].
    pub(crate) fn want(&self, sender: Arc<Sender>) -> bool {
        self.asking.lock().want(sender)
    }

    /// See [`Asking::ask`].
    pub(crate) fn ask(&self) {
        self.post(Asking::ask);
    }

    /// See [`Asking::ask_before`].
    pub(crate) fn ask_before(&self, connection: ConnectionId) {
        self.post(|asking| asking.ask_before(connection));
    }

    /// See [`Asking::forget`].
    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.asking.lock().forget(connection);
    }

    /// See [`Asking::may_ask`]; for the pipeline, which takes in at once what is asked.
    pub(crate) fn may_ask(&self) -> Option<Input> {
        shared(|| self.asking.lock().may_ask())
    }

    fn post(&self, ask: impl FnOnce(&mut Asking) -> Option<Input>) {
        shared(|| {
            let mut asking = self.asking.lock();
            if let Some(input) = ask(&mut asking) {
                self.rooms.pipeline(input);
            }
        });
    }
}
