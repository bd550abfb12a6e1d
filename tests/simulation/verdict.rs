//! The verdict on a run: everything that clients were told is held against the committed history,
//! replayed through the model. Every check that fails panics with what it found.

use crate::calls::{Ask, Call, Calls};
use crate::model::{Model, Node, Step};
use crate::watches::{self, Changes};
use ostler_core::auth::{digest_id, super_id};
use ostler_core::tree::Tree;
use ostler_core::types::{AuthId, ErrorCode, Op, Outcome, SessionId, Xid, Zxid};
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
    let changes = Changes::new(&replay.model.changes);
    calls.streams.iter().for_each(|stream| watches::check(stream, calls, &changes));
    replay.model
}

/// A server's tree is the model.
pub(crate) fn compare(tree: &Tree, model: &Model) {
    let sessions: BTreeSet<_> = tree.sessions().map(|(id, _)| id).collect();
    assert_eq!(sessions, model.sessions, "other sessions than in the model");
    for (path, node) in model.nodes.iter().filter(|(path, _)| *path != "/") {
        let (data, stat) =
            tree.data(path, &[super_id()]).unwrap_or_else(|e| panic!("{path}: {e:?}"));
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
            } else if !matches!(call.ask, Ask::Auth(_)) {
                let is_stale = call.is_linearizable && zxid < call.floor;
                assert!(!is_stale, "{call:?} missed {}", call.floor);
                replay.reads.entry(zxid).or_default().push(call);
            }
        }
        replay
    }

    fn step(&mut self, proposal: &Proposal) {
        let Proposal { zxid, time_ms, .. } = *proposal;
        let payload = txn::decode(&proposal.payload).expect("a payload of ours");
        let once = payload.once().map(|once| once.xid);
        let txn::Payload { session, cxid, ids, op, .. } = payload;
        match &op {
            Op::CreateSession { password, .. } => {
                assert!(self.passwords.insert(*password), "a session was made twice, at {zxid}");
            }
            Op::Fail(ErrorCode::SessionMoved) => {}
            // Whoever may send a write again is heard twice. And what an earlier connection sent
            // may come after the session's end, where nothing can come of it.
            _ if self.model.sessions.contains(&session) && once.is_none() => {
                let before = self.last.insert(session, cxid);
                assert!(
                    before.is_none_or(|before| before < cxid),
                    "{op:?} of {session}, xid {cxid:?}, stands at {zxid} behind {before:?}"
                );
            }
            _ => {}
        }
        let step = Step { zxid, time_ms, session, ids: &ids, once };
        let Some(outcome) = self.model.apply(&step, &op) else { return };
        let Some(call) = self.acknowledged.remove(&(session, cxid)) else { return };
        let Some((told, reply)) = &call.answer else { return };
        assert_eq!(*told, zxid, "{:?} was acknowledged at another zxid", call.ask);
        let expected = match outcome {
            Outcome::Failed(code) => OwnedReply::Error(code),
            Outcome::Deleted | Outcome::SessionClosed => OwnedReply::Done,
            outcome => OwnedReply::Outcome(outcome),
        };
        let told = match reply {
            // The native protocol says it in more words.
            OwnedReply::Outcome(Outcome::Deleted | Outcome::SessionClosed) => &OwnedReply::Done,
            reply => reply,
        };
        assert_eq!(*told, expected, "{:?} at {zxid}", call.ask);
    }

    fn look(&mut self, zxid: Zxid) {
        for call in self.reads.remove(&zxid).unwrap_or_default() {
            let Some((_, reply)) = &call.answer else { continue };
            self.check_read(zxid, call, reply);
        }
    }

    fn check_read(&self, zxid: Zxid, call: &Call, reply: &OwnedReply) {
        let id = |proof: &String| AuthId { scheme: "digest".into(), id: digest_id(proof) };
        let ids: Vec<_> = call.proof.iter().map(id).collect();
        let of = |path: &str, reply: &dyn Fn(&Node) -> OwnedReply| {
            self.model.readable(path, &ids).map_or_else(OwnedReply::Error, reply)
        };
        let expected = match &call.ask {
            Ask::Get { path, .. } => {
                of(path, &|node| OwnedReply::Data(Some(node.data.clone()), node.stat))
            }
            Ask::Exists { path, .. } => of(path, &|node| OwnedReply::Stat(node.stat)),
            Ask::Children { path, .. } => {
                of(path, &|node| OwnedReply::Children(self.model.children(path), Some(node.stat)))
            }
            Ask::AddWatch { .. } => OwnedReply::WatchAdded,
            Ask::Sync => OwnedReply::Path("/".to_owned()),
            Ask::Ping | Ask::SetWatches(_) | Ask::Auth(_) => OwnedReply::Done,
            Ask::Create { .. }
            | Ask::Set { .. }
            | Ask::SetAcl { .. }
            | Ask::Delete { .. }
            | Ask::Check { .. }
            | Ask::Multi(_)
            | Ask::Close => unreachable!("a write is no read"),
        };
        let told = match reply.clone() {
            OwnedReply::Children(mut names, stat) => {
                names.sort_unstable();
                OwnedReply::Children(names, stat)
            }
            other => other,
        };
        assert_eq!(told, expected, "{:?} at {zxid}", call.ask);
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
