//! Writes of native clients take effect exactly once, whichever server dies under them.

use super::{PATIENCE, THREE, connect, speaking};
use crate::servers::{Format, Servers};
use ostler::client::{Client, CreateOptions, Protocol};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const WRITERS: usize = 3;
const AT_ONCE: usize = 20;

#[tokio::test]
async fn each_write_happens_once_while_servers_are_killed_in_turn() {
    let servers = Servers::started(Format::Ours, &THREE);
    let (over, all) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let client = connect(&servers.addresses(), speaking(Protocol::Native)).await;
        let parent = format!("/writer-{number}");
        client.create(&parent, None, &CreateOptions::default()).await.expect("creates");
        writers.push(tokio::spawn(write(client, parent, over.clone(), all.clone())));
    }
    let killed = tokio::task::spawn_blocking(move || kill_in_turn(servers, &all)).await;
    let servers = killed.expect("all servers had their turn");
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        let (client, parent, told) = writer.await.expect("no write is lost");
        client.sync("/").await.expect("syncs");
        let (names, stat) = client.children(&parent).await.expect("lists");
        assert_eq!(names.len(), told, "each write happened once");
        assert_eq!(usize::try_from(stat.cversion), Ok(told));
        client.close().await;
    }
    drop(servers);
}

/// Kills every server once while clients write, the leader last.
fn kill_in_turn(mut servers: Servers, all: &AtomicU64) -> Servers {
    let progress = |servers: &Servers| {
        let before = all.load(Ordering::Relaxed);
        let more = || (all.load(Ordering::Relaxed) > before + 100).then_some(());
        servers.until("clients go on", more);
    };
    for _ in 0..2 {
        for id in servers.ids() {
            progress(&servers);
            servers.kill(id);
            progress(&servers);
            servers.spawn(id);
            servers.await_serving(id);
        }
    }
    servers
}

/// Makes numbered znodes, many at once, and demands that each is told its own number, in order.
async fn write(
    client: Client,
    parent: String,
    over: Arc<AtomicBool>,
    all: Arc<AtomicU64>,
) -> (Client, String, usize) {
    let mut told = 0;
    let sequential = CreateOptions::default().sequential();
    while !over.load(Ordering::Relaxed) {
        let mut answers = Vec::new();
        for _ in 0..AT_ONCE {
            let (client, path, options) =
                (client.clone(), format!("{parent}/"), sequential.clone());
            answers.push(tokio::spawn(async move { client.create(&path, None, &options).await }));
        }
        for answer in answers {
            let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
            let (path, _) = answer.expect("no panic").expect("no write is lost");
            assert_eq!(path, format!("{parent}/{told:010}"));
            told += 1;
            all.fetch_add(1, Ordering::Relaxed);
        }
    }
    (client, parent, told)
}
