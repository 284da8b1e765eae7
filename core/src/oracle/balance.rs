//! The formula: hash rate = hashes that the blocks took / time; ratio = short window / long window; a chain's weight is in
//! inverse proportion to its ratio; clamped to half plus or minus the deviation; whole percents. As DPMP v2.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::config::{WEIGHT_SUM, normalise};

/// Thousandths of hashes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HashRate(pub u128);

impl HashRate {
    /// So many hashes in so many milliseconds; none in no time.
    pub(crate) fn of(hashes: u128, millis: u64) -> Option<HashRate> {
        (millis > 0).then(|| HashRate(hashes.saturating_mul(1_000_000) / u128::from(millis)))
    }

    /// Hashes a second, for display and metrics.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    fn times_ppm(self, ppm: u64) -> HashRate {
        HashRate(self.0 / 1_000_000 * u128::from(ppm) + self.0 % 1_000_000 * u128::from(ppm) / 1_000_000)
    }
}

/// Between these two the true value lies in 95 of 100 cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: HashRate,
    /// Upper end.
    pub high: HashRate,
}

impl Interval {
    /// Of a rate that was measured as the time of `blocks` blocks. That time is Gamma distributed; the quantiles of chi
    /// squared with 2·blocks degrees are those of Wilson and Hilferty (1931), right to one percent from 3 blocks on.
    pub(crate) fn around(rate: HashRate, blocks: u32) -> Interval {
        let n = u64::from(blocks.max(1));
        let base = 1_000_000 - 1_000_000 / (9 * n);
        // 1.96 / (3·√n), the root taken of n·10^12.
        let half = 1_960_000 * 1_000_000 / (3 * (n * 1_000_000_000_000).isqrt());
        let cube = |x: u64| x * x / 1_000_000 * x / 1_000_000;
        Interval { low: rate.times_ppm(cube(base.saturating_sub(half))), high: rate.times_ppm(cube(base + half)) }
    }

    /// True if the value lies outside.
    pub fn excludes(&self, rate: HashRate) -> bool {
        rate < self.low || rate > self.high
    }
}

/// A chain's hash rate as one source has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Over the last 6 blocks, or what the server calls short.
    pub short: HashRate,
    /// Over the last 72 blocks, or what the server calls long.
    pub long: HashRate,
    /// Of `short`; none when the source does not tell how many blocks it is of.
    pub short_interval: Option<Interval>,
    /// Of `long`.
    pub long_interval: Option<Interval>,
}

impl Reading {
    /// Short over long, parts per million; at most a thousand.
    pub fn ratio_ppm(&self) -> u64 {
        let ratio = self.short.0.saturating_mul(1_000_000) / self.long.0.max(1);
        u64::try_from(ratio).unwrap_or(u64::MAX).clamp(1_000, 1_000_000_000)
    }

    /// Another source's rates lie outside of what the blocks behind these allow.
    pub fn contradicts(&self, other: &Reading) -> bool {
        let outside = |interval: Option<Interval>, rate| interval.is_some_and(|i| i.excludes(rate));
        outside(self.short_interval, other.short) || outside(self.long_interval, other.long)
    }
}

/// The first chain's share of work, parts per million, before rounding: inverse to the ratios, within half ± `deviation`
/// percent.
pub(crate) fn wanted_ppm(ratios_ppm: [u64; 2], deviation: u8) -> u32 {
    let [first, second] = ratios_ppm.map(u128::from);
    let share = second * u128::from(WEIGHT_SUM) / (first + second).max(1);
    let most = u32::from(deviation.min(50)) * 10_000;
    u32::try_from(share).unwrap_or(WEIGHT_SUM).clamp(WEIGHT_SUM / 2 - most, WEIGHT_SUM / 2 + most)
}

/// In whole percent, halves up.
pub(crate) fn percent(ppm: u32) -> u8 {
    ((ppm + 5_000) / 10_000) as u8
}

/// The pools of two chains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sides {
    /// By pool: on the first chain, on the second, or neither.
    pub(crate) of: Vec<Option<bool>>,
    /// The weights that divide each side among its pools.
    pub(crate) configured: Vec<u32>,
}

impl Sides {
    /// All weights when the first chain is to have this many percent. None if a side has no pool with weight.
    pub(crate) fn weights(&self, first_percent: u8) -> Option<Vec<u32>> {
        let sum = |second: bool| -> u128 {
            let on = self.of.iter().zip(&self.configured).filter(|(side, _)| **side == Some(second));
            on.map(|(_, weight)| u128::from(*weight)).sum()
        };
        let sums = [sum(false), sum(true)];
        if sums.contains(&0) {
            return None;
        }
        let percent = [u128::from(first_percent.min(100)), 100 - u128::from(first_percent.min(100))];
        let share = |side: &Option<bool>, weight: &u32| match side {
            // Both sides over one denominator, so that nothing is lost before the rounding.
            Some(second) => {
                let (own, other) = (usize::from(*second), usize::from(!*second));
                percent[own] * u128::from(*weight) * sums[other]
            }
            None => 0,
        };
        let weights: Vec<u128> = self.of.iter().zip(&self.configured).map(|(side, w)| share(side, w)).collect();
        normalise(&weights)
    }

    /// The first chain's share of these weights, parts per million of both.
    pub(crate) fn first_share(&self, weights: &[u32]) -> u32 {
        let sum = |second: bool| -> u64 {
            self.of.iter().zip(weights).filter(|(s, _)| **s == Some(second)).map(|(_, w)| u64::from(*w)).sum()
        };
        let (first, second) = (sum(false), sum(true));
        (first * u64::from(WEIGHT_SUM) / (first + second).max(1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn inverse_ratio_clamped_and_rounded() {
        // Ratios 1.2 and 0.8: weights 1/1.2 and 1/0.8 are as 40 to 60.
        assert_eq!(percent(wanted_ppm([1_200_000, 800_000], 20)), 40);
        assert_eq!(percent(wanted_ppm([1_000_000, 1_000_000], 20)), 50);
        assert_eq!(percent(wanted_ppm([3_000_000, 500_000], 20)), 30);
        assert_eq!(percent(wanted_ppm([3_000_000, 500_000], 45)), 14);
        assert_eq!(percent(wanted_ppm([500_000, 3_000_000], 5)), 55);
        // 0.97 and 1.04: 51.74 %.
        assert_eq!(percent(wanted_ppm([970_000, 1_040_000], 20)), 52);
    }

    #[test]
    fn intervals_are_those_of_chi_squared() {
        // Tables: 12 degrees 4.404 and 23.337, 144 degrees 112.67 and 179.11.
        let rate = HashRate(1_000_000_000);
        let six = Interval::around(rate, 6);
        assert!((six.low.0 as i64 - 367_000_000).abs() < 4_000_000, "{six:?}");
        assert!((six.high.0 as i64 - 1_944_800_000).abs() < 4_000_000, "{six:?}");
        let long = Interval::around(rate, 72);
        assert!((long.low.0 as i64 - 782_430_000).abs() < 1_000_000, "{long:?}");
        assert!((long.high.0 as i64 - 1_243_800_000).abs() < 1_000_000, "{long:?}");
        assert!(six.excludes(HashRate(2_000_000_000)) && !six.excludes(rate));
    }

    #[test]
    fn a_side_is_divided_by_the_configured_weights() {
        let sides = Sides {
            of: vec![Some(false), Some(true), Some(false), None],
            configured: vec![300_000, 400_000, 100_000, 200_000],
        };
        assert_eq!(sides.weights(60), Some(vec![450_000, 400_000, 150_000, 0]));
        assert_eq!(sides.first_share(&[450_000, 400_000, 150_000, 0]), 600_000);
        let one = Sides { of: vec![Some(false), Some(true)], configured: vec![1_000_000, 0] };
        assert_eq!(one.weights(60), None, "a pool without weight gets none");
    }

    #[test]
    fn rates_of_real_chains_do_not_overflow() {
        // 72 blocks at 10^15 difficulty in 12 hours.
        let hashes = 72 * 1_000_000_000_000_000u128 * (1 << 32);
        let rate = HashRate::of(hashes, 12 * 3600 * 1000).expect("a time");
        assert!((rate.as_f64() / 7.158e21 - 1.0).abs() < 0.001, "{}", rate.as_f64());
        let reading = Reading { short: rate, long: rate, short_interval: None, long_interval: None };
        assert_eq!(reading.ratio_ppm(), 1_000_000);
        assert_eq!(HashRate::of(1, 0), None);
    }
}
