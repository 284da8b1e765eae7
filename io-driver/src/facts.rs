//! Where notices go: log, metrics, readiness, and whoever builds a view. The only place that hands them out, so that
//! nothing is counted twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpmp_core::{Notice, PoolId, Time};

use crate::feed::Feed;
use crate::logs;
use crate::metrics::Recorder;

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
    recorder: Recorder,
    readiness: Arc<Readiness>,
    feed: Option<Feed>,
}

impl Facts {
    pub(crate) fn new(recorder: Recorder, readiness: Arc<Readiness>, feed: Option<Feed>) -> Facts {
        Facts { recorder, readiness, feed }
    }

    /// A fact of the engine.
    pub(crate) fn notice(&mut self, now: Time, notice: &Notice) {
        if let Notice::PoolSubscribed { .. } | Notice::PoolUsable { .. } = notice {
            self.readiness.pool_seen.store(true, Ordering::Relaxed);
        }
        logs::render(notice);
        self.recorder.observe(now, notice);
        if let Some(feed) = &mut self.feed {
            feed.push(now, notice);
        }
    }

    /// A message went to a miner (no pool), or to a pool. It may hold several lines.
    pub(crate) fn sent(&mut self, pool: Option<PoolId>, message: &[u8]) {
        let lines = message.iter().filter(|byte| **byte == b'\n').count();
        self.recorder.sent(pool, lines as u64);
    }

    /// Brings time-based metrics up to date.
    pub(crate) fn refresh(&mut self, now: Time) {
        self.recorder.refresh(now);
    }

    /// The end of a turn of the loop.
    pub(crate) fn flush(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.flush();
        }
    }
}
