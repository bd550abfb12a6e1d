//! Rooms that panic one by one, and what comes after them: as in production, where the factories of
//! tenants do the same with the same parts of core.

use crate::server::{self, Name, Planned, Post, Room, Rooms, SnapshotDesk};
use crate::world::World;
use ostler_core::log::LogError;
use ostler_core::log::snapshot::remove_unfinished;
use ostler_core::rooms::log_writer::LogWriter;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::tree_store::View;
use ostler_core::rooms::unproven::Beginning;
use ostler_core::rooms::{Machine, pipeline, session_sweeper, tree_store};
use ostler_core::tree::Tree;
use ostler_core::types::Zxid;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a room is doing when it panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It is about to take in what comes next, or to perform it.
    Before,
    /// Its machine has taken an input in; nothing of what that led to was performed.
    Within,
}

/// Those that have successors.
pub(crate) const MORTAL: [Name; 7] = [
    Name::Peer,
    Name::Pipeline,
    Name::Log,
    Name::Tree,
    Name::Fanout,
    Name::Sweeper,
    Name::Snapshot,
];

impl World {
    /// The room that was about to act panics instead.
    pub(crate) fn panic_room(&mut self, server: usize, name: Name, moment: Moment) {
        self.trace(|| format!("{server}: {name:?} panics {moment:?}"));
        self.tally.count("panics", 1);
        let now = self.servers[server].now(self.now_us);
        match name {
            Name::Sweeper => self.next_sweeper(server),
            Name::Fanout => self.next_fanout(server),
            Name::Snapshot => self.next_snapshot_writer(server),
            Name::Log => self.next_log_writer(server, moment),
            Name::Peer => {
                self.rooms(server).peer.inbox.pop_front();
                self.next_consensus(server, None);
            }
            Name::Pipeline => {
                let room = &mut self.rooms(server).pipeline;
                let mut kept = None;
                if moment == Moment::Within
                    && room.outbox.is_empty()
                    && let Some(input) = room.inbox.pop_front()
                {
                    kept = input.outlives_its_pipeline().then(|| input.clone());
                    let mut decided = Vec::new();
                    room.machine.step(now, input, &mut decided);
                    room.outbox.extend(decided);
                }
                self.next_consensus(server, kept);
            }
            Name::Tree => self.next_tree(server, moment),
        }
        if self.is_up(server) {
            for name in MORTAL {
                self.wake(server, name);
            }
        }
    }

    fn next_sweeper(&mut self, server: usize) {
        let machine = server::sweeper(&self.plan);
        let rooms = self.rooms(server);
        let all = |tree: &Tree| tree.sessions().map(|(id, one)| (id, one.timeout_ms)).collect();
        let sessions = rooms.view.look(all).map(|sessions| rooms.with_granted(sessions));
        rooms.sweeper.succeed(machine);
        rooms.sweeper.inbox.push_front(rooms.clocks.clone());
        match sessions {
            Some(sessions) => {
                rooms.sweeper.inbox.push_front(session_sweeper::Input::Restored(sessions));
            }
            None => self.tell_tree(server, tree_store::Input::SessionsWanted),
        }
    }

    /// What a step that was over had decided is performed by the successor, whose machine is the
    /// same. Else the tree is made anew.
    fn next_tree(&mut self, server: usize, moment: Moment) {
        let accesses = self.dice.within(1, 3) as u32;
        let is_over = match moment {
            Moment::Before => !self.rooms(server).tree.outbox.is_empty(),
            Moment::Within => self.ends_step(server, accesses),
        };
        if is_over {
            return self.tally.count("tree stores kept", 1);
        }
        let view = self.rooms(server).view.clone();
        let blank = server::tree_store(&self.plan, &view, 0);
        let Room { machine, inbox, .. } = &mut self.rooms(server).tree;
        let heir = std::mem::replace(machine, blank).heir();
        *machine = heir;
        inbox.push_front(tree_store::Input::Rebuild);
    }

    /// The tree store's next step panics at its so-manieth access to the tree, if it comes to that;
    /// whether it does not, or there is one before it that is still performed.
    fn ends_step(&mut self, server: usize, accesses: u32) -> bool {
        let now = self.servers[server].now(self.now_us);
        let Rooms { tree: room, view, .. } = self.rooms(server);
        if !room.outbox.is_empty() {
            return true;
        }
        let Some(input) = room.inbox.pop_front() else { return true };
        let mut decided = Vec::new();
        view.lay_fuse(accesses);
        let step = AssertUnwindSafe(|| room.machine.step(now, input, &mut decided));
        let ended = catch_unwind(step);
        view.lay_fuse(0);
        match ended {
            Ok(()) => room.outbox.extend(decided),
            Err(cause) if cause.is::<Planned>() => return false,
            Err(cause) => resume_unwind(cause),
        }
        true
    }

    fn next_fanout(&mut self, server: usize) {
        let rooms = self.rooms(server);
        rooms.fanout.succeed(server::fanout());
        let all: Vec<_> = rooms.seats.keys().copied().collect();
        for id in all {
            self.post(server, id, Post::Gap);
        }
    }

    fn next_snapshot_writer(&mut self, server: usize) {
        let rooms = self.rooms(server);
        let kept = rooms.snapshot.inbox.pop_front();
        let mut inbox = std::mem::take(&mut rooms.snapshot.inbox);
        if let Some(SnapshotWork::Rebuild(zxid)) = &kept {
            rooms.wanted = Some(*zxid);
        }
        if let Some(zxid) = rooms.wanted {
            inbox.push_front(SnapshotWork::Rebuild(zxid));
        }
        let mut was_receiving = rooms.snapshot.is_receiving;
        match kept {
            Some(SnapshotWork::Open(learner) | SnapshotWork::Read(learner)) => {
                self.tell_pipeline(server, pipeline::Input::SnapshotUnreadable(learner));
            }
            Some(SnapshotWork::Load(zxid)) => inbox.push_front(SnapshotWork::Load(zxid)),
            Some(SnapshotWork::Receive(_) | SnapshotWork::Received { .. }) => was_receiving = true,
            Some(
                SnapshotWork::Begin(_)
                | SnapshotWork::Slice(_)
                | SnapshotWork::End
                | SnapshotWork::Abandon
                | SnapshotWork::Close(_)
                | SnapshotWork::Rebuild(_)
                | SnapshotWork::Replay(_),
            )
            | None => {}
        }
        self.rooms(server).snapshot = SnapshotDesk { inbox, ..SnapshotDesk::default() };
        if was_receiving {
            self.tell_pipeline(server, pipeline::Input::SnapshotLost);
        }
        if let Err(error) = remove_unfinished(&mut self.servers[server].disk.share()) {
            return self.disk_failed(server, &error);
        }
        self.tell_tree(server, tree_store::Input::SnapshotWriterLost);
    }

    fn next_log_writer(&mut self, server: usize, moment: Moment) {
        let rooms = self.rooms(server);
        let mut kept = None;
        if rooms.log_writer.outbox.is_empty()
            && let Some(input) = rooms.log_writer.inbox.pop_front()
        {
            kept = rooms.unproven.keep(&input);
            if moment == Moment::Within
                && let ostler_core::rooms::log_writer::Input::Orders { orders, .. } = &input
            {
                // Some of it was written.
                let written = orders.len() / 2;
                let _ = orders[..written].iter().try_for_each(|order| rooms.log.order(order));
            }
        }
        let (disk, id) = (self.servers[server].disk.share(), self.servers[server].id);
        let (log, found) = match server::open(disk, &self.plan, id) {
            Ok(opened) => opened,
            Err(error) => return self.disk_failed(server, &error),
        };
        let rooms = self.rooms(server);
        rooms.log = log;
        let (machine, first) = match rooms.unproven.beginning(found.last_zxid) {
            Beginning::Resumed(first) => (LogWriter::default(), first),
            Beginning::Void { first, is_known } => {
                if !is_known {
                    self.tell_pipeline(server, pipeline::Input::Anew);
                }
                (LogWriter::deaf(), first)
            }
        };
        let room = &mut self.rooms(server).log_writer;
        room.succeed(machine);
        for input in first.into_iter().chain(kept).rev() {
            room.inbox.push_front(input);
        }
    }

    /// Pipeline and peer begin anew together.
    fn next_consensus(&mut self, server: usize, kept: Option<pipeline::Input>) {
        let id = self.servers[server].id;
        let blank = server::blank_pipeline(&self.plan, id, &self.membership);
        let peer = server::peer(&self.plan, id, &self.membership);
        let rooms = self.rooms(server);
        rooms.peer.succeed(peer);
        let Room { machine, inbox, outbox, .. } = &mut rooms.pipeline;
        outbox.retain(pipeline::Effect::outlives_its_pipeline);
        let heir = std::mem::replace(machine, blank).heir();
        *machine = heir.expect("nothing was being changed");
        for input in [pipeline::Input::Anew].into_iter().chain(kept).rev() {
            inbox.push_front(input);
        }
    }

    fn disk_failed(&mut self, server: usize, error: &LogError) {
        assert!(matches!(error, LogError::Disk(_)), "server {server}: {error}");
        self.tally.count("disk errors", 1);
        self.die_of_disk(server);
    }

    /// Whether what a snapshot writer is asked for is part of a snapshot that was given up.
    pub(crate) fn is_given_up(&mut self, server: usize, work: &SnapshotWork) -> bool {
        let writing: Option<Zxid> = self.rooms(server).snapshot.writing.as_ref().map(|w| w.0);
        match work {
            SnapshotWork::Slice(_) | SnapshotWork::End | SnapshotWork::Abandon => writing.is_none(),
            SnapshotWork::Begin(_)
            | SnapshotWork::Open(_)
            | SnapshotWork::Read(_)
            | SnapshotWork::Close(_)
            | SnapshotWork::Receive(_)
            | SnapshotWork::Received { .. }
            | SnapshotWork::Load(_)
            | SnapshotWork::Rebuild(_)
            | SnapshotWork::Replay(_) => false,
        }
    }
}
