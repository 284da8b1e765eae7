//! mio tokens. Each names one socket and is never used again, so an event that was already under way when its socket
//! closed misses instead of hitting a stranger.

use dpmp_core::{Conn, MinerId, UpstreamId};
use mio::Token;

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A request from another thread waits.
    Waker,
    /// The listening socket with this index.
    Listener(usize),
    /// A miner's socket.
    Miner(MinerId),
    /// The n-th socket that was tried for an upstream.
    Upstream(UpstreamId, u8),
}

/// Addresses of one pool that are tried at most: the attempt has three bits in the token.
pub(crate) const MAX_ATTEMPTS: usize = 8;

/// Tokens below this are the waker's and the listeners'.
const FIRST_ID: usize = 16;
/// Listening sockets at most.
pub(crate) const MAX_LISTENERS: usize = FIRST_ID - 1;

/// Ids begin at 1 and take four bits less than a machine word: enough for 2^60 connections.
fn packed(id: u64, low: usize) -> Token {
    Token((id as usize).wrapping_mul(FIRST_ID) | low)
}

impl Source {
    /// The token of this source.
    pub(crate) fn token(self) -> Token {
        match self {
            Source::Waker => Token(0),
            Source::Listener(index) => Token(1 + index),
            Source::Miner(id) => packed(id.0, 0),
            Source::Upstream(id, attempt) => packed(id.0, 8 | usize::from(attempt & 7)),
        }
    }

    /// The source of this token.
    pub(crate) fn of(token: Token) -> Source {
        let (id, low) = (token.0 / FIRST_ID, token.0 % FIRST_ID);
        match (id, low) {
            (0, 0) => Source::Waker,
            (0, n) => Source::Listener(n - 1),
            (id, low) if low & 8 == 0 => Source::Miner(MinerId(id as u64)),
            (id, low) => Source::Upstream(UpstreamId(id as u64), (low & 7) as u8),
        }
    }

    /// The connection that this is a socket of.
    pub(crate) fn conn(self) -> Option<Conn> {
        match self {
            Source::Miner(id) => Some(Conn::Miner(id)),
            Source::Upstream(id, _) => Some(Conn::Upstream(id)),
            Source::Waker | Source::Listener(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_their_source() {
        for source in [
            Source::Waker,
            Source::Listener(0),
            Source::Listener(MAX_LISTENERS - 1),
            Source::Miner(MinerId(1)),
            Source::Miner(MinerId(1 << 50)),
            Source::Upstream(UpstreamId(1), 0),
            Source::Upstream(UpstreamId(77), 7),
        ] {
            assert_eq!(Source::of(source.token()), source);
        }
    }
}
