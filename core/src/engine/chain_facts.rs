//! What a pool's jobs tell of its chain: height, the network's difficulty, and whether the coinbase pays the wallet. Told
//! when it changes, and never enforced.

use super::state::Engine;
use crate::action::ActionBuf;
use crate::chain::coinbase::Coinbase;
use crate::chain::payout::{self, Payout};
use crate::difficulty::Target;
use crate::ids::GroupId;
use crate::job::PoolJobKey;
use crate::notice::Notice;
use crate::pool::ChainSeen;
use crate::time::{Span, Time};

/// A lower height is believed of another connection than the one that told the higher after this time: connections to
/// one pool hear of a block one after the other.
const LAGGARDS: Span = Span::secs(60);

impl Engine {
    /// A pool has sent a job: the height of its block, if the coinbase tells it.
    pub(super) fn learn_chain(
        &mut self,
        group: GroupId,
        key: PoolJobKey,
        now: Time,
        out: &mut ActionBuf,
    ) -> Option<u32> {
        let job = self.groups.get(&group)?.jobs.pool_job(key)?;
        let facts = self.facts.get_mut(job.pool.index())?;
        // The miner's part is not known yet, and does not matter.
        let blank = [0; 255];
        let bytes = job.coinbase(blank.get(..usize::from(job.extranonce2_bytes)).unwrap_or(&blank));
        let coinbase = Coinbase::read(&bytes);
        let payout = match (&facts.wallet, &coinbase) {
            (None, _) => Payout::NoAddress,
            (Some(_), None) => Payout::Unreadable,
            (Some(wallet), Some(coinbase)) => payout::of(coinbase, wallet, facts.paid),
        };
        let height = coinbase.as_ref().and_then(Coinbase::height);
        let seen = ChainSeen { height, nbits: job.nbits, payout, by: job.upstream, at: now };
        if let Some(last) = &mut facts.chain {
            let kind = core::mem::discriminant::<Payout>;
            let same = last.height == height && last.nbits == job.nbits && kind(&last.payout) == kind(&payout);
            let laggard = height < last.height && last.by != job.upstream && now.since(last.at) < LAGGARDS;
            if same || laggard {
                if same {
                    *last = seen;
                }
                return height;
            }
        }
        facts.paid |= matches!(payout, Payout::Pays { .. });
        facts.chain = Some(seen);
        let network_difficulty = Target::from_compact(job.nbits).difficulty();
        out.notice(Notice::PoolChain { pool: job.pool, height, nbits: job.nbits, network_difficulty, payout });
        height
    }
}
