//! Config texts on the disk: their version, written whole or not at all, and the last ones kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Source;
use crate::clock::{compact_utc, unix_micros};

/// Versions that are kept.
const KEPT: usize = 10;
/// The folder beside the config in which they are.
pub const FOLDER: &str = "config-history";
/// A config holds wallets and passwords: its owner alone reads it.
const OWNER_ONLY: u32 = 0o600;

/// Which text this is: 32 hex digits of the hash of its bytes. It serves as the API's ETag.
pub fn version_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file that is at no moment half written: into a temporary one beside it, to the disk, then in its place. A link
/// stays one, and the file's permissions stay; a new file is its owner's alone.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode = fs::metadata(&path).map_or(OWNER_ONLY, |found| found.permissions().mode() & 0o777);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new.{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // What cannot be removed was never made.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        // The rename is on the disk when the folder is. Some file systems cannot do this.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask is.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// One kept version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its number: they count up.
    pub number: u64,
    /// When it came into force, UTC: `20260131T120000Z`.
    pub at: String,
    /// What brought it: `start`, `signal`, `file`, `api`, `rollback`.
    pub source: String,
    /// The version of its text, as [`version_of`] says it.
    pub version: String,
}

/// The last versions that were in force.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The history in this folder, which is made when there is something to keep.
    pub fn new(folder: PathBuf) -> History {
        History { folder }
    }

    /// What is kept, the oldest first.
    pub fn list(&self) -> Vec<Kept> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut kept: Vec<Kept> = entries.filter_map(|entry| parse(entry.ok()?.file_name().to_str()?)).collect();
        kept.sort_by_key(|kept| kept.number);
        kept
    }

    /// The text of a kept version.
    pub fn text(&self, number: u64) -> Option<String> {
        let kept = self.list().into_iter().find(|kept| kept.number == number)?;
        fs::read_to_string(self.path(&kept)).ok()
    }

    /// Keeps a text, unless it is the last one that was kept; the oldest one beyond ten goes.
    pub fn keep(&self, text: &str, source: Source) -> io::Result<()> {
        let before = self.list();
        let version = version_of(text);
        if before.last().is_some_and(|last| last.version == version) {
            return Ok(());
        }
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let number = before.last().map_or(1, |last| last.number + 1);
        let at = compact_utc(unix_micros() / 1_000_000);
        let kept = Kept { number, at, source: source.name().to_owned(), version };
        write_whole(&self.path(&kept), text.as_bytes())?;
        let surplus = (before.len() + 1).saturating_sub(KEPT);
        for old in before.iter().take(surplus) {
            fs::remove_file(self.path(old))?;
        }
        Ok(())
    }

    fn path(&self, kept: &Kept) -> PathBuf {
        let Kept { number, at, source, version } = kept;
        self.folder.join(format!("{number:06}-{at}-{source}-{version}.json"))
    }
}

fn parse(name: &str) -> Option<Kept> {
    let mut parts = name.strip_suffix(".json")?.split('-');
    let number = parts.next()?.parse().ok()?;
    let mut next = || parts.next().map(str::to_owned);
    let kept = Kept { number, at: next()?, source: next()?, version: next()? };
    (parts.next().is_none() && kept.version.len() == 32).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        crate::scratch::folder(&format!("files-{name}"))
    }

    #[test]
    fn ten_versions_are_kept_for_their_owner_alone() {
        let folder = folder("ten").join("history");
        let history = History::new(folder.clone());
        assert!(history.list().is_empty());
        for n in 0..13 {
            history.keep(&format!("{{\"n\": {n}}}"), Source::Api).unwrap();
            history.keep(&format!("{{\"n\": {n}}}"), Source::File).unwrap();
        }
        let kept = history.list();
        assert_eq!(kept.iter().map(|k| k.number).collect::<Vec<_>>(), (4..=13).collect::<Vec<_>>());
        assert!(kept.iter().all(|k| k.source == "api"), "the same text is not kept twice: {kept:?}");
        assert_eq!(history.text(13).as_deref(), Some("{\"n\": 12}"));
        assert_eq!(history.text(3), None);
        for entry in fs::read_dir(&folder).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_and_the_permissions_stay() {
        let folder = folder("link");
        let (real, link) = (folder.join("real.json"), folder.join("link.json"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing is left over");
    }
}
