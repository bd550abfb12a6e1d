//! One server of the ensemble: its machines, its disk, its host, and what they wait for.

use super::{Disk, TIMING};
use crate::types::{ServerId, Zxid};
use crate::zab::election::Election;
use crate::zab::io::MemberInput;
use crate::zab::member::Member;
use crate::zab::message::{Message, Notification};
use crate::zab::quorum::Membership;
use crate::zab::{HistoryReader, Reign};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
pub(super) enum Question {
    History(HistoryReader, Zxid),
    Snapshot(ServerId),
    Installed(Zxid),
    Delivered(Zxid),
}

#[derive(Clone, Debug)]
pub(in crate::zab) enum Packet {
    Zab(Message),
    Vote(Notification),
    Up,
    Down,
}

#[derive(Clone, Debug)]
pub(in crate::zab) struct Server {
    pub(in crate::zab) member: Member,
    pub(in crate::zab) election: Election,
    pub(in crate::zab) disk: Disk,
    pub(in crate::zab) is_up: bool,
    pub(in crate::zab) has_slow_disk: bool,
    pub(super) questions: VecDeque<Question>,
    /// Of snapshots being read: what they are exact at, and pieces read.
    pub(super) reading: BTreeMap<ServerId, (Zxid, u64)>,
    /// The snapshot being received, and how many pieces of it there are.
    pub(super) receiving: (Zxid, u64),
    pub(in crate::zab) serving: Option<Reign>,
    /// How many of the chosen this server was given.
    pub(in crate::zab) given: usize,
    /// Newest committed of all servers, at the time each token was handed in.
    pub(super) tokens: BTreeMap<u64, Zxid>,
    pub(in crate::zab) confirmed: u64,
    pub(in crate::zab) refused: u64,
    pub(in crate::zab) suspended: u64,
    /// Questions to the disk on behalf of learners.
    pub(in crate::zab) history_reads: u64,
    pub(in crate::zab) snapshot_reads: u64,
}

/// Pieces of every snapshot.
pub(super) const PIECES: u64 = 3;

pub(super) fn piece(zxid: Zxid, number: u64) -> Bytes {
    Bytes::from(std::format!("piece {number} of {zxid}"))
}

impl Server {
    /// A server that has just started and whose host was given nothing.
    pub(super) fn new(
        server: ServerId,
        membership: Membership,
        member: Member,
        disk: Disk,
    ) -> Self {
        Self {
            member,
            election: Election::new(server, membership, TIMING),
            disk,
            is_up: true,
            has_slow_disk: false,
            questions: VecDeque::new(),
            reading: BTreeMap::new(),
            receiving: (Zxid::ZERO, 0),
            serving: None,
            given: 0,
            tokens: BTreeMap::new(),
            confirmed: 0,
            refused: 0,
            suspended: 0,
            history_reads: 0,
            snapshot_reads: 0,
        }
    }

    /// The next piece of what is being read; nothing useful for what is no longer.
    pub(super) fn piece(&mut self, learner: ServerId) -> MemberInput {
        let Some((zxid, pieces)) = self.reading.get_mut(&learner) else {
            return MemberInput::SnapshotUnreadable { learner };
        };
        *pieces += 1;
        let (zxid, pieces) = (*zxid, *pieces);
        let last = pieces == PIECES;
        if last {
            self.reading.remove(&learner);
        }
        MemberInput::SnapshotRead { learner, zxid, bytes: piece(zxid, pieces), last }
    }
}
