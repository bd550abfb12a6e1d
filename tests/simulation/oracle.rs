//! What no server knows and all must agree on: the one committed history, who led which epoch,
//! the digest of the tree at each position.

use ostler_core::types::{Epoch, ServerId, Zxid};
use ostler_core::zab::{Proposal, Reign};
use std::collections::BTreeMap;

/// See the module. Every check that fails panics with what it found.
#[derive(Default)]
pub(crate) struct Oracle {
    /// The history, as far as any server was ever given it.
    pub(crate) chosen: Vec<Proposal>,
    /// How much of it each server has been given in its present life.
    given: BTreeMap<usize, usize>,
    leaders: BTreeMap<Epoch, ServerId>,
    digests: BTreeMap<Zxid, u64>,
    /// The greatest zxid of a write that any client holds an acknowledgement of.
    pub(crate) acknowledged: Zxid,
}

impl Oracle {
    /// A server was given the next piece of history. True if nobody had it before.
    pub(crate) fn deliver(&mut self, server: usize, proposal: &Proposal) -> bool {
        let at = self.given.entry(server).or_default();
        let position = *at;
        *at += 1;
        if let Some(known) = self.chosen.get(position) {
            assert!(
                known == proposal,
                "two histories: server {server} was given {} of {:?} as number {position}, where \
                 others have {} of {:?}",
                proposal.zxid,
                proposal.origin,
                known.zxid,
                known.origin
            );
            return false;
        }
        if let Some(last) = self.chosen.last() {
            assert!(last.zxid < proposal.zxid, "{} follows {}", proposal.zxid, last.zxid);
            let (before, after) = (last.time_ms, proposal.time_ms);
            assert!(before <= after, "time goes back at {}: {after} ms", proposal.zxid);
        }
        self.chosen.push(proposal.clone());
        true
    }

    /// A server's state is the one at this zxid: it has just started, or loaded a snapshot.
    pub(crate) fn reset(&mut self, server: usize, zxid: Zxid) {
        self.given.insert(server, self.position(zxid));
    }

    /// How many of the chosen there are up to this zxid, which must be one of them.
    pub(crate) fn position(&self, zxid: Zxid) -> usize {
        if zxid == Zxid::ZERO {
            return 0;
        }
        let place = self.chosen.binary_search_by_key(&zxid, |entry| entry.zxid);
        1 + place.unwrap_or_else(|_| panic!("{zxid} was never chosen, yet a state is at it"))
    }

    /// A server serves under a reign.
    pub(crate) fn serves(&mut self, reign: Reign) {
        let leader = *self.leaders.entry(reign.epoch).or_insert(reign.leader);
        assert_eq!(leader, reign.leader, "two leaders of epoch {}", reign.epoch.0);
    }

    /// A server's tree has this digest at this position.
    pub(crate) fn digest(&mut self, server: usize, zxid: Zxid, digest: u64) {
        let known = *self.digests.entry(zxid).or_insert(digest);
        assert_eq!(known, digest, "server {server} has another tree than others at {zxid}");
    }
}
