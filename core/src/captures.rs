//! Real sessions of real miners and pools (`snapshots/captures`): every line is understood, and every share's header,
//! hash, difficulty and verdict are what an independent computation and the pool itself said.
extern crate std;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, println};

use serde::Deserialize;

use crate::difficulty::{Difficulty, Target};
use crate::frame::Framer;
use crate::ids::{PoolId, UpstreamId};
use crate::job::{JobContext, Jobs, PoolJobKey, ShareKey};
use crate::share::{self, Share};
use crate::stratum::hex;
use crate::stratum::message::{
    Answer, MinerRequest, Notify, PoolMessage, answer, miner_request, pool_message, subscribe_result,
};
use crate::stratum::wire::{Line, RequestId};
use crate::time::Time;

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    conn: u64,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

/// A row of `verdicts.json`.
#[derive(Deserialize)]
struct Expected {
    conn: u64,
    params: Vec<String>,
    difficulty: String,
    job_difficulty: String,
    header: String,
    hash: String,
    share_difficulty: String,
    meets_difficulty: bool,
    meets_job_difficulty: bool,
    block_candidate: bool,
    verdict: String,
    #[serde(default)]
    error: Option<ErrorShape>,
}

/// `[code, text, ...]`
#[derive(Deserialize)]
#[serde(transparent)]
struct ErrorShape(Vec<Option<CodeOrText>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum CodeOrText {
    Code(i64),
    Text(String),
}

/// What one connection knows, as the engine's upstream would.
struct Session {
    framers: [Framer; 2],
    jobs: Jobs,
    keys: BTreeMap<String, PoolJobKey>,
    extranonce1: Vec<u8>,
    extranonce2_bytes: u8,
    difficulty: Difficulty,
    requests: BTreeMap<String, String>,
    prevhash: [u8; 32],
    seq: u64,
}

impl Session {
    fn new() -> Session {
        Session {
            framers: [Framer::default(), Framer::default()],
            jobs: Jobs::default(),
            keys: BTreeMap::new(),
            extranonce1: Vec::new(),
            extranonce2_bytes: 0,
            difficulty: Difficulty::ONE,
            requests: BTreeMap::new(),
            prevhash: [0; 32],
            seq: 0,
        }
    }

    fn notify(&mut self, notify: Notify) {
        self.seq += 1;
        self.prevhash = notify.prevhash;
        let context = JobContext {
            pool: PoolId(0),
            upstream: UpstreamId(1),
            extranonce1: &self.extranonce1,
            extranonce2_bytes: self.extranonce2_bytes,
            difficulty: self.difficulty,
            seq: self.seq,
        };
        let id = notify.job.clone();
        let key = self.jobs.add(notify, &context, None, Time::ZERO);
        self.keys.insert(id, key);
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../snapshots/captures")
}

/// Six significant digits, as `verdicts.json` has them.
fn six_digits(text: &str) -> String {
    let value: f64 = text.parse().unwrap();
    format!("{value:.5e}")
}

/// The share's way through our own code, held against the row. True: our check would send it to the pool.
fn check_share(session: &mut Session, expected: &Expected, what: &str) -> bool {
    let key = session.keys[&expected.params[1]];
    let job = session.jobs.pool_job(key).unwrap();
    let extranonce2 = hex::bytes(&expected.params[2], 16).unwrap();
    assert_eq!(extranonce2.len(), usize::from(session.extranonce2_bytes), "{what}");
    let fields = Share {
        extranonce2: &extranonce2,
        ntime: hex::word(&expected.params[3]).unwrap(),
        nonce: hex::word(&expected.params[4]).unwrap(),
        version: job.version,
    };
    let mut header = Vec::new();
    hex::write(&mut header, &share::header(job, &fields));
    assert_eq!(String::from_utf8(header).unwrap(), expected.header, "{what}");

    let (value, hash) = share::check(&mut share::Pow::Sha256d, job, &fields);
    let mut most_significant_first = hash;
    most_significant_first.reverse();
    let mut shown = Vec::new();
    hex::write(&mut shown, &most_significant_first);
    assert_eq!(String::from_utf8(shown).unwrap(), expected.hash, "{what}");
    assert_eq!(six_digits(&value.difficulty().to_string()), six_digits(&expected.share_difficulty), "{what}");

    assert_eq!(session.difficulty, Difficulty::parse(&expected.difficulty).unwrap(), "{what}");
    assert_eq!(job.difficulty, Difficulty::parse(&expected.job_difficulty).unwrap(), "{what}");
    let meets = |difficulty: Difficulty| value.meets(&difficulty.target());
    assert_eq!(meets(session.difficulty), expected.meets_difficulty, "{what}");
    assert_eq!(meets(job.difficulty), expected.meets_job_difficulty, "{what}");
    assert_eq!(value.meets(&Target::from_compact(job.nbits)), expected.block_candidate, "{what}");

    let stale = job.prevhash != session.prevhash;
    let refused = expected.error.as_ref().and_then(|e| match e.0.first() {
        Some(Some(CodeOrText::Code(code))) => Some(*code),
        Some(Some(CodeOrText::Text(text))) => text.parse().ok(),
        _ => None,
    });
    assert_eq!(stale, refused == Some(21), "{what}");
    let forwards = meets(job.difficulty.min(session.difficulty)) || expected.block_candidate;
    assert!(forwards || expected.verdict != "accepted", "{what}: a good share would be dropped");

    let number = extranonce2.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    let seen = ShareKey { extranonce2: number, ntime: fields.ntime, nonce: fields.nonce, version: fields.version };
    let job = session.jobs.pool_job_mut(key).unwrap();
    assert!(job.remember(seen), "{what}: no session has a duplicate");
    assert!(!job.remember(seen));
    forwards
}

#[derive(Default)]
struct Totals {
    lines: u32,
    odd: Vec<String>,
    shares: u32,
    accepted: u32,
    forwarded: u32,
}

fn play(name: &str, expected: &[Expected], totals: &mut Totals) {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let mut sessions: BTreeMap<u64, Session> = BTreeMap::new();
    let mut rows = expected.iter();
    for record in text.lines() {
        let record: Record = serde_json::from_str(record).unwrap();
        let (Some(from), Some(text)) = (&record.from, &record.text) else { continue };
        let session = sessions.entry(record.conn).or_insert_with(Session::new);
        let side = usize::from(from == "pool");
        let mut framer = core::mem::take(&mut session.framers[side]);
        let mut input = text.as_bytes();
        while let Some(line) = framer.next(&mut input, 262_144) {
            totals.lines += 1;
            let line = line.unwrap();
            let what = format!("{name}: {}", String::from_utf8_lossy(line));
            if side == 0 {
                miner_line(session, line, record.conn, &mut rows, totals, &what);
            } else {
                pool_line(session, line, totals, &what);
            }
        }
        session.framers[side] = framer;
    }
    assert!(rows.next().is_none(), "{name}: a submit of verdicts.json never came");
}

fn miner_line<'e>(
    session: &mut Session,
    line: &[u8],
    conn: u64,
    rows: &mut impl Iterator<Item = &'e Expected>,
    totals: &mut Totals,
    what: &str,
) {
    let (id, request) = miner_request(line).unwrap_or_else(|e| panic!("{what}: {e}"));
    let method = match request {
        MinerRequest::Submit(_) => {
            let row = rows.next().unwrap();
            assert_eq!(row.conn, conn, "{what}");
            totals.shares += 1;
            totals.accepted += u32::from(row.verdict == "accepted");
            totals.forwarded += u32::from(check_share(session, row, what));
            "submit"
        }
        MinerRequest::Subscribe { .. } => "subscribe",
        MinerRequest::Bad { .. } | MinerRequest::Unknown(_) | MinerRequest::Pong => panic!("{what}: not understood"),
        _ => "other",
    };
    session.requests.insert(id.to_string(), method.to_string());
}

fn pool_line(session: &mut Session, line: &[u8], totals: &mut Totals, what: &str) {
    let Ok(parsed) = Line::parse(line) else {
        totals.odd.push(what.to_string());
        return;
    };
    if parsed.method.is_none() {
        // The relay sat between a miner and a pool, so the ids are the miner's own.
        let id = RequestId::of(parsed.id).to_string();
        if session.requests.get(&id).is_some_and(|method| method == "subscribe") {
            let Answer::Ok(result) = answer(&parsed) else { panic!("{what}") };
            let subscription = subscribe_result(result).unwrap_or_else(|e| panic!("{what}: {e}"));
            session.extranonce1 = subscription.extranonce1;
            session.extranonce2_bytes = subscription.extranonce2_bytes;
        }
        return;
    }
    match pool_message(line).unwrap_or_else(|e| panic!("{what}: {e}")) {
        PoolMessage::Notify(notify) => session.notify(notify),
        PoolMessage::SetDifficulty(difficulty) => session.difficulty = difficulty,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn every_line_is_understood_and_every_share_agrees() {
    let verdicts = fs::read_to_string(folder().join("verdicts.json")).unwrap();
    let verdicts: BTreeMap<String, Vec<Expected>> = serde_json::from_str(&verdicts).unwrap();
    let mut totals = Totals::default();
    let mut names: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jsonl"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 18);
    for name in &names {
        play(name, verdicts.get(name).map_or(&[], Vec::as_slice), &mut totals);
    }
    println!("{} lines, {} shares, {} accepted", totals.lines, totals.shares, totals.accepted);
    assert_eq!((totals.shares, totals.accepted), (683, 628));
    assert_eq!(totals.forwarded, 683, "every share of these sessions meets the easier of its two difficulties");
    assert_eq!(totals.odd.len(), 1, "{:?}", totals.odd);
    assert!(totals.odd[0].ends_with("Invalid JSON, disconnecting"));
}
