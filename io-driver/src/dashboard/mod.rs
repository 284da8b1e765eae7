//! The dashboard on 8855 and its API. It lives in the HTTP thread and in one of its own that builds the model; the mining
//! loop is reached only by [`LoopHandle`], with a time-out.
//!
//! A request's way: `guard` (name, origin, who asks) → a handler → `board` (the model) or a command to the engine. `board`
//! is fed by facts: `links` knows how pools are reached, `history` what charts show, `timeline` what happened. `auth` keeps
//! the door. What is shown is put together in `state` and `banners`; the front end in `web` only draws it.
//! `nameless` takes names out of a log that is downloaded, and `pieces` sends it.

mod about;
mod access;
mod answer;
mod assets;
mod auth;
mod auto;
mod banners;
mod board;
mod body;
mod config_api;
mod guard;
mod history;
mod host;
mod links;
mod logs_api;
mod mask;
mod nameless;
mod own_files;
mod pieces;
mod recent;
mod schema;
mod state;
mod test_pool;
mod timeline;
mod wallets;
mod weights;
mod workers;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{delete, get, post};
use dpmp_core::config::Config;
use log::Level;

use crate::clock::Clock;
use crate::feed::FeedReader;
use crate::live_weights::LiveWeights;
use crate::logs::line;
use crate::reload::{Ports, Reloader};
use crate::requests::LoopHandle;
use crate::statistics::Statistics;
use auth::Auth;
pub use auth::{random_password, reset as reset_password};
use board::Sources;

/// What the dashboard is made of.
pub struct Parts {
    /// The config in force.
    pub config: Config,
    /// The path on which the config changes; none in the demo, which has no file.
    pub reloader: Option<Reloader>,
    /// Where its own files are: `auth.json`, `history.json`.
    pub folder: PathBuf,
    /// A password that wins over all files.
    pub password: Option<String>,
    /// The loop.
    pub handle: LoopHandle,
    /// The numbers.
    pub statistics: Statistics,
    /// The clock of the facts.
    pub clock: Clock,
    /// The facts.
    pub feed: FeedReader,
    /// The weights' memory.
    pub live: Arc<LiveWeights>,
    /// Where everything listens.
    pub ports: Arc<Mutex<Ports>>,
}

/// What all handlers share.
struct Shared {
    /// The config where none can change.
    fixed: Arc<Config>,
    reloader: Option<Reloader>,
    folder: PathBuf,
    /// Empty while `auth.json` cannot be used.
    auth: OnceLock<Auth>,
    /// Why nobody can sign in, if so.
    no_auth: String,
    /// A password that wins over all files.
    password: Option<String>,
    own_names: Vec<String>,
    handle: LoopHandle,
    board: board::Shared,
    live: Arc<LiveWeights>,
    ports: Arc<Mutex<Ports>>,
    /// Held by whoever hashes a password.
    hashing: tokio::sync::Semaphore,
    /// Held while a pool is tried.
    testing: Arc<tokio::sync::Semaphore>,
    /// Held by whoever changes weights or config.
    turn: tokio::sync::Mutex<()>,
}

impl Shared {
    /// The config in force; its weights are the file's.
    fn config(&self) -> Arc<Config> {
        let Some(reloader) = &self.reloader else { return self.fixed.clone() };
        Arc::new(reloader.standing().config.clone())
    }

    /// Where miners connect now.
    fn miners(&self) -> Vec<SocketAddr> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).miners()
    }

    /// The config file, if there is one.
    fn config_path(&self) -> Option<&Path> {
        self.reloader.as_ref().map(|reloader| reloader.file().path.as_path())
    }

    fn auth(&self) -> Option<&Auth> {
        self.auth.get()
    }
}

/// The model's thread.
#[derive(Debug)]
pub struct Dashboard {
    thread: JoinHandle<()>,
}

impl Dashboard {
    /// Starts the model's thread; the second value is what the port serves.
    pub fn start(parts: Parts) -> std::io::Result<(Dashboard, Router)> {
        let Parts { config, reloader, folder, password, handle, statistics, clock, feed, live, ports } = parts;
        let history = Some(folder.join("history.json"));
        let (board, thread) = board::start(&config, clock, Sources { feed, statistics }, history)?;
        let (auth, no_auth) = match Auth::open(&folder, password.clone()) {
            Ok(auth) => (OnceLock::from(auth), String::new()),
            Err(words) => {
                line(Level::Warn, "dashboard_read_only").text("text", &words).send();
                (OnceLock::new(), words)
            }
        };
        let shared = Arc::new(Shared {
            fixed: Arc::new(config),
            reloader,
            folder,
            auth,
            no_auth,
            password,
            own_names: host::own_names(),
            handle,
            board,
            live,
            ports,
            hashing: tokio::sync::Semaphore::new(1),
            testing: Arc::new(tokio::sync::Semaphore::new(1)),
            turn: tokio::sync::Mutex::new(()),
        });
        Ok((Dashboard { thread }, routes(&shared)))
    }

    /// Waits for the model's thread, which ends with the loop.
    pub fn wait(self) {
        // A panic there was logged by the hook.
        let _ = self.thread.join();
    }
}

fn routes(shared: &Arc<Shared>) -> Router {
    // For everybody: the pages themselves hold nothing, and somebody must be able to sign in.
    let open = Router::new()
        .fallback(get(assets::serve))
        .route("/api/v1/session", get(access::session))
        .route("/api/v1/login", post(access::login))
        .route("/api/v1/logout", post(access::logout));
    let reads = Router::new()
        .route("/api/v1/state", get(state::state))
        .route("/api/v1/workers", get(workers::workers))
        .route("/api/v1/workers/{name}", get(workers::worker))
        .route("/api/v1/records", get(state::records))
        .route("/api/v1/pools", get(state::pools))
        .route("/api/v1/series", get(state::series))
        .route("/api/v1/events", get(state::events))
        .route_layer(from_fn_with_state(shared.clone(), guard::reads));
    let owners = Router::new()
        .route("/api/v1/weights", post(weights::set))
        .route("/api/v1/weights/undo", post(weights::undo))
        .route("/api/v1/weights/default", post(weights::default))
        .route("/api/v1/mode", post(auto::switch))
        .route("/api/v1/config", get(config_api::get).put(config_api::put))
        .route("/api/v1/config/schema", get(config_api::schema))
        .route("/api/v1/config/check", post(config_api::check))
        .route("/api/v1/config/history", get(config_api::history))
        .route("/api/v1/config/history/{number}", get(config_api::kept_version))
        .route("/api/v1/config/rollback", post(config_api::rollback))
        .route("/api/v1/test-pool", post(test_pool::test))
        .route("/api/v1/logs", get(logs_api::page))
        .route("/api/v1/logs/download", get(logs_api::download))
        .route("/api/v1/recording", get(logs_api::recording))
        .route("/api/v1/recording/download", get(logs_api::recording_download))
        .route("/api/v1/about", get(about::about))
        .route("/api/v1/password", post(access::password))
        .route("/api/v1/tokens", get(access::tokens).post(access::add_token))
        .route("/api/v1/tokens/{id}", delete(access::revoke_token))
        .route_layer(from_fn(guard::owners));
    open.merge(reads).merge(owners).layer(from_fn_with_state(shared.clone(), guard::all)).with_state(shared.clone())
}
