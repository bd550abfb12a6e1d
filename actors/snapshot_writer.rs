//! Room of the snapshot writer: takes slices off the tree store and puts them on disk, on an
//! arbiter of its own, so that neither the tree nor the log waits for it.
//!
//! A snapshot that cannot be written is given up and reported; the log still has everything.

use crate::counters::{Counters, micros};
use crate::disk::DirectoryDisk;
use crate::fatal;
use crate::faults::RoomFaults;
use crate::rebuilding::Rebuilding;
use crate::room::Perform;
use crate::snapshot_transfer::Transfers;
use crate::switchboard::Switchboard;
use ostler_core::log::LogError;
use ostler_core::log::snapshot::Writer;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::{Machine, Now, log_writer, tree_store};
use ostler_core::types::Zxid;
use slog::{Logger, error, info};
use std::sync::Arc;
use std::time::Instant;

/// The machine of this room: there is nothing to decide.
pub(crate) struct SnapshotOrders;

impl Machine for SnapshotOrders {
    type Input = SnapshotWork;
    type Effect = SnapshotWork;

    fn step(&mut self, _: Now, input: SnapshotWork, effects: &mut Vec<SnapshotWork>) {
        effects.push(input);
    }
}

pub(crate) struct SnapshotWriter {
    pub(crate) disk: DirectoryDisk,
    pub(crate) rooms: Switchboard,
    pub(crate) logger: Logger,
    pub(crate) counters: Arc<Counters>,
    pub(crate) current: Option<Current>,
    pub(crate) transfers: Transfers,
    pub(crate) rebuilding: Rebuilding,
    pub(crate) faults: RoomFaults,
}

/// The snapshot being written.
pub(crate) struct Current {
    zxid: Zxid,
    writer: Writer<DirectoryDisk>,
    started: Instant,
}

impl Perform<SnapshotOrders> for SnapshotWriter {
    fn perform(&mut self, work: SnapshotWork, _: &mut Vec<SnapshotWork>) {
        let zxid = match &work {
            SnapshotWork::Begin(zxid) => Some(*zxid),
            SnapshotWork::Slice(_)
            | SnapshotWork::End
            | SnapshotWork::Abandon
            | SnapshotWork::Open(_)
            | SnapshotWork::Read(_)
            | SnapshotWork::Close(_)
            | SnapshotWork::Receive(_)
            | SnapshotWork::Received { .. }
            | SnapshotWork::Load(_)
            | SnapshotWork::Rebuild(_)
            | SnapshotWork::Replay(_) => self.current.as_ref().map(|current| current.zxid),
        };
        match self.work(work) {
            Ok(None) => {}
            Ok(Some(report)) => self.rooms.tree_store(report),
            Err(failure) => {
                error!(self.logger, "the snapshot was given up"; "error" => %failure);
                if let Some(current) = self.current.take()
                    && let Err(left) = current.writer.abandon()
                {
                    error!(self.logger, "its remains are left to the next start"; "error" => %left);
                }
                if let Some(zxid) = zxid {
                    self.rooms.tree_store(tree_store::Input::SnapshotFailed(zxid));
                }
            }
        }
    }

    /// A successor has nothing to go on with, but must know who waits for an answer.
    fn keep(&mut self, work: &SnapshotWork) -> Option<SnapshotWork> {
        match work {
            SnapshotWork::Open(learner) | SnapshotWork::Read(learner) => {
                Some(SnapshotWork::Open(*learner))
            }
            SnapshotWork::Load(zxid) => Some(SnapshotWork::Load(*zxid)),
            SnapshotWork::Receive(zxid) => Some(SnapshotWork::Receive(*zxid)),
            SnapshotWork::Received { .. } => Some(SnapshotWork::Receive(Zxid::ZERO)),
            // Begun anew, whatever of it there is.
            SnapshotWork::Rebuild(zxid) => {
                self.rebuilding.want(*zxid);
                None
            }
            SnapshotWork::Begin(_)
            | SnapshotWork::Slice(_)
            | SnapshotWork::End
            | SnapshotWork::Abandon
            | SnapshotWork::Replay(_)
            | SnapshotWork::Close(_) => None,
        }
    }
}

impl SnapshotWriter {
    /// Orders for a snapshot that is not under way come after it was given up, and the tree store
    /// knows that already.
    fn work(&mut self, work: SnapshotWork) -> Result<Option<tree_store::Input>, LogError> {
        match work {
            SnapshotWork::Abandon => {
                let Some(current) = self.current.take() else { return Ok(None) };
                current.writer.abandon()?;
                return Ok(Some(tree_store::Input::SnapshotFailed(current.zxid)));
            }
            SnapshotWork::Open(learner) => self.transfers.open(learner),
            SnapshotWork::Read(learner) => self.transfers.read(learner),
            SnapshotWork::Close(learner) => self.transfers.close(learner),
            SnapshotWork::Receive(zxid) => self.transfers.receive(zxid),
            SnapshotWork::Received { bytes, last } => self.transfers.received(&bytes, last),
            SnapshotWork::Load(zxid) => self.transfers.load(zxid),
            SnapshotWork::Rebuild(zxid) => self.must(|room| room.rebuilding.begin(zxid)),
            SnapshotWork::Replay(history) => self.must(|room| room.rebuilding.take(&history)),
            SnapshotWork::Begin(zxid) => return self.begin(zxid).map(Some),
            SnapshotWork::Slice(slice) => {
                let Some(current) = self.current.as_mut() else { return Ok(None) };
                self.faults.fail()?;
                current.writer.chunk(&slice)?;
                return Ok(Some(tree_store::Input::SliceTaken(current.zxid)));
            }
            SnapshotWork::End => {
                return self.current.take().map(|current| self.publish(current)).transpose();
            }
        }
        Ok(None)
    }

    /// What the tree is made of cannot be read: a start has nothing else either, but says more.
    fn must(&mut self, act: impl FnOnce(&mut Self) -> Result<(), LogError>) {
        if let Err(error) = act(self) {
            fatal::stop_at_unusable_snapshot(&self.logger, &error);
        }
    }

    fn begin(&mut self, zxid: Zxid) -> Result<tree_store::Input, LogError> {
        if let Some(given_up) = self.current.take() {
            given_up.writer.abandon()?;
        }
        let writer = Writer::create(self.disk.share(), zxid)?;
        self.current = Some(Current { zxid, writer, started: Instant::now() });
        Ok(tree_store::Input::SliceTaken(zxid))
    }

    fn publish(&self, current: Current) -> Result<tree_store::Input, LogError> {
        let Current { zxid, writer, started } = current;
        let bytes = writer.bytes();
        writer.publish()?;
        self.counters.measures.lock().snapshot_us.observe(micros(started.elapsed()));
        info!(self.logger, "snapshot taken"; "zxid" => %zxid, "bytes" => bytes);
        self.rooms.log_writer(log_writer::Input::SnapshotPublished(zxid));
        Ok(tree_store::Input::SnapshotDone(zxid))
    }
}
