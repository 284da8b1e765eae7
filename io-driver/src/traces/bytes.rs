//! A recording as bytes, for the dashboard's download.

use std::panic::catch_unwind;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::export::key;
use super::files;

/// The sizes of a recording's segments in order.
pub fn sizes(folder: &Path) -> anyhow::Result<Vec<u64>> {
    files::of(folder)?.iter().map(|file| Ok(std::fs::metadata(file)?.len())).collect()
}

/// The recording in this folder, or its last segment; without names if `redacted`.
pub fn export(folder: &Path, last: bool, redacted: bool) -> anyhow::Result<Vec<u8>> {
    let files = files::of(folder)?;
    let from = if last { files.len().saturating_sub(1) } else { 0 };
    let mut recording = Vec::new();
    for file in &files[from..] {
        recording.extend(files::read(file)?);
    }
    if !redacted {
        return Ok(recording);
    }
    let key = key()?;
    let redacted = catch_unwind(|| dpmp_core::trace::redact(&recording, key))
        .map_err(|_| anyhow!("the engine crashed while the recording was run again"))?;
    Ok(redacted.context("the recording cannot be redacted")?.bytes)
}
