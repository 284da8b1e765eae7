//! `dpmp simulate`: the engine for so many virtual hours among simulated pools and miners, with faults, all drawn from one
//! seed. What it prints on stdout depends on the options alone; it ends with 1 if anything was lost.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use dpmp_sim::world::Trial;

/// Violations that are shown.
const SHOWN: usize = 20;

/// Runs a world and tells what came of it.
///
/// # Errors
/// When the options make no sense, or the recording of a violation cannot be written.
pub fn simulate(seed: u64, hours: f64, miners: u16) -> anyhow::Result<ExitCode> {
    let minutes = ((hours * 60.0).round() as u64).max(1);
    let start = Instant::now();
    let trial = Trial::run(seed, minutes, usize::from(miners));
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{seconds:.1} s on this machine, {:.0} times as fast as life", minutes as f64 * 60.0 / seconds.max(1e-3));
    let mut text = Vec::new();
    let told = tell(&trial, Path::new("."), &mut text);
    // Whoever closed stdout does not want it.
    let _ = io::stdout().write_all(&text);
    Ok(if told? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tells what came of it; after a violation also how to have it again, and the recording, in this folder. True if nothing
/// was lost.
fn tell(trial: &Trial, folder: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    write!(out, "{trial}")?;
    if trial.violations.is_empty() {
        writeln!(out, "nothing lost")?;
        return Ok(true);
    }
    writeln!(out, "{} violations", trial.violations.len())?;
    trial.violations.iter().take(SHOWN).try_for_each(|what| writeln!(out, "  {what}"))?;
    writeln!(out, "seed {}", trial.seed)?;
    match trial.first {
        Some((step, at)) => writeln!(out, "first at step {step}, {}.{:06} s", at / 1_000_000, at % 1_000_000)?,
        None => writeln!(out, "first seen at the end")?,
    }
    writeln!(out, "commit {}", option_env!("DPMP_COMMIT").unwrap_or("unknown"))?;
    writeln!(out, "again: {}", trial.command())?;
    let file = format!("simulate-{}.trace", trial.seed);
    let path = folder.join(&file);
    fs::write(&path, trial.record()).with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(out, "recording: {file} (dpmp replay {file} --print)")?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::trace::{Part, Reader, replay};

    /// As it is told after a violation, which a good engine cannot be made to show.
    #[test]
    fn a_violation_is_told_with_all_that_it_takes_to_have_it_again() {
        let mut trial = Trial::run(3, 10, 4);
        assert_eq!(trial.violations, Vec::<String>::new());
        let folder = crate::scratch::folder("simulate");
        trial.violations.push("I3: something was lost".to_owned());
        trial.first = Some((1_000, 61_500_000));
        let mut text = Vec::new();
        assert!(!tell(&trial, &folder, &mut text).unwrap());
        let text = String::from_utf8(text).unwrap();
        for words in [
            "1 violations\n  I3: something was lost\n",
            "\nseed 3\n",
            "\nfirst at step 1000, 61.500000 s\n",
            "\ncommit ",
            "\nagain: dpmp simulate --seed 3 --hours 0.16666666666666666 --miners 4\n",
            "\nrecording: simulate-3.trace (dpmp replay simulate-3.trace --print)\n",
        ] {
            assert!(text.contains(words), "{words:?} is missing in {text}");
        }
        let bytes = fs::read(folder.join("simulate-3.trace")).unwrap();
        let Some(Part::Segment(segment)) = Reader::new(&bytes).next() else { panic!("a segment") };
        let summary = replay(&segment).unwrap();
        assert!(summary.to.0 <= 61_500_000 && summary.to.0 > 50_000_000, "up to the first violation: {summary:?}");
        // A folder that cannot be written is an error, not a success.
        assert!(tell(&trial, &folder.join("none"), &mut Vec::new()).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
