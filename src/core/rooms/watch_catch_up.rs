//! setWatches: what a client missed while it was away, told from the state of the tree.
//!
//! The rules are ZooKeeper's `DataTree.setWatches`. A path that has an event to tell is not
//! registered; persistent watches are always registered and never catch up.

use super::pipeline::Sender;
use super::watch_fanout::Step;
use crate::tree::Tree;
use crate::types::{EventType, WatchEvent, WatchOp, WatchRegistration};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Appends the events and registrations that a setWatches calls for.
pub(super) fn set_watches(tree: &Tree, op: &WatchOp<'_>, sender: &Sender, steps: &mut Vec<Step>) {
    let WatchOp::Set {
        relative_zxid, data, exist, child, persistent, persistent_recursive, ..
    } = op
    else {
        return;
    };
    let since = *relative_zxid;
    for path in data {
        let missed = match tree.stat_unchecked(path) {
            None => Some(EventType::Deleted),
            Some(stat) => (stat.mzxid > since).then_some(EventType::DataChanged),
        };
        steps.push(event_or_watch(sender, path, missed, WatchRegistration::Data));
    }
    for path in exist {
        let missed = tree.stat_unchecked(path).map(|_| EventType::Created);
        steps.push(event_or_watch(sender, path, missed, WatchRegistration::Data));
    }
    for path in child {
        let missed = match tree.stat_unchecked(path) {
            None => Some(EventType::Deleted),
            Some(stat) => (stat.pzxid > since).then_some(EventType::ChildrenChanged),
        };
        steps.push(event_or_watch(sender, path, missed, WatchRegistration::Child));
    }
    for path in persistent {
        steps.push(event_or_watch(sender, path, None, WatchRegistration::Persistent));
    }
    for path in persistent_recursive {
        steps.push(event_or_watch(sender, path, None, WatchRegistration::PersistentRecursive));
    }
}

fn event_or_watch(
    sender: &Sender,
    path: &str,
    missed: Option<EventType>,
    registration: WatchRegistration,
) -> Step {
    let (connection, codec, path) = (sender.connection, sender.codec, Arc::from(path));
    match missed {
        Some(event) => Step::SynthesizedEvent {
            connection,
            codec,
            event: WatchEvent { zxid: None, event, path },
        },
        None => Step::Register { connection, codec, ids: sender.ids.clone(), path, registration },
    }
}
