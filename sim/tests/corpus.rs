//! The bodies of the fuzz targets over their committed corpus, and over pseudo-random inputs. To search longer:
//! `FUZZ_RUNS=100000 FUZZ_SEED=7 cargo test -p dpmp-sim --test corpus --release`.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use dpmp_sim::fuzzing::{BODIES, Body, strictly};
use dpmp_sim::rng::Rng;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name)
}

/// The inputs of a target by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(name)).expect("each target has a folder in the corpus");
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("the folder can be listed").path();
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), fs::read(path).expect("a file"))
        })
        .collect();
    inputs.sort();
    inputs
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn run(name: &str, label: &str, body: Body, input: &[u8]) {
    if catch_unwind(|| body(input)).is_err() {
        let path = std::env::temp_dir().join(format!("dpmp-{name}-failed"));
        fs::write(&path, input).expect("the temporary folder can be written");
        panic!("{name}: {label} fails; the input is in {}", path.display());
    }
}

/// Every file of the corpus, and so many pseudo-random inputs: fresh bytes, and files of the corpus with damage.
fn replay(name: &str, runs: u64) {
    let body = BODIES.iter().find(|(known, _)| *known == name).expect("a body").1;
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "no corpus for {name}");
    for (file, input) in &corpus {
        run(name, file, body, input);
    }
    let seed = env("FUZZ_SEED", 1);
    for n in 0..env("FUZZ_RUNS", runs) {
        let mut rng = Rng::new(seed.wrapping_mul(1 << 32).wrapping_add(n), name);
        let mut input = if n % 2 == 0 {
            let most = 1 << rng.between(3, 11);
            let bytes = rng.between(1, most) as usize;
            rng.bytes(bytes)
        } else {
            corpus[rng.below(corpus.len() as u64) as usize].1.clone()
        };
        for _ in 0..rng.below(6) {
            let at = rng.below(input.len() as u64) as usize;
            match rng.below(3) {
                0 if !input.is_empty() => input[at] = rng.next() as u8,
                1 if !input.is_empty() => drop(input.remove(at)),
                _ => input.insert(at, rng.next() as u8),
            }
        }
        run(name, &format!("random input {n} of seed {seed}"), body, &input);
    }
}

#[test]
fn framing() {
    replay("framing", 300);
}

#[test]
fn decode() {
    replay("decode", 1_000);
}

#[test]
fn events() {
    replay("events", 1_000);
}

#[test]
fn dual_pool() {
    replay("dual_pool", 30);
}

#[test]
fn config() {
    replay("config", 1_000);
}

#[test]
fn trace() {
    replay("trace", 300);
}

/// Looks at one input: `FUZZ_INPUT=events:PATH FUZZ_LOG=1 cargo test -p dpmp-sim --test corpus one_input`.
#[test]
fn one_input() {
    let Ok(what) = std::env::var("FUZZ_INPUT") else { return };
    let (name, path) = what.split_once(':').expect("target:path");
    let body = BODIES.iter().find(|(known, _)| *known == name).expect("a body").1;
    body(&fs::read(path).expect("the input can be read"));
}

/// A fault of the engine that was found and is not mended yet, by the name of its input in the corpus.
fn open_fault(name: &str, input: &str) {
    let body = BODIES.iter().find(|(known, _)| *known == name).expect("a body").1;
    strictly(body, &fs::read(folder(name).join(input)).expect("its input"));
}

#[test]
#[ignore = "open: a job that a pool sends a second time unchanged is a new job, with its pads and shares forgotten"]
fn open_repeated_job() {
    open_fault("events", "repeated-job");
}

#[test]
#[ignore = "open: bytes in one piece with a subscribe that has to wait are held without a limit"]
fn open_held_bytes() {
    open_fault("framing", "held-bytes");
}

#[test]
#[ignore = "open: DEL and C1 control characters of a value are shown as they are"]
fn open_control_character() {
    open_fault("config", "control-character");
}

#[test]
fn every_body_has_a_target_and_a_corpus() {
    for (name, _) in BODIES {
        let target = folder("").join(format!("../fuzz_targets/{name}.rs"));
        let shim = fs::read_to_string(&target).expect("a target");
        assert!(shim.contains(&format!("fuzzing::{name}::body")), "{}", target.display());
    }
    let all: u64 = BODIES.iter().flat_map(|(name, _)| corpus(name)).map(|(_, input)| input.len() as u64).sum();
    assert!(all < 400 << 10, "the corpus has {all} bytes: minimise it");
}
