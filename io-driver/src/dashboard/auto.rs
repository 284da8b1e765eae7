//! Auto-balance as the page shows it, and its switch. What it does is the engine's.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use dpmp_core::Command;
use dpmp_core::config::OracleSource;
use dpmp_core::oracle::{ChainStatus, Doubt, Interval, OracleState, OracleStatus};
use log::Level;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal, give};
use super::board::{Board, unix_millis};
use super::guard::Who;
use super::weights::command;
use super::{Shared, body};
use crate::logs::{line, redact};

/// `bound`: the weights stay this near to half each, in percent.
pub(super) fn shown(board: &Board, bound: u8) -> Value {
    let Some(status) = &board.oracle else {
        return json!({"available": false, "active": false, "text": "Auto-balance: nothing is known yet."});
    };
    let OracleStatus { active, source, state, chains, wanted, moved, next_poll_ms, age_ms, gain, reason, .. } =
        &**status;
    json!({
        "available": available(state).is_ok(),
        "active": active,
        "source": match source { OracleSource::Own => "own", OracleSource::Url => "url" },
        "state": state.word(),
        "text": words(state, *source),
        "chains": chains.iter().map(chain).collect::<Vec<_>>(),
        "wanted": wanted,
        "moved": moved,
        "bound": bound,
        "next_s": next_poll_ms.map(|next| next.saturating_sub(unix_millis()) / 1000),
        "age_s": age_ms.map(|age| age / 1000),
        "gain": gain.map(|(ppm, hours)| json!({"percent": ppm as f64 / 1e4, "hours": hours})),
        "reason": reason,
    })
}

/// Whether it can be switched on; otherwise why not.
fn available(state: &OracleState) -> Result<(), String> {
    match state {
        OracleState::Off(why) => Err(why.to_string()),
        _ => Ok(()),
    }
}

fn words(state: &OracleState, source: OracleSource) -> String {
    match state {
        OracleState::Off(why) => format!("Auto-balance cannot be used: {why}"),
        OracleState::Warming { blocks, of } => {
            format!("Warming up, {blocks} of {of} blocks: the configured weights hold until it may speak")
        }
        OracleState::Waiting if source == OracleSource::Own => {
            "Waiting for a job of each chain since the start: the weights of before hold".to_owned()
        }
        OracleState::Waiting => "The server has not been asked yet".to_owned(),
        OracleState::Ready => "Ready".to_owned(),
        OracleState::Failing { failures, why } => {
            format!("The last {failures} tries failed ({}): what was last applied holds", redact(why))
        }
        OracleState::Fallback { why } => format!("No fresh numbers ({}): the fallback holds", redact(why)),
    }
}

fn chain(chain: &ChainStatus) -> Value {
    let reading = chain.reading.as_ref();
    let doubts = chain.doubts.iter().map(|(pool, doubt)| format!("pool {pool}: {}", doubt_words(*doubt)));
    json!({
        "name": chain.chain,
        "short": reading.map(|reading| reading.short.as_f64()),
        "long": reading.map(|reading| reading.long.as_f64()),
        "ratio": reading.map(|reading| reading.ratio_ppm() as f64 / 1e6),
        "short_range": reading.and_then(|reading| range(reading.short_interval)),
        "long_range": reading.and_then(|reading| range(reading.long_interval)),
        "other": chain.other.map(|other| json!({"short": other.short.as_f64(), "long": other.long.as_f64()})),
        "height": chain.height,
        "blocks": chain.blocks,
        "disagrees": chain.disagrees,
        "doubts": doubts.collect::<Vec<_>>(),
    })
}

/// Within these two the hash rate lies 19 times of 20.
fn range(interval: Option<Interval>) -> Option<Value> {
    interval.map(|interval| json!([interval.low.as_f64(), interval.high.as_f64()]))
}

fn doubt_words(doubt: Doubt) -> String {
    match doubt {
        Doubt::ClockOff { seconds } => format!("its clock is off by {seconds} s"),
        Doubt::Jumps { from, to } => format!("its height jumps from {from} to {to}"),
        Doubt::Lags { blocks } => format!("it is {blocks} blocks behind"),
        Doubt::Races { blocks, seconds } => format!("it shows {blocks} blocks in {seconds} s"),
        Doubt::Target => "its target cannot be".to_owned(),
    }
}

/// The network hash rates of a chain over few and many blocks, if they are measured.
pub(super) fn network(board: &Board, chain: &str) -> Option<(f64, f64)> {
    let status = board.oracle.as_ref()?;
    let chain = status.chains.iter().find(|known| &*known.chain == chain)?;
    chain.reading.as_ref().map(|reading| (reading.short.as_f64(), reading.long.as_f64()))
}

#[derive(Deserialize)]
struct Wanted {
    auto_balance: bool,
}

/// `POST /api/v1/mode {"auto_balance": true}`.
pub(super) async fn switch(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>, body: Body) -> Answer {
    let Wanted { auto_balance } = body::json(body, body::SMALL).await?;
    if auto_balance {
        let state = shared.board.lock().oracle.as_ref().map(|status| status.state.clone());
        let unknown = Err("nothing is known of the chains yet".to_owned());
        state.as_ref().map_or(unknown, available).map_err(Refusal::unusable)?;
    }
    command(&shared, Command::SetAutoBalance(auto_balance)).await?;
    line(Level::Info, "auto_balance_set").text("by", who.shown()).value("active", auto_balance).send();
    give(&json!({"auto_balance": auto_balance}))
}
