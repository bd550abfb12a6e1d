//! Requests of this server's clients: to the desk, and from there to whoever leads, of so much at a
//! time as may be between servers.

use super::desk::HeldBody;
use super::{
    Committed, CommittedBody, Effect, Forwarded, Item, ItemBody, PeerMessage, Pipeline, Relay,
    Submission, Way,
};
use crate::types::ServerId;
use crate::zab::io::Flow;
use alloc::vec::Vec;

/// No message leaves the server.
const UNBOUNDED: Flow = Flow { under_way_bytes: usize::MAX, together_bytes: usize::MAX };

impl Pipeline {
    pub(super) fn submit(&mut self, submission: Submission, effects: &mut Vec<Effect>) {
        self.changing(|this| this.hold(submission));
        self.forward(effects);
    }

    /// Takes requests in.
    fn hold(&mut self, submission: Submission) {
        let Submission { sender, items } = submission;
        if self.lost.contains(&sender.connection) {
            self.dropped += items.len() as u64;
            return;
        }
        for Item { xid, body } in items {
            let held = match body {
                ItemBody::Write(payload) => HeldBody::Write(payload),
                ItemBody::Confirm(frame) => HeldBody::Confirm(frame),
                ItemBody::Claim(claim) => HeldBody::Claim(claim),
                ItemBody::Attach { session, timeout_ms } => {
                    HeldBody::Attach { session, timeout_ms }
                }
                ItemBody::Travel(frame) => {
                    let body = CommittedBody::Travel(frame);
                    let committed = Committed { sender: Some(sender.clone()), xid, body };
                    self.ready.extend(self.desk.follow(&sender, committed));
                    continue;
                }
            };
            self.desk.hold(&sender, xid, held);
        }
    }

    /// Tells the leader, if there is one whose history is known here, of what it was not told and
    /// may be under way. A leader itself takes in everything: it sends on as much as may be.
    pub(super) fn forward(&mut self, effects: &mut Vec<Effect>) {
        let Way::Open(reign) = self.way else { return };
        let flow = if reign.leader == self.me { UNBOUNDED } else { self.ground.flow };
        while let Some(requests) = self.changing(|this| this.desk.tell(flow)) {
            self.tell_leader(reign.leader, requests, effects);
        }
    }

    /// Asks the leader, if there is one, what some of this server's connections want to know.
    pub(super) fn ask(&mut self, question: Option<Forwarded>, effects: &mut Vec<Effect>) {
        if let (Way::Open(reign), Some(question)) = (self.way, question) {
            self.tell_leader(reign.leader, alloc::vec![question], effects);
        }
    }

    fn tell_leader(
        &mut self,
        leader: ServerId,
        requests: Vec<Forwarded>,
        effects: &mut Vec<Effect>,
    ) {
        if leader == self.me {
            self.take_in(self.me, requests, effects);
        } else {
            let relay = PeerMessage::Relay(Relay::Forward(requests));
            effects.push(Effect::Send(leader, relay));
        }
    }

    /// A request was refused because its session had moved, and will never act. So must nothing
    /// that its connection asked behind it, or a write could take effect without the one before:
    /// a later leader need not know of the takeover, which may be lost with the one that refused.
    pub(super) fn abandon(&mut self, serial: u64, effects: &mut Vec<Effect>) {
        let connection = self.changing(|this| {
            let connection = this.desk.abandon(serial)?.connection;
            this.desk.forget(connection);
            this.lost.insert(connection);
            Some(connection)
        });
        effects.extend(connection.map(|connection| Effect::Kick(alloc::vec![connection])));
    }
}
