//! One change, many watchers: how long until each of them, and until the last of them, is told.
//!
//! A round: everybody watches, one change of every watched znode is asked for, all events are
//! awaited. Watches are one-shot data watches, so every round registers them anew. Meanwhile a
//! probe on a thread of its own asks for something else: a fan-out must not hold up the others. What
//! it meets while a hundred thousand watches are set in one go is a row of its own (`between`).

use super::crew::{Clock, Crew};
use super::link::Arrival;
use super::machine::ThreadTime;
use super::names::Names;
use super::orders::value;
use super::probe;
use super::run::{Findings, Meter, moment_ns};
use super::tally::{Live, Tally, Unsaid, Window};
use super::track::Broken;
use super::{LoadError, Plan};
use ostler_core::types::{Op, Read, Request};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const WATCH: u8 = 0;
const CHANGE: u8 = 1;
const EVENT: u8 = 2;
const LAST_EVENT: u8 = 3;
pub(super) const PROBE: u8 = 4;
pub(super) const PROBE_BETWEEN: u8 = 5;
const ROWS: [(&str, u8); 6] = [
    ("watch", WATCH),
    ("change", CHANGE),
    ("event", EVENT),
    ("last event", LAST_EVENT),
    ("probe", PROBE),
    ("between", PROBE_BETWEEN),
];
/// Requests in one frame; servers bound frames to 1 MiB.
const BATCH: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);
/// How long servers may take to give back what setting the first watches took: this for each, and
/// no longer than that for all.
const SETTLING_OF_ONE: Duration = Duration::from_micros(40);
const SETTLING_MAX: Duration = Duration::from_secs(4);

/// What the probe has to know.
#[derive(Default)]
pub(super) struct Stage {
    /// A change was asked for, and not everybody was told yet.
    pub(super) is_changing: AtomicBool,
    pub(super) is_over: AtomicBool,
}

struct Fanout<'p> {
    stage: &'p Stage,
    crew: Crew<'p>,
    /// What each watcher watches, by track; the track behind them makes the changes.
    paths: Vec<String>,
    watches: u64,
    data: Vec<u8>,
    tally: Tally,
    unsaid: Unsaid,
}

/// Runs rounds until the time is over; the first is not counted.
pub(super) fn watches(
    plan: &Plan,
    names: &Names,
    watches: u64,
    live: &Live,
) -> Result<Findings, LoadError> {
    let clock = Clock::start();
    let window = Window { from_ns: 0, to_ns: u64::MAX, moment_ns: moment_ns(plan.duration) };
    let meter = Meter::begin(plan, live)?;
    let stage = Stage::default();
    let mut fanout = Fanout::open(plan, names, &stage, watches, window)?;
    let before = meter.used_now()?;
    fanout.crew.set_clock(clock);
    fanout.register()?;
    // A watch that lasts is asked for, not the requests that set them all at once.
    let each = u32::try_from(watches).unwrap_or(u32::MAX);
    std::thread::sleep(SETTLING_OF_ONE.saturating_mul(each).min(SETTLING_MAX));
    let after = meter.used_now()?;
    fanout.round()?;
    fanout.tally = Tally::new(window);
    let (measured, probed) = std::thread::scope(|scope| {
        let probe = scope.spawn(|| probe::ask(plan, names, clock, window, &stage));
        let measured = fanout.rounds(plan, live, clock, window);
        stage.is_over.store(true, Ordering::Relaxed);
        let probed = probe.join().expect("the probe hands its errors over and does not panic");
        (measured, probed)
    });
    let mut findings = measured?;
    findings.tally.add(&probed?);
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.rss_bytes.saturating_sub(before.rss_bytes) as f64;
        findings.facts.push(("memory for each watch", grown / watches as f64, "bytes"));
    }
    fanout.crew.close();
    Ok(findings)
}

impl<'p> Fanout<'p> {
    fn open(
        plan: &'p Plan,
        names: &Names,
        stage: &'p Stage,
        watches: u64,
        window: Window,
    ) -> Result<Self, LoadError> {
        let paths = (0..watches.div_ceil(plan.connections as u64).max(1)).map(|number| {
            let mut path = String::new();
            names.write_key(number, &mut path);
            path
        });
        Ok(Self {
            stage,
            paths: paths.collect(),
            watches,
            data: value(plan),
            tally: Tally::new(window),
            unsaid: Unsaid::default(),
            crew: Crew::open(plan, 0..plan.connections + 1)?,
        })
    }

    fn rounds(
        &mut self,
        plan: &Plan,
        live: &Live,
        clock: Clock,
        window: Window,
    ) -> Result<Findings, LoadError> {
        let meter = Meter::begin(plan, live)?;
        let mut time = ThreadTime::default();
        let begun_ns = clock.now_ns();
        let end_ns = begun_ns.saturating_add(plan.duration.as_nanos() as u64);
        let mut rounds = 0_u64;
        while rounds == 0 || clock.now_ns() < end_ns {
            time.pass(clock.now_ns(), window);
            self.register()?;
            self.round()?;
            self.unsaid.say(live);
            rounds += 1;
        }
        time.pass(clock.now_ns(), window);
        let seconds = (clock.now_ns() - begun_ns) as f64 / 1e9;
        let tally = std::mem::replace(&mut self.tally, Tally::new(window));
        let mut findings = Findings::new(tally, &ROWS, seconds, meter.end()?);
        findings.shares.push(time.share());
        let [each, last] = [EVENT, LAST_EVENT].map(|tag| findings.tally.of(tag).map(mean_us));
        findings.facts.extend([
            ("watches", self.watches as f64, ""),
            ("znodes watched", self.paths.len() as f64, ""),
            ("rounds", rounds as f64, ""),
            ("event, mean", each.unwrap_or_default(), "us"),
            ("last event, mean", last.unwrap_or_default(), "us"),
        ]);
        Ok(findings)
    }

    /// Everybody watches.
    fn register(&mut self) -> Result<(), LoadError> {
        let watchers = self.crew.plan.connections as u64;
        for track in 0..watchers {
            let now_ns = self.crew.now_ns();
            let count = self.watches.saturating_sub(track).div_ceil(watchers) as usize;
            for batch in self.paths[..count].chunks(BATCH) {
                let read = |path| Request::Read(Read::Data { path, watch: true });
                let requests: Vec<_> =
                    batch.iter().map(|path| (read(path), WATCH, now_ns)).collect();
                self.crew.link(track as usize).ask(&requests);
            }
        }
        self.settle()
    }

    /// One change, and every event of it.
    fn round(&mut self) -> Result<(), LoadError> {
        self.stage.is_changing.store(true, Ordering::Relaxed);
        let since_ns = self.crew.now_ns();
        let changer = self.crew.plan.connections;
        for batch in self.paths.chunks(BATCH) {
            let set = |path| Op::SetData { path, data: Some(&self.data), version: -1 };
            let op = match batch {
                [path] => set(path),
                paths => Op::Multi(paths.iter().map(|path| set(path)).collect()),
            };
            self.crew.link(changer).ask(&[(Request::Write(op), CHANGE, since_ns)]);
        }
        self.crew.flush_or_fail(changer)?;
        let mut told = 0;
        while told < self.watches {
            if self.crew.now_ns() - since_ns > PATIENCE.as_nanos() as u64 {
                self.tally.failed(EVENT, "event never came", self.watches - told);
                break;
            }
            self.crew.wait(Duration::from_millis(100))?;
            while let Some(track) = self.crew.take_ready() {
                told += self.take_in(track, since_ns)?;
            }
        }
        self.stage.is_changing.store(false, Ordering::Relaxed);
        self.tally.answered(LAST_EVENT, since_ns, self.crew.now_ns(), 0);
        self.settle()
    }

    /// Reads one track; how many events came.
    fn take_in(&mut self, track: usize, since_ns: u64) -> Result<u64, LoadError> {
        let Self { crew, tally, unsaid, .. } = self;
        let now_ns = crew.now_ns();
        let mut told = 0;
        let read = crew.read(track, &mut |arrival| match arrival {
            Arrival::Told => {
                told += 1;
                unsaid.note(now_ns - since_ns, 0);
                tally.answered(EVENT, since_ns, now_ns, 0);
            }
            Arrival::Answered(flight, code) => {
                tally.answered(flight.tag, flight.since_ns, now_ns, code);
            }
            Arrival::Opened => {}
        });
        read.map_err(|Broken { error, .. }| crew.tracks[track].fatal(error))?;
        crew.flush_or_fail(track)?;
        Ok(told)
    }

    /// Waits for what is in flight.
    fn settle(&mut self) -> Result<(), LoadError> {
        let Self { crew, tally, .. } = self;
        let clock = crew.clock();
        crew.settle(PATIENCE, "watching", |_, flight, code| {
            tally.answered(flight.tag, flight.since_ns, clock.now_ns(), code);
        })
    }
}

fn mean_us((row, _): (&hdrhistogram::Histogram<u64>, u64)) -> f64 {
    row.mean() / 1_000.0
}
