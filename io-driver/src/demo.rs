//! `dpmp demo`: two strict pools, six miners and the real proxy between them, all on real sockets of this machine. It ends
//! with 1 if a share was lost to the proxy.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use dpmp_core::Span;
use dpmp_core::config::{Address, Config, LogLevel, Logging, PoolConfig};
use dpmp_core::ledger::Outcome;
use dpmp_sim::live::{LiveMiners, LivePool, demo_miners, demo_pools};
use dpmp_sim::miner::MinerSnapshot;
use dpmp_sim::pool::{OutageMode, PoolSnapshot};

use crate::cli::Ports;
use crate::dashboard;
use crate::event_loop;
use crate::http::Site;
use crate::logs::{self, RotatingFile, Rotation};
use crate::proxy::{DashboardOptions, Options, Proxy, show};
use crate::settings;
use crate::signals;
use crate::statistics::{Snapshot, Statistics};
use crate::table;

/// Pool A's share of the work in parts per million; pool B has the rest.
const WEIGHT_A: u32 = 600_000;
/// Time on the pool with the smaller weight: short, so that there is something to see.
const DWELL: Span = Span::secs(5);
/// What the miners may take of one core; proxy and pools need little beside.
const CPU_BUDGET: f64 = 0.35;
/// A round of outages takes this long, and then begins again.
const ROUND: u64 = 50;
/// What happens in a round: from and to which second which pool is out, and how.
const OUTAGES: [(u64, u64, usize, OutageMode); 2] = [(14, 20, 1, OutageMode::Refuse), (36, 42, 0, OutageMode::Close)];
/// The table is drawn so often on a terminal, and so often elsewhere.
const REDRAW: Duration = Duration::from_secs(1);
const REPRINT: Duration = Duration::from_secs(5);

/// Runs the demo until `seconds` are over, or until a signal.
pub fn demo(seconds: Option<u64>, calm: bool, ports: &Ports) -> anyhow::Result<ExitCode> {
    let folder = Folder::new()?;
    let logging = Logging { level: LogLevel::Info, ..Logging::default() };
    let log = folder.0.join("dpmp.log");
    let rotation = Rotation { limit: 16 << 20, keep: 1, gzip: false };
    logs::start(Box::new(RotatingFile::open(&log, rotation)?), &logging)?;
    let pools = start_pools()?;
    let config = config(&pools, ports);
    let password = match settings::dashboard_password() {
        Some(password) => password,
        None => dashboard::random_password().context("the system has no random numbers")?,
    };
    let options = Options {
        config: config.clone(),
        config_path: "demo".to_owned(),
        state_path: Some(folder.0.join("state.json")),
        recording_path: Some(folder.0.join("recording")),
        file: None,
        dashboard: Some(DashboardOptions { folder: folder.0.clone(), password: Some(password.clone()) }),
    };
    let proxy = Proxy::start(options)?;
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = stopped.clone();
    let handle = proxy.handle();
    let report = move || {
        // If the loop takes no requests there is nothing to report on.
        let _ = handle.close_recording();
    };
    signals::watch(move || stop.store(true, Ordering::Relaxed), report, None::<fn()>)
        .context("cannot watch for signals")?;
    let miners = LiveMiners::start(demo_miners(), reachable(&proxy)?, CPU_BUDGET).context("cannot start the miners")?;
    let began = Instant::now();
    let mut stage = Stage {
        statistics: proxy.statistics(),
        proxy: &proxy,
        pools: &pools,
        calm,
        outages: 0,
        drawn: false,
        head: head(&proxy, &config, &log, &password),
    };
    let end = seconds.map(|seconds| began + Duration::from_secs(seconds));
    let alive = stage.play(began, end, &stopped);
    // The verdict is about what happened until now, not about the end of it all.
    let (miner_counts, pool_counts) = (miners.snapshot(), pools.iter().map(LivePool::snapshot).collect::<Vec<_>>());
    let outages = stage.outages;
    drop(miners);
    let handle = proxy.handle();
    let asked = handle.drain();
    let (outcome, last) = proxy.wait();
    let mut faults = faults(&last, &miner_counts, &pool_counts, calm);
    if !alive || asked.is_err() || !matches!(outcome, event_loop::Outcome::Drained) {
        faults.push(format!("the proxy ended by itself: {outcome:?}"));
    }
    if last.facts_lost > 0 {
        faults.push(format!("{} facts were not counted: this machine is too slow", last.facts_lost));
    }
    if last.session.accepted == 0 && began.elapsed() >= Duration::from_secs(15) {
        faults.push("no share was accepted".to_owned());
    }
    say(&summary(&last, outages, &faults));
    logs::flush(Duration::from_millis(300));
    if faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = folder.keep();
    say(&[format!(
        "the log is {}, the recording {}",
        kept.join("dpmp.log").display(),
        kept.join("recording").display()
    )]);
    Ok(ExitCode::FAILURE)
}

fn start_pools() -> anyhow::Result<Vec<LivePool>> {
    let start = |spec| LivePool::start(spec, 0).context("cannot start a pool");
    demo_pools().into_iter().map(start).collect()
}

fn config(pools: &[LivePool], ports: &Ports) -> Config {
    let configured = ["A", "B"].into_iter().zip(pools).map(|(key, pool)| {
        let address = Address { host: pool.addr().ip().to_string(), port: pool.addr().port() };
        PoolConfig {
            name: format!("demo {key}"),
            address,
            wallet: format!("demo-wallet-{key}"),
            ..PoolConfig::new(key)
        }
    });
    let mut config = Config::with_pools(configured.collect(), vec![WEIGHT_A, 1_000_000 - WEIGHT_A]);
    let local = |port| Address { host: Ipv4Addr::LOCALHOST.to_string(), port };
    config.listen = local(3351);
    config.metrics = Some(local(9210));
    config.dashboard.address = local(8855);
    config.scheduler.min_switch = DWELL;
    config.scheduler.slice = DWELL;
    config.limits.max_miners = 100;
    config.metrics_per_worker = true;
    settings::apply(ports, &mut config);
    config
}

/// Where the miners find the proxy, wherever it listens.
fn reachable(proxy: &Proxy) -> anyhow::Result<SocketAddr> {
    let mut address = *proxy.ports().miners().first().context("the proxy listens nowhere")?;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(address)
}

fn head(proxy: &Proxy, config: &Config, log: &Path, password: &str) -> Vec<String> {
    let metrics = match (proxy.ports().site(Site::Metrics).first(), &config.metrics) {
        (Some(address), _) => format!("metrics  http://{address}/metrics"),
        (None, Some(address)) => format!("metrics  none: {} is taken; see --metrics HOST:PORT", show(address)),
        (None, None) => "metrics  off".to_owned(),
    };
    let port = proxy.ports().miners().iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
    vec![
        "dpmp demo: two pools and six miners on this machine, the proxy between them".to_owned(),
        format!("miners   stratum+tcp://{port}   (yours may join: any user, any password)"),
        match proxy.ports().site(Site::Dashboard).first() {
            Some(address) => format!("dashboard http://{address}/   password {password}"),
            None => format!("dashboard none: {} is taken; see --dashboard HOST:PORT", show(&config.dashboard.address)),
        },
        metrics,
        format!("log      {}", log.display()),
    ]
}

/// What runs while the demo is on.
struct Stage<'a> {
    statistics: Statistics,
    proxy: &'a Proxy,
    pools: &'a [LivePool],
    calm: bool,
    outages: u32,
    drawn: bool,
    head: Vec<String>,
}

impl Stage<'_> {
    /// Plays until the end, or until stopped. False if the proxy ended before.
    fn play(&mut self, began: Instant, end: Option<Instant>, stopped: &AtomicBool) -> bool {
        let terminal = io::stdout().is_terminal();
        let mut draw = began + REDRAW;
        let mut out = [false; OUTAGES.len()];
        while !stopped.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
            self.outages(began.elapsed().as_secs(), &mut out);
            thread::sleep(Duration::from_millis(100));
            if Instant::now() >= draw {
                draw += if terminal { REDRAW } else { REPRINT };
                if !self.draw(terminal) {
                    return false;
                }
            }
        }
        true
    }

    /// Takes pools out and back as the clock says.
    fn outages(&mut self, second: u64, out: &mut [bool; OUTAGES.len()]) {
        if self.calm {
            return;
        }
        for ((from, to, pool, mode), out) in OUTAGES.into_iter().zip(out) {
            let due = (from..to).contains(&(second % ROUND));
            if due != std::mem::replace(out, due) {
                self.pools[pool].set_outage(due.then_some(mode));
                self.outages += u32::from(due);
            }
        }
    }

    /// False if the proxy has ended.
    fn draw(&mut self, terminal: bool) -> bool {
        let Some(snapshot) = self.statistics.snapshot(Duration::from_secs(5)) else { return false };
        let mut lines = if terminal || !self.drawn { self.head.clone() } else { Vec::new() };
        let scene = match (self.calm, OUTAGES) {
            (true, _) => "both pools stay up (--calm)".to_owned(),
            (false, [b, a]) => format!("each {ROUND} s pool B is out for {} s, pool A for {} s", b.1 - b.0, a.1 - a.0),
        };
        lines.push(format!("second {}; {scene}; Ctrl-C ends", self.proxy.clock().now().0 / 1_000_000));
        lines.push(String::new());
        lines.extend(table::tables(&snapshot));
        if terminal {
            // Home, then each line with the rest of the old one cleared, then everything below.
            let clear = if self.drawn { "\x1b[H" } else { "\x1b[2J\x1b[H" };
            let text: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
            print(&format!("{clear}{text}\x1b[J"));
        } else {
            lines.push(String::new());
            say(&lines);
        }
        self.drawn = true;
        true
    }
}

/// All that may not happen, in words.
fn faults(last: &Snapshot, miners: &[MinerSnapshot], pools: &[PoolSnapshot], calm: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for pool in pools {
        for (reason, n) in pool.shares.by_reason.iter().filter(|(reason, _)| reason.is_fault()) {
            faults.push(format!("{}: {n} shares invalid ({})", pool.name, reason.label()));
        }
    }
    for miner in miners {
        if miner.disconnects + miner.hangups > 0 {
            faults.push(format!("{}: disconnected {} times", miner.name, miner.disconnects + miner.hangups));
        }
        if miner.lost_with_connection + miner.answered_twice > 0 {
            let (lost, twice) = (miner.lost_with_connection, miner.answered_twice);
            faults.push(format!("{}: {lost} shares never answered, {twice} answered twice", miner.name));
        }
    }
    for outcome in Outcome::ALL.into_iter().filter(|outcome| outcome.is_dropped()) {
        let n = last.session.by_outcome.get(outcome.label()).copied().unwrap_or(0);
        // A share for a pool that has just died is lost to the pool, not to the proxy.
        if n > 0 && (calm || outcome != Outcome::Stale) {
            faults.push(format!("{n} shares of honest miners not forwarded ({})", table::drop_words(outcome)));
        }
    }
    if calm && last.session.lost > 0 {
        faults.push(format!("{} shares without an answer of their pool", last.session.lost));
    }
    faults
}

fn summary(last: &Snapshot, outages: u32, faults: &[String]) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(table::pool_summary(last));
    lines.push(format!("shares sent by the miners: {}; outages of pools: {outages}", last.session.ended));
    if faults.is_empty() {
        lines.push("no share was lost to the proxy, and no miner was disconnected".to_owned());
    } else {
        lines.push("FAILED:".to_owned());
        lines.extend(faults.iter().map(|fault| format!("  {fault}")));
    }
    lines
}

fn say(lines: &[String]) {
    print(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
}

/// Whoever closed stdout does not want it.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A temporary folder, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("dpmp-demo-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Folder(path))
    }

    /// Leaves it where it is.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // The system's temporary folder is emptied by the system in the end.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
