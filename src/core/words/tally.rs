//! What is counted of one connection.

use super::report::{ConnectionEntry, SessionEntry};
use super::{Sent, Summary};
use crate::types::{Asked, Operation, SessionId, Zxid};
use core::net::SocketAddr;

const US_PER_MS: u64 = 1000;

/// One connection's counters. Plain numbers: whoever shares them with a reader locks them once
/// for a batch of requests, never for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The client's end.
    pub address: SocketAddr,
    /// When the connection was made, in milliseconds since the Unix epoch.
    pub established_wall_ms: i64,
    /// Whose connection it is, `NONE` before the handshake is over.
    pub session: SessionId,
    /// The session's timeout in milliseconds.
    pub timeout_ms: i32,
    /// Requests not answered yet.
    pub queued: u64,
    received: u64,
    sent: u64,
    last_operation: Operation,
    /// Negative if nothing with a number has been answered.
    last_xid: i32,
    last_zxid: Zxid,
    last_response_mono_ms: u64,
    last_latency_us: u64,
    latency_us: Summary,
}

impl Tally {
    /// Of a connection just made.
    pub fn new(address: SocketAddr, established_wall_ms: i64) -> Self {
        Self {
            address,
            established_wall_ms,
            session: SessionId::NONE,
            timeout_ms: 0,
            queued: 0,
            received: 0,
            sent: 0,
            last_operation: Operation::None,
            last_xid: -1,
            last_zxid: Zxid::ZERO,
            last_response_mono_ms: 0,
            last_latency_us: 0,
            latency_us: Summary::default(),
        }
    }

    /// So many frames arrived.
    pub fn received(&mut self, frames: u64) {
        self.received += frames;
    }

    /// Frames went out, at this instant of the monotonic clock.
    pub fn sent(&mut self, sent: &Sent, mono_ms: u64) {
        self.sent += sent.frames;
        if let Some(zxid) = sent.last_zxid {
            self.last_zxid = zxid;
            self.last_response_mono_ms = mono_ms;
        }
    }

    /// So many requests were answered, each this long after it had arrived; this was the last.
    pub fn answered(&mut self, last: Asked, times: u64, latency_us: u64) {
        self.last_operation = last.operation;
        // A ping has no number of its own: the last real one stays.
        if last.xid.0 >= 0 {
            self.last_xid = last.xid.0;
        }
        self.last_latency_us = latency_us;
        self.latency_us.observe_many(latency_us, times);
    }

    /// Forgets what was counted, as `crst` asks for; what is so remains.
    pub fn reset(&mut self) {
        let Self { session, timeout_ms, queued, .. } = *self;
        let fresh = Self::new(self.address, self.established_wall_ms);
        *self = Self { session, timeout_ms, queued, last_zxid: Zxid::from_wire(-1), ..fresh };
    }

    /// What `cons` tells of it. `interest` is as in [`ConnectionEntry`].
    pub fn entry(&self, interest: u8) -> ConnectionEntry {
        let Self { address, queued, received, sent, .. } = *self;
        let session = (self.session != SessionId::NONE).then(|| self.session_entry());
        ConnectionEntry { address, interest, queued, received, sent, session }
    }

    fn session_entry(&self) -> SessionEntry {
        SessionEntry {
            session: self.session,
            last_operation: self.last_operation.code(),
            established_wall_ms: self.established_wall_ms,
            timeout_ms: self.timeout_ms,
            last_xid: self.last_xid,
            last_zxid: self.last_zxid,
            last_response_mono_ms: self.last_response_mono_ms,
            last_latency_ms: self.last_latency_us / US_PER_MS,
            latency_ms: self.latency_us.in_units_of(US_PER_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Request, Xid};

    fn tally() -> Tally {
        let mut tally = Tally::new("127.0.0.1:7".parse().expect("an address"), 5);
        (tally.session, tally.timeout_ms, tally.queued) = (SessionId(9), 4000, 2);
        tally
    }

    #[test]
    fn the_last_operation_is_told_and_a_ping_keeps_the_last_number() {
        let mut tally = tally();
        let fresh = tally.entry(1).session.expect("the session is attached");
        assert_eq!((fresh.last_operation, fresh.last_xid, fresh.last_zxid), ("NA", -1, Zxid::ZERO));
        tally.answered(Asked::of(Xid(7), &Request::Sync("/")), 3, 2500);
        tally.answered(Asked::of(Xid::PING, &Request::Ping), 1, 500);
        let sent = Sent { frames: 4, last_zxid: Some(Zxid(0x30)), ..Sent::default() };
        tally.sent(&sent, 77);
        let told = tally.entry(1).session.expect("the session is attached");
        assert_eq!((told.last_operation, told.last_xid, told.last_zxid), ("PING", 7, Zxid(0x30)));
        assert_eq!((told.last_response_mono_ms, told.last_latency_ms), (77, 0));
        assert_eq!(told.latency_ms, Summary { min: 0, max: 2, sum: 8, count: 4 });
    }

    #[test]
    fn a_reset_forgets_what_was_counted_and_keeps_what_is_so() {
        let mut tally = tally();
        tally.received(3);
        tally.answered(Asked::SESSION, 1, 9000);
        tally.reset();
        let entry = tally.entry(1);
        assert_eq!((entry.queued, entry.received, entry.sent), (2, 0, 0));
        let told = entry.session.expect("the session is attached");
        assert_eq!((told.session, told.timeout_ms), (SessionId(9), 4000));
        assert_eq!((told.last_operation, told.last_xid), ("NA", -1));
        assert_eq!(told.last_zxid, Zxid::from_wire(-1));
        assert_eq!(told.latency_ms, Summary::default());
    }
}
