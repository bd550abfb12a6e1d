//! One simulated server: the machines that run in production, each with its inbox, and what it
//! wants done in the order it said. Nothing is performed here.

use crate::disk::SharedDisk;
use crate::panics::Moment;
use crate::plan::Plan;
use ostler_core::log::snapshot::{Reader, Writer};
use ostler_core::log::transfer::{Sink, Source};
use ostler_core::log::{Entry, Log, LogError, LogSettings};
use ostler_core::rooms::asking::Asking;
use ostler_core::rooms::connection::Connection;
use ostler_core::rooms::log_writer::LogWriter;
use ostler_core::rooms::peer::Peer;
use ostler_core::rooms::pipeline::{Pipeline, PipelineSettings};
use ostler_core::rooms::rebuilding::{Rebuilding, catch_up};
use ostler_core::rooms::session_sweeper::{self, SessionSweeper};
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::tree_store::{Attached, Schedule, TreeStore, View};
use ostler_core::rooms::unproven::Unproven;
use ostler_core::rooms::watch_fanout::{Parcel, WatchFanout};
use ostler_core::rooms::{Machine, Now};
use ostler_core::tree::{Loader, Rules, Tree};
use ostler_core::types::{ConnectionId, ServerId, SessionId, Zxid};
use ostler_core::zab::quorum::Membership;
use ostler_core::zab::{Proposal, Recovered};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::rc::Rc;

/// The rooms of a server that have something to do of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Peer,
    Pipeline,
    Log,
    Tree,
    Fanout,
    Sweeper,
    Snapshot,
}

/// A machine in its room: what has come, and what it wants done.
pub(crate) struct Room<M: Machine> {
    pub(crate) machine: M,
    pub(crate) inbox: VecDeque<M::Input>,
    pub(crate) outbox: VecDeque<M::Effect>,
    /// Its next act is on the agenda.
    pub(crate) is_awake: bool,
}

impl<M: Machine> Room<M> {
    fn new(machine: M) -> Self {
        Self { machine, inbox: VecDeque::new(), outbox: VecDeque::new(), is_awake: false }
    }

    /// Another machine takes over; what the one before had decided is lost.
    pub(crate) fn succeed(&mut self, machine: M) {
        self.machine = machine;
        self.outbox.clear();
    }

    /// The next effect to perform, after a step if there is none yet.
    pub(crate) fn next(&mut self, now: Now) -> Option<M::Effect> {
        if self.outbox.is_empty() {
            let input = self.inbox.pop_front()?;
            let mut effects = Vec::new();
            self.machine.step(now, input, &mut effects);
            self.outbox.extend(effects);
        }
        self.outbox.pop_front()
    }

    /// Whether it takes up work that it had not taken up before.
    pub(crate) fn begins(&mut self) -> bool {
        let has_work = !self.inbox.is_empty() || !self.outbox.is_empty();
        has_work && !std::mem::replace(&mut self.is_awake, true)
    }
}

/// The tree as one thread sees it.
#[derive(Clone)]
pub(crate) struct Shown(Rc<Shelf>);

struct Shelf {
    tree: RefCell<Tree>,
    is_shown: Cell<bool>,
    /// See [`Shown::lay_fuse`].
    fuse: Cell<u32>,
}

/// What a planned panic carries.
pub(crate) struct Planned;

impl Shown {
    fn new(tree: Tree) -> Self {
        Self(Rc::new(Shelf {
            tree: RefCell::new(tree),
            is_shown: Cell::new(true),
            fuse: Cell::new(0),
        }))
    }

    /// The so-manieth access from here on panics when it is done; 0 for none.
    pub(crate) fn lay_fuse(&self, accesses: u32) {
        self.0.fuse.set(accesses);
    }

    fn burn(&self) {
        let left = self.0.fuse.get();
        self.0.fuse.set(left.saturating_sub(1));
        if left == 1 {
            // Half-changed at its worst: whoever saw anything of it would tell nonsense.
            *self.0.tree.borrow_mut() = Tree::new(RULES, HASH_SEED);
            resume_unwind(Box::new(Planned));
        }
    }
}

impl View for Shown {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        let Shelf { tree, is_shown, .. } = &*self.0;
        let was_shown = is_shown.replace(false);
        let result = f(&mut tree.borrow_mut());
        self.burn();
        is_shown.set(was_shown);
        result
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        let result = f(&self.0.tree.borrow());
        self.burn();
        result
    }

    fn look<R>(&self, f: impl FnOnce(&Tree) -> R) -> Option<R> {
        self.0.is_shown.get().then(|| self.read(f))
    }

    fn hide(&self) {
        self.0.is_shown.set(false);
    }

    fn show(&self) {
        self.0.is_shown.set(true);
    }
}

/// The snapshot writer's files.
#[derive(Default)]
pub(crate) struct SnapshotDesk {
    pub(crate) inbox: VecDeque<SnapshotWork>,
    pub(crate) is_awake: bool,
    pub(crate) writing: Option<(Zxid, Writer<SharedDisk>)>,
    pub(crate) sources: BTreeMap<ServerId, Source<SharedDisk>>,
    pub(crate) sink: Option<Sink<SharedDisk>>,
    /// Whether a leader is sending a snapshot.
    pub(crate) is_receiving: bool,
    /// The tree that is made anew.
    pub(crate) rebuilding: Option<Rebuilding>,
}

impl SnapshotDesk {
    /// As [`Room::begins`].
    pub(crate) fn begins(&mut self) -> bool {
        !self.inbox.is_empty() && !std::mem::replace(&mut self.is_awake, true)
    }
}

/// What a connection is handed by other rooms.
pub(crate) enum Post {
    Parcel(Parcel),
    Attached(Attached),
    /// Something that was on its way is lost.
    Gap,
    Kick,
}

/// One accepted connection.
pub(crate) struct Seat {
    pub(crate) machine: Connection,
    pub(crate) wire: u64,
    pub(crate) posts: VecDeque<Post>,
    pub(crate) unread: Vec<u8>,
    pub(crate) is_closing: bool,
}

/// One life of a server.
pub(crate) struct Rooms {
    pub(crate) peer: Room<Peer>,
    pub(crate) pipeline: Room<Pipeline>,
    pub(crate) log_writer: Room<LogWriter>,
    pub(crate) log: Log<SharedDisk>,
    /// Outlives the log writer's machine.
    pub(crate) unproven: Unproven,
    /// The log waits for the disk.
    pub(crate) is_syncing: bool,
    pub(crate) tree: Room<TreeStore<Shown>>,
    pub(crate) fanout: Room<WatchFanout>,
    pub(crate) sweeper: Room<SessionSweeper>,
    pub(crate) snapshot: SnapshotDesk,
    /// Somebody waits for the tree as it was at this zxid: outlives the snapshot writer.
    pub(crate) wanted: Option<Zxid>,
    pub(crate) view: Shown,
    /// Every event up to here has been posted.
    pub(crate) delivered: Zxid,
    /// Connections that want to be vouched for.
    pub(crate) asking: Asking,
    pub(crate) seats: BTreeMap<ConnectionId, Seat>,
    pub(crate) heard: BTreeMap<SessionId, u64>,
    /// Whose session clocks run, as was said last.
    pub(crate) clocks: session_sweeper::Input,
    /// Rooms that panic instead of acting next.
    pub(crate) doomed: BTreeMap<Name, Moment>,
}

impl Rooms {
    /// Sessions of the tree, each with the timeout that its connection here was granted.
    pub(crate) fn with_granted(&self, sessions: Vec<(SessionId, i32)>) -> Vec<(SessionId, i32)> {
        let mut sessions: BTreeMap<SessionId, i32> = sessions.into_iter().collect();
        for seat in self.seats.values() {
            if let Some(timeout_ms) = sessions.get_mut(&seat.machine.session()) {
                *timeout_ms = seat.machine.timeout_ms.max(*timeout_ms);
            }
        }
        sessions.into_iter().collect()
    }
}

/// See the module.
pub(crate) struct Server {
    pub(crate) id: ServerId,
    /// Counts starts; what belongs to an earlier one is void.
    pub(crate) life: u64,
    pub(crate) disk: SharedDisk,
    pub(crate) rooms: Option<Rooms>,
    pub(crate) paused_until_us: u64,
    /// Parts per million that its clock runs faster.
    pub(crate) skew_ppm: i64,
    pub(crate) wall_offset_ms: i64,
    pub(crate) sync_us: u64,
    pub(crate) connections: u64,
    /// The machine is without power, so its links fall silent instead of breaking.
    pub(crate) is_dark: bool,
}

impl Server {
    pub(crate) fn now(&self, now_us: u64) -> Now {
        let ran_us = now_us as i128 * (1_000_000 + i128::from(self.skew_ppm)) / 1_000_000;
        let mono_ms = (ran_us / 1000) as u64;
        Now { mono_ms, wall_ms: 1_700_000_000_000 + self.wall_offset_ms + mono_ms as i64 }
    }

    pub(crate) fn is_paused(&self, now_us: u64) -> bool {
        now_us < self.paused_until_us
    }
}

/// What recovery gives: the rooms, and the history that was replayed into the tree.
pub(crate) struct Recovery {
    pub(crate) rooms: Rooms,
    pub(crate) snapshot: Zxid,
    pub(crate) replayed: Vec<Proposal>,
    pub(crate) recovered: Recovered,
}

const RULES: Rules = Rules { extended_types: true, enforce_quota: false, skip_acl: false };
/// Spreads the tree's index; trees with different ones behave the same.
const HASH_SEED: u64 = 7;

/// Opens a log.
pub(crate) fn open(
    disk: SharedDisk,
    plan: &Plan,
    id: ServerId,
) -> Result<(Log<SharedDisk>, ostler_core::log::Recovered), LogError> {
    let mut directory = [0; 16];
    directory[0] = id.0 as u8;
    let segment_bytes = plan.segment_bytes;
    Log::open(disk, LogSettings { segment_bytes, server: id, directory })
}

/// From the disk to rooms that are ready, as a server's start does it.
pub(crate) fn recover(
    disk: &SharedDisk,
    plan: &Plan,
    id: ServerId,
    membership: &Membership,
    first_serial: u64,
) -> Result<Recovery, LogError> {
    let (mut log, found) = open(disk.share(), plan, id)?;
    let mut tree = load(disk, found.snapshot)?;
    let (mut replayed, is_alone) = (Vec::new(), plan.servers() == 1);
    let mut each = |entry: Entry<'_>| replayed.push(entry.to_proposal());
    let recovered = catch_up(&mut log, &found, &mut tree, is_alone, &mut each)?;
    let pipeline = pipeline(plan, id, membership, recovered, first_serial);
    let view = Shown::new(tree);
    let store = tree_store(plan, &view, replayed.len() as u64);
    let rooms = Rooms {
        peer: Room::new(peer(plan, id, membership)),
        pipeline: Room::new(pipeline),
        log_writer: Room::new(LogWriter::default()),
        log,
        unproven: Unproven::default(),
        is_syncing: false,
        tree: Room::new(store),
        fanout: Room::new(fanout()),
        sweeper: Room::new(sweeper(plan)),
        snapshot: SnapshotDesk::default(),
        wanted: None,
        view,
        delivered: Zxid::ZERO,
        asking: Asking::default(),
        seats: BTreeMap::new(),
        heard: BTreeMap::new(),
        clocks: session_sweeper::Input::Pause,
        doomed: BTreeMap::new(),
    };
    let snapshot = found.snapshot.unwrap_or_default();
    Ok(Recovery { rooms, snapshot, replayed, recovered })
}

fn pipeline(
    plan: &Plan,
    id: ServerId,
    membership: &Membership,
    recovered: Recovered,
    first_serial: u64,
) -> Pipeline {
    let mut pipeline = Pipeline::new(PipelineSettings {
        me: id,
        membership: membership.clone(),
        timing: plan.timing,
        recovered,
        window_bytes: if plan.servers() == 1 { 0 } else { plan.window_bytes },
        first_serial,
    });
    pipeline.let_flow(plan.flow);
    if let Some(counter_max) = plan.counter_max {
        pipeline.roll_over_at(counter_max);
    }
    pipeline
}

/// Stands in a pipeline's place while the next one is made.
pub(crate) fn blank_pipeline(plan: &Plan, id: ServerId, membership: &Membership) -> Pipeline {
    pipeline(plan, id, membership, Recovered::default(), 0)
}

pub(crate) fn tree_store(plan: &Plan, view: &Shown, replayed: u64) -> TreeStore<Shown> {
    let schedule = Schedule {
        snapshot_every_txns: plan.snapshot_every_txns,
        snapshot_every_bytes: u64::MAX,
        never_used_ms: 500,
        reap_max: 10,
    };
    TreeStore::new(view.clone(), schedule, replayed)
}

pub(crate) fn peer(plan: &Plan, id: ServerId, membership: &Membership) -> Peer {
    Peer::new(id, membership.clone(), plan.timing)
}

pub(crate) fn fanout() -> WatchFanout {
    WatchFanout::new(HASH_SEED)
}

pub(crate) fn sweeper(plan: &Plan) -> SessionSweeper {
    SessionSweeper::new(sweep_ms(plan) as u32, touch_ms(plan) * 2)
}

/// Width of the sweeper's buckets, in milliseconds.
pub(crate) fn sweep_ms(plan: &Plan) -> u64 {
    (plan.session_timeout_ms as u64 / 20).max(100)
}

/// How often connections tell the sweeper whom they heard, in milliseconds.
pub(crate) fn touch_ms(plan: &Plan) -> u64 {
    (sweep_ms(plan) / 4).max(25)
}

/// The tree of a snapshot, or an empty one.
pub(crate) fn load(disk: &SharedDisk, snapshot: Option<Zxid>) -> Result<Tree, LogError> {
    let Some(zxid) = snapshot else { return Ok(Tree::new(RULES, HASH_SEED)) };
    let mut reader = Reader::open(disk.share(), zxid)?;
    let mut loader = Loader::new(RULES, HASH_SEED);
    while let Some(chunk) = reader.chunk()? {
        loader.feed(&chunk).unwrap_or_else(|e| panic!("the snapshot at {zxid}: {e}"));
    }
    Ok(loader.finish(zxid).unwrap_or_else(|e| panic!("the snapshot at {zxid}: {e}")))
}
