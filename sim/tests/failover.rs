//! Pools that die in every way: the miner has the other pool's job in the same step, the dead one comes back by itself,
//! nobody disconnects, and every submit is answered.

mod rig;

use dpmp_core::notice::HeldOff;
use dpmp_core::{Command, Conn, Event, Memory, MinerId, Notice, PoolId, Span};
use rig::mine::Search;
use rig::{A, B, Rig, code, config, memory, methods, notify};

fn two() -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    assert_eq!(rig.works_for(1), Some(A));
    rig
}

/// The switch happened in the step just made: a clean job of this pool, and it can be mined.
fn has_job_of(rig: &mut Rig, pool: PoolId) {
    let got = rig.miner_got(1);
    assert_eq!(got.iter().filter(|l| l.contains("mining.notify")).count(), 1, "one job in the same step: {got:?}");
    assert!(rig.seen(1).job().clean);
    assert_eq!(rig.works_for(1), Some(pool));
    assert!(rig.share(1, Search { extranonce2: 0x0f_0f0f, ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(pool), 1);
    assert_eq!(code(&rig.miner_got(1)), 0);
    assert!(rig.stays(1) && !rig.closed.contains(&Conn::Miner(MinerId(1))));
}

/// Waits until the proxy connects to the pool again by itself; gives the seconds that it took.
fn until_tried(rig: &mut Rig, pool: PoolId) -> u64 {
    let (old, start) = (rig.upstream(pool), rig.now);
    while rig.upstream(pool) == old {
        rig.wait_lively(Span::secs(1));
        assert!(rig.now.since(start) < Span::secs(100), "it never tries again");
    }
    rig.now.since(start).as_secs()
}

#[test]
fn a_pool_closes() {
    let mut rig = two();
    rig.share(1, Search::default());
    rig.pool_closes(A);
    let got = rig.miner_got(1);
    assert_eq!(methods(&got), ["reply", "mining.notify"], "the submit is answered and the other pool's job is there");
    assert_eq!(code(&got), 20);
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolDown { pool, other_alive: true, .. } if *pool == A)));
    assert_eq!(rig.works_for(1), Some(B));
    until_tried(&mut rig, A);
    rig.miner_got(1);
    rig.pool_easy(A, "cafe", 8);
    has_job_of(&mut rig, A);
}

#[test]
fn a_pool_refuses_connections_and_is_tried_after_5_to_60_seconds() {
    let mut rig = two();
    rig.pool_closes(A);
    has_job_of(&mut rig, B);
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(until_tried(&mut rig, A));
        rig.pool_fails(A);
    }
    for (wait, nominal) in waits.iter().zip([5, 10, 20, 40, 60, 60, 60, 60]) {
        // Jitter of some part, and the steps of a second of this test.
        assert!(*wait >= nominal / 2 && *wait <= nominal * 3 / 2 + 1, "{waits:?}");
    }
    assert!(waits.iter().all(|w| *w <= 75), "{waits:?}");
    assert_eq!(rig.works_for(1), Some(B));
    // It comes back by itself.
    until_tried(&mut rig, A);
    rig.miner_got(1);
    rig.pool_easy(A, "cafe", 8);
    has_job_of(&mut rig, A);
    // And the wait begins at 5 s again.
    rig.pool_closes(A);
    assert!(until_tried(&mut rig, A) <= 8);
}

#[test]
fn a_pool_leaves_a_submit_unanswered() {
    let mut rig = two();
    rig.share(1, Search::default());
    rig.miner_got(1);
    rig.wait(Span::millis(29_999));
    assert_eq!(rig.works_for(1), Some(A));
    rig.wait(Span::millis(1));
    let got = rig.miner_got(1);
    assert_eq!(code(&got), 20, "the submit is answered with an error");
    assert_eq!(got.iter().filter(|l| l.contains("mining.notify")).count(), 1, "and the other pool's job is there");
    assert_eq!(rig.works_for(1), Some(B));
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolHeldOff { why: HeldOff::NoAnswer, .. })));
    // Its connection is given up in the end, and made anew.
    let old = rig.upstream(A);
    rig.wait(Span::secs(31));
    assert!(rig.closed.contains(&Conn::Upstream(old)));
    rig.miner_got(1);
    if rig.upstream(A) == old {
        until_tried(&mut rig, A);
    }
    rig.miner_got(1);
    rig.pool_easy(A, "cafe", 8);
    rig.wait_lively(Span::secs(100));
    assert!(rig.seen(1).jobs.iter().rev().take(5).any(|j| j.coinb1.windows(2).any(|w| w == [0xca, 0xfe])));
}

#[test]
fn a_pool_that_talks_but_answers_no_submit() {
    // Jobs go on coming, verdicts never: after five submits in a row it counts as dead.
    let mut rig = two();
    for n in 0..6 {
        rig.share(1, Search { extranonce2: n, ..Search::default() });
    }
    rig.miner_got(1);
    rig.wait(Span::secs(15));
    rig.pool(A, &notify("2", false));
    rig.wait(Span::secs(15));
    assert_eq!(rig.works_for(1), Some(B));
    assert!(rig.seen(1).open.is_empty(), "all six are answered");
}

#[test]
fn a_pool_falls_silent() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.wait(Span::millis(179_999));
    assert!(!rig.notices.iter().any(|n| matches!(n, Notice::PoolHeldOff { .. })));
    rig.wait(Span::millis(1));
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolHeldOff { why: HeldOff::Silent, .. })));
    // Both with weight: the other one's job in the same step.
    let mut config = config(90, 10);
    config.pools[1].silence = Span::secs(3600);
    config.scheduler.slice = Span::secs(1);
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    for _ in 0..17 {
        rig.wait(Span::secs(10));
        rig.pool(B, r#"{"id":1,"method":"mining.ping","params":[]}"#);
    }
    rig.wait(Span::millis(9_999));
    rig.miner_got(1);
    assert_eq!(rig.works_for(1), Some(A));
    rig.wait(Span::millis(1));
    has_job_of(&mut rig, B);
    // A says something useful: it is worked for again.
    rig.pool(A, &notify("2", true));
    rig.wait(Span::secs(120));
    assert!(rig.stays(1));
    assert!(rig.seen(1).job().id.as_str() > "00000003");
}

#[test]
fn a_silent_pool_that_is_the_only_one_is_worked_for_as_long_as_it_stands() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.wait(Span::secs(190));
    assert_eq!(rig.works_for(1), Some(A), "held off, but there is no other");
    rig.wait(Span::secs(300));
    assert!(rig.stays(1));
    assert_eq!(rig.works_for(1), None);
}

/// I9: pools quote what they were told, and their words go into the log.
#[test]
fn a_pools_words_are_told_without_wallet_and_password() {
    let mut config = config(50, 50);
    config.pools[0].wallet = "shortwallet".into();
    config.pools[0].password = Some("s3cret!".into());
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_connects(A);
    rig.pool(A, r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#);
    rig.pool(A, r#"{"id":null,"method":"client.show_message","params":["hello shortwallet.rig, s3cret!"]}"#);
    rig.pool(A, r#"{"id":2,"result":null,"error":[24,"unknown user shortwallet.rig or password s3cret!",null]}"#);
    let told = format!("{:?}", rig.notices);
    assert!(told.contains("unknown user ***********.") && told.contains("or password *******"), "{told}");
    assert!(!told.contains("shortwallet") && !told.contains("s3cret"), "{told}");
}

#[test]
fn a_refused_worker_takes_only_that_pool_out() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_connects(A);
    rig.pool(A, r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#);
    rig.pool_difficulty(A, "0.00000001");
    rig.pool(A, &notify("1", true));
    rig.pool(A, r#"{"id":2,"result":null,"error":[24,"No such wallet, sorry",null]}"#);
    let words = rig.notices.iter().any(
        |n| matches!(n, Notice::AuthResult { ok: false, error, pool, .. } if *pool == A && &**error == "No such wallet, sorry"),
    );
    assert!(words, "its words are told");
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolHeldOff { why: HeldOff::Refused(_), .. })));
    rig.miner_got(1);
    rig.pool_easy(B, "11223344", 4);
    has_job_of(&mut rig, B);
    rig.wait_lively(Span::secs(300));
    assert_eq!(rig.works_for(1), Some(B));
    // Another miner is not concerned.
    rig.miner_ready(2, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    assert_eq!(rig.works_for(2), Some(A));
    for refusal in [r#""result":false,"error":null"#, r#""result":false"#, r#""error":"banned","result":null"#] {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_ready(1, "cgminer/4.11.1");
        rig.pool_connects(A);
        rig.pool(A, r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#);
        rig.pool(A, &format!(r#"{{"id":2,{refusal}}}"#));
        assert!(rig.closed.contains(&Conn::Upstream(rig.upstream(A))), "{refusal}");
    }
    // p2pool answers authorize with null.
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_connects(A);
    rig.pool(A, r#"{"id":1,"result":[[],"",4],"error":null}"#);
    rig.pool(A, r#"{"id":2,"result":null,"error":null}"#);
    rig.pool_difficulty(A, "0.00000001");
    rig.pool(A, &notify("1", true));
    assert_eq!(rig.works_for(1), Some(A), "and has no extranonce1 at all");
}

#[test]
fn both_out_and_the_miner_stays() {
    let mut rig = two();
    rig.share(1, Search::default());
    rig.pool_closes(A);
    rig.pool_closes(B);
    assert_eq!(rig.works_for(1), None);
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::MinerIdle { .. })));
    let late = rig.mine(1, Search::default());
    assert_eq!(code(&rig.submit(1, &late)), 21, "answered, though nobody wants it");
    for _ in 0..600 {
        rig.wait(Span::secs(1));
        let silent = rig.now.since(rig.seen(1).last_line);
        assert!(silent <= Span::secs(45), "silent for {silent:?}");
        for pool in [A, B] {
            if rig.engine.pools().all(|p| p.usable == 0) {
                rig.pool_fails(pool);
            }
        }
    }
    assert!(rig.stays(1));
    let mut told = methods(&rig.miner_got(1));
    told.dedup();
    assert_eq!(told.last().map(String::as_str), Some("mining.set_difficulty"));
    while !rig.engine.poll_timeout().is_some_and(|(_, kind)| format!("{kind:?}").contains("Retry")) {
        rig.wait(Span::secs(1));
    }
    let old = rig.upstream(B);
    while rig.upstream(B) == old {
        rig.wait(Span::secs(1));
    }
    rig.miner_got(1);
    rig.pool_easy(B, "7777", 4);
    has_job_of(&mut rig, B);
}

#[test]
fn a_miner_that_never_got_a_job_hears_something_too() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    for _ in 0..300 {
        rig.wait(Span::secs(1));
        assert!(rig.now.since(rig.seen(1).last_line) <= Span::secs(45));
    }
    assert!(rig.stays(1));
}

#[test]
fn keep_alive_on_a_quiet_pool() {
    for (size, moved) in [(8, false), (4, true)] {
        let mut rig = Rig::new(config(100, 0), &memory(size, 8));
        rig.miner_ready(1, "cpuminer/2.5.1");
        rig.pool_easy(A, "aabbccdd", size);
        rig.share(1, Search::default());
        rig.pool_accepts(A);
        for _ in 0..20 {
            let before = rig.seen(1).job().clone();
            let start = rig.now;
            while rig.seen(1).job().id == before.id {
                rig.wait(Span::secs(1));
                assert!(rig.now.since(start) <= Span::secs(45));
            }
            rig.pool(A, r#"{"id":1,"method":"mining.ping","params":[]}"#);
            let after = rig.seen(1).job().clone();
            assert_eq!(after.ntime != before.ntime, moved);
            assert_eq!(after.coinb1 != before.coinb1, !moved);
            assert!(!after.clean);
            // It starts at 0 again, and the pool takes it.
            rig.share(1, Search::default());
            assert_eq!(rig.pool_accepts(A), 1);
        }
    }
}

#[test]
fn weight_zero_means_never() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    assert!(!rig.upstreams.contains_key(&B));
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_closes(A);
    assert_eq!(rig.works_for(1), None, "not even now");
    rig.wait(Span::secs(1200));
    // A probe for its sizes is allowed: it never authorizes nor carries the miner's name.
    assert!(!rig.log.contains("walletB"));
    assert!(rig.stays(1));
    // Unless failover names it.
    let mut config = config(100, 0);
    config.scheduler.failover = Some(B);
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.wait_lively(Span::secs(600));
    assert_eq!(rig.works_for(1), Some(A), "no work while the other one lives");
    rig.miner_got(1);
    rig.pool_closes(A);
    has_job_of(&mut rig, B);
    until_tried(&mut rig, A);
    rig.miner_got(1);
    rig.pool_easy(A, "aabbccdd", 8);
    has_job_of(&mut rig, A);
}

#[test]
fn a_pool_that_dies_after_it_has_lost_its_weight_is_not_tried_again() {
    let mut rig = two();
    rig.pool_closes(A);
    assert_eq!(rig.works_for(1), Some(B));
    // B is to stop, but A is not back yet: B may keep its work for a moment. Then it dies.
    rig.command(Command::SetWeights(vec![1_000_000, 0]));
    let old = rig.upstream(B);
    if !rig.closed.contains(&Conn::Upstream(old)) {
        rig.pool_closes(B);
    }
    rig.notices.clear();
    rig.wait(Span::secs(60));
    let in_its_name = |n: &&Notice| matches!(n, Notice::PoolConnecting { pool, who: Some(_), .. } if *pool == B);
    assert_eq!(rig.notices.iter().find(in_its_name), None, "weight 0: no miner's connection");
}

#[test]
fn a_pool_without_weight_has_no_work_for_longer_by_coming_back() {
    let mut rig = two();
    rig.pool_closes(A);
    for _ in 0..3 {
        rig.pool_closes(B);
        until_tried(&mut rig, B);
        rig.pool_easy(B, "11223344", 4);
    }
    assert_eq!(rig.works_for(1), Some(B), "it has gone out often, and there is no other");
    rig.share(1, Search::default());
    rig.wait(Span::secs(25));
    rig.command(Command::SetWeights(vec![1_000_000, 0]));
    let b = rig.upstream(B);
    rig.wait(Span::secs(6));
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolHeldOff { why: HeldOff::NoAnswer, .. })));
    // It has work again, and is to be trusted after a while; its time is up before that.
    rig.pool(B, &notify("2", false));
    rig.wait(Span::secs(3));
    assert_eq!(rig.works_for(1), Some(B));
    rig.wait(Span::secs(2));
    assert_eq!(rig.works_for(1), None);
    assert!(rig.closed.contains(&Conn::Upstream(b)));
}

#[test]
fn a_flapping_pool_has_to_prove_itself() {
    let mut rig = two();
    for round in 0..4 {
        rig.pool_closes(A);
        assert_eq!(rig.works_for(1), Some(B), "round {round}");
        until_tried(&mut rig, A);
        rig.pool_easy(A, "aabbccdd", 8);
        if round == 0 {
            assert_eq!(rig.works_for(1), Some(A), "once is nothing");
        } else {
            assert_eq!(rig.works_for(1), Some(B), "round {round}: not at once");
            rig.wait_lively(Span::secs(200));
            while rig.works_for(1) != Some(A) {
                rig.wait_lively(Span::secs(1));
            }
        }
    }
    assert!(rig.stays(1));
}

#[test]
fn a_pool_that_does_not_finish_its_handshake() {
    for step in 0..3 {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_ready(1, "cgminer/4.11.1");
        rig.pool_easy(B, "11223344", 4);
        rig.pool_connects(A);
        if step > 0 {
            rig.pool(A, r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#);
        }
        if step > 1 {
            rig.pool(A, r#"{"id":2,"result":true,"error":null}"#);
        }
        rig.wait_lively(Span::secs(31));
        assert!(rig.closed.contains(&Conn::Upstream(rig.upstream(A))), "step {step}");
        assert_eq!(rig.works_for(1), Some(B));
    }
    // An answer to subscribe that cannot be used.
    for bad in ["null", "true", "[]", r#"[[],"zz",8]"#, r#"[[],"aa",0]"#, r#"[[],"aa",17]"#] {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_ready(1, "cgminer/4.11.1");
        rig.pool_connects(A);
        rig.pool(A, &format!(r#"{{"id":1,"result":{bad},"error":null}}"#));
        assert!(rig.closed.contains(&Conn::Upstream(rig.upstream(A))), "{bad}");
    }
}

#[test]
fn reconnect_only_to_the_configured_address() {
    for (params, obeyed) in [
        ("[]", true),
        (r#"["pool-a",3333,0]"#, true),
        (r#"["POOL-A","3333"]"#, true),
        (r#"["",0]"#, true),
        (r#"["evil.example",3333]"#, false),
        (r#"["pool-a",4444]"#, false),
        (r#"["pool-b",3333]"#, false),
    ] {
        let mut rig = two();
        let old = rig.upstream(A);
        rig.pool(A, &format!(r#"{{"id":null,"method":"client.reconnect","params":{params}}}"#));
        let told =
            rig.notices.iter().any(|n| matches!(n, Notice::PoolReconnectAsked { obeyed: o, .. } if *o == obeyed));
        assert!(told, "it is logged either way: {params}");
        assert_eq!(rig.closed.contains(&Conn::Upstream(old)), obeyed, "{params}");
        rig.wait_lively(Span::secs(20));
        assert!(
            rig.log
                .lines()
                .filter(|l| l.contains(" connect "))
                .all(|l| l.ends_with("-a:3333") || l.ends_with("-b:3333"))
        );
        assert!(rig.stays(1) && !rig.log.lines().any(|l| l.contains("miner 1 <") && l.contains("client.reconnect")));
    }
}

#[test]
fn what_else_pools_say() {
    let mut rig = two();
    let pong = rig.pool(A, r#"{"id":7,"method":"mining.ping","params":[]}"#);
    assert_eq!(pong, [r#"{"id":7,"result":"pong","error":null}"#]);
    let version = rig.pool(A, r#"{"id":"v","method":"client.get_version","params":[]}"#);
    assert_eq!(version, [r#"{"id":"v","result":"cgminer/4.11.1","error":null}"#]);
    rig.pool(A, r#"{"id":null,"method":"client.show_message","params":["hello\u0007 there"]}"#);
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::PoolMessage { text, .. } if &**text == "hello there")));
    let unknown = rig.pool(A, r#"{"id":8,"method":"mining.set_goal","params":["x"]}"#);
    assert!(unknown[0].starts_with(r#"{"id":8,"result":null,"error":["#));
    assert!(rig.pool(A, r#"{"id":null,"method":"mining.set_goal","params":["x"]}"#).is_empty());
    for garbage in ["", "garbage", "[]", "{}", r#"{"id":null,"method":"mining.notify","params":["1"]}"#, "\u{1}"] {
        assert!(rig.pool(A, garbage).is_empty());
    }
    assert!(rig.miner_got(1).is_empty(), "nothing of it reaches the miner");
    let branches = vec![format!("\"{}\"", "11".repeat(32)); 33].join(",");
    rig.pool(A, &notify("2", true).replace(&format!("\"{}\"", "11".repeat(32)), &branches));
    assert!(rig.miner_got(1).is_empty(), "33 merkle branches are too many");
    assert_eq!(rig.works_for(1), Some(A));
}

#[test]
fn probes_learn_the_sizes_and_the_masks() {
    let mut rig = Rig::new(config(50, 50), &Memory::default());
    rig.wait(Span::secs(8));
    for (pool, size) in [(A, 8), (B, 3)] {
        rig.pool_connects(pool);
        let asked = rig.pool_got(pool);
        assert!(
            asked.iter().any(|l| l.contains("mining.configure"))
                && asked.iter().any(|l| l.contains("mining.subscribe"))
        );
        for line in asked {
            rig.answer(pool, &line, "aabb", size);
        }
        assert!(rig.closed.contains(&Conn::Upstream(rig.upstream(pool))), "a probe is closed once it knows");
    }
    let sizes: Vec<_> = rig.engine.pools().map(|p| p.extranonce2_bytes).collect();
    assert_eq!(sizes, [Some(8), Some(3)]);
    assert!(!rig.log.contains("mining.authorize"));
    rig.miner_ready(1, "cgminer/4.11.1");
    assert_eq!(rig.seen(1).extranonce2_bytes, 2);
    // What is remembered serves the next run.
    let memory = rig.engine.memory();
    let mut rig = Rig::new(config(50, 50), &memory);
    rig.miner_ready(1, "cgminer/4.11.1");
    assert_eq!(rig.seen(1).extranonce2_bytes, 2);
}

#[test]
fn draining_answers_and_ends() {
    let mut rig = two();
    rig.share(1, Search::default());
    rig.command(Command::Drain);
    assert!(!rig.drained, "a verdict is on its way");
    assert_eq!(rig.pool_accepts(A), 1);
    assert_eq!(code(&rig.miner_got(1)), 0);
    assert!(rig.drained);
    assert_eq!(rig.engine.miners().count(), 0);
    assert!(rig.engine.poll_timeout().is_none());
    // A pool that does not answer: within two seconds, with an error.
    let mut rig = two();
    rig.share(1, Search::default());
    rig.command(Command::Drain);
    rig.wait(Span::secs(2));
    assert_eq!(code(&rig.miner_got(1)), 20);
    assert!(rig.drained);
    assert_eq!(rig.closed.len(), 3);
    // New miners are not taken any more.
    rig.step(Event::MinerAccepted { miner: MinerId(9), peer: "192.0.2.9:1".parse().unwrap() });
    assert!(rig.closed.contains(&Conn::Miner(MinerId(9))));
}
