//! The last check: no name that the original told may be left in the result.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use core::net::IpAddr;

use memchr::memmem;

use super::error::RedactError;
use super::names::{is_common, words};

/// Shorter names are found by chance in any recording.
const SHORTEST: usize = 6;
/// Digits of hex up to this length are found by chance in jobs and shares.
const LONGEST_CHANCE_HEX: usize = 16;
/// Names as long as this are never taken for a part of an agent.
const LONG: usize = 16;

/// All that may not be left.
#[derive(Default)]
pub(super) struct Secrets {
    names: BTreeMap<String, &'static str>,
    /// What firmwares call themselves: it stays.
    agents: BTreeSet<String>,
}

impl Secrets {
    /// A name, a password or a host; its words as well.
    pub(super) fn name(&mut self, name: &str) {
        for part in words(name).filter(|part| part.len() < name.len()) {
            self.add(part, "a part of a name");
        }
        self.add(name, "a name");
    }

    pub(super) fn address(&mut self, address: IpAddr) {
        self.add(&address.to_string(), "an address");
    }

    /// A text that stays, in which somebody's name may be found by chance.
    pub(super) fn public(&mut self, agent: &str) {
        self.agents.insert(agent.to_ascii_lowercase());
    }

    fn add(&mut self, text: &str, what: &'static str) {
        let chance = text.len() <= LONGEST_CHANCE_HEX && text.bytes().all(|b| b.is_ascii_hexdigit());
        if text.len() >= SHORTEST
            && !chance
            && words(text).any(|word| !is_common(word))
            && !self.names.contains_key(text)
        {
            self.names.insert(text.to_string(), what);
        }
    }

    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), RedactError> {
        for (name, what) in &self.names {
            let lower = name.to_ascii_lowercase();
            if name.len() < LONG && self.agents.iter().any(|agent| agent.contains(&lower)) {
                continue;
            }
            if let Some(at) = memmem::find(bytes, name.as_bytes()) {
                return Err(RedactError::Left { what, length: name.len() as u64, at: at as u64 });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found() {
        let mut secrets = Secrets::default();
        secrets.name("bc1qxyz0123456789.garage-rig");
        secrets.name("x");
        secrets.name("worker");
        secrets.name("00c0ffee");
        secrets.name("cgminer");
        secrets.public("cgminer/4.11.1");
        secrets.address("192.0.2.1".parse().unwrap());
        for fine in ["x worker 00c0ffee cgminer/4.11.1 rig 192.0.3.1", ""] {
            assert_eq!(secrets.check(fine.as_bytes()), Ok(()));
        }
        for left in ["to bc1qxyz0123456789.", "a garage", "192.0.2.1"] {
            let found = secrets.check(left.as_bytes());
            // "garage" has six letters, of which none is by chance.
            assert!(matches!(found, Err(RedactError::Left { .. })), "{left}");
        }
    }
}
