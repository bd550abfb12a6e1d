//! A server whose rooms fail on command: this test's own binary, started anew as a process of its
//! own, so that it may end as a server does.

use ostler_actors::faults::{Fault, Faults};
use ostler_actors::serve_a_drill;
use ostler_actors::settings::{Settings, WordsAllowed};
use ostler_actors::supervision::Endurance;
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

/// How long a room may stall before the server ends, in all tests.
pub(crate) const STALL_MAX: Duration = Duration::from_millis(1500);

/// The server itself, in the process that is meant to be one; anywhere else, nothing.
pub(crate) fn serve_if_asked_to() {
    let (Ok(port), Ok(directory)) = (std::env::var(PORT), std::env::var(DIRECTORY)) else { return };
    let port: u16 = port.parse().expect("a port");
    let settings = Settings {
        data_dir: format!("{directory}/data").into(),
        log_dir: format!("{directory}/data").into(),
        client_address: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
        tick_ms: 200,
        min_session_timeout_ms: 400,
        snapshot_every_txns: 200,
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
        other => panic!("{other}"),
    };
    faults.arm(room, fault);
}

/// One server for one test, in a directory of its own, killed when the test ends.
pub(crate) struct Server {
    root: tempfile::TempDir,
    port: u16,
    process: Child,
    orders: ChildStdin,
}

impl Server {
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().expect("makes a directory");
        let free = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = free.local_addr().expect("has an address").port();
        drop(free);
        let (process, orders) = spawn(&root, port);
        let server = Self { root, port, process, orders };
        server.await_answer();
        server
    }

    /// Starts it again where it was, after it has ended.
    pub(crate) fn start_again(&mut self) {
        (self.process, self.orders) = spawn(&self.root, self.port);
        self.await_answer();
    }

    fn await_answer(&self) {
        self.until("it answers", || (self.word("ruok") == "imok").then_some(()));
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
            assert!(begun.elapsed() < PATIENCE, "{what} does not come: {}", self.told());
            std::thread::sleep(Duration::from_millis(10));
        }
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
        self.kill();
    }
}

fn spawn(root: &tempfile::TempDir, port: u16) -> (Child, ChildStdin) {
    let told = root.path().join("told");
    let told = File::options().create(true).append(true).open(told).expect("opens");
    let me = std::env::current_exe().expect("a test has a binary");
    let mut process = Command::new(me)
        .args(["--exact", "the_server_of_the_other_tests", "--nocapture"])
        .env(PORT, port.to_string())
        .env(DIRECTORY, root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(told)
        .spawn()
        .expect("the test's binary starts");
    let orders = process.stdin.take().expect("is piped");
    (process, orders)
}
