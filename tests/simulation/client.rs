//! A client: it asks, it waits, it comes back with its session when a connection is lost.
//!
//! What it checks by itself is what any client could: answers come in the order of its requests,
//! and what it is shown never goes back.

mod habits;
mod watching;

use crate::calls::{Ask, Call, Calls, Got};
use crate::chance::Chance;
use crate::plan::{Dialect, Plan};
use habits::Habits;
use ostler_core::types::{SessionId, Xid, Zxid};
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};
use ostler_core::wire::native::{Hello, HelloOptions, Refusal, Welcome, greeting, stamp};
use ostler_core::wire::{Codec, ReplyKind};
use std::collections::VecDeque;
use watching::Watching;

/// What the client's connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has none.
    Apart,
    /// It has said who it is.
    Greeting,
    Open,
    /// It never comes back.
    Vanished,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    id: SessionId,
    password: [u8; 16],
}

/// See the module. Times are in milliseconds of the world's clock.
pub(crate) struct Client {
    pub(crate) state: State,
    pub(crate) number: usize,
    dialect: Dialect,
    lease: Option<Lease>,
    seen: Zxid,
    next_xid: i32,
    pending: VecDeque<usize>,
    /// Writes to be sent again on the next connection, where they take effect once.
    unsettled: VecDeque<usize>,
    /// Numbers of the last answer, and of the last one to a write that takes effect once.
    heard: Xid,
    settled: Xid,
    watching: Watching,
    /// `user:password` that it proves on every connection, and whether it has on this one.
    proof: Option<String>,
    has_proven: bool,
    /// It has said nothing on this connection yet.
    is_fresh: bool,
    unread: Vec<u8>,
    stream: usize,
    heard_ms: u64,
    said_ms: u64,
    chance: Chance,
    habits: Habits,
    timeout_ms: i32,
    /// It has asked to close its session; whether that happened it may never be told.
    has_asked_to_close: bool,
    /// No new requests, but what keeps the session alive.
    pub(crate) is_resting: bool,
    /// Answers to come until it has said all that it had to.
    pub(crate) last_words: Option<LastWords>,
}

/// After the storm: each client has one more write acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastWords {
    Due,
    Sent(usize),
    Acknowledged,
}

impl Client {
    pub(crate) fn new(number: usize, plan: &Plan) -> Self {
        let proves = plan.habits.is_wide && !number.is_multiple_of(3);
        Self {
            state: State::Apart,
            number,
            dialect: plan.dialects[number],
            lease: None,
            seen: Zxid::ZERO,
            next_xid: 1,
            pending: VecDeque::new(),
            unsettled: VecDeque::new(),
            heard: Xid(0),
            settled: Xid(0),
            watching: Watching::new(plan.habits.watches_last),
            proof: proves.then(|| format!("user{}:secret", number % 2)),
            has_proven: false,
            is_fresh: false,
            unread: Vec::new(),
            stream: 0,
            heard_ms: 0,
            said_ms: 0,
            chance: Chance::of(plan.seed, 1000 + number as u64),
            habits: Habits::new(number, plan),
            timeout_ms: plan.session_timeout_ms,
            has_asked_to_close: false,
            is_resting: false,
            last_words: None,
        }
    }

    /// The session it believes to have.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.lease.map(|lease| lease.id)
    }

    pub(crate) fn has_nothing_pending(&self) -> bool {
        self.pending.is_empty() && self.unsettled.is_empty()
    }

    /// A number of its own, for what the world has to decide about it.
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    fn codec(&self) -> Codec {
        match self.dialect {
            Dialect::Jute => Codec::Jute,
            Dialect::Native(_) => Codec::Native,
        }
    }

    fn options(&self) -> HelloOptions {
        match self.dialect {
            Dialect::Jute => HelloOptions::default(),
            Dialect::Native(options) => options,
        }
    }

    /// A new connection: the first bytes.
    pub(crate) fn greet(&mut self, now_ms: u64, calls: &mut Calls) -> Vec<u8> {
        self.state = State::Greeting;
        self.heard_ms = now_ms;
        self.said_ms = now_ms;
        self.unread.clear();
        self.stream = calls.streams.len();
        calls.streams.push(Vec::new());
        let (last_zxid_seen, timeout_ms) = (self.seen, self.timeout_ms);
        let session = self.lease.map_or(SessionId::NONE, |lease| lease.id);
        let password = self.lease.map_or([0; 16], |lease| lease.password);
        let mut bytes = Vec::new();
        match self.dialect {
            Dialect::Jute => ConnectRequest {
                protocol_version: 0,
                last_zxid_seen,
                timeout_ms,
                session,
                password: password.to_vec(),
                read_only: None,
            }
            .encode(&mut bytes),
            Dialect::Native(options) => {
                bytes.extend(greeting());
                Hello { last_zxid_seen, timeout_ms, session, password, options }.encode(&mut bytes);
            }
        }
        bytes
    }

    /// The connection is gone; what was asked on it may have happened or not.
    pub(crate) fn lost(&mut self, calls: &Calls) {
        if self.state != State::Vanished {
            self.state = State::Apart;
        }
        let repeats = self.options().exactly_once;
        let again = self.pending.drain(..).filter(|number| {
            let ask = &calls.calls[*number].ask;
            repeats && ask.is_write() && *ask != Ask::Close
        });
        self.unsettled.extend(again);
        self.unread.clear();
        self.has_proven = false;
        self.watching.lost();
        if let Some(LastWords::Sent(number)) = self.last_words
            && !self.unsettled.contains(&number)
        {
            self.last_words = Some(LastWords::Due);
        }
    }

    /// Whether it has waited too long for a sign of life.
    pub(crate) fn despairs(&self, now_ms: u64) -> bool {
        let patience_ms = match self.state {
            State::Greeting => 1000,
            State::Open => self.timeout_ms as u64 * 2 / 3,
            State::Apart | State::Vanished => return false,
        };
        now_ms.saturating_sub(self.heard_ms) > patience_ms
    }

    /// What it says now, if anything.
    pub(crate) fn speak(&mut self, now_ms: u64, floor: Zxid, calls: &mut Calls) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.state != State::Open {
            return bytes;
        }
        if std::mem::take(&mut self.is_fresh) {
            self.take_up(floor, calls, &mut bytes);
        }
        if self.last_words == Some(LastWords::Due) {
            let call = self.ask(habits::final_write(self.number), floor, calls, &mut bytes);
            self.last_words = Some(LastWords::Sent(call));
        }
        while !self.is_resting && self.pending.len() < self.habits.depth && self.wants(now_ms) {
            let ask = self.habits.invent(self.number, &mut self.chance);
            let closes = ask == Ask::Close;
            self.has_asked_to_close |= closes;
            self.ask(ask, floor, calls, &mut bytes);
            self.habits.pause(now_ms, &mut self.chance);
            if closes {
                // Nothing may follow it.
                self.habits.next_ask_ms = now_ms + self.timeout_ms as u64;
            }
        }
        if !self.is_resting && !self.has_asked_to_close && self.habits.checks(now_ms) {
            self.ask(Ask::Sync, floor, calls, &mut bytes);
        }
        if now_ms.saturating_sub(self.said_ms) > self.timeout_ms as u64 / 3 {
            self.ask(Ask::Ping, floor, calls, &mut bytes);
        }
        if !bytes.is_empty() {
            self.said_ms = now_ms;
        }
        bytes
    }

    fn wants(&self, now_ms: u64) -> bool {
        now_ms >= self.habits.next_ask_ms
    }

    /// The first words on a connection: who it is, what it watches, what it never heard of.
    fn take_up(&mut self, floor: Zxid, calls: &mut Calls, bytes: &mut Vec<u8>) {
        if let Some(proof) = self.proof.clone() {
            self.ask(Ask::Auth(proof), floor, calls, bytes);
            // It counts for whatever comes behind it.
            self.has_proven = true;
        }
        if let Some(watched) = self.watching.again(self.seen) {
            self.ask(Ask::SetWatches(watched), floor, calls, bytes);
        }
        for number in std::mem::take(&mut self.unsettled) {
            let call = &mut calls.calls[number];
            call.is_again = true;
            self.say(number, calls, bytes);
        }
    }

    fn ask(&mut self, ask: Ask, floor: Zxid, calls: &mut Calls, bytes: &mut Vec<u8>) -> usize {
        let xid = match (&ask, self.dialect) {
            (Ask::Ping, _) => Xid::PING,
            (Ask::Auth(_), Dialect::Jute) => Xid::AUTH,
            _ => {
                self.next_xid += 1;
                Xid(self.next_xid - 1)
            }
        };
        let session = self.session().expect("an open connection has a session");
        let confirms = self.options().linearizable && ask.is_read();
        let is_linearizable = ask == Ask::Sync || confirms;
        let proof = self.proof.clone().filter(|_| self.has_proven);
        let (is_again, answer) = (false, None);
        let call = Call { session, xid, ask, floor, is_linearizable, proof, is_again, answer };
        calls.calls.push(call);
        self.say(calls.calls.len() - 1, calls, bytes);
        calls.calls.len() - 1
    }

    fn say(&mut self, number: usize, calls: &Calls, bytes: &mut Vec<u8>) {
        let Call { xid, ask, .. } = &calls.calls[number];
        let from = bytes.len();
        self.codec().encode_request(*xid, &ask.request(), bytes);
        if self.codec() == Codec::Native {
            stamp(&mut bytes[from..], *xid, self.heard);
        }
        self.pending.push_back(number);
    }

    /// Bytes arrived. False if the connection is to be given up.
    pub(crate) fn hear(&mut self, bytes: &[u8], now_ms: u64, calls: &mut Calls) -> bool {
        self.heard_ms = now_ms;
        self.unread.extend_from_slice(bytes);
        while let Some(body) = self.next_frame() {
            let goes_on = match self.state {
                State::Greeting => self.greeted(&body, calls),
                State::Open => self.answered(&body, calls),
                State::Apart | State::Vanished => false,
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let (prefix, rest) = self.unread.split_first_chunk::<4>()?;
        let length = self.codec().frame_length(*prefix).expect("frames have a length");
        let body = rest.get(..length)?.to_vec();
        self.unread.drain(..4 + length);
        Some(body)
    }

    fn greeted(&mut self, body: &[u8], calls: &mut Calls) -> bool {
        let (session, timeout_ms, password) = match self.dialect {
            Dialect::Jute => {
                let response = ConnectResponse::decode(body).expect("an answer to the greeting");
                (response.session, response.timeout_ms, response.password)
            }
            Dialect::Native(_) => match Welcome::decode(body).expect("an answer to the hello") {
                Welcome::Accepted { session, timeout_ms, password, last_once, .. } => {
                    let knows = last_once >= self.settled;
                    assert!(knows, "{:?} was answered, and {last_once:?} is known", self.settled);
                    (session, timeout_ms, password)
                }
                Welcome::Refused(Refusal::SessionExpired) => (SessionId::NONE, 0, [0; 16]),
                Welcome::Refused(_) => return false,
            },
        };
        if session == SessionId::NONE {
            if !self.has_asked_to_close {
                calls.lost.extend(self.session());
            }
            self.begin_anew();
            return false;
        }
        if let Some(lease) = self.lease {
            assert_eq!((lease.id, lease.password), (session, password), "another's session");
        }
        assert!(timeout_ms > 0);
        self.lease = Some(Lease { id: session, password });
        self.state = State::Open;
        self.is_fresh = true;
        true
    }

    fn answered(&mut self, body: &[u8], calls: &mut Calls) -> bool {
        let codec = self.codec();
        let (header, record) = codec.decode_reply_header(body).expect("a reply's header");
        if header.xid == Xid::EVENT {
            let event = codec.decode_event(header, record).expect("an event");
            if let Some(zxid) = event.zxid {
                self.saw(zxid);
            }
            self.watching.told(&event);
            calls.streams[self.stream].push(Got::Event(event));
            return true;
        }
        let number = self.pending.pop_front().expect("an answer to something");
        let call = &mut calls.calls[number];
        assert_eq!(call.xid, header.xid, "answers out of order: {:?}", call.ask);
        let kind = ReplyKind::of(&call.ask.request());
        let reply = codec.decode_reply(kind, header, record).expect("a reply of its kind");
        self.watching.answered(&call.ask, &reply);
        call.answer = Some((header.zxid, reply));
        calls.answered.push_back(number);
        let closed = call.ask == Ask::Close;
        let shows = !call.is_again && !matches!(call.ask, Ask::Auth(_));
        if call.ask.is_write() && self.options().exactly_once && !closed {
            self.settled = header.xid;
        }
        // Writes that were sent again have older numbers than what was said before them.
        let awaits_older = |number: &usize| calls.calls[*number].xid < header.xid;
        if header.xid.0 > 0 && !self.pending.iter().any(awaits_older) {
            self.heard = self.heard.max(header.xid);
        }
        calls.streams[self.stream].push(Got::Answer(number));
        if shows {
            self.saw(header.zxid);
        }
        if self.last_words == Some(LastWords::Sent(number)) {
            self.last_words = Some(LastWords::Acknowledged);
        }
        if closed {
            self.begin_anew();
            self.habits.next_ask_ms = 0;
        }
        !closed
    }

    /// The session is over; the next connection asks for a new one.
    fn begin_anew(&mut self) {
        self.lease = None;
        self.seen = Zxid::ZERO;
        self.next_xid = 1;
        (self.heard, self.settled) = (Xid(0), Xid(0));
        self.pending.clear();
        self.unsettled.clear();
        self.watching.forget();
        self.has_asked_to_close = false;
        if matches!(self.last_words, Some(LastWords::Sent(_))) {
            self.last_words = Some(LastWords::Due);
        }
    }

    fn saw(&mut self, zxid: Zxid) {
        assert!(zxid >= self.seen, "what is shown goes back from {} to {zxid}", self.seen);
        self.seen = zxid;
    }
}
