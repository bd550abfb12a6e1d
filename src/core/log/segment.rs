//! Segments: the files records live in, and the scan that tells a torn tail from damage.
//!
//! Knows bytes, not files being written. Called when the log is opened and replayed.
//!
//! ```text
//!   0  magic      "OSTLERLG"
//!   8  version    u32, then four zero bytes
//!  16  server     u64
//!  24  directory  16 bytes, random, the same in all files of a directory
//!  40  first seq  u64   of the first record in here
//!  48  chain      u64   of the record before it
//!  56  previous   u64   zxid of the last transaction before it
//!  64  accepted epoch u32, current epoch u32, leader u64: the promise that held at its start
//!  80  checksum   u64   xxh3 over bytes 0..80
//! 512  records, then zeros
//! ```
//! Little endian. A segment gets its name only when the header is durable, so a bad header is
//! always damage. Records begin in a block of their own: appending never rewrites the header.

use super::Epochs;
use super::bytes::{array, u32_at, u64_at};
use super::error::LogError;
use super::identity::Identity;
use super::record::{ALIGNMENT, Entry, Header, Kind};
use crate::types::{Epoch, ServerId, Zxid};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Where records begin.
pub(super) const RECORDS_AT: usize = 512;
const MAGIC: &[u8; 8] = b"OSTLERLG";
const VERSION: u32 = 1;
const CHECKED_BYTES: usize = 80;
const PREFIX: &str = "log.";
/// A higher number of a record cannot have been counted to. It leaves room to count on.
const SEQ_MAX: u64 = u64::MAX / 2;

/// What the first block of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) identity: Identity,
    pub(super) first_seq: u64,
    pub(super) chain: u64,
    pub(super) previous: Zxid,
    pub(super) epochs: Epochs,
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
        if u64_at(bytes, CHECKED_BYTES) != xxh3_64(&bytes[..CHECKED_BYTES]) {
            return Err(corrupt("the checksum of its header is wrong"));
        }
        let found = u32_at(bytes, 8);
        if found > VERSION {
            let file = String::from(file);
            return Err(LogError::NewerFormat { file, found, newest: VERSION });
        }
        let header = Self::fields(bytes);
        header.belongs_to(identity, file)?;
        if header.first_seq > SEQ_MAX || !is_followed(header.previous) {
            return Err(corrupt("its header holds numbers that no log can reach"));
        }
        Ok(header)
    }

    /// The first block of a new segment.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORDS_AT);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&u64::from(VERSION).to_le_bytes());
        out.extend_from_slice(&self.identity.server.0.to_le_bytes());
        out.extend_from_slice(&self.identity.directory);
        for word in [self.first_seq, self.chain, self.previous.0] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.epochs.accepted.0.to_le_bytes());
        out.extend_from_slice(&self.epochs.current.0.to_le_bytes());
        out.extend_from_slice(&self.epochs.leader.0.to_le_bytes());
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.resize(RECORDS_AT, 0);
        out
    }

    /// What record checksums of this segment start from: different in every segment of every
    /// directory, so that a block written to the wrong place never passes.
    pub(super) fn seed(&self) -> u64 {
        xxh3_64_with_seed(&self.identity.directory, self.first_seq ^ self.identity.server.0)
    }

    fn fields(bytes: &[u8]) -> Self {
        Self {
            identity: Identity { server: ServerId(u64_at(bytes, 16)), directory: array(bytes, 24) },
            first_seq: u64_at(bytes, 40),
            chain: u64_at(bytes, 48),
            previous: Zxid(u64_at(bytes, 56)),
            epochs: Epochs {
                accepted: Epoch(u32_at(bytes, 64)),
                current: Epoch(u32_at(bytes, 68)),
                leader: ServerId(u64_at(bytes, 72)),
            },
        }
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

/// Whether there is a zxid after this one: a segment is named by it.
pub(super) fn is_followed(zxid: Zxid) -> bool {
    zxid.0 < u64::MAX
}

/// Name of the segment whose first transaction is at `first` or later.
pub(super) fn name(first: Zxid) -> String {
    format!("{PREFIX}{:016x}", first.0)
}

/// Whether a file of this name is a segment.
pub(super) fn is_segment(name: &str) -> bool {
    super::zxid_of(name, PREFIX).is_some()
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
    /// Zxid of the last transaction.
    pub(super) zxid: Zxid,
    /// Where the last batch begins: the records written by one write.
    pub(super) batch_at: usize,
    /// Whether the segment says that another one follows.
    pub(super) sealed: bool,
    /// Whether there was a transaction.
    pub(super) has_txn: bool,
    floor: u64,
    /// Whether the scan ended at a record that is whole, and so no remains of a torn write, but
    /// that no server can have meant.
    pub(super) nonsense: bool,
}

/// How the valid records of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing but zeros follows.
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
            zxid: header.previous,
            batch_at: RECORDS_AT,
            sealed: false,
            has_txn: false,
            floor: 0,
            nonsense: false,
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
        if !self.makes_sense(&header, payload) {
            self.nonsense = true;
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
        let Some(last) = rest.iter().rposition(|&byte| byte != 0) else {
            return End::Clean;
        };
        if self.nonsense {
            return End::Damaged;
        }
        let proven = (0..=last).step_by(ALIGNMENT).any(|at| {
            let header = Header::decode(&rest[at..], self.seed, (self.offset + at) as u64);
            header.is_some_and(|header| header.floor > self.seq)
        });
        if proven { End::Damaged } else { End::Torn(self.offset + last + 1) }
    }

    /// Whether a whole record is one that a log can hold here.
    fn makes_sense(&self, header: &Header, payload: &[u8]) -> bool {
        let is_entry = Entry::decode(header, payload).is_some();
        match header.kind {
            Kind::Txn => is_entry && header.zxid > self.zxid && is_followed(header.zxid),
            Kind::Epoch | Kind::SnapshotTaken => is_entry,
            Kind::Mark | Kind::Seal => true,
        }
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
        if header.kind == Kind::Txn {
            self.zxid = header.zxid;
            self.has_txn = true;
        }
    }
}
