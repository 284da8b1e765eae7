//! A simulated pool that listens on a real port.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::socket::{Clock, Socket};
use crate::pool::{OutageMode, PoolOut, PoolSnapshot, PoolSpec, Script, ShareRecord, SimPool};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const FIRST: usize = 2;

/// A pool with a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct LivePool {
    addr: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    pool: Mutex<SimPool>,
    /// What the pool is told from outside, for its thread to do.
    orders: Mutex<Vec<Order>>,
    stop: AtomicBool,
    clock: Clock,
}

#[derive(Debug)]
enum Order {
    Outage(Option<OutageMode>),
    Play(Script),
}

impl LivePool {
    /// Listens on this port of 127.0.0.1 (0: any free one) and works from now on.
    pub fn start(spec: PoolSpec, port: u16) -> io::Result<LivePool> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let shared = Arc::new(Shared {
            pool: Mutex::new(SimPool::new(spec)),
            orders: Mutex::new(Vec::new()),
            stop: AtomicBool::new(false),
            clock: Clock::start(),
        });
        let mut runner =
            Runner { addr, shared: shared.clone(), poll, listener: None, conns: BTreeMap::new(), next: FIRST };
        runner.listen(listener)?;
        let thread = std::thread::Builder::new().name("sim pool".into()).spawn(move || runner.run())?;
        Ok(LivePool { addr, shared, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A copy of its counters.
    pub fn snapshot(&self) -> PoolSnapshot {
        lock(&self.shared.pool).snapshot()
    }

    /// Takes out the verdicts since the last call, at most the latest 10,000.
    pub fn take_shares(&self) -> Vec<ShareRecord> {
        lock(&self.shared.pool).take_shares()
    }

    /// Takes the pool out, or back, within a few milliseconds.
    pub fn set_outage(&self, mode: Option<OutageMode>) {
        self.order(Order::Outage(mode));
    }

    /// Does one thing of a script now.
    pub fn play(&self, script: Script) {
        self.order(Order::Play(script));
    }

    fn order(&self, order: Order) {
        lock(&self.shared.orders).push(order);
        let _ = self.waker.wake();
    }
}

impl Drop for LivePool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of the thread shows in its own message; the counters are still worth reading.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's side.
struct Runner {
    addr: SocketAddr,
    shared: Arc<Shared>,
    poll: Poll,
    listener: Option<TcpListener>,
    conns: BTreeMap<u64, Socket>,
    next: usize,
}

impl Runner {
    fn listen(&mut self, mut listener: TcpListener) -> io::Result<()> {
        self.poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        self.listener = Some(listener);
        Ok(())
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.shared.stop.load(Ordering::SeqCst) {
            let wait = lock(&self.shared.pool).next_deadline().saturating_sub(self.shared.clock.now_us());
            let wait = Duration::from_micros(wait).clamp(Duration::from_millis(1), Duration::from_secs(1));
            // Interrupted: nothing happened, the loop looks again.
            let _ = self.poll.poll(&mut events, Some(wait));
            let mut out = Vec::new();
            for order in std::mem::take(&mut *lock(&self.shared.orders)) {
                let (now, mut pool) = (self.shared.clock.now_us(), lock(&self.shared.pool));
                match order {
                    Order::Outage(mode) => pool.set_outage(mode.map(|mode| (mode, u64::MAX)), now, &mut out),
                    Order::Play(script) => pool.play(script, now, &mut out),
                }
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(&mut out),
                    WAKER => {}
                    Token(n) => self.ready(n as u64, event.is_readable(), event.is_writable(), &mut out),
                }
                self.perform(&mut out);
            }
            lock(&self.shared.pool).tick(self.shared.clock.now_us(), &mut out);
            self.perform(&mut out);
            self.open_or_shut();
        }
    }

    /// A pool that refuses connections does not listen.
    fn open_or_shut(&mut self) {
        let refuses = lock(&self.shared.pool).refuses();
        match &mut self.listener {
            Some(listener) if refuses => {
                let _ = self.poll.registry().deregister(listener);
                self.listener = None;
            }
            None if !refuses => {
                // Somebody may sit on the port for a moment: the next round tries again.
                if let Ok(listener) = TcpListener::bind(self.addr) {
                    let _ = self.listen(listener);
                }
            }
            _ => {}
        }
    }

    fn accept(&mut self, out: &mut Vec<PoolOut>) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            let conn = self.next;
            self.next += 1;
            if let Ok(socket) = Socket::new(stream, Token(conn), self.poll.registry()) {
                self.conns.insert(conn as u64, socket);
                lock(&self.shared.pool).accept(conn as u64, self.shared.clock.now_us(), out);
            }
        }
    }

    fn ready(&mut self, conn: u64, readable: bool, writable: bool, out: &mut Vec<PoolOut>) {
        let Some(socket) = self.conns.get_mut(&conn) else { return };
        let mut open = !writable || socket.flush().is_ok();
        if readable && open {
            let (bytes, more) = socket.read();
            open = more;
            if !bytes.is_empty() {
                lock(&self.shared.pool).receive(conn, &bytes, self.shared.clock.now_us(), out);
            }
        }
        if !open {
            self.lost(conn);
        }
    }

    fn lost(&mut self, conn: u64) {
        if let Some(socket) = self.conns.remove(&conn) {
            socket.close(self.poll.registry());
            lock(&self.shared.pool).closed(conn);
        }
    }

    fn perform(&mut self, out: &mut Vec<PoolOut>) {
        for out in out.drain(..) {
            match out {
                PoolOut::Send { conn, bytes } => {
                    if self.conns.get_mut(&conn).is_some_and(|socket| socket.send(&bytes).is_err()) {
                        self.lost(conn);
                    }
                }
                PoolOut::Close { conn } => {
                    if let Some(socket) = self.conns.remove(&conn) {
                        socket.close(self.poll.registry());
                    }
                }
            }
        }
    }
}
