//! What the loop itself writes down before a miner is answered: best shares and block candidates. Each write is rare by
//! nature: about ln n of n shares of a worker are its best, and a block is a block.

use std::path::PathBuf;
use std::sync::Arc;

use dpmp_core::ledger::Best;
use dpmp_core::{Notice, Work};
use log::Level;

use super::bests;
use super::blocks::{BlockLine, Blocks};
use super::journal::{Journal, Written};
use crate::logs::line;

/// The open books.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) best_shares: PathBuf,
    pub(crate) journal: Journal,
    pub(crate) written: Written,
    /// The difficulty of the best share of all.
    pub(crate) record: f64,
    pub(crate) blocks: Blocks,
    /// It has been said that a best share could not be written.
    pub(crate) failing: bool,
}

impl Books {
    /// Writes the share down if it is the best of its worker, of its pool, or of all. `pools`: each slot's.
    pub(crate) fn share(&mut self, notice: &Notice, pools: &[Arc<str>], unix: impl FnOnce() -> u64) {
        let Some((worker, pool, achieved)) = self.written.news(notice, pools) else { return };
        let best = Best { difficulty: Work::nearest(achieved), worker, pool, unix: unix() };
        let mut result = self.journal.append(std::slice::from_ref(&best));
        if achieved > self.record {
            self.record = achieved;
            result = bests::append_record(&self.best_shares, &best).and(result);
        }
        if let (Err(error), false) = (&result, self.failing) {
            let text = "best shares are saved within a minute; until then an end of the program would lose them";
            line(Level::Warn, "record_not_written").show("err", error).text("text", text).send();
        }
        self.failing = result.is_err();
    }

    /// Writes a block candidate down, to the disk. One that cannot be written is in the log, and goes to the pool all the
    /// same.
    pub(crate) fn block(&mut self, block: &BlockLine) {
        if let Err(error) = self.blocks.append(block) {
            line(Level::Error, "block_not_written")
                .show("path", self.blocks.path().display())
                .show("err", error)
                .text("hash", &block.hash)
                .text("text", "the pool has been sent the block; only this list lacks it")
                .send();
        }
    }
}
