//! Runs one random world, prints what it was and what came of it, and fails if anything is wrong:
//! `cargo run -p dpmp-sim --example world -- SEED MINUTES MINERS [calm]`.

use dpmp_sim::world::{World, WorldSpec};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, minutes, miners) = (number(1, 1), number(2, 10), number(3, 8) as usize);
    let length = minutes * 60_000_000;
    let faulty = args.get(4).is_none_or(|word| word != "calm");
    let spec = WorldSpec::random(seed, miners, 12.0, length, faulty);
    for pool in &spec.pools {
        println!("{}: {:?} {:?} {:?}", pool.name, pool.flavour, pool.version_rolling, pool.script);
    }
    println!("{:?}", spec.faults);
    let mut world = World::new(spec);
    world.run_until(length);
    let outcome = world.outcome();
    for missing in world.not_live() {
        println!("not live: {missing}");
    }
    println!("seed {seed}\n{outcome}");
    std::process::exit(i32::from(!outcome.violations.is_empty()));
}
