//! Files that were damaged, emptied, lost or exchanged between two runs.

use super::{Daemon, PATIENCE, connect, create, files, starts_with_znodes, with_znodes};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Fails to start with code 65 and a message that has all of these parts.
fn refuses_damaged(daemon: &mut Daemon, parts: &[&str]) {
    let (code, told) = daemon.refuses();
    assert_eq!(code, 65, "{told}");
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}

/// A daemon that wrote until its files are as `wanted` and was then stopped, how many znodes it
/// has, and its snapshots.
async fn with_snapshots(kept: usize, wanted: fn(&Daemon) -> bool) -> (Daemon, u32, Vec<PathBuf>) {
    let daemon = Daemon::new().with("SNAPSHOT__EVERY_TXNS", 15).with("SNAPSHOT__KEPT", kept);
    let mut daemon = with_znodes(daemon, 0).await;
    let client = connect(&daemon).await;
    let (mut count, begun) = (0, Instant::now());
    while !wanted(&daemon) {
        assert!(begun.elapsed() < PATIENCE, "no snapshots: {}", daemon.told());
        assert_eq!(create(&client, count..count + 5, 100).await, (count + 5, None));
        count += 5;
    }
    client.close().await;
    assert_eq!(daemon.stop(), 0, "{}", daemon.told());
    let snapshots = files::named(&daemon.data(), "snapshot.");
    (daemon, count, snapshots)
}

fn has_two_snapshots(daemon: &Daemon) -> bool {
    files::named(&daemon.data(), "snapshot.").len() >= 2
}

/// Whether the log no longer reaches back to the beginning.
fn has_purged(daemon: &Daemon) -> bool {
    !daemon.data().join("log.0000000000000001").exists()
}

#[tokio::test]
async fn a_bit_flipped_in_the_middle_of_the_log_stops_the_start() {
    let mut daemon = with_znodes(Daemon::new(), 9).await;
    daemon.kill();
    let log = files::log(&daemon.data());
    let middle = files::transactions(&log)[4];
    files::flip_in(&log, middle);
    let place = format!("{} is damaged at offset {middle}", log.display());
    refuses_damaged(&mut daemon, &[&place, "later records are whole", "from a backup"]);
    files::flip_in(&log, middle);
    starts_with_znodes(&mut daemon, 9, 100).await;
}

#[tokio::test]
async fn an_empty_log_file_stops_the_start() {
    let mut daemon = with_znodes(Daemon::new(), 3).await;
    daemon.kill();
    let log = files::log(&daemon.data());
    files::truncate(&log, 0);
    let name = log.display().to_string();
    refuses_damaged(&mut daemon, &[&name, "it is empty", "from a backup"]);
}

#[tokio::test]
async fn a_lost_log_file_stops_the_start() {
    let mut daemon = with_znodes(Daemon::new(), 3).await;
    daemon.kill();
    fs::remove_file(files::log(&daemon.data())).expect("removes");
    refuses_damaged(&mut daemon, &["every log file is gone", "restore what is missing"]);
}

#[tokio::test]
async fn a_lost_identity_is_no_first_start() {
    let mut daemon = with_znodes(Daemon::new(), 3).await;
    daemon.kill();
    fs::remove_file(daemon.data().join("identity")).expect("removes");
    refuses_damaged(&mut daemon, &["the file `identity` is gone", "restore what is missing"]);
}

#[tokio::test]
async fn a_truncated_snapshot_gives_way_to_an_older_one_and_the_log() {
    let (mut daemon, count, snapshots) = with_snapshots(3, has_two_snapshots).await;
    let newest = snapshots.last().expect("there are snapshots");
    let length = fs::metadata(newest).expect("is there").len();
    files::truncate(newest, length / 2);
    starts_with_znodes(&mut daemon, count, 100).await;
    let name = newest.display().to_string();
    daemon.tells(&["an older one and the log take its place", &name]);
}

#[tokio::test]
async fn a_bit_flipped_in_a_snapshot_costs_nothing_while_the_log_reaches_back() {
    let (mut daemon, count, snapshots) = with_snapshots(3, has_two_snapshots).await;
    let newest = snapshots.last().expect("there are snapshots");
    files::flip(newest, 200);
    starts_with_znodes(&mut daemon, count, 100).await;
    daemon.tells(&[&newest.display().to_string()]);
}

#[tokio::test]
async fn damage_in_the_only_snapshot_stops_the_start() {
    let (mut daemon, count, snapshots) = with_snapshots(1, has_purged).await;
    snapshots.iter().for_each(|snapshot| files::flip(snapshot, 200));
    let newest = snapshots.last().expect("there are snapshots").display().to_string();
    refuses_damaged(&mut daemon, &[&newest, "the checksum of a chunk is wrong", "from a backup"]);
    snapshots.iter().for_each(|snapshot| files::flip(snapshot, 200));
    starts_with_znodes(&mut daemon, count, 100).await;
}

#[tokio::test]
async fn a_snapshot_beyond_the_end_of_the_log_stops_the_start() {
    let (mut daemon, _, snapshots) = with_snapshots(3, has_two_snapshots).await;
    let newest = snapshots.last().expect("there are snapshots");
    let later = daemon.data().join("snapshot.0000000100000fff");
    fs::copy(newest, &later).expect("copies");
    let name = later.display().to_string();
    refuses_damaged(&mut daemon, &[&name, "log files are missing", "restore them"]);
}
