//! Failed logins by address: five in five minutes, then five minutes' wait. Nobody is locked out for good.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const MOST: usize = 5;
const WITHIN: Duration = Duration::from_secs(300);
/// Addresses remembered; beyond, the one that failed longest ago is forgotten.
const ADDRESSES: usize = 1024;

/// Who failed when.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    failed: BTreeMap<IpAddr, VecDeque<Instant>>,
}

impl Attempts {
    /// How long this address must wait before its next try.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let failed = self.failed.get(&network(address))?;
        let last = failed.back().filter(|_| failed.len() >= MOST)?;
        WITHIN.checked_sub(now.duration_since(*last)).filter(|left| *left > Duration::ZERO)
    }

    /// One more failure.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) {
        if self.failed.len() >= ADDRESSES && !self.failed.contains_key(&network(address)) {
            let oldest = self.failed.iter().min_by_key(|(_, failed)| failed.back().copied()).map(|(a, _)| *a);
            if let Some(oldest) = oldest {
                self.failed.remove(&oldest);
            }
        }
        let failed = self.failed.entry(network(address)).or_default();
        failed.push_back(now);
        while failed.len() > MOST || failed.front().is_some_and(|first| now.duration_since(*first) > WITHIN) {
            failed.pop_front();
        }
    }

    /// A success wipes the slate.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        self.failed.remove(&network(address));
    }
}

/// An IPv6 host has a whole /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_then_five_minutes() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let (bad, good): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for second in 0..4 {
            attempts.failed(bad, at(second));
            assert_eq!(attempts.wait(bad, at(second)), None);
        }
        attempts.failed(bad, at(4));
        assert_eq!(attempts.wait(bad, at(4)), Some(WITHIN));
        assert_eq!(attempts.wait(good, at(4)), None);
        assert_eq!(attempts.wait(bad, at(303)), Some(Duration::from_secs(1)));
        assert_eq!(attempts.wait(bad, at(304)), None, "never for good");
        attempts.failed(bad, at(310));
        assert_eq!(attempts.wait(bad, at(310)), None, "the old failures are too old");
        attempts.failed(good, at(310));
        attempts.succeeded(good);
        assert_eq!(attempts.failed.len(), 1);
    }

    #[test]
    fn neighbours_of_one_ipv6_network_are_one() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..5u8 {
            attempts.failed(format!("2001:db8::{host}").parse().unwrap(), now);
        }
        assert!(attempts.wait("2001:db8::ffff".parse().unwrap(), now).is_some());
        assert!(attempts.wait("2001:db8:0:1::1".parse().unwrap(), now).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..5000u32 {
            attempts.failed(IpAddr::V4(host.into()), now + Duration::from_millis(u64::from(host)));
        }
        assert_eq!(attempts.failed.len(), ADDRESSES);
        assert!(attempts.failed.contains_key(&IpAddr::V4(4999.into())));
    }
}
