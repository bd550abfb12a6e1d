//! What a client is told without asking: changes of its session, and watch events.
//!
//! The names and their spelling are ZooKeeper's, because users grep for them.

use super::ClientError;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// No connection yet, or none at the moment; the client looks for a server by itself.
    Disconnected,
    /// Attached to a server.
    SyncConnected,
    /// Attached to a server that serves reads only.
    ConnectedReadOnly,
    /// A proof of identity was refused. Final.
    AuthFailed,
    /// The servers gave the session up; its ephemerals are gone. Final.
    Expired,
    /// Ended by [`Client::close`](super::Client::close). Final.
    Closed,
}

impl SessionState {
    /// Whether nothing can be asked any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::AuthFailed | Self::Expired | Self::Closed)
    }

    /// Whether a server can be asked now.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::SyncConnected | Self::ConnectedReadOnly)
    }

    /// ZooKeeper's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "Disconnected",
            Self::SyncConnected => "SyncConnected",
            Self::ConnectedReadOnly => "ConnectedReadOnly",
            Self::AuthFailed => "AuthFailed",
            Self::Expired => "Expired",
            Self::Closed => "Closed",
        }
    }

    /// The error of a request that can no longer be sent in this state.
    pub(crate) fn error(self) -> ClientError {
        match self {
            Self::AuthFailed => ClientError::AuthFailed,
            Self::Expired | Self::Closed => ClientError::SessionExpired,
            Self::Disconnected | Self::SyncConnected | Self::ConnectedReadOnly => {
                ClientError::ConnectionLoss
            }
        }
    }
}

/// What happened to a znode, or to a watch of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The znode was created.
    NodeCreated,
    /// The znode was deleted.
    NodeDeleted,
    /// Its data was replaced.
    NodeDataChanged,
    /// A child was created or deleted.
    NodeChildrenChanged,
    /// The data watch was removed by this client.
    DataWatchRemoved,
    /// The child watch was removed by this client.
    ChildWatchRemoved,
    /// The persistent watch was removed by this client.
    PersistentWatchRemoved,
    /// The connection was lost and found again: a persistent watch is in force again, but
    /// changes in between were not reported to it.
    Resumed,
}

impl EventKind {
    /// ZooKeeper's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeCreated => "NodeCreated",
            Self::NodeDeleted => "NodeDeleted",
            Self::NodeDataChanged => "NodeDataChanged",
            Self::NodeChildrenChanged => "NodeChildrenChanged",
            Self::DataWatchRemoved => "DataWatchRemoved",
            Self::ChildWatchRemoved => "ChildWatchRemoved",
            Self::PersistentWatchRemoved => "PersistentWatchRemoved",
            Self::Resumed => "None",
        }
    }
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub kind: EventKind,
    /// To which znode, seen from the chroot.
    pub path: Arc<str>,
    /// Zxid of the change; -1 where the server does not tell it.
    pub zxid: i64,
}

/// The events of one watch, in the order of the changes.
///
/// A one-time watch yields one event and ends. A persistent one goes on until it is removed or
/// the session ends; then the stream ends. Dropping it ends the interest. Nothing is lost between
/// two calls: events wait here without a bound, so a stream that is kept must be read.
#[derive(Debug)]
pub struct Watch {
    pub(crate) events: UnboundedReceiver<WatchedEvent>,
}

impl Watch {
    /// Waits for the next event; `None` when there will be no more. May be cancelled safely.
    pub async fn next(&mut self) -> Option<WatchedEvent> {
        self.events.recv().await
    }

    /// The next event if it is already there.
    pub fn try_next(&mut self) -> Option<WatchedEvent> {
        self.events.try_recv().ok()
    }
}

/// The states a session goes through, from the moment the stream was asked for; it ends behind a
/// final one.
#[derive(Debug)]
pub struct SessionEvents {
    pub(crate) states: UnboundedReceiver<SessionState>,
}

impl SessionEvents {
    /// Waits for the next state; `None` behind a final one. May be cancelled safely.
    pub async fn next(&mut self) -> Option<SessionState> {
        self.states.recv().await
    }
}
