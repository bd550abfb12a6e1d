//! What each operation does, in ZooKeeper's order of checks.
//!
//! Every check stands before the first change, so that a refused operation leaves no trace; only
//! a multi needs the journal.

use super::acl::fix_up;
use super::effects::{Change, Effects, SessionChange};
use super::journal::Undo;
use super::store::{Facts, Id, Node};
use super::{SessionRecord, Tree, Txn, cut};
use crate::types::limits::TTL_MS_MAX;
use crate::types::{
    AuthId, Create, CreateMode, CreateVariant, ErrorCode, EventType, Kind, Op, Outcome, Owner,
    Perms, SessionId, is_valid_path,
};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Znodes that nobody may delete.
const PROTECTED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// Who acts, and when.
#[derive(Clone, Copy)]
struct Actor<'a> {
    zxid: i64,
    time_ms: i64,
    session: SessionId,
    ids: &'a [AuthId],
}

impl Tree {
    /// Applies the next transaction. Total: whatever it holds, there is an outcome, and
    /// [`Tree::last_applied`] moves on.
    pub fn apply(&mut self, txn: &Txn<'_>, effects: &mut Effects) -> Outcome {
        assert!(txn.zxid > self.last_applied, "{} after {}", txn.zxid, self.last_applied);
        let actor = Actor {
            zxid: txn.zxid.to_wire(),
            time_ms: txn.time_ms,
            session: txn.session,
            ids: txn.ids,
        };
        let outcome = self.decide(actor, &txn.op, effects);
        self.last_applied = txn.zxid;
        outcome
    }

    fn decide(&mut self, actor: Actor<'_>, op: &Op<'_>, effects: &mut Effects) -> Outcome {
        let known = actor.session == SessionId::NONE || self.sessions.contains_key(&actor.session);
        match op {
            Op::CreateSession { timeout_ms, password } => {
                self.create_session(actor, *timeout_ms, *password, effects)
            }
            Op::CloseSession { session } => self.close_session(actor, *session, effects),
            Op::Fail(code) => Outcome::Failed(*code),
            _ if !known => Outcome::Failed(ErrorCode::SessionExpired),
            Op::Multi(ops) => self.multi(actor, ops, effects),
            Op::Create(_)
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::SetAcl { .. }
            | Op::Check { .. }
            | Op::Reap { .. } => self.single(actor, op, effects).unwrap_or_else(Outcome::Failed),
        }
    }

    fn single(
        &mut self,
        actor: Actor<'_>,
        op: &Op<'_>,
        effects: &mut Effects,
    ) -> Result<Outcome, ErrorCode> {
        match op {
            Op::Create(create) => self.create(actor, create, effects),
            Op::Delete { path, version } => self.delete(actor, path, *version, effects),
            Op::SetData { path, data, version } => {
                self.set_data(actor, path, *data, *version, effects)
            }
            Op::SetAcl { path, acl, version } => self.set_acl(actor, path, acl, *version),
            Op::Check { path, version } => self.check(actor, path, *version),
            Op::Reap { path } => self.reap(actor, path, effects),
            Op::Fail(code) => Err(*code),
            Op::Multi(_) | Op::CreateSession { .. } | Op::CloseSession { .. } => {
                Err(ErrorCode::MarshallingError)
            }
        }
    }

    fn multi(&mut self, actor: Actor<'_>, ops: &[Op<'_>], effects: &mut Effects) -> Outcome {
        let (changes, sessions) = (effects.changes.len(), effects.sessions.len());
        let result = self.atomically(|tree| {
            let mut outcomes = Vec::with_capacity(ops.len());
            for (index, op) in ops.iter().enumerate() {
                outcomes.push(tree.single(actor, op, effects).map_err(|code| (index, code))?);
            }
            Ok(outcomes)
        });
        let (failed, code) = match result {
            Ok(outcomes) => return Outcome::Multi(outcomes),
            Err(failure) => failure,
        };
        effects.changes.truncate(changes);
        effects.sessions.truncate(sessions);
        let outcome = |index: usize| match index.cmp(&failed) {
            core::cmp::Ordering::Less => Outcome::RolledBack,
            core::cmp::Ordering::Equal => Outcome::Failed(code),
            core::cmp::Ordering::Greater => Outcome::Failed(ErrorCode::RuntimeInconsistency),
        };
        Outcome::Multi((0..ops.len()).map(outcome).collect())
    }

    fn create(
        &mut self,
        actor: Actor<'_>,
        create: &Create<'_>,
        effects: &mut Effects,
    ) -> Result<Outcome, ErrorCode> {
        let (owner, sequential) = self.owner_of(actor, create)?;
        let (parent_path, _) = cut(create.path)
            .filter(|_| !create.path.contains('\0'))
            .ok_or(ErrorCode::BadArguments)?;
        let acl = fix_up(&create.acl, actor.ids)?;
        let parent = self.store.find(parent_path).ok_or(ErrorCode::NoNode)?;
        self.demand(parent, Perms::CREATE, actor.ids)?;
        let path = if sequential {
            let number = self.store.node(parent).facts.cversion;
            Cow::Owned(format!("{}{number:010}", create.path))
        } else {
            Cow::Borrowed(create.path)
        };
        if !is_valid_path(&path) {
            return Err(ErrorCode::BadArguments);
        }
        if self.store.find(&path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(Owner::decode(self.store.node(parent).facts.owner), Owner::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let bytes = create.data.map_or(0, <[u8]>::len);
        self.check_quota(&path, bytes as i64, 1)?;
        let (_, name) = cut(&path).ok_or(ErrorCode::BadArguments)?;
        let facts = Facts {
            czxid: actor.zxid,
            mzxid: actor.zxid,
            pzxid: actor.zxid,
            ctime: actor.time_ms,
            mtime: actor.time_ms,
            owner: owner.encode(),
            ..Facts::default()
        };
        let acl = self.acls.intern(&acl);
        let id = self.insert(&path, Node::new(name, create.data, acl, facts, parent));
        self.note(|| Undo::Insert { path: String::from(&*path), id });
        self.children_changed(actor, parent_path, parent, true);
        self.tell(actor, EventType::Created, &path, id, effects);
        self.tell(actor, EventType::ChildrenChanged, parent_path, parent, effects);
        self.quota_created(&path, parent_path, name, bytes);
        let stat = match create.variant {
            CreateVariant::Plain => None,
            CreateVariant::WithStat | CreateVariant::Container | CreateVariant::Ttl => {
                Some(self.stat(id))
            }
        };
        Ok(Outcome::Created { path: path.into_owned(), stat })
    }

    /// What the flags, the operation and the time to live come to.
    fn owner_of(&self, actor: Actor<'_>, create: &Create<'_>) -> Result<(Owner, bool), ErrorCode> {
        let CreateMode { kind, sequential } =
            CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        let is_ttl_op = create.variant == CreateVariant::Ttl;
        if kind == Kind::Ttl && !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        if is_ttl_op != (kind == Kind::Ttl) {
            return Err(ErrorCode::BadArguments);
        }
        let owner = match kind {
            Kind::Ttl if (1..=TTL_MS_MAX).contains(&create.ttl_ms) => Owner::Ttl(create.ttl_ms),
            Kind::Ttl => return Err(ErrorCode::BadArguments),
            _ if create.variant == CreateVariant::Container => Owner::Container,
            Kind::Ephemeral => Owner::Session(actor.session),
            Kind::Persistent | Kind::Container => Owner::Persistent,
        };
        Ok((owner, sequential))
    }

    fn delete(
        &mut self,
        actor: Actor<'_>,
        path: &str,
        version: i32,
        effects: &mut Effects,
    ) -> Result<Outcome, ErrorCode> {
        let (parent_path, _) = cut(path)
            .filter(|_| !path.contains('\0') && !PROTECTED.contains(&path))
            .ok_or(ErrorCode::BadArguments)?;
        let parent = self.store.find(parent_path).ok_or(ErrorCode::NoNode)?;
        self.demand(parent, Perms::DELETE, actor.ids)?;
        let id = self.store.find(path).ok_or(ErrorCode::NoNode)?;
        let node = self.store.node(id);
        expect_version(version, node.facts.version)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.take_out(actor, path, id, effects);
        Ok(Outcome::Deleted)
    }

    fn set_data(
        &mut self,
        actor: Actor<'_>,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        effects: &mut Effects,
    ) -> Result<Outcome, ErrorCode> {
        let id = self.existing(path)?;
        self.demand(id, Perms::WRITE, actor.ids)?;
        let before = self.store.node(id).data_len() as i64;
        let grown = data.map_or(0, <[u8]>::len) as i64 - before;
        self.check_quota(path, grown, 0)?;
        expect_version(version, self.store.node(id).facts.version)?;
        self.note_change(path, id, true);
        self.change(path, id, |node| {
            node.data = data.map(Box::from);
            node.facts.mzxid = actor.zxid;
            node.facts.mtime = actor.time_ms;
            node.facts.version = node.facts.version.wrapping_add(1);
        });
        self.tell(actor, EventType::DataChanged, path, id, effects);
        self.quota_resized(path, grown);
        Ok(Outcome::DataSet(self.stat(id)))
    }

    fn set_acl(
        &mut self,
        actor: Actor<'_>,
        path: &str,
        acl: &[crate::types::AclEntry<'_>],
        version: i32,
    ) -> Result<Outcome, ErrorCode> {
        if !is_valid_path(path) {
            return Err(ErrorCode::BadArguments);
        }
        let list = fix_up(acl, actor.ids)?;
        let id = self.existing(path)?;
        self.demand(id, Perms::ADMIN, actor.ids)?;
        expect_version(version, self.store.node(id).facts.aversion)?;
        let fresh = self.acls.intern(&list);
        let old = self.store.node(id).acl;
        self.change(path, id, |node| {
            node.acl = fresh;
            node.facts.aversion = node.facts.aversion.wrapping_add(1);
        });
        self.acls.release(old);
        Ok(Outcome::AclSet(self.stat(id)))
    }

    fn check(&self, actor: Actor<'_>, path: &str, version: i32) -> Result<Outcome, ErrorCode> {
        let id = self.existing(path)?;
        self.demand(id, Perms::READ, actor.ids)?;
        expect_version(version, self.store.node(id).facts.version)?;
        Ok(Outcome::Checked)
    }

    /// The cleaner proposed this some time ago: the znode may have come to life again.
    fn reap(
        &mut self,
        actor: Actor<'_>,
        path: &str,
        effects: &mut Effects,
    ) -> Result<Outcome, ErrorCode> {
        let id = self.store.find(path).ok_or(ErrorCode::NoNode)?;
        let node = self.store.node(id);
        let may_go = match Owner::decode(node.facts.owner) {
            Owner::Container => true,
            Owner::Ttl(ttl) => actor.time_ms.saturating_sub(node.facts.mtime) > ttl,
            Owner::Persistent | Owner::Session(_) => false,
        };
        if node.children > 0 || !may_go {
            return Err(ErrorCode::NotEmpty);
        }
        self.take_out(actor, path, id, effects);
        Ok(Outcome::Deleted)
    }

    fn create_session(
        &mut self,
        actor: Actor<'_>,
        timeout_ms: i32,
        password: [u8; 16],
        effects: &mut Effects,
    ) -> Outcome {
        let session = SessionId(actor.zxid);
        self.sessions.insert(session, SessionRecord { timeout_ms, password });
        effects.sessions.push(SessionChange::Opened { session, timeout_ms });
        Outcome::SessionCreated { session, timeout_ms, password }
    }

    fn close_session(
        &mut self,
        actor: Actor<'_>,
        session: SessionId,
        effects: &mut Effects,
    ) -> Outcome {
        if self.sessions.remove(&session).is_none() {
            return Outcome::Failed(ErrorCode::SessionExpired);
        }
        for path in self.ephemerals(session, "") {
            if let Some(id) = self.store.find(&path) {
                self.take_out(actor, &path, id, effects);
            }
        }
        effects.sessions.push(SessionChange::Closed { session });
        Outcome::SessionClosed
    }

    /// Removes a znode that may go, with everything that follows from it.
    fn take_out(&mut self, actor: Actor<'_>, path: &str, id: Id, effects: &mut Effects) {
        self.tell(actor, EventType::Deleted, path, id, effects);
        let node = self.remove(path, id);
        let (bytes, acl, parent) = (node.data_len(), node.acl, node.parent);
        if self.undo.is_some() {
            self.note(|| Undo::Remove { path: String::from(path), node: Box::new(node) });
        } else {
            self.acls.release(acl);
        }
        let (parent_path, name) = cut(path).unwrap_or(("/", ""));
        self.children_changed(actor, parent_path, parent, false);
        self.tell(actor, EventType::ChildrenChanged, parent_path, parent, effects);
        self.quota_removed(path, parent_path, name, bytes);
    }

    fn children_changed(&mut self, actor: Actor<'_>, path: &str, parent: Id, created: bool) {
        self.note_change(path, parent, false);
        self.change(path, parent, |node| {
            node.facts.cversion = node.facts.cversion.wrapping_add(i32::from(created));
            node.facts.pzxid = node.facts.pzxid.max(actor.zxid);
        });
    }

    fn tell(&self, actor: Actor<'_>, event: EventType, path: &str, id: Id, effects: &mut Effects) {
        let readers = self.acls.readers(self.store.node(id).acl);
        let zxid = crate::types::Zxid::from_wire(actor.zxid);
        effects.changes.push(Change { zxid, event, path: Arc::from(path), readers });
    }

    fn existing(&self, path: &str) -> Result<Id, ErrorCode> {
        if !is_valid_path(path) {
            return Err(ErrorCode::BadArguments);
        }
        self.store.find(path).ok_or(ErrorCode::NoNode)
    }

    fn demand(&self, id: Id, wanted: Perms, ids: &[AuthId]) -> Result<(), ErrorCode> {
        if self.allows(id, wanted, ids) { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }
}

fn expect_version(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == actual { Ok(()) } else { Err(ErrorCode::BadVersion) }
}
