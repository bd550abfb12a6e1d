//! A whole server but for disk and clock, spoken to in pieces by one client: opened or not, in
//! either protocol, then arbitrary bytes. Every frame that it answers must be one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::auth::AuthRules;
use ostler_core::rooms::connection::{Connection, Door, Output};
use ostler_core::rooms::pipeline::{self, Pipeline, PipelineSettings};
use ostler_core::rooms::tree_store::{self, Attached, Schedule, TreeStore, View};
use ostler_core::rooms::watch_fanout::{self, Parcel, WatchFanout};
use ostler_core::rooms::{Machine, Now};
use ostler_core::tree::{Rules, Tree};
use ostler_core::types::{AuthId, ConnectionId, ServerId, SessionId, Zxid};
use ostler_core::wire::Codec;
use ostler_core::wire::jute::ConnectRequest;
use ostler_core::wire::native::{Hello, HelloOptions, greeting};
use ostler_core::zab::Recovered;
use ostler_core::zab::io::Timing;
use ostler_core::zab::quorum::Membership;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

const NOW: Now = Now { mono_ms: 0, wall_ms: 1_000 };
const CONNECTION: ConnectionId = ConnectionId(1);

fuzz_target!(|bytes: &[u8]| {
    let Some(([opening, piece], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let mut server = Server::new();
    match opening % 3 {
        0 => server.open(Codec::Jute),
        1 => server.open(Codec::Native),
        _ => {}
    }
    for piece in bytes.chunks(usize::from(*piece).max(1) * 16) {
        server.hear(piece);
    }
});

#[derive(Clone)]
struct Shown(Rc<RefCell<Tree>>);

impl View for Shown {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        f(&mut self.0.borrow_mut())
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        f(&self.0.borrow())
    }
}

struct Server {
    view: Shown,
    connection: Connection,
    pipeline: Pipeline,
    store: TreeStore<Shown>,
    fanout: WatchFanout,
    unread: Vec<u8>,
    codec: Option<Codec>,
    closed: bool,
}

/// The pipeline of a server alone that leads its first epoch.
fn leading_alone() -> Pipeline {
    let timing = Timing { heartbeat_ms: 100, silence_ms: 1000, join_ms: 1000, finalize_ms: 1 };
    let mut pipeline = Pipeline::new(PipelineSettings {
        me: ServerId(1),
        membership: Membership::alone(ServerId(1)),
        timing,
        recovered: Recovered::default(),
        window_bytes: 0,
        first_serial: 0,
    });
    let mut inputs = vec![pipeline::Input::Start, pipeline::Input::Try(ServerId(1))];
    while !inputs.is_empty() {
        let mut effects = Vec::new();
        inputs.drain(..).for_each(|input| pipeline.step(NOW, input, &mut effects));
        inputs.extend(effects.iter().filter_map(|effect| match effect {
            pipeline::Effect::Log { mark, .. } => Some(pipeline::Input::Durable(*mark)),
            _ => None,
        }));
    }
    assert!(pipeline.reign().is_some());
    pipeline
}

impl Server {
    fn new() -> Self {
        let view = Shown(Rc::new(RefCell::new(Tree::new(Rules::default(), 1))));
        let door = Door {
            frame_bytes_max: 1 << 16,
            min_session_timeout_ms: 1,
            max_session_timeout_ms: 9,
            auth: AuthRules { digest_enabled: true, super_digest: None },
            alone: true,
        };
        let ip = AuthId { scheme: "ip".into(), id: "127.0.0.1".into() };
        let schedule = Schedule {
            snapshot_every_txns: u64::MAX,
            snapshot_every_bytes: u64::MAX,
            never_used_ms: 0,
            reap_max: 1,
        };
        Self {
            connection: Connection::new(Arc::new(door), CONNECTION, ip, [1; 16]),
            pipeline: leading_alone(),
            store: TreeStore::new(view.clone(), schedule, 0),
            view,
            fanout: WatchFanout::new(1),
            unread: Vec::new(),
            codec: None,
            closed: false,
        }
    }

    fn open(&mut self, codec: Codec) {
        let (last_zxid_seen, timeout_ms, session) = (Zxid::ZERO, 5, SessionId::NONE);
        let mut bytes = Vec::new();
        match codec {
            Codec::Jute => ConnectRequest {
                protocol_version: 0,
                last_zxid_seen,
                timeout_ms,
                session,
                password: Vec::new(),
                read_only: None,
            }
            .encode(&mut bytes),
            Codec::Native => {
                bytes.extend_from_slice(&greeting());
                Hello { last_zxid_seen, timeout_ms, session, password: [0; 16], options: HelloOptions::default() }.encode(&mut bytes);
            }
        }
        self.hear(&bytes);
        assert_ne!(self.connection.session(), SessionId::NONE, "a good opening is accepted");
        self.codec = Some(codec);
    }

    fn hear(&mut self, piece: &[u8]) {
        if self.closed {
            return;
        }
        self.unread.extend_from_slice(piece);
        loop {
            let mut out = Output::default();
            let before = self.unread.len();
            let consumed = self.connection.receive(&self.unread, &self.view, &mut out);
            self.unread.drain(..consumed);
            let stalled = out.stalled;
            self.perform(out);
            // A session opens in the middle: what came behind the opening is offered again.
            if self.closed || (!stalled && self.unread.len() == before) {
                return;
            }
        }
    }

    fn perform(&mut self, out: Output) {
        self.check(&out.bytes);
        self.closed |= out.close || out.word.is_some();
        for submission in out.submissions {
            self.ask_pipeline(pipeline::Input::Submit(submission));
        }
    }

    /// Once the protocol is known, all that is said must be whole frames with a header.
    fn check(&self, mut bytes: &[u8]) {
        let Some(codec) = self.codec else { return };
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let length = codec.frame_length(*length).expect("no negative length");
            let (body, rest) = rest.split_at(length);
            codec.decode_reply_header(body).expect("a header");
            bytes = rest;
        }
        assert!(bytes.is_empty(), "half a frame");
    }

    fn ask_pipeline(&mut self, input: pipeline::Input) {
        let mut effects = Vec::new();
        self.pipeline.step(NOW, input, &mut effects);
        for effect in effects {
            match effect {
                pipeline::Effect::Log { mark, .. } => {
                    self.ask_pipeline(pipeline::Input::Durable(mark));
                }
                pipeline::Effect::Commit(batch) => self.commit(batch),
                pipeline::Effect::Kick(_) => self.closed = true,
                pipeline::Effect::Renew { .. } => {}
                other => panic!("a lone leader has no use for {other:?}"),
            }
        }
    }

    fn commit(&mut self, batch: Vec<pipeline::Committed>) {
        let mut effects = Vec::new();
        self.store.step(NOW, tree_store::Input::Commit(batch), &mut effects);
        // What else it says is for rooms that are not here.
        for effect in effects {
            if let tree_store::Effect::Deliver(delivery) = effect {
                self.deliver(delivery);
            } else if let tree_store::Effect::Attached(_, attached) = effect {
                self.attached(&attached);
            }
        }
    }

    fn attached(&mut self, attached: &Attached) {
        let mut out = Output::default();
        self.connection.attached(attached, &mut out);
        self.perform(out);
    }

    fn deliver(&mut self, delivery: watch_fanout::Delivery) {
        let mut effects = Vec::new();
        self.fanout.step(NOW, watch_fanout::Input::Deliver(delivery), &mut effects);
        for effect in effects {
            if let watch_fanout::Effect::Post(parcels) = effect {
                parcels.into_iter().for_each(|parcel| self.parcel(parcel));
            }
        }
    }

    fn parcel(&mut self, parcel: Parcel) {
        self.check(&parcel.bytes);
        let mut out = Output::default();
        self.connection.answered(parcel.requests as usize, &mut out);
        self.perform(out);
    }
}
