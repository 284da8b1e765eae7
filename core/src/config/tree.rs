//! A JSON document as it was written: keys keep their order, numbers keep their text. It is read in one bounded pass,
//! and says where it is broken and what to look for. It does not know what any key means.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Objects and lists may be this deep inside each other.
pub const MAX_DEPTH: u32 = 64;

/// Duplicates beyond these are not told.
const MAX_DUPLICATES: usize = 100;

/// One value of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number's text as written.
    Number(String),
    /// A text without its quotes and escapes.
    String(String),
    /// `[...]`.
    List(Vec<Node>),
    /// `{...}` in the order of the file. Each key is there once.
    Object(Vec<(String, Node)>),
}

/// A document that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its value.
    pub root: Node,
    /// Paths of keys that stand twice in their object. The last value counts.
    pub duplicates: Vec<String>,
}

/// Where a document is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Line, from 1.
    pub line: u32,
    /// Character in the line, from 1.
    pub column: u32,
    /// What is wrong.
    pub what: &'static str,
    /// What to look for.
    pub mend: &'static str,
}

impl Node {
    /// What the value is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "true or false",
            Node::Number(_) => "a number",
            Node::String(_) => "a text",
            Node::List(_) => "a list",
            Node::Object(_) => "an object",
        }
    }
}

/// Compact JSON.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Null => f.write_str("null"),
            Node::Bool(on) => write!(f, "{on}"),
            Node::Number(text) => f.write_str(text),
            Node::String(text) => quoted(f, text),
            Node::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Node::Object(members) => {
                f.write_str("{")?;
                for (i, (key, value)) in members.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    quoted(f, key)?;
                    write!(f, ": {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// Reads a document. A byte order mark before it is skipped.
pub fn read(text: &str) -> Result<Document, Broken> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Broken {
            line: 1,
            column: 1,
            what: "the file is empty",
            mend: "copy config_v2_example.json and fill it in",
        });
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|e| broken(text, &e))?;
    let mut reader = Reader { text, duplicates: Vec::new(), path: Vec::new() };
    let root = reader.node(raw)?;
    Ok(Document { root, duplicates: reader.duplicates })
}

struct Reader<'a> {
    text: &'a str,
    duplicates: Vec<String>,
    path: Vec<String>,
}

impl<'a> Reader<'a> {
    /// The document's syntax is known to be good, save for escapes in texts.
    fn node(&mut self, raw: &'a RawValue) -> Result<Node, Broken> {
        let written = raw.get();
        match written.as_bytes().first() {
            Some(b'{') => self.object(raw),
            Some(b'[') => {
                let items: Vec<&'a RawValue> = self.part(raw)?;
                self.deeper(raw)?;
                let mut list = Vec::with_capacity(items.len());
                for (i, item) in items.into_iter().enumerate() {
                    self.path.push(format!("{i}"));
                    list.push(self.node(item)?);
                    self.path.pop();
                }
                Ok(Node::List(list))
            }
            Some(b'"') => self.part(raw).map(Node::String),
            Some(b't') => Ok(Node::Bool(true)),
            Some(b'f') => Ok(Node::Bool(false)),
            Some(b'n') => Ok(Node::Null),
            _ => Ok(Node::Number(written.to_owned())),
        }
    }

    fn object(&mut self, raw: &'a RawValue) -> Result<Node, Broken> {
        let Members(written) = self.part(raw)?;
        self.deeper(raw)?;
        let mut members: Vec<(String, Node)> = Vec::with_capacity(written.len());
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (key, raw) in written {
            self.path.push(key);
            let node = self.node(raw)?;
            let key = self.path.pop().unwrap_or_default();
            match places.entry(key) {
                Entry::Vacant(free) => {
                    members.push((free.key().clone(), node));
                    free.insert(members.len() - 1);
                }
                Entry::Occupied(taken) => {
                    if self.duplicates.len() < MAX_DUPLICATES {
                        self.path.push(taken.key().clone());
                        self.duplicates.push(self.path.join("."));
                        self.path.pop();
                    }
                    members[*taken.get()].1 = node;
                }
            }
        }
        Ok(Node::Object(members))
    }

    fn deeper(&self, raw: &'a RawValue) -> Result<(), Broken> {
        if self.path.len() < MAX_DEPTH as usize {
            return Ok(());
        }
        let (line, column) = position(self.text, self.start(raw));
        Err(Broken {
            line,
            column,
            what: "objects or lists are too deep inside each other",
            mend: "no setting is deeper than three: delete what is not one",
        })
    }

    fn part<T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, Broken> {
        serde_json::from_str(raw.get()).map_err(|e| {
            let (line, column) = position(self.text, self.start(raw) + offset(raw.get(), e.line(), e.column()));
            Broken {
                line,
                column,
                what: "a text holds half of a character",
                mend: "write the character itself instead of \\ud... escapes",
            }
        })
    }

    /// Where this value starts in the document.
    fn start(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }
}

/// An object's members as written, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The byte that serde_json's line and column (in bytes) point at.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (start + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Line and character, both from 1.
fn position(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// What is likely wrong, told from the characters around it.
fn broken(text: &str, error: &serde_json::Error) -> Broken {
    let mut at = offset(text, error.line(), error.column());
    let ended = error.is_eof();
    // Of this one error, serde_json tells the place before it.
    if error.to_string().starts_with("control character") {
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    let rest = &text[at..];
    let before = text[..at].trim_end();
    let after_value = before.ends_with(['"', '}', ']']) || before.ends_with(|c: char| c.is_ascii_alphanumeric());
    let (what, mend) = match rest.chars().next() {
        _ if ended => ("the file ends too early", "look for a missing closing bracket } or ] or a missing quote"),
        Some('\'' | '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}') => {
            ("a quote of the wrong kind", "write plain double quotes: \"")
        }
        Some('}' | ']') if before.ends_with(',') => {
            ("a comma before the closing bracket", "delete the comma after the last entry")
        }
        Some(',') if before.ends_with(',') => ("two commas", "delete one of them"),
        Some('/' | '#') => ("a comment", "JSON has no comments: delete it"),
        Some('T' | 'F' | 'N') => ("a word in capitals", "write true, false and null in small letters"),
        Some('\n' | '\r' | '\t') => ("a text that does not end on its line", "look for a missing closing quote"),
        Some('=') => ("an equals sign", "write a colon between a name and its value"),
        Some('"' | '{' | '[') if after_value => {
            ("an entry that follows another without a comma", "write a comma after the entry before this")
        }
        Some(_) if before.ends_with('}') && closed(before) => {
            ("text after the end", "delete what follows the last closing bracket")
        }
        _ => ("not valid JSON", "look for a missing quote, comma, colon or bracket here or just before"),
    };
    let (line, column) = position(text, at);
    Broken { line, column, what, mend }
}

/// True if a whole document ends here.
fn closed(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        write!(f, ": {}; {}", self.what, self.mend)
    }
}

impl Broken {
    /// `line 3, column 7`.
    pub fn place(&self) -> String {
        ["line ", &self.line.to_string(), ", column ", &self.column.to_string()].concat()
    }
}
