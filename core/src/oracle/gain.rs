//! What moving the weights was worth, told from the same data: how many blocks our hashes could expect, against the
//! configured weights, if a block of each chain pays for the hashes that it usually takes.
//!
//! Where a chain's difficulty stays, moving weights gains nothing there: hashes find blocks by difficulty, and not by what
//! others do.

use serde::{Deserialize, Serialize};

/// Sums over the time that was measured. Unit: milliseconds × parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gain {
    /// Measured time in milliseconds.
    pub millis: u64,
    /// What the moved weights could expect.
    pub moved: u128,
    /// What the configured weights could expect.
    pub fixed: u128,
}

impl Gain {
    /// So much time at these shares of the first chain (parts per million) while a hash was worth this much on each chain
    /// (parts per million of usual).
    pub(crate) fn add(&mut self, millis: u64, moved_share: u32, fixed_share: u32, worth: [u64; 2]) {
        let sum = |first: u32| {
            let first = u128::from(first.min(1_000_000));
            (first * u128::from(worth[0]) + (1_000_000 - first) * u128::from(worth[1])) / 1_000_000
        };
        self.millis = self.millis.saturating_add(millis);
        self.moved = self.moved.saturating_add(sum(moved_share) * u128::from(millis));
        self.fixed = self.fixed.saturating_add(sum(fixed_share) * u128::from(millis));
    }

    /// More (or less) than the configured weights would have brought, in parts per million. None before anything was
    /// measured.
    pub fn ppm(&self) -> Option<i64> {
        let fixed = i128::try_from(self.fixed).ok().filter(|fixed| *fixed > 0)?;
        let moved = i128::try_from(self.moved).ok()?;
        i64::try_from((moved - fixed).saturating_mul(1_000_000) / fixed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_follows_difficulty_alone() {
        let mut gain = Gain::default();
        assert_eq!(gain.ppm(), None);
        gain.add(1000, 300_000, 500_000, [1_000_000, 1_000_000]);
        assert_eq!(gain.ppm(), Some(0), "equal worth: no gain by moving");
        // The second chain is a tenth easier than usual, and has 70 % instead of 50 %.
        let mut gain = Gain::default();
        gain.add(1000, 300_000, 500_000, [1_000_000, 1_100_000]);
        assert_eq!(gain.ppm(), Some(19_047));
    }
}
