//! Records as bytes: how an entry of the log is framed, checked and chained.
//!
//! Knows nothing of files. Called by the log when it appends and by the segment scan.
//!
//! ```text
//!  0  magic      u32   "OREC"
//!  4  length     u32   bytes of payload
//!  8  seq        u64   number of the record, counted since the directory began, without gaps
//! 16  floor      u64   every record below this seq was durable before this one was written
//! 24  zxid       u64   of the transaction, else the last one before it
//! 32  chain      u64   xxh3 over the previous record's chain, bytes 0..32, kind and payload
//! 40  kind       u8    then seven zero bytes
//! 48  checksum   u64   xxh3 over bytes 0..48, seeded with the segment's seed and the offset
//! 56  payload, then zeros up to a multiple of 8
//! ```
//! Little endian. The checksum proves the length before it is used and that the record belongs to
//! this place of this segment; the chain proves the payload and that nothing before it is lost.

use super::bytes::{u32_at, u64_at};
use super::error::LogError;
use crate::types::{Epoch, ServerId, Zxid};
use alloc::vec::Vec;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 56;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;
/// The longest payload.
pub(super) const PAYLOAD_BYTES_MAX: usize = 256 << 20;
const MAGIC: u32 = u32::from_le_bytes(*b"OREC");
const CHECKED_BYTES: usize = 48;
const CHAINED_BYTES: usize = 32;
const EPOCH_BYTES: usize = 16;

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A transaction.
    Txn {
        /// Its position; greater than every one before.
        zxid: Zxid,
        /// Wall time it was ordered at, in milliseconds since 1970.
        time_ms: i64,
        /// What it does, as the wire format of transactions writes it.
        payload: &'a [u8],
    },
    /// A promise of this server about epochs; the latest one holds.
    Epoch {
        /// No leader of an earlier epoch will be followed.
        accepted: Epoch,
        /// The epoch of the history this server holds.
        current: Epoch,
        /// Who leads it.
        leader: ServerId,
    },
    /// A snapshot was published.
    SnapshotTaken {
        /// The position it is exact at.
        zxid: Zxid,
    },
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Txn,
    Epoch,
    SnapshotTaken,
    /// Says only that everything before it was durable.
    Mark,
    /// Last record of a segment; says that the next segment exists. Takes no seq of its own.
    Seal,
}

impl Kind {
    fn to_byte(self) -> u8 {
        match self {
            Self::Txn => 1,
            Self::Epoch => 2,
            Self::SnapshotTaken => 3,
            Self::Mark => 4,
            Self::Seal => 5,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Txn, Self::Epoch, Self::SnapshotTaken, Self::Mark, Self::Seal]
            .into_iter()
            .find(|kind| kind.to_byte() == byte)
    }
}

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) length: usize,
    pub(super) seq: u64,
    pub(super) floor: u64,
    pub(super) zxid: Zxid,
    pub(super) chain: u64,
}

/// Where a record goes: all that its checksums depend on besides its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) seed: u64,
    pub(super) offset: u64,
    pub(super) seq: u64,
    pub(super) floor: u64,
    pub(super) chain: u64,
}

impl Header {
    /// The header at the start of `bytes`, if it is one that was written at this offset.
    pub(super) fn decode(bytes: &[u8], seed: u64, offset: u64) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        if u32_at(header, 0) != MAGIC {
            return None;
        }
        let checksum = xxh3_64_with_seed(&header[..CHECKED_BYTES], seed ^ offset);
        if u64_at(header, CHECKED_BYTES) != checksum {
            return None;
        }
        Some(Self {
            kind: Kind::from_byte(header[40])?,
            length: usize::try_from(u32_at(header, 4)).ok()?,
            seq: u64_at(header, 8),
            floor: u64_at(header, 16),
            zxid: Zxid(u64_at(header, 24)),
            chain: u64_at(header, 32),
        })
    }

    /// The payload behind the header at the start of `bytes`, if it is whole and continues
    /// `chain`.
    pub(super) fn payload<'a>(&self, bytes: &'a [u8], chain: u64) -> Option<&'a [u8]> {
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(self.length)?)?;
        (chained(chain, &bytes[..HEADER_BYTES], payload) == self.chain).then_some(payload)
    }

    /// Bytes from the start of this record to the start of the next.
    pub(super) fn record_bytes(&self) -> usize {
        (HEADER_BYTES + self.length).next_multiple_of(ALIGNMENT)
    }
}

impl<'a> Entry<'a> {
    /// The entry in a record; `None` for records that are the log's own, or if it is malformed.
    pub(super) fn decode(header: &Header, payload: &'a [u8]) -> Option<Self> {
        match header.kind {
            Kind::Txn => {
                let (time, payload) = payload.split_first_chunk()?;
                Some(Self::Txn { zxid: header.zxid, time_ms: i64::from_le_bytes(*time), payload })
            }
            Kind::Epoch if payload.len() == EPOCH_BYTES => Some(Self::Epoch {
                accepted: Epoch(u32_at(payload, 0)),
                current: Epoch(u32_at(payload, 4)),
                leader: ServerId(u64_at(payload, 8)),
            }),
            Kind::SnapshotTaken => Some(Self::SnapshotTaken {
                zxid: Zxid(u64::from_le_bytes(payload.try_into().ok()?)),
            }),
            Kind::Epoch | Kind::Mark | Kind::Seal => None,
        }
    }

    /// Adds the record of this entry to `out` and returns its chain value. `last` is the zxid of
    /// the transaction before it.
    pub(super) fn encode(
        &self,
        place: Place,
        last: Zxid,
        out: &mut Vec<u8>,
    ) -> Result<u64, LogError> {
        match *self {
            Self::Txn { zxid, time_ms, payload } => {
                encode(Kind::Txn, zxid, place, &[&time_ms.to_le_bytes(), payload], out)
            }
            Self::Epoch { accepted, current, leader } => {
                let (accepted, current) = (accepted.0.to_le_bytes(), current.0.to_le_bytes());
                let parts: [&[u8]; 3] = [&accepted, &current, &leader.0.to_le_bytes()];
                encode(Kind::Epoch, last, place, &parts, out)
            }
            Self::SnapshotTaken { zxid } => {
                encode(Kind::SnapshotTaken, last, place, &[&zxid.0.to_le_bytes()], out)
            }
        }
    }
}

/// Adds a record with this payload, given in parts, to `out` and returns its chain value.
pub(super) fn encode(
    kind: Kind,
    zxid: Zxid,
    place: Place,
    payload: &[&[u8]],
    out: &mut Vec<u8>,
) -> Result<u64, LogError> {
    let bytes = payload.iter().map(|part| part.len()).sum();
    let too_large = LogError::TooLarge { bytes, limit: PAYLOAD_BYTES_MAX };
    let length = u32::try_from(bytes).map_err(|_| too_large.clone())?;
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(too_large);
    }
    let start = out.len();
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    for word in [place.seq, place.floor, zxid.0, 0, u64::from(kind.to_byte()), 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    payload.iter().for_each(|part| out.extend_from_slice(part));
    let (header, body) = out[start..].split_at_mut(HEADER_BYTES);
    let chain = chained(place.chain, header, body);
    header[32..40].copy_from_slice(&chain.to_le_bytes());
    let checksum = xxh3_64_with_seed(&header[..CHECKED_BYTES], place.seed ^ place.offset);
    header[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
    out.resize(start + (HEADER_BYTES + bytes).next_multiple_of(ALIGNMENT), 0);
    Ok(chain)
}

fn chained(previous: u64, header: &[u8], payload: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(previous);
    hash.update(&header[..CHAINED_BYTES]);
    hash.update(&header[40..CHECKED_BYTES]);
    hash.update(payload);
    hash.digest()
}
