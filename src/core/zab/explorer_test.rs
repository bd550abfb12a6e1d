//! Every order of events, as far as the budget goes: three servers, one or two writes, candidates
//! named at will in place of elections, links that break, processes that die.
//!
//! States are visited breadth first and told apart by a hash of all that is in them. The
//! ensemble itself checks each step. `OSTLER_ZAB_STATES` (at build time) sets how many states are
//! visited in each setting.

use super::io::MemberInput;
use super::trial_test::{World, id};
use core::fmt::Write;
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher};
use std::vec::Vec;

const STATES: usize = 1500;

/// How often what may still happen.
#[derive(Clone, Copy, Debug)]
struct Budget {
    tries: u8,
    breaks: u8,
    crashes: u8,
    proposals: u8,
    /// Whether a disk may be late; else everything is durable at once.
    late_disks: bool,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Try(u64, u64),
    Deliver(u64, u64),
    Sync(u64),
    Break(u64, u64),
    Crash(u64),
    Propose(u64),
}

#[derive(Clone, Debug)]
struct State {
    world: World,
    budget: Budget,
}

/// Takes text and keeps a hash of it.
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl State {
    fn new(budget: Budget) -> Self {
        let mut world = World::new(3, 0, 1 << 20).without_elections();
        world.link();
        for a in 1..=3 {
            for b in 1..=3 {
                world.deliver(id(a), id(b));
            }
        }
        Self { world, budget }
    }

    fn digest(&self) -> u64 {
        let mut digest = Digest(DefaultHasher::new());
        write!(digest, "{self:?}").unwrap();
        digest.0.finish()
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for a in 1..=3 {
            let server = &self.world.servers[&id(a)];
            for b in 1..=3 {
                if self.budget.tries > 0 && server.member.is_looking() {
                    acts.push(Act::Try(a, b));
                }
                let way = (id(a), id(b));
                if self.world.links.get(&way).is_some_and(|link| !link.is_empty()) {
                    acts.push(Act::Deliver(a, b));
                }
                if self.budget.breaks > 0 && a < b {
                    acts.push(Act::Break(a, b));
                }
            }
            if !server.disk.queue.is_empty() {
                acts.push(Act::Sync(a));
            }
            if self.budget.crashes > 0 {
                acts.push(Act::Crash(a));
            }
            if self.budget.proposals > 0 && server.serving.is_some_and(|r| r.leader == id(a)) {
                acts.push(Act::Propose(a));
            }
        }
        acts
    }

    fn act(&mut self, act: Act) {
        let world = &mut self.world;
        match act {
            Act::Try(a, b) => {
                self.budget.tries -= 1;
                world.member(id(a), MemberInput::Try(id(b)));
            }
            Act::Deliver(a, b) => {
                world.deliver(id(a), id(b));
            }
            Act::Sync(a) => {
                world.sync(id(a));
            }
            Act::Break(a, b) => {
                self.budget.breaks -= 1;
                world.break_link(id(a), id(b), 9);
            }
            Act::Crash(a) => {
                self.budget.crashes -= 1;
                world.crash(id(a), 0);
                world.restart(id(a));
            }
            Act::Propose(a) => {
                self.budget.proposals -= 1;
                world.propose(id(a), 1);
            }
        }
        self.calm();
    }

    /// What nobody needs to be late: the host, and new links.
    fn calm(&mut self) {
        self.world.link();
        for a in 1..=3 {
            while self.world.answer(id(a)) {}
            while !self.budget.late_disks && self.world.sync(id(a)) {}
            self.world.server(id(a)).member.take_dropped();
        }
    }
}

/// Visits states until there are no more or the budget is used up. Returns how many, and how
/// many of them have something delivered.
fn explore(budget: Budget) -> (usize, usize) {
    let states = option_env!("OSTLER_ZAB_STATES").map_or(STATES, |states| states.parse().unwrap());
    let first = State::new(budget);
    let mut seen = HashSet::from([first.digest()]);
    let mut queue = VecDeque::from([(first, Vec::new())]);
    let mut delivered = 0;
    while let Some((state, path)) = queue.pop_front() {
        for act in state.acts() {
            let mut next = state.clone();
            let mut path: Vec<Act> = path.clone();
            path.push(act);
            let step = core::panic::AssertUnwindSafe(|| next.act(act));
            assert!(std::panic::catch_unwind(step).is_ok(), "{path:?}");
            if seen.len() < states && seen.insert(next.digest()) {
                delivered += usize::from(!next.world.chosen.is_empty());
                queue.push_back((next, path));
            }
        }
    }
    (seen.len(), delivered)
}

#[test]
fn candidates_may_be_named_in_any_order() {
    let budget = Budget { tries: 5, breaks: 2, crashes: 0, proposals: 0, late_disks: false };
    assert!(explore(budget).0 > 1000);
}

#[test]
fn disks_may_be_late_and_processes_may_die() {
    let budget = Budget { tries: 4, breaks: 0, crashes: 1, proposals: 1, late_disks: true };
    assert!(explore(budget).0 > 1000);
}
