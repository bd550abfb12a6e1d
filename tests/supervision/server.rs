//! A server whose rooms fail on command: this test's own binary, started anew as a process of its
//! own, so that it may end as a server does.

use ostler_actors::faults::{Fault, Faults};
use ostler_actors::serve_a_drill;
use ostler_actors::settings::{EnsembleSettings, MemberSettings, Settings, WordsAllowed};
use ostler_actors::supervision::Endurance;
use ostler_core::types::ServerId;
use ostler_core::zab::quorum::Role;
use slog::{Drain, Logger, o};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the process that it is the server, and its port.
const PORT: &str = "OSTLER_TEST_DRILL_PORT";
const DIRECTORY: &str = "OSTLER_TEST_DRILL_DIRECTORY";
/// Its number and the ports of all members for each other, as `2 31501 31502 31503`; nothing if it
/// is alone.
const MEMBERS: &str = "OSTLER_TEST_DRILL_MEMBERS";
/// Restarts of the rooms of a group that it bears.
const RESTARTS: &str = "OSTLER_TEST_DRILL_RESTARTS";
/// Transactions between snapshots.
const SNAPSHOT_EVERY: &str = "OSTLER_TEST_DRILL_SNAPSHOT_EVERY";

/// How long a room may stall before the server ends, in all tests.
pub(crate) const STALL_MAX: Duration = Duration::from_millis(1500);

/// The server itself, in the process that is meant to be one; anywhere else, nothing.
pub(crate) fn serve_if_asked_to() {
    let (Ok(port), Ok(directory)) = (std::env::var(PORT), std::env::var(DIRECTORY)) else { return };
    let port: u16 = port.parse().expect("a port");
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let (server, ensemble) = membership();
    let settings = Settings {
        server,
        ensemble,
        data_dir: format!("{directory}/data").into(),
        log_dir: format!("{directory}/data").into(),
        client_address: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
        tick_ms: 200,
        min_session_timeout_ms: 400,
        snapshot_every_txns: number(SNAPSHOT_EVERY).unwrap_or(200),
        segment_bytes: 1 << 20,
        words_allowed: WordsAllowed::All,
        ..Settings::default()
    };
    let endurance = Endurance {
        stall_warn: Duration::from_millis(300),
        stall_max: STALL_MAX,
        pulse: Duration::from_millis(50),
        ..Endurance::default()
    };
    let endurance = match number(RESTARTS) {
        Some(restarts) => {
            let restarts_max = usize::try_from(restarts).expect("a count");
            // A machine that has much else to do may let it wait for long.
            Endurance { restarts_max, stall_max: PATIENCE, ..endurance }
        }
        None => endurance,
    };
    let faults = Faults::default();
    let orders = faults.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            obey(&orders, &line.expect("the test writes lines"));
        }
    });
    let decorator = slog_term::PlainSyncDecorator::new(std::io::stderr());
    let logger = Logger::root(slog_term::FullFormat::new(decorator).build().fuse(), o!());
    if let Err(error) = serve_a_drill(settings, logger, faults, endurance) {
        eprintln!("{error}");
        std::process::exit(error.exit_code().into());
    }
    std::process::exit(0);
}

/// The server's number, and whom it decides with.
fn membership() -> (ServerId, Option<EnsembleSettings>) {
    let Ok(told) = std::env::var(MEMBERS) else { return (Settings::default().server, None) };
    let numbers: Vec<u64> = told.split(' ').map(|word| word.parse().expect("a number")).collect();
    let (own, ports) = numbers.split_first().expect("its own number comes first");
    let members = (1..).zip(ports).map(|(id, port)| {
        let address = format!("127.0.0.1:{port}");
        let member = MemberSettings { role: Role::VOTER, address, election_port: 0, client: None };
        (ServerId(id), member)
    });
    (ServerId(*own), Some(EnsembleSettings::new(members.collect())))
}

/// `room fault number`.
fn obey(faults: &Faults, line: &str) {
    let words: Vec<_> = line.split(' ').collect();
    let [room, fault, number] = words[..] else { panic!("{line}") };
    let number: u64 = number.parse().expect("a number");
    let fault = match fault {
        "input" => Fault::PanicAtInput(number),
        "effect" => Fault::PanicAtEffect(number),
        "change" => Fault::PanicInChange(number),
        "stall" => Fault::Stall(Duration::from_millis(number)),
        "fail" => Fault::FailEffect,
        "abort" => Fault::Abort,
        other => panic!("{other}"),
    };
    faults.arm(room, fault);
}

/// In what a server differs from others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drill {
    environment: Vec<(&'static str, String)>,
}

impl Drill {
    /// Alone, and bears any number of restarts.
    pub(crate) fn alone() -> Self {
        Self { environment: vec![(RESTARTS, "1000000".to_owned())] }
    }

    /// Three that bear any number of restarts.
    pub(crate) fn trio() -> Vec<Self> {
        let ports: Vec<_> = (0..3).map(|_| free_port().to_string()).collect();
        let one = |number: u32| {
            let mut one = Self::alone();
            one.environment.push((MEMBERS, format!("{number} {}", ports.join(" "))));
            one
        };
        (1..=3).map(one).collect()
    }

    /// With so many transactions between snapshots.
    pub(crate) fn snapshot_every(mut self, txns: u64) -> Self {
        self.environment.push((SNAPSHOT_EVERY, txns.to_string()));
        self
    }
}

/// One server for one test, in a directory of its own, killed when the test ends.
pub(crate) struct Server {
    root: tempfile::TempDir,
    port: u16,
    drill: Drill,
    process: Child,
    orders: ChildStdin,
}

impl Server {
    /// Alone, with the usual limit of restarts.
    pub(crate) fn start() -> Self {
        Self::start_with(&Drill::default())
    }

    pub(crate) fn start_with(drill: &Drill) -> Self {
        let server = Self::spawn_with(drill);
        server.await_serving();
        server
    }

    /// Does not wait until it serves.
    pub(crate) fn spawn_with(drill: &Drill) -> Self {
        let root = tempfile::tempdir().expect("makes a directory");
        let port = free_port();
        let (process, orders) = spawn(&root, port, drill);
        Self { root, port, drill: drill.clone(), process, orders }
    }

    /// Starts it again where it was, after it has ended.
    pub(crate) fn start_again(&mut self) {
        self.spawn_again();
        self.await_serving();
    }

    /// The same without waiting until it serves.
    pub(crate) fn spawn_again(&mut self) {
        (self.process, self.orders) = spawn(&self.root, self.port, &self.drill);
    }

    pub(crate) fn await_serving(&self) {
        self.until("it serves", || self.word("srvr").contains("Mode: ").then_some(()));
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lets `fault` strike in a room: `input n`, `effect n`, `stall ms` or `fail 0`.
    pub(crate) fn strike(&mut self, room: &str, fault: &str) {
        writeln!(self.orders, "{room} {fault}").expect("the server reads");
    }

    /// What a four-letter word answers; nothing if there is no answer.
    pub(crate) fn word(&self, word: &str) -> String {
        let Ok(mut socket) = TcpStream::connect(self.address()) else { return String::new() };
        let mut answer = String::new();
        let asked = socket
            .write_all(word.as_bytes())
            .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
            .and_then(|()| socket.read_to_string(&mut answer));
        if asked.is_ok() { answer } else { String::new() }
    }

    /// A metric of `mntr`.
    pub(crate) fn metric(&self, name: &str) -> Option<String> {
        let all = self.word("mntr");
        let line = all.lines().find_map(|line| line.strip_prefix(&format!("zk_{name}\t")))?;
        Some(line.to_owned())
    }

    /// How often a room has been built anew since the start.
    pub(crate) fn restarts(&self, room: &str) -> Option<u64> {
        self.metric(&format!("room_restart_count_{room}"))?.parse().ok()
    }

    /// Each return of a room since the first start, and how many milliseconds it was down.
    pub(crate) fn returns(&self) -> Vec<(String, u64)> {
        let told = self.told();
        let told = told.lines().filter(|line| line.contains("a room is back"));
        let one = |line: &str| {
            let value = |key: &str| {
                let (_, behind) = line.split_once(key)?;
                Some(behind.split(',').next().unwrap_or(behind).trim().to_owned())
            };
            Some((value("room: ")?, value("down_ms: ")?.parse().ok()?))
        };
        told.filter_map(one).collect()
    }

    /// Waits until a room has been built anew so often.
    pub(crate) fn await_restarts(&self, room: &str, restarts: u64) {
        let name = format!("room_restart_count_{room}");
        self.until(&name, || (self.metric(&name)? == restarts.to_string()).then_some(()));
    }

    /// Waits until `look` finds something.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} does not come: {}", self.told_last());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last of its log records.
    pub(crate) fn told_last(&self) -> String {
        let told = self.told();
        let lines: Vec<_> = told.lines().rev().take(60).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// All its log records.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(self.root.path().join("told")).unwrap_or_default()
    }

    /// Waits until it has ended by itself; its exit code.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("can be asked for") {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.told());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it without a warning.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What it has on disk, and its log, may tell why.
            self.root.disable_cleanup(true);
            eprintln!("the server's directory is kept: {}", self.root.path().display());
        }
        self.kill();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("binds");
    free.local_addr().expect("has an address").port()
}

fn spawn(root: &tempfile::TempDir, port: u16, drill: &Drill) -> (Child, ChildStdin) {
    let told = root.path().join("told");
    let told = File::options().create(true).append(true).open(told).expect("opens");
    let me = std::env::current_exe().expect("a test has a binary");
    let mut process = Command::new(me)
        .args(["--exact", "the_server_of_the_other_tests", "--nocapture"])
        .env(PORT, port.to_string())
        .env(DIRECTORY, root.path())
        .envs(drill.environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(told)
        .spawn()
        .expect("the test's binary starts");
    let orders = process.stdin.take().expect("is piped");
    (process, orders)
}
