//! Sessions that lose their server and go back to what they were at another one.
//!
//! All are opened at the first server of the plan and kept. Whoever makes the run ends that server
//! meanwhile; each session then tries the servers in turn until one knows it. What is told: how
//! long each was away, when the last was back, and how many the servers had given up.

use super::crew::{ASIDE, Clock, Crew, HANDSHAKES_MAX};
use super::link::{Arrival, LinkError};
use super::machine::ThreadTime;
use super::run::{Findings, Meter, moment_ns};
use super::tally::{Live, Tally, Unsaid, Window};
use super::track::Broken;
use super::{LoadError, Plan};
use std::collections::VecDeque;
use std::time::Duration;

const AWAY: u8 = 0;
const ROWS: [(&str, u8); 1] = [("away", AWAY)];
/// How soon a session that no server took tries the next, in nanoseconds.
const RETRY_NS: u64 = 20_000_000;
/// How often quiet sessions are looked for, in nanoseconds.
const ROUND_NS: u64 = 200_000_000;
const WAIT: Duration = Duration::from_millis(5);

struct Returning<'p> {
    crew: Crew<'p>,
    /// Since when each track has been without its session, in nanoseconds.
    away: Vec<Option<u64>>,
    /// Tracks that are to try, and not before when.
    waiting: VecDeque<(usize, u64)>,
    handshakes: usize,
    lost: u64,
    expired: u64,
    first_lost_ns: Option<u64>,
    last_back_ns: u64,
    tally: Tally,
    unsaid: Unsaid,
}

/// Opens the sessions and follows them until the time is over.
pub(super) fn returning(plan: &Plan, live: &Live) -> Result<Findings, LoadError> {
    let window = Window { from_ns: 0, to_ns: u64::MAX, moment_ns: moment_ns(plan.duration) };
    let mut crew = Crew::open(plan, 0..plan.connections)?;
    let (clock, meter) = (Clock::start(), Meter::begin(plan, live)?);
    crew.set_clock(clock);
    let mut sessions = Returning {
        away: vec![None; plan.connections],
        waiting: VecDeque::new(),
        handshakes: 0,
        lost: 0,
        expired: 0,
        first_lost_ns: None,
        last_back_ns: 0,
        tally: Tally::new(window),
        unsaid: Unsaid::default(),
        crew,
    };
    let (mut time, mut round_ns) = (ThreadTime::default(), 0);
    while clock.now_ns() < plan.duration.as_nanos() as u64 {
        let now_ns = clock.now_ns();
        time.pass(now_ns, window);
        if now_ns >= round_ns {
            round_ns = now_ns + ROUND_NS;
            sessions.keep_alive(now_ns);
        }
        sessions.go_on(now_ns);
        sessions.crew.wait(WAIT)?;
        while let Some(track) = sessions.crew.take_ready() {
            sessions.attend(track);
        }
        sessions.unsaid.say(live);
    }
    time.pass(clock.now_ns(), window);
    let spent = meter.end()?;
    let mut findings = sessions.findings(clock.now_ns() as f64 / 1e9, spent);
    findings.shares.push(time.share());
    Ok(findings)
}

impl Returning<'_> {
    fn keep_alive(&mut self, now_ns: u64) {
        let quiet = self.crew.plan.session_timeout / 3;
        for track in 0..self.crew.tracks.len() {
            self.crew.tracks[track].ping_if_quiet(quiet, ASIDE, now_ns);
            // To flush counts as having sent something.
            if self.crew.tracks[track].has_unsent() {
                self.flush(track);
            }
        }
    }

    /// Lets those try whose time has come, as many as may at once.
    fn go_on(&mut self, now_ns: u64) {
        while self.handshakes < HANDSHAKES_MAX
            && let Some((track, at)) = self.waiting.front().copied()
            && at <= now_ns
        {
            self.waiting.pop_front();
            let Crew { plan, poller, tracks, .. } = &mut self.crew;
            match tracks[track].go_on(plan, poller) {
                Ok(()) => self.handshakes += 1,
                Err(_) => self.waiting.push_back((track, now_ns + RETRY_NS)),
            }
        }
    }

    fn attend(&mut self, track: usize) {
        let mut opened = false;
        let read = self.crew.read(track, &mut |arrival| match arrival {
            Arrival::Opened => opened = true,
            Arrival::Answered(..) | Arrival::Told => {}
        });
        if opened {
            self.is_back(track);
        }
        match read {
            Ok(()) => self.flush(track),
            Err(broken) => self.is_lost(track, &broken),
        }
    }

    fn flush(&mut self, track: usize) {
        if let Err(broken) = self.crew.flush(track) {
            self.is_lost(track, &broken);
        }
    }

    fn is_back(&mut self, track: usize) {
        let now_ns = self.crew.now_ns();
        if let Some(since_ns) = self.away[track].take() {
            self.handshakes -= 1;
            self.last_back_ns = now_ns;
            self.unsaid.note(now_ns - since_ns, 0);
            self.tally.answered(AWAY, since_ns, now_ns, 0);
        }
    }

    fn is_lost(&mut self, track: usize, broken: &Broken) {
        let now_ns = self.crew.now_ns();
        if self.away[track].is_none() {
            self.lost += 1;
            self.first_lost_ns.get_or_insert(now_ns);
            self.away[track] = Some(now_ns);
            self.waiting.push_back((track, now_ns));
            return;
        }
        self.handshakes -= 1;
        if matches!(broken.error, LinkError::NoSession) {
            self.expired += 1;
            self.tally.failed(AWAY, "session expired", 1);
        } else {
            self.waiting.push_back((track, now_ns + RETRY_NS));
        }
    }

    fn findings(mut self, seconds: f64, spent: super::run::Spent) -> Findings {
        let missing = self.away.iter().flatten().count() as u64 - self.expired;
        self.tally.failed(AWAY, "not back in time", missing);
        let mut findings = Findings::new(self.tally, &ROWS, seconds, spent);
        findings.facts.extend([
            ("sessions", self.away.len() as f64, ""),
            ("sessions that lost their server", self.lost as f64, ""),
            ("sessions expired", self.expired as f64, ""),
        ]);
        if let Some(first_lost_ns) = self.first_lost_ns {
            let until = self.last_back_ns.saturating_sub(first_lost_ns) as f64 / 1e9;
            findings.facts.push(("until the last was back", until, "s"));
        }
        self.crew.close();
        findings
    }
}
