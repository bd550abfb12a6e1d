//! Each word's text, letter for letter.

use super::*;
use crate::types::{SessionId, Zxid};
use crate::watch::WatchSummary;
use std::string::ToString;
use std::vec;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";
const STATISTICS: &str = "Latency min/avg/max: 1/3.5714/13\n\
                          Received: 15\n\
                          Sent: 14\n\
                          Connections: 2\n\
                          Outstanding: 0\n\
                          Zxid: 0x3\n\
                          Mode: standalone\n\
                          Node count: 7\n";

fn report() -> Report {
    Report {
        serving: true,
        version: "3.9.5-0123abc, built on 2026-01-02 03:04 UTC".into(),
        latency_ms: Summary { min: 1, max: 13, sum: 25, count: 7 },
        packets_received: 15,
        packets_sent: 14,
        connections_alive: 2,
        zxid: Zxid(3),
        znodes: 7,
        trace_mask: 306,
        ..Report::default()
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.into(), value.into())
}

fn connection(address: &str, session: Option<SessionEntry>) -> ConnectionEntry {
    let address = address.parse().unwrap();
    ConnectionEntry { address, interest: 1, queued: 0, received: 7, sent: 7, session }
}

fn session() -> SessionEntry {
    SessionEntry {
        session: SessionId(0x100_002c_e3d8_0000),
        last_operation: "ADDW",
        established_wall_ms: 1_795_320_174_707,
        timeout_ms: 10_000,
        last_xid: 6,
        last_zxid: Zxid(3),
        last_response_mono_ms: 2_946_756,
        last_latency_ms: 1,
        latency_ms: Summary { min: 0, max: 13, sum: 25, count: 7 },
    }
}

#[test]
fn rooms_are_told_as_a_tree_and_as_metrics() {
    let group = |depth, name: &str, restarts, restarts_max| RoomLine::Group {
        depth,
        name: name.into(),
        strategy: "one for one",
        restarts,
        restarts_max,
        within_ms: 60_000,
    };
    let room = |name: &str, state, last| RoomLine::Room {
        depth: 2,
        name: name.into(),
        state,
        restarts: 3,
        silent_ms: 7000,
        last,
    };
    let rooms = vec![
        group(0, "server", 0, 0),
        group(1, "service", 2, 10),
        room("watch_fanout", RoomState::Stalled, None),
        room("session_sweeper", RoomState::Working, Some((12, "a\ncause".into()))),
    ];
    let report = Report { rooms, ..report() };
    let expected = "server: one for one, 0 of 0 restarts within 60 s\n\
                    \x20 service: one for one, 2 of 10 restarts within 60 s\n\
                    \x20   watch_fanout: stalled for 7000 ms, 3 restarts\n\
                    \x20   session_sweeper: working, 3 restarts, the last took 12 ms: a cause\n";
    assert_eq!(answer(FourLetterWord::Room, &report), expected);
    let metrics = answer(FourLetterWord::Mntr, &report);
    let expected = "zk_room_state_watch_fanout\tstalled\n\
                    zk_room_restart_count_watch_fanout\t3\n\
                    zk_room_state_session_sweeper\tworking\n\
                    zk_room_restart_count_session_sweeper\t3\n\
                    zk_room_restart_count\t6\n";
    assert!(metrics.ends_with(expected), "{metrics}");
}

#[test]
fn words_without_a_report_have_fixed_answers() {
    let report = report();
    assert_eq!(answer(FourLetterWord::Ruok, &report), "imok");
    assert_eq!(answer(FourLetterWord::Crst, &report), "Connection stats reset.\n");
    assert_eq!(answer(FourLetterWord::Srst, &report), "Server stats reset.\n");
    assert_eq!(answer(FourLetterWord::Gtmk, &report), "306");
    assert_eq!(answer(FourLetterWord::Stmk, &report), "306");
}

#[test]
fn a_word_that_is_not_allowed_is_named() {
    let expected = "wchc is not executed because it is not in the whitelist.\n";
    assert_eq!(not_allowed(FourLetterWord::Wchc), expected);
}

#[test]
fn a_server_that_does_not_serve_says_so_to_most_words() {
    let report = Report { serving: false, ..report() };
    for word in FourLetterWord::ALL {
        let text = answer(*word, &report);
        match word.name() {
            "ruok" => assert_eq!(text, "imok"),
            "isro" => assert_eq!(text, "null"),
            "gtmk" | "stmk" => assert_eq!(text, "306"),
            "envi" => assert_eq!(text, "Environment:\n"),
            "room" => assert_eq!(text, ""),
            name => assert_eq!(text, NOT_SERVING, "{name}"),
        }
    }
}

#[test]
fn isro_tells_whether_writes_are_taken() {
    let read_only = Report { state: ServerState::ReadOnly, ..report() };
    assert_eq!(answer(FourLetterWord::Isro, &read_only), "ro");
    assert_eq!(answer(FourLetterWord::Isro, &report()), "rw");
}

#[test]
fn srvr_tells_the_server_in_short() {
    let version = "Zookeeper version: 3.9.5-0123abc, built on 2026-01-02 03:04 UTC\n";
    let text = answer(FourLetterWord::Srvr, &report());
    assert_eq!(text, format!("{version}{STATISTICS}"));

    let read_only = Report { state: ServerState::ReadOnly, ..report() };
    let text = answer(FourLetterWord::Srvr, &read_only);
    let second = "READ-ONLY mode; serving only read-only clients\n";
    let statistics = STATISTICS.replace("standalone", "read-only");
    assert_eq!(text, format!("{version}{second}{statistics}"));

    let sizes = ProposalSizes { last: -1, min: -1, max: -1 };
    let leader = Report { state: ServerState::Leader, proposal_sizes: Some(sizes), ..report() };
    let statistics = STATISTICS.replace("standalone", "leader");
    let last = "Proposal sizes last/min/max: -1/-1/-1\n";
    assert_eq!(answer(FourLetterWord::Srvr, &leader), format!("{version}{statistics}{last}"));
}

#[test]
fn stat_lists_connections_in_short() {
    let connections =
        vec![connection("127.0.0.1:40000", Some(session())), connection("10.1.2.3:5", None)];
    let text = answer(FourLetterWord::Stat, &Report { connections, ..report() });
    let expected = format!(
        "Zookeeper version: 3.9.5-0123abc, built on 2026-01-02 03:04 UTC\n\
         Clients:\n \
         /127.0.0.1:40000[1](queued=0,recved=7,sent=7)\n \
         /10.1.2.3:5[1](queued=0,recved=7,sent=7)\n\
         \n{STATISTICS}"
    );
    assert_eq!(text, expected);
}

#[test]
fn cons_lists_connections_in_full() {
    let fresh = SessionEntry { last_xid: -1, last_operation: "NA", ..session() };
    let connections = vec![
        connection("127.0.0.1:40000", Some(session())),
        connection("[::1]:40001", Some(fresh)),
        connection("[::ffff:127.0.0.1]:40002", None),
    ];
    let expected = concat!(
        " /127.0.0.1:40000[1](queued=0,recved=7,sent=7,sid=0x100002ce3d80000,lop=ADDW,",
        "est=1795320174707,to=10000,lcxid=0x6,lzxid=0x3,lresp=2946756,llat=1,minlat=0,",
        "avglat=3,maxlat=13)\n",
        " /[0:0:0:0:0:0:0:1]:40001[1](queued=0,recved=7,sent=7,sid=0x100002ce3d80000,lop=NA,",
        "est=1795320174707,to=10000,lzxid=0x3,lresp=2946756,llat=1,minlat=0,",
        "avglat=3,maxlat=13)\n",
        " /127.0.0.1:40002[1](queued=0,recved=7,sent=7)\n",
        "\n",
    );
    assert_eq!(answer(FourLetterWord::Cons, &Report { connections, ..report() }), expected);
}

#[test]
fn conf_lists_settings_and_in_an_ensemble_its_members() {
    let settings = vec![pair("clientPort", "2181"), pair("dataDir", "/var/lib/ostler")];
    let alone = Report { settings, ..report() };
    let expected = "clientPort=2181\ndataDir=/var/lib/ostler\n";
    assert_eq!(answer(FourLetterWord::Conf, &alone), expected);

    let membership = Some("server.1=a:2888:3888:participant\nversion=0".into());
    let member = Report { membership, ..alone };
    let members = "membership: \nserver.1=a:2888:3888:participant\nversion=0\n";
    assert_eq!(answer(FourLetterWord::Conf, &member), format!("{expected}{members}"));
}

#[test]
fn envi_and_dirs_list_their_pairs() {
    let environment = vec![pair("zookeeper.version", "3.9.5"), pair("host.name", "one")];
    let report = Report { environment, snapshot_bytes: 10, log_bytes: 20, ..report() };
    let expected = "Environment:\nzookeeper.version=3.9.5\nhost.name=one\n";
    assert_eq!(answer(FourLetterWord::Envi, &report), expected);
    assert_eq!(answer(FourLetterWord::Dirs, &report), "datadir_size: 10\nlogdir_size: 20\n");
}

#[test]
fn hash_lists_digests_by_zxid() {
    assert_eq!(answer(FourLetterWord::Hash, &report()), "");
    let digests = vec![(Zxid(0x1_0000_0080), -5), (Zxid(0x1_0000_0100), 1_371_985_504)];
    let text = answer(FourLetterWord::Hash, &Report { digests, ..report() });
    assert_eq!(text, "100000080: -5\n100000100: 1371985504\n");
}

#[test]
fn dump_lists_sessions_ephemerals_and_connections() {
    let (one, two) = (SessionId(0x100), SessionId(0x200));
    let wall_ms = 1_795_433_748_000;
    let address = "127.0.0.1:40000".parse().unwrap();
    let report = Report {
        sessions: Sessions::Tracked(vec![
            ExpirySet { wall_ms, members: vec![one, two] },
            ExpirySet { wall_ms: wall_ms + 2000, members: vec![SessionId(-1)] },
        ]),
        ephemerals: vec![(one, vec!["/a".into(), "/b".into()])],
        connection_deadlines: vec![ExpirySet { wall_ms, members: vec![(address, one)] }],
        ..report()
    };
    let expected = "SessionTracker dump:\n\
                    Session Sets (2)/(3):\n\
                    2 expire at Mon Nov 23 11:35:48 UTC 2026:\n\
                    \t0x100\n\
                    \t0x200\n\
                    1 expire at Mon Nov 23 11:35:50 UTC 2026:\n\
                    \t0xffffffffffffffff\n\
                    ephemeral nodes dump:\n\
                    Sessions with Ephemerals (1):\n\
                    0x100:\n\
                    \t/a\n\
                    \t/b\n\
                    Connections dump:\n\
                    Connections Sets (1)/(1):\n\
                    1 expire at Mon Nov 23 11:35:48 UTC 2026:\n\
                    \tip: /127.0.0.1:40000 sessionId: 0x100\n";
    assert_eq!(answer(FourLetterWord::Dump, &report), expected);
}

#[test]
fn dump_of_a_learner_lists_sessions_with_timeouts() {
    let sessions = Sessions::Learned(vec![(SessionId(0x100), 4000)]);
    let text = answer(FourLetterWord::Dump, &Report { sessions, ..report() });
    let expected = "SessionTracker dump:\n\
                    Global Sessions(1):\n\
                    0x100\t4000ms\n\
                    ephemeral nodes dump:\n\
                    Sessions with Ephemerals (0):\n\
                    Connections dump:\n\
                    Connections Sets (0)/(0):\n";
    assert_eq!(text, expected);
}

#[test]
fn watches_are_counted_and_listed_both_ways() {
    let (one, two) = (SessionId(0x100), SessionId(0x200));
    let watches = WatchSummary { connections: 2, paths: 2, watches: 3, watches_of_both_tables: 4 };
    let report = Report {
        watches,
        watches_by_session: vec![(one, vec!["/a".into(), "/b".into()]), (two, vec!["/a".into()])],
        watches_by_path: vec![("/a".into(), vec![one, two]), ("/b".into(), vec![one])],
        ..report()
    };
    let expected = "2 connections watching 2 paths\nTotal watches:3\n";
    assert_eq!(answer(FourLetterWord::Wchs, &report), expected);
    let expected = "0x100\n\t/a\n\t/b\n0x200\n\t/a\n\n";
    assert_eq!(answer(FourLetterWord::Wchc, &report), expected);
    let expected = "/a\n\t0x100\n\t0x200\n/b\n\t0x100\n\n";
    assert_eq!(answer(FourLetterWord::Wchp, &report), expected);
}

#[test]
fn mntr_tells_what_is_known_and_leaves_out_the_rest() {
    let text = answer(FourLetterWord::Mntr, &report());
    let expected = "zk_version\t3.9.5-0123abc, built on 2026-01-02 03:04 UTC\n\
                    zk_server_state\tstandalone\n\
                    zk_avg_latency\t3.5714\n\
                    zk_max_latency\t13\n\
                    zk_min_latency\t1\n\
                    zk_packets_received\t15\n\
                    zk_packets_sent\t14\n\
                    zk_num_alive_connections\t2\n\
                    zk_outstanding_requests\t0\n\
                    zk_znode_count\t7\n\
                    zk_watch_count\t0\n\
                    zk_ephemerals_count\t0\n\
                    zk_approximate_data_size\t0\n\
                    zk_global_sessions\t0\n\
                    zk_local_sessions\t0\n\
                    zk_uptime\t0\n";
    assert_eq!(text, expected);
}

#[test]
fn mntr_adds_files_sizes_counters_and_summaries() {
    let quiet = Quantiles::default();
    let gauges = Gauges {
        peer_state: Some("leading - broadcast"),
        open_files: Some(63),
        open_files_max: Some(1024),
        response_sizes: Some(ResponseSizes { last: 16, min: 8, max: 200 }),
        auth_failed: Some(2),
        values: vec![("learners", 2), ("connection_rejected", 0)],
        summaries: vec![("fsynctime", Summary { min: 1, max: 4, sum: 5, count: 2 })],
        quantiles: vec![("readlatency", Quantiles { p50: 1, p95: 2, p99: 3, p999: 4, ..quiet })],
        ..Gauges::default()
    };
    let sizes = ProposalSizes { last: 48, min: 36, max: 96 };
    let report =
        Report { state: ServerState::Leader, proposal_sizes: Some(sizes), gauges, ..report() };
    let text = answer(FourLetterWord::Mntr, &report);
    for line in [
        "zk_server_state\tleader\nzk_peer_state\tleading - broadcast\n",
        "zk_auth_failed_count\t2\n",
        "zk_last_client_response_size\t16\nzk_max_client_response_size\t200\n",
        "zk_min_client_response_size\t8\n",
        "zk_last_proposal_size\t48\nzk_max_proposal_size\t96\nzk_min_proposal_size\t36\n",
        "zk_open_file_descriptor_count\t63\nzk_max_file_descriptor_count\t1024\n",
        "zk_learners\t2\nzk_connection_rejected\t0\n",
        "zk_avg_fsynctime\t2.5\nzk_min_fsynctime\t1\nzk_max_fsynctime\t4\n\
         zk_cnt_fsynctime\t2\nzk_sum_fsynctime\t5\n",
        "zk_sum_readlatency\t0\nzk_p50_readlatency\t1\nzk_p95_readlatency\t2\n\
         zk_p99_readlatency\t3\nzk_p999_readlatency\t4\n",
    ] {
        assert!(text.contains(line), "{line:?} is missing in {text:?}");
    }
}

#[test]
fn means_read_as_java_doubles_with_at_most_four_decimals() {
    for (sum, count, expected) in [
        (0, 0, "0.0"),
        (6, 2, "3.0"),
        (25, 7, "3.5714"),
        (2, 3, "0.6667"),
        (1, 20, "0.05"),
        (29_999, 10_000, "2.9999"),
        (99_999, 100_000, "1.0"),
        (1, 1_000_000, "0.0"),
        (u64::MAX, 1, "18446744073709551615.0"),
    ] {
        let summary = Summary { min: 0, max: 0, sum, count };
        assert_eq!(summary.mean().to_string(), expected, "{sum}/{count}");
    }
}

#[test]
fn a_summary_keeps_its_bounds() {
    let mut summary = Summary::default();
    for value in [5, 2, 9] {
        summary.observe(value);
    }
    assert_eq!(summary, Summary { min: 2, max: 9, sum: 16, count: 3 });
}
