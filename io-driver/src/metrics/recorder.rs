//! Feeds the series from notices. Lives on the loop's thread; keeps the little that a notice alone does not tell: which
//! pool each miner works for since when, and which connections are open.

use std::collections::BTreeMap;

use dpmp_core::config::{Config, MAX_POOLS, Mode, WEIGHT_SUM};
use dpmp_core::notice::{DropReason, Fault, SwitchReason, Verdict};
use dpmp_core::{MinerId, Notice, PoolId, Span, Time, UpstreamId};

use super::series::{Metrics, PoolSeries, REJECTS, RESULTS};
use crate::statistics::Measured;

/// A miner's time.
#[derive(Default)]
struct MinerTime {
    ready: bool,
    idle: bool,
    pool: Option<PoolId>,
    since: Time,
    /// Microseconds for each pool.
    spent: [u64; MAX_POOLS],
}

/// The loop's end of the metrics.
pub struct Recorder {
    metrics: Metrics,
    pools: Vec<PoolSeries>,
    miners: BTreeMap<MinerId, MinerTime>,
    upstreams: BTreeMap<UpstreamId, PoolId>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("miners", &self.miners.len()).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Feeds these metrics.
    pub fn new(metrics: Metrics, config: &Config) -> Recorder {
        let mut recorder = Recorder { metrics, pools: Vec::new(), miners: BTreeMap::new(), upstreams: BTreeMap::new() };
        for pool in config.pool_ids() {
            recorder.pool(pool);
        }
        recorder.weights(&config.scheduler.weights);
        recorder.config(config);
        recorder
    }

    /// A config is in force.
    pub fn config(&mut self, config: &Config) {
        self.metrics.measured.per_worker(config.metrics_per_worker);
        self.metrics.fleet.set(i64::from(config.scheduler.mode == Mode::Fleet));
        for gone in self.pools.iter().skip(config.pools.len()) {
            gone.difficulty.set(f64::NAN);
        }
    }

    /// The loop has measured something.
    pub fn measured(&mut self, what: Measured, span: Span) {
        match what {
            Measured::JobFanout => self.metrics.job_fanout.observe(span.as_secs_f64()),
            Measured::Share => self.metrics.share_processing.observe(span.as_secs_f64()),
        }
    }

    fn pool(&mut self, pool: PoolId) -> &PoolSeries {
        while self.pools.len() <= pool.index() {
            let next = PoolId(u8::try_from(self.pools.len()).unwrap_or(u8::MAX));
            self.pools.push(self.metrics.pool(next));
        }
        &self.pools[pool.index()]
    }

    /// Lines went out to a miner, or to a pool.
    pub fn sent(&mut self, pool: Option<PoolId>, lines: u64) {
        match pool {
            None => self.metrics.downstream_tx.inc_by(lines),
            Some(pool) => self.pool(pool).tx.inc_by(lines),
        }
    }

    /// Takes a fact.
    pub fn observe(&mut self, now: Time, notice: &Notice) {
        match notice {
            Notice::MinerConnected { who } => {
                self.metrics.downstream_connections.inc();
                self.metrics.miners_total.inc();
                self.miners.insert(who.miner, MinerTime::default());
            }
            Notice::MinerReady { who, .. } => {
                let ready = self.miners.get_mut(&who.miner).map(|m| std::mem::replace(&mut m.ready, true));
                self.metrics.miners_ready.add(i64::from(ready == Some(false)));
            }
            Notice::MinerDisconnected { who, .. } => {
                self.works_for(now, who.miner, None);
                if let Some(miner) = self.miners.remove(&who.miner) {
                    self.metrics.downstream_connections.dec();
                    self.metrics.miners_ready.sub(i64::from(miner.ready));
                    self.metrics.miners_idle.sub(i64::from(miner.idle));
                }
            }
            Notice::MinerBadLine { .. } => self.metrics.miner_bad_lines.inc(),
            Notice::MinerWarning { .. } => self.metrics.miner_warnings.inc(),
            Notice::DifficultyTold { difficulty, .. } => self.metrics.downstream_difficulty.set(difficulty.as_f64()),
            Notice::JobForwarded { pool, .. } => {
                self.pool(*pool).jobs_forwarded.inc();
                for (slot, series) in self.pools.iter().enumerate() {
                    series.active.set(i64::from(slot == pool.index()));
                }
            }
            Notice::PoolSwitched { who, to, why, .. } => {
                self.works_for(now, who.miner, Some(*to));
                self.metrics.switches[switch_index(*why)].inc();
            }
            Notice::MinerIdle { who } => {
                self.works_for(now, who.miner, None);
                let idle = self.miners.get_mut(&who.miner).map(|m| std::mem::replace(&mut m.idle, true));
                self.metrics.miners_idle.add(i64::from(idle == Some(false)));
            }
            Notice::ShareSubmitted { .. } => self.metrics.submitted.inc(),
            Notice::ShareResult { pool, verdict, fault, assigned, response, .. } => {
                if let Some(fault) = fault {
                    self.metrics.faults[fault_index(*fault)].inc();
                }
                self.metrics.results[result_index(verdict)].inc();
                if let Some(pool) = pool {
                    self.verdict(*pool, verdict, assigned.map_or(0.0, |d| d.as_f64()));
                    // Only an answer has a round trip.
                    if let (Some(response), Verdict::Accepted | Verdict::Rejected { .. }) = (response, verdict) {
                        self.pool(*pool).response.observe(response.as_secs_f64());
                    }
                }
            }
            Notice::LinesReceived { pool, lines, .. } => match pool {
                None => self.metrics.downstream_rx.inc_by(u64::from(*lines)),
                Some(pool) => self.pool(*pool).rx.inc_by(u64::from(*lines)),
            },
            Notice::WeightsChanged { weights } => self.weights(weights),
            Notice::OracleStatus { status, .. } => self.metrics.oracle.observe(status),
            _ => self.observe_pool(notice),
        }
    }

    fn observe_pool(&mut self, notice: &Notice) {
        match notice {
            Notice::BlockCandidate { pool, .. } => self.pool(*pool).blocks.inc(),
            Notice::PoolConnected { upstream, pool, .. } => {
                self.pool(*pool).connects.inc();
                if self.upstreams.insert(*upstream, *pool).is_none() {
                    self.pool(*pool).connections.inc();
                }
            }
            Notice::PoolConnectFailed { pool, .. } => self.pool(*pool).connect_failures.inc(),
            Notice::PoolDown { upstream, pool, .. } => {
                self.pool(*pool).downs.inc();
                self.closed(*upstream);
            }
            Notice::PoolClosed { upstream, .. } => self.closed(*upstream),
            Notice::PoolHeldOff { pool, .. } => self.pool(*pool).held_off.inc(),
            Notice::PoolDifficulty { pool, difficulty, .. } => self.pool(*pool).difficulty.set(difficulty.as_f64()),
            Notice::PoolJob { pool, .. } => self.pool(*pool).jobs.inc(),
            Notice::PoolBadLine { pool, .. } => self.pool(*pool).bad_lines.inc(),
            _ => {}
        }
    }

    fn closed(&mut self, upstream: UpstreamId) {
        if let Some(pool) = self.upstreams.remove(&upstream) {
            self.pool(pool).connections.dec();
        }
    }

    fn verdict(&mut self, pool: PoolId, verdict: &Verdict, difficulty: f64) {
        let series = self.pool(pool);
        match verdict {
            Verdict::Accepted => {
                series.accepted.inc();
                series.accepted_difficulty.inc_by(difficulty);
            }
            Verdict::Credited => series.credited_difficulty.inc_by(difficulty),
            Verdict::Rejected { code, .. } => {
                series.rejected.inc();
                let reason = REJECTS.iter().position(|(_, c)| c == code).unwrap_or(REJECTS.len() - 1);
                series.rejects[reason].inc();
            }
            _ => {}
        }
    }

    fn weights(&mut self, weights: &[u32]) {
        for (slot, weight) in (0u8..).zip(weights) {
            self.pool(PoolId(slot)).target.set(f64::from(*weight) / f64::from(WEIGHT_SUM));
        }
        // A pool that a new config has taken away gets nothing.
        self.pools.iter().skip(weights.len()).for_each(|gone| gone.target.set(0.0));
    }

    fn works_for(&mut self, now: Time, miner: MinerId, pool: Option<PoolId>) {
        if let Some(miner) = self.miners.get_mut(&miner) {
            charge(&self.pools, miner, now);
            miner.pool = pool;
            if pool.is_some() && std::mem::replace(&mut miner.idle, false) {
                self.metrics.miners_idle.dec();
            }
        }
    }

    /// Brings the series up to date that grow with time alone.
    pub fn refresh(&mut self, now: Time) {
        let mut shares = [0f64; MAX_POOLS];
        let mut counted = 0f64;
        for miner in self.miners.values_mut() {
            charge(&self.pools, miner, now);
            let total: u64 = miner.spent.iter().sum();
            if total > 0 {
                counted += 1.0;
                for (share, spent) in shares.iter_mut().zip(miner.spent) {
                    *share += spent as f64 / total as f64;
                }
            }
        }
        for (series, share) in self.pools.iter().zip(shares) {
            series.scheduler_share.set(if counted > 0.0 { share / counted } else { 0.0 });
        }
    }
}

/// Books the time since the last booking on the pool that the miner works for.
fn charge(pools: &[PoolSeries], miner: &mut MinerTime, now: Time) {
    let spent = now.since(miner.since);
    miner.since = now;
    if let Some(index) = miner.pool.map(PoolId::index)
        && let (Some(series), Some(sum)) = (pools.get(index), miner.spent.get_mut(index))
    {
        *sum += spent.0;
        series.scheduler_time.inc_by(spent.as_secs_f64());
    }
}

/// The index in [`super::series::SWITCHES`].
fn switch_index(why: SwitchReason) -> usize {
    match why {
        SwitchReason::First => 0,
        SwitchReason::Schedule => 1,
        SwitchReason::Failover => 2,
        SwitchReason::Return => 3,
        SwitchReason::Operator => 4,
        SwitchReason::Balance => 5,
    }
}

fn fault_index(fault: Fault) -> usize {
    Fault::ALL.iter().position(|found| *found == fault).unwrap_or(0)
}

fn result_index(verdict: &Verdict) -> usize {
    let name = match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Credited => "credited",
        Verdict::Rejected { .. } => "rejected",
        Verdict::Lost => "lost",
        Verdict::Abandoned => "abandoned",
        Verdict::Unanswered => "unanswered",
        Verdict::Dropped(reason) => match reason {
            DropReason::UnknownJob => "unknown_job",
            DropReason::NoJobYet => "no_job_yet",
            DropReason::Stale => "stale",
            DropReason::Duplicate => "duplicate",
            DropReason::LowDifficulty => "low_difficulty",
            DropReason::Malformed => "malformed",
            DropReason::VersionBits => "version_bits",
            DropReason::Unauthorized => "unauthorized",
            DropReason::NotSubscribed => "not_subscribed",
        },
    };
    RESULTS.iter().position(|r| *r == name).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use dpmp_core::config::PoolConfig;
    use dpmp_core::notice::Who;

    use super::*;

    #[test]
    fn another_mode_is_seen() {
        let metrics = Metrics::new(2).unwrap();
        let mut config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![500_000, 500_000]);
        let mut recorder = Recorder::new(metrics.clone(), &config);
        assert_eq!(metrics.fleet.get(), 0);
        config.scheduler.mode = Mode::Fleet;
        recorder.config(&config);
        assert_eq!(metrics.fleet.get(), 1);
    }

    #[test]
    fn only_answers_have_a_round_trip() {
        let metrics = Metrics::new(2).unwrap();
        let config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![500_000, 500_000]);
        let mut recorder = Recorder::new(metrics.clone(), &config);
        let rejected = Verdict::Rejected { code: 23, text: "low".into() };
        for verdict in [Verdict::Accepted, Verdict::Lost, Verdict::Unanswered, Verdict::Abandoned, rejected] {
            let result = Notice::ShareResult {
                who: Who { miner: MinerId(1), peer: ([192, 0, 2, 5], 51_234).into(), worker: "rig".into() },
                pool: Some(PoolId(0)),
                verdict,
                fault: None,
                assigned: None,
                worked: None,
                achieved: 0.0,
                response: Some(Span::secs(1)),
            };
            recorder.observe(Time::ZERO, &result);
        }
        assert_eq!(metrics.pool(PoolId(0)).response.get_sample_count(), 2);
    }
}
