//! The ledger against a list of all shares, over restarts, with endless names, and for thirty days.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::close::CloseReason;
use crate::config::PoolConfig;
use crate::difficulty::Difficulty;
use crate::notice::{DropReason, Fault, Verdict};

fn config() -> Config {
    Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![600_000, 400_000])
}

fn at(secs: u64) -> Time {
    Time::ZERO + Span::secs(secs)
}

fn who(miner: u64, worker: &str) -> Who {
    Who { miner: MinerId(miner), peer: ([192, 0, 2, 5], 50_000).into(), worker: worker.into() }
}

fn join(ledger: &mut Ledger, now: Time, who: &Who) {
    ledger.observe(now, &Notice::MinerConnected { who: Who { worker: "".into(), ..who.clone() } });
    ledger.observe(now, &Notice::MinerReady { who: who.clone(), agent: "cgminer".into() });
}

fn leave(ledger: &mut Ledger, now: Time, who: &Who) {
    ledger.observe(
        now,
        &Notice::MinerDisconnected { who: who.clone(), reason: CloseReason::SlowReader, was_ready: true },
    );
}

fn switch(ledger: &mut Ledger, now: Time, who: &Who, to: u8, why: SwitchReason) {
    let from = (why != SwitchReason::First).then_some(PoolId(1 - to));
    ledger.observe(now, &Notice::PoolSwitched { who: who.clone(), from, to: PoolId(to), why });
}

/// A share's two notices. `took`: how long the pool took to answer.
#[expect(clippy::too_many_arguments, reason = "one share, in all its particulars")]
fn share(
    ledger: &mut Ledger,
    now: Time,
    who: &Who,
    pool: u8,
    verdict: Verdict,
    difficulty: u64,
    achieved: f64,
    took: Span,
) {
    ledger.observe(now - took, &Notice::ShareSubmitted { who: who.clone() });
    let assigned = Difficulty::whole(difficulty);
    let response = (took > Span::ZERO).then_some(took);
    let (who, pool, worked, fault) = (who.clone(), Some(PoolId(pool)), assigned, None);
    let result = Notice::ShareResult { who, pool, verdict, fault, assigned, worked, achieved, response };
    ledger.observe(now, &result);
}

fn good(ledger: &mut Ledger, now: Time, who: &Who, pool: u8, difficulty: u64) {
    share(ledger, now, who, pool, Verdict::Accepted, difficulty, difficulty as f64 * 1.5, Span::ZERO);
}

fn work(difficulty: u64) -> Work {
    Difficulty::whole(difficulty).map_or(Work::default(), |d| d.work())
}

#[test]
fn a_worker_is_its_name_and_goes_on_after_a_reconnect() {
    let mut ledger = Ledger::new(&config());
    let (first, second) = (who(1, "rig"), who(2, "rig"));
    join(&mut ledger, at(0), &first);
    join(&mut ledger, at(1), &second);
    good(&mut ledger, at(2), &first, 0, 8);
    good(&mut ledger, at(3), &second, 1, 16);
    leave(&mut ledger, at(4), &first);
    let nameless = who(3, "");
    join(&mut ledger, at(5), &nameless);
    good(&mut ledger, at(6), &nameless, 1, 2);
    let rows: Vec<_> =
        ledger.workers().map(|(name, row)| (name.as_ref(), row.connections, row.counts.good())).collect();
    assert_eq!(rows, [("192.0.2.5", 1, 1), ("rig", 1, 2)]);
    leave(&mut ledger, at(7), &second);
    let again = who(9, "rig");
    join(&mut ledger, at(100), &again);
    good(&mut ledger, at(101), &again, 0, 4);
    let (_, row) = ledger.workers().nth(1).unwrap();
    assert_eq!((row.counts.work, row.connects, row.since), (work(28), 3, at(1).min(at(0))));
    assert_eq!((row.by_pool[&0].work, row.by_pool[&1].work), (work(12), work(16)));
    assert_eq!(row.windows.sum(Window::FiveMinutes, ledger.now()).work, work(28));
}

#[test]
fn what_a_switch_costs_is_told_apart() {
    let mut ledger = Ledger::new(&config());
    let rig = who(1, "rig");
    let rejected = |code| Verdict::Rejected { code, text: "".into() };
    join(&mut ledger, at(0), &rig);
    switch(&mut ledger, at(1), &rig, 0, SwitchReason::First);
    share(&mut ledger, at(2), &rig, 0, rejected(21), 8, 0.0, Span::ZERO);
    assert_eq!(ledger.totals().switch_lost, 0, "the first job is no switch");
    switch(&mut ledger, at(10), &rig, 1, SwitchReason::Schedule);
    // Submitted before the switch, answered after it.
    share(&mut ledger, at(11), &rig, 0, rejected(21), 8, 0.0, Span::secs(2));
    share(&mut ledger, at(12), &rig, 0, Verdict::Accepted, 8, 9.0, Span::ZERO);
    share(&mut ledger, at(13), &rig, 0, rejected(23), 8, 0.0, Span::ZERO);
    share(&mut ledger, at(14), &rig, 0, Verdict::Dropped(DropReason::UnknownJob), 8, 0.0, Span::ZERO);
    share(&mut ledger, at(15), &rig, 1, Verdict::Lost, 8, 0.0, Span::ZERO);
    share(&mut ledger, at(16), &rig, 1, rejected(21), 8, 0.0, Span::ZERO);
    let counts = ledger.totals();
    assert_eq!((counts.switch_lost, counts.switch_lost_work, counts.after_switch), (2, work(16), 4));
    assert_eq!((counts.late(), counts.lost(), counts.rejected()), (4, 1, 4));
    switch(&mut ledger, at(20), &rig, 0, SwitchReason::Failover);
    share(&mut ledger, at(21), &rig, 1, rejected(21), 8, 0.0, Span::ZERO);
    assert_eq!(ledger.totals().switch_lost, 2, "that is the outage's doing");
    assert_eq!((ledger.switched(), ledger.switch_windows().sum(Window::Hour, ledger.now()).count), (2, 2));
}

/// A miner of 10 on a pool of 100: nine of ten good shares are credited, and each stands for 10, forwarded or not.
#[test]
fn work_is_by_what_the_miner_was_told_and_pay_by_what_the_pool_asks() {
    let mut ledger = Ledger::new(&config());
    let rig = who(1, "rig");
    join(&mut ledger, at(0), &rig);
    let mut result = |verdict, fault, assigned| {
        let notice = Notice::ShareResult {
            who: rig.clone(),
            pool: Some(PoolId(0)),
            verdict,
            fault,
            assigned: Difficulty::whole(assigned),
            worked: Difficulty::whole(10),
            achieved: 0.0,
            response: None,
        };
        ledger.observe(at(1), &notice);
    };
    (0..9).for_each(|_| result(Verdict::Credited, None, 10));
    result(Verdict::Accepted, None, 100);
    result(Verdict::Rejected { code: 20, text: "".into() }, Some(Fault::Pool), 100);
    let counts = ledger.totals();
    assert_eq!((counts.work, counts.paid, counts.wasted_work), (work(100), work(100), work(10)));
    assert_eq!((counts.faults.get(Fault::Pool), counts.faults.get(Fault::Proxy)), (1, 0));
    let again: Counts = serde_json::from_str(&serde_json::to_string(counts).unwrap()).unwrap();
    assert_eq!(again, *counts);
}

#[test]
fn rows_go_after_a_week_and_totals_stay() {
    let mut ledger = Ledger::new(&config());
    let (rig, silent) = (who(1, "rig"), who(2, "silent"));
    join(&mut ledger, at(0), &rig);
    join(&mut ledger, at(0), &silent);
    good(&mut ledger, at(10), &rig, 0, 8);
    leave(&mut ledger, at(20), &rig);
    let day = 24 * 3600;
    ledger.tick(at(7 * day));
    assert_eq!(ledger.workers().len(), 2);
    ledger.tick(at(7 * day + 70));
    assert_eq!(ledger.workers().map(|(name, _)| name.as_ref()).collect::<Vec<_>>(), ["silent"], "it is connected");
    assert_eq!((ledger.totals().good(), ledger.totals().work), (1, work(8)));
    assert_eq!(ledger.bests().workers["rig"].difficulty, Work::nearest(12.0), "bests are for ever");
}

#[test]
fn endless_names_are_bounded_and_nothing_is_lost_of_the_totals() {
    let mut ledger = Ledger::new(&config());
    let faithful = who(1, "faithful");
    join(&mut ledger, at(0), &faithful);
    let many = u64::from(MOST_WORKERS as u32) + 500;
    for n in 0..many {
        let stranger = who(n + 2, &format!("stranger-{n}"));
        join(&mut ledger, at(n), &stranger);
        good(&mut ledger, at(n), &stranger, (n % 2) as u8, 1);
        leave(&mut ledger, at(n), &stranger);
    }
    assert_eq!(ledger.workers().len(), MOST_WORKERS);
    assert_eq!((ledger.totals().good(), ledger.crowded_out()), (many, 501));
    assert!(ledger.workers().any(|(name, _)| name.as_ref() == "faithful"), "who is connected stays");
    assert!(!ledger.workers().any(|(name, _)| name.as_ref() == "stranger-0"));
}

/// Names cost nothing; who only says one takes nobody's row.
#[test]
fn names_without_a_share_push_out_nobody_that_mined() {
    let mut ledger = Ledger::new(&config());
    for n in 0..20u64 {
        let rig = who(n + 1, &format!("rig-{n}"));
        join(&mut ledger, at(n), &rig);
        good(&mut ledger, at(n), &rig, 0, 8);
        leave(&mut ledger, at(n), &rig);
    }
    for n in 0..u64::from(MOST_WORKERS as u32) + 100 {
        let stranger = who(n + 100, &format!("stranger-{n}"));
        join(&mut ledger, at(100 + n), &stranger);
        leave(&mut ledger, at(100 + n), &stranger);
    }
    assert_eq!(ledger.workers().len(), MOST_WORKERS);
    assert_eq!(ledger.workers().filter(|(name, _)| name.starts_with("rig-")).count(), 20);
}

#[test]
fn another_pool_in_a_slot_has_a_hash_rate_of_its_own() {
    let mut ledger = Ledger::new(&config());
    let rig = who(1, "rig");
    join(&mut ledger, at(0), &rig);
    let told = Difficulty::whole(512).unwrap();
    ledger.observe(at(0), &Notice::PoolDifficulty { who: None, pool: PoolId(0), difficulty: told });
    good(&mut ledger, at(10), &rig, 0, 8);
    let mut other = config();
    other.pools[0].address.host = "other.example".into();
    ledger.configure(at(20), &other);
    good(&mut ledger, at(30), &rig, 0, 2);
    let sum = |key: &Arc<str>, ledger: &Ledger| ledger.pool(key).unwrap().windows.sum(Window::Hour, ledger.now()).work;
    let keys: Vec<Arc<str>> = ledger.slots().iter().map(|slot| slot.pool.clone()).collect();
    let before = pool_key(PoolId(0), &config().pools[0].address.host, config().pools[0].address.port);
    assert_eq!((sum(&keys[0], &ledger), sum(&before, &ledger)), (work(2), work(8)));
    assert_eq!(ledger.pool(&keys[0]).unwrap().since, Some(at(20)));
    // The split is by slot: the weight is the slot's.
    assert_eq!(ledger.slots()[0].windows.sum(Window::Hour, ledger.now()).work, work(10));
    assert_eq!(ledger.slots()[0].difficulty, Work::default(), "the former pool's");
    // A file of before: the pool that stands in the slot is the one whose shares the slot has.
    let mut old = serde_json::to_value(&ledger).unwrap();
    for (_, row) in old["pools"].as_object_mut().unwrap() {
        row.as_object_mut().unwrap().remove("windows");
        row.as_object_mut().unwrap().remove("since");
    }
    let read: Ledger = serde_json::from_value(old).unwrap();
    let read = read.resume(&other, Span::ZERO, Bests::default());
    assert_eq!((sum(&keys[0], &read), sum(&before, &read)), (work(10), work(0)));
    let again = read.resume(&config(), Span::ZERO, Bests::default());
    assert_eq!(sum(&before, &again), work(0), "once");
}

#[test]
fn blocks_on_record_are_counted_again() {
    let mut ledger = Ledger::new(&config());
    let key = ledger.slots()[0].pool.clone();
    ledger.recall_blocks(&key, 7);
    ledger.recall_blocks(&key, 3);
    ledger.recall_blocks("no such pool", 3);
    assert_eq!(ledger.pool(&key).unwrap().blocks, 7);
}

#[test]
fn thirty_days_of_shares_take_a_day_of_memory() {
    let mut ledger = Ledger::new(&config());
    let rigs: Vec<Who> = (0..3).map(|n| who(n + 1, &format!("rig-{n}"))).collect();
    rigs.iter().for_each(|rig| join(&mut ledger, at(0), rig));
    let (mut shares, mut most) = (0u64, 0);
    for second in (5..30 * 24 * 3600).step_by(5) {
        for (n, rig) in rigs.iter().enumerate() {
            if second % 50 == 0 {
                switch(&mut ledger, at(second), rig, ((second / 50 + n as u64) % 2) as u8, SwitchReason::Schedule);
            }
            good(&mut ledger, at(second), rig, ((second / 50 + n as u64) % 2) as u8, 1000 + second % 7);
            shares += 1;
        }
        if second % 86_400 == 0 {
            let text = serde_json::to_string(&ledger).unwrap();
            most = most.max(text.len());
        }
    }
    assert_eq!(ledger.totals().good(), shares);
    // 21 + 31 + 49 buckets at most, in each of nine sets of windows.
    let buckets = ledger.workers().map(|(_, row)| row.windows.buckets()).max().unwrap();
    assert!(buckets <= 101, "{buckets}");
    assert!(most < 64 * 1024, "{most} bytes on the disk");
    assert_eq!(ledger.take_news().filter(|best| best.worker.as_ref() == "rig-0").count(), 2, "1005, then 1006");
}

/// When, which rig, which pool, what difficulty, what kind.
type Listed = (u64, u8, u8, u64, u8);

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Share { rig: u8, pool: u8, difficulty: u64, kind: u8 },
    Switch { rig: u8, to: u8 },
    Weights(u32),
    Restart(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..400).prop_map(Step::Pass),
        1 => (0u64..20_000).prop_map(Step::Pass),
        8 => (0u8..3, 0u8..2, 1u64..1_000_000, 0u8..6)
            .prop_map(|(rig, pool, difficulty, kind)| Step::Share { rig, pool, difficulty, kind }),
        2 => (0u8..3, 0u8..2).prop_map(|(rig, to)| Step::Switch { rig, to }),
        1 => (0u32..=1_000_000).prop_map(Step::Weights),
        1 => (0u64..5_000).prop_map(Step::Restart),
    ];
    prop::collection::vec(step, 1..120)
}

fn verdict(kind: u8) -> Verdict {
    match kind {
        0 | 1 => Verdict::Accepted,
        2 => Verdict::Credited,
        3 => Verdict::Rejected { code: 21, text: "".into() },
        4 => Verdict::Dropped(DropReason::Duplicate),
        _ => Verdict::Lost,
    }
}

/// Saves, and goes on with what was saved.
fn restart(ledger: Ledger, down: Span) -> Ledger {
    let bests = ledger.bests().clone();
    let text: String = serde_json::to_string(&ledger).unwrap();
    serde_json::from_str::<Ledger>(&text).unwrap().resume(&config(), down, bests)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Windows, totals and targets are what a list of all shares says, whatever restarts come between; the time that the
    /// program was not there is in no divisor.
    #[test]
    fn it_says_what_a_list_would(steps in steps()) {
        let mut ledger = Ledger::new(&config());
        let rigs: Vec<Who> = (0..3u64).map(|n| who(n + 1, &format!("rig-{n}"))).collect();
        rigs.iter().for_each(|rig| join(&mut ledger, at(0), rig));
        // The engine's time of this run, and what it was at the ledger's time 0.
        let (mut now, mut base) = (0u64, 0u64);
        let mut list: Vec<Listed> = Vec::new();
        let mut runs: Vec<(u64, u64)> = vec![(0, 0)];
        let mut weights: Vec<(u64, u32)> = vec![(0, 600_000)];
        for step in &steps {
            match step {
                Step::Pass(seconds) => now += seconds,
                Step::Share { rig, pool, difficulty, kind } => {
                    let rig_of = &rigs[usize::from(*rig)];
                    share(&mut ledger, at(now), rig_of, *pool, verdict(*kind), *difficulty, 1.0, Span::ZERO);
                    list.push((base + now, *rig, *pool, *difficulty, *kind));
                }
                Step::Switch { rig, to } => {
                    switch(&mut ledger, at(now), &rigs[usize::from(*rig)], *to, SwitchReason::Schedule);
                }
                Step::Weights(a) => {
                    let new: Arc<[u32]> = [*a, 1_000_000 - *a].into();
                    ledger.observe(at(now), &Notice::WeightsChanged { weights: new });
                    weights.push((base + now, *a));
                }
                Step::Restart(down) => {
                    ledger.tick(at(now));
                    runs.last_mut().unwrap().1 = base + now;
                    ledger = restart(ledger, Span::secs(*down));
                    base += now + down;
                    now = 0;
                    runs.push((base, base));
                    // The config's weights hold again.
                    weights.push((base, 600_000));
                    rigs.iter().for_each(|rig| join(&mut ledger, at(0), rig));
                }
            }
        }
        ledger.tick(at(now));
        runs.last_mut().unwrap().1 = base + now;
        let end = base + now;
        prop_assert_eq!(ledger.now(), at(end));
        let is_good = |kind: u8| kind <= 2;
        let sum = |from: u64, keep: &dyn Fn(&Listed) -> bool| {
            list.iter().filter(|s| s.0 >= from && is_good(s.4) && keep(s)).map(|s| s.3).sum::<u64>()
        };
        prop_assert_eq!(ledger.totals().work, work(sum(0, &|_| true)));
        prop_assert_eq!(ledger.totals().shares.all(), list.len() as u64);
        prop_assert_eq!(ledger.totals().late(), list.iter().filter(|s| s.4 == 3).count() as u64);
        prop_assert_eq!(ledger.totals().duplicates(), list.iter().filter(|s| s.4 == 4).count() as u64);
        for window in Window::ALL {
            let from = window.from(ledger.now()).0 / 1_000_000;
            prop_assert!(end - from.min(end) >= window.span().as_secs().min(end));
            prop_assert_eq!(ledger.windows().sum(window, ledger.now()).work, work(sum(from, &|_| true)));
            for (slot, row) in (0u8..).zip(ledger.slots()) {
                let found = row.windows.sum(window, ledger.now());
                prop_assert_eq!(found.work, work(sum(from, &|s| s.2 == slot)));
                let squares: f64 = list.iter().filter(|s| s.0 >= from && is_good(s.4) && s.2 == slot)
                    .map(|s| s.3 as f64 * s.3 as f64).sum();
                prop_assert!((found.squares - squares).abs() <= squares * 1e-9);
            }
            for (n, (_, row)) in (0u8..).zip(ledger.workers()) {
                prop_assert_eq!(row.windows.sum(window, ledger.now()).work, work(sum(from, &|s| s.1 == n)));
            }
            let observed: u64 = runs.iter().map(|(a, b)| b.saturating_sub((*a).max(from))).sum();
            prop_assert_eq!(ledger.observed(window, Time::ZERO), Span::secs(observed));
            if observed > 0 {
                let mut mean = 0u128;
                for (i, (start, a)) in weights.iter().enumerate() {
                    let until = weights.get(i + 1).map_or(end, |next| next.0);
                    for run in &runs {
                        let (x, y) = (run.0.max(from).max(*start), run.1.min(until));
                        mean += u128::from(y.saturating_sub(x)) * u128::from(*a);
                    }
                }
                let mean = mean as f64 / observed as f64;
                prop_assert!((f64::from(ledger.target(window)[0]) - mean).abs() <= 1.0);
            }
        }
    }

    /// A restart without a pause changes nothing that can be read later.
    #[test]
    fn a_restart_is_no_event(steps in steps(), cut in 0usize..120) {
        let run = |with_restart: bool| {
            let mut ledger = Ledger::new(&config());
            let rig = who(1, "rig");
            join(&mut ledger, at(0), &rig);
            let (mut now, mut offset) = (0u64, 0u64);
            for (n, step) in steps.iter().enumerate() {
                if n == cut && with_restart {
                    ledger.tick(at(now - offset));
                    ledger = restart(ledger, Span::ZERO);
                    offset = now;
                    join(&mut ledger, at(0), &rig);
                }
                match step {
                    Step::Pass(seconds) => now += seconds,
                    Step::Share { pool, difficulty, kind, .. } => {
                        share(&mut ledger, at(now - offset), &rig, *pool, verdict(*kind), *difficulty, 2.5, Span::ZERO);
                    }
                    _ => {}
                }
            }
            ledger.tick(at(now - offset));
            ledger
        };
        let (plain, restarted) = (run(false), run(true));
        prop_assert_eq!(plain.totals(), restarted.totals());
        prop_assert_eq!(plain.now(), restarted.now());
        prop_assert_eq!(plain.windows(), restarted.windows());
        prop_assert_eq!(plain.slots(), restarted.slots());
        prop_assert_eq!(plain.bests(), restarted.bests());
        for window in Window::ALL {
            prop_assert_eq!(plain.observed(window, Time::ZERO), restarted.observed(window, Time::ZERO));
            prop_assert_eq!(plain.target(window), restarted.target(window));
        }
        let rows = |ledger: &Ledger| {
            ledger.workers().map(|(name, row)| (name.clone(), row.counts.clone(), row.windows.clone(), row.last_share))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(rows(&plain), rows(&restarted));
    }
}
