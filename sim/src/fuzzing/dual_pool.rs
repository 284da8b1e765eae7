//! A small world of two strict pools and one to three miners, its kinds and faults drawn from the bytes. Nothing may be
//! wrong by the peers' own account: no share that a pool takes for invalid, each submit answered once, no livelock.

use arbitrary::{Result, Unstructured};
use dpmp_core::{CloseReason, Command, Notice};

use crate::miner::{MinerSpec, Personality};
use crate::pool::{OutageMode, PoolSpec, Script};
use crate::world::{Fault, NetSpec, World, WorldSpec};

/// Microseconds of a second.
const SECOND: u64 = 1_000_000;
/// The last fault has healed by then, and the world ends a good deal later.
const HEALED: u64 = 240 * SECOND;
const END: u64 = 480 * SECOND;

/// Panics on a violation.
pub fn body(data: &[u8]) {
    let Ok(spec) = spec(&mut Unstructured::new(data)) else { return };
    let mut world = World::new(spec.clone());
    world.keep_notices();
    world.run_until(END);
    let mut wrong = world.outcome().violations;
    wrong.extend(world.not_live().into_iter().map(|who| format!("not live: {who}")));
    let notices = world.take_notices();
    // A miner whose agreements fit no pool any more is sent to subscribe again, now and then (STRATUM.md §1).
    let sent_away = |(_, notice): &(u64, Notice)| {
        matches!(notice, Notice::MinerDisconnected { reason: CloseReason::Resubscribe, .. })
    };
    if notices.iter().any(sent_away) {
        wrong.retain(|what| !what.contains("disconnected after"));
    }
    if !both_in_use(&spec) {
        // The one that grants version rolling may be the one without weight.
        wrong.retain(|what| !what.contains("times no mask"));
    }
    if !wrong.is_empty() {
        report(&spec, &mut world, notices);
        panic!("{wrong:#?}");
    }
}

/// Each pool has weight all the time.
fn both_in_use(spec: &WorldSpec) -> bool {
    let set = spec.faults.iter().filter_map(|(_, fault)| match fault {
        Fault::Command(Command::SetWeights(weights)) => Some(weights),
        _ => None,
    });
    set.chain([&spec.config.scheduler.weights]).all(|weights| !weights.contains(&0))
}

/// What the world was, and what the proxy said.
fn report(spec: &WorldSpec, world: &mut World, notices: Vec<(u64, Notice)>) {
    for pool in &spec.pools {
        eprintln!("{}: {:?} {:?} every {} us", pool.name, pool.flavour, pool.script, pool.job_interval_us);
    }
    eprintln!("weights {:?}, {:?}, {:?}", spec.config.scheduler.weights, spec.net, spec.faults);
    for (at, notice) in notices {
        let shown = format!("{notice:?}");
        let usual = ["LinesReceived", "Share", "PoolJob", "JobForwarded", "PoolDifficulty"];
        if !usual.iter().any(|name| shown.starts_with(name)) {
            eprintln!("{:>12} {shown}", at);
        }
    }
    eprintln!("{}", world.outcome());
}

fn spec(u: &mut Unstructured<'_>) -> Result<WorldSpec> {
    let difficulty = 1e-8;
    let seed = u64::from(u.arbitrary::<u16>()?);
    let pools = vec![pool(u, "left", seed, difficulty)?, pool(u, "right", seed ^ 1, difficulty)?];
    let firmwares = Personality::all();
    let mut miners = Vec::new();
    for n in 0..u.int_in_range(1..=3u64)? {
        let mut personality = firmwares[u.choose_index(firmwares.len())?].clone();
        personality.suggest(difficulty);
        if personality.hashes_per_work < u32::MAX {
            // Of the order of a share's hashes, so that extranonce2, ntime and version really roll.
            personality.hashes_per_work = u.int_in_range(5..=300)?;
        }
        let hash_rate = difficulty * 4_295_032_833.0 / f64::from(u.int_in_range(2..=10u32)?);
        miners.push(MinerSpec::new(&format!("w{n}"), hash_rate, personality, seed.wrapping_add(n)));
    }
    let mut spec = WorldSpec::new(seed, pools, miners);
    spec.net = NetSpec {
        latency_max_us: 500 + u64::from(u.arbitrary::<u8>()?) * 1_000,
        cut_permille: u64::from(u.arbitrary::<u8>()?) * 3,
        ..NetSpec::default()
    };
    let first = u.int_in_range(0..=10u32)? * 100_000;
    spec.config.scheduler.weights = vec![first, 1_000_000 - first];
    let mut at = 2 * SECOND;
    while !u.is_empty() && spec.faults.len() < 40 {
        at += u64::from(u.arbitrary::<u8>()?) * SECOND / 4;
        let healed = at + SECOND + u64::from(u.arbitrary::<u8>()?) * SECOND / 4;
        if healed >= HEALED {
            break;
        }
        fault(u, &mut spec, at, healed)?;
    }
    Ok(spec)
}

fn pool(u: &mut Unstructured<'_>, name: &str, seed: u64, difficulty: f64) -> Result<PoolSpec> {
    let kinds = [
        PoolSpec::new,
        PoolSpec::ckpool,
        PoolSpec::ckpool_lhr,
        PoolSpec::public_pool,
        PoolSpec::datum,
        PoolSpec::npm,
        PoolSpec::btcpool,
        PoolSpec::nasty,
    ];
    Ok(PoolSpec {
        difficulty: format!("{difficulty:.9}"),
        job_interval_us: u.int_in_range(3..=40u64)? * SECOND,
        jobs_per_block: u.int_in_range(2..=30)?,
        branches: u.int_in_range(0..=12)?,
        coinbase_bytes: u.int_in_range(150..=240)?,
        ..kinds[u.choose_index(kinds.len())?](name, seed)
    })
}

fn fault(u: &mut Unstructured<'_>, spec: &mut WorldSpec, at: u64, healed: u64) -> Result<()> {
    let (pool, miner) = (u.choose_index(2)?, u.choose_index(spec.miners.len())?);
    let mut outage = |mode| spec.pools[pool].script.push((at, Script::Outage { mode, until_us: healed }));
    match u.int_in_range(0..=13u8)? {
        0 => outage(OutageMode::Close),
        1 => outage(OutageMode::Refuse),
        2 => outage(OutageMode::Silent),
        3 => outage(OutageMode::Frozen),
        4 => spec.faults.push((at, Fault::CutPool(pool))),
        5 => spec.faults.push((at, Fault::HoldPool { pool, until_us: healed.min(at + 20 * SECOND) })),
        6 => spec.faults.push((at, Fault::CutMiner(miner))),
        7 => spec.faults.push((at, Fault::ClogMiner { miner, until_us: healed.min(at + 10 * SECOND) })),
        8 => {
            let first = u.int_in_range(0..=10u32)? * 100_000;
            let weights = vec![first, 1_000_000 - first];
            spec.faults.push((at, Fault::Command(Command::SetWeights(weights))));
        }
        9 => spec.pools[pool].script.push((at, Script::NewBlock)),
        10 => spec.pools[pool].script.push((at, Script::Ping)),
        11 => spec.pools[pool].script.push((at, Script::GetVersion)),
        12 => spec.pools[pool].script.push((at, Script::ShowMessage("maintenance".into()))),
        _ => spec.pools[pool].script.push((at, Script::Reconnect { host: "elsewhere.example".into(), port: 3333 })),
    }
    Ok(())
}
