//! How other threads speak to the loop: a bounded channel and a waker. The loop answers through a callback, so neither
//! side waits for the other.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use dpmp_core::Command;
use mio::{Registry, Waker};

use crate::token::Source;

/// Requests that may wait. Each HTTP connection has at most one, and there are at most 64.
const BOUND: usize = 256;

/// What another thread wants of the loop.
pub enum Request {
    /// Something for the engine.
    Engine(Command),
    /// Close the recording's segment, for a bug report.
    CloseRecording,
    /// Bring time-based metrics up to date, then call this. Proves that the loop turns.
    Refresh(Box<dyn FnOnce() + Send>),
    /// A name was resolved: look into the resolver's channel.
    Resolved,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Engine(command) => f.debug_tuple("Engine").field(command).finish(),
            Request::CloseRecording => f.write_str("CloseRecording"),
            Request::Refresh(_) => f.write_str("Refresh"),
            Request::Resolved => f.write_str("Resolved"),
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

    /// Hands a request to the loop. Never waits.
    pub fn send(&self, request: Request) -> Result<(), NotTaken> {
        self.requests.try_send(request).map_err(|_| NotTaken)?;
        self.waker.wake().map_err(|_| NotTaken)
    }

    /// Asks for the recording's segment to be closed; the log names its file.
    pub fn close_recording(&self) -> Result<(), NotTaken> {
        self.send(Request::CloseRecording)
    }

    /// Asks the proxy to answer what it can, close everything and end.
    pub fn drain(&self) -> Result<(), NotTaken> {
        self.send(Request::Engine(Command::Drain))
    }
}
