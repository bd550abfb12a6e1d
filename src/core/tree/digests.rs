//! Digests of the tree at past positions, so that two servers can be compared although they never
//! stand still at the same one. Not part of any snapshot: a server knows what it has applied.

use crate::types::Zxid;
use alloc::collections::VecDeque;

/// Positions that are multiples of this are kept, so that all servers keep the same ones.
const INTERVAL: i64 = 128;
/// How many are kept.
const KEPT_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct DigestHistory(VecDeque<(Zxid, u64)>);

impl DigestHistory {
    /// The tree had this digest right after this transaction.
    pub(super) fn note(&mut self, zxid: Zxid, digest: u64) {
        if zxid.to_wire() % INTERVAL != 0 {
            return;
        }
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((zxid, digest));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Zxid, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_128th_position_is_kept_and_the_oldest_make_room() {
        let mut history = DigestHistory::default();
        for counter in 1..=128 * 1030 {
            history.note(Zxid::from_wire(counter), counter.unsigned_abs());
        }
        let kept: Vec<_> = history.iter().collect();
        assert_eq!(kept.len(), 1024);
        assert_eq!(kept[0], (Zxid::from_wire(128 * 7), 128 * 7));
        assert_eq!(kept[1023], (Zxid::from_wire(128 * 1030), 128 * 1030));
    }
}
