//! Switches by the schedule: order, jobs, weights, and the strict pools' verdict over a long session of miners that
//! submit late.

mod rig;

use dpmp_core::config::{Address, PoolConfig};
use dpmp_core::notice::SwitchReason;
use dpmp_core::{Command, Config, Notice, PoolId, Span};
use rig::mine::{Found, Search};
use rig::watch::crc16;
use rig::{A, B, Rig, config, memory, methods, notify};

#[test]
fn a_switch_is_difficulty_then_a_clean_job() {
    let mut config = config(50, 50);
    // No share comes for minutes, and that is not what this is about.
    config.vardiff.enabled = false;
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1024", "1");
    rig.pool_ready(B, "11223344", 4, "2048", "1");
    rig.pool(B, &notify("2", false));
    rig.miner_got(1);
    for told in ["2048", "1024", "2048", "1024"] {
        let on = rig.works_for(1);
        rig.wait_lively(Span::secs(49));
        assert_eq!(rig.works_for(1), on);
        rig.miner_got(1);
        rig.wait_lively(Span::secs(1));
        assert_ne!(rig.works_for(1), on, "min_switch at half and half");
        assert_eq!(methods(&rig.miner_got(1)), ["mining.set_difficulty", "mining.notify"]);
        assert_eq!(rig.seen(1).difficulty.as_deref(), Some(told));
        assert!(rig.seen(1).job().clean, "whatever the pool's flag was");
    }
    let whys: Vec<_> = rig
        .notices
        .iter()
        .filter_map(|n| match n {
            Notice::PoolSwitched { why, .. } => Some(*why),
            _ => None,
        })
        .collect();
    assert_eq!(whys[0], SwitchReason::First);
    assert!(whys[1..].iter().all(|w| *w == SwitchReason::Schedule));
}

#[test]
fn the_same_difficulty_is_not_told_again() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1024", "1");
    rig.pool_ready(B, "11223344", 4, "1024.9", "1");
    rig.miner_got(1);
    rig.wait(Span::secs(50));
    assert_eq!(rig.works_for(1), Some(B));
    assert!(!methods(&rig.miner_got(1)).contains(&"mining.set_difficulty".to_string()));
}

#[test]
fn jobs_of_the_other_pool_are_not_sent() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    for n in 2..30 {
        rig.pool(B, &notify(&n.to_string(), true));
    }
    assert!(rig.miner_got(1).is_empty());
    rig.wait(Span::secs(50));
    let job = rig.seen(1).job();
    assert!(job.coinb1.windows(2).any(|w| w == *b"29"), "the newest one at the switch");
}

#[test]
fn job_ids_skip_those_that_avalon_would_confuse() {
    // The watch checks every id of every session against the last eight; here over many, and the counter is dense.
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "Avalon Q");
    rig.pool_easy(A, "aabbccdd", 8);
    for n in 0..2_000 {
        rig.pool(A, &notify(&(n % 7).to_string(), n % 3 == 0));
    }
    let ids: Vec<u32> = rig.seen(1).jobs.iter().map(|j| u32::from_str_radix(&j.id, 16).unwrap()).collect();
    assert!(ids.windows(2).all(|w| w[0] < w[1]));
    assert!(ids.last().unwrap() - ids[0] < 2_100, "few are skipped");
    assert_eq!(crc16("123456789"), 0x31c3, "the published check value");
}

/// Ten minutes of switching as fast as it goes: strict pools of 8 and 4 bytes with the same decimal job ids, a new job
/// every second, each miner submits 150 ms after it found, in three kinds of firmware.
#[test]
fn ten_minutes_of_fast_switching_without_one_bad_share() {
    let mut fast = config(50, 50);
    fast.scheduler.min_switch = Span::secs(2);
    fast.scheduler.slice = Span::secs(2);
    let mut rig = Rig::new(fast, &memory(8, 4));
    let agents = ["cgminer/4.11.1", "NerdMinerV2", "cpuminer/2.5.1"];
    let mut pools = Vec::new();
    for (miner, agent) in (1..).zip(agents) {
        rig.miner_ready(miner, agent);
        if miner == 3 {
            rig.miner(miner, r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#);
        }
        rig.pool_easy(A, &format!("aabbcc{miner:02x}"), 8);
        rig.pool_easy(B, &format!("112233{miner:02x}"), 4);
        pools.push((rig.upstream(A), rig.upstream(B)));
    }
    let mut forwarded = 0;
    let mut late: Vec<(u64, Found)> = Vec::new();
    for second in 0..600u32 {
        for (miner, (a, b)) in (1..).zip(&pools) {
            rig.upstreams.insert(A, *a);
            rig.upstreams.insert(B, *b);
            let job = notify(&(second % 256).to_string(), second % 4 == 0);
            // The last 256 jobs differ, as those of a pool do.
            let job = job.replace("65000000", &format!("{:08x}", 0x6500_0000 + second));
            rig.pool(A, &job);
            rig.pool(B, &job);
            late.push((miner, rig.mine(miner, Search { extranonce2: u64::from(second % 3), ..Search::default() })));
        }
        rig.wait(Span::millis(150));
        for (miner, found) in late.drain(..) {
            assert!(rig.submit(miner, &found).is_empty(), "it goes to its pool: {found:?}");
            forwarded += 1;
        }
        for (a, b) in &pools {
            rig.upstreams.insert(A, *a);
            rig.upstreams.insert(B, *b);
            rig.pool_accepts(A);
            rig.pool_accepts(B);
        }
        rig.wait(Span::millis(850));
    }
    let got: usize = pools.iter().flat_map(|(a, b)| [a, b]).map(|u| rig.at_upstream(*u).shares.len()).sum();
    assert_eq!((got, forwarded), (1800, 1800));
    for (miner, (a, b)) in (1..).zip(&pools) {
        assert!(rig.stays(miner) && rig.seen(miner).open.is_empty());
        let (a, b) = (rig.at_upstream(*a).shares.len(), rig.at_upstream(*b).shares.len());
        assert!(a.abs_diff(b) <= 12, "miner {miner}: {a} and {b}");
    }
    let switches = rig.notices.iter().filter(|n| matches!(n, Notice::PoolSwitched { .. })).count();
    assert!(switches > 800, "{switches}");
    assert!(rig.closed.is_empty());
}

#[test]
fn weights_divide_the_time() {
    for (a, b) in [(50, 50), (90, 10), (25, 75), (99, 1)] {
        let mut rig = Rig::new(config(a, b), &memory(8, 4));
        rig.miner_ready(1, "cgminer/4.11.1");
        rig.pool_easy(A, "aabbccdd", 8);
        rig.pool_easy(B, "11223344", 4);
        let mut on_b = 0u32;
        let total = 7_200;
        for _ in 0..total {
            rig.wait_lively(Span::secs(5));
            on_b += u32::from(rig.works_for(1) == Some(B));
        }
        let share = f64::from(on_b) / f64::from(total) * 100.0;
        assert!((share - f64::from(b)).abs() < 0.7, "{a}:{b} gave {share:.2} %");
    }
}

/// A third pool, C, at this address.
fn three(weights: [u32; 3]) -> Config {
    let mut config = config(50, 50);
    let mut pool = PoolConfig::new("C");
    pool.address = Address { host: "pool-c".to_string(), port: 3333 };
    pool.wallet = "walletC".to_string();
    config.pools.push(pool);
    config.scheduler.weights = weights.iter().map(|w| w * 10_000).collect();
    config
}

#[test]
fn a_third_pool_just_works() {
    const C: PoolId = PoolId(2);
    let mut rig = Rig::new(three([50, 30, 20]), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.pool_easy(C, "55", 5);
    let mut on = [0u32; 3];
    for n in 0..3_600 {
        rig.wait_lively(Span::secs(5));
        let pool = rig.works_for(1).unwrap();
        on[pool.index()] += 1;
        if n % 20 == 0 {
            assert!(rig.share(1, Search { extranonce2: n, ..Search::default() }).is_empty());
            assert_eq!(rig.pool_accepts(pool), 1);
        }
    }
    for (part, want) in on.iter().zip([1800, 1080, 720]) {
        assert!(part.abs_diff(want) < 30, "{on:?}");
    }
    rig.pool_closes(A);
    assert!(rig.works_for(1).is_some_and(|pool| pool != A));
    // The operator takes C, then B out of the file.
    rig.command(Command::SetConfig(Box::new(config(50, 50))));
    assert_eq!(rig.works_for(1), Some(B), "the only one left with work");
    assert!(rig.stays(1));
    let mut one = config(50, 50);
    one.pools.pop();
    one.scheduler.weights = vec![1_000_000];
    rig.command(Command::SetConfig(Box::new(one)));
    assert_eq!(rig.works_for(1), None, "A is not back yet");
    let old = rig.upstream(A);
    while rig.upstream(A) == old {
        rig.wait(Span::secs(1));
    }
    rig.pool_easy(A, "cafe", 8);
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.stays(1));
}

#[test]
fn new_weights_hold_at_once() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    rig.command(Command::SetWeights(vec![0, 1_000_000]));
    assert_eq!(methods(&rig.miner_got(1)), ["mining.notify"], "in the same step");
    assert_eq!(rig.works_for(1), Some(B));
    assert!(rig.closed.contains(&dpmp_core::Conn::Upstream(rig.upstream(A))), "weight 0: no connection");
    rig.wait_lively(Span::secs(600));
    assert_eq!(rig.works_for(1), Some(B));
    rig.command(Command::SetWeights(vec![1_000_000, 0]));
    assert!(rig.stays(1));
    rig.pool_easy(A, "aabbccdd", 8);
    assert_eq!(rig.works_for(1), Some(A));
}
