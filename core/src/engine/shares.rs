//! A submit's way: from the miner's five fields to the pool that owns the job, and the verdict back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::links::ANSWER;
use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::extranonce::BIP_320;
use crate::ids::{Conn, GroupId, JobId, MinerId, PoolId, UpstreamId};
use crate::job::{PoolJobKey, ShareKey};
use crate::miner::{Miner, Stage, said};
use crate::notice::{DropReason, HeldOff, MinerWarning, Notice, Verdict, Who};
use crate::pool::{Request, Submitted, Upstream};
use crate::share::{self, Share};
use crate::stratum::encode::{self, ShareLine};
use crate::stratum::hex;
use crate::stratum::message::{Answer, Submit};
use crate::stratum::wire::RequestId;
use crate::time::Time;
use crate::timers::TimerKind;

/// A miner with this many unanswered submits is not read from until some are answered.
const MOST_OUTSTANDING: u32 = 512;
/// And is read from again below this.
pub(super) const FEW_OUTSTANDING: u32 = 256;
/// An unknown firmware is given another layout after this many failed shares without a good one.
const MOST_FAILED: u32 = 8;
/// Most unknown agents that are remembered an address.
const MOST_AGENTS: usize = 16;
/// A pool that answers none of the submits of this many in a row is taken for dead, whatever else it says.
const MOST_UNANSWERED: u32 = 5;

/// A share that its own fields make whole: what it is in the pool's terms, and where it goes.
struct Whole {
    key: PoolJobKey,
    pool: PoolId,
    upstream: UpstreamId,
    pool_job: Arc<str>,
    extranonce2: Vec<u8>,
    share: ShareKey,
    /// The version bits that go upstream; none where none were negotiated.
    version_bits: Option<u32>,
    /// The difficulty that the miner was told.
    told: Difficulty,
}

/// Why a share goes no further, and the pool whose job it was for, if that is known.
struct Dropped(DropReason, Option<PoolId>);

/// What the check says of a share.
enum Worth {
    /// It goes to the pool, which will credit `assigned`.
    Forward { assigned: Difficulty, achieved: f64, block: Option<share::Hash> },
    /// The pool does not want it, the miner did well.
    Credit { assigned: Difficulty, achieved: f64 },
    /// Nobody asked for so little.
    Low { achieved: f64 },
}

impl Engine {
    pub(super) fn submit(
        &mut self,
        id: MinerId,
        request: RequestId,
        submit: &Submit<'_>,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(miner) = self.miners.get(&id) else { return };
        out.notice(Notice::ShareSubmitted { who: miner.who() });
        let whole = match self.whole(miner, submit) {
            Ok(whole) => whole,
            Err(dropped) => return self.drop_share(id, &request, &dropped, 0.0, now, out),
        };
        let pool = Some(whole.pool);
        let group = miner.group;
        let job = group.and_then(|g| self.groups.get_mut(&g)).and_then(|g| g.jobs.pool_job_mut(whole.key));
        if !job.is_some_and(|job| job.remember(whole.share)) {
            return self.drop_share(id, &request, &Dropped(DropReason::Duplicate, pool), 0.0, now, out);
        }
        match self.worth(id, &whole, out) {
            Worth::Forward { assigned, achieved, block } => {
                self.check_passed(id);
                self.forward(id, request, whole, assigned, achieved, block, now, out);
            }
            Worth::Credit { assigned, achieved } => {
                self.check_passed(id);
                out.send(Conn::Miner(id), |o| encode::reply_true(o, &request));
                if let Some(miner) = self.miners.get_mut(&id) {
                    miner.rate.add(now, assigned.work());
                    out.notice(Notice::ShareResult {
                        who: miner.who(),
                        pool,
                        verdict: Verdict::Credited,
                        assigned: Some(assigned),
                        achieved,
                        response: None,
                    });
                }
            }
            Worth::Low { achieved } => {
                // It did not count, so it is no duplicate if it comes again.
                if let Some(job) =
                    group.and_then(|g| self.groups.get_mut(&g)).and_then(|g| g.jobs.pool_job_mut(whole.key))
                {
                    job.forget(&whole.share);
                }
                self.drop_share(id, &request, &Dropped(DropReason::LowDifficulty, pool), achieved, now, out);
                self.check_failed(id, now, out);
            }
        }
    }

    /// Reads a submit's fields and finds its job, in order of what the miner should be told first.
    fn whole(&self, miner: &Miner, submit: &Submit<'_>) -> Result<Whole, Dropped> {
        match miner.stage {
            Stage::Ready => {}
            Stage::SubscribedOnly => return Err(Dropped(DropReason::Unauthorized, None)),
            _ => return Err(Dropped(DropReason::NotSubscribed, None)),
        }
        let Some(group) = miner.group.and_then(|g| self.groups.get(&g)) else {
            return Err(Dropped(DropReason::NoJobYet, None));
        };
        if group.jobs.none_issued() {
            return Err(Dropped(DropReason::NoJobYet, None));
        }
        let unknown = Dropped(DropReason::UnknownJob, None);
        let Some(issued) = hex::word(&submit.job).and_then(|id| group.jobs.issued(JobId(id))) else {
            return Err(unknown);
        };
        let Some(job) = group.jobs.pool_job(issued.key) else { return Err(unknown) };
        let pool = Some(job.pool);
        let bad = || Dropped(DropReason::Malformed, pool);
        let own = hex::number(&submit.extranonce2).ok_or_else(bad)?;
        let size = usize::from(issued.extranonce2_bytes);
        if size < 16 && own >> (8 * size) != 0 {
            return Err(bad());
        }
        let ntime = hex::word(&submit.ntime).ok_or_else(bad)?;
        let nonce = hex::word(&submit.nonce).ok_or_else(bad)?;
        let bits = match &submit.version_bits {
            None => None,
            Some(bits) => Some(hex::word(bits).ok_or_else(bad)?),
        };
        let Some(upstream) = self.upstreams.get(&job.upstream) else { return Err(Dropped(DropReason::Stale, pool)) };
        let (version, version_bits) = self.version(issued.mask, upstream, job.version, bits, pool)?;
        let mut extranonce2 = Vec::with_capacity(issued.prefix.len() + size);
        extranonce2.extend_from_slice(&issued.prefix);
        extranonce2.extend_from_slice(&own.to_be_bytes()[16 - size..]);
        let number = extranonce2.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
        Ok(Whole {
            key: issued.key,
            pool: job.pool,
            upstream: job.upstream,
            pool_job: job.id.clone(),
            extranonce2,
            share: ShareKey { extranonce2: number, ntime, nonce, version },
            version_bits,
            told: issued.told,
        })
    }

    /// The header's version, and the bits that go upstream. Bits that the pool did not grant never do.
    fn version(
        &self,
        mask: u32,
        upstream: &Upstream,
        job: u32,
        bits: Option<u32>,
        pool: Option<PoolId>,
    ) -> Result<(u32, Option<u32>), Dropped> {
        let granted = upstream.allowed_bits();
        // Without bits the miner hashed the job's version as it is.
        let Some(bits) = bits else { return Ok((job, (granted != 0).then_some(job & granted))) };
        if bits & !granted != 0 {
            // Bits that the miner was told for this job, of a mask that has shrunk since, are no misbehaviour.
            let late = bits & !mask == 0;
            return Err(Dropped(if late { DropReason::Stale } else { DropReason::VersionBits }, pool));
        }
        // The miner replaced the bits of the mask it was told (or rolls anyway); the others of the job still stand.
        let replaced = mask | bits;
        let version = job & !replaced | bits;
        Ok((version, (granted != 0).then_some(version & granted)))
    }

    fn worth(&mut self, id: MinerId, whole: &Whole, out: &mut ActionBuf) -> Worth {
        let job = self.miners.get(&id).and_then(|m| m.group).and_then(|g| self.groups.get(&g));
        let job = job.and_then(|g| g.jobs.pool_job(whole.key));
        let (Some(job), Some(upstream)) = (job, self.upstreams.get(&whole.upstream)) else {
            return Worth::Low { achieved: 0.0 };
        };
        let easier = job.difficulty.min(upstream.difficulty);
        if !self.config.pool(whole.pool).is_none_or(|p| p.sha256d) {
            return Worth::Forward { assigned: easier, achieved: 0.0, block: None };
        }
        let fields = Share {
            extranonce2: &whole.extranonce2,
            ntime: whole.share.ntime,
            nonce: whole.share.nonce,
            version: whole.share.version,
        };
        let (value, hash) = share::check(&mut self.pow, job, &fields);
        out.checked(hash);
        let achieved = value.difficulty();
        let block = value.meets(&job.network).then_some(hash);
        if block.is_some() || value.meets(&easier.target()) {
            Worth::Forward { assigned: easier, achieved, block }
        } else if value.meets(&whole.told.target()) {
            Worth::Credit { assigned: whole.told, achieved }
        } else {
            Worth::Low { achieved }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one share, in all its particulars")]
    fn forward(
        &mut self,
        id: MinerId,
        request: RequestId,
        whole: Whole,
        assigned: Difficulty,
        achieved: f64,
        block: Option<share::Hash>,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let who = miner.who();
        miner.outstanding += 1;
        if miner.outstanding >= MOST_OUTSTANDING && !miner.paused {
            miner.paused = true;
            out.push(Action::PauseReading(Conn::Miner(id)));
        }
        let Some(upstream) = self.upstreams.get_mut(&whole.upstream) else { return };
        let submitted =
            Submitted { miner: id, id: request, sent: now, assigned, achieved, job: whole.key, share: whole.share };
        let request = upstream.request(Request::Submit(submitted));
        let user = upstream.user.clone();
        let line = ShareLine {
            user: &user,
            job: &whole.pool_job,
            extranonce2: &whole.extranonce2,
            ntime: whole.share.ntime,
            nonce: whole.share.nonce,
            version_bits: whole.version_bits,
        };
        out.send(Conn::Upstream(whole.upstream), |o| encode::submit(o, request, &line));
        if let Some(hash) = block {
            out.notice(Notice::BlockCandidate { who, pool: whole.pool, hash, achieved });
        }
        self.timers.ensure(TimerKind::UpstreamAnswer(whole.upstream), now + ANSWER);
    }

    /// Answers a share that goes nowhere, in the field's codes.
    fn drop_share(
        &mut self,
        id: MinerId,
        request: &RequestId,
        dropped: &Dropped,
        achieved: f64,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Dropped(reason, pool) = *dropped;
        let (code, text) = match reason {
            DropReason::UnknownJob => (21, "Job not found"),
            DropReason::NoJobYet => (21, "No job was sent yet"),
            DropReason::Stale => (21, "Stale: the job's pool connection is gone"),
            DropReason::Duplicate => (22, "Duplicate share"),
            DropReason::LowDifficulty => (23, "Low difficulty share"),
            DropReason::Malformed => (20, "A field is not hex or has the wrong length"),
            DropReason::VersionBits => (20, "Version bits outside the negotiated mask"),
            DropReason::Unauthorized => (24, "Unauthorized worker"),
            DropReason::NotSubscribed => (25, "Not subscribed"),
        };
        out.send(Conn::Miner(id), |o| encode::reply_error(o, request, code, text));
        let Some(miner) = self.miners.get_mut(&id) else { return };
        out.notice(Notice::ShareResult {
            who: miner.who(),
            pool,
            verdict: Verdict::Dropped(reason),
            assigned: None,
            achieved,
            response: None,
        });
        if let (DropReason::VersionBits, Some(pool)) = (reason, pool) {
            self.rolls_outside(id, pool, now, out);
        }
    }

    /// A firmware rolls bits that this pool did not grant: it is held off the pools that do not grant them.
    fn rolls_outside(&mut self, id: MinerId, pool: PoolId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        let told = miner.rolling.map_or(0, |r| r.told);
        // All such firmwares that are known roll the whole of BIP 320.
        miner.rolled_outside |= BIP_320;
        if miner.say(said::ROLLS_OUTSIDE) {
            let what = MinerWarning::RollsOutsideMask { told, rolled: miner.rolled_outside };
            out.notice(Notice::MinerWarning { who: miner.who(), what });
        }
        self.hold_off(id, pool, HeldOff::VersionMask, now, out);
    }

    fn check_passed(&mut self, id: MinerId) {
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.any_passed = true;
            miner.failed_in_a_row = 0;
        }
    }

    /// Shares of an unknown firmware that all fail mean that it does not bear its layout: it gets the next one, and then
    /// a pool's own extranonce.
    fn check_failed(&mut self, id: MinerId, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.failed_in_a_row = miner.failed_in_a_row.saturating_add(1);
        if miner.firmware.known || miner.any_passed || miner.failed_in_a_row < MOST_FAILED || !miner.say(said::LAYOUT) {
            return;
        }
        let (address, agent) = (miner.peer.ip(), miner.agent.clone());
        out.notice(Notice::MinerWarning { who: miner.who(), what: MinerWarning::LayoutMistrusted });
        let visitor = self.visitor(address, now);
        match visitor.strikes.iter().position(|(a, _)| *a == agent) {
            Some(at) => visitor.strikes[at].1 = visitor.strikes[at].1.saturating_add(1),
            None if visitor.strikes.len() < MOST_AGENTS => visitor.strikes.push((agent, 1)),
            None => return,
        }
        if self.strikes(id) <= MOST_STRIKES {
            self.close_miner(id, CloseReason::NextProfile, now, out);
        }
    }

    /// How often this miner's agent has failed with its layout, from its address.
    pub(super) fn strikes(&self, id: MinerId) -> u8 {
        let Some(miner) = self.miners.get(&id) else { return 0 };
        self.visitors
            .get(&miner.peer.ip())
            .and_then(|v| v.strikes.iter().find(|(agent, _)| *agent == miner.agent))
            .map_or(0, |(_, strikes)| *strikes)
    }

    /// A pool's verdict on a share.
    pub(super) fn submit_answered(
        &mut self,
        upstream: UpstreamId,
        submitted: Submitted,
        answer: Answer<'_>,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(pool) = self.upstreams.get(&upstream).map(|u| u.pool) else { return };
        let verdict = match answer {
            Answer::Ok(_) => Verdict::Accepted,
            Answer::Refused { code, text } => Verdict::Rejected { code, text: text.into() },
        };
        if let Some(facts) = self.facts.get_mut(pool.index()) {
            facts.judged(verdict == Verdict::Accepted);
        }
        self.finish_submit(pool, submitted, verdict, now, out);
    }

    /// The one reply that a forwarded submit gets.
    fn finish_submit(&mut self, pool: PoolId, submitted: Submitted, verdict: Verdict, now: Time, out: &mut ActionBuf) {
        let Some(miner) = self.miners.get_mut(&submitted.miner) else { return };
        let conn = Conn::Miner(submitted.miner);
        out.send(conn, |o| match &verdict {
            Verdict::Accepted | Verdict::Credited => encode::reply_true(o, &submitted.id),
            Verdict::Rejected { code, text } => encode::reply_error(o, &submitted.id, *code, text),
            Verdict::Unanswered => encode::reply_error(o, &submitted.id, 20, "The pool did not answer within 30 s"),
            Verdict::Lost | Verdict::Abandoned | Verdict::Dropped(_) => {
                encode::reply_error(o, &submitted.id, 20, "The pool's connection ended before it answered");
            }
        });
        miner.outstanding = miner.outstanding.saturating_sub(1);
        if miner.paused && miner.outstanding <= FEW_OUTSTANDING && miner.queued == 0 {
            miner.paused = false;
            out.push(Action::ResumeReading(conn));
        }
        if verdict == Verdict::Accepted {
            miner.rate.add(now, submitted.assigned.work());
        }
        out.notice(Notice::ShareResult {
            who: miner.who(),
            pool: Some(pool),
            verdict,
            assigned: Some(submitted.assigned),
            achieved: submitted.achieved,
            response: Some(now.since(submitted.sent)),
        });
    }

    /// A miner has left: what becomes of the shares that it still waits for is not waited for.
    pub(super) fn abandon_submits(&mut self, who: &Who, group: GroupId, now: Time, out: &mut ActionBuf) {
        let upstreams = self.groups.get(&group).map_or(&[][..], |g| &g.links[..]).iter().filter_map(|l| l.upstream());
        for id in upstreams {
            let Some(upstream) = self.upstreams.get_mut(&id) else { continue };
            let pool = upstream.pool;
            for submitted in upstream.take_submits_of(who.miner) {
                out.notice(Notice::ShareResult {
                    who: who.clone(),
                    pool: Some(pool),
                    verdict: Verdict::Abandoned,
                    assigned: Some(submitted.assigned),
                    achieved: submitted.achieved,
                    response: Some(now.since(submitted.sent)),
                });
            }
        }
    }

    /// An upstream is gone: every submit that waits for it is answered.
    pub(super) fn answer_lost(&mut self, upstream: &mut Upstream, now: Time, out: &mut ActionBuf) {
        for submitted in upstream.take_submits() {
            self.finish_submit(upstream.pool, submitted, Verdict::Lost, now, out);
        }
    }

    /// Submits may have waited for too long.
    pub(super) fn check_answers(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let mut unanswered = 0;
        let mut silent = false;
        loop {
            let Some(upstream) = self.upstreams.get_mut(&id) else { return };
            let Some((request, submitted)) = upstream.oldest_submit() else { break };
            let (sent, due) = (submitted.sent, submitted.sent + ANSWER);
            if due > now {
                self.timers.set(TimerKind::UpstreamAnswer(id), due);
                break;
            }
            silent |= upstream.last_received <= sent;
            let pool = upstream.pool;
            upstream.unanswered += 1;
            unanswered = upstream.unanswered;
            if let Some(Request::Submit(submitted)) = upstream.answered(request) {
                self.finish_submit(pool, submitted, Verdict::Unanswered, now, out);
            }
        }
        if unanswered >= MOST_UNANSWERED {
            self.fail_upstream(id, CloseReason::Silent, now, out);
        } else if silent {
            self.hold(id, HeldOff::NoAnswer, now, out);
        }
    }
}

/// How many layouts an unknown agent is given before it keeps a pool's own extranonce.
pub(super) const MOST_STRIKES: u8 = 2;
