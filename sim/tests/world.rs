//! The engine in simulated worlds.

use dpmp_core::time::Span;
use dpmp_core::{Command, Config};
use dpmp_sim::miner::{MinerSpec, Personality, Rolling, SetExtranonce};
use dpmp_sim::pool::{JobIds, OutageMode, PoolSpec, Reason, Script, VersionRolling};
use dpmp_sim::world::{Fault, NetSpec, Outcome, World, WorldSpec};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

/// One of each firmware, at pools of difficulty 1e-6.
fn miners(shares_per_minute: f64) -> Vec<MinerSpec> {
    let rate = 1e-6 * 4_295_032_833.0 * shares_per_minute / 60.0;
    let all = Personality::all().into_iter().enumerate();
    all.map(|(i, p)| MinerSpec::new(&format!("w{i}"), rate, p, i as u64)).collect()
}

fn two_pools() -> Vec<PoolSpec> {
    vec![PoolSpec::ckpool("ck", 1), PoolSpec::public_pool("pp", 2)]
}

fn clean(world: &mut World) -> Outcome {
    let outcome = world.outcome();
    println!("{outcome}");
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert_eq!(world.not_live(), Vec::<String>::new());
    outcome
}

/// As [`clean`], but each miner may have had to connect once more.
fn renegotiated(world: &mut World) -> Outcome {
    let outcome = world.outcome();
    let others: Vec<&String> = outcome.violations.iter().filter(|v| !v.contains("disconnected after")).collect();
    assert_eq!(others, Vec::<&String>::new());
    assert_eq!(world.not_live(), Vec::<String>::new());
    assert!(outcome.miners.iter().all(|m| m.disconnects <= 1), "{outcome}");
    outcome
}

#[test]
fn a_calm_world_divides_its_work_and_loses_nothing() {
    let mut world = World::new(WorldSpec::new(1, two_pools(), miners(12.0)));
    world.run_until(30 * MINUTE);
    let outcome = clean(&mut world);
    assert!(outcome.accepted() > 4000);
    assert!((outcome.share_of(0) - 0.5).abs() < 0.005, "{}", outcome.share_of(0));
}

/// The first of the claims in the issue: colliding job ids, a job each second, switches as fast as the config allows, a
/// third each of miners that honour, ignore, and hang up on `mining.set_extranonce`, late shares after each switch.
#[test]
fn ten_minutes_of_fast_switches() {
    let pool = |spec: PoolSpec| PoolSpec { job_ids: JobIds::Decimal, job_interval_us: SECOND, ..spec };
    let pools = vec![pool(PoolSpec::ckpool("ck", 1)), pool(PoolSpec::public_pool("pp", 2))];
    let tempers = [SetExtranonce::Honour, SetExtranonce::Ignore, SetExtranonce::HangUp];
    let mut fleet = miners(60.0);
    for (i, miner) in fleet.iter_mut().enumerate() {
        miner.personality.set_extranonce = tempers[i % 3];
        miner.personality.late_us = 150_000;
    }
    let mut spec = WorldSpec::new(2, pools, fleet);
    (spec.config.scheduler.min_switch, spec.config.scheduler.slice) = (Span::secs(5), Span::secs(5));
    let mut world = World::new(spec);
    world.run_until(10 * MINUTE);
    let outcome = clean(&mut world);
    assert!(outcome.accepted() > 5000);
    assert!(outcome.miners.iter().all(|m| m.disconnects == 0 && m.answered_twice == 0));
}

#[test]
fn an_outage_of_each_kind_costs_no_miner_its_connection() {
    for mode in [OutageMode::Close, OutageMode::Refuse, OutageMode::Silent, OutageMode::Frozen] {
        let mut pools = two_pools();
        pools[0].script = vec![(3 * MINUTE, Script::Outage { mode, until_us: 8 * MINUTE })];
        let mut world = World::new(WorldSpec::new(3, pools, miners(12.0)));
        world.run_until(8 * MINUTE);
        let during = world.outcome();
        world.run_until(14 * MINUTE);
        let outcome = clean(&mut world);
        let gained = |i: usize| outcome.pools[i].shares.accepted() - during.pools[i].shares.accepted();
        assert!(gained(0) > 200, "{mode:?}: back at work");
        assert!(outcome.miners.iter().all(|m| m.disconnects == 0), "{mode:?}");
    }
}

#[test]
fn every_byte_alone_makes_no_difference_to_anybody() {
    let net = NetSpec { single_bytes: true, latency_max_us: 5_000, ..NetSpec::default() };
    let mut world = World::new(WorldSpec { net, ..WorldSpec::new(4, two_pools(), miners(12.0)) });
    world.run_until(3 * MINUTE);
    assert!(clean(&mut world).accepted() > 200);
}

#[test]
fn pools_of_all_sizes_and_makes() {
    let sized = |spec: PoolSpec, extranonce1_bytes, extranonce2_bytes| PoolSpec {
        extranonce1_bytes,
        extranonce2_bytes,
        ..spec
    };
    let pairs = [
        [PoolSpec::datum("datum", 1), PoolSpec::npm("npm", 2)],
        [
            PoolSpec::btcpool("btc", 3),
            PoolSpec { version_rolling: VersionRolling::False, ..PoolSpec::nasty("nasty", 4) },
        ],
        [sized(PoolSpec::new("p2pool", 5), 0, 4), sized(PoolSpec::new("five", 6), 4, 5)],
        [sized(PoolSpec::new("two", 7), 8, 8), PoolSpec::ckpool_lhr("lhr", 8)],
    ];
    for (seed, pools) in (10..).zip(pairs) {
        let mut world = World::new(WorldSpec::new(seed, pools.to_vec(), miners(12.0)));
        world.run_until(8 * MINUTE);
        let outcome = clean(&mut world);
        assert!(outcome.pools.iter().all(|pool| pool.shares.accepted() > 300));
    }
}

#[test]
fn pools_that_change_their_mind() {
    let mut pools = two_pools();
    pools[0].script = vec![
        (2 * MINUTE, Script::SetDifficulty("0.000002".into())),
        (3 * MINUTE, Script::SetExtranonce { extranonce2_bytes: 8, subscribers_only: false }),
        (4 * MINUTE, Script::Ping),
        (4 * MINUTE, Script::GetVersion),
        (5 * MINUTE, Script::ShowMessage("maintenance tonight".into())),
        (6 * MINUTE, Script::SetDifficulty("0.0000005".into())),
        (7 * MINUTE, Script::ChangeSizes { extranonce1_bytes: 6, extranonce2_bytes: 6 }),
    ];
    pools[1].script =
        vec![(4 * MINUTE, Script::NewBlock), (5 * MINUTE, Script::Reconnect { host: "evil.example".into(), port: 1 })];
    let mut spec = WorldSpec::new(5, pools, miners(12.0));
    spec.faults = vec![
        (7 * MINUTE + SECOND, Fault::CutPool(0)),
        (9 * MINUTE, Fault::Command(Command::SetWeights(vec![800_000, 200_000]))),
        (11 * MINUTE, Fault::CutMiner(2)),
        (12 * MINUTE, Fault::ClogMiner { miner: 3, until_us: 12 * MINUTE + 5 * SECOND }),
        (13 * MINUTE, Fault::HoldPool { pool: 1, until_us: 13 * MINUTE + 8 * SECOND }),
    ];
    let mut world = World::new(spec);
    world.run_until(25 * MINUTE);
    let outcome = clean(&mut world);
    assert!(outcome.pools[0].replies >= 2, "pings and get_version are answered");
    assert_eq!(outcome.pools.iter().map(|pool| pool.shares.faults()).sum::<u64>(), 0);
}

#[test]
fn random_worlds_with_faults() {
    // Not 4: see `a_pool_that_is_silent_on_configure`.
    for seed in [0, 1, 2, 3, 5, 6, 7, 8] {
        let length = 30 * MINUTE;
        let mut world = World::new(WorldSpec::random(seed, 8, 12.0, length, true));
        world.run_until(length);
        println!("seed {seed}: cargo run -p dpmp-sim --example world -- {seed} 30 8");
        clean(&mut world);
    }
}

/// While it is not known yet that a pool will never answer `mining.configure`, miners are told the usual mask. Those who
/// came that early have to connect once more when it is known; else the silent pool would never get their work.
#[test]
fn a_pool_that_is_silent_on_configure() {
    let silent = PoolSpec { version_rolling: VersionRolling::Silence, ..PoolSpec::npm("silent", 4) };
    let mut world = World::new(WorldSpec::new(1, vec![PoolSpec::btcpool("btc", 3), silent], miners(12.0)));
    world.run_until(10 * MINUTE);
    let outcome = renegotiated(&mut world);
    assert!((outcome.share_of(0) - 0.5).abs() < 0.2, "{}", outcome.share_of(0));
}

/// The same with two of them: nobody may be left without work for ever.
#[test]
fn two_pools_that_are_silent_on_configure() {
    let silent = |spec| PoolSpec { version_rolling: VersionRolling::Silence, ..spec };
    let pools = vec![silent(PoolSpec::btcpool("btc", 3)), silent(PoolSpec::npm("npm", 4))];
    let honest = |miner: &MinerSpec| miner.personality.rolling != Rolling::Always && !miner.personality.insists_on_mask;
    let mut world = World::new(WorldSpec::new(1, pools, miners(12.0).into_iter().filter(honest).collect()));
    world.run_until(10 * MINUTE);
    renegotiated(&mut world);
}

/// A miner that came while one pool had no weight works for that pool later without subscribing again.
#[test]
fn weight_for_a_pool_that_had_none() {
    let pools = vec![PoolSpec::new("eight", 1), PoolSpec::public_pool("four", 2)];
    let mut spec = WorldSpec::new(7, pools, miners(12.0));
    spec.config.scheduler.weights = vec![1_000_000, 0];
    spec.faults = vec![(5 * MINUTE, Fault::Command(Command::SetWeights(vec![0, 1_000_000])))];
    let mut world = World::new(spec);
    world.run_until(10 * MINUTE);
    assert!(clean(&mut world).share_of(1) > 0.4);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = |seed| {
        let mut world = World::new(WorldSpec::random(seed, 6, 12.0, 10 * MINUTE, true));
        world.run_until(5 * MINUTE);
        world.outcome().to_string()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn one_pool_alone_and_a_miner_that_rolls_as_it_likes() {
    let narrow = VersionRolling::Mask(0x00ff_e000);
    let pools = vec![PoolSpec { version_rolling: narrow, ..PoolSpec::new("narrow", 1) }];
    let fleet = vec![
        MinerSpec::new("w0", 900.0, Personality { hashes_per_work: 50, ..Personality::nerdqaxe() }, 1),
        MinerSpec::new("w1", 900.0, Personality { hashes_per_work: 50, ..Personality::bitaxe() }, 2),
    ];
    let config: Config = WorldSpec::config(&pools);
    let mut world = World::new(WorldSpec { config, ..WorldSpec::new(6, pools, fleet) });
    world.run_until(10 * MINUTE);
    let outcome = world.outcome();
    assert_eq!(outcome.pools[0].shares.count(Reason::VersionBits), 0, "bits outside the mask never go upstream");
    assert!(outcome.miners[1].accepted > 50);
}
