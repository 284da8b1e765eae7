//! `blocks.jsonl`: every share that met the network's target, one JSON object a line, for ever. The loop itself appends
//! to it, and has it on the disk before the miner is answered: it is that rare, and worth that much.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::bests::append_lines;

/// Blocks that are shown; the file holds all.
const SHOWN: usize = 100;

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

/// The latest of the file, latest last. A line that cannot be read is passed over, and stays where it is; the second value
/// says so in words.
pub fn load(path: &Path) -> (Vec<BlockLine>, Option<String>) {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (Vec::new(), None),
        Err(error) => return (Vec::new(), Some(format!("{} cannot be read: {error}", path.display()))),
    };
    let mut bad = 0;
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(block) => found.push(block),
            Err(_) => bad += 1,
        }
    }
    let words = (bad > 0).then(|| format!("{}: {bad} lines cannot be read; they stay in the file", path.display()));
    found.drain(..found.len().saturating_sub(SHOWN));
    (found, words)
}

/// Appends a block, to the disk.
pub fn append(path: &Path, block: &BlockLine) -> io::Result<()> {
    let mut line = serde_json::to_vec(block)?;
    line.push(b'\n');
    append_lines(path, &line, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn lines_come_back_and_a_torn_one_stays() {
        let folder = std::env::temp_dir().join(format!("dpmp-blocks-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("blocks.jsonl");
        assert_eq!(load(&path), (Vec::new(), None));
        let block = |n: u64| BlockLine {
            at: n,
            worker: "rig \"1\"".to_owned(),
            pool: "A pool:1".to_owned(),
            hash: "00".repeat(32),
            difficulty: 1.5,
            network_difficulty: 1.25,
            height: Some(800_000),
            way: "owner".to_owned(),
            job: "1f".to_owned(),
            header: "00".repeat(80),
            coinbase: "ab".repeat(250),
            branches: vec!["cd".repeat(32); 12],
        };
        for n in 0..150 {
            append(&path, &block(n)).unwrap();
        }
        let (found, words) = load(&path);
        assert_eq!((found.len(), found[0].at, found[99].at, words), (100, 50, 149, None));
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":3").unwrap();
        append(&path, &block(150)).unwrap();
        let (found, words) = load(&path);
        assert_eq!(found[99].at, 150);
        assert!(words.unwrap().contains("1 lines"));
    }
}
