//! Identities. Each is a newtype, given out once and never reused, so a stale one misses instead of hitting a
//! stranger.

use core::fmt;

use serde::{Deserialize, Serialize};

/// One downstream connection (a miner). The driver counts them up from 1, over restarts of the engine as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MinerId(pub u64);

/// One upstream connection, or one attempt at it. The engine counts them up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UpstreamId(pub u64);

/// The miners that share one upstream per pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u64);

/// A configured pool: the index in [`Config::pools`](crate::Config::pools), 0 for A, 1 for B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolId(pub u8);

impl PoolId {
    /// The slot's index, for tables with one entry a pool.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The slot's letter: A for the first pool.
    pub const fn letter(self) -> char {
        (b'A'.saturating_add(self.0)) as char
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

/// The id under which a miner knows a job: eight lowercase hex digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// One end of a connection, whichever side it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Conn {
    /// A miner's connection to us.
    Miner(MinerId),
    /// Our connection to a pool.
    Upstream(UpstreamId),
}
