//! What is looked at now and then instead of at a step: what must not last.

use std::collections::BTreeSet;

use super::{Item, PoolSeat, Proxy, World};
use crate::pool::VersionRolling;

/// How often.
pub(super) const AUDIT_US: u64 = 5_000_000;
/// How often the engine's memory is looked at.
const MEMORY_US: u64 = 600_000_000;
/// What each connection, of a miner or to a pool, may cost the engine in these worlds, and what it may hold without any.
const MOST_BYTES_A_CONNECTION: u64 = 64 << 10;
const MOST_BYTES_AT_ALL: u64 = 256 << 10;
/// A pool that has been good for this long must be found.
const FOUND_US: u64 = 90_000_000;

impl<P: Proxy> World<P> {
    pub(super) fn audit(&mut self) {
        let now = self.now_us;
        self.at(now + AUDIT_US, Item::Audit);
        self.model.audit(now, &mut self.complaints);
        for pool in 0..self.pools.len() {
            let good = self.is_good(pool);
            let seat = &mut self.pools[pool];
            if !good {
                seat.good_since = now;
            }
            if !good || !matches!(seat.pool.spec().version_rolling, VersionRolling::Mask(1..)) {
                seat.grants_since = now;
            }
        }
        let found = |seat: &PoolSeat| seat.good_since + FOUND_US <= now;
        let no_work = !self.pools.iter().any(found);
        let grants = |seat: &PoolSeat| seat.grants_since + FOUND_US <= now;
        // One that is only there for a failover need not take a miner for good.
        let weighs = |pool: usize| self.model.weights.get(pool).is_some_and(|weight| *weight > 0);
        let no_mask = !self.pools.iter().enumerate().any(|(i, seat)| weighs(i) && grants(seat));
        for miner in 0..self.miners.len() {
            self.audit_miner(miner);
            let seat = &mut self.miners[miner];
            if no_work {
                seat.miner.no_work_until(now + 120_000_000);
            }
            let (refused, connects) = seat.miner.mask_refusals();
            let (new, before) = (refused - seat.mask_refusals.0, seat.mask_refusals.1);
            seat.mask_refusals = (refused, if no_mask { before } else { before + new });
            if seat.mask_refusals.1 > 10 + 2 * (connects - refused) {
                seat.mask_refusals.1 = 0;
                self.complaints
                    .push(now, || format!("masks: miner {miner} gets no mask, though a pool in use grants one"));
            }
        }
        self.judge();
        self.audit_memory();
        self.note_first(false);
    }

    /// I7: what the proxy holds does not grow beyond what its connections may have.
    fn audit_memory(&mut self) {
        if !self.now_us.is_multiple_of(MEMORY_US) {
            return;
        }
        // What a miner's connections to pools have left behind is kept for its late shares when they are gone.
        let miners = self.miners.iter().filter(|seat| seat.conn.is_some()).count();
        let lines = self.lines.len().max(miners * (1 + self.pools.len()));
        let most = MOST_BYTES_AT_ALL + lines as u64 * MOST_BYTES_A_CONNECTION;
        if let Some(bytes) = self.proxy.bytes().filter(|bytes| *bytes > most) {
            let now = self.now_us;
            self.complaints.push(now, || format!("I7: the engine holds {bytes} bytes for {lines} connections"));
        }
    }

    /// Up, reachable, in use.
    fn is_good(&self, pool: usize) -> bool {
        let seat = &self.pools[pool];
        seat.pool.is_up() && seat.held_until <= self.now_us && self.model.in_use(pool)
    }

    /// In use, and not good now or a quarter of a minute ago.
    pub(super) fn is_out(&self, pool: usize) -> bool {
        self.model.in_use(pool) && (!self.is_good(pool) || self.now_us < self.pools[pool].good_since + 15_000_000)
    }

    /// I5 over time: nobody stays without good work while a pool is there that could give it.
    fn audit_miner(&mut self, index: usize) {
        let now = self.now_us;
        let seat = &self.miners[index];
        let Some(side) = seat.conn.and_then(|id| self.model.side(id)) else { return };
        let good = |pool: usize| self.pools[pool].good_since + FOUND_US <= now && side.fits(pool);
        let wants = seat.miner.ready()
            && !side.clogged()
            && seat.held_until + 60_000_000 < now
            && !seat.works_for.is_some_and(|pool| self.pools[pool].pool.is_up() && self.pools[pool].held_until <= now)
            && (0..self.pools.len()).any(good);
        let silence = self.spec.config.pools.iter().map(|pool| pool.silence.0).max().unwrap_or(0);
        let seat = &mut self.miners[index];
        if !wants {
            seat.idle = None;
            return;
        }
        // That a pool answers no submit is known after five of them, which may be rare.
        let rate = seat.miner.spec().hash_rate.max(1.0);
        let shares = seat.work.as_ref().map_or(0.0, |(_, hashes)| 15.0 * hashes / rate * 1e6) as u64;
        let (since, pools) = seat.idle.get_or_insert_with(|| (now, BTreeSet::new()));
        let since = *since;
        pools.insert(seat.works_for);
        // Each bad pool that it falls into takes its own time to be found out.
        if now >= since + pools.len() as u64 * (silence + 60_000_000 + shares) {
            let seconds = (now - since) / 1_000_000;
            self.complaints
                .push(now, || format!("I5: miner {index} has no good work for {seconds} s, though a pool is up"));
            seat.idle = None;
        }
    }

    /// Remembers when the first thing went wrong.
    pub(super) fn note_first(&mut self, peer_complains: bool) {
        if self.first.is_none() && (peer_complains || !self.complaints.is_empty()) {
            self.first = Some((self.steps, self.now_us));
        }
    }
}
