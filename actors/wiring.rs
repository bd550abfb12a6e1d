//! Which room lives on which arbiter, and who may post to whom: the only file that names them all.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::Faults;
use crate::links::Links;
use crate::postbox::Postboxes;
use crate::recover::Recovery;
use crate::room::{Hosted, Inspect, Perform, Room};
use crate::session_clocks::SessionClocks;
use crate::settings::{EnsembleSettings, Settings};
use crate::supervision::Supervision;
use crate::supervisor::{Group, SupervisedRoom, Tenant};
use crate::switchboard::Switchboard;
use crate::tenants;
use crate::tree_store::TreeStoreRoom;
use crate::view::ReadView;
use actix::{Actor, Addr, ArbiterHandle, Recipient};
use actix_rt::Arbiter;
use ostler_core::rooms::Machine;
use ostler_core::rooms::log_writer::LogWriter;
use ostler_core::rooms::peer::Peer;
use ostler_core::rooms::pipeline::{self, Pipeline};
use ostler_core::rooms::session_sweeper::{self, SessionSweeper};
use ostler_core::rooms::tree_store::{Schedule, TreeStore, View};
use ostler_core::rooms::watch_fanout::WatchFanout;
use slog::{Logger, o};
use std::sync::Arc;

/// How often connections report the sessions they heard from, as a share of a tick.
const TOUCHES_PER_TICK: u64 = 8;

/// Rooms that other parts of the server may look into.
#[derive(Clone)]
pub(crate) struct Rooms {
    pub(crate) log_writer: Recipient<Inspect<LogWriter>>,
    pub(crate) pipeline: Recipient<Inspect<Pipeline>>,
    pub(crate) peer: Recipient<Inspect<Peer>>,
    pub(crate) tree_store: Recipient<Inspect<TreeStore<ReadView>>>,
    pub(crate) watch_fanout: Recipient<Inspect<WatchFanout>>,
    pub(crate) session_sweeper: Recipient<Inspect<SessionSweeper>>,
}

/// The threads of the server, ended together.
pub(crate) struct Arbiters {
    pub(crate) spine: Arbiter,
    /// None where the log lives on the spine.
    pub(crate) log: Option<Arbiter>,
    pub(crate) snapshot: Arbiter,
}

/// What all rooms are made from.
pub(crate) struct Plan<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) rooms: Switchboard,
    pub(crate) postboxes: Postboxes,
    pub(crate) links: Links,
    pub(crate) view: ReadView,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    /// Keeps clients from choosing paths that collide.
    pub(crate) hash_seed: u64,
    pub(crate) session_clocks: SessionClocks,
    pub(crate) supervision: Supervision,
    pub(crate) faults: Faults,
    pub(crate) logger: &'a Logger,
}

/// Longest time a touch is on its way to the sweeper, in milliseconds.
pub(crate) fn touch_every_ms(settings: &Settings) -> u64 {
    (u64::from(settings.tick_ms) / TOUCHES_PER_TICK).clamp(10, 500)
}

/// Starts every room and fills the address book. Nothing moves before the first input.
pub(crate) fn start(
    plan: &Plan<'_>,
    log: ostler_core::log::Log<crate::disk::DirectoryDisk>,
    disk: crate::disk::DirectoryDisk,
    replayed: u64,
    recovered: ostler_core::zab::Recovered,
) -> (Arbiters, Rooms) {
    // Alone, nothing is to be done while the disk writes that could not wait for it as well, and
    // two threads that wake each other for every batch take longer than a fast disk does.
    let own_thread = plan.settings.ensemble.is_some().then(Arbiter::new);
    let arbiters = Arbiters { spine: Arbiter::new(), log: own_thread, snapshot: Arbiter::new() };
    let book = plan.rooms.clone();
    let spine = arbiters.spine.handle();
    let log_thread = arbiters.log.as_ref().map_or_else(|| spine.clone(), Arbiter::handle);

    let pipeline = settle(&spine, tenants::pipeline(plan, recovered));
    let peer = settle(&spine, tenants::peer(plan));
    let tree_store = settle(&spine, tree_store(plan, replayed));
    let watch_fanout = settle(&spine, tenants::watch_fanout(plan));
    let session_sweeper = settle(&spine, tenants::session_sweeper(plan));
    let log_writer = settle(&log_thread, tenants::log_writer(plan, log, disk.share()));
    let snapshot_writer = settle(&arbiters.snapshot.handle(), tenants::snapshot_writer(plan, disk));

    let rooms = Rooms {
        log_writer: log_writer.clone().recipient(),
        pipeline: pipeline.clone().recipient(),
        peer: peer.clone().recipient(),
        tree_store: tree_store.clone().recipient(),
        watch_fanout: watch_fanout.clone().recipient(),
        session_sweeper: session_sweeper.clone().recipient(),
    };
    let addresses = book.addresses();
    let fresh = addresses.pipeline.set(pipeline.recipient()).is_ok()
        && addresses.peer.set(peer.recipient()).is_ok()
        && addresses.tree_store.set(tree_store.recipient()).is_ok()
        && addresses.watch_fanout.set(watch_fanout.recipient()).is_ok()
        && addresses.session_sweeper.set(session_sweeper.recipient()).is_ok()
        && addresses.log_writer.set(log_writer.recipient()).is_ok()
        && addresses.snapshot_writer.set(snapshot_writer.recipient()).is_ok();
    assert!(fresh, "an address book is filled once");
    (arbiters, rooms)
}

/// The first inputs: sessions get their clocks, and the server stands for election.
pub(crate) fn awaken(plan: &Plan<'_>) {
    let sessions = plan
        .view
        .read(|tree| tree.sessions().map(|(id, record)| (id, record.timeout_ms)).collect());
    plan.rooms.session_sweeper(session_sweeper::Input::Restored(sessions));
    plan.rooms.session_sweeper(session_sweeper::Input::Pause);
    plan.rooms.pipeline(pipeline::Input::Start);
}

/// A room that nobody has taught yet how to go on after a panic.
fn without_successors<M: Machine + Unpin, P: Perform<M>>(
    plan: &Plan<'_>,
    group: Group,
    name: &'static str,
    machine: M,
    performer: P,
) -> Room<M, P>
where
    Hosted<M, P>: Tenant,
{
    let Supervision { supervisor, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(group, name, *patience);
    let faults = plan.faults.clone().of(name);
    let tenant = Hosted::new(machine, performer, plan.clock, faults);
    SupervisedRoom::without_successors(seat, tenant)
}

fn settle<A>(arbiter: &ArbiterHandle, actor: A) -> Addr<A>
where
    A: Actor<Context = actix::Context<A>> + Send,
{
    A::start_in_arbiter(arbiter, move |_| actor)
}

fn tree_store(plan: &Plan<'_>, replayed: u64) -> Room<TreeStore<ReadView>, TreeStoreRoom> {
    let settings = plan.settings;
    let sweeps_per_minute = (60_000 / settings.reap_interval_ms.max(1)).max(1);
    let schedule = Schedule {
        snapshot_every_txns: settings.snapshot_every_txns,
        snapshot_every_bytes: settings.snapshot_every_bytes,
        never_used_ms: settings.never_used_ms,
        reap_max: (u64::from(settings.reap_per_minute) / sweeps_per_minute).max(1) as usize,
    };
    let room = TreeStoreRoom {
        rooms: plan.rooms.clone(),
        postboxes: plan.postboxes.clone(),
        counters: plan.counters.clone(),
        clock: plan.clock,
        logger: plan.logger.new(o!("room" => "tree")),
    };
    let members = settings.ensemble.as_ref().map(EnsembleSettings::text).unwrap_or_default();
    let machine = TreeStore::new(plan.view.clone(), schedule, replayed).among(members);
    without_successors(plan, plan.supervision.state, "tree_store", machine, room)
}

/// What recovery leaves to the rooms.
pub(crate) fn split(recovery: Recovery) -> Parts {
    let Recovery { log, disk, tree, replayed, recovered, measures } = recovery;
    Parts { log, disk, view: ReadView::new(tree), replayed, recovered, measures }
}

/// See [`split`].
pub(crate) struct Parts {
    pub(crate) log: ostler_core::log::Log<crate::disk::DirectoryDisk>,
    pub(crate) disk: crate::disk::DirectoryDisk,
    pub(crate) view: ReadView,
    pub(crate) replayed: u64,
    pub(crate) recovered: ostler_core::zab::Recovered,
    pub(crate) measures: crate::counters::Measures,
}
