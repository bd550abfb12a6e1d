//! What connections hand in and what the tree store gets: the data that passes through the
//! pipeline. What a payload means is not known here.

use crate::types::{AuthId, ConnectionId, SessionId, Xid, Zxid};
use crate::wire::Codec;
use crate::zab::Proposal;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// The connection a request came on, shared by all its requests.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Where the replies go.
    pub connection: ConnectionId,
    /// The session that speaks, `NONE` during the handshake.
    pub session: SessionId,
    /// How replies are encoded.
    pub codec: Codec,
    /// What the connection has proven.
    pub ids: Arc<[AuthId]>,
}

/// All requests that one socket read gave and that could not be answered in place.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Who asks.
    pub sender: Arc<Sender>,
    /// What for, in the order of the socket.
    pub items: Vec<Item>,
}

/// One request of a submission.
#[derive(Clone, Debug)]
pub struct Item {
    /// Echoed in the reply.
    pub xid: Xid,
    /// What is asked for.
    pub body: ItemBody,
}

/// What a client claims at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The highest zxid it has seen.
    pub last_zxid_seen: Zxid,
    /// The timeout granted to it, in milliseconds.
    pub timeout_ms: i32,
    /// The session it wants to go on with; `NONE` for a new one.
    pub session: SessionId,
    /// Proof that the session is its own.
    pub password: Bytes,
}

/// What a request of a submission asks for.
#[derive(Clone, Debug)]
pub enum ItemBody {
    /// A transaction payload; takes a zxid.
    Write(Bytes),
    /// A request's own bytes, answered from the tree at its place in the connection's order.
    Travel(Bytes),
    /// Like `Travel`, but answered only from a state that has everything any server had
    /// acknowledged when the request came: `sync`, and linearizable reads.
    Confirm(Bytes),
    /// A claim that this server's own state does not bear out: to be judged again by a state that
    /// has everything any server had acknowledged when it came.
    Claim(Claim),
    /// The sender's connection takes this session over, its password having been checked.
    Attach {
        /// The session taken over.
        session: SessionId,
        /// Its newly negotiated timeout in milliseconds.
        timeout_ms: i32,
    },
}

impl ItemBody {
    /// Size of what it carries, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Write(bytes) | Self::Travel(bytes) | Self::Confirm(bytes) => bytes.len(),
            Self::Claim(_) | Self::Attach { .. } => 0,
        }
    }
}

/// Something the tree store may act on.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Who is to be answered; nobody for transactions of other servers and of the server itself.
    pub sender: Option<Arc<Sender>>,
    /// Echoed in the reply.
    pub xid: Xid,
    /// What to do.
    pub body: CommittedBody,
}

/// What the tree store is to do.
#[derive(Clone, Debug)]
pub enum CommittedBody {
    /// Apply a transaction.
    Txn(Proposal),
    /// Answer a request, given by its own bytes.
    Travel(Bytes),
    /// Answer, without a word, that the tree has what comes before.
    Vouched,
    /// Judge a claim.
    Claim(Claim),
    /// Confirm a takeover.
    Attach {
        /// The session taken over.
        session: SessionId,
        /// Its newly negotiated timeout in milliseconds.
        timeout_ms: i32,
    },
}
