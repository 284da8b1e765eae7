//! The demo's screen as text: a [`Snapshot`] as lines of at most 79 characters. Prints nothing itself.

use dpmp_core::ledger::Outcome;

use crate::statistics::Snapshot;
use crate::statistics::snapshot::{Connection, Pool, Worker};

/// A number with three significant digits and a unit: `84.6 kH/s`.
pub fn si(value: f64, unit: &str) -> String {
    let mut value = value;
    let mut prefix = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        prefix = next;
    }
    let digits = if value >= 99.95 { 0 } else { usize::from(value < 9.995) + 1 };
    format!("{value:.digits$} {prefix}{unit}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn ago(now: u64, then: Option<u64>) -> String {
    match then {
        None => "-".to_owned(),
        Some(then) => {
            let seconds = now.saturating_sub(then);
            if seconds < 120 { format!("{seconds} s ago") } else { format!("{} min ago", seconds / 60) }
        }
    }
}

/// Pools and miners, in two tables.
pub fn tables(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = vec!["pool   connected   jobs  accepted  rejected     work     time   target".to_owned()];
    let all: f64 = snapshot.pools.iter().map(|pool| pool.shares.work).sum();
    for pool in &snapshot.pools {
        lines.push(pool_line(pool, all));
        if let Some(down) = &pool.down {
            let mut line = format!("       out for {} s: {}", snapshot.at.saturating_sub(down.since), down.reason);
            line.truncate(line.char_indices().nth(79).map_or(line.len(), |(at, _)| at));
            lines.push(line);
        }
    }
    lines.push(String::new());
    lines.push("miner              firmware             hash rate  pool  accepted  last share".to_owned());
    lines.extend(snapshot.connections.iter().map(|connection| {
        let row = snapshot.workers.iter().find(|worker| connection.worker.as_ref() == Some(&worker.name));
        miner_line(connection, row, snapshot.at)
    }));
    lines
}

fn part(work: f64, all: f64) -> f64 {
    if all > 0.0 { work / all } else { 0.0 }
}

fn pool_line(pool: &Pool, all: f64) -> String {
    let (work, time, target) = (percent(part(pool.shares.work, all)), percent(pool.time_share), percent(pool.target));
    let (connected, jobs, accepted, rejected) =
        (pool.connections, pool.jobs, pool.shares.accepted, pool.shares.rejected);
    let id = &pool.pool;
    format!("{id:<4} {connected:>11} {jobs:>6} {accepted:>9} {rejected:>9} {work:>8} {time:>8} {target:>8}")
}

fn miner_line(connection: &Connection, row: Option<&Worker>, now: u64) -> String {
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    let worker = row.map_or_else(|| connection.peer.clone(), |row| row.name.as_ref().to_owned());
    let rate = row.and_then(|row| row.hashrate.five_minutes.hashes_per_second);
    let rate = rate.map_or_else(|| "-".to_owned(), |rate| si(rate, "H/s"));
    let pool = connection.pool.as_deref().unwrap_or("waits");
    let shares = row.map(|row| &row.shares);
    let good = shares.map_or(0, |shares| shares.accepted + shares.credited);
    let bad = shares.map_or(0, |shares| shares.ended) - good;
    let accepted = if bad == 0 { good.to_string() } else { format!("{good} (-{bad})") };
    let last = ago(now, row.and_then(|row| row.last_share));
    let (worker, agent) = (cut(&worker, 17), cut(&connection.agent, 19));
    format!("{worker:<18} {agent:<19} {rate:>10}  {pool:<5} {accepted:>8}  {last:>10}")
}

/// Two lines a pool: what it gave, and how fast it answered.
pub fn pool_summary(snapshot: &Snapshot) -> Vec<String> {
    let all: f64 = snapshot.pools.iter().map(|pool| pool.shares.work).sum();
    let mut lines = Vec::new();
    for pool in &snapshot.pools {
        lines.push(format!(
            "pool {}: {} shares accepted, {} refused, {} without answer; {} of the work, target {}",
            pool.pool,
            pool.shares.accepted,
            pool.shares.rejected,
            pool.shares.lost,
            percent(part(pool.shares.work, all)),
            percent(pool.target),
        ));
        if let (Some(half), Some(most)) = (pool.response.p50_seconds, pool.response.p99_seconds) {
            let (half, most) = (half * 1e3, most * 1e3);
            lines.push(format!("        answers in {half:.1} ms (median), {most:.1} ms (99 of 100)"));
        }
    }
    if let (Some(half), Some(most)) = (snapshot.share_processing.p50_seconds, snapshot.share_processing.p99_seconds) {
        let (half, most) = (half * 1e6, most * 1e6);
        lines.push(format!("the proxy's own time for a share: {half:.0} µs (median), {most:.0} µs (99 of 100)"));
    }
    let rate = snapshot.session.work * 4_294_967_296.0 / snapshot.uptime_seconds.max(1.0);
    let (ran, switches) = (snapshot.uptime_seconds, snapshot.switching.day.switches);
    lines.push(format!("all miners: {} over {ran:.0} s, {switches} pool switches", si(rate, "H/s")));
    lines
}

/// Why a share was answered here, for people.
pub fn drop_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::UnknownJob => "unknown job",
        Outcome::NoJobYet => "no job yet",
        Outcome::Stale => "its pool connection is gone",
        Outcome::LowDifficulty => "low difficulty",
        Outcome::VersionBits => "version bits",
        Outcome::Unauthorized => "not authorised",
        Outcome::NotSubscribed => "not subscribed",
        other => other.label(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        for (value, text) in [
            (0.0, "0.00 H/s"),
            (9.994, "9.99 H/s"),
            (12.34, "12.3 H/s"),
            (999.4, "999 H/s"),
            (999.6, "1.00 kH/s"),
            (84_600_000_000_000.0, "84.6 TH/s"),
        ] {
            assert_eq!(si(value, "H/s"), text);
        }
    }
}
