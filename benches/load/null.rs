//! A server that does nothing: it answers every request at once, without a tree, a log or a clock.
//!
//! What the harness reaches against it is the harness's own limit, and every report may be held
//! against that. It speaks both protocols, opens every session, gives every watch one event at the
//! next write of anybody, and is one thread.

use super::LoadError;
use super::poller::{Poller, Ready};
use ostler_core::types::{
    CreateVariant, EventType, Op, Outcome, Read, Reply, Request, SessionId, Stat, WatchEvent, Xid,
    Zxid,
};
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};
use ostler_core::wire::native::{GREETING_BYTES, Hello, VERSION, Welcome, check_greeting};
use ostler_core::wire::{Codec, DecodeError};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bytes of data that every znode has.
const DATA: [u8; 100] = [b'n'; 100];
const SCRATCH_BYTES: usize = 256 << 10;
const LOOK_UP_EVERY: Duration = Duration::from_millis(50);
/// No request is longer than what clients of any server may send.
const FRAME_BYTES_MAX: usize = 16 << 20;
const LISTENER: usize = 0;
/// Where the number stands in a reply of Jute: behind the length.
const XID_OF_REPLY: Range<usize> = 4..8;

/// A null server on a thread of its own; it ends with this value.
pub struct NullServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl NullServer {
    /// Begins to serve.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn start(address: SocketAddr) -> Result<Self, LoadError> {
        let mut house = House::open(address)?;
        let address = house.address;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let thread = std::thread::spawn(move || {
            // Its socket is gone if it cannot wait for it, and with it the reason to be.
            while !asked.load(Ordering::Relaxed) && house.turn().is_ok() {}
        });
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for its end, which only a failure brings.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct House {
    listener: TcpListener,
    address: SocketAddr,
    poller: Poller,
    ready: Vec<Ready>,
    guests: BTreeMap<usize, Guest>,
    next_token: usize,
    scratch: Vec<u8>,
    zxid: u64,
    sessions: i64,
}

/// One connection.
struct Guest {
    socket: TcpStream,
    codec: Option<Codec>,
    greeted: bool,
    rest: Vec<u8>,
    unsent: Vec<u8>,
    wants_room: bool,
    watches: Vec<String>,
    leaves: bool,
    /// Where the answer to the last getData begins and ends in what is unsent.
    data_reply: Option<Range<usize>>,
}

/// What all guests share while one of them is served.
struct Counters<'h> {
    zxid: &'h mut u64,
    sessions: &'h mut i64,
    wrote: bool,
}

impl House {
    fn open(address: SocketAddr) -> Result<Self, LoadError> {
        let place = address.to_string();
        let open = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = open().map_err(|error| LoadError::Socket { place, error })?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER).map_err(LoadError::machine("listening"))?;
        Ok(Self {
            listener,
            address,
            poller,
            ready: Vec::new(),
            guests: BTreeMap::new(),
            next_token: LISTENER + 1,
            scratch: vec![0; SCRATCH_BYTES],
            zxid: 0,
            sessions: 0,
        })
    }

    fn turn(&mut self) -> std::io::Result<()> {
        self.poller.wait(LOOK_UP_EVERY, &mut self.ready)?;
        for ready in std::mem::take(&mut self.ready) {
            if ready.token == LISTENER {
                self.admit();
            } else if !self.serve(ready.token) {
                self.guests.remove(&ready.token);
            }
        }
        Ok(())
    }

    fn admit(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            let token = self.next_token;
            self.next_token += 1;
            let prepared = socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true));
            if prepared.and_then(|()| self.poller.add(&socket, token)).is_ok() {
                self.guests.insert(token, Guest::new(socket));
            }
        }
    }

    /// False when the guest is to go.
    fn serve(&mut self, token: usize) -> bool {
        let Some(guest) = self.guests.get_mut(&token) else { return true };
        let mut counters =
            Counters { zxid: &mut self.zxid, sessions: &mut self.sessions, wrote: false };
        let stays =
            guest.read(&mut self.scratch, &mut counters) && guest.flush(&self.poller, token);
        if counters.wrote {
            self.tell_watchers();
        }
        stays
    }

    fn tell_watchers(&mut self) {
        let zxid = Zxid(self.zxid);
        for (token, guest) in &mut self.guests {
            for path in std::mem::take(&mut guest.watches) {
                let event = EventType::DataChanged;
                let event = WatchEvent { zxid: Some(zxid), event, path: path.into() };
                guest.codec.unwrap_or(Codec::Jute).encode_event(&event, &mut guest.unsent);
            }
            // One that cannot be written to is found out when it is read from.
            guest.flush(&self.poller, *token);
        }
    }
}

impl Guest {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            codec: None,
            greeted: false,
            rest: Vec::new(),
            unsent: Vec::new(),
            wants_room: false,
            watches: Vec::new(),
            leaves: false,
            data_reply: None,
        }
    }

    /// Reads once and answers all of it; false when the guest is to go.
    fn read(&mut self, scratch: &mut Vec<u8>, counters: &mut Counters<'_>) -> bool {
        let carried = self.rest.len();
        if scratch.len() < carried + SCRATCH_BYTES / 2 {
            scratch.resize(carried * 2 + SCRATCH_BYTES, 0);
        }
        let length = match self.socket.read(&mut scratch[carried..]) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        scratch[..carried].copy_from_slice(&self.rest);
        self.rest.clear();
        let bytes = &scratch[..carried + length];
        match self.take_in(bytes, counters) {
            Ok(used) => {
                self.rest.extend_from_slice(&bytes[used..]);
                true
            }
            Err(_) => false,
        }
    }

    /// Answers all whole frames; how many bytes they had.
    fn take_in(&mut self, bytes: &[u8], counters: &mut Counters<'_>) -> Result<usize, DecodeError> {
        let mut left = bytes;
        let Some(codec) = self.codec.or_else(|| codec_of(left)) else { return Ok(0) };
        if self.codec.is_none() && codec == Codec::Native {
            let Some((greeting, rest)) = left.split_first_chunk::<GREETING_BYTES>() else {
                return Ok(0);
            };
            check_greeting(greeting)?;
            left = rest;
        }
        self.codec = Some(codec);
        let mut requests = Vec::new();
        while let Some((prefix, rest)) = left.split_first_chunk::<4>() {
            let length = codec.frame_length(*prefix)?;
            if length > FRAME_BYTES_MAX {
                return Err(DecodeError::Length);
            }
            let Some((body, rest)) = rest.split_at_checked(length) else { break };
            left = rest;
            if self.greeted {
                codec.decode_requests(body, &mut requests)?;
                for (xid, request, _) in requests.drain(..) {
                    self.answer(codec, xid, &request, counters);
                }
            } else {
                self.greet(codec, body, counters)?;
            }
        }
        Ok(bytes.len() - left.len())
    }

    fn greet(
        &mut self,
        codec: Codec,
        body: &[u8],
        counters: &mut Counters<'_>,
    ) -> Result<(), DecodeError> {
        *counters.sessions += 1;
        self.greeted = true;
        let (session, password) = (SessionId(*counters.sessions), [0; 16]);
        match codec {
            Codec::Jute => {
                let ConnectRequest { timeout_ms, read_only, .. } = ConnectRequest::decode(body)?;
                ConnectResponse { timeout_ms, session, password, read_only }
                    .encode(&mut self.unsent);
            }
            Codec::Native => {
                let timeout_ms = Hello::decode(body)?.timeout_ms;
                let (version, last_once) = (VERSION, Xid(0));
                Welcome::Accepted { version, session, timeout_ms, password, last_once }
                    .encode(&mut self.unsent);
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        codec: Codec,
        xid: Xid,
        request: &Request<'_>,
        counters: &mut Counters<'_>,
    ) {
        if let Request::Read(Read::Data { watch: false, .. }) = request
            && self.repeat_data_reply(codec, xid)
        {
            return;
        }
        let begin = self.unsent.len();
        let data_length = DATA.len() as i32;
        let stat = Stat { data_length, ..Stat::default() };
        let names = Vec::<String>::new();
        let outcome;
        let reply = match request {
            Request::Write(op) => {
                *counters.zxid += 1;
                counters.wrote = true;
                outcome = done(op, stat);
                Reply::Outcome(&outcome)
            }
            Request::Read(read) => {
                if let Read::Data { path, watch: true } | Read::Exists { path, watch: true } = read
                {
                    self.watches.push((*path).to_owned());
                }
                match read {
                    Read::Exists { .. } => Reply::Stat(stat),
                    Read::Data { .. } => Reply::Data(Some(&DATA), stat),
                    Read::Acl { .. } => Reply::Acl(&[], stat),
                    Read::Children { with_stat, .. } => {
                        Reply::Children(&names, with_stat.then_some(stat))
                    }
                    Read::Ephemerals { .. } => Reply::Paths(&[]),
                    Read::DescendantCount { .. } => Reply::Count(0),
                    Read::Multi(_) => Reply::Reads(Vec::new()),
                }
            }
            Request::Sync(path) => Reply::Path(path),
            Request::WhoAmI => Reply::Identities(&[]),
            Request::CloseSession => {
                self.leaves = true;
                Reply::Done
            }
            Request::Watch(_)
            | Request::Ping
            | Request::Auth { .. }
            | Request::Sasl(_)
            | Request::Reconfig
            | Request::Malformed
            | Request::Unknown => Reply::Done,
        };
        codec.encode_reply(xid, Zxid(*counters.zxid), &reply, &mut self.unsent);
        let is_data = matches!(reply, Reply::Data(..));
        self.data_reply = is_data.then_some(begin..self.unsent.len());
    }

    /// Answers a getData as the one before it was answered, under its own number: most that come
    /// follow another one. False if there is none before it.
    fn repeat_data_reply(&mut self, codec: Codec, xid: Xid) -> bool {
        let (Codec::Jute, Some(before)) = (codec, self.data_reply.clone()) else { return false };
        let begin = self.unsent.len();
        self.unsent.extend_from_within(before);
        self.unsent[begin..][XID_OF_REPLY].copy_from_slice(&xid.0.to_be_bytes());
        true
    }

    /// Sends what the socket takes; false when the guest is to go.
    fn flush(&mut self, poller: &Poller, token: usize) -> bool {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.socket.write(&self.unsent[sent..]) {
                Ok(length) if length > 0 => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Ok(_) | Err(_) => return false,
            }
        }
        self.unsent.drain(..sent);
        self.data_reply = None;
        let wanted = !self.unsent.is_empty();
        if wanted != self.wants_room {
            self.wants_room = wanted;
            return poller.want_room(&self.socket, token, wanted).is_ok();
        }
        wanted || !self.leaves
    }
}

/// Which protocol these bytes begin; nothing as long as it cannot be told.
fn codec_of(bytes: &[u8]) -> Option<Codec> {
    // A Jute frame begins with the high byte of its length, which is 0.
    bytes.first().map(|first| if *first == 0 { Codec::Jute } else { Codec::Native })
}

fn done(op: &Op<'_>, stat: Stat) -> Outcome {
    match op {
        Op::Create(create) => Outcome::Created {
            path: create.path.to_owned(),
            stat: (create.variant != CreateVariant::Plain).then_some(stat),
        },
        Op::Delete { .. } | Op::Reap { .. } => Outcome::Deleted,
        Op::SetData { .. } | Op::Configure { .. } => Outcome::DataSet(stat),
        Op::SetAcl { .. } => Outcome::AclSet(stat),
        Op::Check { .. } => Outcome::Checked,
        Op::Multi(ops) => Outcome::Multi(ops.iter().map(|op| done(op, stat)).collect()),
        Op::CreateSession { .. } | Op::CloseSession { .. } | Op::Fail(_) => Outcome::SessionClosed,
    }
}
