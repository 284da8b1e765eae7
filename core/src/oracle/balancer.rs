//! The automatic balance as a whole: who is asked, whether it may speak, and which weights follow. Told what happened and
//! when; knows no connection and no timer.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::balance::{Reading, percent, wanted_ppm};
use super::gain::Gain;
use super::history::{ChainMemory, History, LONG, STALE, Sight, Told};
use super::pace::{Moved, Pace};
use super::pair::{Pair, pair_of, words};
use super::report::Report;
use super::status::{ChainStatus, OracleState, OracleStatus};
use crate::config::{Config, Oracle, OracleFallback, OracleSource};
use crate::ids::PoolId;

/// The server is asked this long after the start, in ms.
const FIRST_POLL: u64 = 60_000;
/// After so many failures in a row the fall back holds.
const PATIENCE: u32 = 3;
/// Most time that one decision accounts for in the gain, in ms: beyond it nothing is known.
const LONGEST_STEP: u64 = 2 * 3_600_000;

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OracleMemory {
    /// By chain's name.
    #[serde(default)]
    pub chains: Vec<(String, ChainMemory)>,
    /// What it was worth so far.
    #[serde(default)]
    pub gain: Gain,
    /// The operator's choice while the proxy ran: on or off, and what the config said then. Another config wins.
    #[serde(default)]
    pub choice: Option<(bool, bool)>,
    /// How far the weights are on their way: the chain whose share it is.
    #[serde(default)]
    pub pace: Option<(String, Pace)>,
}

/// New weights, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) weights: Vec<u32>,
    pub(crate) reason: Arc<str>,
}

/// The server, if one is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Server {
    url: Arc<str>,
    last: Option<Report>,
    failures: u32,
    why: Arc<str>,
    next_poll_ms: Option<u64>,
    /// A question is under way.
    asked: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Balancer {
    config: Oracle,
    active: bool,
    pair: Result<Pair, Arc<str>>,
    /// Each chain that a pool mines.
    chains: BTreeMap<Arc<str>, History>,
    chain_of: Vec<Option<Arc<str>>>,
    server: Server,
    pace: Option<Pace>,
    gain: Gain,
    gained_ms: Option<u64>,
    /// When it first knew the time, in ms since 1970.
    started_ms: Option<u64>,
    /// The reason tells why it could not speak.
    held: bool,
    reason: Arc<str>,
    /// What was told last: state, source, hand.
    told: Option<(OracleState, OracleSource, bool)>,
}

impl Balancer {
    pub(crate) fn new(config: &Config, memory: &OracleMemory) -> Balancer {
        let configured = config.oracle.auto_balance;
        let choice = memory.choice.filter(|(_, then)| *then == configured);
        let mut balancer = Balancer {
            config: config.oracle.clone(),
            active: choice.map_or(configured, |(live, _)| live),
            pair: Err("".into()),
            chains: memory.chains.iter().map(|(name, m)| (name.as_str().into(), History::recall(m))).collect(),
            chain_of: Vec::new(),
            server: Server::default(),
            pace: None,
            gain: memory.gain,
            gained_ms: None,
            started_ms: None,
            held: false,
            reason: "".into(),
            told: None,
        };
        balancer.configure(config);
        balancer.pace = balancer.recalled(memory, &config.scheduler.weights);
        balancer
    }

    /// The pace of before a restart, from the weights in force on.
    fn recalled(&self, memory: &OracleMemory, in_force: &[u32]) -> Option<Pace> {
        let (first, pace) = memory.pace.as_ref()?;
        let pair = self.pair.as_ref().ok()?;
        let mut pace = (**first == *pair.chains[0]).then(|| pace.clone())?;
        if self.active {
            pace.go_on_at(percent(pair.sides.first_share(in_force)));
        }
        Some(pace)
    }

    pub(crate) fn memory(&self) -> OracleMemory {
        let chains = self.chains.iter().map(|(name, history)| (name.to_string(), history.memory()));
        let configured = self.config.auto_balance;
        OracleMemory {
            chains: chains.filter(|(_, memory)| !memory.blocks.is_empty()).collect(),
            gain: self.gain,
            choice: (self.active != configured).then_some((self.active, configured)),
            pace: self.pace.clone().zip(self.pair.as_ref().ok()).map(|(pace, pair)| (pair.chains[0].to_string(), pace)),
        }
    }

    /// Another config holds; its weights are the configured ones from now on.
    pub(crate) fn configure(&mut self, config: &Config) {
        if config.oracle.auto_balance != self.config.auto_balance {
            self.active = config.oracle.auto_balance;
        }
        let chain_of: Vec<Option<Arc<str>>> = config
            .pools
            .iter()
            .map(|pool| {
                (pool.sha256d && !pool.chain.is_empty() && pool.chain != "NONE").then(|| pool.chain.as_str().into())
            })
            .collect();
        for (index, old) in self.chain_of.iter().enumerate() {
            if let Some(old) = old
                && chain_of.get(index) != Some(&Some(old.clone()))
                && let Some(history) = self.chains.get_mut(old)
            {
                history.forget_witness(PoolId(index as u8));
            }
        }
        let named = |name: &Arc<str>| chain_of.iter().flatten().any(|chain| chain == name);
        self.chains.retain(|name, _| named(name));
        for name in chain_of.iter().flatten() {
            self.chains.entry(name.clone()).or_default().call(name);
        }
        self.pair = pair_of(config, &chain_of);
        self.chain_of = chain_of;
        let url: Arc<str> = match &self.pair {
            // The server knows these two only, and a stranger is not asked for nothing.
            Ok(pair) if pair.btc_and_bch().is_some() => config.oracle.url.as_str().into(),
            _ => "".into(),
        };
        if url != self.server.url {
            self.server = Server { url, ..Server::default() };
        }
        self.config = config.oracle.clone();
        self.pace = None;
    }

    /// The operator switches to the automatic balance, or to the slider. False if it is so already.
    pub(crate) fn activate(&mut self, active: bool) -> bool {
        if !active && self.active {
            self.say("auto-balance was switched off: the weights stay as they were".into(), false);
        }
        core::mem::replace(&mut self.active, active) != active
    }

    /// The operator has set the weights.
    pub(crate) fn moved_by_hand(&mut self) {
        self.say("the weights were set by hand".into(), false);
    }

    fn say(&mut self, reason: String, held: bool) {
        (self.reason, self.held) = (reason.into(), held);
    }

    /// The chain that a pool mines, if it has a name.
    pub(crate) fn chain_of(&self, pool: PoolId) -> Option<&Arc<str>> {
        self.chain_of.get(pool.index())?.as_ref()
    }

    /// A pool has sent a job.
    pub(crate) fn see(&mut self, sight: Sight) -> Told {
        let Some(Some(chain)) = self.chain_of.get(sight.pool.index()) else { return Told::Nothing };
        self.chains.get_mut(chain).map_or(Told::Nothing, |history| history.see(sight))
    }

    /// When it wants to be asked again, in ms: a question to the server, or numbers that will be too old.
    pub(crate) fn next_ms(&self, now_ms: u64) -> Option<u64> {
        let Ok(pair) = &self.pair else { return None };
        let heard = pair.chains.iter().filter_map(|c| self.chains.get(c)?.heard_ms());
        let stale = heard.map(|at| at + STALE + 1).filter(|at| *at > now_ms);
        let grace = self.started_ms.map(|at| at + STALE + 1).filter(|at| *at > now_ms);
        self.server.next_poll_ms.into_iter().chain(stale).chain(grace).min()
    }

    /// The address that may tell who the operator is, for redacted recordings.
    pub(crate) fn visit_urls(&mut self, visit: &mut dyn FnMut(&mut Arc<str>)) {
        visit(&mut self.server.url);
        let mut own: Arc<str> = self.config.url.as_str().into();
        visit(&mut own);
        self.config.url = own.to_string();
    }

    /// The server's address, if it is time to ask. Marks it as asked.
    pub(crate) fn poll(&mut self, now_ms: u64) -> Option<Arc<str>> {
        if self.server.url.is_empty() {
            self.server.next_poll_ms = None;
            return None;
        }
        let due = *self.server.next_poll_ms.get_or_insert(now_ms + FIRST_POLL);
        if now_ms < due {
            return None;
        }
        self.server.next_poll_ms = Some(now_ms + self.config.poll.0 / 1000);
        // The last question was not answered at all: the driver's time-out did not hold.
        if core::mem::replace(&mut self.server.asked, true) {
            self.failed("no answer".into());
        }
        Some(self.server.url.clone())
    }

    /// The server's answer, or why there is none. Errors are told in words.
    pub(crate) fn answer(&mut self, answer: Result<&[u8], &str>, now_ms: u64) -> Result<(), Arc<str>> {
        self.server.asked = false;
        match answer.map_err(String::from).and_then(|body| Report::parse(body, now_ms)) {
            Ok(report) => {
                self.server.last = Some(report);
                self.server.failures = 0;
                self.server.why = "".into();
                Ok(())
            }
            Err(why) => {
                let why: Arc<str> = why.into();
                self.failed(why.clone());
                Err(why)
            }
        }
    }

    fn failed(&mut self, why: Arc<str>) {
        self.server.failures = self.server.failures.saturating_add(1);
        self.server.why = why;
    }

    /// Failures of the server in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.server.failures
    }

    fn own(&self, pair: &Pair) -> [Option<Reading>; 2] {
        pair.chains.clone().map(|chain| self.chains.get(&chain)?.reading())
    }

    fn served(&self, pair: &Pair) -> [Option<Reading>; 2] {
        let both = self.server.last.zip(pair.btc_and_bch());
        match both {
            Some((report, [btc, bch])) => {
                let mut all = [None; 2];
                (all[btc], all[bch]) = (Some(report.chains[0]), Some(report.chains[1]));
                all
            }
            None => [None; 2],
        }
    }

    /// Whether it may speak.
    pub(crate) fn state(&self, now_ms: u64) -> OracleState {
        let pair = match &self.pair {
            Ok(pair) => pair,
            Err(why) => return OracleState::Off(why.clone()),
        };
        match self.config.source {
            OracleSource::Own => self.own_state(pair, now_ms),
            OracleSource::Url if pair.btc_and_bch().is_none() => {
                let [one, other] = &pair.chains;
                OracleState::Off(format!("the server knows BTC and BCH, the pools mine {one} and {other}").into())
            }
            OracleSource::Url => self.served_state(now_ms),
        }
    }

    fn own_state(&self, pair: &Pair, now_ms: u64) -> OracleState {
        let known = pair.chains.iter().map(|c| self.chains.get(c).map_or(0, History::known_blocks));
        let blocks = known.min().unwrap_or(0);
        if self.own(pair).contains(&None) {
            return OracleState::Warming { blocks: blocks.min(LONG - 1), of: LONG };
        }
        for chain in &pair.chains {
            let heard = self.chains.get(chain).and_then(History::heard_ms);
            if heard.is_none_or(|at| at + STALE < now_ms) {
                // What held before a restart goes on until the pools have had time to say something.
                let started = self.started_ms.unwrap_or(now_ms);
                if heard.is_none_or(|at| at < started) && now_ms <= started + STALE {
                    return OracleState::Waiting;
                }
                let minutes =
                    heard.map_or_else(|| "since the start".into(), |at| format!("for {} min", (now_ms - at) / 60_000));
                return OracleState::Fallback { why: format!("no job of {chain} {minutes}").into() };
            }
        }
        OracleState::Ready
    }

    fn served_state(&self, now_ms: u64) -> OracleState {
        let (failures, why) = (self.server.failures, self.server.why.clone());
        if failures >= PATIENCE {
            return OracleState::Fallback { why };
        }
        match (self.server.last, failures) {
            (None, 0) => OracleState::Waiting,
            (None, _) => OracleState::Failing { failures, why },
            (Some(last), _) if last.made_ms + STALE + self.config.poll.0 / 1000 < now_ms && failures == 0 => {
                OracleState::Failing { failures, why: "its numbers are old".into() }
            }
            (Some(_), 0) => OracleState::Ready,
            (Some(_), _) => OracleState::Failing { failures, why },
        }
    }

    fn readings(&self, pair: &Pair) -> Option<[Reading; 2]> {
        let all = match self.config.source {
            OracleSource::Own => self.own(pair),
            OracleSource::Url => self.served(pair),
        };
        Some([all[0]?, all[1]?])
    }

    /// Something happened that may change the weights: the ones that should hold from now on, if others than `in_force`.
    pub(crate) fn decide(&mut self, in_force: &[u32], now_ms: u64) -> Option<Decision> {
        self.started_ms.get_or_insert(now_ms);
        let state = self.state(now_ms);
        let pair = self.pair.clone().ok()?;
        let configured = pair.sides.first_share(&pair.sides.configured);
        let share = match state {
            OracleState::Off(_) | OracleState::Waiting | OracleState::Failing { .. } => return None,
            OracleState::Warming { blocks, of } => {
                self.pace = None;
                return self.hold(
                    &pair,
                    in_force,
                    format!("warming up, {blocks} of {of} blocks: the configured weights hold"),
                );
            }
            OracleState::Fallback { why } => {
                self.pace = None;
                let even = self.config.fallback == OracleFallback::Even;
                let words = if even { "half each" } else { "the configured weights" };
                let reason = format!("no fresh numbers ({why}): {words}");
                if !even {
                    return self.hold(&pair, in_force, reason);
                }
                if self.active {
                    self.say(reason, true);
                }
                50
            }
            OracleState::Ready => {
                let readings = self.readings(&pair)?;
                let ratios = readings.map(|r| r.ratio_ppm());
                let wanted = wanted_ppm(ratios, self.config.max_deviation);
                let start = if self.active { pair.sides.first_share(in_force) } else { configured };
                let mut pace = self.pace.take().unwrap_or_else(|| Pace::starting_at(percent(start), now_ms));
                let before = pace.at();
                self.account(&pair, before, configured, now_ms);
                let moved = pace.want(wanted, now_ms);
                let at = pace.at();
                self.pace = Some(pace);
                let from = percent(pair.sides.first_share(in_force));
                if self.active && (at != from || self.held || self.reason.is_empty()) {
                    let limited = matches!(moved, Moved::To { limited: true, .. });
                    self.say(words(&pair, ratios, wanted, [from, at], limited), false);
                }
                at
            }
        };
        let weights = pair.sides.weights(share)?;
        (self.active && weights != in_force).then(|| Decision { weights, reason: self.reason.clone() })
    }

    fn hold(&mut self, pair: &Pair, in_force: &[u32], reason: String) -> Option<Decision> {
        if self.active {
            self.say(reason, true);
        }
        let weights = &pair.sides.configured;
        (self.active && weights.as_slice() != in_force)
            .then(|| Decision { weights: weights.clone(), reason: self.reason.clone() })
    }

    fn account(&mut self, pair: &Pair, moved: u8, fixed: u32, now_ms: u64) {
        let since = self.gained_ms.replace(now_ms).unwrap_or(now_ms);
        let passed = now_ms.saturating_sub(since);
        let worth = pair.chains.clone().map(|chain| {
            let history = self.chains.get(&chain)?;
            let (usual, now) = (history.usual_hashes()?, history.tip()?.hashes);
            u64::try_from(usual.saturating_mul(1_000_000) / now.max(1)).ok()
        });
        if let [Some(first), Some(second)] = worth
            && passed <= LONGEST_STEP
        {
            self.gain.add(passed, u32::from(moved) * 10_000, fixed, [first, second]);
        }
    }

    /// Compares with the last status that was told, and keeps this one.
    pub(crate) fn says_something_new(&mut self, status: &OracleStatus) -> bool {
        let now = (status.state.clone(), status.source, status.active);
        let kind = core::mem::discriminant::<OracleState>;
        let old = self.told.replace(now);
        old.is_none_or(|(state, source, active)| {
            kind(&state) != kind(&status.state) || source != status.source || active != status.active
        })
    }

    /// For screens. `in_force` are the weights of now.
    pub(crate) fn status(&self, now_ms: Option<u64>) -> OracleStatus {
        let now = now_ms.unwrap_or(0);
        let state = if now_ms.is_none() { OracleState::Waiting } else { self.state(now) };
        let pair = self.pair.as_ref().ok();
        let own_first = self.config.source == OracleSource::Own;
        let chains = pair.map_or_else(Vec::new, |pair| {
            let (own, served) = (self.own(pair), self.served(pair));
            (0..2)
                .map(|i| {
                    let history = self.chains.get(&pair.chains[i]);
                    let (reading, other) = if own_first { (own[i], served[i]) } else { (served[i], own[i]) };
                    let disagrees = own[i].zip(served[i]).is_some_and(|(own, served)| own.contradicts(&served));
                    ChainStatus {
                        chain: pair.chains[i].clone(),
                        reading,
                        other,
                        disagrees,
                        height: history.and_then(|h| h.tip()).map(|tip| tip.height),
                        blocks: history.map_or(0, History::known_blocks),
                        doubts: history.map_or_else(Vec::new, |h| h.doubts().collect()),
                    }
                })
                .collect()
        });
        let readings = pair.and_then(|pair| self.readings(pair));
        let moved = self.pace.as_ref().map(Pace::at);
        let age = match self.config.source {
            OracleSource::Url => self.server.last.map(|last| now.saturating_sub(last.made_ms)),
            OracleSource::Own => pair.and_then(|pair| {
                let heard = pair.chains.clone().map(|c| self.chains.get(&c).and_then(History::heard_ms));
                Some(now.saturating_sub(heard[0]?.min(heard[1]?)))
            }),
        };
        let hours = u32::try_from(self.gain.millis / 3_600_000).unwrap_or(u32::MAX);
        OracleStatus {
            active: self.active,
            source: self.config.source,
            state,
            chains,
            wanted: readings.map(|r| percent(wanted_ppm(r.map(|r| r.ratio_ppm()), self.config.max_deviation))),
            moved,
            weights: moved.zip(pair).and_then(|(m, pair)| pair.sides.weights(m)).map(Into::into),
            next_poll_ms: self.server.next_poll_ms,
            age_ms: age,
            gain: self.gain.ppm().map(|ppm| (ppm, hours)),
            reason: self.reason.clone(),
        }
    }
}
