//! Whole files: published at once, read at once, named by a number.
//!
//! Called by the parts of the log that keep files.

use super::disk::{Disk, DiskError, Fault};
use super::error::LogError;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Ending of a file that was not published yet.
pub(super) const UNFINISHED: &str = ".tmp";

/// Writes a whole file so that its name, once visible, always means the whole content.
pub(super) fn publish<D: Disk>(disk: &mut D, name: &str, content: &[u8]) -> Result<(), LogError> {
    let unfinished = create_unfinished(disk, name)?;
    disk.write_at(&unfinished, 0, content)?;
    disk.sync(&unfinished)?;
    disk.rename(&unfinished, name)?;
    Ok(disk.sync_directory()?)
}

/// What a file is called until it is published under `name`.
pub(super) fn unfinished(name: &str) -> String {
    format!("{name}{UNFINISHED}")
}

/// An empty file to be renamed to `name` later, in place of one that was left over.
pub(super) fn create_unfinished<D: Disk>(disk: &mut D, name: &str) -> Result<String, DiskError> {
    let unfinished = unfinished(name);
    remove_if_there(disk, &unfinished)?;
    disk.create(&unfinished)?;
    Ok(unfinished)
}

/// Removes a file; that it does not exist is no error.
pub(super) fn remove_if_there<D: Disk>(disk: &mut D, name: &str) -> Result<(), DiskError> {
    match disk.remove(name) {
        Err(error) if error.fault != Fault::Missing => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A whole file of at most `limit` bytes.
pub(super) fn read_file<D: Disk>(
    disk: &mut D,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, LogError> {
    let length = disk.length(name)?;
    if length > limit {
        let what = "it is longer than such a file can be";
        return Err(LogError::Corrupt { file: disk.place(name), offset: limit, what });
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = disk.read_at(name, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The number in a file name: the prefix and sixteen lower-case hexadecimal digits.
pub(super) fn number_of(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix).filter(|digits| digits.len() == 16)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (name == format!("{prefix}{number:016x}")).then_some(number)
}
