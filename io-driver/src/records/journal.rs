//! The journal of best shares: each share that is its worker's or its pool's best is a line in `best_shares.jsonl`,
//! written by the loop before the miner is answered. A plain append survives the end of this program, however it ends;
//! for the end of the machine the files' thread has it on the disk soon after.
//!
//! With each save of `best_shares.json` the journal is put away as `best_shares.jsonl.old`, and deleted when the save has
//! all that is in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dpmp_core::Notice;
use dpmp_core::ledger::{Best, Bests, Outcome, worker_key};
use dpmp_core::notice::Who;

use super::bests;

/// Names that are remembered; beyond, the lesser half is forgotten, and would be written once more.
const MOST: usize = 50_000;

/// The journal's files. The lock is held for an append or a rename, so that no line is added to what is being put away.
#[derive(Clone, Debug)]
pub struct Journal {
    best_shares: Arc<Path>,
    lock: Arc<Mutex<()>>,
}

/// The journal beside the file.
pub fn path(best_shares: &Path) -> PathBuf {
    best_shares.with_extension("jsonl")
}

/// What was in it before the last save, while that may lack some of it.
pub fn put_away(best_shares: &Path) -> PathBuf {
    best_shares.with_extension("jsonl.old")
}

impl Journal {
    /// That of this `best_shares.json`.
    pub fn of(best_shares: &Path) -> Journal {
        Journal { best_shares: best_shares.into(), lock: Arc::default() }
    }

    /// The file that it belongs to.
    pub fn best_shares(&self) -> &Path {
        &self.best_shares
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends lines. They are in the system's hands then.
    pub fn append(&self, news: &[Best]) -> io::Result<()> {
        let lines = bests::lines(news)?;
        let _held = self.lock();
        bests::append_lines(&path(&self.best_shares), &lines, false)
    }

    /// Has the journal and the records on the disk.
    pub fn sync(&self) -> io::Result<()> {
        for path in [path(&self.best_shares), bests::records(&self.best_shares)] {
            match File::open(path).and_then(|file| file.sync_data()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the file anew; lines of the journal that are in it then are deleted.
    pub fn save(&self, shares: &bests::BestShares) -> io::Result<()> {
        let old = put_away(&self.best_shares);
        // One that is there already was not yet covered: it comes first, and the journal waits for the next save.
        if !old.exists() {
            let _held = self.lock();
            match fs::rename(path(&self.best_shares), &old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        bests::save(&self.best_shares, &bests::text(shares)?)?;
        // The loop may have been ahead of those who count.
        let mut saved = shares.bests.clone();
        let lines = match fs::read(&old) {
            Ok(text) => bests::read_lines(&text).0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if lines.iter().any(|best| saved.consider(best)) { Ok(()) } else { fs::remove_file(old) }
    }
}

/// The best shares that need not be written again. Asks no memory for a share that is nobody's best.
#[derive(Debug, Default)]
pub struct Written {
    workers: BTreeMap<Arc<str>, f64>,
    /// Workers without a name, who are known by their address.
    addresses: BTreeMap<IpAddr, f64>,
    pools: BTreeMap<Arc<str>, f64>,
}

impl Written {
    /// All that a start has read.
    pub fn of(bests: &Bests) -> Written {
        let values = |all: &dpmp_core::ledger::ByName| {
            all.iter().map(|(name, best)| (name.clone(), best.difficulty.as_f64())).collect::<BTreeMap<_, _>>()
        };
        let (workers, pools) = (values(&bests.workers), values(&bests.pools));
        let addresses = workers.iter().filter_map(|(name, best)| Some((name.parse().ok()?, *best))).collect();
        Written { workers, addresses, pools }
    }

    /// The worker, the pool and the true difficulty, if the notice is of a good share that is the best of either.
    pub fn news(&mut self, notice: &Notice, pools: &[Arc<str>]) -> Option<(Arc<str>, Arc<str>, f64)> {
        let Notice::ShareResult { who, pool: Some(pool), verdict, achieved, .. } = notice else { return None };
        let pool = pools.get(pool.index())?;
        if !(Outcome::of(verdict).is_good() && *achieved > 0.0 && achieved.is_finite()) {
            return None;
        }
        let of_worker = self.of_worker(who, *achieved);
        let of_pool = improve(&mut self.pools, pool.as_ref(), *achieved, || pool.clone());
        (of_worker || of_pool).then(|| (worker_key(who), pool.clone(), *achieved))
    }

    fn of_worker(&mut self, who: &Who, achieved: f64) -> bool {
        if who.worker.is_empty() {
            let address = who.peer.ip();
            improve(&mut self.addresses, &address, achieved, || address)
        } else {
            improve(&mut self.workers, who.worker.as_ref(), achieved, || who.worker.clone())
        }
    }
}

fn improve<K, Q>(all: &mut BTreeMap<K, f64>, key: &Q, achieved: f64, own: impl FnOnce() -> K) -> bool
where
    K: Ord + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    if let Some(best) = all.get_mut(key) {
        let better = achieved > *best;
        if better {
            *best = achieved;
        }
        return better;
    }
    if all.len() >= MOST {
        let mut values: Vec<f64> = all.values().copied().collect();
        let (_, middle, _) = values.select_nth_unstable_by(MOST / 2, f64::total_cmp);
        let middle = *middle;
        all.retain(|_, best| *best > middle);
    }
    all.insert(own(), achieved);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::bests::BestShares;
    use dpmp_core::notice::Verdict;
    use dpmp_core::{MinerId, PoolId, Work};

    fn file(name: &str) -> PathBuf {
        crate::scratch::folder(&format!("journal-{name}")).join("best_shares.json")
    }

    fn best(worker: &str, difficulty: f64) -> Best {
        Best { difficulty: Work::nearest(difficulty), worker: worker.into(), pool: "A pool:1".into(), unix: 5 }
    }

    #[test]
    fn a_save_never_loses_what_the_loop_has_written_meanwhile() {
        let path_of = file("ahead");
        let journal = Journal::of(&path_of);
        let mut counted = BestShares::default();
        counted.bests.consider(&best("a", 5.0));
        // The loop is ahead of the statistics by one share.
        journal.append(&[best("a", 5.0), best("b", 7.0)]).unwrap();
        journal.save(&counted).unwrap();
        assert_eq!(bests::load(&path_of).value.bests.workers["b"], best("b", 7.0));
        // More comes, and a save that is still behind.
        journal.append(&[best("c", 9.0)]).unwrap();
        journal.save(&counted).unwrap();
        let all = bests::load(&path_of).value;
        assert_eq!((all.bests.workers.len(), all.bests.overall()), (3, Some(&best("c", 9.0))));
        // Now they have it all.
        journal.save(&all).unwrap();
        journal.save(&all).unwrap();
        assert!(!path(&path_of).exists() && !put_away(&path_of).exists());
        assert_eq!(bests::load(&path_of).value, all);
        journal.sync().unwrap();
    }

    fn result(worker: &str, pool: u8, achieved: f64, verdict: Verdict) -> Notice {
        Notice::ShareResult {
            who: Who { miner: MinerId(1), peer: ([192, 0, 2, 5], 51_234).into(), worker: worker.into() },
            pool: Some(PoolId(pool)),
            verdict,
            fault: None,
            assigned: None,
            worked: None,
            achieved,
            response: None,
        }
    }

    #[test]
    fn every_workers_and_pools_best_is_news_and_nothing_else() {
        let pools: Vec<Arc<str>> = vec!["A a:1".into(), "B b:1".into()];
        let mut known = Bests::default();
        known.consider(&Best { pool: pools[0].clone(), ..best("a", 5.0) });
        known.consider(&Best { pool: pools[0].clone(), ..best("192.0.2.5", 4.0) });
        let mut written = Written::of(&known);
        let mut news = |worker, pool, achieved, verdict| written.news(&result(worker, pool, achieved, verdict), &pools);
        assert!(news("a", 0, 5.0, Verdict::Accepted).is_none());
        assert!(news("", 0, 4.0, Verdict::Accepted).is_none());
        assert_eq!(news("", 0, 4.5, Verdict::Credited).unwrap().0.as_ref(), "192.0.2.5");
        assert!(news("b", 0, 0.1, Verdict::Accepted).is_some(), "the first of a worker");
        assert!(news("a", 1, 0.1, Verdict::Accepted).is_some(), "the first of a pool");
        assert!(news("a", 1, 0.2, Verdict::Accepted).is_some(), "the pool's best");
        assert!(news("a", 1, 0.2, Verdict::Accepted).is_none());
        for none in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert!(news("a", 0, none, Verdict::Accepted).is_none());
        }
        assert!(news("a", 0, 99.0, Verdict::Lost).is_none());
        assert!(news("a", 7, 99.0, Verdict::Accepted).is_none());
    }

    #[test]
    fn endless_names_are_bounded_and_the_best_stay() {
        let mut written = Written::default();
        let pools: Vec<Arc<str>> = vec!["A a:1".into()];
        written.news(&result("whale", 0, 1e9, Verdict::Accepted), &pools).unwrap();
        for n in 0..2 * MOST {
            written.news(&result(&format!("w{n}"), 0, n as f64 + 1.0, Verdict::Accepted), &pools).unwrap();
            assert!(written.workers.len() <= MOST);
        }
        assert!(written.news(&result("whale", 0, 1e8, Verdict::Accepted), &pools).is_none());
    }
}
