//! The rules of Zab, each by a small story.

use super::trial::{Packet, World, id};
use crate::types::{Epoch, ServerId};
use crate::zab::io::MemberInput;
use crate::zab::{Draft, Origin, Reign};
use bytes::Bytes;
use std::vec;
use std::vec::Vec;

const LARGE: usize = 1 << 20;

fn followers(world: &World, leader: ServerId) -> Vec<ServerId> {
    world.servers.keys().copied().filter(|server| *server != leader).collect()
}

fn reign(world: &World, server: ServerId) -> Reign {
    world.servers[&server].serving.expect("it serves")
}

fn has_write(world: &World, serial: u64) -> bool {
    let payload = std::format!("write {serial}");
    world.chosen.iter().any(|entry| entry.payload == payload.as_bytes())
}

#[test]
fn a_lone_server_leads_and_delivers() {
    let mut world = World::new(1, 0, 0);
    assert_eq!(world.converge(), id(1));
    world.propose(id(1), 3);
    world.settle();
    assert_eq!(world.chosen.len(), 4);
}

#[test]
fn three_five_and_an_observer_agree() {
    for (voters, observers) in [(3, 0), (5, 0), (3, 1), (1, 1), (2, 0)] {
        let mut world = World::new(voters, observers, LARGE);
        let leader = world.converge();
        world.propose(leader, 3);
        world.run(100);
        assert_eq!(world.agreed(), Some(leader));
        assert_eq!(world.chosen.len(), 4);
    }
}

#[test]
fn observers_make_no_quorum() {
    let mut world = World::new(2, 3, LARGE);
    world.crash(id(1), 0);
    world.run(3000);
    assert!(world.servers.values().all(|state| state.serving.is_none()));
}

#[test]
fn a_write_that_reached_a_quorum_survives_its_leader() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    world.propose(leader, 1);
    for follower in followers(&world, leader) {
        world.deliver(leader, follower);
        world.sync(follower);
    }
    assert!(!has_write(&world, 2));
    world.crash(leader, 0);
    world.converge();
    assert!(has_write(&world, 2));
    world.restart(leader);
    world.converge();
}

#[test]
fn a_write_that_only_its_leader_has_is_truncated() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    world.isolate(leader);
    world.propose(leader, 2);
    world.run(1000);
    let others = followers(&world, leader);
    let last = world.servers[&leader].disk.image.last();
    assert!(last > world.servers[&others[0]].disk.image.last());
    let new = reign(&world, others[0]).leader;
    world.propose(new, 1);
    world.heal();
    world.converge();
    assert!(!has_write(&world, 2) && !has_write(&world, 3) && has_write(&world, 4));
    let logs: Vec<_> = world.servers.values().map(|state| &state.disk.image.log).collect();
    assert!(logs.iter().all(|log| *log == logs[0]));
}

/// A follower misses 20 writes, then comes back.
fn catch_up(window_bytes: usize, purged: bool) -> (World, ServerId, ServerId) {
    let mut world = World::new(3, 0, window_bytes);
    let leader = world.converge();
    let late = followers(&world, leader)[0];
    world.crash(late, 0);
    for _ in 0..10 {
        world.propose(leader, 2);
        world.run(20);
    }
    if purged {
        world.purge(leader);
        world.propose(leader, 2);
    }
    world.restart(late);
    assert_eq!(world.converge(), leader);
    (world, leader, late)
}

#[test]
fn a_learner_is_brought_up_to_date_from_memory() {
    let (world, leader, _) = catch_up(LARGE, false);
    assert_eq!(world.servers[&leader].history_reads, 0);
}

#[test]
fn a_learner_is_brought_up_to_date_from_the_log() {
    let (world, leader, late) = catch_up(100, false);
    assert!(world.servers[&leader].history_reads > 5);
    assert_eq!(world.servers[&leader].snapshot_reads, 0);
    assert_eq!(world.servers[&late].disk.image.log, world.servers[&leader].disk.image.log);
}

#[test]
fn a_learner_is_brought_up_to_date_from_a_snapshot() {
    let (world, leader, late) = catch_up(100, true);
    assert!(world.servers[&leader].snapshot_reads > 0);
    assert_eq!(world.servers[&late].disk.image.base, world.servers[&leader].disk.image.base);
}

/// The leader's newest snapshot became unreadable, and the one before it is older than its log.
#[test]
fn a_snapshot_that_the_log_does_not_reach_back_to_is_not_sent() {
    let (mut world, leader, late) = catch_up(100, true);
    let stale = world.servers[&leader].disk.image.snapshot;
    world.crash(late, 0);
    for _ in 0..10 {
        world.propose(leader, 2);
        world.run(20);
    }
    world.purge(leader);
    let good = core::mem::replace(&mut world.server(leader).disk.image.snapshot, stale);
    world.propose(leader, 2);
    world.restart(late);
    world.run(3000);
    assert!(world.servers[&leader].snapshot_reads > 1, "nobody asked for one");
    assert!(world.servers[&late].disk.image.last() <= good, "the log has a hole");
    world.server(leader).disk.image.snapshot = good;
    assert_eq!(world.converge(), leader);
    assert_eq!(world.servers[&late].disk.image.base, good);
}

#[test]
fn a_late_joiner_under_load_misses_nothing() {
    for window_bytes in [0, 300, LARGE] {
        let (mut world, leader, late) = catch_up(window_bytes, true);
        world.crash(late, 0);
        world.propose(leader, 3);
        world.settle();
        world.restart(late);
        let mut others = followers(&world, leader).into_iter().filter(|server| *server != late);
        let other = others.next().expect("there are three");
        for _ in 0..300 {
            world.propose(leader, 1);
            world.link();
            for (from, to) in [(late, leader), (leader, late), (other, leader), (leader, other)] {
                world.deliver(from, to);
            }
            for server in [leader, late, other] {
                world.sync(server);
                world.answer(server);
            }
            world.pass(2);
            world.tick(late);
        }
        assert_eq!(world.converge(), leader);
    }
}

#[test]
fn an_epoch_promised_to_one_candidate_is_not_counted_for_another() {
    let (a, b, c) = (id(1), id(2), id(3));
    let mut world = World::new(3, 0, LARGE).without_elections();
    world.cut(a, b);
    world.settle();
    world.server(b).has_slow_disk = true;
    world.member(b, MemberInput::Try(b));
    world.member(c, MemberInput::Try(b));
    world.settle();
    world.break_link(b, c, 9);
    world.settle();
    world.member(a, MemberInput::Try(a));
    world.member(c, MemberInput::Try(a));
    world.settle();
    assert_eq!(world.servers[&a].serving, Some(Reign { epoch: Epoch(1), leader: a }));
    world.break_link(a, c, 9);
    world.settle();
    world.member(c, MemberInput::Try(b));
    world.server(b).has_slow_disk = false;
    world.settle();
    assert_eq!(world.servers[&b].disk.image.accepted, Reign { epoch: Epoch(1), leader: b });
    assert_eq!(world.servers[&b].disk.image.current, Reign::default());
    assert_eq!(world.servers[&c].disk.image.accepted, Reign { epoch: Epoch(1), leader: a });
}

#[test]
fn a_candidate_with_less_history_than_its_quorum_abdicates() {
    let (a, b, c) = (id(1), id(2), id(3));
    let mut world = World::new(3, 0, LARGE).without_elections();
    world.settle();
    world.member(a, MemberInput::Try(a));
    world.member(c, MemberInput::Try(a));
    world.settle();
    world.propose(a, 1);
    world.settle();
    world.crash(a, 0);
    world.settle();
    world.member(b, MemberInput::Try(b));
    world.member(c, MemberInput::Try(b));
    world.settle();
    assert!(world.servers[&b].member.is_looking());
    assert!(world.servers[&c].member.is_looking());
    world.member(c, MemberInput::Try(c));
    world.member(b, MemberInput::Try(c));
    world.settle();
    assert_eq!(world.servers[&c].serving.map(|reign| reign.leader), Some(c));
}

#[test]
fn two_that_want_to_follow_each_other_do_not_wait() {
    let (a, b) = (id(1), id(2));
    let mut world = World::new(2, 0, LARGE).without_elections();
    world.settle();
    world.member(a, MemberInput::Try(b));
    world.member(b, MemberInput::Try(a));
    world.settle();
    assert!(world.servers[&a].member.is_looking() || world.servers[&b].member.is_looking());
}

#[test]
fn a_slow_disk_delays_every_promise() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    let others = followers(&world, leader);
    let before = world.chosen.len();
    for follower in &others {
        world.server(*follower).has_slow_disk = true;
    }
    world.propose(leader, 1);
    world.run(100);
    assert_eq!(world.chosen.len(), before);
    world.server(others[0]).has_slow_disk = false;
    world.run(100);
    assert_eq!(world.chosen.len(), before + 1);
    world.server(others[1]).has_slow_disk = false;
    world.server(leader).has_slow_disk = true;
    let given = world.servers[&leader].given;
    world.propose(leader, 1);
    world.run(100);
    assert_eq!(world.chosen.len(), before + 2);
    assert_eq!(world.servers[&leader].given, given, "its own disk does not have it yet");
    world.server(leader).has_slow_disk = false;
    world.run(100);
    assert_eq!(world.agreed(), Some(leader));
}

#[test]
fn a_follower_that_does_not_keep_up_is_cut_off() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    let slow = followers(&world, leader)[0];
    world.server(slow).has_slow_disk = true;
    let payload = Bytes::from(vec![0; 1 << 20]);
    let drafts = |count: usize| {
        MemberInput::Propose(vec![
            Draft { origin: Origin::default(), payload: payload.clone() };
            count
        ])
    };
    world.member(leader, drafts(60));
    world.settle();
    assert!(world.is_linked(leader, slow));
    world.member(leader, drafts(10));
    assert!(!world.is_linked(leader, slow));
    world.server(slow).has_slow_disk = false;
    assert_eq!(world.converge(), leader);
}

#[test]
fn a_used_up_epoch_is_followed_by_the_next_without_a_pause_for_clients() {
    for (voters, observers) in [(1, 0), (3, 0), (3, 1)] {
        let template = World::new(voters, observers, LARGE);
        let mut world = World::of(template.membership(), LARGE, 3);
        let leader = world.converge();
        let first = reign(&world, leader).epoch;
        world.confirm(leader);
        world.propose(leader, 10);
        world.confirm(leader);
        world.settle();
        assert_eq!(world.agreed(), Some(leader));
        assert_eq!(world.chosen.len(), 11);
        let serials: Vec<_> = world.chosen.iter().map(|entry| entry.origin.serial).collect();
        assert!(serials.is_sorted());
        assert_eq!(reign(&world, leader).epoch, Epoch(first.0 + 3));
        assert!(world.servers.values().all(|state| state.suspended == 0));
        assert_eq!(world.servers[&leader].confirmed, 2);
    }
}

#[test]
fn a_server_that_promised_to_a_later_epoch_is_let_in_without_an_election() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    let late = followers(&world, leader)[0];
    world.crash(late, 0);
    world.server(late).disk.image.accepted = Reign { epoch: Epoch(9), leader: late };
    world.restart(late);
    assert_eq!(world.converge(), leader);
    assert_eq!(world.servers[&late].serving, Some(Reign { epoch: Epoch(10), leader }));
    assert_eq!(world.servers[&leader].suspended, 0);
}

#[test]
fn a_deposed_leader_never_confirms() {
    let mut world = World::new(3, 0, LARGE);
    let old = world.converge();
    world.confirm(old);
    world.settle();
    assert_eq!(world.server(old).confirmed, 1);
    world.isolate(old);
    world.confirm(old);
    world.run(2000);
    assert!(world.servers[&old].serving.is_none(), "it stepped down");
    let new = world.servers.iter().find_map(|(server, state)| {
        state.serving.filter(|reign| reign.leader == *server).map(|_| *server)
    });
    let new = new.expect("the others have a leader");
    world.propose(new, 1);
    world.settle();
    assert_eq!(world.server(old).confirmed, 1);
    world.heal();
    world.converge();
    assert_eq!(world.server(old).confirmed, 1);
}

#[test]
fn a_leader_without_links_to_a_quorum_steps_down_at_once() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    let others: Vec<_> = world.servers.keys().copied().filter(|id| *id != leader).collect();
    world.cut(leader, others[0]);
    assert!(world.servers[&leader].serving.is_some(), "two of three are enough");
    world.cut(leader, others[1]);
    // Its last messages are taken in; no time passes.
    world.settle();
    assert!(world.servers[&leader].serving.is_none());
}

#[test]
fn many_reads_share_a_round() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    let follower = followers(&world, leader)[0];
    for _ in 0..100 {
        world.confirm(leader);
    }
    let pings = |world: &World| {
        world.links[&(leader, follower)]
            .iter()
            .filter(|packet| matches!(packet, Packet::Zab(_)))
            .count()
    };
    assert_eq!(pings(&world), 1);
    world.deliver(leader, follower);
    world.deliver(follower, leader);
    assert_eq!(world.servers[&leader].confirmed, 1);
    assert_eq!(pings(&world), 1, "the others share the next round");
    world.settle();
    assert_eq!(world.servers[&leader].confirmed, 100);
}

#[test]
fn a_leader_that_was_stopped_orders_nothing_before_a_fresh_round() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    world.pass(150);
    world.tick(leader);
    world.propose(leader, 1);
    assert!(world.servers[&leader].disk.queue.is_empty());
    world.settle();
    assert!(has_write(&world, 2));
    // Stopped for longer than anybody waits: it still asks before it gives up.
    world.isolate(leader);
    world.pass(150);
    world.tick(leader);
    world.propose(leader, 1);
    world.run(1000);
    assert!(world.servers[&leader].serving.is_none());
    assert_eq!(world.servers[&leader].refused, 1);
}

#[test]
fn a_server_without_a_leader_gives_its_host_what_it_knows_to_be_committed() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    world.propose(leader, 8);
    world.run(200);
    world.propose(leader, 1);
    world.run(200);
    let late = followers(&world, leader)[0];
    world.crash(late, 0);
    world.isolate(late);
    world.restart(late);
    assert_eq!(world.servers[&late].given, 0);
    world.settle();
    assert!(world.servers[&late].given >= 9);
    assert!(world.servers[&late].serving.is_none());
}

#[test]
fn one_that_cannot_lead_hands_writes_back() {
    let mut world = World::new(3, 0, LARGE);
    let leader = world.converge();
    let follower = followers(&world, leader)[0];
    world.propose(follower, 3);
    assert_eq!(world.servers[&follower].refused, 3);
}
