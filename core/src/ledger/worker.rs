//! What is known of one worker, and of one connection of a miner. A worker is who its name says, else where it comes
//! from; two machines with one name are one worker with two connections.

use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::best::Best;
use super::counts::{Counted, Counts};
use super::window::Windows;
use crate::difficulty::{Difficulty, Work};
use crate::ids::PoolId;
use crate::notice::Who;
use crate::time::{Span, Time};

/// A share that is refused this soon after its miner's switch is the switch's cost.
const SWITCH: Span = Span::secs(5);

/// By whom shares are counted: the worker's name, or the address (without port) of one that has none.
pub fn worker_key(who: &Who) -> Arc<str> {
    if who.worker.is_empty() { who.peer.ip().to_string().into() } else { who.worker.clone() }
}

/// What a worker did for one pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForPool {
    /// Accepted and credited shares.
    pub good: u64,
    /// All others that have ended.
    pub bad: u64,
    /// Work of the good ones.
    pub work: Work,
}

/// One worker: a row that is kept for a week after its last share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Since when it is known.
    pub since: Time,
    /// Its last share of any kind.
    #[serde(default)]
    pub last_share: Option<Time>,
    /// When its last connection ended, or was last seen standing.
    #[serde(default)]
    pub last_seen: Time,
    /// Its firmware as it calls itself.
    #[serde(default)]
    pub agent: Arc<str>,
    /// The pool that it last worked for.
    #[serde(default)]
    pub pool: Option<PoolId>,
    /// Its shares.
    #[serde(default)]
    pub counts: Counts,
    /// Its shares by slot.
    #[serde(default)]
    pub by_pool: BTreeMap<u8, ForPool>,
    /// Its good shares by time.
    #[serde(default)]
    pub windows: Windows,
    /// Times that its work went from one pool to another.
    #[serde(default)]
    pub switches: u64,
    /// Connections so far.
    #[serde(default)]
    pub connects: u64,
    /// The difficulty it was last told.
    #[serde(default)]
    pub told: Option<Difficulty>,
    /// Connections that stand.
    #[serde(skip)]
    pub connections: u32,
    /// Its best share of this session.
    #[serde(skip)]
    pub best: Option<Best>,
}

/// One miner's connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// Its other end.
    pub peer: SocketAddr,
    /// Since when it stands.
    pub since: Time,
    /// Whose it is; none before authorize, and when there are too many workers to list.
    pub worker: Option<Arc<str>>,
    /// It has authorised.
    pub ready: bool,
    /// Its firmware as it calls itself.
    pub agent: Arc<str>,
    /// The pool that it works for; none: it waits.
    pub pool: Option<PoolId>,
    /// The difficulty it was last told.
    pub told: Option<Difficulty>,
    /// Its last change of pool that was no failover.
    switched: Option<Time>,
}

impl Worker {
    pub(super) fn new(now: Time) -> Worker {
        Worker {
            since: now,
            last_share: None,
            last_seen: now,
            agent: "".into(),
            pool: None,
            counts: Counts::default(),
            by_pool: BTreeMap::new(),
            windows: Windows::default(),
            switches: 0,
            connects: 0,
            told: None,
            connections: 0,
            best: None,
        }
    }

    /// Its last sign of life.
    pub fn last_active(&self) -> Time {
        self.last_share.unwrap_or(self.since)
    }

    pub(super) fn add(&mut self, now: Time, pool: Option<PoolId>, share: &Counted) {
        self.counts.add(share);
        if share.outcome.is_good() {
            self.windows.add(now, share.work, 0.0);
        }
        if let Some(pool) = pool {
            let row = self.by_pool.entry(pool.0).or_default();
            if share.outcome.is_good() {
                row.good = row.good.saturating_add(1);
                row.work = row.work.plus(share.work);
            } else {
                row.bad = row.bad.saturating_add(1);
            }
        }
    }

    pub(super) fn found(&mut self, best: &Best) {
        if self.best.as_ref().is_none_or(|old| old.difficulty < best.difficulty) {
            self.best = Some(best.clone());
        }
    }
}

impl Connection {
    pub(super) fn new(now: Time, peer: SocketAddr) -> Connection {
        Connection {
            peer,
            since: now,
            worker: None,
            ready: false,
            agent: "".into(),
            pool: None,
            told: None,
            switched: None,
        }
    }

    pub(super) fn switches(&mut self, now: Time, to: PoolId, counts: bool) {
        self.pool = Some(to);
        // After a failover it is the outage that costs shares.
        self.switched = counts.then_some(now);
    }

    /// True if a share that was submitted then is within a switch's reach.
    pub(super) fn just_switched(&self, submitted: Time) -> bool {
        self.switched.is_some_and(|at| submitted >= at && submitted.since(at) <= SWITCH)
    }
}
