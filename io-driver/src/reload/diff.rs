//! What differs between two config texts, key by key, fit to be shown: wallets are cut, passwords hidden.

use std::collections::BTreeMap;

use dpmp_core::config::tree::Node;
use serde::Serialize;

use crate::logs::redact;

/// Differences beyond these are not listed.
const MOST: usize = 200;
/// Characters of a value that are shown.
const LONGEST: usize = 160;
/// A wallet that is shorter than this is no wallet and could be guessed from its ends.
const SHORTEST_CUT: usize = 20;

/// One key whose value differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `pools.A.host`.
    pub path: String,
    /// The value before, as JSON; none if the key was not there.
    pub old: Option<String>,
    /// The value after; none if the key is gone.
    pub new: Option<String>,
    /// The values are cut or hidden: a wallet, a password.
    pub masked: bool,
}

/// All that differs, in the order of the new text; what is gone comes last. The order of keys and the spelling of a
/// value do not count.
pub fn differences(old: &Node, new: &Node) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), Some(old), Some(new), &mut found);
    found.truncate(MOST);
    found
}

fn walk(path: &mut Vec<String>, old: Option<&Node>, new: Option<&Node>, found: &mut Vec<Difference>) {
    if old == new || found.len() > MOST {
        return;
    }
    let empty = Vec::new();
    let (before, after) = match (old, new) {
        (Some(Node::Object(old)), Some(Node::Object(new))) => (old, new),
        // A section that comes or goes is shown by its keys.
        (None, Some(Node::Object(new))) if !new.is_empty() => (&empty, new),
        (Some(Node::Object(old)), None) if !old.is_empty() => (old, &empty),
        _ => return found.push(difference(path, old, new)),
    };
    let index: BTreeMap<&str, &Node> = before.iter().map(|(key, node)| (key.as_str(), node)).collect();
    let kept: BTreeMap<&str, &Node> = after.iter().map(|(key, node)| (key.as_str(), node)).collect();
    for (key, node) in after {
        path.push(key.clone());
        walk(path, index.get(key.as_str()).copied(), Some(node), found);
        path.pop();
    }
    for (key, node) in before.iter().filter(|(key, _)| !kept.contains_key(key.as_str())) {
        path.push(key.clone());
        walk(path, Some(node), None, found);
        path.pop();
    }
}

fn difference(path: &[String], old: Option<&Node>, new: Option<&Node>) -> Difference {
    let mask = Mask::of(path);
    let shown = |node: Option<&Node>| node.map(|node| mask.show(node));
    let (old, mut new) = (shown(old), shown(new));
    if mask != Mask::None && old.is_some() && old == new {
        new = new.map(|text| text + " (another)");
    }
    // A worker that is pinned may be called like a wallet.
    let path = redact(&path.join(".")).chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect();
    Difference { path, old, new, masked: mask != Mask::None }
}

/// How much of a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mask {
    None,
    Cut,
    Hide,
}

impl Mask {
    /// By the key, misspelt ones included.
    fn of(path: &[String]) -> Mask {
        let key = path.last().map(|key| key.to_ascii_lowercase()).unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| key.contains(word));
        if has(&["pass", "secret", "token", "pwd"]) {
            Mask::Hide
        } else if has(&["walet", "wallet", "address", "payout"]) {
            Mask::Cut
        } else {
            Mask::None
        }
    }

    fn show(self, node: &Node) -> String {
        let characters = |text: &str| format!("(hidden, {} characters)", text.chars().count());
        match (self, node) {
            (Mask::Hide, _) => "(hidden)".to_owned(),
            (Mask::Cut, Node::String(text) | Node::Number(text)) => {
                let letters: Vec<char> = text.chars().collect();
                if letters.is_empty() {
                    "\"\"".to_owned()
                } else if letters.len() < SHORTEST_CUT {
                    characters(text)
                } else {
                    let (head, tail) = (&letters[..6], &letters[letters.len() - 4..]);
                    format!("\"{}…{}\"", head.iter().collect::<String>(), tail.iter().collect::<String>())
                }
            }
            (Mask::Cut, Node::List(_) | Node::Object(_)) => "(hidden)".to_owned(),
            _ => plain(node),
        }
    }
}

/// A value as JSON, cut where it is long; what looks like a wallet is cut everywhere.
fn plain(node: &Node) -> String {
    let text = node.to_string();
    let text = redact(&text);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::config::tree;

    fn diff(old: &str, new: &str) -> Vec<String> {
        let read = |text| tree::read(text).unwrap().root;
        let show = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let found = differences(&read(old), &read(new)).into_iter();
        found.map(|d| format!("{} {} {}", d.path, show(d.old), show(d.new))).collect()
    }

    #[test]
    fn names_each_key() {
        let old =
            r#"{"listen": {"port": 3351}, "pools": {"A": {"host": "a.example", "port": "3333"}}, "gone": {"x": 1}}"#;
        let new =
            r#"{"pools": {"A": {"port": 3333, "host": "b.example"}, "B": {"host": "c"}}, "listen": {"port": 3351}}"#;
        assert_eq!(
            diff(old, new),
            [
                "pools.A.port \"3333\" 3333",
                "pools.A.host \"a.example\" \"b.example\"",
                "pools.B.host - \"c\"",
                "gone.x 1 -"
            ]
        );
        assert_eq!(diff(old, old), [""; 0]);
        assert_eq!(diff("[1]", "{}"), [" [1] {}"]);
    }

    #[test]
    fn shows_no_wallet_and_no_password() {
        let (one, two) = ("bc1qexampleexampleexampleexample0000", "bc1qexampleexampleexampleother00000");
        for key in ["wallet", "walet", "Wallet"] {
            let text = |wallet: &str| format!(r#"{{"pools": {{"A": {{"{key}": "{wallet}"}}}}}}"#);
            let shown = diff(&text(one), &text(two)).join("");
            assert_eq!(shown, format!("pools.A.{key} \"bc1qex…0000\" \"bc1qex…0000\" (another)"));
            assert!(!diff(&text("short"), &text("")).join("").contains("short"));
        }
        let text = |password: &str| format!(r#"{{"pools": {{"A": {{"password": "{password}"}}}}}}"#);
        assert_eq!(diff(&text("hunter2"), &text("hunter3")), ["pools.A.password (hidden) (hidden) (another)"]);
        let shown = diff("{}", &format!(r#"{{"note": ["{one}"], "wallets": {{"x": ["{one}"]}}}}"#)).join(" ");
        assert!(!shown.contains(one) && shown.contains("bc1qex…0000"), "{shown}");
    }

    #[test]
    fn is_bounded() {
        let many: Vec<String> = (0..5_000).map(|n| format!("\"k{n}\": {n}")).collect();
        assert_eq!(diff("{}", &format!("{{{}}}", many.join(","))).len(), MOST);
    }
}
