//! All config keys as a form shows them. The rules themselves are core's: a test holds this table against the parser, key
//! by key, default by default and bound by bound.

use serde::Serialize;

/// What a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Kind {
    /// Any text; none if `secret` should be shown.
    Text {
        /// It is not shown while it is typed.
        secret: bool,
    },
    /// A number within bounds.
    Number {
        /// Least.
        min: f64,
        /// Most; none: no bound that anybody meets.
        max: Option<f64>,
        /// It may have a fraction.
        fraction: bool,
    },
    /// Yes or no.
    Flag,
    /// One of these words.
    Choice {
        /// The words.
        of: &'static [&'static str],
    },
    /// A list of words.
    Words,
    /// The key of a pool, or nothing.
    Pool,
    /// Worker names and pool keys.
    Pins,
    /// A number for each pool.
    Weights,
}

/// One key.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Field {
    /// Where it stands; `*` is each pool's key.
    pub(super) path: &'static str,
    /// Its name for people.
    pub(super) label: &'static str,
    #[serde(flatten)]
    pub(super) kind: Kind,
    /// What holds when it is not there, as JSON.
    pub(super) default: &'static str,
    /// What it is for.
    pub(super) help: &'static str,
}

const fn text(path: &'static str, label: &'static str, default: &'static str, help: &'static str) -> Field {
    Field { path, label, kind: Kind::Text { secret: false }, default, help }
}

const fn number(
    path: &'static str,
    label: &'static str,
    (min, max): (u32, u32),
    default: &'static str,
    help: &'static str,
) -> Field {
    let max = if max == u32::MAX { None } else { Some(max as f64) };
    Field { path, label, kind: Kind::Number { min: min as f64, max, fraction: false }, default, help }
}

const fn flag(path: &'static str, label: &'static str, default: &'static str, help: &'static str) -> Field {
    Field { path, label, kind: Kind::Flag, default, help }
}

const fn of(path: &'static str, label: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Field {
    Field { path, label, kind, default, help }
}

const fn difficulty(path: &'static str, label: &'static str, help: &'static str) -> Field {
    of(path, label, Kind::Number { min: 0.0, max: None, fraction: true }, "null", help)
}

const PORT: (u32, u32) = (1, 65_535);
/// 0: the system chooses one.
const ANY_PORT: (u32, u32) = (0, 65_535);
const ANY: u32 = u32::MAX;

/// The table, in the order in which it is shown.
pub(super) const FIELDS: &[Field] = &[
    text("pools.*.name", "Name", "\"\"", "What you call it."),
    text("pools.*.host", "Host", "\"127.0.0.1\"", "Name or address, without stratum+tcp://."),
    number("pools.*.port", "Port", PORT, "3333", "The pool's Stratum port."),
    text("pools.*.wallet", "Wallet", "\"\"", "Your payout address. Workers log in as wallet.worker."),
    text("pools.*.chain", "Chain", "\"\"", "BTC, BCH, or nothing."),
    of("pools.*.password", "Password", Kind::Text { secret: true }, "\"\"", "Sent in place of the miner's own."),
    text("pools.*.algorithm", "Algorithm", "\"sha256d\"", "Anything else: shares are not checked."),
    number(
        "pools.*.silence_seconds",
        "Silence, s",
        (30, 86_400),
        "180",
        "A pool that sends nothing for so long is taken for dead.",
    ),
    number("scheduler.poolA_weight", "Weight of pool A", (0, ANY), "50", "In any unit. 0: never connected."),
    number("scheduler.poolB_weight", "Weight of pool B", (0, ANY), "50", "In any unit. 0: never connected."),
    of("scheduler.weights", "Weights", Kind::Weights, "null", "One for each pool; wins over the two above."),
    of(
        "scheduler.mode",
        "Mode",
        Kind::Choice { of: &["ratio", "fleet"] },
        "\"ratio\"",
        "ratio: each miner divides its work. fleet: whole miners are placed.",
    ),
    number("scheduler.min_switch_seconds", "Least time on a pool, s", (25, 1_000_000_000), "30", "At half each."),
    number("scheduler.slice_seconds", "Slice, s", (1, ANY), "25", "Shortest stay; at least 5 s below the one before."),
    of("scheduler.failover", "Failover", Kind::Pool, "null", "A pool that may get work although its weight is 0."),
    number("scheduler.repay_minutes", "Repay, min", (0, 100_000), "60", "So much of an outage is made up for."),
    of("scheduler.pins", "Pinned workers", Kind::Pins, "{}", "Workers held on one pool: name and pool's key."),
    flag("scheduler.auto_balance", "Auto-balance", "false", "Weights follow the chains' hash rates."),
    number(
        "scheduler.auto_balance_max_deviation",
        "Bound of auto-balance, %",
        (5, 45),
        "20",
        "Weights stay this near to 50.",
    ),
    of(
        "scheduler.oracle_source",
        "Source",
        Kind::Choice { of: &["own", "url"] },
        "\"own\"",
        "own: measured from the pools' jobs.",
    ),
    text("scheduler.oracle_url", "Oracle's address", "\"\"", "Asked when the source is url."),
    number("scheduler.oracle_poll_seconds", "Asked every, s", (600, 1_000_000_000), "600", ""),
    of(
        "scheduler.oracle_fallback",
        "Without fresh numbers",
        Kind::Choice { of: &["config", "even"] },
        "\"config\"",
        "config: the weights above. even: half each.",
    ),
    difficulty("downstream_diff.default_min", "Least difficulty", "Told difficulty is never below; nothing: no bound."),
    difficulty("downstream_diff.poolA_min", "Least, pool A", ""),
    difficulty("downstream_diff.poolA_max", "Most, pool A", ""),
    difficulty("downstream_diff.poolB_min", "Least, pool B", ""),
    difficulty("downstream_diff.poolB_max", "Most, pool B", ""),
    flag("vardiff.enabled", "Difficulty by miner", "true", "For miners that the pool's difficulty would leave silent."),
    of(
        "vardiff.shares_per_minute",
        "Shares a minute",
        Kind::Number { min: 0.1, max: Some(600.0), fraction: true },
        "12",
        "What it aims at.",
    ),
    text("listen.host", "Host for miners", "\"0.0.0.0\"", "0.0.0.0: every interface."),
    number("listen.port", "Port for miners", ANY_PORT, "3350", "Miners that are connected stay when it moves."),
    number("limits.max_miners", "Miners at most", (1, 1_000_000), "10000", ""),
    number("limits.per_address", "Miners an address", (0, 1_000_000), "0", "0: no bound."),
    flag("metrics.enabled", "Metrics", "true", "For Prometheus."),
    text("metrics.host", "Host for metrics", "\"0.0.0.0\"", ""),
    number("metrics.port", "Port for metrics", ANY_PORT, "9109", ""),
    flag("metrics.per_worker", "Metrics of each worker", "false", "A series for each worker, the largest ones."),
    flag("dashboard.enabled", "Dashboard", "true", "Off: this page is gone, until the file is edited."),
    text("dashboard.host", "Host for the dashboard", "\"0.0.0.0\"", "127.0.0.1: this machine alone."),
    number("dashboard.port", "Port for the dashboard", ANY_PORT, "8855", "The page moves with it."),
    of(
        "dashboard.read",
        "Reading",
        Kind::Choice { of: &["open", "login"] },
        "\"open\"",
        "open: anybody on the network, wallets cut.",
    ),
    flag("dashboard.lock_wallets", "Lock wallets", "false", "Pools, wallets, files are changed in the file alone."),
    of(
        "dashboard.allowed_hosts",
        "Names of this page",
        Kind::Words,
        "[]",
        "By which it may be called, beside local ones.",
    ),
    flag("recording.enabled", "Recording", "true", "The last hours, to run a fault again."),
    number("recording.max_mib", "Recording at most, MiB", (1, 1_000_000), "64", ""),
    text("recording.dir", "Recording's folder", "\"recording\"", "Beside the config."),
    of(
        "logging.level",
        "Level",
        Kind::Choice { of: &["quiet", "error", "warn", "info", "debug", "trace"] },
        "\"info\"",
        "",
    ),
    of("logging.allow", "Only these events", Kind::Words, "[]", "Nothing: all."),
    of("logging.deny", "Never these events", Kind::Words, "[]", ""),
    text("logging.file", "File", "null", "Nothing: standard output."),
    number("logging.rotate_mib", "Rotate at, MiB", (1, 1_000_000), "50", ""),
    number("logging.keep", "Older files kept", (0, 1_000), "3", ""),
    flag("logging.gzip", "Older files compressed", "false", ""),
    of(
        "logging.format",
        "Form",
        Kind::Choice { of: &["json", "text"] },
        "\"json\"",
        "json: for programs. text: for people.",
    ),
    number(
        "logging.burst",
        "Lines of one event a second",
        (0, 1_000_000),
        "1000",
        "What is beyond is counted and told. 0: no bound.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::config::{Severity, known_keys, parse};
    use serde_json::{Value, json};

    fn base() -> Value {
        json!({"pools": {"A": {"host": "a.example", "wallet": "w"}, "B": {"host": "b.example"}}})
    }

    fn with(path: &str, value: Value) -> Value {
        let mut config = base();
        let mut at = &mut config;
        for key in path.replace('*', "B").split('.') {
            at = &mut at[key];
        }
        *at = value;
        config
    }

    /// True if the parser has something to say about this key.
    fn complains(path: &str, value: Value) -> bool {
        let path = path.replace('*', "B");
        let problems = match parse(&with(&path, value).to_string()) {
            Ok(parsed) => parsed.warnings,
            Err(problems) => problems,
        };
        problems.iter().any(|problem| problem.path == path)
    }

    #[test]
    fn every_key_of_the_parser_is_here_and_no_other() {
        let mut known: Vec<String> = Vec::new();
        for (section, keys) in known_keys() {
            let head = match *section {
                "the top of the file" | "scheduler.weights" => continue,
                "pools.A" => "pools.*",
                section => section,
            };
            known.extend(keys.iter().map(|key| format!("{head}.{key}")));
        }
        known.push("listen.host".into());
        known.push("listen.port".into());
        for key in ["enabled", "host", "port", "per_worker"] {
            known.push(format!("metrics.{key}"));
        }
        // Read by v2 alone.
        known.retain(|key| key != "logging.json");
        let mut here: Vec<String> = FIELDS.iter().map(|field| field.path.to_owned()).collect();
        known.sort();
        here.sort();
        assert_eq!(here, known);
    }

    #[test]
    fn defaults_are_the_parsers() {
        let plain = parse(&base().to_string()).unwrap().config;
        for field in FIELDS.iter().filter(|field| field.path != "pools.*.host") {
            let default: Value = serde_json::from_str(field.default).unwrap();
            let parsed = parse(&with(field.path, default).to_string());
            let parsed = parsed.unwrap_or_else(|problems| panic!("{}: {problems:?}", field.path));
            assert_eq!(parsed.config, plain, "{}", field.path);
            assert!(
                parsed.warnings.iter().all(|w| w.severity == Severity::Warning && w.path != field.path),
                "{}",
                field.path
            );
        }
    }

    #[test]
    fn bounds_are_the_parsers() {
        for field in FIELDS {
            match field.kind {
                Kind::Number { min, max, fraction } if !field.path.starts_with("downstream_diff") => {
                    let value = |number: f64| if fraction { json!(number) } else { json!(number as i64) };
                    let step = if fraction { 0.05 } else { 1.0 };
                    assert!(!complains(field.path, value(min)), "{} {min}", field.path);
                    assert!(complains(field.path, value(min - step)), "{} below {min}", field.path);
                    if let Some(max) = max {
                        // A slice must be below the switch, and a switch above the slice.
                        assert!(!complains(field.path, value(max)), "{} {max}", field.path);
                        assert!(complains(field.path, value(max + 1.0)), "{} above {max}", field.path);
                    }
                }
                Kind::Choice { of } => {
                    assert!(of.iter().all(|word| !complains(field.path, json!(word))), "{}", field.path);
                    assert!(complains(field.path, json!("nonsense")), "{}", field.path);
                }
                Kind::Flag => assert!(complains(field.path, json!("perhaps")), "{}", field.path),
                _ => {}
            }
        }
    }
}
