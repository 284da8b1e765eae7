//! Which pool a miner works for, and until when. Everything that may change the answer calls [`Engine::place`].

use alloc::vec::Vec;

use super::issue::{Issue, KEEP_ALIVE};
use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::ids::{Conn, GroupId, MinerId, PoolId, UpstreamId};
use crate::miner::{Layout, Miner, Working, said};
use crate::notice::{HeldOff, JobReason, Notice, SwitchReason};
use crate::stratum::encode;
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// A miner is made to subscribe again for a pool that has changed at most this often.
const RENEGOTIATE_EVERY: Span = Span::mins(10);
/// One that has no work as it is may do so more often.
const RENEGOTIATE_IDLE_EVERY: Span = Span::secs(60);
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
        if self.miners.get(&id).is_none_or(|m| !m.ready()) {
            return;
        }
        self.settle(id, &acceptance, now);
        let Some(miner) = self.miners.get(&id) else { return };
        let Some(wants) = miner.cycle.as_ref().map(|cycle| cycle.wants()) else { return };
        let target = self.choose(miner, wants);
        let working = miner.working;
        let elsewhere = self.better_elsewhere(miner, wants, target.is_some());
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
            None if self.could_work_anew(id) && self.may_renegotiate(id, RENEGOTIATE_IDLE_EVERY, now) => {
                return self.resubscribe(id, now, out);
            }
            None => self.idle(id, now, out),
        }
        self.arm_dwell(id, now);
    }

    /// The pool that a miner works for if the schedule wants `wants`: that one if it can be, else the best of the others;
    /// among equals the one with the largest weight. Among pools that refuse some of what it rolls, the one that refuses
    /// the least, whatever the schedule wants.
    fn choose(&self, miner: &Miner, wants: PoolId) -> Option<(PoolId, UpstreamId)> {
        let weight = |pool: PoolId| self.config.scheduler.weights.get(pool.index()).copied().unwrap_or(0);
        self.config
            .pool_ids()
            .filter_map(|pool| self.rank(miner, pool).map(|(rank, upstream)| (rank, pool, upstream)))
            .min_by_key(|(rank, pool, upstream)| {
                let refused = if *rank == Rank::Unfit { self.refused_bits(miner, *upstream) } else { (0, 0) };
                (*rank, refused, *pool != wants, u32::MAX - weight(*pool), *pool)
            })
            .map(|(_, pool, upstream)| (pool, upstream))
    }

    /// How many of the version bits that this miner was seen to roll, and how many of all that it may roll, the pool refuses.
    fn refused_bits(&self, miner: &Miner, upstream: UpstreamId) -> (u32, u32) {
        let refuses = self.upstreams.get(&upstream).map_or(u32::MAX, |u| !u.allowed_bits());
        ((miner.seen_bits & refuses).count_ones(), (miner.rolls() & refuses).count_ones())
    }

    /// A miner that can only change over by subscribing again should do so: the schedule wants another pool, or its own
    /// has no work and another seems to.
    fn better_elsewhere(&self, miner: &Miner, wants: PoolId, has_work: bool) -> bool {
        let Layout::Own { pool: own, .. } = miner.layout else { return false };
        if !miner.must_reconnect() || miner.held_to.is_some() {
            return false;
        }
        let trying = miner.group.is_some_and(|g| self.upstream_of(g, own).is_some());
        let profile = miner.firmware.profile;
        if has_work {
            wants != own && self.own_seems_up(profile, wants)
        } else if trying {
            false
        } else {
            self.config.pool_ids().any(|pool| pool != own && self.own_seems_up(profile, pool))
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
        // A pool that turns out not to fit must cost the miner nothing of the work that it has.
        if let Err(unfit) = self.could_issue(id, pool, upstream, out) {
            return self.hold_off(id, pool, unfit, now, out);
        }
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let from = miner.working_for();
        miner.working = Some(Working { pool, upstream, job: None });
        miner.rate.resume(now);
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
        miner.rate.pause(now);
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
        let Some(group) = self.groups.get(&group) else { return };
        let works = |id: &MinerId| self.miners.get(id).and_then(|m| m.working).is_some_and(|w| w.upstream == upstream);
        let miners: Vec<(MinerId, bool)> = group.miners.iter().map(|id| (*id, works(id))).collect();
        // That it says something may bring miners back, who get this job with it.
        self.release(upstream, now, out);
        let released = self.release_for_job(upstream);
        if !released.is_empty() {
            self.balance_soon(now);
        }
        for (id, worked) in miners {
            match self.miners.get(&id).and_then(|m| m.working) {
                Some(working) if working.upstream == upstream => {
                    if worked {
                        self.issue(id, clean, JobReason::New, now, out);
                    }
                }
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
            Issue::Unfit(pool, unfit) => {
                let working = |engine: &Engine| engine.miners.get(&id).and_then(|miner| miner.working);
                let before = working(self);
                self.hold_off(id, pool, unfit, now, out);
                // Where there is no other pool it has to be sent all the same.
                if before.is_some() && working(self) == before {
                    self.issue(id, clean, why, now, out);
                }
            }
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
        if miner.working.is_none() {
            // A pool may be there for it that nobody has told it of.
            self.place(id, SwitchReason::Return, now, out);
        }
        // If there was one, it was told a job just now.
        let Some(miner) = self.miners.get_mut(&id).filter(|m| m.last_told < now) else { return };
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
            // What it has been told for its old extranonce is of no more use, wherever it goes.
            let told = |engine: &Engine| engine.miners.get(&id).and_then(|miner| miner.working);
            let before = told(self);
            if before.is_none_or(|working| working.pool != pool) {
                self.place(id, SwitchReason::Return, now, out);
            }
            if told(self) == before {
                self.issue(id, true, JobReason::Changed, now, out);
            }
            return;
        }
        let negotiable = self.miners.get(&id).is_some_and(|miner| self.negotiable(miner, pool, &why));
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if miner.held_off.insert(pool, why.clone()).is_none() {
            out.notice(Notice::PoolHeldOff { who: miner.who(), pool, why });
            self.kept_off(id, pool, now, out);
        }
        if negotiable && self.may_renegotiate(id, RENEGOTIATE_EVERY, now) {
            self.resubscribe(id, now, out);
            return;
        }
        self.place(id, SwitchReason::Failover, now, out);
    }

    /// What keeps the miner off a pool may be gone once it has subscribed again.
    fn negotiable(&self, miner: &Miner, pool: PoolId, why: &HeldOff) -> bool {
        match why {
            HeldOff::ExtranonceTooSmall => self.would_fit(miner.firmware.profile, pool),
            // A firmware that rolls as it likes would do so again.
            HeldOff::VersionMask => miner.rolled_outside == 0,
            _ => false,
        }
    }

    /// No pool can be worked for as things were agreed with this miner, and one that has work would fit if it subscribed again.
    fn could_work_anew(&self, id: MinerId) -> bool {
        let Some(miner) = self.miners.get(&id) else { return false };
        miner.held_off.iter().any(|(pool, why)| {
            let upstream = miner.group.and_then(|group| self.upstream_of(group, *pool));
            self.config.in_use(*pool) && self.negotiable(miner, *pool, why) && upstream.is_some_and(|u| u.has_work())
        })
    }

    /// What was agreed with this miner does not fit a pool as it is now. If it subscribes again it gets what fits; but a
    /// pool that changes with each connection must not make a miner reconnect for ever, so once in a while has to do.
    fn may_renegotiate(&mut self, id: MinerId, every: Span, now: Time) -> bool {
        let Some((address, worker)) = self.miners.get(&id).map(|m| (m.peer.ip(), m.worker.clone())) else {
            return false;
        };
        let visitor = self.visitor(address, now);
        visitor.renegotiated.retain(|(_, at)| now.since(*at) < RENEGOTIATE_EVERY);
        let lately = visitor.renegotiated.iter().any(|(w, at)| *w == worker && now.since(*at) < every);
        if lately || visitor.renegotiated.len() >= MOST_AT_ONE_ADDRESS {
            return false;
        }
        visitor.renegotiated.retain(|(w, _)| *w != worker);
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
