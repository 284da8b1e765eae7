//! What is forgiven and what is not: pools that answer again, that speak again, that turn out not to fit; shares that meet
//! a newer job; the first job behind a switch that a miner was too slow for.

mod rig;

use dpmp_core::notice::{Fault, HeldOff};
use dpmp_core::{Conn, Event, MinerId, Notice, Span};
use rig::mine::Search;
use rig::{A, B, Rig, config, memory, notify};

/// A miner at A, which alone has weight.
fn at_a() -> Rig {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.miner_got(1);
    rig
}

/// A miner at A, and B has half of the weight.
fn at_a_of_two(agent: &str) -> Rig {
    let mut rig = Rig::new(config(50, 50), &memory(8, 4));
    rig.miner_ready(1, agent);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.miner_got(1);
    rig
}

fn held(rig: &Rig, why: &HeldOff) -> usize {
    rig.notices.iter().filter(|n| matches!(n, Notice::PoolHeldOff { why: own, .. } if own == why)).count()
}

/// So many shares that A leaves unanswered, while it goes on sending jobs.
fn unanswered(rig: &mut Rig, from: u64, n: u64) {
    for extranonce2 in from..from + n {
        rig.share(1, Search { extranonce2, ..Search::default() });
    }
    rig.wait(Span::secs(15));
    rig.pool(A, &notify(&format!("j{from}"), false));
    rig.wait(Span::secs(15));
    rig.miner_got(1);
}

#[test]
fn a_pool_that_answers_again_is_forgiven_what_it_left_unanswered() {
    let mut rig = at_a();
    let first = rig.upstream(A);
    for round in 0..4 {
        unanswered(&mut rig, 100 * round, 4);
        rig.share(1, Search { extranonce2: 100 * round + 50, ..Search::default() });
        // With those that are given up already.
        assert_eq!(rig.pool_accepts(A), 5);
        rig.miner_got(1);
        assert!(!rig.closed.contains(&Conn::Upstream(first)), "never five in a row");
    }
    unanswered(&mut rig, 1_000, 4);
    assert!(!rig.closed.contains(&Conn::Upstream(first)));
    unanswered(&mut rig, 2_000, 1);
    assert!(rig.closed.contains(&Conn::Upstream(first)), "the fifth in a row");
}

#[test]
fn a_pool_that_speaks_again_is_watched_for_silence_again() {
    let mut rig = at_a();
    rig.wait(Span::secs(180));
    assert_eq!(held(&rig, &HeldOff::Silent), 1);
    rig.wait(Span::secs(10));
    rig.pool(A, &notify("2", true));
    rig.wait(Span::millis(179_999));
    assert_eq!(held(&rig, &HeldOff::Silent), 1, "its time begins anew");
    rig.wait(Span::millis(1));
    assert_eq!(held(&rig, &HeldOff::Silent), 2);
}

#[test]
fn the_first_job_behind_a_switch_that_a_miner_could_not_be_told_is_clean() {
    let queue = |rig: &mut Rig, bytes| rig.step(Event::SendQueue { conn: Conn::Miner(MinerId(1)), bytes });
    // It has read some when B's next job comes, or all of it before.
    for left in [5_000, 0] {
        let mut rig = at_a_of_two("cgminer/4.11.1");
        rig.pool(B, &notify("2", false));
        rig.wait(Span::secs(40));
        rig.miner_got(1);
        queue(&mut rig, 20_000);
        rig.wait(Span::secs(10));
        assert_eq!(rig.works_for(1), Some(B));
        assert!(rig.miner_got(1).is_empty(), "it does not read");
        queue(&mut rig, left);
        if left > 0 {
            rig.pool(B, &notify("3", false));
        }
        assert_eq!(rig.miner_got(1).iter().filter(|line| line.contains("mining.notify")).count(), 1);
        assert!(rig.seen(1).job().clean, "what it has is A's");
        rig.pool(B, &notify("4", false));
        assert!(!rig.seen(1).job().clean);
    }
}

/// The fault of the last share.
fn fault(rig: &Rig) -> Option<Fault> {
    rig.notices.iter().rev().find_map(|n| match n {
        Notice::ShareResult { fault, .. } => Some(*fault),
        _ => None,
    })?
}

#[test]
fn a_stale_refusal_of_an_old_job_is_nobodys_fault() {
    let refuse = r#""result":null,"error":[21,"Job not found",null]"#;
    let mut rig = at_a();
    // The pool has never accepted a share of this job: only its age speaks for it.
    rig.share(1, Search::default());
    rig.pool(A, &notify("2", false));
    rig.pool_answers(A, refuse);
    assert_eq!(fault(&rig), Some(Fault::Nobody));
    // Of the newest job it is the pool's.
    rig.share(1, Search::default());
    rig.pool_answers(A, refuse);
    assert_eq!(fault(&rig), Some(Fault::Pool));
}

#[test]
fn a_pool_that_turns_out_not_to_fit_takes_no_work_away() {
    let mut rig = at_a_of_two("NerdMinerV2");
    rig.pool(B, &notify("2", true).replace("bb00000000", &format!("bb{}", "00".repeat(1_500))));
    rig.wait(Span::secs(25));
    rig.pool(A, &notify("2", false));
    rig.miner_got(1);
    rig.wait(Span::secs(25));
    assert_eq!(held(&rig, &HeldOff::JobTooLong), 1, "its time had come, and its job is too long");
    assert_eq!(rig.works_for(1), Some(A));
    assert!(rig.miner_got(1).is_empty(), "what it works on is as good as before");
    let switches = rig.notices.iter().filter(|n| matches!(n, Notice::PoolSwitched { .. })).count();
    assert_eq!(switches, 1, "the first job, and no other");
}

#[test]
fn the_job_that_brings_miners_back_comes_once() {
    let mut config = config(100, 0);
    config.scheduler.failover = Some(B);
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    rig.share(1, Search::default());
    rig.wait(Span::secs(30));
    assert_eq!(rig.works_for(1), Some(B), "A left a share unanswered");
    rig.miner_got(1);
    rig.pool(A, &notify("2", false));
    assert_eq!(rig.works_for(1), Some(A));
    assert_eq!(rig.miner_got(1).iter().filter(|line| line.contains("mining.notify")).count(), 1);
    assert!(rig.seen(1).job().clean);
}

/// A miner that rolls all of BIP 320, and its only pool.
fn rolls_at_a(mask: &str) -> Rig {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_connects(1);
    rig.miner(1, r#"{"id":1,"method":"mining.subscribe","params":["NerdQAxe+/1.0.30"]}"#);
    rig.miner(
        1,
        r#"{"id":2,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
    );
    rig.miner(1, r#"{"id":3,"method":"mining.authorize","params":["x.w","p"]}"#);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.miner_got(1);
    rig.pool(A, &format!(r#"{{"id":null,"method":"mining.set_version_mask","params":["{mask}"]}}"#));
    rig.miner_got(1);
    rig
}

#[test]
fn a_pool_that_fits_no_more_and_is_the_only_one_goes_on_with_its_newest_job() {
    for clean in [true, false] {
        let mut rig = rolls_at_a("00ffe000");
        rig.pool(A, &notify("2", clean));
        assert_eq!(held(&rig, &HeldOff::VersionMask), 1);
        assert_eq!(rig.works_for(1), Some(A), "there is no other");
        assert_eq!(rig.miner_got(1).iter().filter(|line| line.contains("mining.notify")).count(), 1);
        assert_eq!(rig.seen(1).job().clean, clean, "the one that it had may be stale");
        rig.pool(A, &notify("3", false));
        assert_eq!(rig.miner_got(1).iter().filter(|line| line.contains("mining.notify")).count(), 1);
        assert!(!rig.seen(1).job().clean);
    }
}

#[test]
fn who_waited_for_a_pools_own_extranonce_in_vain_gets_another_pools() {
    // Two bytes each: no room for anything of ours.
    let mut rig = Rig::just_started(config(50, 50), &memory(2, 2));
    for pool in [A, B] {
        rig.pool_connects(pool);
        for line in rig.pool_got(pool) {
            rig.answer(pool, &line, "beef", 2);
        }
    }
    let subscribe = r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#;
    rig.miner_connects(1);
    assert!(rig.miner(1, subscribe).is_empty());
    let asked = |rig: &Rig| {
        let pools = rig.notices.iter().filter_map(|n| match n {
            Notice::PoolConnecting { pool, who: Some(_), .. } => Some(*pool),
            _ => None,
        });
        pools.collect::<Vec<_>>()
    };
    let first = asked(&rig);
    rig.pool_connects(first[0]);
    rig.wait(Span::secs(8));
    assert!(!rig.stays(1), "the pool said nothing");
    assert_eq!(asked(&rig).len(), 1);
    rig.miner_connects(2);
    rig.miner(2, subscribe);
    let other = if first[0] == A { B } else { A };
    assert_eq!(asked(&rig)[1..], [other]);
    rig.pool_ready(other, "cafe", 2, "0.00000001", "1");
    assert!(rig.miner_got(2).iter().any(|line| line.contains("cafe")));
}
