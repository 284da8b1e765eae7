//! A log file that is renamed to `.1`, `.2`, ... when it has grown large, the older ones compressed if that is wanted. It
//! notices when somebody else (`logrotate`) has renamed, removed or cut it, and goes on in the file of its name. Runs on the
//! log's own thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Output;
use crate::background;

/// Whether the file is still the one of its name is looked at this often, before a write.
const LOOK: Duration = Duration::from_secs(1);

/// When a file is rotated, and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes at which the file is rotated.
    pub limit: u64,
    /// Older files that are kept.
    pub keep: u32,
    /// Older files are compressed.
    pub gzip: bool,
}

/// The file.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    rotation: Rotation,
    looked: Instant,
    compressing: Option<JoinHandle<()>>,
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl RotatingFile {
    /// Opens or makes the file, to append.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<RotatingFile> {
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(RotatingFile { path: path.to_owned(), file, size, rotation, looked: Instant::now(), compressing: None })
    }

    fn older(&self, n: u32, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}{suffix}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        if let Some(compressing) = self.compressing.take() {
            // It had a whole file's time. A panic there was logged by the hook.
            let _ = compressing.join();
        }
        let keep = self.rotation.keep;
        // Those that do not exist cannot be removed or renamed, which is well.
        for suffix in ["", ".gz"] {
            let _ = fs::remove_file(self.older(keep.max(1), suffix));
            for n in (1..keep).rev() {
                let _ = fs::rename(self.older(n, suffix), self.older(n + 1, suffix));
            }
        }
        if keep == 0 {
            self.file.set_len(0)?;
            self.size = 0;
            return Ok(());
        }
        fs::rename(&self.path, self.older(1, ""))?;
        self.file = append(&self.path)?;
        self.size = 0;
        if self.rotation.gzip {
            let (from, to) = (self.older(1, ""), self.older(1, ".gz"));
            // Without a thread it stays as it is.
            self.compressing = background::spawn("log gzip", move || compress(&from, &to)).ok();
        }
        Ok(())
    }

    /// Goes on in the file of this name if that is another by now.
    fn look(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        let ours = self.file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => {
                // It may have been cut.
                self.size = found.len();
                Ok(())
            }
            _ => self.reopen(),
        }
    }
}

impl Output for RotatingFile {
    fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }
}

/// Compresses a file, and removes it when that is done. What fails leaves it as it was.
fn compress(from: &Path, to: &Path) {
    let done = || -> io::Result<()> {
        let new = to.with_extension("gz.new");
        let mut encoder = GzEncoder::new(File::create(&new)?, Compression::new(6));
        io::copy(&mut File::open(from)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::rename(&new, to)?;
        fs::remove_file(from)
    };
    if let Err(error) = done() {
        super::line(log::Level::Warn, "log_not_compressed")
            .show("path", from.display())
            .show("err", error)
            .text("text", "the older log file stays as it is")
            .send();
    }
}

/// Rotates after a write, never inside of one: a line is in one file.
impl Write for RotatingFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK {
            // If there is no other file to be had, the one at hand is better than none.
            let _ = self.look();
        }
        self.file.write_all(lines)?;
        self.size += lines.len() as u64;
        if self.size >= self.rotation.limit && self.rotate().is_err() {
            // The lines are written. It is tried again when as much has come once more.
            self.size = 0;
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        crate::scratch::folder(&format!("rotate-{name}"))
    }

    #[test]
    fn keeps_so_many() {
        let folder = folder("keep");
        let mut file = RotatingFile::open(&folder.join("log"), Rotation { limit: 10, keep: 2, gzip: false }).unwrap();
        for line in ["first line\n", "second line\n", "third line\n", "4\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert_eq!((read("log"), read("log.1")), ("4\n".to_owned(), "third line\n".to_owned()));
        assert_eq!((read("log.2"), read("log.3")), ("second line\n".to_owned(), String::new()));
    }

    #[test]
    fn compresses_older_ones() {
        let folder = folder("gzip");
        let mut file = RotatingFile::open(&folder.join("log"), Rotation { limit: 10, keep: 2, gzip: true }).unwrap();
        for line in ["first line\n", "second line\n", "third line\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        file.compressing.take().unwrap().join().unwrap();
        let read = |name: &str| {
            let mut text = String::new();
            GzDecoder::new(File::open(folder.join(name)).unwrap()).read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((read("log.1.gz"), read("log.2.gz")), ("third line\n".to_owned(), "second line\n".to_owned()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    }

    #[test]
    fn goes_on_where_logrotate_wants_it() {
        let folder = folder("elsewhere");
        let (path, moved) = (folder.join("log"), folder.join("log-20260131"));
        let mut file = RotatingFile::open(&path, Rotation { limit: 1 << 20, keep: 2, gzip: false }).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        file.write_all(b"1\n").unwrap();
        fs::rename(&path, &moved).unwrap();
        file.write_all(b"2\n").unwrap();
        file.looked = Instant::now().checked_sub(LOOK).unwrap();
        file.write_all(b"3\n").unwrap();
        assert_eq!((read(&moved), read(&path)), ("1\n2\n".to_owned(), "3\n".to_owned()));
        // copytruncate
        fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        file.looked = Instant::now().checked_sub(LOOK).unwrap();
        file.write_all(b"4\n").unwrap();
        assert_eq!((read(&path), file.size), ("4\n".to_owned(), 2));
        // Removed, and asked at once, as by SIGHUP.
        fs::remove_file(&path).unwrap();
        file.reopen().unwrap();
        file.write_all(b"5\n").unwrap();
        assert_eq!(read(&path), "5\n");
    }
}
