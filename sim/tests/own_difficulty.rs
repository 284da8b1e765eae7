//! Small miners get a difficulty of their own, large ones see no change, and pools see the same shares as ever.

mod rig;

use dpmp_core::config::PoolConfig;
use dpmp_core::{Difficulty, Memory, Notice, Span, Verdict, WorkerMemory};
use rig::mine::Search;
use rig::{A, Rig, code, config, memory, notify};

fn difficulty(rig: &Rig) -> f64 {
    rig.seen(1).difficulty.as_deref().expect("it was told").parse().expect("a number")
}

/// A miner with this agent on pool A at this difficulty.
fn at(agent: &str, most: &str, change: impl FnOnce(&mut PoolConfig, &mut Memory)) -> Rig {
    let mut config = config(100, 0);
    let mut memory = memory(8, 4);
    change(&mut config.pools[0], &mut memory);
    let mut rig = Rig::new(config, &memory);
    rig.miner_ready(1, agent);
    rig.pool_ready(A, "aabbccdd", 8, most, "1");
    rig.miner_got(1);
    rig
}

#[test]
fn a_nerdminer_is_answered_although_its_pool_asks_for_a_million() {
    let mut rig = at("NerdMinerV2/V1.8.0", "1000000", |_, _| {});
    let told = difficulty(&rig);
    assert!((4e-5..7e-5).contains(&told), "five seconds of 50 kH/s: {told}");
    let share = Search { least: told, ..Search::default() };
    assert_eq!(code(&rig.share(1, share)), 0, "answered at once");
    assert!(rig.at(A).shares.is_empty(), "the pool did not ask for it");
    let worked = rig.notices.iter().find_map(|n| match n {
        Notice::ShareResult { verdict: Verdict::Credited, worked, .. } => *worked,
        _ => None,
    });
    assert_eq!(worked.map(|w| w.to_string()), rig.seen(1).difficulty.clone());
}

#[test]
fn what_the_pool_wants_goes_to_the_pool_as_ever() {
    let mut rig = at("NerdMinerV2/V1.8.0", "0.0001", |_, _| {});
    rig.pool_difficulty(A, "0.002");
    rig.pool(A, &notify("2", true));
    assert!(difficulty(&rig) < 1e-4);
    assert!(rig.share(1, Search { least: 0.002, ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    assert_eq!(code(&rig.miner_got(1)), 0);
}

#[test]
fn firmwares_that_take_whole_numbers_get_whole_numbers() {
    for agent in ["bitaxe/BM1366/v2.9.0", "NerdQAxe++/BM1370/v1.0.30"] {
        let rig = at(agent, "1000000", |_, _| {});
        let told = difficulty(&rig);
        assert!(told >= 1.0 && told.fract() == 0.0 && told < 10_000.0, "{agent} {told}");
    }
}

#[test]
fn large_machines_and_easy_pools_see_the_pools_difficulty() {
    for agent in ["Antminer S19/uart_trans.1.3", "whatsminer/v1.0", "bosminer-plus-tuner 0.9", "Avalon Q"] {
        let mut rig = at(agent, "1000000", |_, _| {});
        for n in 2..10 {
            rig.wait_lively(Span::secs(60));
            rig.pool(A, &notify(&n.to_string(), false));
            assert_eq!(difficulty(&rig), 1e6, "{agent}");
        }
    }
    assert_eq!(difficulty(&at("NerdMinerV2/V1.8.0", "0.0005", |_, _| {})), 5e-4);
}

#[test]
fn an_unknown_slow_miner_is_found_by_its_silence() {
    let mut rig = at("something/1.0", "1000000", |_, _| {});
    assert_eq!(difficulty(&rig), 1e6, "nothing is known of it yet");
    let mut told = vec![1e6];
    for _ in 0..30 {
        rig.wait_lively(Span::secs(60));
        if told.last() != Some(&difficulty(&rig)) {
            told.push(difficulty(&rig));
        }
    }
    assert!(told.windows(2).all(|two| two[1] < two[0]), "{told:?}");
    assert_eq!(told.last(), Some(&1.0), "a firmware that is not known may take no fractions: {told:?}");
}

#[test]
fn what_a_worker_showed_is_remembered() {
    let known = WorkerMemory { hashes_per_second: 5_000_000, number: 3 };
    let rig = at("something/1.0", "1000000", |_, memory| memory.workers.push(("w1".into(), known)));
    assert_eq!(difficulty(&rig), 1.0, "the least that an unknown firmware takes");
    assert_eq!(rig.engine.memory().workers, [("w1".to_string(), known)]);
}

#[test]
fn a_suggestion_is_believed_of_a_small_miner() {
    let mut config = config(100, 0);
    config.scheduler.repay = Span::ZERO;
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_connects(1);
    for line in [
        r#"{"id":1,"method":"mining.subscribe","params":["something/1.0"]}"#,
        r#"{"id":2,"method":"mining.suggest_difficulty","params":[0.0005]}"#,
        r#"{"id":3,"method":"mining.authorize","params":["x.w","p"]}"#,
    ] {
        rig.miner(1, line);
    }
    rig.pool_ready(A, "aabbccdd", 8, "1000000", "1");
    assert_eq!(difficulty(&rig), 5e-4);
}

#[test]
fn config_rules() {
    let min = |pool: &mut PoolConfig, _: &mut Memory| pool.min_difficulty = Difficulty::whole(64);
    assert_eq!(difficulty(&at("NerdMinerV2/V1.8.0", "1000000", min)), 64.0, "the operator's minimum");
    let off = |pool: &mut PoolConfig, _: &mut Memory| pool.sha256d = false;
    assert_eq!(difficulty(&at("NerdMinerV2/V1.8.0", "1000000", off)), 1e6, "nothing can be credited unchecked");
    let mut config = config(100, 0);
    config.vardiff.enabled = false;
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "NerdMinerV2/V1.8.0");
    rig.pool_ready(A, "aabbccdd", 8, "1000000", "1");
    assert_eq!(difficulty(&rig), 1e6);
}

#[test]
fn shares_on_their_way_are_judged_kindly() {
    // Told less with a job, the miner applies it at once to the job before.
    let mut rig = at("something/1.0", "0.005", |_, _| {});
    let before = rig.seen(1).job().id.clone();
    rig.wait_lively(Span::secs(240));
    let told = difficulty(&rig);
    assert!(told < 0.001, "{told}");
    let late = Search { job: Some(before), least: told, below: 0.004, ..Search::default() };
    assert_eq!(code(&rig.share(1, late)), 0);
}
