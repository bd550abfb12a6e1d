//! What takes several servers: histories that part and are brought together again.

use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::Reign;
use crate::zab::io::MemberInput;
use crate::zab::tests::trial::{World, id};
use std::collections::BTreeSet;
use std::vec::Vec;

const LARGE: usize = 1 << 20;
const A: ServerId = ServerId(1);
const B: ServerId = ServerId(2);
const C: ServerId = ServerId(3);

fn elect(world: &mut World, leader: ServerId, followers: &[ServerId]) {
    world.member(leader, MemberInput::Try(leader));
    for follower in followers {
        world.member(*follower, MemberInput::Try(leader));
    }
    world.settle();
}

fn zxids(world: &World, server: ServerId) -> Vec<(u32, u32)> {
    let log = &world.servers[&server].disk.image.log;
    log.iter().map(|entry| (entry.zxid.epoch().0, entry.zxid.counter())).collect()
}

const OLD: [(u32, u32); 3] = [(1, 1), (1, 2), (1, 3)];
const NEW: [(u32, u32); 3] = [(1, 1), (2, 1), (2, 2)];

/// C has led epoch 1 and has two writes that nobody else has. A leads epoch 2, which has begun
/// without C, and has two writes of its own. C's disk takes its time.
fn parted() -> World {
    let mut world = World::new(3, 0, LARGE).without_elections();
    world.settle();
    elect(&mut world, C, &[A, B]);
    world.propose(C, 1);
    world.settle();
    world.isolate(C);
    world.propose(C, 2);
    world.settle();
    elect(&mut world, A, &[B]);
    world.propose(A, 2);
    world.settle();
    world.heal();
    world.settle();
    assert_eq!((zxids(&world, C), zxids(&world, A)), (OLD.into(), NEW.into()));
    world.server(C).has_slow_disk = true;
    world
}

#[test]
fn a_history_is_acknowledged_when_all_of_it_is_durable() {
    let mut world = parted();
    world.member(C, MemberInput::Try(A));
    loop {
        let adopted = world.servers[&C].disk.image.current.epoch == Epoch(2);
        assert_eq!(zxids(&world, C) == NEW, adopted, "one with the other");
        world.settle();
        let learners = world.servers[&A].member.learners();
        let known = learners.iter().any(|(server, adopted, _)| *server == C && *adopted);
        assert_eq!(known, adopted);
        if !world.sync(C) {
            break;
        }
    }
    assert_eq!(world.agreed(), Some(A));
}

#[test]
fn wherever_a_learner_dies_it_has_one_history_whole_and_the_epoch_that_goes_with_it() {
    let mut world = parted();
    world.member(C, MemberInput::Try(A));
    let mut seen = BTreeSet::new();
    loop {
        world.settle();
        for kept in 0..=world.servers[&C].disk.queue.len() {
            let mut crashed = world.clone();
            crashed.crash(C, kept);
            let found = (crashed.servers[&C].disk.image.current, zxids(&crashed, C));
            let old = (Reign { epoch: Epoch(1), leader: C }, OLD.to_vec());
            let new = (Reign { epoch: Epoch(2), leader: A }, NEW.to_vec());
            assert!(found == old || found == new, "{found:?}");
            seen.insert(found == new);
            crashed.restart(C);
            crashed.with_elections();
            crashed.converge();
        }
        if !world.sync(C) {
            break;
        }
    }
    assert_eq!(seen, BTreeSet::from([false, true]));
}

#[test]
fn a_link_that_breaks_within_a_history_leaves_its_learner_as_it_was() {
    for arrives in 0..4 {
        let mut world = parted();
        world.server(C).has_slow_disk = false;
        world.member(C, MemberInput::Try(A));
        // Asked, invited, promised; the history is on its way.
        world.deliver(C, A);
        world.deliver(A, C);
        world.sync(C);
        world.deliver(C, A);
        world.break_link(A, C, arrives);
        while world.deliver(A, C) || world.sync(C) {}
        let adopted = arrives >= 3;
        assert_eq!(zxids(&world, C), if adopted { NEW } else { OLD }, "after {arrives}");
        let image = &world.servers[&C].disk.image;
        assert_eq!(world.servers[&C].member.logged(), image.last(), "after {arrives}");
        assert!(world.servers[&C].member.is_looking());
        world.settle();
        world.member(C, MemberInput::Try(A));
        world.settle();
        assert_eq!(zxids(&world, C), NEW);
        assert_eq!(world.agreed(), Some(A));
    }
}

#[test]
fn a_candidate_shows_nothing_before_a_quorum_has_its_history() {
    let mut world = World::new(3, 0, LARGE).without_elections();
    world.settle();
    elect(&mut world, A, &[B, C]);
    world.isolate(A);
    world.propose(A, 1);
    world.settle();
    world.heal();
    world.cut(A, C);
    world.cut(B, C);
    world.settle();
    world.server(B).has_slow_disk = true;
    elect(&mut world, A, &[B]);
    world.sync(B);
    world.settle();
    let candidate = &world.servers[&A];
    assert_eq!(candidate.disk.image.current, Reign { epoch: Epoch(2), leader: A }, "elected");
    assert_eq!((candidate.given, candidate.serving), (0, None));
    // What only it has may be nobody's in the end.
    world.crash(B, 0);
    world.restart(B);
    world.heal();
    world.cut(A, B);
    world.cut(A, C);
    world.settle();
    elect(&mut world, C, &[B]);
    world.propose(C, 1);
    world.settle();
    assert_eq!(world.chosen.len(), 1);
    world.heal();
    world.pass(600);
    world.tick(A);
    world.settle();
    world.member(A, MemberInput::Try(C));
    world.settle();
    assert_eq!(world.agreed(), Some(C));
    assert_eq!((zxids(&world, A), zxids(&world, B)), (zxids(&world, C), zxids(&world, C)));
}

#[test]
fn one_that_was_brought_up_to_date_passes_on_all_of_it() {
    // So little memory that what was received has to be read back.
    let mut world = World::new(3, 0, 100);
    let first = world.converge();
    let mut others: Vec<_> = world.servers.keys().copied().filter(|id| *id != first).collect();
    let (late, other) = (others.remove(0), others.remove(0));
    world.crash(late, 0);
    for _ in 0..10 {
        world.propose(first, 2);
        world.run(20);
    }
    world.restart(late);
    assert_eq!(world.converge(), first);
    world.crash(other, 0);
    world.propose(first, 5);
    world.run(100);
    world.crash(first, 0);
    world.restart(other);
    assert_eq!(world.converge(), late, "it has the longer history");
    world.restart(first);
    world.converge();
    let logs: Vec<_> = world.servers.values().map(|state| &state.disk.image.log).collect();
    assert!(logs.iter().all(|log| *log == logs[0]));
}

#[test]
fn a_snapshot_is_nothing_before_the_history_that_follows_it_is_adopted() {
    let mut world = World::new(3, 0, 100);
    let leader = world.converge();
    let mut others: Vec<_> = world.servers.keys().copied().filter(|id| *id != leader).collect();
    let (late, other) = (others.remove(0), others.remove(0));
    world.crash(late, 0);
    let before = world.servers[&late].disk.image.clone();
    for _ in 0..10 {
        world.propose(leader, 2);
        world.run(20);
    }
    world.purge(leader);
    world.purge(other);
    world.restart(late);
    // Until the snapshot is received, in its place, and the log knows of it.
    let mut steps = 0;
    while !matches!(world.servers[&late].disk.image.stage, Some((_, true, _))) {
        steps += 1;
        assert!(steps < 10_000, "no snapshot comes");
        world.link();
        for server in [1, 2, 3].map(id) {
            world.deliver(server, late);
            world.deliver(late, server);
            world.sync(server);
            world.answer(server);
            world.tick(server);
        }
        world.deliver(leader, other);
        world.deliver(other, leader);
        world.pass(1);
    }
    let image = &world.servers[&late].disk.image;
    assert_eq!((image.base, &image.log), (Zxid::ZERO, &before.log));
    assert_eq!((image.current, image.snapshot), (before.current, before.snapshot));
    world.crash(leader, 0);
    world.converge();
    world.restart(leader);
    world.converge();
}

#[test]
fn what_is_written_while_a_learner_joins_reaches_it_at_once() {
    let mut world = parted();
    world.member(C, MemberInput::Try(A));
    let (mut written, mut flushed) = (0, true);
    while flushed {
        world.settle();
        world.propose(A, 1);
        world.settle();
        written += 1;
        flushed = world.sync(C) && written < 20;
    }
    assert!(written > 4, "it takes the disk a while");
    world.server(C).has_slow_disk = false;
    world.settle();
    // At its first attempt: nobody had to begin anew because of a gap.
    assert_eq!(world.agreed(), Some(A));
    assert_eq!(zxids(&world, C), zxids(&world, A));
}

#[test]
fn a_leader_counts_itself_when_its_own_disk_has_a_write() {
    let mut world = World::new(3, 0, LARGE).without_elections();
    world.settle();
    elect(&mut world, A, &[B, C]);
    world.server(A).has_slow_disk = true;
    world.server(B).has_slow_disk = true;
    world.propose(A, 1);
    world.settle();
    assert_eq!(world.servers[&A].member.committed(), Zxid::ZERO, "one disk has it");
    world.sync(A);
    world.settle();
    assert_eq!(world.chosen.len(), 1);
}
