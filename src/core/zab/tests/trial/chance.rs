//! Numbers that look random and are the same every time.

/// Numbers that look random and are the same every time.
pub(in crate::zab) struct Chance(pub(in crate::zab) u64);

impl Chance {
    pub(in crate::zab) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(in crate::zab) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(in crate::zab) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}
