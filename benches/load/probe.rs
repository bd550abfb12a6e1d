//! A bystander: asks for the root of the run every millisecond while something else goes on.

use super::crew::{Clock, Crew};
use super::fanout::{PROBE, PROBE_BETWEEN, Stage};
use super::names::Names;
use super::tally::{Tally, Window};
use super::{LoadError, Plan};
use ostler_core::types::{Read, Request};
use std::sync::atomic::Ordering;
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until told that it is over; what it found. What ran into a change is told apart from what
/// was answered between two of them.
pub(super) fn ask(
    plan: &Plan,
    names: &Names,
    clock: Clock,
    window: Window,
    stage: &Stage,
) -> Result<Tally, LoadError> {
    let mut crew = Crew::open(plan, std::iter::once(0))?;
    let mut tally = Tally::new(window);
    while !stage.is_over.load(Ordering::Relaxed) {
        let met_a_change = stage.is_changing.load(Ordering::Relaxed);
        let read = Request::Read(Read::Exists { path: names.root(), watch: false });
        crew.link(0).ask(&[(read, PROBE, clock.now_ns())]);
        crew.settle(PATIENCE, "the probe", |_, flight, code| {
            let meets_a_change = met_a_change || stage.is_changing.load(Ordering::Relaxed);
            let tag = if meets_a_change { flight.tag } else { PROBE_BETWEEN };
            tally.answered(tag, flight.since_ns, clock.now_ns(), code);
        })?;
        std::thread::sleep(PERIOD);
    }
    crew.close();
    Ok(tally)
}
