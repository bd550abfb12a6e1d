//! A set of small numbers that takes no allocation for one member and a few bytes for each of
//! many: the watchers of a path, and the paths of a watcher.
//!
//! It has no order; whoever shows its members sorts what they stand for.

use alloc::boxed::Box;
use core::num::NonZeroU32;
use hashbrown::HashTable;

/// Members are told apart by their bits above the lowest `BELOW`; what stands in those belongs to
/// the member and may change.
///
/// Invariant: `only` and `many` do not both have members, and `many` is never empty.
#[derive(Debug, Default)]
pub(super) struct Bag<const BELOW: u32> {
    /// A count that the owner keeps here, where it takes no room.
    pub(super) count: u32,
    only: Option<NonZeroU32>,
    many: Option<Box<HashTable<NonZeroU32>>>,
}

const _: () = assert!(size_of::<Bag<0>>() == 16);

/// A set with fewer places gives none of them back.
const PLACES_KEPT: usize = 32;
/// How many times more places than members a set may have before it gives some back.
const SPARSE: usize = 8;

impl<const BELOW: u32> Bag<BELOW> {
    pub(super) fn is_empty(&self) -> bool {
        self.only.is_none() && self.many.is_none()
    }

    /// The member with this key.
    pub(super) fn find(&self, key: u32) -> Option<NonZeroU32> {
        let many = || self.many.as_ref()?.find(hash(key), |one| Self::key(*one) == key).copied();
        self.only.filter(|one| Self::key(*one) == key).or_else(many)
    }

    /// Adds a member, or puts it in the place of the one with its key; answers that one.
    pub(super) fn put(&mut self, member: NonZeroU32) -> Option<NonZeroU32> {
        let key = Self::key(member);
        if self.many.is_none() {
            match self.only {
                Some(only) if Self::key(only) != key => {
                    self.only = None;
                    let many = self.many.get_or_insert_default();
                    many.insert_unique(hash(Self::key(only)), only, Self::hash_of);
                }
                Some(_) | None => return self.only.replace(member),
            }
        }
        let many = self.many.get_or_insert_default();
        if let Some(place) = many.find_mut(hash(key), |one| Self::key(*one) == key) {
            return Some(core::mem::replace(place, member));
        }
        many.insert_unique(hash(key), member, Self::hash_of);
        None
    }

    /// Removes the member with this key and answers it.
    pub(super) fn take(&mut self, key: u32) -> Option<NonZeroU32> {
        let Some(many) = &mut self.many else {
            return self.only.take_if(|one| Self::key(*one) == key);
        };
        let place = many.find_entry(hash(key), |one| Self::key(*one) == key).ok()?;
        let (member, _) = place.remove();
        self.shrink();
        Some(member)
    }

    /// Hands out every member, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = NonZeroU32> {
        self.only.into_iter().chain(self.many.iter().flat_map(|many| many.iter().copied()))
    }

    /// Replaces every member by what `change` makes of it, which has the same key, or removes it.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(NonZeroU32) -> Option<NonZeroU32>) {
        self.only = self.only.and_then(&mut change);
        if let Some(many) = &mut self.many {
            many.retain(|member| change(*member).inspect(|changed| *member = *changed).is_some());
            self.shrink();
        }
    }

    /// Gives back what is far too large for the members that are left.
    fn shrink(&mut self) {
        let Some(many) = &mut self.many else { return };
        if many.is_empty() {
            self.many = None;
        } else if many.capacity() > PLACES_KEPT && many.len() < many.capacity() / SPARSE {
            many.shrink_to(many.len() * 2, Self::hash_of);
        }
    }

    fn key(member: NonZeroU32) -> u32 {
        member.get() >> BELOW
    }

    fn hash_of(member: &NonZeroU32) -> u64 {
        hash(Self::key(*member))
    }
}

/// Spreads keys, which are given out in turn by the table itself: no client chooses them.
fn hash(key: u32) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let product = u64::from(key).wrapping_add(1).wrapping_mul(ODD);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Pairs = Bag<4>;

    fn member(key: u32, below: u32) -> NonZeroU32 {
        NonZeroU32::new((key << 4) | below).expect("the lower bits are never 0 here")
    }

    fn sorted<const BELOW: u32>(bag: &Bag<BELOW>) -> std::vec::Vec<NonZeroU32> {
        let mut members: std::vec::Vec<_> = bag.iter().collect();
        members.sort_unstable();
        members
    }

    #[test]
    fn one_member_takes_no_allocation() {
        let mut bag = Pairs::default();
        assert!(bag.is_empty());
        assert_eq!(bag.put(member(7, 1)), None);
        assert_eq!(bag.put(member(7, 2)), Some(member(7, 1)));
        assert!(bag.many.is_none());
        assert_eq!(bag.take(8), None);
        assert_eq!(bag.take(7), Some(member(7, 2)));
        assert!(bag.is_empty());
    }

    #[test]
    fn what_many_members_took_is_given_back() {
        let mut bag = Pairs::default();
        for key in 0..100_000 {
            bag.put(member(key, 1));
        }
        let places = |bag: &Pairs| bag.many.as_ref().map_or(0, |many| many.capacity());
        assert!(places(&bag) < 200_000, "{}", places(&bag));
        bag.change_all(|one| Pairs::key(one).is_multiple_of(100).then_some(one));
        assert!(places(&bag) < 4_000, "{}", places(&bag));
        for key in 1..1_000 {
            bag.take(key * 100);
        }
        assert!(places(&bag) <= PLACES_KEPT, "{}", places(&bag));
        assert_eq!(sorted(&bag), [member(0, 1)]);
        bag.take(0);
        assert!(bag.is_empty() && bag.many.is_none());
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(
            acts in prop::collection::vec((0u32..4, 0u32..40, 1u32..16), 0..300),
        ) {
            let mut bag = Pairs::default();
            let mut model = BTreeMap::new();
            for (act, key, below) in acts {
                match act {
                    0 => prop_assert_eq!(bag.take(key), model.remove(&key)),
                    1 if below == 1 => {
                        let kept = |one: NonZeroU32| {
                            (!one.get().is_multiple_of(3)).then(|| member(one.get() >> 4, 15))
                        };
                        bag.change_all(kept);
                        model = model.into_values().filter_map(kept)
                            .map(|one| (one.get() >> 4, one)).collect();
                    }
                    _ => {
                        let one = member(key, below);
                        prop_assert_eq!(bag.put(one), model.insert(key, one));
                    }
                }
                prop_assert_eq!(bag.find(key), model.get(&key).copied());
                prop_assert_eq!(bag.is_empty(), model.is_empty());
            }
            prop_assert_eq!(sorted(&bag), model.into_values().collect::<std::vec::Vec<_>>());
        }
    }
}
