//! What goes wrong, and how a server starts and ends.

use crate::plan::{Death, Promise, Victim, What, When};
use crate::server::recover;
use crate::world::{Due, Timer, World};
use ostler_core::log::{Fault as DiskFault, LogError};
use ostler_core::rooms::tree_store::View;
use ostler_core::rooms::{pipeline, session_sweeper};

/// How long a server stays down that a failing disk ended, in milliseconds.
const DISK_DOWN_MS: u64 = 100;

impl World {
    // A server's life.

    pub(crate) fn start(&mut self, server: usize) {
        if self.servers[server].rooms.is_some() || self.given_up.contains(&server) {
            return;
        }
        // Half of the numbers, as servers draw them.
        let first_serial = self.dice.next() >> 1;
        let (plan, membership) = (self.plan.clone(), self.membership.clone());
        let host = &self.servers[server];
        let recovery = match recover(&host.disk, &plan, host.id, &membership, first_serial) {
            Ok(recovery) => recovery,
            Err(error) => {
                assert!(
                    matches!(error, LogError::Disk(_)),
                    "server {server} cannot start: {error}"
                );
                self.tally.count("disk errors", 1);
                return self.schedule_in(DISK_DOWN_MS * 1000, Due::Start(server));
            }
        };
        let host = &mut self.servers[server];
        host.life += 1;
        host.is_dark = false;
        let life = host.life;
        self.trace(|| format!("{server}: starts with {:?}", recovery.recovered));
        self.oracle.reset(server, recovery.snapshot);
        for proposal in &recovery.replayed {
            self.oracle.deliver(server, proposal);
        }
        let digest = recovery.rooms.view.read(|tree| (tree.last_applied(), tree.digest()));
        self.oracle.digest(server, digest.0, digest.1);
        let sessions = recovery
            .rooms
            .view
            .read(|tree| tree.sessions().map(|(id, record)| (id, record.timeout_ms)).collect());
        self.servers[server].rooms = Some(recovery.rooms);
        self.tell_sweeper(server, session_sweeper::Input::Restored(sessions));
        self.tell_sweeper(server, session_sweeper::Input::Pause);
        self.tell_pipeline(server, pipeline::Input::Start);
        for peer in (0..self.servers.len()).filter(|peer| *peer != server) {
            let at = self.links.disown((server, peer), self.now_us);
            self.schedule(at, Due::Arrival((server, peer)));
        }
        let reaps = self.plan.habits.is_wide.then_some(Timer::Reap);
        for timer in [Timer::Tick, Timer::Sweep, Timer::Report].into_iter().chain(reaps) {
            let us = 1 + self.dice.below(20_000);
            self.schedule_in(us, Due::Timer(server, life, timer));
        }
    }

    pub(crate) fn die(&mut self, server: usize, death: Death, down_ms: u64) {
        if self.servers[server].rooms.is_none() {
            return;
        }
        self.trace(|| format!("{server}: {death:?}"));
        let life = self.servers[server].life;
        let is_dark = death == Death::PowerLoss;
        match death {
            Death::Kill => self.tally.count("kills", 1),
            Death::PowerLoss => self.tally.count("power losses", 1),
        }
        self.doors_close(server, life, is_dark);
        let host = &mut self.servers[server];
        let rooms = host.rooms.take();
        host.is_dark = is_dark;
        host.paused_until_us = 0;
        host.disk.spare();
        if let Some(mut rooms) = rooms {
            // A kill does not recall what the system was asked to do.
            let disk = rooms.log.disk().same();
            if is_dark {
                host.disk.power_cut();
            } else {
                let _ = disk.release();
            }
        }
        for peer in (0..self.servers.len()).filter(|peer| *peer != server) {
            self.links.forget_end(server, peer);
            if is_dark {
                self.links.fall_silent((server, peer));
            } else {
                let at = self.links.break_way((server, peer), self.now_us);
                self.schedule(at, Due::Arrival((server, peer)));
            }
        }
        self.schedule_in(down_ms * 1000, Due::Start(server));
    }

    /// The power failed in the middle of what a server just did.
    pub(crate) fn go_dark_if_doomed(&mut self, server: usize) {
        if let Some(down_ms) = self.servers[server].disk.fate() {
            self.die(server, Death::PowerLoss, down_ms);
            self.servers[server].disk.spare();
        }
    }

    /// A server stops when its disk fails; what reached the disk is unknown.
    pub(crate) fn die_of_disk(&mut self, server: usize) {
        // If it is the power that fails, the server is about to be dark.
        if self.servers[server].disk.fate().is_some() {
            return;
        }
        let death = if self.dice.one_in(2) { Death::Kill } else { Death::PowerLoss };
        self.die(server, death, DISK_DOWN_MS);
    }

    // Faults of the plan.

    pub(crate) fn fault(&mut self, index: usize) {
        let fault = self.plan.faults[index].clone();
        if self.storm_over {
            return;
        }
        self.tally.faults(fault.what.kind());
        self.trace(|| format!("FAULT {fault}"));
        match fault.what {
            What::Die { servers, death, down_ms } => {
                servers.into_iter().for_each(|server| self.die(server, death, down_ms));
            }
            What::DieByRole { .. } => {}
            What::Pause { server, ms } => self.pause(server, ms),
            What::PauseLeader { ms } => self.pause(self.leader().unwrap_or(0), ms),
            What::MuteLeader { ms } => {
                let leader = self.leader().unwrap_or(0);
                self.split(index, ms, |from, _| from == leader);
            }
            What::DeafenLeader { ms } => {
                let leader = self.leader().unwrap_or(0);
                self.split(index, ms, |_, to| to == leader);
            }
            What::BreakLink { a, b } => {
                self.tally.count("links broken", 1);
                self.break_link(a, b);
            }
            What::Partition { group, ms } => {
                let inside = |server: &usize| group.contains(server);
                self.split(index, ms, |a, b| inside(&a) != inside(&b));
            }
            What::OneWay { from, to, ms } => self.split(index, ms, |a, b| (a, b) == (from, to)),
            What::Bridge { bridge, ms } => {
                let half = |server: usize| server.is_multiple_of(2);
                let apart = |a: usize, b: usize| a != bridge && b != bridge && half(a) != half(b);
                self.split(index, ms, apart);
            }
            What::IsolateLeader { ms } => {
                let leader = self.leader().unwrap_or(0);
                self.split(index, ms, |a, b| a == leader || b == leader);
            }
            What::SlowLink { a, b, latency_ms, ms } => {
                self.links.slow_down((a, b), latency_ms * 1000);
                self.schedule_in(ms * 1000, Due::FaultEnds(index));
            }
            What::SlowDisk { server, sync_ms, ms } => {
                self.servers[server].sync_us = sync_ms * 1000;
                self.schedule_in(ms * 1000, Due::FaultEnds(index));
            }
            What::DiskError { server, calls } => {
                self.servers[server].disk.fail_after(calls, None, DiskFault::Broken);
            }
            What::PowerFailsAt { server, verb, calls, is_before, down_ms } => {
                self.servers[server].disk.doom(verb, calls, is_before, down_ms);
            }
            What::Panic { server, room, moment } => {
                if let Some(rooms) = &mut self.servers[server].rooms {
                    rooms.doomed.insert(room, moment);
                }
            }
            What::WallClockJumps { server, ms } => self.servers[server].wall_offset_ms += ms,
            What::ClientLosesConnection { client } => self.client_hangs_up(client),
            What::ClientVanishes { client } => self.vanish(client),
        }
    }

    fn vanish(&mut self, client: usize) {
        self.client_hangs_up(client);
        self.clients[client].state = crate::client::State::Vanished;
    }

    fn pause(&mut self, server: usize, ms: u64) {
        self.tally.count("pauses", 1);
        let host = &mut self.servers[server];
        host.paused_until_us = host.paused_until_us.max(self.now_us + ms * 1000);
    }

    fn split(&mut self, index: usize, ms: u64, apart: impl Fn(usize, usize) -> bool) {
        self.tally.count("partitions", 1);
        let all = self.servers.len();
        let ways = (0..all).flat_map(|a| (0..all).map(move |b| (a, b)));
        let ways: Vec<_> = ways.filter(|(a, b)| apart(*a, *b)).collect();
        self.block(ways);
        self.schedule_in(ms * 1000, Due::FaultEnds(index));
    }

    pub(crate) fn fault_ends(&mut self, index: usize) {
        let fault = self.plan.faults[index].clone();
        self.trace(|| format!("over: {fault}"));
        match fault.what {
            What::SlowLink { a, b, .. } => self.links.slow_down((a, b), 0),
            What::SlowDisk { server, .. } => self.servers[server].sync_us = self.plan.sync_us,
            What::Partition { .. }
            | What::OneWay { .. }
            | What::Bridge { .. }
            | What::MuteLeader { .. }
            | What::DeafenLeader { .. }
            | What::IsolateLeader { .. } => {
                if !self.storm_over {
                    self.heal_network();
                }
            }
            What::Die { .. }
            | What::DieByRole { .. }
            | What::Pause { .. }
            | What::PauseLeader { .. }
            | What::Panic { .. }
            | What::PowerFailsAt { .. }
            | What::BreakLink { .. }
            | What::DiskError { .. }
            | What::WallClockJumps { .. }
            | What::ClientLosesConnection { .. }
            | What::ClientVanishes { .. } => {}
        }
    }

    /// Every way is open again.
    pub(crate) fn heal_network(&mut self) {
        let all = self.servers.len();
        let ways: Vec<_> = (0..all).flat_map(|a| (0..all).map(move |b| (a, b))).collect();
        self.unblock(&ways);
    }

    /// Who leads, as far as it believes so itself.
    pub(crate) fn leader(&self) -> Option<usize> {
        let reigns = self.servers.iter().enumerate().filter_map(|(place, server)| {
            let reign = server.rooms.as_ref()?.pipeline.machine.reign()?;
            (reign.leader == server.id).then_some((reign.epoch, place))
        });
        reigns.max().map(|(_, place)| place)
    }

    // Guided faults.

    /// A promise has just been made.
    pub(crate) fn promised(&mut self, sender: usize, promise: Promise) {
        let count = self.promises.entry(promise).or_default();
        *count += 1;
        let when = When::After(promise, *count);
        if self.storm_over {
            return;
        }
        let due: Vec<_> =
            self.plan.faults.iter().filter(|fault| fault.when == when).cloned().collect();
        for fault in due {
            let What::DieByRole { victim, death, down_ms } = fault.what else { continue };
            self.trace(|| format!("FAULT {fault}"));
            self.tally.faults(fault.what.kind());
            let receiver = self.addressee.unwrap_or(sender);
            let victims = match victim {
                Victim::Sender => vec![sender],
                Victim::Receiver => vec![receiver],
                Victim::Both => vec![sender, receiver],
                Victim::Everybody => (0..self.servers.len()).collect(),
            };
            victims.into_iter().for_each(|victim| self.die(victim, death, down_ms));
        }
    }
}
