//! Runs: until nothing is left to do, for some time, until all agree.

use super::World;
use crate::types::ServerId;
use std::vec::Vec;

const STEP_MS: u64 = 10;

impl World {
    /// Lets everything happen that does not need time.
    pub(in crate::zab) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.link();
            let mut quiet = true;
            let ids: Vec<_> = self.servers.keys().copied().collect();
            for a in &ids {
                for b in &ids {
                    quiet &= !self.deliver(*a, *b);
                }
                let slow = self.servers[a].has_slow_disk;
                quiet &= slow || !self.sync(*a);
                quiet &= !self.answer(*a);
            }
            if quiet {
                return;
            }
        }
        panic!("never quiet");
    }

    pub(in crate::zab) fn run(&mut self, ms: u64) {
        self.settle();
        for _ in 0..ms / STEP_MS {
            self.pass(STEP_MS);
            let ids: Vec<_> = self.servers.keys().copied().collect();
            for server in ids {
                self.tick(server);
            }
            self.settle();
        }
    }

    /// The server that leads, if all that are up agree and were given everything.
    pub(in crate::zab) fn agreed(&self) -> Option<ServerId> {
        let up = || self.servers.values().filter(|state| state.is_up);
        let reign = up().next()?.serving?;
        let agree = up().all(|s| s.serving == Some(reign) && s.given == self.chosen.len());
        agree.then_some(reign.leader)
    }

    /// Runs until all that are up agree, and a write reaches all of them.
    pub(in crate::zab) fn converge(&mut self) -> ServerId {
        for _ in 0..40 {
            self.run(500);
            let Some(leader) = self.agreed() else { continue };
            let before = self.chosen.len();
            self.propose(leader, 1);
            self.run(100);
            if self.agreed() == Some(leader) && self.chosen.len() > before {
                return leader;
            }
        }
        let state: Vec<_> = self.servers.values().map(|s| (s.is_up, s.serving, s.given)).collect();
        panic!("no convergence: {state:?}, {} chosen", self.chosen.len());
    }
}
