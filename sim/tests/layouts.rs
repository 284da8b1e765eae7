//! Which extranonce each firmware is told between pools of which some are too small for it: one that it bears, for the
//! pools that have room, and no more connections than needed.

mod rig;

use dpmp_core::{Conn, MinerId, PoolId, Span};
use rig::mine::Search;
use rig::{A, B, Rig, config, memory};

const ASIC: &str = "cgminer/4.11.1";
const AVALON: &str = "cgminer/4.11.1-avalonq";
const FLEXIBLE: &str = "bitaxe/BM1370/v2.8.0";
const OLD_BITAXE: &str = "bitaxe/BM1366/v2.5.1";
const LEAF: &str = "LeafMiner/1.0";
const NERD: &str = "NerdMinerV2/1.7";

/// STRATUM §1's hard limits for bytes of extranonce2.
fn bears(agent: &str, bytes: usize) -> bool {
    match agent {
        NERD => matches!(bytes, 2 | 4 | 8),
        LEAF => bytes == 4,
        OLD_BITAXE => matches!(bytes, 4 | 8),
        AVALON => (3..=8).contains(&bytes),
        ASIC => (1..=8).contains(&bytes),
        _ => bytes >= 1,
    }
}

/// STRATUM §1's table: the firmware can be embedded in a pool of this size.
fn embeds(agent: &str, size: u8) -> bool {
    size >= 4 || size == 3 && !matches!(agent, LEAF | OLD_BITAXE)
}

fn told(rig: &Rig, miner: u64) -> (usize, usize) {
    (rig.seen(miner).extranonce1.len(), rig.seen(miner).extranonce2_bytes)
}

/// A rig with pools of these sizes. `well`: their probes went well, so that neither is suspect.
fn pools(config: dpmp_core::Config, sizes: [u8; 2], well: bool) -> Rig {
    let mut rig = Rig::new(config, &memory(sizes[0], sizes[1]));
    if well {
        rig.wait(Span::secs(8));
        for (pool, size) in [A, B].into_iter().zip(sizes) {
            rig.pool_connects(pool);
            for line in rig.pool_got(pool) {
                rig.answer(pool, &line, "ffff", size);
            }
        }
    }
    rig.upstreams.clear();
    rig.closed.clear();
    rig
}

fn size_of(pool: PoolId, sizes: [u8; 2]) -> u8 {
    sizes[pool.index()]
}

/// A miner of this firmware comes, and every pool that is asked answers.
fn arrives(rig: &mut Rig, miner: u64, agent: &str, sizes: [u8; 2]) {
    let before = rig.upstreams.clone();
    rig.miner_connects(miner);
    rig.miner(miner, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{agent}"]}}"#));
    rig.miner(miner, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    for pool in [A, B] {
        if rig.upstreams.get(&pool) != before.get(&pool) {
            rig.pool_easy(pool, "aabbccdd", size_of(pool, sizes));
        }
    }
}

/// It mines for the pool that it works for, and the pool takes it.
fn mines(rig: &mut Rig, miner: u64, extranonce2: u64) -> PoolId {
    let pool = rig.works_for(miner).expect("work");
    assert!(rig.share(miner, Search { extranonce2, ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(pool), 1);
    pool
}

/// What a firmware is told between two pools, and which of them it works for without connecting anew; none: each in turns, by subscribing
/// again.
type Case = (&'static str, [u8; 2], (usize, usize), &'static [PoolId]);

#[test]
fn a_firmware_is_told_what_it_bears_and_works_where_there_is_room() {
    const CASES: &[Case] = &[
        (LEAF, [8, 3], (1, 4), &[A]),
        (LEAF, [8, 2], (1, 4), &[A]),
        (LEAF, [4, 2], (0, 4), &[A]),
        (OLD_BITAXE, [8, 3], (1, 4), &[A]),
        (OLD_BITAXE, [8, 2], (1, 4), &[A]),
        (OLD_BITAXE, [4, 2], (0, 4), &[A]),
        (AVALON, [8, 3], (0, 3), &[A, B]),
        (AVALON, [8, 2], (1, 4), &[A]),
        (AVALON, [4, 2], (1, 3), &[A]),
        (NERD, [8, 3], (1, 2), &[A, B]),
        (ASIC, [8, 3], (1, 2), &[A, B]),
        (FLEXIBLE, [8, 3], (0, 3), &[A, B]),
    ];
    let swap = |pool: &PoolId| if *pool == A { B } else { A };
    for &(agent, sizes, expected, usable) in CASES {
        for mirrored in [false, true] {
            let sizes = if mirrored { [sizes[1], sizes[0]] } else { sizes };
            let usable: Vec<PoolId> = if mirrored { usable.iter().map(swap).collect() } else { usable.to_vec() };
            for well in [false, true] {
                let mut rig = pools(config(50, 50), sizes, well);
                arrives(&mut rig, 1, agent, sizes);
                assert_eq!(told(&rig, 1), expected, "{agent} {sizes:?}");
                let mut seen = Vec::new();
                for round in 0..12 {
                    let pool = mines(&mut rig, 1, round);
                    if !seen.contains(&pool) {
                        seen.push(pool);
                    }
                    rig.wait_lively(Span::secs(50));
                    assert!(rig.stays(1), "{agent} {sizes:?}");
                }
                seen.sort();
                let mut usable = usable.clone();
                usable.sort();
                assert_eq!(seen, usable, "{agent} {sizes:?}");
            }
        }
    }
}

#[test]
fn a_nerdminer_takes_turns_where_it_bears_both_pools_own() {
    // 8/2 and 4/2: no embedding in both, but its firmware bears either pool's own extranonce.
    for sizes in [[8, 2], [2, 8], [4, 2], [2, 4]] {
        let mut rig = pools(config(50, 50), sizes, true);
        arrives(&mut rig, 1, NERD, sizes);
        let first = mines(&mut rig, 1, 0);
        assert_eq!(told(&rig, 1), (4, size_of(first, sizes).into()));
        rig.wait_lively(Span::secs(1200));
        assert!(!rig.stays(1), "it has to come again for the other pool");
        arrives(&mut rig, 251, NERD, sizes);
        let second = mines(&mut rig, 251, 0);
        assert_ne!(first, second);
        assert_eq!(told(&rig, 251), (4, size_of(second, sizes).into()));
    }
}

#[test]
fn a_pool_that_comes_back_too_small_does_not_send_away_whom_another_fits() {
    for (agent, back) in [(LEAF, 3), (OLD_BITAXE, 3), (LEAF, 2), (OLD_BITAXE, 2), (AVALON, 2)] {
        for old in [[8, 4], [4, 8], [4, 4], [8, 8]] {
            let mut rig = pools(config(50, 50), old, true);
            arrives(&mut rig, 1, agent, old);
            let had = told(&rig, 1);
            rig.pool_closes(B);
            rig.wait(Span::secs(10));
            rig.pool_easy(B, "11223344", back);
            for round in 0..20 {
                assert_eq!(mines(&mut rig, 1, round), A, "{agent} {old:?} {back}");
                rig.wait_lively(Span::secs(50));
                assert!(rig.stays(1), "{agent} {old:?} {back}: nothing would be better for it");
            }
            assert_eq!(told(&rig, 1), had);
            assert!(!rig.closed.contains(&Conn::Miner(MinerId(1))));
            // One that comes now gets what it bears, too.
            arrives(&mut rig, 2, agent, [old[0], back]);
            assert!(bears(agent, told(&rig, 2).1), "{agent} {old:?} {back}");
            assert_eq!(mines(&mut rig, 2, 1), A);
        }
    }
}

#[test]
fn a_failover_pool_too_small_to_embed_still_takes_the_miner() {
    // All the weight is A's; B has no weight but is named for failover, and cgminer bears its 2 bytes.
    let mut config = config(100, 0);
    config.scheduler.failover = Some(B);
    let mut rig = pools(config, [8, 2], true);
    arrives(&mut rig, 1, ASIC, [8, 2]);
    assert_eq!(mines(&mut rig, 1, 0), A);
    rig.pool_closes(A);
    if rig.works_for(1) != Some(B) {
        assert!(!rig.stays(1), "it is idle though the failover pool is well");
        arrives(&mut rig, 251, ASIC, [8, 2]);
        assert_eq!(mines(&mut rig, 251, 0), B);
    }
}

#[test]
fn who_waits_for_a_pool_that_fails_is_given_another_that_it_bears() {
    // Three pools: 1 and 3 bytes are nothing for a NerdMiner, whatever order they stand in.
    let mut config = config(50, 50);
    let mut third = config.pools[1].clone();
    third.key = "C".into();
    third.address.host = "pool-c".into();
    config.pools.push(third);
    config.scheduler.weights = vec![300_000, 300_000, 400_000];
    let mut memory = memory(2, 1);
    let mut two = memory.pools[0].clone();
    two.0 = "pool-c:3333".into();
    memory.pools.push(two);
    let mut rig = Rig::new(config, &memory);
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{NERD}"]}}"#));
    let first = *rig.upstreams.keys().next().expect("a pool is asked");
    assert_ne!(first, B, "one byte");
    rig.pool_fails(first);
    assert!(!rig.upstreams.contains_key(&B), "one byte is no better now");
    let second = *rig.upstreams.keys().find(|pool| **pool != first).expect("another pool is asked at once");
    rig.pool_connects(second);
    for line in rig.pool_got(second) {
        rig.answer(second, &line, "aabbccdd", 2);
    }
    assert_eq!(told(&rig, 1), (4, 2));
}

#[test]
fn between_any_two_pools_the_layout_is_borne_if_any_pool_allows_it() {
    for agent in [ASIC, AVALON, FLEXIBLE, OLD_BITAXE, LEAF, NERD] {
        for a in 1..=16 {
            for b in 1..=16 {
                // Whether the probes went well must not matter; both ways are tried in turns.
                let mut rig = pools(config(60, 40), [a, b], (a + b) % 2 == 0);
                arrives(&mut rig, 1, agent, [a, b]);
                let allowed = [a, b].iter().any(|size| embeds(agent, *size) || bears(agent, usize::from(*size)));
                let (extranonce1, extranonce2) = told(&rig, 1);
                assert_eq!(bears(agent, extranonce2), allowed, "{agent} {a} {b}: told {extranonce1}, {extranonce2}");
                assert!(agent != NERD || extranonce1 > 0, "{a} {b}");
                assert!(rig.works_for(1).is_some(), "{agent} {a} {b}: it has work");
            }
        }
    }
}
