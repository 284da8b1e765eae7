//! Rules of the house that a compiler does not check: which crate may use which, what the engine may depend on, and that
//! imports run one way.

#![allow(clippy::unwrap_used, reason = "a missing file is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Rust files below a folder, by their path inside it.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(at: &Path, base: &Path, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().replace('\\', "/");
                out.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let base = root().join(folder);
    let mut out = BTreeMap::new();
    walk(&base, &base, &mut out);
    assert!(!out.is_empty());
    out
}

/// The dependencies of a crate, without those for its tests.
fn dependencies(krate: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    section
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains('='))
        .map(|line| line.split(['=', '.', ' ']).next().unwrap().to_string())
        .collect()
}

#[test]
fn crates_depend_downhill_and_the_engine_on_little() {
    let allowed = ["serde", "serde_json", "sha2", "thiserror", "postcard", "memchr", "xxhash-rust", "crc32fast"];
    for name in dependencies("core") {
        assert!(allowed.contains(&name.as_str()), "core may not depend on {name}: it must build without std");
    }
    assert!(!dependencies("sim").contains("dpmp"));
    assert!(dependencies("io-driver").contains("dpmp-core"));
    let lib = fs::read_to_string(root().join("core/src/lib.rs")).unwrap();
    assert!(lib.contains("#![no_std]") && lib.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_engine_names_nothing_that_would_break_replay() {
    for (file, text) in sources("core/src") {
        if file == "captures.rs" {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for word in ["std::", "serde_json::Value", "HashMap", "HashSet", "Instant", "SystemTime", "println!"] {
            assert!(!code.contains(word), "core/src/{file} names {word}");
        }
    }
}

#[test]
fn peers_share_no_code_with_what_they_test() {
    for (file, text) in sources("sim/src") {
        if !file.starts_with("world") && !file.starts_with("fuzzing") && file != "lib.rs" {
            assert!(!text.contains("dpmp_core"), "sim/src/{file} uses the engine's code");
        }
    }
}

/// The module that a file is: `stratum/wire.rs` is `stratum::wire`, `engine/mod.rs` is `engine`.
fn module(file: &str) -> String {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.replace('/', "::")
}

/// The modules that a file names in `crate::…` and `super::…` paths, down to the longest that is a file.
fn imports(file: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let me = module(file);
    let code = text.split("#[cfg(test)]").next().unwrap();
    let parent =
        if file.ends_with("/mod.rs") { me.clone() } else { me.rsplit_once("::").map_or("", |(p, _)| p).to_string() };
    let mut found = BTreeSet::new();
    for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
        for (prefix, base) in [("crate::", String::new()), ("super::", parent.clone())] {
            for piece in line.split(prefix).skip(1) {
                let path: String =
                    piece.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
                let full = if base.is_empty() { path } else { format!("{base}::{path}") };
                let mut name = full.trim_end_matches(':').to_string();
                while !name.is_empty() && !modules.contains(&name) {
                    name = name.rsplit_once("::").map_or(String::new(), |(p, _)| p.to_string());
                }
                if !name.is_empty() && name != me {
                    found.insert(name);
                }
            }
        }
    }
    found
}

#[test]
fn no_two_files_of_the_engine_import_each_other() {
    let files = sources("core/src");
    let modules: BTreeSet<String> = files.keys().filter(|f| *f != "lib.rs").map(|f| module(f)).collect();
    let graph: BTreeMap<String, BTreeSet<String>> = files
        .iter()
        .filter(|(f, _)| *f != "lib.rs" && *f != "captures.rs")
        .map(|(f, text)| (module(f), imports(f, text, &modules)))
        .collect();
    assert!(graph["engine::work"].contains("engine::state"), "the check sees imports: {graph:?}");
    for start in graph.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<(String, Vec<String>)> = vec![(start.clone(), vec![start.clone()])];
        while let Some((at, path)) = open.pop() {
            for next in graph.get(&at).into_iter().flatten() {
                assert_ne!(next, start, "a circle: {} → {next}", path.join(" → "));
                if seen.insert(next.clone()) {
                    open.push((next.clone(), [path.clone(), vec![next.clone()]].concat()));
                }
            }
        }
    }
}

#[test]
fn files_stay_rooms() {
    for folder in ["core/src", "io-driver/src", "sim/src"] {
        for (file, text) in sources(folder) {
            let code = text.split("#[cfg(test)]").next().unwrap().lines().count();
            assert!(code <= 600, "{folder}/{file} has {code} lines without its tests: build a wall");
        }
    }
}
