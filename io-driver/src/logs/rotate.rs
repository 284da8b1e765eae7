//! A log file that is renamed to `.1`, `.2`, ... when it has grown large. Runs on the log's own thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
    keep: u32,
}

impl RotatingFile {
    /// Opens or makes the file, to append. It is rotated at `limit` bytes, and `keep` older ones are kept.
    pub fn open(path: &Path, limit: u64, keep: u32) -> io::Result<RotatingFile> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(RotatingFile { path: path.to_owned(), file, size, limit, keep })
    }

    fn older(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        for n in (1..self.keep).rev() {
            // Those that do not exist yet cannot be renamed, which is well.
            let _ = fs::rename(self.older(n), self.older(n + 1));
        }
        if self.keep > 0 {
            fs::rename(&self.path, self.older(1))?;
        }
        self.file = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

/// Rotates before a write, never inside of one: a line is in one file.
impl Write for RotatingFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.file.write_all(lines)?;
        self.size += lines.len() as u64;
        if self.size >= self.limit {
            self.rotate()?;
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_so_many() {
        let folder = std::env::temp_dir().join(format!("dpmp-rotate-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("dpmp.log");
        let mut file = RotatingFile::open(&path, 10, 2).unwrap();
        for line in ["first line\n", "second line\n", "third line\n", "4\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert_eq!((read("dpmp.log"), read("dpmp.log.1")), ("4\n".to_owned(), "third line\n".to_owned()));
        assert_eq!((read("dpmp.log.2"), read("dpmp.log.3")), ("second line\n".to_owned(), String::new()));
    }
}
