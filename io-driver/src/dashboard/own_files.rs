//! The files of this program beside the config, where no log may be written: a password's hash that is a log, or a log
//! that can be downloaded and is a password.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use dpmp_core::config::Config;

use super::auth::{AUTH, FIRST_PASSWORD};
use crate::reload::{FOLDER, Flaw};
use crate::{live_weights, settings};

/// Each also with more behind a dot (`state.json.1`, `auth.json.new`).
const OWN: [&str; 10] = [
    AUTH,
    FIRST_PASSWORD,
    live_weights::NAME,
    "state.json",
    "best_shares.json",
    "best_shares.jsonl",
    "records.jsonl",
    "blocks.jsonl",
    "blocks.more.jsonl",
    "history.json",
];

/// What is wrong with `logging.file`, if it is one of them or lies in a folder of theirs.
pub(super) fn refused(config: &Path, new: &Config) -> Option<Flaw> {
    let file = new.logging.file.as_ref()?;
    let log = real(&settings::beside(config, file));
    let folder = real(&settings::beside(config, ""));
    let (real_config, name) = (real(config), log.file_name()?.to_string_lossy().to_lowercase());
    // Some file systems know no upper case.
    let config_name = config.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is = |own: &str| name == own || name.strip_prefix(own).is_some_and(|rest| rest.starts_with('.'));
    let beside = log.parent() == Some(&folder) && (OWN.into_iter().any(is) || is(&config_name));
    let within = |name: &str| log.starts_with(real(&settings::beside(config, name)));
    let linked = OWN.iter().any(|own| same(&log, &folder.join(own))) || same(&log, &real_config);
    // An empty folder's name is the config's own folder, where a log may well be.
    let recorded = real(&settings::beside(config, &new.recording.dir)) != folder && within(&new.recording.dir);
    (log == real_config || beside || linked || within(FOLDER) || recorded).then(|| Flaw {
        severity: "error",
        path: "logging.file".to_owned(),
        value: file.clone(),
        what: "is one of dpmp's own files, or lies in a folder of theirs: a log there would damage it and show it"
            .to_owned(),
        mend: "another name, such as \"dpmp.log\", or null for standard output".to_owned(),
    })
}

/// Where a path leads; what is not there yet is where its folder is.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = fs::canonicalize(path) {
        return real;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// One file by two names.
fn same(one: &Path, other: &Path) -> bool {
    let number = |path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    number(one).is_some_and(|one| number(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::config::PoolConfig;

    #[test]
    fn a_log_is_none_of_our_files() {
        let folder = crate::scratch::folder("own-files");
        let config = folder.join("my.json");
        for name in ["my.json", AUTH] {
            fs::write(folder.join(name), "{}").unwrap();
        }
        fs::create_dir(folder.join("recording")).unwrap();
        std::os::unix::fs::symlink(AUTH, folder.join("soft.log")).unwrap();
        fs::hard_link(folder.join(AUTH), folder.join("hard.log")).unwrap();
        let refuses = |name: &str| {
            let mut new = Config::with_pools(vec![PoolConfig::new("A")], vec![1_000_000]);
            new.logging.file = Some(name.to_owned());
            refused(&config, &new).is_some()
        };
        let absolute = folder.join("history.json").display().to_string();
        for own in [
            "my.json",
            "auth.json",
            "./auth.json",
            "recording/../auth.json",
            "AUTH.json",
            "auth.json.new",
            "state.json.1",
            "dashboard-password.txt",
            "soft.log",
            "hard.log",
            "recording/00000001.trace",
            absolute.as_str(),
        ] {
            assert!(refuses(own), "{own}");
        }
        for good in ["dpmp.log", "log/dpmp.log", "/var/log/dpmp.log", "auth.jsonx", "state.log"] {
            assert!(!refuses(good), "{good}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
