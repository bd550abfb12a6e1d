//! The load harness against a real server and against the null server: every workload, briefly.
//!
//! What is asked here is whether runs count right and clean up after themselves, never how fast
//! anything is.

use ostler::client::{Client, ClientOptions};
use ostler::load::null::NullServer;
use ostler::load::{
    LoadError, Mix, Operation, Pace, Plan, Report, Skew, Workload, page, run, summary,
};
use ostler_core::wire::Codec;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server of its own for each test, killed when the test ends.
struct Server {
    process: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = free.local_addr().expect("has an address");
        drop(free);
        let directory = tempfile::tempdir().expect("makes a directory");
        let process = Self::launch(directory.path(), address);
        Self { process, address, directory }
    }

    /// A process that listens.
    fn launch(directory: &Path, address: SocketAddr) -> Child {
        let process = Command::new(env!("CARGO_BIN_EXE_ostler"))
            .args(["serve", "--data-dir"])
            .arg(directory.join("data"))
            .args(["--client-port", &address.port().to_string()])
            .env("OSTLER__CLIENT__CONNECTIONS_PER_IP_MAX", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the ostler binary starts");
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the server does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }

    /// Kills the process and starts another one on what it left.
    fn restart(&mut self) {
        self.process.kill().expect("it was running");
        self.process.wait().expect("it has ended");
        self.process = Self::launch(self.directory.path(), self.address);
    }

    /// Connections that clients have, as the server counts them; none while it does not count.
    fn connections(&self) -> usize {
        let mut socket = TcpStream::connect(self.address).expect("connects");
        socket.write_all(b"mntr").expect("takes a word");
        let mut text = String::new();
        socket.read_to_string(&mut text).expect("answers");
        let line = text.lines().find_map(|line| line.strip_prefix("zk_num_alive_connections\t"));
        line.map_or(0, |count| count.parse().expect("counts its connections"))
    }

    fn plan(&self, workload: Workload) -> Plan {
        Plan { pids: vec![self.process.id()], ..plan(self.address, workload) }
    }

    /// Names of all znodes below the root that are not the server's own.
    fn left_over(&self) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime starts").block_on(async {
            let servers = self.address.to_string();
            let client = Client::connect(&servers, ClientOptions::default()).await;
            let client = client.expect("connects");
            let (mut names, _) = client.children("/").await.expect("lists");
            names.retain(|name| name != "zookeeper");
            client.close().await;
            names
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn plan(address: SocketAddr, workload: Workload) -> Plan {
    Plan {
        servers: vec![address],
        codec: Codec::Jute,
        linearizable: false,
        workload,
        connections: 3,
        in_flight: 4,
        pace: Pace::Closed,
        value_bytes: 30,
        path_bytes: 40,
        keys: 50,
        skew: Skew::Zipf(0.9),
        listed: 10,
        multi: (2, 4),
        warm_up: Duration::from_millis(50),
        duration: Duration::from_millis(250),
        threads: 2,
        pids: Vec::new(),
        session_timeout: Duration::from_secs(20),
        seed: 1,
        keep: false,
        progress: false,
    }
}

fn workloads() -> Vec<Workload> {
    let mut all: Vec<_> =
        Operation::ALL.map(|operation| Workload::Mix(Mix::only(operation))).into();
    let mix = "get=4,exists=1,set=2,create=3,delete=2,list=1,multi=1".parse::<Mix>();
    all.extend([
        Workload::Mix(Mix::keeper()),
        Workload::Mix(mix.expect("is a mix")),
        Workload::Watches(7),
        Workload::Sessions,
        Workload::Idle,
        Workload::Fill(100),
    ]);
    all
}

fn good_run(plan: &Plan) -> Report {
    let name = plan.workload.to_string();
    // A fill ends when it is full, everything else after a moment in which a busy machine may not
    // have let anybody run.
    let duration = match plan.workload {
        Workload::Fill(_) => PATIENCE,
        Workload::Mix(_)
        | Workload::Watches(_)
        | Workload::Sessions
        | Workload::Idle
        | Workload::Returning => plan.duration,
    };
    let once = || {
        let plan = Plan { duration, ..plan.clone() };
        run(&plan).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let mut reports = (0..5).map(|_| once());
    let report = reports.find(|report| report.total.count > 0).expect("something is answered");
    assert!(report.errors.is_empty(), "{name}: {:?}", report.errors);
    for row in &report.operations {
        assert!(row.count > 0, "{name}: {row:?}");
        assert!(row.p50 > 0.0 && row.p50 <= row.p99 && row.p99 <= row.max, "{name}: {row:?}");
    }
    assert!(!report.operations.is_empty(), "{name}");
    report
}

fn names(report: &Report) -> Vec<&str> {
    report.operations.iter().map(|row| &*row.name).collect()
}

#[test]
fn every_workload_runs_against_a_real_server_in_both_protocols_and_leaves_nothing() {
    let server = Server::start();
    for codec in [Codec::Jute, Codec::Native] {
        for workload in workloads() {
            // A fill ends when it is full, and how long that takes is the disk's affair.
            let is_fill = matches!(workload, Workload::Fill(_));
            let duration = Duration::from_millis(if is_fill { 20_000 } else { 150 });
            let report = good_run(&Plan { codec, duration, ..server.plan(workload.clone()) });
            let used = report.server.expect("the process is known");
            assert!(used.rss_after_bytes > 0, "{workload}: {used:?}");
            match workload {
                Workload::Fill(count) => {
                    assert_eq!(report.total.count, count.next_multiple_of(3));
                }
                Workload::Mix(mix) if mix == Mix::keeper() => {
                    assert!(names(&report).contains(&"get"), "{:?}", names(&report));
                }
                Workload::Mix(_)
                | Workload::Watches(_)
                | Workload::Sessions
                | Workload::Idle
                | Workload::Returning => {}
            }
        }
    }
    assert_eq!(server.left_over(), Vec::<String>::new());
}

#[test]
fn sessions_that_lose_their_server_are_followed_until_they_are_back() {
    for codec in [Codec::Jute, Codec::Native] {
        let mut server = Server::start();
        // The same one, as far as its clients can tell.
        let (servers, duration) = (vec![server.address; 2], Duration::from_secs(5));
        let of_run = plan(server.address, Workload::Returning);
        let connections = 5;
        let of_run = Plan { codec, servers, duration, connections, ..of_run };
        let report = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&of_run));
            let begun = Instant::now();
            // One more asks.
            while server.connections() < connections + 1 {
                assert!(begun.elapsed() < PATIENCE, "the sessions do not open");
                std::thread::sleep(Duration::from_millis(20));
            }
            server.restart();
            running.join().expect("does not panic").expect("runs")
        });
        let fact = |name| {
            let found = report.facts.iter().find(|fact| fact.name == name);
            found.unwrap_or_else(|| panic!("{name}: {report:?}")).value
        };
        assert_eq!(report.errors, []);
        assert_eq!(report.total.count, connections as u64);
        assert!((fact("sessions that lost their server") - 5.0).abs() < 0.5);
        assert!(fact("sessions expired").abs() < 0.5);
        assert!(fact("until the last was back") > 0.0);
    }
}

#[test]
fn every_workload_runs_against_the_null_server_in_both_protocols() {
    let server = NullServer::start("127.0.0.1:0".parse().expect("is one")).expect("listens");
    for codec in [Codec::Jute, Codec::Native] {
        for workload in workloads() {
            let duration = Duration::from_millis(60);
            let plan = Plan { codec, duration, ..plan(server.address(), workload) };
            good_run(&plan);
        }
    }
}

#[test]
fn an_open_loop_keeps_its_rate_and_counts_stalls_from_the_intended_start() {
    let server = NullServer::start("127.0.0.1:0".parse().expect("is one")).expect("listens");
    let get = || Workload::Mix(Mix::only(Operation::Get));
    let pace = Pace::Open(2_000.0);
    let duration = Duration::from_millis(500);
    let report = good_run(&Plan { pace, duration, ..plan(server.address(), get()) });
    assert_eq!(report.total.count, 1_000);
    // Nobody answers at this rate: what was due and not served is told, never left out.
    let (pace, warm_up) = (Pace::Open(1e9), Duration::ZERO);
    let duration = Duration::from_millis(20);
    let overrun = Plan { pace, warm_up, duration, ..plan(server.address(), get()) };
    let overrun = run(&overrun).expect("runs");
    assert!(overrun.errors.iter().any(|count| count.what == "due, and never sent"), "{overrun:?}");
    assert!(overrun.total.max > 5_000.0, "{:?}", overrun.total);
}

#[test]
fn a_report_survives_json_and_becomes_a_page() {
    let server = NullServer::start("127.0.0.1:0".parse().expect("is one")).expect("listens");
    let report = good_run(&plan(server.address(), Workload::Mix(Mix::keeper())));
    let json = serde_json::to_string(&report).expect("is plain");
    let read = serde_json::from_str::<Report>(&json).expect("is a report");
    assert_eq!(summary(&read), summary(&report));
    assert_eq!((read.setting, read.errors), (report.setting.clone(), report.errors.clone()));
    let html = page(&report, Some(&report));
    assert!(html.contains("<svg") && html.contains("Throughput over time"));
    assert!(!html.contains("<script") && !html.contains("href="), "the page stands alone");
}

#[test]
fn what_cannot_be_run_is_refused_with_a_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("has one");
    let get = || Workload::Mix(Mix::only(Operation::Get));
    let refused = run(&plan(closed, get())).expect_err("nobody listens");
    assert!(matches!(refused, LoadError::Socket { .. }), "{refused}");
    let refused = run(&Plan { connections: 0, ..plan(closed, get()) }).expect_err("no connection");
    assert_eq!(refused.to_string(), "at least one connection is needed");
}

/// What a server does that has its limit of connections from one address.
#[test]
fn who_is_turned_away_is_told_what_limits_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("has an address");
    std::thread::spawn(move || listener.incoming().take(100).for_each(drop));
    let error = run(&plan(address, Workload::Idle)).expect_err("nobody is let in");
    let error = error.to_string();
    for part in [address.to_string().as_str(), "connections_per_ip_max", "maxClientCnxns"] {
        assert!(error.contains(part), "{error:?} does not name {part}");
    }
}

#[test]
fn the_command_writes_reports_and_pages() {
    let server = NullServer::start("127.0.0.1:0".parse().expect("is one")).expect("listens");
    let directory = tempfile::tempdir().expect("makes a directory");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let bench = |arguments: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_ostler")).arg("bench").args(arguments).output();
        let output = run.expect("the ostler binary starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let address = server.address().to_string();
    let (code, text) = bench(&[
        "run",
        "get",
        "--servers",
        &address,
        "-t",
        "0.1",
        "--warm-up",
        "0.05",
        "--quiet",
        "--json",
        &file("a.json"),
        "--html",
        &file("a.html"),
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("get 16 x 1") || text.contains("get  16 x 1"), "{text}");
    let (code, _) = bench(&["page", &file("a.json"), &file("a.json"), "--html", &file("b.html")]);
    assert_eq!(code, Some(0));
    let html = std::fs::read_to_string(file("b.html")).expect("was written");
    assert!(html.contains("Second against first"));
    assert_eq!(bench(&["run", "nothing"]).0, Some(2));
}
