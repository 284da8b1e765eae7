//! Who may do what: the password, the sessions of browsers, the tokens of scripts. The driver's own: none of it is ever an
//! event of the engine, so none of it is in a recording.
//!
//! The password is, in this order: `DASHBOARD_PASSWORD`; the one that was set on the page (argon2id in `auth.json`); a
//! random one that was made at the first start and stands in `dashboard-password.txt`.

mod attempts;
mod file;
mod random;
mod sessions;

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use log::Level;

use crate::clock::unix_micros;
use crate::logs::line;
use attempts::Attempts;
pub(super) use file::write_private;
pub(crate) use file::{AUTH, FIRST_PASSWORD};
use file::{AuthFile, Token};
use sessions::{Sessions, digest};

/// A password that somebody chooses has at least so many characters.
const SHORTEST: usize = 10;
/// Nobody types a longer one; argon2's work does not grow with it, but copies do.
const LONGEST: usize = 256;
/// Tokens at most.
const TOKENS: usize = 32;

/// Why somebody may not come in, or why a secret could not be changed.
#[derive(Debug)]
pub(super) enum AuthError {
    /// Wrong, and how long this address must wait now.
    Wrong(Option<Duration>),
    /// Too many failures: how long to wait.
    Wait(Duration),
    /// The wish makes no sense, with words.
    Unusable(String),
    /// `DASHBOARD_PASSWORD` decides.
    Fixed,
    /// The file was changed meanwhile, as by `dpmp reset-password`.
    Changed,
    /// The file could not be written, or there is no chance to be had.
    System(String),
}

impl From<io::Error> for AuthError {
    fn from(error: io::Error) -> AuthError {
        AuthError::System(error.to_string())
    }
}

impl From<getrandom::Error> for AuthError {
    fn from(error: getrandom::Error) -> AuthError {
        AuthError::System(error.to_string())
    }
}

/// What a token's list shows.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct TokenShown {
    id: String,
    name: String,
    created: u64,
}

/// Where a token's own secret begins, so that one that leaks can be found.
const TOKEN_HEAD: &str = "dpmp_";

/// The keeper of the door.
#[derive(Debug)]
pub(crate) struct Auth {
    folder: PathBuf,
    /// `DASHBOARD_PASSWORD`, or what the demo chose.
    fixed: Option<String>,
    state: Mutex<State>,
}

/// When a file was last written, and its number, as times may be coarse; none if it is not there.
type Seen = Option<(SystemTime, u64)>;

#[derive(Debug)]
struct State {
    file: AuthFile,
    /// The file as it was last seen, so that `dpmp reset-password` works on a running proxy.
    seen: Seen,
    sessions: Sessions,
    attempts: Attempts,
}

impl Auth {
    /// Reads `auth.json` in this folder. At the first start a password is made and its path logged.
    pub(crate) fn open(folder: &Path, fixed: Option<String>) -> Result<Auth, String> {
        let path = folder.join(AUTH);
        let file = match file::read(&path) {
            // Kept while the environment decided, and it no longer does.
            Ok(Some(file)) if fixed.is_none() && file.password.is_empty() => {
                let kept = AuthFile { instance: file.instance, tokens: file.tokens, ..first_start(folder)? };
                file::write(&path, &kept).map_err(|error| error.to_string())?;
                kept
            }
            Ok(Some(file)) => file,
            Ok(None) if fixed.is_some() => AuthFile { first: false, ..fresh(None).map_err(|error| error.to_string())? },
            Ok(None) => first_start(folder)?,
            // Not overwritten: it may be mended. Without it nobody may come in.
            Err(error) => return Err(format!("{} cannot be used: {error}; see `dpmp reset-password`", path.display())),
        };
        let state = State { file, seen: seen(&path), sessions: Sessions::default(), attempts: Attempts::default() };
        Ok(Auth { folder: folder.to_owned(), fixed: fixed.filter(|p| !p.is_empty()), state: Mutex::new(state) })
    }

    /// The state is whole between any two statements, so a panic elsewhere cannot have left it odd.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cookie's name.
    pub(super) fn cookie(&self) -> String {
        format!("dpmp_{}", self.state().file.instance)
    }

    /// True while the password is the one that was made at the first start.
    pub(super) fn is_first(&self) -> bool {
        self.fixed.is_none() && self.state().file.first
    }

    /// True if the password cannot be changed on the page.
    pub(super) fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// A new session's secret for the right password. Takes about a tenth of a second: not for the async thread.
    pub(super) fn login(&self, address: IpAddr, password: &str) -> Result<String, AuthError> {
        let secret = random::hex(32)?;
        self.checked(address, password)?.sessions.begin(&secret, Instant::now());
        Ok(secret)
    }

    /// Whether the password is right; a wrong one counts. Takes about a tenth of a second.
    pub(super) fn check(&self, address: IpAddr, password: &str) -> Result<(), AuthError> {
        self.checked(address, password).map(drop)
    }

    /// The same; what the right one opens is still locked against a reset.
    fn checked(&self, address: IpAddr, password: &str) -> Result<MutexGuard<'_, State>, AuthError> {
        let hash = {
            let mut state = self.latest();
            let now = Instant::now();
            if let Some(wait) = state.attempts.wait(address, now) {
                return Err(AuthError::Wait(wait));
            }
            // Counted before it is known to be wrong: many tries at once count as many.
            state.attempts.failed(address, now);
            state.file.password.clone()
        };
        let right = password.len() <= LONGEST
            && match &self.fixed {
                // Digests of the same length, so that the comparison says nothing about the password.
                Some(fixed) => digest(fixed) == digest(password),
                None => verify(&hash, password),
            };
        let mut state = self.latest();
        // It may have been reset while this one was hashed.
        if !right || state.file.password != hash {
            return Err(AuthError::Wrong(state.attempts.wait(address, Instant::now())));
        }
        state.attempts.succeeded(address);
        Ok(state)
    }

    /// Sets the owner's own password; all other sessions end.
    pub(super) fn change(&self, session: Option<&str>, new: &str) -> Result<(), AuthError> {
        if self.fixed.is_some() {
            return Err(AuthError::Fixed);
        }
        if new.chars().count() < SHORTEST || new.len() > LONGEST {
            return Err(AuthError::Unusable(format!("a password needs {SHORTEST} to {LONGEST} characters")));
        }
        let password = hash(new)?;
        let mut state = self.state();
        let file = AuthFile { password, first: false, ..state.file.clone() };
        self.save(&mut state, file)?;
        state.sessions.end_others(session);
        drop(state);
        // It is of no more use; if it is gone already, well.
        let _ = std::fs::remove_file(self.folder.join(FIRST_PASSWORD));
        Ok(())
    }

    /// True if the secret is of an open session.
    pub(super) fn session(&self, secret: &str) -> bool {
        self.latest().sessions.touch(secret, Instant::now())
    }

    pub(super) fn logout(&self, secret: &str) {
        self.state().sessions.end(secret);
    }

    /// The name of the token with this secret.
    pub(super) fn token(&self, secret: &str) -> Option<String> {
        let digest = random::to_hex(&digest(secret));
        let state = self.latest();
        let token = state.file.tokens.iter().find(|token| token.digest == digest)?;
        Some(token.name.clone())
    }

    pub(super) fn tokens(&self) -> Vec<TokenShown> {
        let shown =
            |token: &Token| TokenShown { id: token.id.clone(), name: token.name.clone(), created: token.created };
        self.latest().file.tokens.iter().map(shown).collect()
    }

    /// A new token, shown this once.
    pub(super) fn add_token(&self, name: &str) -> Result<(String, String), AuthError> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 64 || name.contains(char::is_control) {
            return Err(AuthError::Unusable("a token needs a name of 1 to 64 characters".to_owned()));
        }
        let secret = format!("{TOKEN_HEAD}{}", random::hex(32)?);
        let id = random::hex(6)?;
        let mut state = self.state();
        if state.file.tokens.len() >= TOKENS {
            return Err(AuthError::Unusable(format!("there are {TOKENS} tokens already: revoke one first")));
        }
        let mut file = state.file.clone();
        let created = unix_micros() / 1_000_000;
        let digest = random::to_hex(&digest(&secret));
        file.tokens.push(Token { id: id.clone(), name: name.to_owned(), digest, created });
        self.save(&mut state, file)?;
        Ok((id, secret))
    }

    /// False if there is none with this id.
    pub(super) fn revoke(&self, id: &str) -> Result<bool, AuthError> {
        let mut state = self.state();
        let mut file = state.file.clone();
        file.tokens.retain(|token| token.id != id);
        if file.tokens.len() == state.file.tokens.len() {
            return Ok(false);
        }
        self.save(&mut state, file)?;
        Ok(true)
    }

    /// Writes what was made of the file as it was last seen: never over what somebody else has written since.
    fn save(&self, state: &mut State, file: AuthFile) -> Result<(), AuthError> {
        let path = self.folder.join(AUTH);
        if seen(&path) != state.seen {
            return Err(AuthError::Changed);
        }
        file::write(&path, &file)?;
        state.file = file;
        state.seen = seen(&path);
        Ok(())
    }

    /// The state with a file that was changed by `dpmp reset-password`. Whoever was signed in no longer is.
    fn latest(&self) -> MutexGuard<'_, State> {
        let path = self.folder.join(AUTH);
        let mut state = self.state();
        let now = seen(&path);
        if now != state.seen {
            state.seen = now;
            if let Ok(Some(file)) = file::read(&path) {
                state.file = file;
                state.sessions.end_others(None);
                state.attempts = Attempts::default();
            }
        }
        state
    }
}

fn seen(path: &Path) -> Seen {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.ino()))
}

fn first_start(folder: &Path) -> Result<AuthFile, String> {
    let path = folder.join(FIRST_PASSWORD);
    let mend = "set DASHBOARD_PASSWORD, or make the folder writable";
    let password = random::password().map_err(|error| error.to_string())?;
    let file = fresh(Some(&password)).map_err(|error| error.to_string())?;
    file::write_private(&path, format!("{password}\n").as_bytes())
        .and_then(|()| file::write(&folder.join(AUTH), &file))
        .map_err(|error| format!("{} cannot be written: {error}; {mend}", path.display()))?;
    line(Level::Info, "dashboard_password")
        .show("path", path.display())
        .text("text", "the password for the first login stands in this file")
        .send();
    Ok(file)
}

/// A file with this password; none: nobody's.
fn fresh(password: Option<&str>) -> Result<AuthFile, getrandom::Error> {
    let password = match password {
        Some(password) => hash(password)?,
        None => String::new(),
    };
    Ok(AuthFile { version: 1, instance: random::hex(4)?, password, first: true, tokens: Vec::new() })
}

/// argon2id at the library's cost (19 MiB, two passes).
fn hash(password: &str) -> Result<String, getrandom::Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    let salt = SaltString::encode_b64(&salt);
    let hashed = salt.and_then(|salt| Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string()));
    // Sixteen bytes are a salt, and passwords are shorter than 4 GiB.
    Ok(hashed.unwrap_or_else(|error| unreachable!("argon2 refused its own defaults: {error}")))
}

fn verify(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A password for the demo.
pub fn random_password() -> Result<String, getrandom::Error> {
    random::password()
}

/// `dpmp reset-password`: a new random password in its file; tokens are revoked. Returns the file's path.
pub fn reset(folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join(AUTH);
    let old = file::read(&path);
    let file = first_start(folder)?;
    // The instance stays, so that browsers replace their old cookie.
    if let Ok(Some(old)) = old {
        let kept = AuthFile { instance: old.instance, ..file };
        file::write(&path, &kept).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(folder.join(FIRST_PASSWORD))
}

#[cfg(test)]
mod tests;
