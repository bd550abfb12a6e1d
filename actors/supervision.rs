//! The groups that the rooms stand in, and what becomes of notices about them. How a room is
//! built anew stands in `tenants`; what that means for clients in `ARCHITECTURE.md`.

use crate::fatal;
use crate::supervisor::{
    Group, Intensity, Notice, Patience, State, StatusLine, Strategy, Supervisor,
};
use ostler_core::words::{RoomLine, RoomState};
use slog::{Logger, info, warn};
use std::time::Duration;

/// How much the server bears of its own faults before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endurance {
    /// Restarts of the rooms of one group within [`Self::within`]; one more ends the process.
    pub restarts_max: usize,
    /// See [`Self::restarts_max`].
    pub within: Duration,
    /// How long a room may show no progress before it is told of.
    pub stall_warn: Duration,
    /// How long it may before the process ends.
    pub stall_max: Duration,
    /// How often rooms are asked for progress.
    pub pulse: Duration,
}

impl Default for Endurance {
    fn default() -> Self {
        Self {
            restarts_max: 10,
            within: Duration::from_secs(60),
            stall_warn: Duration::from_secs(5),
            stall_max: Duration::from_secs(60),
            pulse: Duration::from_secs(1),
        }
    }
}

/// The supervisor with its groups.
pub(crate) struct Supervision {
    pub(crate) supervisor: Supervisor,
    /// What clients feel least: deadlines and watches.
    pub(crate) service: Group,
    /// Whoever writes files.
    pub(crate) storage: Group,
    /// Whoever writes the tree.
    pub(crate) state: Group,
    /// Who leads, and in which order writes come: of no use without each other's memory.
    pub(crate) consensus: Group,
    /// Of a room that answers to nothing but its mailbox.
    pub(crate) patience: Patience,
    /// Of a room that may wait for its disk as long as that takes.
    pub(crate) unhurried: Patience,
}

impl Supervision {
    pub(crate) fn new(endurance: Endurance, logger: &Logger) -> Self {
        let Endurance { restarts_max, within, stall_warn, stall_max, .. } = endurance;
        let none = Intensity { max: 0, within };
        let some = Intensity { max: restarts_max, within };
        let logger = logger.clone();
        // What is beyond one group's limit no other group can mend.
        let supervisor =
            Supervisor::new("server", Strategy::One, none, move |notice| heed(&logger, notice));
        let group = |name, strategy, intensity| {
            supervisor.group(Supervisor::root(), name, strategy, intensity)
        };
        Self {
            service: group("service", Strategy::One, some),
            storage: group("storage", Strategy::One, some),
            state: group("state", Strategy::One, some),
            consensus: group("consensus", Strategy::All, some),
            patience: Patience { warn: stall_warn, end: Some(stall_max) },
            unhurried: Patience { warn: stall_warn, end: None },
            supervisor,
        }
    }
}

/// A line of the tree of rooms, in the words that core tells it by.
pub(crate) fn room_line(line: StatusLine) -> RoomLine {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    match line {
        StatusLine::Group { depth, name, strategy, intensity, failures } => RoomLine::Group {
            depth,
            name: name.to_owned(),
            strategy: strategy.name(),
            restarts: failures as u64,
            restarts_max: intensity.max as u64,
            within_ms: ms(intensity.within),
        },
        StatusLine::Room { depth, room: status } => RoomLine::Room {
            depth,
            name: status.name.to_owned(),
            state: match status.state {
                State::Working => RoomState::Working,
                State::Stalled => RoomState::Stalled,
                State::Rebuilding => RoomState::Rebuilding,
                State::Ended => RoomState::Ended,
            },
            restarts: status.restarts,
            silent_ms: ms(status.silent),
            last: status.last_down.map(ms).zip(status.last_cause),
        },
    }
}

fn heed(logger: &Logger, notice: &Notice<'_>) {
    match notice {
        // The panic hook has told it, with the backtrace.
        Notice::Failed { .. } => {}
        Notice::Rebuilt { room, down } => {
            info!(logger, "a room is back"; "room" => room, "down_ms" => down.as_millis());
        }
        Notice::Stalls { room, silent } => {
            warn!(logger, "a room shows no progress"; "room" => room,
                "silent_ms" => silent.as_millis());
        }
        Notice::End { room, reason } => fatal::stop_at_end_of_a_room(logger, room, reason),
    }
}
