//! The client library and the shell against a running server: one that this test starts, or the
//! one that `OSTLER_TEST_SERVER` names as `host:port`. That may be ZooKeeper's, for the tests that
//! have `zookeeper` in their names.

mod once;
mod protocols;
mod race;
mod server;
mod shell;
mod words;

use ostler::client::{
    Client, ClientError, ClientOptions, CreateOptions, ErrorCode, EventKind, Multi, MultiError,
    MultiResult, Protocol, ReadResult, Reconfiguration, RemoveKind, SessionState, Watch, WatchMode,
    WatchedEvent,
};
use ostler_core::types::Kind;
use server::Server;
use std::time::Duration;

/// Makes of each function named one test a protocol: what a client sees must not depend on it.
macro_rules! in_both_protocols {
    ($($name:ident,)*) => {
        mod zookeeper {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Protocol::ZooKeeper).await;
            })*
        }

        mod native {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Protocol::Native).await;
            })*
        }
    };
}

in_both_protocols! {
    a_znode_lives_through_its_operations,
    answers_come_in_the_order_of_the_questions,
    a_multi_happens_whole_or_not_at_all,
    watches_hear_what_they_were_set_for,
    a_session_taken_over_keeps_ephemerals_and_watches,
    identities_are_proven_and_open_what_they_own,
    a_client_finds_a_restarted_server_again,
    an_idle_client_keeps_its_session_by_pings,
    no_server_means_connection_loss_and_no_hanging,
    every_operation_is_answered,
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A client whose root is a znode of this test alone.
struct Playground {
    server: Server,
    client: Client,
    root: String,
}

impl Playground {
    async fn open(name: &str, protocol: Protocol) -> Self {
        let server = Server::start();
        let outside = connect(&server.address(), speaking(protocol)).await;
        let root = format!("/client-test-{name}-{protocol:?}-{}", std::process::id());
        outside.create(&root, None, &CreateOptions::default()).await.expect("a fresh root");
        outside.close().await;
        let client = connect(&format!("{}{root}", server.address()), speaking(protocol)).await;
        Self { server, client, root }
    }

    async fn another(&self, options: ClientOptions) -> Client {
        connect(&format!("{}{}", self.server.address(), self.root), options).await
    }

    async fn make(&self, path: &str) {
        let made = self.client.create(path, Some(b"x"), &CreateOptions::default()).await;
        assert_eq!(made.expect("creates").0, path);
    }
}

/// Options of a client that speaks this protocol.
fn speaking(protocol: Protocol) -> ClientOptions {
    ClientOptions { protocol, ..ClientOptions::default() }
}

async fn connect(servers: &str, options: ClientOptions) -> Client {
    Client::connect(servers, options).await.expect("the server takes a session up")
}

async fn next(watch: &mut Watch) -> Option<WatchedEvent> {
    tokio::time::timeout(PATIENCE, watch.next()).await.expect("an event in time")
}

async fn next_shown(watch: &mut Watch) -> String {
    let event = next(watch).await.expect("one more event");
    format!("{} {}", event.kind.name(), event.path)
}

fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Option<ErrorCode> {
    result.expect_err("refused").code()
}

async fn a_znode_lives_through_its_operations(protocol: Protocol) {
    let place = Playground::open("life", protocol).await;
    let client = &place.client;
    let (path, made) =
        client.create("/a", Some(b"one"), &CreateOptions::default()).await.expect("creates");
    assert_eq!(path, "/a");
    assert_eq!(client.data("/a").await.expect("reads"), (Some(b"one".to_vec()), made));
    let set = client.set_data("/a", None, 0).await.expect("sets");
    assert_eq!((set.version, client.data("/a").await.expect("reads").0), (1, None));
    assert_eq!(code(client.set_data("/a", None, 0).await), Some(ErrorCode::BadVersion));
    let sequential = CreateOptions::default().sequential();
    let numbered = client.create("/a/", None, &sequential).await.expect("creates").0;
    assert_eq!(numbered, "/a/0000000000");
    assert_eq!(client.children("/a").await.expect("lists").0, ["0000000000"]);
    assert_eq!(client.descendant_count("/").await.expect("counts"), 2);
    assert_eq!(code(client.delete("/a", -1).await), Some(ErrorCode::NotEmpty));
    client.delete(&numbered, 0).await.expect("deletes");
    client.delete("/a", -1).await.expect("deletes");
    assert_eq!(client.exists("/a").await, Ok(None));
    assert_eq!(code(client.data("/a").await), Some(ErrorCode::NoNode));
    client.sync("/").await.expect("syncs");
    client.close().await;
    assert_eq!(client.state(), SessionState::Closed);
    assert_eq!(client.exists("/a").await, Err(ClientError::SessionExpired));
}

async fn answers_come_in_the_order_of_the_questions(protocol: Protocol) {
    let place = Playground::open("order", protocol).await;
    let sequential = CreateOptions::default().sequential();
    let creates = (0..500).map(|_| {
        let (client, options) = (place.client.clone(), sequential.clone());
        async move { client.create("/n", None, &options).await.expect("creates").0 }
    });
    let names = join_all(creates).await;
    let expected: Vec<String> = (0..500).map(|number| format!("/n{number:010}")).collect();
    assert_eq!(names, expected);
}

/// Polls all futures in order until all are done.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, result) in &mut running {
            if result.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
            {
                *result = Some(done);
            }
        }
        match running.iter().all(|(_, result)| result.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    running.into_iter().filter_map(|(_, result)| result).collect()
}

async fn a_multi_happens_whole_or_not_at_all(protocol: Protocol) {
    let place = Playground::open("multi", protocol).await;
    let client = &place.client;
    let multi = Multi::new()
        .create("/m", None, CreateOptions::default())
        .set_data("/m", Some(b"x"), 0)
        .check("/m", 1)
        .create("/m/e-", None, CreateOptions::of(Kind::Ephemeral).sequential());
    let results = client.multi(multi).await.expect("all happen");
    assert!(matches!(&results[0], MultiResult::Created { path, .. } if path == "/m"));
    assert!(matches!(&results[3], MultiResult::Created { path, .. } if path == "/m/e-0000000000"));
    let multi = Multi::new().delete("/m/e-0000000000", -1).check("/m", 7).delete("/m", -1);
    let refused = client.multi(multi).await.expect_err("one is refused");
    let MultiError::Refused { index, error } = refused else { panic!("{refused:?}") };
    assert_eq!((index, error.code()), (1, Some(ErrorCode::BadVersion)));
    assert_eq!(client.children("/m").await.expect("lists").0.len(), 1);
    let reads = client.multi_read(&["/m", "/none"], &["/m"]).await.expect("reads");
    assert!(matches!(&reads[0], ReadResult::Data(Some(data), _) if data == b"x"));
    assert_eq!(reads[1], ReadResult::Refused(ErrorCode::NoNode));
    assert_eq!(reads[2], ReadResult::Children(vec!["e-0000000000".into()]));
}

async fn watches_hear_what_they_were_set_for(protocol: Protocol) {
    let place = Playground::open("watches", protocol).await;
    let client = &place.client;
    let mut tree = client.watch("/", WatchMode::PersistentRecursive).await.expect("sets");
    let (none, mut exists) = client.exists_watched("/a").await.expect("answers");
    assert_eq!(none, None);
    let (_, _, mut list) = client.children_watched("/").await.expect("lists");
    place.make("/a").await;
    let (_, _, mut data) = client.data_watched("/a").await.expect("reads");
    client.set_data("/a", None, -1).await.expect("sets");
    client.delete("/a", -1).await.expect("deletes");
    assert_eq!(next_shown(&mut exists).await, "NodeCreated /a");
    assert_eq!(next(&mut exists).await, None);
    assert_eq!(next_shown(&mut list).await, "NodeChildrenChanged /");
    assert_eq!(next_shown(&mut data).await, "NodeDataChanged /a");
    for expected in ["NodeCreated /a", "NodeDataChanged /a", "NodeDeleted /a"] {
        assert_eq!(next_shown(&mut tree).await, expected);
    }
    client.check_watches("/", RemoveKind::Any).await.expect("is there");
    client.remove_watches("/", RemoveKind::Any).await.expect("removes");
    assert_eq!(next_shown(&mut tree).await, "PersistentWatchRemoved /");
    assert_eq!(code(client.remove_watches("/", RemoveKind::Any).await), Some(ErrorCode::NoWatcher));
    assert_eq!(code(client.data_watched("/none").await), Some(ErrorCode::NoNode));
}

async fn a_session_taken_over_keeps_ephemerals_and_watches(protocol: Protocol) {
    let place = Playground::open("takeover", protocol).await;
    let first = place.another(speaking(protocol)).await;
    first.create("/e", None, &CreateOptions::of(Kind::Ephemeral)).await.expect("creates");
    assert_eq!(first.ephemerals("/").await.expect("lists"), ["/e"]);
    let (_, _, mut data) = first.data_watched("/e").await.expect("reads");
    let mut tree = first.watch("/", WatchMode::PersistentRecursive).await.expect("sets");
    let mut states = first.session_events();
    let ticket = first.ticket();
    // The server closes the older connection of a session; the second client leaves at once and
    // the first one comes back.
    let options = ClientOptions { session: Some(ticket), ..speaking(protocol) };
    drop(place.another(options.clone()).await);
    assert_eq!(states.next().await, Some(SessionState::Disconnected));
    assert!(first.await_connected(PATIENCE).await.is_connected());
    place.client.set_data("/e", Some(b"y"), -1).await.expect("sets");
    assert_eq!(next_shown(&mut data).await, "NodeDataChanged /e");
    assert_eq!(next(&mut tree).await.map(|event| event.kind), Some(EventKind::Resumed));
    let mut kind = next(&mut tree).await.expect("goes on").kind;
    while kind == EventKind::Resumed {
        kind = next(&mut tree).await.expect("goes on").kind;
    }
    assert_eq!(kind, EventKind::NodeDataChanged);
    drop(first);
    let second = place.another(options.clone()).await;
    assert_eq!(second.ticket(), ticket);
    assert_eq!(second.ephemerals("/").await.expect("lists"), ["/e"]);
    second.close().await;
    assert_eq!(place.client.exists("/e").await, Ok(None));
    let gone = Client::connect(&place.server.address(), options).await;
    assert_eq!(gone.expect_err("the session has ended"), ClientError::SessionExpired);
}

async fn identities_are_proven_and_open_what_they_own(protocol: Protocol) {
    let place = Playground::open("auth", protocol).await;
    place.client.add_auth("digest", b"hal:nine").await.expect("is taken");
    let ids = place.client.who_am_i().await.expect("answers");
    assert!(ids.iter().any(|id| id.scheme == "digest" && id.id == "hal"), "{ids:?}");
    let mut options = CreateOptions::default();
    options.acl[0].scheme = "auth".into();
    options.acl[0].id = String::new();
    place.client.create("/mine", None, &options).await.expect("creates");
    let stranger = place.another(speaking(protocol)).await;
    assert_eq!(code(stranger.data("/mine").await), Some(ErrorCode::NoAuth));
    let (acl, _) = place.client.acl("/mine").await.expect("reads");
    assert_eq!(acl[0].scheme, "digest");
    let opened = place.client.set_acl("/mine", &ostler::client::open_acl(), 0).await;
    assert_eq!(opened.expect("sets").aversion, 1);
    assert!(stranger.data("/mine").await.is_ok());
    assert_eq!(stranger.add_auth("nosuch", b"x").await, Err(ClientError::AuthFailed));
    assert_eq!(stranger.state(), SessionState::AuthFailed);
}

async fn a_client_finds_a_restarted_server_again(protocol: Protocol) {
    let mut server = Server::start_own();
    // Otherwise a native client's requests wait for the server to come back.
    let options = ClientOptions { exactly_once: false, ..speaking(protocol) };
    let client = connect(&server.address(), options).await;
    client.create("/e", None, &CreateOptions::of(Kind::Ephemeral)).await.expect("creates");
    let mut tree = client.watch("/", WatchMode::PersistentRecursive).await.expect("sets");
    let (_, _, mut data) = client.data_watched("/e").await.expect("reads");
    let ticket = client.ticket();
    let mut states = client.session_events();
    server.kill();
    assert_eq!(states.next().await, Some(SessionState::Disconnected));
    assert_eq!(client.data("/e").await, Err(ClientError::ConnectionLoss));
    server.restart();
    assert_eq!(states.next().await, Some(SessionState::SyncConnected));
    assert_eq!(client.ticket(), ticket);
    assert_eq!(client.ephemerals("/").await.expect("lists"), ["/e"]);
    client.set_data("/e", Some(b"y"), -1).await.expect("sets");
    assert_eq!(next_shown(&mut data).await, "NodeDataChanged /e");
    assert_eq!(next(&mut tree).await.map(|event| event.kind), Some(EventKind::Resumed));
    assert_eq!(next_shown(&mut tree).await, "NodeDataChanged /e");
    client.close().await;
}

async fn an_idle_client_keeps_its_session_by_pings(protocol: Protocol) {
    let place = Playground::open("pings", protocol).await;
    let session_timeout = Duration::from_millis(1_000);
    let idle = place.another(ClientOptions { session_timeout, ..speaking(protocol) }).await;
    idle.create("/e", None, &CreateOptions::of(Kind::Ephemeral)).await.expect("creates");
    let mut states = idle.session_events();
    let quiet = tokio::time::timeout(idle.session_timeout() * 3, states.next()).await;
    assert!(quiet.is_err(), "the connection was lost: {quiet:?}");
    assert!(place.client.exists("/e").await.expect("answers").is_some());
    let ticket = idle.ticket();
    drop(idle);
    let (_, mut gone) = place.client.exists_watched("/e").await.expect("answers");
    assert_eq!(next_shown(&mut gone).await, "NodeDeleted /e");
    let options = ClientOptions { session: Some(ticket), ..speaking(protocol) };
    let late = Client::connect(&place.server.address(), options).await;
    assert_eq!(late.expect_err("the session has expired"), ClientError::SessionExpired);
}

async fn no_server_means_connection_loss_and_no_hanging(protocol: Protocol) {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = unused.local_addr().expect("has one").to_string();
    drop(unused);
    let client = Client::open(&address, speaking(protocol)).expect("a good string");
    assert_eq!(client.data("/a").await, Err(ClientError::ConnectionLoss));
    client.close().await;
    assert_eq!(client.state(), SessionState::Closed);
}

async fn every_operation_is_answered(protocol: Protocol) {
    let place = Playground::open("operations", protocol).await;
    let client = &place.client;
    let container = client.create("/c", None, &CreateOptions::of(Kind::Container)).await;
    assert_eq!(container.expect("creates").0, "/c");
    let ttl = CreateOptions { ttl_ms: 60_000, ..CreateOptions::of(Kind::Ttl) };
    assert_eq!(client.create("/t", Some(b""), &ttl).await.expect("creates").0, "/t");
    assert_eq!(client.data("/t").await.expect("reads").0, Some(Vec::new()));
    let (config, _) = client.config().await.expect("reads");
    assert!(config.is_some());
    // Neither is set up at this server, and both are refused by it and not on the way.
    let change = Reconfiguration { leaving: Some("1".into()), ..Reconfiguration::default() };
    let reconfigured = client.reconfigure(&change, -1).await;
    assert_eq!(code(reconfigured), Some(ErrorCode::ReconfigDisabled));
    assert_eq!(client.sasl(b"token").await, Ok(None));
    let mut child = client.watch("/c", WatchMode::Persistent).await.expect("sets");
    client.check_watches("/c", RemoveKind::Any).await.expect("is there");
    assert_eq!(code(client.check_watches("/t", RemoveKind::Any).await), Some(ErrorCode::NoWatcher));
    place.make("/c/1").await;
    assert_eq!(next_shown(&mut child).await, "NodeChildrenChanged /c");
    let multi = client.multi(Multi::new().set_data("/c/1", None, 0).delete("/t", -1)).await;
    assert!(matches!(multi.expect("both happen")[..], [MultiResult::DataSet(_), _]));
    let (names, stat) = client.children("/").await.expect("lists");
    assert_eq!((names.len(), stat.num_children), (1, 1));
    client.sync("/").await.expect("syncs");
}
