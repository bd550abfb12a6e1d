//! Each rule of watches as one fact.

use super::{WatchSummary, WatchTable};
use crate::types::{ConnectionId, EventType, RemoveKind, WatchRegistration};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use EventType::{ChildrenChanged, Created, DataChanged, Deleted};
use WatchRegistration::{Child, Data, Persistent, PersistentRecursive};

const A: ConnectionId = ConnectionId(0x100);
const B: ConnectionId = ConnectionId(0x201);

fn table(watches: &[(ConnectionId, &str, WatchRegistration)]) -> WatchTable {
    let mut table = WatchTable::new(7);
    for (connection, path, registration) in watches {
        table.register(*connection, (*path).into(), *registration);
    }
    table
}

fn fire(table: &mut WatchTable, event: EventType, path: &str) -> Vec<ConnectionId> {
    let mut told = Vec::new();
    table.fire(event, path, &mut told);
    told
}

#[test]
fn a_data_watch_fires_once_on_create_change_or_delete() {
    for event in [Created, DataChanged, Deleted] {
        let mut table = table(&[(A, "/a", Data)]);
        assert_eq!(fire(&mut table, ChildrenChanged, "/a"), []);
        assert_eq!(fire(&mut table, event, "/a"), [A], "{event:?}");
        assert_eq!(fire(&mut table, event, "/a"), [], "{event:?}");
        assert!(table.is_empty());
    }
}

#[test]
fn a_child_watch_fires_once_on_a_change_of_the_list_or_delete() {
    for event in [ChildrenChanged, Deleted] {
        let mut table = table(&[(A, "/a", Child)]);
        assert_eq!(fire(&mut table, Created, "/a"), []);
        assert_eq!(fire(&mut table, DataChanged, "/a"), []);
        assert_eq!(fire(&mut table, event, "/a"), [A], "{event:?}");
        assert_eq!(fire(&mut table, event, "/a"), [], "{event:?}");
    }
}

#[test]
fn a_persistent_watch_sees_everything_of_its_path_and_stays() {
    let mut table = table(&[(A, "/a", Persistent)]);
    for event in [Created, DataChanged, ChildrenChanged, Deleted, Created] {
        assert_eq!(fire(&mut table, event, "/a"), [A], "{event:?}");
        assert_eq!(fire(&mut table, event, "/a/b"), [], "{event:?}");
    }
}

#[test]
fn a_recursive_watch_sees_its_path_and_all_below_but_no_lists() {
    let mut table = table(&[(A, "/a", PersistentRecursive)]);
    for path in ["/a", "/a/b", "/a/b/c/d"] {
        for event in [Created, DataChanged, Deleted] {
            assert_eq!(fire(&mut table, event, path), [A], "{event:?} of {path}");
        }
        assert_eq!(fire(&mut table, ChildrenChanged, path), [], "{path}");
    }
    for path in ["/", "/ab", "/b", "/ab/c"] {
        assert_eq!(fire(&mut table, Created, path), [], "{path}");
    }
}

#[test]
fn a_recursive_watch_on_the_root_sees_every_znode() {
    let mut table = table(&[(A, "/", PersistentRecursive)]);
    for path in ["/", "/a", "/a/b"] {
        assert_eq!(fire(&mut table, DataChanged, path), [A], "{path}");
    }
}

#[test]
fn a_connection_is_told_once_however_many_watches_it_holds() {
    let mut table = table(&[
        (A, "/a/b", Data),
        (A, "/a/b", Child),
        (A, "/a/b", Persistent),
        (A, "/a/b", PersistentRecursive),
        (A, "/a", PersistentRecursive),
        (A, "/", PersistentRecursive),
        (B, "/a", PersistentRecursive),
    ]);
    assert_eq!(fire(&mut table, Deleted, "/a/b"), [A, B]);
    assert_eq!(fire(&mut table, Deleted, "/a/b"), [A, B]);
}

#[test]
fn a_delete_uses_up_data_and_child_watches_together() {
    let mut table = table(&[(A, "/a", Data), (A, "/a", Child)]);
    assert_eq!(fire(&mut table, Deleted, "/a"), [A]);
    assert!(table.is_empty());
}

#[test]
fn kinds_on_one_path_live_side_by_side() {
    let mut table = table(&[(A, "/a", Data), (A, "/a", Persistent)]);
    assert!(table.holds(A, "/a", RemoveKind::Data));
    assert_eq!(fire(&mut table, DataChanged, "/a"), [A]);
    assert!(!table.holds(A, "/a", RemoveKind::Data), "the one-shot watch is spent");
    assert!(table.holds(A, "/a", RemoveKind::Persistent));
    assert_eq!(fire(&mut table, DataChanged, "/a"), [A]);
}

#[test]
fn a_watch_set_twice_fires_once() {
    let mut table = table(&[(A, "/a", Data), (A, "/a", Data)]);
    assert_eq!(fire(&mut table, DataChanged, "/a"), [A]);
    assert_eq!(fire(&mut table, DataChanged, "/a"), []);
}

#[test]
fn each_kind_is_looked_for_and_removed_by_itself() {
    let all = [
        (Data, RemoveKind::Data),
        (Child, RemoveKind::Children),
        (Persistent, RemoveKind::Persistent),
        (PersistentRecursive, RemoveKind::PersistentRecursive),
    ];
    for (registration, own) in all {
        for (_, asked) in all {
            let mut table = table(&[(A, "/a", registration)]);
            assert_eq!(table.holds(A, "/a", asked), asked == own, "{registration:?} {asked:?}");
            assert_eq!(table.remove(A, "/a", asked), asked == own, "{registration:?} {asked:?}");
            assert_eq!(table.is_empty(), asked == own, "{registration:?} {asked:?}");
        }
        let mut table = table(&[(A, "/a", registration)]);
        assert!(table.holds(A, "/a", RemoveKind::Any));
        assert!(!table.remove(B, "/a", RemoveKind::Any), "another connection holds nothing");
        assert!(!table.remove(A, "/b", RemoveKind::Any), "nor is another path watched");
        assert!(table.remove(A, "/a", RemoveKind::Any));
        assert!(!table.remove(A, "/a", RemoveKind::Any));
    }
}

#[test]
fn a_forgotten_connection_leaves_nothing_behind() {
    let mut table = table(&[
        (A, "/a", Data),
        (A, "/b", Child),
        (A, "/c", PersistentRecursive),
        (B, "/b", Child),
    ]);
    table.forget(A);
    assert_eq!(fire(&mut table, Deleted, "/a"), []);
    assert_eq!(fire(&mut table, Created, "/c/d"), []);
    assert_eq!(fire(&mut table, ChildrenChanged, "/b"), [B]);
    assert!(table.is_empty());
    assert_eq!(table.summary(), WatchSummary::default());
}

#[test]
fn paths_need_not_be_well_formed() {
    let mut table = table(&[(A, "abc", Data), (A, "", Data), (A, "/a/", Data)]);
    assert_eq!(fire(&mut table, Created, "abc"), [A]);
    assert_eq!(fire(&mut table, Created, "/a"), []);
    table.register(A, "/".into(), PersistentRecursive);
    assert_eq!(fire(&mut table, Created, ""), [A]);
    assert_eq!(fire(&mut table, Created, "no/slash/first"), []);
}

#[test]
fn counts_are_those_of_the_data_table() {
    let table = table(&[
        (A, "/a", Data),
        (A, "/a", Persistent),
        (A, "/b", Child),
        (A, "/c", PersistentRecursive),
        (B, "/a", Child),
    ]);
    let expected = WatchSummary { connections: 1, paths: 2, watches: 2, watches_of_both_tables: 5 };
    assert_eq!(table.summary(), expected);
}

#[test]
fn lists_are_ordered_and_leave_out_child_watches() {
    let table = table(&[
        (B, "/b", Data),
        (B, "/a", PersistentRecursive),
        (A, "/b", Persistent),
        (A, "/c", Child),
    ]);
    assert_eq!(
        table.by_connection(),
        [(A, vec!["/b".into()]), (B, vec!["/a".into(), "/b".into()])]
    );
    assert_eq!(table.by_path(), [("/a".into(), vec![B]), ("/b".into(), vec![A, B])]);
}

#[test]
fn a_hundred_thousand_watchers_of_one_path_are_told_in_order() {
    let mut table = WatchTable::new(1);
    let connections: Vec<ConnectionId> =
        (0..100_000).map(|serial| ConnectionId::new(0, serial)).collect();
    for connection in connections.iter().rev() {
        table.register(*connection, "/config".into(), Data);
    }
    assert_eq!(table.summary().watches, 100_000);
    assert_eq!(fire(&mut table, DataChanged, "/config"), connections);
    assert!(table.is_empty());
    assert_eq!(table.summary(), WatchSummary::default());
}

#[test]
fn slots_of_paths_no_longer_watched_serve_others() {
    let mut table = WatchTable::new(3);
    for round in 0..1000 {
        let path: String = format!("/round/{round}");
        table.register(A, path.as_str().into(), Data);
        table.register(B, "/kept".into(), Data);
        assert_eq!(fire(&mut table, Created, &path), [A]);
    }
    assert_eq!(table.by_path(), [("/kept".into(), vec![B])]);
}
