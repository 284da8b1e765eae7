//! Statistics: the ledger, what stands now, and the snapshots that screens and metrics show.
//!
//! `snapshot` names what can be had, `take` fills it, `interval` says how sure a split is, `tell` tells the
//! log of it; `live` is what stands now,
//! `latency` how long things take; `keeper` is the thread that owns it all, `channel` the way to it.

mod channel;
pub mod interval;
mod keeper;
mod latency;
mod live;
pub mod snapshot;
mod take;
mod tell;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use dpmp_core::config::Config;
use dpmp_core::ledger::{Bests, Ledger};
use dpmp_core::notice::BlockWay;
use dpmp_core::{Memory, Notice, PoolId, Span};
use log::Level;

use crate::background;
use crate::clock::{Clock, unix_micros};
use crate::live_weights::LiveWeights;
use crate::logs::line;
use crate::records::bests;
use crate::records::blocks::{BlockLine, Blocks};
use crate::records::books::Books;
use crate::records::journal::{self, Journal, Written};
use crate::state::{self, Files, MEMORY};
pub use channel::{NotTaken, Reply, Reporter, Statistics};
use keeper::{Keeper, Pending, Saved};
use latency::Readings;
pub use latency::{Measured, Stopwatch};
use live::Live;
pub use snapshot::Snapshot;
pub(crate) use take::slot_letter;

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
    /// For the loop: where it writes down what must not be lost.
    pub(crate) books: Option<Books>,
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
    let mut state = places.map(|places| state::load(&places.state)).unwrap_or_default();
    let document = std::mem::take(&mut state.value);
    let mut lame = |why: String| {
        // The file is fine but for this section: a copy is kept, since the next save drops it.
        if let Some(places) = places {
            state.copy_aside(&places.state, &format!("is used but for this: {why}"));
        }
    };
    let memory = document.get(MEMORY).unwrap_or_else(|why| {
        lame(why);
        None
    });
    let saved = Saved::of(&document).unwrap_or_else(|why| {
        lame(why);
        None
    });
    let best_shares = places.map(|places| bests::load(&places.best_shares())).unwrap_or_default();
    let (blocks, found) = places.map(|places| Blocks::open(&places.blocks())).unzip();
    let found = found.unwrap_or_default();
    [&state.trouble, &best_shares.trouble, &found.trouble].into_iter().flatten().for_each(|words| damaged(words));
    let mut all = best_shares.value.bests.clone();
    for best in found.bests.workers.values().chain(found.bests.pools.values()) {
        all.consider(best);
    }
    let mut ledger = match saved {
        Some(saved) => saved.ledger.resume(config, down(saved.saved), all),
        None => Ledger::default().resume(config, Span::ZERO, all),
    };
    found.of_pool.iter().for_each(|(pool, blocks)| ledger.recall_blocks(pool, *blocks));
    ledger.wall_clock(clock.now(), unix_micros());
    let (reporter, statistics, inbox) = channel::channel();
    let journal = places.map(|places| Journal::of(&places.best_shares()));
    let files = places.zip(journal.as_ref()).map(|(places, journal)| {
        let unless = |keep_off: bool, path: PathBuf| (!keep_off).then_some(path);
        let best_shares = unless(best_shares.keep_off, places.best_shares());
        Files::start(unless(state.keep_off, places.state.clone()), best_shares, journal.clone())
    });
    let files = files.transpose()?;
    let memory: Memory = memory.unwrap_or_default();
    let books = journal.zip(blocks).map(|(journal, blocks)| Books {
        best_shares: journal.best_shares().to_owned(),
        written: Written::of(ledger.bests()),
        record: ledger.bests().overall().map_or(0.0, |best| best.difficulty.as_f64()),
        journal,
        blocks,
        failing: false,
    });
    let keeper = Keeper {
        inbox,
        clock,
        config: config.clone(),
        // What v2 left, what the journal holds, and what a block tells is written into the file at the first save.
        state: Pending::new(places.is_some_and(|places| needs_writing(places, &best_shares.value, ledger.bests()))),
        ledger,
        live: Live::default(),
        readings: Readings::new(stopwatch.clone()),
        best_shares: best_shares.value,
        blocks: found.latest.iter().map(snapshot::Block::from).collect(),
        document,
        memory: memory.clone(),
        files,
        weights,
    };
    let thread = background::spawn("statistics", move || keeper.run())?;
    Ok(Started { memory, reporter, statistics, books, thread })
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
    let journal = [journal::path, journal::put_away].map(|path| path(&places.best_shares()));
    !read.imported.is_empty() || read.bests != *now || journal.iter().any(|path| path.exists())
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
