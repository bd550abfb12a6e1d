//! How the tenants of rooms are made: the first one, and the next one after a panic, from what is
//! durable or has outlived it.

use crate::disk::DirectoryDisk;
use crate::ensemble;
use crate::log_writer::LogWriterRoom;
use crate::peer::PeerRoom;
use crate::pipeline::PipelineRoom;
use crate::postbox::Post;
use crate::rebuilding::{Rebuilding, Wanted};
use crate::recover::{log_settings, random};
use crate::room::{At, Hosted, Remains, Room};
use crate::session_sweeper::SessionSweeperRoom;
use crate::settings::EnsembleSettings;
use crate::snapshot_transfer::Transfers;
use crate::snapshot_writer::{SnapshotOrders, SnapshotWriter};
use crate::supervision::Supervision;
use crate::supervisor::{Legacy, Rebuilt, SupervisedRoom};
use crate::tree_store::TreeStoreRoom;
use crate::view::ReadView;
use crate::watch_fanout::WatchFanoutRoom;
use crate::wiring::{Plan, touch_every_ms};
use ostler_core::log::Log;
use ostler_core::log::snapshot::remove_unfinished;
use ostler_core::rooms::log_writer::LogWriter;
use ostler_core::rooms::peer::Peer;
use ostler_core::rooms::pipeline::{Effect, Input, Pipeline, PipelineSettings};
use ostler_core::rooms::session_sweeper::SessionSweeper;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::tree_store::{Schedule, TreeStore, View};
use ostler_core::rooms::unproven::{Beginning, Unproven};
use ostler_core::rooms::watch_fanout::WatchFanout;
use ostler_core::rooms::{session_sweeper, tree_store, watch_fanout};
use ostler_core::tree::Tree;
use ostler_core::zab::Recovered;
use parking_lot::Mutex;
use slog::o;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A successor knows the sessions from the tree, and whose clocks run from whoever told its
/// predecessor. Each session gets its full timeout anew.
pub(crate) fn session_sweeper(plan: &Plan<'_>) -> Room<SessionSweeper, SessionSweeperRoom> {
    let Supervision { supervisor, service, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*service, "session_sweeper", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (rooms, counters, clock) = (plan.rooms.clone(), plan.counters.clone(), plan.clock);
    // Twice, because a touch may just have missed a report that is itself late by as much.
    let delay = touch_every_ms(plan.settings) * 2;
    let tick_ms = plan.settings.tick_ms;
    let make = move || {
        let room = SessionSweeperRoom { rooms: rooms.clone(), counters: counters.clone() };
        Hosted::new(SessionSweeper::new(tick_ms, delay), room, clock, faults.clone())
    };
    let first = make();
    let (view, counters) = (plan.view.clone(), plan.counters.clone());
    let clocks = plan.session_clocks.clone();
    let book = plan.rooms.clone();
    let factory = move |_: Legacy<'_, _>| {
        let all = |tree: &Tree| tree.sessions().map(|(id, one)| (id, one.timeout_ms)).collect();
        let mut first = vec![clocks.last()];
        match view.look(all) {
            Some(sessions) => {
                let sessions = counters.with_granted(sessions);
                first.insert(0, session_sweeper::Input::Restored(sessions));
            }
            None => book.tree_store(tree_store::Input::SessionsWanted),
        }
        Ok(Rebuilt { tenant: make(), first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor has all watches, as they were before the delivery at which its predecessor
/// panicked, and takes that in again. Should the panic have left the watches themselves in doubt,
/// connections that watch or wait for an answer are told so before anything later is posted: they
/// end, and their clients come back and set their watches again.
pub(crate) fn watch_fanout(plan: &Plan<'_>) -> Room<WatchFanout, WatchFanoutRoom> {
    let Supervision { supervisor, service, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*service, "watch_fanout", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (postboxes, view) = (plan.postboxes.clone(), plan.view.clone());
    let (hash_seed, clock) = (plan.hash_seed, plan.clock);
    let make = move |machine| {
        let room = WatchFanoutRoom { postboxes: postboxes.clone(), view: view.clone() };
        Hosted::new(machine, room, clock, faults.clone())
    };
    let first = make(WatchFanout::new(hash_seed));
    let (postboxes, counters) = (plan.postboxes.clone(), plan.counters.clone());
    let factory = move |legacy: Legacy<'_, Hosted<WatchFanout, WatchFanoutRoom>>| {
        let remains = legacy.tenant.map(Hosted::remains);
        let kept = legacy.kept.filter(|_| remains.as_ref().is_none_or(|left| left.at == At::Step));
        let (heir, undone, inputs) = match remains {
            Some(Remains { machine, undone, inputs, .. }) => {
                (machine.heir(hash_seed), undone, inputs)
            }
            None => (None, VecDeque::new(), VecDeque::new()),
        };
        let (machine, again) = heir.unwrap_or_else(|| {
            let all: Vec<_> = counters.connections.iter().map(|entry| *entry.key()).collect();
            postboxes.post(all.into_iter().map(Post::Gap));
            (WatchFanout::new(hash_seed), None)
        });
        let again = again.map(watch_fanout::Input::Deliver).into_iter();
        let first = again.chain(kept.cloned()).chain(inputs).collect();
        Ok(Rebuilt { tenant: make(machine).with_undone(undone), first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor opens the log as a start does, which makes all that is in it durable, and is given
/// again what was not durable and is not in it. While the log collects a leader's history, or a
/// promise is under way, an open loses too much for that: then the pipeline begins anew as well,
/// from what the log holds.
pub(crate) fn log_writer(
    plan: &Plan<'_>,
    log: Log<DirectoryDisk>,
    disk: DirectoryDisk,
) -> Room<LogWriter, LogWriterRoom> {
    let Supervision { supervisor, storage, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*storage, "log_writer", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (rooms, counters, clock) = (plan.rooms.clone(), plan.counters.clone(), plan.clock);
    let logger = plan.logger.new(o!("room" => "log"));
    let settings = plan.settings.clone();
    let unproven = Arc::new(Mutex::new(Unproven::default()));
    let (open, waiting) = (settings.clone(), unproven.clone());
    let make = move |log, machine| {
        let room = LogWriterRoom {
            log,
            rooms: rooms.clone(),
            snapshots_kept: settings.snapshots_kept,
            flush_due: false,
            unsynced: 0,
            unproven: unproven.clone(),
            counters: counters.clone(),
            logger: logger.clone(),
        };
        Hosted::new(machine, room, clock, faults.clone())
    };
    let first = make(log, LogWriter::default());
    let book = plan.rooms.clone();
    let factory = move |legacy: Legacy<'_, Hosted<LogWriter, LogWriterRoom>>| {
        let kept = legacy.kept.cloned();
        // Its files first: there is one log.
        drop(legacy.tenant);
        let opened = Log::open(disk.share(), log_settings(&open));
        let (log, recovered) = opened.map_err(|error| error.to_string())?;
        let (machine, mut first) = match waiting.lock().beginning(recovered.last_zxid) {
            Beginning::Resumed(first) => (LogWriter::default(), first),
            Beginning::Void { first, is_known } => {
                if !is_known {
                    book.pipeline(Input::Anew);
                }
                (LogWriter::deaf(), first)
            }
        };
        first.extend(kept);
        Ok(Rebuilt { tenant: make(log, machine), first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor has no snapshot to go on with: the one under way is given up, a learner begins
/// anew, and so does this server if a leader was sending one here.
pub(crate) fn snapshot_writer(
    plan: &Plan<'_>,
    disk: DirectoryDisk,
) -> Room<SnapshotOrders, SnapshotWriter> {
    let Supervision { supervisor, storage, unhurried, .. } = &plan.supervision;
    let seat = supervisor.seat(*storage, "snapshot_writer", *unhurried);
    let faults = plan.faults.clone().of(seat.name());
    let (rooms, counters, clock) = (plan.rooms.clone(), plan.counters.clone(), plan.clock);
    let logger = plan.logger.new(o!("room" => "snapshot"));
    let settings = Arc::new(plan.settings.clone());
    let receiving = Arc::new(AtomicBool::new(false));
    let wanted = Wanted::default();
    let unmade = wanted.clone();
    let (book, underway, left) = (rooms.clone(), receiving.clone(), disk.share());
    let make = move || {
        let transfers = Transfers {
            disk: disk.share(),
            settings: settings.clone(),
            rooms: rooms.clone(),
            logger: logger.clone(),
            sources: BTreeMap::new(),
            sink: None,
            receiving: receiving.clone(),
        };
        let room = SnapshotWriter {
            transfers,
            disk: disk.share(),
            rooms: rooms.clone(),
            logger: logger.clone(),
            counters: counters.clone(),
            rebuilding: Rebuilding::new(
                disk.share(),
                settings.clone(),
                rooms.clone(),
                wanted.clone(),
                logger.clone(),
            ),
            current: None,
            faults: faults.clone(),
        };
        Hosted::new(SnapshotOrders, room, clock, faults.clone())
    };
    let first = make();
    let factory = move |Legacy { tenant, kept }: Legacy<'_, _>| {
        drop(tenant);
        let mut first = Vec::new();
        match kept {
            Some(SnapshotWork::Open(learner)) => {
                book.pipeline(Input::SnapshotUnreadable(*learner));
            }
            Some(SnapshotWork::Load(zxid)) => first.push(SnapshotWork::Load(*zxid)),
            Some(SnapshotWork::Receive(_)) => underway.store(true, Ordering::SeqCst),
            Some(_) | None => {}
        }
        first.extend(unmade.zxid().map(SnapshotWork::Rebuild));
        if underway.swap(false, Ordering::SeqCst) {
            book.pipeline(Input::SnapshotLost);
        }
        remove_unfinished(&mut left.share()).map_err(|error| error.to_string())?;
        book.tree_store(tree_store::Input::SnapshotWriterLost);
        Ok(Rebuilt { tenant: make(), first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor has the requests of clients and knows whose sessions they are; it asks the log what
/// there is, and then looks for a leader.
pub(crate) fn pipeline(plan: &Plan<'_>, recovered: Recovered) -> Room<Pipeline, PipelineRoom> {
    let settings = plan.settings;
    let machine = Pipeline::new(PipelineSettings {
        me: settings.server,
        membership: ensemble::membership(settings),
        timing: ensemble::timing(settings),
        recovered,
        window_bytes: settings.ensemble.as_ref().map_or(0, |ensemble| ensemble.window_bytes),
        // Half of the numbers, so that they never run out.
        first_serial: u64::from_le_bytes(random()) >> 1,
    });
    let Supervision { supervisor, consensus, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*consensus, "pipeline", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (me, learns_as, clock) = (settings.server, ensemble::learns_as(settings), plan.clock);
    let (session_clocks, rooms) = (plan.session_clocks.clone(), plan.rooms.clone());
    let (postboxes, links) = (plan.postboxes.clone(), plan.links.clone());
    let (counters, questions) = (plan.counters.clone(), plan.questions.clone());
    let logger = plan.logger.new(o!("room" => "pipeline"));
    let make = move |machine| {
        let room = PipelineRoom {
            session_clocks: session_clocks.clone(),
            me,
            learns_as,
            rooms: rooms.clone(),
            postboxes: postboxes.clone(),
            questions: questions.clone(),
            links: links.clone(),
            counters: counters.clone(),
            clock,
            logger: logger.clone(),
        };
        Hosted::new(machine, room, clock, faults.clone())
    };
    let first = make(machine);
    let factory = move |legacy: Legacy<'_, Hosted<Pipeline, PipelineRoom>>| {
        let tenant = legacy.tenant.ok_or("what it left was lost with its first successor")?;
        let Remains { machine, at, decided, undone, inputs } = tenant.remains();
        let machine = machine.heir().ok_or("it failed while it changed what outlives it")?;
        let left = undone.into_iter().chain(decided);
        let tenant =
            make(machine).with_undone(left.filter(Effect::outlives_its_pipeline).collect());
        let kept = legacy.kept.filter(|_| at == At::Step).cloned();
        let first = [Input::Anew].into_iter().chain(kept).chain(inputs).collect();
        Ok(Rebuilt { tenant, first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor has nothing to remember: the pipeline, which begins anew with it, asks it to look.
pub(crate) fn peer(plan: &Plan<'_>) -> Room<Peer, PeerRoom> {
    let Supervision { supervisor, consensus, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*consensus, "peer", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (me, membership) = (plan.settings.server, ensemble::membership(plan.settings));
    let (timing, clock) = (ensemble::timing(plan.settings), plan.clock);
    let (rooms, links) = (plan.rooms.clone(), plan.links.clone());
    let make = move || {
        let room = PeerRoom { rooms: rooms.clone(), links: links.clone() };
        Hosted::new(Peer::new(me, membership.clone(), timing), room, clock, faults.clone())
    };
    let first = make();
    let factory = move |_: Legacy<'_, _>| Ok(Rebuilt { tenant: make(), first: Vec::new() });
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor of one that was at work has no tree: it is made anew from the disk, on another
/// thread, and the successor goes on where its predecessor had last told of what it did.
pub(crate) fn tree_store(
    plan: &Plan<'_>,
    replayed: u64,
) -> Room<TreeStore<ReadView>, TreeStoreRoom> {
    let settings = plan.settings;
    let sweeps_per_minute = (60_000 / settings.reap_interval_ms.max(1)).max(1);
    let schedule = Schedule {
        snapshot_every_txns: settings.snapshot_every_txns,
        snapshot_every_bytes: settings.snapshot_every_bytes,
        never_used_ms: settings.never_used_ms,
        reap_max: (u64::from(settings.reap_per_minute) / sweeps_per_minute).max(1) as usize,
    };
    let Supervision { supervisor, state, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*state, "tree_store", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (rooms, postboxes, clock) = (plan.rooms.clone(), plan.postboxes.clone(), plan.clock);
    let (counters, logger) = (plan.counters.clone(), plan.logger.new(o!("room" => "tree")));
    let make = move |machine| {
        let room = TreeStoreRoom {
            rooms: rooms.clone(),
            postboxes: postboxes.clone(),
            counters: counters.clone(),
            clock,
            logger: logger.clone(),
        };
        Hosted::new(machine, room, clock, faults.clone())
    };
    let members = settings.ensemble.as_ref().map(EnsembleSettings::text).unwrap_or_default();
    // Members count the same transactions: those that began together would take their snapshots
    // together, and hold up each other's disks and a quorum of logs.
    let turn = settings.ensemble.as_ref().map_or(0, |ensemble| {
        let before = ensemble.members.range(..settings.server).count() as u64;
        settings.snapshot_every_txns / ensemble.members.len().max(1) as u64 * before
    });
    let store = TreeStore::new(plan.view.clone(), schedule, replayed.max(turn));
    let first = make(store.among(members));
    let factory = move |legacy: Legacy<'_, Hosted<TreeStore<ReadView>, TreeStoreRoom>>| {
        let tenant = legacy.tenant.ok_or("what it left was lost with its first successor")?;
        let Remains { machine, at, undone, inputs, .. } = tenant.remains();
        let (machine, rebuild) = match at {
            At::Input | At::Step => (machine.heir(), Some(tree_store::Input::Rebuild)),
            // Its step was over, or it was only looked at.
            At::Effect | At::Rest => (machine, None),
        };
        let first = rebuild.into_iter().chain(inputs).collect();
        Ok(Rebuilt { tenant: make(machine).with_undone(undone), first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}
