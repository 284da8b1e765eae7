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

/// Gives a file that cannot be used a name under which nobody looks for it, and says in words what became of it.
pub fn set_aside(path: &Path) -> String {
    let aside = free_name(path);
    match fs::rename(path, &aside) {
        Ok(()) => format!("it was kept as {}", aside.display()),
        Err(error) => format!("it could not be renamed to {}: {error}", aside.display()),
    }
}

/// As [`set_aside`], and the file stays where it is, too.
pub fn copy_aside(path: &Path) -> String {
    let aside = free_name(path);
    match fs::copy(path, &aside) {
        Ok(_) => format!("the file as it was is kept as {}", aside.display()),
        Err(error) => format!("it could not be copied to {}: {error}", aside.display()),
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
