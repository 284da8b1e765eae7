//! The `dpmp` program around the pure engine: sockets, threads, files, HTTP and the command line.
//!
//! One thread, [`event_loop`], owns the engine and all mining sockets and never waits for anything but readiness. All
//! else has threads of its own (log writer, statistics, files, HTTP, name lookups) and reaches the loop through
//! [`requests`]. Facts leave the engine as notices; [`logs`], [`metrics`] and [`statistics`] render them.
#![forbid(unsafe_code)]

mod background;
pub mod cli;
pub mod clock;
mod conn;
pub mod dashboard;
pub mod demo;
mod dial;
pub mod event_loop;
pub mod facts;
pub mod fd_limit;
pub mod feed;
pub mod http;
mod listener;
pub mod live_weights;
pub mod logs;
pub mod luck;
pub mod merge;
pub mod metrics;
mod oracle;
pub mod proxy;
mod recording;
pub mod records;
pub mod reload;
pub mod requests;
mod resolve;
pub mod run;
#[cfg(test)]
mod scratch;
pub mod settings;
pub mod signals;
pub mod simulate;
pub mod state;
pub mod statistics;
pub mod supervisor;
pub mod table;
mod token;
pub mod traces;
