//! What is wrong with a file, so that the operator can mend it without asking.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

/// Whether the file can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot: the program ends with 2.
    Error,
    /// It can, with the value corrected or left out.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// The key, `pools.A.host`; a line and column where the file is no JSON; a variable of the environment.
    pub path: String,
    /// The value as written; wallets and passwords are hidden; empty if there is none.
    pub value: String,
    /// What is wrong.
    pub what: String,
    /// What to write, or what holds instead.
    pub mend: String,
    /// The log event, v2's name where it has one.
    pub event: &'static str,
}

/// One line: `error: pools.A.port = 0: not a port; write a number from 1 to 65535`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.path)?;
        if !self.value.is_empty() {
            write!(f, " = {}", self.value)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.mend.is_empty() {
            write!(f, "; {}", self.mend)?;
        }
        Ok(())
    }
}

/// Log events for which v2 has no name.
pub(super) mod event {
    /// The file is no JSON.
    pub(in super::super) const BROKEN: &str = "config_broken";
    /// A value of the wrong type, or one that cannot be used.
    pub(in super::super) const INVALID: &str = "config_invalid";
    /// A placeholder of the shipped example.
    pub(in super::super) const PLACEHOLDER: &str = "config_placeholder";
    /// Something else than written is used.
    pub(in super::super) const CORRECTED: &str = "config_value_corrected";
    /// A value that has no effect.
    pub(in super::super) const IGNORED: &str = "config_value_ignored";
    /// A wallet that cannot be right.
    pub(in super::super) const WALLET: &str = "config_wallet_doubtful";
    /// A key that looks like a misspelt one.
    pub(in super::super) const UNKNOWN_KEY: &str = "config_unknown_key";
    /// A key that stands twice.
    pub(in super::super) const DUPLICATE_KEY: &str = "config_duplicate_key";
}

/// Most errors, and most warnings, that are told of one file.
const MOST: usize = 100;

/// All problems of one file in the order they were found.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    errors: usize,
    warnings: usize,
}

impl Report {
    /// Takes a problem; its path is cut and cleaned, as keys can be any text.
    pub(super) fn push(&mut self, mut problem: Problem) {
        if problem.value.contains(char::is_control) {
            problem.value = problem.value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        }
        if problem.path.len() > 120 || problem.path.contains(char::is_control) {
            let clean = problem.path.chars().take(120);
            problem.path = clean.map(|c| if c.is_control() { '?' } else { c }).collect();
        }
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MOST {
            self.problems.push(problem);
        }
    }

    /// The warnings if there is no error, all problems otherwise.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, Vec<Problem>> {
        for (severity, count) in [(Severity::Error, self.errors), (Severity::Warning, self.warnings)] {
            if count > MOST {
                self.problems.push(Problem {
                    severity,
                    path: "the file".to_string(),
                    value: String::new(),
                    what: format!("{} more of this kind", count - MOST),
                    mend: "mend the first ones and check again".to_string(),
                    event: event::INVALID,
                });
            }
        }
        if self.errors == 0 { Ok(self.problems) } else { Err(self.problems) }
    }
}
