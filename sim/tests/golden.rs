//! The committed recordings: small sessions from the first event on, scripted or from a simulated world.
//! `GOLDEN=write cargo test -p dpmp-sim --test golden` writes them anew, when what the engine sends or remembers was changed
//! on purpose. That they replay, and what they look like, is tested where `dpmp replay` is (io-driver/tests/traces.rs).

mod golden_worlds;
mod rig;

use std::fs;
use std::path::{Path, PathBuf};

use dpmp_core::{Command, Conn, Event, Memory, MinerId, Span};
use rig::{A, B, Rig, config, memory, notify};

/// A difficulty that every hash meets.
const EASY: &str = "0.0000000001";

fn scripted(config: dpmp_core::Config, memory: &Memory) -> Rig {
    let mut rig = Rig::new(config, memory);
    rig.watch.made_up = true;
    rig
}

fn submit(rig: &mut Rig, id: u64, job: &str, extranonce2: &str, nonce: u32) -> Vec<String> {
    rig.miner(
        1,
        &format!(
            r#"{{"id":{id},"method":"mining.submit","params":["w1","{job}","{extranonce2}","65000000","{nonce:08x}"]}}"#
        ),
    )
}

/// The pools answer what they were sent: submits are accepted, or refused with this error.
fn judge(rig: &mut Rig, error: &str) {
    for pool in [A, B] {
        for line in rig.pool_got(pool) {
            let request: serde_json::Value = serde_json::from_str(&line).expect("the proxy sends JSON");
            if request["method"] == "mining.submit" {
                let result = if error == "null" { "true" } else { "null" };
                rig.pool(pool, &format!(r#"{{"id":{},"result":{result},"error":{error}}}"#, request["id"]));
            }
        }
    }
}

/// One miner, two healthy pools: new jobs, clean jobs, switches by the schedule, shares of old and new jobs.
fn two_pools() -> Rig {
    let mut rig = scripted(config(60, 40), &memory(8, 4));
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.pool_ready(A, "aabbccdd", 8, EASY, "1");
    rig.pool_ready(B, "11223344", 4, EASY, "1");
    for i in 0..6u32 {
        submit(&mut rig, 10 + u64::from(i), "00000001", "000000", i);
        judge(&mut rig, "null");
        rig.wait(Span::secs(25));
        rig.pool(if i % 2 == 0 { A } else { B }, &notify(&format!("{}", i + 2), i == 3));
    }
    rig
}

/// Shares of every verdict: accepted, refused in the pool's words, duplicate, unknown job, malformed, never answered.
fn verdicts() -> Rig {
    let mut rig = scripted(config(50, 50), &memory(8, 4));
    rig.miner_connects(1);
    submit(&mut rig, 1, "00000001", "000000", 0);
    rig.miner(1, r#"{"id":2,"method":"mining.subscribe","params":["NerdMiner/1.0"]}"#);
    submit(&mut rig, 3, "00000001", "000000", 0);
    rig.miner(1, r#"{"id":"auth","method":"mining.authorize","params":["w1","x"]}"#);
    submit(&mut rig, 4, "00000001", "000000", 0);
    rig.pool_ready(A, "aabbccdd", 8, EASY, "1");
    rig.pool_ready(B, "11223344", 4, EASY, "1");
    submit(&mut rig, 5, "00000001", "000000", 1);
    judge(&mut rig, "null");
    submit(&mut rig, 6, "00000001", "000000", 1);
    submit(&mut rig, 7, "0000beef", "000000", 2);
    submit(&mut rig, 8, "00000001", "0", 2);
    submit(&mut rig, 9, "00000001", "000001", 3);
    judge(&mut rig, r#"[23,"Difficulty too low",null]"#);
    submit(&mut rig, 10, "00000001", "000002", 4);
    judge(&mut rig, r#""Invalid JobID""#);
    rig.pool(A, r#"{"id":null,"method":"mining.set_difficulty","params":[1000000]}"#);
    rig.pool(A, &notify("2", true));
    submit(&mut rig, 11, "00000002", "000002", 4);
    submit(&mut rig, 12, "00000001", "000003", 5);
    rig.wait(Span::secs(40));
    rig
}

/// A pool dies with a share on its way, refuses, comes back; then the other does; then both.
fn outages() -> Rig {
    let mut rig = scripted(config(50, 50), &memory(8, 8));
    rig.miner_ready(1, "bmminer/1.0");
    rig.pool_ready(A, "aabbccdd", 8, EASY, "1");
    rig.pool_ready(B, "11223344", 8, EASY, "1");
    submit(&mut rig, 10, "00000001", "00000000", 1);
    rig.pool_closes(A);
    rig.wait(Span::secs(8));
    rig.pool_fails(A);
    rig.wait(Span::secs(15));
    rig.pool_ready(A, "aabbccee", 8, EASY, "7");
    rig.wait(Span::secs(60));
    rig.pool_closes(B);
    rig.pool_closes(A);
    rig.wait(Span::secs(100));
    rig
}

/// A miner that authorizes first, rolls versions, in pools that nothing is known of; weights and config change; the end.
fn first_contact() -> Rig {
    let mut rig = scripted(config(50, 50), &Memory::default());
    rig.miner_connects(1);
    let conn = Conn::Miner(MinerId(1));
    let hello = concat!(
        r#"{"id":1,"method":"mining.authorize","params":["wallet.w1","x"]}"#,
        "\r\n",
        r#"{"id":2,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
        "\n",
        r#"{"id":3,"method":"mining.subscribe","params":["bosminer-plus-tuner 0.2"]}"#,
        "\n"
    );
    hello.lines().for_each(|line| rig.watch.miner_said(MinerId(1), line));
    // In pieces, as networks do.
    for piece in hello.as_bytes().chunks(37) {
        rig.step(Event::Received { conn, bytes: piece });
    }
    rig.pool_ready(A, "aabbccdd", 8, EASY, "1");
    rig.pool_ready(B, "11223344", 4, EASY, "1");
    rig.miner(
        1,
        r#"{"id":9,"method":"mining.submit","params":["wallet.w1","00000001","000000","65000000","00000001","00002000"]}"#,
    );
    judge(&mut rig, "null");
    rig.command(Command::SetWeights(vec![900_000, 100_000]));
    rig.wait(Span::secs(30));
    rig.command(Command::SetConfig(Box::new(config(0, 100))));
    rig.wait(Span::secs(30));
    rig.command(Command::Drain);
    rig.wait(Span::secs(5));
    rig
}

/// Peers that speak no Stratum, too much, too slowly, or not at all.
fn bad_manners() -> Rig {
    let mut rig = scripted(config(50, 50), &memory(8, 4));
    rig.miner_connects(2);
    rig.step(Event::Received { conn: Conn::Miner(MinerId(2)), bytes: &[0x16, 3, 1, 2, 0, 1] });
    rig.miner_connects(3);
    for _ in 0..22 {
        rig.miner(3, "GET / HTTP/1.1");
    }
    rig.miner_connects(4);
    for _ in 0..2 {
        rig.step(Event::Received { conn: Conn::Miner(MinerId(4)), bytes: &[b'['; 9_000] });
    }
    rig.miner_connects(5);
    rig.miner_ready(1, "cgminer/4.11.1");
    rig.miner(1, r#"{"id":5,"method":"mining.dance","params":[]}"#);
    rig.pool_ready(A, "aabbccdd", 8, EASY, "1");
    rig.pool(A, "{\"id\":77,\"result\":true}");
    rig.pool(A, r#"{"id":null,"method":"client.show_message","params":["hello"]}"#);
    rig.pool(A, r#"{"id":null,"method":"client.reconnect","params":["elsewhere.example","3333",0]}"#);
    rig.pool(A, r#"{"id":null,"method":"mining.notify","params":["2","zz"]}"#);
    rig.step(Event::SendQueue { conn: Conn::Miner(MinerId(1)), bytes: 80_000 });
    rig.wait(Span::secs(31));
    rig
}

/// A session's name, and what plays it.
type Script = (&'static str, fn() -> Rig);

const SCRIPTS: [Script; 5] = [
    ("two-pools", two_pools),
    ("verdicts", verdicts),
    ("outages", outages),
    ("first-contact", first_contact),
    ("bad-manners", bad_manners),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots")
}

/// All recordings that are made here, by name.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    let scripts = SCRIPTS.iter().map(|(name, session)| (*name, session().recording()));
    let worlds = golden_worlds::all();
    scripts.chain(worlds.iter().map(|golden| (golden.0, golden_worlds::record(golden)))).collect()
}

/// Twelve and more, each with a timeline that somebody has read.
#[test]
fn what_is_made_here_is_committed() {
    if std::env::var_os("GOLDEN").is_some_and(|what| what == "write") {
        for (name, bytes) in made() {
            fs::write(folder().join(format!("{name}.trace")), bytes).expect("can be written");
        }
    }
    let worlds = golden_worlds::all();
    assert!(worlds.len() >= 12);
    for name in worlds.iter().map(|golden| golden.0).chain(SCRIPTS.iter().map(|script| script.0)) {
        for file in [format!("{name}.trace"), format!("timelines/{name}.snap")] {
            assert!(folder().join(&file).exists(), "snapshots/{file} is missing; CONTRIBUTING.md says how it is made");
        }
    }
}
