//! One line of Stratum, rewritten at the same length. What the engine reads stays (methods, job ids, hex, numbers, agents);
//! what may be a name becomes a pseudonym. A line that is no Stratum is blotted out.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::names::Names;
use crate::ids::Conn;
use crate::stratum::hex;
use crate::stratum::wire::{Line, text};

/// What is done with the strings of one part of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    /// The engine reads it.
    Keep,
    /// Hex stays; of anything else, words that are part of a name are replaced.
    Hex,
    /// Words that are part of a name are replaced.
    Text,
    /// What a pool says to people: words that are part of a name are replaced, and whatever is no plain word is blotted out.
    /// It may quote names and addresses that no line of the recording has told.
    Words,
    /// The engine compares its begin: only words that are as long as wallets are replaced, if part of a name.
    Agent,
    /// All words are replaced.
    Name,
    Coinb1,
    Coinb2,
}

/// Plain words are no longer than this, in bytes.
const LONGEST_WORD: usize = 14;
/// What is as short as this tells nobody's name: codes, versions, particles.
const SHORT: usize = 4;
/// Words as long as this are no firmware's and no method's.
const LONG: usize = 16;

/// What is to be done, from where to where in a line; the first range that holds a token counts.
type Plan = Vec<(usize, usize, Policy)>;

/// Names that a line tells: users, passwords, hosts.
pub(super) fn tells(from: Conn, line: &[u8], mut take: impl FnMut(&str)) {
    let Ok(parsed) = Line::parse(line) else { return };
    let method = parsed.method.and_then(text).unwrap_or_default();
    for (i, item) in items(parsed.params).into_iter().enumerate() {
        if policy(from, &method, i) == Policy::Name
            && let Some(name) = text(item)
        {
            take(&name);
        }
    }
}

/// The firmware's own name, if the line tells it.
pub(super) fn agent(line: &[u8]) -> Option<String> {
    let parsed = Line::parse(line).ok().filter(|l| l.method.and_then(text).as_deref() == Some("mining.subscribe"))?;
    items(parsed.params).first().copied().and_then(text).map(String::from)
}

fn items(params: Option<&RawValue>) -> Vec<&RawValue> {
    params.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn policy(from: Conn, method: &str, at: usize) -> Policy {
    use Policy::*;
    match (from, method, at) {
        (Conn::Miner(_), "mining.authorize", _) | (Conn::Miner(_), "mining.submit", 0) => Name,
        (Conn::Miner(_), "mining.submit", 1..=5) => Hex,
        (Conn::Miner(_), "mining.subscribe", 0) => Agent,
        (Conn::Miner(_), "mining.subscribe", 1) => Hex,
        (
            Conn::Miner(_),
            "mining.configure"
            | "mining.suggest_difficulty"
            | "mining.suggest_target"
            | "mining.get_transactions"
            | "mining.extranonce.subscribe"
            | "mining.multi_version"
            | "mining.capabilities",
            _,
        ) => Hex,
        (Conn::Upstream(_), "mining.notify", 2) => Coinb1,
        (Conn::Upstream(_), "mining.notify", 3) => Coinb2,
        (Conn::Upstream(_), "mining.notify", 0..=8) => Keep,
        (Conn::Upstream(_), "mining.set_difficulty" | "mining.set_version_mask" | "mining.set_extranonce", _) => Keep,
        (Conn::Upstream(_), "client.reconnect", 1) => Keep,
        (Conn::Upstream(_), "client.show_message", _) => Words,
        _ => Name,
    }
}

/// The line with pseudonyms, of the same length.
pub(super) fn rewrite(names: &mut Names, from: Conn, line: &mut [u8]) {
    let Some(plan) = plan(from, line) else { return blot(line) };
    let original = line.to_vec();
    for (start, end) in strings(&original) {
        let policy =
            plan.iter().find(|(from, to, _)| *from <= start && end <= *to).map_or(Policy::Name, |(_, _, p)| *p);
        if let Some(new) = token(names, &original[start..end], policy) {
            // Same length by construction; what is not stays blotted out rather than told.
            if new.len() == end - start {
                line[start..end].copy_from_slice(new.as_bytes());
            } else {
                blot(&mut line[start + 1..end - 1]);
            }
        }
    }
    for (start, end, policy) in plan {
        // A name that was written as a number.
        let raw = &original[start..end];
        if policy == Policy::Name && raw.len() > 1 && raw.iter().all(u8::is_ascii_digit) {
            let name = String::from_utf8_lossy(raw);
            line[start..end].copy_from_slice(names.name(&name).as_bytes());
        }
    }
}

/// Nothing of it is told but its length and its white space.
pub(super) fn blot(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace()) {
        *byte = b'x';
    }
}

/// Which parts of a line are what; none if the engine takes it for no Stratum.
fn plan(from: Conn, line: &[u8]) -> Option<Plan> {
    let parsed = Line::parse(line).ok()?;
    let range = |raw: &RawValue, policy| {
        // The raw values are slices of the line.
        let start = (raw.get().as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
        (start, start + raw.get().len(), policy)
    };
    let mut plan = Plan::new();
    let method = parsed.method.and_then(text);
    if let (Some(raw), Some(method)) = (parsed.params, &method) {
        for (i, item) in items(Some(raw)).into_iter().enumerate() {
            plan.push(range(item, policy(from, method, i)));
        }
    }
    let answer =
        if matches!(from, Conn::Upstream(_)) { (Policy::Hex, Policy::Words) } else { (Policy::Name, Policy::Name) };
    for (raw, policy) in [
        (parsed.method, Policy::Agent),
        (parsed.id, Policy::Text),
        (parsed.result, answer.0),
        (parsed.error, answer.1),
        (parsed.reject_reason, answer.1),
    ] {
        plan.extend(raw.map(|raw| range(raw, policy)));
    }
    // Keys are not among the values; they stay.
    let keys = strings(line).into_iter().filter(|(_, end)| line[*end..].trim_ascii_start().starts_with(b":"));
    let keys: Plan = keys.map(|(start, end)| (start, end, Policy::Agent)).collect();
    Some([keys, plan].concat())
}

/// Where the strings of a line of JSON are, quotes included.
fn strings(line: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'"', &line[at..]).map(|i| at + i) {
        let mut end = open + 1;
        while end < line.len() && line[end] != b'"' {
            end += if line[end] == b'\\' { 2 } else { 1 };
        }
        at = (end + 1).min(line.len());
        found.push((open, at));
    }
    found
}

/// A string with its quotes, rewritten; none if it stays.
fn token(names: &mut Names, raw: &[u8], policy: Policy) -> Option<String> {
    let raw = core::str::from_utf8(raw).ok()?;
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    let is_hex = !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_hexdigit());
    let new = match policy {
        Policy::Keep => return None,
        Policy::Hex if is_hex => return None,
        Policy::Coinb1 | Policy::Coinb2 => {
            let digits = inner.strip_prefix("0x").unwrap_or(inner);
            let Some(mut half) = hex::bytes(digits, usize::MAX) else {
                // No hex, and still none.
                return Some(["\"", &"x".repeat(inner.len()), "\""].concat());
            };
            names.coinbase_half(&mut half, policy == Policy::Coinb1);
            let mut out = inner.as_bytes()[..inner.len() - digits.len()].to_vec();
            hex::write(&mut out, &half);
            return Some(["\"", &String::from_utf8_lossy(&out), "\""].concat());
        }
        Policy::Hex | Policy::Text => with_escapes(inner, |text| names.text(text, 0)),
        Policy::Words => with_escapes(inner, |text| plain_words(&names.text(text, 0))),
        Policy::Agent => with_escapes(inner, |text| names.text(text, LONG)),
        Policy::Name => with_escapes(inner, |text| names.name(text)),
    };
    Some(["\"", &new, "\""].concat())
}

/// The text with everything blotted out that is no plain word: wallets, addresses, hosts, mail addresses, numbers. The
/// number of characters and their lengths stay.
fn plain_words(text: &str) -> String {
    let plain = |word: &str| {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let letters = |part: &str| part.len() <= LONGEST_WORD && part.bytes().all(|b| b.is_ascii_alphabetic());
        bare.len() <= SHORT && bare.is_ascii() || bare.split(['-', '/', '_', '\'']).all(letters)
    };
    let blotted = |c: char| match c.len_utf8() {
        1 if c.is_ascii_alphanumeric() => 'x',
        1 => c,
        2 => 'ø',
        3 => '□',
        _ => '🞅',
    };
    text.split_inclusive(char::is_whitespace)
        .flat_map(|word| {
            let keep = plain(word.trim_end());
            word.chars().map(move |c| if keep || c.is_whitespace() { c } else { blotted(c) })
        })
        .collect()
}

/// Applies `change`, which keeps the number of characters and their lengths, to what a JSON string means; characters that
/// were written as escapes are so again.
fn with_escapes(inner: &str, change: impl FnOnce(&str) -> String) -> String {
    if !inner.contains('\\') {
        return change(inner);
    }
    let Ok(meant) = serde_json::from_str::<String>(&["\"", inner, "\""].concat()) else { return inner.into() };
    let changed = change(&meant);
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    for (old, new) in meant.chars().zip(changed.chars()) {
        let Some(escape) = rest.strip_prefix('\\') else {
            out.push(new);
            rest = rest.get(old.len_utf8()..).unwrap_or_default();
            continue;
        };
        if !escape.starts_with('u') {
            // \n and the like are no part of any word.
            out.push_str(rest.get(..2).unwrap_or_default());
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        let mut units = [0u16; 2];
        for unit in new.encode_utf16(&mut units) {
            out.push_str(&alloc::format!("\\u{unit:04x}"));
        }
        rest = rest.get(6 * old.len_utf16()..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{MinerId, UpstreamId};
    use alloc::string::ToString as _;

    const MINER: Conn = Conn::Miner(MinerId(1));
    const POOL: Conn = Conn::Upstream(UpstreamId(1));

    fn rewritten(names: &mut Names, from: Conn, line: &str) -> String {
        let mut bytes = line.as_bytes().to_vec();
        rewrite(names, from, &mut bytes);
        assert_eq!(bytes.len(), line.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn users_and_passwords_go_and_the_rest_stays() {
        let mut names = Names::new([3; 32]);
        names.learn("bc1qxyz.rig1");
        let new =
            rewritten(&mut names, MINER, r#"{"id":2,"method":"mining.authorize","params":["bc1qxyz.rig1","pw"]}"#);
        assert!(!new.contains("bc1qxyz") && !new.contains("rig1") && !new.contains("pw"), "{new}");
        assert!(new.starts_with(r#"{"id":2,"method":"mining.authorize","params":[""#));
        for same in [
            r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1","deadbeef"]}"#,
            r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
        ] {
            assert_eq!(rewritten(&mut names, MINER, same), same);
        }
        let same = r#"{"id":1,"result":[[["mining.notify","s1"]],"aabb",4],"error":null}"#;
        assert_eq!(rewritten(&mut names, POOL, same), same);
        let told =
            rewritten(&mut names, POOL, r#"{"id":1,"result":null,"error":[24,"Unauthorized worker bc1qxyz.rig1"]}"#);
        assert!(told.contains("Unauthorized worker ") && !told.contains("rig1"), "{told}");
    }

    #[test]
    fn what_a_pool_says_to_people_tells_nobody_elses_name() {
        let mut names = Names::new([3; 32]);
        let line = r#"{"id":null,"method":"client.show_message","params":["Hello BC1QAR0SRRR7XFKVY5L643 from 203.0.113.77 aka bc1qar0...5mdq, mail joe@secret.example. Größe\n[2001:db8::77]"]}"#;
        let said = rewritten(&mut names, POOL, line);
        for part in ["BC1QAR0", "203.0", "bc1qar0", "5mdq", "joe", "secret", "Gr", "2001", "db8"] {
            assert!(!said.contains(part), "{part}: {said}");
        }
        assert!(said.contains("Hello ") && said.contains(" from ") && said.contains(" mail "), "{said}");
        assert!(serde_json::from_str::<serde_json::Value>(&said).is_ok(), "{said}");
        let refused = r#"{"id":4,"result":null,"error":[23,"Low difficulty share of 0.00412 by 198.51.100.9",null]}"#;
        let told = rewritten(&mut names, POOL, refused);
        assert!(told.contains("[23,\"Low difficulty share of ") && !told.contains("198.51"), "{told}");
        let reason = r#"{"id":4,"result":false,"error":null,"reject-reason":"Above target"}"#;
        assert_eq!(rewritten(&mut names, POOL, reason), reason);
    }

    #[test]
    fn every_spelling_of_a_name_is_found() {
        let mut names = Names::new([3; 32]);
        names.learn("bc1qxyz");
        let plain = names.name("bc1qxyz");
        let line =
            r#"{"id":2,"method":"mining.authorize","params":["\u0062c1qxyz","\ud83d\ude80\n"],"extra":"bc1qxyz"}"#;
        let new = rewritten(&mut names, MINER, line);
        let meant: serde_json::Value = serde_json::from_str(&new).unwrap();
        assert_eq!(meant["params"][0], plain.as_str());
        assert_eq!(meant["extra"], plain.as_str());
        let number = rewritten(&mut names, MINER, r#"{"id":2,"method":"mining.authorize","params":[12345,"x"]}"#);
        assert!(!number.contains("12345") && serde_json::from_str::<serde_json::Value>(&number).is_ok(), "{number}");
    }

    #[test]
    fn no_stratum_is_blotted_out() {
        let mut names = Names::new([3; 32]);
        assert_eq!(rewritten(&mut names, MINER, r#"{"a bc1qxyz"#), "xxx xxxxxxx");
    }

    #[test]
    fn coinbases_go() {
        let mut names = Names::new([3; 32]);
        let line = alloc::format!(
            r#"{{"id":null,"method":"mining.notify","params":["7","{}","01020304","76a914aabbcc88ac",[],"20000000","1d00ffff","65000000",true]}}"#,
            "00".repeat(32)
        );
        let new = rewritten(&mut names, POOL, &line);
        assert!(!new.contains("76a914aabbcc88ac") && new.contains("\"1d00ffff\",\"65000000\",true"), "{new}");
        let mut again = names.name("").to_string();
        again.push_str(&rewritten(&mut names, POOL, &line));
        assert_eq!(again, new);
    }
}
