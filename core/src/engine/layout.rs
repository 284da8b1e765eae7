//! Which extranonce a miner is told: what its firmware bears, and what the pools have room for.

use alloc::vec::Vec;

use super::state::Engine;
use crate::action::ActionBuf;
use crate::extranonce::{ASSUMED_EXTRANONCE2, Profile, SMALLEST_EMBEDDED, Sizes, sizes};
use crate::ids::{Conn, MinerId, PoolId};
use crate::job::PoolJob;
use crate::miner::{Layout, Miner};
use crate::stratum::encode;

/// What a firmware is best told, as the pools are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// One extranonce for the whole session, in all pools that have room for it.
    Embedded(Sizes),
    /// A pool's own.
    Own,
}

impl Engine {
    /// Embedded in all pools, if every one has room. Else whatever lets the miner work for more of the weight: embedded in
    /// those that have room, or the pools' own extranonces, in turns, where the firmware bears their size.
    pub(super) fn fit(&self, profile: Profile) -> Fit {
        if let Some(sizes) = sizes(profile, self.smallest_extranonce2()) {
            return Fit::Embedded(sizes);
        }
        // The failover pool has no weight of its own, but a miner that cannot work for it is idle when it is needed.
        let weight =
            |pool: PoolId| u64::from(self.config.scheduler.weights.get(pool.index()).copied().unwrap_or(0)).max(1);
        let used = || self.config.pool_ids().filter(|pool| self.config.in_use(*pool));
        let own: u64 = used().filter(|pool| profile.bears(self.extranonce2_of(*pool))).map(weight).sum();
        let room = || used().filter(|pool| sizes(profile, self.extranonce2_of(*pool)).is_some());
        let smallest = room().map(|pool| self.extranonce2_of(pool)).min();
        match smallest.and_then(|smallest| sizes(profile, smallest)) {
            Some(sizes) if room().map(weight).sum::<u64>() >= own => Fit::Embedded(sizes),
            _ => Fit::Own,
        }
    }

    /// A miner with this firmware that subscribed now could work for the pool.
    pub(super) fn would_fit(&self, profile: Profile, pool: PoolId) -> bool {
        match self.fit(profile) {
            Fit::Embedded(sizes) => sizes.total() <= self.extranonce2_of(pool),
            Fit::Own => profile.bears(self.extranonce2_of(pool)),
        }
    }

    /// The pool is in use, the last that was heard of it was no failure, and the firmware bears its own extranonce.
    pub(super) fn own_seems_up(&self, profile: Profile, pool: PoolId) -> bool {
        self.pool_seems_up(pool) && profile.bears(self.extranonce2_of(pool))
    }

    /// The first of these pools whose own extranonce a miner with this firmware had best be given, after `wants` if that
    /// one is as good: one that the firmware bears and that seems up, else one that it bears, else any.
    pub(super) fn best_own(
        &self,
        profile: Profile,
        wants: PoolId,
        pools: impl Iterator<Item = PoolId>,
    ) -> Option<PoolId> {
        pools.filter(|pool| self.config.in_use(*pool)).min_by_key(|pool| {
            let bears = profile.bears(self.extranonce2_of(*pool));
            (!bears, !self.pool_seems_up(*pool), *pool != wants, *pool)
        })
    }

    /// Bytes of a pool's extranonce2, as far as known.
    fn extranonce2_of(&self, pool: PoolId) -> u8 {
        self.facts.get(pool.index()).and_then(|f| f.extranonce2_bytes).unwrap_or(ASSUMED_EXTRANONCE2)
    }

    /// The smallest extranonce2 of the pools, in bytes, as far as known. Pools without weight count as well, as they may
    /// get some while the miner is connected; but not one so small that it would take the embedding from all miners.
    fn smallest_extranonce2(&self) -> u8 {
        self.config
            .pool_ids()
            .filter(|pool| self.config.in_use(*pool) || self.extranonce2_of(*pool) >= SMALLEST_EMBEDDED)
            .map(|pool| self.extranonce2_of(pool))
            .min()
            .unwrap_or(ASSUMED_EXTRANONCE2)
    }

    /// Gives a miner that understands `mining.set_extranonce` a layout that fits all pools as they are now. False: it has
    /// to subscribe again.
    pub(super) fn shrink_layout(&mut self, id: MinerId, out: &mut ActionBuf) -> bool {
        let smallest = self.smallest_extranonce2();
        let Some(miner) = self.miners.get_mut(&id).filter(|m| m.extranonce_subscribed) else { return false };
        let Layout::Embedded { sizes: old, .. } = &miner.layout else { return false };
        let Some(sizes) = sizes(miner.firmware.profile, smallest).filter(|new| new.total() < old.total()) else {
            return false;
        };
        let freed = old.total() - sizes.total();
        let extranonce1 = embedded_extranonce1(id, sizes);
        out.send(Conn::Miner(id), |o| encode::set_extranonce(o, &extranonce1, sizes.extranonce2));
        miner.layout = Layout::Embedded { extranonce1, sizes };
        if let Some(group) = miner.group.and_then(|group| self.groups.get_mut(&group)) {
            group.jobs.widen_pads(freed);
        }
        true
    }
}

/// The miner can work with the job's extranonce. One that was given a size that its firmware does not bear had no other
/// choice, and is not kept from trying.
pub(super) fn layout_fits(miner: &Miner, job: &PoolJob) -> bool {
    let bears = |bytes| miner.firmware.profile.bears(bytes);
    match &miner.layout {
        Layout::Embedded { sizes, .. } => sizes.total() <= job.extranonce2_bytes,
        Layout::Own { extranonce2_bytes, .. } => bears(job.extranonce2_bytes) || !bears(*extranonce2_bytes),
        Layout::None => true,
    }
}

/// The extranonce1 of an embedded layout: any bytes, constant for the session.
pub(super) fn embedded_extranonce1(id: MinerId, sizes: Sizes) -> Vec<u8> {
    let bytes = id.0.to_be_bytes();
    bytes[8 - usize::from(sizes.extranonce1).min(8)..].to_vec()
}
