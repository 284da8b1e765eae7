//! From the file's text to a [`Config`], or to everything that is wrong with it.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::address;
use super::defaults::{ANY_HOST, LISTEN_PORT, METRICS_PORT};
use super::known;
use super::pools;
use super::problem::{Problem, Report, Severity, event};
use super::read::Section;
use super::scheduler;
use super::sections;
use super::tree::{self, Node};
use super::types::{Address, Config};

/// A larger file is none of ours.
pub const MAX_BYTES: usize = 1 << 20;

/// A config, and what its owner should know about the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Valid, clamped.
    pub config: Config,
    /// What was corrected or has no effect. To be told once.
    pub warnings: Vec<Problem>,
}

/// What the environment sets in place of the file; an empty text sets nothing. The driver reads the variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrides<'a> {
    /// `DPMP_LOG_LEVEL`: `logging.level`.
    pub log_level: Option<&'a str>,
    /// `DPMP_LOG_ALLOW`: `logging.allow`, names with commas between.
    pub log_allow: Option<&'a str>,
    /// `DPMP_LOG_DENY`: `logging.deny`, names with commas between.
    pub log_deny: Option<&'a str>,
}

/// Reads a file. With an error in it, all its errors and warnings come back in the order of the sections.
pub fn parse(text: &str) -> Result<Parsed, Vec<Problem>> {
    parse_with(text, &Overrides::default())
}

/// As [`parse`], with what the environment sets.
pub fn parse_with(text: &str, overrides: &Overrides<'_>) -> Result<Parsed, Vec<Problem>> {
    if text.len() > MAX_BYTES {
        let mend = format!("a config has a few KiB, and at most {MAX_BYTES} bytes: is this the right file?");
        return Err(vec![of_file(String::new(), "too large", mend, event::BROKEN)]);
    }
    let document = tree::read(text)
        .map_err(|broken| vec![of_file(broken.place(), broken.what, broken.mend.to_string(), event::BROKEN)])?;
    let Node::Object(members) = &document.root else {
        let what = format!("{} where an object must stand", document.root.kind());
        let mend = "the file is one object, { ... }: copy config_v2_example.json and fill it in".to_string();
        return Err(vec![of_file(String::new(), &what, mend, event::INVALID)]);
    };
    let mut out = Report::default();
    for path in document.duplicates {
        let mend = "the last one counts: delete the others".to_string();
        out.push(Problem {
            severity: Severity::Warning,
            path,
            value: String::new(),
            what: "written more than once".to_string(),
            mend,
            event: event::DUPLICATE_KEY,
        });
    }
    let config = read(&Section::root(members), overrides, &mut out);
    out.finish().map(|warnings| Parsed { config, warnings })
}

fn of_file(place: String, what: &str, mend: String, event: &'static str) -> Problem {
    let path = if place.is_empty() { "the file".to_string() } else { place };
    Problem { severity: Severity::Error, path, value: String::new(), what: what.to_string(), mend, event }
}

fn read(top: &Section<'_>, overrides: &Overrides<'_>, out: &mut Report) -> Config {
    known::check(top, known::TOP, out);
    let listen = top.section("listen", out);
    known::check(&listen, known::LISTEN, out);
    let default = Address { host: ANY_HOST.to_string(), port: LISTEN_PORT };
    let listen = address::of_listener(&listen, Some((top, "listen_host", "listen_port")), default, true, out);
    let (metrics, metrics_per_worker) = metrics(top, out);

    let pools = top.section("pools", out);
    let wrong_type = top.field("pools").is_some_and(|f| !matches!(f.node, Node::Object(_)));
    let present = if wrong_type { Vec::new() } else { pools::slots(&pools, out) };
    let section = top.section("scheduler", out);
    let scheduler = scheduler::scheduler(&section, &present, out);
    let mut oracle = scheduler::oracle(&section, out);
    oracle.base_weights.clone_from(&scheduler.weights);
    let difficulty = difficulty(top, out);
    let pools = (0..present.len())
        .map(|slot| {
            let weighted = scheduler.weights.get(slot).is_some_and(|w| *w > 0);
            let in_use = weighted || scheduler.failover.is_some_and(|p| p.index() == slot);
            pools::pool(&pools, slot, in_use, &difficulty, out)
        })
        .collect();
    let set = [overrides.log_level, overrides.log_allow, overrides.log_deny];
    Config {
        listen,
        metrics,
        metrics_per_worker,
        pools,
        scheduler,
        limits: sections::limits(&top.section("limits", out), out),
        logging: sections::logging(&top.section("logging", out), set, out),
        vardiff: sections::vardiff(&top.section("vardiff", out), out),
        dashboard: sections::dashboard(&top.section("dashboard", out), out),
        recording: sections::recording(&top.section("recording", out), out),
        oracle,
    }
}

fn metrics(top: &Section<'_>, out: &mut Report) -> (Option<Address>, bool) {
    let section = top.section("metrics", out);
    known::check(&section, known::METRICS, out);
    let default = Address { host: ANY_HOST.to_string(), port: METRICS_PORT };
    let older = Some((top, "metrics_host", "metrics_port"));
    let address = address::of_listener(&section, older, default, false, out);
    let enabled = section.field("enabled").or_else(|| top.field("metrics_enabled"));
    let enabled = enabled.and_then(|f| f.flag(out)).unwrap_or(true);
    (enabled.then_some(address), section.flag("per_worker", false, out))
}

/// v2 passes over a `downstream_diff` that is no object.
fn difficulty<'a>(top: &Section<'a>, out: &mut Report) -> Section<'a> {
    match top.field("downstream_diff") {
        Some(field) if matches!(field.node, Node::Object(_)) => {
            let section = field.section(out);
            known::check(&section, known::DIFFICULTY, out);
            section
        }
        Some(field) => {
            let mend = "without effect; write { ... }".to_string();
            field.warn(&format!("{} where an object must stand", field.node.kind()), mend, event::IGNORED, out);
            Section::empty("downstream_diff")
        }
        None => Section::empty("downstream_diff"),
    }
}
