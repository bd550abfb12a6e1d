//! The room by its effects: order, filtering, and one parcel a connection.

use super::*;
use crate::tree::Readers;
use crate::types::{Acl, Perms};
use std::string::String;
use std::vec;

const A: ConnectionId = ConnectionId(0x100);
const B: ConnectionId = ConnectionId(0x201);

fn ids(user: &str) -> Arc<[AuthId]> {
    Arc::from([AuthId { scheme: "digest".into(), id: user.into() }])
}

fn register(connection: ConnectionId, path: &str, registration: WatchRegistration) -> Step {
    let path = path.into();
    Step::Register { connection, codec: Codec::Jute, ids: ids("ann:x"), path, registration }
}

fn change(zxid: u64, event: EventType, path: &str) -> Step {
    let path = path.into();
    Step::Change(Change { zxid: Zxid(zxid), event, path, readers: Readers::Anyone })
}

fn readable_by(user: &str, zxid: u64, path: &str) -> Step {
    let acl = [Acl { perms: Perms::READ, scheme: "digest".into(), id: user.into() }];
    let readers = Readers::Listed(Arc::from(acl));
    let event = EventType::DataChanged;
    Step::Change(Change { zxid: Zxid(zxid), event, path: path.into(), readers })
}

fn reply(connection: ConnectionId, requests: u32, bytes: &[u8]) -> Step {
    Step::Reply { connection, requests, bytes: bytes.to_vec() }
}

fn event(zxid: Option<u64>, event: EventType, path: &str) -> Vec<u8> {
    let event = WatchEvent { zxid: zxid.map(Zxid), event, path: path.into() };
    let mut frame = Vec::new();
    Codec::Jute.encode_event(&event, &mut frame);
    frame
}

fn answer(xid: i32, zxid: u64, reply: &Reply<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    Codec::Jute.encode_reply(Xid(xid), Zxid(zxid), reply, &mut frame);
    frame
}

fn step(fanout: &mut WatchFanout, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    fanout.step(Now::default(), input, &mut effects);
    effects
}

/// Delivers the steps up to zxid 9 and answers the parcels.
fn deliver(fanout: &mut WatchFanout, steps: Vec<Step>) -> Vec<Parcel> {
    let mut effects = step(fanout, Input::Deliver(Delivery { upto: Zxid(9), steps }));
    assert_eq!(effects.pop(), Some(Effect::Delivered(Zxid(9))));
    match effects.pop() {
        Some(Effect::Post(parcels)) => {
            assert_eq!(effects, []);
            parcels
        }
        None => Vec::new(),
        Some(Effect::Delivered(zxid)) => panic!("delivered {zxid} before posting"),
    }
}

fn parcel(connection: ConnectionId, requests: u32, events: u32, frames: &[&[u8]]) -> Parcel {
    Parcel { connection, requests, events, bytes: frames.concat() }
}

#[test]
fn an_event_stands_before_the_reply_of_its_cause_and_reaches_others_too() {
    let mut fanout = WatchFanout::new(1);
    let steps = vec![
        register(A, "/a", WatchRegistration::Data),
        register(B, "/a", WatchRegistration::Data),
        change(7, EventType::DataChanged, "/a"),
        reply(B, 1, b"set"),
    ];
    let changed = event(Some(7), EventType::DataChanged, "/a");
    let expected = [parcel(A, 0, 1, &[&changed]), parcel(B, 1, 1, &[&changed, b"set"])];
    assert_eq!(deliver(&mut fanout, steps), expected);
}

#[test]
fn no_event_of_an_earlier_change_meets_a_later_registration() {
    let mut fanout = WatchFanout::new(1);
    let steps = vec![
        change(7, EventType::Created, "/a"),
        register(A, "/a", WatchRegistration::Data),
        reply(A, 1, b"read"),
        change(8, EventType::DataChanged, "/a"),
    ];
    let changed = event(Some(8), EventType::DataChanged, "/a");
    assert_eq!(deliver(&mut fanout, steps), [parcel(A, 1, 1, &[b"read", &changed])]);
}

#[test]
fn events_come_in_the_order_of_the_changes() {
    let mut fanout = WatchFanout::new(1);
    let steps = vec![
        register(A, "/a/b", WatchRegistration::Data),
        register(A, "/a", WatchRegistration::Persistent),
        change(7, EventType::Created, "/a/b"),
        change(7, EventType::ChildrenChanged, "/a"),
        change(8, EventType::Deleted, "/a/b"),
        change(8, EventType::ChildrenChanged, "/a"),
    ];
    let created = event(Some(7), EventType::Created, "/a/b");
    let first = event(Some(7), EventType::ChildrenChanged, "/a");
    let second = event(Some(8), EventType::ChildrenChanged, "/a");
    let expected = [parcel(A, 0, 3, &[&created, &first, &second])];
    assert_eq!(deliver(&mut fanout, steps), expected);
    assert_eq!(fanout.stats().created.sum, 1);
    assert_eq!(fanout.stats().children_changed.sum, 2);
}

#[test]
fn who_may_not_read_is_not_told_and_a_one_shot_watch_is_spent_all_the_same() {
    let mut fanout = WatchFanout::new(1);
    let steps = vec![
        register(A, "/a", WatchRegistration::Data),
        readable_by("bob:y", 7, "/a"),
        readable_by("ann:x", 8, "/a"),
    ];
    assert_eq!(deliver(&mut fanout, steps), []);
    assert_eq!(fanout.stats().suppressed_events, 1);
    assert!(fanout.table().is_empty());
}

#[test]
fn identities_proven_later_count_from_then_on() {
    let mut fanout = WatchFanout::new(1);
    let steps = vec![
        Step::Identities { connection: B, ids: ids("bob:y") },
        register(A, "/a", WatchRegistration::Persistent),
        readable_by("bob:y", 7, "/a"),
        Step::Identities { connection: A, ids: ids("bob:y") },
        readable_by("bob:y", 8, "/a"),
    ];
    let changed = event(Some(8), EventType::DataChanged, "/a");
    assert_eq!(deliver(&mut fanout, steps), [parcel(A, 0, 1, &[&changed])]);
}

#[test]
fn made_up_events_are_passed_on_without_a_zxid_and_spend_nothing() {
    let mut fanout = WatchFanout::new(1);
    let missed = WatchEvent { zxid: None, event: EventType::Deleted, path: "/a".into() };
    let steps = vec![
        register(A, "/a", WatchRegistration::Data),
        Step::SynthesizedEvent { connection: A, codec: Codec::Jute, event: missed },
        reply(A, 1, b"set watches"),
    ];
    let deleted = event(None, EventType::Deleted, "/a");
    assert_eq!(deliver(&mut fanout, steps), [parcel(A, 1, 1, &[&deleted, b"set watches"])]);
    assert!(!fanout.table().is_empty());
}

#[test]
fn check_looks_and_remove_removes() {
    let mut fanout = WatchFanout::new(1);
    let path: Arc<str> = "/a".into();
    let kind = RemoveKind::Any;
    let watch = |xid, op| {
        let zxid = Zxid(7);
        Step::Watch { connection: A, codec: Codec::Jute, xid: Xid(xid), zxid, op }
    };
    let check = || OwnedWatchOp::Check { path: path.clone(), kind };
    let remove = || OwnedWatchOp::Remove { path: path.clone(), kind };
    let steps = vec![
        watch(1, check()),
        register(A, "/a", WatchRegistration::Child),
        watch(2, check()),
        watch(3, remove()),
        watch(4, remove()),
    ];
    let none = Reply::Error(ErrorCode::NoWatcher);
    let bytes = [
        answer(1, 7, &none),
        answer(2, 7, &Reply::Done),
        answer(3, 7, &Reply::Done),
        answer(4, 7, &none),
    ];
    let frames = bytes.each_ref().map(Vec::as_slice);
    assert_eq!(deliver(&mut fanout, steps), [parcel(A, 4, 0, &frames)]);
}

#[test]
fn closed_and_reset_connections_are_told_nothing_more() {
    let mut fanout = WatchFanout::new(1);
    let watches = vec![
        register(A, "/a", WatchRegistration::PersistentRecursive),
        register(B, "/a", WatchRegistration::Persistent),
    ];
    assert_eq!(deliver(&mut fanout, watches), []);
    assert_eq!(step(&mut fanout, Input::Closed(vec![A, ConnectionId(0x900)])), []);
    let steps = vec![Step::Reset { connection: B }, change(7, EventType::Deleted, "/a")];
    assert_eq!(deliver(&mut fanout, steps), []);
    assert!(fanout.table().is_empty());
    assert!(fanout.fan.watchers.is_empty());
}

#[test]
fn parcels_keep_the_order_of_first_touch_and_deliveries_do_not_mix() {
    let mut fanout = WatchFanout::new(1);
    let steps = vec![reply(B, 2, b"b1"), reply(A, 1, b"a"), reply(B, 1, b"b2")];
    let expected = [parcel(B, 3, 0, &[b"b1", b"b2"]), parcel(A, 1, 0, &[b"a"])];
    assert_eq!(deliver(&mut fanout, steps), expected);
    assert_eq!(deliver(&mut fanout, vec![reply(A, 1, b"c")]), [parcel(A, 1, 0, &[b"c"])]);
}

#[test]
fn a_hundred_thousand_connections_get_one_copy_each() {
    let mut fanout = WatchFanout::new(1);
    let path: String = "/config".into();
    let mut steps: Vec<Step> = (0..100_000)
        .map(|serial| ConnectionId::new(0, serial))
        .map(|connection| register(connection, &path, WatchRegistration::Data))
        .collect();
    steps.push(change(9, EventType::DataChanged, &path));
    let parcels = deliver(&mut fanout, steps);
    let changed = event(Some(9), EventType::DataChanged, &path);
    assert_eq!(parcels.len(), 100_000);
    assert!(parcels.iter().all(|parcel| parcel.events == 1 && parcel.bytes == changed));
    assert_eq!(fanout.stats().event_bytes, 100_000 * (changed.len() as u64 - 4));
}

/// A fan-out with watches of every kind, and a delivery that changes all there is to change.
fn busy() -> (WatchFanout, Vec<Step>) {
    let mut fanout = WatchFanout::new(1);
    let before = vec![
        register(A, "/a", WatchRegistration::Data),
        register(A, "/a", WatchRegistration::Child),
        register(B, "/a", WatchRegistration::Data),
        register(B, "/", WatchRegistration::PersistentRecursive),
        register(A, "/p", WatchRegistration::Persistent),
    ];
    deliver(&mut fanout, before);
    let remove = OwnedWatchOp::Remove { path: "/p".into(), kind: RemoveKind::Any };
    let (codec, xid, zxid) = (Codec::Jute, Xid(3), Zxid(4));
    let steps = vec![
        reply(A, 1, b"first"),
        change(5, EventType::Created, "/x"),
        reply(A, 2, b"second"),
        register(A, "/x", WatchRegistration::Data),
        change(6, EventType::DataChanged, "/a"),
        Step::Identities { connection: B, ids: ids("bob:y") },
        Step::Watch { connection: A, codec, xid, zxid, op: remove },
        readable_by("bob:y", 7, "/x"),
        Step::Reset { connection: B },
        change(8, EventType::Deleted, "/a"),
        reply(B, 1, b"third"),
    ];
    (fanout, steps)
}

#[test]
fn a_delivery_given_up_anywhere_is_taken_in_once_more_with_the_same_outcome() {
    let (mut undisturbed, steps) = busy();
    let expected = deliver(&mut undisturbed, steps.clone());
    for taken in 0..=steps.len() {
        let (mut fanout, steps) = busy();
        (fanout.underway, fanout.upto) = (steps, Zxid(9));
        fanout.fan.begin();
        for (at, step) in fanout.underway.iter_mut().enumerate().take(taken) {
            fanout.fan.take(at, step);
        }
        let (mut heir, again) = fanout.heir(1).expect("no change was under way");
        let again = again.expect("a delivery was");
        assert_eq!(deliver(&mut heir, again.steps), expected, "after {taken} steps");
        assert_eq!(heir.table().summary(), undisturbed.table().summary());
        assert_eq!(heir.table().by_path(), undisturbed.table().by_path());
        assert_eq!(heir.stats(), undisturbed.stats());
        assert_eq!(heir.fan.watchers.len(), undisturbed.fan.watchers.len());
    }
}

#[test]
fn an_heir_of_one_at_rest_has_nothing_to_repeat() {
    let (fanout, _) = busy();
    let (table, stats) = (fanout.table().by_connection(), fanout.stats());
    let (heir, again) = fanout.heir(1).expect("no change was under way");
    assert_eq!((again, heir.table().by_connection(), heir.stats()), (None, table, stats));
}
