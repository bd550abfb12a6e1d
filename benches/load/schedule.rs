//! When a request of an open loop is due: at a fixed rate from the start, whatever the server does.
//!
//! A request that could not be sent when it was due keeps its time, and its latency is counted from
//! there. So a stall shows in full, with all who would have come during it.

/// The arrivals that one thread of several takes care of.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    rate: f64,
    next: u64,
    step: u64,
}

impl Arrivals {
    /// Thread `index` of `of` has every `of`-th arrival. `rate` is that of all together, in
    /// requests a second, above 0.
    pub(super) fn new(rate: f64, index: u64, of: u64) -> Self {
        Self { rate, next: index, step: of }
    }

    /// When the next request is due, in nanoseconds after the start.
    pub(super) fn next_ns(&self) -> u64 {
        // From the number each time: adding up periods would drift by their rounding.
        (self.next as f64 * 1e9 / self.rate) as u64
    }

    /// Takes the next arrival if it is due by now.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due = self.next_ns();
        (due <= now_ns).then(|| {
            self.next += self.step;
            due
        })
    }

    /// How many arrivals are due before this time and were not taken.
    pub(super) fn overdue(mut self, before_ns: u64) -> u64 {
        let mut count = 0;
        while self.next_ns() < before_ns {
            self.next += self.step;
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_keep_their_rate_whenever_they_are_taken() {
        let mut arrivals = Arrivals::new(1_000.0, 0, 1);
        assert_eq!(arrivals.take(0), Some(0));
        assert_eq!(arrivals.take(999_999), None);
        // A stall of 5 ms: everything that was due comes, each with its own time.
        let due: Vec<_> = std::iter::from_fn(|| arrivals.take(5_500_000)).collect();
        assert_eq!(due, [1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
        assert_eq!(arrivals.next_ns(), 6_000_000);
    }

    #[test]
    fn threads_share_the_arrivals() {
        let mut all: Vec<_> = (0..3)
            .flat_map(|index| {
                let mut arrivals = Arrivals::new(3_000.0, index, 3);
                std::iter::from_fn(move || arrivals.take(2_000_000)).collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        let expected: Vec<_> = (0..=6).map(|n| (n as f64 * 1e9 / 3_000.0) as u64).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_long_run_does_not_drift() {
        let mut arrivals = Arrivals::new(7.0, 0, 1);
        let last = std::iter::from_fn(|| arrivals.take(1_000_000_000_000)).last();
        assert_eq!(last, Some(1_000_000_000_000));
    }

    #[test]
    fn what_was_never_sent_is_counted() {
        let mut arrivals = Arrivals::new(1_000.0, 0, 1);
        arrivals.take(0);
        assert_eq!(arrivals.overdue(10_000_000), 9);
    }
}
