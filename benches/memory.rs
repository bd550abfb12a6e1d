//! Bytes of memory for each znode, session and watch: `cargo bench --bench memory`.
//!
//! Each figure comes from a process of its own, which builds a million of one thing and looks at
//! its resident memory, so that what the allocator keeps for itself is counted too. Nothing is
//! asserted: the figures are for comparison between versions.

use ostler_core::tree::{Effects, Rules, Tree, Txn};
use ostler_core::types::{
    AclEntry, ConnectionId, Create, CreateVariant, Op, Outcome, Perms, SessionId,
    WatchRegistration, Zxid,
};
use ostler_core::watch::WatchTable;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNT: u64 = 1_000_000;
const CONNECTIONS: u64 = 100;
/// Set for the processes that measure.
const FIGURE: &str = "OSTLER_MEMORY_FIGURE";

/// A figure's name and how it is measured, in bytes for each.
type Figure = (&'static str, fn() -> f64);

const FIGURES: [Figure; 5] = [
    ("znode without data, name of 12 B", || znodes(0)),
    ("znode with 100 B of data, name of 12 B", || znodes(100)),
    ("session", sessions),
    ("watch, each of 100 connections on the same 10000 paths", || watches(COUNT / CONNECTIONS)),
    ("watch, each on a path of its own (28 B, counted)", || watches(COUNT)),
];

fn main() -> ExitCode {
    if let Ok(wanted) = std::env::var(FIGURE) {
        let figure = FIGURES.iter().find(|(name, _)| *name == wanted);
        let (_, measure) = figure.expect("this program asks itself for figures it has");
        println!("{:.0}", measure());
        return ExitCode::SUCCESS;
    }
    let own = std::env::current_exe().expect("a running program has a file");
    for (name, _) in FIGURES {
        let run = Command::new(&own).env(FIGURE, name).output().expect("it can start itself");
        let bytes = String::from_utf8_lossy(&run.stdout);
        if !run.status.success() {
            eprintln!("{name}: {}", String::from_utf8_lossy(&run.stderr));
            return ExitCode::FAILURE;
        }
        println!("{:>8} B  {name}", bytes.trim());
    }
    ExitCode::SUCCESS
}

fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("resident memory is a number") * 1024.0
}

/// Bytes for each of `COUNT` things that `build` makes.
fn each<T>(build: impl FnOnce() -> T) -> f64 {
    let before = resident_bytes();
    let built = black_box(build());
    let after = resident_bytes();
    drop(built);
    (after - before) / COUNT as f64
}

fn znodes(data_bytes: usize) -> f64 {
    let data = vec![7; data_bytes];
    each(|| {
        let mut tree = Tree::new(Rules::default(), 1);
        // Its id is its zxid, and all that follows is asked in it.
        apply(&mut tree, 1, Op::CreateSession { timeout_ms: 30_000, password: [7; 16] });
        for number in 0..COUNT {
            let path = format!("/key-{number:08}");
            let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
            let variant = CreateVariant::Plain;
            let data = Some(&data[..]);
            let create = Create { path: &path, data, acl, flags: 0, ttl_ms: 0, variant };
            apply(&mut tree, number + 2, Op::Create(create));
        }
        tree
    })
}

fn sessions() -> f64 {
    each(|| {
        let mut tree = Tree::new(Rules::default(), 1);
        for number in 0..COUNT {
            let op = Op::CreateSession { timeout_ms: 30_000, password: [7; 16] };
            apply(&mut tree, number + 1, op);
        }
        tree
    })
}

fn apply(tree: &mut Tree, zxid: u64, op: Op<'_>) {
    let mut effects = Effects::default();
    let txn = Txn { zxid: Zxid(zxid), time_ms: 1, session: SessionId(1), ids: &[], op };
    let outcome = tree.apply(&txn, &mut effects);
    assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
}

fn watches(paths: u64) -> f64 {
    each(|| {
        let mut table = WatchTable::new(1);
        for number in 0..paths {
            let path: Arc<str> = format!("/app/service/member-{number:08}").into();
            for connection in 0..COUNT / paths {
                // With a path for each watch, connections take turns.
                let connection = ConnectionId::new(0, connection + number % CONNECTIONS);
                table.register(connection, path.clone(), WatchRegistration::Data);
            }
        }
        table
    })
}
