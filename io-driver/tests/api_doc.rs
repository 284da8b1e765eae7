//! Each example of docs/api.md, sent to a fresh proxy in the order of the page.

#![allow(clippy::unwrap_used, reason = "what is not there is a failed test")]

mod support;
#[path = "support/web.rs"]
mod web;

use serde_json::Value;
use web::{PASSWORD, Site};

struct Example {
    method: String,
    path: String,
    body: String,
    status: u16,
    answer: Value,
    line: usize,
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line != "```http" {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let text = block.join("\n");
        let (request, answer) = text.split_once("\n\n").unwrap();
        let (first, body) = request.split_once('\n').unwrap_or((request, ""));
        let (method, path) = first.split_once(' ').unwrap();
        let (status, answer) = answer.split_once(' ').unwrap();
        let answer = serde_json::from_str(answer).unwrap_or_else(|error| panic!("line {}: {error}", number + 1));
        examples.push(Example {
            method: method.to_owned(),
            path: path.to_owned(),
            body: body.to_owned(),
            status: status.parse().unwrap(),
            answer,
            line: number + 1,
        });
    }
    examples
}

/// `…` is anything; objects may hold more; a list that ends with `…` may be longer, and an empty one is empty.
fn fits(got: &Value, wanted: &Value, path: &str) -> Result<(), String> {
    match (got, wanted) {
        (_, Value::String(text)) if text == "…" => Ok(()),
        (Value::Object(got), Value::Object(wanted)) => wanted.iter().try_for_each(|(key, wanted)| {
            let got = got.get(key).ok_or_else(|| format!("{path}.{key} is missing"))?;
            fits(got, wanted, &format!("{path}.{key}"))
        }),
        (Value::Array(got), Value::Array(wanted)) => {
            let open = wanted.last().is_some_and(|last| last == "…");
            let named = if open { &wanted[..wanted.len() - 1] } else { &wanted[..] };
            if got.len() < named.len() || (!open && got.len() != named.len()) {
                return Err(format!("{path} has {} entries", got.len()));
            }
            named.iter().zip(got).try_for_each(|(wanted, got)| fits(got, wanted, &format!("{path}[]")))
        }
        (Value::Number(got), Value::Number(wanted)) if got.as_f64() == wanted.as_f64() => Ok(()),
        _ if got == wanted => Ok(()),
        _ => Err(format!("{path} is {got}, not {wanted}")),
    }
}

#[test]
fn the_examples_are_true() {
    let site = Site::start("api-doc", "", Some(PASSWORD));
    let owner = site.owner();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md")).unwrap();
    let examples = examples(&page);
    assert!(examples.len() > 20);
    for Example { method, path, body, status, answer, line } in examples {
        let sent = (method != "GET").then_some(body.as_str());
        let got = owner.send(&method, &path, &[], sent);
        assert_eq!(got.status, status, "docs/api.md:{line} {method} {path}: {}", got.text());
        if let Err(why) = fits(&got.json(), &answer, "") {
            panic!("docs/api.md:{line} {method} {path}: {why}\n{}", got.text());
        }
    }
}

#[test]
fn every_route_is_in_the_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md")).unwrap();
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/dashboard/mod.rs")).unwrap();
    let routes = source.split(".route(\"/api/v1/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let missing: Vec<&str> = routes.filter(|route| !page.contains(route.split('{').next().unwrap())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
