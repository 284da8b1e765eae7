//! Who works where and until when. Weights are shares of work; each miner divides its own, and the fleet is
//! phase-shifted so that its sum is on target at every instant, as nearly as its largest miner allows.
//!
//! Two pools: a miner's credit moves within a band. On the pool with the smaller weight `w` it rises by 1−w a second, on
//! the other it falls by w; at the band's ends the miner changes over. The band is s(1−w) high, so a full dwell lasts
//! `s` on the smaller and s(1−w)/w on the other, and the work in *any* window is within s(1−w) seconds of hashing of
//! its share: that is the bound, and nothing that happens inside the band can break it. More pools: slices of `s` by
//! Tijdeman's rule for the chairman assignment problem.
//!
//! All arithmetic is in integers. Nothing here knows a miner or a pool: only their numbers.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::config::{SchedulerConfig, WEIGHT_SUM};
use crate::ids::PoolId;
use crate::time::{Span, Time};

const ONE: i128 = WEIGHT_SUM as i128;

/// The rule that weights and dwells make, the same for all miners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    kind: Kind,
    repay: Span,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    /// No pool has a weight: nothing to divide.
    Nothing,
    /// One pool has all the weight.
    Single(PoolId),
    /// Two pools share. `weight` (parts per million) is that of `minor`, at most half.
    Pair { minor: PoolId, major: PoolId, weight: u32, dwell: Span },
    /// More than two: all weights, one a configured pool.
    Many { weights: Vec<u32>, dwell: Span },
}

/// One miner's place in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cycle {
    wants: PoolId,
    since: Time,
    /// Pair: one number, the credit in µs·ppm². Many: what each pool is owed, in the same unit.
    credit: Vec<i128>,
    /// Phase still to be skipped, in µs of the whole cycle: the next dwells are cut shorter.
    skip: u64,
    /// By how much this dwell is cut, in units of credit.
    cut: i128,
    /// Many: when the running slice ends.
    slice_end: Time,
}

impl Plan {
    /// The plan for these weights. `stretch` lengthens every dwell, for miners to whom a switch is dear.
    pub(crate) fn new(config: &SchedulerConfig, stretch: u64) -> Plan {
        let weighted: Vec<(PoolId, u32)> = config
            .weights
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
                // s = clamp(min_switch × 2w, slice, min_switch)
                let wanted = config.min_switch.0.saturating_mul(2 * u64::from(weight)) / u64::from(WEIGHT_SUM);
                let slice = config.slice.min(config.min_switch);
                let dwell = wanted.clamp(slice.0, config.min_switch.0).max(1_000_000);
                Kind::Pair { minor, major, weight, dwell: Span(dwell).times(stretch) }
            }
            _ => Kind::Many {
                weights: config.weights.clone(),
                dwell: Span(config.min_switch.0.max(1_000_000)).times(stretch),
            },
        };
        Plan { kind, repay: config.repay }
    }

    /// The length of a whole cycle in µs; 0 when there is none.
    pub(crate) fn period(&self) -> u64 {
        match &self.kind {
            Kind::Nothing | Kind::Single(_) => 0,
            Kind::Pair { weight, dwell, .. } => {
                (u128::from(dwell.0) * u128::from(WEIGHT_SUM) / u128::from(*weight)).min(u128::from(u64::MAX)) as u64
            }
            Kind::Many { dwell, .. } => dwell.0,
        }
    }

    /// A miner's place at `phase` µs into the cycle. `fallback` is where it works if no pool has a weight.
    pub(crate) fn start(&self, phase: u64, fallback: PoolId, now: Time) -> Cycle {
        let mut cycle = Cycle { wants: fallback, since: now, credit: Vec::new(), skip: 0, cut: 0, slice_end: now };
        match &self.kind {
            Kind::Nothing => {}
            Kind::Single(only) => cycle.wants = *only,
            Kind::Pair { minor, major, weight, dwell } => {
                let phase = phase % self.period().max(1);
                let w = i128::from(*weight);
                if phase < dwell.0 {
                    cycle.wants = *minor;
                    cycle.credit.push(i128::from(phase) * (ONE - w) * ONE);
                } else {
                    cycle.wants = *major;
                    let credit = self.band() - i128::from(phase - dwell.0) * w * ONE;
                    cycle.credit.push(credit.clamp(0, self.band()));
                }
            }
            Kind::Many { weights, dwell } => {
                cycle.credit = alloc::vec![0; weights.len()];
                cycle.slice_end = now + Span(dwell.0 - phase % dwell.0.max(1));
                cycle.wants = tijdeman(weights, &cycle.credit, *dwell);
            }
        }
        cycle
    }

    /// The height of the band of a pair, in units of credit.
    fn band(&self) -> i128 {
        match &self.kind {
            Kind::Pair { weight, dwell, .. } => i128::from(dwell.0) * (ONE - i128::from(*weight)) * ONE,
            _ => 0,
        }
    }
}

/// The pool that gets the next slice: among those owed at least 1/(2n−2) of a slice, the one that would soonest be owed
/// 1 − 1/(2n−2).
fn tijdeman(weights: &[u32], credit: &[i128], slice: Span) -> PoolId {
    let n = weights.iter().filter(|w| **w > 0).count().max(2) as i128;
    let slot = i128::from(slice.0) * ONE * ONE;
    let least = slot / (2 * n - 2);
    let mut best: Option<(bool, i128, usize)> = None;
    for (i, (weight, credit)) in weights.iter().zip(credit).enumerate() {
        let w = i128::from(*weight);
        if w == 0 {
            continue;
        }
        let owed = credit + slot * w / ONE;
        // Lower is sooner. Scaled by ONE before the division, so that small weights keep their order.
        let urgency = (slot - least - owed) * ONE / w;
        let candidate = (owed < least, urgency, i);
        if best.is_none_or(|b| candidate < b) {
            best = Some(candidate);
        }
    }
    PoolId(best.map_or(0, |(_, _, i)| i as u8))
}

impl Cycle {
    /// The pool that the schedule wants this miner to work for.
    pub(crate) fn wants(&self) -> PoolId {
        self.wants
    }

    /// Accounts for the time since the last call: the miner worked for `on` (none: it was idle). `acceptance` is what
    /// part of a pool's shares it accepts, parts per million, one a pool. Then decides where to go on.
    pub(crate) fn advance(&mut self, plan: &Plan, now: Time, on: Option<PoolId>, acceptance: &[u32]) {
        let passed = i128::from(now.since(self.since).0);
        self.since = now;
        let accepted = |pool: PoolId| i128::from(acceptance.get(pool.index()).copied().unwrap_or(WEIGHT_SUM));
        match &plan.kind {
            Kind::Nothing | Kind::Single(_) => {}
            Kind::Pair { minor, major, weight, .. } => {
                let (w, band) = (i128::from(*weight), plan.band());
                let Some(credit) = self.credit.first_mut() else { return };
                if on == Some(*minor) {
                    *credit += passed * (ONE - w) * accepted(*minor);
                } else if on == Some(*major) {
                    *credit -= passed * w * accepted(*major);
                }
                let repay = i128::from(plan.repay.0) * ONE;
                *credit = (*credit).clamp(-repay * w, band + repay * (ONE - w));
                let was = self.wants;
                if self.wants == *minor && *credit >= band - self.cut {
                    self.wants = *major;
                } else if self.wants == *major && *credit <= self.cut {
                    self.wants = *minor;
                }
                if was != self.wants {
                    self.take_cut(w, band);
                }
            }
            Kind::Many { weights, dwell } => {
                if let Some(on) = on.filter(|on| on.index() < self.credit.len()) {
                    let done = passed * accepted(on);
                    for (credit, weight) in self.credit.iter_mut().zip(weights) {
                        *credit += done * i128::from(*weight);
                    }
                    self.credit[on.index()] -= done * ONE;
                }
                let repay = i128::from(plan.repay.0.max(dwell.0)) * ONE * ONE;
                for credit in &mut self.credit {
                    *credit = (*credit).clamp(-repay, repay);
                }
                if now >= self.slice_end {
                    self.slice_end = now + *dwell;
                    self.wants = tijdeman(weights, &self.credit, *dwell);
                }
            }
        }
    }

    /// Uses up some of the phase to be skipped: the dwell that begins is cut, by half at the most.
    fn take_cut(&mut self, w: i128, band: i128) {
        let per_phase = (w * (ONE - w)).max(1);
        self.cut = (i128::from(self.skip) * per_phase).min(band / 2);
        self.skip -= (self.cut / per_phase) as u64;
        if self.skip < 1000 {
            self.skip = 0;
        }
    }

    /// How long until the schedule wants another pool, if the miner goes on working for `on`; none: never.
    pub(crate) fn until_switch(&self, plan: &Plan, on: Option<PoolId>, acceptance: &[u32]) -> Option<Span> {
        let accepted = |pool: PoolId| i128::from(acceptance.get(pool.index()).copied().unwrap_or(WEIGHT_SUM)).max(1);
        let (distance, speed) = match &plan.kind {
            Kind::Nothing | Kind::Single(_) => return None,
            Kind::Many { .. } => return Some(self.slice_end.since(self.since).max(Span(1))),
            Kind::Pair { minor, major, weight, .. } => {
                let credit = *self.credit.first()?;
                if on == Some(*minor) && self.wants == *minor {
                    (plan.band() - self.cut - credit, (ONE - i128::from(*weight)) * accepted(*minor))
                } else if on == Some(*major) && self.wants == *major {
                    (credit - self.cut, i128::from(*weight) * accepted(*major))
                } else {
                    // It does not work where the schedule wants it: only the pools can change that.
                    return None;
                }
            }
        };
        let span = (distance + speed - 1) / speed;
        Some(Span(u64::try_from(span.max(1)).unwrap_or(u64::MAX)))
    }

    /// Where in the cycle this miner is, in µs.
    pub(crate) fn phase(&self, plan: &Plan) -> u64 {
        match &plan.kind {
            Kind::Nothing | Kind::Single(_) => 0,
            Kind::Many { dwell, .. } => dwell.0 - self.slice_end.since(self.since).0.min(dwell.0),
            Kind::Pair { minor, weight, dwell, .. } => {
                let w = i128::from(*weight);
                let credit = self.credit.first().copied().unwrap_or(0).clamp(0, plan.band());
                let phase = if self.wants == *minor {
                    credit / ((ONE - w) * ONE)
                } else {
                    i128::from(dwell.0) + (plan.band() - credit) / (w * ONE)
                };
                u64::try_from(phase).unwrap_or(0).min(plan.period().saturating_sub(1))
            }
        }
    }

    /// Goes over to another plan at the same relative phase. Debts of the old weights are forgotten: no overshoot.
    pub(crate) fn rebase(&mut self, old: &Plan, new: &Plan, now: Time) {
        let part = u128::from(self.phase(old)) * u128::from(new.period()) / u128::from(old.period().max(1));
        *self = new.start(part as u64, self.wants, now);
    }

    /// Skips this much of the cycle (µs), a part of each dwell from the next one on.
    pub(crate) fn skip(&mut self, phase: u64) {
        self.skip = phase;
    }
}

/// One miner of the fleet, for [`spread`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<Id> {
    pub(crate) id: Id,
    /// Its hash rate in any unit, the same for all.
    pub(crate) rate: u64,
    /// Where in the cycle it is, in µs.
    pub(crate) phase: u64,
}

/// How much of its cycle each miner should skip, so that the phases are spread by hash rate. The order around the circle
/// stays, and at least one miner skips nothing: the least that can be moved forward. Empty when all is well as it is.
pub(crate) fn spread<Id: Copy + Ord>(members: &mut [Member<Id>], period: u64) -> Vec<(Id, u64)> {
    if members.len() < 2 || period == 0 {
        return Vec::new();
    }
    members.sort_by_key(|m| (m.phase, m.id));
    let sum: u128 = members.iter().map(|m| u128::from(m.rate.max(1))).sum();
    let mut before: u128 = 0;
    let mut lead = Vec::with_capacity(members.len());
    for m in members.iter() {
        let rate = u128::from(m.rate.max(1));
        let target = (u128::from(period) * (2 * before + rate) / (2 * sum)) as i128;
        lead.push(i128::from(m.phase) - target);
        before += rate;
    }
    let most = lead.iter().copied().max().unwrap_or(0);
    let tolerated = i128::from(period) / (4 * members.len() as i128);
    if lead.iter().all(|l| most - l <= tolerated) {
        return Vec::new();
    }
    members.iter().zip(lead).map(|(m, l)| (m.id, u64::try_from(most - l).unwrap_or(0) % period)).collect()
}

/// The phase for one more miner: the middle of the widest gap between those there are (µs).
pub(crate) fn widest_gap(phases: &mut [u64], period: u64) -> u64 {
    phases.sort_unstable();
    let (Some(first), Some(last)) = (phases.first(), phases.last()) else { return period / 2 };
    let mut widest = (first + period - last, *last);
    for pair in phases.windows(2) {
        widest = widest.max((pair[1] - pair[0], pair[0]));
    }
    (widest.1 + widest.0 / 2) % period.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec;
    use proptest::prelude::*;

    fn plan(weights: &[u32], min_switch: u64, slice: u64) -> Plan {
        let config = SchedulerConfig {
            weights: weights.iter().map(|w| w * 10_000).collect(),
            min_switch: Span::secs(min_switch),
            slice: Span::secs(slice),
            repay: Span::mins(60),
            ..crate::config::SchedulerConfig::with_weights(Vec::new())
        };
        Plan::new(&config, 1)
    }

    /// Runs a fleet of rates on a plan; gives for each second the rate on pool 1 (B), and the number of switches. Steps are
    /// of 100 ms, so that rounding to steps is small beside a miner's place in the cycle.
    fn run(plan: &Plan, rates: &[u64], seconds: u64) -> (Vec<u64>, u64) {
        let period = plan.period();
        let mut phases: Vec<u64> = vec![];
        let mut cycles: Vec<Cycle> = vec![];
        for _ in rates {
            let phase = widest_gap(&mut phases.clone(), period);
            phases.push(phase);
            cycles.push(plan.start(phase, PoolId(0), Time::ZERO));
        }
        let mut switches = 0;
        let mut on_b = vec![];
        let mut next_spread = 0;
        for step in 0..seconds * 10 {
            let now = Time::ZERO + Span::millis(100 * step);
            if step >= next_spread {
                let mut members: Vec<Member<usize>> = cycles
                    .iter()
                    .enumerate()
                    .map(|(id, c)| Member { id, rate: rates[id], phase: c.phase(plan) })
                    .collect();
                for (id, skip) in spread(&mut members, period) {
                    cycles[id].skip(skip);
                }
                next_spread = step + 2 * period / 100_000 + 1;
            }
            let mut sum = 0;
            for (cycle, rate) in cycles.iter_mut().zip(rates) {
                let on = cycle.wants();
                cycle.advance(plan, now, Some(on), &[WEIGHT_SUM; 8]);
                switches += u64::from(cycle.wants() != on);
                if cycle.wants() == PoolId(1) {
                    sum += rate;
                }
            }
            if step % 10 == 0 {
                on_b.push(sum);
            }
        }
        (on_b, switches)
    }

    /// Largest |work on B − w·W| over all windows, in rate·seconds: the range of the running deviation.
    fn worst_window(on_b: &[u64], total: u64, weight_percent: u64) -> f64 {
        let (mut run, mut low, mut high) = (0f64, 0f64, 0f64);
        for b in on_b {
            run += *b as f64 - total as f64 * weight_percent as f64 / 100.0;
            low = low.min(run);
            high = high.max(run);
        }
        high - low
    }

    #[test]
    fn one_miner_divides_its_work_within_the_bound() {
        for weight in [5, 10, 30, 50] {
            let plan = plan(&[100 - weight as u32, weight as u32], 50, 30);
            let Kind::Pair { dwell, .. } = plan.kind else { panic!() };
            let (on_b, switches) = run(&plan, &[1], 24 * 3600);
            let worst = worst_window(&on_b, 1, weight);
            let bound = dwell.as_secs_f64() * (100 - weight) as f64 / 100.0;
            assert!(worst <= bound + 2.0, "{weight}: {worst} > {bound}");
            assert!(switches > 24 * 3600 / (plan.period() / 1_000_000), "{weight}: {switches}");
        }
    }

    #[test]
    fn the_dwell_follows_the_design() {
        let dwell = |weights: &[u32]| match plan(weights, 50, 30).kind {
            Kind::Pair { minor, dwell, .. } => (minor, dwell.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(dwell(&[50, 50]), (PoolId(1), 50));
        assert_eq!(dwell(&[60, 40]), (PoolId(1), 40));
        assert_eq!(dwell(&[5, 95]), (PoolId(0), 30));
        assert_eq!(plan(&[100, 0], 50, 30).kind, Kind::Single(PoolId(0)));
    }

    #[test]
    fn a_fleet_is_on_target_at_every_instant() {
        for (rates, weight) in
            [(vec![1u64; 20], 50u64), (vec![1; 20], 30), (vec![5, 3, 1, 1, 1, 2, 9, 4], 40), (vec![7; 50], 10)]
        {
            let plan = plan(&[100 - weight as u32, weight as u32], 50, 30);
            let total: u64 = rates.iter().sum();
            let largest = *rates.iter().max().unwrap();
            let (on_b, _) = run(&plan, &rates, 4 * 3600);
            let steady = &on_b[7200..];
            for b in steady {
                let off = *b as f64 - total as f64 * weight as f64 / 100.0;
                // The bound is one largest miner; the spread tolerates a quarter of a place more.
                assert!(off.abs() <= 1.6 * largest as f64, "{rates:?} {weight}: off by {off}");
            }
        }
    }

    #[test]
    fn a_rebased_miner_keeps_its_phase_and_owes_nothing() {
        let (old, new) = (plan(&[50, 50], 50, 30), plan(&[90, 10], 50, 30));
        let mut cycle = old.start(25_000_000, PoolId(0), Time::ZERO);
        cycle.credit[0] = -i128::from(u32::MAX) * ONE * ONE;
        cycle.rebase(&old, &new, Time::ZERO);
        assert!(cycle.credit[0] >= 0 && cycle.credit[0] <= new.band());
    }

    #[test]
    fn an_outage_is_repaid_up_to_the_limit() {
        let plan = plan(&[50, 50], 50, 30);
        let mut cycle = plan.start(0, PoolId(0), Time::ZERO);
        let acceptance = [WEIGHT_SUM; 2];
        // Ten hours on A alone, then B is back: 60 minutes of outage are 30 minutes of B's work, repaid in 60 minutes.
        let mut now = Time::ZERO + Span::mins(600);
        cycle.advance(&plan, now, Some(PoolId(0)), &acceptance);
        assert_eq!(cycle.wants(), PoolId(1));
        let repay = cycle.until_switch(&plan, Some(PoolId(1)), &acceptance).unwrap();
        assert!((3600..=3700).contains(&repay.as_secs()), "{repay:?}");
        now += repay;
        cycle.advance(&plan, now, Some(PoolId(1)), &acceptance);
        assert_eq!(cycle.wants(), PoolId(0));
    }

    #[test]
    fn what_a_pool_refuses_is_made_up_for() {
        let plan = plan(&[50, 50], 50, 30);
        let mut cycle = plan.start(0, PoolId(0), Time::ZERO);
        let mut worked = [0u64; 2];
        for second in 1..100_000 {
            let on = cycle.wants();
            worked[on.index()] += 1;
            cycle.advance(&plan, Time::ZERO + Span::secs(second), Some(on), &[WEIGHT_SUM, WEIGHT_SUM / 2]);
        }
        let ratio = worked[1] as f64 / worked[0] as f64;
        assert!((ratio - 2.0).abs() < 0.01, "half refused, twice the hashes: {ratio}");
    }

    proptest! {
        #[test]
        fn three_pools_stay_within_tijdemans_bound(a in 1u32..98, b in 1u32..98) {
            prop_assume!(a + b < 100);
            let plan = plan(&[a, b, 100 - a - b], 50, 30);
            let mut cycle = plan.start(0, PoolId(0), Time::ZERO);
            let mut count: BTreeMap<PoolId, f64> = BTreeMap::new();
            let bound = 1.0 - 1.0 / 4.0;
            for slot in 1..2000u64 {
                let on = cycle.wants();
                *count.entry(on).or_default() += 1.0;
                cycle.advance(&plan, Time::ZERO + Span::secs(50 * slot), Some(on), &[WEIGHT_SUM; 8]);
                for (pool, weight) in [(PoolId(0), a), (PoolId(1), b), (PoolId(2), 100 - a - b)] {
                    let got = count.get(&pool).copied().unwrap_or(0.0);
                    let off = got - slot as f64 * f64::from(weight) / 100.0;
                    prop_assert!(off.abs() <= bound + 1e-6, "slot {slot} pool {pool} off by {off}");
                }
            }
        }

        #[test]
        fn the_band_holds_whatever_is_skipped(weight in 1u32..=50, skips in proptest::collection::vec(0u64..2_000_000_000, 1..40)) {
            let plan = plan(&[100 - weight, weight], 50, 30);
            let mut cycle = plan.start(0, PoolId(0), Time::ZERO);
            let mut now = Time::ZERO;
            let acceptance = [WEIGHT_SUM; 2];
            for skip in skips {
                cycle.skip(skip % plan.period());
                let on = Some(cycle.wants());
                let next = cycle.until_switch(&plan, on, &acceptance).unwrap();
                now += next;
                cycle.advance(&plan, now, on, &acceptance);
                let credit = cycle.credit[0];
                let slack = 2 * ONE * ONE;
                prop_assert!(credit >= -slack && credit <= plan.band() + slack);
                prop_assert_ne!(Some(cycle.wants()), on);
            }
        }
    }
}
