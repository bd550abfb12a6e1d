//! Observations of one quantity: their sum and extremes, and where most of them lie, in memory that
//! does not grow.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Observations of one quantity. All zero if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
    /// All together.
    pub sum: u64,
    /// How many.
    pub count: u64,
}

impl Summary {
    /// Takes in one observation. Sums stop at the largest number instead of going round.
    pub fn observe(&mut self, value: u64) {
        self.observe_many(value, 1);
    }

    /// Takes in the same observation so many times.
    pub fn observe_many(&mut self, value: u64, times: u64) {
        let sum = value.saturating_mul(times);
        self.merge(&Self { min: value, max: value, sum, count: times });
    }

    /// Takes in all that another has seen.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.count = self.count.saturating_add(other.count);
    }

    /// The same in a unit that is so many times larger.
    pub fn in_units_of(&self, unit: u64) -> Self {
        let Self { min, max, sum, count } = *self;
        Self { min: min / unit, max: max / unit, sum: sum / unit, count }
    }

    /// The mean, shown with one to four decimals as Java shows a double: `0.0`, `3.5714`.
    pub fn mean(&self) -> impl fmt::Display + use<> {
        let count = u128::from(self.count.max(1));
        Decimal((u128::from(self.sum) * 20_000 + count) / (2 * count))
    }
}

/// Ten-thousandths.
struct Decimal(u128);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut fraction, mut digits) = (self.0 % 10_000, 4);
        while digits > 1 && fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{}.{fraction:0digits$}", self.0 / 10_000)
    }
}

/// Each power of two is divided into so many ranges: a quantile is off by a 32nd at most.
const RANGES: u64 = 16;
const RANGE_BITS: u32 = RANGES.trailing_zeros();
const RANGES_ALL: usize = (RANGES as usize) * (u64::BITS - RANGE_BITS + 1) as usize;

/// A [`Summary`] that can also tell its quantiles. About 8 KB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    summary: Summary,
    /// Observations by range; see [`range_of`].
    ranges: Vec<u64>,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { summary: Summary::default(), ranges: vec![0; RANGES_ALL] }
    }
}

impl Distribution {
    /// Takes in the same observation so many times.
    pub fn observe_many(&mut self, value: u64, times: u64) {
        self.summary.observe_many(value, times);
        let range = &mut self.ranges[range_of(value)];
        *range = range.saturating_add(times);
    }

    /// Takes in all that another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.summary.merge(&other.summary);
        for (mine, theirs) in self.ranges.iter_mut().zip(&other.ranges) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// What was seen, in a unit so many times larger than that of the observations.
    pub fn quantiles(&self, unit: u64) -> Quantiles {
        let rounded = |per_mille| (self.quantile(per_mille) + unit / 2) / unit;
        Quantiles {
            summary: self.summary.in_units_of(unit),
            p50: rounded(500),
            p95: rounded(950),
            p99: rounded(990),
            p999: rounded(999),
        }
    }

    /// The smallest value that so many of a thousand observations do not exceed, about.
    fn quantile(&self, per_mille: u64) -> u64 {
        let Summary { min, max, count, .. } = self.summary;
        let rank = u128::from(count) * u128::from(per_mille);
        let mut seen = 0;
        let reached = self.ranges.iter().position(|observed| {
            seen += u128::from(*observed) * 1000;
            *observed > 0 && seen >= rank
        });
        reached.map_or(0, |range| middle_of(range).clamp(min, max))
    }
}

/// The range of a value: its highest bit, and the next four.
fn range_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(RANGE_BITS + 1);
    u64::from(shift) as usize * RANGES as usize + (value >> shift) as usize
}

fn middle_of(range: usize) -> u64 {
    let range = range as u64;
    if range < 2 * RANGES {
        return range;
    }
    let shift = range / RANGES - 1;
    ((range % RANGES + RANGES) << shift) + (1 << shift) / 2
}

/// What is told of a [`Distribution`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Sum and extremes.
    pub summary: Summary,
    /// The median.
    pub p50: u64,
    /// What 95 of a hundred do not exceed.
    pub p95: u64,
    /// What 99 of a hundred do not exceed.
    pub p99: u64,
    /// What 999 of a thousand do not exceed.
    pub p999: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_cover_every_value_without_a_gap() {
        assert_eq!(range_of(u64::MAX), RANGES_ALL - 1);
        for value in 0..100_000 {
            let (this, next) = (range_of(value), range_of(value + 1));
            assert!(next == this || next == this + 1, "{value}");
        }
    }

    #[test]
    fn nothing_seen_is_all_zero() {
        assert_eq!(Distribution::default().quantiles(1000), Quantiles::default());
    }

    #[test]
    fn quantiles_are_rounded_to_their_unit() {
        let mut seen = Distribution::default();
        seen.observe_many(400, 98);
        seen.observe_many(20_600, 2);
        let told = seen.quantiles(1000);
        assert_eq!((told.p50, told.p95, told.p99, told.p999), (0, 0, 21, 21));
        assert_eq!(told.summary, Summary { min: 0, max: 20, sum: 80, count: 100 });
    }

    proptest! {
        #[test]
        fn quantiles_are_close_to_those_of_the_sorted_list(
            mut values in prop::collection::vec(0u64..5_000_000, 1..400),
        ) {
            let (mut whole, mut half) = (Distribution::default(), Distribution::default());
            for (at, value) in values.iter().enumerate() {
                if at % 2 == 0 { &mut whole } else { &mut half }.observe_many(*value, 1);
            }
            whole.merge(&half);
            values.sort_unstable();
            let told = whole.quantiles(1);
            for (per_mille, told) in [(500, told.p50), (950, told.p95), (999, told.p999)] {
                let rank = (values.len() * per_mille).div_ceil(1000).max(1);
                let exact = values[rank - 1];
                prop_assert!(told.abs_diff(exact) <= exact / 32 + 1, "{told} is not {exact}");
            }
            prop_assert_eq!(told.summary.max, values[values.len() - 1]);
            prop_assert_eq!(told.summary.sum, values.iter().sum::<u64>());
        }
    }
}
