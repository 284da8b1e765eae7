//! Reading recordings: a file, or a folder of segments in their order.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::recording::segments_in;

/// The files of a recording, in order.
pub(super) fn of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let kind = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = segments_in(path).with_context(|| format!("cannot read {}", path.display()))?;
    if files.is_empty() {
        bail!("{} holds no recording: no NNNNNNNN.trace is in it", path.display());
    }
    Ok(files)
}

pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
