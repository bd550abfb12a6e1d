//! Snapshot files: chunks of an exact tree, complete or absent.
//!
//! Lives here: framing, checksums, publication. What the chunks mean is the tree's affair.
//!
//! A snapshot received from a leader has a name of its own until the history that follows it is
//! adopted: before that it proves nothing about this server's log, and if it never is, the next
//! start removes it.
//!
//! ```text
//!  0  magic     "OSTLERSN"
//!  8  version   u32, then four zero bytes
//! 16  zxid      u64
//! 24  checksum  u64   xxh3 over bytes 0..24
//! then for every chunk:
//!  0  length    u32   bytes of content; 0 in the trailer
//!  4  index     u32   counted from 0; in the trailer, the number of chunks
//!  8  checksum  u64   xxh3 of the content, seeded with the checksum before; in the trailer, the
//!                     last chunk's: it covers the whole
//! 16  proof     u64   xxh3 over bytes 0..16, seeded with the zxid
//! 24  content
//! ```
//! Little endian. The trailer ends the file.

use super::bytes::{u32_at, u64_at};
use super::disk::Disk;
use super::error::LogError;
use super::files::{UNFINISHED, create_unfinished, number_of};
use crate::types::Zxid;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const MAGIC: &[u8; 8] = b"OSTLERSN";
const VERSION: u32 = 1;
const PREFIX: &str = "snapshot.";
const RECEIVED_PREFIX: &str = "received.";
const HEADER_BYTES: usize = 32;
const FRAME_BYTES: usize = 24;
/// Written out this often, so that the last sync is short and delays no sync of the log for long.
const SYNC_EVERY_BYTES: u64 = 16 << 20;

/// Writes one snapshot. Dropped before [`Writer::publish`], it leaves only an unfinished file,
/// which the next start removes.
pub struct Writer<D> {
    disk: D,
    zxid: Zxid,
    /// To be.
    name: String,
    unfinished: String,
    position: u64,
    synced: u64,
    index: u32,
    checksum: u64,
}

impl<D: Disk> Writer<D> {
    /// Begins a snapshot of this server's own state, exact at `zxid`.
    pub fn create(disk: D, zxid: Zxid) -> Result<Self, LogError> {
        Self::begin(disk, zxid, name(zxid))
    }

    /// Begins a snapshot that is received from a leader, exact at `zxid`. It may be read under
    /// its zxid when the log has committed a stage that begins with it.
    pub fn receive(disk: D, zxid: Zxid) -> Result<Self, LogError> {
        Self::begin(disk, zxid, received_name(zxid))
    }

    fn begin(mut disk: D, zxid: Zxid, name: String) -> Result<Self, LogError> {
        let unfinished = create_unfinished(&mut disk, &name)?;
        let header = header(zxid);
        disk.write_at(&unfinished, 0, &header)?;
        let position = header.len() as u64;
        Ok(Self { disk, zxid, name, unfinished, position, synced: 0, index: 0, checksum: zxid.0 })
    }

    /// Adds a chunk; an empty one adds nothing.
    pub fn chunk(&mut self, content: &[u8]) -> Result<(), LogError> {
        for part in content.chunks(super::record::PAYLOAD_BYTES_MAX) {
            self.checksum = xxh3_64_with_seed(part, self.checksum);
            self.write_frame(part)?;
            self.index += 1;
        }
        Ok(())
    }

    /// Makes the snapshot durable and visible under its name.
    pub fn publish(mut self) -> Result<(), LogError> {
        self.write_frame(&[])?;
        self.disk.sync(&self.unfinished)?;
        self.disk.rename(&self.unfinished, &self.name)?;
        Ok(self.disk.sync_directory()?)
    }

    /// Gives up and removes the unfinished file, for instance when the disk is full.
    pub fn abandon(mut self) -> Result<(), LogError> {
        Ok(self.disk.remove(&self.unfinished)?)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.position
    }

    fn write_frame(&mut self, content: &[u8]) -> Result<(), LogError> {
        let length = u32::try_from(content.len()).expect("a chunk is shorter than 4 GiB");
        let mut frame = Vec::with_capacity(FRAME_BYTES + content.len());
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&self.index.to_le_bytes());
        frame.extend_from_slice(&self.checksum.to_le_bytes());
        let proof = xxh3_64_with_seed(&frame, self.zxid.0);
        frame.extend_from_slice(&proof.to_le_bytes());
        frame.extend_from_slice(content);
        self.disk.write_at(&self.unfinished, self.position, &frame)?;
        self.position += frame.len() as u64;
        if self.position - self.synced >= SYNC_EVERY_BYTES {
            self.disk.sync(&self.unfinished)?;
            self.synced = self.position;
        }
        Ok(())
    }
}

/// Removes what writers left that were dropped before they published or gave up. To be called
/// while there is none; a received snapshot is left alone.
pub fn remove_unfinished<D: Disk>(disk: &mut D) -> Result<(), LogError> {
    for file in disk.list()? {
        if file.starts_with(PREFIX) && file.ends_with(UNFINISHED) {
            disk.remove(&file)?;
        }
    }
    Ok(())
}

/// Reads one snapshot, chunk by chunk.
pub struct Reader<D> {
    disk: D,
    zxid: Zxid,
    name: String,
    position: u64,
    length: u64,
    index: u32,
    checksum: u64,
    done: bool,
}

impl<D: Disk> Reader<D> {
    /// Opens the snapshot that is exact at `zxid`.
    pub fn open(disk: D, zxid: Zxid) -> Result<Self, LogError> {
        Self::open_file(disk, name(zxid), zxid)
    }

    fn open_file(mut disk: D, name: String, zxid: Zxid) -> Result<Self, LogError> {
        let length = disk.length(&name)?;
        let mut found = vec![0; HEADER_BYTES];
        let read = disk.read_at(&name, 0, &mut found)?;
        let file = disk.place(&name);
        let proven = u64_at(&found, 24) == xxh3_64(&found[..24]);
        if proven && found[..8] == *MAGIC && u32_at(&found, 8) > VERSION {
            let found = u32_at(&found, 8);
            return Err(LogError::NewerFormat { file, found, newest: VERSION });
        }
        if read < HEADER_BYTES || found != header(zxid) {
            let what = "it does not begin as the snapshot of its name does";
            return Err(LogError::Corrupt { file, offset: 0, what });
        }
        let position = HEADER_BYTES as u64;
        let checksum = zxid.0;
        Ok(Self { disk, zxid, name, position, length, index: 0, checksum, done: false })
    }

    /// The next chunk, verified; `None` when the snapshot was read to its end.
    pub fn chunk(&mut self) -> Result<Option<Vec<u8>>, LogError> {
        if self.done {
            return Ok(None);
        }
        let mut frame = [0; FRAME_BYTES];
        let read = self.disk.read_at(&self.name, self.position, &mut frame)?;
        let end = self.position + FRAME_BYTES as u64;
        let length = u32_at(&frame, 0);
        if read < FRAME_BYTES || u64_at(&frame, 16) != xxh3_64_with_seed(&frame[..16], self.zxid.0)
        {
            return Err(self.damaged("the head of a chunk is wrong"));
        }
        if u32_at(&frame, 4) != self.index || u64::from(length) > self.length.saturating_sub(end) {
            return Err(self.damaged("chunks are missing"));
        }
        if length == 0 {
            return self.trailer(end, u64_at(&frame, 8));
        }
        let mut content = vec![0; length as usize];
        let read = self.disk.read_at(&self.name, end, &mut content)?;
        let checksum = xxh3_64_with_seed(&content, self.checksum);
        if read < content.len() || checksum != u64_at(&frame, 8) {
            return Err(self.damaged("the checksum of a chunk is wrong"));
        }
        self.checksum = checksum;
        self.index += 1;
        self.position = end + u64::from(length);
        Ok(Some(content))
    }

    /// Where the file lies, for messages to the operator.
    pub fn place(&self) -> String {
        self.disk.place(&self.name)
    }

    fn trailer(&mut self, end: u64, checksum: u64) -> Result<Option<Vec<u8>>, LogError> {
        if checksum != self.checksum || end != self.length {
            return Err(self.damaged("it does not end where it says"));
        }
        self.done = true;
        Ok(None)
    }

    fn damaged(&self, what: &'static str) -> LogError {
        LogError::Corrupt { file: self.place(), offset: self.position, what }
    }
}

/// Positions of all snapshot files but received ones, newest first, whether valid or not.
pub fn list<D: Disk>(disk: &mut D) -> Result<Vec<Zxid>, LogError> {
    let files = disk.list()?;
    let numbers = files.iter().filter_map(|file| number_of(file, PREFIX));
    let mut found: Vec<_> = numbers.map(Zxid).collect();
    found.sort_unstable_by(|left, right| right.cmp(left));
    Ok(found)
}

/// Reads a whole snapshot and checks every byte of it.
pub fn verify<D: Disk>(disk: &mut D, zxid: Zxid) -> Result<(), LogError> {
    verify_file(disk, &name(zxid), zxid)
}

/// As [`verify`], for the snapshot received for this zxid, or else one that was there before.
pub(super) fn verify_received<D: Disk>(disk: &mut D, zxid: Zxid) -> Result<(), LogError> {
    let received = received_name(zxid);
    let is_there = disk.list()?.contains(&received);
    verify_file(disk, &if is_there { received } else { name(zxid) }, zxid)
}

/// As [`verify`], for a file of any name.
pub(super) fn verify_file<D: Disk>(disk: &mut D, name: &str, zxid: Zxid) -> Result<(), LogError> {
    let mut reader = Reader::open_file(disk, name.into(), zxid)?;
    while reader.chunk()?.is_some() {}
    Ok(())
}

/// Gives the snapshot received for this zxid, if there is one, its final name.
pub(super) fn adopt<D: Disk>(disk: &mut D, zxid: Zxid) -> Result<(), LogError> {
    let received = received_name(zxid);
    if !disk.list()?.contains(&received) {
        return Ok(());
    }
    disk.rename(&received, &name(zxid))?;
    Ok(disk.sync_directory()?)
}

/// Whether a snapshot begins and ends as it should.
pub(super) fn is_whole<D: Disk>(disk: &mut D, zxid: Zxid) -> Result<bool, LogError> {
    let name = name(zxid);
    let mut found = vec![0; HEADER_BYTES];
    let read = disk.read_at(&name, 0, &mut found)?;
    let length = disk.length(&name)?;
    let mut frame = [0; FRAME_BYTES];
    let last = length.saturating_sub(FRAME_BYTES as u64);
    let framed = disk.read_at(&name, last, &mut frame)?;
    let proven = u64_at(&frame, 16) == xxh3_64_with_seed(&frame[..16], zxid.0);
    let begins = read == HEADER_BYTES && found == header(zxid);
    Ok(begins && framed == FRAME_BYTES && u32_at(&frame, 0) == 0 && proven)
}

/// Name of the snapshot that is exact at `zxid`.
pub(super) fn name(zxid: Zxid) -> String {
    format!("{PREFIX}{:016x}", zxid.0)
}

/// Name of a snapshot received for `zxid`, before it is adopted.
pub(super) fn received_name(zxid: Zxid) -> String {
    format!("{RECEIVED_PREFIX}{:016x}", zxid.0)
}

/// Whether a file of this name is a snapshot.
pub(super) fn is_snapshot(name: &str) -> bool {
    number_of(name, PREFIX).is_some()
}

/// Whether a file of this name is a snapshot that was received and not adopted.
pub(super) fn is_received(name: &str) -> bool {
    number_of(name, RECEIVED_PREFIX).is_some()
}

fn header(zxid: Zxid) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&u64::from(VERSION).to_le_bytes());
    out.extend_from_slice(&zxid.0.to_le_bytes());
    let checksum = xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}
