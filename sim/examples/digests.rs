//! What the engine does, in a few digests: of random worlds, and of the committed recordings. `.ci/run` compares what a
//! debug build and a release build print: they are the same to the letter.
//! `cargo run -p dpmp-sim --example digests -- SNAPSHOTS`.

use std::path::PathBuf;
use std::{env, fs};

use dpmp_core::trace::{Digest, Part, Reader, Start, replay};
use dpmp_core::{ActionBuf, Engine, Event, Time};
use dpmp_sim::world::{Proxy, Trial};

/// Seed, minutes, miners.
const WORLDS: [(u64, u64, usize); 4] = [(1, 20, 10), (2, 20, 10), (3, 20, 10), (4, 20, 10)];

/// The engine, and the digest of all that it sends.
struct Digested<'a> {
    engine: Engine,
    digest: &'a mut Digest,
}

impl Proxy for Digested<'_> {
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        let from = out.actions().len();
        self.engine.step(now, event, out);
        self.digest.take(out, from);
    }

    fn restore(&mut self) {
        self.engine.restore();
    }

    fn restart(&mut self, start: Start) {
        self.engine.restart(start);
    }

    fn next_timeout(&self) -> Option<Time> {
        self.engine.poll_timeout().map(|(at, _)| at)
    }
}

fn main() {
    for (seed, minutes, miners) in WORLDS {
        let mut digest = Digest::default();
        let trial =
            Trial::around(seed, minutes, miners, |spec| Digested { engine: spec.engine(), digest: &mut digest });
        println!("sent {:016x} by\n{trial}", digest.0);
    }
    let folder = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "snapshots".into()));
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "trace"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no recording", folder.display());
    for file in files {
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for part in Reader::new(&bytes) {
            let Part::Segment(segment) = part else { panic!("{}: {part:?}", file.display()) };
            let done = replay(&segment).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            println!("{name}: {} steps, {:016x}", done.steps, done.digest.0);
        }
    }
}
