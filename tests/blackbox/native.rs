//! A client of the native protocol for `blackbox.py`: it works through whatever happens to the
//! servers and prints what it did and was told, a line of JSON for each call, in the form that
//! `history.py` describes. It judges what only it can see: events that come too late.
//!
//! Arguments: servers, this client's number, how many shared registers there are, `strong` or `plain`
//! for its reads, and its rest between two rounds in milliseconds. It ends when its standard input
//! does.

use ostler::client::{
    Client, ClientError, ClientOptions, CreateOptions, Kind, Protocol, Stat, Watch,
};
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SESSION_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether the test has closed our standard input: then the round is the last.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Seconds of the clock that all processes of this machine share.
fn now() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).expect("the clock does not stand before its beginning").as_secs_f64()
}

struct Recorder {
    client: Client,
    number: usize,
    strong: bool,
    serial: Cell<u64>,
}

/// A watched register: the version that was seen, and the way of the event behind it.
type Armed = BTreeMap<String, (i32, Watch)>;

impl Recorder {
    fn print(&self, verb: &str, key: &str, value: &str, version: Option<i64>, span: (f64, f64)) {
        let version = version.map_or_else(|| "null".to_owned(), |version| version.to_string());
        let home = self.client.server().unwrap_or_default();
        let line = format!(
            "[\"{verb}\", \"{key}\", \"{value}\", {version}, {}, {}, \"{home}\"]\n",
            span.0, span.1
        );
        std::io::stdout().write_all(line.as_bytes()).expect("the test reads");
    }

    fn fault(&self, what: &str) {
        self.print("fault", "", what, None, (now(), now()));
    }

    fn next_value(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("{}.{}", self.number, self.serial.get())
    }

    /// Writes are never lost without a word: exactly once is what the protocol promises.
    fn settle<T>(&self, what: &str, answer: Result<T, ClientError>) -> Option<T> {
        answer.map_err(|error| self.fault(&format!("{what}: {error}"))).ok()
    }

    async fn set(&self, key: &str) -> Option<i32> {
        let value = self.next_value();
        let began = now();
        let answer = self.client.set_data(key, Some(value.as_bytes()), -1).await;
        let version = self.settle("set", answer).map(|stat: Stat| stat.version);
        self.print("set", key, &value, version.map(i64::from), (began, now()));
        version
    }

    async fn append(&self) {
        let value = self.next_value();
        let began = now();
        let sequential = CreateOptions::default().sequential();
        let answer = self.client.create("/sequence/n-", Some(value.as_bytes()), &sequential).await;
        let number = self.settle("create", answer).and_then(|(path, _)| {
            let digits = path.rsplit('-').next().unwrap_or_default();
            digits.parse::<i64>().ok()
        });
        self.print("append", "/sequence", &value, number, (began, now()));
    }

    /// A read may fail when its connection ends behind it: then it tells nothing.
    async fn read(&self, key: &str, strong: bool, armed: &mut Armed) {
        let began = now();
        if strong && !self.strong && self.client.sync("/").await.is_err() {
            return;
        }
        let watched = !armed.contains_key(key);
        let (data, stat, watch) = if watched {
            let Ok((data, stat, watch)) = self.client.data_watched(key).await else { return };
            (data, stat, Some(watch))
        } else {
            let Ok((data, stat)) = self.client.data(key).await else { return };
            (data, stat, None)
        };
        let value = String::from_utf8(data.unwrap_or_default()).unwrap_or_default();
        let verb = if strong || self.strong { "strong" } else { "read" };
        self.print(verb, key, &value, Some(stat.version.into()), (began, now()));
        if let Some(watch) = watch {
            armed.insert(key.to_owned(), (stat.version, watch));
        } else if armed.get(key).is_some_and(|(version, _)| *version != stat.version) {
            let (version, mut watch) = armed.remove(key).expect("it was just there");
            if watch.try_next().is_none() {
                let seen = stat.version;
                self.fault(&format!("{key}: {seen} was read before the event behind {version}"));
            }
        }
    }

    async fn round(&self, own: &str, shared: &str, last: &mut Option<i32>, armed: &mut Armed) {
        // Polled in this order, so asked in this order, and all under way at once.
        let (first, (), second, _) =
            tokio::join!(self.set(own), self.append(), self.set(own), self.set(shared));
        match (*last, first, second) {
            (Some(last), Some(first), Some(second)) if (first, second) != (last + 1, last + 2) => {
                self.fault(&format!("version {last} was followed by {first} and {second}"));
            }
            (_, _, second) => *last = second.or(*last),
        }
        self.read(own, false, armed).await;
        self.read(shared, false, armed).await;
        self.read(shared, true, armed).await;
    }
}

async fn work(servers: &str, number: usize, registers: usize, strong: bool, rest: Duration) {
    let options = ClientOptions {
        session_timeout: SESSION_TIMEOUT,
        protocol: Protocol::Native,
        linearizable: strong,
        ..ClientOptions::default()
    };
    let client = Client::connect(servers, options).await.expect("an ensemble that serves");
    let recorder = Recorder { client, number, strong, serial: Cell::new(0) };
    let own = format!("/counter-{number}");
    let alive = format!("/alive-{number}");
    let plain = CreateOptions::default();
    recorder.client.create(&own, Some(b"0"), &plain).await.expect("nobody else makes it");
    let ephemeral = CreateOptions::of(Kind::Ephemeral);
    recorder.client.create(&alive, None, &ephemeral).await.expect("nobody else makes it");
    recorder.print("alive", &alive, "", None, (now(), now()));
    let mut last = Some(0);
    let mut armed = Armed::new();
    for turn in 0.. {
        let shared = format!("/register-{}", (number + turn) % registers);
        recorder.round(&own, &shared, &mut last, &mut armed).await;
        if recorder.client.state().is_final() {
            recorder.fault("the session ended although it was kept alive");
        }
        if ENDING.load(Ordering::Relaxed) {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, number, registers, strength, rest] = arguments.as_slice() else {
        panic!("expects: servers, number, registers, strong or plain, milliseconds");
    };
    let number = number.parse().expect("a number");
    let registers = registers.parse().expect("a number");
    let rest = Duration::from_millis(rest.parse().expect("a number"));
    std::thread::spawn(|| {
        let _end = std::io::stdin().read_to_end(&mut Vec::new());
        ENDING.store(true, Ordering::Relaxed);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(work(servers, number, registers, strength == "strong", rest));
}
