//! How much work each pool still needs beside the miners that are held, and which miners work wholly for which pool so
//! that their hash rates add up to it.
//!
//! All rates are parts of the whole fleet's in units of 2^-40: a NerdMiner beside a farm is still some hundreds.

use alloc::vec::Vec;

use crate::config::{WEIGHT_SUM, normalise};
use crate::ids::PoolId;

/// The whole fleet's hash rate.
pub(crate) const WHOLE: i128 = 1 << 40;
/// A swing miner does not visit a pool for less than this part of its work (parts per million).
const LEAST_VISIT: u32 = 10_000;

/// What a miner does in fleet mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// All its work goes to one pool.
    Whole(PoolId),
    /// It divides its work by these weights (parts per million, one a pool), and so makes up the rest.
    Swing(Vec<u32>),
    /// Not placed yet.
    New,
}

/// One miner that is to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part<Id> {
    pub(crate) id: Id,
    /// Its part of the fleet's hash rate.
    pub(crate) rate: i128,
    /// The square of its standard error.
    pub(crate) variance: i128,
    pub(crate) role: Role,
    /// The pool that it works for now.
    pub(crate) on: Option<PoolId>,
    /// The pools that it can work for, a bit each.
    pub(crate) allowed: u8,
    /// A switch costs it more than others: it is placed first, so that another swings.
    pub(crate) dear: bool,
}

/// What the miners that are free have to do for each pool, so that all add up to the weights. `held`: what is done for
/// each pool whatever is decided; `free`: the hash rate that can be divided; `owed`: what each pool is short of from
/// outages, or has had too much. If more is held on a pool than its weight, the others share the rest in proportion to
/// what they lack. The sum is `free`.
pub(crate) fn needs(weights: &[u32], held: &[i128], free: i128, owed: &[i128]) -> Vec<i128> {
    let all: i128 = held.iter().sum::<i128>() + free;
    let mut lacks: Vec<i128> = weights
        .iter()
        .enumerate()
        .map(|(p, weight)| {
            let own = i128::from(*weight) * all / i128::from(WEIGHT_SUM);
            let owed = owed.get(p).copied().unwrap_or(0);
            let held = held.get(p).copied().unwrap_or(0);
            if *weight == 0 { 0 } else { (own + owed - held).max(0) }
        })
        .collect();
    let mut sum: i128 = lacks.iter().sum();
    if sum == 0 {
        lacks = weights.iter().map(|w| i128::from(*w)).collect();
        sum = lacks.iter().sum::<i128>().max(1);
    }
    let mut given = 0;
    for lack in &mut lacks {
        *lack = *lack * free / sum;
        given += *lack;
    }
    if let Some(most) = lacks.iter_mut().max() {
        *most += free - given;
    }
    lacks
}

/// Gives each miner its role: with two pools at most one swings, with n at most n−1. Those that are placed stay, unless a
/// pool has too many of them by more than `tolerated` and, if somebody swings, by more than half a standard error of their
/// rates: only then is it worth a switch.
///
/// One miner whose rate is known worse than those of all others together is the one that swings: what is not known of it
/// then falls to all pools by their weights.
pub(crate) fn assign<Id: Copy + Ord>(parts: &mut [Part<Id>], needs: &[i128], tolerated: i128) {
    let reserved = unsure(parts);
    if let Some(i) = reserved {
        parts[i].role = Role::New;
    }
    let mut left: Vec<i128> = needs.to_vec();
    let mut open: Vec<usize> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        match part.role {
            Role::Whole(pool) if pool.index() < left.len() && part.allowed & 1 << pool.index() != 0 => {
                left[pool.index()] -= part.rate;
            }
            _ => open.push(i),
        }
    }
    // Who swings makes up for what is not known of the others; without one, nothing would.
    let unknown = !open.is_empty();
    for pool in 0..left.len() {
        release(parts, &mut left, &mut open, pool, (tolerated, unknown));
    }
    place(parts, &mut left, &mut open, reserved);
    swing(parts, &left, &mut open);
}

/// The miner whose rate is known worse than those of all others together; one that swings does so until it is known
/// better than half of the others. Only the largest is sure to leave room for all others.
fn unsure<Id>(parts: &[Part<Id>]) -> Option<usize> {
    let all: i128 = parts.iter().map(|p| p.variance).sum();
    let (i, most) = parts.iter().enumerate().max_by_key(|(_, p)| p.variance)?;
    let others = all - most.variance;
    let enough = if most.role == Role::New { others / 2 } else { others };
    let largest = parts.len() > 1 && parts.iter().all(|p| p.rate <= most.rate);
    (largest && !most.dear && most.variance > enough && most.allowed.count_ones() > 1).then_some(i)
}

/// Takes miners off a pool that has too many: the smallest that is enough, or else the largest, and again.
fn release<Id: Copy + Ord>(
    parts: &mut [Part<Id>],
    left: &mut [i128],
    open: &mut Vec<usize>,
    pool: usize,
    (tolerated, unknown): (i128, bool),
) {
    let here = |role: &Role| matches!(role, Role::Whole(p) if p.index() == pool);
    let variance: i128 = parts.iter().filter(|p| here(&p.role)).map(|p| p.variance).sum();
    let unsure = if unknown { variance.max(0).isqrt() / 2 } else { 0 };
    if left[pool] >= -tolerated.max(unsure) {
        return;
    }
    while left[pool] < 0 {
        let over = -left[pool];
        let there = parts.iter().enumerate().filter(|(_, p)| here(&p.role) && p.rate > 0);
        let chosen = there.min_by_key(|(_, p)| {
            let enough = p.rate >= over;
            (p.dear, !enough, if enough { p.rate } else { -p.rate }, p.id)
        });
        let Some(i) = chosen.map(|(i, _)| i) else { return };
        left[pool] += parts[i].rate;
        parts[i].role = Role::New;
        open.push(i);
    }
}

/// Places those that fit, the largest first, where they are already or else where most is left; one stays: the reserved
/// one, if any.
fn place<Id: Copy + Ord>(parts: &mut [Part<Id>], left: &mut [i128], open: &mut Vec<usize>, reserved: Option<usize>) {
    let every = open.iter().fold(0, |mask, i| mask | parts[*i].allowed);
    // Those that cannot go everywhere first, then those to whom a switch is dear, then by size.
    open.sort_by_key(|i| (parts[*i].allowed == every, !parts[*i].dear, -parts[*i].rate, parts[*i].id));
    let mut i = 0;
    while i < open.len() && open.len() > 1 {
        if reserved == Some(open[i]) {
            i += 1;
            continue;
        }
        let part = &mut parts[open[i]];
        let narrow = part.allowed != every;
        let fits = |pool: &usize| part.allowed & 1 << *pool != 0 && (narrow || left[*pool] >= part.rate);
        let on = part.on.map(PoolId::index);
        let best = (0..left.len())
            .filter(fits)
            .max_by_key(|pool| (on == Some(*pool) && left[*pool] >= part.rate, left[*pool], core::cmp::Reverse(*pool)));
        match best {
            Some(pool) => {
                left[pool] -= part.rate;
                part.role = Role::Whole(PoolId(pool as u8));
                open.remove(i);
            }
            None => i += 1,
        }
    }
}

/// Those that fit nowhere as a whole divide what is left, one after the other around it: each visits few pools.
fn swing<Id: Copy + Ord>(parts: &mut [Part<Id>], left: &[i128], open: &mut [usize]) {
    open.sort_by_key(|i| parts[*i].id);
    let mut rest: Vec<u128> = left.iter().map(|l| u128::try_from(*l).unwrap_or(0)).collect();
    for i in open.iter() {
        let part = &mut parts[*i];
        let mut own: Vec<u128> = alloc::vec![0; rest.len()];
        let mut wanted = u128::try_from(part.rate).unwrap_or(0);
        for (pool, (own, rest)) in own.iter_mut().zip(&mut rest).enumerate() {
            if part.allowed & 1 << pool != 0 {
                *own = wanted.min(*rest);
                wanted -= *own;
                *rest -= *own;
            }
        }
        part.role = role_of(own, part, left);
    }
}

fn role_of<Id>(own: Vec<u128>, part: &Part<Id>, left: &[i128]) -> Role {
    let visits = |own: &[u128]| normalise(own).unwrap_or_default();
    let mut weights = visits(&own);
    if weights.iter().any(|w| *w > 0 && *w < LEAST_VISIT) {
        let kept = own.iter().zip(&weights).map(|(own, w)| if *w < LEAST_VISIT { 0 } else { *own });
        weights = visits(&kept.collect::<Vec<u128>>());
    }
    if weights.is_empty() {
        // Nothing is left anywhere: it works where it is, or else where the least is too much.
        let stays = part.on.filter(|pool| part.allowed & 1 << pool.index() != 0);
        let most = || (0..left.len()).filter(|p| part.allowed & 1 << p != 0).max_by_key(|p| left[*p]);
        let pool = stays.or_else(|| most().map(|p| PoolId(p as u8)));
        return pool.map_or(Role::New, Role::Whole);
    }
    Role::Swing(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const TOLERATED: i128 = WHOLE / 400;

    fn fleet(rates: &[u32]) -> Vec<Part<usize>> {
        let sum: i128 = rates.iter().map(|r| i128::from(*r)).sum();
        let part = |(id, rate): (usize, &u32)| Part {
            id,
            rate: i128::from(*rate) * WHOLE / sum.max(1),
            variance: 0,
            role: Role::New,
            on: None,
            allowed: 0xff,
            dear: false,
        };
        rates.iter().enumerate().map(part).collect()
    }

    fn plain(weights: &[u32], parts: &[Part<usize>]) -> Vec<i128> {
        let ppm: Vec<u32> = weights.iter().map(|w| w * 10_000).collect();
        needs(&ppm, &vec![0; weights.len()], parts.iter().map(|p| p.rate).sum(), &[])
    }

    /// What each pool gets.
    fn got(parts: &[Part<usize>], pools: usize) -> Vec<i128> {
        let mut got = vec![0; pools];
        for part in parts {
            match &part.role {
                Role::Whole(pool) => got[pool.index()] += part.rate,
                Role::Swing(w) => {
                    w.iter().enumerate().for_each(|(p, w)| got[p] += part.rate * i128::from(*w) / 1_000_000)
                }
                Role::New => panic!("not placed"),
            }
        }
        got
    }

    fn swings(parts: &[Part<usize>]) -> usize {
        parts.iter().filter(|p| matches!(p.role, Role::Swing(_))).count()
    }

    #[test]
    fn one_miner_of_twenty_swings() {
        let mut parts = fleet(&[1; 20]);
        let needs = plain(&[70, 30], &parts);
        assign(&mut parts, &needs, 0);
        assert_eq!(swings(&parts), 1);
        let got = got(&parts, 2);
        assert!((got[0] - needs[0]).abs() < WHOLE / 1000, "{got:?}");
        let before = parts.clone();
        assign(&mut parts, &needs, 0);
        assert_eq!(parts, before, "nothing moves without a reason");
    }

    #[test]
    fn the_one_that_is_known_worst_swings() {
        let mut parts = fleet(&[20, 18, 30, 100, 12]);
        let needs = plain(&[70, 30], &parts);
        // Placed by size, the largest would work for one pool alone.
        assign(&mut parts, &needs, 0);
        assert!(matches!(parts[3].role, Role::Whole(_)));
        let variances = |parts: &mut [Part<usize>], parts_of: i128| {
            parts.iter_mut().for_each(|p| p.variance = p.rate * p.rate / parts_of);
        };
        variances(&mut parts, 700);
        assign(&mut parts, &needs, TOLERATED);
        assert!(matches!(parts[3].role, Role::Swing(_)), "{parts:?}");
        assert_eq!(swings(&parts), 1);
        let before = parts.clone();
        // Not exactly as much is known of all of them a minute later.
        variances(&mut parts, 720);
        parts[2].variance *= 6;
        parts[3].role = Role::New;
        assign(&mut parts, &needs, TOLERATED);
        parts.iter_mut().zip(&before).for_each(|(p, b)| p.variance = b.variance);
        assert_eq!(parts, before, "it stays the one");
    }

    #[test]
    fn a_drift_within_the_swing_moves_nobody() {
        let mut parts = fleet(&[10, 11, 12, 13, 9, 8]);
        let needs0 = plain(&[50, 50], &parts);
        assign(&mut parts, &needs0, 0);
        let roles: Vec<Role> = parts.iter().map(|p| p.role.clone()).collect();
        for part in &mut parts {
            part.rate += part.rate / 50 * (part.id as i128 % 3 - 1);
        }
        let needs1 = plain(&[50, 50], &parts);
        assign(&mut parts, &needs1, WHOLE / 400);
        let whole = |role: &Role| matches!(role, Role::Whole(_));
        assert!(roles.iter().zip(&parts).all(|(before, now)| !whole(before) || *before == now.role));
    }

    #[test]
    fn where_they_are_is_where_they_stay() {
        let mut parts = fleet(&[5; 9]);
        for part in &mut parts {
            part.on = Some(PoolId((part.id % 2) as u8));
        }
        let needs = plain(&[50, 50], &parts);
        assign(&mut parts, &needs, 0);
        assert!(parts.iter().all(|p| matches!(p.role, Role::Swing(_)) || p.role == Role::Whole(p.on.unwrap())));
    }

    #[test]
    fn what_is_held_is_balanced_and_too_much_is_shared() {
        // A holds 20 of 100; weights 50:50.
        assert_eq!(needs(&[500_000, 500_000], &[20, 0], 80, &[]), [30, 50]);
        assert_eq!(needs(&[500_000, 500_000], &[80, 0], 20, &[]), [0, 20]);
        assert_eq!(needs(&[500_000, 300_000, 200_000], &[80, 0, 0], 20, &[]), [0, 12, 8]);
        assert_eq!(needs(&[500_000, 500_000], &[0, 0], 100, &[20, -20]), [70, 30]);
        assert_eq!(needs(&[1_000_000, 0], &[0, 40], 60, &[]), [60, 0]);
    }

    proptest! {
        #[test]
        fn every_fleet_adds_up(
            rates in proptest::collection::vec(1u32..10_000_000, 1..40),
            a in 1u32..98, b in 0u32..98, narrow in 0u8..3, unsure in 0i128..3,
        ) {
            prop_assume!(a + b < 100);
            let weights = if b == 0 { vec![a, 100 - a] } else { vec![a, b, 100 - a - b] };
            let mut parts = fleet(&rates);
            parts.iter_mut().for_each(|p| p.variance = p.rate * p.rate / 900 * unsure);
            let needs = plain(&weights, &parts);
            assign(&mut parts, &needs, 0);
            prop_assert!(swings(&parts) < weights.len());
            let got = got(&parts, weights.len());
            let largest: i128 = parts.iter().filter(|p| matches!(p.role, Role::Swing(_))).map(|p| p.rate).max().unwrap_or(0);
            for (got, need) in got.iter().zip(&needs) {
                // A swing leaves out visits of less than a hundredth.
                prop_assert!((got - need).abs() <= largest / 40 + 1_000, "{got} {need} {largest}");
            }
            // Others come and go: it still adds up, and whoever may not go somewhere does not.
            let half = parts.len() / 2;
            let mut rest: Vec<Part<usize>> = parts.split_off(half);
            for part in rest.iter_mut().take(usize::from(narrow)) {
                part.allowed = 1;
            }
            let sum: i128 = rest.iter().map(|p| p.rate).sum();
            for part in &mut rest {
                part.rate = part.rate * WHOLE / sum;
            }
            let needs = plain(&weights, &rest);
            assign(&mut rest, &needs, 0);
            for part in &rest {
                let goes = match &part.role {
                    Role::Whole(pool) => 1 << pool.index(),
                    Role::Swing(w) => w.iter().enumerate().filter(|(_, w)| **w > 0).map(|(p, _)| 1 << p).sum(),
                    Role::New => 0,
                };
                prop_assert!(goes != 0 && goes & !part.allowed == 0, "{part:?}");
            }
        }
    }
}
