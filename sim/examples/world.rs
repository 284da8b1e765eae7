//! Runs one random world: `cargo run -p dpmp-sim --example world -- SEED MINUTES MINERS [calm]`.

use dpmp_sim::world::{World, WorldSpec};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (seed, minutes, miners) = (number(1, 1), number(2, 10), number(3, 8) as usize);
    let length = minutes * 60_000_000;
    let faulty = args.get(4).is_none_or(|word| word != "calm");
    let mut world = World::new(WorldSpec::random(seed, miners, 12.0, length, faulty));
    world.run_until(length);
    let outcome = world.outcome();
    for missing in world.not_live() {
        println!("not live: {missing}");
    }
    println!("seed {seed}\n{outcome}");
    std::process::exit(i32::from(!outcome.violations.is_empty()));
}
