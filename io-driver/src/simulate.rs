//! `dpmp simulate`: the engine for so many virtual hours among simulated pools and miners, with faults, all drawn from one
//! seed. What it prints on stdout depends on the options alone; it ends with 1 if anything was lost.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use dpmp_sim::world::Trial;

/// Longest virtual time, in hours: a year.
const MOST_HOURS: f64 = 8_760.0;
/// Violations that are shown.
const SHOWN: usize = 20;

/// Runs a world and tells what came of it.
///
/// # Errors
/// When the options make no sense, or the recording of a violation cannot be written.
pub fn simulate(seed: u64, hours: f64, miners: u16) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        hours > 0.0 && hours <= MOST_HOURS,
        "--hours {hours}: more than 0 and at most {MOST_HOURS} is needed"
    );
    let minutes = ((hours * 60.0).round() as u64).max(1);
    let start = Instant::now();
    let trial = Trial::run(seed, minutes, usize::from(miners));
    let seconds = start.elapsed().as_secs_f64();
    print!("{trial}");
    eprintln!("{seconds:.1} s on this machine, {:.0} times as fast as life", minutes as f64 * 60.0 / seconds.max(1e-3));
    if trial.violations.is_empty() {
        println!("nothing lost");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} violations", trial.violations.len());
    trial.violations.iter().take(SHOWN).for_each(|what| println!("  {what}"));
    println!("seed {seed}");
    match trial.first {
        Some((step, at)) => println!("first at step {step}, {}.{:06} s", at / 1_000_000, at % 1_000_000),
        None => println!("first seen at the end"),
    }
    println!("commit {}", option_env!("DPMP_COMMIT").unwrap_or("unknown"));
    println!("again: {}", trial.command());
    let file = format!("simulate-{seed}.trace");
    fs::write(&file, trial.record()).with_context(|| format!("cannot write {file}"))?;
    println!("recording: {file} (dpmp replay {file} --print)");
    Ok(ExitCode::FAILURE)
}
