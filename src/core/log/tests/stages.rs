//! Stages: a leader's history beside the live one, adopted by one record or not at all.

use super::*;

fn stage<D: Disk>(log: &mut Log<D>, zxids: RangeInclusive<u64>) {
    for zxid in zxids {
        log.stage(entry(zxid, &payload(zxid))).unwrap();
    }
}

fn receive<D: Disk>(disk: D, zxid: u64) {
    let mut writer = Writer::receive(disk, Zxid(zxid)).unwrap();
    writer.chunk(&payload(zxid)).unwrap();
    writer.publish().unwrap();
}

/// The zxids found after a restart, with a power cut before it.
fn after_power_cut(mut disk: MemDisk) -> (Vec<u64>, Recovered) {
    disk.power_cut();
    let (mut log, recovered) = open(&mut disk).unwrap();
    let from = recovered.snapshot.unwrap_or_default().0;
    (replayed(&mut log, from).unwrap(), recovered)
}

#[test]
fn a_committed_stage_takes_the_place_of_what_follows_its_base() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    log.accept(reign(1, 2)).unwrap();
    log.begin_stage(Zxid(6), false).unwrap();
    stage(&mut log, 101..=103);
    assert_eq!(log.last_zxid(), Zxid(9));
    log.commit_stage(reign(1, 2)).unwrap();
    assert_eq!(log.last_zxid(), Zxid(103));
    write(&mut log, 104..=105);
    let expected = [1, 2, 3, 4, 5, 6, 101, 102, 103, 104, 105];
    assert_eq!(replayed(&mut log, 0).unwrap(), expected);
    drop(log);
    let (found, recovered) = after_power_cut(disk);
    assert_eq!((found, recovered.current), (expected.to_vec(), reign(1, 2)));
    assert_eq!(recovered.last_zxid, Zxid(105));
}

#[test]
fn a_stage_without_its_commit_leaves_the_old_history_whole() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    log.accept(reign(1, 2)).unwrap();
    log.begin_stage(Zxid(6), false).unwrap();
    stage(&mut log, 101..=130);
    log.sync().unwrap();
    drop(log);
    disk.power_cut();
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!((recovered.last_zxid, recovered.current), (Zxid(9), Reign::default()));
    // It is dead for good: nothing that comes later adopts it.
    log.commit_stage(reign(1, 2)).unwrap();
    write(&mut log, 10..=11);
    assert_eq!(replayed(&mut log, 0).unwrap(), (1..=11).collect::<Vec<_>>());
    log.roll().unwrap();
    drop(log);
    assert_eq!(after_power_cut(disk).0, (1..=11).collect::<Vec<_>>());
}

/// Whatever blocks of the write that holds the commit reach the medium.
#[test]
fn just_before_the_sync_of_its_commit_a_stage_is_adopted_whole_or_not_at_all() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..1000 {
        let mut disk = MemDisk::new(seed);
        let (mut log, _) = open(&mut disk).unwrap();
        write(&mut log, 1..=4);
        log.begin_stage(Zxid(2), false).unwrap();
        stage(&mut log, 50..=53);
        log.commit_stage(reign(1, 2)).unwrap();
        let (name, position) = (log.tail.name.clone(), log.tail.position);
        let bytes = log.buffer.clone();
        log.disk().write_at(&name, position, &bytes).unwrap();
        drop(log);
        disk.power_cut();
        let (mut log, recovered) = open(&mut disk).unwrap();
        let found = replayed(&mut log, 0).unwrap();
        if recovered.current == reign(1, 2) {
            assert_eq!(found, [1, 2, 50, 51, 52, 53]);
            new += 1;
        } else {
            assert_eq!(found, [1, 2, 3, 4]);
            old += 1;
        }
    }
    assert!(old > 100 && new > 10, "{old} old, {new} new");
}

#[test]
fn a_truncation_is_a_stage_without_entries() {
    let mut disk = written(30);
    let (mut log, _) = open(&mut disk).unwrap();
    log.begin_stage(Zxid(11), false).unwrap();
    log.commit_stage(reign(2, 3)).unwrap();
    log.sync().unwrap();
    assert_eq!(replayed(&mut log, 0).unwrap(), (1..=11).collect::<Vec<_>>());
    // The same zxids again, written by another leader.
    write(&mut log, 12..=40);
    drop(log);
    let (found, recovered) = after_power_cut(disk);
    assert_eq!((found, recovered.last_zxid), ((1..=40).collect::<Vec<_>>(), Zxid(40)));
}

#[test]
fn a_second_stage_voids_the_first_even_if_that_was_ahead() {
    let mut disk = written(5);
    let (mut log, _) = open(&mut disk).unwrap();
    log.begin_stage(Zxid(5), false).unwrap();
    stage(&mut log, 200..=230);
    log.begin_stage(Zxid(4), false).unwrap();
    stage(&mut log, 100..=101);
    log.commit_stage(reign(1, 2)).unwrap();
    log.sync().unwrap();
    assert_eq!(replayed(&mut log, 0).unwrap(), [1, 2, 3, 4, 100, 101]);
    drop(log);
    assert_eq!(after_power_cut(disk).0, [1, 2, 3, 4, 100, 101]);
}

#[test]
fn a_promise_to_another_leader_or_to_oneself_voids_the_stage() {
    for (promised, kept) in [(reign(2, 2), true), (reign(2, 3), false), (reign(2, 1), false)] {
        let mut disk = written(3);
        let (mut log, _) = open(&mut disk).unwrap();
        log.accept(reign(1, 2)).unwrap();
        log.begin_stage(Zxid(3), false).unwrap();
        stage(&mut log, 10..=10);
        log.accept(promised).unwrap();
        log.commit_stage(promised).unwrap();
        log.sync().unwrap();
        drop(log);
        let expected: &[u64] = if kept { &[1, 2, 3, 10] } else { &[1, 2, 3] };
        assert_eq!(after_power_cut(disk).0, expected);
    }
}

#[test]
fn a_stage_longer_than_segments_is_adopted_from_all_of_them() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    let before = log.segments.len();
    log.begin_stage(Zxid(8), false).unwrap();
    for first in (100..160).step_by(4) {
        stage(&mut log, first..=first + 3);
        log.sync().unwrap();
    }
    assert!(log.segments.len() > before + 3);
    log.commit_stage(reign(1, 2)).unwrap();
    log.sync().unwrap();
    let expected: Vec<_> = (1..=8).chain(100..160).collect();
    for after in [0, 5, 7, 8, 50, 120, 159, 160] {
        let rest: Vec<_> = expected.iter().copied().filter(|&zxid| zxid > after).collect();
        assert_eq!(replayed(&mut log, after).unwrap(), rest);
    }
    drop(log);
    assert_eq!(after_power_cut(disk).0, expected);
}

#[test]
fn history_is_built_only_on_what_is_there() {
    let mut disk = MemDisk::new(1);
    let (mut log, _) = open(&mut disk).unwrap();
    for zxid in [2, 4, 6, 8] {
        append(&mut log, zxid).unwrap();
    }
    log.sync().unwrap();
    for base in [1, 3, 5, 9, 1000] {
        let refused = Err(LogError::UnknownBase { base: Zxid(base), last: Zxid(8) });
        assert_eq!(log.begin_stage(Zxid(base), false), refused);
    }
    for base in [0, 2, 4, 6, 8] {
        log.begin_stage(Zxid(base), false).unwrap();
    }
    // Superseded history is none to build on.
    log.begin_stage(Zxid(4), false).unwrap();
    log.commit_stage(reign(1, 2)).unwrap();
    assert!(matches!(log.begin_stage(Zxid(6), false), Err(LogError::UnknownBase { .. })));
    write(&mut log, 9..=9);
    assert_eq!(replayed(&mut log, 0).unwrap(), [2, 4, 9]);
}

#[test]
fn what_is_committed_is_never_superseded() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    log.note_committed(Zxid(5));
    let refused = LogError::Committed { from: Zxid(4), committed: Zxid(5) };
    assert_eq!(log.begin_stage(Zxid(4), false), Err(refused.clone()));
    assert_eq!(refused.exit_code(), 70);
    receive(log.disk(), 3);
    log.begin_stage(Zxid(3), true).unwrap();
    let lost = LogError::Committed { from: Zxid(3), committed: Zxid(5) };
    assert_eq!(log.commit_stage(reign(1, 2)), Err(lost));
    log.begin_stage(Zxid(5), false).unwrap();
    log.commit_stage(reign(1, 2)).unwrap();
    log.sync().unwrap();
    assert_eq!(replayed(&mut log, 0).unwrap(), [1, 2, 3, 4, 5]);
}

#[test]
fn orders_out_of_place_are_refused_without_harm() {
    let mut disk = written(3);
    let (mut log, _) = open(&mut disk).unwrap();
    let proposal = |zxid| entry(zxid, &payload(zxid)).to_proposal();
    let refused = log.order(&LogOrder::Stage(proposal(4))).unwrap_err();
    assert!(refused.to_string().contains("no leader's history"), "{refused}");
    log.order(&LogOrder::BeginStage { base: Zxid(3), snapshot: false }).unwrap();
    assert!(matches!(append(&mut log, 4), Err(LogError::Unexpected { .. })));
    log.order(&LogOrder::Stage(proposal(7))).unwrap();
    let refused = log.order(&LogOrder::Stage(proposal(7)));
    assert_eq!(refused, Err(LogError::OutOfOrder { found: Zxid(7), last: Zxid(7) }));
    log.order(&LogOrder::CommitStage { reign: reign(1, 1) }).unwrap();
    log.order(&LogOrder::Append(proposal(8))).unwrap();
    log.order(&LogOrder::Accept(reign(2, 1))).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(after_power_cut(disk).0, [1, 2, 3, 7, 8]);
}

#[test]
fn an_adopted_snapshot_is_where_the_log_begins() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    receive(log.disk(), 1000);
    assert_eq!(snapshot::list(log.disk()).unwrap(), []);
    log.begin_stage(Zxid(1000), true).unwrap();
    stage(&mut log, 1001..=1003);
    log.commit_stage(reign(5, 2)).unwrap();
    log.sync().unwrap();
    assert_eq!(snapshot::list(log.disk()).unwrap(), [Zxid(1000)]);
    write(&mut log, 1004..=1004);
    let gap = replayed(&mut log, 9).unwrap_err();
    assert!(matches!(gap, LogError::Gap { after: Zxid(9), oldest: Zxid(1000), .. }), "{gap}");
    drop(log);
    let (found, recovered) = after_power_cut(disk.clone());
    assert_eq!((found, recovered.snapshot), (vec![1001, 1002, 1003, 1004], Some(Zxid(1000))));
    assert_eq!(recovered.committed, Zxid(1000));
    // Without it there is nothing to start from.
    disk.lose("snapshot.00000000000003e8");
    assert!(matches!(refusal(&mut disk), LogError::Gap { .. }));
}

#[test]
fn a_snapshot_must_be_there_and_whole_before_history_is_built_on_it() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    assert!(matches!(log.begin_stage(Zxid(50), true), Err(LogError::Disk(_))));
    receive(log.disk(), 50);
    log.disk().flip("received.0000000000000032", 70, 1);
    assert!(matches!(log.begin_stage(Zxid(50), true), Err(LogError::Corrupt { .. })));
    receive(log.disk(), 50);
    log.begin_stage(Zxid(50), true).unwrap();
}

#[test]
fn a_received_snapshot_that_was_never_adopted_is_no_sign_of_missing_log() {
    let mut disk = written(9);
    receive(&mut disk, 1000);
    let (mut log, recovered) = open(&mut disk).unwrap();
    assert_eq!((recovered.last_zxid, recovered.snapshot), (Zxid(9), None));
    assert_eq!(replayed(&mut log, 0).unwrap(), (1..=9).collect::<Vec<_>>());
    drop(log);
    assert!(disk.content("received.00000000000003e8").is_none());
    // One of the server's own still is.
    publish(&mut disk, 1000).unwrap();
    assert!(matches!(refusal(&mut disk), LogError::Behind { .. }));
}

/// Every call of the disk fails once while a snapshot is adopted, with a power cut after it.
#[test]
fn a_crash_while_a_snapshot_is_adopted_leaves_the_old_state_or_the_new_one() {
    let (mut old, mut new) = (0, 0);
    for calls in 0..12 {
        for seed in 0..20 {
            let mut disk = MemDisk::new(seed);
            let (mut log, _) = open(&mut disk).unwrap();
            write(&mut log, 1..=4);
            receive(log.disk(), 100);
            log.disk().fail_after(calls, None, Fault::Broken);
            let mut adopt = || {
                log.begin_stage(Zxid(100), true)?;
                log.stage(entry(101, &payload(101)))?;
                log.commit_stage(reign(1, 2))?;
                log.sync()
            };
            let done = adopt().is_ok();
            log.disk().heal();
            drop(log);
            let (found, recovered) = after_power_cut(disk);
            if recovered.snapshot.is_some() {
                assert_eq!((found, recovered.last_zxid), (vec![101], Zxid(101)));
                new += 1;
            } else {
                assert!(!done);
                assert_eq!(found, [1, 2, 3, 4]);
                old += 1;
            }
        }
    }
    assert!(old > 5 && new > 50, "{old} old, {new} new");
}

#[test]
fn purge_removes_dead_records_but_not_an_open_stage() {
    let mut disk = written(30);
    let (mut log, _) = open(&mut disk).unwrap();
    log.begin_stage(Zxid(20), false).unwrap();
    for first in (100..140).step_by(4) {
        stage(&mut log, first..=first + 3);
        log.sync().unwrap();
    }
    publish(log.disk(), 20).unwrap();
    log.note_snapshot(Zxid(20)).unwrap();
    log.purge(1).unwrap();
    let open_at = log.timeline.facts.stage.unwrap().first_seq;
    assert!(log.segments[0].first_seq <= open_at);
    log.commit_stage(reign(1, 2)).unwrap();
    log.sync().unwrap();
    assert_eq!(replayed(&mut log, 20).unwrap(), (100..140).collect::<Vec<_>>());
    write(&mut log, 140..=150);
    // In the middle of the stage: its beginning goes.
    publish(log.disk(), 120).unwrap();
    log.note_snapshot(Zxid(120)).unwrap();
    assert!(log.purge(1).unwrap().segments > 0);
    assert!(log.segments[0].first_seq > open_at);
    let rest: Vec<_> = (121..=150).collect();
    assert_eq!(replayed(&mut log, 120).unwrap(), rest);
    let base = log.timeline.base;
    assert!(base > Zxid(20) && base <= Zxid(120));
    drop(log);
    let (found, recovered) = after_power_cut(disk.clone());
    assert_eq!((found, recovered.snapshot), (rest, Some(Zxid(120))));
    let (log, _) = open(&mut disk).unwrap();
    assert_eq!(log.timeline.base, base);
}

#[test]
fn after_a_snapshot_was_adopted_purge_removes_everything_before_it() {
    let mut disk = written(60);
    publish(&mut disk, 40).unwrap();
    let (mut log, _) = open(&mut disk).unwrap();
    receive(log.disk(), 500);
    log.begin_stage(Zxid(500), true).unwrap();
    log.commit_stage(reign(1, 2)).unwrap();
    write(&mut log, 501..=530);
    let purged = log.purge(1).unwrap();
    assert!(purged.snapshots == 1 && purged.segments > 2, "{purged:?}");
    assert_eq!(replayed(&mut log, 500).unwrap(), (501..=530).collect::<Vec<_>>());
    drop(log);
    assert_eq!(after_power_cut(disk).0, (501..=530).collect::<Vec<_>>());
}
