//! The configuration's types: what is left after parsing, clamped and valid. No type here knows the file's form.
//!
//! Recordings hold configs as JSON by the names of these fields. What is not there has its default (`defaults`), so that a
//! field can be added and old recordings still be read.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::difficulty::Difficulty;
use crate::ids::PoolId;
use crate::time::Span;

/// Everything that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where miners connect.
    pub listen: Address,
    /// Where Prometheus scrapes; none when switched off.
    pub metrics: Option<Address>,
    /// Each worker has series of its own there. The engine does not look at it, but a config that differs in it alone is
    /// another one, in a recording as in life.
    pub metrics_per_worker: bool,
    /// The pools in the order of their keys: index 0 is A. At least one.
    pub pools: Vec<PoolConfig>,
    /// How work is divided.
    pub scheduler: SchedulerConfig,
    /// Bounds.
    pub limits: Limits,
    /// What is logged, and where to.
    pub logging: Logging,
    /// Difficulty by miner.
    pub vardiff: Vardiff,
    /// The web pages.
    pub dashboard: Dashboard,
    /// The flight recording.
    pub recording: Recording,
    /// Weights by the chains' hash rates.
    pub oracle: Oracle,
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
#[serde(default)]
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
#[serde(default)]
pub struct SchedulerConfig {
    /// Whether each miner divides its own work, or the fleet is divided.
    pub mode: Mode,
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
    /// Workers held on one pool, by worker name.
    pub pins: BTreeMap<String, PoolId>,
}

/// Bounds that an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Miners connected at once.
    pub max_miners: u32,
    /// Miners connected at once from one address; 0: no bound.
    pub per_address: u32,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Logging {
    /// The least important level that is written.
    pub level: LogLevel,
    /// If not empty, only these events are written.
    pub allow: Vec<String>,
    /// These events are never written.
    pub deny: Vec<String>,
    /// Where lines go: a file, or stdout if none.
    pub file: Option<String>,
    /// The file is rotated at this size.
    pub rotate_mib: u32,
    /// This many rotated files are kept.
    pub keep: u32,
    /// Rotated files are compressed.
    pub gzip: bool,
    /// What a line looks like.
    pub format: LogFormat,
    /// Lines of one event that are written in ten seconds; those beyond are counted, and told in one line. 0: no bound.
    pub burst: u32,
}

/// What a log line looks like: `logging.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Time, level, event, fields, for people.
    Text,
}

/// How work is divided: `scheduler.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mode {
    /// Every miner divides its own work.
    #[default]
    Ratio,
    /// Whole miners are placed, and one swings.
    Fleet,
}

/// Difficulty by miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vardiff {
    /// Off: miners are told the pool's difficulty.
    pub enabled: bool,
    /// Shares a minute and miner that are aimed at, in thousandths: 12,000 are twelve.
    pub millishares_per_minute: u32,
}

/// The web pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dashboard {
    /// Off: nothing listens.
    pub enabled: bool,
    /// Where it listens.
    pub address: Address,
    /// Who may look.
    pub read: ReadAccess,
    /// Pools, wallets, and the names of files cannot be changed on the pages.
    pub lock_wallets: bool,
    /// Host names by which it may be called, beside addresses and its own names.
    pub allowed_hosts: Vec<String>,
}

/// Who may look at the dashboard. Changes always need a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReadAccess {
    /// Anybody who reaches it.
    #[default]
    Open,
    /// Who knows the password.
    Login,
}

/// The flight recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recording {
    /// Off: nothing is recorded.
    pub enabled: bool,
    /// All its files together are no larger.
    pub max_mib: u32,
    /// Folder, relative to the config's.
    pub dir: String,
}

/// Weights by the chains' hash rates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Oracle {
    /// The weights follow the oracle.
    pub auto_balance: bool,
    /// The weights stay this near to half each, in percentage points: 5 to 45.
    pub max_deviation: u8,
    /// Where numbers come from.
    pub source: OracleSource,
    /// The weights of the file, which hold while there are no numbers; other weights may be in force. Parts per million,
    /// one a pool; empty: those of the scheduler.
    pub base_weights: Vec<u32>,
    /// The server that is asked; empty: none. With [`OracleSource::Own`] it is a cross-check.
    pub url: String,
    /// Time between two questions: 600 s or more.
    pub poll: Span,
    /// What holds when there are no fresh numbers.
    pub fallback: OracleFallback,
}

/// Where the oracle's numbers come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OracleSource {
    /// From the pools' own jobs.
    #[default]
    Own,
    /// From a server.
    Url,
}

/// What holds when the oracle has no fresh numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OracleFallback {
    /// The configured weights.
    #[default]
    Config,
    /// Half each, as v2 did.
    Even,
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

/// The pool's slot by its key: `A` is 0, up to [`MAX_POOLS`]; none for any other text.
pub fn slot_of_key(key: &str) -> Option<PoolId> {
    match key.as_bytes() {
        [letter @ b'A'..=b'H'] => Some(PoolId(letter - b'A')),
        _ => None,
    }
}

/// The key of a slot: `A` for 0.
pub(super) fn key_of_slot(slot: usize) -> String {
    PoolId(u8::try_from(slot).unwrap_or(u8::MAX)).to_string()
}
