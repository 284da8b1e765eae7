//! Arbitrary lines of a miner or a pool at each stage of a session: no panic, every request with an id answered once or
//! its connection closed, and each message one line of valid JSON.
//!
//! Byte 0: whose lines, and at which stage. Then the lines. A line that starts with `+` lets as many seconds pass as it
//! has bytes; `=` in a pool's line stands for the id of the last request that it got.

use dpmp_core::{Command, Conn, Event, MinerId, Span, UpstreamId};

use super::bench::{Bench, memory, two_pools};

/// Panics on a fault.
pub fn body(data: &[u8]) {
    let [at, lines @ ..] = data else { return };
    let (mut bench, conn) = stage(*at);
    for line in lines.split(|b| *b == b'\n').take(200) {
        if let [b'+', rest @ ..] = line {
            bench.wait(Span::secs(1 + rest.len() as u64));
            continue;
        }
        let mut line = line.to_vec();
        if let Conn::Upstream(upstream) = conn
            && let Some(place) = line.iter().position(|b| *b == b'=')
            && let Some(id) = bench.rules.pools.get(&upstream).and_then(|seen| seen.asked.keys().next_back())
        {
            let id = id.to_string();
            line.splice(place..=place, id.bytes());
        }
        line.push(b'\n');
        bench.receive(conn, &line);
    }
    bench.settle();
}

const MINER: Conn = Conn::Miner(MinerId(1));
const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1"]}"#;
const AUTHORIZE: &str = r#"{"id":2,"method":"mining.authorize","params":["own.w","pw"]}"#;

/// A session at one of 16 stages, and the peer who is heard next.
pub(super) fn stage(at: u8) -> (Bench, Conn) {
    let up = |bench: &Bench| Conn::Upstream(bench.upstreams.keys().next().copied().unwrap_or(UpstreamId(u64::MAX)));
    let ready = |bench: &mut Bench| {
        bench.miner_ready(1, "cgminer/4.11.1");
        for (upstream, size) in bench.upstreams.keys().copied().zip([8, 4]).collect::<Vec<_>>() {
            bench.pool_ready(upstream, "aabbccdd", size);
        }
    };
    let mut bench = match at % 16 {
        // The first probes are under way, and nothing is known of the pools.
        1 | 8 => Bench::new(two_pools(), &dpmp_core::Memory::default()),
        // Room for no embedding: the miner falls back to a pool's own extranonce.
        6 | 13 | 14 | 15 => Bench::without_probes(&memory([8, 2])),
        _ => Bench::without_probes(&memory([8, 4])),
    };
    let conn = match at % 16 {
        8 => {
            let conn = up(&bench);
            bench.connects(bench.upstreams.keys().next().copied().unwrap_or(UpstreamId(1)));
            conn
        }
        n => {
            if !matches!(n, 5 | 7 | 11 | 12) {
                bench.miner_connects(1);
            }
            match n {
                0 | 1 | 15 => MINER,
                2 => {
                    bench.line(MINER, SUBSCRIBE);
                    MINER
                }
                3 => {
                    bench.line(MINER, AUTHORIZE);
                    MINER
                }
                4 => {
                    bench.line(MINER, SUBSCRIBE);
                    bench.line(MINER, AUTHORIZE);
                    MINER
                }
                6 => {
                    bench.line(MINER, SUBSCRIBE);
                    MINER
                }
                13 | 14 => {
                    bench.line(MINER, SUBSCRIBE);
                    bench.line(MINER, AUTHORIZE);
                    let Conn::Upstream(upstream) = up(&bench) else { return (bench, MINER) };
                    bench.connects(upstream);
                    if n == 14 {
                        bench.answer_all(upstream, "aabb", 2, true);
                    }
                    Conn::Upstream(upstream)
                }
                9 | 10 => {
                    bench.line(MINER, SUBSCRIBE);
                    bench.line(MINER, AUTHORIZE);
                    let Conn::Upstream(upstream) = up(&bench) else { return (bench, MINER) };
                    bench.connects(upstream);
                    if n == 10 {
                        let line = r#"{"id":1,"result":[[],"aabbccdd",8],"error":null}"#;
                        bench.line(Conn::Upstream(upstream), line);
                    }
                    Conn::Upstream(upstream)
                }
                // Ready, with work of both pools.
                n => {
                    ready(&mut bench);
                    match n {
                        5 => MINER,
                        7 => {
                            bench.step(Event::Command(Command::Drain));
                            MINER
                        }
                        12 => {
                            // A submit that waits for its answer.
                            let job = bench.rules.miners.get(&MinerId(1)).and_then(|seen| seen.jobs.last()).cloned();
                            if let Some(job) = job {
                                let extranonce2 = "00".repeat(job.extranonce2_bytes);
                                let share = format!(r#""{}","{extranonce2}","{:08x}","00000001""#, job.id, job.ntime);
                                bench.line(
                                    MINER,
                                    &format!(r#"{{"id":9,"method":"mining.submit","params":["w",{share}]}}"#),
                                );
                            }
                            up(&bench)
                        }
                        _ => up(&bench),
                    }
                }
            }
        }
    };
    (bench, conn)
}
