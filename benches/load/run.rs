//! One run from end to end: prepare, load, measure, clean up, report.

use super::crew::{Clock, Crew};
use super::driver::{self, Outcome, Part};
use super::machine::{Cores, Share, Used, allow_sockets};
use super::names::{Names, Place};
use super::orders::Made;
use super::progress::Progress;
use super::tally::{Live, Tally, Window};
use super::{LoadError, Mix, Operation, Plan, Report, Workload};
use super::{churn, fanout, idle, prepare, returning};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Moments that the plots show.
const MOMENTS: u64 = 120;
/// Sockets besides those of the load: preparation, probe, changer.
const OTHER_SOCKETS: usize = 4;

/// What a workload came to, before it becomes a report.
pub(super) struct Findings {
    pub(super) tally: Tally,
    /// Names of rows and the tags they are counted under.
    pub(super) rows: Vec<(&'static str, u8)>,
    /// What the rates are counted over.
    pub(super) seconds: f64,
    pub(super) spent: Spent,
    /// Of each thread that drove.
    pub(super) shares: Vec<Share>,
    /// Name, value, unit.
    pub(super) facts: Vec<(&'static str, f64, &'static str)>,
}

impl Findings {
    pub(super) fn new(
        tally: Tally,
        rows: &[(&'static str, u8)],
        seconds: f64,
        spent: Spent,
    ) -> Self {
        let (shares, facts) = (Vec::new(), Vec::new());
        Self { tally, rows: rows.to_vec(), seconds, spent, shares, facts }
    }
}

/// Reads meters as the measurement begins and ends.
pub(super) struct Meter<'r> {
    pids: &'r [u32],
    live: &'r Live,
    answered: u64,
    used: Option<Used>,
    cores: Cores,
}

/// What was used in between.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// Requests answered.
    pub(super) answered: u64,
    /// CPU time of the servers.
    pub(super) cpu_us: Option<u64>,
    pub(super) written_bytes: Option<u64>,
    pub(super) used_before: Option<Used>,
    pub(super) used_after: Option<Used>,
    /// Share of the machine's cores that was busy, with whatever.
    pub(super) busy: f64,
}

impl<'r> Meter<'r> {
    pub(super) fn begin(plan: &'r Plan, live: &'r Live) -> Result<Self, LoadError> {
        let (pids, answered) = (&plan.pids[..], live.answered.load(Ordering::Relaxed));
        let mut meter = Self { pids, live, answered, used: None, cores: Cores::now() };
        meter.used = meter.used_now()?;
        Ok(meter)
    }

    /// What the servers have used up to now; nothing if they are not known.
    pub(super) fn used_now(&self) -> Result<Option<Used>, LoadError> {
        if self.pids.is_empty() { Ok(None) } else { Used::by(self.pids).map(Some) }
    }

    /// What they had used at the beginning.
    pub(super) fn used(&self) -> Option<Used> {
        self.used
    }

    pub(super) fn end(self) -> Result<Spent, LoadError> {
        let used_after = self.used_now()?;
        let since = |value: fn(&Used) -> u64| {
            let (before, after) = (self.used.as_ref()?, used_after.as_ref()?);
            Some(value(after).saturating_sub(value(before)))
        };
        Ok(Spent {
            answered: self.live.answered.load(Ordering::Relaxed) - self.answered,
            cpu_us: since(|used| used.cpu_us),
            written_bytes: since(|used| used.written_bytes),
            used_before: self.used,
            used_after,
            busy: Cores::now().busy_since(self.cores),
        })
    }
}

/// Makes the run that is planned.
///
/// # Errors
/// If it cannot be made: arguments that make no sense, servers that cannot be reached or break off
/// while nothing is measured. What they refuse under load is in the report.
pub fn run(plan: &Plan) -> Result<Report, LoadError> {
    plan.check()?;
    allow_sockets(plan.connections + OTHER_SOCKETS)?;
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let place = match plan.workload {
        Workload::Fill(_) => Place::Together { tracks: plan.connections as u64 },
        Workload::Mix(_)
        | Workload::Watches(_)
        | Workload::Sessions
        | Workload::Idle
        | Workload::Returning => Place::Apart,
    };
    // Runs that begin in different microseconds do not meet.
    let names = Names::new(begun.as_micros() as u64 & 0xffff_ffff, plan.path_bytes, place);
    let (live, mut made) = (Live::default(), vec![Made::default(); plan.connections]);
    let needs_znodes = match plan.workload {
        Workload::Mix(_) | Workload::Fill(_) | Workload::Watches(_) => true,
        Workload::Sessions | Workload::Idle | Workload::Returning => false,
    };
    if needs_znodes {
        prepare::set_up(plan, &names)?;
    }
    let findings = match &plan.workload {
        Workload::Mix(mix) => load(plan, &names, mix, None, &live, &mut made)?,
        Workload::Fill(count) => {
            let mix = Mix::only(Operation::Create);
            load(plan, &names, &mix, Some(*count), &live, &mut made)?
        }
        Workload::Watches(count) => fanout::watches(plan, &names, *count, &live)?,
        Workload::Sessions => churn::sessions(plan, &live)?,
        Workload::Idle => idle::idle(plan, &live)?,
        Workload::Returning => returning::returning(plan, &live)?,
    };
    if needs_znodes && !plan.keep {
        prepare::clean_up(plan, &names, &made)?;
    }
    Ok(Report::of(plan, &findings, begun))
}

/// Length of one moment of the plots.
pub(super) fn moment_ns(duration: Duration) -> u64 {
    (duration.as_nanos() as u64 / MOMENTS).max(10_000_000)
}

/// A mix on all threads.
fn load(
    plan: &Plan,
    names: &Names,
    mix: &Mix,
    fill: Option<u64>,
    live: &Live,
    made: &mut [Made],
) -> Result<Findings, LoadError> {
    let threads = plan.threads.min(plan.connections);
    let mut parts = Vec::new();
    for thread in 0..threads {
        let crew = Crew::open(plan, (thread..plan.connections).step_by(threads))?;
        let quota = fill.map(|count| count.div_ceil(plan.connections as u64));
        parts.push(Part { crew, thread: (thread, threads), mix: mix.clone(), quota });
    }
    let from_ns = if fill.is_some() { 0 } else { plan.warm_up.as_nanos() as u64 };
    let to_ns = from_ns + plan.duration.as_nanos() as u64;
    let window = Window { from_ns, to_ns, moment_ns: moment_ns(plan.duration) };
    let clock = Clock::start();
    let (outcomes, spent) = std::thread::scope(|scope| {
        let drive = |part| scope.spawn(|| driver::drive(part, names, clock, window, live));
        let threads: Vec<_> = parts.into_iter().map(drive).collect();
        let finished = || threads.iter().all(std::thread::ScopedJoinHandle::is_finished);
        let spent = Progress::new(plan, clock, window).follow(live, finished);
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().expect("a driver hands its errors over and does not panic")
        };
        (threads.into_iter().map(join).collect::<Vec<Result<Outcome<'_>, _>>>(), spent)
    });
    let mut all = Tally::new(window);
    let (mut shares, mut ended_ns) = (Vec::new(), 0);
    for outcome in outcomes {
        let outcome = outcome?;
        all.add(&outcome.tally);
        for (track, of_track) in outcome.made {
            made[track] = of_track;
        }
        shares.push(outcome.share);
        ended_ns = ended_ns.max(outcome.ended_ns);
        outcome.crew.close();
    }
    let measured_ns = if fill.is_some() { ended_ns } else { window.to_ns - window.from_ns };
    let rows = Operation::ALL.map(|operation| (operation.name(), operation as u8));
    let mut findings = Findings::new(all, &rows, measured_ns as f64 / 1e9, spent?);
    findings.shares = shares;
    if let (Some(before), Some(after)) = (findings.spent.used_before, findings.spent.used_after)
        && let Some(count) = fill
    {
        let grown = after.rss_bytes.saturating_sub(before.rss_bytes) as f64;
        findings.facts.push(("memory for each znode", grown / count as f64, "bytes"));
    }
    Ok(findings)
}
