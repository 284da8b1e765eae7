//! Does a job's coinbase pay the configured wallet? Shown, never enforced.

use serde::{Deserialize, Serialize};

use super::coinbase::Coinbase;

/// What a pool's jobs pay to the wallet that is configured for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Payout {
    /// No wallet is configured, or it is a name: there is nothing to look for.
    NoAddress,
    /// The coinbase cannot be read.
    Unreadable,
    /// A block would pay the wallet at once.
    Pays {
        /// What the wallet would get, in the chain's smallest unit.
        satoshis: u64,
        /// What the whole coinbase pays.
        total: u64,
    },
    /// It pays somebody else, and always has: a pool that takes the block and pays its miners later.
    Later {
        /// What the whole coinbase pays.
        total: u64,
    },
    /// It pays somebody else, although earlier jobs of this pool paid the wallet.
    No {
        /// What the whole coinbase pays.
        total: u64,
    },
}

impl Payout {
    /// Its name in logs, metrics and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Payout::NoAddress => "no_address",
            Payout::Unreadable => "unreadable",
            Payout::Pays { .. } => "pays",
            Payout::Later { .. } => "later",
            Payout::No { .. } => "no",
        }
    }
}

/// What `coinbase` pays to the wallet with this script. `paid_before`: an earlier job did.
pub fn of(coinbase: &Coinbase<'_>, wallet: &[u8], paid_before: bool) -> Payout {
    let (mut satoshis, mut total) = (0u64, 0u64);
    for output in coinbase.outputs() {
        total = total.saturating_add(output.satoshis);
        if output.script == wallet {
            satoshis = satoshis.saturating_add(output.satoshis);
        }
    }
    match (satoshis, paid_before) {
        (0, false) => Payout::Later { total },
        (0, true) => Payout::No { total },
        (satoshis, _) => Payout::Pays { satoshis, total },
    }
}
