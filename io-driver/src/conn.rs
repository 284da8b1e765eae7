//! One TCP connection, to a miner or to a pool: its socket, its bounded send queue, and what is known of its
//! readiness. It knows no engine and no loop.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

/// Bytes that may wait for one peer. The engine closes a slow reader long before.
pub(crate) const MAX_QUEUE: usize = 1 << 20;
/// The queue's growth since the engine was last told that is worth telling.
const TELL_GROWTH: usize = 16 * 1024;
/// The kernel's send buffer of a miner, so that one who never reads is noticed after that much.
const MINER_SEND_BUFFER: usize = 128 * 1024;
/// What is read and thrown away before a close, so that the kernel does not turn it into a reset that overtakes the
/// last words to the peer.
const DISCARD_AT_CLOSE: usize = 64 * 1024;

/// What one read gave.
pub(crate) enum ReadResult {
    /// This many bytes.
    Bytes(usize),
    /// Nothing for now.
    Empty,
    /// The end, with the reason in words.
    Closed(String),
}

/// A socket with its send queue.
pub(crate) struct Connection {
    socket: TcpStream,
    queue: VecDeque<u8>,
    told: usize,
    /// The kernel may have bytes for us.
    pub(crate) readable: bool,
    /// The other end will send no more: the end is still to be read.
    pub(crate) read_closed: bool,
    /// The engine wants no more bytes for now.
    pub(crate) paused: bool,
    /// It waits in the loop's list for its turn to be read.
    pub(crate) listed: bool,
    /// A write has failed: nothing more is written, and what is left to read is the last.
    pub(crate) write_error: Option<String>,
}

impl Connection {
    /// Takes an accepted socket.
    pub(crate) fn accepted(mut socket: TcpStream, registry: &Registry, token: Token) -> io::Result<Connection> {
        set_options(&socket);
        // A hint to the kernel; a miner works without.
        let _ = SockRef::from(&socket).set_send_buffer_size(MINER_SEND_BUFFER);
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        // Bytes may have come before the registration; one read finds out.
        Ok(Connection::new(socket, true))
    }

    /// Begins to connect. When the socket is writable, [`Connection::connected`] tells the outcome.
    pub(crate) fn connect(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Connection> {
        let mut socket = TcpStream::connect(address)?;
        set_options(&socket);
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Connection::new(socket, false))
    }

    fn new(socket: TcpStream, readable: bool) -> Connection {
        Connection {
            socket,
            queue: VecDeque::new(),
            told: 0,
            readable,
            read_closed: false,
            paused: false,
            listed: false,
            write_error: None,
        }
    }

    /// None while the connection is still being made.
    pub(crate) fn connected(&self) -> Option<io::Result<()>> {
        match self.socket.take_error() {
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
            Ok(None) => {}
        }
        match self.socket.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(error) if error.kind() == ErrorKind::NotConnected => None,
            Err(error) if error.raw_os_error() == Some(EINPROGRESS) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Sends a message: one write if nothing waits, else at the end of the queue.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if self.write_error.is_some() {
            return;
        }
        let rest = if self.queue.is_empty() { self.write_now(bytes) } else { bytes };
        if rest.len() > MAX_QUEUE.saturating_sub(self.queue.len()) {
            self.fail("it does not read, and its send queue is full".to_owned());
        } else {
            self.queue.extend(rest);
        }
    }

    /// Writes what the socket takes and returns the rest.
    fn write_now<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [u8] {
        while !bytes.is_empty() {
            match self.socket.write(bytes) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.fail(words(&error));
                    return &[];
                }
            }
        }
        bytes
    }

    /// Writes from the queue as far as the socket takes it.
    pub(crate) fn flush(&mut self) {
        while !self.queue.is_empty() && self.write_error.is_none() {
            let (first, _) = self.queue.as_slices();
            match self.socket.write(first) {
                Ok(n) => drop(self.queue.drain(..n)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => self.fail(words(&error)),
            }
        }
        if self.queue.is_empty() && self.queue.capacity() > TELL_GROWTH {
            self.queue = VecDeque::new();
        }
    }

    fn fail(&mut self, reason: String) {
        self.queue = VecDeque::new();
        self.write_error = Some(reason);
    }

    /// The queue's length, when it is time to tell the engine again: above 0 for the first time, grown by 16 KiB, or
    /// empty again.
    pub(crate) fn queue_to_tell(&mut self) -> Option<u32> {
        let now = self.queue.len();
        let news = (now == 0) != (self.told == 0) || now >= self.told + TELL_GROWTH;
        if !news || self.write_error.is_some() {
            return None;
        }
        self.told = now;
        Some(u32::try_from(now).unwrap_or(u32::MAX))
    }

    /// One read.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> ReadResult {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return ReadResult::Closed("the other end closed".to_owned()),
                Ok(n) => {
                    // A short read has emptied the socket: what comes later wakes us again, so that a read which would
                    // find nothing is spared. Only the end itself needs one more.
                    if n < buffer.len() && !self.read_closed && self.write_error.is_none() {
                        self.readable = false;
                    }
                    return ReadResult::Bytes(n);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return match self.write_error.take() {
                        Some(reason) => ReadResult::Closed(reason),
                        None => ReadResult::Empty,
                    };
                }
                Err(error) => return ReadResult::Closed(words(&error)),
            }
        }
    }

    /// Writes what the socket takes at once, and closes.
    pub(crate) fn close(mut self, registry: &Registry, scratch: &mut [u8]) {
        self.flush();
        // All of this may fail on a connection that is gone already, and then there is nothing left to do.
        let _ = self.socket.shutdown(Shutdown::Write);
        let mut discarded = 0;
        while discarded < DISCARD_AT_CLOSE {
            match self.socket.read(scratch) {
                Ok(n) if n > 0 => discarded += n,
                _ => break,
            }
        }
        let _ = registry.deregister(&mut self.socket);
    }
}

/// `EINPROGRESS` on Linux; other systems answer `NotConnected`.
const EINPROGRESS: i32 = 115;

fn set_options(socket: &TcpStream) {
    // Hints to the kernel: a connection works without them.
    let _ = socket.set_nodelay(true);
    let keep_alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let _ = SockRef::from(socket).set_tcp_keepalive(&keep_alive);
}

/// An error of the network for people, without the number of the operating system where the kind says it all.
pub(crate) fn words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset by the other end".to_owned(),
        ErrorKind::ConnectionAborted => "connection aborted".to_owned(),
        ErrorKind::BrokenPipe => "the other end closed".to_owned(),
        ErrorKind::TimedOut => "timed out: the network or the other machine does not answer".to_owned(),
        ErrorKind::HostUnreachable => "no route to this host".to_owned(),
        ErrorKind::NetworkUnreachable => "the network cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;
    use std::net::TcpListener;

    fn pair() -> (Poll, Connection, std::net::TcpStream) {
        let poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let connection = Connection::accepted(TcpStream::from_std(socket), poll.registry(), Token(16)).unwrap();
        (poll, connection, other)
    }

    #[test]
    fn a_queue_grows_is_told_and_drains_in_order() {
        let (_poll, mut connection, mut other) = pair();
        let message: Vec<u8> = (0..=255).cycle().take(4096).collect();
        let mut sent = 0;
        let mut told = Vec::new();
        while connection.queue.len() < 3 * TELL_GROWTH {
            connection.send(&message);
            sent += message.len();
            told.extend(connection.queue_to_tell());
        }
        assert!(told[0] > 0 && told[0] <= 4096, "{told:?}");
        assert!(told.windows(2).all(|w| (w[1] - w[0]) as usize >= TELL_GROWTH) && told.len() <= 4, "{told:?}");
        let mut got = vec![0; sent];
        let mut at = 0;
        while at < sent {
            at += other.read(&mut got[at..]).unwrap();
            connection.flush();
        }
        assert_eq!(connection.queue_to_tell(), Some(0));
        assert_eq!(connection.queue_to_tell(), None);
        assert!(got.chunks(4096).all(|chunk| chunk == message));
    }

    #[test]
    fn the_queue_is_bounded() {
        let (_poll, mut connection, _other) = pair();
        for _ in 0..1000 {
            connection.send(&[b'x'; 16 * 1024]);
        }
        assert!(connection.queue.is_empty() && connection.write_error.is_some());
        let ReadResult::Closed(reason) = connection.read(&mut [0; 16]) else { panic!() };
        assert!(reason.contains("does not read"), "{reason}");
    }

    #[test]
    fn last_words_arrive_before_the_end() {
        let (poll, mut connection, mut other) = pair();
        // Unread bytes of the other end must not turn the close into a reset.
        other.write_all(&[b'y'; 40_000]).unwrap();
        connection.send(b"bye\n");
        connection.close(poll.registry(), &mut [0; 4096]);
        let mut words = String::new();
        other.read_to_string(&mut words).unwrap();
        assert_eq!(words, "bye\n");
    }
}
