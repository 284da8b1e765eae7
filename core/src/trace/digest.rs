//! The rolling digest of what goes out: XXH64 of each action, with the digest before it as the seed. Notices are apart:
//! they are words about what happened, and may change from version to version.

use xxhash_rust::xxh64::xxh64;

use crate::action::{Action, ActionBuf};
use crate::ids::Conn;

/// The digest of all that went out since the segment's begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// Takes the actions of one step: those of `out` from `from` on. False if there was none but notices: the digest is as
    /// it was.
    pub fn take(&mut self, out: &ActionBuf, from: usize) -> bool {
        let mut any = false;
        for action in out.actions().iter().skip(from) {
            any |= self.action(action, out);
        }
        any
    }

    fn action(&mut self, action: &Action, out: &ActionBuf) -> bool {
        match action {
            Action::Notice(_) => return false,
            Action::Send { conn, bytes } => {
                self.conn(1, *conn);
                self.bytes(out.bytes(bytes));
            }
            Action::Connect { upstream, pool, host, port } => {
                self.conn(2, Conn::Upstream(*upstream));
                self.bytes(&[pool.0]);
                self.bytes(host.as_bytes());
                self.bytes(&port.to_le_bytes());
            }
            Action::Close(conn) => self.conn(3, *conn),
            Action::PauseReading(conn) => self.conn(4, *conn),
            Action::ResumeReading(conn) => self.conn(5, *conn),
            Action::Drained => self.bytes(&[6]),
            Action::FetchOracle { url } => {
                self.bytes(&[7]);
                self.bytes(url.as_bytes());
            }
        }
        true
    }

    fn conn(&mut self, what: u8, conn: Conn) {
        let (side, id) = match conn {
            Conn::Miner(id) => (0, id.0),
            Conn::Upstream(id) => (1, id.0),
        };
        let mut bytes = [what, side, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes[2..].copy_from_slice(&id.to_le_bytes());
        self.bytes(&bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = xxh64(bytes, self.0);
    }
}
