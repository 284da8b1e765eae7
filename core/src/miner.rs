//! One miner's session: what it said, what it was told, and what it may be sent. Knows no pool's inside.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::difficulty::{Difficulty, Work};
use crate::extranonce::{Firmware, Sizes};
use crate::frame::Framer;
use crate::ids::{GroupId, JobId, MinerId, PoolId, UpstreamId};
use crate::job::PoolJobKey;
use crate::notice::{HeldOff, Who};
use crate::schedule::Cycle;
use crate::stratum::wire::RequestId;
use crate::time::{Span, Time};

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
    /// It insists on version rolling: only this pool.
    pub(crate) held_to: Option<PoolId>,
    /// Pools that this miner cannot work for.
    pub(crate) held_off: BTreeMap<PoolId, HeldOff>,
    /// It understands `mining.set_extranonce`.
    pub(crate) extranonce_subscribed: bool,
    pub(crate) suggested: Option<Difficulty>,
    pub(crate) told: Option<Difficulty>,
    pub(crate) working: Option<Working>,
    pub(crate) cycle: Option<Cycle>,
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
}

/// Things that are said once a session, as bits of [`Miner::said`].
pub(crate) mod said {
    pub(crate) const ROLLS_OUTSIDE: u32 = 1;
    pub(crate) const COINBASE: u32 = 2;
    pub(crate) const MIN_DIFFICULTY: u32 = 4;
    pub(crate) const IDLE: u32 = 8;
    pub(crate) const CLOGGED: u32 = 16;
    pub(crate) const LAYOUT: u32 = 32;
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
            held_to: None,
            held_off: BTreeMap::new(),
            extranonce_subscribed: false,
            suggested: None,
            told: None,
            working: None,
            cycle: None,
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
}

/// Hash rate from the work of accepted shares, over two halves of a sliding window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rate {
    since: Option<Time>,
    current: Work,
    before: Option<Work>,
}

/// Half of the window.
const HALF: Span = Span::mins(5);

impl Rate {
    pub(crate) fn add(&mut self, now: Time, work: Work) {
        self.roll(now);
        self.current = self.current.plus(work);
    }

    fn roll(&mut self, now: Time) {
        let since = *self.since.get_or_insert(now);
        let passed = now.since(since);
        if passed >= HALF.times(2) {
            self.before = Some(Work(0));
        } else if passed >= HALF {
            self.before = Some(self.current);
        } else {
            return;
        }
        self.current = Work(0);
        self.since = Some(Time(now.0 - passed.0 % HALF.0));
    }

    /// Work a second in units of 2^-48 difficulty; 0 while nothing is known.
    pub(crate) fn per_second(&self, now: Time) -> u64 {
        let Some(since) = self.since else { return 0 };
        let window = now.since(since).0 + self.before.map_or(0, |_| HALF.0);
        let work = self.current.0.saturating_add(self.before.map_or(0, |w| w.0));
        let micros = u128::from(window.max(30_000_000));
        u64::try_from(work.saturating_mul(1_000_000) / micros).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_follows_the_work() {
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(Time::ZERO), 0);
        let mut now = Time::ZERO;
        for _ in 0..600 {
            now += Span::secs(2);
            rate.add(now, Difficulty::ONE.work());
        }
        let per_second = Work(u128::from(rate.per_second(now))).as_f64();
        assert!((0.48..0.52).contains(&per_second), "{per_second}");
        now += Span::mins(20);
        rate.add(now, Work(0));
        assert_eq!(rate.per_second(now), 0);
    }
}
