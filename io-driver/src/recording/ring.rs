//! The folder of segments: `NNNNNNNN.trace`, the oldest removed first, never more bytes than the bound, nor than the disk has
//! room for. Knows no thread and no engine.

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
    /// Segments that were removed because the disk was full.
    squeezed: u64,
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
        let mut ring = Ring { folder, max_bytes, create, files, open: None, squeezed: 0 };
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
        let path = self.path(number);
        let file = loop {
            match (self.create)(&path) {
                Err(error) if is_full(&error) && self.squeeze() => {}
                other => break other?,
            }
        };
        self.open = Some(file);
        self.files.push_back((number, 0));
        Ok(())
    }

    /// Appends to the file that is open. After an error it is removed.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.open.is_none() {
            return Ok(());
        }
        let result = if self.make_room(bytes.len() as u64) {
            self.write_all(bytes)
        } else {
            Err(io::Error::other("the segment is larger than recording.max_mib"))
        };
        match (&result, self.files.back_mut()) {
            (Ok(()), Some((_, size))) => *size += bytes.len() as u64,
            _ => self.abandon(),
        }
        result
    }

    /// A full disk costs the oldest segments first: the newest is what a bug report is about.
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let Some(file) = &mut self.open else { return Ok(()) };
            match file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_full(&error) && self.squeeze() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How many segments were removed for want of room on the disk, since this was asked last.
    pub(super) fn squeezed(&mut self) -> u64 {
        std::mem::take(&mut self.squeezed)
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

    /// Removes the oldest files until there is room within the bound. False if there never will be.
    fn make_room(&mut self, bytes: u64) -> bool {
        while self.bytes() + bytes > self.max_bytes {
            if !self.drop_oldest() {
                return false;
            }
        }
        true
    }

    /// The disk is full: the oldest file makes room. False if there is none but the one that is being written.
    fn squeeze(&mut self) -> bool {
        let dropped = self.drop_oldest();
        self.squeezed += u64::from(dropped);
        dropped
    }

    fn drop_oldest(&mut self) -> bool {
        let last = usize::from(self.open.is_some());
        if self.files.len() <= last {
            return false;
        }
        if let Some((number, _)) = self.files.pop_front() {
            let _ = fs::remove_file(self.path(number));
        }
        true
    }
}

/// The disk has no room, or its owner may have no more of it.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
