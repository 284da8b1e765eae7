//! Recordings of whole sessions: written, read, replayed, damaged, cut, redacted.

mod rig;

use dpmp_core::config::Address;
use dpmp_core::trace::{
    EndReason, Ending, Fault, Origin, Part, Reader, Record, Recorder, Replay, ReplayError, Segment, SegmentWriter,
    Summary, redact, replay,
};
use dpmp_core::{ActionBuf, Command, Config, Conn, Event, MinerId, Span};
use rig::{A, B, Rig, config, memory};

/// Names that may not be left in a redacted recording.
const SECRETS: [&str; 9] = [
    "bc1qexampleexampleexampleexample0000",
    "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
    "own.wallet",
    "garage-rig",
    "hunter2hunter2",
    "s3cret-pool-pw",
    "stratum.secret-pool.example",
    "192.0.2.",
    "76a914c0ffee",
];

fn secret_config() -> Config {
    let mut config = config(50, 50);
    config.pools[0].wallet = SECRETS[0].to_owned();
    config.pools[1].wallet = format!("bitcoincash:{}", SECRETS[1]);
    config.pools[1].password = Some(SECRETS[5].to_owned());
    config.pools[0].address = Address { host: SECRETS[6].to_owned(), port: 3333 };
    config
}

/// A job with a payout script.
fn job(id: &str) -> String {
    rig::notify(id, true).replace("\"bb00000000\"", "\"bb76a914c0ffee00c0ffee88ac00000000\"")
}

/// A miner of every kind of name, two pools, shares, refusals that quote names, a config change, a disconnect.
fn session(cut_after: Option<usize>) -> (Rig, Vec<u8>) {
    let mut rig = Rig::new(secret_config(), &memory(8, 4));
    rig.watch.made_up = true;
    let mut recording = Vec::new();
    let mut steps = 0;
    let mut cut = |rig: &mut Rig| {
        steps += 1;
        if cut_after == Some(steps) {
            recording.extend(rig.recording());
        }
    };
    rig.miner_connects(1);
    for line in [r#"{"id":1,"method":"mining.subscribe"}"#, r#"{"id":2,"method":"mining.authorize"}"#] {
        rig.watch.miner_said(MinerId(1), line);
    }
    // A line that comes in pieces.
    let conn = Conn::Miner(MinerId(1));
    for piece in
        [&b"{\"id\":1,\"method\":\"mining.subscr"[..], b"ibe\",\"params\":[\"cgminer/4.11.1\"]}\n{\"id\":2,\"meth"]
    {
        rig.step(Event::Received { conn, bytes: piece });
        cut(&mut rig);
    }
    let rest =
        format!("od\":\"mining.authorize\",\"params\":[\"{}.{}\",\"{}\"]}}\n", SECRETS[2], SECRETS[3], SECRETS[4]);
    let (early, late) = rest.split_at(rest.len() / 2);
    rig.step(Event::Received { conn, bytes: early.as_bytes() });
    cut(&mut rig);
    rig.step(Event::Received { conn, bytes: late.as_bytes() });
    cut(&mut rig);
    for (pool, en1, size) in [(A, "aabbccdd", 8), (B, "11223344", 4)] {
        rig.pool_ready(pool, en1, size, "0.0000000001", "1");
        cut(&mut rig);
        rig.pool(pool, &job("2"));
        cut(&mut rig);
    }
    for i in 0..12 {
        let told = rig.miner_got(1);
        let _ = told;
        rig.wait(Span::secs(5));
        rig.miner(
            1,
            &format!(
                r#"{{"id":{},"method":"mining.submit","params":["{}.{}","0000000{}","00000{i:x}","65000000","0000000{i:x}"]}}"#,
                10 + i,
                SECRETS[2],
                SECRETS[3],
                1 + i / 6,
            ),
        );
        cut(&mut rig);
        for pool in [A, B] {
            for line in rig.pool_got(pool) {
                let Ok(request) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
                let refusal = format!(r#"[24,"Unauthorized worker {}.{}",null]"#, SECRETS[0], SECRETS[3]);
                let error = if i == 3 { refusal.as_str() } else { "null" };
                let result = i != 3;
                if request["method"] == "mining.submit" {
                    rig.pool(pool, &format!(r#"{{"id":{},"result":{result},"error":{error}}}"#, request["id"]));
                    cut(&mut rig);
                }
            }
        }
    }
    let message = format!(r#"{{"id":null,"method":"client.show_message","params":["hello {}"]}}"#, SECRETS[0]);
    rig.pool(A, &message);
    cut(&mut rig);
    rig.miner(1, "{\"this\":\"is no Stratum of garage-rig\"");
    let mut changed = secret_config();
    changed.pools[1].address.host = format!("second.{}", SECRETS[6]);
    rig.command(Command::SetConfig(Box::new(changed)));
    cut(&mut rig);
    rig.pool_fails(B);
    rig.step(Event::Closed { conn, reason: "192.0.2.1: connection reset" });
    cut(&mut rig);
    rig.wait(Span::secs(30));
    // The begin of a line that never comes to its end.
    rig.miner_connects(2);
    let conn = Conn::Miner(MinerId(2));
    rig.step(Event::Received { conn, bytes: b"{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"half-a-name" });
    recording.extend(rig.recording());
    (rig, recording)
}

fn segments(bytes: &[u8]) -> Vec<Segment<'_>> {
    Reader::new(bytes)
        .filter_map(|part| match part {
            Part::Segment(segment) => Some(segment),
            Part::Damage(_) => None,
        })
        .collect()
}

fn replay_all(bytes: &[u8]) -> Vec<Summary> {
    segments(bytes).iter().map(|segment| replay(segment).expect("replays")).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_session_survives_write_read_and_replay() {
    let (_, bytes) = session(None);
    let found = segments(&bytes);
    assert_eq!(found.len(), 1);
    assert!(matches!(found[0].ending, Ending::Closed(_)));
    let summary = replay(&found[0]).expect("replays");
    assert!(summary.steps > 60 && summary.compared == summary.steps, "{summary:?}");
    assert!(SECRETS.iter().filter(|s| **s != "76a914c0ffee" && **s != "192.0.2.").all(|s| contains(&bytes, s)));
}

#[test]
fn a_recording_can_be_cut_at_any_step() {
    let (rig, whole) = session(None);
    let end = rig.engine.checkpoint();
    let mut cuts = 0;
    for after in 1..60 {
        let (rig, bytes) = session(Some(after));
        assert_eq!(rig.engine.checkpoint(), end);
        let parts = replay_all(&bytes);
        cuts += usize::from(parts.len() == 2);
        assert_eq!(parts.iter().map(|s| s.steps).sum::<u64>(), replay_all(&whole)[0].steps, "cut after {after}");
    }
    assert!(cuts > 20, "{cuts}");
}

#[test]
fn damage_costs_only_its_segment() {
    let (mut rig, first) = session(None);
    rig.wait(Span::mins(2));
    let second = rig.recording();
    let (_, third) = session(None);
    let bytes = [first.as_slice(), &second, &third].concat();
    let good = replay_all(&bytes);
    assert_eq!(good.len(), 3);
    let middle = first.len()..first.len() + second.len();
    // Every byte of the second segment; the checks of the first and third are the same for each.
    for at in middle.clone() {
        for bit in [0x01, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            let mut told = 0;
            let mut whole = Vec::new();
            for part in Reader::new(&damaged) {
                match part {
                    Part::Damage(damage) => told += damage.bytes,
                    Part::Segment(segment) => match segment.ending {
                        Ending::Damaged(damage) => told += damage.bytes,
                        Ending::Open | Ending::Closed(_) => whole.push(segment.offset),
                    },
                }
            }
            assert!(told > 0, "byte {at}: the damage is told");
            assert_eq!(whole, [0, middle.end as u64], "byte {at}: the others are whole");
        }
    }
}

#[test]
fn a_file_cut_short_is_read_as_far_as_it_goes() {
    let (_, bytes) = session(None);
    let all = replay_all(&bytes)[0].steps;
    let mut last = 0;
    for length in 0..bytes.len() {
        let mut steps = 0;
        let mut lost = 0;
        let mut open = false;
        for part in Reader::new(&bytes[..length]) {
            match part {
                Part::Damage(damage) => lost += damage.bytes,
                Part::Segment(segment) => {
                    match segment.ending {
                        Ending::Damaged(damage) => lost += damage.bytes,
                        Ending::Open => open = true,
                        Ending::Closed(reason) => panic!("cut at {length}, but {reason:?}"),
                    }
                    if length % 97 == 0 {
                        steps = replay(&segment).expect("what is there replays").steps;
                    }
                }
            }
        }
        assert!(length == 0 || open || lost > 0, "cut at {length}: told");
        assert!(steps == 0 || (last..=all).contains(&steps));
        last = last.max(steps);
    }
    assert!(last > all / 2);
}

#[test]
fn a_changed_event_is_found() {
    // The bytes of an event changed and its check sum made right: only the digest can tell.
    let (_, bytes) = session(None);
    let needle = b"\"0000000";
    let mut mismatches = 0;
    let found = segments(&bytes);
    let mut records: Vec<_> = found[0].records().map(|r| r.expect("good")).collect();
    for record in &mut records {
        let Record::Event(_, Event::Received { conn: Conn::Miner(_), bytes }) = record else { continue };
        if !bytes.windows(needle.len()).any(|w| w == needle) {
            continue;
        }
        let changed = String::from_utf8_lossy(bytes).replace("65000000", "65000001").into_bytes();
        *bytes = Box::leak(changed.into_boxed_slice());
        mismatches += 1;
    }
    assert!(mismatches > 0);
    let mut writer = SegmentWriter::new(&found[0].header, &found[0].origin().expect("good"));
    for record in records {
        writer.record(&record);
    }
    let rewritten = writer.take(Vec::new());
    let error = replay(&segments(&rewritten)[0]).expect_err("differs");
    assert!(matches!(error, ReplayError::Mismatch { .. }), "{error}");
}

#[test]
fn another_version_is_named() {
    let (_, bytes) = session(None);
    let mut other = bytes.clone();
    // Behind the magic, kind and length.
    other[13] = 99;
    let Some(Part::Damage(damage)) = Reader::new(&other).next() else { panic!() };
    assert!(matches!(damage.fault, Fault::CheckSum | Fault::Version(99)), "{damage:?}");
}

#[test]
fn a_redacted_recording_replays_and_tells_no_name() {
    for cut in [None, Some(2), Some(3), Some(6), Some(15), Some(30)] {
        let (_, bytes) = session(cut);
        let before = replay_all(&bytes);
        let redacted = redact(&bytes, [42; 32]).expect("can be redacted");
        let after = replay_all(&redacted.bytes);
        assert_eq!(
            before.iter().map(|s| s.steps).collect::<Vec<_>>(),
            after.iter().map(|s| s.steps).collect::<Vec<_>>()
        );
        for secret in SECRETS.iter().chain(&["half-a-name", "c0ffee00", "C0FFEE00"]) {
            assert!(!contains(&redacted.bytes, secret), "{secret} is left");
        }
        let found = segments(&redacted.bytes);
        let hashes = found.iter().flat_map(Segment::records).filter(|r| matches!(r, Ok(Record::Hashes(_))));
        assert!(hashes.count() >= 3, "shares were checked");
        assert!(contains(&redacted.bytes, "cgminer/4.11.1"), "what the engine reads stays");
        assert!(segments(&redacted.bytes).iter().all(|segment| segment.header.redacted));
        assert_eq!(redact(&bytes, [42; 32]).expect("again").bytes, redacted.bytes, "one key, one result");
        assert_ne!(redact(&bytes, [43; 32]).expect("again").bytes, redacted.bytes);
        let twice = redact(&redacted.bytes, [44; 32]).expect("a redacted one can be redacted");
        assert_eq!(replay_all(&twice.bytes).len(), after.len());
    }
}

#[test]
fn however_the_streams_are_cut_the_same_goes_out_and_no_name_is_told() {
    let (_, bytes) = session(None);
    let found = segments(&bytes);
    let whole = replay(&found[0]).expect("replays");
    for size in [1, 2, 3, 7, 31, 64] {
        let mut engine = found[0].restore().expect("restores");
        let mut recorder = Recorder::new(&engine, 9, 0);
        let mut out = ActionBuf::new();
        for record in found[0].records() {
            let Ok(Record::Event(time, event)) = record else { continue };
            let Event::Received { conn, bytes } = event else {
                out.clear();
                recorder.step(&mut engine, time, event, &mut out);
                continue;
            };
            for piece in bytes.chunks(size) {
                out.clear();
                recorder.step(&mut engine, time, Event::Received { conn, bytes: piece }, &mut out);
            }
        }
        let cut = recorder.end(EndReason::Stopped);
        assert_eq!(replay_all(&cut)[0].digest, whole.digest, "pieces of {size}");
        let redacted = redact(&cut, [1; 32]).expect("can be redacted");
        replay_all(&redacted.bytes);
        assert!(SECRETS.iter().all(|secret| !contains(&redacted.bytes, secret)));
    }
}

#[test]
fn hostile_bytes_never_panic_the_reader() {
    let (_, bytes) = session(None);
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..2_000 {
        let mut changed = bytes.clone();
        for _ in 0..next() % 8 {
            if changed.is_empty() {
                break;
            }
            let (at, n) = (next() % changed.len(), next() % 64);
            match next() % 4 {
                0 => changed[at] = next() as u8,
                1 => drop(changed.drain(at..(at + n).min(changed.len()))),
                2 => changed.truncate(at.max(1)),
                _ => {
                    let piece = changed[at..(at + n).min(changed.len())].to_vec();
                    let to = next() % changed.len();
                    changed.splice(to..to, piece);
                }
            }
        }
        let mut covered = 0;
        for part in Reader::new(&changed) {
            match part {
                Part::Damage(damage) => covered += damage.bytes,
                Part::Segment(segment) => {
                    covered += 1;
                    let _ = replay(&segment);
                }
            }
        }
        assert!(covered > 0 || changed.is_empty());
    }
}

/// A file of nothing but heads of segments, each with a checkpoint that claims all the rest: reading it takes time by its
/// length, not by the square of it (which would be hours).
#[test]
fn a_hostile_recording_takes_time_by_its_length() {
    let (_, good) = session(None);
    let header = 8 + 5 + u32::from_le_bytes(good[9..13].try_into().expect("four bytes")) as usize + 4;
    let (head, total) = (&good[..header], 48 << 20);
    let mut bytes = Vec::with_capacity(total);
    while bytes.len() + 200 < total {
        bytes.extend_from_slice(head);
        let claimed = (total - bytes.len() - 9) as u32;
        bytes.push(2);
        bytes.extend(claimed.to_le_bytes());
    }
    bytes.resize(total, 0);
    let mut covered = 0;
    for part in Reader::new(&bytes) {
        let Part::Damage(damage) = part else { panic!("{part:?}") };
        assert_eq!(damage.offset, covered, "each byte is told of once");
        covered += damage.bytes;
    }
    assert_eq!(covered, total as u64);
    // What follows damage that wastes little is still found.
    let mut some = head.to_vec();
    some.push(2);
    some.extend((good.len() as u32).to_le_bytes());
    let some = [some.as_slice(), &good, &[0; 9]].concat();
    assert_eq!(segments(&some).len(), 1);
}

/// What an engine is made of tells no name either, and stays what the engine is made of.
#[test]
fn a_redacted_recording_begins_at_the_first_event_too() {
    let (_, bytes) = session(None);
    let redacted = redact(&bytes, [42; 32]).expect("can be redacted");
    let (before, after) = (segments(&bytes), segments(&redacted.bytes));
    let (Ok(Origin::Start(was)), Ok(Origin::Start(is))) = (before[0].origin(), after[0].origin()) else {
        panic!("from the first event on")
    };
    assert_eq!((was.seed, was.config.scheduler.clone()), (is.seed, is.config.scheduler.clone()));
    for (a, b) in was.config.pools.iter().zip(&is.config.pools) {
        assert!(a.wallet != b.wallet && a.wallet.len() == b.wallet.len());
        assert!(a.address.host != b.address.host && a.address.host.len() == b.address.host.len());
    }
    // The memory is found under the pseudonyms.
    let known =
        |origin: &dpmp_core::trace::Start| origin.memory.pools.iter().map(|(name, _)| name.len()).collect::<Vec<_>>();
    assert_eq!(known(&was), known(&is));
    assert!(is.memory.pools.iter().all(|(name, _)| was.memory.pools.iter().all(|(other, _)| other != name)));
}

#[test]
fn a_restored_engine_goes_on_identically() {
    let (_, bytes) = session(None);
    let found = segments(&bytes);
    let mut replay = Replay::new(&found[0]).expect("restores");
    let mut out = ActionBuf::new();
    while replay.advance(&mut out).expect("replays").is_some() {
        let engine = replay.engine();
        assert_eq!(dpmp_core::Engine::restore(&engine.checkpoint()).as_ref(), Ok(engine));
    }
}
