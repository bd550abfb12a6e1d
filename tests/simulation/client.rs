//! A client: it asks, it waits, it comes back with its session when a connection is lost.
//!
//! What it checks by itself is what any client could: answers come in the order of its requests,
//! and what it is shown never goes back.

use crate::calls::{Ask, Call, Calls, Got};
use crate::chance::Chance;
use crate::plan::Plan;
use ostler_core::types::{SessionId, Xid, Zxid};
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};
use ostler_core::wire::{Codec, ReplyKind};
use std::collections::VecDeque;

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
    timeout_ms: i32,
}

/// See the module. Times are in milliseconds of the world's clock.
pub(crate) struct Client {
    pub(crate) state: State,
    pub(crate) number: usize,
    lease: Option<Lease>,
    seen: Zxid,
    next_xid: i32,
    pending: VecDeque<usize>,
    unread: Vec<u8>,
    stream: usize,
    heard_ms: u64,
    said_ms: u64,
    next_ask_ms: u64,
    serial: u64,
    chance: Chance,
    keys: u64,
    depth: usize,
    think_ms: u64,
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
        Self {
            state: State::Apart,
            number,
            lease: None,
            seen: Zxid::ZERO,
            next_xid: 1,
            pending: VecDeque::new(),
            unread: Vec::new(),
            stream: 0,
            heard_ms: 0,
            said_ms: 0,
            next_ask_ms: 0,
            serial: 0,
            chance: Chance::of(plan.seed, 1000 + number as u64),
            keys: plan.keys,
            depth: plan.depth,
            think_ms: plan.think_ms,
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
        self.pending.is_empty()
    }

    /// A number of its own, for what the world has to decide about it.
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    /// A new connection: the first bytes.
    pub(crate) fn greet(&mut self, now_ms: u64, calls: &mut Calls) -> Vec<u8> {
        self.state = State::Greeting;
        self.heard_ms = now_ms;
        self.said_ms = now_ms;
        self.unread.clear();
        self.stream = calls.streams.len();
        calls.streams.push(Vec::new());
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms: self.timeout_ms,
            session: self.lease.map_or(SessionId::NONE, |lease| lease.id),
            password: self.lease.map_or([0; 16], |lease| lease.password).to_vec(),
            read_only: None,
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        bytes
    }

    /// The connection is gone; what was asked on it may have happened or not.
    pub(crate) fn lost(&mut self) {
        if self.state != State::Vanished {
            self.state = State::Apart;
        }
        self.pending.clear();
        self.unread.clear();
        if matches!(self.last_words, Some(LastWords::Sent(_))) {
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
        if self.last_words == Some(LastWords::Due) {
            let call = self.ask(self.final_write(), floor, calls, &mut bytes);
            self.last_words = Some(LastWords::Sent(call));
        }
        while !self.is_resting && self.pending.len() < self.depth && now_ms >= self.next_ask_ms {
            let ask = self.invent();
            let closes = ask == Ask::Close;
            self.has_asked_to_close |= closes;
            self.ask(ask, floor, calls, &mut bytes);
            let pause = if self.chance.one_in(3) { 0 } else { self.think_ms };
            self.next_ask_ms = now_ms + self.chance.within(0, pause);
            if closes {
                // Nothing may follow it.
                self.next_ask_ms = now_ms + self.timeout_ms as u64;
            }
        }
        if now_ms.saturating_sub(self.said_ms) > self.timeout_ms as u64 / 3 {
            self.ask(Ask::Ping, floor, calls, &mut bytes);
        }
        if !bytes.is_empty() {
            self.said_ms = now_ms;
        }
        bytes
    }

    fn final_write(&self) -> Ask {
        let path = format!("/last-{}", self.number);
        Ask::Create { path, data: String::new(), flags: 2 }
    }

    fn ask(&mut self, ask: Ask, floor: Zxid, calls: &mut Calls, bytes: &mut Vec<u8>) -> usize {
        let xid = if ask == Ask::Ping {
            Xid::PING
        } else {
            self.next_xid += 1;
            Xid(self.next_xid - 1)
        };
        Codec::Jute.encode_request(xid, &ask.request(), bytes);
        let session = self.session().expect("an open connection has a session");
        calls.calls.push(Call { session, xid, ask, floor, answer: None });
        self.pending.push_back(calls.calls.len() - 1);
        calls.calls.len() - 1
    }

    fn invent(&mut self) -> Ask {
        self.serial += 1;
        let key = self.chance.below(self.keys);
        let path = format!("/k{key}");
        let data = format!("c{}-{}", self.number, self.serial);
        let version = if self.chance.one_in(3) { self.chance.below(4) as i32 } else { -1 };
        let watch = self.chance.one_in(3);
        let child = format!("{path}/c{}", self.chance.below(3));
        match self.chance.below(64) {
            0..8 => Ask::Create { path, data, flags: 0 },
            8..12 => Ask::Create { path: child, data, flags: 1 },
            12..15 => Ask::Create { path: format!("{path}/s-"), data, flags: 2 },
            15..18 => Ask::Create { path: format!("{path}/e-"), data, flags: 3 },
            18..28 => Ask::Set { path, data, version },
            28..31 => Ask::Delete { path: child, version },
            31..33 => Ask::Delete { path, version },
            33..37 => Ask::Multi(vec![
                Ask::Check { path: path.clone(), version },
                Ask::Set { path, data: data.clone(), version: -1 },
                Ask::Create { path: child, data, flags: 0 },
            ]),
            37..44 => Ask::Get { path, watch },
            44..48 => Ask::Exists { path: child, watch },
            48..53 => Ask::Children { path, watch },
            53..57 => Ask::Exists { path, watch },
            57..63 => Ask::Sync,
            _ if self.chance.one_in(4) => Ask::Close,
            _ => Ask::Ping,
        }
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
        let length = Codec::Jute.frame_length(*prefix).expect("frames have a length");
        let body = rest.get(..length)?.to_vec();
        self.unread.drain(..4 + length);
        Some(body)
    }

    fn greeted(&mut self, body: &[u8], calls: &mut Calls) -> bool {
        let response = ConnectResponse::decode(body).expect("an answer to the greeting");
        let ConnectResponse { timeout_ms, session, password, .. } = response;
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
        self.lease = Some(Lease { id: session, password, timeout_ms });
        self.state = State::Open;
        assert!(self.lease.is_some_and(|lease| lease.timeout_ms > 0));
        true
    }

    fn answered(&mut self, body: &[u8], calls: &mut Calls) -> bool {
        let (header, record) = Codec::Jute.decode_reply_header(body).expect("a reply's header");
        if header.xid == Xid::EVENT {
            let event = Codec::Jute.decode_event(header, record).expect("an event");
            self.saw(event.zxid.unwrap_or_default());
            calls.streams[self.stream].push(Got::Event(event));
            return true;
        }
        let number = self.pending.pop_front().expect("an answer to something");
        let call = &mut calls.calls[number];
        assert_eq!(call.xid, header.xid, "answers out of order: {:?}", call.ask);
        let kind = ReplyKind::of(&call.ask.request());
        let reply = Codec::Jute.decode_reply(kind, header, record).expect("a reply of its kind");
        call.answer = Some((header.zxid, reply));
        calls.answered.push_back(number);
        let closed = call.ask == Ask::Close;
        calls.streams[self.stream].push(Got::Answer(number));
        self.saw(header.zxid);
        if self.last_words == Some(LastWords::Sent(number)) {
            self.last_words = Some(LastWords::Acknowledged);
        }
        if closed {
            self.begin_anew();
            self.next_ask_ms = 0;
        }
        !closed
    }

    /// The session is over; the next connection asks for a new one.
    fn begin_anew(&mut self) {
        self.lease = None;
        self.seen = Zxid::ZERO;
        self.next_xid = 1;
        self.has_asked_to_close = false;
    }

    fn saw(&mut self, zxid: Zxid) {
        assert!(zxid >= self.seen, "what is shown goes back from {} to {zxid}", self.seen);
        self.seen = zxid;
    }
}
