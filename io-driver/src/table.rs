//! The demo's screen as text: a [`View`] as lines of at most 79 characters. Prints nothing itself.

use dpmp_core::notice::DropReason;
use dpmp_core::{PoolId, Span, Time};

use crate::view::{MinerView, PoolView, View};

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

fn ago(now: Time, then: Option<Time>) -> String {
    match then {
        None => "-".to_owned(),
        Some(then) => {
            let seconds = now.since(then).as_secs();
            if seconds < 120 { format!("{seconds} s ago") } else { format!("{} min ago", seconds / 60) }
        }
    }
}

/// Pools and miners, in two tables.
pub fn tables(view: &View, now: Time) -> Vec<String> {
    let mut lines = vec!["pool   connected   jobs  accepted  rejected     work     time   target".to_owned()];
    let (work, time) = (view.split(), view.time_split(now));
    for (slot, pool) in (0u8..).zip(view.pools()) {
        let at = usize::from(slot);
        let share = |all: &[f64]| percent(all.get(at).copied().unwrap_or(0.0));
        lines.push(pool_line(PoolId(slot), pool, &share(&work), &share(&time)));
        if let Some((since, why)) = &pool.down {
            let mut line = format!("       out for {} s: {why}", now.since(*since).as_secs());
            line.truncate(line.char_indices().nth(79).map_or(line.len(), |(at, _)| at));
            lines.push(line);
        }
    }
    lines.push(String::new());
    lines.push("miner              firmware             hash rate  pool  accepted  last share".to_owned());
    lines.extend(view.miners().map(|miner| miner_line(miner, now)));
    lines
}

fn pool_line(id: PoolId, pool: &PoolView, work: &str, time: &str) -> String {
    let target = percent(pool.target);
    let (connected, jobs, accepted, rejected) = (pool.connected, pool.jobs, pool.accepted, pool.rejected);
    format!("{id:<4} {connected:>11} {jobs:>6} {accepted:>9} {rejected:>9} {work:>8} {time:>8} {target:>8}")
}

fn miner_line(miner: &MinerView, now: Time) -> String {
    let cut = |text: &str, length: usize| text.chars().take(length).collect::<String>();
    let worker = if miner.worker.is_empty() { miner.peer.to_string() } else { miner.worker.to_string() };
    let rate = miner.rate.hashes(now).map_or_else(|| "-".to_owned(), |rate| si(rate, "H/s"));
    let pool = miner.pool.map_or_else(|| "waits".to_owned(), |pool| pool.to_string());
    let accepted = if miner.rejected == 0 {
        miner.accepted.to_string()
    } else {
        format!("{} (-{})", miner.accepted, miner.rejected)
    };
    let (worker, agent, last) = (cut(&worker, 17), cut(&miner.agent, 19), ago(now, miner.last_share));
    format!("{worker:<18} {agent:<19} {rate:>10}  {pool:<5} {accepted:>8}  {last:>10}")
}

/// Two lines a pool: what it gave, and how fast it answered.
pub fn pool_summary(view: &View, ran: Span) -> Vec<String> {
    let work = view.split();
    let mut lines = Vec::new();
    for ((slot, pool), work) in (0u8..).zip(view.pools()).zip(work) {
        lines.push(format!(
            "pool {}: {} shares accepted, {} refused, {} without answer; {} of the work, target {}",
            PoolId(slot),
            pool.accepted,
            pool.rejected,
            pool.lost,
            percent(work),
            percent(pool.target),
        ));
        if !pool.response.is_empty() {
            let ms = |quantile| pool.response.value_at_quantile(quantile) as f64 / 1e3;
            lines.push(format!("        answers in {:.1} ms (median), {:.1} ms (99 of 100)", ms(0.5), ms(0.99)));
        }
    }
    let difficulty: f64 = view.pools().iter().map(|pool| pool.difficulty).sum();
    let rate = difficulty * 4_294_967_296.0 / ran.as_secs_f64().max(1.0);
    lines.push(format!("all miners: {} over {} s, {} pool switches", si(rate, "H/s"), ran.as_secs(), view.switches));
    lines
}

/// Why a share was answered here, for people.
pub fn drop_words(reason: DropReason) -> &'static str {
    match reason {
        DropReason::UnknownJob => "unknown job",
        DropReason::NoJobYet => "no job yet",
        DropReason::Stale => "its pool connection is gone",
        DropReason::Duplicate => "duplicate",
        DropReason::LowDifficulty => "low difficulty",
        DropReason::Malformed => "malformed",
        DropReason::VersionBits => "version bits",
        DropReason::Unauthorized => "not authorised",
        DropReason::NotSubscribed => "not subscribed",
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
