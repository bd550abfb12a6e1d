//! The log: every transaction and every promise of this server, durable and in order.
//!
//! Lives here: segments of checksummed, chained records, recovery, snapshot files, retention. Does
//! not live here: what a transaction means, when to sync, when to take a snapshot. The room that
//! writes the log calls it and may block on it; the files are behind [`Disk`].
//!
//! One batch is one write and one sync. After a failed write or sync the log takes nothing more,
//! because what reached the disk is then unknown; a restart finds out.

mod bytes;
pub mod disk;
mod error;
mod identity;
#[cfg(any(test, feature = "crumbling-disk"))]
pub mod mem_disk;
mod open;
mod purge;
mod record;
mod segment;
pub mod snapshot;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskError, Fault};
pub use error::LogError;
pub use purge::Purged;
pub use record::Entry;

use crate::types::{Epoch, ServerId, Zxid};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use identity::Identity;
use record::{Kind, Place};
use segment::{RECORDS_AT, Scan, SegmentHeader};

/// No segment file is longer: a longer one is not ours.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;
/// A segment grows by this much, zero-filled, so that a sync finds nothing but data to write.
const GROWTH_BYTES_MAX: u64 = 4 << 20;
/// Ending of a file that was not published yet.
const UNFINISHED: &str = ".tmp";

/// How a log is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// A segment that has reached this length is followed by a new one. In bytes, 4 KiB to 1 GiB;
    /// values outside are taken as the nearest bound. A batch is never split between segments.
    pub segment_bytes: u64,
    /// Whose log it is.
    pub server: ServerId,
    /// Sixteen random bytes. Only the first start uses them: they become the directory's id.
    pub directory: [u8; 16],
}

/// What opening a log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last transaction, zero if there is none.
    pub last_zxid: Zxid,
    /// No leader of an earlier epoch may be followed.
    pub accepted_epoch: Epoch,
    /// The epoch of the history in the log.
    pub current_epoch: Epoch,
    /// Who led it.
    pub leader: ServerId,
    /// The newest valid snapshot; the log can be replayed after it.
    pub snapshot: Option<Zxid>,
    /// Newer snapshots that are damaged, to be reported.
    pub damaged_snapshots: Vec<LogError>,
    /// What was cut off the end, to be counted and reported.
    pub tail_cut: Option<TailCut>,
}

/// Remains of a batch that was being written when the server stopped. None of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailCut {
    /// The segment.
    pub file: String,
    /// Where the remains began, in bytes.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// Promises about epochs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Epochs {
    accepted: Epoch,
    current: Epoch,
    leader: ServerId,
}

/// An open log.
///
/// Invariant: the records in `buffer` continue the tail, and none of them was written yet.
pub struct Log<D> {
    disk: D,
    settings: LogSettings,
    identity: Identity,
    /// Ascending, never empty.
    segments: Vec<Segment>,
    tail: Tail,
    epochs: Epochs,
    last_zxid: Zxid,
    buffer: Vec<u8>,
    /// Whether the file ends with a mark.
    marked: bool,
    damaged_snapshots: Vec<Zxid>,
    failure: Option<String>,
}

/// What is remembered of a segment.
#[derive(Clone, Debug)]
struct Segment {
    name: String,
    /// Zxid of the last transaction before it.
    previous: Zxid,
    /// Whether the log cannot be replayed from before it.
    base: bool,
    /// End of its durable records, in bytes; the last segment's is in the tail.
    end: u64,
}

/// Where the next record goes.
#[derive(Clone, Debug)]
struct Tail {
    name: String,
    seed: u64,
    /// End of what is written, in bytes.
    position: u64,
    /// Length of the file, in bytes.
    allocated: u64,
    /// Of the next record appended; those in the buffer are counted.
    seq: u64,
    chain: u64,
    /// Every record below this seq is durable.
    floor: u64,
    has_txn: bool,
}

impl<D: Disk> Log<D> {
    /// Opens the log of a directory, or founds it at the first start. Everything in it is read and
    /// checked; a torn tail is cut, any other damage is an error that leaves all files untouched.
    pub fn open(disk: D, settings: LogSettings) -> Result<(Self, Recovered), LogError> {
        let segment_bytes = settings.segment_bytes.clamp(4 << 10, 1 << 30);
        open::open(disk, LogSettings { segment_bytes, ..settings })
    }

    /// Adds an entry to the next batch. It is durable only after [`Log::sync`].
    pub fn append(&mut self, entry: &Entry<'_>) -> Result<(), LogError> {
        self.check_usable()?;
        if let Entry::Txn { zxid, .. } = *entry
            && (zxid <= self.last_zxid || !segment::is_followed(zxid))
        {
            return Err(LogError::OutOfOrder { found: zxid, last: self.last_zxid });
        }
        if self.buffer.is_empty() && self.tail.position >= self.settings.segment_bytes {
            self.roll()?;
        }
        let place = self.place();
        self.tail.chain = entry.encode(place, self.last_zxid, &mut self.buffer)?;
        self.tail.seq += 1;
        match *entry {
            Entry::Txn { zxid, .. } => {
                self.last_zxid = zxid;
                self.tail.has_txn = true;
            }
            Entry::Epoch { accepted, current, leader } => {
                self.epochs = Epochs { accepted, current, leader };
            }
            Entry::SnapshotTaken { .. } => {}
        }
        Ok(())
    }

    /// Makes everything appended durable, by one write and one sync. An error is final.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        // With room for a mark behind it: a mark must ask the disk for no space and no sync.
        let result = self
            .make_room(record::HEADER_BYTES as u64)
            .and_then(|()| self.write_buffer())
            .and_then(|()| self.disk.sync(&self.tail.name));
        self.remember(result)?;
        self.tail.floor = self.tail.seq;
        self.marked = false;
        Ok(())
    }

    /// Notes in the file, without a sync, that everything before was durable. To be called when
    /// the log falls idle: while the last batch has no successor, this note alone lets recovery
    /// tell damage in it from a torn write. Does nothing if records wait or nothing was new.
    pub fn mark_flushed(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if self.marked || !self.buffer.is_empty() {
            return Ok(());
        }
        let place = self.place();
        self.tail.chain = record::encode(Kind::Mark, self.last_zxid, place, &[], &mut self.buffer)?;
        self.tail.seq += 1;
        let result = self.make_room(0).and_then(|()| self.write_buffer());
        self.remember(result)?;
        self.marked = true;
        Ok(())
    }

    /// Syncs, marks and makes the mark durable too: the last call before an orderly end. More may
    /// follow all the same.
    pub fn close(&mut self) -> Result<(), LogError> {
        self.sync()?;
        self.mark_flushed()?;
        let result = self.disk.sync(&self.tail.name);
        self.remember(result)
    }

    /// Syncs, and begins a new segment unless the current one holds no transaction yet.
    pub fn roll(&mut self) -> Result<(), LogError> {
        self.sync()?;
        if self.tail.has_txn { self.begin_segment(self.last_zxid, false) } else { Ok(()) }
    }

    /// Lets the log continue after `zxid`, which a snapshot received from elsewhere is exact at
    /// and which is not before the last transaction. What is in the log stays, but can no longer
    /// be replayed.
    pub fn rebase(&mut self, zxid: Zxid) -> Result<(), LogError> {
        self.sync()?;
        if zxid < self.last_zxid {
            return Err(LogError::OutOfOrder { found: zxid, last: self.last_zxid });
        }
        if zxid > self.last_zxid { self.begin_segment(zxid, true) } else { Ok(()) }
    }

    /// Hands every durable entry after `after` to `each`, in order. An error of `each` ends it.
    /// Fails before the first entry if the log does not reach back that far.
    pub fn replay(
        &mut self,
        after: Zxid,
        each: &mut dyn FnMut(Entry<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.check_reaches_back(after)?;
        let first = self.segments.partition_point(|segment| segment.previous <= after);
        for index in first.saturating_sub(1)..self.segments.len() {
            self.replay_segment(index, after, each)?;
        }
        Ok(())
    }

    /// The last transaction appended.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The disk, for writing and reading snapshots.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Gives the disk back.
    pub fn into_disk(self) -> D {
        self.disk
    }

    fn replay_segment(
        &mut self,
        index: usize,
        after: Zxid,
        each: &mut dyn FnMut(Entry<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let name = &self.segments[index].name;
        let file = self.disk.place(name);
        let mut bytes = read_file(&mut self.disk, name, SEGMENT_BYTES_MAX)?;
        let is_last = *name == self.tail.name;
        let end = if is_last { self.tail.position } else { self.segments[index].end };
        bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        let header = SegmentHeader::decode(&bytes, &file, self.identity)?;
        let mut scan = Scan::new(&bytes, &header);
        while let Some((record, payload)) = scan.next() {
            let wanted = match record.kind {
                Kind::Txn => record.zxid > after,
                Kind::Epoch | Kind::SnapshotTaken => record.zxid >= after,
                Kind::Mark | Kind::Seal => false,
            };
            if let Some(entry) = Entry::decode(&record, payload).filter(|_| wanted) {
                each(entry)?;
            }
        }
        if (scan.offset as u64) < end {
            let what = "a record that was whole at the start no longer is";
            return Err(LogError::Corrupt { file, offset: scan.offset as u64, what });
        }
        Ok(())
    }

    /// The first start: the identity comes last, so that where it is, a log is too.
    fn found(mut disk: D, settings: LogSettings, identity: Identity) -> Result<Self, LogError> {
        let epochs = Epochs::default();
        let header =
            SegmentHeader { identity, first_seq: 1, chain: 0, previous: Zxid::ZERO, epochs };
        let tail = Tail::create(&mut disk, settings.segment_bytes, &header)?;
        identity.write(&mut disk)?;
        let segments =
            vec![Segment { name: tail.name.clone(), previous: Zxid::ZERO, base: true, end: 0 }];
        Ok(Self {
            disk,
            settings,
            identity,
            segments,
            tail,
            epochs,
            last_zxid: Zxid::ZERO,
            buffer: Vec::new(),
            marked: true,
            damaged_snapshots: Vec::new(),
            failure: None,
        })
    }

    fn begin_segment(&mut self, previous: Zxid, base: bool) -> Result<(), LogError> {
        let result = self.try_begin_segment(previous, base);
        self.remember(result)
    }

    fn try_begin_segment(&mut self, previous: Zxid, base: bool) -> Result<(), LogError> {
        // A mark may still be on its way; the new segment will count it as durable.
        self.disk.sync(&self.tail.name)?;
        let Tail { seq: first_seq, chain, .. } = self.tail;
        let (identity, epochs) = (self.identity, self.epochs);
        let header = SegmentHeader { identity, first_seq, chain, previous, epochs };
        let tail = Tail::create(&mut self.disk, self.settings.segment_bytes, &header)?;
        // Only now may the old segment say that a next one exists.
        let place = self.place();
        record::encode(Kind::Seal, self.last_zxid, place, &[], &mut self.buffer)?;
        self.make_room(0)?;
        self.write_buffer()?;
        self.disk.sync(&self.tail.name)?;
        let before = self.segments.last_mut().expect("a log has at least one segment");
        before.end = self.tail.position;
        self.segments.push(Segment { name: tail.name.clone(), previous, base, end: 0 });
        self.tail = tail;
        self.last_zxid = previous;
        self.marked = true;
        Ok(())
    }

    /// Lets the file have room for the buffer and `spare` bytes behind it.
    fn make_room(&mut self, spare: u64) -> Result<(), DiskError> {
        let end = self.tail.position + self.buffer.len() as u64 + spare;
        if end > self.tail.allocated {
            let step = growth(self.settings.segment_bytes);
            let missing = (end - self.tail.allocated).next_multiple_of(step);
            write_zeros(&mut self.disk, &self.tail.name, self.tail.allocated, missing)?;
            self.disk.sync(&self.tail.name)?;
            self.tail.allocated += missing;
        }
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), DiskError> {
        self.disk.write_at(&self.tail.name, self.tail.position, &self.buffer)?;
        self.tail.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn place(&self) -> Place {
        let Tail { seed, position, seq, floor, chain, .. } = self.tail;
        Place { seed, offset: position + self.buffer.len() as u64, seq, floor, chain }
    }

    fn check_reaches_back(&self, after: Zxid) -> Result<(), LogError> {
        let base = self.segments.iter().rfind(|segment| segment.base);
        match base {
            Some(Segment { name, previous: oldest, .. }) if after < *oldest => {
                Err(LogError::Gap { file: self.disk.place(name), after, oldest: *oldest })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_usable(&self) -> Result<(), LogError> {
        match &self.failure {
            Some(cause) => Err(LogError::Refused { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    fn remember<E: Into<LogError>>(&mut self, result: Result<(), E>) -> Result<(), LogError> {
        let result = result.map_err(Into::into);
        if let Err(error) = &result {
            self.failure = Some(error.to_string());
        }
        result
    }
}

impl Tail {
    /// A new segment, durable under its name when this returns.
    fn create<D: Disk>(
        disk: &mut D,
        segment_bytes: u64,
        header: &SegmentHeader,
    ) -> Result<Self, LogError> {
        let name = segment::name(Zxid(header.previous.0 + 1));
        let mut content = header.encode();
        let allocated = growth(segment_bytes);
        content.resize(usize::try_from(allocated).unwrap_or(RECORDS_AT), 0);
        publish(disk, &name, &content)?;
        Ok(Self {
            name,
            seed: header.seed(),
            position: RECORDS_AT as u64,
            allocated,
            seq: header.first_seq,
            chain: header.chain,
            floor: header.first_seq,
            has_txn: false,
        })
    }

    /// The tail of a segment that was scanned to its end.
    fn after(name: &str, scan: &Scan<'_>, header: &SegmentHeader, allocated: u64) -> Self {
        Self {
            name: name.into(),
            seed: header.seed(),
            position: scan.offset as u64,
            allocated,
            seq: scan.seq,
            chain: scan.chain,
            floor: scan.seq,
            has_txn: scan.has_txn,
        }
    }
}

/// By how much a segment grows at a time, in bytes.
fn growth(segment_bytes: u64) -> u64 {
    segment_bytes.clamp(4 << 10, GROWTH_BYTES_MAX).next_multiple_of(RECORDS_AT as u64)
}

fn write_zeros<D: Disk>(
    disk: &mut D,
    file: &str,
    mut offset: u64,
    bytes: u64,
) -> Result<(), DiskError> {
    let end = offset + bytes;
    let zeros = vec![0; usize::try_from(bytes.min(GROWTH_BYTES_MAX)).unwrap_or(RECORDS_AT)];
    while offset < end {
        let part = zeros.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
        disk.write_at(file, offset, &zeros[..part])?;
        offset += part as u64;
    }
    Ok(())
}

/// Writes a whole file so that its name, once visible, always means the whole content.
fn publish<D: Disk>(disk: &mut D, name: &str, content: &[u8]) -> Result<(), LogError> {
    let unfinished = create_unfinished(disk, name)?;
    disk.write_at(&unfinished, 0, content)?;
    disk.sync(&unfinished)?;
    disk.rename(&unfinished, name)?;
    Ok(disk.sync_directory()?)
}

/// An empty file to be renamed to `name` later, in place of one that was left over.
fn create_unfinished<D: Disk>(disk: &mut D, name: &str) -> Result<String, DiskError> {
    let unfinished = format!("{name}{UNFINISHED}");
    match disk.remove(&unfinished) {
        Err(error) if error.fault != Fault::Missing => return Err(error),
        Ok(()) | Err(_) => disk.create(&unfinished)?,
    }
    Ok(unfinished)
}

/// A whole file of at most `limit` bytes.
fn read_file<D: Disk>(disk: &mut D, name: &str, limit: u64) -> Result<Vec<u8>, LogError> {
    let length = disk.length(name)?;
    if length > limit {
        let what = "it is longer than such a file can be";
        return Err(LogError::Corrupt { file: disk.place(name), offset: limit, what });
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = disk.read_at(name, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The zxid in a file name: the prefix and sixteen lower-case hexadecimal digits.
fn zxid_of(name: &str, prefix: &str) -> Option<Zxid> {
    let digits = name.strip_prefix(prefix).filter(|digits| digits.len() == 16)?;
    let zxid = Zxid(u64::from_str_radix(digits, 16).ok()?);
    (name == format!("{prefix}{:016x}", zxid.0)).then_some(zxid)
}
