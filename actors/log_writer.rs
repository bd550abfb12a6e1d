//! Room of the log writer. It has an arbiter to itself, on which it may block: while it waits
//! for the disk, the next batch forms in its mailbox.

use crate::counters::{Counters, micros};
use crate::disk::DirectoryDisk;
use crate::fatal;
use crate::room::Perform;
use crate::switchboard::Switchboard;
use ostler_core::log::{Log, LogError};
use ostler_core::rooms::log_writer::{Effect, Input, LogWriter, QUIET_MS};
use ostler_core::rooms::pipeline;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::unproven::Unproven;
use ostler_core::types::Zxid;
use ostler_core::zab::{HISTORY_CHUNK_BYTES, HistoryReader};
use parking_lot::Mutex;
use slog::{Logger, info};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) struct LogWriterRoom {
    pub(crate) log: Log<DirectoryDisk>,
    pub(crate) rooms: Switchboard,
    pub(crate) snapshots_kept: usize,
    pub(crate) flush_due: bool,
    /// Transactions written since the last sync.
    pub(crate) unsynced: u64,
    pub(crate) unproven: Arc<Mutex<Unproven>>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) logger: Logger,
}

impl Perform<LogWriter> for LogWriterRoom {
    fn perform(&mut self, effect: Effect, again: &mut Vec<Input>) {
        match effect {
            Effect::Write { committed, orders } => {
                self.unsynced += orders.len() as u64;
                let started = Instant::now();
                self.must(|room| room.log.write(&orders, committed));
                self.counters.measures.lock().append_us.observe(micros(started.elapsed()));
            }
            Effect::ReadHistory { reader, after } => {
                self.must(|room| room.read_history(reader, after));
            }
            Effect::ScheduleFlush => self.flush_due = true,
            Effect::Sync => {
                self.sync();
                again.push(Input::Synced);
            }
            Effect::Durable(mark) => {
                self.rooms.pipeline(pipeline::Input::Durable(mark));
                self.unproven.lock().forget(mark);
            }
            Effect::Restate => {
                self.rooms.pipeline(pipeline::Input::Restated(self.log.restate()));
                self.unproven.lock().restated();
            }
            Effect::Purge(zxid) => {
                self.must(|room| room.note_snapshot(zxid));
                self.must(Self::purge);
            }
            Effect::AwaitQuiet => self.await_quiet(),
            Effect::Mark => self.must(|room| room.log.mark_flushed()),
            Effect::Prepare => self.must(|room| room.log.prepare()),
            Effect::Close => self.must(|room| room.log.close()),
        }
    }

    /// Orders are kept beyond their own turn, until they are durable.
    fn keep(&mut self, input: &Input) -> Option<Input> {
        self.unproven.lock().keep(input)
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

    fn read_history(&mut self, reader: HistoryReader, after: Zxid) -> Result<(), LogError> {
        let history = self.log.history(after, HISTORY_CHUNK_BYTES)?;
        match reader {
            HistoryReader::Rebuild => self.rooms.snapshot_writer(SnapshotWork::Replay(history)),
            HistoryReader::Host | HistoryReader::Learner(_) => {
                self.rooms.pipeline(pipeline::Input::History(reader, history));
            }
        }
        Ok(())
    }

    fn note_snapshot(&mut self, zxid: Zxid) -> Result<(), LogError> {
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
