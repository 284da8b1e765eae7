//! The fall back, where no embedding is possible: one pool's own extranonce, and a switch by `mining.set_extranonce`, or
//! by closing the miner's connection so that it subscribes again.

mod rig;

use dpmp_core::{Command, Conn, MinerId, Span};
use dpmp_sim::hex;
use rig::mine::Search;
use rig::{A, B, Rig, config, memory, methods};

const ASIC: &str = "cgminer/4.11.1";

fn told(rig: &Rig, miner: u64) -> (usize, usize) {
    (rig.seen(miner).extranonce1.len(), rig.seen(miner).extranonce2_bytes)
}

#[test]
fn too_few_bytes_and_no_set_extranonce() {
    let mut rig = Rig::new(config(50, 50), &memory(2, 8));
    // The pools were probed well: nothing is suspect.
    rig.miner_connects(1);
    let subscribed = rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    assert!(subscribed.is_empty(), "the reply waits for the pool's own extranonce");
    let authorized = rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    assert!(authorized.is_empty());
    let own = *rig.upstreams.keys().next().expect("a pool is asked");
    rig.pool_easy(own, "aabbccdd", 8);
    assert_eq!(told(&rig, 1), (4, 8));
    assert_eq!(methods(&rig.miner_got(1)), ["reply", "reply", "mining.set_difficulty", "mining.notify"]);
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(own), 1);
    // It is never sent another pool's work on this connection.
    rig.wait(Span::secs(3600));
    assert!(rig.seen(1).jobs.iter().all(|j| hex::encode(&j.coinb1).starts_with("01000000aa31")));
    let line = rig.log.lines().filter(|l| l.contains("miner 1 <") && l.contains("set_extranonce")).count();
    assert_eq!(line, 0);
}

/// A rig whose probes of both pools went well, so that neither is suspect.
fn probed(size_a: u8, size_b: u8) -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(size_a, size_b));
    rig.wait(Span::secs(8));
    for (pool, size) in [(A, size_a), (B, size_b)] {
        rig.pool_connects(pool);
        for line in rig.pool_got(pool) {
            rig.answer(pool, &line, "ffff", size);
        }
    }
    rig.upstreams.clear();
    rig.log.clear();
    rig.closed.clear();
    rig
}

#[test]
fn fall_back_by_subscribing_again() {
    let mut rig = probed(2, 8);
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    assert_eq!(rig.upstreams.len(), 1, "only the pool whose extranonce it gets");
    let own = *rig.upstreams.keys().next().expect("a pool is asked");
    let (other, size) = if own == A { (B, 8) } else { (A, 2) };
    rig.pool_easy(own, "aabbccdd", if own == A { 2 } else { 8 });
    assert!(rig.share(1, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(own), 1);
    rig.wait_lively(Span::secs(1200));
    assert!(rig.closed.contains(&Conn::Miner(MinerId(1))), "it has to come again for the other pool");
    rig.miner_connects(251);
    rig.miner(251, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(251, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    rig.pool_easy(other, "1122", size);
    assert_eq!(rig.works_for(251), Some(other), "it goes on in the schedule where it was");
    assert!(rig.share(251, Search::default()).is_empty());
    assert_eq!(rig.pool_accepts(other), 1);
}

/// The pool that a miner in the fall back got first, the other one, and the other one's size.
fn own_first(rig: &mut Rig, sizes: (u8, u8)) -> (dpmp_core::PoolId, dpmp_core::PoolId, u8) {
    let own = *rig.upstreams.keys().next().expect("a pool is asked");
    let (size, other, rest) = if own == A { (sizes.0, B, sizes.1) } else { (sizes.1, A, sizes.0) };
    rig.pool_easy(own, "aabbccdd", size);
    (own, other, rest)
}

fn switches_by_set_extranonce(mut rig: Rig) {
    let (own, other, size) = own_first(&mut rig, (2, 8));
    assert_eq!(rig.works_for(1), Some(own));
    assert!(rig.upstreams.contains_key(&other), "it can work for both, so both are connected");
    rig.pool_easy(other, "1122", size);
    for _ in 0..4 {
        let on = rig.works_for(1).expect("a pool");
        assert!(rig.share(1, Search::default()).is_empty());
        assert_eq!(rig.pool_accepts(on), 1);
        let late = rig.mine(1, Search { extranonce2: 1, ..Search::default() });
        rig.miner_got(1);
        while rig.works_for(1) == Some(on) {
            rig.wait(Span::secs(5));
        }
        let sent = methods(&rig.miner_got(1));
        assert!(sent.ends_with(&["mining.set_extranonce".into(), "mining.notify".into()]), "{sent:?}");
        assert!(rig.seen(1).job().clean);
        assert!(rig.submit(1, &late).is_empty(), "a late one, in the old extranonce");
        assert_eq!(rig.pool_accepts(on), 1);
    }
    assert!(rig.stays(1));
}

#[test]
fn fall_back_by_set_extranonce() {
    let mut rig = probed(2, 8);
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(1, r#"{"id":2,"method":"mining.extranonce.subscribe","params":[]}"#);
    rig.miner(1, r#"{"id":3,"method":"mining.authorize","params":["x.w","p"]}"#);
    switches_by_set_extranonce(rig);
}

#[test]
fn fall_back_by_set_extranonce_asked_for_after_authorize() {
    let mut rig = Rig::new(config(50, 50), &memory(2, 8));
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    rig.miner(1, r#"{"id":3,"method":"mining.extranonce.subscribe","params":[]}"#);
    switches_by_set_extranonce(rig);
}

#[test]
fn in_the_fall_back_a_pool_that_was_down_is_found_again() {
    // Both pools failed their probe at the start, so both are suspect; then both are back. A miner that can only change
    // over by subscribing again keeps the first; the other must be looked for, or it never gets its part.
    let mut rig = Rig::new(config(50, 50), &memory(2, 2));
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    let (own, other, size) = own_first(&mut rig, (2, 2));
    for _ in 0..70 {
        rig.pool(own, r#"{"id":7,"method":"mining.ping","params":[]}"#);
        rig.wait(Span::secs(60));
        if rig.upstreams.contains_key(&other) && rig.stays(1) {
            // A probe of the other pool.
            rig.pool_connects(other);
            for line in rig.pool_got(other) {
                rig.answer(other, &line, "ffff", size);
            }
            rig.upstreams.remove(&other);
        }
    }
    assert!(!rig.stays(1), "after 70 minutes at half and half it has never been asked to change over");
}

#[test]
fn in_the_fall_back_a_dead_pool_gives_way() {
    let mut rig = probed(2, 8);
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(1, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    let (own, other, size) = own_first(&mut rig, (2, 8));
    rig.pool_closes(own);
    assert!(!rig.stays(1), "its pool is dead and the other seems well: it is to come again");
    rig.miner_connects(251);
    rig.miner(251, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    rig.miner(251, r#"{"id":2,"method":"mining.authorize","params":["x.w","p"]}"#);
    rig.pool_easy(other, "1122", size);
    assert_eq!(rig.works_for(251), Some(other));
    assert!(rig.share(251, Search::default()).is_empty());
}

#[test]
fn in_the_fall_back_a_pool_that_refuses_the_first_connection_gives_way() {
    let mut rig = probed(2, 8);
    rig.miner_connects(1);
    rig.miner(1, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{ASIC}"]}}"#));
    let own = *rig.upstreams.keys().next().expect("a pool is asked");
    let (other, size) = if own == A { (B, 8) } else { (A, 2) };
    rig.pool_fails(own);
    assert!(
        rig.upstreams.contains_key(&other),
        "the reply to subscribe is waited for: the other pool is asked at once"
    );
    rig.pool_connects(other);
    for line in rig.pool_got(other) {
        rig.answer(other, &line, "1122", size);
    }
    assert_eq!(methods(&rig.miner_got(1)), ["reply"]);
}

#[test]
fn in_the_fall_back_another_wallet_at_the_only_pool_goes_on() {
    let mut rig = Rig::new(config(100, 0), &memory(2, 8));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 2);
    assert_eq!(rig.works_for(1), Some(A));
    let before = rig.upstream(A);
    let mut other = config(100, 0);
    other.pools[0].wallet = "another".into();
    rig.command(Command::SetConfig(Box::new(other)));
    assert_ne!(rig.upstream(A), before, "it is connected to anew");
    // The extranonce is the same again, or the miner has to subscribe again.
    rig.pool_easy(A, "aabbccdd", 2);
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.log.contains("another.w1"), "{}", rig.log);
}

#[test]
fn in_the_fall_back_nobody_stays_without_work_when_a_pool_is_found() {
    let mut rig = Rig::new(config(100, 0), &memory(2, 2));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 2);
    // All weight goes to a pool that is out.
    rig.command(Command::SetWeights(vec![0, 1_000_000]));
    let mut tries = 0;
    while tries < 300 && !rig.closed.contains(&Conn::Miner(MinerId(1))) {
        rig.wait(Span::secs(1));
        tries += 1;
        let probed = rig.upstreams.get(&B).copied().filter(|b| !rig.closed.contains(&Conn::Upstream(*b)));
        if let Some(probe) = probed.filter(|b| rig.open_upstreams(B).contains(b) && tries > 60) {
            // It is there again.
            rig.pool_connects(B);
            for line in rig.pool_got(B) {
                rig.answer(B, &line, "ffff", 2);
            }
            assert!(rig.closed.contains(&Conn::Upstream(probe)), "what it came for is known");
        }
    }
    assert!(rig.closed.contains(&Conn::Miner(MinerId(1))), "it is to subscribe again: {}", rig.log);
}
