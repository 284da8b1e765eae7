//! The share check by itself, without an engine: for benchmarks, and for tools that hold a share against its job.

use alloc::string::{String, ToString as _};

use crate::difficulty::Difficulty;
use crate::ids::{PoolId, UpstreamId};
use crate::job::{JobContext, Jobs, PoolJobKey};
use crate::share::{Hash, Pow, Share, check};
use crate::stratum::message::{PoolMessage, pool_message};
use crate::time::Time;

/// A pool's job, ready for checks.
#[derive(Clone, Debug)]
pub struct Checker {
    jobs: Jobs,
    key: PoolJobKey,
}

/// What a share is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checked {
    /// The header's hash, least significant byte first.
    pub hash: Hash,
    /// The difficulty that it would meet.
    pub difficulty: f64,
    /// It meets the network's target, that is the job's nbits.
    pub block: bool,
}

impl Checker {
    /// From a pool's `mining.notify`, and the extranonce1 (bytes) and the length of extranonce2 (bytes) that hold with it.
    ///
    /// # Errors
    /// In words, when the line is no such message.
    pub fn new(notify: &[u8], extranonce1: &[u8], extranonce2_bytes: u8) -> Result<Checker, String> {
        let PoolMessage::Notify(notify) = pool_message(notify)? else { return Err("no mining.notify".to_string()) };
        let context = JobContext {
            pool: PoolId(0),
            upstream: UpstreamId(0),
            extranonce1,
            extranonce2_bytes,
            difficulty: Difficulty::ONE,
            seq: 1,
        };
        let mut jobs = Jobs::default();
        let key = jobs.add(notify, &context, None, Time::ZERO);
        Ok(Checker { jobs, key })
    }

    /// Hashes the share's header. `extranonce2`: all of it, in bytes; `version`: the header's, rolled bits included.
    pub fn check(&self, extranonce2: &[u8], ntime: u32, nonce: u32, version: u32) -> Option<Checked> {
        let job = self.jobs.pool_job(self.key)?;
        let (value, hash) = check(&mut Pow::Sha256d, job, &Share { extranonce2, ntime, nonce, version });
        Some(Checked { hash, difficulty: value.difficulty(), block: value.meets(&job.network) })
    }
}
