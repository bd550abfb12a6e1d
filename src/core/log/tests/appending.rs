//! What goes in comes out: order, promises, segments, and the failures of a disk that writes.

use super::*;

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
    // Nothing could follow the very last one.
    for zxid in [5, 4, u64::MAX] {
        assert!(matches!(log.append(entry(zxid, b"")), Err(LogError::OutOfOrder { .. })));
    }
    write(&mut log, 6..=6);
    assert_eq!(replayed(&mut log, 0).unwrap(), [5, 6]);
}

#[test]
fn promises_about_epochs_survive_restart_and_purge() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    let (old, new) = (reign(3, 2), reign(4, 3));
    log.accept(old).unwrap();
    log.commit_stage(old).unwrap();
    log.accept(new).unwrap();
    write(&mut log, 1..=40);
    write(&mut log, 41..=42);
    publish(log.disk(), 40).unwrap();
    assert!(log.purge(1).unwrap().segments > 0);
    drop(log);
    let (_, recovered) = open(&mut disk).unwrap();
    assert_eq!((recovered.accepted, recovered.current), (new, old));
}

#[test]
fn a_promise_is_not_taken_back() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    log.accept(reign(4, 2)).unwrap();
    let error = log.accept(reign(3, 2)).unwrap_err();
    assert!(error.to_string().contains("later epoch was promised"), "{error}");
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(&mut disk).unwrap().1.accepted, reign(4, 2));
}

#[test]
fn what_is_committed_is_known_after_a_restart_but_never_beyond_the_history() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    log.note_committed(Zxid(2));
    write(&mut log, 1..=4);
    drop(log);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.committed, Zxid(2));
    log.note_committed(Zxid(9));
    log.accept(reign(1, 1)).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(&mut disk).unwrap().1.committed, Zxid(4));
}

#[test]
fn a_batch_longer_than_a_segment_is_kept_whole() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    let long = vec![3; 50_000];
    log.append(entry(1, &long)).unwrap();
    log.sync().unwrap();
    write(&mut log, 2..=3);
    drop(log);
    disk.power_cut();
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(3));
    let mut lengths = Vec::new();
    log.replay(Zxid::ZERO, &mut |entry| {
        lengths.push(entry.payload.len());
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
