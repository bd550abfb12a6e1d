//! Ensembles of real processes, from configuration files, as clients and operators see them.
//!
//! What becomes of histories when servers crash at every possible moment is tried in the
//! simulator; here is what only processes, files and sockets can show.

mod history;
mod large;
mod once;
mod rolling;
mod servers;

use ostler::client::{
    Client, ClientError, ClientOptions, CreateOptions, Kind, Protocol, SessionState, Watch,
    WatchMode,
};
use servers::{Format, OBSERVER, Servers, VOTER, edit};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const THREE: [&str; 3] = [VOTER; 3];

async fn connect(servers: &str, options: ClientOptions) -> Client {
    Client::connect(servers, options).await.expect("a server takes a session up")
}

async fn create(client: &Client, path: &str, kind: Kind) {
    let made = client.create(path, Some(b"x"), &CreateOptions::of(kind)).await;
    assert_eq!(made.expect("creates").0, path);
}

async fn next_shown(watch: &mut Watch) -> String {
    let event = tokio::time::timeout(PATIENCE, watch.next()).await.expect("an event in time");
    let event = event.expect("one more event");
    format!("{} {}", event.kind.name(), event.path)
}

/// What a client of this server reads, when it has everything that was written before.
async fn read_at(servers: &Servers, id: u64, path: &str) -> Option<Vec<u8>> {
    let client = connect(&servers.address(id), ClientOptions::default()).await;
    client.sync("/").await.expect("syncs");
    let data = client.data(path).await.expect("reads").0;
    client.close().await;
    data
}

#[tokio::test]
async fn three_servers_are_one_service() {
    let servers = Servers::started(Format::Ours, &THREE);
    let mut modes: Vec<_> = servers.ids().iter().map(|id| servers.mode(*id)).collect();
    modes.sort_unstable();
    assert_eq!(modes, ["follower", "follower", "leader"]);
    for (id, protocol) in [(1, Protocol::ZooKeeper), (2, Protocol::Native), (3, Protocol::Native)] {
        let writer = connect(&servers.address(id), speaking(protocol)).await;
        create(&writer, &format!("/by-{id}"), Kind::Persistent).await;
        writer.close().await;
    }
    for reader in servers.ids() {
        for writer in servers.ids() {
            let read = read_at(&servers, reader, &format!("/by-{writer}")).await;
            assert_eq!(read.as_deref(), Some(b"x".as_slice()));
        }
    }
    what_operators_see(&servers);
    the_members_stand_in_the_tree(&servers).await;
    linearizable_reads_show_what_anybody_was_told(&servers).await;
    watches_hear_of_writes_elsewhere(&servers).await;
    a_session_moves(&servers).await;
}

fn speaking(protocol: Protocol) -> ClientOptions {
    ClientOptions { protocol, ..ClientOptions::default() }
}

fn what_operators_see(servers: &Servers) {
    let leader = servers.await_leader(&servers.ids());
    for id in servers.ids() {
        let conf = servers.word(id, "conf");
        let expected = format!(
            "membership: \nserver.1=127.0.0.1:{0}:{0}:participant;{1}\n",
            servers.peer_port(1),
            servers.address(1)
        );
        assert!(conf.contains(&expected) && conf.ends_with("version=0\n"), "{conf}");
        assert_eq!(servers.word(id, "isro"), "rw");
        assert_eq!(servers.metric(id, "zk_quorum_size").as_deref(), Some("3"));
        assert_eq!(servers.metric(id, "zk_connected_members").as_deref(), Some("2"));
        assert_eq!(servers.metric(id, "zk_server_state"), Some(servers.mode(id)));
        let leads = (id == leader).then(|| "2".to_owned());
        assert_eq!(servers.metric(id, "zk_synced_followers"), leads);
        let dump = servers.word(id, "dump");
        assert_eq!(dump.contains("Global Sessions("), id != leader, "{dump}");
    }
    let count = |id, name: &str| servers.metric(id, name).and_then(|value| value.parse().ok());
    let follower = servers.ids().into_iter().find(|id| *id != leader).expect("three servers");
    assert!(count(leader, "zk_ack_received_count") > Some(1), "a write needs acknowledgements");
    assert!(count(follower, "zk_learner_proposal_received_count") > Some(5));
    let state = servers.metric(leader, "zk_peer_state");
    assert_eq!(state.as_deref(), Some("leading - broadcast"));
    assert!(servers.word(leader, "srvr").contains("\nProposal sizes last/min/max: "));
}

async fn the_members_stand_in_the_tree(servers: &Servers) {
    let mut trees = Vec::new();
    for id in servers.ids() {
        let client = connect(&servers.address(id), ClientOptions::default()).await;
        client.sync("/").await.expect("syncs");
        let (text, stat) = client.data("/zookeeper/config").await.expect("reads");
        let text = String::from_utf8(text.expect("is not null")).expect("is text");
        let told = servers.word(id, "conf");
        assert!(told.ends_with(&format!("membership: \n{text}\n")), "{told}\n{text}");
        assert_eq!((stat.version, stat.mzxid), (-1, 0));
        trees.push((text, stat));
        client.close().await;
    }
    assert!(trees.iter().all(|tree| *tree == trees[0]), "{trees:?}");
}

async fn linearizable_reads_show_what_anybody_was_told(servers: &Servers) {
    let options = ClientOptions { linearizable: true, ..speaking(Protocol::Native) };
    let mut clients = Vec::new();
    for id in servers.ids() {
        clients.push(connect(&servers.address(id), options.clone()).await);
    }
    create(&clients[0], "/told", Kind::Persistent).await;
    for round in 0..100 {
        let told = clients[round % 3].set_data("/told", None, -1).await.expect("sets");
        for reader in &clients {
            let (_, stat) = reader.data("/told").await.expect("reads");
            assert_eq!(stat.version, told.version, "round {round}");
        }
    }
    for client in clients {
        client.close().await;
    }
}

async fn watches_hear_of_writes_elsewhere(servers: &Servers) {
    let watcher = connect(&servers.address(1), ClientOptions::default()).await;
    let (_, mut made) = watcher.exists_watched("/watched").await.expect("answers");
    let mut tree = watcher.watch("/", WatchMode::PersistentRecursive).await.expect("sets");
    let writer = connect(&servers.address(3), ClientOptions::default()).await;
    create(&writer, "/watched", Kind::Persistent).await;
    writer.delete("/watched", -1).await.expect("deletes");
    assert_eq!(next_shown(&mut made).await, "NodeCreated /watched");
    assert_eq!(next_shown(&mut tree).await, "NodeCreated /watched");
    assert_eq!(next_shown(&mut tree).await, "NodeDeleted /watched");
    watcher.close().await;
    writer.close().await;
}

async fn a_session_moves(servers: &Servers) {
    let first = connect(&servers.address(1), ClientOptions::default()).await;
    create(&first, "/moving", Kind::Ephemeral).await;
    let mut states = first.session_events();
    let options = ClientOptions { session: Some(first.ticket()), ..ClientOptions::default() };
    let second = connect(&servers.address(2), options.clone()).await;
    assert_eq!(second.ticket(), first.ticket());
    // The server it was at hears of it and ends the older connection.
    let left = tokio::time::timeout(PATIENCE, states.next()).await.expect("in time");
    assert_eq!(left, Some(SessionState::Disconnected));
    drop((first, second));
    let third = connect(&servers.address(3), options).await;
    assert_eq!(third.ephemerals("/").await.expect("lists"), ["/moving"]);
    third.close().await;
    let other = connect(&servers.address(1), ClientOptions::default()).await;
    other.sync("/").await.expect("syncs");
    assert_eq!(other.exists("/moving").await, Ok(None));
    other.close().await;
}

#[tokio::test]
async fn sessions_of_a_follower_live_by_their_pings_and_expire_without_them() {
    let servers = Servers::started(Format::ZooKeepers, &THREE);
    let leader = servers.await_leader(&servers.ids());
    let followers: Vec<_> = servers.ids().into_iter().filter(|id| *id != leader).collect();
    let session_timeout = Duration::from_millis(1_000);
    let short = ClientOptions { session_timeout, ..ClientOptions::default() };
    let idle = connect(&servers.address(followers[0]), short.clone()).await;
    create(&idle, "/idle", Kind::Ephemeral).await;
    let watcher = connect(&servers.address(followers[1]), ClientOptions::default()).await;
    watcher.sync("/").await.expect("syncs");
    let (found, mut gone) = watcher.exists_watched("/idle").await.expect("answers");
    assert!(found.is_some());
    let mut states = idle.session_events();
    let quiet = tokio::time::timeout(session_timeout * 3, states.next()).await;
    assert!(quiet.is_err(), "the connection was lost: {quiet:?}");
    assert_eq!(gone.try_next().map(|event| event.kind.name()), None);
    let ticket = idle.ticket();
    drop(idle);
    assert_eq!(next_shown(&mut gone).await, "NodeDeleted /idle");
    let options = ClientOptions { session: Some(ticket), ..short };
    let late = Client::connect(&servers.address(leader), options).await;
    assert_eq!(late.expect_err("the session has expired"), ClientError::SessionExpired);
}

#[tokio::test]
async fn killed_servers_are_missed_by_nobody_and_come_back() {
    let mut servers = Servers::started(Format::ZooKeepers, &THREE);
    let client = connect(&servers.addresses(), ClientOptions::default()).await;
    create(&client, "/mine", Kind::Ephemeral).await;
    for round in ["follower", "leader"] {
        let leader = servers.await_leader(&servers.ids());
        let victim = match round {
            "leader" => leader,
            _ => servers.ids().into_iter().find(|id| *id != leader).expect("three servers"),
        };
        servers.kill(victim);
        create_somehow(&client, &format!("/without-{round}")).await;
        servers.spawn(victim);
        servers.await_serving(victim);
        let read = read_at(&servers, victim, &format!("/without-{round}")).await;
        assert_eq!(read.as_deref(), Some(b"x".as_slice()));
    }
    assert_eq!(client.ephemerals("/").await.expect("the session lives"), ["/mine"]);
    client.close().await;
    // A zxid is read at one moment and the tree at another, so all have to be still.
    let told = |id| Some(servers.word(id, "srvr")).filter(|told| told.contains("Node count"));
    let line =
        |id, start| told(id)?.lines().find(|line| line.starts_with(start)).map(str::to_owned);
    for start in ["Zxid: ", "Node count: "] {
        let same = || {
            let all: Vec<_> = servers.ids().into_iter().map(|id| line(id, start)).collect();
            all.windows(2).all(|pair| pair[0] == pair[1] && pair[0].is_some()).then_some(())
        };
        servers.until("all servers show the same", same);
    }
}

/// Creates through lost connections: whether a create that was not answered happened, the next
/// one tells.
async fn create_somehow(client: &Client, path: &str) {
    loop {
        match client.create(path, Some(b"x"), &CreateOptions::default()).await {
            Ok(_) => return,
            Err(ClientError::ConnectionLoss) => {
                assert!(client.await_connected(PATIENCE).await.is_connected());
            }
            Err(error) if error.code() == Some(ostler::client::ErrorCode::NodeExists) => return,
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

#[tokio::test]
async fn an_observer_learns_and_never_decides() {
    let mut servers = Servers::started(Format::Ours, &[VOTER, VOTER, VOTER, OBSERVER]);
    assert_eq!(servers.mode(4), "observer");
    let client = connect(&servers.address(4), ClientOptions::default()).await;
    create(&client, "/observed", Kind::Persistent).await;
    let leader = servers.await_leader(&[1, 2, 3]);
    assert_eq!(servers.metric(leader, "zk_synced_observers").as_deref(), Some("1"));
    assert_eq!(servers.metric(leader, "zk_quorum_size").as_deref(), Some("3"));
    assert_eq!(read_at(&servers, leader, "/observed").await.as_deref(), Some(b"x".as_slice()));
    let left: Vec<_> = (1..=3).filter(|id| *id != leader).collect();
    servers.kill(leader);
    create_somehow(&client, "/still").await;
    servers.kill(left[0]);
    let lonely = || {
        let told = "This ZooKeeper instance is not currently serving requests\n";
        [left[1], 4].iter().all(|id| servers.word(*id, "srvr") == told).then_some(())
    };
    servers.until("one voter and an observer decide nothing", lonely);
    assert_eq!(servers.word(4, "isro"), "null");
    assert_eq!(servers.word(4, "ruok"), "imok");
    servers.spawn(left[0]);
    create_somehow(&client, "/again").await;
    assert_eq!(read_at(&servers, 4, "/again").await.as_deref(), Some(b"x".as_slice()));
}

#[tokio::test]
async fn wrong_configurations_are_told_and_join_nothing() {
    let mut servers = Servers::new(Format::Ours, &THREE);
    let with_number =
        |id: &str| ["--config", "servers.toml", "--server-id", id].map(str::to_owned).to_vec();
    servers.spawn_with(3, &with_number("9"));
    assert_eq!(servers.ends(3), 2);
    servers.await_log(3, "--server-id: server.id: this is server 9, and the members are 1, 2, 3");
    servers.spawn_with(3, &with_number("7")[..2]);
    assert_eq!(servers.ends(3), 2);
    servers.await_log(3, "nothing says which member this server is");
    servers.spawn(1);
    servers.spawn(2);
    servers.await_leader(&[1, 2]);
    // The number of a server that runs, with a port for clients and a directory of its own.
    let mut twice = with_number("2");
    let port = servers.client_port(3).to_string();
    twice.extend(["--client-port", &port, "--data-dir", "data-3"].map(str::to_owned));
    servers.spawn_with(3, &twice);
    assert_eq!(servers.ends(3), 14);
    servers.await_log(3, "cannot listen for other members on 127.0.0.1:");
    // A file that names other members than those of the others.
    let other = servers.path("other.toml");
    std::fs::copy(servers.path("servers.toml"), &other).expect("copies");
    edit(&other, "members = [\n", "members = [\n\"9=127.0.0.1:9\",\n");
    let mut arguments = with_number("3");
    "other.toml".clone_into(&mut arguments[1]);
    servers.spawn_with(3, &arguments);
    servers.await_log(3, "its configuration names other members: make the files of all servers");
    servers.await_log(1, "its configuration names other members: make the files of all servers");
    assert_eq!(servers.mode(3), "");
    servers.kill(3);
    assert_eq!(servers.log(1).matches("a link was refused").count(), 1, "told once a minute");
    servers.spawn(3);
    assert_eq!(servers.await_serving(3), "follower");
}
