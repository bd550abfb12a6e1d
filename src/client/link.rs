//! The task that keeps a client attached to one server at a time: connects, hands over the
//! session, writes what was asked, reads what comes, pings, and goes on to the next server.
//!
//! It knows the bytes of a connection's start and nothing of single operations.

use super::address::Rotation;
use super::chance::Chance;
use super::event::SessionState;
use super::handshake::{Opening, Verdict};
use super::shared::Shared;
use ostler_core::types::{Request, Xid};
use ostler_core::wire::Codec;
use ostler_core::wire::native::HelloOptions;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

/// Largest frame taken from a server, in bytes. Servers set no limit on what they send.
const FRAME_BYTES_MAX: usize = 64 << 20;
const READ_BYTES: usize = 16 << 10;
const LENGTH_BYTES: usize = 4;

/// What a link needs to know.
#[derive(Debug)]
pub(crate) struct Link {
    /// What it shares with the handles.
    pub(crate) shared: Arc<Shared>,
    /// Which server is next.
    pub(crate) rotation: Rotation,
    /// Jitter.
    pub(crate) chance: Chance,
    /// The protocol.
    pub(crate) codec: Codec,
    /// Timeout asked for, in milliseconds.
    pub(crate) timeout_ms: i32,
    /// Whether a server that serves reads only will do.
    pub(crate) read_only: bool,
    /// What else may be chosen in the native protocol.
    pub(crate) options: HelloOptions,
}

/// A socket and what was read from it and not used yet.
struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Link {
    /// Runs until the session is over or nobody holds the client any more.
    pub(crate) async fn run(mut self) {
        let mut failures: usize = 0;
        let mut lost_at = Instant::now();
        loop {
            let (server, delay) = self.rotation.advance(&mut self.chance);
            if self.rest(delay).await {
                self.shared.lock().finish(SessionState::Closed);
                return;
            }
            match timeout(self.connect_timeout(), self.attach(&server)).await {
                Ok(Ok(Some(wire))) => {
                    failures = 0;
                    self.rotation.succeeded();
                    self.converse(wire).await;
                    self.shared.lock().detached();
                    lost_at = Instant::now();
                }
                Ok(Ok(None)) => self.shared.lock().finish(SessionState::Expired),
                Ok(Err(_)) | Err(_) => failures += 1,
            }
            // Requests wait for one round over all servers, then they learn that it was in vain;
            // those that may be sent again wait as long as the session lives without a server.
            if failures > 0 && failures.is_multiple_of(self.rotation.count()) {
                self.shared.lock().unreachable(lost_at.elapsed());
            }
            if self.shared.lock().session.is_final() {
                return;
            }
        }
    }

    /// Waits; whether the client is leaving.
    async fn rest(&self, delay: Duration) -> bool {
        let until = Instant::now() + delay;
        loop {
            if self.shared.lock().leaving {
                return true;
            }
            tokio::select! {
                () = sleep_until(until) => return self.shared.lock().leaving,
                () = self.shared.bell.notified() => {}
            }
        }
    }

    fn connect_timeout(&self) -> Duration {
        let timeout_ms = self.timeout_ms.max(1).unsigned_abs();
        Duration::from_millis(u64::from(timeout_ms)) / self.rotation.count() as u32
    }

    /// Connects and hands the session over; `None` if the server says that it has ended.
    async fn attach(&self, server: &str) -> io::Result<Option<Wire>> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let mut wire = Wire { stream, inbox: Vec::new() };
        wire.stream.write_all(&self.opening().encode(self.codec)).await?;
        let body = wire.frame(self.codec).await?;
        match Verdict::decode(self.codec, &body).map_err(io::Error::other)? {
            Verdict::Expired => Ok(None),
            Verdict::TryAnother => Err(io::ErrorKind::ConnectionRefused.into()),
            Verdict::Attached { ticket, timeout_ms, state: session, last_once } => {
                let mut state = self.shared.lock();
                state.ticket = ticket;
                state.timeout_ms = timeout_ms;
                state.server = Some(server.to_owned());
                state.attached(session, last_once);
                Ok(Some(wire))
            }
        }
    }

    fn opening(&self) -> Opening {
        let state = self.shared.lock();
        Opening {
            last_zxid: state.last_zxid,
            timeout_ms: self.timeout_ms,
            ticket: state.ticket,
            read_only: self.read_only,
            options: self.options,
        }
    }

    /// Speaks with the server until one side leaves.
    async fn converse(&self, wire: Wire) {
        let Wire { stream, mut inbox } = wire;
        let (mut reader, mut writer) = stream.into_split();
        let third = Duration::from_millis(self.shared.lock().timeout_ms.max(3) as u64) / 3;
        let mut unsent: Vec<u8> = Vec::new();
        let mut written = 0;
        let (mut sent_at, mut heard_at) = (Instant::now(), Instant::now());
        loop {
            if written == unsent.len() {
                unsent.clear();
                written = 0;
                if !self.take_outgoing(&mut unsent) {
                    return;
                }
            }
            inbox.reserve(READ_BYTES);
            let wake_at = (sent_at + third).min(heard_at + third * 2);
            tokio::select! {
                read = reader.read_buf(&mut inbox) => {
                    if !matches!(read, Ok(count) if count > 0) || !self.take_frames(&mut inbox) {
                        return;
                    }
                    heard_at = Instant::now();
                }
                wrote = writer.write(&unsent[written..]), if written < unsent.len() => {
                    let Ok(count) = wrote else { return };
                    written += count;
                    sent_at = Instant::now();
                }
                () = self.shared.bell.notified(), if written == unsent.len() => {}
                () = sleep_until(wake_at) => {
                    if heard_at.elapsed() >= third * 2 {
                        return;
                    }
                    self.codec.encode_request(Xid::PING, &Request::Ping, &mut unsent);
                    sent_at = Instant::now();
                }
            }
        }
    }

    /// Moves what was asked into `unsent`; `false` if it is time to leave.
    fn take_outgoing(&self, unsent: &mut Vec<u8>) -> bool {
        let mut state = self.shared.lock();
        if state.leaving && state.is_idle() {
            return false;
        }
        state.take_outgoing(unsent);
        true
    }

    /// Uses up all whole frames; `false` if the server does not keep to the protocol.
    fn take_frames(&self, inbox: &mut Vec<u8>) -> bool {
        let mut used = 0;
        let mut fine = true;
        let mut state = self.shared.lock();
        loop {
            let body = match next_frame(self.codec, &inbox[used..]) {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(_) => {
                    fine = false;
                    break;
                }
            };
            used += LENGTH_BYTES + body.len();
            fine = take_body(self.codec, &mut state, body);
            if !fine {
                break;
            }
        }
        inbox.drain(..used);
        fine
    }
}

impl Wire {
    /// Reads one frame's body.
    async fn frame(&mut self, codec: Codec) -> io::Result<Vec<u8>> {
        loop {
            if let Some(body) = next_frame(codec, &self.inbox)? {
                let body = body.to_vec();
                self.inbox.drain(..LENGTH_BYTES + body.len());
                return Ok(body);
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The first frame's body, if it is there in full.
fn next_frame(codec: Codec, bytes: &[u8]) -> io::Result<Option<&[u8]>> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = codec.frame_length(*length).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(rest.get(..length))
}

fn take_body(codec: Codec, state: &mut super::shared::State, body: &[u8]) -> bool {
    let Ok((header, record)) = codec.decode_reply_header(body) else { return false };
    match header.xid {
        Xid::PING | Xid::SET_WATCHES => true,
        Xid::AUTH => {
            let accepted = state.auth_answered(header);
            if !accepted {
                state.finish(SessionState::AuthFailed);
            }
            accepted
        }
        Xid::EVENT => match codec.decode_event(header, record) {
            Ok(event) => {
                state.watches.fire(&event);
                true
            }
            Err(_) => false,
        },
        Xid(_) => state.answered(header, record),
    }
}

/// Waits until the session has one of the wanted states, or is over.
pub(crate) async fn await_state(
    shared: &Shared,
    wanted: impl Fn(SessionState) -> bool,
    patience: Duration,
) -> SessionState {
    let mut states = {
        let mut state = shared.lock();
        if wanted(state.session) || state.session.is_final() {
            return state.session;
        }
        state.listen()
    };
    let reached = async {
        while let Some(session) = states.recv().await {
            if wanted(session) || session.is_final() {
                return session;
            }
        }
        shared.lock().session
    };
    timeout(patience, reached).await.unwrap_or_else(|_late| shared.lock().session)
}
