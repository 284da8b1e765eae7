//! The split, measured by the true hashes of simulated worlds: tables in `snapshots/split`, and what DESIGN.md §5 demands
//! of each line. A larger sweep: `cargo run --release -p dpmp-sim --example split -- all`.

use dpmp_core::config::Mode;
use dpmp_core::notice::{DwellReason, PinTrouble};
use dpmp_core::{Engine, Notice, PoolId};
use dpmp_sim::world::World;
use dpmp_sim::world::table::{Case, HEADING, Happens, Row, decades};

/// The cases one after the other on two threads, as a table.
fn table(name: &str, cases: &[Case]) -> Vec<Row> {
    let half = cases.len().div_ceil(2);
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let parts: Vec<_> =
            cases.chunks(half).map(|part| scope.spawn(|| part.iter().map(Case::run).collect::<Vec<Row>>())).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a case does not panic")).collect()
    });
    let lines: Vec<String> = rows.iter().map(|row| row.to_string().trim_end().to_owned()).collect();
    let text = format!("{HEADING}\n{}", lines.join("\n"));
    println!("{text}");
    rows.iter().for_each(|row| println!("{:5.1} s  {}, {} miners", row.took, row.name, row.miners));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/split");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
    for row in &rows {
        assert_eq!(row.violations, Vec::<String>::new(), "{}", row.name);
        // Accepted work is as much as its shares may be by chance: seven in a million are further off.
        assert!(row.accepted.abs() < 4.5, "{row}");
    }
    rows
}

/// Every window is within the bound; a switch takes effect when its job arrives, so a second of slack.
fn within(row: &Row) {
    for ((window, _), measured) in dpmp_sim::world::table::WINDOWS.iter().zip(&row.windows) {
        if let Some((worst, bound)) = measured {
            assert!(*worst <= bound + 100.0 / *window as f64, "{row}");
        }
    }
}

/// And once the hash rates are known the share is within one largest miner at each instant, and every window within what
/// phases spread by hash rate leave of one largest miner's dwell; a switch takes effect when its job arrives.
fn steady(row: &Row) {
    within(row);
    let (worst, bound) = row.instant;
    assert!(worst <= bound + 0.1, "{row}");
    if let Some((worst, bound)) = row.steady {
        assert!(worst <= bound + 0.02, "{row}");
    }
}

#[test]
fn ratio_divides_work_within_the_bound() {
    let mut cases = Vec::new();
    for minor in [5, 10, 30, 50] {
        cases.push(Case::new(&[100 - minor, minor], 1, 26 * 60));
        cases.push(Case::new(&[minor, 100 - minor], 5, 120));
        cases.push(Case::new(&[100 - minor, minor], 20, 120));
    }
    cases.push(Case::new(&[50, 45, 5], 1, 26 * 60));
    cases.push(Case::new(&[50, 45, 5], 20, 120));
    cases.push(Case::new(&[65, 35], 20, 26 * 60));
    cases.push(Case::new(&[60, 40], 500, 40));
    cases.push(Case::new(&[70, 30], 8, 120).with_rates(decades(8, 9.6)).named("seven decades and more"));
    cases.push(Case::new(&[70, 30], 2, 120).with_rates(vec![2e14, 5e4]).named("NerdMiner, 200 TH/s"));
    cases.push(Case::new(&[40, 60], 30, 150).with_rates(decades(30, 2.0)).named("two decades"));
    let kinds = [2e14, 2e14, 1e14, 1e14, 1e14, 9e13, 4e12, 4e12, 5e11, 5e11, 1.2e12, 5e4];
    cases.push(Case { per_minute: 12.0, ..Case::new(&[65, 35], 12, 150) }.with_rates(kinds.to_vec()).named("a home's"));
    table("ratio", &cases).iter().for_each(steady);
}

#[test]
fn what_happens_is_made_up_for() {
    let base = |weights: &[u32], miners| Case::new(weights, miners, 180);
    let out = Happens::Outage(1, 60, 70);
    let cases = [
        base(&[50, 50], 1).named("outage").with(out.clone()),
        base(&[70, 30], 20).named("outage").with(out.clone()),
        base(&[95, 5], 20).named("outage").with(out.clone()),
        base(&[30, 70], 20).named("outage of most").with(out.clone()),
        base(&[50, 45, 5], 20).named("outage").with(out),
        base(&[70, 30], 20).named("half refused").with(Happens::Rejects(1, 60, 80, 500)),
        base(&[50, 50], 20).named("to 90:10").with(Happens::Weights(100, vec![90, 10])),
        base(&[10, 90], 20).named("to 95:5").with(Happens::Weights(100, vec![95, 5])),
        base(&[70, 30], 20).named("four leave, come").with(Happens::Away(3, 60, 90)).with(Happens::Away(7, 61, 95)),
        base(&[70, 30], 20).named("to fleet").with(Happens::Mode(100, Mode::Fleet)),
    ];
    let rows = table("events", &cases);
    for row in &rows[..5] {
        // Ten minutes of outage are repaid: no more is missing at the end than a band.
        assert!(row.whole < 0.3, "{row}");
    }
    for row in &rows[..6] {
        assert!(row.holds_again.is_some_and(|s| s <= 1_800.0), "{row}");
    }
    // Weights that change, and miners that come and go, leave nothing to wait for.
    for row in &rows[6..9] {
        within(row);
        assert!(row.holds_again.is_some_and(|s| s <= 120.0), "{row}");
    }
}

#[test]
fn fleet_mode_places_whole_miners() {
    let six = |case: Case| Case { per_minute: 6.0, ..case };
    let cases = [
        six(Case::new(&[70, 30], 20, 150)),
        six(Case::new(&[70, 30], 20, 150).fleet()),
        six(Case::new(&[55, 45], 5, 26 * 60).fleet()),
        six(Case::new(&[50, 50], 1, 150).fleet()),
        six(Case::new(&[50, 45, 5], 20, 150).fleet()),
        six(Case::new(&[70, 30], 12, 150).with_rates(decades(12, 3.0)).fleet().named("three decades")),
        six(Case::new(&[60, 40], 20, 150).fleet().named("outage").with(Happens::Outage(1, 60, 70))),
        six(Case::new(&[60, 40], 20, 150).fleet().named("to 20:80").with(Happens::Weights(60, vec![20, 80]))),
        six(Case::new(&[60, 40], 20, 240).fleet().named("leaves").with(Happens::Away(3, 60, 90))),
        six(Case::new(&[85, 15], 200, 90).fleet()),
        six(Case::new(&[65, 35], 40, 150).with_rates(decades(40, 0.3)).fleet().named("100 to 200 TH/s")),
        six(Case::new(&[60, 40], 20, 150).fleet().named("to ratio").with(Happens::Mode(100, Mode::Ratio))),
        Case { pins: vec![("w0".into(), 0), ("w1".into(), 1)], ..six(Case::new(&[50, 50], 6, 150)) }
            .named("two pinned"),
        Case { pins: vec![("w0".into(), 1)], ..six(Case::new(&[70, 30], 10, 150).fleet()) }.named("pinned"),
    ];
    let rows = table("fleet", &cases);
    let (ratio, fleet) = (&rows[0], &rows[1]);
    assert!(fleet.switches * 5.0 <= ratio.switches, "{fleet}");
    // With n pools, n−1 may swing.
    for row in rows[1..4].iter().chain(&rows[5..11]) {
        assert!(row.in_motion <= 1, "{row}");
    }
    // What is left is the error of the measured hash rates, which equal machines share: a fraction of a point. Where no
    // two are alike there is more of it, and no bound of the schedule's: six shares a minute for two hours and a half.
    let (alike, unlike): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| !row.name.contains("TH/s"));
    alike.iter().for_each(|row| assert!(row.whole < 0.3, "{row}"));
    unlike.iter().for_each(|row| assert!(row.whole < 0.5, "{row}"));
    alike.iter().filter(|row| !row.name.contains("outage")).for_each(|row| within(row));
}

/// How long a miner should stay with a pool: what switching costs miners whose pipelines take this long to fill anew,
/// beside what it gains. Pools send a job that replaces the ones before only at a new block, so what is lost without a
/// switch is next to nothing.
#[test]
fn what_a_dwell_costs_and_gains() {
    let dwells = [10, 25, 50, 120, 300];
    let mut lines = vec![
        "restart    dwell  switches  hash power  worst hour, points".to_owned(),
        "           s      an hour   lost, %     off (bound)".into(),
    ];
    let mut costs = Vec::new();
    for restart_ms in [0, 150, 500, 2_000] {
        let mut cases: Vec<Case> = dwells
            .iter()
            .map(|s| Case { restart_ms, min_switch: *s, slice: *s.min(&30), ..Case::new(&[50, 50], 4, 180) })
            .map(|case| case.with_rates(vec![1e13; 4]))
            .collect();
        cases.push(Case { restart_ms, ..Case::new(&[50, 50], 4, 180).fleet() });
        for case in &cases {
            let row = case.run();
            assert_eq!(row.violations, Vec::<String>::new());
            let dwell = if case.mode == Mode::Fleet { "fleet".to_owned() } else { case.min_switch.to_string() };
            let (worst, bound) = row.windows[1].expect("three hours hold one");
            let seconds = restart_ms as f64 / 1e3;
            let each = row.switches / 4.0;
            lines
                .push(format!("{seconds:4.2} s  {dwell:>8}  {each:8.1}  {:10.2}  {worst:6.2} ({bound:4.2})", row.idle));
            // Each switch costs its restart, and nothing else.
            assert!((row.idle - each / 36.0 * seconds).abs() < 0.1 + row.idle / 20.0, "{} of {row}", row.idle);
            costs.push((restart_ms, dwell, row.idle));
        }
    }
    // The default of a fresh config costs a miner of the usual kind less than a third of a percent.
    assert!(costs.iter().any(|(ms, dwell, lost)| *ms == 150 && dwell == "50" && *lost < 0.34), "{costs:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/split");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("dwells", lines.join("\n")));
}

/// Where each worker works now.
fn pools(world: &World) -> Vec<Option<PoolId>> {
    let mut all: Vec<(String, Option<PoolId>)> =
        world.proxy().miners().map(|m| (m.worker.to_owned(), m.pool)).collect();
    all.sort();
    all.into_iter().map(|(_, pool)| pool).collect()
}

#[test]
fn a_pinned_miner_fails_over_and_comes_back() {
    for mode in [Mode::Ratio, Mode::Fleet] {
        let pins = vec![("w0".to_owned(), 1)];
        let case = Case { mode, pins, ..Case::new(&[50, 50], 4, 60) }.with(Happens::Outage(1, 20, 30));
        let mut world = case.world();
        for minute in 1..60 {
            world.run_until(minute * 60_000_000 + 30_000_000);
            let expected = if (20..30).contains(&minute) { PoolId(0) } else { PoolId(1) };
            assert_eq!(pools(&world)[0], Some(expected), "{mode:?}: minute {minute}");
        }
        let copy = Engine::restore(&world.proxy().checkpoint()).expect("its own checkpoint");
        assert!(copy == *world.proxy(), "a checkpoint holds all that is known of the fleet");
    }
}

/// What part of the hash rate works for pool A, on average between two minutes.
fn part_of_a(world: &mut World, from: u64, to: u64) -> f64 {
    let (mut a, mut all) = (0.0, 0.0);
    for at in (from * 60..to * 60).step_by(7) {
        world.run_until(at * 1_000_000);
        let rates = world.rates();
        (a, all) = (a + rates[0], all + rates.iter().sum::<f64>());
    }
    a / all
}

#[test]
fn what_an_outage_took_from_a_pin_is_repaid_once() {
    for (miners, outages) in [(2, vec![(60, 61)]), (4, vec![(60, 70)]), (4, vec![(30, 32), (60, 62)])] {
        let pins = vec![("w0".to_owned(), 1)];
        let mut case = Case { pins, ..Case::new(&[50, 50], miners, 240) };
        for (from, to) in outages {
            case = case.with(Happens::Outage(1, from, to));
        }
        let part = part_of_a(&mut case.world(), 180, 240);
        assert!((0.49..=0.51).contains(&part), "{miners} miners: {part}");
    }
}

#[test]
fn one_that_divides_its_work_beside_a_pin_in_fleet_mode_meets_the_weights() {
    let pins = vec![("w0".to_owned(), 0)];
    let case = Case { mode: Mode::Fleet, pins, ..Case::new(&[60, 40], 2, 180) };
    let part = part_of_a(&mut case.world(), 60, 180);
    assert!((0.59..=0.61).contains(&part), "{part}");
    // The fleet shrinks to one, after an outage.
    let case = Case { mode: Mode::Fleet, ..Case::new(&[50, 50], 2, 240) };
    let case = case.with(Happens::Outage(1, 60, 70)).with(Happens::Away(1, 72, 400));
    let part = part_of_a(&mut case.world(), 180, 240);
    assert!((0.48..=0.52).contains(&part), "{part}");
}

#[test]
fn pins_that_cannot_be_obeyed_are_said() {
    let notices = |weights: &[u32], then: &[u32], miners, pins: &[(&str, usize)]| {
        let pins = pins.iter().map(|(worker, pool)| ((*worker).to_owned(), *pool)).collect();
        let case = Case { pins, ..Case::new(weights, miners, 30) }.with(Happens::Weights(20, then.to_vec()));
        let mut world = case.world();
        world.keep_notices();
        world.run_until(30 * 60_000_000);
        world.take_notices().into_iter().map(|(_, notice)| notice).collect::<Vec<Notice>>()
    };
    // All is pinned to A: no split can be had but all to A.
    let said = notices(&[50, 50], &[80, 20], 1, &[("w0", 0)]);
    let unmet: Vec<_> = said
        .iter()
        .filter_map(|n| match n {
            Notice::WeightsUnmet { pool, held, nearest, .. } => Some((*pool, *held, nearest.to_vec())),
            _ => None,
        })
        .collect();
    assert_eq!(unmet, [(PoolId(0), 1_000_000, vec![1_000_000, 0])], "once, though weights change");
    // Three of four pinned to A: too much for 50:50, not for 80:20.
    let said = notices(&[50, 50], &[80, 20], 4, &[("w0", 0), ("w1", 0), ("w2", 0)]);
    assert!(said.iter().any(|n| matches!(n, Notice::WeightsUnmet { pool: PoolId(0), .. })));
    assert!(said.contains(&Notice::WeightsMet));
    // A pool without weight gets no work, whatever is pinned to it.
    let said = notices(&[50, 50], &[100, 0], 2, &[("w0", 1)]);
    let ignored = |n: &Notice| matches!(n, Notice::PinIgnored { worker, pool: PoolId(1), why: PinTrouble::NoWeight } if &**worker == "w0");
    assert_eq!(said.iter().filter(|n| ignored(n)).count(), 1);
    assert!(said.iter().any(|n| matches!(n, Notice::DwellsInForce { why: DwellReason::OnePool, .. })));
}
