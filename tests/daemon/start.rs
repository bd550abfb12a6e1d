//! The first start on an empty directory: what is done in which order, and nothing twice.

use super::{Daemon, connect, create};
use std::io::Write;
use std::time::Instant;

/// What a first start does in its new directory, each step durable before the next: the log, then
/// the identity that says there is one, then the epoch it is going to lead.
const FIRST_START: [&str; 10] = [
    "write log.0000000000000001.tmp",
    "sync log.0000000000000001.tmp",
    "rename log.0000000000000001.tmp log.0000000000000001",
    "sync data",
    "write identity.tmp",
    "sync identity.tmp",
    "rename identity.tmp identity",
    "sync data",
    "write log.0000000000000001",
    "sync log.0000000000000001",
];

#[tokio::test]
async fn a_first_start_syncs_what_it_must_and_nothing_twice() {
    let mut daemon = Daemon::new().trapped();
    let begun = Instant::now();
    daemon.start();
    let took = begun.elapsed();
    let told = format!("from nothing to `imok`: {} ms\n", took.as_millis());
    std::io::stderr().write_all(told.as_bytes()).expect("writes");
    let client = connect(&daemon).await;
    let parent = daemon.root().file_name().unwrap_or_default().display().to_string();
    let mut trace = daemon.trace();
    // A new segment is filled with zeros piece by piece.
    trace.dedup_by(|next, step| next == step && step.starts_with("write"));
    assert_eq!(trace[0], format!("sync {parent}"), "the new directory's name is not durable");
    assert_eq!(trace[1..=FIRST_START.len()], FIRST_START);
    let before = daemon.trace().len();
    assert_eq!(create(&client, 0..1, 10).await, (1, None));
    let after = daemon.trace().split_off(before);
    // A mark may stand before or behind.
    let written: Vec<_> = after.iter().filter(|step| step.starts_with("sync")).collect();
    assert_eq!(written, ["sync log.0000000000000001"], "{after:?}");
}

#[tokio::test]
async fn what_a_start_says_comes_in_order() {
    let mut daemon = Daemon::new();
    daemon.start();
    assert_eq!(daemon.stop(), 0);
    let told = daemon.told();
    let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("no `{part}` in: {told}"));
    assert!(at("running on the built-in configuration") < at("recovered"), "{told}");
    assert!(at("recovered") < at("awaiting clients"), "{told}");
    assert!(at("awaiting clients") < at("asked to stop"), "{told}");
    assert!(at("asked to stop") < at("stopped; sessions are kept"), "{told}");
}
