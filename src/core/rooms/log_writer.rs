//! The log writer: gathers what has arrived and has it synced once.
//!
//! It owns no bytes on disk; its room writes what it says and reports back. While the room waits
//! for the disk, the next batch forms in its mailbox.
//!
//! Every batch proves that the one before it was durable. The last one has no successor, so when
//! none has come for a while the log is marked: only then can the next start tell a bit that
//! flipped in it from a write that a crash tore. While batches follow one another no mark is
//! written, and a mark is never synced.

use super::{Machine, Now, pipeline::Proposal};
use crate::types::{Epoch, Zxid};
use alloc::vec::Vec;

/// How long no batch may have followed the last one before the log is marked, in milliseconds.
/// Short, because a batch is unproven for that long; long enough that the check costs nothing.
pub const QUIET_MS: u64 = 10;

/// What can happen to the log writer.
#[derive(Clone, Debug)]
pub enum Input {
    /// Proposals in zxid order.
    Append(Vec<Proposal>),
    /// This server is about to lead an epoch: to be recorded first.
    RecordEpoch(Epoch),
    /// Everything that had arrived when the flush was scheduled has been handed over.
    FlushDue,
    /// The last `Sync` succeeded.
    Synced,
    /// A snapshot was published: what it replaces may go.
    SnapshotPublished(Zxid),
    /// The time asked for by `AwaitQuiet` is over.
    QuietDue,
    /// The server ends in order; nothing is expected to follow.
    End,
}

/// What the log writer wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write these records behind the others.
    Write(Vec<Proposal>),
    /// Write an epoch record behind the others.
    WriteEpoch(Epoch),
    /// Come back with `FlushDue` behind everything that is already waiting.
    ScheduleFlush,
    /// Make what was written durable, then come back with `Synced`. A failure ends the process.
    Sync,
    /// Tell the pipeline: durable up to and including this.
    Flushed(Zxid),
    /// Tell the peer room: the epoch's record is durable.
    EpochRecorded(Epoch),
    /// Begin a new segment and remove what no kept snapshot needs.
    Purge(Zxid),
    /// Come back with `QuietDue` after [`QUIET_MS`].
    AwaitQuiet,
    /// Note in the log, without a sync, that everything before was durable.
    Mark,
    /// Make durable what was written, and the note that it is.
    Close,
}

/// See the module.
#[derive(Default)]
pub struct LogWriter {
    scheduled: bool,
    written: Option<Zxid>,
    epoch: Option<Epoch>,
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
            Input::Append(proposals) => {
                self.written = proposals.last().map(|p| p.zxid).or(self.written);
                effects.push(Effect::Write(proposals));
                self.schedule(effects);
            }
            Input::RecordEpoch(epoch) => {
                self.epoch = Some(epoch);
                effects.push(Effect::WriteEpoch(epoch));
                self.schedule(effects);
            }
            Input::FlushDue => {
                self.scheduled = false;
                effects.push(Effect::Sync);
            }
            Input::Synced => self.synced(effects),
            Input::SnapshotPublished(zxid) => {
                effects.push(Effect::Purge(zxid));
                self.watch_unless_watched(effects);
            }
            Input::QuietDue => self.quiet_due(effects),
            Input::End => effects.push(Effect::Close),
        }
    }
}

impl LogWriter {
    fn schedule(&mut self, effects: &mut Vec<Effect>) {
        if !self.scheduled {
            self.scheduled = true;
            effects.push(Effect::ScheduleFlush);
        }
    }

    fn synced(&mut self, effects: &mut Vec<Effect>) {
        self.syncs += 1;
        effects.extend(self.epoch.take().map(Effect::EpochRecorded));
        effects.extend(self.written.take().map(Effect::Flushed));
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
            effects.push(Effect::Mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use bytes::Bytes;

    const NOW: Now = Now { mono_ms: 0, wall_ms: 0 };

    fn proposal(counter: u32) -> Proposal {
        Proposal { zxid: Zxid::new(Epoch(1), counter), time_ms: 0, payload: Bytes::new() }
    }

    #[test]
    fn many_appends_share_one_sync_and_none_is_reported_before_it() {
        let mut writer = LogWriter::default();
        let mut effects = Vec::new();
        writer.step(NOW, Input::Append(vec![proposal(1)]), &mut effects);
        writer.step(NOW, Input::Append(vec![proposal(2)]), &mut effects);
        let scheduled = effects.iter().filter(|e| matches!(e, Effect::ScheduleFlush)).count();
        assert_eq!(scheduled, 1);
        assert!(!effects.iter().any(|e| matches!(e, Effect::Flushed(_))));
        effects.clear();
        writer.step(NOW, Input::FlushDue, &mut effects);
        assert!(matches!(effects[..], [Effect::Sync]));
        effects.clear();
        writer.step(NOW, Input::Synced, &mut effects);
        let [Effect::Flushed(zxid), Effect::AwaitQuiet] = effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((zxid, writer.syncs), (proposal(2).zxid, 1));
    }

    /// One batch from its arrival to its sync; the effects of the latter.
    fn batch(writer: &mut LogWriter, counter: u32) -> Vec<Effect> {
        let mut effects = Vec::new();
        writer.step(NOW, Input::Append(vec![proposal(counter)]), &mut effects);
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
        assert!(matches!(batch(&mut writer, 1)[..], [Effect::Flushed(_), Effect::AwaitQuiet]));
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::Mark]));
        assert!(matches!(batch(&mut writer, 2)[..], [Effect::Flushed(_), Effect::AwaitQuiet]));
    }

    #[test]
    fn while_batches_follow_one_another_there_is_one_watch_and_no_mark() {
        let mut writer = LogWriter::default();
        batch(&mut writer, 1);
        for round in 0..5 {
            let counter = 2 + 3 * round;
            for counter in counter..counter + 3 {
                assert!(matches!(batch(&mut writer, counter)[..], [Effect::Flushed(_)]));
            }
            assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::AwaitQuiet]));
        }
        step(&mut writer, Input::Append(vec![proposal(99)]));
        // What was written is not durable yet, so nothing may say that it is.
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::AwaitQuiet]));
        step(&mut writer, Input::FlushDue);
        step(&mut writer, Input::Synced);
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::AwaitQuiet]));
        assert!(matches!(step(&mut writer, Input::QuietDue)[..], [Effect::Mark]));
    }

    #[test]
    fn an_orderly_end_closes_the_log() {
        let mut writer = LogWriter::default();
        batch(&mut writer, 1);
        assert!(matches!(step(&mut writer, Input::End)[..], [Effect::Close]));
    }

    #[test]
    fn an_epoch_is_announced_only_when_its_record_is_durable() {
        let mut writer = LogWriter::default();
        let mut effects = Vec::new();
        writer.step(NOW, Input::RecordEpoch(Epoch(4)), &mut effects);
        assert!(!effects.iter().any(|e| matches!(e, Effect::EpochRecorded(_))));
        writer.step(NOW, Input::FlushDue, &mut effects);
        writer.step(NOW, Input::Synced, &mut effects);
        let told = effects.iter().any(|e| matches!(e, Effect::EpochRecorded(Epoch(4))));
        assert!(told, "{effects:?}");
    }
}
