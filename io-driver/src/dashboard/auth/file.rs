//! `auth.json` and `dashboard-password.txt`, both readable by their owner alone, both written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name, beside the config.
pub(crate) const AUTH: &str = "auth.json";
/// The first password's file, beside the config.
pub(crate) const FIRST_PASSWORD: &str = "dashboard-password.txt";

/// What is kept of who may come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthFile {
    pub(super) version: u32,
    /// Tells this installation's cookies from those of others on the same host.
    pub(super) instance: String,
    /// argon2id, in PHC form.
    pub(super) password: String,
    /// True while it is the first one, which stands in a file.
    pub(super) first: bool,
    #[serde(default)]
    pub(super) tokens: Vec<Token>,
}

/// A token for scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) id: String,
    pub(super) name: String,
    /// SHA-256 of the token, which is random and long.
    pub(super) digest: String,
    /// Seconds since 1970.
    pub(super) created: u64,
}

pub(super) fn read(path: &Path) -> io::Result<Option<AuthFile>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn write(path: &Path, file: &AuthFile) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(file)?;
    text.push(b'\n');
    write_private(path, &text)
}

/// Writes a file that only its owner can read.
pub(in super::super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = Path::new(&name);
    // One that is left over may have other permissions.
    let _ = fs::remove_file(temporary);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(temporary, path)
}
