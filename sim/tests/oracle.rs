//! The automatic balance in the engine: synthetic chains with known hash rates, and a server with every failure.

mod chains;

use std::fmt::Write as _;

use chains::{Chain, House, Rule, START_UNIX, config, grow};
use dpmp_core::config::{OracleFallback, OracleSource};
use dpmp_core::oracle::OracleState;
use dpmp_core::{Command, Event, Memory, Notice, PoolId, Span, Time};

const A: PoolId = PoolId(0);
const B: PoolId = PoolId(1);
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
const BTC: f64 = 9e20;
const BCH: f64 = 5e18;

fn steady(seed: u64) -> [Chain; 2] {
    [Chain::new(seed, "btc", Rule::Retarget, 930_000, |_| BTC), Chain::new(seed, "bch", Rule::Asert, 930_000, |_| BCH)]
}

#[test]
fn it_warms_up_and_then_speaks() {
    let mut house = House::new(config(true, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let mut chains = steady(1);
    let mut blocks = [0; 2];
    let mut ready_at = None;
    grow(&mut house, &mut chains, START_UNIX + 2.0 * DAY, |house, _, chain| {
        blocks[chain] += 1;
        match house.engine.oracle().state {
            OracleState::Warming { of: 72, blocks } => {
                assert!(blocks < 72 && ready_at.is_none());
                assert_eq!(house.weight_a(), 50.0, "the configured weights hold");
            }
            OracleState::Ready => ready_at = ready_at.or(Some(blocks)),
            other => panic!("{other:?}"),
        }
    });
    // The first height that a pool shows has no time: one block more than the window.
    let least = ready_at.expect("ready after two days").into_iter().min();
    assert_eq!(least, Some(74), "the slower chain has shown its start, and 73 more heights");
    assert!(house.asked.is_empty(), "nobody is asked");
}

/// In how many of a hundred cases the interval holds the true hash rate, over 60 days of a chain that does not change; and
/// the hash rate itself, in the mean.
#[test]
fn estimates_lie_within_their_intervals() {
    let mut house = House::new(config(false, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let mut chains = steady(2);
    let (mut cases, mut short, mut long, mut sum) = (0u32, 0u32, 0u32, 0.0);
    grow(&mut house, &mut chains, START_UNIX + 60.0 * DAY, |house, _, chain| {
        let status = house.engine.oracle();
        let Some(reading) = status.chains[chain].reading else { return };
        let truth = [BTC, BCH][chain];
        let within = |i: dpmp_core::oracle::Interval| i.low.as_f64() <= truth && truth <= i.high.as_f64();
        cases += 1;
        short += u32::from(within(reading.short_interval.expect("of blocks")));
        long += u32::from(within(reading.long_interval.expect("of blocks")));
        sum += reading.long.as_f64() / truth;
    });
    let percent = |n: u32| 100.0 * f64::from(n) / f64::from(cases);
    assert!((92.0..98.0).contains(&percent(short)), "short: {}", percent(short));
    // Windows of 72 blocks overlap: sixty days hold 120 that do not.
    assert!((88.0..=100.0).contains(&percent(long)), "long: {}", percent(long));
    let mean = sum / f64::from(cases);
    // The mean of n/time is n/(n-1) of the truth.
    assert!((mean - 72.0 / 71.0).abs() < 0.03, "{mean}");
}

/// The formula by itself, in floating point, from what the status shows.
#[test]
fn weights_are_what_the_formula_says() {
    let mut house = House::new(config(true, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    // BCH has half as much again for ever from the third day on.
    let step = START_UNIX + 2.0 * DAY;
    let mut chains = [
        Chain::new(3, "btc", Rule::Retarget, 930_000, |_| BTC),
        Chain::new(3, "bch", Rule::Asert, 930_000, move |t| if t < step { BCH } else { 1.5 * BCH }),
    ];
    let (mut most, mut before) = (50.0f64, (START_UNIX, 50.0f64));
    let mut hour = std::collections::VecDeque::new();
    grow(&mut house, &mut chains, START_UNIX + 4.0 * DAY, |house, _, _| {
        let status = house.engine.oracle();
        let weight = house.weight_a();
        assert_eq!(weight.fract(), 0.0, "whole percents");
        assert!((30.0..=70.0).contains(&weight), "{weight}");
        if let [Some(btc), Some(bch)] = [0, 1].map(|i| status.chains[i].reading) {
            let [r_btc, r_bch] = [btc, bch].map(|r| r.short.as_f64() / r.long.as_f64());
            let share = (1.0 / r_btc) / (1.0 / r_btc + 1.0 / r_bch) * 100.0;
            let wanted = f64::from(status.wanted.expect("ready"));
            assert!((share.clamp(30.0, 70.0) - wanted).abs() <= 0.51, "{share} {wanted}");
        }
        // Ten points in any hour.
        hour.push_back((house.unix(), (weight - before.1).abs()));
        while hour.front().is_some_and(|(at, _)| *at < house.unix() - HOUR) {
            hour.pop_front();
        }
        assert!(hour.iter().map(|(_, moved)| moved).sum::<f64>() <= 10.0);
        before = (house.unix(), weight);
        if house.unix() > step {
            most = most.max(weight);
        }
    });
    assert!(most >= 53.0, "more hash rate on BCH: more weight for BTC, as long as it is new ({most})");
}

#[test]
fn slider_and_balance_at_any_time() {
    let mut house = House::new(config(false, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let mut chains = steady(4);
    grow(&mut house, &mut chains, START_UNIX + 3.0 * DAY, |_, _, _| {});
    assert_eq!(house.weight_a(), 50.0, "the operator's weights hold");
    let would = house.engine.oracle().moved.expect("it looks on");
    house.command(Command::SetAutoBalance(true));
    assert!(house.engine.oracle().active);
    assert_eq!(house.weight_a(), f64::from(would), "at once");
    house.command(Command::SetWeights(vec![800_000, 200_000]));
    assert!(!house.engine.oracle().active, "whoever moves the slider wants it to hold");
    grow(&mut house, &mut chains, START_UNIX + 4.0 * DAY, |_, _, _| {});
    assert_eq!(house.weight_a(), 80.0);
    house.command(Command::SetAutoBalance(true));
    // History, choice and all survive a restart.
    let memory = house.engine.memory();
    assert_eq!(memory.oracle.choice, Some((true, false)));
    let again = House::new(config(false, OracleSource::Own, ""), &memory, house.now);
    let (before, after) = (house.engine.oracle(), again.engine.oracle());
    assert!(after.active);
    for (before, after) in before.chains.iter().zip(&after.chains) {
        assert_eq!((before.reading, before.height), (after.reading, after.height));
    }
    // Another config wins over the choice.
    let edited = House::new(config(true, OracleSource::Own, ""), &memory, house.now);
    assert!(edited.engine.oracle().active);
    assert_eq!(edited.engine.memory().oracle.choice, None);
}

/// A house that has moved its weights away from the configured ones, and is on its way.
fn moved(seed: u64) -> (House, [Chain; 2]) {
    let mut house = House::new(config(true, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let step = START_UNIX + 2.0 * DAY;
    let mut chains = [
        Chain::new(seed, "btc", Rule::Retarget, 930_000, |_| BTC),
        Chain::new(seed, "bch", Rule::Asert, 930_000, move |t| if t < step { BCH } else { 2.0 * BCH }),
    ];
    let mut end = step + 2.0 * HOUR;
    while (house.weight_a() - 50.0).abs() < 3.0 {
        grow(&mut house, &mut chains, end, |_, _, _| {});
        end += HOUR / 4.0;
        assert!(end < step + DAY, "it moves within a day");
    }
    (house, chains)
}

#[test]
fn a_restart_changes_nothing() {
    let (mut house, mut chains) = moved(3);
    let (weight, before) = (house.weight_a(), house.engine.oracle());
    assert_eq!(before.state, OracleState::Ready);
    // The driver has kept the weights in force; the file says half each.
    let mut restarted = config(true, OracleSource::Own, "");
    restarted.oracle.base_weights = restarted.scheduler.weights.clone();
    restarted.scheduler.weights = house.engine.config().scheduler.weights.clone();
    let mut again = House::new(restarted.clone(), &house.engine.memory(), house.now);
    let soon = again.unix() + 5.0;
    again.until(soon);
    assert_eq!(again.weight_a(), weight, "they hold");
    assert_eq!(again.engine.oracle().moved, before.moved, "from where it was");
    assert!(again.notices.iter().all(|n| !matches!(n, Notice::OracleDecided { .. })));
    // The two go on alike.
    let end = house.unix() + 4.0 * HOUR;
    // Chains are of their seed only.
    let mut same = moved(3).1;
    grow(&mut house, &mut chains, end, |_, _, _| {});
    grow(&mut again, &mut same, end, |house, _, _| {
        assert!(!matches!(house.engine.oracle().state, OracleState::Fallback { .. }));
    });
    assert!((house.weight_a() - again.weight_a()).abs() <= 2.0, "{} {}", house.weight_a(), again.weight_a());
    // A day of rest: what is known is old, but the pools have not had a word yet.
    let later = Time(house.now.0 + Span::mins(24 * 60).0);
    restarted.scheduler.weights = house.engine.config().scheduler.weights.clone();
    let weight = house.weight_a();
    let mut rested = House::new(restarted, &house.engine.memory(), later);
    let soon = rested.unix() + 60.0;
    rested.until(soon);
    assert_eq!((rested.engine.oracle().state, rested.weight_a()), (OracleState::Waiting, weight));
    let late = rested.unix() + 2.1 * HOUR;
    rested.until(late);
    assert!(matches!(rested.engine.oracle().state, OracleState::Fallback { .. }), "not for ever");
    assert_eq!(rested.weight_a(), 50.0);
}

#[test]
fn the_reason_is_that_of_the_weights_in_force() {
    let mut house = House::new(config(true, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let mut chains = steady(8);
    grow(&mut house, &mut chains, START_UNIX + 0.2 * DAY, |_, _, _| {});
    assert!(house.engine.oracle().reason.contains("warming up"));
    grow(&mut house, &mut chains, START_UNIX + 2.0 * DAY, |house, _, _| {
        let status = house.engine.oracle();
        assert!(status.state != OracleState::Ready || !status.reason.contains("warming"), "{}", status.reason);
    });
    assert_eq!(house.engine.oracle().state, OracleState::Ready);
    house.command(Command::SetWeights(vec![800_000, 200_000]));
    assert_eq!(&*house.engine.oracle().reason, "the weights were set by hand");
    grow(&mut house, &mut chains, START_UNIX + 2.5 * DAY, |_, _, _| {});
    assert_eq!(&*house.engine.oracle().reason, "the weights were set by hand", "it only looks on");
    house.command(Command::SetAutoBalance(true));
    let reason = house.engine.oracle().reason;
    assert!(reason.contains("goes from 80 to"), "{reason}");
}

#[test]
fn minutes_without_a_pool_and_pools_that_lie() {
    let mut house = House::new(config(true, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let mut chains = steady(5);
    grow(&mut house, &mut chains, START_UNIX + 2.0 * DAY, |_, _, _| {});
    assert_eq!(house.engine.oracle().state, OracleState::Ready);
    let tip = house.engine.oracle().chains[1].height.expect("known");
    house.pool_goes(B);
    let quiet = house.unix() + 2.5 * HOUR;
    house.until(quiet);
    house.job(A, chains[0].height, chains[0].nbits());
    assert!(
        matches!(house.engine.oracle().state, OracleState::Fallback { .. }),
        "nothing heard for more than two hours"
    );
    assert_eq!(house.weight_a(), 50.0, "the configured weights");
    // It is back, two blocks on: the one that it shows first has no time of its own.
    house.job(B, tip + 2, chains[1].nbits());
    assert_eq!(house.engine.oracle().state, OracleState::Ready);
    house.notices.clear();
    house.job(B, tip + 5000, chains[1].nbits());
    assert_eq!(house.engine.oracle().chains[1].height, Some(tip + 2));
    let doubted = |n: &Notice| matches!(n, Notice::ChainDoubt { pool: B, doubt: Some(_), .. });
    assert_eq!(house.notices.iter().filter(|n| doubted(n)).count(), 1);
    let late = house.unix() as u32 - 9000;
    house.job_at(B, tip + 3, chains[1].nbits(), late);
    assert_eq!(house.engine.oracle().chains[1].height, Some(tip + 2), "its clock is off");
    house.job(B, tip + 3, chains[1].nbits());
    assert_eq!(house.engine.oracle().chains[1].height, Some(tip + 3));
    assert!(house.engine.oracle().chains[1].doubts.is_empty(), "believed again");
}

#[test]
fn other_chains_and_more_pools() {
    let mut config = config(true, OracleSource::Own, "");
    config.pools[1].chain = "NMC".into();
    let mut house = House::new(config.clone(), &Memory::default(), Time::ZERO);
    let mut chains = steady(6);
    grow(&mut house, &mut chains, START_UNIX + 2.0 * DAY, |_, _, _| {});
    assert_eq!(house.engine.oracle().state, OracleState::Ready, "any two chains");
    // One chain only.
    config.pools[1].chain = "BTC".into();
    house.command(Command::SetConfig(Box::new(config.clone())));
    let OracleState::Off(why) = house.engine.oracle().state else { panic!("one chain") };
    assert!(why.contains("all mine BTC"), "{why}");
    config.pools[1].chain = "NONE".into();
    house.command(Command::SetConfig(Box::new(config)));
    let OracleState::Off(why) = house.engine.oracle().state else { panic!("no chain") };
    assert!(why.contains("pools.B.chain"), "{why}");
}

fn answer(house: &House, btc_ratio: f64) -> String {
    let now = house.unix() as u64;
    let seconds = house.unix() as u64 % 86_400;
    let day = (house.unix() - START_UNIX) as u64 / 86_400 + 1;
    format!(
        r#"{{"ok":true,"ts":"2026-01-{day:02} {:02}:{:02}:{:02}","short_window":6,"long_window":72,"btc_difficulty":1.4e14,
        "btc_ts_latest":{now},"btc_ts_short":{},"btc_ts_long":{},"bch_difficulty":900000000000,"bch_ts_latest":{now},
        "bch_ts_short":{},"bch_ts_long":{}}}"#,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        now - (3600.0 / btc_ratio) as u64,
        now - 43_200,
        now - 3600,
        now - 43_200,
    )
}

#[test]
fn a_server_is_asked_as_v2_did() {
    let url = "https://oracle.example/oracle.php";
    let mut house = House::new(config(true, OracleSource::Url, url), &Memory::default(), Time::ZERO);
    assert_eq!(house.engine.oracle().state, OracleState::Waiting);
    house.until(START_UNIX + 59.0);
    assert!(house.asked.is_empty());
    house.until(START_UNIX + 61.0);
    assert_eq!(house.asked, [(Time::ZERO + Span::secs(60), url.to_string())]);
    for _ in 0..100 {
        let body = answer(&house, 2.0);
        house.step(Event::OracleAnswer(Ok(body.as_bytes())));
        assert_eq!(house.engine.oracle().state, OracleState::Ready);
        let next = house.unix() + 600.0;
        house.until(next);
    }
    let gaps: Vec<u64> = house.asked.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_secs()).collect();
    assert!(gaps.iter().all(|gap| *gap >= 600), "{gaps:?}");
    assert_eq!(house.engine.oracle().wanted, Some(33), "1/2 against 1");
    assert!((33.0..=34.0).contains(&house.weight_a()), "there within a point: {}", house.weight_a());
    // Now it fails in every way.
    let old = answer(&house, 2.0).replace("2026-01-01", "2025-01-01");
    for (n, bad) in [Err("no answer within 15 s"), Ok(b"<html>".as_slice()), Ok(old.as_bytes())].into_iter().enumerate()
    {
        let kept = house.weight_a();
        assert!(kept < 35.0, "what was applied last holds");
        house.step(Event::OracleAnswer(bad));
        let state = house.engine.oracle().state;
        if n < 2 {
            assert!(matches!(state, OracleState::Failing { failures, .. } if failures == n as u32 + 1), "{state:?}");
        } else {
            let OracleState::Fallback { why } = state else { panic!("{state:?}") };
            assert!(why.contains("old"), "{why}");
        }
    }
    assert_eq!(house.weight_a(), 50.0, "the configured weights");
    let body = answer(&house, 2.0);
    house.step(Event::OracleAnswer(Ok(body.as_bytes())));
    assert_eq!(house.engine.oracle().state, OracleState::Ready);
}

#[test]
fn the_fall_back_of_v2_is_half_each() {
    let mut config = config(true, OracleSource::Url, "https://oracle.example/");
    config.oracle.fallback = OracleFallback::Even;
    config.scheduler.weights = vec![900_000, 100_000];
    let mut house = House::new(config, &Memory::default(), Time::ZERO);
    assert_eq!(house.weight_a(), 90.0);
    for _ in 0..3 {
        house.step(Event::OracleAnswer(Err("connection refused")));
    }
    assert_eq!(house.weight_a(), 50.0);
}

#[test]
fn the_other_source_runs_beside() {
    let url = "https://oracle.example/";
    let mut house = House::new(config(false, OracleSource::Own, url), &Memory::default(), Time::ZERO);
    let mut chains = steady(7);
    grow(&mut house, &mut chains, START_UNIX + 2.0 * DAY, |_, _, _| {});
    assert!(house.asked.len() > 200, "a server that the file names is asked as well");
    let body = answer(&house, 1.0);
    house.step(Event::OracleAnswer(Ok(body.as_bytes())));
    let status = house.engine.oracle();
    assert!(status.chains.iter().all(|c| c.reading.is_some() && c.other.is_some()), "{status:?}");
    let made_up = body.replace("1.4e14", "9e14");
    house.step(Event::OracleAnswer(Ok(made_up.as_bytes())));
    assert!(house.engine.oracle().chains[0].disagrees, "six times the hash rate");
}

/// Thirty days: drifts, a step, a dip, an outage of a pool; the weights of each day, to be looked at.
#[test]
fn thirty_days_as_a_table() {
    let day = |t: f64| (t - START_UNIX) / DAY;
    let mut house = House::new(config(true, OracleSource::Own, ""), &Memory::default(), Time::ZERO);
    let mut chains = [
        // A slow wave, and a dip of a fifth on days 20 to 22.
        Chain::new(30, "btc", Rule::Retarget, 930_000, move |t| {
            let wave = 1.0 + 0.05 * libm::sin(day(t) / 30.0 * std::f64::consts::TAU);
            BTC * wave * if (20.0..22.0).contains(&day(t)) { 0.8 } else { 1.0 }
        }),
        // Twice as much for half a day, on days 8, 12 and 16: others move as well.
        Chain::new(30, "bch", Rule::Asert, 930_000, move |t| {
            let d = day(t);
            let visited = [8.0, 12.0, 16.0].iter().any(|from| (*from..from + 0.5).contains(&d));
            BCH * if visited { 2.0 } else { 1.0 }
        }),
    ];
    let mut table = String::from("day  BTC hash rate  BCH hash rate  wanted A %     weight A %     changes\n");
    let mut all_changes = 0;
    for n in 0..30 {
        let end = START_UNIX + DAY * f64::from(n + 1);
        let (mut wanted, mut weight, mut changes, mut last) = (vec![], vec![], 0, house.weight_a());
        grow(&mut house, &mut chains, end, |house, _, _| {
            let status = house.engine.oracle();
            wanted.extend(status.wanted.map(f64::from));
            weight.push(house.weight_a());
            changes += u32::from(house.weight_a() != last);
            last = house.weight_a();
        });
        all_changes += changes;
        let range = |all: &[f64]| {
            let (low, high) = all.iter().fold((f64::MAX, 0.0f64), |(l, h), x| (l.min(*x), h.max(*x)));
            if all.is_empty() { "-".to_string() } else { format!("{low:.0} to {high:.0}") }
        };
        let noon = end - DAY / 2.0;
        let [btc, bch] = [0, 1].map(|i: usize| (chains[i].rate)(noon - 3.0 * HOUR) / [BTC, BCH][i]);
        let (wanted, weight) = (range(&wanted), range(&weight));
        writeln!(table, "{n:>3}  {btc:>13.3}  {bch:>13.3}  {wanted:<12}  {weight:<12}  {changes:>8}").expect("text");
    }
    let status = house.engine.oracle();
    let (ppm, hours) = status.gain.expect("measured");
    writeln!(table, "\nchanges of weight: {all_changes} in 30 days").expect("text");
    writeln!(table, "expected blocks against the configured weights: {:+.3} % over {hours} h", ppm as f64 / 1e4)
        .expect("text");
    insta::with_settings!({ snapshot_path => "../../snapshots/oracle", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("thirty_days", table);
    });
}
