//! Machines: one per room, each the pure brain of one actor.
//!
//! A machine is told what happened (`Input`) and says what to do about it (`Effect`). It performs
//! nothing itself, reads no clock and names no other machine: an actor of `ostler-actors` or the
//! simulator carries the effects out and feeds completions back as inputs.

pub mod answer;
#[cfg(test)]
mod answer_test;
pub mod asking;
pub mod connection;
#[cfg(test)]
mod connection_lane_test;
pub mod log_writer;
pub mod peer;
pub mod pipeline;
mod quota_warnings;
pub mod rebuilding;
pub mod session_sweeper;
pub mod snapshot_writer;
#[cfg(test)]
mod stage_test;
pub mod tree_store;
#[cfg(test)]
mod tree_store_test;
pub mod unproven;
mod watch_catch_up;
pub mod watch_fanout;

use alloc::vec::Vec;

/// A subsystem that decides without performing.
pub trait Machine {
    /// What can happen to it: a closed enum.
    type Input;
    /// What it can ask for: a closed enum.
    type Effect;

    /// Takes in one input and appends what is to be done, in order, to `effects`.
    ///
    /// No effect implies "and after that": a completion the machine must know of comes back as
    /// an input.
    fn step(&mut self, now: Now, input: Self::Input, effects: &mut Vec<Self::Effect>);
}

/// The time at which an input is handed to a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds of a clock that never goes back and is not set by anyone; its start is
    /// arbitrary. Deadlines are reckoned in it.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch, as the host believes. Only for what clients are shown.
    pub wall_ms: i64,
}
