//! The tree: writes applied, reads answered, a snapshot taken, on a tree of 100 000 znodes.

use criterion::{BatchSize, Criterion, Throughput};
use ostler_core::tree::{Effects, Loader, Rules, Tree, Txn};
use ostler_core::types::limits::SNAPSHOT_SLICE_ZNODES;
use ostler_core::types::{
    AclEntry, AuthId, Create, CreateVariant, Op, Outcome, Perms, SessionId, Zxid,
};
use std::hint::black_box;

const ZNODES: u64 = 100_000;
const BATCH: u64 = 64;
const DATA: [u8; 100] = [7; 100];

/// A tree and the zxid it is at.
struct Grove {
    tree: Tree,
    zxid: u64,
    effects: Effects,
    ids: Vec<AuthId>,
}

impl Grove {
    fn planted() -> Self {
        let ids = vec![AuthId { scheme: "ip".to_owned(), id: "127.0.0.1".to_owned() }];
        let tree = Tree::new(Rules::default(), 1);
        let mut grove = Self { tree, zxid: 0, effects: Effects::default(), ids };
        // Its id is its zxid, and all that follows is asked in it.
        grove.apply(Op::CreateSession { timeout_ms: 30_000, password: [7; 16] });
        grove.apply(create("/keys"));
        for number in 0..ZNODES {
            grove.apply(create(&key(number)));
        }
        grove
    }

    fn apply(&mut self, op: Op<'_>) {
        self.zxid += 1;
        let (zxid, time_ms, session) = (Zxid(self.zxid), 1, SessionId(1));
        let txn = Txn { zxid, time_ms, session, ids: &self.ids, op };
        let outcome = self.tree.apply(&txn, &mut self.effects);
        self.effects.changes.clear();
        assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
}

fn key(number: u64) -> String {
    format!("/keys/key-{number:08}")
}

fn create(path: &str) -> Op<'_> {
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    let variant = CreateVariant::Plain;
    Op::Create(Create { path, data: Some(&DATA), acl, flags: 0, ttl_ms: 0, variant })
}

/// Keys as a client without favourites asks for them.
fn scattered(batch: u64) -> Vec<String> {
    (0..BATCH).map(|number| key((batch * BATCH + number).wrapping_mul(7_919) % ZNODES)).collect()
}

pub(super) fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree/apply");
    group.throughput(Throughput::Elements(BATCH));
    let mut grove = Grove::planted();
    let mut batch = 0;
    let mut next = || {
        batch += 1;
        scattered(batch)
    };
    group.bench_function("set", |bencher| {
        bencher.iter_batched_ref(
            &mut next,
            |paths| {
                for path in paths {
                    grove.apply(Op::SetData { path, data: Some(&DATA), version: -1 });
                }
            },
            BatchSize::SmallInput,
        );
    });
    let mut made = ZNODES;
    group.bench_function("create and delete", |bencher| {
        bencher.iter_batched_ref(
            || {
                made += BATCH;
                (made - BATCH..made).map(key).collect::<Vec<_>>()
            },
            |paths| {
                for path in &mut *paths {
                    grove.apply(create(path));
                }
                for path in paths {
                    grove.apply(Op::Delete { path, version: -1 });
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

pub(super) fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree/read");
    group.throughput(Throughput::Elements(BATCH));
    let grove = Grove::planted();
    for prefetches in [false, true] {
        let name = if prefetches { "data, prefetched" } else { "data" };
        let mut batch = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || {
                    batch += 1;
                    scattered(batch)
                },
                |paths| {
                    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
                    if prefetches {
                        grove.tree.prefetch(paths.iter().copied());
                    }
                    for path in paths {
                        black_box(grove.tree.data(path, &grove.ids).expect("it was made"));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

pub(super) fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree/snapshot");
    group.throughput(Throughput::Elements(ZNODES));
    let mut grove = Grove::planted();
    let mut slices = Vec::new();
    group.bench_function("take", |bencher| {
        bencher.iter(|| {
            slices.clear();
            grove.tree.snapshot_begin();
            while let Some(slice) = grove.tree.snapshot_slice(SNAPSHOT_SLICE_ZNODES) {
                slices.push(slice);
            }
        });
    });
    group.bench_function("load", |bencher| {
        bencher.iter(|| {
            let mut loader = Loader::new(Rules::default(), 1);
            for slice in &slices {
                loader.feed(slice).expect("it was just taken");
            }
            black_box(loader.finish(Zxid(grove.zxid)).expect("it is whole"));
        });
    });
    group.finish();
}
