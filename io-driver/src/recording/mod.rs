//! The flight recording: what the engine is told, in a ring of files beside the config, so that any failure can be run
//! again (`dpmp replay`). [`Recording`] is the loop's end, `writer` the thread, `ring` the folder.
//!
//! The loop pays for encoding each event into memory, and for one checkpoint a segment: 0.3 to 0.6 µs and 195
//! bytes a share, 0.5 µs and 1.5 KB a job, and 10 ms a checkpoint at 100 miners (30 ms where each remembers 128 jobs: 9 MB,
//! folded to 0.5 MB), which come once in 8 MiB at least, that is in about ten minutes, when
//! nothing else is to be done (`cost` in sim/examples measures them).

#[cfg(debug_assertions)]
mod crash;
mod ring;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use dpmp_core::trace::{CHECKPOINT_RATIO, EndReason, Recorder, Start, longest_segment};
use dpmp_core::{ActionBuf, Engine, Event, Span, Time};
use log::Level;

use crate::clock::unix_micros;
use crate::logs::line;
use crate::metrics::RecordingSeries;
pub(crate) use ring::segments_in;
use writer::{Full, Writer};

/// Pieces of this size go to the writer before it is time: more than a new job for a hundred miners, so that no thread is
/// woken in the midst of it.
const PIECE: u64 = 256 * 1024;
/// What was recorded goes to the writer after this time, however little it is: so much is lost when the program is killed.
const FLUSH: Span = Span::secs(1);
/// No segment is closed as full below this part of the ring.
const SEGMENTS_A_RING: u64 = 8;
/// After a segment that could not be written the next is begun this much later.
const RETRY: Span = Span::secs(30);
/// After a checkpoint that does not fit the ring the next is taken this much later.
const RETRY_TOO_SMALL: Span = Span::mins(60);

/// The loop's end of the recording.
pub(crate) struct Recording {
    writer: Option<Writer>,
    recorder: Option<Recorder>,
    /// What the engine was made of, until its first step.
    start: Option<Start>,
    number: u64,
    max_bytes: u64,
    series: RecordingSeries,
    flushed: Time,
    /// When the next segment may begin.
    next: Time,
    said_too_small: bool,
}

impl Recording {
    /// Opens the folder and starts the writer.
    pub(crate) fn start(folder: PathBuf, max_mib: u32, series: RecordingSeries) -> std::io::Result<Recording> {
        Recording::with(folder, max_mib, series, ring::create)
    }

    fn with(
        folder: PathBuf,
        max_mib: u32,
        series: RecordingSeries,
        create: ring::Create,
    ) -> std::io::Result<Recording> {
        let max_bytes = u64::from(max_mib) << 20;
        let (writer, number) = Writer::start(folder, max_bytes, create, series.clone())?;
        Ok(Recording {
            writer: Some(writer),
            recorder: None,
            start: None,
            number,
            max_bytes,
            series,
            flushed: Time::ZERO,
            next: Time::ZERO,
            said_too_small: false,
        })
    }

    /// From now on all files together are no larger than this. The segment at hand ends.
    pub(crate) fn resize(&mut self, max_mib: u32) {
        self.close(EndReason::Full);
        self.max_bytes = u64::from(max_mib) << 20;
        self.said_too_small = false;
        self.next = Time::ZERO;
        if let Some(writer) = &self.writer
            && writer.resize(self.max_bytes).is_err()
        {
            // The disk does not keep up, so the segment is lost anyway. The writer goes on within its old bound.
            self.series.dropped.inc();
        }
    }

    /// The engine that will be stepped is a new one, made of this: the first segment needs no checkpoint.
    pub(crate) fn of(mut self, start: Start) -> Recording {
        self.start = Some(start);
        self
    }

    /// [`Engine::step`], recorded.
    pub(crate) fn step(&mut self, engine: &mut Engine, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        let start = self.start.take();
        if self.recorder.is_none() && now >= self.next {
            self.begin(engine, start, now);
        }
        match &mut self.recorder {
            Some(recorder) => {
                #[cfg(debug_assertions)]
                crash::if_asked(recorder, now, &event);
                recorder.step(engine, now, event, out);
            }
            None => return engine.step(now, event, out),
        }
        self.after_step(now);
    }

    /// Nothing waits for the loop: the moment for the checkpoint with which the next segment begins, if this one is full.
    pub(crate) fn at_rest(&mut self, engine: &Engine, now: Time) {
        let full = |recorder: &mut Recorder| recorder.writer().full(self.max_bytes / SEGMENTS_A_RING);
        if self.recorder.as_mut().is_some_and(full) && self.close(EndReason::Full) {
            self.begin(engine, None, now);
        }
    }

    fn begin(&mut self, engine: &Engine, start: Option<Start>, now: Time) {
        let Some(writer) = &self.writer else { return };
        let mut recorder = match start {
            Some(start) => Recorder::at_start(start, self.number, unix_micros()),
            None => Recorder::new(engine, self.number, unix_micros()),
        };
        let segment = recorder.writer().origin_bytes() * CHECKPOINT_RATIO;
        if 2 * segment > self.max_bytes && !self.said_too_small {
            self.said_too_small = true;
            let needed = (2 * segment).div_ceil(1 << 20);
            line(Level::Warn, "recording_too_small")
                .value("max_mib", self.max_bytes >> 20)
                .value("needed_mib", needed)
                .text(
                    "text",
                    "recording.max_mib is too small for two segments with this many miners: the recording reaches back \
                     only a short time, or not at all",
                )
                .send();
        }
        if longest_segment(segment) > self.max_bytes {
            self.series.dropped.inc();
            self.next = now + RETRY_TOO_SMALL;
            return;
        }
        if writer.begin(self.number).is_err() {
            return self.dropped(now);
        }
        self.recorder = Some(recorder);
        self.flushed = now;
    }

    fn after_step(&mut self, now: Time) {
        let (Some(recorder), Some(writer)) = (&mut self.recorder, &self.writer) else { return };
        if writer.failed(self.number) {
            // Counted by the writer.
            return self.pause(now);
        }
        if recorder.writer().overdue(self.max_bytes / SEGMENTS_A_RING) {
            self.close(EndReason::Full);
        } else if recorder.writer().waiting() >= PIECE || now.since(self.flushed) >= FLUSH {
            self.flushed = now;
            let piece = recorder.writer().take(Vec::with_capacity(PIECE as usize));
            if writer.bytes(piece).is_err() {
                self.dropped(now);
            }
        }
    }

    /// Gives the segment up and waits a while with the next.
    fn pause(&mut self, now: Time) {
        self.recorder = None;
        self.number += 1;
        self.next = now + RETRY;
    }

    /// The writer does not keep up.
    fn dropped(&mut self, now: Time) {
        self.pause(now);
        self.series.dropped.inc();
        line(Level::Debug, "recording_dropped").text("text", "the disk does not keep up with the recording").send();
    }

    /// Ends the segment at hand; the next event begins another. False if none was being written, or it could not be
    /// ended.
    pub(crate) fn close(&mut self, reason: EndReason) -> bool {
        let (Some(recorder), Some(writer)) = (self.recorder.take(), &self.writer) else { return false };
        let failed = writer.failed(self.number);
        self.number += 1;
        let ended: Result<(), Full> = writer.bytes(recorder.end(reason)).and_then(|()| writer.end(reason));
        if ended.is_err() {
            self.series.dropped.inc();
        }
        ended.is_ok() && !failed
    }

    /// Ends the recording and waits for the disk, at most this long.
    pub(crate) fn finish(mut self, reason: EndReason, at_most: Duration) {
        self.close(reason);
        if let Some(writer) = self.writer.take() {
            writer.finish(at_most);
        }
    }
}

/// Somebody wants the recording, for a bug report. The writer names the file in the log.
pub(crate) fn close_for_report(recording: Option<&mut Recording>) {
    if !recording.is_some_and(|recording| recording.close(EndReason::Asked)) {
        line(Level::Warn, "recording_not_closed")
            .text("text", "nothing is being recorded: it is off, or the disk does not take it")
            .send();
    }
}

/// The loop ends without a word only if it panics.
impl Drop for Recording {
    fn drop(&mut self) {
        if self.close(EndReason::Crash)
            && let Some(writer) = self.writer.take()
        {
            writer.finish(Duration::from_secs(2));
        }
    }
}

#[cfg(test)]
mod tests;
