//! Reading the live history back: all of it at a start, pieces of it for whoever lags behind.

use super::disk::Disk;
use super::error::LogError;
use super::walk::{Position, Walk, Window};
use super::{Entry, Log};
use crate::types::Zxid;
use crate::zab::History;
use alloc::vec::Vec;

/// What an entry counts besides its payload when chunks are measured, in bytes: else entries
/// without any would make a chunk that never ends.
const ENTRY_BYTES: usize = 64;

impl<D: Disk> Log<D> {
    /// Hands every durable entry of the live history after `after` to `each`, in order. An error
    /// of `each` ends it. Fails before the first entry if the log does not reach back that far.
    pub fn replay(
        &mut self,
        after: Zxid,
        each: &mut dyn FnMut(Entry<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.settle()?;
        self.check_reaches_back(after)?;
        let (_, position) = self.seek(after);
        let mut walk = self.walk(position);
        while let Some(entry) = walk.next()? {
            if entry.zxid > after {
                each(entry)?;
            }
        }
        Ok(())
    }

    /// Durable entries of the live history that follow `after`, up to about `max_bytes`, but at
    /// least one if there is one. Whoever comes back with the last zxid it was given goes on
    /// there; nothing is read twice. Changes nothing but to make durable, if need be, a history
    /// that was just adopted.
    ///
    /// Where the log does not reach back, `base` says nothing and is zero.
    pub fn history(&mut self, after: Zxid, max_bytes: usize) -> Result<History, LogError> {
        self.check_usable()?;
        let durable = self.settle()?;
        let answer = |base, entries, reaches_back| History { after, base, entries, reaches_back };
        if after < self.timeline.base {
            return Ok(answer(Zxid::ZERO, Vec::new(), false));
        }
        if after >= durable {
            return Ok(answer(durable, Vec::new(), true));
        }
        let (mut base, position) = match self.timeline.take_cursor(after) {
            Some(position) => (after, position),
            None => self.seek(after),
        };
        let mut walk = self.walk(position);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes.max(1) {
            let Some(entry) = walk.next()? else { break };
            if entry.zxid <= after {
                base = entry.zxid;
            } else {
                bytes += entry.payload.len() + ENTRY_BYTES;
                entries.push(entry.to_proposal());
            }
        }
        let position = walk.position;
        if let Some(last) = entries.last() {
            self.timeline.keep_cursor(last.zxid, position);
        }
        Ok(answer(base, entries, true))
    }

    /// Whether history can be built on this zxid.
    pub(super) fn is_live(&mut self, zxid: Zxid) -> Result<bool, LogError> {
        if zxid == self.timeline.facts.last || zxid == self.timeline.base {
            return Ok(true);
        }
        self.sync()?;
        let found = self.history(zxid, 1)?;
        Ok(found.reaches_back && found.base == zxid)
    }

    pub(super) fn check_reaches_back(&self, after: Zxid) -> Result<(), LogError> {
        let oldest = self.timeline.base;
        if after >= oldest {
            return Ok(());
        }
        let file = self.disk.place(&self.segments[self.segment_before(oldest)].name);
        Err(LogError::Gap { file, after, oldest })
    }

    /// Where the live history stands at the start of a segment.
    pub(super) fn zxid_before(&self, index: usize) -> Zxid {
        let segment = &self.segments[index];
        self.timeline.zxid_before(segment.first_seq, segment.last, segment.staged)
    }

    /// The end of the durable history, which is made durable first if it was just adopted.
    fn settle(&mut self) -> Result<Zxid, LogError> {
        if self.timeline.durable.is_none() {
            self.sync()?;
        }
        Ok(self.timeline.durable.unwrap_or(self.timeline.facts.last))
    }

    /// Before what follows `after`, or some segment's start before that, and where the live
    /// history stands there.
    fn seek(&self, after: Zxid) -> (Zxid, Position) {
        let index = self.segment_before(after);
        (self.zxid_before(index), Position::start_of(&self.segments[index]))
    }

    /// The last segment that has, from its start on, all of the live history after `after`.
    fn segment_before(&self, after: Zxid) -> usize {
        let (mut low, mut high) = (0, self.segments.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.zxid_before(middle) <= after {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn walk(&mut self, position: Position) -> Walk<'_, D> {
        Walk {
            disk: &mut self.disk,
            segments: &self.segments,
            timeline: &self.timeline,
            identity: self.identity,
            until: self.tail.floor,
            position,
            window: Window::default(),
        }
    }
}
