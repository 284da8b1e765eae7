//! I3 for blocks: a share that meets the network's target goes upstream despite any rule of ours, and is told with all that
//! it takes to build the block again, behind the submit and before any answer to the miner.

mod rig;

use dpmp_core::notice::{Block, BlockWay};
use dpmp_core::{Action, Conn, Notice, Verdict};
use dpmp_sim::header::{merkle_root, sha256d};
use rig::mine::{Found, Search};
use rig::{A, B, Rig, code, config, memory, notify};

/// A job whose network target is met by every second hash.
fn easy_block(job: &str) -> String {
    notify(job, true).replace("1d00ffff", "207fffff")
}

/// Hashes that are blocks of [`easy_block`], and far too little for the pool.
fn small() -> Search {
    Search { least: 4.7e-10, below: 1e-6, ..Search::default() }
}

/// A miner on pool A, which asks for far more than a block.
fn mining() -> Rig {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1000000", "1");
    rig.pool(A, &easy_block("2"));
    rig.miner_got(1);
    rig
}

fn blocks(rig: &Rig) -> Vec<&Block> {
    let blocks = rig.notices.iter().filter_map(|n| match n {
        Notice::BlockCandidate { block, .. } => Some(&**block),
        _ => None,
    });
    blocks.collect()
}

/// The last block is told whole: coinbase and branches lead to the header, the header is what the miner hashed.
fn told_whole(rig: &Rig, found: &Found, way: BlockWay) {
    let block = *blocks(rig).last().expect("a block is told");
    assert_eq!((block.way, &*block.header), (way, &found.header[..]));
    assert_eq!(merkle_root(&block.coinbase, &block.branches), found.header[36..68]);
    assert!(block.network_difficulty < 1e-9);
    let hash = rig.notices.iter().rev().find_map(|n| match n {
        Notice::BlockCandidate { hash, .. } => Some(*hash),
        _ => None,
    });
    assert_eq!(hash, Some(sha256d(&found.header)));
}

#[test]
fn behind_the_submit_and_before_the_answer() {
    let mut rig = mining();
    let block = rig.mine(1, small());
    assert!(rig.submit(1, &block).is_empty());
    let order: Vec<&str> = rig
        .last_actions()
        .iter()
        .filter_map(|action| match action {
            Action::Send { conn: Conn::Upstream(_), .. } => Some("submit"),
            Action::Send { conn: Conn::Miner(_), .. } => Some("answer"),
            Action::Notice(Notice::BlockCandidate { .. }) => Some("told"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["submit", "told"]);
    told_whole(&rig, &block, BlockWay::Owner);
    assert_eq!(rig.pool_accepts(A), 1);
    assert_eq!(code(&rig.miner_got(1)), 0);
    // What was sent is not sent again.
    assert_eq!(code(&rig.submit(1, &block)), 22);
    assert_eq!((rig.at(A).shares.len(), blocks(&rig).len()), (1, 1));
}

#[test]
fn version_bits_that_were_not_granted_do_not_stop_it() {
    let mut rig = mining();
    rig.watch.made_up = true;
    let outside = Some((0x1fff_e000, 0x1fff_e000 | 1));
    let low = rig.mine(1, Search { least: 0.0, below: 4.6e-10, rolled: outside, ..Search::default() });
    assert_eq!(code(&rig.submit(1, &low)), 20, "no block: the rule holds");
    let block = rig.mine(1, Search { rolled: outside, extranonce2: 5, ..small() });
    rig.pool_got(A);
    rig.submit(1, &block);
    let sent: Vec<String> = rig.pool_got(A).into_iter().filter(|l| l.contains("mining.submit")).collect();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains("\"1fffe001\""), "with the bits that the miner hashed: {}", sent[0]);
    told_whole(&rig, &block, BlockWay::Owner);
}

#[test]
fn a_pool_that_is_held_off_gets_it_all_the_same() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1000000", "1");
    rig.pool_easy(B, "11223344", 4);
    rig.pool(A, &easy_block("2"));
    let block = rig.mine(1, small());
    // Nothing comes from A for so long that it is held off.
    rig.wait(dpmp_core::Span::secs(200));
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolHeldOff { pool, .. } if *pool == A)));
    assert!(rig.submit(1, &block).is_empty());
    assert_eq!(rig.at(A).shares, [block.header]);
    told_whole(&rig, &block, BlockWay::Owner);
}

#[test]
fn a_miner_that_is_not_read_from_any_more() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool(A, &easy_block("2"));
    // All in one piece: the 512th makes the proxy pause, and the block comes behind it.
    let mut lines = String::new();
    for n in 0..513 {
        let found = rig.mine(1, Search { extranonce2: n, ..Search::default() });
        lines += &format!("{}\n", found.line("4"));
        rig.watch.miner_said(dpmp_core::MinerId(1), &found.line("4"));
    }
    rig.bytes_from(Conn::Miner(dpmp_core::MinerId(1)), lines.as_bytes());
    assert_eq!((rig.at(A).shares.len(), blocks(&rig).len()), (513, 513));
}

#[test]
fn without_its_connection_it_is_kept_and_said() {
    let mut rig = mining();
    let block = rig.mine(1, small());
    rig.pool_closes(A);
    assert_eq!(code(&rig.submit(1, &block)), 21);
    told_whole(&rig, &block, BlockWay::Nowhere);
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::ShareResult { verdict: Verdict::Dropped(_), .. })));
    assert_eq!(code(&rig.submit(1, &block)), 22, "once");
    assert_eq!(blocks(&rig).len(), 1);
    // Back with another extranonce1: another coinbase, so it is of no use there.
    rig.wait(dpmp_core::Span::secs(6));
    rig.pool_ready(A, "99999999", 8, "1000000", "1");
    rig.pool(A, &easy_block("2"));
    let other = Found { extranonce2: "00000001".into(), ..block };
    assert_ne!(code(&rig.submit(1, &other)), 0);
    assert!(rig.at(A).shares.is_empty());
}

#[test]
fn the_same_work_on_another_connection_takes_it() {
    // A pool without an extranonce1 of its own gives all connections the same work.
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.watch.made_up = true;
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "", 8, "1000000", "1");
    rig.pool(A, &easy_block("2"));
    let block = rig.mine(1, small());
    rig.pool_closes(A);
    rig.wait(dpmp_core::Span::secs(6));
    rig.pool_ready(A, "", 8, "1000000", "0");
    rig.pool(A, &easy_block("2").replace("[\"2\"", "[\"77\""));
    rig.pool_got(A);
    assert!(rig.submit(1, &block).is_empty(), "the pool decides");
    let sent: Vec<String> = rig.pool_got(A).into_iter().filter(|l| l.contains("mining.submit")).collect();
    assert!(sent.len() == 1 && sent[0].contains("\"77\""), "under that connection's id: {sent:?}");
    told_whole(&rig, &block, BlockWay::Twin);
    assert_eq!(rig.pool_accepts(A), 1);
    assert_eq!(code(&rig.miner_got(1)), 0);
    assert_eq!(code(&rig.submit(1, &block)), 22);
}
