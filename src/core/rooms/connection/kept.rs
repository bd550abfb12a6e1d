//! Linearizable reads that stay where they came until the leader has vouched for this server's
//! state. Then they are answered in place, like any other read.
//!
//! One confirmation is asked for all that are there; what comes meanwhile waits for the next one.
//! It takes the way of all requests that travel, and comes back when the tree has what it was
//! vouched for. Nothing but such reads waits here: as soon as a request comes that has to travel,
//! they all go on their way before it, behind the confirmation. So no write waits for a read.
//!
//! The reads stay in the bytes that the room offers again; here is only how much of them there is.

use super::{Connection, Output};
use crate::rooms::connection::frames::Frames;
use crate::types::limits::CONNECTION_BYTES_KEPT_MAX;
use crate::types::{Asked, Request};
use crate::wire::Decoded;
use alloc::vec::Vec;

/// How many requests at the beginning of what is offered may be answered, and what waits.
///
/// Invariant: if `asked` is not 0, the confirmation is all that is under way.
#[derive(Default)]
pub(super) struct Kept {
    /// The first so many are vouched for.
    pub(super) vouched: usize,
    /// The first so many are those for which the confirmation under way was asked; 0 if none is.
    asked: usize,
    /// Bytes of the whole frames that wait, all of them looked at.
    bytes: usize,
}

impl Kept {
    /// Whether a confirmation is under way for reads that stay.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked > 0
    }

    /// Whether so much waits that the socket is not to be read.
    pub(super) fn is_full(&self) -> bool {
        self.is_waiting() && self.bytes >= CONNECTION_BYTES_KEPT_MAX
    }

    /// The confirmation has come back.
    pub(super) fn landed(&mut self) {
        if self.is_waiting() {
            self.release();
        }
    }

    /// So many requests that stood first are dealt with.
    pub(super) fn dealt_with(&mut self, requests: usize) {
        self.vouched = self.vouched.saturating_sub(requests);
    }

    /// Whole frames of so many bytes stay.
    pub(super) fn stay(&mut self, bytes: usize) {
        self.bytes = bytes;
    }

    /// What the confirmation was asked for needs no other one.
    fn release(&mut self) {
        self.vouched = core::mem::take(&mut self.asked);
    }
}

impl Connection {
    /// Whether reads wait here for a confirmation.
    pub fn keeps_reads(&self) -> bool {
        self.kept.is_waiting()
    }

    /// More came while a confirmation is under way. Whether all of it can wait for the next one.
    pub(super) fn keeps_more(&mut self, input: &[u8]) -> bool {
        let mut mended = Vec::new();
        let behind = &input[self.kept.bytes..];
        let frames = Frames::cut(self.sender.codec, behind, self.door.frame_bytes_max, &mut mended);
        let stays = mended.is_empty()
            && !frames.broken
            && frames.requests.iter().all(|(_, request, _)| can_wait(request));
        if stays {
            self.kept.bytes += frames.end_within(usize::MAX).bytes;
        }
        stays
    }

    /// Whether these, all that is left of what came, stay until they are vouched for; asks for
    /// that if it is still to be done.
    pub(super) fn keeps(&mut self, rest: &[Decoded<'_>], out: &mut Output) -> bool {
        if !self.confirms_reads || (self.in_flight() > 0 && !self.kept.is_waiting()) {
            return false;
        }
        if self.kept.vouched > 0 || !rest.iter().all(|(_, request, _)| can_wait(request)) {
            // They travel behind the confirmation, if there is one.
            self.kept.landed();
            return false;
        }
        if !self.kept.is_waiting() {
            self.kept.asked = rest.len();
            self.flight.depart(0);
            out.asked.push(Asked::NOTHING);
            out.unvouched = Some(self.sender.clone());
        }
        true
    }
}

/// Whether a request changes nothing and sets no watch, so that its place is anywhere between
/// those around it.
fn can_wait(request: &Request<'_>) -> bool {
    match request {
        Request::Read(read) => !read.sets_watch(),
        Request::Ping | Request::WhoAmI | Request::Sasl(_) | Request::Malformed => true,
        Request::Unknown
        | Request::Reconfig
        | Request::Write(_)
        | Request::Watch(_)
        | Request::Sync(_)
        | Request::Auth { .. }
        | Request::CloseSession => false,
    }
}
