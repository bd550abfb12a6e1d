//! The log writer: gathers what has arrived and has it synced once.
//!
//! It owns no bytes on disk; its room writes what it says and reports back. While the room waits
//! for the disk, the next batch forms in its mailbox.

use super::{Machine, Now, pipeline::Proposal};
use crate::types::{Epoch, Zxid};
use alloc::vec::Vec;

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
}

/// See the module.
#[derive(Default)]
pub struct LogWriter {
    scheduled: bool,
    written: Option<Zxid>,
    epoch: Option<Epoch>,
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
            Input::SnapshotPublished(zxid) => effects.push(Effect::Purge(zxid)),
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
        assert!(matches!(effects[..], [Effect::Flushed(zxid)] if zxid == proposal(2).zxid));
        assert_eq!(writer.syncs, 1);
    }

    #[test]
    fn an_epoch_is_announced_only_when_its_record_is_durable() {
        let mut writer = LogWriter::default();
        let mut effects = Vec::new();
        writer.step(NOW, Input::RecordEpoch(Epoch(4)), &mut effects);
        assert!(!effects.iter().any(|e| matches!(e, Effect::EpochRecorded(_))));
        writer.step(NOW, Input::FlushDue, &mut effects);
        writer.step(NOW, Input::Synced, &mut effects);
        assert!(matches!(effects.last(), Some(Effect::EpochRecorded(Epoch(4)))));
    }
}
