//! Runs a segment again and compares what goes out.

use alloc::vec::Vec;

use super::digest::Digest;
use super::format::Record;
use super::frame::Fault;
use super::reader::{Records, Segment};
use crate::action::ActionBuf;
use crate::engine::{Engine, RestoreError};
use crate::event::Event;
use crate::share::Pow;
use crate::time::Time;

/// What a segment held, if all of it was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps done.
    pub steps: u64,
    /// Steps whose outcome was compared: all, or all but the last of a segment that was cut or ended in a crash.
    pub compared: u64,
    /// The engine's time at the begin.
    pub from: Time,
    /// The engine's time at the end.
    pub to: Time,
    /// The digest at the end.
    pub digest: Digest,
}

/// Why a segment cannot be replayed, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// Its checkpoint cannot be restored.
    #[error("{0}")]
    Restore(#[from] RestoreError),
    /// Something else went out than when it was recorded.
    #[error("step {step} at {:.6} s gives digest {:016x}, recorded is {:016x}", time.since(Time::ZERO).as_secs_f64(), found.0, expected.0)]
    Mismatch {
        /// Counted from 1 in its segment.
        step: u64,
        /// When.
        time: Time,
        /// As recorded.
        expected: Digest,
        /// As replayed.
        found: Digest,
    },
    /// What it begins with cannot be read.
    #[error("what it begins with cannot be read")]
    Origin,
    /// A record that cannot be read or stands where it cannot.
    #[error("after step {step}: {fault}")]
    Unreadable {
        /// The last step before it, counted from 1.
        step: u64,
        /// What is wrong.
        fault: Fault,
    },
}

/// One step that was done again.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// Counted from 1 in its segment.
    pub number: u64,
    /// When.
    pub time: Time,
    /// What the engine was told.
    pub event: Event<'a>,
    /// False if the outcome was not recorded: the step after which the recording ends.
    pub compared: bool,
}

/// A segment being run again.
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    engine: Engine,
    records: Records<'a>,
    summary: Summary,
    hashes: Vec<[u8; 32]>,
}

impl Segment<'_> {
    /// The engine at the segment's begin.
    ///
    /// # Errors
    /// [`ReplayError::Origin`], [`ReplayError::Restore`].
    pub fn restore(&self) -> Result<Engine, ReplayError> {
        let mut engine = self.origin().map_err(|_| ReplayError::Origin)?.engine()?;
        if self.header.redacted {
            // Its headers are not those that were hashed.
            engine.set_proof_of_work(Pow::Given(Default::default()));
        }
        Ok(engine)
    }
}

impl<'a> Replay<'a> {
    /// The engine at the segment's begin.
    ///
    /// # Errors
    /// As [`Segment::restore`].
    pub fn new(segment: &Segment<'a>) -> Result<Replay<'a>, ReplayError> {
        let engine = segment.restore()?;
        let (from, to) = (segment.header.time, segment.header.time);
        let summary = Summary { from, to, ..Summary::default() };
        Ok(Replay { engine, records: segment.records(), summary, hashes: Vec::new() })
    }

    /// The engine after the last step.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    fn record(&mut self) -> Result<Option<Record<'a>>, ReplayError> {
        self.records.next().transpose().map_err(|fault| self.unreadable(fault))
    }

    fn unreadable(&self, fault: Fault) -> ReplayError {
        ReplayError::Unreadable { step: self.summary.steps, fault }
    }

    /// The next event, which [`Replay::run`] is to be called with: apart, so that it is known if its step panics.
    ///
    /// # Errors
    /// [`ReplayError::Unreadable`].
    pub fn event(&mut self) -> Result<Option<(Time, Event<'a>)>, ReplayError> {
        loop {
            match self.record()? {
                None => return Ok(None),
                Some(Record::Event(time, event)) => return Ok(Some((time, event))),
                Some(Record::Hashes(hashes)) => self.hashes.extend(hashes),
                Some(Record::Sent(_) | Record::Quiet) => return Err(self.unreadable(Fault::OutOfOrder)),
            }
        }
    }

    /// Does the step of the event that [`Replay::event`] gave, and compares. `out` is cleared before; what it holds after
    /// an error is what went out this time.
    ///
    /// # Errors
    /// [`ReplayError::Mismatch`], [`ReplayError::Unreadable`].
    pub fn run(&mut self, time: Time, event: Event<'a>, out: &mut ActionBuf) -> Result<Step<'a>, ReplayError> {
        out.clear();
        if !self.hashes.is_empty() {
            self.engine.set_proof_of_work(Pow::Given(self.hashes.drain(..).collect()));
        }
        let step = Step { number: self.summary.steps + 1, time, event: event.clone(), compared: true };
        self.summary.steps = step.number;
        self.summary.to = time;
        self.engine.step(time, event, out);
        let before = self.summary.digest;
        self.summary.digest.take(out, 0);
        let expected = match self.record()? {
            Some(Record::Sent(digest)) => digest,
            Some(Record::Quiet) => before,
            Some(Record::Hashes(_) | Record::Event(..)) => return Err(self.unreadable(Fault::OutOfOrder)),
            None => return Ok(Step { compared: false, ..step }),
        };
        let found = self.summary.digest;
        if found != expected {
            return Err(ReplayError::Mismatch { step: step.number, time, expected, found });
        }
        self.summary.compared += 1;
        Ok(step)
    }

    /// The next step: [`Replay::event`] and [`Replay::run`].
    ///
    /// # Errors
    /// As theirs.
    pub fn advance(&mut self, out: &mut ActionBuf) -> Result<Option<Step<'a>>, ReplayError> {
        match self.event()? {
            Some((time, event)) => self.run(time, event, out).map(Some),
            None => Ok(None),
        }
    }
}

/// Replays a segment to its end, or to the first step that differs.
///
/// # Errors
/// What is wrong first.
pub fn replay(segment: &Segment<'_>) -> Result<Summary, ReplayError> {
    let mut replay = Replay::new(segment)?;
    let mut out = ActionBuf::new();
    while replay.advance(&mut out)?.is_some() {}
    Ok(replay.summary())
}
