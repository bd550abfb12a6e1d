//! The log: every transaction and every promise of this server, durable and in order.
//!
//! Lives here: segments of checksummed, chained records, which of them are the live history,
//! recovery, snapshot files, retention. Does not live here: what a transaction means, when to
//! sync, when to take a snapshot. The room that writes the log calls it and may block on it; the
//! files are behind [`Disk`].
//!
//! One batch is one write and one sync. After a failed write or sync the log takes nothing more,
//! because what reached the disk is then unknown; a restart finds out.
//!
//! Records are only ever added. A leader's history is collected as a *stage* beside the live one
//! and takes its place by one record; what it supersedes stays in the files, dead, until it is
//! purged. So whatever the moment of a crash, there is the old history or the new one.

mod bytes;
pub mod disk;
mod error;
mod files;
mod history;
mod identity;
#[cfg(any(test, feature = "crumbling-disk"))]
pub mod mem_disk;
mod open;
mod purge;
mod record;
mod segment;
pub mod snapshot;
mod tail;
mod timeline;
pub mod transfer;
mod walk;

#[cfg(test)]
mod tests;

pub use disk::{Disk, DiskError, Fault};
pub use error::LogError;
pub use purge::Purged;
pub use record::Entry;

use crate::types::{ServerId, Zxid};
use crate::zab::{LogOrder, Reign, Restated};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use identity::Identity;
use record::{Fact, Kind, Place};
use segment::SegmentHeader;
use tail::{Spare, Tail};
use timeline::{Facts, Timeline};

/// No segment file is longer: a longer one is not ours.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;

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
    /// The last transaction of the live history, zero if there is none.
    pub last_zxid: Zxid,
    /// Highest reign promised to.
    pub accepted: Reign,
    /// The reign whose history was adopted.
    pub current: Reign,
    /// Everything up to here is known to be committed. Never above `last_zxid`.
    pub committed: Zxid,
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

/// An open log.
///
/// Invariant: the records in `buffer` continue the tail, and none of them was written yet. The
/// timeline counts them.
pub struct Log<D> {
    disk: D,
    settings: LogSettings,
    identity: Identity,
    /// Ascending, never empty.
    segments: Vec<Segment>,
    tail: Tail,
    timeline: Timeline,
    buffer: Vec<u8>,
    /// For the next segment.
    spare: Option<Spare>,
    /// Whether the file ends with a mark.
    marked: bool,
    /// A received snapshot that the records in the buffer adopt.
    adopting: Option<Zxid>,
    damaged_snapshots: Vec<Zxid>,
    failure: Option<String>,
}

/// What is remembered of a segment.
#[derive(Clone, Debug)]
struct Segment {
    name: String,
    first_seq: u64,
    /// Chain value of the record before it.
    chain: u64,
    /// End of the live history at its start, as that was then.
    last: Zxid,
    /// End of the stage that was open at its start.
    staged: Option<Zxid>,
}

impl Segment {
    fn new(header: &SegmentHeader) -> Self {
        let SegmentHeader { first_seq, chain, facts: Facts { last, stage, .. }, .. } = *header;
        let name = segment::name(first_seq);
        Self { name, first_seq, chain, last, staged: stage.map(|stage| stage.last) }
    }
}

impl<D: Disk> Log<D> {
    /// Opens the log of a directory, or founds it at the first start. Everything in it is read and
    /// checked; a torn tail is cut, any other damage is an error that leaves all files untouched.
    pub fn open(disk: D, settings: LogSettings) -> Result<(Self, Recovered), LogError> {
        let segment_bytes = settings.segment_bytes.clamp(4 << 10, 1 << 30);
        open::open(disk, LogSettings { segment_bytes, ..settings })
    }

    /// Performs orders, and notes then what is committed of the history that they leave. Were it
    /// noted before, a record of a leader's history could state it that outlives a power cut in
    /// which its adoption is lost: then a later start would take for committed what the adoption
    /// was to give up.
    pub fn write(&mut self, orders: &[LogOrder], committed: Zxid) -> Result<(), LogError> {
        orders.iter().try_for_each(|order| self.order(order))?;
        self.note_committed(committed);
        Ok(())
    }

    /// Notes that everything up to here is committed. It is stated in the records that come, and
    /// asks for none itself.
    pub(crate) fn note_committed(&mut self, zxid: Zxid) {
        self.timeline.note_committed(zxid);
    }

    /// Performs an order of the protocol, with the next batch. It is durable only after
    /// [`Log::sync`]. An order that is refused changes nothing.
    pub fn order(&mut self, order: &LogOrder) -> Result<(), LogError> {
        match order {
            LogOrder::Append(proposal) => self.append(proposal.into()),
            LogOrder::Accept(reign) => self.accept(*reign),
            LogOrder::BeginStage { base, snapshot } => self.begin_stage(*base, *snapshot),
            LogOrder::Stage(proposal) => self.stage(proposal.into()),
            LogOrder::CommitStage { reign } => self.commit_stage(*reign),
        }
    }

    /// Continues the live history. Refused while a stage is open.
    pub fn append(&mut self, entry: Entry<'_>) -> Result<(), LogError> {
        if self.timeline.facts.stage.is_some() {
            let what = "a leader's history is being collected";
            return Err(LogError::Unexpected { what });
        }
        self.state(Fact::Append(entry))
    }

    /// Promises to follow no leader of an earlier epoch. Voids an open stage, unless it is the
    /// same other server's that the last promise was made to.
    pub fn accept(&mut self, reign: Reign) -> Result<(), LogError> {
        self.state(Fact::Accept(reign))
    }

    /// Begins a stage that will replace what follows `base`; one begun before is void. With
    /// `snapshot` everything before `base` goes as well: the snapshot received for this zxid has
    /// it, and is read and checked here. Without, `base` must be in the live history and what
    /// follows it not known to be committed.
    pub fn begin_stage(&mut self, base: Zxid, snapshot: bool) -> Result<(), LogError> {
        self.check_usable()?;
        let fact = Fact::BeginStage { base, snapshot };
        self.timeline.check(&fact)?;
        if snapshot {
            snapshot::verify_received(&mut self.disk, base)?;
        } else if !self.is_live(base)? {
            return Err(LogError::UnknownBase { base, last: self.last_zxid() });
        }
        self.state(fact)
    }

    /// Adds to the stage.
    pub fn stage(&mut self, entry: Entry<'_>) -> Result<(), LogError> {
        self.state(Fact::Stage(entry))
    }

    /// Adopts the stage under this reign, by one record; without a stage, keeps the live history
    /// as it is. Refused if something known to be committed would be lost.
    pub fn commit_stage(&mut self, reign: Reign) -> Result<(), LogError> {
        let Facts { last: kept, stage: open, .. } = self.timeline.facts;
        let (base, last) = open.map_or((kept, kept), |stage| (stage.base, stage.last));
        let stage = open.map_or(0, |stage| stage.first_seq);
        self.state(Fact::CommitStage { reign, stage, base, last })?;
        if let Some(stage) = open.filter(|stage| stage.snapshot) {
            self.adopting = Some(stage.base);
        }
        Ok(())
    }

    /// Notes that a snapshot of this server's own was published.
    pub fn note_snapshot(&mut self, zxid: Zxid) -> Result<(), LogError> {
        self.state(Fact::SnapshotTaken(zxid))
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
        self.timeline.settle();
        let Some(zxid) = self.adopting.take() else { return Ok(()) };
        self.damaged_snapshots.retain(|&damaged| damaged != zxid);
        let result = snapshot::adopt(&mut self.disk, zxid);
        self.remember(result)
    }

    /// Notes in the file, without a sync, that everything before was durable. To be called when
    /// the log falls idle: while the last batch has no successor, this note alone lets recovery
    /// tell damage in it from a torn write. Does nothing if records wait or nothing was new.
    pub fn mark_flushed(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if self.marked || !self.buffer.is_empty() {
            return Ok(());
        }
        let (place, last) = (self.place(), self.last_zxid());
        self.tail.chain = record::encode(Kind::Mark, last, place, &[], &mut self.buffer)?;
        self.tail.seq += 1;
        let result = self.make_room(0).and_then(|()| self.write_buffer());
        self.remember(result)?;
        self.marked = true;
        Ok(())
    }

    /// Makes room for batches to come, so that they need not. To be called when the log is idle;
    /// does nothing if there is enough, or records wait, or the disk is full.
    pub fn prepare(&mut self) -> Result<(), LogError> {
        self.check_usable()?;
        if !self.buffer.is_empty() {
            return Ok(());
        }
        let result = self.tail.prepare(&mut self.disk, self.settings.segment_bytes);
        self.remember(result)
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
        if self.tail.has_entries { self.begin_segment() } else { Ok(()) }
    }

    /// What the protocol has to know of it, if its host remembers nothing: true once all is synced.
    pub fn restate(&self) -> Restated {
        let Facts { last, accepted, current, .. } = self.timeline.facts;
        let (committed, base) = (self.timeline.committed(), self.timeline.base);
        Restated { accepted, current, last, committed, base }
    }

    /// The end of the live history, counting what was appended and not synced.
    pub fn last_zxid(&self) -> Zxid {
        self.timeline.facts.last
    }

    /// The disk, for writing and reading snapshots.
    pub fn disk(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Gives the disk back.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// The first start: the identity comes last, so that where it is, a log is too.
    fn found(mut disk: D, settings: LogSettings, identity: Identity) -> Result<Self, LogError> {
        let facts = Facts::default();
        let header = SegmentHeader { identity, first_seq: 1, chain: 0, facts, reused: false };
        let tail = Tail::create(&mut disk, settings.segment_bytes, &header, None)?;
        identity.write(&mut disk)?;
        let timeline = Timeline::resume(identity.server, header.first_seq, facts);
        let log = Self::with(disk, settings, identity, vec![Segment::new(&header)], tail, timeline);
        Ok(Self { marked: true, ..log })
    }

    /// A log with nothing in its buffer.
    fn with(
        disk: D,
        settings: LogSettings,
        identity: Identity,
        segments: Vec<Segment>,
        tail: Tail,
        timeline: Timeline,
    ) -> Self {
        Self {
            disk,
            settings,
            identity,
            segments,
            tail,
            timeline,
            buffer: Vec::new(),
            spare: None,
            marked: false,
            adopting: None,
            damaged_snapshots: Vec::new(),
            failure: None,
        }
    }

    /// Adds a record to the next batch.
    fn state(&mut self, fact: Fact<'_>) -> Result<(), LogError> {
        self.check_usable()?;
        self.timeline.check(&fact)?;
        if self.buffer.is_empty() && self.tail.position >= self.settings.segment_bytes {
            self.roll()?;
        }
        let place = self.place();
        self.tail.chain = fact.encode(place, self.last_zxid(), &mut self.buffer)?;
        self.timeline.apply(self.tail.seq, place.committed, &fact);
        self.tail.seq += 1;
        self.tail.has_entries |= matches!(fact, Fact::Append(_) | Fact::Stage(_));
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), LogError> {
        let result = self.try_begin_segment();
        self.remember(result)
    }

    fn try_begin_segment(&mut self) -> Result<(), LogError> {
        // A mark may still be on its way; the new segment will count it as durable.
        self.disk.sync(&self.tail.name)?;
        let Tail { seq: first_seq, chain, .. } = self.tail;
        let facts = self.timeline.facts;
        let (identity, reused) = (self.identity, self.spare.is_some());
        let header = SegmentHeader { identity, first_seq, chain, facts, reused };
        let segment_bytes = self.settings.segment_bytes;
        let tail = Tail::create(&mut self.disk, segment_bytes, &header, self.spare.take())?;
        // Only now may the old segment say that a next one exists.
        let (place, last) = (self.place(), self.last_zxid());
        record::encode(Kind::Seal, last, place, &[], &mut self.buffer)?;
        self.make_room(0)?;
        self.write_buffer()?;
        self.disk.sync(&self.tail.name)?;
        self.segments.push(Segment::new(&header));
        self.tail = tail;
        self.marked = true;
        Ok(())
    }

    /// Lets the file have room for the buffer and `spare` bytes behind it.
    fn make_room(&mut self, spare: u64) -> Result<(), DiskError> {
        let batch = self.buffer.len() as u64;
        let end = self.tail.position + batch + spare;
        self.tail.make_room(&mut self.disk, self.settings.segment_bytes, end, batch)
    }

    fn write_buffer(&mut self) -> Result<(), DiskError> {
        self.disk.write_at(&self.tail.name, self.tail.position, &self.buffer)?;
        self.tail.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn place(&self) -> Place {
        let Tail { seed, position, seq, floor, chain, .. } = self.tail;
        let committed = self.timeline.facts.committed;
        Place { seed, offset: position + self.buffer.len() as u64, seq, floor, chain, committed }
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
