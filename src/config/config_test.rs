//! Whole configurations, as they are merged and as they are refused.

use super::*;
use ostler_actors::WordsAllowed;
use std::net::Ipv4Addr;
use std::path::PathBuf;

fn variables(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn loaded(name: &str, text: &str) -> Loaded {
    load(read_text(name, text), HashMap::new(), Layer::default()).unwrap()
}

fn refused(name: &str, text: &str) -> String {
    load(read_text(name, text), HashMap::new(), Layer::default()).unwrap_err().to_string()
}

#[test]
fn defaults_of_the_rooms_are_those_of_the_embedded_file() {
    let settings = loaded("empty.toml", "").settings;
    let expected = Settings {
        connection_arbiters: settings.connection_arbiters,
        config_text: settings.config_text.clone(),
        ..Settings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn every_key_stands_in_the_embedded_file_and_the_other_way_round() {
    let layer = toml_file::read(BUILT_IN, DEFAULTS);
    assert_eq!(layer.problems, []);
    let mut written: Vec<_> = layer.entries.iter().map(|entry| entry.key.as_str()).collect();
    let mut known: Vec<_> = keys::KEYS.iter().map(|key| key.name).collect();
    written.sort_unstable();
    known.sort_unstable();
    assert_eq!(written, known);
}

#[test]
fn every_key_of_the_embedded_file_has_its_reason_above_it() {
    let lines: Vec<_> = DEFAULTS.lines().collect();
    for pair in lines.windows(2) {
        let is_key = pair[1].contains(" = ") && !pair[1].starts_with('#');
        assert!(!is_key || pair[0].starts_with('#'), "{} has no reason", pair[1]);
    }
}

#[test]
fn arguments_win_over_the_environment_and_that_over_the_file() {
    let file = read_text("my.toml", "[client]\nport = 1\nthreads = 1\nlisten_backlog = 1\n");
    let environment = variables(&[("OSTLER__CLIENT__PORT", "2"), ("OSTLER__CLIENT__THREADS", "2")]);
    let mut arguments = Layer::default();
    arguments.set("client.port", "--client-port", 3_i64);
    let settings = load(file, environment, arguments).unwrap().settings;
    assert_eq!(settings.client_address, [(Ipv4Addr::UNSPECIFIED, 3).into()]);
    assert_eq!(settings.connection_arbiters, 2);
    assert_eq!(settings.listen_backlog, Some(1));
}

#[test]
fn a_misspelt_variable_is_refused_and_a_stranger_is_not() {
    let environment = variables(&[("OSTLER__CLIENT__PROT", "1"), ("OSTLER_BIN", "/bin/x")]);
    let told = load(Layer::default(), environment, Layer::default()).unwrap_err().to_string();
    let expected = "the environment: OSTLER__CLIENT__PROT: there is no such key; \
                    did you mean `OSTLER__CLIENT__PORT`?";
    assert_eq!(told, expected);
}

#[test]
fn a_value_of_the_environment_that_does_not_fit_is_named_as_its_variable() {
    let environment = variables(&[("OSTLER__CLIENT__PORT", "none")]);
    let told = load(Layer::default(), environment, Layer::default()).unwrap_err().to_string();
    let expected = "the environment: OSTLER__CLIENT__PORT: `none` does not fit: \
                    port on which clients are awaited; write a whole number from 1 to 65535";
    assert_eq!(told, expected);
}

#[test]
fn lists_and_digits_come_through_the_environment() {
    let environment =
        variables(&[("OSTLER__CLIENT__WORDS", "ruok,srvr"), ("OSTLER__SERVER__DATA_DIR", "42")]);
    let settings = load(Layer::default(), environment, Layer::default()).unwrap().settings;
    assert_eq!(settings.data_dir, PathBuf::from("42"));
    assert!(settings.words_allowed.admits("ruok") && !settings.words_allowed.admits("stat"));
}

const ZOO: &str = "\
tickTime=500\ndataDir=/var/lib/zk\ndataLogDir=/var/log/zk\nclientPort=2191\n\
clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nminSessionTimeout=-1\nmaxSessionTimeout=9000\n\
DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n\
zookeeper.enforceQuota=true\nextendedTypesEnabled=true\n4lw.commands.whitelist=*\n\
admin.enableServer=false\nreconfigEnabled=true\nlocalSessionsEnabled=true\n\
znode.container.checkIntervalMs=300\nsnapCount=1000\nautopurge.snapRetainCount=1\n\
jute.maxbuffer=0x100000\nskipACL=yes\nglobalOutstandingLimit=77\npreAllocSize=100\n";

#[test]
fn an_unchanged_zoo_cfg_is_read() {
    let settings = loaded("zoo.cfg", ZOO).settings;
    assert_eq!(settings.tick_ms, 500);
    assert_eq!(settings.data_dir, PathBuf::from("/var/lib/zk"));
    assert_eq!(settings.log_dir, PathBuf::from("/var/log/zk"));
    assert_eq!(settings.client_address, [(Ipv4Addr::LOCALHOST, 2191).into()]);
    assert_eq!(settings.connections_per_ip_max, 0);
    assert_eq!((settings.min_session_timeout_ms, settings.max_session_timeout_ms), (1000, 9000));
    assert!(settings.super_digest.is_some_and(|digest| digest.starts_with("super:")));
    assert!(settings.enforce_quota && settings.extended_types && settings.skip_acl);
    assert_eq!(settings.words_allowed, WordsAllowed::All);
    assert_eq!((settings.reap_interval_ms, settings.snapshot_every_txns), (300, 1000));
    assert_eq!((settings.snapshots_kept, settings.frame_bytes_max), (3, 0x10_0000));
    assert_eq!(settings.outstanding_max, 77);
}

#[test]
fn a_purge_interval_of_zero_keeps_everything_and_says_so() {
    let kept = |lines: &str| {
        let loaded = loaded("zoo.cfg", &format!("dataDir=/d\n{lines}"));
        (loaded.settings.snapshots_kept, loaded.warnings)
    };
    let (retain, never) = ("autopurge.snapRetainCount=5\n", "autopurge.purgeInterval=0\n");
    for lines in [format!("{retain}{never}"), format!("{never}{retain}"), never.to_owned()] {
        let (kept, warnings) = kept(&lines);
        assert_eq!((kept, warnings.len()), (0, 1), "{lines}{warnings:?}");
        assert!(warnings[0].contains("autopurge.purgeInterval: no old snapshot"), "{warnings:?}");
    }
    assert_eq!(kept(&format!("{never}autopurge.purgeInterval=24\n")), (3, vec![]));
    assert_eq!(kept(&format!("{retain}autopurge.purgeInterval=24\n")), (5, vec![]));
    assert_eq!(kept(""), (3, vec![]));
    let text = format!("dataDir=/d\n{never}");
    let row = table(&read_text("zoo.cfg", &text));
    assert!(row.contains("mapped to snapshot.kept") && row.contains("keeps every"), "{row}");
    assert!(refused("zoo.cfg", "dataDir=/d\nautopurge.purgeInterval=daily\n").contains(":2:"));
}

#[test]
fn what_zoo_cfg_leaves_out_is_as_in_zookeeper() {
    let settings = loaded("zoo.cfg", "dataDir=/d\nclientPort=2181\n").settings;
    assert_eq!((settings.tick_ms, settings.max_session_timeout_ms), (3000, 60_000));
    assert!(!settings.extended_types);
    assert_eq!(settings.words_allowed, WordsAllowed::ReadOnly);
    assert_eq!(settings.log_dir, settings.data_dir);
}

#[test]
fn an_unknown_key_of_zoo_cfg_warns_and_stops_nothing() {
    let warnings = loaded("zoo.cfg", "dataDir=/d\nsnapCuont=5\nmine.own=1\n").warnings;
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].ends_with("did you mean `snapCount`?"), "{warnings:?}");
    assert!(warnings[1].starts_with("zoo.cfg:3: mine.own"), "{warnings:?}");
}

#[test]
fn a_request_larger_than_servers_can_send_each_other_is_not_allowed() {
    let loaded = loaded("zoo.cfg", "dataDir=/d\njute.maxbuffer=0x6400000\n");
    assert_eq!(loaded.settings.frame_bytes_max, 32 << 20);
    let told = "zoo.cfg:2: jute.maxbuffer: 104857600 is more than is possible: 33554432 holds";
    assert_eq!(loaded.warnings, [told]);
    let text = "[client]\nframe_bytes_max = 104857600\n";
    let told = refused("my.toml", text);
    assert!(told.contains("write a whole number from 1024 to 33554432"), "{told}");
}

#[test]
fn what_is_not_there_yet_warns_unless_it_is_switched_off() {
    let text = "dataDir=/d\nadmin.enableServer=false\naudit.enable=true\n";
    let warnings = loaded("zoo.cfg", text).warnings;
    assert_eq!(warnings, ["zoo.cfg:3: audit.enable: not supported: there is no audit log yet"]);
}

#[test]
fn a_wrong_value_of_zoo_cfg_names_line_key_and_remedy() {
    let told = refused("zoo.cfg", "dataDir=/d\n\ntickTime=abc\n");
    assert!(told.starts_with("zoo.cfg:3: tickTime: `abc` is not a whole number; "), "{told}");
    let told = refused("zoo.cfg", "dataDir=/d\nclientPort=70000\n");
    assert!(told.starts_with("zoo.cfg:2: clientPort: client.port: `70000`"), "{told}");
    assert!(refused("zoo.cfg", "clientPort=1\n").contains("dataDir: the key is missing"));
    assert!(refused("zoo.cfg", "dataDir=/d\nforceSync=no\n").contains("before it is on the disk"));
    let min_above_max = "dataDir=/d\nminSessionTimeout=9\nmaxSessionTimeout=8\n";
    assert!(refused("zoo.cfg", min_above_max).contains("above the longest"));
}

#[test]
fn a_negative_number_of_zoo_cfg_is_zero_where_there_is_a_zero() {
    assert_eq!(
        loaded("zoo.cfg", "dataDir=/d\nmaxClientCnxns=-1").settings.connections_per_ip_max,
        0
    );
    let problem = refused("zoo.cfg", "dataDir=/d\nglobalOutstandingLimit=-4");
    assert!(problem.contains("zoo.cfg:2: globalOutstandingLimit") && problem.contains("`-4`"));
}

#[test]
fn a_wrong_value_of_ours_names_its_line() {
    let told = refused("my.toml", "[session]\ntick_ms = \"soon\"\n");
    assert!(told.starts_with("my.toml:2: session.tick_ms: `soon` does not fit"), "{told}");
    assert!(refused("my.toml", "[auth]\nsuper_digest = \"super:secret\"\n").contains("my.toml:2"));
}

#[test]
fn the_format_shows_in_the_name_or_else_in_the_text() {
    assert_eq!(loaded("config", "dataDir=/d\ntickTime=7\n").settings.tick_ms, 7);
    assert_eq!(loaded("config", "[session]\ntick_ms = 7\n").settings.tick_ms, 7);
}

#[test]
fn the_table_has_a_row_for_each_key_and_repeats_no_secret() {
    let text = table(&read_text("zoo.cfg", ZOO));
    assert_eq!(text.lines().count(), ZOO.lines().count() + 1);
    assert!(!text.contains("D/InIHSb"), "{text}");
    assert!(text.contains("mapped to snapshot.every_txns"), "{text}");
}

#[test]
fn the_word_conf_has_zookeepers_names() {
    let settings = loaded("zoo.cfg", ZOO).settings;
    let first: Vec<_> = settings.config_text.lines().take(3).collect();
    assert_eq!(first, ["clientPort=2191", "secureClientPort=-1", "dataDir=/var/lib/zk"]);
}
