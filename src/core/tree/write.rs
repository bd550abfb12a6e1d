//! What each write is allowed to do and does: the checks of ZooKeeper in ZooKeeper's order, then
//! the change, then what watches are told. Total: every transaction has an outcome.

use super::acl::{is_world_readable, permits};
use super::recall::{Kept, Known};
use super::znode::{Fields, Slot, Znode};
use super::{
    CONFIG_PATH, Change, Effects, PREFETCH_MAX, PROTECTED, Readers, SessionChange, SessionRecord,
    Tree, Txn,
};
use crate::types::limits::TTL_MS_MAX;
use crate::types::{
    AclEntry, AuthId, Create, CreateMode, CreateVariant, ErrorCode, EventType, Kind, NULL, Once,
    Op, Outcome, Owner, Perms, SessionId, Zxid, is_valid_path, parent_of,
};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

type Decision = Result<Outcome, ErrorCode>;

impl Tree {
    /// Applies one transaction. Whatever it is, the tree is at its position afterwards.
    pub fn apply(&mut self, txn: &Txn<'_>, effects: &mut Effects) -> Outcome {
        self.move_on(txn);
        let outcome = self.execute(txn, &txn.op, effects).unwrap_or_else(Outcome::Failed);
        self.history.note(txn.zxid, self.digest());
        outcome
    }

    /// The same for a transaction that may have been applied before, if it says so by `once`. Then
    /// nothing is changed, and the outcome is that of the first time, as is the zxid returned. Of
    /// a session that is no more nothing is known, nor kept.
    pub fn apply_once(
        &mut self,
        txn: &Txn<'_>,
        once: Option<Once>,
        effects: &mut Effects,
    ) -> (Zxid, Outcome) {
        let session = txn.session;
        let known = once.filter(|_| self.sessions.contains_key(&session));
        let Some(Once { xid, heard }) = known else {
            return (txn.zxid, self.apply(txn, effects));
        };
        self.move_on(txn);
        let (zxid, outcome) = match self.recalls.find(session, xid) {
            Known::Kept(kept) => (kept.zxid, kept.outcome()),
            Known::Gone => (txn.zxid, Outcome::Failed(ErrorCode::RuntimeInconsistency)),
            Known::New => {
                let outcome = self.execute(txn, &txn.op, effects).unwrap_or_else(Outcome::Failed);
                if self.sessions.contains_key(&session) {
                    self.keep_recall(session);
                    let kept = Kept::new(xid, txn.zxid, &outcome);
                    self.recalls.keep(session, kept, heard);
                }
                (txn.zxid, outcome)
            }
        };
        self.history.note(txn.zxid, self.digest());
        (zxid, outcome)
    }

    fn execute(&mut self, txn: &Txn<'_>, op: &Op<'_>, effects: &mut Effects) -> Decision {
        match op {
            Op::Create(create) => self.create(txn, create, effects),
            Op::Delete { path, version } => self.delete(txn, path, *version, effects),
            Op::SetData { path, data, version } => {
                self.set_data(txn, path, *data, *version, effects)
            }
            Op::SetAcl { path, acl, version } => self.set_acl(txn, path, acl, *version),
            Op::Check { path, version } => self.check(txn, path, *version),
            Op::Multi(ops) => self.multi(txn, ops, effects),
            Op::Reap { path } => self.reap(txn, path, effects),
            Op::Configure { text } => self.configure(txn, text, effects),
            Op::CreateSession { timeout_ms, password } => {
                self.create_session(txn, *timeout_ms, *password, effects)
            }
            Op::CloseSession { session } => self.close_session(txn, *session, effects),
            Op::Fail(code) => Err(*code),
        }
    }

    fn create(&mut self, txn: &Txn<'_>, create: &Create<'_>, effects: &mut Effects) -> Decision {
        let (sequential, owner) = self.mode_of(txn, create)?;
        self.check_session(txn.session)?;
        if create.path == NULL {
            return Err(ErrorCode::MarshallingError);
        }
        let slash = create.path.rfind('/').ok_or(ErrorCode::BadArguments)?;
        if create.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = self.store.acls.stored(&create.acl, txn.ids)?;
        let parent_path = if slash == 0 { "/" } else { &create.path[..slash] };
        let parent = self.find(parent_path)?;
        self.demand(parent, Perms::CREATE, txn.ids)?;
        let creates = self.store.slab.at(parent).fields.creates;
        let path = if sequential { numbered(create.path, creates) } else { create.path.to_owned() };
        if !is_valid_path(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let vacancy = self.store.vacancy(&path).ok_or(ErrorCode::NodeExists)?;
        if matches!(self.store.slab.at(parent).owner(), Owner::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let bytes = length_of(create.data);
        if self.rules.enforce_quota {
            self.store.check_quota(&path, 1, bytes)?;
        }
        let fields = newborn(txn, owner, creates);
        let znode = Znode::new(&path[slash + 1..], create.data, acl, fields);
        let slot = self.store.append_to(vacancy, parent, &path, znode);
        self.store.update(parent, parent_path, |fields| {
            fields.creates = creates.wrapping_add(1);
            fields.pzxid = txn.zxid.to_wire();
        });
        self.store.count_created(&path, bytes, &mut effects.quotas);
        self.tell(txn, EventType::Created, &path, slot, effects);
        self.tell(txn, EventType::ChildrenChanged, parent_path, parent, effects);
        let stat = match create.variant {
            CreateVariant::Plain => None,
            CreateVariant::WithStat | CreateVariant::Container | CreateVariant::Ttl => {
                Some(self.store.slab.at(slot).stat())
            }
        };
        Ok(Outcome::Created { path, stat })
    }

    /// Whether a number is appended, and what ends the znode's life.
    fn mode_of(&self, txn: &Txn<'_>, create: &Create<'_>) -> Result<(bool, Owner), ErrorCode> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        let wants_ttl = mode.kind == Kind::Ttl;
        if wants_ttl && !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let gives_ttl = create.variant == CreateVariant::Ttl;
        let ttl_fits = (1..=TTL_MS_MAX).contains(&create.ttl_ms);
        if wants_ttl != gives_ttl || (wants_ttl && !ttl_fits) {
            return Err(ErrorCode::BadArguments);
        }
        let owner = match (create.variant, mode.kind) {
            (CreateVariant::Container, _) => Owner::Container,
            (CreateVariant::Ttl, _) => Owner::Ttl(create.ttl_ms),
            (CreateVariant::Plain | CreateVariant::WithStat, Kind::Ephemeral) => {
                if txn.session == SessionId::NONE {
                    return Err(ErrorCode::SessionExpired);
                }
                Owner::Session(txn.session)
            }
            (
                CreateVariant::Plain | CreateVariant::WithStat,
                Kind::Persistent | Kind::Container | Kind::Ttl,
            ) => Owner::Persistent,
        };
        Ok((mode.sequential, owner))
    }

    fn delete(
        &mut self,
        txn: &Txn<'_>,
        path: &str,
        version: i32,
        effects: &mut Effects,
    ) -> Decision {
        self.check_session(txn.session)?;
        if path.contains('\0') || PROTECTED.contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.find(parent_of(path).ok_or(ErrorCode::BadArguments)?)?;
        self.demand(parent, Perms::DELETE, txn.ids)?;
        let slot = self.find(path)?;
        let znode = self.store.slab.at(slot);
        check_version(znode.fields.version, version)?;
        if znode.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(txn, slot, path, effects);
        Ok(Outcome::Deleted)
    }

    fn remove(&mut self, txn: &Txn<'_>, slot: Slot, path: &str, effects: &mut Effects) {
        let parent_path = parent_of(path).unwrap_or("/");
        let znode = self.store.slab.at(slot);
        let (parent, bytes) = (znode.parent, znode.data_len() as i64);
        self.tell(txn, EventType::Deleted, path, slot, effects);
        self.store.remove(slot, path);
        self.store.update(parent, parent_path, |fields| fields.pzxid = txn.zxid.to_wire());
        self.store.count_change(path, -1, -bytes, &mut effects.quotas);
        self.tell(txn, EventType::ChildrenChanged, parent_path, parent, effects);
    }

    fn set_data(
        &mut self,
        txn: &Txn<'_>,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        effects: &mut Effects,
    ) -> Decision {
        let slot = self.target(txn, path)?;
        self.demand(slot, Perms::WRITE, txn.ids)?;
        let growth = length_of(data) - self.store.slab.at(slot).data_len() as i64;
        if self.rules.enforce_quota {
            self.store.check_quota(path, 0, growth)?;
        }
        check_version(self.store.slab.at(slot).fields.version, version)?;
        self.store.replace_data(slot, path, data);
        self.store.update(slot, path, |fields| {
            fields.version = fields.version.wrapping_add(1);
            fields.mzxid = txn.zxid.to_wire();
            fields.mtime = txn.time_ms;
        });
        let stat = self.store.slab.at(slot).stat();
        self.store.count_change(path, 0, growth, &mut effects.quotas);
        self.tell(txn, EventType::DataChanged, path, slot, effects);
        Ok(Outcome::DataSet(stat))
    }

    fn set_acl(
        &mut self,
        txn: &Txn<'_>,
        path: &str,
        acl: &[AclEntry<'_>],
        version: i32,
    ) -> Decision {
        self.check_session(txn.session)?;
        if !is_valid_path(path) {
            return Err(ErrorCode::BadArguments);
        }
        let acl = self.store.acls.stored(acl, txn.ids)?;
        let slot = self.find(path)?;
        self.demand(slot, Perms::ADMIN, txn.ids)?;
        check_version(self.store.slab.at(slot).fields.aversion, version)?;
        self.store.replace_acl(slot, path, acl);
        self.store.update(slot, path, |fields| fields.aversion = fields.aversion.wrapping_add(1));
        Ok(Outcome::AclSet(self.store.slab.at(slot).stat()))
    }

    fn check(&self, txn: &Txn<'_>, path: &str, version: i32) -> Decision {
        let slot = self.target(txn, path)?;
        self.demand(slot, Perms::READ, txn.ids)?;
        check_version(self.store.slab.at(slot).fields.version, version)?;
        Ok(Outcome::Checked)
    }

    fn multi(&mut self, txn: &Txn<'_>, ops: &[Op<'_>], effects: &mut Effects) -> Decision {
        self.check_session(txn.session)?;
        let told = (effects.changes.len(), effects.quotas.len());
        let mut outcomes = Vec::with_capacity(ops.len());
        self.store.begin();
        if self.rules.enforce_quota {
            self.store.judge_by_now(ops);
        }
        for (place, op) in ops.iter().enumerate() {
            if place % PREFETCH_MAX == 0 && ops.len() > 1 {
                self.prefetch(ops[place..].iter().filter_map(Op::path));
            }
            match self.execute_part(txn, op, effects) {
                Ok(outcome) => outcomes.push(outcome),
                Err(code) => {
                    self.store.roll_back();
                    effects.changes.truncate(told.0);
                    effects.quotas.truncate(told.1);
                    return Ok(Outcome::Multi(failed_multi(outcomes.len(), code, ops.len())));
                }
            }
        }
        self.store.commit();
        Ok(Outcome::Multi(outcomes))
    }

    fn execute_part(&mut self, txn: &Txn<'_>, op: &Op<'_>, effects: &mut Effects) -> Decision {
        match op {
            Op::Create(_)
            | Op::Delete { .. }
            | Op::SetData { .. }
            | Op::Check { .. }
            | Op::Fail(_) => self.execute(txn, op, effects),
            Op::SetAcl { .. }
            | Op::Multi(_)
            | Op::Reap { .. }
            | Op::Configure { .. }
            | Op::CreateSession { .. }
            | Op::CloseSession { .. } => Err(ErrorCode::MarshallingError),
        }
    }

    fn reap(&mut self, txn: &Txn<'_>, path: &str, effects: &mut Effects) -> Decision {
        if txn.session != SessionId::NONE || PROTECTED.contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let slot = self.find(path)?;
        let znode = self.store.slab.at(slot);
        if znode.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let due = match znode.owner() {
            Owner::Container => true,
            Owner::Ttl(ttl_ms) => txn.time_ms.saturating_sub(znode.fields.mtime) > ttl_ms,
            Owner::Persistent | Owner::Session(_) => false,
        };
        if !due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(txn, slot, path, effects);
        Ok(Outcome::Deleted)
    }

    /// Each ZooKeeper writes its own file into its own tree, with its own time; here it is one
    /// write for all. The stat is like there: the version is never counted, and mzxid is that of
    /// a configuration that comes from a file.
    fn configure(&mut self, txn: &Txn<'_>, text: &str, effects: &mut Effects) -> Decision {
        if txn.session != SessionId::NONE {
            return Err(ErrorCode::BadArguments);
        }
        let slot = self.find(CONFIG_PATH)?;
        if self.store.slab.at(slot).data() != Some(text.as_bytes()) {
            self.store.replace_data(slot, CONFIG_PATH, Some(text.as_bytes()));
            self.store.update(slot, CONFIG_PATH, |fields| {
                fields.version = -1;
                fields.mtime = txn.time_ms;
            });
            self.tell(txn, EventType::DataChanged, CONFIG_PATH, slot, effects);
        }
        Ok(Outcome::DataSet(self.store.slab.at(slot).stat()))
    }

    fn create_session(
        &mut self,
        txn: &Txn<'_>,
        timeout_ms: i32,
        password: [u8; 16],
        effects: &mut Effects,
    ) -> Decision {
        let session = SessionId(txn.zxid.to_wire());
        self.keep_session(session);
        self.sessions.insert(session, SessionRecord { timeout_ms, password });
        effects.sessions.push(SessionChange::Opened { session, timeout_ms });
        Ok(Outcome::SessionCreated { session, timeout_ms, password })
    }

    fn close_session(
        &mut self,
        txn: &Txn<'_>,
        session: SessionId,
        effects: &mut Effects,
    ) -> Decision {
        if !self.sessions.contains_key(&session) {
            return Err(ErrorCode::SessionExpired);
        }
        self.keep_session(session);
        self.sessions.remove(&session);
        self.keep_recall(session);
        self.recalls.forget(session);
        // By path: slots differ between servers, and so would the order of the events.
        for path in self.ephemerals(session, "") {
            if let Some(slot) = self.store.find(&path) {
                self.remove(txn, slot, &path, effects);
            }
        }
        effects.sessions.push(SessionChange::Closed { session });
        Ok(Outcome::SessionClosed)
    }

    fn keep_session(&mut self, session: SessionId) {
        if let Some(cut) = &mut self.store.cut {
            cut.sessions.keep(session, &self.sessions);
        }
    }

    fn keep_recall(&mut self, session: SessionId) {
        if let Some(cut) = &mut self.store.cut {
            cut.recalls.keep(session, &self.recalls.sessions);
        }
    }

    fn check_session(&self, session: SessionId) -> Result<(), ErrorCode> {
        if session == SessionId::NONE || self.sessions.contains_key(&session) {
            Ok(())
        } else {
            Err(ErrorCode::SessionExpired)
        }
    }

    /// The znode of an operation that names it by a valid path.
    fn target(&self, txn: &Txn<'_>, path: &str) -> Result<Slot, ErrorCode> {
        self.check_session(txn.session)?;
        if !is_valid_path(path) {
            return Err(ErrorCode::BadArguments);
        }
        self.find(path)
    }

    pub(super) fn find(&self, path: &str) -> Result<Slot, ErrorCode> {
        self.store.find(path).ok_or(ErrorCode::NoNode)
    }

    /// Refuses those who lack the permission.
    pub(super) fn demand(
        &self,
        slot: Slot,
        wanted: Perms,
        ids: &[AuthId],
    ) -> Result<(), ErrorCode> {
        let acl = self.store.slab.at(slot).acl.entries();
        if self.rules.skip_acl || permits(acl, wanted, ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    fn tell(&self, txn: &Txn<'_>, event: EventType, path: &str, slot: Slot, effects: &mut Effects) {
        if effects.unwatched {
            return;
        }
        let acl = self.store.slab.at(slot).acl.entries();
        let readers = if self.rules.skip_acl || is_world_readable(acl) {
            Readers::Anyone
        } else {
            Readers::Listed(acl.clone())
        };
        effects.changes.push(Change { zxid: txn.zxid, event, path: path.into(), readers });
    }
}

/// The results of a multi whose operation number `failed` was refused.
fn failed_multi(failed: usize, code: ErrorCode, all: usize) -> Vec<Outcome> {
    (0..all)
        .map(|place| match place.cmp(&failed) {
            core::cmp::Ordering::Less => Outcome::RolledBack,
            core::cmp::Ordering::Equal => Outcome::Failed(code),
            core::cmp::Ordering::Greater => Outcome::Failed(ErrorCode::RuntimeInconsistency),
        })
        .collect()
}

/// The path with the parent's counter as ZooKeeper writes it: ten characters at least, a minus
/// sign among them after the counter has overflowed.
fn numbered(path: &str, creates: i32) -> String {
    format!("{path}{creates:010}")
}

fn newborn(txn: &Txn<'_>, owner: Owner, ordinal: i32) -> Fields {
    let zxid = txn.zxid.to_wire();
    Fields {
        czxid: zxid,
        mzxid: zxid,
        ctime: txn.time_ms,
        mtime: txn.time_ms,
        pzxid: zxid,
        owner: owner.encode(),
        version: 0,
        aversion: 0,
        creates: 0,
        ordinal,
    }
}

fn check_version(actual: i32, expected: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == actual { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

fn length_of(data: Option<&[u8]>) -> i64 {
    data.map_or(0, <[u8]>::len) as i64
}
