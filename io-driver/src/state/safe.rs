//! Files that are there whole or not at all, with the last good one kept; and files that nobody can use, set aside and
//! never deleted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Files of one name that are set aside; beyond, the name of the last is used again.
const MOST_ASIDE: u32 = 100;

/// The path with something behind its name.
fn with_tail(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(tail);
    path.with_file_name(name)
}

/// Where the last good one is kept.
pub fn previous(path: &Path) -> PathBuf {
    with_tail(path, ".1")
}

/// Writes a file: into a temporary one beside it, to the disk, then in its place. What was there before is kept as `.1`.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_tail(path, ".new");
    let mut out = File::create(&temporary)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    match fs::rename(path, previous(path)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::rename(&temporary, path)?;
    sync_folder(path);
    Ok(())
}

/// The rename is on the disk when the folder is. Some file systems cannot do this, and lose only the last save.
pub fn sync_folder(path: &Path) {
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// What was read of files that are written anew later.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded<T> {
    /// What could be used.
    pub value: T,
    /// In words, one for each trouble.
    pub trouble: Vec<String>,
    /// Something that cannot be used stands where the next save would be: there must be none.
    pub keep_off: bool,
}

impl<T> Loaded<T> {
    /// A file cannot be used: gives it a name under which nobody looks for it. If that cannot be done it must not be
    /// written over.
    pub(crate) fn set_aside(&mut self, path: &Path, why: &str) {
        let aside = free_name(path);
        let kept =
            fs::rename(path, &aside).map_err(|error| format!("could not be renamed to {}: {error}", aside.display()));
        self.kept(path, why, kept.map(|()| format!("it was kept as {}", aside.display())));
    }

    /// As [`Loaded::set_aside`], and the file stays where it is, too.
    pub(crate) fn copy_aside(&mut self, path: &Path, why: &str) {
        let aside = free_name(path);
        let kept =
            fs::copy(path, &aside).map_err(|error| format!("could not be copied to {}: {error}", aside.display()));
        self.kept(path, why, kept.map(|_| format!("the file as it was is kept as {}", aside.display())));
    }

    fn kept(&mut self, path: &Path, why: &str, kept: Result<String, String>) {
        let words = match kept {
            Ok(kept) => kept,
            Err(error) => {
                self.keep_off = true;
                format!(
                    "it {error}; so that it is not written over, nothing is saved here: move it away, and restart dpmp"
                )
            }
        };
        self.trouble.push(format!("{} {why}; {words}", path.display()));
    }
}

fn free_name(path: &Path) -> PathBuf {
    let mut aside = with_tail(path, ".damaged");
    for n in 2..=MOST_ASIDE {
        if !aside.exists() {
            break;
        }
        aside = with_tail(path, &format!(".damaged-{n}"));
    }
    aside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_put_aside_is_not_to_be_written_over() {
        let folder = crate::scratch::folder("aside");
        let path = folder.join("state.json");
        fs::write(&path, "dear").unwrap();
        let mut loaded = Loaded::<u32>::default();
        loaded.copy_aside(&path, "is odd");
        assert!(!loaded.keep_off && path.exists());
        // All names are taken, by folders.
        for n in 1..=MOST_ASIDE {
            let tail = if n == 1 { ".damaged".to_owned() } else { format!(".damaged-{n}") };
            let _ = fs::remove_file(with_tail(&path, &tail));
            fs::create_dir_all(with_tail(&path, &tail).join("full")).unwrap();
        }
        loaded.set_aside(&path, "cannot be used");
        assert!(loaded.keep_off);
        assert!(loaded.trouble[1].contains("nothing is saved here"), "{:?}", loaded.trouble);
        assert_eq!(fs::read_to_string(&path).unwrap(), "dear");
    }
}
