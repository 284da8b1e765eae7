//! A non-blocking connection with what waits to be written, for both runners.

use std::io::{self, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

/// The connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    queue: Vec<u8>,
}

impl Socket {
    /// Takes over a stream, connected or about to be.
    pub(super) fn new(mut stream: TcpStream, token: Token, registry: &Registry) -> io::Result<Socket> {
        // On a stream that still connects this may fail; then it is only slower.
        let _ = stream.set_nodelay(true);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Socket { stream, queue: Vec::new() })
    }

    /// Whether the connection is there yet; an error if it failed.
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Writes now what it can, and keeps the rest. A peer that never reads is an error at 4 MiB.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.queue.extend_from_slice(bytes);
        if self.queue.len() > 4 << 20 {
            return Err(io::Error::other("the other end does not read"));
        }
        self.flush()
    }

    /// Goes on writing.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.queue.is_empty() {
            match self.stream.write(&self.queue) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => drop(self.queue.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads all there is. The flag is false when the other end has closed.
    pub(super) fn read(&mut self) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        let mut chunk = [0; 16_384];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return (bytes, false),
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return (bytes, true),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return (bytes, false),
            }
        }
    }

    /// Gives the stream back to the system.
    pub(super) fn close(mut self, registry: &Registry) {
        let _ = registry.deregister(&mut self.stream);
    }
}

/// Microseconds since the start of a runner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(super) fn now_us(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
