//! The configuration as the engine and the driver use it: parsed once, clamped, valid. [`parse`] reads DPMP v2's files.
//!
//! What v2 accepted is accepted: a value out of bounds is clamped as v2 did, with a warning. Errors are broken JSON,
//! wrong types, and the placeholders of the shipped example. All problems are reported at once, each with its path,
//! its value as written and how to mend it. Nothing here reads a file or the environment: the driver does.
//!
//! Inside, imports run one way: `parse` → `scheduler`, `pools`, `sections` → `address`, `weights`, `known` → `read` →
//! `problem` → `tree`, `number` → `types`.

mod address;
mod defaults;
mod known;
mod number;
mod parse;
mod pools;
mod problem;
mod read;
mod scheduler;
mod sections;
pub mod tree;
mod types;
mod weights;

pub use defaults::{DASHBOARD_PORT, LISTEN_PORT, METRICS_PORT, ORACLE_URL, POOL_PORT};
pub use known::known_keys;
pub use parse::{MAX_BYTES, Overrides, Parsed, parse, parse_with};
pub use problem::{Problem, Severity};
pub use types::{
    Address, Config, Dashboard, Limits, LogFormat, LogLevel, Logging, MAX_POOLS, Mode, Oracle, OracleFallback,
    OracleSource, PoolConfig, ReadAccess, Recording, SchedulerConfig, Vardiff, WEIGHT_SUM, slot_of_key,
};
pub use weights::normalise;
