//! The outcome of a run as data: what text, JSON and plots are made from.

use super::machine::{Machine, Share};
use super::run::Findings;
use super::tally::{Moment, Tally};
use super::verdict::{Evidence, Verdict};
use super::{Pace, Plan};
use hdrhistogram::Histogram;
use ostler_core::wire::Codec;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Version of the JSON form.
const FORM: u32 = 1;
/// Quantiles that the distribution is drawn from.
const QUANTILES: [f64; 14] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0];

/// One run. Times are in microseconds where their name does not say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub form: u32,
    /// What was run.
    pub setting: Setting,
    /// Where.
    pub machine: Machine,
    /// When, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// What the rates are counted over.
    pub seconds: f64,
    /// All operations together; of the workloads without a mix, their first row.
    pub total: Row,
    /// Each operation.
    pub operations: Vec<Row>,
    /// Why requests failed, and how many.
    pub errors: Vec<Count>,
    /// What a workload has to tell besides.
    pub facts: Vec<Fact>,
    /// The servers, if their process ids were given.
    pub server: Option<ServerUse>,
    /// Share of its core that the harness's busiest thread used.
    pub busiest_thread: f64,
    /// Share of the machine's cores that was busy, with whatever.
    pub machine_busy: f64,
    /// What bounded the rate.
    pub verdict: Verdict,
    /// The run over time.
    pub timeline: Vec<Instant>,
    /// Latency of all operations by quantile.
    pub distribution: Vec<Quantile>,
}

/// The arguments that a run can be compared by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The workload.
    pub workload: String,
    /// `jute` or `native`.
    pub protocol: String,
    /// Whether sessions asked for linearizable reads.
    #[serde(default)]
    pub linearizable: bool,
    /// Addresses.
    pub servers: Vec<String>,
    /// Connections.
    pub connections: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
    /// Requests a second asked for; none in a closed loop.
    pub rate: Option<f64>,
    /// Bytes of data of each znode.
    pub value_bytes: usize,
    /// Bytes that paths are filled up to.
    pub path_bytes: usize,
    /// Number of keys.
    pub keys: u64,
    /// How unevenly they are asked for.
    pub skew: String,
    /// Threads of the harness.
    pub threads: usize,
    /// Seed of everything that is chosen.
    pub seed: u64,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Requests answered without an error.
    pub count: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests a second answered without an error.
    pub rate: f64,
    /// Mean latency.
    pub mean: f64,
    /// Median latency.
    pub p50: f64,
    /// 90 of 100 were not slower.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// How often something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// A figure with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit, perhaps none.
    pub unit: String,
}

/// What the servers used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerUse {
    /// CPU time for each request answered. The system counts it in ticks of 10 ms.
    pub cpu_per_operation: f64,
    /// Cores in use on average.
    pub cores: f64,
    /// Resident memory before the measurement, in bytes.
    pub rss_before_bytes: u64,
    /// And after it.
    pub rss_after_bytes: u64,
    /// The most there ever was.
    pub rss_peak_bytes: u64,
    /// Handed to the system by write calls, in bytes: to disk, and to sockets by a server that
    /// writes to them as to files. Ostler does not.
    pub written_bytes: u64,
}

/// One moment of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instant {
    /// When it began, in seconds after the measurement began.
    pub at: f64,
    /// Requests answered a second.
    pub rate: f64,
    /// Median latency.
    pub p50: f64,
    /// 99 of 100 were not slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
    /// Refusals.
    pub errors: u64,
}

/// A point of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// Share of requests that were not slower, from 0 to 1.
    pub share: f64,
    /// Latency.
    pub latency: f64,
}

impl Report {
    pub(super) fn of(plan: &Plan, findings: &Findings, begun: Duration) -> Self {
        let Findings { tally, rows, seconds, spent, shares, facts } = findings;
        let operations: Vec<_> =
            rows.iter().filter_map(|(name, tag)| Row::of(name, *tag, tally, *seconds)).collect();
        let is_mix = matches!(plan.workload, super::Workload::Mix(_) | super::Workload::Fill(_));
        let counted = if is_mix { &rows[..] } else { &rows[..rows.len().min(1)] };
        let (all, errors) = together(counted, tally);
        let total = Row::from(("all", &all, errors, *seconds));
        let busiest_thread = shares.iter().copied().map(Share::of_core).fold(0.0, f64::max);
        let served = match plan.pace {
            Pace::Open(rate) if is_mix => Some(total.rate / rate),
            Pace::Open(_) | Pace::Closed => None,
        };
        let evidence = Evidence { busiest_thread, busy: spent.busy, served };
        let server = match (spent.cpu_us, spent.used_before, spent.used_after) {
            (Some(cpu_us), Some(before), Some(after)) => Some(ServerUse {
                cpu_per_operation: cpu_us as f64 / spent.answered.max(1) as f64,
                cores: cpu_us as f64 / 1e6 / seconds,
                rss_before_bytes: before.rss_bytes,
                rss_after_bytes: after.rss_bytes,
                rss_peak_bytes: after.rss_peak_bytes,
                written_bytes: spent.written_bytes.unwrap_or_default(),
            }),
            _ => None,
        };
        Self {
            form: FORM,
            setting: Setting::of(plan),
            machine: Machine::here(),
            begun_ms: u64::try_from(begun.as_millis()).unwrap_or(u64::MAX),
            seconds: *seconds,
            distribution: distribution(&all),
            total,
            operations,
            errors: tally
                .errors()
                .iter()
                .map(|(what, count)| Count { what: what.clone(), count: *count })
                .collect(),
            facts: facts
                .iter()
                .map(|(name, value, unit)| Fact {
                    name: (*name).to_owned(),
                    value: *value,
                    unit: (*unit).to_owned(),
                })
                .collect(),
            server,
            busiest_thread,
            machine_busy: spent.busy,
            verdict: Verdict::of(evidence),
            timeline: timeline(tally),
        }
    }
}

impl Setting {
    fn of(plan: &Plan) -> Self {
        Self {
            workload: plan.workload.to_string(),
            protocol: match plan.codec {
                Codec::Jute => "jute",
                Codec::Native => "native",
            }
            .to_owned(),
            linearizable: plan.linearizable,
            servers: plan.servers.iter().map(ToString::to_string).collect(),
            connections: plan.connections,
            in_flight: plan.in_flight,
            rate: match plan.pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(rate),
            },
            value_bytes: plan.value_bytes,
            path_bytes: plan.path_bytes,
            keys: plan.keys,
            skew: plan.skew.to_string(),
            threads: plan.threads,
            seed: plan.seed,
        }
    }
}

impl Row {
    /// Nothing if the operation was never asked for.
    fn of(name: &str, tag: u8, tally: &Tally, seconds: f64) -> Option<Self> {
        let (row, errors) = tally.of(tag)?;
        (!row.is_empty() || errors > 0).then(|| Self::from((name, row, errors, seconds)))
    }
}

impl From<(&str, &Histogram<u64>, u64, f64)> for Row {
    fn from((name, row, errors, seconds): (&str, &Histogram<u64>, u64, f64)) -> Self {
        let at = |share| row.value_at_quantile(share) as f64 / 1e3;
        Self {
            name: name.to_owned(),
            count: row.len(),
            errors,
            rate: row.len() as f64 / seconds.max(f64::MIN_POSITIVE),
            mean: row.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: row.max() as f64 / 1e3,
        }
    }
}

fn together(rows: &[(&'static str, u8)], tally: &Tally) -> (Histogram<u64>, u64) {
    let mut all = super::tally::histogram();
    let mut errors = 0;
    for (row, failed) in rows.iter().filter_map(|(_, tag)| tally.of(*tag)) {
        all.add(row).expect("all rows have the same bounds");
        errors += failed;
    }
    (all, errors)
}

fn distribution(all: &Histogram<u64>) -> Vec<Quantile> {
    let point = |share| Quantile { share, latency: all.value_at_quantile(share) as f64 / 1e3 };
    QUANTILES.into_iter().map(point).collect()
}

fn timeline(tally: &Tally) -> Vec<Instant> {
    let length = tally.window().moment_ns as f64 / 1e9;
    let moment = |(index, moment): (usize, &Moment)| {
        let at = |share| moment.latency.value_at_quantile(share) as f64 / 1e3;
        Instant {
            at: index as f64 * length,
            rate: moment.latency.len() as f64 / length,
            p50: at(0.5),
            p99: at(0.99),
            max: moment.latency.max() as f64 / 1e3,
            errors: moment.errors,
        }
    };
    tally.moments().iter().enumerate().map(moment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tally::Window;

    #[test]
    fn rates_and_quantiles_come_from_what_was_counted() {
        let window = Window { from_ns: 0, to_ns: 2_000_000_000, moment_ns: 500_000_000 };
        let mut tally = Tally::new(window);
        for number in 1..=1_000 {
            let since = number * 1_000_000;
            tally.answered(0, since, since + number * 1_000, 0);
        }
        tally.failed(0, "connection lost", 5);
        let row = Row::of("get", 0, &tally, 2.0).unwrap();
        assert_eq!((row.count, row.errors), (1_000, 5));
        assert!((row.rate - 500.0).abs() < 1e-9);
        for (found, expected) in
            [(row.p50, 500.0), (row.p90, 900.0), (row.p99, 990.0), (row.p999, 999.0)]
        {
            assert!((found / expected - 1.0).abs() < 0.002, "{found} for {expected}");
        }
        assert!((row.max - 1_000.0).abs() < 1.0);
        assert!(Row::of("set", 1, &tally, 2.0).is_none());
        let timeline = timeline(&tally);
        assert_eq!(timeline.len(), 3);
        assert!((timeline[1].rate - 1_000.0).abs() < 5.0, "{timeline:?}");
    }

    #[test]
    fn operations_are_added_up_without_losing_the_slow_ones() {
        let window = Window { from_ns: 0, to_ns: 1_000, moment_ns: 1_000 };
        let mut tally = Tally::new(window);
        tally.answered(0, 0, 10_000, 0);
        tally.answered(1, 0, 90_000, 0);
        tally.failed(1, "lost", 2);
        let (all, errors) = together(&[("get", 0), ("set", 1), ("list", 5)], &tally);
        assert_eq!((all.len(), errors), (2, 2));
        let points = distribution(&all);
        assert!((points.last().unwrap().latency - 90.0).abs() < 0.1);
        assert!((points[0].latency - 10.0).abs() < 0.1);
    }
}
