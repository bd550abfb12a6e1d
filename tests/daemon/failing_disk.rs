//! Disks that fail while the server serves: it stops with a code and a message, what it answered
//! is there at the next start, and that start works once the disk does.

use super::{Daemon, connect, create, files, starts_with_znodes, with_znodes};

/// Arms `fault` under a serving daemon; the next write is not answered, and the daemon ends.
async fn ends_at(fault: &str, reason: &str, remedy: &str) -> Daemon {
    let mut daemon = with_znodes(Daemon::new().trapped(), 10).await;
    let client = connect(&daemon).await;
    daemon.arm(fault);
    let (acknowledged, error) = create(&client, 10..20, 100).await;
    assert_eq!(acknowledged, 10, "answered by a failed disk: {error:?}");
    drop(client);
    assert_eq!(daemon.ends(), 74, "{}", daemon.told());
    let told = daemon.told();
    for part in ["the log cannot be written, stopping", "log.0000", reason, remedy] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    daemon
}

#[tokio::test]
async fn a_failed_sync_ends_the_server_and_loses_nothing_acknowledged() {
    let mut daemon = ends_at("broken", "cannot sync", "check the disk and the kernel's log").await;
    // A disk that stays broken is not served from.
    let (code, told) = daemon.refuses();
    assert_eq!(code, 74, "{told}");
    assert!(told.contains("cannot sync"), "{told}");
    daemon.disarm("broken");
    let (found, _) = znodes(&mut daemon).await;
    // The write whose sync failed was not answered: it may be there or not, but not half.
    assert!((10..=11).contains(&found), "{found}");
}

#[tokio::test]
async fn a_full_disk_ends_the_server_and_it_starts_again_when_there_is_room() {
    let mut daemon = ends_at("full", "cannot write", "free some space").await;
    daemon.disarm("full");
    starts_with_znodes(&mut daemon, 10, 100).await;
    let client = connect(&daemon).await;
    assert_eq!(create(&client, 10..20, 100).await, (20, None));
    drop(client);
    daemon.kill();
    starts_with_znodes(&mut daemon, 20, 100).await;
}

#[tokio::test]
async fn a_first_start_without_space_says_so_and_works_later() {
    let mut daemon = Daemon::new().trapped();
    daemon.arm("full");
    let (code, told) = daemon.refuses();
    assert_eq!(code, 73, "{told}");
    assert!(told.contains("log.0000") && told.contains("free some space"), "{told}");
    daemon.disarm("full");
    starts_with_znodes(&mut daemon, 0, 0).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_read_stops_the_start_and_is_read_when_the_disk_is_well() {
    let mut daemon = with_znodes(Daemon::new().trapped(), 10).await;
    daemon.kill();
    daemon.arm("unreadable");
    let (code, told) = daemon.refuses();
    assert_eq!(code, 74, "{told}");
    for part in ["cannot read", "log.0000", "check the disk and the kernel's log"] {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
    daemon.disarm("unreadable");
    starts_with_znodes(&mut daemon, 10, 100).await;
}

/// The log has everything, so a snapshot that cannot be written harms nobody.
#[tokio::test]
async fn a_disk_too_full_for_a_snapshot_costs_the_snapshot_alone() {
    let daemon = Daemon::new().trapped().with("SNAPSHOT__EVERY_TXNS", 15);
    daemon.arm("crowded");
    let mut daemon = with_znodes(daemon, 20).await;
    daemon.tells(&["the snapshot was given up", "snapshot.0000", "free some space"]);
    daemon.disarm("crowded");
    let client = connect(&daemon).await;
    assert_eq!(create(&client, 20..60, 100).await, (60, None));
    client.close().await;
    daemon.tells(&["snapshot taken"]);
    assert_eq!(daemon.stop(), 0, "{}", daemon.told());
    let left = files::named(&daemon.data(), "snapshot.");
    assert!(!left.is_empty(), "{left:?}");
    starts_with_znodes(&mut daemon, 60, 100).await;
}

/// Starts the daemon; how many znodes follow one another from the first, and the client.
async fn znodes(daemon: &mut Daemon) -> (u32, ostler::client::Client) {
    daemon.start();
    let client = connect(daemon).await;
    let mut found = 0;
    while client.exists(&format!("/n{found}")).await.expect("reads").is_some() {
        found += 1;
    }
    (found, client)
}
