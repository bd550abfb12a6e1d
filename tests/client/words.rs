//! Four-letter words and the log: what an operator sees of what clients do.

use super::{Playground, connect};
use crate::server::Server;
use ostler::client::{Client, ClientOptions, CreateOptions, Protocol};
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
