//! The table against a model that walks a plain list, on random histories.

use super::{WatchSummary, WatchTable};
use crate::types::{ConnectionId, EventType, RemoveKind, WatchRegistration};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

use EventType::{ChildrenChanged, Created, DataChanged, Deleted};
use WatchRegistration::{Child, Data, Persistent, PersistentRecursive};

type Watch = (ConnectionId, String, WatchRegistration);

#[derive(Clone, Debug)]
enum Act {
    Register(ConnectionId, &'static str, WatchRegistration),
    Fire(EventType, &'static str),
    Remove(ConnectionId, &'static str, RemoveKind),
    Forget(ConnectionId),
}

/// The rules, one watch at a time.
#[derive(Default)]
struct Model(BTreeSet<Watch>);

impl Model {
    fn fire(&mut self, event: EventType, path: &str) -> Vec<ConnectionId> {
        let hit = |watch: &Watch| {
            let at = watch.1 == path;
            let below = watch.1 == "/" || path.starts_with(&std::format!("{}/", watch.1));
            match watch.2 {
                Data => at && event != ChildrenChanged,
                Child => at && matches!(event, ChildrenChanged | Deleted),
                Persistent => at,
                PersistentRecursive => (at || below) && event != ChildrenChanged,
            }
        };
        let told: BTreeSet<ConnectionId> =
            self.0.iter().filter(|watch| hit(watch)).map(|watch| watch.0).collect();
        self.0.retain(|watch| matches!(watch.2, Persistent | PersistentRecursive) || !hit(watch));
        told.into_iter().collect()
    }

    fn matching(&self, connection: ConnectionId, path: &str, kind: RemoveKind) -> Vec<Watch> {
        let wanted = |registration| match kind {
            RemoveKind::Any => true,
            RemoveKind::Data => registration == Data,
            RemoveKind::Children => registration == Child,
            RemoveKind::Persistent => registration == Persistent,
            RemoveKind::PersistentRecursive => registration == PersistentRecursive,
        };
        let mine = |watch: &&Watch| watch.0 == connection && watch.1 == path && wanted(watch.2);
        self.0.iter().filter(mine).cloned().collect()
    }

    fn entries(&self, counted: impl Fn(WatchRegistration) -> bool) -> BTreeSet<(&str, u64)> {
        let counted = self.0.iter().filter(|watch| counted(watch.2));
        counted.map(|watch| (watch.1.as_str(), watch.0.0)).collect()
    }

    fn summary(&self) -> WatchSummary {
        let data = self.entries(|registration| registration != Child);
        let child = self.entries(|registration| matches!(registration, Child | Persistent));
        WatchSummary {
            connections: data.iter().map(|entry| entry.1).collect::<BTreeSet<_>>().len(),
            paths: data.iter().map(|entry| entry.0).collect::<BTreeSet<_>>().len(),
            watches: data.len(),
            watches_of_both_tables: data.len() + child.len(),
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    let path = || select(&["/", "/a", "/ab", "/a/b", "/a/b/c", "/d"][..]);
    let connection = || (0u64..4).prop_map(|serial| ConnectionId::new(0, serial));
    let registration = select(&[Data, Child, Persistent, PersistentRecursive][..]);
    let event = select(&[Created, Deleted, DataChanged, ChildrenChanged][..]);
    let kind = (1i32..=5).prop_map(|code| RemoveKind::from_code(code).unwrap());
    prop_oneof![
        6 => (connection(), path(), registration).prop_map(|(c, p, r)| Act::Register(c, p, r)),
        4 => (event, path()).prop_map(|(e, p)| Act::Fire(e, p)),
        2 => (connection(), path(), kind).prop_map(|(c, p, k)| Act::Remove(c, p, k)),
        1 => connection().prop_map(Act::Forget),
    ]
}

fn play(table: &mut WatchTable, model: &mut Model, act: Act) {
    match act {
        Act::Register(connection, path, registration) => {
            table.register(connection, path.into(), registration);
            model.0.insert((connection, path.into(), registration));
        }
        Act::Fire(event, path) => {
            let mut told = Vec::new();
            table.fire(event, path, &mut told);
            assert_eq!(told, model.fire(event, path));
        }
        Act::Remove(connection, path, kind) => {
            let matching = model.matching(connection, path, kind);
            assert_eq!(table.holds(connection, path, kind), !matching.is_empty());
            assert_eq!(table.remove(connection, path, kind), !matching.is_empty());
            assert!(!table.holds(connection, path, kind));
            matching.iter().for_each(|watch| assert!(model.0.remove(watch)));
        }
        Act::Forget(connection) => {
            table.forget(connection);
            model.0.retain(|watch| watch.0 != connection);
        }
    }
}

fn compare(table: &WatchTable, model: &Model) {
    assert_eq!(table.summary(), model.summary());
    assert_eq!(table.is_empty(), model.0.is_empty());
    let data = model.entries(|registration| registration != Child);
    let by_path = table.by_path();
    let listed = by_path.iter().flat_map(|(path, all)| all.iter().map(|c| (&**path, c.0)));
    assert!(listed.eq(data.iter().copied()));
    let by_connection = table.by_connection();
    let listed = by_connection.iter().flat_map(|(c, all)| all.iter().map(|path| (&**path, c.0)));
    assert_eq!(listed.collect::<BTreeSet<_>>(), data);
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_rules(acts in prop::collection::vec(act(), 0..120)) {
        let mut table = WatchTable::new(11);
        let mut model = Model::default();
        for act in acts {
            play(&mut table, &mut model, act);
            compare(&table, &model);
        }
    }
}
