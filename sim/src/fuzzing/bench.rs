//! A driver of the engine for the bodies: each call is one event, and every action is checked.

use std::collections::BTreeMap;

use dpmp_core::config::{Address, PoolConfig};
use dpmp_core::{
    Action, ActionBuf, Config, Conn, Engine, Event, Memory, MinerId, PoolId, PoolMemory, Span, Time, UpstreamId,
};

use super::rules::Rules;

/// Whether a connection to a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Up {
    /// The engine asked for it.
    Asked,
    /// It stands.
    Stands,
}

/// The engine, what it was told, and what it did.
pub(super) struct Bench {
    pub(super) engine: Engine,
    /// The same engine, but it was restored from a checkpoint once.
    twin: Option<Engine>,
    pub(super) now: Time,
    pub(super) rules: Rules,
    /// Connections to pools that are asked for or stand.
    pub(super) upstreams: BTreeMap<UpstreamId, (PoolId, Up)>,
    /// What was done, but for counts of lines: one text an action.
    pub(super) done: Vec<String>,
    pub(super) keep_done: bool,
    pub(super) drained: bool,
    out: ActionBuf,
    logs: bool,
    steps: u32,
}

/// A config with two pools of equal weight.
pub(super) fn two_pools() -> Config {
    let pool = |key: &str, wallet: &str| {
        let mut pool = PoolConfig::new(key);
        pool.address = Address { host: format!("pool-{}", key.to_lowercase()), port: 3333 };
        pool.wallet = wallet.to_string();
        pool
    };
    let mut config = Config::with_pools(vec![pool("A", "walletA"), pool("B", "walletB")], vec![500_000, 500_000]);
    config.scheduler.min_switch = Span::secs(50);
    config.scheduler.slice = Span::secs(30);
    config
}

/// The pools' extranonce2 sizes as an earlier run learnt them.
pub(super) fn memory(sizes: [u8; 2]) -> Memory {
    let pool = |size| PoolMemory { extranonce2_bytes: Some(size), version_mask: Some(0x1fff_e000) };
    Memory {
        pools: vec![("pool-a:3333".into(), pool(sizes[0])), ("pool-b:3333".into(), pool(sizes[1]))],
        ..Memory::default()
    }
}

/// A job line. Its coinbase and prevhash depend on `job` alone.
pub(super) fn notify(job: &str, clean: bool) -> String {
    let tag: String = job.bytes().map(|b| format!("{b:02x}")).collect();
    format!(
        r#"{{"id":null,"method":"mining.notify","params":["{job}","{tag:0>64}","01000000aa{tag}","bb00000000",["{}"],"20000000","1d00ffff","65000000",{clean}]}}"#,
        "11".repeat(32)
    )
}

impl Bench {
    /// The first probes are under way.
    pub(super) fn new(config: Config, memory: &Memory) -> Bench {
        let mut bench = Bench {
            engine: Engine::new(config, memory, 7),
            twin: None,
            now: Time::ZERO,
            rules: Rules::default(),
            upstreams: BTreeMap::new(),
            done: Vec::new(),
            keep_done: false,
            drained: false,
            out: ActionBuf::new(),
            logs: std::env::var_os("FUZZ_LOG").is_some(),
            steps: 0,
        };
        bench.step(Event::Tick);
        bench
    }

    /// The first probes have failed.
    pub(super) fn without_probes(memory: &Memory) -> Bench {
        let mut bench = Bench::new(two_pools(), memory);
        for upstream in bench.upstreams.keys().copied().collect::<Vec<_>>() {
            bench.fails(upstream);
        }
        bench
    }

    /// From now on an engine restored from a checkpoint runs beside the engine and must do the same.
    pub(super) fn restore_beside(&mut self) {
        let bytes = self.engine.checkpoint();
        let twin = Engine::restore(&bytes).expect("a checkpoint just made");
        assert!(twin == self.engine, "restored from a checkpoint it is another");
        assert!(bytes == twin.checkpoint(), "a checkpoint of the restored engine is another");
        self.twin = Some(twin);
    }

    /// Writes a line of the session down, if somebody looks at one input (`FUZZ_LOG=1`).
    fn log(&self, what: impl FnOnce() -> String) {
        if self.logs {
            eprintln!("{:>10.3} {}", self.now.since(Time::ZERO).as_secs_f64(), what());
        }
    }

    /// Applies one event.
    pub(super) fn step(&mut self, event: Event<'_>) {
        self.log(|| match &event {
            Event::Received { conn, bytes } => format!("{conn:?} > {:?}", String::from_utf8_lossy(bytes)),
            other => format!("{other:?}"),
        });
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        if let Some(twin) = &mut self.twin {
            let mut plain = ActionBuf::new();
            twin.step(self.now, event.clone(), &mut plain);
            self.engine.step(self.now, event, &mut out);
            assert_eq!(out.actions(), plain.actions(), "restored from a checkpoint it does something else");
            self.steps += 1;
            if self.steps.is_multiple_of(16) {
                assert!(*twin == self.engine, "restored from a checkpoint it becomes another");
            }
            for action in out.actions() {
                if let Action::Send { bytes, .. } = action {
                    assert_eq!(out.bytes(bytes), plain.bytes(bytes), "restored, it sends something else");
                }
            }
        } else {
            self.engine.step(self.now, event, &mut out);
        }
        if let Some((deadline, kind)) = self.engine.poll_timeout() {
            assert!(deadline > self.now, "a deadline that has passed: {kind:?}");
        }
        for action in out.actions() {
            self.perform(action, &out);
        }
        self.out = out;
    }

    fn perform(&mut self, action: &Action, out: &ActionBuf) {
        self.log(|| match action {
            Action::Send { conn, bytes } => format!("{conn:?} < {:?}", String::from_utf8_lossy(out.bytes(bytes))),
            other => format!("    {other:?}"),
        });
        // Who comes after the end is sent away.
        let farewell = matches!(action, Action::Notice(_) | Action::Close(Conn::Miner(_)));
        assert!(!self.drained || farewell, "something after the end: {action:?}");
        match action {
            Action::Connect { upstream, pool, .. } => {
                self.rules.opened(Conn::Upstream(*upstream));
                assert!(self.upstreams.insert(*upstream, (*pool, Up::Asked)).is_none(), "an id twice: {upstream:?}");
            }
            Action::Send { conn, bytes } => {
                if let Conn::Upstream(upstream) = conn {
                    let up = self.upstreams.get(upstream).map(|(_, up)| *up);
                    assert_eq!(up, Some(Up::Stands), "sent to {conn:?}");
                }
                self.rules.told(*conn, out.bytes(bytes));
            }
            Action::PauseReading(conn) | Action::ResumeReading(conn) => {
                assert!(self.rules.is_open(*conn), "of a connection that is gone: {action:?}");
            }
            Action::Close(conn) => {
                assert!(self.rules.is_open(*conn), "of a connection that is gone: {action:?}");
                self.forget(*conn);
            }
            Action::Notice(dpmp_core::Notice::LinesReceived { .. }) => {}
            Action::Notice(_) | Action::FetchOracle { .. } => {}
            Action::Drained => {
                assert!(self.rules.miners.is_empty() && self.upstreams.is_empty(), "drained with open connections");
                self.drained = true;
            }
        }
        if self.keep_done && !matches!(action, Action::Notice(dpmp_core::Notice::LinesReceived { .. })) {
            self.done.push(match action {
                Action::Send { conn, bytes } => format!("{conn:?} {}", String::from_utf8_lossy(out.bytes(bytes))),
                other => format!("{other:?}"),
            });
        }
    }

    fn forget(&mut self, conn: Conn) {
        self.rules.closed(conn);
        if let Conn::Upstream(upstream) = conn {
            self.upstreams.remove(&upstream);
        }
    }

    /// Lets this time pass; deadlines are obeyed when they come.
    pub(super) fn wait(&mut self, span: Span) {
        let end = self.now + span;
        while let Some((deadline, _)) = self.engine.poll_timeout().filter(|(t, _)| *t <= end) {
            self.now = deadline;
            self.step(Event::Tick);
        }
        self.now = end;
        self.step(Event::Tick);
    }

    /// Bytes of a peer; nothing if it is gone.
    pub(super) fn receive(&mut self, conn: Conn, bytes: &[u8]) {
        let stands = match conn {
            Conn::Miner(_) => self.rules.is_open(conn),
            Conn::Upstream(upstream) => self.upstreams.get(&upstream).is_some_and(|(_, up)| *up == Up::Stands),
        };
        if stands && !bytes.is_empty() {
            self.rules.said(conn, bytes);
            self.step(Event::Received { conn, bytes });
        }
    }

    pub(super) fn line(&mut self, conn: Conn, line: &str) {
        self.receive(conn, format!("{line}\n").as_bytes());
    }

    pub(super) fn closes(&mut self, conn: Conn) {
        if self.rules.is_open(conn) {
            self.forget(conn);
            self.step(Event::Closed { conn, reason: "closed" });
        }
    }

    // --- miners ---

    pub(super) fn miner_connects(&mut self, miner: u64) -> Conn {
        let conn = Conn::Miner(MinerId(miner));
        self.rules.opened(conn);
        let peer = std::net::SocketAddr::from(([192, 0, 2, (miner % 3) as u8], 4000));
        self.step(Event::MinerAccepted { miner: MinerId(miner), peer });
        conn
    }

    /// Connects, subscribes with this agent, authorizes.
    pub(super) fn miner_ready(&mut self, miner: u64, agent: &str) -> Conn {
        let conn = self.miner_connects(miner);
        self.line(conn, &format!(r#"{{"id":1,"method":"mining.subscribe","params":["{agent}"]}}"#));
        self.line(conn, r#"{"id":2,"method":"mining.authorize","params":["own.w","pw"]}"#);
        conn
    }

    // --- pools ---

    pub(super) fn fails(&mut self, upstream: UpstreamId) {
        if self.upstreams.contains_key(&upstream) {
            self.forget(Conn::Upstream(upstream));
            self.step(Event::ConnectFailed { upstream, reason: "refused" });
        }
    }

    pub(super) fn connects(&mut self, upstream: UpstreamId) {
        if let Some((_, up)) = self.upstreams.get_mut(&upstream).filter(|(_, up)| *up == Up::Asked) {
            *up = Up::Stands;
            self.step(Event::Connected { upstream });
        }
    }

    /// The pool answers everything that it was asked, as a friendly one does; submits only if `submits`.
    pub(super) fn answer_all(&mut self, upstream: UpstreamId, extranonce1: &str, size: u8, submits: bool) {
        // Each answer may bring another question.
        for _ in 0..4 {
            let asked = self.rules.pools.get(&upstream).map(|seen| seen.asked.clone()).unwrap_or_default();
            for (id, method) in asked {
                let result = match method.as_str() {
                    "mining.configure" => r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#.to_string(),
                    "mining.subscribe" => format!(r#"[[["mining.notify","s"]],"{extranonce1}",{size}]"#),
                    "mining.submit" if !submits => continue,
                    _ => "true".to_string(),
                };
                let line = format!(r#"{{"id":{id},"result":{result},"error":null}}"#);
                self.line(Conn::Upstream(upstream), &line);
            }
        }
    }

    /// Connects, answers, sets a difficulty at which every hash is a share, and sends a job.
    pub(super) fn pool_ready(&mut self, upstream: UpstreamId, extranonce1: &str, size: u8) {
        self.connects(upstream);
        self.answer_all(upstream, extranonce1, size, true);
        let conn = Conn::Upstream(upstream);
        self.line(conn, r#"{"id":null,"method":"mining.set_difficulty","params":[0.0000000001]}"#);
        self.line(conn, &notify("1", true));
    }

    /// Everything is answered or closed after so long, and what is known stays bounded.
    pub(super) fn settle(&mut self) {
        self.wait(Span::secs(75));
        for (miner, seen) in &self.rules.miners {
            assert!(seen.open.is_empty(), "no reply to {:?} of {miner:?}", seen.open.first());
        }
        assert!(self.twin.as_ref().is_none_or(|twin| *twin == self.engine), "restored, it has become another");
        let connections = self.rules.miners.len() + self.upstreams.len();
        let bytes = self.engine.checkpoint().len();
        assert!(bytes < (1 << 20) * (1 + connections), "{bytes} bytes for {connections} connections");
        if !self.drained {
            self.step(Event::Command(dpmp_core::Command::Drain));
            self.wait(Span::secs(2));
            assert!(self.drained && self.engine.poll_timeout().is_none(), "not drained");
        }
    }
}
