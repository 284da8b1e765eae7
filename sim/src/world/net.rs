//! Connections of the simulated world: latency, cuts at any byte, coalescing, holds, and ends in order.

use std::collections::VecDeque;

use super::spec::NetSpec;
use crate::rng::Rng;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// From a peer to the engine.
    In,
    /// From the engine to a peer.
    Out,
}

/// Who is at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Miner(usize),
    Pool(usize),
}

/// One connection between the engine and a peer.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) peer: Peer,
    /// When it was made.
    pub(super) since_us: u64,
    /// False for one that the engine asked for and has not got yet.
    pub(super) connected: bool,
    latency_us: u64,
    pub(super) inward: Half,
    pub(super) outward: Half,
    /// The engine wants to read nothing at the moment.
    pub(super) paused: bool,
    /// What the engine was last told about its send queue.
    pub(super) told_queue: u32,
    /// The peer has closed its own direction only.
    pub(super) half_closed: bool,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Half {
    segments: VecDeque<(u64, Vec<u8>)>,
    last_us: u64,
    /// The sender has closed.
    fin: bool,
    /// The receiver has gone: nothing is delivered any more.
    dead: bool,
    /// When a delivery is planned.
    pub(super) planned: Option<u64>,
    pub(super) bytes: usize,
}

/// What comes out at the far end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Nothing,
    Bytes(Vec<u8>),
    End,
}

impl Line {
    pub(super) fn new(peer: Peer, net: &NetSpec, rng: &mut Rng) -> Line {
        Line {
            peer,
            since_us: 0,
            connected: false,
            latency_us: rng.between(net.latency_min_us, net.latency_max_us),
            inward: Half::default(),
            outward: Half::default(),
            paused: false,
            told_queue: 0,
            half_closed: false,
        }
    }

    pub(super) fn half(&mut self, way: Way) -> &mut Half {
        match way {
            Way::In => &mut self.inward,
            Way::Out => &mut self.outward,
        }
    }

    /// One way, once.
    pub(super) fn latency_us(&self) -> u64 {
        self.latency_us
    }

    /// Puts bytes on their way; returns when they arrive.
    pub(super) fn send(&mut self, way: Way, bytes: Vec<u8>, now_us: u64, net: &NetSpec, rng: &mut Rng) -> u64 {
        let arrives = now_us + self.latency_us + rng.between(0, net.jitter_us);
        self.half(way).push(arrives, bytes)
    }

    /// The sender closes: the receiver learns it behind the last byte. Whatever comes towards the sender is lost.
    pub(super) fn close(&mut self, way: Way, now_us: u64) -> u64 {
        let arrives = now_us + self.latency_us;
        let (own, other) = match way {
            Way::In => (&mut self.inward, &mut self.outward),
            Way::Out => (&mut self.outward, &mut self.inward),
        };
        other.dead = true;
        own.fin = true;
        own.last_us = own.last_us.max(arrives);
        own.last_us
    }

    /// The peer sends nothing more, and still reads.
    pub(super) fn half_close(&mut self, now_us: u64) {
        self.half_closed = true;
        self.inward.fin = true;
        self.inward.last_us = self.inward.last_us.max(now_us + self.latency_us);
    }

    /// The engine has closed it.
    pub(super) fn engine_closed(&self) -> bool {
        self.outward.fin
    }

    /// True when nothing will ever arrive on it.
    pub(super) fn is_over(&self) -> bool {
        self.inward.dead && self.outward.dead
    }
}

impl Half {
    fn push(&mut self, arrives: u64, bytes: Vec<u8>) -> u64 {
        if self.dead || self.fin {
            return u64::MAX;
        }
        // No overtaking.
        self.last_us = self.last_us.max(arrives);
        self.bytes += bytes.len();
        self.segments.push_back((self.last_us, bytes));
        self.last_us
    }

    /// When the next delivery could be made.
    pub(super) fn next_us(&self) -> Option<u64> {
        match self.segments.front() {
            _ if self.dead => None,
            Some((at, _)) => Some(*at),
            None => self.fin.then_some(self.last_us),
        }
    }

    /// What arrives now: all that is due in one piece, or cut somewhere.
    /// A slow reader takes only so many bytes, then nothing for a tenth of a second.
    pub(super) fn deliver(&mut self, now_us: u64, net: &NetSpec, slow: Option<usize>, rng: &mut Rng) -> Arrival {
        if self.dead {
            return Arrival::Nothing;
        }
        let mut bytes = Vec::new();
        while let Some((_, segment)) = self.segments.pop_front_if(|(at, _)| *at <= now_us) {
            bytes.extend(segment);
        }
        if bytes.is_empty() {
            if self.fin && self.segments.is_empty() && self.last_us <= now_us {
                self.dead = true;
                return Arrival::End;
            }
            return Arrival::Nothing;
        }
        let cut = match (net.single_bytes, rng.below(1000) < net.cut_permille) {
            (true, _) => 1,
            (false, true) => rng.between(1, bytes.len() as u64) as usize,
            (false, false) => bytes.len(),
        };
        let cut = slow.map_or(cut, |most| cut.min(most.max(1)));
        let rest = bytes.split_off(cut);
        if !rest.is_empty() {
            let wait = if slow.is_some() { 100_000 } else { rng.between(1, 2_000) };
            self.segments.push_front((now_us + wait, rest));
        }
        // The rest may now be due later than what follows it.
        let floor = self.segments.front().map_or(0, |(at, _)| *at);
        for (at, _) in &mut self.segments {
            *at = (*at).max(floor);
        }
        self.last_us = self.last_us.max(floor);
        self.bytes -= bytes.len();
        Arrival::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_arrive_in_order_however_cut() {
        for single_bytes in [false, true] {
            let net = NetSpec { cut_permille: 700, single_bytes, ..NetSpec::default() };
            let mut rng = Rng::new(3, "net");
            let mut line = Line::new(Peer::Pool(0), &net, &mut rng);
            let (mut sent, mut got, mut now) = (Vec::<u8>::new(), Vec::<u8>::new(), 0);
            for n in 0..200u8 {
                now += 700;
                let bytes = vec![n; usize::from(n % 7) + 1];
                sent.extend(&bytes);
                line.send(Way::In, bytes, now, &net, &mut rng);
            }
            line.close(Way::In, now);
            loop {
                let Some(at) = line.inward.next_us() else { panic!("no end") };
                now = now.max(at);
                match line.inward.deliver(now, &net, None, &mut rng) {
                    Arrival::Bytes(bytes) => got.extend(bytes),
                    Arrival::End => break,
                    Arrival::Nothing => {}
                }
            }
            assert_eq!(sent, got);
            assert_eq!(line.inward.bytes, 0);
            assert!(line.outward.next_us().is_none(), "who closed hears nothing more");
        }
    }
}
