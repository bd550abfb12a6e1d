//! The kinds of watch one connection holds on one path, and which change concerns which kind.

use crate::types::{EventType, RemoveKind, WatchRegistration};

/// A set of watch kinds, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    const DATA: Self = Self(1);
    const CHILD: Self = Self(2);
    const PERSISTENT: Self = Self(4);
    const RECURSIVE: Self = Self(8);
    const ALL: Self = Self(15);
    /// How many bits a set of kinds takes.
    pub(super) const BITS: u32 = 4;

    /// As a number of so many bits.
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// What the lowest bits of a number say.
    pub(super) fn of_bits(number: u32) -> Self {
        Self(number as u8 & Self::ALL.0)
    }

    pub(super) fn of(registration: WatchRegistration) -> Self {
        match registration {
            WatchRegistration::Data => Self::DATA,
            WatchRegistration::Child => Self::CHILD,
            WatchRegistration::Persistent => Self::PERSISTENT,
            WatchRegistration::PersistentRecursive => Self::RECURSIVE,
        }
    }

    /// What removeWatches and checkWatches mean by a kind.
    pub(super) fn removable(kind: RemoveKind) -> Self {
        match kind {
            RemoveKind::Children => Self::CHILD,
            RemoveKind::Data => Self::DATA,
            RemoveKind::Any => Self::ALL,
            RemoveKind::Persistent => Self::PERSISTENT,
            RemoveKind::PersistentRecursive => Self::RECURSIVE,
        }
    }

    /// Kinds that an event of their own path concerns.
    pub(super) fn told_of(event: EventType) -> Self {
        match event {
            EventType::Created | EventType::DataChanged => {
                Self::DATA.with(Self::PERSISTENT).with(Self::RECURSIVE)
            }
            EventType::Deleted => Self::ALL,
            // A recursive watch is told of the child itself, never of its parent's list.
            EventType::ChildrenChanged => Self::CHILD.with(Self::PERSISTENT),
        }
    }

    /// Kinds that an event of a descendant concerns.
    pub(super) fn told_of_descendant(event: EventType) -> Self {
        match event {
            EventType::Created | EventType::DataChanged | EventType::Deleted => Self::RECURSIVE,
            EventType::ChildrenChanged => Self::NONE,
        }
    }

    /// Kinds that are used up by an event of their own path.
    pub(super) fn spent_by(event: EventType) -> Self {
        match event {
            EventType::Created | EventType::DataChanged => Self::DATA,
            EventType::Deleted => Self::DATA.with(Self::CHILD),
            EventType::ChildrenChanged => Self::CHILD,
        }
    }

    pub(super) fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    pub(super) fn without(self, less: Self) -> Self {
        Self(self.0 & !less.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether ZooKeeper would keep an entry in its data table.
    pub(super) fn in_data_table(self) -> bool {
        self.meets(Self::DATA.with(Self::PERSISTENT).with(Self::RECURSIVE))
    }

    /// Whether ZooKeeper would keep an entry in its child table.
    pub(super) fn in_child_table(self) -> bool {
        self.meets(Self::CHILD.with(Self::PERSISTENT))
    }

    pub(super) fn is_recursive(self) -> bool {
        self.meets(Self::RECURSIVE)
    }
}
