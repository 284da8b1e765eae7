//! The commands about recordings: `dpmp replay` and `dpmp trace redact`. They read files and print; what a recording is,
//! core knows.

mod bytes;
mod export;
mod files;
mod rerun;
mod timeline;

pub use bytes::{export, sizes};
pub use export::redact;
pub use rerun::replay;
pub use timeline::Timeline;
