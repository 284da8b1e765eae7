//! Folders for unit tests.

use std::fs;
use std::path::PathBuf;

/// An empty folder of this name, which no other test has, in the system's folder for such.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("dpmp-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}
