//! File systems that are really full and really read-only, mounted where only the daemon sees them.

use super::{Daemon, PATIENCE, connect, create};
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

/// A command to which the rest of a command line is added: runs it as root of a name space of its
/// own, so that mounts need no privilege and end with it.
pub(crate) fn name_space() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount"]);
    command
}

/// Whether this system lets us mount; if not, says what is not tested.
fn can_mount(test: &str) -> bool {
    let directory = tempfile::tempdir().expect("makes a directory");
    let script = "mount -t tmpfs -o size=64k none \"$0\"";
    let tried = name_space().args(["sh", "-c", script]).arg(directory.path()).output();
    let possible = tried.is_ok_and(|output| output.status.success());
    if !possible {
        // Past the harness, which would swallow it.
        let told = format!("{test}: NOT RUN, this system does not let us mount (unshare)\n");
        std::io::stderr().write_all(told.as_bytes()).expect("writes");
    }
    possible
}

#[test]
fn a_directory_that_is_mounted_read_only_is_refused() {
    if !can_mount("a_directory_that_is_mounted_read_only_is_refused") {
        return;
    }
    let script = "mkdir \"$ROOT/data\"; mount -t tmpfs -o ro none \"$ROOT/data\"";
    let mut daemon = Daemon::new().with_mounts(script.to_owned());
    let (code, told) = daemon.refuses();
    assert_eq!(code, 77, "{told}");
    let name = daemon.data().display().to_string();
    assert!(told.contains(&name) && told.contains("read and write access"), "{told}");
}

/// The disk fills up, the server ends; what filled it goes, and the server starts again on what it
/// left, still on the same mount.
#[tokio::test]
async fn a_disk_that_is_really_full_ends_the_server_which_starts_again_when_there_is_room() {
    if !can_mount("a_disk_that_is_really_full_ends_the_server") {
        return;
    }
    let script = "mkdir \"$ROOT/data\"; mount -t tmpfs -o size=8m none \"$ROOT/data\"
        head -c 5m /dev/zero > \"$ROOT/data/.filler\"
        \"$0\" \"$@\" || echo $? > \"$ROOT/code\"
        rm \"$ROOT/data/.filler\"";
    let mut daemon =
        Daemon::new().with("LOG__SEGMENT_BYTES", 1 << 20).with_mounts(script.to_owned());
    daemon.start();
    let client = connect(&daemon).await;
    let (acknowledged, error) = create(&client, 0..100, 50_000).await;
    assert!((10..100).contains(&acknowledged) && error.is_some(), "{acknowledged} {error:?}");
    drop(client);
    let (code, begun) = (daemon.root().join("code"), Instant::now());
    while std::fs::read_to_string(&code).unwrap_or_default().trim() != "74" {
        assert!(begun.elapsed() < PATIENCE, "it does not end with 74: {}", daemon.told());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    daemon.tells(&["the log cannot be written, stopping", "free some space"]);
    daemon.await_answer();
    let client = connect(&daemon).await;
    for number in 0..acknowledged {
        let (data, _) = client.data(&format!("/n{number}")).await.expect("reads");
        assert_eq!(data, Some(vec![number as u8; 50_000]), "/n{number}");
    }
    // One more was perhaps durable and not answered.
    let next = acknowledged + 1;
    assert_eq!(create(&client, next..next + 5, 50_000).await, (next + 5, None));
}
