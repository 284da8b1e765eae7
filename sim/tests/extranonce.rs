//! The embedded extranonce: sizes by profile, the same coinbase at both ends, no work twice, and what happens when a
//! pool changes under it. The rig itself rebuilds each share's header in the pool's context.

mod rig;

use std::collections::BTreeSet;

use dpmp_core::{Conn, Memory, MinerId, Span};
use dpmp_sim::hex;
use rig::mine::Search;
use rig::{A, B, Rig, code, config, memory, methods};

const ASIC: &str = "cgminer/4.11.1";
const AVALON: &str = "cgminer/4.11.1-avalonq";
const FLEXIBLE: &str = "bitaxe/BM1370/v2.8.0";
const OLD_BITAXE: &str = "bitaxe/BM1366/2.4.1";
const LEAF: &str = "LeafMiner/1.0";
const NERD: &str = "NerdMinerV2/1.7";

/// STRATUM §1's table: bytes of extranonce1 and extranonce2.
fn table(agent: &str, smallest: u8) -> Option<(usize, usize)> {
    match (smallest, agent) {
        (5.., _) => Some((1, 4)),
        (4, ASIC | AVALON) => Some((1, 3)),
        (4, NERD) => Some((2, 2)),
        (4, _) => Some((0, 4)),
        (3, AVALON | FLEXIBLE) => Some((0, 3)),
        (3, ASIC | NERD) => Some((1, 2)),
        _ => None,
    }
}

fn told(rig: &Rig, miner: u64) -> (usize, usize) {
    (rig.seen(miner).extranonce1.len(), rig.seen(miner).extranonce2_bytes)
}

#[test]
fn every_profile_between_every_two_pools() {
    for agent in [ASIC, AVALON, FLEXIBLE, OLD_BITAXE, LEAF, NERD] {
        for a in [3, 4, 5, 8] {
            for b in [3, 4, 5, 8] {
                let Some(sizes) = table(agent, a.min(b)) else { continue };
                let mut rig = Rig::new(config(50, 50), &memory(a, b));
                rig.miner_ready(1, agent);
                assert_eq!(told(&rig, 1), sizes, "{agent} {a} {b}");
                rig.pool_easy(A, "aabbccdd", a);
                rig.pool_easy(B, "1122334455", b);
                // A, B, A, B: the miner restarts its extranonce2 and its nonces each time.
                for round in 1..=4usize {
                    let (pool, size) = if round % 2 == 1 { (A, a) } else { (B, b) };
                    assert_eq!(rig.works_for(1), Some(pool), "{agent} {a} {b}");
                    for extranonce2 in [0, 0x1234] {
                        let found = rig.mine(1, Search { extranonce2, ..Search::default() });
                        assert!(rig.submit(1, &found).is_empty(), "{agent} {a} {b}: it goes to the pool");
                        // The same bytes in the same order.
                        let here = rig.seen(1).job().coinbase(&hex::decode(&found.extranonce2).unwrap());
                        let there = rig.at(pool).jobs["1"][0].coinbase(&vec![0; usize::from(size)]);
                        assert_eq!(here.len(), there.len());
                        assert_eq!(rig.at(pool).shares.last(), Some(&found.header));
                        assert_eq!(rig.pool_accepts(pool), 1);
                        assert_eq!(code(&rig.miner_got(1)), 0);
                    }
                    assert_eq!(rig.at(pool).shares.len(), 2 * round.div_ceil(2));
                    rig.wait(Span::secs(50));
                }
                assert!(rig.stays(1));
                assert_eq!(told(&rig, 1), sizes);
            }
        }
    }
}

#[test]
fn pools_with_more_bytes_than_usual() {
    for agent in [ASIC, AVALON, FLEXIBLE, OLD_BITAXE, LEAF, NERD] {
        for (a, b) in [(16, 4), (6, 12), (7, 16)] {
            let mut rig = Rig::new(config(50, 50), &memory(a, b));
            rig.miner_ready(1, agent);
            rig.pool_easy(A, "", a);
            rig.pool_easy(B, &"ab".repeat(32), b);
            for pool in [A, B, A, B] {
                assert!(rig.share(1, Search::default()).is_empty(), "{agent} {a} {b}");
                assert_eq!(rig.pool_accepts(pool), 1);
                rig.wait(Span::secs(50));
            }
        }
    }
}

#[test]
fn the_extranonce_is_constant_for_the_session() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    let before = rig.seen(1).extranonce1.clone();
    rig.wait_lively(Span::secs(1000));
    assert!(!rig.log.contains("set_extranonce"));
    assert_eq!(rig.seen(1).extranonce1, before);
    assert!(rig.closed.is_empty(), "nobody was closed over {} jobs", rig.seen(1).jobs.len());
    rig.miner_got(1);
    // It is told again what it was told, if it asks again.
    let again = rig.miner(1, r#"{"id":9,"method":"mining.subscribe","params":[]}"#);
    assert_eq!(methods(&again), ["reply"]);
    assert_eq!(rig.seen(1).extranonce1, before);
}

#[test]
fn a_job_sent_again_never_gives_the_same_work() {
    // Pads of 0 bytes (ntime moves), 1 byte (it fills up after 256) and 3 bytes.
    for size in [5, 6, 8] {
        let mut rig = Rig::new(config(100, 0), &memory(size, 8));
        rig.miner_ready(1, ASIC);
        rig.pool_easy(A, "aabbccdd", size);
        for _ in 0..270 {
            rig.wait(Span::secs(40));
            rig.pool(A, r#"{"id":77,"method":"mining.ping","params":[]}"#);
        }
        let jobs = &rig.seen(1).jobs;
        assert!(jobs.len() > 265, "{}", jobs.len());
        let work: BTreeSet<_> = jobs.iter().map(|j| (j.coinbase(&[0; 4]), j.ntime)).collect();
        assert_eq!(work.len(), jobs.len(), "pool size {size}");
        let moved = jobs.iter().any(|j| j.ntime != 0x6500_0000);
        assert_eq!(moved, size < 8, "ntime moves only where the pad has no room ({size})");
        assert!(jobs.iter().skip(1).all(|j| !j.clean), "a job sent again is not clean");
    }
}

#[test]
fn without_a_pad_ntime_is_the_jobs_plus_its_age() {
    let mut rig = Rig::new(config(50, 50), &memory(4, 4));
    rig.miner_ready(1, FLEXIBLE);
    rig.pool_easy(A, "aabbccdd", 4);
    rig.pool_easy(B, "11223344", 4);
    rig.wait(Span::secs(100));
    let times: Vec<u32> = rig.seen(1).jobs.iter().map(|j| j.ntime - 0x6500_0000).collect();
    // A, A again at 40 s, B at 50 s, B again at 90 s, A at 100 s.
    assert_eq!(times, [0, 40, 0, 90, 100]);
}

#[test]
fn the_agent_chooses_the_profile() {
    for (agent, sizes) in [
        ("cgminer/4.10.0", (1, 3)),
        ("bfgminer/5.5.0", (1, 3)),
        ("Antminer S19/uart_trans.1.3", (1, 3)),
        ("whatsminer/v1.0", (1, 3)),
        ("bosminer-plus-tuner/0.9", (1, 3)),
        ("Avalon Nano3S", (1, 3)),
        ("something-new/1", (1, 3)),
        ("", (1, 3)),
        ("cpuminer/2.5.1", (0, 4)),
        ("cpuminer-opt-24.5-x64", (0, 4)),
        ("NerdQAxe+/1.0.30", (0, 4)),
        ("SparkMiner/2", (0, 4)),
        ("bitaxe/BM1366/v2.13.0", (0, 4)),
        ("bitaxe/BM1366/2.5.1", (0, 4)),
        ("LeafMiner", (0, 4)),
        ("NerdMinerV2", (2, 2)),
    ] {
        let mut rig = Rig::new(config(50, 50), &memory(4, 8));
        rig.miner_ready(1, agent);
        assert_eq!(told(&rig, 1), sizes, "{agent}");
    }
    // With 3 bytes the table differs again.
    for (agent, sizes) in [("cgminer/4.10.0", (1, 2)), ("Avalon Q", (0, 3)), ("cpuminer/2.5.1", (0, 3)), (NERD, (1, 2))]
    {
        let mut rig = Rig::new(config(50, 50), &memory(3, 8));
        rig.miner_ready(1, agent);
        assert_eq!(told(&rig, 1), sizes, "{agent}");
    }
}

#[test]
fn a_pool_never_seen_is_taken_to_have_four_bytes() {
    let mut rig = Rig::new(config(50, 50), &Memory::default());
    rig.miner_ready(1, ASIC);
    assert_eq!(told(&rig, 1), (1, 3));
    // Only pools in use count.
    let mut rig = Rig::new(config(100, 0), &memory(8, 2));
    rig.miner_ready(1, ASIC);
    assert_eq!(told(&rig, 1), (1, 4));
}

#[test]
fn a_pool_that_comes_back_with_another_extranonce1() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 8));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_closes(A);
    rig.wait(Span::secs(10));
    rig.pool_easy(A, "0102", 8);
    let job = rig.seen(1).job().clone();
    assert!(job.clean);
    assert!(hex::encode(&job.coinb1).contains("0102"), "{job:?}");
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    assert!(rig.stays(1) && rig.closed.is_empty());
}

#[test]
fn a_pool_that_comes_back_with_a_smaller_extranonce2() {
    // This miner has to subscribe again.
    let mut rig = Rig::new(config(50, 50), &memory(8, 8));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 8);
    assert_eq!(told(&rig, 1), (1, 4));
    rig.pool_closes(B);
    rig.wait(Span::secs(10));
    rig.pool_easy(B, "11223344", 4);
    assert!(rig.stays(1), "as long as it works for A nothing is wrong");
    rig.wait(Span::secs(60));
    assert!(rig.closed.contains(&Conn::Miner(MinerId(1))), "B's work does not fit it");
    rig.miner_ready(251, ASIC);
    assert_eq!(told(&rig, 251), (1, 3));
    rig.pool_easy(B, "11223344", 4);
    assert!(rig.share(251, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(B), 1);
}

#[test]
fn a_smaller_extranonce2_for_a_miner_that_understands_set_extranonce() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 8));
    rig.miner_ready(1, ASIC);
    rig.miner(1, r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 8);
    let late = rig.mine(1, Search::default());
    rig.pool_closes(B);
    rig.wait(Span::secs(10));
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    rig.wait(Span::secs(50));
    let sent = methods(&rig.miner_got(1));
    assert!(sent.ends_with(&["mining.set_extranonce".into(), "mining.notify".into()]), "{sent:?}");
    assert_eq!(told(&rig, 1), (1, 3));
    assert!(rig.seen(1).job().clean && rig.stays(1));
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(B), 1);
    rig.miner_got(1);
    // A share of the old layout is still sent home in that layout.
    assert!(rig.submit(1, &late).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    rig.miner_got(1);
    rig.wait(Span::secs(50));
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn a_pool_sets_another_extranonce() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 8));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    let late = rig.mine(1, Search::default());
    rig.miner_got(1);
    rig.pool(A, r#"{"id":null,"method":"mining.set_extranonce","params":["99887766",6]}"#);
    assert!(rig.miner_got(1).is_empty(), "it holds from the next job on");
    rig.pool(A, &rig::notify("2", false));
    assert!(rig.seen(1).job().clean, "a changed extranonce makes the next job clean");
    assert!(hex::encode(&rig.seen(1).job().coinb1).contains("99887766"));
    rig.miner_got(1);
    assert!(rig.share(1, Search::default()).is_empty());
    assert!(rig.submit(1, &late).is_empty(), "the old job's share, in the old job's context");
    assert_eq!(rig.pool_accepts(A), 2);
    rig.pool(A, &rig::notify("3", false));
    assert!(!rig.seen(1).job().clean, "only the next one");
}

/// A miner that subscribed again a moment ago because its only pool had changed, and whose new size does not fit either.
fn stranded() -> Rig {
    let mut rig = Rig::new(config(100, 0), &memory(8, 8));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool(A, r#"{"id":null,"method":"mining.set_extranonce","params":["99887766",4]}"#);
    rig.pool(A, &rig::notify("2", false));
    assert!(!rig.stays(1), "it has to subscribe again");
    rig.miner_connects(251);
    rig.miner(251, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(251, r#"{"id":2,"method":"mining.authorize","params":["own.wallet.w1","pw"]}"#);
    assert_eq!(told(&rig, 251), (1, 3));
    rig.pool_easy(A, "aabbccdd", 3);
    assert_eq!(rig.works_for(251), None);
    rig
}

#[test]
fn a_pool_that_fits_again_is_worked_for_again() {
    let mut rig = stranded();
    rig.pool(A, r#"{"id":null,"method":"mining.set_extranonce","params":["99887766",6]}"#);
    rig.pool(A, &rig::notify("3", false));
    assert_eq!(rig.works_for(251), Some(A));
    assert!(rig.share(251, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn a_miner_that_fits_no_pool_subscribes_again_though_it_did_so_lately() {
    let mut rig = stranded();
    rig.pool(A, &rig::notify("3", false));
    assert!(rig.stays(251), "not again at once");
    rig.wait(Span::secs(61));
    rig.pool(A, &rig::notify("4", false));
    assert!(!rig.stays(251), "without work there is nothing to lose");
    rig.miner_ready(501, ASIC);
    assert_eq!(told(&rig, 501), (1, 2));
}

#[test]
fn an_unknown_firmware_whose_shares_all_fail_gets_the_next_layout() {
    let mut rig = Rig::new(config(50, 50), &memory(4, 8));
    let fail = |rig: &mut Rig, miner: u64| {
        for n in 0..8u32 {
            if rig.stays(miner) {
                let found = rig.mine(miner, Search { from: n * 7, least: 0.0, below: 1e-9, ..Search::default() });
                assert_eq!(code(&rig.submit(miner, &found)), 23);
            }
        }
    };
    rig.miner_ready(1, "mystery/0.1");
    assert_eq!(told(&rig, 1), (1, 3));
    rig.pool_easy(A, "aabbccdd", 4);
    rig.miner_got(1);
    fail(&mut rig, 1);
    assert!(!rig.stays(1));
    rig.miner_ready(251, "mystery/0.1");
    assert_eq!(told(&rig, 251), (0, 4), "the next profile");
    rig.pool_easy(A, "aabbccdd", 4);
    rig.miner_got(251);
    fail(&mut rig, 251);
    assert!(!rig.stays(251));
    rig.upstreams.clear();
    rig.miner_ready(501, "mystery/0.1");
    let pool = *rig.upstreams.keys().next().unwrap();
    rig.pool_easy(pool, "aabbccdd", if pool == A { 4 } else { 8 });
    assert_eq!(rig.seen(501).extranonce1, [0xaa, 0xbb, 0xcc, 0xdd], "the pool's own");
    rig.miner_got(501);
    fail(&mut rig, 501);
    assert!(rig.stays(501), "there is nothing more to try");
    rig.wait(Span::secs(1800));
    assert!(rig.stays(501), "it is held to this pool");
}

#[test]
fn a_known_firmware_is_never_blamed() {
    let mut rig = Rig::new(config(100, 0), &memory(4, 8));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 4);
    rig.miner_got(1);
    for n in 0..30u32 {
        let found = rig.mine(1, Search { from: n * 7, least: 0.0, below: 1e-9, ..Search::default() });
        assert_eq!(code(&rig.submit(1, &found)), 23);
    }
    assert!(rig.stays(1));
}
