//! `dpmp replay` and `dpmp trace redact`, on recordings of the real binary; and every committed recording.

#![allow(clippy::unwrap_used, reason = "what is not there is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use dpmp_core::Event;
use dpmp_core::trace::{EndReason, Ending, Origin, Part, Reader, Record, Replay, ReplayError, redact, replay};
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
    for second in ["nan", "inf", "-1", "soon"] {
        for bound in ["--from", "--to"] {
            let refused = run(&["replay", path, "--print", &format!("{bound}={second}")]);
            assert_eq!(refused.status.code(), Some(2), "{bound} {second}");
            assert!(text(&refused).contains(&format!("{second:?} is no second of a run")), "{}", text(&refused));
        }
    }

    let out = proxy.folder.join("given-away.trace");
    let out = out.to_str().unwrap();
    let redacted = run(&["trace", "redact", recording.to_str().unwrap(), out]);
    assert!(redacted.status.success(), "{}", text(&redacted));
    assert_eq!(fs::metadata(out).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(out).unwrap();
    for secret in [WALLET, "garage", "127.0.0.1"] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret} is left");
    }
    let again = run(&["replay", out]);
    assert!(again.status.success() && text(&again).contains("redacted"), "{}", text(&again));
    let refused = run(&["trace", "redact", path, out]);
    assert!(refused.status.code() == Some(1) && text(&refused).contains("--force"), "{}", text(&refused));
    assert_eq!(fs::read(out).unwrap(), bytes);
    fs::set_permissions(out, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(proxy.folder.join("given-away.trace.new"), "what a run that was killed has left").unwrap();
    assert!(run(&["trace", "redact", path, out, "--force"]).status.success());
    assert_eq!(fs::metadata(out).unwrap().permissions().mode() & 0o777, 0o600);

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

/// Whatever kills the engine is in the recording when the program has ended, and the supervisor is told.
#[cfg(debug_assertions)]
#[test]
fn a_crash_leaves_its_recording_and_an_exit_code() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("crash");
    let (port, metrics) = (support::free_port(), support::free_port());
    let config = support::write_config(&folder, port, metrics, [a.address, b.address], "");
    let mut command = dpmp();
    command.arg("--config").arg(config).env("DPMP_CRASH_AT", "the-last-straw");
    let mut proxy = Proxy::run(command, folder, port, metrics);
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login("walletless.rig");
    assert_eq!(miner.submit(10, "x.rig", &job, size)["result"], true);
    miner.send(r#"{"id":11,"method":"mining.ping","params":["the-last-straw"]}"#);
    let (status, _) = proxy.ended();
    assert_eq!(status.code(), Some(1));
    assert!(proxy.event("fatal_crash")["err"].as_str().unwrap().contains("DPMP_CRASH_AT"));
    assert!(proxy.event("recording_closed")["reason"].as_str().unwrap().contains("crashed"));
    let recording = proxy.folder.join("recording");
    let bytes = fs::read(recording.join("00000001.trace")).unwrap();
    let Some(Part::Segment(segment)) = Reader::new(&bytes).next() else { panic!() };
    assert_eq!(segment.ending, Ending::Closed(EndReason::Crash));
    let Some(Ok(Record::Event(_, Event::Received { bytes, .. }))) = segment.records().last() else { panic!() };
    assert!(bytes.windows(14).any(|w| w == b"the-last-straw"));
    // All that came before it can be had again, and given away.
    let shown = run(&["replay", recording.to_str().unwrap()]);
    assert!(shown.status.success() && text(&shown).contains("the engine crashed"), "{}", text(&shown));
    let out = proxy.folder.join("for-a-report.trace");
    let redacted = run(&["trace", "redact", recording.to_str().unwrap(), out.to_str().unwrap()]);
    assert!(redacted.status.success(), "{}", text(&redacted));
    assert!(run(&["replay", out.to_str().unwrap()]).status.success());
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

/// A recording replays, as it is and redacted. Gives its timeline.
fn replays(name: &str, bytes: &[u8]) -> String {
    let mut lines = Vec::new();
    for part in Reader::new(bytes) {
        let Part::Segment(segment) = part else { panic!("{name}: {part:?}") };
        let summary = replay(&segment).unwrap_or_else(|error| match error {
            ReplayError::Restore(_) => {
                panic!("{name}: {error}; only a recording from the first event on outlives a change of the engine's data")
            }
            _ => panic!(
                "{name}: {error}; if what is sent was changed on purpose: GOLDEN=write cargo test -p dpmp-sim --test golden"
            ),
        });
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
    assert!(lines.len() > 1, "{name}: there is nothing in it");
    let redacted = redact(bytes, [9; 32]).unwrap_or_else(|error| panic!("{name}: {error}"));
    for part in Reader::new(&redacted.bytes) {
        let Part::Segment(segment) = part else { panic!("{name}: {part:?}") };
        replay(&segment).unwrap_or_else(|error| panic!("{name}, redacted: {error}"));
    }
    lines.join("\n")
}

/// Replays all recordings of a folder: names and timelines.
fn replay_folder(folder: &Path) -> Vec<(String, String)> {
    let named = |file: &PathBuf| (file.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(file).unwrap());
    segments(folder).iter().map(named).map(|(name, bytes)| (name.clone(), replays(&name, &bytes))).collect()
}

/// Every recording in `snapshots`. A new one needs nothing but its file; if its timeline is to be watched too,
/// `INSTA_UPDATE=always cargo test -p dpmp --test traces` writes it.
#[test]
fn committed_recordings_replay() {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots");
    let wanted = std::env::var("INSTA_UPDATE").is_ok_and(|how| how == "always");
    let (mut recordings, mut timelines) = (0, 0);
    for (name, timeline) in replay_folder(&snapshots) {
        recordings += 1;
        if !wanted && !snapshots.join(format!("timelines/{name}.snap")).exists() {
            continue;
        }
        timelines += 1;
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../snapshots/timelines");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, timeline));
    }
    assert!(recordings >= 12 && timelines >= 12, "{recordings} recordings, {timelines} timelines");
}

/// What users send: a recording of the real binary, redacted; the same from the middle of its ring; several joined.
#[test]
fn a_users_recording_is_a_test_by_itself() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let mut proxy = Proxy::start("users", [a.address, b.address], "");
    let recording = proxy.folder.join("recording");
    let mut miner = Miner::connect(proxy.port);
    let (size, job) = miner.login(&format!("{WALLET}.garage-rig-7"));
    for segment in 1..=3u64 {
        // A line that one segment begins and the next ends.
        let id = 10 * segment;
        assert_eq!(miner.submit(id, "x.garage-rig-7", &job, size)["result"], true);
        miner.send_raw(&format!("{{\"id\":{},\"method\":\"mining.pi", id + 1));
        proxy.signal("USR1");
        support::wait_for("the segment's end", || proxy.log().contains(&format!("{segment:08}.trace")).then_some(()));
        miner.send("ng\",\"params\":[]}");
        miner.until(|line| line["id"] == id + 1);
    }
    proxy.signal("TERM");
    proxy.ended();
    let dropped = folder("dropped-in");
    let file = |n: u64| recording.join(format!("{n:08}.trace"));
    let redact = |from: &Path, name: &str| {
        let done = run(&["trace", "redact", from.to_str().unwrap(), dropped.join(name).to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done));
    };
    fs::copy(file(1), dropped.join("first.trace")).unwrap();
    fs::copy(file(2), dropped.join("middle.trace")).unwrap();
    fs::write(dropped.join("joined.trace"), [fs::read(file(2)).unwrap(), fs::read(file(3)).unwrap()].concat()).unwrap();
    redact(&file(1), "first-redacted.trace");
    redact(&file(2), "middle-redacted.trace");
    redact(&recording, "all-redacted.trace");
    let told = replay_folder(&dropped);
    assert_eq!(told.len(), 6);
    for (name, timeline) in told {
        assert!(timeline.contains("mining.submit"), "{name}: {timeline}");
        assert_eq!(timeline.contains("garage-rig-7"), !name.contains("redacted"), "{name}");
    }
    // Only the first segment was recorded from the first event on.
    let begins = |n: u64| {
        let bytes = fs::read(file(n)).unwrap();
        let Some(Part::Segment(segment)) = Reader::new(&bytes).next() else { panic!() };
        matches!(segment.origin(), Ok(Origin::Start(_)))
    };
    assert!(begins(1) && !begins(2) && !begins(3));
}
