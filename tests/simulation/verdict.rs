//! The verdict on a run: everything that clients were told is held against the committed history,
//! replayed through the model. Every check that fails panics with what it found.

use crate::calls::{Ask, Call, Calls, Got};
use crate::model::Model;
use ostler_core::tree::Tree;
use ostler_core::types::{ErrorCode, EventType, Op, Outcome, SessionId, WatchEvent, Xid, Zxid};
use ostler_core::wire::{OwnedReply, txn};
use ostler_core::zab::Proposal;
use std::collections::{BTreeMap, BTreeSet};

/// Judges; returns the model of the end.
pub(crate) fn judge(chosen: &[Proposal], calls: &Calls) -> Model {
    let mut replay = Replay::new(calls);
    replay.look(Zxid::ZERO);
    for proposal in chosen {
        replay.step(proposal);
        replay.look(proposal.zxid);
    }
    replay.finish();
    for stream in &calls.streams {
        watches(stream, calls, &replay.model);
    }
    replay.model
}

/// A server's tree is the model.
pub(crate) fn compare(tree: &Tree, model: &Model) {
    let sessions: BTreeSet<_> = tree.sessions().map(|(id, _)| id).collect();
    assert_eq!(sessions, model.sessions, "other sessions than in the model");
    for (path, node) in model.nodes.iter().filter(|(path, _)| *path != "/") {
        let (data, stat) = tree.data(path, &[]).unwrap_or_else(|e| panic!("{path}: {e:?}"));
        assert_eq!((data, stat), (Some(&node.data[..]), node.stat), "{path} differs");
    }
    // The root and three built-in znodes.
    assert_eq!(tree.znode_count(), model.nodes.len() + 3, "znodes that the model does not have");
    for (session, paths) in tree.ephemerals_by_session() {
        assert!(paths.is_empty() || sessions.contains(&session), "{paths:?} outlived {session}");
    }
}

struct Replay<'a> {
    model: Model,
    /// Writes that were acknowledged and are not met yet.
    acknowledged: BTreeMap<(SessionId, Xid), &'a Call>,
    /// Reads by the zxid they were answered at.
    reads: BTreeMap<Zxid, Vec<&'a Call>>,
    /// The last xid of each session in the history.
    last: BTreeMap<SessionId, Xid>,
    passwords: BTreeSet<[u8; 16]>,
}

impl<'a> Replay<'a> {
    fn new(calls: &'a Calls) -> Self {
        let mut replay = Self {
            model: Model::new(),
            acknowledged: BTreeMap::new(),
            reads: BTreeMap::new(),
            last: BTreeMap::new(),
            passwords: BTreeSet::new(),
        };
        for call in &calls.calls {
            let Some((zxid, _)) = call.answer else { continue };
            if call.ask.is_write() {
                assert!(zxid > call.floor, "{call:?} took effect at {zxid}, before it was asked");
                replay.acknowledged.insert((call.session, call.xid), call);
            } else {
                let is_sync = call.ask == Ask::Sync;
                assert!(!is_sync || zxid >= call.floor, "a sync that missed {}", call.floor);
                replay.reads.entry(zxid).or_default().push(call);
            }
        }
        replay
    }

    fn step(&mut self, proposal: &Proposal) {
        let Proposal { zxid, time_ms, .. } = *proposal;
        let payload = txn::decode(&proposal.payload).expect("a payload of ours");
        let txn::Payload { session, cxid, op, .. } = payload;
        match &op {
            Op::CreateSession { password, .. } => {
                assert!(self.passwords.insert(*password), "a session was made twice, at {zxid}");
            }
            Op::Fail(ErrorCode::SessionMoved) => {}
            _ if session != SessionId::NONE => {
                let before = self.last.insert(session, cxid);
                assert!(
                    before.is_none_or(|before| before < cxid),
                    "{op:?} of {session}, xid {cxid:?}, stands at {zxid} behind {before:?}"
                );
            }
            _ => {}
        }
        let outcome = self.model.apply(zxid, time_ms, session, &op);
        let Some(call) = self.acknowledged.remove(&(session, cxid)) else { return };
        let Some((told, reply)) = &call.answer else { return };
        assert_eq!(*told, zxid, "{:?} was acknowledged at another zxid", call.ask);
        let expected = match outcome {
            Outcome::Failed(code) => OwnedReply::Error(code),
            Outcome::Deleted | Outcome::SessionClosed => OwnedReply::Done,
            outcome => OwnedReply::Outcome(outcome),
        };
        assert_eq!(*reply, expected, "{:?} at {zxid}", call.ask);
    }

    fn look(&mut self, zxid: Zxid) {
        for call in self.reads.remove(&zxid).unwrap_or_default() {
            let Some((_, reply)) = &call.answer else { continue };
            self.check_read(zxid, &call.ask, reply);
        }
    }

    fn check_read(&self, zxid: Zxid, ask: &Ask, reply: &OwnedReply) {
        let expected = match ask {
            Ask::Get { path, .. } => self
                .model
                .nodes
                .get(path)
                .map(|node| OwnedReply::Data(Some(node.data.clone()), node.stat)),
            Ask::Exists { path, .. } => {
                self.model.nodes.get(path).map(|node| OwnedReply::Stat(node.stat))
            }
            Ask::Children { path, .. } => self
                .model
                .nodes
                .get(path)
                .map(|node| OwnedReply::Children(self.model.children(path), Some(node.stat))),
            Ask::Sync => Some(OwnedReply::Path("/".to_owned())),
            Ask::Ping => Some(OwnedReply::Done),
            Ask::Create { .. }
            | Ask::Set { .. }
            | Ask::Delete { .. }
            | Ask::Check { .. }
            | Ask::Multi(_)
            | Ask::Close => unreachable!("a write is no read"),
        };
        let expected = expected.unwrap_or(OwnedReply::Error(ErrorCode::NoNode));
        let told = match reply.clone() {
            OwnedReply::Children(mut names, stat) => {
                names.sort_unstable();
                OwnedReply::Children(names, stat)
            }
            other => other,
        };
        assert_eq!(told, expected, "{ask:?} at {zxid}");
    }

    fn finish(&self) {
        if let Some(call) = self.acknowledged.values().next() {
            panic!("acknowledged and lost: {call:?}");
        }
        if let Some((zxid, reads)) = self.reads.first_key_value() {
            panic!("{:?} was answered from {zxid}, which was never chosen", reads[0].ask);
        }
    }
}

/// Which watches a read sets: on data or on the list of children.
fn watch_of(call: &Call) -> Option<(&str, bool)> {
    let (_, reply) = call.answer.as_ref()?;
    let found = !matches!(reply, OwnedReply::Error(_));
    match &call.ask {
        Ask::Get { path, watch: true } if found => Some((path, false)),
        Ask::Exists { path, watch: true } => Some((path, false)),
        Ask::Children { path, watch: true } if found => Some((path, true)),
        _ => None,
    }
}

fn concerns(event: EventType, of_children: bool) -> bool {
    match event {
        EventType::Deleted => true,
        EventType::ChildrenChanged => of_children,
        EventType::Created | EventType::DataChanged => !of_children,
    }
}

/// Each watch of a connection brings its first event, once, before anything newer is shown, and
/// there is no other event.
fn watches(stream: &[Got], calls: &Calls, model: &Model) {
    let mut set: BTreeMap<(&str, bool), Option<(Zxid, EventType)>> = BTreeMap::new();
    for got in stream {
        match got {
            Got::Answer(number) => {
                let call = &calls.calls[*number];
                let Some((shown, _)) = call.answer else { continue };
                let late = set.iter().find(|(_, due)| due.is_some_and(|(zxid, _)| zxid <= shown));
                assert!(late.is_none(), "{:?} shows {shown} before the event {late:?}", call.ask);
                if let Some((path, of_children)) = watch_of(call) {
                    let due = || first_change(model, path, of_children, shown);
                    set.entry((path, of_children)).or_insert_with(due);
                }
            }
            Got::Event(event) => spend(&mut set, event),
        }
    }
}

fn spend(set: &mut BTreeMap<(&str, bool), Option<(Zxid, EventType)>>, event: &WatchEvent) {
    let WatchEvent { zxid, event, path } = event;
    let due = Some((zxid.expect("nobody sets watches again"), *event));
    let before = set.len();
    set.retain(|(on, _), first| *on != &**path || *first != due);
    assert!(set.len() < before, "nobody waited for {event:?} of {path} at {zxid:?}: {set:?}");
}

fn first_change(
    model: &Model,
    path: &str,
    of_children: bool,
    after: Zxid,
) -> Option<(Zxid, EventType)> {
    let from = model.changes.partition_point(|(zxid, ..)| *zxid <= after);
    let mut later = model.changes[from..].iter();
    let first = later.find(|(_, event, on)| on == path && concerns(*event, of_children));
    first.map(|(zxid, event, _)| (*zxid, *event))
}
