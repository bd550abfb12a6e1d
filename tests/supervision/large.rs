//! A tree store with a large tree: how long it is away, and that writes go on being logged and
//! committed meanwhile. `OSTLER_TEST_ZNODES` says how large; a small one must do without it.

use super::load::{connect, runtime};
use super::server::{Drill, PATIENCE, Server};
use ostler::client::{Client, CreateOptions, Multi};
use std::time::{Duration, Instant};

/// So many take a while.
const LARGE: usize = 300_000;
/// Transactions that make them all, and what each makes: a directory and its znodes.
const ROUNDS: usize = 2000;
const FAULTS: [&str; 3] = ["change 1", "input 1", "change 2"];

#[test]
fn a_tree_store_with_a_large_tree_is_made_anew_while_writes_are_logged_and_committed() {
    let znodes = std::env::var("OSTLER_TEST_ZNODES")
        .map_or(20_000, |asked| asked.parse().expect("OSTLER_TEST_ZNODES is a number"));
    // Once, when nearly all are there; the rest is replayed from the log.
    let mut server = Server::start_with(&Drill::alone().snapshot_every(ROUNDS as u64 * 19 / 20));
    let runtime = runtime();
    let client = runtime.block_on(connect(&server.address(), 1));
    runtime.block_on(fill(&client, znodes / ROUNDS));
    let taken =
        || server.metric("cnt_snapshottime")?.parse::<u64>().ok().filter(|taken| *taken > 0);
    server.until("a snapshot", taken);
    let digest = server.word("srvr");
    for (restarts, fault) in (1..).zip(FAULTS) {
        server.strike("tree_store", fault);
        let synced = runtime.block_on(write_all_along(&client, &server, restarts));
        println!("{znodes} znodes, {fault}: {synced:?} syncs of the log meanwhile");
        // A small one is back before anybody can look twice.
        assert!(znodes < LARGE || synced > Some(0), "{synced:?} syncs while the tree was away");
    }
    let nodes =
        |told: &str| told.lines().find(|line| line.starts_with("Node count")).map(str::to_owned);
    assert_eq!(nodes(&server.word("srvr")), nodes(&digest));
    for (room, ms) in server.returns() {
        println!("{znodes} znodes: {room} back after {ms} ms");
    }
    runtime.block_on(client.close());
}

async fn fill(client: &Client, together: usize) {
    let plain = CreateOptions::default();
    let data = [7; 100];
    client.create("/counted", Some(b"0"), &plain).await.expect("creates");
    for round in 0..ROUNDS {
        let directory = format!("/d{round}");
        let mut multi = Multi::new().create(&directory, None, plain.clone());
        for znode in 1..together {
            let path = format!("{directory}/znode-{znode:06}");
            multi = multi.create(&path, Some(&data), plain.clone());
        }
        client.multi(multi).await.expect("creates");
    }
}

/// Writes now and then without waiting for answers until the room is back, and then waits for all
/// of them. How often the log was synced between the first time the room was seen to be down and
/// the last one.
async fn write_all_along(client: &Client, server: &Server, restarts: u64) -> Option<u64> {
    let before = client.data("/counted").await.expect("reads").1.version;
    let (mut sent, mut synced) = (Vec::new(), None::<(u64, u64)>);
    let begun = Instant::now();
    while server.restarts("tree_store") != Some(restarts) {
        assert!(begun.elapsed() < PATIENCE * 4, "it does not come back: {}", server.told_last());
        for _ in 0..4 {
            let client = client.clone();
            let write = async move { client.set_data("/counted", Some(b"1"), -1).await };
            sent.push(tokio::spawn(write));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if server.metric("room_state_tree_store").as_deref() == Some("rebuilding") {
            let syncs = server.metric("cnt_fsynctime").and_then(|syncs| syncs.parse().ok());
            let syncs: u64 = syncs.expect("syncs are counted");
            let (first, last) = synced.get_or_insert((syncs, syncs));
            *last = syncs.max(*first);
        }
    }
    let all = sent.len();
    for write in sent {
        write.await.expect("does not panic").expect("is answered");
    }
    let after = client.data("/counted").await.expect("reads").1.version;
    assert_eq!(after - before, i32::try_from(all).expect("a count"), "each write once");
    synced.map(|(first, last)| last - first)
}
