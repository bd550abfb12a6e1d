//! Damage, loss and confusion of files: an error that names them, and nothing is changed.

use super::*;

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
    content[8] = 3;
    let checksum = xxh3_64(&content[..136]).to_le_bytes();
    content[136..144].copy_from_slice(&checksum);
    disk.put(FIRST, &content);
    assert!(matches!(refusal(&mut disk), LogError::NewerFormat { found: 3, newest: 2, .. }));
    content[8] = 1;
    disk.put(FIRST, &content);
    assert!(matches!(refusal(&mut disk), LogError::OlderFormat { found: 1, oldest: 2, .. }));

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

#[test]
fn a_directory_with_files_of_somebody_else_is_not_founded_in() {
    let mut disk = MemDisk::new(1);
    disk.put("report.txt", b"precious");
    let error = refusal(&mut disk);
    assert_eq!(error, LogError::ForeignDirectory { file: "report.txt".to_owned() });
    assert_eq!(error.exit_code(), 78);
    let mut disk = MemDisk::new(1);
    // What ZooKeeper's scripts and file systems leave behind is in nobody's way.
    ["myid", ".hidden"].into_iter().for_each(|name| disk.put(name, b"1"));
    open(&mut disk).unwrap();
    assert!(disk.content("myid").is_some());
}

#[test]
fn only_our_own_unfinished_files_are_removed() {
    let mut disk = written(3);
    disk.put("notes.tmp", b"precious");
    disk.put("log.0000000000000009.tmp", b"");
    open(&mut disk).unwrap();
    assert!(disk.content("notes.tmp").is_some());
    assert!(disk.content("log.0000000000000009.tmp").is_none());
}

#[test]
fn a_whole_record_that_no_server_can_have_written_is_no_torn_write() {
    let nonsense: [(Kind, u64, &[u8]); 6] = [
        (Kind::Txn, 9, b"short"),
        (Kind::Txn, 2, b"too early"),
        (Kind::Txn, u64::MAX, b"the last of all"),
        (Kind::Staged, 4, b"without a stage, though with a stamp of its own"),
        (Kind::Accept, 3, b"no reign"),
        (Kind::CommitStage, 3, &[1; 40]),
    ];
    for (kind, zxid, payload) in nonsense {
        let mut disk = written(3);
        let (mut log, _) = open(&mut disk).unwrap();
        let place = log.place();
        log.tail.chain =
            record::encode(kind, Zxid(zxid), place, &[payload], &mut log.buffer).unwrap();
        log.tail.seq += 1;
        log.sync().unwrap();
        drop(log);
        let error = refusal(&mut disk);
        assert!(error.to_string().contains("no server can have written"), "{error}");
    }
}
