//! Putting Jute's primitive types and shared records into a frame.

use crate::types::{AclEntry, Stat};
use alloc::vec::Vec;

/// Appends one frame to a buffer; its length is filled in by [`Writer::finish`].
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
}

impl<'o> Writer<'o> {
    pub(super) fn frame(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        Self { out, start }
    }

    /// Writes the frame's length before its body.
    pub(super) fn finish(self) {
        let length = count(self.out.len() - self.start - 4);
        self.out[self.start..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }

    pub(super) fn int(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn long(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    pub(super) fn count(&mut self, value: usize) {
        self.int(count(value));
    }

    pub(super) fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.int(-1),
            Some(bytes) => {
                self.count(bytes.len());
                self.out.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn string(&mut self, value: &str) {
        self.buffer(Some(value.as_bytes()));
    }

    pub(super) fn strings<'s>(&mut self, values: impl ExactSizeIterator<Item = &'s str>) {
        self.count(values.len());
        for value in values {
            self.string(value);
        }
    }

    pub(super) fn acl<'s>(&mut self, entries: impl ExactSizeIterator<Item = AclEntry<'s>>) {
        self.count(entries.len());
        for entry in entries {
            self.int(entry.perms.0);
            self.string(entry.scheme);
            self.string(entry.id);
        }
    }

    pub(super) fn stat(&mut self, stat: &Stat) {
        self.long(stat.czxid);
        self.long(stat.mzxid);
        self.long(stat.ctime);
        self.long(stat.mtime);
        self.int(stat.version);
        self.int(stat.cversion);
        self.int(stat.aversion);
        self.long(stat.ephemeral_owner);
        self.int(stat.data_length);
        self.int(stat.num_children);
        self.long(stat.pzxid);
    }

    /// The header of one operation, or of one result, within a multi.
    pub(super) fn multi_header(&mut self, kind: i32, done: bool, error: i32) {
        self.int(kind);
        self.bool(done);
        self.int(error);
    }
}

/// A count as the protocol has it. No frame of ours comes near 2 GiB: data and names are bounded
/// by the frames they came in, and the tree lives in memory.
fn count(value: usize) -> i32 {
    i32::try_from(value).expect("a frame is shorter than 2 GiB")
}
