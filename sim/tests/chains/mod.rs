//! Synthetic chains with known hash rates, and an engine with one miner between two pools that mine them. All of it
//! parses and computes by itself.

use std::collections::{BTreeMap, VecDeque};

use dpmp_core::config::{Address, OracleSource, PoolConfig};
use dpmp_core::{
    Action, ActionBuf, Command, Config, Conn, Engine, Event, Memory, MinerId, Notice, PoolId, Span, Time, UpstreamId,
};
use dpmp_sim::rng::Rng;

/// When the engine starts: 2026-01-01.
pub(crate) const START_UNIX: f64 = 1_767_225_600.0;

/// How a chain's difficulty follows its hash rate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Every 2,016 blocks by the time that they took, as BTC.
    Retarget,
    /// With each block, half-life two days, as BCH.
    Asert,
}

/// A chain: blocks at random times, at the rate that hash rate and difficulty make.
pub(crate) struct Chain {
    rng: Rng,
    rule: Rule,
    pub(crate) height: u32,
    pub(crate) difficulty: f64,
    anchor: (f64, u32, f64),
    /// Seconds since 1970 of the last block.
    pub(crate) last: f64,
    /// Hashes a second at a time.
    pub(crate) rate: Box<dyn Fn(f64) -> f64>,
}

impl Chain {
    pub(crate) fn new(seed: u64, label: &str, rule: Rule, height: u32, rate: impl Fn(f64) -> f64 + 'static) -> Chain {
        let difficulty = rate(START_UNIX) * 600.0 / 4_294_967_296.0;
        let anchor = (START_UNIX, height, difficulty);
        Chain { rng: Rng::new(seed, label), rule, height, difficulty, anchor, last: START_UNIX, rate: Box::new(rate) }
    }

    /// The time of the next block, which is found then.
    pub(crate) fn next_block(&mut self) -> f64 {
        // Hashes needed, spent at a rate that changes slowly beside a block.
        let mut hashes = self.rng.exponential(self.difficulty * 4_294_967_296.0);
        let mut at = self.last;
        loop {
            let rate = (self.rate)(at);
            if hashes <= rate * 60.0 {
                at += hashes / rate;
                break;
            }
            hashes -= rate * 60.0;
            at += 60.0;
        }
        self.last = at;
        self.height += 1;
        match self.rule {
            Rule::Retarget if self.height.is_multiple_of(2016) => {
                let took = at - self.anchor.0;
                let blocks = f64::from(self.height - self.anchor.1);
                self.difficulty *= (blocks * 600.0 / took).clamp(0.25, 4.0);
                self.anchor = (at, self.height, self.difficulty);
            }
            Rule::Retarget => {}
            Rule::Asert => {
                let (since, height, difficulty) = self.anchor;
                let ahead = f64::from(self.height - height) * 600.0 - (at - since);
                self.difficulty = difficulty * libm::exp2(ahead / 172_800.0);
            }
        }
        at
    }

    /// The header's compact target.
    pub(crate) fn nbits(&self) -> u32 {
        let (mut mantissa, mut size) = (65_535.0 / self.difficulty, 29u32);
        while mantissa < 32_768.0 {
            mantissa *= 256.0;
            size -= 1;
        }
        while mantissa > 8_388_607.0 {
            mantissa /= 256.0;
            size += 1;
        }
        size << 24 | mantissa as u32
    }
}

/// The engine, a miner, and two pools that answer what they are asked.
pub(crate) struct House {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    pools: BTreeMap<UpstreamId, PoolId>,
    pub(crate) notices: VecDeque<Notice>,
    pub(crate) asked: Vec<(Time, String)>,
}

/// A config with BTC at pool A and BCH at pool B.
pub(crate) fn config(auto: bool, source: OracleSource, url: &str) -> Config {
    let pool = |key: &str, chain: &str| {
        let mut pool = PoolConfig::new(key);
        pool.address = Address { host: format!("pool-{}", key.to_lowercase()), port: 3333 };
        pool.chain = chain.into();
        // These speak only when there is a block.
        pool.silence = Span::mins(24 * 60);
        pool
    };
    let mut config = Config::with_pools(vec![pool("A", "BTC"), pool("B", "BCH")], vec![500_000, 500_000]);
    config.oracle.auto_balance = auto;
    config.oracle.source = source;
    config.oracle.url = url.into();
    config.scheduler.min_switch = Span::mins(60);
    config.scheduler.slice = Span::mins(30);
    config
}

impl House {
    pub(crate) fn new(config: Config, memory: &Memory, start: Time) -> House {
        let engine = Engine::new(config, memory, 7);
        let mut house =
            House { engine, now: start, pools: BTreeMap::new(), notices: VecDeque::new(), asked: Vec::new() };
        let unix_micros = (START_UNIX * 1e6) as u64 + start.0;
        house.step(Event::WallClock { unix_micros });
        house.step(Event::MinerAccepted { miner: MinerId(1), peer: ([192, 0, 2, 1], 4000).into() });
        for line in [
            "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cgminer/4.11.1\"]}\n",
            "{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"rig\",\"x\"]}\n",
        ] {
            house.step(Event::Received { conn: Conn::Miner(MinerId(1)), bytes: line.as_bytes() });
        }
        house
    }

    pub(crate) fn step(&mut self, event: Event<'_>) {
        let mut out = ActionBuf::new();
        self.engine.step(self.now, event, &mut out);
        let mut answers: Vec<(UpstreamId, Option<String>)> = Vec::new();
        for action in out.actions() {
            match action {
                Action::Connect { upstream, pool, .. } => {
                    self.pools.insert(*upstream, *pool);
                    answers.push((*upstream, None));
                }
                Action::Send { conn: Conn::Upstream(upstream), bytes } => {
                    for line in out.bytes(bytes).split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
                        let request: serde_json::Value = serde_json::from_slice(line).expect("JSON");
                        let result = match request["method"].as_str() {
                            Some("mining.subscribe") => r#"[[["mining.notify","s"]],"01020304",8]"#,
                            Some("mining.configure") => r#"{"version-rolling":false}"#,
                            Some("mining.authorize") => "true",
                            _ => continue,
                        };
                        let line = format!("{{\"id\":{},\"result\":{result},\"error\":null}}\n", request["id"]);
                        answers.push((*upstream, Some(line)));
                    }
                }
                Action::Close(Conn::Upstream(upstream)) => drop(self.pools.remove(upstream)),
                Action::FetchOracle { url } => self.asked.push((self.now, url.to_string())),
                Action::Notice(notice) => {
                    if !matches!(notice, Notice::LinesReceived { .. } | Notice::JobForwarded { .. }) {
                        self.notices.push_back(notice.clone());
                    }
                    while self.notices.len() > 1000 {
                        self.notices.pop_front();
                    }
                }
                _ => {}
            }
        }
        for (upstream, line) in answers {
            match line {
                None => self.step(Event::Connected { upstream }),
                Some(line) => self.step(Event::Received { conn: Conn::Upstream(upstream), bytes: line.as_bytes() }),
            }
        }
    }

    /// Lets time pass until so many seconds since 1970.
    pub(crate) fn until(&mut self, unix: f64) {
        let end = Time(((unix - START_UNIX) * 1e6) as u64);
        while let Some((at, _)) = self.engine.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = at;
            self.step(Event::Tick);
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn unix(&self) -> f64 {
        START_UNIX + self.now.0 as f64 / 1e6
    }

    /// A pool's job for a block of this height, on each of its connections.
    pub(crate) fn job(&mut self, pool: PoolId, height: u32, nbits: u32) {
        self.job_at(pool, height, nbits, self.unix() as u32);
    }

    pub(crate) fn job_at(&mut self, pool: PoolId, height: u32, nbits: u32, ntime: u32) {
        let bytes = height.to_le_bytes();
        let line = format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{height:x}\",\"{height:064x}\",\
             \"0100000001{}ffffffff1003{:02x}{:02x}{:02x}\",\"ffffffff0100f2052a01000000015100000000\",[],\"20000000\",\
             \"{nbits:08x}\",\"{ntime:08x}\",true]}}\n",
            "00".repeat(32),
            bytes[0],
            bytes[1],
            bytes[2],
        );
        let ups: Vec<UpstreamId> = self.pools.iter().filter(|(_, p)| **p == pool).map(|(u, _)| *u).collect();
        for upstream in ups {
            self.step(Event::Received { conn: Conn::Upstream(upstream), bytes: line.as_bytes() });
        }
    }

    /// All connections to a pool end.
    pub(crate) fn pool_goes(&mut self, pool: PoolId) {
        let ups: Vec<UpstreamId> = self.pools.iter().filter(|(_, p)| **p == pool).map(|(u, _)| *u).collect();
        for upstream in ups {
            self.pools.remove(&upstream);
            self.step(Event::Closed { conn: Conn::Upstream(upstream), reason: "closed" });
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.step(Event::Command(command));
    }

    /// Pool A's weight in percent.
    pub(crate) fn weight_a(&self) -> f64 {
        f64::from(self.engine.config().scheduler.weights[0]) / 1e4
    }
}

/// Lets two chains grow until so many seconds since 1970, and calls `each` after each block with the number of the chain.
pub(crate) fn grow(
    house: &mut House,
    chains: &mut [Chain; 2],
    end: f64,
    mut each: impl FnMut(&House, &[Chain; 2], usize),
) {
    let mut next = [0, 1].map(|i| chains[i].next_block());
    loop {
        let i = usize::from(next[1] < next[0]);
        if next[i] > end {
            // The two that are not shown yet are lost: their time has not come.
            house.until(end);
            return;
        }
        house.until(next[i]);
        house.job(PoolId(i as u8), chains[i].height, chains[i].nbits());
        each(house, chains, i);
        next[i] = chains[i].next_block();
    }
}
