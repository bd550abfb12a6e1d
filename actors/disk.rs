//! The real disk: the files of the log and the snapshots, in directories locked for one server.
//!
//! Lives here: system calls and what their errors mean. No record and no decision. Called by the
//! rooms that write the log and the snapshots, each through a handle of its own.

use ostler_core::log::{Disk, DiskError, Fault};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

const LOCK_FILE: &str = "lock";
const LOG_PREFIX: &str = "log.";
/// Files kept open for the next call; beyond that all are closed and opened again when needed.
const OPEN_FILES_MAX: usize = 16;
/// Removed files longer than this, in bytes, are closed on a thread of their own: to free what the
/// system's cache has of one takes some 20 ms for every 100 MB, and who removes them writes the log.
const CLOSED_IN_PLACE_BYTES_MAX: u64 = 4 << 20;

/// Two directories (which may be one): log segments in one, everything else in the other. Holds
/// both locked until the last handle is dropped.
#[derive(Debug)]
pub struct DirectoryDisk {
    directories: Arc<Directories>,
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
struct Directories {
    data: PathBuf,
    log: PathBuf,
    /// Held for as long as they are open; the system lets go of them when the process dies.
    _locks: Vec<File>,
}

impl DirectoryDisk {
    /// Makes the directories where missing and locks them. Fails with [`Fault::Locked`] if
    /// another process, or another disk of this one, holds one of them.
    pub fn open(data: &Path, log: &Path) -> Result<Self, DiskError> {
        let data = found_directory(data)?;
        let log = found_directory(log)?;
        let mut locks = vec![lock(&data)?];
        if log != data {
            locks.push(lock(&log)?);
        }
        let directories = Arc::new(Directories { data, log, _locks: locks });
        Ok(Self { directories, files: BTreeMap::new() })
    }

    /// Another handle of the same directories, for another thread.
    pub fn share(&self) -> Self {
        Self { directories: Arc::clone(&self.directories), files: BTreeMap::new() }
    }

    fn path(&self, file: &str) -> PathBuf {
        let is_log = file.starts_with(LOG_PREFIX);
        let directory = if is_log { &self.directories.log } else { &self.directories.data };
        directory.join(file)
    }

    /// Performs one call on an open file.
    fn on_file<T>(
        &mut self,
        verb: &'static str,
        file: &str,
        call: impl FnOnce(&File) -> Result<T, Error>,
    ) -> Result<T, DiskError> {
        let path = self.path(file);
        let result = match self.files.get(file) {
            Some(open) => call(open),
            None => OpenOptions::new().read(true).write(true).open(&path).and_then(|open| {
                let result = call(&open);
                self.keep(file, open);
                result
            }),
        };
        result.map_err(|error| failure(verb, &path, &error))
    }

    fn keep(&mut self, file: &str, open: File) {
        if self.files.len() >= OPEN_FILES_MAX {
            self.files.clear();
        }
        self.files.insert(file.into(), open);
    }
}

impl Clone for DirectoryDisk {
    /// As [`DirectoryDisk::share`].
    fn clone(&self) -> Self {
        self.share()
    }
}

impl Disk for DirectoryDisk {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        let Directories { data, log, .. } = &*self.directories;
        let mut names = names_in(data)?;
        if log != data {
            names.retain(|name| !name.starts_with(LOG_PREFIX));
            let segments = names_in(log)?;
            names.extend(segments.into_iter().filter(|name| name.starts_with(LOG_PREFIX)));
        }
        names.retain(|name| name != LOCK_FILE);
        names.sort_unstable();
        Ok(names)
    }

    fn length(&mut self, file: &str) -> Result<u64, DiskError> {
        self.on_file("measure", file, |open| Ok(open.metadata()?.len()))
    }

    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        self.on_file("read", file, |open| {
            let mut done = 0;
            while done < into.len() {
                match open.read_at(&mut into[done..], offset + done as u64) {
                    Ok(0) => break,
                    Ok(read) => done += read,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(done)
        })
    }

    fn create(&mut self, file: &str) -> Result<(), DiskError> {
        let path = self.path(file);
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let created = created.map_err(|error| failure("create", &path, &error))?;
        self.keep(file, created);
        Ok(())
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.on_file("write", file, |open| open.write_all_at(bytes, offset))
    }

    fn sync(&mut self, file: &str) -> Result<(), DiskError> {
        self.on_file("sync", file, File::sync_data)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let (old, new) = (self.path(from), self.path(to));
        fs::rename(&old, &new).map_err(|error| failure("rename", &old, &error))?;
        self.files.remove(to);
        if let Some(open) = self.files.remove(from) {
            self.keep(to, open);
        }
        Ok(())
    }

    /// The name is gone when this returns; the space of a long file is free a moment later.
    fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        self.files.remove(file);
        let path = self.path(file);
        // While it is open, only its name goes. Whoever may not open it may remove it all the same.
        let open = File::open(&path).ok();
        fs::remove_file(&path).map_err(|error| failure("remove", &path, &error))?;
        open.into_iter().for_each(close);
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        let Directories { data, log, .. } = &*self.directories;
        sync_one_directory(data)?;
        if log != data { sync_one_directory(log) } else { Ok(()) }
    }

    fn place(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }
}

/// Closes a removed file, whose space and cache the system then frees.
fn close(removed: File) {
    if removed.metadata().is_ok_and(|metadata| metadata.len() > CLOSED_IN_PLACE_BYTES_MAX) {
        // Without a thread it is closed here, and whoever removed it waits.
        let _ = thread::Builder::new().name("closing".to_owned()).spawn(move || drop(removed));
    }
}

/// Makes the directory if it is missing and gives its one true name, so that two spellings of the
/// same directory are not locked twice.
fn found_directory(directory: &Path) -> Result<PathBuf, DiskError> {
    let fail = |error| failure("open directory", directory, &error);
    if !directory.exists() {
        fs::create_dir_all(directory).map_err(fail)?;
        if let Some(parent) = directory.canonicalize().map_err(fail)?.parent() {
            sync_one_directory(parent)?;
        }
    }
    let found = directory.canonicalize().map_err(fail)?;
    if found.is_dir() { Ok(found) } else { Err(fail(ErrorKind::NotADirectory.into())) }
}

fn lock(directory: &Path) -> Result<File, DiskError> {
    let path = directory.join(LOCK_FILE);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| failure("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(failure("lock", directory, &error)),
        Err(TryLockError::WouldBlock) => Err(DiskError {
            fault: Fault::Locked,
            verb: "lock",
            place: directory.display().to_string(),
            detail: "it is in use".into(),
        }),
    }
}

fn names_in(directory: &Path) -> Result<Vec<String>, DiskError> {
    let fail = |error| failure("list", directory, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

fn sync_one_directory(directory: &Path) -> Result<(), DiskError> {
    let synced = File::open(directory).and_then(|open| open.sync_all());
    synced.map_err(|error| failure("sync directory", directory, &error))
}

fn failure(verb: &'static str, path: &Path, error: &Error) -> DiskError {
    let fault = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Fault::NoSpace
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Fault::Denied,
        ErrorKind::NotFound => Fault::Missing,
        ErrorKind::AlreadyExists => Fault::Exists,
        ErrorKind::NotADirectory => Fault::NotDirectory,
        _ => Fault::Broken,
    };
    DiskError { fault, verb, place: path.display().to_string(), detail: error.to_string() }
}

#[cfg(test)]
#[path = "disk_test.rs"]
mod disk_test;
