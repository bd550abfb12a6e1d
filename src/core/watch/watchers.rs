//! The watchers of one path: four bytes for each, and no allocation for one.

use super::bag::Bag;
use super::holders::HolderId;
use super::kinds::Kinds;
use core::num::NonZeroU32;

/// Connections, by their places among the holders, and what they watch.
///
/// Invariants: nobody stands here with an empty set of kinds; the count of `all` is how many
/// stand in ZooKeeper's data table.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: Bag<{ Kinds::BITS }>,
}

impl Watchers {
    /// Lets one watcher hold exactly this; answers what it held before.
    pub(super) fn set(&mut self, holder: HolderId, kinds: Kinds) -> Kinds {
        let before = match member(holder, kinds) {
            Some(member) => self.all.put(member),
            None => self.all.take(holder.number()),
        };
        let before = before.map_or(Kinds::NONE, |member| parts(member).1);
        self.count(before, kinds);
        before
    }

    /// Replaces every watcher's kinds by what `change` makes of them, in no order that means
    /// anything.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(HolderId, Kinds) -> Kinds) {
        let mut count = self.all.count;
        self.all.change_all(|one| {
            let (holder, before) = parts(one);
            let after = change(holder, before);
            count -= u32::from(before.in_data_table());
            count += u32::from(after.in_data_table());
            member(holder, after)
        });
        self.all.count = count;
    }

    /// What a watcher holds here.
    pub(super) fn kinds(&self, holder: HolderId) -> Kinds {
        self.all.find(holder.number()).map_or(Kinds::NONE, |member| parts(member).1)
    }

    /// Every watcher, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (HolderId, Kinds)> {
        self.all.iter().map(parts)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether ZooKeeper would list the path in its data table.
    pub(super) fn in_data_table(&self) -> bool {
        self.all.count > 0
    }

    fn count(&mut self, before: Kinds, after: Kinds) {
        self.all.count -= u32::from(before.in_data_table());
        self.all.count += u32::from(after.in_data_table());
    }
}

/// None if there are no kinds.
fn member(holder: HolderId, kinds: Kinds) -> Option<NonZeroU32> {
    let kinds = NonZeroU32::new(kinds.bits())?;
    Some(kinds | (holder.number() << Kinds::BITS))
}

fn parts(member: NonZeroU32) -> (HolderId, Kinds) {
    (HolderId::numbered(member.get() >> Kinds::BITS), Kinds::of_bits(member.get()))
}
