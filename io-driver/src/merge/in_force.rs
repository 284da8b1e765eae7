//! What holds for a key that the file leaves out, as JSON: so that writing it down changes nothing.

use dpmp_core::Span;
use dpmp_core::config::tree::Node;
use dpmp_core::config::{Address, Config, LogLevel, OracleSource, ReadAccess, slot_of_key};

/// The value in force; none for a key that has no one value.
pub(super) fn in_force(config: &Config, path: &[&str]) -> Option<Node> {
    let (text, flag) = (|text: &str| Node::String(text.to_owned()), Node::Bool);
    let number = |number: u64| Node::Number(number.to_string());
    let seconds = |span: Span| number(span.0 / 1_000_000);
    let list = |words: &[String]| Node::List(words.iter().map(|word| text(word)).collect());
    let address = |address: &Address, key: &str| match key {
        "host" => Some(text(&address.host)),
        "port" => Some(number(u64::from(address.port))),
        _ => None,
    };
    Some(match path {
        ["listen", key] => address(&config.listen, key)?,
        ["metrics", "enabled"] => flag(config.metrics.is_some()),
        ["metrics", key] => address(config.metrics.as_ref()?, key)?,
        ["pools", slot, key] => {
            let pool = config.pool(slot_of_key(slot)?)?;
            match *key {
                "name" => text(&pool.name),
                "wallet" => text(&pool.wallet),
                "chain" => text(&pool.chain),
                key => address(&pool.address, key)?,
            }
        }
        ["scheduler", key] => match *key {
            "min_switch_seconds" => seconds(config.scheduler.min_switch),
            "slice_seconds" => seconds(config.scheduler.slice),
            "auto_balance" => flag(config.oracle.auto_balance),
            "auto_balance_max_deviation" => number(u64::from(config.oracle.max_deviation)),
            "oracle_source" => text(if config.oracle.source == OracleSource::Url { "url" } else { "own" }),
            _ => return None,
        },
        // Absent is none, and so is null.
        ["downstream_diff", _] => Node::Null,
        ["logging", key] => match *key {
            "level" => text(level(config.logging.level)),
            "allow" => list(&config.logging.allow),
            "deny" => list(&config.logging.deny),
            _ => return None,
        },
        ["dashboard", key] => match *key {
            "enabled" => flag(config.dashboard.enabled),
            "read" => text(if config.dashboard.read == ReadAccess::Login { "login" } else { "open" }),
            "lock_wallets" => flag(config.dashboard.lock_wallets),
            key => address(&config.dashboard.address, key)?,
        },
        _ => return None,
    })
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Off => "quiet",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}
