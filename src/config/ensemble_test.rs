//! Ensembles, as they are read from both formats and as they are refused.

use super::*;
use ostler_actors::EnsembleSettings;
use ostler_core::types::ServerId;
use ostler_core::zab::quorum::Role;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// A file read for server `id`, or for whom it says.
fn load_as(id: Option<u64>, name: &str, text: &str) -> Result<Loaded, Problems> {
    let mut arguments = Layer::default();
    if let Some(id) = id {
        arguments.set("server.id", "--server-id", id);
    }
    load(read_text(name, text), HashMap::new(), arguments)
}

fn loaded(id: u64, name: &str, text: &str) -> Loaded {
    load_as(Some(id), name, text).expect("these settings are sound")
}

fn ensemble(id: u64, name: &str, text: &str) -> EnsembleSettings {
    loaded(id, name, text).settings.ensemble.expect("members are named")
}

fn refused(name: &str, text: &str) -> String {
    load_as(Some(1), name, text).unwrap_err().to_string()
}

fn toml(members: &str) -> String {
    format!("[ensemble]\nmembers = [\n{members}\n]\n")
}

const ZOO: &str = "dataDir=/d\nclientPort=2181\ntickTime=500\ninitLimit=10\nsyncLimit=5\n\
                   server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n";

#[test]
fn an_unchanged_zoo_cfg_of_three_servers_is_read() {
    let Loaded { settings, warnings, .. } = loaded(2, "zoo.cfg", ZOO);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(settings.server, ServerId(2));
    let ensemble = settings.ensemble.expect("members are named");
    let expected = "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:participant\n\
                    server.3=c:2888:3888:participant\nversion=0";
    assert_eq!(ensemble.text(), expected);
    assert_eq!((ensemble.join_ms, ensemble.silence_ms), (5000, 1000));
    let conf = "serverId=2\ninitLimit=10\nsyncLimit=2\nelectionAlg=3\nelectionPort=3888\n\
                quorumPort=2888\npeerType=0\n";
    assert!(settings.config_text.ends_with(conf), "{}", settings.config_text);
    let table = table(&read_text("zoo.cfg", ZOO));
    for part in ["mapped to ensemble.members", "mapped to ensemble.join_ms", "given up after"] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn the_defaults_of_an_ensemble_are_those_of_the_rooms() {
    let read = ensemble(1, "my.toml", &toml("'1=a:1', '2=b:1', '3=c:1'"));
    assert_eq!(read, EnsembleSettings::new(read.members.clone()));
}

#[test]
fn observers_groups_weights_and_clients_are_read_from_both_formats() {
    let zoo = "dataDir=/d\nquorumListenOnAllIPs=true\n\
               server.1=[::1]:2888:3888;[::1]:2191\nserver.2=b:2888:3888:participant\n\
               server.3=c:2888:3888\nserver.4=d:2888:3888:OBSERVER;2181\n\
               group.1=1:2\ngroup.2=3\nweight.3=5\n";
    let ours = "[ensemble]\nlisten_everywhere = true\nmembers = [\
                '1=[::1]:2888:3888 client=[::1]:2191 group=1', '2=b:2888:3888 group=1',\n\
                '3=c:2888:3888 weight=5 group=2', '4=d:2888:3888 observer client=2181']\n";
    let read = ensemble(4, "zoo.cfg", zoo);
    assert_eq!(read, ensemble(4, "my.toml", ours));
    assert!(read.listen_everywhere);
    assert_eq!(read.members[&ServerId(3)].role, Role::Voter { group: 2, weight: 5 });
    assert_eq!(read.members[&ServerId(4)].role, Role::Observer);
    assert_eq!(read.members[&ServerId(4)].client.as_deref(), Some("0.0.0.0:2181"));
    let told = loaded(4, "zoo.cfg", zoo).settings.config_text;
    assert!(told.ends_with("peerType=1\n"), "{told}");
}

#[test]
fn a_server_listens_where_the_members_say() {
    let text = toml("'1=a:1 client=127.0.0.1:2191', '2=b:1', '3=c:1'");
    let addresses = |id| loaded(id, "my.toml", &text).settings.client_address;
    assert_eq!(addresses(1), [(Ipv4Addr::LOCALHOST, 2191).into()]);
    assert_eq!(addresses(2), [(Ipv4Addr::UNSPECIFIED, 2181).into()]);
    let both = format!("{text}[client]\nport = 5\n");
    assert!(refused("my.toml", &both).starts_with("my.toml:6: client.port: 5, but the members"));
    let mut arguments = Layer::default();
    arguments.set("server.id", "--server-id", 1_i64);
    arguments.set("client.port", "--client-port", 7_i64);
    let settings = load(read_text("my.toml", &text), HashMap::new(), arguments)
        .expect("these settings are sound")
        .settings;
    assert_eq!(settings.client_address, [(Ipv4Addr::LOCALHOST, 7).into()]);
}

#[test]
fn the_environment_names_members_too() {
    let pairs = [("SERVER__ID", "2"), ("ENSEMBLE__MEMBERS", "1=a:1,2=b:1,3=c:1 observer")];
    let variables = pairs.map(|(key, value)| (format!("OSTLER__{key}"), value.to_owned()));
    let loaded = load(Layer::default(), HashMap::from(variables), Layer::default())
        .expect("these settings are sound");
    assert_eq!(loaded.settings.ensemble.expect("members are named").members.len(), 3);
    assert_eq!(loaded.warnings.len(), 1, "two of them vote");
}

#[test]
fn the_example_serves_three_servers_of_one_machine() {
    let text = include_str!("../../config/three-servers.toml");
    let ports: Vec<_> = (1..=3_u16)
        .map(|id| {
            let settings = loaded(id.into(), "three-servers.toml", text).settings;
            assert_eq!(settings.data_dir, PathBuf::from(format!("ostler-data-{id}")));
            assert_eq!(settings.log_dir, settings.data_dir);
            settings.client_address[0].port()
        })
        .collect();
    assert_eq!(ports, [2181, 2182, 2183]);
    let told = load_as(None, "three-servers.toml", text).unwrap_err().to_string();
    assert!(told.contains("nothing says which member this server is; start with --server-id N"));
    let zoo = [
        include_str!("../../config/three-servers/zoo-1.cfg"),
        include_str!("../../config/three-servers/zoo-2.cfg"),
        include_str!("../../config/three-servers/zoo-3.cfg"),
    ];
    for (id, text) in (1..).zip(zoo) {
        let settings = loaded(id, "zoo.cfg", text).settings;
        assert_eq!(u64::from(settings.client_address[0].port()), 2180 + id);
        assert_eq!(settings.ensemble.expect("members are named").members.len(), 3);
    }
}

#[test]
fn the_file_myid_says_which_server_this_is() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let myid = directory.path().join("myid");
    let text = ZOO.replace("/d\n", &format!("{}\n", directory.path().display()));
    let told = || load_as(None, "zoo.cfg", &text).unwrap_err().to_string();
    assert!(told().starts_with(&format!("{}: nothing says which member", myid.display())));
    assert!(told().contains("--server-id N"), "{}", told());
    std::fs::write(&myid, " 3\n").expect("a file can be written");
    assert_eq!(
        load_as(None, "zoo.cfg", &text).expect("myid holds a number").settings.server,
        ServerId(3)
    );
    assert_eq!(loaded(2, "zoo.cfg", &text).settings.server, ServerId(2));
    for wrong in ["0", "255", "one", ""] {
        std::fs::write(&myid, wrong).expect("a file can be written");
        assert!(told().contains(&format!("`{wrong}` is not a number from 1 to 254")), "{}", told());
    }
    std::fs::write(&myid, "9").expect("a file can be written");
    let expected = "server.id: this is server 9, and the members are 1, 2, 3; add a line";
    assert!(told().contains(expected), "{}", told());
}

#[test]
fn members_live_in_a_dynamic_file_too() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let dynamic = directory.path().join("zoo.cfg.dynamic.100000000");
    let members = "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888\n";
    std::fs::write(&dynamic, format!("{members}server.3=c:2888:3888\nversion=100000000\n"))
        .expect("a file can be written");
    let text = format!("dataDir=/d\ndynamicConfigFile={}\n", dynamic.display());
    assert_eq!(ensemble(3, "zoo.cfg", &text).members.len(), 3);
    let both = refused("zoo.cfg", &format!("{text}server.1=a:2888:3888\n"));
    assert!(both.starts_with("zoo.cfg:3: server.1: the members stand in dynamic"), "{both}");
    std::fs::write(&dynamic, format!("{members}tickTime=7\n")).expect("a file can be written");
    let told = refused("zoo.cfg", &text);
    assert!(told.contains("100000000:3: tickTime: only members stand in this file"), "{told}");
    let told = refused("zoo.cfg", "dataDir=/d\ndynamicConfigFile=/nowhere\n");
    assert!(told.starts_with("zoo.cfg:2: dynamicConfigFile: `/nowhere` cannot be read"), "{told}");
}

#[test]
fn a_wrong_member_is_named_with_its_place_and_a_remedy() {
    for (line, expected) in [
        ("server.2=b:2888", "the election port is no number"),
        ("server.2=b", "there is no port"),
        ("server.two=b:2888:3888", "the key ends in no number"),
        ("server.2=b:2888:3888:leader", "neither participant nor observer"),
        ("server.2=b:2888:3888;x", "`x` is no port"),
        ("server.2=b:2888:3888|c:2888:3888", "one address a server"),
        ("server.2=a:2888:3888", "another server has this address"),
        ("server.1=b:2888:3888", "stands on line 2 already"),
        ("server.255=b:2888:3888", "not one from 1 to 254"),
    ] {
        let told = refused("zoo.cfg", &format!("dataDir=/d\nserver.1=a:2888:3888\n{line}\n"));
        assert!(told.starts_with("zoo.cfg:3: server."), "{told}");
        assert!(told.contains(expected) && told.contains("; "), "{told}");
    }
    for (member, expected) in [
        ("b:2888", "it lacks `=`"),
        ("2=b", "its address is not HOST:PORT"),
        ("1=b:2888", "number 1 is taken"),
        ("2=a:1", "another server has this address"),
        ("2=b:1 observer weight=2", "an observer has no group"),
        ("2=b:1 votes", "`votes` means nothing here"),
    ] {
        let told = refused("my.toml", &toml(&format!("'1=a:1',\n'{member}'")));
        assert!(told.starts_with("my.toml:4: ensemble.members: `"), "{told}");
        assert!(told.contains(expected), "{told}");
    }
    assert!(refused("my.toml", &toml("'1=a:1 observer'")).contains("nobody votes"));
    let hasty = format!("{}silence_ms = 150\n", toml("'1=a:1'"));
    assert!(refused("my.toml", &hasty).contains("ensemble.silence_ms: 150 ms hold less than"));
}

#[test]
fn groups_name_every_voter_once() {
    for (lines, expected) in [
        ("group.1=1:2\n", "zoo.cfg:8: server.3: this server is in no group"),
        ("group.1=1:2\ngroup.2=2:3\n", "zoo.cfg:10: group.2: `2:3` names what is no voting"),
        ("weight.9=1\n", "zoo.cfg:9: weight.9: `1` names what is no voting server"),
    ] {
        let told = refused("zoo.cfg", &format!("{ZOO}{lines}"));
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn one_server_line_is_a_server_alone_unless_the_file_says_otherwise() {
    let one = "dataDir=/d\nserver.1=a:2888:3888;127.0.0.1:2199\n";
    for lines in ["", "standaloneEnabled=true\n"] {
        let Loaded { settings, warnings, .. } = loaded(1, "zoo.cfg", &format!("{one}{lines}"));
        assert_eq!(settings.ensemble, None);
        assert_eq!(settings.client_address, [(Ipv4Addr::LOCALHOST, 2199).into()]);
        assert!(warnings[0].starts_with("zoo.cfg:2: server.1: the only server"), "{warnings:?}");
    }
    let many = format!("{one}standaloneEnabled=false\n");
    assert_eq!(ensemble(1, "zoo.cfg", &many).members.len(), 1);
    let observer = "server.2=b:2888:3888:observer\n";
    assert!(refused("zoo.cfg", &format!("{one}{observer}")).contains("without an ensemble"));
    assert_eq!(ensemble(1, "zoo.cfg", &format!("{many}{observer}")).members.len(), 2);
    let nobody = "dataDir=/d\nstandaloneEnabled=false\n";
    assert!(refused("zoo.cfg", nobody).contains("there is no server line"));
    assert!(refused("zoo.cfg", "dataDir=/d\npeerType=observer\n").contains("no server line"));
}

#[test]
fn what_protects_traffic_between_servers_is_never_left_out_silently() {
    for key in ["sslQuorum", "quorum.auth.enableSasl"] {
        let told = refused("zoo.cfg", &format!("{ZOO}{key}=true\n"));
        assert!(told.contains(&format!("zoo.cfg:9: {key}: traffic between servers")), "{told}");
        assert!(load_as(Some(1), "zoo.cfg", &format!("{ZOO}{key}=false\n")).is_ok());
    }
}

#[test]
fn doubtful_ensembles_are_warned_of() {
    let warned = |id, text: &str| loaded(id, "zoo.cfg", text).warnings.join("\n");
    let four = format!("{ZOO}server.4=d:2888:3888\n");
    assert!(warned(1, &four).starts_with("zoo.cfg:6: an even number of servers votes"));
    let peer = format!("{ZOO}peerType=observer\n");
    assert!(warned(1, &peer).starts_with("zoo.cfg:9: peerType: the server line says otherwise"));
    let observer = format!("{ZOO}peerType=observer\nserver.4=d:2888:3888:observer\n");
    assert_eq!(warned(4, &observer), "");
}
