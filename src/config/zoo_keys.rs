//! Every key that ZooKeeper 3.9 reads from zoo.cfg, and what Ostler makes of it.
//!
//! Keys of the second kind, ZooKeeper's system properties, may carry the prefix `zookeeper.` or
//! not; properties that ZooKeeper takes only on its command line are read here as well. This file
//! is the table; `zoo` acts on it.

/// Keys that share a fate and a reason.
pub(crate) struct Row {
    /// Names without the prefix; one that ends with `*` stands for all that begin so.
    pub(crate) names: &'static [&'static str],
    pub(crate) fate: Verdict,
    /// What the key means here, or why it means nothing.
    pub(crate) why: &'static str,
}

/// What is made of a key.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    /// Sets our key, and does the same.
    Honoured(&'static str, Convert),
    /// Sets our key, and does nearly the same: the reason tells the difference.
    Mapped(&'static str, Convert),
    /// Nothing in Ostler for it to act on.
    Ignored,
    /// Not there yet; a server without it serves its clients all the same.
    NotYet,
    /// Not there yet, and a server without it would be less safe, or alone: any value but these
    /// stops the start.
    RefusedUnless(&'static [&'static str]),
    /// A line of an ensemble; `zoo_members` decides over all of them together.
    Membership,
}

/// How a value becomes one of ours.
#[derive(Clone, Copy)]
pub(crate) enum Convert {
    /// A whole number; -1 is "ZooKeeper's own choice" and becomes 0.
    Number,
    /// A whole number; one that is greater than we can is taken for the greatest, with a warning.
    AtMost,
    /// A whole number of KiB, to bytes; nothing is set when it is not positive.
    Kib,
    /// `true`, in any case; all else is false.
    Switch,
    /// `yes`, in any case; all else is false.
    Yes,
    Text,
    /// A list by commas.
    List,
    /// The least number of snapshots is 3.
    Retain,
    /// A whole number; 0 or less overrules what is retained, which `zoo` sees to at the end.
    Purge,
}

const fn row(names: &'static [&'static str], fate: Verdict, why: &'static str) -> Row {
    Row { names, fate, why }
}

use Convert::{AtMost, Kib, List, Number, Purge, Retain, Switch, Text, Yes};
use Verdict::{Honoured, Ignored, Mapped, Membership, NotYet, RefusedUnless};

const OFF: Verdict = RefusedUnless(&["false", "no", "off", ""]);

/// Every key, first match wins.
pub(crate) const ROWS: &[Row] = &[
    row(&["dataDir"], Honoured("server.data_dir", Text), "directory of snapshots"),
    row(&["dataLogDir"], Honoured("server.log_dir", Text), "directory of the log"),
    row(&["clientPort"], Honoured("client.port", Number), "port of the clients"),
    row(&["clientPortAddress"], Honoured("client.addresses", List), "address of the clients"),
    row(
        &["clientPortListenBacklog"],
        Honoured("client.listen_backlog", Number),
        "connections not yet accepted",
    ),
    row(&["tickTime"], Honoured("session.tick_ms", Number), "unit of session expiry"),
    row(
        &["minSessionTimeout"],
        Honoured("session.timeout_ms_min", Number),
        "shortest session timeout; two ticks when absent",
    ),
    row(
        &["maxSessionTimeout"],
        Honoured("session.timeout_ms_max", Number),
        "longest session timeout; twenty ticks when absent",
    ),
    row(
        &["maxClientCnxns"],
        Honoured("client.connections_per_ip_max", Number),
        "connections of one client address",
    ),
    row(&["maxCnxns"], Honoured("client.connections_max", Number), "connections in all"),
    row(
        &["globalOutstandingLimit"],
        Mapped("client.outstanding_max", Number),
        "requests in the server at a time; at the limit connections wait to be read",
    ),
    row(
        &["nio.sessionlessCnxnTimeout"],
        Honoured("client.handshake_timeout_ms", Number),
        "time to open a session",
    ),
    row(
        &["jute.maxbuffer"],
        Honoured("client.frame_bytes_max", AtMost),
        "bytes of the largest request",
    ),
    row(&["4lw.commands.whitelist"], Honoured("client.words", List), "words that are answered"),
    row(
        &["snapCount"],
        Mapped("snapshot.every_txns", Number),
        "transactions between snapshots, always this many; members take them in turns",
    ),
    row(
        &["snapSizeLimitInKb"],
        Mapped("snapshot.every_bytes", Kib),
        "log between snapshots, always this much",
    ),
    row(
        &["txnLogSizeLimitInKb"],
        Mapped("log.segment_bytes", Kib),
        "bytes of one segment of the log",
    ),
    row(
        &["autopurge.snapRetainCount"],
        Mapped("snapshot.kept", Retain),
        "snapshots kept; removal follows each new snapshot",
    ),
    row(
        &["autopurge.purgeInterval"],
        Mapped("snapshot.kept", Purge),
        "0 keeps every snapshot and log file; otherwise old ones go after each new snapshot, \
         whatever the hours",
    ),
    row(&["extendedTypesEnabled"], Honoured("tree.extended_types", Switch), "TTL znodes"),
    row(&["enforceQuota"], Honoured("tree.enforce_quota", Switch), "hard quotas"),
    row(&["skipACL"], Honoured("tree.skip_acl", Yes), "permissions are ignored"),
    row(
        &["znode.container.checkIntervalMs"],
        Honoured("reaper.interval_ms", Number),
        "time between searches for containers and TTL znodes to remove",
    ),
    row(
        &["znode.container.maxPerMinute"],
        Honoured("reaper.per_minute", Number),
        "znodes so removed in a minute at most",
    ),
    row(
        &["znode.container.maxNeverUsedIntervalMs"],
        Honoured("reaper.never_used_ms", Number),
        "age at which an unused container is removed",
    ),
    row(
        &["DigestAuthenticationProvider.superDigest"],
        Honoured("auth.super_digest", Text),
        "identity that passes every permission",
    ),
    row(
        &["DigestAuthenticationProvider.enabled"],
        Honoured("auth.digest_enabled", Switch),
        "the digest scheme",
    ),
    row(
        &["DigestAuthenticationProvider.digestAlg"],
        RefusedUnless(&["sha1", "sha-1", ""]),
        "only SHA1, ZooKeeper's default, is supported for digests",
    ),
    row(
        &[
            "server.*",
            "group.*",
            "weight.*",
            "dynamicConfigFile",
            "standaloneEnabled",
            "peerType",
            "initLimit",
        ],
        Membership,
        "membership of an ensemble; this server stands alone",
    ),
    row(
        &["quorumListenOnAllIPs"],
        Honoured("ensemble.listen_everywhere", Switch),
        "other members are awaited on every address",
    ),
    row(
        &["syncLimit", "connectToLearnerMasterLimit", "cnxTimeout", "quorumCnxnTimeoutMs"],
        Ignored,
        "a silent server is given up after ensemble.silence_ms, much sooner: signs of life never \
         wait behind data here",
    ),
    row(
        &["electionAlg", "electionPortBindRetry", "fastleader.*"],
        Ignored,
        "there is one way to elect, over the links that carry everything else",
    ),
    row(&["leaderServes"], Ignored, "a leader serves clients too"),
    row(&["syncEnabled", "observer.syncEnabled"], Ignored, "an observer keeps log and snapshots"),
    row(
        &["observerMasterPort", "observerMaster.*"],
        Ignored,
        "observers learn from the leader itself",
    ),
    row(&["oraclePath"], Ignored, "of two voters both decide, or nobody"),
    row(
        &["sslQuorum", "ssl.quorum.*", "sslQuorumReloadCertFiles", "portUnification"],
        Ignored,
        "concerns TLS between servers, which is not served yet",
    ),
    row(
        &["quorum.auth.*", "quorum.cnxn.threads.size"],
        Ignored,
        "concerns SASL between servers, which is not served yet",
    ),
    row(
        &["commitLogCount", "snapshotSizeFactor", "forceSnapshotSync"],
        Ignored,
        "a follower gets what it lacks from memory (ensemble.window_bytes), from the log, or a \
         snapshot, in this order",
    ),
    row(
        &[
            "tcpKeepAlive",
            "leader.*",
            "learner.*",
            "follower.*",
            "observer.*",
            "leaderConnectDelayDuringRetryMs",
            "forward_learner_requests_to_commit_processor_disabled",
            "messageTracker.*",
            "multiAddress.*",
            "ensembleAuthName",
        ],
        Ignored,
        "tunes ZooKeeper's traffic between servers; the section [ensemble] has what there is here",
    ),
    row(
        &["secureClientPort", "secureClientPortAddress", "client.portUnification"],
        RefusedUnless(&["", "0", "false"]),
        "TLS for clients is not served yet",
    ),
    row(
        &["ssl.*", "client.certReload", "fips-mode", "netty.server.*"],
        Ignored,
        "concerns TLS, which is not served yet",
    ),
    row(
        &["sessionRequireClientSASLAuth", "enforce.auth.enabled", "enableEagerACLCheck"],
        OFF,
        "a stricter check of clients than Ostler has yet",
    ),
    row(
        &["readonlymode.enabled"],
        NotYet,
        "a server without its ensemble serves no new clients, not even reads",
    ),
    row(
        &[
            "enforce.auth.schemes",
            "allowSaslFailedClients",
            "sasl.*",
            "kerberos.*",
            "security.auth_to_local",
            "SASLAuthenticationProvider.*",
            "letAnySaslUserDoX",
            "superUser*",
            "X509AuthenticationProvider.*",
            "IPAuthenticationProvider.*",
            "authProvider.*",
            "java.security.auth.login.config",
        ],
        NotYet,
        "the schemes digest, ip and world are served; no others yet",
    ),
    row(
        &["reconfigEnabled"],
        NotYet,
        "members are those of the files; requests to change them are refused as when it is off",
    ),
    row(
        &["localSessionsEnabled", "localSessionsUpgradingEnabled"],
        Ignored,
        "every session is a global one, which can do all that a local one can",
    ),
    row(&["admin.*"], NotYet, "there is no HTTP port yet; the four-letter words tell the same"),
    row(&["metricsProvider.*"], NotYet, "metrics are read by the word mntr; no HTTP port yet"),
    row(&["audit.*"], NotYet, "there is no audit log yet"),
    row(
        &[
            "connection_throttle_*",
            "request_throttle_*",
            "request_throttler.*",
            "request_stale_*",
            "throttled_op_wait_time",
            "largeRequestMaxBytes",
            "largeRequestThreshold",
        ],
        Ignored,
        "Ostler counts requests and bytes in flight, and stops reading at the limit",
    ),
    row(
        &["forceSync"],
        RefusedUnless(&["yes", "true", ""]),
        "Ostler answers no write before it is on the disk",
    ),
    row(
        &["flushDelay", "maxWriteQueuePollTime", "maxBatchSize"],
        Ignored,
        "writes that arrive during a flush share the next one, without a delay to tune",
    ),
    row(
        &["preAllocSize"],
        Ignored,
        "whole segments are preallocated; txnLogSizeLimitInKb sets their size",
    ),
    row(
        &[
            "fsync.warningthresholdms",
            "snapshot.*",
            "serializeLastProcessedZxid.enabled",
            "digest.enabled",
            "closeSessionTxn.enabled",
            "datadir.autocreate",
            "db.autocreate",
            "testingonly.initialZxid",
            "compressionMethod",
        ],
        Ignored,
        "concerns ZooKeeper's files; Ostler's log and snapshots have a format of their own",
    ),
    row(
        &["emulate353TTLNodes"],
        Ignored,
        "concerns databases of ZooKeeper 3.5.3; Ostler starts with its own",
    ),
    row(
        &["watchManagerName", "watcherClean*", "maxInProcessingDeadWatchers", "bitHashCacheSize"],
        Ignored,
        "there is one table of watches, compact and without a cleaner",
    ),
    row(
        &[
            "maxResponseCacheSize",
            "maxGetChildrenResponseCacheSize",
            "intBufferStartingSizeBytes",
            "nio.*",
            "netty.*",
            "commitProcessor.*",
            "serverCnxnFactory",
            "jute.maxbuffer.extrasize",
        ],
        Ignored,
        "tunes threads and buffers of ZooKeeper; client.threads is Ostler's setting",
    ),
    row(
        &["clientTcpKeepAlive"],
        Ignored,
        "a session that is not heard of expires, and its connection with it",
    ),
    row(
        &["jvm.*", "controllerPort", "pathStats.*", "clientCnxnSocket", "disableAutoWatchReset"],
        Ignored,
        "concerns the Java process",
    ),
];

/// The row of a key, given without the prefix `zookeeper.`.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| {
        row.names.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *known == name,
        })
    })
}

/// Every whole name, to find the nearest to a misspelt one.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().flat_map(|row| row.names.iter().copied()).filter(|name| !name.ends_with('*'))
}
