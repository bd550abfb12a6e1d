//! Rooms fail again and again, one after the other and then at random, at a server alone and among
//! three, while clients are at work that bear nothing.
//!
//! `OSTLER_TEST_PANICS` says how often each room fails; a tenth as often it stalls. Without it a
//! few times must do. What was measured is printed: `--nocapture` shows it.

use super::load::{Bear, Load, runtime, versions};
use super::server::{Drill, Server};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest that a plain read, or a write, may take meanwhile. What is usual is printed; this is
/// what a machine that does ten other things at a time is given.
const READ_MAX: Duration = Duration::from_secs(2);
const WRITE_MAX: Duration = Duration::from_secs(5);
/// In a long run, p99 of the time until a room is back.
const BACK_MAX_MS: u64 = 50;
const STALL: Duration = Duration::from_millis(100);

/// Rooms and the faults that each of them meets in turn.
const ROOMS: [(&str, &[&str]); 7] = [
    ("session_sweeper", &["input 1", "input 3", "input 8"]),
    ("snapshot_writer", &["input 1", "effect 2", "input 3", "effect 1"]),
    ("watch_fanout", &["input 1", "effect 1", "effect 2", "input 9", "effect 8"]),
    ("log_writer", &["input 1", "effect 1", "effect 2", "effect 3", "input 2", "effect 4"]),
    ("tree_store", &["input 1", "change 1", "effect 1", "change 4", "input 7", "effect 3"]),
    ("pipeline", &["input 1", "effect 1", "input 5", "effect 2", "effect 7", "input 12"]),
    ("peer", &["input 1", "input 2"]),
];

#[test]
fn rooms_of_a_server_alone_fail_again_and_again_and_no_client_meets_trouble() {
    let mut servers = [Server::start_with(&Drill::alone())];
    storm("alone", &mut servers);
}

#[test]
fn rooms_of_three_servers_fail_again_and_again_and_no_client_meets_trouble() {
    let mut servers: Vec<_> = Drill::trio().iter().map(Server::spawn_with).collect();
    servers.iter().for_each(Server::await_serving);
    storm("of three", &mut servers);
}

#[test]
fn connections_fail_again_and_again_and_no_session_or_write_is_lost() {
    let mut server = Server::start_with(&Drill::alone());
    let load = Load::start_bearing(vec![server.address()], Bear::Losses);
    let panics = panics();
    for number in 0..panics {
        server.strike("connection", ["input 1", "input 4"][number % 2]);
        let due = (number + 1).to_string();
        let count = || server.metric("connection_panic_count");
        server.until("a connection's panic", || (count()? == due).then_some(()));
        load.goes_on_by(4);
    }
    load.finish_without_trouble(&server);
    println!("connection, alone: {panics} panics");
}

fn panics() -> usize {
    let asked = std::env::var("OSTLER_TEST_PANICS").ok();
    asked.map_or(6, |asked| asked.parse().expect("OSTLER_TEST_PANICS is a number"))
}

/// What strikes on one room came to.
#[derive(Default)]
struct Measured {
    panics: usize,
    stalls: usize,
    writes_ms: Vec<u64>,
    reads_ms: Vec<u64>,
}

fn storm(name: &str, servers: &mut [Server]) {
    let addresses = servers.iter().map(Server::address).collect();
    let load = Load::start_bearing(addresses, Bear::Nothing);
    let panics = panics();
    let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
    for (room, faults) in ROOMS {
        let own = measured.entry(room).or_default();
        for number in 0..panics {
            let server = &mut servers[number % servers.len()];
            one_by_one(server, &load, room, faults[number % faults.len()], own);
        }
        for number in 0..panics.div_ceil(10) {
            let server = &mut servers[number % servers.len()];
            load.longest();
            server.strike(room, &format!("stall {}", STALL.as_millis()));
            std::thread::sleep(STALL * 2);
            load.goes_on_by(8);
            own.note(&load);
            own.stalls += 1;
        }
    }
    let struck = at_random(servers, &load, panics * 2);
    let sets = load.finish_without_trouble_at(servers);
    report(name, servers, &measured, struck);
    // All of it is on the disks.
    servers.iter_mut().for_each(Server::kill);
    servers.iter_mut().for_each(Server::spawn_again);
    servers.iter().for_each(Server::await_serving);
    for server in servers.iter() {
        assert_eq!(runtime().block_on(versions(&server.address())), sets);
    }
}

fn one_by_one(server: &mut Server, load: &Load, room: &str, fault: &str, own: &mut Measured) {
    // One that has no leader at the moment tells nothing.
    let before = server.until("its restarts are told", || server.restarts(room));
    load.longest();
    server.strike(room, fault);
    server.until(&format!("{room} is back after {fault}"), || {
        (server.restarts(room)? > before).then_some(())
    });
    load.goes_on_by(8);
    own.note(load);
    own.panics += 1;
}

impl Measured {
    fn note(&mut self, load: &Load) {
        let (write, read) = load.longest();
        assert!(write < WRITE_MAX, "a write took {write:?}");
        assert!(read < READ_MAX, "a read took {read:?}");
        let ms = |time: Duration| u64::try_from(time.as_millis()).expect("bounded");
        self.writes_ms.push(ms(write));
        self.reads_ms.push(ms(read));
    }
}

/// Does not wait for one room to be back before the next one fails. Returns how often one did.
fn at_random(servers: &mut [Server], load: &Load, strikes: usize) -> usize {
    let before: usize = servers.iter().map(|server| server.returns().len()).sum();
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut one_of = |count: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        usize::try_from(chance % count as u64).expect("small")
    };
    for _ in 0..strikes {
        let (room, faults) = ROOMS[one_of(ROOMS.len())];
        let fault = match one_of(10) {
            0 => "stall 50",
            _ => faults[one_of(faults.len())],
        };
        let server = one_of(servers.len());
        servers[server].strike(room, fault);
        std::thread::sleep(Duration::from_millis(20 + one_of(100) as u64));
    }
    load.goes_on();
    servers.iter().map(|server| server.returns().len()).sum::<usize>() - before
}

fn report(name: &str, servers: &[Server], measured: &BTreeMap<&str, Measured>, struck: usize) {
    let returns: Vec<_> = servers.iter().flat_map(Server::returns).collect();
    let mut late = Vec::new();
    for (room, _) in ROOMS {
        let own = &measured[room];
        let back = returns.iter().filter(|(back, _)| back == room).map(|(_, ms)| *ms).collect();
        let back = Spread::of(back);
        println!(
            "{room}, {name}: {} panics and {} stalls one by one; back {back}; longest write {}; \
             longest read in place {}",
            own.panics,
            own.stalls,
            Spread::of(own.writes_ms.clone()),
            Spread::of(own.reads_ms.clone())
        );
        late.extend((panics() >= 100 && back.p99 > BACK_MAX_MS).then(|| format!("{room} {back}")));
    }
    println!("{name}: {struck} returns of rooms in the part at random, {} in all", returns.len());
    assert!(late.is_empty(), "rooms are back too late: {late:?}");
}

/// Milliseconds.
struct Spread {
    count: usize,
    p50: u64,
    p99: u64,
    max: u64,
}

impl Spread {
    fn of(mut all: Vec<u64>) -> Self {
        all.sort_unstable();
        let at = |share: usize| all.get((all.len() * share / 100).min(all.len().max(1) - 1));
        let at = |share| at(share).copied().unwrap_or_default();
        Self { count: all.len(), p50: at(50), p99: at(99), max: at(100) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, p50, p99, max } = self;
        write!(f, "p50 {p50} p99 {p99} max {max} ms of {count}")
    }
}
