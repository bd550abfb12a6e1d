//! Drives a mix: one thread's tracks, kept full in a closed loop or fed by the clock in an open
//! one.
//!
//! One read of a socket gives many answers; as many requests leave in one write. The clock is read
//! once for each such batch, which is why driving costs less than answering.

use super::crew::{ASIDE, Clock, Crew};
use super::link::{Arrival, Flight, LinkError};
use super::machine::{Share, ThreadTime};
use super::names::Names;
use super::orders::{Chooser, Made, Order, Writer};
use super::schedule::Arrivals;
use super::tally::{Alike, Live, Tally, Unsaid, Window};
use super::track::Broken;
use super::{LoadError, Mix, Pace, Plan};
use std::time::Duration;

/// How long answers are awaited after the window, in nanoseconds: as long as the window, within
/// these bounds.
const DRAIN_NS: (u64, u64) = (1_000_000_000, 10_000_000_000);
/// The same of an open loop, whose requests are due whatever became of the server: as long as it
/// takes an ensemble to find that its leader hangs.
const OPEN_DRAIN_NS: u64 = 20_000_000_000;
/// How often broken tracks are tried again and quiet ones pinged, in nanoseconds.
const ROUND_NS: u64 = 50_000_000;

/// What one thread's part of the load is.
pub(super) struct Part<'p> {
    pub(super) crew: Crew<'p>,
    /// Number of the thread, and of how many.
    pub(super) thread: (usize, usize),
    pub(super) mix: Mix,
    /// How many creates each track makes before it ends; no end if there is none.
    pub(super) quota: Option<u64>,
}

/// What came of it.
pub(super) struct Outcome<'p> {
    pub(super) crew: Crew<'p>,
    pub(super) tally: Tally,
    /// What each of its tracks has made, with the number of the track.
    pub(super) made: Vec<(usize, Made)>,
    pub(super) share: Share,
    /// When the last answer came, in nanoseconds after the start.
    pub(super) ended_ns: u64,
}

struct Driver<'p, 'r> {
    crew: Crew<'p>,
    thread: (usize, usize),
    quota: Option<u64>,
    chooser: Chooser,
    writer: Writer,
    arrivals: Option<Arrivals>,
    made: Vec<Made>,
    orders: Vec<(Order, u64)>,
    /// The track that the next arrival of an open loop is offered to first.
    cursor: usize,
    tally: Tally,
    unsaid: Unsaid,
    live: &'r Live,
    round_ns: u64,
}

/// Drives until the window is over and everything in flight was answered.
pub(super) fn drive<'p>(
    part: Part<'p>,
    names: &Names,
    clock: Clock,
    window: Window,
    live: &Live,
) -> Result<Outcome<'p>, LoadError> {
    let Part { mut crew, thread, mix, quota } = part;
    crew.set_clock(clock);
    let plan: &Plan = crew.plan;
    let (index, of) = (thread.0 as u64, thread.1 as u64);
    let arrivals = match plan.pace {
        Pace::Closed => None,
        Pace::Open(rate) => Some(Arrivals::new(rate, index, of)),
    };
    let driver = Driver {
        thread,
        quota,
        chooser: Chooser::new(plan, &mix, index),
        writer: Writer::new(plan, names.clone()),
        arrivals,
        made: vec![Made::default(); crew.tracks.len()],
        orders: Vec::new(),
        cursor: 0,
        tally: Tally::new(window),
        unsaid: Unsaid::default(),
        live,
        round_ns: 0,
        crew,
    };
    driver.run(window)
}

impl<'p> Driver<'p, '_> {
    fn run(mut self, window: Window) -> Result<Outcome<'p>, LoadError> {
        let mut time = ThreadTime::default();
        let drain_ns = match self.crew.plan.pace {
            Pace::Closed => (window.to_ns - window.from_ns).clamp(DRAIN_NS.0, DRAIN_NS.1),
            Pace::Open(_) => OPEN_DRAIN_NS,
        };
        for track in 0..self.crew.tracks.len() {
            self.refill(track, self.crew.now_ns());
        }
        let ended_ns = loop {
            let now_ns = self.crew.now_ns();
            time.pass(now_ns, window);
            let over = now_ns >= window.to_ns || self.quotas_are_met();
            if over && self.is_empty(window) {
                break now_ns;
            }
            if now_ns >= window.to_ns.saturating_add(drain_ns) {
                self.give_up();
                break now_ns;
            }
            // What was due within the window is sent even after it.
            self.send_due(now_ns.min(window.to_ns - 1));
            self.look_after_tracks(now_ns);
            self.crew.wait(self.patience(now_ns, window, over))?;
            while let Some(track) = self.crew.take_ready() {
                self.attend(track, over);
            }
            self.unsaid.say(self.live);
        };
        if let Some(arrivals) = self.arrivals.take() {
            self.tally.failed(0, "due, and never sent", arrivals.overdue(window.to_ns));
        }
        let (index, of) = self.thread;
        let made = (0..).zip(&self.made).map(|(track, made)| (index + track * of, *made)).collect();
        let share = time.share();
        Ok(Outcome { crew: self.crew, tally: self.tally, made, share, ended_ns })
    }

    /// One track that is ready: takes in what came, and sends as much again.
    fn attend(&mut self, track: usize, over: bool) {
        let now_ns = self.crew.now_ns();
        let Self { crew, tally, unsaid, .. } = self;
        let mut count = |alike: Alike| {
            unsaid.note_all(now_ns.saturating_sub(alike.since_ns), alike.code, alike.times);
            tally.all_answered(alike, now_ns);
        };
        let mut last: Option<Alike> = None;
        let read = crew.read(track, &mut |arrival| match arrival {
            Arrival::Answered(Flight { tag, since_ns, .. }, code) if tag != ASIDE => {
                if !last.as_mut().is_some_and(|last| last.takes(tag, since_ns, code)) {
                    let next = Alike { tag, since_ns, code, times: 1 };
                    last.replace(next).into_iter().for_each(&mut count);
                }
            }
            Arrival::Answered(..) | Arrival::Opened | Arrival::Told => {}
        });
        last.into_iter().for_each(count);
        if let Err(broken) = read {
            return self.lose(broken);
        }
        if over {
            self.flush(track);
        } else {
            self.refill(track, now_ns);
        }
    }

    /// In a closed loop: fills the track up. Sends what is queued in any case.
    fn refill(&mut self, track: usize, now_ns: u64) {
        if self.arrivals.is_none() {
            let room = self.crew.tracks[track].room(self.crew.plan.in_flight);
            for _ in 0..room {
                if self.quota.is_some_and(|quota| self.made[track].made >= quota) {
                    break;
                }
                let order = self.chooser.next(&mut self.made[track]);
                self.orders.push((order, now_ns));
            }
        }
        self.ask(track);
    }

    /// In an open loop: hands what is due to tracks with room, in turn.
    fn send_due(&mut self, now_ns: u64) {
        let Some(mut arrivals) = self.arrivals.take() else { return };
        let count = self.crew.tracks.len();
        let mut asked = vec![];
        // With no room anywhere arrivals stay due, and their latency runs.
        while arrivals.next_ns() <= now_ns
            && let Some(track) = self.free_track()
            && let Some(due_ns) = arrivals.take(now_ns)
        {
            self.cursor = (track + 1) % count;
            let order = self.chooser.next(&mut self.made[track]);
            self.orders.push((order, due_ns));
            self.queue(track);
            if asked.len() < count {
                asked.push(track);
            }
        }
        for track in asked {
            self.flush(track);
        }
        self.arrivals = Some(arrivals);
    }

    fn free_track(&self) -> Option<usize> {
        let count = self.crew.tracks.len();
        let mut turn = (0..count).map(|step| (self.cursor + step) % count);
        turn.find(|track| self.crew.tracks[*track].room(self.crew.plan.in_flight) > 0)
    }

    fn ask(&mut self, track: usize) {
        self.queue(track);
        self.flush(track);
    }

    fn queue(&mut self, track: usize) {
        if !self.orders.is_empty()
            && let Some(link) = self.crew.tracks[track].open_link()
        {
            let (index, of) = self.thread;
            self.writer.ask(link, (index + track * of) as u64, &self.orders);
        }
        self.orders.clear();
    }

    fn flush(&mut self, track: usize) {
        if let Err(broken) = self.crew.flush(track) {
            self.lose(broken);
        }
    }

    fn lose(&mut self, Broken { error, flights }: Broken) {
        let why = match error {
            LinkError::Socket(_) | LinkError::Closed => "connection lost".to_owned(),
            LinkError::Reply(_) | LinkError::NoSession | LinkError::Order => error.to_string(),
        };
        self.lose_flights(&flights, &why);
    }

    fn lose_flights(&mut self, flights: &[Flight], why: &str) {
        for flight in flights.iter().filter(|flight| flight.tag != ASIDE) {
            self.unsaid.note(0, -1);
            if self.tally.counts(flight.since_ns) {
                self.tally.failed(flight.tag, why, 1);
            }
        }
    }

    fn give_up(&mut self) {
        for track in 0..self.crew.tracks.len() {
            let flights = self.crew.tracks[track].take_flights();
            self.lose_flights(&flights, "never answered");
        }
    }

    fn look_after_tracks(&mut self, now_ns: u64) {
        if now_ns < self.round_ns {
            return;
        }
        self.round_ns = now_ns + ROUND_NS;
        let (plan, poller) = (self.crew.plan, &self.crew.poller);
        for track in &mut self.crew.tracks {
            track.revive(plan, poller, now_ns);
            track.ping_if_quiet(plan.session_timeout / 3, ASIDE, now_ns);
        }
        for track in 0..self.crew.tracks.len() {
            self.flush(track);
        }
    }

    fn patience(&self, now_ns: u64, window: Window, over: bool) -> Duration {
        let mut until_ns = self.round_ns;
        if !over {
            until_ns = until_ns.min(window.to_ns);
        }
        if let Some(arrivals) = &self.arrivals
            && arrivals.next_ns() < window.to_ns
            && self.free_track().is_some()
        {
            until_ns = until_ns.min(arrivals.next_ns());
        }
        Duration::from_nanos(until_ns.saturating_sub(now_ns))
    }

    fn quotas_are_met(&self) -> bool {
        self.quota.is_some_and(|quota| self.made.iter().all(|made| made.made >= quota))
    }

    /// Whether nothing of the window is in flight or still to be sent.
    fn is_empty(&self, window: Window) -> bool {
        let none_due =
            self.arrivals.as_ref().is_none_or(|arrivals| arrivals.next_ns() >= window.to_ns);
        none_due && self.crew.tracks.iter().all(|track| track.in_flight() == 0)
    }
}
