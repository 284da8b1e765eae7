//! What came of a simulated world: a table for people, and a list of what must not be.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::frame::Complaints;
use crate::miner::MinerSnapshot;
use crate::pool::{PoolSnapshot, Reason};

/// The result of a world at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Virtual time, in microseconds.
    pub now_us: u64,
    /// Calls of `step`.
    pub steps: u64,
    /// Each pool's counters.
    pub pools: Vec<PoolSnapshot>,
    /// Each miner's counters.
    pub miners: Vec<MinerSnapshot>,
    /// Hashes that each miner did for each pool, by its rate and the time it had that pool's job. The true work.
    pub hashes: Vec<Vec<f64>>,
    /// Submitted shares that no pool ever saw.
    pub never_forwarded: u64,
    /// Everything that is wrong.
    pub violations: Vec<String>,
}

impl Outcome {
    /// The part of all true work that was done for a pool.
    pub fn share_of(&self, pool: usize) -> f64 {
        let all: f64 = self.hashes.iter().flatten().sum();
        let own: f64 = self.hashes.iter().filter_map(|row| row.get(pool)).sum();
        if all > 0.0 { own / all } else { 0.0 }
    }

    /// Accepted shares at all pools.
    pub fn accepted(&self) -> u64 {
        self.pools.iter().map(|pool| pool.shares.accepted()).sum()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "virtual time {:.1} s, {} steps", self.now_us as f64 / 1e6, self.steps)?;
        for (i, pool) in self.pools.iter().enumerate() {
            let letter = char::from(b'A' + i as u8);
            write!(f, "pool {letter} {:<12} work {:6.2} %", pool.name, self.share_of(i) * 100.0)?;
            write!(f, "  connections {} ({} so far)  jobs {}", pool.connections.len(), pool.connects, pool.jobs)?;
            for reason in Reason::ALL {
                if reason == Reason::Accepted || pool.shares.count(reason) > 0 {
                    write!(f, "  {} {}", reason.label(), pool.shares.count(reason))?;
                }
            }
            writeln!(f)?;
        }
        for miner in &self.miners {
            write!(f, "miner {:<8} {:<14}", miner.name, miner.personality)?;
            write!(f, " submitted {:5} accepted {:5}", miner.submitted, miner.accepted)?;
            write!(f, " refused {:?} open {} lost {}", miner.rejected, miner.unanswered, miner.lost_with_connection)?;
            writeln!(f, " jobs {} drops {} idle {:.1} s", miner.jobs, miner.disconnects, miner.idle_us as f64 / 1e6)?;
        }
        writeln!(f, "found while their pool was down, or for a job long gone: {}", self.never_forwarded)?;
        if !self.violations.is_empty() {
            writeln!(f, "violations {}", self.violations.len())?;
        }
        self.violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}

/// Headers that miners hashed and no pool has rebuilt yet, the latest so many.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    open: BTreeMap<[u8; 32], usize>,
    order: VecDeque<[u8; 32]>,
    dropped: u64,
}

impl Headers {
    const KEPT: usize = 200_000;

    /// A miner submitted it.
    pub(super) fn submitted(&mut self, hash: [u8; 32], miner: usize) {
        self.open.insert(hash, miner);
        self.order.push_back(hash);
        if self.order.len() > Self::KEPT
            && let Some(old) = self.order.pop_front()
            && self.open.remove(&old).is_some()
        {
            self.dropped += 1;
        }
    }

    /// A pool rebuilt it; which miner it is from.
    pub(super) fn rebuilt(&mut self, hash: &[u8; 32]) -> Option<usize> {
        self.open.remove(hash)
    }

    /// How many no pool ever saw.
    pub(super) fn never_seen(&self) -> u64 {
        self.dropped + self.open.len() as u64
    }
}

/// The list of what is wrong: what the world saw itself, and what the peers complain of.
pub(super) fn violations(own: &Complaints, pools: &[PoolSnapshot], miners: &[MinerSnapshot]) -> Vec<String> {
    let mut all: Vec<String> = own.first.iter().map(|what| format!("world: {what}")).collect();
    let low_at_pools: u64 = pools
        .iter()
        .map(|pool| pool.shares.count(Reason::LowDifficulty) + pool.shares.count(Reason::LowForChange))
        .sum();
    let low_at_miners: u64 = miners.iter().filter_map(|miner| miner.rejected.get(&23)).sum();
    if low_at_miners > low_at_pools {
        all.push(format!("{low_at_miners} shares refused with 23, pools only refused {low_at_pools} for it"));
    }
    for pool in pools {
        all.extend(pool.complaints.first.iter().map(|what| format!("pool {}: {what}", pool.name)));
    }
    for miner in miners {
        let who = format!("miner {} ({})", miner.name, miner.personality);
        all.extend(miner.violations.first.iter().map(|what| format!("{who}: {what}")));
        for ((code, words), times) in miner.refusals.iter().filter(|((code, words), _)| blames(*code, words)) {
            // One that rolls as it likes may be told so, and one that repeats itself.
            let repeats = *code == 22 && *times <= miner.repeated;
            // A pool says so of a block, which is tried against its mask; of anything else it complains by itself.
            let tried = words == "Invalid version mask";
            if !(repeats || tried || miner.rolls_at_will && words.contains("ersion")) {
                all.push(format!("{who}: honest shares refused {times} times with {code} {words:?}"));
            }
        }
        let ends = miner.accepted + miner.rejected_total() + miner.unanswered + miner.lost_with_connection;
        // Those that were given up as overdue are violations already.
        if ends > miner.submitted || ends < miner.submitted && miner.violations.is_empty() {
            all.push(format!("{who}: {} submitted, {ends} ends", miner.submitted));
        }
    }
    all
}

/// A refusal that no share of a simulated miner deserves, since none repeats a header or sends nonsense. Stale work and
/// pools that do not answer are nobody's fault.
fn blames(code: i64, words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    matches!(code, 22 | 24 | 25) || ["version", "hex", "malformed", "worker"].iter().any(|word| words.contains(word))
}
