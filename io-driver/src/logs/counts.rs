//! What became of log lines, counted for the metrics. One log a process, so one set of counters.

use std::sync::LazyLock;

use prometheus::{Error, IntCounter};

/// The counters.
#[derive(Clone, Debug)]
pub struct LogCounts {
    /// Lines that were handed to the output.
    pub written: IntCounter,
    /// Lines beyond the bound of a burst; the log has told how many.
    pub suppressed: IntCounter,
    /// Lines that are lost: whoever reads the log was too slow, or the disk did not take them. The log tells it when it can.
    pub dropped: IntCounter,
}

/// None only if these names were bad, which a test would show.
static COUNTS: LazyLock<Option<LogCounts>> = LazyLock::new(|| make().ok());

fn make() -> Result<LogCounts, Error> {
    Ok(LogCounts {
        written: IntCounter::new("dpmp_log_lines_total", "Log lines that were written.")?,
        suppressed: IntCounter::new(
            "dpmp_log_lines_suppressed_total",
            "Log lines that a burst of one event would have written: the log says how many, by event.",
        )?,
        dropped: IntCounter::new(
            "dpmp_log_lines_dropped_total",
            "Log lines that are lost: whoever reads the log is too slow, or its disk is full.",
        )?,
    })
}

/// The process's counters.
pub fn counts() -> Option<&'static LogCounts> {
    COUNTS.as_ref()
}

/// Counts lines.
pub(super) fn count(which: impl Fn(&LogCounts) -> &IntCounter, lines: u64) {
    if let Some(counts) = counts() {
        which(counts).inc_by(lines);
    }
}
