//! One log line in the making, and the way that all lines go: filter, facade, env_logger, sink.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dpmp_core::config::{LogFormat, Logging};

use super::burst::{Burst, Suppressed};
use super::counts::count;
use super::filter::Filter;
use super::open::Output;
use super::sink;
use crate::clock::{rfc3339, unix_micros};

static FILTER: RwLock<Filter> = RwLock::new(Filter::silent());
static BURST: Mutex<Burst> = Mutex::new(Burst::new());
static SINK: OnceLock<sink::Sink> = OnceLock::new();

/// The target of records whose message is the inside of a JSON object; all others are text.
const EVENTS: &str = "dpmp::event";

/// Begins to write to `output`, as the config says. The second call of a process changes nothing.
pub fn start(output: Box<dyn Output>, logging: &Logging) -> io::Result<()> {
    if SINK.get().is_some() {
        return Ok(());
    }
    let (sink, writer) = sink::Sink::start(output)?;
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(log::LevelFilter::Warn)
        .filter_module(EVENTS, log::LevelFilter::Trace)
        .filter_module("dpmp", log::LevelFilter::Trace)
        .write_style(env_logger::WriteStyle::Never)
        .format(|out, record| {
            let ts = rfc3339(unix_micros() / 1_000_000);
            if record.target() == EVENTS {
                let level = record.level().as_str().to_ascii_lowercase();
                writeln!(out, "{{\"ts\":\"{ts}\",{},\"level\":\"{level}\"}}", record.args())
            } else {
                let (target, text) = (json(record.target()), json(&record.args().to_string()));
                writeln!(out, "{{\"ts\":\"{ts}\",\"event\":\"library\",\"from\":{target},\"text\":{text}}}")
            }
        })
        .target(env_logger::Target::Pipe(Box::new(writer)));
    if builder.try_init().is_ok() && SINK.set(sink).is_ok() {
        configure(logging);
    }
    Ok(())
}

/// From now on, these events are written, in this form. Where to, [`redirect`] says.
pub fn configure(logging: &Logging) {
    let filter = Filter::new(logging);
    log::set_max_level(filter.max_level());
    // A filter is plain data: one that a panicking thread left behind is as good as any.
    *FILTER.write().unwrap_or_else(PoisonError::into_inner) = filter;
    burst().set_limit(logging.burst);
    if let Some(sink) = SINK.get() {
        sink.set_text(logging.format == LogFormat::Text);
    }
}

/// Its windows are whole between any two statements.
fn burst() -> MutexGuard<'static, Burst> {
    BURST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What bursts have not written, if it is time to tell. `all`: it is the last chance.
pub(super) fn suppressed(all: bool) -> Vec<Suppressed> {
    burst().due(Instant::now(), all)
}

/// A file is opened anew: `logrotate` may have moved it.
pub fn reopen() {
    if let Some(sink) = SINK.get() {
        sink.reopen();
    }
}

/// From now on, lines go to another output.
pub fn redirect(output: Box<dyn Output>) {
    if let Some(sink) = SINK.get()
        && !sink.redirect(output, Duration::from_secs(1))
    {
        line(log::Level::Warn, "log_not_moved")
            .text("text", "whoever reads the log is too slow; it stays where it is until the next reload")
            .send();
    }
}

/// Waits until what was logged is written, at most this long.
pub fn flush(at_most: Duration) {
    if let Some(sink) = SINK.get() {
        sink.flush(at_most);
    }
}

/// A string as JSON.
pub(super) fn json(text: &str) -> String {
    // A string always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

/// One log line in the making. A line that the filter drops costs nothing more.
#[derive(Debug)]
#[must_use = "a line is written by `send`"]
pub struct Line {
    level: log::Level,
    body: Option<String>,
}

/// A line of this level about this event.
pub fn line(level: log::Level, event: &str) -> Line {
    let wanted = FILTER.read().unwrap_or_else(PoisonError::into_inner).wants(level, event);
    // Ours being broken is always said.
    let written = wanted && (level == log::Level::Error || burst().takes(event, Instant::now()));
    if wanted && !written {
        count(|counts| &counts.suppressed, 1);
    }
    Line { level, body: written.then(|| format!("\"event\":\"{event}\"")) }
}

impl Line {
    /// False if the filter drops it: what it would say need not be worked out.
    pub fn wanted(&self) -> bool {
        self.body.is_some()
    }

    /// A field with a text.
    pub fn text(mut self, key: &str, value: impl AsRef<str>) -> Line {
        if let Some(body) = &mut self.body {
            body.push_str(&format!(",\"{key}\":{}", json(value.as_ref())));
        }
        self
    }

    /// A field with a text that is shown by its `Display`.
    pub fn show(self, key: &str, value: impl Display) -> Line {
        if self.body.is_some() { self.text(key, value.to_string()) } else { self }
    }

    /// A field with a number, `true` or `false`.
    pub fn value(mut self, key: &str, value: impl Display) -> Line {
        if let Some(body) = &mut self.body {
            body.push_str(&format!(",\"{key}\":{value}"));
        }
        self
    }

    /// A field with a number that is not whole; `null` where there is none.
    pub fn number(self, key: &str, value: f64) -> Line {
        if value.is_finite() { self.value(key, value) } else { self.value(key, "null") }
    }

    /// Writes the line.
    pub fn send(self) {
        if let Some(body) = self.body {
            // The filter has decided already; the record's own level is for other loggers of the facade.
            log::log!(target: EVENTS, self.level, "{body}");
        }
    }
}
