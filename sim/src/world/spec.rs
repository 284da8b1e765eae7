//! What a simulated world is told to be: peers, network, config, and what goes wrong when.

use dpmp_core::config::PoolConfig;
use dpmp_core::trace::Start;
use dpmp_core::{Command, Config, Engine, Memory};

use crate::miner::MinerSpec;
use crate::pool::PoolSpec;
use crate::pow::Pow;

/// The network between the proxy and its peers. Each connection draws a latency of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetSpec {
    /// Shortest latency of a connection, one way, in microseconds.
    pub latency_min_us: u64,
    /// Longest.
    pub latency_max_us: u64,
    /// What is added to it per message at most.
    pub jitter_us: u64,
    /// In a thousand deliveries, so many are cut at a random byte, the rest following a little later.
    pub cut_permille: u64,
    /// Every delivery is a single byte: slow, for chunking tests.
    pub single_bytes: bool,
    /// What the driver's socket takes for a peer that does not read, before its own queue grows.
    pub socket_buffer: usize,
}

impl Default for NetSpec {
    /// A house and the internet behind it: 1–80 ms, a tenth of the deliveries cut.
    fn default() -> NetSpec {
        NetSpec {
            latency_min_us: 500,
            latency_max_us: 80_000,
            jitter_us: 3_000,
            cut_permille: 100,
            single_bytes: false,
            socket_buffer: 64 << 10,
        }
    }
}

/// Something that befalls the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection of a miner breaks on both sides.
    CutMiner(usize),
    /// The same, and it stays away until then.
    AwayMiner {
        /// Which.
        miner: usize,
        /// Microseconds.
        until_us: u64,
    },
    /// All connections to a pool break on both sides.
    CutPool(usize),
    /// Nothing goes to or from this pool until then, and nothing is lost.
    HoldPool {
        /// Which.
        pool: usize,
        /// Microseconds.
        until_us: u64,
    },
    /// The miner reads nothing until then.
    ClogMiner {
        /// Which.
        miner: usize,
        /// Microseconds.
        until_us: u64,
    },
    /// The miner reads only so fast until then.
    SlowMiner {
        /// Which.
        miner: usize,
        /// Microseconds.
        until_us: u64,
        /// How fast.
        bytes_a_second: usize,
    },
    /// Nothing goes to or from this miner until then, and nothing is lost.
    HoldMiner {
        /// Which.
        miner: usize,
        /// Microseconds.
        until_us: u64,
    },
    /// The same for all miners at once: the house is cut in two.
    Partition {
        /// Microseconds.
        until_us: u64,
    },
    /// All miners' connections break at once, and all come back within two seconds.
    Storm,
    /// The miner closes its own direction and goes on reading.
    HalfCloseMiner(usize),
    /// The pool does, on all its connections.
    HalfClosePool(usize),
    /// The operator does something.
    Command(Command),
    /// The engine goes on from its own checkpoint.
    Restore,
    /// The proxy is killed and started anew: all connections break, and what it saves is all that it knows.
    Restart,
}

/// All about a world.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// In the order of the config's slots.
    pub pools: Vec<PoolSpec>,
    /// Each connects by itself, within [`WorldSpec::arrival_us`].
    pub miners: Vec<MinerSpec>,
    /// The engine's config; slot `n` must have the address that [`WorldSpec::config`] gives it.
    pub config: Config,
    /// The network.
    pub net: NetSpec,
    /// When the first miner comes, at least, and how long it takes until the last has.
    pub arrival_us: (u64, u64),
    /// What befalls it, in any order (microseconds).
    pub faults: Vec<(u64, Fault)>,
    /// From then on nothing goes wrong any more: what was hurt has healed, and liveness and the split are demanded. None:
    /// not known.
    pub heal_us: Option<u64>,
    /// How headers are hashed, by pools, miners and proxy.
    pub pow: Pow,
}

impl WorldSpec {
    /// A calm world with these peers, equal weights, and the default network.
    pub fn new(seed: u64, pools: Vec<PoolSpec>, miners: Vec<MinerSpec>) -> WorldSpec {
        let config = WorldSpec::config(&pools);
        WorldSpec {
            seed,
            pools,
            miners,
            config,
            net: NetSpec::default(),
            arrival_us: (1_000_000, 3_000_000),
            faults: Vec::new(),
            heal_us: None,
            pow: Pow::default(),
        }
    }

    /// Which pool has this name, or another one.
    pub(super) fn pool_called(&self, name: &str) -> Option<usize> {
        (0..self.pools.len()).find(|i| name == host(*i) || name == other_host(*i))
    }

    /// A new engine for this world, without memory.
    pub fn engine(&self) -> Engine {
        self.start().engine()
    }

    /// What that engine is made of.
    pub fn start(&self) -> Start {
        let key = match self.pow {
            Pow::Sha256d => None,
            Pow::Keyed(key) => Some(key),
        };
        Start { key, ..Start::new(self.config.clone(), Memory::default(), self.seed) }
    }

    /// A config that names these pools, with equal weights and the wallet `wallet`.
    pub fn config(pools: &[PoolSpec]) -> Config {
        let slots = pools.iter().enumerate().map(|(i, spec)| {
            let letter = char::from(b'A' + i as u8).to_string();
            let mut slot = PoolConfig::new(&letter);
            slot.name.clone_from(&spec.name);
            slot.address.host = host(i);
            slot.wallet = "wallet".into();
            slot
        });
        let n = pools.len().max(1) as u32;
        let mut weights = vec![1_000_000 / n; pools.len()];
        if let Some(first) = weights.first_mut() {
            *first += 1_000_000 % n;
        }
        Config::with_pools(slots.collect(), weights)
    }
}

/// Another name of pool `index`, by which a changed config may call it.
pub(super) fn other_host(index: usize) -> String {
    format!("pool{index}.other.sim")
}

/// The name under which the engine knows pool `index`.
pub(super) fn host(index: usize) -> String {
    format!("pool{index}.sim")
}
