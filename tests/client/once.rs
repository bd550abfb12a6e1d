//! Writes of a native client take effect exactly once, whenever its server is killed.

use super::{PATIENCE, Playground, connect, speaking};
use crate::server::Server;
use ostler::client::{Client, ClientError, ClientOptions, CreateOptions, Multi, Protocol};
use std::collections::BTreeSet;
use std::time::Duration;

const ROUNDS: u64 = 15;
const WRITES: usize = 240;

/// What a client was told of its writes, in the order in which it asked for them.
struct Told {
    client: Client,
    creates: usize,
    sets: i32,
}

impl Told {
    async fn nothing(client: Client) -> Self {
        client.create("/made", None, &CreateOptions::default()).await.expect("creates");
        client.create("/set", None, &CreateOptions::default()).await.expect("creates");
        Self { client, creates: 0, sets: 0 }
    }

    /// Asks for many writes at once, lets something happen, and waits for every answer.
    async fn write_while(&mut self, happens: impl AsyncFnOnce()) {
        let mut answers = Vec::new();
        for number in 0..WRITES {
            let client = self.client.clone();
            // Tasks of one thread begin in the order in which they were made.
            answers.push(tokio::spawn(async move { write(&client, number).await }));
        }
        tokio::task::yield_now().await;
        happens().await;
        for (number, answer) in answers.into_iter().enumerate() {
            let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
            let told = answer.expect("no panic").expect("no write is lost");
            if number % 3 == 1 {
                self.sets += 1;
                assert_eq!(told, self.sets.to_string(), "versions follow the writes");
            } else {
                assert_eq!(told, format!("/made/{:010}", self.creates), "names follow the writes");
                self.creates += 1;
            }
        }
    }

    /// What there is, is what was told.
    async fn check(&self) {
        let (names, _) = self.client.children("/made").await.expect("lists");
        let names: BTreeSet<_> = names.into_iter().collect();
        let told: BTreeSet<_> = (0..self.creates).map(|number| format!("{number:010}")).collect();
        assert_eq!(names, told);
        assert_eq!(self.client.data("/set").await.expect("reads").1.version, self.sets);
    }
}

/// Every third write sets data, every third is a multi. Returns the name made or the version set.
async fn write(client: &Client, number: usize) -> Result<String, ClientError> {
    let sequential = CreateOptions::default().sequential();
    match number % 3 {
        0 => client.create("/made/", None, &sequential).await.map(|(path, _)| path),
        1 => client.set_data("/set", None, -1).await.map(|stat| stat.version.to_string()),
        _ => {
            let multi = Multi::new().check("/made", -1).create("/made/", None, sequential);
            let results = client.multi(multi).await.map_err(|_| ClientError::ConnectionLoss)?;
            Ok(made_by(&results[1]))
        }
    }
}

fn made_by(result: &ostler::client::MultiResult) -> String {
    match result {
        ostler::client::MultiResult::Created { path, .. } => path.clone(),
        other => panic!("{other:?} is no create"),
    }
}

#[tokio::test]
async fn each_write_happens_once_when_the_server_is_killed_at_any_moment() {
    let mut server = Server::start_own();
    let client = connect(&server.address(), speaking(Protocol::Native)).await;
    let mut told = Told::nothing(client).await;
    for round in 0..ROUNDS {
        told.write_while(async || {
            tokio::time::sleep(Duration::from_micros(round * 700)).await;
            server.kill();
            server.restart();
        })
        .await;
        told.check().await;
    }
    told.client.close().await;
}

#[tokio::test]
async fn a_client_that_takes_a_session_over_goes_on_with_its_numbers() {
    let place = Playground::open("numbers", Protocol::Native).await;
    let first = place.another(speaking(Protocol::Native)).await;
    let mut told = Told::nothing(first).await;
    for _ in 0..2 {
        told.write_while(async || ()).await;
        let session = Some(told.client.ticket());
        let second = ClientOptions { session, ..speaking(Protocol::Native) };
        told.client = place.another(second).await;
    }
    told.write_while(async || ()).await;
    told.check().await;
    told.client.close().await;
}

#[tokio::test]
async fn a_client_may_choose_to_hear_of_lost_connections() {
    let mut server = Server::start_own();
    let options = ClientOptions { exactly_once: false, ..speaking(Protocol::Native) };
    let client = connect(&server.address(), options).await;
    server.kill();
    let lost = client.set_data("/zookeeper", None, -1).await;
    assert_eq!(lost, Err(ClientError::ConnectionLoss));
    client.close().await;
}

#[tokio::test]
async fn writes_wait_for_a_server_no_longer_than_the_session_could() {
    let mut server = Server::start_own();
    let session_timeout = Duration::from_millis(1_000);
    let options = ClientOptions { session_timeout, ..speaking(Protocol::Native) };
    let client = connect(&server.address(), options).await;
    server.kill();
    let begun = std::time::Instant::now();
    let lost = client.set_data("/zookeeper", None, -1).await;
    assert_eq!(lost, Err(ClientError::ConnectionLoss));
    assert!(begun.elapsed() >= session_timeout / 2 && begun.elapsed() < PATIENCE);
    client.close().await;
}
