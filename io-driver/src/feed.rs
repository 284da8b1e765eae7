//! Notices on their way from the loop to another thread that builds a view of its own: in batches, bounded, never
//! waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use dpmp_core::{Notice, Time};

/// Batches that may wait in the channel.
const BATCHES: usize = 256;
/// Notices that may wait on the loop's side while the channel is full.
const WAITING: usize = 100_000;

/// A fact and when it became one.
pub type Fact = (Time, Notice);

/// The loop's end.
#[derive(Debug)]
pub struct Feed {
    batch: Vec<Fact>,
    batches: SyncSender<Vec<Fact>>,
    lost: Arc<AtomicU64>,
}

/// The reader's end.
#[derive(Debug)]
pub struct FeedReader {
    batches: Receiver<Vec<Fact>>,
    lost: Arc<AtomicU64>,
}

/// A feed and its reader.
pub fn feed() -> (Feed, FeedReader) {
    let (sender, receiver) = sync_channel(BATCHES);
    let lost = Arc::new(AtomicU64::new(0));
    (Feed { batch: Vec::new(), batches: sender, lost: lost.clone() }, FeedReader { batches: receiver, lost })
}

impl Feed {
    /// Takes a copy; a notice's texts are shared, not copied.
    pub(crate) fn push(&mut self, now: Time, notice: &Notice) {
        if self.batch.len() >= WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.batch.push((now, notice.clone()));
        }
    }

    /// How many facts wait to be handed over.
    pub(crate) fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// Hands the batch over, if there is one and it is taken.
    pub(crate) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.batches.try_send(std::mem::take(&mut self.batch)) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) => self.batch = batch,
            // Nobody reads any more.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

impl FeedReader {
    /// All that comes until `deadline`, each fact handed to `take`. False when the loop has ended.
    pub fn read_until(&self, deadline: Instant, mut take: impl FnMut(Fact)) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.batches.recv_timeout(left) {
                Ok(batch) => batch.into_iter().for_each(&mut take),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            if left == Duration::ZERO {
                return true;
            }
        }
    }

    /// Facts that were dropped because the reader was too slow: what it counts is too low by so many.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
