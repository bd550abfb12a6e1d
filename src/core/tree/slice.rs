//! The bytes of a snapshot's slices. All numbers little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | every slice | version u8 = 1, but 2 for the head, kind u8, body |
//! | head (1) | zxid u64, digest u64, znodes u64, sessions u64, time in ms of the latest transaction i64 (not in version 1) |
//! | sessions (2) | count u32, then each: id i64, timeout in ms i32, password 16 |
//! | recalls (4) | count u32, then each: session i64, count u32 of writes, then each: xid i32, zxid u64, length u32, outcome |
//! | znodes (3) | count u32 of ACLs, then each: count u32, then each: perms i32, scheme text, id text; count u32 of znodes, then each as below |
//! | znode | slot u32, parent's slot u32 (all ones: the root), name text, data length i32 (-1: null), data, number of its ACL u32, czxid, mzxid, ctime, mtime, pzxid, owner i64, version, aversion, creates, ordinal i32 |
//! | text | length u32, UTF-8 |

use super::SessionRecord;
use super::acl::AclList;
use super::recall::{Kept, Recall};
use super::znode::{Fields, Slot, Znode};
use crate::types::{Acl, Perms, SessionId, Xid, Zxid};
use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) const VERSION: u8 = 1;
pub(super) const HEAD_VERSION: u8 = 2;
pub(super) const HEAD: u8 = 1;
pub(super) const SESSIONS: u8 = 2;
pub(super) const ZNODES: u8 = 3;
pub(super) const RECALLS: u8 = 4;

/// What a snapshot begins with.
pub(super) struct Head {
    pub(super) zxid: Zxid,
    pub(super) digest: u64,
    pub(super) znodes: u64,
    pub(super) sessions: u64,
    pub(super) time_ms: i64,
}

pub(super) fn head(head: &Head) -> Vec<u8> {
    let mut out = alloc::vec![HEAD_VERSION, HEAD];
    let time = head.time_ms.cast_unsigned();
    for number in [head.zxid.0, head.digest, head.znodes, head.sessions, time] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out
}

pub(super) fn sessions(sessions: &[(SessionId, SessionRecord)]) -> Vec<u8> {
    let mut out = alloc::vec![VERSION, SESSIONS];
    put_len(&mut out, sessions.len());
    for (id, record) in sessions {
        out.extend_from_slice(&id.0.to_le_bytes());
        out.extend_from_slice(&record.timeout_ms.to_le_bytes());
        out.extend_from_slice(&record.password);
    }
    out
}

/// Collects what is kept of writes, for one slice.
#[derive(Default)]
pub(super) struct RecallWriter {
    records: Vec<u8>,
    count: usize,
}

impl RecallWriter {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn add(&mut self, session: SessionId, recall: &Recall) {
        let out = &mut self.records;
        out.extend_from_slice(&session.0.to_le_bytes());
        put_len(out, recall.writes.len());
        for Kept { xid, zxid, outcome } in &recall.writes {
            out.extend_from_slice(&xid.0.to_le_bytes());
            out.extend_from_slice(&zxid.0.to_le_bytes());
            put_len(out, outcome.len());
            out.extend_from_slice(outcome);
        }
        self.count += 1;
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = alloc::vec![VERSION, RECALLS];
        put_len(&mut out, self.count);
        out.extend_from_slice(&self.records);
        out
    }
}

/// Collects the znodes of one slice and the ACLs they share.
#[derive(Default)]
pub(super) struct ZnodeWriter {
    acls: Vec<Arc<AclList>>,
    records: Vec<u8>,
    count: usize,
}

impl ZnodeWriter {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn add(&mut self, slot: Slot, znode: &Znode) {
        let acl = self.number_of(&znode.acl);
        let out = &mut self.records;
        out.extend_from_slice(&slot.to_le_bytes());
        out.extend_from_slice(&znode.parent.to_le_bytes());
        put_text(out, znode.name());
        match znode.data() {
            Some(data) => {
                put_len(out, data.len());
                out.extend_from_slice(data);
            }
            None => out.extend_from_slice(&(-1i32).to_le_bytes()),
        }
        put_len(out, acl);
        let f = &znode.fields;
        for number in [f.czxid, f.mzxid, f.ctime, f.mtime, f.pzxid, f.owner] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [f.version, f.aversion, f.creates, f.ordinal] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        self.count += 1;
    }

    fn number_of(&mut self, acl: &Arc<AclList>) -> usize {
        // From the back: neighbours mostly share their ACL.
        if let Some(number) = self.acls.iter().rposition(|known| Arc::ptr_eq(known, acl)) {
            return number;
        }
        self.acls.push(acl.clone());
        self.acls.len() - 1
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut out = alloc::vec![VERSION, ZNODES];
        put_len(&mut out, self.acls.len());
        for acl in &self.acls {
            put_len(&mut out, acl.entries().len());
            for entry in acl.entries().iter() {
                out.extend_from_slice(&entry.perms.0.to_le_bytes());
                put_text(&mut out, &entry.scheme);
                put_text(&mut out, &entry.id);
            }
        }
        put_len(&mut out, self.count);
        out.extend_from_slice(&self.records);
        out
    }
}

pub(super) fn put_len(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("frames, and so their parts, are below 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Takes a slice apart; `None` wherever it ends early or is not what it should be.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A head of this version.
    pub(super) fn head(&mut self, version: u8) -> Option<Head> {
        Some(Head {
            zxid: Zxid(self.u64()?),
            digest: self.u64()?,
            znodes: self.u64()?,
            sessions: self.u64()?,
            time_ms: if version == VERSION { 0 } else { self.i64()? },
        })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()?;
        core::str::from_utf8(self.bytes(length as usize)?).ok()
    }

    pub(super) fn session(&mut self) -> Option<(SessionId, SessionRecord)> {
        let id = SessionId(self.i64()?);
        Some((id, SessionRecord { timeout_ms: self.i32()?, password: self.array()? }))
    }

    /// A session and what is kept of its writes.
    pub(super) fn recall(&mut self) -> Option<(SessionId, Vec<Kept>)> {
        let session = SessionId(self.i64()?);
        let mut writes = Vec::new();
        for _ in 0..self.u32()? {
            let (xid, zxid) = (Xid(self.i32()?), Zxid(self.u64()?));
            let length = self.u32()? as usize;
            writes.push(Kept { xid, zxid, outcome: self.bytes(length)?.into() });
        }
        Some((session, writes))
    }

    pub(super) fn acl(&mut self) -> Option<Vec<Acl>> {
        let mut entries = Vec::new();
        for _ in 0..self.u32()? {
            let perms = Perms(self.i32()?);
            let scheme = self.text()?.to_owned();
            entries.push(Acl { perms, scheme, id: self.text()?.to_owned() });
        }
        Some(entries)
    }

    /// A slot and its znode, whose `parent` is the parent's slot in the snapshot.
    pub(super) fn znode(&mut self, acls: &[Arc<AclList>]) -> Option<(Slot, Znode)> {
        let slot = self.u32()?;
        let parent = self.u32()?;
        let name = self.text()?;
        let data = match self.i32()? {
            -1 => None,
            length => Some(self.bytes(usize::try_from(length).ok()?)?),
        };
        let acl = acls.get(self.u32()? as usize)?.clone();
        let fields = Fields {
            czxid: self.i64()?,
            mzxid: self.i64()?,
            ctime: self.i64()?,
            mtime: self.i64()?,
            pzxid: self.i64()?,
            owner: self.i64()?,
            version: self.i32()?,
            aversion: self.i32()?,
            creates: self.i32()?,
            ordinal: self.i32()?,
        };
        let mut znode = Znode::new(name, data, acl, fields);
        znode.parent = parent;
        Some((slot, znode))
    }
}
