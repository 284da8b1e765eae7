//! Bounds: lines, handshakes, connections, slow readers, submits on their way. At each something named happens, and to
//! nobody else.

mod rig;

use dpmp_core::{CloseReason, Conn, Event, MinerId, Notice, Span};
use rig::mine::Search;
use rig::{A, B, Rig, code, config, memory, methods, notify};

const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#;
const AUTHORIZE: &str = r#"{"id":2,"method":"mining.authorize","params":["w","p"]}"#;

fn reasons(rig: &Rig) -> Vec<CloseReason> {
    let all = rig.notices.iter().filter_map(|n| match n {
        Notice::MinerDisconnected { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    all.collect()
}

fn ready() -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    rig
}

#[test]
fn lines_of_miners_have_16_kib() {
    let pad = |total: usize| {
        let frame = r#"{"id":7,"method":"mining.ping","params":[""]}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(total - frame.len())))
    };
    for cut in [usize::MAX, 1000, 1] {
        let mut rig = ready();
        rig.cut = cut;
        assert_eq!(code(&rig.miner(1, &pad(16 * 1024))), 0, "exactly at the limit");
        assert!(rig.stays(1));
        let bytes = format!("{}\n", pad(16 * 1024 + 1));
        rig.miner_bytes(1, bytes.as_bytes());
        assert!(!rig.stays(1));
        assert_eq!(reasons(&rig), [CloseReason::LineTooLong]);
    }
    // A line that never ends.
    let mut rig = ready();
    for _ in 0..17 {
        rig.miner_bytes(1, &[b'x'; 1024]);
    }
    assert_eq!(reasons(&rig), [CloseReason::LineTooLong]);
}

#[test]
fn lines_of_pools_have_256_kib() {
    let message = |total: usize| {
        let frame = r#"{"id":null,"method":"client.show_message","params":[""]}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(total - frame.len())))
    };
    let mut rig = ready();
    rig.pool(A, &message(256 * 1024));
    assert_eq!(rig.works_for(1), Some(A));
    rig.pool(A, &message(256 * 1024 + 1));
    assert!(rig.closed.contains(&Conn::Upstream(rig.upstream(A))));
    let named = |n: &Notice| matches!(n, Notice::PoolDown { reason: CloseReason::LineTooLong, .. });
    assert!(rig.notices.iter().any(named));
    assert_eq!(rig.works_for(1), Some(B));
    assert_eq!(methods(&rig.miner_got(1)), ["mining.notify"], "in the same step");
}

#[test]
fn thirty_seconds_to_subscribe_and_authorize() {
    for said in [&[][..], &[SUBSCRIBE], &[AUTHORIZE]] {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_connects(1);
        for line in said {
            rig.miner(1, line);
        }
        rig.wait(Span::millis(29_999));
        assert!(rig.stays(1));
        rig.wait(Span::millis(1));
        assert!(!rig.stays(1));
        assert_eq!(reasons(&rig), [CloseReason::HandshakeTimeout]);
    }
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.wait(Span::secs(40));
    assert!(rig.stays(1), "ready: it may wait");
}

#[test]
fn lines_that_are_no_stratum() {
    let mut rig = ready();
    for _ in 0..20 {
        rig.miner_bytes(1, b"GET / HTTP/1.1\r\n");
    }
    assert!(rig.stays(1));
    for _ in 0..1000 {
        rig.miner_bytes(1, b"\r\n");
    }
    assert!(rig.stays(1), "blank lines are nothing");
    rig.miner_bytes(1, b"one more\n");
    assert_eq!(reasons(&rig), [CloseReason::NotStratum]);
}

#[test]
fn a_line_now_and_then_that_is_no_stratum_closes_nothing() {
    let mut rig = ready();
    let a = rig.upstream(A);
    for i in 0..30 {
        rig.miner_bytes(1, b"noise\n");
        rig.miner(1, r#"{"id":9,"method":"mining.extranonce.subscribe","params":[]}"#);
        for _ in 0..90 {
            rig.pool(A, r#"{"id":null,"method":"mining.notify","params":["of another protocol"]}"#);
        }
        rig.pool(A, &notify(&i.to_string(), false));
    }
    assert!(rig.stays(1));
    assert!(!rig.closed.contains(&Conn::Upstream(a)));
    for _ in 0..101 {
        rig.pool(A, "nothing else");
    }
    assert!(rig.closed.contains(&Conn::Upstream(a)));
}

#[test]
fn connections() {
    let mut bounded = config(50, 50);
    bounded.limits.max_miners = 3;
    let mut rig = Rig::new(bounded, &memory(8, 4));
    for miner in 1..=5 {
        rig.miner_connects(miner);
    }
    assert_eq!(rig.engine.miners().count(), 3);
    assert_eq!(reasons(&rig), [CloseReason::TooManyMiners, CloseReason::TooManyMiners]);
    rig.step(Event::Closed { conn: Conn::Miner(MinerId(2)), reason: "eof" });
    rig.miner_connects(6);
    assert!(rig.stays(6), "a place is free again");

    let mut bounded = config(50, 50);
    bounded.limits.per_address = 2;
    let mut rig = Rig::new(bounded, &memory(8, 4));
    for miner in [1, 251, 501, 2] {
        rig.miner_connects(miner);
    }
    assert!(rig.stays(1) && rig.stays(251) && !rig.stays(501) && rig.stays(2));
    assert_eq!(reasons(&rig), [CloseReason::TooManyFromAddress]);
    rig.step(Event::Closed { conn: Conn::Miner(MinerId(1)), reason: "eof" });
    rig.miner_connects(751);
    assert!(rig.stays(751));
}

fn queue(rig: &mut Rig, miner: u64, bytes: u32) {
    rig.step(Event::SendQueue { conn: Conn::Miner(MinerId(miner)), bytes });
}

#[test]
fn a_slow_reader_is_sent_no_jobs_and_is_closed_in_the_end() {
    let mut rig = ready();
    rig.miner_ready(2, "cgminer/4.11.1");
    let (a2, b2) = (rig.upstream(A), rig.upstream(B));
    rig.pool_easy(A, "eeee", 8);
    rig.miner_got(2);
    // Back to the upstreams of miner 1.
    let ids: Vec<_> = rig.watch.pools.keys().copied().collect();
    let mine: Vec<_> = ids.into_iter().filter(|u| *u != a2 && *u != b2).collect();
    rig.upstreams.insert(A, mine[0]);
    queue(&mut rig, 1, 20_000);
    assert!(rig.notices.iter().any(|n| matches!(n, Notice::MinerClogged { .. })));
    assert!(!rig.log.contains("miner 1 pause reading"), "its shares are still heard");
    for n in 2..50 {
        rig.pool(A, &notify(&n.to_string(), true));
    }
    assert!(rig.miner_got(1).is_empty(), "no job is added to what it does not read");
    // It has caught up: the newest job, at once.
    queue(&mut rig, 1, 0);
    let got = rig.miner_got(1);
    assert_eq!(got.iter().filter(|l| l.contains("mining.notify")).count(), 1);
    assert!(got.last().unwrap().contains("3439"), "job 49: {got:?}");
    assert!(rig.seen(1).job().clean);
    queue(&mut rig, 1, 100);
    rig.wait(Span::millis(29_999));
    assert!(rig.stays(1));
    rig.wait(Span::millis(1));
    assert!(!rig.stays(1));
    assert_eq!(reasons(&rig), [CloseReason::SlowReader]);
    assert!(rig.stays(2), "nobody else");
    assert_eq!(rig.works_for(2), Some(A));
}

#[test]
fn a_queue_that_is_full_closes_at_once() {
    let mut rig = ready();
    queue(&mut rig, 1, 256 * 1024);
    assert!(rig.stays(1));
    queue(&mut rig, 1, 256 * 1024 + 1);
    assert_eq!(reasons(&rig), [CloseReason::SlowReader]);
    let mut rig = ready();
    rig.step(Event::SendQueue { conn: Conn::Upstream(rig.upstream(A)), bytes: 512 * 1024 + 1 });
    assert_eq!(rig.works_for(1), Some(B), "a pool that does not read is dead");
}

#[test]
fn more_than_512_submits_on_their_way_pause_reading() {
    let mut rig = ready();
    let mut from = 0;
    for n in 0..512u32 {
        let found = rig.mine(1, Search { from, ..Search::default() });
        from = found.number + 1;
        assert!(rig.submit(1, &found).is_empty());
        let paused = rig.log.contains("miner 1 pause reading");
        assert_eq!(paused, n == 511, "after {n}");
    }
    let open: Vec<u64> = rig.at(A).open_submits();
    for (n, id) in open.iter().enumerate() {
        rig.pool(A, &format!(r#"{{"id":{id},"result":true,"error":null}}"#));
        assert_eq!(rig.log.contains("miner 1 resume reading"), n >= 255, "after {n} answers");
    }
    assert_eq!(rig.log.matches("resume reading").count(), 1);
    assert!(rig.seen(1).open.is_empty());
    assert_eq!(rig.miner_got(1).len(), 512);
}

#[test]
fn submits_that_pause_reading_and_a_pool_that_dies() {
    let mut rig = ready();
    let mut from = 0;
    for _ in 0..512 {
        let found = rig.mine(1, Search { from, ..Search::default() });
        from = found.number + 1;
        rig.submit(1, &found);
    }
    rig.pool_closes(A);
    assert!(rig.log.contains("miner 1 resume reading"), "or it would wait for ever");
    assert!(rig.seen(1).open.is_empty());
}

#[test]
fn names_of_any_length() {
    let long = "x".repeat(5000);
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{long}"]}}"#));
    rig.miner(1, &format!(r#"{{"id":2,"method":"mining.authorize","params":["{long}.{long}","{long}"]}}"#));
    assert!(rig.stays(1));
    // The watch bounds each line to a pool at 1,024 bytes.
    rig.pool_easy(A, "aabbccdd", 8);
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.share(1, Search::default()).is_empty());
    // Method names and words from pools are cut as well.
    let got = rig.miner(1, &format!(r#"{{"id":3,"method":"{long}","params":[]}}"#));
    assert!(got.iter().all(|l| l.len() < 1000));
    // Control characters and quotes survive as JSON.
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["a\"b\\c\u0000d\n"]}"#);
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["w.r\"\\\u0001\n","p\""]}"#);
    rig.pool_easy(A, "aabbccdd", 8);
    assert_eq!(rig.at(A).user, "walletA.r\"\\");
    assert!(rig.share(1, Search::default()).iter().all(|l| l.contains("notify")));
}

/// A job whose coinbase has this many bytes more.
fn long_job(job: &str, bytes: usize) -> String {
    notify(job, true).replace("bb00000000", &format!("bb{}", "00".repeat(bytes)))
}

#[test]
fn a_job_too_long_for_the_miner_keeps_it_on_the_other_pool() {
    for (agent, fits, too_long) in [("NerdMinerV2", 800, 1500), ("cgminer/4.11.1", 7_000, 8_000)] {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_ready(1, agent);
        rig.pool_easy(A, "aabbccdd", 8);
        rig.pool_easy(B, "11223344", 4);
        rig.pool(A, &long_job("2", fits));
        assert_eq!(rig.works_for(1), Some(A), "{agent}");
        rig.pool(A, &long_job("3", too_long));
        assert_eq!(rig.works_for(1), Some(B), "{agent}");
        rig.pool(A, &notify("4", true));
        rig.wait_lively(Span::secs(120));
        assert!(rig.seen(1).jobs.iter().any(|j| j.coinb1.windows(2).any(|w| w == [0xaa, b'4'])), "short again");
        assert!(rig.stays(1));
        let limit = if agent == "NerdMinerV2" { 3_000 } else { 16_000 };
        let sent = rig.log.lines().filter(|l| l.contains("miner 1 <")).map(|l| l.len()).max();
        assert!(sent < Some(limit + 40), "{sent:?}");
    }
}

#[test]
fn a_coinbase_longer_than_the_firmware_bears_is_said_once() {
    for (agent, bytes, warned) in [
        ("Antminer S19/bmminer", 600, false),
        ("Antminer S19/bmminer", 800, true),
        ("bosminer-plus-tuner 0.9", 2_300, true),
        ("whatsminer v1", 6_600, true),
        ("bitaxe/BM1370/v2.8.0", 6_600, true),
        ("bitaxe/BM1370/v2.8.0", 2_300, false),
    ] {
        let mut rig = Rig::new(config(50, 50), &memory(8, 4));
        rig.miner_ready(1, agent);
        rig.pool_easy(A, "aabbccdd", 8);
        rig.pool(A, &long_job("2", bytes));
        rig.pool(A, &long_job("3", bytes));
        assert_eq!(rig.works_for(1), Some(A), "it is told, not decided");
        let said = rig.notices.iter().filter(|n| format!("{n:?}").contains("CoinbaseTooLong")).count();
        assert_eq!(said, usize::from(warned), "{agent} {bytes}");
    }
}

#[test]
fn stale_ids_miss() {
    let mut rig = ready();
    let before = rig.log.clone();
    for conn in [Conn::Miner(MinerId(99)), Conn::Upstream(dpmp_core::UpstreamId(99))] {
        rig.step(Event::Received { conn, bytes: b"{\"id\":1,\"method\":\"mining.ping\",\"params\":[]}\n" });
        rig.step(Event::Closed { conn, reason: "x" });
        rig.step(Event::SendQueue { conn, bytes: 1 << 30 });
    }
    rig.step(Event::Connected { upstream: dpmp_core::UpstreamId(99) });
    rig.step(Event::ConnectFailed { upstream: dpmp_core::UpstreamId(99), reason: "x" });
    rig.step(Event::Connected { upstream: rig.upstream(A) });
    assert_eq!(rig.log, before);
}
