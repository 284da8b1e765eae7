//! `dpmp replay` and `dpmp trace redact`, on recordings of the real binary; and every committed recording.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use dpmp_core::trace::{Part, Reader, Replay, redact, replay};
use support::{Miner, Pool, Proxy, dpmp, folder};

fn run(args: &[&str]) -> Output {
    dpmp().args(args).output().expect("the binary runs")
}

fn text(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).map(|dir| dir.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    found.retain(|path| path.extension().is_some_and(|e| e == "trace"));
    found.sort();
    found
}

const WALLET: &str = "bc1qexampleexampleexampleexample0000";

#[test]
fn the_binary_records_and_its_recording_replays_and_can_be_given_away() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let mut proxy = Proxy::start("traces", [a.address, b.address], "");
    let recording = proxy.folder.join("recording");
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login(&format!("{WALLET}.garage-rig-7"));
    for id in 10..20 {
        assert_eq!(miner.submit(id, "x.garage-rig-7", &job, size)["result"], true);
    }
    // For a bug report.
    proxy.signal("USR1");
    let said = proxy.event("recording_closed").to_string();
    assert!(said.contains("00000001.trace") && said.contains("on request"), "{said}");
    let file = recording.join("00000001.trace");
    assert_eq!(fs::metadata(&recording).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(proxy.metric("dpmp_recording_segments_total"), 1.0);
    assert_eq!(proxy.metric("dpmp_recording_segments_dropped_total"), 0.0);
    assert_eq!(miner.submit(30, "x.garage-rig-7", &job, size)["result"], true);
    proxy.signal("TERM");
    proxy.ended();
    assert_eq!(segments(&recording).len(), 2);

    let all = run(&["replay", recording.to_str().unwrap()]);
    assert!(all.status.success(), "{}", text(&all));
    assert_eq!(text(&all).lines().count(), 2, "{}", text(&all));
    let path = file.to_str().unwrap();
    let shown = text(&run(&["replay", path, "--print"]));
    assert!(
        shown.contains("mining.submit") && shown.contains("garage-rig-7") && shown.contains("PoolSwitched"),
        "{shown}"
    );
    let filtered = text(&run(&["replay", path, "--print", "--miner", "garage-rig-7", "--event", "mining.submit"]));
    assert!(filtered.lines().filter(|l| l.contains("mining.submit")).count() >= 10, "{filtered}");
    assert!(!filtered.contains("mining.subscribe"), "{filtered}");
    assert_eq!(run(&["replay", path, "--print", "--pool", "Z"]).status.code(), Some(1));
    assert_eq!(run(&["replay", path, "--miner", "x"]).status.code(), Some(2), "a filter without --print");

    let out = proxy.folder.join("given-away.trace");
    let out = out.to_str().unwrap();
    let redacted = run(&["trace", "redact", recording.to_str().unwrap(), out]);
    assert!(redacted.status.success(), "{}", text(&redacted));
    let bytes = fs::read(out).unwrap();
    for secret in [WALLET, "garage", "127.0.0.1"] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} is left");
    }
    let again = run(&["replay", out]);
    assert!(again.status.success() && text(&again).contains("redacted"), "{}", text(&again));
    let refused = run(&["trace", "redact", path, out]);
    assert!(refused.status.code() == Some(1) && text(&refused).contains("--force"), "{}", text(&refused));
    assert_eq!(fs::read(out).unwrap(), bytes);
    assert!(run(&["trace", "redact", path, out, "--force"]).status.success());

    // Damage in the first of two segments costs that one.
    let mut whole = fs::read(&file).unwrap();
    let middle = whole.len() / 2;
    whole[middle] ^= 0xFF;
    whole.extend(fs::read(recording.join("00000002.trace")).unwrap());
    fs::write(out, whole).unwrap();
    let damaged = run(&["replay", out]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(text(&damaged).contains("damaged at byte") && text(&damaged).contains("segment 2"), "{}", text(&damaged));
    assert_eq!(run(&["replay", "/does/not/exist.trace"]).status.code(), Some(1));
    let empty = folder("empty-recording");
    assert_eq!(run(&["replay", empty.to_str().unwrap()]).status.code(), Some(1));
}

#[test]
fn recording_can_be_switched_off() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let mut proxy = Proxy::start("no-traces", [a.address, b.address], r#","recording": {"enabled": false}"#);
    // The log knows pools only when the signals are long watched.
    proxy.event("pool_connected");
    proxy.signal("USR1");
    proxy.event("recording_not_closed");
    proxy.signal("TERM");
    proxy.ended();
    assert!(!proxy.folder.join("recording").exists());
}

#[test]
fn a_killed_proxy_leaves_what_it_wrote() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let mut proxy = Proxy::start("killed", [a.address, b.address], "");
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login("walletless.rig");
    // What is older than a second is handed to the disk.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(miner.submit(10, "x.rig", &job, size)["result"], true);
    let recording = proxy.folder.join("recording");
    support::wait_for("something is written", || {
        segments(&recording).first().filter(|file| fs::metadata(file).is_ok_and(|m| m.len() > 1000)).cloned()
    });
    proxy.signal("KILL");
    proxy.ended();
    let output = run(&["replay", recording.to_str().unwrap()]);
    assert!(output.status.success() && text(&output).contains("without an end"), "{}", text(&output));
}

/// Every recording in `snapshots`, and its timeline. A new one needs nothing but its file: its timeline is then to be
/// reviewed (`cargo insta review`).
#[test]
fn committed_recordings_replay() {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots");
    let files = segments(&snapshots);
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut lines = Vec::new();
        for part in Reader::new(&bytes) {
            let Part::Segment(segment) = part else { panic!("{name}: {part:?}") };
            let summary = replay(&segment).unwrap_or_else(|error| {
                panic!("{name}: {error}; if what is sent was changed on purpose: cargo test -p dpmp-sim --test golden -- --ignored")
            });
            let redacted = redact(&bytes, [9; 32]).unwrap_or_else(|error| panic!("{name}: {error}"));
            for part in Reader::new(&redacted.bytes) {
                let Part::Segment(segment) = part else { panic!("{name}: {part:?}") };
                replay(&segment).unwrap_or_else(|error| panic!("{name}, redacted: {error}"));
            }
            let mut timeline = dpmp::traces::Timeline::new(&dpmp::cli::PrintFilter::default()).unwrap();
            let mut again = Replay::new(&segment).unwrap();
            timeline.begin(again.engine());
            let mut out = dpmp_core::ActionBuf::new();
            while let Some(step) = again.advance(&mut out).unwrap() {
                timeline.event(step.time, &step.event, |line| lines.push(line.to_owned()));
                timeline.outcome(step.time, &out, |line| lines.push(line.to_owned()));
            }
            lines.push(format!("{} steps", summary.steps));
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../snapshots/timelines");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, lines.join("\n")));
    }
}
