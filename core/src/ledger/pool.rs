//! What is kept of a pool, and of a slot: the one goes with the address, the other with the weight.

use alloc::format;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::window::Windows;
use crate::difficulty::Work;
use crate::ids::PoolId;
use crate::time::Time;

/// What is counted of a pool, by slot and address: another pool in the same slot is another row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolRow {
    /// Its shares.
    pub counts: Counts,
    /// Its last share of any kind.
    pub last_share: Option<Time>,
    /// Shares that met the network's target.
    pub blocks: u64,
    /// Its good shares by time.
    pub windows: Windows,
    /// Since when it is known; none in files of before this was kept.
    pub since: Option<Time>,
}

/// A configured slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// The row of the pool that is configured here.
    pub pool: Arc<str>,
    /// Good shares by time, with the squares of their difficulty: what the split is made of, whichever pools were here.
    pub windows: Windows,
    /// The difficulty that the pool last set.
    pub difficulty: Work,
}

/// The row of a pool: `A pool.example:3333`.
pub fn pool_key(pool: PoolId, host: &str, port: u16) -> Arc<str> {
    format!("{pool} {host}:{port}").into()
}
