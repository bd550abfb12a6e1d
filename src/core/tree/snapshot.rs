//! The tree as slices of bytes, exact at the moment the snapshot began, while transactions go on
//! being applied; and back.
//!
//! A slot of the slab that is about to change before the snapshot has passed it is written out
//! first and kept. The first slice is the head, every other one holds slots:
//!
//! ```text
//! head   0x01 | version u32 | zxid u64 | digest u64 | slots u32 | znodes u64
//!        | sessions u32 { id i64, timeout i32, password 16 }
//!        | ACLs u32 { number u32, entries u32 { perms i32, scheme, id } }
//! slots  0x02 | znodes u32 { slot u32, parent u32, acl u32, facts 60, name, data }
//! ```
//! Little endian; text is a `u32` length and bytes; data is that too, or the length `u32::MAX`
//! for null.

use super::acl::{AclRef, AclTable};
use super::store::{Facts, Id, Node, Store};
use super::{Rules, SessionRecord, Tree};
use crate::types::{Acl, Owner, Perms, SessionId, Zxid};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

const HEAD: u8 = 1;
const SLOTS: u8 = 2;
const VERSION: u32 = 1;
const NULL: u32 = u32::MAX;

/// A snapshot under way.
pub(super) struct Running {
    head: Option<Vec<u8>>,
    cursor: Id,
    end: Id,
    /// Slots that changed before the cursor came by: what they held.
    kept: BTreeMap<Id, Option<Vec<u8>>>,
}

/// Why slices do not make a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The bytes end early, or hold a value that cannot be.
    #[error("its bytes are not a snapshot's")]
    Malformed,
    /// It was written by a newer Ostler.
    #[error("its format {0} is newer than this server")]
    Newer(u32),
    /// A znode stands on nothing, twice, or with an unknown ACL; or some are missing.
    #[error("its znodes do not form one tree")]
    NotATree,
    /// It is whole but not what was written.
    #[error("its digest is not the one it was written with")]
    Digest,
}

impl Tree {
    /// Begins a snapshot; gives up one that was under way. Returns where it is exact.
    pub fn snapshot_begin(&mut self) -> Zxid {
        let head = Some(self.snapshot_head());
        let end = self.store.slot_count();
        self.snapshot = Some(Running { head, cursor: 0, end, kept: BTreeMap::new() });
        self.last_applied
    }

    /// The next slice, of at most `max` slots; `None` when it is complete, or none is under way.
    pub fn snapshot_slice(&mut self, max: usize) -> Option<Vec<u8>> {
        let running = self.snapshot.as_mut()?;
        if let Some(head) = running.head.take() {
            return Some(head);
        }
        if running.cursor == running.end {
            self.snapshot = None;
            return None;
        }
        let until = running.end.min(running.cursor.saturating_add(max.max(1) as u32));
        let mut slice = alloc::vec![SLOTS];
        put_u32(&mut slice, 0);
        let mut count: u32 = 0;
        for id in running.cursor..until {
            let written = match running.kept.remove(&id) {
                Some(Some(bytes)) => {
                    slice.extend_from_slice(&bytes);
                    true
                }
                Some(None) => false,
                None => self.store.slot(id).is_some_and(|node| {
                    write_node(id, node, &mut slice);
                    true
                }),
            };
            count += u32::from(written);
        }
        running.cursor = until;
        slice[1..5].copy_from_slice(&count.to_le_bytes());
        Some(slice)
    }

    /// Forgets the snapshot under way.
    pub fn snapshot_cancel(&mut self) {
        self.snapshot = None;
    }

    /// To be called before a slot changes.
    pub(super) fn preserve(&mut self, id: Id) {
        let Some(running) = &mut self.snapshot else { return };
        if id < running.cursor || id >= running.end || running.kept.contains_key(&id) {
            return;
        }
        let held = self.store.slot(id).map(|node| {
            let mut bytes = Vec::new();
            write_node(id, node, &mut bytes);
            bytes
        });
        running.kept.insert(id, held);
    }

    fn snapshot_head(&self) -> Vec<u8> {
        let mut out = alloc::vec![HEAD];
        put_u32(&mut out, VERSION);
        out.extend_from_slice(&self.last_applied.0.to_le_bytes());
        out.extend_from_slice(&self.digest.to_le_bytes());
        put_u32(&mut out, self.store.slot_count());
        out.extend_from_slice(&(self.store.len() as u64).to_le_bytes());
        put_u32(&mut out, self.sessions.len() as u32);
        for (id, record) in &self.sessions {
            out.extend_from_slice(&id.0.to_le_bytes());
            out.extend_from_slice(&record.timeout_ms.to_le_bytes());
            out.extend_from_slice(&record.password);
        }
        put_u32(&mut out, self.acls.in_use().count() as u32);
        for (acl, list) in self.acls.in_use() {
            put_u32(&mut out, acl.0);
            put_u32(&mut out, list.len() as u32);
            for entry in &**list {
                out.extend_from_slice(&entry.perms.0.to_le_bytes());
                put_bytes(&mut out, entry.scheme.as_bytes());
                put_bytes(&mut out, entry.id.as_bytes());
            }
        }
        out
    }
}

/// Puts slices together again.
pub struct Loader {
    rules: Rules,
    hash_seed: u64,
    head: Option<Head>,
    slots: Vec<Option<Node>>,
    acls: AclTable,
    /// From the numbers of the snapshot to those of the table.
    numbers: BTreeMap<u32, AclRef>,
}

struct Head {
    zxid: Zxid,
    digest: u64,
    slots: u32,
    znodes: u64,
    sessions: BTreeMap<SessionId, SessionRecord>,
}

impl Loader {
    /// An empty loader; see [`Tree::new`] for the arguments.
    pub fn new(rules: Rules, hash_seed: u64) -> Self {
        Self {
            rules,
            hash_seed,
            head: None,
            slots: Vec::new(),
            acls: AclTable::default(),
            numbers: BTreeMap::new(),
        }
    }

    /// Takes in the next slice.
    ///
    /// # Errors
    /// When it is no slice of a snapshot, or does not fit those before it.
    pub fn feed(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        let mut bytes = Cursor(slice);
        match (bytes.byte()?, self.head.is_some()) {
            (HEAD, false) => self.take_head(&mut bytes)?,
            (SLOTS, true) => self.take_slots(&mut bytes)?,
            _ => return Err(SnapshotError::Malformed),
        }
        if bytes.0.is_empty() { Ok(()) } else { Err(SnapshotError::Malformed) }
    }

    /// The tree, once every slice has been fed.
    ///
    /// # Errors
    /// When slices are missing, contradict each other, or are not exact at `zxid`.
    pub fn finish(mut self, zxid: Zxid) -> Result<Tree, SnapshotError> {
        let head = self.head.take().ok_or(SnapshotError::Malformed)?;
        if head.zxid != zxid {
            return Err(SnapshotError::Malformed);
        }
        for acl in self.numbers.values() {
            // The reference the loader itself held while the znodes were still to come.
            self.acls.release(*acl);
        }
        let store = Store::from_slots(self.slots, self.hash_seed).ok_or(SnapshotError::NotATree)?;
        if store.len() as u64 != head.znodes {
            return Err(SnapshotError::NotATree);
        }
        let mut tree = Tree::over(self.rules, store, self.acls);
        tree.sessions = head.sessions;
        tree.last_applied = head.zxid;
        tree.derive();
        if tree.digest == head.digest { Ok(tree) } else { Err(SnapshotError::Digest) }
    }

    fn take_head(&mut self, bytes: &mut Cursor<'_>) -> Result<(), SnapshotError> {
        let version = bytes.u32()?;
        if version > VERSION {
            return Err(SnapshotError::Newer(version));
        }
        let (zxid, digest) = (Zxid(bytes.u64()?), bytes.u64()?);
        let (slots, znodes) = (bytes.u32()?, bytes.u64()?);
        let mut sessions = BTreeMap::new();
        for _ in 0..bytes.u32()? {
            let id = SessionId(bytes.i64()?);
            let timeout_ms = bytes.i32()?;
            sessions.insert(id, SessionRecord { timeout_ms, password: bytes.array()? });
        }
        for _ in 0..bytes.u32()? {
            let number = bytes.u32()?;
            let mut list = Vec::new();
            for _ in 0..bytes.u32()? {
                let perms = Perms(bytes.i32()?);
                list.push(Acl { perms, scheme: bytes.text()?, id: bytes.text()? });
            }
            let acl = self.acls.intern(&list);
            self.numbers.insert(number, acl);
        }
        self.head = Some(Head { zxid, digest, slots, znodes, sessions });
        Ok(())
    }

    fn take_slots(&mut self, bytes: &mut Cursor<'_>) -> Result<(), SnapshotError> {
        let slots = self.head.as_ref().map_or(0, |head| head.slots);
        for _ in 0..bytes.u32()? {
            let id = bytes.u32()?;
            // Slots come in ascending order, so that a lying number cannot make room for itself.
            if id >= slots || (id as usize) < self.slots.len() {
                return Err(SnapshotError::NotATree);
            }
            let gap = id as usize - self.slots.len();
            if gap > self.slots.len() + (1 << 20) {
                return Err(SnapshotError::NotATree);
            }
            let (parent, acl) = (bytes.u32()?, bytes.u32()?);
            let facts = bytes.facts()?;
            let name = bytes.text()?;
            let data = bytes.data()?;
            let acl = *self.numbers.get(&acl).ok_or(SnapshotError::NotATree)?;
            self.acls.keep(acl);
            self.slots.resize_with(id as usize, || None);
            self.slots.push(Some(Node::new(&name, data, acl, facts, parent)));
        }
        Ok(())
    }
}

impl Tree {
    /// Everything that follows from the znodes.
    fn derive(&mut self) {
        let ids: Vec<Id> = self.store.ids().collect();
        for id in ids {
            let path = self.store.path(id);
            let node = self.store.node(id);
            self.digest = self.digest.wrapping_add(node.digest(&path));
            self.data_bytes += (node.name.len() + node.data_len()) as u64;
            match Owner::decode(node.facts.owner) {
                Owner::Session(session) => {
                    self.ephemerals.entry(session).or_default().insert(id);
                }
                Owner::Container | Owner::Ttl(_) => {
                    self.mortal.insert(id);
                }
                Owner::Persistent => {}
            }
        }
        self.find_quotas();
    }
}

fn write_node(id: Id, node: &Node, out: &mut Vec<u8>) {
    put_u32(out, id);
    put_u32(out, node.parent);
    put_u32(out, node.acl.0);
    let f = &node.facts;
    for long in [f.czxid, f.mzxid, f.pzxid, f.ctime, f.mtime, f.owner] {
        out.extend_from_slice(&long.to_le_bytes());
    }
    for int in [f.version, f.cversion, f.aversion] {
        out.extend_from_slice(&int.to_le_bytes());
    }
    put_bytes(out, node.name.as_bytes());
    match &node.data {
        Some(data) => put_bytes(out, data),
        None => put_u32(out, NULL),
    }
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SnapshotError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SnapshotError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        self.take(N)?.try_into().map_err(|_| SnapshotError::Malformed)
    }

    fn byte(&mut self) -> Result<u8, SnapshotError> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, SnapshotError> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, SnapshotError> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, SnapshotError> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, SnapshotError> {
        self.array().map(i64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, SnapshotError> {
        let length = self.u32()? as usize;
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).map(String::from).map_err(|_| SnapshotError::Malformed)
    }

    fn data(&mut self) -> Result<Option<&'a [u8]>, SnapshotError> {
        match self.u32()? {
            NULL => Ok(None),
            length => self.take(length as usize).map(Some),
        }
    }

    fn facts(&mut self) -> Result<Facts, SnapshotError> {
        Ok(Facts {
            czxid: self.i64()?,
            mzxid: self.i64()?,
            pzxid: self.i64()?,
            ctime: self.i64()?,
            mtime: self.i64()?,
            owner: self.i64()?,
            version: self.i32()?,
            cversion: self.i32()?,
            aversion: self.i32()?,
        })
    }
}
