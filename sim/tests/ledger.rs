//! The ledger beside what the simulated world knows for certain: its pools' books, its miners', and the hashes done.

use std::collections::BTreeMap;

use dpmp_core::ledger::{Ledger, Outcome, Window};
use dpmp_core::notice::Fault;
use dpmp_core::{Config, Time};
use dpmp_sim::miner::{MinerSpec, Personality};
use dpmp_sim::pool::{OutageMode, PoolSpec, Script};
use dpmp_sim::world::{self, World, WorldSpec};

const MINUTE: u64 = 60_000_000;
/// Hashes of difficulty 1 in these worlds.
const HASHES: f64 = 4_295_032_833.0;

fn miners(shares_per_minute: f64) -> Vec<MinerSpec> {
    let rate = 1e-6 * HASHES * shares_per_minute / 60.0;
    let all = Personality::all().into_iter().enumerate();
    all.map(|(i, p)| MinerSpec::new(&format!("w{i}"), rate * (1 + i % 4) as f64, p, i as u64)).collect()
}

fn run(mut spec: WorldSpec, weights: Vec<u32>, minutes: u64) -> (Ledger, world::Outcome) {
    spec.config.scheduler.weights = weights;
    let config: Config = spec.config.clone();
    let mut world = World::new(spec);
    world.keep_notices();
    let mut ledger = Ledger::new(&config);
    ledger.wall_clock(Time::ZERO, 1_769_860_800_000_000);
    for minute in 1..=minutes {
        world.run_until(minute * MINUTE);
        for (at, notice) in world.take_notices() {
            ledger.observe(Time(at), &notice);
        }
        ledger.tick(Time(minute * MINUTE));
    }
    (ledger, world.outcome())
}

fn pools() -> Vec<PoolSpec> {
    vec![PoolSpec::ckpool("ck", 1), PoolSpec::public_pool("pp", 2)]
}

/// What still is under way at the end of the world.
const UNDER_WAY: u64 = 8;

#[test]
fn in_calm_its_books_are_the_worlds() {
    let (ledger, outcome) = run(WorldSpec::new(3, pools(), miners(12.0)), vec![700_000, 300_000], 60);
    assert_eq!(outcome.violations, Vec::<String>::new());
    for (slot, pool) in ledger.slots().iter().zip(&outcome.pools) {
        let row = ledger.pool(&slot.pool).unwrap();
        let accepted = row.counts.shares.get(Outcome::Accepted);
        assert!(pool.shares.accepted().abs_diff(accepted) <= UNDER_WAY, "{accepted} {outcome}");
        assert!(pool.shares.rejected().abs_diff(row.counts.rejected()) <= UNDER_WAY, "{outcome}");
        let paid = row.counts.paid.as_f64();
        assert!((paid / pool.shares.accepted_difficulty - 1.0).abs() < 0.01, "{paid} {outcome}");
        let best = ledger.bests().pools[&slot.pool].difficulty.as_f64();
        assert!((best / pool.shares.best - 1.0).abs() < 1e-3, "{best} {}", pool.shares.best);
    }
    let rows: BTreeMap<_, _> = ledger.workers().collect();
    for (index, miner) in outcome.miners.iter().enumerate() {
        let row = rows.iter().find(|(name, _)| name.as_ref() == miner.name).map(|(_, row)| *row);
        let row = row.unwrap_or_else(|| panic!("no row of {}", miner.name));
        assert!(row.counts.good().abs_diff(miner.accepted) <= 2, "{} {}", row.counts.good(), miner.accepted);
        // The work is that of the hashes done, within the noise of its shares.
        let done = outcome.hashes[index].iter().sum::<f64>() / HASHES;
        let lost = row.counts.wasted_work.as_f64();
        let noise = 5.0 / (row.counts.good() as f64).sqrt();
        let found = (row.counts.work.as_f64() + lost) / done;
        assert!((found - 1.0).abs() < noise + 0.02, "{}: {found} of the work", miner.name);
    }
    // The split, as measured over the last hour, beside the hashes done.
    let sums: Vec<_> = ledger.slots().iter().map(|s| s.windows.sum(Window::Hour, ledger.now())).collect();
    let all: f64 = sums.iter().map(|sum| sum.work.as_f64()).sum();
    let (part, truth) = (sums[0].work.as_f64() / all, outcome.share_of(0));
    let squares: f64 = sums.iter().map(|sum| sum.squares).sum();
    let sigma = (truth * (1.0 - truth) * squares).sqrt() / all;
    assert!((part - truth).abs() < 4.0 * sigma, "{part} measured, {truth} done, one sigma is {sigma}");
    assert_eq!(ledger.target(Window::Hour)[..2], [700_000, 300_000]);
    let totals = ledger.totals();
    assert_eq!(totals.faults.get(Fault::Proxy), 0);
    let submitted: u64 = outcome.miners.iter().map(|miner| miner.submitted).sum();
    assert!(submitted.abs_diff(totals.shares.all()) <= UNDER_WAY, "{submitted} {totals:?}");
    // Nothing but switching makes shares late here, and the ledger says so.
    let late = totals.late();
    assert!(totals.switch_lost <= totals.rejected() + late && totals.after_switch >= totals.switch_lost, "{totals:?}");
}

#[test]
fn through_outages_every_share_has_one_end() {
    let mut pools = pools();
    let out = |mode, until| Script::Outage { mode, until_us: until * MINUTE };
    pools[0].script = vec![(10 * MINUTE, out(OutageMode::Close, 13))];
    pools[1].script = vec![(25 * MINUTE, out(OutageMode::Silent, 29))];
    let spec = WorldSpec::new(5, pools, miners(20.0));
    let (ledger, outcome) = run(spec, vec![500_000, 500_000], 45);
    let totals = ledger.totals();
    let submitted: u64 = outcome.miners.iter().map(|miner| miner.submitted).sum();
    let on_the_wire: u64 = outcome.miners.iter().map(|m| m.unanswered + m.lost_with_connection).sum();
    let ended = totals.shares.all();
    assert!(ended <= submitted && submitted - ended <= on_the_wire + UNDER_WAY, "{submitted} {ended} {outcome}");
    for (slot, pool) in ledger.slots().iter().zip(&outcome.pools) {
        let counts = &ledger.pool(&slot.pool).unwrap().counts;
        let known = counts.shares.get(Outcome::Accepted);
        let unsure = counts.lost() + counts.shares.get(Outcome::Abandoned) + UNDER_WAY;
        let (accepted, most) = (pool.shares.accepted(), known + unsure);
        assert!((known..=most).contains(&accepted), "{known} {accepted} {most} {outcome}");
    }
    assert!(totals.lost() > 0, "an outage costs the shares that are on their way: {totals:?}");
    assert_eq!(totals.faults.get(Fault::Proxy), 0);
}
