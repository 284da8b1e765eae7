//! One chain as the pools' jobs show it: when each height appeared, how hard its blocks are, and which pools are not to be
//! believed.
//!
//! A height is *timed* when it came on a connection that had shown a lower one before: then the block was found just now.
//! What a new connection shows first may be minutes old: it moves the tip and has no time. Blocks that were missed are
//! counted by their heights.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::balance::{HashRate, Interval, Reading};
use crate::ids::PoolId;

/// Blocks of the short window.
pub(crate) const SHORT: u32 = 6;
/// Blocks of the long window.
pub(crate) const LONG: u32 = 72;
/// Blocks that are remembered: the long window twice, as it may begin in a gap.
const MOST_BLOCKS: usize = 2 * LONG as usize + 16;
/// Taken for the time between blocks as long as it is not known, in ms.
const USUAL_SPACING: u64 = 600_000;
/// A header's time may differ this much from the clock, in s: what nodes take.
const CLOCK_TOLERANCE: u64 = 7_200;
/// A pool this far behind for [`LAG_PATIENCE`] lags.
const LAG_BLOCKS: u32 = 2;
/// In ms.
const LAG_PATIENCE: u64 = 60_000;
/// Work per block differs from one block to the next by this factor at most.
const MOST_RETARGET: u128 = 4;
/// A chain does not grow by so many blocks in less than so many times the usual time between two: twelve in ten minutes, and
/// six times the usual rate for long.
const RACES: [(u32, u64); 2] = [(12, 1), (LONG, 12)];
/// A pool that all others contradict is believed after this many blocks of its own, if no other was right lately.
const CONVINCES: u32 = 6;
/// Lately, in ms.
const LATELY: u64 = 1_800_000;
/// A chain of which nothing was heard for so long is not known any more, in ms. Some pools send jobs for new blocks only.
pub(crate) const STALE: u64 = 7_200_000;

/// A height and when it appeared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The height that jobs were for before it was found, and one more: the one that they are for since.
    pub height: u32,
    /// When, in milliseconds since 1970.
    pub seen_ms: u64,
    /// Hashes that a block takes on average from here on.
    pub hashes: u128,
    /// `seen_ms` is the time at which the block before was found, not only heard of.
    pub timed: bool,
}

/// Why a pool is not believed about its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// Its headers' time is off by this many seconds.
    ClockOff {
        /// Seconds, negative when it is behind.
        seconds: i64,
    },
    /// Its height went ahead of what can have happened.
    Jumps {
        /// The height that is known.
        from: u32,
        /// The height that it claims.
        to: u32,
    },
    /// It stays behind the others.
    Lags {
        /// Blocks.
        blocks: u32,
    },
    /// Its target differs from the last block's by more than a retarget can.
    Target,
    /// Its height grows faster than the chain can.
    Races {
        /// Blocks.
        blocks: u32,
        /// In so many seconds.
        seconds: u64,
    },
}

/// A job, as far as it concerns the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) pool: PoolId,
    /// The height that the same connection showed before.
    pub(crate) before: Option<u32>,
    pub(crate) height: u32,
    pub(crate) hashes: u128,
    /// The header's time, seconds since 1970.
    pub(crate) ntime: u32,
    pub(crate) now_ms: u64,
}

/// What a job told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing new.
    Nothing,
    /// A new height.
    Height(Block),
    /// The pool is not believed, since this job.
    Doubted(Doubt),
    /// The pool is believed again.
    Trusted,
    /// All that was known of the chain was forgotten: the pool has shown another one for long enough.
    Restarted,
}

/// What is known of one pool as a witness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Witness {
    doubt: Option<Doubt>,
    /// Heights of its own since it is doubted for its height.
    own_blocks: u32,
    last_height: u32,
    /// When it last agreed with the history, in ms.
    right_ms: Option<u64>,
    /// When it last said anything, in ms.
    said_ms: u64,
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainMemory {
    /// Oldest first.
    #[serde(default)]
    pub blocks: Vec<Block>,
    /// When a believed pool last sent a job, in milliseconds since 1970.
    #[serde(default)]
    pub heard_ms: Option<u64>,
}

/// One chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    blocks: VecDeque<Block>,
    witnesses: BTreeMap<PoolId, Witness>,
    heard_ms: Option<u64>,
    /// The time between blocks that the chain's rules aim at, in ms, where it is known.
    aim_ms: Option<u64>,
}

/// Some blocks and the time that they took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    blocks: u32,
    millis: u64,
    hashes: u128,
}

impl History {
    pub(crate) fn recall(memory: &ChainMemory) -> History {
        let mut blocks: VecDeque<Block> = VecDeque::new();
        for block in memory.blocks.iter().rev().take(MOST_BLOCKS).rev() {
            // A file may hold anything: only what can be a history is taken.
            if blocks.back().is_none_or(|b| b.height < block.height && b.seen_ms <= block.seen_ms) && block.hashes > 0 {
                blocks.push_back(*block);
            }
        }
        History { blocks, heard_ms: memory.heard_ms, ..History::default() }
    }

    /// The chain's name tells how fast it is to grow, if it is a known one.
    pub(crate) fn call(&mut self, chain: &str) {
        let known = ["BTC", "BCH", "BSV", "XEC", "NMC"].contains(&chain);
        self.aim_ms = known.then_some(USUAL_SPACING);
    }

    pub(crate) fn memory(&self) -> ChainMemory {
        ChainMemory { blocks: self.blocks.iter().copied().collect(), heard_ms: self.heard_ms }
    }

    /// A pool has sent a job.
    pub(crate) fn see(&mut self, sight: Sight) -> Told {
        let old = self.witnesses.get(&sight.pool).copied().unwrap_or_default();
        let doubt = self.doubt(&sight);
        let mut witness = Witness { doubt, last_height: sight.height, said_ms: sight.now_ms, ..old };
        let Some(doubt) = doubt else {
            witness.own_blocks = 0;
            witness.right_ms = Some(sight.now_ms);
            self.witnesses.insert(sight.pool, witness);
            self.heard_ms = Some(sight.now_ms);
            let told = self.extend(&sight);
            return if told == Told::Nothing && old.doubt.is_some() { Told::Trusted } else { told };
        };
        if matches!(doubt, Doubt::Races { .. }) {
            self.undo(sight.pool, sight.now_ms);
        }
        let differs = matches!(doubt, Doubt::Jumps { .. } | Doubt::Lags { .. } | Doubt::Target);
        if differs && old.doubt.is_some() && sight.height > old.last_height {
            witness.own_blocks = old.own_blocks.saturating_add(1);
        }
        let contradicted = self
            .witnesses
            .iter()
            .any(|(pool, w)| *pool != sight.pool && w.right_ms.is_some_and(|at| at + LATELY > sight.now_ms));
        if witness.own_blocks >= CONVINCES && !contradicted {
            *self = History { aim_ms: self.aim_ms, ..History::default() };
            self.extend(&sight);
            self.heard_ms = Some(sight.now_ms);
            let (last_height, now) = (sight.height, sight.now_ms);
            let witness = Witness { last_height, right_ms: Some(now), said_ms: now, ..Witness::default() };
            self.witnesses.insert(sight.pool, witness);
            return Told::Restarted;
        }
        self.witnesses.insert(sight.pool, witness);
        let same = old.doubt.is_some_and(|old| core::mem::discriminant(&old) == core::mem::discriminant(&doubt));
        if same { Told::Nothing } else { Told::Doubted(doubt) }
    }

    /// What is wrong with what the pool shows, if anything.
    fn doubt(&self, sight: &Sight) -> Option<Doubt> {
        let (ntime, now) = (u64::from(sight.ntime), sight.now_ms / 1000);
        if ntime.abs_diff(now) > CLOCK_TOLERANCE {
            return Some(Doubt::ClockOff { seconds: i64::from(sight.ntime) - i64::try_from(now).unwrap_or(i64::MAX) });
        }
        let tip = self.blocks.back()?;
        let since_tip = sight.now_ms.saturating_sub(tip.seen_ms);
        let spacing = self.window(12).map_or(USUAL_SPACING, |w| (w.millis / u64::from(w.blocks)).max(1000));
        let plausible = u32::try_from(3 + 4 * since_tip / spacing).unwrap_or(u32::MAX);
        if sight.height > tip.height.saturating_add(plausible) || sight.height > tip.height && self.outvoted(sight) {
            return Some(Doubt::Jumps { from: tip.height, to: sight.height });
        }
        if sight.height > tip.height
            && let Some(doubt) = self.races(sight)
        {
            return Some(doubt);
        }
        let behind = tip.height.saturating_sub(sight.height);
        if behind >= LAG_BLOCKS && since_tip > LAG_PATIENCE {
            return Some(Doubt::Lags { blocks: behind });
        }
        let (least, most) = (tip.hashes.min(sight.hashes), tip.hashes.max(sight.hashes));
        // Over a long gap there may be several retargets.
        let steps = 1 + sight.height.saturating_sub(tip.height) / 144;
        (behind == 0 && most / least.max(1) > MOST_RETARGET.saturating_pow(steps.min(32))).then_some(Doubt::Target)
    }

    /// What other pools than this said lately, if they are not wrong about more than the height.
    fn others(&self, pool: PoolId, now_ms: u64) -> impl Iterator<Item = u32> + '_ {
        let counts =
            move |w: &Witness| matches!(w.doubt, None | Some(Doubt::Lags { .. })) && w.said_ms + LATELY > now_ms;
        self.witnesses.iter().filter(move |(p, w)| **p != pool && counts(w)).map(|(_, w)| w.last_height)
    }

    /// Two others or more are far behind this height, and fewer are with it.
    fn outvoted(&self, sight: &Sight) -> bool {
        let (behind, with) = self
            .others(sight.pool, sight.now_ms)
            .fold((0, 0), |(b, w), height| if height + 1 < sight.height { (b + 1, w) } else { (b, w + 1) });
        behind >= 2 && behind > with
    }

    /// The chain cannot have grown to this height by now.
    fn races(&self, sight: &Sight) -> Option<Doubt> {
        let usual = self.aim_ms.or_else(|| self.window(LONG).map(|w| w.millis / u64::from(w.blocks)))?;
        RACES.iter().find_map(|(least, spacings)| {
            let from = sight.height.checked_sub(*least)?;
            let begin = self.blocks.iter().rfind(|b| b.height <= from)?;
            let passed = sight.now_ms.saturating_sub(begin.seen_ms);
            let blocks = sight.height - begin.height;
            (passed < usual * spacings).then_some(Doubt::Races { blocks, seconds: passed / 1000 })
        })
    }

    /// The pool was wrong about the last heights: those that no other pool showed are forgotten, if there are others.
    fn undo(&mut self, pool: PoolId, now_ms: u64) {
        let Some(height) = self.others(pool, now_ms).max() else { return };
        while self.blocks.back().is_some_and(|tip| tip.height > height) {
            self.blocks.pop_back();
        }
    }

    fn extend(&mut self, sight: &Sight) -> Told {
        let tip = self.blocks.back();
        if tip.is_some_and(|tip| sight.height <= tip.height) {
            return Told::Nothing;
        }
        let block = Block {
            height: sight.height,
            seen_ms: sight.now_ms.max(tip.map_or(0, |tip| tip.seen_ms)),
            hashes: sight.hashes,
            timed: sight.before.is_some_and(|before| before < sight.height),
        };
        if self.blocks.len() >= MOST_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(block);
        Told::Height(block)
    }

    /// The newest `least` blocks, or some more where the window would begin in a gap, but not twice as many.
    fn window(&self, least: u32) -> Option<Window> {
        let last = self.blocks.iter().rposition(|b| b.timed)?;
        let end = self.blocks.get(last)?;
        let from = end.height.checked_sub(least)?;
        let first = self.blocks.iter().take(last).rposition(|b| b.timed && b.height <= from)?;
        let begin = self.blocks.get(first)?;
        let blocks = end.height - begin.height;
        if blocks > 2 * least {
            return None;
        }
        let mut hashes = 0u128;
        let mut height = begin.height;
        for pair in self.blocks.range(first..=last).collect::<Vec<_>>().windows(2) {
            // Found at the target that held since the height before; those that were missed, at the later one.
            let [before, after] = pair else { continue };
            hashes += before.hashes + after.hashes * u128::from(after.height - height - 1);
            height = after.height;
        }
        Some(Window { blocks, millis: end.seen_ms.saturating_sub(begin.seen_ms), hashes })
    }

    /// The chain's hash rate, once the long window is full.
    pub(crate) fn reading(&self) -> Option<Reading> {
        let (short, long) = (self.window(SHORT)?, self.window(LONG)?);
        let rate = |w: Window| HashRate::of(w.hashes, w.millis.max(1));
        let (short_rate, long_rate) = (rate(short)?, rate(long)?);
        Some(Reading {
            short: short_rate,
            long: long_rate,
            short_interval: Some(Interval::around(short_rate, short.blocks)),
            long_interval: Some(Interval::around(long_rate, long.blocks)),
        })
    }

    /// Blocks of the long window that are known: 72 when [`History::reading`] may speak.
    pub(crate) fn known_blocks(&self) -> u32 {
        if self.window(LONG).is_some() {
            return LONG;
        }
        let mut timed = self.blocks.iter().filter(|b| b.timed);
        let first = timed.next();
        let last = timed.next_back();
        first.zip(last).map_or(0, |(first, last)| (last.height - first.height).min(LONG - 1))
    }

    /// The newest height.
    pub(crate) fn tip(&self) -> Option<&Block> {
        self.blocks.back()
    }

    /// Mean hashes a block over the long window, or as far as known.
    pub(crate) fn usual_hashes(&self) -> Option<u128> {
        if let Some(window) = self.window(LONG) {
            return Some(window.hashes / u128::from(window.blocks));
        }
        self.tip().map(|tip| tip.hashes)
    }

    /// When a believed pool last sent a job.
    pub(crate) fn heard_ms(&self) -> Option<u64> {
        self.heard_ms
    }

    /// Pools that are not believed now.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = (PoolId, Doubt)> + '_ {
        self.witnesses.iter().filter_map(|(pool, w)| Some((*pool, w.doubt?)))
    }

    /// The pool is another one now, or mines another chain.
    pub(crate) fn forget_witness(&mut self, pool: PoolId) {
        self.witnesses.remove(&pool);
    }
}

#[cfg(test)]
mod tests;
