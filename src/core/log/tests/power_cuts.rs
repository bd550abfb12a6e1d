//! What was reported is there after a power cut, whatever the disk kept of what was not synced.

use super::*;

const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn everything_synced_from_the_first_start_on_outlives_a_power_cut() {
    // Within the first segment, and over several.
    for (seed, last) in SEEDS.flat_map(|seed| [(seed, 3), (seed, 30)]) {
        let mut disk = MemDisk::new(seed);
        let (mut log, _) = open(&mut disk).unwrap();
        for first in (1..=last).step_by(3) {
            write(&mut log, first..=first + 2);
        }
        assert_eq!(log.segments.len() > 2, last > 3);
        drop(log);
        disk.power_cut();
        let (mut log, recovered) = open(&mut disk).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(last), "{seed}");
        assert_eq!(replayed(&mut log, 0).unwrap(), (1..=last).collect::<Vec<_>>());
    }
}

#[test]
fn what_a_start_reports_outlives_a_power_cut_though_no_sync_had_said_so() {
    for seed in SEEDS {
        let mut disk = MemDisk::new(seed);
        let (mut log, _) = open(&mut disk).unwrap();
        write(&mut log, 1..=2);
        append(&mut log, 3).unwrap();
        log.disk().fail_after(0, Some("sync"), Fault::Broken);
        log.sync().unwrap_err();
        drop(log);
        // The cache shows what the medium never took.
        assert_eq!(open(&mut disk).unwrap().1.last_zxid, Zxid(3));
        disk.power_cut();
        assert_eq!(open(&mut disk).unwrap().1.last_zxid, Zxid(3), "{seed}");
    }
}

#[test]
fn a_published_snapshot_outlives_a_power_cut() {
    for seed in SEEDS {
        let mut disk = MemDisk::new(seed);
        let (mut log, _) = open(&mut disk).unwrap();
        write(&mut log, 1..=9);
        drop(log);
        publish(&mut disk, 9).unwrap();
        disk.power_cut();
        assert_eq!(open(&mut disk).unwrap().1.snapshot, Some(Zxid(9)), "{seed}");
    }
}

#[test]
fn the_end_of_a_superseded_history_is_not_called_durable() {
    let mut disk = written(9);
    let (mut log, _) = open(&mut disk).unwrap();
    log.begin_stage(Zxid(6), false).unwrap();
    log.commit_stage(reign(1, 2)).unwrap();
    // Nobody has synced that yet.
    let found = log.history(Zxid(9), 1000).unwrap();
    assert_eq!((found.base, found.entries.len()), (Zxid(6), 0));
}

/// Entries 4 and 5 are this server's alone. A leader's history that lacks them is written together
/// with what is committed of it, and the power fails before all of that is on the disk.
#[test]
fn what_a_lost_adoption_was_to_give_up_is_not_taken_for_committed() {
    let mut lost = 0;
    for seed in 0..200 {
        let mut disk = MemDisk::new(seed);
        let (mut log, _) = open(&mut disk).unwrap();
        write(&mut log, 1..=5);
        let (later, reign) = (Zxid::new(Epoch(2), 1), reign(2, 3));
        let origin = Origin { server: ServerId(3), serial: 1 };
        let of_leader = Proposal { zxid: later, time_ms: 9, origin, payload: payload(9).into() };
        let orders = [
            LogOrder::Accept(reign),
            LogOrder::BeginStage { base: Zxid(3), snapshot: false },
            LogOrder::Stage(of_leader),
            LogOrder::CommitStage { reign },
        ];
        log.write(&orders, later).unwrap();
        // What is in the buffer goes to the disk, and no sync ends.
        log.disk().fail_after(0, Some("sync"), Fault::Broken);
        log.sync().unwrap_err();
        drop(log);
        disk.power_cut();
        let (_, recovered) = open(&mut disk).unwrap();
        if recovered.last_zxid == Zxid(5) {
            assert_eq!(recovered.committed, Zxid(0), "{seed}");
            lost += u32::from(recovered.accepted == reign);
        } else {
            assert_eq!(recovered.last_zxid, later, "{seed}");
        }
    }
    assert!(lost > 0, "no cut left the promise and took the adoption");
}
