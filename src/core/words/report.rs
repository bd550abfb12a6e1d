//! What the words tell of, as plain values that the caller gathers.

use super::distribution::{Quantiles, Summary};
use super::rooms::RoomLine;
use crate::types::{SessionId, Zxid};
use crate::watch::WatchSummary;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Everything any word tells of. Lists are told in the order they come in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Whether requests are served; most words answer only then.
    pub serving: bool,
    /// Version, hash and date of the build as told behind `Zookeeper version: `.
    pub version: String,
    /// What the server is doing.
    pub state: ServerState,
    /// Time from a request's arrival to its answer, in milliseconds.
    pub latency_ms: Summary,
    /// Requests received, words included.
    pub packets_received: u64,
    /// Answers and events sent.
    pub packets_sent: u64,
    /// Open client connections.
    pub connections_alive: u64,
    /// Requests received and not answered yet.
    pub outstanding_requests: u64,
    /// The last transaction applied.
    pub zxid: Zxid,
    /// Number of znodes.
    pub znodes: u64,
    /// Sizes of proposals, on a leader only.
    pub proposal_sizes: Option<ProposalSizes>,
    /// One entry per open client connection.
    pub connections: Vec<ConnectionEntry>,
    /// Keys and values of `conf`, directories and sizes among them.
    pub settings: Vec<(String, String)>,
    /// The ensemble's configuration, told by `conf` unless the server stands alone.
    pub membership: Option<String>,
    /// Bytes of all snapshots.
    pub snapshot_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Keys and values of `envi`.
    pub environment: Vec<(String, String)>,
    /// The trace mask; it is kept for those who ask and has no effect.
    pub trace_mask: i64,
    /// Digests of the tree at past zxids, oldest first.
    pub digests: Vec<(Zxid, i64)>,
    /// Sessions, as `dump` tells them.
    pub sessions: Sessions,
    /// Sessions and the paths of their ephemerals.
    pub ephemerals: Vec<(SessionId, Vec<String>)>,
    /// Connections and their sessions by the instant at which they are given up.
    pub connection_deadlines: Vec<ExpirySet<(SocketAddr, SessionId)>>,
    /// Number of watches.
    pub watches: WatchSummary,
    /// Watched paths by session.
    pub watches_by_session: Vec<(SessionId, Vec<Arc<str>>)>,
    /// Sessions that watch, by path.
    pub watches_by_path: Vec<(Arc<str>, Vec<SessionId>)>,
    /// The tree of rooms, groups before their members.
    pub rooms: Vec<RoomLine>,
    /// What only `mntr` tells.
    pub gauges: Gauges,
}

/// Values that only `mntr` tells. Lines that are `None` here are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// Role and phase in an ensemble, such as `leading - broadcast`.
    pub peer_state: Option<&'static str>,
    /// Milliseconds since the server began to serve.
    pub uptime_ms: u64,
    /// Ephemeral znodes.
    pub ephemerals: u64,
    /// Bytes of all paths and data, about.
    pub data_bytes: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Files and sockets the process has open.
    pub open_files: Option<u64>,
    /// How many it may have open.
    pub open_files_max: Option<u64>,
    /// Sizes of answers.
    pub response_sizes: Option<ResponseSizes>,
    /// Failed authentications.
    pub auth_failed: Option<u64>,
    /// Further lines: gauges of an ensemble, then counters. Names are without `zk_`.
    pub values: Vec<(&'static str, i64)>,
    /// Further lines in groups of five. Names are without `zk_`.
    pub summaries: Vec<(&'static str, Summary)>,
    /// Further lines in groups of nine. Names are without `zk_`.
    pub quantiles: Vec<(&'static str, Quantiles)>,
}

/// What the server is doing, in the word behind `Mode: `.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerState {
    /// It has no ensemble.
    #[default]
    Standalone,
    /// It leads.
    Leader,
    /// It follows and votes.
    Follower,
    /// It learns without a vote.
    Observer,
    /// It has lost its ensemble and serves reads.
    ReadOnly,
}

impl ServerState {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// Sizes in bytes; -1 as long as there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalSizes {
    /// Of the last proposal.
    pub last: i64,
    /// Of the smallest.
    pub min: i64,
    /// Of the largest.
    pub max: i64,
}

/// Sizes in bytes; -1 as long as there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseSizes {
    /// Of the last answer.
    pub last: i64,
    /// Of the smallest.
    pub min: i64,
    /// Of the largest.
    pub max: i64,
}

/// One client connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionEntry {
    /// The client's end.
    pub address: SocketAddr,
    /// 1 if the server reads from it, plus 4 if output waits to be written.
    pub interest: u8,
    /// Requests not answered yet.
    pub queued: u64,
    /// Requests received.
    pub received: u64,
    /// Answers and events sent.
    pub sent: u64,
    /// Told by `cons` once the connection has a session.
    pub session: Option<SessionEntry>,
}

/// The session part of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEntry {
    /// Which session.
    pub session: SessionId,
    /// ZooKeeper's code of the last operation: `PING`, `CREA`, …; `NA` before any.
    pub last_operation: &'static str,
    /// When the connection was made, in milliseconds since the Unix epoch.
    pub established_wall_ms: i64,
    /// The session's timeout in milliseconds.
    pub timeout_ms: i32,
    /// Number of the last request; not told if negative.
    pub last_xid: i32,
    /// Zxid of the last answer.
    pub last_zxid: Zxid,
    /// When the last answer was sent, in milliseconds of the monotonic clock.
    pub last_response_mono_ms: u64,
    /// How long the last answer took, in milliseconds.
    pub last_latency_ms: u64,
    /// How long all answers took, in milliseconds.
    pub latency_ms: Summary,
}

/// What is given up at one instant unless it is heard of before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpirySet<T> {
    /// The instant, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// What is given up then.
    pub members: Vec<T>,
}

/// Sessions as the server knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// By whoever decides on their end.
    Tracked(Vec<ExpirySet<SessionId>>),
    /// By a learner: with their timeouts in milliseconds.
    Learned(Vec<(SessionId, i32)>),
}

impl Default for Sessions {
    fn default() -> Self {
        Self::Tracked(Vec::new())
    }
}
