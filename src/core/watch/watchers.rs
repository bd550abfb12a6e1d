//! The watchers of one path, small for one and quick for a hundred thousand.

use super::kinds::Kinds;
use crate::types::ConnectionId;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// Connections and what they watch. Most paths have one watcher, which needs no allocation.
///
/// Invariant: no connection stands here with an empty set of kinds.
#[derive(Debug, Default)]
pub(super) enum Watchers {
    #[default]
    Nobody,
    One(ConnectionId, Kinds),
    #[expect(clippy::box_collection, reason = "keeps the common case, one watcher, at 16 bytes")]
    Many(Box<BTreeMap<ConnectionId, Kinds>>),
}

const _: () = assert!(size_of::<Watchers>() <= 16);

impl Watchers {
    /// Adds kinds for a connection; answers what it held before.
    pub(super) fn add(&mut self, connection: ConnectionId, kinds: Kinds) -> Kinds {
        match self {
            Self::Nobody => {
                *self = Self::One(connection, kinds);
                Kinds::NONE
            }
            Self::One(only, held) if *only == connection => {
                let before = *held;
                *held = before.with(kinds);
                before
            }
            Self::One(only, held) => {
                let both = [(*only, *held), (connection, kinds)];
                *self = Self::Many(Box::new(BTreeMap::from(both)));
                Kinds::NONE
            }
            Self::Many(all) => {
                let held = all.entry(connection).or_default();
                let before = *held;
                *held = before.with(kinds);
                before
            }
        }
    }

    /// Replaces every watcher's kinds by what `change` makes of them, in order of connection.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(ConnectionId, Kinds) -> Kinds) {
        let empty = match self {
            Self::Nobody => true,
            Self::One(connection, kinds) => {
                *kinds = change(*connection, *kinds);
                kinds.is_empty()
            }
            Self::Many(all) => {
                all.retain(|connection, kinds| {
                    *kinds = change(*connection, *kinds);
                    !kinds.is_empty()
                });
                all.is_empty()
            }
        };
        if empty {
            *self = Self::Nobody;
        }
    }

    /// Takes kinds from one connection; answers what it held before.
    pub(super) fn remove(&mut self, connection: ConnectionId, kinds: Kinds) -> Kinds {
        let before = self.kinds(connection);
        let after = before.without(kinds);
        let empty = match self {
            Self::Nobody => true,
            Self::One(only, held) if *only == connection => {
                *held = after;
                after.is_empty()
            }
            Self::One(..) => false,
            Self::Many(all) if after.is_empty() => {
                all.remove(&connection);
                all.is_empty()
            }
            Self::Many(all) => {
                all.insert(connection, after);
                false
            }
        };
        if empty {
            *self = Self::Nobody;
        }
        before
    }

    /// What a connection holds here.
    pub(super) fn kinds(&self, connection: ConnectionId) -> Kinds {
        match self {
            Self::One(only, kinds) if *only == connection => *kinds,
            Self::Nobody | Self::One(..) => Kinds::NONE,
            Self::Many(all) => all.get(&connection).copied().unwrap_or(Kinds::NONE),
        }
    }

    /// Hands out every watcher, in order of connection.
    pub(super) fn each(&self, mut each: impl FnMut(ConnectionId, Kinds)) {
        match self {
            Self::Nobody => {}
            Self::One(connection, kinds) => each(*connection, *kinds),
            Self::Many(all) => all.iter().for_each(|(connection, kinds)| each(*connection, *kinds)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Nobody)
    }
}
