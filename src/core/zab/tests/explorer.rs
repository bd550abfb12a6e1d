//! Every order of events within bounds: three servers, candidates named at will in place of
//! elections, links that break, processes that die, writes.
//!
//! States are visited breadth first and told apart by a digest of all that can matter later. The
//! ensemble itself checks each step: promises against the disk, deliveries against all there ever
//! were, leaders against each other. What may happen, and how often, is a [`Bound`]; within it the
//! visit is complete, and its end is asserted. Any server may be told to try any other as soon as
//! it looks, any message that is first on its link may arrive, any disk may finish what it was
//! given first, at any moment. A link that breaks loses all that is on it or nothing; it comes
//! back when both ends have noticed. A process that dies starts again at once, without what its
//! disk had not finished.
//!
//! Left out, since nobody could tell: pieces of a history arrive with the last of them, and a
//! stage that is not adopted is void after a crash whether it was on the disk or not. Servers that
//! nothing has happened to yet are interchangeable, so they come into play in order.
//!
//! A visit begins at a [`Root`]. `OSTLER_ZAB_BOUND="led 3 1 1 1"` (at build time) visits one from
//! this root with so many tries, breaks, crashes and writes instead of the small ones.

use super::trial::{Packet, Server, World, id};
use crate::types::{Epoch, ServerId};
use crate::zab::LogOrder;
use crate::zab::io::MemberInput;
use crate::zab::message::Message;
use core::fmt::Write;
use std::collections::{BTreeMap, HashMap};
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

const SERVERS: [u64; 3] = [1, 2, 3];
/// No server is made to promise to a later one.
const EPOCHS: u32 = 2;
/// So many states are visited for each that is let go on until all agree.
const SETTLED_EVERY: usize = 2000;

/// Where a visit begins.
#[derive(Clone, Copy, Debug)]
enum Root {
    /// Nothing has happened.
    Fresh,
    /// The first server leads epoch 1, and the others follow.
    Led,
    /// The first server stands for epoch 1, but its disk hangs before it has promised that to
    /// itself; the second, which had asked it, was cut off and asks the third, which stands too.
    Hung,
}

/// How often what may still happen.
#[derive(Clone, Copy, Debug)]
struct Bound {
    tries: u8,
    breaks: u8,
    crashes: u8,
    writes: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// What is first on the link from one server to another arrives.
    Arrive(u64, u64),
    /// A disk finishes what it was given first.
    Flush(u64),
    /// A server that looks is told to try this leader.
    Try(u64, u64),
    /// A link breaks; what is on its way still arrives, or is lost.
    Break(u64, u64, bool),
    Crash(u64),
    Write(u64),
}

impl Act {
    /// Whom it happens to.
    fn servers(self) -> (u64, u64) {
        match self {
            Self::Arrive(a, b) | Self::Try(a, b) | Self::Break(a, b, _) => (a, b),
            Self::Flush(a) | Self::Crash(a) | Self::Write(a) => (a, a),
        }
    }
}

#[derive(Clone)]
struct State {
    world: World,
    left: Bound,
    /// How many servers, counted from the first, something has happened to.
    touched: u64,
    /// Of each server.
    digests: [u64; 3],
}

impl State {
    fn new(root: Root, left: Bound) -> Self {
        let mut world = World::new(3, 0, 1 << 20).without_elections();
        world.settle();
        let touched = match root {
            Root::Fresh => 0,
            Root::Led => {
                for server in SERVERS {
                    world.member(id(server), MemberInput::Try(id(1)));
                }
                world.settle();
                1
            }
            Root::Hung => {
                world.server(id(1)).has_slow_disk = true;
                world.member(id(1), MemberInput::Try(id(1)));
                world.member(id(2), MemberInput::Try(id(1)));
                world.settle();
                world.break_link(id(1), id(2), usize::MAX);
                world.settle();
                world.member(id(3), MemberInput::Try(id(3)));
                world.member(id(2), MemberInput::Try(id(3)));
                3
            }
        };
        let mut state = Self { world, left, touched, digests: [0; 3] };
        for server in SERVERS {
            let there = state.world.server(id(server));
            there.member.take_dropped();
            there.has_slow_disk = false;
            state.digests[index(server)] = digest_of(state.server(server));
        }
        state
    }

    fn server(&self, server: u64) -> &Arc<Server> {
        &self.world.servers[&id(server)]
    }

    fn digest(&self) -> u64 {
        let mut text = String::new();
        let World { links, chosen, elected, leaders, .. } = &self.world;
        let links = links.iter().filter(|(_, link)| !link.is_empty());
        write!(text, "{:?} {:?} {}", self.left, self.digests, self.touched)
            .expect("memory is left");
        links.for_each(|link| write!(text, "{link:?}").expect("memory is left"));
        let pairs = [(1, 2), (1, 3), (2, 3)].map(|(a, b)| self.world.is_linked(id(a), id(b)));
        write!(text, "{pairs:?} {chosen:?} {elected:?} {leaders:?}").expect("memory is left");
        xxh3_64(text.as_bytes())
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for a in SERVERS {
            let server = self.server(a);
            let arrives = |b: &u64| self.world.links.get(&(id(a), id(*b)));
            let full = |b: &u64| arrives(b).is_some_and(|link| !link.is_empty());
            acts.extend(SERVERS.into_iter().filter(full).map(|b| Act::Arrive(a, b)));
            if !server.disk.queue.is_empty() {
                acts.push(Act::Flush(a));
            }
            if self.left.tries > 0 && server.member.is_looking() {
                acts.extend(SERVERS.into_iter().map(|b| Act::Try(a, b)));
            }
            let linked = |b: &u64| a < *b && self.world.is_linked(id(a), id(*b));
            if self.left.breaks > 0 {
                let broken = SERVERS.into_iter().filter(linked);
                acts.extend(broken.flat_map(|b| [Act::Break(a, b, true), Act::Break(a, b, false)]));
            }
            if self.left.crashes > 0 {
                acts.push(Act::Crash(a));
            }
            let leads = server.serving.is_some_and(|reign| reign.leader == id(a));
            if self.left.writes > 0 && leads {
                acts.push(Act::Write(a));
            }
        }
        acts.retain(|act| self.is_first_of_its_like(*act));
        acts
    }

    /// Servers that nothing has happened to are interchangeable: of those, the first comes first.
    fn is_first_of_its_like(&self, act: Act) -> bool {
        let (a, b) = act.servers();
        a <= self.touched + 1 && b <= self.touched.max(a) + 1
    }

    /// Does it; whatever breaks a rule panics.
    fn act(&mut self, act: Act) {
        let before = self.world.servers.clone();
        let (a, b) = act.servers();
        self.touched = self.touched.max(a).max(b);
        match act {
            Act::Arrive(..) => self.arrive(a, b),
            Act::Flush(_) => assert!(self.world.sync(id(a)), "there was something to finish"),
            Act::Try(..) => {
                self.left.tries -= 1;
                self.world.member(id(a), MemberInput::Try(id(b)));
            }
            Act::Break(.., arrives) => {
                self.left.breaks -= 1;
                self.world.break_link(id(a), id(b), if arrives { usize::MAX } else { 0 });
            }
            Act::Crash(_) => {
                self.left.crashes -= 1;
                self.world.crash(id(a), 0);
                self.world.restart(id(a));
            }
            Act::Write(_) => {
                self.left.writes -= 1;
                self.world.propose(id(a), 1);
            }
        }
        self.calm(&before);
    }

    fn arrive(&mut self, a: u64, b: u64) {
        loop {
            let first = self.world.links[&(id(a), id(b))].front();
            let goes_on = matches!(
                first,
                Some(Packet::Zab(Message::SyncFrom { .. } | Message::SyncEntries { .. }))
            );
            self.world.deliver(id(a), id(b));
            if !goes_on {
                break;
            }
        }
    }

    /// What nobody needs to be late: hosts, links that come back, stages on their way to the disk.
    fn calm(&mut self, before: &BTreeMap<ServerId, Arc<Server>>) {
        self.world.link();
        for link in self.world.links.values_mut() {
            while matches!(link.front(), Some(Packet::Up)) {
                link.pop_front();
            }
        }
        for server in SERVERS {
            if Arc::ptr_eq(self.server(server), &before[&id(server)]) {
                continue;
            }
            while self.world.answer(id(server)) {}
            while self.has_stage_on_its_way(server) {
                self.world.sync(id(server));
            }
            self.world.server(id(server)).member.take_dropped();
            self.digests[index(server)] = digest_of(self.server(server));
        }
    }

    fn has_stage_on_its_way(&self, server: u64) -> bool {
        let staged =
            |order: &LogOrder| matches!(order, LogOrder::BeginStage { .. } | LogOrder::Stage(_));
        let first = self.server(server).disk.queue.front();
        first.is_some_and(|(_, _, orders)| orders.iter().all(staged))
    }

    /// With elections and time to come, all agree in the end.
    fn settles(&self) {
        let mut world = self.world.clone();
        world.with_elections();
        world.converge();
    }

    fn is_beyond_bounds(&self) -> bool {
        let promised = |server: &u64| {
            let server = self.server(*server);
            let accepted = |order: &LogOrder| match order {
                LogOrder::Accept(reign) => reign.epoch > Epoch(EPOCHS),
                _ => false,
            };
            server.disk.queue.iter().any(|(_, _, orders)| orders.iter().any(accepted))
        };
        SERVERS.iter().any(promised)
    }
}

fn index(server: u64) -> usize {
    server as usize - 1
}

/// Of all that what a server does later can depend on.
fn digest_of(server: &Arc<Server>) -> u64 {
    let Server { member, disk, serving, given, .. } = &**server;
    let mut text = String::new();
    write!(text, "{member:?} {disk:?} {serving:?} {given}").expect("memory is left");
    xxh3_64(text.as_bytes())
}

/// What was seen.
#[derive(Debug, Default)]
struct Visit {
    states: usize,
    /// Of them, with something delivered.
    delivered: usize,
    /// Steps from one to another.
    steps: usize,
    deepest: usize,
}

/// How a state was come to.
type Trail = HashMap<u64, (u64, Option<Act>)>;

fn visit(root: Root, bound: Bound) -> Visit {
    let first = State::new(root, bound);
    let origin = first.digest();
    let mut trail = Trail::from([(origin, (origin, None))]);
    let mut frontier = Vec::from([(first, origin)]);
    let mut seen = Visit { states: 1, ..Visit::default() };
    while !frontier.is_empty() {
        seen.deepest += 1;
        for (state, from) in core::mem::take(&mut frontier) {
            for act in state.acts() {
                let mut next = state.clone();
                let step = core::panic::AssertUnwindSafe(|| next.act(act));
                if std::panic::catch_unwind(step).is_err() {
                    panic!("{:?}, then {act:?}", path(&trail, from));
                }
                seen.steps += 1;
                if next.is_beyond_bounds() {
                    continue;
                }
                let digest = next.digest();
                if trail.contains_key(&digest) {
                    continue;
                }
                trail.insert(digest, (from, Some(act)));
                seen.states += 1;
                seen.delivered += usize::from(!next.world.chosen.is_empty());
                if seen.states.is_multiple_of(SETTLED_EVERY) {
                    next.settles();
                }
                frontier.push((next, digest));
            }
        }
    }
    seen
}

fn path(trail: &Trail, mut at: u64) -> Vec<Act> {
    let mut acts = Vec::new();
    while let Some((from, Some(act))) = trail.get(&at) {
        acts.push(*act);
        at = *from;
    }
    acts.reverse();
    acts
}

impl Bound {
    const fn new(tries: u8, breaks: u8, crashes: u8, writes: u8) -> Self {
        Self { tries, breaks, crashes, writes }
    }
}

#[test]
fn three_that_have_just_started_agree_whomever_they_try() {
    let seen = visit(Root::Fresh, Bound::new(3, 0, 0, 1));
    assert!(seen.states > 2000 && seen.delivered > 300, "{seen:?}");
}

#[test]
fn around_a_write_any_process_may_die() {
    let seen = visit(Root::Led, Bound::new(2, 0, 1, 1));
    assert!(seen.states > 10_000 && seen.delivered > 5000, "{seen:?}");
}

#[test]
fn around_a_write_any_link_may_break() {
    let seen = visit(Root::Led, Bound::new(2, 1, 0, 1));
    assert!(seen.states > 3000 && seen.delivered > 1500, "{seen:?}");
}

#[test]
fn an_epoch_has_one_leader_whoever_changes_sides() {
    let seen = visit(Root::Hung, Bound::new(3, 1, 0, 0));
    assert!(seen.states > 1000, "{seen:?}");
}

/// See the module: does nothing unless asked.
#[test]
fn as_far_as_asked() {
    let Some(text) = option_env!("OSTLER_ZAB_BOUND") else { return };
    let (root, numbers) = text.split_once(' ').expect("a root and four numbers");
    let root = match root {
        "fresh" => Root::Fresh,
        "led" => Root::Led,
        "hung" => Root::Hung,
        other => panic!("{other} is no root"),
    };
    let numbers: Vec<_> =
        numbers.split(' ').map(|number| number.parse().expect("a small number")).collect();
    let [tries, breaks, crashes, writes] = numbers[..] else { panic!("four numbers: {text}") };
    let bound = Bound::new(tries, breaks, crashes, writes);
    std::println!("{root:?}, {bound:?}: {:?}", visit(root, bound));
}
