//! What goes in and out of the two machines of Zab. Closed enums, for the rooms and the simulator.

use super::message::{Message, Notification};
use super::{Draft, History, HistoryReader, LogOrder, Origin, Proposal, Reign};
use crate::types::{Epoch, ServerId, Zxid};
use alloc::vec::Vec;
use bytes::Bytes;

/// Times, in milliseconds, all of them at least 1.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often a leader pings. Also how often the host ticks the machines, at least.
    pub heartbeat_ms: u64,
    /// Silence after which a leader or learner is given up (`syncLimit`, but much shorter: our
    /// heartbeats do not wait behind data or collections of garbage).
    pub silence_ms: u64,
    /// How long joining may take without any progress (`initLimit`).
    pub join_ms: u64,
    /// How long a candidate with a quorum waits for a better one.
    pub finalize_ms: u64,
}

/// How much of what clients write is on its way from server to server at a time; more waits where
/// it came. Else a server with many busy clients would send more than a link can hold, lose the
/// link, and send it all again.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Bytes of payload sent and undecided, on the way to a leader and from a leader to a quorum.
    /// Nothing more departs once it is so much.
    pub under_way_bytes: usize,
    /// Bytes of payload in one message, unless one write alone is longer.
    pub together_bytes: usize,
}

impl Default for Flow {
    /// Far less than a learner may owe (`LEARNER_BYTES_MAX`), far more than is under way between
    /// servers that stand near each other.
    fn default() -> Self {
        Self { under_way_bytes: 16 << 20, together_bytes: 1 << 20 }
    }
}

/// What can happen to an election.
#[derive(Clone, Debug)]
pub enum ElectionInput {
    /// This server has no leader, and nothing of an earlier role is still being written. Its own
    /// credentials: the current reign's epoch and the last durable zxid.
    Look {
        /// Of the history.
        epoch: Epoch,
        /// Its end, durable.
        last: Zxid,
    },
    /// The member machine serves under this leader: others are answered so.
    Settled(Reign),
    /// From a peer.
    Received(ServerId, Notification),
    /// A link to a peer is up. Whoever looks tells it so.
    LinkUp(ServerId),
    /// A link to a peer broke. A leader that went silent this way no longer counts as seen.
    LinkDown(ServerId),
    /// Time has passed.
    Tick,
}

/// What an election wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElectionEffect {
    /// To a peer, if there is a link; else it may be dropped.
    Send(ServerId, Notification),
    /// Try this leader: stand for leadership if it is this server, else follow.
    Try(ServerId),
}

/// What can happen to a member.
#[derive(Clone, Debug)]
pub enum MemberInput {
    /// The election's candidate. Only while looking.
    Try(ServerId),
    /// From a peer, in the order of the link.
    Received(ServerId, Message),
    /// The link to a peer broke; what was sent may be lost, from some point on.
    LinkDown(ServerId),
    /// Log orders up to and including this mark are durable.
    Durable(u64),
    /// Writes to be ordered. Only while leading and established; handed back otherwise.
    Propose(Vec<Draft>),
    /// Prove that this server still leads, and name the zxid that a read must have seen. Only
    /// while leading and established; dropped otherwise.
    Confirm {
        /// Chosen by the host, repeated in the answer.
        token: u64,
        /// The server that wants to know, which follows this one on the link it asked by. It is
        /// not answered before the writes it asked for earlier have their places.
        asker: ServerId,
    },
    /// The answer to `ReadHistory`.
    History(HistoryReader, History),
    /// The answer to `OpenSnapshot` and `ReadSnapshot`. An empty last chunk is allowed.
    SnapshotRead {
        /// For whom.
        learner: ServerId,
        /// What the snapshot is exact at; the same in every answer.
        zxid: Zxid,
        /// The next piece.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// There is no snapshot to be read, or reading failed.
    SnapshotUnreadable {
        /// For whom.
        learner: ServerId,
    },
    /// The answer to the last `WriteSnapshot`: published durably under this zxid.
    SnapshotInstalled(Zxid),
    /// The disk gave up the snapshot that was being received.
    SnapshotLost,
    /// The host's state has everything up to here (after `LoadSnapshot` or `Deliver`).
    Delivered(Zxid),
    /// Time has passed.
    Tick,
}

/// What a member wants done, in this order.
#[derive(Clone, Debug)]
pub enum MemberEffect {
    /// To a peer. Without a link it is lost, and `LinkDown` follows or came before.
    Send(ServerId, Message),
    /// Break the link to this peer and let it be made anew: it does not keep up or lies.
    Disconnect(ServerId),
    /// To the log, in order; `Durable(mark)` comes back when all of them are. `committed` is
    /// noted with them: a lower bound that recovery may rely on.
    Log {
        /// Rises by one with each.
        mark: u64,
        /// Everything up to here is committed.
        committed: Zxid,
        /// Never empty.
        orders: Vec<LogOrder>,
    },
    /// To the host: committed and durable here. Gapless, in order, each exactly once.
    Deliver(Vec<Proposal>),
    /// To the host: replace its state by the snapshot at this zxid, which was just adopted.
    LoadSnapshot(Zxid),
    /// To the host: from now on serve under this reign. All history of earlier reigns that this
    /// server will ever have was delivered before, or is delivered next, up to `history`; a write
    /// that is not in it never happened.
    Serve {
        /// The reign.
        reign: Reign,
        /// End of the initial history.
        history: Zxid,
    },
    /// To the host: no leader any more. Writes sent to it are undecided.
    Suspend,
    /// To the election: look for a leader, with these credentials.
    Look {
        /// Of the history.
        epoch: Epoch,
        /// Its end, durable.
        last: Zxid,
    },
    /// To the host: these could not be proposed, because this server no longer leads.
    Refused(Vec<Origin>),
    /// To the host: this server led at a moment after `Confirm` came; a read that has seen
    /// `target` is linearizable. Stands before the `Deliver` of any later write.
    Confirmed {
        /// From `Confirm`.
        token: u64,
        /// What the read must have seen.
        target: Zxid,
    },
    /// To the host: this learner begins anew. Whatever it asked this leader to confirm before, it
    /// asks again; an answer to the first asking would come out of turn.
    BeginsAnew(ServerId),
    /// Read durable history after this zxid; answered by `History`. At most one at a time for
    /// each reader.
    ReadHistory(HistoryReader, Zxid),
    /// Find the newest snapshot and read its first piece for a learner; answered by
    /// `SnapshotRead`.
    OpenSnapshot(ServerId),
    /// Read the next piece.
    ReadSnapshot(ServerId),
    /// No more pieces are wanted for this learner.
    CloseSnapshot(ServerId),
    /// Receive a snapshot exact at this zxid, in place of one half received.
    BeginSnapshot(Zxid),
    /// Its next piece; after the last, publish it durably and answer `SnapshotInstalled`.
    WriteSnapshot {
        /// The piece.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// An invariant of the protocol is broken, by a peer or by this server's own disk: end the
    /// process with this reason rather than go on.
    Halt(&'static str),
}
