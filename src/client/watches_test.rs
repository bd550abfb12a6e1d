//! Which streams an event reaches, and what a new connection is told.

use super::*;
use ostler_core::types::Zxid;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn watch(watches: &mut Watches, table: Table, path: &str) -> UnboundedReceiver<WatchedEvent> {
    let (stream, events) = unbounded_channel();
    watches.register(table, path.to_owned(), stream);
    events
}

fn fire(watches: &mut Watches, event: EventType, path: &str) {
    watches.fire(&WatchEvent { zxid: Some(Zxid(9)), event, path: path.into() });
}

fn heard(events: &mut UnboundedReceiver<WatchedEvent>) -> Vec<String> {
    std::iter::from_fn(|| events.try_recv().ok())
        .map(|event| format!("{} {}", event.kind.name(), event.path))
        .collect()
}

#[test]
fn a_one_time_watch_hears_one_event_and_ends() {
    let mut watches = Watches::new(String::new());
    let mut data = watch(&mut watches, Table::Data, "/a");
    let mut child = watch(&mut watches, Table::Child, "/a");
    fire(&mut watches, EventType::DataChanged, "/a");
    fire(&mut watches, EventType::DataChanged, "/a");
    assert_eq!(heard(&mut data), ["NodeDataChanged /a"]);
    assert!(data.is_closed());
    assert!(heard(&mut child).is_empty());
    fire(&mut watches, EventType::Deleted, "/a");
    assert_eq!(heard(&mut child), ["NodeDeleted /a"]);
}

#[test]
fn persistent_watches_stay_and_recursive_ones_see_descendants_but_no_lists() {
    let mut watches = Watches::new(String::new());
    let mut persistent = watch(&mut watches, Table::Persistent, "/a");
    let mut recursive = watch(&mut watches, Table::Recursive, "/");
    fire(&mut watches, EventType::Created, "/a/b");
    fire(&mut watches, EventType::ChildrenChanged, "/a");
    fire(&mut watches, EventType::DataChanged, "/a");
    assert_eq!(heard(&mut persistent), ["NodeChildrenChanged /a", "NodeDataChanged /a"]);
    assert_eq!(heard(&mut recursive), ["NodeCreated /a/b", "NodeDataChanged /a"]);
}

#[test]
fn paths_are_shown_without_the_chroot() {
    let mut watches = Watches::new("/root".into());
    let mut recursive = watch(&mut watches, Table::Recursive, "/root");
    fire(&mut watches, EventType::DataChanged, "/root");
    fire(&mut watches, EventType::Created, "/root/x");
    assert_eq!(heard(&mut recursive), ["NodeDataChanged /", "NodeCreated /x"]);
    assert_eq!(shown_path("/root", "/rooted"), "/rooted");
    assert_eq!(shown_path("", "/x"), "/x");
}

#[test]
fn forgetting_ends_the_stream_with_its_reason() {
    let mut watches = Watches::new(String::new());
    let mut child = watch(&mut watches, Table::Child, "/a");
    let mut data = watch(&mut watches, Table::Exist, "/a");
    assert!(!watches.forget("/a", RemoveKind::Persistent));
    assert!(watches.forget("/a", RemoveKind::Data));
    assert!(watches.forget("/a", RemoveKind::Any));
    assert!(!watches.forget("/a", RemoveKind::Any));
    assert_eq!(heard(&mut child), ["ChildWatchRemoved /a"]);
    assert_eq!(heard(&mut data), ["DataWatchRemoved /a"]);
    assert!(child.is_closed() && data.is_closed());
}

#[test]
fn a_new_connection_is_told_all_watches_that_are_still_wanted() {
    let mut watches = Watches::new(String::new());
    let _data = watch(&mut watches, Table::Data, "/d");
    let mut recursive = watch(&mut watches, Table::Recursive, "/r");
    drop(watch(&mut watches, Table::Child, "/unwanted"));
    let mut told = Vec::new();
    watches.set_again(7, &mut |request| told.push(format!("{request:?}")));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("relative_zxid: 7"));
    assert!(told[0].contains("data: [\"/d\"]") && told[0].contains("recursive: [\"/r\"]"));
    assert!(!told[0].contains("unwanted"));
    watches.resumed();
    assert_eq!(heard(&mut recursive), ["None /r"]);
}

#[test]
fn very_many_watches_are_told_in_pieces() {
    let mut watches = Watches::new(String::new());
    let long = "x".repeat(1000);
    let kept: Vec<_> = (0..300)
        .map(|number| watch(&mut watches, Table::Data, &format!("/{long}{number:03}")))
        .collect();
    let mut paths = Vec::new();
    watches.set_again(0, &mut |request| {
        let Request::Watch(WatchOp::Set { data, .. }) = request else { panic!("{request:?}") };
        paths.push(data.len());
    });
    assert_eq!(paths.iter().sum::<usize>(), kept.len());
    assert_eq!(paths.len(), 3);
}
