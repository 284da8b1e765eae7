//! Who is signed in. Sessions live in memory: a restart ends them. Only the digest of a cookie is kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

/// A session that nobody uses ends after this time.
const IDLE: Duration = Duration::from_secs(7 * 86_400);
/// And any after this.
const LIFE: Duration = Duration::from_secs(30 * 86_400);
/// At once; beyond, the one that was used longest ago ends.
const MOST: usize = 64;

pub(super) type Key = [u8; 32];

/// What is kept of a secret.
pub(super) fn digest(secret: &str) -> Key {
    Sha256::digest(secret.as_bytes()).into()
}

#[derive(Clone, Copy, Debug)]
struct Session {
    begun: Instant,
    used: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: BTreeMap<Key, Session>,
}

impl Sessions {
    pub(super) fn begin(&mut self, secret: &str, now: Instant) {
        self.open.retain(|_, session| session.lives(now));
        if self.open.len() >= MOST
            && let Some(oldest) = self.open.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            self.open.remove(&oldest);
        }
        self.open.insert(digest(secret), Session { begun: now, used: now });
    }

    /// True if the secret is of an open session, which is used by that.
    pub(super) fn touch(&mut self, secret: &str, now: Instant) -> bool {
        // Found by its digest: how long the look-up takes says nothing about the secret.
        let Some(session) = self.open.get_mut(&digest(secret)).filter(|session| session.lives(now)) else {
            return false;
        };
        session.used = now;
        true
    }

    pub(super) fn end(&mut self, secret: &str) {
        self.open.remove(&digest(secret));
    }

    /// All but this one.
    pub(super) fn end_others(&mut self, secret: Option<&str>) {
        let kept = secret.map(digest);
        self.open.retain(|key, _| Some(*key) == kept);
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.begun) < LIFE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        let at = |days: u64| start + Duration::from_secs(days * 86_400);
        sessions.begin("a", start);
        sessions.begin("b", start);
        assert!(sessions.touch("a", at(6)) && !sessions.touch("c", at(6)));
        assert!(sessions.touch("a", at(12)), "used lately");
        assert!(!sessions.touch("b", at(12)), "idle for too long");
        for day in [18, 24] {
            assert!(sessions.touch("a", at(day)));
        }
        assert!(!sessions.touch("a", at(30)), "however much it is used");
        sessions.begin("d", at(30));
        sessions.end("d");
        assert!(!sessions.touch("d", at(30)));
    }

    #[test]
    fn they_are_few() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        for n in 0..200u64 {
            sessions.begin(&n.to_string(), start + Duration::from_secs(n));
        }
        let now = start + Duration::from_secs(200);
        assert_eq!(sessions.open.len(), MOST);
        assert!(sessions.touch("199", now) && !sessions.touch("0", now));
        sessions.end_others(Some("199"));
        assert!(sessions.open.len() == 1 && sessions.touch("199", now));
    }
}
