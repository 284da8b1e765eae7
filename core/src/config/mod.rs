//! The configuration as the engine and the driver use it: parsed once, clamped, valid. [`parse`] reads DPMP v2's files.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::difficulty::Difficulty;
use crate::ids::PoolId;
use crate::time::Span;

/// Everything that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Where miners connect.
    pub listen: Address,
    /// Where Prometheus scrapes; none when switched off.
    pub metrics: Option<Address>,
    /// The pools in the order of their keys: index 0 is A. At least one.
    pub pools: Vec<PoolConfig>,
    /// How work is divided.
    pub scheduler: SchedulerConfig,
    /// Bounds.
    pub limits: Limits,
    /// What is logged, and where to.
    pub logging: Logging,
}

/// A host name or address literal, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Name, IPv4 or IPv6 literal without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// One configured pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolConfig {
    /// The key in the file: `A`, `B`, ...
    pub key: String,
    /// The name that the operator gave it; the key if none.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// The payout address; empty: the upstream user is the worker's name alone.
    pub wallet: String,
    /// `BTC`, `BCH`, ..., upper case; empty or `NONE` when not said.
    pub chain: String,
    /// Sent in place of the miner's password.
    pub password: Option<String>,
    /// False when the chain's proof of work is not SHA-256d: its shares are not checked.
    pub sha256d: bool,
    /// Nothing received for this long: the pool counts as silent.
    pub silence: Span,
    /// Told difficulty is never below this.
    pub min_difficulty: Option<Difficulty>,
    /// Told difficulty is never above this.
    pub max_difficulty: Option<Difficulty>,
}

/// How work is divided among the pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerConfig {
    /// Shares of work in parts per million, one a pool, in sum 1,000,000.
    pub weights: Vec<u32>,
    /// v2's `min_switch_seconds` after its clamps.
    pub min_switch: Span,
    /// v2's `slice_seconds` after its clamps.
    pub slice: Span,
    /// A pool that gets work when no weighted one can, though its weight may be 0.
    pub failover: Option<PoolId>,
    /// Work lost to an outage is repaid up to this much of it.
    pub repay: Span,
    /// Workers held on one pool, by worker name. Read and kept; obeyed from a later version on.
    pub pins: BTreeMap<String, PoolId>,
}

/// Bounds that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Miners connected at once.
    pub max_miners: u32,
    /// Miners connected at once from one address; 0: no bound.
    pub per_address: u32,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// The least important level that is written.
    pub level: LogLevel,
    /// If not empty, only these events are written.
    pub allow: Vec<String>,
    /// These events are never written.
    pub deny: Vec<String>,
}

/// Importance of a log line, v2's names included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Nothing (`quiet`, `off`, `none`).
    Off,
    /// Ours is broken.
    Error,
    /// Somebody should look.
    Warn,
    /// A change that the operator can see.
    Info,
    /// What peers did, and each message's effect.
    Debug,
    /// Each message.
    Trace,
}

impl Config {
    /// The pools' ids in order.
    pub fn pool_ids(&self) -> impl Iterator<Item = PoolId> + use<> {
        (0..self.pools.len().min(MAX_POOLS)).map(|i| PoolId(i as u8))
    }

    /// The pool in this slot; none after a change of config took the slot away.
    pub fn pool(&self, pool: PoolId) -> Option<&PoolConfig> {
        self.pools.get(pool.index())
    }

    /// True if the pool can ever get work: its weight is above 0, or it is the named failover.
    pub fn in_use(&self, pool: PoolId) -> bool {
        self.scheduler.weights.get(pool.index()).is_some_and(|w| *w > 0) || self.scheduler.failover == Some(pool)
    }
}

/// Most pools that can be configured.
pub const MAX_POOLS: usize = 8;

/// The sum of all weights.
pub const WEIGHT_SUM: u32 = 1_000_000;

/// Values for the tests of other modules.
#[cfg(test)]
pub(crate) mod tests_support {
    use super::*;

    pub(crate) fn scheduler() -> SchedulerConfig {
        SchedulerConfig {
            weights: alloc::vec![500_000, 500_000],
            min_switch: Span::secs(50),
            slice: Span::secs(30),
            failover: None,
            repay: Span::mins(60),
            pins: BTreeMap::new(),
        }
    }
}
