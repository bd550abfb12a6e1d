//! What is known of each room while it works, and how operators see it.

use super::Nudge;
use super::tree::Line;
use super::watchdog::{Patience, Pulse};
use actix::Recipient;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a room is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It takes its inputs in.
    Working,
    /// It has shown no progress for longer than it should.
    Stalled,
    /// Its next tenant is being built.
    Rebuilding,
    /// It has no tenant any more.
    Ended,
}

/// One line of the tree, as operators see it.
pub(crate) type StatusLine = Line<RoomStatus>;

/// A room as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomStatus {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    /// Since the start.
    pub(crate) restarts: u64,
    /// How long it has been waited for at present.
    pub(crate) silent: Duration,
    /// How long the last restart took.
    pub(crate) last_down: Option<Duration>,
    /// Why it was.
    pub(crate) last_cause: Option<String>,
}

/// One room, as its supervisor remembers it.
pub(super) struct Record {
    pub(super) name: &'static str,
    pub(super) patience: Patience,
    pub(super) pulse: Pulse,
    pub(super) address: Mutex<Option<Recipient<Nudge>>>,
    condemned: AtomicBool,
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    down_since_ms: Option<u64>,
    ended: bool,
    restarts: u64,
    last_down: Option<Duration>,
    last_cause: Option<String>,
}

impl Record {
    pub(super) fn new(name: &'static str, patience: Patience) -> Self {
        Self {
            name,
            patience,
            pulse: Pulse::default(),
            address: Mutex::new(None),
            condemned: AtomicBool::new(false),
            history: Mutex::default(),
        }
    }

    pub(super) fn nudge(&self) -> bool {
        let address = self.address.lock();
        address.as_ref().map(|address| address.do_send(Nudge)).is_some()
    }

    /// To be built anew before its next input.
    pub(super) fn condemn(&self) {
        self.condemned.store(true, Ordering::SeqCst);
        self.nudge();
    }

    pub(super) fn take_condemned(&self) -> bool {
        self.condemned.load(Ordering::Relaxed) && self.condemned.swap(false, Ordering::SeqCst)
    }

    pub(super) fn fail(&self, cause: &str, now_ms: u64) {
        let mut history = self.history.lock();
        history.down_since_ms.get_or_insert(now_ms);
        history.last_cause = Some(cause.to_owned());
    }

    /// How long it was down.
    pub(super) fn rise(&self, now_ms: u64) -> Duration {
        let mut history = self.history.lock();
        let since = history.down_since_ms.take().unwrap_or(now_ms);
        let down = Duration::from_millis(now_ms.saturating_sub(since));
        history.restarts += 1;
        history.last_down = Some(down);
        down
    }

    pub(super) fn end(&self) {
        self.history.lock().ended = true;
    }

    /// A room that is being built anew, or has ended, cannot be blamed for showing no progress.
    pub(super) fn is_working(&self) -> bool {
        let history = self.history.lock();
        history.down_since_ms.is_none() && !history.ended
    }

    pub(super) fn status(&self, now_ms: u64) -> RoomStatus {
        let silent = self.pulse.silent(now_ms);
        let history = self.history.lock();
        let state = if history.ended {
            State::Ended
        } else if history.down_since_ms.is_some() {
            State::Rebuilding
        } else if silent >= self.patience.warn {
            State::Stalled
        } else {
            State::Working
        };
        RoomStatus {
            name: self.name,
            state,
            restarts: history.restarts,
            silent,
            last_down: history.last_down,
            last_cause: history.last_cause.clone(),
        }
    }
}
