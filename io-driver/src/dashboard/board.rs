//! What the pages show, built from the stream of facts in a thread of its own. Handlers lock it for the moment of a
//! reading; the mining loop never waits for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dpmp_core::config::Config;
use dpmp_core::notice::MinerWarning;
use dpmp_core::oracle::OracleStatus;
use dpmp_core::{Notice, PoolId, Time};
use log::Level;

use super::auto;
use super::history::{self, History, Now};
use super::links::{Links, Shown, State};
use super::recent::Recent;
use super::timeline::{Kind, PoolsChange, Timeline, Weight};
use crate::background;
use crate::clock::{Clock, unix_micros};
use crate::feed::FeedReader;
use crate::logs::{line, redact};
use crate::statistics::snapshot::Pool;
use crate::statistics::{Snapshot, Statistics};
use crate::table::si;

/// A sample for the charts is taken this often.
const SAMPLE: Duration = Duration::from_secs(1);
/// Milliseconds in which a pool's same message is told once.
const SAME_MESSAGE: u64 = 3_600_000;
/// The history is written this often.
const SAVE: Duration = Duration::from_secs(300);

/// The model.
pub(super) struct Board {
    pub(super) clock: Clock,
    /// The numbers of a second ago; none before the first.
    pub(super) numbers: Arc<Snapshot>,
    /// What each worker did lately.
    pub(super) recent: Recent,
    pub(super) links: Links,
    pub(super) history: History,
    pub(super) timeline: Timeline,
    /// The weights in force, parts per million.
    pub(super) weights: Vec<u32>,
    pub(super) failover: Option<PoolId>,
    /// Since when they are, and whether that was a change in this run.
    pub(super) weights_since: Time,
    pub(super) weights_changed: bool,
    /// Milliseconds since 1970 at which the program started.
    pub(super) started: u64,
    /// Where auto-balance stands.
    pub(super) oracle: Option<Arc<OracleStatus>>,
    /// The best share that is known.
    best: Option<f64>,
}

/// The board as others hold it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Board>>);

impl Shared {
    /// The board is whole between any two statements, so a panic elsewhere cannot have left it odd.
    pub(super) fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970, now.
pub(super) fn unix_millis() -> u64 {
    unix_micros() / 1000
}

impl Board {
    fn new(config: &Config, clock: Clock, kept: Option<&PathBuf>) -> Board {
        let (history, mut timeline) = kept.map_or((History::new(), Timeline::default()), |path| History::load(path));
        let started = unix_millis();
        let text = format!("dpmp {} started", env!("CARGO_PKG_VERSION"));
        timeline.push(started, Kind::Start, Weight::Note, None, text);
        Board {
            clock,
            numbers: Arc::default(),
            recent: Recent::default(),
            links: Links::new(),
            history,
            timeline,
            weights: config.scheduler.weights.clone(),
            failover: config.scheduler.failover,
            weights_since: clock.now(),
            weights_changed: false,
            started,
            oracle: None,
            best: None,
        }
    }

    /// A moment of the engine's clock as milliseconds since 1970.
    pub(super) fn wall(&self, time: Time) -> u64 {
        let ago = self.clock.now().since(time);
        unix_millis().saturating_sub(ago.0 / 1000)
    }

    /// True if the pool can ever get work.
    pub(super) fn in_use(&self, pool: PoolId) -> bool {
        self.weights.get(pool.index()).is_some_and(|weight| *weight > 0) || self.failover == Some(pool)
    }

    pub(super) fn pool_state(&self, pool: PoolId) -> Option<State> {
        Some(self.links.of(pool)?.state(self.in_use(pool)))
    }

    /// Something to show among what happened.
    pub(super) fn tell(&mut self, kind: Kind, weight: Weight, pool: Option<PoolId>, text: String) {
        self.timeline.push(unix_millis(), kind, weight, pool.map(|pool| pool.0), text);
    }

    /// Pools or wallets were changed by the page.
    pub(super) fn pools_changed(&mut self, before: Option<u64>, paths: Vec<String>) {
        self.timeline.pools_change = Some(PoolsChange { at: unix_millis(), before, paths });
    }

    fn observe(&mut self, now: Time, notice: &Notice) {
        self.recent.observe(now, notice);
        self.links.observe(now, notice);
        self.history.observe(notice);
        match notice {
            Notice::WeightsChanged { weights } => {
                self.weights = weights.to_vec();
                self.weights_since = now;
                self.weights_changed = true;
                let shares = weights.iter().map(|weight| format!("{}", f64::from(*weight) / 1e4));
                let text = format!("weights {} %", shares.collect::<Vec<_>>().join(" / "));
                self.tell(Kind::Weights, Weight::Note, None, text);
            }
            Notice::ConfigApplied => self.tell(Kind::Config, Weight::Note, None, "a new config is in force".to_owned()),
            Notice::BlockCandidate { who, pool, hash, block, .. } => {
                let hash: String = hash.iter().rev().map(|byte| format!("{byte:02x}")).collect();
                let height = block.height.map_or(String::new(), |height| format!(" {height}"));
                let text =
                    format!("{} found a candidate for block{height} on pool {pool}: {hash}", redact(&who.worker));
                self.tell(Kind::Block, Weight::Good, Some(*pool), text);
            }
            Notice::OracleStatus { status, changed } => {
                let before = self.oracle.replace(status.clone());
                if *changed && before.is_some_and(|before| before.active != status.active) {
                    let text =
                        if status.active { "auto-balance moves the weights" } else { "the weights are set by hand" };
                    self.tell(Kind::Weights, Weight::Note, None, text.to_owned());
                }
            }
            Notice::OracleDecided { reason, .. } => {
                self.tell(Kind::Weights, Weight::Note, None, format!("auto-balance: {reason}"));
            }
            Notice::PoolMessage { pool, text } => {
                let text = format!("pool {pool} says: {}", redact(text));
                // Each connection is told the same: one a miner.
                let since = unix_millis().saturating_sub(SAME_MESSAGE);
                if !self.timeline.said_since(since, Kind::Message, &text) {
                    self.tell(Kind::Message, Weight::Note, Some(*pool), text);
                }
            }
            Notice::MinerWarning { who, what } => {
                if let Some(words) = warning(what) {
                    self.tell(Kind::Miner, Weight::Warn, None, format!("{}: {words}", redact(&who.worker)));
                }
            }
            _ => {}
        }
    }

    /// A best share of all time is told, once the first of a run are over.
    fn best_share(&mut self) {
        let Some(best) = self.numbers.records.best.clone() else { return };
        let before = self.best.replace(best.difficulty);
        let early = self.numbers.uptime_seconds < 600.0 && self.numbers.totals.ended < 10_000;
        if early || before.is_none_or(|before| before >= best.difficulty) {
            return;
        }
        let pool = self.numbers.pools.iter().find(|pool| best.pool.starts_with(&pool.pool));
        let part = pool.and_then(|pool| pool.network_difficulty).filter(|network| *network > 0.0);
        let part = part.map_or(String::new(), |network| {
            format!(", {} % of the network's", tiny(best.difficulty / network * 100.0))
        });
        let slot = best.pool.chars().next().unwrap_or('?');
        let text = format!(
            "{} found a share of difficulty {} on pool {slot}{part}",
            redact(&best.worker),
            difficulty(best.difficulty)
        );
        self.tell(Kind::Best, Weight::Good, None, text);
    }

    /// Once a second: outages for the timeline, a sample for the charts.
    fn sample(&mut self) {
        let (weights, failover) = (self.weights.clone(), self.failover);
        let in_use = |pool: PoolId| weights.get(pool.index()).is_some_and(|w| *w > 0) || failover == Some(pool);
        for (pool, before, state) in self.links.changed(self.clock.now(), in_use) {
            let words = state.words.unwrap_or_default();
            match (before, state.shown) {
                (_, Shown::Down) => {
                    self.tell(Kind::Down, Weight::Bad, Some(pool), format!("pool {pool} is down: {words}"))
                }
                (_, Shown::Refused) => {
                    self.tell(Kind::Down, Weight::Bad, Some(pool), format!("pool {pool} refuses: {words}"));
                }
                (Some(Shown::Down | Shown::Refused), Shown::Up | Shown::Partly | Shown::Ready) => {
                    self.tell(Kind::Up, Weight::Good, Some(pool), format!("pool {pool} is back"));
                }
                _ => {}
            }
        }
        self.best_share();
        self.recent.sample(self.clock.now(), &self.numbers);
        let states = (0..self.weights.len()).filter_map(|slot| self.pool_state(PoolId(slot as u8)));
        let up = states.map(|state| matches!(state.shown, Shown::Up | Shown::Partly)).collect();
        let miners = u32::try_from(self.numbers.miners.ready).unwrap_or(u32::MAX);
        // Measured where it can be; else what the difficulty says.
        let network = |pool: &Pool| match auto::network(self, &pool.chain) {
            Some((short, long)) => (Some(short), Some(long)),
            None => (pool.network_difficulty.map(network_rate), None),
        };
        let network = self.numbers.pools.iter().map(network).collect();
        let now = Now { up, weights: self.weights.clone(), network, miners };
        self.history.sample(unix_micros() / 1_000_000, &now);
    }
}

/// Hashes a second of a network that finds a block in ten minutes.
fn network_rate(difficulty: f64) -> f64 {
    difficulty * 4_294_967_296.0 / 600.0
}

fn warning(what: &MinerWarning) -> Option<String> {
    Some(match what {
        MinerWarning::RollsOutsideMask { .. } => "rolls version bits that it was not given".to_owned(),
        MinerWarning::NoCommonMask => "the pools have no version bits in common".to_owned(),
        MinerWarning::HeldForMask { pool } => format!("insists on version rolling and stays on pool {pool}"),
        MinerWarning::FallBack { .. } => "its firmware changes pool by subscribing again".to_owned(),
        MinerWarning::LayoutMistrusted => {
            "its shares keep failing the check: hardware errors or odd firmware".to_owned()
        }
        MinerWarning::CoinbaseTooLong { pool, .. } => {
            format!("the coinbase of pool {pool} is too long for its firmware")
        }
        MinerWarning::DifficultyAbovePool { pool, lost_ppm } => {
            format!("downstream_diff is above pool {pool}'s: {:.1} % of the pay is lost", f64::from(*lost_ppm) / 1e4)
        }
    })
}

/// A part in percent, with two significant digits however small.
fn tiny(value: f64) -> String {
    match value {
        _ if value >= 10.0 => format!("{value:.0}"),
        _ if value >= 1e-9 => significant(value, 2),
        _ => "less than 0.000000001".to_owned(),
    }
}

/// Three significant digits, with a prefix from 1000 on.
fn difficulty(value: f64) -> String {
    if value > 0.0 && value < 1.0 { significant(value, 3) } else { si(value, "").trim_end().to_owned() }
}

/// So many significant digits, without an exponent.
fn significant(value: f64, digits: i32) -> String {
    let decimals = (digits - 1 - value.log10().floor() as i32).clamp(0, 15) as usize;
    format!("{value:.decimals$}")
}

/// Where the board has everything from.
pub(super) struct Sources {
    pub(super) feed: FeedReader,
    pub(super) statistics: Statistics,
}

/// The statistics have this long to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts the thread. It ends with the loop, and the history is on the disk then.
pub(super) fn start(
    config: &Config,
    clock: Clock,
    sources: Sources,
    path: Option<PathBuf>,
) -> std::io::Result<(Shared, JoinHandle<()>)> {
    let shared = Shared(Arc::new(Mutex::new(Board::new(config, clock, path.as_ref()))));
    let board = shared.clone();
    let thread = background::spawn("dashboard", move || {
        // The first numbers are asked for at once.
        let (mut sampled, mut saved, mut failing) = (None::<Instant>, Instant::now(), false);
        let mut lives = true;
        while lives {
            let until =
                sampled.map_or(Instant::now(), |last| last + SAMPLE).max(Instant::now() + Duration::from_millis(50));
            lives = sources.feed.read_until(until, |(now, notice)| board.lock().observe(now, &notice));
            if sampled.is_none_or(|last| last.elapsed() >= SAMPLE) {
                sampled = Some(Instant::now());
                // Asked without the lock. If they do not answer the last numbers stay.
                let numbers = sources.statistics.snapshot(PATIENCE);
                let mut board = board.lock();
                if let Some(numbers) = numbers {
                    board.numbers = numbers;
                }
                board.sample();
            }
            if !lives || saved.elapsed() >= SAVE {
                saved = Instant::now();
                failing = !save(&board, path.as_ref(), failing);
            }
        }
    })?;
    Ok((shared, thread))
}

/// False if it could not be written, which is said once.
fn save(board: &Shared, path: Option<&PathBuf>, failing: bool) -> bool {
    let Some(path) = path else { return true };
    let text = {
        let board = board.lock();
        board.history.text(&board.timeline)
    };
    let result = history::save(path, &text);
    if let (Err(error), false) = (&result, failing) {
        line(Level::Warn, "history_write_failed")
            .show("path", path.display())
            .show("err", error)
            .text("text", "the charts will begin anew after a restart")
            .send();
    }
    result.is_ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use dpmp_core::config::PoolConfig;

    pub(in crate::dashboard) fn board() -> (Board, Config) {
        let config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![500_000, 500_000]);
        (Board::new(&config, Clock::start(), None), config)
    }

    #[test]
    fn what_a_pool_tells_every_connection_stands_there_once() {
        let (mut board, _) = board();
        for text in ["we move on Sunday", "fees are 0"].repeat(300) {
            board.observe(Time::ZERO, &Notice::PoolMessage { pool: PoolId(0), text: text.into() });
        }
        board.observe(Time::ZERO, &Notice::PoolMessage { pool: PoolId(1), text: "fees are 0".into() });
        let texts: Vec<_> = board.timeline.after(1).map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["pool A says: we move on Sunday", "pool A says: fees are 0", "pool B says: fees are 0"]);
    }

    #[test]
    fn small_numbers_have_their_digits() {
        let shown = [0.000_012_34, 0.5, 12.34, 84_600.0].map(difficulty);
        assert_eq!(shown, ["0.0000123", "0.500", "12.3", "84.6 k"]);
        let shown = [1.2e-7, 0.034, 2.5, 45.6, 3e-12].map(tiny);
        assert_eq!(shown, ["0.00000012", "0.034", "2.5", "46", "less than 0.000000001"]);
    }
}
