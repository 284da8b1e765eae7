//! Weights that are moved while the proxy runs: set, undo, back to the config's.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, State};
use dpmp_core::config::{MAX_POOLS, normalise};
use dpmp_core::{Command, PoolId};
use log::Level;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answer::{Answer, Refusal, give};
use super::guard::Who;
use super::{Shared, body};
use crate::logs::line;
use crate::requests::Request;

/// The loop has this long to answer.
const LOOP_TIME: Duration = Duration::from_secs(2);

/// Hands a command to the engine and waits for its word.
pub(super) async fn command(shared: &Shared, command: Command) -> Result<(), Refusal> {
    let (done, answered) = oneshot::channel();
    let answer = Box::new(move |result| {
        // Fails only when nobody waits for it any more.
        let _ = done.send(result);
    });
    shared.handle.send(Request::Ask(command, answer)).map_err(|_| Refusal::loop_silent())?;
    match timeout(LOOP_TIME, answered).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(why))) => Err(Refusal::unusable(why)),
        Ok(Err(_)) | Err(_) => Err(Refusal::loop_silent()),
    }
}

/// `POST /api/v1/weights {"A": 90, "B": 10}`: in any unit, one number a pool.
pub(super) async fn set(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>, body: Body) -> Answer {
    let wanted: Map<String, Value> = body::json(body, body::SMALL).await?;
    let weights = parse(&wanted, shared.config().pools.len())?;
    change(&shared, &who, weights, "set").await
}

/// `POST /api/v1/weights/undo {}`: back to the weights before the last change, whoever made it.
pub(super) async fn undo(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>) -> Answer {
    let Some(before) = shared.live.undo() else {
        return Err(Refusal::unusable("there is no change of weights to undo"));
    };
    change(&shared, &who, before, "undo").await
}

/// `POST /api/v1/weights/default {}`: what the config says.
pub(super) async fn default(State(shared): State<Arc<Shared>>, Extension(who): Extension<Who>) -> Answer {
    let weights = shared.live.configured();
    change(&shared, &who, weights, "config default").await
}

async fn change(shared: &Shared, who: &Who, weights: Vec<u32>, how: &str) -> Answer {
    // One at a time, so that what is undone is what was in force.
    let _turn = shared.turn.lock().await;
    let before = shared.board.lock().weights.clone();
    command(shared, Command::SetWeights(weights.clone())).await?;
    // The board hears of it a moment later, and the next change may come before that.
    shared.board.lock().weights.clone_from(&weights);
    let kept = shared.live.changed(&before, &weights, how);
    line(Level::Info, "weights_set").text("by", who.shown()).text("how", how).send();
    let mut answer = json!({
        "weights": shown(&weights),
        "previous": shown(&before),
        "default": shown(&shared.live.configured()),
        "kept": kept.is_ok(),
    });
    if let Err(error) = kept {
        answer["text"] = json!(format!("in force, but lost at the next start: {error}"));
    }
    give(&answer)
}

/// Percent by pool.
pub(super) fn shown(weights: &[u32]) -> Value {
    let named = (0u8..).zip(weights).map(|(slot, weight)| (PoolId(slot).to_string(), json!(f64::from(*weight) / 1e4)));
    Value::Object(named.collect())
}

fn parse(wanted: &Map<String, Value>, pools: usize) -> Result<Vec<u32>, Refusal> {
    let example = "send one number of 0 or more for each pool, such as {\"A\": 90, \"B\": 10}";
    let mut weights = vec![None; pools];
    for (key, value) in wanted {
        let slot = dpmp_core::config::slot_of_key(key).map(PoolId::index).filter(|slot| *slot < pools.min(MAX_POOLS));
        let place = slot.and_then(|slot| weights.get_mut(slot));
        let place = place.ok_or_else(|| Refusal::unusable(format!("there is no pool {key:?}; {example}")))?;
        let number = value.as_f64().filter(|number| (0.0..=1e9).contains(number));
        let number = number.ok_or_else(|| Refusal::unusable(format!("{key} is no weight; {example}")))?;
        // Millionths of whatever unit it is; exact enough for shares in parts per million.
        *place = Some((number * 1e6).round() as u128);
    }
    let weights: Option<Vec<u128>> = weights.into_iter().collect();
    let weights = weights.ok_or_else(|| Refusal::unusable(format!("a pool is missing; {example}")))?;
    normalise(&weights).ok_or_else(|| Refusal::unusable(format!("one weight must be above 0; {example}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_in_any_unit() {
        let read = |text: &str| parse(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap(), 2);
        assert_eq!(read(r#"{"A": 90, "B": 10}"#), Ok(vec![900_000, 100_000]));
        assert_eq!(read(r#"{"B": 0.5, "A": 0.5}"#), Ok(vec![500_000, 500_000]));
        assert_eq!(read(r#"{"A": 1, "B": 0}"#), Ok(vec![1_000_000, 0]));
        for bad in [r#"{"A": 1}"#, r#"{"A": 1, "B": -1}"#, r#"{"A": 0, "B": 0}"#, r#"{"A": 1, "C": 1}"#, "{}"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#"{"A": "1", "B": 1}"#).is_err() && read(r#"{"A": 1e300, "B": 1}"#).is_err());
    }
}
