//! The daemon and its data directory, as an operator meets them: every way in which a directory can
//! be unusable or a disk can fail, the exit code it leads to, and a message that names the file,
//! what is wrong with it and what to do. Whatever happens, nothing acknowledged is lost. The table
//! in `ops/runbook.md` promises what is tested here.
//!
//! Disks that fail are made by a small library laid under the server (`trap.c`), which needs the C
//! compiler that Rust links with. Mounts are real, in a name space of their own.

mod access;
mod daemon;
mod damage;
mod failing_disk;
mod files;
mod mounts;
mod start;
mod tail;

use daemon::Daemon;
use ostler::client::{Client, ClientError, ClientOptions, CreateOptions};
use std::time::Duration;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A session that gives up on a request soon after its server is gone.
async fn connect(daemon: &Daemon) -> Client {
    let options = ClientOptions { request_timeout: Some(PATIENCE), ..ClientOptions::default() };
    Client::connect(&daemon.address(), options).await.expect("the server takes a session up")
}

/// Creates znodes of these numbers one after another, each acknowledged before the next, until one
/// is not; how many were, and why no more.
async fn create(
    client: &Client,
    numbers: std::ops::Range<u32>,
    bytes: usize,
) -> (u32, Option<ClientError>) {
    for number in numbers.clone() {
        let data = vec![number as u8; bytes];
        let path = format!("/n{number}");
        if let Err(error) = client.create(&path, Some(&data), &CreateOptions::default()).await {
            return (number, Some(error));
        }
    }
    (numbers.end, None)
}

/// Starts the daemon, makes znodes 0 to `count` and hands it over while it still runs.
async fn with_znodes(mut daemon: Daemon, count: u32) -> Daemon {
    daemon.start();
    let client = connect(&daemon).await;
    assert_eq!(create(&client, 0..count, 100).await, (count, None));
    client.close().await;
    daemon
}

/// The daemon starts, and of the znodes exactly the first `count` are there, whole.
async fn starts_with_znodes(daemon: &mut Daemon, count: u32, bytes: usize) {
    daemon.start();
    let client = connect(daemon).await;
    let (names, _) = client.children("/").await.expect("lists");
    assert_eq!(names.len() as u32, count + 1, "{names:?} beside /zookeeper");
    for number in 0..count {
        let (data, _) = client.data(&format!("/n{number}")).await.expect("reads");
        assert_eq!(data, Some(vec![number as u8; bytes]), "/n{number}");
    }
    client.close().await;
}
