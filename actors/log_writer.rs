//! Room of the log writer. It has an arbiter to itself, on which it may block: while it waits
//! for the disk, the next batch forms in its mailbox.

use crate::counters::{Counters, micros};
use crate::disk::DirectoryDisk;
use crate::fatal;
use crate::room::Perform;
use crate::switchboard::Switchboard;
use ostler_core::log::{Entry, Log, LogError};
use ostler_core::rooms::log_writer::{Effect, Input, LogWriter, QUIET_MS};
use ostler_core::rooms::pipeline::Proposal;
use ostler_core::rooms::{peer, pipeline};
use ostler_core::types::{Epoch, ServerId};
use ostler_core::zab::{Origin, Reign};
use slog::{Logger, info};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct LogWriterRoom {
    pub(crate) log: Log<DirectoryDisk>,
    pub(crate) rooms: Switchboard,
    pub(crate) server: ServerId,
    pub(crate) snapshots_kept: usize,
    pub(crate) flush_due: bool,
    /// Transactions written since the last sync.
    pub(crate) unsynced: u64,
    pub(crate) counters: Arc<Counters>,
    pub(crate) logger: Logger,
}

impl Perform<LogWriter> for LogWriterRoom {
    fn perform(&mut self, effect: Effect, again: &mut Vec<Input>) {
        match effect {
            Effect::Write(proposals) => {
                self.unsynced += proposals.len() as u64;
                let started = Instant::now();
                self.must(|room| room.write(&proposals));
                self.counters.measures.lock().append_us.observe(micros(started.elapsed()));
            }
            Effect::WriteEpoch(epoch) => self.must(|room| room.write_epoch(epoch)),
            Effect::ScheduleFlush => self.flush_due = true,
            Effect::Sync => {
                self.sync();
                again.push(Input::Synced);
            }
            Effect::Flushed(zxid) => self.rooms.pipeline(pipeline::Input::Flushed(zxid)),
            Effect::EpochRecorded(epoch) => self.rooms.peer(peer::Input::EpochRecorded(epoch)),
            Effect::Purge(zxid) => {
                self.must(|room| room.note_snapshot(zxid));
                self.must(Self::purge);
            }
            Effect::AwaitQuiet => self.await_quiet(),
            Effect::Mark => self.must(|room| room.log.mark_flushed()),
            Effect::Close => self.must(|room| room.log.close()),
        }
    }

    fn later(&mut self) -> Option<Input> {
        std::mem::take(&mut self.flush_due).then_some(Input::FlushDue)
    }
}

impl LogWriterRoom {
    /// What reached the disk is unknown after a failure, so there is no going on.
    fn must(&mut self, act: impl FnOnce(&mut Self) -> Result<(), LogError>) {
        if let Err(error) = act(self) {
            fatal::stop_at_log_error(&self.logger, &error);
        }
    }

    fn sync(&mut self) {
        let started = Instant::now();
        self.must(|room| room.log.sync());
        let requests = std::mem::take(&mut self.unsynced);
        let mut measures = self.counters.measures.lock();
        measures.fsync_us.observe(micros(started.elapsed()));
        if requests > 0 {
            measures.batch_requests.observe(requests);
        }
    }

    fn await_quiet(&self) {
        let rooms = self.rooms.clone();
        actix_rt::spawn(async move {
            actix_rt::time::sleep(Duration::from_millis(QUIET_MS)).await;
            rooms.log_writer(Input::QuietDue);
        });
    }

    fn write(&mut self, proposals: &[Proposal]) -> Result<(), LogError> {
        for Proposal { zxid, time_ms, payload } in proposals {
            let origin = Origin::default();
            self.log.append(Entry { zxid: *zxid, time_ms: *time_ms, origin, payload })?;
        }
        Ok(())
    }

    fn write_epoch(&mut self, epoch: Epoch) -> Result<(), LogError> {
        let reign = Reign { epoch, leader: self.server };
        self.log.accept(reign)?;
        self.log.commit_stage(reign)
    }

    fn note_snapshot(&mut self, zxid: ostler_core::types::Zxid) -> Result<(), LogError> {
        self.log.note_snapshot(zxid)?;
        self.log.roll()
    }

    fn purge(&mut self) -> Result<(), LogError> {
        if self.snapshots_kept > 0 {
            let purged = self.log.purge(self.snapshots_kept)?;
            info!(self.logger, "old log and snapshots removed"; "purged" => ?purged);
        }
        Ok(())
    }
}
