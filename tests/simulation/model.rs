//! A second implementation of the state machine, plain and slow: what the committed history has
//! to come to. It knows as much of the protocol as the simulated clients use.

use ostler_core::types::{
    Create, ErrorCode, EventType, Op, Outcome, SessionId, Stat, Zxid, parent_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// A znode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) data: Vec<u8>,
    pub(crate) stat: Stat,
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
}

type Decision = Result<Outcome, ErrorCode>;

struct Step {
    zxid: Zxid,
    time_ms: i64,
    session: SessionId,
}

impl Model {
    /// Before every transaction; built-in znodes below the root are left out.
    pub(crate) fn new() -> Self {
        Self { nodes: BTreeMap::from([("/".to_owned(), Node::default())]), ..Self::default() }
    }

    /// Takes one step of the history.
    pub(crate) fn apply(
        &mut self,
        zxid: Zxid,
        time_ms: i64,
        session: SessionId,
        op: &Op<'_>,
    ) -> Outcome {
        let step = Step { zxid, time_ms, session };
        self.decide(&step, op).unwrap_or_else(Outcome::Failed)
    }

    /// Names of a znode's children, in order of their names.
    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        let prefix = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let below = self.nodes.range(prefix.clone()..).map(|(path, _)| path);
        let below = below.take_while(|path| path.starts_with(&prefix));
        let names = below.filter_map(|path| path.strip_prefix(&prefix));
        names.filter(|name| !name.is_empty() && !name.contains('/')).map(str::to_owned).collect()
    }

    fn decide(&mut self, step: &Step, op: &Op<'_>) -> Decision {
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
                self.matching(path, *version)?;
                Ok(Outcome::Checked)
            }
            Op::Fail(code) => Err(*code),
            Op::SetAcl { .. } | Op::Reap { .. } | Op::Configure { .. } => {
                panic!("no simulated client asks for {op:?}")
            }
        }
    }

    fn multi(&mut self, step: &Step, parts: &[Op<'_>]) -> Outcome {
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

    fn create(&mut self, step: &Step, create: &Create<'_>) -> Decision {
        let parent_path = parent_of(create.path).expect("clients create below the root");
        let parent = self.nodes.get(parent_path).ok_or(ErrorCode::NoNode)?;
        let is_sequential = create.flags & 2 != 0;
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
            ephemeral_owner: if create.flags & 1 != 0 { step.session.0 } else { 0 },
            data_length: data.len() as i32,
            pzxid: zxid,
            ..Stat::default()
        };
        self.nodes.insert(path.clone(), Node { data, stat, creates: 0 });
        let parent = self.nodes.get_mut(parent_path).expect("it was just there");
        parent.creates += 1;
        parent.stat.cversion += 1;
        parent.stat.num_children += 1;
        parent.stat.pzxid = zxid;
        self.tell(step, EventType::Created, &path);
        self.tell(step, EventType::ChildrenChanged, parent_path);
        Ok(Outcome::Created { path, stat: Some(stat) })
    }

    fn set(&mut self, step: &Step, path: &str, data: &[u8], version: i32) -> Decision {
        let node = self.matching(path, version)?;
        node.data = data.to_vec();
        node.stat.version += 1;
        node.stat.mzxid = step.zxid.to_wire();
        node.stat.mtime = step.time_ms;
        node.stat.data_length = data.len() as i32;
        let stat = node.stat;
        self.tell(step, EventType::DataChanged, path);
        Ok(Outcome::DataSet(stat))
    }

    fn delete(&mut self, step: &Step, path: &str, version: i32) -> Decision {
        if self.matching(path, version)?.stat.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(step, path);
        Ok(Outcome::Deleted)
    }

    fn remove(&mut self, step: &Step, path: &str) {
        self.nodes.remove(path);
        self.tell(step, EventType::Deleted, path);
        let parent_path = parent_of(path).expect("the root stays");
        let parent = self.nodes.get_mut(parent_path).expect("a znode has a parent");
        parent.stat.cversion += 1;
        parent.stat.num_children -= 1;
        parent.stat.pzxid = step.zxid.to_wire();
        self.tell(step, EventType::ChildrenChanged, parent_path);
    }

    fn close(&mut self, step: &Step, session: SessionId) -> Decision {
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

    fn matching(&mut self, path: &str, version: i32) -> Result<&mut Node, ErrorCode> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && node.stat.version != version {
            return Err(ErrorCode::BadVersion);
        }
        Ok(node)
    }

    fn tell(&mut self, step: &Step, event: EventType, path: &str) {
        self.changes.push((step.zxid, event, path.to_owned()));
    }
}
