//! A thread that was busy and is at rest gives back what its busy moment took.
//!
//! The allocator keeps for each thread what was freed of its memory, by itself or by others, and
//! looks at that only when this very thread asks for something; a thread at rest asks for nothing.
//! Nobody wakes up for this: rooms that are asked for a sign of progress call [`look`], and so do
//! the hubs of connections when they look whom they have heard from.

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What is done in such a stretch is compared with what was done in those before it.
const STRETCH: Duration = Duration::from_millis(900);
/// Who never worked longer than this in a stretch has nothing to give back that is worth a look.
const BUSY: Duration = Duration::from_millis(4);
/// At rest is who works no longer than one part in so many of its busiest stretch.
const REST: u32 = 8;

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace::new()) };
}

/// How busy a thread has been.
#[derive(Clone, Copy)]
struct Pace {
    since: Option<Instant>,
    /// Since the thread began.
    worked: Duration,
    /// The most of one stretch since the thread last gave back.
    busiest: Duration,
}

impl Pace {
    const fn new() -> Self {
        Self { since: None, worked: Duration::ZERO, busiest: Duration::ZERO }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.duration_since(since) >= STRETCH)
    }

    /// A stretch is over, and the thread has worked so long since it began. True if it was busy
    /// and is at rest.
    fn ends(&mut self, now: Instant, worked: Duration) -> bool {
        let lately = worked.saturating_sub(self.worked);
        (self.since, self.worked) = (Some(now), worked);
        self.busiest = self.busiest.max(lately);
        let is_due = self.busiest >= BUSY && lately * REST <= self.busiest;
        if is_due {
            self.busiest = Duration::ZERO;
        }
        is_due
    }
}

/// Gives back what this thread's busy moment took, if it was busy and is at rest. To be called
/// where a task or an actor runs, about once a second; more often costs nothing.
pub(crate) fn look() {
    let (mut pace, now) = (PACE.get(), Instant::now());
    if !pace.is_due(now) {
        return;
    }
    // Each arbiter is a runtime with this thread as its only worker.
    let worked = Handle::current().metrics().worker_total_busy_duration(0);
    if pace.ends(now, worked) {
        give_back();
    }
    PACE.set(pace);
}

/// Asks for more than there can be: before it refuses, the allocator takes together all that is
/// free of this thread's and gives it to the system. There is no way to ask it for just that
/// without unsafe code. An allocator that does not do so refuses and no more.
fn give_back() {
    // A refusal is what is wanted.
    let _ = black_box(Vec::<u8>::new()).try_reserve_exact(isize::MAX.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_busy_gives_back_once_it_rests_and_only_once() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        let mut worked = Duration::ZERO;
        let mut due = |ms| {
            worked += Duration::from_millis(ms);
            pace.ends(now, worked)
        };
        assert!(!due(3) && !due(0), "hardly anything was done");
        assert!(!due(40) && !due(30) && !due(6), "at work");
        assert!(due(5), "an eighth of the busiest");
        assert!(!due(5) && !due(4), "a steady load is no rest");
        assert!(due(0));
        assert!(!due(0), "nothing since");
    }

    #[test]
    fn a_stretch_has_a_length() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        assert!(pace.is_due(now));
        pace.ends(now, Duration::ZERO);
        assert!(!pace.is_due(now + STRETCH / 2));
        assert!(pace.is_due(now + STRETCH));
    }

    #[test]
    fn more_than_there_is_is_refused() {
        give_back();
        assert!(Vec::<u8>::new().try_reserve_exact(isize::MAX.unsigned_abs()).is_err());
    }
}
