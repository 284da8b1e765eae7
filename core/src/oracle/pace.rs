//! How fast wanted weights become weights. Six blocks give a hash rate to about 40 %: what is wanted is smoothed over six
//! hours, small differences change nothing, and no hour brings more than ten points.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::balance::percent;

/// Time constant of the smoothing, in ms.
const SMOOTHING: u64 = 6 * 3_600_000;
/// A smaller difference, in percentage points, is not worth to begin a change.
const HYSTERESIS: u8 = 4;
/// Most percentage points in any hour.
const AN_HOUR: u8 = 10;
/// In ms.
const HOUR: u64 = 3_600_000;

/// The first chain's share on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// What is wanted, smoothed, in parts per million; and of when, in ms.
    smooth: (u32, u64),
    /// In force, in percent.
    at: u8,
    /// Points that were moved within the last hour, and when. Each is one at least, so there are ten at most.
    steps: Vec<(u64, u8)>,
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
        Pace { smooth: (u32::from(percent) * 10_000, now_ms), at: percent, steps: Vec::new(), moving: false }
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
        self.steps.retain(|(when, _)| when + HOUR > now_ms);
        let moved: u32 = self.steps.iter().map(|(_, points)| u32::from(*points)).sum();
        let left = u8::try_from(u32::from(AN_HOUR).saturating_sub(moved)).unwrap_or(0);
        let target = percent(smooth);
        let distance = target.abs_diff(at);
        let step = distance.min(left);
        self.moving = distance >= HYSTERESIS || self.moving && distance > 1;
        if !self.moving || step == 0 {
            return Moved::Stays;
        }
        self.steps.push((now_ms, step));
        let to = if target > at { at + step } else { at - step };
        self.at = to;
        Moved::To { from: at, to, limited: step < distance }
    }

    /// Goes on from this share, in percent: the one in force after a restart.
    pub(crate) fn go_on_at(&mut self, percent: u8) {
        self.at = percent;
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
        let mut seen = Vec::new();
        // Wanted so strongly that ten points are due at once, and then ten more.
        for minute in 0..36 * 60u64 {
            let now = minute * 60_000;
            pace.want(if minute < 120 { 0 } else { 300_000 }, now);
            seen.push(pace.at());
        }
        let at = pace.at();
        assert!(at.abs_diff(30) <= 1, "{at}");
        for hour in seen.windows(60) {
            let moved: u8 = hour.windows(2).map(|pair| pair[0].abs_diff(pair[1])).sum();
            assert!(moved <= 10, "{moved} points in an hour");
        }
    }

    #[test]
    fn ten_at_once_and_no_more_in_the_hour() {
        let mut pace = Pace::starting_at(50, 0);
        pace.want(0, 6 * HOUR);
        assert_eq!(pace.at(), 40);
        for minute in 1..60 {
            pace.want(0, 6 * HOUR + minute * 60_000);
            assert_eq!(pace.at(), 40);
        }
        pace.want(0, 7 * HOUR);
        assert_eq!(pace.at(), 30);
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
