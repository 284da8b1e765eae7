//! What a simulated miner counts.

use std::collections::BTreeMap;

use crate::frame::Complaints;

/// A copy of what a miner has counted since its start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinerSnapshot {
    /// The worker's name.
    pub name: String,
    /// The label of its personality.
    pub personality: String,
    /// It rolls version bits whatever it is told.
    pub rolls_at_will: bool,
    /// Hashes per second that it is meant to do.
    pub hash_rate: f64,
    /// It is connected now (probes included).
    pub connected: bool,
    /// Its authorize was answered true on this connection.
    pub authorised: bool,
    /// It has a job on this connection.
    pub has_job: bool,
    /// The difficulty it was told last.
    pub difficulty: Option<f64>,
    /// Bytes of extranonce1 and extranonce2 that it was told.
    pub extranonce_bytes: Option<(usize, usize)>,
    /// Connections made.
    pub connects: u64,
    /// Connections that the other end closed, probes not counted.
    pub disconnects: u64,
    /// Connections that the other end closed with every right, as the runner knows.
    pub excused_disconnects: u64,
    /// Connections that it closed itself because something was not to its liking.
    pub hangups: u64,
    /// Of them because version rolling was not granted, as these builds do.
    pub mask_refusals: u64,
    /// Jobs received.
    pub jobs: u64,
    /// Jobs that said clean_jobs.
    pub clean_jobs: u64,
    /// Shares submitted.
    pub submitted: u64,
    /// Of them for another job than the latest.
    pub submitted_late: u64,
    /// Of them a second time.
    pub repeated: u64,
    /// Answered with true.
    pub accepted: u64,
    /// Refused, by code.
    pub rejected: BTreeMap<i64, u64>,
    /// Refused, by code and words, the first 20 kinds.
    pub refusals: BTreeMap<(i64, String), u64>,
    /// Not answered yet.
    pub unanswered: u64,
    /// Not answered when the connection ended.
    pub lost_with_connection: u64,
    /// Replies to nothing that was asked, or to what was answered before.
    pub answered_twice: u64,
    /// The sum of the difficulties it searched for, of accepted shares.
    pub accepted_difficulty: f64,
    /// Hashes done.
    pub hashes: u64,
    /// Microseconds without a job since it first connected.
    pub idle_us: u64,
    /// When it last submitted.
    pub last_share_us: Option<u64>,
    /// When it last got a job.
    pub last_job_us: Option<u64>,
    /// The longest time that a submit waited for its answer, in microseconds.
    pub slowest_answer_us: u64,
    /// What the other end did wrong.
    pub violations: Complaints,
}

impl MinerSnapshot {
    /// Refused shares, whatever the code.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }
}
