//! Where notices go: the list of blocks, log, metrics, readiness, statistics, and whoever builds a view. The only place
//! that hands them out, so that nothing is counted twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dpmp_core::config::Config;
use dpmp_core::ledger::pool_key;
use dpmp_core::{Action, Memory, Notice, PoolId, Span, Time};

use crate::clock::unix_micros;
use crate::feed::Feed;
use crate::logs;
use crate::metrics::Recorder;
use crate::records::books::Books;
use crate::statistics::{self, Measured, Reporter, Stopwatch};

/// The statistics have this long to take the last words of the loop.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What `/readyz` wants to know.
#[derive(Debug, Default)]
pub struct Readiness {
    /// Miners can connect.
    pub listening: AtomicBool,
    /// A pool has answered: a probe or a miner has subscribed to it.
    pub pool_seen: AtomicBool,
}

impl Readiness {
    /// True when miners can work here; otherwise what is missing.
    pub fn ready(&self) -> Result<(), &'static str> {
        if !self.listening.load(Ordering::Relaxed) {
            Err("not yet listening for miners")
        } else if !self.pool_seen.load(Ordering::Relaxed) {
            Err(
                "no pool has answered yet; the log says why under pool_initial_connect_failed, auth_result and pool_down",
            )
        } else {
            Ok(())
        }
    }
}

/// The renderings of the one stream of facts.
pub(crate) struct Facts {
    pub(crate) recorder: Recorder,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) feed: Option<Feed>,
    pub(crate) reporter: Reporter,
    pub(crate) stopwatch: Stopwatch,
    /// Where block candidates and best shares are written down; none: nowhere.
    pub(crate) books: Option<Books>,
    /// Each slot's pool, for those lists.
    pub(crate) pools: Vec<Arc<str>>,
}

/// Each slot's pool as lists name it.
pub(crate) fn pool_keys(config: &Config) -> Vec<Arc<str>> {
    config.pool_ids().zip(&config.pools).map(|(id, pool)| pool_key(id, &pool.address.host, pool.address.port)).collect()
}

impl Facts {
    /// What a step asks for, before any of it is done: a share that is the best of its worker or its pool is written down
    /// before the miner hears of it. That is rarer with each one; no other share waits for a file.
    pub(crate) fn before(&mut self, actions: &[Action]) {
        let Some(books) = &mut self.books else { return };
        for action in actions {
            if let Action::Notice(notice) = action {
                books.share(notice, &self.pools, || unix_micros() / 1_000_000);
            }
        }
    }

    /// A fact of the engine.
    pub(crate) fn notice(&mut self, now: Time, notice: &Notice) {
        match notice {
            // First of all, and to the disk.
            Notice::BlockCandidate { .. } => self.write_block(notice),
            Notice::PoolSubscribed { .. } | Notice::PoolUsable { .. } => {
                self.readiness.pool_seen.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        logs::render(notice);
        self.recorder.observe(now, notice);
        self.reporter.push(now, notice);
        if let Some(feed) = &mut self.feed {
            feed.push(now, notice);
        }
    }

    fn write_block(&mut self, notice: &Notice) {
        let key = |pool: PoolId| self.pools.get(pool.index()).cloned();
        if let Some(books) = &mut self.books
            && let Some(block) = statistics::block_line(notice, unix_micros() / 1_000_000, key)
        {
            books.block(&block);
        }
    }

    /// A message went to a miner (no pool), or to a pool. It may hold several lines.
    pub(crate) fn sent(&mut self, pool: Option<PoolId>, message: &[u8]) {
        let lines = message.iter().filter(|byte| **byte == b'\n').count();
        self.recorder.sent(pool, lines as u64);
    }

    /// The loop has measured something.
    pub(crate) fn measured(&mut self, what: Measured, span: Span) {
        self.recorder.measured(what, span);
        self.stopwatch.record(what, span);
    }

    /// Another config is in force.
    pub(crate) fn config(&mut self, config: &Config) {
        self.pools = pool_keys(config);
        self.recorder.config(config);
        self.reporter.config(config);
    }

    /// What the engine wants to remember over a restart. False: try again later.
    pub(crate) fn remember(&mut self, memory: Memory) -> bool {
        self.reporter.memory(memory)
    }

    /// Brings time-based metrics up to date.
    pub(crate) fn refresh(&mut self, now: Time) {
        self.recorder.refresh(now);
    }

    /// How much waits to be handed over.
    pub(crate) fn waiting(&self) -> usize {
        self.reporter.waiting().max(self.feed.as_ref().map_or(0, Feed::waiting))
    }

    /// Hands what happened to the threads that count and show it. What they cannot take now waits on.
    pub(crate) fn flush(&mut self) {
        self.reporter.flush();
        if let Some(feed) = &mut self.feed {
            feed.flush();
        }
    }

    /// The end of the loop.
    pub(crate) fn end(self, memory: Memory) {
        self.reporter.end(memory, LAST_WORDS);
    }
}
