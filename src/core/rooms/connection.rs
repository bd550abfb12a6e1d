//! One socket's side of the conversation: handshake, order of replies, what is answered in place
//! and what travels.
//!
//! The lane is simple: while nothing of this connection is under way, reads are answered in place.
//! Otherwise everything travels the one FIFO through pipeline, tree store and fan-out, whose order
//! is the order of the socket. So a write is never held back by a read before it, and no reply
//! overtakes another. Auth packets stand outside that order, as in ZooKeeper. Linearizable reads
//! are answered in place too, but only once a confirmation has come for them: see [`kept`].
//!
//! A connection that watches has one condition more, so that events come before data: the state
//! it would be shown must not be newer than the events it has been handed. See
//! [`Connection::handed`].
//!
//! Which protocol a client speaks is settled in `opening`; from there on it is a codec and makes
//! no difference. No socket is touched here; the room reads and writes it.

mod bodies;
mod flight;
mod frames;
mod kept;
mod opening;
#[cfg(test)]
mod tests;

use super::answer::Reader;
use super::pipeline::{Item, ItemBody, Sender, Submission};
use super::tree_store::View;
use crate::auth::{AuthRules, prove, super_id};
use crate::tree::{PREFETCH_MAX, Tree};
use crate::types::limits::CONNECTION_OUTPUT_BYTES_MAX;
use crate::types::{
    Asked, AuthId, ConnectionId, ErrorCode, Once, Op, Reply, Request, SessionId, Xid, Zxid,
};
use crate::wire::{Codec, Decoded, FourLetterWord, txn};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bodies::Bodies;
use bytes::Bytes;
use flight::Flight;
use frames::Frames;
use kept::Kept;

/// What every connection of a server has to know.
#[derive(Clone, Debug)]
pub struct Door {
    /// Largest request frame, in bytes.
    pub frame_bytes_max: usize,
    /// Shortest session timeout granted, in milliseconds.
    pub min_session_timeout_ms: i32,
    /// Longest session timeout granted, in milliseconds.
    pub max_session_timeout_ms: i32,
    /// Which proofs of identity are accepted.
    pub auth: AuthRules,
    /// Whether this server has no others beside it. What its clients have been told is then in
    /// its tree, and a tree that a session was opened from has what was told before.
    pub alone: bool,
}

/// What a step of a connection wants done, in this order: send `bytes`, submit, then the rest.
#[derive(Default)]
pub struct Output {
    /// To the socket.
    pub bytes: Vec<u8>,
    /// To the pipeline, in order.
    pub submissions: Vec<Submission>,
    /// To the pipeline: who wants to be vouched for. Never together with submissions, and before
    /// all later ones; it may be told together with other connections.
    pub unvouched: Option<Arc<Sender>>,
    /// A four-letter word to answer, with what follows it; then the socket is closed.
    pub word: Option<FourLetterWord>,
    /// Requests that were answered in place, other than proofs of identity.
    pub answered: u32,
    /// The last of them.
    pub last_answered: Option<Asked>,
    /// Requests that will travel, in the order in which they will be answered.
    pub asked: Vec<Asked>,
    /// Requests taken in, a connect request among them.
    pub received: u32,
    /// A connect request is for a session that is there already, or so its client believes.
    pub revalidates: bool,
    /// Proofs of identity that were refused.
    pub auth_failed: u32,
    /// Whole requests were left over, because the client fetches its replies too slowly or has
    /// too much under way: offer them again when there is less to send and
    /// [`Connection::has_room`].
    pub stalled: bool,
    /// Close the socket once the bytes are out.
    pub close: bool,
}

enum Phase {
    Fresh,
    /// A claim is under way.
    Greeting {
        /// Whether the answer carries the read-only flag, and its value.
        read_only: Option<bool>,
        /// The session claimed.
        session: SessionId,
        /// The timeout granted, in milliseconds.
        timeout_ms: i32,
    },
    Open,
    /// Nothing is read any more; the socket closes when the last reply is out.
    Closing,
}

/// See the module.
pub struct Connection {
    door: Arc<Door>,
    phase: Phase,
    sender: Arc<Sender>,
    fresh_password: [u8; 16],
    flight: Flight,
    kept: Kept,
    /// Requests of the first frame offered that are dealt with already, the frame being longer
    /// than the output had room for.
    ahead: usize,
    /// The client wants linearizable reads, which the state here alone cannot give.
    confirms_reads: bool,
    /// The client may send a write again; and it has heard all answers up to this number.
    once: Option<Xid>,
    watching: bool,
    handed: Zxid,
    /// Negotiated timeout in milliseconds, 0 before the handshake is over.
    pub timeout_ms: i32,
}

impl Connection {
    /// A connection just accepted, from a peer known by `ip`. Should it open a session,
    /// `fresh_password` becomes that session's proof of ownership: it must be random.
    pub fn new(door: Arc<Door>, id: ConnectionId, ip: AuthId, fresh_password: [u8; 16]) -> Self {
        let sender = Sender {
            connection: id,
            session: SessionId::NONE,
            codec: Codec::Jute,
            ids: Arc::from([ip]),
        };
        Self {
            door,
            phase: Phase::Fresh,
            sender: Arc::new(sender),
            fresh_password,
            flight: Flight::default(),
            kept: Kept::default(),
            ahead: 0,
            confirms_reads: false,
            once: None,
            watching: false,
            handed: Zxid::ZERO,
            timeout_ms: 0,
        }
    }

    /// The session it speaks for, `NONE` before the handshake is over.
    pub fn session(&self) -> SessionId {
        self.sender.session
    }

    /// Which protocol it speaks.
    pub fn codec(&self) -> Codec {
        self.sender.codec
    }

    /// Requests that travel.
    pub fn in_flight(&self) -> usize {
        self.flight.count()
    }

    /// Whether so much travels or is kept, by count or by bytes, that the socket is not to be read.
    pub fn is_full(&self) -> bool {
        self.flight.is_full() || self.kept.is_full()
    }

    /// Whether enough has come back for requests that were left over to be taken in.
    pub fn has_room(&self) -> bool {
        self.flight.has_room()
    }

    /// Whether it has asked for a watch. Only then [`Self::handed`] matters.
    pub fn is_watching(&self) -> bool {
        self.watching
    }

    /// Every event of this connection with a zxid up to `upto` stands in the output before
    /// whatever it says from here on.
    ///
    /// The room learns `upto` from the fan-out, then takes in what has been posted, then tells;
    /// in this order, because an event is posted before its zxid counts as delivered. So a state
    /// at or before `upto` may be shown in place: its events have been written before it. Nor
    /// can an event of a later change have slipped in before that state: it would have been
    /// posted after the tree had moved past `upto`, and then no state is shown in place.
    pub fn handed(&mut self, upto: Zxid) {
        self.handed = upto;
    }

    /// Whether the handshake is still to be made.
    pub fn is_fresh(&self) -> bool {
        matches!(self.phase, Phase::Fresh)
    }

    /// Takes in what the socket gave; returns how many bytes are done with. The rest is to be
    /// offered again with what comes next, or after [`Self::attached`].
    pub fn receive<V: View>(&mut self, input: &[u8], view: &V, out: &mut Output) -> usize {
        match self.phase {
            Phase::Fresh => self.shake_hands(input, view, out),
            Phase::Greeting { .. } => 0,
            Phase::Open => self.requests(input, view, out),
            Phase::Closing => input.len(),
        }
    }

    /// So many of the requests that travel have been answered.
    pub fn answered(&mut self, requests: usize, out: &mut Output) {
        self.flight.land(requests);
        if requests > 0 {
            self.kept.landed();
        }
        out.close |= self.in_flight() == 0 && matches!(self.phase, Phase::Closing);
    }

    /// The session was taken over or has ended. A connection that asked for the end itself still
    /// gets its reply.
    pub fn kicked(&mut self, out: &mut Output) {
        if !matches!(self.phase, Phase::Closing) {
            self.phase = Phase::Closing;
            out.close = true;
        }
    }

    fn requests<V: View>(&mut self, input: &[u8], view: &V, out: &mut Output) -> usize {
        if self.kept.is_waiting() && self.keeps_more(input) {
            return 0;
        }
        let mut mended = Vec::new();
        let codec = self.sender.codec;
        let mut frames = Frames::cut(codec, input, self.door.frame_bytes_max, &mut mended);
        frames.take_in(codec, &mended);
        self.once = self.once.map(|heard| frames.heard.unwrap_or(heard));
        let served = self.ahead + self.serve(&frames.requests[self.ahead..], view, out);
        if !matches!(self.phase, Phase::Closing) {
            let end = frames.end_within(served);
            self.ahead = served - end.requests;
            let left_over = served < frames.requests.len();
            out.stalled |= left_over && !self.kept.is_waiting();
            self.kept.stay(frames.end_within(usize::MAX).bytes - end.bytes);
            if left_over || !frames.broken {
                return end.bytes;
            }
            self.phase = Phase::Closing;
            out.close = self.in_flight() == 0;
        }
        input.len()
    }

    /// Deals with as many requests as there is room for, in the output and under way: one client's
    /// requests must not stand in thousands before another's. Returns how many.
    fn serve<V: View>(&mut self, decoded: &[Decoded<'_>], view: &V, out: &mut Output) -> usize {
        let mut rest = decoded;
        let mut items = Vec::new();
        let mut bodies = Bodies::default();
        while let Some((first, others)) = rest.split_first() {
            if matches!(self.phase, Phase::Closing)
                || out.bytes.len() >= CONNECTION_OUTPUT_BYTES_MAX
                || self.flight.is_full()
            {
                break;
            }
            if self.in_flight() == 0 {
                let run = self.run_of_local(rest);
                if run > 0
                    && let Some(answered) = self.answer_here(&rest[..run], view, out)
                {
                    self.kept.dealt_with(answered);
                    rest = &rest[answered..];
                    continue;
                }
            }
            if self.keeps(rest, out) {
                break;
            }
            bodies.expect(rest);
            self.admit(first, &mut items, &mut bodies, out);
            self.kept.dealt_with(1);
            rest = others;
        }
        self.submit(items, out);
        let served = decoded.len() - rest.len();
        out.received += served as u32;
        served
    }

    /// Answers a run of requests under one read lock, so that they all see one state. Returns
    /// how many there was room for, or `None` if that state is newer than the events handed over,
    /// or hidden.
    fn answer_here<V: View>(
        &mut self,
        run: &[Decoded<'_>],
        view: &V,
        out: &mut Output,
    ) -> Option<usize> {
        let sender = self.sender.clone();
        let reader = Reader { codec: sender.codec, session: sender.session, ids: &sender.ids };
        let answered = view.look(|tree| {
            if self.watching && tree.last_applied() > self.handed {
                return None;
            }
            let mut answered = 0;
            for together in run.chunks(PREFETCH_MAX) {
                if together.len() > 1 {
                    tree.prefetch(
                        together.iter().filter_map(|(_, request, _)| path_read_by(request)),
                    );
                }
                let done = self.answer_each(&reader, tree, together, out);
                answered += done;
                if done < together.len() || matches!(self.phase, Phase::Closing) {
                    break;
                }
            }
            Some(answered)
        });
        answered.flatten()
    }

    /// Answers until there is no more room, or nothing more to be said.
    fn answer_each(
        &mut self,
        reader: &Reader<'_>,
        tree: &Tree,
        run: &[Decoded<'_>],
        out: &mut Output,
    ) -> usize {
        for (done, (xid, request, _)) in run.iter().enumerate() {
            if matches!(self.phase, Phase::Closing)
                || out.bytes.len() >= CONNECTION_OUTPUT_BYTES_MAX
            {
                return done;
            }
            if let Request::Read(read) = request {
                reader.read(tree, *xid, read, &mut out.bytes);
            } else {
                reader.other(tree.last_applied(), *xid, request, &mut out.bytes);
            }
            out.answered += 1;
            out.last_answered = Some(Asked::of(*xid, request));
            if matches!(request, Request::Unknown) {
                self.phase = Phase::Closing;
                out.close = true;
            }
        }
        run.len()
    }

    /// Takes in a request that is not answered in place.
    fn admit(
        &mut self,
        (xid, request, body): &Decoded<'_>,
        items: &mut Vec<Item>,
        bodies: &mut Bodies,
        out: &mut Output,
    ) {
        let asked = Asked::of(*xid, request);
        let body = match request {
            Request::Auth { scheme, auth } => {
                self.submit(core::mem::take(items), out);
                self.authenticate(*xid, scheme, auth, out);
                if self.watching && matches!(self.phase, Phase::Open) {
                    // Answered already; it travels to tell the fan-out by which identities the
                    // events of this connection are judged from here on.
                    out.asked.push(asked);
                    let body = ItemBody::Travel(bodies.copy(body));
                    self.depart(Item { xid: *xid, body }, items);
                }
                return;
            }
            Request::Write(op) => ItemBody::Write(self.write(*xid, op, bodies)),
            Request::CloseSession => {
                self.phase = Phase::Closing;
                let session = self.sender.session;
                ItemBody::Write(self.payload(*xid, &Op::CloseSession { session }, bodies))
            }
            Request::Unknown => {
                self.phase = Phase::Closing;
                ItemBody::Travel(bodies.copy(body))
            }
            Request::Read(read) => {
                self.watching |= read.sets_watch();
                if self.confirms_reads && self.kept.vouched == 0 && !vouches(items) {
                    ItemBody::Confirm(bodies.copy(body))
                } else {
                    ItemBody::Travel(bodies.copy(body))
                }
            }
            Request::Watch(_) => {
                self.watching = true;
                ItemBody::Travel(bodies.copy(body))
            }
            // A write like any other, and refused like one: with a zxid.
            Request::Reconfig => {
                let op = Op::Fail(ErrorCode::ReconfigDisabled);
                ItemBody::Write(self.write(*xid, &op, bodies))
            }
            Request::Sync(_) => ItemBody::Confirm(bodies.copy(body)),
            // A ping too: its reply shows a zxid, and from the last zxid it has seen a client
            // reckons which events it missed.
            Request::Ping | Request::WhoAmI | Request::Sasl(_) | Request::Malformed => {
                ItemBody::Travel(bodies.copy(body))
            }
        };
        out.asked.push(asked);
        self.depart(Item { xid: *xid, body }, items);
    }

    fn depart(&mut self, item: Item, items: &mut Vec<Item>) {
        self.flight.depart(item.body.bytes());
        items.push(item);
    }

    fn authenticate(&mut self, xid: Xid, scheme: &str, auth: &[u8], out: &mut Output) {
        let reply = match prove(&self.door.auth, scheme, auth) {
            Some(proof) => {
                let mut ids = self.sender.ids.to_vec();
                let proven = proof.is_super.then(super_id).into_iter().chain(proof.id);
                for id in proven {
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                self.sender = Arc::new(Sender { ids: ids.into(), ..(*self.sender).clone() });
                Reply::Done
            }
            None => {
                self.phase = Phase::Closing;
                out.close = true;
                out.auth_failed += 1;
                Reply::Error(ErrorCode::AuthFailed)
            }
        };
        self.sender.codec.encode_reply(xid, Zxid::ZERO, &reply, &mut out.bytes);
    }

    /// How many requests from the first on may be answered in place.
    fn run_of_local(&self, requests: &[Decoded<'_>]) -> usize {
        let vouched = if self.confirms_reads { self.kept.vouched } else { usize::MAX };
        let numbered = requests.iter().enumerate();
        numbered.take_while(|(at, (_, request, _))| is_local(request, *at < vouched)).count()
    }

    /// The payload of a client's write.
    fn write(&self, xid: Xid, op: &Op<'_>, bodies: &mut Bodies) -> Bytes {
        let Some(heard) = self.once else { return self.payload(xid, op, bodies) };
        let once = Once { xid, heard };
        let Sender { session, ids, .. } = &*self.sender;
        bodies.write(|payload| txn::encode_once(*session, once, ids, op, payload))
    }

    fn payload(&self, xid: Xid, op: &Op<'_>, bodies: &mut Bodies) -> Bytes {
        let Sender { session, ids, .. } = &*self.sender;
        bodies.write(|payload| txn::encode(*session, xid, ids, op, payload))
    }

    fn submit(&self, items: Vec<Item>, out: &mut Output) {
        if !items.is_empty() {
            out.submissions.push(Submission { sender: self.sender.clone(), items });
        }
    }
}

/// Whether a request may be answered in place, where reads may be.
fn is_local(request: &Request<'_>, reads_are: bool) -> bool {
    match request {
        Request::Read(read) => reads_are && !read.sets_watch(),
        Request::Ping
        | Request::WhoAmI
        | Request::Sasl(_)
        | Request::Malformed
        | Request::Unknown => true,
        Request::Reconfig
        | Request::Write(_)
        | Request::Watch(_)
        | Request::Sync(_)
        | Request::Auth { .. }
        | Request::CloseSession => false,
    }
}

fn path_read_by<'a>(request: &Request<'a>) -> Option<&'a str> {
    if let Request::Read(read) = request { read.path() } else { None }
}

/// Whether what stands behind these requests, which came with it, is answered from a state that
/// has everything acknowledged before they came: a confirmation shows as much for all behind it,
/// and so does the place of a write in the history.
fn vouches(items: &[Item]) -> bool {
    items.iter().any(|item| matches!(item.body, ItemBody::Confirm(_) | ItemBody::Write(_)))
}
