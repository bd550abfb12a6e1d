//! The bytes of requests that travel, in one allocation for what one read of the socket gave.
//!
//! They are let go one by one on another thread; so many small allocations, each grown piece by
//! piece, were the largest single cost of a write.

use crate::types::limits::BODIES_BYTES_MAX;
use crate::wire::Decoded;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// What a payload has beyond the request it is made of: session and identities, most often.
const EXTRA_BYTES: usize = 64;

/// See the module.
#[derive(Default)]
pub(super) struct Bodies {
    room: BytesMut,
    /// A payload while it is being encoded.
    draft: Vec<u8>,
}

impl Bodies {
    /// Makes room for these requests, as far as they can share one allocation, unless there is
    /// some left: whatever outlives the others keeps all of them in memory.
    pub(super) fn expect(&mut self, requests: &[Decoded<'_>]) {
        let Some((_, _, first)) = requests.first() else { return };
        self.draft.clear();
        self.draft.reserve(first.len() + EXTRA_BYTES);
        if self.room.capacity() >= first.len() + EXTRA_BYTES {
            return;
        }
        let mut bytes = 0;
        for (_, _, body) in requests {
            let more = body.len() + EXTRA_BYTES;
            if bytes > 0 && bytes + more > BODIES_BYTES_MAX {
                break;
            }
            bytes += more;
        }
        self.room = BytesMut::with_capacity(bytes);
    }

    /// A copy of a request's own bytes.
    pub(super) fn copy(&mut self, body: &[u8]) -> Bytes {
        self.room.extend_from_slice(body);
        self.room.split().freeze()
    }

    /// A payload that is encoded here.
    pub(super) fn write(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        self.draft.clear();
        encode(&mut self.draft);
        self.room.extend_from_slice(&self.draft);
        self.room.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Request, Xid};

    #[test]
    fn bodies_of_one_read_lie_side_by_side_and_none_is_cut() {
        let body = [7; 100];
        let requests: Vec<_> = (0..10).map(|xid| (Xid(xid), Request::Ping, &body[..])).collect();
        let mut bodies = Bodies::default();
        let mut all = Vec::new();
        for left in 0..requests.len() {
            bodies.expect(&requests[left..]);
            all.push(bodies.copy(&body));
        }
        assert!(all.iter().all(|one| one[..] == body));
        assert!(all.windows(2).all(|pair| pair[0].as_ptr_range().end == pair[1].as_ptr()));
        let large = bodies.write(|out| out.resize(3 * BODIES_BYTES_MAX, 1));
        assert_eq!(large.len(), 3 * BODIES_BYTES_MAX);
        assert_eq!(bodies.copy(b"end")[..], b"end"[..]);
    }

    #[test]
    fn a_long_run_is_cut_into_several_allocations() {
        let body = [7; 1000];
        let requests: Vec<_> = (0..999).map(|xid| (Xid(xid), Request::Ping, &body[..])).collect();
        let mut bodies = Bodies::default();
        bodies.expect(&requests);
        assert!(bodies.room.capacity() <= BODIES_BYTES_MAX, "{}", bodies.room.capacity());
    }
}
