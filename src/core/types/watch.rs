//! Registrations of interest and the events they bring.

use super::Zxid;
use alloc::sync::Arc;

/// What happened to a znode. The numbers are ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum EventType {
    /// It was created.
    Created = 1,
    /// It was deleted.
    Deleted = 2,
    /// Its data was replaced.
    DataChanged = 3,
    /// A child was created or deleted.
    ChildrenChanged = 4,
}

/// An event on its way to one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// Zxid of the change; `None` for events made up when watches are set again.
    pub zxid: Option<Zxid>,
    /// What happened.
    pub event: EventType,
    /// To which znode.
    pub path: Arc<str>,
}

/// Modes of addWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// Stays when it fires; sees the znode and the list of its children.
    Persistent,
    /// Stays when it fires; sees the znode and all its descendants, but no lists of children.
    PersistentRecursive,
}

/// Kinds that removeWatches and checkWatches tell apart. The numbers are ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum RemoveKind {
    /// Child watches.
    Children = 1,
    /// Data and exist watches.
    Data = 2,
    /// Every kind.
    Any = 3,
    /// Persistent watches.
    Persistent = 4,
    /// Persistent recursive watches.
    PersistentRecursive = 5,
}

impl RemoveKind {
    /// From the number on the wire; `None` for any other.
    pub fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::PersistentRecursive,
            _ => return None,
        })
    }
}

/// Which table a registration goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchRegistration {
    /// By getData or exists: fires once on create, change or delete.
    Data,
    /// By getChildren: fires once on a change of the list or delete.
    Child,
    /// By addWatch, mode persistent.
    Persistent,
    /// By addWatch, mode persistent recursive.
    PersistentRecursive,
}
