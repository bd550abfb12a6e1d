//! Watches: set and fired, with few and with many watchers of one znode.

use criterion::{BatchSize, Criterion, Throughput};
use ostler_core::types::{ConnectionId, EventType, WatchRegistration};
use ostler_core::watch::WatchTable;
use std::hint::black_box;
use std::sync::Arc;

pub(super) fn fire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("watch");
    for watchers in [1_u64, 100, 10_000] {
        group.throughput(Throughput::Elements(watchers));
        let path: Arc<str> = "/app/config".into();
        let register = |table: &mut WatchTable| {
            for number in 0..watchers {
                let connection = ConnectionId::new(0, number);
                table.register(connection, path.clone(), WatchRegistration::Data);
            }
        };
        group.bench_function(format!("set {watchers}"), |bencher| {
            bencher.iter_batched_ref(
                || WatchTable::new(1),
                |table| register(table),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("fire {watchers}"), |bencher| {
            let mut told = Vec::new();
            bencher.iter_batched_ref(
                || {
                    let mut table = WatchTable::new(1);
                    register(&mut table);
                    table
                },
                |table| {
                    told.clear();
                    table.fire(EventType::DataChanged, &path, &mut told);
                    black_box(&told);
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}
