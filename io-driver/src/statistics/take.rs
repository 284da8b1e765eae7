//! A [`Snapshot`] of the ledger and of what stands now.

use std::collections::BTreeMap;

use dpmp_core::config::{Config, WEIGHT_SUM};
use dpmp_core::ledger::{Counts, Ledger, Outcome, Window, Windows};
use dpmp_core::{PoolId, Span, Time};

use super::interval::{self, Side};
use super::latency::{Measured, Readings};
use super::live::Live;
use super::snapshot::{
    Best, Block, ByWindow, Connection, Down, ForPool, Miners, Pool, Rate, Records, Reject, Shares, Snapshot, Split,
    SplitPool, Switching, Worker,
};
use crate::luck;

/// Hashes of difficulty 1.
const HASHES: f64 = 4_294_967_296.0;
/// A rate of fewer shares is chance, unless it is that of a whole window.
const LEAST_SHARES: u64 = 3;
/// A split of fewer shares is chance.
const LEAST_EFFECTIVE: f64 = 20.0;
/// Best workers shown.
const BEST_WORKERS: usize = 10;

/// All that a snapshot is taken of.
pub(super) struct Subject<'a> {
    pub(super) now: Time,
    pub(super) ledger: &'a Ledger,
    pub(super) live: &'a mut Live,
    pub(super) readings: &'a Readings,
    /// The config in force.
    pub(super) config: &'a Config,
    pub(super) imported: &'a BTreeMap<String, f64>,
    /// Latest last.
    pub(super) blocks: &'a [Block],
    pub(super) facts_lost: u64,
}

impl<T> ByWindow<T> {
    /// Each window's value.
    pub fn each(mut value: impl FnMut(Window) -> T) -> ByWindow<T> {
        ByWindow { five_minutes: value(Window::FiveMinutes), hour: value(Window::Hour), day: value(Window::Day) }
    }

    /// The value of a window.
    pub fn get(&self, window: Window) -> &T {
        match window {
            Window::FiveMinutes => &self.five_minutes,
            Window::Hour => &self.hour,
            Window::Day => &self.day,
        }
    }
}

fn ratio(parts_per_million: u32) -> f64 {
    f64::from(parts_per_million) / f64::from(WEIGHT_SUM)
}

impl Subject<'_> {
    pub(super) fn take(mut self) -> Snapshot {
        let ledger = self.ledger;
        let pools = self.pools();
        let connections: Vec<Connection> = self.connections();
        let ready = ledger.connections().filter(|(_, c)| c.ready).count() as u64;
        let idle = ledger.connections().filter(|(_, c)| c.ready && c.pool.is_none()).count() as u64;
        Snapshot {
            at: ledger.unix(ledger.now()),
            uptime_seconds: self.now.since(Time::ZERO).as_secs_f64(),
            facts_lost: self.facts_lost,
            miners: Miners {
                connected: connections.len() as u64,
                ready,
                idle,
                workers: ledger.workers().len() as u64,
                crowded_out: ledger.crowded_out(),
            },
            hashrate: self.rates(ledger.windows(), ledger.since()),
            session: self.shares(&ledger.session().totals, ledger.session().since),
            session_luck: self.luck(),
            share_luck: luck::share_luck(ledger.session().totals.paid.as_f64(), ledger.session().totals.work.as_f64()),
            totals: self.shares(ledger.totals(), ledger.since()),
            split: ByWindow::each(|window| self.split(window)),
            switching: ByWindow::each(|window| self.switching(window)),
            pools,
            workers: self.workers(),
            connections,
            records: self.records(),
            job_fanout: self.readings.show(self.now, Measured::JobFanout),
            share_processing: self.readings.show(self.now, Measured::Share),
        }
    }

    /// Seconds since 1970 of an engine's time of this run.
    fn unix(&self, at: Time) -> u64 {
        self.ledger.unix(self.ledger.now() - self.now.since(at))
    }

    fn rates(&self, windows: &Windows, since: Time) -> ByWindow<Rate> {
        ByWindow::each(|window| {
            let observed = self.ledger.observed(window, since);
            let sum = windows.sum(window, self.ledger.now());
            let seconds = observed.as_secs_f64();
            let enough = observed >= window.span() || (observed >= window.least() && sum.count >= LEAST_SHARES);
            let of = |n: f64| (enough && seconds > 0.0).then(|| n / seconds);
            Rate {
                hashes_per_second: of(sum.work.as_f64() * HASHES),
                shares_per_minute: of(sum.count as f64 * 60.0),
                shares: sum.count,
                work: sum.work.as_f64(),
                observed_seconds: seconds,
            }
        })
    }

    fn shares(&self, counts: &Counts, since: Time) -> Shares {
        Shares {
            since: self.ledger.unix(since),
            ended: counts.shares.all(),
            accepted: counts.shares.get(Outcome::Accepted),
            credited: counts.shares.get(Outcome::Credited),
            rejected: counts.rejected(),
            dropped: counts.dropped(),
            late: counts.late(),
            duplicates: counts.duplicates(),
            lost: counts.lost(),
            after_switch: counts.after_switch,
            switch_lost: counts.switch_lost,
            work: counts.work.as_f64(),
            paid: counts.paid.as_f64(),
            wasted_work: counts.wasted_work.as_f64(),
            switch_lost_work: counts.switch_lost_work.as_f64(),
            by_fault: counts.faults.iter().map(|(fault, n)| (fault.name(), n)).collect(),
            by_outcome: counts.shares.iter().map(|(outcome, n)| (outcome.label(), n)).collect(),
        }
    }

    fn luck(&self) -> Option<f64> {
        let session = self.ledger.session();
        luck::best_share_luck(session.bests.overall()?.difficulty.as_f64(), session.totals.work.as_f64())
    }

    fn split(&self, window: Window) -> Split {
        let ledger = self.ledger;
        let observed = ledger.observed(window, ledger.since());
        let sums: Vec<_> = ledger.slots().iter().map(|slot| slot.windows.sum(window, ledger.now())).collect();
        let target = ledger.target(window);
        let side = |index: usize| Side {
            work: sums[index].work.as_f64(),
            squares: sums[index].squares,
            // From a pool that is to get nothing, nothing is awaited.
            difficulty: if target[index] > 0 { ledger.slots()[index].difficulty.as_f64() } else { 0.0 },
        };
        let found: Vec<_> = (0..sums.len())
            .map(|own| {
                let others = (0..sums.len()).filter(|other| *other != own).map(side);
                interval::part(side(own), others.fold(Side::default(), Side::and))
            })
            .collect();
        let effective = found.iter().flatten().map(|found| found.effective).fold(f64::INFINITY, f64::min);
        let collecting = observed < window.least() || !effective.is_finite() || effective < LEAST_EFFECTIVE;
        let pools = sums.iter().zip(found).zip(target).enumerate().map(|(index, ((sum, found), target))| {
            let target = ratio(target);
            let points = |part: f64| (!collecting).then_some((part - target) * 100.0);
            SplitPool {
                pool: slot_letter(index),
                target,
                achieved: found.map(|found| found.part),
                error_points: found.and_then(|found| points(found.part)),
                low_points: found.and_then(|found| points(found.low)),
                high_points: found.and_then(|found| points(found.high)),
                shares: sum.count,
                work: sum.work.as_f64(),
            }
        });
        Split {
            pools: pools.collect(),
            collecting,
            observed_seconds: observed.as_secs_f64(),
            effective_shares: if effective.is_finite() { effective } else { 0.0 },
        }
    }

    fn switching(&self, window: Window) -> Switching {
        let ledger = self.ledger;
        let observed = ledger.observed(window, ledger.since());
        let switches = ledger.switch_windows().sum(window, ledger.now()).count;
        let lost = ledger.switch_loss_windows().sum(window, ledger.now());
        let all = ledger.windows().sum(window, ledger.now()).work.as_f64() + lost.work.as_f64();
        let hours = observed.as_secs_f64() / 3600.0;
        Switching {
            switches,
            per_hour: (observed >= window.least()).then(|| switches as f64 / hours),
            lost_shares: lost.count,
            lost_work: lost.work.as_f64(),
            lost_ratio: (all > 0.0).then(|| lost.work.as_f64() / all),
        }
    }

    fn pools(&mut self) -> Vec<Pool> {
        let worked = self.live.worked(self.now);
        let all_worked: f64 = worked.iter().map(|span| span.as_secs_f64()).sum();
        let ids: Vec<PoolId> = self.config.pool_ids().collect();
        ids.into_iter()
            .map(|id| self.pool(id, worked.get(id.index()).copied().unwrap_or_default(), all_worked))
            .collect()
    }

    fn pool(&mut self, id: PoolId, worked: Span, all_worked: f64) -> Pool {
        let mut shown = Pool { pool: id.to_string(), ..Pool::default() };
        if let Some(config) = self.config.pool(id) {
            shown.name = config.name.clone();
            shown.chain = config.chain.clone();
            shown.endpoint = crate::proxy::show(&config.address);
        }
        shown.in_use = self.config.in_use(id);
        shown.target = ratio(self.config.scheduler.weights.get(id.index()).copied().unwrap_or(0));
        shown.usable = self.live.usable(id);
        shown.working = self.live.working(id);
        shown.worked_seconds = worked.as_secs_f64();
        shown.time_share = if all_worked > 0.0 { shown.worked_seconds / all_worked } else { 0.0 };
        let live = self.live.pool(id).clone();
        shown.connections = live.connected;
        shown.connects = live.connects;
        shown.losses = live.losses;
        shown.down = live.down.map(|(since, reason)| Down { since: self.unix(since), reason });
        shown.jobs = live.jobs;
        shown.last_job = live.last_job.map(|at| self.unix(at));
        shown.response = live.response.show(self.now);
        if let Some(chain) = live.chain {
            shown.height = chain.height;
            shown.network_difficulty = Some(chain.network_difficulty);
            shown.payout = Some(chain.payout.name());
        }
        let ledger = self.ledger;
        let Some(slot) = ledger.slots().get(id.index()) else { return shown };
        let difficulty = slot.difficulty.as_f64();
        shown.difficulty = (difficulty > 0.0).then_some(difficulty);
        let row = ledger.pool(&slot.pool);
        if let Some(row) = row {
            // The pool's own, not the slot's: another may have been here an hour ago.
            shown.hashrate = self.rates(&row.windows, row.since.unwrap_or(ledger.since()));
        }
        let rate = &shown.hashrate;
        let rate = rate.hour.hashes_per_second.or(rate.five_minutes.hashes_per_second);
        if let (Some(rate), Some(network)) = (rate, shown.network_difficulty) {
            shown.expected_block_seconds = luck::expected_time(rate, network).map(|time| time.as_secs_f64());
            shown.block_odds_per_day = Some(luck::odds_per_day(rate, network));
        }
        shown.best_session = ledger.session().bests.pools.get(&slot.pool).map(Best::from);
        shown.best = ledger.bests().pools.get(&slot.pool).map(Best::from);
        if let Some(row) = row {
            shown.last_share = row.last_share.map(|at| ledger.unix(at));
            shown.shares = self.shares(&row.counts, ledger.since());
            shown.blocks = row.blocks;
            let rejects = row.counts.shares.iter().filter(|(outcome, n)| outcome.is_rejected() && *n > 0);
            shown.top_reject = rejects.max_by_key(|(_, n)| *n).map(|(outcome, shares)| Reject {
                outcome: outcome.label(),
                shares,
                words: live.words,
            });
        }
        shown
    }

    fn workers(&self) -> Vec<Worker> {
        let ledger = self.ledger;
        let all = ledger.windows().sum(Window::Hour, ledger.now()).work.as_f64();
        let shown = ledger.workers().map(|(name, row)| {
            let hashrate = self.rates(&row.windows, row.since);
            Worker {
                name: name.clone(),
                agent: row.agent.clone(),
                connections: u64::from(row.connections),
                pool: row.pool.map(|pool| pool.to_string()),
                difficulty: row.told.map(|told| told.as_f64()),
                since: ledger.unix(row.since),
                last_share: row.last_share.map(|at| ledger.unix(at)),
                gone_since: (row.connections == 0).then(|| ledger.unix(row.last_seen)),
                share_of_work: (all > 0.0).then(|| hashrate.hour.work / all),
                hashrate,
                shares: self.shares(&row.counts, row.since),
                by_pool: row
                    .by_pool
                    .iter()
                    .map(|(slot, row)| ForPool {
                        pool: PoolId(*slot).to_string(),
                        good: row.good,
                        bad: row.bad,
                        work: row.work.as_f64(),
                    })
                    .collect(),
                switches: row.switches,
                connects: row.connects,
                best_session: row.best.as_ref().map(Best::from),
                best: ledger.bests().workers.get(name).map(Best::from),
            }
        });
        shown.collect()
    }

    fn connections(&self) -> Vec<Connection> {
        let shown = self.ledger.connections().map(|(id, connection)| Connection {
            miner: id.0,
            peer: connection.peer.to_string(),
            worker: connection.worker.clone(),
            agent: connection.agent.clone(),
            since: self.ledger.unix(connection.since),
            ready: connection.ready,
            pool: connection.pool.map(|pool| pool.to_string()),
            difficulty: connection.told.map(|told| told.as_f64()),
        });
        shown.collect()
    }

    fn records(&self) -> Records {
        let bests = self.ledger.bests();
        let mut workers: Vec<_> = bests.workers.values().collect();
        workers.sort_by_key(|best| std::cmp::Reverse(best.difficulty));
        Records {
            best_session: self.ledger.session().bests.overall().map(Best::from),
            best: bests.overall().map(Best::from),
            best_workers: workers.into_iter().take(BEST_WORKERS).map(Best::from).collect(),
            imported: self.imported.clone(),
            blocks: self.blocks.iter().rev().cloned().collect(),
        }
    }
}

/// The letter of a slot: A is 0.
pub(crate) fn slot_letter(index: usize) -> String {
    PoolId(u8::try_from(index).unwrap_or(u8::MAX)).to_string()
}

impl From<&dpmp_core::ledger::Best> for Best {
    fn from(best: &dpmp_core::ledger::Best) -> Best {
        Best {
            difficulty: best.difficulty.as_f64(),
            worker: best.worker.clone(),
            pool: best.pool.clone(),
            at: best.unix,
        }
    }
}
