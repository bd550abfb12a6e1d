//! One run from beginning to verdict: the storm, then calm, in which everything has to come right
//! within a bounded time.

use crate::chance::Chance;
use crate::client::{LastWords, State};
use crate::plan::{Death, Plan};
use crate::verdict;
use crate::world::{Due, Tally, World};
use ostler_core::rooms::tree_store::View;
use ostler_core::tree::Tree;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// How long the calm may take until everybody agrees and every client was answered, in
/// milliseconds of the simulated clock.
const CALM_MS: u64 = 60_000;
/// How often that is looked at, in milliseconds.
const LOOK_MS: u64 = 200;

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) fingerprint: u64,
    /// What is wrong, if anything is.
    pub(crate) failure: Option<String>,
}

thread_local! {
    /// What the last panic of this thread said, and whether it is kept instead of printed.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static IS_CAUGHT: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs a plan; a check that fails, or a machine that panics, is the run's failure.
pub(crate) fn run(plan: &Plan, is_traced: bool) -> Outcome {
    keep_panics();
    let (mut tally, mut fingerprint) = (Tally::default(), 0);
    IS_CAUGHT.set(true);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(plan.clone(), is_traced);
        world.storm();
        world.calm();
        world.judge();
        (tally, fingerprint) = (world.tally.clone(), world.fingerprint);
    }));
    IS_CAUGHT.set(false);
    let failure = ended.err().map(|_| SAID.take().unwrap_or_else(|| "a panic".to_owned()));
    Outcome { tally, fingerprint, failure }
}

/// A panic of a run is no panic of the test: it is kept, with its place.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_CAUGHT.with_borrow(|is_caught| *is_caught) {
                SAID.set(Some(panic.to_string()));
            } else {
                usual(panic);
            }
        }));
    });
}

impl World {
    fn storm(&mut self) {
        let until_us = self.now_us + self.plan.storm_ms * 1000;
        self.run_until(until_us);
        // A process that stands still is part of the storm, as long as it does.
        let paused = self.servers.iter().map(|server| server.paused_until_us);
        let until_us = paused.max().unwrap_or_default().max(until_us);
        self.run_until(until_us);
    }

    /// Everything is mended, but for a minority that may stay away.
    fn calm(&mut self) {
        self.trace(|| "THE STORM IS OVER".to_owned());
        self.storm_over = true;
        self.heal_network();
        if self.plan.leaves_some_broken {
            self.give_up_a_minority();
        }
        for server in 0..self.servers.len() {
            self.servers[server].disk.heal();
            if let Some(rooms) = &mut self.servers[server].rooms {
                rooms.doomed.clear();
            }
            self.servers[server].sync_us = self.plan.sync_us;
            for peer in 0..self.servers.len() {
                self.links.slow_down((server, peer), 0);
            }
            self.schedule(self.now_us, Due::Start(server));
        }
        for client in &mut self.clients {
            client.is_resting = true;
            client.last_words = Some(LastWords::Due);
        }
        let begun_us = self.now_us;
        while !self.is_settled() {
            let waited_ms = (self.now_us - begun_us) / 1000;
            assert!(waited_ms < CALM_MS, "not settled after {waited_ms} ms: {}", self.describe());
            self.run_until(self.now_us + LOOK_MS * 1000);
        }
        self.check_sessions();
    }

    fn give_up_a_minority(&mut self) {
        let mut dice = Chance::of(self.plan.seed, 7);
        let minority = (self.plan.voters - 1) / 2;
        for _ in 0..minority {
            let server = dice.below(self.plan.voters as u64) as usize;
            let left = self.survivors().filter(|other| *other != server);
            let left = left.map(|place| self.servers[place].id).collect();
            if !self.given_up.contains(&server) && self.membership.is_quorum(&left) {
                self.given_up.push(server);
                self.die(server, Death::PowerLoss, 0);
            }
        }
    }

    fn survivors(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.servers.len()).filter(|server| !self.given_up.contains(server))
    }

    fn is_settled(&self) -> bool {
        let end = self.oracle.chosen.last().map(|last| last.zxid).unwrap_or_default();
        let is_done = |client: &crate::client::Client| {
            client.state == State::Vanished
                || (client.last_words == Some(LastWords::Acknowledged)
                    && client.has_nothing_pending())
        };
        let has_all = |server: usize| {
            let rooms = self.servers[server].rooms.as_ref();
            rooms.is_some_and(|rooms| rooms.view.look(Tree::last_applied) == Some(end))
        };
        self.clients.iter().all(is_done) && self.survivors().all(has_all)
    }

    fn describe(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("{} chosen;", self.oracle.chosen.len());
        for (place, server) in self.servers.iter().enumerate() {
            let shown = server.rooms.as_ref().map(|rooms| {
                let reign = rooms.pipeline.machine.reign();
                (rooms.view.look(Tree::last_applied), reign, rooms.pipeline.machine.outstanding())
            });
            let _ = write!(text, " {place}: {shown:?};");
        }
        for client in &self.clients {
            let (number, state, words) = (client.number, client.state, client.last_words);
            let host = self.host_of(number);
            let _ = write!(text, " client {number}: {state:?} {words:?} at {host:?};");
        }
        text
    }

    /// In the calm nobody loses a session that it keeps alive, and nobody's stays that is gone.
    fn check_sessions(&mut self) {
        let held = |world: &Self| -> Vec<_> {
            let open = world.clients.iter().filter(|client| client.state == State::Open);
            open.map(|client| (client.number, client.session())).collect()
        };
        // What was not heard in the storm may still be missed.
        let timeout_ms = self.plan.session_timeout_ms as u64;
        self.run_until(self.now_us + 2 * timeout_ms * 1000);
        let before = held(self);
        self.run_until(self.now_us + 3 * timeout_ms * 1000);
        let after = held(self);
        for client in &before {
            assert!(after.contains(client), "client {client:?} lost its session in the calm");
        }
        let known: Vec<_> = self
            .clients
            .iter()
            .filter_map(|client| {
                (client.state != State::Vanished).then(|| client.session()).flatten()
            })
            .collect();
        for server in self.survivors() {
            let Some(rooms) = &self.servers[server].rooms else { continue };
            let open: Vec<_> = rooms.view.read(|tree| tree.sessions().map(|(id, _)| id).collect());
            let stray = open.iter().find(|id| !known.contains(id));
            assert!(stray.is_none(), "server {server} still has {stray:?}, whose client is gone");
        }
    }

    fn judge(&mut self) {
        let model = verdict::judge(&self.oracle.chosen, &self.calls);
        for server in self.survivors() {
            let Some(rooms) = &self.servers[server].rooms else { continue };
            rooms.view.read(|tree| verdict::compare(tree, &model));
        }
        for session in &self.calls.lost {
            let is_open = model.sessions.contains(session);
            assert!(!is_open, "a client was told that {session} is gone, which is open");
        }
        self.tally.count("sessions lost", self.calls.lost.len() as u64);
        self.tally.simulated_us = self.now_us;
        if self.plan.faults.is_empty() && self.plan.disloyal_one_in == 0 {
            assert_eq!(self.calls.lost, [], "sessions were lost, and nothing was wrong");
        }
    }
}
