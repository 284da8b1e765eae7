//! A JSON line as a line for people: `2026-01-31T12:00:00+00:00 INFO  pool_switched worker=garage from_pool=A to_pool=B`.

use dpmp_core::config::tree::{self, Node};

/// The lines of a batch, each of them for people. What is no JSON object stays as it is.
pub(super) fn render(batch: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(batch);
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match tree::read(line) {
            Ok(document) if matches!(document.root, Node::Object(_)) => one(&document.root, &mut out),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out.into_bytes()
}

fn one(object: &Node, out: &mut String) {
    let Node::Object(members) = object else { return };
    let find = |key: &str| members.iter().find(|(k, _)| k == key).map(|(_, node)| bare(node)).unwrap_or_default();
    out.push_str(&format!("{} {:<5} {}", find("ts"), find("level").to_uppercase(), find("event")));
    for (key, node) in members.iter().filter(|(key, _)| !matches!(key.as_str(), "ts" | "event" | "level")) {
        let value = bare(node);
        let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
        out.push_str(&if plain { format!(" {key}={value}") } else { format!(" {key}={}", quoted(&value)) });
    }
}

fn bare(node: &Node) -> String {
    match node {
        Node::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// As JSON: a line stays one line whatever is in it.
fn quoted(text: &str) -> String {
    Node::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_readable_and_stays_one_line() {
        let lines = concat!(
            r#"{"ts":"T","event":"pool_switched","sid":"('192.0.2.5', 51234)","to_pool":"A","n":3,"x":null,"level":"info"}"#,
            "\n",
            r#"{"ts":"T","event":"odd","text":"two\nlines \"q\"","empty":""}"#,
            "\nno JSON\n"
        );
        let expected = concat!(
            "T INFO  pool_switched sid=\"('192.0.2.5', 51234)\" to_pool=A n=3 x=null\n",
            "T       odd text=\"two\\nlines \\\"q\\\"\" empty=\"\"\n",
            "no JSON\n"
        );
        assert_eq!(String::from_utf8(render(lines.as_bytes())).unwrap(), expected);
    }
}
