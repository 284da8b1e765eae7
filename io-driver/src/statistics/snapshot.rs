//! What the proxy knows at one instant, as plain owned data for the dashboard, the API and the demo. Decides nothing and
//! computes nothing: `take` fills it.
//!
//! Units: hash rates in hashes a second, work in difficulty (one unit is 2^32 hashes done), lengths of time in seconds,
//! points in time in seconds since 1970 (0: the clock was not known), shares of work from 0 to 1, errors in percentage
//! points. `None` (`null`) is "not known yet", never 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

/// One value for each window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ByWindow<T> {
    /// Five minutes.
    #[serde(rename = "5m")]
    pub five_minutes: T,
    /// One hour.
    #[serde(rename = "1h")]
    pub hour: T,
    /// Twenty-four hours.
    #[serde(rename = "24h")]
    pub day: T,
}

/// Everything at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// When.
    pub at: u64,
    /// How long the program has run.
    pub uptime_seconds: f64,
    /// Facts that were not counted because the machine was too slow: all numbers are too low by so many. Should be 0.
    pub facts_lost: u64,
    /// Miners and workers, in numbers.
    pub miners: Miners,
    /// The hash rate of all miners.
    pub hashrate: ByWindow<Rate>,
    /// Shares since the program started.
    pub session: Shares,
    /// Luck of this session by its best share: the part of all sessions with as much work that have a lesser best.
    pub session_luck: Option<f64>,
    /// Luck of this session by its shares: what pools accepted over what all good shares have shown. 1 is neither luck nor
    /// bad luck, and always so where miners are told what their pool asks for.
    pub share_luck: Option<f64>,
    /// Shares for ever.
    pub totals: Shares,
    /// How much of the work went where.
    pub split: ByWindow<Split>,
    /// What changing pools costs.
    pub switching: ByWindow<Switching>,
    /// The configured pools, A first.
    pub pools: Vec<Pool>,
    /// All workers of the last week, by name.
    pub workers: Vec<Worker>,
    /// The connections that stand, oldest first.
    pub connections: Vec<Connection>,
    /// Best shares and block candidates.
    pub records: Records,
    /// From the bytes of a pool's job to the last miner's write of it.
    pub job_fanout: Latency,
    /// From the bytes of a miner's share to the write to the pool: the proxy's own time.
    pub share_processing: Latency,
}

/// Miners in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Miners {
    /// Connections that stand.
    pub connected: u64,
    /// Of them, those that have authorised.
    pub ready: u64,
    /// Of them, those that no pool has work for.
    pub idle: u64,
    /// Workers listed, with and without connection.
    pub workers: u64,
    /// Workers that were not listed, or no longer, because there were too many.
    pub crowded_out: u64,
}

/// What was done in a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Hashes a second; none before there is enough to say one.
    pub hashes_per_second: Option<f64>,
    /// Accepted and credited shares a minute; none as above.
    pub shares_per_minute: Option<f64>,
    /// Accepted and credited shares.
    pub shares: u64,
    /// Their work.
    pub work: f64,
    /// The time in the window in which shares could be seen: what the rate is divided by.
    pub observed_seconds: f64,
}

/// Shares by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// Since when they are counted.
    pub since: u64,
    /// All that have ended.
    pub ended: u64,
    /// The pool accepted them.
    pub accepted: u64,
    /// Good for what the miner was told, below what the pool asks.
    pub credited: u64,
    /// The pool refused them.
    pub rejected: u64,
    /// Answered here with no.
    pub dropped: u64,
    /// Refused or dropped because their job was over.
    pub late: u64,
    /// Refused or dropped because they came twice.
    pub duplicates: u64,
    /// The pool never answered.
    pub lost: u64,
    /// Whatever became of them, they were for a pool that the miner did not work for any more.
    pub after_switch: u64,
    /// Late or refused, and submitted within 5 s of a change of pool.
    pub switch_lost: u64,
    /// Hashes done, by accepted and credited shares, each by the difficulty that the miner was told.
    pub work: f64,
    /// Difficulty of accepted shares, as the pool counts it.
    pub paid: f64,
    /// Work of all that brought nothing.
    pub wasted_work: f64,
    /// Work of `switch_lost`.
    pub switch_lost_work: f64,
    /// Those that did not count, by whose doing it is: `miner`, `pool`, `proxy` (a bug: should be 0), `nobody`.
    pub by_fault: BTreeMap<&'static str, u64>,
    /// All by outcome, zeros included.
    pub by_outcome: BTreeMap<&'static str, u64>,
}

/// How much of the work went where in a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Split {
    /// There is not enough yet to say anything; the numbers are there, but are chance.
    pub collecting: bool,
    /// The time in the window in which shares could be seen.
    pub observed_seconds: f64,
    /// Shares of equal difficulty that would say as much.
    pub effective_shares: f64,
    /// One a configured pool.
    pub pools: Vec<SplitPool>,
}

/// One pool's part of the work in a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SplitPool {
    /// The slot's letter.
    pub pool: String,
    /// What it was to get: the mean over the time of the window.
    pub target: f64,
    /// What it got; none before the first share.
    pub achieved: Option<f64>,
    /// Achieved less target, in percentage points; none while collecting.
    pub error_points: Option<f64>,
    /// The 95 % interval of the error, in percentage points: the true error is in it 19 times of 20.
    pub low_points: Option<f64>,
    /// Its upper end.
    pub high_points: Option<f64>,
    /// Accepted and credited shares.
    pub shares: u64,
    /// Their work.
    pub work: f64,
}

/// What changing pools costs in a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Switching {
    /// Times that a miner's work went from one pool to another.
    pub switches: u64,
    /// The same an hour; none before there is enough to say it.
    pub per_hour: Option<f64>,
    /// Shares that were late or refused, submitted within 5 s of a change of pool.
    pub lost_shares: u64,
    /// Their work.
    pub lost_work: f64,
    /// Their part of all work, 0 to 1; none before the first share.
    pub lost_ratio: Option<f64>,
}

/// One configured pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pool {
    /// The slot's letter.
    pub pool: String,
    /// What the operator calls it.
    pub name: String,
    /// `BTC`, `BCH`, ...; empty if not said.
    pub chain: String,
    /// `host:port`.
    pub endpoint: String,
    /// Its weight is above 0, or it is the failover.
    pub in_use: bool,
    /// The share of work that it is to get now.
    pub target: f64,
    /// Connections that stand.
    pub connections: u64,
    /// Miners that could work for it now.
    pub usable: u64,
    /// Miners that work for it now.
    pub working: u64,
    /// Bad news that has not been made good.
    pub down: Option<Down>,
    /// Connections that were made, and of them those that were lost, since the program started.
    pub connects: u64,
    /// See `connects`.
    pub losses: u64,
    /// Jobs since the program started, over all connections.
    pub jobs: u64,
    /// When the last one came.
    pub last_job: Option<u64>,
    /// The difficulty that it last set.
    pub difficulty: Option<f64>,
    /// The height of the block that its jobs are for.
    pub height: Option<u32>,
    /// What the network asks of a block.
    pub network_difficulty: Option<f64>,
    /// Luck: expected time to a block at the pool's hash rate of the last hour and the network's difficulty.
    pub expected_block_seconds: Option<f64>,
    /// The probability of a block within a day, as above.
    pub block_odds_per_day: Option<f64>,
    /// Whether its jobs pay the configured wallet: `pays`, `later`, `no`, `no_address`, `unreadable`; none before the
    /// first job.
    pub payout: Option<&'static str>,
    /// Time that miners worked for it since the program started.
    pub worked_seconds: f64,
    /// Its part of the miners' time since the program started, 0 to 1.
    pub time_share: f64,
    /// Its last share of any kind.
    pub last_share: Option<u64>,
    /// Its hash rate.
    pub hashrate: ByWindow<Rate>,
    /// Its shares for ever, as long as this pool is in this slot.
    pub shares: Shares,
    /// The commonest reason of its refusals, and its own words the last time.
    pub top_reject: Option<Reject>,
    /// From a share to its answer.
    pub response: Latency,
    /// The best share for it since the program started.
    pub best_session: Option<Best>,
    /// And of all time.
    pub best: Option<Best>,
    /// Shares that met the network's target.
    pub blocks: u64,
}

/// Bad news of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Down {
    /// Since when.
    pub since: u64,
    /// In words.
    pub reason: String,
}

/// Why a pool refuses shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reject {
    /// The outcome's label.
    pub outcome: &'static str,
    /// How many.
    pub shares: u64,
    /// What the pool said the last time it refused anything, if that was in this session.
    pub words: Option<Arc<str>>,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Worker {
    /// Its name, or the address of one without.
    pub name: Arc<str>,
    /// Its firmware as it calls itself.
    pub agent: Arc<str>,
    /// Connections that stand.
    pub connections: u64,
    /// The pool that it works for, or last worked for.
    pub pool: Option<String>,
    /// The difficulty it was last told.
    pub difficulty: Option<f64>,
    /// Since when it is known.
    pub since: u64,
    /// Its last share of any kind.
    pub last_share: Option<u64>,
    /// When its last connection ended; none while one stands.
    pub gone_since: Option<u64>,
    /// Its hash rate.
    pub hashrate: ByWindow<Rate>,
    /// Its part of all work of the last hour, 0 to 1.
    pub share_of_work: Option<f64>,
    /// Its shares for ever.
    pub shares: Shares,
    /// Its shares by slot.
    pub by_pool: Vec<ForPool>,
    /// Times that its work went from one pool to another.
    pub switches: u64,
    /// Connections so far.
    pub connects: u64,
    /// Its best share since the program started.
    pub best_session: Option<Best>,
    /// And of all time.
    pub best: Option<Best>,
}

/// What a worker did for one slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ForPool {
    /// The slot's letter.
    pub pool: String,
    /// Accepted and credited shares.
    pub good: u64,
    /// All others that have ended.
    pub bad: u64,
    /// Work of the good ones.
    pub work: f64,
}

/// One miner's connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Connection {
    /// Its number.
    pub miner: u64,
    /// Its other end.
    pub peer: String,
    /// The worker; none before authorize.
    pub worker: Option<Arc<str>>,
    /// Its firmware as it calls itself.
    pub agent: Arc<str>,
    /// Since when it stands.
    pub since: u64,
    /// It has authorised.
    pub ready: bool,
    /// The pool that it works for; none: it waits.
    pub pool: Option<String>,
    /// The difficulty it was last told.
    pub difficulty: Option<f64>,
}

/// A best share.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Best {
    /// The true difficulty of its hash.
    pub difficulty: f64,
    /// Who found it.
    pub worker: Arc<str>,
    /// For which pool: slot and address.
    pub pool: Arc<str>,
    /// When.
    pub at: u64,
}

/// Best shares and block candidates.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Records {
    /// The best share since the program started.
    pub best_session: Option<Best>,
    /// And of all time.
    pub best: Option<Best>,
    /// The best of each worker that is listed no more are in the file only; these are the ten best workers.
    pub best_workers: Vec<Best>,
    /// What v2 kept as best shares: the difficulty that a share was assigned, not that of its hash. Not comparable.
    pub imported: BTreeMap<String, f64>,
    /// Shares that met the network's target, latest first, at most a hundred.
    pub blocks: Vec<Block>,
}

/// A share that met the network's target.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Block {
    /// When.
    pub at: u64,
    /// Who found it.
    pub worker: Arc<str>,
    /// For which pool: slot and address.
    pub pool: Arc<str>,
    /// The block's hash, as explorers write it.
    pub hash: String,
    /// The true difficulty of the hash.
    pub difficulty: f64,
    /// What the network asked for.
    pub network_difficulty: f64,
    /// The block's height, if the coinbase told it.
    pub height: Option<u32>,
    /// Where it was sent: `owner`, `twin`, `nowhere`.
    pub way: String,
}

/// Lengths of time over the last hour; none where there was none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50_seconds: Option<f64>,
    /// 95 of 100 are not longer.
    pub p95_seconds: Option<f64>,
    /// 99 of 100 are not longer.
    pub p99_seconds: Option<f64>,
    /// The longest.
    pub max_seconds: Option<f64>,
}
