//! Clients at work while rooms fail: writers that know exactly what was acknowledged, a watcher
//! that counts every event, one that sets its watch anew after each, and a session that lives by
//! its pings alone.

use super::server::{PATIENCE, Server};
use ostler::client::{Client, ClientError, ClientOptions, CreateOptions, EventKind, Protocol};
use ostler::client::{Kind, SessionState, Watch, WatchMode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const WRITERS: usize = 4;
/// Sets that are acknowledged before the load counts as running, and after each fault.
const STRIDE: u64 = 40;

/// What the clients went through.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Refusals, losses and whatever else no client should see.
    pub(crate) troubles: Vec<String>,
    /// Acknowledged sets of each writer's znode.
    pub(crate) sets: Vec<u64>,
}

/// What clients bear without calling it trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bear {
    /// Nothing at all.
    Nothing,
    /// A lost connection: they come back to their sessions and look what has happened.
    Losses,
}

/// Clients at work.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: Option<JoinHandle<Outcome>>,
}

impl Load {
    /// Returns when all of them are at work.
    pub(crate) fn start(server: &Server) -> Self {
        Self::start_bearing(server, Bear::Nothing)
    }

    /// The same, with clients that bear this.
    pub(crate) fn start_bearing(server: &Server, bear: Bear) -> Self {
        let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (address, stop, count) = (server.address(), over.clone(), Arc::clone(&acknowledged));
        let thread =
            std::thread::spawn(move || runtime().block_on(work(&address, &stop, &count, bear)));
        let load = Self { over, acknowledged, thread: Some(thread) };
        load.goes_on();
        load
    }

    /// Waits until more has been acknowledged.
    pub(crate) fn goes_on(&self) {
        let before = self.acknowledged.load(Ordering::SeqCst);
        let begun = std::time::Instant::now();
        while self.acknowledged.load(Ordering::SeqCst) < before + STRIDE {
            assert!(begun.elapsed() < PATIENCE, "nothing is acknowledged any more");
            assert!(!self.thread.as_ref().is_some_and(JoinHandle::is_finished), "clients gave up");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends it; nobody may have met any trouble, and the server must have exactly what it said.
    pub(crate) fn finish_without_trouble(self, server: &Server) {
        let outcome = self.finish();
        assert_eq!(outcome.troubles, Vec::<String>::new(), "{}", server.told());
        let sets = runtime().block_on(versions(&server.address()));
        assert_eq!(sets, outcome.sets, "what is there, and what was acknowledged");
    }

    /// Ends it, whatever the clients met.
    pub(crate) fn finish(mut self) -> Outcome {
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().expect("finished once").join().expect("clients do not panic")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// How often each writer's znode was set.
pub(crate) async fn versions(address: &str) -> Vec<u64> {
    let client = connect(address, 0).await;
    let mut versions = Vec::new();
    for number in 0..WRITERS {
        let (_, stat) = client.data(&path(number)).await.expect("the znode is there");
        versions.push(u64::try_from(stat.version).expect("a count"));
    }
    client.close().await;
    versions
}

/// Every other one speaks the native protocol.
pub(crate) async fn connect(address: &str, number: usize) -> Client {
    let protocol = if number.is_multiple_of(2) { Protocol::ZooKeeper } else { Protocol::Native };
    let options = ClientOptions {
        protocol,
        session_timeout: Duration::from_secs(4),
        request_timeout: Some(PATIENCE),
        ..ClientOptions::default()
    };
    Client::connect(address, options).await.expect("the server takes a session up")
}

fn path(number: usize) -> String {
    format!("/w{number}")
}

async fn work(address: &str, over: &AtomicBool, count: &AtomicU64, bear: Bear) -> Outcome {
    let mut clients = Vec::new();
    for number in 0..WRITERS + 3 {
        clients.push(connect(address, number).await);
    }
    let (writers, others) = clients.split_at(WRITERS);
    for (number, writer) in writers.iter().enumerate() {
        let options = CreateOptions::default();
        writer.create(&path(number), Some(b"0"), &options).await.expect("creates");
    }
    let [counter, renewer, idler] = others else { unreachable!("three others") };
    let events = counter.watch("/", WatchMode::PersistentRecursive).await.expect("watches");
    let held = CreateOptions::of(Kind::Ephemeral);
    idler.create("/idler", None, &held).await.expect("creates");
    let mut states = idler.session_events();

    let write = |number: usize| write(&writers[number], number, over, count, bear);
    let (a, b, c, d, told) =
        tokio::join!(write(0), write(1), write(2), write(3), renew(renewer, over, bear));
    let mut outcome = Outcome::default();
    for (sets, trouble) in [a, b, c, d] {
        outcome.sets.push(sets);
        outcome.troubles.extend(trouble);
    }
    outcome.troubles.extend(told);
    if outcome.troubles.is_empty() {
        outcome.troubles.extend(judge(counter, events, &outcome.sets, bear).await);
        outcome.troubles.extend(still_idle(idler, states.next()).await);
    }
    outcome
}

/// Each set names the version it replaces, so that none can happen twice unnoticed.
async fn write(
    client: &Client,
    number: usize,
    over: &AtomicBool,
    count: &AtomicU64,
    bear: Bear,
) -> (u64, Option<String>) {
    let path = path(number);
    let mut sets: u64 = 0;
    while !over.load(Ordering::SeqCst) {
        let data = (sets + 1).to_string();
        let version = i32::try_from(sets).expect("a short test");
        match client.set_data(&path, Some(data.as_bytes()), version).await {
            Ok(_) => sets += 1,
            Err(ClientError::ConnectionLoss) if bear == Bear::Losses => {
                // It has happened, or it never will: the connection's end was its last chance.
                match borne(client, &path, bear).await {
                    Ok(found) if found == sets || found == sets + 1 => sets = found,
                    other => {
                        return (sets, Some(format!("writer {number} finds {other:?} at {sets}")));
                    }
                }
                continue;
            }
            Err(error) => return (sets, Some(format!("writer {number} at {sets}: {error}"))),
        }
        count.fetch_add(1, Ordering::SeqCst);
        match borne(client, &path, bear).await {
            Ok(found) if found == sets => {}
            other => return (sets, Some(format!("writer {number} reads {other:?}, not {sets}"))),
        }
    }
    (sets, None)
}

/// The version of a znode that holds its version as data, read as often as need be.
async fn borne(client: &Client, path: &str, bear: Bear) -> Result<u64, String> {
    loop {
        // Behind everything that the lost connection had sent.
        let synced = client.sync(path).await;
        let read = match synced {
            Ok(()) => client.data(path).await,
            Err(error) => Err(error),
        };
        match read {
            Ok((data, stat)) if data == Some(stat.version.to_string().into_bytes()) => {
                return Ok(u64::try_from(stat.version).expect("a count"));
            }
            Ok(other) => return Err(format!("{other:?}")),
            Err(ClientError::ConnectionLoss) if bear == Bear::Losses => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Each event is waited for, and what is read after it must be newer than what was read before.
async fn renew(client: &Client, over: &AtomicBool, bear: Bear) -> Option<String> {
    let mut before = -1;
    while !over.load(Ordering::SeqCst) {
        let (stat, mut watch) = match client.data_watched(&path(0)).await {
            Ok((_, stat, watch)) => (stat, watch),
            Err(ClientError::ConnectionLoss) if bear == Bear::Losses => continue,
            Err(error) => return Some(format!("the renewer: {error}")),
        };
        if stat.version <= before {
            return Some(format!("the renewer reads {} after {before} changed", stat.version));
        }
        before = stat.version;
        // Its writer never rests for so long, so an event that does not come is lost.
        let due = tokio::time::Instant::now() + PATIENCE / 3;
        loop {
            match tokio::time::timeout(Duration::from_millis(50), watch.next()).await {
                Ok(Some(event)) if event.kind == EventKind::NodeDataChanged => break,
                Err(_) if over.load(Ordering::SeqCst) => {
                    return missed(client, before, watch, bear).await;
                }
                Err(_) if tokio::time::Instant::now() < due => {}
                other => return Some(format!("the renewer is told {other:?} at {before}")),
            }
        }
    }
    None
}

/// Whether the znode has changed since, and the watch does not know.
async fn missed(client: &Client, before: i32, mut watch: Watch, bear: Bear) -> Option<String> {
    // It syncs first, so whatever was to be told has been.
    let now = borne(client, &path(0), bear).await;
    let seen = u64::try_from(before).expect("a count");
    let is_missed = now != Ok(seen) && watch.try_next().is_none();
    is_missed.then(|| format!("the renewer missed {now:?} at {seen}"))
}

/// Every set has had its event, none twice, in one order.
async fn judge(client: &Client, mut events: Watch, sets: &[u64], bear: Bear) -> Vec<String> {
    let mut troubles = Vec::new();
    // Whatever was to be told has been when the sync is answered.
    if let Err(error) = client.sync("/").await {
        troubles.push(format!("the counter: {error}"));
    }
    let (mut told, mut last) = (vec![0; sets.len()], 0);
    while let Some(event) = events.try_next() {
        if event.kind == EventKind::NodeDataChanged {
            let number = (0..sets.len()).find(|number| *path(*number) == *event.path);
            told[number.expect("only writers' znodes are set")] += 1;
            if event.zxid <= last {
                troubles.push(format!("an event at {} after one at {last}", event.zxid));
            }
            last = event.zxid;
        }
    }
    // A persistent watch is not told of what changed while its client was away.
    let all = match bear {
        Bear::Nothing => told == sets,
        Bear::Losses => told.iter().zip(sets).all(|(told, sets)| told <= sets),
    };
    if !all {
        troubles.push(format!("{told:?} events for {sets:?} sets"));
    }
    troubles
}

async fn still_idle(
    client: &Client,
    next_state: impl Future<Output = Option<SessionState>>,
) -> Option<String> {
    let found: Result<_, ClientError> = client.exists("/idler").await;
    if !matches!(found, Ok(Some(_))) {
        return Some(format!("the idle session's znode: {found:?}"));
    }
    let changed = tokio::time::timeout(Duration::ZERO, next_state).await.ok()?;
    Some(format!("the idle session was {changed:?}"))
}
