//! `pools` and `downstream_diff`.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::address;
use super::known;
use super::problem::{Problem, Report, Severity, event};
use super::read::{Field, Section};
use super::tree::Node;
use super::types::{MAX_POOLS, PoolConfig, key_of_slot, slot_of_key};
use crate::chain::address::Check;
use crate::chain::{self, Chain};
use crate::difficulty::Difficulty;
use crate::time::Span;

/// Which slots have a pool: as many entries as the highest key asks for.
pub(super) fn slots(section: &Section<'_>, out: &mut Report) -> Vec<bool> {
    let mut present: Vec<bool> = Vec::new();
    for (key, field) in section.members().filter(|(_, field)| *field.node != Node::Null) {
        match slot_of_key(key) {
            Some(slot) => {
                if present.len() <= slot.index() {
                    present.resize(slot.index() + 1, false);
                }
                present[slot.index()] = true;
            }
            None if matches!(field.node, Node::Object(_)) => {
                let mend = match slot_of_key(&key.to_ascii_uppercase()) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("pools are called A to H, at most {MAX_POOLS} of them"),
                };
                let what = "not the key of a pool, without effect";
                field.say_as(String::new(), Severity::Warning, what, mend, event::UNKNOWN_KEY, out);
            }
            None => {}
        }
    }
    let path = |slot: usize| section.path_of(&key_of_slot(slot));
    if present.is_empty() {
        out.push(Problem {
            severity: Severity::Error,
            path: "pools".to_string(),
            value: String::new(),
            what: "no pool is configured".to_string(),
            mend: "write \"pools\": {\"A\": {\"host\": \"pool.example\", \"port\": 3333, \"wallet\": \"your payout \
                   address\"}, \"B\": {...}}"
                .to_string(),
            event: event::INVALID,
        });
    } else {
        for slot in (0..present.len().max(2)).filter(|slot| !present.get(*slot).copied().unwrap_or(false)) {
            out.push(Problem {
                severity: Severity::Warning,
                path: path(slot),
                value: String::new(),
                what: "not configured".to_string(),
                mend: "all work goes to the other pools".to_string(),
                event: event::IGNORED,
            });
        }
    }
    present
}

/// One pool. A pool that never gets work may be incomplete, as in v2: then its faults are warnings.
pub(super) fn pool(
    pools: &Section<'_>,
    slot: usize,
    in_use: bool,
    difficulty: &Section<'_>,
    out: &mut Report,
) -> PoolConfig {
    let key = key_of_slot(slot);
    let section = pools.section(&key, out);
    known::check(&section, known::POOL, out);
    let severity = if in_use { Severity::Error } else { Severity::Warning };
    let default = PoolConfig::new(&key);
    let name = section.text("name", out).map(|n| n.trim().to_string()).filter(|n| !n.is_empty());
    let (min_difficulty, max_difficulty) = difficulties(difficulty, &key, out);
    let address = address::of_pool(&section, default.address, severity, out);
    let wallet = wallet(&section, severity, out);
    let chain = section.text("chain", out).map(|c| c.trim().to_uppercase()).unwrap_or(default.chain);
    check_wallet(&section, &wallet, &chain, out);
    PoolConfig {
        name: name.unwrap_or(default.name),
        address,
        wallet,
        chain,
        password: section.text("password", out).filter(|p| !p.is_empty()),
        sha256d: sha256d(&section, out),
        silence: Span::secs(u64::from(section.clamped("silence_seconds", 180, (30, 86_400), out))),
        min_difficulty,
        max_difficulty,
        key,
    }
}

fn wallet(section: &Section<'_>, severity: Severity, out: &mut Report) -> String {
    let Some(field) = section.field("wallet") else { return String::new() };
    let Some(text) = field.text(out) else { return String::new() };
    let wallet = text.trim();
    if wallet.contains("POOL_") && wallet.contains("_WALLET") {
        let mend = "replace it by your payout address for this pool, or by \"\" if the pool pays an account by the \
                    worker's name"
            .to_string();
        let value = super::read::shown(field.node);
        field.say_as(value, severity, "still the placeholder of the example", mend, event::PLACEHOLDER, out);
    } else if wallet.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let mend = "a payout address has none: copy it again".to_string();
        field.warn("a space or an invisible character inside", mend, event::CORRECTED, out);
    } else if wallet != text {
        field.warn("space around the address", "it is left out".to_string(), event::CORRECTED, out);
    }
    wallet.to_string()
}

/// A wallet that cannot be right for a chain that is known. v2 took any text, so it is taken, and said.
fn check_wallet(section: &Section<'_>, wallet: &str, chain: &str, out: &mut Report) {
    let (Some(chain), Some(field)) = (Chain::of(chain), section.field("wallet")) else { return };
    let (what, mend) = match chain::address::check(wallet, Some(chain)) {
        Check::BadCheckSum { at } => {
            let place = at.map(|at| format!("; character {} seems to be the wrong one", at + 1)).unwrap_or_default();
            let what = format!("looks like an address, but its check sum is wrong{place}");
            (what, "copy it again from your wallet: a block paid to a wrong address is lost".to_string())
        }
        Check::OtherChain(other) => {
            let what = format!("an address of {}, but the pool's chain is {}", other.name(), chain.name());
            (what, "the wallets may have been swapped: write an address of the pool's own chain".to_string())
        }
        Check::Valid(_) | Check::Testnet(_) | Check::NotAnAddress => return,
    };
    field.warn(&what, mend, event::WALLET, out);
}

fn sha256d(section: &Section<'_>, out: &mut Report) -> bool {
    let Some(field) = section.field("algorithm") else { return true };
    let Some(text) = field.text(out) else { return true };
    let name: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match name.as_str() {
        "" | "sha256d" => true,
        "sha256" | "sha2" | "sha256dd" | "sha25d" | "sha265d" => {
            let mend = "shares are not checked; for Bitcoin and its kin write \"sha256d\"".to_string();
            field.warn("not the name of Bitcoin's algorithm", mend, event::IGNORED, out);
            false
        }
        _ => false,
    }
}

/// The least and the greatest difficulty of a pool. v2 passed over what is no number, and let the maximum win.
fn difficulties(section: &Section<'_>, key: &str, out: &mut Report) -> (Option<Difficulty>, Option<Difficulty>) {
    let own = format!("pool{key}_min");
    let min_key = if section.has(&own) { own.as_str() } else { "default_min" };
    let min_field = section.field(min_key);
    // The default is complained of once, with the first pool.
    let mut quiet = Report::default();
    let tell = min_key != "default_min" || key == "A";
    let min = min_field.as_ref().and_then(|f| difficulty(f, false, if tell { &mut *out } else { &mut quiet }));
    let max = section.field(&format!("pool{key}_max")).and_then(|f| difficulty(&f, true, out));
    if let (Some(field), Some(least), Some(most)) = (&min_field, min, max)
        && least > most
    {
        let mend = format!("taken as {most} for pool {key}");
        field.warn(&format!("above pool{key}_max"), mend, event::CORRECTED, out);
        return (max, max);
    }
    (min, max)
}

fn difficulty(field: &Field<'_>, is_max: bool, out: &mut Report) -> Option<Difficulty> {
    let text = match field.node {
        Node::Number(text) | Node::String(text) => text.trim(),
        _ => "",
    };
    let number = super::number::Decimal::parse(text);
    let read = number.and_then(|_| Difficulty::parse(&text.replace('_', "")));
    if read.is_none() {
        // 0 and less is v2's other word for no minimum.
        let none = number.is_some_and(|n| n.is_negative() || n == super::number::Decimal::ZERO);
        if !none || is_max {
            let mend = "taken as none; write a number above 0, or null".to_string();
            field.warn("not a difficulty", mend, event::IGNORED, out);
        }
    }
    read
}
