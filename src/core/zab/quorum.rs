//! Who decides: members of the ensemble, and what counts as a quorum of them.
//!
//! Nothing here knows votes or messages; every step of the protocol that needs a quorum asks
//! [`Membership::is_quorum`], which demands a quorum of each configuration in force.

use crate::types::{ServerId, Zxid};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Votes and acknowledges; counts with this weight in its group. A weight of zero never
    /// decides anything.
    Voter {
        /// Groups decide by a majority of groups, each by a majority of its weight. Without
        /// groups everybody is in group 0.
        group: u64,
        /// Usually 1.
        weight: u64,
    },
    /// Learns what is decided.
    Observer,
}

/// One configuration of the ensemble.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ensemble {
    /// The zxid that brought it into force; zero for one from a file.
    pub version: Zxid,
    /// Its members.
    pub members: BTreeMap<ServerId, Role>,
}

/// The configurations in force: the committed one, and a pending one if there is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    in_force: Vec<Ensemble>,
}

impl Role {
    /// A voter as most ensembles have them.
    pub const VOTER: Self = Self::Voter { group: 0, weight: 1 };
}

impl Ensemble {
    /// Whether these members together decide: in more than half of the groups that have weight,
    /// more than half of the group's weight (ZooKeeper's hierarchical quorums; without groups, a
    /// plain majority).
    pub fn is_quorum(&self, set: &BTreeSet<ServerId>) -> bool {
        let mut groups: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for (server, role) in &self.members {
            let Role::Voter { group, weight } = *role else { continue };
            let (all, present) = groups.entry(group).or_default();
            *all += weight;
            *present += if set.contains(server) { weight } else { 0 };
        }
        groups.retain(|_, (all, _)| *all > 0);
        let decided = groups.values().filter(|(all, present)| present * 2 > *all).count();
        decided * 2 > groups.len()
    }

    /// Whether this server votes.
    pub fn is_voter(&self, server: ServerId) -> bool {
        matches!(self.members.get(&server), Some(Role::Voter { weight, .. }) if *weight > 0)
    }
}

impl Membership {
    /// One configuration in force.
    pub fn new(ensemble: Ensemble) -> Self {
        Self { in_force: alloc::vec![ensemble] }
    }

    /// A server that is an ensemble by itself.
    pub fn alone(server: ServerId) -> Self {
        let members = BTreeMap::from([(server, Role::VOTER)]);
        Self::new(Ensemble { version: Zxid::ZERO, members })
    }

    /// Whether these members are a quorum of every configuration in force.
    pub fn is_quorum(&self, set: &BTreeSet<ServerId>) -> bool {
        self.in_force.iter().all(|ensemble| ensemble.is_quorum(set))
    }

    /// Whether this server votes in any configuration in force.
    pub fn is_voter(&self, server: ServerId) -> bool {
        self.in_force.iter().any(|ensemble| ensemble.is_voter(server))
    }

    /// Every member of every configuration in force.
    pub fn members(&self) -> BTreeSet<ServerId> {
        self.in_force.iter().flat_map(|ensemble| ensemble.members.keys().copied()).collect()
    }

    /// Whether one server decides alone.
    pub fn is_single(&self) -> bool {
        self.members().len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(servers: &[u64]) -> BTreeSet<ServerId> {
        servers.iter().copied().map(ServerId).collect()
    }

    fn ensemble(members: &[(u64, Role)]) -> Ensemble {
        let members = members.iter().map(|(id, role)| (ServerId(*id), *role)).collect();
        Ensemble { version: Zxid::ZERO, members }
    }

    #[test]
    fn a_majority_decides_and_observers_do_not_count() {
        let three = ensemble(&[
            (1, Role::VOTER),
            (2, Role::VOTER),
            (3, Role::VOTER),
            (4, Role::Observer),
            (5, Role::Observer),
        ]);
        assert!(three.is_quorum(&set(&[1, 3])));
        assert!(!three.is_quorum(&set(&[1, 4, 5])));
        assert!(!three.is_quorum(&set(&[])));
    }

    #[test]
    fn half_of_four_is_no_quorum() {
        let four: Vec<_> = (1..=4).map(|id| (id, Role::VOTER)).collect();
        assert!(!ensemble(&four).is_quorum(&set(&[1, 2])));
        assert!(ensemble(&four).is_quorum(&set(&[1, 2, 4])));
    }

    #[test]
    fn groups_decide_by_a_majority_of_groups_each_by_a_majority_of_weight() {
        let voter = |group, weight| Role::Voter { group, weight };
        let nine: Vec<_> = (1..=9).map(|id| (id, voter((id - 1) / 3, 1))).collect();
        assert!(ensemble(&nine).is_quorum(&set(&[1, 2, 4, 5])));
        assert!(!ensemble(&nine).is_quorum(&set(&[1, 2, 3, 4, 7])));
        let weighted = ensemble(&[(1, voter(0, 3)), (2, voter(0, 1)), (3, voter(0, 1))]);
        assert!(weighted.is_quorum(&set(&[1])));
        assert!(!weighted.is_quorum(&set(&[2, 3])));
        let idle_group = ensemble(&[(1, voter(0, 1)), (2, voter(1, 0))]);
        assert!(idle_group.is_quorum(&set(&[1])));
    }

    #[test]
    fn every_configuration_in_force_has_to_agree() {
        let old = ensemble(&[(1, Role::VOTER), (2, Role::VOTER), (3, Role::VOTER)]);
        let new = ensemble(&[(3, Role::VOTER), (4, Role::VOTER), (5, Role::VOTER)]);
        let both = Membership { in_force: alloc::vec![old, new] };
        assert!(!both.is_quorum(&set(&[1, 2, 3])));
        assert!(both.is_quorum(&set(&[1, 3, 4])));
    }
}
