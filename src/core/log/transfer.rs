//! Snapshots on their way between servers: a file's bytes, piece by piece.
//!
//! A piece is no chunk: chunks are as long as a slice of the tree comes out, pieces are bounded.
//! So neither side ever holds more of a snapshot than one piece. What arrives is read and checked
//! as a whole before anybody is told that it is there; only an adopted stage makes it count.

use super::disk::Disk;
use super::error::LogError;
use super::files::create_unfinished;
use super::snapshot::{self, list, received_name, verify, verify_received};
use crate::types::Zxid;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Reads the newest good snapshot for a server that needs it.
pub struct Source<D> {
    disk: D,
    zxid: Zxid,
    name: String,
    position: u64,
    length: u64,
}

impl<D: Disk> Source<D> {
    /// Finds it; `None` when there is no snapshot that is whole.
    ///
    /// # Errors
    /// The disk refused to tell, or the newest one was removed just now. An older one is no
    /// substitute then: the log may not reach back to it.
    pub fn open(mut disk: D) -> Result<Option<Self>, LogError> {
        for zxid in list(&mut disk)? {
            match verify(&mut disk, zxid) {
                Ok(()) => {
                    let name = snapshot::name(zxid);
                    let length = disk.length(&name)?;
                    return Ok(Some(Self { disk, zxid, name, position: 0, length }));
                }
                Err(LogError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What it is exact at.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The next piece of at most `bytes_max`, and whether it is the last.
    pub fn next(&mut self, bytes_max: usize) -> Result<(Vec<u8>, bool), LogError> {
        let left = usize::try_from(self.length - self.position).unwrap_or(usize::MAX);
        let mut piece = vec![0; left.min(bytes_max)];
        let read = self.disk.read_at(&self.name, self.position, &mut piece)?;
        if read < piece.len() {
            let (file, offset) = (self.disk.place(&self.name), self.position + read as u64);
            return Err(LogError::Corrupt { file, offset, what: "it became shorter" });
        }
        self.position += read as u64;
        Ok((piece, self.position == self.length))
    }
}

/// Writes a snapshot that another server sends. Dropped before [`Sink::publish`], it leaves only
/// an unfinished file, which the next start removes.
pub struct Sink<D> {
    disk: D,
    zxid: Zxid,
    unfinished: String,
    position: u64,
}

impl<D: Disk> Sink<D> {
    /// Begins to receive a snapshot that is exact at `zxid`.
    pub fn create(mut disk: D, zxid: Zxid) -> Result<Self, LogError> {
        let unfinished = create_unfinished(&mut disk, &received_name(zxid))?;
        Ok(Self { disk, zxid, unfinished, position: 0 })
    }

    /// Adds a piece.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), LogError> {
        self.disk.write_at(&self.unfinished, self.position, piece)?;
        self.position += piece.len() as u64;
        Ok(())
    }

    /// Makes it durable under its name and checks every byte of it. What does not pass is removed.
    pub fn publish(mut self) -> Result<Zxid, LogError> {
        self.disk.sync(&self.unfinished)?;
        let name = received_name(self.zxid);
        self.disk.rename(&self.unfinished, &name)?;
        self.disk.sync_directory()?;
        if let Err(error) = verify_received(&mut self.disk, self.zxid) {
            self.disk.remove(&name)?;
            return Err(error);
        }
        Ok(self.zxid)
    }
}
