//! Configs: any text, and the shipped example with any of its values changed.
//!
//! Byte 0 of hex 80 and above (80: with its placeholders): the rest changes the example, a byte for the place and a byte for what is put there (and a
//! byte where that needs one). Else the bytes are the file.

use dpmp_core::config::{Overrides, Problem, Severity, WEIGHT_SUM, parse, parse_with};
use dpmp_core::{Command, Engine, Event, Memory, Notice, Time};

const EXAMPLE: &str = include_str!("../../../config_v2_example.json");

/// What can stand in place of a value.
const VALUES: [&str; 26] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "50",
    "0.5",
    "99.999999999999999999",
    "1e400",
    "1e-400",
    "4294967296",
    "18446744073709551616",
    "\"\"",
    "\"50\"",
    "\"yes\"",
    "\"A\"",
    "\"B\"",
    "\"fleet\"",
    "\"[::1]:3333\"",
    "\"stratum+tcp://user@pool.example:3333/x\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "{}",
    "[]",
    "[[],{\"A\":1}]",
];

/// Keys that the example does not have.
const KEYS: [&str; 12] = [
    "\"failover\"",
    "\"weights\"",
    "\"pins\"",
    "\"C\"",
    "\"H\"",
    "\"I\"",
    "\"algorithm\"",
    "\"repay_minutes\"",
    "\"dashboard\"",
    "\"vardiff\"",
    "\"limits\"",
    "\"\\u0000\"",
];

/// Panics on a fault.
pub fn body(data: &[u8]) {
    match data {
        [0x80, rest @ ..] => check(&changed(EXAMPLE.to_string(), rest)),
        [0x81..=0xFF, rest @ ..] => check(&changed(filled_in(), rest)),
        _ => check(&String::from_utf8_lossy(data)),
    }
}

/// The example without placeholders.
fn filled_in() -> String {
    EXAMPLE.replace("\"POOL_", "\"my-")
}

fn changed(mut text: String, changes: &[u8]) -> String {
    for change in changes.chunks(3).take(40) {
        let [place, what, with] = [0, 1, 2].map(|i| change.get(i).copied().unwrap_or(0));
        let values = values(&text);
        let Some(range) = values.get(usize::from(place) % values.len().max(1)).cloned() else { return text };
        let value = VALUES[usize::from(with) % VALUES.len()];
        match what % 5 {
            // Another value; a further member before it; a byte of the file.
            0..=2 => text.replace_range(range, value),
            3 => {
                let key = KEYS[usize::from(what) / 5 % KEYS.len()];
                let start = text[..range.start].rfind(['{', ',']).map_or(0, |at| at + 1);
                text.insert_str(start, &format!("{key}:{value},"));
            }
            _ => text.replace_range(range, &format!("\"{with}\"")),
        }
    }
    text
}

/// Where values stand: behind a colon, up to a comma, bracket or the line's end. Good enough to change them.
fn values(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(':') {
        let start = at + 1 + text[at + 1..].len() - text[at + 1..].trim_start().len();
        let end = match text[start..].chars().next() {
            Some('"') => text[start + 1..].find('"').map(|n| start + n + 2),
            Some('{' | '[') | None => None,
            Some(_) => text[start..].find([',', '}', ']', '\n']).map(|n| start + n),
        };
        found.extend(end.map(|end| start..end));
    }
    found
}

fn check(text: &str) {
    let parsed = parse(text);
    assert!(parsed == parse(text), "the same file, another outcome");
    let odd = Overrides { log_level: Some(""), log_allow: None, log_deny: Some(",a,,a") };
    let _other_problems = parse_with(text, &odd).is_ok();
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(problems) => {
            assert!(problems.iter().any(|p| p.severity == Severity::Error), "refused without an error: {problems:?}");
            return problems.iter().for_each(helps);
        }
    };
    parsed.warnings.iter().for_each(helps);
    assert!(parsed.warnings.iter().all(|p| p.severity == Severity::Warning), "accepted with an error");
    let config = &parsed.config;
    let weights = &config.scheduler.weights;
    assert_eq!(weights.len(), config.pools.len(), "a weight for each pool");
    assert!(!weights.is_empty(), "no pool");
    assert_eq!(weights.iter().map(|w| u64::from(*w)).sum::<u64>(), u64::from(WEIGHT_SUM), "the sum of {weights:?}");
    assert!(config.scheduler.failover.is_none_or(|pool| config.pool(pool).is_some()), "failover to no pool");
    assert!(config.scheduler.pins.values().all(|pool| config.pool(*pool).is_some()), "pinned to no pool");
    // The engine starts with it, keeps it over a checkpoint, and takes it from another's hands.
    let mut engine = Engine::new(config.clone(), &Memory::default(), 1);
    let mut out = dpmp_core::ActionBuf::new();
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 4000));
    engine.step(Time::ZERO, Event::Tick, &mut out);
    engine.step(Time(1), Event::MinerAccepted { miner: dpmp_core::MinerId(1), peer }, &mut out);
    let restored = Engine::restore(&engine.checkpoint()).expect("a checkpoint just made");
    assert!(restored == engine, "a checkpoint with this config is another engine");
    let command = Command::SetConfig(Box::new(restored.config().clone()));
    let shipped = parse(&filled_in()).expect("the example is valid once it is filled in");
    let mut other = Engine::new(shipped.config, &Memory::default(), 1);
    out.clear();
    other.step(Time::ZERO, Event::Command(command), &mut out);
    let applied = |action: &dpmp_core::Action| matches!(action, dpmp_core::Action::Notice(Notice::ConfigApplied));
    assert!(out.actions().iter().any(applied) && other.config() == config, "not accepted again");
    assert!(other.poll_timeout().is_none_or(|(at, _)| at > Time::ZERO), "a deadline that has passed");
}

/// A problem says where it is and what to do.
fn helps(problem: &Problem) {
    assert!(!problem.path.is_empty() && !problem.mend.is_empty() && !problem.what.is_empty(), "{problem:?}");
    let shown = problem.to_string();
    // Open (`control-character`): DEL and the control characters above it are shown as they are.
    let control = |c: char| c.is_control() && (c < ' ' || super::strict());
    assert!(!shown.contains(control), "control characters on the terminal: {shown:?}");
    assert!(shown.len() < 2_000, "too long to read: {shown}");
}
