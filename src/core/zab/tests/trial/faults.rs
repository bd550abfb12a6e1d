//! What can go wrong: processes die and start again, links break, logs are purged.

use super::{Disk, Packet, Server, TIMING, World, pair};
use crate::types::ServerId;
use crate::zab::member::Member;
use std::collections::VecDeque;
use std::sync::Arc;
use std::vec::Vec;

impl World {
    pub(in crate::zab) fn start(&mut self, server: ServerId, disk: Disk) {
        let given = self.position(disk.image.snapshot);
        let membership = self.membership.clone();
        let recovered = disk.image.recovered();
        let window_bytes = self.window_bytes;
        let mut member = Member::new(server, membership.clone(), TIMING, recovered, window_bytes);
        member.roll_over_at(self.counter_max);
        let state = Server { given, ..Server::new(server, membership, member, disk) };
        self.servers.insert(server, Arc::new(state));
        let mut effects = Vec::new();
        self.server(server).member.start(&mut effects);
        self.perform(server, effects);
    }

    /// The process is gone; of what was not synced, the first `kept` orders reached the disk.
    pub(in crate::zab) fn crash(&mut self, server: ServerId, kept: usize) {
        let peers: Vec<_> = self.servers.keys().copied().filter(|peer| *peer != server).collect();
        for peer in peers {
            self.break_link(server, peer, 0);
            self.links.entry((peer, server)).or_default().clear();
        }
        let state = self.server(server);
        assert!(state.is_up);
        for _ in 0..kept {
            state.disk.sync();
        }
        state.disk.queue.clear();
        state.disk.image.stage = None;
        state.is_up = false;
        state.serving = None;
    }

    pub(in crate::zab) fn restart(&mut self, server: ServerId) {
        let disk = core::mem::take(&mut self.server(server).disk);
        self.start(server, disk);
    }

    /// Of what is on its way each way, `arrives` messages still arrive.
    pub(in crate::zab) fn break_link(&mut self, a: ServerId, b: ServerId, arrives: usize) {
        if !self.up.remove(&pair(a, b)) {
            return;
        }
        for way in [(a, b), (b, a)] {
            let link = self.links.entry(way).or_default();
            link.truncate(arrives);
            link.push_back(Packet::Down);
        }
    }

    pub(in crate::zab) fn cut(&mut self, a: ServerId, b: ServerId) {
        self.cut.insert(pair(a, b));
        self.break_link(a, b, 0);
    }

    pub(in crate::zab) fn is_linked(&self, a: ServerId, b: ServerId) -> bool {
        self.up.contains(&pair(a, b))
    }

    pub(in crate::zab) fn isolate(&mut self, server: ServerId) {
        let peers: Vec<_> = self.servers.keys().copied().filter(|peer| *peer != server).collect();
        for peer in peers {
            self.cut(server, peer);
        }
    }

    pub(in crate::zab) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Makes links where nothing is in the way.
    pub(in crate::zab) fn link(&mut self) {
        let ids: Vec<_> = self.servers.keys().copied().collect();
        for a in &ids {
            for b in ids.iter().filter(|b| a < *b) {
                let alive = self.servers[a].is_up && self.servers[b].is_up;
                let ways = [(*a, *b), (*b, *a)];
                let quiet =
                    ways.iter().all(|way| self.links.get(way).is_none_or(VecDeque::is_empty));
                let free = !self.cut.contains(&(*a, *b)) && !self.up.contains(&(*a, *b));
                if alive && quiet && free {
                    self.up.insert((*a, *b));
                    for way in ways {
                        self.links.entry(way).or_default().push_back(Packet::Up);
                    }
                }
            }
        }
    }

    /// The host writes a snapshot, and the log before it is deleted.
    pub(in crate::zab) fn purge(&mut self, server: ServerId) {
        let given = self.servers[&server].given;
        let Some(last) = given.checked_sub(1).map(|index| self.chosen[index].zxid) else { return };
        let image = &mut self.server(server).disk.image;
        if last > image.snapshot && image.contains(last) {
            image.snapshot = last;
            image.base = last;
            image.log.retain(|entry| entry.zxid > last);
        }
    }
}
