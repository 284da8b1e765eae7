//! What a simulated world is told to be: peers, network, config, and what goes wrong when.

use dpmp_core::config::PoolConfig;
use dpmp_core::{Command, Config};

use crate::miner::{MinerSpec, Personality};
use crate::pool::{OutageMode, PoolSpec, Script};
use crate::rng::Rng;

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
        }
    }
}

/// Something that befalls the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection of a miner breaks on both sides.
    CutMiner(usize),
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
    /// The operator does something.
    Command(Command),
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
        }
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

    /// A world drawn from a seed: two pools of random software, so many miners of random firmware, about
    /// `shares_per_minute` each, and random faults in the first half of `length_us` if `faulty`.
    pub fn random(seed: u64, miners: usize, shares_per_minute: f64, length_us: u64, faulty: bool) -> WorldSpec {
        let mut rng = Rng::new(seed, "world");
        let difficulty = 1e-8;
        let pools = (0..2u64).map(|i| draw_pool(&mut rng, seed.wrapping_mul(2).wrapping_add(i), difficulty)).collect();
        let hash_rate = difficulty * 4_295_032_833.0 * shares_per_minute / 60.0;
        let firmwares = Personality::all();
        let miners = (0..miners).map(|i| {
            let mut personality = firmwares[rng.below(firmwares.len() as u64) as usize].clone();
            personality.suggest(difficulty);
            if personality.hashes_per_work < u32::MAX {
                // Of the order of a share's hashes, so that extranonce2, ntime and version really roll.
                personality.hashes_per_work = rng.between(5, 300) as u32;
            }
            MinerSpec::new(&format!("w{i}"), hash_rate * (0.5 + rng.unit()), personality, rng.next())
        });
        let mut spec = WorldSpec::new(seed, pools, miners.collect());
        if faulty {
            spec.draw_faults(&mut rng, length_us / 2);
        }
        spec
    }

    /// A random subset of the kinds of faults, each with a random rate, all healed by `until_us`.
    fn draw_faults(&mut self, rng: &mut Rng, until_us: u64) {
        let kinds = rng.next();
        let mut at = 20_000_000;
        loop {
            at += rng.exponential(60_000_000.0) as u64;
            let healed = at + rng.between(1_000_000, 240_000_000);
            if healed >= until_us {
                return self.faults.sort_by_key(|(at, _)| *at);
            }
            let (pool, miner) = (rng.below(2) as usize, rng.below(self.miners.len().max(1) as u64) as usize);
            let kind = rng.below(10);
            if kinds >> kind & 1 == 0 {
                continue;
            }
            let mut outage = |mode| self.pools[pool].script.push((at, Script::Outage { mode, until_us: healed }));
            match kind {
                0 => outage(OutageMode::Close),
                1 => outage(OutageMode::Refuse),
                2 => outage(OutageMode::Silent),
                3 => outage(OutageMode::Frozen),
                4 => self.faults.push((at, Fault::CutPool(pool))),
                5 => self.faults.push((at, Fault::HoldPool { pool, until_us: (at + 20_000_000).min(healed) })),
                6 => self.faults.push((at, Fault::CutMiner(miner))),
                7 => self.faults.push((at, Fault::ClogMiner { miner, until_us: (at + 10_000_000).min(healed) })),
                8 => {
                    let a = rng.below(11) as u32 * 100_000;
                    self.faults.push((at, Fault::Command(Command::SetWeights(vec![a, 1_000_000 - a]))));
                }
                _ => self.pools[pool].script.push((at, Script::NewBlock)),
            }
        }
    }
}

/// The name under which the engine knows pool `index`.
pub(super) fn host(index: usize) -> String {
    format!("pool{index}.sim")
}

fn draw_pool(rng: &mut Rng, seed: u64, difficulty: f64) -> PoolSpec {
    let kinds = [
        PoolSpec::new,
        PoolSpec::ckpool,
        PoolSpec::ckpool_lhr,
        PoolSpec::public_pool,
        PoolSpec::datum,
        PoolSpec::npm,
        PoolSpec::btcpool,
        PoolSpec::nasty,
    ];
    let spec = kinds[rng.below(kinds.len() as u64) as usize](["left", "right"][(seed & 1) as usize], seed);
    PoolSpec {
        difficulty: format!("{difficulty:.9}"),
        job_interval_us: rng.between(5_000_000, 40_000_000),
        jobs_per_block: rng.between(4, 30) as u32,
        branches: rng.below(13) as usize,
        coinbase_bytes: rng.between(150, 240) as usize,
        ..spec
    }
}
