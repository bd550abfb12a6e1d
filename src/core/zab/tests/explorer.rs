//! Every order of events, as far as the budget goes: three servers, one or two writes, candidates
//! named at will in place of elections, links that break, processes that die.
//!
//! Things happen in a fixed order, but for what the budget lets interfere: so few states reach
//! far. They are visited breadth first and told apart by a hash of all that is in them. The
//! ensemble itself checks each step. `OSTLER_ZAB_STATES` (at build time) sets how many states are
//! visited in each setting.

use super::trial::{World, id};
use crate::zab::io::MemberInput;
use core::fmt::Write;
use std::collections::{BTreeSet, HashSet, VecDeque};
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
    /// How often something may be held back that would have been next.
    delays: u8,
}

/// What something may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Disk(u64),
    Link(u64, u64),
}

#[derive(Clone, Copy, Debug)]
enum Act {
    /// What is next happens.
    Go,
    /// What is next is held back until nothing else can happen.
    Delay,
    Try(u64, u64),
    Break(u64, u64),
    Crash(u64),
    Propose(u64),
}

#[derive(Clone, Debug)]
struct State {
    world: World,
    budget: Budget,
    held: BTreeSet<Source>,
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
        Self { world, budget, held: BTreeSet::new() }
    }

    fn digest(&self) -> u64 {
        let mut digest = Digest(DefaultHasher::new());
        write!(digest, "{self:?}").unwrap();
        digest.0.finish()
    }

    /// What would happen next if nothing interfered.
    fn next(&self) -> Option<Source> {
        let disks = (1..=3).map(Source::Disk);
        let links = (1..=3).flat_map(|a| (1..=3).map(move |b| Source::Link(a, b)));
        let mut able = disks.chain(links).filter(|source| match source {
            Source::Disk(a) => !self.world.servers[&id(*a)].disk.queue.is_empty(),
            Source::Link(a, b) => {
                self.world.links.get(&(id(*a), id(*b))).is_some_and(|link| !link.is_empty())
            }
        });
        able.find(|source| !self.held.contains(source))
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        let is_quiet = self.next().is_none();
        if !is_quiet || !self.held.is_empty() {
            acts.push(Act::Go);
        }
        if !is_quiet && self.budget.delays > 0 {
            acts.push(Act::Delay);
        }
        for a in 1..=3 {
            let server = &self.world.servers[&id(a)];
            for b in 1..=3 {
                // A candidate named while much is under way adds little to one named before.
                if is_quiet && self.budget.tries > 0 && server.member.is_looking() {
                    acts.push(Act::Try(a, b));
                }
                if self.budget.breaks > 0 && a < b && self.world.is_linked(id(a), id(b)) {
                    acts.push(Act::Break(a, b));
                }
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
        let next = self.next();
        let world = &mut self.world;
        match (act, next) {
            (Act::Go, Some(Source::Disk(a))) => {
                world.sync(id(a));
            }
            (Act::Go, Some(Source::Link(a, b))) => {
                world.deliver(id(a), id(b));
            }
            (Act::Go, None) => self.held.clear(),
            (Act::Delay, _) => {
                self.budget.delays -= 1;
                self.held.extend(next);
            }
            (Act::Try(a, b), _) => {
                self.budget.tries -= 1;
                world.member(id(a), MemberInput::Try(id(b)));
            }
            (Act::Break(a, b), _) => {
                self.budget.breaks -= 1;
                world.break_link(id(a), id(b), 9);
            }
            (Act::Crash(a), _) => {
                self.budget.crashes -= 1;
                world.crash(id(a), 0);
                world.restart(id(a));
            }
            (Act::Propose(a), _) => {
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
    let budget = Budget { tries: 5, breaks: 2, crashes: 0, proposals: 0, delays: 0 };
    assert!(explore(budget).0 > 1000);
}

#[test]
fn links_may_break_and_processes_may_die_around_a_write() {
    let budget = Budget { tries: 4, breaks: 1, crashes: 1, proposals: 1, delays: 1 };
    assert!(explore(budget).0 > 1000);
}
