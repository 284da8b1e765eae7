//! Simulated miners and pools around the dpmp engine.
//!
//! The peers ([`pool`], [`miner`]) are state machines without sockets or clocks: bytes in, bytes out, a time with each
//! call. They are strict: a pool rebuilds the header of every share in its own context, a miner checks every line that
//! it gets against what its firmware bears. They share no parsing, extranonce, hex or hashing code with the engine.
//!
//! Two runners drive them: [`world`] on virtual time around the engine, everything following from one seed, and
//! [`live`] on real sockets and real time, for `dpmp demo` and tests of the driver. [`fuzzing`] holds the engine to its
//! rules whatever bytes come.
#![forbid(unsafe_code)]

pub mod frame;
pub mod fuzzing;
pub mod header;
pub mod hex;
pub mod live;
pub mod miner;
pub mod pool;
pub mod pow;
pub mod rng;
pub mod target;
pub mod world;
