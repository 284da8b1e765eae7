//! The engine among simulated pools and miners on virtual time: everything follows from one seed.
//!
//! [`World::run_until`] takes the next thing from a heap keyed by time and number, lets it happen, and sends on what
//! follows from it over the network of `net`. After each step of the engine it checks what can be checked at once;
//! [`World::outcome`] adds what the peers complain of. Only this module of the crate knows the engine.

mod audit;
mod engine;
mod judging;
mod model;
mod net;
mod operator;
mod outcome;
mod random;
mod recorded;
mod richer;
mod seats;
mod spec;
pub mod table;
mod trial;
mod wires;

use std::collections::{BTreeMap, BTreeSet};

use dpmp_core::trace::Start;
use dpmp_core::{ActionBuf, Conn, Engine, Event, MinerId, Notice, Time, UpstreamId};

pub use outcome::Outcome;
pub use recorded::Recorded;
pub use spec::{Fault, NetSpec, WorldSpec};
pub use trial::Trial;

use crate::frame::Complaints;
use crate::miner::SimMiner;
use crate::pool::SimPool;
use crate::rng::Rng;
use audit::AUDIT_US;
use judging::{Accepts, Judge};
use model::{Model, Split};
use net::{Line, Way};
use outcome::Headers;

/// What the world needs of a proxy: the engine itself, or something around it (a recorder, a planted bug).
pub trait Proxy {
    /// As [`Engine::step`].
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf);
    /// As [`Engine::poll_timeout`], without the reason.
    fn next_timeout(&self) -> Option<Time>;
    /// How much it holds, in bytes, if it can be told.
    fn bytes(&self) -> Option<u64> {
        None
    }
    /// Goes on as one that was restored from its own checkpoint (I8), if it can.
    fn restore(&mut self) {}
    /// Its process ends, and another begins: made of this, and of what this one would have saved.
    fn restart(&mut self, start: Start);
}

impl Proxy for Engine {
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        Engine::step(self, now, event, out);
    }

    fn next_timeout(&self) -> Option<Time> {
        self.poll_timeout().map(|(at, _)| at)
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.checkpoint().len() as u64)
    }

    fn restore(&mut self) {
        *self = Engine::restore(&self.checkpoint()).expect("a checkpoint just made");
    }

    fn restart(&mut self, start: Start) {
        *self = Start { memory: self.memory(), ..start }.engine();
    }
}

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
    /// What the server says that the automatic balance asks.
    OracleAnswer(u8),
    /// The model looks around.
    Audit,
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
    /// Its pipeline is filled anew until then.
    idle_until_us: u64,
    hashes: Vec<f64>,
    clogged_until: u64,
    slow_until: u64,
    slow_bytes: usize,
    held_until: u64,
    /// It does not come back before then.
    away_until: u64,
    /// It has no good work though it could have: since when, and for which bad pools it worked meanwhile.
    idle: Option<(u64, BTreeSet<Option<usize>>)>,
    split: Split,
    /// Mask refusals at the last audit, and of them those that need not have been.
    mask_refusals: (u64, u64),
    tick_us: u64,
}

#[derive(Debug)]
struct PoolSeat {
    pool: SimPool,
    held_until: u64,
    /// What it accepts, by its own books.
    accepts: Accepts,
    /// Up, reachable and in use since then.
    good_since: u64,
    /// That, and grants version bits since then.
    grants_since: u64,
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
    model: Model,
    /// Connections of miners that the engine had every right to close.
    excused: BTreeSet<MinerId>,
    /// The proxy was asked to stop, and nobody comes back; and it says that it has.
    draining: bool,
    drained: bool,
    /// What the split is judged by, once all has healed.
    judge: Option<Judge>,
    /// Step and time of the first thing that was wrong.
    first: Option<(u64, u64)>,
    notices: Vec<(u64, Notice)>,
    keep_notices: bool,
}

impl World<Engine> {
    /// A world around a new engine without memory.
    pub fn new(spec: WorldSpec) -> World<Engine> {
        World::around(spec.engine(), spec)
    }
}

impl<P: Proxy> World<P> {
    /// A world around any proxy that was made for the spec's config.
    pub fn around(proxy: P, mut spec: WorldSpec) -> World<P> {
        spec.pools.iter_mut().for_each(|pool| pool.pow = spec.pow);
        spec.miners.iter_mut().for_each(|miner| miner.pow = spec.pow);
        let n = spec.pools.len();
        let seat = |pool| PoolSeat {
            pool: SimPool::new(pool),
            held_until: 0,
            accepts: Accepts::default(),
            good_since: 0,
            grants_since: 0,
            tick_us: u64::MAX,
        };
        let pools = spec.pools.iter().cloned().map(seat).collect();
        let miners = spec.miners.iter().map(|miner| MinerSeat {
            miner: SimMiner::new(miner.clone()),
            conn: None,
            work: None,
            generation: 0,
            works_for: None,
            since_us: 0,
            idle_until_us: 0,
            hashes: vec![0.0; n],
            clogged_until: 0,
            slow_until: 0,
            slow_bytes: 0,
            held_until: 0,
            away_until: 0,
            idle: None,
            split: Split::default(),
            mask_refusals: (0, 0),
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
            model: Model::new(&spec.config),
            excused: BTreeSet::new(),
            draining: false,
            drained: false,
            judge: None,
            first: None,
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
        self.at(AUDIT_US, Item::Audit);
        self.tell_time();
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

    /// The engine, and the end of the world.
    pub fn into_proxy(self) -> P {
        self.proxy
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

    /// Step and microsecond of the first thing that was wrong, if any was.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.first
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
        let mut violations = self.split_breaches();
        let miners: Vec<_> = self.miners.iter().map(|seat| seat.miner.snapshot(self.now_us)).collect();
        violations.extend(outcome::violations(&self.complaints, &pools, &miners));
        Outcome {
            now_us: self.now_us,
            steps: self.steps,
            hashes: self.miners.iter().map(|seat| seat.hashes.clone()).collect(),
            never_forwarded: self.headers.never_seen(),
            violations,
            pools,
            miners,
        }
    }

    /// True hashes for each pool so far.
    pub fn work(&mut self) -> Vec<f64> {
        let mut all = vec![0.0; self.pools.len()];
        for miner in 0..self.miners.len() {
            self.accrue(miner);
            all.iter_mut().zip(&self.miners[miner].hashes).for_each(|(all, own)| *all += own);
        }
        all
    }

    /// The hash rate that each pool has now.
    pub fn rates(&self) -> Vec<f64> {
        let mut all = vec![0.0; self.pools.len()];
        for seat in &self.miners {
            if let Some(pool) = seat.works_for {
                all[pool] += seat.miner.spec().hash_rate;
            }
        }
        all
    }

    /// What is missing now for all to be well: every miner connected and authorised, with a job of a pool that is up, has
    /// weight, and still knows the job. To be asked some minutes after the last fault.
    pub fn not_live(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (index, seat) in self.miners.iter().enumerate() {
            let miner = seat.miner.snapshot(self.now_us);
            let who = format!("miner {} ({})", miner.name, miner.personality);
            match self.owner_of_job(index) {
                // No pool of today may bear what it rolls.
                None if miner.mask_refusals > 0 || miner.rolls_at_will => {}
                // It was told to, a moment ago.
                _ if self.model.subscribes_again(index, self.now_us) => {}
                _ if !miner.authorised => missing.push(format!("{who}: not authorised")),
                None => missing.push(format!("{who}: no job of a pool")),
                Some(pool) => {
                    let outage = self.pools[pool].pool.snapshot().outage;
                    // One that goes on only with a mask may have no other pool than one that has lost its weight.
                    if !self.model.in_use(pool) && miner.mask_refusals == 0 {
                        missing.push(format!("{who}: works for pool {pool}, which is not in use"));
                    }
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
            Item::OracleAnswer(answer) => self.oracle_answers(answer),
            Item::Audit => self.audit(),
        }
    }
}
