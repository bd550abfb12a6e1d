//! One member of three, told by hand what the others and its disk do.

use crate::rooms::{Machine, Now};
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::io::{MemberEffect, MemberInput};
use crate::zab::member::Member;
use crate::zab::message::Message;
use crate::zab::quorum::{Ensemble, Membership, Role};
use crate::zab::tests::trial::TIMING;
use crate::zab::{Draft, Origin, Proposal, Recovered};
use bytes::Bytes;
use std::vec::Vec;

pub(super) const ONE: ServerId = ServerId(1);
pub(super) const TWO: ServerId = ServerId(2);
pub(super) const THREE: ServerId = ServerId(3);
/// Ticks come as often as in production, so that none of them looks like a pause.
const TICK_MS: u64 = 50;

pub(super) fn zxid(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(Epoch(epoch), counter)
}

pub(super) fn entry(zxid: Zxid) -> Proposal {
    Proposal { zxid, time_ms: 0, origin: Origin::default(), payload: Bytes::from_static(b"w") }
}

/// Server 1 of three voters.
pub(super) struct Solo {
    pub(super) member: Member,
    now: Now,
    /// The last one given to the disk.
    mark: u64,
}

impl Solo {
    /// Started on this, and looking.
    pub(super) fn new(recovered: Recovered) -> Self {
        let members = [ONE, TWO, THREE].map(|server| (server, Role::VOTER)).into();
        let membership = Membership::new(Ensemble { version: Zxid::ZERO, members });
        let mut member = Member::new(ONE, membership, TIMING, recovered, 1 << 20);
        member.start(&mut Vec::new());
        Self { member, now: Now { mono_ms: 1000, wall_ms: 1000 }, mark: 0 }
    }

    /// Has asked server 2 to follow it, and was told that its epoch is going to be this.
    pub(super) fn invited(recovered: Recovered, epoch: u32) -> Self {
        let mut solo = Self::new(recovered);
        solo.step(MemberInput::Try(TWO));
        solo.hear(TWO, Message::LeaderInfo { attempt: 1, epoch: Epoch(epoch) });
        solo
    }

    /// Follows server 2, which is established in epoch 1 with nothing in its history.
    pub(super) fn following() -> Self {
        let epoch = Epoch(1);
        let mut solo = Self::invited(Recovered::default(), 1);
        solo.flush();
        solo.hear(TWO, Message::SyncFrom { epoch, base: Zxid::ZERO });
        solo.hear(TWO, Message::NewLeader { epoch, last: Zxid::ZERO });
        solo.flush();
        solo.hear(TWO, Message::UpToDate { epoch, committed: Zxid::ZERO });
        solo
    }

    /// Stands for leadership, and server 2 wants to follow: the epoch, 1, is fixed and durable.
    pub(super) fn standing(recovered: Recovered) -> Self {
        let mut solo = Self::new(recovered);
        solo.step(MemberInput::Try(ONE));
        let accepted = recovered.accepted;
        solo.hear(TWO, Message::Info { attempt: 1, accepted });
        solo.flush();
        solo
    }

    /// Server 2 has promised, with a history that ends here: this one is elected.
    pub(super) fn elected(recovered: Recovered, last: Zxid) -> Self {
        let mut solo = Self::standing(recovered);
        let epoch = recovered.accepted.epoch.next();
        let current = recovered.current;
        solo.hear(TWO, Message::AckEpoch { epoch, current, last, counts: true });
        solo
    }

    /// Leads epoch 1 with server 2, with nothing in its history; and its newest round.
    pub(super) fn leading() -> (Self, u64) {
        let mut solo = Self::elected(Recovered::default(), Zxid::ZERO);
        solo.flush();
        let effects = solo.hear(TWO, Message::AckNewLeader { epoch: Epoch(1) });
        assert!(serves(&effects), "{effects:?}");
        let round = pinged(&effects).expect("a leader begins with a round");
        (solo, round)
    }

    pub(super) fn step(&mut self, input: MemberInput) -> Vec<MemberEffect> {
        let mut effects = Vec::new();
        self.member.step(self.now, input, &mut effects);
        for effect in &effects {
            if let MemberEffect::Log { mark, .. } = effect {
                self.mark = *mark;
            }
        }
        effects
    }

    pub(super) fn hear(&mut self, from: ServerId, message: Message) -> Vec<MemberEffect> {
        self.step(MemberInput::Received(from, message))
    }

    /// Everything given to the disk is durable.
    pub(super) fn flush(&mut self) -> Vec<MemberEffect> {
        self.step(MemberInput::Durable(self.mark))
    }

    /// Time passes, with ticks; the effects of all of them.
    pub(super) fn pass(&mut self, ms: u64) -> Vec<MemberEffect> {
        let ticks = (0..ms / TICK_MS).flat_map(|_| {
            self.stop(TICK_MS);
            self.step(MemberInput::Tick)
        });
        ticks.collect()
    }

    /// Time passes, and nothing is heard of this server.
    pub(super) fn stop(&mut self, ms: u64) {
        self.now.mono_ms += ms;
    }
}

pub(super) fn draft(server: ServerId) -> Draft {
    Draft { origin: Origin { server, serial: 1 }, payload: Bytes::from_static(b"w") }
}

/// The newest round that server 2 is asked to echo.
pub(super) fn pinged(effects: &[MemberEffect]) -> Option<u64> {
    let rounds = effects.iter().filter_map(|effect| match effect {
        MemberEffect::Send(TWO, Message::Ping { round, .. }) => Some(*round),
        _ => None,
    });
    rounds.max()
}

pub(super) fn looks(effects: &[MemberEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, MemberEffect::Look { .. }))
}

pub(super) fn serves(effects: &[MemberEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, MemberEffect::Serve { .. }))
}

pub(super) fn confirms(effects: &[MemberEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, MemberEffect::Confirmed { .. }))
}

pub(super) fn halts(effects: &[MemberEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, MemberEffect::Halt(_)))
}
