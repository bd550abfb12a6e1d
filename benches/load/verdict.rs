//! What set the pace: the server, or what measured it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A thread of the harness that used more of its core than this had no time left to send more.
const THREAD_FULL: f64 = 0.9;
/// A machine busier than this had none left for the server.
const MACHINE_FULL: f64 = 0.95;
/// An open loop that got less than this share of its rate was not served as fast as it asked.
const RATE_MET: f64 = 0.99;

/// What a run's rate was bounded by, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "bound_by")]
pub enum Verdict {
    /// The server, or the round trips to it.
    Server,
    /// A thread of the harness: the server can do more than this.
    Harness {
        /// Share of its core that the busiest thread used.
        busiest_thread: f64,
    },
    /// Harness and server, and perhaps others, shared a machine that had no more to give.
    Machine {
        /// Share of all cores that was busy.
        busy: f64,
    },
    /// The rate that was asked for, which the server kept up with.
    Rate,
    /// The server did not keep up with the rate that was asked for.
    Behind {
        /// Share of the rate that was served.
        served: f64,
    },
}

/// What the verdict is made from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence {
    /// Share of its core that the busiest thread of the harness used.
    pub(super) busiest_thread: f64,
    /// Share of all cores that was busy.
    pub(super) busy: f64,
    /// Of an open loop, the share of its rate that was served.
    pub(super) served: Option<f64>,
}

impl Verdict {
    /// The harness is suspected first: a slow server never explains a busy harness.
    pub(super) fn of(evidence: Evidence) -> Self {
        let Evidence { busiest_thread, busy, served } = evidence;
        match served {
            _ if busiest_thread >= THREAD_FULL => Self::Harness { busiest_thread },
            Some(served) if served >= RATE_MET => Self::Rate,
            _ if busy >= MACHINE_FULL => Self::Machine { busy },
            Some(served) => Self::Behind { served },
            None => Self::Server,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("bound by the server, or by the round trips to it"),
            Self::Harness { busiest_thread } => write!(
                f,
                "THE HARNESS WAS THE BOTTLENECK: its busiest thread used {:.0} % of a core; the \
                 server can do more than this (see --threads)",
                busiest_thread * 100.0
            ),
            Self::Machine { busy } => write!(
                f,
                "bound by the machine: {:.0} % of its cores were busy, the harness among those \
                 who used them",
                busy * 100.0
            ),
            Self::Rate => f.write_str("bound by the rate that was asked for"),
            Self::Behind { served } => write!(
                f,
                "the server served {:.1} % of the rate that was asked for",
                served * 100.0
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(busiest_thread: f64, busy: f64, served: Option<f64>) -> Verdict {
        Verdict::of(Evidence { busiest_thread, busy, served })
    }

    #[test]
    fn a_full_thread_of_the_harness_is_named_before_anything_else() {
        assert_eq!(verdict(0.97, 1.0, None), Verdict::Harness { busiest_thread: 0.97 });
        assert_eq!(verdict(0.97, 0.2, Some(0.5)), Verdict::Harness { busiest_thread: 0.97 });
    }

    #[test]
    fn the_server_is_named_only_where_there_was_room_for_it() {
        assert_eq!(verdict(0.5, 0.99, None), Verdict::Machine { busy: 0.99 });
        assert_eq!(verdict(0.5, 0.7, None), Verdict::Server);
        assert_eq!(verdict(0.5, 0.7, Some(0.8)), Verdict::Behind { served: 0.8 });
        assert_eq!(verdict(0.5, 0.99, Some(0.8)), Verdict::Machine { busy: 0.99 });
    }

    #[test]
    fn a_rate_that_was_kept_bounds_the_run() {
        assert_eq!(verdict(0.1, 0.99, Some(1.0)), Verdict::Rate);
    }
}
