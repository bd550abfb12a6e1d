//! Four-letter words and the log: what an operator sees of what clients do.

use super::{Playground, connect};
use crate::server::Server;
use ostler::client::{Client, ClientOptions, CreateOptions, ErrorCode, Protocol};
use ostler_core::types::Kind;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The whole answer to a word.
fn ask(server: &Server, word: &str) -> String {
    let mut socket = TcpStream::connect(server.address()).expect("connects");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("takes a timeout");
    socket.write_all(word.as_bytes()).expect("is read");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("answers and closes");
    text
}

async fn quota(client: &Client, path: &str, limits: &str) {
    let home = format!("/zookeeper/quota{path}");
    for (path, data) in [
        (home.clone(), ""),
        (format!("{home}/zookeeper_limits"), limits),
        (format!("{home}/zookeeper_stats"), "count=0,bytes=0"),
    ] {
        let made = client.create(&path, Some(data.as_bytes()), &CreateOptions::default()).await;
        made.expect("creates");
    }
}

#[tokio::test]
async fn an_exceeded_soft_quota_is_logged_once() {
    let server = Server::start_own();
    let client = connect(&server.address(), ClientOptions::default()).await;
    client.create("/q", None, &CreateOptions::default()).await.expect("creates");
    quota(&client, "/q", "count=2,bytes=-1").await;
    for name in ["/q/a", "/q/b", "/q/c"] {
        client.create(name, None, &CreateOptions::default()).await.expect("is only warned of");
    }
    let patience = Instant::now() + Duration::from_secs(20);
    while !server.log().contains("quota exceeded") && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("quota exceeded")).collect();
    let [line] = lines[..] else { panic!("one warning is expected in:\n{log}") };
    for part in ["/q", "znodes", "limit", "used"] {
        assert!(line.contains(part), "{part} is missing in: {line}");
    }
    client.close().await;
}

#[tokio::test]
async fn versions_carry_the_date_of_the_build() {
    let playground = Playground::open("version", Protocol::ZooKeeper).await;
    let answer = ask(&playground.server, "srvr");
    let first = answer.lines().next().expect("has a line");
    let (version, date) = first.split_once(", built on ").expect("has a date");
    assert!(version.starts_with("Zookeeper version: 3."), "{first}");
    let digits: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits, "0000-00-00 00:00 UTC", "{first}");
}

#[tokio::test]
async fn hash_lists_past_digests_at_round_zxids() {
    let playground = Playground::open("hash", Protocol::ZooKeeper).await;
    playground.make("/a").await;
    for _ in 0..260 {
        playground.client.set_data("/a", Some(b"x"), -1).await.expect("sets");
    }
    let answer = ask(&playground.server, "hash");
    assert!(answer.lines().count() >= 2, "{answer}");
    for line in answer.lines() {
        let (zxid, digest) = line.split_once(": ").expect("zxid and digest");
        assert_eq!(u64::from_str_radix(zxid, 16).expect("hexadecimal") % 128, 0, "{line}");
        digest.parse::<i64>().expect("a number");
    }
}

/// The value of a metric.
fn metric(server: &Server, name: &str) -> String {
    let answer = ask(server, "mntr");
    let value = answer.lines().find_map(|line| line.strip_prefix("zk_")?.strip_prefix(name));
    value.and_then(|value| value.strip_prefix('\t')).unwrap_or_else(|| panic!("no {name}")).into()
}

/// A field of the only connection in `cons` that has a session.
fn field(server: &Server, name: &str) -> Option<String> {
    let answer = ask(server, "cons");
    let lines: Vec<_> = answer.lines().filter(|line| line.contains("sid=")).collect();
    let [line] = lines[..] else { panic!("one connection is expected in:\n{answer}") };
    let (_, fields) = line.trim_end_matches(')').split_once('(').expect("has fields");
    let mut pairs = fields.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// A server of its own, with one client.
async fn alone() -> (Server, Client) {
    let server = Server::start_own();
    let client = connect(&server.address(), ClientOptions::default()).await;
    (server, client)
}

#[tokio::test]
async fn cons_tells_what_each_connection_did_last() {
    let (server, client) = alone().await;
    let one = |name: &str| field(&server, name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!((one("lop"), one("lcxid")), ("SESS".to_owned(), "0x0".to_owned()));
    assert_eq!((one("recved"), one("sent"), one("queued")), ("1".into(), "1".into(), "0".into()));
    client.create("/a", None, &CreateOptions::default()).await.expect("creates");
    assert_eq!(one("lop"), "CREA");
    let created = one("lzxid");
    client.set_data("/a", Some(b"x"), -1).await.expect("sets");
    assert_eq!(one("lop"), "SETD");
    assert_ne!(one("lzxid"), created, "a write moves the zxid");
    client.data("/a").await.expect("reads");
    assert_eq!((one("lop"), one("recved"), one("sent")), ("GETD".into(), "4".into(), "4".into()));
    let latencies = ["minlat", "avglat", "maxlat", "llat", "lresp", "est", "to"];
    let [min, avg, max, ..] = latencies.map(|name| one(name).parse::<u64>().expect("a number"));
    assert!(min <= avg && avg <= max, "{min} {avg} {max}");
    client.close().await;
}

#[tokio::test]
async fn crst_forgets_what_connections_did_and_srst_what_the_server_did() {
    let (server, client) = alone().await;
    client.create("/a", None, &CreateOptions::default()).await.expect("creates");
    assert_eq!(ask(&server, "crst"), "Connection stats reset.\n");
    assert_eq!(field(&server, "lop").as_deref(), Some("NA"));
    assert_eq!(field(&server, "recved").as_deref(), Some("0"));
    assert_eq!(field(&server, "lcxid"), None);
    assert_eq!(metric(&server, "cnt_updatelatency"), "2");
    assert_eq!(metric(&server, "connection_request_count"), "1");
    assert_eq!(ask(&server, "srst"), "Server stats reset.\n");
    for name in ["cnt_updatelatency", "connection_request_count", "commit_count", "cnt_fsynctime"] {
        assert_eq!(metric(&server, name), "0", "{name}");
    }
    assert_eq!(metric(&server, "min_client_response_size"), "-1");
    assert_eq!(metric(&server, "znode_count"), "6", "what is so is not counted");
    client.close().await;
}

#[tokio::test]
async fn mntr_measures_what_clients_do() {
    let (server, client) = alone().await;
    let (_, mut watch) = client.exists_watched("/a").await.expect("watches");
    client.create("/a", Some(b"x"), &CreateOptions::default()).await.expect("creates");
    drop(watch.next().await);
    client.data("/a").await.expect("reads");
    for (name, least) in [
        ("cnt_updatelatency", 2),
        ("cnt_readlatency", 1),
        ("cnt_fsynctime", 1),
        ("cnt_propagation_latency", 2),
        ("cnt_sync_processor_batch_size", 1),
        ("cnt_dbinittime", 1),
        ("cnt_node_created_watch_count", 1),
        ("sum_node_created_watch_count", 1),
        ("watch_bytes", 30),
        ("response_bytes", 80),
        ("bytes_received_count", 100),
        ("global_sessions", 1),
        ("max_client_response_size", 70),
        ("min_client_response_size", 16),
    ] {
        let value: u64 = metric(&server, name).parse().expect("a number");
        assert!(value >= least, "{name} is {value}");
    }
    for quantile in ["p50", "p95", "p99", "p999"] {
        metric(&server, &format!("{quantile}_readlatency")).parse::<u64>().expect("a number");
    }
    client.close().await;
}

#[tokio::test]
async fn dump_lists_sessions_and_connections_where_they_will_end() {
    let (server, client) = alone().await;
    let ephemeral = CreateOptions { kind: Kind::Ephemeral, ..CreateOptions::default() };
    client.create("/e", None, &ephemeral).await.expect("creates");
    let answer = ask(&server, "dump");
    let session = field(&server, "sid").expect("has a session");
    assert!(answer.contains("Session Sets (1)/(1):\n1 expire at "), "{answer}");
    assert!(answer.contains(&format!("Sessions with Ephemerals (1):\n{session}:\n\t/e\n")));
    assert!(answer.contains("Connections Sets (2)/(2):\n"), "{answer}");
    assert!(answer.contains(&format!(" sessionId: {session}\n")), "{answer}");
    assert!(answer.contains(" sessionId: 0x0\n"), "the one that asks is listed too: {answer}");
    client.close().await;
}

#[tokio::test]
async fn mntr_tells_connections_that_went_wrong() {
    let (server, client) = alone().await;
    let counts = || {
        ["connection_drop_count", "connection_revalidate_count", "auth_failed_count"]
            .map(|name| metric(&server, name))
    };
    let settled = async |expected: [&str; 3]| {
        let patience = Instant::now() + Duration::from_secs(20);
        while counts() != expected && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(counts(), expected);
    };
    assert_eq!(counts(), ["0", "0", "0"]);
    let mut socket = TcpStream::connect(server.address()).expect("connects");
    socket.write_all(&[0, 0]).expect("is read");
    drop(socket);
    settled(["1", "0", "0"]).await;
    let unknown =
        [&[0, 0, 0, 44][..], &[0; 12], &[0, 0, 39, 16], &[7; 8], &[0, 0, 0, 16], &[7; 16]];
    let mut socket = TcpStream::connect(server.address()).expect("connects");
    socket.write_all(&unknown.concat()).expect("is read");
    let mut refusal = Vec::new();
    socket.read_to_end(&mut refusal).expect("answers and closes");
    assert_eq!(refusal.len(), 40, "a connect response without the read-only flag");
    settled(["1", "1", "0"]).await;
    let refused = client.add_auth("unknown", b"x").await;
    assert_eq!(refused.expect_err("refuses").code(), Some(ErrorCode::AuthFailed));
    settled(["1", "1", "1"]).await;
}
