//! Writes that take effect once: what is kept of them, for how long, and that every server keeps
//! the same.

use super::*;
use crate::types::limits::{RECALLED_BYTES_MAX, RECALLED_WRITES_MAX};
use crate::types::{AclEntry, Create, CreateVariant, ErrorCode, Once, Outcome};
use alloc::string::ToString;
use proptest::prelude::*;
use std::{format, vec};

struct Server {
    tree: Tree,
    session: SessionId,
    effects: Effects,
}

impl Server {
    fn with_a_session() -> Self {
        let mut server = Self {
            tree: Tree::new(Rules::default(), 7),
            session: SessionId::NONE,
            effects: Effects::default(),
        };
        server.session = server.open();
        server
    }

    fn open(&mut self) -> SessionId {
        let op = Op::CreateSession { timeout_ms: 4000, password: [3; 16] };
        let Outcome::SessionCreated { session, .. } = self.run(SessionId::NONE, None, op).1 else {
            panic!("no session")
        };
        session
    }

    fn run(&mut self, session: SessionId, once: Option<Once>, op: Op<'_>) -> (Zxid, Outcome) {
        let zxid = Zxid(self.tree.last_applied().0 + 1);
        let txn = Txn { zxid, time_ms: 1, session, ids: &[], op };
        self.effects.clear();
        let done = self.tree.apply_once(&txn, once, &mut self.effects);
        assert_eq!(self.tree.last_applied(), zxid, "every transaction has its place");
        done
    }

    /// A write with this number, after all answers up to another.
    fn once(&mut self, xid: i32, heard: i32, op: Op<'_>) -> (Zxid, Outcome) {
        let (xid, heard) = (Xid(xid), Xid(heard));
        self.run(self.session, Some(Once { xid, heard }), op)
    }

    fn children(&self) -> usize {
        self.tree
            .children("/", &[])
            .map(|(names, _)| crate::types::NameList::count(&names))
            .expect("the root can be listed")
    }

    fn snapshot(&mut self, between: impl FnOnce(&mut Self)) -> (Zxid, Vec<Vec<u8>>) {
        let zxid = self.tree.snapshot_begin();
        let mut slices = vec![self.tree.snapshot_slice(1).expect("the first slice is there")];
        between(self);
        slices.extend(core::iter::from_fn(|| self.tree.snapshot_slice(1)));
        (zxid, slices)
    }
}

fn load(zxid: Zxid, slices: &[Vec<u8>]) -> Result<Tree, SnapshotError> {
    let mut loader = Loader::new(Rules::default(), 9);
    slices.iter().try_for_each(|slice| loader.feed(slice))?;
    loader.finish(zxid)
}

fn create(path: &str, flags: i32, variant: CreateVariant) -> Op<'_> {
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    Op::Create(Create { path, data: None, acl, flags, ttl_ms: 0, variant })
}

fn numbered() -> Op<'static> {
    create("/n-", 2, CreateVariant::WithStat)
}

fn lost() -> Outcome {
    Outcome::Failed(ErrorCode::RuntimeInconsistency)
}

#[test]
fn a_write_that_comes_again_is_answered_as_the_first_time_and_changes_nothing() {
    let mut server = Server::with_a_session();
    let set = |version| Op::SetData { path: "/", data: Some(b"x"), version };
    let check = Op::Check { path: "/", version: 1 };
    let all = || {
        [
            numbered(),
            create("/plain", 0, CreateVariant::Plain),
            create("/plain", 0, CreateVariant::Plain),
            set(0),
            set(0),
            Op::SetAcl { path: "/plain", acl: vec![], version: -1 },
            Op::Multi(vec![check.clone(), numbered(), Op::Delete { path: "/plain", version: 0 }]),
            Op::Multi(vec![numbered(), Op::Delete { path: "/none", version: 0 }]),
            Op::Fail(ErrorCode::ReconfigDisabled),
        ]
    };
    let first: Vec<_> = (1..).zip(all()).map(|(xid, op)| server.once(xid, 0, op)).collect();
    let digest = server.tree.digest();
    for (xid, op) in (1..).zip(all()) {
        let again = server.once(xid, 0, op);
        assert_eq!(again, first[xid as usize - 1], "write {xid}");
        assert_eq!(server.effects, Effects::default(), "nobody is told of it again");
    }
    assert_eq!((server.tree.digest(), server.tree.last_once(server.session)), (digest, Xid(9)));
    let Outcome::Created { path, .. } = server.once(10, 0, numbered()).1 else { panic!("created") };
    assert_eq!(path, "/n-0000000003", "the counter has seen each create once");
}

#[test]
fn what_its_client_has_heard_is_forgotten_and_what_is_behind_never_done() {
    let mut server = Server::with_a_session();
    for xid in [1, 2, 4] {
        server.once(xid, 0, numbered());
    }
    server.once(7, 2, numbered());
    let before = server.children();
    for (xid, outcome_is_kept) in [(1, false), (2, false), (3, false), (4, true), (6, false)] {
        assert_eq!(server.once(xid, 0, numbered()).1 != lost(), outcome_is_kept, "write {xid}");
    }
    // Whatever a client says that it has heard, the newest is kept.
    server.once(8, 99, numbered());
    assert_ne!(server.once(8, 99, numbered()).1, lost());
    assert_eq!(server.once(7, 99, numbered()).1, lost());
    assert_eq!(server.children(), before + 1);
}

#[test]
fn numbers_begin_anew_behind_the_largest() {
    let mut server = Server::with_a_session();
    for (xid, heard) in [(i32::MAX - 1, i32::MAX - 2), (i32::MAX, i32::MAX - 2), (1, i32::MAX - 2)]
    {
        server.once(xid, heard, numbered());
    }
    let before = server.children();
    for xid in [i32::MAX - 1, i32::MAX, 1] {
        assert_ne!(server.once(xid, 0, numbered()).1, lost());
    }
    server.once(2, i32::MAX, numbered());
    assert_eq!(server.once(i32::MAX, 0, numbered()).1, lost());
    assert_ne!(server.once(1, 0, numbered()).1, lost());
    assert_eq!(server.children(), before + 1);
}

#[test]
fn what_is_kept_is_bounded_by_number_and_by_bytes() {
    let mut server = Server::with_a_session();
    let most = i32::try_from(RECALLED_WRITES_MAX).expect("a small number");
    let none = || Op::Delete { path: "/none", version: 0 };
    (1..=most + 1).for_each(|xid| drop(server.once(xid, 0, none())));
    assert_eq!(server.once(1, 0, none()).1, lost());
    assert_eq!(server.once(2, 0, none()).1, Outcome::Failed(ErrorCode::NoNode));
    let parts = RECALLED_BYTES_MAX / 2 / 5;
    let large = || Op::Multi(vec![none(); parts + 2]);
    for xid in [most + 2, most + 3] {
        server.once(xid, 0, large());
    }
    assert_eq!(server.once(most + 2, 0, large()).1, lost(), "only one of that size is kept");
    assert_ne!(server.once(most + 3, 0, large()).1, lost());
}

#[test]
fn it_ends_with_the_session_and_others_have_none() {
    let mut server = Server::with_a_session();
    let plain = server.tree.digest();
    let session = server.session;
    assert_eq!(server.once(1, 0, Op::Fail(ErrorCode::ReconfigDisabled)).1.clone(), {
        Outcome::Failed(ErrorCode::ReconfigDisabled)
    });
    assert_ne!(server.tree.digest(), plain, "what is kept is part of the digest");
    let other = server.open();
    server.run(other, None, Op::Fail(ErrorCode::ReconfigDisabled));
    assert_eq!(server.tree.last_once(other), Xid(0));
    server.run(SessionId::NONE, None, Op::CloseSession { session });
    assert_eq!(server.tree.digest(), plain);
    let late = server.once(2, 0, numbered());
    assert_eq!(late.1, Outcome::Failed(ErrorCode::SessionExpired));
    assert_eq!((server.tree.digest(), server.tree.last_once(session)), (plain, Xid(0)));
}

#[test]
fn a_snapshot_has_what_was_kept_when_it_was_begun() {
    let mut server = Server::with_a_session();
    let quiet = server.open();
    let closing = server.open();
    let fail = || Op::Fail(ErrorCode::BadVersion);
    let first = server.once(1, 0, numbered());
    for session in [quiet, closing] {
        server.run(session, Some(Once { xid: Xid(5), heard: Xid(0) }), fail());
    }
    let digest = server.tree.digest();
    let (zxid, slices) = server.snapshot(|server| {
        server.once(2, 1, numbered());
        server.run(SessionId::NONE, None, Op::CloseSession { session: closing });
    });
    let tree = load(zxid, &slices).expect("a whole snapshot");
    assert_eq!(tree.digest(), digest);
    let last = [server.session, quiet, closing].map(|session| tree.last_once(session).0);
    assert_eq!(last, [1, 5, 5]);
    server.tree = tree;
    assert_eq!(server.once(1, 0, numbered()), first, "a restarted server knows it too");
    // Any byte less, or another, and it is no snapshot.
    let recalls: Vec<_> = (0..slices.len()).filter(|at| slices[*at][1] == slice::RECALLS).collect();
    assert!(recalls.len() >= 3, "one session a slice");
    for at in recalls {
        for byte in 2..slices[at].len() {
            let mut damaged = slices.clone();
            damaged[at][byte] ^= 1;
            assert!(load(zxid, &damaged).is_err(), "slice {at}, byte {byte}");
            damaged[at].truncate(byte);
            assert!(load(zxid, &damaged).is_err(), "slice {at}, cut at {byte}");
        }
    }
}

proptest! {
    /// A client sends writes, loses its connection at any point of them and of their answers, and
    /// sends again what was not answered: each is done once, whatever was lost.
    #[test]
    fn each_write_is_done_once(losses in proptest::collection::vec((0..9_i32, 0..9_i32), 1..30)) {
        let mut server = Server::with_a_session();
        let (mut heard, mut done) = (0, vec![]);
        for (written, answered) in losses {
            let mut answers = vec![];
            for xid in heard + 1..=heard + written {
                answers.push(server.once(xid, heard, numbered()));
            }
            for answer in answers.into_iter().take(answered as usize) {
                done.push(answer);
                heard += 1;
            }
            // The server may crash and come back by its snapshot.
            let (zxid, slices) = server.snapshot(|_| ());
            server.tree = load(zxid, &slices).expect("a whole snapshot");
        }
        for (number, (_, outcome)) in done.iter().enumerate() {
            let Outcome::Created { path, .. } = outcome else { panic!("{outcome:?}") };
            prop_assert_eq!(path, &format!("/n-{number:010}").to_string());
        }
        prop_assert!(done.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
