//! Why a run could not be made. What a server refuses is no such reason: it is counted.

use ostler_core::wire::DecodeError;
use std::io;

/// Why a run ended without a report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An argument makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A server cannot be reached, or the connection broke outside the measured time.
    #[error("{place}: {error}")]
    Socket {
        /// The server.
        place: String,
        /// What the system said.
        error: io::Error,
    },
    /// A server ended a connection instead of opening a session on it.
    #[error(
        "{place}: {error}, in the handshake of one of {connections} connections; a server takes so \
         many from one address (Ostler's client.connections_per_ip_max, ZooKeeper's \
         maxClientCnxns, 60 by default): raise that, or ask for fewer"
    )]
    TurnedAway {
        /// The server.
        place: String,
        /// How many the run opens, to all servers.
        connections: usize,
        /// What the system said.
        error: io::Error,
    },
    /// A server does not speak the protocol.
    #[error("{place}: {error}")]
    Reply {
        /// The server.
        place: String,
        /// What was wrong with the bytes.
        error: DecodeError,
    },
    /// A server refused what every run needs.
    #[error("{place} refused {what}: error {code}")]
    Refused {
        /// The server.
        place: String,
        /// What was asked.
        what: String,
        /// ZooKeeper's code.
        code: i32,
    },
    /// Something did not happen in time.
    #[error("{0} took too long")]
    Late(String),
    /// The machine refused something.
    #[error("{what}: {error}")]
    Machine {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

impl LoadError {
    /// For `map_err`: the machine refused this.
    pub(super) fn machine(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Machine { what, error }
    }
}
