//! A small ensemble for tests: members, elections, links that are FIFO until they break, disks
//! that forget what was not synced, hosts that check what they are given.
//!
//! What can go wrong is in [`faults`], single steps are in [`steps`], whole runs in [`runs`].
//! Every effect is performed in [`perform`] and checked in [`checks`] where it appears: a promise
//! against the disk at that moment, a delivery against what any server was ever given.

mod chance;
mod checks;
mod disk;
mod faults;
mod perform;
mod runs;
mod server;
mod steps;

pub(in crate::zab) use chance::Chance;
pub(in crate::zab) use disk::Disk;
pub(in crate::zab) use server::{Packet, Server};

use crate::rooms::Now;
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::Proposal;
use crate::zab::io::Timing;
use crate::zab::quorum::{Ensemble, Membership, Role};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::vec::Vec;

pub(in crate::zab) const TIMING: Timing =
    Timing { heartbeat_ms: 50, silence_ms: 200, join_ms: 500, finalize_ms: 20 };

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::zab) struct World {
    membership: Membership,
    window_bytes: usize,
    counter_max: u32,
    pub(in crate::zab) now: Now,
    /// Shared between copies of an ensemble until they differ.
    pub(in crate::zab) servers: BTreeMap<ServerId, Arc<Server>>,
    pub(in crate::zab) links: BTreeMap<(ServerId, ServerId), VecDeque<Packet>>,
    /// Pairs with a link, smaller first.
    up: BTreeSet<(ServerId, ServerId)>,
    cut: BTreeSet<(ServerId, ServerId)>,
    pub(in crate::zab) chosen: Vec<Proposal>,
    pub(in crate::zab) elected: BTreeMap<Epoch, ServerId>,
    pub(in crate::zab) leaders: BTreeMap<Epoch, ServerId>,
    serial: u64,
    /// Whether elections take place; else candidates are named from outside.
    elects: bool,
}

pub(in crate::zab) fn id(server: u64) -> ServerId {
    ServerId(server)
}

fn pair(a: ServerId, b: ServerId) -> (ServerId, ServerId) {
    (a.min(b), a.max(b))
}

impl World {
    pub(in crate::zab) fn new(voters: u64, observers: u64, window_bytes: usize) -> Self {
        let voter = |server| (ServerId(server), Role::VOTER);
        let observer = |server| (ServerId(server), Role::Observer);
        let observers = (voters + 1..=voters + observers).map(observer);
        let members = (1..=voters).map(voter).chain(observers).collect();
        Self::of(Membership::new(Ensemble { version: Zxid::ZERO, members }), window_bytes, 1 << 31)
    }

    pub(in crate::zab) fn of(
        membership: Membership,
        window_bytes: usize,
        counter_max: u32,
    ) -> Self {
        let mut world = Self {
            membership,
            window_bytes,
            counter_max,
            now: Now { mono_ms: 1000, wall_ms: 1_000_000 },
            servers: BTreeMap::new(),
            links: BTreeMap::new(),
            up: BTreeSet::new(),
            cut: BTreeSet::new(),
            chosen: Vec::new(),
            elected: BTreeMap::new(),
            leaders: BTreeMap::new(),
            serial: 0,
            elects: true,
        };
        for server in world.membership.members() {
            world.start(server, Disk::default());
        }
        world
    }

    pub(in crate::zab) fn membership(&self) -> Membership {
        self.membership.clone()
    }

    pub(super) fn position(&self, zxid: Zxid) -> usize {
        self.chosen.iter().take_while(|entry| entry.zxid <= zxid).count()
    }

    pub(in crate::zab) fn server(&mut self, server: ServerId) -> &mut Server {
        Arc::make_mut(self.servers.get_mut(&server).expect("it is one of the ensemble"))
    }
}
