//! What came of the last writes of those sessions whose clients send a write again when its answer
//! is lost: such a write is answered from here and not applied twice.
//!
//! Part of the replicated state, so of snapshots and of the digest. A session that never asked for
//! it has nothing here. How much is kept for one session is bounded; which numbers a client may
//! use, and how much it may leave unanswered, is written down for it in the native protocol.

use super::slice::{Reader, put_len, put_text};
use crate::types::limits::{RECALLED_BYTES_MAX, RECALLED_WRITES_MAX};
use crate::types::{ErrorCode, Outcome, SessionId, Stat, Xid, Zxid};
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What came of one write.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) xid: Xid,
    pub(super) zxid: Zxid,
    pub(super) outcome: Arc<[u8]>,
}

/// The last writes of one session, in order. Never empty: the newest is always kept.
#[derive(Clone, Default)]
pub(super) struct Recall {
    pub(super) writes: VecDeque<Kept>,
    bytes: usize,
}

/// Of all sessions that have any.
#[derive(Default)]
pub(super) struct Recalls {
    pub(super) sessions: BTreeMap<SessionId, Recall>,
    /// A sum over all that is kept.
    pub(super) digest: u64,
}

/// How a write stands to those before it.
pub(super) enum Known<'a> {
    /// It comes after all of them.
    New,
    /// It is one of them.
    Kept(&'a Kept),
    /// It does not come after them, and what came of it is not kept.
    Gone,
}

impl Recalls {
    pub(super) fn find(&self, session: SessionId, xid: Xid) -> Known<'_> {
        let Some(recall) = self.sessions.get(&session) else { return Known::New };
        let writes = &recall.writes;
        if writes.back().is_none_or(|last| xid.is_after(last.xid)) {
            return Known::New;
        }
        let at = writes.partition_point(|kept| xid.is_after(kept.xid));
        writes.get(at).filter(|kept| kept.xid == xid).map_or(Known::Gone, Known::Kept)
    }

    /// The number of the session's last write, 0 if none is known.
    pub(super) fn last(&self, session: SessionId) -> Xid {
        let last = self.sessions.get(&session).and_then(|recall| recall.writes.back());
        last.map_or(Xid(0), |kept| kept.xid)
    }

    /// Keeps what came of a session's newest write, and forgets what its client has heard, all
    /// answers up to number `heard`.
    pub(super) fn keep(&mut self, session: SessionId, kept: Kept, heard: Xid) {
        let Self { sessions, digest } = self;
        let recall = sessions.entry(session).or_default();
        recall.push(session, kept, digest);
        while recall.writes.len() > 1 && recall.may_forget_first(heard) {
            recall.forget_first(session, digest);
        }
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        for kept in self.sessions.remove(&session).unwrap_or_default().writes {
            self.digest = self.digest.wrapping_sub(kept.digest(session));
        }
    }

    /// Takes in what a snapshot holds of a session; false if that cannot be.
    pub(super) fn restore(&mut self, session: SessionId, writes: Vec<Kept>) -> bool {
        let rising = writes.windows(2).all(|pair| pair[1].xid.is_after(pair[0].xid));
        let sound = writes.iter().all(|kept| outcome(&kept.outcome).is_some());
        if writes.is_empty() || !rising || !sound || self.sessions.contains_key(&session) {
            return false;
        }
        let recall = self.sessions.entry(session).or_default();
        writes.into_iter().for_each(|kept| recall.push(session, kept, &mut self.digest));
        true
    }
}

impl Recall {
    fn push(&mut self, session: SessionId, kept: Kept, digest: &mut u64) {
        *digest = digest.wrapping_add(kept.digest(session));
        self.bytes += kept.outcome.len();
        self.writes.push_back(kept);
    }

    fn may_forget_first(&self, heard: Xid) -> bool {
        let first = self.writes.front().map_or(Xid(0), |kept| kept.xid);
        (heard.0 > 0 && !first.is_after(heard))
            || self.writes.len() > RECALLED_WRITES_MAX
            || self.bytes > RECALLED_BYTES_MAX
    }

    fn forget_first(&mut self, session: SessionId, digest: &mut u64) {
        if let Some(kept) = self.writes.pop_front() {
            *digest = digest.wrapping_sub(kept.digest(session));
            self.bytes -= kept.outcome.len();
        }
    }
}

impl Kept {
    pub(super) fn new(xid: Xid, zxid: Zxid, outcome: &Outcome) -> Self {
        let mut bytes = Vec::new();
        match outcome {
            Outcome::Multi(results) => {
                bytes.push(MULTI);
                put_len(&mut bytes, results.len());
                results.iter().for_each(|result| put_result(&mut bytes, result));
            }
            single => put_result(&mut bytes, single),
        }
        Self { xid, zxid, outcome: bytes.into() }
    }

    pub(super) fn outcome(&self) -> Outcome {
        outcome(&self.outcome).expect("written by `new`, or looked through by `restore`")
    }

    fn digest(&self, session: SessionId) -> u64 {
        let at = self.zxid.0.rotate_left(32) ^ session.0.cast_unsigned();
        xxh3_64_with_seed(&self.outcome, at ^ u64::from(self.xid.0.cast_unsigned()).rotate_left(16))
    }
}

const CREATED: u8 = 0;
const CREATED_WITH_STAT: u8 = 1;
const DELETED: u8 = 2;
const DATA_SET: u8 = 3;
const ACL_SET: u8 = 4;
const CHECKED: u8 = 5;
const FAILED: u8 = 6;
const ROLLED_BACK: u8 = 7;
const MULTI: u8 = 8;

fn put_result(out: &mut Vec<u8>, result: &Outcome) {
    match result {
        Outcome::Created { path, stat: None } => {
            out.push(CREATED);
            put_text(out, path);
        }
        Outcome::Created { path, stat: Some(stat) } => {
            out.push(CREATED_WITH_STAT);
            put_text(out, path);
            put_stat(out, stat);
        }
        Outcome::Deleted => out.push(DELETED),
        Outcome::DataSet(stat) => {
            out.push(DATA_SET);
            put_stat(out, stat);
        }
        Outcome::AclSet(stat) => {
            out.push(ACL_SET);
            put_stat(out, stat);
        }
        Outcome::Checked => out.push(CHECKED),
        Outcome::Failed(error) => put_failed(out, *error),
        Outcome::RolledBack => out.push(ROLLED_BACK),
        // A multi holds no multi, and no client's write makes or ends a session and is kept.
        Outcome::Multi(_) | Outcome::SessionCreated { .. } | Outcome::SessionClosed => {
            put_failed(out, ErrorCode::RuntimeInconsistency);
        }
    }
}

fn put_failed(out: &mut Vec<u8>, error: ErrorCode) {
    out.push(FAILED);
    out.extend_from_slice(&error.code().to_le_bytes());
}

fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    let Stat { czxid, mzxid, ctime, mtime, pzxid, ephemeral_owner, .. } = *stat;
    for number in [czxid, mzxid, ctime, mtime, pzxid, ephemeral_owner] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let Stat { version, cversion, aversion, data_length, num_children, .. } = *stat;
    for number in [version, cversion, aversion, data_length, num_children] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// The outcome that these bytes are, if they are one and nothing else.
fn outcome(bytes: &[u8]) -> Option<Outcome> {
    let mut reader = Reader(bytes);
    let outcome = match reader.byte()? {
        MULTI => {
            let mut results = Vec::new();
            for _ in 0..reader.u32()? {
                let tag = reader.byte()?;
                results.push(result(tag, &mut reader)?);
            }
            Outcome::Multi(results)
        }
        tag => result(tag, &mut reader)?,
    };
    reader.0.is_empty().then_some(outcome)
}

fn result(tag: u8, reader: &mut Reader<'_>) -> Option<Outcome> {
    Some(match tag {
        CREATED => Outcome::Created { path: reader.text()?.to_owned(), stat: None },
        CREATED_WITH_STAT => {
            let path = reader.text()?.to_owned();
            Outcome::Created { path, stat: Some(stat(reader)?) }
        }
        DELETED => Outcome::Deleted,
        DATA_SET => Outcome::DataSet(stat(reader)?),
        ACL_SET => Outcome::AclSet(stat(reader)?),
        CHECKED => Outcome::Checked,
        FAILED => Outcome::Failed(ErrorCode::from_code(reader.i32()?)?),
        ROLLED_BACK => Outcome::RolledBack,
        _ => return None,
    })
}

fn stat(reader: &mut Reader<'_>) -> Option<Stat> {
    Some(Stat {
        czxid: reader.i64()?,
        mzxid: reader.i64()?,
        ctime: reader.i64()?,
        mtime: reader.i64()?,
        pzxid: reader.i64()?,
        ephemeral_owner: reader.i64()?,
        version: reader.i32()?,
        cversion: reader.i32()?,
        aversion: reader.i32()?,
        data_length: reader.i32()?,
        num_children: reader.i32()?,
    })
}
