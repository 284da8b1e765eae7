//! Where lines go: stdout, or a file that rotates.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use dpmp_core::config::Logging;

use super::rotate::{RotatingFile, Rotation};
use crate::settings;

/// Something that lines go to.
pub trait Output: Write + Send {
    /// Goes on in the file of its name, which may be another by now.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for io::Stdout {}

/// Opens what the config names; a file's name is relative to the config's folder.
pub fn open(logging: &Logging, config: &Path) -> anyhow::Result<Box<dyn Output>> {
    let Some(name) = &logging.file else { return Ok(Box::new(io::stdout())) };
    let path = settings::beside(config, name);
    let limit = u64::from(logging.rotate_mib.max(1)) << 20;
    let rotation = Rotation { limit, keep: logging.keep, gzip: logging.gzip };
    let file = RotatingFile::open(&path, rotation)
        .with_context(|| format!("cannot open the log file {} (logging.file)", path.display()))?;
    Ok(Box::new(file))
}
