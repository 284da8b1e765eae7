//! A small miner's own difficulty: what its decision depends on, and what is remembered of workers for the next session.

use alloc::sync::Arc;

use super::state::{Engine, WorkerMemory};
use crate::difficulty::Difficulty;
use crate::ids::{MinerId, PoolId};
use crate::time::{Span, Time};
use crate::vardiff::{self, Rules};

/// A miner of an unknown firmware without any share for this long is too slow for what it was told.
const PATIENCE: Span = Span::mins(3);
/// As [`PATIENCE`], for a firmware of large machines.
const LARGE_PATIENCE: Span = Span::mins(10);
/// Most workers whose rates are remembered.
const MOST_WORKERS: usize = 10_000;
/// The least that any firmware is told: a share every few seconds at a thousand hashes a second.
const LEAST: u64 = 1_000;

impl Engine {
    /// What a miner is told where its pool asks for `most`.
    pub(super) fn own_difficulty(&mut self, id: MinerId, pool: PoolId, most: Difficulty, now: Time) -> Difficulty {
        let millishares = u64::from(self.config.vardiff.millishares_per_minute.max(1));
        let Some(config) = self.config.pool(pool) else { return most };
        let Some(miner) = self.miners.get_mut(&id) else { return most };
        // Shares that cannot be checked cannot be credited.
        if !self.config.vardiff.enabled || !config.sha256d {
            return most;
        }
        let large = vardiff::is_large(&miner.agent);
        // A difficulty in the password (`d=`) is the pool's to read: to the engine a password is opaque.
        let wish = miner.suggested.filter(|_| !large);
        let spacing = Span(60_000_000_000 / millishares);
        let known = self.workers.get(&miner.worker).map(|worker| worker.hashes_per_second);
        let wished = wish.map(|wish| wish.hashes(spacing));
        miner.vardiff.guess(known.or(wished).or_else(|| vardiff::likely_rate(&miner.agent)));
        // Whoever is told a fraction as it is, or asks for one, takes them.
        let fractions = vardiff::takes_fractions(&miner.agent)
            || most < Difficulty::ONE
            || wish.is_some_and(|wish| wish < Difficulty::ONE);
        let least = if fractions { Difficulty::of_hashes(LEAST, spacing) } else { Difficulty::ONE };
        let least = config.min_difficulty.filter(|min| *min > Difficulty::ONE).map_or(least, |min| least.max(min));
        let rules = Rules {
            most,
            least: least.min(most),
            spacing,
            patience: if large { LARGE_PATIENCE } else { PATIENCE },
            suggested: wish,
        };
        let told = miner.vardiff.told(now, &rules);
        let (worker, rate) = (miner.worker.clone(), miner.vardiff.measured());
        if let Some(rate) = rate {
            self.remember_worker(worker, rate);
        }
        told
    }

    /// Keeps a worker's rate, if it is news.
    fn remember_worker(&mut self, worker: Arc<str>, rate: u64) {
        if worker.is_empty() || rate == 0 {
            return;
        }
        if let Some(known) = self.workers.get_mut(&worker) {
            // Luck is no news, and would have the file written for nothing.
            let before = known.hashes_per_second;
            if rate > before + before / 2 || rate < before - before / 3 {
                known.hashes_per_second = rate;
            }
            return;
        }
        if self.workers.len() >= MOST_WORKERS {
            let oldest = self.workers.iter().min_by_key(|(_, known)| known.number).map(|(worker, _)| worker.clone());
            oldest.and_then(|oldest| self.workers.remove(&oldest));
        }
        self.last_worker += 1;
        self.workers.insert(worker, WorkerMemory { hashes_per_second: rate, number: self.last_worker });
    }
}
