//! What holds for whole sessions: any cut of the bytes gives the same messages, and no order of events makes the proxy
//! break a rule of the watch, panic, or forget a submit. The rig restores the engine from a checkpoint before each step
//! of every test, and compares it with one that never was.

mod rig;

use dpmp_core::{Command, Conn, Engine, Event, MinerId, RestoreError, Span};
use dpmp_sim::rng::Rng;
use rig::mine::Search;
use rig::{A, B, Rig, code, config, memory, notify};

/// A long session with a bit of everything.
fn session(cut: usize) -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.cut = cut;
    rig.step(Event::WallClock { unix_micros: 1_790_000_000_000_000 });
    rig.miner_connects(1);
    rig.miner(
        1,
        r#"{"id":0,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
    );
    rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["bitaxe/BM1370/v2.8.0"]}"#);
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.\u00e9\"quoted","p"]}"#);
    rig.miner(1, r#"{"id":3,"method":"mining.suggest_difficulty","params":[1000]}"#);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    let mut from = 0;
    for round in 0..20u32 {
        let found = rig.mine(1, Search { from, rolled: Some((0x1fff_e000, round << 13)), ..Search::default() });
        from = found.number + 1;
        rig.submit(1, &found);
        if round % 3 == 0 {
            assert_eq!(code(&rig.submit(1, &found)), 22);
        }
        rig.miner_bytes(1, b"garbage\r\n\n{\"id\":9}\n");
        rig.pool_accepts(A);
        rig.pool_accepts(B);
        rig.pool(A, &notify(&round.to_string(), round % 4 == 0));
        rig.pool_difficulty(B, if round % 2 == 0 { "0.00000002" } else { "0.00000001" });
        match round {
            7 => rig.pool_closes(A),
            9 => rig.pool_easy(A, "ee", 8),
            12 => rig.command(Command::SetWeights(vec![300_000, 700_000])),
            15 => rig.pool(B, r#"{"id":null,"method":"mining.set_extranonce","params":["7777",5]}"#).clear(),
            _ => {}
        }
        rig.wait(Span::secs(7));
    }
    rig.command(Command::Drain);
    rig.wait(Span::secs(2));
    assert!(rig.drained);
    rig
}

#[test]
fn any_cut_gives_the_same_messages() {
    let whole = session(usize::MAX);
    for cut in [1, 2, 3, 7, 64, 1000] {
        let other = session(cut);
        assert!(
            other.log == whole.log,
            "cut into {cut}: {} lines and {}",
            other.log.lines().count(),
            whole.log.lines().count()
        );
    }
}

#[test]
fn lines_joined_in_one_chunk_give_the_same_messages() {
    let lines = [
        r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#,
        r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#,
        r#"{"id":3,"method":"mining.ping","params":[]}"#,
        r#"{"id":4,"method":"mining.extranonce.subscribe","params":[]}"#,
    ];
    let run = |joined: bool| {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_connects(1);
        for line in lines {
            rig.watch.miner_said(MinerId(1), line);
        }
        if joined {
            return rig.miner_bytes(1, (lines.join("\n") + "\n").as_bytes());
        }
        let mut got = Vec::new();
        for line in lines {
            got.extend(rig.miner_bytes(1, format!("{line}\n").as_bytes()));
        }
        got
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn the_same_events_give_the_same_bytes() {
    assert!(session(usize::MAX).log == session(usize::MAX).log);
}

#[test]
fn checkpoints_of_another_version_or_damaged() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    let good = rig.engine.checkpoint();
    let mut other = good.clone();
    other[0] ^= 0x40;
    assert!(matches!(Engine::restore(&other), Err(RestoreError::Version { .. })));
    assert!(matches!(Engine::restore(&good[..3]), Err(RestoreError::Damaged)));
    for cut in 4..good.len() {
        assert!(Engine::restore(&good[..cut]).is_err(), "cut at {cut}");
    }
    for at in 4..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0xff;
        // Damage may go unseen, but it never panics.
        let _either = Engine::restore(&bad).is_ok();
    }
}

/// Bytes of peers, one or a few of them changed, never panic the engine.
#[test]
fn mutated_lines_never_panic() {
    let lines = session(usize::MAX);
    let said: Vec<(Conn, String)> = lines
        .log
        .lines()
        .filter_map(|line| {
            let (who, line) = line.split_once(" > ")?;
            let conn = match who.contains("miner") {
                true => Conn::Miner(MinerId(1)),
                false => Conn::Upstream(dpmp_core::UpstreamId(if who.contains("pool A") { 3 } else { 4 })),
            };
            Some((conn, line.to_string()))
        })
        .collect();
    let mut rng = Rng::new(1, "mutate");
    let mut out = dpmp_core::ActionBuf::new();
    for _ in 0..300 {
        // The rig's own set-up, then the session's lines with damage, on a bare engine.
        let mut engine = Engine::new(config(50, 50), &memory(8, 4), 7);
        let mut now = dpmp_core::Time::ZERO;
        engine.step(now, Event::Tick, &mut out);
        for id in 1..=2 {
            let upstream = dpmp_core::UpstreamId(id);
            engine.step(now, Event::ConnectFailed { upstream, reason: "refused" }, &mut out);
        }
        let peer = "192.0.2.1:4000".parse().expect("an address");
        engine.step(now, Event::MinerAccepted { miner: MinerId(1), peer }, &mut out);
        for (conn, line) in &said {
            now += Span::millis(rng.below(2_000));
            for id in 3..=4 {
                engine.step(now, Event::Connected { upstream: dpmp_core::UpstreamId(id) }, &mut out);
            }
            let mut bytes = format!("{line}\n").into_bytes();
            if rng.chance(0.15) {
                for _ in 0..=rng.below(3) {
                    let at = rng.below(bytes.len().max(1) as u64) as usize;
                    if bytes.is_empty() {
                        bytes.push(b'x');
                    }
                    match rng.below(4) {
                        0 => bytes[at] = rng.next() as u8,
                        1 => drop(bytes.remove(at)),
                        2 => bytes.insert(at, b"0123456789abcdef\"\\[]{},:.-e\n"[rng.below(28) as usize]),
                        _ => bytes.truncate(at + 1),
                    }
                }
            }
            engine.step(now, Event::Received { conn: *conn, bytes: &bytes }, &mut out);
            assert!(engine.poll_timeout().is_none_or(|(t, _)| t > now));
            out.clear();
        }
    }
}

/// One random thing that a peer or an operator can do.
fn anything(rig: &mut Rig, rng: &mut Rng, next_miner: &mut u64) {
    let pool = if rng.chance(0.5) { A } else { B };
    let miner = 1 + rng.below(*next_miner);
    let open = rig.open_upstreams(pool);
    if !open.is_empty() {
        rig.upstreams.insert(pool, open[rng.below(open.len() as u64) as usize]);
    }
    let there = rig.stays(miner);
    let jobs = rig.watch.miners.get(&MinerId(miner)).map_or(0, |seen| seen.jobs.len());
    let connected = rig.upstreams.contains_key(&pool) && !rig.closed.contains(&Conn::Upstream(rig.upstream(pool)));
    match rng.below(20) {
        0 if *next_miner < 12 => {
            *next_miner += 1;
            let agents =
                ["cgminer/4.11.1", "NerdMinerV2", "bitaxe/2.4.1", "LeafMiner", "mystery", "Avalon Q", "cpuminer/2.5"];
            let agent = agents[rng.below(agents.len() as u64) as usize];
            rig.miner_ready(*next_miner, agent);
            if rng.chance(0.5) {
                let mask = ["ffffffff", "00ffe000"][rng.below(2) as usize];
                let params = format!(r#"[["version-rolling"],{{"version-rolling.mask":"{mask}"}}]"#);
                rig.miner(*next_miner, &format!(r#"{{"id":8,"method":"mining.configure","params":{params}}}"#));
            }
            for pool in [A, B] {
                if rig.upstreams.contains_key(&pool) && rng.chance(0.8) {
                    rig.pool_easy(pool, "aabb", [4, 8][rng.below(2) as usize]);
                }
            }
        }
        1 if there => rig.step(Event::Closed { conn: Conn::Miner(MinerId(miner)), reason: "eof" }),
        2 if connected => rig.pool_closes(pool),
        3 if connected => rig.step(Event::ConnectFailed { upstream: rig.upstream(pool), reason: "no" }),
        4..=6 if connected => {
            let size = [2, 3, 4, 5, 8][rng.below(5) as usize];
            rig.pool_easy(pool, "aabb", size);
        }
        7 if connected => {
            let difficulty = ["0.00000001", "0.00000003", "1.5", "2048", "0.5"][rng.below(5) as usize];
            rig.pool_difficulty(pool, difficulty);
        }
        8 | 9 if connected => {
            rig.pool(pool, &notify(&rng.below(5).to_string(), rng.chance(0.5)));
        }
        10 if connected => {
            rig.pool_accepts(pool);
        }
        11..=14 if there && jobs > 0 => {
            let at = rng.below(jobs as u64) as usize;
            let job = rig.seen(miner).jobs[at].id.clone();
            let mask = rig.seen(miner).mask;
            let rolled = (mask != 0).then(|| (mask, rng.next() as u32 & mask));
            let search = Search { job: Some(job), extranonce2: rng.below(0x1_0000), rolled, ..Search::default() };
            rig.share(miner, search);
        }
        15 if there => {
            rig.miner(miner, r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#);
        }
        16 => {
            let a = 1_000_000 / 4 * rng.below(5) as u32;
            rig.command(Command::SetWeights(vec![a, 1_000_000 - a]));
        }
        17 if there => {
            let bytes = [0, 100, 20_000, 0, 0][rng.below(5) as usize];
            rig.step(Event::SendQueue { conn: Conn::Miner(MinerId(miner)), bytes });
        }
        18 if connected => {
            rig.pool(pool, r#"{"id":null,"method":"mining.set_extranonce","params":["cc",3]}"#);
        }
        _ => rig.wait(Span::millis(rng.below(40_000))),
    }
}

#[test]
fn a_thousand_random_sessions_break_no_rule() {
    let first = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    let mut forwarded = 0;
    for seed in first.map_or(0..1000, |seed: u64| seed..seed + 1) {
        let mut rng = Rng::new(seed, "anything");
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        let mut next_miner = 0;
        for _ in 0..60 {
            anything(&mut rig, &mut rng, &mut next_miner);
        }
        // Whatever happened, every submit of a miner that is still there is answered in the end.
        rig.wait(Span::secs(31));
        for miner in rig.engine.miners().map(|m| m.miner).collect::<Vec<_>>() {
            let open =
                rig.watch.miners.get(&miner).map_or(0, |s| s.open.iter().filter(|o| o.1 == "mining.submit").count());
            assert_eq!(open, 0, "seed {seed}: {}", rig.log);
        }
        rig.command(Command::Drain);
        rig.wait(Span::secs(2));
        assert!(rig.drained && rig.engine.poll_timeout().is_none(), "seed {seed}");
        forwarded += rig.watch.pools.values().map(|p| p.shares.len()).sum::<usize>();
    }
    assert!(first.is_some() || forwarded > 2_000, "only {forwarded} shares reached a pool");
}

/// I5: while a pool can be worked for, a ready miner works for one; and it has just one current job, of that pool.
#[test]
fn a_miner_has_work_whenever_a_pool_does() {
    let first = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    for seed in first.map_or(0..300, |seed: u64| seed..seed + 1) {
        let mut rng = Rng::new(seed, "work");
        let mut config = config(50, 50);
        config.scheduler.failover = rng.chance(0.3).then_some(B);
        let mut rig = Rig::new(config, &memory(8, 4));
        rig.miner_ready(1, "cpuminer/2.5.1");
        for _ in 0..80 {
            let pool = if rng.chance(0.5) { A } else { B };
            let connected = rig.upstreams.contains_key(&pool);
            match rng.below(10) {
                0 if connected => rig.pool_closes(pool),
                1 if connected => rig.pool_fails(pool),
                2..=4 if connected => rig.pool_easy(pool, "aabb", if pool == A { 8 } else { 4 }),
                5 if connected => {
                    rig.pool(pool, &notify(&rng.below(9).to_string(), rng.chance(0.5)));
                }
                6 if rig.works_for(1).is_some() => {
                    rig.share(1, Search { extranonce2: rng.below(9999), ..Search::default() });
                }
                7 if connected => {
                    rig.pool_accepts(pool);
                }
                8 => {
                    let a = 500_000 * rng.below(3) as u32;
                    rig.command(Command::SetWeights(vec![a, 1_000_000 - a]));
                }
                _ => {
                    if rng.chance(0.5) {
                        rig.wait(Span::millis(rng.below(60_000)));
                    } else {
                        rig.wait_lively(Span::millis(rng.below(60_000)));
                    }
                }
            }
            // A pool that has lost its weight may go on for a moment, but nobody is owed its work.
            let usable = rig.engine.pools().filter(|p| p.usable > 0 && rig.engine.config().in_use(p.pool));
            let usable: Vec<_> = usable.map(|p| p.pool).collect();
            match rig.works_for(1) {
                Some(pool) => {
                    assert!(rig.engine.pools().any(|p| p.pool == pool && p.usable > 0), "seed {seed}");
                    let size = if pool == A { 8 } else { 4 };
                    let at = rig.at(pool);
                    assert_eq!(at.extranonce2_bytes, size);
                }
                None => assert!(usable.is_empty(), "seed {seed}: idle though {usable:?} has work"),
            }
            assert!(rig.stays(1) && !rig.closed.contains(&Conn::Miner(MinerId(1))), "seed {seed}");
            let silent = rig.now.since(rig.seen(1).last_line);
            assert!(silent <= Span::secs(45), "seed {seed}: silent for {silent:?}");
        }
    }
}
