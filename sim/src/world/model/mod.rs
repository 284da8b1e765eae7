//! The reference model: what the proxy must do, judged at every step by the bytes that go in and out and by its notices.
//! It knows the truth that the engine does not (whose job a header is of, what a hash is worth), and none of its code.
//!
//! | room | invariants of DESIGN.md §4 and rules of STRATUM.md that it watches |
//! | --- | --- |
//! | `shares` | I1, I3: a share reaches its pool, whole and once |
//! | `verdicts` | I2: a request gets one reply, and it says what the pool has said |
//! | `jobs` | I5 at a failover, pads, clean_jobs, the told difficulty, silence |
//! | `logins` | who a miner is to a pool; a pool's questions |
//! | `ends` | which closed connections of miners are excused |
//! | `split` | I6: the band of each miner, and of all together, in every window |

mod ends;
mod jobs;
mod logins;
mod shares;
mod split;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dpmp_core::notice::{HeldOff, MinerWarning};
use dpmp_core::{Action, ActionBuf, CloseReason, Config, Conn, Difficulty, MinerId, Notice, PoolId, UpstreamId};
use serde_json::Value;

pub(super) use ends::Circumstances;
pub(super) use split::{FleetSplit, Rule, Split};

use super::PoolSeat;
use crate::frame::{Complaints, Lines};
use crate::miner::Found;
use logins::Introduction;
use shares::Expected;
use verdicts::{Open, Reply, Verdict, Waits};

/// One connection of a miner, as it goes through the proxy.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) miner: usize,
    from_miner: Lines,
    introduction: Introduction,
    /// Shares on their way to the proxy, in order.
    in_flight: VecDeque<Found>,
    /// Open requests, oldest first.
    open: VecDeque<Open>,
    /// Submits for jobs of which no pool knows the connection any more.
    untraced: Vec<String>,
    extranonce1: Vec<u8>,
    extranonce2_bytes: u64,
    told: Option<f64>,
    /// When it last got a difficulty or a job.
    told_us: Option<u64>,
    /// The last job: its pool.
    owner: Option<usize>,
    last_job: Option<LastJob>,
    /// It may have been sent no job because it did not read.
    missed: bool,
    /// It was told another extranonce or mask since the last job.
    retold: bool,
    /// What tells its latest jobs apart.
    pads: VecDeque<Told>,
    last_said_us: u64,
    subscribed: bool,
    authorised: bool,
    ready: bool,
    queued: u32,
    /// By pool: it can be worked for, by the notices.
    usable: BTreeSet<usize>,
    /// By pool: something of this miner's own keeps it away.
    unfit: BTreeSet<usize>,
    held_for_mask: bool,
    falls_back: bool,
    by_reconnect: bool,
}

/// One connection to a pool.
#[derive(Clone, Debug, Default)]
struct Up {
    from_pool: Lines,
    /// Shares without a verdict, oldest first, by the request's id as JSON text.
    waiting: Vec<(String, Waits)>,
    /// The difficulties that the proxy knows of: the last, and in a step all that it learns.
    difficulties: Vec<f64>,
    /// The version mask that the proxy was told last, apart from what was granted at first.
    mask: Option<u32>,
    /// What it said to subscribe.
    agent: String,
}

/// With more bytes than this waiting, a miner may be sent no job.
const CLOGGED: u32 = 16 << 10;

/// A job that a miner was told.
#[derive(Clone, Debug)]
struct Told {
    id: String,
    /// Its coinbase before the miner's extranonce2.
    head: Vec<u8>,
    extranonce2_bytes: u64,
    ntime: u32,
    /// The connection to a pool that it is of, if that stood at the pool.
    conn: Option<u64>,
}

/// The job that a miner was told last.
#[derive(Clone, Debug)]
struct LastJob {
    /// The pool's connection that it is of.
    conn: u64,
    seq: u64,
    /// The pool's extranonce1 for it.
    extranonce1: Vec<u8>,
}

/// The model.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    sides: BTreeMap<MinerId, Side>,
    ups: BTreeMap<UpstreamId, Up>,
    /// Shares that came with this step.
    expected: Vec<Expected>,
    /// Verdicts that came with it.
    verdicts: Vec<Verdict>,
    /// Replies that it gave to submits.
    replied: Vec<Reply>,
    /// The ids, as JSON text, of what pools asked with it and was not answered yet.
    asked: BTreeMap<UpstreamId, Vec<String>>,
    /// Who lost the pool that it worked for with it.
    lost: BTreeMap<MinerId, usize>,
    /// Who got a job of a pool with it.
    got_job: BTreeSet<MinerId>,
    /// Whose pool has told another mask with it.
    new_mask: Option<UpstreamId>,
    /// Who waited at connections that ended with it.
    ended: Vec<Waits>,
    /// Why each miner's connection was closed in this step, by the notices.
    closing: BTreeMap<MinerId, CloseReason>,
    /// When a worker was last made to subscribe again because a pool had changed.
    renegotiated: BTreeMap<usize, u64>,
    /// Which pool each slot of the config is: notices speak of slots, all else here of pools.
    slots: Vec<usize>,
    /// The least and the most that the config wants told of each pool's difficulty.
    limits: Vec<(Option<f64>, Option<f64>)>,
    /// For whom each connection to a pool was opened.
    callers: BTreeMap<UpstreamId, MinerId>,
    /// Weights in force, by slot.
    by_slot: Vec<u32>,
    /// The same by pool.
    pub(super) weights: Vec<u32>,
    /// Those of the miners that divide their work: others are held on one pool.
    pub(super) divided: Vec<u32>,
    pub(super) failover: Option<usize>,
    /// Small miners are told a difficulty of their own.
    vardiff: bool,
    draining: bool,
    /// Miners that something keeps from a pool: their split is not the schedule's.
    pub(super) apart: BTreeSet<usize>,
}

impl Model {
    pub(super) fn new(config: &Config) -> Model {
        let mut model = Model { slots: (0..config.pools.len()).collect(), ..Model::default() };
        model.configured(config, model.slots.clone());
        model
    }

    /// A config holds from the next step on. `slots` says which pool each of its slots is.
    pub(super) fn configured(&mut self, config: &Config, slots: Vec<usize>) {
        let divided = self.slots.iter().map(|pool| self.divided.get(*pool).copied().unwrap_or(0)).collect::<Vec<u32>>();
        // The connections of a pool that has another slot now are closed with the slot's, of which the notices speak.
        let moved = self.slots.iter().zip(&slots).filter(|(old, new)| old != new).map(|(_, new)| *new);
        for pool in moved.collect::<Vec<usize>>() {
            for side in self.sides.values_mut() {
                side.usable.remove(&pool);
            }
        }
        self.slots = slots;
        // Where the weights stay as they are, so does what they were changed to for miners that are held.
        let same = config.scheduler.weights == self.by_slot;
        self.weights = self.by_pool(&config.scheduler.weights);
        self.divided = if same { self.by_pool(&divided) } else { self.weights.clone() };
        self.by_slot.clone_from(&config.scheduler.weights);
        self.failover = config.scheduler.failover.and_then(|slot| self.pool(slot));
        self.vardiff = config.vardiff.enabled;
        let limit = |limit: Option<Difficulty>| limit.map(Difficulty::as_f64);
        let limits = config.pools.iter().map(|slot| (limit(slot.min_difficulty), limit(slot.max_difficulty)));
        let limits: Vec<_> = limits.collect();
        self.limits = vec![(None, None); limits.len()];
        for (pool, limits) in self.slots.iter().zip(limits) {
            self.limits[*pool] = limits;
        }
    }

    /// The pool in a slot.
    fn pool(&self, slot: PoolId) -> Option<usize> {
        self.slots.get(slot.index()).copied()
    }

    /// Weights by slot as weights by pool.
    fn by_pool(&self, weights: &[u32]) -> Vec<u32> {
        let mut by_pool = vec![0; self.slots.len()];
        for (pool, weight) in self.slots.iter().zip(weights) {
            by_pool[*pool] = *weight;
        }
        by_pool
    }

    /// The weights in force as a config has them.
    pub(super) fn weights_by_slot(&self) -> Vec<u32> {
        self.by_slot.clone()
    }

    /// The miner for which the proxy connects to a pool.
    pub(super) fn caller(&self, upstream: UpstreamId) -> Option<MinerId> {
        self.callers.get(&upstream).copied()
    }

    /// A new process has taken the proxy's place: it remembers no connection, and not whom it made subscribe again.
    pub(super) fn restarted(&mut self) {
        self.renegotiated.clear();
        self.callers.clear();
        self.divided.clone_from(&self.weights);
    }

    /// A miner whose submits are not all answered, and how many.
    pub(super) fn owes(&self, id: MinerId) -> Option<(usize, usize)> {
        let side = self.sides.get(&id)?;
        let open = side.open.iter().filter(|open| open.submit).count();
        (open > 0).then_some((side.miner, open))
    }

    /// A miner's connection was accepted.
    pub(super) fn accepted(&mut self, id: MinerId, miner: usize, now_us: u64) {
        self.sides.insert(id, Side { miner, last_said_us: now_us, ..Side::default() });
    }

    pub(super) fn side(&self, id: MinerId) -> Option<&Side> {
        self.sides.get(&id)
    }

    /// The connection is gone for the engine.
    pub(super) fn gone(&mut self, conn: Conn) {
        match conn {
            Conn::Miner(id) => drop(self.sides.remove(&id)),
            Conn::Upstream(id) => {
                self.callers.remove(&id);
                let up = self.ups.remove(&id).unwrap_or_default();
                self.ended.extend(up.waiting.into_iter().map(|(_, waits)| waits));
            }
        }
    }

    /// A step begins.
    pub(super) fn begin_step(&mut self) {
        self.expected.clear();
        self.verdicts.clear();
        self.replied.clear();
        self.ended.clear();
        self.new_mask = None;
    }

    /// The engine is told how much waits for a miner.
    pub(super) fn queue(&mut self, conn: Conn, bytes: u32) {
        if let Conn::Miner(id) = conn
            && let Some(side) = self.sides.get_mut(&id)
        {
            side.queued = bytes;
            side.missed |= bytes > CLOGGED;
        }
    }

    pub(super) fn drains(&mut self) {
        self.draining = true;
    }

    /// Reads all notices of a step, before its actions are performed.
    pub(super) fn read_notices(&mut self, now_us: u64, buf: &ActionBuf, out: &mut Complaints) {
        self.closing.clear();
        self.lost.clear();
        self.got_job.clear();
        for action in buf.actions() {
            if let Action::Notice(notice) = action {
                self.notice(now_us, notice, out);
            }
        }
    }

    fn notice(&mut self, now_us: u64, notice: &Notice, out: &mut Complaints) {
        let side = |sides: &mut BTreeMap<MinerId, Side>, id: MinerId, act: &mut dyn FnMut(&mut Side)| {
            if let Some(side) = sides.get_mut(&id) {
                act(side);
            }
        };
        match notice {
            Notice::MinerDisconnected { who, reason, .. } => drop(self.closing.insert(who.miner, reason.clone())),
            Notice::MinerReady { who, .. } => side(&mut self.sides, who.miner, &mut |side| {
                side.ready = true;
                side.last_said_us = now_us;
                if !side.authorised {
                    out.push(now_us, || format!("miners: {} counts before it authorised", side.miner));
                }
            }),
            Notice::PoolConnecting { upstream, who: Some(who), .. } => {
                self.callers.insert(*upstream, who.miner);
                side(&mut self.sides, who.miner, &mut |side| {
                    if !side.subscribed {
                        out.push(now_us, || format!("miners: a pool is opened before {} subscribed", side.miner));
                    }
                });
            }
            Notice::PoolUsable { who, pool, .. } => {
                let pool = self.pool(*pool);
                side(&mut self.sides, who.miner, &mut |side| side.usable.extend(pool));
            }
            Notice::PoolDown { who: Some(who), pool, .. } | Notice::PoolClosed { who: Some(who), pool, .. } => {
                let pool = self.pool(*pool);
                pool.into_iter().for_each(|pool| self.loses(who.miner, pool));
            }
            Notice::PoolHeldOff { who, pool, why } => {
                let Some(pool) = self.pool(*pool) else { return };
                let own = matches!(why, HeldOff::ExtranonceTooSmall | HeldOff::VersionMask | HeldOff::JobTooLong);
                self.loses(who.miner, pool);
                side(&mut self.sides, who.miner, &mut |side| {
                    if own {
                        side.unfit.insert(pool);
                        self.apart.insert(side.miner);
                    }
                    side.held_for_mask |= matches!(why, HeldOff::ExtranonceTooSmall | HeldOff::VersionMask);
                });
            }
            Notice::MinerWarning { who, what } => side(&mut self.sides, who.miner, &mut |side| match what {
                MinerWarning::FallBack { by_reconnect, .. } => {
                    side.falls_back = true;
                    side.by_reconnect |= by_reconnect;
                    self.apart.insert(side.miner);
                }
                MinerWarning::HeldForMask { .. } => {
                    side.falls_back = true;
                    self.apart.insert(side.miner);
                }
                MinerWarning::RollsOutsideMask { .. } => drop(self.apart.insert(side.miner)),
                _ => {}
            }),
            Notice::WeightsChanged { weights } => {
                self.by_slot = weights.to_vec();
                self.weights = self.by_pool(weights);
                self.divided.clone_from(&self.weights);
            }
            Notice::Rebalanced { weights } => self.divided = self.by_pool(weights),
            _ => {}
        }
    }

    /// All has been performed that a step wanted.
    pub(super) fn after_step(&mut self, now_us: u64, pools: &[PoolSeat], out: &mut Complaints) {
        self.check_verdicts(now_us, out);
        self.check_expected(now_us, pools, out);
        self.check_failover(now_us, out);
        self.check_answered(now_us, out);
    }

    /// The engine sends whole lines.
    pub(super) fn sends(&mut self, now_us: u64, conn: Conn, bytes: &[u8], pools: &[PoolSeat], out: &mut Complaints) {
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
            match conn {
                Conn::Miner(id) => self.says(now_us, id, &message, pools, out),
                Conn::Upstream(id) => {
                    self.introduces(now_us, id, &message, out);
                    self.submits(now_us, id, &message, pools, out);
                }
            }
        }
    }

    /// Looks at what must not last: open requests, silence.
    pub(super) fn audit(&mut self, now_us: u64, out: &mut Complaints) {
        for side in self.sides.values_mut() {
            while let Some(open) = side.open.pop_front_if(|open| now_us > open.at_us + 35_000_000) {
                let Open { at_us, request, .. } = open;
                out.push(now_us, || {
                    format!("I2: request {request} of miner {} of {at_us} µs is not answered", side.miner)
                });
            }
            if side.ready && side.queued == 0 && now_us > side.last_said_us + 46_000_000 {
                out.push(now_us, || format!("silence: miner {} heard nothing for 46 s", side.miner));
                side.last_said_us = now_us;
            }
        }
    }

    /// This worker was made to subscribe again, and had no time to do so yet.
    pub(super) fn subscribes_again(&self, worker: usize, now_us: u64) -> bool {
        self.renegotiated.get(&worker).is_some_and(|at| now_us < at + 10_000_000)
    }

    /// A miner cannot work for this pool any more.
    fn loses(&mut self, id: MinerId, pool: usize) {
        let Some(side) = self.sides.get_mut(&id) else { return };
        side.usable.remove(&pool);
        if side.owner == Some(pool) {
            self.lost.insert(id, pool);
        }
    }

    /// Pools that may get work.
    pub(super) fn in_use(&self, pool: usize) -> bool {
        self.weights.get(pool).is_some_and(|w| *w > 0) || self.failover == Some(pool)
    }
}

impl Side {
    /// Bytes wait that it has not read.
    pub(super) fn clogged(&self) -> bool {
        self.queued > 0
    }

    /// Nothing of its own keeps it from this pool.
    pub(super) fn fits(&self, pool: usize) -> bool {
        !self.unfit.contains(&pool) && !self.falls_back
    }
}
