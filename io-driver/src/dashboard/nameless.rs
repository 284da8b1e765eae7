//! Log lines without names: workers become pseudonyms, the same within one download, and addresses lose their hosts. The
//! pseudonyms are those of recordings that are given away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dpmp_core::config::Config;
use dpmp_core::trace::Names;

use crate::logs::redact;

/// What is the program's own word, or a pool's key: no name is looked for in it.
const PLAIN: [&str; 13] = [
    "ts",
    "event",
    "level",
    "pool",
    "key",
    "to_pool",
    "from_pool",
    "dead_pool",
    "switching_to",
    "hash",
    "header",
    "job",
    "jobid",
];

/// The names that are known, and what stands for them.
pub(super) struct Nameless(Names);

impl Nameless {
    pub(super) fn new(key: [u8; 32]) -> Nameless {
        Nameless(Names::new(key))
    }

    /// What a config tells: accounts, passwords, hosts, pinned workers.
    pub(super) fn learn_config(&mut self, config: &Config) {
        for pool in &config.pools {
            self.name(&pool.wallet);
            self.host(&pool.address.host);
            self.name(pool.password.as_deref().unwrap_or_default());
        }
        config.scheduler.pins.keys().for_each(|worker| self.name(worker));
    }

    /// A worker's name, or a part of one.
    pub(super) fn name(&mut self, name: &str) {
        self.0.learn(name);
    }

    /// An address is no name: it would be looked for number by number.
    fn host(&mut self, host: &str) {
        if host.parse::<IpAddr>().is_err() && host != "localhost" {
            self.name(host);
        }
    }

    /// Learns the names that a line tells.
    pub(super) fn learn(&mut self, line: &str) {
        let mut path = String::new();
        each(line, &mut |key, value| {
            match key {
                "worker" | "name" => self.name(value),
                "host" => self.host(value),
                "path" => {
                    if let Some(worker) = value.strip_prefix("scheduler.pins.") {
                        self.name(worker);
                    }
                    value.clone_into(&mut path);
                }
                "old" | "new" if path.ends_with(".host") => self.host(value.trim_matches('"')),
                _ => {}
            }
            None
        });
    }

    /// The line without names.
    pub(super) fn line(&mut self, line: &str) -> String {
        each(line, &mut |key, value| Some(self.value(key, value))).unwrap_or_else(|| self.text(line))
    }

    fn value(&mut self, key: &str, value: &str) -> String {
        match key {
            _ if PLAIN.contains(&key) => value.to_owned(),
            "worker" | "name" => self.0.name(value),
            "host" if value.parse::<IpAddr>().is_err() && value != "localhost" => self.0.name(value),
            "url" => match value.split_once("://") {
                Some((scheme, rest)) => format!("{scheme}://{}", self.0.name(rest)),
                None => self.0.name(value),
            },
            _ => self.text(value),
        }
    }

    fn text(&mut self, text: &str) -> String {
        self.0.text(&redact(&addresses(text)), 0)
    }
}

/// What takes a member's key and value, and may give another value.
type Change<'a> = &'a mut dyn FnMut(&str, &str) -> Option<String>;

/// The line with each text in it changed; none if it is neither of a log's two forms.
fn each(line: &str, change: Change<'_>) -> Option<String> {
    if line.starts_with('{') { json(line, change) } else { text(line, change) }
}

/// All else stays as it is written. Members of lists go by their list's key.
fn json(line: &str, change: Change<'_>) -> Option<String> {
    let (mut out, mut rest, mut key) = (String::with_capacity(line.len()), line, String::new());
    while let Some(at) = rest.find('"') {
        let (before, from) = rest.split_at(at);
        let (raw, after) = string(from)?;
        let word: String = serde_json::from_str(raw).ok()?;
        out.push_str(before);
        if after.trim_start().starts_with(':') {
            key = word;
            out.push_str(raw);
        } else {
            put(&mut out, raw, change(&key, &word).filter(|new| *new != word), true);
        }
        rest = after;
    }
    Some(out + rest)
}

/// `2026-01-31T12:00:00+00:00 INFO  event key=value key="a value"`.
fn text(line: &str, change: Change<'_>) -> Option<String> {
    let head = line.find('=')?;
    let mut at = line[..head].rfind(' ')? + 1;
    // Time, level and event, or only two of them; else it is no line of ours.
    if !(2..=3).contains(&line[..at].split_whitespace().count()) {
        return None;
    }
    let mut out = line[..at].to_owned();
    while at < line.len() {
        let (key, value) = line[at..].split_once('=').filter(|(key, _)| !key.contains(' '))?;
        let quoted = value.starts_with('"');
        let (raw, after) = if quoted { string(value)? } else { value.split_at(value.find(' ').unwrap_or(value.len())) };
        let word = if quoted { serde_json::from_str(raw).ok()? } else { raw.to_owned() };
        out.push_str(key);
        out.push('=');
        put(&mut out, raw, change(key, &word).filter(|new| *new != word), quoted);
        if !after.is_empty() {
            out.push(' ');
        }
        at = line.len() - after.strip_prefix(' ').unwrap_or(after).len();
    }
    Some(out)
}

fn put(out: &mut String, raw: &str, new: Option<String>, quoted: bool) {
    match new {
        None => out.push_str(raw),
        Some(new) if quoted => out.push_str(&serde_json::Value::String(new).to_string()),
        Some(new) => out.push_str(&new),
    }
}

/// The string in quotes at the begin, and what is after it.
fn string(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    Some(text.split_at(end?.0 + 1))
}

/// A text with the hosts of addresses left out: `192.0.x.x`, `2001:db8:x`.
fn addresses(text: &str) -> String {
    // Those with colons first, as an IPv4 address may be their end.
    let text = runs(text, |c| c.is_ascii_hexdigit() || c == ':' || c == '.', six);
    runs(&text, |c| c.is_ascii_digit() || c == '.', |run, _| four(run))
}

/// The text with each run of such characters changed. The second value: it stands apart, and is no part of a word.
fn runs(text: &str, is_part: impl Fn(char) -> bool, change: impl Fn(&str, bool) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&is_part) {
        let (before, after) = rest.split_at(at);
        let (run, next) = after.split_at(after.find(|c| !is_part(c)).unwrap_or(after.len()));
        out.push_str(before);
        let in_word = |c: char| c.is_alphanumeric() || c == '_';
        let apart = !out.ends_with(in_word) && !next.starts_with(in_word);
        match change(run, apart) {
            Some(new) => out.push_str(&new),
            None => out.push_str(run),
        }
        rest = next;
    }
    out + rest
}

fn four(run: &str) -> Option<String> {
    let bare = run.trim_matches('.');
    let [a, b, ..] = bare.parse::<Ipv4Addr>().ok()?.octets();
    Some(run.replace(bare, &format!("{a}.{b}.x.x")))
}

fn six(run: &str, apart: bool) -> Option<String> {
    let parsed = |text: &str| text.parse::<Ipv6Addr>().ok();
    // A colon or a full stop after it may be the sentence's.
    let cut = run.strip_suffix([':', '.']).unwrap_or(run);
    let bare = [run, cut].into_iter().find(|text| apart && parsed(text).is_some())?;
    let address = parsed(bare)?;
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let shown = match (address.to_ipv4_mapped(), address.segments()) {
        (Some(four), _) => format!("::ffff:{}", self::four(&four.to_string())?),
        (None, [a, b, ..]) => format!("{a:x}:{b:x}:x"),
    };
    Some(shown + &run[bare.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_hosts() {
        for (text, shown) in [
            ("('192.0.2.5', 51234) 1.5 x 10.0.0.1", "('192.0.x.x', 51234) 1.5 x 10.0.x.x"),
            ("é 1.2.3 .", "é 1.2.3 ."),
            ("192.0.2.5:3333, at 192.0.2.5.", "192.0.x.x:3333, at 192.0.x.x."),
            ("('2001:db8::5', 51234)", "('2001:db8:x', 51234)"),
            ("[2001:db8:1:2:3:4:5:6]:3333: refused", "[2001:db8:x]:3333: refused"),
            ("fe80::1%eth0 2001:db8::7: no route", "fe80:0:x%eth0 2001:db8:x: no route"),
            ("::ffff:192.0.2.5 ::ffff:c000:205", "::ffff:192.0.x.x ::ffff:192.0.x.x"),
            ("::1 dpmp::event 12:00:00+00:00 a::b::c e::", "::1 dpmp::event 12:00:00+00:00 a::b::c e:0:x"),
        ] {
            assert_eq!(addresses(text), shown);
        }
    }

    #[test]
    fn workers_are_pseudonyms_in_both_forms() {
        let lines = [
            r#"{"ts":"T","event":"auth_result","sid":"('2001:db8::5', 51234)","worker":"acc.garage-s19","n":1.50,"error":[24,"no worker GARAGE here"],"level":"warn"}"#,
            r#"T WARN  auth_result sid="('192.0.2.5', 51234)" worker=acc.garage-s19 n=1.50 error="no worker GARAGE \"here\"" host=2001:db8::9"#,
            r#"{"ts":"T","event":"pool_connecting","pool":"garage","host":"pool.garage.example","level":"info"}"#,
            "garage at 192.0.2.5 = broken",
            r#"{"event":"cut in the mi garage"#,
        ];
        let mut nameless = Nameless::new([7; 32]);
        lines.iter().for_each(|line| nameless.learn(line));
        let shown: Vec<String> = lines.iter().map(|line| nameless.line(line)).collect();
        let name = nameless.0.name("acc.garage-s19");
        let word = nameless.0.name("garage");
        assert!(name.contains(&word) && word != "garage");
        assert_eq!(
            shown[0],
            format!(
                r#"{{"ts":"T","event":"auth_result","sid":"('2001:db8:x', 51234)","worker":"{name}","n":1.50,"error":[24,"no worker {} here"],"level":"warn"}}"#,
                word.to_uppercase()
            )
        );
        assert_eq!(
            shown[1],
            format!(
                r#"T WARN  auth_result sid="('192.0.x.x', 51234)" worker={name} n=1.50 error="no worker {} \"here\"" host=2001:db8:x"#,
                word.to_uppercase()
            )
        );
        assert!(shown[2].contains(r#""pool":"garage""#) && !shown[2].contains("garage.example"), "{}", shown[2]);
        assert_eq!(shown[3], format!("{word} at 192.0.x.x = broken"));
        assert_eq!(shown[4], format!(r#"{{"event":"cut in the mi {word}"#));
    }

    #[test]
    fn what_a_config_tells_is_found_in_words() {
        let mut nameless = Nameless::new([7; 32]);
        let pool =
            dpmp_core::config::PoolConfig { wallet: "myaccount".to_owned(), ..dpmp_core::config::PoolConfig::new("A") };
        nameless.learn_config(&Config::with_pools(vec![pool], vec![1_000_000]));
        let shown = nameless.line(r#"{"event":"pool_message","text":"hello myaccount at 127.0.0.1"}"#);
        assert!(!shown.contains("myaccount") && shown.contains("hello ") && shown.contains("127.0.x.x"), "{shown}");
    }
}
