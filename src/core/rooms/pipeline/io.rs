//! What goes in and out of the pipeline.

use super::relay::Relay;
use super::requests::{Committed, Sender, Submission};
use crate::types::{ConnectionId, Epoch, ServerId, SessionId, Zxid};
use crate::zab::io::Timing;
use crate::zab::message::Message;
use crate::zab::quorum::Membership;
use crate::zab::{History, HistoryReader, LogOrder, Recovered, Reign, Restated};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// What one pipeline sends to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// Between the members.
    Zab(Message),
    /// About clients.
    Relay(Relay),
}

/// What can happen to the pipeline.
#[derive(Clone, Debug)]
pub enum Input {
    /// Recovery is over.
    Start,
    /// The election's candidate.
    Try(ServerId),
    /// From another server's pipeline, in the order of the link.
    Received(ServerId, Vec<PeerMessage>),
    /// A link broke.
    LinkDown(ServerId),
    /// A connection's requests.
    Submit(Submission),
    /// Connections with nothing under way want to be told when this server's tree has everything
    /// that any server had acknowledged when they asked.
    Vouch(Vec<Arc<Sender>>),
    /// Payloads the server itself proposes: expiries and reaping. Only a leader does; from any
    /// other they are dropped, for the leader sees the same need.
    Propose(Vec<Bytes>),
    /// Log orders up to and including this mark are durable.
    Durable(u64),
    /// A piece of history that was asked for.
    History(HistoryReader, History),
    /// A piece of a snapshot that was asked for.
    SnapshotRead {
        /// For whom.
        learner: ServerId,
        /// What the snapshot is exact at.
        zxid: Zxid,
        /// The piece.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// A snapshot that was asked for cannot be had.
    SnapshotUnreadable(ServerId),
    /// A received snapshot is published.
    SnapshotInstalled(Zxid),
    /// The snapshot that was being received is gone.
    SnapshotLost,
    /// The tree was replaced by the snapshot at this zxid.
    Loaded(Zxid),
    /// Sessions made by committed transactions, and this server's connections that asked for
    /// them, at this zxid or before.
    Opened(Vec<(SessionId, ConnectionId)>, Zxid),
    /// A takeover was confirmed by the tree at this zxid.
    Attached(SessionId, ConnectionId, Zxid),
    /// Sessions ended by committed transactions.
    Ended(Vec<SessionId>),
    /// A socket is gone.
    Gone(SessionId, ConnectionId),
    /// Sessions of this server's clients heard from, and how long ago, in milliseconds.
    Touched(Vec<(SessionId, u32)>),
    /// What the member remembers is void: it begins anew from what the log holds. The requests of
    /// this server's clients wait as they do while there is no leader.
    Anew,
    /// The answer to [`Effect::Restate`].
    Restated(Restated),
    /// Time has passed.
    Tick,
}

/// What the pipeline wants done, in this order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To another server's pipeline, behind what was sent before.
    Send(ServerId, PeerMessage),
    /// Break this link and make it anew.
    Disconnect(ServerId),
    /// To the log writer; see [`MemberEffect::Log`].
    Log {
        /// Comes back in `Durable`.
        mark: u64,
        /// Everything up to here is committed.
        committed: Zxid,
        /// What to write.
        orders: Vec<LogOrder>,
    },
    /// To the tree store, in order.
    Commit(Vec<Committed>),
    /// To the tree store: replace the tree by the snapshot at this zxid, before anything later.
    Load(Zxid),
    /// Close these sockets: their session was taken over or has ended.
    Kick(Vec<ConnectionId>),
    /// To the peer room: look for a leader with these credentials.
    Look {
        /// Epoch of the history.
        epoch: Epoch,
        /// Its end.
        last: Zxid,
    },
    /// To the peer room and to the session sweeper: this server serves under this reign.
    Serving(Reign),
    /// To the session sweeper: there is no leader.
    Suspended,
    /// To the session sweeper, on the leader: sessions another server's clients were heard on,
    /// and how long ago, in milliseconds.
    Touch(Vec<(SessionId, u32)>),
    /// To the session sweeper, on the leader: a client came back for its session.
    Renew {
        /// The session.
        session: SessionId,
        /// Its timeout from now on, in milliseconds.
        timeout_ms: i32,
    },
    /// To the log writer.
    ReadHistory(HistoryReader, Zxid),
    /// To the snapshot writer.
    OpenSnapshot(ServerId),
    /// To the snapshot writer.
    ReadSnapshot(ServerId),
    /// To the snapshot writer.
    CloseSnapshot(ServerId),
    /// To the snapshot writer.
    BeginSnapshot(Zxid),
    /// To the snapshot writer.
    WriteSnapshot {
        /// The piece.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// To the door: no question of those that wanted to be vouched for is under way any more.
    MayAsk,
    /// To the log writer: tell what the log holds, behind all orders.
    Restate,
    /// End the process with this reason.
    Halt(&'static str),
}

impl Input {
    /// Whether it is taken in again by the pipeline that succeeds one which panicked over it: what
    /// clients and sessions depend on is. Requests are at the desk as soon as anything can go
    /// wrong, and the rest is decided anew.
    pub fn outlives_its_pipeline(&self) -> bool {
        match self {
            Self::LinkDown(_)
            | Self::Propose(_)
            | Self::Opened(..)
            | Self::Attached(..)
            | Self::Ended(_)
            | Self::Gone(..) => true,
            Self::Start
            | Self::Try(_)
            | Self::Received(..)
            | Self::Submit(_)
            | Self::Vouch(_)
            | Self::Durable(_)
            | Self::History(..)
            | Self::SnapshotRead { .. }
            | Self::SnapshotUnreadable(_)
            | Self::SnapshotInstalled(_)
            | Self::SnapshotLost
            | Self::Loaded(_)
            | Self::Touched(_)
            | Self::Anew
            | Self::Restated(_)
            | Self::Tick => false,
        }
    }
}

impl Effect {
    /// Whether it is still to be performed when the pipeline that decided it is gone: what
    /// concerns this server's clients and its state is, whereas what was to be ordered or said to
    /// other servers is decided anew.
    pub fn outlives_its_pipeline(&self) -> bool {
        match self {
            Self::Commit(_) | Self::Load(_) | Self::Kick(_) | Self::Renew { .. } | Self::MayAsk => {
                true
            }
            Self::Send(..)
            | Self::Disconnect(_)
            | Self::Log { .. }
            | Self::Look { .. }
            | Self::Serving(_)
            | Self::Suspended
            | Self::Touch(_)
            | Self::ReadHistory(..)
            | Self::OpenSnapshot(_)
            | Self::ReadSnapshot(_)
            | Self::CloseSnapshot(_)
            | Self::BeginSnapshot(_)
            | Self::WriteSnapshot { .. }
            | Self::Restate
            | Self::Halt(_) => false,
        }
    }
}

/// What a pipeline is made from.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// This server.
    pub me: ServerId,
    /// Who decides with it.
    pub membership: Membership,
    /// How long things may take.
    pub timing: Timing,
    /// What recovery found.
    pub recovered: Recovered,
    /// How much history is kept in memory for learners that fall behind, in bytes of payload.
    pub window_bytes: usize,
    /// Number of the first request; random, so that no number is used in two lives.
    pub first_serial: u64,
}
