//! Sessions that ask nothing: what keeping them costs a server, and whether it keeps them all.

use super::crew::{ASIDE, Clock, Crew};
use super::machine::ThreadTime;
use super::run::{Findings, Meter, moment_ns};
use super::tally::{Live, Tally, Window};
use super::{LoadError, Plan};
use ostler_core::types::Request;
use std::time::{Duration, Instant};

const PING: u8 = 0;
const ROWS: [(&str, u8); 1] = [("ping at the end", PING)];
const PATIENCE: Duration = Duration::from_secs(60);
/// How often quiet sessions are looked for.
const ROUND: Duration = Duration::from_millis(200);

/// Opens the sessions, keeps them for a time, and asks each whether it is still there.
pub(super) fn idle(plan: &Plan, live: &Live) -> Result<Findings, LoadError> {
    let before = Meter::begin(plan, live)?;
    let opening = Instant::now();
    let mut crew = Crew::open(plan, 0..plan.connections)?;
    let opened_in = opening.elapsed().as_secs_f64();
    let clock = Clock::start();
    crew.set_clock(clock);
    let meter = Meter::begin(plan, live)?;
    let window = Window { from_ns: 0, to_ns: u64::MAX, moment_ns: moment_ns(plan.duration) };
    let mut time = ThreadTime::default();
    let mut lost = 0_u64;
    while clock.now_ns() < plan.duration.as_nanos() as u64 {
        time.pass(clock.now_ns(), window);
        lost += hold(&mut crew)?;
    }
    time.pass(clock.now_ns(), window);
    let seconds = clock.now_ns() as f64 / 1e9;
    let spent = meter.end()?;
    let mut tally = Tally::new(window);
    ask_all(&mut crew, &mut tally)?;
    tally.failed(PING, "session lost", lost);
    let mut findings = Findings::new(tally, &ROWS, seconds, spent);
    findings.shares.push(time.share());
    let sessions = plan.connections as f64;
    findings.facts.extend([
        ("sessions", sessions, ""),
        ("sessions lost", lost as f64, ""),
        ("sessions opened", sessions / opened_in, "a second"),
    ]);
    if let (Some(before), Some(after)) = (before.used(), findings.spent.used_after) {
        let grown = after.rss_bytes.saturating_sub(before.rss_bytes) as f64;
        let cpu_us = findings.spent.cpu_us.unwrap_or_default() as f64;
        findings.facts.extend([
            ("memory for each session", grown / sessions, "bytes"),
            ("CPU for each session", cpu_us / sessions / seconds, "us a second"),
        ]);
    }
    crew.close();
    Ok(findings)
}

/// Waits a while and keeps every session alive; how many connections broke meanwhile.
fn hold(crew: &mut Crew<'_>) -> Result<u64, LoadError> {
    let now_ns = crew.now_ns();
    let quiet = crew.plan.session_timeout / 3;
    let mut lost = 0;
    for track in 0..crew.tracks.len() {
        crew.tracks[track].ping_if_quiet(quiet, ASIDE, now_ns);
        if crew.tracks[track].has_unsent() {
            lost += u64::from(crew.flush(track).is_err());
        }
    }
    crew.wait(ROUND)?;
    while let Some(track) = crew.take_ready() {
        lost += u64::from(crew.read(track, &mut |_| {}).is_err());
    }
    Ok(lost)
}

fn ask_all(crew: &mut Crew<'_>, tally: &mut Tally) -> Result<(), LoadError> {
    let clock = crew.clock();
    for track in 0..crew.tracks.len() {
        if let Some(link) = crew.tracks[track].open_link() {
            link.ask(&[(Request::Ping, PING, clock.now_ns())]);
        }
    }
    crew.settle(PATIENCE, "the last ping", |_, flight, code| {
        if flight.tag == PING {
            tally.answered(PING, flight.since_ns, clock.now_ns(), code);
        }
    })
}
