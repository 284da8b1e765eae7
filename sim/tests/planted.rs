//! A test of the tests: mistakes planted between the engine and the world are found.

use dpmp_core::{Action, ActionBuf, Conn, Engine, Event, Memory, Time};
use dpmp_sim::miner::{MinerSpec, Personality};
use dpmp_sim::pool::PoolSpec;
use dpmp_sim::world::{Proxy, World, WorldSpec};

const MINUTE: u64 = 60_000_000;

/// What happens to a message on its way out: the lines that go instead. The number counts messages.
type Edit = fn(to_miner: bool, line: &str, number: u64) -> Vec<String>;

/// The engine with a mistake.
struct Planted {
    engine: Engine,
    edit: Edit,
    forgets_timers: bool,
    closes_at: Option<u64>,
    number: u64,
}

impl Proxy for Planted {
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        let mut inner = ActionBuf::new();
        self.engine.step(now, event, &mut inner);
        for action in inner.actions() {
            let Action::Send { conn, bytes } = action else {
                out.push(action.clone());
                continue;
            };
            let text = String::from_utf8(inner.bytes(bytes).to_vec()).expect("the engine sends UTF-8");
            self.number += 1;
            for line in (self.edit)(matches!(conn, Conn::Miner(_)), &text, self.number) {
                out.send(*conn, |buf| buf.extend_from_slice(line.as_bytes()));
            }
            if matches!(conn, Conn::Miner(_)) && self.closes_at.is_some_and(|n| n <= self.number) {
                self.closes_at = None;
                out.push(Action::Close(*conn));
            }
        }
    }

    fn next_timeout(&self) -> Option<Time> {
        if self.forgets_timers { None } else { self.engine.poll_timeout().map(|(at, _)| at) }
    }
}

fn found(edit: Edit, change: fn(&mut Planted)) -> Vec<String> {
    let pools = vec![PoolSpec::ckpool("ck", 1), PoolSpec::public_pool("pp", 2)];
    let all = Personality::all().into_iter().enumerate();
    let miners = all.map(|(i, p)| MinerSpec::new(&format!("w{i}"), 1500.0, p, i as u64)).collect();
    let spec = WorldSpec::new(1, pools, miners);
    let engine = Engine::new(spec.config.clone(), &Memory::default(), 1);
    let mut planted = Planted { engine, edit, forgets_timers: false, closes_at: None, number: 0 };
    change(&mut planted);
    let mut world = World::around(planted, spec);
    world.run_until(5 * MINUTE);
    let mut all = world.outcome().violations;
    all.extend(world.not_live());
    all
}

fn same(_: bool, line: &str, _: u64) -> Vec<String> {
    vec![line.to_owned()]
}

/// The parameter of a submit replaced, by JSON text.
fn with_param(line: &str, index: usize, edit: impl Fn(&str) -> String) -> Vec<String> {
    let mut message: serde_json::Value = serde_json::from_str(line).expect("the engine sends JSON");
    let old = message["params"][index].as_str().unwrap_or_default().to_owned();
    if message["params"].get(index).is_some() {
        message["params"][index] = edit(&old).into();
    }
    vec![format!("{message}\n")]
}

#[test]
fn nothing_planted_nothing_found() {
    assert_eq!(found(same, |_| {}), Vec::<String>::new());
}

#[test]
fn every_planted_mistake_is_found() {
    let cases: [(&str, Edit, &str); 16] = [
        (
            "a reply is dropped",
            |m, l, n| if m && l.contains("\"result\":true") && n % 50 == 0 { vec![] } else { vec![l.into()] },
            "never answered",
        ),
        (
            "a reply is sent twice",
            |m, l, n| {
                if m && l.contains("\"result\":true") && n % 50 == 0 {
                    vec![l.into(), l.into()]
                } else {
                    vec![l.into()]
                }
            },
            "nothing that is open",
        ),
        (
            "an id changes its type",
            |m, l, _| vec![if m { l.replace("{\"id\":4,", "{\"id\":\"4\",") } else { l.into() }],
            "nothing that is open",
        ),
        (
            "error is left out",
            |m, l, _| vec![if m { l.replace(",\"error\":null", "") } else { l.into() }],
            "without the key error",
        ),
        (
            "extranonce2 is one byte short",
            |m, l, _| {
                if !m && l.contains("mining.submit") { with_param(l, 2, |old| old[2..].into()) } else { vec![l.into()] }
            },
            "extranonce2 length",
        ),
        (
            "an extranonce2 byte is wrong",
            |m, l, n| {
                if !m && l.contains("mining.submit") && n % 20 == 0 {
                    with_param(l, 2, |old| format!("{}5a", &old[..old.len() - 2]))
                } else {
                    vec![l.into()]
                }
            },
            "low difficulty",
        ),
        (
            "a share goes out twice",
            |m, l, n| {
                if !m && l.contains("mining.submit") && n % 50 == 0 { vec![l.into(), l.into()] } else { vec![l.into()] }
            },
            "duplicate",
        ),
        (
            "another worker is named",
            |m, l, _| vec![if m { l.into() } else { l.replace("wallet.w1\"", "wallet.w2\"") }],
            "credited to",
        ),
        (
            "a job id is forgotten",
            |m, l, _| {
                if !m && l.contains("mining.submit") { with_param(l, 1, |_| "f00d".into()) } else { vec![l.into()] }
            },
            "unknown job",
        ),
        (
            "version bits are set at will",
            |m, l, _| {
                if !m && l.contains("mining.submit") { with_param(l, 5, |_| "e0000000".into()) } else { vec![l.into()] }
            },
            "version bits",
        ),
        (
            "ntime is lost",
            |m, l, _| {
                if !m && l.contains("mining.submit") { with_param(l, 3, |_| "00000000".into()) } else { vec![l.into()] }
            },
            "ntime",
        ),
        (
            "a blank line",
            |m, l, n| if m && n % 100 == 0 { vec![l.into(), "\n".into()] } else { vec![l.into()] },
            "no JSON object",
        ),
        (
            "difficulty comes twice",
            |m, l, _| if m && l.contains("set_difficulty") { vec![l.into(), l.into()] } else { vec![l.into()] },
            "two set_difficulty",
        ),
        (
            "job ids are upper case",
            |m, l, _| vec![if m && l.contains("mining.notify") { l.replacen("[\"0", "[\"A", 1) } else { l.into() }],
            "not 8 lowercase",
        ),
        (
            "jsonrpc is said",
            |m, l, _| {
                vec![if m { l.replacen("{\"id\":null,", "{\"id\":null,\"jsonrpc\":\"2.0\",", 1) } else { l.into() }]
            },
            "jsonrpc",
        ),
        (
            "two messages in one write",
            |m, l, _| vec![if m && l.contains("mining.notify") { l.repeat(2) } else { l.into() }],
            "in one write",
        ),
    ];
    for (what, edit, words) in cases {
        let found = found(edit, |_| {});
        assert!(found.iter().any(|v| v.contains(words)), "{what}: {found:#?}");
    }
}

#[test]
fn forgotten_timers_and_dropped_miners_are_found() {
    // Pools that say nothing more, and a miner that finds nothing: only timers are left to act.
    let quiet = |spec: PoolSpec| PoolSpec { job_interval_us: 60 * MINUTE, ..spec };
    let pools = vec![quiet(PoolSpec::ckpool("ck", 1)), quiet(PoolSpec::public_pool("pp", 2))];
    let spec = WorldSpec::new(1, pools, vec![MinerSpec::new("w0", 0.0, Personality::cgminer(), 1)]);
    for forgets_timers in [false, true] {
        let engine = Engine::new(spec.config.clone(), &Memory::default(), 1);
        let planted = Planted { engine, edit: same, forgets_timers, closes_at: None, number: 0 };
        let mut world = World::around(planted, spec.clone());
        world.run_until(5 * MINUTE);
        let found = world.outcome().violations;
        assert_eq!(found.iter().any(|v| v.contains("silence")), forgets_timers, "{found:#?}");
    }
    let closed = found(same, |planted| planted.closes_at = Some(400));
    assert!(!closed.is_empty(), "a connection is closed for no reason");
}
