//! The snapshot writer's work: files, and nothing decided.

use crate::server::load;
use crate::world::World;
use ostler_core::log::LogError;
use ostler_core::log::snapshot::{self, Writer};
use ostler_core::log::transfer::{Sink, Source};
use ostler_core::rooms::rebuilding::{Piece, Rebuilding};
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::{log_writer, pipeline, tree_store};
use ostler_core::types::{ServerId, Zxid};
use ostler_core::zab::{History, HistoryReader};

/// How much of a snapshot is sent at a time, in bytes: small, so that it takes several pieces.
const PIECE_BYTES: usize = 700;

impl World {
    pub(crate) fn perform_snapshot(&mut self, server: usize, work: SnapshotWork) {
        if self.is_given_up(server, &work) {
            return;
        }
        match work {
            SnapshotWork::Open(learner) => self.open_source(server, learner),
            SnapshotWork::Read(learner) => self.read_source(server, learner),
            SnapshotWork::Close(learner) => {
                self.rooms(server).snapshot.sources.remove(&learner);
            }
            SnapshotWork::Receive(zxid) => {
                let disk = self.servers[server].disk.share();
                match Sink::create(disk, zxid) {
                    Ok(sink) => {
                        let desk = &mut self.rooms(server).snapshot;
                        (desk.sink, desk.is_receiving) = (Some(sink), true);
                    }
                    Err(error) => self.snapshot_failed(server, &error),
                }
            }
            SnapshotWork::Received { bytes, last } => self.write_sink(server, &bytes, last),
            SnapshotWork::Load(zxid) => match load(&self.servers[server].disk, Some(zxid)) {
                Ok(tree) => {
                    self.tell_tree(server, tree_store::Input::Replaced(Box::new(tree)));
                }
                Err(error) => self.snapshot_failed(server, &error),
            },
            SnapshotWork::Rebuild(zxid) => self.rebuild(server, zxid),
            SnapshotWork::Replay(history) => self.take_piece(server, &history),
            SnapshotWork::Begin(_)
            | SnapshotWork::Slice(_)
            | SnapshotWork::End
            | SnapshotWork::Abandon => self.take_snapshot(server, work),
        }
    }

    /// Begins to make the tree as it was at this zxid, in place of what was being made before.
    fn rebuild(&mut self, server: usize, target: Zxid) {
        self.tally.count("trees made anew", 1);
        let disk = self.servers[server].disk.share();
        let rooms = self.rooms(server);
        (rooms.wanted, rooms.snapshot.rebuilding) = (Some(target), None);
        let newest = snapshot::list(&mut disk.share())
            .map(|snapshots| snapshots.into_iter().find(|snapshot| *snapshot <= target));
        match newest.and_then(|newest| load(&disk, newest)) {
            Ok(tree) => self.go_on_rebuilding(server, Rebuilding::new(tree, target)),
            Err(error) => self.snapshot_failed(server, &error),
        }
    }

    fn take_piece(&mut self, server: usize, history: &History) {
        let mut disk = self.servers[server].disk.share();
        let rooms = self.rooms(server);
        let Some(mut rebuilding) = rooms.snapshot.rebuilding.take() else { return };
        let piece = rebuilding.take(history).unwrap_or_else(|e| panic!("server {server}: {e}"));
        match piece {
            Piece::Applied => self.go_on_rebuilding(server, rebuilding),
            Piece::Stale => rooms.snapshot.rebuilding = Some(rebuilding),
            Piece::CutOff => match rebuilding.is_superseded(&mut disk) {
                Ok(true) => rooms.wanted = None,
                Ok(false) => panic!("server {server}: the log lacks what the tree had"),
                Err(error) => self.snapshot_failed(server, &error),
            },
            Piece::TooShort => panic!("server {server}: the log ends before {history:?}"),
        }
    }

    fn go_on_rebuilding(&mut self, server: usize, rebuilding: Rebuilding) {
        if let Some(after) = rebuilding.reads_after() {
            self.rooms(server).snapshot.rebuilding = Some(rebuilding);
            let reader = HistoryReader::Rebuild;
            return self.tell_log(server, log_writer::Input::ReadHistory { reader, after });
        }
        let (tree, _) = rebuilding.finish();
        self.tell_tree(server, tree_store::Input::Replaced(tree));
        self.rooms(server).wanted = None;
    }

    fn open_source(&mut self, server: usize, learner: ServerId) {
        let disk = self.servers[server].disk.share();
        if let Ok(Some(source)) = Source::open(disk) {
            self.tally.count("snapshots sent", 1);
            self.rooms(server).snapshot.sources.insert(learner, source);
            self.read_source(server, learner);
        } else {
            self.tell_pipeline(server, pipeline::Input::SnapshotUnreadable(learner));
        }
    }

    fn read_source(&mut self, server: usize, learner: ServerId) {
        let desk = &mut self.rooms(server).snapshot;
        let Some(source) = desk.sources.get_mut(&learner) else {
            // Whoever asked waits for an answer.
            return self.tell_pipeline(server, pipeline::Input::SnapshotUnreadable(learner));
        };
        let zxid = source.zxid();
        if let Ok((piece, last)) = source.next(PIECE_BYTES) {
            if last {
                desk.sources.remove(&learner);
            }
            let bytes = piece.into();
            let read = pipeline::Input::SnapshotRead { learner, zxid, bytes, last };
            self.tell_pipeline(server, read);
        } else {
            desk.sources.remove(&learner);
            self.tell_pipeline(server, pipeline::Input::SnapshotUnreadable(learner));
        }
    }

    fn write_sink(&mut self, server: usize, bytes: &[u8], last: bool) {
        let desk = &mut self.rooms(server).snapshot;
        let Some(mut sink) = desk.sink.take() else { return };
        if let Err(error) = sink.write(bytes) {
            return self.snapshot_failed(server, &error);
        }
        if !last {
            desk.sink = Some(sink);
            return;
        }
        match sink.publish() {
            Ok(zxid) => {
                desk.is_receiving = false;
                self.tell_pipeline(server, pipeline::Input::SnapshotInstalled(zxid));
            }
            Err(error) => self.snapshot_failed(server, &error),
        }
    }

    /// A server that cannot keep what it is sent stops, as it does when the log fails.
    fn snapshot_failed(&mut self, server: usize, error: &LogError) {
        assert!(matches!(error, LogError::Disk(_)), "server {server}: {error}");
        self.tally.count("disk errors", 1);
        self.die_of_disk(server);
    }

    fn take_snapshot(&mut self, server: usize, work: SnapshotWork) {
        let writing = self.rooms(server).snapshot.writing.as_ref().map(|(zxid, _)| *zxid);
        let begun = if let SnapshotWork::Begin(zxid) = &work { Some(*zxid) } else { None };
        let zxid = begun.or(writing).expect("a snapshot is under way");
        let report = match self.try_snapshot(server, work, zxid) {
            Ok(report) => report,
            Err(_) => {
                if let Some((_, writer)) = self.rooms(server).snapshot.writing.take() {
                    // What is left of it goes with the next start.
                    let _ = writer.abandon();
                }
                tree_store::Input::SnapshotFailed(zxid)
            }
        };
        self.tell_tree(server, report);
    }

    fn try_snapshot(
        &mut self,
        server: usize,
        work: SnapshotWork,
        zxid: Zxid,
    ) -> Result<tree_store::Input, LogError> {
        let disk = self.servers[server].disk.share();
        let desk = &mut self.rooms(server).snapshot;
        match work {
            SnapshotWork::Begin(zxid) => {
                if let Some((_, given_up)) = desk.writing.take() {
                    given_up.abandon()?;
                }
                desk.writing = Some((zxid, Writer::create(disk, zxid)?));
            }
            SnapshotWork::Slice(slice) => {
                let (_, writer) = desk.writing.as_mut().expect("a slice follows its beginning");
                writer.chunk(&slice)?;
            }
            SnapshotWork::End => {
                let (_, writer) = desk.writing.take().expect("an end follows its beginning");
                writer.publish()?;
                self.tell_log(server, log_writer::Input::SnapshotPublished(zxid));
                return Ok(tree_store::Input::SnapshotDone(zxid));
            }
            SnapshotWork::Abandon => {
                if let Some((_, writer)) = desk.writing.take() {
                    writer.abandon()?;
                }
                return Ok(tree_store::Input::SnapshotFailed(zxid));
            }
            SnapshotWork::Open(_)
            | SnapshotWork::Read(_)
            | SnapshotWork::Close(_)
            | SnapshotWork::Receive(_)
            | SnapshotWork::Received { .. }
            | SnapshotWork::Load(_)
            | SnapshotWork::Rebuild(_)
            | SnapshotWork::Replay(_) => unreachable!("no part of taking a snapshot"),
        }
        Ok(tree_store::Input::SliceTaken(zxid))
    }
}
