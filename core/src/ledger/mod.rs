//! The ledger: every share's end, by worker, by pool and in all, over three windows of time and for ever. A model built
//! from the stream of notices, like logs and metrics; it decides nothing and the engine does not know it.
//!
//! It has a time of its own that goes on over restarts: the engine's time, moved by what was before. Everything in it
//! is bounded: rows by number and age, windows by rings of buckets.

mod best;
mod counts;
mod outcome;
mod pool;
mod runs;
mod targets;
#[cfg(test)]
mod tests;
mod window;
mod worker;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use best::{Best, Bests, ByName};
pub use counts::{Counted, Counts, Faults, Tally};
pub use outcome::{OUTCOMES, Outcome};
pub use pool::{PoolRow, Slot, pool_key};
pub use runs::Runs;
pub use targets::{Targets, Weights};
pub use window::{Sum, Window, Windows};
pub use worker::{Connection, ForPool, Worker, worker_key};

use crate::config::{Config, MAX_POOLS};
use crate::difficulty::{Difficulty, Work};
use crate::ids::{MinerId, PoolId};
use crate::notice::{Notice, SwitchReason, Who};
use crate::time::{Span, Time};

/// Workers that are listed.
pub const MOST_WORKERS: usize = 10_000;
/// Pools that are listed, those of former configs included.
const MOST_POOLS: usize = 64;
/// A worker is listed for this long after its last share.
pub const KEPT: Span = Span::mins(7 * 24 * 60);
/// What grows with time alone is looked after this often.
const TIDY: Span = Span::mins(1);
/// News that wait to be fetched. The driver fetches them after each batch.
const MOST_NEWS: usize = 10_000;

/// The ledger. What is serialised is what lasts; connections, the session's bests and the all-time bests (which have a
/// file of their own) are not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    now: Time,
    /// Since when it counts.
    since: Time,
    runs: Runs,
    totals: Counts,
    windows: Windows,
    switches: Windows,
    switch_losses: Windows,
    switched: u64,
    targets: Targets,
    slots: Vec<Slot>,
    pools: BTreeMap<Arc<str>, PoolRow>,
    workers: BTreeMap<Arc<str>, Worker>,
    /// Rows that had to go before their time, and connections that got none.
    crowded_out: u64,

    #[serde(skip)]
    offset: Span,
    /// Seconds since 1970 at the ledger's time 0, in microseconds.
    #[serde(skip)]
    epoch: Option<i128>,
    #[serde(skip)]
    session: Session,
    #[serde(skip)]
    connections: BTreeMap<MinerId, Connection>,
    #[serde(skip)]
    bests: Bests,
    #[serde(skip)]
    news: VecDeque<Best>,
    #[serde(skip)]
    tidied: Time,
}

/// What is counted since the program started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// When it did.
    pub since: Time,
    /// All shares.
    pub totals: Counts,
    /// The best shares.
    pub bests: Bests,
    /// Times that a miner's work went from one pool to another.
    pub switched: u64,
}

impl Ledger {
    /// An empty ledger; time 0 is now.
    pub fn new(config: &Config) -> Ledger {
        Ledger::default().resume(config, Span::ZERO, Bests::default())
    }

    /// Goes on with what was saved, `down` after it was. The engine's time begins at 0 again.
    #[must_use]
    pub fn resume(mut self, config: &Config, down: Span, bests: Bests) -> Ledger {
        self.now += down;
        self.offset = self.now.since(Time::ZERO);
        self.tidied = self.now;
        self.session = Session { since: self.now, ..Session::default() };
        self.bests = bests;
        self.runs.begin(self.now);
        self.windows_of_pools();
        self.configure(Time::ZERO, config);
        self
    }

    /// A file of before pools had windows of their own: a slot's are those of the pool that was in it.
    fn windows_of_pools(&mut self) {
        for slot in &self.slots {
            if let Some(row) = self.pools.get_mut(&slot.pool).filter(|row| row.since.is_none()) {
                row.windows = slot.windows.clone();
            }
        }
        self.pools.values_mut().for_each(|row| row.since = row.since.or(Some(self.since)));
    }

    /// The config in force has changed: other pools in the slots, other weights.
    pub fn configure(&mut self, now: Time, config: &Config) {
        let now = self.at(now);
        self.slots.resize(config.pools.len().min(MAX_POOLS), Slot::default());
        for ((slot, pool), id) in self.slots.iter_mut().zip(&config.pools).zip(config.pool_ids()) {
            let key = pool_key(id, &pool.address.host, pool.address.port);
            if slot.pool != key {
                // What the former pool asked for says nothing of this one.
                *slot = Slot { pool: key, windows: core::mem::take(&mut slot.windows), ..Slot::default() };
            }
            let new = || PoolRow { since: Some(now), ..PoolRow::default() };
            self.pools.entry(slot.pool.clone()).or_insert_with(new);
        }
        while self.pools.len() > MOST_POOLS {
            let unused = self.pools.iter().filter(|(key, _)| !self.slots.iter().any(|slot| slot.pool == **key));
            let Some(oldest) = unused.min_by_key(|(_, row)| row.last_share).map(|(key, _)| key.clone()) else { break };
            self.pools.remove(&oldest);
        }
        self.targets.set(now, &config.scheduler.weights);
    }

    /// The wall clock now, told at the start and from time to time: it may jump.
    pub fn wall_clock(&mut self, now: Time, unix_micros: u64) {
        self.epoch = Some(i128::from(unix_micros) - i128::from(self.at(now).0));
    }

    /// The ledger's time for the engine's, never decreasing.
    fn at(&mut self, now: Time) -> Time {
        self.now = self.now.max(now + self.offset);
        self.runs.reaches(self.now);
        self.now
    }

    /// Seconds since 1970 at a time of the ledger; 0 if the wall clock is not known.
    pub fn unix(&self, at: Time) -> u64 {
        let micros = self.epoch.map_or(0, |epoch| epoch + i128::from(at.0));
        u64::try_from(micros / 1_000_000).unwrap_or(0)
    }

    /// Brings it up to date with time alone.
    pub fn tick(&mut self, now: Time) {
        let now = self.at(now);
        if now.since(self.tidied) >= TIDY {
            self.tidied = now;
            self.tidy(now);
        }
    }

    /// Forgets what is too old, in rows that nothing has happened to.
    fn tidy(&mut self, now: Time) {
        self.workers.retain(|_, row| row.connections > 0 || now.since(row.last_active()) < KEPT);
        self.workers.values_mut().for_each(|row| row.windows.forget(now));
        self.slots.iter_mut().for_each(|slot| slot.windows.forget(now));
        self.pools.values_mut().for_each(|row| row.windows.forget(now));
        for windows in [&mut self.windows, &mut self.switches, &mut self.switch_losses] {
            windows.forget(now);
        }
    }

    /// Takes a fact.
    pub fn observe(&mut self, now: Time, notice: &Notice) {
        self.tick(now);
        let now = self.now;
        match notice {
            Notice::MinerConnected { who } => {
                self.connections.insert(who.miner, Connection::new(now, who.peer));
            }
            Notice::MinerReady { who, agent } => self.ready(now, who, agent),
            Notice::MinerDisconnected { who, .. } => {
                if let Some(connection) = self.connections.remove(&who.miner) {
                    self.leaves(now, &connection);
                }
            }
            Notice::DifficultyTold { who, difficulty, .. } => {
                if let Some(connection) = self.connections.get_mut(&who.miner) {
                    connection.told = Some(*difficulty);
                }
                if let Some(row) = self.row(who.miner) {
                    row.told = Some(*difficulty);
                }
            }
            Notice::PoolSwitched { who, from, to, why } => self.switches(now, who.miner, from.is_some(), *to, *why),
            Notice::MinerIdle { who } => {
                if let Some(connection) = self.connections.get_mut(&who.miner) {
                    connection.pool = None;
                }
            }
            Notice::ShareSubmitted { who } => {
                if let Some(row) = self.row(who.miner) {
                    row.last_share = Some(now);
                }
            }
            Notice::ShareResult { who, pool, verdict, fault, assigned, worked, achieved, response } => {
                let told = self.connections.get(&who.miner).and_then(|c| c.told);
                let work = |difficulty: Option<Difficulty>| difficulty.map_or(Work::default(), Difficulty::work);
                let share = Counted {
                    outcome: Outcome::of(verdict),
                    fault: *fault,
                    work: work(worked.or(*assigned).or(told)),
                    assigned: work(*assigned),
                    after_switch: false,
                    switch_lost: false,
                };
                self.share(now, who, *pool, share, response.map_or(now, |response| now - response));
                if share.outcome.is_good() {
                    self.best(now, who, *pool, *achieved);
                }
            }
            Notice::BlockCandidate { who, pool, achieved, .. } => {
                if let Some(row) = self.pool_row(*pool) {
                    row.blocks = row.blocks.saturating_add(1);
                }
                // It is the best there can be, whatever the pool says of it.
                self.best(now, who, Some(*pool), *achieved);
            }
            Notice::PoolDifficulty { pool, difficulty, .. } => {
                if let Some(slot) = self.slots.get_mut(pool.index()) {
                    slot.difficulty = difficulty.work();
                }
            }
            Notice::WeightsChanged { weights } => self.targets.set(now, weights),
            _ => {}
        }
    }

    fn row(&mut self, miner: MinerId) -> Option<&mut Worker> {
        let key = self.connections.get(&miner)?.worker.as_ref()?;
        self.workers.get_mut(key)
    }

    fn pool_row(&mut self, pool: PoolId) -> Option<&mut PoolRow> {
        let slot = self.slots.get(pool.index())?;
        self.pools.get_mut(&slot.pool)
    }

    /// A miner has authorised: its row, or a new one if there is room.
    fn ready(&mut self, now: Time, who: &Who, agent: &Arc<str>) {
        let mut connection = self.connections.remove(&who.miner).unwrap_or_else(|| Connection::new(now, who.peer));
        let key = worker_key(who);
        if connection.worker.as_ref() != Some(&key) {
            self.leaves(now, &connection);
            connection.worker = None;
            if self.workers.contains_key(&key) || self.make_room() {
                let row = self.workers.entry(key.clone()).or_insert_with(|| Worker::new(now));
                row.connections = row.connections.saturating_add(1);
                row.connects = row.connects.saturating_add(1);
                row.told = connection.told.or(row.told);
                connection.worker = Some(key);
            }
        }
        if let Some(row) = connection.worker.as_ref().and_then(|key| self.workers.get_mut(key)) {
            row.agent = agent.clone();
            row.last_seen = now;
        }
        connection.ready = true;
        connection.agent = agent.clone();
        self.connections.insert(who.miner, connection);
    }

    /// A place for one more worker, at the cost of the one that has been gone for longest; of those that never sent a
    /// share first, or names alone would push out who mines.
    fn make_room(&mut self) -> bool {
        if self.workers.len() < MOST_WORKERS {
            return true;
        }
        self.crowded_out = self.crowded_out.saturating_add(1);
        let idle = self.workers.iter().filter(|(_, row)| row.connections == 0);
        let oldest =
            idle.min_by_key(|(_, row)| (row.last_share.is_some(), row.last_active())).map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.workers.remove(&key).is_some())
    }

    fn leaves(&mut self, now: Time, connection: &Connection) {
        if let Some(row) = connection.worker.as_ref().and_then(|key| self.workers.get_mut(key)) {
            row.connections = row.connections.saturating_sub(1);
            row.last_seen = now;
        }
    }

    fn switches(&mut self, now: Time, miner: MinerId, counts: bool, to: PoolId, why: SwitchReason) {
        if let Some(connection) = self.connections.get_mut(&miner) {
            connection.switches(now, to, counts && why != SwitchReason::Failover);
        }
        if let Some(row) = self.row(miner) {
            row.pool = Some(to);
            row.switches = row.switches.saturating_add(u64::from(counts));
        }
        if counts {
            self.switched = self.switched.saturating_add(1);
            self.session.switched = self.session.switched.saturating_add(1);
            self.switches.add(now, Work::default(), 0.0);
        }
    }

    fn share(&mut self, now: Time, who: &Who, pool: Option<PoolId>, mut share: Counted, submitted: Time) {
        let (outcome, work) = (share.outcome, share.work);
        if let Some(connection) = self.connections.get(&who.miner) {
            let refused = outcome.is_rejected() || outcome.is_late();
            share.after_switch = pool.is_some() && connection.pool.is_some() && pool != connection.pool;
            share.switch_lost = refused && connection.just_switched(submitted);
        }
        self.totals.add(&share);
        self.session.totals.add(&share);
        if let Some(row) = self.row(who.miner) {
            row.add(now, pool, &share);
        }
        if let Some(row) = pool.and_then(|pool| self.pool_row(pool)) {
            row.counts.add(&share);
            row.last_share = Some(now);
            if outcome.is_good() {
                row.windows.add(now, work, 0.0);
            }
        }
        if share.switch_lost {
            self.switch_losses.add(now, work, 0.0);
        }
        if outcome.is_good() {
            self.windows.add(now, work, 0.0);
            if let Some(slot) = pool.and_then(|pool| self.slots.get_mut(pool.index())) {
                let d = work.as_f64();
                slot.windows.add(now, work, d * d);
            }
        }
    }

    fn best(&mut self, now: Time, who: &Who, pool: Option<PoolId>, achieved: f64) {
        if !(achieved > 0.0 && achieved.is_finite()) {
            return;
        }
        let Some(slot) = pool.and_then(|pool| self.slots.get(pool.index())) else { return };
        let best = Best {
            difficulty: Work::nearest(achieved),
            worker: worker_key(who),
            pool: slot.pool.clone(),
            unix: self.unix(now),
        };
        self.session.bests.consider(&best);
        if let Some(row) = self.row(who.miner) {
            row.found(&best);
        }
        if self.bests.consider(&best) && self.news.len() < MOST_NEWS {
            self.news.push_back(best);
        }
    }

    /// So many blocks of a pool are on record elsewhere: its counter, which may be older, is no lower.
    pub fn recall_blocks(&mut self, key: &str, blocks: u64) {
        if let Some(row) = self.pools.get_mut(key) {
            row.blocks = row.blocks.max(blocks);
        }
    }

    /// All-time bests that were found since the last call, oldest first: to be made durable.
    pub fn take_news(&mut self) -> impl Iterator<Item = Best> + '_ {
        self.news.drain(..)
    }
}

/// What can be read.
impl Ledger {
    /// The ledger's time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Since when it counts.
    pub fn since(&self) -> Time {
        self.since
    }

    /// Shares of all miners, for ever.
    pub fn totals(&self) -> &Counts {
        &self.totals
    }

    /// What is counted since the program started.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Times that a miner's work went from one pool to another, for ever.
    pub fn switched(&self) -> u64 {
        self.switched
    }

    /// Good shares of all miners.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Changes of pool.
    pub fn switch_windows(&self) -> &Windows {
        &self.switches
    }

    /// Shares that switches cost.
    pub fn switch_loss_windows(&self) -> &Windows {
        &self.switch_losses
    }

    /// The configured slots, A first.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// A pool's row by its key.
    pub fn pool(&self, key: &str) -> Option<&PoolRow> {
        self.pools.get(key)
    }

    /// All pools' rows, those of former configs included.
    pub fn pools(&self) -> impl Iterator<Item = (&Arc<str>, &PoolRow)> {
        self.pools.iter()
    }

    /// All workers, by name.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Worker)> {
        self.workers.iter()
    }

    /// All connections, oldest first.
    pub fn connections(&self) -> impl Iterator<Item = (MinerId, &Connection)> {
        self.connections.iter().map(|(id, connection)| (*id, connection))
    }

    /// The best shares of all time.
    pub fn bests(&self) -> &Bests {
        &self.bests
    }

    /// Rows that had to go before their time, and connections that got none, because there were too many workers.
    pub fn crowded_out(&self) -> u64 {
        self.crowded_out
    }

    /// How long the proxy has run in a window that ends now, for somebody known since then.
    pub fn observed(&self, window: Window, since: Time) -> Span {
        self.runs.observed(window.from(self.now).max(since))
    }

    /// The shares of work that were asked for in a window that ends now: the mean over the time that the proxy ran.
    pub fn target(&self, window: Window) -> Weights {
        self.targets.mean(window.from(self.now).max(self.since), &self.runs)
    }

    /// The shares of work that are asked for now.
    pub fn target_now(&self) -> Weights {
        self.targets.now()
    }
}
