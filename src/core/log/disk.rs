//! What the log asks of a disk: files in one flat directory, and the promises that matter.
//!
//! The real disk lives with the actors, the crumbling one of the tests beside this file. Nothing
//! here knows records, segments or snapshots.

use alloc::string::String;
use alloc::vec::Vec;
use thiserror::Error;

/// Files of one directory, by name. Calls block until done.
///
/// What a power cut may undo: a written 512-byte block that was not followed by [`Disk::sync`] of
/// its file, in any subset and order; a created, renamed or removed name that was not followed by
/// [`Disk::sync_directory`], likewise. A single block is either old or new, never a mixture.
pub trait Disk {
    /// Every file name, in ascending order.
    fn list(&mut self) -> Result<Vec<String>, DiskError>;
    /// Length of a file in bytes.
    fn length(&mut self, file: &str) -> Result<u64, DiskError>;
    /// Fills `into` from `offset`; fewer bytes than asked for only at the end of the file.
    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError>;
    /// Makes a new, empty file; an existing one is an error.
    fn create(&mut self, file: &str) -> Result<(), DiskError>;
    /// Writes all of `bytes` at `offset`, growing the file where needed.
    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Makes the content and length of a file durable. An error is final: what reached the disk
    /// is then unknown, and asking again proves nothing.
    fn sync(&mut self, file: &str) -> Result<(), DiskError>;
    /// Gives a file another name, replacing what had that name.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file.
    fn remove(&mut self, file: &str) -> Result<(), DiskError>;
    /// Makes created, renamed and removed names durable.
    fn sync_directory(&mut self) -> Result<(), DiskError>;
    /// Where a file of this name lies, for messages to the operator.
    fn place(&self, file: &str) -> String;
}

impl<D: Disk + ?Sized> Disk for &mut D {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        (**self).list()
    }
    fn length(&mut self, file: &str) -> Result<u64, DiskError> {
        (**self).length(file)
    }
    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        (**self).read_at(file, offset, into)
    }
    fn create(&mut self, file: &str) -> Result<(), DiskError> {
        (**self).create(file)
    }
    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        (**self).write_at(file, offset, bytes)
    }
    fn sync(&mut self, file: &str) -> Result<(), DiskError> {
        (**self).sync(file)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        (**self).rename(from, to)
    }
    fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        (**self).remove(file)
    }
    fn sync_directory(&mut self) -> Result<(), DiskError> {
        (**self).sync_directory()
    }
    fn place(&self, file: &str) -> String {
        (**self).place(file)
    }
}

/// A verb of [`Disk`] that failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("cannot {verb} {place}: {detail}; {}", .fault.advice())]
pub struct DiskError {
    /// What kind of failure it was.
    pub fault: Fault,
    /// What was being done: "write", "sync", ...
    pub verb: &'static str,
    /// The file or directory, as the operator would name it.
    pub place: String,
    /// What the operating system said.
    pub detail: String,
}

/// Kinds of disk failure, as far as the operator's answer to them differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No space left, or a quota is used up.
    NoSpace,
    /// Access denied, or mounted read-only.
    Denied,
    /// The name does not exist.
    Missing,
    /// The name exists already.
    Exists,
    /// Another process holds the directory.
    Locked,
    /// What should be a directory is something else.
    NotDirectory,
    /// The device or file system failed.
    Broken,
}

impl Fault {
    /// What the operator can do about it.
    fn advice(self) -> &'static str {
        match self {
            Self::NoSpace => "free some space or move the directory to a larger disk, then restart",
            Self::Denied => "give the server's user read and write access to it",
            Self::Missing => "check that the right disk is mounted and restore what is missing",
            Self::Exists => "move it away if it does not belong to this server",
            Self::Locked => "another server uses this directory: stop it or choose another one",
            Self::NotDirectory => "name a directory that is this server's alone",
            Self::Broken => "check the disk and the kernel's log before starting again",
        }
    }
}
