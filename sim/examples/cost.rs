//! What the engine alone costs: instructions (under `valgrind --tool=callgrind`) or time of a job passed on and of a share
//! checked and forwarded, for miners one to one with an upstream each.
//!
//! ```text
//! cargo run --release -p dpmp-sim --example cost -- jobs 20000
//! cargo run --release -p dpmp-sim --example cost -- shares 20000
//! cargo run --release -p dpmp-sim --example cost -- shares 20000 recorded
//! cargo run --release -p dpmp-sim --example cost -- checks 20000
//! cargo run --release -p dpmp-sim --example cost -- hashes 20000
//! ```
//!
//! `checks` is a share's check alone; `hashes` is what it cannot do without: the coinbase, the branches and the header,
//! hashed and nothing else. The difference of two lengths of a run leaves its start out.

use std::env;
use std::time::Instant;

use dpmp_core::checker::Checker;
use dpmp_core::config::PoolConfig;
use dpmp_core::trace::Recorder;
use dpmp_core::{Action, ActionBuf, Config, Conn, Engine, Event, Memory, MinerId, PoolMemory, Time, UpstreamId};
use dpmp_sim::header::{Header, merkle_root};

const MINERS: u64 = 100;

fn feed(engine: &mut Engine, now: u64, conn: Conn, line: &str, out: &mut ActionBuf) {
    out.clear();
    engine.step(Time(now), Event::Received { conn, bytes: line.as_bytes() }, out);
}

/// As [`feed`], recorded as the driver does, save for the disk.
fn record(
    recorder: &mut Option<Recorder>,
    engine: &mut Engine,
    now: u64,
    conn: Conn,
    line: &str,
    out: &mut ActionBuf,
) -> u64 {
    let Some(recorder) = recorder else {
        feed(engine, now, conn, line, out);
        return 0;
    };
    out.clear();
    recorder.step(engine, Time(now), Event::Received { conn, bytes: line.as_bytes() }, out);
    match recorder.writer().waiting() {
        n if n < 64 * 1024 => 0,
        n => {
            drop(recorder.writer().take(Vec::with_capacity(64 * 1024)));
            n
        }
    }
}

/// A job of an ordinary size: a coinbase of 250 bytes and 12 merkle branches.
fn notify(job: u64) -> String {
    let branches = vec![format!("\"{}\"", "5a".repeat(32)); 12].join(",");
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{job:08x}\",\"{}\",\"{}\",\"{}\",[{branches}],\"20000000\",\"1d00ffff\",\"6b029f67\",false]}}\n",
        "00".repeat(32),
        "01".repeat(60),
        "02".repeat(178),
    )
}

/// An engine with miners that work for pool A; gives their upstreams.
fn ready(out: &mut ActionBuf) -> (Engine, Vec<UpstreamId>) {
    let config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![1_000_000, 0]);
    // Known from an earlier run, so that no miner waits for a probe.
    let known = PoolMemory { extranonce2_bytes: Some(8), version_mask: Some(0x1fff_e000) };
    let pools = config.pools.iter().map(|p| (format!("{}:{}", p.address.host, p.address.port), known)).collect();
    let mut engine = Engine::new(config, &Memory { pools, ..Memory::default() }, 1);
    engine.step(Time(0), Event::Tick, out);
    let probes: Vec<UpstreamId> = engine.upstreams().map(|(upstream, ..)| upstream).collect();
    for upstream in probes {
        engine.step(Time(0), Event::ConnectFailed { upstream, reason: "refused" }, out);
    }
    out.clear();
    let mut upstreams = Vec::new();
    for miner in 1..=MINERS {
        let conn = Conn::Miner(MinerId(miner));
        let peer = "127.0.0.1:1000".parse().expect("an address");
        engine.step(Time(miner), Event::MinerAccepted { miner: MinerId(miner), peer }, out);
        feed(&mut engine, miner, conn, "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4\"]}\n", out);
        feed(&mut engine, miner, conn, "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w.m\",\"x\"]}\n", out);
        let upstream = out.actions().iter().find_map(|action| match action {
            Action::Connect { upstream, .. } => Some(*upstream),
            _ => None,
        });
        let upstream = upstream.expect("a ready miner gets its upstream");
        out.clear();
        engine.step(Time(miner), Event::Connected { upstream }, out);
        let conn = Conn::Upstream(upstream);
        feed(&mut engine, miner, conn, "{\"id\":1,\"result\":[[],\"00112233\",8],\"error\":null}\n", out);
        feed(&mut engine, miner, conn, "{\"id\":2,\"result\":true,\"error\":null}\n", out);
        feed(&mut engine, miner, conn, "{\"method\":\"mining.set_difficulty\",\"params\":[0.0000000001]}\n", out);
        feed(&mut engine, miner, conn, &notify(0), out);
        upstreams.push(upstream);
    }
    (engine, upstreams)
}

/// The hashing of a share of [`notify`]'s jobs, bare.
fn hash(times: u64) {
    let mut coinbase = vec![1u8; 60 + 4 + 8 + 178];
    let branches = [[0x5a; 32]; 12];
    let start = Instant::now();
    let mut any = 0u8;
    for i in 0..times {
        coinbase[64..72].copy_from_slice(&i.to_be_bytes());
        let root = merkle_root(&coinbase, &branches);
        let header = Header { version: 1, prevhash: [0; 32], root, ntime: 1, nbits: 1, nonce: i as u32 };
        any |= header.hash()[0];
    }
    println!("hashes: {times}, {:.2} µs each ({any:02x})", start.elapsed().as_secs_f64() * 1e6 / times as f64);
}

/// The same shares, checked.
fn check(times: u64) {
    let checker = Checker::new(notify(1).trim_end().as_bytes(), &[1; 4], 8).expect("a job");
    let start = Instant::now();
    let mut any = 0u8;
    for i in 0..times {
        let checked = checker.check(&i.to_be_bytes(), 1, i as u32, 1).expect("its own job");
        any |= checked.hash[0] | u8::from(checked.block) | u8::from(checked.difficulty > 1e9);
    }
    println!("checks: {times}, {:.2} µs each ({any:02x})", start.elapsed().as_secs_f64() * 1e6 / times as f64);
}

fn main() {
    let what = env::args().nth(1).unwrap_or_default();
    let times: u64 = env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(20_000);
    match what.as_str() {
        "hashes" => return hash(times),
        "checks" => return check(times),
        _ => {}
    }
    let mut out = ActionBuf::new();
    let (mut engine, upstreams) = ready(&mut out);
    let jobs: Vec<String> = (1..1000).map(notify).collect();
    let mut recorder = (env::args().nth(3).as_deref() == Some("recorded")).then(|| Recorder::new(&engine, 1, 0));
    let mut recorded = 0;
    let start = Instant::now();
    for i in 0..times {
        let (round, which) = (i / MINERS, (i % MINERS) as usize);
        let now = 1_000 + i;
        if what == "shares" {
            let line = format!(
                "{{\"id\":{i},\"method\":\"mining.submit\",\"params\":[\"w.m\",\"00000001\",\"{:08x}\",\"6b029f67\",\"{i:08x}\"]}}\n",
                round
            );
            let miner = Conn::Miner(MinerId(which as u64 + 1));
            recorded += record(&mut recorder, &mut engine, now, miner, &line, &mut out);
            assert!(out.actions().iter().any(|a| matches!(a, Action::Send { conn: Conn::Upstream(_), .. })));
            let answer = format!("{{\"id\":{},\"result\":true,\"error\":null}}\n", round + 3);
            let upstream = Conn::Upstream(upstreams[which]);
            recorded += record(&mut recorder, &mut engine, now, upstream, &answer, &mut out);
        } else {
            let (upstream, job) = (Conn::Upstream(upstreams[which]), &jobs[(round % 999) as usize]);
            recorded += record(&mut recorder, &mut engine, now, upstream, job, &mut out);
        }
        assert!(out.actions().iter().any(|a| matches!(a, Action::Send { conn: Conn::Miner(_), .. })));
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / times as f64;
    println!("{what}: {times} in {:.1} ms, {each:.2} µs each", start.elapsed().as_secs_f64() * 1e3);
    if recorded > 0 {
        println!("recorded {} bytes each", recorded / times);
    }
    let start = Instant::now();
    let checkpoint = engine.checkpoint().len();
    let took = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let mut recorder = Recorder::new(&engine, 2, 0);
    let with = start.elapsed().as_secs_f64() * 1e3;
    let folded = recorder.writer().origin_bytes();
    println!("a checkpoint at {MINERS} miners: {checkpoint} bytes in {took:.2} ms; folded: {folded} in {with:.2} ms");
}
