//! Orders that the log writer was given and that nobody knows to be durable: outlives the log
//! writer's machine, so that its successor can be given again what the log does not have.
//!
//! Whoever hosts the log writer shows it every input before the machine takes it in, and tells it
//! what became of the orders. The log itself is not known here.

use super::log_writer::Input;
use crate::types::Zxid;
use crate::zab::LogOrder;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// See the module.
#[derive(Debug, Default)]
pub struct Unproven {
    /// In the order of their marks.
    batches: VecDeque<Batch>,
    /// Mark of the last batch ever noted.
    last: Option<u64>,
    /// A leader's history is being collected: an open voids what there is of it.
    staging: bool,
    /// The pipeline has asked what the log holds and is not answered yet.
    restates: bool,
    /// What was ordered is void, and no order is taken before the pipeline has asked.
    is_void: bool,
}

/// What a log writer's successor begins with.
#[derive(Debug)]
pub enum Beginning {
    /// It is given these first.
    Resumed(Vec<Input>),
    /// What was ordered rested on something that the log has lost. It takes no orders before it is
    /// asked what there is; whoever gives them has to be told so unless `is_known`.
    Void {
        /// It is given these first.
        first: Vec<Input>,
        /// Whether whoever gives orders knows.
        is_known: bool,
    },
}

#[derive(Debug)]
struct Batch {
    mark: u64,
    committed: Zxid,
    orders: Vec<LogOrder>,
}

impl Unproven {
    /// The machine is about to take this in. Returned is what its successor has to take in again,
    /// should it not come to that.
    pub fn keep(&mut self, input: &Input) -> Option<Input> {
        match input {
            Input::Orders { mark, committed, orders } => {
                self.note(*mark, *committed, orders);
                None
            }
            Input::Restate => {
                self.restates = true;
                None
            }
            Input::ReadHistory { .. } | Input::SnapshotPublished(_) | Input::End => {
                Some(input.clone())
            }
            Input::FlushDue | Input::Synced | Input::QuietDue => None,
        }
    }

    /// These orders are about to be written; those given again are known already.
    fn note(&mut self, mark: u64, committed: Zxid, orders: &[LogOrder]) {
        if self.is_void || self.last.is_some_and(|last| mark <= last) {
            return;
        }
        self.last = Some(mark);
        for order in orders {
            match order {
                LogOrder::BeginStage { .. } => self.staging = true,
                LogOrder::CommitStage { .. } => self.staging = false,
                LogOrder::Append(_) | LogOrder::Accept(_) | LogOrder::Stage(_) => {}
            }
        }
        self.batches.push_back(Batch { mark, committed, orders: orders.to_vec() });
    }

    /// Everything up to this mark is durable, and whoever gives orders was told.
    pub fn forget(&mut self, mark: u64) {
        while self.batches.front().is_some_and(|batch| batch.mark <= mark) {
            self.batches.pop_front();
        }
    }

    /// The pipeline was told what the log holds, with everything durable; marks begin anew.
    pub fn restated(&mut self) {
        *self = Self::default();
    }

    /// What the successor begins with, on a log just opened that ends at `last`.
    pub fn beginning(&mut self, last: Zxid) -> Beginning {
        let given_again = self.beyond(last);
        let asked = self.restates.then_some(Input::Restate);
        match given_again {
            Ok(mut first) if !self.is_void => {
                first.extend(asked);
                Beginning::Resumed(first)
            }
            Ok(_) | Err(_) => {
                let is_known = self.is_void || self.restates;
                *self = Self { is_void: true, restates: self.restates, ..Self::default() };
                Beginning::Void { first: asked.into_iter().collect(), is_known }
            }
        }
    }

    /// All batches without what a log has that ends at `last` and is durable: a mark is due also
    /// where nothing is left to write. An error if a log just opened tells too little: in the
    /// middle of a change of leaders.
    fn beyond(&self, last: Zxid) -> Result<Vec<Input>, ()> {
        if self.staging {
            return Err(());
        }
        let batches = self.batches.iter().map(|batch| {
            let Batch { mark, committed, orders } = batch;
            let mut missing = Vec::new();
            for order in orders {
                match order {
                    LogOrder::Append(proposal) if proposal.zxid <= last => {}
                    LogOrder::Append(_) => missing.push(order.clone()),
                    LogOrder::Accept(_)
                    | LogOrder::BeginStage { .. }
                    | LogOrder::Stage(_)
                    | LogOrder::CommitStage { .. } => {
                        return Err(());
                    }
                }
            }
            Ok(Input::Orders { mark: *mark, committed: *committed, orders: missing })
        });
        batches.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Epoch, ServerId};
    use crate::zab::{Proposal, Reign};
    use alloc::vec;

    fn append(counter: u32) -> LogOrder {
        let zxid = Zxid::new(Epoch(1), counter);
        LogOrder::Append(Proposal { zxid, ..proposal() })
    }

    fn proposal() -> Proposal {
        let origin = crate::zab::Origin::default();
        Proposal { zxid: Zxid::ZERO, time_ms: 0, origin, payload: bytes::Bytes::new() }
    }

    /// Marks and zxid counters of what is to be given again to a log that ends there.
    fn again(unproven: &Unproven, last: u32) -> Vec<(u64, Vec<u32>)> {
        let inputs = unproven.beyond(Zxid::new(Epoch(1), last)).expect("only entries");
        let batches = inputs.into_iter().map(|input| {
            let Input::Orders { mark, orders, .. } = input else { panic!("{input:?}") };
            let counters = orders.iter().map(|order| {
                let LogOrder::Append(proposal) = order else { panic!("{order:?}") };
                proposal.zxid.counter()
            });
            (mark, counters.collect())
        });
        batches.collect()
    }

    #[test]
    fn what_the_log_lacks_is_given_again_and_every_mark_is_due() {
        let mut unproven = Unproven::default();
        unproven.note(1, Zxid::ZERO, &[append(1), append(2)]);
        unproven.note(2, Zxid::ZERO, &[append(3), append(4)]);
        unproven.note(3, Zxid::ZERO, &[append(5)]);
        unproven.forget(1);
        assert_eq!(again(&unproven, 3), [(2, vec![4]), (3, vec![5])]);
        assert_eq!(again(&unproven, 5), [(2, vec![]), (3, vec![])]);
        // What is given again is noted again, with what was left of it.
        unproven.note(2, Zxid::ZERO, &[append(4)]);
        assert_eq!(again(&unproven, 2), [(2, vec![3, 4]), (3, vec![5])]);
        unproven.forget(3);
        assert_eq!(again(&unproven, 0), []);
    }

    #[test]
    fn a_change_of_leaders_is_left_to_a_new_start() {
        let reign = Reign { epoch: Epoch(2), leader: ServerId(1) };
        let mut unproven = Unproven::default();
        unproven.note(1, Zxid::ZERO, &[LogOrder::Accept(reign)]);
        assert!(unproven.beyond(Zxid::ZERO).is_err());
        unproven.forget(1);
        assert!(unproven.beyond(Zxid::ZERO).is_ok());
        unproven.note(2, Zxid::ZERO, &[LogOrder::BeginStage { base: Zxid::ZERO, snapshot: false }]);
        unproven.forget(2);
        assert!(unproven.beyond(Zxid::ZERO).is_err(), "durable, and void once the log is opened");
        unproven.note(3, Zxid::ZERO, &[LogOrder::CommitStage { reign }]);
        unproven.forget(3);
        assert!(unproven.beyond(Zxid::ZERO).is_ok());
    }
}
