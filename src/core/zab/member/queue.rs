//! What a leader has taken in and not ordered yet, in the order it came; and what it has ordered and
//! is not done with.
//!
//! Writes wait while an epoch ends or a leader proves that it still is one, and while enough is under
//! way. What is done with them is decided in [`super::broadcast`].

use crate::types::{ServerId, Zxid};
use crate::zab::Draft;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// See the module. Bounded by what the host lets in.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Debug)]
enum Waiting {
    Draft(Draft),
    /// It must not overtake the writes before it.
    Confirm(Confirm),
}

/// A read that wants proof.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirm {
    pub(super) token: u64,
    pub(super) asker: ServerId,
}

/// What is at the head.
#[derive(Debug)]
pub(super) enum Head {
    Writes(Vec<Draft>),
    Confirm(Confirm),
}

impl Waiting {
    fn server(&self) -> ServerId {
        match self {
            Self::Draft(draft) => draft.origin.server,
            Self::Confirm(confirm) => confirm.asker,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Draft(draft) => draft.payload.len(),
            Self::Confirm(_) => 0,
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, drafts: Vec<Draft>) {
        self.waiting.extend(drafts.into_iter().map(Waiting::Draft));
    }

    pub(super) fn push_confirm(&mut self, confirm: Confirm) {
        self.waiting.push_back(Waiting::Confirm(confirm));
    }

    /// Drafts that were taken from the head and found no place.
    pub(super) fn put_back(&mut self, drafts: Vec<Draft>) {
        for draft in drafts.into_iter().rev() {
            self.waiting.push_front(Waiting::Draft(draft));
        }
    }

    /// Takes a confirmation from the head, or the writes before the next one: of these no more than
    /// so many bytes, but always one.
    pub(super) fn pop(&mut self, bytes_max: usize) -> Option<Head> {
        let mut drafts = Vec::new();
        let mut bytes = 0;
        while let Some(first) = self.waiting.pop_front() {
            bytes += first.bytes();
            match first {
                Waiting::Confirm(confirm) if drafts.is_empty() => {
                    return Some(Head::Confirm(confirm));
                }
                Waiting::Draft(draft) if drafts.is_empty() || bytes <= bytes_max => {
                    drafts.push(draft);
                }
                later => {
                    self.waiting.push_front(later);
                    break;
                }
            }
        }
        (!drafts.is_empty()).then_some(Head::Writes(drafts))
    }

    /// Writes that will not be ordered; confirmations among them are nobody's any more.
    pub(super) fn take_drafts(&mut self) -> Vec<Draft> {
        let drafts = core::mem::take(&mut self.waiting).into_iter().filter_map(|one| match one {
            Waiting::Draft(draft) => Some(draft),
            Waiting::Confirm(_) => None,
        });
        drafts.collect()
    }

    /// A server that begins anew decides by its initial history what became of its writes: one
    /// that still waits here must not be ordered afterwards.
    pub(super) fn forget(&mut self, server: ServerId) {
        self.waiting.retain(|waiting| waiting.server() != server);
    }
}

/// Batches that were ordered, until they have reached somebody.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay {
    /// Where each ends, and its bytes.
    batches: VecDeque<(Zxid, usize)>,
    bytes: usize,
}

impl UnderWay {
    /// Of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, end: Zxid, bytes: usize) {
        self.batches.push_back((end, bytes));
        self.bytes += bytes;
    }

    /// Everything up to here has.
    pub(super) fn pop_until(&mut self, reached: Zxid) {
        while let Some((_, bytes)) = self.batches.front().filter(|(end, _)| *end <= reached) {
            self.bytes -= bytes;
            self.batches.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::Origin;
    use alloc::vec;

    fn draft(server: u64, bytes: usize) -> Draft {
        let origin = Origin { server: ServerId(server), serial: bytes as u64 };
        Draft { origin, payload: vec![0; bytes].into() }
    }

    /// Sizes of the writes at the head, or nothing for a confirmation.
    fn pop(queue: &mut Queue) -> Option<Vec<usize>> {
        Some(match queue.pop(100)? {
            Head::Writes(drafts) => drafts.iter().map(|draft| draft.payload.len()).collect(),
            Head::Confirm(_) => Vec::new(),
        })
    }

    #[test]
    fn writes_leave_in_order_in_batches_of_bounded_size_and_no_confirmation_overtakes_them() {
        let mut queue = Queue::default();
        queue.push([60, 40, 1, 300, 7].map(|bytes| draft(1, bytes)).into());
        queue.push_confirm(Confirm { token: 1, asker: ServerId(2) });
        queue.push(vec![draft(1, 9)]);
        assert_eq!(pop(&mut queue), Some(vec![60, 40]));
        queue.put_back(vec![draft(1, 50), draft(1, 40)]);
        assert_eq!(pop(&mut queue), Some(vec![50, 40, 1]));
        assert_eq!(pop(&mut queue), Some(vec![300]), "one that is longer goes alone");
        assert_eq!(pop(&mut queue), Some(vec![7]));
        assert_eq!(pop(&mut queue), Some(vec![]));
        assert_eq!(pop(&mut queue), Some(vec![9]));
        assert_eq!(pop(&mut queue), None);
    }

    #[test]
    fn what_is_under_way_counts_until_it_is_reached() {
        let mut under_way = UnderWay::default();
        (1..=4).for_each(|end| under_way.push(Zxid(end), 10));
        under_way.pop_until(Zxid(2));
        assert_eq!(under_way.bytes(), 20);
        under_way.pop_until(Zxid(9));
        assert_eq!(under_way.bytes(), 0);
    }

    #[test]
    fn what_a_server_asked_is_forgotten_with_it() {
        let mut queue = Queue::default();
        queue.push(vec![draft(1, 10), draft(2, 20)]);
        queue.push_confirm(Confirm { token: 1, asker: ServerId(2) });
        queue.push(vec![draft(1, 30)]);
        queue.forget(ServerId(2));
        assert_eq!(pop(&mut queue), Some(vec![10, 30]));
    }
}
