//! How the phases of many miners lie.

use alloc::vec::Vec;

use super::even::{Known, even};

/// One miner of the fleet, for [`spread`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<Id> {
    pub(crate) id: Id,
    /// Its hash rate.
    pub(crate) known: Known,
    /// Where in the cycle it is, in µs.
    pub(crate) phase: u64,
}

/// Equal machines count as unlike once in five hundred looks: phases that are moved for nothing cost at once. With two
/// standard deviations a day of twenty equal miners had a window beyond its bound.
const CAUTION: u128 = 3;
/// Places may be off by so many standard deviations of what the rates say: chance takes them further once in a thousand
/// times.
const NOISE: (u128, u128) = (5, 2);
/// A place that is off by less than this part of a miner's own width is right.
const TOLERATED: u128 = 8;
/// A cut of so much less than what the largest miner does to a window is small, though many miners are cut at once.
const GENTLE: u128 = 8;
/// One, for parts of the whole fleet's hash rate.
const WHOLE: u128 = 1 << 30;

/// What a fleet's phases need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spread<Id> {
    /// How much of its cycle each miner should skip, in µs.
    pub(crate) skips: Vec<(Id, u64)>,
    /// At most so much of it in one dwell, in µs.
    pub(crate) pace: u64,
}

/// How much of its cycle each miner should skip, so that the phases are spread by hash rate. The order around the circle
/// stays, and at least one miner skips nothing: the least that can be moved forward. Empty when all is well as it is, or no
/// further off than the rates are known: to follow their noise would only shake the fleet. What puts the share at an
/// instant off by more than half of the largest miner is skipped at once; the rest so slowly that all of it does less to a window
/// than the largest miner does anyway.
pub(crate) fn spread<Id: Copy + Ord>(members: &mut [Member<Id>], period: u64) -> Spread<Id> {
    let nothing = Spread { skips: Vec::new(), pace: period };
    if members.len() < 2 || period == 0 {
        return nothing;
    }
    even(members.iter_mut().map(|m| &mut m.known), CAUTION);
    members.iter_mut().for_each(|m| m.known.rate = m.known.rate.max(1));
    members.sort_by_key(|m| (m.phase, m.id));
    let sum: u128 = members.iter().map(|m| m.known.rate).sum();
    let of_period = |part: u128| u128::from(period) * part / WHOLE;
    let mut before: u128 = 0;
    let mut lead = Vec::with_capacity(members.len());
    for m in members.iter() {
        let target = of_period((2 * before + m.known.rate) * WHOLE / (2 * sum)) as i128;
        lead.push(i128::from(m.phase) - target);
        before += m.known.rate;
    }
    let most = lead.iter().copied().max().unwrap_or(0);
    // Places add up the rates before them, so their errors add up as well: as chance does, squared.
    let error = |m: &Member<Id>| (m.known.error.min(sum) * WHOLE / sum).pow(2);
    let noise = members.iter().map(error).sum::<u128>().isqrt();
    let noise = of_period(noise) * NOISE.0 / NOISE.1;
    let tolerated = (u128::from(period) / (TOLERATED * members.len() as u128)).max(noise) as i128;
    if lead.iter().all(|l| most - l <= tolerated) {
        return nothing;
    }
    let largest = of_period(members.iter().map(|m| m.known.rate).max().unwrap_or(0) * WHOLE / sum);
    let pace = match lead.iter().all(|l| most - l <= largest as i128 / 2) {
        true => (largest * largest / u128::from(period) / GENTLE).max(1) as u64,
        false => period,
    };
    let skip = |lead| u64::try_from(most - lead).unwrap_or(0) % period;
    Spread { skips: members.iter().zip(lead).map(|(m, lead)| (m.id, skip(lead))).collect(), pace }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    const PERIOD: u64 = 100_000_000;

    fn fleet(rates: &[(u128, u128)]) -> Vec<Member<usize>> {
        let n = rates.len() as u64;
        let seat = |(id, (rate, error)): (usize, &(u128, u128))| Member {
            id,
            known: Known { rate: *rate, error: *error },
            phase: id as u64 * PERIOD / n,
        };
        rates.iter().enumerate().map(seat).collect()
    }

    #[test]
    fn equal_machines_stay_where_they_are_whatever_chance_says_of_them() {
        // A tenth up or down, in runs that would add up to a place.
        let rates: Vec<_> = (0..40).map(|i| (if i / 10 % 2 == 0 { 90 } else { 110 } << 64, 10 << 64)).collect();
        assert_eq!(spread(&mut fleet(&rates), PERIOD).skips, vec![]);
        // The same numbers, known exactly, are machines of two kinds.
        let exact: Vec<_> = rates.iter().map(|(rate, _)| (*rate, 0)).collect();
        assert_ne!(spread(&mut fleet(&exact), PERIOD).skips, vec![]);
    }

    #[test]
    fn a_large_machine_gets_its_room() {
        let mut fleet = fleet(&[(10, 0), (1, 0), (1, 0)]);
        let Spread { skips, pace } = spread(&mut fleet, PERIOD);
        // Nobody is off by more than half of the largest, so there is time.
        assert!(pace.abs_diff(PERIOD * 100 / 144 / 8) <= 2, "{pace}");
        assert_eq!(skips.iter().filter(|(_, skip)| *skip == 0).count(), 1);
        let after: Vec<u64> = fleet.iter().zip(&skips).map(|(m, (_, skip))| m.phase + skip).collect();
        // Middles at 5, 10.5 and 11.5 of 12, to a microsecond.
        assert!((after[1] - after[0]).abs_diff(PERIOD * 11 / 24) <= 1, "{after:?}");
        assert!((after[2] - after[1]).abs_diff(PERIOD / 12) <= 1, "{after:?}");
    }

    #[test]
    fn any_numbers_will_do() {
        for rates in [
            vec![(1 << 80, 1 << 80); 10_000],
            vec![(0, 0); 3],
            vec![(u128::MAX >> 40, u128::MAX >> 40); 3],
            vec![(1 << 80, 1 << 80), (0, 0), (1, 1 << 80)],
        ] {
            for period in [PERIOD, 1 << 46] {
                for (_, skip) in spread(&mut fleet(&rates), period).skips {
                    assert!(skip < period);
                }
            }
        }
    }
}
