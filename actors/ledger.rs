//! What one connection's task writes down of its requests and answers: into its own tally, and
//! into the sums of its thread. Each is locked once for what one read or one parcel brought.

use crate::clock::Clock;
use crate::counters::{ConnectionCounters, Counters, micros};
use ostler_core::rooms::connection::{Connection, Output};
use ostler_core::types::{Asked, SessionId, Zxid};
use ostler_core::words::{Sent, Traffic};
use parking_lot::MutexGuard;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// So many places are kept while nothing is under way.
const PLACES_KEPT: usize = 128;

/// See the module.
pub(crate) struct Ledger {
    own: Arc<ConnectionCounters>,
    all: Arc<Counters>,
    arbiter: usize,
    clock: Clock,
    /// Requests that travel, and when they arrived.
    pending: VecDeque<(Instant, Asked)>,
}

impl Ledger {
    pub(crate) fn new(
        own: Arc<ConnectionCounters>,
        all: Arc<Counters>,
        arbiter: usize,
        clock: Clock,
    ) -> Self {
        Self { own, all, arbiter, clock, pending: VecDeque::new() }
    }

    /// The machine took in bytes that had arrived at `started`, and said what stands in `out`,
    /// the last of it `sent` at once.
    pub(crate) fn took(
        &mut self,
        machine: &Connection,
        started: Instant,
        out: &Output,
        sent: &[u8],
    ) {
        self.pending.extend(out.asked.iter().map(|asked| (started, *asked)));
        let greets = machine.session() == SessionId::NONE;
        let sent =
            if greets { Sent::greeting(sent, None) } else { Sent::of(machine.codec(), sent) };
        let latency = micros(started.elapsed());
        let mut traffic = self.traffic();
        if greets {
            traffic.connect_requests += u64::from(out.received);
            traffic.revalidations += u64::from(out.revalidates);
        }
        traffic.received += u64::from(out.received);
        traffic.auth_failed += u64::from(out.auth_failed);
        traffic.count_sent(&sent);
        let mut tally = self.own.tally.lock();
        tally.received(u64::from(out.received));
        if let Some(last) = out.last_answered {
            traffic.count_answered(false, u64::from(out.answered), latency);
            tally.answered(last, u64::from(out.answered), latency);
        }
        tally.sent(&sent, self.clock.mono_ms());
        tally.queued = self.pending.len() as u64;
    }

    /// Bytes that answer so many requests came back, events among them.
    pub(crate) fn arrived(&mut self, machine: &Connection, requests: usize, bytes: &[u8]) {
        self.answered(requests, &Sent::of(machine.codec(), bytes));
    }

    /// The handshake is over, one way or the other, with the tree at `zxid`; `bytes` tell the
    /// client.
    pub(crate) fn introduced(&mut self, machine: &Connection, zxid: Zxid, bytes: &[u8]) {
        self.own.tally.lock().session = machine.session();
        self.own.tally.lock().timeout_ms = machine.timeout_ms;
        // Only a session that is made anew counts as a request; at most it is under way.
        let requests = self.pending.len();
        let zxid = (requests > 0).then_some(zxid);
        self.answered(requests, &Sent::greeting(bytes, zxid));
        self.pending = VecDeque::new();
    }

    fn answered(&mut self, requests: usize, sent: &Sent) {
        let now = Instant::now();
        let Self { own, all, arbiter, clock, pending } = self;
        let mut traffic = all.traffic[*arbiter].lock();
        let mut tally = own.tally.lock();
        traffic.count_sent(sent);
        let landed = requests.min(pending.len());
        for (started, asked) in pending.drain(..landed) {
            if asked.is_timed {
                let latency = micros(now.duration_since(started));
                traffic.count_answered(asked.is_update, 1, latency);
                tally.answered(asked, 1, latency);
            }
        }
        tally.sent(sent, clock.mono_ms());
        tally.queued = pending.len() as u64;
        // A connection that asks nothing keeps no memory for asking much.
        if pending.is_empty() && pending.capacity() > PLACES_KEPT {
            *pending = VecDeque::new();
        }
    }

    /// Bytes were read.
    pub(crate) fn read(&self, bytes: usize) {
        self.traffic().received_bytes += bytes as u64;
    }

    /// A four-letter word arrived.
    pub(crate) fn word(&self) {
        self.traffic().received += 1;
        self.own.tally.lock().received(1);
    }

    /// The text of a word went out. No listing tells of it: the connection is about to end.
    pub(crate) fn text(&self) {
        self.traffic().sent += 1;
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.all.traffic[self.arbiter].lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Measures;
    use ostler_core::auth::AuthRules;
    use ostler_core::rooms::connection::Door;
    use ostler_core::types::{AuthId, ConnectionId, Request, Xid};

    fn machine() -> Connection {
        let door = Door {
            frame_bytes_max: 1000,
            min_session_timeout_ms: 1000,
            max_session_timeout_ms: 9000,
            auth: AuthRules { digest_enabled: true, super_digest: None },
            alone: true,
        };
        let ip = AuthId { scheme: "ip".to_owned(), id: "::1".to_owned() };
        Connection::new(Arc::new(door), ConnectionId::new(0, 1), ip, [0; 16])
    }

    #[test]
    fn requests_are_queued_until_their_answers_come() {
        let address = "[::1]:7".parse().expect("an address");
        let own = Arc::new(ConnectionCounters::new(address, 0));
        let all = Arc::new(Counters::new(1, Measures::default()));
        let mut ledger = Ledger::new(own.clone(), all.clone(), 0, Clock::start());
        let machine = machine();
        let asked = vec![
            Asked::of(Xid(4), &Request::Sync("/")),
            Asked::of(Xid(-4), &Request::Auth { scheme: "digest", auth: b"a:b" }),
            Asked::of(Xid(5), &Request::CloseSession),
        ];
        let out = Output { asked, received: 3, ..Output::default() };
        ledger.took(&machine, Instant::now(), &out, &[]);
        assert_eq!((own.entry().queued, own.entry().received), (3, 3));
        ledger.arrived(&machine, 2, &[]);
        assert_eq!(own.entry().queued, 1);
        let told = all.all_traffic();
        assert_eq!(told.latency_us.count, 1, "a proof of identity is not timed");
        ledger.arrived(&machine, 1, &[]);
        assert_eq!(own.entry().queued, 0);
        let told = all.all_traffic();
        assert_eq!(told.update_latency_us.quantiles(1).summary.count, 1);
        assert_eq!(told.read_latency_us.quantiles(1).summary.count, 1);
    }
}
