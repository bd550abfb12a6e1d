//! Random schedules: links that break, disks that are late, processes that die, in any order.
//! Some have candidates named by chance in place of elections, so that discovery meets what
//! elections would spare it. What has to hold always is checked by the ensemble itself; in the end
//! all have to agree again.
//!
//! `OSTLER_ZAB_SEED` (at build time) replays one schedule, `OSTLER_ZAB_SEEDS` runs more of them.

use super::trial::{Chance, Packet, World};
use crate::types::{ServerId, Zxid};
use crate::zab::io::MemberInput;
use crate::zab::quorum::{Ensemble, Membership, Role};
use std::vec::Vec;

const SEEDS: u64 = 500;

/// What may happen in one schedule; each seed does without some of it.
struct Faults {
    crashes: bool,
    breaks: bool,
    cuts: bool,
    lost_votes: bool,
    purges: bool,
    pauses: bool,
    slow_disks: bool,
    no_elections: bool,
}

impl Faults {
    fn draw(chance: &mut Chance) -> Self {
        let mut draw = || chance.one_in(2);
        Self {
            crashes: draw(),
            breaks: draw(),
            cuts: draw(),
            lost_votes: draw(),
            purges: draw(),
            pauses: draw(),
            slow_disks: draw(),
            no_elections: draw() && draw(),
        }
    }
}

fn membership(chance: &mut Chance) -> Membership {
    let voters = [1, 2, 3, 3, 3, 3, 4, 5][chance.below(8)];
    let observers = chance.below(2) as u64;
    let grouped = voters == 5 && chance.one_in(2);
    let weight = |server| if server == 1 && chance.0.is_multiple_of(4) { 2 } else { 1 };
    let voter = |server: u64| {
        let group = if grouped { server % 2 } else { 0 };
        (ServerId(server), Role::Voter { group, weight: weight(server) })
    };
    let observer = |server| (ServerId(server), Role::Observer);
    let members = (1..=voters).map(voter);
    let members = members.chain((voters + 1..=voters + observers).map(observer)).collect();
    Membership::new(Ensemble { version: Zxid::ZERO, members })
}

struct Schedule {
    world: World,
    chance: Chance,
    faults: Faults,
    ids: Vec<ServerId>,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let membership = membership(&mut chance);
        let window_bytes = [0, 200, 600, 1 << 20][chance.below(4)];
        let counter_max = [3, 10, 1 << 31, 1 << 31][chance.below(4)];
        let ids = membership.members().into_iter().collect();
        let mut world = World::of(membership, window_bytes, counter_max);
        let faults = Faults::draw(&mut chance);
        if faults.no_elections {
            world = world.without_elections();
        }
        Self { world, chance, faults, ids }
    }

    fn any(&mut self) -> ServerId {
        self.ids[self.chance.below(self.ids.len())]
    }

    fn step(&mut self) {
        let (a, b) = (self.any(), self.any());
        let state = &self.world.servers[&a];
        let looks = state.is_up && state.member.is_looking();
        if self.faults.no_elections && looks && self.chance.one_in(6) {
            self.world.member(a, MemberInput::Try(b));
        }
        match self.chance.below(100) {
            0..60 => {
                for _ in 0..=self.chance.below(4) {
                    let (a, b) = (self.any(), self.any());
                    self.world.deliver(a, b);
                }
            }
            60..75 if self.faults.slow_disks && a.0 % 2 == 0 && !self.chance.one_in(8) => {}
            60..75 => {
                self.world.sync(a);
            }
            75..83 => {
                self.world.answer(a);
            }
            83..90 => self.time(a),
            90..95 => {
                let count = 1 + self.chance.below(3);
                if self.world.servers[&a].is_up {
                    self.world.propose(a, count);
                }
            }
            95..97 if self.world.servers[&a].serving.is_some_and(|reign| reign.leader == a) => {
                self.world.confirm(a);
            }
            _ => self.fault(a, b),
        }
        if self.chance.one_in(4) {
            self.world.link();
        }
    }

    fn time(&mut self, server: ServerId) {
        if self.faults.pauses && self.chance.one_in(10) {
            let ms = self.chance.below(400) as u64;
            self.world.pass(ms);
        }
        let ms = self.chance.below(30) as u64;
        self.world.pass(ms);
        for server in self.ids.clone() {
            self.world.tick(server);
        }
        self.world.tick(server);
    }

    fn fault(&mut self, a: ServerId, b: ServerId) {
        match self.chance.below(7) {
            0 if self.faults.crashes && self.world.servers[&a].is_up => {
                let kept = self.chance.below(3);
                self.world.crash(a, kept);
            }
            1 if !self.world.servers[&a].is_up => self.world.restart(a),
            2 if self.faults.breaks && a != b => {
                let arrives = self.chance.below(5);
                self.world.break_link(a, b, arrives);
            }
            3 if self.faults.cuts && a != b => self.world.cut(a, b),
            4 => self.world.heal(),
            5 if self.faults.purges && self.world.servers[&a].is_up => self.world.purge(a),
            6 if self.faults.lost_votes => {
                if let Some(link) = self.world.links.get_mut(&(a, b)) {
                    link.retain(|packet| !matches!(packet, Packet::Vote(_)));
                }
            }
            _ => {}
        }
    }

    fn run(mut self) -> usize {
        for _ in 0..3 {
            for _ in 0..300 {
                self.step();
            }
            // Some time for things to get going again, with all faults in place.
            if self.chance.one_in(2) {
                self.world.run(300);
            }
        }
        for server in self.ids.clone() {
            if !self.world.servers[&server].is_up {
                self.world.restart(server);
            }
        }
        self.world.heal();
        self.world.with_elections();
        self.world.converge();
        self.world.chosen.len()
    }
}

#[test]
fn in_any_order_of_events_one_history_is_delivered() {
    if let Some(seed) = option_env!("OSTLER_ZAB_SEED") {
        Schedule::new(seed.parse().expect("a seed is a number")).run();
        return;
    }
    let seeds = option_env!("OSTLER_ZAB_SEEDS")
        .map_or(SEEDS, |seeds| seeds.parse().expect("a count is a number"));
    let mut delivered = 0;
    for seed in 0..seeds {
        let run = || Schedule::new(seed).run();
        let result = std::panic::catch_unwind(run);
        delivered += result.unwrap_or_else(|_| panic!("replay: OSTLER_ZAB_SEED={seed}"));
    }
    assert!(delivered as u64 > seeds * 5, "schedules in which little happens prove little");
}
