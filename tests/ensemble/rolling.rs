//! Servers restarted, killed or paused one after the other, while clients go on.

use super::{PATIENCE, THREE, connect, read_at};
use crate::servers::{Format, Servers};
use ostler::client::{Client, ClientError, ClientOptions, CreateOptions, ErrorCode, Kind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const WRITERS: usize = 3;
/// Long enough to find another server, and short enough to notice one that is silent.
const SESSION: Duration = Duration::from_secs(6);

/// What a writer was told.
struct Told {
    /// Writes that were answered, in order.
    answered: u64,
    client: Client,
}

#[tokio::test]
async fn a_rolling_restart_costs_clients_a_reconnect_and_nothing_else() {
    clients_go_on_while(|servers, id, progress| {
        assert_eq!(servers.stop(id), 0, "{}", servers.log(id));
        progress(servers);
        servers.spawn(id);
        servers.await_serving(id);
    })
    .await;
}

#[tokio::test]
async fn servers_killed_one_after_the_other_lose_nothing() {
    clients_go_on_while(|servers, id, progress| {
        servers.kill(id);
        progress(servers);
        servers.spawn(id);
        servers.await_serving(id);
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_was_paused_follows_when_it_wakes_up() {
    clients_go_on_while(|servers, id, progress| {
        if servers.mode(id) != "leader" {
            return;
        }
        let others: Vec<_> = servers.ids().into_iter().filter(|other| *other != id).collect();
        servers.signal(id, "-STOP");
        servers.await_leader(&others);
        progress(servers);
        servers.signal(id, "-CONT");
        let follows = || (servers.mode(id) == "follower").then_some(());
        servers.until("it follows", follows);
    })
    .await;
}

/// Lets something happen to each server, one after the other, under writers that must not notice
/// more than a lost connection.
async fn clients_go_on_while(
    happens: impl Fn(&mut Servers, u64, &dyn Fn(&Servers)) + Send + 'static,
) {
    let servers = Servers::started(Format::Ours, &THREE);
    let (over, all) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let options = ClientOptions { session_timeout: SESSION, ..ClientOptions::default() };
        let client = connect(&servers.addresses(), options).await;
        writers.push(tokio::spawn(write(client, number, over.clone(), all.clone())));
    }
    // It waits for processes, so it does so where no client waits for it.
    let rolled = tokio::task::spawn_blocking(move || roll(servers, &all, happens)).await;
    let servers = rolled.expect("all servers had their turn");
    over.store(true, Ordering::Relaxed);
    for (number, writer) in writers.into_iter().enumerate() {
        let Told { answered, client } = writer.await.expect("no writer fails");
        let mine = client.ephemerals("/").await.expect("the session lives");
        assert_eq!(mine, [format!("/alive-{number}")]);
        for id in servers.ids() {
            let last = read_at(&servers, id, &format!("/counter-{number}")).await;
            assert_eq!(last, Some(answered.to_string().into_bytes()), "at server {id}");
        }
    }
}

fn roll(
    mut servers: Servers,
    all: &AtomicU64,
    happens: impl Fn(&mut Servers, u64, &dyn Fn(&Servers)),
) -> Servers {
    let progress = |servers: &Servers| {
        let before = all.load(Ordering::Relaxed);
        let more = || (all.load(Ordering::Relaxed) > before + 20).then_some(());
        servers.until("clients go on", more);
    };
    for id in servers.ids() {
        progress(&servers);
        happens(&mut servers, id, &progress);
    }
    progress(&servers);
    servers
}

/// Counts up in a znode; each write names the version it replaces, so that none is made twice.
async fn write(client: Client, number: usize, over: Arc<AtomicBool>, all: Arc<AtomicU64>) -> Told {
    let (path, alive) = (format!("/counter-{number}"), format!("/alive-{number}"));
    let made = client.create(&alive, None, &CreateOptions::of(Kind::Ephemeral)).await;
    made.expect("creates");
    client.create(&path, Some(b"0"), &CreateOptions::default()).await.expect("creates");
    let mut answered = 0;
    while !over.load(Ordering::Relaxed) {
        let next = answered + 1;
        let version = i32::try_from(answered).expect("a short test");
        match client.set_data(&path, Some(next.to_string().as_bytes()), version).await {
            Ok(stat) => assert_eq!(stat.version, version + 1),
            Err(ClientError::ConnectionLoss) => {
                assert!(client.await_connected(PATIENCE).await.is_connected());
                continue;
            }
            // The lost answer was to a write that had happened: only this client writes here.
            Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
                client.sync("/").await.ok();
                match client.data(&path).await {
                    Ok((data, _)) => assert_eq!(data, Some(next.to_string().into_bytes())),
                    Err(_) => continue,
                }
            }
            Err(error) => panic!("writer {number}: {error}"),
        }
        answered = next;
        all.fetch_add(1, Ordering::Relaxed);
    }
    Told { answered, client }
}
