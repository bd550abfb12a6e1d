//! Sessions in buckets of one tick, as ZooKeeper keeps them.

use crate::types::SessionId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Every open session and the instant at which it is given up.
///
/// All times are milliseconds of the monotonic clock. A deadline is the last sign of life plus
/// the timeout, rounded up to the next multiple of a tick, so a session lives between its
/// timeout and its timeout and one tick more.
///
/// Invariant: each session stands in exactly one bucket, the one its record names, and no bucket
/// is empty.
#[derive(Debug)]
pub struct Deadlines {
    tick_ms: u64,
    sessions: BTreeMap<SessionId, Lease>,
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    timeout_ms: u64,
    last_heard_ms: u64,
    bucket_ms: u64,
    /// The verdict has been given: no sign of life helps any more.
    expired: bool,
}

impl Deadlines {
    /// No sessions. A tick of 0 is taken as 1.
    pub fn new(tick_ms: u32) -> Self {
        let tick_ms = u64::from(tick_ms.max(1));
        Self { tick_ms, sessions: BTreeMap::new(), buckets: BTreeMap::new() }
    }

    /// A session was heard of at `at_ms`, with this timeout from now on. One that has expired
    /// stays expired.
    pub fn attach(&mut self, session: SessionId, timeout_ms: i32, at_ms: u64) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let last_heard_ms = match self.sessions.get(&session) {
            Some(lease) if lease.expired => return,
            Some(lease) => lease.last_heard_ms.max(at_ms),
            None => at_ms,
        };
        self.place(session, timeout_ms, last_heard_ms);
    }

    /// A session was heard of at `at_ms`. Unknown and expired ones are passed over, and so is
    /// news older than what is known: touches of one session may come by two connections.
    pub fn touch(&mut self, session: SessionId, at_ms: u64) {
        let Some(lease) = self.sessions.get_mut(&session) else { return };
        if lease.expired || at_ms <= lease.last_heard_ms {
            return;
        }
        lease.last_heard_ms = at_ms;
        let Lease { timeout_ms, bucket_ms, .. } = *lease;
        if self.bucket_of(at_ms, timeout_ms) != bucket_ms {
            self.place(session, timeout_ms, at_ms);
        }
    }

    /// The session has ended.
    pub fn close(&mut self, session: SessionId) {
        if let Some(lease) = self.sessions.remove(&session) {
            self.leave_bucket(session, lease.bucket_ms);
        }
    }

    /// Forgets every session.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.buckets.clear();
    }

    /// Gives every session its full timeout anew, those included whose end was asked for but has
    /// not come: nobody can tell whether the asking survived.
    pub fn renew_all(&mut self, at_ms: u64) {
        self.buckets.clear();
        let tick_ms = self.tick_ms;
        for (session, lease) in &mut self.sessions {
            lease.last_heard_ms = at_ms;
            lease.expired = false;
            lease.bucket_ms = round_up(tick_ms, at_ms + lease.timeout_ms);
            self.buckets.entry(lease.bucket_ms).or_default().insert(*session);
        }
    }

    /// Sessions whose bucket ended at or before `until_ms`, in order of bucket, then id. Each is
    /// named again one timeout later if it has not been closed by then.
    pub fn expire(&mut self, until_ms: u64) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(bucket) = self.buckets.first_entry() {
            if *bucket.key() > until_ms {
                break;
            }
            expired.extend(bucket.remove());
        }
        for session in &expired {
            let lease = self.sessions.get_mut(session).expect("a session in a bucket is known");
            lease.expired = true;
            lease.bucket_ms = round_up(self.tick_ms, until_ms + lease.timeout_ms);
            self.buckets.entry(lease.bucket_ms).or_default().insert(*session);
        }
        expired
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Each bucket's end and its sessions, both in order, as `dump` lists them.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, &BTreeSet<SessionId>)> {
        self.buckets.iter().map(|(end_ms, sessions)| (*end_ms, sessions))
    }

    fn place(&mut self, session: SessionId, timeout_ms: u64, last_heard_ms: u64) {
        let bucket_ms = self.bucket_of(last_heard_ms, timeout_ms);
        let lease = Lease { timeout_ms, last_heard_ms, bucket_ms, expired: false };
        if let Some(before) = self.sessions.insert(session, lease) {
            self.leave_bucket(session, before.bucket_ms);
        }
        self.buckets.entry(bucket_ms).or_default().insert(session);
    }

    fn leave_bucket(&mut self, session: SessionId, bucket_ms: u64) {
        let bucket = self.buckets.get_mut(&bucket_ms).expect("a session's bucket is there");
        bucket.remove(&session);
        if bucket.is_empty() {
            self.buckets.remove(&bucket_ms);
        }
    }

    fn bucket_of(&self, heard_ms: u64, timeout_ms: u64) -> u64 {
        round_up(self.tick_ms, heard_ms + timeout_ms)
    }
}

/// The next multiple of a tick, never the instant itself.
fn round_up(tick_ms: u64, instant_ms: u64) -> u64 {
    (instant_ms / tick_ms + 1) * tick_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    const A: SessionId = SessionId(0xa);
    const B: SessionId = SessionId(0xb);

    #[test]
    fn a_session_lives_its_timeout_and_up_to_one_tick_more() {
        for start in [0, 1, 999, 1000, 1001, 12_345] {
            let mut deadlines = Deadlines::new(1000);
            deadlines.attach(A, 4000, start);
            assert_eq!(deadlines.expire(start + 4000), [], "started at {start}");
            assert_eq!(deadlines.expire(start + 5000), [A], "started at {start}");
        }
    }

    #[test]
    fn a_touch_moves_the_deadline_and_never_back() {
        let mut deadlines = Deadlines::new(1000);
        deadlines.attach(A, 4000, 0);
        deadlines.touch(A, 3000);
        deadlines.touch(A, 1000);
        assert_eq!(deadlines.expire(7999), []);
        assert_eq!(deadlines.expire(8000), [A]);
    }

    #[test]
    fn a_touch_of_an_unknown_or_expired_session_changes_nothing() {
        let mut deadlines = Deadlines::new(1000);
        deadlines.touch(A, 10);
        assert!(deadlines.is_empty());
        deadlines.attach(A, 1000, 0);
        assert_eq!(deadlines.expire(2000), [A]);
        deadlines.touch(A, 2500);
        deadlines.attach(A, 9000, 2500);
        assert_eq!(deadlines.expire(4000), [A], "asked again one timeout after the verdict");
    }

    #[test]
    fn a_closed_session_is_forgotten() {
        let mut deadlines = Deadlines::new(1000);
        deadlines.attach(A, 1000, 0);
        deadlines.attach(B, 1000, 0);
        deadlines.close(A);
        deadlines.close(A);
        assert_eq!(deadlines.expire(2000), [B]);
        deadlines.close(B);
        assert_eq!(deadlines.expire(u64::MAX / 2), []);
        assert_eq!(deadlines.buckets().count(), 0);
    }

    #[test]
    fn a_new_timeout_counts_from_the_reconnect() {
        let mut deadlines = Deadlines::new(1000);
        deadlines.attach(A, 20_000, 0);
        deadlines.attach(A, 2000, 500);
        assert_eq!(deadlines.expire(2999), []);
        assert_eq!(deadlines.expire(3000), [A]);
    }

    #[test]
    fn renewal_revives_even_those_already_given_up() {
        let mut deadlines = Deadlines::new(1000);
        deadlines.attach(A, 1000, 0);
        deadlines.attach(B, 5000, 0);
        assert_eq!(deadlines.expire(2000), [A]);
        deadlines.renew_all(10_000);
        assert_eq!(deadlines.expire(11_999), []);
        assert_eq!(deadlines.expire(12_000), [A]);
        assert_eq!(deadlines.expire(16_000), [A, B]);
    }

    #[test]
    fn buckets_are_listed_in_order() {
        let mut deadlines = Deadlines::new(2000);
        deadlines.attach(B, 4000, 100);
        deadlines.attach(A, 4000, 200);
        deadlines.attach(SessionId(1), 1000, 0);
        let listed: Vec<_> =
            deadlines.buckets().map(|(end, all)| (end, all.iter().copied().collect())).collect();
        assert_eq!(listed, [(2000, vec![SessionId(1)]), (6000, vec![A, B])]);
    }

    proptest! {
        /// Against the rule itself, without buckets: a session is named at the first sweep at or
        /// after its rounded deadline.
        #[test]
        fn sweeps_agree_with_the_rule(
            steps in prop::collection::vec((0u8..4, 0i64..6, 0u64..900, 1i32..5000), 0..80),
        ) {
            let mut deadlines = Deadlines::new(700);
            let mut model: BTreeMap<SessionId, (u64, u64)> = BTreeMap::new();
            let mut clock = 0;
            for (verb, id, passes, timeout_ms) in steps {
                clock += passes;
                let session = SessionId(id);
                match verb {
                    0 => {
                        deadlines.attach(session, timeout_ms, clock);
                        model.insert(session, (clock, timeout_ms as u64));
                    }
                    1 => {
                        deadlines.touch(session, clock);
                        if let Some(lease) = model.get_mut(&session) {
                            lease.0 = clock;
                        }
                    }
                    2 => {
                        deadlines.close(session);
                        model.remove(&session);
                    }
                    _ => {
                        let mut due: Vec<SessionId> = model
                            .iter()
                            .filter(|(_, (heard, timeout))| (heard + timeout) / 700 < clock / 700)
                            .map(|(session, _)| *session)
                            .collect();
                        let mut named = deadlines.expire(clock);
                        named.sort_unstable();
                        due.sort_unstable();
                        prop_assert_eq!(&named, &due);
                        for session in named {
                            deadlines.close(session);
                            model.remove(&session);
                        }
                    }
                }
                prop_assert_eq!(deadlines.len(), model.len());
            }
        }
    }
}
