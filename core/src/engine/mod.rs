//! The engine: it routes events to sessions and owns the timers. What is done with them lives in the rooms below, each
//! an `impl` of [`Engine`] that calls only downwards:
//!
//! | room | what is decided there |
//! | --- | --- |
//! | `commands` | the operator's wishes: weights, config, drain |
//! | `miners` | a miner's lines and its life: handshake, requests, end |
//! | `pools` | a pool's lines and its life: handshake, jobs, answers, end |
//! | `shares` | a submit's way up: check, forwarding, or why not |
//! | `verdicts` | a share's way back: the pool's answer, whose fault, the reply |
//! | `chain_facts` | what a pool's jobs tell of height, network and payout |
//! | `links` | when a pool is connected, tried again, held off, probed |
//! | `work` | which pool a miner works for, until when |
//! | `oracle` | what the automatic balance is told, and when it decides |
//! | `fleet` | how work is divided among the miners: who is held, who is placed whole, who swings |
//! | `phases` | where in the common cycle each miner is |
//! | `issue` | the form of a job for one miner |
//! | `layout` | which extranonce a miner is told |
//! | `own_difficulty` | what a small miner is told, and what is remembered of workers |
//! | `pseudonyms` | nothing: where names and payout scripts lie, for redacted recordings |
//! | `state` | the data itself |

mod chain_facts;
mod commands;
mod fleet;
mod issue;
mod layout;
mod links;
mod miners;
mod oracle;
mod own_difficulty;
mod phases;
mod pools;
mod pseudonyms;
mod shares;
mod state;
mod verdicts;
mod work;

pub(crate) use pseudonyms::{Pseudonyms, rename_config, rename_memory};
pub(crate) use state::CHECKPOINT_VERSION;
pub use state::{Engine, Memory, MinerStatus, PoolMemory, PoolStatus, RestoreError, WorkerMemory};

use crate::action::ActionBuf;
use crate::close::CloseReason;
use crate::event::{Command, Event};
use crate::ids::{Conn, UpstreamId};
use crate::time::Time;
use crate::timers::TimerKind;

/// Most timers that one step obeys; the rest is due at once in the next.
const MOST_TIMERS_A_STEP: u32 = 10_000;

impl Engine {
    /// Takes one event and appends all that follows from it to `out`. `now` is not before that of the last step; if it
    /// is, the last one's counts. Deadlines that have come are obeyed first.
    pub fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        let now = self.clock(now);
        if self.fleet.said_dwell.is_none() {
            self.say_schedule(None, out);
        }
        self.obey_timers(now, out);
        match event {
            Event::Tick => {}
            Event::WallClock { unix_micros } => {
                self.set_wall_clock(now, unix_micros);
                self.oracle_timer(now, out);
            }
            Event::MinerAccepted { miner, peer } => self.miner_accepted(miner, peer, now, out),
            Event::Connected { upstream } => self.upstream_connected(upstream, now, out),
            Event::ConnectFailed { upstream, reason } => {
                self.upstream_lost(upstream, CloseReason::Peer(reason.into()), now, out);
            }
            Event::Received { conn: Conn::Miner(miner), bytes } => self.miner_received(miner, bytes, now, out),
            Event::Received { conn: Conn::Upstream(upstream), bytes } => {
                self.upstream_received(upstream, bytes, now, out);
            }
            Event::Closed { conn: Conn::Miner(miner), reason } => {
                self.miner_gone(miner, CloseReason::Peer(reason.into()), now, out);
            }
            Event::Closed { conn: Conn::Upstream(upstream), reason } => {
                self.upstream_lost(upstream, CloseReason::Peer(reason.into()), now, out);
            }
            Event::SendQueue { conn: Conn::Miner(miner), bytes } => self.miner_queue(miner, bytes, now, out),
            Event::SendQueue { conn: Conn::Upstream(upstream), bytes } => {
                self.upstream_queue(upstream, bytes, now, out);
            }
            Event::Command(Command::SetWeights(weights)) => self.set_weights(weights, now, out),
            Event::Command(Command::SetConfig(config)) => self.set_config(*config, now, out),
            Event::Command(Command::SetAutoBalance(active)) => self.set_auto_balance(active, now, out),
            Event::OracleAnswer(answer) => self.oracle_answered(answer, now, out),
            Event::Command(Command::Drain) => self.drain(now, out),
        }
        self.obey_timers(now, out);
        self.finish_drain(out);
    }

    /// When the engine next wants to be called, and why; none: not before the next event. Later than the last step.
    pub fn poll_timeout(&self) -> Option<(Time, TimerKind)> {
        self.timers.next()
    }

    /// True if a miner works for this connection now: what it says is somebody's next job. A driver reads it before those
    /// that only stand by.
    pub fn is_mined(&self, upstream: UpstreamId) -> bool {
        let group = self.upstreams.get(&upstream).and_then(|u| u.group()).and_then(|g| self.groups.get(&g));
        let works = |id| self.miners.get(id).and_then(|m| m.working).is_some_and(|w| w.upstream == upstream);
        group.is_some_and(|group| group.miners.iter().any(works))
    }

    fn obey_timers(&mut self, now: Time, out: &mut ActionBuf) {
        for _ in 0..MOST_TIMERS_A_STEP {
            let Some(kind) = self.timers.due(now) else { return };
            match kind {
                TimerKind::MinerHandshake(miner) => self.miner_handshake_timeout(miner, now, out),
                TimerKind::MinerKeepAlive(miner) => self.keep_alive(miner, now, out),
                TimerKind::MinerDwell(miner) => self.dwell_over(miner, now, out),
                TimerKind::MinerClogged(miner) => self.miner_clogged(miner, now, out),
                TimerKind::UpstreamHandshake(upstream) => self.upstream_handshake_timeout(upstream, now, out),
                TimerKind::UpstreamSilence(upstream) => self.check_silence(upstream, now, out),
                TimerKind::UpstreamAnswer(upstream) => self.check_answers(upstream, now, out),
                TimerKind::UpstreamGiveUp(upstream) => self.give_up(upstream, now, out),
                TimerKind::LinkRetry(group, pool) => self.retry(group, pool, now, out),
                TimerKind::LinkProven(group, pool) => self.proven(group, pool, now, out),
                TimerKind::Probe(pool) => self.probe(pool, now, out),
                TimerKind::Oracle => self.oracle_timer(now, out),
                TimerKind::Balance => self.balance(now, out),
                TimerKind::DrainEnd => self.end_drain(now, out),
            }
        }
    }
}
