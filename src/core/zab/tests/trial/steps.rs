//! Single steps of the ensemble; those that return false had nothing to do.

use super::server::Question;
use super::{Packet, TIMING, World, pair};
use crate::rooms::Machine;
use crate::types::{ServerId, Zxid};
use crate::zab::election::Election;
use crate::zab::io::{ElectionEffect, ElectionInput, MemberInput};
use crate::zab::message::Message;
use crate::zab::{Draft, Origin};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::vec::Vec;

impl World {
    pub(in crate::zab) fn deliver(&mut self, from: ServerId, to: ServerId) -> bool {
        let Some(packet) = self.links.get_mut(&(from, to)).and_then(VecDeque::pop_front) else {
            return false;
        };
        if !self.servers[&to].is_up {
            return true;
        }
        match packet {
            Packet::Zab(message) => self.member(to, MemberInput::Received(from, message)),
            Packet::Vote(said) => self.election(to, ElectionInput::Received(from, said)),
            Packet::Up => self.election(to, ElectionInput::LinkUp(from)),
            Packet::Down => {
                self.election(to, ElectionInput::LinkDown(from));
                self.member(to, MemberInput::LinkDown(from));
            }
        }
        true
    }

    pub(in crate::zab) fn sync(&mut self, server: ServerId) -> bool {
        let state = self.server(server);
        if !state.is_up {
            return false;
        }
        let Some(mark) = state.disk.sync() else { return false };
        self.member(server, MemberInput::Durable(mark));
        true
    }

    pub(in crate::zab) fn answer(&mut self, server: ServerId) -> bool {
        let state = self.server(server);
        let Some(question) = state.questions.pop_front().filter(|_| state.is_up) else {
            return false;
        };
        let input = match question {
            Question::History(reader, after) => {
                MemberInput::History(reader, state.disk.image.history(after))
            }
            Question::Snapshot(learner) => state.piece(learner),
            Question::Installed(zxid) => MemberInput::SnapshotInstalled(zxid),
            Question::Delivered(zxid) => MemberInput::Delivered(zxid),
        };
        self.member(server, input);
        true
    }

    pub(in crate::zab) fn tick(&mut self, server: ServerId) {
        if self.servers[&server].is_up {
            self.member(server, MemberInput::Tick);
            self.election(server, ElectionInput::Tick);
        }
    }

    pub(in crate::zab) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms as i64;
    }

    pub(in crate::zab) fn propose(&mut self, server: ServerId, count: usize) {
        let drafts = (0..count).map(|_| {
            self.serial += 1;
            let payload = Bytes::from(std::format!("write {}", self.serial));
            Draft { origin: Origin { server, serial: self.serial }, payload }
        });
        let drafts = drafts.collect();
        self.member(server, MemberInput::Propose(drafts));
    }

    pub(in crate::zab) fn confirm(&mut self, server: ServerId) {
        self.serial += 1;
        let token = self.serial;
        let newest = self.chosen.last().map_or(Zxid::ZERO, |last| last.zxid);
        self.server(server).tokens.insert(token, newest);
        self.member(server, MemberInput::Confirm { token, asker: server });
    }

    pub(in crate::zab) fn member(&mut self, server: ServerId, input: MemberInput) {
        let now = self.now;
        let mut effects = Vec::new();
        self.server(server).member.step(now, input, &mut effects);
        self.perform(server, effects);
    }

    /// From now on there are no elections, no pings and no other messages that need time.
    pub(in crate::zab) fn without_elections(mut self) -> Self {
        self.elects = false;
        self
    }

    /// Elections take place again: those that look begin to.
    pub(in crate::zab) fn with_elections(&mut self) {
        self.elects = true;
        for (server, state) in &mut self.servers {
            Arc::make_mut(state).election = Election::new(*server, self.membership.clone(), TIMING);
        }
        let looking = self.servers.iter().filter(|(_, state)| state.member.is_looking());
        let looking: Vec<_> = looking.map(|(server, _)| *server).collect();
        for server in looking {
            let image = &self.servers[&server].disk.image;
            let (epoch, last) = (image.current.epoch, image.last());
            self.election(server, ElectionInput::Look { epoch, last });
        }
        for (server, reign) in self.servers.clone() {
            if let Some(reign) = reign.serving {
                self.election(server, ElectionInput::Settled(reign));
            }
        }
    }

    pub(super) fn election(&mut self, server: ServerId, input: ElectionInput) {
        if !self.elects {
            return;
        }
        let now = self.now;
        let mut effects = Vec::new();
        self.server(server).election.step(now, input, &mut effects);
        for effect in effects {
            match effect {
                ElectionEffect::Send(to, said) => self.send(server, to, Packet::Vote(said)),
                ElectionEffect::Try(leader) => self.member(server, MemberInput::Try(leader)),
            }
        }
    }

    pub(super) fn send(&mut self, from: ServerId, to: ServerId, packet: Packet) {
        let beats = matches!(packet, Packet::Zab(Message::Ping { .. } | Message::SyncTaken { .. }));
        if !self.elects && beats {
            return;
        }
        if self.up.contains(&pair(from, to)) {
            self.links.entry((from, to)).or_default().push_back(packet);
        }
    }
}
