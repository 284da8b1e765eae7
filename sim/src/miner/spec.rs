//! What a simulated miner is told to be: the habits of its firmware (STRATUM.md §1–§3), and presets of known ones.

use crate::pow::Pow;

/// What the firmware does with `mining.set_extranonce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetExtranonce {
    /// Uses the new extranonce from the next job on.
    Honour,
    /// Goes on with the old one.
    Ignore,
    /// Closes the connection.
    HangUp,
}

/// One request of the handshake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// `mining.configure` for version rolling, with this mask.
    Configure(u32),
    /// `mining.subscribe`.
    Subscribe,
    /// `mining.authorize`.
    Authorize,
    /// `mining.extranonce.subscribe`.
    ExtranonceSubscribe,
    /// `mining.suggest_difficulty`.
    SuggestDifficulty(f64),
    /// `mining.suggest_target` with the target of this difficulty.
    SuggestTarget(f64),
    /// `mining.get_transactions`, as BFGMiner asks for it.
    GetTransactions,
    /// `mining.multi_version`, stock Antminer.
    MultiVersion,
    /// `mining.capabilities`, old BFGMiner.
    Capabilities,
    /// `mining.ping`.
    Ping,
}

/// The ids of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Integers that count up.
    Counter,
    /// 1, 2, 3 for the handshake, 4 for every submit (cpuminer).
    FourForSubmits,
    /// A mix of integers and strings (BFGMiner): `"auth"`, `"xnsub"`.
    Words,
    /// Strings that count up.
    Strings,
}

/// How numbers of a submit are spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Eight lowercase digits.
    Lower,
    /// Uppercase digits (LeafMiner).
    Upper,
    /// The nonce without leading zeros (NerdMiner).
    Unpadded,
    /// `0x` before nonce and ntime.
    Prefixed,
}

/// Where extranonce2 comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extranonce2 {
    /// From 0 for every job, and up.
    RestartAtZero,
    /// The same for the whole session (NerdMiner).
    Constant,
    /// Drawn anew for each piece of work (LeafMiner).
    Random,
    /// Counts on over jobs.
    Counter,
}

/// Which version bits are rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rolling {
    /// None; submits have five parameters.
    None,
    /// Those of the mask that it was told, once it was told one.
    WithinMask,
    /// Always 1fffe000, whatever it was told (NerdQAxe).
    Always,
}

/// What it takes for a refusal and gives up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Reads on.
    Tolerant,
    /// A foreign line between authorize and its reply is a refusal (minerd, cpuminer-opt).
    ForeignLineIsRefusal,
}

/// The first connections of a miner that looks before it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probing {
    /// Stays at once.
    None,
    /// TLS ClientHello, then a subscribe and hang up, then a ClientHello again, then stays (BFGMiner).
    Tls,
    /// Subscribes, authorises and hangs up, then stays (Bitaxe's heartbeat).
    Heartbeat,
}

/// The habits of a firmware.
#[derive(Clone, Debug, PartialEq)]
pub struct Personality {
    /// For reports.
    pub label: String,
    /// As told by `mining.subscribe`.
    pub agent: String,
    /// Requests in order.
    pub handshake: Vec<Step>,
    /// Sends all of them at once instead of waiting for each reply.
    pub pipelined: bool,
    /// Looks before it stays.
    pub probing: Probing,
    /// On `mining.set_extranonce`.
    pub set_extranonce: SetExtranonce,
    /// Ids of requests.
    pub ids: Ids,
    /// Spelling of submits.
    pub spelling: Spelling,
    /// Source of extranonce2.
    pub extranonce2: Extranonce2,
    /// The lengths of extranonce2 that it bears; empty: any.
    pub extranonce2_sizes: Vec<usize>,
    /// Quits on an empty extranonce1.
    pub needs_extranonce1: bool,
    /// Hashes on one piece of work before extranonce2, ntime or version changes.
    pub hashes_per_work: u32,
    /// Goes on with the previous job for so long after a new one, clean or not.
    pub late_us: u64,
    /// How many previous jobs are in its queue meanwhile.
    pub late_jobs: usize,
    /// Hashes nothing for so long after a job that replaces the ones before: its pipeline is filled anew.
    pub restart_us: u64,
    /// Counts ntime up by one every so many pieces of work; 0: never.
    pub rolls_time_every: u32,
    /// Version bits.
    pub rolling: Rolling,
    /// Gives up, and reconnects, when version rolling is not granted (cgminer with USE_VMASK).
    pub insists_on_mask: bool,
    /// No data for so long: it reconnects.
    pub silence_us: Option<u64>,
    /// No job for so long: it reconnects.
    pub no_job_us: Option<u64>,
    /// No subscribe reply for so long: it reconnects.
    pub subscribe_us: u64,
    /// On foreign lines.
    pub patience: Patience,
    /// The longest line that it can take.
    pub line_limit: usize,
    /// The longest coinbase that it can take.
    pub coinbase_limit: usize,
    /// Matches jobs by the CRC-16 of the id among the last four (Avalon).
    pub crc_job_ids: bool,
    /// Takes one read from the socket for one message: never two in one write (LeafMiner).
    pub one_message_a_write: bool,
}

/// One miner.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerSpec {
    /// For reports: the worker's name.
    pub name: String,
    /// As told by `mining.authorize`.
    pub user: String,
    /// Likewise.
    pub password: String,
    /// Everything that it draws follows from it.
    pub seed: u64,
    /// Hashes per second.
    pub hash_rate: f64,
    /// Its firmware.
    pub personality: Personality,
    /// Every so many shares it submits one a second time, in another spelling; 0: never.
    pub repeats_every: u64,
    /// How it hashes.
    pub pow: Pow,
}

impl MinerSpec {
    /// A miner with the user `wallet.name`.
    pub fn new(name: &str, hash_rate: f64, personality: Personality, seed: u64) -> MinerSpec {
        MinerSpec {
            name: name.to_owned(),
            user: format!("wallet.{name}"),
            password: "x".to_owned(),
            seed,
            hash_rate,
            personality,
            repeats_every: 0,
            pow: Pow::default(),
        }
    }
}

const MASK: u32 = 0x1fff_e000;

impl Personality {
    /// cgminer 4.11.1, and what most ASIC firmwares descend from.
    pub fn cgminer() -> Personality {
        Personality {
            label: "cgminer".into(),
            agent: "cgminer/4.11.1".into(),
            handshake: vec![Step::Subscribe, Step::ExtranonceSubscribe, Step::Authorize],
            pipelined: false,
            probing: Probing::None,
            set_extranonce: SetExtranonce::Honour,
            ids: Ids::Counter,
            spelling: Spelling::Lower,
            extranonce2: Extranonce2::RestartAtZero,
            extranonce2_sizes: (1..=8).collect(),
            needs_extranonce1: true,
            hashes_per_work: 20_000,
            late_us: 150_000,
            late_jobs: 1,
            restart_us: 0,
            rolls_time_every: 0,
            rolling: Rolling::None,
            insists_on_mask: false,
            silence_us: Some(90_000_000),
            no_job_us: None,
            subscribe_us: 30_000_000,
            patience: Patience::Tolerant,
            line_limit: 16_000,
            coinbase_limit: 6_500,
            crc_job_ids: false,
            one_message_a_write: false,
        }
    }

    /// cgminer built with USE_VMASK: configure first, and no work without a mask.
    pub fn cgminer_vmask() -> Personality {
        Personality {
            label: "cgminer vmask".into(),
            handshake: vec![Step::Configure(u32::MAX), Step::Subscribe, Step::Authorize],
            rolling: Rolling::WithinMask,
            insists_on_mask: true,
            ..Personality::cgminer()
        }
    }

    /// A new Bitaxe: pipelined, asks for all version bits, queue of ten jobs.
    pub fn bitaxe() -> Personality {
        Personality {
            label: "Bitaxe 2.9".into(),
            agent: "bitaxe/BM1366/v2.9.0".into(),
            handshake: vec![
                Step::Subscribe,
                Step::Configure(u32::MAX),
                Step::Authorize,
                Step::SuggestDifficulty(0.000_001),
            ],
            pipelined: true,
            set_extranonce: SetExtranonce::Honour,
            extranonce2_sizes: Vec::new(),
            needs_extranonce1: false,
            late_jobs: 10,
            rolling: Rolling::WithinMask,
            silence_us: None,
            ..Personality::cgminer()
        }
    }

    /// An old Bitaxe: extranonce2 of 4 or 8 bytes only, never heard of `mining.set_extranonce`.
    pub fn bitaxe_old() -> Personality {
        Personality {
            label: "Bitaxe 2.4".into(),
            agent: "bitaxe/BM1366/v2.4.0".into(),
            set_extranonce: SetExtranonce::Ignore,
            extranonce2_sizes: vec![4, 8],
            probing: Probing::Heartbeat,
            ..Personality::bitaxe()
        }
    }

    /// NerdMiner: constant extranonce2, unpadded nonces, small buffers, little patience.
    pub fn nerdminer() -> Personality {
        Personality {
            label: "NerdMiner".into(),
            agent: "NerdMinerV2/V1.7.0".into(),
            handshake: vec![Step::Subscribe, Step::Authorize, Step::SuggestDifficulty(0.000_001)],
            set_extranonce: SetExtranonce::Ignore,
            spelling: Spelling::Unpadded,
            extranonce2: Extranonce2::Constant,
            extranonce2_sizes: vec![2, 4, 8],
            silence_us: None,
            no_job_us: Some(600_000_000),
            subscribe_us: 1_200_000,
            line_limit: 3_000,
            coinbase_limit: 255,
            ..Personality::cgminer()
        }
    }

    /// LeafMiner: random extranonce2 of exactly 4 bytes, upper case, one read is one message.
    pub fn leafminer() -> Personality {
        Personality {
            label: "LeafMiner".into(),
            agent: "LeafMiner/0.0.1".into(),
            handshake: vec![Step::Subscribe, Step::Authorize, Step::SuggestDifficulty(0.000_001)],
            set_extranonce: SetExtranonce::Ignore,
            spelling: Spelling::Upper,
            extranonce2: Extranonce2::Random,
            extranonce2_sizes: vec![4],
            needs_extranonce1: false,
            silence_us: None,
            line_limit: 3_000,
            coinbase_limit: 400,
            one_message_a_write: true,
            ..Personality::cgminer()
        }
    }

    /// cpuminer-opt: extranonce.subscribe after authorize, id 4 for submits.
    pub fn cpuminer_opt() -> Personality {
        Personality {
            label: "cpuminer-opt".into(),
            agent: "cpuminer-opt-26.1-x64L".into(),
            handshake: vec![Step::Subscribe, Step::Authorize, Step::ExtranonceSubscribe],
            set_extranonce: SetExtranonce::Honour,
            ids: Ids::FourForSubmits,
            extranonce2_sizes: Vec::new(),
            needs_extranonce1: false,
            silence_us: Some(120_000_000),
            patience: Patience::ForeignLineIsRefusal,
            ..Personality::cgminer()
        }
    }

    /// minerd: id 4 for submits, extranonce2 stays 0 until the nonces are used up.
    pub fn minerd() -> Personality {
        Personality {
            label: "minerd".into(),
            agent: "cpuminer/2.5.1".into(),
            handshake: vec![Step::Subscribe, Step::Authorize],
            set_extranonce: SetExtranonce::Ignore,
            hashes_per_work: u32::MAX,
            ..Personality::cpuminer_opt()
        }
    }

    /// Avalon: quits on `mining.set_extranonce`, matches job ids by CRC.
    pub fn avalon() -> Personality {
        Personality {
            label: "Avalon".into(),
            agent: "cgminer/4.11.1 avalon-nano3s".into(),
            handshake: vec![Step::Configure(MASK), Step::Subscribe, Step::Authorize],
            set_extranonce: SetExtranonce::HangUp,
            extranonce2_sizes: (3..=8).collect(),
            needs_extranonce1: false,
            rolling: Rolling::WithinMask,
            crc_job_ids: true,
            ..Personality::cgminer()
        }
    }

    /// Stock Antminer: configure must be answered, asks for multi_version.
    pub fn antminer() -> Personality {
        Personality {
            label: "Antminer".into(),
            agent: "bmminer/2.0.0/Antminer S19/20220426".into(),
            handshake: vec![Step::Configure(MASK), Step::Subscribe, Step::MultiVersion, Step::Authorize],
            set_extranonce: SetExtranonce::Ignore,
            rolling: Rolling::WithinMask,
            rolls_time_every: 3,
            coinbase_limit: 730,
            ..Personality::cgminer()
        }
    }

    /// Whatsminer.
    pub fn whatsminer() -> Personality {
        Personality {
            label: "Whatsminer".into(),
            agent: "btminer/3.4.0".into(),
            handshake: vec![Step::Subscribe, Step::Configure(MASK), Step::Authorize],
            set_extranonce: SetExtranonce::HangUp,
            ids: Ids::Strings,
            rolling: Rolling::WithinMask,
            extranonce2: Extranonce2::Counter,
            ..Personality::cgminer()
        }
    }

    /// NerdQAxe: rolls 1fffe000 whatever it is told.
    pub fn nerdqaxe() -> Personality {
        Personality {
            label: "NerdQAxe".into(),
            agent: "NerdQAxe++/BM1370/v1.0.30".into(),
            set_extranonce: SetExtranonce::Ignore,
            rolling: Rolling::Always,
            ..Personality::bitaxe()
        }
    }

    /// BFGMiner: looks for TLS first, ids in words, asks for transactions.
    pub fn bfgminer() -> Personality {
        Personality {
            label: "BFGMiner".into(),
            agent: "bfgminer/5.5.0".into(),
            handshake: vec![Step::Subscribe, Step::Authorize, Step::GetTransactions],
            probing: Probing::Tls,
            set_extranonce: SetExtranonce::Ignore,
            ids: Ids::Words,
            extranonce2_sizes: Vec::new(),
            ..Personality::cgminer()
        }
    }

    /// A firmware that nobody has heard of.
    pub fn unknown() -> Personality {
        Personality {
            label: "unknown".into(),
            agent: "acme-hasher/1".into(),
            handshake: vec![
                Step::Ping,
                Step::SuggestTarget(0.000_001),
                Step::Subscribe,
                Step::Capabilities,
                Step::Authorize,
            ],
            pipelined: true,
            set_extranonce: SetExtranonce::HangUp,
            ids: Ids::Strings,
            spelling: Spelling::Prefixed,
            ..Personality::cgminer()
        }
    }

    /// Suggests this difficulty, where it suggests one.
    pub fn suggest(&mut self, difficulty: f64) {
        for step in &mut self.handshake {
            if let Step::SuggestDifficulty(old) | Step::SuggestTarget(old) = step {
                *old = difficulty;
            }
        }
    }

    /// All presets.
    pub fn all() -> Vec<Personality> {
        vec![
            Personality::cgminer(),
            Personality::cgminer_vmask(),
            Personality::bitaxe(),
            Personality::bitaxe_old(),
            Personality::nerdminer(),
            Personality::leafminer(),
            Personality::cpuminer_opt(),
            Personality::minerd(),
            Personality::avalon(),
            Personality::antminer(),
            Personality::whatsminer(),
            Personality::nerdqaxe(),
            Personality::bfgminer(),
            Personality::unknown(),
        ]
    }
}
