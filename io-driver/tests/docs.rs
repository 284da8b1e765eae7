//! What README and docs say can be run, and is where they say. Blocks marked "sh run" are run in a folder that has a config and a
//! recording; other "sh" blocks are only read by a shell.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::folder;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README, CONTRIBUTING and all of docs.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir(root().join("docs")).unwrap().map(|e| e.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|e| e == "md"));
    pages.extend(
        ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "installer/README.md"].map(|page| root().join(page)),
    );
    pages.sort();
    pages
}

/// The blocks of a page with what stands behind their fence.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => open = Some((indent, kind.trim().to_owned(), String::new())),
            (Some((_, kind, block)), Some(_)) => {
                found.push((std::mem::take(kind), std::mem::take(block)));
                open = None;
            }
            (Some((indent, _, block)), None) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    found
}

/// A folder as an operator's: a config that can be used, and a recording.
fn place(name: &str) -> PathBuf {
    let folder = folder(name);
    let example = fs::read_to_string(root().join("config_v2_example.json")).unwrap();
    let filled = example.replace("POOL_A_HOST", "a.example").replace("POOL_B_HOST", "b.example");
    fs::write(folder.join("config_v2_example.json"), example).unwrap();
    fs::write(folder.join("config_v2.json"), filled.replace("POOL_A_WALLET", "w").replace("POOL_B_WALLET", "w"))
        .unwrap();
    fs::create_dir(folder.join("recording")).unwrap();
    let recordings = fs::read_dir(root().join("snapshots")).unwrap().map(|e| e.unwrap().path());
    let trace = recordings.filter(|p| p.extension().is_some_and(|e| e == "trace")).min().unwrap();
    fs::copy(trace, folder.join("recording/00000007.trace")).unwrap();
    folder
}

fn shell(folder: &Path, arguments: &[&str], block: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_dpmp")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(arguments).arg(block).current_dir(folder).env("PATH", path).env_remove("DPMP_CONFIG");
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{block}\n{said}");
    said
}

#[test]
fn blocks_that_can_be_run_do_what_they_say() {
    let mut ran = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (n, (kind, block)) in blocks(&text).into_iter().enumerate() {
            let name = format!("docs-{}-{n}", page.file_stem().unwrap().to_string_lossy());
            match kind.as_str() {
                "sh run" => {
                    shell(&place(&name), &["-eu", "-c"], &block);
                    ran += 1;
                }
                "sh" => drop(shell(&folder(&name), &["-n", "-c"], &block)),
                "" => panic!("{}: a block that does not say what it is\n{block}", page.display()),
                _ => {}
            }
        }
    }
    assert!(ran >= 5, "only {ran} blocks were run");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            if file.starts_with("http") {
                continue;
            }
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !anchor.is_empty() {
                let headings = fs::read_to_string(&target).unwrap();
                let is = |line: &str| {
                    let words = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                    words.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect::<String>()
                        == anchor
                };
                assert!(headings.lines().any(|line| line.starts_with('#') && is(line)), "{}: {link}", page.display());
            }
        }
    }
}

#[test]
fn operators_files_hold_no_secrets_of_this_machine() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let home = std::env::var("HOME").ok().filter(|home| home.len() > 1);
    let words = [Some(format!("{}/", checkout.display())), home.map(|home| format!("{home}/")), Some("/tmp/".into())];
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for word in words.iter().flatten() {
            assert!(!text.contains(word.as_str()), "{} names {word}", page.display());
        }
    }
}
