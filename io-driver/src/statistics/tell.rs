//! The measured split for the log: a line for each window in which there was work.

use dpmp_core::ledger::Window;
use log::Level;

use super::snapshot::Snapshot;
use crate::logs::line;

/// Writes the lines.
pub(super) fn tell(snapshot: &Snapshot) {
    for window in Window::ALL {
        let split = snapshot.split.get(window);
        if split.pools.iter().any(|pool| pool.shares > 0) {
            let begun = line(Level::Info, "split_measured").text("window", window.label());
            let told = numbers(snapshot, window).into_iter().fold(begun, |told, (key, n)| told.number(&key, n));
            told.value("collecting", split.collecting).send();
        }
    }
}

/// What a window's line says in numbers; NaN where something is not known yet.
fn numbers(snapshot: &Snapshot, window: Window) -> Vec<(String, f64)> {
    let none = f64::NAN;
    let mut numbers = Vec::new();
    for pool in &snapshot.split.get(window).pools {
        let key = &pool.pool;
        numbers.extend([
            (format!("share{key}"), rounded(pool.achieved.unwrap_or(none), 1e4)),
            (format!("target{key}"), rounded(pool.target, 1e6)),
            (format!("error{key}_points"), rounded(pool.error_points.unwrap_or(none), 1e2)),
            (format!("low{key}_points"), rounded(pool.low_points.unwrap_or(none), 1e2)),
            (format!("high{key}_points"), rounded(pool.high_points.unwrap_or(none), 1e2)),
        ]);
    }
    let switching = snapshot.switching.get(window);
    let all = [
        ("switches", switching.switches as f64),
        ("switches_per_hour", rounded(switching.per_hour.unwrap_or(none), 1e2)),
        ("switch_lost_shares", switching.lost_shares as f64),
        ("switch_lost_work", switching.lost_work),
        ("switch_lost_percent", rounded(switching.lost_ratio.unwrap_or(0.0) * 100.0, 1e3)),
        ("hashrate", snapshot.hashrate.get(window).hashes_per_second.unwrap_or(none)),
        ("miners", snapshot.miners.ready as f64),
    ];
    numbers.extend(all.map(|(key, n)| (key.to_owned(), n)));
    numbers
}

fn rounded(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::snapshot::{ByWindow, Split, SplitPool, Switching};

    #[test]
    fn each_window_has_its_own_numbers() {
        let split = |part: f64| Split {
            pools: vec![SplitPool { pool: "A".to_owned(), achieved: Some(part), target: 0.5, ..SplitPool::default() }],
            ..Split::default()
        };
        let switching =
            |n: u64| Switching { switches: n, per_hour: Some(n as f64 / 3.0), lost_work: 8.5, ..Switching::default() };
        let snapshot = Snapshot {
            split: ByWindow { five_minutes: split(0.41), hour: split(0.42), day: split(0.43) },
            switching: ByWindow { five_minutes: switching(1), hour: switching(2), day: switching(3) },
            ..Snapshot::default()
        };
        let of = |window, key: &str| numbers(&snapshot, window).into_iter().find(|(k, _)| k == key).unwrap().1;
        assert_eq!(Window::ALL.map(|window| of(window, "shareA")), [0.41, 0.42, 0.43]);
        assert_eq!(Window::ALL.map(|window| of(window, "switches")), [1.0, 2.0, 3.0]);
        assert_eq!(of(Window::Hour, "switches_per_hour"), 0.67);
        assert_eq!(of(Window::Hour, "switch_lost_work"), 8.5);
        assert!(of(Window::Day, "errorA_points").is_nan());
    }
}
