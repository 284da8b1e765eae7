//! A key put into a JSON text as its writer would: at the end of its object, in that object's style. Nothing else of the
//! text is touched.

use std::collections::BTreeMap;

use dpmp_core::config::tree::Node;
use serde_json::value::RawValue;

/// The text with `path` set to `value`; objects on the way that are missing are made. None if the key is there already, if
/// something on the way is no object, or if the text is no JSON.
pub(super) fn insert(text: &str, path: &[&str], value: &Node) -> Option<String> {
    let style = Style::of(text);
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut object: &RawValue = serde_json::from_str(body).ok()?;
    let mut depth = 0;
    loop {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(object.get()).ok()?;
        let (key, rest) = path[depth..].split_first()?;
        match members.get(*key) {
            Some(inner) if !rest.is_empty() => object = inner,
            Some(_) => return None,
            None => {
                let value =
                    rest.iter().rev().fold(value.clone(), |value, key| Node::Object(vec![((*key).to_owned(), value)]));
                return Some(append(text, object.get(), key, &value, depth + 1, &style));
            }
        }
        depth += 1;
    }
}

/// How a text is laid out.
struct Style {
    newline: &'static str,
    /// One step of indentation; none if it is all on one line.
    step: Option<String>,
}

impl Style {
    fn of(text: &str) -> Style {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let first = text.find('{').map_or("", |at| &text[at + 1..]);
        Style { newline, step: indent(first) }
    }
}

/// The white space before a member that stands on a line of its own.
fn indent(inside: &str) -> Option<String> {
    let blank = &inside[..inside.len() - inside.trim_start().len()];
    blank.rsplit_once('\n').map(|(_, indent)| indent.to_owned())
}

/// Appends a member to `object`, a part of `text`.
fn append(text: &str, object: &str, key: &str, value: &Node, depth: usize, style: &Style) -> String {
    let start = object.as_ptr() as usize - text.as_ptr() as usize;
    let close = start + object.len() - 1;
    let inside = &text[start + 1..close];
    let empty = inside.trim().is_empty();
    // After the last member, before the white space that precedes the bracket.
    let at = start + 1 + inside.trim_end().len();
    let comma = if empty { "" } else { "," };
    let member = |indent: &str, lines: bool| {
        let step = style.step.as_deref().filter(|_| lines);
        let name = Node::String(key.to_owned());
        format!("{name}: {}", pretty(value, indent, step, style.newline))
    };
    let (added, rest) = match (&style.step, indent(inside)) {
        (Some(step), None) if empty => {
            let (outer, inner) = (step.repeat(depth - 1), step.repeat(depth));
            let newline = style.newline;
            (format!("{newline}{inner}{}{newline}{outer}", member(&inner, true)), &text[close..])
        }
        (Some(_), Some(indent)) => (format!("{comma}{}{indent}{}", style.newline, member(&indent, true)), &text[at..]),
        // An object on one line, or a text on one line.
        _ => (format!("{comma}{}{}", if empty { "" } else { " " }, member("", false)), &text[at..]),
    };
    format!("{}{added}{rest}", &text[..at])
}

/// A value in lines, if `step` says so.
fn pretty(value: &Node, indent: &str, step: Option<&str>, newline: &str) -> String {
    let Some(step) = step else { return value.to_string() };
    let inner = format!("{indent}{step}");
    let lines: Vec<String> = match value {
        Node::Object(members) if !members.is_empty() => members
            .iter()
            .map(|(key, value)| {
                format!("{inner}{}: {}", Node::String(key.clone()), pretty(value, &inner, Some(step), newline))
            })
            .collect(),
        Node::List(items) if !items.is_empty() => {
            items.iter().map(|item| format!("{inner}{}", pretty(item, &inner, Some(step), newline))).collect()
        }
        _ => return value.to_string(),
    };
    let (open, close) = if matches!(value, Node::Object(_)) { ('{', '}') } else { ('[', ']') };
    format!("{open}{newline}{}{newline}{indent}{close}", lines.join(&format!(",{newline}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::config::tree;

    fn put(text: &str, path: &str, value: &str) -> Option<String> {
        let path: Vec<&str> = path.split('/').collect();
        let after = insert(text, &path, &tree::read(value).unwrap().root)?;
        tree::read(&after).unwrap();
        Some(after)
    }

    #[test]
    fn follows_the_style_of_the_text() {
        let text = "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": 2\n  },\n  \"d\": {}\n}\n";
        assert_eq!(put(text, "b/e", "3").unwrap(), text.replace("\"c\": 2", "\"c\": 2,\n    \"e\": 3"));
        assert_eq!(put(text, "d/e", "3").unwrap(), text.replace("{}", "{\n    \"e\": 3\n  }"));
        assert_eq!(
            put(text, "f/g", "[1, 2]").unwrap(),
            text.replace("{}\n}", "{},\n  \"f\": {\n    \"g\": [\n      1,\n      2\n    ]\n  }\n}")
        );
        assert_eq!(put("{\"a\":1}", "b/c", "[1]").unwrap(), "{\"a\":1, \"b\": {\"c\": [1]}}");
        assert_eq!(put("{}", "a", "1").unwrap(), "{\"a\": 1}");
        assert_eq!(put("{\n  \"a\": {\"b\": 1}\n}", "a/c", "2").unwrap(), "{\n  \"a\": {\"b\": 1, \"c\": 2}\n}");
        let windows = text.replace('\n', "\r\n");
        assert_eq!(put(&windows, "b/e", "3").unwrap(), windows.replace("\"c\": 2", "\"c\": 2,\r\n    \"e\": 3"));
        let marked = format!("\u{feff}{text}");
        assert!(put(&marked, "x", "\"é\"").unwrap().ends_with("{},\n  \"x\": \"é\"\n}\n"));
    }

    #[test]
    fn touches_nothing_that_is_there() {
        for (text, path) in
            [("{\"a\": 1}", "a"), ("{\"a\": 1}", "a/b"), ("[]", "a"), ("{", "a"), ("{\"a\": null}", "a")]
        {
            assert_eq!(put(text, path, "2"), None, "{text} {path}");
        }
    }
}
