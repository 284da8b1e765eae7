//! Connections to pools in the making: resolve the name, try its addresses in order, give up after 15 s in all. Knows
//! no engine; the loop collects the outcomes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use dpmp_core::{Span, Time, UpstreamId};
use mio::Registry;

use crate::conn::{Connection, words};
use crate::requests::LoopHandle;
use crate::resolve::{Addresses, Resolver};
use crate::token::Source;

/// What an attempt may take in all.
const TOTAL: Span = Span::secs(15);

/// One upstream on its way.
struct Attempt {
    addresses: Arc<[SocketAddr]>,
    /// How many of the addresses were begun.
    begun: usize,
    socket: Option<Connection>,
    deadline: Time,
    /// When the address at hand is given up.
    until: Time,
    errors: Vec<String>,
}

/// What became of an upstream.
pub(crate) type Dialed = (UpstreamId, Result<Connection, String>);

/// All connections in the making.
pub(crate) struct Dialer {
    attempts: BTreeMap<UpstreamId, Attempt>,
    timers: BTreeSet<(Time, UpstreamId)>,
    resolver: Resolver,
    /// What is decided, for the loop to collect.
    pub(crate) outcomes: Vec<Dialed>,
}

impl Dialer {
    /// A dialer whose resolver wakes the loop through `handle`.
    pub(crate) fn new(handle: LoopHandle) -> Dialer {
        Dialer {
            attempts: BTreeMap::new(),
            timers: BTreeSet::new(),
            resolver: Resolver::new(handle),
            outcomes: Vec::new(),
        }
    }

    /// Begins.
    pub(crate) fn start(&mut self, now: Time, upstream: UpstreamId, host: &Arc<str>, port: u16, registry: &Registry) {
        let deadline = now + TOTAL;
        let attempt =
            Attempt { addresses: Arc::new([]), begun: 0, socket: None, deadline, until: deadline, errors: Vec::new() };
        self.attempts.insert(upstream, attempt);
        self.timers.insert((deadline, upstream));
        if let Some(addresses) = self.resolver.resolve(now, upstream, host, port) {
            self.resolved(now, upstream, &addresses, registry);
        }
    }

    /// Forgets an upstream that nobody wants any more.
    pub(crate) fn cancel(&mut self, upstream: UpstreamId, registry: &Registry, scratch: &mut [u8]) {
        if let Some(attempt) = self.attempts.remove(&upstream) {
            self.timers.remove(&(attempt.until, upstream));
            if let Some(socket) = attempt.socket {
                socket.close(registry, scratch);
            }
        }
        self.outcomes.retain(|(id, _)| *id != upstream);
    }

    /// Takes what the resolver has found meanwhile.
    pub(crate) fn take_answers(&mut self, now: Time, registry: &Registry) {
        for (waiting, addresses) in self.resolver.answers(now) {
            for upstream in waiting {
                self.resolved(now, upstream, &addresses, registry);
            }
        }
    }

    fn resolved(&mut self, now: Time, upstream: UpstreamId, addresses: &Addresses, registry: &Registry) {
        let Some(attempt) = self.attempts.get_mut(&upstream) else { return };
        match addresses {
            Ok(addresses) => {
                attempt.addresses = addresses.clone();
                self.next_address(now, upstream, registry);
            }
            Err(error) => {
                attempt.errors.push(error.to_string());
                self.give_up(upstream);
            }
        }
    }

    /// A socket of this upstream became writable, or broke. `attempt` says which of them.
    pub(crate) fn ready(&mut self, now: Time, upstream: UpstreamId, attempt: u8, registry: &Registry) {
        let Some(at) = self.attempts.get_mut(&upstream) else { return };
        if at.begun != usize::from(attempt) + 1 {
            return;
        }
        match at.socket.as_ref().and_then(Connection::connected) {
            None => {}
            Some(Ok(())) => {
                if let Some(attempt) = self.attempts.remove(&upstream) {
                    self.timers.remove(&(attempt.until, upstream));
                    if let Some(mut socket) = attempt.socket {
                        socket.readable = true;
                        self.outcomes.push((upstream, Ok(socket)));
                    }
                }
            }
            Some(Err(error)) => {
                at.failed(&words(&error));
                self.next_address(now, upstream, registry);
            }
        }
    }

    /// Gives up what has taken too long.
    pub(crate) fn expire(&mut self, now: Time, registry: &Registry) {
        while let Some((when, upstream)) = self.timers.first().copied()
            && when <= now
        {
            self.timers.remove(&(when, upstream));
            let Some(at) = self.attempts.get_mut(&upstream) else { continue };
            if at.addresses.is_empty() {
                at.errors.push("the name could not be resolved in time".to_owned());
            } else {
                at.failed("no answer in time");
            }
            self.next_address(now, upstream, registry);
        }
    }

    /// When [`Dialer::expire`] is to be called.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.timers.first().map(|(when, _)| *when)
    }

    fn next_address(&mut self, now: Time, upstream: UpstreamId, registry: &Registry) {
        loop {
            let Some(at) = self.attempts.get_mut(&upstream) else { return };
            at.socket = None;
            let Some(address) = at.addresses.get(at.begun).copied() else { break };
            if now >= at.deadline {
                break;
            }
            let token = Source::Upstream(upstream, at.begun as u8).token();
            // What is left of the time is for all addresses that are left.
            let left = (at.addresses.len() - at.begun) as u64;
            let until = now + Span(at.deadline.since(now).0 / left.max(1));
            at.begun += 1;
            match Connection::connect(address, registry, token) {
                Ok(socket) => {
                    at.socket = Some(socket);
                    self.timers.remove(&(at.until, upstream));
                    at.until = until;
                    self.timers.insert((until, upstream));
                    return;
                }
                Err(error) => at.failed(&words(&error)),
            }
        }
        self.give_up(upstream);
    }

    fn give_up(&mut self, upstream: UpstreamId) {
        if let Some(attempt) = self.attempts.remove(&upstream) {
            self.timers.remove(&(attempt.until, upstream));
            self.outcomes.push((upstream, Err(attempt.errors.join("; "))));
        }
    }
}

impl Attempt {
    /// Notes why the address at hand failed; with its name where there are several.
    fn failed(&mut self, why: &str) {
        let address = self.begun.checked_sub(1).and_then(|i| self.addresses.get(i));
        self.errors.push(match address {
            Some(address) if self.addresses.len() > 1 => format!("{address}: {why}"),
            _ => why.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    /// Dials and drives the poll until the outcome is there.
    fn dial(host: &str, port: u16, later: Span) -> Result<Connection, String> {
        let mut poll = Poll::new().unwrap();
        let (handle, _requests) = LoopHandle::new(poll.registry()).unwrap();
        let mut dialer = Dialer::new(handle);
        let upstream = UpstreamId(7);
        dialer.start(Time(1), upstream, &host.into(), port, poll.registry());
        let mut events = Events::with_capacity(8);
        let began = Instant::now();
        while dialer.outcomes.is_empty() && began.elapsed() < Duration::from_secs(20) {
            if later > Span::ZERO {
                dialer.expire(Time(1) + later, poll.registry());
            }
            poll.poll(&mut events, Some(Duration::from_millis(50))).unwrap();
            dialer.take_answers(Time(1), poll.registry());
            for event in &events {
                if let Source::Upstream(id, attempt) = Source::of(event.token()) {
                    dialer.ready(Time(1), id, attempt, poll.registry());
                }
            }
        }
        assert_eq!(dialer.timeout(), None, "no timer is left behind");
        let (id, outcome) = dialer.outcomes.pop().unwrap();
        assert_eq!(id, upstream);
        outcome
    }

    #[test]
    fn connects_to_literals_and_names() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = v4.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            assert!(dial(host, port, Span::ZERO).is_ok(), "{host}");
        }
        if let Ok(v6) = TcpListener::bind("[::1]:0") {
            let port = v6.local_addr().unwrap().port();
            assert!(dial("::1", port, Span::ZERO).is_ok());
            assert!(dial("[::1]", port, Span::ZERO).is_ok());
        }
    }

    #[test]
    fn says_why_not() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(dial("127.0.0.1", free, Span::ZERO).err().unwrap(), "connection refused");
        let error = dial("no-such-name.invalid", 1, Span::ZERO).err().unwrap();
        assert!(error.starts_with("the name no-such-name.invalid cannot be resolved"), "{error}");
    }

    #[test]
    fn gives_up_in_time() {
        // 192.0.2.0/24 is for documentation: nobody answers there, or the network says at once that it cannot.
        let error = dial("192.0.2.1", 1, TOTAL).err().unwrap();
        assert!(["no answer in time", "the network cannot be reached"].contains(&error.as_str()), "{error}");
    }
}
