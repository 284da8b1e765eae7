//! What screens show: a model built from the stream of notices, in the thread that shows it. Knows no socket, no engine
//! and no clock; whoever owns it gives the time.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use dpmp_core::config::{Config, MAX_POOLS, WEIGHT_SUM};
use dpmp_core::notice::{DropReason, HeldOff, Verdict, Who};
use dpmp_core::{Difficulty, MinerId, Notice, PoolId, Span, Time, UpstreamId};
use hdrhistogram::Histogram;

/// Hash rates are means over this much time at most.
const RATE_WINDOW: Span = Span::mins(5);
/// Work is gathered in pieces of this length.
const PIECE: Span = Span::secs(5);
/// A rate needs at least this much time.
const RATE_NEEDS: Span = Span::secs(10);
/// Difficulty 1 in hashes.
const HASHES: f64 = 4_294_967_296.0;

/// Difficulty done lately.
#[derive(Clone, Debug)]
pub struct Rate {
    since: Time,
    pieces: VecDeque<(u64, f64)>,
}

impl Rate {
    fn new(since: Time) -> Rate {
        Rate { since, pieces: VecDeque::new() }
    }

    fn add(&mut self, now: Time, difficulty: f64) {
        let piece = now.0 / PIECE.0;
        match self.pieces.back_mut() {
            Some((last, sum)) if *last == piece => *sum += difficulty,
            _ => self.pieces.push_back((piece, difficulty)),
        }
        while self.pieces.front().is_some_and(|(first, _)| (first + 1) * PIECE.0 + RATE_WINDOW.0 <= now.0) {
            self.pieces.pop_front();
        }
    }

    /// Hashes a second over the last five minutes, or since the beginning if that is less; none at the very beginning.
    pub fn hashes(&self, now: Time) -> Option<f64> {
        let age = now.since(self.since);
        if age < RATE_NEEDS {
            return None;
        }
        let window = age.min(RATE_WINDOW);
        let first = (now - window).0 / PIECE.0;
        let pieces = self.pieces.iter().filter(|(piece, _)| *piece >= first);
        // Not `sum`, which makes -0.0 of nothing.
        let difficulty = pieces.fold(0.0, |sum, (_, difficulty)| sum + difficulty);
        Some(difficulty * HASHES / window.as_secs_f64())
    }
}

/// One pool.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Connections that stand.
    pub connected: u32,
    /// Jobs it sent, over all connections.
    pub jobs: u64,
    /// Shares it accepted.
    pub accepted: u64,
    /// Shares it refused.
    pub rejected: u64,
    /// Shares that it never answered, or whose connection ended.
    pub lost: u64,
    /// Sum of the difficulty of shares that were accepted, or credited on its jobs.
    pub difficulty: f64,
    /// Time that miners worked for it.
    pub worked: Span,
    /// The share of all work that it is to get, 0 to 1.
    pub target: f64,
    /// Its last job.
    pub last_job: Option<Time>,
    /// Since when it is out, and why, if the last news was bad.
    pub down: Option<(Time, String)>,
    /// Microseconds from a share to its answer.
    pub response: Histogram<u64>,
}

/// One miner.
#[derive(Clone, Debug)]
pub struct MinerView {
    /// Its other end.
    pub peer: SocketAddr,
    /// Its worker name; empty before authorize.
    pub worker: Arc<str>,
    /// Its firmware as it calls itself.
    pub agent: Arc<str>,
    /// Since when it counts as a miner; none before authorize.
    pub ready: Option<Time>,
    /// The pool that it works for; none: it waits.
    pub pool: Option<PoolId>,
    /// Shares that were accepted or credited.
    pub accepted: u64,
    /// Shares that were refused, by the pool or here, or lost.
    pub rejected: u64,
    /// Its last share of any kind.
    pub last_share: Option<Time>,
    /// The difficulty it was last told.
    pub difficulty: Option<Difficulty>,
    /// What it does.
    pub rate: Rate,
    works_since: Time,
    usable: [bool; MAX_POOLS],
}

/// Everything.
#[derive(Debug)]
pub struct View {
    pools: Vec<PoolView>,
    miners: BTreeMap<MinerId, MinerView>,
    upstreams: BTreeMap<UpstreamId, PoolId>,
    /// Shares that miners sent.
    pub submitted: u64,
    /// Shares that were answered here and not forwarded, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Times that a miner's work went from one pool to another.
    pub switches: u64,
    /// Miners that were ready and are gone, with the reason; the last few.
    pub gone: VecDeque<(Time, MinerView, String)>,
    /// Miners that were ready and are gone, in all.
    pub gone_total: u64,
}

/// Miners gone that are remembered.
const GONE: usize = 100;

impl View {
    /// The empty view of a proxy that starts with this config.
    pub fn new(config: &Config) -> View {
        let mut view = View {
            pools: Vec::new(),
            miners: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            submitted: 0,
            dropped: BTreeMap::new(),
            switches: 0,
            gone: VecDeque::new(),
            gone_total: 0,
        };
        view.weights(&config.scheduler.weights);
        view
    }

    /// The pools in order of their slots.
    pub fn pools(&self) -> &[PoolView] {
        &self.pools
    }

    /// The miners that are connected, oldest first.
    pub fn miners(&self) -> impl Iterator<Item = &MinerView> {
        self.miners.values()
    }

    /// Miners that could work for the pool now.
    pub fn usable(&self, pool: PoolId) -> usize {
        self.miners.values().filter(|miner| miner.usable.get(pool.index()) == Some(&true)).count()
    }

    /// Each pool's share of the work done so far; all 0 before the first share.
    pub fn split(&self) -> Vec<f64> {
        let all: f64 = self.pools.iter().map(|pool| pool.difficulty).sum();
        self.pools.iter().map(|pool| if all > 0.0 { pool.difficulty / all } else { 0.0 }).collect()
    }

    /// Each pool's share of the miners' time, weighed by nothing.
    pub fn time_split(&self, now: Time) -> Vec<f64> {
        let mut worked: Vec<u64> = self.pools.iter().map(|pool| pool.worked.0).collect();
        for miner in self.miners.values() {
            if let Some(sum) = miner.pool.and_then(|pool| worked.get_mut(pool.index())) {
                *sum += now.since(miner.works_since).0;
            }
        }
        let all: u64 = worked.iter().sum();
        worked.iter().map(|sum| if all > 0 { *sum as f64 / all as f64 } else { 0.0 }).collect()
    }

    fn pool(&mut self, pool: PoolId) -> &mut PoolView {
        while self.pools.len() <= pool.index() {
            self.pools.push(PoolView::new());
        }
        &mut self.pools[pool.index()]
    }

    fn miner(&mut self, who: &Who) -> Option<&mut MinerView> {
        let miner = self.miners.get_mut(&who.miner)?;
        if miner.worker.is_empty() {
            miner.worker = who.worker.clone();
        }
        Some(miner)
    }

    fn weights(&mut self, weights: &[u32]) {
        for (slot, weight) in (0u8..).zip(weights) {
            self.pool(PoolId(slot)).target = f64::from(*weight) / f64::from(WEIGHT_SUM);
        }
    }

    /// Takes a fact.
    pub fn observe(&mut self, now: Time, notice: &Notice) {
        match notice {
            Notice::MinerConnected { who } => {
                self.miners.insert(who.miner, MinerView::new(now, who));
            }
            Notice::MinerReady { who, agent } => {
                if let Some(miner) = self.miner(who) {
                    miner.worker = who.worker.clone();
                    miner.agent = agent.clone();
                    miner.ready = Some(now);
                    miner.rate = Rate::new(now);
                }
            }
            Notice::MinerDisconnected { who, reason, was_ready } => {
                self.works_for(now, who, None);
                if let (Some(miner), true) = (self.miners.remove(&who.miner), *was_ready) {
                    self.gone_total += 1;
                    self.gone.push_back((now, miner, reason.text().to_owned()));
                    if self.gone.len() > GONE {
                        self.gone.pop_front();
                    }
                }
            }
            Notice::DifficultyTold { who, difficulty, .. } => {
                if let Some(miner) = self.miner(who) {
                    miner.difficulty = Some(*difficulty);
                }
            }
            Notice::PoolSwitched { who, from, to, .. } => {
                self.switches += u64::from(from.is_some());
                self.works_for(now, who, Some(*to));
            }
            Notice::MinerIdle { who } => self.works_for(now, who, None),
            Notice::ShareSubmitted { who } => {
                self.submitted += 1;
                if let Some(miner) = self.miner(who) {
                    miner.last_share = Some(now);
                }
            }
            Notice::ShareResult { who, pool, verdict, assigned, response, .. } => {
                self.verdict(now, who, *pool, verdict, assigned.map_or(0.0, |d| d.as_f64()));
                if let (Some(pool), Some(response)) = (pool, response) {
                    self.pool(*pool).response.saturating_record(response.0);
                }
            }
            Notice::WeightsChanged { weights } => self.weights(weights),
            _ => self.observe_pool(now, notice),
        }
    }

    fn observe_pool(&mut self, now: Time, notice: &Notice) {
        match notice {
            Notice::PoolConnected { upstream, pool, .. } => {
                let new = self.upstreams.insert(*upstream, *pool).is_none();
                self.pool(*pool).connected += u32::from(new);
            }
            Notice::PoolConnectFailed { pool, error, .. } => self.bad_news(now, *pool, error),
            Notice::PoolDown { upstream, pool, who, reason, .. } => {
                self.closed(*upstream);
                self.set_usable(who.as_ref(), *pool, false);
                self.bad_news(now, *pool, reason.text());
            }
            Notice::PoolClosed { upstream, pool, who, .. } => {
                self.closed(*upstream);
                self.set_usable(who.as_ref(), *pool, false);
            }
            Notice::PoolHeldOff { who, pool, why } => {
                self.set_usable(Some(who), *pool, false);
                if let HeldOff::NoAnswer | HeldOff::Silent = why {
                    self.bad_news(now, *pool, "it is connected and silent");
                } else if let HeldOff::Refused(words) = why {
                    self.bad_news(now, *pool, words);
                }
            }
            Notice::PoolUsable { who, pool } => {
                self.set_usable(Some(who), *pool, true);
                self.pool(*pool).down = None;
            }
            Notice::PoolJob { pool, .. } => {
                let pool = self.pool(*pool);
                pool.jobs += 1;
                pool.last_job = Some(now);
                pool.down = None;
            }
            _ => {}
        }
    }

    fn closed(&mut self, upstream: UpstreamId) {
        if let Some(pool) = self.upstreams.remove(&upstream) {
            let pool = self.pool(pool);
            pool.connected = pool.connected.saturating_sub(1);
        }
    }

    fn bad_news(&mut self, now: Time, pool: PoolId, why: &str) {
        let pool = self.pool(pool);
        let since = pool.down.as_ref().map_or(now, |(since, _)| *since);
        pool.down = Some((since, why.to_owned()));
    }

    fn set_usable(&mut self, who: Option<&Who>, pool: PoolId, usable: bool) {
        if let Some(flag) = who.and_then(|who| self.miner(who)).and_then(|m| m.usable.get_mut(pool.index())) {
            *flag = usable;
        }
    }

    fn works_for(&mut self, now: Time, who: &Who, pool: Option<PoolId>) {
        let Some(miner) = self.miner(who) else { return };
        let before = std::mem::replace(&mut miner.pool, pool);
        let spent = now.since(std::mem::replace(&mut miner.works_since, now));
        if let Some(before) = before {
            let before = self.pool(before);
            before.worked = Span(before.worked.0.saturating_add(spent.0));
        }
    }

    fn verdict(&mut self, now: Time, who: &Who, pool: Option<PoolId>, verdict: &Verdict, difficulty: f64) {
        let good = matches!(verdict, Verdict::Accepted | Verdict::Credited);
        if let Some(miner) = self.miner(who) {
            miner.accepted += u64::from(good);
            miner.rejected += u64::from(!good);
            if good {
                miner.rate.add(now, difficulty);
            }
        }
        if let Verdict::Dropped(reason) = verdict {
            *self.dropped.entry(*reason).or_default() += 1;
        }
        let Some(pool) = pool else { return };
        let pool = self.pool(pool);
        match verdict {
            Verdict::Accepted => pool.accepted += 1,
            Verdict::Rejected { .. } => pool.rejected += 1,
            Verdict::Lost | Verdict::Unanswered => pool.lost += 1,
            // The miner left: nobody lost anything.
            Verdict::Abandoned => {}
            Verdict::Credited | Verdict::Dropped(_) => {}
        }
        if good {
            pool.difficulty += difficulty;
        }
    }
}

impl PoolView {
    fn new() -> PoolView {
        // From 1 µs to a minute with three digits. The bounds are constants that the library takes.
        let response = Histogram::new_with_bounds(1, 60_000_000, 3);
        PoolView {
            connected: 0,
            jobs: 0,
            accepted: 0,
            rejected: 0,
            lost: 0,
            difficulty: 0.0,
            worked: Span::ZERO,
            target: 0.0,
            last_job: None,
            down: None,
            response: response.unwrap_or_else(|_| unreachable!("1..60,000,000 with 3 digits is a valid histogram")),
        }
    }
}

impl MinerView {
    fn new(now: Time, who: &Who) -> MinerView {
        MinerView {
            peer: who.peer,
            worker: who.worker.clone(),
            agent: "".into(),
            ready: None,
            pool: None,
            accepted: 0,
            rejected: 0,
            last_share: None,
            difficulty: None,
            rate: Rate::new(now),
            works_since: now,
            usable: [false; MAX_POOLS],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::CloseReason;
    use dpmp_core::config::PoolConfig;
    use dpmp_core::notice::SwitchReason;

    fn who(id: u64) -> Who {
        Who { miner: MinerId(id), peer: ([192, 0, 2, 5], 51_234).into(), worker: "rig".into() }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::secs(seconds)
    }

    fn share(pool: u8, verdict: Verdict) -> Notice {
        let assigned = Difficulty::whole(2);
        Notice::ShareResult { who: who(1), pool: Some(PoolId(pool)), verdict, assigned, achieved: 3.0, response: None }
    }

    #[test]
    fn rates_splits_and_departures() {
        let config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![700_000, 300_000]);
        let mut view = View::new(&config);
        let (a, b) = (PoolId(0), PoolId(1));
        view.observe(at(0), &Notice::MinerConnected { who: who(1) });
        view.observe(at(0), &Notice::MinerReady { who: who(1), agent: "cgminer".into() });
        let switched = |from, to| Notice::PoolSwitched { who: who(1), from, to, why: SwitchReason::Schedule };
        view.observe(at(0), &switched(None, a));
        for second in 1..=30 {
            view.observe(at(second), &share(0, Verdict::Accepted));
        }
        view.observe(at(30), &switched(Some(a), b));
        for second in 31..=40 {
            view.observe(at(second), &share(1, Verdict::Credited));
        }
        view.observe(at(40), &share(1, Verdict::Lost));
        assert_eq!(view.split(), [0.75, 0.25]);
        assert_eq!(view.time_split(at(40)), [0.75, 0.25]);
        let miner = view.miners().next().unwrap();
        assert_eq!((miner.accepted, miner.rejected, miner.pool), (40, 1, Some(b)));
        assert_eq!(miner.rate.hashes(at(40)), Some(2.0 * HASHES));
        assert!(miner.rate.hashes(at(640)).unwrap() < 1.0, "old work does not count");
        assert_eq!(miner.rate.hashes(at(5)), None);
        let reason = CloseReason::SlowReader;
        view.observe(at(41), &Notice::MinerDisconnected { who: who(1), reason, was_ready: true });
        assert_eq!((view.miners().count(), view.gone_total), (0, 1));
        assert_eq!((view.pools()[1].lost, view.pools()[0].accepted), (1, 30));
    }

    #[test]
    fn a_pool_goes_and_comes_back() {
        let config = Config::with_pools(vec![PoolConfig::new("A")], vec![1_000_000]);
        let mut view = View::new(&config);
        let (a, upstream) = (PoolId(0), UpstreamId(1));
        view.observe(at(0), &Notice::MinerConnected { who: who(1) });
        view.observe(at(1), &Notice::PoolConnected { upstream, pool: a, who: Some(who(1)), again: false });
        view.observe(at(1), &Notice::PoolUsable { who: who(1), pool: a });
        assert_eq!((view.pools()[0].connected, view.usable(a)), (1, 1));
        let down = Notice::PoolDown {
            upstream,
            pool: a,
            who: Some(who(1)),
            reason: CloseReason::Silent,
            failures: 1,
            retry: Span::secs(5),
            other_alive: false,
        };
        view.observe(at(9), &down);
        assert_eq!((view.pools()[0].connected, view.usable(a)), (0, 0));
        assert_eq!(view.pools()[0].down.as_ref().unwrap().0, at(9));
        view.observe(at(14), &Notice::PoolUsable { who: who(1), pool: a });
        assert!(view.pools()[0].down.is_none());
    }
}
