//! The log writer: gathers what has arrived and has it synced once.
//!
//! It owns no bytes on disk; its room writes what it says and reports back. While the room waits
//! for the disk, the next batch forms in its mailbox.
//!
//! Every batch proves that the one before it was durable. The last one has no successor, so when
//! none has come for a while the log is marked: only then can the next start tell a bit that
//! flipped in it from a write that a crash tore. While batches follow one another no mark is
//! written, and a mark is never synced.

use super::{Machine, Now};
use crate::types::Zxid;
use crate::zab::{HistoryReader, LogOrder};
use alloc::vec::Vec;

/// How long no batch may have followed the last one before the log is marked, in milliseconds.
/// Short, because a batch is unproven for that long; long enough that the check costs nothing.
pub const QUIET_MS: u64 = 10;

/// What can happen to the log writer.
#[derive(Clone, Debug)]
pub enum Input {
    /// To be written, in order.
    Orders {
        /// Comes back when they are durable; rises.
        mark: u64,
        /// Everything up to here is committed, which is noted beside them.
        committed: Zxid,
        /// What to write.
        orders: Vec<LogOrder>,
    },
    /// Somebody needs durable history after this zxid.
    ReadHistory {
        /// Who.
        reader: HistoryReader,
        /// The last zxid it has.
        after: Zxid,
    },
    /// Everything that had arrived when the flush was scheduled has been handed over.
    FlushDue,
    /// The last `Sync` succeeded.
    Synced,
    /// A snapshot was published: what it replaces may go.
    SnapshotPublished(Zxid),
    /// The time asked for by `AwaitQuiet` is over.
    QuietDue,
    /// Whoever gives orders remembers nothing: tell what there is once all orders before are
    /// durable.
    Restate,
    /// The server ends in order; nothing is expected to follow.
    End,
}

/// What the log writer wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write these records behind the others, with what is known to be committed.
    Write {
        /// Everything up to here is committed.
        committed: Zxid,
        /// What to write.
        orders: Vec<LogOrder>,
    },
    /// Read durable history and hand it to the pipeline.
    ReadHistory {
        /// For whom.
        reader: HistoryReader,
        /// The last zxid it has.
        after: Zxid,
    },
    /// Come back with `FlushDue` behind everything that is already waiting.
    ScheduleFlush,
    /// Make what was written durable, then come back with `Synced`. A failure ends the process.
    Sync,
    /// Tell the pipeline: everything up to and including this mark is durable.
    Durable(u64),
    /// Tell the pipeline what the log holds: all of it is durable.
    Restate,
    /// Begin a new segment and remove what no kept snapshot needs.
    Purge(Zxid),
    /// Come back with `QuietDue` after [`QUIET_MS`].
    AwaitQuiet,
    /// Note in the log, without a sync, that everything before was durable.
    Mark,
    /// Make room for batches to come, while none waits for it.
    Prepare,
    /// Make durable what was written, and the note that it is.
    Close,
}

/// See the module.
#[derive(Default)]
pub struct LogWriter {
    scheduled: bool,
    /// The last mark written since the last sync began.
    mark: Option<u64>,
    /// The last mark that the sync under way covers: what was written after it began may miss it.
    syncing: Option<u64>,
    /// Somebody wants to be told what the log holds.
    restates: bool,
    /// The sync under way is the one to tell it after.
    restates_next: bool,
    /// Orders are for a history that is void: none is taken before [`Input::Restate`].
    is_deaf: bool,
    /// While the log is watched for quiet: syncs when the watch began.
    watched_at: Option<u64>,
    /// Syncs since the start.
    pub syncs: u64,
}

impl Machine for LogWriter {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, _now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            // Given by somebody who did not know yet.
            Input::Orders { .. } if self.is_deaf => {}
            Input::Orders { mark, committed, orders } => {
                self.mark = Some(mark);
                effects.push(Effect::Write { committed, orders });
                self.schedule(effects);
            }
            Input::ReadHistory { reader, after } => {
                effects.push(Effect::ReadHistory { reader, after });
            }
            Input::FlushDue => {
                self.scheduled = false;
                self.syncing = self.mark.take();
                self.restates_next = core::mem::take(&mut self.restates);
                effects.push(Effect::Sync);
            }
            Input::Synced => self.synced(effects),
            Input::SnapshotPublished(zxid) => {
                effects.push(Effect::Purge(zxid));
                self.watch_unless_watched(effects);
            }
            Input::QuietDue => self.quiet_due(effects),
            Input::Restate => {
                self.is_deaf = false;
                self.restates = true;
                self.schedule(effects);
            }
            Input::End => effects.push(Effect::Close),
        }
    }
}

impl LogWriter {
    /// A writer that takes no orders before whoever gives them has asked what the log holds: what
    /// was ordered before rests on something that the log lost.
    pub fn deaf() -> Self {
        Self { is_deaf: true, ..Self::default() }
    }

    fn schedule(&mut self, effects: &mut Vec<Effect>) {
        if !self.scheduled {
            self.scheduled = true;
            effects.push(Effect::ScheduleFlush);
        }
    }

    fn synced(&mut self, effects: &mut Vec<Effect>) {
        self.syncs += 1;
        effects.extend(self.syncing.take().map(Effect::Durable));
        if core::mem::take(&mut self.restates_next) {
            effects.push(Effect::Restate);
        }
        self.watch_unless_watched(effects);
    }

    fn watch_unless_watched(&mut self, effects: &mut Vec<Effect>) {
        if self.watched_at.is_none() {
            self.watch(effects);
        }
    }

    fn watch(&mut self, effects: &mut Vec<Effect>) {
        self.watched_at = Some(self.syncs);
        effects.push(Effect::AwaitQuiet);
    }

    fn quiet_due(&mut self, effects: &mut Vec<Effect>) {
        if self.scheduled || self.watched_at != Some(self.syncs) {
            self.watch(effects);
        } else {
            self.watched_at = None;
            effects.extend([Effect::Mark, Effect::Prepare]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Epoch, ServerId};
    use crate::zab::Reign;
    use alloc::vec;

    const NOW: Now = Now { mono_ms: 0, wall_ms: 0 };

    /// Any order; the machine does not look into it.
    fn orders(mark: u64) -> Input {
        let reign = Reign { epoch: Epoch(1), leader: ServerId(1) };
        Input::Orders { mark, committed: Zxid(mark), orders: vec![LogOrder::Accept(reign)] }
    }

    #[test]
    fn many_orders_share_one_sync_and_none_is_reported_before_it() {
        let mut writer = LogWriter::default();
        let mut effects = Vec::new();
        writer.step(NOW, orders(1), &mut effects);
        writer.step(NOW, orders(2), &mut effects);
        let scheduled = effects.iter().filter(|e| matches!(e, Effect::ScheduleFlush)).count();
        assert_eq!(scheduled, 1);
        assert!(!effects.iter().any(|e| matches!(e, Effect::Durable(_))));
        effects.clear();
        writer.step(NOW, Input::FlushDue, &mut effects);
        assert!(matches!(effects[..], [Effect::Sync]));
        effects.clear();
        writer.step(NOW, Input::Synced, &mut effects);
        let [Effect::Durable(mark), Effect::AwaitQuiet] = effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((mark, writer.syncs), (2, 1));
    }

    #[test]
    fn what_is_written_while_the_disk_syncs_is_not_taken_for_durable() {
        let mut writer = LogWriter::default();
        step(&mut writer, orders(1));
        step(&mut writer, Input::FlushDue);
        step(&mut writer, orders(2));
        let effects = step(&mut writer, Input::Synced);
        assert!(matches!(effects[0], Effect::Durable(1)), "{effects:?}");
    }

    /// One batch from its arrival to its sync; the effects of the latter.
    fn batch(writer: &mut LogWriter, mark: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        writer.step(NOW, orders(mark), &mut effects);
        writer.step(NOW, Input::FlushDue, &mut effects);
        effects.clear();
        writer.step(NOW, Input::Synced, &mut effects);
        effects
    }

    fn step(writer: &mut LogWriter, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        writer.step(NOW, input, &mut effects);
        effects
    }

    #[test]
    fn the_log_is_marked_once_when_no_batch_follows() {
        let mut writer = LogWriter::default();
        assert!(matches!(batch(&mut writer, 1)[..], [Effect::Durable(_), Effect::AwaitQuiet]));
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::Mark, Effect::Prepare]));
        assert!(matches!(batch(&mut writer, 2)[..], [Effect::Durable(_), Effect::AwaitQuiet]));
    }

    #[test]
    fn while_batches_follow_one_another_there_is_one_watch_and_no_mark() {
        let mut writer = LogWriter::default();
        batch(&mut writer, 1);
        for round in 0..5 {
            let mark = 2 + 3 * round;
            for mark in mark..mark + 3 {
                assert!(matches!(batch(&mut writer, mark)[..], [Effect::Durable(_)]));
            }
            assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::AwaitQuiet]));
        }
        step(&mut writer, orders(99));
        // What was written is not durable yet, so nothing may say that it is.
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::AwaitQuiet]));
        step(&mut writer, Input::FlushDue);
        step(&mut writer, Input::Synced);
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::AwaitQuiet]));
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::Mark, Effect::Prepare]));
    }

    #[test]
    fn an_orderly_end_closes_the_log() {
        let mut writer = LogWriter::default();
        batch(&mut writer, 1);
        assert!(matches!(step(&mut writer, Input::End)[..], [Effect::Close]));
    }

    #[test]
    fn what_the_log_holds_is_told_when_all_that_was_ordered_is_durable() {
        let mut writer = LogWriter::default();
        step(&mut writer, orders(1));
        step(&mut writer, Input::FlushDue);
        step(&mut writer, orders(2));
        assert!(matches!(step(&mut writer, Input::Restate)[..], []), "a flush is due already");
        // The sync under way does not cover the second batch.
        let effects = step(&mut writer, Input::Synced);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Restate)), "{effects:?}");
        step(&mut writer, Input::FlushDue);
        let effects = step(&mut writer, Input::Synced);
        assert!(matches!(effects[..], [Effect::Durable(2), Effect::Restate]), "{effects:?}");
    }

    #[test]
    fn orders_for_a_void_history_are_dropped_until_the_log_was_asked() {
        let mut writer = LogWriter::deaf();
        assert!(matches!(step(&mut writer, orders(7))[..], []));
        assert!(matches!(step(&mut writer, Input::Restate)[..], [Effect::ScheduleFlush]));
        assert!(matches!(step(&mut writer, orders(1))[..], [Effect::Write { .. }]));
    }

    #[test]
    fn history_is_read_at_once_and_asks_for_no_sync() {
        let mut writer = LogWriter::default();
        let read = Input::ReadHistory { reader: HistoryReader::Host, after: Zxid(3) };
        let effects = step(&mut writer, read);
        assert!(matches!(effects[..], [Effect::ReadHistory { after: Zxid(3), .. }]));
    }
}
