//! Counting while it happens: latencies by operation and by time, errors, and the live figures
//! that the progress line shows.
//!
//! Latencies go into histograms of fixed relative precision, in nanoseconds. Each thread has a
//! tally of its own; they are added up afterwards.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Significant digits of the histograms that a report is made from.
const DIGITS: u8 = 3;
/// And of those that only a plot is made from.
const DIGITS_OF_MOMENT: u8 = 2;
/// A longer latency counts as this, in nanoseconds: an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// When to measure, in nanoseconds after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Requests from here on count.
    pub(super) from_ns: u64,
    /// And before here; none are made after.
    pub(super) to_ns: u64,
    /// Length of one moment of the plots.
    pub(super) moment_ns: u64,
}

/// A histogram of latencies in nanoseconds.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS)
        .expect("the bounds are in order and the precision is one that exists")
}

/// What happened in one moment of the run.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) latency: Histogram<u32>,
    pub(super) errors: u64,
}

/// Answers that differ in nothing that is counted: most that one read brings were sent together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alike {
    pub(super) tag: u8,
    pub(super) since_ns: u64,
    pub(super) code: i32,
    /// How many.
    pub(super) times: u64,
}

impl Alike {
    /// Takes one more in, if it is like these.
    pub(super) fn takes(&mut self, tag: u8, since_ns: u64, code: i32) -> bool {
        let same = (self.tag, self.since_ns, self.code) == (tag, since_ns, code);
        self.times += u64::from(same);
        same
    }
}

/// One thread's count.
pub(super) struct Tally {
    window: Window,
    /// By tag; grown as tags come.
    rows: Vec<Histogram<u64>>,
    errors_of_row: Vec<u64>,
    errors: BTreeMap<String, u64>,
    moments: Vec<Moment>,
}

impl Tally {
    pub(super) fn new(window: Window) -> Self {
        let (rows, errors_of_row) = (Vec::new(), Vec::new());
        Self { window, rows, errors_of_row, errors: BTreeMap::new(), moments: Vec::new() }
    }

    /// Whether a request of this time counts.
    pub(super) fn counts(&self, since_ns: u64) -> bool {
        (self.window.from_ns..self.window.to_ns).contains(&since_ns)
    }

    /// An answer, good or refused: the code is 0 or ZooKeeper's.
    pub(super) fn answered(&mut self, tag: u8, since_ns: u64, now_ns: u64, code: i32) {
        self.all_answered(Alike { tag, since_ns, code, times: 1 }, now_ns);
    }

    /// Answers that came together and differ in nothing that is counted.
    pub(super) fn all_answered(&mut self, alike: Alike, now_ns: u64) {
        let Alike { tag, since_ns, code, times } = alike;
        let latency_ns = now_ns.saturating_sub(since_ns);
        if self.counts(now_ns) {
            let moment = self.moment(now_ns);
            let places = u32::try_from(times).unwrap_or(u32::MAX);
            moment.latency.saturating_record_n(latency_ns.min(LATENCY_NS_MAX), places);
            moment.errors += if code == 0 { 0 } else { times };
        }
        if !self.counts(since_ns) {
            return;
        }
        if code != 0 {
            self.failed(tag, &format!("error {code}"), times);
        } else {
            self.row(tag).saturating_record_n(latency_ns, times);
        }
    }

    /// Requests that ended badly without an answer, or with a refusal.
    pub(super) fn failed(&mut self, tag: u8, why: &str, times: u64) {
        if times == 0 {
            return;
        }
        self.row(tag);
        self.errors_of_row[usize::from(tag)] += times;
        // Looked up first: the same few reasons come again and again.
        match self.errors.get_mut(why) {
            Some(count) => *count += times,
            None => drop(self.errors.insert(why.to_owned(), times)),
        }
    }

    /// Adds another thread's.
    pub(super) fn add(&mut self, other: &Self) {
        for (tag, row) in (0..).zip(&other.rows) {
            self.row(tag).add(row).expect("all rows have the same bounds");
            self.errors_of_row[usize::from(tag)] += other.errors_of_row[usize::from(tag)];
        }
        for (why, count) in &other.errors {
            *self.errors.entry(why.clone()).or_default() += count;
        }
        for (index, moment) in other.moments.iter().enumerate() {
            let own = self.moment_at(index);
            own.latency.add(&moment.latency).expect("all moments have the same bounds");
            own.errors += moment.errors;
        }
    }

    /// Latencies and errors of a tag, if it ever came.
    pub(super) fn of(&self, tag: u8) -> Option<(&Histogram<u64>, u64)> {
        Some((self.rows.get(usize::from(tag))?, *self.errors_of_row.get(usize::from(tag))?))
    }

    pub(super) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    pub(super) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    pub(super) fn window(&self) -> Window {
        self.window
    }

    fn row(&mut self, tag: u8) -> &mut Histogram<u64> {
        let index = usize::from(tag);
        while self.rows.len() <= index {
            self.rows.push(histogram());
            self.errors_of_row.push(0);
        }
        &mut self.rows[index]
    }

    fn moment(&mut self, now_ns: u64) -> &mut Moment {
        let index = (now_ns - self.window.from_ns) / self.window.moment_ns;
        self.moment_at(index as usize)
    }

    fn moment_at(&mut self, index: usize) -> &mut Moment {
        while self.moments.len() <= index {
            let latency = Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS_OF_MOMENT)
                .expect("the bounds are in order and the precision is one that exists");
            self.moments.push(Moment { latency, errors: 0 });
        }
        &mut self.moments[index]
    }
}

/// Figures that all threads write while others read them.
#[derive(Default)]
pub(super) struct Live {
    /// Requests answered.
    pub(super) answered: AtomicU64,
    /// Requests that failed.
    pub(super) failed: AtomicU64,
    /// Sum of the latencies of those answered, in nanoseconds.
    pub(super) latency_ns: AtomicU64,
}

/// What a thread has not told the others yet.
#[derive(Default)]
pub(super) struct Unsaid {
    answered: u64,
    failed: u64,
    latency_ns: u64,
}

impl Unsaid {
    pub(super) fn note(&mut self, latency_ns: u64, code: i32) {
        self.note_all(latency_ns, code, 1);
    }

    pub(super) fn note_all(&mut self, latency_ns: u64, code: i32, times: u64) {
        self.answered += times;
        self.failed += if code == 0 { 0 } else { times };
        self.latency_ns += latency_ns * times;
    }

    /// Once for each batch: the counters are shared, and touching them is dear.
    pub(super) fn say(&mut self, live: &Live) {
        live.answered.fetch_add(self.answered, Ordering::Relaxed);
        live.failed.fetch_add(self.failed, Ordering::Relaxed);
        live.latency_ns.fetch_add(self.latency_ns, Ordering::Relaxed);
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { from_ns: 1_000, to_ns: 2_000, moment_ns: 100 };

    #[test]
    fn only_requests_of_the_window_count() {
        let mut tally = Tally::new(WINDOW);
        tally.answered(0, 999, 1_500, 0);
        assert!(tally.of(0).is_none());
        tally.answered(0, 1_000, 1_500, 0);
        // Sent within, answered after: what a stall at the end would hide is counted.
        tally.answered(0, 1_999, 50_000, 0);
        tally.answered(0, 2_000, 2_500, 0);
        let (row, errors) = tally.of(0).unwrap();
        assert_eq!((row.len(), errors), (2, 0));
        assert_eq!(row.max() / 1_000, 48);
        assert_eq!(tally.moments().len(), 6);
        assert_eq!(tally.moments()[5].latency.len(), 2);
    }

    #[test]
    fn answers_that_are_alike_count_as_often_as_they_came() {
        let (mut one_by_one, mut together) = (Tally::new(WINDOW), Tally::new(WINDOW));
        let mut alike = Alike { tag: 0, since_ns: 1_100, code: 0, times: 1 };
        assert!(alike.takes(0, 1_100, 0) && alike.takes(0, 1_100, 0));
        assert!(!alike.takes(1, 1_100, 0) && !alike.takes(0, 1_101, 0));
        assert!(!alike.takes(0, 1_100, -101));
        (0..3).for_each(|_| one_by_one.answered(0, 1_100, 1_200, 0));
        (0..2).for_each(|_| one_by_one.answered(0, 1_100, 1_200, -101));
        together.all_answered(alike, 1_200);
        together.all_answered(Alike { code: -101, times: 2, ..alike }, 1_200);
        let counted = |tally: &Tally| {
            let moment = &tally.moments()[2];
            (
                tally.of(0).map(|(row, errors)| (row.clone(), errors)),
                moment.errors,
                moment.latency.len(),
            )
        };
        assert_eq!(counted(&one_by_one), counted(&together));
    }

    #[test]
    fn refusals_and_losses_are_told_apart() {
        let mut tally = Tally::new(WINDOW);
        tally.answered(2, 1_100, 1_200, -101);
        tally.answered(2, 1_100, 1_200, -101);
        tally.failed(1, "connection lost", 3);
        tally.failed(1, "never", 0);
        assert_eq!(tally.of(2).map(|(row, errors)| (row.len(), errors)), Some((0, 2)));
        assert_eq!(tally.of(1).map(|(row, errors)| (row.len(), errors)), Some((0, 3)));
        let errors: Vec<_> = tally.errors().iter().map(|(why, count)| (&**why, *count)).collect();
        assert_eq!(errors, [("connection lost", 3), ("error -101", 2)]);
    }

    #[test]
    fn threads_add_up() {
        let (mut one, mut two) = (Tally::new(WINDOW), Tally::new(WINDOW));
        for latency in 1..=100 {
            one.answered(0, 1_000, 1_000 + latency, 0);
            two.answered(0, 1_000, 1_000 + 100 + latency, 0);
        }
        two.failed(3, "connection lost", 1);
        one.add(&two);
        let (row, _) = one.of(0).unwrap();
        assert_eq!((row.len(), row.value_at_quantile(0.5), row.max()), (200, 100, 200));
        assert_eq!(one.errors()["connection lost"], 1);
        assert_eq!(one.moments().iter().map(|moment| moment.latency.len()).sum::<u64>(), 200);
    }
}
