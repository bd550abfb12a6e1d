//! A failing list of faults is made shorter, by leaving out more and more of it.

use crate::plan::{Fault, Plan};
use crate::run::run;

/// Most runs spent on one list.
const RUNS_MAX: usize = 200;

/// The shortest list found with which the plan still fails.
pub(crate) fn shrink(plan: &Plan) -> Plan {
    let mut best = plan.clone();
    let (mut pieces, mut runs) = (2, 0);
    while !best.faults.is_empty() && runs < RUNS_MAX {
        let size = best.faults.len().div_ceil(pieces);
        let shorter = (0..pieces).find_map(|piece| {
            let left = without(&best.faults, piece * size, size);
            if left.len() == best.faults.len() {
                return None;
            }
            runs += 1;
            let candidate = Plan { faults: left, ..best.clone() };
            run(&candidate, false).failure.is_some().then_some(candidate)
        });
        match shorter {
            Some(candidate) => {
                best = candidate;
                pieces = pieces.max(3) - 1;
            }
            None if size == 1 => break,
            None => pieces = (pieces * 2).min(best.faults.len()),
        }
    }
    best
}

fn without(faults: &[Fault], from: usize, count: usize) -> Vec<Fault> {
    let left = faults.iter().enumerate().filter(|(at, _)| !(from..from + count).contains(at));
    left.map(|(_, fault)| fault.clone()).collect()
}
