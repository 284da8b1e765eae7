//! `dpmp simulate` as a shell sees it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use support::{dpmp, folder};

const OPTIONS: [&str; 7] = ["simulate", "--seed", "3", "--hours", "0.25", "--miners", "8"];

/// What goes to stdout depends on the options alone: not on the process, the folder, or the environment.
#[test]
fn two_processes_say_the_same() {
    let run = |name: &str| {
        let output = dpmp().args(OPTIONS).current_dir(folder(name)).env("TZ", name).env("LANG", name).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("times as fast as life"), "{output:?}");
        output.stdout
    };
    let first = run("Asia/Tokyo");
    assert_eq!(first, run("de_DE"));
    let text = String::from_utf8(first).unwrap();
    assert!(text.starts_with("seed 3  hours 0.25  miners 8\n") && text.ends_with("nothing lost\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("miner ")).count(), 8);
}

#[test]
fn options_that_make_no_sense_are_said() {
    for hours in ["0", "-1", "9000", "NaN"] {
        let output = dpmp().args(["simulate", &format!("--hours={hours}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{hours}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--hours"), "{output:?}");
    }
}
