//! What each pool's jobs tell of the chain, and what its hash rate may hope for there: filled from a snapshot.

use prometheus::{Error, GaugeVec};

use super::series::Maker;
use crate::statistics::snapshot::Pool;

/// Whether jobs pay the wallet: the values of the label `payout`.
const PAYOUTS: [&str; 5] = ["pays", "later", "no", "no_address", "unreadable"];

/// The series.
#[derive(Clone, Debug)]
pub(super) struct ChainSeries {
    height: GaugeVec,
    network_difficulty: GaugeVec,
    payout: GaugeVec,
    expected: GaugeVec,
    odds: GaugeVec,
    blocks: GaugeVec,
}

impl ChainSeries {
    pub(super) fn new(make: &Maker<'_>, pools: &[String]) -> Result<ChainSeries, Error> {
        let pool = &["pool"];
        let series = ChainSeries {
            height: make.levels(
                "dpmp_pool_height",
                "Height of the block that the pool's jobs are for; NaN: not known yet.",
                pool,
            )?,
            network_difficulty: make.levels(
                "dpmp_pool_network_difficulty",
                "Difficulty of a block on the pool's chain, by its jobs; NaN: not known yet.",
                pool,
            )?,
            payout: make.levels(
                "dpmp_pool_payout",
                "1 for what the coinbase of the pool's jobs does, else 0. pays: it pays the configured wallet; later: the pool \
                 pays later; no: it paid the wallet before and does no more (look at the wallet); no_address: no wallet to \
                 look for; unreadable: no coinbase. All 0: no job yet.",
                &["pool", "payout"],
            )?,
            expected: make.levels(
                "dpmp_pool_expected_block_seconds",
                "Average time to a block at the pool's hash rate of the last hour; NaN: not known yet.",
                pool,
            )?,
            odds: make.levels(
                "dpmp_pool_block_odds_per_day",
                "Probability of a block within a day at that hash rate (0 to 1); NaN: not known yet.",
                pool,
            )?,
            blocks: make.levels(
                "dpmp_pool_blocks",
                "Shares for the pool that met the network's target, of all time, over restarts.",
                pool,
            )?,
        };
        for letter in pools {
            series.show(&Pool { pool: letter.clone(), ..Pool::default() });
        }
        Ok(series)
    }

    /// There is no such pool any more; an error is that there was none.
    pub(super) fn forget(&self, letter: &str) {
        for series in [&self.height, &self.network_difficulty, &self.expected, &self.odds, &self.blocks] {
            let _ = series.remove_label_values(&[letter]);
        }
        for payout in PAYOUTS {
            let _ = self.payout.remove_label_values(&[letter, payout]);
        }
    }

    /// Fills them.
    pub(super) fn show(&self, pool: &Pool) {
        let label = &[pool.pool.as_str()];
        let known = |series: &GaugeVec, n: Option<f64>| series.with_label_values(label).set(n.unwrap_or(f64::NAN));
        known(&self.height, pool.height.map(f64::from));
        known(&self.network_difficulty, pool.network_difficulty);
        known(&self.expected, pool.expected_block_seconds);
        known(&self.odds, pool.block_odds_per_day);
        known(&self.blocks, Some(pool.blocks as f64));
        for payout in PAYOUTS {
            let set = pool.payout == Some(payout);
            self.payout.with_label_values(&[pool.pool.as_str(), payout]).set(f64::from(u8::from(set)));
        }
    }
}

#[cfg(test)]
mod tests {
    use dpmp_core::chain::payout::Payout;

    use super::*;

    #[test]
    fn every_payout_has_a_label() {
        let all = [
            Payout::NoAddress,
            Payout::Unreadable,
            Payout::Pays { satoshis: 1, total: 1 },
            Payout::Later { total: 1 },
            Payout::No { total: 1 },
        ];
        assert!(all.iter().all(|payout| PAYOUTS.contains(&payout.name())));
        assert_eq!(all.len(), PAYOUTS.len());
    }
}
