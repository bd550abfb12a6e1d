//! The `ostler` binary from outside: what it prints, and the exit codes that service managers act
//! on. No test here waits for a server; those under `compat` do.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn ostler(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
    command.args(arguments).env("OSTLER__CLIENT__ADDRESSES", "127.0.0.1");
    command.stdin(Stdio::null()).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_version_is_printed() {
    let output = ostler(&["version"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = format!("ostler {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn wrong_arguments_and_missing_files_end_with_2() {
    assert_eq!(ostler(&["serve", "--client-prot", "1"]).status.code(), Some(2));
    assert_eq!(ostler(&["serve", "--config", "/nowhere/zoo.cfg"]).status.code(), Some(2));
    assert_eq!(ostler(&["config", "check", "/nowhere/zoo.cfg"]).status.code(), Some(2));
    assert_eq!(ostler(&["serve", "--client-port", "0"]).status.code(), Some(2));
}

#[test]
fn a_check_ends_with_1_when_a_server_could_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("zoo.cfg");
    let name = file.to_str().unwrap();
    fs::write(&file, "dataDir=/d\nclientPort=2181\n").unwrap();
    assert_eq!(ostler(&["config", "check", name]).status.code(), Some(0));
    let members = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    fs::write(&file, format!("dataDir=/d\nclientPort=2181\n{members}")).unwrap();
    let output = ostler(&["config", "check", name]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains("/d/myid: nothing says which member"), "{}", told(&output));
    assert_eq!(ostler(&["serve", "--config", name]).status.code(), Some(2));
    let output = ostler(&["config", "check", name, "--server-id", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.ends_with("a server can start, as server 3 of 3\n"), "{shown}");
    fs::write(&file, "dataDir=/d\nclientPort=2181\nserver.1=a\n").unwrap();
    let output = ostler(&["config", "check", name]);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).contains(&format!("{name}:3: server.1: ")), "{}", told(&output));
}

#[test]
fn a_directory_that_is_a_file_ends_with_78() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = ostler(&["serve", "--data-dir", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78), "{}", told(&output));
    assert!(told(&output).contains("name a directory"), "{}", told(&output));
}

#[test]
fn a_database_of_zookeeper_ends_with_78() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("version-2")).unwrap();
    fs::write(directory.path().join("version-2/log.1"), b"").unwrap();
    let output = ostler(&["serve", "--data-dir", directory.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(told(&output).contains("database of ZooKeeper"), "{}", told(&output));
}

#[test]
fn a_port_in_use_ends_with_14() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = directory.path().to_str().unwrap();
    let output = ostler(&["serve", "--data-dir", data, "--client-port", &port]);
    assert_eq!(output.status.code(), Some(14), "{}", told(&output));
    assert!(told(&output).contains(&port), "{}", told(&output));
}
