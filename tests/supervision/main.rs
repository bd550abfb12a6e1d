//! The table of rooms in `ARCHITECTURE.md`, row by row: a room fails under load, in a real server,
//! and clients see exactly what the table says, and nothing else.
//!
//! Rooms fail by the feature `faults`, which is on in tests alone.

mod large;
mod load;
mod server;
mod storm;

use load::{Load, connect, runtime, versions};
use ostler::client::{CreateOptions, Kind};
use server::{STALL_MAX, Server};
use std::process::Command;
use std::time::Duration;

/// Exit code of a server that one of its rooms brought to its end.
const EXIT_PANIC: Option<i32> = Some(70);

#[test]
fn the_server_of_the_other_tests() {
    server::serve_if_asked_to();
}

#[test]
fn a_session_sweeper_that_panics_costs_no_session_and_still_ends_those_that_are_gone() {
    let mut server = Server::start();
    let load = Load::start(&server);
    for (restarts, fault) in (1..).zip(["input 1", "input 7", "input 1"]) {
        server.strike("session_sweeper", fault);
        server.await_restarts("session_sweeper", restarts);
        load.goes_on();
    }
    runtime().block_on(abandon_a_session(&server.address()));
    // Its verdict panics: it is given again, by a successor, a timeout later.
    server.strike("session_sweeper", "effect 1");
    server.await_restarts("session_sweeper", 4);
    let gone = || runtime().block_on(is_gone(&server.address(), "/abandoned"));
    server.until("the end of an abandoned session", || gone().then_some(()));
    load.finish_without_trouble(&server);
    server.until("the panic is told of", || {
        server.told().contains("a fault on command, at an effect").then_some(())
    });
    assert!(server.told().contains("down_ms"), "{}", server.told());
}

#[test]
fn a_snapshot_writer_that_panics_costs_one_snapshot() {
    let mut server = Server::start();
    let load = Load::start(&server);
    let failed = |server: &Server| server.metric("snapshot_error_count");
    for (restarts, fault) in (1..).zip(["input 1", "effect 2", "input 3"]) {
        server.strike("snapshot_writer", fault);
        server.await_restarts("snapshot_writer", restarts);
        load.goes_on();
    }
    let failures = server.until("failures are counted", || failed(&server)?.parse::<u64>().ok());
    assert!((1..=3).contains(&failures), "{failures}");
    server.strike("snapshot_writer", "fail 0");
    let more = (failures + 1).to_string();
    server.until("a failure without a panic", || (failed(&server)? == more).then_some(()));
    let taken = || server.metric("cnt_snapshottime")?.parse::<u64>().ok();
    let before = server.until("snapshots are counted", taken);
    server.until("the next snapshot", || (taken()? > before).then_some(()));
    finish_and_find_all_again(load, &mut server);
}

#[test]
fn a_watch_fan_out_that_panics_delays_events_and_costs_no_connection() {
    let faults = ["input 1", "effect 1", "effect 2", "input 9", "effect 8"];
    strike_in_turn(&["watch_fanout"], &faults.map(|fault| ("watch_fanout", fault)));
}

#[test]
fn a_log_writer_that_panics_pauses_writes_and_loses_none() {
    let faults = ["input 1", "effect 1", "effect 2", "effect 3", "effect 4", "input 2", "input 7"];
    strike_in_turn(&["log_writer"], &faults.map(|fault| ("log_writer", fault)));
}

/// Clients met no trouble, and all they were told is on the disk.
fn finish_and_find_all_again(load: Load, server: &mut Server) {
    load.finish_without_trouble(server);
    let sets = runtime().block_on(versions(&server.address()));
    server.kill();
    server.start_again();
    assert_eq!(runtime().block_on(versions(&server.address())), sets);
}

/// Under load, rooms meet these faults one after the other; each time, those of `back` come back.
fn strike_in_turn(back: &[&str], faults: &[(&str, &str)]) {
    let mut server = Server::start();
    let load = Load::start(&server);
    for (restarts, (room, fault)) in (1..).zip(faults) {
        server.strike(room, fault);
        back.iter().for_each(|room| server.await_restarts(room, restarts));
        load.goes_on();
    }
    finish_and_find_all_again(load, &mut server);
}

#[test]
fn a_connection_that_panics_costs_its_own_socket_and_not_its_session() {
    let mut server = Server::start();
    runtime().block_on(async {
        let client = connect(&server.address(), 0).await;
        let held = CreateOptions::of(Kind::Ephemeral);
        client.create("/mine", None, &held).await.expect("creates");
        let neighbour = connect(&server.address(), 1).await;
        neighbour.create("/beside", None, &held).await.expect("creates");
        let mut states = neighbour.session_events();
        let session = client.ticket().session;
        server.strike("connection", "input 1");
        // The order may still be on its way when the first of these arrive.
        while client.exists("/mine").await.is_ok() {}
        let found = loop {
            match client.exists("/mine").await {
                Ok(found) => break found,
                Err(error) => assert!(error.code().is_some(), "{error}"),
            }
        };
        assert!(found.is_some(), "its session's znode");
        assert_eq!(client.ticket().session, session);
        neighbour.sync("/").await.expect("a neighbour feels nothing");
        let changed = tokio::time::timeout(Duration::ZERO, states.next()).await;
        assert!(changed.is_err(), "the neighbour was {changed:?}");
        client.close().await;
        neighbour.close().await;
    });
    assert_eq!(server.metric("connection_panic_count").as_deref(), Some("1"));
    assert_eq!(server.metric("outstanding_requests").as_deref(), Some("0"));
    assert_eq!(server.metric("num_alive_connections").as_deref(), Some("1"), "the question's own");
}

#[test]
fn a_pipeline_or_peer_that_panics_pauses_writes_and_costs_no_connection() {
    let faults = [
        ("pipeline", "input 1"),
        ("pipeline", "effect 1"),
        ("peer", "input 1"),
        ("pipeline", "input 7"),
        ("pipeline", "effect 2"),
        ("pipeline", "effect 5"),
        ("pipeline", "input 31"),
    ];
    // Neither is of use with what the other one remembers.
    strike_in_turn(&["pipeline", "peer"], &faults);
}

#[test]
fn a_tree_store_that_panics_pauses_reads_and_tells_nobody_anything_twice() {
    let faults = ["input 1", "change 1", "effect 1", "input 7", "change 5", "effect 3", "change 2"];
    strike_in_turn(&["tree_store"], &faults.map(|fault| ("tree_store", fault)));
}

#[test]
fn an_abort_is_the_end_and_nothing_acknowledged_is_lost() {
    let mut server = Server::start();
    let load = Load::start(&server);
    server.strike("tree_store", "abort 0");
    assert_eq!(server.ends(), None, "by a signal: {}", server.told());
    let acknowledged = load.finish().sets;
    server.start_again();
    let found = runtime().block_on(versions(&server.address()));
    for (found, acknowledged) in found.into_iter().zip(acknowledged) {
        // The set that was under way may have happened.
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} of {acknowledged}");
    }
}

#[test]
fn a_room_that_fails_too_often_ends_the_process_with_a_reason() {
    let mut server = Server::start();
    for restarts in 1..=10 {
        server.strike("session_sweeper", "input 1");
        server.await_restarts("session_sweeper", restarts);
    }
    server.strike("session_sweeper", "input 1");
    assert_eq!(server.ends(), EXIT_PANIC);
    let told = server.told();
    assert!(told.contains("rooms of the group `server` failed"), "{told}");
}

#[test]
fn a_stalled_room_is_told_of_and_in_the_end_ends_the_process() {
    let mut server = Server::start();
    server.strike("session_sweeper", "stall 700");
    server.until("a warning", || server.told().contains("shows no progress").then_some(()));
    // The sweeper shares its thread with rooms that this word does not ask.
    let told = server.word("room");
    assert!(told.contains("session_sweeper: stalled for ") || told.contains("working"), "{told}");
    server.until("it works again", || {
        server.word("room").contains("session_sweeper: working").then_some(())
    });
    server.strike("session_sweeper", &format!("stall {}", STALL_MAX.as_millis() * 4));
    assert_eq!(server.ends(), EXIT_PANIC);
    let told = server.told();
    assert!(told.contains("`session_sweeper` has shown no progress for"), "{told}");
}

#[test]
fn operators_see_the_tree_of_rooms_and_its_restarts() {
    let mut server = Server::start();
    let before = server.word("room");
    let expected = "server: one for one, 0 of 0 restarts within 60 s\n";
    assert!(before.starts_with(expected), "{before}");
    assert!(before.contains("\n  consensus: one for all, 0 of 10 restarts within 60 s\n"));
    assert!(before.contains("\n    session_sweeper: working, 0 restarts\n"), "{before}");
    server.strike("session_sweeper", "input 1");
    server.await_restarts("session_sweeper", 1);
    let after = server.word("room");
    assert!(after.contains("\n  service: one for one, 1 of 10 restarts within 60 s\n"), "{after}");
    assert!(after.contains("\n    session_sweeper: working, 1 restarts, the last took "));
    assert!(after.contains("a fault on command, at an input, at "), "{after}");
    assert_eq!(server.metric("room_state_session_sweeper").as_deref(), Some("working"));
    assert_eq!(server.metric("room_restart_count").as_deref(), Some("1"));
    let shell = Command::new(env!("CARGO_BIN_EXE_ostler"))
        .args(["shell", "-server", &server.address(), "room"])
        .output()
        .expect("the shell runs");
    assert_eq!(String::from_utf8_lossy(&shell.stdout), after);
}

/// A session with an ephemeral znode whose client leaves without a word.
async fn abandon_a_session(address: &str) {
    let client = connect(address, 0).await;
    let held = CreateOptions::of(Kind::Ephemeral);
    client.create("/abandoned", None, &held).await.expect("creates");
}

async fn is_gone(address: &str, path: &str) -> bool {
    let client = connect(address, 0).await;
    let found = client.exists(path).await.expect("reads");
    client.close().await;
    found.is_none()
}
