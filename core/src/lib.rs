//! The pure engine of dpmp: timestamped byte events in, byte actions out.
//!
//! The contract, in the order of calls:
//!
//! 1. [`Engine::new`] with the config, what the last run remembered, and a seed;
//! 2. [`Engine::step`] for each [`Event`], with a time that never decreases; it appends to an [`ActionBuf`] all that is to
//!    be done, and the driver performs it in order before the next step;
//! 3. [`Engine::poll_timeout`] after each step: the driver sends [`Event::Tick`] when that time has come.
//!
//! The engine knows no socket, clock, thread, file, random source or logger. Bytes of peers never panic it: a panic is a
//! bug of ours. Same events, same bytes; [`Engine::checkpoint`] and [`Engine::restore`] change nothing that follows.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod action;
pub mod chain;
pub mod checker;
pub mod close;
pub mod config;
pub mod difficulty;
mod engine;
pub mod event;
pub mod extranonce;
pub mod ids;
pub mod ledger;
pub mod notice;
pub mod oracle;
pub mod time;

pub use action::{Action, ActionBuf};
pub use close::CloseReason;
pub use config::Config;
pub use difficulty::{Difficulty, Target, Work};
pub use engine::{Engine, Memory, MinerStatus, PoolMemory, PoolStatus, RestoreError, WorkerMemory};
pub use event::{Command, Event};
pub use ids::{Conn, GroupId, JobId, MinerId, PoolId, UpstreamId};
pub use notice::{Notice, Verdict};
pub use rate::{Estimate, HashRate};
pub use time::{Span, Time};
pub use timers::TimerKind;
mod acceptance;
#[cfg(test)]
mod captures;
mod frame;
mod job;
mod miner;
mod pool;
pub mod rate;
mod rng;
mod schedule;
pub mod share;
mod stratum;
pub mod timers;
pub mod trace;
mod vardiff;
