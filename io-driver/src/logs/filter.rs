//! Which events are written: a level, an allow list and a deny list of event names. Unknown names are harmless.

use std::collections::BTreeSet;

use dpmp_core::config::{LogLevel, Logging};
use log::{Level, LevelFilter};

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    level: LevelFilter,
    allow: BTreeSet<String>,
    deny: BTreeSet<String>,
}

impl Filter {
    /// Nothing is written.
    pub const fn silent() -> Filter {
        Filter { level: LevelFilter::Off, allow: BTreeSet::new(), deny: BTreeSet::new() }
    }

    /// What the config says.
    pub fn new(logging: &Logging) -> Filter {
        let level = match logging.level {
            LogLevel::Off => LevelFilter::Off,
            LogLevel::Error => LevelFilter::Error,
            LogLevel::Warn => LevelFilter::Warn,
            LogLevel::Info => LevelFilter::Info,
            LogLevel::Debug => LevelFilter::Debug,
            LogLevel::Trace => LevelFilter::Trace,
        };
        Filter { level, allow: logging.allow.iter().cloned().collect(), deny: logging.deny.iter().cloned().collect() }
    }

    /// An event that `allow` names is written whatever its level (v2 wrote some at `info` that are `debug` here), unless
    /// logging is off or `deny` names it too. Ours being broken is never denied.
    pub fn wants(&self, level: Level, event: &str) -> bool {
        if self.level == LevelFilter::Off {
            return false;
        }
        if level == Level::Error {
            return true;
        }
        let wanted = if self.allow.is_empty() { level <= self.level } else { self.allow.contains(event) };
        wanted && !self.deny.contains(event)
    }

    /// The least important level that can be written.
    pub(super) fn max_level(&self) -> LevelFilter {
        match self.level {
            LevelFilter::Off => LevelFilter::Off,
            _ if !self.allow.is_empty() => LevelFilter::Trace,
            level => level,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(level: LogLevel, allow: &[&str], deny: &[&str]) -> Filter {
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Filter::new(&Logging { level, allow: names(allow), deny: names(deny), ..Logging::default() })
    }

    #[test]
    fn level_allow_and_deny() {
        let plain = filter(LogLevel::Info, &[], &[]);
        assert!(plain.wants(Level::Info, "share_result"));
        assert!(!plain.wants(Level::Debug, "job_forwarded"));
        let deny = filter(LogLevel::Info, &[], &["share_result", "no_such_event"]);
        assert!(!deny.wants(Level::Info, "share_result"));
        assert!(deny.wants(Level::Info, "pool_switched"));
        let allow = filter(LogLevel::Info, &["job_forwarded"], &[]);
        assert!(allow.wants(Level::Debug, "job_forwarded"), "named, so written whatever its level");
        assert!(!allow.wants(Level::Info, "share_result"));
        let both = filter(LogLevel::Info, &["share_result"], &["share_result"]);
        assert!(!both.wants(Level::Info, "share_result"));
    }

    #[test]
    fn ours_being_broken_is_never_denied() {
        assert!(filter(LogLevel::Error, &["x"], &["fatal_crash"]).wants(Level::Error, "fatal_crash"));
        assert!(!filter(LogLevel::Off, &[], &[]).wants(Level::Error, "fatal_crash"));
        assert!(!Filter::silent().wants(Level::Error, "fatal_crash"));
    }
}
