//! A link that comes back: a track keeps its place in the load while its connections come and go.

use super::link::{Arrival, Claim, Flight, Link, LinkError, Scratch};
use super::poller::Poller;
use super::{LoadError, Plan, Workload};
use ostler_core::types::Request;
use std::net::SocketAddr;
use std::time::Duration;

/// How soon a track whose connection broke tries again, in nanoseconds.
const RETRY_NS: u64 = 100_000_000;

/// See the module.
pub(super) struct Track {
    server: SocketAddr,
    /// Which of the plan's servers that is.
    turn: usize,
    /// The session it had last.
    claim: Claim,
    token: usize,
    link: Option<Link>,
    /// Whether the poller watches for room in the socket.
    wants_room: bool,
    retry_ns: u64,
    /// When something was sent last, in nanoseconds of the run's clock.
    sent_ns: u64,
}

/// What became of the requests in flight when a link broke.
pub(super) struct Broken {
    pub(super) error: LinkError,
    pub(super) flights: Vec<Flight>,
}

impl Track {
    /// The `number`-th track of all, which its thread's poller will know as `token`.
    pub(super) fn new(plan: &Plan, number: usize, token: usize) -> Self {
        let turn = match plan.workload {
            // All of them are to lose the same server.
            Workload::Returning => 0,
            Workload::Mix(_)
            | Workload::Fill(_)
            | Workload::Watches(_)
            | Workload::Sessions
            | Workload::Idle => number % plan.servers.len(),
        };
        let (server, claim) = (plan.servers[turn], Claim::NEW);
        Self { server, turn, claim, token, link: None, wants_room: false, retry_ns: 0, sent_ns: 0 }
    }

    /// Connects and begins the handshake for a new session.
    pub(super) fn connect(&mut self, plan: &Plan, poller: &Poller) -> Result<(), LinkError> {
        self.connect_as(plan, poller, Claim::NEW)
    }

    /// Connects to the next server and begins the handshake for the session that it had.
    pub(super) fn go_on(&mut self, plan: &Plan, poller: &Poller) -> Result<(), LinkError> {
        self.turn_to_next(plan);
        self.connect_as(plan, poller, self.claim)
    }

    fn turn_to_next(&mut self, plan: &Plan) {
        self.turn = (self.turn + 1) % plan.servers.len();
        self.server = plan.servers[self.turn];
    }

    fn connect_as(&mut self, plan: &Plan, poller: &Poller, claim: Claim) -> Result<(), LinkError> {
        let mut link = Link::open(self.server, plan, claim)?;
        poller.add(link.socket(), self.token)?;
        link.flush()?;
        self.link = Some(link);
        self.wants_room = false;
        Ok(())
    }

    /// Connects again, to the next server, if the track has no connection and its time has come.
    pub(super) fn revive(&mut self, plan: &Plan, poller: &Poller, now_ns: u64) {
        if self.link.is_some() || now_ns < self.retry_ns {
            return;
        }
        self.turn_to_next(plan);
        if self.connect(plan, poller).is_err() {
            self.link = None;
            self.retry_ns = now_ns + RETRY_NS;
        }
    }

    /// The link, if the handshake is over.
    pub(super) fn open_link(&mut self) -> Option<&mut Link> {
        self.link.as_mut().filter(|link| link.is_open())
    }

    pub(super) fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    /// How many more requests may be sent now.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        let link = self.link.as_ref().filter(|link| link.is_open());
        link.map_or(0, |link| in_flight.saturating_sub(link.in_flight()))
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.link.as_ref().is_some_and(Link::has_unsent)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.link.as_ref().map_or(0, Link::in_flight)
    }

    /// Sends what is queued; the poller will tell when the rest has room.
    pub(super) fn flush(&mut self, poller: &Poller, now_ns: u64) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        self.sent_ns = now_ns;
        if let Err(error) = link.flush() {
            return Err(self.fall(error, now_ns));
        }
        let wanted = link.has_unsent();
        if wanted != self.wants_room {
            self.wants_room = wanted;
            if let Err(error) = poller.want_room(link.socket(), self.token, wanted) {
                return Err(self.fall(error.into(), now_ns));
            }
        }
        Ok(())
    }

    /// Reads once.
    pub(super) fn read(
        &mut self,
        scratch: &mut Scratch,
        now_ns: u64,
        each: &mut impl FnMut(Arrival),
    ) -> Result<(), Broken> {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.read(scratch, each).map_err(|error| self.fall(error, now_ns))
    }

    /// Something was sent last at this time of the run's clock.
    pub(super) fn note_sent(&mut self, now_ns: u64) {
        self.sent_ns = now_ns;
    }

    /// Keeps the session alive if nothing else did.
    pub(super) fn ping_if_quiet(&mut self, quiet: Duration, tag: u8, now_ns: u64) {
        let due = u64::try_from(quiet.as_nanos()).unwrap_or(u64::MAX);
        if now_ns.saturating_sub(self.sent_ns) >= due
            && let Some(link) = self.open_link()
        {
            link.ask(&[(Request::Ping, tag, now_ns)]);
        }
    }

    /// Gives the connection up and tells what it leaves unanswered.
    pub(super) fn take_flights(&mut self) -> Vec<Flight> {
        self.link.take().map(Link::into_flights).unwrap_or_default().into()
    }

    /// Lets the connection go.
    pub(super) fn drop_link(&mut self) {
        self.link = None;
    }

    /// A link that broke before its session was open as a reason to end the run.
    pub(super) fn turned_away(&self, error: LinkError, connections: usize) -> LoadError {
        let error = match error {
            LinkError::Closed => std::io::ErrorKind::ConnectionReset.into(),
            LinkError::Socket(error) if has_hung_up(&error) => error,
            error @ (LinkError::Socket(_)
            | LinkError::Reply(_)
            | LinkError::NoSession
            | LinkError::Order) => return self.fatal(error),
        };
        LoadError::TurnedAway { place: self.server.to_string(), connections, error }
    }

    /// A broken link as a reason to end the run.
    pub(super) fn fatal(&self, error: LinkError) -> LoadError {
        let place = self.server.to_string();
        match error {
            LinkError::Socket(error) => LoadError::Socket { place, error },
            LinkError::Reply(error) => LoadError::Reply { place, error },
            LinkError::Closed | LinkError::NoSession | LinkError::Order => {
                LoadError::Socket { place, error: std::io::Error::other(error.to_string()) }
            }
        }
    }

    fn fall(&mut self, error: LinkError, now_ns: u64) -> Broken {
        self.retry_ns = now_ns + RETRY_NS;
        self.claim = self.link.as_ref().map_or(self.claim, Link::claim);
        Broken { error, flights: self.take_flights() }
    }
}

/// Whether it was the other side that ended the connection.
fn has_hung_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), ConnectionReset | BrokenPipe)
}
