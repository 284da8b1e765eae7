//! I6: the work of each miner stays within the band of DESIGN.md §5 in every window. A window's error is the difference of
//! two readings of one number, so it is enough to keep the lowest and the highest reading.

/// What the weights ask for while they hold: shares of work between two pools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::world) struct Rule {
    /// The weight of pool 1.
    pub(in crate::world) weight: f64,
    /// Seconds on the pool with the smaller weight.
    pub(in crate::world) dwell: f64,
}

impl Rule {
    /// The height of the band in seconds of hashing.
    pub(in crate::world) fn band(&self) -> f64 {
        let w = self.weight.min(1.0 - self.weight);
        if w == 0.0 { 0.0 } else { self.dwell * (1.0 - w) }
    }
}

/// One miner's readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::world) struct Split {
    reading: f64,
    lowest: f64,
    highest: f64,
    /// Seconds that were read.
    pub(in crate::world) seconds: f64,
    /// It was interrupted: nothing follows from it.
    pub(in crate::world) spoilt: bool,
}

impl Split {
    /// So many seconds of work for a pool that accepts this part of it.
    pub(in crate::world) fn worked(&mut self, rule: &Rule, pool: Option<usize>, seconds: f64, acceptance: &[f64]) {
        self.seconds += seconds;
        let Some(pool) = pool else { return };
        let accepted = acceptance.get(pool).copied().unwrap_or(1.0);
        let towards = if pool == 1 { 1.0 - rule.weight } else { -rule.weight };
        self.reading += seconds * towards * accepted;
        self.lowest = self.lowest.min(self.reading);
        self.highest = self.highest.max(self.reading);
    }

    /// The largest error of any window, in seconds of hashing, beyond the bound; none if all is well. The slack is for
    /// the wire (a switch takes effect when its job arrives) and for what the proxy's idea of acceptance may differ: more
    /// where pools refuse more.
    pub(in crate::world) fn breach(&self, rule: &Rule, acceptance: &[f64]) -> Option<(f64, f64)> {
        let error = self.highest - self.lowest;
        let refused = 1.0 - acceptance.iter().copied().fold(1.0, f64::min);
        let bound = rule.band() + 2.0 + (0.01 + 0.3 * refused) * self.seconds;
        (!self.spoilt && error > bound).then_some((error, bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dwells_within_the_band_pass_and_longer_ones_do_not() {
        let rule = Rule { weight: 0.25, dwell: 20.0 };
        let run = |dwell: f64| {
            let mut split = Split::default();
            for _ in 0..5 {
                split.worked(&rule, Some(1), dwell, &[1.0, 1.0]);
                split.worked(&rule, Some(0), dwell * 3.0, &[1.0, 1.0]);
            }
            split.breach(&rule, &[1.0, 1.0]).is_some()
        };
        assert!(!run(20.0));
        assert!(run(90.0));
        let mut all_wrong = Split::default();
        all_wrong.worked(&rule, Some(0), 600.0, &[1.0, 1.0]);
        assert!(all_wrong.breach(&rule, &[1.0, 1.0]).is_some());
    }
}
