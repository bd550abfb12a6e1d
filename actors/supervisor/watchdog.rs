//! Finds rooms that stall: a thread asks each room for a sign of progress, and a room answers
//! when it comes to the question in its mailbox.
//!
//! A thread that hangs cannot be freed from outside, so a room that stalls for too long ends the
//! process. Rooms that share a thread fall silent together; the one that is blamed is the one
//! that is at work.

use super::status::Record;
use super::{Inner, Notice};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a room may show no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Longer than this, and it is told of.
    pub(crate) warn: Duration,
    /// Longer than this, and the process ends; None for a room that may take any time.
    pub(crate) end: Option<Duration>,
}

/// A room's signs of life. Instants are milliseconds of the supervisor's clock, plus one; 0 is
/// never.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// When what it is at began; 0 while it waits for something to do.
    busy_since: AtomicU64,
    /// When the question began that has no answer yet.
    asked_at: AtomicU64,
    /// Whether its silence has been told of.
    told: AtomicBool,
}

impl Pulse {
    pub(super) fn begin(&self, now_ms: u64) {
        self.busy_since.store(now_ms + 1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    pub(super) fn answer(&self) {
        self.asked_at.store(0, Ordering::Relaxed);
        self.told.store(false, Ordering::Relaxed);
    }

    fn is_asked(&self) -> bool {
        self.asked_at.load(Ordering::Relaxed) != 0
    }

    fn is_busy(&self) -> bool {
        self.busy_since.load(Ordering::Relaxed) != 0
    }

    /// How long an answer has been waited for.
    pub(super) fn silent(&self, now_ms: u64) -> Duration {
        match self.asked_at.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            asked => Duration::from_millis((now_ms + 1).saturating_sub(asked)),
        }
    }
}

pub(super) fn start(supervisor: Weak<Inner>, every: Duration) -> std::io::Result<()> {
    let watch = move || {
        while let Some(inner) = supervisor.upgrade() {
            look_round(&inner);
            drop(inner);
            exhale();
            std::thread::sleep(every);
        }
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// Lets the allocator give back what has been free for a while. It looks for that only when it is
/// asked for something, and rooms at rest ask for nothing: they would keep what their busiest
/// moment took. Too large to be had from what is at hand, and never written to.
fn exhale() {
    const BYTES: usize = 1 << 20;
    drop(black_box(Vec::<u8>::with_capacity(BYTES)));
}

/// Asks whoever has answered, and blames whoever has not for too long.
pub(super) fn look_round(inner: &Inner) {
    let records = inner.records.lock().clone();
    let now_ms = inner.now_ms();
    for record in &records {
        if !record.pulse.is_asked() {
            // Before the question is sent, so that the answer cannot come first.
            record.pulse.asked_at.store(now_ms + 1, Ordering::Relaxed);
            if !record.nudge() {
                record.pulse.answer();
            }
            continue;
        }
        // Who waits behind a neighbour of its thread is not to blame.
        if record.is_working() && (record.pulse.is_busy() || nobody_is_busy(&records)) {
            blame(inner, record, record.pulse.silent(now_ms));
        }
    }
}

fn nobody_is_busy(records: &[Arc<Record>]) -> bool {
    !records.iter().any(|record| record.pulse.is_asked() && record.pulse.is_busy())
}

fn blame(inner: &Inner, record: &Record, silent: Duration) {
    let room = record.name;
    if record.patience.end.is_some_and(|end| silent >= end) {
        record.end();
        let reason =
            format!("the room `{room}` has shown no progress for {} ms", silent.as_millis());
        inner.tell(&Notice::End { room, reason: &reason });
    } else if silent >= record.patience.warn && !record.pulse.told.swap(true, Ordering::Relaxed) {
        inner.tell(&Notice::Stalls { room, silent });
    }
}
