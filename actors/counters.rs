//! What the server counts, for the four-letter words.
//!
//! What every request touches is kept by thread and locked once for a batch, by nobody else but a
//! word; what happens rarely is kept in common.

use crate::postbox::Post;
use dashmap::DashMap;
use ostler_core::types::{ConnectionId, SessionId};
use ostler_core::words::{ConnectionEntry, Distribution, Summary, Tally, Traffic};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What `cons` tells about one connection.
pub(crate) struct ConnectionCounters {
    pub(crate) tally: Mutex<Tally>,
    /// See [`ConnectionEntry::interest`].
    pub(crate) interest: AtomicU8,
}

impl ConnectionCounters {
    pub(crate) fn new(address: SocketAddr, established_ms: i64) -> Self {
        let tally = Mutex::new(Tally::new(address, established_ms));
        Self { tally, interest: AtomicU8::new(0) }
    }

    pub(crate) fn entry(&self) -> ConnectionEntry {
        self.tally.lock().entry(self.interest.load(Ordering::Relaxed))
    }
}

/// How long things took that happen once for many requests, or once in a while.
#[derive(Clone, Default)]
pub(crate) struct Measures {
    pub(crate) fsync_us: Summary,
    pub(crate) append_us: Summary,
    pub(crate) batch_requests: Summary,
    pub(crate) snapshot_us: Summary,
    pub(crate) recovery_us: Summary,
    pub(crate) snapshot_load_us: Summary,
    pub(crate) replay_us: Summary,
    pub(crate) replayed: Summary,
    /// From the stamp on a transaction to its commit, in milliseconds.
    pub(crate) propagation_ms: Distribution,
}

/// Whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What the whole server counts.
#[derive(Default)]
pub(crate) struct Counters {
    /// By connection arbiter.
    pub(crate) traffic: Vec<Mutex<Traffic>>,
    pub(crate) measures: Mutex<Measures>,
    pub(crate) rejected: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// Connections that ended by a panic of their own.
    pub(crate) connection_panics: AtomicU64,
    pub(crate) sessionless_expired: AtomicU64,
    pub(crate) stale_sessions_expired: AtomicU64,
    pub(crate) stale_replies: AtomicU64,
    pub(crate) outstanding: AtomicU64,
    pub(crate) connections: DashMap<ConnectionId, Arc<ConnectionCounters>>,
    pub(crate) per_ip: DashMap<IpAddr, usize>,
}

impl Counters {
    /// Of a server with so many connection arbiters, whose start took what `measures` tell.
    pub(crate) fn new(arbiters: usize, measures: Measures) -> Self {
        let traffic = (0..arbiters).map(|_| Mutex::default()).collect();
        Self { traffic, measures: Mutex::new(measures), ..Self::default() }
    }

    /// The traffic of all arbiters.
    pub(crate) fn all_traffic(&self) -> Traffic {
        let mut all = Traffic::default();
        self.traffic.iter().for_each(|traffic| all.merge(&traffic.lock()));
        all
    }

    /// Forgets traffic and measures.
    pub(crate) fn reset(&self) {
        self.traffic.iter().for_each(|traffic| *traffic.lock() = Traffic::default());
        *self.measures.lock() = Measures::default();
    }

    /// Counts the answers in a post for a connection that is gone.
    pub(crate) fn count_stale(&self, post: &Post) {
        match post {
            Post::Parcel(parcel) => {
                self.stale_replies.fetch_add(u64::from(parcel.requests), Ordering::Relaxed);
            }
            Post::Attached(..) | Post::Kick(_) | Post::Gap(_) => {}
        }
    }

    /// Sessions with their timeouts in milliseconds, longer where a client that came back was
    /// granted a longer one than its session was made with.
    pub(crate) fn with_granted(&self, sessions: Vec<(SessionId, i32)>) -> Vec<(SessionId, i32)> {
        let mut sessions: BTreeMap<SessionId, i32> = sessions.into_iter().collect();
        for connection in &self.connections {
            let tally = connection.tally.lock();
            if let Some(timeout_ms) = sessions.get_mut(&tally.session) {
                *timeout_ms = tally.timeout_ms.max(*timeout_ms);
            }
        }
        sessions.into_iter().collect()
    }

    /// Counts a connection in, unless its address has too many already.
    pub(crate) fn admit(&self, ip: IpAddr, per_ip_max: usize, max: usize) -> bool {
        if max != 0 && self.connections.len() >= max {
            return false;
        }
        let mut count = self.per_ip.entry(ip).or_insert(0);
        if per_ip_max != 0 && *count >= per_ip_max {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts a connection out.
    pub(crate) fn dismiss(&self, ip: IpAddr) {
        self.per_ip.remove_if_mut(&ip, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}
