//! Sessions that come and go: each track connects, opens a session, closes it, and begins again.

use super::crew::{Clock, Crew};
use super::link::Arrival;
use super::machine::ThreadTime;
use super::run::{Findings, Meter, moment_ns};
use super::tally::{Live, Tally, Unsaid, Window};
use super::{LoadError, Plan};
use ostler_core::types::Request;
use std::time::Duration;

const OPEN: u8 = 0;
const CLOSE: u8 = 1;
const WHOLE: u8 = 2;
const ROWS: [(&str, u8); 3] = [("open", OPEN), ("close", CLOSE), ("open and close", WHOLE)];
/// How often tracks that could not connect try again, in nanoseconds.
const ROUND_NS: u64 = 100_000_000;

struct Churn<'p> {
    crew: Crew<'p>,
    /// When each track began its session.
    begun_ns: Vec<u64>,
    tally: Tally,
    unsaid: Unsaid,
}

/// Opens and closes until the time is over.
pub(super) fn sessions(plan: &Plan, live: &Live) -> Result<Findings, LoadError> {
    let clock = Clock::start();
    let from_ns = plan.warm_up.as_nanos() as u64;
    let to_ns = from_ns + plan.duration.as_nanos() as u64;
    let window = Window { from_ns, to_ns, moment_ns: moment_ns(plan.duration) };
    let mut crew = Crew::open(plan, 0..plan.connections)?;
    crew.set_clock(clock);
    let begun_ns = vec![clock.now_ns(); plan.connections];
    let (tally, unsaid) = (Tally::new(window), Unsaid::default());
    let mut churn = Churn { crew, begun_ns, tally, unsaid };
    for track in 0..plan.connections {
        churn.begin(track);
    }
    let mut time = ThreadTime::default();
    let mut meter = None;
    let mut round_ns = 0;
    loop {
        let now_ns = clock.now_ns();
        time.pass(now_ns, window);
        if now_ns >= from_ns && meter.is_none() {
            meter = Some(Meter::begin(plan, live)?);
        }
        if now_ns >= to_ns {
            break;
        }
        if now_ns >= round_ns {
            round_ns = now_ns + ROUND_NS;
            churn.revive(now_ns);
        }
        churn.crew.wait(Duration::from_nanos(round_ns.min(to_ns) - now_ns))?;
        while let Some(track) = churn.crew.take_ready() {
            churn.attend(track);
        }
        churn.unsaid.say(live);
    }
    let meter = meter.expect("the window began before it ended").end()?;
    let seconds = plan.duration.as_secs_f64();
    let mut findings = Findings::new(churn.tally, &ROWS, seconds, meter);
    findings.shares.push(time.share());
    churn.crew.close();
    Ok(findings)
}

impl Churn<'_> {
    /// Lets the connection go and opens the next.
    fn begin(&mut self, track: usize) {
        self.begun_ns[track] = self.crew.now_ns();
        let Crew { plan, poller, tracks, .. } = &mut self.crew;
        tracks[track].drop_link();
        if tracks[track].connect(plan, poller).is_err() {
            self.tally.failed(OPEN, "cannot connect", 1);
        }
    }

    fn revive(&mut self, now_ns: u64) {
        let Crew { plan, poller, tracks, .. } = &mut self.crew;
        for track in tracks {
            track.revive(plan, poller, now_ns);
        }
    }

    fn attend(&mut self, track: usize) {
        let mut opened = false;
        let mut closed = None;
        let read = self.crew.read(track, &mut |arrival| match arrival {
            Arrival::Opened => opened = true,
            Arrival::Answered(flight, code) => closed = Some((flight.since_ns, code)),
            Arrival::Told => {}
        });
        let now_ns = self.crew.now_ns();
        let begun_ns = self.begun_ns[track];
        if opened {
            self.tally.answered(OPEN, begun_ns, now_ns, 0);
            self.crew.link(track).ask(&[(Request::CloseSession, CLOSE, now_ns)]);
        }
        if let Some((since_ns, code)) = closed {
            self.tally.answered(CLOSE, since_ns, now_ns, code);
            self.tally.answered(WHOLE, begun_ns, now_ns, code);
            self.unsaid.note(now_ns.saturating_sub(begun_ns), code);
            return self.begin(track);
        }
        if read.is_err() || self.crew.flush(track).is_err() {
            self.tally.failed(WHOLE, "connection lost", 1);
            self.unsaid.note(0, -1);
            self.begin(track);
        }
    }
}
