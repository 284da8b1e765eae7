//! A script's hands on the engine: each call is one event, and every line that goes in or out is written down, one line a
//! message, so that a whole session can be reviewed as a snapshot.
#![allow(dead_code, reason = "each test file uses its own part of the rig")]

pub(crate) mod mine;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dpmp_core::config::{Address, PoolConfig};
use dpmp_core::trace::{EndReason, Recorder, Start};
use dpmp_core::{
    Action, ActionBuf, Command, Config, Conn, Engine, Event, Memory, MinerId, Notice, PoolId, PoolMemory, Span, Time,
    UpstreamId,
};
use watch::{PoolSeen, Watch};

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
    Memory {
        pools: vec![("pool-a:3333".into(), pool(size_a)), ("pool-b:3333".into(), pool(size_b))],
        ..Memory::default()
    }
}

pub(crate) struct Rig {
    /// Every session is recorded, whether somebody wants it or not.
    recorder: Recorder,
    pub(crate) engine: Engine,
    /// The same engine without a checkpoint ever made: the other one is restored before each step, and both must do the
    /// same (I8).
    twin: Engine,
    /// What every session is held to, whatever the test is about.
    pub(crate) watch: Watch,
    /// Lines are cut into chunks of this many bytes.
    pub(crate) cut: usize,
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
}

/// A failed test shows the end of its session.
impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines: Vec<&str> = self.log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(25)..].join("\n"));
        }
    }
}

impl Rig {
    pub(crate) fn new(config: Config, memory: &Memory) -> Rig {
        let mut rig = Rig::just_started(config, memory);
        // The probes of the start: refused, so that the script begins with what memory holds.
        let probes: Vec<UpstreamId> = rig.pools.keys().copied().collect();
        for upstream in probes {
            rig.step(Event::ConnectFailed { upstream, reason: "refused" });
        }
        rig.log.clear();
        rig.notices.clear();
        rig.upstreams.clear();
        rig
    }

    /// The first probes are under way.
    pub(crate) fn just_started(config: Config, memory: &Memory) -> Rig {
        let start = Start::new(config, memory.clone(), 7);
        let mut rig = Rig {
            engine: start.engine(),
            twin: start.engine(),
            recorder: Recorder::at_start(start, 1, 0),
            watch: Watch::default(),
            cut: usize::MAX,
            now: Time::ZERO,
            out: ActionBuf::new(),
            log: String::new(),
            inbox: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            pools: BTreeMap::new(),
            closed: Vec::new(),
            notices: Vec::new(),
            drained: false,
        };
        rig.step(Event::Tick);
        rig
    }

    /// Applies one event; the outcome is in the log, the inboxes and the notices.
    pub(crate) fn step(&mut self, event: Event<'_>) {
        self.out.clear();
        let mut out = std::mem::take(&mut self.out);
        let mut plain = ActionBuf::new();
        self.twin.step(self.now, event.clone(), &mut plain);
        self.engine = Engine::restore(&self.engine.checkpoint()).expect("a checkpoint just made");
        self.recorder.step(&mut self.engine, self.now, event, &mut out);
        assert_eq!(out.actions(), plain.actions(), "restored from a checkpoint it does something else");
        assert!(self.engine == self.twin, "restored from a checkpoint it is another");
        if let Some((deadline, kind)) = self.engine.poll_timeout() {
            assert!(deadline > self.now, "a deadline that has passed: {kind:?}");
        }
        for (i, action) in out.actions().iter().enumerate() {
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
                    if let Action::Send { bytes: other, .. } = &plain.actions()[i] {
                        assert_eq!(out.bytes(bytes), plain.bytes(other), "restored, it sends something else");
                    }
                    match conn {
                        Conn::Miner(miner) => self.watch.miner_told(self.now, *miner, text),
                        Conn::Upstream(upstream) => self.watch.pool_told(*upstream, text),
                    }
                    self.note(&format!("{} < {text}", self.name(*conn)));
                    self.inbox.entry(*conn).or_default().push(text.to_string());
                }
                Action::FetchOracle { url } => self.note(&format!("ask {url}")),
                Action::PauseReading(conn) => self.note(&format!("{} pause reading", self.name(*conn))),
                Action::ResumeReading(conn) => self.note(&format!("{} resume reading", self.name(*conn))),
                Action::Close(conn) => {
                    self.note(&format!("{} close", self.name(*conn)));
                    self.closed.push(*conn);
                    if let Conn::Miner(miner) = conn {
                        self.watch.miner_closed(*miner);
                    }
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
    pub(crate) fn recording(&mut self) -> Vec<u8> {
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

    /// All connections to a pool that the proxy asked for and did not close.
    pub(crate) fn open_upstreams(&self, pool: PoolId) -> Vec<UpstreamId> {
        let of_pool = self.pools.iter().filter(|(_, p)| **p == pool).map(|(id, _)| *id);
        of_pool.filter(|id| !self.closed.contains(&Conn::Upstream(*id))).collect()
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

    /// Answers all open submits of the newest connection of a pool; gives their number.
    /// `rest` is what follows the id: `"result":true,"error":null`.
    pub(crate) fn pool_answers(&mut self, pool: PoolId, rest: &str) -> usize {
        let submits = self.watch.pools.get(&self.upstream(pool)).map(PoolSeen::open_submits).unwrap_or_default();
        for id in &submits {
            self.pool(pool, &format!(r#"{{"id":{id},{rest}}}"#));
        }
        submits.len()
    }

    pub(crate) fn pool_accepts(&mut self, pool: PoolId) -> usize {
        self.pool_answers(pool, r#""result":true,"error":null"#)
    }

    pub(crate) fn pool_difficulty(&mut self, pool: PoolId, difficulty: &str) {
        self.pool(pool, &format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{difficulty}]}}"#));
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

    /// As [`Rig::pool_ready`] at a difficulty for tests that mine.
    pub(crate) fn pool_easy(&mut self, pool: PoolId, extranonce1: &str, size: u8) {
        self.pool_ready(pool, extranonce1, size, "0.00000001", "1");
    }

    /// Is this miner still connected?
    pub(crate) fn stays(&self, miner: u64) -> bool {
        self.engine.miners().any(|m| m.miner == MinerId(miner))
    }

    /// The pool that a miner works for.
    pub(crate) fn works_for(&self, miner: u64) -> Option<PoolId> {
        self.engine.miners().find(|m| m.miner == MinerId(miner)).and_then(|m| m.pool)
    }

    /// Answers a request of the proxy's handshake as a friendly pool does.
    pub(crate) fn answer(&mut self, pool: PoolId, line: &str, extranonce1: &str, size: u8) {
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

    /// What the last event led to, in order.
    pub(crate) fn last_actions(&self) -> &[Action] {
        self.out.actions()
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

    /// Lets time pass while both pools show now and then that they live.
    pub(crate) fn wait_lively(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.wait(Span::secs(30).min(end.since(self.now)));
            let mut all: Vec<UpstreamId> = self.upstreams.values().copied().collect();
            all.retain(|u| !self.closed.contains(&Conn::Upstream(*u)));
            for upstream in all {
                let bytes = b"{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"\"]}\n";
                self.step(Event::Received { conn: Conn::Upstream(upstream), bytes });
            }
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.note(&format!("command {}", format!("{command:?}").split(['(', '{']).next().unwrap_or_default()));
        self.step(Event::Command(command));
    }

    // --- helpers ---

    fn line_from(&mut self, conn: Conn, line: &str) {
        self.note(&format!("{} > {line}", self.name(conn)));
        match conn {
            Conn::Miner(miner) => self.watch.miner_said(miner, line),
            Conn::Upstream(upstream) => self.watch.pool_said(upstream, line),
        }
        self.bytes_from(conn, format!("{line}\n").as_bytes());
    }

    /// Bytes of a peer as they are, cut as [`Rig::cut`] says.
    pub(crate) fn bytes_from(&mut self, conn: Conn, bytes: &[u8]) {
        for chunk in bytes.chunks(self.cut) {
            self.step(Event::Received { conn, bytes: chunk });
        }
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

/// The id of a request if it has this method.
pub(crate) fn id_of(line: &str, method: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line["method"] == method).then(|| line["id"].to_string())
}

/// The methods of these lines; `reply` for those that have none.
pub(crate) fn methods(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|line| line["method"].as_str().unwrap_or("reply").to_string())
        .collect()
}

/// The code of the only reply among these lines; 0 for a good one.
pub(crate) fn code(lines: &[String]) -> i64 {
    let replies: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &serde_json::Value| line["method"].is_null())
        .collect();
    assert_eq!(replies.len(), 1, "one reply: {lines:?}");
    match &replies[0]["error"] {
        serde_json::Value::Null => 0,
        error => error[0].as_i64().expect("a code"),
    }
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
