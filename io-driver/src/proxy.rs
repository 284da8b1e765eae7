//! The proxy put together: bind, start the threads, hand out the ends. Used by the `dpmp` command, the demo and the tests;
//! it reads no command line and no environment.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use dpmp_core::config::{Address, Config};
use dpmp_core::{Engine, Memory};
use log::Level;
use mio::Poll;

use crate::clock::Clock;
use crate::event_loop::{EventLoop, Outcome, Parts};
use crate::facts::{Facts, Readiness};
use crate::fd_limit;
use crate::feed::{FeedReader, feed};
use crate::http::{Observed, Port, Server, metrics_routes};
use crate::listener::bind_all;
use crate::logs::line;
use crate::metrics::{Metrics, Recorder};
use crate::recording::Recording;
use crate::requests::LoopHandle;
use crate::state::{self, StateWriter};

/// What to start.
#[derive(Debug)]
pub struct Options {
    /// The config, with the command line's changes in it.
    pub config: Config,
    /// Where the config came from, for the log.
    pub config_path: String,
    /// Where the engine's memory is kept; none: nowhere.
    pub state_path: Option<PathBuf>,
    /// The folder of the flight recording; none: nothing is recorded.
    pub recording_path: Option<PathBuf>,
    /// Also give out the stream of facts, for a view.
    pub with_feed: bool,
}

struct Paths {
    config: String,
    state: Option<PathBuf>,
    recording: Option<PathBuf>,
}

/// Why the proxy could not start.
#[derive(Debug)]
pub enum StartError {
    /// Nobody can listen there.
    Listen {
        /// Where.
        address: Address,
        /// Why.
        error: io::Error,
    },
    /// The system refused something else.
    System(anyhow::Error),
}

/// With the flag that changes it.
impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { address, error } => {
                let mend = "choose another with --listen HOST:PORT, or with listen.host and listen.port in the config";
                write!(f, "cannot listen for miners on {}: {}; {mend}", show(address), bind_words(error))
            }
            StartError::System(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for StartError {}

/// An address as it is typed.
pub fn show(address: &Address) -> String {
    if address.host.contains(':') {
        format!("[{}]:{}", address.host, address.port)
    } else {
        format!("{}:{}", address.host, address.port)
    }
}

/// Why a port cannot be had, for people.
fn bind_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program uses this port (is dpmp running already?)".to_owned(),
        ErrorKind::AddrNotAvailable => "this machine does not have this address".to_owned(),
        ErrorKind::PermissionDenied => "not permitted (ports below 1024 are the administrator's)".to_owned(),
        _ => error.to_string(),
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    handle: LoopHandle,
    clock: Clock,
    thread: JoinHandle<Outcome>,
    http: Option<Server>,
    miners: Vec<SocketAddr>,
    metrics: Vec<SocketAddr>,
    feed: Option<FeedReader>,
}

impl Proxy {
    /// Binds the ports and starts. Miners can connect when this returns. A metrics port that cannot be had is logged,
    /// and mining goes on.
    pub fn start(options: Options) -> Result<Proxy, StartError> {
        let Options { config, config_path, state_path, recording_path, with_feed } = options;
        let listeners =
            bind_all(&config.listen).map_err(|error| StartError::Listen { address: config.listen.clone(), error })?;
        let miners = addresses(&listeners);
        check_descriptors(&config);
        let paths = Paths { config: config_path, state: state_path, recording: recording_path };
        Proxy::assemble(config, listeners, miners, paths, with_feed).map_err(StartError::System)
    }

    fn assemble(
        config: Config,
        listeners: Vec<TcpListener>,
        miners: Vec<SocketAddr>,
        paths: Paths,
        with_feed: bool,
    ) -> anyhow::Result<Proxy> {
        let (memory, state) = match paths.state {
            Some(path) => {
                let (memory, trouble) = state::load(&path);
                if let Some(words) = trouble {
                    line(Level::Warn, "state_damaged").text("text", words).send();
                }
                (memory, Some(StateWriter::start(path)?))
            }
            None => (Memory::default(), None),
        };
        let metrics = Metrics::new(config.pools.len())?;
        let recording = paths.recording.and_then(|folder| start_recording(folder, &config, &metrics));
        let readiness = Arc::new(Readiness::default());
        let (sender, reader) = feed();
        let poll = Poll::new()?;
        let (handle, requests) = LoopHandle::new(poll.registry())?;
        let recorder = Recorder::new(metrics.clone(), &config);
        let facts = Facts::new(recorder, readiness.clone(), with_feed.then_some(sender));
        let observed = Observed { handle: handle.clone(), metrics, readiness: readiness.clone() };
        let (http, metrics) = match &config.metrics {
            Some(address) => serve_metrics(address, observed),
            None => (None, Vec::new()),
        };
        say_listening(&config, &miners, &paths.config);
        // The one place where chance comes from.
        let seed = RandomState::new().hash_one(0u8);
        let engine = Engine::new(config, &memory, seed);
        let clock = Clock::start();
        let parts = Parts { poll, handle: handle.clone(), requests, listeners, engine, clock, facts, state, recording };
        let event_loop = EventLoop::new(parts)?;
        let thread = thread::Builder::new().name("loop".to_owned()).spawn(move || event_loop.run())?;
        readiness.listening.store(true, Ordering::Relaxed);
        Ok(Proxy { handle, clock, thread, http, miners, metrics, feed: with_feed.then_some(reader) })
    }

    /// How other threads reach the loop.
    pub fn handle(&self) -> LoopHandle {
        self.handle.clone()
    }

    /// The clock that the facts' times are of.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Where miners connect.
    pub fn miner_addresses(&self) -> &[SocketAddr] {
        &self.miners
    }

    /// Where metrics are served; empty if nowhere.
    pub fn metrics_addresses(&self) -> &[SocketAddr] {
        &self.metrics
    }

    /// The stream of facts, if it was asked for; once.
    pub fn take_feed(&mut self) -> Option<FeedReader> {
        self.feed.take()
    }

    /// Waits for the end.
    pub fn wait(self) -> Outcome {
        let outcome = self.thread.join().unwrap_or_else(|_| Outcome::Crashed("the event loop panicked".to_owned()));
        if let Some(http) = self.http {
            http.stop();
        }
        outcome
    }
}

/// A recording that cannot be had is said, and mining goes on.
fn start_recording(folder: PathBuf, config: &Config, metrics: &Metrics) -> Option<Recording> {
    let shown = folder.display().to_string();
    match Recording::start(folder, config.recording.max_mib, metrics.recording.clone()) {
        Ok(recording) => Some(recording),
        Err(error) => {
            line(Level::Warn, "recording_failed")
                .text("path", shown)
                .show("err", error)
                .text("text", "mining goes on, and nothing is recorded; see recording.dir in the config")
                .send();
            None
        }
    }
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

fn serve_metrics(address: &Address, observed: Observed) -> (Option<Server>, Vec<SocketAddr>) {
    let started = bind_all(address).and_then(|listeners| {
        let bound = addresses(&listeners);
        let ports =
            listeners.into_iter().map(|listener| Port { listener, router: metrics_routes(observed.clone()) }).collect();
        Ok((Server::start(ports)?, bound))
    });
    match started {
        Ok((server, bound)) => {
            let port = bound.first().map_or(address.port, SocketAddr::port);
            line(Level::Info, "metrics_started").text("host", &address.host).value("port", port).send();
            (Some(server), bound)
        }
        Err(error) => {
            line(Level::Warn, "metrics_start_failed")
                .text("host", &address.host)
                .value("port", address.port)
                .text("err", bind_words(&error))
                .text("text", "mining goes on without metrics; choose another port with --metrics HOST:PORT")
                .send();
            (None, Vec::new())
        }
    }
}

fn check_descriptors(config: &Config) {
    let limit = fd_limit::raise();
    let shortage = limit.and_then(|limit| fd_limit::shortage(limit, config.limits.max_miners, config.pools.len()));
    if let (Some(words), Some(limit)) = (shortage, limit) {
        line(Level::Warn, "file_limit_low").value("limit", limit).text("text", words).send();
    }
}

fn say_listening(config: &Config, miners: &[SocketAddr], config_path: &str) {
    let addrs: Vec<String> = miners.iter().map(SocketAddr::to_string).collect();
    let mut listening = line(Level::Info, "dpmp_listening").text("addrs", addrs.join(", ")).text("config", config_path);
    let mut weights = String::new();
    for (pool, settings) in config.pool_ids().zip(&config.pools) {
        listening = listening.text(&format!("upstream{pool}"), show(&settings.address));
        let weight = config.scheduler.weights.get(pool.index()).copied().unwrap_or(0);
        let separator = if weights.is_empty() { "" } else { ":" };
        weights.push_str(&format!("{separator}{}", f64::from(weight) / 1e4));
        if !config.in_use(pool) {
            line(Level::Info, "pool_skipped_zero_weight").show("pool", pool).send();
        }
    }
    listening.text("weights", weights).send();
}
