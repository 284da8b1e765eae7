//! What stands now: connections to pools, bad news, who works where. Built from notices, forgotten at the end of the
//! program; what lasts is the ledger's.

use std::collections::BTreeMap;
use std::sync::Arc;

use dpmp_core::chain::payout::Payout;
use dpmp_core::config::MAX_POOLS;
use dpmp_core::notice::{HeldOff, Verdict};
use dpmp_core::{MinerId, Notice, PoolId, Span, Time, UpstreamId};

use super::latency::LastHour;

/// One pool.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolLive {
    /// Connections that were made, and lost.
    pub(super) connects: u64,
    pub(super) losses: u64,
    /// Connections that stand.
    pub(super) connected: u64,
    /// Jobs over all connections.
    pub(super) jobs: u64,
    pub(super) last_job: Option<Time>,
    /// Since when it is out, and why, if the last news was bad.
    pub(super) down: Option<(Time, String)>,
    /// Time that miners worked for it, without what goes on now.
    worked: Span,
    /// From a share to its answer.
    pub(super) response: LastHour,
    /// What it said when it last refused a share.
    pub(super) words: Option<Arc<str>>,
    /// What its jobs told last of the chain.
    pub(super) chain: Option<Chain>,
}

/// What a pool's jobs tell of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) height: Option<u32>,
    pub(super) network_difficulty: f64,
    pub(super) payout: Payout,
}

#[derive(Clone, Debug)]
struct MinerLive {
    pool: Option<PoolId>,
    since: Time,
    usable: [bool; MAX_POOLS],
}

/// Everything that stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    pools: Vec<PoolLive>,
    miners: BTreeMap<MinerId, MinerLive>,
    upstreams: BTreeMap<UpstreamId, PoolId>,
}

impl Live {
    /// Slots are made when first seen; one that was never seen has nothing.
    pub(super) fn pool(&mut self, pool: PoolId) -> &mut PoolLive {
        while self.pools.len() <= pool.index() {
            self.pools.push(PoolLive::default());
        }
        &mut self.pools[pool.index()]
    }

    /// Another pool is in the slot: nothing of what the former one did is its. Connections close by themselves.
    pub(super) fn replaced(&mut self, pool: PoolId) {
        let slot = self.pool(pool);
        *slot = PoolLive { connected: slot.connected, worked: slot.worked, ..PoolLive::default() };
    }

    /// Miners that could work for the pool now.
    pub(super) fn usable(&self, pool: PoolId) -> u64 {
        self.miners.values().filter(|miner| miner.usable.get(pool.index()) == Some(&true)).count() as u64
    }

    /// Miners that work for it now.
    pub(super) fn working(&self, pool: PoolId) -> u64 {
        self.miners.values().filter(|miner| miner.pool == Some(pool)).count() as u64
    }

    /// Time that miners worked for each slot.
    pub(super) fn worked(&self, now: Time) -> Vec<Span> {
        let mut worked: Vec<Span> = self.pools.iter().map(|pool| pool.worked).collect();
        for miner in self.miners.values() {
            if let Some(sum) = miner.pool.and_then(|pool| worked.get_mut(pool.index())) {
                sum.0 = sum.0.saturating_add(now.since(miner.since).0);
            }
        }
        worked
    }

    /// Takes a fact.
    pub(super) fn observe(&mut self, now: Time, notice: &Notice) {
        match notice {
            Notice::MinerConnected { who } => {
                let miner = MinerLive { pool: None, since: now, usable: [false; MAX_POOLS] };
                self.miners.insert(who.miner, miner);
            }
            Notice::MinerDisconnected { who, .. } => {
                self.works_for(now, who.miner, None);
                self.miners.remove(&who.miner);
            }
            Notice::PoolSwitched { who, to, .. } => self.works_for(now, who.miner, Some(*to)),
            Notice::MinerIdle { who } => self.works_for(now, who.miner, None),
            Notice::ShareResult { pool: Some(pool), verdict, response, .. } => {
                let pool = self.pool(*pool);
                // Only an answer has a round trip: a wait that nobody ended would say how patient we are.
                if let (Some(response), Verdict::Accepted | Verdict::Rejected { .. }) = (response, verdict) {
                    pool.response.record(now, *response);
                }
                if let Verdict::Rejected { text, .. } = verdict {
                    pool.words = Some(text.clone());
                }
            }
            Notice::PoolConnected { upstream, pool, .. } => {
                let new = self.upstreams.insert(*upstream, *pool).is_none();
                let pool = self.pool(*pool);
                pool.connects += 1;
                pool.connected += u64::from(new);
            }
            Notice::PoolConnectFailed { pool, error, .. } => self.bad_news(now, *pool, error),
            Notice::PoolDown { upstream, pool, who, reason, .. } => {
                self.closed(*upstream);
                self.set_usable(who.as_ref().map(|who| who.miner), *pool, false);
                self.pool(*pool).losses += 1;
                self.bad_news(now, *pool, reason.text());
            }
            Notice::PoolClosed { upstream, pool, who, .. } => {
                self.closed(*upstream);
                self.set_usable(who.as_ref().map(|who| who.miner), *pool, false);
            }
            Notice::PoolHeldOff { who, pool, why } => {
                self.set_usable(Some(who.miner), *pool, false);
                if let HeldOff::NoAnswer | HeldOff::Silent = why {
                    self.bad_news(now, *pool, "it is connected and silent");
                } else if let HeldOff::Refused(words) = why {
                    self.bad_news(now, *pool, words);
                }
            }
            Notice::PoolUsable { who, pool, .. } => {
                self.set_usable(Some(who.miner), *pool, true);
                self.pool(*pool).down = None;
            }
            Notice::PoolJob { pool, .. } => {
                let pool = self.pool(*pool);
                pool.jobs += 1;
                pool.last_job = Some(now);
                pool.down = None;
            }
            Notice::PoolChain { pool, height, network_difficulty, payout, .. } => {
                self.pool(*pool).chain =
                    Some(Chain { height: *height, network_difficulty: *network_difficulty, payout: *payout });
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

    fn set_usable(&mut self, miner: Option<MinerId>, pool: PoolId, usable: bool) {
        let miner = miner.and_then(|miner| self.miners.get_mut(&miner));
        if let Some(flag) = miner.and_then(|miner| miner.usable.get_mut(pool.index())) {
            *flag = usable;
        }
    }

    fn works_for(&mut self, now: Time, miner: MinerId, pool: Option<PoolId>) {
        let Some(miner) = self.miners.get_mut(&miner) else { return };
        let before = std::mem::replace(&mut miner.pool, pool);
        let spent = now.since(std::mem::replace(&mut miner.since, now));
        if let Some(before) = before {
            let before = self.pool(before);
            before.worked = Span(before.worked.0.saturating_add(spent.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::CloseReason;
    use dpmp_core::notice::{SwitchReason, Who};

    fn who(id: u64) -> Who {
        Who { miner: MinerId(id), peer: ([192, 0, 2, 5], 51_234).into(), worker: "rig".into() }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::secs(seconds)
    }

    #[test]
    fn a_pool_goes_and_comes_back() {
        let mut live = Live::default();
        let (a, upstream) = (PoolId(0), UpstreamId(1));
        live.observe(at(0), &Notice::MinerConnected { who: who(1) });
        live.observe(at(1), &Notice::PoolConnected { upstream, pool: a, who: Some(who(1)), again: false });
        live.observe(at(1), &Notice::PoolUsable { who: who(1), pool: a, reconnected: false, other_alive: false });
        assert_eq!((live.pool(a).connected, live.usable(a)), (1, 1));
        let down = Notice::PoolDown {
            upstream,
            pool: a,
            who: Some(who(1)),
            reason: CloseReason::Silent,
            failures: 1,
            retry: Span::secs(5),
            other_alive: false,
        };
        live.observe(at(9), &down);
        assert_eq!((live.pool(a).connected, live.usable(a), live.pool(a).losses), (0, 0, 1));
        assert_eq!(live.pool(a).down.as_ref().unwrap().0, at(9));
        live.observe(at(14), &Notice::PoolUsable { who: who(1), pool: a, reconnected: false, other_alive: false });
        assert!(live.pool(a).down.is_none());
    }

    fn answered(live: &mut Live, verdict: Verdict, took: Span) {
        let (who, pool, response) = (who(1), Some(PoolId(0)), Some(took));
        let result = Notice::ShareResult {
            who,
            pool,
            verdict,
            fault: None,
            assigned: None,
            worked: None,
            achieved: 0.0,
            response,
        };
        live.observe(at(1), &result);
    }

    #[test]
    fn only_answers_have_a_round_trip() {
        let mut live = Live::default();
        for verdict in [Verdict::Lost, Verdict::Unanswered, Verdict::Abandoned] {
            answered(&mut live, verdict, Span::secs(30));
        }
        answered(&mut live, Verdict::Accepted, Span::millis(20));
        answered(&mut live, Verdict::Rejected { code: 21, text: "stale".into() }, Span::millis(20));
        let shown = live.pool(PoolId(0)).response.show(at(1));
        assert_eq!(shown.count, 2);
        assert!(shown.max_seconds.unwrap() < 0.03, "{shown:?}");
        live.replaced(PoolId(0));
        assert_eq!((live.pool(PoolId(0)).response.show(at(1)).count, &live.pool(PoolId(0)).words), (0, &None));
    }

    #[test]
    fn time_is_booked_where_it_was_spent() {
        let mut live = Live::default();
        let switched = |to| Notice::PoolSwitched { who: who(1), from: None, to, why: SwitchReason::Schedule };
        live.observe(at(0), &Notice::MinerConnected { who: who(1) });
        live.observe(at(10), &switched(PoolId(1)));
        live.observe(at(40), &switched(PoolId(0)));
        live.observe(at(50), &Notice::MinerIdle { who: who(1) });
        assert_eq!(live.worked(at(100)), [Span::secs(10), Span::secs(30)]);
        live.observe(at(100), &switched(PoolId(1)));
        assert_eq!(live.worked(at(101)), [Span::secs(10), Span::secs(31)]);
        assert_eq!((live.working(PoolId(0)), live.working(PoolId(1))), (0, 1));
    }
}
