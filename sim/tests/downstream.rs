//! The miner's side: handshake in any order, what every reply looks like, names and passwords, odd requests, bounds of
//! a connection before it is a miner.

mod rig;

use dpmp_core::{CloseReason, Command, Conn, Event, Memory, MinerId, Notice, Span};
use rig::{A, B, Rig, code, config, last_params, memory, methods};

fn fresh() -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    rig
}

const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#;
const AUTHORIZE: &str = r#"{"id":2,"method":"mining.authorize","params":["wallet.rig","pw"]}"#;
const CONFIGURE: &str =
    r#"{"id":3,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#;

#[test]
fn the_subscribe_reply_is_the_first_line_and_comes_at_once() {
    let mut rig = fresh();
    assert!(rig.miner_got(1).is_empty(), "nothing before it asks");
    let reply = rig.miner(1, SUBSCRIBE);
    assert_eq!(
        reply,
        [
            r#"{"id":1,"result":[[["mining.set_difficulty","00000001"],["mining.notify","00000001"]],"01",3],"error":null}"#
        ]
    );
}

#[test]
fn any_order_of_the_handshake() {
    let orders: [&[&str]; 6] = [
        &[SUBSCRIBE, AUTHORIZE, CONFIGURE],
        &[SUBSCRIBE, CONFIGURE, AUTHORIZE],
        &[CONFIGURE, SUBSCRIBE, AUTHORIZE],
        &[AUTHORIZE, SUBSCRIBE, CONFIGURE],
        &[AUTHORIZE, CONFIGURE, SUBSCRIBE],
        &[CONFIGURE, AUTHORIZE, SUBSCRIBE],
    ];
    for order in orders {
        let mut rig = fresh();
        for line in order {
            let got = rig.miner(1, line);
            assert_eq!(methods(&got), ["reply"], "{order:?}");
            assert_eq!(code(&got), 0);
        }
        assert_eq!(rig.seen(1).mask, 0x1fff_e000);
        assert!(rig.engine.miners().all(|m| m.ready));
        rig.pool_easy(A, "aabbccdd", 8);
        assert_eq!(methods(&rig.miner_got(1)), ["mining.set_difficulty", "mining.notify"], "{order:?}");
        assert_eq!(rig.at(A).mask, 0x1fff_e000, "negotiated with the pool too: {order:?}");
    }
}

#[test]
fn all_in_one_segment() {
    let mut rig = fresh();
    for line in [CONFIGURE, SUBSCRIBE, AUTHORIZE] {
        rig.watch.miner_said(MinerId(1), line);
    }
    let got = rig.miner_bytes(1, format!("{CONFIGURE}\n{SUBSCRIBE}\r\n\n{AUTHORIZE}\n").as_bytes());
    assert_eq!(methods(&got), ["reply"; 3]);
}

#[test]
fn ids_keep_their_type() {
    for id in ["1", "0", "-7", "18446744073709551615", "1.5", "null", r#""auth""#, r#""7""#, r#""a\"b""#] {
        for (method, params) in [
            ("mining.subscribe", r#"["x"]"#),
            ("mining.authorize", r#"["w","p"]"#),
            ("mining.configure", r#"[["version-rolling"],{}]"#),
            ("mining.extranonce.subscribe", "[]"),
            ("mining.suggest_difficulty", "[7]"),
            ("mining.submit", r#"["w","1","2","3","4"]"#),
            ("mining.submit", "[]"),
            ("no.such.method", "[]"),
        ] {
            let mut rig = fresh();
            let got = rig.miner(1, &format!(r#"{{"id":{id},"method":"{method}","params":{params}}}"#));
            assert_eq!(got.len(), 1, "{method} {id}");
            assert!(got[0].starts_with(&format!(r#"{{"id":{id},"result":"#)), "{id}: {got:?}");
            assert!(got[0].contains(r#","error":"#), "{got:?}");
        }
    }
    let mut rig = fresh();
    rig.watch.miner_said(MinerId(1), r#"{"method":"mining.subscribe","params":[]}"#);
    let got = rig.miner_bytes(1, b"{\"method\":\"mining.subscribe\",\"params\":[]}\n");
    assert!(got[0].starts_with(r#"{"id":null,"#), "no id at all: {got:?}");
}

#[test]
fn authorize_is_true_at_once_with_nothing_before_it() {
    let mut rig = fresh();
    rig.miner(1, SUBSCRIBE);
    let got = rig.miner(1, AUTHORIZE);
    assert_eq!(got, [r#"{"id":2,"result":true,"error":null}"#]);
    rig.pool_easy(A, "aabbccdd", 8);
    // A second one on the same connection is as welcome, and its shares count for the first.
    rig.miner_got(1);
    let again = rig.miner(1, r#"{"id":5,"method":"mining.authorize","params":["other.worker","pw"]}"#);
    assert_eq!(again, [r#"{"id":5,"result":true,"error":null}"#]);
}

#[test]
fn names_and_passwords() {
    for (wallet, user, upstream) in [
        ("walletA", "own.rig", "walletA.rig"),
        ("walletA", "rig", "walletA.rig"),
        ("walletA", "a.b.c.rig-7", "walletA.rig-7"),
        ("walletA", "own.", "walletA"),
        ("walletA", "", "walletA"),
        ("", "own.rig", "rig"),
        ("", "rig", "rig"),
        ("wallet.with.dots", "own.rig", "wallet.with.dots.rig"),
    ] {
        let mut config = config(100, 0);
        config.pools[0].wallet = wallet.to_string();
        let mut rig = Rig::new(config, &memory(8, 4));
        rig.miner_connects(1);
        rig.miner(1, SUBSCRIBE);
        rig.miner(1, &format!(r#"{{"id":2,"method":"mining.authorize","params":["{user}","pw"]}}"#));
        rig.pool_easy(A, "aabbccdd", 8);
        assert_eq!(rig.at(A).user, upstream, "{user}");
    }
    for (configured, own, sent) in
        [(None, r#","d=512""#, "d=512"), (None, "", "x"), (None, r#","""#, "x"), (Some("secret"), r#","pw""#, "secret")]
    {
        let mut config = config(100, 0);
        config.pools[0].password = configured.map(String::from);
        let mut rig = Rig::new(config, &memory(8, 4));
        rig.miner_connects(1);
        rig.miner(1, SUBSCRIBE);
        rig.miner(1, &format!(r#"{{"id":2,"method":"mining.authorize","params":["w.rig"{own}]}}"#));
        rig.pool_connects(A);
        rig.pool_got(A);
        let got = rig.pool(A, r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#);
        assert_eq!(last_params(&got, "mining.authorize").unwrap()[1], sent);
    }
}

#[test]
fn the_agent_and_the_wish_for_a_difficulty_go_upstream() {
    let target = "00000000ffff0000000000000000000000000000000000000000000000000000";
    for (method, param, passed) in [
        ("mining.suggest_difficulty", "512".to_string(), "512"),
        ("mining.suggest_difficulty", "0.001".to_string(), "0.001"),
        ("mining.suggest_target", format!("\"{target}\""), "1"),
    ] {
        let suggest = format!(r#"{{"id":9,"method":"{method}","params":[{param}]}}"#);
        let passed = format!(r#""method":"mining.suggest_difficulty","params":[{passed}]"#);
        // Before the pools are there, and after.
        let mut rig = fresh();
        rig.miner(1, SUBSCRIBE);
        assert_eq!(code(&rig.miner(1, &suggest)), 0);
        rig.miner(1, AUTHORIZE);
        rig.pool_easy(A, "aabbccdd", 8);
        assert!(rig.log.contains(r#""method":"mining.subscribe","params":["cgminer/4.11.1"]"#));
        let told = rig.log.lines().filter(|line| line.contains("pool A") && line.contains(&passed)).count();
        assert_eq!(told, 1, "{}", rig.log);
        let mut rig = fresh();
        rig.miner(1, SUBSCRIBE);
        rig.miner(1, AUTHORIZE);
        rig.pool_easy(A, "aabbccdd", 8);
        rig.pool_got(A);
        rig.miner_got(1);
        assert_eq!(code(&rig.miner(1, &suggest)), 0);
        let got = rig.pool_got(A);
        assert!(got.len() == 1 && got[0].contains(&passed), "{got:?}");
        // The pool never answers it; nothing follows from that.
        rig.wait_lively(Span::secs(100));
        assert!(rig.stays(1));
    }
}

#[test]
fn odd_requests_are_answered() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.miner_got(1);
    for (line, good) in [
        (r#"{"id":4,"method":"mining.multi_version","params":[1]}"#, true),
        (r#"{"id":4,"method":"mining.get_transactions","params":["00000001"]}"#, true),
        (r#"{"id":4,"method":"mining.capabilities","params":[{"notify":[],"suggested_target":"00"}]}"#, true),
        (r#"{"id":4,"method":"mining.ping","params":[]}"#, true),
        (r#"{"id":4,"method":"mining.ping"}"#, true),
        (r#"{"id":4,"method":"mining.pong","params":[]}"#, true),
        (r#"{"id":4,"method":"mining.extranonce.subscribe","params":[]}"#, true),
        (r#"{"id":4,"method":"mining.unheard_of","params":[]}"#, false),
        (r#"{"id":4,"method":"mining.suggest_target","params":["7"]}"#, false),
        (r#"{"id":4,"method":"mining.suggest_difficulty","params":[0]}"#, false),
        (r#"{"id":4,"method":"mining.suggest_difficulty","params":[]}"#, false),
        (r#"{"id":4,"method":"mining.authorize","params":[]}"#, false),
        (r#"{"id":4,"method":"mining.submit","params":{}}"#, false),
    ] {
        let got = rig.miner(1, line);
        assert_eq!(got.len(), 1, "{line}");
        assert_eq!(code(&got) == 0, good, "{line} {got:?}");
    }
    // A response to something that we never asked, blank lines and garbage: nothing, and it stays.
    for bytes in
        ["{\"id\":4,\"result\":true,\"error\":null}\n", "\n\r\n   \n", "garbage\n", "17\n", "\u{1}\u{2}\n", "{}\n"]
    {
        assert!(rig.miner_bytes(1, bytes.as_bytes()).is_empty(), "{bytes:?}");
    }
    assert!(rig.miner_bytes(1, b"\xff\xfe{\"id\n").is_empty(), "not even UTF-8");
    assert!(rig.stays(1));
    let got = rig.miner(1, r#"{"id":5,"method":"mining.ping","params":[]}"#);
    assert_eq!(code(&got), 0, "it is still understood");
}

#[test]
fn a_list_is_no_request() {
    let mut rig = fresh();
    for line in ["[1,2]\n", "[7,\"mining.subscribe\",[\"cgminer/4.11.1\"]]\n"] {
        assert!(rig.miner_bytes(1, line.as_bytes()).is_empty(), "JSON-RPC is objects: {line}");
    }
    assert!(rig.upstreams.is_empty());
}

#[test]
fn a_tls_hello_closes_quietly() {
    let mut rig = fresh();
    rig.miner_bytes(1, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(!rig.stays(1));
    assert!(rig.upstreams.is_empty(), "no upstream for it");
    let reasons: Vec<_> = rig
        .notices
        .iter()
        .filter_map(|n| match n {
            Notice::MinerDisconnected { reason, was_ready, .. } => Some((reason.clone(), *was_ready)),
            Notice::MinerBadLine { .. } => panic!("not an error: {n:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [(CloseReason::TlsProbe, false)]);
}

#[test]
fn probing_miners_open_nothing_and_count_for_nothing() {
    let mut rig = fresh();
    rig.miner(1, SUBSCRIBE);
    rig.step(Event::Closed { conn: Conn::Miner(MinerId(1)), reason: "eof" });
    assert!(rig.upstreams.is_empty(), "subscribed and gone");
    assert!(!rig.notices.iter().any(|n| matches!(n, Notice::MinerReady { .. })));
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::MinerDisconnected { was_ready: false, .. })));
    // Bitaxe's heartbeat: it goes before the pools are there; nothing is left behind.
    rig.miner_ready(2, "bitaxe/BM1366/v2.8.0");
    rig.step(Event::Closed { conn: Conn::Miner(MinerId(2)), reason: "eof" });
    let closed = rig.closed.iter().filter(|c| matches!(c, Conn::Upstream(_))).count();
    assert_eq!(closed, 2);
    rig.wait(Span::secs(120));
    assert_eq!(rig.engine.pools().map(|p| p.connected).sum::<u32>(), 0);
}

#[test]
fn no_upstream_before_a_valid_subscribe() {
    let mut rig = fresh();
    rig.miner(1, AUTHORIZE);
    rig.miner(1, CONFIGURE);
    rig.miner(1, r#"{"id":4,"method":"mining.suggest_difficulty","params":[7]}"#);
    rig.miner(1, r#"{"id":5,"method":"mining.subscribe","params":{}}"#);
    assert!(rig.upstreams.is_empty());
    rig.miner(1, SUBSCRIBE);
    assert_eq!(rig.upstreams.len(), 2);
}

#[test]
fn session_ids_to_resume_are_passed_over() {
    let mut rig = fresh();
    let got = rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1","deadbeef"]}"#);
    assert_eq!(code(&got), 0);
    assert_eq!(rig.seen(1).extranonce1, [1]);
}

#[test]
fn configure_answers_every_extension() {
    let ask = |params: &str| {
        let mut rig = fresh();
        rig.miner(1, &format!(r#"{{"id":1,"method":"mining.configure","params":{params}}}"#)).remove(0)
    };
    let reply = ask(r#"[["version-rolling"],{"version-rolling.mask":"00ffe000","version-rolling.min-bit-count":2}]"#);
    assert_eq!(reply, r#"{"id":1,"result":{"version-rolling":true,"version-rolling.mask":"00ffe000"},"error":null}"#);
    let reply =
        ask(r#"[["minimum-difficulty","subscribe-extranonce","info","unheard-of"],{"minimum-difficulty.value":2048}]"#);
    assert!(reply.contains(r#""minimum-difficulty":"#) && reply.contains(r#""subscribe-extranonce":true"#), "{reply}");
    assert!(!reply.contains("version-rolling"), "not asked for: {reply}");
    assert_eq!(ask("[]"), r#"{"id":1,"result":{},"error":null}"#);
}

#[test]
fn the_order_after_authorize_is_reply_difficulty_job() {
    for pool_first in [true, false] {
        let mut rig = fresh();
        rig.miner(1, SUBSCRIBE);
        let mut got = rig.miner(1, AUTHORIZE);
        if pool_first {
            rig.pool_easy(A, "aabbccdd", 8);
        } else {
            // ckpool tells difficulty and job before it answers authorize.
            rig.pool_connects(A);
            rig.pool(A, r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#);
            rig.pool_difficulty(A, "42.9");
            rig.pool(A, &rig::notify("1", true));
            assert!(rig.miner_got(1).is_empty(), "not authorised yet");
            rig.pool(A, r#"{"id":2,"result":true,"error":null}"#);
            assert_eq!(rig.seen(1).difficulty.as_deref(), Some("42"));
        }
        got.extend(rig.miner_got(1));
        assert_eq!(methods(&got), ["reply", "mining.set_difficulty", "mining.notify"]);
    }
}

#[test]
fn difficulties_are_told_rounded_down_once_and_in_time() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1.5", "1");
    assert_eq!(rig.seen(1).difficulty.as_deref(), Some("1"));
    rig.miner_got(1);
    for (pool, told) in [
        ("1.99", None),
        ("2048.7", Some("2048")),
        ("2048", None),
        ("2048.0000", None),
        ("1e3", Some("1000")),
        ("0.5", Some("0.5")),
        ("1e-5", Some("0.00001")),
        ("29999.999999", Some("29999")),
    ] {
        rig.pool_difficulty(A, pool);
        assert!(rig.miner_got(1).is_empty(), "not before the job that it is for");
        rig.pool(A, &rig::notify("2", false));
        let got = rig.miner_got(1);
        match told {
            Some(told) => {
                assert_eq!(methods(&got), ["mining.set_difficulty", "mining.notify"], "{pool}");
                assert_eq!(rig.seen(1).difficulty.as_deref(), Some(told));
            }
            None => assert_eq!(methods(&got), ["mining.notify"], "{pool}: unchanged"),
        }
    }
    // Two in a row from the pool: the miner hears the last one.
    rig.pool_difficulty(A, "5");
    rig.pool_difficulty(A, "6");
    rig.pool(A, &rig::notify("3", false));
    assert_eq!(rig.seen(1).difficulty.as_deref(), Some("6"));
    // Nonsense changes nothing.
    for bad in ["0", "-1", "\"x\"", "null"] {
        rig.pool_difficulty(A, bad);
    }
    rig.miner_got(1);
    rig.pool(A, &rig::notify("4", false));
    assert_eq!(methods(&rig.miner_got(1)), ["mining.notify"]);
}

#[test]
fn downstream_diff_clamps() {
    let difficulty = |text: &str| dpmp_core::Difficulty::parse(text);
    for (min, max, pool, told) in [
        (None, Some("512"), "2048.7", "512"),
        (Some("4096"), None, "2048.7", "4096"),
        (Some("1"), None, "0.001", "0.001"),
        (Some("0.5"), None, "0.001", "0.001"),
        (Some("100"), Some("200"), "150.9", "150"),
        (None, Some("0.25"), "7", "0.25"),
    ] {
        let mut config = config(100, 0);
        config.pools[0].min_difficulty = min.and_then(difficulty);
        config.pools[0].max_difficulty = max.and_then(difficulty);
        let mut rig = Rig::new(config, &memory(8, 4));
        rig.miner_ready(1, "cgminer/4.11.1");
        rig.pool_ready(A, "aabbccdd", 8, pool, "1");
        assert_eq!(rig.seen(1).difficulty.as_deref(), Some(told), "{min:?} {max:?} {pool}");
        let warned = rig.notices.iter().any(|n| format!("{n:?}").contains("DifficultyAbovePool"));
        assert_eq!(warned, told == "4096", "what it costs is said");
    }
}

#[test]
fn the_pools_clean_flag_is_kept_on_the_same_pool() {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    assert!(rig.seen(1).job().clean, "the first one is clean");
    for (n, clean) in [true, false, false, true, false].into_iter().enumerate() {
        rig.pool(A, &rig::notify(&n.to_string(), clean));
        assert_eq!(rig.seen(1).job().clean, clean);
    }
}

#[test]
fn weights_and_config_keep_the_miners() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    assert_eq!(rig.works_for(1), Some(A));
    rig.command(Command::SetWeights(vec![0, 1_000_000]));
    assert_eq!(rig.works_for(1), Some(B), "at once");
    rig.command(Command::SetWeights(vec![1, 2]));
    rig.command(Command::SetWeights(vec![1_000_000]));
    assert_eq!(rig.notices.iter().filter(|n| matches!(n, Notice::CommandRefused { .. })).count(), 2);
    rig.command(Command::SetWeights(vec![500_000, 500_000]));
    rig.pool_easy(A, "aabbccdd", 8);
    let mut other = config(50, 50);
    other.pools[1].wallet = "another".to_string();
    rig.command(Command::SetConfig(Box::new(other)));
    assert_eq!(rig.works_for(1), Some(A), "B is made anew");
    rig.pool_easy(B, "55667788", 4);
    assert_eq!(rig.at(B).user, "another.w1");
    assert!(rig.stays(1) && !rig.closed.contains(&Conn::Miner(MinerId(1))));
}

#[test]
fn a_miner_that_comes_while_the_pools_are_probed_for_the_first_time() {
    // The probes answer: it gets sizes that fit, and all that it said is answered in order.
    let mut rig = Rig::just_started(config(50, 50), &Memory::default());
    rig.miner_connects(1);
    let mut got = rig.miner(1, CONFIGURE);
    got.extend(rig.miner(1, SUBSCRIBE));
    got.extend(rig.miner(1, AUTHORIZE));
    for (pool, size) in [(A, 8), (B, 3)] {
        rig.pool_connects(pool);
        for line in rig.pool_got(pool) {
            rig.answer(pool, &line, "aabb", size);
        }
    }
    got.extend(rig.miner_got(1));
    assert_eq!(methods(&got), ["reply"; 3]);
    assert_eq!(rig.seen(1).extranonce2_bytes, 2, "cgminer with 3 bytes");
    // With what an earlier run learnt nobody waits.
    let mut rig = Rig::just_started(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    assert_eq!(methods(&rig.miner(1, SUBSCRIBE)), ["reply"]);
}

#[test]
fn a_miner_does_not_wait_longer_for_the_first_probes_than_it_bears() {
    // The probes do not answer: NerdMiner gives up about 1.2 s after its subscribe.
    let mut rig = Rig::just_started(config(50, 50), &Memory::default());
    rig.miner_connects(1);
    rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["NerdMinerV2"]}"#);
    rig.wait(Span::millis(1_200));
    assert!(rig.seen(1).open.is_empty(), "no reply to subscribe after 1.2 s");
}
