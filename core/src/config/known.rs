//! The keys that mean something, and which of them a stranger may be meant for. Other keys are the operator's own: they
//! are passed over in silence.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::problem::{Problem, Report, Severity, event};
use super::read::Section;
use super::types::slot_of_key;

pub(super) const TOP: &[&str] = &[
    "listen",
    "metrics",
    "pools",
    "scheduler",
    "downstream_diff",
    "logging",
    "limits",
    "vardiff",
    "dashboard",
    "recording",
    "listen_host",
    "listen_port",
    "metrics_enabled",
    "metrics_host",
    "metrics_port",
];
pub(super) const LISTEN: &[&str] = &["host", "port"];
pub(super) const METRICS: &[&str] = &["enabled", "host", "port", "per_worker"];
pub(super) const POOL: &[&str] =
    &["name", "host", "port", "wallet", "chain", "password", "algorithm", "silence_seconds"];
pub(super) const SCHEDULER: &[&str] = &[
    "poolA_weight",
    "poolB_weight",
    "weights",
    "min_switch_seconds",
    "slice_seconds",
    "mode",
    "auto_balance",
    "auto_balance_max_deviation",
    "oracle_url",
    "oracle_poll_seconds",
    "oracle_source",
    "oracle_fallback",
    "pins",
    "failover",
    "repay_minutes",
];
pub(super) const DIFFICULTY: &[&str] = &["default_min", "poolA_min", "poolB_min", "poolA_max", "poolB_max"];
pub(super) const LOGGING: &[&str] =
    &["level", "allow", "deny", "json", "file", "rotate_mib", "keep", "gzip", "format", "burst"];
pub(super) const LIMITS: &[&str] = &["max_miners", "per_address"];
pub(super) const VARDIFF: &[&str] = &["enabled", "shares_per_minute"];
pub(super) const DASHBOARD: &[&str] = &["enabled", "host", "port", "read", "lock_wallets", "allowed_hosts"];
pub(super) const RECORDING: &[&str] = &["enabled", "max_mib", "dir"];

/// Sections and their keys, to tell where a key belongs that stands in the wrong one.
const HOMES: &[(&str, &[&str])] = &[
    ("the top of the file", TOP),
    ("pools.A", POOL),
    ("scheduler", SCHEDULER),
    ("scheduler.weights", &["weight"]),
    ("downstream_diff", DIFFICULTY),
    ("logging", LOGGING),
    ("limits", LIMITS),
    ("vardiff", VARDIFF),
    ("dashboard", DASHBOARD),
    ("recording", RECORDING),
];

/// Sections and the keys that mean something in them, for forms. `listen` and `metrics` are not among them.
pub fn known_keys() -> &'static [(&'static str, &'static [&'static str])] {
    HOMES
}

/// Warns of each key that is nearly a known one, or known in another section. Values are not shown: a misspelt
/// `wallet` holds a wallet.
pub(super) fn check(section: &Section<'_>, known: &[&str], out: &mut Report) {
    /// A section with more keys than this holds something else.
    const MOST: usize = 1_000;
    for (key, field) in section.members().take(MOST) {
        if is_known(key, known) {
            continue;
        }
        let (what, mend) = if let Some(meant) = nearest(key, known) {
            ("unknown key, without effect", format!("did you mean \"{meant}\"?"))
        } else if let Some(home) = home(key) {
            ("a key that has no effect here", format!("it belongs to {home}"))
        } else {
            continue;
        };
        out.push(Problem {
            severity: Severity::Warning,
            path: field.path,
            value: String::new(),
            what: what.to_string(),
            mend,
            event: event::UNKNOWN_KEY,
        });
    }
}

/// The one section in which a key would mean something.
fn home(key: &str) -> Option<&'static str> {
    let mut homes = HOMES.iter().filter(|(_, keys)| key.len() > 4 && is_known(key, keys)).map(|(home, _)| *home);
    homes.next().filter(|_| homes.next().is_none())
}

/// `poolC_weight` is known where `poolA_weight` is.
fn is_known(key: &str, known: &[&str]) -> bool {
    if known.contains(&key) {
        return true;
    }
    let (Some(head), Some(letter), Some(tail)) = (key.get(..4), key.get(4..5), key.get(5..)) else { return false };
    head == "pool"
        && slot_of_key(letter).is_some()
        && known.iter().any(|k| k.strip_prefix("poolA").is_some_and(|known_tail| known_tail == tail))
}

/// The known key that is meant, if any is near enough.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain: Vec<u8> = key.bytes().filter(|b| !b"_- ".contains(b)).map(|b| b.to_ascii_lowercase()).collect();
    let best = known.iter().map(|k| {
        let meant: Vec<u8> = k.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase()).collect();
        // Short words are all near each other.
        let near = if meant.len() <= 4 { 1 } else { 2 };
        (distance(&plain, &meant), near, *k)
    });
    best.filter(|(distance, near, _)| distance <= near).min().map(|(_, _, k)| k)
}

/// Letters to add, drop, replace or swap with their neighbour to make one word of the other; large if that is many.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut rows: Vec<Vec<usize>> = vec![(0..width).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i; width];
        for j in 1..width {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        for (key, meant) in [
            ("walet", "wallet"),
            ("Wallet", "wallet"),
            ("wllaet", "wallet"),
            ("prot", "port"),
            ("hsot", "host"),
            ("silenceSeconds", "silence_seconds"),
            ("pasword", "password"),
        ] {
            assert_eq!(nearest(key, POOL), Some(meant), "{key}");
        }
        for key in ["note", "_comment", "//", "", "wallet_old", "region", "parts", "\u{e9}\u{e9}"] {
            assert_eq!(nearest(key, POOL), None, "{key}");
        }
        assert_eq!(nearest("min_swich_seconds", SCHEDULER), Some("min_switch_seconds"));
    }

    #[test]
    fn any_pool_has_its_weight() {
        assert!(is_known("poolH_weight", SCHEDULER));
        assert!(!is_known("poolI_weight", SCHEDULER));
        assert!(is_known("poolC_max", DIFFICULTY));
        assert!(!is_known("poolC_max", SCHEDULER));
    }
}
