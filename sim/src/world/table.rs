//! How exactly a fleet's work is divided, measured by the true hashes of a world and not by what the engine believes: one
//! [`Case`] is one world, one [`Row`] what came of it.
//!
//! The error of a window is the difference of two readings of one number, the work done for a pool less its share of all
//! work, read once a second. The worst window of a length is the largest such difference.

use std::fmt;

use dpmp_core::notice::SwitchReason;
use dpmp_core::time::Span;
use dpmp_core::{Command, Config, Notice, PoolId, config};

use super::{Fault, World, WorldSpec};
use crate::miner::{MinerSpec, Personality, Step};
use crate::pool::{OutageMode, PoolSpec, Script, Suggest};
use crate::pow::Pow;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
/// The windows of DESIGN.md, in seconds, and their names.
pub const WINDOWS: [(usize, &str); 3] = [(300, "5 min"), (3_600, "1 h"), (86_400, "24 h")];
/// Miners are there, and told their difficulty.
const SETTLED_S: usize = 240;

/// Something that happens to a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Happens {
    /// Pool `0` is out from minute `1` to minute `2`.
    Outage(usize, u64, u64),
    /// Pool `0` refuses so many of a thousand shares (`3`) from minute `1` to minute `2`.
    Rejects(usize, u64, u64, u64),
    /// Miner `0` is away from minute `1` to minute `2`.
    Away(usize, u64, u64),
    /// At minute `0`, these weights in percent.
    Weights(u64, Vec<u32>),
    /// At minute `0`, this mode.
    Mode(u64, config::Mode),
}

/// One fleet, one config.
#[derive(Clone, Debug)]
pub struct Case {
    /// For the table.
    pub name: String,
    /// Percent, one a pool.
    pub weights: Vec<u32>,
    /// Hashes a second, one a miner.
    pub rates: Vec<f64>,
    /// Divides by every miner's work, or by whole miners.
    pub mode: config::Mode,
    /// Workers are called `w0`, `w1`, ... .
    pub pins: Vec<(String, usize)>,
    /// Seconds.
    pub min_switch: u64,
    /// Seconds.
    pub slice: u64,
    /// Length of the run.
    pub minutes: u64,
    /// Miners come within so many minutes.
    pub arrive: u64,
    /// Shares of each miner.
    pub per_minute: f64,
    /// Each miner hashes nothing for so many milliseconds after a job that replaces the ones before.
    pub restart_ms: u64,
    /// In any order.
    pub happens: Vec<Happens>,
    /// The bound in seconds of work of the whole fleet, and in parts of it at each instant; none: not stated.
    pub bound: Option<(f64, f64)>,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Row {
    /// Of the case.
    pub name: String,
    /// Of the case.
    pub miners: usize,
    /// Worst error in percentage points of the windows of [`WINDOWS`] that fit into the quiet times, and the bound.
    pub windows: Vec<Option<(f64, f64)>>,
    /// Worst error in percentage points of the windows of 5 min in the last quiet time's second half, and the bound of a
    /// steady state, that is with known hash rates; none: the bound is not for this case.
    pub steady: Option<(f64, f64)>,
    /// Worst error at an instant of the last quiet time's second half, in percentage points, and the bound.
    pub instant: (f64, f64),
    /// Seconds after the last thing that happened until every window of 5 min is within the bound; none: nothing happened.
    pub holds_again: Option<f64>,
    /// Error of the whole run, in percentage points.
    pub whole: f64,
    /// Switches by plan an hour, of all miners.
    pub switches: f64,
    /// Miners that switched by plan in the last quarter of an hour.
    pub in_motion: usize,
    /// What the miners did not hash because their pipelines were filled anew, or they had no job, in percent of what they
    /// could; not in the table.
    pub idle: f64,
    /// The accepted difficulty of the first pool against its part of the true work for all, in standard deviations.
    pub accepted: f64,
    /// How long it took to find out, in seconds; not in the table.
    pub took: f64,
    /// Whatever the world complains of.
    pub violations: Vec<String>,
}

/// `n` rates that span `decades`, the largest 200 TH/s.
pub fn decades(n: usize, decades: f64) -> Vec<f64> {
    let step = if n > 1 { decades / (n - 1) as f64 } else { 0.0 };
    (0..n).map(|i| 2e14 / libm::pow(10.0, step * i as f64)).collect()
}

impl Case {
    /// A calm one with equal miners.
    pub fn new(weights: &[u32], miners: usize, minutes: u64) -> Case {
        let weights = weights.to_vec();
        let name = weights.iter().map(u32::to_string).collect::<Vec<_>>().join(":");
        let case = Case {
            name,
            weights,
            rates: vec![1e13; miners],
            mode: config::Mode::Ratio,
            pins: Vec::new(),
            min_switch: 50,
            slice: 30,
            minutes,
            arrive: 0,
            per_minute: 2.0,
            restart_ms: 0,
            happens: Vec::new(),
            bound: None,
        };
        case.with_rates(vec![1e13; miners])
    }

    /// These rates, and the bound of DESIGN.md §5 for them.
    #[must_use]
    pub fn with_rates(mut self, rates: Vec<f64>) -> Case {
        let all: f64 = rates.iter().sum();
        let largest = rates.iter().copied().fold(0.0, f64::max) / all;
        let (dwell, w) = self.dwell();
        let several = self.weights.len() as f64;
        self.bound = Some(match self.weights.len() {
            2 => (dwell * (1.0 - w), largest),
            // Tijdeman's rule, and its two runs of slices at an instant if all are equal.
            _ => {
                let rule = 1.0 - 1.0 / (2.0 * several - 2.0);
                (2.0 * dwell * rule, 4.0 * rule * largest)
            }
        });
        self.rates = rates;
        self
    }

    /// In points of five minutes: what the phases of DESIGN.md §5 leave of one largest miner's dwell.
    fn steady_bound(&self) -> Option<f64> {
        let leaves = self.happens.iter().any(|happens| matches!(happens, Happens::Mode(_, config::Mode::Fleet)));
        let ratio = self.mode == config::Mode::Ratio && !leaves && self.weights.len() == 2 && self.pins.is_empty();
        let (dwell, w) = self.dwell();
        let all: f64 = self.rates.iter().sum();
        let largest = self.rates.iter().copied().fold(0.0, f64::max) / all;
        ratio.then(|| dwell / (4.0 * w) * largest * largest / 300.0 * 100.0)
    }

    /// This name behind the weights.
    #[must_use]
    pub fn named(mut self, name: &str) -> Case {
        self.name = format!("{} {name}", self.name);
        self
    }

    /// Whole miners are placed.
    #[must_use]
    pub fn fleet(mut self) -> Case {
        self.mode = config::Mode::Fleet;
        self.named("fleet")
    }

    /// With this happening.
    #[must_use]
    pub fn with(mut self, happens: Happens) -> Case {
        self.happens.push(happens);
        self
    }

    /// The dwell in seconds on the smaller pool, and its weight.
    pub fn dwell(&self) -> (f64, f64) {
        let sum: u32 = self.weights.iter().sum();
        let w = f64::from(self.weights.iter().copied().min().unwrap_or(0)) / f64::from(sum);
        let most = self.min_switch as f64;
        let dwell = if self.weights.len() == 2 { (most * 2.0 * w).clamp(self.slice as f64, most) } else { most };
        (dwell, w)
    }

    fn ppm(weights: &[u32]) -> Vec<u32> {
        let weights: Vec<u128> = weights.iter().map(|w| u128::from(*w)).collect();
        config::normalise(&weights).unwrap_or_default()
    }

    fn config(&self, pools: &[PoolSpec]) -> Config {
        let mut config = WorldSpec::config(pools);
        config.scheduler.weights = Case::ppm(&self.weights);
        config.scheduler.mode = self.mode;
        config.scheduler.min_switch = Span::secs(self.min_switch);
        config.scheduler.slice = Span::secs(self.slice);
        config.scheduler.pins = self.pins.iter().map(|(w, pool)| (w.clone(), PoolId(*pool as u8))).collect();
        config
    }

    /// The world before it begins.
    pub fn world(&self) -> World {
        let pow = Pow::Keyed(7);
        let firmwares = [Personality::cgminer, Personality::bitaxe, Personality::antminer, Personality::whatsminer];
        let miner = |(i, rate): (usize, &f64)| {
            let mut personality = if *rate < 1e6 { Personality::nerdminer() } else { firmwares[i % 4]() };
            personality.hashes_per_work = 3;
            personality.restart_us = self.restart_ms * 1_000;
            let difficulty = rate / 4_295_032_833.0 * 60.0 / self.per_minute;
            personality.handshake.retain(|step| !matches!(step, Step::SuggestDifficulty(_) | Step::SuggestTarget(_)));
            // Pools set the difficulty that is suggested and keep to it: else their own ups and downs would be in the table.
            personality.handshake.push(Step::SuggestDifficulty(difficulty));
            MinerSpec::new(&format!("w{i}"), *rate, personality, i as u64)
        };
        let miners: Vec<MinerSpec> = self.rates.iter().enumerate().map(miner).collect();
        let pool = |i: usize| {
            let spec = PoolSpec::new(["left", "right", "third", "fourth"][i % 4], i as u64 + 1);
            // Of the largest miner: it must not begin with a storm.
            let first = self.rates.iter().copied().fold(1.0, f64::max) / 4_295_032_833.0 * 60.0 / self.per_minute;
            let job_interval_us = 120 * SECOND;
            let suggest = Suggest::Obeyed;
            // One block: what a pool refuses as stale is made up for, and that would be in the table.
            let jobs_per_block = u32::MAX;
            PoolSpec {
                difficulty: format!("{first:.6}"),
                suggest,
                job_interval_us,
                jobs_per_block,
                branches: 2,
                ..spec
            }
        };
        let mut pools: Vec<PoolSpec> = (0..self.weights.len()).map(pool).collect();
        let config = self.config(&pools);
        let mut faults = Vec::new();
        for happens in &self.happens {
            match happens {
                Happens::Outage(pool, from, to) => {
                    let out = Script::Outage { mode: OutageMode::Close, until_us: to * MINUTE };
                    pools[*pool].script.push((from * MINUTE, out));
                }
                Happens::Rejects(pool, from, to, permille) => {
                    pools[*pool].script.push((from * MINUTE, Script::RefuseShares { permille: *permille }));
                    pools[*pool].script.push((to * MINUTE, Script::RefuseShares { permille: 0 }));
                }
                Happens::Away(miner, from, to) => {
                    faults.push((from * MINUTE, Fault::AwayMiner { miner: *miner, until_us: to * MINUTE }));
                }
                Happens::Weights(at, weights) => {
                    faults.push((at * MINUTE, Fault::Command(Command::SetWeights(Case::ppm(weights)))));
                }
                Happens::Mode(at, mode) => {
                    let mut config = config.clone();
                    config.scheduler.mode = *mode;
                    faults.push((at * MINUTE, Fault::Command(Command::SetConfig(Box::new(config)))));
                }
            }
        }
        faults.sort_by_key(|(at, _)| *at);
        let mut spec = WorldSpec { pow, config, faults, ..WorldSpec::new(11, pools, miners) };
        spec.arrival_us = (SECOND, SECOND + self.arrive * MINUTE);
        spec.net.cut_permille = 0;
        World::new(spec)
    }

    /// Seconds of the run in which nothing happened for a while: from, to.
    fn quiet(&self) -> Vec<(usize, usize)> {
        let ends = |h: &Happens| match h {
            Happens::Outage(_, from, to) | Happens::Rejects(_, from, to, _) | Happens::Away(_, from, to) => {
                (*from, *to)
            }
            Happens::Weights(at, _) | Happens::Mode(at, _) => (*at, *at),
        };
        let mut busy: Vec<(u64, u64)> = self.happens.iter().map(ends).collect();
        busy.sort_unstable();
        let mut from = SETTLED_S + self.arrive as usize * 60;
        let mut all = Vec::new();
        for (start, end) in busy {
            all.push((from, start as usize * 60));
            from = from.max(end as usize * 60);
        }
        all.push((from, self.minutes as usize * 60));
        all.retain(|(from, to)| to > from);
        all
    }

    /// Lets it happen.
    pub fn run(&self) -> Row {
        let start = std::time::Instant::now();
        let mut world = self.world();
        world.keep_notices();
        let pools = self.weights.len();
        let mut weights = self.weights.clone();
        // The error of each pool's work, and all work, once a second.
        let (mut error, mut all, mut shares) = (vec![vec![0.0]; pools], vec![0.0], Vec::new());
        let (mut switches, mut movers) = (0u64, std::collections::BTreeSet::new());
        let mut before = vec![0.0; pools];
        let steady = (self.minutes - self.minutes.min(15)) * MINUTE;
        for second in 1..=self.minutes * 60 {
            world.run_until(second * SECOND);
            for (at, notice) in world.take_notices() {
                if let Notice::PoolSwitched { who, from: Some(_), why, .. } = notice
                    && matches!(why, SwitchReason::Schedule | SwitchReason::Balance)
                {
                    switches += 1;
                    if at > steady {
                        movers.insert(who.worker);
                    }
                }
            }
            for happens in &self.happens {
                if let Happens::Weights(at, new) = happens
                    && at * 60 == second
                {
                    weights.clone_from(new);
                }
            }
            let work = world.work();
            let done: Vec<f64> = work.iter().zip(&before).map(|(now, before)| now - before).collect();
            before = work;
            let sum: f64 = weights.iter().sum::<u32>().into();
            let total: f64 = done.iter().sum();
            for (pool, error) in error.iter_mut().enumerate() {
                let last = error.last().copied().unwrap_or(0.0);
                error.push(last + done[pool] - total * f64::from(weights[pool]) / sum);
            }
            all.push(all.last().copied().unwrap_or(0.0) + total);
            let rates = world.rates();
            let rate: f64 = rates.iter().sum();
            let off = |(pool, r): (usize, &f64)| (r / rate.max(1e-9) - f64::from(weights[pool]) / sum).abs();
            shares.push(rates.iter().enumerate().map(off).fold(0.0, f64::max));
        }
        let took = start.elapsed().as_secs_f64();
        Row { took, ..self.row(&mut world, &error, &all, &shares, (switches, movers.len())) }
    }

    fn row(
        &self,
        world: &mut World,
        error: &[Vec<f64>],
        all: &[f64],
        shares: &[f64],
        (switches, in_motion): (u64, usize),
    ) -> Row {
        let quiet = self.quiet();
        let (bound_s, bound_instant) = self.bound.unwrap_or((0.0, 0.0));
        let worst = |window: usize, from: usize, to: usize| {
            let at = |t: usize| {
                let done = all[t + window] - all[t];
                error.iter().map(|e| (e[t + window] - e[t]).abs() / done.max(1e-9)).fold(0.0, f64::max)
            };
            (from..to.saturating_sub(window)).map(at).reduce(f64::max)
        };
        let windows = WINDOWS.map(|(window, _)| {
            let all = quiet.iter().filter_map(|(from, to)| worst(window, *from, *to));
            all.reduce(f64::max).map(|worst| (worst * 100.0, bound_s / window as f64 * 100.0))
        });
        let (from, to) = quiet.last().copied().unwrap_or((0, 0));
        let steady = self.steady_bound().and_then(|bound| Some((worst(300, (from + to) / 2, to)? * 100.0, bound)));
        let instant = shares[((from + to) / 2).min(to.saturating_sub(1))..to].iter().copied().fold(0.0, f64::max);
        let slack = 1.02;
        let late = (from..to.saturating_sub(300))
            .rev()
            .find(|t| worst(300, *t, *t + 301).is_some_and(|worst| worst > bound_s / 300.0 * slack + 1e-3));
        let happened = !self.happens.is_empty();
        let end = all.len() - 1;
        let could = (end - SETTLED_S) as f64 * self.rates.iter().sum::<f64>();
        let whole = error.iter().map(|e| e[end].abs() / all[end]).fold(0.0, f64::max) * 100.0;
        let outcome = world.outcome();
        Row {
            name: self.name.clone(),
            miners: self.rates.len(),
            windows: windows.to_vec(),
            steady,
            instant: (instant * 100.0, bound_instant * 100.0),
            holds_again: happened.then(|| late.map_or(0.0, |t| (t + 300 - from) as f64)),
            whole,
            switches: switches as f64 * 60.0 / self.minutes as f64,
            in_motion,
            idle: 100.0 - (all[end] - all[SETTLED_S]) / could * 100.0,
            accepted: luck(&outcome),
            took: 0.0,
            violations: outcome.violations.into_iter().filter(|v| !v.starts_with("I6")).collect(),
        }
    }
}

/// Accepted difficulty of the first pool less what its hashes give on average, in standard deviations of the chance that
/// each share is.
fn luck(outcome: &super::Outcome) -> f64 {
    let (mut off, mut variance) = (0.0, 0.0);
    if let Some(pool) = outcome.pools.first() {
        let hashes: f64 = outcome.hashes.iter().filter_map(|row| row.first()).sum();
        let shares = &pool.shares;
        off += shares.accepted_difficulty + shares.rejected_difficulty - hashes / 4_295_032_833.0;
        variance += shares.squares;
    }
    if variance > 0.0 { off / variance.sqrt() } else { 0.0 }
}

/// The heading for rows.
pub const HEADING: &str = "\
weights, case                        miners   worst window, error in points (bound)              5 min, steady    at an     holds    whole  switches  in      accepted
                                              5 min          1 h            24 h           points (bound)   instant (bound) again   run    an hour   motion  off by";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<36} {:>6}", self.name, self.miners)?;
        for window in &self.windows {
            match window {
                Some((worst, bound)) => write!(f, "  {worst:5.2} ({bound:5.2})")?,
                None => write!(f, "  {:13}", "")?,
            }
        }
        match self.steady {
            Some((worst, bound)) => write!(f, "  {worst:6.3} ({bound:6.3})")?,
            None => write!(f, "  {:15}", "")?,
        }
        write!(f, "  {:5.1} ({:5.1})", self.instant.0, self.instant.1)?;
        match self.holds_again {
            Some(seconds) => write!(f, "  {seconds:5.0} s")?,
            None => write!(f, "  {:7}", "")?,
        }
        write!(f, "  {:5.2}  {:8.1}  {:6}  {:+5.1} σ", self.whole, self.switches, self.in_motion, self.accepted)
    }
}
