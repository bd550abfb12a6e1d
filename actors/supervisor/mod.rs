//! Supervision on actix, which neither catches a panic nor builds an actor anew.
//!
//! The actor is a room and keeps its address and its mailbox. What does the work is its
//! *tenant*. When the tenant panics it is dropped, half-changed as it may be, and a *factory*
//! builds the next one; senders notice nothing but the time it took. Rooms belong to groups, each
//! with a strategy (who is built anew together) and a limit of failures in a stretch of time; see
//! [`tree`]. When the root's limit is passed, or a factory refuses, whoever observes is told to
//! end the process. A thread of its own asks every room for a sign of progress and finds those
//! that stall; see [`watchdog`].
//!
//! This folder knows nothing of Ostler: a tenant is anything that takes inputs one after the
//! other, and whoever uses it brings a [`Tenant`], a [`Factory`] and an observer for [`Notice`]s.
//! Two things it asks for: the process's panic hook calls [`whose_panic`] and [`note_cause`], and
//! tenants do all their work where they are called, not in futures they spawn.

mod guard;
mod rest;
mod room;
mod status;
#[cfg(test)]
mod tests;
mod tree;
mod watchdog;

pub(crate) use guard::{Guarded, note_cause, shared, whose_panic};
pub(crate) use rest::look as give_back_at_rest;
pub(crate) use room::{Deliver, Legacy, Look, Rebuilt, SupervisedRoom, Tenant};
pub(crate) use status::{State, StatusLine};
pub(crate) use tree::{Intensity, Strategy};
pub(crate) use watchdog::Patience;

use actix::{Message, Recipient};
use parking_lot::Mutex;
use status::Record;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tree::{GroupId, RoomId, Tree, Verdict};

/// What happens to rooms, for whoever logs it and ends the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice<'a> {
    /// A tenant panicked and is dropped; the next one is being built.
    Failed { room: &'static str, cause: &'a str },
    /// The room works again.
    Rebuilt { room: &'static str, down: Duration },
    /// The room has shown no progress for so long, but may still.
    Stalls { room: &'static str, silent: Duration },
    /// Nothing here can help any more: the process has to end. Should the observer return, the
    /// room stays without a tenant and drops what it is sent.
    End { room: &'static str, reason: &'a str },
}

/// Called on whichever thread it happens.
type Observer = Box<dyn Fn(&Notice<'_>) + Send + Sync>;

/// All supervised rooms of one server. A clone is the same supervisor.
#[derive(Clone)]
pub(crate) struct Supervisor(Arc<Inner>);

struct Inner {
    tree: Mutex<Tree>,
    records: Mutex<Vec<Arc<Record>>>,
    observer: Observer,
    start: Instant,
}

/// A group of rooms.
#[derive(Clone, Copy)]
pub(crate) struct Group(GroupId);

/// A room's own end of its supervisor.
pub(crate) struct Seat {
    supervisor: Supervisor,
    room: RoomId,
    record: Arc<Record>,
}

/// Sent to a room that is asked for a sign of progress, or is to be built anew.
pub(crate) struct Nudge;

impl Message for Nudge {
    type Result = ();
}

impl Supervisor {
    /// Without rooms. `root` names the group all others stand in.
    pub(crate) fn new(
        root: &'static str,
        strategy: Strategy,
        intensity: Intensity,
        observer: impl Fn(&Notice<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            tree: Mutex::new(Tree::new(root, strategy, intensity)),
            records: Mutex::default(),
            observer: Box::new(observer),
            start: Instant::now(),
        }))
    }

    /// The group all others stand in.
    pub(crate) fn root() -> Group {
        Group(Tree::ROOT)
    }

    /// A group in a group.
    pub(crate) fn group(
        &self,
        parent: Group,
        name: &'static str,
        strategy: Strategy,
        intensity: Intensity,
    ) -> Group {
        Group(self.0.tree.lock().add_group(parent.0, name, strategy, intensity))
    }

    /// A seat for a room, behind those that joined the group before. `patience` is how long it
    /// may show no progress.
    pub(crate) fn seat(&self, group: Group, name: &'static str, patience: Patience) -> Seat {
        let mut records = self.0.records.lock();
        let room = self.0.tree.lock().add_room(group.0);
        let record = Arc::new(Record::new(name, patience));
        records.push(record.clone());
        Seat { supervisor: self.clone(), room, record }
    }

    /// Asks rooms for progress this often, until the last clone of the supervisor is gone.
    pub(crate) fn watch(&self, every: Duration) -> std::io::Result<()> {
        watchdog::start(Arc::downgrade(&self.0), every)
    }

    /// The tree of rooms, for operators.
    pub(crate) fn status(&self) -> Vec<StatusLine> {
        let lines = self.0.tree.lock().lines(self.0.start.elapsed());
        let records = self.0.records.lock().clone();
        let now_ms = self.0.now_ms();
        let status = |room: RoomId| records[room.number()].status(now_ms);
        lines.into_iter().map(|line| line.map(status)).collect()
    }
}

impl Inner {
    fn tell(&self, notice: &Notice<'_>) {
        (self.observer)(notice);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn record(&self, room: RoomId) -> Arc<Record> {
        self.records.lock()[room.number()].clone()
    }
}

impl Seat {
    /// The room's name.
    pub(crate) fn name(&self) -> &'static str {
        self.record.name
    }

    /// Where the room is found, once it has an address.
    fn open(&self, address: Recipient<Nudge>) {
        *self.record.address.lock() = Some(address);
    }

    /// Runs the tenant, or builds one; a panic is caught and told as its cause.
    fn run<R>(&self, act: impl FnOnce() -> R) -> Result<R, String> {
        self.record.pulse.begin(self.supervisor.0.now_ms());
        let result = guard::run(self.record.name, act);
        self.record.pulse.end();
        result
    }

    /// Whether the room is to be built anew because another one of its group was; asked once.
    fn is_condemned(&self) -> bool {
        self.record.take_condemned()
    }

    fn alive(&self) {
        self.record.pulse.answer();
    }

    /// The tenant has panicked. Whether to build the next one.
    fn failed(&self, cause: &str) -> bool {
        let inner = &self.supervisor.0;
        self.record.fail(cause, inner.now_ms());
        inner.tell(&Notice::Failed { room: self.record.name, cause });
        let verdict = inner.tree.lock().failed(self.room, inner.start.elapsed());
        match verdict {
            Verdict::Rebuild(rooms) => {
                rooms.iter().filter(|room| **room != self.room).for_each(|room| {
                    inner.record(*room).condemn();
                });
                true
            }
            Verdict::End { group, failures, within } => {
                self.end(&format!(
                    "rooms of the group `{group}` failed {failures} times within {} s; the last \
                     cause: {cause}",
                    within.as_secs()
                ));
                false
            }
        }
    }

    /// The next tenant is being built because another room of its group failed.
    fn goes_down_with_its_group(&self) {
        self.record.fail("another room of its group failed", self.supervisor.0.now_ms());
    }

    fn rebuilt(&self) {
        let inner = &self.supervisor.0;
        let down = self.record.rise(inner.now_ms());
        inner.tell(&Notice::Rebuilt { room: self.record.name, down });
    }

    /// There is no next tenant.
    fn end(&self, reason: &str) {
        self.record.end();
        self.supervisor.0.tell(&Notice::End { room: self.record.name, reason });
    }
}
