//! Sequences of events of all kinds, drawn from the bytes: connections, realistic lines with odd fields, pieces of
//! lines, ends, queues, time, commands. At a drawn step a checkpoint is restored, and both engines must go on alike.

use arbitrary::{Result, Unstructured};
use dpmp_core::{Command, Config, Conn, Event, Memory, MinerId, PoolId, Span, Time, UpstreamId};

use super::bench::{Bench, Up, memory, two_pools};
use super::lines;

/// Most events of an input.
const MOST: usize = 400;
/// Most miners at once.
const MOST_MINERS: usize = 5;

/// Panics on a fault.
pub fn body(data: &[u8]) {
    let mut u = Unstructured::new(data);
    // Bytes that end early end the session early.
    if let Ok(mut bench) = start(&mut u) {
        let mut next_miner = 1;
        let restore_at = u.int_in_range(0..=60).unwrap_or(0);
        for n in 0..MOST {
            if n == restore_at {
                bench.restore_beside();
            }
            if u.is_empty() || event(&mut bench, &mut u, &mut next_miner).is_err() {
                break;
            }
        }
        bench.settle();
    }
}

fn start(u: &mut Unstructured<'_>) -> Result<Bench> {
    let sizes = [[8, 4], [8, 8], [4, 4], [3, 8], [8, 2], [5, 16]][u.choose_index(6)?];
    Ok(match u.int_in_range(0..=3u8)? {
        0 => Bench::new(two_pools(), &Memory::default()),
        1 => Bench::new(config(u)?, &memory(sizes)),
        _ => Bench::without_probes(&memory(sizes)),
    })
}

/// A valid config: one to three pools, any weights, failover, limits.
fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let mut config = two_pools();
    match u.int_in_range(0..=3u8)? {
        0 => drop(config.pools.pop()),
        1 => {
            let mut third = config.pools[1].clone();
            third.key = "C".into();
            third.address.host = "pool-c".into();
            config.pools.push(third);
        }
        _ => {}
    }
    let n = config.pools.len() as u32;
    let first = u.int_in_range(0..=4u32)? * 250_000;
    config.scheduler.weights = match n {
        1 => vec![1_000_000],
        2 => vec![first, 1_000_000 - first],
        _ => vec![first, (1_000_000 - first) / 2, 1_000_000 - first - (1_000_000 - first) / 2],
    };
    let flags: u8 = u.arbitrary()?;
    if flags & 1 != 0 {
        config.pools[0].password = Some("secret".into());
    }
    if flags & 2 != 0 {
        config.pools[0].wallet = String::new();
    }
    if flags & 4 != 0 {
        config.scheduler.failover = Some(PoolId((n - 1) as u8));
    }
    if flags & 8 != 0 {
        config.pools[0].sha256d = false;
    }
    if flags & 16 != 0 {
        config.limits.max_miners = 2;
        config.limits.per_address = 1;
    }
    if flags & 32 != 0 {
        config.scheduler.slice = Span::secs(1 + u64::from(u.arbitrary::<u8>()?));
    }
    if flags & 64 != 0 {
        config.pools[0].address.port = 3334;
    }
    Ok(config)
}

fn miner(bench: &Bench, u: &mut Unstructured<'_>) -> Result<Option<Conn>> {
    let all: Vec<MinerId> = bench.rules.miners.keys().copied().collect();
    Ok(if all.is_empty() { None } else { Some(Conn::Miner(all[u.choose_index(all.len())?])) })
}

fn upstream(bench: &Bench, u: &mut Unstructured<'_>, up: Up) -> Result<Option<UpstreamId>> {
    let all: Vec<UpstreamId> = bench.upstreams.iter().filter(|(_, (_, is))| *is == up).map(|(id, _)| *id).collect();
    Ok(if all.is_empty() { None } else { Some(all[u.choose_index(all.len())?]) })
}

fn either(bench: &Bench, u: &mut Unstructured<'_>) -> Result<Option<Conn>> {
    if u.arbitrary()? { miner(bench, u) } else { Ok(upstream(bench, u, Up::Stands)?.map(Conn::Upstream)) }
}

/// Some text, cut anywhere.
fn pieces(bench: &mut Bench, u: &mut Unstructured<'_>, conn: Conn, text: &str) -> Result<()> {
    let mut rest = text.as_bytes();
    if u.ratio(1u8, 8u8)? {
        let (piece, later) = rest.split_at(u.choose_index(rest.len().max(1))?);
        bench.receive(conn, piece);
        rest = later;
    }
    bench.receive(conn, rest);
    Ok(())
}

fn event(bench: &mut Bench, u: &mut Unstructured<'_>, next_miner: &mut u64) -> Result<()> {
    match u.int_in_range(0..=31u8)? {
        0 | 1 if bench.rules.miners.len() < MOST_MINERS => {
            bench.miner_connects(*next_miner);
            *next_miner += 1;
        }
        2 if bench.rules.miners.len() < MOST_MINERS => {
            bench
                .miner_ready(*next_miner, ["cgminer/4.11.1", "cpuminer/2.5.1", "NerdMinerV2", "x"][u.choose_index(4)?]);
            *next_miner += 1;
        }
        0..=10 => {
            let Some(conn @ Conn::Miner(id)) = miner(bench, u)? else { return Ok(()) };
            let mut text = String::new();
            for _ in 0..u.int_in_range(1..=3u8)? {
                text += &lines::of_miner(u, bench.rules.miners.get(&id))?;
                text += "\n";
            }
            pieces(bench, u, conn, &text)?;
        }
        11..=17 => {
            let Some(id) = upstream(bench, u, Up::Stands)? else { return Ok(()) };
            let mut text = String::new();
            for _ in 0..u.int_in_range(1..=3u8)? {
                text += &lines::of_pool(u, bench.rules.pools.get(&id))?;
                text += "\n";
            }
            pieces(bench, u, Conn::Upstream(id), &text)?;
        }
        18 | 19 => {
            let Some(id) = upstream(bench, u, Up::Asked)? else { return Ok(()) };
            bench.connects(id);
        }
        20 | 21 => {
            let up = if u.arbitrary()? { Up::Asked } else { Up::Stands };
            let Some(id) = upstream(bench, u, up)? else { return Ok(()) };
            bench.pool_ready(id, ["aabbccdd", "ee", ""][u.choose_index(3)?], [8, 4, 3, 2][u.choose_index(4)?]);
        }
        22 => {
            let Some(id) = upstream(bench, u, Up::Asked)? else { return Ok(()) };
            bench.fails(id);
        }
        23 => {
            let Some(id) = upstream(bench, u, Up::Stands)? else { return Ok(()) };
            bench.answer_all(id, "aabbccdd", 8, true);
        }
        24 => {
            let Some(conn) = either(bench, u)? else { return Ok(()) };
            bench.closes(conn);
        }
        25 => {
            let Some(conn) = either(bench, u)? else { return Ok(()) };
            let bytes = [0, 1, 20_000, 70_000, 300_000, 600_000][u.choose_index(6)?];
            bench.step(Event::SendQueue { conn, bytes });
        }
        26 => {
            let Some(conn) = either(bench, u)? else { return Ok(()) };
            let n = u.len().min(40);
            let bytes = u.bytes(n)?.to_vec();
            bench.receive(conn, &bytes);
        }
        27 => flood(bench, u)?,
        28 => command(bench, u)?,
        29 => {
            // Stale ids, a clock that jumps, and time that seems to run back.
            match u.int_in_range(0..=3u8)? {
                0 => bench.step(Event::WallClock { unix_micros: u.arbitrary()? }),
                1 => bench.step(Event::Received { conn: Conn::Miner(MinerId(9_999)), bytes: b"x\n" }),
                2 => bench.step(Event::Closed { conn: Conn::Upstream(UpstreamId(9_999)), reason: "old" }),
                _ => bench.step(Event::Connected { upstream: UpstreamId(9_999) }),
            }
        }
        _ => {
            let most = [10, 1_000, 40_000, 400_000][u.choose_index(4)?];
            bench.wait(Span::millis(u.int_in_range(0..=most)?));
        }
    }
    assert!(bench.now >= Time::ZERO && bench.engine.miners().count() <= bench.rules.miners.len());
    Ok(())
}

/// A line many times over: what is kept of it is bounded.
fn flood(bench: &mut Bench, u: &mut Unstructured<'_>) -> Result<()> {
    let Some(conn) = either(bench, u)? else { return Ok(()) };
    let times = u.int_in_range(2..=120u32)?;
    let line = match conn {
        Conn::Miner(id) => lines::of_miner(u, bench.rules.miners.get(&id))?,
        Conn::Upstream(id) => lines::of_pool(u, bench.rules.pools.get(&id))?,
    };
    for n in 0..times {
        // Another job, another nonce.
        let line = line.replace("\"00000001\"", &format!("\"{n:08x}\"")).replace("[\"1\"", &format!("[\"{n}\""));
        bench.line(conn, &line);
    }
    Ok(())
}

fn command(bench: &mut Bench, u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=12u8)? {
        0 => bench.step(Event::Command(Command::Drain)),
        1..=5 => {
            let config = config(u)?;
            bench.step(Event::Command(Command::SetConfig(Box::new(config.clone()))));
            assert!(*bench.engine.config() == config, "another config than was set");
        }
        6 => {
            let weights = vec![u.arbitrary()?; u.int_in_range(0..=9usize)?];
            bench.step(Event::Command(Command::SetWeights(weights)));
        }
        _ => {
            let first = u.int_in_range(0..=1_000_000u32)?;
            bench.step(Event::Command(Command::SetWeights(vec![first, 1_000_000 - first])));
        }
    }
    Ok(())
}
