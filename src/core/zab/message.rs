//! What members say to each other. Encoded by `wire::peer`; sent over one FIFO link a pair.
//!
//! Every message after discovery carries its epoch; one of another epoch is dropped and counted.
//! A learner's `Info` begins a new attempt on the link: whatever it said before is void, and it
//! ignores the leader until `LeaderInfo` repeats the attempt's number.

use super::{Proposal, Reign};
use crate::types::{Epoch, ServerId, Zxid};
use alloc::vec::Vec;
use bytes::Bytes;

/// A ballot: who should lead, and how recent that server's history is. Ordered by epoch, then
/// zxid, then server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// The epoch of the candidate's history.
    pub epoch: Epoch,
    /// The candidate's last durable zxid.
    pub zxid: Zxid,
    /// The candidate.
    pub leader: ServerId,
}

/// What a server says of itself in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Has no leader.
    Looking,
    /// Follows, or is trying to.
    Following,
    /// Leads, or is trying to.
    Leading,
    /// Observes.
    Observing,
}

/// An election's message. Losing, repeating or reordering it does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Number of the sender's election, compared only between those that are looking.
    pub round: u64,
    /// What the sender is doing.
    pub standing: Standing,
    /// Whom it votes for; for one that is not looking, its leader, with what it voted by.
    pub vote: Vote,
    /// The sender asks for an answer, because it has just begun to look or to listen.
    pub asks: bool,
}

/// Between a leader and its learners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Learner to candidate: let me follow.
    Info {
        /// Random or counted; repeated in `LeaderInfo`.
        attempt: u64,
        /// The highest reign the sender has promised to.
        accepted: Reign,
    },
    /// Leader to learner: this epoch is going to be mine.
    LeaderInfo {
        /// From `Info`; zero when an established leader moves on to a new epoch in place.
        attempt: u64,
        /// The new epoch.
        epoch: Epoch,
    },
    /// Learner to leader: promised, durably.
    AckEpoch {
        /// The new epoch.
        epoch: Epoch,
        /// The reign whose history the sender holds.
        current: Reign,
        /// Its last durable zxid.
        last: Zxid,
        /// Whether this promise may be counted: not if the epoch was promised to another server.
        counts: bool,
    },
    /// Leader to learner: drop what follows `base`; entries after it come next.
    SyncFrom {
        /// The leader's epoch.
        epoch: Epoch,
        /// Last zxid in common.
        base: Zxid,
    },
    /// Leader to learner: a snapshot exact at `zxid` comes next, in chunks, then entries.
    SyncSnapshot {
        /// The leader's epoch.
        epoch: Epoch,
        /// What it is exact at.
        zxid: Zxid,
        /// No entry up to there is later, in milliseconds since 1970: nor must any behind be
        /// earlier.
        time_ms: i64,
    },
    /// Leader to learner: the next piece of the snapshot.
    SnapshotChunk {
        /// The leader's epoch.
        epoch: Epoch,
        /// The content.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// Leader to learner: history, gapless after what was sent before, before `NewLeader`.
    SyncEntries {
        /// The leader's epoch.
        epoch: Epoch,
        /// Never empty.
        entries: Vec<Proposal>,
    },
    /// Learner to leader: so many `SnapshotChunk`s and `SyncEntries` were taken in so far in this
    /// attempt. Paces the leader; promises nothing.
    SyncTaken {
        /// The leader's epoch.
        epoch: Epoch,
        /// Counted from the attempt's start.
        count: u64,
    },
    /// Leader to learner: with this, you hold my history up to `last`. Adopt it.
    NewLeader {
        /// The leader's epoch.
        epoch: Epoch,
        /// Last zxid sent.
        last: Zxid,
    },
    /// Learner to leader: adopted, durably.
    AckNewLeader {
        /// The leader's epoch.
        epoch: Epoch,
    },
    /// Leader to learner: a quorum has adopted; serve.
    UpToDate {
        /// The leader's epoch.
        epoch: Epoch,
        /// Everything up to here is committed.
        committed: Zxid,
    },
    /// Leader to learner: new writes.
    Propose {
        /// The leader's epoch.
        epoch: Epoch,
        /// The zxid before the first entry; the learner must have logged exactly up to it.
        previous: Zxid,
        /// Never empty.
        entries: Vec<Proposal>,
        /// Everything up to here is committed.
        committed: Zxid,
    },
    /// Learner to leader: durable up to here.
    Ack {
        /// The leader's epoch.
        epoch: Epoch,
        /// Cumulative.
        durable: Zxid,
    },
    /// Leader to learner: committed up to here.
    Commit {
        /// The leader's epoch.
        epoch: Epoch,
        /// Cumulative.
        committed: Zxid,
    },
    /// Leader to learner.
    Ping {
        /// The leader's epoch.
        epoch: Epoch,
        /// Number of the heartbeat round; never used twice in an epoch.
        round: u64,
        /// Everything up to here is committed.
        committed: Zxid,
    },
    /// Learner to leader: the round's echo.
    Pong {
        /// The leader's epoch.
        epoch: Epoch,
        /// The round.
        round: u64,
    },
    /// Either side: I am no longer with you; do not wait for silence.
    Leave {
        /// The epoch it was about.
        epoch: Epoch,
    },
}

impl Message {
    /// The epoch it is about; none for `Info`, which comes before any.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Info { .. } => None,
            Self::LeaderInfo { epoch, .. }
            | Self::AckEpoch { epoch, .. }
            | Self::SyncFrom { epoch, .. }
            | Self::SyncSnapshot { epoch, .. }
            | Self::SnapshotChunk { epoch, .. }
            | Self::SyncEntries { epoch, .. }
            | Self::SyncTaken { epoch, .. }
            | Self::NewLeader { epoch, .. }
            | Self::AckNewLeader { epoch }
            | Self::UpToDate { epoch, .. }
            | Self::Propose { epoch, .. }
            | Self::Ack { epoch, .. }
            | Self::Commit { epoch, .. }
            | Self::Ping { epoch, .. }
            | Self::Pong { epoch, .. }
            | Self::Leave { epoch } => Some(*epoch),
        }
    }
}
