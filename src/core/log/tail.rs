//! The tail: the end of the last segment, where the next record goes.
//!
//! Lives here: segments as they come into being and grow. Called by the log when it writes.

use super::disk::{Disk, DiskError};
use super::error::LogError;
use super::files::publish;
use super::segment::{self, RECORDS_AT, Scan, SegmentHeader};
use alloc::string::String;
use alloc::vec;

/// A segment grows by this much, zero-filled, so that a sync finds nothing but data to write.
const GROWTH_BYTES_MAX: u64 = 4 << 20;

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

impl Tail {
    /// A new segment, durable under its name when this returns.
    pub(super) fn create<D: Disk>(
        disk: &mut D,
        segment_bytes: u64,
        header: &SegmentHeader,
    ) -> Result<Self, LogError> {
        let name = segment::name(header.first_seq);
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
}

/// By how much a segment grows at a time, in bytes.
pub(super) fn growth(segment_bytes: u64) -> u64 {
    segment_bytes.clamp(4 << 10, GROWTH_BYTES_MAX).next_multiple_of(RECORDS_AT as u64)
}

pub(super) fn write_zeros<D: Disk>(
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
