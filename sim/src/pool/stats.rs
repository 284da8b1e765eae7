//! What a simulated pool counts.

use std::collections::BTreeMap;

use crate::frame::Complaints;

/// The pool's verdict on a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Valid work.
    Accepted,
    /// No job of that id, or none that this connection was sent.
    UnknownJob,
    /// The job is of an older block. Happens with an honest proxy.
    Stale,
    /// The same header was submitted before.
    Duplicate,
    /// The hash meets no difficulty that counts.
    LowDifficulty,
    /// The hash meets the difficulty of its job, but not that of now, which this software checks. Happens with an honest
    /// proxy.
    LowForChange,
    /// Extranonce2 of another length than told.
    Extranonce2Length,
    /// Not five or six strings of the right kind.
    Malformed,
    /// Version bits outside the granted mask, or not allowed, or missing where they are a duty.
    VersionBits,
    /// Another user than authorised.
    WrongUser,
    /// No authorize before it.
    NotAuthorised,
    /// ntime before the job's, or hours ahead.
    TimeOutOfRange,
}

impl Reason {
    /// All of them, for tables.
    pub const ALL: [Reason; 12] = [
        Reason::Accepted,
        Reason::UnknownJob,
        Reason::Stale,
        Reason::Duplicate,
        Reason::LowDifficulty,
        Reason::LowForChange,
        Reason::Extranonce2Length,
        Reason::Malformed,
        Reason::VersionBits,
        Reason::WrongUser,
        Reason::NotAuthorised,
        Reason::TimeOutOfRange,
    ];

    /// True if only a mistake between miner and pool can cause it.
    pub fn is_fault(self) -> bool {
        !matches!(self, Reason::Accepted | Reason::Stale | Reason::LowForChange)
    }

    /// For tables.
    pub fn label(self) -> &'static str {
        match self {
            Reason::Accepted => "accepted",
            Reason::UnknownJob => "unknown job",
            Reason::Stale => "stale",
            Reason::Duplicate => "duplicate",
            Reason::LowDifficulty => "low difficulty",
            Reason::LowForChange => "low after a change",
            Reason::Extranonce2Length => "extranonce2 length",
            Reason::Malformed => "malformed",
            Reason::VersionBits => "version bits",
            Reason::WrongUser => "wrong user",
            Reason::NotAuthorised => "not authorised",
            Reason::TimeOutOfRange => "ntime out of range",
        }
    }

    /// Code and words for the submitter.
    pub(super) fn words(self) -> (i64, &'static str) {
        match self {
            Reason::Accepted => (0, ""),
            Reason::UnknownJob => (21, "Invalid JobID"),
            Reason::Stale => (21, "Stale"),
            Reason::Duplicate => (22, "Duplicate"),
            Reason::LowDifficulty | Reason::LowForChange => (23, "Above target"),
            Reason::Extranonce2Length => (20, "Invalid nonce2 length"),
            Reason::Malformed => (20, "Malformed"),
            Reason::VersionBits => (20, "Invalid version mask"),
            Reason::WrongUser => (20, "Worker mismatch"),
            Reason::NotAuthorised => (24, "Unauthorized worker"),
            Reason::TimeOutOfRange => (20, "Ntime out of range"),
        }
    }
}

/// Counters of one connection, or of all together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShareCounts {
    /// Submits by verdict.
    pub by_reason: BTreeMap<Reason, u64>,
    /// Sum of the difficulties that accepted shares were credited with.
    pub accepted_difficulty: f64,
    /// Sum of the difficulties of refused shares.
    pub rejected_difficulty: f64,
    /// The sum of the squares of both: the variance that chance gives them.
    pub squares: f64,
    /// The highest difficulty of a hash among the accepted.
    pub best: f64,
}

impl ShareCounts {
    pub(super) fn note(&mut self, share: &ShareRecord) {
        *self.by_reason.entry(share.reason).or_default() += 1;
        self.squares += share.difficulty * share.difficulty;
        if share.reason == Reason::Accepted {
            self.accepted_difficulty += share.difficulty;
            self.best = self.best.max(share.achieved);
        } else {
            self.rejected_difficulty += share.difficulty;
        }
    }

    /// Submits with this verdict.
    pub fn count(&self, reason: Reason) -> u64 {
        self.by_reason.get(&reason).copied().unwrap_or(0)
    }

    /// Accepted submits.
    pub fn accepted(&self) -> u64 {
        self.count(Reason::Accepted)
    }

    /// Refused submits, whatever the reason.
    pub fn rejected(&self) -> u64 {
        self.by_reason.iter().filter(|(reason, _)| **reason != Reason::Accepted).map(|(_, n)| n).sum()
    }

    /// Submits refused for a reason that must never happen.
    pub fn faults(&self) -> u64 {
        self.by_reason.iter().filter(|(reason, _)| reason.is_fault()).map(|(_, n)| n).sum()
    }
}

/// One submit and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareRecord {
    /// On which connection.
    pub conn: u64,
    /// When.
    pub at_us: u64,
    /// The user that was authorised on the connection.
    pub user: String,
    /// The verdict.
    pub reason: Reason,
    /// The hash of the header as the pool rebuilt it, least significant byte first; zeros if it got not so far.
    pub hash: [u8; 32],
    /// [`identity`](crate::pow::identity) of that header.
    pub identity: [u8; 32],
    /// The difficulty it was judged by.
    pub difficulty: f64,
    /// The difficulty that the hash has; 0 if it got not so far.
    pub achieved: f64,
    /// The hash meets the network's target.
    pub block: bool,
}

/// A copy of what a pool has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolSnapshot {
    /// The pool's name.
    pub name: String,
    /// All connections together, closed ones included.
    pub shares: ShareCounts,
    /// By connection that stands: id, authorised user, counters.
    pub connections: Vec<(u64, String, ShareCounts)>,
    /// Connections ever accepted.
    pub connects: u64,
    /// Connections that the other end closed.
    pub disconnects: u64,
    /// Workers accepted by authorize.
    pub authorised: u64,
    /// Jobs made.
    pub jobs: u64,
    /// Blocks: new ones announced.
    pub blocks: u64,
    /// Submits whose hash met the network's target and were accepted.
    pub block_candidates: u64,
    /// Lines read.
    pub lines: u64,
    /// Replies to `client.get_version` and pings.
    pub replies: u64,
    /// Submits that came in while it answered none.
    pub unanswered: u64,
    /// The difficulty it asks for now.
    pub difficulty: String,
    /// How it is out at the moment.
    pub outage: Option<super::OutageMode>,
    /// Lines and shares that it found wrong.
    pub complaints: Complaints,
}
