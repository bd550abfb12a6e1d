//! Snapshots as files: whole or absent, damaged ones passed over, old ones purged.

use super::*;
use crate::log::transfer::Source;

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
    // The newest is named, for it takes the least of the log to start from.
    let error = refusal(&mut disk);
    let newest = "snapshot.0000000000000032";
    assert!(matches!(&error, LogError::Corrupt { file, .. } if file == newest), "{error}");
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

/// The disk fails once, at any call, while the newest snapshot is looked for.
#[test]
fn a_disk_that_fails_once_does_not_make_an_older_snapshot_the_newest() {
    let mut disk = written(9);
    publish(&mut disk, 3).unwrap();
    publish(&mut disk, 6).unwrap();
    let mut refused = 0;
    for calls in 0.. {
        disk.fail_after(calls, None, Fault::Broken);
        let found = Source::open(&mut disk).map(|source| source.map(|source| source.zxid()));
        let is_over = disk.heal();
        match found {
            Ok(found) => assert_eq!(found, Some(Zxid(6)), "call {calls}"),
            Err(error) => {
                assert!(matches!(error, LogError::Disk(_)), "{error}");
                refused += 1;
            }
        }
        if is_over {
            break;
        }
    }
    assert!(refused > 2);
    disk.flip("snapshot.0000000000000006", 70, 3);
    let older = Source::open(&mut disk).unwrap().map(|source| source.zxid());
    assert_eq!(older, Some(Zxid(3)));
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
fn a_snapshot_beyond_the_end_of_the_log_shows_that_log_is_missing() {
    let mut disk = written(10);
    publish(&mut disk, 11).unwrap();
    let error = refusal(&mut disk);
    let file = "snapshot.000000000000000b".to_owned();
    assert_eq!(error, LogError::Behind { file, end: Zxid(10), snapshot: Zxid(11) });
}
