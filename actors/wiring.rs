//! Which room lives on which arbiter, and who may post to whom: the only file that names them all.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::Faults;
use crate::links::Links;
use crate::postbox::Postboxes;
use crate::questions::Questions;
use crate::recover::Recovery;
use crate::room::Inspect;
use crate::session_clocks::SessionClocks;
use crate::settings::Settings;
use crate::supervision::Supervision;
use crate::switchboard::Switchboard;
use crate::tenants;
use crate::view::ReadView;
use actix::{Actor, Addr, ArbiterHandle, Recipient};
use actix_rt::Arbiter;
use ostler_core::rooms::log_writer::LogWriter;
use ostler_core::rooms::peer::Peer;
use ostler_core::rooms::pipeline::{self, Pipeline};
use ostler_core::rooms::session_sweeper::{self, SessionSweeper};
use ostler_core::rooms::tree_store::{TreeStore, View};
use ostler_core::rooms::watch_fanout::WatchFanout;
use slog::Logger;
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
    pub(crate) questions: Questions,
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
    let tree_store = settle(&spine, tenants::tree_store(plan, replayed));
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

fn settle<A>(arbiter: &ArbiterHandle, actor: A) -> Addr<A>
where
    A: Actor<Context = actix::Context<A>> + Send,
{
    A::start_in_arbiter(arbiter, move |_| actor)
}

/// What recovery leaves to the rooms.
pub(crate) fn split(recovery: Recovery, faults: &Faults) -> Parts {
    let Recovery { log, disk, tree, replayed, recovered, measures } = recovery;
    Parts {
        log,
        disk,
        view: ReadView::new(tree, faults.clone().of("tree_store")),
        replayed,
        recovered,
        measures,
    }
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
