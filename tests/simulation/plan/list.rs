//! The lines of a plan's list: what goes wrong, to whom, and when.

use crate::disk::Verb;
use crate::panics::Moment;
use crate::server::Name;
use std::fmt;

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process is killed; what it wrote is still in the system's cache.
    Kill,
    /// The power fails; what was not synced may be lost, in any mixture.
    PowerLoss,
}

/// A message by which a server binds itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Promise {
    LeaderInfo,
    AckEpoch,
    NewLeader,
    AckNewLeader,
    UpToDate,
    Propose,
    Ack,
    Commit,
    /// Not a message: a sync has begun and not ended.
    SyncBegun,
    /// Not a message: a sync has ended and nobody knows yet.
    SyncEnded,
}

pub(super) const PROMISES: [Promise; 10] = [
    Promise::LeaderInfo,
    Promise::AckEpoch,
    Promise::NewLeader,
    Promise::AckNewLeader,
    Promise::UpToDate,
    Promise::Propose,
    Promise::Ack,
    Promise::Commit,
    Promise::SyncBegun,
    Promise::SyncEnded,
];

/// Whom a guided fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Sender,
    Receiver,
    Both,
    Everybody,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At this time, in microseconds.
    At(u64),
    /// Right after the so-manieth promise of this kind.
    After(Promise, u64),
}

/// What goes wrong. Servers are counted from 0; times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Die {
        servers: Vec<usize>,
        death: Death,
        down_ms: u64,
    },
    DieByRole {
        victim: Victim,
        death: Death,
        down_ms: u64,
    },
    Pause {
        server: usize,
        ms: u64,
    },
    BreakLink {
        a: usize,
        b: usize,
    },
    /// What one group says does not reach the other, nor the other way round.
    Partition {
        group: Vec<usize>,
        ms: u64,
    },
    /// Nothing of what `from` says reaches `to`.
    OneWay {
        from: usize,
        to: usize,
        ms: u64,
    },
    /// Two halves that both reach `bridge`, and not each other.
    Bridge {
        bridge: usize,
        ms: u64,
    },
    IsolateLeader {
        ms: u64,
    },
    /// Nothing of what the leader says reaches anybody, and it hears everybody.
    MuteLeader {
        ms: u64,
    },
    /// It reaches everybody, and hears nobody.
    DeafenLeader {
        ms: u64,
    },
    PauseLeader {
        ms: u64,
    },
    SlowLink {
        a: usize,
        b: usize,
        latency_ms: u64,
        ms: u64,
    },
    SlowDisk {
        server: usize,
        sync_ms: u64,
        ms: u64,
    },
    /// The so-manieth call from here on fails.
    DiskError {
        server: usize,
        calls: u32,
    },
    /// The power fails around the so-manieth call of this name from here on.
    PowerFailsAt {
        server: usize,
        verb: Verb,
        calls: u32,
        /// Before the call, or when it is done.
        is_before: bool,
        down_ms: u64,
    },
    /// A room of a server, instead of what it would do next.
    Panic {
        server: usize,
        room: Name,
        moment: Moment,
    },
    WallClockJumps {
        server: usize,
        ms: i64,
    },
    ClientLosesConnection {
        client: usize,
    },
    /// It never comes back.
    ClientVanishes {
        client: usize,
    },
}

impl What {
    /// As it is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Die { servers, death: Death::Kill, .. } if servers.len() == 1 => "one killed",
            Self::Die { servers, .. } if servers.len() == 1 => "one without power",
            Self::Die { .. } => "many without power",
            Self::DieByRole { .. } => "death at a promise",
            Self::Pause { .. } => "pause",
            Self::PauseLeader { .. } => "pause of the leader",
            Self::BreakLink { .. } => "broken link",
            Self::Partition { .. } => "partition",
            Self::OneWay { .. } => "one-way cut",
            Self::Bridge { .. } => "bridge",
            Self::IsolateLeader { .. } => "isolated leader",
            Self::MuteLeader { .. } => "mute leader",
            Self::DeafenLeader { .. } => "deaf leader",
            Self::SlowLink { .. } => "slow link",
            Self::SlowDisk { .. } => "slow disk",
            Self::DiskError { .. } => "disk error",
            Self::PowerFailsAt { .. } => "power failing in the middle of disk work",
            Self::Panic { room, .. } => match room {
                Name::Peer => "panic of peer",
                Name::Pipeline => "panic of pipeline",
                Name::Log => "panic of log writer",
                Name::Tree => "panic of tree store",
                Name::Fanout => "panic of watch fan-out",
                Name::Sweeper => "panic of session sweeper",
                Name::Snapshot => "panic of snapshot writer",
            },
            Self::WallClockJumps { .. } => "clock jump",
            Self::ClientLosesConnection { .. } => "lost connection",
            Self::ClientVanishes { .. } => "vanished client",
        }
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) when: When,
    pub(crate) what: What,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::At(us) => write!(f, "at {:.3} ms: {:?}", us as f64 / 1000.0, self.what),
            When::After(promise, nth) => write!(f, "after {promise:?} #{nth}: {:?}", self.what),
        }
    }
}
