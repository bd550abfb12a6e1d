//! What the connections of one arbiter share: the lanes by which posts reach them, the list of
//! sessions heard from since the sweeper was last told, and what they tell the pipeline together.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::RoomFaults;
use crate::postbox::{Post, Postboxes};
use crate::questions::Questions;
use crate::supervisor::{give_back_at_rest, shared};
use crate::switchboard::Switchboard;
use crate::view::ReadView;
use crate::words::Words;
use ostler_core::rooms::connection::Door;
use ostler_core::rooms::pipeline::{self, Sender, Submission};
use ostler_core::rooms::{session_sweeper, watch_fanout};
use ostler_core::types::{ConnectionId, SessionId};
use slog::Logger;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// What every connection of the server needs, whichever arbiter it lives on.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) door: Arc<Door>,
    pub(crate) rooms: Switchboard,
    pub(crate) questions: Questions,
    pub(crate) postboxes: Postboxes,
    pub(crate) view: ReadView,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    pub(crate) words: Arc<Words>,
    pub(crate) handshake_timeout: Duration,
    pub(crate) outstanding_max: u64,
    pub(crate) faults: RoomFaults,
    pub(crate) logger: Logger,
}

/// Wakes one connection's task, on its own thread.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.replace(true)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    /// Ready if it has rung since it last was; else the task is woken when it does.
    pub(crate) fn poll_rung(&self, cx: &Context<'_>) -> Poll<()> {
        if self.rung.replace(false) {
            return Poll::Ready(());
        }
        let known = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(known.or_else(|| Some(cx.waker().clone())));
        Poll::Pending
    }
}

/// How posts reach one connection's task.
#[derive(Default)]
pub(crate) struct Lane {
    inbox: RefCell<Vec<Post>>,
    pub(crate) bell: Bell,
    session: Cell<SessionId>,
    heard_ms: Cell<u64>,
    noted: Cell<bool>,
}

impl Lane {
    pub(crate) fn take(&self) -> Vec<Post> {
        self.inbox.take()
    }

    /// The session it was last touched for, `NONE` before the first.
    pub(crate) fn session(&self) -> SessionId {
        self.session.get()
    }
}

/// One connection arbiter's shared state.
pub(crate) struct Hub {
    pub(crate) shared: Shared,
    arbiter: usize,
    lanes: RefCell<HashMap<ConnectionId, Rc<Lane>>>,
    heard: RefCell<Vec<Rc<Lane>>>,
    /// What connections have submitted since they had their turn. It departs together: the first
    /// of it wakes the pipeline, which finds the rest there and has all of it synced at once.
    departing: RefCell<Vec<Submission>>,
    /// Something departs, or some want to be vouched for and may ask.
    may_go: Notify,
}

impl Hub {
    /// Starts the hub of the arbiter it is called on.
    pub(crate) fn start(shared: Shared, arbiter: usize, touch_every: Duration) -> Rc<Self> {
        let hub = Rc::new(Self {
            shared,
            arbiter,
            lanes: RefCell::default(),
            heard: RefCell::default(),
            departing: RefCell::default(),
            may_go: Notify::new(),
        });
        actix_rt::spawn(Self::distribute(hub.clone()));
        actix_rt::spawn(Self::gather(hub.clone()));
        actix_rt::spawn(Self::report(hub.clone(), touch_every));
        hub
    }

    pub(crate) fn enter(&self, id: ConnectionId) -> Rc<Lane> {
        let lane = Rc::new(Lane::default());
        self.lanes.borrow_mut().insert(id, lane.clone());
        lane
    }

    pub(crate) fn leave(&self, id: ConnectionId) {
        self.lanes.borrow_mut().remove(&id);
        self.depart();
        self.shared.questions.forget(id);
    }

    /// Notes that a session was heard from.
    pub(crate) fn touch(&self, lane: &Rc<Lane>, session: SessionId) {
        lane.session.set(session);
        lane.heard_ms.set(self.shared.clock.mono_ms());
        if !lane.noted.replace(true) {
            self.heard.borrow_mut().push(lane.clone());
        }
    }

    /// A connection submits requests.
    pub(crate) fn submit(&self, submission: Submission) {
        self.shared.questions.ask_before(submission.sender.connection);
        self.departing.borrow_mut().push(submission);
        self.may_go.notify_one();
    }

    /// What has been submitted goes on its way, in the order it came.
    fn depart(&self) {
        for submission in self.departing.take() {
            self.shared.rooms.pipeline(pipeline::Input::Submit(submission));
        }
    }

    /// A connection wants to be vouched for.
    pub(crate) fn ask_for(&self, sender: Arc<Sender>) {
        if self.shared.questions.want(sender) {
            self.may_go.notify_one();
        }
    }

    async fn gather(hub: Rc<Self>) {
        loop {
            hub.may_go.notified().await;
            // Once all connections have had their turn for which something has come meanwhile.
            actix_rt::task::yield_now().await;
            hub.depart();
            hub.shared.questions.ask();
        }
    }

    /// Puts what lies in this arbiter's postbox into the lanes of its connections. A connection
    /// that has to see what has been posted so far calls it and then takes from its lane: all
    /// on one thread and without an await, so no post is ever in between.
    pub(crate) fn sort(&self) {
        // What is half-sorted would be lost to others.
        shared(|| self.sort_all());
    }

    fn sort_all(&self) {
        let mut gone = Vec::new();
        let lanes = self.lanes.borrow();
        let posts = self.shared.postboxes.of(self.arbiter).take();
        for post in posts {
            if let Some(lane) = lanes.get(&post.connection()) {
                lane.inbox.borrow_mut().push(post);
                lane.bell.ring();
            } else {
                self.shared.counters.count_stale(&post);
                gone.push(post.connection());
            }
        }
        drop(lanes);
        if !gone.is_empty() {
            // A watch may have been set for a connection after its end had been told.
            self.shared.rooms.watch_fanout(watch_fanout::Input::Closed(gone));
        }
    }

    async fn distribute(hub: Rc<Self>) {
        let postboxes = hub.shared.postboxes.clone();
        loop {
            postboxes.of(hub.arbiter).rung().await;
            hub.sort();
        }
    }

    async fn report(hub: Rc<Self>, every: Duration) {
        let mut timer = tokio::time::interval(every);
        loop {
            timer.tick().await;
            give_back_at_rest();
            let heard = hub.heard.take();
            if heard.is_empty() {
                continue;
            }
            let touched = heard.iter().map(|lane| {
                lane.noted.set(false);
                (lane.session.get(), lane.heard_ms.get())
            });
            hub.shared.rooms.session_sweeper(session_sweeper::Input::Touched(touched.collect()));
        }
    }
}
