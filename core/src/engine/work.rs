//! Which pool a miner works for, and until when. Everything that may change the answer calls [`Engine::place`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::issue::{Issue, KEEP_ALIVE};
use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::ids::{Conn, GroupId, MinerId, PoolId, UpstreamId};
use crate::miner::{Layout, Miner, Working, said};
use crate::notice::{HeldOff, JobReason, Notice, SwitchReason};
use crate::schedule::{Member, spread, widest_gap};
use crate::stratum::encode;
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// The phases of the fleet are spread again at most this often.
const SPREAD_EVERY: Span = Span::secs(20);

/// A miner is made to subscribe again for a pool that has changed at most this often.
const RENEGOTIATE_EVERY: Span = Span::mins(10);
/// Most miners of one address that are remembered between two connections.
const MOST_AT_ONE_ADDRESS: usize = 256;

/// How good a pool is for a miner, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Usable,
    /// It has come back only now, after several outages.
    Unproven,
    /// It does not answer, but its connection stands.
    Held,
    /// It has lost its weight a moment ago, and still has the work that it had.
    Retired,
    /// The miner rolls version bits outside its mask: only what it does not roll can be accepted.
    Unfit,
}

impl Engine {
    /// Decides which pool the miner works for now, and sends it a job if that is another one than before. `why` is what
    /// made it worth asking.
    pub(super) fn place(&mut self, id: MinerId, why: SwitchReason, now: Time, out: &mut ActionBuf) {
        let acceptance = self.acceptance();
        let Some(miner) = self.miners.get(&id).filter(|m| m.ready()) else { return };
        let on = miner.working_for();
        let known = miner.cycle.clone();
        if known.is_none() {
            self.spread_from = self.spread_from.min(now);
        }
        let Some(miner) = self.miners.get(&id) else { return };
        let mut cycle = known.unwrap_or_else(|| self.first_cycle(miner, now));
        cycle.advance(self.plan_for(miner), now, on, &acceptance);
        let wants = cycle.wants();
        let target = self.choose(miner, wants);
        let working = miner.working;
        let elsewhere = self.better_elsewhere(miner, wants, target.is_some());
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.cycle = Some(cycle);
        }
        if elsewhere {
            return self.resubscribe(id, now, out);
        }
        match target {
            Some((pool, upstream)) => {
                if working.is_none_or(|w| w.upstream != upstream) {
                    self.switch(id, pool, upstream, why, now, out);
                } else if working.is_some_and(|w| w.job.is_none()) {
                    // Its first job could not be sent as it was; now there is no other choice.
                    self.issue(id, true, JobReason::Switch, now, out);
                }
            }
            None => self.idle(id, now, out),
        }
        self.arm_dwell(id, now);
    }

    /// Where a new miner enters the schedule.
    fn first_cycle(&self, miner: &Miner, now: Time) -> crate::schedule::Cycle {
        let plan = self.plan_for(miner);
        let mut phases: Vec<u64> =
            self.miners.values().filter_map(|m| m.cycle.as_ref()).map(|c| c.phase(plan)).collect();
        let fallback = self.config.scheduler.failover.unwrap_or(PoolId(0));
        plan.start(widest_gap(&mut phases, plan.period()), fallback, now)
    }

    /// The pool that a miner works for if the schedule wants `wants`: that one if it can be, else the best of the others;
    /// among equals the one with the largest weight.
    fn choose(&self, miner: &Miner, wants: PoolId) -> Option<(PoolId, UpstreamId)> {
        let weight = |pool: PoolId| self.config.scheduler.weights.get(pool.index()).copied().unwrap_or(0);
        self.config
            .pool_ids()
            .filter_map(|pool| self.rank(miner, pool).map(|(rank, upstream)| (rank, pool, upstream)))
            .min_by_key(|(rank, pool, _)| (*rank, *pool != wants, u32::MAX - weight(*pool), *pool))
            .map(|(_, pool, upstream)| (pool, upstream))
    }

    /// A miner that can only change over by subscribing again should do so: the schedule wants another pool, or its own
    /// has no work and another seems to.
    fn better_elsewhere(&self, miner: &Miner, wants: PoolId, has_work: bool) -> bool {
        let Layout::Own { pool: own, .. } = miner.layout else { return false };
        if !miner.must_reconnect() || miner.held_to.is_some() {
            return false;
        }
        let trying = miner.group.is_some_and(|g| self.upstream_of(g, own).is_some());
        if has_work {
            wants != own && self.pool_seems_up(wants)
        } else if trying {
            false
        } else {
            self.config.pool_ids().any(|pool| pool != own && self.pool_seems_up(pool))
        }
    }

    /// The pool is in use, and the last that was heard of it was no failure.
    pub(super) fn pool_seems_up(&self, pool: PoolId) -> bool {
        self.config.in_use(pool) && self.facts.get(pool.index()).is_some_and(|f| !f.suspect)
    }

    fn rank(&self, miner: &Miner, pool: PoolId) -> Option<(Rank, UpstreamId)> {
        let group = miner.group?;
        let link = self.groups.get(&group)?.links.get(pool.index())?;
        let retired = !self.config.in_use(pool);
        if retired && (miner.working_for() != Some(pool) || link.retired_until.is_none_or(|t| self.now >= t))
            || miner.held_off.get(&pool).is_some_and(|why| *why != HeldOff::VersionMask)
            // A pool without weight holds nobody.
            || miner.held_to.is_some_and(|only| only != pool && self.config.in_use(only))
        {
            return None;
        }
        let upstream = self.upstream_of(group, pool).filter(|u| u.has_work())?;
        let rank = if miner.held_off.contains_key(&pool) {
            Rank::Unfit
        } else if retired {
            Rank::Retired
        } else if link.held.is_some() {
            Rank::Held
        } else if self.now < link.trusted_from {
            Rank::Unproven
        } else {
            Rank::Usable
        };
        Some((rank, upstream.id))
    }

    /// True if some pool other than `pool` has work for the group's miners.
    pub(super) fn other_alive(&self, miner: &Miner, pool: PoolId) -> bool {
        self.config.pool_ids().any(|other| other != pool && self.rank(miner, other).is_some())
    }

    fn switch(
        &mut self,
        id: MinerId,
        pool: PoolId,
        upstream: UpstreamId,
        why: SwitchReason,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let from = miner.working_for();
        miner.working = Some(Working { pool, upstream, job: None });
        miner.said &= !said::IDLE;
        if from != Some(pool) {
            let why = match from {
                None if !miner.any_job() => SwitchReason::First,
                None if why == SwitchReason::Schedule => SwitchReason::Return,
                _ => why,
            };
            out.notice(Notice::PoolSwitched { who: miner.who(), from, to: pool, why });
        }
        let group = miner.group;
        self.issue(id, true, JobReason::Switch, now, out);
        if let (Some(group), Some(from)) = (group, from.filter(|from| !self.config.in_use(*from))) {
            self.close_retired(group, from, now, out);
        }
    }

    /// Closes the connection to a pool that has lost its weight, if none of the group works for it any more.
    pub(super) fn close_retired(&mut self, group: GroupId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        let works = |m: &MinerId| self.miners.get(m).is_some_and(|m| m.working_for() == Some(pool));
        if self.groups.get(&group).is_some_and(|g| g.miners.iter().any(works)) {
            return;
        }
        let who = self.first_miner(group).map(|m| m.who());
        self.close_link(group, pool, who, CloseReason::NotNeeded, now, out);
    }

    /// No pool has work for the miner: what it has been given stays with it, but leads nowhere.
    fn idle(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.working = None;
        if miner.say(said::IDLE) {
            out.notice(Notice::MinerIdle { who: miner.who() });
        }
        self.timers.ensure(TimerKind::MinerKeepAlive(id), now + KEEP_ALIVE);
    }

    fn arm_dwell(&mut self, id: MinerId, now: Time) {
        let acceptance = self.acceptance();
        let Some(miner) = self.miners.get(&id) else { return };
        let next =
            miner.cycle.as_ref().and_then(|c| c.until_switch(self.plan_for(miner), miner.working_for(), &acceptance));
        match next {
            Some(span) => self.timers.set(TimerKind::MinerDwell(id), now + span),
            None => self.timers.cancel(TimerKind::MinerDwell(id)),
        }
    }

    pub(super) fn dwell_over(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        self.place(id, SwitchReason::Schedule, now, out);
        self.spread_fleet(now);
    }

    /// Spreads the phases of the miners again, if it is time to: those who lead by too little cut their next dwells.
    fn spread_fleet(&mut self, now: Time) {
        if now < self.spread_from {
            return;
        }
        let plan = &self.plans.normal;
        let period = plan.period();
        let all = || self.miners.values().filter(|m| m.ready() && !m.must_reconnect() && m.cycle.is_some());
        let (sum, known) = all()
            .map(|m| m.rate.per_second(now))
            .filter(|rate| *rate > 0)
            .fold((0u128, 0u128), |(sum, n), rate| (sum + u128::from(rate), n + 1));
        // A miner of which nothing is known yet counts like the average.
        let average = u64::try_from(sum / known.max(1)).unwrap_or(u64::MAX).max(1);
        let mut members: Vec<Member<MinerId>> = all()
            .filter_map(|m| {
                let rate = match m.rate.per_second(now) {
                    0 => average,
                    rate => rate,
                };
                Some(Member { id: m.id, rate, phase: m.cycle.as_ref()?.phase(plan) })
            })
            .collect();
        let skips = spread(&mut members, period);
        self.spread_from = now + Span(period.saturating_mul(2)).min(Span::mins(60)).max(SPREAD_EVERY);
        for (id, skip) in skips {
            if let Some(cycle) = self.miners.get_mut(&id).and_then(|m| m.cycle.as_mut()) {
                cycle.skip(skip);
            }
        }
    }

    /// Calls [`Engine::place`] for all miners of an upstream's group, or of a group.
    pub(super) fn place_group(&mut self, group: GroupId, why: SwitchReason, now: Time, out: &mut ActionBuf) {
        let miners = self.groups.get(&group).map(|g| g.miners.clone()).unwrap_or_default();
        for miner in miners {
            self.place(miner, why, now, out);
        }
    }

    /// A pool has sent a job: those who work for this upstream get it, for the others it may change where they work.
    pub(super) fn pass_on(&mut self, upstream: UpstreamId, clean: bool, now: Time, out: &mut ActionBuf) {
        let Some(group) = self.upstreams.get(&upstream).and_then(|u| u.group()) else { return };
        let released = self.release_long_jobs(upstream);
        let miners = self.groups.get(&group).map(|g| g.miners.clone()).unwrap_or_default();
        for id in miners {
            match self.miners.get(&id).and_then(|m| m.working) {
                Some(working) if working.upstream == upstream => self.issue(id, clean, JobReason::New, now, out),
                Some(_) if !released.contains(&id) => {}
                _ => self.place(id, SwitchReason::Return, now, out),
            }
        }
    }

    /// Sends the newest job of the upstream that the miner works for, with what has to come before it. What stands in the
    /// way may change where it works.
    pub(super) fn issue(&mut self, id: MinerId, clean: bool, why: JobReason, now: Time, out: &mut ActionBuf) {
        match self.try_issue(id, clean, why, now, out) {
            Issue::Done => {}
            Issue::Unfit(pool, why) => self.hold_off(id, pool, why, now, out),
            Issue::Resubscribe => self.resubscribe(id, now, out),
        }
    }

    /// A miner has not heard from us for long: the same job again, in a form that gives new work, or the difficulty.
    pub(super) fn keep_alive(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id).filter(|m| m.ready()) else { return };
        let due = miner.last_told + KEEP_ALIVE;
        if due > now {
            self.timers.set(TimerKind::MinerKeepAlive(id), due);
            return;
        }
        self.timers.set(TimerKind::MinerKeepAlive(id), now + KEEP_ALIVE);
        if miner.working.is_some_and(|w| w.job.is_some()) {
            self.issue(id, false, JobReason::KeepAlive, now, out);
        } else if miner.queued == 0 {
            let difficulty = miner.told.unwrap_or(Difficulty::ONE);
            miner.told = Some(difficulty);
            miner.last_told = now;
            out.send(Conn::Miner(id), |o| encode::set_difficulty(o, difficulty));
        }
    }

    /// This miner cannot work for this pool until something changes.
    pub(super) fn hold_off(&mut self, id: MinerId, pool: PoolId, why: HeldOff, now: Time, out: &mut ActionBuf) {
        if why == HeldOff::ExtranonceTooSmall && self.shrink_layout(id, out) {
            self.issue(id, true, JobReason::Changed, now, out);
            return;
        }
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let negotiable = match why {
            HeldOff::ExtranonceTooSmall => true,
            // A firmware that rolls as it likes would do so again.
            HeldOff::VersionMask => miner.rolled_outside == 0,
            _ => false,
        };
        let worker = miner.worker.clone();
        if miner.held_off.insert(pool, why.clone()).is_none() {
            out.notice(Notice::PoolHeldOff { who: miner.who(), pool, why });
        }
        if negotiable && self.may_renegotiate(id, worker, now) {
            self.resubscribe(id, now, out);
            return;
        }
        self.place(id, SwitchReason::Failover, now, out);
    }

    /// What was agreed with this miner does not fit a pool as it is now. If it subscribes again it gets what fits; but a
    /// pool that changes with each connection must not make a miner reconnect for ever, so once in a while has to do.
    fn may_renegotiate(&mut self, id: MinerId, worker: Arc<str>, now: Time) -> bool {
        let Some(address) = self.miners.get(&id).map(|m| m.peer.ip()) else { return false };
        let visitor = self.visitor(address, now);
        visitor.renegotiated.retain(|(_, at)| now.since(*at) < RENEGOTIATE_EVERY);
        let lately = visitor.renegotiated.iter().any(|(w, _)| *w == worker);
        if lately || visitor.renegotiated.len() >= MOST_AT_ONE_ADDRESS {
            return false;
        }
        visitor.renegotiated.push((worker, now));
        true
    }

    /// Closes a miner's connection so that it subscribes again, and remembers where in the schedule it was.
    fn resubscribe(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get(&id) else { return };
        let (address, agent, cycle) = (miner.peer.ip(), miner.agent.clone(), miner.cycle.clone());
        if let Some(cycle) = cycle {
            let visitor = self.visitor(address, now);
            if visitor.returning.len() < MOST_AT_ONE_ADDRESS {
                visitor.returning.push((agent, cycle));
            }
        }
        self.close_miner(id, CloseReason::Resubscribe, now, out);
    }

    /// Removes a miner whatever its state, and closes its connection.
    pub(super) fn close_miner(&mut self, id: MinerId, reason: CloseReason, now: Time, out: &mut ActionBuf) {
        if self.has(Conn::Miner(id)) {
            out.push(Action::Close(Conn::Miner(id)));
            self.remove_miner(id, reason, now, out);
        }
    }
}
