//! What hash rates tell of each other: chance makes equal machines look different, and what chance explains is not
//! believed.

use alloc::vec::Vec;

/// A hash rate as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// In any unit, the same for all.
    pub(crate) rate: u128,
    /// By how much that may be wrong: a standard deviation, in the same unit.
    pub(crate) error: u128,
}

/// A rate so many standard deviations above the average of those below it is that of another make.
const APART: u128 = 3;
/// While rates are compared their sum is below two to the power of this, so that the squares of 2^15 errors can be added.
const SUM_BITS: u32 = 56;
/// One, in parts per million.
const ONE: u128 = 1_000_000;

/// Machines of one make hash alike, so each tells of the others. Rates are divided into makes where there is a gap that
/// chance does not explain; within a make, each is drawn towards the average by the part of their spread that chance
/// explains (Stein's estimator, with `caution` standard deviations of the spread itself on the side of chance): all of it as
/// a rule, so that equal machines count as equal. The order stays; sums of rates are below two to the power of 127.
pub(crate) fn even<'a>(rates: impl Iterator<Item = &'a mut Known>, caution: u128) {
    let mut rates: Vec<&mut Known> = rates.collect();
    let sum: u128 = rates.iter().map(|known| known.rate).sum();
    let shift = (u128::BITS - sum.leading_zeros()).saturating_sub(SUM_BITS);
    for known in &mut rates {
        **known = Known { rate: known.rate >> shift, error: (known.error >> shift).min(1 << SUM_BITS) };
    }
    make_by_make(&mut rates, caution);
    for known in rates {
        *known = Known { rate: known.rate << shift, error: known.error << shift };
    }
}

fn make_by_make(rates: &mut [&mut Known], caution: u128) {
    rates.sort_by_key(|known| known.rate);
    let mut rest = rates;
    while !rest.is_empty() {
        let (mut count, mut sum) = (0, 0);
        for known in rest.iter() {
            if count > 0 && known.rate > sum / count + APART * known.error {
                break;
            }
            (count, sum) = (count + 1, sum + known.rate);
        }
        let (make, others) = rest.split_at_mut(count as usize);
        draw_together(make, sum / count, caution);
        rest = others;
    }
}

fn draw_together(make: &mut [&mut Known], average: u128, caution: u128) {
    let count = make.len() as u128;
    // In hundredths of what chance does on average.
    let spread: u128 = make.iter().map(|k| ratio(k.rate.abs_diff(average), k.error)).sum();
    let explained = 100 * (count - 1) + 100 * caution * (2 * (count - 1)).isqrt();
    let drawn = if spread <= explained { ONE } else { explained * ONE / spread };
    let common = make.iter().map(|k| k.error * k.error).sum::<u128>().isqrt() / count;
    for known in make {
        let mix = |own: u128, all: u128| (own * (ONE - drawn) + all * drawn) / ONE;
        **known = Known { rate: mix(known.rate, average), error: mix(known.error, common) };
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

    fn evened(rates: &[(u128, u128)]) -> Vec<(u128, u128)> {
        let mut all: Vec<Known> = rates.iter().map(|(rate, error)| Known { rate: *rate, error: *error }).collect();
        even(all.iter_mut(), 2);
        all.into_iter().map(|known| (known.rate, known.error)).collect()
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
        // Large numbers are scaled and scaled back.
        assert_eq!(
            evened(&[(4 << 90, 1 << 90), (6 << 90, 1 << 90)]).iter().map(|k| k.0).collect::<Vec<_>>(),
            [5 << 90; 2]
        );
        // Known exactly: nothing is drawn anywhere.
        assert_eq!(evened(&[(7, 0), (8, 0)]), [(7, 0), (8, 0)]);
    }
}
