//! Sessions that move from server to server while requests of theirs are on their way.

use super::*;

#[test]
fn writes_of_a_client_that_moves_while_the_leader_changes_take_effect_once_and_in_order() {
    // What the client had sent to the server it left is read there so much later, and the leader
    // dies so much later still.
    for (late, steps) in (0..12).flat_map(|late| (0..40).map(move |steps| (late, steps))) {
        let mut trio = Trio::new();
        trio.elect(3);
        let mut payload = Vec::new();
        let op = Op::CreateSession { timeout_ms: 4000, password: [0; 16] };
        txn::encode(SessionId::NONE, Xid(0), &[], &op, &mut payload);
        trio.give(1, submit_as(5, 0, vec![ItemBody::Write(payload.into())]));
        trio.settle();
        let opened = trio.applied[&ServerId(1)][0];
        let session = SessionId(opened.to_wire());
        trio.give(1, Input::Opened(vec![(session, ConnectionId(5))], opened));
        trio.settle();
        trio.give(2, submit_as(8, 0, vec![attach(session.0)]));
        for _ in 0..late {
            trio.step();
        }
        trio.give(1, submit_as(5, session.0, numbered_creates(session)));
        for _ in 0..steps {
            trio.step();
        }
        trio.isolate(3);
        trio.elect_the_most_recent();
        trio.give(2, submit_as(8, session.0, numbered_creates(session)));
        trio.settle();
        let told = outcomes(&trio.history[&ServerId(2)]);
        let expected = ["/n-0000000000", "/n-0000000001", "/n-0000000002", "/n-0000000003"];
        let told = told[told.len() - 4..].iter().map(|outcome| match outcome {
            Outcome::Created { path, .. } => path.as_str(),
            other => panic!("{other:?} is no create, {late} and {steps} steps"),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{late} and {steps} steps");
    }
}

#[test]
fn nothing_acts_that_came_behind_a_request_whose_session_had_moved() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, submit(5, vec![write(), write(), write()]));
    assert!(trio.step());
    // The leader refuses all three and is lost when word of the first has got here. Its history,
    // with the takeover in it, is lost too: the others had not got it.
    trio.cut.insert(ServerId(3));
    trio.inbox.clear();
    let moved = Relay::Moved { serial: 1000 };
    trio.give(1, Input::Received(ServerId(3), vec![PeerMessage::Relay(moved)]));
    // The socket is not closed yet, and more comes on it.
    trio.give(1, submit(5, vec![write()]));
    trio.settle();
    assert_eq!(trio.kicked, [(ServerId(1), ConnectionId(5))]);
    trio.isolate(3);
    trio.elect(2);
    assert_eq!(trio.applied, BTreeMap::new());
    assert_eq!(trio.servers[&ServerId(1)].outstanding(), 0);
}

#[test]
fn a_session_that_moves_to_another_server_leaves_its_old_connection_powerless() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, Input::Opened(vec![(SessionId(7), ConnectionId(5))], Zxid::new(Epoch(1), 1)));
    trio.settle();
    trio.give(2, submit_as(8, 0, vec![attach(7)]));
    trio.settle();
    // By the leader at once, and by the history.
    assert_eq!(trio.kicked, [(ServerId(1), ConnectionId(5)); 2]);
    assert_eq!(trio.answered, [(ServerId(2), 1, false)]);
    trio.give(1, submit(5, vec![write()]));
    trio.settle();
    assert_eq!(trio.applied[&ServerId(1)].len(), 1, "the takeover alone: {:?}", trio.applied);
    assert_eq!(trio.servers[&ServerId(1)].outstanding(), 0);
}

#[test]
fn what_was_on_its_way_to_the_leader_when_a_session_moved_never_acts() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, Input::Opened(vec![(SessionId(7), ConnectionId(5))], Zxid::new(Epoch(1), 1)));
    trio.settle();
    // The takeover comes to the leader first, and the old connection does not know of it yet.
    trio.give(2, submit_as(8, 0, vec![attach(7)]));
    trio.give(1, submit(5, vec![write()]));
    trio.settle();
    assert_eq!(trio.applied[&ServerId(2)].len(), 1, "the takeover alone: {:?}", trio.applied);
    assert_eq!(trio.answered, [(ServerId(2), 1, false)]);
}

#[test]
fn what_a_held_connection_asked_never_acts_once_its_session_has_moved() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, Input::Opened(vec![(SessionId(7), ConnectionId(5))], Zxid::new(Epoch(1), 1)));
    trio.settle();
    trio.isolate(1);
    trio.give(1, submit(5, vec![write()]));
    trio.give(2, submit_as(8, 0, vec![attach(7)]));
    trio.settle();
    // A new leader knows of no owner until it is told, and the old connection's server may speak
    // first.
    trio.cut.clear();
    trio.isolate(3);
    trio.elect_the_most_recent();
    trio.settle();
    assert_eq!(trio.applied[&ServerId(2)].len(), 1, "the takeover alone: {:?}", trio.applied);
    assert_eq!(trio.servers[&ServerId(1)].outstanding(), 0);
}

#[test]
fn a_new_leader_learns_who_speaks_for_which_session() {
    let mut trio = Trio::new();
    trio.elect(3);
    let at = |counter| Zxid::new(Epoch(1), counter);
    trio.give(1, Input::Opened(vec![(SessionId(7), ConnectionId(5))], at(1)));
    trio.give(2, submit_as(8, 0, vec![attach(7)]));
    trio.settle();
    trio.isolate(3);
    trio.elect(2);
    let before = trio.applied.get(&ServerId(2)).cloned();
    trio.give(1, submit(5, vec![write()]));
    trio.settle();
    assert_eq!(trio.applied.get(&ServerId(2)).cloned(), before, "the later takeover counts");
}
