//! Four-letter words: gathers what the rooms, the counters and the system know into one report,
//! whose text is made in `ostler_core::words`.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::links::Links;
use crate::monitor::{self, Baseline};
use crate::room::look;
use crate::settings::Settings;
use crate::standing;
use crate::supervision::room_line;
use crate::supervisor::Supervisor;
use crate::switchboard::Switchboard;
use crate::system;
use crate::view::ReadView;
use crate::wiring::{Plan, Rooms};
use ostler_core::rooms::tree_store::View;
use ostler_core::rooms::watch_fanout;
use ostler_core::tree::Tree;
use ostler_core::types::{ConnectionId, SessionId, Zxid};
use ostler_core::wire::FourLetterWord;
use ostler_core::words::{
    ConnectionEntry, ExpirySet, Report, RoomLine, ServerState, Sessions, answer, build_date,
    needs_a_serving_server, not_allowed,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Answers four-letter words.
pub(crate) struct Words {
    settings: Settings,
    counters: Arc<Counters>,
    view: ReadView,
    rooms: Rooms,
    links: Links,
    switchboard: Switchboard,
    baseline: Baseline,
    supervisor: Supervisor,
    clock: Clock,
}

impl Words {
    pub(crate) fn new(plan: &Plan<'_>, rooms: Rooms) -> Self {
        Self {
            settings: plan.settings.clone(),
            counters: plan.counters.clone(),
            view: plan.view.clone(),
            rooms,
            links: plan.links.clone(),
            switchboard: plan.rooms.clone(),
            baseline: Baseline::default(),
            supervisor: plan.supervision.supervisor.clone(),
            clock: plan.clock,
        }
    }

    /// The whole answer to a word.
    pub(crate) async fn answer(&self, word: FourLetterWord) -> String {
        if !self.settings.words_allowed.admits(word.name()) {
            return not_allowed(word);
        }
        match word {
            FourLetterWord::Crst => {
                let all = self.counters.connections.iter();
                all.for_each(|entry| entry.value().tally.lock().reset());
            }
            FourLetterWord::Srst => {
                monitor::reset(&self.rooms, &self.counters, &self.baseline).await;
                self.switchboard.watch_fanout(watch_fanout::Input::ForgetStats);
            }
            FourLetterWord::Cons
            | FourLetterWord::Stat
            | FourLetterWord::Dump
            | FourLetterWord::Wchs
            | FourLetterWord::Wchc
            | FourLetterWord::Wchp
            | FourLetterWord::Mntr
            | FourLetterWord::Envi
            | FourLetterWord::Dirs
            | FourLetterWord::Conf
            | FourLetterWord::Hash
            | FourLetterWord::Gtmk
            | FourLetterWord::Stmk
            | FourLetterWord::Isro
            | FourLetterWord::Room
            | FourLetterWord::Ruok
            | FourLetterWord::Srvr => {}
        }
        let mut report = self.basics();
        if needs_a_serving_server(word) || word == FourLetterWord::Isro {
            standing::stand(&mut report, &self.settings, &self.rooms).await;
        }
        match word {
            FourLetterWord::Cons | FourLetterWord::Stat => report.connections = self.connections(),
            FourLetterWord::Dump => self.sessions(&mut report).await,
            FourLetterWord::Wchs | FourLetterWord::Wchc | FourLetterWord::Wchp => {
                self.watches(&mut report).await;
            }
            FourLetterWord::Mntr => self.monitor(&mut report).await,
            FourLetterWord::Envi => {
                report.environment = vec![("zookeeper.version".to_owned(), version())];
                report.environment.extend(system::environment());
            }
            FourLetterWord::Dirs => self.directories(&mut report),
            FourLetterWord::Conf => report.settings = self.configuration(),
            FourLetterWord::Hash => {
                let signed = |(zxid, digest): (Zxid, u64)| (zxid, digest.cast_signed());
                let digests = self.view.look(|tree| tree.past_digests().map(signed).collect());
                report.digests = digests.unwrap_or_default();
            }
            FourLetterWord::Room => report.rooms = self.rooms(),
            FourLetterWord::Crst
            | FourLetterWord::Srst
            | FourLetterWord::Gtmk
            | FourLetterWord::Stmk
            | FourLetterWord::Isro
            | FourLetterWord::Ruok
            | FourLetterWord::Srvr => {}
        }
        answer(word, &report)
    }

    fn basics(&self) -> Report {
        // While the tree is being made anew nobody can tell how large it is.
        let shown = self.view.look(|tree| (tree.last_applied(), tree.znode_count()));
        let (zxid, znodes) = shown.unwrap_or_else(|| (self.view.delivered(), 0));
        let traffic = self.counters.all_traffic();
        Report {
            serving: true,
            version: version(),
            latency_ms: traffic.latency_us.in_units_of(1000),
            packets_received: traffic.received,
            packets_sent: traffic.sent,
            connections_alive: self.counters.connections.len() as u64,
            outstanding_requests: self.counters.outstanding.load(Relaxed),
            zxid,
            // ZooKeeper knows the root by two names and counts both.
            znodes: znodes as u64 + 1,
            ..Report::default()
        }
    }

    fn configuration(&self) -> Vec<(String, String)> {
        let mut told = Vec::new();
        let pairs = self.settings.config_text.lines().filter_map(|line| line.split_once('='));
        for (key, value) in pairs {
            told.push((key.to_owned(), value.to_owned()));
            // Each directory's size stands behind its name.
            let size = match key {
                "dataDir" => Some(("dataDirSize", &self.settings.data_dir)),
                "dataLogDir" => Some(("dataLogSize", &self.settings.log_dir)),
                _ => None,
            };
            told.extend(
                size.map(|(key, path)| (key.to_owned(), system::bytes_in(path).to_string())),
            );
        }
        told
    }

    fn connections(&self) -> Vec<ConnectionEntry> {
        let all = self.counters.connections.iter();
        let mut all: Vec<_> = all.map(|entry| (*entry.key(), entry.value().clone())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.iter().map(|(_, counters)| counters.entry()).collect()
    }

    async fn sessions(&self, report: &mut Report) {
        report.ephemerals = self.view.look(Tree::ephemerals_by_session).unwrap_or_default();
        let now = self.clock.now();
        let buckets = look(&self.rooms.session_sweeper, |sweeper| {
            let buckets = sweeper.deadlines().buckets();
            buckets.map(|(at, sessions)| (at, sessions.iter().copied().collect())).collect()
        });
        let buckets: Vec<(u64, Vec<SessionId>)> = buckets.await.unwrap_or_default();
        // Instants of the monotonic clock, as the host's wall clock stands to it now.
        let wall = |at: u64| now.wall_ms + (at.cast_signed() - now.mono_ms.cast_signed());
        report.connection_deadlines = self.connection_deadlines(&buckets, wall);
        report.sessions = match report.state {
            // Another server decides on their end.
            ServerState::Follower | ServerState::Observer => {
                let all = |tree: &Tree| {
                    tree.sessions().map(|(id, record)| (id, record.timeout_ms)).collect()
                };
                Sessions::Learned(self.view.look(all).unwrap_or_default())
            }
            ServerState::Standalone | ServerState::Leader | ServerState::ReadOnly => {
                let sets = buckets.into_iter();
                let sets = sets.map(|(at, members)| ExpirySet { wall_ms: wall(at), members });
                Sessions::Tracked(sets.collect())
            }
        };
    }

    /// A connection with a session ends with it; one without has some time to open one.
    fn connection_deadlines(
        &self,
        buckets: &[(u64, Vec<SessionId>)],
        wall: impl Fn(u64) -> i64,
    ) -> Vec<ExpirySet<(SocketAddr, SessionId)>> {
        let ends = buckets.iter().flat_map(|(at, sessions)| sessions.iter().map(|id| (*id, *at)));
        let ends: BTreeMap<SessionId, u64> = ends.collect();
        let mut all: Vec<_> = self
            .counters
            .connections
            .iter()
            .filter_map(|entry| {
                let tally = entry.value().tally.lock();
                let fresh = tally.established_wall_ms + self.settings.handshake_timeout_ms as i64;
                let end = if tally.session == SessionId::NONE {
                    fresh
                } else {
                    wall(*ends.get(&tally.session)?)
                };
                Some((end, *entry.key(), (tally.address, tally.session)))
            })
            .collect();
        all.sort_unstable();
        let mut sets: Vec<ExpirySet<_>> = Vec::new();
        for (wall_ms, _, member) in all {
            match sets.last_mut() {
                Some(set) if set.wall_ms == wall_ms => set.members.push(member),
                Some(_) | None => sets.push(ExpirySet { wall_ms, members: vec![member] }),
            }
        }
        sets
    }

    async fn watches(&self, report: &mut Report) {
        let table = look(&self.rooms.watch_fanout, |fanout| {
            let table = fanout.table();
            (table.summary(), table.by_connection(), table.by_path())
        });
        let Some((summary, by_connection, by_path)) = table.await else { return };
        let session = |id: &ConnectionId| {
            let counters = self.counters.connections.get(id)?;
            Some(counters.tally.lock().session)
        };
        report.watches = summary;
        report.watches_by_session = by_connection
            .into_iter()
            .filter_map(|(id, paths)| Some((session(&id)?, paths)))
            .collect();
        report.watches_by_path = by_path
            .into_iter()
            .map(|(path, ids)| (path, ids.iter().filter_map(session).collect()))
            .collect();
    }

    async fn monitor(&self, report: &mut Report) {
        self.watches(report).await;
        report.rooms = self.rooms();
        let gauges = &mut report.gauges;
        gauges.uptime_ms = self.clock.mono_ms();
        self.view.look(|tree| {
            gauges.ephemerals = tree.ephemeral_count() as u64;
            gauges.data_bytes = tree.data_size();
            gauges.sessions = tree.sessions().count() as u64;
        });
        monitor::measure(gauges, &self.rooms, &self.counters, &self.baseline).await;
        let (settings, rooms, now_ms) = (&self.settings, &self.rooms, gauges.uptime_ms);
        standing::measure(gauges, report.state, settings, rooms, &self.links, now_ms).await;
    }

    fn rooms(&self) -> Vec<RoomLine> {
        self.supervisor.status().into_iter().map(room_line).collect()
    }

    fn directories(&self, report: &mut Report) {
        report.snapshot_bytes = system::bytes_in(&self.settings.data_dir);
        report.log_bytes = system::bytes_in(&self.settings.log_dir);
    }
}

/// Monitors read a release of ZooKeeper out of this text; what follows says who answers.
fn version() -> String {
    let seconds = env!("OSTLER_BUILD_SECONDS").parse().expect("the build script checks it");
    let separator = if env!("OSTLER_BUILD_COMMIT").is_empty() { "" } else { "-" };
    format!(
        "3.9.5-ostler-{}{separator}{}, built on {}",
        env!("CARGO_PKG_VERSION"),
        env!("OSTLER_BUILD_COMMIT"),
        build_date(seconds)
    )
}
