//! The thread that writes files, so that nobody waits for a disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use dpmp_core::notice::WeightsSource;
use log::Level;

use super::safe;
use crate::background;
use crate::live_weights::{self, LiveWeights};
use crate::logs::line;
use crate::records::bests::BestShares;
use crate::records::journal::Journal;

/// Jobs that may wait.
const WAITING: usize = 4;

/// Something to write.
#[derive(Debug)]
pub enum Job {
    /// `state.json`, whole.
    State(Vec<u8>),
    /// `best_shares.json`, whole; the journal is in it.
    Bests(Box<BestShares>),
    /// There is news in the journal: to the disk with it.
    News,
    /// Other weights hold: before, now, and by whom.
    Weights(Moved),
}

/// A change of weights.
#[derive(Clone, Debug)]
pub struct Moved {
    pub(crate) live: Arc<LiveWeights>,
    pub(crate) prev: Arc<[u32]>,
    pub(crate) now: Arc<[u32]>,
    pub(crate) source: WeightsSource,
}

/// Where everything is that lasts: beside the config.
#[derive(Debug)]
pub struct Files {
    jobs: SyncSender<Job>,
    done: Receiver<()>,
}

impl Files {
    /// Starts the thread. `state`: the path of `state.json`; `best_shares`: that of `best_shares.json`. Either is `None` if
    /// something stands there that must not be written over.
    pub fn start(state: Option<PathBuf>, best_shares: Option<PathBuf>, journal: Journal) -> io::Result<Files> {
        let (jobs, receiver) = sync_channel::<Job>(WAITING);
        let (finished, done) = sync_channel(1);
        background::spawn("files", move || {
            let mut failing = [false; 4];
            for job in receiver {
                let (kind, path, result) = match (&job, &state, &best_shares) {
                    (Job::State(text), Some(path), _) => (0, path.as_path(), safe::write(path, text)),
                    (Job::Bests(shares), _, Some(path)) => (1, path.as_path(), journal.save(shares)),
                    (Job::News, _, _) => (2, journal.best_shares(), journal.sync()),
                    // Said at the start.
                    (Job::State(_), None, _) | (Job::Bests(_), _, None) => continue,
                    (Job::Weights(moved), _, _) => {
                        let Moved { live, prev, now, source } = moved;
                        (3, Path::new(live_weights::NAME), live.follow(prev, now, *source))
                    }
                };
                if let (Err(error), false) = (&result, failing[kind]) {
                    say(path, error);
                }
                failing[kind] = result.is_err();
            }
            // Fails only if nobody waits.
            let _ = finished.send(());
        })?;
        Ok(Files { jobs, done })
    }

    /// Hands a job over. It comes back if too much is still being written: try again later.
    pub fn offer(&self, job: Job) -> Result<(), Job> {
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job)) => Err(job),
            // The thread ends only with us.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Hands a job over, and waits for a place until then.
    pub fn insist(&self, mut job: Job, deadline: Instant) {
        while let Err(back) = self.offer(job) {
            if Instant::now() >= deadline {
                return;
            }
            job = back;
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until all that was taken is on the disk, until then at most.
    pub fn finish(self, deadline: Instant) {
        drop(self.jobs);
        // A time-out is the bound that was asked for.
        let _ = self.done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

fn say(path: &Path, error: &io::Error) {
    line(Level::Warn, "state_write_failed")
        .show("path", path.display())
        .show("err", error)
        .text(
            "text",
            "statistics and best shares since the last save would be lost by a restart; make room on the disk, and let \
             the user that runs dpmp write to this folder",
        )
        .send();
}
