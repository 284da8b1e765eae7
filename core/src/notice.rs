//! The one stream of facts. Logs, metrics, statistics and screens are renderings of it; nothing is counted twice.
//!
//! A notice names things by value (peer, worker, pool slot), so that it can be read without asking the engine. Fields
//! that recur: `who` the miner (none for a probe), `failures` in a row, `retry` the wait before the next try, `seq` the
//! count of jobs of that upstream, `clean` the clean_jobs flag that was sent, `text`/`error`/`what` words for people.
#![expect(missing_docs, reason = "the fields that recur are told above, the others at their variant")]

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::chain::payout::Payout;
use crate::close::CloseReason;
use crate::difficulty::Difficulty;
use crate::extranonce::Profile;
use crate::ids::{Conn, JobId, MinerId, PoolId, UpstreamId};
use crate::oracle::{Doubt, OracleStatus};
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
    /// A share's end. `fault`: whose doing it is that it did not count; none where it did. `assigned`: the difficulty
    /// that it was judged by, what the pool pays for it; `worked`: what it tells of the miner's hash rate, the difficulty
    /// that the miner was told (a miner told less than its pool asks for shows its work by all its good shares, and each
    /// counts this much, forwarded or not); none where it tells nothing. `achieved`: the true difficulty of its hash, 0
    /// where shares cannot be checked; `response`: from forwarding to the pool's answer, none for a local verdict.
    ShareResult {
        who: Who,
        pool: Option<PoolId>,
        verdict: Verdict,
        fault: Option<Fault>,
        assigned: Option<Difficulty>,
        worked: Option<Difficulty>,
        achieved: f64,
        response: Option<Span>,
    },
    /// A share's hash meets the network's target. Comes after the submit to the pool, if there is a connection that can
    /// take it, and before any answer to the miner: who wants it on disk by then writes it at once.
    BlockCandidate { who: Who, pool: PoolId, hash: [u8; 32], achieved: f64, block: Box<Block> },

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
    /// The pool can be worked for; `reconnected`: on a new connection, after an earlier one that could be.
    PoolUsable { who: Who, pool: PoolId, reconnected: bool, other_alive: bool },
    /// It set a difficulty.
    PoolDifficulty { who: Option<Who>, pool: PoolId, difficulty: Difficulty },
    /// It sent a job.
    PoolJob { who: Option<Who>, pool: PoolId, pool_job: Arc<str>, seq: u64, clean: bool },
    /// Its jobs tell something new of the chain: another height, another difficulty of the network, another kind of payout.
    /// Amounts are those of the job that told it. `height` is none where the coinbase holds none.
    PoolChain { pool: PoolId, height: Option<u32>, nbits: u32, network_difficulty: f64, payout: Payout },
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
    /// How long a miner stays with a pool: said at the start and when it changes. `dwell`: on the pool with the smaller
    /// weight (with more than two pools: a slice), and `why` it is that.
    DwellsInForce { min_switch: Span, slice: Span, dwell: Span, why: DwellReason },
    /// A worker's pin is not obeyed: it works like the others.
    PinIgnored { worker: Arc<str>, pool: PoolId, why: PinTrouble },
    /// More hash power is held on `pool` (by pins, or because it can go nowhere else) than its weight: `held` of all, in
    /// parts per million. `nearest`: the split that results, the nearest that can be had. Said again when that changes.
    WeightsUnmet { pool: PoolId, held: u32, weights: Arc<[u32]>, nearest: Arc<[u32]> },
    /// They can be had again.
    WeightsMet,
    /// Those who divide their work do so by these parts per million from now on, as others are held on one pool.
    Rebalanced { weights: Arc<[u32]> },
    /// A command was refused.
    CommandRefused { why: Arc<str> },
    /// A chain has a new height, by a pool's job. `timed`: the block was found just now.
    ChainHeight { chain: Arc<str>, pool: PoolId, height: u32, timed: bool },
    /// A pool is not believed about its chain any more; none: it is again.
    ChainDoubt { chain: Arc<str>, pool: PoolId, doubt: Option<Doubt> },
    /// What was known of a chain does not hold: it is measured anew.
    ChainRestarted { chain: Arc<str>, pool: PoolId },
    /// The automatic balance asks its server.
    OracleAsked { url: Arc<str> },
    /// The server gave no numbers.
    OracleFailed { why: Arc<str>, failures: u32 },
    /// Where the automatic balance stands, whenever that may have changed. `changed`: its state is of another kind than it
    /// was, or another source or hand is at work.
    OracleStatus { status: Arc<OracleStatus>, changed: bool },
    /// Other weights than these hold, and who wanted it. [`Notice::WeightsChanged`] follows.
    WeightsMoved { prev: Arc<[u32]>, weights: Arc<[u32]>, source: WeightsSource },
    /// The automatic balance is going to change the weights. [`Notice::WeightsChanged`] follows.
    OracleDecided { from: Arc<[u32]>, to: Arc<[u32]>, reason: Arc<str> },
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

/// Whose doing it is that a share did not count. What is known for certain decides; where the proxy cannot show that it
/// has done right, the fault counts as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// The miner's: a broken field, too little work, a share sent twice, version bits that it was not granted, an id that
    /// leads to no job (any more).
    Miner,
    /// The pool's: it refused a share that meets the target it announced, for a job that it had not replaced; or it never
    /// answered.
    Pool,
    /// Ours, as far as anybody can tell: a share that is whole, new, good enough, and for the newest job of its
    /// connection was called invalid, and the pool has accepted nothing on that connection that would show that it
    /// understands what is sent. Or a share went to a connection that does not own its job. Stays 0.
    Proxy,
    /// Nobody's: a connection ended, the miner left, or the share met a new job on its way.
    Nobody,
}

impl DropReason {
    /// Whose doing it is.
    pub const fn fault(self) -> Fault {
        match self {
            DropReason::Stale => Fault::Nobody,
            DropReason::UnknownJob
            | DropReason::NoJobYet
            | DropReason::Duplicate
            | DropReason::LowDifficulty
            | DropReason::Malformed
            | DropReason::VersionBits
            | DropReason::Unauthorized
            | DropReason::NotSubscribed => Fault::Miner,
        }
    }
}

impl Fault {
    /// Every fault, for tables and metrics.
    pub const ALL: [Fault; 4] = [Fault::Miner, Fault::Pool, Fault::Proxy, Fault::Nobody];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Miner => "miner",
            Fault::Pool => "pool",
            Fault::Proxy => "proxy",
            Fault::Nobody => "nobody",
        }
    }
}

/// What is needed to build a found block's header and coinbase again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Where it was sent.
    pub way: BlockWay,
    /// The pool's id of the job.
    pub pool_job: Arc<str>,
    /// The block's height, as the coinbase tells it.
    pub height: Option<u32>,
    /// What the network asks for.
    pub network_difficulty: f64,
    /// The 80 bytes that the miner hashed.
    pub header: Vec<u8>,
    /// The whole coinbase, without witness, as it was hashed.
    pub coinbase: Vec<u8>,
    /// The merkle branches from the coinbase to the header's root.
    pub branches: Vec<[u8; 32]>,
}

/// Bytes as hex: a coinbase as a list of numbers could not be read.
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect::<String>();
        f.debug_struct("Block")
            .field("way", &self.way)
            .field("pool_job", &self.pool_job)
            .field("height", &self.height)
            .field("network_difficulty", &self.network_difficulty)
            .field("header", &hex(&self.header))
            .field("coinbase", &hex(&self.coinbase))
            .field("branches", &self.branches.len())
            .finish()
    }
}

/// Where a found block was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BlockWay {
    /// To the connection that owns its job.
    Owner,
    /// The owner is gone. Another connection of the same pool has the very same work (pools without an extranonce1 of
    /// their own give it to all), so the block is as good there.
    Twin,
    /// Nowhere: the owner is gone, and job ids and extranonces hold for one connection only. Whoever runs the pool's
    /// node may still be able to use what is recorded.
    Nowhere,
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
    /// The fleet is placed anew, as miners came, left or changed.
    Balance,
}

/// What decides the dwell on the pool with the smaller weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DwellReason {
    /// `min_switch_seconds`: no dwell is longer there.
    MinSwitch,
    /// The weight: twice its part of `min_switch_seconds`.
    Weight,
    /// `slice_seconds`: no dwell is shorter.
    Slice,
    /// One pool has all the weight: nobody changes over.
    OnePool,
}

/// Why a pin is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PinTrouble {
    /// The pool has no weight, so it gets no work.
    NoWeight,
    /// No such pool is configured.
    NoSuchPool,
    /// This miner cannot work for the pool.
    HeldOff,
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

/// Who changes weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightsSource {
    /// The operator, while the proxy runs.
    Slider,
    /// The automatic balance.
    Oracle,
    /// Another config.
    Config,
}

impl WeightsSource {
    /// One lower-case word, as DPMP v2 has it.
    pub fn word(self) -> &'static str {
        match self {
            WeightsSource::Slider => "slider",
            WeightsSource::Oracle => "oracle",
            WeightsSource::Config => "config",
        }
    }
}
