//! A tree that is made anew as it was at some zxid, from a snapshot and the log behind it: what of
//! the log is applied, and what is read next.
//!
//! Files are not known here. Whoever makes the tree loads the snapshot: the snapshot writer's room,
//! which has the log read piece by piece, and a start, which reads it at once ([`catch_up`]).

use crate::log::{self, Disk, Entry, Log, LogError, snapshot};
use crate::tree::{Effects, Tree, Txn};
use crate::types::Zxid;
use crate::wire::txn::{self, KnownIds};
use crate::zab::{self, History};
use alloc::boxed::Box;
use alloc::string::ToString;

/// Applies entries of the log, about which nobody is to be told.
pub struct Replay {
    effects: Effects,
    known: KnownIds,
}

impl Default for Replay {
    fn default() -> Self {
        let effects = Effects { unwatched: true, ..Effects::default() };
        Self { effects, known: KnownIds::default() }
    }
}

impl Replay {
    /// Applies the next one. An error if its payload is not one of ours.
    pub fn entry(&mut self, tree: &mut Tree, entry: Entry<'_>) -> Result<(), LogError> {
        let Entry { zxid, time_ms, payload, .. } = entry;
        let payload = txn::decode_knowing(payload, &mut self.known)
            .map_err(|error| LogError::Rejected { zxid, reason: error.to_string() })?;
        let once = payload.once();
        let (session, ids, op) = (payload.session, &payload.ids, payload.op);
        tree.apply_once(&Txn { zxid, time_ms, session, ids, op }, once, &mut self.effects);
        self.effects.clear();
        Ok(())
    }
}

/// Brings the tree of a snapshot to what is committed of the log behind it, at a start, and tells
/// `each` of what was applied. What may not be committed has no place in the tree, unless this
/// server `decides_alone`.
///
/// # Errors
/// What the log cannot be read for, or an entry that is none of ours.
pub fn catch_up<D: Disk>(
    log: &mut Log<D>,
    found: &log::Recovered,
    tree: &mut Tree,
    decides_alone: bool,
    each: &mut dyn FnMut(Entry<'_>),
) -> Result<zab::Recovered, LogError> {
    let committed = if decides_alone { found.last_zxid } else { found.committed };
    let mut replay = Replay::default();
    // Of what a snapshot holds, only it knows the time.
    let mut time_ms = tree.time_ms();
    log.replay(tree.last_applied(), &mut |entry| {
        time_ms = time_ms.max(entry.time_ms);
        if entry.zxid > committed {
            return Ok(());
        }
        replay.entry(tree, entry)?;
        each(entry);
        Ok(())
    })?;
    Ok(zab::Recovered {
        accepted: found.accepted,
        current: found.current,
        last: found.last_zxid,
        time_ms,
        committed,
        delivered: tree.last_applied(),
    })
}

/// See the module.
pub struct Rebuilding {
    /// The tree is to be exact at this zxid.
    target: Zxid,
    tree: Tree,
    replay: Replay,
    replayed: u64,
}

/// What a piece of the log is to a tree that is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// It was applied.
    Applied,
    /// It was read for an earlier attempt.
    Stale,
    /// The log begins behind what the tree needs next: what it lacks must be in a leader's
    /// snapshot.
    CutOff,
    /// The log ends before the zxid at which the tree is to be exact.
    TooShort,
}

impl Rebuilding {
    /// From the tree of a snapshot that is not newer than `target`, or an empty one.
    pub fn new(tree: Tree, target: Zxid) -> Self {
        Self { target, tree, replay: Replay::default(), replayed: 0 }
    }

    /// What the tree is to be exact at.
    pub fn target(&self) -> Zxid {
        self.target
    }

    /// Whether a leader's snapshot was adopted that is newer than the tree would be: the tree store
    /// is told to wait for that one, or is about to be. Its own snapshots are never newer.
    pub fn is_superseded<D: Disk>(&self, disk: &mut D) -> Result<bool, LogError> {
        Ok(snapshot::list(disk)?.first().is_some_and(|newest| *newest > self.target))
    }

    /// The log is to be read behind this zxid next; None when the tree is made.
    pub fn reads_after(&self) -> Option<Zxid> {
        let after = self.tree.last_applied();
        (after < self.target).then_some(after)
    }

    /// The tree, when nothing is left to read, and how many entries of the log were applied to it.
    pub fn finish(self) -> (Box<Tree>, u64) {
        (Box::new(self.tree), self.replayed)
    }

    /// Takes a piece of the log that was read for it, or for an earlier attempt.
    pub fn take(&mut self, history: &History) -> Result<Piece, LogError> {
        if self.tree.last_applied() != history.after {
            return Ok(Piece::Stale);
        }
        if !history.reaches_back {
            return Ok(Piece::CutOff);
        }
        for proposal in history.entries.iter().filter(|entry| entry.zxid <= self.target) {
            self.replay.entry(&mut self.tree, proposal.into())?;
            self.replayed += 1;
        }
        let has_moved = self.tree.last_applied() > history.after;
        Ok(if has_moved { Piece::Applied } else { Piece::TooShort })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::mem_disk::MemDisk;
    use crate::log::snapshot::Writer;
    use crate::tree::Rules;
    use crate::types::{Op, SessionId, Xid};
    use crate::zab::{Origin, Proposal};
    use alloc::vec::Vec;

    fn entry(zxid: u64) -> Proposal {
        let mut payload = Vec::new();
        let op = Op::Reap { path: "/n" };
        txn::encode(SessionId::NONE, Xid(0), &[], &op, &mut payload);
        let (time_ms, origin) = (0, Origin::default());
        Proposal { zxid: Zxid(zxid), time_ms, origin, payload: payload.into() }
    }

    /// So many entries behind a zxid.
    fn piece(after: u64, entries: u64) -> History {
        let (base, after) = (Zxid(after), Zxid(after));
        let entries = (after.0 + 1..=after.0 + entries).map(entry).collect();
        History { after, base, entries, reaches_back: true }
    }

    fn begun(target: u64) -> Rebuilding {
        Rebuilding::new(Tree::new(Rules::default(), 7), Zxid(target))
    }

    #[test]
    fn the_log_is_applied_piece_by_piece_and_no_further_than_the_tree_had_been() {
        let mut rebuilding = begun(5);
        assert_eq!(rebuilding.reads_after(), Some(Zxid::ZERO));
        assert_eq!(rebuilding.take(&piece(0, 3)).expect("entries of ours"), Piece::Applied);
        assert_eq!(rebuilding.reads_after(), Some(Zxid(3)));
        assert_eq!(
            rebuilding.take(&piece(0, 3)).expect("entries of ours"),
            Piece::Stale,
            "of an earlier attempt"
        );
        assert_eq!(rebuilding.take(&piece(3, 0)).expect("entries of ours"), Piece::TooShort);
        assert_eq!(rebuilding.take(&piece(3, 4)).expect("entries of ours"), Piece::Applied);
        assert_eq!(rebuilding.reads_after(), None);
        let (tree, replayed) = rebuilding.finish();
        assert_eq!((tree.last_applied(), replayed), (Zxid(5), 5));
    }

    /// A leader's snapshot that is adopted takes the place of the history before it, while that is
    /// still being read. The server used to end.
    #[test]
    fn a_leaders_snapshot_takes_the_place_of_a_tree_that_is_being_made_anew() {
        let mut rebuilding = begun(5);
        let gone = History { reaches_back: false, ..piece(0, 0) };
        assert_eq!(rebuilding.take(&gone).expect("entries of ours"), Piece::CutOff);
        let mut disk = MemDisk::new(1);
        assert!(
            !rebuilding.is_superseded(&mut disk).expect("the disk answers"),
            "nothing else holds what is gone"
        );
        Writer::create(&mut disk, Zxid(5))
            .expect("the disk takes it")
            .publish()
            .expect("the disk takes it");
        assert!(
            !rebuilding.is_superseded(&mut disk).expect("the disk answers"),
            "its own would do"
        );
        Writer::create(&mut disk, Zxid(9))
            .expect("the disk takes it")
            .publish()
            .expect("the disk takes it");
        assert!(rebuilding.is_superseded(&mut disk).expect("the disk answers"));
    }
}
