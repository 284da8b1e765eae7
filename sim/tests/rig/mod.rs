//! A script's hands on the engine: each call is one event, and every line that goes in or out is written down, one line a
//! message, so that a whole session can be reviewed as a snapshot.
#![allow(dead_code, reason = "each test file uses its own part of the rig")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dpmp_core::config::{Address, PoolConfig};
use dpmp_core::trace::{EndReason, Recorder};
use dpmp_core::{
    Action, ActionBuf, Command, Config, Conn, Engine, Event, Memory, MinerId, Notice, PoolId, PoolMemory, Span, Time,
    UpstreamId,
};

/// Pool A and pool B.
pub(crate) const A: PoolId = PoolId(0);
pub(crate) const B: PoolId = PoolId(1);

/// A config with pools A and B at these shares of work (percent), and dwells of 50 and 30 s.
pub(crate) fn config(weight_a: u32, weight_b: u32) -> Config {
    let pool = |key: &str, wallet: &str| {
        let mut pool = PoolConfig::new(key);
        pool.address = Address { host: format!("pool-{}", key.to_lowercase()), port: 3333 };
        pool.wallet = wallet.to_string();
        pool
    };
    let mut config = Config::with_pools(
        vec![pool("A", "walletA"), pool("B", "walletB")],
        vec![weight_a * 10_000, weight_b * 10_000],
    );
    config.scheduler.min_switch = Span::secs(50);
    config.scheduler.slice = Span::secs(30);
    config
}

/// What a run before this one learnt: the pools' extranonce2 sizes, and that they grant BIP 320.
pub(crate) fn memory(size_a: u8, size_b: u8) -> Memory {
    let pool = |size| PoolMemory { extranonce2_bytes: Some(size), version_mask: Some(0x1fff_e000) };
    Memory { pools: vec![("pool-a:3333".into(), pool(size_a)), ("pool-b:3333".into(), pool(size_b))] }
}

pub(crate) struct Rig {
    /// Every session is recorded, whether somebody wants it or not.
    recorder: Recorder,
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    out: ActionBuf,
    /// The session so far, one line a message.
    pub(crate) log: String,
    /// Lines that each connection was sent and that no script has taken yet.
    inbox: BTreeMap<Conn, Vec<String>>,
    /// The newest upstream of each pool, probes apart.
    pub(crate) upstreams: BTreeMap<PoolId, UpstreamId>,
    pools: BTreeMap<UpstreamId, PoolId>,
    pub(crate) closed: Vec<Conn>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) drained: bool,
    answer_probes: bool,
}

impl Rig {
    pub(crate) fn new(config: Config, memory: &Memory) -> Rig {
        let engine = Engine::new(config, memory, 7);
        let mut rig = Rig {
            recorder: Recorder::new(&engine, 1, 0),
            engine,
            now: Time::ZERO,
            out: ActionBuf::new(),
            log: String::new(),
            inbox: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            pools: BTreeMap::new(),
            closed: Vec::new(),
            notices: Vec::new(),
            drained: false,
            answer_probes: true,
        };
        // The probes of the start: refused, so that the script begins with what memory holds.
        rig.answer_probes = false;
        rig.step(Event::Tick);
        let probes: Vec<UpstreamId> = rig.pools.keys().copied().collect();
        for upstream in probes {
            rig.step(Event::ConnectFailed { upstream, reason: "refused" });
        }
        rig.log.clear();
        rig.notices.clear();
        rig.upstreams.clear();
        rig
    }

    /// Applies one event; the outcome is in the log, the inboxes and the notices.
    pub(crate) fn step(&mut self, event: Event<'_>) {
        self.out.clear();
        let mut out = std::mem::take(&mut self.out);
        self.recorder.step(&mut self.engine, self.now, event, &mut out);
        if let Some((deadline, kind)) = self.engine.poll_timeout() {
            assert!(deadline > self.now, "a deadline that has passed: {kind:?}");
        }
        for action in out.actions() {
            match action {
                Action::Connect { upstream, pool, host, port } => {
                    self.upstreams.insert(*pool, *upstream);
                    self.pools.insert(*upstream, *pool);
                    self.note(&format!("{} connect {host}:{port}", self.name(Conn::Upstream(*upstream))));
                }
                Action::Send { conn, bytes } => {
                    let text = std::str::from_utf8(out.bytes(bytes)).expect("the proxy sends text");
                    assert!(text.ends_with('\n') && !text.starts_with('\n'), "a whole line: {text:?}");
                    assert_eq!(text.matches('\n').count(), 1, "one message a write: {text:?}");
                    assert!(!self.closed.contains(conn), "sent to a closed connection");
                    let text = text.trim_end();
                    self.note(&format!("{} < {text}", self.name(*conn)));
                    self.inbox.entry(*conn).or_default().push(text.to_string());
                }
                Action::PauseReading(conn) => self.note(&format!("{} pause reading", self.name(*conn))),
                Action::ResumeReading(conn) => self.note(&format!("{} resume reading", self.name(*conn))),
                Action::Close(conn) => {
                    self.note(&format!("{} close", self.name(*conn)));
                    self.closed.push(*conn);
                }
                Action::Notice(notice) => self.notices.push(notice.clone()),
                Action::Drained => {
                    self.drained = true;
                    self.note("drained");
                }
            }
        }
        self.out = out;
    }

    /// Closes the segment that is being recorded, gives it, and begins the next.
    pub(crate) fn cut(&mut self) -> Vec<u8> {
        let next = Recorder::new(&self.engine, 2, 0);
        std::mem::replace(&mut self.recorder, next).end(EndReason::Asked)
    }

    fn name(&self, conn: Conn) -> String {
        match conn {
            Conn::Miner(id) => format!("miner {}", id.0),
            Conn::Upstream(id) => match self.pools.get(&id) {
                Some(pool) => format!("pool {pool}#{}", id.0),
                None => format!("upstream {}", id.0),
            },
        }
    }

    fn note(&mut self, line: &str) {
        writeln!(self.log, "{:>8.3} {line}", self.now.since(Time::ZERO).as_secs_f64()).expect("writes to a string");
    }

    // --- miners ---

    pub(crate) fn miner_connects(&mut self, miner: u64) {
        self.note(&format!("miner {miner} connects"));
        let peer = format!("192.0.2.{}:4000{}", miner % 250, miner % 10).parse().expect("an address");
        self.step(Event::MinerAccepted { miner: MinerId(miner), peer });
    }

    /// A line of a miner; gives the lines that it is sent in the same step.
    pub(crate) fn miner(&mut self, miner: u64, line: &str) -> Vec<String> {
        let conn = Conn::Miner(MinerId(miner));
        self.line_from(conn, line);
        self.take(conn)
    }

    /// Connects a miner and makes it ready: subscribe with this agent, authorize as `<worker>`.
    pub(crate) fn miner_ready(&mut self, miner: u64, agent: &str) -> Vec<String> {
        self.miner_connects(miner);
        let mut lines = self.miner(miner, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{agent}"]}}"#));
        lines.extend(
            self.miner(
                miner,
                &format!(r#"{{"id":2,"method":"mining.authorize","params":["own.wallet.w{miner}","pw"]}}"#),
            ),
        );
        lines
    }

    /// Lines that a miner was sent since they were last taken.
    pub(crate) fn miner_got(&mut self, miner: u64) -> Vec<String> {
        self.take(Conn::Miner(MinerId(miner)))
    }

    // --- pools ---

    pub(crate) fn upstream(&self, pool: PoolId) -> UpstreamId {
        self.upstreams[&pool]
    }

    /// The newest connection to a pool stands.
    pub(crate) fn pool_connects(&mut self, pool: PoolId) {
        let upstream = self.upstream(pool);
        self.note(&format!("{} connected", self.name(Conn::Upstream(upstream))));
        self.step(Event::Connected { upstream });
    }

    pub(crate) fn pool_fails(&mut self, pool: PoolId) {
        let upstream = self.upstream(pool);
        self.note(&format!("{} refuses", self.name(Conn::Upstream(upstream))));
        self.step(Event::ConnectFailed { upstream, reason: "connection refused" });
    }

    pub(crate) fn pool_closes(&mut self, pool: PoolId) {
        let upstream = self.upstream(pool);
        self.note(&format!("{} closes", self.name(Conn::Upstream(upstream))));
        self.step(Event::Closed { conn: Conn::Upstream(upstream), reason: "closed by the pool" });
    }

    /// A line of a pool on its newest connection; gives what the pool is sent in the same step.
    pub(crate) fn pool(&mut self, pool: PoolId, line: &str) -> Vec<String> {
        let conn = Conn::Upstream(self.upstream(pool));
        self.line_from(conn, line);
        self.take(conn)
    }

    pub(crate) fn pool_got(&mut self, pool: PoolId) -> Vec<String> {
        let conn = Conn::Upstream(self.upstream(pool));
        self.take(conn)
    }

    /// Connects, answers subscribe and authorize, sets a difficulty and sends a first job.
    pub(crate) fn pool_ready(&mut self, pool: PoolId, extranonce1: &str, size: u8, difficulty: &str, job: &str) {
        self.pool_connects(pool);
        for line in self.pool_got(pool) {
            self.answer(pool, &line, extranonce1, size);
        }
        let rest = self.pool_got(pool);
        for line in rest {
            self.answer(pool, &line, extranonce1, size);
        }
        self.pool(pool, &format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{difficulty}]}}"#));
        self.pool(pool, &notify(job, true));
    }

    /// Answers a request of the proxy's handshake as a friendly pool does.
    fn answer(&mut self, pool: PoolId, line: &str, extranonce1: &str, size: u8) {
        let request: serde_json::Value = serde_json::from_str(line).expect("the proxy sends JSON");
        let id = &request["id"];
        let result = match request["method"].as_str() {
            Some("mining.configure") => r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#.to_string(),
            Some("mining.subscribe") => format!(r#"[[["mining.notify","s"]],"{extranonce1}",{size}]"#),
            Some("mining.authorize") => "true".to_string(),
            _ => return,
        };
        let conn = Conn::Upstream(self.upstream(pool));
        self.line_from(conn, &format!(r#"{{"id":{id},"result":{result},"error":null}}"#));
        for line in self.take(conn) {
            self.answer(pool, &line, extranonce1, size);
        }
    }

    // --- time ---

    /// Lets this time pass; deadlines are obeyed when they come.
    pub(crate) fn wait(&mut self, span: Span) {
        let end = self.now + span;
        while let Some((deadline, _)) = self.engine.poll_timeout().filter(|(t, _)| *t <= end) {
            self.now = deadline;
            self.step(Event::Tick);
        }
        self.now = end;
        self.step(Event::Tick);
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.note(&format!("command {}", format!("{command:?}").split(['(', '{']).next().unwrap_or_default()));
        self.step(Event::Command(command));
    }

    // --- helpers ---

    fn line_from(&mut self, conn: Conn, line: &str) {
        self.note(&format!("{} > {line}", self.name(conn)));
        let bytes = format!("{line}\n");
        self.step(Event::Received { conn, bytes: bytes.as_bytes() });
    }

    fn take(&mut self, conn: Conn) -> Vec<String> {
        self.inbox.remove(&conn).unwrap_or_default()
    }
}

/// A job line. Its coinbase and prevhash depend on `job` alone.
pub(crate) fn notify(job: &str, clean: bool) -> String {
    let tag: String = job.bytes().map(|b| format!("{b:02x}")).collect();
    let prevhash = format!("{tag:0>64}");
    format!(
        r#"{{"id":null,"method":"mining.notify","params":["{job}","{prevhash}","01000000aa{tag}","bb00000000",["{}"],"20000000","1d00ffff","65000000",{clean}]}}"#,
        "11".repeat(32)
    )
}

/// The params of the last message of this method among `lines`.
pub(crate) fn last_params(lines: &[String], method: &str) -> Option<serde_json::Value> {
    lines
        .iter()
        .rev()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line["method"] == method)
        .map(|line| line["params"].clone())
}
