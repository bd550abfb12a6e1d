//! Servers that have missed much, and servers that have all been away: what they have afterwards.

use super::{PATIENCE, THREE, connect, create, read_at};
use crate::servers::{Format, Servers, edit};
use ostler::client::{Client, ClientOptions, CreateOptions, Kind};

/// Znodes large enough that the log of their creation has several segments.
const ZNODES: usize = 200;
const BYTES: usize = 20_000;

#[tokio::test]
async fn a_server_that_missed_more_than_the_log_holds_gets_a_snapshot() {
    let mut servers = Servers::new(Format::Ours, &THREE);
    let file = servers.path("servers.toml");
    edit(&file, "[ensemble]\n", "[ensemble]\nwindow_bytes = 0\n");
    edit(&file, "[session]\n", SHORT_LOG);
    servers.spawn(1);
    servers.spawn(2);
    let leader = servers.await_leader(&[1, 2]);
    let client = connect(&servers.address(leader), ClientOptions::default()).await;
    create(&client, "/mine", Kind::Ephemeral).await;
    fill(&client).await;
    let first_segment = servers.path(&format!("data-{leader}/log.0000000000000001"));
    servers.until("the log's beginning is removed", || (!first_segment.exists()).then_some(()));
    servers.spawn(3);
    let first = servers.until("server 3 serves", || {
        Some(servers.word(3, "srvr")).filter(|answer| answer.contains("Mode: follower\n"))
    });
    // Records are written behind the server's back, so they may come a moment later.
    servers.until("the log tells of a snapshot", || {
        servers.log(3).contains("the snapshot is loaded").then_some(())
    });
    // From the first moment on, operators see a server that has everything.
    let count = first.lines().find_map(|line| line.strip_prefix("Node count: "));
    assert!(
        count.is_some_and(|count| count.parse::<usize>().is_ok_and(|count| count > ZNODES)),
        "{first}"
    );
    for number in [0, ZNODES - 1] {
        let read = read_at(&servers, 3, &format!("/large-{number}")).await;
        assert_eq!(read, Some(vec![b'x'; BYTES]));
    }
    // What it was given it has on its own disk: it leads when one of the others is away.
    servers.kill(leader);
    let left: Vec<_> = servers.ids().into_iter().filter(|id| *id != leader).collect();
    servers.await_leader(&left);
    let read = read_at(&servers, 3, "/large-0").await;
    assert_eq!(read, Some(vec![b'x'; BYTES]));
}

const SHORT_LOG: &str = "[snapshot]\nevery_txns = 50\nkept = 1\n\
                         [log]\nsegment_bytes = 1048576\n[session]\n";

async fn fill(client: &Client) {
    let data = vec![b'x'; BYTES];
    for number in 0..ZNODES {
        let path = format!("/large-{number}");
        let made = client.create(&path, Some(&data), &CreateOptions::default()).await;
        made.expect("creates");
    }
}

#[tokio::test]
async fn sessions_outlive_a_moment_without_any_server() {
    let mut servers = Servers::started(Format::ZooKeepers, &THREE);
    let client = connect(&servers.addresses(), ClientOptions::default()).await;
    create(&client, "/mine", Kind::Ephemeral).await;
    let (_, _, mut data) = client.data_watched("/mine").await.expect("reads");
    let mut states = client.session_events();
    for id in servers.ids() {
        servers.kill(id);
    }
    let lost = tokio::time::timeout(PATIENCE, states.next()).await.expect("in time");
    assert!(lost.is_some_and(|state| !state.is_connected()));
    servers.start_all();
    assert!(client.await_connected(PATIENCE).await.is_connected());
    assert_eq!(client.ephemerals("/").await.expect("the session lives"), ["/mine"]);
    client.set_data("/mine", Some(b"y"), 0).await.expect("sets");
    assert_eq!(super::next_shown(&mut data).await, "NodeDataChanged /mine");
    for id in servers.ids() {
        assert_eq!(read_at(&servers, id, "/mine").await.as_deref(), Some(b"y".as_slice()));
    }
    client.close().await;
}
