//! Small worlds, one a firmware, pool software or mishap, for the golden recordings: two minutes or so, a few shares a
//! minute, so that a person can read the whole timeline.

use dpmp_core::time::Span;
use dpmp_core::{Command, PoolId};
use dpmp_sim::miner::{MinerSpec, Personality};
use dpmp_sim::pool::{OutageMode, PoolSpec, Script};
use dpmp_sim::world::{Fault, Recorded, World, WorldSpec};

const SECOND: u64 = 1_000_000;
/// Every 43rd hash is a share.
const DIFFICULTY: f64 = 1e-8;
const SHARES_PER_MINUTE: f64 = 5.0;

/// Name, world, seconds.
pub(crate) type Golden = (&'static str, WorldSpec, u64);

fn miner(name: &str, personality: Personality) -> MinerSpec {
    let mut personality = personality;
    personality.suggest(DIFFICULTY);
    if personality.hashes_per_work < u32::MAX {
        personality.hashes_per_work = 50;
    }
    let rate = DIFFICULTY * 4_295_032_833.0 * SHARES_PER_MINUTE / 60.0;
    MinerSpec::new(name, rate, personality, 11)
}

fn pool(spec: PoolSpec) -> PoolSpec {
    PoolSpec {
        difficulty: "0.00000001".into(),
        job_interval_us: 17 * SECOND,
        branches: spec.branches.min(1),
        coinbase_bytes: 120,
        ..spec
    }
}

fn world(pools: [PoolSpec; 2], personality: Personality) -> WorldSpec {
    let name = personality.label.to_lowercase().replace([' ', '.'], "-");
    let mut spec = WorldSpec::new(9, pools.map(pool).to_vec(), vec![miner(&name, personality)]);
    let scheduler = &mut spec.config.scheduler;
    (scheduler.min_switch, scheduler.slice) = (Span::secs(20), Span::secs(10));
    spec
}

fn ck() -> PoolSpec {
    PoolSpec::ckpool("ck", 1)
}

fn public() -> PoolSpec {
    PoolSpec::public_pool("public", 2)
}

fn scripted(spec: PoolSpec, script: Vec<(u64, Script)>) -> PoolSpec {
    let script = script.into_iter().map(|(at, what)| (at * SECOND, what)).collect();
    PoolSpec { script, ..spec }
}

fn out(mode: OutageMode, from: u64, until: u64) -> (u64, Script) {
    (from, Script::Outage { mode, until_us: until * SECOND })
}

/// One a firmware.
fn firmwares() -> Vec<Golden> {
    let late = Personality { late_us: 4_000_000, late_jobs: 10, ..Personality::bitaxe() };
    let busy = |spec| PoolSpec { job_interval_us: 5 * SECOND, ..pool(spec) };
    let mut queue = world([ck(), public()], late);
    queue.pools = vec![busy(ck()), busy(public())];
    vec![
        ("bitaxe", world([ck(), public()], Personality::bitaxe()), 110),
        (
            "nerdminer-constant-extranonce2",
            world([PoolSpec::ckpool_lhr("lhr", 3), public()], Personality::nerdminer()),
            110,
        ),
        ("leafminer-random-upper-case", world([ck(), PoolSpec::npm("npm", 4)], Personality::leafminer()), 110),
        ("cgminer-insists-on-a-mask", world([ck(), PoolSpec::npm("npm", 4)], Personality::cgminer_vmask()), 110),
        ("antminer-version-rolling", world([ck(), PoolSpec::new("plain", 5)], Personality::antminer()), 110),
        ("whatsminer", world([PoolSpec::btcpool("btc", 6), public()], Personality::whatsminer()), 110),
        ("minerd-same-id-for-all", world([ck(), PoolSpec::npm("npm", 4)], Personality::minerd()), 110),
        ("bfgminer-looks-before-it-stays", world([ck(), public()], Personality::bfgminer()), 110),
        ("nerdqaxe-rolls-at-will", world([ck(), public()], Personality::nerdqaxe()), 110),
        ("queue-of-old-jobs", queue, 70),
    ]
}

/// One a pool software.
fn softwares() -> Vec<Golden> {
    vec![
        ("datum", world([PoolSpec::datum("datum", 7), ck()], Personality::cgminer()), 90),
        ("public-pool-and-npm", world([public(), PoolSpec::npm("npm", 4)], Personality::cpuminer_opt()), 90),
        ("nasty-pool", world([PoolSpec::nasty("nasty", 8), ck()], Personality::cgminer()), 90),
    ]
}

/// One a mishap.
fn mishaps() -> Vec<Golden> {
    let new_extranonce = |extranonce2_bytes| Script::SetExtranonce { extranonce2_bytes, subscribers_only: false };
    let changes = scripted(PoolSpec::new("changes", 5), vec![(30, new_extranonce(8)), (70, new_extranonce(3))]);
    let dies = scripted(ck(), vec![out(OutageMode::Close, 25, 60)]);
    let silent = scripted(ck(), vec![out(OutageMode::Silent, 25, 150)]);
    let mut silence = world([silent, public()], Personality::cgminer());
    silence.config.pools[0].silence = Span::secs(60);
    let both = |spec| scripted(spec, vec![out(OutageMode::Refuse, 20, 130)]);
    let mut storm = world([ck(), public()], Personality::cgminer());
    storm.miners.push(miner("bitaxe", Personality::bitaxe()));
    storm.faults = vec![(20 * SECOND, Fault::Storm), (24 * SECOND, Fault::Storm), (50 * SECOND, Fault::CutPool(0))];
    let mut clogged = world([ck(), public()], Personality::antminer());
    clogged.faults = vec![(20 * SECOND, Fault::ClogMiner { miner: 0, until_us: 45 * SECOND })];
    clogged.net.socket_buffer = 512;
    let mut slider = world([ck(), public()], Personality::cgminer());
    let set = |a: u32| Fault::Command(Command::SetWeights(vec![a, 1_000_000 - a]));
    slider.faults = vec![(30 * SECOND, set(800_000)), (70 * SECOND, set(0))];
    vec![
        ("set-extranonce-hang-up", world([changes, ck()], Personality::avalon()), 130),
        ("pool-dies", world([dies, public()], Personality::bitaxe()), 110),
        ("silent-pool", silence, 170),
        ("no-pool-at-all", world([both(ck()), both(public())], Personality::cpuminer_opt()), 220),
        ("reconnect-storm", storm, 80),
        ("slow-reader", clogged, 70),
        ("slider", slider, 120),
        ("three-pools", three_pools(), 110),
    ]
}

fn three_pools() -> WorldSpec {
    let pools = [ck(), public(), PoolSpec::datum("datum", 7)].map(pool).to_vec();
    let dies = out(OutageMode::Refuse, 60, 100);
    let mut spec = WorldSpec::new(9, pools, vec![miner("cgminer", Personality::cgminer())]);
    spec.pools[0].script = vec![(dies.0 * SECOND, dies.1)];
    let scheduler = &mut spec.config.scheduler;
    (scheduler.min_switch, scheduler.slice) = (Span::secs(20), Span::secs(10));
    scheduler.weights = vec![500_000, 300_000, 200_000];
    scheduler.failover = Some(PoolId(1));
    spec
}

/// All of them.
pub(crate) fn all() -> Vec<Golden> {
    [firmwares(), softwares(), mishaps()].concat()
}

/// The recording of one.
pub(crate) fn record((_, spec, seconds): &Golden) -> Vec<u8> {
    let mut world = World::around(Recorded::new(spec.start()), spec.clone());
    world.run_until(seconds * SECOND);
    let outcome = world.outcome();
    assert_eq!(outcome.violations, Vec::<String>::new());
    assert!(outcome.accepted() > 0, "{outcome}");
    world.into_proxy().end()
}
