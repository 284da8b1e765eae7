//! What lasts over the end of the program, however it ends.

#![allow(clippy::unwrap_used, reason = "a missing value is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dpmp_sim::header::{Header, coinbase, merkle_root, swap_words};
use dpmp_sim::hex;
use dpmp_sim::target::{Target, difficulty_of};
use serde_json::Value;
use support::{Miner, Pool, Proxy, dpmp, folder, free_port, wait_for, write_config};

/// One hash of 25 is a block.
const NBITS: &str = "200a3d70";

/// A miner that knows its shares' hashes.
struct Knowing {
    miner: Miner,
    extranonce1: Vec<u8>,
    size: usize,
    job: Value,
}

impl Knowing {
    fn login(port: u16, worker: &str) -> Knowing {
        let mut miner = Miner::connect(port);
        miner.send(r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
        let subscribed = miner.until(|m| m["id"] == 1);
        let extranonce1 = hex::decode(subscribed["result"][1].as_str().unwrap()).unwrap();
        let size = subscribed["result"][2].as_u64().unwrap() as usize;
        miner.send(&format!(r#"{{"id":2,"method":"mining.authorize","params":["{worker}","x"]}}"#));
        assert_eq!(miner.until(|m| m["id"] == 2)["result"], true);
        let job = miner.until(|m| m["method"] == "mining.notify")["params"].clone();
        Knowing { miner, extranonce1, size, job }
    }

    /// The hash of the share that [`Miner::submit`] makes of this number.
    fn hash(&self, id: u64) -> [u8; 32] {
        let text = |i: usize| self.job[i].as_str().unwrap();
        let word = |i: usize| u32::from_str_radix(text(i), 16).unwrap();
        let en2 = hex::decode(&format!("{id:0width$x}", width = 2 * self.size)).unwrap();
        let (first, second) = (hex::decode(text(2)).unwrap(), hex::decode(text(3)).unwrap());
        let root = merkle_root(&coinbase(&first, &self.extranonce1, &en2, &second), &[]);
        let prevhash = swap_words(hex::decode_array(text(1)).unwrap());
        let header = Header { version: word(5), prevhash, root, ntime: 1_769_860_800, nbits: word(6), nonce: 0 };
        header.hash()
    }

    /// Submits, and tells the hash; none if it was not accepted, or there was no answer.
    fn submit(&mut self, id: u64, worker: &str) -> Option<[u8; 32]> {
        let hash = self.hash(id);
        let job = self.job[0].as_str().unwrap().to_owned();
        let reply = self.miner.submit(id, worker, &job, self.size);
        (reply["result"] == true).then_some(hash)
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // A kill may cut the last line of a journal that others are appended to; not of those that are awaited.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn series(proxy: &Proxy, name: &str) -> f64 {
    proxy.metric(name)
}

fn start(folder: &Path, config: &Path, port: u16, metrics: u16) -> Proxy {
    let mut command = dpmp();
    command.arg("--config").arg(config);
    Proxy::run(command, folder.to_owned(), port, metrics)
}

/// The real program, killed at random moments while it mines: what a miner has been told is known afterwards.
#[test]
fn killed_at_any_moment_it_has_every_block_and_the_best_share() {
    let (a, b) = (Pool::of_network(NBITS, "deadbeef", 8), Pool::of_network(NBITS, "cafe", 4));
    let folder = folder("killed");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], "");
    let network = Target::of_nbits(u32::from_str_radix(NBITS, 16).unwrap());
    let mut random = u64::from(std::process::id()) | 1;
    let (mut best, mut blocks, mut accepted) = (0f64, BTreeSet::new(), 0u64);
    for round in 0..8 {
        let mut proxy = start(&folder, &config, port, metrics);
        let mut miner = Knowing::login(port, "x.rig");
        if round > 0 {
            let known = series(&proxy, "dpmp_best_share_difficulty{scope=\"all_time\"}");
            assert!(known >= best * (1.0 - 1e-4), "round {round}: {best} was told, {known} is known");
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let until = Instant::now() + Duration::from_micros(50_000 + (random >> 33) % 900_000);
        let mut id = 10;
        while Instant::now() < until {
            id += 1;
            if let Some(hash) = miner.submit(id, "x.rig") {
                accepted += 1;
                best = best.max(difficulty_of(&hash));
                if network.meets(&hash) {
                    let shown: Vec<u8> = hash.iter().rev().copied().collect();
                    blocks.insert(hex::encode(&shown));
                }
            }
        }
        proxy.kill();
        let written: BTreeSet<String> =
            lines(&folder.join("blocks.jsonl")).iter().map(|line| line["hash"].as_str().unwrap().to_owned()).collect();
        let missing: Vec<_> = blocks.difference(&written).collect();
        assert!(missing.is_empty(), "round {round}: {missing:?} of {} blocks", blocks.len());
        let kept = ["records.jsonl", "best_shares.jsonl", "blocks.jsonl"].map(|name| lines(&folder.join(name)));
        let kept = kept.iter().flatten().filter_map(|line| line["difficulty"].as_f64()).fold(0f64, f64::max);
        assert!(kept >= best * (1.0 - 1e-4), "round {round}: {best} was told, {kept} is on the disk");
    }
    assert!(accepted > 100 && blocks.len() > 5, "{accepted} shares, {} blocks", blocks.len());
    // Every line is whole, and holds what is needed to build the block again.
    let text = fs::read_to_string(folder.join("blocks.jsonl")).unwrap();
    for line in text.lines() {
        let block: Value = serde_json::from_str(line).unwrap();
        let header = hex::decode(block["header"].as_str().unwrap()).unwrap();
        let mut hash = dpmp_sim::header::sha256d(&header);
        hash.reverse();
        assert_eq!(block["hash"].as_str().unwrap(), hex::encode(&hash));
        assert!(
            block["pool"].as_str().unwrap().contains("127.0.0.1:")
                || block["pool"].as_str().unwrap().contains("localhost:")
        );
    }
    println!("{accepted} shares, {} blocks, best {best}", blocks.len());
}

/// Each worker's best and each pool's, not only the best of all: killed right after the answer, they are known at the next
/// start, and so is how many blocks each pool had.
#[test]
fn killed_right_after_the_answer_it_knows_every_workers_best() {
    let (a, b) = (Pool::of_network(NBITS, "deadbeef", 8), Pool::of_network(NBITS, "cafe", 4));
    let folder = folder("killed-bests");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], "");
    let text = fs::read_to_string(&config).unwrap();
    let port_of = format!("\"port\":{metrics}");
    fs::write(&config, text.replace(&port_of, &format!("{port_of},\"per_worker\":true"))).unwrap();
    let workers = ["one", "two", "three", "four", "five"];
    let (mut bests, mut id, mut blocks) = ([0f64; 5], 10, 0.0);
    let network = Target::of_nbits(u32::from_str_radix(NBITS, 16).unwrap());
    for round in 0..5 {
        let mut proxy = start(&folder, &config, port, metrics);
        let mut miners = workers.map(|name| Knowing::login(port, &format!("x.{name}")));
        // The last share before the kill is another worker's each time.
        for turn in 0..41 + round {
            let n = turn % workers.len();
            id += 1;
            let hash = miners[n].submit(id, &format!("x.{}", workers[n])).unwrap();
            bests[n] = bests[n].max(difficulty_of(&hash));
            blocks += f64::from(u8::from(network.meets(&hash)));
        }
        proxy.kill();
    }
    let proxy = start(&folder, &config, port, metrics);
    let _miners = workers.map(|name| Knowing::login(port, &format!("x.{name}")));
    let listed = "dpmp_workers{state=\"connected\"}";
    wait_for("all workers", || (series(&proxy, listed) == 5.0).then_some(()));
    for (name, best) in workers.iter().zip(bests) {
        let known = series(&proxy, &format!("dpmp_worker_best_share_difficulty{{worker=\"{name}\"}}"));
        assert!((known - best).abs() <= best * 1e-4, "{name}: {best} was told, {known} is known");
    }
    let of_pool =
        |pool| series(&proxy, &format!("dpmp_pool_best_share_difficulty{{pool=\"{pool}\",scope=\"all_time\"}}"));
    let (best, pools) = (bests.iter().copied().fold(0f64, f64::max), of_pool("A").max(of_pool("B")));
    assert!((pools - best).abs() <= best * 1e-4, "{best} was told, {pools} is known of the pools");
    let counted = |pool| series(&proxy, &format!("dpmp_pool_blocks{{pool=\"{pool}\"}}"));
    assert!(blocks > 0.0 && counted("A") + counted("B") == blocks, "{blocks} blocks");
}

/// A file that cannot be read is not written over: a folder in its place stands for one without rights.
#[test]
fn what_cannot_be_read_is_set_aside_and_never_written_over() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("unreadable");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], "");
    let names = ["state.json", "best_shares.json"];
    fs::create_dir_all(folder.join("state.json").join("dear")).unwrap();
    fs::write(folder.join("best_shares.json"), b"{\"caf\xe9\": 5}").unwrap();
    let mut proxy = start(&folder, &config, port, metrics);
    for name in names {
        let kept = format!("{name}.damaged");
        wait_for("the words", || {
            proxy.log().lines().any(|line| line.contains("state_damaged") && line.contains(&kept)).then_some(())
        });
    }
    let mut miner = Knowing::login(port, "x.rig");
    assert!(miner.submit(10, "x.rig").is_some());
    proxy.signal("TERM");
    assert_eq!(proxy.ended().0.code(), Some(0));
    assert!(folder.join("state.json.damaged").join("dear").is_dir());
    assert_eq!(fs::read(folder.join("best_shares.json.damaged")).unwrap(), b"{\"caf\xe9\": 5}");
    assert!(names.iter().all(|name| folder.join(name).is_file()));
}

/// A stop by signal loses nothing, and a start goes on.
#[test]
fn totals_workers_and_bests_go_on_after_a_restart() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("go-on");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], "");
    let text = fs::read_to_string(&config).unwrap();
    let port_of = format!("\"port\":{metrics}");
    fs::write(&config, text.replace(&port_of, &format!("{port_of},\"per_worker\":true"))).unwrap();
    let mut best = 0f64;
    for round in 1..=3u64 {
        let mut proxy = start(&folder, &config, port, metrics);
        let mut miner = Knowing::login(port, "x.rig");
        for id in round * 1_000..round * 1_000 + 20 {
            best = best.max(difficulty_of(&miner.submit(id, "x.rig").unwrap()));
        }
        let good = "dpmp_worker_shares{result=\"good\",worker=\"rig\"}";
        // A snapshot may be a second old, and the first one may be of before the miner came.
        let there = |proxy: &Proxy| proxy.get("/metrics").1.contains(good).then(|| series(proxy, good));
        wait_for("all shares", || (there(&proxy) == Some((round * 20) as f64)).then_some(()));
        assert_eq!(series(&proxy, "dpmp_workers{state=\"connected\"}"), 1.0);
        let known = series(&proxy, "dpmp_worker_best_share_difficulty{worker=\"rig\"}");
        assert!((known - best).abs() <= best * 1e-4, "{known} {best}");
        assert_eq!(series(&proxy, "dpmp_share_faults_total{fault=\"proxy\"}"), 0.0);
        proxy.signal("TERM");
        assert_eq!(proxy.ended().0.code(), Some(0));
        assert!(!folder.join("best_shares.jsonl").exists(), "the journal is in the file");
    }
    // Whatever is done to the file, it starts, says so, and mines.
    let state = folder.join("state.json");
    let good = fs::read_to_string(&state).unwrap();
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    for (n, bad) in [good[..good.len() / 2].to_owned(), with("\"version\":2", "\"version\":77"), with("rig", "gir")]
        .into_iter()
        .enumerate()
    {
        fs::write(&state, &bad).unwrap();
        let mut proxy = start(&folder, &config, port, metrics);
        let words = proxy.event("state_damaged");
        assert!(words["text"].as_str().unwrap().contains("state.json"), "{words}");
        let aside = if n == 0 { "state.json.damaged".to_owned() } else { format!("state.json.damaged-{}", n + 1) };
        assert_eq!(fs::read_to_string(folder.join(aside)).unwrap(), bad);
        // The one before is used: nothing is lost but the last run.
        let mut miner = Knowing::login(port, "x.rig");
        assert!(miner.submit(99_000 + n as u64, "x.rig").is_some());
        assert!(series(&proxy, "dpmp_worker_shares{result=\"good\",worker=\"rig\"}") >= 40.0);
        proxy.signal("TERM");
        assert_eq!(proxy.ended().0.code(), Some(0));
    }
}

/// What v2 left is taken over, and kept as it was.
#[test]
fn v2s_best_shares_are_imported() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("import");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], "");
    let old = r#"{"bitaxe": 8192.0, "s19": 65536}"#;
    fs::write(folder.join("best_shares.json"), old).unwrap();
    for _ in 0..2 {
        let mut proxy = start(&folder, &config, port, metrics);
        let mut miner = Knowing::login(port, "x.bitaxe");
        assert!(miner.submit(10, "x.bitaxe").is_some());
        proxy.signal("TERM");
        assert_eq!(proxy.ended().0.code(), Some(0));
        let text = fs::read_to_string(folder.join("best_shares.json")).unwrap();
        let ours: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(ours["imported"]["s19"], 65536.0);
        // Of the true difficulty, not mixed with what v2 assigned.
        assert!(ours["workers"]["bitaxe"]["difficulty"].as_f64().unwrap() < 1.0, "{text}");
    }
    assert_eq!(fs::read_to_string(folder.join("best_shares.json.v2")).unwrap(), old);
}

/// A minute of statistics at most, so this takes more than one; it waits most of the time.
#[test]
fn killed_it_has_all_but_the_last_minute() {
    let (a, b) = (Pool::start("deadbeef", 8), Pool::start("cafe", 4));
    let folder = folder("minute");
    let (port, metrics) = (free_port(), free_port());
    let config = write_config(&folder, port, metrics, [a.address, b.address], "");
    let mut proxy = start(&folder, &config, port, metrics);
    let mut miner = Knowing::login(port, "x.rig");
    let began = Instant::now();
    let (mut id, mut early) = (10, 0);
    while began.elapsed() < Duration::from_secs(75) {
        id += 1;
        assert!(miner.submit(id, "x.rig").is_some());
        early += u64::from(began.elapsed() < Duration::from_secs(13));
        std::thread::sleep(Duration::from_millis(20));
    }
    proxy.kill();
    let text = fs::read_to_string(folder.join("state.json")).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    let kept = state["sections"]["ledger"]["ledger"]["totals"]["shares"]["accepted"].as_u64().unwrap();
    assert!(kept >= early, "{kept} of {early} that were a minute old");
}
