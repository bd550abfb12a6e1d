//! Pieces of the live history for whoever lags behind, and what reading them costs.

use super::*;
use crate::log::disk::DiskError;

/// A disk that counts what is read from it.
struct Counting {
    disk: MemDisk,
    bytes: u64,
}

impl Disk for Counting {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        self.disk.list()
    }
    fn length(&mut self, file: &str) -> Result<u64, DiskError> {
        self.disk.length(file)
    }
    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let read = self.disk.read_at(file, offset, into)?;
        self.bytes += read as u64;
        Ok(read)
    }
    fn create(&mut self, file: &str) -> Result<(), DiskError> {
        self.disk.create(file)
    }
    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.write_at(file, offset, bytes)
    }
    fn sync(&mut self, file: &str) -> Result<(), DiskError> {
        self.disk.sync(file)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }
    fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        self.disk.remove(file)
    }
    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.disk.sync_directory()
    }
    fn place(&self, file: &str) -> String {
        self.disk.place(file)
    }
}

fn zxids(entries: &[Proposal]) -> Vec<u64> {
    entries.iter().map(|entry| entry.zxid.0).collect()
}

/// Everything after `after`, read in chunks.
fn read_all<D: Disk>(log: &mut Log<D>, after: u64, chunk: usize) -> Vec<Proposal> {
    let mut all: Vec<Proposal> = Vec::new();
    loop {
        let from = all.last().map_or(Zxid(after), |entry| entry.zxid);
        let History { entries, reaches_back, .. } = log.history(from, chunk).unwrap();
        assert!(reaches_back);
        if entries.is_empty() {
            return all;
        }
        all.extend(entries);
    }
}

/// A log whose live history is 1 to 6, 101 to 130 and 140 to 160, with other entries between.
fn superseded(disk: &mut MemDisk) -> (Log<&mut MemDisk>, Vec<u64>) {
    let (mut log, _) = open(disk).unwrap();
    write(&mut log, 1..=20);
    log.begin_stage(Zxid(20), false).unwrap();
    for zxid in 30..=50 {
        log.stage(entry(zxid, &payload(zxid))).unwrap();
    }
    log.sync().unwrap();
    log.begin_stage(Zxid(6), false).unwrap();
    for zxid in 101..=133 {
        log.stage(entry(zxid, &payload(zxid))).unwrap();
        log.sync().unwrap();
    }
    log.commit_stage(reign(1, 2)).unwrap();
    write(&mut log, 134..=139);
    log.begin_stage(Zxid(130), false).unwrap();
    log.commit_stage(reign(2, 2)).unwrap();
    write(&mut log, 140..=160);
    (log, (1..=6).chain(101..=130).chain(140..=160).collect())
}

#[test]
fn history_tells_where_it_stands_for_every_zxid_asked_for() {
    let mut disk = MemDisk::new(1);
    let (mut log, live) = superseded(&mut disk);
    for restart in [false, true] {
        if restart {
            drop(log);
            log = open(&mut disk).unwrap().0;
        }
        for after in 0..170 {
            let found = log.history(Zxid(after), usize::MAX).unwrap();
            let base = live.iter().copied().filter(|&zxid| zxid <= after).max();
            let rest: Vec<_> = live.iter().copied().filter(|&zxid| zxid > after).collect();
            assert_eq!(found.base.0, base.unwrap_or_default(), "{after}");
            assert_eq!(zxids(&found.entries), rest, "{after}");
            assert!(found.reaches_back && found.after == Zxid(after));
        }
    }
}

#[test]
fn chunks_are_as_long_as_asked_for_and_leave_nothing_out() {
    let mut disk = MemDisk::new(1);
    let (mut log, live) = superseded(&mut disk);
    for chunk in [0, 1, 500, 5000] {
        let all = read_all(&mut log, 0, chunk);
        assert_eq!(zxids(&all), live, "{chunk}");
        all.iter().for_each(|found| {
            let payload = payload(found.zxid.0);
            assert_eq!(*found, entry(found.zxid.0, &payload).to_proposal());
        });
    }
    let one = log.history(Zxid(3), 1).unwrap();
    assert_eq!(zxids(&one.entries), [4]);
}

#[test]
fn a_reader_goes_on_where_new_entries_come_and_is_moved_when_history_changes() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    write(&mut log, 1..=10);
    assert_eq!(zxids(&log.history(Zxid(0), usize::MAX).unwrap().entries).last(), Some(&10));
    append(&mut log, 11).unwrap();
    // Not durable, so not there.
    assert_eq!(log.history(Zxid(10), usize::MAX).unwrap().entries, []);
    log.sync().unwrap();
    write(&mut log, 12..=40);
    let found = log.history(Zxid(10), usize::MAX).unwrap();
    assert_eq!(zxids(&found.entries), (11..=40).collect::<Vec<_>>());
    log.history(Zxid(18), 1).unwrap();
    log.begin_stage(Zxid(15), false).unwrap();
    log.commit_stage(reign(1, 2)).unwrap();
    for zxid in [19, 40] {
        let found = log.history(Zxid(zxid), usize::MAX).unwrap();
        assert_eq!((found.base, found.entries), (Zxid(15), vec![]));
    }
    write(&mut log, 19..=22);
    let found = log.history(Zxid(19), usize::MAX).unwrap();
    assert_eq!((found.base, zxids(&found.entries)), (Zxid(19), vec![20, 21, 22]));
}

#[test]
fn history_that_was_purged_or_is_in_a_snapshot_is_not_reached() {
    let mut disk = written(60);
    let (mut log, _) = open(&mut disk).unwrap();
    publish(log.disk(), 40).unwrap();
    log.purge(1).unwrap();
    let base = log.timeline.base.0;
    assert!(base > 0 && base <= 40);
    assert!(!log.history(Zxid(base - 1), 10).unwrap().reaches_back);
    let found = log.history(Zxid(base), usize::MAX).unwrap();
    assert!(found.reaches_back && found.base == Zxid(base));
    assert_eq!(zxids(&found.entries), (base + 1..=60).collect::<Vec<_>>());

    let mut writer = Writer::receive(log.disk(), Zxid(1000)).unwrap();
    writer.chunk(b"x").unwrap();
    writer.publish().unwrap();
    log.begin_stage(Zxid(1000), true).unwrap();
    log.commit_stage(reign(1, 2)).unwrap();
    write(&mut log, 1001..=1002);
    assert!(!log.history(Zxid(60), 10).unwrap().reaches_back);
    let found = log.history(Zxid(1000), usize::MAX).unwrap();
    assert!(found.reaches_back && found.base == Zxid(1000));
    assert_eq!(zxids(&found.entries), [1001, 1002]);
}

#[test]
fn damage_that_appears_later_is_noticed_by_a_reader() {
    let mut disk = written(60);
    let (mut log, _) = open(&mut disk).unwrap();
    let name = log.segments[2].name.clone();
    log.disk().flip(&name, 700, 2);
    let mut after = Zxid::ZERO;
    let error = loop {
        match log.history(after, 1000) {
            Ok(found) => after = found.entries.last().unwrap().zxid,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, LogError::Corrupt { file, .. } if *file == name), "{error}");
}

#[test]
fn a_million_entries_are_read_about_once_however_many_chunks_that_takes() {
    const LAST: u64 = 1_000_000;
    let settings = LogSettings { segment_bytes: 32 << 20, ..settings() };
    let disk = Counting { disk: MemDisk::new(1), bytes: 0 };
    let (mut log, _) = Log::open(disk, settings).unwrap();
    for zxid in 1..=LAST {
        log.append(entry(zxid, &[7; 8])).unwrap();
        if zxid % 10_000 == 0 {
            log.sync().unwrap();
        }
    }
    log.disk().bytes = 0;
    let names = log.disk().list().unwrap();
    let written: u64 = {
        let logs = names.iter().filter(|name| name.starts_with("log."));
        logs.map(|name| log.disk().length(name).unwrap()).sum()
    };
    let (mut after, mut seen) = (Zxid::ZERO, 0);
    while after < Zxid(LAST) {
        let found = log.history(after, crate::zab::HISTORY_CHUNK_BYTES).unwrap();
        assert_eq!(found.base, after);
        seen += found.entries.len() as u64;
        after = found.entries.last().unwrap().zxid;
    }
    assert_eq!(seen, LAST);
    let read = log.disk().bytes;
    assert!(read * 10 < written * 11, "{read} bytes were read of {written}");
}
