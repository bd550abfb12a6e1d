//! The log over a disk that crashes, tears, fills up and lies: what recovery finds afterwards.

use super::disk::{Disk, Fault};
use super::mem_disk::MemDisk;
use super::snapshot::{self, Reader, Writer};
use super::{Entry, Log, LogError, LogSettings, Purged, Recovered};
use crate::types::{Epoch, ServerId, Zxid};
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

fn append<D: Disk>(log: &mut Log<D>, zxid: u64) -> Result<(), LogError> {
    let payload = payload(zxid);
    log.append(&Entry::Txn { zxid: Zxid(zxid), time_ms: zxid as i64 - 5, payload: &payload })
}

fn write<D: Disk>(log: &mut Log<D>, zxids: RangeInclusive<u64>) {
    zxids.for_each(|zxid| append(log, zxid).unwrap());
    log.sync().unwrap();
}

/// Zxids replayed, after checking that every transaction is what was written.
fn replayed<D: Disk>(log: &mut Log<D>, after: u64) -> Result<Vec<u64>, LogError> {
    let mut seen = Vec::new();
    log.replay(Zxid(after), &mut |entry| {
        if let Entry::Txn { zxid, time_ms, payload: found } = entry {
            assert_eq!((time_ms, found), (zxid.0 as i64 - 5, &payload(zxid.0)[..]));
            seen.push(zxid.0);
        }
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

#[test]
fn what_was_synced_is_replayed_in_order_from_any_position() {
    let mut disk = written(60);
    assert!(segments(&mut disk).len() > 3);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!((recovered.last_zxid, recovered.tail_cut), (Zxid(60), None));
    for after in 0..=60 {
        assert_eq!(replayed(&mut log, after).unwrap(), (after + 1..=60).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_only_appended_is_not_there_after_a_restart() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    write(&mut log, 1..=2);
    append(&mut log, 3).unwrap();
    drop(log);
    assert_eq!(replayed(&mut open(&mut disk).unwrap().0, 0).unwrap(), [1, 2]);
}

#[test]
fn a_zxid_that_does_not_follow_is_refused_without_harm() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    write(&mut log, 5..=5);
    assert!(matches!(append(&mut log, 5), Err(LogError::OutOfOrder { .. })));
    write(&mut log, 6..=6);
    assert_eq!(replayed(&mut log, 0).unwrap(), [5, 6]);
}

#[test]
fn promises_about_epochs_survive_restart_and_purge() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    let promise = Entry::Epoch { accepted: Epoch(4), current: Epoch(3), leader: ServerId(2) };
    log.append(&promise).unwrap();
    write(&mut log, 1..=40);
    write(&mut log, 41..=42);
    publish(log.disk(), 40).unwrap();
    assert!(log.purge(1).unwrap().segments > 0);
    drop(log);
    let (_, recovered) = open(&mut disk).unwrap();
    let Recovered { accepted_epoch, current_epoch, leader, .. } = recovered;
    assert_eq!((accepted_epoch, current_epoch, leader), (Epoch(4), Epoch(3), ServerId(2)));
}

#[test]
fn entries_come_back_as_they_were_appended() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    let entries = [
        Entry::Epoch { accepted: Epoch(1), current: Epoch(0), leader: ServerId(7) },
        Entry::Txn { zxid: Zxid(9), time_ms: -1, payload: b"" },
        Entry::SnapshotTaken { zxid: Zxid(9) },
    ];
    entries.iter().for_each(|entry| log.append(entry).unwrap());
    log.sync().unwrap();
    let mut index = 0;
    let mut each = |entry: Entry<'_>| {
        assert_eq!(entry, entries[index]);
        index += 1;
        Ok(())
    };
    log.replay(Zxid::ZERO, &mut each).unwrap();
    assert_eq!(index, entries.len());
}

#[test]
fn a_batch_longer_than_a_segment_is_kept_whole() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    let long = vec![3; 50_000];
    log.append(&Entry::Txn { zxid: Zxid(1), time_ms: 0, payload: &long }).unwrap();
    log.sync().unwrap();
    write(&mut log, 2..=3);
    drop(log);
    disk.power_cut();
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(3));
    let mut lengths = Vec::new();
    log.replay(Zxid::ZERO, &mut |entry| {
        if let Entry::Txn { payload, .. } = entry {
            lengths.push(payload.len());
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(lengths, [50_000, payload(2).len(), payload(3).len()]);
}

#[test]
fn a_failed_sync_is_final_and_the_next_start_tells_what_was_kept() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    write(&mut log, 1..=2);
    append(&mut log, 3).unwrap();
    log.disk().fail_after(0, Some("sync"), Fault::Broken);
    let error = log.sync().unwrap_err();
    assert_eq!(error.exit_code(), 74);
    assert!(matches!(log.sync(), Err(LogError::Refused { .. })));
    assert!(matches!(append(&mut log, 4), Err(LogError::Refused { .. })));
    drop(log);
    // The cache still shows record 3 though the medium never took it. Once it was reported it must
    // outlive a power cut.
    let (_, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(3));
    disk.power_cut();
    assert_eq!(replayed(&mut open(&mut disk).unwrap().0, 0).unwrap(), [1, 2, 3]);
}

#[test]
fn a_full_disk_is_an_error_before_anything_is_acknowledged() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    log.disk().limit(6000);
    let mut last = 0;
    let error = loop {
        append(&mut log, last + 1).unwrap();
        match log.sync() {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.exit_code(), 73);
    assert!(error.to_string().contains("free some space"), "{error}");
    drop(log);
    disk.power_cut();
    disk.limit(u64::MAX);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(last));
    write(&mut log, last + 1..=last + 5);
    assert_eq!(replayed(&mut log, 0).unwrap(), (1..=last + 5).collect::<Vec<_>>());
}

#[test]
fn remains_of_a_cut_batch_never_come_back_as_records() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    write(&mut log, 1..=1);
    let position = log.tail.position as usize;
    write(&mut log, 2..=5);
    drop(log);
    // The first record of the last batch did not reach the medium, the others did.
    disk.flip(FIRST, position + 60, 1);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(1));
    assert_eq!(recovered.tail_cut.unwrap().offset, position as u64);
    // The same record again, so that the old ones behind it would fit if they were still there.
    write(&mut log, 2..=2);
    drop(log);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!((recovered.last_zxid, recovered.tail_cut), (Zxid(2), None));
    assert_eq!(replayed(&mut log, 0).unwrap(), [1, 2]);
}

#[test]
fn damage_before_a_later_batch_is_refused_with_file_and_offset() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    write(&mut log, 1..=1);
    let position = log.tail.position;
    write(&mut log, 2..=2);
    write(&mut log, 3..=3);
    drop(log);
    disk.flip(FIRST, position as usize + 60, 1);
    let error = refusal(&mut disk);
    assert!(matches!(&error, LogError::Corrupt { offset, .. } if *offset == position), "{error}");
    assert!(error.to_string().contains(FIRST), "{error}");
    assert_eq!(error.exit_code(), 65);
}

#[test]
fn a_mark_turns_damage_in_the_last_batch_into_an_error() {
    for marked in [false, true] {
        let mut disk = MemDisk::new(1);
        let (mut log, _) = open(&mut disk).unwrap();
        write(&mut log, 1..=1);
        let position = log.tail.position as usize;
        write(&mut log, 2..=2);
        if marked {
            log.mark_flushed().unwrap();
            log.mark_flushed().unwrap();
        }
        drop(log);
        disk.flip(FIRST, position + 60, 1);
        assert_eq!(open(&mut disk).is_err(), marked);
    }
}

/// For every byte of every file: an error, or nothing lost and nothing changed.
#[test]
fn no_flipped_bit_ever_loses_what_was_synced() {
    let mut disk = written(33);
    publish(&mut disk, 20).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    for file in disk.list().unwrap() {
        for offset in 0..disk.content(&file).unwrap().len() {
            let mut flipped = disk.clone();
            flipped.flip(&file, offset, (offset * 7 % 8) as u8);
            let Ok((mut log, recovered)) = open(&mut flipped) else {
                refused += 1;
                continue;
            };
            assert_eq!(recovered.last_zxid, Zxid(33), "{file} {offset}");
            let found = replayed(&mut log, 0).unwrap();
            assert_eq!(found, (1..=33).collect::<Vec<_>>(), "{file} {offset}");
            harmless += 1;
        }
    }
    assert!(refused > 5_000, "{refused} refused, {harmless} harmless");
}

#[test]
fn damage_that_appears_between_start_and_replay_is_noticed() {
    let whole = written(60);
    for name in segments(&mut whole.clone()) {
        let mut disk = whole.clone();
        let (mut log, _) = open(&mut disk).unwrap();
        log.disk().flip(&name, 600, 2);
        let error = replayed(&mut log, 0).unwrap_err();
        assert!(matches!(&error, LogError::Corrupt { file, .. } if *file == name), "{error}");
    }
}

#[test]
fn a_lost_log_file_is_noticed_wherever_it_was() {
    let whole = written(60);
    let names = segments(&mut whole.clone());
    for (index, name) in names.iter().enumerate() {
        let mut disk = whole.clone();
        disk.lose(name);
        let error = refusal(&mut disk);
        if index == 0 {
            assert!(matches!(error, LogError::Gap { after: Zxid::ZERO, .. }), "{error}");
        } else {
            assert!(matches!(error, LogError::MissingFile { .. }), "{name}: {error}");
        }
    }
    let mut disk = whole.clone();
    names.iter().for_each(|name| disk.lose(name));
    let error = refusal(&mut disk);
    assert!(error.to_string().contains("every log file is gone"), "{error}");
}

#[test]
fn a_lost_first_file_is_no_harm_when_a_snapshot_covers_it() {
    let mut disk = written(60);
    publish(&mut disk, 50).unwrap();
    disk.lose(FIRST);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.snapshot, Some(Zxid(50)));
    assert_eq!(replayed(&mut log, 50).unwrap(), (51..=60).collect::<Vec<_>>());
    assert!(matches!(replayed(&mut log, 0), Err(LogError::Gap { .. })));
}

#[test]
fn a_snapshot_beyond_the_end_of_the_log_shows_that_log_is_missing() {
    let mut disk = written(10);
    publish(&mut disk, 11).unwrap();
    let error = refusal(&mut disk);
    assert_eq!(error, LogError::Behind { end: Zxid(10), snapshot: Zxid(11) });
}

#[test]
fn a_lost_identity_is_not_taken_for_a_first_start() {
    let mut disk = written(3);
    disk.lose("identity");
    assert!(matches!(refusal(&mut disk), LogError::MissingFile { .. }));
    let mut disk = MemDisk::new(1);
    publish(&mut disk, 11).unwrap();
    assert!(matches!(refusal(&mut disk), LogError::MissingFile { .. }));
}

#[test]
fn an_emptied_or_truncated_log_file_is_refused() {
    let whole = written(30);
    for name in segments(&mut whole.clone()) {
        for length in [0, 100, 512, 700] {
            let mut disk = whole.clone();
            let content = disk.content(&name).unwrap()[..length].to_vec();
            disk.put(&name, &content);
            // Only the last file may end early, and then nothing tells it from a torn write.
            if length < 512 || name != *segments(&mut disk).last().unwrap() {
                let error = refusal(&mut disk);
                assert!(matches!(error, LogError::Corrupt { .. }), "{name} {length}: {error}");
            }
        }
    }
}

#[test]
fn files_of_another_server_or_directory_are_refused() {
    let mut disk = written(3);
    let stranger = LogSettings { server: ServerId(2), ..settings() };
    let error = Log::open(&mut disk, stranger).err().unwrap();
    assert!(matches!(error, LogError::ForeignServer { found: ServerId(1), .. }), "{error}");
    let mut other = MemDisk::new(1);
    drop(Log::open(&mut other, LogSettings { directory: [8; 16], ..settings() }).unwrap());
    disk.put(FIRST, other.content(FIRST).unwrap());
    assert!(matches!(refusal(&mut disk), LogError::ForeignFile { .. }));
}

#[test]
fn files_of_a_newer_program_are_refused_as_such() {
    let mut disk = written(3);
    let mut content = disk.content(FIRST).unwrap().to_vec();
    content[8] = 2;
    let checksum = xxh3_64(&content[..80]).to_le_bytes();
    content[80..88].copy_from_slice(&checksum);
    disk.put(FIRST, &content);
    assert!(matches!(refusal(&mut disk), LogError::NewerFormat { found: 2, newest: 1, .. }));

    let mut disk = written(3);
    disk.put("identity", b"ostler directory 2\nwhatever\n");
    assert!(matches!(refusal(&mut disk), LogError::NewerFormat { found: 2, newest: 1, .. }));

    let mut disk = written(3);
    publish(&mut disk, 2).unwrap();
    let mut content = disk.content("snapshot.0000000000000002").unwrap().to_vec();
    content[8] = 2;
    let checksum = xxh3_64(&content[..24]).to_le_bytes();
    content[24..32].copy_from_slice(&checksum);
    disk.put("snapshot.0000000000000002", &content);
    assert!(matches!(refusal(&mut disk), LogError::NewerFormat { found: 2, newest: 1, .. }));
}

#[test]
fn a_damaged_snapshot_gives_way_to_an_older_one_if_the_log_reaches_back() {
    let mut disk = written(60);
    publish(&mut disk, 30).unwrap();
    publish(&mut disk, 50).unwrap();
    disk.flip("snapshot.0000000000000032", 70, 3);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.snapshot, Some(Zxid(30)));
    assert_eq!(recovered.damaged_snapshots.len(), 1);
    assert_eq!(replayed(&mut log, 30).unwrap(), (31..=60).collect::<Vec<_>>());
    // The damaged one does not count, so there are not two to keep, and nothing may go.
    assert_eq!(log.purge(2).unwrap(), Purged::default());
    assert!(log.purge(1).unwrap().segments > 0);
    drop(log);
    disk.flip("snapshot.000000000000001e", 70, 3);
    assert!(matches!(refusal(&mut disk), LogError::Gap { after: Zxid::ZERO, .. }));
}

#[test]
fn purge_keeps_the_snapshots_asked_for_and_the_log_after_the_oldest() {
    let mut disk = written(60);
    [10, 20, 30, 40].into_iter().for_each(|zxid| publish(&mut disk, zxid).unwrap());
    let (mut log, _) = open(&mut disk).unwrap();
    assert_eq!(log.purge(5).unwrap(), Purged::default());
    let purged = log.purge(2).unwrap();
    assert_eq!(purged.snapshots, 2);
    assert!(purged.segments > 0);
    assert_eq!(snapshot::list(log.disk()).unwrap(), [Zxid(40), Zxid(30)]);
    assert_eq!(replayed(&mut log, 30).unwrap(), (31..=60).collect::<Vec<_>>());
    drop(log);
    disk.lose("snapshot.0000000000000028");
    assert_eq!(open(&mut disk).unwrap().1.snapshot, Some(Zxid(30)));
}

#[test]
fn a_snapshot_is_whole_or_absent() {
    let mut disk = written(9);
    let mut writer = Writer::create(&mut disk, Zxid(9)).unwrap();
    writer.chunk(b"one").unwrap();
    drop(writer);
    assert_eq!(snapshot::list(&mut disk).unwrap(), []);
    assert!(disk.content("snapshot.0000000000000009.tmp").is_some());
    drop(open(&mut disk).unwrap());
    assert!(disk.content("snapshot.0000000000000009.tmp").is_none());
    publish(&mut disk, 9).unwrap();
    disk.power_cut();
    let mut reader = Reader::open(&mut disk, Zxid(9)).unwrap();
    assert_eq!(reader.chunk().unwrap(), Some(payload(9)));
    assert_eq!(reader.chunk().unwrap(), Some(9_u64.to_le_bytes().to_vec()));
    assert_eq!(reader.chunk().unwrap(), None);
    assert_eq!(reader.chunk().unwrap(), None);
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_snapshot_shows() {
    let mut disk = MemDisk::new(1);
    publish(&mut disk, 3).unwrap();
    let name = "snapshot.0000000000000003";
    let content = disk.content(name).unwrap().to_vec();
    for offset in 0..content.len() {
        let mut damaged = disk.clone();
        damaged.flip(name, offset, offset as u8);
        assert!(snapshot::verify(&mut damaged, Zxid(3)).is_err(), "bit at {offset}");
        damaged.put(name, &content[..offset]);
        assert!(snapshot::verify(&mut damaged, Zxid(3)).is_err(), "cut at {offset}");
    }
    disk.put(name, &[&content[..], b"x"].concat());
    assert!(snapshot::verify(&mut disk, Zxid(3)).is_err());
}

#[test]
fn a_full_disk_during_a_snapshot_harms_nothing_else() {
    let mut disk = written(9);
    let used: u64 = disk.list().unwrap().iter().map(|name| disk.length(name).unwrap()).sum();
    disk.limit(used + 100);
    let mut writer = Writer::create(&mut disk, Zxid(8)).unwrap();
    assert_eq!(writer.chunk(&[1; 500]).unwrap_err().exit_code(), 73);
    writer.abandon().unwrap();
    assert_eq!(open(&mut disk).unwrap().1.last_zxid, Zxid(9));
}

#[test]
fn after_a_rebase_the_log_continues_a_received_snapshot() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    log.rebase(Zxid(1000)).unwrap();
    publish(log.disk(), 1000).unwrap();
    write(&mut log, 1001..=1003);
    drop(log);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!((recovered.last_zxid, recovered.snapshot), (Zxid(1003), Some(Zxid(1000))));
    assert_eq!(replayed(&mut log, 1000).unwrap(), [1001, 1002, 1003]);
    let gap = LogError::Gap { after: Zxid(9), oldest: Zxid(1000) };
    assert_eq!(replayed(&mut log, 9), Err(gap));
    assert!(matches!(log.rebase(Zxid(7)), Err(LogError::OutOfOrder { .. })));
}

#[test]
fn an_interrupted_first_start_is_taken_up_again() {
    for calls in 0..12 {
        let mut disk = MemDisk::new(u64::from(calls));
        disk.fail_after(calls, None, Fault::Broken);
        let failed = open(&mut disk).is_err();
        disk.heal();
        disk.power_cut();
        let (mut log, recovered) = open(&mut disk).unwrap();
        assert_eq!(recovered, Recovered::default(), "{calls}: {failed}");
        write(&mut log, 1..=2);
    }
}

#[test]
fn garbage_in_place_of_a_file_is_an_error_and_no_panic() {
    let whole = written(12);
    let mut state = 7_u64;
    for round in 0..300_usize {
        let mut disk = whole.clone();
        let mut garbage = Vec::new();
        for _ in 0..round * 3 {
            state = xxh3_64(&state.to_le_bytes());
            garbage.extend_from_slice(&state.to_le_bytes());
        }
        let names = [FIRST, "identity", "log.ffffffffffffffff"];
        disk.put(names[round % 3], &garbage);
        refusal(&mut disk);
    }
}

/// What must be there after any accident.
#[derive(Default)]
struct Model {
    /// Acknowledged: every one must be there.
    synced: u64,
    /// Appended: none beyond may be there.
    appended: u64,
    snapshots: Vec<u64>,
}

struct Run {
    disk: MemDisk,
    model: Model,
    random: u64,
    restarts: u32,
    cuts: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let random = xxh3_64(&seed.to_le_bytes());
        let disk = MemDisk::new(seed);
        Self { disk, model: Model::default(), random, restarts: 0, cuts: 0 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = xxh3_64(&self.random.to_le_bytes());
        self.random % bound
    }

    /// One life of a server: start, work until something fails or it is killed, then perhaps a
    /// power cut.
    fn life(&mut self) {
        let doomed = self.below(3) != 0;
        if doomed {
            let verbs = [None, Some("sync"), Some("write"), Some("write")];
            let verb = verbs[self.below(4) as usize];
            let fault = [Fault::Broken, Fault::NoSpace][self.below(2) as usize];
            let calls = self.below(12) as u32;
            self.disk.fail_after(calls, verb, fault);
        }
        let mut disk = self.disk.clone();
        let ended = self.work(&mut disk);
        assert!(doomed || ended.is_ok(), "{ended:?}");
        disk.heal();
        if self.below(3) != 0 {
            disk.power_cut();
        }
        self.disk = disk;
    }

    fn work(&mut self, disk: &mut MemDisk) -> Result<(), LogError> {
        let (mut log, recovered) = open(disk)?;
        self.check(&mut log, &recovered)?;
        for _ in 0..self.below(30) {
            self.act(&mut log)?;
        }
        Ok(())
    }

    fn act(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        match self.below(12) {
            0..=5 => {
                append(log, self.model.appended + 1)?;
                self.model.appended += 1;
            }
            6..=8 => {
                log.sync()?;
                self.model.synced = self.model.appended;
            }
            9 => log.mark_flushed()?,
            10 => {
                log.roll()?;
                self.model.synced = self.model.appended;
            }
            _ if self.model.synced > 0 => {
                let zxid = self.model.synced;
                publish(log.disk(), zxid)?;
                self.model.snapshots.push(zxid);
                log.purge(2)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn check(
        &mut self,
        log: &mut Log<&mut MemDisk>,
        recovered: &Recovered,
    ) -> Result<(), LogError> {
        self.restarts += 1;
        self.cuts += u32::from(recovered.tail_cut.is_some());
        let last = recovered.last_zxid.0;
        assert!(last >= self.model.synced, "lost: {last} < {}", self.model.synced);
        assert!(last <= self.model.appended, "invented: {last} > {}", self.model.appended);
        assert!(recovered.damaged_snapshots.is_empty());
        let from = recovered.snapshot.unwrap_or_default().0;
        assert!(from >= self.model.snapshots.last().copied().unwrap_or_default());
        assert_eq!(replayed(log, from)?, (from + 1..=last).collect::<Vec<_>>());
        self.model.synced = last;
        self.model.appended = last;
        // Whatever was reported is durable, and a second look finds the same with nothing to cut.
        let mut again = (**log.disk()).clone();
        again.heal();
        again.power_cut();
        let (_, second) = open(&mut again)?;
        assert_eq!(second, Recovered { tail_cut: None, ..recovered.clone() });
        Ok(())
    }
}

#[test]
fn nothing_synced_is_lost_and_nothing_torn_is_recovered_on_a_crumbling_disk() {
    let (mut restarts, mut cuts) = (0, 0);
    for seed in 0..3000 {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..6).for_each(|_| run.life());
            (run.restarts, run.cuts)
        });
        let (these, torn) = outcome.unwrap_or_else(|_| panic!("seed {seed:#x}"));
        restarts += these;
        cuts += torn;
    }
    assert!(restarts > 9000 && cuts > 300, "{restarts} restarts, {cuts} torn tails");
}
