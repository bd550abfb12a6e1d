//! The room that owns all watches and hands out events.
//!
//! TreeStore sends it one [`Delivery`] per batch of applied transactions, with the encoded
//! replies of that batch in between, and it merges both per connection in that one order: an
//! event stands before the reply that shows the change, and no event stands before the reply to
//! the read that set its watch. It encodes events, never data.
//!
//! A connection may be gone while a registration of it is still on its way here. Each
//! registration has a reply, which comes back to the connection's arbiter as a [`Parcel`]; an
//! arbiter that no longer has the connection answers it with [`Input::Closed`] again, and that
//! takes the late watch away.

mod anew;
mod parcels;

#[cfg(test)]
mod tests;

use super::{Machine, Now};
use crate::tree::Change;
use crate::types::{
    AuthId, ConnectionId, ErrorCode, EventType, RemoveKind, Reply, WatchEvent, WatchRegistration,
    Xid, Zxid,
};
use crate::watch::WatchTable;
use crate::wire::Codec;
use crate::words::Summary;
use alloc::sync::Arc;
use alloc::vec::Vec;
use anew::{Moved, Undo};
use foldhash::quality::FixedState;
use hashbrown::HashMap;
pub use parcels::Parcel;
use parcels::Parcels;

const FRAME_LENGTH_BYTES: usize = 4;

/// What can happen to the fan-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Transactions have been applied, and requests answered.
    Deliver(Delivery),
    /// These connections are gone. May name one that is not known, or was named before.
    Closed(Vec<ConnectionId>),
    /// Counting starts anew.
    ForgetStats,
}

/// What the fan-out asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand these to their connections. One parcel per connection, never an empty list.
    Post(Vec<Parcel>),
    /// Every event up to this zxid has been posted.
    Delivered(Zxid),
}

/// One batch from TreeStore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The last transaction applied before the batch ended.
    pub upto: Zxid,
    /// What came of it, in order.
    pub steps: Vec<Step>,
}

/// One thing in the order in which all clients are to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A znode changed. Concerns watches registered by earlier steps only.
    Change(Change),
    /// Encoded answers, passed on as they are.
    Reply {
        /// Whose requests they answer.
        connection: ConnectionId,
        /// How many requests that is.
        requests: u32,
        /// Whole frames.
        bytes: Vec<u8>,
    },
    /// A watch is set, beside those the connection holds already.
    Register {
        /// Whose it is.
        connection: ConnectionId,
        /// How its events are to be encoded.
        codec: Codec,
        /// What the connection has proven so far.
        ids: Arc<[AuthId]>,
        /// What is watched; need not exist.
        path: Arc<str>,
        /// Which kind of watch.
        registration: WatchRegistration,
    },
    /// The connection has proven another identity; changes from here on are judged by these.
    Identities {
        /// Whose they are.
        connection: ConnectionId,
        /// All it has proven.
        ids: Arc<[AuthId]>,
    },
    /// An event that setWatches makes up for what was missed. Not filtered, spends no watch.
    SynthesizedEvent {
        /// Who is told.
        connection: ConnectionId,
        /// How it is to be encoded.
        codec: Codec,
        /// The event; has no zxid.
        event: WatchEvent,
    },
    /// removeWatches or checkWatches, answered here.
    Watch {
        /// Whose watches.
        connection: ConnectionId,
        /// How the answer is to be encoded.
        codec: Codec,
        /// The request's number.
        xid: Xid,
        /// The zxid its reply shows.
        zxid: Zxid,
        /// What was asked.
        op: OwnedWatchOp,
    },
    /// The connection holds no watches from here on: it is about to set them all again.
    Reset {
        /// Whose watches are forgotten.
        connection: ConnectionId,
    },
}

/// The two watch operations that only the holder of the watches can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnedWatchOp {
    /// removeWatches.
    Remove {
        /// Path as sent.
        path: Arc<str>,
        /// Which kinds.
        kind: RemoveKind,
    },
    /// checkWatches.
    Check {
        /// Path as sent.
        path: Arc<str>,
        /// Which kinds.
        kind: RemoveKind,
    },
}

/// Counters since the start, or since they were forgotten. Summaries are over the changes that
/// anybody was told of: how many connections were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FanoutStats {
    /// Of created znodes.
    pub created: Summary,
    /// Of deleted znodes.
    pub deleted: Summary,
    /// Of replaced data.
    pub data_changed: Summary,
    /// Of changed lists of children.
    pub children_changed: Summary,
    /// Events kept back because the connection may not read the znode.
    pub suppressed_events: u64,
    /// Bytes of all events posted, without the lengths of their frames.
    pub event_bytes: u64,
}

/// What is known of a connection that has set a watch.
#[derive(Clone, Debug)]
struct Watcher {
    codec: Codec,
    ids: Arc<[AuthId]>,
}

impl Watcher {
    /// Whether this is the same, which costs no look at identities that nobody has changed.
    fn is(&self, other: Option<&Self>) -> bool {
        other.is_some_and(|other| self.codec == other.codec && Arc::ptr_eq(&self.ids, &other.ids))
    }
}

/// A list that is kept between deliveries gives its memory back if it grew longer than this.
const KEPT: usize = 1024;

/// The machine.
#[derive(Debug)]
pub struct WatchFanout {
    fan: Fan,
    /// The steps of the delivery that is being taken in, but for replies already moved on.
    underway: Vec<Step>,
    /// That delivery's end.
    upto: Zxid,
}

/// What takes steps in.
///
/// Invariant: every connection with a watch in `table` stands in `watchers`.
#[derive(Debug)]
struct Fan {
    table: WatchTable,
    watchers: HashMap<ConnectionId, Watcher, FixedState>,
    parcels: Parcels,
    /// Kept between changes so that telling allocates nothing in the long run.
    told: Vec<ConnectionId>,
    stats: FanoutStats,
    /// How to take back what the delivery under way has changed.
    undo: Undo,
}

impl WatchFanout {
    /// Without watches. The seed keeps clients from choosing paths whose hashes collide.
    pub fn new(hash_seed: u64) -> Self {
        let fan = Fan {
            table: WatchTable::new(hash_seed),
            watchers: HashMap::with_hasher(FixedState::with_seed(hash_seed)),
            parcels: Parcels::new(hash_seed),
            told: Vec::new(),
            stats: FanoutStats::default(),
            undo: Undo::default(),
        };
        Self { fan, underway: Vec::new(), upto: Zxid::ZERO }
    }

    /// All watches, for counting and listing them.
    pub fn table(&self) -> &WatchTable {
        &self.fan.table
    }

    /// What was done since the start.
    pub fn stats(&self) -> FanoutStats {
        self.fan.stats
    }

    fn deliver(&mut self, delivery: Delivery, effects: &mut Vec<Effect>) {
        (self.underway, self.upto) = (delivery.steps, delivery.upto);
        self.fan.begin();
        for (at, step) in self.underway.iter_mut().enumerate() {
            self.fan.take(at, step);
        }
        let parcels = self.fan.parcels.take_all();
        if !parcels.is_empty() {
            effects.push(Effect::Post(parcels));
        }
        effects.push(Effect::Delivered(self.upto));
        self.underway = Vec::new();
        self.fan.settle();
    }
}

impl Fan {
    /// Takes in the step at this place of its delivery.
    fn take(&mut self, at: usize, step: &mut Step) {
        match step {
            Step::Change(change) => self.fire(change),
            Step::Reply { connection, requests, bytes } => {
                if let Some(length) = self.parcels.move_replies(*connection, *requests, bytes) {
                    self.undo.moved.push(Moved { at, connection: *connection, length });
                }
            }
            Step::Register { connection, codec, ids, path, registration } => {
                self.know(*connection, Some(Watcher { codec: *codec, ids: ids.clone() }));
                self.table.register(*connection, path.clone(), *registration);
            }
            Step::Identities { connection, ids } => {
                if let Some(Watcher { codec, .. }) = self.watchers.get(connection) {
                    let codec = *codec;
                    self.know(*connection, Some(Watcher { codec, ids: ids.clone() }));
                }
            }
            Step::SynthesizedEvent { connection, codec, event } => {
                let mut frame = Vec::new();
                codec.encode_event(event, &mut frame);
                self.post_event(*connection, &frame);
                self.count_change(event.event, 1);
            }
            Step::Watch { connection, codec, xid, zxid, op } => {
                let reply = self.answer(*connection, op);
                let mut bytes = Vec::new();
                codec.encode_reply(*xid, *zxid, &reply, &mut bytes);
                self.parcels.add_replies(*connection, 1, &bytes);
            }
            Step::Reset { connection } => self.forget(*connection),
        }
    }

    /// What is known of a connection from here on.
    fn know(&mut self, connection: ConnectionId, watcher: Option<Watcher>) {
        if self.watchers.get(&connection).is_some_and(|known| known.is(watcher.as_ref())) {
            return;
        }
        let before = match watcher {
            Some(watcher) => self.watchers.insert(connection, watcher),
            None => self.watchers.remove(&connection),
        };
        self.undo.known.push((connection, before));
    }

    /// Tells every connection that watches this change and may read the znode.
    fn fire(&mut self, change: &Change) {
        if self.table.is_empty() {
            return;
        }
        let mut told = core::mem::take(&mut self.told);
        self.table.fire(change.event, &change.path, &mut told);
        let mut frames = EventFrames::new(change);
        let mut posted = 0;
        for connection in told.drain(..) {
            let watcher = self.watchers.get(&connection).expect("who holds a watch is known");
            if change.readers.admits(&watcher.ids) {
                self.post_event(connection, frames.of(watcher.codec));
                posted += 1;
            } else {
                self.stats.suppressed_events += 1;
            }
        }
        if told.capacity() <= KEPT {
            self.told = told;
        }
        self.count_change(change.event, posted);
    }

    fn answer(&mut self, connection: ConnectionId, op: &OwnedWatchOp) -> Reply<'static> {
        let found = match op {
            OwnedWatchOp::Remove { path, kind } => self.table.remove(connection, path, *kind),
            OwnedWatchOp::Check { path, kind } => self.table.holds(connection, path, *kind),
        };
        if found { Reply::Done } else { Reply::Error(ErrorCode::NoWatcher) }
    }

    fn count_change(&mut self, event: EventType, posted: u64) {
        let summary = match event {
            EventType::Created => &mut self.stats.created,
            EventType::Deleted => &mut self.stats.deleted,
            EventType::DataChanged => &mut self.stats.data_changed,
            EventType::ChildrenChanged => &mut self.stats.children_changed,
        };
        if posted > 0 {
            summary.observe(posted);
        }
    }

    fn post_event(&mut self, connection: ConnectionId, frame: &[u8]) {
        self.stats.event_bytes += (frame.len() - FRAME_LENGTH_BYTES) as u64;
        self.parcels.add_event(connection, frame);
    }

    fn forget(&mut self, connection: ConnectionId) {
        if self.watchers.contains_key(&connection) {
            self.table.forget(connection);
            self.know(connection, None);
        }
    }
}

impl Machine for WatchFanout {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, _: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Deliver(delivery) => self.deliver(delivery, effects),
            Input::Closed(connections) => {
                for connection in connections {
                    self.fan.forget(connection);
                }
                self.fan.settle();
            }
            Input::ForgetStats => self.fan.stats = FanoutStats::default(),
        }
    }
}

/// The frames of one event, encoded at most once per codec and copied from here.
struct EventFrames {
    event: WatchEvent,
    encoded: Vec<(Codec, Vec<u8>)>,
}

impl EventFrames {
    fn new(change: &Change) -> Self {
        let Change { zxid, event, path, .. } = change;
        let event = WatchEvent { zxid: Some(*zxid), event: *event, path: path.clone() };
        Self { event, encoded: Vec::new() }
    }

    fn of(&mut self, codec: Codec) -> &[u8] {
        let known = self.encoded.iter().position(|(of, _)| *of == codec);
        let at = known.unwrap_or_else(|| {
            let mut frame = Vec::new();
            codec.encode_event(&self.event, &mut frame);
            self.encoded.push((codec, frame));
            self.encoded.len() - 1
        });
        &self.encoded[at].1
    }
}
