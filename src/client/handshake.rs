//! How a connection starts, in either protocol: the session is handed over and taken up, or not.

use super::event::SessionState;
use super::shared::SessionTicket;
use ostler_core::types::{SessionId, Xid, Zxid};
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};
use ostler_core::wire::native::{Hello, HelloOptions, Refusal, Welcome, greeting};
use ostler_core::wire::{Codec, DecodeError};

/// Which protocol a client speaks. What can be asked is the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// ZooKeeper's, which every server understands.
    #[default]
    ZooKeeper,
    /// Ostler's own.
    Native,
}

impl Protocol {
    /// How it is written.
    pub(crate) fn codec(self) -> Codec {
        match self {
            Self::ZooKeeper => Codec::Jute,
            Self::Native => Codec::Native,
        }
    }
}

/// What a client asks a server for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// Newest state the client has seen.
    pub(crate) last_zxid: i64,
    /// Wanted timeout in milliseconds.
    pub(crate) timeout_ms: i32,
    /// The session to take up, or none.
    pub(crate) ticket: SessionTicket,
    /// Whether a server that serves reads only will do.
    pub(crate) read_only: bool,
    /// What else it may choose in the native protocol.
    pub(crate) options: HelloOptions,
}

/// What a server says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The session is attached.
    Attached { ticket: SessionTicket, timeout_ms: i32, state: SessionState, last_once: Xid },
    /// The session has ended.
    Expired,
    /// Another server should be tried, or this one later.
    TryAnother,
}

impl Opening {
    /// The first bytes of a connection.
    pub(crate) fn encode(self, codec: Codec) -> Vec<u8> {
        let mut bytes = Vec::new();
        let password = match self.ticket.session {
            SessionId::NONE => [0; 16],
            SessionId(_) => self.ticket.password,
        };
        let last_zxid_seen = Zxid::from_wire(self.last_zxid);
        let (timeout_ms, session) = (self.timeout_ms, self.ticket.session);
        match codec {
            Codec::Jute => ConnectRequest {
                protocol_version: 0,
                last_zxid_seen,
                timeout_ms,
                session,
                password: password.to_vec(),
                read_only: Some(self.read_only),
            }
            .encode(&mut bytes),
            Codec::Native => {
                bytes.extend_from_slice(&greeting());
                let options = self.options;
                Hello { last_zxid_seen, timeout_ms, session, password, options }.encode(&mut bytes);
            }
        }
        bytes
    }
}

impl Verdict {
    /// From the body of the server's first frame.
    pub(crate) fn decode(codec: Codec, body: &[u8]) -> Result<Self, DecodeError> {
        match codec {
            Codec::Jute => ConnectResponse::decode(body).map(Self::of_response),
            Codec::Native => Welcome::decode(body).map(Self::of_welcome),
        }
    }

    fn of_response(response: ConnectResponse) -> Self {
        if response.timeout_ms <= 0 {
            return Self::Expired;
        }
        let state = match response.read_only {
            Some(true) => SessionState::ConnectedReadOnly,
            Some(false) | None => SessionState::SyncConnected,
        };
        let ConnectResponse { session, password, timeout_ms, .. } = response;
        let (ticket, last_once) = (SessionTicket { session, password }, Xid(0));
        Self::Attached { ticket, timeout_ms, state, last_once }
    }

    fn of_welcome(welcome: Welcome) -> Self {
        match welcome {
            Welcome::Accepted { session, timeout_ms, password, last_once, .. } => Self::Attached {
                ticket: SessionTicket { session, password },
                timeout_ms,
                state: SessionState::SyncConnected,
                last_once,
            },
            Welcome::Refused(Refusal::SessionExpired) => Self::Expired,
            Welcome::Refused(Refusal::Behind | Refusal::NotServing | Refusal::Version(_)) => {
                Self::TryAnother
            }
        }
    }
}

#[cfg(test)]
#[path = "handshake_test.rs"]
mod tests;
