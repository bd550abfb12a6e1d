//! Links between servers: bytes in order, until the link breaks.
//!
//! A pair has one link at a time. Bytes sent over a blocked way are not lost, they wait: a way
//! that opens again soon enough shows nothing but a delay. What is lost is lost with everything
//! behind it, and then the link is broken: each end learns of it by itself.

use crate::chance::Chance;
use std::collections::{BTreeSet, VecDeque};

/// From one server to another, by their places.
pub(crate) type Way = (usize, usize);

/// What arrives at the end of a way.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// A new link is up.
    Up,
    /// One frame.
    Frame(Vec<u8>),
    /// The link is down.
    Down,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    /// When each arrives, in microseconds; never falling.
    queue: VecDeque<(u64, Parcel)>,
    /// The receiving end regards the link as up.
    is_up: bool,
    /// What is sent goes nowhere, since this link was broken.
    is_broken: bool,
    /// The receiver has heard nothing since then, because nothing can come.
    mute_since_us: Option<u64>,
    extra_us: u64,
}

/// See the module.
pub(crate) struct Links {
    servers: usize,
    lanes: Vec<Lane>,
    blocked: BTreeSet<Way>,
    latency_us: (u64, u64),
    chance: Chance,
}

impl Links {
    pub(crate) fn new(servers: usize, latency_us: (u64, u64), chance: Chance) -> Self {
        let lanes = vec![Lane { is_broken: true, ..Lane::default() }; servers * servers];
        Self { servers, lanes, blocked: BTreeSet::new(), latency_us, chance }
    }

    fn lane(&mut self, (from, to): Way) -> &mut Lane {
        &mut self.lanes[from * self.servers + to]
    }

    /// Whether this end regards the link as up.
    pub(crate) fn is_up(&mut self, me: usize, peer: usize) -> bool {
        self.lane((peer, me)).is_up
    }

    pub(crate) fn is_blocked(&self, way: Way) -> bool {
        self.blocked.contains(&way)
    }

    pub(crate) fn block(&mut self, way: Way) {
        if way.0 != way.1 {
            self.blocked.insert(way);
        }
    }

    pub(crate) fn unblock_all(&mut self, ways: &[Way]) {
        for way in ways {
            self.blocked.remove(way);
        }
    }

    pub(crate) fn slow_down(&mut self, way: Way, extra_us: u64) {
        self.lane(way).extra_us = extra_us;
    }

    /// A connection is made where neither end has one: each will learn of it. Nothing of an
    /// older link arrives.
    pub(crate) fn connect(&mut self, a: usize, b: usize, now_us: u64) -> [u64; 2] {
        [(a, b), (b, a)].map(|way| {
            let lane = self.lane(way);
            assert!(!lane.is_up, "an end has one link at a time");
            *lane = Lane { extra_us: lane.extra_us, ..Lane::default() };
            self.put(way, Parcel::Up, now_us)
        })
    }

    /// Sends a frame; returns when it arrives, if it does.
    pub(crate) fn send(&mut self, way: Way, frame: Vec<u8>, now_us: u64) -> Option<u64> {
        let up_here = self.is_up(way.0, way.1);
        (up_here && !self.lane(way).is_broken).then(|| self.put(way, Parcel::Frame(frame), now_us))
    }

    fn put(&mut self, way: Way, parcel: Parcel, now_us: u64) -> u64 {
        let (low, high) = self.latency_us;
        let latency_us = self.chance.within(low, high);
        let lane = self.lane(way);
        let soonest = lane.queue.back().map_or(0, |(at, _)| *at);
        let at = soonest.max(now_us + latency_us + lane.extra_us);
        lane.queue.push_back((at, parcel));
        at
    }

    /// Breaks what goes this way: some of what is under way still arrives, then the news.
    pub(crate) fn break_way(&mut self, way: Way, now_us: u64) -> u64 {
        let all = self.lane(way).queue.len() as u64;
        let arrive = self.chance.below(all + 1) as usize;
        let lane = self.lane(way);
        // That the link is up cannot be lost: it was made.
        let arrive = lane
            .queue
            .iter()
            .rposition(|(_, parcel)| matches!(parcel, Parcel::Up | Parcel::Down))
            .map_or(arrive, |at| arrive.max(at + 1));
        lane.queue.truncate(arrive);
        if lane.is_broken {
            return now_us;
        }
        lane.is_broken = true;
        self.put(way, Parcel::Down, now_us)
    }

    /// One end is gone for good, with all that was under way to it.
    pub(crate) fn forget_end(&mut self, me: usize, peer: usize) {
        let lane = self.lane((peer, me));
        lane.queue.clear();
        lane.is_up = false;
        lane.is_broken = true;
        lane.mute_since_us = None;
    }

    /// Nothing of what was under way arrives, and nobody tells the receiver: the sender's machine
    /// has lost its power.
    pub(crate) fn fall_silent(&mut self, way: Way) {
        let lane = self.lane(way);
        lane.queue.retain(|(_, parcel)| !matches!(parcel, Parcel::Frame(_)));
        lane.is_broken = true;
    }

    /// The sender's machine runs again and knows nothing of this link: whoever still regards it
    /// as up learns so.
    pub(crate) fn disown(&mut self, way: Way, now_us: u64) -> u64 {
        let lane = self.lane(way);
        let believes = lane.is_broken && (lane.is_up || !lane.queue.is_empty());
        if believes { self.put(way, Parcel::Down, now_us) } else { now_us }
    }

    /// What has arrived, up to the next thing that is not a frame.
    pub(crate) fn take(&mut self, way: Way, now_us: u64) -> Vec<Parcel> {
        if self.is_blocked(way) {
            return Vec::new();
        }
        let lane = self.lane(way);
        let mut taken = Vec::new();
        while let Some((_, parcel)) = lane.queue.front().filter(|(at, _)| *at <= now_us) {
            let is_frame = matches!(parcel, Parcel::Frame(_));
            if !is_frame && !taken.is_empty() {
                break;
            }
            let (_, parcel) = lane.queue.pop_front().unwrap();
            match parcel {
                Parcel::Up => lane.is_up = true,
                Parcel::Down if !lane.is_up => continue,
                Parcel::Down => lane.is_up = false,
                Parcel::Frame(_) => {}
            }
            taken.push(parcel);
            if !is_frame {
                break;
            }
        }
        taken
    }

    /// When the next thing arrives this way.
    pub(crate) fn next_us(&mut self, way: Way) -> Option<u64> {
        self.lane(way).queue.front().map(|(at, _)| *at)
    }

    /// Notes whether anything can come this way now; true if nothing could for so long that the
    /// receiver gives the link up.
    pub(crate) fn is_silent_for(
        &mut self,
        way: Way,
        mute: bool,
        now_us: u64,
        limit_us: u64,
    ) -> bool {
        let lane = self.lane(way);
        if !mute || !lane.is_up {
            lane.mute_since_us = None;
            return false;
        }
        now_us - *lane.mute_since_us.get_or_insert(now_us) > limit_us
    }

    /// The receiving end gives up: it regards the link as down from this moment on.
    pub(crate) fn give_up(&mut self, me: usize, peer: usize) {
        self.forget_end(me, peer);
    }
}
