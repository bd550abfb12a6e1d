//! The tree store by its effects: order within a turn, sessions, snapshots, reaping. What a store does whose tree was
//! lost is told in `anew`.

use super::pipeline::{Committed, CommittedBody, Sender};
use super::stage_test::{IDLE, NOW, Shown};
use super::tree_store::{Attached, Effect, Input, Schedule, TreeStore, View};
use super::watch_fanout::{OwnedWatchOp, Step};
use super::{Machine, Now};
use crate::tree::{Effects, Rules, Tree, Txn};
use crate::types::limits::APPLY_BATCH_MAX;
use crate::types::{
    AclEntry, AuthId, ConnectionId, Create, CreateVariant, ErrorCode, EventType, Op, Perms, Read,
    RemoveKind, Request, SessionId, WatchMode, WatchOp, WatchRegistration, Xid, Zxid,
};
use crate::wire::{Codec, txn};
use crate::zab::{Origin, Proposal};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

const SESSION: SessionId = SessionId(1);
const PASSWORD: [u8; 16] = [6; 16];

#[path = "tree_store_anew_test.rs"]
mod anew;

/// A store, and the zxids given out so far.
struct Shop {
    store: TreeStore<Shown>,
    view: Shown,
    last: u64,
}

impl Shop {
    /// With one session, whose id is its zxid.
    fn open(schedule: Schedule) -> Self {
        let view = Shown::fresh();
        let mut shop = Self { store: TreeStore::new(view.clone(), schedule, 0), view, last: 0 };
        let begin = shop.write(0, &begin());
        shop.commit(vec![begin]);
        shop
    }

    fn write(&mut self, connection: u64, op: &Op<'_>) -> Committed {
        self.last += 1;
        let mut payload = Vec::new();
        txn::encode(SESSION, Xid(self.last as i32), &[], op, &mut payload);
        let payload = Bytes::from(payload);
        let proposal =
            Proposal { zxid: Zxid(self.last), time_ms: 1_000, origin: Origin::default(), payload };
        let body = CommittedBody::Txn(proposal);
        Committed { sender: Some(sender(connection)), xid: Xid(self.last as i32), body }
    }

    fn commit(&mut self, batch: Vec<Committed>) -> Vec<Effect> {
        self.step(Input::Commit(batch))
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        self.step_at(NOW, input)
    }

    fn step_at(&mut self, now: Now, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.store.step(now, input, &mut effects);
        effects
    }

    /// The steps of the one delivery that these come to.
    fn steps(&mut self, batch: Vec<Committed>) -> Vec<Step> {
        let last = self.last;
        match <[Effect; 1]>::try_from(self.commit(batch)) {
            Ok([Effect::Deliver(delivery)]) => {
                assert_eq!(delivery.upto, Zxid(last));
                delivery.steps
            }
            other => panic!("not one delivery: {other:?}"),
        }
    }
}

fn sender(connection: u64) -> Arc<Sender> {
    let ids = Arc::from([AuthId { scheme: "ip".into(), id: format!("10.0.0.{connection}") }]);
    let connection = ConnectionId(connection);
    Arc::new(Sender { connection, session: SESSION, codec: Codec::Jute, ids })
}

fn travel(connection: u64, xid: i32, request: &Request<'_>) -> Committed {
    let mut frame = Vec::new();
    Codec::Jute.encode_request(Xid(xid), request, &mut frame);
    let body = CommittedBody::Travel(Bytes::copy_from_slice(&frame[4..]));
    Committed { sender: Some(sender(connection)), xid: Xid(xid), body }
}

fn attach(connection: u64, session: SessionId) -> Committed {
    let body = CommittedBody::Attach { session, timeout_ms: 9_000 };
    Committed { sender: Some(sender(connection)), xid: Xid(0), body }
}

fn begin() -> Op<'static> {
    Op::CreateSession { timeout_ms: 4_000, password: PASSWORD }
}

fn create(path: &str) -> Op<'_> {
    create_as(path, CreateVariant::Plain)
}

fn create_as(path: &str, variant: CreateVariant) -> Op<'_> {
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    Op::Create(Create { path, data: None, acl, flags: 0, ttl_ms: 0, variant })
}

fn data(path: &str, watch: bool) -> Request<'_> {
    Request::Read(Read::Data { path, watch })
}

/// What a step is, without its bytes.
fn shown(step: &Step) -> alloc::string::String {
    match step {
        Step::Change(change) => format!("{:?} {}", change.event, change.path),
        Step::Reply { connection, requests, .. } => format!("{requests} for {}", connection.0),
        Step::Register { connection, path, registration, .. } => {
            format!("{registration:?} {path} for {}", connection.0)
        }
        Step::Identities { connection, ids } => format!("{} is {}", connection.0, ids[0].id),
        Step::SynthesizedEvent { connection, event, .. } => {
            format!("{:?} {} to {}", event.event, event.path, connection.0)
        }
        Step::Watch { connection, xid, zxid, op, .. } => {
            let what = match op {
                OwnedWatchOp::Remove { path, kind } => format!("remove {kind:?} {path}"),
                OwnedWatchOp::Check { path, kind } => format!("check {kind:?} {path}"),
            };
            format!("{what} for {}, {} at {zxid:?}", connection.0, xid.0)
        }
        Step::Reset { connection } => format!("reset {}", connection.0),
    }
}

fn all_shown(steps: &[Step]) -> Vec<alloc::string::String> {
    steps.iter().map(shown).collect()
}

#[test]
fn replies_of_one_connection_in_a_row_are_one_step() {
    let mut shop = Shop::open(IDLE);
    let batch = vec![
        shop.write(1, &create("/a")),
        travel(1, 50, &data("/a", false)),
        shop.write(2, &create("/b")),
        travel(1, 51, &Request::Sync("/")),
    ];
    let steps = shop.steps(batch);
    assert_eq!(all_shown(&steps), ["2 for 1", "1 for 2", "1 for 1"]);
    let Step::Reply { bytes, .. } = &steps[0] else { panic!("a reply") };
    let first = 4 + usize::from(bytes[3]);
    let (write, _) =
        Codec::Jute.decode_reply_header(&bytes[4..first]).expect("an answer has a header");
    let (read, _) =
        Codec::Jute.decode_reply_header(&bytes[first + 4..]).expect("an answer has a header");
    assert_eq!((write.xid, write.zxid, write.error), (Xid(2), Zxid(2), 0));
    assert_eq!((read.xid, read.zxid, read.error), (Xid(50), Zxid(2), 0));
}

#[test]
fn changes_are_told_before_their_replies_once_anybody_has_watched() {
    let mut shop = Shop::open(IDLE);
    let unwatched = vec![shop.write(1, &create("/a"))];
    assert_eq!(all_shown(&shop.steps(unwatched)), ["1 for 1"]);
    let batch = vec![
        shop.write(1, &create("/b")),
        travel(2, 50, &data("/b", true)),
        shop.write(1, &create("/b/c")),
    ];
    let expected =
        ["1 for 1", "1 for 2", "Data /b for 2", "Created /b/c", "ChildrenChanged /b", "1 for 1"];
    assert_eq!(all_shown(&shop.steps(batch)), expected);
}

#[test]
fn a_read_that_fails_registers_nothing_unless_it_asks_for_existence() {
    let mut shop = Shop::open(IDLE);
    let exists = Request::Read(Read::Exists { path: "/no", watch: true });
    let children = Read::Children { path: "/no", watch: true, with_stat: false };
    let batch = vec![
        travel(1, 50, &data("/no", true)),
        travel(1, 51, &Request::Read(children)),
        travel(1, 52, &exists),
    ];
    assert_eq!(all_shown(&shop.steps(batch)), ["3 for 1", "Data /no for 1"]);
}

#[test]
fn operations_on_watches_go_to_the_fan_out_in_their_place() {
    let mut shop = Shop::open(IDLE);
    let watch = |xid, op| travel(1, xid, &Request::Watch(op));
    let kind = RemoveKind::Any;
    let batch = vec![
        watch(50, WatchOp::Add { path: "/p", mode: WatchMode::Persistent }),
        watch(51, WatchOp::Add { path: "/r", mode: WatchMode::PersistentRecursive }),
        watch(52, WatchOp::Check { path: "/p", kind }),
        watch(53, WatchOp::Remove { path: "/r", kind }),
        watch(
            54,
            WatchOp::Set {
                relative_zxid: 1,
                data: vec!["/gone", "/"],
                exist: vec!["/new"],
                child: vec!["/"],
                persistent: Vec::new(),
                persistent_recursive: vec!["/r"],
                broken_off: false,
            },
        ),
    ];
    let expected = [
        "2 for 1",
        "Persistent /p for 1",
        "PersistentRecursive /r for 1",
        "check Any /p for 1, 52 at Zxid(1)",
        "remove Any /r for 1, 53 at Zxid(1)",
        "Deleted /gone to 1",
        "Data / for 1",
        "Data /new for 1",
        "Child / for 1",
        "PersistentRecursive /r for 1",
        "1 for 1",
    ];
    let zxid = format!("{:?}", Zxid(1));
    let expected = expected.map(|step| step.replace("Zxid(1)", &zxid));
    assert_eq!(all_shown(&shop.steps(batch)), expected);
}

#[test]
fn a_set_watches_that_breaks_off_takes_effect_and_fails() {
    let mut shop = Shop::open(IDLE);
    let none = Vec::new;
    let op = WatchOp::Set {
        relative_zxid: 1,
        data: vec!["/gone", "/"],
        exist: none(),
        child: none(),
        persistent: none(),
        persistent_recursive: none(),
        broken_off: true,
    };
    let steps = shop.steps(vec![travel(1, -8, &Request::Watch(op))]);
    assert_eq!(all_shown(&steps), ["Deleted /gone to 1", "Data / for 1", "1 for 1"]);
    let Some(Step::Reply { bytes, .. }) = steps.last() else { panic!("{steps:?}") };
    let (header, _) = Codec::Jute.decode_reply_header(&bytes[4..]).expect("an answer has a header");
    assert_eq!((header.xid, header.error), (Xid(-8), ErrorCode::MarshallingError.code()));
}

#[test]
fn an_auth_that_travels_brings_identities_and_no_bytes() {
    let mut shop = Shop::open(IDLE);
    let auth = Request::Auth { scheme: "digest", auth: b"ann:x" };
    let steps = shop.steps(vec![travel(3, -4, &auth)]);
    assert_eq!(all_shown(&steps), ["3 is 10.0.0.3", "1 for 3"]);
    assert!(matches!(&steps[1], Step::Reply { bytes, .. } if bytes.is_empty()));
}

#[test]
fn a_long_batch_is_taken_in_turns_so_that_readers_get_in() {
    let mut shop = Shop::open(IDLE);
    let paths: Vec<_> = (0..=APPLY_BATCH_MAX).map(|number| format!("/{number}")).collect();
    let batch = paths.iter().map(|path| shop.write(1, &create(path))).collect();
    let uptos = shop.commit(batch).into_iter().map(|effect| match effect {
        Effect::Deliver(delivery) => delivery.upto,
        other => panic!("{other:?}"),
    });
    let first = APPLY_BATCH_MAX as u64 + 1;
    assert_eq!(uptos.collect::<Vec<_>>(), [Zxid(first), Zxid(first + 1)]);
    assert_eq!(shop.store.applied, first + 1);
    assert!(shop.commit(Vec::new()).is_empty());
}

#[test]
fn a_session_is_owned_before_its_client_hears_of_it() {
    let mut shop = Shop::open(IDLE);
    let begin = shop.write(4, &begin());
    let effects = shop.commit(vec![begin]);
    let (session, timeout_ms) = (SessionId(2), 4_000);
    let connection = ConnectionId(4);
    let [
        Effect::Opened(opened, Zxid(2)),
        Effect::Deliver(delivery),
        Effect::Attached(to, attached),
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(opened[..], [(session, timeout_ms, Some(connection))]);
    assert_eq!((delivery.upto, delivery.steps.len()), (Zxid(2), 0));
    let open = Attached::Open { session, timeout_ms, password: PASSWORD, last_once: Xid(0) };
    assert_eq!((*to, attached), (connection, &open));
}

#[test]
fn a_session_is_taken_over_if_it_is_still_there() {
    let mut shop = Shop::open(IDLE);
    let effects = shop.commit(vec![attach(5, SESSION)]);
    let [Effect::Renewed { session, timeout_ms, connection, .. }, Effect::Attached(_, attached)] =
        &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((*timeout_ms, *connection), (9_000, ConnectionId(5)));
    assert_eq!(*session, SESSION);
    let (session, password, last_once) = (SESSION, PASSWORD, Xid(0));
    let open = Attached::Open { session, timeout_ms: 9_000, password, last_once };
    assert_eq!(attached, &open);
    let effects = shop.commit(vec![attach(5, SessionId(99))]);
    let [Effect::Attached(_, Attached::Expired), Effect::Ended(ended)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(ended[..], [SessionId(99)], "the pipeline gave it an owner");
}

#[test]
fn the_end_of_a_session_is_answered_and_told() {
    let mut shop = Shop::open(IDLE);
    let end = shop.write(4, &Op::CloseSession { session: SESSION });
    let effects = shop.commit(vec![end]);
    let [Effect::Deliver(delivery), Effect::Ended(ended)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(all_shown(&delivery.steps), ["1 for 4"]);
    assert_eq!(ended[..], [SESSION]);
}

#[test]
fn the_servers_own_writes_answer_nobody() {
    let mut shop = Shop::open(IDLE);
    let own = Committed { sender: None, ..shop.write(0, &Op::CloseSession { session: SESSION }) };
    let effects = shop.commit(vec![own]);
    let [Effect::Deliver(delivery), Effect::Ended(_)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((delivery.upto, delivery.steps.len()), (Zxid(2), 0));
}

#[test]
fn a_refused_write_is_answered_with_its_zxid_and_changes_nothing() {
    let mut shop = Shop::open(IDLE);
    let batch = vec![travel(2, 50, &data("/", true)), shop.write(1, &create("/no/way"))];
    let steps = shop.steps(batch);
    let Some(Step::Reply { bytes, .. }) = steps.last() else { panic!("a reply") };
    let (header, _) = Codec::Jute.decode_reply_header(&bytes[4..]).expect("an answer has a header");
    assert_eq!((header.zxid, header.error), (Zxid(2), ErrorCode::NoNode as i32));
    assert!(!steps.iter().any(|step| matches!(step, Step::Change(_))));
}

#[test]
fn a_snapshot_is_handed_out_slice_by_slice_and_never_twice_at_once() {
    let mut shop = Shop::open(Schedule { snapshot_every_txns: 3, ..IDLE });
    let batch = vec![shop.write(1, &create("/a")), shop.write(1, &create("/b"))];
    let effects = shop.commit(batch);
    assert!(matches!(effects[..], [Effect::Deliver(_), Effect::SnapshotBegin(Zxid(3))]));
    let batch = ["/c", "/d", "/e"].map(|path| shop.write(1, &create(path)));
    let effects = shop.commit(batch.to_vec());
    assert!(matches!(effects[..], [Effect::Deliver(_)]), "one is running: {effects:?}");
    let mut slices = 0;
    loop {
        let effects = shop.step(Input::SliceTaken(Zxid(3)));
        match &effects[..] {
            [Effect::SnapshotSlice(slice)] => slices += usize::from(!slice.is_empty()),
            [Effect::SnapshotEnd] => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(slices > 0);
    assert!(shop.step(Input::SnapshotDone(Zxid(3))).is_empty());
    assert_eq!((shop.store.snapshots, shop.store.snapshots_failed), (1, 0));
    let next = shop.write(1, &create("/f"));
    let effects = shop.commit(vec![next]);
    assert!(matches!(effects[..], [Effect::Deliver(_), Effect::SnapshotBegin(Zxid(7))]));
}

#[test]
fn a_failed_snapshot_leaves_the_way_free_for_the_next() {
    let mut shop = Shop::open(Schedule { snapshot_every_bytes: 1, ..IDLE });
    assert!(shop.step(Input::SnapshotFailed(Zxid(1))).is_empty());
    assert_eq!((shop.store.snapshots, shop.store.snapshots_failed), (0, 1));
    let next = shop.write(1, &create("/a"));
    let effects = shop.commit(vec![next]);
    assert!(matches!(effects[..], [Effect::Deliver(_), Effect::SnapshotBegin(Zxid(2))]));
}

#[test]
fn a_writer_that_remembers_nothing_costs_one_snapshot_and_its_late_news_mean_nothing() {
    let mut shop = Shop::open(Schedule { snapshot_every_bytes: 1, ..IDLE });
    assert!(shop.step(Input::SnapshotWriterLost).is_empty());
    assert_eq!((shop.store.snapshots, shop.store.snapshots_failed), (0, 1));
    assert!(shop.step(Input::SnapshotWriterLost).is_empty());
    assert_eq!(shop.store.snapshots_failed, 1, "none was under way");
    let next = shop.write(1, &create("/a"));
    let effects = shop.commit(vec![next]);
    assert!(matches!(effects[..], [Effect::Deliver(_), Effect::SnapshotBegin(Zxid(2))]));
    for late in [Input::SliceTaken, Input::SnapshotDone, Input::SnapshotFailed] {
        assert!(shop.step(late(Zxid(1))).is_empty());
    }
    assert_eq!((shop.store.snapshots, shop.store.snapshots_failed), (0, 1));
    let effects = shop.step(Input::SliceTaken(Zxid(2)));
    assert!(matches!(effects[..], [Effect::SnapshotSlice(_)]), "{effects:?}");
}

#[test]
fn what_a_restart_left_unsnapshotted_counts() {
    let view = Shown::fresh();
    let schedule = Schedule { snapshot_every_txns: 100, ..IDLE };
    let mut shop = Shop { store: TreeStore::new(view.clone(), schedule, 99), view, last: 0 };
    let first = shop.write(0, &begin());
    let effects = shop.commit(vec![first]);
    assert!(matches!(effects.last(), Some(Effect::SnapshotBegin(Zxid(1)))));
}

#[test]
fn containers_that_lost_their_children_are_proposed_for_reaping() {
    let mut shop = Shop::open(Schedule { reap_max: 1, ..IDLE });
    assert!(shop.step(Input::ReapDue).is_empty());
    let paths = ["/x", "/y"];
    let children = ["/x/1", "/y/1"];
    let mut batch = Vec::new();
    for (path, child) in paths.into_iter().zip(children) {
        batch.push(shop.write(1, &create_as(path, CreateVariant::Container)));
        batch.push(shop.write(1, &create(child)));
        batch.push(shop.write(1, &Op::Delete { path: child, version: -1 }));
    }
    shop.commit(batch);
    let effects = shop.step_at(Now { mono_ms: 1, wall_ms: 1_001 }, Input::ReapDue);
    let [Effect::Propose(payloads)] = &effects[..] else { panic!("{effects:?}") };
    let [payload] = &payloads[..] else { panic!("no more than one at a time: {payloads:?}") };
    let reap = txn::decode(payload).expect("a write is a transaction");
    assert_eq!((reap.session, reap.op), (SessionId::NONE, Op::Reap { path: "/x" }));
    assert!(shop.view.read(|tree| tree.stat_unchecked("/x").is_some()), "only proposed");
}

#[test]
fn registrations_of_each_kind_of_read_go_to_their_table() {
    let mut shop = Shop::open(IDLE);
    let children = Read::Children { path: "/", watch: true, with_stat: true };
    let exists = Read::Exists { path: "/", watch: true };
    let requests = [data("/", true), Request::Read(children), Request::Read(exists)];
    let batch = requests.iter().map(|request| travel(1, 50, request)).collect();
    let steps = shop.steps(batch);
    let kinds = steps.iter().filter_map(|step| match step {
        Step::Register { registration, .. } => Some(*registration),
        _ => None,
    });
    use WatchRegistration::{Child, Data};
    assert_eq!(kinds.collect::<Vec<_>>(), [Data, Child, Data]);
    let change = shop.write(1, &create("/a"));
    let told = shop.steps(vec![change]);
    let Step::Change(change) = &told[0] else { panic!("a change") };
    assert_eq!((change.zxid, change.event), (Zxid(2), EventType::Created));
}
