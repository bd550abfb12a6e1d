//! One connection to a server: handshake, requests in flight, frames taken apart.
//!
//! It never waits: whoever holds it polls its socket. Bytes are read into a buffer of the thread,
//! so that ten thousand idle links hold no buffers.

use super::Plan;
use ostler_core::types::{Request, SessionId, Xid, Zxid};
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};
use ostler_core::wire::native::{Hello, HelloOptions, Refusal, Welcome, greeting};
use ostler_core::wire::{Codec, DecodeError, OwnedReply, ReplyKind};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The body of a frame, and the bytes behind it.
type BodyAndRest<'b> = (&'b [u8], &'b [u8]);

/// Bytes that one read of a socket may bring.
const SCRATCH_BYTES: usize = 256 << 10;
/// No reply of a server that means well is longer.
const REPLY_BYTES_MAX: usize = 256 << 20;
/// One reply in this many is decoded to its end; of the others only the header is looked at.
const CHECKED_EVERY: i32 = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request that was not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// When it was sent, or should have been, in nanoseconds of the run's clock.
    pub(super) since_ns: u64,
    /// What the caller calls it.
    pub(super) tag: u8,
    kind: ReplyKind,
    xid: i32,
}

/// What came from the server.
#[derive(Debug)]
pub(super) enum Arrival {
    /// The handshake is over; requests may be sent.
    Opened,
    /// An answer, with ZooKeeper's code or 0.
    Answered(Flight, i32),
    /// A watch event.
    Told,
}

/// Why a link is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("closed by the server")]
    Closed,
    #[error("{0}")]
    Reply(#[from] DecodeError),
    #[error("the server refused a session")]
    NoSession,
    #[error("a reply came out of order")]
    Order,
}

/// A session, as a client that comes back to it names it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    session: SessionId,
    password: [u8; 16],
}

impl Claim {
    /// To a session of one's own, which is to be made.
    pub(super) const NEW: Self = Self { session: SessionId::NONE, password: [0; 16] };
}

/// The buffer of a thread that its links read into.
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    pub(super) fn new() -> Self {
        Self(vec![0; SCRATCH_BYTES])
    }
}

/// See the module.
pub(super) struct Link {
    socket: TcpStream,
    codec: Codec,
    claim: Claim,
    opened: bool,
    flights: VecDeque<Flight>,
    next_xid: i32,
    /// The begin of a frame whose end has not come.
    rest: Vec<u8>,
    /// Bytes that were not sent yet; those before `sent` were.
    unsent: Vec<u8>,
    sent: usize,
}

impl Link {
    /// Connects and begins the handshake.
    pub(super) fn open(server: SocketAddr, plan: &Plan, claim: Claim) -> io::Result<Self> {
        let codec = plan.codec;
        let socket = TcpStream::connect_timeout(&server, CONNECT_TIMEOUT)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut unsent = Vec::new();
        let timeout_ms = i32::try_from(plan.session_timeout.as_millis()).unwrap_or(i32::MAX);
        match codec {
            Codec::Jute => ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: Zxid::ZERO,
                timeout_ms,
                session: claim.session,
                password: claim.password.to_vec(),
                read_only: Some(false),
            }
            .encode(&mut unsent),
            Codec::Native => {
                unsent.extend_from_slice(&greeting());
                let Claim { session, password } = claim;
                let last_zxid_seen = Zxid::ZERO;
                let options =
                    HelloOptions { linearizable: plan.linearizable, ..HelloOptions::default() };
                Hello { last_zxid_seen, timeout_ms, session, password, options }
                    .encode(&mut unsent);
            }
        }
        let (opened, flights, rest) = (false, VecDeque::new(), Vec::new());
        Ok(Self { socket, codec, claim, opened, flights, next_xid: 1, rest, unsent, sent: 0 })
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(super) fn is_open(&self) -> bool {
        self.opened
    }

    /// The session that the server granted, or what was asked for before it did.
    pub(super) fn claim(&self) -> Claim {
        self.claim
    }

    /// Requests that were not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Takes what was in flight when the link broke.
    pub(super) fn into_flights(self) -> VecDeque<Flight> {
        self.flights
    }

    /// Whether bytes wait for room in the socket.
    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.unsent.len()
    }

    /// Whether requests that are asked together share a frame.
    pub(super) fn has_frames_of_many(&self) -> bool {
        match self.codec {
            Codec::Jute => false,
            Codec::Native => true,
        }
    }

    /// Queues a request in a frame of its own, with its tag and the time that its latency counts
    /// from.
    pub(super) fn ask_alone(&mut self, request: &Request<'_>, tag: u8, since_ns: u64) {
        let (kind, xid) = (ReplyKind::of(request), self.number());
        self.flights.push_back(Flight { since_ns, tag, kind, xid });
        self.codec.encode_request(Xid(xid), request, &mut self.unsent);
    }

    /// Queues requests that belong together: one frame for all where the protocol can. Each comes
    /// with its tag and the time that its latency counts from.
    pub(super) fn ask(&mut self, requests: &[(Request<'_>, u8, u64)]) {
        let mut numbered = Vec::with_capacity(requests.len());
        for (request, tag, since_ns) in requests {
            let kind = ReplyKind::of(request);
            let xid = match request {
                Request::Ping => Xid::PING.0,
                _ => self.number(),
            };
            self.flights.push_back(Flight { since_ns: *since_ns, tag: *tag, kind, xid });
            numbered.push((Xid(xid), request));
        }
        self.codec.encode_requests(&numbered, &mut self.unsent);
    }

    /// Sends what is queued, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> Result<(), LinkError> {
        while self.sent < self.unsent.len() {
            match self.socket.write(&self.unsent[self.sent..]) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.unsent.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once and hands on what came. A socket without anything to read is no error.
    pub(super) fn read(
        &mut self,
        scratch: &mut Scratch,
        each: &mut impl FnMut(Arrival),
    ) -> Result<(), LinkError> {
        let Scratch(buffer) = scratch;
        let carried = self.rest.len();
        if buffer.len() < carried + SCRATCH_BYTES / 2 {
            buffer.resize(carried * 2 + SCRATCH_BYTES, 0);
        }
        let length = match self.socket.read(&mut buffer[carried..]) {
            Ok(0) => return Err(LinkError::Closed),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        buffer[..carried].copy_from_slice(&self.rest);
        self.rest.clear();
        let mut left = &buffer[..carried + length];
        while let Some((body, after)) = self.frame(left)? {
            let arrival = self.arrival(body)?;
            left = after;
            each(arrival);
        }
        self.rest.extend_from_slice(left);
        Ok(())
    }

    fn number(&mut self) -> i32 {
        let xid = self.next_xid;
        self.next_xid = if xid == i32::MAX { 1 } else { xid + 1 };
        xid
    }

    /// The body of the first frame and what follows it, if its end has come.
    fn frame<'b>(&self, bytes: &'b [u8]) -> Result<Option<BodyAndRest<'b>>, DecodeError> {
        let Some((prefix, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = self.codec.frame_length(*prefix)?;
        if length > REPLY_BYTES_MAX {
            return Err(DecodeError::Length);
        }
        Ok(rest.split_at_checked(length))
    }

    fn arrival(&mut self, body: &[u8]) -> Result<Arrival, LinkError> {
        if !self.opened {
            self.shake_hands(body)?;
            self.opened = true;
            return Ok(Arrival::Opened);
        }
        let (header, record) = self.codec.decode_reply_header(body)?;
        if header.xid == Xid::EVENT {
            self.codec.decode_event(header, record)?;
            return Ok(Arrival::Told);
        }
        let flight = self.flights.pop_front().ok_or(LinkError::Order)?;
        if header.xid.0 != flight.xid {
            return Err(LinkError::Order);
        }
        let mut code = header.error;
        let is_multi = flight.kind == ReplyKind::Multi;
        if code == 0 && (is_multi || flight.xid % CHECKED_EVERY == 0) {
            code = refusal(&self.codec.decode_reply(flight.kind, header, record)?);
        }
        Ok(Arrival::Answered(flight, code))
    }

    fn shake_hands(&mut self, body: &[u8]) -> Result<(), LinkError> {
        let granted = match self.codec {
            Codec::Jute => {
                let ConnectResponse { session, password, .. } = ConnectResponse::decode(body)?;
                Claim { session, password }
            }
            Codec::Native => match Welcome::decode(body)? {
                Welcome::Accepted { session, password, .. } => Claim { session, password },
                Welcome::Refused(Refusal::SessionExpired) => return Err(LinkError::NoSession),
                Welcome::Refused(_) => return Err(LinkError::Closed),
            },
        };
        if granted.session == SessionId::NONE {
            return Err(LinkError::NoSession);
        }
        self.claim = granted;
        Ok(())
    }
}

/// The code of the first operation of a multi that failed: its header says 0 all the same.
fn refusal(reply: &OwnedReply) -> i32 {
    use ostler_core::types::Outcome;
    let OwnedReply::Outcome(Outcome::Multi(results)) = reply else { return 0 };
    let failed = results.iter().find_map(|result| match result {
        Outcome::Failed(code) => Some(code.code()),
        Outcome::Created { .. }
        | Outcome::Deleted
        | Outcome::DataSet(_)
        | Outcome::AclSet(_)
        | Outcome::Checked
        | Outcome::Multi(_)
        | Outcome::SessionCreated { .. }
        | Outcome::SessionClosed
        | Outcome::RolledBack => None,
    });
    failed.unwrap_or(0)
}
