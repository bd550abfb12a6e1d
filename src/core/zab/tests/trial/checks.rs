//! What has to hold whenever something is sent, logged or delivered.

use super::server::Question;
use super::{Server, World};
use crate::types::{ServerId, Zxid};
use crate::zab::message::Message;
use crate::zab::{LogOrder, Proposal, Reign};
use std::collections::BTreeSet;
use std::sync::Arc;

impl World {
    /// Whatever a message promises is on the disk of its sender now.
    pub(super) fn check_promise(&mut self, server: ServerId, to: ServerId, message: &Message) {
        let image = &self.servers[&server].disk.image;
        match message {
            Message::LeaderInfo { epoch, .. } => {
                assert_eq!(image.accepted, Reign { epoch: *epoch, leader: server });
            }
            Message::AckEpoch { epoch, current, last, counts } => {
                assert_eq!(image.accepted.epoch, *epoch);
                assert!(!counts || image.accepted.leader == to, "promised to another");
                assert_eq!((image.current, image.last()), (*current, *last));
            }
            Message::AckNewLeader { epoch } => {
                assert_eq!(image.current, Reign { epoch: *epoch, leader: to });
            }
            Message::Ack { durable, .. } => assert_eq!(image.last(), *durable),
            Message::UpToDate { epoch, committed } | Message::Commit { epoch, committed } => {
                assert_eq!(self.leaders.get(epoch), Some(&server));
                self.check_committed(*committed);
            }
            Message::Propose { epoch, committed, .. } => {
                assert_eq!(self.leaders.get(epoch), Some(&server));
                self.check_committed(*committed);
            }
            Message::Ping { committed, .. } => self.check_committed(*committed),
            Message::Info { .. }
            | Message::SyncFrom { .. }
            | Message::SyncSnapshot { .. }
            | Message::SnapshotChunk { .. }
            | Message::SyncEntries { .. }
            | Message::SyncTaken { .. }
            | Message::NewLeader { .. }
            | Message::Pong { .. }
            | Message::Leave { .. } => {}
        }
    }

    /// A server that adopts its own reign was elected: nobody else was for this epoch.
    pub(super) fn check_elected(&mut self, server: ServerId, orders: &[LogOrder]) {
        for order in orders {
            if let LogOrder::CommitStage { reign } = order
                && reign.leader == server
            {
                let before = self.elected.insert(reign.epoch, server);
                assert_eq!(before, None, "two were elected for {reign:?}");
            }
        }
    }

    /// What is called committed is durable on a quorum.
    pub(super) fn check_committed(&self, committed: Zxid) {
        let holds = |state: &Arc<Server>| {
            committed == Zxid::ZERO
                || state.disk.image.contains(committed)
                || state.disk.image.base >= committed
        };
        let holders = self.servers.iter().filter(|(_, state)| holds(state));
        let holders: BTreeSet<_> = holders.map(|(server, _)| *server).collect();
        assert!(self.membership.is_quorum(&holders), "{committed} is not on a quorum");
    }

    pub(super) fn given(&mut self, server: ServerId, entries: &[Proposal]) {
        let state = self.servers.get_mut(&server).expect("it is one of the ensemble");
        let state = Arc::make_mut(state);
        for entry in entries {
            let reign = state.serving.unwrap_or(state.disk.image.current);
            assert!(entry.zxid.epoch() <= reign.epoch, "{} is given too early", entry.zxid);
            match self.chosen.get(state.given) {
                Some(chosen) => assert_eq!(chosen, entry, "{server:?} differs"),
                None => self.chosen.push(entry.clone()),
            }
            state.given += 1;
        }
        let last = entries.last().expect("something is delivered").zxid;
        assert!(state.disk.image.last() >= last, "given before it was durable");
        state.questions.push_back(Question::Delivered(last));
        self.check_committed(last);
    }
}
