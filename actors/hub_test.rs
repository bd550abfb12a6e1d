//! The hub by what comes out of it: posts in the lanes of their connections, and word to the
//! fan-out and the sweeper.

use crate::clock::Clock;
use crate::counters::{Counters, Measures};
use crate::faults::Faults;
use crate::hub::{Hub, Shared};
use crate::links::Links;
use crate::postbox::{Post, Postboxes};
use crate::questions::Questions;
use crate::room::Inspect;
use crate::session_clocks::SessionClocks;
use crate::settings::Settings;
use crate::supervision::{Endurance, Supervision};
use crate::supervisor::Deliver;
use crate::switchboard::Switchboard;
use crate::view::ReadView;
use crate::wiring::{Plan, Rooms};
use crate::words::Words;
use actix::{Actor, Context, Handler};
use ostler_core::auth::AuthRules;
use ostler_core::rooms::connection::Door;
use ostler_core::rooms::pipeline::{self, Sender, Submission};
use ostler_core::rooms::watch_fanout::Parcel;
use ostler_core::rooms::{session_sweeper, watch_fanout};
use ostler_core::tree::{Rules, Tree};
use ostler_core::types::{ConnectionId, SessionId};
use ostler_core::wire::Codec;
use slog::{Discard, Logger, o};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const ARBITER: usize = 1;
const A: ConnectionId = ConnectionId(0x101);
const B: ConnectionId = ConnectionId(0x201);
const ELSEWHERE: ConnectionId = ConnectionId(0x300);
const PATIENCE: Duration = Duration::from_secs(10);

/// What the hub said to a room.
#[derive(Debug, PartialEq)]
enum Said {
    Closed(Vec<ConnectionId>),
    Touched(Vec<SessionId>),
    Submitted(ConnectionId),
    Unvouched(Vec<ConnectionId>),
    Gone(ConnectionId),
}

/// Takes the place of every room.
struct Listener(UnboundedSender<Said>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Deliver<watch_fanout::Input>> for Listener {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver<watch_fanout::Input>, _: &mut Context<Self>) {
        let watch_fanout::Input::Closed(connections) = input else { panic!("{input:?}") };
        self.0.send(Said::Closed(connections)).expect("the test listens");
    }
}

impl Handler<Deliver<session_sweeper::Input>> for Listener {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver<session_sweeper::Input>, _: &mut Context<Self>) {
        let session_sweeper::Input::Touched(touched) = input else { panic!("{input:?}") };
        let sessions = touched.into_iter().map(|(session, _)| session).collect();
        self.0.send(Said::Touched(sessions)).expect("the test listens");
    }
}

impl Handler<Deliver<pipeline::Input>> for Listener {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver<pipeline::Input>, _: &mut Context<Self>) {
        let said = match input {
            pipeline::Input::Submit(submission) => Said::Submitted(submission.sender.connection),
            pipeline::Input::Vouch(senders) => {
                Said::Unvouched(senders.iter().map(|sender| sender.connection).collect())
            }
            pipeline::Input::Gone(_, connection) => Said::Gone(connection),
            other => panic!("{other:?}"),
        };
        self.0.send(said).expect("the test listens");
    }
}

impl<M: 'static> Handler<Inspect<M>> for Listener {
    type Result = ();

    fn handle(&mut self, _: Inspect<M>, _: &mut Context<Self>) {}
}

/// Runs a test on a hub, with what it says to the rooms.
fn with_hub<F: Future<Output = ()>>(test: impl FnOnce(Rc<Hub>, UnboundedReceiver<Said>) -> F) {
    actix_rt::System::new().block_on(async {
        let (say, hear) = unbounded_channel();
        let shared = shared(&Listener(say).start());
        test(Hub::start(shared, ARBITER, Duration::from_millis(20)), hear).await;
    });
}

fn shared(listener: &actix::Addr<Listener>) -> Shared {
    let switchboard = Switchboard::default();
    let addresses = switchboard.addresses();
    assert!(addresses.watch_fanout.set(listener.clone().recipient()).is_ok());
    assert!(addresses.pipeline.set(listener.clone().recipient()).is_ok());
    assert!(addresses.session_sweeper.set(listener.clone().recipient()).is_ok());
    let rooms = Rooms {
        log_writer: listener.clone().recipient(),
        pipeline: listener.clone().recipient(),
        peer: listener.clone().recipient(),
        tree_store: listener.clone().recipient(),
        watch_fanout: listener.clone().recipient(),
        session_sweeper: listener.clone().recipient(),
    };
    let plan = Plan {
        settings: &Settings::default(),
        questions: Questions::new(switchboard.clone()),
        rooms: switchboard,
        links: Links::default(),
        postboxes: Postboxes::new(2),
        view: ReadView::new(Tree::new(Rules::default(), 1), Faults::default().of("tree_store")),
        counters: Arc::new(Counters::new(2, Measures::default())),
        clock: Clock::start(),
        hash_seed: 1,
        session_clocks: SessionClocks::default(),
        supervision: Supervision::new(Endurance::default(), &Logger::root(Discard, o!())),
        faults: Faults::default(),
        logger: &Logger::root(Discard, o!()),
    };
    let door = Door {
        frame_bytes_max: 1,
        min_session_timeout_ms: 1,
        max_session_timeout_ms: 1,
        auth: AuthRules::default(),
        alone: true,
    };
    Shared {
        door: Arc::new(door),
        words: Arc::new(Words::new(&plan, rooms)),
        rooms: plan.rooms,
        postboxes: plan.postboxes,
        questions: plan.questions,
        view: plan.view,
        counters: plan.counters,
        clock: plan.clock,
        handshake_timeout: PATIENCE,
        outstanding_max: 1,
        faults: plan.faults.of("connection"),
        logger: plan.logger.clone(),
    }
}

fn parcel(connection: ConnectionId, requests: u32) -> Post {
    Post::Parcel(Parcel { connection, requests, events: 0, bytes: Vec::new() })
}

fn sender(connection: ConnectionId) -> Arc<Sender> {
    let session = SessionId(5);
    Arc::new(Sender { connection, session, codec: Codec::Jute, ids: Arc::new([]) })
}

fn submission(connection: ConnectionId) -> Submission {
    Submission { sender: sender(connection), items: Vec::new() }
}

/// Requests answered by each post of a lane; 0 for what is no parcel.
fn requests(posts: &[Post]) -> Vec<u32> {
    let requests = posts.iter().map(|post| match post {
        Post::Parcel(parcel) => parcel.requests,
        Post::Attached(..) | Post::Kick(_) | Post::Gap(_) => 0,
    });
    requests.collect()
}

async fn next(hear: &mut UnboundedReceiver<Said>) -> Said {
    tokio::time::timeout(PATIENCE, hear.recv()).await.expect("in time").expect("a room speaks")
}

#[test]
fn posts_reach_their_lanes_in_order_and_those_of_other_arbiters_do_not() {
    with_hub(async |hub, mut hear| {
        let (a, b) = (hub.enter(A), hub.enter(B));
        let posts = [parcel(A, 1), Post::Kick(B), parcel(ELSEWHERE, 7), parcel(A, 2)];
        hub.shared.postboxes.post(posts);
        hub.sort();
        assert_eq!(requests(&a.take()), [1, 2]);
        assert_eq!(requests(&b.take()), [0]);
        assert!(a.take().is_empty(), "what is taken is gone");
        assert_eq!(requests(&hub.shared.postboxes.of(0).take()), [7]);
        assert!(hear.try_recv().is_err(), "nobody was missing");
    });
}

#[test]
fn a_post_rings_its_lane_without_anybody_asking() {
    with_hub(async |hub, _hear| {
        let (a, b) = (hub.enter(A), hub.enter(B));
        for round in 1..4 {
            hub.shared.postboxes.post([parcel(A, round)]);
            tokio::time::timeout(PATIENCE, poll_fn(|cx| a.bell.poll_rung(cx)))
                .await
                .expect("rings");
            assert_eq!(requests(&a.take()), [round]);
        }
        assert!(b.take().is_empty());
    });
}

#[test]
fn a_connection_that_looks_for_itself_gets_each_post_once() {
    with_hub(async |hub, _hear| {
        let a = hub.enter(A);
        let mut got = Vec::new();
        for round in 0..100 {
            hub.shared.postboxes.post([parcel(A, round)]);
            if round % 3 == 0 {
                // The hub's own task may sort what comes before the connection looks.
                tokio::task::yield_now().await;
            }
            hub.sort();
            got.extend(requests(&a.take()));
            assert_eq!(got.len() as u32, round + 1, "all that was posted is there");
        }
        assert_eq!(got, (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_posted_to_a_connection_that_left_is_told_to_the_fan_out() {
    with_hub(async |hub, mut hear| {
        let (_, b) = (hub.enter(A), hub.enter(B));
        hub.leave(A);
        hub.shared.postboxes.post([parcel(A, 3), parcel(B, 1), Post::Kick(A)]);
        assert_eq!(next(&mut hear).await, Said::Closed(vec![A, A]));
        assert_eq!(requests(&b.take()), [1]);
        assert_eq!(hub.shared.counters.stale_replies.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn a_session_is_reported_once_however_often_it_was_heard() {
    with_hub(async |hub, mut hear| {
        let (a, b) = (hub.enter(A), hub.enter(B));
        hub.touch(&a, SessionId(5));
        hub.touch(&b, SessionId(6));
        hub.touch(&a, SessionId(5));
        assert_eq!(next(&mut hear).await, Said::Touched(vec![SessionId(5), SessionId(6)]));
        hub.touch(&a, SessionId(5));
        // Also of a connection that has left since.
        hub.leave(A);
        assert_eq!(next(&mut hear).await, Said::Touched(vec![SessionId(5)]));
    });
}

#[test]
fn what_connections_submit_departs_together_when_all_had_their_turn() {
    with_hub(async |hub, mut hear| {
        let _lanes = (hub.enter(A), hub.enter(B));
        hub.submit(submission(A));
        tokio::task::yield_now().await;
        hub.submit(submission(B));
        hub.submit(submission(A));
        assert!(hear.try_recv().is_err(), "somebody's turn is not over");
        for connection in [A, B, A] {
            assert_eq!(next(&mut hear).await, Said::Submitted(connection));
        }
    });
}

#[test]
fn what_a_connection_said_first_reaches_the_pipeline_first() {
    with_hub(async |hub, mut hear| {
        let _lanes = (hub.enter(A), hub.enter(B));
        hub.ask_for(sender(A));
        hub.submit(submission(B));
        hub.submit(submission(A));
        hub.leave(A);
        hub.shared.rooms.pipeline(pipeline::Input::Gone(SessionId(5), A));
        let asked = Said::Unvouched(vec![A]);
        for said in [asked, Said::Submitted(B), Said::Submitted(A), Said::Gone(A)] {
            assert_eq!(next(&mut hear).await, said);
        }
    });
}
