//! Typed access to the tree. Each field knows its path, so that every complaint can name it; a wrong type is reported
//! where it is met, and the reader goes on.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::number::Decimal;
use super::problem::{Problem, Report, Severity, event};
use super::tree::Node;

/// An object of the file; an absent one is empty.
pub(super) struct Section<'a> {
    path: String,
    members: &'a [(String, Node)],
}

/// A value that is present and not null.
pub(super) struct Field<'a> {
    pub(super) path: String,
    pub(super) node: &'a Node,
    secret: bool,
}

impl<'a> Section<'a> {
    pub(super) fn root(members: &'a [(String, Node)]) -> Section<'a> {
        Section { path: String::new(), members }
    }

    pub(super) fn empty(path: &str) -> Section<'a> {
        Section { path: path.to_string(), members: &[] }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_string() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        self.members.iter().map(|(key, node)| (key.as_str(), self.named(key, node)))
    }

    /// The field, if it is present and not null.
    pub(super) fn field(&self, key: &str) -> Option<Field<'a>> {
        let (_, node) = self.members.iter().find(|(k, node)| k == key && *node != Node::Null)?;
        Some(self.named(key, node))
    }

    /// True if the key is written, if only as null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.members.iter().any(|(k, _)| k == key)
    }

    fn named(&self, key: &str, node: &'a Node) -> Field<'a> {
        // A text in the place of a pool is likely its wallet.
        let secret = matches!(key, "wallet" | "password" | "pools") || self.path == "pools";
        Field { path: self.path_of(key), node, secret }
    }

    /// The object under this key; empty if it is absent, and if it is something else, which is reported.
    pub(super) fn section(&self, key: &str, out: &mut Report) -> Section<'a> {
        match self.field(key) {
            None => Section::empty(&self.path_of(key)),
            Some(field) => field.section(out),
        }
    }

    pub(super) fn text(&self, key: &str, out: &mut Report) -> Option<String> {
        self.field(key)?.text(out)
    }

    pub(super) fn flag(&self, key: &str, default: bool, out: &mut Report) -> bool {
        self.field(key).and_then(|f| f.flag(out)).unwrap_or(default)
    }

    /// A whole number that is clamped to the bounds with a warning; `default` if it is absent.
    pub(super) fn clamped(&self, key: &str, default: u32, bounds: (u32, u32), out: &mut Report) -> u32 {
        let Some(field) = self.field(key) else { return default };
        field.clamped(bounds, event::CORRECTED, out).unwrap_or(default)
    }

    /// A list of names; empty if absent.
    pub(super) fn words(&self, key: &str, out: &mut Report) -> Vec<String> {
        self.field(key).and_then(|f| f.words(out)).unwrap_or_default()
    }

    /// One of these words in any case; the default, with a warning, for another.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)], default: T, out: &mut Report) -> T {
        let Some(field) = self.field(key) else { return default };
        let word = match field.node {
            Node::String(text) => text.trim(),
            _ => "",
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            return *choice;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let first = names.first().copied().unwrap_or_default();
        field.warn("unknown", format!("write {}; taken as \"{first}\"", names.join(" or ")), event::CORRECTED, out);
        default
    }
}

impl<'a> Field<'a> {
    pub(super) fn section(&self, out: &mut Report) -> Section<'a> {
        match self.node {
            Node::Object(members) => Section { path: self.path.clone(), members },
            _ => {
                self.wrong("an object", "{ ... }", out);
                Section::empty(&self.path)
            }
        }
    }

    /// A text; a number counts as its text.
    pub(super) fn text(&self, out: &mut Report) -> Option<String> {
        match self.node {
            Node::String(text) | Node::Number(text) => Some(text.clone()),
            _ => {
                self.wrong("a text", "a text in double quotes", out);
                None
            }
        }
    }

    /// A number, or a text that is one.
    pub(super) fn decimal(&self, out: &mut Report) -> Option<Decimal> {
        let read = match self.node {
            Node::Number(text) | Node::String(text) => Decimal::parse(text),
            _ => None,
        };
        if read.is_none() {
            self.wrong("a number", "a number", out);
        }
        read
    }

    /// A whole number; a fraction is cut off with a warning.
    pub(super) fn whole(&self, out: &mut Report) -> Option<i64> {
        let number = self.decimal(out)?;
        if !number.is_whole() {
            self.warn("not a whole number", format!("taken as {}", number.whole()), event::CORRECTED, out);
        }
        Some(number.whole())
    }

    /// A whole number; one out of bounds becomes the bound with a warning.
    pub(super) fn clamped(&self, bounds: (u32, u32), event: &'static str, out: &mut Report) -> Option<u32> {
        let (least, most) = bounds;
        let number = self.whole(out)?;
        if number < i64::from(least) {
            self.warn("too small", format!("at least {least}: taken as {least}"), event, out);
        } else if number > i64::from(most) {
            self.warn("too large", format!("at most {most}: taken as {most}"), event, out);
        }
        let clamped = number.clamp(i64::from(least), i64::from(most));
        Some(u32::try_from(clamped).unwrap_or(least))
    }

    /// True or false; words and 0 or 1 that mean it are taken, words with a warning.
    pub(super) fn flag(&self, out: &mut Report) -> Option<bool> {
        let word = match self.node {
            Node::Bool(on) => return Some(*on),
            Node::Number(text) | Node::String(text) => text.trim(),
            _ => "",
        };
        let is = |words: &[&str]| words.iter().any(|w| w.eq_ignore_ascii_case(word));
        let on = if is(&["true", "yes", "on", "1"]) {
            true
        } else if is(&["false", "no", "off", "0"]) {
            false
        } else {
            self.wrong("true or false", "true or false without quotes", out);
            return None;
        };
        if matches!(self.node, Node::String(_)) {
            self.warn("a text", format!("taken as {on}; write {on} without quotes"), event::CORRECTED, out);
        }
        Some(on)
    }

    /// A list of names, or one text with commas between them. Names twice and empty ones are left out.
    pub(super) fn words(&self, out: &mut Report) -> Option<Vec<String>> {
        let mut words: Vec<String> = Vec::new();
        let mut seen: alloc::collections::BTreeSet<String> = alloc::collections::BTreeSet::new();
        let mut add = |word: &str| {
            let word = word.trim();
            if !word.is_empty() && seen.insert(word.to_string()) {
                words.push(word.to_string());
            }
        };
        match self.node {
            Node::String(text) => text.split(',').for_each(&mut add),
            Node::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    match item {
                        Node::String(text) | Node::Number(text) => add(text),
                        _ => {
                            let item = Field { path: format!("{}.{i}", self.path), node: item, secret: self.secret };
                            item.warn("not a name", "left out".to_string(), event::IGNORED, out);
                        }
                    }
                }
            }
            _ => {
                self.wrong("a list", "a list of texts: [\"one\", \"two\"]", out);
                return None;
            }
        }
        Some(words)
    }

    fn wrong(&self, wanted: &str, write: &str, out: &mut Report) {
        let what = format!("{} where {wanted} must stand", self.node.kind());
        self.error(&what, format!("write {write}"), event::INVALID, out);
    }

    pub(super) fn error(&self, what: &str, mend: String, event: &'static str, out: &mut Report) {
        self.say(Severity::Error, what, mend, event, out);
    }

    pub(super) fn warn(&self, what: &str, mend: String, event: &'static str, out: &mut Report) {
        self.say(Severity::Warning, what, mend, event, out);
    }

    pub(super) fn say(&self, severity: Severity, what: &str, mend: String, event: &'static str, out: &mut Report) {
        let value = if self.secret { hidden(self.node) } else { shown(self.node) };
        self.say_as(value, severity, what, mend, event, out);
    }

    /// As [`Field::say`], with another rendering of the value.
    pub(super) fn say_as(
        &self,
        value: String,
        severity: Severity,
        what: &str,
        mend: String,
        event: &'static str,
        out: &mut Report,
    ) {
        out.push(Problem { severity, path: self.path.clone(), value, what: what.to_string(), mend, event });
    }
}

/// The value as written, cut where it is long.
pub(super) fn shown(node: &Node) -> String {
    const MOST: usize = 80;
    if let Node::List(_) | Node::Object(_) = node {
        // It may hold wallets at any depth.
        return if matches!(node, Node::List(_)) { "[...]" } else { "{...}" }.to_string();
    }
    let text = node.to_string();
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn hidden(node: &Node) -> String {
    match node {
        Node::String(text) | Node::Number(text) => format!("(hidden, {} characters)", text.chars().count()),
        _ => shown(node),
    }
}
