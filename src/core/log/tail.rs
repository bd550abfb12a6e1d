//! The tail: the end of the last segment, where the next record goes.
//!
//! Lives here: segments as they come into being and grow. Called by the log when it writes.

use super::disk::{Disk, DiskError, Fault};
use super::error::LogError;
use super::files::{create_unfinished, unfinished};
use super::segment::{self, RECORDS_AT, Scan, SegmentHeader};
use alloc::string::String;

/// Zeros are written in pieces of this length. A write makes pages of its own size in the
/// system's cache, and a sync of a few bytes costs by the size of the page they lie in: a third
/// more with 4 MiB at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// A batch of this length, in bytes, or a longer one, that finds the segment full, lengthens it by
/// itself. A sync then has to write the file's new length too, which takes 50 µs more; but to
/// write so much in zeros first takes as long, and each byte twice.
const WRITTEN_ONCE_BYTES: u64 = 32 << 10;
/// The least by which a segment grows for a shorter one, in bytes.
const GROWTH_BYTES_MIN: u64 = ZEROS.len() as u64;
/// It grows by so many times that batch, so that few batches of a steady load do, and a lone small
/// one does not wait for megabytes.
const GROWTH_BATCHES: u64 = 16;
/// A file that is longer than a segment by more than this, in bytes, does not become the next one.
const SPARE_BYTES_OVER_MAX: u64 = 4 << 20;
/// Room that a new segment has, and that an idle log keeps ready, in bytes.
const READY_BYTES: u64 = 1 << 20;

/// Where the next record goes.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    pub(super) name: String,
    pub(super) seed: u64,
    /// End of what is written, in bytes.
    pub(super) position: u64,
    /// Length of the file, in bytes.
    pub(super) allocated: u64,
    /// Of the next record appended; those in the buffer are counted.
    pub(super) seq: u64,
    pub(super) chain: u64,
    /// Every record below this seq is durable.
    pub(super) floor: u64,
    /// Whether there is a transaction in the segment, live or staged.
    pub(super) has_entries: bool,
}

/// A file that was a segment until it was purged. All its blocks have their places on the disk,
/// so that the next segment need not be filled with zeros first: that would write each byte twice.
#[derive(Clone, Debug)]
pub(super) struct Spare {
    file: String,
    /// Its length.
    bytes: u64,
}

impl Spare {
    /// Takes the file of a purged segment, unless it is of no use; the caller syncs the directory.
    /// Its name is that of a leftover: the next start removes it.
    pub(super) fn take<D: Disk>(
        disk: &mut D,
        segment: &str,
        segment_bytes: u64,
    ) -> Result<Option<Self>, DiskError> {
        let bytes = disk.length(segment)?;
        if bytes > whole_blocks(segment_bytes) + SPARE_BYTES_OVER_MAX {
            return Ok(None);
        }
        let file = unfinished(segment);
        disk.rename(segment, &file)?;
        Ok(Some(Self { file, bytes }))
    }
}

impl Tail {
    /// A new segment, durable under its name when this returns: a file of its own, or the spare
    /// if there is one.
    pub(super) fn create<D: Disk>(
        disk: &mut D,
        segment_bytes: u64,
        header: &SegmentHeader,
        spare: Option<Spare>,
    ) -> Result<Self, LogError> {
        assert_eq!(header.reused, spare.is_some(), "the header tells what the file is");
        let name = segment::name(header.first_seq);
        let Spare { file, bytes: allocated } = match spare {
            Some(spare) => spare,
            None => Spare {
                file: create_unfinished(disk, &name)?,
                bytes: whole_blocks(segment_bytes).min(READY_BYTES),
            },
        };
        disk.write_at(&file, 0, &header.encode())?;
        if !header.reused {
            write_zeros(disk, &file, RECORDS_AT as u64, allocated)?;
        }
        disk.sync(&file)?;
        disk.rename(&file, &name)?;
        disk.sync_directory()?;
        Ok(Self {
            name,
            seed: header.seed(),
            position: RECORDS_AT as u64,
            allocated,
            seq: header.first_seq,
            chain: header.chain,
            floor: header.first_seq,
            has_entries: false,
        })
    }

    /// The tail of a segment that was scanned to its end.
    pub(super) fn after(
        name: &str,
        scan: &Scan<'_>,
        header: &SegmentHeader,
        allocated: u64,
    ) -> Self {
        Self {
            name: name.into(),
            seed: header.seed(),
            position: scan.offset as u64,
            allocated,
            seq: scan.seq,
            chain: scan.chain,
            floor: scan.seq,
            has_entries: scan.has_entries,
        }
    }

    /// Lets the file have room up to `end` for a batch of so many bytes.
    pub(super) fn make_room<D: Disk>(
        &mut self,
        disk: &mut D,
        segment_bytes: u64,
        end: u64,
        batch: u64,
    ) -> Result<(), DiskError> {
        if end <= self.allocated {
            return Ok(());
        }
        if batch >= WRITTEN_ONCE_BYTES {
            let until = whole_blocks(end);
            write_zeros(disk, &self.name, self.position + batch, until)?;
            // The batch comes in between, and its sync is theirs.
            self.allocated = until;
            return Ok(());
        }
        let step = (GROWTH_BATCHES * batch).max(GROWTH_BYTES_MIN);
        let step = whole_blocks(step.min(segment_bytes));
        self.grow(disk, self.allocated + (end - self.allocated).next_multiple_of(step))
    }

    /// Lets the file have room for what is to come, as far as the disk has: that it is full is
    /// for a batch to find out.
    pub(super) fn prepare<D: Disk>(
        &mut self,
        disk: &mut D,
        segment_bytes: u64,
    ) -> Result<(), DiskError> {
        let ready = whole_blocks(segment_bytes).min(self.position + READY_BYTES);
        // Not for every small batch: by the half.
        if ready < self.allocated + READY_BYTES.min(segment_bytes) / 2 {
            return Ok(());
        }
        match self.grow(disk, ready.next_multiple_of(RECORDS_AT as u64)) {
            Err(error) if error.fault == Fault::NoSpace && error.verb != "sync" => Ok(()),
            result => result,
        }
    }

    fn grow<D: Disk>(&mut self, disk: &mut D, until: u64) -> Result<(), DiskError> {
        write_zeros(disk, &self.name, self.allocated, until)?;
        disk.sync(&self.name)?;
        self.allocated = until;
        Ok(())
    }
}

fn whole_blocks(bytes: u64) -> u64 {
    bytes.next_multiple_of(RECORDS_AT as u64)
}

/// Zeros from `offset` until `end`.
pub(super) fn write_zeros<D: Disk>(
    disk: &mut D,
    file: &str,
    mut offset: u64,
    end: u64,
) -> Result<(), DiskError> {
    while offset < end {
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let piece = &ZEROS[..left.min(ZEROS.len())];
        disk.write_at(file, offset, piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
