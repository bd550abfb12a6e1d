//! What can go wrong with the log, told so that an operator can act on it.

use super::disk::{DiskError, Fault};
use crate::types::{ServerId, Zxid};
use alloc::string::String;
use thiserror::Error;

/// Why the log cannot be opened, read or written.
///
/// Opening never deletes or changes anything before every check has passed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Bytes that had been durable are not what was written.
    #[error(
        "{file} is damaged at offset {offset}: {what}; nothing was changed: restore the file from \
         a backup, or move the whole directory away and let this server start anew"
    )]
    Corrupt {
        /// The damaged file.
        file: String,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A file that must exist is not there.
    #[error("{file} shows that {what}; nothing was changed: restore what is missing")]
    MissingFile {
        /// The file that proves it.
        file: String,
        /// What is missing.
        what: &'static str,
    },
    /// The records right after a position are not in the log.
    #[error(
        "{file} is the oldest log file and begins after zxid {oldest}, so what follows zxid \
         {after} is gone; nothing was changed: restore the older log files, or a snapshot at zxid \
         {oldest} or later"
    )]
    Gap {
        /// The oldest log file that can be replayed.
        file: String,
        /// Where replay was asked to begin.
        after: Zxid,
        /// The first position the log can be replayed from.
        oldest: Zxid,
    },
    /// A snapshot is newer than the end of the log.
    #[error(
        "{file} is a snapshot at zxid {snapshot} but the log ends at zxid {end}: log files are \
         missing; nothing was changed: restore them, or move the whole directory away"
    )]
    Behind {
        /// The newest snapshot's file.
        file: String,
        /// Where the log ends.
        end: Zxid,
        /// The newest snapshot.
        snapshot: Zxid,
    },
    /// The directory belongs to another server.
    #[error(
        "{file} belongs to server {}, this is server {}: correct the server id or the directory",
        .found.0, .expected.0
    )]
    ForeignServer {
        /// The file that says so.
        file: String,
        /// Whose it is.
        found: ServerId,
        /// Who asked.
        expected: ServerId,
    },
    /// A file was made for another directory.
    #[error("{file} was written for another directory of this server: remove the stray copy")]
    ForeignFile {
        /// The stray file.
        file: String,
    },
    /// Somebody else's files are where a first start was to found a log.
    #[error(
        "{file} is no file of Ostler's, so this directory is somebody else's; nothing of it was \
         changed: name an empty directory"
    )]
    ForeignDirectory {
        /// One of those files.
        file: String,
    },
    /// A file was written by a newer program.
    #[error(
        "{file} has format version {found}, this program knows up to {newest}: start the newer \
         program again"
    )]
    NewerFormat {
        /// The file.
        file: String,
        /// Its format version.
        found: u32,
        /// The newest version this program reads.
        newest: u32,
    },
    /// A file was written by a program too old for this one.
    #[error(
        "{file} has format version {found}, this program knows none below {oldest}: move the whole \
         directory away and let this server start anew, or start the older program again"
    )]
    OlderFormat {
        /// The file.
        file: String,
        /// Its format version.
        found: u32,
        /// The oldest version this program reads.
        oldest: u32,
    },
    /// A record is longer than a record may be.
    #[error("a record of {bytes} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record does not follow the last one.
    #[error("zxid {found} does not follow zxid {last}")]
    OutOfOrder {
        /// The zxid offered.
        found: Zxid,
        /// The last one in the log.
        last: Zxid,
    },
    /// History was to be built on what is not there.
    #[error(
        "nothing can follow zxid {base}, which is not in this server's history: that ends at zxid \
         {last}"
    )]
    UnknownBase {
        /// What was to be built on.
        base: Zxid,
        /// The end of the live history.
        last: Zxid,
    },
    /// What is committed was to be superseded.
    #[error("history after zxid {from} cannot be given up: it is committed up to zxid {committed}")]
    Committed {
        /// After this, history was to be superseded, or this was to become its end.
        from: Zxid,
        /// What is known to be committed.
        committed: Zxid,
    },
    /// What the log was told does not fit what it was told before.
    #[error("the log cannot do this now: {what}")]
    Unexpected {
        /// Why not.
        what: &'static str,
    },
    /// An earlier failure left the log in an unknown state.
    #[error("the log takes nothing more since it failed ({cause}): restart the server")]
    Refused {
        /// The failure.
        cause: String,
    },
    /// Whoever replays could not use a record.
    #[error("record at zxid {zxid} cannot be applied: {reason}")]
    Rejected {
        /// Its position.
        zxid: Zxid,
        /// Why.
        reason: String,
    },
}

impl LogError {
    /// The exit status of a server that stops for this reason, as in `sysexits.h`: 65 damaged or
    /// missing data, 70 a fault of the program, 73 no space, 74 the disk failed, 75 the directory
    /// is in use, 77 access denied, 78 wrong directory or program version.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Disk(error) => match error.fault {
                Fault::NoSpace => 73,
                Fault::Denied => 77,
                Fault::Locked => 75,
                Fault::NotDirectory => 78,
                Fault::Missing | Fault::Exists | Fault::Broken => 74,
            },
            Self::Corrupt { .. }
            | Self::MissingFile { .. }
            | Self::Gap { .. }
            | Self::Behind { .. }
            | Self::Rejected { .. } => 65,
            Self::ForeignServer { .. }
            | Self::ForeignFile { .. }
            | Self::ForeignDirectory { .. }
            | Self::OlderFormat { .. }
            | Self::NewerFormat { .. } => 78,
            Self::TooLarge { .. }
            | Self::OutOfOrder { .. }
            | Self::UnknownBase { .. }
            | Self::Committed { .. }
            | Self::Unexpected { .. } => 70,
            Self::Refused { .. } => 74,
        }
    }
}
