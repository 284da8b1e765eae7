//! How fast wanted weights become weights. Six blocks give a hash rate to about 40 %: what is wanted is smoothed over six
//! hours, small differences change nothing, and an hour brings ten points at most.

use serde::{Deserialize, Serialize};

use super::balance::percent;

/// Time constant of the smoothing, in ms.
const SMOOTHING: u64 = 6 * 3_600_000;
/// A smaller difference, in percentage points, is not worth to begin a change.
const HYSTERESIS: u8 = 4;
/// Percentage points an hour.
const AN_HOUR: u64 = 10;
/// In ms.
const HOUR: u64 = 3_600_000;

/// The first chain's share on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// What is wanted, smoothed, in parts per million; and of when, in ms.
    smooth: (u32, u64),
    /// In force, in percent.
    at: u8,
    /// Thousandths of points that may be moved now, and as of when.
    budget: (u64, u64),
    /// A change has begun, and goes on until it is there within a point.
    moving: bool,
}

/// What came of a wanted share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Nothing is to change.
    Stays,
    /// The share in percent changes.
    To {
        /// From this.
        from: u8,
        /// To this.
        to: u8,
        /// More is wanted, but not in this hour.
        limited: bool,
    },
}

impl Pace {
    /// From this share on, in percent.
    pub(crate) fn starting_at(percent: u8, now_ms: u64) -> Pace {
        Pace {
            smooth: (u32::from(percent) * 10_000, now_ms),
            at: percent,
            budget: (AN_HOUR * 1000, now_ms),
            moving: false,
        }
    }

    /// This share is wanted now, in parts per million.
    pub(crate) fn want(&mut self, wanted: u32, now_ms: u64) -> Moved {
        let (old, since) = self.smooth;
        let passed = now_ms.saturating_sub(since).min(SMOOTHING);
        let (part, whole) = (i128::from(passed), i128::from(passed + SMOOTHING));
        let step = (i128::from(wanted) - i128::from(old)) * part / whole;
        let smooth = u32::try_from(i128::from(old) + step).unwrap_or(old);
        self.smooth = (smooth, now_ms);
        let at = self.at;
        let passed = now_ms.saturating_sub(self.budget.1);
        let full = AN_HOUR * 1000;
        self.budget = ((self.budget.0 + passed.min(HOUR) * full / HOUR).min(full), now_ms);
        let target = percent(smooth);
        let distance = target.abs_diff(at);
        let step = distance.min((self.budget.0 / 1000) as u8);
        self.moving = distance >= HYSTERESIS || self.moving && distance > 1;
        if !self.moving || step == 0 {
            return Moved::Stays;
        }
        self.budget.0 -= u64::from(step) * 1000;
        let to = if target > at { at + step } else { at - step };
        self.at = to;
        Moved::To { from: at, to, limited: step < distance }
    }

    /// The share in force, in percent.
    pub(crate) fn at(&self) -> u8 {
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_change_is_followed_ten_points_an_hour() {
        let mut pace = Pace::starting_at(50, 0);
        let mut most_an_hour = 0;
        let mut before = 50;
        for hour in 0..24u64 {
            for minutes in (0..60).step_by(10) {
                pace.want(300_000, hour * HOUR + minutes * 60_000);
            }
            let at = pace.at();
            most_an_hour = most_an_hour.max(before - at);
            before = at;
        }
        assert!(before.abs_diff(30) <= 1, "{before}");
        assert!(most_an_hour <= 2 * AN_HOUR as u8, "a full budget and what comes within the hour: {most_an_hour}");
    }

    #[test]
    fn noise_hardly_moves_it() {
        let mut pace = Pace::starting_at(50, 0);
        let mut moved = 0;
        // Every ten minutes one end of the clamp or the other.
        for n in 0..6 * 24 * 7u64 {
            let wanted = if n % 2 == 0 { 300_000 } else { 700_000 };
            moved += u32::from(pace.want(wanted, n * 600_000) != Moved::Stays);
        }
        assert!(moved < 30, "{moved} changes in a week");
        let at = pace.at();
        assert!(at.abs_diff(50) <= 6, "{at}");
    }

    #[test]
    fn small_differences_change_nothing() {
        let mut pace = Pace::starting_at(50, 0);
        for n in 0..1000 {
            assert_eq!(pace.want(520_000, n * 600_000), Moved::Stays);
        }
        assert_eq!(pace.at(), 50);
    }
}
