//! The rules of Zab, each by a small story.

use super::trial_test::{World, id};

const LARGE: usize = 1 << 20;

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
    let new = new.unwrap();
    world.propose(new, 1);
    world.settle();
    assert_eq!(world.server(old).confirmed, 1);
    world.heal();
    world.converge();
    assert_eq!(world.server(old).confirmed, 1);
}
