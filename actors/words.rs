//! Four-letter words: gathers what the rooms, the counters and the system know into one report,
//! whose text is made in `ostler_core::words`.

use crate::clock::{Clock, wall_ms};
use crate::counters::{ConnectionCounters, Counters};
use crate::room::Inspect;
use crate::settings::Settings;
use crate::view::ReadView;
use crate::wiring::{Plan, Rooms};
use actix::Recipient;
use ostler_core::rooms::tree_store::View;
use ostler_core::tree::Tree;
use ostler_core::types::{ConnectionId, SessionId, Zxid};
use ostler_core::wire::FourLetterWord;
use ostler_core::words::{
    ConnectionEntry, ExpirySet, Report, SessionEntry, Sessions, answer, build_date, not_allowed,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::oneshot;

/// A room that does not answer so soon has its part of the report left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers four-letter words.
pub(crate) struct Words {
    settings: Settings,
    counters: Arc<Counters>,
    view: ReadView,
    rooms: Rooms,
    clock: Clock,
}

impl Words {
    pub(crate) fn new(plan: &Plan<'_>, rooms: Rooms) -> Self {
        Self {
            settings: plan.settings.clone(),
            counters: plan.counters.clone(),
            view: plan.view.clone(),
            rooms,
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
                self.counters.connections.iter().for_each(|entry| entry.value().reset());
            }
            FourLetterWord::Srst => {
                self.counters.received.store(0, Relaxed);
                self.counters.sent.store(0, Relaxed);
                self.counters.latency.reset();
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
            | FourLetterWord::Ruok
            | FourLetterWord::Srvr => {}
        }
        let mut report = self.basics();
        match word {
            FourLetterWord::Cons | FourLetterWord::Stat => report.connections = self.connections(),
            FourLetterWord::Dump => self.sessions(&mut report).await,
            FourLetterWord::Wchs | FourLetterWord::Wchc | FourLetterWord::Wchp => {
                self.watches(&mut report).await;
            }
            FourLetterWord::Mntr => self.monitor(&mut report).await,
            FourLetterWord::Envi => report.environment = environment(),
            FourLetterWord::Dirs | FourLetterWord::Conf => self.directories(&mut report),
            FourLetterWord::Hash => {
                let signed = |(zxid, digest): (Zxid, u64)| (zxid, digest.cast_signed());
                report.digests = self.view.read(|tree| tree.past_digests().map(signed).collect());
            }
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
        let (zxid, znodes) = self.view.read(|tree| (tree.last_applied(), tree.znode_count()));
        Report {
            serving: true,
            version: version(),
            latency_ms: self.counters.latency.summary_ms(),
            packets_received: self.counters.received.load(Relaxed),
            packets_sent: self.counters.sent.load(Relaxed),
            connections_alive: self.counters.connections.len() as u64,
            outstanding_requests: self.counters.outstanding.load(Relaxed),
            zxid,
            znodes: znodes as u64,
            settings: self.configuration(),
            ..Report::default()
        }
    }

    fn configuration(&self) -> Vec<(String, String)> {
        let pairs = self.settings.config_text.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn connections(&self) -> Vec<ConnectionEntry> {
        let mut all: Vec<_> = self
            .counters
            .connections
            .iter()
            .map(|entry| (*entry.key(), entry.value().clone()))
            .collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.iter().map(|(_, counters)| self.connection(counters)).collect()
    }

    fn connection(&self, counters: &ConnectionCounters) -> ConnectionEntry {
        let session = SessionId(counters.session.load(Relaxed));
        let latency = counters.latency.summary_ms();
        ConnectionEntry {
            address: counters.address,
            interest: u8::from(session != SessionId::NONE),
            queued: counters.queued.load(Relaxed),
            received: counters.received.load(Relaxed),
            sent: counters.sent.load(Relaxed),
            session: (session != SessionId::NONE).then(|| SessionEntry {
                session,
                last_operation: "NA",
                established_wall_ms: counters.established_ms,
                timeout_ms: i32::try_from(counters.timeout_ms.load(Relaxed)).unwrap_or(i32::MAX),
                last_xid: -1,
                last_zxid: self.view.read(Tree::last_applied),
                last_response_mono_ms: counters.last_response_ms.load(Relaxed),
                last_latency_ms: latency.max,
                latency_ms: latency,
            }),
        }
    }

    async fn sessions(&self, report: &mut Report) {
        report.ephemerals = self.view.read(Tree::ephemerals_by_session);
        let now = self.clock.now();
        let buckets = look(&self.rooms.session_sweeper, |sweeper| {
            let buckets = sweeper.deadlines().buckets();
            buckets.map(|(at, sessions)| (at, sessions.iter().copied().collect())).collect()
        });
        let buckets: Vec<(u64, Vec<SessionId>)> = buckets.await.unwrap_or_default();
        let sets = buckets.into_iter().map(|(at, members)| {
            let ahead = i64::try_from(at).unwrap_or(i64::MAX) - now.mono_ms.cast_signed();
            ExpirySet { wall_ms: now.wall_ms + ahead, members }
        });
        report.sessions = Sessions::Tracked(sets.collect());
        let deadline = wall_ms() + i64::from(self.settings.max_session_timeout_ms);
        let members = self
            .connections()
            .into_iter()
            .filter_map(|entry| entry.session.map(|session| (entry.address, session.session)));
        let members: Vec<_> = members.collect();
        if !members.is_empty() {
            report.connection_deadlines = vec![ExpirySet { wall_ms: deadline, members }];
        }
    }

    async fn watches(&self, report: &mut Report) {
        let table = look(&self.rooms.watch_fanout, |fanout| {
            let table = fanout.table();
            (table.summary(), table.by_connection(), table.by_path())
        });
        let Some((summary, by_connection, by_path)) = table.await else { return };
        let session = |id: &ConnectionId| {
            let counters = self.counters.connections.get(id)?;
            Some(SessionId(counters.session.load(Relaxed)))
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
        let gauges = &mut report.gauges;
        gauges.uptime_ms = self.clock.mono_ms();
        self.view.read(|tree| {
            gauges.ephemerals = tree.ephemeral_count() as u64;
            gauges.data_bytes = tree.data_size();
            gauges.sessions = tree.sessions().count() as u64;
        });
        gauges.open_files = open_files();
        gauges.open_files_max = open_files_max();
        let syncs = look(&self.rooms.log_writer, |writer| writer.syncs).await;
        let store = look(&self.rooms.tree_store, |store| {
            (store.applied, store.snapshots, store.snapshots_failed)
        });
        let (applied, snapshots, failed) = store.await.unwrap_or_default();
        let counters = &self.counters;
        let values = [
            ("bytes_received_count", counters.bytes_received.load(Relaxed)),
            ("connection_rejected", counters.rejected.load(Relaxed)),
            ("sessionless_connections_expired", counters.sessionless_expired.load(Relaxed)),
            ("stale_sessions_expired", counters.stale_sessions_expired.load(Relaxed)),
            ("commit_count", applied),
            ("fsync_count", syncs.unwrap_or_default()),
            ("snapshot_count", snapshots),
            ("snapshot_error_count", failed),
        ];
        gauges.values =
            values.map(|(name, value)| (name, i64::try_from(value).unwrap_or(i64::MAX))).into();
    }

    fn directories(&self, report: &mut Report) {
        report.snapshot_bytes = bytes_in(&self.settings.data_dir);
        report.log_bytes = bytes_in(&self.settings.log_dir);
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

async fn look<M: 'static, R: Send + 'static>(
    room: &Recipient<Inspect<M>>,
    look: impl FnOnce(&M) -> R + Send + 'static,
) -> Option<R> {
    let (tell, told) = oneshot::channel();
    room.do_send(Inspect(Box::new(move |machine| {
        // Whoever asked may have lost patience.
        let _ = tell.send(look(machine));
    })));
    tokio::time::timeout(PATIENCE, told).await.ok()?.ok()
}

fn environment() -> Vec<(String, String)> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let directory = std::env::current_dir().map(|path| path.display().to_string());
    let pairs = [
        ("zookeeper.version", version()),
        ("host.name", variable("HOSTNAME")),
        ("os.name", std::env::consts::OS.to_owned()),
        ("os.arch", std::env::consts::ARCH.to_owned()),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", directory.unwrap_or_default()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn open_files() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as u64)
}

fn open_files_max() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn bytes_in(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
}
