//! How the phases of many miners lie.

use alloc::vec::Vec;

/// One miner of the fleet, for [`spread`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<Id> {
    pub(crate) id: Id,
    /// Its hash rate in any unit, the same for all.
    pub(crate) rate: u128,
    /// Where in the cycle it is, in µs.
    pub(crate) phase: u64,
}

/// How much of its cycle each miner should skip, so that the phases are spread by hash rate. The order around the circle
/// stays, and at least one miner skips nothing: the least that can be moved forward. Empty when all is well as it is.
pub(crate) fn spread<Id: Copy + Ord>(members: &mut [Member<Id>], period: u64) -> Vec<(Id, u64)> {
    if members.len() < 2 || period == 0 {
        return Vec::new();
    }
    members.sort_by_key(|m| (m.phase, m.id));
    let sum: u128 = members.iter().map(|m| m.rate.max(1)).sum();
    let mut before: u128 = 0;
    let mut lead = Vec::with_capacity(members.len());
    for m in members.iter() {
        let rate = m.rate.max(1);
        let target = (u128::from(period) * (2 * before + rate) / (2 * sum)) as i128;
        lead.push(i128::from(m.phase) - target);
        before += rate;
    }
    let most = lead.iter().copied().max().unwrap_or(0);
    let tolerated = i128::from(period) / (8 * members.len() as i128);
    if lead.iter().all(|l| most - l <= tolerated) {
        return Vec::new();
    }
    members.iter().zip(lead).map(|(m, l)| (m.id, u64::try_from(most - l).unwrap_or(0) % period)).collect()
}
