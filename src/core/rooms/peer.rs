//! The peer room of a server that stands alone: it elects itself, once the epoch it is going to
//! lead is on disk.
//!
//! Votes, links and followers are not here; they come with ensembles.

use super::{Machine, Now};
use crate::types::Epoch;
use alloc::vec::Vec;

/// What can happen to the peer room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Recovery is over; `last` is the highest epoch found in the log.
    Start {
        /// Highest epoch accepted, led or used before.
        last: Epoch,
    },
    /// The record of this epoch is durable.
    EpochRecorded(Epoch),
}

/// What the peer room wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To the log writer.
    RecordEpoch(Epoch),
    /// To the pipeline.
    Lead(Epoch),
}

/// See the module.
#[derive(Default)]
pub struct Peer {
    leading: Option<Epoch>,
}

impl Peer {
    /// The epoch this server leads, if it does.
    pub fn leading(&self) -> Option<Epoch> {
        self.leading
    }
}

impl Machine for Peer {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, _now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Start { last } => effects.push(Effect::RecordEpoch(last.next())),
            Input::EpochRecorded(epoch) => {
                self.leading = Some(epoch);
                effects.push(Effect::Lead(epoch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_server_leads_only_after_its_epoch_is_durable() {
        let mut peer = Peer::default();
        let mut effects = Vec::new();
        let now = Now { mono_ms: 0, wall_ms: 0 };
        peer.step(now, Input::Start { last: Epoch(2) }, &mut effects);
        assert_eq!(effects, [Effect::RecordEpoch(Epoch(3))]);
        assert_eq!(peer.leading(), None);
        peer.step(now, Input::EpochRecorded(Epoch(3)), &mut effects);
        assert_eq!(effects[1], Effect::Lead(Epoch(3)));
        assert_eq!(peer.leading(), Some(Epoch(3)));
    }
}
