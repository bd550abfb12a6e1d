//! The plain model of the tree: a map from full paths to znodes, a copy of everything before each
//! multi, and the rules written a second time without regard to speed. `model_test` compares.

use super::*;
use crate::types::{
    AclEntry, Create, CreateMode, CreateVariant, ErrorCode, Kind, Outcome, Owner, Stat,
    is_valid_path,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use std::format;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) data: Option<Vec<u8>>,
    pub(super) acl: Vec<Acl>,
    owner: Owner,
    creates: i32,
    pub(super) children: Vec<String>,
    /// `cversion`, `ephemeral_owner`, `data_length` and `num_children` are filled in when shown.
    stat: Stat,
}

impl Node {
    fn new(acl: Vec<Acl>, data: Option<&[u8]>, owner: Owner, stat: Stat) -> Self {
        let data = data.map(<[u8]>::to_vec);
        Self { data, acl, owner, creates: 0, children: Vec::new(), stat }
    }

    pub(super) fn shown(&self) -> Stat {
        Stat {
            cversion: self.creates * 2 - self.children.len() as i32,
            ephemeral_owner: if let Owner::Session(id) = self.owner { id.0 } else { 0 },
            data_length: self.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children: self.children.len() as i32,
            ..self.stat
        }
    }
}

#[derive(Clone)]
pub(super) struct Model {
    rules: Rules,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) sessions: BTreeMap<SessionId, SessionRecord>,
    /// While a multi runs: all as it was before, by which quotas judge.
    before: Option<Box<Self>>,
}

pub(super) type Told = Vec<(EventType, String)>;

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        let acl = |perms| vec![entry(perms, "world", "anyone").to_acl()];
        let mut nodes = BTreeMap::new();
        for (path, perms, aversion, children) in [
            ("/", Perms::ALL, 0, &["zookeeper"][..]),
            ("/zookeeper", Perms::ALL, 0, &["quota", "config"][..]),
            ("/zookeeper/quota", Perms::ALL, 0, &[]),
            ("/zookeeper/config", Perms::READ, -1, &[]),
        ] {
            let stat = Stat { aversion, ..Stat::default() };
            let mut node = Node::new(acl(perms), Some(b""), Owner::Persistent, stat);
            node.children = children.iter().map(ToString::to_string).collect();
            nodes.insert(path.to_string(), node);
        }
        Self { rules, nodes, sessions: BTreeMap::new(), before: None }
    }

    pub(super) fn may(&self, acl: &[Acl], perms: i32, ids: &[AuthId]) -> Result<(), ErrorCode> {
        let named = |acl: &Acl| {
            acl.scheme == "world"
                || ids.iter().any(|id| match (acl.scheme.as_str(), id.scheme.as_str()) {
                    ("ip", "ip") => acl.id.starts_with("10.") == id.id.starts_with("10."),
                    (listed, proven) => listed == proven && acl.id == id.id,
                })
        };
        let is_super = ids.iter().any(|id| id.scheme == "super");
        let open = self.rules.skip_acl || is_super;
        if open || acl.iter().any(|acl| acl.perms.0 & perms != 0 && named(acl)) {
            return Ok(());
        }
        Err(ErrorCode::NoAuth)
    }

    pub(super) fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
        self.nodes.get(if path.is_empty() { "/" } else { path }).ok_or(ErrorCode::NoNode)
    }

    fn stored_acl(sent: &[AclEntry<'_>], ids: &[AuthId]) -> Result<Vec<Acl>, ErrorCode> {
        let mut unique: Vec<AclEntry<'_>> = Vec::new();
        for entry in sent {
            if !unique.contains(entry) {
                unique.push(*entry);
            }
        }
        let mut stored = Vec::new();
        for entry in unique {
            match (entry.scheme, entry.id) {
                ("world", "anyone") | ("digest", "u:h" | "v:h") | ("ip", "10.0.0.0/8") => {
                    stored.push(entry.to_acl());
                }
                ("auth", _) => {
                    let proven: Vec<_> = ids.iter().filter(|id| id.scheme == "digest").collect();
                    if proven.is_empty() {
                        return Err(ErrorCode::InvalidAcl);
                    }
                    stored.extend(proven.iter().map(|id| Acl {
                        perms: entry.perms,
                        scheme: id.scheme.clone(),
                        id: id.id.clone(),
                    }));
                }
                _ => return Err(ErrorCode::InvalidAcl),
            }
        }
        if stored.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(stored) }
    }

    pub(super) fn apply(&mut self, txn: &Txn<'_>, told: &mut Told) -> Outcome {
        let before = self.clone();
        let told_before = told.len();
        if let Op::Multi(ops) = &txn.op {
            let dead = txn.session.0 != 0 && !self.sessions.contains_key(&txn.session);
            if dead {
                return Outcome::Failed(ErrorCode::SessionExpired);
            }
            let mut outcomes = Vec::new();
            self.before = Some(Box::new(before.clone()));
            for op in ops {
                match self.single(txn, op, told) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(code) => {
                        *self = before;
                        told.truncate(told_before);
                        let mut all = vec![Outcome::RolledBack; outcomes.len()];
                        all.push(Outcome::Failed(code));
                        let rest = Outcome::Failed(ErrorCode::RuntimeInconsistency);
                        all.resize(ops.len(), rest);
                        return Outcome::Multi(all);
                    }
                }
            }
            self.before = None;
            return Outcome::Multi(outcomes);
        }
        self.single(txn, &txn.op, told).unwrap_or_else(Outcome::Failed)
    }

    fn single(
        &mut self,
        txn: &Txn<'_>,
        op: &Op<'_>,
        told: &mut Told,
    ) -> Result<Outcome, ErrorCode> {
        let alive = txn.session.0 == 0 || self.sessions.contains_key(&txn.session);
        let alive = if alive { Ok(()) } else { Err(ErrorCode::SessionExpired) };
        match op {
            Op::Create(create) => self.create(txn, create, alive, told),
            Op::Delete { path, version } => {
                alive?;
                self.delete(txn, path, *version, told)
            }
            Op::SetData { path, data, version } => {
                alive?;
                self.set_data(txn, path, *data, *version, told)
            }
            Op::SetAcl { path, acl, version } => {
                alive?;
                self.set_acl(txn, path, acl, *version)
            }
            Op::Check { path, version } => {
                alive?;
                self.valid(path)?;
                let node = self.node(path)?;
                self.may(&node.acl, 1, txn.ids)?;
                expect(*version, node.stat.version)?;
                Ok(Outcome::Checked)
            }
            Op::Reap { path } => self.reap(txn, path, told),
            Op::Configure { text } => self.configure(txn, text, told),
            Op::CreateSession { timeout_ms, password } => {
                let session = SessionId(txn.zxid.to_wire());
                let (timeout_ms, password) = (*timeout_ms, *password);
                self.sessions.insert(session, SessionRecord { timeout_ms, password });
                Ok(Outcome::SessionCreated { session, timeout_ms, password })
            }
            Op::CloseSession { session } => {
                self.sessions.remove(session).ok_or(ErrorCode::SessionExpired)?;
                for path in self.ephemerals(*session) {
                    self.remove(txn, &path, told);
                }
                Ok(Outcome::SessionClosed)
            }
            Op::Fail(code) => Err(*code),
            Op::Multi(_) => Err(ErrorCode::MarshallingError),
        }
    }

    fn delete(
        &mut self,
        txn: &Txn<'_>,
        path: &str,
        version: i32,
        told: &mut Told,
    ) -> Result<Outcome, ErrorCode> {
        if !path.contains('/') || PROTECTED.contains(&path) || path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.node(&parent(path))?;
        self.may(&parent.acl, 8, txn.ids)?;
        let node = self.node(path)?;
        expect(version, node.stat.version)?;
        if !node.children.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(txn, path, told);
        Ok(Outcome::Deleted)
    }

    fn set_data(
        &mut self,
        txn: &Txn<'_>,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        told: &mut Told,
    ) -> Result<Outcome, ErrorCode> {
        self.valid(path)?;
        let node = self.node(path)?;
        self.may(&node.acl, 2, txn.ids)?;
        let grown = data.map_or(0, <[u8]>::len) as i64 - length(node);
        self.check_quota(path, 0, grown)?;
        expect(version, node.stat.version)?;
        let node = self.nodes.get_mut(path).expect("judged to exist");
        node.data = data.map(<[u8]>::to_vec);
        node.stat.version += 1;
        node.stat.mzxid = txn.zxid.to_wire();
        node.stat.mtime = txn.time_ms;
        let stat = node.shown();
        self.count(path, 0, grown);
        told.push((EventType::DataChanged, path.to_string()));
        Ok(Outcome::DataSet(stat))
    }

    fn set_acl(
        &mut self,
        txn: &Txn<'_>,
        path: &str,
        acl: &[AclEntry<'_>],
        version: i32,
    ) -> Result<Outcome, ErrorCode> {
        self.valid(path)?;
        let acl = Self::stored_acl(acl, txn.ids)?;
        let node = self.node(path)?;
        self.may(&node.acl, 16, txn.ids)?;
        expect(version, node.stat.aversion)?;
        let node = self.nodes.get_mut(path).expect("judged to exist");
        node.acl = acl;
        node.stat.aversion += 1;
        Ok(Outcome::AclSet(node.shown()))
    }

    fn reap(&mut self, txn: &Txn<'_>, path: &str, told: &mut Told) -> Result<Outcome, ErrorCode> {
        if txn.session.0 != 0 || PROTECTED.contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let node = self.node(path)?;
        if !node.children.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        let due = match node.owner {
            Owner::Container => true,
            Owner::Ttl(ttl) => txn.time_ms - node.stat.mtime > ttl,
            Owner::Persistent | Owner::Session(_) => false,
        };
        if !due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(txn, path, told);
        Ok(Outcome::Deleted)
    }

    fn configure(
        &mut self,
        txn: &Txn<'_>,
        text: &str,
        told: &mut Told,
    ) -> Result<Outcome, ErrorCode> {
        if txn.session.0 != 0 {
            return Err(ErrorCode::BadArguments);
        }
        let path = "/zookeeper/config";
        let node = self.nodes.get_mut(path).expect("never deleted");
        if node.data.as_deref() != Some(text.as_bytes()) {
            node.data = Some(text.as_bytes().to_vec());
            (node.stat.version, node.stat.mtime) = (-1, txn.time_ms);
            told.push((EventType::DataChanged, path.to_string()));
        }
        Ok(Outcome::DataSet(node.shown()))
    }

    fn valid(&self, path: &str) -> Result<(), ErrorCode> {
        if is_valid_path(path) { Ok(()) } else { Err(ErrorCode::BadArguments) }
    }

    pub(super) fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let own = |node: &Node| node.owner == Owner::Session(session);
        self.nodes.iter().filter(|(_, node)| own(node)).map(|(path, _)| path.clone()).collect()
    }

    /// Whose a new znode is to be, and whether it is numbered.
    fn kind(&self, txn: &Txn<'_>, create: &Create<'_>) -> Result<(Owner, bool), ErrorCode> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        let is_ttl_op = create.variant == CreateVariant::Ttl;
        if mode.kind == Kind::Ttl && !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let ttl_bad = mode.kind == Kind::Ttl && (create.ttl_ms < 1 || create.ttl_ms >= 1 << 40);
        if is_ttl_op != (mode.kind == Kind::Ttl) || ttl_bad {
            return Err(ErrorCode::BadArguments);
        }
        let owner = if create.variant == CreateVariant::Container {
            Owner::Container
        } else if is_ttl_op {
            Owner::Ttl(create.ttl_ms)
        } else if mode.kind == Kind::Ephemeral {
            Owner::Session(txn.session)
        } else {
            Owner::Persistent
        };
        if owner == Owner::Session(SessionId::NONE) {
            return Err(ErrorCode::SessionExpired);
        }
        Ok((owner, mode.sequential))
    }

    fn create(
        &mut self,
        txn: &Txn<'_>,
        create: &Create<'_>,
        alive: Result<(), ErrorCode>,
        told: &mut Told,
    ) -> Result<Outcome, ErrorCode> {
        let (owner, sequential) = self.kind(txn, create)?;
        alive?;
        if !create.path.contains('/') || create.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = Self::stored_acl(&create.acl, txn.ids)?;
        let parent = parent(create.path);
        let above = self.node(&parent)?.clone();
        self.may(&above.acl, 4, txn.ids)?;
        let mut path = create.path.to_string();
        if sequential {
            path = format!("{path}{:010}", above.creates);
        }
        self.valid(&path)?;
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(above.owner, Owner::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let zxid = txn.zxid.to_wire();
        let time = txn.time_ms;
        let (czxid, mzxid, pzxid, ctime, mtime) = (zxid, zxid, zxid, time, time);
        let stat = Stat { czxid, mzxid, pzxid, ctime, mtime, ..Stat::default() };
        let node = Node::new(acl, create.data, owner, stat);
        let (shown, bytes) = (node.shown(), length(&node));
        self.check_quota(&path, 1, bytes)?;
        self.nodes.insert(path.clone(), node);
        let above = self.nodes.get_mut(&parent).expect("no znode lacks its parent");
        above.creates += 1;
        above.stat.pzxid = zxid;
        above.children.push(name(&path).to_string());
        self.start_quota(&path);
        self.count(&path, 1, bytes);
        told.push((EventType::Created, path.clone()));
        told.push((EventType::ChildrenChanged, parent));
        // The counters of a quota start in the create itself, so its stat shows their length.
        let shown = Stat { data_length: self.nodes[&path].shown().data_length, ..shown };
        let stat = (create.variant != CreateVariant::Plain).then_some(shown);
        Ok(Outcome::Created { path, stat })
    }

    /// The counters of a quota start with what is there.
    fn start_quota(&mut self, path: &str) {
        if path.starts_with("/zookeeper/quota/") && path.ends_with("/zookeeper_stats") {
            let quota = &path[16..path.len() - 16];
            let below = |at: &&String| *at == quota || at.starts_with(&format!("{quota}/"));
            let counted: Vec<_> = self.nodes.keys().filter(below).cloned().collect();
            let bytes: i64 = counted.iter().map(|at| length(&self.nodes[at])).sum();
            if !quota.is_empty() {
                let text = format!("count={},bytes={bytes}", counted.len());
                self.nodes.get_mut(path).expect("judged to exist").data = Some(text.into_bytes());
            }
        }
    }

    fn remove(&mut self, txn: &Txn<'_>, path: &str, told: &mut Told) {
        let gone = self.nodes.remove(path).expect("judged to exist");
        let parent = parent(path);
        let name = name(path);
        let above = self.nodes.get_mut(&parent).expect("no znode lacks its parent");
        above.children.retain(|child| child != name);
        above.stat.pzxid = txn.zxid.to_wire();
        self.count(path, -1, -length(&gone));
        told.push((EventType::Deleted, path.to_string()));
        told.push((EventType::ChildrenChanged, parent));
    }

    fn quota_of(&self, path: &str) -> Option<String> {
        let mut at = path.to_string();
        while at != "/" {
            if self.nodes.contains_key(&format!("/zookeeper/quota{at}/zookeeper_limits")) {
                return Some(at);
            }
            at = parent(&at);
        }
        None
    }

    fn numbers(&self, quota: &str, file: &str) -> Option<BTreeMap<String, i64>> {
        let node = self.nodes.get(&format!("/zookeeper/quota{quota}/{file}"))?;
        let text = String::from_utf8(node.data.clone().unwrap_or_default()).unwrap_or_default();
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_string(), value.trim_end_matches('=').parse().ok()?))
        };
        Some(text.split([',', ';']).filter_map(pair).collect())
    }

    fn check_quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let judge = self.before.as_deref().unwrap_or(self);
        let Some(quota) = judge.quota_of(path).filter(|_| self.rules.enforce_quota) else {
            return Ok(());
        };
        let limits = judge.numbers(&quota, "zookeeper_limits");
        let used = judge.numbers(&quota, "zookeeper_stats");
        let (Some(limits), Some(used)) = (limits, used) else { return Ok(()) };
        for (hard, soft, grown) in
            [("countHardLimit", "count", count), ("byteHardLimit", "bytes", bytes)]
        {
            let limit = limits.get(hard).copied().unwrap_or(-1);
            let used = used.get(soft).copied().unwrap_or(-1);
            if limit >= 0 && grown > 0 && used + grown > limit {
                return Err(ErrorCode::QuotaExceeded);
            }
        }
        Ok(())
    }

    fn count(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(quota) = self.quota_of(path) else { return };
        let Some(used) = self.numbers(&quota, "zookeeper_stats") else { return };
        let sum = |key: &str, more: i64| used.get(key).copied().unwrap_or(-1) + more;
        let mut text = format!("count={},bytes={}", sum("count", count), sum("bytes", bytes));
        let hard = |key: &str| used.get(key).copied().unwrap_or(-1);
        let (hard_bytes, hard_count) = (hard("byteHardLimit"), hard("countHardLimit"));
        if hard_bytes != -1 || hard_count != -1 {
            text += &format!("=;byteHardLimit={hard_bytes};countHardLimit={hard_count}");
        }
        let stats = format!("/zookeeper/quota{quota}/zookeeper_stats");
        self.nodes.get_mut(&stats).expect("a quota has its stats").data = Some(text.into_bytes());
    }
}

fn parent(path: &str) -> String {
    let slash = path.rfind('/').expect("paths begin with a slash");
    path[..slash.max(1)].to_string()
}

fn name(path: &str) -> &str {
    let slash = path.rfind('/').expect("paths begin with a slash");
    &path[slash + 1..]
}

pub(super) fn length(node: &Node) -> i64 {
    node.data.as_ref().map_or(0, Vec::len) as i64
}

fn expect(version: i32, actual: i32) -> Result<(), ErrorCode> {
    if version == -1 || version == actual { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

pub(super) fn entry<'a>(perms: Perms, scheme: &'a str, id: &'a str) -> AclEntry<'a> {
    AclEntry { perms, scheme, id }
}
