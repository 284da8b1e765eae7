//! One miner's session: what it said, what it was told, and what it may be sent. Knows no pool's inside.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::difficulty::Difficulty;
use crate::extranonce::{Firmware, Sizes};
use crate::frame::Framer;
use crate::ids::{GroupId, JobId, MinerId, PoolId, UpstreamId};
use crate::job::PoolJobKey;
use crate::notice::{HeldOff, Who};
use crate::rate::{Estimate, Rate};
use crate::schedule::{Cycle, Plan};
use crate::stratum::wire::RequestId;
use crate::time::Time;
use crate::vardiff::Vardiff;

/// How far a miner has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// The pools are being probed for the first time: what the miner sends is held for that moment.
    AwaitingProbes { held: Vec<u8> },
    /// Neither subscribed nor authorised.
    Fresh,
    /// Authorised before it subscribed.
    AuthorizedOnly,
    /// Its subscribe waits for the pool whose own extranonce it is to get; what it sends meanwhile is held.
    AwaitingPool { subscribe: RequestId, held: Vec<u8> },
    /// Subscribed, not authorised.
    SubscribedOnly,
    /// Both: it gets jobs.
    Ready,
}

/// How the miner's extranonce fits into a pool's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// Not subscribed yet.
    None,
    /// Constant for the session, embedded in each pool's extranonce2.
    Embedded { extranonce1: Vec<u8>, sizes: Sizes },
    /// The fall back: one upstream's own.
    Own { pool: PoolId, extranonce1: Vec<u8>, extranonce2_bytes: u8 },
}

/// Version rolling, as negotiated with the miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rolling {
    /// What it asked for.
    pub(crate) asked: u32,
    /// What it was told last.
    pub(crate) told: u32,
    /// `mining.set_version_mask` was sent; it is sent once at most.
    pub(crate) updated: bool,
}

/// What a miner works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Working {
    pub(crate) pool: PoolId,
    pub(crate) upstream: UpstreamId,
    /// The pool's job that it was sent last; none: it could not be sent yet, as the miner does not read.
    pub(crate) job: Option<(PoolJobKey, JobId)>,
}

/// One miner's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Miner {
    pub(crate) id: MinerId,
    pub(crate) peer: SocketAddr,
    pub(crate) worker: Arc<str>,
    pub(crate) password: Arc<str>,
    pub(crate) agent: Arc<str>,
    pub(crate) firmware: Firmware,
    pub(crate) framer: Framer,
    pub(crate) stage: Stage,
    /// It has authorised, in whatever stage.
    pub(crate) user_known: bool,
    pub(crate) group: Option<GroupId>,
    pub(crate) layout: Layout,
    /// None: it never asked.
    pub(crate) rolling: Option<Rolling>,
    /// Version bits that it rolled although it was not told so.
    pub(crate) rolled_outside: u32,
    /// Version bits that it was seen to roll.
    pub(crate) seen_bits: u32,
    /// It insists on version rolling: only this pool.
    pub(crate) held_to: Option<PoolId>,
    /// Pools that this miner cannot work for.
    pub(crate) held_off: BTreeMap<PoolId, HeldOff>,
    /// It understands `mining.set_extranonce`.
    pub(crate) extranonce_subscribed: bool,
    pub(crate) suggested: Option<Difficulty>,
    pub(crate) told: Option<Difficulty>,
    pub(crate) working: Option<Working>,
    /// Where in its plan it is; none before its first job.
    pub(crate) cycle: Option<Cycle>,
    /// Where it was when it left, until it gets its first job.
    pub(crate) returning: Option<Cycle>,
    /// The plan of this miner alone: it is held on one pool, or the fleet is divided by whole miners. None: it divides its
    /// work by the common plan.
    pub(crate) own_plan: Option<Plan>,
    /// It makes up what whole miners leave.
    pub(crate) swings: bool,
    /// When a job or a difficulty was last sent.
    pub(crate) last_told: Time,
    /// Submits that wait for a pool.
    pub(crate) outstanding: u32,
    /// It is not read from: too many submits wait.
    pub(crate) paused: bool,
    /// Bytes that wait in the driver's queue.
    pub(crate) queued: u32,
    pub(crate) received_any: bool,
    pub(crate) bad_lines: u32,
    /// Shares that failed the check since the last that passed, and whether any ever passed.
    pub(crate) failed_in_a_row: u32,
    pub(crate) any_passed: bool,
    /// Things that were said once.
    pub(crate) said: u32,
    pub(crate) rate: Rate,
    pub(crate) vardiff: Vardiff,
}

/// Things that are said once a session, as bits of [`Miner::said`].
pub(crate) mod said {
    pub(crate) const ROLLS_OUTSIDE: u32 = 1;
    pub(crate) const COINBASE: u32 = 2;
    pub(crate) const MIN_DIFFICULTY: u32 = 4;
    pub(crate) const IDLE: u32 = 8;
    pub(crate) const CLOGGED: u32 = 16;
    pub(crate) const LAYOUT: u32 = 32;
    pub(crate) const PIN: u32 = 64;
}

impl Miner {
    pub(crate) fn new(id: MinerId, peer: SocketAddr, now: Time) -> Miner {
        Miner {
            id,
            peer,
            worker: "".into(),
            password: "".into(),
            agent: "".into(),
            firmware: Firmware::of("", 0),
            framer: Framer::default(),
            stage: Stage::Fresh,
            user_known: false,
            group: None,
            layout: Layout::None,
            rolling: None,
            rolled_outside: 0,
            seen_bits: 0,
            held_to: None,
            held_off: BTreeMap::new(),
            extranonce_subscribed: false,
            suggested: None,
            told: None,
            working: None,
            cycle: None,
            returning: None,
            own_plan: None,
            swings: false,
            last_told: now,
            outstanding: 0,
            paused: false,
            queued: 0,
            received_any: false,
            bad_lines: 0,
            failed_in_a_row: 0,
            any_passed: false,
            said: 0,
            rate: Rate::default(),
            vardiff: Vardiff::default(),
        }
    }

    pub(crate) fn who(&self) -> Who {
        Who { miner: self.id, peer: self.peer, worker: self.worker.clone() }
    }

    pub(crate) fn ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// It was sent a job before.
    pub(crate) fn any_job(&self) -> bool {
        self.told.is_some()
    }

    pub(crate) fn working_for(&self) -> Option<PoolId> {
        self.working.map(|w| w.pool)
    }

    /// How fast it hashes, as far as known.
    pub(crate) fn hash_rate(&self, now: Time) -> Option<Estimate> {
        self.rate.estimate(now, self.told)
    }

    /// True the first time for each thing.
    pub(crate) fn say(&mut self, what: u32) -> bool {
        let first = self.said & what == 0;
        self.said |= what;
        first
    }

    /// The version bits that the miner rolls or may roll.
    pub(crate) fn rolls(&self) -> u32 {
        self.rolling.map_or(0, |r| r.told) | self.rolled_outside
    }

    /// A switch to another pool costs this miner its connection.
    pub(crate) fn must_reconnect(&self) -> bool {
        matches!(self.layout, Layout::Own { .. }) && !self.extranonce_subscribed
    }

    /// The pool whose own extranonce it works with, and which it cannot leave without a reconnect.
    pub(crate) fn own_pool(&self) -> Option<PoolId> {
        match self.layout {
            Layout::Own { pool, .. } if self.ready() && self.must_reconnect() => Some(pool),
            _ => None,
        }
    }
}
