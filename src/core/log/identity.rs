//! Whose directory it is: the small file that ties log and snapshots to one server.
//!
//! ```text
//! ostler directory 1
//! server 3
//! id 00112233445566778899aabbccddeeff
//! checksum 0123456789abcdef
//! ```
//! Written last at the first start, so where it exists a log exists too.

use super::disk::Disk;
use super::error::LogError;
use super::files::{publish, read_file};
use crate::types::ServerId;
use alloc::format;
use alloc::string::String;
use xxhash_rust::xxh3::xxh3_64;

/// Name of the file.
pub(super) const FILE: &str = "identity";
/// Format of the directory as a whole.
const VERSION: u32 = 1;
const FILE_BYTES_MAX: u64 = 4096;

/// Server and directory that every file of the log is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) server: ServerId,
    pub(super) directory: [u8; 16],
}

impl Identity {
    /// Reads the file; an error if it is damaged, newer or of another server.
    pub(super) fn read<D: Disk>(disk: &mut D, expected: ServerId) -> Result<Self, LogError> {
        let file = disk.place(FILE);
        let bytes = read_file(disk, FILE, FILE_BYTES_MAX)?;
        let damaged = || LogError::Corrupt {
            file: file.clone(),
            offset: 0,
            what: "it does not say whose directory this is",
        };
        let text = core::str::from_utf8(&bytes).map_err(|_| damaged())?;
        let found = version(text).ok_or_else(damaged)?;
        if found > VERSION {
            return Err(LogError::NewerFormat { file, found, newest: VERSION });
        }
        let identity = Self::parse(text).filter(|id| id.text() == text).ok_or_else(damaged)?;
        if identity.server != expected {
            return Err(LogError::ForeignServer { file, found: identity.server, expected });
        }
        Ok(identity)
    }

    /// Publishes the file.
    pub(super) fn write<D: Disk>(&self, disk: &mut D) -> Result<(), LogError> {
        publish(disk, FILE, self.text().as_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let server = ServerId(field("server ")?.parse().ok()?);
        let directory = u128::from_str_radix(field("id ")?, 16).ok()?.to_be_bytes();
        Some(Self { server, directory })
    }

    fn text(&self) -> String {
        let id = u128::from_be_bytes(self.directory);
        let text = format!("ostler directory {VERSION}\nserver {}\nid {id:032x}\n", self.server.0);
        format!("{text}checksum {:016x}\n", xxh3_64(text.as_bytes()))
    }
}

fn version(text: &str) -> Option<u32> {
    text.lines().next()?.strip_prefix("ostler directory ")?.parse().ok()
}
