//! Writing a segment, and the decorator that does so around the engine.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::mem::replace;

use super::digest::Digest;
use super::format::{self, EndReason, Header, Record};
use super::origin::{Origin, Start};
use crate::action::ActionBuf;
use crate::engine::{CHECKPOINT_VERSION, Engine};
use crate::event::Event;
use crate::time::Time;

/// A segment is closed as full when it is at least this many times as large as its origin, so that checkpoints are a small
/// part of a recording.
pub const CHECKPOINT_RATIO: u64 = 8;

/// A segment that is full at so many bytes may grow to so many while it waits for a quiet moment: a quarter more.
pub const fn longest_segment(full_at: u64) -> u64 {
    full_at + full_at / 4
}

/// Writes one segment into a buffer, which can be taken at any time.
#[derive(Clone, Debug)]
pub struct SegmentWriter {
    buffer: Vec<u8>,
    taken: u64,
    origin_bytes: u64,
    last: Time,
    digest: Digest,
}

impl SegmentWriter {
    /// Begins a segment.
    pub fn new(header: &Header, origin: &Origin) -> SegmentWriter {
        let mut buffer = Vec::with_capacity(64 * 1024);
        format::put_header(&mut buffer, header);
        format::put_origin(&mut buffer, origin);
        let origin_bytes = buffer.len() as u64;
        SegmentWriter { buffer, taken: 0, origin_bytes, last: header.time, digest: Digest::default() }
    }

    /// Writes an event; to be called before its step.
    pub fn event(&mut self, now: Time, event: &Event<'_>) {
        let passed = now.since(self.last);
        self.last = self.last.max(now);
        format::put_event(&mut self.buffer, passed, event);
    }

    /// Writes what came of the last event's step: the actions of `out` from `from` on.
    pub fn outcome(&mut self, out: &ActionBuf, from: usize) {
        let sent = self.digest.take(out, from).then_some(self.digest);
        format::put_outcome(&mut self.buffer, sent);
    }

    /// Writes the hashes of the headers that the next event's step checks.
    pub fn hashes(&mut self, hashes: &[[u8; 32]]) {
        if !hashes.is_empty() {
            format::put_hashes(&mut self.buffer, hashes);
        }
    }

    /// Writes a record as it was read.
    pub fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Event(time, event) => self.event(*time, event),
            Record::Sent(digest) => format::put_outcome(&mut self.buffer, Some(*digest)),
            Record::Quiet => format::put_outcome(&mut self.buffer, None),
            Record::Hashes(hashes) => self.hashes(hashes),
        }
    }

    /// Ends the segment and gives what was not yet taken.
    pub fn end(mut self, reason: EndReason) -> Vec<u8> {
        format::put_end(&mut self.buffer, reason);
        self.buffer
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.taken + self.waiting()
    }

    /// Bytes that were not yet taken.
    pub fn waiting(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Bytes of header and origin.
    pub fn origin_bytes(&self) -> u64 {
        self.origin_bytes
    }

    /// It may be closed as full: [`CHECKPOINT_RATIO`] times its origin, and this many bytes.
    pub fn full(&self, least: u64) -> bool {
        self.bytes() >= self.full_at(least)
    }

    /// It has been full for so long that it should be closed even if the moment is a bad one.
    pub fn overdue(&self, least: u64) -> bool {
        self.bytes() >= longest_segment(self.full_at(least))
    }

    fn full_at(&self, least: u64) -> u64 {
        least.max(CHECKPOINT_RATIO * self.origin_bytes)
    }

    /// Takes what was written since the last time: whole records. `spare` becomes the new buffer.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.taken += self.waiting();
        replace(&mut self.buffer, spare)
    }
}

/// Stands around an engine: every event goes through it, and is in its buffer before the engine sees it.
#[derive(Clone, Debug)]
pub struct Recorder {
    writer: SegmentWriter,
}

impl Recorder {
    /// Begins to record an engine that runs, with a segment of this number. `unix_micros`: the wall clock.
    pub fn new(engine: &Engine, number: u64, unix_micros: u64) -> Recorder {
        Recorder::from(&Origin::Checkpoint(engine.checkpoint()), engine.time(), number, unix_micros)
    }

    /// Begins to record the engine that [`Start::engine`] gives, before its first event.
    pub fn at_start(start: Start, number: u64, unix_micros: u64) -> Recorder {
        Recorder::from(&Origin::Start(Box::new(start)), Time::ZERO, number, unix_micros)
    }

    fn from(origin: &Origin, time: Time, number: u64, unix_micros: u64) -> Recorder {
        let header = Header {
            program: env!("CARGO_PKG_VERSION").to_string(),
            checkpoint_version: CHECKPOINT_VERSION,
            number,
            unix_micros,
            time,
            redacted: false,
        };
        Recorder { writer: SegmentWriter::new(&header, origin) }
    }

    /// [`Engine::step`], recorded. If the engine panics, the event is the last record.
    pub fn step(&mut self, engine: &mut Engine, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        self.writer.event(now, &event);
        let from = out.actions().len();
        engine.step(now, event, out);
        self.writer.outcome(out, from);
    }

    /// The segment that is being written.
    pub fn writer(&mut self) -> &mut SegmentWriter {
        &mut self.writer
    }

    /// Ends the segment and gives what was not yet taken.
    pub fn end(self, reason: EndReason) -> Vec<u8> {
        self.writer.end(reason)
    }
}
