//! A job's form for one miner: whether it fits, the extranonce and the mask that go with it, the difficulty, the lines.
//! Nothing here decides where a miner works.

use alloc::vec::Vec;

use super::layout::layout_fits;
use super::state::Engine;
use crate::action::ActionBuf;
use crate::difficulty::Difficulty;
use crate::ids::{Conn, JobId, MinerId, PoolId, UpstreamId};
use crate::job::{IssuedJob, PoolJob, PoolJobKey};
use crate::miner::{Layout, Miner, Working, said};
use crate::notice::{HeldOff, JobReason, MinerWarning, Notice};
use crate::stratum::encode::{self, JobLine};
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// A miner hears a job or a difficulty at least this often: cgminer takes 90 s of silence for death, and 45 s are
/// promised.
pub(super) const KEEP_ALIVE: Span = Span::secs(40);
/// With more bytes than this in its queue a miner is sent no job until it has read them.
pub(super) const CLOGGED: u32 = 16 * 1024;

/// What came of sending a job.
pub(super) enum Issue {
    /// It was sent, or will be once the miner has read what waits for it.
    Done,
    /// This pool's job cannot be sent to this miner.
    Unfit(PoolId, HeldOff),
    /// The miner would have to subscribe again first.
    Resubscribe,
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
    /// Sends the newest job of the upstream that the miner works for, with what has to come before it.
    pub(super) fn try_issue(
        &mut self,
        id: MinerId,
        clean: bool,
        why: JobReason,
        now: Time,
        out: &mut ActionBuf,
    ) -> Issue {
        let Some(miner) = self.miners.get_mut(&id) else { return Issue::Done };
        let Some(working) = miner.working else { return Issue::Done };
        // The first job since a switch, which could not be sent at once, is as clean as the switch itself.
        let clean = clean || working.job.is_none();
        if miner.queued > CLOGGED {
            // It gets the newest job once it has read what waits.
            miner.working = Some(Working { job: None, ..working });
            return Issue::Done;
        }
        let Some(key) = self.upstreams.get(&working.upstream).and_then(|u| u.job) else { return Issue::Done };
        if let Err(why) = self.fits(id, working, key, out) {
            return Issue::Unfit(working.pool, why);
        }
        let clean = match self.adopt_layout(id, working, key, out) {
            Adopted::Same => clean,
            Adopted::Told => true,
            Adopted::Cannot => return Issue::Resubscribe,
        };
        self.send_job(id, working, key, clean, why, now, out);
        Issue::Done
    }

    /// Whether the newest job of an upstream that the miner does not work for yet could be sent to it; what it does not read
    /// now is looked at later.
    pub(super) fn could_issue(
        &mut self,
        id: MinerId,
        pool: PoolId,
        upstream: UpstreamId,
        out: &mut ActionBuf,
    ) -> Result<(), HeldOff> {
        let clogged = self.miners.get(&id).is_none_or(|miner| miner.queued > CLOGGED);
        match self.upstreams.get(&upstream).and_then(|u| u.job).filter(|_| !clogged) {
            Some(key) => self.fits(id, Working { pool, upstream, job: None }, key, out),
            None => Ok(()),
        }
    }

    /// Whether a job can be sent to this miner at all. May narrow its version mask, once.
    fn fits(&mut self, id: MinerId, working: Working, key: PoolJobKey, out: &mut ActionBuf) -> Result<(), HeldOff> {
        let (Some(miner), Some(upstream)) = (self.miners.get_mut(&id), self.upstreams.get(&working.upstream)) else {
            return Ok(());
        };
        let Some(job) = miner.group.and_then(|g| self.groups.get(&g)).and_then(|g| g.jobs.pool_job(key)) else {
            return Ok(());
        };
        if !layout_fits(miner, job) {
            return Err(HeldOff::ExtranonceTooSmall);
        }
        // Held off already, and yet it is asked for: there is no other pool.
        let no_choice = miner.held_off.get(&working.pool) == Some(&HeldOff::VersionMask);
        if miner.rolled_outside & !upstream.allowed_bits() != 0 && !no_choice {
            return Err(HeldOff::VersionMask);
        }
        if let Some(rolling) = miner.rolling.as_mut()
            && rolling.told & !upstream.allowed_bits() != 0
            && !no_choice
        {
            let narrower = rolling.told & upstream.allowed_bits();
            if rolling.updated {
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

    /// A pool's newest job fits miners that its last ones were too long for, or whose extranonce had no room: these miners.
    pub(super) fn release_for_job(&mut self, upstream: UpstreamId) -> Vec<MinerId> {
        let mut released = Vec::new();
        let Some(upstream) = self.upstreams.get(&upstream) else { return released };
        let (pool, Some(key)) = (upstream.pool, upstream.job) else { return released };
        let Some(group) = upstream.group().and_then(|g| self.groups.get(&g)) else { return released };
        let Some(job) = group.jobs.pool_job(key) else { return released };
        for id in &group.miners {
            let Some(miner) = self.miners.get_mut(id) else { continue };
            let fits = match miner.held_off.get(&pool) {
                Some(HeldOff::JobTooLong) => line_fits(miner, job),
                Some(HeldOff::ExtranonceTooSmall) => layout_fits(miner, job),
                _ => false,
            };
            if fits {
                miner.held_off.remove(&pool);
                released.push(*id);
            }
        }
        released
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
        let (most, lost_ppm) = self.told_difficulty(working.pool, difficulty);
        let told = self.own_difficulty(id, working.pool, most, now);
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let easiest = miner.told.filter(|_| miner.vardiff.is_on()).map_or(told, |before| before.min(told));
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
        let issued =
            IssuedJob { key, prefix, extranonce2_bytes: size, told, easiest, mask: miner.rolls(), issued: now };
        let upstreams = &self.upstreams;
        let links = &group.links;
        group.jobs.issue(job_id, issued, |key| {
            links.iter().filter_map(|l| l.upstream()).any(|u| upstreams.get(&u).is_some_and(|u| u.job == Some(key)))
        });
        self.timers.ensure(TimerKind::MinerKeepAlive(id), now + KEEP_ALIVE);
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
