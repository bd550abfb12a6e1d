//! Whole ensembles in one thread: the machines that run in production, their real bytes on disks
//! that crumble and links that break, under a clock that only this program moves.
//!
//! A seed stands for an ensemble, its habits, and all that goes wrong; the same seed is the same
//! run, to the last bit. What clients were told is held against the one committed history,
//! promises are held against the disk at the moment they leave, and when the faults are over,
//! everything has to come right in bounded time.
//!
//! Clients speak both protocols, come back with their sessions and their watches, ask for
//! linearizable reads, and send writes again that take effect once. Servers are killed, lose their
//! power (in the middle of disk work too, and right after a promise), stand still, are cut off, one
//! way or both, have slow or failing disks and clocks that jump; and their rooms panic one by one.
//!
//! `cargo test` runs a few hundred short schedules. More, by variables of the environment:
//!
//! ```text
//! SECONDS=600        fresh seeds for so long; BASE=… begins with that seed instead of a new one
//! SEEDS=10000        so many seeds
//! SEED=…             one seed, with a line for each thing that happens
//! SEED=… SMALL=1     the same, with the shortest list of faults that makes it fail
//! cargo test --release -p ostler-core --test simulation long -- --nocapture
//! ```
//!
//! A seed that fails is printed with the shortest list of faults that still makes it fail.

mod audit;
mod calls;
mod chance;
mod client;
mod disk;
mod doors;
mod faults;
mod links;
mod logs;
mod model;
mod network;
mod oracle;
mod panics;
mod perform;
mod plan;
mod run;
mod server;
mod shrink;
mod snapshots;
mod verdict;
mod watches;
mod world;

use plan::Plan;
use run::run;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use world::Tally;

/// Schedules of a plain `cargo test`, and the longest time they may take together.
const SHORT_SEEDS: u64 = 300;
const SHORT_TIME: Duration = Duration::from_secs(15);

/// Schedules of a long campaign between two reports.
const REPORT_EVERY: u64 = 1000;

#[test]
fn short_schedules_hold() {
    campaign(1, SHORT_SEEDS, SHORT_TIME);
}

/// A server that took over a snapshot told clients of changes behind it before it let them go,
/// and so out of turn. And a client that had asked to close its session, and was not answered
/// because its server lost its power for good, counted as one that had lost it. And a follower that
/// came back to its leader was told first what it had asked second. And a sync that a lost leader
/// had vouched for was answered before the write that stood before it. And a server ended when a
/// leader's snapshot took the place of the log that its tree was being made anew from.
#[test]
fn seeds_that_failed_once_hold() {
    let first = [2295, 3194, 102_618, 200_865_808_912_919].map(Plan::first);
    let second = [1_000_040].map(Plan::second);
    for plan in first.into_iter().chain(second).chain([30_000_012].map(Plan::third)) {
        let seed = plan.seed;
        let outcome = run(&plan, false);
        assert!(outcome.failure.is_none(), "seed {seed}: {}", outcome.failure.unwrap_or_default());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 77] {
        let plan = Plan::draw(seed);
        let (first, second) = (run(&plan, false), run(&plan, false));
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
        assert_eq!(first.tally.acts, second.tally.acts, "seed {seed}");
    }
}

/// See the module: does nothing unless asked.
#[test]
fn long() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SEED") {
        return replay(seed);
    }
    let (seeds, seconds) = (number("SEEDS"), number("SECONDS"));
    if seeds.is_some() || seconds.is_some() {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let base = number("BASE").unwrap_or(clock.as_nanos() as u64 & 0xffff_ffff_0000);
        let longest = Duration::from_secs(seconds.unwrap_or(u64::from(u32::MAX)));
        campaign(base, seeds.unwrap_or(u64::MAX - base), longest);
    }
}

fn replay(seed: u64) {
    let mut plan = Plan::draw(seed);
    if std::env::var_os("SMALL").is_some() {
        plan = shrink::shrink(&plan);
    }
    println!("{plan:#?}");
    let outcome = run(&plan, true);
    assert!(outcome.failure.is_none(), "seed {seed}: {}", outcome.failure.unwrap_or_default());
}

/// Runs seeds until there are enough or the time is over; the first that fails is made smaller.
fn campaign(base: u64, seeds: u64, longest: Duration) {
    let begun = Instant::now();
    let mut sum = Tally::default();
    let mut done = 0;
    println!("base seed {base}");
    while done < seeds && begun.elapsed() < longest {
        let plan = Plan::draw(base + done);
        let outcome = run(&plan, false);
        if let Some(failure) = outcome.failure {
            fail(&plan, &failure);
        }
        sum.add(&outcome.tally);
        done += 1;
        if done.is_multiple_of(REPORT_EVERY) {
            report(done, &sum, begun.elapsed());
        }
    }
    report(done, &sum, begun.elapsed());
}

fn fail(plan: &Plan, failure: &str) {
    let small = shrink::shrink(plan);
    let list: Vec<_> = small.faults.iter().map(ToString::to_string).collect();
    let last = run(&small, false).failure.unwrap_or_default();
    panic!(
        "SEED={} fails:\n{failure}\n\n{} of {} faults suffice:\n{}\n\nthen:\n{last}\n\nreplay: \
         SEED={} cargo test -p ostler-core --test simulation long -- --nocapture",
        plan.seed,
        small.faults.len(),
        plan.faults.len(),
        list.join("\n"),
        plan.seed,
    );
}

fn report(done: u64, sum: &Tally, wall: Duration) {
    let hours = sum.simulated_us as f64 / 3.6e9;
    println!(
        "{done} schedules, {hours:.2} simulated hours, {} acts, {:.1} s of wall time",
        sum.acts,
        wall.as_secs_f64()
    );
    let list = |counts: &BTreeMap<&str, u64>| {
        let each = counts.iter().map(|(what, many)| format!("{what} {many}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let faults: u64 = sum.faults.values().sum();
    println!("{faults} faults: {}", list(&sum.faults));
    println!("{}", list(&sum.counts));
}
