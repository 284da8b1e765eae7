//! Which pool a miner works for, and the job it is sent. Everything that may change the answer calls [`Engine::place`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::state::Engine;
use crate::action::{Action, ActionBuf, CloseReason};
use crate::difficulty::Difficulty;
use crate::extranonce::{ASSUMED_EXTRANONCE2, SMALLEST_EMBEDDED, Sizes, sizes};
use crate::ids::{Conn, JobId, MinerId, PoolId, UpstreamId};
use crate::job::{IssuedJob, PoolJob, PoolJobKey};
use crate::miner::{Layout, Miner, Working, said};
use crate::notice::{HeldOff, JobReason, MinerWarning, Notice, SwitchReason};
use crate::pool::Phase;
use crate::schedule::{Member, spread, widest_gap};
use crate::stratum::encode::{self, JobLine};
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// A miner hears a job or a difficulty at least this often: cgminer takes 90 s of silence for death, and 45 s are promised.
const KEEP_ALIVE: Span = Span::secs(40);
/// With more bytes than this in its queue a miner is sent no job until it has read them.
pub(super) const CLOGGED: u32 = 16 * 1024;
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
}

/// What became of a miner's extranonce before a job.
enum Adopted {
    /// It fits as it is.
    Same,
    /// The miner was told another.
    Told,
    /// The miner would have to be told another, and does not understand it.
    Cannot,
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
        if has_work {
            wants != own && self.pool_seems_up(wants)
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
        if !self.config.in_use(pool)
            || miner.held_off.contains_key(&pool)
            || miner.held_to.is_some_and(|only| only != pool)
        {
            return None;
        }
        let upstream = self.upstream_of(group, pool).filter(|u| u.has_work())?;
        let link = self.groups.get(&group)?.links.get(pool.index())?;
        let rank = if link.held.is_some() {
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
        self.issue(id, true, JobReason::Switch, now, out);
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
    pub(super) fn place_group(
        &mut self,
        group: crate::ids::GroupId,
        why: SwitchReason,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let miners = self.groups.get(&group).map(|g| g.miners.clone()).unwrap_or_default();
        for miner in miners {
            self.place(miner, why, now, out);
        }
    }

    /// A pool has sent a job: those who work for this upstream get it, for the others it may change where they work.
    pub(super) fn pass_on(&mut self, upstream: UpstreamId, clean: bool, now: Time, out: &mut ActionBuf) {
        let Some(group) = self.upstreams.get(&upstream).and_then(|u| u.group()) else { return };
        self.release_long_jobs(upstream);
        let miners = self.groups.get(&group).map(|g| g.miners.clone()).unwrap_or_default();
        for id in miners {
            match self.miners.get(&id).and_then(|m| m.working) {
                Some(working) if working.upstream == upstream => self.issue(id, clean, JobReason::New, now, out),
                Some(_) => {}
                None => self.place(id, SwitchReason::Return, now, out),
            }
        }
    }

    /// Sends the newest job of the upstream that the miner works for, with what has to come before it.
    pub(super) fn issue(&mut self, id: MinerId, clean: bool, why: JobReason, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let Some(working) = miner.working else { return };
        if miner.queued > CLOGGED {
            // It gets the newest job once it has read what waits.
            miner.working = Some(Working { job: None, ..working });
            return;
        }
        let Some(key) = self.upstreams.get(&working.upstream).and_then(|u| u.job) else { return };
        if let Err(why) = self.fits(id, working, key, out) {
            self.hold_off(id, working.pool, why, now, out);
            return;
        }
        let clean = match self.adopt_layout(id, working, key, out) {
            Adopted::Same => clean,
            Adopted::Told => true,
            Adopted::Cannot => return self.resubscribe(id, now, out),
        };
        self.send_job(id, working, key, clean, why, now, out);
    }

    /// Whether a job can be sent to this miner at all. May narrow its version mask, once.
    fn fits(&mut self, id: MinerId, working: Working, key: PoolJobKey, out: &mut ActionBuf) -> Result<(), HeldOff> {
        let (Some(miner), Some(upstream)) = (self.miners.get_mut(&id), self.upstreams.get(&working.upstream)) else {
            return Ok(());
        };
        let Some(job) = miner.group.and_then(|g| self.groups.get(&g)).and_then(|g| g.jobs.pool_job(key)) else {
            return Ok(());
        };
        if let Layout::Embedded { sizes, .. } = &miner.layout
            && sizes.total() > job.extranonce2_bytes
        {
            return Err(HeldOff::ExtranonceTooSmall);
        }
        if miner.rolled_outside & !upstream.allowed_bits() != 0 {
            return Err(HeldOff::VersionMask);
        }
        if let Some(rolling) = miner.rolling.as_mut()
            && rolling.told & !upstream.allowed_bits() != 0
        {
            let narrower = rolling.told & upstream.allowed_bits();
            if rolling.updated || narrower == 0 {
                return Err(HeldOff::VersionMask);
            }
            rolling.told = narrower;
            rolling.updated = true;
            out.send(Conn::Miner(id), |o| encode::set_version_mask(o, narrower));
        }
        let limit = miner.firmware.longest_coinbase;
        let bytes = job.coinbase_bytes() as u32;
        if limit > 0 && bytes > limit && miner.say(said::COINBASE) {
            let what = MinerWarning::CoinbaseTooLong { pool: working.pool, bytes, limit };
            out.notice(Notice::MinerWarning { who: miner.who(), what });
        }
        if !line_fits(miner, job) {
            return Err(HeldOff::JobTooLong);
        }
        Ok(())
    }

    /// A pool's newest job is short enough for miners that its last ones were too long for.
    pub(super) fn release_long_jobs(&mut self, upstream: UpstreamId) {
        let Some(upstream) = self.upstreams.get(&upstream) else { return };
        let (pool, Some(key)) = (upstream.pool, upstream.job) else { return };
        let Some(group) = upstream.group().and_then(|g| self.groups.get(&g)) else { return };
        let Some(job) = group.jobs.pool_job(key) else { return };
        for id in &group.miners {
            if let Some(miner) = self.miners.get_mut(id)
                && miner.held_off.get(&pool) == Some(&HeldOff::JobTooLong)
                && line_fits(miner, job)
            {
                miner.held_off.remove(&pool);
            }
        }
    }

    /// In the fall back the miner is told the extranonce of the job that comes.
    fn adopt_layout(&mut self, id: MinerId, working: Working, key: PoolJobKey, out: &mut ActionBuf) -> Adopted {
        let Some(miner) = self.miners.get_mut(&id) else { return Adopted::Same };
        let reconnects = miner.must_reconnect();
        let Layout::Own { pool, extranonce1, extranonce2_bytes } = &mut miner.layout else { return Adopted::Same };
        let Some(job) = miner.group.and_then(|g| self.groups.get(&g)).and_then(|g| g.jobs.pool_job(key)) else {
            return Adopted::Same;
        };
        *pool = working.pool;
        if *extranonce1 == job.extranonce1 && *extranonce2_bytes == job.extranonce2_bytes {
            return Adopted::Same;
        }
        if reconnects {
            return Adopted::Cannot;
        }
        extranonce1.clone_from(&job.extranonce1);
        *extranonce2_bytes = job.extranonce2_bytes;
        out.send(Conn::Miner(id), |o| encode::set_extranonce(o, &job.extranonce1, job.extranonce2_bytes));
        Adopted::Told
    }

    /// What the miner is told of a pool's difficulty, and what part of the pay `downstream_diff` costs (per million).
    fn told_difficulty(&self, pool: PoolId, upstream: Difficulty) -> (Difficulty, u32) {
        let Some(config) = self.config.pool(pool) else { return (upstream.rounded_down(), 0) };
        let mut told = upstream;
        if let Some(max) = config.max_difficulty
            && config.sha256d
        {
            told = told.min(max);
        }
        if let Some(min) = config.min_difficulty.filter(|min| *min > Difficulty::ONE) {
            told = told.max(min);
        }
        told = if config.sha256d { told.rounded_down() } else { told.rounded_up() };
        let (pool_work, told_work) = (upstream.work().0, told.work().0.max(1));
        let lost = if told > upstream && told_work > pool_work {
            1_000_000 - pool_work.saturating_mul(1_000_000) / told_work
        } else {
            0
        };
        (told, lost as u32)
    }

    #[expect(clippy::too_many_arguments, reason = "one job, in all its particulars")]
    fn send_job(
        &mut self,
        id: MinerId,
        working: Working,
        key: PoolJobKey,
        clean: bool,
        why: JobReason,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(difficulty) = self.upstreams.get(&working.upstream).map(|u| u.difficulty) else { return };
        let (told, lost_ppm) = self.told_difficulty(working.pool, difficulty);
        let Some(miner) = self.miners.get_mut(&id) else { return };
        if lost_ppm > 0 && miner.say(said::MIN_DIFFICULTY) {
            let what = MinerWarning::DifficultyAbovePool { pool: working.pool, lost_ppm };
            out.notice(Notice::MinerWarning { who: miner.who(), what });
        }
        let Some(group) = miner.group.and_then(|g| self.groups.get_mut(&g)) else { return };
        let job_id = group.jobs.next_id();
        let Some(job) = group.jobs.pool_job_mut(key) else { return };
        let (extranonce1, size): (&[u8], u8) = match &miner.layout {
            Layout::Embedded { extranonce1, sizes } => (extranonce1, sizes.extranonce2),
            Layout::Own { extranonce2_bytes, .. } => (&[], *extranonce2_bytes),
            Layout::None => return,
        };
        let own = matches!(miner.layout, Layout::Own { .. });
        let pad_bytes = usize::from(job.extranonce2_bytes).saturating_sub(extranonce1.len() + usize::from(size));
        let issue = job.next_issue(pad_bytes, now);
        let pad_word = issue.pad.to_be_bytes();
        let mut prefix = alloc::vec![0u8; pad_bytes];
        let low = pad_bytes.min(8);
        prefix[pad_bytes - low..].copy_from_slice(&pad_word[8 - low..]);

        let conn = Conn::Miner(id);
        if miner.told != Some(told) {
            miner.told = Some(told);
            out.send(conn, |o| encode::set_difficulty(o, told));
            out.notice(Notice::DifficultyTold { who: miner.who(), pool: working.pool, difficulty: told });
        }
        let embedded: [&[u8]; 3] = if own { [&job.coinb1, &[], &[]] } else { [&job.coinb1, &job.extranonce1, &prefix] };
        let line = JobLine {
            job: job_id,
            prevhash: &job.prevhash,
            coinb1: embedded,
            coinb2: &job.coinb2,
            branches: &job.branches,
            version: job.version,
            nbits: job.nbits,
            ntime: issue.ntime,
            clean,
        };
        out.send(conn, |o| line.write(o));
        out.notice(Notice::JobForwarded {
            who: miner.who(),
            pool: working.pool,
            pool_job: job.id.clone(),
            job: job_id,
            seq: job.seq,
            clean,
            why,
        });
        prefix.extend_from_slice(extranonce1);
        miner.last_told = now;
        miner.working = Some(Working { job: Some((key, job_id)), ..working });
        let issued = IssuedJob { key, prefix, extranonce2_bytes: size, told, issued: now };
        let upstreams = &self.upstreams;
        let links = &group.links;
        group.jobs.issue(job_id, issued, |key| {
            links.iter().filter_map(|l| l.upstream()).any(|u| upstreams.get(&u).is_some_and(|u| u.job == Some(key)))
        });
        self.timers.ensure(TimerKind::MinerKeepAlive(id), now + KEEP_ALIVE);
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

    /// Gives a miner that understands `mining.set_extranonce` a layout that fits all pools as they are now. False: it has
    /// to subscribe again.
    fn shrink_layout(&mut self, id: MinerId, out: &mut ActionBuf) -> bool {
        let smallest = self.smallest_extranonce2();
        let Some(miner) = self.miners.get_mut(&id).filter(|m| m.extranonce_subscribed) else { return false };
        let Layout::Embedded { sizes: old, .. } = &miner.layout else { return false };
        let Some(sizes) = sizes(miner.firmware.profile, smallest).filter(|new| new.total() < old.total()) else {
            return false;
        };
        let extranonce1 = embedded_extranonce1(id, sizes);
        out.send(Conn::Miner(id), |o| encode::set_extranonce(o, &extranonce1, sizes.extranonce2));
        miner.layout = Layout::Embedded { extranonce1, sizes };
        true
    }

    /// The smallest extranonce2 of the pools, in bytes, as far as known. Pools without weight count as well, as they may
    /// get some while the miner is connected; but not one so small that it would take the embedding from all miners.
    pub(super) fn smallest_extranonce2(&self) -> u8 {
        let size = |pool: PoolId| {
            self.facts.get(pool.index()).and_then(|f| f.extranonce2_bytes).unwrap_or(ASSUMED_EXTRANONCE2)
        };
        self.config
            .pool_ids()
            .filter(|pool| self.config.in_use(*pool) || size(*pool) >= SMALLEST_EMBEDDED)
            .map(size)
            .min()
            .unwrap_or(ASSUMED_EXTRANONCE2)
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

/// The job's line is no longer than the miner's firmware bears. The pad is at most the pool's extranonce2.
fn line_fits(miner: &Miner, job: &PoolJob) -> bool {
    let line = JobLine {
        job: JobId(0),
        prevhash: &job.prevhash,
        coinb1: [&job.coinb1, &job.extranonce1, &[]],
        coinb2: &job.coinb2,
        branches: &job.branches,
        version: job.version,
        nbits: job.nbits,
        ntime: job.ntime,
        clean: false,
    };
    line.len() + 2 * usize::from(job.extranonce2_bytes) <= miner.firmware.longest_line as usize
}

/// The extranonce1 of an embedded layout: any bytes, constant for the session.
pub(super) fn embedded_extranonce1(id: MinerId, sizes: Sizes) -> Vec<u8> {
    let bytes = id.0.to_be_bytes();
    bytes[8 - usize::from(sizes.extranonce1).min(8)..].to_vec()
}

impl Miner {
    /// It was sent a job before.
    fn any_job(&self) -> bool {
        self.told.is_some()
    }
}

impl crate::pool::Upstream {
    pub(super) fn group(&self) -> Option<crate::ids::GroupId> {
        match self.owner {
            crate::pool::Owner::Group(group) => Some(group),
            crate::pool::Owner::Probe => None,
        }
    }

    /// It has answered subscribe.
    pub(super) fn subscribed(&self) -> bool {
        !matches!(self.phase, Phase::Connecting | Phase::Subscribing)
    }
}
