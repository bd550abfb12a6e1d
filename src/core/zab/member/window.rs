//! The newest part of the history, in memory: what learners and the host are usually given from.

use crate::types::Zxid;
use crate::zab::Proposal;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What a proposal costs beyond its payload, roughly, in bytes.
const OVERHEAD_BYTES: usize = 64;

/// See the module.
///
/// Invariant: `entries` are exactly the history after `base`, rising and gapless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    base: Zxid,
    entries: VecDeque<Proposal>,
    bytes: usize,
}

/// What memory `proposal` takes up, roughly, in bytes.
pub(super) fn weight(proposal: &Proposal) -> usize {
    proposal.payload.len() + OVERHEAD_BYTES
}

/// Whether an entry at `next` can stand right behind `last`: nothing can be missing in between,
/// for every epoch begins with the counter 1.
pub(super) fn follows(last: Zxid, next: Zxid) -> bool {
    let begins = next.epoch() > last.epoch() && next.counter() == 1;
    begins || last.next() == Some(next)
}

impl Window {
    /// A window that shows nothing of a history up to `base`.
    pub(super) fn new(base: Zxid) -> Self {
        Self { base, entries: VecDeque::new(), bytes: 0 }
    }

    /// Appends to the history.
    pub(super) fn push(&mut self, proposal: Proposal) {
        assert!(follows(self.last(), proposal.zxid), "gap before {}", proposal.zxid);
        self.bytes += weight(&proposal);
        self.entries.push_back(proposal);
    }

    /// Drops from the front down to `bytes_max`, but nothing after `floor`.
    pub(super) fn trim(&mut self, floor: Zxid, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(front) = self.entries.front().filter(|front| front.zxid <= floor) else {
                return;
            };
            self.bytes -= weight(front);
            self.base = front.zxid;
            self.entries.pop_front();
        }
    }

    /// The history now ends at `last` and goes on with what `tail` shows. `joined` tells that
    /// `tail` begins right after `last`.
    pub(super) fn replace_after(&mut self, last: Zxid, tail: Self, joined: bool) {
        if !joined || last < self.base {
            *self = tail;
            return;
        }
        while let Some(back) = self.entries.back().filter(|back| back.zxid > last) {
            self.bytes -= weight(back);
            self.entries.pop_back();
        }
        self.bytes += tail.bytes;
        self.entries.extend(tail.entries);
    }

    /// Removes and returns everything up to `until`.
    pub(super) fn take(&mut self, until: Zxid) -> Vec<Proposal> {
        let count = self.entries.partition_point(|entry| entry.zxid <= until);
        let taken: Vec<_> = self.entries.drain(..count).collect();
        self.base = taken.last().map_or(self.base, |last| last.zxid);
        self.bytes -= taken.iter().map(weight).sum::<usize>();
        taken
    }

    /// Where the window begins: the zxid before its first entry.
    pub(super) fn base(&self) -> Zxid {
        self.base
    }

    /// The end of the history.
    pub(super) fn last(&self) -> Zxid {
        self.entries.back().map_or(self.base, |last| last.zxid)
    }

    /// Whether everything after `zxid` is here.
    pub(super) fn reaches(&self, zxid: Zxid) -> bool {
        zxid >= self.base
    }

    /// The greatest zxid of the history not above `zxid`, if it is known here.
    pub(super) fn floor(&self, zxid: Zxid) -> Option<Zxid> {
        if !self.reaches(zxid) {
            return None;
        }
        let count = self.entries.partition_point(|entry| entry.zxid <= zxid);
        Some(count.checked_sub(1).map_or(self.base, |index| self.entries[index].zxid))
    }

    /// The first entries after `after` that make up `bytes`, if others come behind them.
    pub(super) fn piece(&self, after: Zxid, bytes: usize) -> Option<Vec<Proposal>> {
        let from = self.entries.partition_point(|entry| entry.zxid <= after);
        let mut sum = 0;
        let ahead = |entry: &&Proposal| {
            let fits = sum < bytes;
            sum += weight(entry);
            fits
        };
        let count = self.entries.range(from..).take_while(ahead).count();
        let is_last = from + count == self.entries.len();
        (!is_last).then(|| self.entries.range(from..from + count).cloned().collect())
    }

    /// Everything after `after`, up to `until`.
    pub(super) fn between(&self, after: Zxid, until: Zxid) -> impl Iterator<Item = &Proposal> {
        let from = self.entries.partition_point(|entry| entry.zxid <= after);
        let to = self.entries.partition_point(|entry| entry.zxid <= until);
        self.entries.range(from..to.max(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Epoch;
    use crate::zab::Origin;
    use alloc::vec;
    use bytes::Bytes;

    fn zxid(epoch: u32, counter: u32) -> Zxid {
        Zxid::new(Epoch(epoch), counter)
    }

    fn window(base: Zxid, zxids: &[Zxid]) -> Window {
        let mut window = Window::new(base);
        for zxid in zxids {
            let payload = Bytes::from_static(b"0123456789");
            window.push(Proposal { zxid: *zxid, time_ms: 0, origin: Origin::default(), payload });
        }
        window
    }

    #[test]
    fn the_floor_is_known_down_to_the_base() {
        let window = window(zxid(1, 4), &[zxid(1, 5), zxid(3, 1)]);
        assert_eq!(window.floor(zxid(1, 3)), None);
        assert_eq!(window.floor(zxid(1, 4)), Some(zxid(1, 4)));
        assert_eq!(window.floor(zxid(2, 9)), Some(zxid(1, 5)));
        assert_eq!(window.floor(zxid(9, 9)), Some(zxid(3, 1)));
    }

    #[test]
    fn trimming_stops_at_the_floor_whatever_the_size() {
        let mut window = window(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2), zxid(1, 3)]);
        window.trim(zxid(1, 2), 0);
        assert_eq!((window.base(), window.last()), (zxid(1, 2), zxid(1, 3)));
        window.trim(zxid(1, 3), 1000);
        assert_eq!(window.base(), zxid(1, 2));
    }

    #[test]
    fn a_superseded_end_is_replaced() {
        let mut live = window(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2), zxid(1, 3)]);
        live.replace_after(zxid(1, 2), window(zxid(1, 2), &[zxid(2, 1)]), true);
        let zxids: Vec<_> = live.between(Zxid::ZERO, zxid(9, 0)).map(|entry| entry.zxid).collect();
        assert_eq!(zxids, vec![zxid(1, 1), zxid(1, 2), zxid(2, 1)]);
        live.trim(zxid(2, 1), 0);
        assert_eq!(live.bytes, 0);
        live.replace_after(zxid(1, 1), window(zxid(2, 5), &[]), false);
        assert_eq!((live.base(), live.last()), (zxid(2, 5), zxid(2, 5)));
    }

    #[test]
    fn the_last_piece_is_none() {
        let window = window(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2), zxid(1, 3)]);
        let piece = |after, bytes| {
            let entries = window.piece(after, bytes)?;
            Some(entries.into_iter().map(|entry| entry.zxid.counter()).collect::<Vec<_>>())
        };
        assert_eq!(piece(Zxid::ZERO, 1), Some(vec![1]));
        let one = 10 + OVERHEAD_BYTES;
        assert_eq!(piece(Zxid::ZERO, one + 1), Some(vec![1, 2]));
        assert_eq!(piece(Zxid::ZERO, 2 * one + 1), None);
        assert_eq!(piece(zxid(1, 1), one), Some(vec![2]));
        assert_eq!((piece(zxid(1, 2), 1), piece(zxid(1, 3), 1)), (None, None));
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut window = window(Zxid::ZERO, &[zxid(1, 1), zxid(1, 2)]);
        assert_eq!(window.take(zxid(1, 1)).len(), 1);
        assert_eq!((window.base(), window.take(zxid(1, 1)).len()), (zxid(1, 1), 0));
    }
}
