//! A small generator of random numbers: enough to spread things, no more.

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 on, below `bound`; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number from 0 on, below 1.
    pub(crate) fn share(&mut self) -> f64 {
        const STEPS: u64 = 1 << 53;
        #[allow(clippy::cast_precision_loss, reason = "exact up to 2^53")]
        {
            self.below(STEPS) as f64 / STEPS as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_their_bounds_and_are_spread() {
        let mut random = Random::new(1);
        let mut sum = 0.0;
        for _ in 0..1000 {
            let share = random.share();
            assert!((0.0..1.0).contains(&share));
            assert!(random.below(7) < 7);
            sum += share;
        }
        assert!((400.0..600.0).contains(&sum), "about the half: {sum}");
        assert_eq!(random.below(0), 0);
    }
}
