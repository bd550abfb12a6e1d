//! Heartbeats: whether a quorum still follows this leader, and proof of it for reads.
//!
//! A round is one `Ping` to every learner. Its echoes prove that the learners followed this
//! leader at some moment after the round began, which is all that any check here rests on. A
//! learner that asks for proof gives some itself: it followed this leader when it asked.

use super::ground::{Effects, Ground};
use super::leader::{Leader, Peer, Phase};
use super::queue::Confirm;
use crate::types::{ServerId, Zxid};
use crate::zab::io::MemberEffect;
use crate::zab::message::Message;
use alloc::collections::{BTreeMap, VecDeque};

/// A read that waits for proof.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    token: u64,
    target: Zxid,
    /// This round or a later one proves it.
    round: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Echo {
    round: u64,
    /// When the echoed round began.
    begun_ms: u64,
}

/// After a pause: nothing is ordered before this round is echoed by a quorum.
#[derive(Clone, Copy, Debug)]
struct Probation {
    round: u64,
    until_ms: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    round: u64,
    /// Rounds begun not longer ago than silence is borne, and when.
    begun: VecDeque<(u64, u64)>,
    echoes: BTreeMap<ServerId, Echo>,
    next_beat_ms: u64,
    /// In the order they came, so that rounds never fall.
    waiting: VecDeque<Waiting>,
    probation: Option<Probation>,
}

impl Pulse {
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            round: 0,
            begun: VecDeque::new(),
            echoes: BTreeMap::new(),
            next_beat_ms: now_ms,
            waiting: VecDeque::new(),
            probation: None,
        }
    }

    pub(super) fn is_on_probation(&self) -> bool {
        self.probation.is_some()
    }

    /// A learner adopted the history: it follows, whatever it echoed before.
    pub(super) fn heard_new(&mut self, from: ServerId, now_ms: u64) {
        self.echoes.entry(from).or_default().begun_ms = now_ms;
    }

    /// A write proposed after a read came was acknowledged by a quorum: that proves it as well.
    pub(super) fn settle_committed(&mut self, committed: Zxid, out: &mut Effects) {
        while let Some(first) = self.waiting.front().filter(|first| first.target < committed) {
            out.push(first.confirmed());
            self.waiting.pop_front();
        }
    }

    fn settle_rounds(&mut self, echoed: u64, out: &mut Effects) {
        while let Some(first) = self.waiting.front().filter(|first| first.round <= echoed) {
            out.push(first.confirmed());
            self.waiting.pop_front();
        }
    }

    fn begin_round(&mut self, now_ms: u64, remembered_ms: u64) -> u64 {
        self.round += 1;
        self.begun.push_back((self.round, now_ms));
        while self.begun.front().is_some_and(|(_, begun_ms)| begun_ms + remembered_ms < now_ms) {
            self.begun.pop_front();
        }
        self.round
    }

    fn begun_ms(&self, round: u64) -> Option<u64> {
        let (first, _) = *self.begun.front()?;
        let index = usize::try_from(round.checked_sub(first)?).ok()?;
        self.begun.get(index).map(|(_, begun_ms)| *begun_ms)
    }
}

impl Waiting {
    fn confirmed(&self) -> MemberEffect {
        MemberEffect::Confirmed { token: self.token, target: self.target }
    }
}

impl Leader {
    pub(super) fn tick(&mut self, ground: &mut Ground, paused: bool, out: &mut Effects) {
        let now_ms = ground.now.mono_ms;
        if ground.electorate.decides_alone {
            return self.tick_alone(ground, out);
        }
        if paused && self.is_serving {
            let until_ms = now_ms + ground.timing.silence_ms;
            self.pulse.probation = Some(Probation { round: self.pulse.round + 1, until_ms });
            self.beat(ground, out);
        }
        let has_stalled = self.phase != Phase::Established
            && now_ms.saturating_sub(self.progress_ms) > ground.timing.join_ms;
        if has_stalled || (self.is_serving && self.has_lost_quorum(ground)) {
            ground.is_leaving = true;
            return;
        }
        self.tick_alone(ground, out);
    }

    fn tick_alone(&mut self, ground: &Ground, out: &mut Effects) {
        if ground.now.mono_ms >= self.pulse.next_beat_ms {
            self.beat(ground, out);
        }
    }

    fn has_lost_quorum(&self, ground: &Ground) -> bool {
        let now_ms = ground.now.mono_ms;
        if let Some(probation) = self.pulse.probation {
            return now_ms > probation.until_ms;
        }
        let echoes = self.pulse.echoes.iter().map(|(server, echo)| (*server, echo.begun_ms));
        let heard_ms = ground.electorate.reached(ground.me, now_ms, echoes).unwrap_or(0);
        now_ms.saturating_sub(heard_ms) > ground.timing.silence_ms
    }

    /// Begins a round.
    pub(super) fn beat(&mut self, ground: &Ground, out: &mut Effects) {
        let now_ms = ground.now.mono_ms;
        self.pulse.next_beat_ms = now_ms + ground.timing.heartbeat_ms;
        let round = self.pulse.begin_round(now_ms, ground.timing.silence_ms);
        let (epoch, committed) = (self.epoch, ground.committed);
        let follows = |peer: &Peer| peer.is_forwarded() || peer.is_in_place();
        let peers = self.peers.iter().filter(|(_, peer)| follows(peer));
        let ping = Message::Ping { epoch, round, committed };
        out.extend(peers.map(|(learner, _)| MemberEffect::Send(*learner, ping.clone())));
    }

    /// A learner echoed a round.
    pub(super) fn pong(
        &mut self,
        ground: &mut Ground,
        from: ServerId,
        round: u64,
        out: &mut Effects,
    ) {
        let follows = self.peers.get(&from).is_some_and(Peer::follows);
        let begun_ms = self.pulse.begun_ms(round);
        let (true, Some(begun_ms)) = (follows, begun_ms) else {
            ground.dropped += 1;
            return;
        };
        let echo = self.pulse.echoes.entry(from).or_default();
        echo.round = echo.round.max(round);
        echo.begun_ms = echo.begun_ms.max(begun_ms);
        if self.pulse.waiting.is_empty() && !self.pulse.is_on_probation() {
            return;
        }
        let echoes = self.pulse.echoes.iter().map(|(server, echo)| (*server, echo.round));
        let reached = ground.electorate.reached(ground.me, self.pulse.round, echoes);
        let reached = reached.unwrap_or(0);
        self.pulse.settle_rounds(reached, out);
        if self.pulse.waiting.front().is_some_and(|first| first.round > self.pulse.round) {
            self.beat(ground, out);
        }
        if self.pulse.probation.is_some_and(|probation| probation.round <= reached) {
            self.pulse.probation = None;
            self.resume(ground, out);
        }
    }

    /// A read wants proof that this server leads now.
    pub(super) fn confirm(
        &mut self,
        ground: &mut Ground,
        token: u64,
        asker: ServerId,
        out: &mut Effects,
    ) {
        if !self.is_serving {
            ground.dropped += 1;
            return;
        }
        // What it has to have seen may be a write that has no place in the history yet.
        let confirm = Confirm { token, asker };
        if self.queue.is_empty() {
            self.prove(ground, confirm, out);
        } else {
            self.queue.push_confirm(confirm);
        }
    }

    /// Gives the proof, or begins what leads to it.
    pub(super) fn prove(
        &mut self,
        ground: &Ground,
        Confirm { token, asker }: Confirm,
        out: &mut Effects,
    ) {
        let round = self.pulse.round + 1;
        let waiting = Waiting { token, target: ground.logged(), round };
        if self.is_proven_by(ground, asker) {
            out.push(waiting.confirmed());
            return;
        }
        // Those that come while a round is under way share the next one.
        let is_round_under_way =
            self.pulse.waiting.front().is_some_and(|first| first.round <= self.pulse.round);
        self.pulse.waiting.push_back(waiting);
        if !is_round_under_way {
            self.beat(ground, out);
        }
    }

    /// Whether it takes no more than this server and the one that asks. Whoever promised a later
    /// epoch before the read came would have to be one of the two, yet one leads, and the other
    /// followed when it asked, which it did after the read had come.
    fn is_proven_by(&self, ground: &Ground, asker: ServerId) -> bool {
        ground.electorate.decides_alone
            || (self.peers.get(&asker).is_some_and(Peer::follows)
                && ground.electorate.decide(ground.me, [asker].into_iter()))
    }
}
