//! From the files and the environment to a [`Config`]: which file, what the environment changes, what the command line
//! changes. The rules of the file itself are core's.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use dpmp_core::config::{Config, Overrides, Parsed, parse, parse_with};

/// The name that is looked for when none is given.
pub const DEFAULT_NAME: &str = "config_v2.json";

/// Which config file to use.
pub fn find(named: Option<PathBuf>) -> Result<PathBuf, String> {
    let from_environment = env::var_os("DPMP_CONFIG").filter(|name: &OsString| !name.is_empty());
    if let Some(path) = named.or(from_environment.map(PathBuf::from)) {
        return Ok(path);
    }
    let path = PathBuf::from(DEFAULT_NAME);
    if path.exists() {
        return Ok(path);
    }
    Err(format!(
        "there is no config: ./{DEFAULT_NAME} does not exist. Copy config_v2_example.json to it and fill it in, or name a \
         file with --config FILE or DPMP_CONFIG. To see dpmp at work without any: dpmp demo"
    ))
}

/// Reads a file and the environment. What is wrong comes back as lines, all of it at once.
pub fn load(path: &Path) -> Result<Parsed, Vec<String>> {
    let text = read(path)?;
    let set = |name| env::var(name).unwrap_or_default();
    let (level, allow, deny) = (set("DPMP_LOG_LEVEL"), set("DPMP_LOG_ALLOW"), set("DPMP_LOG_DENY"));
    let overrides = Overrides { log_level: Some(&level), log_allow: Some(&allow), log_deny: Some(&deny) };
    parse_with(&text, &overrides).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// Reads a file alone: `Ok` holds warnings, `Err` errors and warnings.
pub fn check(path: &Path) -> Result<Vec<String>, Vec<String>> {
    match parse(&read(path)?) {
        Ok(parsed) => Ok(parsed.warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn read(path: &Path) -> Result<String, Vec<String>> {
    let bytes = fs::read(path).map_err(|error| vec![format!("error: {} cannot be read: {error}", path.display())])?;
    String::from_utf8(bytes).map_err(|_| vec![format!("error: {} is not UTF-8 text", path.display())])
}

/// A file that lies beside the config.
pub fn beside(config: &Path, name: &str) -> PathBuf {
    config.parent().unwrap_or(Path::new("")).join(name)
}

/// Applies what the command line sets.
pub fn apply(ports: &crate::cli::Ports, config: &mut Config) {
    if let Some(listen) = &ports.listen {
        config.listen = listen.clone();
    }
    if let Some(metrics) = &ports.metrics {
        config.metrics = Some(metrics.clone());
    }
    if let Some(dashboard) = &ports.dashboard {
        config.dashboard.address = dashboard.clone();
    }
}
