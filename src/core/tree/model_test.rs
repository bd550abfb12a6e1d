//! The tree against a plain model: a map from full paths to znodes, a copy of everything before
//! each multi, and rules written a second time without regard to speed. Random transactions run
//! on both; outcomes, events, reads, digests and reloaded snapshots have to agree.
//!
//! `OSTLER_MODEL_OPS` sets the number of transactions, `OSTLER_MODEL_SEED` the seed; both are read
//! when the test is built, for core itself knows no environment.

use super::*;
use crate::types::{
    AclEntry, Create, CreateMode, CreateVariant, ErrorCode, Kind, NameList, Outcome, Owner, Stat,
    is_valid_path,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use std::format;

const SNAPSHOT_EVERY: usize = 400;
const PRUNE_EVERY: usize = 150;

/// Xorshift: the same numbers for the same seed everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Node {
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    owner: Owner,
    creates: i32,
    children: Vec<String>,
    /// `cversion`, `ephemeral_owner`, `data_length` and `num_children` are filled in when shown.
    stat: Stat,
}

impl Node {
    fn new(acl: Vec<Acl>, data: Option<&[u8]>, owner: Owner, stat: Stat) -> Self {
        let data = data.map(<[u8]>::to_vec);
        Self { data, acl, owner, creates: 0, children: Vec::new(), stat }
    }

    fn shown(&self) -> Stat {
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
struct Model {
    rules: Rules,
    nodes: BTreeMap<String, Node>,
    sessions: BTreeMap<SessionId, SessionRecord>,
    /// While a multi runs: all as it was before, by which quotas judge.
    before: Option<Box<Self>>,
}

type Told = Vec<(EventType, String)>;

impl Model {
    fn new(rules: Rules) -> Self {
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

    fn may(&self, acl: &[Acl], perms: i32, ids: &[AuthId]) -> Result<(), ErrorCode> {
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

    fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
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

    fn apply(&mut self, txn: &Txn<'_>, told: &mut Told) -> Outcome {
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
                if !path.contains('/') || PROTECTED.contains(path) || path.contains('\0') {
                    return Err(ErrorCode::BadArguments);
                }
                let parent = self.node(&parent(path))?;
                self.may(&parent.acl, 8, txn.ids)?;
                let node = self.node(path)?;
                expect(*version, node.stat.version)?;
                if !node.children.is_empty() {
                    return Err(ErrorCode::NotEmpty);
                }
                self.remove(txn, path, told);
                Ok(Outcome::Deleted)
            }
            Op::SetData { path, data, version } => {
                alive?;
                self.valid(path)?;
                let node = self.node(path)?;
                self.may(&node.acl, 2, txn.ids)?;
                let grown = data.map_or(0, <[u8]>::len) as i64 - length(node);
                self.check_quota(path, 0, grown)?;
                expect(*version, node.stat.version)?;
                let node = self.nodes.get_mut(*path).unwrap();
                node.data = data.map(<[u8]>::to_vec);
                node.stat.version += 1;
                node.stat.mzxid = txn.zxid.to_wire();
                node.stat.mtime = txn.time_ms;
                let stat = node.shown();
                self.count(path, 0, grown);
                told.push((EventType::DataChanged, path.to_string()));
                Ok(Outcome::DataSet(stat))
            }
            Op::SetAcl { path, acl, version } => {
                alive?;
                self.valid(path)?;
                let acl = Self::stored_acl(acl, txn.ids)?;
                let node = self.node(path)?;
                self.may(&node.acl, 16, txn.ids)?;
                expect(*version, node.stat.aversion)?;
                let node = self.nodes.get_mut(*path).unwrap();
                node.acl = acl;
                node.stat.aversion += 1;
                Ok(Outcome::AclSet(node.shown()))
            }
            Op::Check { path, version } => {
                alive?;
                self.valid(path)?;
                let node = self.node(path)?;
                self.may(&node.acl, 1, txn.ids)?;
                expect(*version, node.stat.version)?;
                Ok(Outcome::Checked)
            }
            Op::Reap { path } => {
                if txn.session.0 != 0 || PROTECTED.contains(path) {
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

    fn valid(&self, path: &str) -> Result<(), ErrorCode> {
        if is_valid_path(path) { Ok(()) } else { Err(ErrorCode::BadArguments) }
    }

    fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let own = |node: &Node| node.owner == Owner::Session(session);
        self.nodes.iter().filter(|(_, node)| own(node)).map(|(path, _)| path.clone()).collect()
    }

    fn create(
        &mut self,
        txn: &Txn<'_>,
        create: &Create<'_>,
        alive: Result<(), ErrorCode>,
        told: &mut Told,
    ) -> Result<Outcome, ErrorCode> {
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
        alive?;
        if !create.path.contains('/') || create.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = Self::stored_acl(&create.acl, txn.ids)?;
        let parent = parent(create.path);
        let above = self.node(&parent)?.clone();
        self.may(&above.acl, 4, txn.ids)?;
        let mut path = create.path.to_string();
        if mode.sequential {
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
        let above = self.nodes.get_mut(&parent).unwrap();
        above.creates += 1;
        above.stat.pzxid = zxid;
        above.children.push(path[path.rfind('/').unwrap() + 1..].to_string());
        if path.starts_with("/zookeeper/quota/") && path.ends_with("/zookeeper_stats") {
            let quota = &path[16..path.len() - 16];
            let below = |at: &&String| *at == quota || at.starts_with(&format!("{quota}/"));
            let counted: Vec<_> = self.nodes.keys().filter(below).cloned().collect();
            let bytes: i64 = counted.iter().map(|at| length(&self.nodes[at])).sum();
            if !quota.is_empty() {
                let text = format!("count={},bytes={bytes}", counted.len());
                self.nodes.get_mut(&path).unwrap().data = Some(text.into_bytes());
            }
        }
        self.count(&path, 1, bytes);
        told.push((EventType::Created, path.clone()));
        told.push((EventType::ChildrenChanged, parent));
        // The counters of a quota start in the create itself, so its stat shows their length.
        let shown = Stat { data_length: self.nodes[&path].shown().data_length, ..shown };
        let stat = (create.variant != CreateVariant::Plain).then_some(shown);
        Ok(Outcome::Created { path, stat })
    }

    fn remove(&mut self, txn: &Txn<'_>, path: &str, told: &mut Told) {
        let gone = self.nodes.remove(path).unwrap();
        let parent = parent(path);
        let name = &path[path.rfind('/').unwrap() + 1..];
        let above = self.nodes.get_mut(&parent).unwrap();
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
        self.nodes.get_mut(&stats).unwrap().data = Some(text.into_bytes());
    }
}

fn parent(path: &str) -> String {
    let slash = path.rfind('/').unwrap();
    path[..slash.max(1)].to_string()
}

fn length(node: &Node) -> i64 {
    node.data.as_ref().map_or(0, Vec::len) as i64
}

fn expect(version: i32, actual: i32) -> Result<(), ErrorCode> {
    if version == -1 || version == actual { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

fn entry<'a>(perms: Perms, scheme: &'a str, id: &'a str) -> AclEntry<'a> {
    AclEntry { perms, scheme, id }
}

/// Paths are few, so that transactions meet.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "zookeeper_limits", "zookeeper_stats"];
const ODD: [&str; 12] = [
    "",
    "/",
    "x",
    "//",
    "/a/",
    "/a//b",
    "/a/..",
    "/\0",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "/.",
];
const DATA: [Option<&[u8]>; 7] = [
    None,
    Some(b""),
    Some(b"x"),
    Some(b"0123456789"),
    Some(b"count=3,bytes=20"),
    Some(b"count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=4"),
    Some(b"\xff,=;"),
];

fn any_path(chance: &mut Chance, model: &Model) -> String {
    if chance.one_in(12) {
        return chance.pick(&ODD).to_string();
    }
    if chance.one_in(2) {
        let nth = chance.below(model.nodes.len());
        return model.nodes.keys().nth(nth).unwrap().clone();
    }
    let mut path = String::new();
    if chance.one_in(5) {
        path.push_str("/zookeeper/quota");
    }
    if chance.one_in(2) {
        path.push_str("/a");
    }
    for _ in 0..=chance.below(2) {
        path.push('/');
        path.push_str(chance.pick(&NAMES));
    }
    path
}

fn any_acl(chance: &mut Chance) -> Vec<AclEntry<'static>> {
    let all = [
        entry(Perms::ALL, "world", "anyone"),
        entry(Perms::READ, "world", "anyone"),
        entry(Perms::ALL, "digest", "u:h"),
        entry(Perms(13), "digest", "v:h"),
        entry(Perms::ALL, "auth", ""),
        entry(Perms(19), "ip", "10.0.0.0/8"),
        entry(Perms::ALL, "digest", "bad"),
        entry(Perms::ALL, "nobody", "x"),
    ];
    match chance.below(10) {
        0..6 => vec![all[0]],
        6 => (0..chance.below(4)).map(|_| chance.pick(&all)).collect(),
        _ => vec![all[0], chance.pick(&all[..6])],
    }
}

fn any_simple<'a>(chance: &mut Chance, path: &'a str) -> Op<'a> {
    let version = chance.pick(&[-1, -1, -1, 0, 1, 2]);
    match chance.below(12) {
        0..7 => Op::Create(Create {
            path,
            data: chance.pick(&DATA),
            acl: any_acl(chance),
            flags: chance.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7]),
            ttl_ms: chance.pick(&[50, 50, 1000, 0, -1]),
            variant: chance.pick(&[
                CreateVariant::Plain,
                CreateVariant::WithStat,
                CreateVariant::WithStat,
                CreateVariant::Container,
                CreateVariant::Ttl,
            ]),
        }),
        7..9 => Op::Delete { path, version },
        9..11 => Op::SetData { path, data: chance.pick(&DATA), version },
        _ => Op::Check { path, version },
    }
}

fn any_op<'a>(chance: &mut Chance, paths: &'a [String], session: SessionId) -> Op<'a> {
    match chance.below(40) {
        0..2 => Op::CreateSession { timeout_ms: chance.below(9000) as i32, password: [9; 16] },
        2 => Op::CloseSession { session },
        3..5 => Op::SetAcl {
            path: &paths[0],
            acl: any_acl(chance),
            version: chance.pick(&[-1, -1, 0, 1]),
        },
        5..8 => Op::Reap { path: &paths[0] },
        8 => Op::Fail(ErrorCode::MarshallingError),
        9..17 => {
            let count = chance.below(paths.len() + 1);
            Op::Multi(paths[..count].iter().map(|path| any_simple(chance, path)).collect())
        }
        _ => any_simple(chance, &paths[0]),
    }
}

fn any_ids(chance: &mut Chance) -> Vec<AuthId> {
    let id = |scheme: &str, id: &str| AuthId { scheme: scheme.to_string(), id: id.to_string() };
    let mut ids = vec![id("ip", chance.pick(&["10.1.2.3", "11.1.2.3"]))];
    match chance.below(6) {
        0..2 => ids.push(id("digest", "u:h")),
        2 => ids.extend([id("digest", "v:h"), id("digest", "u:h")]),
        3 => ids.push(id("super", "")),
        _ => {}
    }
    ids
}

fn compare(tree: &Tree, model: &Model) {
    let everyone = [AuthId { scheme: "super".to_string(), id: String::new() }];
    assert_eq!(tree.digest(), tree.store.digest_from_scratch());
    assert_eq!(tree.znode_count(), model.nodes.len());
    let bytes: i64 = model.nodes.iter().map(|(path, node)| path.len() as i64 + length(node)).sum();
    assert_eq!(tree.data_size(), bytes as u64);
    let sessions: Vec<_> = tree.sessions().collect();
    assert_eq!(sessions, model.sessions.clone().into_iter().collect::<Vec<_>>());
    for (path, node) in &model.nodes {
        let (data, stat) = tree.data(path, &everyone).unwrap();
        assert_eq!((data, stat), (node.data.as_deref(), node.shown()), "{path}");
        assert_eq!(tree.acl(path, &everyone).unwrap().0, node.acl, "{path}");
        let mut names = Vec::new();
        tree.children(path, &everyone).unwrap().0.each(&mut |name| names.push(name.to_string()));
        assert_eq!(names, node.children, "{path}");
        let below = |at: &&String| path == "/" || at.starts_with(&format!("{path}/"));
        let count = model.nodes.keys().filter(below).count() - usize::from(path == "/");
        assert_eq!(tree.descendant_count(path, &everyone), Ok(count as i32), "{path}");
    }
    let mut ephemerals = 0;
    for session in model.sessions.keys() {
        let own = model.ephemerals(*session);
        ephemerals += own.len();
        assert_eq!(tree.ephemerals(*session, ""), own);
    }
    assert_eq!(tree.ephemeral_count(), ephemerals);
}

/// A quota on `/a` that random writes soon reach.
fn limit(tree: &mut Tree, model: &mut Model) {
    let ids = [AuthId { scheme: "super".to_string(), id: String::new() }];
    for (path, data) in [
        ("/a", &b""[..]),
        ("/zookeeper/quota/a", b""),
        (
            "/zookeeper/quota/a/zookeeper_limits",
            b"count=1,bytes=1=;byteHardLimit=30;countHardLimit=4",
        ),
        ("/zookeeper/quota/a/zookeeper_stats", b""),
    ] {
        let zxid = Zxid(tree.last_applied().0 + 1);
        let op = Op::Create(Create {
            path,
            data: Some(data),
            acl: vec![entry(Perms::ALL, "world", "anyone")],
            flags: 0,
            ttl_ms: 0,
            variant: CreateVariant::WithStat,
        });
        let txn = Txn { zxid, time_ms: 0, session: SessionId::NONE, ids: &ids, op };
        let outcome = tree.apply(&txn, &mut Effects::default());
        assert_eq!(outcome, model.apply(&txn, &mut Told::new()));
        assert!(matches!(outcome, Outcome::Created { .. }), "{outcome:?}");
    }
}

/// Empties the tree, so that transactions keep meeting few znodes.
fn prune(tree: &mut Tree, model: &mut Model, told: &mut Told) {
    let ids = [AuthId { scheme: "super".to_string(), id: String::new() }];
    let paths: Vec<String> = model.nodes.keys().rev().cloned().collect();
    for path in paths.iter().filter(|path| !PROTECTED.contains(&path.as_str())) {
        let zxid = Zxid(tree.last_applied().0 + 1);
        let op = Op::Delete { path, version: -1 };
        let txn = Txn { zxid, time_ms: 0, session: SessionId::NONE, ids: &ids, op };
        let outcome = tree.apply(&txn, &mut Effects::default());
        assert_eq!(outcome, model.apply(&txn, told));
    }
}

fn run(rules: Rules, seed: u64, ops: usize, reach: &mut Reach) {
    let mut chance = Chance(seed | 1);
    let mut tree = Tree::new(rules, seed);
    let mut model = Model::new(rules);
    limit(&mut tree, &mut model);
    let mut under_way: Option<(Zxid, u64, Model, Vec<Vec<u8>>)> = None;
    for step in 0..ops {
        let paths: Vec<String> =
            (0..1 + chance.below(5)).map(|_| any_path(&mut chance, &model)).collect();
        let nth = chance.below(model.sessions.len() + 1);
        let session = model.sessions.keys().nth(nth).copied().unwrap_or_default();
        let session = if chance.one_in(30) { SessionId(-5) } else { session };
        let ids = any_ids(&mut chance);
        let zxid = Zxid(tree.last_applied().0 + 1);
        let time_ms = step as i64 * 10;
        let op = any_op(&mut chance, &paths, session);
        let session = if matches!(op, Op::Reap { .. }) { SessionId::NONE } else { session };
        let txn = Txn { zxid, time_ms, session, ids: &ids, op };

        let (mut effects, mut told) = (Effects::default(), Told::new());
        let outcome = tree.apply(&txn, &mut effects);
        assert_eq!(outcome, model.apply(&txn, &mut told), "seed {seed} step {step}: {txn:?}");
        let events: Told = effects.changes.iter().map(|c| (c.event, c.path.to_string())).collect();
        assert_eq!(events, told, "seed {seed} step {step}: {txn:?}");
        assert_eq!(tree.last_applied(), zxid);
        reach.note(&outcome);

        let path = any_path(&mut chance, &model);
        let read = tree.data(&path, &ids).map(|(data, stat)| (data.map(<[u8]>::to_vec), stat));
        let expected = model.node(&path).and_then(|node| {
            model.may(&node.acl, 1, &ids)?;
            Ok((node.data.clone(), node.shown()))
        });
        assert_eq!(read, expected, "seed {seed} step {step}: {path}");

        if step % SNAPSHOT_EVERY == 0 {
            compare(&tree, &model);
            let zxid = tree.snapshot_begin();
            under_way = Some((zxid, tree.digest(), model.clone(), Vec::new()));
        } else if let Some((zxid, digest, then, mut slices)) = under_way.take() {
            if let Some(slice) = tree.snapshot_slice(1 + chance.below(4)) {
                slices.push(slice);
                under_way = Some((zxid, digest, then, slices));
            } else {
                let mut loader = Loader::new(rules, seed ^ 0xabcd);
                for slice in &slices {
                    loader.feed(slice).unwrap();
                }
                let loaded = loader.finish(zxid).unwrap();
                assert_eq!(loaded.digest(), digest);
                compare(&loaded, &then);
                if chance.one_in(2) {
                    // Go on from the loaded tree: it has to behave as the first one did.
                    compare(&tree, &model);
                    tree = loaded;
                    model = then;
                }
            }
        }
        if step % PRUNE_EVERY == 0 {
            prune(&mut tree, &mut model, &mut Told::new());
            limit(&mut tree, &mut model);
        }
    }
    compare(&tree, &model);
}

/// What the random transactions came to: a test that reaches little shows little.
#[derive(Debug, Default)]
struct Reach {
    succeeded: usize,
    rolled_back: usize,
    refusals: BTreeMap<ErrorCode, usize>,
}

impl Reach {
    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Failed(code) => *self.refusals.entry(*code).or_default() += 1,
            Outcome::Multi(all) if all.contains(&Outcome::RolledBack) => self.rolled_back += 1,
            _ => self.succeeded += 1,
        }
    }
}

fn number(setting: Option<&str>, default: u64) -> u64 {
    setting.map_or(default, |text| text.parse().expect("the setting is a number"))
}

#[test]
fn the_tree_does_what_the_plain_model_does() {
    let ops = number(option_env!("OSTLER_MODEL_OPS"), 20_000) as usize;
    let seed = number(option_env!("OSTLER_MODEL_SEED"), 0x5eed);
    let rules = [
        Rules { extended_types: true, enforce_quota: true, skip_acl: false },
        Rules { extended_types: true, enforce_quota: false, skip_acl: true },
        Rules { extended_types: false, enforce_quota: true, skip_acl: false },
        Rules { extended_types: false, enforce_quota: false, skip_acl: false },
    ];
    let share = ops / rules.len();
    let mut reach = Reach::default();
    for (nth, rules) in rules.into_iter().enumerate() {
        run(rules, seed + nth as u64 * 7919, share, &mut reach);
    }
    assert!(reach.succeeded * 5 > ops, "{reach:?}");
    assert!(reach.rolled_back * 100 > ops, "{reach:?}");
    assert_eq!(reach.refusals.len(), 12, "{reach:?}");
}
