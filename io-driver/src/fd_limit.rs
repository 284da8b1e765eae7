//! The number of file descriptors that the system grants, raised as far as it goes and compared with what the miners
//! need.

/// Descriptors for everything that is no miner: files, HTTP, listeners, lookups.
const OTHERS: u64 = 128;

/// Raises the soft limit to the hard one. Returns the limit in force; none where the system does not tell.
pub fn raise() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get().map(|(soft, _)| soft)).ok()
}

/// What the operator should know if the limit is too low for so many miners with a connection to each of so many pools.
pub fn shortage(limit: u64, max_miners: u32, pools: usize) -> Option<String> {
    let each = 1 + pools as u64;
    let needed = u64::from(max_miners) * each + OTHERS;
    if limit >= needed {
        return None;
    }
    let enough_for = limit.saturating_sub(OTHERS) / each;
    Some(format!(
        "limits.max_miners is {max_miners}, which takes {needed} file descriptors ({each} a miner and {OTHERS} more), but \
         the system grants {limit}: enough for {enough_for} miners. Raise it (`ulimit -n {needed}` in the shell that starts \
         dpmp, or LimitNOFILE={needed} in its systemd unit), or set limits.max_miners to {enough_for}."
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
}
