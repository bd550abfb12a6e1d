//! Frames between servers, and how links are made and lost.

use crate::links::{Parcel, Way};
use crate::world::{Due, World};
use ostler_core::rooms::{peer, pipeline};
use ostler_core::types::ServerId;
use ostler_core::wire::peer::{LinkMessage, decode, encode};

/// Time between two attempts to make a link, in microseconds, at most.
const REDIAL_US: u64 = 60_000;

impl World {
    /// Hands a message to the link, if it is up; without one it is lost.
    pub(crate) fn send(&mut self, from: usize, to: ServerId, message: LinkMessage) {
        let way = (from, self.place(to));
        let mut frame = Vec::new();
        encode(std::slice::from_ref(&message), &mut frame);
        if let Some(at) = self.links.send(way, frame, self.now_us) {
            self.schedule(at, Due::Arrival(way));
        }
    }

    /// Whatever has arrived this way is handed to the rooms.
    pub(crate) fn arrive(&mut self, way: Way) {
        let (from, to) = way;
        let peer = self.servers[from].id;
        loop {
            let parcels = self.links.take(way, self.now_us);
            if parcels.is_empty() || self.servers[to].rooms.is_none() {
                return;
            }
            let mut batch = Vec::new();
            for parcel in parcels {
                match parcel {
                    Parcel::Up => self.tell_peer(to, peer::Input::LinkUp(peer)),
                    Parcel::Down => self.went_down(to, from),
                    Parcel::Frame(frame) => self.unpack(to, peer, frame, &mut batch),
                }
            }
            if !batch.is_empty() {
                self.tell_pipeline(to, pipeline::Input::Received(peer, batch));
            }
        }
    }

    fn unpack(
        &mut self,
        to: usize,
        peer: ServerId,
        frame: Vec<u8>,
        batch: &mut Vec<pipeline::PeerMessage>,
    ) {
        let body = bytes::Bytes::from(frame).slice(4..);
        for message in decode(&body).expect("a frame of ours") {
            match message {
                LinkMessage::Election(said) => {
                    self.tell_peer(to, peer::Input::Received(peer, said));
                }
                LinkMessage::Pipeline(message) => batch.push(message),
            }
        }
    }

    /// This end has learnt that its link is gone.
    fn went_down(&mut self, me: usize, peer: usize) {
        let id = self.servers[peer].id;
        self.trace(|| format!("{me}: link to {peer} is down"));
        self.tell_peer(me, peer::Input::LinkDown(id));
        self.tell_pipeline(me, pipeline::Input::LinkDown(id));
    }

    /// Breaks a link for both ends; each learns of it by itself.
    pub(crate) fn break_link(&mut self, a: usize, b: usize) {
        for way in [(a, b), (b, a)] {
            let at = self.links.break_way(way, self.now_us);
            self.schedule(at, Due::Arrival(way));
        }
    }

    /// The server with the higher number calls, whenever it regards the link as down.
    pub(crate) fn dial(&mut self, from: usize, to: usize) {
        let us = 1 + self.dice.below(REDIAL_US);
        self.schedule_in(us, Due::Dial(from, to));
        let can_call = |server: usize| {
            let server = &self.servers[server];
            server.rooms.is_some() && !server.is_paused(self.now_us)
        };
        let is_open = !self.links.is_blocked((from, to)) && !self.links.is_blocked((to, from));
        if !can_call(from) || !can_call(to) || !is_open || self.links.is_up(from, to) {
            return;
        }
        // An earlier call may be on its way to this end still.
        if self.links.next_us((to, from)).is_some() {
            return;
        }
        if self.links.is_up(to, from) {
            // Whoever is called drops the older link for the newer.
            self.links.give_up(to, from);
            self.went_down(to, from);
        }
        let arrivals = self.links.connect(from, to, self.now_us);
        for (at, way) in arrivals.into_iter().zip([(from, to), (to, from)]) {
            self.schedule(at, Due::Arrival(way));
        }
    }

    /// Gives up links over which nothing can have come for too long.
    pub(crate) fn watch_silence(&mut self, me: usize) {
        let limit_us = self.plan.timing.silence_ms * 2 * 1000;
        for peer in (0..self.servers.len()).filter(|peer| *peer != me) {
            let way = (peer, me);
            let sender = &self.servers[peer];
            let mute = self.links.is_blocked(way)
                || sender.is_paused(self.now_us)
                || (sender.rooms.is_none() && sender.is_dark);
            if self.links.is_silent_for(way, mute, self.now_us, limit_us) {
                self.links.give_up(me, peer);
                self.went_down(me, peer);
                let at = self.links.break_way((me, peer), self.now_us);
                self.schedule(at, Due::Arrival((me, peer)));
            }
        }
    }

    /// Stops what goes these ways; returns those that were open.
    pub(crate) fn block(&mut self, ways: impl IntoIterator<Item = Way>) -> Vec<Way> {
        let mut blocked = Vec::new();
        for way in ways {
            if way.0 != way.1 && !self.links.is_blocked(way) {
                self.links.block(way);
                blocked.push(way);
            }
        }
        blocked
    }

    /// What waited goes on its way.
    pub(crate) fn unblock(&mut self, ways: &[Way]) {
        self.links.unblock_all(ways);
        for way in ways {
            self.schedule(self.now_us, Due::Arrival(*way));
        }
    }
}
