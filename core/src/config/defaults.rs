//! What holds where the file says nothing. v2's own defaults are kept, also where the shipped example differs.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::types::{
    Address, Config, Dashboard, Limits, LogFormat, LogLevel, Logging, Mode, Oracle, OracleFallback, OracleSource,
    PoolConfig, ReadAccess, Recording, SchedulerConfig, Vardiff, WEIGHT_SUM,
};
use crate::time::Span;

/// The address that v2 asks for hash rates.
pub const ORACLE_URL: &str = "https://www.sr-analyst.com/dpmp/oracle.php";
/// Where miners connect if the file does not say.
pub const LISTEN_PORT: u16 = 3350;
/// Where Prometheus scrapes if the file does not say.
pub const METRICS_PORT: u16 = 9109;
/// Where the web pages are if the file does not say.
pub const DASHBOARD_PORT: u16 = 8855;
/// Where a pool is if the file does not say.
pub const POOL_PORT: u16 = 3333;

/// Every interface.
pub(super) const ANY_HOST: &str = "0.0.0.0";
/// Where a pool is if the file does not say.
pub(super) const POOL_HOST: &str = "127.0.0.1";

impl Config {
    /// Everything at its default, with these pools and weights (parts per million, in sum 1,000,000).
    pub fn with_pools(pools: Vec<PoolConfig>, weights: Vec<u32>) -> Config {
        Config {
            listen: Address { host: ANY_HOST.to_string(), port: LISTEN_PORT },
            metrics: Some(Address { host: ANY_HOST.to_string(), port: METRICS_PORT }),
            metrics_per_worker: false,
            pools,
            scheduler: SchedulerConfig::with_weights(weights),
            limits: Limits::default(),
            logging: Logging::default(),
            vardiff: Vardiff::default(),
            dashboard: Dashboard::default(),
            recording: Recording::default(),
            oracle: Oracle::default(),
        }
    }
}

/// One pool that gets everything.
impl Default for Config {
    fn default() -> Config {
        Config::with_pools(alloc::vec![PoolConfig::default()], alloc::vec![WEIGHT_SUM])
    }
}

impl Default for SchedulerConfig {
    fn default() -> SchedulerConfig {
        SchedulerConfig::with_weights(Vec::new())
    }
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig::new("A")
    }
}

impl SchedulerConfig {
    /// Everything at its default, with these weights (parts per million, in sum 1,000,000).
    pub fn with_weights(weights: Vec<u32>) -> SchedulerConfig {
        SchedulerConfig {
            mode: Mode::default(),
            weights,
            min_switch: Span::secs(30),
            slice: Span::secs(25),
            failover: None,
            repay: Span::mins(60),
            pins: BTreeMap::new(),
        }
    }
}

impl PoolConfig {
    /// The pool in this slot as an empty object in the file gives it.
    pub fn new(key: &str) -> PoolConfig {
        PoolConfig {
            key: key.to_string(),
            name: key.to_string(),
            address: Address { host: POOL_HOST.to_string(), port: POOL_PORT },
            wallet: String::new(),
            chain: String::new(),
            password: None,
            sha256d: true,
            silence: Span::secs(180),
            min_difficulty: None,
            max_difficulty: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_miners: 10_000, per_address: 0 }
    }
}

impl Default for Logging {
    fn default() -> Logging {
        Logging {
            level: LogLevel::Info,
            allow: Vec::new(),
            deny: Vec::new(),
            file: None,
            rotate_mib: 50,
            keep: 3,
            gzip: false,
            format: LogFormat::Json,
            burst: 1_000,
        }
    }
}

impl Default for Vardiff {
    fn default() -> Vardiff {
        Vardiff { enabled: true, millishares_per_minute: 12_000 }
    }
}

impl Default for Dashboard {
    fn default() -> Dashboard {
        Dashboard {
            enabled: true,
            address: Address { host: ANY_HOST.to_string(), port: DASHBOARD_PORT },
            read: ReadAccess::Open,
            lock_wallets: false,
            allowed_hosts: Vec::new(),
        }
    }
}

impl Default for Recording {
    fn default() -> Recording {
        Recording { enabled: true, max_mib: 64, dir: "recording".to_string() }
    }
}

impl Default for Oracle {
    fn default() -> Oracle {
        Oracle {
            auto_balance: false,
            max_deviation: 20,
            source: OracleSource::Own,
            base_weights: Vec::new(),
            url: String::new(),
            poll: Span::secs(600),
            fallback: OracleFallback::Config,
        }
    }
}
