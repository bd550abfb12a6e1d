//! What the rooms have to be told before they start: one plain struct, no globals.
//!
//! Nothing here parses: the `ostler` package reads files, arguments and environment, checks every
//! value, and hands the finished [`Settings`] to `serve`. The rooms copy the
//! fields they need and never ask again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ostler_core::types::ServerId;
use ostler_core::types::limits::FRAME_BYTES_DEFAULT;
use ostler_core::zab::quorum::Role;

/// Everything one server needs to know, checked and in the units the rooms use.
///
/// Invariant: `min_session_timeout_ms <= max_session_timeout_ms`, and no number that is a size
/// or an interval is zero unless its comment gives zero a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Directory of the snapshots and of the lock that keeps a second server out.
    pub data_dir: PathBuf,
    /// Directory of the log's segments; the same as `data_dir` unless a second disk serves it.
    pub log_dir: PathBuf,
    /// Addresses on which clients are awaited, in the order of the configuration; never empty.
    pub client_address: Vec<SocketAddr>,
    /// Connections the system may hold before they are accepted; `None` leaves it to the system.
    pub listen_backlog: Option<u32>,
    /// Unit of session expiry, in milliseconds.
    pub tick_ms: u32,
    /// Shortest session timeout granted, in milliseconds.
    pub min_session_timeout_ms: i32,
    /// Longest session timeout granted, in milliseconds.
    pub max_session_timeout_ms: i32,
    /// Connections from one client address at a time; 0 means no limit.
    pub connections_per_ip_max: usize,
    /// Connections in all at a time; 0 means no limit.
    pub connections_max: usize,
    /// Largest request frame of a client with a session, in bytes.
    pub frame_bytes_max: usize,
    /// Requests of all clients that may be between their socket and their reply.
    pub outstanding_max: usize,
    /// Transactions after which a snapshot is taken.
    pub snapshot_every_txns: u64,
    /// Bytes of log after which a snapshot is taken.
    pub snapshot_every_bytes: u64,
    /// Snapshots that survive a purge; log that only older ones need goes with those.
    /// 0 means that nothing is ever removed.
    pub snapshots_kept: usize,
    /// Size of one preallocated segment of the log, in bytes.
    pub segment_bytes: u64,
    /// Time a new connection has to open a session or to say its word, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Four-letter words that are answered.
    pub words_allowed: WordsAllowed,
    /// Whether TTL znodes may be created.
    pub extended_types: bool,
    /// Whether a write that would exceed a quota fails; otherwise it is only logged.
    pub enforce_quota: bool,
    /// Whether permissions are ignored altogether.
    pub skip_acl: bool,
    /// `user:base64(sha1(user:password))` of the identity that passes every ACL check.
    pub super_digest: Option<String>,
    /// Whether the `digest` authentication scheme is offered.
    pub digest_enabled: bool,
    /// Time between two searches for containers and TTL znodes to remove, in milliseconds.
    pub reap_interval_ms: u64,
    /// Znodes so removed within one minute at most.
    pub reap_per_minute: u32,
    /// Age at which a container that never had a child is removed, in milliseconds; 0: never.
    pub never_used_ms: i64,
    /// Who decides together with this server; `None` when it stands alone.
    pub ensemble: Option<EnsembleSettings>,
    /// This server's number in the log and in what monitors read.
    pub server: ServerId,
    /// Threads that own client sockets, at least 1 and at most 256.
    pub connection_arbiters: usize,
    /// What the word `conf` answers: `key=value` lines under ZooKeeper's names, each with its line
    /// end. The sizes of the directories are not in it, for they change.
    pub config_text: String,
}

/// Which four-letter words a client without a session gets an answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordsAllowed {
    /// Every word.
    All,
    /// Every word that changes nothing: all but `crst`, `srst` and `stmk`.
    ReadOnly,
    /// These, in lower case.
    Listed(BTreeSet<String>),
}

impl WordsAllowed {
    /// Words that change what the server counts or traces.
    pub const CHANGING: [&'static str; 3] = ["crst", "srst", "stmk"];

    /// Whether `word`, in lower case, is answered.
    pub fn admits(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::ReadOnly => !Self::CHANGING.contains(&word),
            Self::Listed(words) => words.contains(word),
        }
    }
}

impl Default for Settings {
    /// A standalone server on port 2181 of every IPv4 address, as the embedded configuration
    /// describes it; a test of the `ostler` package keeps the two equal.
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("ostler-data"),
            log_dir: PathBuf::from("ostler-data"),
            client_address: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 2181))],
            listen_backlog: None,
            tick_ms: 2000,
            min_session_timeout_ms: 4000,
            max_session_timeout_ms: 40_000,
            connections_per_ip_max: 60,
            connections_max: 0,
            frame_bytes_max: FRAME_BYTES_DEFAULT,
            outstanding_max: 100_000,
            snapshot_every_txns: 1_000_000,
            snapshot_every_bytes: 1 << 30,
            snapshots_kept: 3,
            segment_bytes: 64 << 20,
            handshake_timeout_ms: 10_000,
            words_allowed: WordsAllowed::ReadOnly,
            extended_types: true,
            enforce_quota: false,
            skip_acl: false,
            super_digest: None,
            digest_enabled: true,
            reap_interval_ms: 60_000,
            reap_per_minute: 10_000,
            never_used_ms: 0,
            ensemble: None,
            server: ServerId(1),
            connection_arbiters: 1,
            config_text: String::new(),
        }
    }
}

/// The ensemble a server belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsembleSettings {
    /// All members, this server among them.
    pub members: BTreeMap<ServerId, MemberSettings>,
    /// How often a leader pings, in milliseconds.
    pub heartbeat_ms: u64,
    /// Silence after which a leader or a learner is given up, in milliseconds.
    pub silence_ms: u64,
    /// How long joining a leader may go on without progress, in milliseconds.
    pub join_ms: u64,
    /// How long a candidate that has a quorum waits for a better one, in milliseconds.
    pub finalize_ms: u64,
    /// History kept in memory for learners that fall behind, in bytes of payload.
    pub window_bytes: usize,
    /// Whether other members are awaited on every address of this machine, and not only on the
    /// one that the members know.
    pub listen_everywhere: bool,
}

/// One member of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// What it does.
    pub role: Role,
    /// Where other members reach it: host and port, resolved whenever it is dialled.
    pub address: String,
    /// Its second port in ZooKeeper's server lines. Nothing listens there: one link carries all.
    pub election_port: u16,
    /// Where its clients reach it, host and port, if the configuration says so.
    pub client: Option<String>,
}

impl fmt::Display for MemberSettings {
    /// As behind `server.N=` in a configuration of ZooKeeper.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Voter { .. } => "participant",
            Role::Observer => "observer",
        };
        write!(f, "{}:{}:{role}", self.address, self.election_port)?;
        self.client.iter().try_for_each(|client| write!(f, ";{client}"))
    }
}

impl EnsembleSettings {
    /// Its members with the usual times: a silent leader is given up after a second, a dead one
    /// at once.
    pub fn new(members: BTreeMap<ServerId, MemberSettings>) -> Self {
        Self {
            members,
            heartbeat_ms: 100,
            silence_ms: 1000,
            join_ms: 20_000,
            finalize_ms: 20,
            window_bytes: 64 << 20,
            listen_everywhere: false,
        }
    }

    /// How many members vote.
    pub fn voters(&self) -> usize {
        self.members.values().filter(|member| member.role != Role::Observer).count()
    }

    /// The members as ZooKeeper shows them: a line for each, lines for groups and weights if any
    /// differ from the usual, and the version, which is 0 for what comes from a file.
    pub fn text(&self) -> String {
        let mut lines: Vec<_> =
            self.members.iter().map(|(id, member)| format!("server.{}={member}", id.0)).collect();
        let voters: Vec<_> = self.members.iter().filter_map(voter).collect();
        if voters.iter().any(|(_, group, weight)| (*group, *weight) != (0, 1)) {
            let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
            for (id, group, _) in &voters {
                groups.entry(*group).or_default().push(id.to_string());
            }
            let groups = groups.iter();
            lines.extend(groups.map(|(group, ids)| format!("group.{group}={}", ids.join(":"))));
            lines.extend(voters.iter().map(|(id, _, weight)| format!("weight.{id}={weight}")));
        }
        lines.push("version=0".to_owned());
        lines.join("\n")
    }

    /// A number that differs, as far as hashing goes, between ensembles of different members.
    pub fn digest(&self) -> u64 {
        let names: Vec<_> =
            self.members.iter().map(|(id, member)| format!("{}:{:?}", id.0, member.role)).collect();
        xxhash_rust::xxh3::xxh3_64(names.join(",").as_bytes())
    }
}

/// Number, group and weight of a member that votes.
fn voter((id, member): (&ServerId, &MemberSettings)) -> Option<(u64, u64, u64)> {
    match member.role {
        Role::Voter { group, weight } => Some((id.0, group, weight)),
        Role::Observer => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Role, client: Option<&str>) -> MemberSettings {
        let (address, client) = ("host:2888".to_owned(), client.map(str::to_owned));
        MemberSettings { role, address, election_port: 3888, client }
    }

    #[test]
    fn members_are_shown_as_zookeeper_shows_them() {
        let mut members = BTreeMap::from([
            (ServerId(1), member(Role::VOTER, Some("0.0.0.0:2181"))),
            (ServerId(10), member(Role::Observer, None)),
        ]);
        let expected = "server.1=host:2888:3888:participant;0.0.0.0:2181\n\
                        server.10=host:2888:3888:observer\nversion=0";
        assert_eq!(EnsembleSettings::new(members.clone()).text(), expected);
        members.insert(ServerId(2), member(Role::Voter { group: 7, weight: 3 }, None));
        let text = EnsembleSettings::new(members).text();
        assert!(
            text.ends_with("group.0=1\ngroup.7=2\nweight.1=1\nweight.2=3\nversion=0"),
            "{text}"
        );
    }

    #[test]
    fn read_only_words_exclude_those_that_change_something() {
        assert!(WordsAllowed::ReadOnly.admits("srvr"));
        assert!(!WordsAllowed::ReadOnly.admits("srst"));
        assert!(WordsAllowed::All.admits("srst"));
    }

    #[test]
    fn listed_words_are_the_only_ones() {
        let listed = WordsAllowed::Listed(BTreeSet::from(["ruok".to_owned()]));
        assert!(listed.admits("ruok"));
        assert!(!listed.admits("srvr"));
    }
}
