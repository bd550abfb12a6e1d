//! A connection's lane: what is answered in place, what travels, and in which order a client sees
//! replies and events, whatever happens between two acts.

use super::stage_test::{Act, Got, Seat, Stage, frames};
use crate::types::{
    AclEntry, Create, CreateVariant, Epoch, ErrorCode, EventType, Op, Perms, Read, RemoveKind,
    Request, WatchMode, WatchOp, Xid, Zxid,
};
use crate::wire::Codec;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

fn create<'a>(path: &'a str, scheme: &'a str, id: &'a str) -> Request<'a> {
    let acl = vec![AclEntry { perms: Perms::ALL, scheme, id }];
    let variant = CreateVariant::Plain;
    Request::Write(Op::Create(Create { path, data: None, acl, flags: 0, ttl_ms: 0, variant }))
}

fn open(path: &str) -> Request<'_> {
    create(path, "world", "anyone")
}

fn set<'a>(path: &'a str, data: &'a str) -> Request<'a> {
    Request::Write(Op::SetData { path, data: Some(data.as_bytes()), version: -1 })
}

fn data(path: &str) -> Request<'_> {
    Request::Read(Read::Data { path, watch: false })
}

fn watch_data(path: &str) -> Request<'_> {
    Request::Read(Read::Data { path, watch: true })
}

fn add(path: &str, mode: WatchMode) -> Request<'_> {
    Request::Watch(WatchOp::Add { path, mode })
}

fn auth(user: &str) -> (i32, Request<'_>) {
    (Xid::AUTH.0, Request::Auth { scheme: "digest", auth: user.as_bytes() })
}

fn reply(xid: i32, counter: u32) -> Got {
    Got::Reply(Xid(xid), at(counter), 0)
}

fn refused(xid: i32, counter: u32, error: ErrorCode) -> Got {
    Got::Reply(Xid(xid), at(counter), error as i32)
}

/// Zxids of the stage are those of its first epoch; each session took one.
fn at(counter: u32) -> Zxid {
    Zxid::new(Epoch(1), counter)
}

fn event(got: &Got) -> (EventType, &str) {
    match got {
        Got::Event(event) => (event.event, &event.path),
        Got::Reply(..) => panic!("{got:?} is no event"),
    }
}

fn counts(seat: &Seat) -> (u32, usize) {
    (seat.in_place, seat.travelled)
}

#[test]
fn with_nothing_under_way_reads_are_answered_in_place() {
    let mut stage = Stage::with(1);
    let requests = [
        (1, data("/")),
        (2, Request::Read(Read::Exists { path: "/no", watch: false })),
        (Xid::PING.0, Request::Ping),
        (3, Request::WhoAmI),
        (4, Request::Read(Read::Acl { path: "/" })),
        (5, Request::Malformed),
    ];
    stage.receive(0, &frames(&requests[..5]));
    assert_eq!(counts(&stage.seats[0]), (5, 0));
    assert!(stage.acts().is_empty());
    let expected =
        [reply(1, 1), refused(2, 1, ErrorCode::NoNode), reply(-2, 1), reply(3, 1), reply(4, 1)];
    assert_eq!(stage.got(0), expected);
}

#[test]
fn a_read_behind_a_write_waits_for_it_and_what_follows_keeps_its_place() {
    let mut stage = Stage::with(1);
    stage.receive(0, &frames(&[(1, data("/")), (2, open("/a")), (3, data("/a"))]));
    stage.receive(0, &frames(&[(Xid::PING.0, Request::Ping), (4, data("/a"))]));
    assert_eq!(counts(&stage.seats[0]), (1, 4));
    assert_eq!(stage.got(0), [reply(1, 1)]);
    stage.settle_and_collect();
    assert_eq!(stage.got(0), [reply(2, 2), reply(3, 2), reply(-2, 2), reply(4, 2)]);
    stage.receive(0, &frames(&[(5, data("/a"))]));
    assert_eq!(stage.got(0), [reply(5, 2)]);
}

#[test]
fn sync_and_reconfig_travel() {
    let mut stage = Stage::with(1);
    stage.receive(0, &frames(&[(1, Request::Sync("/")), (2, Request::Reconfig)]));
    assert_eq!(counts(&stage.seats[0]), (0, 2));
    stage.settle_and_collect();
    assert_eq!(stage.got(0), [reply(1, 1), refused(2, 2, ErrorCode::ReconfigDisabled)]);
}

#[test]
fn operations_on_watches_travel_and_reads_after_them_do_not() {
    let mut stage = Stage::with(1);
    stage.say(0, &[(1, watch_data("/")), (2, data("/"))]);
    assert_eq!(counts(&stage.seats[0]), (0, 2));
    stage.settle_and_collect();
    stage.say(0, &[(3, data("/")), (Xid::PING.0, Request::Ping)]);
    assert_eq!(counts(&stage.seats[0]), (2, 2));
    let check = WatchOp::Check { path: "/", kind: RemoveKind::Data };
    stage.say(0, &[(4, Request::Watch(check)), (5, data("/"))]);
    assert_eq!(counts(&stage.seats[0]), (2, 4));
    stage.settle_and_collect();
    let replies = stage.got(0);
    assert_eq!(replies, [1, 2, 3, -2, 4, 5].map(|xid| reply(xid, 1)));
}

#[test]
fn a_watching_connection_is_shown_nothing_newer_than_the_events_it_was_handed() {
    let mut stage = Stage::with(2);
    stage.say(1, &[(1, open("/a"))]);
    stage.settle_and_collect();
    stage.say(0, &[(1, watch_data("/a"))]);
    stage.settle_and_collect();
    stage.got(0);
    // The tree has moved on, and the fan-out has not been told.
    stage.say(1, &[(2, set("/a", "new"))]);
    [Act::Propose, Act::Flush, Act::Apply].into_iter().for_each(|act| stage.act(act));
    stage.say(0, &[(2, data("/a")), (Xid::PING.0, Request::Ping)]);
    assert_eq!(stage.got(0), [], "what is newer than the event must not be shown before it");
    stage.settle_and_collect();
    let got = stage.got(0);
    assert_eq!(event(&got[0]), (EventType::DataChanged, "/a"));
    assert_eq!(got[1..], [reply(2, 4), reply(-2, 4)]);
    // The event has been posted but not collected: it is, before the state is shown.
    stage.say(0, &[(3, watch_data("/a"))]);
    stage.settle_and_collect();
    stage.say(1, &[(3, set("/a", "newer"))]);
    stage.settle();
    let (in_place, _) = counts(&stage.seats[0]);
    stage.say(0, &[(4, data("/a"))]);
    assert_eq!(counts(&stage.seats[0]).0, in_place + 1);
    let got = stage.got(0);
    assert_eq!(got[0], reply(3, 4));
    assert_eq!(event(&got[1]), (EventType::DataChanged, "/a"));
    assert_eq!(got[2..], [reply(4, 5)]);
}

#[test]
fn servers_own_writes_do_not_send_reads_of_watchers_the_long_way() {
    let mut stage = Stage::with(1);
    stage.say(0, &[(1, watch_data("/"))]);
    stage.settle_and_collect();
    // A session begins: a write that answers nobody by way of the fan-out.
    stage.join();
    stage.say(0, &[(2, data("/"))]);
    assert_eq!(counts(&stage.seats[0]), (1, 1));
}

#[test]
fn events_are_judged_by_what_the_connection_has_proven_when_they_happen() {
    let mut stage = Stage::with(2);
    let digest = crate::auth::digest_id("ann:secret");
    stage.say(1, &[(1, create("/a", "digest", &digest))]);
    stage.settle_and_collect();
    stage.say(0, &[(1, add("/", WatchMode::PersistentRecursive))]);
    stage.settle_and_collect();
    stage.got(0);
    stage.say(1, &[auth("ann:secret"), (2, set("/a", "unseen"))]);
    stage.settle_and_collect();
    assert_eq!(stage.got(0), [], "not proven yet");
    stage.say(0, &[auth("ann:secret")]);
    assert_eq!(stage.got(0), [Got::Reply(Xid::AUTH, Zxid::ZERO, 0)], "answered at once");
    // Behind what was proven, in the order of the pipeline.
    stage.say(1, &[(3, set("/a", "seen"))]);
    stage.settle_and_collect();
    assert_eq!(stage.seats[0].machine.in_flight(), 0);
    let got = stage.got(0);
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(event(&got[0]), (EventType::DataChanged, "/a"));
}

#[test]
fn a_registration_under_way_does_not_bring_back_what_was_proven_before() {
    let mut stage = Stage::with(2);
    let digest = crate::auth::digest_id("ann:secret");
    stage.say(1, &[(1, create("/a", "digest", &digest))]);
    stage.settle_and_collect();
    stage.say(0, &[(1, add("/a", WatchMode::Persistent)), auth("bob:x"), auth("ann:secret")]);
    stage.say(1, &[auth("ann:secret"), (2, set("/a", "seen"))]);
    stage.settle_and_collect();
    let got = stage.got(0);
    assert_eq!(event(got.last().expect("got something")), (EventType::DataChanged, "/a"));
    assert_eq!(stage.seats[0].machine.in_flight(), 0);
}

#[test]
fn a_refused_auth_closes_and_tells_nobody() {
    let mut stage = Stage::with(1);
    stage.say(0, &[(1, add("/", WatchMode::Persistent))]);
    stage.settle_and_collect();
    stage.got(0);
    stage.say(0, &[(Xid::AUTH.0, Request::Auth { scheme: "no", auth: b"" }), (2, data("/"))]);
    let failed = ErrorCode::AuthFailed as i32;
    assert_eq!(stage.got(0), [Got::Reply(Xid::AUTH, Zxid::ZERO, failed)]);
    assert!(stage.seats[0].closed && stage.acts().is_empty());
}

#[test]
fn nothing_is_taken_in_behind_a_close() {
    let mut stage = Stage::with(1);
    stage.say(0, &[(1, open("/a")), (2, Request::CloseSession), (3, open("/b"))]);
    assert!(!stage.seats[0].closed, "replies are still under way");
    stage.settle_and_collect();
    assert_eq!(stage.got(0), [reply(1, 2), reply(2, 3)]);
    assert!(stage.seats[0].closed);
}

#[test]
fn an_unknown_operation_is_answered_in_its_place_and_ends_the_connection() {
    let mut stage = Stage::with(2);
    stage.say(0, &[(1, data("/")), (2, Request::Unknown), (3, data("/"))]);
    let unknown = |xid| Got::Reply(Xid(xid), Zxid::from_wire(-1), ErrorCode::Unimplemented as i32);
    assert_eq!(stage.got(0), [reply(1, 2), unknown(2)]);
    assert!(stage.seats[0].closed);
    stage.say(1, &[(1, open("/a")), (2, Request::Unknown), (3, data("/"))]);
    assert!(!stage.seats[1].closed);
    stage.settle_and_collect();
    assert_eq!(stage.got(1), [reply(1, 3), unknown(2)]);
    assert!(stage.seats[1].closed);
}

/// Small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }
}

/// Where the watching connection is between two acts of its room.
enum Room {
    Idle,
    /// Has learnt how far events were posted.
    Learnt(Zxid),
    /// Has collected what was posted since.
    Collected(Zxid),
}

/// Reads and changes at random, every act of every room by itself in random order. The watcher
/// sees all changes of the tree, so what it gets must rise: an event at a zxid that nothing
/// before it showed, a reply at one whose event it has.
fn play(seed: u64) -> (u32, usize) {
    let mut dice = Dice(seed | 1 << 40);
    let mut stage = Stage::with(2);
    stage.say(0, &[(0, add("/", WatchMode::PersistentRecursive)), (0, open("/w"))]);
    stage.settle_and_collect();
    let begun = stage.got(0).len();
    assert_eq!(begun, 3, "two replies and an event");
    let mut room = Room::Idle;
    let mut changes = 0;
    for xid in 1..600 {
        let acts = stage.acts();
        // Rooms act more often than clients speak, or nothing would ever be caught up with.
        match dice.roll(acts.len() * 6 + 3) {
            0 => {
                room = match room {
                    Room::Idle => Room::Learnt(stage.delivered),
                    Room::Learnt(upto) => {
                        stage.collect(0);
                        Room::Collected(upto)
                    }
                    Room::Collected(upto) => {
                        stage.seats[0].machine.handed(upto);
                        let requests = match dice.roll(8) {
                            0 => {
                                changes += 1;
                                [(xid, data("/w")), (xid, set("/w", "watcher"))]
                            }
                            1 => [(xid, watch_data("/w")), (xid, data("/w"))],
                            2 => [(Xid::PING.0, Request::Ping), (xid, data("/w"))],
                            _ => [(xid, data("/w")), (xid, data("/"))],
                        };
                        stage.receive(0, &frames(&requests));
                        Room::Idle
                    }
                }
            }
            1 => {
                changes += 1;
                stage.say(1, &[(xid, set("/w", "other"))]);
            }
            2 => stage.collect(1),
            act => stage.act(acts[act % acts.len()]),
        }
    }
    stage.settle_and_collect();
    check(seed, &stage.got(0), changes);
    counts(&stage.seats[0])
}

fn check(seed: u64, got: &[Got], changes: usize) {
    let (mut shown, mut told, mut events) = (at(3), at(3), 0);
    for (place, got) in got.iter().enumerate() {
        match got {
            Got::Event(event) => {
                let zxid = event.zxid.expect("nothing is made up here");
                assert!(zxid > shown, "seed {seed}, {place}: told of {zxid} after its data");
                assert!(zxid > told, "seed {seed}, {place}: told of {zxid} again");
                told = zxid;
                events += 1;
            }
            Got::Reply(_, zxid, _) => {
                assert!(*zxid >= shown, "seed {seed}, {place}: back in time");
                assert_eq!(*zxid, told, "seed {seed}, {place}: newer than its events");
                shown = *zxid;
            }
        }
    }
    assert_eq!(events, changes, "seed {seed}: an event for each change");
}

#[test]
fn whatever_happens_in_between_events_come_before_data() {
    let (mut in_place, mut travelled) = (0, 0);
    for seed in 0..300 {
        let (here, away) = play(seed);
        in_place += here;
        travelled += away;
    }
    assert!(in_place > 500 && travelled > 1_000, "{in_place} in place, {travelled} travelled");
}

/// Requests that wait for the disk and requests that need not, in one native frame: the client
/// cannot tell which was which.
#[test]
fn a_batch_is_answered_in_its_order_in_both_protocols() {
    for codec in [Codec::Jute, Codec::Native] {
        let mut stage = Stage::with(0);
        stage.join_speaking(codec);
        let batch = [
            (1, data("/a")),
            (2, open("/a")),
            (3, data("/a")),
            (4, set("/a", "x")),
            (Xid::PING.0, Request::Ping),
            (5, open("/a")),
            (6, Request::Sync("/")),
        ];
        stage.say(0, &batch);
        assert_eq!(stage.got(0), [refused(1, 1, ErrorCode::NoNode)], "{codec:?}");
        stage.settle_and_collect();
        let expected = [
            reply(2, 2),
            reply(3, 2),
            reply(4, 3),
            reply(Xid::PING.0, 3),
            refused(5, 4, ErrorCode::NodeExists),
            reply(6, 4),
        ];
        assert_eq!(stage.got(0), expected, "{codec:?}");
        assert_eq!(stage.seats[0].machine.in_flight(), 0);
    }
}

/// A change made in one protocol is an event in the other, before the answer that shows it.
#[test]
fn watches_fire_across_protocols() {
    for (writer, watcher) in [(Codec::Jute, Codec::Native), (Codec::Native, Codec::Jute)] {
        let mut stage = Stage::with(0);
        stage.join_speaking(writer);
        stage.join_speaking(watcher);
        stage.say(0, &[(1, open("/a"))]);
        stage.settle_and_collect();
        stage.say(1, &[(1, watch_data("/a"))]);
        stage.settle_and_collect();
        stage.got(1);
        stage.say(0, &[(2, set("/a", "x"))]);
        stage.settle_and_collect();
        stage.say(1, &[(2, data("/a"))]);
        stage.settle_and_collect();
        let got = stage.got(1);
        assert_eq!(event(&got[0]), (EventType::DataChanged, "/a"), "{watcher:?}");
        assert_eq!(got[1..], [reply(2, 4)], "{watcher:?}");
    }
}

#[test]
fn a_long_run_of_reads_is_answered_whole_and_in_order_whatever_it_looks_for() {
    let mut stage = Stage::with(1);
    let paths: Vec<_> = (0..40).map(|number| format!("/{number}")).collect();
    let some: Vec<_> = paths.iter().step_by(3).map(|path| (1, open(path))).collect();
    stage.say(0, &some);
    stage.settle_and_collect();
    stage.got(0);
    let odd = ["/", "", "/0/below", "//", "no path", "/\0"];
    let asked: Vec<_> = odd.into_iter().chain(paths.iter().map(String::as_str)).collect();
    let reads: Vec<_> = (1..).zip(asked.iter().map(|path| data(path))).collect();
    stage.say(0, &reads);
    let zxid = some.len() as u32 + 1;
    let found = |path: &str| path.len() < 2 || paths.iter().step_by(3).any(|made| made == path);
    let expected = (1..).zip(&asked).map(|(xid, path)| match found(path) {
        true => reply(xid, zxid),
        false => refused(xid, zxid, ErrorCode::NoNode),
    });
    assert_eq!(stage.got(0), expected.collect::<Vec<_>>());
    assert_eq!(counts(&stage.seats[0]).0, reads.len() as u32);
}
