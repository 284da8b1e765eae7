//! Recordings: what went into the engine, and a digest of what came out, so that a run can be had again.
//!
//! A recording is a sequence of segments, each of which stands for itself: a header, the engine at its begin, and from then
//! on every event before its step and the rolling digest of what the step sent after it. The bytes are described
//! in `docs/trace-format.md`. Here are pure functions over bytes; files, folders and threads are the driver's.
//!
//! - [`Recorder`] stands around [`Engine::step`](crate::Engine::step) and fills a buffer that the driver takes;
//! - [`Reader`] finds the segments of a recording, and says where it is damaged;
//! - [`Replay`] runs a segment again, step by step, and compares; [`replay`] does so to the end;
//! - [`redact()`] takes names, addresses and payout scripts out of a recording, so that it can be given away.
//!
//! Inside, imports run one way: `redact` → `replay`, `recorder` → `reader` → `format` → `origin`, `event`, `digest`, `fold` →
//! `frame`.

mod digest;
mod event;
mod fold;
mod format;
mod frame;
mod origin;
mod reader;
mod recorder;
mod redact;
mod replay;

pub use digest::Digest;
pub use format::{EndReason, Header, Record};
pub use frame::{FORMAT_VERSION, Fault, LONGEST_CHECKPOINT, LONGEST_RECORD, MAGIC};
pub use origin::{Origin, Start};
pub use reader::{Damage, Ending, Part, Reader, Records, Segment};
pub use recorder::{CHECKPOINT_RATIO, Recorder, SegmentWriter, longest_segment};
pub use redact::{Names, RedactError, Redacted, redact};
pub use replay::{Replay, ReplayError, Step, Summary, replay};
