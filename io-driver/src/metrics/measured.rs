//! What is measured over windows of time, and what the ledger knows: filled from a snapshot when somebody scrapes. Single
//! workers only if `metrics.per_worker` says so, and at most [`MOST_WORKERS`] of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpmp_core::config::MAX_POOLS;
use dpmp_core::ledger::Window;
use prometheus::{Error, Gauge, GaugeVec, IntGauge};

use super::chain::ChainSeries;
use super::series::Maker;
use crate::logs::redact;
use crate::statistics::snapshot::{ByWindow, Rate, Worker};
use crate::statistics::{Snapshot, slot_letter};

/// Workers with series of their own; those with the most work in the last hour.
const MOST_WORKERS: usize = 200;

/// The series.
#[derive(Clone, Debug)]
pub(super) struct MeasuredSeries {
    hashrate: GaugeVec,
    pool_hashrate: GaugeVec,
    split: GaugeVec,
    split_target: GaugeVec,
    split_error: GaugeVec,
    split_low: GaugeVec,
    split_high: GaugeVec,
    collecting: GaugeVec,
    switches: GaugeVec,
    switch_lost: GaugeVec,
    best: GaugeVec,
    pool_best: GaugeVec,
    chain: ChainSeries,
    share_luck: Gauge,
    best_luck: Gauge,
    workers: GaugeVec,
    facts_lost: IntGauge,
    total_work: Gauge,
    worker_hashrate: GaugeVec,
    worker_shares: GaugeVec,
    worker_best: GaugeVec,
    worker_last_share: GaugeVec,
    per_worker: Arc<AtomicBool>,
}

impl MeasuredSeries {
    pub(super) fn new(make: &Maker<'_>, pools: &[String]) -> Result<MeasuredSeries, Error> {
        let pool = &["pool", "window"][..];
        let series = MeasuredSeries {
            hashrate: make.levels(
                "dpmp_hashrate",
                "Hashes a second of all miners by their accepted and credited shares; NaN: not enough yet.",
                &["window"],
            )?,
            pool_hashrate: make.levels("dpmp_pool_hashrate", "The same for one pool.", pool)?,
            split: make.levels(
                "dpmp_split_ratio",
                "Share of the work that the pool got (0 to 1), by accepted and credited difficulty; NaN: no share yet.",
                pool,
            )?,
            split_target: make.levels(
                "dpmp_split_target_ratio",
                "Share of the work that it was to get, mean over the time of the window.",
                pool,
            )?,
            split_error: make.levels(
                "dpmp_split_error_ratio",
                "Got less target (times 100: percentage points); NaN while collecting.",
                pool,
            )?,
            split_low: make.levels(
                "dpmp_split_error_low_ratio",
                "Lower end of the error's 95 % interval; an interval around 0 means that nothing is wrong.",
                pool,
            )?,
            split_high: make.levels("dpmp_split_error_high_ratio", "Upper end of that interval.", pool)?,
            collecting: make.levels(
                "dpmp_split_collecting",
                "1: too few shares in the window to say anything of the split; else 0.",
                &["window"],
            )?,
            switches: make.levels(
                "dpmp_switches_per_hour",
                "Times an hour that a miner's work went to another pool; NaN: not enough yet.",
                &["window"],
            )?,
            switch_lost: make.levels(
                "dpmp_switch_lost_work_ratio",
                "Part of the work that was late or refused within 5 s of a change of pool (0 to 1).",
                &["window"],
            )?,
            best: make.levels(
                "dpmp_best_share_difficulty",
                "True difficulty of the best share; 0: none yet.",
                &["scope"],
            )?,
            pool_best: make.levels(
                "dpmp_pool_best_share_difficulty",
                "True difficulty of the best share for the pool; 0: none yet.",
                &["pool", "scope"],
            )?,
            chain: ChainSeries::new(make, pools)?,
            share_luck: make.level(
                "dpmp_session_share_luck",
                "Difficulty that pools accepted over the work that was done since the start; 1 is neither luck nor bad luck, \
                 NaN: no work yet.",
            )?,
            best_luck: make.level(
                "dpmp_session_best_share_luck",
                "Part of all sessions with as much work that have a lesser best share (0 to 1); NaN: no work yet.",
            )?,
            workers: make.levels(
                "dpmp_workers",
                "Workers of the last week, by whether a connection of theirs stands.",
                &["state"],
            )?,
            facts_lost: make.gauge(
                "dpmp_statistics_lost_facts",
                "Facts that the statistics missed because this machine was too slow: should be 0.",
            )?,
            total_work: make.level(
                "dpmp_work_difficulty",
                "Accepted and credited difficulty of all time, over restarts; times 2^32 it is hashes.",
            )?,
            worker_hashrate: make.levels(
                "dpmp_worker_hashrate",
                "Hashes a second of a worker; NaN: not enough yet. Only with metrics.per_worker.",
                &["worker", "window"],
            )?,
            worker_shares: make.levels(
                "dpmp_worker_shares",
                "Shares of a worker of all time: good, rejected, late or lost. Only with metrics.per_worker.",
                &["worker", "result"],
            )?,
            worker_best: make.levels(
                "dpmp_worker_best_share_difficulty",
                "True difficulty of a worker's best share of all time. Only with metrics.per_worker.",
                &["worker"],
            )?,
            worker_last_share: make.levels(
                "dpmp_worker_last_share_timestamp_seconds",
                "When a worker's last share came, in seconds since 1970. Only with metrics.per_worker.",
                &["worker"],
            )?,
            per_worker: Arc::default(),
        };
        for letter in pools {
            for scope in ["session", "all_time"] {
                series.pool_best.with_label_values(&[letter.as_str(), scope]);
            }
            for window in Window::ALL {
                let label = &[letter.as_str(), window.label()][..];
                for unknown in [&series.pool_hashrate, &series.split, &series.split_error, &series.split_low] {
                    unknown.with_label_values(label).set(f64::NAN);
                }
                series.split_high.with_label_values(label).set(f64::NAN);
                series.split_target.with_label_values(label);
            }
        }
        series.show(&Snapshot::default());
        Ok(series)
    }

    /// Whether single workers have series of their own.
    pub(super) fn per_worker(&self, on: bool) {
        self.per_worker.store(on, Ordering::Relaxed);
    }

    /// Fills them.
    pub(super) fn show(&self, snapshot: &Snapshot) {
        rates(&self.hashrate, &[], &snapshot.hashrate);
        for window in Window::ALL {
            let label = window.label();
            let split = snapshot.split.get(window);
            self.collecting
                .with_label_values(&[label])
                .set(f64::from(u8::from(split.collecting || split.pools.is_empty())));
            for pool in &split.pools {
                let labels = &[pool.pool.as_str(), label][..];
                let ratio = |points: Option<f64>| points.map_or(f64::NAN, |points| points / 100.0);
                self.split.with_label_values(labels).set(pool.achieved.unwrap_or(f64::NAN));
                self.split_target.with_label_values(labels).set(pool.target);
                self.split_error.with_label_values(labels).set(ratio(pool.error_points));
                self.split_low.with_label_values(labels).set(ratio(pool.low_points));
                self.split_high.with_label_values(labels).set(ratio(pool.high_points));
            }
            let switching = snapshot.switching.get(window);
            self.switches.with_label_values(&[label]).set(switching.per_hour.unwrap_or(f64::NAN));
            self.switch_lost.with_label_values(&[label]).set(switching.lost_ratio.unwrap_or(0.0));
        }
        let records = &snapshot.records;
        for (scope, best) in [("session", &records.best_session), ("all_time", &records.best)] {
            self.best.with_label_values(&[scope]).set(best.as_ref().map_or(0.0, |best| best.difficulty));
        }
        for pool in &snapshot.pools {
            rates(&self.pool_hashrate, &[&pool.pool], &pool.hashrate);
            self.chain.show(pool);
            for (scope, best) in [("session", &pool.best_session), ("all_time", &pool.best)] {
                let series = self.pool_best.with_label_values(&[pool.pool.as_str(), scope]);
                series.set(best.as_ref().map_or(0.0, |best| best.difficulty));
            }
        }
        if !snapshot.pools.is_empty() {
            (snapshot.pools.len()..MAX_POOLS).for_each(|index| self.forget(&slot_letter(index)));
        }
        let connected = snapshot.workers.iter().filter(|worker| worker.connections > 0).count();
        self.workers.with_label_values(&["connected"]).set(connected as f64);
        self.workers.with_label_values(&["gone"]).set((snapshot.workers.len() - connected) as f64);
        self.facts_lost.set(i64::try_from(snapshot.facts_lost).unwrap_or(i64::MAX));
        self.share_luck.set(snapshot.share_luck.unwrap_or(f64::NAN));
        self.best_luck.set(snapshot.session_luck.unwrap_or(f64::NAN));
        self.total_work.set(snapshot.totals.work);
        let listed = if self.per_worker.load(Ordering::Relaxed) { &snapshot.workers[..] } else { &[] };
        self.workers(listed);
    }

    /// A slot without a pool has no levels; an error is that it had none.
    fn forget(&self, letter: &str) {
        for window in Window::ALL {
            let labels = &[letter, window.label()];
            for series in [&self.pool_hashrate, &self.split, &self.split_target, &self.split_error] {
                let _ = series.remove_label_values(labels);
            }
            let _ = self.split_low.remove_label_values(labels);
            let _ = self.split_high.remove_label_values(labels);
        }
        for scope in ["session", "all_time"] {
            let _ = self.pool_best.remove_label_values(&[letter, scope]);
        }
        self.chain.forget(letter);
    }

    fn workers(&self, workers: &[Worker]) {
        // Those that are listed no more disappear.
        for series in [&self.worker_hashrate, &self.worker_shares, &self.worker_best, &self.worker_last_share] {
            series.reset();
        }
        let mut most: Vec<&Worker> = workers.iter().collect();
        let last_hour = |worker: &Worker| (worker.hashrate.hour.work, worker.hashrate.hour.shares);
        most.sort_by(|a, b| {
            let ((work, shares), (less, fewer)) = (last_hour(b), last_hour(a));
            work.total_cmp(&less).then(shares.cmp(&fewer)).then_with(|| a.name.cmp(&b.name))
        });
        for worker in most.into_iter().take(MOST_WORKERS) {
            let name = redact(&worker.name);
            let name = name.as_ref();
            rates(&self.worker_hashrate, &[name], &worker.hashrate);
            let shares = &worker.shares;
            let good = shares.accepted + shares.credited;
            for (result, n) in
                [("good", good), ("rejected", shares.rejected), ("late", shares.late), ("lost", shares.lost)]
            {
                self.worker_shares.with_label_values(&[name, result]).set(n as f64);
            }
            let best = worker.best.as_ref().map_or(0.0, |best| best.difficulty);
            self.worker_best.with_label_values(&[name]).set(best);
            if let Some(last) = worker.last_share {
                self.worker_last_share.with_label_values(&[name]).set(last as f64);
            }
        }
    }
}

/// A rate in each window; the label of the window comes last.
fn rates(series: &GaugeVec, labels: &[&str], rates: &ByWindow<Rate>) {
    for window in Window::ALL {
        let mut labels = labels.to_vec();
        labels.push(window.label());
        series.with_label_values(&labels).set(rates.get(window).hashes_per_second.unwrap_or(f64::NAN));
    }
}
