//! What the pipelines of two servers say to each other about their clients, on the link that Zab
//! uses too. Its FIFO carries the order of each connection's requests to the leader.

use crate::types::{ConnectionId, SessionId, Zxid};
use alloc::vec::Vec;
use bytes::Bytes;

/// One message between pipelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// To the leader: requests of the sender's clients, in the order of their serials.
    Forward(Vec<Forwarded>),
    /// From the leader: it led after this request had come to it; a state that has `target`
    /// has everything that was acknowledged before.
    Confirmed {
        /// The request's number at the receiver.
        serial: u64,
        /// What the answer must have seen.
        target: Zxid,
    },
    /// From the leader: these connections no longer speak for their session.
    Kick(Vec<ConnectionId>),
    /// From the leader: this request came on a connection that had lost its session, and was
    /// dropped.
    Moved {
        /// The request's number at the receiver.
        serial: u64,
    },
    /// To the leader: which of the sender's connections speak for which sessions.
    Owns(Vec<Ownership>),
    /// To the leader: sessions heard from, and how long ago, in milliseconds.
    Touched(Vec<(SessionId, u32)>),
}

/// One client request on its way to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Its number at the server that took it in.
    pub serial: u64,
    /// Who speaks.
    pub session: SessionId,
    /// On which of that server's connections.
    pub connection: ConnectionId,
    /// What is asked for.
    pub body: ForwardedBody,
}

/// What a forwarded request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardedBody {
    /// To be ordered.
    Write(Bytes),
    /// To be confirmed.
    Confirm,
    /// The connection takes over a session; to be confirmed as well.
    Attach {
        /// The session.
        session: SessionId,
        /// Its timeout from now on, in milliseconds.
        timeout_ms: i32,
    },
}

/// That a connection speaks for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The session.
    pub session: SessionId,
    /// The connection, one of the sender's.
    pub connection: ConnectionId,
    /// Since when: the zxid that the takeover had seen, or that the session was made at.
    pub since: Zxid,
}
