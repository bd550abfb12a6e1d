//! The world of one run: servers, links, clients, and the agenda that says what happens next.
//!
//! One thing happens at a time. A room takes one input, or has one of its effects performed; in
//! between, anything else may happen, a crash too. Which of the things that are due comes first
//! is the seed's choice, through the time that each takes.

use crate::calls::Calls;
use crate::chance::Chance;
use crate::client::Client;
use crate::disk::SharedDisk;
use crate::doors::Wire;
use crate::links::{Links, Way};
use crate::oracle::Oracle;
use crate::plan::{Plan, Promise, When};
use crate::server::{Name, Server};
use ostler_core::types::{ConnectionId, ServerId, Zxid};
use ostler_core::zab::quorum::{Ensemble, Membership, Role};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

/// Timers of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Tick,
    Sweep,
    Report,
    Quiet,
    Reap,
}

/// Something on the agenda. Lives are those of the server; what belongs to an earlier one is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Act(usize, u64, Name),
    Synced(usize, u64),
    Timer(usize, u64, Timer),
    Arrival(Way),
    Dial(usize, usize),
    Seat(usize, u64, ConnectionId),
    Ask(usize, u64),
    ToServer(u64),
    ToClient(u64),
    Client(usize),
    Fault(usize),
    FaultEnds(usize),
    Start(usize),
}

/// A line of the agenda. The earliest comes first; chance decides between equals.
struct Entry {
    at_us: u64,
    tie: u64,
    due: Due,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // The greatest of a heap comes first.
        (other.at_us, other.tie).cmp(&(self.at_us, self.tie))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// How much a run did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) simulated_us: u64,
    pub(crate) acts: u64,
    /// Of each kind of thing, how many.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Of each kind of fault, how many.
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn count(&mut self, what: &'static str, more: u64) {
        *self.counts.entry(what).or_default() += more;
    }

    pub(crate) fn faults(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.simulated_us += other.simulated_us;
        self.acts += other.acts;
        for (what, more) in &other.counts {
            self.count(what, *more);
        }
        for (kind, more) in &other.faults {
            *self.faults.entry(kind).or_default() += more;
        }
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now_us: u64,
    agenda: BinaryHeap<Entry>,
    serial: u64,
    pub(crate) servers: Vec<Server>,
    pub(crate) links: Links,
    pub(crate) clients: Vec<Client>,
    /// The connection of each client, while it has one.
    pub(crate) connected: BTreeMap<usize, u64>,
    pub(crate) wires: BTreeMap<u64, Wire>,
    pub(crate) next_wire: u64,
    pub(crate) calls: Calls,
    pub(crate) oracle: Oracle,
    pub(crate) membership: Membership,
    pub(crate) dice: Chance,
    pub(crate) auditor: Chance,
    pub(crate) promises: BTreeMap<Promise, u64>,
    pub(crate) tally: Tally,
    /// Servers that stay broken when the storm is over.
    pub(crate) given_up: Vec<usize>,
    /// Sum over everything that happened: equal for equal runs.
    pub(crate) fingerprint: u64,
    pub(crate) is_traced: bool,
    /// The message that is leaving just now goes there; for guided faults.
    pub(crate) addressee: Option<usize>,
    pub(crate) storm_over: bool,
}

impl World {
    pub(crate) fn new(plan: Plan, is_traced: bool) -> Self {
        let seed = plan.seed;
        let ids = (0..plan.servers()).map(|place| ServerId(place as u64 + 1));
        let voter = |(group, weight): &(u64, u64)| Role::Voter { group: *group, weight: *weight };
        let role = |place: usize| plan.weights.get(place).map_or(Role::Observer, voter);
        let members = ids.clone().enumerate().map(|(place, id)| (id, role(place))).collect();
        let membership = Membership::new(Ensemble { version: Zxid::ZERO, members });
        let mut skew = Chance::of(seed, 3);
        let servers = ids.map(|id| Server {
            id,
            life: 0,
            disk: SharedDisk::new(seed ^ (id.0 << 32)),
            rooms: None,
            paused_until_us: 0,
            skew_ppm: skew.below(plan.skew_ppm * 2 + 1) as i64 - plan.skew_ppm as i64,
            wall_offset_ms: skew.below(1000) as i64,
            sync_us: plan.sync_us,
            connections: 0,
            is_dark: false,
        });
        let servers: Vec<_> = servers.collect();
        let links = Links::new(servers.len(), plan.latency_us, Chance::of(seed, 4));
        let clients = (0..plan.clients).map(|number| Client::new(number, &plan)).collect();
        let mut world = Self {
            now_us: 1_000_000,
            agenda: BinaryHeap::new(),
            serial: 0,
            servers,
            links,
            clients,
            connected: BTreeMap::new(),
            wires: BTreeMap::new(),
            next_wire: 0,
            calls: Calls::default(),
            oracle: Oracle::default(),
            membership,
            dice: Chance::of(seed, 5),
            auditor: Chance::of(seed, 8),
            promises: BTreeMap::new(),
            tally: Tally::default(),
            given_up: Vec::new(),
            fingerprint: 0,
            is_traced,
            addressee: None,
            storm_over: false,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for server in 0..self.servers.len() {
            self.schedule(self.now_us + self.draw_below(2000), Due::Start(server));
            for lower in 0..server {
                self.schedule(self.now_us + 1000, Due::Dial(server, lower));
            }
        }
        for client in 0..self.clients.len() {
            self.schedule(self.now_us + 1000, Due::Client(client));
        }
        for (index, fault) in self.plan.faults.clone().iter().enumerate() {
            if let When::At(us) = fault.when {
                self.schedule(self.now_us + us, Due::Fault(index));
            }
        }
    }

    fn draw_below(&self, bound: u64) -> u64 {
        // Starts only: the world's own stream must not depend on how many servers there are.
        Chance::of(self.plan.seed, 6 + self.serial).below(bound)
    }

    pub(crate) fn schedule(&mut self, at_us: u64, due: Due) {
        self.serial += 1;
        // Unique, for the serial stands below what chance gives.
        let tie = (self.dice.next() >> 32) << 32 | self.serial;
        self.agenda.push(Entry { at_us: at_us.max(self.now_us), tie, due });
    }

    pub(crate) fn schedule_in(&mut self, us: u64, due: Due) {
        self.schedule(self.now_us + us, due);
    }

    /// Lets time pass until then.
    pub(crate) fn run_until(&mut self, until_us: u64) {
        while self.agenda.peek().is_some_and(|next| next.at_us <= until_us) {
            let Some(Entry { at_us, due, .. }) = self.agenda.pop() else { break };
            self.now_us = at_us;
            self.happen(due);
        }
        self.now_us = until_us;
    }

    fn happen(&mut self, due: Due) {
        self.tally.acts += 1;
        let mixed = self.fingerprint.rotate_left(5) ^ self.now_us;
        self.fingerprint = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match due {
            Due::Act(server, life, name) if self.is_current(server, life) => {
                if !self.waits_for_wake(server, due) {
                    self.act(server, name);
                    self.go_dark_if_doomed(server);
                }
            }
            Due::Synced(server, life) if self.is_current(server, life) => {
                if !self.waits_for_wake(server, due) {
                    self.synced(server);
                    self.go_dark_if_doomed(server);
                }
            }
            Due::Timer(server, life, timer) if self.is_current(server, life) => {
                if !self.waits_for_wake(server, due) {
                    self.timer(server, timer);
                }
            }
            Due::Seat(server, life, connection) if self.is_current(server, life) => {
                if !self.waits_for_wake(server, due) {
                    self.seat_looks(server, connection);
                }
            }
            Due::Ask(server, life) if self.is_current(server, life) => {
                if !self.waits_for_wake(server, due) {
                    self.doors_ask(server);
                }
            }
            Due::Act(..) | Due::Synced(..) | Due::Timer(..) | Due::Seat(..) | Due::Ask(..) => {}
            Due::Arrival(way) => {
                if !self.waits_for_wake(way.1, due) {
                    self.arrive(way);
                }
            }
            Due::Dial(from, to) => self.dial(from, to),
            Due::ToServer(wire) => self.server_hears(wire),
            Due::ToClient(wire) => self.client_hears(wire),
            Due::Client(client) => self.client_acts(client),
            Due::Fault(index) => self.fault(index),
            Due::FaultEnds(index) => self.fault_ends(index),
            Due::Start(server) => {
                self.start(server);
                self.go_dark_if_doomed(server);
            }
        }
    }

    fn is_current(&self, server: usize, life: u64) -> bool {
        let server = &self.servers[server];
        server.rooms.is_some() && server.life == life
    }

    /// Whether this has to wait, because the server's process stands still.
    pub(crate) fn waits_for_wake(&mut self, server: usize, due: Due) -> bool {
        let until_us = self.servers[server].paused_until_us;
        let waits = self.servers[server].is_paused(self.now_us);
        if waits {
            self.schedule(until_us, due);
        }
        waits
    }

    /// Lets a room take up its work, if it does not already.
    pub(crate) fn wake(&mut self, server: usize, name: Name) {
        let life = self.servers[server].life;
        let Some(rooms) = &mut self.servers[server].rooms else { return };
        let begins = match name {
            Name::Peer => rooms.peer.begins(),
            Name::Pipeline => rooms.pipeline.begins(),
            Name::Log => !rooms.is_syncing && rooms.log_writer.begins(),
            Name::Tree => rooms.tree.begins(),
            Name::Fanout => rooms.fanout.begins(),
            Name::Sweeper => rooms.sweeper.begins(),
            Name::Snapshot => rooms.snapshot.begins(),
        };
        if !begins {
            return;
        }
        let us = 1 + self.dice.below(self.plan.act_us);
        self.schedule_in(us, Due::Act(server, life, name));
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.is_traced {
            println!("{:>12.3} ms  {}", self.now_us as f64 / 1000.0, line());
        }
    }

    pub(crate) fn place(&self, id: ServerId) -> usize {
        id.0 as usize - 1
    }
}
