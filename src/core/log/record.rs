//! Records as bytes: how an entry of the log is framed, checked and chained.
//!
//! Knows nothing of files. Called by the log when it appends and by the segment scan.
//!
//! ```text
//!  0  magic      u32   "OREC"
//!  4  length     u32   bytes of payload
//!  8  seq        u64   number of the record, counted since the directory began, without gaps
//! 16  floor      u64   every record below this seq was durable before this one was written
//! 24  zxid       u64   of the transaction, else the last one of the live history
//! 32  chain      u64   xxh3 over the previous record's chain, bytes 0..32 and 40..56, and payload
//! 40  kind       u8    then seven zero bytes
//! 48  committed  u64   everything up to this zxid was known to be committed
//! 56  checksum   u64   xxh3 over bytes 0..56, seeded with the segment's seed and the offset
//! 64  payload, then zeros up to a multiple of 8
//! ```
//! Little endian. The checksum proves the length before it is used and that the record belongs to
//! this place of this segment; the chain proves the payload and that nothing before it is lost.

use super::bytes::{array, u32_at, u64_at};
use super::error::LogError;
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::{Origin, Proposal, Reign};
use alloc::vec::Vec;
use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 64;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;
/// The longest payload.
pub(super) const PAYLOAD_BYTES_MAX: usize = 256 << 20;
const MAGIC: u32 = u32::from_le_bytes(*b"OREC");
const CHAIN_AT: usize = 32;
const KIND_AT: usize = 40;
const CHECKED_BYTES: usize = 56;
/// Time and origin of a transaction, before what it does.
const STAMP_BYTES: usize = 24;

/// One entry of a history: a transaction, as it lies in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its position; greater than every one before.
    pub zxid: Zxid,
    /// Wall time it was ordered at, in milliseconds since 1970.
    pub time_ms: i64,
    /// Who took it in.
    pub origin: Origin,
    /// What it does, as the wire format of transactions writes it.
    pub payload: &'a [u8],
}

/// What a record states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact<'a> {
    /// The live history continues.
    Append(Entry<'a>),
    /// The stage continues.
    Stage(Entry<'a>),
    /// No leader of an earlier epoch will be followed.
    Accept(Reign),
    /// A stage begins; one begun before is void.
    BeginStage { base: Zxid, snapshot: bool },
    /// The stage that began at the seq `stage`, and has this base and end, becomes the history
    /// after its base. Where `stage` is 0 there is none, and both are the end of the history.
    CommitStage { reign: Reign, stage: u64, base: Zxid, last: Zxid },
    /// A snapshot was published that is exact at this zxid.
    SnapshotTaken(Zxid),
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Txn,
    Staged,
    Accept,
    BeginStage,
    CommitStage,
    SnapshotTaken,
    /// Says only that everything before it was durable.
    Mark,
    /// Last record of a segment; says that the next segment exists. Takes no seq of its own.
    Seal,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Txn,
        Self::Staged,
        Self::Accept,
        Self::BeginStage,
        Self::CommitStage,
        Self::SnapshotTaken,
        Self::Mark,
        Self::Seal,
    ];

    fn to_byte(self) -> u8 {
        match self {
            Self::Txn => 1,
            Self::Accept => 2,
            Self::SnapshotTaken => 3,
            Self::Mark => 4,
            Self::Seal => 5,
            Self::Staged => 6,
            Self::BeginStage => 7,
            Self::CommitStage => 8,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_byte() == byte)
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
    pub(super) committed: Zxid,
}

/// Where a record goes: all that its checksums depend on besides its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) seed: u64,
    pub(super) offset: u64,
    pub(super) seq: u64,
    pub(super) floor: u64,
    pub(super) chain: u64,
    pub(super) committed: Zxid,
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
            kind: Kind::from_byte(header[KIND_AT])?,
            length: usize::try_from(u32_at(header, 4)).ok()?,
            seq: u64_at(header, 8),
            floor: u64_at(header, 16),
            zxid: Zxid(u64_at(header, 24)),
            chain: u64_at(header, CHAIN_AT),
            committed: Zxid(u64_at(header, 48)),
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

impl Entry<'_> {
    /// The same, owning its payload.
    pub fn to_proposal(&self) -> Proposal {
        let Self { zxid, time_ms, origin, payload } = *self;
        Proposal { zxid, time_ms, origin, payload: Bytes::copy_from_slice(payload) }
    }

    fn stamp(&self) -> [u8; STAMP_BYTES] {
        words([self.time_ms.cast_unsigned(), self.origin.server.0, self.origin.serial])
    }
}

impl<'a> From<&'a Proposal> for Entry<'a> {
    fn from(proposal: &'a Proposal) -> Self {
        let Proposal { zxid, time_ms, origin, payload } = proposal;
        Self { zxid: *zxid, time_ms: *time_ms, origin: *origin, payload }
    }
}

impl<'a> Fact<'a> {
    /// What a record states; `None` for those that only serve the log, or if it is malformed.
    pub(super) fn decode(header: &Header, payload: &'a [u8]) -> Option<Self> {
        match header.kind {
            Kind::Txn => entry(header.zxid, payload).map(Self::Append),
            Kind::Staged => entry(header.zxid, payload).map(Self::Stage),
            Kind::Accept => {
                let [epoch, leader] = numbers(payload)?;
                Some(Self::Accept(reign(epoch, leader)?))
            }
            Kind::BeginStage => {
                let [base, snapshot] = numbers(payload)?;
                (snapshot <= 1)
                    .then_some(Self::BeginStage { base: Zxid(base), snapshot: snapshot == 1 })
            }
            Kind::CommitStage => {
                let [epoch, leader, stage, base, last] = numbers(payload)?;
                let (reign, base, last) = (reign(epoch, leader)?, Zxid(base), Zxid(last));
                Some(Self::CommitStage { reign, stage, base, last })
            }
            Kind::SnapshotTaken => {
                let [zxid] = numbers(payload)?;
                Some(Self::SnapshotTaken(Zxid(zxid)))
            }
            Kind::Mark | Kind::Seal => None,
        }
    }

    /// Adds the record of this fact to `out` and returns its chain value. `last` is the end of
    /// the live history before it.
    pub(super) fn encode(
        &self,
        place: Place,
        last: Zxid,
        out: &mut Vec<u8>,
    ) -> Result<u64, LogError> {
        match self {
            Self::Append(entry) => {
                encode(Kind::Txn, entry.zxid, place, &[&entry.stamp(), entry.payload], out)
            }
            Self::Stage(entry) => {
                encode(Kind::Staged, entry.zxid, place, &[&entry.stamp(), entry.payload], out)
            }
            Self::Accept(Reign { epoch, leader }) => {
                let payload: [u8; 16] = words([u64::from(epoch.0), leader.0]);
                encode(Kind::Accept, last, place, &[&payload], out)
            }
            Self::BeginStage { base, snapshot } => {
                let payload: [u8; 16] = words([base.0, u64::from(*snapshot)]);
                encode(Kind::BeginStage, last, place, &[&payload], out)
            }
            Self::CommitStage { reign: Reign { epoch, leader }, stage, base, last: end } => {
                let numbers = [u64::from(epoch.0), leader.0, *stage, base.0, end.0];
                let payload: [u8; 40] = words(numbers);
                encode(Kind::CommitStage, last, place, &[&payload], out)
            }
            Self::SnapshotTaken(zxid) => {
                encode(Kind::SnapshotTaken, last, place, &[&zxid.0.to_le_bytes()], out)
            }
        }
    }
}

/// The entry in the payload of a transaction's record.
pub(super) fn entry(zxid: Zxid, payload: &[u8]) -> Option<Entry<'_>> {
    let (stamp, payload) = payload.split_first_chunk::<STAMP_BYTES>()?;
    let time_ms = u64_at(stamp, 0).cast_signed();
    let origin = Origin { server: ServerId(u64_at(stamp, 8)), serial: u64_at(stamp, 16) };
    Some(Entry { zxid, time_ms, origin, payload })
}

fn reign(epoch: u64, leader: u64) -> Option<Reign> {
    Some(Reign { epoch: Epoch(u32::try_from(epoch).ok()?), leader: ServerId(leader) })
}

/// A payload that is nothing but `N` numbers.
fn numbers<const N: usize>(payload: &[u8]) -> Option<[u64; N]> {
    (payload.len() == 8 * N)
        .then(|| core::array::from_fn(|at| u64::from_le_bytes(array(payload, 8 * at))))
}

/// Numbers as bytes; `M` is eight times `N`.
fn words<const N: usize, const M: usize>(numbers: [u64; N]) -> [u8; M] {
    core::array::from_fn(|at| numbers[at / 8].to_le_bytes()[at % 8])
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
    let kind = u64::from(kind.to_byte());
    for word in [place.seq, place.floor, zxid.0, 0, kind, place.committed.0, 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    payload.iter().for_each(|part| out.extend_from_slice(part));
    let (header, body) = out[start..].split_at_mut(HEADER_BYTES);
    let chain = chained(place.chain, header, body);
    header[CHAIN_AT..KIND_AT].copy_from_slice(&chain.to_le_bytes());
    let checksum = xxh3_64_with_seed(&header[..CHECKED_BYTES], place.seed ^ place.offset);
    header[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
    out.resize(start + (HEADER_BYTES + bytes).next_multiple_of(ALIGNMENT), 0);
    Ok(chain)
}

fn chained(previous: u64, header: &[u8], payload: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(previous);
    hash.update(&header[..CHAIN_AT]);
    hash.update(&header[KIND_AT..CHECKED_BYTES]);
    hash.update(payload);
    hash.digest()
}
