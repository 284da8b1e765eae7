//! How each pool is reached, told from the facts: connected, down since when and why, refused with which words. Counts
//! nothing; the statistics do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dpmp_core::config::MAX_POOLS;
use dpmp_core::notice::{HeldOff, Who};
use dpmp_core::{CloseReason, MinerId, Notice, PoolId, Span, Time, UpstreamId};

use crate::logs::redact;

/// What is known of one pool's connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    connected: BTreeSet<UpstreamId>,
    usable: BTreeSet<MinerId>,
    held: BTreeMap<MinerId, HeldOff>,
    /// It has answered subscribe since it was last lost.
    answered: bool,
    /// Since when there is bad news, its words, and when the next try is.
    trouble: Option<Trouble>,
    /// Since when it is well.
    well_since: Option<Time>,
    /// Connections that were made anew after a loss.
    pub(super) reconnects: u64,
    /// Times that it was lost.
    pub(super) outages: u64,
    /// What it wanted to be shown last.
    pub(super) message: Option<Arc<str>>,
    /// The difficulty that it set last.
    pub(super) difficulty: Option<f64>,
    /// Jobs it sent on any connection, and the last one's time.
    pub(super) last_job: Option<Time>,
    /// What `state` said last.
    shown: Option<Shown>,
    /// Time that it was in use, and of that the time that it was well, up to the last look.
    used: Span,
    well: Span,
    looked: Option<Time>,
}

#[derive(Clone, Debug)]
struct Trouble {
    since: Time,
    words: String,
    next_try: Option<Time>,
    refused: bool,
}

/// How a pool is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shown {
    /// Its weight is 0: it is never connected.
    Unused,
    /// Nothing is known yet.
    Connecting,
    /// It answers, and nobody works for it.
    Ready,
    /// Miners can work for it.
    Up,
    /// Some miners can, others cannot.
    Partly,
    /// It cannot be reached, or is silent.
    Down,
    /// It refuses the wallet or worker.
    Refused,
}

/// A pool's state with its reason.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) shown: Shown,
    pub(super) since: Option<Time>,
    pub(super) words: Option<String>,
    pub(super) next_try: Option<Time>,
    pub(super) usable: usize,
    pub(super) connections: usize,
}

impl Link {
    pub(super) fn state(&self, in_use: bool) -> State {
        let trouble = self.trouble.as_ref();
        let shown = match trouble {
            _ if !in_use => Shown::Unused,
            Some(_) if !self.usable.is_empty() => Shown::Partly,
            None if !self.usable.is_empty() => Shown::Up,
            Some(trouble) if trouble.refused => Shown::Refused,
            Some(_) => Shown::Down,
            None if self.answered => Shown::Ready,
            None => Shown::Connecting,
        };
        let bad = matches!(shown, Shown::Down | Shown::Refused | Shown::Partly);
        State {
            shown,
            since: if bad { trouble.map(|t| t.since) } else { self.well_since },
            words: trouble.filter(|_| bad).map(|t| t.words.clone()),
            next_try: trouble.filter(|_| matches!(shown, Shown::Down | Shown::Refused)).and_then(|t| t.next_try),
            usable: self.usable.len(),
            connections: self.connected.len(),
        }
    }

    /// Its part of the time in which it was to be had, 0 to 1.
    pub(super) fn uptime(&self, _now: Time) -> Option<f64> {
        (self.used > Span::ZERO).then(|| self.well.as_secs_f64() / self.used.as_secs_f64())
    }

    fn look(&mut self, now: Time, shown: Shown) {
        let passed = self.looked.replace(now).map_or(Span::ZERO, |last| now.since(last));
        match shown {
            Shown::Unused | Shown::Connecting => {}
            Shown::Down | Shown::Refused => self.used = Span(self.used.0 + passed.0),
            Shown::Ready | Shown::Up | Shown::Partly => {
                self.used = Span(self.used.0 + passed.0);
                self.well = Span(self.well.0 + passed.0);
            }
        }
    }

    fn bad(&mut self, now: Time, words: String, next_try: Option<Time>, refused: bool) {
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { since, words, next_try, refused });
        self.well_since = None;
    }

    fn good(&mut self, now: Time) {
        self.trouble = None;
        self.well_since.get_or_insert(now);
    }

    fn forget_miner(&mut self, miner: MinerId) {
        self.usable.remove(&miner);
        self.held.remove(&miner);
    }
}

/// All pools' links.
#[derive(Clone, Debug)]
pub(super) struct Links {
    pools: [Link; MAX_POOLS],
}

impl Links {
    pub(super) fn new() -> Links {
        Links { pools: Default::default() }
    }

    pub(super) fn of(&self, pool: PoolId) -> Option<&Link> {
        self.pools.get(pool.index())
    }

    fn at(&mut self, pool: PoolId) -> Option<&mut Link> {
        self.pools.get_mut(pool.index())
    }

    /// Pools whose state has become another since the last call: before and now.
    pub(super) fn changed(
        &mut self,
        now: Time,
        in_use: impl Fn(PoolId) -> bool,
    ) -> Vec<(PoolId, Option<Shown>, State)> {
        let mut changed = Vec::new();
        for (slot, link) in (0u8..).zip(&mut self.pools) {
            let pool = PoolId(slot);
            let state = link.state(in_use(pool));
            link.look(now, state.shown);
            let before = link.shown.replace(state.shown);
            if before != Some(state.shown) {
                changed.push((pool, before, state));
            }
        }
        changed
    }

    /// Takes a fact.
    pub(super) fn observe(&mut self, now: Time, notice: &Notice) {
        match notice {
            Notice::MinerDisconnected { who, .. } => {
                self.pools.iter_mut().for_each(|link| link.forget_miner(who.miner))
            }
            Notice::PoolConnected { upstream, pool, again, .. } => {
                if let Some(link) = self.at(*pool) {
                    link.connected.insert(*upstream);
                    link.reconnects += u64::from(*again);
                }
            }
            Notice::PoolSubscribed { pool, .. } => {
                if let Some(link) = self.at(*pool) {
                    link.answered = true;
                    // Whether it takes the workers is not known yet.
                    if link.trouble.as_ref().is_some_and(|trouble| !trouble.refused) {
                        link.good(now);
                    }
                }
            }
            Notice::PoolConnectFailed { upstream, pool, who, error, retry, .. } => {
                self.lost(now, *upstream, *pool, who.as_ref());
                self.bad(now, *pool, redact(error).into_owned(), Some(now + *retry));
            }
            Notice::PoolDown { upstream, pool, who, reason, retry, .. } => {
                self.lost(now, *upstream, *pool, who.as_ref());
                let refusal = self.at(*pool).and_then(|link| link.trouble.as_mut()).filter(|trouble| trouble.refused);
                match refusal.filter(|_| *reason == CloseReason::Refused) {
                    // The engine hung up because of the refusal, whose words say more than that.
                    Some(trouble) => trouble.next_try = Some(now + *retry),
                    None => self.bad(now, *pool, redact(reason.text()).into_owned(), Some(now + *retry)),
                }
            }
            Notice::PoolClosed { upstream, pool, who, .. } => self.lost(now, *upstream, *pool, who.as_ref()),
            Notice::AuthResult { pool, ok: false, error, .. } => {
                let words = redact(error).into_owned();
                if let Some(link) = self.at(*pool) {
                    link.bad(now, words, None, true);
                }
            }
            Notice::PoolHeldOff { who, pool, why } => self.held(now, who, *pool, why),
            Notice::PoolUsable { who, pool, .. } => {
                if let Some(link) = self.at(*pool) {
                    link.held.remove(&who.miner);
                    link.usable.insert(who.miner);
                    link.answered = true;
                    link.good(now);
                }
            }
            Notice::PoolDifficulty { pool, difficulty, .. } => {
                if let Some(link) = self.at(*pool) {
                    link.difficulty = Some(difficulty.as_f64());
                }
            }
            Notice::PoolJob { pool, .. } => {
                if let Some(link) = self.at(*pool) {
                    link.last_job = Some(now);
                }
            }
            Notice::PoolMessage { pool, text } => {
                if let Some(link) = self.at(*pool) {
                    link.message = Some(redact(text).as_ref().into());
                }
            }
            _ => {}
        }
    }

    fn lost(&mut self, _now: Time, upstream: UpstreamId, pool: PoolId, who: Option<&Who>) {
        if let Some(link) = self.at(pool) {
            link.connected.remove(&upstream);
            if let Some(who) = who {
                link.forget_miner(who.miner);
            }
        }
    }

    fn bad(&mut self, now: Time, pool: PoolId, words: String, next_try: Option<Time>) {
        if let Some(link) = self.at(pool) {
            link.outages += u64::from(link.trouble.is_none());
            link.answered = !link.connected.is_empty();
            link.bad(now, words, next_try, false);
        }
    }

    fn held(&mut self, now: Time, who: &Who, pool: PoolId, why: &HeldOff) {
        let Some(link) = self.at(pool) else { return };
        link.usable.remove(&who.miner);
        link.held.insert(who.miner, why.clone());
        match why {
            HeldOff::NoAnswer => link.bad(now, "a share is unanswered, and nothing came since".to_owned(), None, false),
            HeldOff::Silent => link.bad(now, "it is connected and sends nothing".to_owned(), None, false),
            HeldOff::Refused(words) => link.bad(now, redact(words).into_owned(), None, true),
            // The pool is well; it does not suit this miner.
            HeldOff::ExtranonceTooSmall | HeldOff::VersionMask | HeldOff::JobTooLong => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::secs(seconds)
    }

    fn who() -> Who {
        Who { miner: MinerId(1), peer: ([192, 0, 2, 5], 51_234).into(), worker: "rig".into() }
    }

    #[test]
    fn a_refusal_keeps_its_words_when_the_connection_ends_for_it() {
        let (mut links, pool, upstream) = (Links::new(), PoolId(0), UpstreamId(3));
        let down = |reason| Notice::PoolDown {
            upstream,
            pool,
            who: Some(who()),
            reason,
            failures: 1,
            retry: Span::secs(5),
            other_alive: true,
        };
        links.observe(at(1), &Notice::PoolConnected { upstream, pool, who: Some(who()), again: false });
        let refused = HeldOff::Refused("unknown wallet".into());
        links.observe(at(2), &Notice::PoolHeldOff { who: who(), pool, why: refused });
        links.observe(at(2), &down(CloseReason::Refused));
        let state = links.of(pool).unwrap().state(true);
        assert_eq!((state.shown, state.words.as_deref()), (Shown::Refused, Some("unknown wallet")));
        assert_eq!((state.since, state.next_try), (Some(at(2)), Some(at(7))));
        links.observe(at(9), &down(CloseReason::Draining));
        assert_eq!(links.of(pool).unwrap().state(true).shown, Shown::Down, "another reason is another trouble");
    }

    #[test]
    fn a_pool_comes_goes_and_refuses() {
        let (mut links, pool, upstream) = (Links::new(), PoolId(1), UpstreamId(7));
        let shown = |links: &Links| links.of(pool).unwrap().state(true);
        assert_eq!(shown(&links).shown, Shown::Connecting);
        assert_eq!(links.of(pool).unwrap().state(false).shown, Shown::Unused);
        let subscribed =
            Notice::PoolSubscribed { upstream, pool, extranonce1_bytes: 4, extranonce2_bytes: 8, version_mask: 0 };
        links.observe(at(1), &Notice::PoolConnected { upstream, pool, who: None, again: false });
        links.observe(at(1), &subscribed);
        assert_eq!(shown(&links).shown, Shown::Ready);
        links.observe(at(2), &Notice::PoolUsable { who: who(), pool, reconnected: false, other_alive: false });
        assert_eq!((shown(&links).shown, shown(&links).since), (Shown::Up, Some(at(2))));
        let down = Notice::PoolDown {
            upstream,
            pool,
            who: Some(who()),
            reason: CloseReason::Draining,
            failures: 1,
            retry: Span::secs(5),
            other_alive: true,
        };
        links.observe(at(3), &down);
        let state = shown(&links);
        assert_eq!((state.shown, state.since, state.next_try), (Shown::Down, Some(at(3)), Some(at(8))));
        let failed = Notice::PoolConnectFailed {
            upstream: UpstreamId(8),
            pool,
            who: Some(who()),
            error: "refused".into(),
            failures: 2,
            retry: Span::secs(10),
        };
        links.observe(at(8), &failed);
        let state = shown(&links);
        assert_eq!((state.since, state.words.as_deref()), (Some(at(3)), Some("refused")), "since the first of them");
        links.observe(at(18), &subscribed);
        let refused = HeldOff::Refused("no such user".into());
        links.observe(at(18), &Notice::PoolHeldOff { who: who(), pool, why: refused });
        assert_eq!(shown(&links).shown, Shown::Refused);
        links.observe(at(20), &subscribed);
        assert_eq!(shown(&links).shown, Shown::Refused, "an answer to subscribe is no answer to authorize");
        links.observe(at(30), &Notice::PoolUsable { who: who(), pool, reconnected: false, other_alive: false });
        assert_eq!((shown(&links).shown, links.of(pool).unwrap().outages), (Shown::Up, 1));
        assert_eq!(links.changed(at(30), |_| true).iter().filter(|(p, ..)| *p == pool).count(), 1);
        assert!(links.changed(at(40), |_| true).is_empty());
        assert_eq!(links.of(pool).unwrap().uptime(at(40)), Some(1.0));
    }
}
