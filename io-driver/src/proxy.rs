//! The proxy put together: bind, start the threads, hand out the ends. Used by the `dpmp` command, the demo and the tests;
//! it reads no command line and no environment.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use dpmp_core::config::{Address, Config, Logging};
use dpmp_core::trace::Start;
use log::Level;
use mio::Poll;

use crate::clock::Clock;
use crate::dashboard::{self, Dashboard};
use crate::event_loop::{EventLoop, Outcome, Parts};
use crate::facts::{Facts, Readiness, pool_keys};
use crate::fd_limit;
use crate::feed::feed;
use crate::http::{Observed, Server, ServerHandle, Site, metrics_routes};
use crate::live_weights::{self, LiveWeights};
use crate::logs::line;
use crate::metrics::{Metrics, Recorder};
use crate::recording::Recording;
use crate::reload::{Bound, Ports, Reloader, Running};
use crate::requests::LoopHandle;
use crate::settings::ConfigFile;
use crate::statistics::{self, Places, Snapshot, Started, Statistics, Stopwatch};

/// What to start.
#[derive(Debug)]
pub struct Options {
    /// The config, with the command line's changes in it.
    pub config: Config,
    /// Where the config came from, for the log.
    pub config_path: String,
    /// `state.json`, where what lasts is kept, with other files of its kind beside it; none: nowhere.
    pub state_path: Option<PathBuf>,
    /// The folder of the flight recording; none: nothing is recorded.
    pub recording_path: Option<PathBuf>,
    /// The file that the config came from, and its text: a new one is put in force while the proxy runs. None: the config
    /// stays as it is.
    pub file: Option<(ConfigFile, String)>,
    /// The dashboard; none: there is none, whatever the config says.
    pub dashboard: Option<DashboardOptions>,
}

/// What the dashboard needs beside the config.
#[derive(Clone, Debug, Default)]
pub struct DashboardOptions {
    /// Where its files are: beside the config.
    pub folder: PathBuf,
    /// A password that wins over all files.
    pub password: Option<String>,
}

struct Origin {
    config: String,
    file: Option<(ConfigFile, String)>,
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
pub(crate) fn bind_words(error: &io::Error) -> String {
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
    statistics: Statistics,
    counting: JoinHandle<Arc<Snapshot>>,
    http: Server,
    ports: Arc<Mutex<Ports>>,
    metrics: Metrics,
    reloader: Option<Reloader>,
    dashboard: Option<Dashboard>,
}

impl Proxy {
    /// Binds the ports and starts. Miners can connect when this returns. A metrics port that cannot be had is logged,
    /// and mining goes on.
    pub fn start(options: Options) -> Result<Proxy, StartError> {
        let Options { config, config_path, state_path, recording_path, file, dashboard } = options;
        let (miners, listeners) = Bound::bind(&config.listen, None)
            .map_err(|error| StartError::Listen { address: config.listen.clone(), error })?;
        check_descriptors(&config);
        let origin = Origin { config: config_path, file, state: state_path, recording: recording_path };
        Proxy::assemble(config, miners, listeners, origin, dashboard).map_err(StartError::System)
    }

    fn assemble(
        mut config: Config,
        miners: Bound,
        listeners: Vec<TcpListener>,
        origin: Origin,
        dashboard: Option<DashboardOptions>,
    ) -> anyhow::Result<Proxy> {
        // What the file says; weights that were moved by hand go into what is run.
        let said = config.clone();
        let dashboard = dashboard.map(|options| {
            let live = live_weights(&mut config, &options);
            (options, live)
        });
        let live = dashboard.as_ref().map(|(_, live)| live.clone());
        let weights = live.clone();
        let places = origin.state.map(|state| Places { state });
        let (clock, stopwatch) = (Clock::start(), Stopwatch::default());
        let Started { memory, reporter, statistics, books, thread: counting } =
            statistics::start(places.as_ref(), &config, clock, &stopwatch, live)?;
        let metrics = Metrics::new(config.pools.len())?;
        // The one place where chance comes from.
        let seed = RandomState::new().hash_one(0u8);
        let start = Start::new(for_engine(config.clone()), memory, seed);
        let engine = start.engine();
        let recording = origin.recording.and_then(|folder| start_recording(folder, start, &metrics));
        let readiness = Arc::new(Readiness::default());
        let (sender, reader) = feed();
        let poll = Poll::new()?;
        let (handle, requests) = LoopHandle::new(poll.registry())?;
        let recorder = Recorder::new(metrics.clone(), &config);
        let facts = Facts {
            recorder,
            readiness: readiness.clone(),
            feed: dashboard.is_some().then_some(sender),
            reporter,
            stopwatch,
            books,
            pools: pool_keys(&config),
        };
        let observed = Observed {
            handle: handle.clone(),
            metrics: metrics.clone(),
            statistics: statistics.clone(),
            readiness: readiness.clone(),
        };
        let http = Server::start()?;
        let mut ports = Ports::new(miners);
        http.handle().routes(Site::Metrics, metrics_routes(observed));
        open_metrics(&mut ports, &config, &http.handle());
        say_listening(&config, &ports.miners(), &origin.config);
        let ports = Arc::new(Mutex::new(ports));
        let running = Running {
            handle: handle.clone(),
            server: http.handle(),
            metrics: metrics.clone(),
            ports: ports.clone(),
            weights,
        };
        let reloader = origin.file.map(|(file, text)| Reloader::new(file, text, said, running));
        let dashboard = match dashboard {
            Some((options, live)) => {
                let parts = dashboard::Parts {
                    config: config.clone(),
                    reloader: reloader.clone(),
                    folder: options.folder,
                    password: options.password,
                    handle: handle.clone(),
                    statistics: statistics.clone(),
                    clock,
                    feed: reader,
                    live,
                    ports: ports.clone(),
                };
                Some(open_dashboard(parts, &config, &http.handle())?)
            }
            None => None,
        };
        let parts = Parts { poll, handle: handle.clone(), requests, listeners, engine, clock, facts, recording };
        let event_loop = EventLoop::new(parts)?;
        let thread = thread::Builder::new().name("loop".to_owned()).spawn(move || event_loop.run())?;
        readiness.listening.store(true, Ordering::Relaxed);
        Ok(Proxy { handle, clock, thread, statistics, counting, http, ports, metrics, reloader, dashboard })
    }

    /// How other threads reach the loop.
    pub fn handle(&self) -> LoopHandle {
        self.handle.clone()
    }

    /// The clock that the facts' times are of.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// All series.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Where everything listens now.
    pub fn ports(&self) -> MutexGuard<'_, Ports> {
        // A port is entered when it is bound: no panic leaves this half done.
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path on which its config changes; none if it has no file.
    pub fn reloader(&self) -> Option<Reloader> {
        self.reloader.clone()
    }

    /// Where numbers can be had.
    pub fn statistics(&self) -> Statistics {
        self.statistics.clone()
    }

    /// Waits for the end. What lasts is on the disk then. The second value is the last that can be known.
    pub fn wait(self) -> (Outcome, Arc<Snapshot>) {
        let outcome = self.thread.join().unwrap_or_else(|_| Outcome::Crashed("the event loop panicked".to_owned()));
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).close();
        self.http.stop();
        if let Some(dashboard) = self.dashboard {
            dashboard.wait();
        }
        let last = self.counting.join().unwrap_or_else(|_| {
            line(Level::Error, "statistics_failed").text("text", "a bug: what was counted last is lost").send();
            Arc::default()
        });
        (outcome, last)
    }
}

/// A recording that cannot be had is said, and mining goes on.
fn start_recording(folder: PathBuf, start: Start, metrics: &Metrics) -> Option<Recording> {
    let shown = folder.display().to_string();
    match Recording::start(folder, start.config.recording.max_mib, metrics.recording.clone()) {
        Ok(recording) => Some(recording.of(start)),
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

fn open_metrics(ports: &mut Ports, config: &Config, http: &ServerHandle) {
    let Some(address) = &config.metrics else { return ports.leave_off(Site::Metrics) };
    match ports.open(Site::Metrics, config, http) {
        Ok(()) => {
            let port = ports.site(Site::Metrics).first().map_or(address.port, SocketAddr::port);
            line(Level::Info, "metrics_started").text("host", &address.host).value("port", port).send();
        }
        Err(error) => line(Level::Warn, "metrics_start_failed")
            .text("host", &address.host)
            .value("port", address.port)
            .text("err", bind_words(&error))
            .text("text", "mining goes on without metrics; choose another port with --metrics HOST:PORT")
            .send(),
    }
}

/// Who has as many miners as this knows what a descriptor is.
const ENOUGH_FOR_MOST: u32 = 1_000;

/// The weights' memory; what was moved before the last stop goes into the config.
fn live_weights(config: &mut Config, options: &DashboardOptions) -> Arc<LiveWeights> {
    let path = options.folder.join(live_weights::NAME);
    let live = LiveWeights::new(Some(path), config.scheduler.weights.clone());
    if let Some(weights) = live.kept() {
        line(Level::Info, "weights_override_loaded")
            .text("text", "the weights that were set on the dashboard are in force, not the config's")
            .send();
        config.scheduler.weights = weights;
    }
    Arc::new(live)
}

/// A dashboard whose port cannot be had is said, and mining goes on.
fn open_dashboard(parts: dashboard::Parts, config: &Config, http: &ServerHandle) -> io::Result<Dashboard> {
    let ports = parts.ports.clone();
    let (dashboard, router) = Dashboard::start(parts)?;
    http.routes(Site::Dashboard, router);
    let mut ports = ports.lock().unwrap_or_else(PoisonError::into_inner);
    let address = &config.dashboard.address;
    match ports.open(Site::Dashboard, config, http) {
        Ok(()) => {
            if let Some(bound) = ports.site(Site::Dashboard).first() {
                line(Level::Info, "dashboard_started").text("host", &address.host).value("port", bound.port()).send();
            }
        }
        Err(error) => line(Level::Warn, "dashboard_start_failed")
            .text("host", &address.host)
            .value("port", address.port)
            .text("err", bind_words(&error))
            .text("text", "mining goes on without the dashboard; choose another port with --dashboard HOST:PORT")
            .send(),
    }
    drop(ports);
    Ok(dashboard)
}

/// The config as the engine is told it: how lines are written is no affair of its own and in no recording, and no more
/// miners are let in than the system grants descriptors for.
pub(crate) fn for_engine(mut config: Config) -> Config {
    config.logging = Logging::default();
    config.limits.max_miners = fd_limit::let_in(fd_limit::raise(), config.limits.max_miners, config.pools.len());
    config
}

pub(crate) fn check_descriptors(config: &Config) {
    let limit = fd_limit::raise();
    let shortage = limit.and_then(|limit| fd_limit::shortage(limit, config.limits.max_miners, config.pools.len()));
    if let (Some(words), Some(limit)) = (shortage, limit) {
        let enough = fd_limit::enough_for(limit, config.pools.len()) >= ENOUGH_FOR_MOST;
        line(if enough { Level::Info } else { Level::Warn }, "file_limit_low")
            .value("limit", limit)
            .text("text", words)
            .send();
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
