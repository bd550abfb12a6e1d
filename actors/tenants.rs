//! How the tenants of those rooms are made that have successors: the first one, and the next one
//! after a panic, from what is durable or has outlived it.

use crate::counters::Counters;
use crate::disk::DirectoryDisk;
use crate::log_writer::LogWriterRoom;
use crate::postbox::Post;
use crate::recover::log_settings;
use crate::room::{Hosted, Room};
use crate::session_sweeper::SessionSweeperRoom;
use crate::snapshot_transfer::Transfers;
use crate::snapshot_writer::{SnapshotOrders, SnapshotWriter};
use crate::supervision::Supervision;
use crate::supervisor::{Rebuilt, SupervisedRoom};
use crate::switchboard::SnapshotWork;
use crate::unproven::Unproven;
use crate::view::ReadView;
use crate::watch_fanout::WatchFanoutRoom;
use crate::wiring::{Plan, touch_every_ms};
use ostler_core::log::Log;
use ostler_core::log::snapshot::remove_unfinished;
use ostler_core::rooms::log_writer::LogWriter;
use ostler_core::rooms::session_sweeper::SessionSweeper;
use ostler_core::rooms::tree_store::View;
use ostler_core::rooms::watch_fanout::WatchFanout;
use ostler_core::rooms::{log_writer, pipeline, session_sweeper, tree_store, watch_fanout};
use ostler_core::types::SessionId;
use slog::o;
use std::collections::BTreeMap;
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
    let factory = move |_: Option<&session_sweeper::Input>| {
        let sessions = session_sweeper::Input::Restored(sessions(&view, &counters));
        Ok(Rebuilt { tenant: make(), first: vec![sessions, clocks.last()] })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// All open sessions with their timeouts in milliseconds. A client that came back may have been
/// granted a longer one than its session was made with.
fn sessions(view: &ReadView, counters: &Counters) -> Vec<(SessionId, i32)> {
    let sessions = |tree: &ostler_core::tree::Tree| {
        tree.sessions().map(|(id, record)| (id, record.timeout_ms)).collect()
    };
    let mut sessions: BTreeMap<SessionId, i32> = view.read(sessions);
    for connection in &counters.connections {
        let tally = connection.tally.lock();
        if let Some(timeout_ms) = sessions.get_mut(&tally.session) {
            *timeout_ms = tally.timeout_ms.max(*timeout_ms);
        }
    }
    sessions.into_iter().collect()
}

/// A successor knows no watches, and what its predecessor was about to post is lost. Connections
/// that watch or wait for an answer are told so before anything later is posted: they end, and
/// their clients come back and set their watches again.
pub(crate) fn watch_fanout(plan: &Plan<'_>) -> Room<WatchFanout, WatchFanoutRoom> {
    let Supervision { supervisor, service, patience, .. } = &plan.supervision;
    let seat = supervisor.seat(*service, "watch_fanout", *patience);
    let faults = plan.faults.clone().of(seat.name());
    let (postboxes, view) = (plan.postboxes.clone(), plan.view.clone());
    let (hash_seed, clock) = (plan.hash_seed, plan.clock);
    let make = move || {
        let room = WatchFanoutRoom { postboxes: postboxes.clone(), view: view.clone() };
        Hosted::new(WatchFanout::new(hash_seed), room, clock, faults.clone())
    };
    let first = make();
    let (postboxes, counters) = (plan.postboxes.clone(), plan.counters.clone());
    let factory = move |_: Option<&watch_fanout::Input>| {
        let all: Vec<_> = counters.connections.iter().map(|entry| *entry.key()).collect();
        postboxes.post(all.into_iter().map(Post::Gap));
        Ok(Rebuilt { tenant: make(), first: Vec::new() })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor opens the log as a start does, which makes all that is in it durable, and is given
/// again what was not durable and is not in it. While the log collects a leader's history, or a
/// promise is under way, there is no successor: what an open makes of those is a start's affair.
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
    let unproven = Unproven::default();
    let (open, waiting) = (settings.clone(), unproven.clone());
    let make = move |log| {
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
        Hosted::new(LogWriter::default(), room, clock, faults.clone())
    };
    let first = make(log);
    let factory = move |kept: Option<&log_writer::Input>| {
        let opened = Log::open(disk.share(), log_settings(&open));
        let (log, recovered) = opened.map_err(|error| error.to_string())?;
        let mut first = waiting.beyond(recovered.last_zxid)?;
        first.extend(kept.cloned());
        Ok(Rebuilt { tenant: make(log), first })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}

/// A successor has no snapshot to go on with: the one under way is given up, a learner begins
/// anew. What a leader was sending here cannot be taken up again.
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
            current: None,
            faults: faults.clone(),
        };
        Hosted::new(SnapshotOrders, room, clock, faults.clone())
    };
    let first = make();
    let factory = move |kept: Option<&SnapshotWork>| {
        let lost = matches!(kept, Some(SnapshotWork::Receive(_)));
        if lost || underway.load(Ordering::SeqCst) {
            return Err("what a leader was sending is lost with it".to_owned());
        }
        if let Some(SnapshotWork::Open(learner)) = kept {
            book.pipeline(pipeline::Input::SnapshotUnreadable(*learner));
        }
        remove_unfinished(&mut left.share()).map_err(|error| error.to_string())?;
        book.tree_store(tree_store::Input::SnapshotWriterLost);
        Ok(Rebuilt { tenant: make(), first: Vec::new() })
    };
    SupervisedRoom::new(seat, first, Box::new(factory))
}
