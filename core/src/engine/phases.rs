//! Where in the common cycle each miner is, so that all of them together are on target at every instant.

use alloc::vec::Vec;

use super::state::Engine;
use crate::ids::MinerId;
use crate::miner::Miner;
use crate::rate::Estimate;
use crate::schedule::{Cycle, Known, Member, Spread, WHOLE, spread};
use crate::time::{Span, Time};

/// The phases of the fleet are spread again at most this often.
const SPREAD_EVERY: Span = Span::secs(20);

impl Engine {
    /// A miner's hash rate; if nothing is known of it, that of the average miner.
    pub(super) fn rate_or_average(&self, miner: &Miner, now: Time) -> i128 {
        miner.hash_rate(now).map_or(self.fleet.average, |e| e.rate.0 as i128).max(1)
    }

    /// Gives these miners places in the common plan by hash rate, so that the fleet is on target at once, with as few
    /// switches as that needs.
    pub(super) fn seat_all(&mut self, mut ids: Vec<MinerId>, now: Time) {
        let minor = self.plans.normal.minor();
        let works = |id: &MinerId| self.miners.get(id).and_then(Miner::working_for);
        ids.sort_by_key(|id| (minor.is_some() && works(id) != minor, *id));
        let rate = |id: &MinerId| self.miners.get(id).map_or(1, |m| self.rate_or_average(m, now));
        let rates: Vec<i128> = ids.iter().map(rate).collect();
        let all = rates.iter().sum::<i128>().max(1);
        let fallback = self.last_resort();
        let mut before = 0;
        for (n, (id, rate)) in (0u64..).zip(ids.into_iter().zip(rates)) {
            let middle = part_of(before + rate / 2, all);
            before += rate;
            let Some(miner) = self.miners.get(&id) else { continue };
            let plan = self.plan_for(miner);
            let phase = if plan.is_pair() {
                (middle.unsigned_abs() * u128::from(plan.period()) / WHOLE.unsigned_abs()) as u64
            } else {
                plan.phase_of(n, now.since(self.fleet.origin))
            };
            let cycle = Cycle::start(plan, phase, fallback, now);
            if let Some(miner) = self.miners.get_mut(&id) {
                miner.cycle = Some(cycle);
            }
        }
    }

    /// Spreads the phases of the miners again, if it is time to: those who lead by too little cut their next dwells.
    pub(super) fn spread_fleet(&mut self, now: Time) {
        let plan = &self.plans.normal;
        if now < self.spread_from || !plan.is_pair() {
            return;
        }
        let period = plan.period();
        let divides = |m: &&Miner| m.ready() && !m.must_reconnect() && m.own_plan.is_none();
        let mut members: Vec<Member<MinerId>> = Vec::new();
        let mut unknown: Vec<usize> = Vec::new();
        for miner in self.miners.values().filter(divides) {
            let Some(cycle) = &miner.cycle else { continue };
            let known = miner.hash_rate(now).map(Estimate::known).unwrap_or_default();
            if known.rate == 0 {
                unknown.push(members.len());
            }
            members.push(Member { id: miner.id, known, phase: cycle.phase_at(plan, miner.working_for(), now) });
        }
        let count = (members.len() - unknown.len()).max(1) as u128;
        let average = (members.iter().map(|m| m.known.rate).sum::<u128>() / count).max(1);
        // A miner of which nothing is known yet counts like the average.
        for i in unknown {
            members[i].known = Known { rate: average, error: average };
        }
        let Spread { skips, pace } = spread(&mut members, period);
        self.spread_from = now + Span(period.saturating_mul(2)).min(Span::mins(60)).max(SPREAD_EVERY);
        for (id, skip) in skips {
            if let Some(cycle) = self.miners.get_mut(&id).and_then(|m| m.cycle.as_mut()) {
                cycle.skip(skip, pace);
            }
        }
    }
}

/// `part` of `all`, in units of [`WHOLE`].
pub(super) fn part_of(part: i128, all: i128) -> i128 {
    // Both are far below 2^127; a whole of more than 64 bits is precise enough by its highest 64.
    let shift = (128 - all.leading_zeros()).saturating_sub(64);
    (part >> shift) * WHOLE / (all >> shift).max(1)
}
