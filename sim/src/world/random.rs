//! Worlds drawn from a seed: pools, firmwares, network, config, and what goes wrong until it heals.

use dpmp_core::config::MAX_POOLS;
use dpmp_core::time::Span;
use dpmp_core::{Command, PoolId};

use super::spec::{Fault, NetSpec, WorldSpec, host};
use crate::miner::{MinerSpec, Personality};
use crate::pool::{OutageMode, PoolSpec, Script, Vardiff};
use crate::pow::Pow;
use crate::rng::Rng;

/// Hashes of difficulty 1.
const ONE: f64 = 4_295_032_833.0;
/// Difficulty 1, and one that no share of a sensible length of time meets.
const NBITS: [u32; 2] = [0x1d00_ffff, 0x1703_255b];
const SECOND: u64 = 1_000_000;

/// How often something happens in a world, in µs: the mean of a seed's mean pause and its bounds, and how long all is quiet
/// at first.
pub(super) struct Pauses {
    pub(super) mean: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) first: u64,
}

/// A random subset of so many kinds with random weights, at random times until all is healed by `until_us`; `happens` is
/// told the kind, when, and until when.
pub(super) fn draw_times(
    rng: &mut Rng,
    kinds: usize,
    pauses: &Pauses,
    until_us: u64,
    mut happens: impl FnMut(&mut Rng, usize, u64, u64),
) {
    let kinds: Vec<f64> = (0..kinds).map(|_| if rng.chance(0.5) { rng.exponential(1.0) } else { 0.0 }).collect();
    let all: f64 = kinds.iter().sum();
    let pause = rng.exponential(pauses.mean).clamp(pauses.least, pauses.most);
    if all <= 0.0 {
        return;
    }
    let mut at = pauses.first;
    loop {
        at += rng.exponential(pause) as u64;
        let healed = at + rng.between(SECOND, 240 * SECOND);
        if healed >= until_us {
            return;
        }
        let mut lot = rng.unit() * all;
        let kind = kinds.iter().position(|weight| {
            lot -= weight;
            lot < 0.0
        });
        happens(rng, kind.unwrap_or(0), at, healed);
    }
}

impl WorldSpec {
    /// A world drawn from a seed: two pools (now and then three) of random software, so many miners of random firmware,
    /// about `shares_per_minute` each, SHA-256d at a tiny difficulty or the keyed mix at realistic ones; and, if `faulty`,
    /// random faults until it heals, at the latest half an hour before `length_us`.
    pub fn random(seed: u64, miners: usize, shares_per_minute: f64, length_us: u64, faulty: bool) -> WorldSpec {
        let mut rng = Rng::new(seed, "world");
        let pow = if rng.chance(0.5) { Pow::Keyed(rng.next()) } else { Pow::Sha256d };
        let mut fleet: Vec<MinerSpec> = (0..miners).map(|i| draw_miner(&mut rng, i, pow, shares_per_minute)).collect();
        let pools = if rng.chance(0.12) { 3 } else { 2 };
        let pools = (0..pools).map(|i| draw_pool(&mut rng, seed, i, pow, &fleet, shares_per_minute)).collect();
        for miner in &mut fleet {
            miner.personality.suggest(miner.hash_rate / ONE * 60.0 / shares_per_minute);
        }
        let mut spec = WorldSpec { pow, ..WorldSpec::new(seed, pools, fleet) };
        spec.net = draw_net(&mut rng);
        spec.draw_schedule(&mut rng);
        let heal = length_us.saturating_sub((length_us / 2).min(1_800 * SECOND));
        spec.heal_us = Some(if faulty { heal } else { 0 });
        if faulty {
            spec.draw_faults(&mut rng, heal);
            spec.ask_questions(heal);
            spec.draw_modes();
            spec.draw_more(heal);
        }
        spec
    }

    fn draw_schedule(&mut self, rng: &mut Rng) {
        let weights = self.draw_weights(rng);
        let scheduler = &mut self.config.scheduler;
        scheduler.weights = weights;
        let min_switch = rng.between(25, 90);
        scheduler.min_switch = Span::secs(min_switch);
        scheduler.slice = Span::secs(rng.between(5, min_switch - 5));
        scheduler.repay = Span::mins(rng.below(2));
        if rng.chance(0.2) {
            scheduler.failover = Some(PoolId(rng.below(self.pools.len() as u64) as u8));
        }
        for pool in &mut self.config.pools {
            pool.silence = Span::secs(rng.between(60, 180));
        }
    }

    pub(super) fn draw_weights(&self, rng: &mut Rng) -> Vec<u32> {
        let n = self.pools.len().min(MAX_POOLS) as u64;
        let mut parts: Vec<u64> = match rng.below(10) {
            0 => (0..n).map(|_| rng.below(2)).collect(),
            1..4 => (0..n).map(|_| 1).collect(),
            _ => (0..n).map(|_| rng.between(1, 9)).collect(),
        };
        if parts.iter().sum::<u64>() == 0 {
            parts[0] = 1;
        }
        let sum: u64 = parts.iter().sum();
        let mut weights: Vec<u32> = parts.iter().map(|part| (part * 1_000_000 / sum) as u32).collect();
        let rest = 1_000_000 - weights.iter().sum::<u32>();
        if let Some(most) = weights.iter_mut().max() {
            *most += rest;
        }
        weights
    }

    /// A random subset of the kinds of faults with random weights, all healed by `until_us`.
    fn draw_faults(&mut self, rng: &mut Rng, until_us: u64) {
        let pauses = Pauses { mean: 60e6, least: 10e6, most: 600e6, first: 20 * SECOND };
        draw_times(rng, KINDS, &pauses, until_us, |rng, kind, at, healed| self.draw_fault(rng, kind, at, healed));
        self.faults.sort_by_key(|(at, _)| *at);
    }

    /// Pools ask now and then whether the other end is there, and what it is. No draw: a seed's world stays what it was.
    fn ask_questions(&mut self, until_us: u64) {
        for (n, pool) in (1u64..).zip(&mut self.pools) {
            let every = 97 * n * SECOND;
            for (turn, at) in (every..until_us).step_by(every as usize).enumerate() {
                pool.script.push((at, if turn % 2 == 0 { Script::Ping } else { Script::GetVersion }));
            }
        }
    }

    fn draw_fault(&mut self, rng: &mut Rng, kind: usize, at: u64, healed: u64) {
        let pool = rng.below(self.pools.len() as u64) as usize;
        let miner = rng.below(self.miners.len().max(1) as u64) as usize;
        let soon = |seconds: u64| healed.min(at + seconds * SECOND);
        let mode = [OutageMode::Close, OutageMode::Refuse, OutageMode::Silent, OutageMode::Frozen];
        let difficulty: f64 = self.pools[pool].difficulty.parse().unwrap_or(1.0);
        let port = self.config.pools[pool].address.port;
        let mut script = |what| self.pools[pool].script.push((at, what));
        match kind {
            0..4 => script(Script::Outage { mode: mode[kind], until_us: healed }),
            4 => self.faults.push((at, Fault::CutPool(pool))),
            5 => self.faults.push((at, Fault::HoldPool { pool, until_us: soon(20) })),
            6 => self.faults.push((at, Fault::CutMiner(miner))),
            7 => self.faults.push((at, Fault::ClogMiner { miner, until_us: soon(120) })),
            8 => {
                let weights = self.draw_weights(rng);
                self.faults.push((at, Fault::Command(Command::SetWeights(weights))));
            }
            9 => script(Script::NewBlock),
            10 => {
                let bytes_a_second = rng.between(100, 4_000) as usize;
                self.faults.push((at, Fault::SlowMiner { miner, until_us: healed, bytes_a_second }));
            }
            11 => self.faults.push((at, Fault::HoldMiner { miner, until_us: soon(60) })),
            12 => self.faults.push((at, Fault::Partition { until_us: soon(45) })),
            13 => {
                for n in 0..rng.between(1, 5) {
                    self.faults.push((at + n * 3 * SECOND, Fault::Storm));
                }
            }
            14 => self.faults.push((at, Fault::HalfCloseMiner(miner))),
            15 => self.faults.push((at, Fault::HalfClosePool(pool))),
            16 => {
                // The whole house is off the internet.
                let held = |pool| (at, Fault::HoldPool { pool, until_us: soon(90) });
                self.faults.extend((0..self.pools.len()).map(held));
            }
            17 => script(Script::SetDifficulty(written(difficulty * [0.5, 0.7, 2.0][rng.below(3) as usize]))),
            18 => {
                let own = Script::Reconnect { host: host(pool), port };
                let foreign = Script::Reconnect { host: "evil.example".into(), port: 3333 };
                script(if rng.chance(0.5) { own } else { foreign });
            }
            19 => {
                script(Script::SetExtranonce { extranonce2_bytes: rng.between(4, 8) as usize, subscribers_only: false })
            }
            _ => {
                script(Script::AnswerSubmits(false));
                self.pools[pool].script.push((healed, Script::AnswerSubmits(true)));
            }
        }
    }
}

/// Kinds of faults.
const KINDS: usize = 21;

fn draw_net(rng: &mut Rng) -> NetSpec {
    NetSpec {
        latency_max_us: rng.between(1_000, 200_000),
        jitter_us: rng.between(0, 20_000),
        cut_permille: [0, 100, 600][rng.below(3) as usize],
        socket_buffer: [2 << 10, 16 << 10, 64 << 10][rng.below(3) as usize],
        ..NetSpec::default()
    }
}

fn draw_miner(rng: &mut Rng, index: usize, pow: Pow, shares_per_minute: f64) -> MinerSpec {
    let firmwares = Personality::all();
    let mut personality = firmwares[rng.below(firmwares.len() as u64) as usize].clone();
    let (rate, works) = match pow {
        // Of the order of a share's hashes, so that extranonce2, ntime and version really roll.
        Pow::Sha256d => (TINY * ONE * shares_per_minute / 60.0 * (0.5 + rng.unit()), rng.between(5, 300)),
        // Shares a piece of work.
        Pow::Keyed(_) => (realistic(rng, &personality.label), rng.between(1, 4)),
    };
    if personality.hashes_per_work < u32::MAX {
        personality.hashes_per_work = works as u32;
    }
    MinerSpec::new(&format!("w{index}"), rate, personality, rng.next())
}

/// The difficulty of worlds with real hashes.
const TINY: f64 = 1e-8;

/// Hashes per second of a device with this firmware.
fn realistic(rng: &mut Rng, label: &str) -> f64 {
    let (least, most): (f64, f64) = match label {
        "NerdMiner" | "LeafMiner" => (2e4, 4e5),
        "minerd" | "cpuminer-opt" => (1e6, 2e8),
        "Bitaxe 2.9" | "Bitaxe 2.4" | "NerdQAxe" => (4e11, 6e12),
        "Avalon" => (4e12, 9e13),
        "unknown" => (1e5, 1e15),
        _ => (5e12, 2.5e14),
    };
    libm::exp(libm::log(least) + rng.unit() * libm::log(most / least))
}

fn draw_pool(rng: &mut Rng, seed: u64, index: u64, pow: Pow, fleet: &[MinerSpec], per_minute: f64) -> PoolSpec {
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
    let name = ["left", "right", "third"][index as usize % 3];
    let spec = kinds[rng.below(kinds.len() as u64) as usize](name, seed.wrapping_mul(3).wrapping_add(index));
    let fastest = fleet.iter().map(|miner| miner.hash_rate).fold(1.0, f64::max);
    let every_us = rng.between(5, 20) * SECOND;
    let vardiff = |least, most| Some(Vardiff { shares_per_minute: per_minute, every_us, least, most });
    let (difficulty, vardiff) = match pow {
        Pow::Sha256d => (TINY, rng.chance(0.3).then(|| vardiff(TINY / 4.0, TINY * 8.0)).flatten()),
        Pow::Keyed(_) if rng.chance(0.25) => (fastest / ONE * 60.0 / per_minute * (0.5 + rng.unit()), None),
        Pow::Keyed(_) => (libm::pow(10.0, rng.unit() * 9.0 - 3.0), vardiff(1e-3, 1e9)),
    };
    PoolSpec {
        difficulty: written(difficulty),
        vardiff,
        nbits: if pow == Pow::Sha256d && rng.chance(0.05) { 0x207f_ffff } else { NBITS[rng.below(2) as usize] },
        job_interval_us: rng.between(5_000_000, 40_000_000),
        jobs_per_block: rng.between(4, 30) as u32,
        branches: rng.below(13) as usize,
        coinbase_bytes: rng.between(150, 240) as usize,
        ..spec
    }
}

/// As pools write numbers: no exponent, and not always a whole number.
pub(super) fn written(difficulty: f64) -> String {
    if difficulty >= 1.0 { format!("{difficulty:.1}") } else { format!("{difficulty:.12}") }
}
