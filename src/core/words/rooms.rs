//! `room`: the tree of rooms, for operators. A word of Ostler's own.

use super::report::Report;
use alloc::format;
use alloc::string::String;

/// What a room is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomState {
    /// It takes in what it is sent.
    Working,
    /// It has shown no progress for longer than it should.
    Stalled,
    /// It failed and is being built anew.
    Rebuilding,
    /// It failed for good; the process is about to end.
    Ended,
}

impl RoomState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Stalled => "stalled",
            Self::Rebuilding => "rebuilding",
            Self::Ended => "ended",
        }
    }
}

/// One line of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomLine {
    /// A group of rooms.
    Group {
        /// How deep in the tree.
        depth: usize,
        /// Its name.
        name: String,
        /// Who is built anew when one of them fails.
        strategy: &'static str,
        /// Restarts that count at present.
        restarts: u64,
        /// How many may count; one more is passed on to the group above, in the end to the process.
        restarts_max: u64,
        /// How long each counts, in milliseconds.
        within_ms: u64,
    },
    /// A room.
    Room {
        /// How deep in the tree.
        depth: usize,
        /// Its name.
        name: String,
        /// What it is doing.
        state: RoomState,
        /// Since the start.
        restarts: u64,
        /// How long an answer of it has been waited for, in milliseconds.
        silent_ms: u64,
        /// How many milliseconds the last restart took, and why it was.
        last: Option<(u64, String)>,
    },
}

pub(super) fn room(report: &Report) -> String {
    report.rooms.iter().map(line).collect()
}

fn line(line: &RoomLine) -> String {
    match line {
        RoomLine::Group { depth, name, strategy, restarts, restarts_max, within_ms } => {
            let (indent, seconds) = (depth * 2, within_ms / 1000);
            format!(
                "{:indent$}{name}: {strategy}, {restarts} of {restarts_max} restarts within \
                 {seconds} s\n",
                ""
            )
        }
        RoomLine::Room { depth, name, state, restarts, silent_ms, last } => {
            let (indent, state) = (depth * 2, state_for(*state, *silent_ms));
            let last = last.as_ref().map_or_else(String::new, |(down_ms, cause)| {
                format!(", the last took {down_ms} ms: {}", cause.replace('\n', " "))
            });
            format!("{:indent$}{name}: {state}, {restarts} restarts{last}\n", "")
        }
    }
}

fn state_for(state: RoomState, silent_ms: u64) -> String {
    match state {
        RoomState::Stalled => format!("{} for {silent_ms} ms", state.name()),
        RoomState::Working | RoomState::Rebuilding | RoomState::Ended => state.name().into(),
    }
}
