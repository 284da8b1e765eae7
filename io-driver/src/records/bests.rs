//! `best_shares.json`: the best share of each worker and pool, for ever. New ones are in the journal beside it at once
//! (`journal`); the file itself is written anew with the state. Each time that the best share of all is beaten, the loop
//! writes a line into `records.jsonl`, too; that happens a few dozen times in a life.
//!
//! v2's file of this name is `{"worker": difficulty}`, with the difficulty that a share was assigned. Those say nothing of
//! hashes, so they are kept apart under `imported`, and v2's file itself as `best_shares.json.v2`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dpmp_core::Work;
use dpmp_core::ledger::{Best, Bests};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::journal;
use crate::state::safe::{self, Loaded};

/// The version of the file's form.
const VERSION: u32 = 1;

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BestShares {
    /// By true difficulty.
    pub bests: Bests,
    /// What v2 kept, by worker.
    pub imported: BTreeMap<String, f64>,
}

/// A best share as it is written.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// Read digit by digit: a general reader of numbers may be off in the last one.
    difficulty: Box<RawValue>,
    worker: Arc<str>,
    pool: Arc<str>,
    at: u64,
}

#[derive(Serialize, Deserialize)]
struct Whole {
    version: u32,
    #[serde(default)]
    workers: BTreeMap<Arc<str>, Entry>,
    #[serde(default)]
    pools: BTreeMap<Arc<str>, Entry>,
    #[serde(default)]
    imported: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct Header {
    version: u32,
}

impl Entry {
    fn of(best: &Best) -> serde_json::Result<Entry> {
        Ok(Entry {
            difficulty: serde_json::value::to_raw_value(&best.difficulty.as_f64())?,
            worker: best.worker.clone(),
            pool: best.pool.clone(),
            at: best.unix,
        })
    }

    fn best(self) -> Result<Best, String> {
        let difficulty: f64 =
            self.difficulty.get().parse().map_err(|_| format!("{} is no difficulty", self.difficulty))?;
        Ok(Best { difficulty: Work::nearest(difficulty), worker: self.worker, pool: self.pool, unix: self.at })
    }
}

/// The list of records beside the file.
pub fn records(path: &Path) -> PathBuf {
    path.with_file_name("records.jsonl")
}

/// Reads the file, the journal and the records. What cannot be used is set aside.
pub fn load(path: &Path) -> Loaded<BestShares> {
    let mut loaded = Loaded::default();
    for (at, path) in [path.to_owned(), safe::previous(path)].into_iter().enumerate() {
        let found = match fs::read(&path) {
            Ok(text) => understand(&text, &path, &mut loaded.trouble),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => Err(format!("it cannot be read: {error}")),
        };
        match found {
            Ok(best) => {
                loaded.value = best;
                if at > 0 {
                    let words = "is used instead, as it was before the last save";
                    loaded.trouble.push(format!("{} {words}", path.display()));
                }
                break;
            }
            Err(why) => loaded.set_aside(&path, &format!("cannot be used ({why})")),
        }
    }
    for lines in [journal::put_away(path), journal::path(path), records(path)] {
        let text = match fs::read(&lines) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                loaded.set_aside(&lines, &format!("cannot be read: {error}"));
                continue;
            }
        };
        let (bests, bad) = read_lines(&text);
        for best in &bests {
            loaded.value.bests.consider(best);
        }
        if bad > 0 {
            // The last line is half written when the machine loses power.
            loaded.copy_aside(&lines, &format!("has {bad} lines that cannot be used, all others are"));
        }
    }
    loaded
}

/// The lines that can be read, and how many cannot.
pub(super) fn read_lines(text: &[u8]) -> (Vec<Best>, usize) {
    let (mut found, mut bad) = (Vec::new(), 0);
    for line in String::from_utf8_lossy(text).lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Entry>(line).map_err(|error| error.to_string()).and_then(Entry::best) {
            Ok(best) => found.push(best),
            Err(_) => bad += 1,
        }
    }
    (found, bad)
}

fn understand(bytes: &[u8], path: &Path, trouble: &mut Vec<String>) -> Result<BestShares, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
    if let Some((imported, strange)) = of_v2(text) {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".v2");
        // It is also written into ours, so a copy that fails loses nothing but what is no number.
        let _ = fs::copy(path, path.with_file_name(name));
        if !strange.is_empty() {
            let words =
                "no numbers, and are left out; all others are used, and v2's file is kept with .v2 behind its name";
            trouble.push(format!("{}: {} are {words}", path.display(), strange.join(", ")));
        }
        return Ok(BestShares { imported, ..BestShares::default() });
    }
    let header: Header = serde_json::from_str(text).map_err(|error| format!("it holds no best shares: {error}"))?;
    if header.version != VERSION {
        return Err(format!("its version is {}, this dpmp reads {VERSION}", header.version));
    }
    let whole: Whole = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut found = BestShares { imported: whole.imported, ..BestShares::default() };
    for (from, to) in [(whole.workers, &mut found.bests.workers), (whole.pools, &mut found.bests.pools)] {
        for (name, entry) in from {
            to.insert(name, entry.best()?);
        }
    }
    Ok(found)
}

/// v2's numbers by worker, and the names that have none; none if it is not v2's file. Ours has objects in it.
fn of_v2(text: &str) -> Option<(BTreeMap<String, f64>, Vec<String>)> {
    let values: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&without_infinity(text))).ok()?;
    if values.values().any(|value| value.get().starts_with(['{', '['])) {
        return None;
    }
    let (mut numbers, mut strange) = (BTreeMap::new(), Vec::new());
    for (name, value) in values {
        match value.get().parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => drop(numbers.insert(name, number)),
            _ => strange.push(name),
        }
    }
    Some((numbers, strange))
}

/// Python writes numbers that JSON does not have.
fn without_infinity(text: &str) -> String {
    ["-Infinity", "Infinity", "NaN"].iter().fold(text.to_owned(), |text, number| {
        text.replace(&format!(":{number}"), ":null").replace(&format!(": {number}"), ": null")
    })
}

/// The file's text.
pub fn text(shares: &BestShares) -> serde_json::Result<Vec<u8>> {
    let entries = |all: &dpmp_core::ledger::ByName| {
        all.iter().map(|(name, best)| Ok((name.clone(), Entry::of(best)?))).collect::<serde_json::Result<_>>()
    };
    let whole = Whole {
        version: VERSION,
        workers: entries(&shares.bests.workers)?,
        pools: entries(&shares.bests.pools)?,
        imported: shares.imported.clone(),
    };
    let mut text = serde_json::to_vec_pretty(&whole)?;
    text.push(b'\n');
    Ok(text)
}

/// Writes the file anew.
pub(super) fn save(path: &Path, text: &[u8]) -> io::Result<()> {
    safe::write(path, text)
}

/// Appends to the records. It is in the system's hands then, and survives the end of this program.
pub fn append_record(path: &Path, best: &Best) -> io::Result<()> {
    append_lines(&records(path), &lines(std::slice::from_ref(best))?, false)
}

pub(super) fn lines(news: &[Best]) -> serde_json::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for best in news {
        serde_json::to_writer(&mut lines, &Entry::of(best)?)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Appends whole lines to a file, and has them on the disk if that is wanted. A piece of a line that is there already is
/// ended first.
pub(super) fn append_lines(path: &Path, lines: &[u8], to_disk: bool) -> io::Result<()> {
    let new = !path.exists();
    let mut out = OpenOptions::new().create(true).append(true).open(path)?;
    if !new && !ends_a_line(path)? {
        out.write_all(b"\n")?;
    }
    out.write_all(lines)?;
    if to_disk {
        out.sync_data()?;
        if new {
            safe::sync_folder(path);
        }
    }
    Ok(())
}

fn ends_a_line(path: &Path) -> io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> PathBuf {
        crate::scratch::folder(&format!("bests-{name}")).join("best_shares.json")
    }

    fn best(worker: &str, difficulty: f64) -> Best {
        Best {
            difficulty: Work::nearest(difficulty),
            worker: worker.into(),
            pool: "A pool:1".into(),
            unix: 1_769_860_800,
        }
    }

    fn loaded(path: &Path) -> (BestShares, Vec<String>) {
        let loaded = load(path);
        assert!(!loaded.keep_off);
        (loaded.value, loaded.trouble)
    }

    #[test]
    fn comes_back_as_it_was_from_file_and_journal() {
        let path = file("round");
        let journal = journal::Journal::of(&path);
        let mut shares = BestShares::default();
        shares.imported.insert("old".to_owned(), 8192.0);
        for (worker, difficulty) in [("a", 0.1), ("b", 1e15 / 3.0), ("c\"\n", 4.0 / 3.0), ("d", 1e-9)] {
            shares.bests.consider(&best(worker, difficulty));
        }
        save(&path, &text(&shares).unwrap()).unwrap();
        assert_eq!(loaded(&path), (shares.clone(), Vec::new()));
        journal.append(&[best("a", 7.7), best("b", 1.0)]).unwrap();
        journal.append(&[best("e", 3.3)]).unwrap();
        let mut expected = shares.clone();
        expected.bests.consider(&best("a", 7.7));
        expected.bests.consider(&best("e", 3.3));
        assert_eq!(loaded(&path), (expected.clone(), Vec::new()));
        // Torn by a loss of power: the half line is lost, and nothing that follows.
        let mut out = OpenOptions::new().append(true).open(journal::path(&path)).unwrap();
        out.write_all(b"{\"difficulty\":12.5,\"wor").unwrap();
        journal.append(&[best("f", 9.0)]).unwrap();
        expected.bests.consider(&best("f", 9.0));
        let (found, trouble) = loaded(&path);
        assert_eq!(found, expected);
        assert!(trouble[0].contains("1 lines"), "{trouble:?}");
        journal.save(&expected).unwrap();
        assert!(!journal::path(&path).exists());
        assert_eq!(loaded(&path), (expected.clone(), Vec::new()));
        append_record(&path, &best("g", 1e20)).unwrap();
        expected.bests.consider(&best("g", 1e20));
        save(&path, &text(&shares).unwrap()).unwrap();
        assert_eq!(loaded(&path).0.bests.overall(), expected.bests.overall(), "records outlive a save");
    }

    #[test]
    fn v2s_file_is_read_and_kept_apart() {
        let path = file("v2");
        let old = r#"{"bitaxe": 1234567.5, "version": 12, "s19": 65536}"#;
        fs::write(&path, old).unwrap();
        let (found, trouble) = loaded(&path);
        assert_eq!((found.imported.len(), found.imported["bitaxe"], trouble), (3, 1_234_567.5, Vec::new()));
        assert_eq!(found.bests, Bests::default());
        save(&path, &text(&found).unwrap()).unwrap();
        assert_eq!(loaded(&path).0, found);
        assert_eq!(fs::read_to_string(path.with_file_name("best_shares.json.v2")).unwrap(), old);
        // An empty file of v2 is one without shares.
        let path = file("v2-empty");
        fs::write(&path, "{}").unwrap();
        assert_eq!(loaded(&path), (BestShares::default(), Vec::new()));
    }

    /// v2 wrote what it had; one worker without a number is no reason to forget the others.
    #[test]
    fn one_value_that_is_no_number_costs_no_other() {
        for odd in ["null", "\"Infinity\"", "Infinity", "-Infinity", "NaN", "1e999", "-3", "true"] {
            let path = file("v2-odd");
            let old = format!("{{\"bitaxe\": 8192.5, \"NaN\": {odd}, \"odd\":{odd}, \"s19\": 65536}}");
            fs::write(&path, &old).unwrap();
            let (found, trouble) = loaded(&path);
            assert_eq!(found.imported.keys().collect::<Vec<_>>(), ["bitaxe", "s19"], "{odd}");
            assert!(trouble.len() == 1 && trouble[0].contains("NaN, odd"), "{trouble:?}");
            assert_eq!(fs::read_to_string(path.with_file_name("best_shares.json.v2")).unwrap(), old);
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept() {
        let path = file("unreadable");
        fs::write(&path, [0xff; 5]).unwrap();
        fs::create_dir(journal::path(&path)).unwrap();
        let (_, trouble) = loaded(&path);
        assert_eq!(trouble.len(), 2, "{trouble:?}");
        save(&path, &text(&BestShares::default()).unwrap()).unwrap();
        assert_eq!(fs::read(path.with_file_name("best_shares.json.damaged")).unwrap(), [0xff; 5]);
        assert!(path.with_file_name("best_shares.jsonl.damaged").exists());
    }

    #[test]
    fn what_cannot_be_used_is_kept_and_the_one_before_is_used() {
        let path = file("damaged");
        let mut shares = BestShares::default();
        shares.bests.consider(&best("a", 5.0));
        save(&path, &text(&shares).unwrap()).unwrap();
        shares.bests.consider(&best("b", 6.0));
        save(&path, &text(&shares).unwrap()).unwrap();
        let good = fs::read(&path).unwrap();
        for bad in [&b"{\"version\":1,\"work"[..], b"", b"[]", b"{\"version\":9,\"workers\":{}}", &[0xff; 5]] {
            fs::write(&path, bad).unwrap();
            let (found, trouble) = loaded(&path);
            assert_eq!(found.bests.workers.len(), 1, "the one before the last save");
            assert!(trouble[0].contains("cannot be"), "{trouble:?}");
            fs::write(&path, &good).unwrap();
        }
        assert!(path.with_file_name("best_shares.json.damaged").exists());
    }
}
