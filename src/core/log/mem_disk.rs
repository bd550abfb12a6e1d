//! A disk in memory that crumbles on command: power cuts, failing calls, flipped bits, no space.
//!
//! For tests and simulation only. It keeps apart what was written and what is durable, as the
//! promises of [`Disk`] allow and no better.

use super::disk::{Disk, DiskError, Fault};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// The unit that is written whole or not at all.
const BLOCK_BYTES: usize = 512;

/// Files in memory. Same seed, same calls, same outcome.
#[derive(Clone, Debug)]
pub struct MemDisk {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since the last sync of the directory.
    pending: Vec<NameChange>,
    files: Vec<MemFile>,
    random: u64,
    fault: Option<PlannedFault>,
    capacity: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set { name: String, file: usize },
    Rename { from: String, to: String, file: usize },
    Remove { name: String },
}

#[derive(Clone, Debug, Default)]
struct MemFile {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Every version of a block written since the last sync; any of them may have reached the
    /// medium.
    unsynced: BTreeMap<usize, Vec<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug)]
struct PlannedFault {
    verb: Option<&'static str>,
    calls: u32,
    fault: Fault,
}

impl MemDisk {
    /// An empty disk whose accidents follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            files: Vec::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            fault: None,
            capacity: u64::MAX,
        }
    }

    /// Lets the call after `calls` more calls fail, once; with `verb`, only calls of that
    /// name count: "create", "write", "read", "sync", "rename", "remove", "sync directory".
    pub fn fail_after(&mut self, calls: u32, verb: Option<&'static str>, fault: Fault) {
        self.fault = Some(PlannedFault { verb, calls, fault });
    }

    /// Forgets a planned failure; tells whether it was still to come.
    pub fn heal(&mut self) -> bool {
        self.fault.take().is_some()
    }

    /// Limits the sum of all file lengths, in bytes.
    pub fn limit(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    /// Loses what was not synced: any subset of blocks, any subset of name changes.
    pub fn power_cut(&mut self) {
        for change in core::mem::take(&mut self.pending) {
            if self.chance() {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for index in 0..self.files.len() {
            self.cut_file(index);
        }
    }

    /// Flips one bit, durably.
    pub fn flip(&mut self, file: &str, offset: usize, bit: u8) {
        let file = &mut self.files[self.names[file]];
        for bytes in [&mut file.content, &mut file.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << (bit & 7);
            }
        }
    }

    /// Puts a file there, durably.
    pub fn put(&mut self, name: &str, content: &[u8]) {
        let file = self.files.len();
        let (content, durable) = (content.to_vec(), content.to_vec());
        self.files.push(MemFile { content, durable, unsynced: BTreeMap::new() });
        self.names.insert(name.into(), file);
        self.durable_names.insert(name.into(), file);
    }

    /// Takes a file away, durably.
    pub fn lose(&mut self, name: &str) {
        self.names.remove(name);
        self.durable_names.remove(name);
    }

    /// Content of a file as a reader sees it.
    pub fn content(&self, name: &str) -> Option<&[u8]> {
        Some(&self.files[*self.names.get(name)?].content)
    }

    fn cut_file(&mut self, index: usize) {
        let mut file = core::mem::take(&mut self.files[index]);
        if file.content.len() != file.durable.len() && self.chance() {
            file.durable.resize(file.content.len(), 0);
        }
        for (block, versions) in core::mem::take(&mut file.unsynced) {
            let pick = self.below(versions.len() + 1);
            if let Some(version) = versions.get(pick) {
                write_block(&mut file.durable, block * BLOCK_BYTES, version);
            }
        }
        file.content.clone_from(&file.durable);
        self.files[index] = file;
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 32) as usize) % bound
    }

    /// Whether this call is to fail.
    fn strike(&mut self, verb: &'static str, file: &str) -> Result<(), DiskError> {
        let Some(planned) = self.fault.as_mut() else { return Ok(()) };
        if planned.verb.is_some_and(|only| only != verb) {
            return Ok(());
        }
        if planned.calls > 0 {
            planned.calls -= 1;
            return Ok(());
        }
        let fault = planned.fault;
        self.fault = None;
        Err(error(fault, verb, file))
    }

    fn file(&mut self, verb: &'static str, name: &str) -> Result<&mut MemFile, DiskError> {
        match self.names.get(name) {
            Some(&index) => Ok(&mut self.files[index]),
            None => Err(error(Fault::Missing, verb, name)),
        }
    }

    fn check_space(&self, name: &str, end: usize) -> Result<(), DiskError> {
        let others = self.names.iter().filter(|(other, _)| *other != name);
        let used: u64 = others.map(|(_, &index)| self.files[index].content.len() as u64).sum();
        let before = self.content(name).map_or(0, <[u8]>::len);
        if end > before && used + end as u64 > self.capacity {
            return Err(error(Fault::NoSpace, "write", name));
        }
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.pending.push(change);
    }
}

impl Disk for MemDisk {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        Ok(self.names.keys().cloned().collect())
    }

    fn length(&mut self, file: &str) -> Result<u64, DiskError> {
        Ok(self.file("measure", file)?.content.len() as u64)
    }

    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        self.strike("read", file)?;
        let content = &self.file("read", file)?.content;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let length = into.len().min(content.len() - start);
        into[..length].copy_from_slice(&content[start..start + length]);
        Ok(length)
    }

    fn create(&mut self, file: &str) -> Result<(), DiskError> {
        self.strike("create", file)?;
        if self.names.contains_key(file) {
            return Err(error(Fault::Exists, "create", file));
        }
        self.files.push(MemFile::default());
        self.change(NameChange::Set { name: file.into(), file: self.files.len() - 1 });
        Ok(())
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let start = usize::try_from(offset).expect("files in memory are small");
        self.check_space(file, start + bytes.len())?;
        if let Err(failed) = self.strike("write", file) {
            // Part of it may have been taken.
            let part = self.below(bytes.len() + 1);
            self.file("write", file)?.write(start, &bytes[..part]);
            return Err(failed);
        }
        self.file("write", file)?.write(start, bytes);
        Ok(())
    }

    fn sync(&mut self, file: &str) -> Result<(), DiskError> {
        if let Err(failed) = self.strike("sync", file) {
            // As real systems do: the cache keeps what the device refused and calls it clean.
            self.file("sync", file)?.unsynced.clear();
            return Err(failed);
        }
        let file = self.file("sync", file)?;
        // Blocks that an earlier failed sync called clean stay lost.
        file.durable.resize(file.content.len(), 0);
        for (block, versions) in core::mem::take(&mut file.unsynced) {
            if let Some(version) = versions.last() {
                write_block(&mut file.durable, block * BLOCK_BYTES, version);
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.strike("rename", from)?;
        let Some(&file) = self.names.get(from) else {
            return Err(error(Fault::Missing, "rename", from));
        };
        self.change(NameChange::Rename { from: from.into(), to: to.into(), file });
        Ok(())
    }

    fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        self.strike("remove", file)?;
        self.file("remove", file)?;
        self.change(NameChange::Remove { name: file.into() });
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.strike("sync directory", ".")?;
        self.pending.clear();
        self.durable_names = self.names.clone();
        // What no name leads to, now or after a power cut, need not be carried along.
        let named: BTreeSet<_> = self.names.values().copied().collect();
        let files = self.files.iter_mut().enumerate();
        files.filter(|(index, _)| !named.contains(index)).for_each(|(_, file)| {
            *file = MemFile::default();
        });
        Ok(())
    }

    fn place(&self, file: &str) -> String {
        file.into()
    }
}

impl MemFile {
    fn write(&mut self, start: usize, bytes: &[u8]) {
        let end = start + bytes.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[start..end].copy_from_slice(bytes);
        for block in start / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            let from = block * BLOCK_BYTES;
            let until = (from + BLOCK_BYTES).min(self.content.len());
            self.unsynced.entry(block).or_default().push(self.content[from..until].to_vec());
        }
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set { name, file } => {
                names.insert(name, file);
            }
            Self::Rename { from, to, file } => {
                names.remove(&from);
                names.insert(to, file);
            }
            Self::Remove { name } => {
                names.remove(&name);
            }
        }
    }
}

/// As much of a block as lies within the file.
fn write_block(content: &mut [u8], start: usize, block: &[u8]) {
    let end = (start + block.len()).min(content.len());
    if start < end {
        content[start..end].copy_from_slice(&block[..end - start]);
    }
}

fn error(fault: Fault, verb: &'static str, file: &str) -> DiskError {
    DiskError { fault, verb, place: file.into(), detail: String::from("made to fail") }
}
