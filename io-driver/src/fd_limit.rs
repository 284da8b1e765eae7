//! The number of file descriptors that the system grants, raised as far as it goes and compared with what the miners
//! need.

/// Descriptors for everything that is no miner: files, HTTP, listeners, lookups.
const OTHERS: u64 = 128;

/// Raises the soft limit to the hard one. Returns the limit in force; none where the system does not tell.
pub fn raise() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get().map(|(soft, _)| soft)).ok()
}

/// How many miners the limit is enough for, each with a connection to each of so many pools; 1 at least.
pub fn enough_for(limit: u64, pools: usize) -> u32 {
    let miners = limit.saturating_sub(OTHERS) / (1 + pools as u64);
    u32::try_from(miners).unwrap_or(u32::MAX).max(1)
}

/// So many miners are let in: as the config says, but no more than the limit is enough for. One that is turned away goes
/// to the pool that its owner set up behind us; one without a descriptor for its pools would be idle, and so would others.
pub fn let_in(limit: Option<u64>, max_miners: u32, pools: usize) -> u32 {
    limit.map_or(max_miners, |limit| max_miners.min(enough_for(limit, pools)))
}

/// What the operator should know if the limit is too low for so many miners with a connection to each of so many pools.
pub fn shortage(limit: u64, max_miners: u32, pools: usize) -> Option<String> {
    let each = 1 + pools as u64;
    let needed = u64::from(max_miners) * each + OTHERS;
    if limit >= needed {
        return None;
    }
    let enough_for = enough_for(limit, pools);
    Some(format!(
        "limits.max_miners is {max_miners}, which takes {needed} file descriptors ({each} a miner and {OTHERS} more), but \
         the system grants {limit}: {enough_for} miners are let in. Raise it (`ulimit -n {needed}` in the shell that starts \
         dpmp, or LimitNOFILE={needed} in its systemd unit), or set limits.max_miners to {enough_for} or less."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_numbers_and_the_mend() {
        assert_eq!(shortage(30_128, 10_000, 2), None);
        let words = shortage(1024, 10_000, 2).unwrap();
        for part in ["30128", "1024", "298 miners", "ulimit -n 30128", "LimitNOFILE=30128"] {
            assert!(words.contains(part), "{part} in {words}");
        }
    }

    #[test]
    fn no_more_are_let_in_than_can_be_served() {
        assert_eq!(let_in(Some(1024), 10_000, 2), 298);
        assert_eq!(let_in(Some(1024), 50, 2), 50);
        assert_eq!(let_in(Some(64), 10_000, 2), 1);
        assert_eq!(let_in(None, 10_000, 2), 10_000);
    }
}
