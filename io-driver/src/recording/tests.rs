//! The recording against real folders, and against disks that fail.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use dpmp_core::config::{Config, PoolConfig};
use dpmp_core::trace::{Ending, Part, Reader, Record, replay};
use dpmp_core::{Conn, Memory, MinerId};

use super::*;
use crate::metrics::Metrics;

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("dpmp-recording-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    path
}

fn engine() -> Engine {
    let config = Config::with_pools(vec![PoolConfig::new("A"), PoolConfig::new("B")], vec![500_000, 500_000]);
    Engine::new(config, &Memory::default(), 1)
}

/// Feeds lines of a miner until so many bytes were recorded, giving the writer time.
fn feed(recording: &mut Recording, engine: &mut Engine, from: u64, steps: u64) {
    let mut out = ActionBuf::new();
    let line = format!("{{\"id\":1,\"method\":\"mining.ping\",\"params\":[\"{}\"]}}\n", "x".repeat(1000));
    for i in from..from + steps {
        let now = Time::ZERO + Span::millis(10 * i);
        out.clear();
        if i % 1000 == 0 {
            let peer = "192.0.2.1:1".parse().unwrap();
            recording.step(engine, now, Event::MinerAccepted { miner: MinerId(i), peer }, &mut out);
        }
        let conn = Conn::Miner(MinerId(i / 1000 * 1000));
        recording.step(engine, now, Event::Received { conn, bytes: line.as_bytes() }, &mut out);
        if i % 50 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn sizes(folder: &Path) -> Vec<u64> {
    // The writer may remove one between the list and the look.
    segments_in(folder).unwrap().iter().filter_map(|path| Some(fs::metadata(path).ok()?.len())).collect()
}

fn endings(path: &Path) -> Vec<Ending> {
    let bytes = fs::read(path).unwrap();
    Reader::new(&bytes)
        .map(|part| match part {
            Part::Segment(segment) => {
                replay(&segment).unwrap();
                segment.ending
            }
            Part::Damage(damage) => panic!("{damage:?}"),
        })
        .collect()
}

#[test]
fn the_ring_keeps_within_its_bound_and_is_its_owners_alone() {
    let folder = folder("ring");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::start(folder.clone(), 1, metrics.recording.clone()).unwrap();
    let mut engine = engine();
    for round in 0..8 {
        feed(&mut recording, &mut engine, 400 * round, 400);
        assert!(sizes(&folder).iter().sum::<u64>() <= 1 << 20, "{:?}", sizes(&folder));
    }
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
    let files = segments_in(&folder).unwrap();
    assert!(files.len() >= 3, "{files:?}");
    assert!(ring::number_of(&files[0]) > Some(1), "the oldest are gone");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        let last = file == files.last().unwrap();
        let reason = if last { EndReason::Stopped } else { EndReason::Full };
        assert_eq!(endings(file), [Ending::Closed(reason)]);
    }
    let series = &metrics.recording;
    assert_eq!(series.dropped.get(), 0);
    assert_eq!(series.size.get() as u64, sizes(&folder).iter().sum::<u64>());
    // The next run goes on behind it.
    let mut again = Recording::start(folder.clone(), 1, series.clone()).unwrap();
    feed(&mut again, &mut engine, 4000, 10);
    again.finish(EndReason::Stopped, Duration::from_secs(10));
    assert_eq!(ring::number_of(segments_in(&folder).unwrap().last().unwrap()), Some(recording_number(&files) + 1));
}

fn recording_number(files: &[PathBuf]) -> u64 {
    ring::number_of(files.last().unwrap()).unwrap()
}

#[test]
fn segments_are_eight_times_their_checkpoint() {
    let folder = folder("ratio");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::start(folder.clone(), 1, metrics.recording.clone()).unwrap();
    let mut engine = engine();
    feed(&mut recording, &mut engine, 0, 600);
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
    let files = segments_in(&folder).unwrap();
    for file in &files[..files.len() - 1] {
        let bytes = fs::read(file).unwrap();
        let Some(Part::Segment(segment)) = Reader::new(&bytes).next() else { panic!() };
        assert_eq!(segment.ending, Ending::Closed(EndReason::Full));
        assert!(bytes.len() as u64 >= 8 * segment.origin_bytes());
    }
}

/// Bytes that the failing disk still takes.
static ROOM: AtomicU64 = AtomicU64::new(0);

struct Small(Box<dyn Write + Send>);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = ROOM.load(Ordering::Relaxed);
        if (bytes.len() as u64) > room {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        ROOM.store(room - bytes.len() as u64, Ordering::Relaxed);
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn small(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    Ok(Box::new(Small(ring::create(path)?)))
}

#[test]
fn a_full_disk_costs_segments_and_nothing_else() {
    let folder = folder("full");
    let metrics = Metrics::new(2).unwrap();
    ROOM.store(200_000, Ordering::Relaxed);
    let mut recording = Recording::with(folder.clone(), 1, metrics.recording.clone(), small).unwrap();
    let mut engine = engine();
    feed(&mut recording, &mut engine, 0, 600);
    std::thread::sleep(Duration::from_millis(50));
    feed(&mut recording, &mut engine, 600, 300);
    assert!(metrics.recording.dropped.get() >= 1);
    // 30 s later there is room again.
    ROOM.store(u64::MAX, Ordering::Relaxed);
    feed(&mut recording, &mut engine, 10_000, 200);
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
    let files = segments_in(&folder).unwrap();
    assert!(files.len() >= 2);
    files.iter().for_each(|file| drop(endings(file)));
}

/// A disk that has room for so many bytes in the whole folder, and takes a part of a piece.
fn crowded(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    const DISK: u64 = 300_000;
    struct Crowded(PathBuf, Box<dyn Write + Send>);
    impl Write for Crowded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let used: u64 = sizes(&self.0).iter().sum();
            match DISK.saturating_sub(used) {
                0 => Err(io::ErrorKind::StorageFull.into()),
                room => self.1.write(&bytes[..bytes.len().min(room as usize)]),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            self.1.flush()
        }
    }
    let folder = path.parent().unwrap();
    if sizes(folder).iter().sum::<u64>() >= DISK {
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(Box::new(Crowded(folder.to_owned(), ring::create(path)?)))
}

#[test]
fn a_full_disk_costs_the_oldest_segments_first() {
    let folder = folder("crowded");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::with(folder.clone(), 1, metrics.recording.clone(), crowded).unwrap();
    let mut engine = engine();
    for round in 0..10 {
        feed(&mut recording, &mut engine, 100 * round, 100);
        assert!(recording.close(EndReason::Asked), "round {round}");
    }
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
    assert_eq!(metrics.recording.dropped.get(), 0, "the newest is never given up for the oldest");
    let files = segments_in(&folder).unwrap();
    assert!(ring::number_of(&files[0]) > Some(1) && files.len() >= 2, "{files:?}");
    assert_eq!(recording_number(&files), 10);
    for file in &files {
        assert_eq!(endings(file), [Ending::Closed(EndReason::Asked)], "whole, though its pieces were cut");
    }
    assert_eq!(metrics.recording.size.get() as u64, sizes(&folder).iter().sum::<u64>());
}

fn stuck(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    std::thread::sleep(Duration::from_millis(700));
    ring::create(path)
}

#[test]
fn a_stuck_disk_does_not_stop_the_loop() {
    let folder = folder("stuck");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::with(folder.clone(), 64, metrics.recording.clone(), stuck).unwrap();
    let mut engine = engine();
    let began = std::time::Instant::now();
    // Far more than the queue holds, while the writer stands.
    let mut out = ActionBuf::new();
    let piece = vec![b'x'; 15_000];
    let peer = "192.0.2.1:1".parse().unwrap();
    recording.step(&mut engine, Time(0), Event::MinerAccepted { miner: MinerId(1), peer }, &mut out);
    for i in 0..1000u64 {
        out.clear();
        let event = Event::Received { conn: Conn::Miner(MinerId(99)), bytes: &piece };
        recording.step(&mut engine, Time(i), event, &mut out);
    }
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
    assert!(metrics.recording.dropped.get() >= 1);
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
}

#[test]
fn a_ring_without_room_records_nothing() {
    let folder = folder("none");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::start(folder.clone(), 0, metrics.recording.clone()).unwrap();
    feed(&mut recording, &mut engine(), 0, 50);
    assert!(recording.said_too_small);
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
    assert_eq!(metrics.recording.dropped.get(), 1);
    assert!(segments_in(&folder).unwrap().is_empty());
}

#[test]
fn a_crash_leaves_the_event_that_caused_it() {
    let folder = folder("crash");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::start(folder.clone(), 64, metrics.recording.clone()).unwrap();
    let mut engine = engine();
    feed(&mut recording, &mut engine, 0, 5);
    // What a step that does not come back leaves behind.
    let last = Event::Closed { conn: Conn::Miner(MinerId(0)), reason: "the last straw" };
    recording.recorder.as_mut().unwrap().writer().event(Time(900_000_000), &last);
    recording.finish(EndReason::Crash, Duration::from_secs(10));
    let file = segments_in(&folder).unwrap().remove(0);
    assert_eq!(endings(&file), [Ending::Closed(EndReason::Crash)]);
    let bytes = fs::read(&file).unwrap();
    let Some(Part::Segment(segment)) = Reader::new(&bytes).next() else { panic!() };
    assert_eq!(segment.records().last(), Some(Ok(Record::Event(Time(900_000_000), last))));
}

#[test]
fn closing_on_request_begins_the_next() {
    let folder = folder("asked");
    let metrics = Metrics::new(2).unwrap();
    let mut recording = Recording::start(folder.clone(), 64, metrics.recording.clone()).unwrap();
    let mut engine = engine();
    assert!(!recording.close(EndReason::Asked), "nothing yet");
    feed(&mut recording, &mut engine, 0, 5);
    assert!(recording.close(EndReason::Asked));
    feed(&mut recording, &mut engine, 5, 5);
    recording.finish(EndReason::Stopped, Duration::from_secs(10));
    let files = segments_in(&folder).unwrap();
    assert_eq!(
        files.iter().flat_map(|f| endings(f)).collect::<Vec<_>>(),
        [Ending::Closed(EndReason::Asked), Ending::Closed(EndReason::Stopped)]
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_the_start_only() {
    let file = folder("file");
    fs::write(&file, "x").unwrap();
    let metrics = Metrics::new(2).unwrap();
    assert!(Recording::start(file.join("below"), 64, metrics.recording.clone()).is_err());
}
