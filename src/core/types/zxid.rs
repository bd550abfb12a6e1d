//! Positions in the one total order of writes.

use core::fmt;

/// The reign of one leader: the high half of a [`Zxid`]. Range 0 to 2^31 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch that follows this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A position in the total order: an epoch and a counter within it.
///
/// Compared as one number, so that every position of a later epoch follows every position of an
/// earlier one. Zero is "before everything".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub u64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Self = Self(0);

    /// The position with this counter in this epoch.
    pub fn new(epoch: Epoch, counter: u32) -> Self {
        Self((u64::from(epoch.0) << 32) | u64::from(counter))
    }

    /// The epoch this position belongs to.
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> 32) as u32)
    }

    /// The place within the epoch; 0 belongs to the epoch's announcement.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next position of the same epoch, or `None` when the counter is used up.
    pub fn next(self) -> Option<Self> {
        (self.counter() != u32::MAX).then(|| Self(self.0 + 1))
    }

    /// As the signed 64-bit number clients see.
    pub fn to_wire(self) -> i64 {
        self.0 as i64
    }

    /// From the signed 64-bit number clients send.
    pub fn from_wire(value: i64) -> Self {
        Self(value as u64)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
