//! The tracks of one thread, opened and closed together. What is asked on them is the business of
//! whoever has the crew: the driver of a mix, the holder of idle sessions, the fan-out.

use super::link::{Arrival, Flight, Link, Scratch};
use super::poller::{Poller, Ready};
use super::track::{Broken, Track};
use super::{LoadError, Plan};
use ostler_core::types::Request;
use std::time::{Duration, Instant};

/// Handshakes under way at a time. A server's backlog is bounded, ZooKeeper's at 50: a connection
/// that does not fit in it is tried again by the system only a second later.
pub(super) const HANDSHAKES_MAX: usize = 48;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Tag of what is no part of the load.
pub(super) const ASIDE: u8 = u8::MAX;

/// The clock of a run: nanoseconds since its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now_ns(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// See the module.
pub(super) struct Crew<'p> {
    pub(super) plan: &'p Plan,
    pub(super) poller: Poller,
    pub(super) tracks: Vec<Track>,
    scratch: Scratch,
    ready: Vec<Ready>,
    clock: Clock,
}

impl<'p> Crew<'p> {
    /// Opens a session on each track; `numbers` are their places among all tracks of the run.
    pub(super) fn open(
        plan: &'p Plan,
        numbers: impl Iterator<Item = usize>,
    ) -> Result<Self, LoadError> {
        let tracks = numbers.enumerate().map(|(token, number)| Track::new(plan, number, token));
        let mut crew = Self {
            plan,
            poller: Poller::new()?,
            tracks: tracks.collect(),
            scratch: Scratch::new(),
            ready: Vec::new(),
            clock: Clock::start(),
        };
        for from in (0..crew.tracks.len()).step_by(HANDSHAKES_MAX) {
            let to = crew.tracks.len().min(from + HANDSHAKES_MAX);
            for track in &mut crew.tracks[from..to] {
                if let Err(error) = track.connect(plan, &crew.poller) {
                    return Err(track.turned_away(error, plan.connections));
                }
            }
            crew.await_handshakes(from, to)?;
            crew.keep_alive(to)?;
        }
        Ok(crew)
    }

    /// Pings for the first sessions, which are open, where nothing else was asked in a while: so
    /// many may be opened that the first would expire before the last is there.
    fn keep_alive(&mut self, count: usize) -> Result<(), LoadError> {
        let (now_ns, quiet) = (self.now_ns(), self.plan.session_timeout / 3);
        for track in 0..count {
            self.tracks[track].ping_if_quiet(quiet, ASIDE, now_ns);
            if self.tracks[track].has_unsent() {
                self.flush_or_fail(track)?;
            }
        }
        Ok(())
    }

    /// From now on time counts from this clock's start. Everything counts as just sent.
    pub(super) fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
        let now_ns = clock.now_ns();
        self.tracks.iter_mut().for_each(|track| track.note_sent(now_ns));
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    /// Waits until a socket is ready or the time is over.
    pub(super) fn wait(&mut self, at_most: Duration) -> Result<(), LoadError> {
        self.poller
            .wait(at_most, &mut self.ready)
            .map_err(LoadError::machine("waiting for sockets"))
    }

    /// The next track that the last wait found ready.
    pub(super) fn take_ready(&mut self) -> Option<usize> {
        self.ready.pop().map(|ready| ready.token)
    }

    pub(super) fn read(
        &mut self,
        track: usize,
        each: &mut impl FnMut(Arrival),
    ) -> Result<(), Broken> {
        let now_ns = self.clock.now_ns();
        self.tracks[track].read(&mut self.scratch, now_ns, each)
    }

    pub(super) fn flush(&mut self, track: usize) -> Result<(), Broken> {
        let now_ns = self.clock.now_ns();
        self.tracks[track].flush(&self.poller, now_ns)
    }

    /// Sends what fits, receives what comes, until nothing is in flight any more. A connection
    /// that breaks ends the run.
    pub(super) fn settle(
        &mut self,
        patience: Duration,
        what: &str,
        mut each: impl FnMut(usize, Flight, i32),
    ) -> Result<(), LoadError> {
        let deadline = Instant::now() + patience;
        for track in 0..self.tracks.len() {
            self.flush_or_fail(track)?;
        }
        while self.tracks.iter().any(|track| track.in_flight() > 0) {
            if Instant::now() > deadline {
                return Err(LoadError::Late(what.to_owned()));
            }
            self.wait(Duration::from_millis(100))?;
            while let Some(track) = self.take_ready() {
                let read = self.read(track, &mut |arrival| match arrival {
                    Arrival::Answered(flight, code) => each(track, flight, code),
                    Arrival::Opened | Arrival::Told => {}
                });
                read.map_err(|Broken { error, .. }| self.tracks[track].fatal(error))?;
                self.flush_or_fail(track)?;
            }
        }
        Ok(())
    }

    pub(super) fn flush_or_fail(&mut self, track: usize) -> Result<(), LoadError> {
        self.flush(track).map_err(|Broken { error, .. }| self.tracks[track].fatal(error))
    }

    /// Ends all sessions, so that the server need not wait for them to expire. A session that
    /// cannot be ended in time expires.
    pub(super) fn close(mut self) {
        for from in (0..self.tracks.len()).step_by(HANDSHAKES_MAX) {
            let to = self.tracks.len().min(from + HANDSHAKES_MAX);
            let deadline = Instant::now() + CLOSE_TIMEOUT;
            for track in from..to {
                if let Some(link) = self.tracks[track].open_link() {
                    link.ask(&[(Request::CloseSession, ASIDE, 0)]);
                }
                drop(self.flush(track));
            }
            let left = |tracks: &[Track]| tracks.iter().any(|track| track.in_flight() > 0);
            while left(&self.tracks[from..to]) && Instant::now() < deadline {
                if self.wait(Duration::from_millis(100)).is_err() {
                    return;
                }
                while let Some(track) = self.take_ready() {
                    drop(self.read(track, &mut |_| {}));
                }
            }
            for track in &mut self.tracks[from..to] {
                track.drop_link();
            }
        }
    }

    fn await_handshakes(&mut self, from: usize, to: usize) -> Result<(), LoadError> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        while !self.tracks[from..to].iter().all(Track::is_open) {
            if Instant::now() > deadline {
                return Err(LoadError::Late("opening sessions".to_owned()));
            }
            self.wait(Duration::from_millis(100))?;
            while let Some(track) = self.take_ready() {
                let read = self.read(track, &mut |_| {});
                read.map_err(|Broken { error, .. }| {
                    self.tracks[track].turned_away(error, self.plan.connections)
                })?;
                self.flush_or_fail(track)?;
            }
        }
        Ok(())
    }

    /// The link of a track that is known to be open.
    pub(super) fn link(&mut self, track: usize) -> &mut Link {
        self.tracks[track].open_link().expect("a track stays open outside the measured time")
    }
}
