//! Recordings: reading arbitrary bytes never panics and stays within the format's limits, and damage costs only its
//! segment.
//!
//! The lowest two bits of byte 0 say what the rest is: 0, a recording, read and replayed; 1, changes to one segment of a
//! good recording; 2, a recording whose check sums are mended before it is read; 3, where a good recording is cut.

use std::sync::OnceLock;

use dpmp_core::trace::{
    EndReason, Ending, FORMAT_VERSION, LONGEST_CHECKPOINT, LONGEST_RECORD, MAGIC, Origin, Part, Reader, Record,
    Recorder, Segment, Start, replay,
};
use dpmp_core::{ActionBuf, Conn, Event, MinerId, Time, UpstreamId};

use super::bench::{memory, notify, two_pools};

/// Panics on a fault.
pub fn body(data: &[u8]) {
    let [how, rest @ ..] = data else { return };
    match how & 3 {
        0 => read(rest, true),
        1 => damage(usize::from(how >> 2), rest),
        2 => read(&mended(rest), false),
        _ => cut(rest),
    }
}

/// Reads everything that can be read.
fn read(bytes: &[u8], replays: bool) {
    let (mut end, mut parts) = (0, 0);
    for part in Reader::new(bytes) {
        parts += 1;
        assert!(parts <= bytes.len(), "more parts than bytes");
        match part {
            Part::Damage(damage) => {
                assert!(damage.offset >= end && damage.bytes > 0, "{damage:?} after {end}");
                end = damage.offset + damage.bytes;
            }
            Part::Segment(segment) => {
                assert!(segment.offset >= end, "a segment at {} after {end}", segment.offset);
                end = segment.offset + segment.origin_bytes();
                if let Ending::Damaged(damage) = segment.ending {
                    assert!(damage.offset >= end && damage.bytes > 0, "{damage:?} after {end}");
                    end = damage.offset + damage.bytes;
                }
                read_segment(&segment);
                if replays {
                    let _any_outcome = replay(&segment).is_ok();
                }
            }
        }
        assert!(end <= bytes.len() as u64, "beyond the end");
    }
}

fn read_segment(segment: &Segment<'_>) {
    if let Ok(origin) = segment.origin() {
        if let Origin::Checkpoint(bytes) = &origin {
            assert!(bytes.len() <= LONGEST_CHECKPOINT as usize, "a checkpoint beyond its limit");
            assert!(bytes.len() as u64 <= 256 * segment.origin_bytes(), "a checkpoint from nothing");
        }
        let _any_outcome = origin.engine().is_ok();
    }
    let mut last = segment.header.time;
    let mut failed = false;
    for record in segment.records() {
        assert!(!failed, "a record behind a fault");
        match record {
            Ok(Record::Event(time, event)) => {
                assert!(time >= last, "time runs back");
                last = time;
                if let Event::Received { bytes, .. } = event {
                    assert!(bytes.len() <= LONGEST_RECORD as usize, "a record beyond its limit");
                }
            }
            Ok(Record::Hashes(hashes)) => assert!(hashes.len() * 32 <= LONGEST_RECORD as usize, "too many hashes"),
            Ok(_) => {}
            Err(_) => failed = true,
        }
    }
}

/// A good recording of three segments, and where each begins.
fn good() -> &'static (Vec<u8>, Vec<usize>) {
    static GOOD: OnceLock<(Vec<u8>, Vec<usize>)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let start = Start::new(two_pools(), memory([8, 4]), 7);
        let mut engine = start.engine();
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        let mut out = ActionBuf::new();
        for number in 0..3u64 {
            starts.push(bytes.len());
            let mut recorder = match number {
                0 => Recorder::at_start(start.clone(), 1, 0),
                _ => Recorder::new(&engine, number + 1, 0),
            };
            let now = Time(number * 2_000_000);
            let miner = MinerId(number + 1);
            let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 4000));
            let conn = Conn::Miner(miner);
            let upstream = UpstreamId(number * 2 + 1);
            let job = notify("1", true) + "\n";
            let pool = Conn::Upstream(upstream);
            for event in [
                Event::Tick,
                Event::ConnectFailed { upstream: UpstreamId(number + 1), reason: "refused" },
                Event::MinerAccepted { miner, peer },
                Event::Received { conn, bytes: b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x\"]}\n" },
                Event::Received { conn, bytes: b"{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\"]}\n" },
                Event::Connected { upstream },
                Event::Received { conn: pool, bytes: b"{\"id\":1,\"result\":[[],\"aabb\",8],\"error\":null}\n" },
                Event::Received { conn: pool, bytes: job.as_bytes() },
                Event::SendQueue { conn, bytes: 70_000 },
                Event::Closed { conn, reason: "closed" },
            ] {
                out.clear();
                recorder.step(&mut engine, now, event, &mut out);
            }
            bytes.extend(recorder.end(EndReason::Full));
        }
        (bytes, starts)
    })
}

/// The segments of a recording by their numbers.
fn segments(bytes: &[u8]) -> Vec<Segment<'_>> {
    let segment = |part| match part {
        Part::Segment(segment) => Some(segment),
        Part::Damage(_) => None,
    };
    Reader::new(bytes).filter_map(segment).collect()
}

/// The same segment as the good one at the same place, down to its outcome.
fn whole(found: &[Segment<'_>], number: u64) {
    let (bytes, _) = good();
    let wanted = segments(bytes).into_iter().find(|s| s.header.number == number).expect("a good segment");
    let found = found.iter().find(|s| s.header == wanted.header);
    let found = found.unwrap_or_else(|| panic!("segment {number} is lost"));
    assert!(*found == wanted, "segment {number} reads otherwise");
    let summary = replay(found).unwrap_or_else(|error| panic!("segment {number} replays no more: {error:?}"));
    assert!(summary == replay(&wanted).expect("a good segment"), "segment {number} replays otherwise");
}

/// Changes of three bytes: where (two bytes), what.
fn damage(which: usize, changes: &[u8]) {
    let (good, starts) = good();
    let which = which % starts.len();
    let end = starts.get(which + 1).copied().unwrap_or(good.len());
    let mut bytes = good.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        bytes[starts[which] + at % (end - starts[which])] = change[2];
    }
    read(&bytes, true);
    let found = segments(&bytes);
    (0..starts.len()).filter(|n| *n != which).for_each(|n| whole(&found, n as u64 + 1));
}

/// Two bytes say where; the rest is put in place of what was there.
fn cut(rest: &[u8]) {
    let (good, starts) = good();
    let [low, high, tail @ ..] = rest else { return };
    let at = usize::from(u16::from_le_bytes([*low, *high])) % good.len();
    let bytes = [&good[..at], tail].concat();
    read(&bytes, true);
    let found = segments(&bytes);
    let ends = starts.iter().copied().skip(1).chain([good.len()]);
    ends.enumerate().filter(|(_, end)| *end <= at).for_each(|(n, _)| whole(&found, n as u64 + 1));
}

/// The bytes as frames: kind, length, body. Every check sum is made right, and a segment's head is put before them.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let mut header = FORMAT_VERSION.to_le_bytes().to_vec();
    header.extend([0; 29]);
    header.extend(b"fuzz");
    frame(&mut out, 1, &header);
    let mut rest = bytes;
    while let [kind, length, after @ ..] = rest {
        let (body, after) = after.split_at(usize::from(*length).min(after.len()));
        if *kind & 0x80 != 0 {
            out.extend(MAGIC);
        }
        frame(&mut out, kind & 0x0F, body);
        rest = after;
    }
    out
}

fn frame(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let start = out.len();
    out.push(kind);
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    let sum = crc32(&out[start..]);
    out.extend(sum.to_le_bytes());
}

/// CRC-32 as in zip, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut rest = u32::MAX;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            rest = rest >> 1 ^ if rest & 1 != 0 { 0xEDB8_8320 } else { 0 };
        }
    }
    !rest
}
