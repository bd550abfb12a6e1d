//! Segments in files that were segments before: what lies behind their records never counts.

use super::*;

/// A log that has purged, and has just begun a segment in the purged file, which is full of old
/// records. The last zxid.
fn reusing(disk: &mut MemDisk) -> (Log<&mut MemDisk>, u64) {
    let (mut log, _) = open(disk).unwrap();
    let mut zxid = 0;
    for _ in 0..2 {
        for _ in 0..5 {
            write(&mut log, zxid + 1..=zxid + 3);
            zxid += 3;
        }
        publish(log.disk(), zxid).unwrap();
        log.note_snapshot(Zxid(zxid)).unwrap();
        log.roll().unwrap();
        log.purge(1).unwrap();
    }
    assert!(log.spare.is_some());
    write(&mut log, zxid + 1..=zxid + 1);
    log.roll().unwrap();
    assert!(log.spare.is_none(), "a spare is taken before a new file is made");
    (log, zxid + 1)
}

fn old_records(log: &mut Log<&mut MemDisk>) -> usize {
    let (name, position) = (log.tail.name.clone(), log.tail.position as usize);
    let content = log.disk().content(&name).unwrap();
    content[position..].windows(4).filter(|bytes| bytes == b"OREC").count()
}

#[test]
fn a_purged_segment_becomes_the_next_and_none_of_its_old_records_comes_back() {
    let mut disk = MemDisk::new(1);
    let (mut log, last) = reusing(&mut disk);
    assert!(old_records(&mut log) > 3, "there is something to be mistaken for records");
    write(&mut log, last + 1..=last + 1);
    assert!(old_records(&mut log) > 3);
    drop(log);
    for is_cut in [false, true] {
        let mut disk = disk.clone();
        if is_cut {
            disk.power_cut();
        }
        let (mut log, recovered) = open(&mut disk).unwrap();
        assert_eq!((recovered.last_zxid, recovered.tail_cut), (Zxid(last + 1), None));
        assert_eq!(old_records(&mut log), 0, "a start leaves nothing behind the last record");
        assert!(segments(&mut disk).iter().all(|name| !name.ends_with(".tmp")));
    }
}

#[test]
fn wherever_a_segment_is_reused_up_to_the_log_is_whole() {
    for calls in 0..40 {
        for verb in ["write", "sync", "rename", "sync directory", "remove"] {
            for seed in 1..4 {
                let mut disk = MemDisk::new(seed);
                let (mut log, last) = reusing(&mut disk);
                write(&mut log, last + 1..=last + 2);
                log.disk().fail_after(calls, Some(verb), Fault::Broken);
                publish(log.disk(), last + 2).ok();
                let goes_on = log.note_snapshot(Zxid(last + 2)).is_ok()
                    && log.roll().is_ok()
                    && log.purge(1).is_ok()
                    && append(&mut log, last + 3).is_ok()
                    && log.roll().is_ok();
                drop(log);
                disk.heal();
                disk.power_cut();
                let (_, recovered) = open(&mut disk).unwrap();
                let found = recovered.last_zxid.0;
                assert!(found == last + 3 || (!goes_on && found == last + 2), "{verb} {calls}");
            }
        }
    }
}

#[test]
fn in_a_reused_file_too_a_torn_batch_is_cut_and_damage_is_refused() {
    let mut disk = MemDisk::new(1);
    let (mut log, last) = reusing(&mut disk);
    write(&mut log, last + 1..=last + 1);
    let position = log.tail.position as usize;
    write(&mut log, last + 2..=last + 4);
    let (name, end) = (log.tail.name.clone(), log.tail.position as usize);
    drop(log);
    // The first record of the last batch is torn, the others are whole.
    let mut torn = disk.clone();
    torn.flip(&name, position + 60, 1);
    let (mut log, recovered) = open(&mut torn).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(last + 1));
    let cut = recovered.tail_cut.unwrap();
    assert_eq!((cut.offset, cut.bytes), (position as u64, (end - position) as u64));
    write(&mut log, last + 2..=last + 2);
    drop(log);
    let (_, recovered) = open(&mut torn).unwrap();
    assert_eq!((recovered.last_zxid, recovered.tail_cut), (Zxid(last + 2), None));
    // A batch that was marked is not a torn one.
    let identity = disk.content("identity").unwrap().to_vec();
    let (mut log, _) = open(&mut disk).unwrap();
    log.mark_flushed().unwrap();
    drop(log);
    disk.flip(&name, position + 60, 1);
    assert_eq!(refusal(&mut disk).exit_code(), 65);
    assert_eq!(disk.content("identity").unwrap(), identity);
}

#[test]
fn one_file_is_kept_and_no_restart_keeps_it() {
    let mut disk = MemDisk::new(1);
    let (mut log, last) = reusing(&mut disk);
    for zxid in last + 1..last + 6 {
        write(&mut log, zxid..=zxid);
        log.roll().unwrap();
    }
    publish(log.disk(), last + 5).unwrap();
    log.note_snapshot(Zxid(last + 5)).unwrap();
    assert!(log.purge(1).unwrap().segments > 3);
    let kept = |disk: &mut MemDisk| {
        disk.list().unwrap().into_iter().filter(|name| name.ends_with(".tmp")).count()
    };
    assert_eq!(kept(log.disk()), 1);
    drop(log);
    drop(open(&mut disk).unwrap());
    assert_eq!(kept(&mut disk), 0);
}
