//! Statistics: the ledger, what stands now, and the snapshots that screens and metrics show.
//!
//! `snapshot` names what can be had, `take` fills it, `interval` says how sure a split is; `live` is what stands now,
//! `latency` how long things take; `keeper` is the thread that owns it all, `channel` the way to it.

mod channel;
pub mod interval;
mod keeper;
mod latency;
mod live;
pub mod snapshot;
mod take;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use dpmp_core::config::Config;
use dpmp_core::ledger::{Best, Bests, Ledger};
use dpmp_core::notice::BlockWay;
use dpmp_core::{Memory, Notice, PoolId, Span, Work};
use log::Level;

use crate::clock::{Clock, unix_micros};
use crate::live_weights::LiveWeights;
use crate::logs::line;
use crate::records::blocks::BlockLine;
use crate::records::{bests, blocks};
use crate::state::{self, Files, MEMORY, safe};
pub use channel::{NotTaken, Reply, Reporter, Statistics};
use keeper::{Keeper, Pending, Saved};
use latency::Readings;
pub use latency::{Measured, Stopwatch};
use live::Live;
pub use snapshot::Snapshot;

/// A longer absence than this is a wall clock that was wrong, now or then: it counts as none.
const LONGEST_REST: Span = Span::mins(365 * 24 * 60);

/// Where what lasts is kept: `state.json`, and beside it `best_shares.json` and `blocks.jsonl`.
#[derive(Clone, Debug)]
pub struct Places {
    /// `state.json`.
    pub state: PathBuf,
}

impl Places {
    /// `best_shares.json`.
    pub fn best_shares(&self) -> PathBuf {
        self.state.with_file_name("best_shares.json")
    }

    /// `blocks.jsonl`.
    pub fn blocks(&self) -> PathBuf {
        self.state.with_file_name("blocks.jsonl")
    }
}

/// The statistics, started.
#[derive(Debug)]
pub(crate) struct Started {
    /// What the engine remembered.
    pub(crate) memory: Memory,
    /// For the loop.
    pub(crate) reporter: Reporter,
    /// For everybody else.
    pub(crate) statistics: Statistics,
    /// The difficulty of the best share of all.
    pub(crate) record: f64,
    /// Ends after the loop, with the last snapshot.
    pub(crate) thread: JoinHandle<Arc<Snapshot>>,
}

/// Reads what lasts, and starts the thread. `clock`: that of the engine's time.
pub(crate) fn start(
    places: Option<&Places>,
    config: &Config,
    clock: Clock,
    stopwatch: &Stopwatch,
    weights: Option<Arc<LiveWeights>>,
) -> io::Result<Started> {
    let (document, trouble) = places.map(|places| state::load(&places.state)).unwrap_or_default();
    trouble.iter().for_each(|words| damaged(words));
    let lame = |why: String| {
        // The file is fine but for this section: a copy is kept, since the next save drops it.
        let kept = places.map(|places| safe::copy_aside(&places.state)).unwrap_or_default();
        damaged(&format!("state.json: {why}; all else in it is used; {kept}"));
    };
    let memory = document.get(MEMORY).unwrap_or_else(|why| {
        lame(why);
        None
    });
    let saved = Saved::of(&document).unwrap_or_else(|why| {
        lame(why);
        None
    });
    let (best_shares, trouble) = places.map(|places| bests::load(&places.best_shares())).unwrap_or_default();
    trouble.iter().for_each(|words| damaged(words));
    let (blocks, trouble) = places.map(|places| blocks::load(&places.blocks())).unwrap_or_default();
    trouble.iter().for_each(|words| damaged(words));
    let mut all = best_shares.bests.clone();
    blocks.iter().for_each(|block| recall(&mut all, block));
    let mut ledger = match saved {
        Some(saved) => saved.ledger.resume(config, down(saved.saved), all),
        None => Ledger::default().resume(config, Span::ZERO, all),
    };
    ledger.wall_clock(clock.now(), unix_micros());
    let (reporter, statistics, inbox) = channel::channel();
    let files = places.map(|places| Files::start(places.state.clone(), places.best_shares())).transpose()?;
    let memory: Memory = memory.unwrap_or_default();
    let record = ledger.bests().overall().map_or(0.0, |best| best.difficulty.as_f64());
    let keeper = Keeper {
        inbox,
        clock,
        config: config.clone(),
        // What v2 left, what the journal holds, and what a block tells is written into the file at the first save.
        state: Pending::new(places.is_some_and(|places| needs_writing(places, &best_shares, ledger.bests()))),
        ledger,
        live: Live::default(),
        readings: Readings::new(stopwatch.clone()),
        best_shares,
        blocks: blocks.iter().map(snapshot::Block::from).collect(),
        document,
        memory: memory.clone(),
        files,
        weights,
    };
    let thread = thread::Builder::new().name("statistics".to_owned()).spawn(move || keeper.run())?;
    Ok(Started { memory, reporter, statistics, record, thread })
}

fn damaged(words: &str) {
    line(Level::Warn, "state_damaged").text("text", words).send();
}

/// How long the program was not there; nothing if the wall clock cannot be right.
fn down(saved: u64) -> Span {
    let span = Span(unix_micros().saturating_sub(saved));
    if span > LONGEST_REST { Span::ZERO } else { span }
}

fn needs_writing(places: &Places, read: &bests::BestShares, now: &Bests) -> bool {
    !read.imported.is_empty() || read.bests != *now || bests::journal(&places.best_shares()).exists()
}

/// A block is somebody's best share, whatever else was lost.
fn recall(bests: &mut Bests, block: &BlockLine) {
    bests.consider(&Best {
        difficulty: Work::nearest(block.difficulty),
        worker: block.worker.as_str().into(),
        pool: block.pool.as_str().into(),
        unix: block.at,
    });
}

/// The line of a block candidate; none for any other notice. `key`: the pool's, by slot.
pub(crate) fn block_line(
    notice: &Notice,
    unix: u64,
    key: impl FnOnce(PoolId) -> Option<Arc<str>>,
) -> Option<BlockLine> {
    let Notice::BlockCandidate { who, pool, hash, achieved, block } = notice else { return None };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(BlockLine {
        at: unix,
        worker: dpmp_core::ledger::worker_key(who).as_ref().to_owned(),
        pool: key(*pool).map_or_else(|| pool.to_string(), |key| key.as_ref().to_owned()),
        hash: hash.iter().rev().map(|byte| format!("{byte:02x}")).collect(),
        difficulty: *achieved,
        network_difficulty: block.network_difficulty,
        height: block.height,
        way: match block.way {
            BlockWay::Owner => "owner",
            BlockWay::Twin => "twin",
            BlockWay::Nowhere => "nowhere",
        }
        .to_owned(),
        job: block.pool_job.as_ref().to_owned(),
        header: hex(&block.header),
        coinbase: hex(&block.coinbase),
        branches: block.branches.iter().map(|branch| hex(branch)).collect(),
    })
}

/// Writes a block candidate down, to the disk. Called by the loop before the miner is answered. One that cannot be
/// written is in the log, and goes to the pool all the same.
pub(crate) fn write_block(path: &Path, block: &BlockLine) {
    if let Err(error) = blocks::append(path, block) {
        line(Level::Error, "block_not_written")
            .show("path", path.display())
            .show("err", error)
            .text("hash", &block.hash)
            .text("text", "the pool has been sent the block; only this list lacks it")
            .send();
    }
}

/// Writes down a share that beats all that were before it. Called by the loop before the miner is answered.
pub(crate) fn write_record(places: &Places, best: &Best) {
    if let Err(error) = bests::append_record(&places.best_shares(), best) {
        line(Level::Warn, "record_not_written").show("err", error).text("text", "it is saved within a minute").send();
    }
}

impl From<&BlockLine> for snapshot::Block {
    fn from(block: &BlockLine) -> snapshot::Block {
        snapshot::Block {
            at: block.at,
            worker: block.worker.as_str().into(),
            pool: block.pool.as_str().into(),
            hash: block.hash.clone(),
            difficulty: block.difficulty,
            network_difficulty: block.network_difficulty,
            height: block.height,
            way: block.way.clone(),
        }
    }
}
