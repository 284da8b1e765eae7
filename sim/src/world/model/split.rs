//! I6: the work of each miner, and of all together, stays within the band of DESIGN.md §5 in every window. A window's error
//! is the difference of two readings of one number, so it is enough to keep the lowest and the highest reading of each pool.

/// What the weights ask for while they hold.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::world) struct Rule {
    /// Shares of work, in sum 1.
    weights: Vec<f64>,
    /// The height of the band in seconds of hashing.
    band: f64,
}

impl Rule {
    /// The rule of weights in parts per million, and dwells in seconds.
    pub(in crate::world) fn new(weights: &[u32], min_switch: f64, slice: f64) -> Rule {
        let sum: f64 = weights.iter().map(|w| f64::from(*w)).sum();
        let weights: Vec<f64> = weights.iter().map(|w| f64::from(*w) / sum.max(1.0)).collect();
        let in_use: Vec<f64> = weights.iter().copied().filter(|w| *w > 0.0).collect();
        let band = match in_use[..] {
            [a, b] => {
                let minor = a.min(b);
                (min_switch * 2.0 * minor).clamp(slice.min(min_switch), min_switch).max(1.0) * (1.0 - minor)
            }
            [_, _, _, ..] => min_switch.max(1.0) * 2.0 * (1.0 - 1.0 / (2.0 * in_use.len() as f64 - 2.0)),
            _ => 0.0,
        };
        Rule { weights, band }
    }

    /// The smallest share of work that is one.
    pub(in crate::world) fn least(&self) -> f64 {
        self.weights.iter().copied().filter(|w| *w > 0.0).fold(1.0, f64::min)
    }

    /// For people.
    pub(in crate::world) fn words(&self) -> String {
        let parts: Vec<String> = self.weights.iter().map(|w| format!("{:.0}", w * 100.0)).collect();
        parts.join(":")
    }
}

/// The readings of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reading {
    now: f64,
    lowest: f64,
    highest: f64,
}

impl Reading {
    fn set(&mut self, now: f64) {
        self.now = now;
        self.lowest = self.lowest.min(now);
        self.highest = self.highest.max(now);
    }
}

/// One miner's readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::world) struct Split {
    pools: Vec<Reading>,
    /// Seconds that were read.
    pub(in crate::world) seconds: f64,
    /// Of them so many for nothing at the pool that refused most at the time.
    refused: f64,
    /// It was interrupted: nothing follows from it.
    pub(in crate::world) spoilt: bool,
}

impl Split {
    /// So many seconds of work for a pool that accepts this part of it.
    pub(in crate::world) fn worked(&mut self, rule: &Rule, pool: Option<usize>, seconds: f64, acceptance: &[f64]) {
        self.seconds += seconds;
        self.refused += seconds * refused(acceptance);
        let Some(pool) = pool else { return };
        self.pools.resize(rule.weights.len(), Reading::default());
        let work = seconds * acceptance.get(pool).copied().unwrap_or(1.0);
        for (slot, (reading, weight)) in self.pools.iter_mut().zip(&rule.weights).enumerate() {
            let own = if slot == pool { 1.0 } else { 0.0 };
            reading.set(reading.now + work * (own - weight));
        }
    }

    /// The largest error of any window, in seconds of hashing, beyond the bound; none if all is well. The slack is for
    /// the wire (a switch takes effect when its job arrives) and for what the proxy's idea of acceptance may differ: more
    /// where pools refuse more.
    pub(in crate::world) fn breach(&self, rule: &Rule) -> Option<(f64, f64)> {
        let error = self.pools.iter().map(|pool| pool.highest - pool.lowest).fold(0.0, f64::max);
        let bound = rule.band + 2.0 + 0.01 * self.seconds + 0.3 * self.refused;
        (!self.spoilt && error > bound).then_some((error, bound))
    }
}

/// What part of its work the worst pool refuses.
fn refused(acceptance: &[f64]) -> f64 {
    1.0 - acceptance.iter().copied().fold(1.0, f64::min)
}

/// The readings of all miners together, each by its hash rate, taken at one instant now and then. Its slack is half of a
/// miner's, as what is chance for one is not for all; where one is all that is left to be judged, it is a miner's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::world) struct FleetSplit {
    pools: Vec<Reading>,
    /// Who was counted: another set begins anew.
    members: Vec<usize>,
    /// Seconds, and seconds refused, when it began and now.
    began: (f64, f64),
    now: (f64, f64),
}

impl FleetSplit {
    /// The miners' readings at one instant: who, hash rate, readings.
    pub(in crate::world) fn read<'a>(&mut self, miners: impl Iterator<Item = (usize, f64, &'a Split)> + Clone) {
        let miners = miners.filter(|(_, _, split)| !split.spoilt && !split.pools.is_empty());
        let rates: f64 = miners.clone().map(|(_, rate, _)| rate).sum();
        let members: Vec<usize> = miners.clone().map(|(index, _, _)| index).collect();
        let most = |of: fn(&Split) -> f64| miners.clone().map(|(_, _, split)| of(split)).fold(0.0, f64::max);
        let read = (most(|split| split.seconds), most(|split| split.refused));
        let pools = miners.clone().map(|(_, _, split)| split.pools.len()).max().unwrap_or(0);
        let of = |pool: usize| -> f64 {
            miners.clone().map(|(_, rate, split)| split.pools.get(pool).map_or(0.0, |p| p.now) * rate / rates).sum()
        };
        let now: Vec<f64> = (0..pools).map(of).collect();
        if members != self.members {
            let at = |now: f64| Reading { now, lowest: now, highest: now };
            *self = FleetSplit { pools: now.iter().copied().map(at).collect(), members, began: read, now: read };
        }
        self.now = read;
        self.pools.iter_mut().zip(now).for_each(|(reading, now)| reading.set(now));
    }

    /// As [`Split::breach`], in seconds of everybody's hashing; and how long it was read.
    pub(in crate::world) fn breach(&self, rule: &Rule) -> Option<(f64, f64, f64)> {
        let error = self.pools.iter().map(|pool| pool.highest - pool.lowest).fold(0.0, f64::max);
        let (seconds, refused) = (self.now.0 - self.began.0, self.now.1 - self.began.1);
        let chance = 0.005 * (1.0 + 1.0 / self.members.len().max(1) as f64);
        let bound = rule.band + 2.0 + chance * seconds + 0.3 * refused;
        (error > bound).then_some((error, bound, seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dwells_within_the_band_pass_and_longer_ones_do_not() {
        let rule = Rule::new(&[750_000, 250_000], 40.0, 10.0);
        assert_eq!(rule.band, 15.0);
        let run = |dwell: f64| {
            let mut split = Split::default();
            for _ in 0..5 {
                split.worked(&rule, Some(1), dwell, &[1.0, 1.0]);
                split.worked(&rule, Some(0), dwell * 3.0, &[1.0, 1.0]);
            }
            split.breach(&rule).is_some()
        };
        assert!(!run(20.0));
        assert!(run(90.0));
        let mut all_wrong = Split::default();
        all_wrong.worked(&rule, Some(0), 600.0, &[1.0, 1.0]);
        assert!(all_wrong.breach(&rule).is_some());
    }

    #[test]
    fn three_pools_in_turn_pass_and_one_left_out_does_not() {
        let rule = Rule::new(&[400_000, 400_000, 200_000], 20.0, 10.0);
        assert_eq!(rule.band, 30.0);
        let run = |order: &[usize]| {
            let mut split = Split::default();
            for _ in 0..10 {
                order.iter().for_each(|pool| split.worked(&rule, Some(*pool), 20.0, &[1.0; 3]));
            }
            split.breach(&rule).is_some()
        };
        assert!(!run(&[0, 1, 0, 1, 2]));
        assert!(run(&[0, 1]));
    }

    #[test]
    fn what_each_miner_is_forgiven_the_fleet_is_not() {
        let rule = Rule::new(&[500_000, 500_000], 20.0, 10.0);
        // Everybody works 0.85 % too long for one pool: each within its slack, all in one direction.
        let mut miners = vec![Split::default(); 8];
        let mut fleet = FleetSplit::default();
        for round in 0..800 {
            for (i, split) in miners.iter_mut().enumerate() {
                let pool = (round + i) % 2;
                split.worked(&rule, Some(pool), if pool == 0 { 10.17 } else { 9.83 }, &[1.0; 2]);
            }
            fleet.read(miners.iter().enumerate().map(|(i, split)| (i, 1e9, split)));
        }
        assert!(miners.iter().all(|split| split.breach(&rule).is_none()));
        assert!(fleet.breach(&rule).is_some());
        // Opposite errors of two halves are none of the fleet's.
        let mut halves = vec![Split::default(); 2];
        let mut fleet = FleetSplit::default();
        for _ in 0..100 {
            halves[0].worked(&rule, Some(0), 20.0, &[1.0; 2]);
            halves[1].worked(&rule, Some(1), 20.0, &[1.0; 2]);
            fleet.read(halves.iter().enumerate().map(|(i, split)| (i, 1e9, split)));
        }
        assert!(halves.iter().all(|split| split.breach(&rule).is_some()));
        assert_eq!(fleet.breach(&rule), None);
    }
}
