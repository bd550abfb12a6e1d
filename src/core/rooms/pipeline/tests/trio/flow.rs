//! How much of what clients write is between servers at a time.

use super::*;
use crate::zab::io::Flow;

/// Writes of `write` in a message, and how many are under way when no more depart.
const TOGETHER: usize = 2;
const UNDER_WAY: usize = 3;
const WRITE_BYTES: usize = 10;

fn write() -> ItemBody {
    ItemBody::Write(Bytes::from_static(&[b'w'; WRITE_BYTES]))
}

/// A trio with little flow, led by the third.
fn trio() -> Trio {
    let mut trio = Trio::new();
    let flow =
        Flow { under_way_bytes: UNDER_WAY * WRITE_BYTES, together_bytes: TOGETHER * WRITE_BYTES };
    trio.servers.values_mut().for_each(|server| server.let_flow(flow));
    trio.elect(3);
    trio
}

/// How many writes each message on its way to the leader carries, and each on its way from it.
fn on_their_way(trio: &Trio) -> (Vec<usize>, Vec<usize>) {
    let (mut forwarded, mut proposed) = (Vec::new(), Vec::new());
    for (_, input) in &trio.inbox {
        let Input::Received(_, messages) = input else { continue };
        for message in messages {
            match message {
                PeerMessage::Relay(Relay::Forward(requests)) => {
                    let is_write = |one: &&Forwarded| matches!(one.body, ForwardedBody::Write(_));
                    forwarded.push(requests.iter().filter(is_write).count());
                }
                PeerMessage::Zab(Message::Propose { entries, .. }) => proposed.push(entries.len()),
                _ => {}
            }
        }
    }
    (forwarded, proposed)
}

fn xids_answered_at(trio: &Trio, server: u64) -> Vec<i32> {
    let mine = trio.answered.iter().filter(|(id, ..)| id.0 == server);
    mine.map(|(_, xid, _)| *xid).collect()
}

#[test]
fn a_follower_sends_its_leader_no_more_than_may_be_under_way() {
    let mut trio = trio();
    trio.still.insert(ServerId(3));
    trio.give(1, submit(5, (0..20).map(|_| write()).collect()));
    trio.give(1, submit(6, vec![confirm()]));
    trio.settle();
    assert_eq!(on_their_way(&trio).0, [2, 1], "of 20");
    trio.still.clear();
    while trio.step() {
        let (forwarded, _) = on_their_way(&trio);
        assert!(forwarded.iter().all(|writes| *writes <= TOGETHER), "{forwarded:?}");
        assert!(forwarded.iter().sum::<usize>() <= UNDER_WAY, "{forwarded:?}");
    }
    let mut expected: Vec<_> = (1..=20).collect();
    expected.push(1);
    assert_eq!(xids_answered_at(&trio, 1), expected);
    assert_eq!(trio.applied[&ServerId(2)].len(), 20);
}

#[test]
fn a_leader_sends_its_followers_no_more_than_may_be_under_way() {
    let mut trio = trio();
    trio.still.extend([1, 2].map(ServerId));
    for _ in 0..10 {
        trio.give(3, submit(5, vec![write()]));
    }
    trio.give(3, submit(5, vec![write(), confirm(), write()]));
    trio.settle();
    let (_, proposed) = on_their_way(&trio);
    assert!(!proposed.is_empty() && proposed.iter().sum::<usize>() <= 2 * UNDER_WAY);
    trio.still.clear();
    while trio.step() {
        let (_, proposed) = on_their_way(&trio);
        assert!(proposed.iter().all(|writes| *writes <= TOGETHER), "{proposed:?}");
    }
    let xids = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3];
    assert_eq!(xids_answered_at(&trio, 3), xids);
    let leader = &trio.servers[&ServerId(3)];
    assert_eq!((leader.outstanding(), leader.confirmations()), (0, 0));
}

/// A connection that only wants to be vouched for does not wait for others' writes to find room.
#[test]
fn a_question_does_not_wait_for_writes_that_wait() {
    let mut trio = trio();
    trio.still.extend([2, 3].map(ServerId));
    trio.give(1, submit(5, (0..20).map(|_| write()).collect()));
    trio.give(1, Input::Vouch(vec![sender(6, 7)]));
    trio.settle();
    let asks = |(to, input): &(ServerId, Input)| match input {
        Input::Received(_, messages) => messages.iter().any(|message| {
            let PeerMessage::Relay(Relay::Forward(requests)) = message else { return false };
            *to == ServerId(3) && matches!(requests[0].body, ForwardedBody::Confirm)
        }),
        _ => false,
    };
    assert!(trio.inbox.iter().any(asks));
    trio.still.clear();
    trio.settle();
    assert_eq!(xids_answered_at(&trio, 1).iter().filter(|xid| **xid == 0).count(), 1);
    assert_eq!(xids_answered_at(&trio, 1).len(), 21);
}

/// Whatever had found room, and whatever had not, when the leader died or a pipeline began anew.
#[test]
fn what_waited_for_room_is_answered_once_and_in_order_under_the_next_leader() {
    for steps in 0..60 {
        for panics in [false, true] {
            let mut trio = trio();
            let bodies = || (0..8).flat_map(|_| [write(), confirm(), travel()]).collect();
            trio.give(1, submit_as(1, 1, bodies()));
            trio.give(1, submit_as(2, 2, bodies()));
            for _ in 0..steps {
                trio.step();
            }
            if panics {
                trio.panics(1);
                trio.settle();
            } else {
                trio.isolate(3);
            }
            trio.elect_the_most_recent();
            trio.settle();
            let mut xids = xids_answered_at(&trio, 1);
            xids.sort_unstable();
            let expected: Vec<_> = (1..=24).flat_map(|xid| [xid, xid]).collect();
            assert_eq!(xids, expected, "after {steps} steps, panics: {panics}");
            let applied = &trio.applied[&ServerId(1)];
            assert_eq!(applied.len(), 16, "each write once, after {steps} steps");
            assert_eq!(applied, &trio.applied[&ServerId(2)]);
        }
    }
}
