//! The engine in simulated worlds.

use dpmp_core::Command;
use dpmp_sim::miner::{MinerSpec, Personality};
use dpmp_sim::pool::{OutageMode, PoolSpec, Reason, Script};
use dpmp_sim::world::{Fault, NetSpec, World, WorldSpec};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

fn miners(shares_per_minute: f64) -> Vec<MinerSpec> {
    let rate = 1e-6 * 4_295_032_833.0 * shares_per_minute / 60.0;
    let all = Personality::all().into_iter().enumerate();
    all.map(|(i, p)| MinerSpec::new(&format!("w{i}"), rate, p, i as u64)).collect()
}

#[test]
fn a_calm_world_has_no_violations() {
    let pools = vec![PoolSpec::ckpool("ck", 1), PoolSpec::public_pool("pp", 2)];
    let mut world = World::new(WorldSpec::new(1, pools, miners(12.0)));
    world.run_until(10 * MINUTE);
    let outcome = world.outcome();
    println!("{outcome}");
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert!(outcome.accepted() > 1000);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = |seed| {
        let mut world = World::new(WorldSpec::random(seed, 6, 12.0, 10 * MINUTE, true));
        world.run_until(5 * MINUTE);
        world.outcome().to_string()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
