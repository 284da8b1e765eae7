//! Whole sessions as snapshots: one line a message, in the order in which they cross the wire. One for each profile,
//! each form of the fall back, and each kind of failover.

mod rig;

use dpmp_core::{PoolId, Span};
use rig::mine::Search;
use rig::{A, B, Rig, config, memory, notify};

fn snapshot(name: &str, log: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/sessions");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Half of each line would be the same merkle branch, and the zeros of the last block's hash.
    let log = log.replace(&"11".repeat(32), "(branch)").replace(&"0".repeat(62), "(zeros)");
    settings.bind(|| insta::assert_snapshot!(name, log));
}

/// The pool that the miner works for accepts a share of it.
fn accepted_share(rig: &mut Rig, miner: u64, rolled: Option<(u32, u32)>) {
    rig.share(miner, Search { extranonce2: 0x1f, rolled, ..Search::default() });
    let on = rig.works_for(miner).expect("a pool");
    assert_eq!(rig.pool_accepts(on), 1);
}

#[test]
fn a_miner_switches_between_two_pools() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "1024", "1");
    rig.pool_ready(B, "11223344", 4, "2048.7", "1");
    rig.wait(Span::secs(60));
    rig.wait(Span::secs(60));
    snapshot("two-pools", &rig.log);
}

/// Handshake in this firmware's order, a share on each pool, and back on the first with a late one.
fn profile(name: &str, lines: &[&str], rolled: Option<(u32, u32)>) {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    for line in lines {
        rig.miner(1, line);
    }
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    accepted_share(&mut rig, 1, rolled);
    let late = rig.mine(1, Search { extranonce2: 0x20, rolled, ..Search::default() });
    rig.pool(A, &notify("2", false));
    rig.wait(Span::secs(50));
    rig.submit(1, &late);
    rig.pool_accepts(A);
    accepted_share(&mut rig, 1, rolled);
    rig.wait(Span::secs(50));
    accepted_share(&mut rig, 1, rolled);
    assert!(rig.stays(1) && rig.closed.is_empty());
    snapshot(name, &rig.log);
}

const ROLLING: Option<(u32, u32)> = Some((0x1fff_e000, 0x0020_2000));

#[test]
fn asic() {
    profile(
        "profile-asic",
        &[
            r#"{"id": 0, "method": "mining.configure", "params": [["version-rolling", "minimum-difficulty"], {"version-rolling.mask": "ffffffff", "version-rolling.min-bit-count": 2, "minimum-difficulty.value": 1}]}"#,
            r#"{"id": 1, "method": "mining.subscribe", "params": ["bmminer/2.0.0/Antminer S19j Pro"]}"#,
            r#"{"id": 2, "method": "mining.authorize", "params": ["wallet.s19", "x"]}"#,
            r#"{"id": 3, "method": "mining.extranonce.subscribe", "params": []}"#,
            r#"{"id": 4, "method": "mining.multi_version", "params": [1]}"#,
        ],
        ROLLING,
    );
}

#[test]
fn avalon() {
    profile(
        "profile-avalon",
        &[
            r#"{"id": 0, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "1fffe000"}]}"#,
            r#"{"id": 1, "method": "mining.subscribe", "params": ["cgminer/4.11.1 AvalonNano3s"]}"#,
            r#"{"id": 2, "method": "mining.authorize", "params": ["wallet.nano", "123"]}"#,
        ],
        ROLLING,
    );
}

#[test]
fn flexible() {
    profile(
        "profile-flexible",
        &[
            r#"{"id": 1, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "ffffffff"}]}"#,
            r#"{"id": 2, "method": "mining.subscribe", "params": ["bitaxe/BM1370/v2.8.0"]}"#,
            r#"{"id": 3, "method": "mining.suggest_difficulty", "params": [1000]}"#,
            r#"{"id": 4, "method": "mining.authorize", "params": ["wallet.bitaxe", "x"]}"#,
        ],
        ROLLING,
    );
}

#[test]
fn old_bitaxe() {
    profile(
        "profile-old-bitaxe",
        &[
            r#"{"id": 1, "method": "mining.subscribe", "params": ["bitaxe v2.2.0"]}"#,
            r#"{"id": 2, "method": "mining.configure", "params": [["version-rolling"], {"version-rolling.mask": "ffffffff"}]}"#,
            r#"{"id": 3, "method": "mining.authorize", "params": ["wallet.old", "x"]}"#,
            r#"{"id": 4, "method": "mining.suggest_difficulty", "params": [1000]}"#,
        ],
        ROLLING,
    );
}

#[test]
fn leaf_miner() {
    profile(
        "profile-leafminer",
        &[
            r#"{"id": 1, "method": "mining.subscribe", "params": ["LeafMiner/0.0.9", null]}"#,
            r#"{"id": 2, "method": "mining.authorize", "params": ["wallet.leaf", "x"]}"#,
            r#"{"id": 3, "method": "mining.suggest_difficulty", "params": [0.000001]}"#,
        ],
        None,
    );
}

#[test]
fn nerd_miner() {
    profile(
        "profile-nerdminer",
        &[
            r#"{"id": 1, "method": "mining.subscribe", "params": ["NerdMinerV2/1.7.0"]}"#,
            r#"{"params": ["wallet.nerd", "x"], "id": 2, "method": "mining.authorize"}"#,
            r#"{"id": 3, "method": "mining.suggest_difficulty", "params": [0.00015]}"#,
        ],
        None,
    );
}

/// Pools of 2 and 8 bytes, both probed: no embedding is possible, and neither is suspect.
fn fall_back() -> (Rig, PoolId, PoolId) {
    let mut rig = Rig::new(config(50, 50), &memory(2, 8));
    rig.wait(Span::secs(8));
    for (pool, size) in [(A, 2), (B, 8)] {
        rig.pool_connects(pool);
        for line in rig.pool_got(pool) {
            rig.answer(pool, &line, "ffff", size);
        }
    }
    rig.upstreams.clear();
    rig.closed.clear();
    rig.log.clear();
    rig.miner_connects(1);
    rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
    let first = *rig.upstreams.keys().next().expect("one is asked");
    (rig, first, if first == A { B } else { A })
}

fn size(pool: PoolId) -> u8 {
    if pool == A { 2 } else { 8 }
}

#[test]
fn fall_back_by_set_extranonce() {
    let (mut rig, first, other) = fall_back();
    rig.miner(1, r#"{"id":2,"method":"mining.extranonce.subscribe","params":[]}"#);
    rig.miner(1, r#"{"id":3,"method":"mining.authorize","params":["wallet.rig","x"]}"#);
    rig.pool_easy(first, "aabbccdd", size(first));
    rig.pool_easy(other, "11223344", size(other));
    accepted_share(&mut rig, 1, None);
    while rig.works_for(1) == Some(first) {
        rig.wait_lively(Span::secs(10));
    }
    accepted_share(&mut rig, 1, None);
    snapshot("fall-back-set-extranonce", &rig.log);
}

#[test]
fn fall_back_by_reconnect() {
    let (mut rig, first, other) = fall_back();
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["wallet.rig","x"]}"#);
    rig.pool_easy(first, "aabbccdd", size(first));
    accepted_share(&mut rig, 1, None);
    while rig.stays(1) {
        rig.wait_lively(Span::secs(60));
    }
    rig.miner_connects(251);
    rig.miner(251, r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
    rig.miner(251, r#"{"id":2,"method":"mining.authorize","params":["wallet.rig","x"]}"#);
    rig.pool_easy(other, "11223344", size(other));
    accepted_share(&mut rig, 251, None);
    snapshot("fall-back-reconnect", &rig.log);
}

/// A miner on A with a submit on its way, and B with work.
fn before_an_outage() -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.share(1, Search::default());
    rig
}

/// The pool is tried again, comes back, and is worked for.
fn comes_back(rig: &mut Rig, pool: PoolId) {
    let old = rig.upstream(pool);
    while rig.upstream(pool) == old {
        rig.wait(Span::secs(1));
    }
    rig.pool_easy(pool, "cafe", 8);
    accepted_share(rig, 1, None);
}

#[test]
fn failover_close() {
    let mut rig = before_an_outage();
    rig.pool_closes(A);
    accepted_share(&mut rig, 1, None);
    comes_back(&mut rig, A);
    snapshot("failover-close", &rig.log);
}

#[test]
fn failover_refuse() {
    let mut rig = before_an_outage();
    rig.pool_closes(A);
    for _ in 0..3 {
        let old = rig.upstream(A);
        while rig.upstream(A) == old {
            rig.wait(Span::secs(1));
        }
        rig.pool_fails(A);
    }
    comes_back(&mut rig, A);
    snapshot("failover-refuse", &rig.log);
}

#[test]
fn failover_silent() {
    let mut rig = before_an_outage();
    rig.wait(Span::secs(30));
    accepted_share(&mut rig, 1, None);
    rig.wait(Span::secs(31));
    comes_back(&mut rig, A);
    snapshot("failover-silent", &rig.log);
}

#[test]
fn failover_refused_worker() {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_connects(A);
    rig.pool(A, r#"{"id":1,"result":[[["mining.notify","s"]],"aabbccdd",8],"error":null}"#);
    rig.pool(A, r#"{"id":2,"result":null,"error":[24,"Unauthorized worker",null]}"#);
    rig.pool_easy(B, "11223344", 4);
    accepted_share(&mut rig, 1, None);
    comes_back(&mut rig, A);
    snapshot("failover-refused-worker", &rig.log);
}

#[test]
fn failover_both_out() {
    let mut rig = before_an_outage();
    rig.pool_closes(A);
    rig.pool_closes(B);
    let late = rig.mine(1, Search { extranonce2: 7, ..Search::default() });
    rig.submit(1, &late);
    // Both are asked again and again, and neither answers.
    rig.wait(Span::secs(130));
    comes_back(&mut rig, B);
    snapshot("failover-both-out", &rig.log);
}
