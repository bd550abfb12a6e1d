//! A second implementation of the state machine, plain and slow: what the committed history has
//! to come to. It knows as much of the protocol as the simulated clients use.

use ostler_core::types::{
    Acl, AclEntry, AuthId, Create, CreateVariant, ErrorCode, EventType, Op, Outcome, Perms,
    SessionId, Stat, Xid, Zxid, parent_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// What ends a znode's life, besides a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    Nothing,
    /// That its last child has gone.
    Emptiness,
    /// That so many milliseconds have passed without a change.
    Age(i64),
}

/// A znode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) data: Vec<u8>,
    pub(crate) stat: Stat,
    /// Empty lets everybody do everything.
    acl: Vec<Acl>,
    end: End,
    /// Children created so far: sequence numbers are made of it.
    creates: i32,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) sessions: BTreeSet<SessionId>,
    /// What watches are told of, in order.
    pub(crate) changes: Vec<(Zxid, EventType, String)>,
    /// The last write of each session that takes effect once.
    last_once: BTreeMap<SessionId, Xid>,
}

type Decision = Result<Outcome, ErrorCode>;

/// One step of the history.
pub(crate) struct Step<'a> {
    pub(crate) zxid: Zxid,
    pub(crate) time_ms: i64,
    pub(crate) session: SessionId,
    pub(crate) ids: &'a [AuthId],
    /// Its number, if it takes effect once.
    pub(crate) once: Option<Xid>,
}

impl Node {
    fn permits(&self, wanted: Perms, ids: &[AuthId]) -> Result<(), ErrorCode> {
        let applies = |entry: &Acl| {
            let is = |id: &AuthId| id.scheme == entry.scheme && id.id == entry.id;
            entry.scheme == "world" || ids.iter().any(is)
        };
        let mut giving = self.acl.iter().filter(|entry| entry.perms.intersects(wanted));
        let is_open = self.acl.is_empty();
        if is_open || giving.any(applies) { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }
}

impl Model {
    /// Before every transaction; built-in znodes below the root are left out.
    pub(crate) fn new() -> Self {
        Self { nodes: BTreeMap::from([("/".to_owned(), Node::default())]), ..Self::default() }
    }

    /// Takes one step of the history; nothing comes of a write that takes effect once and has.
    pub(crate) fn apply(&mut self, step: &Step<'_>, op: &Op<'_>) -> Option<Outcome> {
        if let Some(xid) = step.once.filter(|_| self.sessions.contains(&step.session)) {
            let last = self.last_once.get(&step.session);
            if last.is_some_and(|last| *last >= xid) {
                return None;
            }
            self.last_once.insert(step.session, xid);
        }
        Some(self.decide(step, op).unwrap_or_else(Outcome::Failed))
    }

    /// A znode that these identities may read.
    pub(crate) fn readable(&self, path: &str, ids: &[AuthId]) -> Result<&Node, ErrorCode> {
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        node.permits(Perms::READ, ids)?;
        Ok(node)
    }

    /// Names of a znode's children, in order of their names.
    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        let prefix = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let below = self.nodes.range(prefix.clone()..).map(|(path, _)| path);
        let below = below.take_while(|path| path.starts_with(&prefix));
        let names = below.filter_map(|path| path.strip_prefix(&prefix));
        names.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }

    fn decide(&mut self, step: &Step<'_>, op: &Op<'_>) -> Decision {
        if step.session != SessionId::NONE && !self.sessions.contains(&step.session) {
            // The end of a session that has ended is reported the same way.
            return Err(ErrorCode::SessionExpired);
        }
        match op {
            Op::CreateSession { timeout_ms, password } => {
                let session = SessionId(step.zxid.to_wire());
                self.sessions.insert(session);
                let (timeout_ms, password) = (*timeout_ms, *password);
                Ok(Outcome::SessionCreated { session, timeout_ms, password })
            }
            Op::CloseSession { session } => self.close(step, *session),
            Op::Multi(parts) => Ok(self.multi(step, parts)),
            Op::Create(create) => self.create(step, create),
            Op::SetData { path, data, version } => {
                self.set(step, path, data.unwrap_or_default(), *version)
            }
            Op::Delete { path, version } => self.delete(step, path, *version),
            Op::Check { path, version } => {
                self.matching(path, *version, Perms::READ, step.ids)?;
                Ok(Outcome::Checked)
            }
            Op::SetAcl { path, acl, version } => self.set_acl(step, path, acl, *version),
            Op::Reap { path } => self.reap(step, path),
            Op::Fail(code) => Err(*code),
            Op::Configure { .. } => panic!("no simulated client asks for {op:?}"),
        }
    }

    fn multi(&mut self, step: &Step<'_>, parts: &[Op<'_>]) -> Outcome {
        let before = self.clone();
        let mut outcomes = Vec::new();
        for part in parts {
            match self.decide(step, part) {
                Ok(outcome) => outcomes.push(outcome),
                Err(code) => {
                    *self = before;
                    let failed = outcomes.len();
                    outcomes.fill(Outcome::RolledBack);
                    outcomes.push(Outcome::Failed(code));
                    let rest = parts.len() - failed - 1;
                    let never = Outcome::Failed(ErrorCode::RuntimeInconsistency);
                    outcomes.extend(std::iter::repeat_n(never, rest));
                    break;
                }
            }
        }
        Outcome::Multi(outcomes)
    }

    fn create(&mut self, step: &Step<'_>, create: &Create<'_>) -> Decision {
        let parent_path = parent_of(create.path).expect("clients create below the root");
        let acl = stored(&create.acl, step.ids)?;
        let parent = self.nodes.get(parent_path).ok_or(ErrorCode::NoNode)?;
        parent.permits(Perms::CREATE, step.ids)?;
        let is_sequential = create.flags & 2 != 0 && create.flags < 4;
        let path = if is_sequential {
            format!("{}{:010}", create.path, parent.creates)
        } else {
            create.path.to_owned()
        };
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if parent.stat.ephemeral_owner != 0 {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data = create.data.unwrap_or_default().to_vec();
        let zxid = step.zxid.to_wire();
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            ctime: step.time_ms,
            mtime: step.time_ms,
            ephemeral_owner: if matches!(create.flags, 1 | 3) { step.session.0 } else { 0 },
            data_length: data.len() as i32,
            pzxid: zxid,
            ..Stat::default()
        };
        let end = match create.variant {
            CreateVariant::Container => End::Emptiness,
            CreateVariant::Ttl => End::Age(create.ttl_ms),
            CreateVariant::Plain | CreateVariant::WithStat => End::Nothing,
        };
        self.nodes.insert(path.clone(), Node { data, stat, acl, end, creates: 0 });
        let parent = self.nodes.get_mut(parent_path).expect("it was just there");
        parent.creates += 1;
        parent.stat.cversion += 1;
        parent.stat.num_children += 1;
        parent.stat.pzxid = zxid;
        self.tell(step, EventType::Created, &path);
        self.tell(step, EventType::ChildrenChanged, parent_path);
        Ok(Outcome::Created { path, stat: Some(stat) })
    }

    fn set(&mut self, step: &Step<'_>, path: &str, data: &[u8], version: i32) -> Decision {
        let node = self.matching(path, version, Perms::WRITE, step.ids)?;
        node.data = data.to_vec();
        node.stat.version += 1;
        node.stat.mzxid = step.zxid.to_wire();
        node.stat.mtime = step.time_ms;
        node.stat.data_length = data.len() as i32;
        let stat = node.stat;
        self.tell(step, EventType::DataChanged, path);
        Ok(Outcome::DataSet(stat))
    }

    fn delete(&mut self, step: &Step<'_>, path: &str, version: i32) -> Decision {
        let parent = self.nodes.get(parent_of(path).expect("clients delete below the root"));
        parent.ok_or(ErrorCode::NoNode)?.permits(Perms::DELETE, step.ids)?;
        // What one may do with a znode has nothing to do with its end.
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && node.stat.version != version {
            return Err(ErrorCode::BadVersion);
        }
        if node.stat.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(step, path);
        Ok(Outcome::Deleted)
    }

    fn set_acl(
        &mut self,
        step: &Step<'_>,
        path: &str,
        acl: &[AclEntry<'_>],
        version: i32,
    ) -> Decision {
        let acl = stored(acl, step.ids)?;
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        node.permits(Perms::ADMIN, step.ids)?;
        if version != -1 && node.stat.aversion != version {
            return Err(ErrorCode::BadVersion);
        }
        node.acl = acl;
        node.stat.aversion += 1;
        Ok(Outcome::AclSet(node.stat))
    }

    fn reap(&mut self, step: &Step<'_>, path: &str) -> Decision {
        let Node { stat, end, .. } = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        if stat.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let is_due = match end {
            End::Nothing => false,
            End::Emptiness => true,
            End::Age(ttl_ms) => step.time_ms - stat.mtime > *ttl_ms,
        };
        if !is_due {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(step, path);
        Ok(Outcome::Deleted)
    }

    fn remove(&mut self, step: &Step<'_>, path: &str) {
        self.nodes.remove(path);
        self.tell(step, EventType::Deleted, path);
        let parent_path = parent_of(path).expect("the root stays");
        let parent = self.nodes.get_mut(parent_path).expect("a znode has a parent");
        parent.stat.cversion += 1;
        parent.stat.num_children -= 1;
        parent.stat.pzxid = step.zxid.to_wire();
        self.tell(step, EventType::ChildrenChanged, parent_path);
    }

    fn close(&mut self, step: &Step<'_>, session: SessionId) -> Decision {
        if !self.sessions.remove(&session) {
            return Err(ErrorCode::SessionExpired);
        }
        let owned = |(path, node): (&String, &Node)| {
            (node.stat.ephemeral_owner == session.0).then(|| path.clone())
        };
        let owned: Vec<_> = self.nodes.iter().filter_map(owned).collect();
        owned.iter().for_each(|path| self.remove(step, path));
        Ok(Outcome::SessionClosed)
    }

    fn matching(
        &mut self,
        path: &str,
        version: i32,
        wanted: Perms,
        ids: &[AuthId],
    ) -> Result<&mut Node, ErrorCode> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        node.permits(wanted, ids)?;
        if version != -1 && node.stat.version != version {
            return Err(ErrorCode::BadVersion);
        }
        Ok(node)
    }

    fn tell(&mut self, step: &Step<'_>, event: EventType, path: &str) {
        self.changes.push((step.zxid, event, path.to_owned()));
    }
}

/// The list that is kept of one that a client sent.
fn stored(sent: &[AclEntry<'_>], ids: &[AuthId]) -> Result<Vec<Acl>, ErrorCode> {
    let mut kept = Vec::new();
    for entry in sent {
        if entry.scheme != "auth" {
            kept.push(entry.to_acl());
            continue;
        }
        let proven: Vec<_> = ids.iter().filter(|id| id.scheme == "digest").collect();
        if proven.is_empty() {
            return Err(ErrorCode::InvalidAcl);
        }
        let of =
            |id: &&AuthId| Acl { perms: entry.perms, scheme: id.scheme.clone(), id: id.id.clone() };
        kept.extend(proven.iter().map(of));
    }
    Ok(kept)
}
