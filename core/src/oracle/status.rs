//! Where the automatic balance stands, for screens, metrics and the log.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::balance::Reading;
use super::history::Doubt;
use crate::config::OracleSource;
use crate::ids::PoolId;

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OracleStatus {
    /// The weights follow it. False: the operator's weights hold, and this is what it would do.
    pub active: bool,
    /// Where the numbers come from.
    pub source: OracleSource,
    /// Whether it can speak.
    pub state: OracleState,
    /// The two chains, or as many as there are; empty when it is off.
    pub chains: Vec<ChainStatus>,
    /// The first chain's share that the formula gives, in percent.
    pub wanted: Option<u8>,
    /// The first chain's share that it has moved to, or would have, in percent.
    pub moved: Option<u8>,
    /// All weights, parts per million, if it were to decide now.
    pub weights: Option<Arc<[u32]>>,
    /// The next question to the server, in ms since 1970.
    pub next_poll_ms: Option<u64>,
    /// The numbers' age in ms.
    pub age_ms: Option<u64>,
    /// Against the configured weights, over the time measured: parts per million, and hours.
    pub gain: Option<(i64, u32)>,
    /// Why the weights are what they are, in words; empty if nothing has changed them.
    pub reason: Arc<str>,
}

/// Whether it can speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OracleState {
    /// The pools do not allow it; why.
    Off(Arc<str>),
    /// Not enough blocks yet: known, needed. The configured weights hold.
    Warming {
        /// Blocks of the chain that is known least.
        blocks: u32,
        /// Blocks needed.
        of: u32,
    },
    /// The server has not been asked yet, or since a restart a chain's pools have sent nothing. What was in force holds.
    Waiting,
    /// It speaks.
    Ready,
    /// The last tries failed: how often in a row, and why. What was last applied holds.
    Failing {
        /// Tries in a row.
        failures: u32,
        /// In words.
        why: Arc<str>,
    },
    /// There are no fresh numbers for too long: `scheduler.oracle_fallback` holds.
    Fallback {
        /// In words.
        why: Arc<str>,
    },
}

impl OracleState {
    /// One lower-case word.
    pub fn word(&self) -> &'static str {
        match self {
            OracleState::Off(_) => "off",
            OracleState::Warming { .. } => "warming",
            OracleState::Waiting => "waiting",
            OracleState::Ready => "ready",
            OracleState::Failing { .. } => "failing",
            OracleState::Fallback { .. } => "fallback",
        }
    }
}

/// One chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// `BTC`, `BCH`, ... as configured.
    pub chain: Arc<str>,
    /// What the source in use says.
    pub reading: Option<Reading>,
    /// What the other source says, if it runs beside.
    pub other: Option<Reading>,
    /// The other's ratio lies outside of what the blocks allow.
    pub disagrees: bool,
    /// The newest height that pools showed.
    pub height: Option<u32>,
    /// Blocks known of the long window.
    pub blocks: u32,
    /// Pools that are not believed about it.
    pub doubts: Vec<(PoolId, Doubt)>,
}
