//! Weights as the operator writes them, made into shares of work.

use alloc::vec;
use alloc::vec::Vec;

use super::types::WEIGHT_SUM;

/// Shares in parts per million with the sum [`WEIGHT_SUM`], in proportion to the weights, by largest remainder. Equal
/// weights may differ by one part, a larger weight never gets less than a smaller one, a weight of 0 gets 0 and any
/// other at least one part. None if there is no weight above 0. Weights above 10^31 count as 10^31.
pub fn normalise(weights: &[u128]) -> Option<Vec<u32>> {
    /// Eight of them, times a million, fit 128 bits.
    const MOST: u128 = 10u128.pow(31);
    let weights: Vec<u128> = weights.iter().map(|w| (*w).min(MOST)).collect();
    let sum = weights.iter().fold(0u128, |sum, w| sum.saturating_add(*w));
    if sum == 0 {
        return None;
    }
    let total = u128::from(WEIGHT_SUM);
    let mut shares: Vec<u32> = Vec::with_capacity(weights.len());
    let mut order: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    for (i, weight) in weights.iter().enumerate() {
        let scaled = weight.saturating_mul(total);
        shares.push(u32::try_from(scaled / sum).unwrap_or(WEIGHT_SUM));
        order.push((scaled % sum, i));
    }
    // Largest remainder first; of equal ones the larger weight, then the first.
    order.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| weights[b.1].cmp(&weights[a.1])).then_with(|| a.1.cmp(&b.1)));
    let given: u32 = shares.iter().sum();
    for (_, i) in order.into_iter().take((WEIGHT_SUM.saturating_sub(given)) as usize) {
        shares[i] += 1;
    }
    for i in 0..shares.len() {
        if shares[i] == 0 && weights[i] > 0 {
            shares[i] = 1;
            // From the largest share; of equal ones from the smallest weight, so that the order stays.
            if let Some(rich) =
                (0..shares.len()).max_by(|a, b| shares[*a].cmp(&shares[*b]).then_with(|| weights[*b].cmp(&weights[*a])))
            {
                shares[rich] = shares[rich].saturating_sub(1);
            }
        }
    }
    Some(shares)
}

/// Equal shares for the slots that are true.
pub(super) fn even(present: &[bool]) -> Vec<u32> {
    let ones: Vec<u128> = present.iter().map(|p| u128::from(*p)).collect();
    normalise(&ones).unwrap_or_else(|| vec![0; present.len()])
}
