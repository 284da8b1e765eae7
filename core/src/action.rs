//! What the engine wants done. The driver performs actions in order and interprets none of them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::ids::{Conn, PoolId, UpstreamId};
use crate::notice::Notice;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Open a connection, and answer with [`Event::Connected`](crate::Event::Connected) or
    /// [`Event::ConnectFailed`](crate::Event::ConnectFailed), at the latest after 15 s.
    Connect {
        /// The identity that all events about it will carry.
        upstream: UpstreamId,
        /// The slot, for the log.
        pool: PoolId,
        /// Name or address literal.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// Write one message, whole lines, with one write call if the socket takes it; else queue the rest.
    Send {
        /// To whom.
        conn: Conn,
        /// The bytes, in the buffer's own storage: see [`ActionBuf::bytes`].
        bytes: Bytes,
    },
    /// Read no more from this connection until told.
    PauseReading(Conn),
    /// Read again from this connection.
    ResumeReading(Conn),
    /// Write what is queued as far as the socket takes it at once, then close. No event follows; the id is dead.
    Close(Conn),
    /// Get this page by http or https within 15 s and without following redirects, and answer with
    /// [`Event::OracleAnswer`](crate::Event::OracleAnswer).
    FetchOracle {
        /// The whole address.
        url: Arc<str>,
    },
    /// A fact, for logs, metrics and screens.
    Notice(Notice),
    /// [`Command::Drain`](crate::Command::Drain) is done: no connection is left, the driver may end.
    Drained,
}

/// Where a message lies in an [`ActionBuf`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(Range<u32>);

/// Actions in order, and the bytes that they send. Kept and cleared by the driver, so that a step allocates nothing
/// once the buffer has grown.
#[derive(Debug, Default)]
pub struct ActionBuf {
    actions: Vec<Action>,
    storage: Vec<u8>,
    checked: Vec<[u8; 32]>,
}

impl ActionBuf {
    /// An empty buffer.
    pub fn new() -> ActionBuf {
        ActionBuf::default()
    }

    /// The actions in the order in which they are to be done.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The message of an [`Action::Send`] of this buffer.
    pub fn bytes(&self, bytes: &Bytes) -> &[u8] {
        &self.storage[bytes.0.start as usize..bytes.0.end as usize]
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.actions.clear();
        self.storage.clear();
        self.checked.clear();
    }

    /// The hashes of the headers that were checked, in order: what a redacted recording keeps in place of the headers.
    pub fn checked_hashes(&self) -> &[[u8; 32]] {
        &self.checked
    }

    pub(crate) fn checked(&mut self, hash: [u8; 32]) {
        self.checked.push(hash);
    }

    /// Appends an action.
    pub fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Appends a notice.
    pub fn notice(&mut self, notice: Notice) {
        self.actions.push(Action::Notice(notice));
    }

    /// Appends a message: `write` appends its bytes. A message of no bytes is not sent.
    pub fn send(&mut self, conn: Conn, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.storage.len();
        write(&mut self.storage);
        let end = self.storage.len();
        if end > start {
            // A step's output is bounded far below 4 GiB by the engine's limits.
            self.actions.push(Action::Send { conn, bytes: Bytes(start as u32..end as u32) });
        }
    }
}
