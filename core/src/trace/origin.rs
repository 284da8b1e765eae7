//! Where a segment begins: at the engine's first event, told by what the engine was made of, or later, told by a checkpoint.
//!
//! A checkpoint is the engine's data as it is in memory, so every change of that data makes older ones unreadable. What an
//! engine is made of is JSON in which a missing field has its default and an unknown one is passed over: a recording from
//! the first event on can be replayed by every later version that still sends the same bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::config::{Config, MAX_POOLS, WEIGHT_SUM};
use crate::engine::{Engine, Memory, RestoreError};
use crate::ids::PoolId;
use crate::share::Pow;
use crate::time::Span;

/// What an engine is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The config.
    #[serde(default)]
    pub config: Config,
    /// What earlier runs learnt.
    #[serde(default)]
    pub memory: Memory,
    /// The only source of chance.
    pub seed: u64,
    /// The key of the simulated world's proof of work; none for SHA-256d.
    #[serde(default)]
    pub key: Option<u64>,
}

impl Start {
    /// The start of a proxy.
    pub fn new(config: Config, memory: Memory, seed: u64) -> Start {
        Start { config, memory, seed, key: None }
    }

    /// The engine before its first event.
    pub fn engine(&self) -> Engine {
        let mut engine = Engine::new(self.config.clone(), &self.memory, self.seed);
        if let Some(key) = self.key {
            engine.set_proof_of_work(Pow::Keyed(key));
        }
        engine
    }
}

/// Longest length of time in a config.
const LONGEST: Span = Span::mins(10 * 365 * 24 * 60);

/// A config that an operator could have written. The engine relies on it, and a recording may come from anybody.
pub(super) fn sane(config: &Config) -> bool {
    let scheduler = &config.scheduler;
    let known = |pool: PoolId| pool.index() < config.pools.len();
    let lengths = [scheduler.min_switch, scheduler.slice, scheduler.repay, config.oracle.poll];
    (1..=MAX_POOLS).contains(&config.pools.len())
        && scheduler.weights.len() == config.pools.len()
        && scheduler.weights.iter().map(|w| u64::from(*w)).sum::<u64>() == u64::from(WEIGHT_SUM)
        && scheduler.failover.is_none_or(known)
        && scheduler.pins.values().all(|pool| known(*pool))
        && lengths.iter().chain(config.pools.iter().map(|pool| &pool.silence)).all(|span| *span <= LONGEST)
}

/// The engine at a segment's begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A new one: the segment is the first of its recording.
    Start(Box<Start>),
    /// One that ran for a while: [`Engine::checkpoint`].
    Checkpoint(Vec<u8>),
}

impl Origin {
    /// The engine.
    ///
    /// # Errors
    /// When a checkpoint is of another version, or damaged.
    pub fn engine(&self) -> Result<Engine, RestoreError> {
        match self {
            Origin::Start(start) => Ok(start.engine()),
            Origin::Checkpoint(bytes) => Engine::restore(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::engine::PoolMemory;
    use crate::oracle::{Block, ChainMemory, OracleMemory};
    use alloc::string::ToString as _;

    #[test]
    fn json_gives_the_same_engine() {
        let file = r#"{"pools": {"A": {"host": "a.example", "port": 1, "wallet": "w\"1", "min_difficulty": 0.0625},
            "B": {"host": "b.example", "port": 2, "wallet": "w2", "password": "p"}},
            "scheduler": {"poolA_weight": 30, "poolB_weight": 70, "pins": {"w": "B"}}}"#;
        let config = parse(file).expect("a good config").config;
        let pool = PoolMemory { extranonce2_bytes: Some(8), version_mask: None };
        let blocks = alloc::vec![Block { height: 9, seen_ms: 8, hashes: u128::MAX, timed: true }];
        let chains = alloc::vec![("BTC".to_string(), ChainMemory { blocks, heard_ms: Some(9) })];
        let oracle = OracleMemory { chains, choice: Some((true, false)), ..OracleMemory::default() };
        let memory = Memory { pools: alloc::vec![("a.example:1".to_string(), pool)], oracle, ..Memory::default() };
        for key in [None, Some(u64::MAX)] {
            let start = Start { key, ..Start::new(config.clone(), memory.clone(), u64::MAX) };
            let json = serde_json::to_vec(&start).expect("can be written");
            let again: Start = serde_json::from_slice(&json).expect("can be read");
            assert_eq!(again, start);
            assert_eq!(again.engine(), start.engine());
        }
    }

    #[test]
    fn fields_of_other_versions_do_no_harm() {
        let old = br#"{"config":{"pools":[{"key":"A","wallet":"w"}],"scheduler":{"weights":[1000000]}},"seed":7}"#;
        let start: Start = serde_json::from_slice(old).expect("can be read");
        assert_eq!(start.config.pools[0].wallet, "w");
        assert_eq!(start.config.scheduler.min_switch, Config::default().scheduler.min_switch);
        let new = br#"{"config":{"tomorrow":[1]},"memory":{"pools":[],"tomorrow":{}},"seed":7,"tomorrow":1}"#;
        let start: Start = serde_json::from_slice(new).expect("can be read");
        assert!(sane(&start.config), "one pool that gets everything");
    }

    #[test]
    fn configs_that_nobody_could_have_written() {
        for config in [
            r#"{"pools":[]}"#,
            r#"{"scheduler":{"weights":[]}}"#,
            r#"{"scheduler":{"weights":[999999]}}"#,
            r#"{"pools":[{},{}],"scheduler":{"weights":[4294967295,1000001]}}"#,
            r#"{"scheduler":{"weights":[1000000],"failover":1}}"#,
            r#"{"scheduler":{"weights":[1000000],"pins":{"w":7}}}"#,
            r#"{"scheduler":{"weights":[1000000],"min_switch":18446744073709551615}}"#,
        ] {
            let config: Config = serde_json::from_str(config).expect(config);
            assert!(!sane(&config), "{config:?}");
        }
    }
}
