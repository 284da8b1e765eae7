//! Where lines go: stdout, or a file that rotates.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// The same, and when that cannot be had: stdout, until it is asked to open the file again. The second value is why.
pub fn open_or_stdout(logging: &Logging, config: &Path) -> (Box<dyn Output>, Option<String>) {
    match open(logging, config) {
        Ok(output) => (output, None),
        Err(error) => {
            let (logging, config) = (logging.clone(), config.to_owned());
            (Box::new(Later { logging, config, output: Box::new(io::stdout()) }), Some(format!("{error:#}")))
        }
    }
}

/// A file that could not be opened yet.
struct Later {
    logging: Logging,
    config: PathBuf,
    output: Box<dyn Output>,
}

impl Write for Later {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Output for Later {
    fn reopen(&mut self) -> io::Result<()> {
        self.output.flush()?;
        self.output = open(&self.logging, &self.config).map_err(io::Error::other)?;
        Ok(())
    }
}
