//! Log lines: one JSON object a line, `ts` and `event` first, through the `log` facade and env_logger into a writer of
//! its own thread. The loop never waits for whoever reads the log.
//!
//! What a line says is decided in `render`; how it is put together in `line`; where the bytes go, in `sink`, `open` and `rotate`;
//! which events are written, in `filter` and `burst`; how they look to people, in `text`; how many there were, in `counts`;
//! what the dashboard shows of them, in `tail`.

mod burst;
mod counts;
mod filter;
mod line;
mod open;
mod oracle;
mod redact;
mod render;
mod rotate;
mod schedule;
mod sink;
mod tail;
mod text;

pub use counts::{LogCounts, counts};
pub use filter::Filter;
pub use line::{Line, configure, flush, line, redirect, reopen, start};
pub use open::{Output, open, open_or_stdout};
pub use redact::redact;
pub use render::{peer, render};
pub use rotate::{RotatingFile, Rotation};
pub use tail::{Page, page};
