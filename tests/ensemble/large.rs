//! More written at once than the servers' links can hold.

use super::{PATIENCE, THREE, connect};
use crate::servers::{Format, Servers};
use ostler::client::{ClientOptions, CreateOptions};
use std::sync::Arc;

const CLIENTS: usize = 20;
/// Writes that each client has under way.
const AT_ONCE: usize = 8;
/// Of each write. All together are 144 MB, and a link holds 96.
const BYTES: usize = 900_000;
/// Of each server: a machine that has much else to do may keep one waiting too long. Servers that
/// sent more than a link holds would lose it several times a second.
const LINKS_LOST_MAX: usize = 4;

#[tokio::test]
async fn many_large_writes_at_one_server_part_no_servers() {
    let servers = Servers::started(Format::Ours, &THREE);
    let leader = servers.await_leader(&servers.ids());
    let follower = servers.ids().into_iter().find(|id| *id != leader).expect("three servers");
    for id in [follower, leader] {
        write_at(&servers.address(id)).await;
    }
    for id in servers.ids() {
        let log = servers.log(id);
        let lost = log.matches("link down").count();
        assert!(lost <= LINKS_LOST_MAX, "server {id}:\n{log}");
    }
}

/// All clients write at once, and every write is answered.
async fn write_at(server: &str) {
    let data = Arc::new(vec![7_u8; BYTES]);
    let (mut clients, mut answers) = (Vec::new(), Vec::new());
    for number in 0..CLIENTS {
        let client = connect(server, ClientOptions::default()).await;
        let path = format!("/large-{number}");
        // It is there already when the second server has its turn.
        let _ = client.create(&path, None, &CreateOptions::default()).await;
        clients.push((client, path));
    }
    for (client, path) in &clients {
        for _ in 0..AT_ONCE {
            let (client, path, data) = (client.clone(), path.clone(), data.clone());
            answers.push(tokio::spawn(async move {
                client.set_data(&path, Some(&data), -1).await.map(|stat| stat.version)
            }));
        }
    }
    for answer in answers {
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
        answer.expect("no panic").expect("no write is lost");
    }
    for (client, _) in clients {
        client.close().await;
    }
}
