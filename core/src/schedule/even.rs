//! What hash rates tell of each other: chance makes equal machines look different, and what chance explains is not
//! believed.

/// A hash rate as far as it is known. Sums of all rates that are compared are below two to the power of 60.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// In any unit, the same for all.
    pub(crate) rate: u128,
    /// By how much that may be wrong: a standard deviation, in the same unit.
    pub(crate) error: u128,
}

/// A rate so many standard deviations above the average of those below it is that of another make.
const APART: u128 = 3;
/// One, in parts per million.
const ONE: u128 = 1_000_000;

/// Machines of one make hash alike, so each tells of the others. Rates are divided into makes where there is a gap that
/// chance does not explain; within a make, each is drawn towards the average by the part of their spread that chance
/// explains (Stein's estimator, with two standard deviations of the spread itself on the side of caution): all of it as a
/// rule, so that equal machines count as equal. `rates` ends sorted by rate; `id` comes with each.
pub(crate) fn even<Id: Copy + Ord>(rates: &mut [(Id, Known)]) {
    rates.sort_by_key(|(id, known)| (known.rate, *id));
    let mut rest = rates;
    while !rest.is_empty() {
        let (mut count, mut sum) = (0, 0);
        for (_, known) in rest.iter() {
            if count > 0 && known.rate > sum / count + APART * known.error {
                break;
            }
            (count, sum) = (count + 1, sum + known.rate);
        }
        let (make, others) = rest.split_at_mut(count as usize);
        draw_together(make, sum / count);
        rest = others;
    }
}

fn draw_together<Id>(make: &mut [(Id, Known)], average: u128) {
    let count = make.len() as u128;
    // In hundredths of what chance does on average.
    let spread: u128 = make.iter().map(|(_, k)| ratio(k.rate.abs_diff(average), k.error)).sum();
    let explained = 100 * (count - 1) + 200 * (2 * (count - 1)).isqrt();
    let drawn = if spread <= explained { ONE } else { explained * ONE / spread };
    let common = make.iter().map(|(_, k)| k.error * k.error).sum::<u128>().isqrt() / count;
    for (_, known) in make {
        let mix = |own: u128, all: u128| (own * (ONE - drawn) + all * drawn) / ONE;
        *known = Known { rate: mix(known.rate, average), error: mix(known.error, common) };
    }
}

/// The square of a difference in standard deviations, in hundredths; a hundred standard deviations at most.
fn ratio(off: u128, error: u128) -> u128 {
    let tenths = (off.min(1 << 60) * 10 / error.max(1)).min(1_000);
    tenths * tenths
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn evened(rates: &[(u128, u128)]) -> Vec<(u128, u128)> {
        let mut all: Vec<(usize, Known)> =
            rates.iter().enumerate().map(|(id, (rate, error))| (id, Known { rate: *rate, error: *error })).collect();
        even(&mut all);
        all.sort_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, known)| (known.rate, known.error)).collect()
    }

    #[test]
    fn what_chance_explains_is_not_believed() {
        let noisy: Vec<_> = (0..40).map(|i| (if i % 2 == 0 { 9_000 } else { 11_000 }, 1_000)).collect();
        assert!(evened(&noisy).iter().all(|known| *known == (10_000, 158)), "{:?}", evened(&noisy));
        // The same numbers, known well: machines of two makes.
        let sure: Vec<_> = noisy.iter().map(|(rate, _)| (*rate, 100)).collect();
        assert!(evened(&sure).iter().zip(&sure).all(|(after, before)| after.0 == before.0));
    }

    #[test]
    fn a_spread_that_chance_does_not_explain_is_believed_in_part() {
        // Without gaps, from 9,000 to 11,000, each known to one per cent: nobody is moved by more than chance may be.
        let gapless: Vec<_> = (0..41).map(|i| (9_000 + 50 * i, 100)).collect();
        let after = evened(&gapless);
        assert!(after.iter().zip(&gapless).all(|(after, before)| after.0.abs_diff(before.0) <= 200), "{after:?}");
        assert!(after.is_sorted() && after[40].0 - after[0].0 > 1_600, "{after:?}");
    }

    #[test]
    fn makes_are_told_apart_and_one_alone_is_left_as_it_is() {
        let rates = [(50, 10), (200_000, 9_000), (210_000, 9_000), (1_000_000, 40_000), (980_000, 40_000)];
        let after = evened(&rates);
        assert_eq!(after[0], rates[0]);
        assert_eq!((after[1].0, after[3].0), (205_000, 990_000));
        assert_eq!((after[1].0, after[3].0), (after[2].0, after[4].0));
        assert_eq!(evened(&[(0, 0), (0, 0)]), [(0, 0), (0, 0)]);
        assert_eq!(evened(&[(7, 0)]), [(7, 0)]);
        // Known exactly: nothing is drawn anywhere.
        assert_eq!(evened(&[(7, 0), (8, 0)]), [(7, 0), (8, 0)]);
    }
}
