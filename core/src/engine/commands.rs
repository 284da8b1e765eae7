//! The operator's wishes: weights, config, drain.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::state::{Drain, Engine, address_key};
use crate::action::{Action, ActionBuf};
use crate::close::CloseReason;
use crate::config::{Config, WEIGHT_SUM};
use crate::ids::{GroupId, MinerId, PoolId, UpstreamId};
use crate::miner::Miner;
use crate::notice::{Notice, SwitchReason, WeightsSource};
use crate::pool::Link;
use crate::time::{Span, Time};
use crate::timers::TimerKind;

/// How long stopping waits for pools to answer submits.
const DRAIN: Span = Span::millis(1_500);

impl Engine {
    pub(super) fn set_weights(&mut self, weights: Vec<u32>, now: Time, out: &mut ActionBuf) {
        let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        if weights.len() != self.config.pools.len() || sum != u64::from(WEIGHT_SUM) {
            let why = "weights must be one a pool and sum to 1,000,000 parts";
            out.notice(Notice::CommandRefused { why: why.into() });
            return;
        }
        // Whoever moves the slider wants it to hold.
        self.oracle_yields(weights != self.config.scheduler.weights, now, out);
        if weights == self.config.scheduler.weights {
            return;
        }
        self.put_weights(weights, WeightsSource::Slider, now, out);
    }

    /// Puts weights in force that have one share a pool and the right sum.
    pub(super) fn put_weights(&mut self, weights: Vec<u32>, by: WeightsSource, now: Time, out: &mut ActionBuf) {
        let mut config = self.config.clone();
        config.scheduler.weights = weights;
        self.adopt(config, by, now, out);
    }

    pub(super) fn set_config(&mut self, config: Config, now: Time, out: &mut ActionBuf) {
        if config != self.config {
            self.adopt(config, WeightsSource::Config, now, out);
            self.oracle.configure(&self.config);
            self.oracle_decides(now, out);
        }
        out.notice(Notice::ConfigApplied);
    }

    /// Puts a config in force. Miners stay; upstreams whose address, user or chain changed are made anew.
    fn adopt(&mut self, config: Config, by: WeightsSource, now: Time, out: &mut ActionBuf) {
        let memory = self.memory();
        let old = core::mem::replace(&mut self.config, config);
        let changed: Vec<PoolId> = (0..old.pools.len().max(self.config.pools.len()) as u8)
            .map(PoolId)
            .filter(|pool| {
                let (before, after) = (old.pool(*pool), self.config.pool(*pool));
                before.map(|p| (&p.address, &p.wallet, &p.password, p.sha256d))
                    != after.map(|p| (&p.address, &p.wallet, &p.password, p.sha256d))
            })
            .collect();
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for group in &groups {
            let who = self.first_miner(*group).map(|m| m.who());
            for pool in &changed {
                self.close_link(*group, *pool, who.clone(), CloseReason::ConfigChanged, now, out);
            }
            if let Some(group) = self.groups.get_mut(group) {
                group.links.resize(self.config.pools.len(), Link::default());
            }
        }
        if !changed.is_empty() {
            let probes: Vec<UpstreamId> = self.facts.iter().filter_map(|f| f.probe).collect();
            for probe in probes {
                self.probe_done(probe, now, out);
            }
            for miner in self.miners.values_mut() {
                // What kept a miner off a pool, or on it, was another pool's fault.
                miner.held_off.retain(|pool, _| !changed.contains(pool));
                miner.held_to = miner.held_to.filter(|pool| !changed.contains(pool));
            }
            self.remembered = memory.pools.into_iter().collect();
            self.recall_facts();
            for key in self.config.pools.iter().map(|p| address_key(&p.address)) {
                self.remembered.remove(&key);
            }
        }
        if old.scheduler != self.config.scheduler || old.pools.len() != self.config.pools.len() {
            let weights: Arc<[u32]> = self.config.scheduler.weights.as_slice().into();
            if old.scheduler.weights != self.config.scheduler.weights {
                let prev = old.scheduler.weights.as_slice().into();
                out.notice(Notice::WeightsMoved { prev, weights: weights.clone(), source: by });
            }
            out.notice(Notice::WeightsChanged { weights });
            self.rebalance(true, now, out);
            self.say_schedule(Some(&old.scheduler), out);
        }
        for group in &groups {
            let group = *group;
            for pool in self.config.pool_ids() {
                if self.config.in_use(pool) {
                    if let Some(link) = self.link(group, pool) {
                        link.retired_until = None;
                    }
                } else {
                    self.retire(group, pool, now);
                }
            }
            let opens = self.first_miner(group).is_some_and(|m| m.ready() && !m.must_reconnect());
            if opens {
                self.open_links(group, now, out);
            } else if let Some(own) = self.first_miner(group).and_then(Miner::own_pool)
                && self.config.in_use(own)
            {
                // It knows this pool's extranonce alone, and the pool may be connected to in another way now.
                self.open_link(group, own, now, out);
            }
        }
        let miners: Vec<MinerId> = self.miners.keys().copied().collect();
        for miner in miners {
            self.place(miner, SwitchReason::Operator, now, out);
        }
        for group in groups {
            for pool in self.config.pool_ids() {
                if !self.config.in_use(pool) {
                    self.close_retired(group, pool, now, out);
                }
            }
        }
    }

    /// Stops: no new miners, no new connections; pools get a moment to answer what is on its way.
    pub(super) fn drain(&mut self, now: Time, out: &mut ActionBuf) {
        if self.draining.is_some() {
            return;
        }
        self.draining = Some(Drain::Waiting);
        let ready = self.miners.values().filter(|m| m.ready()).count() as u32;
        out.notice(Notice::Draining { miners: ready });
        for pool in self.config.pool_ids() {
            self.timers.cancel(TimerKind::Probe(pool));
        }
        self.timers.set(TimerKind::DrainEnd, now + DRAIN);
        for id in self.miners.keys() {
            out.push(Action::PauseReading(crate::ids::Conn::Miner(*id)));
        }
    }

    /// Closes everything.
    pub(super) fn end_drain(&mut self, now: Time, out: &mut ActionBuf) {
        let upstreams: Vec<UpstreamId> = self.upstreams.keys().copied().collect();
        let miners: Vec<MinerId> = self.miners.keys().copied().collect();
        for id in upstreams {
            // First the answers to what still waits, then the miners that they go to.
            if let Some(mut upstream) = self.upstreams.remove(&id) {
                self.answer_lost(&mut upstream, now, out);
                out.push(Action::Close(crate::ids::Conn::Upstream(id)));
            }
        }
        for id in miners {
            self.close_miner(id, CloseReason::Draining, now, out);
        }
        self.groups.clear();
        self.timers = crate::timers::Timers::default();
        self.draining = Some(Drain::Closed);
    }

    /// Ends a drain early when no pool owes an answer, and says when it is done.
    pub(super) fn finish_drain(&mut self, out: &mut ActionBuf) {
        if self.draining == Some(Drain::Waiting) && !self.upstreams.values().any(|u| u.has_submits()) {
            self.end_drain(self.now, out);
        }
        if self.draining == Some(Drain::Closed) {
            self.draining = Some(Drain::Done);
            out.push(Action::Drained);
        }
    }
}
