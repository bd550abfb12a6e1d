//! What the handles of a client and its link have in common, behind one lock that is never held
//! across an await: requests on their way, watches, proofs of identity, the session.
//!
//! Requests are encoded straight into the buffer that the link writes, in the order in which
//! they were asked; answers come back in that order. No sockets in here.

use super::ClientError;
use super::event::{SessionState, WatchedEvent};
use super::queue::{Pending, Queue};
use super::watches::{Table, Watches};
use ostler_core::types::{ErrorCode, RemoveKind, Request, SessionId, Xid};
use ostler_core::wire::{Codec, OwnedReply, ReplyHeader, ReplyKind};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};

/// An answer, when it comes.
pub(crate) type Answer = oneshot::Receiver<Result<OwnedReply, ClientError>>;

/// What an answer does to the client's watches.
#[derive(Debug)]
pub(crate) enum WatchEffect {
    /// Nothing.
    None,
    /// Success sets a watch; for `exists`, so does the absence of the znode.
    Register { table: Table, path: String, stream: UnboundedSender<WatchedEvent> },
    /// Success ends watches.
    Forget { path: String, kind: RemoveKind },
}

/// A session, as another process would need it to take it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTicket {
    /// Its id; [`SessionId::NONE`] before the first connection.
    pub session: SessionId,
    /// Its password.
    pub password: [u8; 16],
}

/// The lock, and the bell that wakes the link.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) bell: Notify,
}

/// Behind the lock. Invariant: `pending` holds, in order, every request that was encoded and not
/// answered. Those of them that are not written yet are the bytes in `outgoing`, or `pending` has
/// them, if requests are sent again.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: SessionState,
    pub(crate) ticket: SessionTicket,
    pub(crate) timeout_ms: i32,
    pub(crate) last_zxid: i64,
    /// Which server took the session up last, as `host:port`.
    pub(crate) server: Option<String>,
    pub(crate) watches: Watches,
    pub(crate) outgoing: Vec<u8>,
    /// Whether the session is to end, or nobody holds the client any more.
    pub(crate) leaving: bool,
    codec: Codec,
    /// Whether requests are sent again on the next connection.
    once: bool,
    pending: Queue,
    auths: Vec<Auth>,
    auths_sent: VecDeque<usize>,
    listeners: Vec<UnboundedSender<SessionState>>,
}

#[derive(Debug)]
struct Auth {
    scheme: String,
    proof: Vec<u8>,
    answer: Option<oneshot::Sender<Result<(), ClientError>>>,
}

impl Shared {
    /// A client that has not connected yet.
    pub(crate) fn new(
        codec: Codec,
        once: bool,
        chroot: String,
        ticket: SessionTicket,
        timeout_ms: i32,
    ) -> Self {
        let state = State {
            session: SessionState::Disconnected,
            ticket,
            timeout_ms,
            last_zxid: 0,
            server: None,
            watches: Watches::new(chroot),
            outgoing: Vec::new(),
            leaving: false,
            codec,
            once,
            pending: Queue::default(),
            auths: Vec::new(),
            auths_sent: VecDeque::new(),
            listeners: Vec::new(),
        };
        Self { state: Mutex::new(state), bell: Notify::new() }
    }

    /// Everything, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under the client's lock")
    }

    /// How requests are written.
    pub(crate) fn codec(&self) -> Codec {
        self.lock().codec
    }

    /// Puts a request on its way.
    pub(crate) fn submit(&self, request: &Request<'_>, effect: WatchEffect) -> Answer {
        let answer = self.lock().submit(request, effect);
        self.bell.notify_one();
        answer
    }

    /// The same for a request that its caller encodes, as a whole frame with the given number.
    pub(crate) fn submit_encoded(
        &self,
        kind: ReplyKind,
        encode: &dyn Fn(Xid, &mut Vec<u8>),
    ) -> Answer {
        let answer = self.lock().enqueue(kind, WatchEffect::None, true, encode);
        self.bell.notify_one();
        answer
    }
}

impl State {
    fn submit(&mut self, request: &Request<'_>, effect: WatchEffect) -> Answer {
        let codec = self.codec;
        let writes =
            matches!(request, Request::Write(_) | Request::Reconfig | Request::CloseSession);
        self.enqueue(ReplyKind::of(request), effect, writes, &|xid, out| {
            codec.encode_request(xid, request, out);
        })
    }

    fn enqueue(
        &mut self,
        kind: ReplyKind,
        effect: WatchEffect,
        writes: bool,
        encode: &dyn Fn(Xid, &mut Vec<u8>),
    ) -> Answer {
        let (answer, receiver) = oneshot::channel();
        if self.session.is_final() || self.leaving {
            let ended = if self.leaving { SessionState::Closed } else { self.session };
            drop(answer.send(Err(ended.error())));
            return receiver;
        }
        let mut frame = Vec::new();
        let xid = if self.once {
            encode(Xid(0), &mut frame);
            None
        } else {
            let xid = self.pending.number();
            encode(xid, &mut self.outgoing);
            Some(xid)
        };
        self.pending.push(Pending { kind, effect, answer, writes, xid, frame });
        receiver
    }

    /// Asks for the end of the session, if there is a server to ask.
    pub(crate) fn submit_close(&mut self) {
        if self.session.is_connected() && !self.leaving {
            // The answer is awaited through the session's state, not here.
            drop(self.submit(&Request::CloseSession, WatchEffect::None));
        }
        self.leaving = true;
    }

    /// Proves an identity now, and again on every connection to come.
    pub(crate) fn authenticate(
        &mut self,
        scheme: &str,
        proof: &[u8],
    ) -> oneshot::Receiver<Result<(), ClientError>> {
        let (answer, receiver) = oneshot::channel();
        if self.session.is_final() {
            drop(answer.send(Err(self.session.error())));
            return receiver;
        }
        let answer = Some(answer);
        self.auths.push(Auth { scheme: scheme.to_owned(), proof: proof.to_vec(), answer });
        if self.session.is_connected() {
            let mut outgoing = std::mem::take(&mut self.outgoing);
            self.send_auth(self.auths.len() - 1, &mut outgoing);
            self.outgoing = outgoing;
        }
        receiver
    }

    /// States of the session from now on.
    pub(crate) fn listen(&mut self) -> UnboundedReceiver<SessionState> {
        let (listener, states) = unbounded_channel();
        if !self.session.is_final() {
            self.listeners.push(listener);
        }
        states
    }

    /// A server has taken the session up: identities and watches first, then what waited.
    pub(crate) fn attached(&mut self, session: SessionState, last_once: Xid) {
        self.pending.attached(last_once);
        let waiting = std::mem::take(&mut self.outgoing);
        let mut first = Vec::new();
        for index in 0..self.auths.len() {
            self.send_auth(index, &mut first);
        }
        let codec = self.codec;
        self.watches.set_again(self.last_zxid, &mut |request| {
            codec.encode_request(Xid::SET_WATCHES, request, &mut first);
        });
        first.extend_from_slice(&waiting);
        self.outgoing = first;
        self.watches.resumed();
        self.enter(session);
    }

    /// What is to be written next, into an empty buffer.
    pub(crate) fn take_outgoing(&mut self, unsent: &mut Vec<u8>) {
        std::mem::swap(unsent, &mut self.outgoing);
        if self.once {
            self.pending.send(unsent);
        }
    }

    /// No server has been reached for so long: requests learn that it was in vain, unless they are
    /// to be sent again and the session may still be alive.
    pub(crate) fn unreachable(&mut self, since: Duration) {
        let timeout = Duration::from_millis(self.timeout_ms.max(0).unsigned_abs().into());
        if !self.once || self.ticket.session == SessionId::NONE || since >= timeout {
            self.fail_pending(&ClientError::ConnectionLoss);
        }
    }

    /// The connection is gone: nothing that was asked on it will be answered there.
    pub(crate) fn detached(&mut self) {
        self.auths_sent.clear();
        if self.once && !self.leaving {
            self.outgoing.clear();
            for lost in self.pending.detached() {
                drop(lost.answer.send(Err(ClientError::ConnectionLoss)));
            }
        } else {
            self.fail_pending(&ClientError::ConnectionLoss);
        }
        // A connection that ends because the client leaves is not a loss.
        if self.session.is_connected() && !self.leaving {
            self.enter(SessionState::Disconnected);
        }
    }

    /// Refuses every request that waits for an answer.
    pub(crate) fn fail_pending(&mut self, error: &ClientError) {
        self.outgoing.clear();
        for pending in self.pending.take_all() {
            drop(pending.answer.send(Err(error.clone())));
        }
    }

    /// The session is over for good.
    pub(crate) fn finish(&mut self, session: SessionState) {
        self.enter(session);
        self.fail_pending(&session.error());
        for auth in self.auths.drain(..) {
            if let Some(answer) = auth.answer {
                drop(answer.send(Err(session.error())));
            }
        }
        self.watches.clear();
        self.listeners.clear();
    }

    /// Takes one answer; `false` if it is not the one that had to come.
    pub(crate) fn answered(&mut self, header: ReplyHeader, record: &[u8]) -> bool {
        if header.zxid.to_wire() > 0 {
            self.last_zxid = self.last_zxid.max(header.zxid.to_wire());
        }
        let Some(pending) = self.pending.take(header.xid) else { return false };
        let Ok(reply) = self.codec.decode_reply(pending.kind, header, record) else {
            drop(pending.answer.send(Err(ClientError::UnexpectedAnswer)));
            return false;
        };
        self.apply_effect(pending.effect, pending.kind, &reply);
        let result = match reply {
            OwnedReply::Error(code) => Err(ClientError::from_code(code)),
            reply => Ok(reply),
        };
        // The asker may have stopped waiting.
        drop(pending.answer.send(result));
        true
    }

    /// Takes the answer to a proof of identity; `false` if it was refused.
    pub(crate) fn auth_answered(&mut self, header: ReplyHeader) -> bool {
        let index = self.auths_sent.pop_front();
        let auth = index.and_then(|index| self.auths.get_mut(index));
        if header.error != 0 {
            return false;
        }
        if let Some(answer) = auth.and_then(|auth| auth.answer.take()) {
            drop(answer.send(Ok(())));
        }
        true
    }

    /// Whether every request is answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    fn send_auth(&mut self, index: usize, out: &mut Vec<u8>) {
        let auth = &self.auths[index];
        let request = Request::Auth { scheme: &auth.scheme, auth: &auth.proof };
        self.codec.encode_request(Xid::AUTH, &request, out);
        self.auths_sent.push_back(index);
    }

    fn apply_effect(&mut self, effect: WatchEffect, kind: ReplyKind, reply: &OwnedReply) {
        match (effect, reply) {
            (WatchEffect::None, _) => {}
            (WatchEffect::Register { path, stream, .. }, OwnedReply::Error(code)) => {
                if kind == ReplyKind::Stat && *code == ErrorCode::NoNode {
                    self.watches.register(Table::Exist, path, stream);
                }
            }
            (WatchEffect::Register { table, path, stream }, _) => {
                self.watches.register(table, path, stream);
            }
            (WatchEffect::Forget { .. }, OwnedReply::Error(_)) => {}
            (WatchEffect::Forget { path, kind }, _) => {
                self.watches.forget(&path, kind);
            }
        }
    }

    fn enter(&mut self, session: SessionState) {
        self.session = session;
        self.listeners.retain(|listener| listener.send(session).is_ok());
    }
}
