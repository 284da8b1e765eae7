//! A submit's way: spellings, duplicates, every local verdict, what the pool is asked and what it answers.

mod rig;

use dpmp_core::notice::DropReason;
use dpmp_core::{Conn, Event, MinerId, Notice, Span, Verdict};
use rig::mine::{Found, Search};
use rig::{A, B, Rig, code, config, memory, notify};

/// A miner on pool A, at a tiny difficulty.
fn mining() -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    rig
}

fn verdicts(rig: &Rig) -> Vec<Verdict> {
    let results = rig.notices.iter().filter_map(|n| match n {
        Notice::ShareResult { verdict, .. } => Some(verdict.clone()),
        _ => None,
    });
    results.collect()
}

#[test]
fn every_spelling_is_taken_and_written_strictly() {
    let spell = |found: &Found, f: fn(&str) -> String| Found {
        extranonce2: f(&found.extranonce2),
        ntime: f(&found.ntime),
        nonce: f(&found.nonce),
        ..found.clone()
    };
    let spellings: [fn(&str) -> String; 5] = [
        str::to_string,
        str::to_uppercase,
        |s| format!("0x{s}"),
        |s| format!("0X{}", s.to_uppercase()),
        |s| s.trim_start_matches('0').to_string(),
    ];
    for (n, first) in spellings.into_iter().enumerate() {
        let mut rig = mining();
        // Low nonces have leading zeros; this extranonce2 has a leading zero digit and letters.
        let found = rig.mine(1, Search { extranonce2: 0x0a_bcde, ..Search::default() });
        assert!(rig.submit(1, &spell(&found, first)).is_empty(), "spelling {n}");
        assert_eq!(rig.at(A).shares, [found.header], "the watch checks the strict form");
        for second in spellings {
            let got = rig.submit(1, &spell(&found, second));
            assert_eq!(code(&got), 22, "the same bytes are the same share, in whatever spelling");
        }
        rig.pool_accepts(A);
        assert_eq!(rig.at(A).shares.len(), 1);
        assert_eq!(code(&rig.submit(1, &found)), 22, "after the verdict as well");
    }
}

#[test]
fn a_share_with_every_id_is_answered_with_it() {
    for id in ["4", "0", "\"x\"", "-3", "2.5", "null", "99999999999999999999"] {
        let mut rig = mining();
        let found = rig.mine(1, Search::default());
        rig.miner(1, &found.line(id));
        rig.pool_accepts(A);
        let got = rig.miner_got(1);
        assert_eq!(got, [format!(r#"{{"id":{id},"result":true,"error":null}}"#)]);
    }
}

#[test]
fn ids_do_not_identify_shares() {
    // cpuminer uses id 4 for every submit: both are answered, in any order of the pool's verdicts.
    let mut rig = mining();
    let first = rig.mine(1, Search::default());
    let second = rig.mine(1, Search { from: first.number + 1, ..Search::default() });
    rig.submit(1, &first);
    rig.submit(1, &second);
    let ids: Vec<String> = rig.pool_got(A).iter().filter_map(|l| rig::id_of(l, "mining.submit")).collect();
    assert_eq!(ids.len(), 2);
    rig.pool(A, &format!(r#"{{"id":{},"result":true,"error":null}}"#, ids[1]));
    assert_eq!(code(&rig.miner_got(1)), 0);
    rig.pool(A, &format!(r#"{{"id":{},"result":null,"error":[23,"low",null]}}"#, ids[0]));
    assert_eq!(code(&rig.miner_got(1)), 23);
    // A second answer to the same request, and one to a request never made.
    rig.pool(A, &format!(r#"{{"id":{},"result":true,"error":null}}"#, ids[0]));
    rig.pool(A, r#"{"id":4711,"result":true,"error":null}"#);
    assert!(rig.miner_got(1).is_empty());
}

#[test]
fn too_early_submits() {
    let submit = r#"{"id":4,"method":"mining.submit","params":["w","00000001","000000","65000000","00000000"]}"#;
    let subscribe = r#"{"id":1,"method":"mining.subscribe","params":["cgminer"]}"#;
    let authorize = r#"{"id":2,"method":"mining.authorize","params":["w","p"]}"#;
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    assert_eq!(code(&rig.miner(1, submit)), 25, "before subscribe");
    rig.miner(1, subscribe);
    assert_eq!(code(&rig.miner(1, submit)), 24, "before authorize");
    rig.miner(1, authorize);
    assert_eq!(code(&rig.miner(1, submit)), 21, "before any job");
    rig.miner_connects(2);
    rig.miner(2, authorize);
    assert_eq!(code(&rig.miner(2, submit)), 25, "authorised, but not subscribed");
    assert_eq!(
        verdicts(&rig),
        [DropReason::NotSubscribed, DropReason::Unauthorized, DropReason::NoJobYet, DropReason::NotSubscribed]
            .map(Verdict::Dropped)
    );
}

#[test]
fn unknown_and_broken_submits() {
    let mut rig = mining();
    let good = rig.mine(1, Search::default());
    let wrong = |change: fn(&mut Found)| {
        let mut found = good.clone();
        change(&mut found);
        found
    };
    for (found, want) in [
        (wrong(|f| f.job = "000000ff".into()), 21),
        (wrong(|f| f.job = "1".repeat(300)), 21),
        (wrong(|f| f.job = "zz".into()), 21),
        (wrong(|f| f.extranonce2 = "01000000".into()), 20),
        (wrong(|f| f.extranonce2 = "xyz".into()), 20),
        (wrong(|f| f.extranonce2 = String::new()), 20),
        (wrong(|f| f.ntime = "165000000".into()), 20),
        (wrong(|f| f.ntime = "now".into()), 20),
        (wrong(|f| f.nonce = "123456789".into()), 20),
        (wrong(|f| f.nonce = "-1".into()), 20),
    ] {
        let got = rig.submit(1, &found);
        assert_eq!(code(&got), want, "{found:?} {got:?}");
    }
    assert!(rig.pool_got(A).iter().all(|l| !l.contains("mining.submit")), "nothing of it went upstream");
    assert!(rig.submit(1, &good).is_empty(), "a broken one does not spoil the good one");
    assert!(rig.stays(1));
}

#[test]
fn low_shares_get_23_and_are_no_duplicates() {
    let mut rig = mining();
    let low = rig.mine(1, Search { least: 0.0, below: 0.9e-8, ..Search::default() });
    assert_eq!(code(&rig.submit(1, &low)), 23);
    assert_eq!(code(&rig.submit(1, &low)), 23);
    assert!(rig.at(A).shares.is_empty());
}

#[test]
fn a_share_that_only_the_miner_was_asked_for_is_credited() {
    let mut config = config(100, 0);
    config.pools[0].max_difficulty = dpmp_core::Difficulty::parse("0.00000001");
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "0.000001", "1");
    assert_eq!(rig.seen(1).difficulty.as_deref(), Some("0.00000001"));
    rig.miner_got(1);
    let small = rig.mine(1, Search { least: 1e-8, below: 0.9e-6, ..Search::default() });
    assert_eq!(code(&rig.submit(1, &small)), 0, "it did well");
    assert!(rig.at(A).shares.is_empty(), "the pool does not want it");
    assert_eq!(code(&rig.submit(1, &small)), 22);
    let large = rig.mine(1, Search { least: 1e-6, ..Search::default() });
    assert!(rig.submit(1, &large).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    assert_eq!(verdicts(&rig)[0], Verdict::Credited);
    assert_eq!(verdicts(&rig).last(), Some(&Verdict::Accepted));
}

#[test]
fn a_share_that_only_the_pool_wants_is_forwarded() {
    // The miner was told more than the pool asks (downstream_diff): what the pool takes is never dropped.
    let mut config = config(100, 0);
    config.pools[0].min_difficulty = dpmp_core::Difficulty::parse("4");
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    assert_eq!(rig.seen(1).difficulty.as_deref(), Some("4"));
    assert!(rig.share(1, Search { least: 1e-8, below: 1.0, ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    assert_eq!(code(&rig.miner_got(1)), 0);
}

#[test]
fn the_easier_of_the_jobs_difficulty_and_the_current_one_counts() {
    let mut rig = mining();
    let easy = Search { least: 1e-8, below: 0.9e-6, ..Search::default() };
    // The pool asks for more: the job out there was sent at less, and ckpool still takes it.
    rig.pool_difficulty(A, "0.000001");
    assert!(rig.share(1, easy.clone()).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    // Its next job is at more.
    rig.pool(A, &notify("2", true));
    assert_eq!(code(&rig.share(1, easy.clone())), 23);
    // The old job still at less.
    let old = rig.seen(1).jobs[0].id.clone();
    assert!(rig.share(1, Search { job: Some(old), extranonce2: 5, ..easy.clone() }).is_empty());
    // And now the pool asks for less: public-pool looks at the current one only.
    rig.pool_difficulty(A, "0.00000001");
    assert!(rig.share(1, Search { extranonce2: 6, ..easy }).is_empty());
    assert_eq!(rig.pool_accepts(A), 2);
}

/// A job whose network target is met by every second hash.
fn easy_block(job: &str) -> String {
    notify(job, true).replace("1d00ffff", "207fffff")
}

#[test]
fn a_block_goes_upstream_whatever_the_difficulty() {
    let mut rig = mining();
    rig.pool_difficulty(A, "1000000");
    rig.pool(A, &easy_block("2"));
    let block = rig.mine(1, Search { least: 4.7e-10, below: 1e-6, ..Search::default() });
    assert!(rig.submit(1, &block).is_empty());
    assert_eq!(rig.at(A).shares, [block.header]);
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::BlockCandidate { pool, .. } if *pool == A)));
    assert_eq!(rig.pool_accepts(A), 1);
    // A hash that misses even this target does not.
    let low = rig.mine(1, Search { least: 0.0, below: 4.6e-10, ..Search::default() });
    assert_eq!(code(&rig.submit(1, &low)), 23);
    // A block on the old job of the other pool, after a switch.
    let late = rig.mine(1, Search { least: 4.7e-10, below: 1e-6, extranonce2: 77, ..Search::default() });
    rig.wait(Span::secs(50));
    assert_eq!(rig.works_for(1), Some(B));
    assert!(rig.submit(1, &late).is_empty());
    assert_eq!(rig.at(A).shares.len(), 2);
}

#[test]
fn a_pool_of_another_algorithm_is_not_checked() {
    let mut config = config(100, 0);
    config.pools[0].sha256d = false;
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1000.5", "1");
    assert_eq!(rig.seen(1).difficulty.as_deref(), Some("1001"), "rounded up where shares cannot be checked");
    assert!(rig.share(1, Search { least: 0.0, below: 1e-8, ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn every_shape_of_a_verdict_becomes_one_reply() {
    for (answer, want, words) in [
        (r#""result":true,"error":null"#, 0, ""),
        (r#""result":true"#, 0, ""),
        (r#""result":null,"error":null"#, 0, ""),
        (r#""error":null,"result":true,"jsonrpc":"2.0""#, 0, ""),
        (r#""result":false,"error":null,"reject-reason":"Stale""#, 21, "Stale"),
        (r#""result":false,"error":null,"reject-reason":"Duplicate""#, 22, "Duplicate"),
        (r#""result":false,"error":null,"reject-reason":"Above target""#, 23, "Above target"),
        (r#""result":false,"error":null,"reject-reason":"Worker mismatch""#, 24, "Worker mismatch"),
        (r#""result":false,"error":null,"reject-reason":"Something new""#, 20, "Something new"),
        (r#""result":false,"error":null"#, 20, ""),
        (r#""result":null,"error":[21,"Job not found",null]"#, 21, "Job not found"),
        (r#""result":false,"error":[22,"Duplicate share"]"#, 22, "Duplicate share"),
        (r#""result":null,"error":["23","Low difficulty",null]"#, 23, "Low difficulty"),
        (r#""result":null,"error":{"code":24,"message":"Unauthorized worker"}"#, 24, "Unauthorized worker"),
        (r#""result":null,"error":{"code":-2,"message":"odd","traceback":null}"#, -2, "odd"),
        (r#""result":null,"error":{"message":"Stale share"}"#, 21, "Stale share"),
        (r#""result":null,"error":"low difficulty share""#, 23, "low difficulty share"),
        (r#""result":null,"error":[37,"btcpool's own",null]"#, 37, "btcpool's own"),
        (r#""result":null,"error":true"#, 20, ""),
        (r#""result":null,"error":[]"#, 20, ""),
        (r#""result":null,"error":{}"#, 20, ""),
        (r#""result":null,"error":[20,"quote \" and \\ and \u0007bell",null]"#, 20, "quote"),
    ] {
        let mut rig = mining();
        assert!(rig.share(1, Search::default()).is_empty());
        assert_eq!(rig.pool_answers(A, answer), 1);
        let got = rig.miner_got(1);
        assert_eq!(code(&got), want, "{answer}");
        assert!(got[0].contains(words), "{answer} {got:?}");
        assert_eq!(verdicts(&rig).len(), 1);
        assert!(!got[0].contains('\u{7}'), "cleaned");
    }
}

#[test]
fn late_shares_go_to_the_pool_that_owns_the_job() {
    let mut rig = mining();
    // Found on A just before the switch, submitted after it, with the same pool job ids on both sides.
    let late: Vec<Found> = (0..10).map(|n| rig.mine(1, Search { extranonce2: n, ..Search::default() })).collect();
    rig.wait(Span::secs(50));
    assert_eq!(rig.works_for(1), Some(B));
    rig.miner_got(1);
    for found in &late {
        assert!(rig.submit(1, found).is_empty());
    }
    assert_eq!(rig.at(A).shares.len(), 10);
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.at(B).shares.len(), 1);
    // At that job's difficulty, not at that of the pool it works for now.
    rig.pool_difficulty(B, "5");
    rig.pool(B, &notify("2", true));
    let job = rig.seen(1).jobs[0].id.clone();
    assert!(rig.share(1, Search { job: Some(job), extranonce2: 99, ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 11);
    assert_eq!(rig.pool_accepts(B), 1);
    assert_eq!(rig.miner_got(1).iter().filter(|l| l.contains(r#""result":true"#)).count(), 12);
}

#[test]
fn old_ids_live_on_over_clean_jobs() {
    let mut rig = mining();
    let first = rig.seen(1).job().id.clone();
    for n in 2..100 {
        rig.pool(A, &notify(&n.to_string(), true));
    }
    assert!(
        rig.share(1, Search { job: Some(first), ..Search::default() }).is_empty(),
        "the pool decides what is stale"
    );
    assert_eq!(rig.pool_answers(A, r#""result":null,"error":[21,"stale",null]"#), 1);
    assert_eq!(code(&rig.miner_got(1)), 21);
}

#[test]
fn evicted_jobs_and_dead_connections_give_21() {
    let mut rig = mining();
    let first = rig.seen(1).job().id.clone();
    for n in 2..140 {
        rig.pool(A, &notify(&n.to_string(), true));
    }
    assert_eq!(code(&rig.share(1, Search { job: Some(first), ..Search::default() })), 21, "evicted");
    let on_a = rig.mine(1, Search::default());
    rig.pool_closes(A);
    assert_eq!(code(&rig.submit(1, &on_a)), 21, "its connection is gone");
    assert_eq!(rig.works_for(1), Some(B));
}

#[test]
fn a_pool_that_ends_with_submits_open() {
    let mut rig = mining();
    for n in 0..5 {
        rig.share(1, Search { extranonce2: n, ..Search::default() });
    }
    rig.pool_closes(A);
    let got = rig.miner_got(1);
    let errors = got.iter().filter(|l| l.contains(r#""error":[2"#)).count();
    assert_eq!(errors, 5, "each is answered once: {got:?}");
    assert!(rig.seen(1).open.is_empty());
    assert_eq!(verdicts(&rig), vec![Verdict::Lost; 5]);
}

#[test]
fn a_submit_that_the_pool_never_answers() {
    let mut rig = mining();
    rig.share(1, Search::default());
    rig.wait_lively(Span::millis(29_900));
    assert_eq!(rig.seen(1).open.len(), 1);
    rig.wait(Span::millis(200));
    assert_eq!(code(&rig.miner_got(1)), 20);
    assert_eq!(verdicts(&rig), [Verdict::Unanswered]);
    // Its answer comes after all: the miner hears nothing more.
    assert_eq!(rig.pool_accepts(A), 1);
    assert!(rig.miner_got(1).is_empty());
}

#[test]
fn a_miner_that_goes_leaves_its_shares_at_the_pool() {
    let mut rig = mining();
    rig.share(1, Search::default());
    rig.step(Event::Closed { conn: Conn::Miner(MinerId(1)), reason: "eof" });
    assert!(!rig.stays(1));
    let upstream = rig.upstream(A);
    assert!(rig.at_upstream(upstream).shares.len() == 1);
}

#[test]
fn a_rolled_ntime_is_passed_on() {
    let mut rig = mining();
    let found = rig.mine(1, Search { later: 7, ..Search::default() });
    assert!(rig.submit(1, &found).is_empty());
    // The same nonce at another ntime is another share.
    let mut other = found.clone();
    other.ntime = "65000008".into();
    assert_eq!(code(&rig.submit(1, &other)), 23, "not a duplicate, but no share either");
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn what_pools_write_in_odd_ways_is_sanitised() {
    let mut rig = mining();
    let odd = notify("2", true)
        .replace("01000000aa32", "01000000AA32")
        .replace("1d00ffff", "1D00FFFF")
        .replace("\"20000000\"", "\"0x20000000\"")
        .replace(',', " ,\t");
    rig.pool(A, &odd);
    let line = rig.miner_got(1).pop().unwrap();
    assert!(!line.contains([' ', '\t']) && !line.contains("0x") && line.contains("\"01000000aa32"), "{line}");
    assert!(rig.share(1, Search::default()).is_empty());
    // Job ids of any form go back as they came: DATUM's are long, others hold what JSON must escape.
    for (n, id) in (1..).zip(["0123456789abcdef-0123", "\\\"quote\\\\", "\\u00e9"]) {
        rig.pool(A, &notify("3", false).replace("[\"3\"", &format!("[\"{id}\"")));
        assert!(rig.share(1, Search { extranonce2: n, ..Search::default() }).is_empty(), "{id}");
    }
    assert_eq!(rig.pool_accepts(A), 4);
    // A job that cannot be used is not sent, and the last good one goes on.
    rig.miner_got(1);
    for (field, bad) in [("1d00ffff", "xyz"), ("20000000", ""), ("65000000", "1650000000"), ("bb00000000", "b")] {
        rig.pool(A, &notify("9", true).replace(&format!("\"{field}\""), &format!("\"{bad}\"")));
    }
    assert!(rig.miner_got(1).is_empty());
    assert!(rig.share(1, Search { extranonce2: 9, ..Search::default() }).is_empty());
}
