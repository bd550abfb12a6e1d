//! Follows a load from outside: reads the meters when the measurement begins and ends, and tells on
//! standard error how it goes.

use super::crew::Clock;
use super::run::{Meter, Spent};
use super::tally::{Live, Window};
use super::{LoadError, Plan};
use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::Ordering;
use std::time::Duration;

const LINE_EVERY_NS: u64 = 1_000_000_000;
/// How closely the end of a load without a fixed length is seen.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// See the module.
pub(super) struct Progress<'p> {
    plan: &'p Plan,
    clock: Clock,
    window: Window,
    overwrites: bool,
    last: Seen,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    at_ns: u64,
    answered: u64,
    latency_ns: u64,
}

impl<'p> Progress<'p> {
    pub(super) fn new(plan: &'p Plan, clock: Clock, window: Window) -> Self {
        let overwrites = plan.progress && stderr().is_terminal();
        Self { plan, clock, window, overwrites, last: Seen::default() }
    }

    /// Until the window is over or the load has ended; what was used within the window.
    pub(super) fn follow(
        mut self,
        live: &Live,
        finished: impl Fn() -> bool,
    ) -> Result<Spent, LoadError> {
        self.sleep_until(self.window.from_ns, live, &finished);
        let meter = Meter::begin(self.plan, live)?;
        self.sleep_until(self.window.to_ns, live, &finished);
        let spent = meter.end();
        if self.overwrites {
            eprintln!();
        }
        spent
    }

    fn sleep_until(&mut self, until_ns: u64, live: &Live, finished: &impl Fn() -> bool) {
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= until_ns || finished() {
                return;
            }
            std::thread::sleep(LOOK_EVERY.min(Duration::from_nanos(until_ns - now_ns)));
            if self.plan.progress && now_ns - self.last.at_ns >= LINE_EVERY_NS {
                self.tell(now_ns, live);
            }
        }
    }

    fn tell(&mut self, now_ns: u64, live: &Live) {
        let now = Seen {
            at_ns: now_ns,
            answered: live.answered.load(Ordering::Relaxed),
            latency_ns: live.latency_ns.load(Ordering::Relaxed),
        };
        let answered = now.answered - self.last.answered;
        let seconds = (now.at_ns - self.last.at_ns) as f64 / 1e9;
        let mean_us = (now.latency_ns - self.last.latency_ns) as f64 / answered.max(1) as f64 / 1e3;
        let phase = if now_ns < self.window.from_ns { "warming up" } else { "measuring" };
        let line = format!(
            "{:6.1} s  {phase:10}  {:>9.0}/s  mean {mean_us:.1} us  errors {}",
            now_ns as f64 / 1e9,
            answered as f64 / seconds,
            live.failed.load(Ordering::Relaxed),
        );
        let (begin, end) = if self.overwrites { ("\r", "\x1b[K") } else { ("", "\n") };
        // Nobody reading it is no reason to stop.
        let _ = write!(stderr(), "{begin}{line}{end}");
        self.last = now;
    }
}
