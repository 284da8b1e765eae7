//! The rule that weights and dwells make.
//!
//! Two pools: a miner's credit moves within a band. On the pool with the smaller weight `w` it rises by 1−w a second, on
//! the other it falls by w; at the band's ends the miner changes over. The band is s(1−w) high, so a full dwell lasts
//! `s` on the smaller and s(1−w)/w on the other, and the work in *any* window is within s(1−w) seconds of hashing of
//! its share: that is the bound, and nothing that happens inside the band can break it. More pools: slices of `s` by
//! Tijdeman's rule for the chairman assignment problem.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::config::{SchedulerConfig, WEIGHT_SUM};
use crate::ids::PoolId;
use crate::notice::DwellReason;
use crate::time::Span;

/// All the work, in the units of weights.
pub(super) const ONE: i128 = WEIGHT_SUM as i128;

/// The rule that weights and dwells make, the same for all miners that obey it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(super) kind: Kind,
    pub(super) repay: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// No pool has a weight: nothing to divide.
    Nothing,
    /// One pool has all the weight.
    Single(PoolId),
    /// Two pools share. `weight` (parts per million) is that of `minor`, at most half.
    Pair { minor: PoolId, major: PoolId, weight: u32, dwell: Span },
    /// More than two: all weights, one a configured pool.
    Many { weights: Vec<u32>, dwell: Span },
}

/// Slices after which a miner's place among more than two pools counts as the same again.
const MANY_SLICES: u64 = 128;

impl Plan {
    /// The plan for these weights. `stretch` lengthens every dwell, for miners to whom a switch is dear.
    pub(crate) fn new(weights: &[u32], config: &SchedulerConfig, stretch: u64) -> Plan {
        let weighted: Vec<(PoolId, u32)> = weights
            .iter()
            .enumerate()
            .filter(|(_, weight)| **weight > 0)
            .map(|(i, weight)| (PoolId(i as u8), *weight))
            .collect();
        let kind = match weighted[..] {
            [] => Kind::Nothing,
            [(only, _)] => Kind::Single(only),
            [(a, weight_a), (b, weight_b)] => {
                let (minor, major, weight) = if weight_a < weight_b { (a, b, weight_a) } else { (b, a, weight_b) };
                let (dwell, _) = dwell(weight, config);
                Kind::Pair { minor, major, weight, dwell: dwell.times(stretch) }
            }
            _ => {
                let dwell = Span(config.min_switch.0.max(SHORTEST));
                Kind::Many { weights: weights.to_vec(), dwell: dwell.times(stretch) }
            }
        };
        Plan { kind, repay: config.repay }
    }

    /// All work to one pool.
    pub(crate) fn only(pool: PoolId) -> Plan {
        Plan { kind: Kind::Single(pool), repay: Span::ZERO }
    }

    /// The pool that gets all the work, if one does.
    pub(crate) fn single(&self) -> Option<PoolId> {
        match self.kind {
            Kind::Single(pool) => Some(pool),
            _ => None,
        }
    }

    /// Of two pools, the one with the smaller weight.
    pub(crate) fn minor(&self) -> Option<PoolId> {
        match self.kind {
            Kind::Pair { minor, .. } => Some(minor),
            _ => None,
        }
    }

    /// The dwell on the pool with the smaller weight, or a slice, and what it follows from.
    pub(crate) fn dwell(&self, config: &SchedulerConfig) -> (Span, DwellReason) {
        match &self.kind {
            Kind::Nothing | Kind::Single(_) => (config.min_switch, DwellReason::OnePool),
            Kind::Pair { weight, .. } => dwell(*weight, config),
            Kind::Many { dwell, .. } => (*dwell, DwellReason::MinSwitch),
        }
    }

    /// True if phases make a difference at every instant.
    pub(crate) fn is_pair(&self) -> bool {
        matches!(self.kind, Kind::Pair { .. })
    }

    /// The share of each of `pools` pools, parts per million.
    pub(crate) fn weights(&self, pools: usize) -> Vec<u32> {
        let mut all = alloc::vec![0; pools];
        let mut set = |pool: PoolId, weight: u32| {
            if let Some(to) = all.get_mut(pool.index()) {
                *to = weight;
            }
        };
        match &self.kind {
            Kind::Nothing => {}
            Kind::Single(pool) => set(*pool, WEIGHT_SUM),
            Kind::Pair { minor, major, weight, .. } => {
                set(*minor, *weight);
                set(*major, WEIGHT_SUM - *weight);
            }
            Kind::Many { weights, .. } => (0u8..).zip(weights).for_each(|(i, weight)| set(PoolId(i), *weight)),
        }
        all
    }

    /// The length of a whole cycle in µs; 0 when there is none.
    pub(crate) fn period(&self) -> u64 {
        match &self.kind {
            Kind::Nothing | Kind::Single(_) => 0,
            Kind::Pair { weight, dwell, .. } => {
                (u128::from(dwell.0) * u128::from(WEIGHT_SUM) / u128::from(*weight)).min(u128::from(u64::MAX)) as u64
            }
            Kind::Many { dwell, .. } => dwell.0.saturating_mul(MANY_SLICES),
        }
    }

    /// Where in the cycle the miner of a seat is, `passed` after the first one: phases that lie well apart, however many
    /// seats there are. The first begins in the middle.
    pub(crate) fn phase_of(&self, seat: u64, passed: Span) -> u64 {
        let period = self.period().max(1);
        let part = if let Kind::Many { dwell, .. } = &self.kind {
            // The next seat is a slice ahead, and a little more so that not all switch at once: any few in a row are
            // divided as the weights are.
            let seat = u128::from(seat % MANY_SLICES);
            u128::from(dwell.0) * seat + u128::from(dwell.0) * seat / u128::from(MANY_SLICES)
        } else {
            // Multiples of the golden section: each falls into one of the widest gaps between those before.
            let part = (1u64 << 63).wrapping_add(seat.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            (u128::from(part) * u128::from(period)) >> 64
        };
        ((part + u128::from(passed.0)) % u128::from(period)) as u64
    }

    /// The height of the band of a pair, in units of credit.
    pub(super) fn band(&self) -> i128 {
        match &self.kind {
            Kind::Pair { weight, dwell, .. } => i128::from(dwell.0) * (ONE - i128::from(*weight)) * ONE,
            _ => 0,
        }
    }
}

/// No dwell is shorter (µs).
const SHORTEST: u64 = 1_000_000;

/// The dwell on the pool with the smaller weight, clamp(min_switch × 2w, slice, min_switch), and which of the three it is.
fn dwell(weight: u32, config: &SchedulerConfig) -> (Span, DwellReason) {
    let wanted = config.min_switch.0.saturating_mul(2 * u64::from(weight)) / u64::from(WEIGHT_SUM);
    let slice = config.slice.min(config.min_switch);
    let why = if wanted >= config.min_switch.0 {
        DwellReason::MinSwitch
    } else if wanted <= slice.0 {
        DwellReason::Slice
    } else {
        DwellReason::Weight
    };
    (Span(wanted.clamp(slice.0, config.min_switch.0).max(SHORTEST)), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(min_switch: u64, slice: u64) -> SchedulerConfig {
        let (min_switch, slice) = (Span::secs(min_switch), Span::secs(slice));
        SchedulerConfig { min_switch, slice, ..SchedulerConfig::with_weights(Vec::new()) }
    }

    fn plan(weights: &[u32]) -> Plan {
        let weights: Vec<u32> = weights.iter().map(|w| w * 10_000).collect();
        Plan::new(&weights, &config(50, 30), 1)
    }

    #[test]
    fn the_dwell_follows_the_design() {
        let dwell = |weights: &[u32]| match plan(weights).kind {
            Kind::Pair { minor, dwell, .. } => (minor, dwell.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(dwell(&[50, 50]), (PoolId(1), 50));
        assert_eq!(dwell(&[60, 40]), (PoolId(1), 40));
        assert_eq!(dwell(&[5, 95]), (PoolId(0), 30));
        assert_eq!(plan(&[100, 0]).kind, Kind::Single(PoolId(0)));
        let why = |weight| super::dwell(weight, &config(50, 30)).1;
        assert_eq!(
            [why(500_000), why(400_000), why(50_000)],
            [DwellReason::MinSwitch, DwellReason::Weight, DwellReason::Slice]
        );
    }

    #[test]
    fn seats_lie_well_apart() {
        for weights in [[50u32, 50], [95, 5]] {
            let plan = plan(&weights);
            let period = plan.period();
            for n in [2u64, 5, 20, 100] {
                let mut phases: Vec<u64> = (0..n).map(|s| plan.phase_of(s, Span::secs(12_345))).collect();
                phases.sort_unstable();
                phases.push(phases[0] + period);
                let widest = phases.windows(2).map(|p| p[1] - p[0]).max().unwrap();
                assert!(widest <= 3 * period / n, "{weights:?} {n}: {widest}");
            }
        }
    }

    #[test]
    fn weights_come_out_as_they_went_in() {
        for weights in [&[30u32, 70][..], &[100, 0], &[50, 45, 5], &[0, 60, 40]] {
            let ppm: Vec<u32> = weights.iter().map(|w| w * 10_000).collect();
            assert_eq!(plan(weights).weights(weights.len()), ppm);
        }
    }
}
