//! One log line in the making, and the way that all lines go: filter, facade, env_logger, sink.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{OnceLock, RwLock};
use std::time::Duration;

use super::filter::Filter;
use super::sink;
use crate::clock::{rfc3339, unix_micros};

static FILTER: RwLock<Filter> = RwLock::new(Filter::silent());
static SINK: OnceLock<sink::Sink> = OnceLock::new();

/// The target of records whose message is the inside of a JSON object; all others are text.
const EVENTS: &str = "dpmp::event";

/// Begins to write to `output`. The second call of a process changes nothing.
pub fn start(output: Box<dyn Write + Send>, filter: Filter) -> io::Result<()> {
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
                writeln!(out, "{{\"ts\":\"{ts}\",{}}}", record.args())
            } else {
                let (target, text) = (json(record.target()), json(&record.args().to_string()));
                writeln!(out, "{{\"ts\":\"{ts}\",\"event\":\"library\",\"from\":{target},\"text\":{text}}}")
            }
        })
        .target(env_logger::Target::Pipe(Box::new(writer)));
    if builder.try_init().is_ok() && SINK.set(sink).is_ok() {
        set_filter(filter);
    }
    Ok(())
}

/// From now on, these events are written.
pub fn set_filter(filter: Filter) {
    log::set_max_level(filter.max_level());
    // A filter is plain data: one that a panicking thread left behind is as good as any.
    *FILTER.write().unwrap_or_else(std::sync::PoisonError::into_inner) = filter;
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
    let wanted = FILTER.read().unwrap_or_else(std::sync::PoisonError::into_inner).wants(level, event);
    Line { level, body: wanted.then(|| format!("\"event\":\"{event}\"")) }
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
