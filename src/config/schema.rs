//! The merged values as types, and from them the rooms' [`Settings`]. Ranges of single values are
//! checked before (`keys`); here come the checks that need more than one.

use super::ensemble::Ensemble;
use super::problem::Problem;
use ostler_actors::{EnsembleSettings, Settings, WordsAllowed};
use ostler_core::types::ServerId;
use ostler_core::zab::quorum::Role;
use serde::Deserialize;
use std::fmt::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZero;
use std::path::PathBuf;

/// What stands for the server's number in the names of directories.
pub(super) const ID: &str = "{id}";

/// Everything `config/ostler.toml` has, section by section; the meanings stand there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(super) server: Server,
    pub(super) ensemble: Ensemble,
    client: Client,
    session: Session,
    log: Log,
    snapshot: Snapshot,
    tree: Tree,
    reaper: Reaper,
    auth: Auth,
    pub(crate) logging: Logging,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) data_dir: String,
    log_dir: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    addresses: Vec<String>,
    port: u16,
    listen_backlog: u32,
    threads: usize,
    connections_per_ip_max: usize,
    connections_max: usize,
    frame_bytes_max: usize,
    outstanding_max: usize,
    handshake_timeout_ms: u64,
    words: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    tick_ms: u32,
    timeout_ms_min: i32,
    timeout_ms_max: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    segment_bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    every_txns: u64,
    every_bytes: u64,
    kept: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tree {
    extended_types: bool,
    enforce_quota: bool,
    skip_acl: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reaper {
    interval_ms: u64,
    per_minute: u32,
    never_used_ms: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    digest_enabled: bool,
    super_digest: String,
}

/// How log records look and which are written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logging {
    /// `text` or `json`.
    pub(crate) format: String,
    /// One of [`LEVELS`](super::keys::LEVELS).
    pub(crate) level: String,
}

impl Document {
    /// Settings for the rooms, `server.id` being right already. `place` tells where the value of
    /// a key came from.
    pub(crate) fn settings(
        mut self,
        ensemble: Option<EnsembleSettings>,
        place: &dyn Fn(&str) -> String,
        problems: &mut Vec<Problem>,
    ) -> Settings {
        let own = ensemble.as_ref().and_then(|all| all.members.get(&ServerId(self.server.id)));
        if let Some(client) = own.and_then(|member| member.client.as_deref()) {
            self.client.listen_as_known(client, place, problems);
        }
        let (min_session_timeout_ms, max_session_timeout_ms) =
            self.session.timeouts(place, problems);
        let data_dir = self.server.directory(&self.server.data_dir);
        let log_dir = match self.server.log_dir.as_str() {
            "" => data_dir.clone(),
            directory => self.server.directory(directory),
        };
        let settings = Settings {
            ensemble,
            data_dir,
            log_dir,
            client_address: self.client.sockets(place, problems),
            listen_backlog: NonZero::new(self.client.listen_backlog).map(NonZero::get),
            tick_ms: self.session.tick_ms,
            min_session_timeout_ms,
            max_session_timeout_ms,
            connections_per_ip_max: self.client.connections_per_ip_max,
            connections_max: self.client.connections_max,
            frame_bytes_max: self.client.frame_bytes_max,
            outstanding_max: self.client.outstanding_max,
            snapshot_every_txns: self.snapshot.every_txns,
            snapshot_every_bytes: match self.snapshot.every_bytes {
                0 => u64::MAX,
                bytes => bytes,
            },
            snapshots_kept: self.snapshot.kept,
            segment_bytes: self.log.segment_bytes,
            handshake_timeout_ms: self.client.handshake_timeout_ms,
            words_allowed: words_allowed(&self.client.words),
            extended_types: self.tree.extended_types,
            enforce_quota: self.tree.enforce_quota,
            skip_acl: self.tree.skip_acl,
            super_digest: self.auth.super_digest(place, problems),
            digest_enabled: self.auth.digest_enabled,
            reap_interval_ms: self.reaper.interval_ms,
            reap_per_minute: self.reaper.per_minute,
            never_used_ms: self.reaper.never_used_ms,
            server: ServerId(self.server.id),
            connection_arbiters: threads(self.client.threads),
            config_text: String::new(),
        };
        Settings { config_text: config_text(&settings), ..settings }
    }
}

impl Server {
    /// One file may serve several servers of a machine: `{id}` stands for the server's number.
    fn directory(&self, name: &str) -> PathBuf {
        PathBuf::from(name.replace(ID, &self.id.to_string()))
    }
}

impl Session {
    /// Shortest and longest timeout, in milliseconds.
    fn timeouts(&self, place: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) -> (i32, i32) {
        let tick = i32::try_from(self.tick_ms).unwrap_or(i32::MAX);
        let or_ticks = |timeout: i32, ticks: i32| match timeout {
            0 => tick.saturating_mul(ticks),
            timeout => timeout,
        };
        let (min, max) = (or_ticks(self.timeout_ms_min, 2), or_ticks(self.timeout_ms_max, 20));
        if min > max {
            problems.push(Problem::new(
                place("session.timeout_ms_min"),
                "session.timeout_ms_min",
                format!("the shortest session timeout, {min} ms, is above the longest, {max} ms"),
                "lower it, or raise session.timeout_ms_max (maxSessionTimeout)",
            ));
        }
        (min, max)
    }
}

impl Client {
    /// The members know at which address clients find this server: it listens there, unless an
    /// argument or the environment says otherwise. A file must not say two things.
    fn listen_as_known(
        &mut self,
        known: &str,
        place: &dyn Fn(&str) -> String,
        problems: &mut Vec<Problem>,
    ) {
        let Some((host, port)) = known.rsplit_once(':') else { return };
        let place_of_port = place("client.port");
        if super::is_built_in(&place_of_port) {
            self.port = port.parse().unwrap_or(self.port);
        // Only places in files have a line, behind a colon.
        } else if self.port.to_string() != port && place_of_port.contains(':') {
            problems.push(Problem::new(
                place_of_port,
                "client.port",
                format!("{}, but the members know {port} as this server's", self.port),
                "remove one of the two, or make them agree",
            ));
        }
        if super::is_built_in(&place("client.addresses")) {
            self.addresses = vec![host.to_owned()];
        }
    }

    /// Every address that the names stand for.
    fn sockets(
        &self,
        place: &dyn Fn(&str) -> String,
        problems: &mut Vec<Problem>,
    ) -> Vec<SocketAddr> {
        let mut sockets = Vec::new();
        if self.addresses.is_empty() {
            problems.push(Problem::new(
                place("client.addresses"),
                "client.addresses",
                "there is no address to await clients on",
                "write 0.0.0.0 for every address of this machine",
            ));
        }
        for address in &self.addresses {
            let bare = address.trim_matches(['[', ']']);
            match (bare, self.port).to_socket_addrs() {
                Ok(found) => {
                    for socket in found {
                        if !sockets.contains(&socket) {
                            sockets.push(socket);
                        }
                    }
                }
                Err(error) => problems.push(Problem::new(
                    place("client.addresses"),
                    "client.addresses",
                    format!("`{address}` stands for no address: {error}"),
                    "write an address of this machine, or 0.0.0.0 for all of them",
                )),
            }
        }
        sockets
    }
}

impl Auth {
    fn super_digest(
        &self,
        place: &dyn Fn(&str) -> String,
        problems: &mut Vec<Problem>,
    ) -> Option<String> {
        if self.super_digest.is_empty() {
            return None;
        }
        // A password in clear would never match, and the super user would be missed in need.
        let digest = self.super_digest.split_once(':').map_or("", |(_, digest)| digest);
        if digest.len() != 28 || !digest.ends_with('=') {
            problems.push(Problem::new(
                place("auth.super_digest"),
                "auth.super_digest",
                "the value is not user:base64(sha1(user:password))",
                "write the digest, not the password",
            ));
        }
        Some(self.super_digest.clone())
    }
}

fn words_allowed(words: &[String]) -> WordsAllowed {
    if words.iter().any(|word| word == "*") {
        return WordsAllowed::All;
    }
    match words {
        [only] if only == "read-only" => WordsAllowed::ReadOnly,
        listed => WordsAllowed::Listed(listed.iter().map(|word| word.to_lowercase()).collect()),
    }
}

/// As many threads as asked for, or one for every two cores.
fn threads(asked: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    if asked == 0 { (cores / 2).clamp(1, 256) } else { asked }
}

/// What the word `conf` answers, in ZooKeeper's names and order.
fn config_text(settings: &Settings) -> String {
    let mut text = String::new();
    let port = settings.client_address.first().map_or(0, SocketAddr::port);
    let backlog = settings.listen_backlog.map_or(-1, i64::from);
    let lines: [(&str, &dyn std::fmt::Display); 10] = [
        ("clientPort", &port),
        ("secureClientPort", &-1),
        ("dataDir", &settings.data_dir.display()),
        ("dataLogDir", &settings.log_dir.display()),
        ("tickTime", &settings.tick_ms),
        ("maxClientCnxns", &settings.connections_per_ip_max),
        ("minSessionTimeout", &settings.min_session_timeout_ms),
        ("maxSessionTimeout", &settings.max_session_timeout_ms),
        ("clientPortListenBacklog", &backlog),
        ("serverId", &settings.server.0),
    ];
    for (key, value) in lines {
        writeln!(text, "{key}={value}").expect("a string takes every write");
    }
    if let Some(ensemble) = &settings.ensemble {
        text.push_str(&ensemble_text(settings, ensemble));
    }
    text
}

/// What `conf` tells only in an ensemble; times in ticks, rounded up.
fn ensemble_text(settings: &Settings, ensemble: &EnsembleSettings) -> String {
    let tick = u64::from(settings.tick_ms).max(1);
    let me = ensemble.members.get(&settings.server);
    let port = me.and_then(|me| me.address.rsplit_once(':')).map_or("", |(_, port)| port);
    format!(
        "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={}\nquorumPort={port}\n\
         peerType={}\n",
        ensemble.join_ms.div_ceil(tick),
        ensemble.silence_ms.div_ceil(tick),
        me.map_or(0, |me| me.election_port),
        u8::from(me.is_some_and(|me| me.role == Role::Observer)),
    )
}
