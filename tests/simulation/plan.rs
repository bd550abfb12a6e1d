//! What one seed stands for: an ensemble, its habits, and the list of everything that goes wrong.
//!
//! The faults are drawn before anything runs, so that a failing list can be made shorter. Each
//! seed leaves out some kinds of fault altogether: what goes wrong seldom is found only where
//! something else does not go wrong all the time.

mod list;

pub(crate) use list::{Death, Fault, Promise, Victim, What, When};

use crate::chance::Chance;
use crate::disk::VERBS;
use crate::panics::{MORTAL, Moment};
use crate::server::Name;
use list::PROMISES;
use ostler_core::wire::native::HelloOptions;
use ostler_core::zab::io::{Flow, Timing};

/// Shortest time that is simulated, in milliseconds.
const RUN_MS_MIN: u64 = 30_000;
/// Kinds of fault that are drawn by time.
const KINDS: u64 = 23;
/// Rooms that panic as one of those kinds. Tree stores have a list of their own, so that seeds mean
/// what they meant before.
const FIRST_MORTAL: [Name; 6] =
    [Name::Peer, Name::Pipeline, Name::Log, Name::Fanout, Name::Sweeper, Name::Snapshot];
const MOMENTS: [Moment; 2] = [Moment::Before, Moment::Within];

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Jute,
    Native(HelloOptions),
}

/// What all clients do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// They use lasting watches, guarded znodes, and those that go by themselves.
    pub(crate) is_wide: bool,
    /// They set their watches again on a new connection.
    pub(crate) watches_last: bool,
    /// They ask for a sync this often, in milliseconds, whatever is under way; 0 for never.
    pub(crate) checks_every_ms: u64,
    /// So many of them never write: what a leader that is none any more tells them rests on no
    /// write of theirs.
    pub(crate) readers: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) voters: usize,
    pub(crate) observers: usize,
    pub(crate) clients: usize,
    pub(crate) timing: Timing,
    /// Time between ticks of the machines, in milliseconds.
    pub(crate) tick_ms: u64,
    /// Longest time from one act of a room to its next, in microseconds.
    pub(crate) act_us: u64,
    /// Shortest and longest time a message takes, in microseconds.
    pub(crate) latency_us: (u64, u64),
    /// Longest time a sync takes, in microseconds.
    pub(crate) sync_us: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) snapshot_every_txns: u64,
    /// Snapshots kept; 0 keeps all.
    pub(crate) snapshots_kept: usize,
    pub(crate) window_bytes: usize,
    /// How much is between servers at a time.
    pub(crate) flow: Flow,
    /// Where an epoch's counter rolls over.
    pub(crate) counter_max: Option<u32>,
    /// One in so many elections is won by somebody else; 0 for none.
    pub(crate) disloyal_one_in: u64,
    /// How far clocks run apart, in parts per million.
    pub(crate) skew_ppm: u64,
    /// Znodes that the clients write to.
    pub(crate) keys: u64,
    /// Requests that a client has under way at a time.
    pub(crate) depth: usize,
    /// Longest time a client thinks, in milliseconds.
    pub(crate) think_ms: u64,
    pub(crate) session_timeout_ms: i32,
    /// One in so many promises is held against the disk.
    pub(crate) audit_one_in: u64,
    /// How long things go wrong, in milliseconds.
    pub(crate) storm_ms: u64,
    /// Whether a minority stays broken when the storm is over.
    pub(crate) leaves_some_broken: bool,
    /// What each client speaks.
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) habits: Habits,
    /// Group and weight of each voter.
    pub(crate) weights: Vec<(u64, u64)>,
    pub(crate) faults: Vec<Fault>,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut plan = Self::third(seed);
        let mut dice = Chance::of(seed, 12);
        if dice.one_in(2) {
            plan.flow.under_way_bytes = dice.pick(&[1, 100, 400, 2000]);
            plan.flow.together_bytes = dice.pick(&[1, 100, 400]);
        }
        plan
    }

    /// As seeds were read when servers sent each other as much as there was.
    pub(crate) fn third(seed: u64) -> Self {
        let mut plan = Self::second(seed);
        if !plan.faults.is_empty() {
            plan.draw_tree_panics(&mut Chance::of(seed, 11));
        }
        plan
    }

    /// Tree stores panic, often with another room of their server close behind: the tree is soon
    /// made anew.
    fn draw_tree_panics(&mut self, dice: &mut Chance) {
        if dice.one_in(3) {
            return;
        }
        for _ in 0..dice.within(1, self.storm_ms / 1500) {
            let server = dice.below(self.servers() as u64) as usize;
            let us = dice.within(200, self.storm_ms) * 1000 + dice.below(1000);
            let companion = dice.one_in(2).then(|| dice.pick(&MORTAL));
            let later_us = dice.below(20) * self.act_us;
            let rooms = [Some((us, Name::Tree)), companion.map(|room| (us + later_us, room))];
            for (us, room) in rooms.into_iter().flatten() {
                let moment = dice.pick(&MOMENTS);
                let what = What::Panic { server, room, moment };
                self.faults.push(Fault { when: When::At(us), what });
            }
        }
    }

    /// As seeds were read before tree stores panicked.
    pub(crate) fn second(seed: u64) -> Self {
        let mut plan = Self::first(seed);
        let mut dice = Chance::of(seed, 9);
        for dialect in &mut plan.dialects {
            let linearizable = dice.one_in(2);
            let exactly_once = dice.one_in(2);
            if dice.one_in(3) {
                *dialect = Dialect::Native(HelloOptions { linearizable, exactly_once });
            }
        }
        plan.habits = Habits {
            is_wide: !dice.one_in(3),
            watches_last: !dice.one_in(3),
            checks_every_ms: dice.pick(&[0, 30, 200]),
            readers: 0,
        };
        plan.draw_weights(&mut dice);
        plan.lengthen(&mut dice);
        plan.habits.readers = dice.pick(&[0, 0, 1, 2, 3]).min(plan.clients - 1);
        if !plan.faults.is_empty() {
            plan.draw_more_faults(&mut Chance::of(seed, 10));
        }
        plan
    }

    /// One ensemble in four is not one of equals: heavier voters, some without weight, or groups.
    fn draw_weights(&mut self, dice: &mut Chance) {
        if self.voters < 3 || !dice.one_in(4) {
            return;
        }
        let groups = if self.voters == 5 { dice.pick(&[1, 2, 3]) } else { 1 };
        for (place, weight) in self.weights.iter_mut().enumerate() {
            *weight = (place as u64 % groups, dice.pick(&[1, 1, 2, 3]));
        }
        if groups == 1 && dice.one_in(3) {
            self.weights[0].1 = 0;
        }
    }

    /// Every run is of 30 seconds at least; what follows the storm takes five session timeouts.
    fn lengthen(&mut self, dice: &mut Chance) {
        if self.session_timeout_ms < 4000 && !dice.one_in(8) {
            self.session_timeout_ms = 5000;
        }
        let calm_ms = self.session_timeout_ms as u64 * 5;
        self.storm_ms = self.storm_ms.max(RUN_MS_MIN.saturating_sub(calm_ms));
        if self.storm_ms > 8000 {
            self.think_ms = self.think_ms.max(20);
        }
    }

    /// The same kinds once more, over the whole storm, and those that the first list never had.
    fn draw_more_faults(&mut self, dice: &mut Chance) {
        let kinds: Vec<u64> = (0..KINDS).filter(|_| !dice.one_in(3)).collect();
        let count = if kinds.is_empty() { 0 } else { dice.within(0, self.storm_ms / 500) };
        for _ in 0..count {
            let kind = dice.pick(&kinds);
            let at = When::At(dice.within(200, self.storm_ms) * 1000 + dice.below(1000));
            let fault = self.draw_fault(kind, at, dice);
            self.faults.push(fault);
        }
    }

    /// As seeds were read at first: some that failed then are kept.
    pub(crate) fn first(seed: u64) -> Self {
        let mut dice = Chance::of(seed, 1);
        let voters = dice.pick(&[1, 3, 3, 3, 3, 3, 5, 5]);
        let observers = dice.pick(&[0, 0, 0, 1, 2]);
        let (heartbeat_ms, silence_ms) = dice.pick(&[(50, 300), (50, 500), (100, 1000)]);
        let timing = Timing {
            heartbeat_ms,
            silence_ms,
            join_ms: dice.pick(&[1000, 2000, 4000]),
            finalize_ms: dice.pick(&[10, 20, 50]),
        };
        let mut plan = Self {
            seed,
            voters,
            observers,
            clients: dice.within(1, 5) as usize,
            timing,
            tick_ms: dice.pick(&[10, 20, 25]),
            act_us: dice.pick(&[2, 20, 20, 200, 2000]),
            latency_us: dice.pick(&[(20, 60), (100, 300), (200, 5000), (1000, 30_000)]),
            sync_us: dice.pick(&[50, 500, 5000, 40_000]),
            segment_bytes: dice.pick(&[4 << 10, 4 << 10, 16 << 10]),
            snapshot_every_txns: dice.pick(&[4, 20, 20, 60, u64::MAX]),
            snapshots_kept: dice.pick(&[1, 1, 2, 3, 0]),
            window_bytes: dice.pick(&[0, 300, 3000, 1 << 20]),
            flow: Flow::default(),
            counter_max: dice.pick(&[None, None, None, Some(3), Some(10), Some(40)]),
            disloyal_one_in: dice.pick(&[0, 0, 2, 4]),
            skew_ppm: dice.pick(&[0, 1000, 50_000]),
            keys: dice.within(1, 6),
            depth: dice.within(1, 5) as usize,
            think_ms: dice.pick(&[2, 20, 20, 100]),
            session_timeout_ms: dice.pick(&[2000, 4000, 8000]),
            audit_one_in: dice.pick(&[20, 100, 400]),
            storm_ms: dice.within(1500, 6000),
            leaves_some_broken: dice.one_in(3),
            dialects: Vec::new(),
            habits: Habits::default(),
            weights: vec![(0, 1); voters],
            faults: Vec::new(),
        };
        plan.dialects = vec![Dialect::Jute; plan.clients];
        // One seed in eight has a calm sea.
        if !dice.one_in(8) {
            plan.draw_faults(&mut Chance::of(seed, 2));
        }
        plan
    }

    pub(crate) fn servers(&self) -> usize {
        self.voters + self.observers
    }

    fn draw_faults(&mut self, dice: &mut Chance) {
        let kinds: Vec<u64> = (0..14).filter(|_| !dice.one_in(3)).collect();
        let count = if kinds.is_empty() { 0 } else { dice.within(1, 24) };
        for _ in 0..count {
            let kind = dice.pick(&kinds);
            let at = When::At(dice.within(200, self.storm_ms) * 1000 + dice.below(1000));
            let fault = self.draw_fault(kind, at, dice);
            self.faults.push(fault);
        }
        if dice.one_in(2) {
            for _ in 0..dice.within(1, 6) {
                let guided = self.draw_guided(dice);
                self.faults.push(guided);
            }
        }
    }

    fn draw_guided(&self, dice: &mut Chance) -> Fault {
        let promise = dice.pick(&PROMISES);
        let often = matches!(
            promise,
            Promise::Propose
                | Promise::Ack
                | Promise::Commit
                | Promise::SyncBegun
                | Promise::SyncEnded
        );
        let nth = dice.within(1, if often { 300 } else { 12 });
        let victim =
            dice.pick(&[Victim::Sender, Victim::Receiver, Victim::Both, Victim::Everybody]);
        let (death, down_ms) = (draw_death(dice), draw_down(dice));
        let what = What::DieByRole { victim, death, down_ms };
        Fault { when: When::After(promise, nth), what }
    }

    fn draw_fault(&self, kind: u64, when: When, dice: &mut Chance) -> Fault {
        let all = self.servers() as u64;
        let server = dice.below(all) as usize;
        let other = ((server as u64 + 1 + dice.below(all.max(2) - 1)) % all) as usize;
        let ms = dice.pick(&[20, 200, 800, 2500]) + dice.below(100);
        let group: Vec<_> = (0..self.servers()).filter(|_| dice.one_in(2)).collect();
        let what = match kind {
            0 => What::BreakLink { a: server, b: other },
            1 => What::Partition { group, ms },
            2 => What::OneWay { from: server, to: other, ms },
            3 => What::Bridge { bridge: server, ms },
            4 => What::IsolateLeader { ms },
            5 => {
                let (death, down_ms) = (draw_death(dice), draw_down(dice));
                What::Die { servers: vec![server], death, down_ms }
            }
            6 => {
                let servers = if dice.one_in(2) { (0..self.servers()).collect() } else { group };
                What::Die { servers, death: Death::PowerLoss, down_ms: draw_down(dice) }
            }
            7 => What::SlowDisk { server, sync_ms: dice.within(5, 400), ms },
            8 => What::Pause { server, ms },
            9 => What::WallClockJumps { server, ms: dice.below(20_000) as i64 - 10_000 },
            10 => What::DiskError { server, calls: dice.below(40) as u32 },
            11 => What::SlowLink { a: server, b: other, latency_ms: dice.within(5, 200), ms },
            12 => What::ClientLosesConnection { client: dice.below(self.clients as u64) as usize },
            13 => What::ClientVanishes { client: dice.below(self.clients as u64) as usize },
            14 => What::PauseLeader { ms },
            15 => What::MuteLeader { ms },
            16 => What::DeafenLeader { ms },
            17 | 18 => What::PowerFailsAt {
                server,
                verb: dice.pick(&VERBS),
                calls: dice.below(6) as u32,
                is_before: dice.one_in(2),
                down_ms: draw_down(dice),
            },
            _ => {
                What::Panic { server, room: dice.pick(&FIRST_MORTAL), moment: dice.pick(&MOMENTS) }
            }
        };
        Fault { when, what }
    }
}

fn draw_death(dice: &mut Chance) -> Death {
    if dice.one_in(2) { Death::Kill } else { Death::PowerLoss }
}

fn draw_down(dice: &mut Chance) -> u64 {
    dice.pick(&[5, 50, 300, 1500]) + dice.below(50)
}
