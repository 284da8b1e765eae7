//! The commands `dpmp` (run the proxy) and `dpmp check-config`.

use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use dpmp_core::config::{Logging, Severity};
use log::Level;

use crate::cli::Ports;
use crate::event_loop::Outcome;
use crate::logs::{self, Filter, RotatingFile, line};
use crate::proxy::{Options, Proxy};
use crate::settings;
use crate::signals;

/// What was typed or configured is wrong.
pub const BAD_USAGE: u8 = 2;

/// Says all that is wrong with a file.
pub fn check_config(file: &Path) -> ExitCode {
    match settings::check(file) {
        Ok(warnings) => {
            warnings.iter().for_each(|warning| say(warning));
            let but = if warnings.is_empty() { "" } else { ", with warnings" };
            say(&format!("{}: good{but}", file.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            eprintln!("{}: cannot be used", file.display());
            ExitCode::from(BAD_USAGE)
        }
    }
}

/// A line on stdout; whoever closed it does not want it.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Runs the proxy until a signal.
pub fn run(config: Option<PathBuf>, ports: &Ports) -> anyhow::Result<ExitCode> {
    let path = match settings::find(config) {
        Ok(path) => path,
        Err(words) => {
            eprintln!("dpmp: {words}");
            return Ok(ExitCode::from(BAD_USAGE));
        }
    };
    let parsed = match settings::load(&path) {
        Ok(parsed) => parsed,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            eprintln!("dpmp: {} cannot be used", path.display());
            return Ok(ExitCode::from(BAD_USAGE));
        }
    };
    let mut config = parsed.config;
    settings::apply(ports, &mut config);
    logs::start(output(&config.logging, &path)?, Filter::new(&config.logging)).context("cannot start the log")?;
    log_panics();
    line(Level::Info, "config_loaded").show("path", path.display()).text("version", env!("CARGO_PKG_VERSION")).send();
    for problem in &parsed.warnings {
        let level = if problem.severity == Severity::Error { Level::Error } else { Level::Warn };
        line(level, problem.event)
            .text("path", &problem.path)
            .text("raw", &problem.value)
            .text("reason", &problem.what)
            .text("corrected", &problem.mend)
            .send();
    }
    let state_path = Some(settings::beside(&path, "state.json"));
    let recording_path = config.recording.enabled.then(|| settings::beside(&path, &config.recording.dir));
    let config_path = path.display().to_string();
    let options = Options { config, config_path, state_path, recording_path, with_feed: false };
    let proxy = Proxy::start(options)?;
    let (handle, also) = (proxy.handle(), proxy.handle());
    let stop = move || {
        // If the loop takes no requests it has ended, or the watchdog ends it.
        let _ = handle.drain();
    };
    let report = move || {
        if also.close_recording().is_err() {
            line(Level::Warn, "recording_not_closed").text("text", "the event loop takes no requests").send();
        }
    };
    signals::watch(stop, report).context("cannot watch for signals")?;
    let code = finish(proxy.wait());
    logs::flush(Duration::from_millis(300));
    Ok(code)
}

/// What the end of the loop means for the shell.
fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Drained => {
            line(Level::Info, "shutdown_done").send();
            line(Level::Info, "process_exiting").value("code", 0).send();
            ExitCode::SUCCESS
        }
        Outcome::Crashed(words) => {
            line(Level::Error, "fatal_crash").text("err", words).send();
            ExitCode::FAILURE
        }
        Outcome::Failed(error) => {
            line(Level::Error, "session_error").show("err", &error).send();
            eprintln!("dpmp: the event loop failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn output(logging: &Logging, config: &Path) -> anyhow::Result<Box<dyn Write + Send>> {
    let Some(name) = &logging.file else { return Ok(Box::new(io::stdout())) };
    let path = settings::beside(config, name);
    let limit = u64::from(logging.rotate_mib.max(1)) << 20;
    let file = RotatingFile::open(&path, limit, logging.keep)
        .with_context(|| format!("cannot open the log file {} (logging.file)", path.display()))?;
    Ok(Box::new(file))
}

/// A panic is a bug of ours: where it was goes into the log, and to stderr as always.
fn log_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        let thread = thread::current();
        line(Level::Error, "panic").text("thread", thread.name().unwrap_or("?")).text("where", place).send();
        before(info);
    }));
}
