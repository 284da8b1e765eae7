//! From the files and the environment to a [`Config`]: which file, what the environment changes, what the command line
//! changes. The rules of the file itself are core's.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use dpmp_core::config::{Config, Overrides, Parsed, Problem, Severity, parse, parse_with};

use crate::cli::Ports;

/// The name that is looked for when none is given.
pub const DEFAULT_NAME: &str = "config_v2.json";

/// Which config file to use.
pub fn find(named: Option<PathBuf>) -> Result<PathBuf, String> {
    // The second is that of v2's dashboard.
    let set = |name| env::var_os(name).filter(|path: &OsString| !path.is_empty());
    let from_environment = set("DPMP_CONFIG").or_else(|| set("DPMP_CONFIG_PATH"));
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

/// A config file, and what wins over it: the command line and the environment, which stay as they were at the start
/// however often the file is read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    ports: Ports,
    environment: [String; 3],
    gui: [String; 2],
}

/// Variables of v2's dashboard that win over `dashboard.host` and `dashboard.port`.
const GUI_VARIABLES: [&str; 2] = ["NICEGUI_HOST", "NICEGUI_PORT"];
/// Variables that win over `logging.level`, `allow` and `deny`.
const VARIABLES: [&str; 3] = ["DPMP_LOG_LEVEL", "DPMP_LOG_ALLOW", "DPMP_LOG_DENY"];

impl ConfigFile {
    /// The file at this path, with these flags and the environment as it is now.
    pub fn new(path: PathBuf, ports: &Ports) -> ConfigFile {
        let read = |name| env::var(name).unwrap_or_default();
        ConfigFile { path, ports: ports.clone(), environment: VARIABLES.map(read), gui: GUI_VARIABLES.map(read) }
    }

    /// The file's text.
    pub fn read(&self) -> Result<String, Problem> {
        read(&self.path)
    }

    /// What a text means in this place: with what the environment and the flags set.
    pub fn understand(&self, text: &str) -> Result<Parsed, Vec<Problem>> {
        let [level, allow, deny] = &self.environment;
        let overrides = Overrides { log_level: Some(level), log_allow: Some(allow), log_deny: Some(deny) };
        let mut parsed = parse_with(text, &overrides)?;
        self.apply_gui(&mut parsed);
        apply(&self.ports, &mut parsed.config);
        Ok(parsed)
    }

    fn apply_gui(&self, parsed: &mut Parsed) {
        let [host, port] = self.gui.each_ref().map(|text| text.trim());
        if !host.is_empty() {
            parsed.config.dashboard.address.host = host.to_owned();
        }
        match port.parse::<u16>() {
            _ if port.is_empty() => {}
            Ok(port @ 1..) => parsed.config.dashboard.address.port = port,
            _ => parsed.warnings.push(Problem {
                severity: Severity::Warning,
                path: GUI_VARIABLES[1].to_owned(),
                value: port.to_owned(),
                what: "is no port; the variable is passed over".to_owned(),
                mend: "a number from 1 to 65535".to_owned(),
                event: "config_value_ignored",
            }),
        }
    }

    /// A key that an edit of the file cannot change, and what sets it.
    pub fn overridden(&self) -> Vec<(&'static str, &'static str)> {
        let flags = [
            (self.ports.listen.is_some(), "listen", "--listen"),
            (self.ports.metrics.is_some(), "metrics", "--metrics"),
            (self.ports.dashboard.is_some(), "dashboard", "--dashboard"),
        ];
        let flags = flags.into_iter().filter(|(set, ..)| *set).map(|(_, key, flag)| (key, flag));
        let keys = ["logging.level", "logging.allow", "logging.deny"];
        let set = self.environment.iter().map(|text| !text.trim().is_empty());
        let variables = set.zip(keys.into_iter().zip(VARIABLES)).filter(|(set, _)| *set).map(|(_, pair)| pair);
        let gui = ["dashboard.host", "dashboard.port"].into_iter().zip(GUI_VARIABLES);
        let gui = self.gui.iter().zip(gui).filter(|(text, _)| !text.trim().is_empty()).map(|(_, pair)| pair);
        flags.chain(variables).chain(gui).collect()
    }

    /// A file that lies beside the config.
    pub fn beside(&self, name: &str) -> PathBuf {
        beside(&self.path, name)
    }
}

/// Reads a file alone: `Ok` holds the config and warnings, `Err` errors and warnings.
pub fn check(path: &Path) -> Result<(Config, Vec<String>), Vec<String>> {
    let words = |problems: &[Problem]| problems.iter().map(ToString::to_string).collect();
    let text = read(path).map_err(|problem| words(&[problem]))?;
    match parse(&text) {
        Ok(parsed) => Ok((parsed.config, words(&parsed.warnings))),
        Err(problems) => Err(words(&problems)),
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let problem = |what: String, mend: &str| Problem {
        severity: Severity::Error,
        path: path.display().to_string(),
        value: String::new(),
        what,
        mend: mend.to_owned(),
        event: "config_unreadable",
    };
    let bytes = fs::read(path).map_err(|error| problem(format!("cannot be read: {error}"), ""))?;
    String::from_utf8(bytes).map_err(|_| problem("is not UTF-8 text".to_owned(), "save it as UTF-8"))
}

/// A file that lies beside the config; the folder itself for an empty name.
pub fn beside(config: &Path, name: &str) -> PathBuf {
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if name.is_empty() { folder.to_owned() } else { folder.join(name) }
}

/// `DASHBOARD_PASSWORD`, if it is set.
pub fn dashboard_password() -> Option<String> {
    env::var("DASHBOARD_PASSWORD").ok().filter(|password| !password.is_empty())
}

/// Applies what the command line sets.
pub fn apply(ports: &Ports, config: &mut Config) {
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
