//! Plain counters that the rooms raise and the four-letter words read.

use dashmap::DashMap;
use ostler_core::types::ConnectionId;
use ostler_core::words::Summary;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Requests timed from their socket to their reply, in microseconds inside, milliseconds outside.
#[derive(Default)]
pub(crate) struct Latency {
    count: AtomicU64,
    sum_us: AtomicU64,
    max_us: AtomicU64,
    /// One more than the minimum, so that 0 means none.
    min_us_plus: AtomicU64,
}

impl Latency {
    pub(crate) fn record(&self, micros: u64, requests: u64) {
        self.count.fetch_add(requests, Ordering::Relaxed);
        self.sum_us.fetch_add(micros * requests, Ordering::Relaxed);
        self.max_us.fetch_max(micros, Ordering::Relaxed);
        let min = self.min_us_plus.load(Ordering::Relaxed);
        if min == 0 || micros + 1 < min {
            self.min_us_plus.store(micros + 1, Ordering::Relaxed);
        }
    }

    /// What was recorded, in milliseconds.
    pub(crate) fn summary_ms(&self) -> Summary {
        Summary {
            min: self.min_us_plus.load(Ordering::Relaxed).saturating_sub(1) / 1000,
            max: self.max_us.load(Ordering::Relaxed) / 1000,
            sum: self.sum_us.load(Ordering::Relaxed) / 1000,
            count: self.count.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn reset(&self) {
        for counter in [&self.count, &self.sum_us, &self.max_us, &self.min_us_plus] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// What `cons` tells about one connection.
pub(crate) struct ConnectionCounters {
    pub(crate) address: SocketAddr,
    pub(crate) established_ms: i64,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) queued: AtomicU64,
    pub(crate) session: AtomicI64,
    pub(crate) timeout_ms: AtomicI64,
    pub(crate) last_response_ms: AtomicU64,
    pub(crate) latency: Latency,
}

impl ConnectionCounters {
    pub(crate) fn new(address: SocketAddr, established_ms: i64) -> Self {
        Self {
            address,
            established_ms,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            session: AtomicI64::new(0),
            timeout_ms: AtomicI64::new(0),
            last_response_ms: AtomicU64::new(0),
            latency: Latency::default(),
        }
    }

    pub(crate) fn reset(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
        self.latency.reset();
    }
}

/// What the whole server counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) sessionless_expired: AtomicU64,
    pub(crate) stale_sessions_expired: AtomicU64,
    pub(crate) outstanding: AtomicU64,
    pub(crate) latency: Latency,
    pub(crate) connections: DashMap<ConnectionId, Arc<ConnectionCounters>>,
    pub(crate) per_ip: DashMap<IpAddr, usize>,
}

impl Counters {
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
