//! The cast of `dpmp demo`: two strict pools and six miners, each of another firmware.

use crate::miner::{MinerSpec, Personality};
use crate::pool::{JobIds, PoolSpec, Suggest};

/// Difficulty of the demo's pools: 150,000 hashes a share.
const DIFFICULTY: &str = "0.000035";

/// Pool A behaves as ckpool (extranonce2 of 8 bytes), pool B as public-pool (4 bytes). Their job ids are the same
/// decimal numbers, jobs come every few seconds, and blocks every half minute or so.
pub fn demo_pools() -> [PoolSpec; 2] {
    let both = |spec: PoolSpec| PoolSpec {
        job_ids: JobIds::Decimal,
        difficulty: DIFFICULTY.into(),
        coinbase_bytes: 200,
        // Some of the cast suggest less than that; the screen shall not drown in shares.
        suggest: Suggest::Ignored,
        ..spec
    };
    [
        PoolSpec { job_interval_us: 5_000_000, jobs_per_block: 7, ..both(PoolSpec::ckpool("demo A", 0xA)) },
        PoolSpec { job_interval_us: 4_000_000, jobs_per_block: 6, ..both(PoolSpec::public_pool("demo B", 0xB)) },
    ]
}

/// Six miners of different firmware, 450 kH/s together: three shares a second at the demo's difficulty, on a small
/// part of a core where the CPU has SHA instructions.
pub fn demo_miners() -> Vec<MinerSpec> {
    let cast = [
        ("garage-s19", 150_000.0, Personality::antminer()),
        ("attic-nano3s", 110_000.0, Personality::avalon()),
        ("desk-bitaxe", 80_000.0, Personality::bitaxe()),
        ("old-bitaxe", 50_000.0, Personality::bitaxe_old()),
        ("laptop-cpu", 40_000.0, Personality::cpuminer_opt()),
        ("shelf-nerdminer", 20_000.0, Personality::nerdminer()),
    ];
    let specs = cast.into_iter().enumerate();
    specs.map(|(i, (name, rate, personality))| MinerSpec::new(name, rate, personality, 100 + i as u64)).collect()
}
