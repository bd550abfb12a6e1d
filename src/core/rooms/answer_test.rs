//! Answers by their frames: what each read answers and refuses, and which reads set their watch.

use super::answer::Reader;
use crate::tree::{Effects, Rules, Tree, Txn};
use crate::types::{
    AclEntry, AuthId, Create, CreateVariant, ErrorCode, Op, Outcome, Perms, Read, Request,
    SessionId, Xid, Zxid,
};
use crate::wire::{Codec, OwnedReadReply, OwnedReply, ReplyKind};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

const EPHEMERAL: i32 = 1;

/// A tree, and who reads it.
struct Desk {
    tree: Tree,
    session: SessionId,
    ids: Vec<AuthId>,
}

impl Desk {
    /// `/open` with data and an ephemeral child, and `/closed`, which only ann may read.
    fn new() -> Self {
        let tree = Tree::new(Rules::default(), 3);
        let mut desk = Self { tree, session: SessionId::NONE, ids: vec![digest("bob:hash")] };
        let session = Op::CreateSession { timeout_ms: 4_000, password: [1; 16] };
        let Outcome::SessionCreated { session, .. } = desk.apply(session) else {
            panic!("a session");
        };
        desk.session = session;
        desk.make("/open", "world", "anyone", 0);
        desk.make("/open/mine", "world", "anyone", EPHEMERAL);
        desk.make("/closed", "digest", "ann:hash", 0);
        desk
    }

    fn apply(&mut self, op: Op<'_>) -> Outcome {
        let zxid = Zxid(self.tree.last_applied().0 + 1);
        let txn = Txn { zxid, time_ms: 5, session: self.session, ids: &[], op };
        self.tree.apply(&txn, &mut Effects::default())
    }

    fn make(&mut self, path: &str, scheme: &str, id: &str, flags: i32) {
        let acl = vec![AclEntry { perms: Perms::ALL, scheme, id }];
        let (data, variant) = (Some(&b"data"[..]), CreateVariant::Plain);
        let outcome = self.apply(Op::Create(Create { path, data, acl, flags, ttl_ms: 0, variant }));
        assert!(matches!(outcome, Outcome::Created { .. }), "{path}: {outcome:?}");
    }

    fn reader(&self) -> Reader<'_> {
        Reader { codec: Codec::Jute, session: self.session, ids: &self.ids }
    }

    /// The answer to a read, and whether its watch is to be set.
    fn read(&self, read: &Read<'_>) -> (OwnedReply, bool) {
        let mut frame = Vec::new();
        let set = self.reader().read(&self.tree, Xid(9), read, &mut frame);
        let (zxid, reply) = decoded(&Request::Read(read.clone()), &frame);
        assert_eq!(zxid, self.tree.last_applied());
        (reply, set)
    }

    fn other(&self, request: &Request<'_>) -> (Zxid, OwnedReply) {
        let mut frame = Vec::new();
        self.reader().other(self.tree.last_applied(), Xid(9), request, &mut frame);
        decoded(request, &frame)
    }

    fn stat(&self, path: &str) -> crate::types::Stat {
        self.tree.stat_unchecked(path).expect(path)
    }
}

fn digest(id: &str) -> AuthId {
    AuthId { scheme: "digest".into(), id: id.into() }
}

fn decoded(request: &Request<'_>, frame: &[u8]) -> (Zxid, OwnedReply) {
    let (header, record) = Codec::Jute.decode_reply_header(&frame[4..]).unwrap();
    let reply = Codec::Jute.decode_reply(ReplyKind::of(request), header, record).unwrap();
    (header.zxid, reply)
}

fn data(path: &str) -> Read<'_> {
    Read::Data { path, watch: true }
}

fn exists(path: &str) -> Read<'_> {
    Read::Exists { path, watch: true }
}

fn children(path: &str) -> Read<'_> {
    Read::Children { path, watch: true, with_stat: false }
}

fn refused(error: ErrorCode) -> OwnedReply {
    OwnedReply::Error(error)
}

#[test]
fn reads_that_succeed_set_the_watch_they_ask_for_and_no_other() {
    let desk = Desk::new();
    let stat = desk.stat("/open");
    let content = OwnedReply::Data(Some(b"data".to_vec()), stat);
    let names = vec!["mine".to_string()];
    let with_stat = |watch| Read::Children { path: "/open", watch, with_stat: true };
    assert_eq!(desk.read(&data("/open")), (content.clone(), true));
    assert_eq!(desk.read(&exists("/open")), (OwnedReply::Stat(stat), true));
    assert_eq!(desk.read(&children("/open")), (OwnedReply::Children(names.clone(), None), true));
    let listed = OwnedReply::Children(names, Some(stat));
    assert_eq!(desk.read(&with_stat(true)), (listed.clone(), true));
    assert_eq!(desk.read(&with_stat(false)), (listed, false));
    assert_eq!(desk.read(&Read::Data { path: "/open", watch: false }), (content, false));
    let unasked = Read::Exists { path: "/open", watch: false };
    assert_eq!(desk.read(&unasked), (OwnedReply::Stat(stat), false));
}

#[test]
fn of_what_is_missing_only_exists_sets_a_watch() {
    let desk = Desk::new();
    let missing = || refused(ErrorCode::NoNode);
    assert_eq!(desk.read(&exists("/no")), (missing(), true));
    assert_eq!(desk.read(&data("/no")), (missing(), false));
    assert_eq!(desk.read(&children("/no")), (missing(), false));
    assert_eq!(desk.read(&exists("/n\0")), (refused(ErrorCode::BadArguments), false));
}

#[test]
fn what_may_not_be_read_is_not_watched_either() {
    let mut desk = Desk::new();
    for read in [exists("/closed"), data("/closed"), children("/closed")] {
        assert_eq!(desk.read(&read), (refused(ErrorCode::NoAuth), false), "{read:?}");
    }
    let acl = Read::Acl { path: "/closed" };
    let count = Read::DescendantCount { path: "/closed" };
    assert_eq!(desk.read(&acl), (refused(ErrorCode::NoAuth), false));
    assert_eq!(desk.read(&count), (refused(ErrorCode::NoAuth), false));
    desk.ids.push(digest("ann:hash"));
    let content = OwnedReply::Data(Some(b"data".to_vec()), desk.stat("/closed"));
    assert_eq!(desk.read(&data("/closed")), (content, true));
    let (OwnedReply::Acl(entries, stat), false) = desk.read(&acl) else { panic!("an ACL") };
    assert_eq!((entries[0].id.as_str(), stat), ("ann:hash", desk.stat("/closed")));
}

#[test]
fn ephemerals_are_those_of_the_session_that_asks() {
    let mut desk = Desk::new();
    let mine = Read::Ephemerals { prefix: "/open" };
    assert_eq!(desk.read(&mine), (OwnedReply::Paths(vec!["/open/mine".to_string()]), false));
    desk.session = SessionId(77);
    assert_eq!(desk.read(&mine), (OwnedReply::Paths(Vec::new()), false));
}

#[test]
fn descendants_are_counted_without_the_znode_itself() {
    let desk = Desk::new();
    let count = Read::DescendantCount { path: "/open" };
    assert_eq!(desk.read(&count), (OwnedReply::Count(1), false));
}

#[test]
fn several_reads_are_answered_from_one_state_each_for_itself() {
    let desk = Desk::new();
    let reads = vec![children("/open"), data("/no"), data("/open"), children("/closed")];
    let results = vec![
        OwnedReadReply::Children(vec!["mine".to_string()]),
        OwnedReadReply::Error(ErrorCode::NoNode),
        OwnedReadReply::Data(Some(b"data".to_vec()), desk.stat("/open")),
        OwnedReadReply::Error(ErrorCode::NoAuth),
    ];
    assert_eq!(desk.read(&Read::Multi(reads)), (OwnedReply::Reads(results), false));
    assert_eq!(desk.read(&Read::Multi(Vec::new())), (OwnedReply::Reads(Vec::new()), false));
}

#[test]
fn what_needs_no_znode_is_answered_at_its_place() {
    let desk = Desk::new();
    let zxid = desk.tree.last_applied();
    assert_eq!(desk.other(&Request::Sync("/x")), (zxid, OwnedReply::Path("/x".to_string())));
    assert_eq!(desk.other(&Request::Ping), (zxid, OwnedReply::Done));
    let user_alone = OwnedReply::Identities(vec![digest("bob")]);
    assert_eq!(desk.other(&Request::WhoAmI), (zxid, user_alone));
    assert_eq!(desk.other(&Request::Sasl(b"hello")), (Zxid::ZERO, OwnedReply::Token(None)));
    let malformed = refused(ErrorCode::MarshallingError);
    assert_eq!(desk.other(&Request::Malformed), (zxid, malformed));
    let unknown = (Zxid::from_wire(-1), refused(ErrorCode::Unimplemented));
    assert_eq!(desk.other(&Request::Unknown), unknown);
}
