//! Answers from the tree as it stands.

use super::Tree;
use super::acl::{is_super, masked};
use super::store::{Id, ROOT};
use crate::types::{Acl, AuthId, ErrorCode, NameList, Owner, Perms, SessionId, Stat};
use alloc::string::String;
use alloc::vec::Vec;

/// The children of a znode, in the order of their creation.
pub struct Children<'a> {
    tree: &'a Tree,
    of: Id,
}

impl NameList for Children<'_> {
    fn count(&self) -> usize {
        self.tree.store.node(self.of).children as usize
    }

    fn each(&self, each: &mut dyn FnMut(&str)) {
        for child in self.tree.store.children(self.of) {
            each(&self.tree.store.node(child).name);
        }
    }
}

impl Tree {
    /// The stat of a znode that may be read.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn exists(&self, path: &str, ids: &[AuthId]) -> Result<Stat, ErrorCode> {
        self.readable(path, ids).map(|id| self.stat(id))
    }

    /// Data and stat of a znode that may be read.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn data(&self, path: &str, ids: &[AuthId]) -> Result<(Option<&[u8]>, Stat), ErrorCode> {
        let id = self.readable(path, ids)?;
        Ok((self.store.node(id).data.as_deref(), self.stat(id)))
    }

    /// Children and stat of a znode that may be read.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn children(&self, path: &str, ids: &[AuthId]) -> Result<(Children<'_>, Stat), ErrorCode> {
        let of = self.readable(path, ids)?;
        Ok((Children { tree: self, of }, self.stat(of)))
    }

    /// ACL and stat; without ADMIN the hashes of digests are hidden.
    ///
    /// # Errors
    /// `NoNode`; `NoAuth` without READ and ADMIN.
    pub fn acl(&self, path: &str, ids: &[AuthId]) -> Result<(Vec<Acl>, Stat), ErrorCode> {
        let id = self.store.find(path).ok_or(ErrorCode::NoNode)?;
        let list = self.acls.list(self.store.node(id).acl);
        if is_super(ids) || self.allows(id, Perms::ADMIN, ids) {
            Ok((list.to_vec(), self.stat(id)))
        } else if self.allows(id, Perms::READ, ids) {
            Ok((masked(list), self.stat(id)))
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// Number of descendants, the znode itself not counted.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`.
    pub fn descendant_count(&self, path: &str, ids: &[AuthId]) -> Result<i32, ErrorCode> {
        let id = self.readable(path, ids)?;
        let count = if id == ROOT { self.store.len() - 1 } else { self.subtree(id).0 - 1 };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// The session's ephemerals whose path starts with `prefix`, sorted; "/" and "" mean all.
    pub fn ephemerals(&self, session: SessionId, prefix: &str) -> Vec<String> {
        let own = self.ephemerals.get(&session).into_iter().flatten();
        // ZooKeeper looks for "all" in the trimmed prefix, and compares the prefix as sent.
        let all = matches!(prefix.trim_matches(|c: char| c <= ' '), "" | "/");
        let mut paths: Vec<String> = own
            .map(|id| self.store.path(*id))
            .filter(|path| all || path.starts_with(prefix))
            .collect();
        paths.sort_unstable();
        paths
    }

    /// The stat of a znode whoever asks, for setting watches again.
    pub fn stat_unchecked(&self, path: &str) -> Option<Stat> {
        self.store.find(path).map(|id| self.stat(id))
    }

    /// Znodes of a subtree, its root included, and their bytes of data.
    pub(super) fn subtree(&self, id: Id) -> (usize, u64) {
        let (mut count, mut bytes) = (0, 0);
        let mut waiting = alloc::vec![id];
        while let Some(id) = waiting.pop() {
            count += 1;
            bytes += self.store.node(id).data_len() as u64;
            waiting.extend(self.store.children(id));
        }
        (count, bytes)
    }

    /// The stat as clients see it.
    pub(super) fn stat(&self, id: Id) -> Stat {
        let node = self.store.node(id);
        let facts = &node.facts;
        let children = node.children.cast_signed();
        Stat {
            czxid: facts.czxid,
            mzxid: facts.mzxid,
            ctime: facts.ctime,
            mtime: facts.mtime,
            version: facts.version,
            // Creates are counted; a client is shown creates plus deletes.
            cversion: facts.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: facts.aversion,
            ephemeral_owner: Owner::decode(facts.owner).shown(),
            data_length: i32::try_from(node.data_len()).unwrap_or(i32::MAX),
            num_children: children,
            pzxid: facts.pzxid,
        }
    }

    fn readable(&self, path: &str, ids: &[AuthId]) -> Result<Id, ErrorCode> {
        let id = self.store.find(path).ok_or(ErrorCode::NoNode)?;
        if self.allows(id, Perms::READ, ids) { Ok(id) } else { Err(ErrorCode::NoAuth) }
    }
}
