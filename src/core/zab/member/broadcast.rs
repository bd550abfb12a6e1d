//! An established leader orders writes: each goes to the log and to the learners in one step,
//! and is committed when it is durable on a quorum.

use super::LEARNER_BYTES_MAX;
use super::ground::{Effects, Ground};
use super::leader::{Leader, Phase};
use super::queue::Head;
use super::window::weight;
use crate::types::{ServerId, Zxid};
use crate::zab::io::MemberEffect;
use crate::zab::message::Message;
use crate::zab::{Draft, Proposal};
use alloc::vec::Vec;

impl Leader {
    /// Gives each draft its place, or keeps it until that is possible.
    pub(super) fn propose(&mut self, ground: &mut Ground, drafts: Vec<Draft>, out: &mut Effects) {
        if !self.is_serving {
            let origins = drafts.iter().map(|draft| draft.origin).collect();
            out.push(MemberEffect::Refused(origins));
            return;
        }
        if self.queue.is_empty() && !drafts.is_empty() && self.may_order() {
            self.order(ground, drafts, out);
            return self.roll(ground, out);
        }
        self.queue.push(drafts);
        self.resume(ground, out);
    }

    /// Whether more may depart.
    fn may_order(&self) -> bool {
        self.under_way.bytes() < self.flow.under_way_bytes
            && !self.roll_over.is_closed()
            && !self.pulse.is_on_probation()
    }

    /// Orders what waits, as far as that is possible now.
    pub(super) fn resume(&mut self, ground: &mut Ground, out: &mut Effects) {
        while self.may_order() {
            match self.queue.pop(self.flow.together_bytes) {
                Some(Head::Writes(drafts)) => self.order(ground, drafts, out),
                Some(Head::Confirm(confirm)) => self.prove(ground, confirm, out),
                None => break,
            }
        }
        self.roll(ground, out);
    }

    /// As many as the epoch has places for; the rest waits for the next.
    fn order(&mut self, ground: &mut Ground, mut drafts: Vec<Draft>, out: &mut Effects) {
        let previous = ground.logged();
        let begin = if previous.epoch() == self.epoch { previous.counter() } else { 0 };
        let room = self.roll_over.room(begin);
        if drafts.len() > room {
            let rest = drafts.split_off(room);
            self.queue.put_back(rest);
            self.roll_over.fill();
        }
        let time_ms = ground.time_ms.max(ground.now.wall_ms);
        let (epoch, mut last) = (self.epoch, Zxid::new(self.epoch, begin));
        let entries: Vec<_> = drafts
            .into_iter()
            .map(|Draft { origin, payload }| {
                last = last.next().expect("an epoch is left before its places are used up");
                Proposal { zxid: last, time_ms, origin, payload }
            })
            .collect();
        if entries.is_empty() {
            return;
        }
        if self.peers.is_empty() {
            return ground.append(entries, out);
        }
        let bytes = entries.iter().map(weight).sum();
        self.under_way.push(last, bytes);
        let committed = ground.committed;
        let peers = self.peers.iter_mut().filter(|(_, peer)| peer.is_forwarded());
        for (learner, peer) in peers {
            peer.unacknowledged.push(last, bytes);
            let entries = entries.clone();
            let message = Message::Propose { epoch, previous, entries, committed };
            out.push(MemberEffect::Send(*learner, message));
        }
        ground.append(entries, out);
        self.drop_the_slow(ground, out);
    }

    /// A learner that does not keep up must not fill the memory of everybody's leader.
    fn drop_the_slow(&mut self, ground: &mut Ground, out: &mut Effects) {
        let is_slow = |bytes: usize| bytes > LEARNER_BYTES_MAX;
        let slow = self.peers.iter().filter(|(_, peer)| is_slow(peer.unacknowledged.bytes()));
        let slow: Vec<_> = slow.map(|(learner, _)| *learner).collect();
        for learner in slow {
            out.push(MemberEffect::Disconnect(learner));
            self.remove(ground, learner, out);
        }
    }

    /// A learner's disk has come so far.
    pub(super) fn ack(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        durable: Zxid,
        out: &mut Effects,
    ) {
        let peer = self.peers.get_mut(&from).filter(|peer| peer.has_adopted());
        let Some(peer) = peer else { return ground.dropped += 1 };
        if durable > ground.logged() {
            out.push(MemberEffect::Disconnect(from));
            return self.remove(ground, from, out);
        }
        peer.matched = peer.matched.max(durable);
        peer.unacknowledged.pop_until(durable);
        self.advance(ground, out);
    }

    /// Commits what is durable on a quorum, and tells everybody once.
    pub(super) fn advance(&mut self, ground: &mut Ground, out: &mut Effects) {
        if self.phase != Phase::Established {
            return;
        }
        let adopted = self.peers.iter().filter(|(_, peer)| peer.has_adopted());
        let matched = adopted.map(|(server, peer)| (*server, peer.matched));
        let reached = ground.electorate.reached(ground.me, ground.durable, matched);
        if let Some(committed) = reached.filter(|zxid| *zxid > ground.committed) {
            assert!(ground.commit(committed), "what is durable is in the history");
            let message = Message::Commit { epoch: self.epoch, committed };
            let adopted = self.peers.iter().filter(|(_, peer)| peer.has_adopted());
            out.extend(adopted.map(|(to, _)| MemberEffect::Send(*to, message.clone())));
            // Before the writes it proves, for these may be later than the read.
            self.pulse.settle_committed(committed, out);
            self.under_way.pop_until(committed);
        }
        ground.deliver(out);
        self.resume(ground, out);
    }
}
