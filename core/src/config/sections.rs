//! The plain sections: `logging`, `limits`, `vardiff`, `dashboard`, `recording`.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::address;
use super::known;
use super::problem::{Problem, Report, Severity, event};
use super::read::Section;
use super::types::{Dashboard, Limits, LogFormat, LogLevel, Logging, ReadAccess, Recording, Vardiff};

/// What the environment may set.
const LEVELS: &str = "write info, or one of quiet, error, warn, debug, trace; taken as info";

fn level(word: &str) -> Option<LogLevel> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "quiet" | "off" | "none" => LogLevel::Off,
        "error" | "critical" | "fatal" => LogLevel::Error,
        "warn" | "warning" => LogLevel::Warn,
        "info" | "" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => return None,
    })
}

/// `logging`, with what the environment sets in its place.
pub(super) fn logging(
    section: &Section<'_>,
    [set_level, set_allow, set_deny]: [Option<&str>; 3],
    out: &mut Report,
) -> Logging {
    known::check(section, known::LOGGING, out);
    let default = Logging::default();
    let set_level = set_level.filter(|text| !text.trim().is_empty());
    let from_file = section.field("level").and_then(|field| {
        let read = level(&field.text(out)?);
        if read.is_none() {
            field.warn("unknown", LEVELS.to_string(), event::CORRECTED, out);
        }
        read
    });
    let from_environment = set_level.and_then(|text| {
        let read = level(text);
        if read.is_none() {
            out.push(Problem {
                severity: Severity::Warning,
                path: "DPMP_LOG_LEVEL".to_string(),
                value: text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect(),
                what: "unknown".to_string(),
                mend: LEVELS.to_string(),
                event: event::CORRECTED,
            });
        }
        read.or(Some(default.level))
    });
    let words = |text: Option<&str>, key: &str, out: &mut Report| -> Vec<String> {
        let read = section.words(key, out);
        match text.filter(|text| !text.trim().is_empty()) {
            Some(text) => text.split(',').map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect(),
            None => read,
        }
    };
    Logging {
        level: from_environment.or(from_file).unwrap_or(default.level),
        allow: words(set_allow, "allow", out),
        deny: words(set_deny, "deny", out),
        file: section.text("file", out).filter(|file| !file.trim().is_empty()),
        rotate_mib: section.clamped("rotate_mib", default.rotate_mib, (1, 1_000_000), out),
        keep: section.clamped("keep", default.keep, (0, 1_000), out),
        gzip: section.flag("gzip", default.gzip, out),
        format: section.choice("format", &[("json", LogFormat::Json), ("text", LogFormat::Text)], default.format, out),
        burst: section.clamped("burst", default.burst, (0, 1_000_000), out),
    }
}

pub(super) fn limits(section: &Section<'_>, out: &mut Report) -> Limits {
    known::check(section, known::LIMITS, out);
    let default = Limits::default();
    Limits {
        max_miners: section.clamped("max_miners", default.max_miners, (1, 1_000_000), out),
        per_address: section.clamped("per_address", default.per_address, (0, 1_000_000), out),
    }
}

pub(super) fn vardiff(section: &Section<'_>, out: &mut Report) -> Vardiff {
    known::check(section, known::VARDIFF, out);
    let default = Vardiff::default();
    let rate = section.field("shares_per_minute").and_then(|field| {
        let read = field.decimal(out)?;
        let thousandths = read.billionths() / 1_000_000;
        let clamped = thousandths.clamp(100, 600_000);
        if clamped != thousandths {
            let mend = "from 0.1 to 600 shares a minute: the nearer bound is taken".to_string();
            field.warn("out of bounds", mend, event::CORRECTED, out);
        }
        u32::try_from(clamped).ok()
    });
    Vardiff {
        enabled: section.flag("enabled", default.enabled, out),
        millishares_per_minute: rate.unwrap_or(default.millishares_per_minute),
    }
}

pub(super) fn dashboard(section: &Section<'_>, out: &mut Report) -> Dashboard {
    known::check(section, known::DASHBOARD, out);
    let default = Dashboard::default();
    Dashboard {
        enabled: section.flag("enabled", default.enabled, out),
        address: address::of_listener(section, None, default.address, false, out),
        read: match section.field("read") {
            // Of what nobody understands, the safe one.
            Some(_) => section.choice(
                "read",
                &[("login", ReadAccess::Login), ("open", ReadAccess::Open)],
                ReadAccess::Login,
                out,
            ),
            None => default.read,
        },
        lock_wallets: section.flag("lock_wallets", default.lock_wallets, out),
        allowed_hosts: section.words("allowed_hosts", out),
    }
}

pub(super) fn recording(section: &Section<'_>, out: &mut Report) -> Recording {
    known::check(section, known::RECORDING, out);
    let default = Recording::default();
    Recording {
        enabled: section.flag("enabled", default.enabled, out),
        max_mib: section.clamped("max_mib", default.max_mib, (1, 1_000_000), out),
        dir: section.text("dir", out).filter(|dir| !dir.trim().is_empty()).unwrap_or(default.dir),
    }
}
