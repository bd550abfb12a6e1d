//! What a client remembers of its watches, as ZooKeeper's clients do: so that it can set them again
//! on its next connection.

use crate::calls::{Ask, Watched};
use ostler_core::types::{ErrorCode, EventType, WatchEvent, Zxid};
use ostler_core::wire::OwnedReply;

/// See the module.
pub(super) struct Watching {
    watched: Watched,
    /// It sets them again, instead of forgetting them with their connection.
    lasts: bool,
}

impl Watching {
    pub(super) fn new(lasts: bool) -> Self {
        Self { watched: Watched::default(), lasts }
    }

    /// The session is over.
    pub(super) fn forget(&mut self) {
        self.watched = Watched::default();
    }

    /// The connection is over.
    pub(super) fn lost(&mut self) {
        if !self.lasts {
            self.forget();
        }
    }

    /// What is to be set again on a new connection, if anything is.
    pub(super) fn again(&mut self, seen: Zxid) -> Option<Watched> {
        self.watched.relative = seen;
        (!self.watched.is_empty()).then(|| self.watched.clone())
    }

    pub(super) fn answered(&mut self, ask: &Ask, reply: &OwnedReply) {
        let found = !matches!(reply, OwnedReply::Error(_));
        let is_missing = *reply == OwnedReply::Error(ErrorCode::NoNode);
        let watched = &mut self.watched;
        let new = match ask {
            Ask::Get { path, watch: true } | Ask::Exists { path, watch: true } if found => {
                (path, &mut watched.data)
            }
            Ask::Exists { path, watch: true } if is_missing => (path, &mut watched.exist),
            Ask::Children { path, watch: true } if found => (path, &mut watched.child),
            Ask::AddWatch { path, recursive: true } => (path, &mut watched.recursive),
            Ask::AddWatch { path, recursive: false } => (path, &mut watched.persistent),
            _ => return,
        };
        new.1.insert(new.0.clone());
    }

    /// An event spends watches that fire once.
    pub(super) fn told(&mut self, event: &WatchEvent) {
        let path = &*event.path;
        if event.event != EventType::ChildrenChanged {
            self.watched.data.remove(path);
            self.watched.exist.remove(path);
        }
        if matches!(event.event, EventType::ChildrenChanged | EventType::Deleted) {
            self.watched.child.remove(path);
        }
    }
}
