//! The rules of the tree, one fact per test.

use super::*;
use crate::types::{
    AclEntry, Create, CreateVariant, ErrorCode, NULL, NameList, Outcome, Stat, Zxid,
};
use alloc::string::{String, ToString};
use std::format;

const OPEN: [AclEntry<'static>; 1] =
    [AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
const NO_IDS: [AuthId; 0] = [];

pub(super) struct Bench {
    pub(super) tree: Tree,
    pub(super) effects: Effects,
    pub(super) time_ms: i64,
    pub(super) session: SessionId,
    pub(super) ids: Vec<AuthId>,
}

#[path = "facts_quota_test.rs"]
mod quotas;

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Rules::default())
    }

    pub(super) fn with(rules: Rules) -> Self {
        Self {
            tree: Tree::new(rules, 7),
            effects: Effects::default(),
            time_ms: 1000,
            session: SessionId::NONE,
            ids: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, op: Op<'_>) -> Outcome {
        self.effects = Effects::default();
        let zxid = Zxid(self.tree.last_applied().0 + 1);
        let txn = Txn { zxid, time_ms: self.time_ms, session: self.session, ids: &self.ids, op };
        let outcome = self.tree.apply(&txn, &mut self.effects);
        assert_eq!(self.tree.last_applied(), zxid);
        assert_eq!(self.tree.digest(), self.tree.store.digest_from_scratch());
        outcome
    }

    pub(super) fn open_session(&mut self) -> SessionId {
        let outcome = self.run(Op::CreateSession { timeout_ms: 4000, password: [3; 16] });
        let Outcome::SessionCreated { session, .. } = outcome else { panic!("{outcome:?}") };
        session
    }

    pub(super) fn make(&mut self, path: &str) {
        let outcome = self.run(create(path, 0));
        assert!(matches!(outcome, Outcome::Created { .. }), "{path}: {outcome:?}");
    }

    fn stat(&self, path: &str) -> Stat {
        self.tree.stat_unchecked(path).expect(path)
    }

    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let (children, _) = self.tree.children(path, &NO_IDS).expect("it can be listed");
        let mut names = Vec::new();
        children.each(&mut |name| names.push(name.to_string()));
        names
    }

    fn text(&self, path: &str) -> String {
        let (data, _) = self.tree.data(path, &NO_IDS).expect("it can be read");
        String::from_utf8(data.expect("it has data").to_vec()).expect("its data are text")
    }

    fn told(&self) -> Vec<(EventType, &str)> {
        self.effects.changes.iter().map(|change| (change.event, &*change.path)).collect()
    }
}

pub(super) fn create(path: &str, flags: i32) -> Op<'_> {
    Op::Create(Create {
        path,
        data: Some(b"x"),
        acl: OPEN.to_vec(),
        flags,
        ttl_ms: 0,
        variant: CreateVariant::Plain,
    })
}

fn create_as(path: &str, flags: i32, variant: CreateVariant, ttl_ms: i64) -> Op<'_> {
    let acl = OPEN.to_vec();
    Op::Create(Create { path, data: Some(b"x"), acl, flags, ttl_ms, variant })
}

fn create_with<'a>(path: &'a str, data: Option<&'a [u8]>, acl: Vec<AclEntry<'a>>) -> Op<'a> {
    Op::Create(Create { path, data, acl, flags: 0, ttl_ms: 0, variant: CreateVariant::Plain })
}

pub(super) fn delete(path: &str) -> Op<'_> {
    Op::Delete { path, version: -1 }
}

pub(super) fn set<'a>(path: &'a str, data: &'a str) -> Op<'a> {
    Op::SetData { path, data: Some(data.as_bytes()), version: -1 }
}

fn failed(code: ErrorCode) -> Outcome {
    Outcome::Failed(code)
}

#[test]
fn a_fresh_tree_shows_what_a_fresh_zookeeper_shows() {
    let bench = Bench::new();
    assert_eq!(bench.stat("/"), Stat { cversion: -1, num_children: 1, ..Stat::default() });
    let system = Stat { cversion: -2, num_children: 2, ..Stat::default() };
    assert_eq!(bench.stat("/zookeeper"), system);
    assert_eq!(bench.stat("/zookeeper/config"), Stat { aversion: -1, ..Stat::default() });
    assert_eq!(bench.stat("/zookeeper/quota"), Stat::default());
    assert_eq!(bench.tree.znode_count(), 4);
    assert_eq!(bench.tree.data_size(), 44);
}

#[test]
fn a_create_is_checked_in_zookeepers_order() {
    let mut bench = Bench::new();
    bench.make("/a");
    for (op, code) in [
        (create("/x", 7), ErrorCode::BadArguments),
        (create("/x", 5), ErrorCode::Unimplemented),
        (create_as("/x", 0, CreateVariant::Ttl, 5), ErrorCode::BadArguments),
        (create("x", 0), ErrorCode::BadArguments),
        (create("", 0), ErrorCode::BadArguments),
        (create("/x\0", 0), ErrorCode::BadArguments),
        (create(NULL, 7), ErrorCode::BadArguments),
        (create(NULL, 0), ErrorCode::MarshallingError),
        (create_with("/none/x", None, Vec::new()), ErrorCode::InvalidAcl),
        (create("/none/x", 0), ErrorCode::NoNode),
        (create("/a//b", 0), ErrorCode::NoNode),
        (create("//b", 0), ErrorCode::BadArguments),
        (create("/a/..", 0), ErrorCode::BadArguments),
        (create("/a/", 0), ErrorCode::BadArguments),
        (create("/", 0), ErrorCode::NodeExists),
        (create("/a", 0), ErrorCode::NodeExists),
    ] {
        let text = format!("{op:?}");
        assert_eq!(bench.run(op), failed(code), "{text}");
    }
}

#[test]
fn sequence_numbers_count_creates_and_never_go_back() {
    let mut bench = Bench::new();
    bench.make("/a");
    let made = |path: &str| Outcome::Created { path: path.to_string(), stat: None };
    assert_eq!(bench.run(create("/a/s", 2)), made("/a/s0000000000"));
    assert_eq!(bench.run(create("/a/", 2)), made("/a/0000000001"));
    bench.run(delete("/a/s0000000000"));
    assert_eq!(bench.run(create("/a/s", 2)), made("/a/s0000000002"));
    let slot = bench.tree.store.find("/a").expect("it was created");
    bench.tree.store.update(slot, "/a", |fields| fields.creates = i32::MAX);
    assert_eq!(bench.run(create("/a/s", 2)), made("/a/s2147483647"));
    assert_eq!(bench.run(create("/a/s", 2)), made("/a/s-2147483648"));
    assert_eq!(bench.run(create("/a/s", 2)), made("/a/s-2147483647"));
}

#[test]
fn a_stat_counts_creates_and_deletes_of_children() {
    let mut bench = Bench::new();
    bench.make("/a");
    bench.make("/a/b");
    bench.make("/a/c");
    bench.run(delete("/a/b"));
    let stat = bench.stat("/a");
    assert_eq!((stat.cversion, stat.num_children, stat.pzxid, stat.czxid), (3, 1, 4, 1));
    bench.time_ms = 2000;
    let Outcome::DataSet(stat) = bench.run(set("/a", "hello")) else { panic!() };
    assert_eq!((stat.version, stat.mzxid, stat.mtime, stat.ctime), (1, 5, 2000, 1000));
    assert_eq!((stat.data_length, stat.pzxid), (5, 4));
}

#[test]
fn null_data_is_not_empty_data() {
    let mut bench = Bench::new();
    bench.run(create_with("/null", None, OPEN.to_vec()));
    bench.run(create_with("/empty", Some(b""), OPEN.to_vec()));
    assert_eq!(bench.tree.data("/null", &NO_IDS).expect("it can be read").0, None);
    assert_eq!(bench.tree.data("/empty", &NO_IDS).expect("it can be read").0, Some(&b""[..]));
    assert_eq!(bench.stat("/null").data_length, 0);
}

#[test]
fn a_delete_is_checked_in_zookeepers_order() {
    let mut bench = Bench::new();
    bench.make("/a");
    bench.make("/a/b");
    for (path, code) in [
        ("abc", ErrorCode::BadArguments),
        ("/", ErrorCode::BadArguments),
        ("/zookeeper", ErrorCode::BadArguments),
        ("/zookeeper/quota", ErrorCode::BadArguments),
        ("/zookeeper/config", ErrorCode::BadArguments),
        ("/none/x", ErrorCode::NoNode),
        ("/none", ErrorCode::NoNode),
        ("/a/", ErrorCode::NoNode),
        ("/a", ErrorCode::NotEmpty),
    ] {
        assert_eq!(bench.run(delete(path)), failed(code), "{path}");
    }
    let wrong = Op::Delete { path: "/a", version: 1 };
    assert_eq!(bench.run(wrong), failed(ErrorCode::BadVersion));
    assert_eq!(bench.run(delete("/a/b")), Outcome::Deleted);
}

#[test]
fn children_are_listed_oldest_first_also_after_a_rollback() {
    let mut bench = Bench::new();
    for path in ["/a", "/a/z", "/a/m", "/a/b"] {
        bench.make(path);
    }
    assert_eq!(bench.names("/a"), ["z", "m", "b"]);
    bench.run(Op::Multi(vec![delete("/a/m"), create("/a/n", 0), delete("/a/z"), delete("/no")]));
    assert_eq!(bench.names("/a"), ["z", "m", "b"]);
}

#[test]
fn a_failed_multi_changes_nothing_and_names_the_culprit() {
    let mut bench = Bench::new();
    bench.make("/a");
    let (digest, bytes) = (bench.tree.digest(), bench.tree.data_size());
    let ops = vec![set("/a", "new"), create("/a/b", 2), delete("/none"), delete("/a")];
    let Outcome::Multi(outcomes) = bench.run(Op::Multi(ops)) else { panic!() };
    assert_eq!(
        outcomes,
        [
            Outcome::RolledBack,
            Outcome::RolledBack,
            failed(ErrorCode::NoNode),
            failed(ErrorCode::RuntimeInconsistency)
        ]
    );
    assert_eq!((bench.tree.digest(), bench.tree.data_size()), (digest, bytes));
    assert_eq!(bench.text("/a"), "x");
    assert!(bench.effects.changes.is_empty());
    assert_eq!(bench.run(Op::Multi(Vec::new())), Outcome::Multi(Vec::new()));
}

#[test]
fn a_multi_sees_its_own_earlier_operations() {
    let mut bench = Bench::new();
    let ops = vec![
        create("/a", 0),
        create("/a/b", 0),
        Op::Check { path: "/a", version: 0 },
        delete("/a/b"),
    ];
    let Outcome::Multi(outcomes) = bench.run(Op::Multi(ops)) else { panic!() };
    assert_eq!(outcomes[2..], [Outcome::Checked, Outcome::Deleted]);
    assert_eq!(bench.stat("/a").cversion, 2);
}

#[test]
fn events_come_in_zookeepers_order() {
    let mut bench = Bench::new();
    bench.make("/a");
    assert_eq!(bench.told(), [(EventType::Created, "/a"), (EventType::ChildrenChanged, "/")]);
    bench.run(set("/a", "y"));
    assert_eq!(bench.told(), [(EventType::DataChanged, "/a")]);
    bench.run(delete("/a"));
    assert_eq!(bench.told(), [(EventType::Deleted, "/a"), (EventType::ChildrenChanged, "/")]);
}

#[test]
fn a_closed_session_takes_its_ephemerals_along_in_order() {
    let mut bench = Bench::new();
    bench.make("/d");
    bench.session = bench.open_session();
    assert_eq!(bench.session, SessionId(2));
    bench.run(create("/z", 1));
    bench.run(create("/d/e", 1));
    assert_eq!(bench.stat("/z").ephemeral_owner, 2);
    assert_eq!(bench.run(create("/z/c", 0)), failed(ErrorCode::NoChildrenForEphemerals));
    assert_eq!(bench.tree.ephemerals(bench.session, "/"), ["/d/e", "/z"]);
    assert_eq!(bench.tree.ephemerals(bench.session, "/d"), ["/d/e"]);
    assert_eq!(bench.tree.ephemerals(bench.session, " /\t"), ["/d/e", "/z"]);
    assert!(bench.tree.ephemerals(bench.session, " /d").is_empty());
    let session = bench.session;
    assert_eq!(bench.run(Op::CloseSession { session }), Outcome::SessionClosed);
    let told = [
        (EventType::Deleted, "/d/e"),
        (EventType::ChildrenChanged, "/d"),
        (EventType::Deleted, "/z"),
        (EventType::ChildrenChanged, "/"),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.effects.sessions, [SessionChange::Closed { session }]);
    assert_eq!(bench.tree.ephemeral_count(), 0);
    assert_eq!(bench.run(create("/y", 0)), failed(ErrorCode::SessionExpired));
    assert_eq!(bench.run(Op::CloseSession { session }), failed(ErrorCode::SessionExpired));
}

#[test]
fn permissions_are_demanded_where_zookeeper_demands_them() {
    let mut bench = Bench::new();
    let mine = vec![
        AclEntry { perms: Perms(Perms::ALL.0), scheme: "digest", id: "u:h" },
        AclEntry { perms: Perms::READ, scheme: "ip", id: "10.0.0.0/8" },
    ];
    bench.run(create_with("/a", Some(b"x"), mine.clone()));
    let listed = Readers::Listed(mine.iter().map(AclEntry::to_acl).collect());
    assert_eq!(bench.effects.changes[0].readers, listed);
    assert!(!listed.admits(&NO_IDS));
    for op in [create("/a/b", 0), set("/a", "y"), delete("/a/b")] {
        assert_eq!(bench.run(op), failed(ErrorCode::NoAuth));
    }
    let acl = Op::SetAcl { path: "/a", acl: OPEN.to_vec(), version: -1 };
    assert_eq!(bench.run(acl.clone()), failed(ErrorCode::NoAuth));
    assert_eq!(bench.tree.exists("/a", &NO_IDS), Err(ErrorCode::NoAuth));
    assert_eq!(bench.tree.exists("/\0", &NO_IDS), Err(ErrorCode::BadArguments));

    let near = [AuthId { scheme: "ip".to_owned(), id: "10.9.9.9".to_owned() }];
    assert!(bench.tree.exists("/a", &near).is_ok());
    let (shown, _) = bench.tree.acl("/a", &near).expect("its ACL may be read");
    assert_eq!(shown[0].id, "u:x");
    bench.ids = vec![AuthId { scheme: "digest".to_owned(), id: "u:h".to_owned() }];
    assert_eq!(bench.tree.acl("/a", &bench.ids).expect("its ACL may be read").0[0].id, "u:h");
    let Outcome::AclSet(stat) = bench.run(acl) else { panic!() };
    assert_eq!((stat.aversion, stat.version, stat.mzxid), (1, 0, 1));
    assert!(bench.tree.exists("/a", &NO_IDS).is_ok());
    assert_eq!(bench.run(set("/zookeeper/config", "")), failed(ErrorCode::NoAuth));
}

#[test]
fn the_leader_writes_down_the_members_and_nobody_else_does() {
    let mut bench = Bench::new();
    let told = bench.run(Op::Configure { text: "server.1=a:1:2:participant\nversion=0" });
    let stat = bench.stat("/zookeeper/config");
    assert_eq!(told, Outcome::DataSet(stat));
    let expected =
        Stat { aversion: -1, version: -1, mtime: 1000, data_length: 36, ..Stat::default() };
    assert_eq!(stat, expected);
    assert_eq!(bench.tree.configuration(), b"server.1=a:1:2:participant\nversion=0");
    assert_eq!(bench.effects.changes.len(), 1);
    // The same again changes nothing, and tells nobody.
    bench.time_ms = 2000;
    bench.run(Op::Configure { text: "server.1=a:1:2:participant\nversion=0" });
    assert_eq!((bench.stat("/zookeeper/config"), bench.effects.changes.len()), (stat, 0));
    bench.session = bench.open_session();
    let refused = bench.run(Op::Configure { text: "server.9=" });
    assert_eq!(refused, failed(ErrorCode::BadArguments));
}

#[test]
fn containers_go_when_empty_and_only_by_the_reaper() {
    let mut bench = Bench::new();
    bench.run(create_as("/c", 4, CreateVariant::Container, 0));
    assert_eq!(bench.stat("/c").ephemeral_owner, 0);
    assert!(bench.tree.reapable(9_999_999, 0, 9).is_empty());
    assert_eq!(bench.tree.reapable(9_999_999, 5, 9), ["/c"]);
    bench.make("/c/x");
    assert!(bench.tree.reapable(9_999_999, 5, 9).is_empty());
    assert_eq!(bench.run(Op::Reap { path: "/c" }), failed(ErrorCode::NotEmpty));
    bench.run(delete("/c/x"));
    assert_eq!(bench.tree.reapable(0, 0, 9), ["/c"]);
    bench.session = bench.open_session();
    assert_eq!(bench.run(Op::Reap { path: "/c" }), failed(ErrorCode::BadArguments));
    bench.session = SessionId::NONE;
    assert_eq!(bench.run(Op::Reap { path: "/c" }), Outcome::Deleted);
    bench.make("/p");
    assert_eq!(bench.run(Op::Reap { path: "/p" }), failed(ErrorCode::BadVersion));
    assert_eq!(bench.run(Op::Reap { path: "/c" }), failed(ErrorCode::NoNode));
}

#[test]
fn a_ttl_znode_goes_when_its_time_has_passed_unchanged() {
    let mut bench = Bench::with(Rules { extended_types: true, ..Rules::default() });
    for bad in [0, -1, crate::types::limits::TTL_MS_MAX + 1] {
        let op = create_as("/t", 5, CreateVariant::Ttl, bad);
        assert_eq!(bench.run(op), failed(ErrorCode::BadArguments));
    }
    assert_eq!(bench.run(create("/t", 5)), failed(ErrorCode::BadArguments));
    for ttl_ms in [-1, 0, 5] {
        let op = create_as("/t", 0, CreateVariant::Ttl, ttl_ms);
        assert_eq!(bench.run(op), failed(ErrorCode::BadArguments));
    }
    bench.run(create_as("/t", 5, CreateVariant::Ttl, 500));
    assert!(bench.tree.reapable(1500, 0, 9).is_empty());
    assert_eq!(bench.tree.reapable(1501, 0, 9), ["/t"]);
    assert_eq!(bench.run(Op::Reap { path: "/t" }), failed(ErrorCode::BadVersion));
    bench.time_ms = 1501;
    assert_eq!(bench.run(Op::Reap { path: "/t" }), Outcome::Deleted);
}

#[test]
fn digests_are_kept_at_round_positions() {
    let mut bench = Bench::new();
    for _ in 0..128 {
        bench.run(set("/", "x"));
    }
    let at = (bench.tree.last_applied(), bench.tree.digest());
    bench.run(set("/", "y"));
    assert_eq!(bench.tree.past_digests().last(), Some(at));
}

#[test]
fn descendants_are_counted_without_the_znode_itself() {
    let mut bench = Bench::new();
    for path in ["/a", "/a/b", "/a/b/c", "/a/d", "/ab"] {
        bench.make(path);
    }
    assert_eq!(bench.tree.descendant_count("/a", &NO_IDS), Ok(3));
    assert_eq!(bench.tree.descendant_count("/ab", &NO_IDS), Ok(0));
    assert_eq!(bench.tree.descendant_count("/", &NO_IDS), Ok(8));
    assert_eq!(bench.tree.descendant_count("", &NO_IDS), Ok(9), "the root by its other name");
    assert_eq!(bench.tree.descendant_count("/no", &NO_IDS), Err(ErrorCode::NoNode));
}
