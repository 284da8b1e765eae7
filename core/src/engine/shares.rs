//! A submit's way up: from the miner's five fields to the pool that owns the job, or to the reason why it goes nowhere.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::links::ANSWER;
use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::difficulty::{Difficulty, Target};
use crate::extranonce::BIP_320;
use crate::ids::{Conn, JobId, MinerId, PoolId, UpstreamId};
use crate::job::{PoolJob, PoolJobKey, ShareKey};
use crate::miner::{Miner, Stage, said};
use crate::notice::{Block, BlockWay, DropReason, HeldOff, MinerWarning, Notice, Verdict};
use crate::pool::{Request, Submitted, Upstream};
use crate::share::{self, Hash, Share};
use crate::stratum::encode::{self, ShareLine};
use crate::stratum::hex;
use crate::stratum::message::Submit;
use crate::stratum::wire::RequestId;
use crate::time::Time;
use crate::timers::TimerKind;

/// A miner with this many unanswered submits is not read from until some are answered.
const MOST_OUTSTANDING: u32 = 512;
/// An unknown firmware is given another layout after this many failed shares without a good one.
const MOST_FAILED: u32 = 8;
/// Most unknown agents that are remembered an address.
const MOST_AGENTS: usize = 16;

/// A share that its own fields make whole: what it is in the pool's terms, and whose it is.
struct Whole {
    key: PoolJobKey,
    pool: PoolId,
    extranonce2: Vec<u8>,
    share: ShareKey,
    /// The version bits as the miner wrote them.
    bits: Option<u32>,
    /// The difficulty that the miner was told.
    told: Difficulty,
    /// The easiest by which a share of this job may have been found.
    easiest: Difficulty,
    /// A local rule that stands against it: only a block goes upstream all the same.
    against: Option<DropReason>,
}

/// Why a share goes no further, and the pool whose job it was for, if that is known.
struct Dropped(DropReason, Option<PoolId>);

/// What the check says of a share.
enum Worth {
    /// It goes to the pool.
    Forward(Good),
    /// The pool does not want it, the miner did well.
    Credit { assigned: Difficulty, achieved: f64 },
    /// It goes nowhere. With [`DropReason::LowDifficulty`]: nobody asked for so little.
    Drop { reason: DropReason, achieved: f64 },
}

/// A share that its pool would take.
struct Good {
    /// What the pool will credit.
    assigned: Difficulty,
    /// What it tells of the miner's hash rate.
    worked: Difficulty,
    achieved: f64,
    /// Its hash; none if shares cannot be checked.
    hash: Option<Hash>,
    /// It meets the network's target.
    block: bool,
    /// It goes upstream only because it is a block.
    anyway: bool,
}

/// Where a share is sent.
struct Destination {
    upstream: UpstreamId,
    key: PoolJobKey,
    way: BlockWay,
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
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.seen_bits |= whole.bits.unwrap_or(0);
        }
        // What was sent to its connection is not sent again, a block neither: the pool has it already.
        if !self.job_mut(id, whole.key).is_some_and(|job| job.remember(whole.share)) {
            return self.drop_share(id, &request, &Dropped(DropReason::Duplicate, pool), 0.0, now, out);
        }
        match self.worth(id, &whole, out) {
            Worth::Forward(good) => {
                self.check_passed(id);
                self.forward(id, request, &whole, &good, now, out);
            }
            Worth::Credit { assigned, achieved } => {
                self.check_passed(id);
                out.send(Conn::Miner(id), |o| encode::reply_true(o, &request));
                if let Some(miner) = self.miners.get_mut(&id) {
                    out.notice(Notice::ShareResult {
                        who: miner.who(),
                        pool,
                        verdict: Verdict::Credited,
                        fault: None,
                        assigned: Some(assigned),
                        worked: Some(assigned),
                        achieved,
                        response: None,
                    });
                }
            }
            Worth::Drop { reason, achieved } => {
                // It did not count, so it is no duplicate if it comes again.
                if let Some(job) = self.job_mut(id, whole.key) {
                    job.forget(&whole.share);
                }
                self.drop_share(id, &request, &Dropped(reason, pool), achieved, now, out);
                if reason == DropReason::LowDifficulty {
                    self.check_failed(id, now, out);
                }
            }
        }
    }

    fn job_mut(&mut self, id: MinerId, key: PoolJobKey) -> Option<&mut PoolJob> {
        let group = self.miners.get(&id)?.group?;
        self.groups.get_mut(&group)?.jobs.pool_job_mut(key)
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
        let bad = || Dropped(DropReason::Malformed, Some(job.pool));
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
        let against = match self.upstreams.get(&job.upstream) {
            None => Some(DropReason::Stale),
            Some(upstream) => match bits.filter(|bits| bits & !upstream.allowed_bits() != 0) {
                None => None,
                // Bits that the miner was told for this job, of a mask that has shrunk since, are no misbehaviour.
                Some(bits) if bits & !(issued.mask & !miner.rolled_outside) == 0 => Some(DropReason::Stale),
                Some(_) => Some(DropReason::VersionBits),
            },
        };
        // Without bits the miner hashed the job's version as it is. With them it replaced the bits of the mask it was told
        // (or rolls anyway); the others of the job still stand.
        let version = bits.map_or(job.version, |bits| job.version & !(issued.mask | bits) | bits);
        let mut extranonce2 = Vec::with_capacity(issued.prefix.len() + size);
        extranonce2.extend_from_slice(&issued.prefix);
        extranonce2.extend_from_slice(&own.to_be_bytes()[16 - size..]);
        let number = extranonce2.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
        Ok(Whole {
            key: issued.key,
            pool: job.pool,
            extranonce2,
            share: ShareKey { extranonce2: number, ntime, nonce, version },
            bits,
            // Shares on their way are judged by the easier of what the miner was told then and now: some firmwares apply
            // a new difficulty at once, some with the next job.
            told: issued.told,
            easiest: miner.told.map_or(issued.easiest, |now| issued.easiest.min(now)),
            against,
        })
    }

    fn worth(&mut self, id: MinerId, whole: &Whole, out: &mut ActionBuf) -> Worth {
        let job = self.miners.get(&id).and_then(|m| m.group).and_then(|g| self.groups.get(&g));
        let Some(job) = job.and_then(|g| g.jobs.pool_job(whole.key)) else {
            return Worth::Drop { reason: DropReason::UnknownJob, achieved: 0.0 };
        };
        let now = self.upstreams.get(&job.upstream).map_or(job.difficulty, |upstream| upstream.difficulty);
        let assigned = job.difficulty.min(now);
        if !self.config.pool(whole.pool).is_none_or(|p| p.sha256d) {
            if whole.against.is_none() {
                self.hashed(id, whole.told);
            }
            let good = Good { assigned, worked: whole.told, achieved: 0.0, hash: None, block: false, anyway: false };
            let dropped = |reason| Worth::Drop { reason, achieved: 0.0 };
            return whole.against.map_or(Worth::Forward(good), dropped);
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
        let (block, pays) = (value.meets(&job.network), value.meets(&assigned.target()));
        let worked = [whole.told, whole.easiest].into_iter().find(|told| value.meets(&told.target()));
        if let Some(worked) = worked.filter(|_| whole.against.is_none()) {
            self.hashed(id, worked);
        }
        if block || pays && whole.against.is_none() {
            let worked = worked.unwrap_or(assigned);
            let anyway = whole.against.is_some() || !pays;
            return Worth::Forward(Good { assigned, worked, achieved, hash: Some(hash), block, anyway });
        }
        match (whole.against, worked) {
            (Some(reason), _) => Worth::Drop { reason, achieved },
            (None, Some(assigned)) => Worth::Credit { assigned, achieved },
            (None, None) => Worth::Drop { reason: DropReason::LowDifficulty, achieved },
        }
    }

    /// A share that meets what the miner was told is work of that much: its hash rate follows from it, whatever the pool asks.
    fn hashed(&mut self, id: MinerId, told: Difficulty) {
        if let Some(miner) = self.miners.get_mut(&id) {
            miner.rate.share(self.now, told);
            miner.vardiff.share(told);
        }
    }

    /// The connection that owns the share's job; for a block whose owner is gone, another of the same pool that has the
    /// very same work.
    fn destination(&self, id: MinerId, whole: &Whole) -> Option<Destination> {
        let group = self.miners.get(&id)?.group?;
        let job = self.groups.get(&group)?.jobs.pool_job(whole.key)?;
        if self.upstreams.contains_key(&job.upstream) {
            return Some(Destination { upstream: job.upstream, key: whole.key, way: BlockWay::Owner });
        }
        let takes = |upstream: &&Upstream| upstream.pool == job.pool && upstream.has_work();
        self.upstreams.values().filter(takes).find_map(|upstream| {
            let jobs = &self.groups.get(&upstream.group()?)?.jobs;
            let (key, _) = jobs.pool_jobs().find(|(_, j)| j.upstream == upstream.id && j.same_headers(job))?;
            Some(Destination { upstream: upstream.id, key, way: BlockWay::Twin })
        })
    }

    /// Sends a share to its pool. Nothing stops a block: no rule of ours, no difficulty, no pause of the pool or the miner.
    fn forward(&mut self, id: MinerId, request: RequestId, whole: &Whole, good: &Good, now: Time, out: &mut ActionBuf) {
        let Some(to) = self.destination(id, whole) else {
            // Only a block comes here without a connection that could take it.
            self.note_block(id, whole, good, BlockWay::Nowhere, out);
            return self.drop_share(
                id,
                &request,
                &Dropped(DropReason::Stale, Some(whole.pool)),
                good.achieved,
                now,
                out,
            );
        };
        let Some(miner) = self.miners.get_mut(&id) else { return };
        miner.outstanding += 1;
        if miner.outstanding >= MOST_OUTSTANDING && !miner.paused {
            miner.paused = true;
            out.push(Action::PauseReading(Conn::Miner(id)));
        }
        let Some(upstream) = self.upstreams.get_mut(&to.upstream) else { return };
        let Some(job) = upstream.group().and_then(|g| self.groups.get(&g)).and_then(|g| g.jobs.pool_job(to.key)) else {
            return;
        };
        let request = upstream.request(Request::Submit(Submitted {
            miner: id,
            id: request,
            sent: now,
            assigned: good.assigned,
            worked: good.worked,
            achieved: good.achieved,
            hash: good.hash.as_ref().map(Target::from_le_bytes),
            anyway: good.anyway,
            job: to.key,
            share: whole.share,
        }));
        // Bits that the pool did not grant are only those of a block.
        let replaced = upstream.allowed_bits() | whole.bits.unwrap_or(0);
        let line = ShareLine {
            user: &upstream.user,
            job: &job.id,
            extranonce2: &whole.extranonce2,
            ntime: whole.share.ntime,
            nonce: whole.share.nonce,
            version_bits: (replaced != 0 || upstream.wants_bits).then_some(whole.share.version & replaced),
        };
        out.send(Conn::Upstream(to.upstream), |o| encode::submit(o, request, &line));
        if good.block {
            self.note_block(id, whole, good, to.way, out);
        }
        self.timers.ensure(TimerKind::UpstreamAnswer(to.upstream), now + ANSWER);
    }

    /// Tells of a block, with all that it takes to build it again.
    fn note_block(&self, id: MinerId, whole: &Whole, good: &Good, way: BlockWay, out: &mut ActionBuf) {
        let (Some(miner), Some(hash)) = (self.miners.get(&id), good.hash) else { return };
        let Some(job) = miner.group.and_then(|g| self.groups.get(&g)).and_then(|g| g.jobs.pool_job(whole.key)) else {
            return;
        };
        let ShareKey { ntime, nonce, version, .. } = whole.share;
        let coinbase = job.coinbase(&whole.extranonce2);
        let header = share::header(job, &Share { extranonce2: &whole.extranonce2, ntime, nonce, version });
        let block = Block {
            way,
            pool_job: job.id.clone(),
            height: crate::chain::coinbase::height(&coinbase),
            network_difficulty: job.network.difficulty(),
            header: header.to_vec(),
            coinbase,
            branches: job.branches.clone(),
        };
        let (who, block) = (miner.who(), Box::new(block));
        out.notice(Notice::BlockCandidate { who, pool: whole.pool, hash, achieved: good.achieved, block });
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
            fault: Some(reason.fault()),
            assigned: None,
            worked: None,
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
}

/// How many layouts an unknown agent is given before it keeps a pool's own extranonce.
pub(super) const MOST_STRIKES: u8 = 2;
