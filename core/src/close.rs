//! Why connections end.

use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Why the engine closes a connection, or found it closed. [`CloseReason::text`] is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// The other end closed, or the connection broke; the driver's words.
    Peer(Arc<str>),
    /// No valid subscribe and authorize in time.
    HandshakeTimeout,
    /// A line longer than the limit.
    LineTooLong,
    /// Too many lines that are no Stratum.
    NotStratum,
    /// The first bytes were a TLS ClientHello; the port speaks plain Stratum.
    TlsProbe,
    /// It did not read what was sent to it.
    SlowReader,
    /// More miners than `limits.max_miners`.
    TooManyMiners,
    /// More miners from one address than `limits.per_address`.
    TooManyFromAddress,
    /// The miner must subscribe again to work for another pool (no embedded extranonce is possible).
    Resubscribe,
    /// All shares of an unknown firmware failed the check: it gets another layout when it subscribes again.
    NextProfile,
    /// The pool sent nothing for too long.
    Silent,
    /// The pool did not answer subscribe or authorize in time.
    PoolHandshakeTimeout,
    /// The pool's answer to subscribe cannot be used.
    BadSubscribe,
    /// The pool refused the worker.
    Refused,
    /// The pool asked to reconnect to its configured address.
    Reconnect {
        /// How long it asked us to wait first.
        wait: Span,
    },
    /// Nobody needs this connection any more.
    NotNeeded,
    /// A probe that has learnt what it came for.
    ProbeDone,
    /// The config changed.
    ConfigChanged,
    /// The proxy is stopping.
    Draining,
}

impl CloseReason {
    /// For logs and screens.
    pub fn text(&self) -> &str {
        match self {
            CloseReason::Peer(words) => words,
            CloseReason::HandshakeTimeout => "no subscribe and authorize in time",
            CloseReason::LineTooLong => "a line longer than the limit",
            CloseReason::NotStratum => "too many lines that are not Stratum",
            CloseReason::TlsProbe => "a TLS handshake on the plain Stratum port",
            CloseReason::SlowReader => "did not read what was sent to it",
            CloseReason::TooManyMiners => "limits.max_miners reached",
            CloseReason::TooManyFromAddress => "limits.per_address reached",
            CloseReason::Resubscribe => "has to subscribe again for the other pool's extranonce",
            CloseReason::NextProfile => "every share failed the check; gets another extranonce layout next",
            CloseReason::Silent => "sent nothing for too long",
            CloseReason::PoolHandshakeTimeout => "did not answer subscribe or authorize in time",
            CloseReason::BadSubscribe => "its answer to mining.subscribe cannot be used",
            CloseReason::Refused => "refused the worker",
            CloseReason::Reconnect { .. } => "asked to reconnect",
            CloseReason::NotNeeded => "no longer needed",
            CloseReason::ProbeDone => "probe done",
            CloseReason::ConfigChanged => "the config changed",
            CloseReason::Draining => "the proxy is stopping",
        }
    }
}
