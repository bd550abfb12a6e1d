//! Zab: one history for the whole ensemble.
//!
//! Two machines live here. [`election`] chooses a candidate quickly; nothing that matters for
//! safety rests on its choice. [`member`] is everything after it: a leader or learner that agrees
//! on an epoch, brings histories together, and broadcasts. Payloads are opaque bytes.
//!
//! No clock, disk or socket is touched. What must be durable before a promise leaves is handed
//! out as [`LogOrder`]s under a mark, and the promise is made only while taking in the input that
//! says the mark is durable. Znodes, sessions and clients are unknown here.
//!
//! The rooms `peer` and `pipeline` host the two machines; so does the simulator.

pub mod election;
pub mod io;
pub mod member;
pub mod message;
pub mod quorum;
#[cfg(test)]
mod tests;

use crate::types::{Epoch, ServerId, Zxid};
use alloc::vec::Vec;
use bytes::Bytes;

/// Which server took a write in, and its number there. It lets that server recognise its own
/// writes in any history, and so answer each exactly once whatever became of the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The server whose client asked; `ServerId(0)` for nobody.
    pub server: ServerId,
    /// Rises by one with each write of that server; begins at a random number at each start, so
    /// that a number is never used twice.
    pub serial: u64,
}

/// A write without a place in the order yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Who took it in.
    pub origin: Origin,
    /// What it does; see `wire::txn`.
    pub payload: Bytes,
}

/// A write with its place in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its place.
    pub zxid: Zxid,
    /// The leader's wall time, never decreasing along the history, in milliseconds since 1970.
    pub time_ms: i64,
    /// Who took it in.
    pub origin: Origin,
    /// What it does; see `wire::txn`.
    pub payload: Bytes,
}

/// An epoch and the server it is bound to. Two leaders of one epoch cannot both be promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reign {
    /// The epoch.
    pub epoch: Epoch,
    /// Its leader.
    pub leader: ServerId,
}

/// What is to be written to the log, in order. The log is the only place for protocol facts: one
/// file order, one order of syncs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOrder {
    /// Continue the live history.
    Append(Proposal),
    /// Promise to follow no leader of an earlier epoch, nor another one of this.
    Accept(Reign),
    /// Begin to collect a leader's history beside the live one. Entries after `base` are going to
    /// be superseded. A stage begun before and not committed is void.
    BeginStage {
        /// Last zxid that both histories share, or the zxid of a snapshot just installed.
        base: Zxid,
        /// The snapshot at `base` replaces everything before.
        snapshot: bool,
    },
    /// Add to the stage.
    Stage(Proposal),
    /// Adopt: in one atomic record the stage becomes the history after its base, and `reign`
    /// becomes the current one. Without a stage begun, the live history is kept as it is.
    CommitStage {
        /// The leader whose history it is.
        reign: Reign,
    },
}

/// What a server finds in its log when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Highest reign promised to.
    pub accepted: Reign,
    /// The reign whose initial history was adopted.
    pub current: Reign,
    /// Last zxid of the history.
    pub last: Zxid,
    /// Time of the entry at `last`, or the latest one known, so that time never goes back; 0 when
    /// there is none.
    pub time_ms: i64,
    /// Everything up to here is known to be committed.
    pub committed: Zxid,
    /// Everything up to here is in the host's state already. Never above `committed`, but for a
    /// server that is an ensemble by itself.
    pub delivered: Zxid,
}

/// What a log in use says of itself. All of it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restated {
    /// Highest reign promised to.
    pub accepted: Reign,
    /// The reign whose initial history was adopted.
    pub current: Reign,
    /// Last zxid of the history.
    pub last: Zxid,
    /// Everything up to here is known to be committed.
    pub committed: Zxid,
    /// What the log has follows this: a snapshot has what came before.
    pub base: Zxid,
}

/// Who wants to read old history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HistoryReader {
    /// A learner that is being brought up to date.
    Learner(ServerId),
    /// This server's own state, which lags behind what is kept in memory.
    Host,
    /// This server's own state, which is being made anew. No affair of the protocol's.
    Rebuild,
}

/// A piece of durable, live history, as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The zxid asked for.
    pub after: Zxid,
    /// The greatest zxid of the history that is not above `after`; equal to `after` exactly when
    /// the history contains it (or it is the zxid of the snapshot the log begins with).
    pub base: Zxid,
    /// Entries that follow `base`, gapless, up to about [`HISTORY_CHUNK_BYTES`]; empty when there
    /// are none (yet).
    pub entries: Vec<Proposal>,
    /// False when the log no longer reaches back to `after`: a snapshot is needed.
    pub reaches_back: bool,
}

/// How much old history is read or sent at a time, in bytes of payload.
pub const HISTORY_CHUNK_BYTES: usize = 1 << 20;
