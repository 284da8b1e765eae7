//! A test of the tests: mistakes planted between the engine and the world are each found within thirty seeds, by the check
//! that is meant for them.

mod plants;

use dpmp_core::{Action, Conn, Event, Notice};
use dpmp_sim::world::{Trial, WorldSpec};
use plants::{Mistake, Out, Planted, lines, miner_of, notify_like, param, with_param};

const SEEDS: u64 = 30;

fn nothing(_: &mut plants::Plot, _: &Event<'_>, out: Vec<Out>) -> Vec<Out> {
    out
}

/// What is planted, how, and what must be said of it.
const PLANTS: &[(&str, &str, Mistake)] = &[
    ("I2: a reply is dropped", "I2: request", |plot, _, out| {
        lines(out, true, "\"result\":true", |_, line| {
            plot.n += 1;
            if plot.n.is_multiple_of(40) { vec![] } else { vec![line.into()] }
        })
    }),
    ("I2: a reply is sent twice", "I2: miner", |plot, _, out| {
        lines(out, true, "\"result\":true", |_, line| {
            plot.n += 1;
            if plot.n.is_multiple_of(40) { vec![line.into(), line.into()] } else { vec![line.into()] }
        })
    }),
    ("I2: submits whose pool died are forgotten", "I2: request", |_, _, out| {
        lines(out, true, "connection ended", |_, _| vec![])
    }),
    ("§2: an id changes its type", "I2: miner", |_, _, out| {
        lines(out, true, "\"result\"", |_, line| vec![line.replacen("{\"id\":4,", "{\"id\":\"4\",", 1)])
    }),
    ("§2: the key error is left out", "without the key error", |_, _, out| {
        lines(out, true, "\"result\"", |_, line| vec![line.replace(",\"error\":null", "")])
    }),
    ("§1: extranonce2 is a byte short", "I1:", |_, _, out| {
        lines(out, false, "mining.submit", |_, line| vec![with_param(line, 2, |old| old[2..].into())])
    }),
    ("I1: a share goes to the other pool", "I1:", |plot, _, out| {
        let upstreams = plot.upstreams.clone();
        out.into_iter()
            .map(|out| match out {
                Out::Line(Conn::Upstream(id), line) if line.contains("mining.submit") => {
                    let own = upstreams.get(&id);
                    let other = upstreams.iter().rev().find(|(_, pool)| Some(*pool) != own).map(|(id, _)| *id);
                    Out::Line(Conn::Upstream(other.unwrap_or(id)), line)
                }
                out => out,
            })
            .collect()
    }),
    ("I1: a stale share goes to a new connection", "I1:", |plot, event, mut out| {
        for out in &out {
            if let Out::Line(Conn::Upstream(id), line) = out
                && line.contains("mining.submit")
                && let Some(pool) = plot.upstreams.get(id)
            {
                plot.texts.insert(format!("{pool} {}", id.0), line.clone());
            }
        }
        if let Event::Received { conn: conn @ Conn::Upstream(id), bytes } = event
            && bytes.windows(13).any(|w| w == b"mining.notify")
            && let Some(pool) = plot.upstreams.get(id)
        {
            let own = format!("{pool} {}", id.0);
            let old = plot.texts.iter().find(|(key, _)| key.starts_with(&format!("{pool} ")) && **key != own);
            if let Some((key, line)) = old.map(|(key, line)| (key.clone(), line.clone())) {
                plot.texts.remove(&key);
                out.push(Out::Line(*conn, line));
            }
        }
        out
    }),
    ("I1: a share goes out twice", "twice", |plot, _, out| {
        lines(out, false, "mining.submit", |_, line| {
            plot.n += 1;
            if plot.n.is_multiple_of(40) { vec![line.into(), line.into()] } else { vec![line.into()] }
        })
    }),
    ("I1: the pool's job id is forgotten", "I1:", |_, _, out| {
        lines(out, false, "mining.submit", |_, line| vec![with_param(line, 1, |_| "f00d".into())])
    }),
    ("I1: ntime is lost", "I1:", |_, _, out| {
        lines(out, false, "mining.submit", |_, line| vec![with_param(line, 3, |_| "00000000".into())])
    }),
    ("I3: a good share is dropped", "I3:", |plot, _, out| {
        lines(out, false, "mining.submit", |_, line| {
            plot.n += 1;
            if plot.n.is_multiple_of(40) { vec![] } else { vec![line.into()] }
        })
    }),
    ("§3: the mask is ignored", "version bits", |_, _, out| {
        lines(out, false, "mining.submit", |_, line| vec![with_param(line, 5, |_| "e0000000".into())])
    }),
    ("§1: a pad is used again", "pads:", |plot, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |conn, line| {
            // The same upstream job has the same end of the coinbase.
            let key = format!("{conn:?} {}", param(line, 3));
            let before = plot.texts.entry(key).or_insert_with(|| line.to_owned()).clone();
            vec![notify_like(line, &[(2, param(&before, 2)), (7, param(&before, 7))])]
        })
    }),
    ("§2: difficulty is rounded up", "difficulty: miner", |_, _, out| {
        lines(out, true, "mining.set_difficulty", |_, line| {
            let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let up = message["params"][0].as_u64().map(|n| n + 1);
            vec![up.map_or(line.into(), |n| line.replace(&message["params"].to_string(), &format!("[{n}]")))]
        })
    }),
    ("§2: the job comes before its difficulty", "difficulty", |_, _, mut out| {
        let notify =
            |out: &Out| matches!(out, Out::Line(Conn::Miner(_), line) if line.contains("\"method\":\"mining.notify\""));
        let difficulty = |out: &Out| matches!(out, Out::Line(Conn::Miner(_), line) if line.contains("set_difficulty"));
        let pairs: Vec<(usize, usize)> = (0..out.len())
            .filter(|i| difficulty(&out[*i]))
            .filter_map(|i| {
                Some((i, (i + 1..out.len()).find(|j| notify(&out[*j]) && miner_of(&out[*j]) == miner_of(&out[i]))?))
            })
            .collect();
        pairs.into_iter().for_each(|(i, j)| out.swap(i, j));
        out
    }),
    ("§2: clean_jobs is lost at a switch", "switch:", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec![line.replace(",true]}", ",false]}")])
    }),
    ("§2: a job id is used again", "used before", |plot, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| {
            plot.n += 1;
            let again = [(0, "00000001".to_owned())];
            vec![if plot.n.is_multiple_of(20) { notify_like(line, &again) } else { line.into() }]
        })
    }),
    ("I5: failover comes a step late", "I5:", |plot, event, out| {
        let mut all = std::mem::take(&mut plot.kept);
        if matches!(event, Event::Closed { conn: Conn::Upstream(_), .. }) {
            let late = |out: &Out| matches!(out, Out::Line(Conn::Miner(_), line) if line.contains("mining."));
            let (kept, now): (Vec<Out>, Vec<Out>) = out.into_iter().partition(late);
            plot.kept = kept;
            all.extend(now);
        } else {
            all.extend(out);
        }
        all
    }),
    ("I4: set_extranonce for everyone", "never asked for it", |_, _, out| {
        let told = "{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"01\",4]}\n";
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec![told.into(), line.into()])
    }),
    ("users: workers are mixed up", "credited to", |_, _, out| {
        lines(out, false, "wallet.w1\"", |_, line| vec![line.replace("wallet.w1\"", "wallet.w2\"")])
    }),
    ("I10: a foreign host is obeyed", "not configured", |plot, event, mut out| {
        if let Event::Received { conn: Conn::Upstream(id), bytes } = event
            && bytes.windows(12).any(|w| w == b"evil.example")
            && let Some(pool) = plot.upstreams.get(id)
        {
            plot.n += 1;
            let upstream = dpmp_core::UpstreamId(1_000_000 + plot.n);
            let pool = dpmp_core::PoolId(*pool);
            out.push(Out::Other(Action::Connect { upstream, pool, host: "evil.example".into(), port: 3333 }));
        }
        out
    }),
    ("I10: a reconnect is passed on", "unknown method client.reconnect", |plot, event, mut out| {
        let known: Option<Conn> = out.iter().find_map(|out| miner_of(out).map(Conn::Miner));
        plot.flag |= matches!(event, Event::Received { bytes, .. } if bytes.windows(12).any(|w| w == b"evil.example"));
        if let Some(conn) = known.filter(|_| plot.flag) {
            plot.flag = false;
            let line = "{\"id\":null,\"method\":\"client.reconnect\",\"params\":[\"evil.example\",3333]}\n";
            out.push(Out::Line(conn, line.into()));
        }
        out
    }),
    ("I4: a miner is closed for no reason", "ends:", |plot, _, mut out| {
        plot.n += 1;
        if let Some(conn) = out.iter().find_map(miner_of).map(Conn::Miner).filter(|_| plot.n.is_multiple_of(2000)) {
            out.push(Out::Other(Action::Close(conn)));
        }
        out
    }),
    ("miners: one counts before it authorised", "counts before", |_, _, mut out| {
        let early = out.iter().find_map(|out| match out {
            Out::Other(Action::Notice(Notice::MinerSubscribed { who, agent, .. })) => {
                Some(Notice::MinerReady { who: who.clone(), agent: agent.clone() })
            }
            _ => None,
        });
        out.extend(early.map(|notice| Out::Other(Action::Notice(notice))));
        out
    }),
    ("§2: a blank line", "no JSON object", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec!["\n".into(), line.into()])
    }),
    ("§2: difficulty comes twice", "once more", |_, _, out| {
        lines(out, true, "set_difficulty", |_, line| vec![line.into(), line.into()])
    }),
    ("§2: job ids are upper case", "not 8 lowercase", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec![line.replacen("[\"0", "[\"A", 1)])
    }),
    ("§2: jsonrpc is said", "jsonrpc", |_, _, out| {
        lines(out, true, "{\"id\":null,", |_, line| vec![line.replacen("null,", "null,\"jsonrpc\":\"2.0\",", 1)])
    }),
    ("§2: two messages in one write", "in one write", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec![line.repeat(2)])
    }),
    ("§2: something between authorize and its reply", "before the authorize reply", |_, event, mut out| {
        if let Event::Received { conn: conn @ Conn::Miner(_), bytes } = event
            && bytes.windows(16).any(|w| w == b"mining.authorize")
        {
            let line = "{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"hello\"]}\n";
            out.insert(0, Out::Line(*conn, line.into()));
        }
        out
    }),
    ("I7: what a slow reader is sent grows without end", "I7:", |plot, event, mut out| {
        if let Event::SendQueue { conn: conn @ Conn::Miner(_), bytes: 1.. } = event
            && plot.n < 20
        {
            plot.n += 1;
            let words = "x".repeat(200_000);
            let line = format!("{{\"id\":null,\"method\":\"client.show_message\",\"params\":[\"{words}\"]}}\n");
            out.push(Out::Line(*conn, line));
        }
        out
    }),
];

/// The first seed at which the words are said, and what was said.
fn caught(words: &str, minutes: u64, proxy: impl Fn(&WorldSpec) -> Planted) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let trial = Trial::around(seed, minutes, 14, &proxy);
        let found = trial.violations.into_iter().find(|what| what.contains(words))?;
        Some((seed, found))
    })
}

/// Says what caught the mistake; false if nothing did.
fn check(what: &str, words: &str, minutes: u64, proxy: impl Fn(&WorldSpec) -> Planted) -> bool {
    let caught = caught(words, minutes, proxy);
    match &caught {
        Some((seed, found)) => println!("{what}: at seed {seed} by: {found:.100}"),
        None => println!("{what}: NOT CAUGHT by {words:?} within {SEEDS} seeds"),
    }
    caught.is_some()
}

#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    for (what, words, mistake) in PLANTS {
        let deaf = words.starts_with("I7");
        let plant = |spec: &WorldSpec| Planted { deaf_to_queues: deaf, ..Planted::new(spec.engine(), *mistake) };
        if !check(what, words, 16, plant) {
            missed.push(*what);
        }
    }
    assert_eq!(missed, Vec::<&str>::new());
    assert!(PLANTS.len() >= 20);
}

#[test]
fn forgotten_timers_are_found() {
    let forgets = |spec: &WorldSpec| Planted { forgets_timers: true, ..Planted::new(spec.engine(), nothing) };
    assert!(check("timers are forgotten: silence", "silence", 16, forgets));
    assert!(check("timers are forgotten: answers", "I2: request", 60, forgets));
}

#[test]
fn a_split_that_is_not_the_weights_is_found() {
    let other_weights = |spec: &WorldSpec| {
        let mut spec = spec.clone();
        spec.config.scheduler.weights.rotate_left(1);
        Planted::new(spec.engine(), nothing)
    };
    assert!(check("I6: the weights are mixed up", "I6:", 50, other_weights));
    let long_dwells = |spec: &WorldSpec| {
        let mut spec = spec.clone();
        spec.config.scheduler.min_switch = dpmp_core::time::Span::secs(600);
        spec.config.scheduler.slice = dpmp_core::time::Span::secs(590);
        Planted::new(spec.engine(), nothing)
    };
    assert!(check("I6: dwells are far too long", "I6:", 50, long_dwells));
}

#[test]
fn nothing_planted_nothing_found() {
    for seed in 0..10 {
        let trial = Trial::around(seed, 16, 14, |spec| Planted::new(spec.engine(), nothing));
        assert_eq!(trial.violations, Vec::<String>::new(), "seed {seed}");
    }
}
