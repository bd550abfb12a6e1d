//! The log over a disk in memory: what its tests share.

mod appending;
mod crumbling;
mod damage;
mod history;
mod power_cuts;
mod reuse;
mod snapshots;
mod stages;
mod tail;

use crate::log::disk::{Disk, Fault};
use crate::log::mem_disk::MemDisk;
use crate::log::record::{self, Kind};
use crate::log::snapshot::{self, Reader, Writer};
use crate::log::{Entry, Log, LogError, LogSettings, Purged, Recovered};
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::{History, LogOrder, Origin, Proposal, Reign};
use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

const FIRST: &str = "log.0000000000000001";

fn settings() -> LogSettings {
    LogSettings { segment_bytes: 4096, server: ServerId(1), directory: [9; 16] }
}

fn open(disk: &mut MemDisk) -> Result<(Log<&mut MemDisk>, Recovered), LogError> {
    Log::open(disk, settings())
}

/// The error of opening, and proof that opening changed nothing.
fn refusal(disk: &mut MemDisk) -> LogError {
    let files = |disk: &mut MemDisk| {
        let names = disk.list().unwrap();
        let with_content = |name: String| (name.clone(), disk.content(&name).unwrap().to_vec());
        names.into_iter().map(with_content).collect::<BTreeMap<_, _>>()
    };
    let before = files(disk);
    let error = open(disk).err().expect("opening must fail");
    assert_eq!(before, files(disk));
    error
}

/// What transaction `zxid` carries, different for every one, 0 to 700 bytes.
fn payload(zxid: u64) -> Vec<u8> {
    let length = (xxh3_64(&zxid.to_le_bytes()) % 700) as usize;
    (0..length).map(|at| (zxid as usize * 31 + at) as u8).collect()
}

fn entry(zxid: u64, payload: &[u8]) -> Entry<'_> {
    let origin = Origin { server: ServerId(zxid % 3), serial: zxid ^ 0xabcd };
    Entry { zxid: Zxid(zxid), time_ms: zxid as i64 - 5, origin, payload }
}

fn reign(epoch: u32, leader: u64) -> Reign {
    Reign { epoch: Epoch(epoch), leader: ServerId(leader) }
}

fn append<D: Disk>(log: &mut Log<D>, zxid: u64) -> Result<(), LogError> {
    let payload = payload(zxid);
    log.append(entry(zxid, &payload))
}

fn write<D: Disk>(log: &mut Log<D>, zxids: RangeInclusive<u64>) {
    zxids.for_each(|zxid| append(log, zxid).unwrap());
    log.sync().unwrap();
}

/// Zxids replayed, after checking that every transaction is what was written.
fn replayed<D: Disk>(log: &mut Log<D>, after: u64) -> Result<Vec<u64>, LogError> {
    let mut seen = Vec::new();
    log.replay(Zxid(after), &mut |found| {
        assert_eq!(found, entry(found.zxid.0, &payload(found.zxid.0)));
        seen.push(found.zxid.0);
        Ok(())
    })?;
    Ok(seen)
}

fn publish<D: Disk>(disk: D, zxid: u64) -> Result<(), LogError> {
    let mut writer = Writer::create(disk, Zxid(zxid))?;
    writer.chunk(&payload(zxid))?;
    writer.chunk(&zxid.to_le_bytes())?;
    writer.publish()
}

/// A disk with transactions 1 to `last`, in batches of three, and several segments.
fn written(last: u64) -> MemDisk {
    let mut disk = MemDisk::new(last);
    let (mut log, _) = open(&mut disk).unwrap();
    for first in (1..=last).step_by(3) {
        write(&mut log, first..=last.min(first + 2));
    }
    log.mark_flushed().unwrap();
    let name = log.tail.name.clone();
    disk.sync(&name).unwrap();
    disk
}

fn segments(disk: &mut MemDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.starts_with("log.")).collect()
}
