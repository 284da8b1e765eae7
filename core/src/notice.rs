//! The one stream of facts. Logs, metrics, statistics and screens are renderings of it; nothing is counted twice.
//!
//! A notice names things by value (peer, worker, pool slot), so that it can be read without asking the engine. Fields
//! that recur: `who` the miner (none for a probe), `failures` in a row, `retry` the wait before the next try, `seq` the
//! count of jobs of that upstream, `clean` the clean_jobs flag that was sent, `text`/`error`/`what` words for people.
#![expect(missing_docs, reason = "the fields that recur are told above, the others at their variant")]

use alloc::sync::Arc;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::extranonce::Profile;
use crate::ids::{Conn, JobId, MinerId, PoolId, UpstreamId};
use crate::time::Span;

/// Which miner a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The connection.
    pub miner: MinerId,
    /// Its other end.
    pub peer: SocketAddr,
    /// The worker's name; empty before authorize.
    pub worker: Arc<str>,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Notice {
    // --- miners ---
    /// A miner's connection was accepted.
    MinerConnected { who: Who },
    /// It subscribed: the layout of its extranonce is fixed.
    MinerSubscribed { who: Who, agent: Arc<str>, profile: Profile, extranonce1_bytes: u8, extranonce2_bytes: u8 },
    /// It has subscribed and authorised: from now on it counts as a miner.
    MinerReady { who: Who, agent: Arc<str> },
    /// It is gone. `was_ready`: it had counted as a miner.
    MinerDisconnected { who: Who, reason: CloseReason, was_ready: bool },
    /// It sent a line that is not Stratum, or a request that makes no sense where it stands.
    MinerBadLine { who: Who, what: Arc<str> },
    /// It sent a request that is known but odd, or unknown, and was answered.
    MinerRequest { who: Who, method: Arc<str> },
    /// It no longer reads fast enough; nothing new is sent until it does.
    MinerClogged { who: Who, queued_bytes: u32 },
    /// Something about this miner that the operator should know, said once.
    MinerWarning { who: Who, what: MinerWarning },
    /// It was told a difficulty.
    DifficultyTold { who: Who, pool: PoolId, difficulty: Difficulty },
    /// It was sent a job. `pool_job` is the pool's id, `job` the miner's.
    JobForwarded { who: Who, pool: PoolId, pool_job: Arc<str>, job: JobId, seq: u64, clean: bool, why: JobReason },
    /// Its work goes to another pool from now on.
    PoolSwitched { who: Who, from: Option<PoolId>, to: PoolId, why: SwitchReason },
    /// No pool has work for it: it waits.
    MinerIdle { who: Who },

    // --- shares ---
    /// A share came in, before any verdict.
    ShareSubmitted { who: Who },
    /// A share's end. `assigned`: the difficulty it was judged by; `achieved`: the true difficulty of its hash, 0 where
    /// shares cannot be checked; `response`: from forwarding to the pool's answer, none for a local verdict.
    ShareResult {
        who: Who,
        pool: Option<PoolId>,
        verdict: Verdict,
        assigned: Option<Difficulty>,
        achieved: f64,
        response: Option<Span>,
    },
    /// A share whose hash meets the network's target is on its way to the pool.
    BlockCandidate { who: Who, pool: PoolId, hash: [u8; 32], achieved: f64 },

    // --- pools ---
    /// A connection is being opened. `who` is none for a probe.
    PoolConnecting { upstream: UpstreamId, pool: PoolId, who: Option<Who>, host: Arc<str>, port: u16 },
    /// It is open and has sent its subscription.
    PoolConnected { upstream: UpstreamId, pool: PoolId, who: Option<Who>, again: bool },
    /// It could not be opened; the next try is after `retry`.
    PoolConnectFailed {
        upstream: UpstreamId,
        pool: PoolId,
        who: Option<Who>,
        error: Arc<str>,
        failures: u32,
        retry: Span,
    },
    /// It answered subscribe.
    PoolSubscribed {
        upstream: UpstreamId,
        pool: PoolId,
        extranonce1_bytes: u8,
        extranonce2_bytes: u8,
        version_mask: u32,
    },
    /// It answered authorize.
    AuthResult { who: Option<Who>, pool: PoolId, ok: bool, error: Arc<str> },
    /// It can no longer be worked for. `other_alive`: another pool has this miner's work.
    PoolDown {
        upstream: UpstreamId,
        pool: PoolId,
        who: Option<Who>,
        reason: CloseReason,
        failures: u32,
        retry: Span,
        other_alive: bool,
    },
    /// A probe or an upstream was closed on purpose.
    PoolClosed { upstream: UpstreamId, pool: PoolId, who: Option<Who>, reason: CloseReason },
    /// For a while the pool gets no work of this miner, though its connection stands.
    PoolHeldOff { who: Who, pool: PoolId, why: HeldOff },
    /// The pool can be worked for (again).
    PoolUsable { who: Who, pool: PoolId },
    /// It set a difficulty.
    PoolDifficulty { who: Option<Who>, pool: PoolId, difficulty: Difficulty },
    /// It sent a job.
    PoolJob { who: Option<Who>, pool: PoolId, pool_job: Arc<str>, seq: u64, clean: bool },
    /// It changed the extranonce of its connection.
    PoolExtranonce { who: Option<Who>, pool: PoolId, extranonce1_bytes: u8, extranonce2_bytes: u8 },
    /// It wants this shown to the user.
    PoolMessage { pool: PoolId, text: Arc<str> },
    /// It asked to reconnect. `obeyed`: the address was the configured one.
    PoolReconnectAsked { pool: PoolId, host: Arc<str>, port: u16, obeyed: bool },
    /// It sent a line that cannot be used.
    PoolBadLine { pool: PoolId, what: Arc<str> },

    // --- the proxy ---
    /// Lines were read: one notice per step at most.
    LinesReceived { conn: Conn, pool: Option<PoolId>, lines: u32 },
    /// New shares of work are in force, parts per million.
    WeightsChanged { weights: Arc<[u32]> },
    /// A command was refused.
    CommandRefused { why: Arc<str> },
    /// A new config is in force.
    ConfigApplied,
    /// The proxy is stopping.
    Draining { miners: u32 },
}

/// What became of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The pool accepted it.
    Accepted,
    /// It meets what the miner was told but not what the pool asks: the miner is answered true, the pool not asked.
    Credited,
    /// The pool refused it, with its code (20 if it gave none) and words.
    Rejected { code: i64, text: Arc<str> },
    /// Not forwarded: the pool would have refused it.
    Dropped(DropReason),
    /// The pool's connection ended before it answered.
    Lost,
    /// The pool did not answer in time.
    Unanswered,
    /// The miner left before the pool answered.
    Abandoned,
}

/// Why a share was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DropReason {
    /// The job id is not known (any more).
    UnknownJob,
    /// No job was sent yet.
    NoJobYet,
    /// The job's pool connection is gone.
    Stale,
    /// The same share was submitted before.
    Duplicate,
    /// The hash meets no difficulty that was asked for.
    LowDifficulty,
    /// A field is not hex, or of the wrong length.
    Malformed,
    /// Version bits outside the pool's mask.
    VersionBits,
    /// Submitted before authorize.
    Unauthorized,
    /// Submitted before subscribe.
    NotSubscribed,
}

/// Why a job was sent to a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobReason {
    /// The pool sent it.
    New,
    /// The miner's work goes to another pool now.
    Switch,
    /// The pool has been silent; the same job again keeps the miner's connection alive.
    KeepAlive,
    /// The version mask or the extranonce changed.
    Changed,
}

/// Why a miner's work goes to another pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SwitchReason {
    /// Its first job.
    First,
    /// The schedule says so.
    Schedule,
    /// The pool it worked for is out.
    Failover,
    /// The pool that the schedule wants is back.
    Return,
    /// The operator changed the weights or the config.
    Operator,
}

/// Why a pool gets no work of a miner although its connection stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldOff {
    /// A submit is unanswered for 30 s with nothing received since.
    NoAnswer,
    /// Nothing was received for `silence_seconds`.
    Silent,
    /// It refused the worker, with its words.
    Refused(Arc<str>),
    /// Its extranonce2 is too small for the layout of this miner.
    ExtranonceTooSmall,
    /// The miner rolls version bits outside its mask.
    VersionMask,
    /// Its job does not fit the miner's buffers.
    JobTooLong,
}

/// Something about a miner that is said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MinerWarning {
    /// It rolls version bits outside the mask that it was given.
    RollsOutsideMask { told: u32, rolled: u32 },
    /// The pools have no version bits in common: told that version rolling is off.
    NoCommonMask,
    /// It insists on version rolling, so it stays on the pool that grants it.
    HeldForMask { pool: PoolId },
    /// No embedded extranonce fits: it works with one pool's own, and switches by set_extranonce or by subscribing again.
    FallBack { pool: PoolId, by_reconnect: bool },
    /// Its shares keep failing the check.
    LayoutMistrusted,
    /// A coinbase is longer than this firmware bears.
    CoinbaseTooLong { pool: PoolId, bytes: u32, limit: u32 },
    /// `downstream_diff` asks for more than the pool: this part of the pay is lost, in parts per million.
    DifficultyAbovePool { pool: PoolId, lost_ppm: u32 },
}
