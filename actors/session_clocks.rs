//! Whose session clocks run, as the pipeline's room last said: outlives the sweeper, so that its
//! successor need not ask.

use ostler_core::rooms::session_sweeper::Input;
use parking_lot::Mutex;
use std::sync::Arc;

/// See the module.
#[derive(Clone)]
pub(crate) struct SessionClocks(Arc<Mutex<Input>>);

impl Default for SessionClocks {
    /// Nobody's, before there was a leader.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Input::Pause)))
    }
}

impl SessionClocks {
    /// To be said before the sweeper is told: its successor then knows this or finds it in the
    /// mailbox.
    pub(crate) fn set(&self, clocks: Input) {
        *self.0.lock() = clocks;
    }

    pub(crate) fn last(&self) -> Input {
        self.0.lock().clone()
    }
}
