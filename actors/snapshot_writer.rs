//! Room of the snapshot writer: takes slices off the tree store and puts them on disk, on an
//! arbiter of its own, so that neither the tree nor the log waits for it.
//!
//! A snapshot that cannot be written is given up and reported; the log still has everything.

use crate::counters::{Counters, micros};
use crate::disk::DirectoryDisk;
use crate::room::Deliver;
use crate::snapshot_transfer::Transfers;
use crate::switchboard::{SnapshotWork, Switchboard};
use actix::{Actor, Context, Handler};
use ostler_core::log::LogError;
use ostler_core::log::snapshot::Writer;
use ostler_core::rooms::{log_writer, tree_store};
use ostler_core::types::Zxid;
use slog::{Logger, error, info};
use std::sync::Arc;
use std::time::Instant;

pub(crate) struct SnapshotWriter {
    pub(crate) disk: DirectoryDisk,
    pub(crate) rooms: Switchboard,
    pub(crate) logger: Logger,
    pub(crate) counters: Arc<Counters>,
    pub(crate) current: Option<Current>,
    pub(crate) transfers: Transfers,
}

/// The snapshot being written.
pub(crate) struct Current {
    zxid: Zxid,
    writer: Writer<DirectoryDisk>,
    started: Instant,
}

impl Actor for SnapshotWriter {
    type Context = Context<Self>;
}

impl Handler<Deliver<SnapshotWork>> for SnapshotWriter {
    type Result = ();

    fn handle(&mut self, Deliver(work): Deliver<SnapshotWork>, _: &mut Context<Self>) {
        let report = match self.perform(work) {
            Ok(None) => return,
            Ok(Some(report)) => report,
            Err(failure) => {
                error!(self.logger, "the snapshot was given up"; "error" => %failure);
                if let Some(current) = self.current.take()
                    && let Err(left) = current.writer.abandon()
                {
                    error!(self.logger, "its remains are left to the next start"; "error" => %left);
                }
                tree_store::Input::SnapshotFailed
            }
        };
        self.rooms.tree_store(report);
    }
}

impl SnapshotWriter {
    fn perform(&mut self, work: SnapshotWork) -> Result<Option<tree_store::Input>, LogError> {
        match work {
            SnapshotWork::Abandon => {
                if let Some(current) = self.current.take() {
                    current.writer.abandon()?;
                }
                return Ok(Some(tree_store::Input::SnapshotFailed));
            }
            SnapshotWork::Open(learner) => self.transfers.open(learner),
            SnapshotWork::Read(learner) => self.transfers.read(learner),
            SnapshotWork::Close(learner) => self.transfers.close(learner),
            SnapshotWork::Receive(zxid) => self.transfers.receive(zxid),
            SnapshotWork::Received { bytes, last } => self.transfers.received(&bytes, last),
            SnapshotWork::Load(zxid) => self.transfers.load(zxid),
            SnapshotWork::Begin(zxid) => {
                let writer = Writer::create(self.disk.clone(), zxid)?;
                self.current = Some(Current { zxid, writer, started: Instant::now() });
                return Ok(Some(tree_store::Input::SliceTaken));
            }
            SnapshotWork::Slice(slice) => {
                let current = self.current.as_mut().expect("a slice follows its beginning");
                current.writer.chunk(&slice)?;
                return Ok(Some(tree_store::Input::SliceTaken));
            }
            SnapshotWork::End => {
                let current = self.current.take().expect("an end follows its beginning");
                let Current { zxid, writer, started } = current;
                let bytes = writer.bytes();
                writer.publish()?;
                self.counters.measures.lock().snapshot_us.observe(micros(started.elapsed()));
                info!(self.logger, "snapshot taken"; "zxid" => %zxid, "bytes" => bytes);
                self.rooms.log_writer(log_writer::Input::SnapshotPublished(zxid));
                return Ok(Some(tree_store::Input::SnapshotDone));
            }
        }
        Ok(None)
    }
}
