//! Mistakes against the invariants of the design.

use dpmp_core::{Action, Conn, Event, Notice};

use super::{Out, Plant, lines, miner_of, with_param};

pub(crate) const PLANTS: &[Plant] = &[
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
    ("I2: an answer that never comes is waited for", "I2: request", |_, _, out| {
        lines(out, true, "did not answer within", |_, _| vec![])
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
