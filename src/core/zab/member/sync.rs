//! A leader brings one learner up to date: from memory if the learner is near, from the log if
//! it is far behind, from a snapshot if the log no longer reaches back.

use super::ground::{Answer, Effects, Ground, Read};
use super::leader::{Leader, Peer, Phase, Progress};
use super::window::weight;
use crate::types::{ServerId, Zxid};
use crate::zab::io::MemberEffect;
use crate::zab::message::Message;
use crate::zab::{HISTORY_CHUNK_BYTES, History, HistoryReader, Proposal};
use alloc::vec::Vec;
use bytes::Bytes;

/// Pieces of history or snapshot on their way to a learner that has not taken them in yet.
const UNTAKEN_MAX: u64 = 2;

/// Where a learner's next piece comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Its last zxid is too old for memory: the log has to tell what is in common.
    Unknown(Zxid),
    /// It was sent everything up to here.
    After(Zxid),
    /// A snapshot is to be opened. The log does not reach back to this zxid, so an older one would
    /// lead nowhere.
    Snapshot { beyond: Zxid },
    /// A snapshot is being sent.
    Chunks,
}

/// How far the synchronisation of a learner has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sync {
    source: Source,
    sent: u64,
    taken: u64,
}

impl Sync {
    pub(super) fn has_snapshot_open(&self) -> bool {
        match self.source {
            Source::Unknown(_) | Source::After(_) => false,
            Source::Snapshot { .. } | Source::Chunks => true,
        }
    }
}

/// What was read of a snapshot.
pub(super) struct Chunk {
    pub(super) zxid: Zxid,
    pub(super) bytes: Bytes,
    pub(super) last: bool,
}

impl Leader {
    /// Begins with a learner that has promised, if this leader is elected.
    pub(super) fn begin_sync(&mut self, ground: &mut Ground, learner: ServerId, out: &mut Effects) {
        let is_elected = matches!(self.phase, Phase::Adopting | Phase::Established);
        let Some(peer) = self.peers.get_mut(&learner).filter(|_| is_elected) else { return };
        let Progress::Promised(last) = peer.progress else { return };
        if peer.is_in_place() {
            return self.sync_in_place(ground, learner, last, out);
        }
        let base = ground.window.floor(last);
        let source = base.map_or(Source::Unknown(last), Source::After);
        peer.progress = Progress::Syncing(Sync { source, sent: 0, taken: 0 });
        if let Some(base) = base {
            let message = Message::SyncFrom { epoch: self.epoch, base };
            out.push(MemberEffect::Send(learner, message));
        }
        self.pump(ground, learner, out);
    }

    /// A learner that followed all the time has the whole history already.
    fn sync_in_place(
        &mut self,
        ground: &mut Ground,
        learner: ServerId,
        last: Zxid,
        out: &mut Effects,
    ) {
        if last == ground.logged() {
            self.finish(ground, learner, last, out);
        } else {
            out.push(MemberEffect::Disconnect(learner));
            self.remove(ground, learner, out);
        }
    }

    /// Sends the next piece, or has it read.
    fn pump(&mut self, ground: &mut Ground, learner: ServerId, out: &mut Effects) {
        if let Some(cursor) = self.send_from_memory(ground, learner, out) {
            return self.finish(ground, learner, cursor, out);
        }
        let Some(peer) = self.peers.get(&learner) else { return };
        let Progress::Syncing(sync) = peer.progress else { return };
        if sync.sent - sync.taken >= UNTAKEN_MAX {
            return;
        }
        let history = Read::History(HistoryReader::Learner(learner));
        let (read, question) = match sync.source {
            Source::Unknown(after) | Source::After(after) => {
                (history, MemberEffect::ReadHistory(HistoryReader::Learner(learner), after))
            }
            Source::Snapshot { .. } => {
                (Read::Snapshot(learner), MemberEffect::OpenSnapshot(learner))
            }
            Source::Chunks => (Read::Snapshot(learner), MemberEffect::ReadSnapshot(learner)),
        };
        ground.read(read, question, out);
    }

    /// Sends pieces of what is in memory, no more at a time than the learner takes in: all of it
    /// would keep the leader from everybody else. Returns where the last piece begins, as soon as
    /// there is only one left.
    fn send_from_memory(
        &mut self,
        ground: &Ground,
        learner: ServerId,
        out: &mut Effects,
    ) -> Option<Zxid> {
        let epoch = self.epoch;
        let Progress::Syncing(sync) = &mut self.peers.get_mut(&learner)?.progress else {
            return None;
        };
        while let Source::After(cursor) = sync.source
            && ground.window.reaches(cursor)
        {
            let Some(entries) = ground.window.piece(cursor, HISTORY_CHUNK_BYTES) else {
                return Some(cursor);
            };
            if sync.sent - sync.taken >= UNTAKEN_MAX {
                break;
            }
            sync.sent += 1;
            sync.source = Source::After(entries.last().map_or(cursor, |last| last.zxid));
            out.push(MemberEffect::Send(learner, Message::SyncEntries { epoch, entries }));
        }
        None
    }

    /// Sends what is left, and from this very moment everything that comes.
    fn finish(&mut self, ground: &mut Ground, learner: ServerId, cursor: Zxid, out: &mut Effects) {
        let epoch = self.epoch;
        let last = ground.logged();
        let mut batch = Vec::new();
        let mut bytes = 0;
        for entry in ground.window.between(cursor, last) {
            bytes += weight(entry);
            batch.push(entry.clone());
            if bytes >= HISTORY_CHUNK_BYTES || entry.zxid == last {
                let entries = core::mem::take(&mut batch);
                bytes = 0;
                out.push(MemberEffect::Send(learner, Message::SyncEntries { epoch, entries }));
            }
        }
        out.push(MemberEffect::Send(learner, Message::NewLeader { epoch, last }));
        if let Some(peer) = self.peers.get_mut(&learner) {
            peer.progress = Progress::Forwarded(last);
        }
    }

    /// A learner took in so many pieces.
    pub(super) fn sync_taken(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        count: u64,
        out: &mut Effects,
    ) {
        self.progress_ms = ground.now.mono_ms;
        let Some(Peer { progress: Progress::Syncing(sync), .. }) = self.peers.get_mut(&from) else {
            // The last pieces are acknowledged after everything was sent.
            return;
        };
        if count > sync.sent {
            ground.dropped += 1;
            return;
        }
        sync.taken = sync.taken.max(count);
        self.pump(ground, from, out);
    }

    /// The log answered for a learner.
    pub(super) fn history_for_learner(
        &mut self,
        ground: &mut Ground,
        learner: ServerId,
        (answer, history): (Answer, History),
        out: &mut Effects,
    ) {
        let epoch = self.epoch;
        let Some(Peer { progress: Progress::Syncing(sync), .. }) = self.peers.get_mut(&learner)
        else {
            return;
        };
        let (asked, is_known) = match sync.source {
            Source::Unknown(after) => (after, false),
            Source::After(after) => (after, true),
            Source::Snapshot { .. } | Source::Chunks => return self.pump(ground, learner, out),
        };
        if answer == Answer::Stale || history.after != asked {
            return self.pump(ground, learner, out);
        }
        if !history.reaches_back {
            sync.source = Source::Snapshot { beyond: asked };
            return self.pump(ground, learner, out);
        }
        if is_known && history.base != asked {
            out.push(MemberEffect::Halt("the log lacks what was read from it before"));
            return;
        }
        if !is_known {
            let message = Message::SyncFrom { epoch, base: history.base };
            out.push(MemberEffect::Send(learner, message));
        }
        let entries: Vec<Proposal> = history.entries;
        let cursor = entries.last().map_or(history.base, |last| last.zxid);
        if !entries.is_empty() {
            sync.sent += 1;
            out.push(MemberEffect::Send(learner, Message::SyncEntries { epoch, entries }));
        } else if !ground.window.reaches(cursor) {
            out.push(MemberEffect::Halt("the log lacks what is no longer in memory"));
            return;
        }
        sync.source = Source::After(cursor);
        self.pump(ground, learner, out);
    }

    /// A snapshot's next piece was read for a learner.
    pub(super) fn snapshot_read(
        &mut self,
        ground: &mut Ground,
        learner: ServerId,
        (answer, chunk): (Answer, Chunk),
        out: &mut Effects,
    ) {
        let epoch = self.epoch;
        let Some(Peer { progress: Progress::Syncing(sync), .. }) = self.peers.get_mut(&learner)
        else {
            return;
        };
        if answer == Answer::Stale || !sync.has_snapshot_open() {
            return self.pump(ground, learner, out);
        }
        let Chunk { zxid, bytes, last } = chunk;
        if let Source::Snapshot { beyond } = sync.source {
            if zxid <= beyond {
                // The newest one must be damaged.
                return self.snapshot_unreadable(ground, learner, answer, out);
            }
            let message = Message::SyncSnapshot { epoch, zxid, time_ms: ground.time_ms };
            out.push(MemberEffect::Send(learner, message));
        }
        sync.sent += 1;
        sync.source = if last { Source::After(zxid) } else { Source::Chunks };
        out.push(MemberEffect::Send(learner, Message::SnapshotChunk { epoch, bytes, last }));
        self.pump(ground, learner, out);
    }

    /// There is nothing to bring a learner up to date with: it has to try again later.
    pub(super) fn snapshot_unreadable(
        &mut self,
        ground: &mut Ground,
        learner: ServerId,
        answer: Answer,
        out: &mut Effects,
    ) {
        if answer == Answer::Stale {
            return self.pump(ground, learner, out);
        }
        out.push(MemberEffect::Disconnect(learner));
        self.remove(ground, learner, out);
    }
}
