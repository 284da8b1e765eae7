//! What the driver tells the engine. Everything that can change what the engine does is one of these, so a recorded
//! list of them replays.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::ids::{Conn, MinerId, UpstreamId};

/// One thing that happened. Events about a connection that is gone (its id is stale) change nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event<'a> {
    /// Time has come for [`Engine::poll_timeout`](crate::Engine::poll_timeout), or may have.
    Tick,
    /// The wall clock, told once at the start and after each jump.
    WallClock {
        /// Microseconds since 1970, UTC.
        unix_micros: u64,
    },
    /// A miner's connection was accepted. `miner` was never used before.
    MinerAccepted {
        /// Its new identity.
        miner: MinerId,
        /// The other end.
        peer: SocketAddr,
    },
    /// The connection that [`Action::Connect`](crate::Action::Connect) asked for is there.
    Connected {
        /// Which one.
        upstream: UpstreamId,
    },
    /// The connection that [`Action::Connect`](crate::Action::Connect) asked for could not be had. The id is dead.
    ConnectFailed {
        /// Which one.
        upstream: UpstreamId,
        /// Why, for the log: name not found, refused, timed out.
        reason: &'a str,
    },
    /// Bytes arrived, cut anywhere.
    Received {
        /// From whom.
        conn: Conn,
        /// At least one byte.
        #[serde(borrow)]
        bytes: &'a [u8],
    },
    /// The other end closed, or the connection broke. Not told for what the engine closed itself. The id is dead.
    Closed {
        /// Which one.
        conn: Conn,
        /// Why, for the log.
        reason: &'a str,
    },
    /// The driver could not write all at once, or has caught up: this many bytes wait in its queue. Told when it
    /// becomes more than 0, when it has grown by 16 KiB since the last telling, and when it is 0 again.
    SendQueue {
        /// Whose queue.
        conn: Conn,
        /// Bytes that wait.
        bytes: u32,
    },
    /// The operator wants something.
    Command(Command),
    /// What came of [`Action::FetchOracle`](crate::Action::FetchOracle): the body of the answer, at most 64 KiB, or in
    /// words why there is none.
    #[serde(borrow)]
    OracleAnswer(Result<&'a [u8], &'a str>),
}

/// What an operator can ask for while the proxy runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// New shares of work, parts per million, one a pool. Wrong length or sum: refused with a notice.
    SetWeights(Vec<u32>),
    /// A new config, parsed and valid. Miners stay connected; pools whose address or user changed reconnect.
    SetConfig(Box<Config>),
    /// The weights follow the chains' hash rates from now on, or the operator.
    SetAutoBalance(bool),
    /// Stop: answer what can be answered, close everything, then [`Action::Drained`](crate::Action::Drained).
    Drain,
}
