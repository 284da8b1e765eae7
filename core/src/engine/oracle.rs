//! What the automatic balance is told, and when it decides. How it decides is in `crate::oracle`.

use alloc::sync::Arc;

use super::state::Engine;
use crate::action::{Action, ActionBuf};
use crate::ids::UpstreamId;
use crate::notice::{Notice, WeightsSource};
use crate::oracle::history::{Sight, Told};
use crate::oracle::work::hashes_per_block;
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// What a job's header tells of its chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobHeader {
    pub(super) nbits: u32,
    pub(super) ntime: u32,
}

impl Engine {
    /// A job came for a block of this height. It may change the weights, so it is to be passed on before.
    pub(super) fn chain_seen(
        &mut self,
        id: UpstreamId,
        height: Option<u32>,
        header: JobHeader,
        now: Time,
        out: &mut ActionBuf,
    ) {
        let Some(upstream) = self.upstreams.get_mut(&id) else { return };
        let before = core::mem::replace(&mut upstream.height, height);
        let pool = upstream.pool;
        let (Some(height), Some(hashes)) = (height, hashes_per_block(header.nbits)) else { return };
        let Some(now_ms) = self.wall_millis(now) else { return };
        let Some(chain) = self.oracle.chain_of(pool).cloned() else { return };
        let ntime = header.ntime;
        match self.oracle.see(Sight { pool, before, height, hashes, ntime, now_ms }) {
            Told::Nothing => return,
            Told::Height(block) => {
                out.notice(Notice::ChainHeight { chain, pool, height, timed: block.timed });
            }
            Told::Doubted(doubt) => out.notice(Notice::ChainDoubt { chain, pool, doubt: Some(doubt) }),
            Told::Trusted => out.notice(Notice::ChainDoubt { chain, pool, doubt: None }),
            Told::Restarted => out.notice(Notice::ChainRestarted { chain, pool }),
        }
        self.oracle_decides(now, out);
    }

    pub(super) fn oracle_answered(&mut self, answer: Result<&[u8], &str>, now: Time, out: &mut ActionBuf) {
        let Some(now_ms) = self.wall_millis(now) else { return };
        if let Err(why) = self.oracle.answer(answer, now_ms) {
            out.notice(Notice::OracleFailed { why, failures: self.oracle.failures() });
        }
        self.oracle_decides(now, out);
    }

    /// It is time to ask, or what was known has become old.
    pub(super) fn oracle_timer(&mut self, now: Time, out: &mut ActionBuf) {
        let Some(now_ms) = self.wall_millis(now) else { return };
        if let Some(url) = self.oracle.poll(now_ms) {
            out.push(Action::FetchOracle { url: url.clone() });
            out.notice(Notice::OracleAsked { url });
        }
        self.oracle_decides(now, out);
    }

    /// The operator has set weights: they hold, and the automatic balance looks on.
    pub(super) fn oracle_yields(&mut self, moved: bool, now: Time, out: &mut ActionBuf) {
        let was_active = self.oracle.activate(false);
        if moved {
            self.oracle.moved_by_hand();
        }
        if was_active || moved {
            self.oracle_tells(now, out);
        }
    }

    pub(super) fn set_auto_balance(&mut self, active: bool, now: Time, out: &mut ActionBuf) {
        if self.oracle.activate(active) {
            self.oracle_decides(now, out);
        }
    }

    /// Lets the automatic balance decide, obeys it, tells where it stands, and sets its timer.
    pub(super) fn oracle_decides(&mut self, now: Time, out: &mut ActionBuf) {
        let Some(now_ms) = self.wall_millis(now) else { return };
        if self.draining.is_some() {
            return;
        }
        if let Some(decision) = self.oracle.decide(&self.config.scheduler.weights, now_ms) {
            let from: Arc<[u32]> = self.config.scheduler.weights.as_slice().into();
            let to: Arc<[u32]> = decision.weights.as_slice().into();
            out.notice(Notice::OracleDecided { from, to, reason: decision.reason });
            self.put_weights(decision.weights, WeightsSource::Oracle, now, out);
        }
        self.oracle_tells(now, out);
        if let Some(next) = self.oracle.next_ms(now_ms) {
            // At least a second ahead: deadlines of the wall clock may lie in the past.
            let span = Span::millis(next.saturating_sub(now_ms)).max(Span::secs(1));
            self.timers.set(TimerKind::Oracle, now + span);
        }
    }

    fn oracle_tells(&mut self, now: Time, out: &mut ActionBuf) {
        let status = Arc::new(self.oracle.status(self.wall_millis(now)));
        let changed = self.oracle.says_something_new(&status);
        out.notice(Notice::OracleStatus { status, changed });
    }
}
