//! Logs by cursor, and downloads: of the log and of the recording, without names unless asked for.

use std::fs::File;
use std::io::Cursor;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::IntoResponse as _;
use dpmp_core::config::Config;
use serde_json::json;

use super::answer::{Answer, Refusal, give};
use super::nameless::Nameless;
use super::{Shared, body, pieces};
use crate::logs;
use crate::settings;
use crate::traces;

/// Lines of one answer at most.
const MOST: usize = 500;

/// What a line must have to be shown.
struct Filter {
    levels: Vec<String>,
    event: Option<String>,
    text: Option<String>,
    worker: Option<String>,
    pool: Option<String>,
}

impl Filter {
    fn of(uri: &Uri) -> Filter {
        let get = |name| body::query(uri, name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let levels = get("level").map(|all| all.split(',').map(|level| format!("\"level\":\"{level}\"")).collect());
        let member = |key: &str, value: Option<String>| value.map(|value| format!("\"{key}\":\"{value}\""));
        Filter {
            levels: levels.unwrap_or_default(),
            event: get("event").map(|event| event.to_ascii_lowercase()),
            text: get("text").map(|text| text.to_lowercase()),
            worker: get("worker"),
            pool: member("pool", get("pool").map(|pool| pool.to_ascii_uppercase())),
        }
    }

    fn wants(&self, line: &str) -> bool {
        let event = || {
            let rest = line.split_once("\"event\":\"").map_or("", |(_, rest)| rest);
            rest.split('"').next().unwrap_or("").to_ascii_lowercase()
        };
        let worker = |worker: &String| {
            line.split_once("\"worker\":\"")
                .is_some_and(|(_, rest)| rest.split('"').next().unwrap_or("").contains(worker))
        };
        (self.levels.is_empty() || self.levels.iter().any(|level| line.contains(level)))
            && self.event.as_ref().is_none_or(|part| event().contains(part))
            && self.text.as_ref().is_none_or(|part| line.to_lowercase().contains(part))
            && self.worker.as_ref().is_none_or(worker)
            && self.pool.as_ref().is_none_or(|pool| {
                // Events of switches name two.
                let name = &pool["\"pool\":".len()..];
                line.contains(pool.as_str())
                    || ["to_pool", "from_pool", "dead_pool"]
                        .iter()
                        .any(|key| line.contains(&format!("\"{key}\":{name}")))
            })
    }
}

/// `GET /api/v1/logs?after=&level=&event=&text=&worker=&pool=&limit=`.
pub(super) async fn page(uri: Uri) -> Answer {
    let number = |name| body::query(&uri, name).and_then(|text| text.parse::<u64>().ok());
    let filter = Filter::of(&uri);
    let most = number("limit").map_or(200, |n| n.clamp(1, MOST as u64) as usize);
    let page = logs::page(number("after").unwrap_or(0), most, |line| filter.wants(line));
    let lines: Vec<_> = page.lines.iter().map(|(number, line)| json!({"n": number, "line": &**line})).collect();
    give(&json!({"lines": lines, "cursor": page.cursor, "missed": page.missed}))
}

/// `GET /api/v1/logs/download?full=1`: the log file if there is one, else what is in memory.
pub(super) async fn download(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let full = body::query(&uri, "full").as_deref() == Some("1");
    let config = shared.config();
    let unread = |error| Refusal::failed(format!("the log could not be read: {error}"));
    let file = match config.logging.file.as_ref().zip(shared.config_path()) {
        Some((name, config)) => {
            let path = settings::beside(config, name);
            // A pipe would give lines to us that are somebody else's, or none for ever.
            if !std::fs::metadata(&path).map_err(unread)?.is_file() {
                return Err(Refusal::unusable("logging.file is no ordinary file: there is nothing to download"));
            }
            Some(File::open(path).map_err(unread)?)
        }
        None => None,
    };
    let in_memory = || -> Vec<u8> {
        logs::page(0, usize::MAX, |_| true)
            .lines
            .iter()
            .flat_map(|(_, line)| [line.as_bytes(), b"\n"].concat())
            .collect()
    };
    let body = match file {
        Some(file) if full => pieces::whole(file).map_err(unread)?,
        None if full => in_memory().into(),
        Some(file) => {
            let size = file.metadata().map_err(unread)?.len();
            pieces::redacted(file, size, nameless(&shared, &config)?)
        }
        None => {
            let text = in_memory();
            let size = text.len() as u64;
            pieces::redacted(Cursor::new(text), size, nameless(&shared, &config)?)
        }
    };
    file_answer("dpmp.log.jsonl", "application/jsonl", body)
}

/// Knows the names of the config and of all workers; its key is forgotten with it.
fn nameless(shared: &Shared, config: &Config) -> Result<Nameless, Refusal> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| Refusal::failed(error.to_string()))?;
    let mut nameless = Nameless::new(key);
    nameless.learn_config(config);
    let numbers = shared.board.lock().numbers.clone();
    numbers.workers.iter().for_each(|worker| nameless.name(&worker.name));
    Ok(nameless)
}

/// `GET /api/v1/recording`: how much there is.
pub(super) async fn recording(State(shared): State<Arc<Shared>>) -> Answer {
    let config = shared.config();
    let path = recording_path(&shared);
    let sizes = path.as_ref().and_then(|path| traces::sizes(path).ok()).unwrap_or_default();
    give(&json!({
        "enabled": config.recording.enabled,
        "max_mib": config.recording.max_mib,
        "segments": sizes.len(),
        "bytes": sizes.iter().sum::<u64>(),
        "last_bytes": sizes.last(),
    }))
}

/// `GET /api/v1/recording/download?full=1&last=1`: `full` keeps all names, `last` is the last segment alone.
pub(super) async fn recording_download(State(shared): State<Arc<Shared>>, uri: Uri) -> Answer {
    let flag = |name| body::query(&uri, name).as_deref() == Some("1");
    let (full, last) = (flag("full"), flag("last"));
    let Some(path) = recording_path(&shared) else { return Err(Refusal::unusable("nothing is recorded")) };
    // What was recorded up to now is in a closed segment then; if the loop does not answer, the older ones do.
    let _ = shared.handle.close_recording();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    // A redaction runs the recording twice: one at a time.
    let Ok(_turn) = shared.hashing.acquire().await else { return Err(Refusal::failed("the program is stopping")) };
    let made = tokio::task::spawn_blocking(move || traces::export(&path, last, !full)).await;
    let bytes = made.map_err(|_| Refusal::failed("the recording could not be read"))?;
    let bytes = bytes.map_err(|error| Refusal::failed(format!("{error:#}")))?;
    let name = if full { "dpmp-with-names.trace" } else { "dpmp-redacted.trace" };
    file_answer(name, "application/octet-stream", bytes)
}

fn recording_path(shared: &Shared) -> Option<std::path::PathBuf> {
    let config = shared.config();
    config.recording.enabled.then(|| shared.folder.join(&config.recording.dir))
}

fn file_answer(name: &str, kind: &'static str, body: impl Into<Body>) -> Answer {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let disposition = disposition.map_err(|error| Refusal::failed(error.to_string()))?;
    let kind = HeaderValue::from_static(kind);
    let no_store = HeaderValue::from_static("no-store");
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition), (header::CACHE_CONTROL, no_store)];
    Ok((headers, body.into()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"ts":"2026-01-31T12:00:00+00:00","event":"pool_switched","sid":"('192.0.2.5', 51234)","worker":"rig1","from_pool":"A","to_pool":"B","level":"info"}"#;

    #[test]
    fn filters() {
        let wants = |query: &str| Filter::of(&format!("/x?{query}").parse().unwrap()).wants(LINE);
        for good in ["", "level=info", "level=warn,info", "event=switch", "text=RIG1", "worker=rig", "pool=b", "pool=A"]
        {
            assert!(wants(good), "{good}");
        }
        for bad in ["level=warn", "event=share", "text=zzz", "worker=other", "pool=C", "level=info&pool=C"] {
            assert!(!wants(bad), "{bad}");
        }
    }
}
