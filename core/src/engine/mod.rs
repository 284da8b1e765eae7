//! The engine: events in, actions out.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::action::ActionBuf;
use crate::config::Config;
use crate::event::Event;
use crate::time::Time;

/// The proxy as a state machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    config: Config,
}

/// What survives a restart of the program, kept by the driver as JSON beside the config. All of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What is known of each pool, by its address `host:port`.
    pub pools: Vec<(alloc::string::String, PoolMemory)>,
}

/// What is remembered of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMemory {
    /// Its extranonce2_size in bytes.
    pub extranonce2_bytes: u8,
    /// The version mask that it grants; 0: none.
    pub version_mask: u32,
}

/// Why a checkpoint could not be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It was written by a version whose checkpoints this one cannot read.
    #[error("the checkpoint has version {found}, this program reads version {expected}")]
    Version {
        /// The version in the checkpoint.
        found: u32,
        /// The version that is read.
        expected: u32,
    },
    /// The bytes are no checkpoint.
    #[error("the checkpoint is damaged")]
    Damaged,
}

impl Engine {
    /// A new engine at time 0. `seed` is the only source of chance.
    pub fn new(config: Config, _memory: &Memory, _seed: u64) -> Engine {
        Engine { config }
    }

    /// Takes one event and appends all that follows from it to `out`. `now` must not be before that of the last step.
    pub fn step(&mut self, _now: Time, _event: Event<'_>, _out: &mut ActionBuf) {}

    /// When the engine next wants to be called; none: not before the next event.
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// What to remember over a restart.
    pub fn memory(&self) -> Memory {
        Memory::default()
    }

    /// The config in force.
    pub fn config(&self) -> &Config {
        &self.config
    }
}
