//! `scheduler`: weights, dwell times, what overrides them, and the oracle.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::defaults::ORACLE_URL;
use super::known;
use super::number::Decimal;
use super::problem::{Problem, Report, Severity, event};
use super::read::{Field, Section};
use super::tree::Node;
use super::types::{Mode, Oracle, OracleFallback, OracleSource, SchedulerConfig, key_of_slot, slot_of_key};
use super::weights::{even, normalise};
use crate::ids::PoolId;
use crate::time::Span;

/// Nobody waits longer for a switch: about 31 years.
const LONGEST: u32 = 1_000_000_000;
/// v2's least `min_switch_seconds`.
const LEAST_SWITCH: u32 = 25;

/// Reads the section. `present`: the slots that have a pool.
pub(super) fn scheduler(section: &Section<'_>, present: &[bool], out: &mut Report) -> SchedulerConfig {
    known::check(section, known::SCHEDULER, out);
    let failover = section.field("failover").and_then(|f| pool_named(&f, present, out));
    let (min_switch, slice) = dwell(section, out);
    SchedulerConfig {
        mode: section.choice("mode", &[("ratio", Mode::Ratio), ("fleet", Mode::Fleet)], Mode::Ratio, out),
        weights: weights(section, present, failover, out),
        min_switch: Span::secs(u64::from(min_switch)),
        slice: Span::secs(u64::from(slice)),
        failover,
        repay: Span::mins(u64::from(section.clamped("repay_minutes", 60, (0, 100_000), out))),
        pins: pins(section, present, out),
    }
}

/// `min_switch_seconds` and `slice_seconds` with v2's clamps.
fn dwell(section: &Section<'_>, out: &mut Report) -> (u32, u32) {
    let min_switch = section
        .field("min_switch_seconds")
        .and_then(|f| f.clamped((LEAST_SWITCH, LONGEST), "config_safety_min_switch_clamped", out))
        .unwrap_or(30);
    let most = min_switch.saturating_sub(5).max(1);
    let Some(field) = section.field("slice_seconds") else { return (min_switch, most.min(30)) };
    let event = "config_safety_slice_clamped";
    let Some(slice) = field.whole(out) else { return (min_switch, most.min(30)) };
    if slice >= i64::from(min_switch) {
        let mend = format!("taken as {most}");
        field.warn(&format!("not below min_switch_seconds, {min_switch}"), mend, event, out);
        return (min_switch, most);
    }
    if slice < 1 {
        field.warn("too small", "at least 1: taken as 1".to_string(), event, out);
    }
    (min_switch, u32::try_from(slice.max(1)).unwrap_or(most))
}

/// `weights`, else `poolA_weight`, `poolB_weight`, ...
fn weights(section: &Section<'_>, present: &[bool], failover: Option<PoolId>, out: &mut Report) -> Vec<u32> {
    let written = section.field("weights");
    let table = written.map(|f| (matches!(f.node, Node::Object(m) if !m.is_empty()), f.section(out)));
    // One that is no object is an error already; one without entries says nothing.
    let table = table.and_then(|(usable, table)| usable.then_some(table));
    let mut weights: Vec<u128> = Vec::with_capacity(present.len());
    let mut negative = false;
    for (slot, present) in present.iter().enumerate() {
        let key = key_of_slot(slot);
        let (field, absent) = match &table {
            Some(table) => (table.field(&key), 0),
            None => {
                let own = format!("pool{key}_weight");
                let none_needed = slot >= 2 && failover == Some(PoolId(slot as u8));
                (section.field(&own), if none_needed { 0 } else { 50 })
            }
        };
        let weight = match (field, present) {
            (_, false) => 0,
            (Some(field), true) => {
                // A wrong type is an error already; the pool counts as used.
                let read = field.decimal(out).unwrap_or(Decimal::ONE);
                if read.is_negative() {
                    negative = true;
                    let mend = "all pools get the same share; write 0 or more".to_string();
                    field.warn("a negative weight", mend, event::CORRECTED, out);
                }
                read.billionths()
            }
            (None, true) => {
                if failover != Some(PoolId(slot as u8)) {
                    absent_weight(section, &key, slot, table.is_some(), out);
                }
                absent * Decimal::ONE.billionths()
            }
        };
        weights.push(weight);
    }
    strangers(section, table.as_ref(), present, out);
    if negative {
        return even(present);
    }
    normalise(&weights).unwrap_or_else(|| {
        if present.iter().any(|p| *p) {
            let path = if table.is_some() { "weights" } else { "poolA_weight" };
            warn(section.path_of(path), "no pool has a weight above 0", "all pools get the same share", out);
        }
        even(present)
    })
}

/// The two weights of v2 may be left out in silence; of others it is said what happens.
fn absent_weight(section: &Section<'_>, key: &str, slot: usize, table: bool, out: &mut Report) {
    let path = section.path_of(&if table { format!("weights.{key}") } else { format!("pool{key}_weight") });
    if table {
        warn(path, "no weight for this pool", "taken as 0: it gets no work", out);
    } else if slot >= 2 {
        warn(path, "no weight for this pool", "taken as 50, as for pools A and B", out);
    }
}

/// Weights of pools that are not configured.
fn strangers(section: &Section<'_>, table: Option<&Section<'_>>, present: &[bool], out: &mut Report) {
    let is_here = |key: &str| slot_of_key(key).is_some_and(|p| present.get(p.index()).copied().unwrap_or(false));
    let lost = |field: Field<'_>, out: &mut Report| {
        field.warn("no such pool is configured", "without effect".to_string(), event::IGNORED, out);
    };
    if let Some(table) = table {
        for (_, field) in table.members().filter(|(key, _)| !is_here(key)) {
            lost(field, out);
        }
        return;
    }
    for (key, field) in section.members() {
        let of = key.strip_prefix("pool").and_then(|k| k.strip_suffix("_weight"));
        // B's absence is told where pools are read.
        if of.is_some_and(|k| slot_of_key(k).is_some_and(|p| p.index() >= 2) && !is_here(k)) {
            lost(field, out);
        }
    }
}

fn warn(path: String, what: &str, mend: &str, out: &mut Report) {
    out.push(Problem {
        severity: Severity::Warning,
        path,
        value: String::new(),
        what: what.to_string(),
        mend: mend.to_string(),
        event: event::CORRECTED,
    });
}

/// The pool that a text names.
fn pool_named(field: &Field<'_>, present: &[bool], out: &mut Report) -> Option<PoolId> {
    let text = field.text(out)?;
    let name = text.trim();
    if name.is_empty() {
        return None;
    }
    let found = slot_of_key(&name.to_ascii_uppercase());
    let found = found.filter(|p| present.get(p.index()).copied().unwrap_or(false));
    if found.is_none() {
        let mend = "write the key of a configured pool, such as \"B\"; without effect".to_string();
        field.warn("no such pool is configured", mend, event::IGNORED, out);
    }
    found
}

fn pins(section: &Section<'_>, present: &[bool], out: &mut Report) -> BTreeMap<String, PoolId> {
    let pins = section.section("pins", out);
    let held = pins.members().filter(|(_, field)| *field.node != Node::Null);
    held.filter_map(|(worker, field)| Some((worker.to_string(), pool_named(&field, present, out)?))).collect()
}

/// The oracle's keys, which v2 keeps in `scheduler`.
pub(super) fn oracle(section: &Section<'_>, out: &mut Report) -> Oracle {
    let default = Oracle::default();
    let url = section.text("oracle_url", out).map(|u| u.trim().to_string()).filter(|u| !u.is_empty());
    if let Some(field) = section.field("oracle_url")
        && url.as_ref().is_some_and(|u| !u.starts_with("http://") && !u.starts_with("https://"))
    {
        let mend = "write an address that begins with https://; it will not answer".to_string();
        field.warn("not the address of a web server", mend, event::INVALID, out);
    }
    // A file that names a server goes on asking it.
    let source = if url.is_some() { OracleSource::Url } else { OracleSource::Own };
    let sources: &[(&str, OracleSource)] = match source {
        OracleSource::Own => &[("own", OracleSource::Own), ("url", OracleSource::Url)],
        OracleSource::Url => &[("url", OracleSource::Url), ("own", OracleSource::Own)],
    };
    let source = section.choice("oracle_source", sources, source, out);
    // With the own source nobody is asked, unless the file names whom.
    let unnamed = if source == OracleSource::Url { ORACLE_URL } else { "" };
    let fallbacks = [("config", OracleFallback::Config), ("even", OracleFallback::Even)];
    let deviation = section.field("auto_balance_max_deviation");
    let deviation = deviation.and_then(|f| f.clamped((5, 45), "config_safety_max_deviation_clamped", out));
    let poll = section.field("oracle_poll_seconds");
    let poll = poll.and_then(|f| f.clamped((600, LONGEST), "config_safety_oracle_poll_clamped", out));
    Oracle {
        auto_balance: section.flag("auto_balance", default.auto_balance, out),
        max_deviation: deviation.and_then(|d| u8::try_from(d).ok()).unwrap_or(default.max_deviation),
        source,
        base_weights: Vec::new(),
        url: url.unwrap_or_else(|| unnamed.to_string()),
        poll: poll.map_or(default.poll, |p| Span::secs(u64::from(p))),
        fallback: section.choice("oracle_fallback", &fallbacks, default.fallback, out),
    }
}
