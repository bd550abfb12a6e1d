//! Directories that are not this server's to use.

use super::{Daemon, starts_with_znodes, with_znodes};
use ostler_actors::disk::DirectoryDisk;
use ostler_core::log::{Log, LogSettings};
use ostler_core::types::{Epoch, ServerId};
use ostler_core::zab::Reign;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Whom nothing belongs to.
const NOBODY: u32 = 65_534;

/// Fails to start with this code and a message that has all of these parts.
fn refuses(daemon: &mut Daemon, code: i32, parts: &[&str]) {
    let (found, told) = daemon.refuses();
    assert_eq!(found, code, "{told}");
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}

#[test]
fn a_file_is_no_data_directory() {
    let mut daemon = Daemon::new();
    fs::write(daemon.data(), "precious").expect("writes");
    let name = daemon.data().display().to_string();
    refuses(&mut daemon, 78, &[&name, "name a directory"]);
    assert_eq!(fs::read(daemon.data()).expect("reads"), b"precious");
}

#[test]
fn a_directory_with_files_of_somebody_else_is_left_alone() {
    let mut daemon = Daemon::new();
    fs::create_dir(daemon.data()).expect("makes a directory");
    let file = daemon.data().join("thesis.txt");
    fs::write(&file, "precious").expect("writes");
    let name = file.display().to_string();
    refuses(&mut daemon, 78, &[&name, "somebody else's", "name an empty directory"]);
    assert_eq!(fs::read(&file).expect("reads"), b"precious");
    assert!(!daemon.data().join("identity").exists());
}

#[tokio::test]
async fn a_directory_of_another_server_is_refused_and_still_its_own() {
    let mut daemon = with_znodes(Daemon::new().with("SERVER__ID", 2), 3).await;
    assert_eq!(daemon.stop(), 0);
    let mut daemon = daemon.with("SERVER__ID", 1);
    let identity = daemon.data().join("identity").display().to_string();
    refuses(&mut daemon, 78, &[&identity, "belongs to server 2, this is server 1", "correct the"]);
    let mut daemon = daemon.with("SERVER__ID", 2);
    starts_with_znodes(&mut daemon, 3, 100).await;
}

#[tokio::test]
async fn a_second_server_on_one_directory_is_refused_and_the_first_goes_on() {
    let mut first = with_znodes(Daemon::new(), 3).await;
    let mut second = Daemon::new();
    std::os::unix::fs::symlink(first.data(), second.data()).expect("links");
    let name = first.data().display().to_string();
    refuses(&mut second, 75, &[&name, "another server uses this directory", "stop it or choose"]);
    let client = super::connect(&first).await;
    assert_eq!(super::create(&client, 3..6, 100).await, (6, None));
    drop(client);
    first.kill();
    starts_with_znodes(&mut first, 6, 100).await;
}

#[test]
fn a_directory_without_permission_is_refused() {
    let daemon = Daemon::new();
    fs::create_dir(daemon.data()).expect("makes a directory");
    let mode = |mode| fs::set_permissions(daemon.data(), fs::Permissions::from_mode(mode));
    mode(0o555).expect("changes the mode");
    fs::set_permissions(daemon.root(), fs::Permissions::from_mode(0o755)).expect("changes");
    let name = daemon.data().display().to_string();
    // Root may write everywhere, so it runs the daemon as somebody who may not.
    let is_root = fs::write(daemon.data().join("probe"), "").is_ok();
    let mut daemon = if is_root { daemon.run_by(NOBODY) } else { daemon };
    refuses(&mut daemon, 77, &[&name, "ermission denied", "read and write access"]);
}

/// Epochs are counted by starts and elections, so the last one never comes by itself. A server
/// that has promised it can begin no other, and says so.
#[test]
fn used_up_epochs_end_the_process() {
    let mut daemon = Daemon::new();
    let disk = DirectoryDisk::open(&daemon.data(), &daemon.data()).expect("opens");
    let settings = LogSettings { segment_bytes: 1 << 20, server: ServerId(1), directory: [7; 16] };
    let (mut log, _) = Log::open(disk, settings).expect("opens");
    let last = Reign { epoch: Epoch(u32::MAX), leader: ServerId(1) };
    log.accept(last).expect("promises");
    log.commit_stage(last).expect("adopts");
    log.sync().expect("syncs");
    drop(log);
    let (code, told) = daemon.refuses();
    assert_eq!(code, 70, "{told}");
    assert!(told.contains("must not go on") && told.contains("epochs are used up"), "{told}");
}
