//! The engine with a mistake planted between it and the world: what goes out of a step is changed on its way.

pub(crate) mod invariants;
pub(crate) mod stratum;
pub(crate) mod verdicts;

use std::collections::BTreeMap;

use dpmp_core::trace::Start;
use dpmp_core::{Action, ActionBuf, Conn, Engine, Event, MinerId, Time, UpstreamId};
use dpmp_sim::world::Proxy;

/// One thing that goes out of a step.
#[derive(Clone, Debug)]
pub(crate) enum Out {
    Line(Conn, String),
    Other(Action),
}

/// What a mistake remembers from step to step.
#[derive(Default)]
pub(crate) struct Plot {
    /// Counts the lines that it looked at.
    pub(crate) n: u64,
    /// Open connections to pools, and which pool.
    pub(crate) upstreams: BTreeMap<UpstreamId, u8>,
    pub(crate) kept: Vec<Out>,
    pub(crate) texts: BTreeMap<String, String>,
    pub(crate) flag: bool,
}

/// A mistake: takes what goes out of a step, gives what goes instead.
pub(crate) type Mistake = fn(&mut Plot, &Event<'_>, Vec<Out>) -> Vec<Out>;

/// What is planted, what must be said of it, and how.
pub(crate) type Plant = (&'static str, &'static str, Mistake);

pub(crate) struct Planted {
    pub(crate) engine: Engine,
    pub(crate) mistake: Mistake,
    pub(crate) forgets_timers: bool,
    /// The engine never learns that a peer does not read.
    pub(crate) deaf_to_queues: bool,
    /// Something is remembered of every step, and never forgotten: so many bytes of each.
    pub(crate) hoards: u64,
    pub(crate) steps: u64,
    pub(crate) plot: Plot,
}

impl Planted {
    pub(crate) fn new(engine: Engine, mistake: Mistake) -> Planted {
        Planted {
            engine,
            mistake,
            forgets_timers: false,
            deaf_to_queues: false,
            hoards: 0,
            steps: 0,
            plot: Plot::default(),
        }
    }
}

impl Proxy for Planted {
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        self.steps += 1;
        let mut inner = ActionBuf::new();
        let deaf = self.deaf_to_queues && matches!(event, Event::SendQueue { .. });
        self.engine.step(now, if deaf { Event::Tick } else { event.clone() }, &mut inner);
        let mut all = Vec::new();
        for action in inner.actions() {
            match action {
                Action::Send { conn, bytes } => {
                    let text = String::from_utf8(inner.bytes(bytes).to_vec()).expect("the engine sends UTF-8");
                    all.push(Out::Line(*conn, text));
                }
                Action::Connect { upstream, pool, .. } => {
                    self.plot.upstreams.insert(*upstream, pool.0);
                    all.push(Out::Other(action.clone()));
                }
                _ => all.push(Out::Other(action.clone())),
            }
        }
        for out_of in (self.mistake)(&mut self.plot, &event, all) {
            match out_of {
                Out::Line(conn, text) => out.send(conn, |buf| buf.extend_from_slice(text.as_bytes())),
                Out::Other(action) => out.push(action),
            }
        }
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.engine.checkpoint().len() as u64 + self.hoards * self.steps)
    }

    fn restore(&mut self) {
        self.engine.restore();
    }

    fn restart(&mut self, start: Start) {
        self.engine.restart(start);
    }

    fn next_timeout(&self) -> Option<Time> {
        if self.forgets_timers { None } else { self.engine.poll_timeout().map(|(at, _)| at) }
    }
}

/// Changes each line to a miner or to a pool; none: the line is lost.
pub(crate) fn lines(
    out: Vec<Out>,
    to_miner: bool,
    words: &str,
    mut edit: impl FnMut(Conn, &str) -> Vec<String>,
) -> Vec<Out> {
    let mut all = Vec::new();
    for out in out {
        match out {
            Out::Line(conn, text) if matches!(conn, Conn::Miner(_)) == to_miner && text.contains(words) => {
                all.extend(edit(conn, &text).into_iter().map(|text| Out::Line(conn, text)));
            }
            other => all.push(other),
        }
    }
    all
}

/// The line with one parameter changed.
pub(crate) fn with_param(line: &str, index: usize, edit: impl Fn(&str) -> String) -> String {
    let mut message: serde_json::Value = serde_json::from_str(line).expect("the engine sends JSON");
    let old = message["params"][index].as_str().unwrap_or_default().to_owned();
    if message["params"].get(index).is_some() {
        message["params"][index] = edit(&old).into();
    }
    format!("{message}\n")
}

/// A parameter of a line.
pub(crate) fn param(line: &str, index: usize) -> String {
    let message: serde_json::Value = serde_json::from_str(line).expect("the engine sends JSON");
    message["params"][index].as_str().unwrap_or_default().to_owned()
}

/// `{"id":null,"method":…` as the engine writes it, other parameters.
pub(crate) fn notify_like(line: &str, changes: &[(usize, String)]) -> String {
    let message: serde_json::Value = serde_json::from_str(line).expect("the engine sends JSON");
    let mut params = message["params"].clone();
    for (index, text) in changes {
        params[*index] = text.as_str().into();
    }
    format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":{params}}}\n")
}

/// A job with so many branches.
pub(crate) fn with_branches(line: &str, n: usize) -> String {
    let mut message: serde_json::Value = serde_json::from_str(line).expect("the engine sends JSON");
    message["params"][4] = vec!["22".repeat(32); n].into();
    format!("{{\"id\":null,\"method\":\"mining.notify\",\"params\":{}}}\n", message["params"])
}

/// The miner of a connection.
pub(crate) fn miner_of(out: &Out) -> Option<MinerId> {
    match out {
        Out::Line(Conn::Miner(id), _) => Some(*id),
        _ => None,
    }
}
