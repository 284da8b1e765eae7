//! Version rolling: one mask for the session, what goes upstream, firmwares that insist and firmwares that do not obey.

mod rig;

use dpmp_core::notice::{HeldOff, MinerWarning};
use dpmp_core::{Conn, Memory, MinerId, Notice, PoolId, PoolMemory, Span};
use rig::mine::Search;
use rig::{A, B, Rig, code, config, methods, notify};

const BIP_320: u32 = 0x1fff_e000;

/// What earlier runs learnt: these masks.
fn masks(a: u32, b: u32) -> Memory {
    let pool = |size, mask| PoolMemory { extranonce2_bytes: Some(size), version_mask: Some(mask) };
    Memory { pools: vec![("pool-a:3333".into(), pool(8, a)), ("pool-b:3333".into(), pool(4, b))], ..Memory::default() }
}

fn configure(mask: &str) -> String {
    format!(
        r#"{{"id":3,"method":"mining.configure","params":[["version-rolling"],{{"version-rolling.mask":"{mask}"}}]}}"#
    )
}

/// A miner with this agent that asks for this mask first.
fn miner(rig: &mut Rig, id: u64, agent: &str, mask: &str) -> String {
    rig.miner_connects(id);
    let reply = rig.miner(id, &configure(mask)).remove(0);
    rig.miner(id, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{agent}"]}}"#));
    rig.miner(id, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    reply
}

/// A pool that grants `mask` of what it is asked for (0: refuses).
fn pool(rig: &mut Rig, pool: PoolId, mask: u32, size: u8) {
    rig.pool_connects(pool);
    let mut asked = rig.pool_got(pool);
    while !asked.is_empty() {
        for line in std::mem::take(&mut asked) {
            let request: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let result = match request["method"].as_str() {
                Some("mining.configure") if mask == 0 => r#"{"version-rolling":false}"#.to_string(),
                Some("mining.configure") => {
                    let text = request["params"][1]["version-rolling.mask"].as_str().expect("a mask");
                    let wanted = u32::from_str_radix(text, 16).expect("hex");
                    format!(r#"{{"version-rolling":true,"version-rolling.mask":"{:08x}"}}"#, wanted & mask)
                }
                Some("mining.subscribe") => format!(r#"[[["mining.notify","s"]],"a{}b{}",{size}]"#, pool.0, pool.0),
                Some("mining.authorize") => "true".to_string(),
                _ => continue,
            };
            asked.extend(rig.pool(pool, &format!(r#"{{"id":{},"result":{result},"error":null}}"#, request["id"])));
        }
    }
    rig.pool_difficulty(pool, "0.00000001");
    rig.pool(pool, &notify("1", true));
}

fn warnings(rig: &Rig) -> Vec<MinerWarning> {
    let all = rig.notices.iter().filter_map(|n| match n {
        Notice::MinerWarning { what, .. } => Some(what.clone()),
        _ => None,
    });
    all.collect()
}

#[test]
fn the_intersection_is_told() {
    for (a, b, asked, told) in [
        (BIP_320, BIP_320, "ffffffff", Some("1fffe000")),
        (BIP_320, 0x00ff_e000, "ffffffff", Some("00ffe000")),
        (0x1e00_0000, 0x07ff_e000, "1fffe000", Some("06000000")),
        (BIP_320, BIP_320, "00c00000", Some("00c00000")),
        (BIP_320, 0, "ffffffff", None),
        (0x1f00_0000, 0x00ff_e000, "ffffffff", None),
    ] {
        let mut rig = Rig::new(config(50, 50), &masks(a, b));
        let reply = miner(&mut rig, 1, "cgminer/4.11.1", asked);
        match told {
            Some(mask) => assert_eq!(
                reply,
                format!(
                    r#"{{"id":3,"result":{{"version-rolling":true,"version-rolling.mask":"{mask}"}},"error":null}}"#
                )
            ),
            None => {
                assert_eq!(reply, r#"{"id":3,"result":{"version-rolling":false},"error":null}"#);
                assert_eq!(warnings(&rig), [MinerWarning::NoCommonMask]);
            }
        }
    }
    // A pool that is not in use does not count.
    let mut rig = Rig::new(config(100, 0), &masks(BIP_320, 0));
    assert!(miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff").contains("1fffe000"));
}

#[test]
fn rolled_bits_are_home_at_both_pools() {
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, 0x00ff_e000));
    miner(&mut rig, 1, "bitaxe/BM1370/v2.8.0", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, 0x00ff_e000, 4);
    for on in [A, B, A] {
        assert_eq!(rig.works_for(1), Some(on));
        for bits in [0, 0x2000, 0x00ff_e000] {
            let rolled = Some((0x00ff_e000, bits));
            assert!(rig.share(1, Search { rolled, ..Search::default() }).is_empty(), "{bits:08x}");
        }
        // Another version makes another share of the same nonce; without bits as well.
        assert!(rig.share(1, Search { extranonce2: 9, ..Search::default() }).is_empty());
        assert_eq!(rig.pool_accepts(on), 4);
        rig.wait(Span::secs(50));
    }
    assert!(!rig.log.contains("set_version_mask"));
}

#[test]
fn a_job_whose_version_has_bits_in_the_mask() {
    // BIP 310: the miner's bits replace those of the job under the mask.
    let mut rig = Rig::new(config(100, 0), &masks(BIP_320, BIP_320));
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    rig.pool(A, &notify("2", true).replace("\"20000000\"", "\"3210e004\""));
    for bits in [0, 0x1000_0000, BIP_320] {
        assert!(rig.share(1, Search { rolled: Some((BIP_320, bits)), ..Search::default() }).is_empty());
    }
    assert!(rig.share(1, Search { extranonce2: 1, ..Search::default() }).is_empty(), "five params: the job's version");
    assert_eq!(rig.pool_accepts(A), 4);
}

#[test]
fn five_params_become_six_where_the_pool_negotiated() {
    // DATUM needs the sixth; a pool without version rolling must not get it.
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, 0));
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, 0, 4);
    rig.share(1, Search::default());
    let sent = rig.pool_got(A).pop().unwrap();
    assert!(sent.ends_with(r#""00000000"]}"#), "{sent}");
    rig.pool(A, &notify("2", true).replace("\"20000000\"", "\"20c00000\""));
    rig.share(1, Search::default());
    let sent = rig.pool_got(A).pop().unwrap();
    assert!(sent.ends_with(r#""00c00000"]}"#), "the job's own bits: {sent}");
    rig.wait(Span::secs(50));
    assert_eq!(rig.works_for(1), Some(B));
    rig.share(1, Search::default());
    assert_eq!(rig.pool_accepts(B), 1);
}

#[test]
fn bits_outside_never_go_upstream() {
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, BIP_320));
    miner(&mut rig, 1, "cgminer/4.11.1", "1fffe000");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, BIP_320, 4);
    for bits in [0x8000_0000, 0x0000_0004, 0x2000_2000] {
        let found = rig.mine(1, Search { rolled: Some((u32::MAX, bits)), ..Search::default() });
        assert_eq!(code(&rig.submit(1, &found)), 20);
    }
    assert!(rig.at(A).shares.is_empty() && rig.at(B).shares.is_empty());
    assert!(rig.stays(1));
}

#[test]
fn a_miner_that_insists_is_held_to_the_pool_that_grants() {
    let mut rig = Rig::new(config(50, 50), &masks(0, 0x1fff_e000));
    rig.miner_connects(1);
    assert!(rig.miner(1, &configure("ffffffff"))[0].contains(r#""version-rolling":false"#));
    // It asks again: at once, or after it has hung up (USE_VMASK builds).
    assert!(rig.miner(1, &configure("ffffffff"))[0].contains("1fffe000"));
    rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    pool(&mut rig, A, 0, 8);
    assert_eq!(rig.works_for(1), None, "A is not for it");
    pool(&mut rig, B, BIP_320, 4);
    assert_eq!(rig.works_for(1), Some(B));
    rig.wait_lively(Span::secs(600));
    assert_eq!(rig.works_for(1), Some(B));
    assert!(warnings(&rig).contains(&MinerWarning::HeldForMask { pool: B }));
    assert!(rig.share(1, Search { rolled: Some((BIP_320, 0x2000)), ..Search::default() }).is_empty());

    let mut rig = Rig::new(config(50, 50), &masks(0, 0x1fff_e000));
    rig.miner_connects(1);
    assert!(rig.miner(1, &configure("ffffffff"))[0].contains(r#""version-rolling":false"#));
    rig.step(dpmp_core::Event::Closed { conn: Conn::Miner(MinerId(1)), reason: "eof" });
    rig.miner_connects(251);
    assert!(rig.miner(251, &configure("ffffffff"))[0].contains("1fffe000"), "the same address");
    rig.miner_connects(2);
    assert!(rig.miner(2, &configure("ffffffff"))[0].contains(r#""version-rolling":false"#), "not everybody");
}

#[test]
fn a_firmware_that_always_rolls_is_held_off() {
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, 0x00ff_e000));
    miner(&mut rig, 1, "NerdQAxe+/1.0.30", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, 0x00ff_e000, 4);
    rig.wait_lively(Span::secs(300));
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.seen(1).jobs.iter().all(|j| !j.coinb1.ends_with(&[0xa1, 0xb1])), "no job of B ever");
    let held = |n: &&Notice| matches!(n, Notice::PoolHeldOff { pool, why: HeldOff::VersionMask, .. } if *pool == B);
    assert_eq!(rig.notices.iter().filter(held).count(), 1, "said once");
    // It rolls all of BIP 320, whatever it was told.
    assert_eq!(rig.seen(1).mask, 0x00ff_e000);
    assert!(rig.share(1, Search { rolled: Some((BIP_320, 0x1000_2000)), ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    // A grants less: no pool is left for it. A grants it again.
    rig.pool(A, r#"{"id":null,"method":"mining.set_version_mask","params":["00ffe000"]}"#);
    rig.pool(A, &notify("3", true));
    rig.pool(A, r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#);
    rig.pool(A, &notify("4", true));
    assert_eq!(rig.works_for(1), Some(A));
}

#[test]
fn a_firmware_that_always_rolls_replaces_the_bits_of_its_own_mask() {
    // The job's version has a bit under its mask but not under the one that it was told.
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, 0x00ff_e000));
    miner(&mut rig, 1, "NerdQAxe+/1.0.30", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    rig.pool(A, &notify("2", true).replace("\"20000000\"", "\"30000000\""));
    assert!(rig.share(1, Search { rolled: Some((BIP_320, 0x2000)), ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn a_firmware_found_to_roll_outside_is_held_off() {
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, 0x00ff_e000));
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, 0x00ff_e000, 4);
    rig.wait(Span::secs(50));
    assert_eq!(rig.works_for(1), Some(B));
    let found = rig.mine(1, Search { rolled: Some((BIP_320, 0x1000_2000)), ..Search::default() });
    let got = rig.submit(1, &found);
    assert_eq!(code(&got), 20);
    assert_eq!(rig.works_for(1), Some(A), "A grants what it rolls");
    assert!(methods(&got).contains(&"mining.notify".to_string()), "in the same step");
    assert!(matches!(warnings(&rig)[..], [MinerWarning::RollsOutsideMask { .. }]));
    assert!(rig.share(1, Search { rolled: Some((BIP_320, 0x1000_2000)), ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
    rig.wait_lively(Span::secs(300));
    assert_eq!(rig.works_for(1), Some(A));
}

#[test]
fn a_mask_that_a_pool_tells_later_holds_for_all_who_come() {
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, BIP_320));
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, BIP_320, 4);
    let off = r#""version-rolling":false"#;
    for (id, mask, expected) in [(2, "00000000", off), (3, "00ffe000", "00ffe000"), (4, "1fffe000", "1fffe000")] {
        rig.pool(A, &format!(r#"{{"id":null,"method":"mining.set_version_mask","params":["{mask}"]}}"#));
        rig.miner_connects(id);
        let reply = rig.miner(id, &configure("ffffffff")).remove(0);
        assert!(reply.contains(expected), "{mask}: {reply}");
    }
}

#[test]
fn a_mask_that_nobody_asked_for_tells_nothing() {
    let mut rig = Rig::new(config(100, 0), &Memory::default());
    rig.miner_ready(1, "cpuminer/2.5.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool(A, r#"{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}"#);
    rig.miner_connects(2);
    assert!(rig.miner(2, &configure("ffffffff"))[0].contains("1fffe000"));
}

#[test]
fn who_is_held_to_a_pool_for_its_mask_gets_its_extranonce() {
    // Nothing can be embedded in two bytes, and only A grants a mask.
    for weights in [(70, 30), (50, 50), (30, 70)] {
        let pool_of = |size, mask| PoolMemory { extranonce2_bytes: Some(size), version_mask: Some(mask) };
        let pools = vec![("pool-a:3333".into(), pool_of(8, BIP_320)), ("pool-b:3333".into(), pool_of(2, 0))];
        let mut rig = Rig::new(config(weights.0, weights.1), &Memory { pools, ..Memory::default() });
        rig.miner_connects(1);
        rig.miner(1, &configure("ffffffff"));
        assert!(rig.miner(1, &configure("ffffffff"))[0].contains("1fffe000"));
        rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#);
        rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
        pool(&mut rig, A, BIP_320, 8);
        assert_eq!(rig.works_for(1), Some(A), "{weights:?}");
    }
}

#[test]
fn pools_are_asked_again_for_one_who_insists() {
    // No pool granted anything when it was asked; a miner that never asks keeps connections to both.
    let mut rig = Rig::new(config(50, 50), &masks(0, 0));
    rig.miner_ready(99, "cpuminer/2.5.1");
    pool(&mut rig, A, 0, 8);
    pool(&mut rig, B, 0, 4);
    rig.wait(Span::secs(10));
    let before = rig.open_upstreams(A);
    let comes = |rig: &mut Rig, id| {
        rig.miner_connects(id);
        let reply = rig.miner(id, &configure("ffffffff")).remove(0);
        rig.step(dpmp_core::Event::Closed { conn: Conn::Miner(MinerId(id)), reason: "eof" });
        reply
    };
    for id in 1..20 {
        // Of one address.
        assert!(comes(&mut rig, 250 * id + 1).contains(r#""version-rolling":false"#));
        rig.wait(Span::secs(2));
    }
    assert_eq!(rig.open_upstreams(A), before, "once a minute is enough");
    rig.wait(Span::secs(25));
    assert_eq!(rig.open_upstreams(A).len(), before.len() + 1);
    pool(&mut rig, A, BIP_320, 8);
    assert_eq!(rig.open_upstreams(A), before, "what it came for is known");
    assert!(comes(&mut rig, 5_001).contains("1fffe000"), "it insists, and A grants");
}

#[test]
fn a_mask_that_shrinks_is_told_once_and_holds_from_the_next_job() {
    // Nothing was known of B: BIP 320 is assumed, and B grants less.
    let mut rig = Rig::new(config(50, 50), &Memory::default());
    assert!(miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff").contains("1fffe000"));
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, 0x00ff_e000, 4);
    rig.miner_got(1);
    rig.wait(Span::secs(50));
    let got = methods(&rig.miner_got(1));
    assert_eq!(got.iter().filter(|m| *m == "mining.set_version_mask").count(), 1, "{got:?}");
    assert_eq!(rig.seen(1).mask, 0x00ff_e000);
    assert!(rig.share(1, Search { rolled: Some((0x00ff_e000, 0x2000)), ..Search::default() }).is_empty());
    rig.wait_lively(Span::secs(300));
    assert_eq!(rig.log.matches("set_version_mask").count(), 1);
}

#[test]
fn late_shares_of_the_wider_mask_are_good_work() {
    // The pool narrows its mask. Bitaxe has ten jobs in its queue: their shares still carry the old bits. They are sent
    // home or dropped, but they do not make the miner one that rolls as it likes.
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, BIP_320));
    miner(&mut rig, 1, "bitaxe/BM1370/v2.8.0", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, BIP_320, 4);
    let late = rig.mine(1, Search { rolled: Some((BIP_320, 0x1000_2000)), ..Search::default() });
    rig.pool(A, r#"{"id":null,"method":"mining.set_version_mask","params":["00ffe000"]}"#);
    assert_eq!(rig.seen(1).mask, 0x00ff_e000, "told at once, with a job");
    rig.submit(1, &late);
    assert_eq!(rig.works_for(1), Some(A), "it did as it was told");
    assert!(warnings(&rig).is_empty(), "{:?}", warnings(&rig));
}

#[test]
fn late_shares_are_checked_with_the_mask_of_their_job() {
    // A's job has bits under the mask; the miner is told a narrower mask for B, and then submits for A's job.
    let mut rig = Rig::new(config(50, 50), &Memory::default());
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, 0x00ff_e000, 4);
    rig.pool(A, &notify("2", true).replace("\"20000000\"", "\"30000000\""));
    let late = rig.mine(1, Search { rolled: Some((BIP_320, 0x2000)), ..Search::default() });
    rig.wait(Span::secs(50));
    assert_eq!((rig.works_for(1), rig.seen(1).mask), (Some(B), 0x00ff_e000));
    assert!(rig.submit(1, &late).is_empty(), "it is good work, for A");
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn configure_after_the_pools_are_there() {
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, BIP_320));
    rig.miner_ready(1, "cgminer/4.11.1");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, BIP_320, 4);
    assert!(!rig.log.contains("mining.configure"), "a miner that does not roll asks nobody");
    rig.share(1, Search::default());
    rig.pool_accepts(A);
    rig.miner(1, &configure("ffffffff"));
    for on in [A, B] {
        let asked = rig.pool_got(on);
        let id = asked.iter().find_map(|l| rig::id_of(l, "mining.configure")).expect("both are asked now");
        rig.pool(
            on,
            &format!(
                r#"{{"id":{id},"result":{{"version-rolling":true,"version-rolling.mask":"1fffe000"}},"error":null}}"#
            ),
        );
    }
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.share(1, Search { rolled: Some((BIP_320, 0x2000)), ..Search::default() }).is_empty());
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn a_share_while_configure_is_on_its_way() {
    // Whatever the pool will grant, it is within BIP 320: no other bit of the job's version may stand in the sixth param.
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, BIP_320));
    rig.miner_ready(1, "cgminer/4.11.1");
    pool(&mut rig, A, BIP_320, 8);
    rig.miner(1, &configure("ffffffff"));
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.at(A).shares.len(), 1);
}

#[test]
fn bits_are_sent_also_when_the_mask_has_shrunk_to_none() {
    // DATUM needs them for good once it has granted version rolling.
    let mut rig = Rig::new(config(100, 0), &masks(BIP_320, BIP_320));
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    pool(&mut rig, A, BIP_320, 8);
    rig.pool(A, r#"{"id":null,"method":"mining.set_version_mask","params":["00000000"]}"#);
    rig.pool(A, &notify("2", true).replace("\"20000000\"", "\"20c00000\""));
    assert!(rig.share(1, Search::default()).is_empty());
    let sent = rig.pool_got(A).pop().unwrap();
    assert!(sent.ends_with(r#""00000000"]}"#), "none of the job's bits are in the mask: {sent}");
    assert_eq!(rig.pool_accepts(A), 1);
}

#[test]
fn a_roller_that_never_asked_is_asked_for() {
    // NerdQAxe rolls whatever it is told; without a configure of its own the pools must still be asked, or none of them
    // can be worked for.
    let mut rig = Rig::new(config(50, 50), &masks(BIP_320, BIP_320));
    rig.miner_ready(1, "NerdQAxe+/1.0.30");
    pool(&mut rig, A, BIP_320, 8);
    pool(&mut rig, B, BIP_320, 4);
    assert_eq!(rig.works_for(1), Some(A));
}

#[test]
fn a_pool_that_never_answers_configure() {
    let mut rig = Rig::new(config(100, 0), &masks(BIP_320, BIP_320));
    miner(&mut rig, 1, "cgminer/4.11.1", "ffffffff");
    rig.pool_connects(A);
    let subscribe = rig.pool_got(A).iter().find_map(|l| rig::id_of(l, "mining.subscribe")).unwrap();
    let got = rig.pool(A, &format!(r#"{{"id":{subscribe},"result":[[],"aabb",8],"error":null}}"#));
    let authorize = rig::id_of(&got[0], "mining.authorize").unwrap();
    rig.pool(A, &format!(r#"{{"id":{authorize},"result":true,"error":null}}"#));
    rig.pool_difficulty(A, "0.00000001");
    rig.pool(A, &notify("1", true));
    let silent = rig.upstream(A);
    rig.wait(Span::secs(10));
    // It grants nothing. The miner was told a mask by what was known before: it is told another, and works without.
    assert!(rig.log.contains(r#""mining.set_version_mask","params":["00000000"]"#), "{}", rig.log);
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.share(1, Search::default()).is_empty(), "forwarded, and the pool has not answered yet");
    assert_eq!(rig.at_upstream(silent).shares.len(), 1);
}

#[test]
fn a_miner_whose_only_pool_fits_no_more_is_kept_alive() {
    let mut rig = Rig::new(config(100, 0), &masks(BIP_320, BIP_320));
    // It rolls, and was told of no mask.
    rig.miner_ready(1, "NerdQAxe+/1.0.30");
    pool(&mut rig, A, BIP_320, 8);
    rig.pool(A, r#"{"id":null,"method":"mining.set_version_mask","params":["0000e000"]}"#);
    // The pool answers pings and sends no job.
    for _ in 0..12 {
        rig.miner_got(1);
        rig.wait_lively(Span::secs(45));
        assert!(methods(&rig.miner_got(1)).contains(&"mining.notify".into()), "{}", rig.log);
    }
}

/// How often it was said that a miner is held off this pool for its mask.
fn said_of_mask(rig: &Rig, of: PoolId) -> usize {
    let held = |n: &&Notice| matches!(n, Notice::PoolHeldOff { pool, why: HeldOff::VersionMask, .. } if *pool == of);
    rig.notices.iter().filter(held).count()
}

#[test]
fn a_roller_between_two_narrower_pools_settles_where_the_least_is_refused() {
    // NerdQAxe rolls all of BIP 320: A refuses 5 bits of it, B 9. Whatever the weights and whoever is there first.
    for (weights, first) in [((50, 50), A), ((10, 90), A), ((10, 90), B), ((90, 10), B)] {
        let mut rig = Rig::new(config(weights.0, weights.1), &masks(0x00ff_e000, 0x000f_e000));
        miner(&mut rig, 1, "NerdQAxe+/1.0.30", "ffffffff");
        for on in if first == A { [A, B] } else { [B, A] } {
            pool(&mut rig, on, if on == A { 0x00ff_e000 } else { 0x000f_e000 }, if on == A { 8 } else { 4 });
        }
        for round in 0..12u32 {
            assert_eq!(rig.works_for(1), Some(A), "{weights:?} {first:?} {round}");
            let bits = 0x1000_2000 + (round << 14);
            let refused = rig.mine(1, Search { rolled: Some((BIP_320, bits)), ..Search::default() });
            let got = rig.submit(1, &refused);
            assert_eq!(code(&got), 20, "{got:?}");
            assert!(got.iter().any(|l| l.contains("Version bits outside")), "not stale: {got:?}");
            assert!(!got.iter().any(|l| l.contains("mining.notify")), "nothing changes by it: {got:?}");
            let good = Search { rolled: Some((BIP_320, 0x00f0_2000)), extranonce2: round.into(), ..Search::default() };
            assert!(rig.share(1, good).is_empty(), "what A grants goes to A");
            assert_eq!(rig.pool_accepts(A), 1);
            rig.wait_lively(Span::secs(50));
        }
        assert_eq!((said_of_mask(&rig, A), said_of_mask(&rig, B)), (1, 1), "both are said once");
        let rolls = warnings(&rig).iter().filter(|w| matches!(w, MinerWarning::RollsOutsideMask { .. })).count();
        assert_eq!(rolls, 1);
        assert!(rig.stays(1) && rig.closed.is_empty());
    }
}

#[test]
fn what_a_roller_was_seen_to_roll_counts_more_than_what_it_may() {
    // Each refuses half of BIP 320, but this one is seen to roll no more than what B grants.
    let mut rig = Rig::new(config(50, 50), &masks(0x1fe0_0000, 0x001f_e000));
    miner(&mut rig, 1, "NerdQAxe+/1.0.30", "ffffffff");
    pool(&mut rig, A, 0x1fe0_0000, 8);
    pool(&mut rig, B, 0x001f_e000, 4);
    while rig.works_for(1) != Some(A) {
        rig.wait_lively(Span::secs(5));
    }
    let got = rig.share(1, Search { rolled: Some((BIP_320, 0x2000)), ..Search::default() });
    assert_eq!(code(&got), 20);
    assert_eq!(rig.works_for(1), Some(B), "in the same step");
    for round in 0..6 {
        let good = Search { rolled: Some((BIP_320, 0x0010_2000)), extranonce2: round, ..Search::default() };
        assert!(rig.share(1, good).is_empty());
        assert_eq!(rig.pool_accepts(B), 1);
        rig.wait_lively(Span::secs(50));
        assert_eq!(rig.works_for(1), Some(B));
    }
    assert_eq!((said_of_mask(&rig, A), said_of_mask(&rig, B)), (1, 1));
}
