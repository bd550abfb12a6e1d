//! The files of a data directory, as far as these tests damage them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes before the payload of a record.
const RECORD_HEAD: usize = 64;
const TRANSACTION: u8 = 1;
const MARK: u8 = 4;

/// Files whose names begin so, in ascending order.
pub(crate) fn named(directory: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("lists");
    let mut found: Vec<_> = entries.map(|entry| entry.expect("lists").path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && !name.ends_with(".tmp")
    });
    found.sort();
    found
}

/// The last segment of the log.
pub(crate) fn log(directory: &Path) -> PathBuf {
    named(directory, "log.").pop().expect("there is a log")
}

/// Where the records of this kind begin in a segment.
fn records(segment: &Path, kind: u8) -> Vec<usize> {
    let bytes = fs::read(segment).expect("reads");
    let end = bytes.len().saturating_sub(RECORD_HEAD);
    let begins = (0..end).step_by(8).filter(|at| bytes[*at..].starts_with(b"OREC"));
    begins.filter(|at| bytes[at + 40] == kind).collect()
}

/// Where the transactions of a segment begin.
pub(crate) fn transactions(segment: &Path) -> Vec<usize> {
    records(segment, TRANSACTION)
}

/// Whether a mark stands behind the last transaction.
pub(crate) fn is_marked(segment: &Path) -> bool {
    records(segment, MARK).last() > transactions(segment).last()
}

/// Flips one bit in the payload of the transaction that begins at `record`.
pub(crate) fn flip_in(segment: &Path, record: usize) {
    flip(segment, record + RECORD_HEAD + 4);
}

/// Flips one bit.
pub(crate) fn flip(path: &Path, offset: usize) {
    let file = File::options().read(true).write(true).open(path).expect("opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset as u64).expect("reads");
    file.write_all_at(&[byte[0] ^ 0x10], offset as u64).expect("writes");
}

/// Cuts a file.
pub(crate) fn truncate(path: &Path, length: u64) {
    let file = File::options().write(true).open(path).expect("opens");
    file.set_len(length).expect("truncates");
}
