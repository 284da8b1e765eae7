//! The shares of work that were asked for, over time: what a measured split is compared with.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::runs::Runs;
use super::window::Window;
use crate::config::MAX_POOLS;
use crate::time::Time;

/// Changes that are remembered; beyond, the two oldest become one with their mean.
const MOST: usize = 256;

/// One weight a slot, parts per million.
pub type Weights = [u32; MAX_POOLS];

/// The changes of the last day, oldest first, each with the time from which it held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets(Vec<(Time, Weights)>);

impl Targets {
    /// From now on these hold.
    pub(crate) fn set(&mut self, now: Time, weights: &[u32]) {
        let mut all = Weights::default();
        for (to, from) in all.iter_mut().zip(weights) {
            *to = *from;
        }
        if self.0.last().is_some_and(|(_, last)| *last == all) {
            return;
        }
        let oldest = Window::Day.from(now);
        while self.0.len() > 1 && self.0[1].0 <= oldest {
            self.0.remove(0);
        }
        if self.0.len() >= MOST {
            let ((a, first), (b, second), c) = (self.0[0], self.0[1], self.0[2].0);
            let (x, y) = (b.since(a).0, c.since(b).0);
            let mut mean = Weights::default();
            for (slot, to) in mean.iter_mut().enumerate() {
                *to = weighted([(first[slot], x), (second[slot], y)].into_iter()).unwrap_or(second[slot]);
            }
            self.0.remove(0);
            self.0[0] = (a, mean);
        }
        self.0.push((now, all));
    }

    /// What holds now.
    pub fn now(&self) -> Weights {
        self.0.last().map(|(_, weights)| *weights).unwrap_or_default()
    }

    /// The mean since then over the time in which the proxy ran; what holds now if it did not.
    pub fn mean(&self, from: Time, runs: &Runs) -> Weights {
        let mut mean = self.now();
        for (slot, to) in mean.iter_mut().enumerate() {
            let pieces = self.0.iter().enumerate().flat_map(|(i, (start, weights))| {
                // What held before the first change that is remembered is not known: its own weights are taken.
                let start = if i == 0 { from } else { (*start).max(from) };
                let end = self.0.get(i + 1).map_or(Time(u64::MAX), |(next, _)| *next);
                let spans = runs.within(start).map(move |(a, b)| b.min(end).since(a).0);
                spans.map(|span| (weights[slot], span))
            });
            if let Some(value) = weighted(pieces) {
                *to = value;
            }
        }
        mean
    }
}

/// The mean by time, rounded to the nearest; none of no time.
fn weighted(pieces: impl Iterator<Item = (u32, u64)>) -> Option<u32> {
    let (mut sum, mut time) = (0u128, 0u128);
    for (weight, span) in pieces {
        sum += u128::from(weight) * u128::from(span);
        time += u128::from(span);
    }
    (time > 0).then(|| u32::try_from((sum + time / 2) / time).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::secs(secs)
    }

    #[test]
    fn a_change_counts_by_its_time() {
        let (mut runs, mut targets) = (Runs::default(), Targets::default());
        runs.begin(at(0));
        targets.set(at(0), &[500_000, 500_000]);
        targets.set(at(100), &[900_000, 100_000]);
        runs.reaches(at(400));
        assert_eq!(targets.mean(at(0), &runs)[..2], [800_000, 200_000]);
        assert_eq!(targets.mean(at(200), &runs)[..2], [900_000, 100_000]);
        assert_eq!(targets.mean(at(500), &runs), targets.now());
        // A night without the proxy asks for nothing.
        runs.begin(at(50_000));
        runs.reaches(at(50_001));
        assert_eq!(targets.mean(at(0), &runs)[0], 800_249);
    }

    #[test]
    fn a_slider_that_never_rests_is_bounded() {
        let (mut runs, mut targets) = (Runs::default(), Targets::default());
        runs.begin(at(0));
        for n in 0..10_000 {
            let a = if n % 2 == 0 { 400_000 } else { 600_000 };
            targets.set(at(n), &[a, 1_000_000 - a]);
        }
        runs.reaches(at(10_000));
        assert!(targets.0.len() <= MOST);
        let mean = targets.mean(at(0), &runs)[0];
        assert!(mean.abs_diff(500_000) < 2_000, "{mean}");
    }
}
