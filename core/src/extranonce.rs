//! The embedded extranonce: which sizes a miner is told, and how its bytes fit into each pool's.

use serde::{Deserialize, Serialize};

/// What a firmware bears, read off the agent string of `mining.subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Profile {
    /// cgminer, Avalon, Antminer, Whatsminer, BOS, and whoever is unknown.
    Asic,
    /// Avalon: as [`Profile::Asic`], but never fewer than 3 bytes of extranonce2.
    Avalon,
    /// Bitaxe from 2.6 on, NerdQAxe, SparkMiner, cpuminer: an empty extranonce1 is fine.
    Flexible,
    /// Bitaxe up to 2.5.1: extranonce2 of 4 or 8 bytes only.
    OldBitaxe,
    /// LeafMiner: extranonce2 of exactly 4 bytes.
    LeafMiner,
    /// NerdMiner: extranonce2 of 2, 4 or 8 bytes, never an empty extranonce1.
    NerdMiner,
}
