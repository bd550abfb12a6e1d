//! The directory disk against a real directory, and the log on top of it.

use super::DirectoryDisk;
use ostler_core::log::snapshot::{Reader, Writer};
use ostler_core::log::{Disk, Entry, Fault, Log, LogError, LogSettings};
use ostler_core::types::{ServerId, Zxid};
use ostler_core::zab::Origin;
use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

type Checked = Result<(), Box<dyn Error>>;

fn settings(server: u64) -> LogSettings {
    LogSettings { segment_bytes: 64 << 10, server: ServerId(server), directory: [7; 16] }
}

fn disk(path: &Path) -> DirectoryDisk {
    DirectoryDisk::open(path, path).expect("the directory is there")
}

fn append(log: &mut Log<DirectoryDisk>, zxids: std::ops::RangeInclusive<u64>) {
    for zxid in zxids {
        let payload = vec![zxid as u8; 1000];
        let origin = Origin::default();
        log.append(Entry { zxid: Zxid(zxid), time_ms: 5, origin, payload: &payload })
            .expect("the disk takes it");
    }
    log.sync().expect("the disk takes it");
}

fn zxids(log: &mut Log<DirectoryDisk>, after: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut each = |entry: Entry<'_>| {
        assert_eq!(entry.payload, vec![entry.zxid.0 as u8; 1000]);
        seen.push(entry.zxid.0);
        Ok(())
    };
    log.replay(Zxid(after), &mut each).expect("the log is whole");
    seen
}

#[test]
fn a_log_in_real_files_survives_reopening() -> Checked {
    let root = tempfile::tempdir()?;
    let (data, logs) = (root.path().join("a/data"), root.path().join("b/log"));
    let open = || Log::open(DirectoryDisk::open(&data, &logs)?, settings(1));
    let (mut log, recovered) = open()?;
    assert_eq!(recovered.last_zxid, Zxid::ZERO);
    for batch in 0..20 {
        append(&mut log, batch * 10 + 1..=batch * 10 + 10);
    }
    let mut writer = Writer::create(log.disk().share(), Zxid(150))?;
    writer.chunk(b"tree")?;
    writer.publish()?;
    let purged = log.purge(1)?;
    assert!(purged.segments > 0);
    drop(log);
    let (mut log, recovered) = open()?;
    assert_eq!((recovered.last_zxid, recovered.snapshot), (Zxid(200), Some(Zxid(150))));
    assert_eq!(zxids(&mut log, 150), (151..=200).collect::<Vec<_>>());
    assert!(matches!(log.replay(Zxid(0), &mut |_| Ok(())), Err(LogError::Gap { .. })));
    let mut reader = Reader::open(log.disk(), Zxid(150))?;
    assert_eq!(reader.chunk()?, Some(b"tree".to_vec()));
    assert_eq!(reader.chunk()?, None);
    assert!(data.join("identity").exists() && !logs.join("identity").exists());
    Ok(())
}

#[test]
fn a_directory_in_use_is_refused_until_it_is_free() -> Checked {
    let root = tempfile::tempdir()?;
    let first = disk(root.path());
    let shared = first.share();
    drop(first);
    let error = DirectoryDisk::open(root.path(), root.path()).unwrap_err();
    assert_eq!(error.fault, Fault::Locked);
    assert!(error.to_string().contains("another server uses this directory"), "{error}");
    drop(shared);
    DirectoryDisk::open(root.path(), root.path())?;
    Ok(())
}

#[test]
fn a_directory_of_another_server_is_refused_and_left_alone() -> Checked {
    let root = tempfile::tempdir()?;
    drop(Log::open(disk(root.path()), settings(1))?);
    let before = fs::read(root.path().join("identity"))?;
    let error = Log::open(disk(root.path()), settings(2)).err().expect("it is another server's");
    assert!(matches!(error, LogError::ForeignServer { found: ServerId(1), .. }), "{error}");
    assert_eq!(error.exit_code(), 78);
    assert_eq!(fs::read(root.path().join("identity"))?, before);
    Ok(())
}

#[test]
fn a_torn_last_record_is_cut_and_reported_with_its_file() -> Checked {
    let root = tempfile::tempdir()?;
    let (mut log, _) = Log::open(disk(root.path()), settings(1))?;
    append(&mut log, 1..=3);
    drop(log);
    let file = root.path().join("log.0000000000000001");
    let mut bytes = fs::read(&file)?;
    let last = bytes.iter().rposition(|&byte| byte != 0).expect("something was written");
    bytes[last - 100..].fill(0);
    fs::write(&file, bytes)?;
    let (mut log, recovered) = Log::open(disk(root.path()), settings(1))?;
    assert_eq!(
        recovered.tail_cut.expect("the end was cut").file,
        file.canonicalize()?.display().to_string()
    );
    assert_eq!(zxids(&mut log, 0), [1, 2]);
    append(&mut log, 3..=4);
    assert_eq!(zxids(&mut log, 0), [1, 2, 3, 4]);
    Ok(())
}

#[test]
fn a_path_that_is_a_file_gives_an_error_that_names_it() -> Checked {
    let root = tempfile::tempdir()?;
    let path = root.path().join("file");
    fs::write(&path, "")?;
    let error = DirectoryDisk::open(&path, &path).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    Ok(())
}

#[test]
fn system_errors_are_told_apart() {
    let cases = [
        (28, Fault::NoSpace),
        (122, Fault::NoSpace),
        (13, Fault::Denied),
        (30, Fault::Denied),
        (2, Fault::Missing),
        (17, Fault::Exists),
        (5, Fault::Broken),
    ];
    for (errno, fault) in cases {
        let error = super::failure("write", Path::new("x"), &io::Error::from_raw_os_error(errno));
        assert_eq!(error.fault, fault, "{error}");
    }
}

#[test]
fn a_full_device_is_an_error_that_says_so() -> Checked {
    let root = tempfile::tempdir()?;
    let mut disk = disk(root.path());
    // Every write to this device fails for want of space.
    std::os::unix::fs::symlink("/dev/full", root.path().join("log.full"))?;
    let error = disk.write_at("log.full", 0, b"x").unwrap_err();
    assert_eq!(error.fault, Fault::NoSpace);
    assert!(error.to_string().contains("free some space"), "{error}");
    Ok(())
}

#[test]
fn a_long_file_that_is_removed_is_gone_at_once_and_whole_under_its_other_names() -> Checked {
    let root = tempfile::tempdir()?;
    let mut disk = disk(root.path());
    let content = vec![7; 5 << 20];
    disk.create("snapshot.long")?;
    disk.write_at("snapshot.long", 0, &content)?;
    // As whoever copies a data directory by links has it.
    fs::hard_link(root.path().join("snapshot.long"), root.path().join("copy"))?;
    disk.remove("snapshot.long")?;
    assert_eq!(disk.list()?, ["copy"]);
    let missing = disk.remove("snapshot.long").expect_err("it is removed");
    assert_eq!(missing.fault, Fault::Missing);
    disk.create("snapshot.long")?;
    assert_eq!(disk.length("snapshot.long")?, 0, "the name is free");
    assert_eq!(fs::read(root.path().join("copy"))?, content);
    Ok(())
}
