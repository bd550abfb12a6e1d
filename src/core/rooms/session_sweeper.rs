//! The room that decides when a session is given up.
//!
//! Only a leader (or a server alone) lets its clocks run; a follower passes on what its own
//! clients are heard saying. The room proposes nothing itself: the
//! pipeline turns [`Effect::Expire`] into the transactions that close sessions. The server's
//! wiring calls it: connections report, in batches, which sessions they have heard from, TreeStore
//! reports sessions made and ended, a timer sends [`Input::Tick`].

use super::{Machine, Now};
use crate::session::Deadlines;
use crate::types::SessionId;
use alloc::vec::Vec;

/// What can happen to the sweeper. Instants are milliseconds of [`Now::mono_ms`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The open sessions and their timeouts in milliseconds, replacing all that was known. Each
    /// gets its full timeout anew.
    Restored(Vec<(SessionId, i32)>),
    /// A session was made.
    Opened {
        /// Which one.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// A session has ended, whatever the reason.
    Closed {
        /// Which one.
        session: SessionId,
    },
    /// Sessions and the instants at which they were last heard.
    Touched(Vec<(SessionId, u64)>),
    /// A client came back for its session, perhaps with another timeout.
    Attached {
        /// Which one.
        session: SessionId,
        /// Its timeout in milliseconds from now on.
        timeout_ms: i32,
        /// When the client came.
        at: u64,
    },
    /// Time has passed, up to this instant. Whoever says so says it at that instant, so that
    /// reports of what was heard before it stand before it in the mailbox.
    Tick(u64),
    /// There is no leader: clocks stand still.
    Pause,
    /// Another server leads: clocks stand still here, and it is told who was heard.
    Follow,
    /// This server leads: every session gets its full timeout anew.
    Resume,
}

/// What the sweeper asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Propose the end of these sessions. Never empty. A session is named again one timeout
    /// later if it is still open then, so a lost proposal leaves no session behind.
    Expire(Vec<SessionId>),
    /// Tell the leader: these sessions were heard so many milliseconds ago. Never empty.
    Report(Vec<(SessionId, u32)>),
}

/// Whose clocks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    Ours,
    TheLeaders,
    Nobodys,
}

/// The machine. It starts with its clocks running.
#[derive(Debug)]
pub struct SessionSweeper {
    deadlines: Deadlines,
    touch_delay_ms: u64,
    clocks: Clocks,
    expired_total: u64,
}

impl SessionSweeper {
    /// `tick_ms` is the width of a bucket. `touch_delay_ms` is the longest a touch may be on its
    /// way, since connections report in batches: verdicts wait so long after a bucket's end.
    pub fn new(tick_ms: u32, touch_delay_ms: u64) -> Self {
        let deadlines = Deadlines::new(tick_ms);
        Self { deadlines, touch_delay_ms, clocks: Clocks::Ours, expired_total: 0 }
    }

    /// The deadlines, for `dump` and for counting sessions.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// How many verdicts have been given since the start.
    pub fn expired_total(&self) -> u64 {
        self.expired_total
    }

    fn restore(&mut self, sessions: Vec<(SessionId, i32)>, now: Now) {
        self.deadlines.clear();
        for (session, timeout_ms) in sessions {
            self.deadlines.attach(session, timeout_ms, now.mono_ms);
        }
    }

    fn touched(&mut self, touches: Vec<(SessionId, u64)>, now: Now, effects: &mut Vec<Effect>) {
        if self.clocks == Clocks::TheLeaders && !touches.is_empty() {
            let ago = |heard: u64| u32::try_from(now.mono_ms.saturating_sub(heard));
            let heard = touches.iter().map(|(id, heard)| (*id, ago(*heard).unwrap_or(u32::MAX)));
            effects.push(Effect::Report(heard.collect()));
        }
        for (session, heard_ms) in touches {
            self.deadlines.touch(session, heard_ms);
        }
    }

    /// Judges by the instant of the tick, not of its arrival: when this room comes to it late, the
    /// touches of the meantime wait behind it.
    fn sweep(&mut self, said_at: u64, effects: &mut Vec<Effect>) {
        if self.clocks != Clocks::Ours {
            return;
        }
        let Some(until_ms) = said_at.checked_sub(self.touch_delay_ms) else { return };
        let expired = self.deadlines.expire(until_ms);
        if !expired.is_empty() {
            self.expired_total += expired.len() as u64;
            effects.push(Effect::Expire(expired));
        }
    }
}

impl Machine for SessionSweeper {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Restored(sessions) => self.restore(sessions, now),
            Input::Opened { session, timeout_ms } => {
                self.deadlines.attach(session, timeout_ms, now.mono_ms);
            }
            Input::Closed { session } => self.deadlines.close(session),
            Input::Touched(touches) => self.touched(touches, now, effects),
            Input::Attached { session, timeout_ms, at } => {
                self.deadlines.attach(session, timeout_ms, at);
            }
            Input::Tick(said_at) => self.sweep(said_at, effects),
            Input::Pause => self.clocks = Clocks::Nobodys,
            Input::Follow => self.clocks = Clocks::TheLeaders,
            Input::Resume => {
                self.clocks = Clocks::Ours;
                self.deadlines.renew_all(now.mono_ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const A: SessionId = SessionId(0xa);
    const B: SessionId = SessionId(0xb);

    /// Hands the inputs over at their instants and answers all verdicts with theirs.
    fn play(
        sweeper: &mut SessionSweeper,
        inputs: impl IntoIterator<Item = (u64, Input)>,
    ) -> Vec<(u64, Vec<SessionId>)> {
        let mut verdicts = Vec::new();
        for (mono_ms, input) in inputs {
            let mut effects = Vec::new();
            sweeper.step(Now { mono_ms, wall_ms: 0 }, input, &mut effects);
            for effect in effects {
                if let Effect::Expire(sessions) = effect {
                    verdicts.push((mono_ms, sessions));
                }
            }
        }
        verdicts
    }

    fn opened(session: SessionId, timeout_ms: i32) -> Input {
        Input::Opened { session, timeout_ms }
    }

    #[test]
    fn verdicts_wait_for_touches_that_are_on_their_way() {
        let mut sweeper = SessionSweeper::new(1000, 200);
        let inputs = [
            (0, opened(A, 2000)),
            (0, opened(B, 2000)),
            (3000, Input::Tick(3000)),
            (3150, Input::Touched(vec![(B, 2900)])),
            (3199, Input::Tick(3199)),
            (3200, Input::Tick(3200)),
            (5199, Input::Tick(5199)),
        ];
        assert_eq!(play(&mut sweeper, inputs), [(3200, vec![A])]);
        assert_eq!(sweeper.expired_total(), 1);
    }

    #[test]
    fn a_tick_that_waited_knows_nothing_of_the_meantime() {
        let mut sweeper = SessionSweeper::new(1000, 200);
        let inputs = [
            (0, opened(A, 2000)),
            (0, opened(B, 2000)),
            (9000, Input::Tick(2900)),
            (9000, Input::Touched(vec![(B, 6900)])),
            (9000, Input::Tick(7000)),
        ];
        assert_eq!(play(&mut sweeper, inputs), [(9000, vec![A])]);
    }

    #[test]
    fn closed_sessions_are_never_named() {
        let mut sweeper = SessionSweeper::new(1000, 0);
        let inputs = [
            (0, opened(A, 1000)),
            (10, Input::Closed { session: A }),
            (20, Input::Touched(vec![(A, 15)])),
            (90_000, Input::Tick(90_000)),
        ];
        assert_eq!(play(&mut sweeper, inputs), []);
    }

    #[test]
    fn nothing_expires_without_a_leader_and_a_new_leader_starts_all_clocks_anew() {
        let mut sweeper = SessionSweeper::new(1000, 0);
        let inputs = [
            (0, opened(A, 1000)),
            (10, Input::Pause),
            (60_000, Input::Tick(60_000)),
            (70_000, Input::Resume),
            (71_999, Input::Tick(71_999)),
            (72_000, Input::Tick(72_000)),
        ];
        assert_eq!(play(&mut sweeper, inputs), [(72_000, vec![A])]);
    }

    #[test]
    fn a_follower_passes_on_whom_it_hears_and_expires_nobody() {
        let mut sweeper = SessionSweeper::new(1000, 0);
        let mut effects = Vec::new();
        let at = |mono_ms| Now { mono_ms, wall_ms: 0 };
        sweeper.step(at(0), opened(A, 1000), &mut effects);
        sweeper.step(at(0), Input::Follow, &mut effects);
        sweeper.step(at(500), Input::Touched(vec![(A, 420)]), &mut effects);
        sweeper.step(at(90_000), Input::Tick(90_000), &mut effects);
        assert_eq!(effects, [Effect::Report(vec![(A, 80)])]);
    }

    #[test]
    fn restored_sessions_replace_all_others_with_full_timeouts() {
        let mut sweeper = SessionSweeper::new(1000, 0);
        let inputs = [
            (0, opened(A, 1000)),
            (50_000, Input::Restored(vec![(B, 3000)])),
            (53_999, Input::Tick(53_999)),
            (54_000, Input::Tick(54_000)),
        ];
        assert_eq!(play(&mut sweeper, inputs), [(54_000, vec![B])]);
    }

    #[test]
    fn a_returning_client_brings_its_timeout() {
        let mut sweeper = SessionSweeper::new(1000, 0);
        let attached = Input::Attached { session: A, timeout_ms: 8000, at: 900 };
        let inputs = [
            (0, opened(A, 1000)),
            (950, attached),
            (8999, Input::Tick(8999)),
            (9000, Input::Tick(9000)),
        ];
        assert_eq!(play(&mut sweeper, inputs), [(9000, vec![A])]);
    }

    #[test]
    fn a_session_still_open_after_its_verdict_is_named_again() {
        let mut sweeper = SessionSweeper::new(1000, 0);
        let mut inputs = vec![(0, opened(A, 1000))];
        inputs.extend((0..7).map(|tick| (tick * 1000, Input::Tick(tick * 1000))));
        assert_eq!(play(&mut sweeper, inputs), [(2000, vec![A]), (4000, vec![A]), (6000, vec![A])]);
    }
}
