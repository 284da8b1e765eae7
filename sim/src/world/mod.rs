//! The engine among simulated pools and miners on virtual time: everything follows from one seed.
//!
//! [`World::run_until`] takes the next thing from a heap keyed by time and number, lets it happen, and sends on what
//! follows from it over the network of `net`. After each step of the engine it checks what can be checked at once;
//! [`World::outcome`] adds what the peers complain of. Only this module of the crate knows the engine.

mod net;
mod outcome;
mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dpmp_core::{Action, ActionBuf, Conn, Engine, Event, Memory, MinerId, Notice, Time, UpstreamId};

pub use outcome::Outcome;
pub use spec::{Fault, NetSpec, WorldSpec};

use crate::frame::Complaints;
use crate::miner::{MinerOut, SimMiner};
use crate::pool::{PoolOut, ShareRecord, SimPool, VersionRolling};
use crate::rng::Rng;
use net::{Arrival, Line, Peer, Way};
use outcome::Headers;

/// What the world needs of a proxy: the engine itself, or something around it (a recorder, a planted bug).
pub trait Proxy {
    /// As [`Engine::step`].
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf);
    /// As [`Engine::poll_timeout`], without the reason.
    fn next_timeout(&self) -> Option<Time>;
}

impl Proxy for Engine {
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        Engine::step(self, now, event, out);
    }

    fn next_timeout(&self) -> Option<Time> {
        self.poll_timeout().map(|(at, _)| at)
    }
}

/// What the driver's socket takes before its own queue grows.
const SOCKET_BUFFER: usize = 64 << 10;
/// How often the engine is told of a growing queue.
const QUEUE_STEP: u32 = 16 << 10;

/// Something in the heap.
#[derive(Clone, Debug)]
enum Item {
    EngineTick,
    PoolTick(usize),
    MinerTick(usize),
    /// The miner has found a share, if its work is still that of this generation.
    MinerShare(usize, u64),
    MinerConnects(usize),
    Connected(UpstreamId, usize),
    ConnectFailed(UpstreamId, &'static str),
    Deliver(Conn, Way),
    Queue(Conn, u32),
    Fault(Fault),
}

/// A miner's place in the world.
#[derive(Debug)]
struct MinerSeat {
    miner: SimMiner,
    conn: Option<MinerId>,
    /// Job and difficulty for which the time of the next share was drawn.
    work: Option<(String, f64)>,
    generation: u64,
    /// Whose job it has, and since when.
    works_for: Option<usize>,
    since_us: u64,
    hashes: Vec<f64>,
    clogged_until: u64,
    tick_us: u64,
}

#[derive(Debug)]
struct PoolSeat {
    pool: SimPool,
    held_until: u64,
    tick_us: u64,
}

/// The world.
pub struct World<P = Engine> {
    proxy: P,
    spec: WorldSpec,
    rng: Rng,
    now_us: u64,
    heap: BTreeMap<(u64, u64), Item>,
    next_item: u64,
    pools: Vec<PoolSeat>,
    miners: Vec<MinerSeat>,
    lines: BTreeMap<Conn, Line>,
    /// Ids that the engine closed or that ended: an action about one of them is a mistake only if it was never given.
    known: BTreeSet<Conn>,
    next_miner: u64,
    engine_tick_us: u64,
    buf: ActionBuf,
    steps: u64,
    headers: Headers,
    complaints: Complaints,
    notices: Vec<(u64, Notice)>,
    keep_notices: bool,
}

impl World<Engine> {
    /// A world around a new engine without memory.
    pub fn new(spec: WorldSpec) -> World<Engine> {
        let engine = Engine::new(spec.config.clone(), &Memory::default(), spec.seed);
        World::around(engine, spec)
    }
}

impl<P: Proxy> World<P> {
    /// A world around any proxy that was made for the spec's config.
    pub fn around(proxy: P, spec: WorldSpec) -> World<P> {
        let n = spec.pools.len();
        let seat = |pool| PoolSeat { pool: SimPool::new(pool), held_until: 0, tick_us: u64::MAX };
        let pools = spec.pools.iter().cloned().map(seat).collect();
        let miners = spec.miners.iter().map(|miner| MinerSeat {
            miner: SimMiner::new(miner.clone()),
            conn: None,
            work: None,
            generation: 0,
            works_for: None,
            since_us: 0,
            hashes: vec![0.0; n],
            clogged_until: 0,
            tick_us: u64::MAX,
        });
        let mut world = World {
            proxy,
            rng: Rng::new(spec.seed, "network"),
            now_us: 0,
            heap: BTreeMap::new(),
            next_item: 0,
            pools,
            miners: miners.collect(),
            lines: BTreeMap::new(),
            known: BTreeSet::new(),
            next_miner: 1,
            engine_tick_us: u64::MAX,
            buf: ActionBuf::new(),
            steps: 0,
            headers: Headers::default(),
            complaints: Complaints::default(),
            notices: Vec::new(),
            keep_notices: false,
            spec,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for pool in 0..self.pools.len() {
            self.plan_pool(pool);
        }
        let (first, span) = self.spec.arrival_us;
        for miner in 0..self.miners.len() {
            let at = first + self.rng.between(0, span);
            self.at(at, Item::MinerConnects(miner));
        }
        for (at, fault) in self.spec.faults.clone() {
            self.at(at, Item::Fault(fault));
        }
        let start = self.spec.pools.first().map_or(0, |pool| u64::from(pool.start_unix));
        self.step(Event::WallClock { unix_micros: start * 1_000_000 });
    }

    /// Keeps the engine's notices for [`World::take_notices`].
    pub fn keep_notices(&mut self) {
        self.keep_notices = true;
    }

    /// Takes out the notices since the last call, each with its time in microseconds.
    pub fn take_notices(&mut self) -> Vec<(u64, Notice)> {
        std::mem::take(&mut self.notices)
    }

    /// The engine.
    pub fn proxy(&self) -> &P {
        &self.proxy
    }

    /// Virtual time in microseconds.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Lets all happen until then.
    pub fn run_until(&mut self, until_us: u64) {
        while let Some(entry) = self.heap.first_entry() {
            let (at, _) = *entry.key();
            if at > until_us {
                break;
            }
            let item = entry.remove();
            self.now_us = self.now_us.max(at);
            self.happen(item);
        }
        self.now_us = self.now_us.max(until_us);
    }

    /// Does something to the world now.
    pub fn inflict(&mut self, fault: Fault) {
        self.happen(Item::Fault(fault));
    }

    /// Everything so far.
    pub fn outcome(&mut self) -> Outcome {
        for miner in 0..self.miners.len() {
            self.accrue(miner);
        }
        let pools: Vec<_> = self.pools.iter().map(|seat| seat.pool.snapshot()).collect();
        let grants = |spec: &crate::pool::PoolSpec| matches!(spec.version_rolling, VersionRolling::Mask(1..));
        let mask = self.spec.pools.iter().any(grants);
        let miners: Vec<_> = self.miners.iter().map(|seat| seat.miner.snapshot(self.now_us)).collect();
        Outcome {
            now_us: self.now_us,
            steps: self.steps,
            hashes: self.miners.iter().map(|seat| seat.hashes.clone()).collect(),
            never_forwarded: self.headers.never_seen(),
            violations: outcome::violations(&self.complaints, &pools, &miners, mask),
            pools,
            miners,
        }
    }

    /// What is missing now for all to be well: every miner connected and authorised, with a job of a pool that is up, has
    /// weight, and still knows the job. To be asked some minutes after the last fault.
    pub fn not_live(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (index, seat) in self.miners.iter().enumerate() {
            let miner = seat.miner.snapshot(self.now_us);
            let who = format!("miner {} ({})", miner.name, miner.personality);
            match self.owner_of_job(index) {
                _ if miner.mask_refusals > 0 && !miner.has_job => {}
                _ if !miner.authorised => missing.push(format!("{who}: not authorised")),
                None => missing.push(format!("{who}: no job of a pool")),
                Some(pool) => {
                    let outage = self.pools[pool].pool.snapshot().outage;
                    if outage.is_some() || self.pools[pool].held_until > self.now_us {
                        missing.push(format!("{who}: works for pool {pool}, which is out"));
                    }
                }
            }
        }
        missing
    }

    fn at(&mut self, at_us: u64, item: Item) {
        if at_us != u64::MAX {
            self.heap.insert((at_us.max(self.now_us), self.next_item), item);
            self.next_item += 1;
        }
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::EngineTick => {
                self.engine_tick_us = u64::MAX;
                if self.proxy.next_timeout().is_some_and(|at| at.0 <= self.now_us) {
                    self.step(Event::Tick);
                } else {
                    self.plan_engine();
                }
            }
            Item::PoolTick(pool) => {
                self.pools[pool].tick_us = u64::MAX;
                self.with_pool(pool, |pool, now, out| pool.tick(now, out));
            }
            Item::MinerTick(miner) => {
                self.miners[miner].tick_us = u64::MAX;
                self.with_miner(miner, |miner, now, out| miner.tick(now, out));
            }
            Item::MinerShare(miner, generation) => self.miner_share(miner, generation),
            Item::MinerConnects(miner) => self.miner_connects(miner),
            Item::Connected(upstream, pool) => self.upstream_connected(upstream, pool),
            Item::ConnectFailed(upstream, reason) => self.step(Event::ConnectFailed { upstream, reason }),
            Item::Deliver(conn, way) => self.deliver(conn, way),
            Item::Queue(conn, bytes) if self.lines.contains_key(&conn) => self.step(Event::SendQueue { conn, bytes }),
            Item::Queue(..) => {}
            Item::Fault(fault) => self.befall(fault),
        }
    }

    // --- the engine ---

    fn step(&mut self, event: Event<'_>) {
        let now = Time(self.now_us);
        self.proxy.step(now, event, &mut self.buf);
        self.steps += 1;
        let buf = std::mem::take(&mut self.buf);
        for action in buf.actions() {
            self.perform(action, &buf);
        }
        self.buf = buf;
        self.buf.clear();
        if self.proxy.next_timeout().is_some_and(|at| at <= now) {
            self.complaints.push(now.0, || "after a step its deadline is not later: livelock".into());
        }
        self.plan_engine();
    }

    fn plan_engine(&mut self) {
        let Some(Time(at)) = self.proxy.next_timeout() else { return };
        // Never twice at one instant, whatever the engine says.
        let at = at.max(self.now_us + 1);
        if at < self.engine_tick_us {
            self.engine_tick_us = at;
            self.at(at, Item::EngineTick);
        }
    }

    fn perform(&mut self, action: &Action, buf: &ActionBuf) {
        match action {
            Action::Connect { upstream, host, port, .. } => self.connect(*upstream, host, *port),
            Action::Send { conn, bytes } => self.send(*conn, buf.bytes(bytes)),
            Action::PauseReading(conn) => {
                if let Some(line) = self.lines.get_mut(conn) {
                    line.paused = true;
                }
            }
            Action::ResumeReading(conn) => {
                if let Some(line) = self.lines.get_mut(conn) {
                    line.paused = false;
                }
                self.plan_delivery(*conn, Way::In);
            }
            Action::Close(conn) => {
                if self.lines.contains_key(conn) {
                    self.close(*conn, Way::Out);
                } else if !self.known.contains(conn) {
                    self.complaints.push(self.now_us, || format!("closes {conn:?}, which never was"));
                }
            }
            Action::Notice(notice) => {
                if self.keep_notices {
                    self.notices.push((self.now_us, notice.clone()));
                }
            }
            Action::Drained => {}
        }
    }

    fn connect(&mut self, upstream: UpstreamId, host: &str, port: u16) {
        let known = |slot: &&dpmp_core::config::PoolConfig| slot.address.host == host && slot.address.port == port;
        let slot = self
            .spec
            .config
            .pools
            .iter()
            .filter(known)
            .find_map(|slot| (0..self.pools.len()).find(|i| spec::host(*i) == slot.address.host));
        let Some(pool) = slot else {
            self.complaints.push(self.now_us, || format!("connects to {host}:{port}, which is not configured"));
            return self.at(self.now_us + 1000, Item::ConnectFailed(upstream, "unknown host"));
        };
        if !self.known.insert(Conn::Upstream(upstream)) {
            self.complaints.push(self.now_us, || format!("uses {upstream:?} a second time"));
        }
        let line = Line::new(Peer::Pool(pool), &self.spec.net, &mut self.rng);
        let there = self.now_us + 2 * line.latency_us();
        let held = self.pools[pool].held_until;
        if held > self.now_us + 15_000_000 {
            return self.at(self.now_us + 15_000_000, Item::ConnectFailed(upstream, "timed out"));
        }
        self.lines.insert(Conn::Upstream(upstream), line);
        self.at(there.max(held), Item::Connected(upstream, pool));
    }

    fn upstream_connected(&mut self, upstream: UpstreamId, pool: usize) {
        let conn = Conn::Upstream(upstream);
        let Some(line) = self.lines.get_mut(&conn).filter(|line| !line.engine_closed()) else { return };
        line.connected = true;
        if self.pools[pool].pool.refuses() {
            self.lines.remove(&conn);
            return self.step(Event::ConnectFailed { upstream, reason: "connection refused" });
        }
        self.with_pool(pool, |pool, now, out| pool.accept(upstream.0, now, out));
        self.step(Event::Connected { upstream });
    }

    /// The engine sends.
    fn send(&mut self, conn: Conn, bytes: &[u8]) {
        let lines = bytes.iter().filter(|b| **b == b'\n').count();
        if !bytes.ends_with(b"\n") {
            self.complaints.push(self.now_us, || format!("sends {conn:?} a piece of a line"));
        }
        let Some(line) = self.lines.get_mut(&conn) else {
            if !self.known.contains(&conn) {
                self.complaints.push(self.now_us, || format!("sends to {conn:?}, which never was"));
            }
            return;
        };
        if let Peer::Miner(miner) = line.peer
            && lines > 1
            && self.miners[miner].miner.spec().personality.one_message_a_write
        {
            self.complaints.push(self.now_us, || format!("{lines} messages in one write to miner {miner}"));
        }
        line.send(Way::Out, bytes.to_vec(), self.now_us, &self.spec.net, &mut self.rng);
        self.plan_delivery(conn, Way::Out);
        self.tell_queue(conn);
    }

    /// The driver's news about its send queue, for a peer that does not read.
    fn tell_queue(&mut self, conn: Conn) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let clogged = match line.peer {
            Peer::Miner(miner) => self.miners[miner].clogged_until > self.now_us,
            Peer::Pool(pool) => self.pools[pool].held_until > self.now_us,
        };
        let waiting = if clogged { line.outward.bytes.saturating_sub(SOCKET_BUFFER) as u32 } else { 0 };
        let news = waiting > 0 && (line.told_queue == 0 || waiting >= line.told_queue + QUEUE_STEP);
        if news || waiting == 0 && line.told_queue > 0 {
            line.told_queue = waiting;
            // An event of its own: not inside the step that sent.
            self.at(self.now_us, Item::Queue(conn, waiting));
        }
    }

    // --- the network ---

    /// The sender of this way closes.
    fn close(&mut self, conn: Conn, way: Way) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        line.close(way, self.now_us);
        if line.is_over() {
            self.lines.remove(&conn);
        } else {
            self.plan_delivery(conn, way);
        }
    }

    fn plan_delivery(&mut self, conn: Conn, way: Way) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let held = match (line.peer, way) {
            (Peer::Miner(miner), Way::Out) => self.miners[miner].clogged_until,
            (Peer::Pool(pool), _) => self.pools[pool].held_until,
            _ => 0,
        };
        if way == Way::In && line.paused {
            return;
        }
        let half = line.half(way);
        let Some(at) = half.next_us() else { return };
        let at = at.max(held).max(self.now_us);
        if half.planned.is_none_or(|planned| at < planned) {
            half.planned = Some(at);
            self.at(at, Item::Deliver(conn, way));
        }
    }

    fn deliver(&mut self, conn: Conn, way: Way) {
        let now = self.now_us;
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let (peer, paused) = (line.peer, line.paused);
        let half = line.half(way);
        if half.planned != Some(now) {
            return;
        }
        half.planned = None;
        let held = match (peer, way) {
            (Peer::Miner(miner), Way::Out) => self.miners[miner].clogged_until > now,
            (Peer::Pool(pool), _) => self.pools[pool].held_until > now,
            _ => false,
        };
        if held || paused && way == Way::In {
            return self.plan_delivery(conn, way);
        }
        let arrival = half.deliver(now, &self.spec.net, &mut self.rng);
        self.plan_delivery(conn, way);
        match (arrival, way, peer) {
            (Arrival::Nothing, _, _) => {}
            (Arrival::Bytes(bytes), Way::In, _) => self.step(Event::Received { conn, bytes: &bytes }),
            (Arrival::Bytes(bytes), Way::Out, Peer::Miner(miner)) => {
                self.with_miner(miner, |miner, now, out| miner.receive(&bytes, now, out));
            }
            (Arrival::Bytes(bytes), Way::Out, Peer::Pool(pool)) => {
                if let Conn::Upstream(upstream) = conn {
                    self.with_pool(pool, |pool, now, out| pool.receive(upstream.0, &bytes, now, out));
                }
            }
            (Arrival::End, Way::In, _) => {
                self.lines.remove(&conn);
                self.step(Event::Closed { conn, reason: "closed by the other end" });
            }
            (Arrival::End, Way::Out, peer) => {
                self.lines.remove(&conn);
                self.peer_learns_end(conn, peer, true);
            }
        }
    }

    fn peer_learns_end(&mut self, conn: Conn, peer: Peer, engine_closed: bool) {
        match (peer, conn) {
            (Peer::Pool(pool), Conn::Upstream(upstream)) => self.pools[pool].pool.closed(upstream.0),
            (Peer::Miner(miner), Conn::Miner(id)) if self.miners[miner].conn == Some(id) => {
                let now = self.now_us;
                let seat = &mut self.miners[miner];
                seat.conn = None;
                if engine_closed {
                    seat.miner.closed(now)
                } else {
                    seat.miner.cut(now)
                }
                self.miner_left(miner);
            }
            _ => {}
        }
    }

    // --- pools ---

    fn plan_pool(&mut self, pool: usize) {
        let seat = &mut self.pools[pool];
        let at = seat.pool.next_deadline().max(self.now_us + 1);
        if at < seat.tick_us {
            seat.tick_us = at;
            self.at(at, Item::PoolTick(pool));
        }
    }

    fn with_pool(&mut self, pool: usize, act: impl FnOnce(&mut SimPool, u64, &mut Vec<PoolOut>)) {
        let mut out = Vec::new();
        act(&mut self.pools[pool].pool, self.now_us, &mut out);
        for out in out {
            match out {
                PoolOut::Send { conn, bytes } => {
                    let conn = Conn::Upstream(UpstreamId(conn));
                    if let Some(line) = self.lines.get_mut(&conn) {
                        line.send(Way::In, bytes, self.now_us, &self.spec.net, &mut self.rng);
                        self.plan_delivery(conn, Way::In);
                    }
                }
                PoolOut::Close { conn } => {
                    self.close(Conn::Upstream(UpstreamId(conn)), Way::In);
                }
            }
        }
        for share in self.pools[pool].pool.take_shares() {
            self.check_share(pool, &share);
        }
        self.plan_pool(pool);
    }

    /// The header that the pool rebuilt is one that a miner hashed, and that miner's worker is credited.
    fn check_share(&mut self, pool: usize, share: &ShareRecord) {
        if share.hash == [0; 32] {
            return;
        }
        let now = self.now_us;
        match self.headers.rebuilt(&share.hash) {
            None => {
                let reason = share.reason.label();
                self.complaints.push(now, || format!("pool {pool} rebuilt a header that no miner hashed ({reason})"));
            }
            Some(miner) => {
                let worker = &self.miners[miner].miner.spec().name;
                let wallet = self.spec.config.pools.get(pool).map_or("", |slot| &slot.wallet);
                let user = if wallet.is_empty() { worker.clone() } else { format!("{wallet}.{worker}") };
                if share.user != user {
                    self.complaints.push(now, || format!("pool {pool}: {user}'s share is credited to {}", share.user));
                }
            }
        }
    }

    // --- miners ---

    fn miner_connects(&mut self, index: usize) {
        if self.miners[index].conn.is_some() {
            return;
        }
        let id = MinerId(self.next_miner);
        self.next_miner += 1;
        let conn = Conn::Miner(id);
        self.known.insert(conn);
        let mut line = Line::new(Peer::Miner(index), &self.spec.net, &mut self.rng);
        line.connected = true;
        self.lines.insert(conn, line);
        self.miners[index].conn = Some(id);
        let address = Ipv4Addr::new(10, 0, (index >> 8) as u8, index as u8);
        let peer = SocketAddr::new(IpAddr::V4(address), 40_000 + (id.0 % 20_000) as u16);
        self.step(Event::MinerAccepted { miner: id, peer });
        self.with_miner(index, |miner, now, out| miner.connected(now, out));
    }

    fn with_miner(&mut self, index: usize, act: impl FnOnce(&mut SimMiner, u64, &mut Vec<MinerOut>)) {
        let mut out = Vec::new();
        act(&mut self.miners[index].miner, self.now_us, &mut out);
        for found in self.miners[index].miner.take_found() {
            self.headers.submitted(found.hash, index);
        }
        for out in out {
            let Some(conn) = self.miners[index].conn.map(Conn::Miner) else { break };
            match out {
                MinerOut::Send(bytes) => {
                    if let Some(line) = self.lines.get_mut(&conn) {
                        line.send(Way::In, bytes, self.now_us, &self.spec.net, &mut self.rng);
                        self.plan_delivery(conn, Way::In);
                    }
                }
                MinerOut::Close => {
                    self.close(conn, Way::In);
                    self.miners[index].conn = None;
                    self.miner_left(index);
                }
            }
        }
        self.miner_changed(index);
    }

    fn miner_left(&mut self, index: usize) {
        let at = self.now_us + self.miners[index].miner.reconnect_delay_us();
        self.at(at, Item::MinerConnects(index));
        self.miner_changed(index);
    }

    /// Draws the time of the next share when there is other work than before, and plans the miner's timers.
    fn miner_changed(&mut self, index: usize) {
        let seat = &self.miners[index];
        let work = seat.miner.expected_hashes().zip(seat.miner.job());
        let work = work.map(|(hashes, job)| (job.id.to_owned(), hashes));
        if work != seat.work {
            self.accrue(index);
            let pool = self.owner_of_job(index);
            let seat = &mut self.miners[index];
            seat.works_for = pool;
            seat.work = work;
            seat.generation += 1;
            self.draw_share(index);
        }
        let seat = &mut self.miners[index];
        let at = seat.miner.next_deadline().max(self.now_us + 1);
        if at < seat.tick_us {
            seat.tick_us = at;
            self.at(at, Item::MinerTick(index));
        }
    }

    fn draw_share(&mut self, index: usize) {
        let seat = &self.miners[index];
        let (rate, generation) = (seat.miner.spec().hash_rate, seat.generation);
        if let Some((_, hashes)) = &seat.work
            && rate > 0.0
        {
            let wait = self.rng.exponential(hashes / rate) * 1e6;
            self.at(self.now_us + wait as u64 + 1, Item::MinerShare(index, generation));
        }
    }

    fn miner_share(&mut self, index: usize, generation: u64) {
        if self.miners[index].generation == generation {
            self.with_miner(index, |miner, now, out| {
                miner.solve(now, out);
            });
            if self.miners[index].generation == generation {
                self.draw_share(index);
            }
        }
    }

    /// Which pool made the job that the miner has: no two jobs begin alike.
    fn owner_of_job(&self, index: usize) -> Option<usize> {
        let job = self.miners[index].miner.job()?;
        let owns = |seat: &PoolSeat| seat.pool.jobs().any(|own| own.begins(job.coinb1));
        self.pools.iter().position(owns)
    }

    /// Adds the work since the last call to the pool it was done for.
    fn accrue(&mut self, index: usize) {
        let now = self.now_us;
        let seat = &mut self.miners[index];
        let passed = now.saturating_sub(seat.since_us) as f64 / 1e6;
        seat.since_us = now;
        if let Some(pool) = seat.works_for {
            seat.hashes[pool] += passed * seat.miner.spec().hash_rate;
        }
    }

    // --- faults ---

    fn befall(&mut self, fault: Fault) {
        let now = self.now_us;
        match fault {
            Fault::CutMiner(miner) => {
                if let Some(id) = self.miners.get(miner).and_then(|seat| seat.conn) {
                    self.cut(Conn::Miner(id));
                }
            }
            Fault::CutPool(pool) => {
                let lines = self.lines.iter().filter(|(_, line)| line.peer == Peer::Pool(pool));
                let conns: Vec<Conn> = lines.map(|(conn, _)| *conn).collect();
                conns.into_iter().for_each(|conn| self.cut(conn));
            }
            Fault::HoldPool { pool, until_us } => {
                if let Some(seat) = self.pools.get_mut(pool) {
                    seat.held_until = until_us.max(now);
                }
            }
            Fault::ClogMiner { miner, until_us } => {
                if let Some(seat) = self.miners.get_mut(miner) {
                    seat.clogged_until = until_us.max(now);
                }
            }
            Fault::Command(command) => self.step(Event::Command(command)),
        }
    }

    /// Breaks a connection for both ends at once.
    fn cut(&mut self, conn: Conn) {
        if self.lines.get(&conn).is_none_or(|line| !line.connected) {
            return;
        }
        let Some(line) = self.lines.remove(&conn) else { return };
        let engine_open = !line.engine_closed();
        self.peer_learns_end(conn, line.peer, false);
        if engine_open {
            self.step(Event::Closed { conn, reason: "connection reset" });
        }
    }
}
