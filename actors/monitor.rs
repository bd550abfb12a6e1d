//! `mntr`: gathers what the rooms and the counters have measured, under ZooKeeper's names.
//!
//! Metrics of ZooKeeper's that have no meaning here are not told; `ops/metrics.md` lists them.

use crate::counters::{Counters, Measures};
use crate::room::look;
use crate::system;
use crate::wiring::Rooms;
use ostler_core::rooms::watch_fanout::FanoutStats;
use ostler_core::words::{Gauges, Quantiles, ResponseSizes, Summary, Traffic};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

const US_PER_MS: u64 = 1000;
const NO_RESPONSE: ResponseSizes = ResponseSizes { last: -1, min: -1, max: -1 };

/// Counters that only ever rise, as they stood when `srst` was last asked for.
#[derive(Default)]
pub(crate) struct Baseline(Mutex<BTreeMap<&'static str, u64>>);

/// What is told of the rooms. A room that does not answer in time is told of as zero.
struct Told {
    applied: u64,
    snapshots_failed: u64,
    proposed: u64,
    dropped: u64,
    fanout: FanoutStats,
}

/// Fills in what was measured since the start or the last reset.
pub(crate) async fn measure(
    gauges: &mut Gauges,
    rooms: &Rooms,
    counters: &Counters,
    baseline: &Baseline,
) {
    let told = ask(rooms).await;
    let traffic = counters.all_traffic();
    let measures = counters.measures.lock().clone();
    gauges.open_files = system::open_files();
    gauges.open_files_max = system::open_files_max();
    gauges.auth_failed = Some(traffic.auth_failed);
    gauges.response_sizes = Some(traffic.sizes.unwrap_or(NO_RESPONSE));
    let mut values = of_traffic(&traffic, &told.fanout);
    {
        let since = baseline.0.lock();
        let rising = rising(&told, counters).into_iter();
        values.extend(rising.map(|(name, value)| {
            (name, value.saturating_sub(since.get(name).copied().unwrap_or_default()))
        }));
    }
    let signed = |value| i64::try_from(value).unwrap_or(i64::MAX);
    gauges.values = values.into_iter().map(|(name, value)| (name, signed(value))).collect();
    gauges.summaries = summaries(&measures, &told.fanout);
    gauges.quantiles = quantiles(&traffic, &measures);
}

/// Starts all counting anew.
pub(crate) async fn reset(rooms: &Rooms, counters: &Counters, baseline: &Baseline) {
    let told = ask(rooms).await;
    *baseline.0.lock() = rising(&told, counters).into_iter().collect();
    counters.reset();
}

async fn ask(rooms: &Rooms) -> Told {
    let store = look(&rooms.tree_store, |store| (store.applied, store.snapshots_failed));
    let (applied, snapshots_failed) = store.await.unwrap_or_default();
    let pipeline = look(&rooms.pipeline, |pipeline| (pipeline.proposed, pipeline.dropped));
    let (proposed, dropped) = pipeline.await.unwrap_or_default();
    let fanout = look(&rooms.watch_fanout, |fanout| fanout.stats()).await.unwrap_or_default();
    Told { applied, snapshots_failed, proposed, dropped, fanout }
}

fn of_traffic(traffic: &Traffic, fanout: &FanoutStats) -> Vec<(&'static str, u64)> {
    vec![
        ("bytes_received_count", traffic.received_bytes),
        ("connection_request_count", traffic.connect_requests),
        ("connection_revalidate_count", traffic.revalidations),
        ("response_bytes", traffic.sent_bytes.saturating_sub(fanout.event_bytes)),
        ("watch_bytes", fanout.event_bytes),
    ]
}

fn rising(told: &Told, counters: &Counters) -> [(&'static str, u64); 12] {
    [
        ("commit_count", told.applied),
        ("connection_drop_count", counters.dropped.load(Relaxed)),
        ("connection_panic_count", counters.connection_panics.load(Relaxed)),
        ("connection_rejected", counters.rejected.load(Relaxed)),
        ("proposal_count", told.proposed),
        ("sessionless_connections_expired", counters.sessionless_expired.load(Relaxed)),
        ("snapshot_error_count", told.snapshots_failed),
        ("stale_replies", counters.stale_replies.load(Relaxed)),
        ("stale_requests", told.dropped),
        ("stale_requests_dropped", told.dropped),
        ("stale_sessions_expired", counters.stale_sessions_expired.load(Relaxed)),
        // The first one ends the process, so whoever can ask sees none.
        ("unrecoverable_error_count", 0),
    ]
}

fn summaries(measures: &Measures, fanout: &FanoutStats) -> Vec<(&'static str, Summary)> {
    let ms = |summary: &Summary| summary.in_units_of(US_PER_MS);
    vec![
        ("dbinittime", ms(&measures.recovery_us)),
        ("fsynctime", ms(&measures.fsync_us)),
        ("node_changed_watch_count", fanout.data_changed),
        ("node_children_watch_count", fanout.children_changed),
        ("node_created_watch_count", fanout.created),
        ("node_deleted_watch_count", fanout.deleted),
        ("snapshottime", ms(&measures.snapshot_us)),
        ("startup_snap_load_time", ms(&measures.snapshot_load_us)),
        ("startup_txns_load_time", ms(&measures.replay_us)),
        ("startup_txns_loaded", measures.replayed),
        ("sync_process_time", ms(&measures.append_us)),
        ("sync_processor_batch_size", measures.batch_requests),
    ]
}

fn quantiles(traffic: &Traffic, measures: &Measures) -> Vec<(&'static str, Quantiles)> {
    vec![
        ("propagation_latency", measures.propagation_ms.quantiles(1)),
        ("readlatency", traffic.read_latency_us.quantiles(US_PER_MS)),
        ("updatelatency", traffic.update_latency_us.quantiles(US_PER_MS)),
    ]
}
