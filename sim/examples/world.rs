//! Runs random worlds, prints what they were and what came of them, and fails if anything is wrong:
//! `cargo run -p dpmp-sim --example world -- SEED MINUTES MINERS`; or the violations of many:
//! `cargo run -p dpmp-sim --example world -- FIRST..LAST MINUTES MINERS`.

use dpmp_sim::world::{Trial, WorldSpec};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, default: u64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (minutes, miners) = (number(2, 10), number(3, 8) as usize);
    let seeds = args.get(1).map_or("1", String::as_str);
    let Some((first, last)) = seeds.split_once("..") else {
        let trial = Trial::run(number(1, 1), minutes, miners);
        let spec = WorldSpec::random(trial.seed, miners, 12.0, minutes * 60_000_000, true);
        spec.fault_lines().iter().for_each(|line| println!("{line}"));
        println!("{trial}{:#?} {:?}", trial.violations, trial.first);
        std::process::exit(i32::from(!trial.violations.is_empty()));
    };
    let (mut bad, mut shares, mut faults) = (0, 0, 0);
    let (first, last): (u64, u64) = (first.parse().unwrap_or(1), last.parse().unwrap_or(100));
    for seed in first..last {
        let trial = Trial::run(seed, minutes, miners);
        shares += trial.outcome.accepted();
        faults += trial.faults;
        if let Some(what) = trial.violations.first() {
            bad += 1;
            println!("seed {seed}: {} violations at {:?}: {what}", trial.violations.len(), trial.first);
        }
    }
    println!("{bad} of {} seeds bad, {shares} shares accepted, {faults} faults", last - first);
}
