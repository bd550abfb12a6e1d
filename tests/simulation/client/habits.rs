//! What a client asks for, and how often.

use crate::calls::{Ask, Guard};
use crate::chance::Chance;
use crate::plan::Plan;

/// See the module.
pub(super) struct Habits {
    keys: u64,
    /// Requests under way at a time.
    pub(super) depth: usize,
    think_ms: u64,
    is_wide: bool,
    /// Never writes.
    is_reader: bool,
    /// However much is under way, it also checks whether what it is told is fresh, this often.
    checks_every_ms: u64,
    next_check_ms: u64,
    pub(super) next_ask_ms: u64,
    serial: u64,
}

/// What it says last of all.
pub(super) fn final_write(number: usize) -> Ask {
    let path = format!("/last-{number}");
    Ask::Create { path, data: String::new(), flags: 2, guard: Guard::Open }
}

impl Habits {
    pub(super) fn new(number: usize, plan: &Plan) -> Self {
        Self {
            keys: plan.keys,
            depth: plan.depth,
            think_ms: plan.think_ms,
            is_wide: plan.habits.is_wide,
            is_reader: number < plan.habits.readers,
            checks_every_ms: plan.habits.checks_every_ms,
            next_check_ms: 0,
            next_ask_ms: 0,
            serial: 0,
        }
    }

    /// Thinks before the next request.
    pub(super) fn pause(&mut self, now_ms: u64, chance: &mut Chance) {
        let pause = if chance.one_in(3) { 0 } else { self.think_ms };
        self.next_ask_ms = now_ms + chance.within(0, pause);
    }

    /// Whether it is time to check.
    pub(super) fn checks(&mut self, now_ms: u64) -> bool {
        let is_due = self.checks_every_ms > 0 && now_ms >= self.next_check_ms;
        if is_due {
            self.next_check_ms = now_ms + self.checks_every_ms;
        }
        is_due
    }

    pub(super) fn invent(&mut self, number: usize, chance: &mut Chance) -> Ask {
        self.serial += 1;
        if self.is_reader {
            let (path, watch) = (format!("/k{}", chance.below(self.keys)), chance.one_in(3));
            return match chance.below(4) {
                0 => Ask::Sync,
                1 => Ask::Exists { path, watch },
                2 => Ask::Children { path, watch },
                _ => Ask::Get { path, watch },
            };
        }
        if self.is_wide && chance.one_in(3) {
            return self.invent_widely(number, chance);
        }
        let key = chance.below(self.keys);
        let path = format!("/k{key}");
        let data = format!("c{number}-{}", self.serial);
        let version = if chance.one_in(3) { chance.below(4) as i32 } else { -1 };
        let watch = chance.one_in(3);
        let child = format!("{path}/c{}", chance.below(3));
        let guard = Guard::Open;
        match chance.below(64) {
            0..8 => Ask::Create { path, data, flags: 0, guard },
            8..12 => Ask::Create { path: child, data, flags: 1, guard },
            12..15 => Ask::Create { path: format!("{path}/s-"), data, flags: 2, guard },
            15..18 => Ask::Create { path: format!("{path}/e-"), data, flags: 3, guard },
            18..28 => Ask::Set { path, data, version },
            28..31 => Ask::Delete { path: child, version },
            31..33 => Ask::Delete { path, version },
            33..37 => Ask::Multi(vec![
                Ask::Check { path: path.clone(), version },
                Ask::Set { path, data: data.clone(), version: -1 },
                Ask::Create { path: child, data, flags: 0, guard },
            ]),
            37..44 => Ask::Get { path, watch },
            44..48 => Ask::Exists { path: child, watch },
            48..53 => Ask::Children { path, watch },
            53..57 => Ask::Exists { path, watch },
            57..63 => Ask::Sync,
            _ if chance.one_in(4) => Ask::Close,
            _ => Ask::Ping,
        }
    }

    /// Lasting watches, guarded znodes, and those that go by themselves.
    fn invent_widely(&mut self, number: usize, chance: &mut Chance) -> Ask {
        let key = chance.below(self.keys);
        let data = format!("c{number}-{}", self.serial);
        let version = if chance.one_in(3) { chance.below(3) as i32 } else { -1 };
        let (box_, brief) = (format!("/t{key}"), format!("/u{key}"));
        let (guarded, child) = (format!("/p{key}"), format!("/t{key}/c{}", chance.below(2)));
        let guard = chance.pick(&[Guard::Open, Guard::Readable, Guard::Closed]);
        let (watch, open) = (chance.one_in(3), Guard::Open);
        match chance.below(32) {
            0..3 => Ask::AddWatch { path: format!("/k{key}"), recursive: chance.one_in(2) },
            3 => Ask::AddWatch { path: box_, recursive: chance.one_in(2) },
            4..7 => Ask::Create { path: box_, data, flags: 4, guard: open },
            7..10 => Ask::Create { path: brief, data, flags: 5, guard: open },
            10..13 => Ask::Create { path: child, data, flags: 0, guard: open },
            13..15 => Ask::Delete { path: child, version },
            15 => Ask::Exists { path: box_, watch },
            16 => Ask::Get { path: brief, watch },
            17 => Ask::Children { path: box_, watch },
            18..22 => Ask::Create { path: guarded, data, flags: 0, guard },
            22..24 => Ask::SetAcl { path: guarded, guard, version },
            24..27 => Ask::Get { path: guarded, watch: false },
            27..29 => Ask::Set { path: guarded, data, version },
            29 => Ask::Multi(vec![
                Ask::Check { path: guarded, version },
                Ask::Create { path: child, data, flags: 0, guard: open },
            ]),
            30 => Ask::Exists { path: guarded, watch: false },
            _ => Ask::Delete { path: guarded, version },
        }
    }
}
