//! The live runners on loopback: miners straight at a pool.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use dpmp_sim::live::{LiveMiners, LivePool, demo_miners, demo_pools};
use dpmp_sim::miner::{MinerSpec, Personality};
use dpmp_sim::pool::{OutageMode, PoolSpec};

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pool() -> PoolSpec {
    PoolSpec { extranonce2_bytes: 4, job_interval_us: 500_000, ..PoolSpec::new("live", 1) }
}

#[test]
fn miners_mine_reconnect_and_stop() {
    let live = LivePool::start(pool(), 0).unwrap();
    let specs = Personality::all().into_iter().enumerate();
    let specs: Vec<MinerSpec> = specs.map(|(i, p)| MinerSpec::new(&format!("w{i}"), 20_000.0, p, i as u64)).collect();
    let count = specs.len();
    let miners = LiveMiners::start(specs, live.addr(), 0.3).unwrap();
    wait_for("all accepted", || miners.snapshot().iter().all(|m| m.accepted >= 3));
    let snapshot = live.snapshot();
    assert_eq!(snapshot.shares.faults(), 0, "{snapshot:#?}");
    assert_eq!(snapshot.connections.len(), count);

    for mode in [OutageMode::Close, OutageMode::Refuse] {
        let before = live.snapshot().shares.accepted();
        live.set_outage(Some(mode));
        wait_for("all dropped", || live.snapshot().connections.is_empty());
        wait_for("refused or not", || TcpStream::connect(live.addr()).is_err() == (mode == OutageMode::Refuse));
        live.set_outage(None);
        wait_for("all back", || live.snapshot().connections.len() == count);
        wait_for("work again", || live.snapshot().shares.accepted() > before + 50);
    }
    assert_eq!(live.snapshot().shares.faults(), 0, "{:#?}", live.snapshot().complaints);
    assert!(miners.snapshot().iter().all(|m| m.disconnects >= 2));
    let addr = live.addr();
    drop((miners, live));
    assert!(TcpListener::bind(addr).is_ok(), "a dropped pool gives its port back");
}

#[test]
fn rates_are_kept_and_the_budget_too() {
    let live = LivePool::start(PoolSpec { extranonce1_bytes: 4, ..pool() }, 0).unwrap();
    let specs = vec![
        MinerSpec::new("small", 10_000.0, Personality::minerd(), 1),
        MinerSpec::new("large", 40_000.0, Personality::cgminer(), 2),
    ];
    let miners = LiveMiners::start(specs, live.addr(), 0.5).unwrap();
    wait_for("both authorised", || miners.snapshot().iter().all(|m| m.has_job));
    let (start, before) = (miners.now_us(), miners.snapshot());
    std::thread::sleep(Duration::from_millis(1500));
    let seconds = (miners.now_us() - start) as f64 / 1e6;
    let rate = |i: usize| (miners.snapshot()[i].hashes - before[i].hashes) as f64 / seconds;
    assert!(rate(0) > 5_000.0 && rate(0) < 11_500.0, "{}", rate(0));
    assert!(rate(1) > 20_000.0 && rate(1) < 46_000.0, "{}", rate(1));
}

#[test]
fn the_cast_of_the_demo_gets_on_with_both_pools() {
    let pools: Vec<LivePool> = demo_pools().map(|spec| LivePool::start(spec, 0).unwrap()).into_iter().collect();
    for pool in &pools {
        let miners = LiveMiners::start(demo_miners(), pool.addr(), 0.5).unwrap();
        wait_for("shares", || pool.snapshot().shares.accepted() >= 3);
        assert_eq!(pool.snapshot().shares.faults(), 0, "{:#?}", pool.snapshot().complaints);
        assert_eq!(miners.snapshot().len(), 6);
    }
}
