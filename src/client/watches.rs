//! Which watches this client holds, so that events find their streams and a new connection can
//! be told what the old one knew.
//!
//! Paths in here are the server's, with the chroot; streams see them without. Called by the link
//! when answers and events arrive. It decides nothing about when a watch is set.

use super::event::{EventKind, WatchedEvent};
use ostler_core::types::{EventType, RemoveKind, Request, WatchEvent, WatchOp, parent_of};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Bytes of paths in one request that sets watches again, as ZooKeeper's client has it.
const SET_WATCHES_BYTES_MAX: usize = 128 << 10;

/// Where a watch is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Set by getData, or by exists on a znode that exists.
    Data,
    /// Set by exists on a znode that does not exist.
    Exist,
    /// Set by getChildren.
    Child,
    /// Set by addWatch.
    Persistent,
    /// Set by addWatch, with all descendants.
    Recursive,
}

const TABLES: [Table; 5] =
    [Table::Data, Table::Exist, Table::Child, Table::Persistent, Table::Recursive];

type Streams = Vec<UnboundedSender<WatchedEvent>>;

/// All watches of one client.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    chroot: String,
    streams: BTreeMap<(Table, String), Streams>,
}

impl Watches {
    /// None yet, under this chroot.
    pub(crate) fn new(chroot: String) -> Self {
        Self { chroot, streams: BTreeMap::new() }
    }

    /// The server has confirmed a watch.
    pub(crate) fn register(
        &mut self,
        table: Table,
        path: String,
        stream: UnboundedSender<WatchedEvent>,
    ) {
        self.streams.entry((table, path)).or_default().push(stream);
    }

    /// Hands an event to every stream that waits for it, once each.
    pub(crate) fn fire(&mut self, event: &WatchEvent) {
        let shown = WatchedEvent {
            kind: kind_of(event.event),
            path: shown_path(&self.chroot, &event.path).into(),
            zxid: event.zxid.map_or(-1, |zxid| zxid.to_wire()),
        };
        for table in fired_once(event.event) {
            let streams = self.streams.remove(&(*table, event.path.to_string()));
            for stream in streams.unwrap_or_default() {
                // Whoever dropped the stream has lost interest.
                drop(stream.send(shown.clone()));
            }
        }
        self.tell_standing(Table::Persistent, &event.path, &shown);
        if event.event == EventType::ChildrenChanged {
            return;
        }
        let mut ancestor = Some(&*event.path);
        while let Some(path) = ancestor {
            self.tell_standing(Table::Recursive, path, &shown);
            ancestor = parent_of(path);
        }
    }

    /// Ends watches of these kinds at a path and tells their streams; whether there were any.
    pub(crate) fn forget(&mut self, path: &str, kind: RemoveKind) -> bool {
        let mut found = false;
        for table in tables_of(kind) {
            let Some(streams) = self.streams.remove(&(*table, path.to_owned())) else { continue };
            found = true;
            let shown = WatchedEvent {
                kind: removal_of(*table),
                path: shown_path(&self.chroot, path).into(),
                zxid: -1,
            };
            for stream in streams {
                drop(stream.send(shown.clone()));
            }
        }
        found
    }

    /// Ends every stream: the session is over.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }

    /// Tells persistent watches that events may have been missed.
    pub(crate) fn resumed(&self) {
        for ((table, path), streams) in &self.streams {
            if !matches!(table, Table::Persistent | Table::Recursive) {
                continue;
            }
            let path: Arc<str> = shown_path(&self.chroot, path).into();
            for stream in streams {
                let event = WatchedEvent { kind: EventKind::Resumed, path: path.clone(), zxid: -1 };
                drop(stream.send(event));
            }
        }
    }

    /// Hands the requests that set all watches again on a new connection to `each`.
    pub(crate) fn set_again(&mut self, relative_zxid: i64, each: &mut dyn FnMut(&Request<'_>)) {
        self.streams.retain(|_, streams| {
            streams.retain(|stream| !stream.is_closed());
            !streams.is_empty()
        });
        let all: Vec<(Table, &str)> =
            self.streams.keys().map(|(table, path)| (*table, path.as_str())).collect();
        let mut rest = &all[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_length(rest));
            each(&set_request(relative_zxid, chunk));
            rest = after;
        }
    }

    fn tell_standing(&mut self, table: Table, path: &str, event: &WatchedEvent) {
        let key = (table, path.to_owned());
        let Some(streams) = self.streams.get_mut(&key) else { return };
        streams.retain(|stream| stream.send(event.clone()).is_ok());
        if streams.is_empty() {
            self.streams.remove(&key);
        }
    }
}

/// A path as the user of a chroot sees it.
pub(crate) fn shown_path<'a>(chroot: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(chroot) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        Some(_) | None => path,
    }
}

fn chunk_length(paths: &[(Table, &str)]) -> usize {
    let mut bytes = 0;
    let fits = paths.iter().take_while(|(_, path)| {
        bytes += path.len();
        bytes <= SET_WATCHES_BYTES_MAX
    });
    // A single path larger than the bound still has to go.
    fits.count().max(1)
}

fn set_request<'a>(relative_zxid: i64, paths: &[(Table, &'a str)]) -> Request<'a> {
    let of = |wanted: Table| -> Vec<&'a str> {
        paths.iter().filter(|(table, _)| *table == wanted).map(|(_, path)| *path).collect()
    };
    Request::Watch(WatchOp::Set {
        relative_zxid,
        data: of(Table::Data),
        exist: of(Table::Exist),
        child: of(Table::Child),
        persistent: of(Table::Persistent),
        persistent_recursive: of(Table::Recursive),
        broken_off: false,
    })
}

fn kind_of(event: EventType) -> EventKind {
    match event {
        EventType::Created => EventKind::NodeCreated,
        EventType::Deleted => EventKind::NodeDeleted,
        EventType::DataChanged => EventKind::NodeDataChanged,
        EventType::ChildrenChanged => EventKind::NodeChildrenChanged,
    }
}

fn fired_once(event: EventType) -> &'static [Table] {
    match event {
        EventType::Created | EventType::DataChanged => &[Table::Data, Table::Exist],
        EventType::Deleted => &[Table::Data, Table::Exist, Table::Child],
        EventType::ChildrenChanged => &[Table::Child],
    }
}

fn tables_of(kind: RemoveKind) -> &'static [Table] {
    match kind {
        RemoveKind::Children => &[Table::Child],
        RemoveKind::Data => &[Table::Data, Table::Exist],
        RemoveKind::Any => &TABLES,
        RemoveKind::Persistent => &[Table::Persistent],
        RemoveKind::PersistentRecursive => &[Table::Recursive],
    }
}

fn removal_of(table: Table) -> EventKind {
    match table {
        Table::Data | Table::Exist => EventKind::DataWatchRemoved,
        Table::Child => EventKind::ChildWatchRemoved,
        Table::Persistent | Table::Recursive => EventKind::PersistentWatchRemoved,
    }
}

#[cfg(test)]
#[path = "watches_test.rs"]
mod tests;
