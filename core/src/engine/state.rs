//! The engine's data, its start, its end on disk, and what can be read from outside. Nothing here decides anything.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::chain::address;
use crate::config::{Address, Config};
use crate::difficulty::Difficulty;
use crate::ids::{Conn, GroupId, MinerId, PoolId, UpstreamId};
use crate::job::Jobs;
use crate::miner::Miner;
use crate::notice::DwellReason;
use crate::oracle::balancer::Balancer;
use crate::oracle::{OracleMemory, OracleStatus};
use crate::pool::{Link, PoolFacts, Upstream};
use crate::rate::{Estimate, HashRate, Rate};
use crate::rng::Rng;
use crate::schedule::{Cycle, Plan};
use crate::share::Pow;
use crate::time::{Span, Time};
use crate::timers::{TimerKind, Timers};

/// The proxy as a state machine. See the crate's documentation for the order of calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    pub(super) config: Config,
    pub(super) now: Time,
    /// Microseconds since 1970 at time 0; none before the wall clock was told.
    pub(super) epoch_micros: Option<u64>,
    pub(super) timers: Timers,
    pub(super) rng: Rng,
    pub(super) pow: Pow,
    pub(super) miners: BTreeMap<MinerId, Miner>,
    pub(super) upstreams: BTreeMap<UpstreamId, Upstream>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// One a configured pool.
    pub(super) facts: Vec<PoolFacts>,
    /// What earlier runs and configs knew of pools that are not configured now.
    pub(super) remembered: BTreeMap<String, PoolMemory>,
    /// What is known of workers, by name.
    pub(super) workers: BTreeMap<Arc<str>, WorkerMemory>,
    pub(super) last_worker: u64,
    /// Miners connected from each address.
    pub(super) addresses: BTreeMap<IpAddr, u32>,
    pub(super) visitors: BTreeMap<IpAddr, Visitor>,
    pub(super) last_upstream: u64,
    pub(super) last_group: u64,
    pub(super) plans: Plans,
    /// The phases are to be spread again, at the earliest at this time.
    pub(super) spread_from: Time,
    pub(super) fleet: Fleet,
    pub(super) draining: Option<Drain>,
    pub(super) oracle: Balancer,
}

/// The plan for most miners, and the one for miners to whom a switch is dear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plans {
    /// The weights of those who divide their work: the config's, unless others are held on one pool.
    pub(super) weights: Vec<u32>,
    pub(super) normal: Plan,
    pub(super) slow: Plan,
}

/// What is known of all miners together, by whom work is divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fleet {
    /// When the first seat was taken, and how many were.
    pub(super) origin: Time,
    pub(super) seats: u64,
    /// What each pool is owed by miners that do not divide their own work, in units of work a second times milliseconds.
    pub(super) owed: Vec<i128>,
    /// When the fleet was divided last, and whether whole miners were placed.
    pub(super) divided: Time,
    pub(super) whole: bool,
    /// The split that is aimed at, parts per million.
    pub(super) aim: Vec<u32>,
    /// What each pool lacks since the fleet was last divided, and the hash rate of a miner of which nothing is known yet.
    pub(super) room: Vec<i128>,
    pub(super) average: i128,
    /// The miners' hash rates by which it was divided.
    pub(super) rates: BTreeMap<MinerId, HashRate>,
    /// Workers that have left, and how many ever did.
    pub(super) workers: BTreeMap<Arc<str>, Returning>,
    pub(super) left: u64,
    /// What was said last.
    pub(super) said_unmet: Option<Vec<u32>>,
    pub(super) said_dwell: Option<(Span, Span, Span, DwellReason)>,
}

/// What is remembered of a worker that has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Returning {
    /// How many had left before it.
    pub(super) number: u64,
    pub(super) rate: Rate,
    /// Its place in the schedule, if that still holds.
    pub(super) cycle: Option<Cycle>,
}

/// A miner that loses its connection at every switch dwells this many times longer.
const SLOW: u64 = 12;

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Drain {
    /// Waiting for pools' answers.
    Waiting,
    /// Everything is closed; to be said.
    Closed,
    /// It was said.
    Done,
}

/// The miners that share one upstream per pool, and their jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) miners: Vec<MinerId>,
    /// One a configured pool.
    pub(super) links: Vec<Link>,
    pub(super) jobs: Jobs,
}

/// What is remembered of an address between its connections, for a short while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visitor {
    pub(super) last_seen: Time,
    /// It was refused version rolling and left without authorizing: it gets a mask the next time it asks.
    pub(super) wants_mask: bool,
    /// Agents that failed every share with the layout they got, and how often.
    pub(super) strikes: Vec<(Arc<str>, u8)>,
    /// Workers that had to subscribe again because a pool had changed, and when.
    pub(super) renegotiated: Vec<(Arc<str>, Time)>,
    /// Where in the schedule miners were that had to subscribe again, by agent.
    pub(super) returning: Vec<(Arc<str>, Cycle)>,
}

/// Most addresses that are remembered.
const MOST_VISITORS: usize = 4096;
/// An address is forgotten after this time.
const VISITOR_MEMORY: Span = Span::mins(24 * 60);

/// What survives a restart of the program, kept by the driver as JSON beside the config. All of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What is known of each pool, by its address `host:port`.
    #[serde(default)]
    pub pools: Vec<(String, PoolMemory)>,
    /// What is known of workers, by name: at most 10,000.
    #[serde(default)]
    pub workers: Vec<(String, WorkerMemory)>,
    /// What the automatic balance knows of the chains.
    #[serde(default)]
    pub oracle: OracleMemory,
}

/// What is remembered of one worker, so that a small miner need not be silent anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMemory {
    /// Its hash rate, as its shares showed it.
    #[serde(default)]
    pub hashes_per_second: u64,
    /// Counts up: where there is no room, the worker with the lowest is forgotten.
    #[serde(default)]
    pub number: u64,
}

/// What is remembered of one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMemory {
    /// Its extranonce2_size in bytes.
    #[serde(default)]
    pub extranonce2_bytes: Option<u8>,
    /// The version bits that it grants.
    #[serde(default)]
    pub version_mask: Option<u32>,
}

/// Why a checkpoint could not be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It was written by a version whose checkpoints this one cannot read.
    #[error("the checkpoint has version {found}, this program reads version {expected}")]
    Version {
        /// The version in the checkpoint.
        found: u32,
        /// The version that is read.
        expected: u32,
    },
    /// The bytes are no checkpoint.
    #[error("the checkpoint is damaged")]
    Damaged,
}

/// The version of checkpoints: raised by every change of the engine's data.
pub(crate) const CHECKPOINT_VERSION: u32 = 8;

/// One miner, for screens and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinerStatus<'a> {
    /// The connection.
    pub miner: MinerId,
    /// Its other end.
    pub peer: SocketAddr,
    /// The worker's name.
    pub worker: &'a str,
    /// Its firmware's own name.
    pub agent: &'a str,
    /// It has subscribed and authorised.
    pub ready: bool,
    /// The pool that it works for now.
    pub pool: Option<PoolId>,
    /// The difficulty that it was told last.
    pub told: Option<Difficulty>,
    /// How fast it hashes, by the shares that it found; none before it was told a difficulty.
    pub hash_rate: Option<Estimate>,
    /// The shares of its work that it is to do for each pool, parts per million, as far as it can.
    pub weights: Vec<u32>,
}

/// One pool, for screens and tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// The slot.
    pub pool: PoolId,
    /// Connections that are subscribed or further.
    pub connected: u32,
    /// Connections that can be worked for.
    pub usable: u32,
    /// Miners that work for it.
    pub miners: u32,
    /// Its extranonce2_size, as far as known.
    pub extranonce2_bytes: Option<u8>,
}

pub(super) fn address_key(address: &Address) -> String {
    alloc::format!("{}:{}", address.host, address.port)
}

impl Engine {
    /// A new engine at time 0. `seed` is the only source of chance.
    pub fn new(config: Config, memory: &Memory, seed: u64) -> Engine {
        let mut engine = Engine {
            now: Time::ZERO,
            epoch_micros: None,
            timers: Timers::default(),
            rng: Rng::new(seed).fork("engine"),
            pow: Pow::Sha256d,
            miners: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            groups: BTreeMap::new(),
            facts: Vec::new(),
            remembered: memory.pools.iter().cloned().collect(),
            workers: memory.workers.iter().map(|(worker, known)| (worker.as_str().into(), *known)).collect(),
            last_worker: memory.workers.iter().map(|(_, known)| known.number).max().unwrap_or(0),
            addresses: BTreeMap::new(),
            visitors: BTreeMap::new(),
            last_upstream: 0,
            last_group: 0,
            plans: Plans::of(&config, config.scheduler.weights.clone()),
            spread_from: Time::ZERO,
            fleet: Fleet::default(),
            draining: None,
            oracle: Balancer::new(&config, &memory.oracle),
            config,
        };
        engine.recall_facts();
        engine
    }

    /// Another proof of work than SHA-256d, for the simulated world and for redacted recordings. To be called before the
    /// first share.
    pub fn set_proof_of_work(&mut self, pow: Pow) {
        self.pow = pow;
    }

    /// The time of the last step.
    pub fn time(&self) -> Time {
        self.now
    }

    /// Fills the facts of the configured pools from what is remembered, and wants them probed.
    pub(super) fn recall_facts(&mut self) {
        self.facts = self
            .config
            .pools
            .iter()
            .map(|pool| {
                let mut facts = PoolFacts::new(&pool.address.host);
                facts.wallet = address::parse(&pool.wallet).map(|address| address.script);
                if let Some(memory) = self.remembered.get(&address_key(&pool.address)) {
                    facts.extranonce2_bytes = memory.extranonce2_bytes;
                    facts.mask = memory.version_mask;
                }
                facts
            })
            .collect();
        for pool in self.config.pool_ids() {
            self.timers.set(TimerKind::Probe(pool), self.now);
        }
    }

    /// What to remember over a restart.
    pub fn memory(&self) -> Memory {
        let mut pools = self.remembered.clone();
        for (pool, facts) in self.config.pools.iter().zip(&self.facts) {
            if facts.extranonce2_bytes.is_some() || facts.mask.is_some() {
                let memory = PoolMemory { extranonce2_bytes: facts.extranonce2_bytes, version_mask: facts.mask };
                pools.insert(address_key(&pool.address), memory);
            }
        }
        let workers = self.workers.iter().map(|(worker, known)| (worker.as_ref().into(), *known)).collect();
        Memory { pools: pools.into_iter().collect(), workers, oracle: self.oracle.memory() }
    }

    /// The config in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All miners' connections, in the order in which they came.
    pub fn miners(&self) -> impl Iterator<Item = MinerStatus<'_>> {
        self.miners.values().map(|m| MinerStatus {
            miner: m.id,
            peer: m.peer,
            worker: &m.worker,
            agent: &m.agent,
            ready: m.ready(),
            pool: m.working_for(),
            told: m.told,
            hash_rate: m.hash_rate(self.now),
            weights: self.plan_for(m).weights(self.config.pools.len()),
        })
    }

    /// All configured pools, A first.
    pub fn pools(&self) -> impl Iterator<Item = PoolStatus> + '_ {
        self.config.pool_ids().map(|pool| PoolStatus {
            pool,
            connected: self.upstreams.values().filter(|u| u.pool == pool && u.extranonce2_bytes > 0).count() as u32,
            usable: self.upstreams.values().filter(|u| u.pool == pool && u.has_work()).count() as u32,
            miners: self.miners.values().filter(|m| m.working_for() == Some(pool)).count() as u32,
            extranonce2_bytes: self.facts.get(pool.index()).and_then(|f| f.extranonce2_bytes),
        })
    }

    /// Where the automatic balance stands.
    pub fn oracle(&self) -> OracleStatus {
        self.oracle.status(self.wall_millis(self.now))
    }

    /// All connections to pools: which pool, and for which miner (none for a probe).
    pub fn upstreams(&self) -> impl Iterator<Item = (UpstreamId, PoolId, Option<MinerId>)> + '_ {
        self.upstreams.values().map(|u| (u.id, u.pool, self.who_of(u).map(|who| who.miner)))
    }

    /// All that the engine knows, as bytes: [`Engine::restore`] gives an engine that goes on identically.
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = CHECKPOINT_VERSION.to_le_bytes().to_vec();
        // Plain data into a growing vector: there is nothing that can fail.
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        bytes
    }

    /// The engine of a checkpoint.
    ///
    /// # Errors
    /// When the bytes are of another version, or damaged.
    pub fn restore(bytes: &[u8]) -> Result<Engine, RestoreError> {
        let (version, rest) = bytes.split_first_chunk::<4>().ok_or(RestoreError::Damaged)?;
        let found = u32::from_le_bytes(*version);
        if found != CHECKPOINT_VERSION {
            return Err(RestoreError::Version { found, expected: CHECKPOINT_VERSION });
        }
        postcard::from_bytes(rest).map_err(|_| RestoreError::Damaged)
    }

    /// Keeps time from running backwards.
    pub(super) fn clock(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.now
    }

    pub(super) fn set_wall_clock(&mut self, now: Time, unix_micros: u64) {
        self.epoch_micros = Some(unix_micros.saturating_sub(now.0));
    }

    /// The wall clock in milliseconds since 1970; none before it was told.
    pub(super) fn wall_millis(&self, now: Time) -> Option<u64> {
        Some(self.epoch_micros?.saturating_add(now.0) / 1000)
    }

    /// The memory of an address, which is bounded by number and age.
    pub(super) fn visitor(&mut self, address: IpAddr, now: Time) -> &mut Visitor {
        if self.visitors.len() >= MOST_VISITORS && !self.visitors.contains_key(&address) {
            self.visitors.retain(|_, v| now.since(v.last_seen) < VISITOR_MEMORY);
            if self.visitors.len() >= MOST_VISITORS
                && let Some(oldest) = self.visitors.iter().min_by_key(|(_, v)| v.last_seen).map(|(a, _)| *a)
            {
                self.visitors.remove(&oldest);
            }
        }
        let visitor = self.visitors.entry(address).or_default();
        visitor.last_seen = now;
        visitor
    }

    pub(super) fn new_upstream(&mut self) -> UpstreamId {
        self.last_upstream += 1;
        UpstreamId(self.last_upstream)
    }

    /// The group's link to a pool; none when the pool is not configured any more.
    pub(super) fn link(&mut self, group: GroupId, pool: PoolId) -> Option<&mut Link> {
        self.groups.get_mut(&group)?.links.get_mut(pool.index())
    }

    /// The upstream that a group has to a pool.
    pub(super) fn upstream_of(&self, group: GroupId, pool: PoolId) -> Option<&Upstream> {
        let id = self.groups.get(&group)?.links.get(pool.index())?.upstream()?;
        self.upstreams.get(&id)
    }

    /// What part of each pool's shares is accepted, parts per million.
    pub(super) fn acceptance(&self) -> [u32; crate::config::MAX_POOLS] {
        let mut all = [crate::config::WEIGHT_SUM; crate::config::MAX_POOLS];
        for (to, facts) in all.iter_mut().zip(&self.facts) {
            *to = facts.acceptance.parts();
        }
        all
    }

    /// The plan that holds for a miner.
    pub(super) fn plan_for<'a>(&'a self, miner: &'a Miner) -> &'a Plan {
        match &miner.own_plan {
            Some(own) => own,
            None if miner.must_reconnect() => &self.plans.slow,
            None => &self.plans.normal,
        }
    }

    /// Any miner of a group: they share one user.
    pub(super) fn first_miner(&self, group: GroupId) -> Option<&Miner> {
        self.groups.get(&group)?.miners.first().and_then(|id| self.miners.get(id))
    }

    /// True if the connection is still there.
    pub(super) fn has(&self, conn: Conn) -> bool {
        match conn {
            Conn::Miner(id) => self.miners.contains_key(&id),
            Conn::Upstream(id) => self.upstreams.contains_key(&id),
        }
    }
}

impl Plans {
    pub(super) fn of(config: &Config, weights: Vec<u32>) -> Plans {
        let normal = Plan::new(&weights, &config.scheduler, 1);
        let slow = Plan::new(&weights, &config.scheduler, SLOW);
        Plans { weights, normal, slow }
    }

    /// The plan of a single miner with other weights.
    pub(super) fn like(&self, weights: &[u32], config: &Config, slow: bool) -> Plan {
        Plan::new(weights, &config.scheduler, if slow { SLOW } else { 1 })
    }
}

impl Group {
    pub(super) fn new(miner: MinerId, pools: usize) -> Group {
        let links = (0..pools).map(|_| Link::default()).collect();
        Group { miners: alloc::vec![miner], links, jobs: Jobs::default() }
    }
}
