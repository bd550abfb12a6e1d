//! Walking through the log from any record on, reading no more of the files than is asked for.
//!
//! Called by replay and by readers of history. What opening checked is checked again on the way:
//! a record that was whole then must be whole now.

use super::Segment;
use super::disk::Disk;
use super::error::LogError;
use super::identity::Identity;
use super::record::{self, Entry, HEADER_BYTES, Header, Kind};
use super::segment::{self, RECORDS_AT};
use super::timeline::Timeline;
use alloc::vec;
use alloc::vec::Vec;

/// Read from a file at a time, at least: first so much, then twice as much each time.
const WINDOW_BYTES_MIN: usize = 4 << 10;
const WINDOW_BYTES_MAX: usize = 64 << 10;

/// Right before a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// First seq of the segment it is in.
    pub(super) segment: u64,
    offset: u64,
    seq: u64,
    chain: u64,
}

/// Reads live entries, one after the other.
pub(super) struct Walk<'l, D> {
    pub(super) disk: &'l mut D,
    pub(super) segments: &'l [Segment],
    pub(super) timeline: &'l Timeline,
    pub(super) identity: Identity,
    /// The first record that is not to be read.
    pub(super) until: u64,
    pub(super) position: Position,
    pub(super) window: Window,
}

/// A piece of a segment in memory.
#[derive(Default)]
pub(super) struct Window {
    segment: u64,
    start: u64,
    bytes: Vec<u8>,
    /// How much was read at least, the last time.
    size: usize,
}

impl Position {
    /// Before the first record of a segment.
    pub(super) fn start_of(segment: &Segment) -> Self {
        let Segment { first_seq, chain, .. } = *segment;
        Self { segment: first_seq, offset: RECORDS_AT as u64, seq: first_seq, chain }
    }
}

impl<D: Disk> Walk<'_, D> {
    /// The next live entry; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, LogError> {
        while let Some((at, seq, header)) = self.step()? {
            if self.timeline.is_live(header.kind, seq, header.zxid) {
                let payload = self.window.bytes(at + HEADER_BYTES as u64, header.length);
                let entry = record::entry(header.zxid, payload);
                // Opening has decoded every record, and the chain holds it to what it was.
                return Ok(Some(entry.expect("a transaction that was decoded before")));
            }
        }
        Ok(None)
    }

    /// Goes over one record: where it begins, its seq and its header.
    fn step(&mut self) -> Result<Option<(u64, u64, Header)>, LogError> {
        self.enter_segment();
        let Position { segment, offset, seq, chain } = self.position;
        if seq >= self.until {
            return Ok(None);
        }
        let header = self.header_at(self.position)?;
        let whole = HEADER_BYTES + header.length;
        let bytes = self.window.load(self.disk, segment, offset, whole)?;
        let fits = header.seq == seq && header.kind != Kind::Seal;
        if !fits || header.payload(bytes, chain).is_none() {
            return Err(self.damaged());
        }
        let after = offset + header.record_bytes() as u64;
        self.position = Position { segment, offset: after, seq: seq + 1, chain: header.chain };
        Ok(Some((offset, seq, header)))
    }

    /// Moves on to the segment that begins here, if one does. That the one before was sealed is
    /// not asked for: a crash may have come between.
    fn enter_segment(&mut self) {
        let Position { segment, seq, .. } = self.position;
        let found = self.segments.binary_search_by_key(&seq, |segment| segment.first_seq);
        if let Ok(index) = found
            && seq != segment
        {
            self.position = Position::start_of(&self.segments[index]);
        }
    }

    fn header_at(&mut self, position: Position) -> Result<Header, LogError> {
        let Position { segment, offset, .. } = position;
        let seed = segment::seed(self.identity, segment);
        let bytes = self.window.load(self.disk, segment, offset, HEADER_BYTES)?;
        Header::decode(bytes, seed, offset).ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> LogError {
        let Position { segment, offset, .. } = self.position;
        let file = self.disk.place(&segment::name(segment));
        let what = "a record that was whole at the start no longer is";
        LogError::Corrupt { file, offset, what }
    }
}

impl Window {
    /// The bytes from `offset` on, `length` of them, or fewer at the end of the file.
    fn load<D: Disk>(
        &mut self,
        disk: &mut D,
        segment: u64,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], LogError> {
        let end = self.start + self.bytes.len() as u64;
        let is_here = segment == self.segment
            && self.start <= offset
            && offset.saturating_add(length as u64) <= end;
        if !is_here {
            let size = (self.size * 2).clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX);
            *self = Self { segment, start: offset, bytes: vec![0; length.max(size)], size };
            let read = disk.read_at(&segment::name(segment), offset, &mut self.bytes)?;
            self.bytes.truncate(read);
        }
        Ok(self.bytes(offset, length))
    }

    /// Bytes that were loaded.
    fn bytes(&self, offset: u64, length: usize) -> &[u8] {
        let start = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(start..).unwrap_or_default();
        &rest[..length.min(rest.len())]
    }
}
