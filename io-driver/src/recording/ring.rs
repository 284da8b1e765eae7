//! The folder of segments: `NNNNNNNN.trace`, the oldest removed first, never more bytes than the bound. Knows no thread and
//! no engine.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Opens a new file for writing.
pub(super) type Create = fn(&Path) -> io::Result<Box<dyn Write + Send>>;

/// The folder.
pub(super) struct Ring {
    folder: PathBuf,
    max_bytes: u64,
    create: Create,
    /// Number and bytes, the oldest first; the one that is being written last.
    files: VecDeque<(u64, u64)>,
    open: Option<Box<dyn Write + Send>>,
}

/// A file that only its owner can read.
pub(super) fn create(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(Box::new(file))
}

/// The number of a segment's file.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".trace")?;
    (name.len() >= 8 && name.bytes().all(|b| b.is_ascii_digit())).then(|| name.parse().ok())?
}

/// The segments of a folder, the oldest first. Other files are passed over.
pub(crate) fn segments_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        found.extend(number_of(&path).map(|number| (number, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

impl Ring {
    /// The ring in this folder, which is made if there is none, readable by its owner alone.
    pub(super) fn open(folder: PathBuf, max_bytes: u64, create: Create) -> io::Result<Ring> {
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            }
            other => other?,
        }
        let mut files = VecDeque::new();
        for path in segments_in(&folder)? {
            if let Some(number) = number_of(&path) {
                files.push_back((number, fs::metadata(&path).map_or(0, |m| m.len())));
            }
        }
        let mut ring = Ring { folder, max_bytes, create, files, open: None };
        ring.make_room(0);
        Ok(ring)
    }

    /// Another bound; what is beyond it is removed, the oldest first.
    pub(super) fn resize(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
        self.make_room(0);
    }

    /// The number after the highest.
    pub(super) fn next_number(&self) -> u64 {
        self.files.back().map_or(1, |(number, _)| number + 1)
    }

    /// Bytes in all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.trace"))
    }

    /// Begins a file. One that was open stays as far as it was written.
    pub(super) fn begin(&mut self, number: u64) -> io::Result<()> {
        self.open = None;
        self.open = Some((self.create)(&self.path(number))?);
        self.files.push_back((number, 0));
        Ok(())
    }

    /// Appends to the file that is open. After an error it is removed.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            return Ok(());
        }
        let result = if self.make_room(bytes.len() as u64) {
            self.open.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
        } else {
            Err(io::Error::other("the segment is larger than recording.max_mib"))
        };
        match (&result, self.files.back_mut()) {
            (Ok(()), Some((_, size))) => *size += bytes.len() as u64,
            _ => self.abandon(),
        }
        result
    }

    /// Closes the file that is open.
    pub(super) fn end(&mut self) {
        self.open = None;
    }

    fn abandon(&mut self) {
        self.open = None;
        if let Some((number, _)) = self.files.pop_back() {
            // It may never have been made; what cannot be removed is found at the next start.
            let _ = fs::remove_file(self.path(number));
        }
    }

    /// Removes the oldest files until there is room. False if there never will be.
    fn make_room(&mut self, bytes: u64) -> bool {
        while self.bytes() + bytes > self.max_bytes {
            let last = usize::from(self.open.is_some());
            if self.files.len() <= last {
                return false;
            }
            if let Some((number, _)) = self.files.pop_front() {
                let _ = fs::remove_file(self.path(number));
            }
        }
        true
    }
}
