//! How work is divided among the miners as a whole: who obeys the common plan, who is held on one pool, who works wholly
//! for one, who swings; and what is remembered of a worker that comes back.
//!
//! Miners are looked at together ([`Engine::rebalance`]) when one comes, leaves or cannot work for a pool any more, and
//! once a minute while some are not divided alike; never at a share.

use alloc::vec::Vec;

use super::phases::part_of;
use super::state::{Engine, Plans, Returning};
use crate::action::ActionBuf;
use crate::config::{Mode, SchedulerConfig, WEIGHT_SUM, normalise};
use crate::ids::{MinerId, PoolId};
use crate::miner::{Miner, said};
use crate::notice::{Notice, PinTrouble, SwitchReason};
use crate::rate::{Estimate, HashRate};
use crate::schedule::{Cycle, Known, Part, Plan, Role, WHOLE, assign, even, needs};
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// Miners that are not all divided alike are looked at this often,
const BALANCE_EVERY: Span = Span::secs(60);
/// and so soon after one came or left: others may follow.
const BALANCE_SOON: Span = Span::secs(2);
/// What an outage left to be repaid is repaid at such a pace that it would take this time.
const REPAY_OVER_MS: i128 = 15 * 60 * 1000;
/// An error of the split below this part of the fleet is not worth a switch: a quarter of a percentage point.
const TOLERATED: i128 = WHOLE / 400;
/// How much of the differences of hash rates is taken for chance, in standard deviations: a mistake is soon made up for by
/// what the accounts say, so less than where phases are moved.
const CAUTION: u128 = 2;
/// Weights of those who divide their work are changed in steps of at least this (parts per million).
const LEAST_STEP: u32 = 2_500;
/// Likewise those of a single swing miner.
const LEAST_SWING: u32 = 10_000;
/// What cannot be had is said when it is off by more than this, and again when it changes by twice as much.
const WORTH_SAYING: i128 = 5_000;
/// Most workers that are remembered.
const MOST_WORKERS: usize = 4_096;

/// What counts of one miner when the fleet is divided.
struct Seen {
    id: MinerId,
    estimate: Option<Estimate>,
    allowed: u8,
    held: Option<PoolId>,
}

impl Engine {
    /// A miner is to get its first job: its place in the schedule.
    pub(super) fn join(&mut self, id: MinerId, now: Time) {
        let returning = self.miners.get_mut(&id).and_then(|m| m.cycle.take().or(m.returning.take()));
        if self.fleet.seats == 0 {
            self.fleet.origin = now;
        }
        let seat = self.fleet.seats;
        self.fleet.seats += 1;
        self.spread_from = self.spread_from.min(now);
        let Some(miner) = self.miners.get(&id) else { return };
        let held = self.held(miner);
        let fleet = self.divides_by_miner();
        let own_plan = match held {
            Some(pool) => Some(Plan::only(pool)),
            None if fleet => self.first_home(miner, returning.as_ref(), now).map(Plan::only),
            None => None,
        };
        let phase = |plan: &Plan| plan.phase_of(seat, now.since(self.fleet.origin));
        let cycle = match &own_plan {
            Some(plan) => Cycle::start(plan, 0, self.last_resort(), now),
            None => {
                let plan = self.plan_for(miner);
                let returning = returning.filter(|cycle| cycle.fits(plan));
                returning.unwrap_or_else(|| Cycle::start(plan, phase(plan), self.last_resort(), now))
            }
        };
        if held.is_some() || fleet {
            self.balance_soon(now);
        }
        if let (Some(pool), true) = (own_plan.as_ref().and_then(Plan::single), fleet) {
            self.take_room(id, pool, now);
        }
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.own_plan = own_plan;
            miner.swings = false;
            miner.cycle = Some(cycle);
        }
    }

    /// A miner has left, or will not get work any more.
    pub(super) fn leave(&mut self, miner: &mut Miner, now: Time) {
        miner.rate.pause(now);
        self.spread_from = self.spread_from.min(now);
        if miner.own_plan.is_some() {
            self.balance_soon(now);
        }
        if !self.miners.values().any(|m| m.cycle.is_some()) {
            self.fleet.seats = 0;
        }
        if !miner.worker.is_empty() && (miner.rate.is_known() || miner.cycle.is_some()) {
            self.remember(miner);
        }
    }

    fn remember(&mut self, miner: &Miner) {
        let workers = &mut self.fleet.workers;
        if workers.len() >= MOST_WORKERS && !workers.contains_key(&miner.worker) {
            let oldest = workers.iter().min_by_key(|(_, w)| w.number).map(|(worker, _)| worker.clone());
            oldest.and_then(|worker| workers.remove(&worker));
        }
        self.fleet.left += 1;
        let cycle = miner.cycle.clone().filter(|_| !miner.must_reconnect());
        let known = Returning { number: self.fleet.left, rate: miner.rate.clone(), cycle };
        workers.insert(miner.worker.clone(), known);
    }

    /// A worker has authorised: what is known of it from before.
    pub(super) fn recognise(&mut self, id: MinerId, now: Time) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if let Some(known) = self.fleet.workers.remove(&miner.worker) {
            miner.rate = known.rate;
            miner.returning = known.cycle.map(|cycle| cycle.resumed(now));
        }
    }

    /// In fleet mode, where a new miner works until the fleet is looked at: where it was, or where most is missing.
    fn first_home(&self, miner: &Miner, returning: Option<&Cycle>, now: Time) -> Option<PoolId> {
        let allowed = self.allowed(miner);
        let was = returning.map(Cycle::wants).filter(|pool| allowed & bit(*pool) != 0);
        let rate = self.rate_or_average(miner, now);
        let room = |pool: PoolId| self.fleet.room.get(pool.index()).copied().unwrap_or(0) + self.weighted(pool, rate);
        let most =
            self.config.pool_ids().filter(|p| allowed & bit(*p) != 0).max_by_key(|p| (room(*p), -i16::from(p.0)));
        was.or(most)
    }

    fn take_room(&mut self, id: MinerId, pool: PoolId, now: Time) {
        let Some(miner) = self.miners.get(&id) else { return };
        let rate = self.rate_or_average(miner, now);
        self.fleet.room.resize(self.config.pools.len(), 0);
        for p in self.config.pool_ids() {
            let change = self.weighted(p, rate) - if p == pool { rate } else { 0 };
            self.fleet.room[p.index()] += change;
        }
    }

    fn weighted(&self, pool: PoolId, rate: i128) -> i128 {
        i128::from(self.config.scheduler.weights.get(pool.index()).copied().unwrap_or(0)) * rate
            / i128::from(WEIGHT_SUM)
    }

    /// Where a miner works if no pool has a weight.
    pub(super) fn last_resort(&self) -> PoolId {
        self.config.scheduler.failover.unwrap_or(PoolId(0))
    }

    /// Whole miners are placed, and there is something to divide.
    fn divides_by_miner(&self) -> bool {
        self.config.scheduler.mode == Mode::Fleet && self.several_weights()
    }

    fn several_weights(&self) -> bool {
        self.config.scheduler.weights.iter().filter(|w| **w > 0).count() > 1
    }

    /// The pools with weight that a miner can work for, a bit each.
    fn allowed(&self, miner: &Miner) -> u8 {
        let weight = |pool: PoolId| self.config.scheduler.weights.get(pool.index()).copied().unwrap_or(0);
        self.config
            .pool_ids()
            .filter(|pool| weight(*pool) > 0)
            .filter(|pool| !miner.held_off.contains_key(pool))
            .filter(|pool| miner.held_to.is_none_or(|only| only == *pool || !self.config.in_use(only)))
            .fold(0, |mask, pool| mask | bit(pool))
    }

    /// The one pool that all the work of a miner goes to: its worker is pinned there, or it can work for no other.
    fn held(&self, miner: &Miner) -> Option<PoolId> {
        if !self.several_weights() {
            return None;
        }
        let allowed = self.allowed(miner);
        let pin = self.config.scheduler.pins.get(&*miner.worker).filter(|pool| allowed & bit(**pool) != 0);
        let only = || (allowed.count_ones() == 1).then(|| PoolId(allowed.trailing_zeros() as u8));
        pin.copied().or_else(only)
    }

    /// Something has changed that may be a reason to divide the fleet anew.
    pub(super) fn balance_soon(&mut self, now: Time) {
        let soon = now + BALANCE_SOON;
        if self.timers.at(TimerKind::Balance).is_none_or(|at| at > soon) {
            self.timers.set(TimerKind::Balance, soon);
        }
    }

    /// Its timer: looks at the fleet, and moves those who are to work elsewhere.
    pub(super) fn balance(&mut self, now: Time, out: &mut ActionBuf) {
        let moved = self.rebalance(false, now, out);
        for id in moved {
            self.place(id, SwitchReason::Balance, now, out);
        }
    }

    /// Divides the fleet anew. `operator`: the weights, the mode, the pins or the pools are others than before; what was
    /// owed by the old ones is forgotten. Gives those whose plan has changed; they are to be placed.
    pub(super) fn rebalance(&mut self, operator: bool, now: Time, out: &mut ActionBuf) -> Vec<MinerId> {
        let acceptance = self.acceptance();
        let all: Vec<MinerId> = self.miners.keys().copied().collect();
        all.into_iter().for_each(|id| self.settle(id, &acceptance, now));
        let mut seen: Vec<Seen> = self
            .miners
            .values()
            .filter(|m| m.ready() && m.cycle.is_some())
            .map(|m| Seen { id: m.id, estimate: m.hash_rate(now), allowed: self.allowed(m), held: self.held(m) })
            .collect();
        even_out(&mut seen);
        self.fleet.rates = seen.iter().filter_map(|s| Some((s.id, s.estimate?.rate))).collect();
        let pools = self.config.pools.len();
        if operator || self.fleet.owed.len() != pools {
            self.fleet.owed = alloc::vec![0; pools];
        }
        self.fleet.room = alloc::vec![0; pools];
        // One alone divides its own work: nobody else makes up for what it owes.
        let fleet = self.divides_by_miner() && seen.iter().filter(|s| s.held.is_none()).count() != 1;
        self.repay(fleet, now);
        let any_held = seen.iter().any(|s| s.held.is_some());
        let weights = self.config.scheduler.weights.clone();
        let (parts, owed) = self.measure(&seen);
        let mut held = alloc::vec![0i128; pools];
        let mut noise = alloc::vec![0i128; pools];
        for (part, seen) in parts.iter().zip(&seen) {
            if let Some(pool) = seen.held {
                held[pool.index()] += part.rate;
                noise[pool.index()] += part.variance;
            }
        }
        let free = parts.iter().zip(&seen).filter(|(_, s)| s.held.is_none()).map(|(p, _)| p.rate).sum::<i128>();
        let calm = needs(&weights, &held, free, &[]);
        self.say_unmet(&held, &noise, &calm, out);
        let wanted = needs(&weights, &held, free, &owed);
        let common = if fleet || free == 0 || !any_held && owed.iter().all(|o| *o == 0) {
            weights.clone()
        } else {
            let wanted: Vec<u128> = wanted.iter().map(|n| u128::try_from(*n).unwrap_or(0)).collect();
            normalise(&wanted).unwrap_or(weights)
        };
        let turned = self.follow(common, operator, now, out);
        let mut moved =
            if fleet { self.assign_roles(&seen, parts, &wanted, operator, now) } else { self.hold_some(&seen, now) };
        if turned {
            moved = seen.into_iter().map(|s| s.id).collect();
        }
        if (fleet || any_held) && !self.miners.is_empty() {
            self.timers.set(TimerKind::Balance, now + BALANCE_EVERY);
        } else {
            self.timers.cancel(TimerKind::Balance);
        }
        moved
    }

    /// What is owed is less by what those who divide their own work have repaid since the last time: their weights were
    /// shifted by it, and nobody counts what they do. Where whole miners are placed, each is counted.
    fn repay(&mut self, fleet: bool, now: Time) {
        let passed_ms = ((now.since(self.fleet.divided).0 / 1_000) as i128).min(REPAY_OVER_MS);
        match (self.fleet.whole, fleet) {
            (true, true) => {}
            // The last one that is not held goes on by what it knows of itself.
            (true, false) => self.fleet.owed.fill(0),
            (false, _) => self.fleet.owed.iter_mut().for_each(|owed| *owed -= *owed / REPAY_OVER_MS * passed_ms),
        }
        (self.fleet.whole, self.fleet.divided) = (fleet, now);
    }

    /// All miners as parts of the whole, and what each pool is owed; remembers what is aimed at.
    fn measure(&mut self, seen: &[Seen]) -> (Vec<Part<MinerId>>, Vec<i128>) {
        let known = seen.iter().filter_map(|s| s.estimate).filter(|e| e.rate.0 > 0);
        let (sum, count) = known.fold((0i128, 0i128), |(sum, n), e| (sum + e.rate.0 as i128, n + 1));
        self.fleet.average = (sum / count.max(1)).max(1);
        // A miner of which nothing is known yet counts like the average.
        let rates = |s: &Seen| s.estimate.map_or(self.fleet.average, |e| e.rate.0 as i128);
        let all: i128 = seen.iter().map(rates).sum::<i128>().max(1);
        let parts: Vec<Part<MinerId>> = seen
            .iter()
            .filter_map(|s| {
                let miner = self.miners.get(&s.id)?;
                let rate = part_of(rates(s), all);
                let role = match miner.own_plan.as_ref() {
                    Some(plan) if !miner.swings => plan.single().map_or(Role::New, Role::Whole),
                    _ => Role::New,
                };
                Some(Part {
                    id: s.id,
                    rate,
                    variance: rate * rate / i128::from(s.estimate.map_or(1, |e| e.shares.clamp(1, 1 << 30))),
                    role,
                    on: miner.working_for(),
                    allowed: s.allowed,
                    dear: miner.must_reconnect(),
                })
            })
            .collect();
        let scheduler = &self.config.scheduler;
        let repay_ms = (scheduler.repay.0 / 1_000) as i128;
        for (owed, weight) in self.fleet.owed.iter_mut().zip(&scheduler.weights) {
            let most = all / i128::from(WEIGHT_SUM) * i128::from(*weight);
            *owed = (*owed).clamp(-(all - most).saturating_mul(repay_ms), most.saturating_mul(repay_ms));
        }
        let pace = |owed: &i128| part_of(*owed / REPAY_OVER_MS, all).clamp(-2 * WHOLE, 2 * WHOLE);
        let owed = self.fleet.owed.iter().map(pace).map(|o| if o.abs() < TOLERATED / 4 { 0 } else { o }).collect();
        (parts, owed)
    }

    /// Puts these weights in force for those who divide their work; true if they are others than before.
    fn follow(&mut self, weights: Vec<u32>, operator: bool, now: Time, out: &mut ActionBuf) -> bool {
        let before = &self.plans.weights;
        let step = before.iter().zip(&weights).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        let some_start = before.iter().zip(&weights).any(|(a, b)| (*a == 0) != (*b == 0));
        if !operator && before.len() == weights.len() && step < LEAST_STEP && !(some_start && step > 0) {
            return false;
        }
        let changed = *before != weights;
        self.replan(weights.clone(), !operator, now);
        // New weights were just told as they are set; that others are in force is told after that even if they were before.
        if if operator { weights != self.config.scheduler.weights } else { changed } {
            out.notice(Notice::Rebalanced { weights: weights.into() });
        }
        true
    }

    /// New plans for those who divide their work; each keeps its relative place in the cycle. `owing`: and what is to be
    /// repaid.
    fn replan(&mut self, weights: Vec<u32>, owing: bool, now: Time) {
        let old = core::mem::replace(&mut self.plans, Plans::of(&self.config, weights));
        self.fleet.workers.values_mut().for_each(|w| w.cycle = None);
        self.visitors.values_mut().for_each(|v| v.returning.clear());
        let mut anew = Vec::new();
        for miner in self.miners.values_mut().filter(|m| m.own_plan.is_none()) {
            let slow = miner.must_reconnect();
            let (old, new) = if slow { (&old.slow, &self.plans.slow) } else { (&old.normal, &self.plans.normal) };
            miner.returning = None;
            if let Some(cycle) = miner.cycle.as_mut()
                && !cycle.turn(old, new, owing, now)
            {
                anew.push(miner.id);
            }
        }
        self.seat_all(anew, now);
        self.spread_from = now;
    }

    /// Every miner divides its work by the common plan, save those that are held on one pool.
    fn hold_some(&mut self, seen: &[Seen], now: Time) -> Vec<MinerId> {
        let mut moved = Vec::new();
        let mut freed = Vec::new();
        for s in seen {
            let plan = s.held.map(Plan::only);
            let Some(miner) = self.miners.get_mut(&s.id) else { continue };
            if miner.own_plan == plan {
                continue;
            }
            moved.push(s.id);
            miner.swings = false;
            miner.own_plan = plan;
            match &miner.own_plan {
                Some(plan) => miner.cycle = Some(Cycle::start(plan, 0, PoolId(0), now)),
                None => freed.push(s.id),
            }
        }
        self.seat_all(freed, now);
        moved
    }

    /// Fleet mode: gives each miner its role.
    fn assign_roles(
        &mut self,
        seen: &[Seen],
        parts: Vec<Part<MinerId>>,
        wanted: &[i128],
        operator: bool,
        now: Time,
    ) -> Vec<MinerId> {
        let (mut free, held): (Vec<_>, Vec<_>) =
            parts.into_iter().zip(seen).filter(|(part, _)| part.allowed != 0).partition(|(_, s)| s.held.is_none());
        let mut parts: Vec<Part<MinerId>> = free.drain(..).map(|(part, _)| part).collect();
        assign(&mut parts, wanted, if operator { 0 } else { TOLERATED });
        let held = held.into_iter().filter_map(|(part, s)| Some((part.id, Role::Whole(s.held?))));
        let all: Vec<(MinerId, Role)> = parts.into_iter().map(|p| (p.id, p.role)).chain(held).collect();
        all.into_iter().filter(|(id, role)| self.give_role(*id, role, operator, now)).map(|(id, _)| id).collect()
    }

    /// True if that changes something.
    fn give_role(&mut self, id: MinerId, role: &Role, operator: bool, now: Time) -> bool {
        let Some(miner) = self.miners.get(&id) else { return false };
        let (plan, swings) = match role {
            Role::New => return false,
            Role::Whole(pool) => (Plan::only(*pool), false),
            Role::Swing(weights) => (self.plans.like(weights, &self.config, miner.must_reconnect()), true),
        };
        let pools = self.config.pools.len();
        let cycle = match miner.own_plan.as_ref().filter(|_| miner.swings && swings) {
            Some(old) => {
                let step = old.weights(pools).iter().zip(plan.weights(pools)).map(|(a, b)| a.abs_diff(b)).max();
                let Some(mut cycle) = miner.cycle.clone() else { return false };
                if !operator && step.unwrap_or(0) < LEAST_SWING {
                    return false;
                }
                if !cycle.turn(old, &plan, true, now) {
                    cycle = Cycle::going_on(&plan, miner.working_for().unwrap_or(PoolId(0)), now);
                }
                cycle
            }
            None if miner.own_plan.as_ref() == Some(&plan) && miner.swings == swings => return false,
            None => Cycle::going_on(&plan, miner.working_for().unwrap_or(PoolId(0)), now),
        };
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.cycle = Some(cycle);
            miner.own_plan = Some(plan);
            miner.swings = swings;
        }
        true
    }

    /// Accounts for what a miner did until now.
    pub(super) fn settle(&mut self, id: MinerId, acceptance: &[u32], now: Time) {
        self.account(id, acceptance, now);
        let Some(miner) = self.miners.get(&id) else { return };
        let Some(mut cycle) = miner.cycle.clone() else { return };
        cycle.advance(self.plan_for(miner), now, miner.working_for(), acceptance);
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.cycle = Some(cycle);
        }
    }

    /// Counts what a miner did since it was last asked, where others have to make up for it: it is held on a pool that was
    /// out, or whole miners are placed.
    fn account(&mut self, id: MinerId, acceptance: &[u32], now: Time) {
        let Some(miner) = self.miners.get(&id) else { return };
        let (Some(plan), Some(cycle), Some(on)) = (&miner.own_plan, &miner.cycle, miner.working_for()) else { return };
        // As it was counted when its place was found: what became known since is no fault of the pools.
        let Some(rate) = self.fleet.rates.get(&id).copied().or_else(|| Some(miner.hash_rate(now)?.rate)) else {
            return;
        };
        let passed_ms = (now.since(cycle.since()).0 / 1_000) as i128;
        let accepted = acceptance.get(on.index()).copied().unwrap_or(WEIGHT_SUM);
        let done = (rate.0 as i128).saturating_mul(passed_ms) / i128::from(WEIGHT_SUM) * i128::from(accepted);
        let aims = if self.fleet.whole { None } else { plan.single() };
        for (p, owed) in self.fleet.owed.iter_mut().enumerate() {
            let due = match aims {
                Some(pool) => i128::from(pool.index() == p) * i128::from(WEIGHT_SUM),
                None => i128::from(self.fleet.aim.get(p).copied().unwrap_or(0)),
            };
            let got = if on.index() == p { done } else { 0 };
            *owed = owed.saturating_add(done / i128::from(WEIGHT_SUM) * due).saturating_sub(got);
        }
    }

    /// Says when more is held on a pool than its weight, and what split comes of it.
    fn say_unmet(&mut self, held: &[i128], noise: &[i128], free: &[i128], out: &mut ActionBuf) {
        let all = (held.iter().sum::<i128>() + free.iter().sum::<i128>()).max(1);
        let ppm = |part: i128| part * i128::from(WEIGHT_SUM) / all;
        let nearest: Vec<u32> = held.iter().zip(free).map(|(h, f)| ppm(h + f) as u32).collect();
        self.fleet.aim = if all > 1 { nearest.clone() } else { self.config.scheduler.weights.clone() };
        let weights = &self.config.scheduler.weights;
        let over = |p: usize| {
            let sure = ppm(held[p] - 2 * noise[p].max(0).isqrt());
            (sure > i128::from(weights[p]) + WORTH_SAYING).then_some((ppm(held[p]), p))
        };
        let worst = (0..held.len().min(weights.len())).filter_map(over).max();
        match (worst, &self.fleet.said_unmet) {
            (Some((held, pool)), said) => {
                let news = |said: &Vec<u32>| {
                    let steps = said.iter().zip(&nearest).map(|(a, b)| i128::from(a.abs_diff(*b)));
                    said.len() != nearest.len() || steps.max().unwrap_or(0) > 2 * WORTH_SAYING
                };
                if said.as_ref().is_none_or(news) {
                    out.notice(Notice::WeightsUnmet {
                        pool: PoolId(pool as u8),
                        held: held as u32,
                        weights: weights.as_slice().into(),
                        nearest: nearest.as_slice().into(),
                    });
                    self.fleet.said_unmet = Some(nearest);
                }
            }
            (None, Some(_)) => {
                self.fleet.said_unmet = None;
                out.notice(Notice::WeightsMet);
            }
            (None, None) => {}
        }
    }

    /// Says what the config asks for in vain, and how long dwells are: at the start, and when it changes.
    pub(super) fn say_schedule(&mut self, old: Option<&SchedulerConfig>, out: &mut ActionBuf) {
        let scheduler = &self.config.scheduler;
        let (dwell, why) = self.plans.normal.dwell(scheduler);
        let said = (scheduler.min_switch, scheduler.slice, dwell, why);
        if self.fleet.said_dwell != Some(said) {
            self.fleet.said_dwell = Some(said);
            let (min_switch, slice) = (scheduler.min_switch, scheduler.slice);
            out.notice(Notice::DwellsInForce { min_switch, slice, dwell, why });
        }
        if old.is_some_and(|old| old.pins == scheduler.pins && old.weights == scheduler.weights) {
            return;
        }
        for (worker, pool) in &scheduler.pins {
            let why = match scheduler.weights.get(pool.index()) {
                None => PinTrouble::NoSuchPool,
                Some(0) => PinTrouble::NoWeight,
                Some(_) => continue,
            };
            out.notice(Notice::PinIgnored { worker: worker.as_str().into(), pool: *pool, why });
        }
    }

    /// A pool cannot be worked for by this miner any more: its pin there is not obeyed, and others make up for it.
    pub(super) fn kept_off(&mut self, id: MinerId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        self.balance_soon(now);
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let pinned = self.config.scheduler.pins.get(&*miner.worker) == Some(&pool);
        if pinned && miner.say(said::PIN) {
            out.notice(Notice::PinIgnored { worker: miner.worker.clone(), pool, why: PinTrouble::HeldOff });
        }
    }
}

/// Equal machines count as equal.
fn even_out(seen: &mut [Seen]) {
    let mut known: Vec<Known> = seen.iter().map(|s| s.estimate.unwrap_or_default().known()).collect();
    even(known.iter_mut().filter(|known| known.rate > 0), CAUTION);
    for (s, known) in seen.iter_mut().zip(known) {
        if let Some(estimate) = s.estimate.as_mut().filter(|_| known.rate > 0) {
            let in_errors = known.rate / known.error.max(1);
            estimate.rate = HashRate(known.rate);
            estimate.shares = u64::try_from(in_errors.saturating_mul(in_errors)).unwrap_or(u64::MAX).max(1);
        }
    }
}

fn bit(pool: PoolId) -> u8 {
    1u8.checked_shl(u32::from(pool.0)).unwrap_or(0)
}
