//! The engine with a recorder around it: for the run that led to a violation, and for the golden recordings.

use dpmp_core::trace::{EndReason, Recorder, Start};
use dpmp_core::{ActionBuf, Engine, Event, Time};

use super::{Proxy, Trial, World, WorldSpec};

/// A segment is closed when it has grown to this; the last two are kept.
const SEGMENT_BYTES: u64 = 32 << 20;

/// An engine that is recorded from its first event on.
#[derive(Debug)]
pub struct Recorded {
    engine: Engine,
    /// None only while a segment is changed.
    recorder: Option<Recorder>,
    number: u64,
    before: Vec<u8>,
}

impl Recorded {
    /// An engine before its first event.
    pub fn new(start: Start) -> Recorded {
        let engine = start.engine();
        Recorded { engine, recorder: Some(Recorder::at_start(start, 1, 0)), number: 1, before: Vec::new() }
    }

    /// The recording: what `dpmp replay` reads. Of a long run the last 32 to 64 MiB.
    pub fn end(self) -> Vec<u8> {
        let mut bytes = self.before;
        bytes.extend(self.recorder.map(|recorder| recorder.end(EndReason::Asked)).unwrap_or_default());
        bytes
    }
}

impl Proxy for Recorded {
    fn step(&mut self, now: Time, event: Event<'_>, out: &mut ActionBuf) {
        if let Some(full) = self.recorder.take_if(|recorder| recorder.writer().full(SEGMENT_BYTES)) {
            self.before = full.end(EndReason::Full);
            self.number += 1;
        }
        let recorder = self.recorder.get_or_insert_with(|| Recorder::new(&self.engine, self.number, 0));
        recorder.step(&mut self.engine, now, event, out);
    }

    fn restore(&mut self) {
        self.engine.restore();
    }

    fn restart(&mut self, start: Start) {
        if let Some(recorder) = self.recorder.take() {
            self.before.extend(recorder.end(EndReason::Stopped));
        }
        let start = Start { memory: self.engine.memory(), ..start };
        self.engine = start.engine();
        self.number += 1;
        self.recorder = Some(Recorder::at_start(start, self.number, 0));
    }

    fn next_timeout(&self) -> Option<Time> {
        self.engine.poll_timeout().map(|(at, _)| at)
    }
}

impl Trial {
    /// Runs the same world again up to its first violation, or to its end, and gives the recording.
    pub fn record(&self) -> Vec<u8> {
        let length = self.minutes * 60_000_000;
        let spec = WorldSpec::random(self.seed, self.miners, Trial::SHARES_PER_MINUTE, length, true);
        let mut world = World::around(Recorded::new(spec.start()), spec);
        world.run_until(self.first.map_or(length, |(_, at)| at));
        world.into_proxy().end()
    }
}
