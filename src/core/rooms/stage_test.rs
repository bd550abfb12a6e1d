//! A stage for tests: connections with pipeline, tree store and fan-out behind them, where every
//! act is performed by itself, in an order that the test chooses.

use super::connection::{Connection, Door, Output};
use super::pipeline::{self, Pipeline};
use super::tree_store::{self, Attached, Schedule, TreeStore, View};
use super::watch_fanout::{self, Parcel, WatchFanout};
use super::{Machine, Now};
use crate::auth::AuthRules;
use crate::tree::{Rules, Tree};
use crate::types::{AuthId, ConnectionId, Request, SessionId, WatchEvent, Xid, Zxid};
use crate::wire::jute::ConnectRequest;
use crate::wire::native::{Hello, HelloOptions, greeting};
use crate::wire::{Codec, ReplyHeader};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

pub(super) const NOW: Now = Now { mono_ms: 0, wall_ms: 1_000 };

/// A view for one thread.
#[derive(Clone)]
pub(super) struct Shown(Rc<RefCell<Tree>>);

impl Shown {
    pub(super) fn fresh() -> Self {
        Self(Rc::new(RefCell::new(Tree::new(Rules::default(), 7))))
    }
}

impl View for Shown {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        f(&self.0.borrow())
    }
}

/// Never due for anything by itself.
pub(super) const IDLE: Schedule = Schedule {
    snapshot_every_txns: u64::MAX,
    snapshot_every_bytes: u64::MAX,
    never_used_ms: 0,
    reap_max: 10,
};

enum Post {
    Parcel(Parcel),
    Attached(Attached),
    Kick,
}

/// One client: its machine, what lies in its postbox, and what was written to its socket.
pub(super) struct Seat {
    codec: Codec,
    pub(super) machine: Connection,
    posts: VecDeque<Post>,
    pub(super) written: Vec<u8>,
    pub(super) in_place: u32,
    pub(super) travelled: usize,
    pub(super) closed: bool,
}

/// A frame that a client got.
#[derive(Debug, PartialEq)]
pub(super) enum Got {
    Reply(Xid, Zxid, i32),
    Event(WatchEvent),
}

/// An act that one of the rooms has before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Propose,
    Flush,
    Apply,
    FanOut,
    Publish,
}

pub(super) struct Stage {
    pub(super) view: Shown,
    pipeline: Pipeline,
    store: TreeStore<Shown>,
    pub(super) fanout: WatchFanout,
    to_pipeline: VecDeque<pipeline::Input>,
    to_log: VecDeque<u64>,
    to_store: VecDeque<tree_store::Input>,
    to_fanout: VecDeque<watch_fanout::Input>,
    from_fanout: VecDeque<watch_fanout::Effect>,
    /// What the fan-out has published.
    pub(super) delivered: Zxid,
    pub(super) seats: Vec<Seat>,
}

impl Stage {
    /// So many connections with open sessions, and nothing under way.
    pub(super) fn with(connections: usize) -> Self {
        let view = Shown::fresh();
        let pipeline = pipeline::tests::leading_alone(NOW);
        let mut stage = Self {
            store: TreeStore::new(view.clone(), IDLE, 0),
            view,
            pipeline,
            fanout: WatchFanout::new(1),
            to_pipeline: VecDeque::new(),
            to_log: VecDeque::new(),
            to_store: VecDeque::new(),
            to_fanout: VecDeque::new(),
            from_fanout: VecDeque::new(),
            delivered: Zxid::ZERO,
            seats: Vec::new(),
        };
        (0..connections).for_each(|_| stage.join());
        stage
    }

    /// One more connection with a session.
    pub(super) fn join(&mut self) {
        self.join_speaking(Codec::Jute);
    }

    /// The same in this protocol.
    pub(super) fn join_speaking(&mut self, codec: Codec) {
        let number = self.seats.len();
        self.seats.push(seat(number as u64, codec));
        self.receive(number, &opening(codec));
        self.settle();
        self.collect(number);
        let seat = &mut self.seats[number];
        assert_ne!(seat.machine.session(), SessionId::NONE);
        seat.written.clear();
        seat.travelled = 0;
    }

    /// The whole of what the room does with one socket read, nothing in between.
    pub(super) fn say(&mut self, seat: usize, requests: &[(i32, Request<'_>)]) {
        let upto = self.delivered;
        self.collect(seat);
        self.seats[seat].machine.handed(upto);
        let numbered: Vec<_> = requests.iter().map(|(xid, request)| (Xid(*xid), request)).collect();
        let mut bytes = Vec::new();
        self.seats[seat].codec.encode_requests(&numbered, &mut bytes);
        self.receive(seat, &bytes);
    }

    /// Lets the connection decide about bytes, knowing what it was told before.
    pub(super) fn receive(&mut self, seat: usize, bytes: &[u8]) {
        let view = self.view.clone();
        let at = &mut self.seats[seat];
        let mut out = Output::default();
        let consumed = at.machine.receive(bytes, &view, &mut out);
        assert_eq!(consumed, bytes.len(), "tests offer whole frames");
        self.perform(seat, out);
    }

    /// Moves what lies in the postbox to the socket.
    pub(super) fn collect(&mut self, seat: usize) {
        while let Some(post) = self.seats[seat].posts.pop_front() {
            let mut out = Output::default();
            let machine = &mut self.seats[seat].machine;
            match post {
                Post::Parcel(parcel) => {
                    out.bytes.extend_from_slice(&parcel.bytes);
                    machine.answered(parcel.requests as usize, &mut out);
                }
                Post::Attached(attached) => machine.attached(&attached, &mut out),
                Post::Kick => machine.kicked(&mut out),
            }
            self.perform(seat, out);
        }
    }

    fn perform(&mut self, seat: usize, out: Output) {
        let at = &mut self.seats[seat];
        at.written.extend_from_slice(&out.bytes);
        at.in_place += out.answered;
        at.closed |= out.close;
        at.travelled += out.submissions.iter().map(|sent| sent.items.len()).sum::<usize>();
        assert!(out.unvouched.is_none(), "a server alone needs nobody to vouch for it");
        self.to_pipeline.extend(out.submissions.into_iter().map(pipeline::Input::Submit));
    }

    /// What could happen next.
    pub(super) fn acts(&self) -> Vec<Act> {
        let pending = [
            (Act::Propose, self.to_pipeline.is_empty()),
            (Act::Flush, self.to_log.is_empty()),
            (Act::Apply, self.to_store.is_empty()),
            (Act::FanOut, self.to_fanout.is_empty()),
            (Act::Publish, self.from_fanout.is_empty()),
        ];
        pending.into_iter().filter_map(|(act, idle)| (!idle).then_some(act)).collect()
    }

    /// Lets it happen.
    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Propose => {
                if let Some(input) = self.to_pipeline.pop_front() {
                    self.step_pipeline(input);
                }
            }
            Act::Flush => {
                if let Some(mark) = self.to_log.pop_front() {
                    self.step_pipeline(pipeline::Input::Durable(mark));
                }
            }
            Act::Apply => {
                let Some(input) = self.to_store.pop_front() else { return };
                let mut effects = Vec::new();
                self.store.step(NOW, input, &mut effects);
                effects.into_iter().for_each(|effect| self.perform_store(effect));
            }
            Act::FanOut => {
                let Some(input) = self.to_fanout.pop_front() else { return };
                let mut effects = Vec::new();
                self.fanout.step(NOW, input, &mut effects);
                self.from_fanout.extend(effects);
            }
            Act::Publish => match self.from_fanout.pop_front() {
                Some(watch_fanout::Effect::Post(parcels)) => {
                    for parcel in parcels {
                        self.post(parcel.connection, Post::Parcel(parcel));
                    }
                }
                Some(watch_fanout::Effect::Delivered(upto)) => self.delivered = upto,
                None => {}
            },
        }
    }

    /// Lets everything happen that is under way.
    pub(super) fn settle(&mut self) {
        while let Some(act) = self.acts().first() {
            self.act(*act);
        }
    }

    /// Lets everything happen, and every client fetch what it got.
    pub(super) fn settle_and_collect(&mut self) {
        self.settle();
        (0..self.seats.len()).for_each(|seat| self.collect(seat));
    }

    fn step_pipeline(&mut self, input: pipeline::Input) {
        let mut effects = Vec::new();
        self.pipeline.step(NOW, input, &mut effects);
        for effect in effects {
            match effect {
                pipeline::Effect::Log { mark, .. } => self.to_log.push_back(mark),
                pipeline::Effect::Commit(batch) => {
                    self.to_store.push_back(tree_store::Input::Commit(batch));
                }
                pipeline::Effect::Kick(connections) => {
                    connections.into_iter().for_each(|id| self.post(id, Post::Kick));
                }
                pipeline::Effect::Renew { .. } => {}
                other => panic!("a lone leader has no use for {other:?}"),
            }
        }
    }

    fn perform_store(&mut self, effect: tree_store::Effect) {
        match effect {
            tree_store::Effect::Deliver(delivery) => {
                self.to_fanout.push_back(watch_fanout::Input::Deliver(delivery));
            }
            tree_store::Effect::Attached(id, attached) => self.post(id, Post::Attached(attached)),
            tree_store::Effect::Ended(sessions) => {
                self.to_pipeline.push_back(pipeline::Input::Ended(sessions));
            }
            tree_store::Effect::Opened(..)
            | tree_store::Effect::Renewed { .. }
            | tree_store::Effect::SnapshotVoid
            | tree_store::Effect::Replaced(..)
            | tree_store::Effect::SnapshotBegin(_)
            | tree_store::Effect::SnapshotSlice(_)
            | tree_store::Effect::SnapshotEnd
            | tree_store::Effect::Rebuild(_)
            | tree_store::Effect::Sessions(_)
            | tree_store::Effect::Propose(_)
            | tree_store::Effect::QuotasExceeded(_) => {}
        }
    }

    fn post(&mut self, id: ConnectionId, post: Post) {
        self.seats[id.0 as usize].posts.push_back(post);
    }

    /// What the client got since it was last asked.
    pub(super) fn got(&mut self, seat: usize) -> Vec<Got> {
        let codec = self.seats[seat].codec;
        let written = core::mem::take(&mut self.seats[seat].written);
        let mut rest = &written[..];
        let mut got = Vec::new();
        while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
            let length = codec.frame_length(*prefix).expect("an answer has a length");
            let (header, record) =
                codec.decode_reply_header(&behind[..length]).expect("an answer has a header");
            let ReplyHeader { xid, zxid, error } = header;
            got.push(if xid == Xid::EVENT {
                Got::Event(codec.decode_event(header, record).expect("an event"))
            } else {
                Got::Reply(xid, zxid, error)
            });
            rest = &behind[length..];
        }
        got
    }
}

fn opening(codec: Codec) -> Vec<u8> {
    let (last_zxid_seen, timeout_ms, session) = (Zxid::ZERO, 4_000, SessionId::NONE);
    let mut bytes = Vec::new();
    match codec {
        Codec::Jute => ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms,
            session,
            password: vec![0; 16],
            read_only: None,
        }
        .encode(&mut bytes),
        Codec::Native => {
            bytes.extend_from_slice(&greeting());
            Hello {
                last_zxid_seen,
                timeout_ms,
                session,
                password: [0; 16],
                options: HelloOptions::default(),
            }
            .encode(&mut bytes);
        }
    }
    bytes
}

fn seat(number: u64, codec: Codec) -> Seat {
    let door = Door {
        frame_bytes_max: 1 << 20,
        min_session_timeout_ms: 1_000,
        max_session_timeout_ms: 20_000,
        auth: AuthRules { digest_enabled: true, super_digest: None },
        alone: true,
    };
    let ip = AuthId { scheme: "ip".into(), id: "127.0.0.1".into() };
    Seat {
        codec,
        machine: Connection::new(Arc::new(door), ConnectionId(number), ip, [7; 16]),
        posts: VecDeque::new(),
        written: Vec::new(),
        in_place: 0,
        travelled: 0,
        closed: false,
    }
}

/// What one socket read gives.
pub(super) fn frames(requests: &[(i32, Request<'_>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (xid, request) in requests {
        Codec::Jute.encode_request(Xid(*xid), request, &mut bytes);
    }
    bytes
}
