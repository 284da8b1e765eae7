//! The answers that pages poll: state, pools, records, series, events. Nothing is counted here: the numbers are the
//! statistics', how pools are reached is from `links`.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use dpmp_core::PoolId;
use dpmp_core::config::{Config, Mode, PoolConfig, WEIGHT_SUM};
use dpmp_core::notice::Fault;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal, give};
use super::board::{Board, unix_millis};
use super::guard::Who;
use super::links::Shown;
use super::{Shared, auto, banners, body, mask, weights, workers};
use crate::logs::redact;
use crate::luck;
use crate::statistics::Snapshot;
use crate::statistics::snapshot::{Best, ByWindow, Latency, Pool, Shares, Split, Switching};

/// One value a window, as `m5`, `h1`, `h24`.
pub(super) fn windows<T, V: serde::Serialize>(all: &ByWindow<T>, of: impl Fn(&T) -> V) -> Value {
    json!({"m5": of(&all.five_minutes), "h1": of(&all.hour), "h24": of(&all.day)})
}

/// `GET /api/v1/state`.
pub(super) async fn state(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>) -> Answer {
    let config = shared.config();
    let (undo, configured) = (shared.live.undo(), shared.live.configured());
    let first = shared.auth().is_some_and(super::auth::Auth::is_first);
    let board = shared.board.lock();
    let numbers = board.numbers.clone();
    let answer = json!({
        "now": unix_millis(),
        "started": board.started,
        "version": env!("CARGO_PKG_VERSION"),
        "signed_in": who.is_owner(),
        "hashrate": windows(&numbers.hashrate, |rate| rate.hashes_per_second),
        "split": {
            "weights": weights::shown(&board.weights),
            "default": weights::shown(&configured),
            "moved": board.weights != configured,
            "undo": undo.map(|weights| weights::shown(&weights)),
            "since": board.wall(board.weights_since),
            "changed": board.weights_changed,
            "windows": windows(&numbers.split, split),
            "settle_seconds": settle(&config, &board.weights),
        },
        "mode": {
            "scheduler": match config.scheduler.mode { Mode::Ratio => "ratio", Mode::Fleet => "fleet" },
            "auto_balance": auto::shown(&board, config.oracle.max_deviation),
        },
        "shares": shares(&numbers.session),
        "switching": windows(&numbers.switching, switching),
        "luck": {"shares": numbers.share_luck, "best_share": numbers.session_luck},
        "times_ms": {"job_fanout": times(&numbers.job_fanout), "share": times(&numbers.share_processing)},
        "best": {
            "session": best(&numbers, numbers.records.best_session.as_ref()),
            "ever": best(&numbers, numbers.records.best.as_ref()),
        },
        "miners": workers::counts(&numbers),
        "pools": pool_list(&board, &config, &who),
        "banners": banners::banners(&board, &config, first),
        "setup": {
            "password": !first,
            "pools": !config.pools.iter().any(banners::is_placeholder),
            "miner": !numbers.workers.is_empty(),
        },
        "facts_lost": numbers.facts_lost,
        "events": board.timeline.last(),
    });
    drop(board);
    give(&answer)
}

/// In percent; the interval is of the achieved part.
fn split(split: &Split) -> Value {
    let pools: Map<String, Value> = split
        .pools
        .iter()
        .map(|pool| {
            let bound = |points: Option<f64>| points.map(|points| (pool.target * 100.0 + points).clamp(0.0, 100.0));
            let shown = json!({
                "target": pool.target * 100.0,
                "achieved": pool.achieved.map(|part| part * 100.0),
                "error": pool.error_points,
                "low": bound(pool.low_points),
                "high": bound(pool.high_points),
            });
            (pool.pool.clone(), shown)
        })
        .collect();
    // Before the first numbers there are no pools in it.
    let known = !split.pools.is_empty() && split.pools.iter().all(|pool| pool.achieved.is_some());
    json!({"collecting": split.collecting || !known, "pools": pools})
}

fn shares(shares: &Shares) -> Value {
    // All of them, also before the first numbers.
    let faults: Map<String, Value> = Fault::ALL
        .iter()
        .map(|fault| (fault.name().to_owned(), json!(shares.by_fault.get(fault.name()).copied().unwrap_or(0))))
        .collect();
    json!({
        "submitted": shares.ended,
        "accepted": shares.accepted,
        "credited": shares.credited,
        "rejected": shares.rejected,
        "dropped": shares.dropped,
        "late": shares.late,
        "lost": shares.lost,
        "switch_lost": shares.switch_lost,
        "faults": faults,
    })
}

fn switching(switching: &Switching) -> Value {
    json!({
        "switches": switching.switches,
        "per_hour": switching.per_hour,
        "lost_shares": switching.lost_shares,
        "lost_work": switching.lost_work,
        "lost_ratio": switching.lost_ratio,
    })
}

/// Lengths of time of the last hour, in milliseconds.
fn times(times: &Latency) -> Value {
    let ms = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
    json!({"p50": ms(times.p50_seconds), "p95": ms(times.p95_seconds), "p99": ms(times.p99_seconds)})
}

/// A best share, with its part of what the network of its pool asks for.
pub(super) fn best(numbers: &Snapshot, best: Option<&Best>) -> Value {
    let Some(best) = best else { return Value::Null };
    let slot = best.pool.split(' ').next().unwrap_or_default();
    let pool = numbers.pools.iter().find(|pool| pool.pool == slot);
    let network = pool.and_then(|pool| pool.network_difficulty).filter(|network| *network > 0.0);
    json!({
        "difficulty": best.difficulty,
        "worker": redact(&best.worker),
        "pool": if slot.is_empty() { String::new() } else { format!("pool {slot}") },
        "at": (best.at > 0).then_some(best.at * 1000),
        "network_percent": network.map(|network| best.difficulty / network * 100.0),
    })
}

/// How long the split of five minutes needs to follow a change of weights: it then looks back on the new ones alone.
fn settle(config: &Config, weights: &[u32]) -> u64 {
    let smallest = weights.iter().filter(|weight| **weight > 0).min().copied().unwrap_or(0);
    if smallest == 0 || smallest >= WEIGHT_SUM {
        return 300;
    }
    let weight = f64::from(smallest) / f64::from(WEIGHT_SUM);
    let (least, most) = (config.scheduler.slice.as_secs_f64(), config.scheduler.min_switch.as_secs_f64());
    let dwell = (most * 2.0 * weight).clamp(least.min(most), most);
    // A round of dwells, and the window.
    300 + (dwell / weight) as u64
}

fn pool_list(board: &Board, config: &Config, who: &Who) -> Vec<Value> {
    let pools = config.pool_ids().zip(&config.pools);
    pools
        .map(|(id, settings)| {
            let letter = id.to_string();
            let none = Pool::default();
            let numbers = board.numbers.pools.iter().find(|pool| pool.pool == letter).unwrap_or(&none);
            pool(board, id, settings, numbers, who)
        })
        .collect()
}

fn pool(board: &Board, id: PoolId, settings: &PoolConfig, numbers: &Pool, who: &Who) -> Value {
    let now = board.clock.now();
    let state = board.pool_state(id);
    let link = board.links.of(id);
    let wallet = if who.is_owner() { settings.wallet.clone() } else { mask::wallet(&settings.wallet) };
    let rate = numbers.hashrate.five_minutes.hashes_per_second;
    let block = rate.zip(numbers.network_difficulty).filter(|(rate, _)| *rate > 0.0);
    json!({
        "slot": id.to_string(),
        "name": settings.name,
        "chain": settings.chain,
        "host": settings.address.host,
        "port": settings.address.port,
        "tls": false,
        "wallet": wallet,
        "placeholder": banners::is_placeholder(settings),
        "weight": board.weights.get(id.index()).map(|weight| f64::from(*weight) / 1e4),
        "state": state.as_ref().map(|state| state.shown),
        "since": state.as_ref().and_then(|state| state.since).map(|since| board.wall(since)),
        "reason": state.as_ref().and_then(|state| state.words.clone()),
        "next_try_s": state.as_ref().and_then(|state| state.next_try).map(|at| at.since(now).as_secs()),
        "miners": state.as_ref().map(|state| state.usable),
        "connections": state.as_ref().map(|state| state.connections),
        "message": link.and_then(|link| link.message.clone()),
        "hashrate": windows(&numbers.hashrate, |rate| rate.hashes_per_second),
        "response_ms": times(&numbers.response),
        "difficulty": numbers.difficulty.or(link.and_then(|link| link.difficulty)),
        "last_job": link.and_then(|link| link.last_job).map(|at| board.wall(at)),
        "height": numbers.height,
        "network_difficulty": numbers.network_difficulty,
        "payout": numbers.payout.and_then(payout),
        "block_seconds": block.and_then(|(rate, difficulty)| luck::expected_time(rate, difficulty)).map(|time| time.as_secs_f64()),
        "block_odds_per_day": block.map(|(rate, difficulty)| luck::odds_per_day(rate, difficulty)),
        "jobs": numbers.jobs,
        "accepted": numbers.shares.accepted,
        "rejected": numbers.shares.rejected,
        "top_reject": numbers.top_reject.as_ref().map(|reject| match &reject.words {
            Some(words) => redact(words).into_owned(),
            None => reject.outcome.replace('_', " "),
        }),
        "lost": numbers.shares.lost,
        "work": numbers.shares.work,
        "best": best(&board.numbers, numbers.best_session.as_ref()),
        "blocks": numbers.blocks,
        "outages": link.map(|link| link.outages),
        "reconnects": link.map(|link| link.reconnects),
        "up_percent": link.and_then(|link| link.uptime(now)).map(|part| part * 100.0),
    })
}

/// Whether the coinbase pays the wallet, for people.
fn payout(name: &str) -> Option<&'static str> {
    Some(match name {
        "pays" => "● yes",
        "later" => "the pool pays later",
        "no" => "✖ no longer: look at the wallet",
        "unreadable" => "cannot be read",
        _ => return None,
    })
}

/// `GET /api/v1/pools`.
pub(super) async fn pools(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>) -> Answer {
    let config = shared.config();
    let board = shared.board.lock();
    let pools = pool_list(&board, &config, &who);
    drop(board);
    give(&json!({"pools": pools}))
}

/// `GET /api/v1/records`: block candidates, best shares, what switching costs.
pub(super) async fn records(State(shared): State<Arc<Shared>>) -> Answer {
    let numbers = shared.board.lock().numbers.clone();
    let records = &numbers.records;
    let blocks = records.blocks.iter().map(|block| {
        let pool = block.pool.split(' ').next().unwrap_or_default();
        json!({
            "difficulty": block.difficulty,
            "worker": redact(&block.worker),
            "pool": format!("pool {pool}"),
            "at": block.at * 1000,
            "hash": block.hash,
            "height": block.height,
            "way": block.way,
        })
    });
    // A name that is a wallet is cut here too.
    let imported: Map<_, _> =
        records.imported.iter().map(|(name, best)| (redact(name).into_owned(), json!(best))).collect();
    give(&json!({
        "blocks": blocks.collect::<Vec<_>>(),
        "best": records.best_workers.iter().map(|share| best(&numbers, Some(share))).collect::<Vec<_>>(),
        "imported": imported,
        "switching": switching(&numbers.switching.hour),
    }))
}

/// `GET /api/v1/series?range=1h`: `1h`, `24h` or `30d`.
pub(super) async fn series(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let range = body::query(&uri, "range").unwrap_or_else(|| "1h".to_owned());
    let index = match range.as_str() {
        "1h" => 0,
        "24h" => 1,
        "30d" => 2,
        _ => return Err(Refusal::bad("range is 1h, 24h or 30d")),
    };
    let config = shared.config();
    let board = shared.board.lock();
    let series = board.history.series(index, unix_millis() / 1000, config.pools.len());
    let marks: Vec<_> =
        board.timeline.after(0).filter(|entry| entry.at / 1000 >= series.start && marks(entry)).collect();
    let answer = json!({"range": range, "series": series, "marks": marks});
    drop(board);
    give(&answer)
}

fn marks(entry: &super::timeline::Entry) -> bool {
    use super::timeline::Kind;
    matches!(entry.kind, Kind::Weights | Kind::Down | Kind::Config | Kind::Block | Kind::Start)
}

/// `GET /api/v1/events?after=`: what happened, the oldest first.
pub(super) async fn events(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let after = body::query(&uri, "after").and_then(|text| text.parse().ok()).unwrap_or(0);
    let board = shared.board.lock();
    let entries: Vec<_> = board.timeline.after(after).cloned().collect();
    let last = board.timeline.last();
    drop(board);
    give(&json!({"events": entries, "last": last}))
}

/// True if miners can work for the pool.
pub(super) fn works(shown: Shown) -> bool {
    matches!(shown, Shown::Up | Shown::Partly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dpmp_core::config::PoolConfig;

    #[test]
    fn a_split_settles_in_its_window_and_a_round() {
        let config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![500_000, 500_000]);
        assert_eq!(settle(&config, &[500_000, 500_000]), 360);
        assert!(settle(&config, &[950_000, 50_000]) > 360);
        assert_eq!(settle(&config, &[1_000_000, 0]), 300);
    }

    #[test]
    fn the_interval_is_of_the_achieved_part() {
        let pool = crate::statistics::snapshot::SplitPool {
            pool: "A".to_owned(),
            target: 0.7,
            achieved: Some(0.684),
            error_points: Some(-1.6),
            low_points: Some(-3.0),
            high_points: Some(0.5),
            ..Default::default()
        };
        let shown = split(&Split { pools: vec![pool], ..Split::default() });
        assert_eq!(shown["collecting"], false);
        let a = &shown["pools"]["A"];
        assert!((a["low"].as_f64().unwrap() - 67.0).abs() < 1e-9 && (a["high"].as_f64().unwrap() - 70.5).abs() < 1e-9);
    }
}
