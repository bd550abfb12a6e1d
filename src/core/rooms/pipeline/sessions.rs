//! Which of this server's connections speaks for which session, what the leader is told of it, and
//! what becomes of connections that no longer do.

use super::relay::{Ownership, Relay};
use super::{Effect, PeerMessage, Pipeline, Sender, Way};
use crate::types::{ConnectionId, SessionId, Zxid};
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Pipeline {
    pub(super) fn claim(&mut self, owns: Vec<Ownership>, effects: &mut Vec<Effect>) {
        let Way::Open(reign) = self.way else { return };
        if owns.is_empty() {
            return;
        }
        if reign.leader == self.me {
            for report in owns {
                let lost = self.owners.learn(self.me, report);
                self.kick(lost, effects);
            }
        } else {
            effects.push(Effect::Send(reign.leader, PeerMessage::Relay(Relay::Owns(owns))));
        }
    }

    /// What the leader is to be told of these.
    pub(super) fn opened(
        &mut self,
        sessions: Vec<(SessionId, ConnectionId)>,
        since: Zxid,
    ) -> Vec<Ownership> {
        let mut owns = Vec::with_capacity(sessions.len());
        for (session, connection) in sessions {
            self.attached.insert(session, (connection, since));
            owns.push(Ownership { session, connection, since });
        }
        owns
    }

    pub(super) fn ended(&mut self, sessions: &[SessionId], effects: &mut Vec<Effect>) {
        let mut kicked = Vec::new();
        for session in sessions {
            self.owners.end(*session);
            kicked.extend(self.attached.remove(session).map(|(connection, _)| connection));
        }
        if !kicked.is_empty() {
            effects.push(Effect::Kick(kicked));
        }
    }

    pub(super) fn gone(&mut self, session: SessionId, connection: ConnectionId) {
        self.lost.remove(&connection);
        // Nobody waits for it any more, and another connection may have the session by now.
        self.desk.forget(connection);
        if self.attached.get(&session).is_some_and(|(owner, _)| *owner == connection) {
            self.attached.remove(&session);
        }
    }

    pub(super) fn touched(&mut self, sessions: Vec<(SessionId, u32)>, effects: &mut Vec<Effect>) {
        if let Way::Open(reign) = self.way
            && reign.leader != self.me
        {
            let relay = PeerMessage::Relay(Relay::Touched(sessions));
            effects.push(Effect::Send(reign.leader, relay));
        }
    }

    /// Here in the history, `taker` took the session over, or a connection of another server did.
    /// What the one before still has under way must never act, whoever leads.
    pub(super) fn moved(
        &mut self,
        session: SessionId,
        taker: Option<ConnectionId>,
        effects: &mut Vec<Effect>,
    ) {
        let since = self.delivered;
        let before = match taker {
            Some(taker) => self.attached.insert(session, (taker, since)),
            None => self.attached.remove(&session),
        };
        let before = before.map(|(connection, _)| connection);
        if let Some(connection) = before.filter(|connection| Some(*connection) != taker) {
            self.desk.forget(connection);
            self.lost.insert(connection);
            effects.push(Effect::Kick(alloc::vec![connection]));
        }
    }

    /// What a snapshot has swallowed is not told: any request under way may be in it. To ask for
    /// it again could do it twice, so nobody is answered, and nothing that comes behind on those
    /// connections is let in.
    pub(super) fn lose_track(&mut self, effects: &mut Vec<Effect>) {
        let lost = self.desk.clear();
        if !lost.is_empty() {
            self.lost.extend(&lost);
            effects.push(Effect::Kick(lost));
        }
    }

    /// Connections want to be vouched for, with nothing of theirs under way.
    pub(super) fn vouch_for(&mut self, mut senders: Vec<Arc<Sender>>, effects: &mut Vec<Effect>) {
        self.has_asked = true;
        let asked = self.changing(|this| {
            let all = senders.len();
            senders.retain(|sender| !this.lost.contains(&sender.connection));
            this.dropped += (all - senders.len()) as u64;
            this.desk.hold_unvouched(&senders)
        });
        self.ask(asked, effects);
    }
}
