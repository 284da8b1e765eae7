//! The best shares: by the true difficulty of the hash, not by what it was judged by. All-time ones are kept for ever.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::difficulty::Work;

/// Names whose best is kept; beyond, a better one takes the place of the worst.
const MOST: usize = 50_000;

/// The best share of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Best {
    /// The true difficulty of its hash.
    pub difficulty: Work,
    /// Who found it.
    pub worker: Arc<str>,
    /// For which pool: slot and address, as [`pool_key`](super::pool_key) writes them.
    pub pool: Arc<str>,
    /// When: seconds since 1970; 0 if the clock was not known.
    pub unix: u64,
}

/// A best share by somebody's name.
pub type ByName = BTreeMap<Arc<str>, Best>;

/// The best shares of all time, or of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bests {
    /// By worker.
    pub workers: ByName,
    /// By pool: slot and address.
    pub pools: ByName,
}

impl Bests {
    /// The best of all.
    pub fn overall(&self) -> Option<&Best> {
        // Workers may have been forgotten, pools are not.
        self.workers.values().chain(self.pools.values()).max_by_key(|best| best.difficulty)
    }

    /// Takes a share, and says whether it is anybody's best.
    pub fn consider(&mut self, best: &Best) -> bool {
        let worker = improve(&mut self.workers, &best.worker, best);
        let pool = improve(&mut self.pools, &best.pool, best);
        worker || pool
    }
}

fn improve(all: &mut ByName, name: &Arc<str>, best: &Best) -> bool {
    if let Some(old) = all.get_mut(name) {
        if old.difficulty >= best.difficulty {
            return false;
        }
        *old = best.clone();
        return true;
    }
    if all.len() >= MOST {
        let worst = all.iter().min_by_key(|(_, best)| best.difficulty);
        match worst.map(|(name, worst)| (name.clone(), worst.difficulty)) {
            Some((worst, difficulty)) if difficulty < best.difficulty => all.remove(&worst),
            _ => return false,
        };
    }
    all.insert(name.clone(), best.clone());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn best(worker: &str, difficulty: u128) -> Best {
        Best { difficulty: Work(difficulty), worker: worker.into(), pool: "A p:1".into(), unix: 1 }
    }

    #[test]
    fn only_better_ones_count() {
        let mut bests = Bests::default();
        assert!(bests.consider(&best("a", 5)));
        assert!(!bests.consider(&best("a", 5)));
        assert!(bests.consider(&best("b", 3)), "best of b, not of the pool");
        assert_eq!(bests.pools["A p:1"].worker.as_ref(), "a");
        assert_eq!(bests.overall().unwrap().difficulty, Work(5));
        assert!(bests.consider(&best("b", 9)));
        assert_eq!(bests.overall().unwrap().worker.as_ref(), "b");
    }

    #[test]
    fn endless_names_are_bounded_and_the_best_stay() {
        let mut bests = Bests::default();
        assert!(bests.consider(&best("whale", 1_000_000)));
        for n in 0..MOST as u128 {
            bests.consider(&best(&format!("w{n}"), n + 1));
        }
        assert_eq!(bests.workers.len(), MOST);
        assert!(bests.workers.contains_key("whale") && !bests.workers.contains_key("w0"));
    }
}
