//! Reads of the tree, with the permissions they need. Nothing here changes anything, so any
//! number of connections may read at once.

use super::Tree;
use super::acl::{masked, permits};
use super::slab::Slab;
use super::store::Store;
use super::znode::{NONE, ROOT, Slot};
use crate::types::{Acl, AuthId, ErrorCode, NameList, Owner, Perms, SessionId, Stat};
use alloc::string::String;
use alloc::vec::Vec;

/// Paths that [`Tree::prefetch`] takes at a time: enough to keep the memory busy, few enough that
/// nothing is pushed out of the cache before it is read.
pub const PREFETCH_MAX: usize = 16;

/// The names of a znode's children, oldest first.
pub struct Children<'a> {
    slab: &'a Slab,
    first: Slot,
    count: usize,
}

impl NameList for Children<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn each(&self, each: &mut dyn FnMut(&str)) {
        let mut at = self.first;
        while at != NONE {
            let znode = self.slab.at(at);
            each(znode.name());
            at = znode.next;
        }
    }
}

impl Tree {
    /// exists. `BadArguments` for a path with a NUL, `NoNode`, `NoAuth` without READ.
    pub fn exists(&self, path: &str, ids: &[AuthId]) -> Result<Stat, ErrorCode> {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        Ok(self.store.slab.at(self.readable(path, ids)?).stat())
    }

    /// getData. `NoNode`, `NoAuth` without READ.
    pub fn data(&self, path: &str, ids: &[AuthId]) -> Result<(Option<&[u8]>, Stat), ErrorCode> {
        let znode = self.store.slab.at(self.readable(path, ids)?);
        Ok((znode.data(), znode.stat()))
    }

    /// getACL, digests masked without ADMIN. `NoNode`, `NoAuth` without READ and ADMIN.
    pub fn acl(&self, path: &str, ids: &[AuthId]) -> Result<(Vec<Acl>, Stat), ErrorCode> {
        let slot = self.find(path)?;
        self.demand(slot, Perms(Perms::READ.0 | Perms::ADMIN.0), ids)?;
        let znode = self.store.slab.at(slot);
        let entries = znode.acl.entries();
        let in_full = self.rules.skip_acl || permits(entries, Perms::ADMIN, ids);
        let shown = if in_full { entries.to_vec() } else { masked(entries) };
        Ok((shown, znode.stat()))
    }

    /// getChildren. `NoNode`, `NoAuth` without READ.
    pub fn children(&self, path: &str, ids: &[AuthId]) -> Result<(Children<'_>, Stat), ErrorCode> {
        let znode = self.store.slab.at(self.readable(path, ids)?);
        let count = usize::try_from(znode.num_children).unwrap_or(0);
        Ok((Children { slab: &self.store.slab, first: znode.first_child, count }, znode.stat()))
    }

    /// getAllChildrenNumber: all below, the znode itself not counted. `NoNode`, `NoAuth`.
    pub fn descendant_count(&self, path: &str, ids: &[AuthId]) -> Result<i32, ErrorCode> {
        let top = self.readable(path, ids)?;
        if top == ROOT {
            // ZooKeeper knows the root by two names, and under the empty one counts the other.
            let itself = usize::from(!path.is_empty());
            return Ok(i32::try_from(self.store.znodes - itself).unwrap_or(i32::MAX));
        }
        let (mut count, mut at, mut walked) = (0i32, top, String::new());
        while let Some(next) = self.store.slab.walk(top, at, &mut walked) {
            count = count.saturating_add(1);
            at = next;
        }
        Ok(count)
    }

    /// Paths of a session's ephemerals that start with `prefix` as text, sorted. "/" and ""
    /// mean all.
    pub fn ephemerals(&self, session: SessionId, prefix: &str) -> Vec<String> {
        let Some(slots) = self.store.ephemerals.get(&session) else { return Vec::new() };
        // ZooKeeper looks for "all" in the trimmed prefix, and compares the prefix as sent.
        let all = matches!(prefix.trim_matches(|c: char| c <= ' '), "" | "/");
        let mut paths: Vec<String> = slots
            .iter()
            .map(|slot| self.store.slab.path_of(*slot))
            .filter(|path| all || path.starts_with(prefix))
            .collect();
        paths.sort_unstable();
        paths
    }

    /// Every session that has ephemerals, by id, with their sorted paths.
    pub fn ephemerals_by_session(&self) -> Vec<(SessionId, Vec<String>)> {
        let paths = |session: &SessionId| (*session, self.ephemerals(*session, ""));
        self.store.ephemerals.keys().map(paths).collect()
    }

    /// A stat for the server's own use, whoever may read it.
    pub fn stat_unchecked(&self, path: &str) -> Option<Stat> {
        self.store.find(path).map(|slot| self.store.slab.at(slot).stat())
    }

    /// Brings closer what reads of these paths will look at; at most [`PREFETCH_MAX`] of them.
    ///
    /// Most of what a read costs in a large tree is waiting for memory, and looks that do not
    /// depend on each other wait together. In a tree of a million znodes a batch of reads takes
    /// less than half the time for it, in one that fits the processor's cache a tenth more.
    pub fn prefetch<'p>(&self, paths: impl Iterator<Item = &'p str>) {
        let Store { index, slab, .. } = &self.store;
        let mut hashes = [0; PREFETCH_MAX];
        let mut count = 0;
        for (hash, path) in hashes.iter_mut().zip(paths) {
            *hash = index.hash(path);
            count += 1;
        }
        // Apart from the hashing, so that the looks follow each other as closely as they can.
        let mut slots = [None; PREFETCH_MAX];
        for (slot, hash) in slots.iter_mut().zip(&hashes[..count]) {
            *slot = index.likely(slab, *hash);
        }
        // In a round of its own: by now the znodes that lead to these bytes are on their way.
        let touched = slots.iter().flatten().map(|slot| slab.touch(*slot));
        core::hint::black_box(touched.fold(0, u8::wrapping_add));
    }

    /// At most `max` paths of containers that have lost their children and of TTL znodes that
    /// have outlived their time. A container that never had a child counts once it is older
    /// than `never_used_ms`; 0 means never. `now_ms` is milliseconds since the Unix epoch.
    pub fn reapable(&self, now_ms: i64, never_used_ms: i64, max: usize) -> Vec<String> {
        let due = |slot: &&Slot| {
            let znode = self.store.slab.at(**slot);
            let age_ms = now_ms.saturating_sub(znode.fields.mtime);
            znode.num_children == 0
                && match znode.owner() {
                    Owner::Container => {
                        znode.fields.creates > 0 || (never_used_ms > 0 && age_ms > never_used_ms)
                    }
                    Owner::Ttl(ttl_ms) => age_ms > ttl_ms,
                    Owner::Persistent | Owner::Session(_) => false,
                }
        };
        let due = self.store.perishable.iter().filter(due).take(max);
        due.map(|slot| self.store.slab.path_of(*slot)).collect()
    }

    fn readable(&self, path: &str, ids: &[AuthId]) -> Result<Slot, ErrorCode> {
        let slot = self.find(path)?;
        self.demand(slot, Perms::READ, ids)?;
        Ok(slot)
    }
}
