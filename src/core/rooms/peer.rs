//! The peer room: it knows which server leads, or finds one.
//!
//! The election is Zab's; this room adds nothing to it but what operators ask. The links to other
//! servers are the room's to keep, not this machine's.

use super::{Machine, Now};
use crate::types::ServerId;
use crate::words::Summary;
use crate::zab::Reign;
use crate::zab::election::Election;
use crate::zab::io::{ElectionEffect, ElectionInput, Timing};
use crate::zab::quorum::Membership;
use alloc::vec::Vec;

/// What can happen to the peer room.
pub type Input = ElectionInput;

/// What the peer room wants done.
pub type Effect = ElectionEffect;

/// See the module.
pub struct Peer {
    election: Election,
    settled: Option<Reign>,
    settled_at_ms: u64,
    looking_since_ms: Option<u64>,
    /// Elections begun since the start.
    pub elections: u64,
    /// How long each took until this server served again, in milliseconds.
    pub election_ms: Summary,
}

impl Peer {
    /// A server that has not looked for a leader yet.
    pub fn new(me: ServerId, membership: Membership, timing: Timing) -> Self {
        Self {
            election: Election::new(me, membership, timing),
            settled: None,
            settled_at_ms: 0,
            looking_since_ms: None,
            elections: 0,
            election_ms: Summary::default(),
        }
    }

    /// The reign this server serves under, if it does.
    pub fn reign(&self) -> Option<Reign> {
        self.settled
    }

    /// When this server began to serve under its reign, in milliseconds of the monotonic clock.
    pub fn settled_at_ms(&self) -> u64 {
        self.settled_at_ms
    }
}

impl Machine for Peer {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match &input {
            ElectionInput::Look { .. } => {
                self.settled = None;
                self.elections += 1;
                self.looking_since_ms.get_or_insert(now.mono_ms);
            }
            ElectionInput::Settled(reign) => {
                self.settled = Some(*reign);
                self.settled_at_ms = now.mono_ms;
                if let Some(since_ms) = self.looking_since_ms.take() {
                    self.election_ms.observe(now.mono_ms.saturating_sub(since_ms));
                }
            }
            ElectionInput::Received(..)
            | ElectionInput::LinkUp(_)
            | ElectionInput::LinkDown(_)
            | ElectionInput::Tick => {}
        }
        self.election.step(now, input, effects);
    }
}
