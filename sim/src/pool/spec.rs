//! What a simulated pool is told to be: its software's habits, its sizes, its jobs, and a script of mishaps.

use crate::pow::Pow;

/// The pool software that is imitated: order of keys, order at login, wording and shape of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Does everything as STRATUM.md would like it.
    WellBehaved,
    /// ckpool: difficulty and job before the authorize reply, old difficulty for older jobs, lines of 1,024 bytes at most.
    Ckpool,
    /// public-pool: job after the authorize reply, current difficulty only, silence on what it does not know.
    PublicPool,
    /// DATUM gateway: job with the subscribe reply, long job ids, the sixth submit parameter is a duty.
    Datum,
    /// The pools on node: hex job counter, errors of two elements.
    Npm,
    /// Valid in what counts, odd in all the rest: blank lines, unknown methods, garbage, repeats.
    Nasty,
}

/// How job ids look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobIds {
    /// Eight hex digits, the form that all firmwares take.
    Hex8,
    /// Sixteen hex digits, as ckpool.
    Hex16,
    /// 0 to 255 in decimal, over and over, as btcpool: they collide with any other pool's.
    Decimal,
    /// Seventeen characters and more, as DATUM.
    Long,
    /// A counter in hex, as npm and public-pool.
    HexCounter,
}

/// What `mining.configure` is told about version rolling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRolling {
    /// Granted with this mask (and the one asked for).
    Mask(u32),
    /// `"version-rolling": false`.
    False,
    /// An error reply.
    Error,
    /// No reply at all.
    Silence,
}

/// When difficulty and first job come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOrder {
    /// Right behind the subscribe reply (DATUM, npm).
    WithSubscribe,
    /// Difficulty behind the subscribe reply; job and difficulty again before the authorize reply (ckpool).
    BeforeAuthorizeReply,
    /// Behind the authorize reply (public-pool).
    AfterAuthorizeReply,
}

/// How a share is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectShape {
    /// `"result":null,"error":[code,"text",null]`
    Array,
    /// `"result":false,"error":[code,"text",null]`
    FalseArray,
    /// `"result":null,"error":[code,"text"]`
    ShortArray,
    /// `"result":null,"error":{"code":code,"message":"text"}`
    Object,
    /// `"result":null,"error":"text"`
    Text,
    /// `"result":false,"error":null,"reject-reason":"text"`
    RejectReason,
}

/// What happens to `mining.suggest_difficulty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suggest {
    /// No reply, no effect.
    Ignored,
    /// No reply, but the difficulty is set to it.
    Obeyed,
    /// A reply, no effect.
    Answered,
}

/// How a pool is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageMode {
    /// Connections are closed, new ones accepted and closed at once.
    Close,
    /// Connections are closed, new ones refused.
    Refuse,
    /// Connections stand, nothing is read or sent; what came in meanwhile is lost.
    Silent,
    /// As silent, but all that came in is answered when it ends.
    Frozen,
}

/// Something that happens at a set time.
#[derive(Clone, Debug, PartialEq)]
pub enum Script {
    /// Out until that time (microseconds).
    Outage {
        /// How.
        mode: OutageMode,
        /// Until when.
        until_us: u64,
    },
    /// `mining.set_extranonce` with a fresh extranonce1 and this extranonce2_size, then a job.
    SetExtranonce {
        /// The new size in bytes.
        extranonce2_bytes: usize,
        /// Only to connections that sent `mining.extranonce.subscribe`.
        subscribers_only: bool,
    },
    /// `mining.set_difficulty` with this text.
    SetDifficulty(String),
    /// `mining.set_version_mask`, if it grants version rolling. Jobs that were sent before may still be worked on with the
    /// bits that were granted until now.
    SetVersionMask(u32),
    /// A new block: the previous jobs are stale.
    NewBlock,
    /// `client.reconnect`.
    Reconnect {
        /// Where to.
        host: String,
        /// Its port.
        port: u16,
    },
    /// `client.show_message`.
    ShowMessage(String),
    /// `mining.ping`.
    Ping,
    /// `client.get_version`.
    GetVersion,
    /// From the next connection on, extranonce1 and extranonce2 have these sizes.
    ChangeSizes {
        /// Bytes of extranonce1.
        extranonce1_bytes: usize,
        /// Bytes of extranonce2.
        extranonce2_bytes: usize,
    },
    /// From the next authorize on, workers are refused with these words (none: accepted).
    RefuseWorker(Option<String>),
    /// So many of a thousand good shares are refused as stale.
    RefuseShares {
        /// 0: none.
        permille: u64,
    },
    /// Submits are answered, or no longer.
    AnswerSubmits(bool),
    /// This line, verbatim, to all connections.
    Raw(String),
}

impl Script {
    /// True for what is no fault.
    pub fn is_question(&self) -> bool {
        matches!(self, Script::Ping | Script::GetVersion)
    }
}

/// All about a simulated pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolSpec {
    /// For reports, and a part of the coinbase.
    pub name: String,
    /// The software that is imitated.
    pub flavour: Flavour,
    /// All job content follows from it.
    pub seed: u64,
    /// 0 to 9.
    pub extranonce1_bytes: usize,
    /// 2 to 16.
    pub extranonce2_bytes: usize,
    /// The difficulty at the start, verbatim.
    pub difficulty: String,
    /// Version rolling.
    pub version_rolling: VersionRolling,
    /// The version of jobs.
    pub version: u32,
    /// From one job to the next.
    pub job_interval_us: u64,
    /// Every how many jobs the block changes (clean).
    pub jobs_per_block: u32,
    /// How ids look.
    pub job_ids: JobIds,
    /// Total bytes of the coinbase, extranonces included, at least.
    pub coinbase_bytes: usize,
    /// Merkle branches of a job.
    pub branches: usize,
    /// 0x207fffff: every share is a block candidate; 0x1d00ffff: none will ever be.
    pub nbits: u32,
    /// Seconds since 1970 at time 0.
    pub start_unix: u32,
    /// When job and difficulty come.
    pub login: LoginOrder,
    /// Shape of refusals.
    pub reject: RejectShape,
    /// What is done with suggestions.
    pub suggest: Suggest,
    /// Refuses all workers, with these words.
    pub refuse_worker: Option<String>,
    /// False: a black hole for submits.
    pub answers_submits: bool,
    /// The user of a submit must be the authorised one.
    pub checks_user: bool,
    /// Shares of an older block are refused.
    pub refuses_stale: bool,
    /// Whoever connects again gets the same extranonce1 as before, and so the same work: what it finds twice is a duplicate.
    pub same_again: bool,
    /// Adjusts each connection's difficulty to this rate.
    pub vardiff: Option<Vardiff>,
    /// How headers are hashed.
    pub pow: Pow,
    /// What happens when, in order of time (microseconds).
    pub script: Vec<(u64, Script)>,
}

/// A pool that gives each connection the difficulty that suits it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vardiff {
    /// The rate that is aimed at.
    pub shares_per_minute: f64,
    /// How often it is looked at.
    pub every_us: u64,
    /// Never less than this.
    pub least: f64,
    /// Never more.
    pub most: f64,
}

impl PoolSpec {
    /// A pool without quirks: extranonces of 4 and 8 bytes, difficulty 1e-6, a job every 10 s, a block every 6 jobs.
    pub fn new(name: &str, seed: u64) -> PoolSpec {
        PoolSpec {
            name: name.to_owned(),
            flavour: Flavour::WellBehaved,
            seed,
            extranonce1_bytes: 4,
            extranonce2_bytes: 8,
            difficulty: "0.000001".to_owned(),
            version_rolling: VersionRolling::Mask(0x1fff_e000),
            version: 0x2000_0000,
            job_interval_us: 10_000_000,
            jobs_per_block: 6,
            job_ids: JobIds::Hex8,
            coinbase_bytes: 180,
            branches: 3,
            nbits: 0x1d00_ffff,
            start_unix: 1_790_000_000,
            login: LoginOrder::AfterAuthorizeReply,
            reject: RejectShape::Array,
            suggest: Suggest::Answered,
            refuse_worker: None,
            answers_submits: true,
            checks_user: true,
            refuses_stale: true,
            same_again: false,
            vardiff: None,
            pow: Pow::default(),
            script: Vec::new(),
        }
    }

    /// As ckpool: extranonces of 4 and 8 bytes.
    pub fn ckpool(name: &str, seed: u64) -> PoolSpec {
        PoolSpec {
            flavour: Flavour::Ckpool,
            job_ids: JobIds::Hex16,
            login: LoginOrder::BeforeAuthorizeReply,
            reject: RejectShape::RejectReason,
            suggest: Suggest::Obeyed,
            ..PoolSpec::new(name, seed)
        }
    }

    /// As ckpool's difficulty-friendly fork: refusals are arrays.
    pub fn ckpool_lhr(name: &str, seed: u64) -> PoolSpec {
        PoolSpec { reject: RejectShape::FalseArray, ..PoolSpec::ckpool(name, seed) }
    }

    /// As public-pool: extranonces of 4 and 4 bytes.
    pub fn public_pool(name: &str, seed: u64) -> PoolSpec {
        PoolSpec {
            flavour: Flavour::PublicPool,
            extranonce2_bytes: 4,
            job_ids: JobIds::HexCounter,
            branches: 0,
            checks_user: false,
            suggest: Suggest::Obeyed,
            ..PoolSpec::new(name, seed)
        }
    }

    /// As a DATUM gateway: long job ids, the sixth parameter is a duty.
    pub fn datum(name: &str, seed: u64) -> PoolSpec {
        PoolSpec {
            flavour: Flavour::Datum,
            job_ids: JobIds::Long,
            login: LoginOrder::WithSubscribe,
            reject: RejectShape::FalseArray,
            ..PoolSpec::new(name, seed)
        }
    }

    /// As the pools on node: extranonces of 4 and 4 bytes, no version rolling.
    pub fn npm(name: &str, seed: u64) -> PoolSpec {
        PoolSpec {
            flavour: Flavour::Npm,
            extranonce2_bytes: 4,
            job_ids: JobIds::HexCounter,
            version_rolling: VersionRolling::Error,
            login: LoginOrder::WithSubscribe,
            reject: RejectShape::ShortArray,
            ..PoolSpec::new(name, seed)
        }
    }

    /// As btcpool: decimal job ids that repeat, error objects.
    pub fn btcpool(name: &str, seed: u64) -> PoolSpec {
        PoolSpec { job_ids: JobIds::Decimal, reject: RejectShape::Object, ..PoolSpec::new(name, seed) }
    }

    /// Odd wherever it does not count.
    pub fn nasty(name: &str, seed: u64) -> PoolSpec {
        PoolSpec {
            flavour: Flavour::Nasty,
            job_ids: JobIds::Decimal,
            login: LoginOrder::BeforeAuthorizeReply,
            reject: RejectShape::Text,
            version_rolling: VersionRolling::Silence,
            suggest: Suggest::Ignored,
            ..PoolSpec::new(name, seed)
        }
    }
}
