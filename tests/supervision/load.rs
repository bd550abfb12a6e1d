//! Clients at work while rooms fail: writers that know exactly what was acknowledged, one that
//! makes ephemeral znodes and takes them away, a watcher that counts every event and never sees
//! data before its event, one that sets its watch anew after each, one that only reads, and a
//! session that lives by its pings alone.

use super::server::{PATIENCE, Server};
use ostler::client::{Client, ClientError, ClientOptions, CreateOptions, EventKind, Protocol};
use ostler::client::{Kind, SessionState, Watch, WatchMode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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

/// The longest calls since this was asked last, in microseconds.
#[derive(Debug, Default)]
struct Longest {
    write: AtomicU64,
    read: AtomicU64,
}

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Outcome>>,
}

/// What the clients and the test know of each other.
struct Shared {
    bear: Bear,
    over: AtomicBool,
    acknowledged: AtomicU64,
    longest: Longest,
}

impl Load {
    /// Returns when all of them are at work.
    pub(crate) fn start(server: &Server) -> Self {
        Self::start_bearing(vec![server.address()], Bear::Nothing)
    }

    /// The same, each at one of these servers, with clients that bear this.
    pub(crate) fn start_bearing(addresses: Vec<String>, bear: Bear) -> Self {
        let (over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
        let shared = Arc::new(Shared { bear, over, acknowledged, longest: Longest::default() });
        let own = shared.clone();
        let thread = std::thread::spawn(move || runtime().block_on(work(&addresses, &own)));
        let load = Self { shared, thread: Some(thread) };
        load.goes_on();
        load
    }

    /// Waits until more has been acknowledged.
    pub(crate) fn goes_on(&self) {
        self.goes_on_by(STRIDE);
    }

    /// Waits until so many more sets have been acknowledged.
    pub(crate) fn goes_on_by(&self, sets: u64) {
        let before = self.shared.acknowledged.load(Ordering::SeqCst);
        let begun = Instant::now();
        while self.shared.acknowledged.load(Ordering::SeqCst) < before + sets {
            assert!(begun.elapsed() < PATIENCE, "nothing is acknowledged any more");
            assert!(!self.thread.as_ref().is_some_and(JoinHandle::is_finished), "clients gave up");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The longest write and the longest read in place since this was asked last.
    pub(crate) fn longest(&self) -> (Duration, Duration) {
        let take = |at: &AtomicU64| Duration::from_micros(at.swap(0, Ordering::SeqCst));
        (take(&self.shared.longest.write), take(&self.shared.longest.read))
    }

    /// Ends it; nobody may have met any trouble, and the server must have exactly what it said.
    pub(crate) fn finish_without_trouble(self, server: &Server) {
        self.finish_without_trouble_at(std::slice::from_ref(server));
    }

    /// The same of each of several servers; returns what they have.
    pub(crate) fn finish_without_trouble_at(self, servers: &[Server]) -> Vec<u64> {
        let outcome = self.finish();
        assert_eq!(outcome.troubles, Vec::<String>::new(), "{}", servers[0].told_last());
        for server in servers {
            let sets = runtime().block_on(versions(&server.address()));
            assert_eq!(sets, outcome.sets, "what is there, and what was acknowledged");
        }
        outcome.sets
    }

    /// Ends it, whatever the clients met.
    pub(crate) fn finish(mut self) -> Outcome {
        self.shared.over.store(true, Ordering::SeqCst);
        self.thread.take().expect("finished once").join().expect("clients do not panic")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn bears(&self, error: &ClientError) -> bool {
        self.bear == Bear::Losses && matches!(error, ClientError::ConnectionLoss)
    }
}

/// Notes how long a call took.
async fn timed<F: Future>(longest: &AtomicU64, call: F) -> F::Output {
    let begun = Instant::now();
    let output = call.await;
    let took = u64::try_from(begun.elapsed().as_micros()).expect("a short test");
    longest.fetch_max(took, Ordering::SeqCst);
    output
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// How often each writer's znode was set.
pub(crate) async fn versions(address: &str) -> Vec<u64> {
    let client = connect(address, 0).await;
    client.sync("/").await.expect("syncs");
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

async fn work(addresses: &[String], shared: &Shared) -> Outcome {
    let mut clients = Vec::new();
    for number in 0..WRITERS + 5 {
        clients.push(connect(&addresses[number % addresses.len()], number).await);
    }
    let (writers, others) = clients.split_at(WRITERS);
    for (number, writer) in writers.iter().enumerate() {
        let options = CreateOptions::default();
        writer.create(&path(number), Some(b"0"), &options).await.expect("creates");
    }
    let [counter, renewer, reader, churner, idler] = others else { unreachable!("five others") };
    for other in others {
        // The server it is at may be behind those that made the znodes.
        other.sync("/").await.expect("syncs");
    }
    let events = counter.watch("/", WatchMode::PersistentRecursive).await.expect("watches");
    let held = CreateOptions::of(Kind::Ephemeral);
    idler.create("/idler", None, &held).await.expect("creates");
    let mut states = idler.session_events();

    let write = |number: usize| write(&writers[number], number, shared);
    let (a, b, c, d, renewed, read, churned, counted) = tokio::join!(
        write(0),
        write(1),
        write(2),
        write(3),
        renew(renewer, shared),
        look_on(reader, shared),
        churn(churner, shared),
        count(counter, events, shared)
    );
    let mut outcome = Outcome::default();
    for (sets, trouble) in [a, b, c, d] {
        outcome.sets.push(sets);
        outcome.troubles.extend(trouble);
    }
    let (counted, trouble) = counted;
    outcome.troubles.extend([renewed, read, churned, trouble].into_iter().flatten());
    if outcome.troubles.is_empty() {
        outcome.troubles.extend(judge(counter, counted, &outcome.sets, shared).await);
        outcome.troubles.extend(still_idle(idler, states.next(), shared).await);
    }
    outcome
}

/// Each set names the version it replaces, so that none can happen twice unnoticed.
async fn write(client: &Client, number: usize, shared: &Shared) -> (u64, Option<String>) {
    let path = path(number);
    let mut sets: u64 = 0;
    while !shared.is_over() {
        let data = (sets + 1).to_string();
        let version = i32::try_from(sets).expect("a short test");
        let set = client.set_data(&path, Some(data.as_bytes()), version);
        match timed(&shared.longest.write, set).await {
            Ok(_) => sets += 1,
            Err(error) if shared.bears(&error) => {
                // It has happened, or it never will: the connection's end was its last chance.
                match borne(client, &path, shared).await {
                    Ok(found) if found == sets || found == sets + 1 => sets = found,
                    other => {
                        return (sets, Some(format!("writer {number} finds {other:?} at {sets}")));
                    }
                }
                continue;
            }
            Err(error) => return (sets, Some(format!("writer {number} at {sets}: {error}"))),
        }
        shared.acknowledged.fetch_add(1, Ordering::SeqCst);
        match borne(client, &path, shared).await {
            Ok(found) if found == sets => {}
            other => return (sets, Some(format!("writer {number} reads {other:?}, not {sets}"))),
        }
    }
    (sets, None)
}

/// The version of a znode that holds its version as data, read as often as need be.
async fn borne(client: &Client, path: &str, shared: &Shared) -> Result<u64, String> {
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
            Err(error) if shared.bears(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Each event is waited for, and what is read after it must be newer than what was read before.
async fn renew(client: &Client, shared: &Shared) -> Option<String> {
    let mut before = -1;
    while !shared.is_over() {
        let (stat, mut watch) = match client.data_watched(&path(0)).await {
            Ok((_, stat, watch)) => (stat, watch),
            Err(error) if shared.bears(&error) => continue,
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
                Err(_) if shared.is_over() => return missed(client, before, watch, shared).await,
                Err(_) if tokio::time::Instant::now() < due => {}
                other => return Some(format!("the renewer is told {other:?} at {before}")),
            }
        }
    }
    None
}

/// Whether the znode has changed since, and the watch does not know.
async fn missed(client: &Client, before: i32, mut watch: Watch, shared: &Shared) -> Option<String> {
    // It syncs first, so whatever was to be told has been.
    let now = borne(client, &path(0), shared).await;
    let seen = u64::try_from(before).expect("a count");
    let is_missed = now != Ok(seen) && watch.try_next().is_none();
    is_missed.then(|| format!("the renewer missed {now:?} at {seen}"))
}

/// Reads in place, as one who watches nothing and waits for nothing; what it sees never gets older.
async fn look_on(client: &Client, shared: &Shared) -> Option<String> {
    let mut before = 0;
    while !shared.is_over() {
        match timed(&shared.longest.read, client.data(&path(1))).await {
            Ok((_, stat)) if stat.mzxid < before => {
                return Some(format!("the reader sees {} after {before}", stat.mzxid));
            }
            Ok((_, stat)) => before = stat.mzxid,
            Err(error) if shared.bears(&error) => {}
            Err(error) => return Some(format!("the reader: {error}")),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    None
}

/// Makes ephemeral znodes with rising numbers and takes each away again.
async fn churn(client: &Client, shared: &Shared) -> Option<String> {
    let kind = CreateOptions::of(Kind::Ephemeral).sequential();
    let mut last = String::new();
    while !shared.is_over() {
        let made = match client.create("/churn-", None, &kind).await {
            Ok((made, _)) => made,
            // The znode may be there all the same, and goes with the session.
            Err(error) if shared.bears(&error) => continue,
            Err(error) => return Some(format!("the churner creates after {last}: {error}")),
        };
        if made <= last {
            return Some(format!("the churner makes {made} after {last}"));
        }
        match client.delete(&made, -1).await {
            Ok(()) => {}
            Err(error) if shared.bears(&error) => {}
            Err(error) => return Some(format!("the churner deletes {made}: {error}")),
        }
        last = made;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}

/// What a counter has been told so far.
struct Counted {
    events: Watch,
    /// Of each writer's znode.
    told: Vec<u64>,
    /// The zxid of the last one.
    last: i64,
    troubles: Vec<String>,
}

impl Counted {
    fn drain(&mut self) {
        while let Some(event) = self.events.try_next() {
            if event.kind == EventKind::NodeDataChanged {
                let number = (0..self.told.len()).find(|number| *path(*number) == *event.path);
                self.told[number.expect("only writers' znodes are set")] += 1;
                if event.zxid <= self.last {
                    let last = self.last;
                    self.troubles.push(format!("an event at {} after one at {last}", event.zxid));
                }
                self.last = event.zxid;
            }
        }
    }
}

/// Reads what it watches: by then it must have been told of every change that it sees.
async fn count(client: &Client, events: Watch, shared: &Shared) -> (Counted, Option<String>) {
    let mut counted = Counted { events, told: vec![0; WRITERS], last: 0, troubles: Vec::new() };
    while !shared.is_over() {
        match client.data(&path(0)).await {
            Ok((_, stat)) => {
                counted.drain();
                let (seen, told) = (u64::try_from(stat.version).expect("a count"), counted.told[0]);
                // What changed while it was away has no events.
                if told < seen && shared.bear == Bear::Nothing {
                    return (counted, Some(format!("the counter sees {seen}, told of {told}")));
                }
            }
            Err(error) if shared.bears(&error) => {}
            Err(error) => return (counted, Some(format!("the counter: {error}"))),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (counted, None)
}

/// Every set has had its event, none twice, in one order.
async fn judge(
    client: &Client,
    mut counted: Counted,
    sets: &[u64],
    shared: &Shared,
) -> Vec<String> {
    // Whatever was to be told has been when the sync is answered.
    while let Err(error) = client.sync("/").await {
        if !shared.bears(&error) {
            counted.troubles.push(format!("the counter: {error}"));
            break;
        }
    }
    counted.drain();
    let Counted { told, mut troubles, .. } = counted;
    // A persistent watch is not told of what changed while its client was away.
    let all = match shared.bear {
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
    shared: &Shared,
) -> Option<String> {
    let mut found: Result<_, ClientError> = client.exists("/idler").await;
    while found.as_ref().is_err_and(|error| shared.bears(error)) {
        found = client.exists("/idler").await;
    }
    if !matches!(found, Ok(Some(_))) {
        return Some(format!("the idle session's znode: {found:?}"));
    }
    let changed = tokio::time::timeout(Duration::ZERO, next_state).await.ok()?;
    (shared.bear == Bear::Nothing).then(|| format!("the idle session was {changed:?}"))
}
