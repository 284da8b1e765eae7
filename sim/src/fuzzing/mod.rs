//! Bodies of the fuzz targets: plain functions of bytes that panic on a fault. They know no fuzzer.
//!
//! `fuzz/fuzz_targets/` has a shim of three lines for each, and `tests/corpus.rs` runs each over its folder of
//! `fuzz/corpus/` and over pseudo-random bytes, so that a machine without cargo-fuzz checks them too.
//!
//! | body | what the bytes are | what must hold |
//! | --- | --- | --- |
//! | [`framing`] | a stage, cuts, a stream of a miner or a pool | the stream gives the same messages whole and cut |
//! | [`decode`] | a stage, lines of a miner or a pool | no panic, one reply a request, one valid line a message |
//! | [`events`] | events of all kinds | all of that, deadlines, shares as they were hashed, restored checkpoints |
//! | [`dual_pool`] | a small world and its faults | nothing that the strict pools and miners complain of |
//! | [`trace`] | a recording, or damage to one | no panic, and damage costs only its segment |
//! | [`config`] | a config, or changes to the shipped one | no panic, problems that can be mended, valid configs |
//!
//! `bench` is the driver of the first three, and `rules` what it holds every message to.

mod bench;
pub mod config;
pub mod decode;
pub mod dual_pool;
pub mod events;
pub mod framing;
mod lines;
mod rules;
pub mod trace;

/// A body.
pub type Body = fn(&[u8]);

/// All bodies by the names of their targets.
pub const BODIES: [(&str, Body); 6] = [
    ("framing", framing::body),
    ("decode", decode::body),
    ("events", events::body),
    ("dual_pool", dual_pool::body),
    ("config", config::body),
    ("trace", trace::body),
];
