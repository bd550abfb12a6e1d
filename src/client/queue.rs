//! Requests that were asked and not answered yet, in order, and which of them to send when.
//!
//! A client whose writes take effect once keeps the bytes of each request until its answer is
//! there, so that it can be sent again with the same number. How much of that may be on its way is
//! bounded by what servers remember of it. Locks and sockets are elsewhere.

use super::ClientError;
use super::shared::WatchEffect;
use ostler_core::types::Xid;
use ostler_core::types::limits::{RECALLED_WRITES_MAX, RESENT_BYTES_MAX};
use ostler_core::wire::native::stamp;
use ostler_core::wire::{OwnedReply, ReplyKind};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// One request.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) kind: ReplyKind,
    pub(crate) effect: WatchEffect,
    pub(crate) answer: oneshot::Sender<Result<OwnedReply, ClientError>>,
    /// Whether it may change anything.
    pub(crate) writes: bool,
    /// Its number; of one that is kept with its bytes, only from when it is first sent.
    pub(crate) xid: Option<Xid>,
    /// Its frame, if it may have to be sent again.
    pub(crate) frame: Vec<u8>,
}

/// See the module. Invariant: the first `sent` were sent on the present connection, and `bytes` is
/// the length of their frames; those with a number stand before those without.
#[derive(Debug)]
pub(crate) struct Queue {
    all: VecDeque<Pending>,
    sent: usize,
    bytes: usize,
    next_xid: Xid,
    /// All answers up to this number have come.
    heard: Xid,
}

impl Default for Queue {
    fn default() -> Self {
        let (all, next_xid) = (VecDeque::new(), Xid(1));
        Self { all, sent: 0, bytes: 0, next_xid, heard: Xid(0) }
    }
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The number for one more request.
    pub(crate) fn number(&mut self) -> Xid {
        let xid = self.next_xid;
        // Numbers below 1 are the protocol's own.
        self.next_xid = Xid(xid.0.checked_add(1).unwrap_or(1));
        xid
    }

    pub(crate) fn push(&mut self, pending: Pending) {
        self.all.push_back(pending);
    }

    /// Appends what may be sent now of the requests that are kept with their bytes.
    pub(crate) fn send(&mut self, out: &mut Vec<u8>) {
        while let Some(next) = self.all.get(self.sent) {
            let bytes = self.bytes + next.frame.len();
            let fits = self.sent < RECALLED_WRITES_MAX && bytes <= RESENT_BYTES_MAX;
            if self.sent > 0 && !fits {
                break;
            }
            let known = next.xid;
            let xid = known.unwrap_or_else(|| self.number());
            let heard = self.heard;
            let next = &mut self.all[self.sent];
            next.xid = Some(xid);
            stamp(&mut next.frame, xid, heard);
            out.extend_from_slice(&next.frame);
            self.sent += 1;
            self.bytes = bytes;
        }
    }

    /// Takes out the request that this answer is for, if it is the one that had to come.
    pub(crate) fn take(&mut self, xid: Xid) -> Option<Pending> {
        self.all.front().filter(|first| first.xid == Some(xid))?;
        let first = self.all.pop_front()?;
        self.heard = xid;
        self.sent = self.sent.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(first.frame.len());
        Some(first)
    }

    /// On a new connection everything is sent again. Numbers go on behind `last_once`, for the
    /// session may have been another client's.
    pub(crate) fn attached(&mut self, last_once: Xid) {
        if !self.next_xid.is_after(last_once) && last_once != Xid(0) {
            self.next_xid = last_once;
            self.number();
        }
    }

    /// The connection is gone. Takes out the reads that must not be asked again, because they could
    /// now see a write that was sent after them.
    pub(crate) fn detached(&mut self) -> Vec<Pending> {
        (self.sent, self.bytes) = (0, 0);
        let is_sent_write = |pending: &Pending| pending.writes && pending.xid.is_some();
        let Some(last_write) = self.all.iter().rposition(is_sent_write) else { return Vec::new() };
        let behind = self.all.split_off(last_write);
        let (before, lost) = self.all.drain(..).partition(|pending: &Pending| pending.writes);
        self.all = before;
        self.all.extend(behind);
        lost.into()
    }

    pub(crate) fn take_all(&mut self) -> VecDeque<Pending> {
        (self.sent, self.bytes) = (0, 0);
        std::mem::take(&mut self.all)
    }
}

#[cfg(test)]
#[path = "queue_test.rs"]
mod tests;
