//! What one member does, whatever the others say and however long its disk takes.

use super::solo::{
    ONE, Solo, THREE, TWO, confirms, draft, entry, halts, looks, pinged, serves, zxid,
};
use crate::types::{Epoch, Zxid};
use crate::zab::io::{MemberEffect, MemberInput};
use crate::zab::message::Message;
use crate::zab::{History, HistoryReader, LogOrder, Recovered, Reign};
use bytes::Bytes;
use std::vec;
use std::vec::Vec;

const EPOCH: Epoch = Epoch(1);

fn orders(effects: &[MemberEffect]) -> Vec<LogOrder> {
    let logged = effects.iter().filter_map(|effect| match effect {
        MemberEffect::Log { orders, .. } => Some(orders.clone()),
        _ => None,
    });
    logged.flatten().collect()
}

#[test]
fn an_acknowledgement_before_the_adoption_counts_for_nothing_and_harms_nothing() {
    let mut solo = Solo::elected(Recovered::default(), Zxid::ZERO);
    solo.flush();
    let effects = solo.hear(TWO, Message::Ack { epoch: EPOCH, durable: Zxid::ZERO });
    assert!(effects.is_empty(), "{effects:?}");
    assert!(serves(&solo.hear(TWO, Message::AckNewLeader { epoch: EPOCH })));
}

#[test]
fn an_adoption_is_acknowledged_before_what_was_proposed_after_it() {
    let mut solo = Solo::invited(Recovered::default(), 1);
    solo.flush();
    solo.hear(TWO, Message::SyncFrom { epoch: EPOCH, base: Zxid::ZERO });
    solo.hear(TWO, Message::NewLeader { epoch: EPOCH, last: Zxid::ZERO });
    let (previous, committed) = (Zxid::ZERO, Zxid::ZERO);
    let entries = vec![entry(zxid(1, 1))];
    solo.hear(TWO, Message::Propose { epoch: EPOCH, previous, entries, committed });
    // One sync covers all of it.
    let effects = solo.flush();
    let [MemberEffect::Send(TWO, first), MemberEffect::Send(TWO, second)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(*first, Message::AckNewLeader { epoch: EPOCH });
    assert_eq!(*second, Message::Ack { epoch: EPOCH, durable: zxid(1, 1) });
}

#[test]
fn a_round_that_began_before_a_read_does_not_vouch_for_it() {
    let (mut solo, before) = Solo::leading();
    let effects = solo.step(MemberInput::Confirm { token: 9, asker: ONE });
    assert!(!confirms(&effects), "nobody else was asked: {effects:?}");
    let after = pinged(&effects).expect("a read asks for a round");
    assert!(!confirms(&solo.hear(TWO, Message::Pong { epoch: EPOCH, round: before })));
    assert!(confirms(&solo.hear(TWO, Message::Pong { epoch: EPOCH, round: after })));
}

#[test]
fn a_learner_that_asks_proves_what_it_would_prove_by_an_echo() {
    let (mut solo, _) = Solo::leading();
    let asks = |asker| MemberInput::Confirm { token: 9, asker };
    let effects = solo.step(asks(TWO));
    assert!(confirms(&effects) && pinged(&effects).is_none(), "{effects:?}");
    // Server 3 has not come to follow, whatever it says.
    let effects = solo.step(asks(THREE));
    assert!(!confirms(&effects) && pinged(&effects).is_some(), "{effects:?}");
}

#[test]
fn a_candidate_that_meets_a_later_promise_gives_way() {
    let mut solo = Solo::standing(Recovered::default());
    let accepted = Reign { epoch: Epoch(9), leader: THREE };
    assert!(looks(&solo.hear(THREE, Message::Info { attempt: 1, accepted })));
}

#[test]
fn two_that_were_elected_for_one_epoch_are_not_both_believed() {
    let reign = Reign { epoch: EPOCH, leader: THREE };
    let last = zxid(1, 1);
    let found = Recovered { accepted: reign, current: reign, last, ..Recovered::default() };
    let histories = [
        Message::SyncFrom { epoch: EPOCH, base: last },
        Message::SyncSnapshot { epoch: EPOCH, zxid: last, time_ms: 0 },
    ];
    for history in histories {
        let mut solo = Solo::invited(found, 1);
        assert!(halts(&solo.hear(TWO, history)));
    }
}

#[test]
fn a_snapshot_of_the_past_stops_a_server_that_knows_more() {
    let last = zxid(1, 5);
    let reign = Reign { epoch: EPOCH, leader: TWO };
    let (accepted, current, committed) = (reign, reign, last);
    let found = Recovered { accepted, current, last, committed, ..Recovered::default() };
    let mut solo = Solo::invited(found, 2);
    solo.flush();
    let past = Message::SyncSnapshot { epoch: Epoch(2), zxid: zxid(1, 3), time_ms: 0 };
    assert!(halts(&solo.hear(TWO, past)));
}

#[test]
fn a_history_that_ends_elsewhere_than_it_says_is_not_adopted() {
    let stories = [
        // An entry is missing at the end, in the middle, at the beginning.
        (vec![zxid(1, 1), zxid(1, 2)], zxid(1, 3)),
        (vec![zxid(1, 1), zxid(1, 3)], zxid(1, 3)),
        (vec![zxid(1, 2), zxid(1, 3)], zxid(1, 3)),
    ];
    let epoch = Epoch(2);
    for (zxids, last) in stories {
        let mut solo = Solo::invited(Recovered::default(), 2);
        solo.flush();
        solo.hear(TWO, Message::SyncFrom { epoch, base: Zxid::ZERO });
        let entries = zxids.iter().map(|zxid| entry(*zxid)).collect();
        let mut effects = solo.hear(TWO, Message::SyncEntries { epoch, entries });
        effects.extend(solo.hear(TWO, Message::NewLeader { epoch, last }));
        effects.extend(solo.flush());
        assert!(looks(&effects), "{zxids:?} up to {last}: {effects:?}");
        let adopts = |order: &LogOrder| matches!(order, LogOrder::CommitStage { .. });
        assert!(!orders(&effects).iter().any(adopts), "{zxids:?} up to {last}");
    }
}

#[test]
fn a_proposal_is_taken_in_only_behind_an_adopted_history() {
    let mut solo = Solo::invited(Recovered::default(), 1);
    solo.flush();
    solo.hear(TWO, Message::SyncFrom { epoch: EPOCH, base: Zxid::ZERO });
    let (previous, committed) = (Zxid::ZERO, Zxid::ZERO);
    let entries = vec![entry(zxid(1, 1))];
    let early = Message::Propose { epoch: EPOCH, previous, entries, committed };
    let effects = solo.hear(TWO, early);
    assert!(matches!(effects[0], MemberEffect::Disconnect(TWO)), "{effects:?}");
    assert_eq!(orders(&effects), []);
}

#[test]
fn what_follows_a_snapshot_waits_until_that_is_in_its_place() {
    let epoch = Epoch(2);
    let (base, last) = (zxid(1, 7), zxid(1, 8));
    let mut solo = Solo::invited(Recovered::default(), 2);
    solo.flush();
    solo.hear(TWO, Message::SyncSnapshot { epoch, zxid: base, time_ms: 0 });
    solo.hear(TWO, Message::SnapshotChunk { epoch, bytes: Bytes::new(), last: true });
    let entries = vec![entry(last)];
    let mut early = solo.hear(TWO, Message::SyncEntries { epoch, entries });
    early.extend(solo.hear(TWO, Message::NewLeader { epoch, last }));
    assert!(early.is_empty(), "{early:?}");
    let effects = solo.step(MemberInput::SnapshotInstalled(base));
    let reign = Reign { epoch, leader: TWO };
    let expected = [
        LogOrder::BeginStage { base, snapshot: true },
        LogOrder::Stage(entry(last)),
        LogOrder::CommitStage { reign },
    ];
    assert_eq!(orders(&effects), expected);
    let loads = |effect: &MemberEffect| matches!(effect, MemberEffect::LoadSnapshot(_));
    assert!(!effects.iter().any(loads), "it counts when it is adopted: {effects:?}");
    assert!(solo.flush().iter().any(loads));
}

#[test]
fn a_learner_whose_disk_is_slow_does_not_take_its_leader_for_silent() {
    let mut solo = Solo::invited(Recovered::default(), 1);
    solo.flush();
    solo.hear(TWO, Message::SyncFrom { epoch: EPOCH, base: Zxid::ZERO });
    for step in 2..6 {
        // Each piece takes most of the time that a leader may be silent for.
        assert!(!looks(&solo.pass(400)), "before mark {step}");
        solo.step(MemberInput::Durable(step));
        if step == 3 {
            solo.hear(TWO, Message::NewLeader { epoch: EPOCH, last: Zxid::ZERO });
        }
    }
    assert!(looks(&solo.pass(1000)), "but not for ever");
}

#[test]
fn a_candidate_waits_as_long_as_its_learner_gets_on() {
    let reign = Reign { epoch: EPOCH, leader: ONE };
    let last = zxid(1, 9);
    let found = Recovered { accepted: reign, current: reign, last, ..Recovered::default() };
    let mut solo = Solo::elected(found, Zxid::ZERO);
    solo.flush();
    for piece in 0..4_u32 {
        let after = if piece == 0 { Zxid::ZERO } else { zxid(1, 2 * piece) };
        let entries = [1, 2].map(|more| entry(zxid(1, 2 * piece + more))).into();
        let history = History { after, base: after, entries, reaches_back: true };
        solo.step(MemberInput::History(HistoryReader::Learner(TWO), history));
        assert!(!looks(&solo.pass(400)), "piece {piece}");
        let count = u64::from(piece) + 1;
        solo.hear(TWO, Message::SyncTaken { epoch: Epoch(2), count });
    }
    assert!(looks(&solo.pass(1000)), "but not for ever");
}

#[test]
fn a_learner_that_was_stopped_hears_what_came_meanwhile() {
    let mut solo = Solo::following();
    solo.pass(100);
    solo.stop(1000);
    assert!(!looks(&solo.step(MemberInput::Tick)));
    let ping = Message::Ping { epoch: EPOCH, round: 5, committed: Zxid::ZERO };
    assert!(!looks(&solo.hear(TWO, ping)));
    assert!(!looks(&solo.pass(150)));
    assert!(looks(&solo.pass(200)), "but its leader's silence is its leader's");
}

#[test]
fn a_leader_of_an_epoch_that_is_over_is_left() {
    let accepted = Reign { epoch: Epoch(5), leader: THREE };
    let mut solo = Solo::new(Recovered { accepted, ..Recovered::default() });
    solo.step(MemberInput::Try(TWO));
    let late = Message::LeaderInfo { attempt: 1, epoch: Epoch(3) };
    assert!(looks(&solo.hear(TWO, late)));
}

#[test]
fn a_leader_is_none_before_its_own_disk_has_its_reign() {
    let mut solo = Solo::elected(Recovered::default(), Zxid::ZERO);
    assert!(!serves(&solo.hear(TWO, Message::AckNewLeader { epoch: EPOCH })));
    assert!(serves(&solo.flush()));
}

#[test]
fn a_leader_nobody_echoes_is_none_for_long() {
    let (mut solo, _) = Solo::leading();
    assert!(!looks(&solo.pass(150)));
    assert!(looks(&solo.pass(150)));
}

#[test]
fn one_that_merely_keeps_asking_keeps_no_leader_in_office() {
    let (mut solo, mut round) = Solo::leading();
    solo.hear(THREE, Message::Info { attempt: 1, accepted: Reign::default() });
    let mut effects = Vec::new();
    for _ in 0..8 {
        effects.extend(solo.pass(50));
        round = pinged(&effects).unwrap_or(round);
        effects.extend(solo.hear(THREE, Message::Pong { epoch: EPOCH, round }));
    }
    assert!(looks(&effects));
}

#[test]
fn a_write_ordered_before_a_read_does_not_vouch_for_it() {
    let (mut solo, _) = Solo::leading();
    solo.step(MemberInput::Propose(vec![draft(ONE)]));
    solo.flush();
    let effects = solo.step(MemberInput::Confirm { token: 9, asker: ONE });
    let round = pinged(&effects).expect("a read asks for a round");
    // It may have been on its way before the read came.
    let effects = solo.hear(TWO, Message::Ack { epoch: EPOCH, durable: zxid(1, 1) });
    let delivers = |effect: &MemberEffect| matches!(effect, MemberEffect::Deliver(_));
    assert!(effects.iter().any(delivers) && !confirms(&effects), "{effects:?}");
    assert!(confirms(&solo.hear(TWO, Message::Pong { epoch: EPOCH, round })));
}

#[test]
fn what_a_server_asked_for_before_it_began_anew_is_not_ordered_afterwards() {
    let (mut solo, _) = Solo::leading();
    let accepted = Reign { epoch: EPOCH, leader: ONE };
    let current = accepted;
    solo.hear(THREE, Message::Info { attempt: 1, accepted });
    let last = Zxid::ZERO;
    solo.hear(THREE, Message::AckEpoch { epoch: EPOCH, current, last, counts: false });
    solo.hear(THREE, Message::AckNewLeader { epoch: EPOCH });
    // Stopped for a while, it orders nothing before it knows that it still leads.
    solo.pass(50);
    solo.stop(150);
    let round = pinged(&solo.step(MemberInput::Tick)).expect("it asks");
    let effects = solo.step(MemberInput::Propose(vec![draft(TWO), draft(THREE), draft(TWO)]));
    assert_eq!(orders(&effects), []);
    // By the history it is going to be given, server 2 decides what became of its writes.
    solo.hear(TWO, Message::Info { attempt: 2, accepted });
    let ordered = orders(&solo.hear(THREE, Message::Pong { epoch: EPOCH, round }));
    let [LogOrder::Append(entry)] = &ordered[..] else { panic!("{ordered:?}") };
    assert_eq!(entry.origin.server, THREE);
}

#[test]
fn an_acknowledgement_names_what_is_on_the_disk_and_not_what_is_on_its_way_there() {
    let mut solo = Solo::following();
    let (epoch, committed) = (EPOCH, Zxid::ZERO);
    let mut marks = Vec::new();
    for counter in 1..=2 {
        let previous = if counter == 1 { Zxid::ZERO } else { zxid(1, counter - 1) };
        let entries = vec![entry(zxid(1, counter))];
        let effects = solo.hear(TWO, Message::Propose { epoch, previous, entries, committed });
        let [MemberEffect::Log { mark, .. }] = effects[..] else { panic!("{effects:?}") };
        marks.push(mark);
    }
    for (counter, mark) in (1..).zip(marks) {
        let effects = solo.step(MemberInput::Durable(mark));
        let [MemberEffect::Send(TWO, said)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(*said, Message::Ack { epoch, durable: zxid(1, counter) });
    }
}
