//! How other threads speak to the loop: a bounded channel and a waker. The loop answers through a callback, so neither
//! side waits for the other.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use dpmp_core::Command;
use mio::{Registry, Waker};

use crate::event_loop::Change;
use crate::oracle;
use crate::token::Source;

/// Requests that may wait. Each HTTP connection has at most one, and there are at most 64.
const BOUND: usize = 256;

/// Called by the loop when the engine has taken a command. It must not wait.
pub(crate) type Done = Box<dyn FnOnce(Result<(), String>) + Send>;

/// What another thread wants of the loop.
pub(crate) enum Request {
    /// Something for the engine.
    Engine(Command),
    /// Something for the engine; then this is called, with the engine's words if it refused.
    Ask(Command, Done),
    /// A new config.
    Change(Box<Change>),
    /// Close the recording's segment, for a bug report.
    CloseRecording,
    /// Bring time-based metrics up to date, then call this. Proves that the loop turns.
    Refresh(Box<dyn FnOnce() + Send>),
    /// A name was resolved: look into the resolver's channel.
    Resolved,
    /// The oracle's server has answered, or not.
    OracleAnswer(oracle::Answer),
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Engine(command) => f.debug_tuple("Engine").field(command).finish(),
            Request::Ask(command, _) => f.debug_tuple("Ask").field(command).finish(),
            Request::Change(_) => f.write_str("Change"),
            Request::CloseRecording => f.write_str("CloseRecording"),
            Request::Refresh(_) => f.write_str("Refresh"),
            Request::Resolved => f.write_str("Resolved"),
            Request::OracleAnswer(_) => f.write_str("OracleAnswer"),
        }
    }
}

/// The loop did not take a request: it has ended, or too many wait.
#[derive(Debug)]
pub struct NotTaken;

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the event loop takes no requests")
    }
}

impl std::error::Error for NotTaken {}

/// The other threads' end.
#[derive(Clone, Debug)]
pub struct LoopHandle {
    requests: SyncSender<Request>,
    waker: Arc<Waker>,
}

impl LoopHandle {
    /// A channel to the loop that polls with this registry.
    pub(crate) fn new(registry: &Registry) -> io::Result<(LoopHandle, Receiver<Request>)> {
        let (requests, receiver) = sync_channel(BOUND);
        let waker = Arc::new(Waker::new(registry, Source::Waker.token())?);
        Ok((LoopHandle { requests, waker }, receiver))
    }

    /// The loop looks again at what it was asked.
    pub(crate) fn wake(&self) {
        // It cannot fail but for a loop that has ended.
        let _ = self.waker.wake();
    }

    /// Hands a request to the loop. Never waits.
    pub(crate) fn send(&self, request: Request) -> Result<(), NotTaken> {
        self.requests.try_send(request).map_err(|_| NotTaken)?;
        self.waker.wake().map_err(|_| NotTaken)
    }

    /// Hands the engine a command.
    pub fn command(&self, command: Command) -> Result<(), NotTaken> {
        self.send(Request::Engine(command))
    }

    /// Asks for the recording's segment to be closed; the log names its file.
    pub fn close_recording(&self) -> Result<(), NotTaken> {
        self.send(Request::CloseRecording)
    }

    /// Asks the proxy to answer what it can, close everything and end.
    pub fn drain(&self) -> Result<(), NotTaken> {
        self.command(Command::Drain)
    }
}
