//! A new config while miners work: by SIGHUP, by an edit of the file, or from the dashboard, all on one path. Parsed,
//! checked, compared, prepared, and only then put in force: what cannot be had (a port, a file) is found out before
//! anything changes. A text that cannot be used changes nothing, and says why.
//!
//! [`Reloader`] is the way in. What differs, in `diff`; what that does, in `effects`; how it is carried out, in `plan`; ports
//! that move, in `ports`; texts on the disk, in `files`; who watches the file, in `watch`.

mod diff;
mod effects;
mod files;
mod plan;
mod ports;
mod watch;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dpmp_core::config::tree::{self, Node};
use dpmp_core::config::{Config, Problem, Severity};
use log::Level;
use serde::Serialize;

use crate::http::ServerHandle;
use crate::live_weights::LiveWeights;
use crate::logs::line;
use crate::metrics::Metrics;
use crate::requests::LoopHandle;
use crate::settings::ConfigFile;
pub use diff::{Difference, differences};
pub use effects::{Effect, effects};
pub use files::{FOLDER, History, Kept, version_of, write_whole};
use plan::Plan;
pub use ports::{Binding, Bound, Ports, wanted};
pub use watch::{Watcher, watch};

/// What brought a new text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was there when the program started.
    Start,
    /// SIGHUP.
    Signal,
    /// The file was edited.
    File,
    /// The dashboard, or a script.
    Api,
    /// A kept version was asked for.
    Rollback,
}

impl Source {
    /// Its name in logs and in the history.
    pub fn name(self) -> &'static str {
        match self {
            Source::Start => "start",
            Source::Signal => "signal",
            Source::File => "file",
            Source::Api => "api",
            Source::Rollback => "rollback",
        }
    }
}

/// One thing that is wrong with a text, ready for JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The key, or line and column.
    pub path: String,
    /// The value as written; wallets and passwords are hidden.
    pub value: String,
    /// What is wrong.
    pub what: String,
    /// What to write, or what holds instead.
    pub mend: String,
}

impl From<&Problem> for Flaw {
    fn from(problem: &Problem) -> Flaw {
        let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
        let Problem { path, value, what, mend, .. } = problem.clone();
        Flaw { severity, path, value, what, mend }
    }
}

/// What applying a text would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The text's version, 32 hex digits.
    pub version: String,
    /// True if it can be applied: no problem is an error.
    pub usable: bool,
    /// All that is wrong with it.
    pub problems: Vec<Flaw>,
    /// Keys whose value differs from the text in force.
    pub differences: Vec<Difference>,
    /// What the differences do.
    pub effects: Vec<Effect>,
}

/// Why a text was not put in force. Nothing has changed then, the file included.
#[derive(Debug)]
pub enum ApplyError {
    /// The text has errors.
    Unusable(Verdict),
    /// Somebody else has changed the file meanwhile: its version now.
    Conflict(String),
    /// The text is good, but something that it asks for cannot be had, such as a port.
    Refused(String),
    /// The file cannot be read or written.
    File(io::Error),
    /// There is no such kept version.
    NoSuchVersion,
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ApplyError::Unusable(verdict) => write!(f, "{}", words(&verdict.problems)),
            ApplyError::Conflict(version) => {
                write!(f, "the file has been changed meanwhile (its version is {version}): load it again")
            }
            ApplyError::Refused(why) => f.write_str(why),
            ApplyError::File(error) => write!(f, "the config file cannot be read or written: {error}"),
            ApplyError::NoSuchVersion => f.write_str("this version is not kept"),
        }
    }
}

impl std::error::Error for ApplyError {}

/// The errors in one line.
fn words(problems: &[Flaw]) -> String {
    let errors = problems.iter().filter(|flaw| flaw.severity == "error").map(|flaw| {
        let value = if flaw.value.is_empty() { String::new() } else { format!(" = {}", flaw.value) };
        format!("{}{value}: {}; {}", flaw.path, flaw.what, flaw.mend)
    });
    errors.collect::<Vec<_>>().join(" | ")
}

/// A text on the disk that is not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Its version; empty if it could not be read.
    pub version: String,
    /// Why, in one line.
    pub why: String,
}

/// What is in force.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The file's text when it was put in force.
    pub text: String,
    /// Its version.
    pub version: String,
    /// What it means here, flags and environment included. Its weights are the file's; those in force may be the slider's.
    pub config: Config,
    /// What stands in the file now if it is not this text.
    pub refused: Option<Refused>,
}

/// The running parts that a new config reaches.
#[derive(Clone, Debug)]
pub struct Running {
    /// The loop.
    pub handle: LoopHandle,
    /// The HTTP thread.
    pub server: ServerHandle,
    /// All series.
    pub metrics: Metrics,
    /// Where everything listens.
    pub ports: Arc<Mutex<Ports>>,
    /// The memory of weights that were moved, if there is one.
    pub weights: Option<Arc<LiveWeights>>,
}

/// The one path on which a config changes. Cheap to clone. Reading never waits; [`Reloader::apply`], [`Reloader::reload`] and
/// [`Reloader::roll_back`] may take seconds and wait for each other: not for an async thread.
#[derive(Clone, Debug)]
pub struct Reloader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: ConfigFile,
    running: Running,
    history: History,
    standing: RwLock<Arc<Standing>>,
    /// Held while a text is put in force.
    turn: Mutex<()>,
}

impl Reloader {
    /// For a proxy that runs with this text of this file.
    pub fn new(file: ConfigFile, text: String, config: Config, running: Running) -> Reloader {
        let history = History::new(file.beside(FOLDER));
        let version = version_of(&text);
        running.metrics.ops.reload_good.set(1);
        let reloader = Reloader(Arc::new(Inner {
            file,
            running,
            history,
            standing: RwLock::new(Arc::new(Standing { text, version, config, refused: None })),
            turn: Mutex::new(()),
        }));
        reloader.keep(&reloader.standing().text, Source::Start);
        reloader
    }

    /// The file.
    pub fn file(&self) -> &ConfigFile {
        &self.0.file
    }

    /// What is in force. Its `version` and [`Reloader::on_disk`]'s differ while the file holds something that was refused.
    pub fn standing(&self) -> Arc<Standing> {
        self.0.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file's text now, and its version: the ETag for [`Reloader::apply`].
    pub fn on_disk(&self) -> Result<(String, String), ApplyError> {
        let text = self.0.file.read().map_err(|problem| ApplyError::File(io::Error::other(problem.to_string())))?;
        let version = version_of(&text);
        Ok((text, version))
    }

    /// Where everything listens now.
    pub fn ports(&self) -> MutexGuard<'_, Ports> {
        self.0.running.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What applying this text would do. Changes nothing.
    pub fn validate(&self, text: &str) -> Verdict {
        self.judge(text).0
    }

    fn judge(&self, text: &str) -> (Verdict, Option<Config>) {
        let standing = self.standing();
        let mut verdict = Verdict {
            version: version_of(text),
            usable: false,
            problems: Vec::new(),
            // A text that is no JSON differs in nothing that could be shown.
            differences: tree::read(text).map(|new| differences(&read(&standing.text), &new.root)).unwrap_or_default(),
            effects: Vec::new(),
        };
        match self.0.file.understand(text) {
            Ok(parsed) => {
                verdict.usable = true;
                verdict.problems = parsed.warnings.iter().map(Flaw::from).collect();
                verdict.effects = effects(&standing.config, &parsed.config);
                for (key, by) in self.0.file.overridden() {
                    let below = format!("{key}.");
                    if verdict.differences.iter().any(|d| d.path == key || d.path.starts_with(&below)) {
                        let text = format!("{key} has no effect: {by} sets it");
                        verdict.effects.push(Effect { kind: "other", text });
                    }
                }
                (verdict, Some(parsed.config))
            }
            Err(problems) => {
                verdict.problems = problems.iter().map(Flaw::from).collect();
                (verdict, None)
            }
        }
    }

    /// Writes this text into the file and puts it in force. `if_version`: only if the file still has this version. Unknown
    /// keys stay as they are written.
    pub fn apply(&self, text: &str, if_version: Option<&str>, source: Source) -> Result<Verdict, ApplyError> {
        let _turn = self.turn();
        let done = self.apply_in_turn(text, if_version, source);
        if let Err(error) = &done {
            // The file is as it was, so what is in force stands in it, or stands refused, as before.
            self.0.running.metrics.ops.refused.inc();
            line(Level::Warn, "config_refused").text("source", source.name()).show("reason", error).send();
        }
        done
    }

    fn apply_in_turn(&self, text: &str, if_version: Option<&str>, source: Source) -> Result<Verdict, ApplyError> {
        let (before, found) = self.on_disk()?;
        if if_version.is_some_and(|wanted| wanted != found) {
            return Err(ApplyError::Conflict(found));
        }
        let (verdict, config) = self.judge(text);
        let Some(config) = config else { return Err(ApplyError::Unusable(verdict)) };
        let plan = self.prepare(config.clone())?;
        let path = &self.0.file.path;
        write_whole(path, text.as_bytes()).map_err(ApplyError::File)?;
        if let Err(error) = self.put_in_force(plan, text, config, &verdict, source) {
            // It ran a moment ago, so this is the loop's end: what can still be done is to leave no trace.
            write_whole(path, before.as_bytes()).map_err(ApplyError::File)?;
            return Err(error);
        }
        Ok(verdict)
    }

    /// Puts the file in force as it is now. What comes of it is in the log.
    pub fn reload(&self, source: Source) -> Result<Verdict, ApplyError> {
        let _turn = self.turn();
        let (text, version) = self.on_disk().inspect_err(|error| self.stands_refused(String::new(), error, source))?;
        let done = self.reload_in_turn(&text, source);
        done.inspect_err(|error| self.stands_refused(version, error, source))
    }

    fn reload_in_turn(&self, text: &str, source: Source) -> Result<Verdict, ApplyError> {
        let (verdict, config) = self.judge(text);
        let Some(config) = config else { return Err(ApplyError::Unusable(verdict)) };
        // Even with the same text: a port that could not be had before is tried again.
        let plan = self.prepare(config.clone())?;
        self.put_in_force(plan, text, config, &verdict, source)?;
        Ok(verdict)
    }

    /// What is kept, the oldest first.
    pub fn history(&self) -> Vec<Kept> {
        self.0.history.list()
    }

    /// The text of a kept version.
    pub fn kept_text(&self, number: u64) -> Option<String> {
        self.0.history.text(number)
    }

    /// Writes a kept version into the file and puts it in force.
    pub fn roll_back(&self, number: u64, if_version: Option<&str>) -> Result<Verdict, ApplyError> {
        let text = self.kept_text(number).ok_or(ApplyError::NoSuchVersion)?;
        self.apply(&text, if_version, Source::Rollback)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // Nothing is half done between two statements that could panic.
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, config: Config) -> Result<Plan, ApplyError> {
        let Inner { file, running, .. } = &*self.0;
        let standing = self.standing();
        Plan::prepare(&standing.config, config, &self.ports(), file, &running.metrics).map_err(ApplyError::Refused)
    }

    fn put_in_force(
        &self,
        plan: Plan,
        text: &str,
        config: Config,
        verdict: &Verdict,
        source: Source,
    ) -> Result<(), ApplyError> {
        let changed = text != self.standing().text;
        if changed {
            say_differences(verdict, source);
        }
        let problems = self.0.file.understand(text).map(|parsed| parsed.warnings).unwrap_or_default();
        plan.carry_out(&mut self.ports(), &self.0.running).map_err(ApplyError::Refused)?;
        if let Some(weights) = &self.0.running.weights {
            weights.reconfigured(&config.scheduler.weights);
        }
        let standing = Standing { text: text.to_owned(), version: verdict.version.clone(), config, refused: None };
        *self.0.standing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
        let series = &self.0.running.metrics.ops;
        series.reload_good.set(1);
        if changed {
            series.applied.inc();
            say_problems(&problems);
            line(Level::Info, "config_reloaded")
                .text("source", source.name())
                .text("version", &verdict.version)
                .value("differences", verdict.differences.len())
                .text("effects", verdict.effects.iter().map(|e| e.text.as_str()).collect::<Vec<_>>().join(" | "))
                .send();
            self.keep(text, source);
        } else {
            series.unchanged.inc();
            line(Level::Info, "config_unchanged")
                .text("source", source.name())
                .text("version", &verdict.version)
                .send();
        }
        Ok(())
    }

    fn keep(&self, text: &str, source: Source) {
        if let Err(error) = self.0.history.keep(text, source) {
            line(Level::Warn, "config_history_failed")
                .show("err", error)
                .text("text", "the config is in force, but this version of it is not kept for a rollback")
                .send();
        }
    }

    /// The file holds what cannot be put in force.
    fn stands_refused(&self, version: String, error: &ApplyError, source: Source) {
        let why = error.to_string();
        let series = &self.0.running.metrics.ops;
        series.refused.inc();
        series.reload_good.set(0);
        // An error, so that no list of events hides it: what the operator wrote does not hold.
        line(Level::Error, "config_refused")
            .text("source", source.name())
            .text("version", &version)
            .text("reason", &why)
            .text("text", "the config before stays in force, and no miner has noticed anything")
            .send();
        let refused = Some(Refused { version, why });
        let standing = Standing { refused, ..Standing::clone(&self.standing()) };
        *self.0.standing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
    }
}

/// The tree of a text; null for one that is none.
fn read(text: &str) -> Node {
    tree::read(text).map_or(Node::Null, |document| document.root)
}

/// One line a difference.
fn say_differences(verdict: &Verdict, source: Source) {
    for Difference { path, old, new, .. } in &verdict.differences {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(absent)".to_owned());
        line(Level::Info, "config_changed")
            .text("source", source.name())
            .text("path", path)
            .text("old", shown(old))
            .text("new", shown(new))
            .send();
    }
}

/// One line a warning, as at the start.
pub fn say_problems(problems: &[Problem]) {
    for problem in problems {
        let level = if problem.severity == Severity::Error { Level::Error } else { Level::Warn };
        line(level, problem.event)
            .text("path", &problem.path)
            .text("raw", &problem.value)
            .text("reason", &problem.what)
            .text("corrected", &problem.mend)
            .send();
    }
}
