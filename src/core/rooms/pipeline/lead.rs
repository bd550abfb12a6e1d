//! The leader's part of the pipeline: it lets requests of all servers in, if their connections
//! still speak for their sessions, and vouches for what must not be stale.

use super::owners::Owner;
use super::relay::{Forwarded, ForwardedBody, Relay};
use super::{Effect, PeerMessage, Pipeline};
use crate::types::{ServerId, Zxid};
use crate::wire::txn;
use crate::zab::io::MemberInput;
use crate::zab::{Draft, Origin};
use alloc::vec::Vec;
use bytes::Bytes;

/// Whose confirmation a token stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    server: ServerId,
    serial: u64,
}

impl Pipeline {
    /// True as soon as learners may believe it, which is before this server's own tree has all
    /// of the history: what they send from then on must not be lost.
    pub(super) fn leads(&self) -> bool {
        self.follows(self.me)
    }

    pub(super) fn follows(&self, leader: ServerId) -> bool {
        self.reign().is_some_and(|reign| reign.leader == leader)
    }

    pub(super) fn take_in(
        &mut self,
        from: ServerId,
        requests: Vec<Forwarded>,
        effects: &mut Vec<Effect>,
    ) {
        let mut drafts = Vec::new();
        for Forwarded { serial, session, connection, body } in requests {
            // What a connection still sends after its session was taken over must never act.
            if !self.owners.admits(session, from, connection) {
                self.dropped += 1;
                self.refuse_moved(from, serial, effects);
                continue;
            }
            let origin = Origin { server: from, serial };
            match body {
                ForwardedBody::Write(payload) => {
                    drafts.push(Draft { origin, payload });
                    continue;
                }
                ForwardedBody::Confirm => {}
                ForwardedBody::Attach { session, timeout_ms } => {
                    effects.push(Effect::Renew { session, timeout_ms });
                    let since = self.member.logged();
                    let lost = self.owners.take(session, from, connection, since);
                    self.kick(lost, effects);
                    if self.alone {
                        // No other leader will ever ask who speaks for a session, so the takeover
                        // needs no zxid, as in ZooKeeper.
                        self.changing(|this| this.moved(session, Some(connection), effects));
                        self.propose(core::mem::take(&mut drafts));
                        self.vouch(from, serial);
                        continue;
                    }
                    // In the history, so that no later leader lets the old connection in.
                    let mut payload = Vec::new();
                    txn::encode_takeover(session, &mut payload);
                    drafts.push(Draft { origin, payload: payload.into() });
                    continue;
                }
            }
            // The confirmation covers the writes that came before it.
            self.propose(core::mem::take(&mut drafts));
            self.vouch(from, serial);
        }
        self.propose(drafts);
    }

    fn vouch(&mut self, server: ServerId, serial: u64) {
        let token = self.next_token;
        self.next_token += 1;
        self.tokens.insert(token, Asked { server, serial });
        self.tell(MemberInput::Confirm { token, asker: server });
    }

    pub(super) fn propose(&mut self, drafts: Vec<Draft>) {
        if !drafts.is_empty() {
            self.proposed += drafts.len() as u64;
            for draft in &drafts {
                self.last_proposal_bytes = draft.payload.len() as u64;
                self.proposal_bytes.observe(self.last_proposal_bytes);
            }
            self.tell(MemberInput::Propose(drafts));
        }
    }

    pub(super) fn propose_own(&mut self, payloads: Vec<Bytes>) {
        if self.leads() {
            let nobody = Origin::default();
            let drafts = payloads.into_iter().map(|payload| Draft { origin: nobody, payload });
            let drafts = drafts.collect();
            self.propose(drafts);
        }
    }

    /// A learner begins anew and asks again for what it has not been told.
    pub(super) fn forget_asked_by(&mut self, learner: ServerId) {
        self.tokens.retain(|_, asked| asked.server != learner);
    }

    pub(super) fn confirmed(&mut self, token: u64, target: Zxid, effects: &mut Vec<Effect>) {
        let Some(Asked { server, serial }) = self.tokens.remove(&token) else { return };
        if server == self.me {
            self.vouched_for(serial, target);
        } else {
            let relay = PeerMessage::Relay(Relay::Confirmed { serial, target });
            effects.push(Effect::Send(server, relay));
        }
    }

    pub(super) fn refuse_moved(&mut self, from: ServerId, serial: u64, effects: &mut Vec<Effect>) {
        if from == self.me {
            self.abandon(serial, effects);
        } else {
            effects.push(Effect::Send(from, PeerMessage::Relay(Relay::Moved { serial })));
        }
    }

    pub(super) fn kick(&self, lost: Option<Owner>, effects: &mut Vec<Effect>) {
        let Some(owner) = lost else { return };
        let connections = alloc::vec![owner.connection];
        effects.push(if owner.server == self.me {
            Effect::Kick(connections)
        } else {
            Effect::Send(owner.server, PeerMessage::Relay(Relay::Kick(connections)))
        });
    }
}
