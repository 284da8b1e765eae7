//! `dpmp replay`.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use dpmp_core::ActionBuf;
use dpmp_core::trace::{Damage, EndReason, Ending, Part, Reader, Replay, ReplayError, Segment};

use super::files;
use super::timeline::Timeline;
use crate::cli::PrintFilter;
use crate::clock::rfc3339;

/// What is wrong with a recording, counted.
#[derive(Default)]
struct Wrong {
    damaged: u64,
    differing: u64,
}

/// Runs a recording again. `print`: shows what of it.
pub fn replay(path: &Path, print: Option<&PrintFilter>) -> anyhow::Result<ExitCode> {
    let mut wrong = Wrong::default();
    let mut segments = 0;
    for file in files::of(path)? {
        let bytes = files::read(&file)?;
        let shown = file.display().to_string();
        for part in Reader::new(&bytes) {
            match part {
                Part::Damage(damage) => wrong.damage(&shown, &damage),
                Part::Segment(segment) => {
                    segments += 1;
                    let timeline = print.map(Timeline::new).transpose()?;
                    run(&shown, &segment, timeline, &mut wrong);
                    if let Ending::Damaged(damage) = segment.ending {
                        wrong.damage(&shown, &damage);
                    }
                    if wrong.differing > 0 {
                        return Ok(ExitCode::FAILURE);
                    }
                }
            }
        }
    }
    if segments == 0 {
        say(&format!("{}: there is no segment in it", path.display()));
        return Ok(ExitCode::FAILURE);
    }
    if wrong.damaged > 0 {
        say(&format!("{}: {} damaged places could not be replayed", path.display(), wrong.damaged));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

impl Wrong {
    fn damage(&mut self, file: &str, damage: &Damage) {
        self.damaged += 1;
        say(&format!("{file}: damaged at byte {}: {}; {} bytes are lost", damage.offset, damage.fault, damage.bytes));
    }
}

/// Whoever closed stdout does not want it.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn head(file: &str, segment: &Segment<'_>) -> String {
    let header = &segment.header;
    let redacted = if header.redacted { ", redacted" } else { "" };
    let when = match header.unix_micros {
        0 => String::new(),
        micros => format!(", begun {}", rfc3339(micros / 1_000_000)),
    };
    format!("{file}: segment {} of dpmp {}{redacted}{when}", header.number, header.program)
}

fn run(file: &str, segment: &Segment<'_>, mut timeline: Option<Timeline>, wrong: &mut Wrong) {
    let name = head(file, segment);
    if timeline.is_some() {
        say(&name);
    }
    let mut replay = match Replay::new(segment) {
        Ok(replay) => replay,
        Err(error) => {
            wrong.damaged += 1;
            return say(&format!("{name}: cannot be replayed: {error}"));
        }
    };
    if let Some(timeline) = &mut timeline {
        timeline.begin(replay.engine());
    }
    let mut out = ActionBuf::new();
    loop {
        let (time, event) = match replay.event() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(error) => {
                wrong.damaged += 1;
                return say(&format!("{name}: cannot be replayed further {error}"));
            }
        };
        let described = event.clone();
        if let Some(timeline) = &mut timeline {
            timeline.event(time, &described, say);
        }
        let result = catch_unwind(AssertUnwindSafe(|| replay.run(time, event, &mut out)));
        if let (Ok(_), Some(timeline)) = (&result, &mut timeline) {
            timeline.outcome(time, &out, say);
        }
        match result {
            Ok(Ok(_)) => {}
            Ok(Err(error @ ReplayError::Mismatch { .. })) => {
                wrong.differing += 1;
                let other = segment.header.program != env!("CARGO_PKG_VERSION");
                let hint =
                    if other { "; it was recorded by another version, which may have done otherwise" } else { "" };
                return say(&format!(
                    "{name}: DIFFERS: {error}; the event was {}{hint}",
                    Timeline::describe(&described)
                ));
            }
            Ok(Err(error)) => {
                wrong.damaged += 1;
                return say(&format!("{name}: cannot be replayed further {error}"));
            }
            Err(_) => {
                wrong.differing += 1;
                let step = replay.summary().steps;
                let seconds = time.0 as f64 / 1e6;
                let recorded = segment.ending == Ending::Closed(EndReason::Crash);
                let as_recorded = if recorded { ", as it did when it was recorded" } else { "" };
                return say(&format!(
                    "{name}: the engine crashes in step {step} at {seconds:.6} s{as_recorded}; the event was {}",
                    Timeline::describe(&described)
                ));
            }
        }
    }
    let done = replay.summary();
    let seconds = (done.from.0 as f64 / 1e6, done.to.0 as f64 / 1e6);
    let end = match segment.ending {
        Ending::Closed(reason) => reason.text(),
        Ending::Open => "without an end: killed, or still being written",
        Ending::Damaged(_) => "damaged behind this",
    };
    say(&format!(
        "{name}: {} steps from {:.3} to {:.3} s replayed, digest {:016x}; {end}",
        done.steps, seconds.0, seconds.1, done.digest.0
    ));
}
