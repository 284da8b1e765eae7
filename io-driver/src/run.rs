//! The commands `dpmp` (run the proxy) and `dpmp check-config`.

use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use log::Level;

use crate::cli::Ports;
use crate::dashboard;
use crate::event_loop::Outcome;
use crate::http::Site;
use crate::logs::{self, line};
use crate::proxy::{DashboardOptions, Options, Proxy, show};
use crate::reload;
use crate::settings::{self, ConfigFile};
use crate::signals;
use crate::supervisor;

/// What was typed or configured is wrong.
pub const BAD_USAGE: u8 = 2;

/// Says all that is wrong with a file.
pub fn check_config(file: &Path) -> ExitCode {
    match settings::check(file) {
        Ok((config, warnings)) => {
            warnings.iter().for_each(|warning| say(warning));
            // The installer reads these lines.
            say(&format!("listens: miners {}", show(&config.listen)));
            for (name, site) in [("metrics", Site::Metrics), ("dashboard", Site::Dashboard)] {
                if let Some(address) = reload::wanted(site, &config) {
                    say(&format!("listens: {name} {}", show(address)));
                }
            }
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
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// `dpmp reset-password`: a new first password for the dashboard beside this config.
pub fn reset_password(config: Option<PathBuf>) -> ExitCode {
    let path = match settings::find(config) {
        Ok(path) => path,
        Err(words) => {
            eprintln!("dpmp: {words}");
            return ExitCode::from(BAD_USAGE);
        }
    };
    match dashboard::reset_password(&settings::beside(&path, "")) {
        Ok(path) => {
            say(&format!("the dashboard's new password stands in {}; API tokens are revoked", path.display()));
            if settings::dashboard_password().is_some() {
                say("DASHBOARD_PASSWORD is set here; where it is set for the proxy, it wins");
            }
            ExitCode::SUCCESS
        }
        Err(words) => {
            eprintln!("dpmp: {words}");
            ExitCode::FAILURE
        }
    }
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
    let file = ConfigFile::new(path, ports);
    let read = file.read().map_err(|problem| vec![problem]);
    let (text, parsed) = match read.and_then(|text| file.understand(&text).map(|parsed| (text, parsed))) {
        Ok(read) => read,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            eprintln!("dpmp: {} cannot be used", file.path.display());
            return Ok(ExitCode::from(BAD_USAGE));
        }
    };
    let config = parsed.config;
    // A log that cannot be written stops no miner.
    let (output, trouble) = logs::open_or_stdout(&config.logging, &file.path);
    logs::start(output, &config.logging).context("cannot start the log")?;
    log_panics();
    if let Some(trouble) = trouble {
        line(Level::Error, "log_file_failed")
            .text("err", &trouble)
            .text("text", "mining goes on and lines go to stdout; SIGHUP, or another logging.file, tries again")
            .send();
    }
    line(Level::Info, "config_loaded")
        .show("path", file.path.display())
        .text("version", env!("CARGO_PKG_VERSION"))
        .send();
    reload::say_problems(&parsed.warnings);
    let options = Options {
        config_path: file.path.display().to_string(),
        state_path: Some(file.beside("state.json")),
        recording_path: config.recording.enabled.then(|| file.beside(&config.recording.dir)),
        config,
        dashboard: Some(DashboardOptions { folder: file.beside(""), password: settings::dashboard_password() }),
        file: Some((file, text)),
    };
    let proxy = Proxy::start(options)?;
    let (handle, also) = (proxy.handle(), proxy.handle());
    let watcher = proxy.reloader().map(reload::watch).transpose().context("cannot watch the config")?;
    supervisor::supervise(proxy.handle(), proxy.metrics()).context("cannot speak to systemd")?;
    let stop = move || {
        supervisor::stopping();
        // If the loop takes no requests it has ended, or the watchdog ends it.
        let _ = handle.drain();
    };
    let report = move || {
        if also.close_recording().is_err() {
            line(Level::Warn, "recording_not_closed").text("text", "the event loop takes no requests").send();
        }
    };
    let reload = move || {
        logs::reopen();
        if let Some(watcher) = &watcher {
            watcher.poke();
        }
    };
    signals::watch(stop, report, Some(reload)).context("cannot watch for signals")?;
    let code = finish(proxy.wait().0);
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
