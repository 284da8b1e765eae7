//! Mistakes against the rules of Stratum: what miners bear, how the extranonce is embedded.

use dpmp_core::{Action, Conn, Event, Notice, PoolId};

use super::{Out, Plant, lines, miner_of, notify_like, param, with_branches, with_param};

pub(crate) const PLANTS: &[Plant] = &[
    ("§2: an id changes its type", "I2: miner", |_, _, out| {
        lines(out, true, "\"result\"", |_, line| vec![line.replacen("{\"id\":4,", "{\"id\":\"4\",", 1)])
    }),
    ("§2: the key error is left out", "without the key error", |_, _, out| {
        lines(out, true, "\"result\"", |_, line| vec![line.replace(",\"error\":null", "")])
    }),
    ("§1: extranonce2 is a byte short", "I1:", |_, _, out| {
        lines(out, false, "mining.submit", |_, line| vec![with_param(line, 2, |old| old[2..].into())])
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
    ("§1: an old job is forgotten as soon as there is another", "I3:", |plot, _, out| {
        for out in &out {
            if let Out::Other(Action::Notice(Notice::PoolJob { pool, pool_job, .. })) = out {
                plot.texts.insert(pool.to_string(), pool_job.to_string());
            }
        }
        let newest = plot.texts.clone();
        let upstreams = plot.upstreams.clone();
        lines(out, false, "mining.submit", |conn, line| {
            let Conn::Upstream(id) = conn else { return vec![line.into()] };
            let pool = upstreams.get(&id).map(|pool| PoolId(*pool).to_string()).unwrap_or_default();
            let known = newest.get(&pool).is_none_or(|newest| *newest == param(line, 1));
            if known { vec![line.into()] } else { vec![] }
        })
    }),
    ("§1: extranonce2 has other bytes than the miner's", "I1:", |plot, _, out| {
        lines(out, false, "mining.submit", |_, line| {
            plot.n += 1;
            let turn = |old: &str| old[2..].to_owned() + &old[..2];
            vec![if plot.n.is_multiple_of(20) { with_param(line, 2, turn) } else { line.into() }]
        })
    }),
    ("§2: a job has a parameter too few", "parameters", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| {
            let cut = line.rfind(',').expect("parameters");
            vec![format!("{}]}}\n", &line[..cut])]
        })
    }),
    ("§2: the keys are in another order", "the keys are not", |_, _, out| {
        lines(out, true, "{\"id\":null,", |_, line| {
            vec![format!("{{{},\"id\":null}}\n", &line.trim_end()[11..line.trim_end().len() - 1])]
        })
    }),
    ("§2: difficulty has a fraction above 1", "neither an integer", |_, _, out| {
        lines(out, true, "mining.set_difficulty", |_, line| vec![line.replace("]}", ".5]}").replace("..", ".")])
    }),
    ("§2: a job before the reply to subscribe", "before the reply to the first request", |_, event, mut out| {
        if let Event::MinerAccepted { miner, .. } = event {
            let line = "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1]}\n";
            out.push(Out::Line(Conn::Miner(*miner), line.into()));
        }
        out
    }),
    ("§2: a mask for those who never asked", "set_version_mask a second time", |plot, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| {
            plot.n += 1;
            let mask = "{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"1fffe000\"]}\n";
            vec![mask.into(), line.into()]
        })
    }),
    ("§2: a line too long for small firmwares", "a line of", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec![with_branches(line, 46)])
    }),
    ("§2: more branches than a Bitaxe bears", "branches, more than 32", |_, _, out| {
        lines(out, true, "\"method\":\"mining.notify\"", |_, line| vec![with_branches(line, 33)])
    }),
    ("§2: an unknown method gets no reply", "never answered", |_, _, out| {
        lines(out, true, "\"error\":[20,", |_, _| vec![])
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
    ("§4: a ping is not answered", "is not answered", |_, _, out| lines(out, false, "pong", |_, _| vec![])),
    ("§4: get_version is not answered", "is not answered", |_, _, out| {
        lines(out, false, "\"id\":7002", |_, _| vec![])
    }),
    ("§4: authorize has a parameter too many", "logins:", |_, _, out| {
        lines(out, false, "mining.authorize", |_, line| vec![line.replace("]}", ",\"\"]}")])
    }),
    ("§4: the miner's password is lost", "logins:", |_, _, out| {
        lines(out, false, "mining.authorize", |_, line| vec![with_param(line, 1, |_| "lost".into())])
    }),
    ("§4: the miner's agent is lost", "logins:", |_, _, out| {
        lines(out, false, "mining.subscribe", |_, line| vec![with_param(line, 0, |_| "dpmp".into())])
    }),
    ("§4: another worker's name", "logins:", |_, _, out| {
        lines(out, false, "mining.authorize", |_, line| vec![with_param(line, 0, |user| format!("{user}x"))])
    }),
    ("§4: version bits are left out", "pool ", |_, _, out| {
        lines(out, false, "mining.submit", |_, line| {
            let mut message: serde_json::Value = serde_json::from_str(line).expect("JSON");
            message["params"].as_array_mut().expect("parameters").truncate(5);
            vec![format!("{message}\n")]
        })
    }),
];
