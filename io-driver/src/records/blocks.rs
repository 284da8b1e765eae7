//! `blocks.jsonl`: every share that met the network's target, one JSON object a line, for ever. The loop itself appends
//! to it, and has it on the disk before the miner is answered: it is that rare, and worth that much.
//!
//! Where it is not rare (a test network on which each share is a block) the list must not fill the disk: beyond the first
//! [`MOST`] of a pool, its blocks go to `blocks.more.jsonl`, and when that is as long it becomes `blocks.more.jsonl.1` in
//! the place of the one before. So the first and the latest of each pool are kept, and no pool's lines cost another's.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use dpmp_core::Work;
use dpmp_core::ledger::{Best, Bests};
use serde::{Deserialize, Serialize};

use super::bests::append_lines;
use crate::state::safe;

/// Blocks that are shown; the file holds all.
const SHOWN: usize = 100;
/// A pool whose blocks come oftener than so many a minute is on no chain worth waiting for the disk: the rest are written,
/// and reach the disk when the system pleases.
const SYNCED_A_MINUTE: u32 = 10;
/// Lines of one pool in the file; and lines in the one for more.
pub const MOST: u64 = 10_000;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockLine {
    /// Seconds since 1970.
    pub at: u64,
    /// Who found it.
    pub worker: String,
    /// For which pool: slot and address.
    pub pool: String,
    /// The block's hash, as explorers write it.
    pub hash: String,
    /// The true difficulty of the hash.
    pub difficulty: f64,
    /// What the network asked for.
    #[serde(default)]
    pub network_difficulty: f64,
    /// The block's height, if the coinbase told it.
    #[serde(default)]
    pub height: Option<u32>,
    /// Where it was sent: `owner`, `twin` (another connection of the pool with the same work), `nowhere`.
    #[serde(default)]
    pub way: String,
    /// The pool's id of the job.
    #[serde(default)]
    pub job: String,
    /// The 80 bytes that the miner hashed, as hex.
    #[serde(default)]
    pub header: String,
    /// The whole coinbase, without witness, as hex.
    #[serde(default)]
    pub coinbase: String,
    /// The merkle branches from the coinbase to the header's root, as hex.
    #[serde(default)]
    pub branches: Vec<String>,
}

/// Where the lines go.
#[derive(Clone, Debug)]
pub struct Blocks {
    path: PathBuf,
    most: u64,
    /// Lines in the file by pool.
    of_pool: BTreeMap<String, u64>,
    /// Lines in the file for more.
    more: u64,
    /// By pool: a minute since 1970, and lines that were waited for in it.
    synced: BTreeMap<String, (u64, u32)>,
}

/// What the files tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The latest, latest last.
    pub latest: VecDeque<BlockLine>,
    /// All by pool.
    pub of_pool: BTreeMap<String, u64>,
    /// A block is somebody's best share, whatever else was lost.
    pub bests: Bests,
    /// In words.
    pub trouble: Vec<String>,
}

fn more(path: &Path) -> PathBuf {
    path.with_file_name("blocks.more.jsonl")
}

impl Blocks {
    /// Reads the files. A line that cannot be read is passed over, and stays where it is.
    pub fn open(path: &Path) -> (Blocks, Found) {
        let mut blocks =
            Blocks { path: path.to_owned(), most: MOST, of_pool: BTreeMap::new(), more: 0, synced: BTreeMap::new() };
        let mut found = Found::default();
        found.read(path);
        blocks.of_pool.clone_from(&found.of_pool);
        let more = more(path);
        found.read(&safe::previous(&more));
        blocks.more = found.read(&more);
        // By time, and in their order where they are of one second.
        found.latest.make_contiguous().sort_by_key(|block| block.at);
        found.latest.drain(..found.latest.len().saturating_sub(SHOWN));
        (blocks, found)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this pool's line is to be on the disk before anything else is done.
    fn waits(&mut self, block: &BlockLine) -> bool {
        let minute = block.at / 60;
        let (of, lines) = self.synced.entry(block.pool.clone()).or_default();
        if *of != minute {
            (*of, *lines) = (minute, 0);
        }
        *lines = lines.saturating_add(1);
        *lines <= SYNCED_A_MINUTE
    }

    /// Appends a block, to the disk unless the pool has one with nearly every share.
    pub fn append(&mut self, block: &BlockLine) -> io::Result<()> {
        let waits = self.waits(block);
        let mut line = serde_json::to_vec(block)?;
        line.push(b'\n');
        if !self.of_pool.contains_key(&block.pool) {
            self.of_pool.insert(block.pool.clone(), 0);
        }
        if let Some(lines) = self.of_pool.get_mut(&block.pool).filter(|lines| **lines < self.most) {
            append_lines(&self.path, &line, waits)?;
            *lines += 1;
            return Ok(());
        }
        let more = more(&self.path);
        if self.more >= self.most {
            fs::rename(&more, safe::previous(&more))?;
            self.more = 0;
        }
        append_lines(&more, &line, waits)?;
        self.more += 1;
        Ok(())
    }
}

impl Found {
    /// Takes a file's lines, and says how many there are.
    fn read(&mut self, path: &Path) -> u64 {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return 0,
            Err(error) => {
                self.trouble.push(format!("{} cannot be read: {error}", path.display()));
                return 0;
            }
        };
        // The latest of this file, whatever times those of another have.
        let (mut good, mut bad) = (VecDeque::new(), 0);
        let mut lines = 0;
        for line in BufReader::new(file).split(b'\n') {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    self.trouble.push(format!("{} cannot be read to its end: {error}", path.display()));
                    break;
                }
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            lines += 1;
            let Ok(block) = serde_json::from_slice::<BlockLine>(&line) else {
                bad += 1;
                continue;
            };
            self.count(&block);
            good.push_back(block);
            if good.len() > SHOWN {
                good.pop_front();
            }
        }
        if bad > 0 {
            self.trouble.push(format!("{}: {bad} lines cannot be read; they stay in the file", path.display()));
        }
        self.latest.append(&mut good);
        lines
    }

    fn count(&mut self, block: &BlockLine) {
        *self.of_pool.entry(block.pool.clone()).or_default() += 1;
        self.bests.consider(&Best {
            difficulty: Work::nearest(block.difficulty),
            worker: block.worker.as_str().into(),
            pool: block.pool.as_str().into(),
            unix: block.at,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn file(name: &str) -> PathBuf {
        crate::scratch::folder(&format!("blocks-{name}")).join("blocks.jsonl")
    }

    fn block(n: u64, pool: &str) -> BlockLine {
        BlockLine {
            at: n,
            worker: "rig \"1\"".to_owned(),
            pool: pool.to_owned(),
            hash: "00".repeat(32),
            difficulty: 1.5,
            network_difficulty: 1.25,
            height: Some(800_000),
            way: "owner".to_owned(),
            job: "1f".to_owned(),
            header: "00".repeat(80),
            coinbase: "ab".repeat(250),
            branches: vec!["cd".repeat(32); 12],
        }
    }

    #[test]
    fn lines_come_back_and_a_torn_one_stays() {
        let path = file("torn");
        let (mut blocks, found) = Blocks::open(&path);
        assert_eq!(found, Found::default());
        for n in 0..150 {
            blocks.append(&block(n, "A pool:1")).unwrap();
        }
        let (_, found) = Blocks::open(&path);
        assert_eq!((found.latest.len(), found.latest[0].at, found.latest[99].at), (100, 50, 149));
        assert_eq!((found.of_pool["A pool:1"], &found.trouble), (150, &Vec::new()));
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":3").unwrap();
        blocks.append(&block(150, "A pool:1")).unwrap();
        let (_, found) = Blocks::open(&path);
        assert_eq!((found.latest[99].at, found.of_pool["A pool:1"]), (150, 151));
        assert!(found.trouble[0].contains("1 lines"));
        assert_eq!(found.bests.overall().unwrap().difficulty, Work::nearest(1.5));
    }

    #[test]
    fn only_the_first_blocks_of_a_minute_are_waited_for() {
        let (mut blocks, _) = Blocks::open(&file("waits"));
        let mut waited = |at, pool| blocks.waits(&block(at, pool));
        assert_eq!((0..60).filter(|at| waited(*at, "A easy:1")).count(), 10);
        assert!(waited(3, "B real:1"), "no pool's blocks cost another's");
        assert_eq!((60..120).filter(|at| waited(*at, "A easy:1")).count(), 10);
        assert!(waited(600, "A easy:1"));
    }

    /// A test network beside a real one: neither the disk is filled, nor the one real block lost, nor the latest.
    #[test]
    fn a_trivial_target_is_bounded_and_costs_no_other_block() {
        let path = file("bounded");
        let (mut blocks, _) = Blocks::open(&path);
        blocks.most = 20;
        blocks.append(&block(1, "B real:1")).unwrap();
        for n in 2..1_000 {
            blocks.append(&block(n, "A test:1")).unwrap();
            if n % 37 == 0 {
                // A restart goes on where it was.
                blocks = Blocks { most: 20, ..Blocks::open(&path).0 };
            }
            let (_, found) = Blocks::open(&path);
            assert_eq!(found.latest.back().unwrap().at, n);
        }
        blocks.append(&block(1_000, "B real:1")).unwrap();
        let (_, found) = Blocks::open(&path);
        let real: Vec<u64> =
            found.latest.iter().filter(|block| block.pool == "B real:1").map(|block| block.at).collect();
        assert_eq!((real, found.of_pool["B real:1"]), (vec![1, 1_000], 2));
        assert!(found.of_pool["A test:1"] <= 60 && found.of_pool["A test:1"] > 40);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
    }
}
