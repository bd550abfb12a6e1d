//! Fast leader election: finds a good candidate quickly, and the leader that is there already.
//!
//! Safety does not rest on it: a leader proves itself in discovery (see [`super::member`]), so
//! a notification may be lost, repeated or late. What a vote names is always durable, for the
//! member machine gives its credentials only when all it wrote is.

use super::io::{ElectionEffect, ElectionInput, Timing};
use super::message::{Notification, Standing, Vote};
use super::quorum::Membership;
use crate::rooms::{Machine, Now};
use crate::types::ServerId;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Longest time between two repetitions of a notification: losing one costs no more than this.
const RESEND_MS_MAX: u64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The member machine has not asked yet.
    Idle,
    Looking,
    /// A leader is being tried or followed, or this server leads.
    Decided,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Election {
    me: ServerId,
    membership: Membership,
    members: BTreeSet<ServerId>,
    timing: Timing,
    mode: Mode,
    round: u64,
    /// What this server would be voted by; the default for one that may not lead.
    own: Vote,
    vote: Vote,
    /// Votes of this round, this server's own among them. Only voters.
    votes: BTreeMap<ServerId, Vote>,
    /// What servers with a leader said since this server began to look.
    settled: BTreeMap<ServerId, Notification>,
    /// Peers there is a link to. No other can be followed, whoever votes for it: it would never
    /// learn that it is.
    linked: BTreeSet<ServerId>,
    decide_at_ms: Option<u64>,
    decided_ms: Option<u64>,
    resend_at_ms: u64,
    resend_after_ms: u64,
}

impl Machine for Election {
    type Input = ElectionInput;
    type Effect = ElectionEffect;

    fn step(&mut self, now: Now, input: ElectionInput, effects: &mut Vec<ElectionEffect>) {
        match input {
            ElectionInput::Look { epoch, last } => {
                let own = Vote { epoch, zxid: last, leader: self.me };
                self.look(now, own, effects);
            }
            ElectionInput::Settled(reign) => {
                self.mode = Mode::Decided;
                self.vote.leader = reign.leader;
            }
            ElectionInput::Received(from, notification) => {
                self.linked.insert(from);
                self.receive(from, notification, effects);
            }
            ElectionInput::LinkUp(peer) => {
                self.linked.insert(peer);
                if self.mode == Mode::Looking {
                    effects.push(ElectionEffect::Send(peer, self.notification(true)));
                }
            }
            ElectionInput::LinkDown(peer) => {
                self.linked.remove(&peer);
                self.settled.remove(&peer);
            }
            ElectionInput::Tick => self.tick(now, effects),
        }
        if self.mode == Mode::Looking {
            self.decide(now, effects);
        }
    }
}

impl Election {
    /// An election that waits to be asked.
    pub fn new(me: ServerId, membership: Membership, timing: Timing) -> Self {
        let members = membership.members();
        Self {
            me,
            membership,
            members,
            timing,
            mode: Mode::Idle,
            round: 0,
            own: Vote::default(),
            vote: Vote::default(),
            votes: BTreeMap::new(),
            settled: BTreeMap::new(),
            linked: BTreeSet::new(),
            decide_at_ms: None,
            decided_ms: None,
            resend_at_ms: 0,
            resend_after_ms: timing.heartbeat_ms,
        }
    }

    /// Whether this server looks for a leader.
    pub fn is_looking(&self) -> bool {
        self.mode == Mode::Looking
    }

    fn look(&mut self, now: Now, own: Vote, effects: &mut Vec<ElectionEffect>) {
        self.mode = Mode::Looking;
        self.settled.clear();
        self.own = if self.membership.is_voter(self.me) { own } else { Vote::default() };
        self.begin_round(self.round + 1);
        self.resend_after_ms = self.timing.heartbeat_ms;
        self.resend_at_ms = now.mono_ms + self.resend_after_ms;
        self.broadcast(true, effects);
    }

    fn begin_round(&mut self, round: u64) {
        self.round = round;
        self.votes.clear();
        self.choose(self.own);
    }

    fn choose(&mut self, vote: Vote) {
        self.vote = vote;
        self.decide_at_ms = None;
        if self.membership.is_voter(self.me) {
            self.votes.insert(self.me, vote);
        }
    }

    fn receive(&mut self, from: ServerId, said: Notification, effects: &mut Vec<ElectionEffect>) {
        if from == self.me || !self.members.contains(&from) {
            return;
        }
        match (self.mode, said.standing) {
            (Mode::Idle, _) => {}
            (Mode::Decided, Standing::Looking) if said.asks => {
                effects.push(ElectionEffect::Send(from, self.notification(false)));
            }
            // Whoever has a leader is not drawn into another election.
            (Mode::Decided, _) => {}
            (Mode::Looking, Standing::Looking) => self.receive_vote(from, said, effects),
            (Mode::Looking, Standing::Following | Standing::Leading | Standing::Observing) => {
                // It decided by a vote of this very round, which may have been lost on its way.
                if said.round == self.round {
                    self.count(from, said.vote);
                }
                self.settled.insert(from, said);
            }
        }
    }

    fn receive_vote(
        &mut self,
        from: ServerId,
        said: Notification,
        effects: &mut Vec<ElectionEffect>,
    ) {
        self.settled.remove(&from);
        let counts = self.membership.is_voter(from) && self.membership.is_voter(self.me);
        if !counts || !self.membership.is_voter(said.vote.leader) {
            if said.asks {
                effects.push(ElectionEffect::Send(from, self.notification(false)));
            }
            return;
        }
        if said.round < self.round {
            // A laggard learns of the round from this answer.
            effects.push(ElectionEffect::Send(from, self.notification(false)));
            return;
        }
        let newer = said.round > self.round;
        if newer {
            self.begin_round(said.round);
        }
        let better = said.vote > self.vote;
        if better {
            self.choose(said.vote);
        }
        self.count(from, said.vote);
        if newer || better {
            self.broadcast(false, effects);
        } else if said.asks {
            effects.push(ElectionEffect::Send(from, self.notification(false)));
        }
    }

    fn count(&mut self, from: ServerId, vote: Vote) {
        if self.membership.is_voter(from) && self.membership.is_voter(self.me) {
            self.votes.insert(from, vote);
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<ElectionEffect>) {
        if self.mode != Mode::Looking || now.mono_ms < self.resend_at_ms {
            return;
        }
        self.broadcast(true, effects);
        self.resend_after_ms = (self.resend_after_ms * 2).min(RESEND_MS_MAX);
        self.resend_at_ms = now.mono_ms + self.resend_after_ms;
    }

    fn decide(&mut self, now: Now, effects: &mut Vec<ElectionEffect>) {
        // A candidate that turns everybody down at once must not be tried again without a pause.
        if self.decided_ms.is_some_and(|ms| now.mono_ms < ms + self.timing.heartbeat_ms) {
            return;
        }
        if let Some(leader) = self.existing_leader() {
            self.round = leader.round;
            self.settle_for(now, leader.vote, effects);
            return;
        }
        if self.is_named_by_quorum(self.me) {
            // They wait for this server, which led them a moment ago, and hold no election.
            self.settle_for(now, self.own, effects);
            return;
        }
        let agreed: BTreeSet<_> =
            self.votes.iter().filter(|(_, vote)| **vote == self.vote).map(|(s, _)| *s).collect();
        if !self.membership.is_voter(self.me) || !self.membership.is_quorum(&agreed) {
            self.decide_at_ms = None;
            return;
        }
        let voters = self.members.iter().filter(|server| self.membership.is_voter(**server));
        let unanimous = voters.count() == agreed.len();
        let decide_at_ms = *self.decide_at_ms.get_or_insert(now.mono_ms + self.timing.finalize_ms);
        let reachable = self.vote.leader == self.me || self.linked.contains(&self.vote.leader);
        if reachable && (unanimous || now.mono_ms >= decide_at_ms) {
            self.settle_for(now, self.vote, effects);
        } else if !reachable && now.mono_ms >= decide_at_ms + self.timing.heartbeat_ms {
            // It may be gone for good, and the votes for it would stand for ever.
            self.begin_round(self.round + 1);
            self.broadcast(true, effects);
        }
    }

    /// A leader that says so itself and that a quorum names. This server would be one of the
    /// quorum: else a follower whose link broke for a moment could not come back to a leader
    /// that lives on it, and both would be lost to each other until the leader gave up.
    fn existing_leader(&self) -> Option<Notification> {
        let leads = |(server, said): (&ServerId, &Notification)| {
            said.standing == Standing::Leading && said.vote.leader == *server
        };
        let leaders = self.settled.iter().filter(|(server, said)| leads((server, said)));
        let mut named = leaders.filter(|(leader, _)| self.is_named_by_quorum(**leader));
        named.next().map(|(_, said)| *said)
    }

    fn is_named_by_quorum(&self, leader: ServerId) -> bool {
        let names = self.settled.iter().filter(|(_, said)| said.vote.leader == leader);
        let mut names: BTreeSet<_> = names.map(|(server, _)| *server).collect();
        if self.membership.is_voter(self.me) {
            names.insert(self.me);
        }
        self.membership.is_voter(leader) && self.membership.is_quorum(&names)
    }

    fn settle_for(&mut self, now: Now, vote: Vote, effects: &mut Vec<ElectionEffect>) {
        self.mode = Mode::Decided;
        self.decided_ms = Some(now.mono_ms);
        self.vote = vote;
        effects.push(ElectionEffect::Try(vote.leader));
    }

    fn broadcast(&self, asks: bool, effects: &mut Vec<ElectionEffect>) {
        let notification = self.notification(asks);
        let peers = self.members.iter().filter(|server| **server != self.me);
        effects.extend(peers.map(|server| ElectionEffect::Send(*server, notification)));
    }

    fn notification(&self, asks: bool) -> Notification {
        let standing = match self.mode {
            Mode::Idle | Mode::Looking => Standing::Looking,
            Mode::Decided if self.vote.leader == self.me => Standing::Leading,
            Mode::Decided if self.membership.is_voter(self.me) => Standing::Following,
            Mode::Decided => Standing::Observing,
        };
        Notification { round: self.round, standing, vote: self.vote, asks }
    }
}

#[cfg(test)]
#[path = "election_test.rs"]
mod tests;
