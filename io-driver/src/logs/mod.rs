//! Log lines: one JSON object a line, `ts` and `event` first, through the `log` facade and env_logger into a writer of
//! its own thread. The loop never waits for whoever reads the log.
//!
//! What a line says is decided in `render`; how it is put together in `line`; where the bytes go, in `sink` and `rotate`;
//! which events are written, in `filter`.

mod filter;
mod line;
mod redact;
mod render;
mod rotate;
mod sink;

pub use filter::Filter;
pub use line::{Line, flush, line, set_filter, start};
pub use redact::redact;
pub use render::{peer, render};
pub use rotate::RotatingFile;
