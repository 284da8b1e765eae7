//! What is looked at now and then instead of at a step: what must not last, and the split of the work once all is well.

use super::model::Rule;
use super::{Item, PoolSeat, Proxy, World};
use crate::pool::VersionRolling;

/// How often.
pub(super) const AUDIT_US: u64 = 5_000_000;
/// From the end of the last fault until the split is judged: back-off, handshake and the time that a flapping pool has to
/// prove itself.
const SETTLE_US: u64 = 240_000_000;
/// A pool that has been good for this long must be found.
const FOUND_US: u64 = 90_000_000;

/// What the split is judged by.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) rule: Rule,
    pub(super) from_us: u64,
    /// What part of its work each pool accepts.
    pub(super) acceptance: Vec<f64>,
}

impl<P: Proxy> World<P> {
    pub(super) fn audit(&mut self) {
        let now = self.now_us;
        self.at(now + AUDIT_US, Item::Audit);
        self.model.audit(now, &mut self.complaints);
        for pool in 0..self.pools.len() {
            let good = self.is_good(pool);
            if !good {
                self.pools[pool].good_since = now;
            }
        }
        let found = |seat: &PoolSeat| seat.good_since + FOUND_US <= now;
        let no_work = !self.pools.iter().any(found);
        let grants = |seat: &PoolSeat| matches!(seat.pool.spec().version_rolling, VersionRolling::Mask(1..));
        // One that is only there for a failover need not take a miner for good.
        let weighs = |pool: usize| self.model.weights.get(pool).is_some_and(|weight| *weight > 0);
        let no_mask = !self.pools.iter().enumerate().any(|(i, seat)| weighs(i) && found(seat) && grants(seat));
        for miner in 0..self.miners.len() {
            self.audit_miner(miner);
            let seat = &mut self.miners[miner];
            if no_work {
                seat.miner.no_work_until(now + 120_000_000);
            }
            let (refused, connects) = seat.miner.mask_refusals();
            let (new, before) = (refused - seat.mask_refusals.0, seat.mask_refusals.1);
            seat.mask_refusals = (refused, if no_mask { before } else { before + new });
            if seat.mask_refusals.1 > 10 + 2 * (connects - refused) {
                seat.mask_refusals.1 = 0;
                self.complaints
                    .push(now, || format!("masks: miner {miner} gets no mask, though a pool in use grants one"));
            }
        }
        if self.judge.is_none() && self.spec.heal_us.is_some_and(|heal| now >= heal) {
            self.judge = self.start_judging();
        }
        if let Some(judge) = &mut self.judge {
            for (to, seat) in judge.acceptance.iter_mut().zip(&self.pools) {
                let shares = seat.pool.shares();
                let accepted = shares.accepted() as f64 + 200.0;
                *to = accepted / (accepted + shares.rejected() as f64);
            }
        }
        self.note_first(false);
    }

    /// Up, reachable, in use.
    fn is_good(&self, pool: usize) -> bool {
        let seat = &self.pools[pool];
        seat.pool.is_up() && seat.held_until <= self.now_us && self.model.in_use(pool)
    }

    /// I5 over time: nobody stays without good work while a pool is there that could give it.
    fn audit_miner(&mut self, index: usize) {
        let now = self.now_us;
        let seat = &self.miners[index];
        let Some(side) = seat.conn.and_then(|id| self.model.side(id)) else { return };
        let good = |pool: usize| self.pools[pool].good_since + FOUND_US <= now && side.fits(pool);
        let wants = seat.miner.ready()
            && !side.clogged()
            && seat.held_until + 60_000_000 < now
            && !seat.works_for.is_some_and(|pool| self.pools[pool].pool.is_up() && self.pools[pool].held_until <= now)
            && (0..self.pools.len()).any(good);
        let silence = self.spec.config.pools.iter().map(|pool| pool.silence.0).max().unwrap_or(0);
        let seat = &mut self.miners[index];
        if !wants {
            seat.idle_since = None;
            return;
        }
        let since = *seat.idle_since.get_or_insert(now);
        if now >= since + silence + 60_000_000 {
            let seconds = (now - since) / 1_000_000;
            self.complaints
                .push(now, || format!("I5: miner {index} has no good work for {seconds} s, though a pool is up"));
            seat.idle_since = None;
        }
    }

    /// The rule that the weights make now; none if there are not two pools to divide between.
    fn start_judging(&self) -> Option<Judge> {
        let weights = &self.model.weights;
        let [a, b] = weights[..] else { return None };
        let weight = f64::from(b) / f64::from(a + b);
        let scheduler = &self.spec.config.scheduler;
        let (least, most) = (scheduler.slice.0.min(scheduler.min_switch.0) as f64, scheduler.min_switch.0 as f64);
        let minor = weight.min(1.0 - weight);
        let dwell = (most * 2.0 * minor).clamp(least, most).max(1e6) / 1e6;
        // A debt of `repay` of work is paid back at the rate that the weights leave for it.
        let repay = if minor > 0.0 { scheduler.repay.0 as f64 * (1.0 - minor) / minor } else { 0.0 };
        let from_us = self.now_us + SETTLE_US + repay as u64;
        Some(Judge { rule: Rule { weight, dwell }, from_us, acceptance: vec![1.0; 2] })
    }

    /// I6 so far, in words.
    pub(super) fn split_breaches(&self) -> Vec<String> {
        let Some(judge) = &self.judge else { return Vec::new() };
        let breaches = self.miners.iter().enumerate().filter(|(i, _)| !self.model.apart.contains(i));
        let breaches =
            breaches.filter_map(|(i, seat)| Some((i, seat.split, seat.split.breach(&judge.rule, &judge.acceptance)?)));
        breaches
            .map(|(i, split, (error, bound))| {
                let (seconds, weight) = (split.seconds, judge.rule.weight);
                format!("I6: miner {i}: {error:.1} s of work off {weight} in {seconds:.0} s, at most {bound:.1} s are allowed")
            })
            .collect()
    }

    /// Remembers when the first thing went wrong.
    pub(super) fn note_first(&mut self, peer_complains: bool) {
        if self.first.is_none() && (peer_complains || !self.complaints.is_empty()) {
            self.first = Some((self.steps, self.now_us));
        }
    }
}
