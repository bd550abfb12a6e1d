//! How much of what one client asked is under way: the count and the bytes by which its socket is
//! held back.
//!
//! Counts what the connection submitted and what came back. Who stops reading is the room.

use crate::types::limits::{CONNECTION_BYTES_IN_FLIGHT_MAX, CONNECTION_REQUESTS_IN_FLIGHT_MAX};
use alloc::collections::VecDeque;

/// So many places are kept while nothing is under way.
const PLACES_KEPT: usize = 128;

/// Requests under way, in the order in which they will be answered.
///
/// Invariant: `bytes` is the sum of `sizes`.
#[derive(Default)]
pub(super) struct Flight {
    sizes: VecDeque<usize>,
    bytes: usize,
}

impl Flight {
    /// A request of so many bytes is on its way.
    pub(super) fn depart(&mut self, bytes: usize) {
        self.sizes.push_back(bytes);
        self.bytes += bytes;
    }

    /// The first so many of them are answered.
    pub(super) fn land(&mut self, requests: usize) {
        assert!(requests <= self.sizes.len(), "more replies than requests");
        self.bytes -= self.sizes.drain(..requests).sum::<usize>();
        // A connection that asks nothing keeps no memory for asking much.
        if self.sizes.is_empty() && self.sizes.capacity() > PLACES_KEPT {
            self.sizes = VecDeque::new();
        }
    }

    pub(super) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// Whether nothing more should be taken in before something has landed.
    pub(super) fn is_full(&self) -> bool {
        self.count() >= CONNECTION_REQUESTS_IN_FLIGHT_MAX
            || self.bytes >= CONNECTION_BYTES_IN_FLIGHT_MAX
    }

    /// Whether what was left over is worth offering again: it is decoded anew each time, so not
    /// for every few requests that land.
    pub(super) fn has_room(&self) -> bool {
        self.count() <= CONNECTION_REQUESTS_IN_FLIGHT_MAX / 2
            && self.bytes <= CONNECTION_BYTES_IN_FLIGHT_MAX / 2
    }
}
