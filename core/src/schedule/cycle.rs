//! One miner's place in a plan: which pool it wants, and until when.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::plan::{Kind, ONE, Plan};
use crate::config::WEIGHT_SUM;
use crate::ids::PoolId;
use crate::time::{Span, Time};

/// One miner's place in the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cycle {
    wants: PoolId,
    since: Time,
    /// Pair: one number, the credit in µs·ppm². Many: what each pool is owed, in the same unit.
    credit: Vec<i128>,
    /// Phase still to be skipped, in µs of the whole cycle: the next dwells are cut shorter.
    skip: u64,
    /// At most so much of it in one dwell, in µs.
    pace: u64,
    /// By how much this dwell is cut, in units of credit.
    cut: i128,
    /// Many: when the running slice ends.
    slice_end: Time,
}

/// While a pool refuses shares, nobody looks more often than this whether it is time to change over.
const LOOK_AGAIN: Span = Span::secs(5);

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
    /// A place at `phase` µs into the cycle. `fallback` is where the miner works if no pool has a weight.
    pub(crate) fn start(plan: &Plan, phase: u64, fallback: PoolId, now: Time) -> Cycle {
        let mut cycle =
            Cycle { wants: fallback, since: now, credit: Vec::new(), skip: 0, pace: 0, cut: 0, slice_end: now };
        match &plan.kind {
            Kind::Nothing => {}
            Kind::Single(only) => cycle.wants = *only,
            Kind::Pair { minor, major, weight, dwell } => {
                let phase = phase % plan.period().max(1);
                let w = i128::from(*weight);
                if phase < dwell.0 {
                    cycle.wants = *minor;
                    cycle.credit.push(i128::from(phase) * (ONE - w) * ONE);
                } else {
                    cycle.wants = *major;
                    let credit = plan.band() - i128::from(phase - dwell.0) * w * ONE;
                    cycle.credit.push(credit.clamp(0, plan.band()));
                }
            }
            Kind::Many { weights, dwell } => {
                let phase = phase % plan.period().max(1);
                cycle.credit = alloc::vec![0; weights.len()];
                cycle.wants = tijdeman(weights, &cycle.credit, *dwell);
                for _ in 0..phase / dwell.0.max(1) {
                    cycle.pay(cycle.wants, weights, i128::from(dwell.0) * ONE);
                    cycle.wants = tijdeman(weights, &cycle.credit, *dwell);
                }
                // The part of the first slice that lies before the start counts as done: the order of slices is everybody's.
                let before = phase % dwell.0.max(1);
                cycle.pay(cycle.wants, weights, i128::from(before) * ONE);
                cycle.slice_end = now + Span(dwell.0 - before);
            }
        }
        cycle
    }

    /// A place from which the miner goes on at the pool that it works for, in the middle of its dwell there.
    pub(crate) fn going_on(plan: &Plan, on: PoolId, now: Time) -> Cycle {
        let period = plan.period();
        let phase = match &plan.kind {
            Kind::Pair { minor, dwell, .. } if on == *minor => dwell.0 / 2,
            Kind::Pair { dwell, .. } => dwell.0 + (period - dwell.0) / 2,
            Kind::Many { dwell, .. } => dwell.0 / 2,
            Kind::Nothing | Kind::Single(_) => 0,
        };
        let mut cycle = Cycle::start(plan, phase, on, now);
        if let Kind::Many { weights, .. } = &plan.kind
            && weights.get(on.index()).is_some_and(|weight| *weight > 0)
        {
            cycle.wants = on;
        }
        cycle
    }

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
                    self.pay(on, weights, passed * accepted(on));
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
        self.cut = (i128::from(self.skip.min(self.pace)) * per_phase).min(band / 2);
        self.skip -= (self.cut / per_phase) as u64;
    }

    /// How long until the schedule may want another pool, if the miner goes on working for `on`; none: never. While a pool
    /// refuses shares that is a first look, and more follow.
    pub(crate) fn until_switch(&self, plan: &Plan, on: Option<PoolId>, acceptance: &[u32]) -> Option<Span> {
        let accepted = |pool: PoolId| i128::from(acceptance.get(pool.index()).copied().unwrap_or(WEIGHT_SUM)).max(1);
        let (distance, speed, fastest) = match &plan.kind {
            Kind::Nothing | Kind::Single(_) => return None,
            Kind::Many { .. } => return Some(self.slice_end.since(self.since).max(Span(1))),
            Kind::Pair { minor, major, weight, .. } => {
                let credit = *self.credit.first()?;
                if on == Some(*minor) && self.wants == *minor {
                    let gains = ONE - i128::from(*weight);
                    (plan.band() - self.cut - credit, gains * accepted(*minor), gains * ONE)
                } else if on == Some(*major) && self.wants == *major {
                    let loses = i128::from(*weight);
                    (credit - self.cut, loses * accepted(*major), loses * ONE)
                } else {
                    // It does not work where the schedule wants it: only the pools can change that.
                    return None;
                }
            }
        };
        let span = |speed: i128| Span(u64::try_from(((distance + speed - 1) / speed).max(1)).unwrap_or(u64::MAX));
        // A pool may accept more from now on than it did of late, and then it is time sooner.
        Some(span(speed).min(span(fastest).max(LOOK_AGAIN)))
    }

    /// Many: each pool is owed its share of work that was done, and the one that got it all of it the less.
    fn pay(&mut self, on: PoolId, weights: &[u32], done: i128) {
        for (credit, weight) in self.credit.iter_mut().zip(weights) {
            *credit += done * i128::from(*weight);
        }
        self.credit[on.index()] -= done * ONE;
    }

    /// Where in the cycle of a pair this miner is now, in µs, if it has worked for `on` since it was last asked.
    pub(crate) fn phase_at(&self, plan: &Plan, on: Option<PoolId>, now: Time) -> u64 {
        let passed = if on == Some(self.wants) { now.since(self.since).0 } else { 0 };
        self.phase(plan).saturating_add(passed).min(plan.period().saturating_sub(1))
    }

    /// Where it was when it was last asked.
    fn phase(&self, plan: &Plan) -> u64 {
        let Kind::Pair { minor, weight, dwell, .. } = &plan.kind else { return 0 };
        let w = i128::from(*weight);
        let credit = self.credit.first().copied().unwrap_or(0).clamp(0, plan.band());
        let phase = if self.wants == *minor {
            credit / ((ONE - w) * ONE)
        } else {
            i128::from(dwell.0) + (plan.band() - credit) / (w * ONE)
        };
        u64::try_from(phase).unwrap_or(0).min(plan.period().saturating_sub(1))
    }

    /// True if it is a place in this plan, or one just like it.
    pub(crate) fn fits(&self, plan: &Plan) -> bool {
        match &plan.kind {
            Kind::Nothing => true,
            Kind::Single(pool) => self.wants == *pool,
            Kind::Pair { minor, major, .. } => self.credit.len() == 1 && (self.wants == *minor || self.wants == *major),
            Kind::Many { weights, .. } => self.credit.len() == weights.len(),
        }
    }

    /// The same place again after a time in which nothing was done.
    pub(crate) fn resumed(mut self, now: Time) -> Cycle {
        self.slice_end = now + self.slice_end.since(self.since);
        self.since = now;
        self
    }

    /// The time up to which all is accounted for.
    pub(crate) fn since(&self) -> Time {
        self.since
    }

    /// Goes over to other weights, now that all is accounted for, at the same place of the cycle, with as few changes as these need: of a pair, only
    /// those switch whose part of the circle changes hands. `owing`: what outages have left to be repaid stays; else it is
    /// forgotten, so that nothing overshoots. False if there is no such place: the miner has to be seated anew.
    pub(crate) fn turn(&mut self, old: &Plan, new: &Plan, owing: bool, now: Time) -> bool {
        match (&old.kind, &new.kind) {
            (Kind::Pair { minor, weight, .. }, Kind::Pair { minor: new_minor, major: new_major, .. }) => {
                let (period, next) = (u128::from(old.period().max(1)), u128::from(new.period()));
                // The smaller pool has the start of the circle. When it becomes the larger, it has the end.
                let ahead = match *minor {
                    same if same == *new_minor => 0,
                    other if other == *new_major => u128::from(WEIGHT_SUM - *weight) * period / u128::from(WEIGHT_SUM),
                    _ => return false,
                };
                let credit = self.credit.first().copied().unwrap_or(0);
                let excess = credit - credit.clamp(0, old.band());
                let phase = (u128::from(self.phase(old)) + ahead) % period * next / period;
                *self = Cycle::start(new, phase as u64, self.wants, now);
                if let Some(credit) = self.credit.first_mut()
                    && owing
                {
                    *credit += if minor == new_minor { excess } else { -excess };
                }
                true
            }
            (Kind::Many { weights: before, .. }, Kind::Many { weights, dwell }) if owing => {
                self.slice_end = self.slice_end.min(now + *dwell);
                before.len() == weights.len()
            }
            (Kind::Single(a), Kind::Single(b)) => a == b,
            _ => false,
        }
    }

    /// Skips this much of the cycle (µs), a part of each dwell from the next one on, and no more than `pace` of each.
    pub(crate) fn skip(&mut self, phase: u64, pace: u64) {
        (self.skip, self.pace) = (phase, pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SchedulerConfig;
    use crate::schedule::{Known, Member, Spread, spread};
    use alloc::collections::BTreeMap;
    use alloc::vec;
    use proptest::prelude::*;

    fn plan(weights: &[u32], min_switch: u64, slice: u64) -> Plan {
        let weights: Vec<u32> = weights.iter().map(|w| w * 10_000).collect();
        let (min_switch, slice) = (Span::secs(min_switch), Span::secs(slice));
        let config = SchedulerConfig { min_switch, slice, ..SchedulerConfig::with_weights(Vec::new()) };
        Plan::new(&weights, &config, 1)
    }

    /// Runs a fleet of rates on a plan; gives for each second the rate on pool 1 (B), and the number of switches. Steps are
    /// of 100 ms, so that rounding to steps is small beside a miner's place in the cycle.
    fn run(plan: &Plan, rates: &[u64], seconds: u64) -> (Vec<u64>, u64) {
        let period = plan.period();
        let seat = |seat| Cycle::start(plan, plan.phase_of(seat, Span::ZERO), PoolId(0), Time::ZERO);
        let mut cycles: Vec<Cycle> = (0u64..).zip(rates).map(|(n, _)| seat(n)).collect();
        let mut switches = 0;
        let mut on_b = vec![];
        let mut next_spread = 0;
        for step in 0..seconds * 10 {
            let now = Time::ZERO + Span::millis(100 * step);
            if step >= next_spread {
                let mut members: Vec<Member<usize>> = cycles
                    .iter()
                    .enumerate()
                    .map(|(id, c)| Member {
                        id,
                        known: Known { rate: u128::from(rates[id]), error: 0 },
                        phase: c.phase_at(plan, Some(c.wants()), now),
                    })
                    .collect();
                let Spread { skips, pace } = spread(&mut members, period);
                for (id, skip) in skips {
                    cycles[id].skip(skip, pace);
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
        let mut cycle = Cycle::start(&old, 25_000_000, PoolId(0), Time::ZERO);
        cycle.credit[0] = -i128::from(u32::MAX) * ONE * ONE;
        assert!(cycle.turn(&old, &new, false, Time::ZERO));
        assert!(cycle.credit[0] >= 0 && cycle.credit[0] <= new.band());
    }

    #[test]
    fn an_outage_is_repaid_up_to_the_limit() {
        let plan = plan(&[50, 50], 50, 30);
        let mut cycle = Cycle::start(&plan, 0, PoolId(0), Time::ZERO);
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
    fn a_pool_that_accepts_again_is_not_worked_for_too_long() {
        // A accepts half, so a dwell there takes twice as long; a moment later it accepts all.
        let plan = plan(&[50, 50], 50, 30);
        let mut cycle = Cycle::start(&plan, plan.period() / 2, PoolId(0), Time::ZERO);
        assert_eq!(cycle.wants(), PoolId(0));
        let mut now = Time::ZERO;
        let mut looks = 0;
        let mut acceptance = [WEIGHT_SUM / 2, WEIGHT_SUM];
        while cycle.wants() == PoolId(0) {
            now += cycle.until_switch(&plan, Some(PoolId(0)), &acceptance).unwrap();
            acceptance = [WEIGHT_SUM; 2];
            cycle.advance(&plan, now, Some(PoolId(0)), &acceptance);
            looks += 1;
        }
        assert_eq!((now.0, looks), (50_000_000, 1));
        // And if it goes on refusing, there are some looks and no more.
        let mut cycle = Cycle::start(&plan, plan.period() / 2, PoolId(0), now);
        let (start, acceptance) = (now, [WEIGHT_SUM / 2, WEIGHT_SUM]);
        let mut looks = 0;
        while cycle.wants() == PoolId(0) {
            now += cycle.until_switch(&plan, Some(PoolId(0)), &acceptance).unwrap();
            cycle.advance(&plan, now, Some(PoolId(0)), &acceptance);
            looks += 1;
        }
        assert_eq!(now.since(start).as_secs(), 100);
        assert!(looks < 8, "{looks}");
    }

    #[test]
    fn what_a_pool_refuses_is_made_up_for() {
        let plan = plan(&[50, 50], 50, 30);
        let mut cycle = Cycle::start(&plan, 0, PoolId(0), Time::ZERO);
        let mut worked = [0u64; 2];
        for second in 1..100_000 {
            let on = cycle.wants();
            worked[on.index()] += 1;
            cycle.advance(&plan, Time::ZERO + Span::secs(second), Some(on), &[WEIGHT_SUM, WEIGHT_SUM / 2]);
        }
        let ratio = worked[1] as f64 / worked[0] as f64;
        assert!((ratio - 2.0).abs() < 0.01, "half refused, twice the hashes: {ratio}");
    }

    #[test]
    fn many_pools_are_on_target_at_every_instant() {
        for (weights, miners) in [([50u32, 45, 5], 20usize), ([34, 33, 33], 10), ([70, 20, 10], 50)] {
            let plan = plan(&weights, 50, 30);
            let seat = |seat| Cycle::start(&plan, plan.phase_of(seat, Span::ZERO), PoolId(0), Time::ZERO);
            let mut cycles: Vec<Cycle> = (0..miners as u64).map(seat).collect();
            // Steps of a 128th of a slice: every slice ends at one, as the engine's timers have it.
            for step in 0..10_000u64 {
                let mut count = [0f64; 3];
                for cycle in &mut cycles {
                    let on = cycle.wants();
                    cycle.advance(&plan, Time::ZERO + Span(step * 390_625), Some(on), &[WEIGHT_SUM; 8]);
                    count[cycle.wants().index()] += 1.0;
                }
                for (count, weight) in count.iter().zip(weights) {
                    let off = count - miners as f64 * f64::from(weight) / 100.0;
                    // Two runs of slices in a row, each within two errors of Tijdeman's rule: 4 (1 − 1/4).
                    assert!(off.abs() <= 3.0, "{weights:?}: {off} miners off at step {step}");
                }
            }
        }
    }

    #[test]
    fn a_change_of_weights_moves_only_those_it_must() {
        for (before, after) in [(50u32, 49), (50, 51), (49, 51), (30, 20), (20, 80), (5, 95)] {
            let (old, new) = (plan(&[before, 100 - before], 50, 30), plan(&[after, 100 - after], 50, 30));
            let mut moved = 0;
            for i in 0..1_000 {
                let mut cycle = Cycle::start(&old, old.period() / 1_000 * i, PoolId(0), Time::ZERO);
                let on = cycle.wants();
                assert!(cycle.turn(&old, &new, false, Time::ZERO));
                moved += u32::from(cycle.wants() != on);
            }
            assert!(moved <= before.abs_diff(after) * 10 + 2, "{before} to {after}: {moved} of 1000 move");
        }
    }

    #[test]
    fn what_is_owed_outlasts_a_gentle_change() {
        let acceptance = [WEIGHT_SUM; 2];
        for (before, after) in [([60, 40], [59, 41]), ([51, 49], [49, 51])] {
            let (old, new) = (plan(&before, 50, 30), plan(&after, 50, 30));
            let mut cycle = Cycle::start(&old, 0, PoolId(0), Time::ZERO);
            let now = Time::ZERO + Span::mins(30);
            cycle.advance(&old, now, Some(PoolId(0)), &acceptance);
            let owed = cycle.until_switch(&old, Some(PoolId(1)), &acceptance).unwrap();
            assert!(cycle.turn(&old, &new, true, now));
            assert_eq!(cycle.wants(), PoolId(1));
            let still = cycle.until_switch(&new, Some(PoolId(1)), &acceptance).unwrap();
            assert!(owed.as_secs().abs_diff(still.as_secs()) < 120, "{owed:?} {still:?}");
        }
    }

    proptest! {
        #[test]
        fn three_pools_stay_within_tijdemans_bound(a in 1u32..98, b in 1u32..98) {
            prop_assume!(a + b < 100);
            let plan = plan(&[a, b, 100 - a - b], 50, 30);
            let mut cycle = Cycle::start(&plan, 0, PoolId(0), Time::ZERO);
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
            let mut cycle = Cycle::start(&plan, 0, PoolId(0), Time::ZERO);
            let mut now = Time::ZERO;
            let acceptance = [WEIGHT_SUM; 2];
            for skip in skips {
                cycle.skip(skip % plan.period(), plan.period());
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
