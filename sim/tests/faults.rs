//! Whose fault it is that a share did not count: the miner's, the pool's, nobody's, and never the proxy's.

mod rig;

use dpmp_core::notice::{DropReason, Fault};
use dpmp_core::{Conn, Event, MinerId, Notice, Span, Verdict};
use rig::mine::Search;
use rig::{A, Rig, code, config, memory, notify};

fn mining() -> Rig {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_easy(A, "aabbccdd", 8);
    rig.miner_got(1);
    rig
}

/// The fault of the last share.
fn last_fault(rig: &Rig) -> Option<Fault> {
    let last = rig.notices.iter().rev().find_map(|n| match n {
        Notice::ShareResult { fault, .. } => Some(*fault),
        _ => None,
    });
    last.expect("a share has ended")
}

/// The pool accepts a first share: what is sent on this connection is understood.
fn proven(rig: &mut Rig) {
    assert!(rig.share(1, Search { extranonce2: 0xfff, ..Search::default() }).is_empty());
    rig.pool_accepts(A);
    assert_eq!(last_fault(rig), None);
    rig.miner_got(1);
}

/// A share is forwarded, and the pool refuses it with this code.
fn refused(rig: &mut Rig, search: Search, answer: i64) -> Fault {
    assert!(rig.share(1, search).is_empty(), "it is forwarded");
    rig.pool_answers(A, &format!(r#""result":null,"error":[{answer},"no",null]"#));
    assert_eq!(code(&rig.miner_got(1)), answer);
    last_fault(rig).expect("it did not count")
}

#[test]
fn what_miners_do_wrong_is_their_fault() {
    let mut rig = mining();
    proven(&mut rig);
    let good = rig.mine(1, Search::default());
    rig.submit(1, &good);
    rig.pool_accepts(A);
    rig.submit(1, &good);
    assert_eq!(last_fault(&rig), Some(Fault::Miner), "a duplicate");
    rig.share(1, Search { least: 0.0, below: 0.9e-8, ..Search::default() });
    assert_eq!(last_fault(&rig), Some(Fault::Miner), "low");
    let mut odd = good.clone();
    odd.nonce = "xyz".into();
    rig.submit(1, &odd);
    assert_eq!(last_fault(&rig), Some(Fault::Miner), "malformed");
    odd.job = "7fffffff".into();
    rig.submit(1, &odd);
    assert_eq!(last_fault(&rig), Some(Fault::Miner), "no such job");
}

#[test]
fn a_pool_that_refuses_what_it_asked_for() {
    let mut rig = mining();
    proven(&mut rig);
    for (n, code) in (1..).zip([20, 22, 23, 24, 25, 37, -2]) {
        assert_eq!(refused(&mut rig, Search { extranonce2: n, ..Search::default() }, code), Fault::Pool, "{code}");
    }
    // A job that nobody has had a share accepted of, and that is still the newest.
    rig.pool(A, &notify("2", false));
    assert_eq!(refused(&mut rig, Search::default(), 21), Fault::Pool);
}

#[test]
fn a_pool_that_applies_a_new_difficulty_to_old_jobs() {
    let mut rig = mining();
    rig.pool_difficulty(A, "0.001");
    let easy = Search { below: 1e-5, ..Search::default() };
    assert_eq!(refused(&mut rig, easy, 23), Fault::Pool, "even on a connection that has accepted nothing yet");
}

#[test]
fn shares_that_meet_a_new_job_are_nobodys_fault() {
    let mut rig = mining();
    proven(&mut rig);
    // Its job's id was good a moment ago: the job that replaces it is on its way.
    assert_eq!(refused(&mut rig, Search { extranonce2: 1, ..Search::default() }, 21), Fault::Nobody);
    // The share and the new job cross.
    assert!(rig.share(1, Search { extranonce2: 2, ..Search::default() }).is_empty());
    rig.pool(A, &notify("2", true));
    rig.pool_answers(A, r#""result":null,"error":[21,"stale",null]"#);
    assert_eq!(last_fault(&rig), Some(Fault::Nobody));
    // Late, and the pool knows it.
    let old = rig.seen(1).jobs[0].id.clone();
    rig.miner_got(1);
    let late = Search { job: Some(old), extranonce2: 3, ..Search::default() };
    assert_eq!(refused(&mut rig, late, 21), Fault::Nobody);
}

#[test]
fn ends_of_connections_are_nobodys_fault() {
    let mut rig = mining();
    proven(&mut rig);
    let (first, second) = (rig.mine(1, Search::default()), rig.mine(1, Search { extranonce2: 1, ..Search::default() }));
    rig.submit(1, &first);
    rig.pool_closes(A);
    assert_eq!(last_fault(&rig), Some(Fault::Nobody), "lost");
    rig.submit(1, &second);
    assert_eq!(last_fault(&rig), Some(Fault::Nobody), "its connection is gone");
    let mut rig = mining();
    rig.share(1, Search::default());
    rig.step(Event::Closed { conn: Conn::Miner(MinerId(1)), reason: "eof" });
    assert_eq!(last_fault(&rig), Some(Fault::Nobody), "the miner left");
}

#[test]
fn a_pool_that_never_answers_is_at_fault() {
    let mut rig = mining();
    rig.share(1, Search::default());
    rig.wait_lively(Span::secs(31));
    assert_eq!(last_fault(&rig), Some(Fault::Pool));
}

#[test]
fn a_pool_that_refuses_good_shares_from_the_first_on_is_at_fault() {
    // A wrong wallet, a ban: the share meets all that the pool itself has told.
    for code in [20, 22, 23] {
        let mut rig = mining();
        assert_eq!(refused(&mut rig, Search::default(), code), Fault::Pool, "{code}");
        proven(&mut rig);
        assert_eq!(refused(&mut rig, Search { extranonce2: 9, ..Search::default() }, code), Fault::Pool, "{code}");
    }
    for code in [21, 24, 25] {
        assert_eq!(refused(&mut mining(), Search::default(), code), Fault::Pool, "{code}");
    }
}

#[test]
fn every_reason_has_its_fault_and_its_name() {
    use DropReason::*;
    for (reason, fault) in [
        (UnknownJob, Fault::Miner),
        (NoJobYet, Fault::Miner),
        (Stale, Fault::Nobody),
        (Duplicate, Fault::Miner),
        (LowDifficulty, Fault::Miner),
        (Malformed, Fault::Miner),
        (VersionBits, Fault::Miner),
        (Unauthorized, Fault::Miner),
        (NotSubscribed, Fault::Miner),
    ] {
        assert_eq!(reason.fault(), fault);
    }
    let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names, ["miner", "pool", "proxy", "nobody"]);
}

#[test]
fn the_work_shown_is_what_the_miner_was_told() {
    // Told less than the pool asks: forwarded shares and credited ones show the same work each.
    let mut config = config(100, 0);
    config.pools[0].max_difficulty = dpmp_core::Difficulty::parse("0.00000001");
    let mut rig = Rig::new(config, &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, "0.000001", "1");
    rig.miner_got(1);
    rig.share(1, Search { least: 1e-8, below: 0.9e-6, ..Search::default() });
    rig.share(1, Search { least: 1e-6, ..Search::default() });
    rig.pool_accepts(A);
    let results: Vec<_> = rig
        .notices
        .iter()
        .filter_map(|n| match n {
            Notice::ShareResult { verdict, assigned, worked, .. } => {
                Some((verdict, assigned.unwrap(), worked.unwrap()))
            }
            _ => None,
        })
        .collect();
    let d = |text| dpmp_core::Difficulty::parse(text).unwrap();
    assert_eq!(results, [(&Verdict::Credited, d("1e-8"), d("1e-8")), (&Verdict::Accepted, d("0.000001"), d("1e-8"))]);
}
