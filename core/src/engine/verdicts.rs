//! A share's way back: the pool's answer or its absence, whose fault it is, and the one reply to the miner.

use super::links::ANSWER;
use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::ids::{Conn, GroupId, PoolId, UpstreamId};
use crate::notice::{Fault, HeldOff, Notice, Verdict, Who};
use crate::pool::{Request, Submitted, Upstream};
use crate::stratum::encode;
use crate::stratum::message::Answer;
use crate::time::Time;
use crate::timers::TimerKind;

/// A miner that was not read from for its many unanswered submits is read from again below this.
pub(super) const FEW_OUTSTANDING: u32 = 256;
/// A pool that answers none of the submits of this many in a row is taken for dead, whatever else it says.
const MOST_UNANSWERED: u32 = 5;

impl Engine {
    /// A pool's verdict on a share.
    pub(super) fn submit_answered(
        &mut self,
        upstream: UpstreamId,
        submitted: Submitted,
        answer: Answer<'_>,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(from) = self.upstreams.get(&upstream) else { return };
        let pool = from.pool;
        let (verdict, fault) = match answer {
            Answer::Ok(_) => {
                let group = from.group().and_then(|g| self.groups.get_mut(&g));
                if let Some(job) = group.and_then(|g| g.jobs.pool_job_mut(submitted.job)) {
                    job.accepted = true;
                }
                (Verdict::Accepted, None)
            }
            Answer::Refused { code, text } => {
                let fault = self.refused_by_whose_fault(upstream, &submitted, code);
                (Verdict::Rejected { code, text: self.hush(upstream, text).into() }, Some(fault))
            }
        };
        // What was only tried because it is a block, against a rule that the pool has, tells nothing of the pool.
        if !submitted.anyway
            && let Some(facts) = self.facts.get_mut(pool.index())
        {
            facts.acceptance.judged(submitted.assigned.work(), verdict == Verdict::Accepted, now);
        }
        self.finish_submit(pool, submitted, verdict, fault, now, out);
    }

    /// Whose fault a refusal is, from what is known for certain: the share was checked, is no duplicate of one that was
    /// sent, and its job came from this very connection.
    fn refused_by_whose_fault(&self, upstream: UpstreamId, submitted: &Submitted, code: i64) -> Fault {
        let Some(upstream) = self.upstreams.get(&upstream) else { return Fault::Nobody };
        let job = upstream.group().and_then(|g| self.groups.get(&g)).and_then(|g| g.jobs.pool_job(submitted.job));
        if job.is_some_and(|job| job.upstream != upstream.id) {
            return Fault::Proxy;
        }
        let newest = upstream.job == Some(submitted.job);
        // It was tried because it is a block.
        let Some(job) = job.filter(|_| !submitted.anyway) else { return Fault::Nobody };
        match Refusal::of(code) {
            // A newer job has come, or the extranonce has changed under it.
            _ if job.extranonce1 != upstream.extranonce1 => Fault::Nobody,
            Refusal::Stale if !newest => Fault::Nobody,
            // It knew the job once, so it has dropped it since: the job that replaces it is on its way to us.
            Refusal::Stale if job.accepted => Fault::Nobody,
            Refusal::Stale | Refusal::Worker => Fault::Pool,
            Refusal::LowDifficulty | Refusal::Duplicate if submitted.hash.is_none() => Fault::Miner,
            // Beyond what is remembered the pool alone finds them.
            Refusal::Duplicate if !job.remembers_all() => Fault::Miner,
            // It asks for more than it told when it sent the job.
            Refusal::LowDifficulty if !upstream.difficulty_told => Fault::Pool,
            Refusal::LowDifficulty
                if submitted.hash.is_some_and(|h| !h.meets(&job.difficulty.max(upstream.difficulty).target())) =>
            {
                Fault::Pool
            }
            // It was checked against what the pool itself has told: header, target, extranonce, mask, and that it is new.
            Refusal::LowDifficulty | Refusal::Duplicate | Refusal::Other => Fault::Pool,
        }
    }

    /// The one reply that a forwarded submit gets.
    fn finish_submit(
        &mut self,
        pool: PoolId,
        submitted: Submitted,
        verdict: Verdict,
        fault: Option<Fault>,
        now: Time,
        out: &mut ActionBuf,
    ) {
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
        out.notice(Notice::ShareResult {
            who: miner.who(),
            pool: Some(pool),
            verdict,
            fault,
            assigned: Some(submitted.assigned),
            worked: Some(submitted.worked),
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
                    fault: Some(Fault::Nobody),
                    assigned: Some(submitted.assigned),
                    worked: Some(submitted.worked),
                    achieved: submitted.achieved,
                    response: Some(now.since(submitted.sent)),
                });
            }
        }
    }

    /// An upstream is gone: every submit that waits for it is answered.
    pub(super) fn answer_lost(&mut self, upstream: &mut Upstream, now: Time, out: &mut ActionBuf) {
        for submitted in upstream.take_submits() {
            self.finish_submit(upstream.pool, submitted, Verdict::Lost, Some(Fault::Nobody), now, out);
        }
    }

    /// Submits may have waited for too long.
    pub(super) fn check_answers(&mut self, id: UpstreamId, now: Time, out: &mut ActionBuf) {
        let mut unanswered = 0;
        let mut silent = None;
        loop {
            let Some(upstream) = self.upstreams.get_mut(&id) else { return };
            let Some((request, submitted)) = upstream.oldest_submit() else { break };
            let (sent, due) = (submitted.sent, submitted.sent + ANSWER);
            if due > now {
                self.timers.set(TimerKind::UpstreamAnswer(id), due);
                break;
            }
            let pool = upstream.pool;
            if upstream.last_received <= sent {
                silent = Some((pool, sent));
            }
            upstream.unanswered += 1;
            unanswered = upstream.unanswered;
            if let Some(Request::Submit(submitted)) = upstream.answered(request) {
                self.finish_submit(pool, submitted, Verdict::Unanswered, Some(Fault::Pool), now, out);
            }
        }
        if unanswered >= MOST_UNANSWERED {
            if silent.is_none() {
                self.note_deaf(id);
            }
            self.fail_upstream(id, CloseReason::Silent, now, out);
        } else if let Some((pool, sent)) = silent {
            // One look at the others for each connection that is found out, not for each submit.
            if self.hold(id, HeldOff::NoAnswer, now, out) {
                self.hold_silent(pool, sent, now, out);
            }
        }
    }

    /// The pool has answered a submit: whatever it left unanswered before is forgiven.
    pub(super) fn note_answer(&mut self, id: UpstreamId, now: Time) {
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        upstream.unanswered = 0;
        let (pool, Some(group)) = (upstream.pool, upstream.group()) else { return };
        if let Some(trusted) = self.link(group, pool).and_then(|link| link.hears(now)) {
            self.look_again(group, pool, trusted);
        }
    }

    /// The pool goes on sending jobs, and answers no submit: its word that it is back is not enough.
    fn note_deaf(&mut self, id: UpstreamId) {
        let Some(upstream) = self.upstreams.get(&id) else { return };
        let (pool, Some(group)) = (upstream.pool, upstream.group()) else { return };
        if let Some(link) = self.link(group, pool) {
            link.was_deaf();
        }
    }
}

/// Why a pool refused a share, by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Stale,
    Duplicate,
    LowDifficulty,
    /// It does not know the worker, or no longer.
    Worker,
    Other,
}

impl Refusal {
    fn of(code: i64) -> Refusal {
        match code {
            21 => Refusal::Stale,
            22 => Refusal::Duplicate,
            23 => Refusal::LowDifficulty,
            24 | 25 => Refusal::Worker,
            _ => Refusal::Other,
        }
    }
}
