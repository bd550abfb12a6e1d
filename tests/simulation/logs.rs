//! The log writer's part: real bytes to the disk, and syncs that take their time.

use crate::plan::Promise;
use crate::server::Name;
use crate::world::{Due, Timer, World};
use ostler_core::log::LogError;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::{log_writer, pipeline};
use ostler_core::types::Zxid;
use ostler_core::zab::{HISTORY_CHUNK_BYTES, HistoryReader};

impl World {
    pub(crate) fn perform_log(&mut self, server: usize, effect: log_writer::Effect) {
        let rooms = self.rooms(server);
        let done = match effect {
            log_writer::Effect::Write { committed, orders } => rooms.log.write(&orders, committed),
            log_writer::Effect::ReadHistory { reader, after } => {
                let read = rooms.log.history(after, HISTORY_CHUNK_BYTES);
                read.map(|history| match reader {
                    HistoryReader::Rebuild => {
                        self.tell_snapshot(server, SnapshotWork::Replay(history));
                    }
                    HistoryReader::Host | HistoryReader::Learner(_) => {
                        self.tell_pipeline(server, pipeline::Input::History(reader, history));
                    }
                })
            }
            log_writer::Effect::ScheduleFlush => {
                rooms.log_writer.inbox.push_back(log_writer::Input::FlushDue);
                Ok(())
            }
            log_writer::Effect::Sync => return self.sync(server),
            log_writer::Effect::Durable(mark) => {
                rooms.unproven.forget(mark);
                self.tell_pipeline(server, pipeline::Input::Durable(mark));
                Ok(())
            }
            log_writer::Effect::Restate => {
                let restated = rooms.log.restate();
                rooms.unproven.restated();
                self.tell_pipeline(server, pipeline::Input::Restated(restated));
                Ok(())
            }
            log_writer::Effect::Purge(zxid) => self.purge(server, zxid),
            log_writer::Effect::AwaitQuiet => {
                let life = self.servers[server].life;
                let us = log_writer::QUIET_MS * 1000;
                self.schedule_in(us, Due::Timer(server, life, Timer::Quiet));
                Ok(())
            }
            log_writer::Effect::Mark => rooms.log.mark_flushed(),
            log_writer::Effect::Prepare => rooms.log.prepare(),
            log_writer::Effect::Close => rooms.log.close(),
        };
        self.log_did(server, done);
    }

    fn purge(&mut self, server: usize, zxid: Zxid) -> Result<(), LogError> {
        let kept = self.plan.snapshots_kept;
        let log = &mut self.rooms(server).log;
        log.note_snapshot(zxid)?;
        log.roll()?;
        if kept > 0 {
            log.purge(kept)?;
        }
        Ok(())
    }

    /// The disk begins; until it is done, nothing else happens to the log.
    fn sync(&mut self, server: usize) {
        let longest_us = self.servers[server].sync_us;
        let us = 1 + self.dice.below(longest_us);
        let life = self.servers[server].life;
        let rooms = self.rooms(server);
        let disk = rooms.log.disk().same();
        disk.hold();
        let begun = rooms.log.sync();
        rooms.is_syncing = true;
        if begun.is_err() {
            return self.log_did(server, begun);
        }
        self.schedule_in(us, Due::Synced(server, life));
        self.addressee = None;
        self.promised(server, Promise::SyncBegun);
    }

    pub(crate) fn synced(&mut self, server: usize) {
        let life = self.servers[server].life;
        let rooms = self.rooms(server);
        rooms.is_syncing = false;
        let disk = rooms.log.disk().same();
        if let Err(error) = disk.release() {
            return self.log_did(server, Err(error.into()));
        }
        self.addressee = None;
        self.promised(server, Promise::SyncEnded);
        if self.is_up(server) && self.servers[server].life == life {
            self.rooms(server).log_writer.inbox.push_front(log_writer::Input::Synced);
            self.wake(server, Name::Log);
        }
    }

    /// A log that failed ends its server; one that was not made to fail is a finding.
    fn log_did(&mut self, server: usize, done: Result<(), LogError>) {
        let Err(error) = done else { return };
        let planned = matches!(error, LogError::Disk(_));
        assert!(planned, "server {server}: {error}");
        self.trace(|| format!("{server}: {error}"));
        self.tally.count("disk errors", 1);
        self.die_of_disk(server);
    }
}
