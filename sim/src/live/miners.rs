//! Simulated miners that really hash, all on one thread, each at its own rate, together within a budget of CPU time.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Poll, Token};

use super::socket::{Clock, Socket};
use crate::miner::{MinerOut, MinerSnapshot, MinerSpec, SimMiner};

/// Longest wait for sockets, and so the longest delay of a slice of hashing.
const ROUND: Duration = Duration::from_millis(5);
/// Hashes of one miner in one slice at most: a few milliseconds without special instructions.
const SLICE: u64 = 2_000;
/// A connect that takes longer has failed.
const CONNECT_US: u64 = 5_000_000;

/// Miners with a thread of their own, until they are dropped.
#[derive(Debug)]
pub struct LiveMiners {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    miners: Mutex<Vec<SimMiner>>,
    stop: AtomicBool,
    clock: Clock,
}

impl LiveMiners {
    /// All miners connect to `proxy`, a few milliseconds apart, and hash with at most `cpu_budget` of one core (0.5:
    /// half of it), each at its own rate as far as the budget allows.
    pub fn start(specs: Vec<MinerSpec>, proxy: SocketAddr, cpu_budget: f64) -> io::Result<LiveMiners> {
        let links = specs.iter().enumerate().map(|(i, _)| Link::Wait { until_us: i as u64 * 7_000 }).collect();
        let owed = vec![0.0; specs.len()];
        let shared = Arc::new(Shared {
            miners: Mutex::new(specs.into_iter().map(SimMiner::new).collect()),
            stop: AtomicBool::new(false),
            clock: Clock::start(),
        });
        let runner = Runner {
            shared: shared.clone(),
            poll: Poll::new()?,
            proxy,
            links,
            owed,
            credit_us: 0.0,
            budget: cpu_budget,
            last_us: 0,
        };
        let thread = std::thread::Builder::new().name("sim miners".into()).spawn(move || runner.run())?;
        Ok(LiveMiners { shared, thread: Some(thread) })
    }

    /// A copy of their counters, in the order of their specs. Times are microseconds since the start: see
    /// [`LiveMiners::now_us`].
    pub fn snapshot(&self) -> Vec<MinerSnapshot> {
        let now = self.now_us();
        lock(&self.shared.miners).iter().map(|miner| miner.snapshot(now)).collect()
    }

    /// Hashes of the headers that were submitted since the last call, at most the latest 10,000 of each miner.
    pub fn take_found(&self) -> Vec<[u8; 32]> {
        let mut miners = lock(&self.shared.miners);
        miners.iter_mut().flat_map(SimMiner::take_found).map(|found| found.hash).collect()
    }

    /// The miners' clock.
    pub fn now_us(&self) -> u64 {
        self.shared.clock.now_us()
    }
}

impl Drop for LiveMiners {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A miner's way to the proxy.
enum Link {
    Wait { until_us: u64 },
    Connecting { socket: Socket, since_us: u64 },
    Open(Socket),
}

/// The thread's side.
struct Runner {
    shared: Arc<Shared>,
    poll: Poll,
    proxy: SocketAddr,
    links: Vec<Link>,
    /// Hashes that each miner is due.
    owed: Vec<f64>,
    /// CPU time that may be spent on hashing, in microseconds.
    credit_us: f64,
    budget: f64,
    last_us: u64,
}

impl Runner {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut behind = false;
        while !self.shared.stop.load(Ordering::SeqCst) {
            let wait = if behind { Duration::ZERO } else { ROUND };
            let _ = self.poll.poll(&mut events, Some(wait));
            for event in &events {
                self.ready(event.token().0, event.is_readable());
            }
            self.timers();
            behind = self.hash();
        }
    }

    fn with_miner(&mut self, index: usize, act: impl FnOnce(&mut SimMiner, u64, &mut Vec<MinerOut>)) {
        let mut out = Vec::new();
        if let Some(miner) = lock(&self.shared.miners).get_mut(index) {
            act(miner, self.shared.clock.now_us(), &mut out);
        }
        for out in out {
            let Some(Link::Open(socket)) = self.links.get_mut(index) else { return };
            match out {
                MinerOut::Send(bytes) => {
                    if socket.send(&bytes).is_err() {
                        return self.lost(index);
                    }
                }
                MinerOut::Close => return self.wait(index),
            }
        }
    }

    /// The other end is gone: tells the miner, and waits.
    fn lost(&mut self, index: usize) {
        let now = self.shared.clock.now_us();
        if let Some(miner) = lock(&self.shared.miners).get_mut(index) {
            miner.closed(now);
        }
        self.wait(index);
    }

    fn wait(&mut self, index: usize) {
        let delay = lock(&self.shared.miners).get_mut(index).map_or(1_000_000, SimMiner::reconnect_delay_us);
        let until_us = self.shared.clock.now_us() + delay;
        if let Some(link) = self.links.get_mut(index)
            && let Link::Connecting { socket, .. } | Link::Open(socket) =
                std::mem::replace(link, Link::Wait { until_us })
        {
            socket.close(self.poll.registry());
        }
    }

    fn ready(&mut self, index: usize, readable: bool) {
        let connected = match self.links.get(index) {
            Some(Link::Connecting { socket, .. }) => socket.is_connected(),
            Some(Link::Open(_)) => Ok(true),
            _ => return,
        };
        match connected {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => return self.wait(index),
        }
        if let Some(link) = self.links.get_mut(index)
            && matches!(link, Link::Connecting { .. })
            && let Link::Connecting { socket, .. } = std::mem::replace(link, Link::Wait { until_us: 0 })
        {
            *link = Link::Open(socket);
            self.with_miner(index, |miner, now, out| miner.connected(now, out));
        }
        let Some(Link::Open(socket)) = self.links.get_mut(index) else { return };
        let mut open = socket.flush().is_ok();
        if readable && open {
            let (bytes, more) = socket.read();
            open = more;
            if !bytes.is_empty() {
                self.with_miner(index, |miner, now, out| miner.receive(&bytes, now, out));
            }
        }
        // It may have hung up meanwhile.
        if !open && matches!(self.links.get(index), Some(Link::Open(_))) {
            self.lost(index);
        }
    }

    fn timers(&mut self) {
        for index in 0..self.links.len() {
            let now = self.shared.clock.now_us();
            match self.links.get(index) {
                Some(Link::Wait { until_us }) if now >= *until_us => self.connect(index, now),
                Some(Link::Connecting { since_us, .. }) if now >= since_us + CONNECT_US => self.wait(index),
                Some(Link::Open(_)) => self.with_miner(index, |miner, now, out| miner.tick(now, out)),
                _ => {}
            }
        }
    }

    fn connect(&mut self, index: usize, now: u64) {
        let socket =
            TcpStream::connect(self.proxy).and_then(|stream| Socket::new(stream, Token(index), self.poll.registry()));
        match socket {
            Ok(socket) => self.links[index] = Link::Connecting { socket, since_us: now },
            Err(_) => self.wait(index),
        }
    }

    /// One slice for each miner that is due one, as far as the budget reaches; true if more is due at once.
    fn hash(&mut self) -> bool {
        let now = self.shared.clock.now_us();
        let passed = now.saturating_sub(self.last_us) as f64;
        self.last_us = now;
        self.credit_us = (self.credit_us + passed * self.budget).min(50_000.0 * self.budget);
        let mut due = false;
        for index in 0..self.links.len() {
            let rate = lock(&self.shared.miners).get(index).map_or(0.0, |miner| miner.spec().hash_rate);
            // What could not be hashed within a fifth of a second is given up: the machine is too slow for the rate.
            self.owed[index] = (self.owed[index] + rate * passed / 1e6).min(rate / 5.0 + 1.0);
            if self.credit_us <= 0.0 || self.owed[index] < 1.0 {
                continue;
            }
            let (start, slice) = (self.shared.clock.now_us(), (self.owed[index] as u64).min(SLICE));
            self.with_miner(index, |miner, now, out| {
                miner.mine(slice, now, out);
            });
            self.owed[index] -= slice as f64;
            self.credit_us -= self.shared.clock.now_us().saturating_sub(start) as f64;
            due |= self.owed[index] >= SLICE as f64;
        }
        due && self.credit_us > 0.0
    }
}
