//! Chance from a seed, and which of the keys is asked for next.

use super::LoadError;
use std::fmt;
use std::str::FromStr;

/// A stream of numbers that its seed decides (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product is below the bound and as even as makes no difference here.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 up to but not including 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How unevenly keys are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Skew {
    /// Every key as often as every other.
    #[default]
    Uniform,
    /// The n-th most wanted key is asked for in proportion to n to the power of minus this
    /// exponent, above 0 and below 1.
    Zipf(f64),
}

impl FromStr for Skew {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        if text == "uniform" {
            return Ok(Self::Uniform);
        }
        text.strip_prefix("zipf:")
            .and_then(|exponent| exponent.parse::<f64>().ok())
            .filter(|exponent| *exponent > 0.0 && *exponent < 1.0)
            .map(Self::Zipf)
            .ok_or_else(|| {
                LoadError::Invalid(format!(
                    "{text} is no skew: it is `uniform`, or `zipf:` and a number between 0 and 1"
                ))
            })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

/// Chooses among keys 0 to `count - 1`.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    count: u64,
    zipf: Option<Zipf>,
}

impl Keys {
    /// Of `count` keys, of which there is at least one.
    pub(super) fn new(count: u64, skew: Skew) -> Self {
        let zipf = match skew {
            Skew::Uniform => None,
            Skew::Zipf(exponent) => Some(Zipf::new(count, exponent)),
        };
        Self { count: count.max(1), zipf }
    }

    pub(super) fn next(&self, random: &mut Random) -> u64 {
        match &self.zipf {
            None => random.below(self.count),
            Some(zipf) => zipf.rank(random.unit()).min(self.count - 1),
        }
    }
}

/// Gray's method (Quickly Generating Billion-Record Synthetic Databases, 1994): constant time for
/// each number after one sum over all keys.
#[derive(Clone, Debug)]
struct Zipf {
    count: f64,
    exponent: f64,
    sum: f64,
    /// Sum over the first two keys.
    sum_of_two: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: u64, exponent: f64) -> Self {
        let weight = |rank: u64| 1.0 / (rank as f64).powf(exponent);
        let sum = (1..=count).map(weight).sum::<f64>();
        let sum_of_two = 1.0 + weight(2);
        let count = count as f64;
        let eta = (1.0 - (2.0 / count).powf(1.0 - exponent)) / (1.0 - sum_of_two / sum);
        Self { count, exponent, sum, sum_of_two, eta }
    }

    fn rank(&self, unit: f64) -> u64 {
        let scaled = unit * self.sum;
        if scaled < 1.0 {
            0
        } else if scaled < self.sum_of_two {
            1
        } else {
            let base = self.eta.mul_add(unit, 1.0 - self.eta);
            (self.count * base.powf(1.0 / (1.0 - self.exponent))) as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(keys: u64, skew: Skew, draws: u64) -> Vec<u64> {
        let (chooser, mut random) = (Keys::new(keys, skew), Random::new(7));
        let mut counts = vec![0; keys as usize];
        for _ in 0..draws {
            counts[chooser.next(&mut random) as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_keys_come_equally_often() {
        for count in counts(10, Skew::Uniform, 100_000) {
            assert!((9_500..10_500).contains(&count), "{count} of about 10000");
        }
    }

    #[test]
    fn zipf_keys_come_as_often_as_their_rank_demands() {
        let counts = counts(1_000, Skew::Zipf(0.99), 1_000_000);
        let sum: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-0.99)).sum();
        for rank in [1_u64, 2, 10, 100] {
            let expected = 1e6 * (rank as f64).powf(-0.99) / sum;
            let found = counts[rank as usize - 1] as f64;
            // The method is exact for the first two and approximate behind them.
            let tolerance = if rank < 3 { 0.02 } else { 0.25 };
            assert!((found / expected - 1.0).abs() < tolerance, "{rank}: {found} for {expected}");
        }
    }

    #[test]
    fn one_key_is_always_that_key() {
        assert_eq!(counts(1, Skew::Zipf(0.5), 1_000), [1_000]);
        assert_eq!(counts(1, Skew::Uniform, 1_000), [1_000]);
    }

    #[test]
    fn a_seed_decides_the_stream() {
        let stream = |seed| {
            let mut random = Random::new(seed);
            (0..4).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
    }

    #[test]
    fn skews_are_read_as_they_are_written() {
        for text in ["uniform", "zipf:0.9"] {
            assert_eq!(text.parse::<Skew>().unwrap().to_string(), text);
        }
        for text in ["", "zipf", "zipf:1", "zipf:0", "zipf:x", "even"] {
            assert!(text.parse::<Skew>().is_err(), "{text}");
        }
    }
}
