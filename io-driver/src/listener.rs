//! Listening sockets for miners: binding all addresses of a name, and accepting without ever spinning on an error.
//! Knows no engine.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs as _};

use dpmp_core::config::Address;
use dpmp_core::{Span, Time};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that may wait to be accepted: a farm comes back all at once after a power cut.
const BACKLOG: i32 = 4096;
const FIRST_PAUSE: Span = Span::millis(100);
const LONGEST_PAUSE: Span = Span::secs(1);
/// A lasting shortage is said this often.
const SAY_EVERY: Span = Span::mins(1);

/// What one accept gave.
pub(crate) enum Accepted {
    /// A connection.
    Miner(TcpStream, SocketAddr),
    /// None for now.
    Empty,
    /// The system is short of something: try again at this time. The words come once a minute.
    Paused(Time, Option<String>),
}

/// One listening socket.
pub(crate) struct Listener {
    socket: TcpListener,
    pause: Span,
    said: Option<Time>,
    /// Connections may wait.
    pub(crate) ready: bool,
}

/// Binds every address that the name stands for. The first failure fails all. `beside`: our own sockets that may have
/// the same port, on an address that overlaps; both listen then until the old ones are closed. For nobody else is there
/// a moment in which the port could be had, or shared.
pub(crate) fn bind_all(address: &Address, beside: &[std::net::TcpListener]) -> io::Result<Vec<std::net::TcpListener>> {
    let port_taken = |socket: &std::net::TcpListener| socket.local_addr().is_ok_and(|a| a.port() == address.port);
    if !beside.iter().any(port_taken) {
        return bind_each(address, false);
    }
    let share = |sockets: &[std::net::TcpListener], on| {
        sockets.iter().try_for_each(|socket| SockRef::from(socket).set_reuse_port(on))
    };
    share(beside, true)?;
    let bound = bind_each(address, true);
    share(beside, false)?;
    let bound = bound?;
    share(&bound, false)?;
    Ok(bound)
}

fn bind_each(address: &Address, shared: bool) -> io::Result<Vec<std::net::TcpListener>> {
    let mut bound = Vec::new();
    let mut seen = Vec::new();
    for address in (address.host.as_str(), address.port).to_socket_addrs()? {
        if !seen.contains(&address) {
            seen.push(address);
            bound.push(bind(address, shared)?);
        }
    }
    if bound.is_empty() {
        return Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
    }
    Ok(bound)
}

/// Binds one address. `::` takes IPv4 as well, whatever the system's default is.
fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Listener {
    /// Begins to watch a bound socket.
    pub(crate) fn new(socket: std::net::TcpListener, registry: &Registry, token: Token) -> io::Result<Listener> {
        let mut socket = TcpListener::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Listener { socket, pause: Span::ZERO, said: None, ready: true })
    }

    /// No longer watched; it closes when dropped.
    pub(crate) fn forget(&mut self, registry: &Registry) {
        // Closing it has the same effect.
        let _ = registry.deregister(&mut self.socket);
    }

    /// Accepts one connection.
    pub(crate) fn accept(&mut self, now: Time) -> Accepted {
        loop {
            match self.socket.accept() {
                Ok((socket, mut peer)) => {
                    self.pause = Span::ZERO;
                    peer.set_ip(peer.ip().to_canonical());
                    return Accepted::Miner(socket, peer);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    self.pause = Span::ZERO;
                    return Accepted::Empty;
                }
                // This one connection broke before it was taken. It is no fault of ours: take the next.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.ready = false;
                    let first = self.pause == Span::ZERO;
                    self.pause = if first { FIRST_PAUSE } else { self.pause.times(2).min(LONGEST_PAUSE) };
                    let say = self.said.is_none_or(|said| now.since(said) >= SAY_EVERY);
                    if say {
                        self.said = Some(now);
                    }
                    return Accepted::Paused(now + self.pause, say.then(|| error.to_string()));
                }
            }
        }
    }
}
