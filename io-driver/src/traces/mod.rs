//! The commands about recordings: `dpmp replay` and `dpmp trace redact`. They read files and print; what a recording is,
//! core knows.

mod export;
mod files;
mod rerun;
mod timeline;

pub use export::redact;
pub use rerun::replay;
pub use timeline::Timeline;
