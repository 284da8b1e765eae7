//! `dpmp merge-config TEMPLATE FILE`: the keys of a newer example, added to an operator's file. No value changes, and none
//! that the file leaves to its default: port 3350 stays 3350 though the example says 3351.

mod in_force;
mod insert;

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use dpmp_core::config::tree::{self, Node};
use dpmp_core::config::{Config, parse};

use crate::clock::{compact_utc, unix_micros};
use crate::reload::write_whole;
use crate::run::{BAD_USAGE, say};
use in_force::in_force;
use insert::insert;

/// One key of the template that the file did not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Added, with this value.
    Added(String, String),
    /// Left out: any value that could be written would change what the file means.
    LeftOut(String),
}

/// A merged text, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The text, with everything that was in it as it was.
    pub text: String,
    /// In the template's order.
    pub keys: Vec<Key>,
}

/// Merges two texts. The error says in words which of them cannot be read.
pub fn merge(template: &str, file: &str) -> Result<Merged, String> {
    let template = tree::read(template).map_err(|broken| format!("the template cannot be read: {broken}"))?;
    let read = tree::read(file).map_err(|broken| format!("the file cannot be read: {broken}"))?;
    if !matches!((&template.root, &read.root), (Node::Object(_), Node::Object(_))) {
        return Err("both files must be objects, { ... }".to_owned());
    }
    let meaning = meaning(file);
    let mut merged = Merged { text: file.to_owned(), keys: Vec::new() };
    add_missing(&template.root, &read.root, &mut Vec::new(), meaning.as_ref(), &mut merged);
    Ok(merged)
}

/// What a text means; none if it cannot be used, so that nothing can depend on it.
fn meaning(text: &str) -> Option<Config> {
    parse(text).ok().map(|parsed| parsed.config)
}

fn add_missing<'a>(
    template: &'a Node,
    file: &Node,
    path: &mut Vec<&'a str>,
    before: Option<&Config>,
    merged: &mut Merged,
) {
    let (Node::Object(wanted), Node::Object(present)) = (template, file) else { return };
    for (key, value) in wanted {
        path.push(key);
        let found = present.iter().find(|(k, _)| k == key).map(|(_, node)| node);
        match (found, value) {
            (Some(found), _) => add_missing(value, found, path, before, merged),
            (None, Node::Object(members)) if !members.is_empty() => {
                add_missing(value, &Node::Object(Vec::new()), path, before, merged);
            }
            (None, _) => add(path, value, before, merged),
        }
        path.pop();
    }
}

/// Adds a key with the template's value, or else with the value in force, if the text then means what it meant.
fn add(path: &[&str], value: &Node, before: Option<&Config>, merged: &mut Merged) {
    let name = path.join(".");
    let held = before.and_then(|config| in_force(config, path));
    for value in [Some(value), held.as_ref()].into_iter().flatten() {
        let Some(text) = insert(&merged.text, path, value) else { break };
        if before.is_none() || meaning(&text).as_ref() == before {
            merged.text = text;
            merged.keys.push(Key::Added(name, value.to_string()));
            return;
        }
    }
    merged.keys.push(Key::LeftOut(name));
}

/// The command. 0: merged, nothing to add, or no file yet; 2: one of them cannot be read.
pub fn command(template: &Path, file: &Path) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let example = read(template)?;
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            say(&format!("{}: not there, so there is nothing to merge", file.display()));
            return Ok(ExitCode::SUCCESS);
        }
        text => text.with_context(|| format!("cannot read {}", file.display()))?,
    };
    let merged = match merge(&example, &text) {
        Ok(merged) => merged,
        Err(words) => {
            eprintln!("{}: {words}; nothing was changed", file.display());
            return Ok(ExitCode::from(BAD_USAGE));
        }
    };
    for key in &merged.keys {
        say(&match key {
            Key::Added(name, value) => format!("added {name}: {value}"),
            Key::LeftOut(name) => format!("left out {name}: it would change what the file means"),
        });
    }
    if merged.text == text {
        say(&format!("{}: nothing to add", file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let backup = back_up(file, text.as_bytes()).context("cannot write the backup; nothing was changed")?;
    write_whole(file, merged.text.as_bytes())
        .with_context(|| format!("cannot write {}; it is as it was", file.display()))?;
    say(&format!("{}: merged; as it was: {}", file.display(), backup.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes `config_v2.json.backup.20260131T120000Z`, for its owner alone. A name that is taken gets a number.
fn back_up(file: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".backup.{}", compact_utc(unix_micros() / 1_000_000)));
    for n in 1..100 {
        let mut name = name.clone();
        if n > 1 {
            name.push(format!("-{n}"));
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(mut backup) => {
                backup.write_all(bytes)?;
                backup.sync_all()?;
                return Ok(PathBuf::from(name));
            }
        }
    }
    Err(io::Error::other("a hundred backups of this second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../config_v2_example.json");

    fn example_filled() -> String {
        EXAMPLE
            .replace("POOL_A_HOST", "a.example")
            .replace("POOL_B_HOST", "b.example")
            .replace("POOL_A_WALLET", "walletA")
            .replace("POOL_B_WALLET", "walletB")
    }

    #[test]
    fn a_complete_file_stays() {
        for text in [EXAMPLE.to_owned(), example_filled()] {
            let merged = merge(EXAMPLE, &text).unwrap();
            assert_eq!((merged.text, merged.keys), (text, vec![]));
        }
    }

    #[test]
    fn a_merged_file_means_what_it_meant() {
        let pools = r#""pools": {"A": {"host": "a.example", "wallet": "w"}, "B": {"host": "b.example", "note": [1]}}"#;
        for text in [
            format!("{{{pools}}}"),
            format!("{{\n    {pools},\n    \"listen_port\": 3399,\n    \"metrics_enabled\": false\n}}\n"),
            format!(r#"{{{pools}, "scheduler": {{"weights": {{"A": 1, "B": 9}}}}, "mine": null}}"#),
            format!(r#"{{{pools}, "logging": {{"deny": "one,two"}}, "metrics": null}}"#),
            format!(r#"{{{pools}, "dashboard": "none", "scheduler": {{"mode": "fleet"}}}}"#).replace("\"none\"", "{}"),
            r#"{"pools": {"A": {"host": "only.example"}}}"#.to_owned(),
        ] {
            let before = meaning(&text).unwrap_or_else(|| panic!("{text}"));
            let merged = merge(EXAMPLE, &text).unwrap();
            assert_eq!(meaning(&merged.text).as_ref(), Some(&before), "{text}\n{}", merged.text);
            assert!(!merged.keys.is_empty() && merged.text != text);
            let again = merge(EXAMPLE, &merged.text).unwrap();
            assert_eq!(again.text, merged.text, "twice is once");
            // Nothing that was written is gone: taking the additions out again gives the old text's keys and values.
            let (old, new) = (tree::read(&text).unwrap().root, tree::read(&merged.text).unwrap().root);
            assert!(contains(&new, &old), "{}", merged.text);
        }
    }

    fn contains(new: &Node, old: &Node) -> bool {
        match (new, old) {
            (Node::Object(new), Node::Object(old)) => {
                old.iter().all(|(k, v)| new.iter().any(|(key, value)| key == k && contains(value, v)))
            }
            _ => new == old,
        }
    }

    #[test]
    fn the_old_port_stays_the_port() {
        let merged = merge(EXAMPLE, r#"{"pools": {"A": {"host": "a"}, "B": {"host": "b"}}}"#).unwrap();
        assert!(merged.keys.contains(&Key::Added("listen.port".to_owned(), "3350".to_owned())), "{:?}", merged.keys);
        assert!(merged.text.contains(r#""listen": {"host": "0.0.0.0", "port": 3350}"#), "{}", merged.text);
    }

    #[test]
    fn says_what_cannot_be_read() {
        assert!(merge(EXAMPLE, "{\"a\": ").unwrap_err().contains("line 1"));
        assert!(merge("[", "{}").unwrap_err().contains("template"));
        assert!(merge("{}", "[]").unwrap_err().contains("objects"));
    }
}
