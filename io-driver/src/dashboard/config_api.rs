//! The config by browser: read, check, apply, history, back. The work is the reloader's; here is who may do what.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use dpmp_core::config::{Config, PoolConfig};
use log::Level;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::confirm;
use super::answer::{Answer, Refusal, give};
use super::guard::{self, Who};
use super::timeline::{Kind, Weight};
use super::{Shared, body, mask, own_files, wallets};
use crate::http::Peer;
use crate::logs::line;
use crate::reload::{ApplyError, Reloader, Source, Verdict};

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Refusal {
        let text = error.to_string();
        match error {
            ApplyError::Unusable(verdict) => {
                let refusal = Refusal::unusable("the config has errors: nothing was changed");
                refusal.with("verdict", serde_json::to_value(verdict).unwrap_or_default())
            }
            ApplyError::Conflict(version) => {
                Refusal::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", text).with("version", json!(version))
            }
            ApplyError::Refused(_) => Refusal::unusable(text),
            ApplyError::File(_) => Refusal::failed(text),
            ApplyError::NoSuchVersion => Refusal::new(StatusCode::NOT_FOUND, "not_found", text),
        }
    }
}

fn reloader(shared: &Shared) -> Result<Reloader, Refusal> {
    shared.reloader.clone().ok_or_else(|| {
        Refusal::new(StatusCode::CONFLICT, "no_file", "the demo has no config file: there is nothing to change here")
    })
}

/// Runs what may take seconds beside the async thread.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApplyError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Refusal::failed("the config's thread ended"))??)
}

/// `GET /api/v1/config`: the file as it is, with its version as ETag.
pub(super) async fn get(State(shared): State<Arc<Shared>>) -> Answer {
    let reloader = reloader(&shared)?;
    let standing = reloader.standing();
    let for_disk = reloader.clone();
    let (text, version) = beside(move || for_disk.on_disk()).await?;
    let verdict = reloader.validate(&text);
    let overridden: Vec<Value> =
        reloader.file().overridden().into_iter().map(|(key, by)| json!({"path": key, "by": by})).collect();
    let mut response = give(&json!({
        "version": version,
        "text": text,
        "config": serde_json::from_str::<Value>(&text).ok(),
        "in_force": standing.version == version,
        "refused": standing.refused,
        "problems": verdict.problems,
        "wallets": standing.config.pools.iter().map(|pool| wallets::shown(pool, &pool.wallet)).collect::<Vec<_>>(),
        "overridden": overridden,
        "locked": standing.config.dashboard.lock_wallets,
    }))?;
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Text {
    text: String,
    /// Needed when a pool, a wallet, or the name of a file changes.
    #[serde(default)]
    password: Option<String>,
}

/// Whether a new text touches what could take the owner's money: where the work goes, and to whom.
fn touches_pools(old: &Config, new: &Config) -> bool {
    let key = |pool: &PoolConfig| (pool.address.clone(), pool.wallet.clone(), pool.password.clone());
    old.pools.iter().map(key).ne(new.pools.iter().map(key))
}

/// Whether a new text names another file or folder: with those, this program would read and write wherever its user may.
fn touches_files(old: &Config, new: &Config) -> bool {
    old.logging.file != new.logging.file || old.recording.dir != new.recording.dir
}

/// What stands in the way of a text, from least to most.
enum Demand {
    Nothing,
    /// The password again.
    Password,
    /// It cannot be done in the browser at all.
    Locked,
}

fn demand(reloader: &Reloader, text: &str) -> Demand {
    let standing = reloader.standing();
    let old = &standing.config;
    let Ok(parsed) = reloader.file().understand(text) else { return Demand::Nothing };
    let new = parsed.config;
    let unlocks = old.dashboard.lock_wallets && !new.dashboard.lock_wallets;
    let touches = touches_pools(old, &new) || touches_files(old, &new);
    if old.dashboard.lock_wallets && (unlocks || touches) {
        Demand::Locked
    } else if touches {
        Demand::Password
    } else {
        Demand::Nothing
    }
}

/// The reloader's verdict, and what the file alone may ask for: a log in the place of one of the program's own files.
fn judge(reloader: &Reloader, text: &str) -> Verdict {
    let mut verdict = reloader.validate(text);
    let Ok(parsed) = reloader.file().understand(text) else { return verdict };
    let (standing, new) = (reloader.standing(), parsed.config);
    if standing.config.logging.file != new.logging.file
        && let Some(flaw) = own_files::refused(&reloader.file().path, &new)
    {
        verdict.usable = false;
        verdict.problems.push(flaw);
    }
    verdict
}

/// `POST /api/v1/config/check {"text": "..."}`: what applying it would do.
pub(super) async fn check(State(shared): State<Arc<Shared>>, body: Body) -> Answer {
    let Text { text, .. } = body::json(body, body::CONFIG).await?;
    let reloader = reloader(&shared)?;
    let verdict = judge(&reloader, &text);
    let demand = demand(&reloader, &text);
    let mut answer = serde_json::to_value(&verdict).unwrap_or_default();
    answer["needs_password"] = json!(matches!(demand, Demand::Password));
    answer["locked"] = json!(matches!(demand, Demand::Locked));
    answer["wallets"] = json!(changed_wallets(&reloader, &text));
    give(&answer)
}

/// Each wallet that changes, old and new, with what it is.
fn changed_wallets(reloader: &Reloader, text: &str) -> Vec<Value> {
    let standing = reloader.standing();
    let Ok(parsed) = reloader.file().understand(text) else { return Vec::new() };
    let before = |slot: usize| standing.config.pools.get(slot).map(|pool| pool.wallet.as_str()).unwrap_or_default();
    let changed = parsed.config.pools.iter().enumerate().filter(|(slot, pool)| before(*slot) != pool.wallet);
    changed.map(|(slot, pool)| wallets::shown(pool, before(slot))).collect()
}

/// `PUT /api/v1/config {"text": "...", "password": "..."}` with `If-Match`: writes the file and puts it in force.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Text { text, password } = body::json(body, body::CONFIG).await?;
    let version = if_match(&headers)?;
    let reloader = reloader(&shared)?;
    apply(&shared, peer, &who, &reloader, text, password, version, None).await
}

#[derive(Deserialize)]
struct Rollback {
    number: u64,
    #[serde(default)]
    password: Option<String>,
}

/// `POST /api/v1/config/rollback {"number": 3}` with `If-Match`: a kept version again.
pub(super) async fn rollback(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Rollback { number, password } = body::json(body, body::SMALL).await?;
    let version = if_match(&headers)?;
    let reloader = reloader(&shared)?;
    let text = kept(&reloader, number).await?;
    apply(&shared, peer, &who, &reloader, text, password, version, Some(number)).await
}

async fn kept(reloader: &Reloader, number: u64) -> Result<String, Refusal> {
    let reloader = reloader.clone();
    beside(move || reloader.kept_text(number).ok_or(ApplyError::NoSuchVersion)).await
}

#[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
async fn apply(
    shared: &Arc<Shared>,
    peer: Peer,
    who: &Who,
    reloader: &Reloader,
    text: String,
    password: Option<String>,
    version: String,
    back_to: Option<u64>,
) -> Answer {
    let source = if back_to.is_some() { Source::Rollback } else { Source::Api };
    let _turn = shared.turn.lock().await;
    let demand = demand(reloader, &text);
    match (&demand, password) {
        (Demand::Nothing, _) => {}
        (Demand::Locked, _) => {
            let text = "dashboard.lock_wallets is on: pools, wallets, logging.file and recording.dir are changed in the file alone";
            return Err(Refusal::forbidden("locked", text));
        }
        (Demand::Password, None) => {
            let text = "a change of pool, wallet, logging.file or recording.dir needs the password again";
            return Err(Refusal::forbidden("needs_password", text));
        }
        (Demand::Password, Some(password)) => confirm(shared, peer, password).await?,
    }
    let verdict = judge(reloader, &text);
    if !verdict.usable {
        return Err(ApplyError::Unusable(verdict).into());
    }
    let changed = changed_wallets(reloader, &text);
    let pools =
        reloader.file().understand(&text).is_ok_and(|new| touches_pools(&reloader.standing().config, &new.config));
    let before = reloader.history().last().map(|kept| kept.number);
    let working = reloader.clone();
    let verdict: Verdict = beside(move || working.apply(&text, Some(&version), source)).await?;
    audit(shared, peer, who, &verdict, &changed, pools, before, back_to);
    let mut answer = serde_json::to_value(&verdict).unwrap_or_default();
    answer["applied"] = json!(true);
    answer["previous"] = json!(before);
    give(&answer)
}

/// Who changed what, in the log and on the page.
#[expect(clippy::too_many_arguments, reason = "each is a part of what happened")]
fn audit(
    shared: &Shared,
    peer: Peer,
    who: &Who,
    verdict: &Verdict,
    wallets: &[Value],
    pools: bool,
    before: Option<u64>,
    back_to: Option<u64>,
) {
    let paths: Vec<&str> = verdict.differences.iter().map(|difference| difference.path.as_str()).collect();
    line(Level::Info, "dashboard_config_applied")
        .text("by", who.shown())
        .show("from", peer.0.ip())
        .text("changed", paths.join(", "))
        .text("version", &verdict.version)
        .send();
    let mut board = shared.board.lock();
    for wallet in wallets {
        let text = |key: &str| mask::wallet(wallet[key].as_str().unwrap_or_default());
        let pool = wallet["pool"].as_str().unwrap_or_default();
        let text = format!("the wallet of pool {pool} was changed: {} → {}", text("old"), text("new"));
        board.tell(Kind::Access, Weight::Warn, None, text);
    }
    let changed = board.timeline.pools_change.as_ref();
    if back_to.is_some() && changed.is_some_and(|change| change.before == back_to) {
        // It is undone: another Undo would bring the wallet back that somebody has just removed.
        board.timeline.pools_change = None;
    } else if pools {
        board.pools_changed(
            before,
            paths.iter().filter(|path| path.starts_with("pools")).map(|p| (*p).to_owned()).collect(),
        );
    }
}

/// The version that the writer saw. Without it a write could undo somebody else's.
fn if_match(headers: &HeaderMap) -> Result<String, Refusal> {
    let tag = guard::text(headers, header::IF_MATCH).map(|tag| tag.trim().trim_matches('"').to_owned());
    tag.filter(|tag| !tag.is_empty() && tag != "*").ok_or_else(|| {
        let text = "send the version that you saw as If-Match; GET /api/v1/config gives it";
        Refusal::new(StatusCode::PRECONDITION_REQUIRED, "no_version", text)
    })
}

/// `GET /api/v1/config/history`: what was in force, the latest first.
pub(super) async fn history(State(shared): State<Arc<Shared>>) -> Answer {
    let reloader = reloader(&shared)?;
    let standing = reloader.standing().version.clone();
    let kept = beside(move || Ok(reloader.history())).await?;
    let kept: Vec<Value> = kept
        .iter()
        .rev()
        .map(|kept| {
            let mut shown = serde_json::to_value(kept).unwrap_or_default();
            shown["in_force"] = json!(kept.version == standing);
            shown
        })
        .collect();
    give(&json!({"history": kept}))
}

/// `GET /api/v1/config/history/{number}`: its text, and what going back to it would do.
pub(super) async fn kept_version(State(shared): State<Arc<Shared>>, Path(number): Path<u64>) -> Answer {
    let reloader = reloader(&shared)?;
    let text = kept(&reloader, number).await?;
    let verdict = judge(&reloader, &text);
    let needs_password = matches!(demand(&reloader, &text), Demand::Password);
    give(&json!({"number": number, "text": text, "verdict": verdict, "needs_password": needs_password}))
}

/// `GET /api/v1/config/schema`: all keys, for the form.
pub(super) async fn schema() -> Answer {
    Ok(give(&json!({"fields": super::schema::FIELDS}))?.into_response())
}
