//! The end of the log: what a crash tore is cut, what had been durable and is damaged is refused.

use super::*;

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

/// A log whose last batch is transaction 2, and where that begins.
fn two_batches(disk: &mut MemDisk) -> (Log<&mut MemDisk>, usize) {
    let (mut log, _) = open(disk).unwrap();
    write(&mut log, 1..=1);
    let position = log.tail.position as usize;
    write(&mut log, 2..=2);
    (log, position)
}

#[test]
fn after_an_orderly_end_even_a_power_cut_leaves_damage_told_from_a_torn_write() {
    let mut whole = MemDisk::new(1);
    let (mut log, position) = two_batches(&mut whole);
    log.close().unwrap();
    let end = log.tail.position as usize;
    drop(log);
    whole.power_cut();
    assert_eq!(open(&mut whole.clone()).unwrap().1.last_zxid, Zxid(2));
    let padding = |offset: usize| offset >= position + 64 + 24 + payload(2).len();
    for offset in position..end {
        let mut disk = whole.clone();
        disk.flip(FIRST, offset, offset as u8);
        match open(&mut disk) {
            Err(error) => assert_eq!(error.exit_code(), 65, "{offset}: {error}"),
            // Behind the batch there is nothing to lose: zeros up to the mark, and the mark.
            Ok((_, recovered)) => {
                assert!(padding(offset), "{offset}");
                assert_eq!(recovered.last_zxid, Zxid(2), "{offset}");
            }
        }
    }
}

#[test]
fn a_torn_batch_is_cut_though_the_one_before_it_was_marked() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = two_batches(&mut disk);
    log.mark_flushed().unwrap();
    let position = log.tail.position as usize;
    write(&mut log, 3..=3);
    drop(log);
    disk.flip(FIRST, position + 60, 1);
    let (_, recovered) = open(&mut disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(2));
    assert_eq!(recovered.tail_cut.unwrap().offset, position as u64);
}

#[test]
fn a_torn_mark_costs_nothing() {
    let mut whole = MemDisk::new(1);
    let (mut log, _) = two_batches(&mut whole);
    let begin = log.tail.position as usize;
    log.mark_flushed().unwrap();
    let end = log.tail.position as usize;
    drop(log);
    for kept in begin..end {
        let mut disk = whole.clone();
        let mut content = disk.content(FIRST).unwrap().to_vec();
        content[kept..end].fill(0);
        disk.put(FIRST, &content);
        let (mut log, recovered) = open(&mut disk).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(2), "{kept}");
        write(&mut log, 3..=3);
        assert_eq!(replayed(&mut log, 0).unwrap(), [1, 2, 3]);
    }
}

/// A mark is written when nothing else is: it must not be what finds the disk full, and it must
/// not make the disk wait.
#[test]
fn a_mark_takes_no_space_and_no_sync() {
    for last in 1..40 {
        let mut disk = MemDisk::new(1);
        let (mut log, _) = open(&mut disk).unwrap();
        write(&mut log, 1..=last);
        let used: u64 = {
            let names = log.disk().list().unwrap();
            names.iter().map(|name| log.disk().length(name).unwrap()).sum()
        };
        log.disk().limit(used);
        log.disk().fail_after(0, Some("sync"), Fault::Broken);
        log.mark_flushed().unwrap();
        assert!(log.disk().heal(), "a mark was synced");
    }
}

#[test]
fn a_log_that_could_not_be_marked_takes_nothing_more() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = two_batches(&mut disk);
    log.disk().fail_after(0, Some("write"), Fault::Broken);
    assert_eq!(log.mark_flushed().unwrap_err().exit_code(), 74);
    assert!(matches!(append(&mut log, 3), Err(LogError::Refused { .. })));
    drop(log);
    assert_eq!(open(&mut disk).unwrap().1.last_zxid, Zxid(2));
}

#[test]
fn an_idle_log_makes_room_and_the_batches_that_follow_ask_for_none() {
    let settings = LogSettings { segment_bytes: 8 << 20, ..settings() };
    let mut disk = MemDisk::new(1);
    let (mut log, _) = Log::open(&mut disk, settings).unwrap();
    // Until less than half of what is kept ready is left.
    let mut zxid = 0;
    while log.tail.position < 700 << 10 {
        zxid += 1;
        write(&mut log, zxid..=zxid);
    }
    log.prepare().unwrap();
    let ready = log.tail.allocated;
    assert!(ready >= log.tail.position + (1 << 20) && log.tail.position < ready);
    assert_eq!(log.disk().length(FIRST).unwrap(), ready);
    log.prepare().unwrap();
    assert_eq!(log.tail.allocated, ready, "there was enough");
    // A batch in that room is one write and one sync, and survives a power cut.
    log.disk().limit(ready + 4096);
    write(&mut log, zxid + 1..=zxid + 100);
    assert_eq!(log.tail.allocated, ready);
    drop(log);
    disk.power_cut();
    let (_, recovered) = Log::open(&mut disk, settings).unwrap();
    assert_eq!((recovered.last_zxid, recovered.tail_cut), (Zxid(zxid + 100), None));
}

#[test]
fn a_full_disk_is_found_out_by_a_batch_and_not_by_making_room() {
    let settings = LogSettings { segment_bytes: 8 << 20, ..settings() };
    for (verb, fault) in
        [("write", Fault::NoSpace), ("write", Fault::Broken), ("sync", Fault::NoSpace)]
    {
        let mut disk = MemDisk::new(1);
        let (mut log, _) = Log::open(&mut disk, settings).unwrap();
        let mut zxid = 0;
        while log.tail.position < 700 << 10 {
            zxid += 1;
            write(&mut log, zxid..=zxid);
        }
        log.disk().fail_after(3, Some(verb), fault);
        if verb == "sync" {
            log.disk().fail_after(0, Some(verb), fault);
        }
        // What a failed sync left on the medium is unknown, whatever it was for.
        let survives = verb == "write" && fault == Fault::NoSpace;
        assert_eq!(log.prepare().is_ok(), survives, "{verb} {fault:?}");
        assert_eq!(append(&mut log, zxid + 1).is_ok(), survives, "{verb} {fault:?}");
        if survives {
            log.sync().unwrap();
            zxid += 1;
        }
        drop(log);
        disk.power_cut();
        assert_eq!(Log::open(&mut disk, settings).unwrap().1.last_zxid, Zxid(zxid));
    }
}

/// The cost of a sync grows with the pages that large writes make.
#[test]
fn segments_are_filled_piece_by_piece_and_by_more_for_larger_batches() {
    let settings = LogSettings { segment_bytes: 8 << 20, ..settings() };
    let mut disk = MemDisk::new(1);
    let (mut log, _) = Log::open(&mut disk, settings).unwrap();
    let grown = |log: &mut Log<&mut MemDisk>, bytes: usize| {
        let before = log.tail.allocated;
        let filler = vec![1; bytes];
        while log.tail.allocated == before {
            let zxid = log.last_zxid().0 + 1;
            log.append(entry(zxid, &filler)).unwrap();
            log.sync().unwrap();
        }
        log.tail.allocated - before
    };
    assert_eq!(grown(&mut log, 100), 64 << 10);
    assert_eq!(grown(&mut log, 30 << 10), (16 * ((30 << 10) + 88u64)).next_multiple_of(512));
}

/// The bytes of a large batch are written once: not as zeros before.
#[test]
fn a_large_batch_lengthens_its_segment_itself_and_leaves_room_for_a_mark() {
    let settings = LogSettings { segment_bytes: 8 << 20, ..settings() };
    let filler = vec![1; 40 << 10];
    let mut disk = MemDisk::new(1);
    let (mut log, _) = Log::open(&mut disk, settings).unwrap();
    let mut last = 0;
    while log.tail.position < 2 << 20 {
        let full = log.tail.allocated;
        last += 1;
        log.append(entry(last, &filler)).unwrap();
        // There is no other sync than the batch's own.
        log.disk().fail_after(1, Some("sync"), Fault::Broken);
        log.sync().unwrap();
        assert!(log.disk().heal(), "more than one sync");
        let end = log.tail.position;
        let room = (end + record::HEADER_BYTES as u64).next_multiple_of(512);
        assert_eq!(log.tail.allocated, room.max(full));
        assert_eq!(log.disk().length(FIRST).unwrap(), log.tail.allocated);
    }
}

#[test]
fn a_large_batch_that_was_torn_while_it_lengthened_its_segment_is_cut() {
    let settings = LogSettings { segment_bytes: 8 << 20, ..settings() };
    let filler = vec![1; 40 << 10];
    for (seed, calls) in (0..40).flat_map(|seed| [(seed, 0), (seed, 1)]) {
        let mut disk = MemDisk::new(seed);
        let (mut log, _) = Log::open(&mut disk, settings).unwrap();
        let mut last = 0;
        while log.tail.position < 2 << 20 {
            last += 1;
            log.append(entry(last, &filler)).unwrap();
            log.sync().unwrap();
        }
        log.append(entry(last + 1, &filler)).unwrap();
        log.disk().fail_after(calls, Some("write"), Fault::Broken);
        assert_eq!(log.sync().unwrap_err().exit_code(), 74);
        drop(log);
        disk.power_cut();
        let (mut log, recovered) = Log::open(&mut disk, settings).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(last), "{seed}");
        log.append(entry(last + 1, &filler)).unwrap();
        log.sync().unwrap();
        drop(log);
        disk.power_cut();
        let (_, recovered) = Log::open(&mut disk, settings).unwrap();
        assert_eq!((recovered.last_zxid, recovered.tail_cut), (Zxid(last + 1), None), "{seed}");
    }
}
