//! The notices about one worker in a random world between two times, for looking into a violation:
//! `cargo run -p dpmp-sim --example notices -- SEED MINUTES MINERS FROM_SECOND TO_SECOND WORKER`.

use dpmp_sim::world::{World, WorldSpec};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args.get(i).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let worker = format!("worker: \"{}\"", args.get(6).map_or("w0", String::as_str));
    let spec = WorldSpec::random(number(1), number(3) as usize, 12.0, number(2) * 60_000_000, true);
    let mut world = World::new(spec);
    world.run_until(number(4) * 1_000_000);
    world.keep_notices();
    world.run_until(number(5) * 1_000_000);
    for (at, notice) in world.take_notices() {
        let text = format!("{notice:?}");
        if text.contains(&worker) {
            println!("{}.{:06} {text}", at / 1_000_000, at % 1_000_000);
        }
    }
}
