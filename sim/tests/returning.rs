//! Pools that go and come back as seen by several miners at once, pools that ask to be connected to anew, and pools that
//! send jobs but answer no submit.

mod rig;

use std::collections::{BTreeMap, BTreeSet};

use dpmp_core::notice::HeldOff;
use dpmp_core::{Conn, Event, Notice, PoolId, Span, UpstreamId};
use rig::mine::Search;
use rig::{A, B, Rig, config, memory, notify};

const ASIC: &str = "cgminer/4.11.1";

/// Pool A has all the weight, B is there for failover.
fn failover_config() -> dpmp_core::Config {
    let mut config = config(100, 0);
    config.scheduler.failover = Some(B);
    config
}

/// Several miners have a connection to each pool of their own; the rig's script speaks to the newest only.
struct Many {
    rig: Rig,
    /// Connections that were served or refused already.
    known: BTreeSet<UpstreamId>,
    /// Those that were served and stand, by pool, the oldest first.
    served: BTreeMap<PoolId, Vec<UpstreamId>>,
}

impl Many {
    /// So many miners, numbered from 1, and both pools are up for all.
    fn new(config: dpmp_core::Config, miners: u64) -> Many {
        let rig = Rig::new(config, &memory(8, 4));
        let known = [A, B].iter().flat_map(|pool| rig.open_upstreams(*pool)).collect();
        let mut many = Many { rig, known, served: BTreeMap::new() };
        for miner in 1..=miners {
            many.rig.miner_ready(miner, ASIC);
            for pool in [A, B] {
                assert_eq!(many.attempts(pool, true).len(), 1);
            }
        }
        many
    }

    /// Connections to a pool that are asked for and have no answer yet: they are served, or refused.
    fn attempts(&mut self, pool: PoolId, up: bool) -> Vec<UpstreamId> {
        let mut asked = self.rig.open_upstreams(pool);
        asked.retain(|id| !self.known.contains(id));
        for id in &asked {
            self.known.insert(*id);
            self.rig.upstreams.insert(pool, *id);
            if up {
                self.served.entry(pool).or_default().push(*id);
                self.rig.pool_easy(pool, &format!("{:08x}", id.0), if pool == A { 8 } else { 4 });
            } else {
                self.rig.pool_fails(pool);
            }
        }
        asked
    }

    /// Closes these connections of a pool, as the pool does when it goes: from the `nth` on.
    fn goes(&mut self, pool: PoolId, nth: usize) {
        for upstream in self.served.entry(pool).or_default().split_off(nth) {
            self.rig.step(Event::Closed { conn: Conn::Upstream(upstream), reason: "gone" });
        }
    }

    /// A line of the pool on the connection of the `nth` miner.
    fn on_connection(&mut self, pool: PoolId, nth: usize, line: &str) {
        self.rig.upstreams.insert(pool, self.served[&pool][nth]);
        self.rig.pool(pool, line);
    }

    fn working_for(&self, pool: PoolId, miners: u64) -> usize {
        (1..=miners).filter(|miner| self.rig.works_for(*miner) == Some(pool)).count()
    }
}

#[test]
fn when_a_pool_is_back_for_one_miner_the_others_try_it_at_once() {
    const MINERS: u64 = 6;
    let mut many = Many::new(config(50, 50), MINERS);
    many.goes(A, 0);
    many.goes(B, 0);
    for _ in 0..300 {
        many.rig.wait(Span::secs(1));
        many.attempts(A, false);
        many.attempts(B, false);
    }
    assert_eq!(many.working_for(A, MINERS) + many.working_for(B, MINERS), 0);
    // By now each sleeps for about a minute between two tries. B is back; nobody has work, so nobody waits.
    let mut back = |pool: PoolId, other: Option<PoolId>, within: Span| {
        let mut first = None;
        let mut served = 0;
        for _ in 0..1_000 {
            many.rig.wait(Span::millis(100));
            served += many.attempts(pool, true).len();
            if let Some(other) = other {
                many.attempts(other, false);
            }
            if served > 0 && first.is_none() {
                first = Some(many.rig.now);
            }
            if first.is_some_and(|first| many.rig.now.since(first) >= within) {
                break;
            }
        }
        assert_eq!(served as u64, MINERS, "all have tried it within {within:?} of the first");
    };
    back(B, Some(A), Span::millis(700));
    // They have work now, so A is tried again when each one's wait is over.
    back(A, None, Span::secs(70));
    assert_eq!(many.working_for(A, MINERS) + many.working_for(B, MINERS), MINERS as usize);
}

#[test]
fn a_pool_that_talks_again_on_one_connection_is_tried_again_in_time_by_those_who_gave_it_up() {
    let mut many = Many::new(failover_config(), 3);
    // The pool froze: two of the connections break and are refused since, the third only hangs.
    many.goes(A, 1);
    many.rig.share(1, Search::default());
    for _ in 0..45 {
        many.rig.wait(Span::secs(1));
        many.attempts(A, false);
    }
    assert_eq!(many.working_for(B, 3), 3);
    many.on_connection(A, 0, &notify("2", true));
    assert_eq!(many.rig.works_for(1), Some(A));
    let mut tried = 0;
    for _ in 0..700 {
        many.rig.wait(Span::millis(100));
        tried += many.attempts(A, true).len();
    }
    assert_eq!(tried, 2, "the others have work, and try it when their wait is over");
    assert_eq!(many.working_for(A, 3), 3);
}

/// Three miners at A; the first has a share unanswered since the 20th second.
fn one_unanswered() -> Many {
    let mut many = Many::new(failover_config(), 3);
    assert_eq!(many.working_for(A, 3), 3);
    many.rig.wait(Span::secs(20));
    many.rig.share(1, Search::default());
    many
}

fn held_for_no_answer(rig: &Rig) -> usize {
    let held = |n: &&Notice| matches!(n, Notice::PoolHeldOff { why: HeldOff::NoAnswer, .. });
    rig.notices.iter().filter(held).count()
}

#[test]
fn a_pool_that_is_silent_on_all_connections_is_left_by_all_in_the_same_step() {
    let mut many = one_unanswered();
    many.rig.wait(Span::millis(29_999));
    assert_eq!(many.working_for(A, 3), 3);
    for miner in 1..=3 {
        many.rig.miner_got(miner);
    }
    many.rig.wait(Span::millis(1));
    assert_eq!(many.working_for(B, 3), 3, "one share was unanswered, and nobody has heard anything since");
    assert_eq!(held_for_no_answer(&many.rig), 3);
    for miner in 1..=3 {
        let got = many.rig.miner_got(miner);
        assert_eq!(got.iter().filter(|l| l.contains("mining.notify")).count(), 1, "its job in the same step: {got:?}");
    }
    // It was no more than a hiccup: whoever hears from it works for it again.
    for nth in 0..3 {
        many.on_connection(A, nth, &notify("2", true));
    }
    assert_eq!(many.working_for(A, 3), 3);
}

#[test]
fn a_pool_that_talks_on_another_connection_is_left_by_the_silent_one_only() {
    for nth in [1, 2] {
        let mut many = one_unanswered();
        many.rig.wait(Span::secs(1));
        let ping = r#"{"id":5,"method":"mining.ping","params":[]}"#;
        many.on_connection(A, nth, ping);
        many.rig.wait(Span::secs(29));
        assert_eq!(many.rig.works_for(1), Some(B), "its own connection is silent");
        assert_eq!(many.working_for(A, 3), 2, "the pool is alive");
        assert_eq!(held_for_no_answer(&many.rig), 1);
    }
}

/// One miner whose only pool is A, and how long after being asked by these params the proxy connects to it anew.
fn reconnects(rig: &mut Rig, params: &str) -> Span {
    let (old, start) = (rig.upstream(A), rig.now);
    rig.pool(A, &format!(r#"{{"id":null,"method":"client.reconnect","params":{params}}}"#));
    assert!(rig.closed.contains(&Conn::Upstream(old)), "{params}");
    while rig.upstream(A) == old {
        rig.wait(Span::millis(100));
        assert!(rig.now.since(start) < Span::secs(100), "{params}: it never comes back");
    }
    let after = rig.now.since(start);
    rig.pool_easy(A, "aabbccdd", 8);
    assert_eq!(rig.works_for(1), Some(A));
    after
}

fn one_pool() -> Rig {
    let mut rig = Rig::new(config(100, 0), &memory(8, 4));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    rig
}

#[test]
fn reconnect_is_obeyed_at_once_or_after_the_pools_wait() {
    for (params, wait) in [
        ("[]", 0),
        (r#"["pool-a",3333]"#, 0),
        (r#"["pool-a",3333,0]"#, 0),
        (r#"["pool-a",3333,7]"#, 7),
        (r#"["pool-a","3333","7"]"#, 7),
        (r#"["",0,20]"#, 20),
        (r#"["pool-a",3333,86400]"#, 60),
        (r#"["pool-a",3333,-1]"#, 0),
        (r#"["pool-a",3333,null]"#, 0),
    ] {
        let mut rig = one_pool();
        rig.wait(Span::secs(5));
        assert_eq!(reconnects(&mut rig, params), Span::secs(wait), "{params}");
        assert!(rig.share(1, Search::default()).is_empty());
        assert_eq!(rig.pool_accepts(A), 1);
    }
}

#[test]
fn a_pool_that_asks_again_in_a_short_while_has_to_wait() {
    let mut rig = one_pool();
    assert_eq!(reconnects(&mut rig, "[]"), Span::ZERO);
    for _ in 0..5 {
        rig.wait(Span::secs(30));
        let after = reconnects(&mut rig, "[]");
        assert!(after >= Span::secs(4) && after <= Span::secs(7), "with the back-off: {after:?}");
    }
    // The wait that it asks for is still the least.
    rig.wait(Span::secs(30));
    let after = reconnects(&mut rig, r#"["pool-a",3333,20]"#);
    assert!(after >= Span::secs(20) && after <= Span::secs(21), "{after:?}");
    // After a quiet while it is obeyed at once again.
    rig.wait_lively(Span::secs(700));
    assert_eq!(reconnects(&mut rig, "[]"), Span::ZERO);
    // A pool that asks for it at each connection before it gives work is tried with growing waits.
    let (mut last, mut waits) = (rig.now, Vec::new());
    for _ in 0..5 {
        let old = rig.upstream(A);
        rig.pool(A, r#"{"id":null,"method":"client.reconnect","params":[]}"#);
        while rig.upstream(A) == old {
            rig.wait(Span::secs(1));
        }
        rig.pool_connects(A);
        waits.push(rig.now.since(last).as_secs());
        last = rig.now;
    }
    assert!(waits[4] >= 30 && waits[4] <= 70, "{waits:?}");
}

/// A miner at A, with B for failover.
fn with_failover() -> Rig {
    let mut rig = Rig::new(failover_config(), &memory(8, 4));
    rig.miner_ready(1, ASIC);
    rig.pool_easy(A, "aabbccdd", 8);
    rig.pool_easy(B, "11223344", 4);
    assert_eq!(rig.works_for(1), Some(A));
    rig
}

/// A sends jobs and answers none of six shares: its connection is given up, made anew, and it has a job.
fn falls_deaf_and_returns(rig: &mut Rig, round: u64) {
    for n in 0..6 {
        rig.share(1, Search { extranonce2: 100 * round + n, ..Search::default() });
    }
    let old = rig.upstream(A);
    rig.wait_lively(Span::secs(15));
    rig.pool(A, &notify("2", false));
    rig.wait_lively(Span::secs(15));
    assert!(rig.closed.contains(&Conn::Upstream(old)), "given up");
    assert_eq!(rig.works_for(1), Some(B));
    let start = rig.now;
    while rig.upstream(A) == old {
        rig.wait_lively(Span::secs(1));
        assert!(rig.now.since(start) < Span::secs(10));
    }
    rig.pool_easy(A, "cafe", 8);
}

/// Seconds until the miner works for A, which has work and all the weight.
fn until_trusted(rig: &mut Rig) -> u64 {
    let start = rig.now;
    while rig.works_for(1) != Some(A) {
        rig.wait_lively(Span::secs(1));
        assert!(rig.now.since(start) < Span::secs(2_000));
    }
    rig.now.since(start).as_secs()
}

#[test]
fn a_pool_that_answers_no_submit_is_trusted_late_and_earlier_once_it_answered_one() {
    let mut rig = with_failover();
    let mut waits = Vec::new();
    for round in 0..2 {
        falls_deaf_and_returns(&mut rig, round);
        assert_eq!(rig.works_for(1), Some(B), "its jobs alone prove nothing");
        waits.push(until_trusted(&mut rig));
    }
    assert_eq!(waits, [60, 120]);
    rig.share(1, Search { extranonce2: 50, ..Search::default() });
    assert_eq!(rig.pool_accepts(A), 1);
    falls_deaf_and_returns(&mut rig, 9);
    assert_eq!(until_trusted(&mut rig), 60, "it has answered one since");
}

#[test]
fn a_deaf_pool_that_answers_while_there_is_no_other_is_trusted_for_it() {
    let mut rig = with_failover();
    falls_deaf_and_returns(&mut rig, 0);
    assert_eq!(rig.works_for(1), Some(B));
    rig.pool_closes(B);
    assert_eq!(rig.works_for(1), Some(A), "there is no other");
    rig.share(1, Search { extranonce2: 50, ..Search::default() });
    assert_eq!(rig.pool_accepts(A), 1);
    let old = rig.upstream(B);
    while rig.upstream(B) == old {
        rig.wait_lively(Span::secs(1));
    }
    rig.pool_easy(B, "11223344", 4);
    assert_eq!(rig.works_for(1), Some(A), "it has proved itself, and has all the weight");
    // Without an answer it has not.
    let mut rig = with_failover();
    falls_deaf_and_returns(&mut rig, 0);
    rig.pool_closes(B);
    let old = rig.upstream(B);
    while rig.upstream(B) == old {
        rig.wait_lively(Span::secs(1));
    }
    rig.pool_easy(B, "11223344", 4);
    assert_eq!(rig.works_for(1), Some(B));
}
