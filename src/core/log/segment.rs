//! Segments: the files records live in, and the scan that tells a torn tail from damage.
//!
//! Knows bytes, not files being written. Called when the log is opened and replayed.
//!
//! ```text
//!   0  magic      "OSTLERLG"
//!   8  version    u32
//!  12  reused     u32   1: the file was a segment before, else 0
//!  16  server     u64
//!  24  directory  16 bytes, random, the same in all files of a directory
//!  40  first seq  u64   of the first record in here
//!  48  chain      u64   of the record before it
//!  56  last       u64   zxid; this and what follows: the facts that held at its start
//!  64  committed  u64   zxid
//!  72  accepted   epoch u64, leader u64
//!  88  current    epoch u64, leader u64
//! 104  stage      u64   0: none, 1: on an entry, 2: on a snapshot; else what follows is zero
//! 112  its first seq u64, base u64, last zxid u64
//! 136  checksum   u64   xxh3 over bytes 0..136
//! 512  records, then zeros; in a file that is reused, then what it held before
//! ```
//! Little endian. A segment gets its name only when the header is durable, so a bad header is
//! always damage. Records begin in a block of their own: appending never rewrites the header.

use super::bytes::{array, u32_at, u64_at};
use super::error::LogError;
use super::files::number_of;
use super::identity::Identity;
use super::record::{ALIGNMENT, Header, Kind};
use super::timeline::{Facts, Stage};
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::Reign;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Where records begin.
pub(super) const RECORDS_AT: usize = 512;
const MAGIC: &[u8; 8] = b"OSTLERLG";
const VERSION: u32 = 2;
const CHECKED_BYTES: usize = 136;
const PREFIX: &str = "log.";
/// A higher number of a record cannot have been counted to. It leaves room to count on.
const SEQ_MAX: u64 = u64::MAX / 2;

/// What the first block of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    pub(super) first_seq: u64,
    pub(super) chain: u64,
    pub(super) facts: Facts,
    /// Whether the file was a segment before. Records of its former life may lie behind those of
    /// this one; none of them passes for one, for the checksums start from another seed.
    pub(super) reused: bool,
}

impl SegmentHeader {
    /// Reads the first block of `file`, which must belong to `identity`.
    pub(super) fn decode(bytes: &[u8], file: &str, identity: Identity) -> Result<Self, LogError> {
        let corrupt = |what| LogError::Corrupt { file: String::from(file), offset: 0, what };
        if bytes.is_empty() {
            return Err(corrupt("it is empty"));
        }
        if bytes.len() < RECORDS_AT || bytes[..8] != *MAGIC {
            return Err(corrupt("it does not begin as a log segment does"));
        }
        // Stands before the checksum because where that stands depends on it.
        let found = u32_at(bytes, 8);
        if found == 1 {
            return Err(LogError::OlderFormat { file: String::from(file), found, oldest: VERSION });
        }
        if u64_at(bytes, CHECKED_BYTES) != xxh3_64(&bytes[..CHECKED_BYTES]) {
            return Err(corrupt("the checksum of its header is wrong"));
        }
        if found > VERSION {
            let file = String::from(file);
            return Err(LogError::NewerFormat { file, found, newest: VERSION });
        }
        let nonsense = || corrupt("its header holds numbers that no log can reach");
        let facts = facts(bytes).ok_or_else(nonsense)?;
        let reused = u32_at(bytes, 12);
        let header = Self {
            identity: Identity { server: ServerId(u64_at(bytes, 16)), directory: array(bytes, 24) },
            first_seq: u64_at(bytes, 40),
            chain: u64_at(bytes, 48),
            facts,
            reused: reused == 1,
        };
        header.belongs_to(identity, file)?;
        let is_possible = reused <= 1
            && header.first_seq <= SEQ_MAX
            && header.facts.are_possible(header.first_seq);
        if is_possible { Ok(header) } else { Err(nonsense()) }
    }

    /// The first block of a new segment.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORDS_AT);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&u32::from(self.reused).to_le_bytes());
        out.extend_from_slice(&self.identity.server.0.to_le_bytes());
        out.extend_from_slice(&self.identity.directory);
        let Facts { last, committed, accepted, current, stage } = self.facts;
        let reign = |Reign { epoch, leader }| [u64::from(epoch.0), leader.0];
        let stage = stage.map_or([0; 4], |Stage { first_seq, base, snapshot, last }| {
            [1 + u64::from(snapshot), first_seq, base.0, last.0]
        });
        let words = [self.first_seq, self.chain, last.0, committed.0]
            .into_iter()
            .chain(reign(accepted))
            .chain(reign(current))
            .chain(stage);
        words.for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.resize(RECORDS_AT, 0);
        out
    }

    /// What record checksums of this segment start from: different in every segment of every
    /// directory, so that a block written to the wrong place never passes.
    pub(super) fn seed(&self) -> u64 {
        seed(self.identity, self.first_seq)
    }

    fn belongs_to(&self, identity: Identity, file: &str) -> Result<(), LogError> {
        let file = String::from(file);
        if self.identity.server != identity.server {
            let (found, expected) = (self.identity.server, identity.server);
            return Err(LogError::ForeignServer { file, found, expected });
        }
        if self.identity.directory != identity.directory {
            return Err(LogError::ForeignFile { file });
        }
        Ok(())
    }
}

/// As [`SegmentHeader::seed`], for the segment whose first record has this seq.
pub(super) fn seed(identity: Identity, first_seq: u64) -> u64 {
    xxh3_64_with_seed(&identity.directory, first_seq ^ identity.server.0)
}

/// Name of the segment whose first record has this seq. Zxids would not do: they are used again
/// when history is superseded.
pub(super) fn name(first_seq: u64) -> String {
    format!("{PREFIX}{first_seq:016x}")
}

/// Whether a file of this name is a segment.
pub(super) fn is_segment(name: &str) -> bool {
    number_of(name, PREFIX).is_some()
}

fn facts(bytes: &[u8]) -> Option<Facts> {
    let reign = |at| {
        let epoch = Epoch(u32::try_from(u64_at(bytes, at)).ok()?);
        Some(Reign { epoch, leader: ServerId(u64_at(bytes, at + 8)) })
    };
    let zxid = |at| Zxid(u64_at(bytes, at));
    let stage = |snapshot| {
        Some(Stage { first_seq: u64_at(bytes, 112), base: zxid(120), snapshot, last: zxid(128) })
    };
    let stage = match u64_at(bytes, 104) {
        0 => None,
        1 => stage(false),
        2 => stage(true),
        3.. => return None,
    };
    let (last, committed) = (zxid(56), zxid(64));
    Some(Facts { last, committed, accepted: reign(72)?, current: reign(88)?, stage })
}

/// Walks the records of a segment from its start.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    seed: u64,
    /// Where the next record begins.
    pub(super) offset: usize,
    /// Its number.
    pub(super) seq: u64,
    /// Chain value it must continue.
    pub(super) chain: u64,
    /// Where the last batch begins: the records written by one write.
    pub(super) batch_at: usize,
    /// Whether the segment says that another one follows.
    pub(super) sealed: bool,
    /// Whether there was a transaction, live or staged.
    pub(super) has_entries: bool,
    floor: u64,
    reused: bool,
}

/// How the valid records of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing that was written here follows.
    Clean,
    /// Remains of a batch that was never durable, up to this offset.
    Torn(usize),
    /// Records that had been durable are missing or damaged.
    Damaged,
}

impl<'a> Scan<'a> {
    /// A scan of a segment that has this header.
    pub(super) fn new(bytes: &'a [u8], header: &SegmentHeader) -> Self {
        Self {
            bytes,
            seed: header.seed(),
            offset: RECORDS_AT,
            seq: header.first_seq,
            chain: header.chain,
            batch_at: RECORDS_AT,
            sealed: false,
            has_entries: false,
            floor: 0,
            reused: header.reused,
        }
    }

    /// The next valid record, `None` at the first thing that is not one.
    pub(super) fn next(&mut self) -> Option<(Header, &'a [u8])> {
        let rest = self.bytes.get(self.offset..).filter(|_| !self.sealed)?;
        let header = Header::decode(rest, self.seed, self.offset as u64)?;
        let payload = header.payload(rest, self.chain)?;
        if header.seq != self.seq || header.floor > header.seq {
            return None;
        }
        self.advance(&header);
        Some((header, payload))
    }

    /// Why [`Scan::next`] found no more. Whatever is durable was written before anything whose
    /// floor is above it, so one later record with such a floor proves damage; without one, what
    /// follows can only be remains of the last batch.
    pub(super) fn end(&self) -> End {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if self.sealed {
            return End::Clean;
        }
        let mut until = 0;
        if !self.reused {
            until = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        }
        // Whether anything else is of this life cannot be told where the file had another.
        let scanned = if self.reused { rest.len() } else { until };
        for at in (0..scanned).step_by(ALIGNMENT) {
            let header = Header::decode(&rest[at..], self.seed, (self.offset + at) as u64);
            let Some(header) = header else { continue };
            if header.floor > self.seq {
                return End::Damaged;
            }
            until = until.max((at + header.record_bytes()).min(rest.len()));
        }
        if until == 0 { End::Clean } else { End::Torn(self.offset + until) }
    }

    fn advance(&mut self, header: &Header) {
        if header.floor != self.floor {
            self.floor = header.floor;
            self.batch_at = self.offset;
        }
        self.offset = (self.offset + header.record_bytes()).min(self.bytes.len());
        self.sealed = header.kind == Kind::Seal;
        if !self.sealed {
            self.seq += 1;
            self.chain = header.chain;
        }
        self.has_entries |= matches!(header.kind, Kind::Txn | Kind::Staged);
    }
}
