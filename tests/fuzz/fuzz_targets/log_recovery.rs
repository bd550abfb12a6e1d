//! A data directory whose files hold anything: recovery reports it clearly and changes nothing, or
//! it finds a log that can be replayed and goes on.
#![no_main]

mod edits;

use edits::{Choices, edit};
use libfuzzer_sys::fuzz_target;
use ostler_core::log::mem_disk::MemDisk;
use ostler_core::log::snapshot::Writer;
use ostler_core::log::{Disk, Entry, Log, LogError, LogSettings, Recovered};
use ostler_core::types::{Epoch, ServerId, Zxid};
use ostler_core::zab::{Origin, Reign};
use std::sync::OnceLock;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

type Files = Vec<(String, Vec<u8>)>;

const DIRECTORY: [u8; 16] = [9; 16];
const SEGMENT_BYTES: u64 = 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mode = choices.number(1) % 3;
    let mut files = match mode {
        0 => anything(&mut choices),
        1 => crafted(&mut choices),
        _ => sound().clone(),
    };
    let mut contents: Vec<_> = files.iter().map(|(_, content)| content.clone()).collect();
    edit(&mut contents, &mut choices);
    // Fewer contents than names: the last files are lost.
    files.truncate(contents.len());
    let mut disk = MemDisk::new(1);
    for ((name, _), content) in files.iter().zip(&contents) {
        disk.put(name, content);
    }
    recover(&mut disk);
});

fn settings() -> LogSettings {
    LogSettings { segment_bytes: SEGMENT_BYTES, server: ServerId(1), directory: DIRECTORY }
}

fn open(disk: &mut MemDisk) -> Result<(Log<&mut MemDisk>, Recovered), LogError> {
    Log::open(disk, settings())
}

fn recover(disk: &mut MemDisk) {
    let before = files_of(disk);
    let last = match open(disk) {
        Err(error) => {
            assert!([65, 78].contains(&error.exit_code()), "{error}");
            assert_eq!(files_of(disk), before, "changed though refused: {error}");
            return;
        }
        Ok((mut log, recovered)) => {
            let from = recovered.snapshot.unwrap_or_default();
            let mut replayed = from;
            log.replay(from, &mut |entry| {
                replayed = entry.zxid;
                Ok(())
            })
            .expect("what recovery found whole can be replayed");
            assert!(replayed == from || replayed == recovered.last_zxid);
            let Some(next) = recovered.last_zxid.0.checked_add(1) else { return };
            read_in_pieces(&mut log, from, recovered.last_zxid);
            log.append(entry(next, b"next")).expect("the log goes on");
            log.sync().expect("syncs");
            log.mark_flushed().expect("marks");
            next
        }
    };
    let (_, again) = open(disk).expect("what recovery has mended it finds sound");
    assert_eq!((again.last_zxid, again.tail_cut), (Zxid(last), None));
}

fn entry(zxid: u64, payload: &[u8]) -> Entry<'_> {
    Entry { zxid: Zxid(zxid), time_ms: 7, origin: Origin::default(), payload }
}

fn read_in_pieces(log: &mut Log<&mut MemDisk>, mut after: Zxid, last: Zxid) {
    while after < last {
        let piece = log.history(after, 500).expect("what recovery found whole can be read");
        assert!(piece.reaches_back);
        after = piece.entries.last().expect("there is more").zxid;
    }
}

fn files_of(disk: &mut MemDisk) -> Files {
    let names = disk.list().expect("lists");
    let content = |name: &String| disk.content(name).expect("is there").to_vec();
    names.iter().map(|name| (name.clone(), content(name))).collect()
}

/// Names that mean something, and whatever bytes.
fn anything(choices: &mut Choices<'_>) -> Files {
    const NAMES: [&str; 9] = [
        "identity",
        "log.0000000000000001",
        "log.0000000000000002",
        "log.ffffffffffffffff",
        "snapshot.0000000000000001",
        "snapshot.ffffffffffffffff",
        "log.0000000000000003.tmp",
        "received.0000000000000004",
        "stranger",
    ];
    let mut files = identity();
    for _ in 0..choices.number(1) % 4 {
        let name = NAMES[choices.below(NAMES.len())];
        let length = choices.below(1024);
        files.push((name.to_owned(), choices.bytes(length).to_vec()));
    }
    files
}

/// The identity of a sound directory.
fn identity() -> Files {
    sound().iter().filter(|(name, _)| name == "identity").cloned().collect()
}

/// A directory with several segments, two snapshots, a promise, superseded history and a mark.
fn sound() -> &'static Files {
    static SOUND: OnceLock<Files> = OnceLock::new();
    SOUND.get_or_init(|| {
        let mut disk = MemDisk::new(1);
        let (mut log, _) = open(&mut disk).expect("founds");
        let reign = Reign { epoch: Epoch(1), leader: ServerId(2) };
        log.accept(reign).expect("promises");
        for zxid in 1..=16 {
            log.append(entry(zxid, &[zxid as u8; 400])).expect("appends");
            if zxid % 3 == 0 {
                log.sync().expect("syncs");
            }
        }
        log.begin_stage(Zxid(13), false).expect("begins");
        for zxid in 17..=20 {
            log.stage(entry(zxid, &[zxid as u8; 400])).expect("stages");
            log.sync().expect("syncs");
        }
        log.commit_stage(reign).expect("adopts");
        log.close().expect("closes");
        for zxid in [6, 12] {
            let mut writer = Writer::create(log.disk(), Zxid(zxid)).expect("begins");
            writer.chunk(b"tree").expect("writes");
            writer.publish().expect("publishes");
        }
        drop(log);
        files_of(&mut disk)
    })
}

/// Segments whose checksums are right and whose numbers may lie.
fn crafted(choices: &mut Choices<'_>) -> Files {
    let mut files = identity();
    for index in 0..=choices.number(1) % 3 {
        let name = format!("log.{:016x}", index + 1);
        files.push((name, crafted_segment(choices)));
    }
    files
}

/// A small number mostly, any number at times.
fn lie(choices: &mut Choices<'_>) -> u64 {
    match choices.number(1) {
        255 => choices.number(8),
        254 => u64::MAX,
        small => small % 8,
    }
}

fn crafted_segment(choices: &mut Choices<'_>) -> Vec<u8> {
    let first_seq = lie(choices);
    let mut chain = lie(choices);
    let mut out = b"OSTLERLG\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    out.extend_from_slice(&DIRECTORY);
    for word in [first_seq, chain] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    // What holds there: history, promises, a stage.
    for _ in 0..10 {
        out.extend_from_slice(&lie(choices).to_le_bytes());
    }
    let checksum = xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.resize(512, 0);
    let seed = xxh3_64_with_seed(&DIRECTORY, first_seq ^ 1);
    let mut seq = first_seq;
    for _ in 0..choices.number(1) % 8 {
        chain = crafted_record(choices, seed, seq, chain, &mut out);
        seq = seq.wrapping_add(1);
    }
    out.resize(out.len() + choices.below(4096), 0);
    out
}

fn crafted_record(
    choices: &mut Choices<'_>,
    seed: u64,
    seq: u64,
    chain: u64,
    out: &mut Vec<u8>,
) -> u64 {
    let begin = out.len();
    let kind = choices.number(1) % 9;
    let payload = crafted_payload(choices, kind);
    let length = match choices.number(1) {
        255 => choices.number(4) as u32,
        _ => payload.len() as u32,
    };
    let floor = if choices.number(1) == 255 { lie(choices) } else { seq.saturating_sub(1) };
    out.extend_from_slice(b"OREC");
    out.extend_from_slice(&length.to_le_bytes());
    for word in [seq, floor, lie(choices), 0, kind, lie(choices), 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let mut hash = Xxh3::with_seed(chain);
    hash.update(&out[begin..begin + 32]);
    hash.update(&out[begin + 40..begin + 56]);
    hash.update(&payload);
    let chain = hash.digest();
    out[begin + 32..begin + 40].copy_from_slice(&chain.to_le_bytes());
    let checksum = xxh3_64_with_seed(&out[begin..begin + 56], seed ^ begin as u64);
    out[begin + 56..begin + 64].copy_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&payload);
    out.resize(out.len().next_multiple_of(8), 0);
    chain
}

/// As many numbers as records of this kind have, or any bytes.
fn crafted_payload(choices: &mut Choices<'_>, kind: u64) -> Vec<u8> {
    let numbers = match kind {
        1 | 6 => 3,
        2 | 7 => 2,
        3 => 1,
        8 => 5,
        _ => 0,
    };
    if choices.number(1) % 8 == 0 {
        let length = choices.below(64);
        return choices.bytes(length).to_vec();
    }
    (0..numbers).flat_map(|_| lie(choices).to_le_bytes()).collect()
}
