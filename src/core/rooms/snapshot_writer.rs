//! What the snapshot writer's room is told. It decides nothing, so it has no machine: what these
//! words ask for is done where files are, by the actor and by the simulator.

use crate::types::{ServerId, Zxid};
use crate::zab::History;
use alloc::vec::Vec;
use bytes::Bytes;

/// What the snapshot writer is told.
pub enum SnapshotWork {
    /// A snapshot begins that is exact at this zxid.
    Begin(Zxid),
    /// Its next slice.
    Slice(Vec<u8>),
    /// It is complete.
    End,
    /// There will be no more of it.
    Abandon,
    /// Find the newest snapshot for this learner and read its first piece.
    Open(ServerId),
    /// Read the next piece for this learner.
    Read(ServerId),
    /// This learner needs no more.
    Close(ServerId),
    /// A leader is going to send a snapshot that is exact at this zxid.
    Receive(Zxid),
    /// Its next piece.
    Received {
        /// The content.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// Load the snapshot at this zxid into a new tree.
    Load(Zxid),
    /// Make the tree as it was at this zxid.
    Rebuild(Zxid),
    /// For that, what the log has behind the snapshot it began with.
    Replay(History),
}
