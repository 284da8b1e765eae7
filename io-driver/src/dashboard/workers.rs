//! Workers as pages show them. The numbers are the statistics'; here is only what they mean in a word.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;
use super::answer::{Answer, Refusal, give};
use super::board::Board;
use super::guard::Who;
use super::state::{best, windows};
use crate::logs::redact;
use crate::statistics::Snapshot;
use crate::statistics::snapshot::Worker;

/// A miner without a share for this long is silent, or for six times as long as its shares usually take.
pub(super) const SILENT_AFTER: f64 = 300.0;

/// How a worker is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    /// It works.
    Active,
    /// It does clearly less than in the last hour.
    Low,
    /// It is connected and sends nothing.
    Silent,
    /// It is not connected.
    Offline,
}

/// `at`: seconds since 1970, now.
pub(super) fn word(worker: &Worker, at: u64) -> Word {
    if worker.connections == 0 {
        return Word::Offline;
    }
    let usual = worker.hashrate.hour.shares_per_minute.filter(|rate| *rate > 0.0);
    let patience = usual.map_or(SILENT_AFTER, |rate| (6.0 * 60.0 / rate).max(SILENT_AFTER));
    let quiet = at.saturating_sub(worker.last_share.unwrap_or(worker.since)) as f64;
    if quiet > patience {
        return Word::Silent;
    }
    // Three standard deviations below what the hour lets expect, and by a third at least.
    let seen = &worker.hashrate.five_minutes;
    let long = worker.hashrate.hour.observed_seconds > 3.0 * seen.observed_seconds;
    let expected = usual.map_or(0.0, |rate| rate * seen.observed_seconds / 60.0);
    let low = expected - 3.0 * expected.sqrt();
    if long && expected >= 12.0 && (seen.shares as f64) < low.min(expected * 0.67) { Word::Low } else { Word::Active }
}

/// How many are how.
pub(super) fn counts(numbers: &Snapshot) -> Value {
    let mut counts = [0u64; 4];
    for worker in &numbers.workers {
        counts[word(worker, numbers.at) as usize] += 1;
    }
    let [active, low, silent, offline] = counts;
    json!({"known": numbers.workers.len(), "active": active, "low": low, "silent": silent, "offline": offline})
}

/// A name for whoever asks: a wallet as a name is cut for strangers.
fn shown(name: &str, who: &Who) -> String {
    if who.is_owner() { name.to_owned() } else { redact(name).into_owned() }
}

/// Seconds in which a connected worker finds a share 19 times of 20: three times as long as it takes on average. Before
/// its own hash rate is known it is taken for one like the others.
fn expected_share(numbers: &Snapshot, worker: &Worker) -> Option<u64> {
    let known = |worker: &&Worker| worker.connections > 0 && worker.hashrate.five_minutes.hashes_per_second.is_some();
    let others = || {
        let count = numbers.workers.iter().filter(known).count();
        numbers.hashrate.five_minutes.hashes_per_second.filter(|_| count > 0).map(|all| all / count as f64)
    };
    let rate = [&worker.hashrate.five_minutes, &worker.hashrate.hour].into_iter().find_map(|r| r.hashes_per_second);
    let rate = rate.or_else(others).filter(|rate| *rate > 0.0)?;
    let difficulty = worker.difficulty.filter(|_| worker.connections > 0)?;
    Some((3.0 * difficulty * 4_294_967_296.0 / rate).ceil() as u64)
}

fn row(board: &Board, worker: &Worker, who: &Who) -> Value {
    let numbers = &board.numbers;
    let line =
        board.recent.of(&worker.name).map(|lately| lately.line.iter().map(|rate| rate.round()).collect::<Vec<_>>());
    json!({
        "name": shown(&worker.name, who),
        "state": word(worker, numbers.at),
        "agent": shown(&worker.agent, who),
        "pool": worker.pool,
        "hashrate": windows(&worker.hashrate, |rate| rate.hashes_per_second),
        "shares_per_minute": windows(&worker.hashrate, |rate| rate.shares_per_minute),
        "part": worker.share_of_work.map(|part| part * 100.0),
        "difficulty": worker.difficulty,
        "ended": worker.shares.ended,
        "accepted": worker.shares.accepted + worker.shares.credited,
        "rejected": worker.shares.rejected,
        "dropped": worker.shares.dropped,
        "late": worker.shares.late,
        "best": best(numbers, worker.best_session.as_ref()),
        "best_ever": best(numbers, worker.best.as_ref()),
        "last_share": worker.last_share.map(|at| at * 1000),
        "expected_share_s": expected_share(numbers, worker),
        "since": worker.since * 1000,
        "spark": line.filter(|line| line.len() > 1),
    })
}

/// `GET /api/v1/workers`: all of the last week.
pub(super) async fn workers(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>) -> Answer {
    let board = shared.board.lock();
    let rows: Vec<Value> = board.numbers.workers.iter().map(|worker| row(&board, worker, &who)).collect();
    drop(board);
    give(&json!({"workers": rows}))
}

/// `GET /api/v1/workers/{name}`: one of them, with all that is known.
pub(super) async fn worker(
    State(shared): State<Arc<Shared>>,
    Extension(who): Extension<Who>,
    Path(name): Path<String>,
) -> Answer {
    let board = shared.board.lock();
    let numbers = board.numbers.clone();
    let found = numbers.workers.iter().find(|worker| shown(&worker.name, &who) == name);
    let Some(worker) = found else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such worker"));
    };
    let mut answer = row(&board, worker, &who);
    let peers = numbers.connections.iter().filter(|connection| connection.worker.as_ref() == Some(&worker.name));
    answer["peers"] =
        json!(peers.filter(|_| who.is_owner()).map(|connection| connection.peer.clone()).collect::<Vec<_>>());
    answer["by_pool"] = json!(worker.by_pool);
    answer["by_outcome"] = json!(worker.shares.by_outcome);
    answer["switches"] = json!(worker.switches);
    answer["connects"] = json!(worker.connects);
    let lately = board.recent.of(&worker.name);
    let log = lately.map(|lately| {
        lately
            .happened
            .iter()
            .rev()
            .map(|(at, what)| json!({"at": board.wall(*at), "text": what.text()}))
            .collect::<Vec<_>>()
    });
    answer["log"] = json!(log.unwrap_or_default());
    drop(board);
    give(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::snapshot::Rate;

    #[test]
    fn a_share_is_expected_in_time() {
        let with = |rate: Option<f64>| {
            let mut worker = Worker { connections: 1, difficulty: Some(1_000.0), ..Worker::default() };
            worker.hashrate.five_minutes.hashes_per_second = rate;
            worker
        };
        let mut numbers = Snapshot::default();
        let (old, new) = (with(Some(4_294_967_296.0 * 100.0)), with(None));
        assert_eq!(expected_share(&numbers, &old), Some(30), "ten seconds on average");
        assert_eq!(expected_share(&numbers, &new), None, "nothing is known of any");
        numbers.workers = vec![old.clone(), old, new.clone()];
        numbers.hashrate.five_minutes.hashes_per_second = Some(4_294_967_296.0 * 200.0);
        assert_eq!(expected_share(&numbers, &new), Some(30), "like the others");
        assert_eq!(expected_share(&numbers, &Worker { connections: 0, ..new }), None);
    }

    #[test]
    fn words() {
        let now = 1_769_860_800;
        let mut worker = Worker { connections: 1, since: now - 7_200, last_share: Some(now - 5), ..Worker::default() };
        let rate = |minutes: f64, shares: u64| Rate {
            shares_per_minute: Some(shares as f64 / minutes),
            shares,
            observed_seconds: minutes * 60.0,
            ..Rate::default()
        };
        worker.hashrate.hour = rate(60.0, 720);
        worker.hashrate.five_minutes = rate(5.0, 55);
        assert_eq!(word(&worker, now), Word::Active);
        worker.hashrate.five_minutes = rate(5.0, 20);
        assert_eq!(word(&worker, now), Word::Low);
        worker.last_share = Some(now - 301);
        assert_eq!(word(&worker, now), Word::Silent);
        // One that finds a share in two minutes is not silent after five.
        worker.hashrate.hour = rate(60.0, 30);
        worker.hashrate.five_minutes = rate(5.0, 0);
        assert_eq!(word(&worker, now), Word::Active);
        worker.connections = 0;
        assert_eq!(word(&worker, now), Word::Offline);
    }
}
