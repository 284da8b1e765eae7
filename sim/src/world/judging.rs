//! I6 in a world that has healed: the split of each miner's work, and of all together, against the weights.

use dpmp_core::config::Mode;

use super::model::{FleetSplit, Rule, Split};
use super::{Proxy, World};
use crate::pool::ShareCounts;

/// From the end of the last fault until the split is judged: back-off, handshake and the time that a flapping pool has to
/// prove itself.
const SETTLE_US: u64 = 240_000_000;

/// From the judge's own idea of what a pool accepts: an hour after a refusal most of it is forgotten.
const FORGET_US: f64 = 3.6e9;

/// What part of the submitted difficulty a pool accepts of late, by its own books: of the last two hundred shares or so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Accepts {
    refused: f64,
    /// The difficulty of a share, weighted by difficulty; 0 before the first.
    share: f64,
    /// The work that was judged, until it is as much as is remembered.
    work: f64,
    /// The pool's sums when it was last looked at, and when.
    seen: ShareCounts,
    seen_us: u64,
}

impl Accepts {
    fn look(&mut self, now: &ShareCounts, now_us: u64) {
        let rejected = now.rejected_difficulty - self.seen.rejected_difficulty;
        let all = now.accepted_difficulty - self.seen.accepted_difficulty + rejected;
        if all <= 0.0 {
            return;
        }
        let size = (now.squares - self.seen.squares) / all;
        if self.share == 0.0 {
            self.share = size;
        }
        let forgotten = ((now_us - self.seen_us) as f64 / FORGET_US).min(1.0);
        self.refused *= 1.0 - forgotten;
        self.share += forgotten * (size - self.share);
        if self.work < 200.0 * self.share {
            self.work += all;
            let before = self.share;
            self.share += all / self.work * (size - self.share);
            self.refused *= before.min(self.share) / self.share;
        }
        // One share of another kind is no more than a tenth of what is known.
        let submits = |counts: &ShareCounts| counts.by_reason.values().sum::<u64>();
        let most = 1.0 - libm::pow(0.9, (submits(now) - submits(&self.seen)) as f64);
        let news = (1.0 - libm::exp(-all / (200.0 * self.share))).min(most);
        self.refused += news * (rejected / all - self.refused);
        self.share += news * (size - self.share);
        (self.seen, self.seen_us) = (now.clone(), now_us);
    }

    /// The proxy remembers nothing of what the pool refused.
    pub(super) fn forget(&mut self, now: &ShareCounts, now_us: u64) {
        *self = Accepts { seen: now.clone(), seen_us: now_us, ..Accepts::default() };
    }

    /// What a pool refuses is made up for down to half accepted.
    fn part(&self) -> f64 {
        (1.0 - self.refused).clamp(0.5, 1.0)
    }
}

/// What the split is judged by.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub(super) rule: Rule,
    pub(super) from_us: u64,
    /// What part of its work each pool accepts.
    pub(super) acceptance: Vec<f64>,
    weights: Vec<u32>,
    /// All miners together.
    fleet: FleetSplit,
}

impl<P: Proxy> World<P> {
    /// Begins to judge once all is healed, and reads what is read now and then.
    pub(super) fn judge(&mut self) {
        if self.judge.is_none() && self.spec.heal_us.is_some_and(|heal| self.now_us >= heal) {
            self.judge = self.start_judging();
        }
        for seat in &mut self.pools {
            seat.accepts.look(seat.pool.shares(), self.now_us);
        }
        if let Some(judge) = &mut self.judge {
            judge.acceptance = self.pools.iter().map(|seat| seat.accepts.part()).collect();
        }
        self.read_fleet();
    }

    /// The rule that the weights make now; none if there are not several pools to divide between.
    fn start_judging(&self) -> Option<Judge> {
        let weights = self.model.divided.clone();
        // Whole miners on one pool each are judged in tables of their own (`tests/split.rs`).
        if weights.len() < 2 || self.spec.config.scheduler.mode == Mode::Fleet {
            return None;
        }
        let rule = self.rule(&weights);
        // A debt of `repay` of work is paid back at the rate that the weights leave for it.
        let minor = rule.least();
        let repay = self.spec.config.scheduler.repay.0 as f64 * (1.0 - minor) / minor;
        let from_us = self.now_us + SETTLE_US + repay as u64;
        Some(Judge { rule, from_us, acceptance: vec![1.0; weights.len()], weights, fleet: FleetSplit::default() })
    }

    fn rule(&self, weights: &[u32]) -> Rule {
        let scheduler = &self.spec.config.scheduler;
        Rule::new(weights, scheduler.min_switch.0 as f64 / 1e6, scheduler.slice.0 as f64 / 1e6)
    }

    /// Miners that are held on one pool, and their rates, change the weights of the others: what was read by the old
    /// ones does not count any more.
    pub(super) fn follow_weights(&mut self) {
        if self.judge.as_ref().is_none_or(|judge| judge.weights == self.model.divided) {
            return;
        }
        (0..self.miners.len()).for_each(|miner| self.accrue(miner));
        let weights = self.model.divided.clone();
        let rule = self.rule(&weights);
        if let Some(judge) = &mut self.judge {
            (judge.rule, judge.weights, judge.fleet) = (rule, weights, FleetSplit::default());
        }
        for seat in &mut self.miners {
            let spoilt = seat.split.spoilt;
            seat.split = Split::default();
            seat.split.spoilt = spoilt;
        }
    }

    /// The readings of all miners at this instant.
    fn read_fleet(&mut self) {
        if self.judge.as_ref().is_none_or(|judge| self.now_us <= judge.from_us) {
            return;
        }
        (0..self.miners.len()).for_each(|miner| self.accrue(miner));
        let mut fleet = self.judge.as_mut().map(|judge| std::mem::take(&mut judge.fleet)).unwrap_or_default();
        let judged = self.miners.iter().enumerate().filter(|(index, _)| self.divides(*index));
        let readings = judged.map(|(index, seat)| (index, seat.miner.spec().hash_rate, &seat.split));
        fleet.read(readings);
        if let Some(judge) = &mut self.judge {
            judge.fleet = fleet;
        }
    }

    /// Nothing keeps this miner from dividing its work.
    fn divides(&self, index: usize) -> bool {
        let pinned = |name: &str| self.spec.config.scheduler.pins.contains_key(name);
        !self.model.apart.contains(&index) && !pinned(&self.miners[index].miner.spec().name)
    }

    /// I6 so far, in words.
    pub(super) fn split_breaches(&self) -> Vec<String> {
        let Some(judge) = &self.judge else { return Vec::new() };
        let weights = judge.rule.words();
        let words = |who: String, error: f64, bound: f64, seconds: f64| {
            format!("I6: {who}: {error:.1} s of work off {weights} in {seconds:.0} s, at most {bound:.1} s are allowed")
        };
        let all = judge.fleet.breach(&judge.rule);
        let all = all.map(|(error, bound, seconds)| words("all miners".into(), error, bound, seconds));
        let judged = self.miners.iter().enumerate().filter(|(i, _)| self.divides(*i));
        let each = judged.filter_map(|(i, seat)| {
            let (error, bound) = seat.split.breach(&judge.rule)?;
            Some(words(format!("miner {i}"), error, bound, seat.split.seconds))
        });
        each.chain(all).collect()
    }
}
