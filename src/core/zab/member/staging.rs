//! A learner's side of synchronisation: a leader's history is collected beside the live one and
//! adopted whole, or not at all.

use super::ground::{Effects, Ground, Promise};
use super::learner::{Learner, is_gapless};
use super::window::Window;
use crate::types::Zxid;
use crate::zab::io::MemberEffect;
use crate::zab::message::Message;
use crate::zab::{LogOrder, Proposal};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

/// What has come from the leader before its history is adopted.
#[derive(Clone, Debug, Default)]
pub(super) struct Intake {
    pub(super) stage: Option<Stage>,
    /// The snapshot that is being received, and a time that nothing in it is later than.
    snapshot: Option<(Zxid, i64)>,
    /// Came while a snapshot was being installed. Bounded by what a leader sends unacknowledged.
    pub(super) held: Vec<Message>,
    taken: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) base: Zxid,
    pub(super) is_snapshot: bool,
    /// Whether the log knows of it.
    pub(super) is_begun: bool,
    /// The end of it, as much as a window may hold.
    pub(super) window: Window,
    /// No entry is later, nor anything before the stage that only its leader knows.
    pub(super) time_ms: i64,
}

impl Intake {
    /// Begins a stage that the log is told of when it is adopted.
    pub(super) fn begin(&mut self, base: Zxid) {
        self.begin_after(base, 0);
    }

    /// The same behind a snapshot that holds nothing later than this time.
    fn begin_after(&mut self, base: Zxid, time_ms: i64) {
        let window = Window::new(base);
        let stage = Stage { base, is_snapshot: false, is_begun: false, window, time_ms };
        self.stage = Some(stage);
    }
}

impl Learner {
    pub(super) fn sync_from(&mut self, ground: &mut Ground, base: Zxid, out: &mut Effects) {
        if self.is_deposed_rival(ground, out) {
            return;
        }
        if base < ground.committed {
            out.push(MemberEffect::Halt("a leader lacks what is committed"));
            return;
        }
        if base > ground.logged() {
            return self.refuse(ground, out);
        }
        self.intake.snapshot = None;
        self.intake.begin(base);
        self.begin_stage(ground, false, out);
    }

    pub(super) fn begin_snapshot(
        &mut self,
        ground: &mut Ground,
        zxid: Zxid,
        time_ms: i64,
        out: &mut Effects,
    ) {
        if self.is_deposed_rival(ground, out) {
            return;
        }
        if zxid < ground.committed {
            out.push(MemberEffect::Halt("a leader's snapshot lacks what is committed"));
            return;
        }
        self.intake.stage = None;
        self.intake.snapshot = Some((zxid, time_ms));
        out.push(MemberEffect::BeginSnapshot(zxid));
    }

    pub(super) fn take_chunk(
        &mut self,
        ground: &mut Ground,
        bytes: Bytes,
        last: bool,
        out: &mut Effects,
    ) {
        if self.intake.snapshot.is_none() {
            return self.refuse(ground, out);
        }
        out.push(MemberEffect::WriteSnapshot { bytes, last });
        if last {
            // Acknowledged when it is in its place, so that the leader waits for the disk.
            ground.installing = true;
        } else {
            self.acknowledge_piece(out);
        }
    }

    /// The snapshot is durable under its name.
    pub(super) fn snapshot_installed(
        &mut self,
        ground: &mut Ground,
        zxid: Zxid,
        out: &mut Effects,
    ) {
        let expected = self.intake.snapshot.take().filter(|(expected, _)| *expected == zxid);
        let Some((_, time_ms)) = expected else { return self.refuse(ground, out) };
        self.intake.begin_after(zxid, time_ms);
        self.begin_stage(ground, true, out);
        self.acknowledge_piece(out);
        for message in core::mem::take(&mut self.intake.held) {
            if ground.is_leaving {
                return;
            }
            if ground.installing {
                self.intake.held.push(message);
            } else {
                self.take_in(ground, message, out);
            }
        }
    }

    /// What there was of a snapshot is gone: the leader has to begin again.
    pub(super) fn snapshot_lost(&self, ground: &mut Ground, out: &mut Effects) {
        if self.intake.snapshot.is_some() {
            self.refuse(ground, out);
        }
    }

    pub(super) fn stage(&mut self, ground: &mut Ground, entries: Vec<Proposal>, out: &mut Effects) {
        let Some(stage) = self.intake.stage.as_mut() else { return self.refuse(ground, out) };
        if !stage.is_begun || !is_gapless(stage.window.last(), &entries) {
            return self.refuse(ground, out);
        }
        let orders = entries.iter().cloned().map(LogOrder::Stage).collect();
        for entry in entries {
            stage.time_ms = stage.time_ms.max(entry.time_ms);
            stage.window.push(entry);
        }
        // Staged history is read from the disk again if the host needs it.
        stage.window.trim(stage.window.last(), ground.window_bytes);
        ground.log(orders, Promise::Staged, out);
    }

    /// A piece of the stage is on the disk: the leader may send another.
    pub(super) fn staged_durable(&mut self, out: &mut Effects) {
        self.acknowledge_piece(out);
    }

    fn begin_stage(&mut self, ground: &mut Ground, snapshot: bool, out: &mut Effects) {
        let stage = self.intake.stage.as_mut().expect("the stage was just begun");
        stage.is_begun = true;
        stage.is_snapshot = snapshot;
        let orders = vec![LogOrder::BeginStage { base: stage.base, snapshot }];
        ground.log(orders, Promise::Begun, out);
    }

    fn acknowledge_piece(&mut self, out: &mut Effects) {
        self.intake.taken += 1;
        let message = Message::SyncTaken { epoch: self.epoch, count: self.intake.taken };
        out.push(MemberEffect::Send(self.leader, message));
    }

    /// Two servers elected for one epoch: nothing can be trusted any more.
    fn is_deposed_rival(&self, ground: &Ground, out: &mut Effects) -> bool {
        let current = ground.current;
        let clash = current.epoch == self.epoch && current.leader != self.leader;
        if clash {
            out.push(MemberEffect::Halt("two leaders were elected for one epoch"));
        }
        clash
    }
}
