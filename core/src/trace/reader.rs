//! From the bytes of a recording to its segments. Damage costs what lies between it and the next segment, and is told.

use super::format::{self, EndReason, Header, Record};
use super::frame::{self, Fault, Kind, MAGIC};
use super::origin::Origin;
use crate::time::Time;

/// What a recording is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'a> {
    /// A segment, as far as it can be read.
    Segment(Segment<'a>),
    /// Bytes in which no segment begins.
    Damage(Damage),
}

/// Bytes that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub offset: u64,
    /// How many: up to the next segment, or to the end.
    pub bytes: u64,
    /// What is wrong at the first of them.
    pub fault: Fault,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its end.
    Closed(EndReason),
    /// Without, behind a whole record: the recording program was killed, or still writes it.
    Open,
    /// In damage; the records before it are good.
    Damaged(Damage),
}

/// One segment. Its frames are whole; what is in them is read by [`Segment::records`].
#[derive(Clone, Debug, PartialEq)]
pub struct Segment<'a> {
    /// Where it begins.
    pub offset: u64,
    /// Where it comes from.
    pub header: Header,
    /// How it ends.
    pub ending: Ending,
    origin: (Kind, &'a [u8]),
    frames: &'a [u8],
}

/// Finds the segments of a recording, in order.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
    /// Bytes that were summed up in vain.
    wasted: u64,
}

/// As soon as this many times the recording's bytes were summed up in vain, what is left counts as damaged: reading takes
/// time by the length of what is read, whoever wrote it. Honest damage wastes each byte once.
const MOST_WASTED: u64 = 8;

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { whole: bytes, rest: bytes, wasted: 0 }
    }

    fn offset(&self) -> u64 {
        (self.whole.len() - self.rest.len()) as u64
    }

    /// [`frame::take`], and what it costs in vain.
    fn take(&mut self, rest: &mut &'a [u8]) -> Result<(Kind, &'a [u8]), Fault> {
        let before = *rest;
        frame::take(rest).inspect_err(|_| self.wasted += frame::summed(before))
    }

    /// Everything from here up to the next segment is lost.
    fn skip(&mut self, fault: Fault) -> Damage {
        let offset = self.offset();
        let most = MOST_WASTED * self.whole.len() as u64;
        // A magic alone may be bytes of a peer: a good header has to follow.
        let starts_segment = |at: &usize| format::take_header(&mut &self.rest[*at..]).is_ok();
        let found = memchr::memmem::find_iter(self.rest.get(1..).unwrap_or_default(), &MAGIC).map(|at| at + 1);
        let next = if self.wasted > most { None } else { found.into_iter().find(starts_segment) };
        let lost = next.unwrap_or(self.rest.len());
        self.rest = &self.rest[lost..];
        Damage { offset, bytes: lost as u64, fault }
    }

    fn segment(&mut self) -> Result<Segment<'a>, Fault> {
        let offset = self.offset();
        let mut rest = self.rest;
        let header = format::take_header(&mut rest)?;
        let origin @ (Kind::Start | Kind::Checkpoint, _) = self.take(&mut rest)? else {
            return Err(Fault::OutOfOrder);
        };
        let start = rest;
        let (frames, ending) = loop {
            let frames = &start[..start.len() - rest.len()];
            self.rest = rest;
            if rest.is_empty() || rest.starts_with(&MAGIC) {
                break (frames, Ending::Open);
            }
            match self.take(&mut rest) {
                Ok((Kind::End, body)) => match format::end(body) {
                    Ok(reason) => {
                        self.rest = rest;
                        break (frames, Ending::Closed(reason));
                    }
                    Err(fault) => break (frames, Ending::Damaged(self.skip(fault))),
                },
                Ok((Kind::Header | Kind::Start | Kind::Checkpoint, _)) => {
                    break (frames, Ending::Damaged(self.skip(Fault::OutOfOrder)));
                }
                Ok(_) => {}
                Err(fault) => break (frames, Ending::Damaged(self.skip(fault))),
            }
        };
        Ok(Segment { offset, header, ending, origin, frames })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.segment().map_or_else(|fault| Part::Damage(self.skip(fault)), Part::Segment))
    }
}

impl<'a> Segment<'a> {
    /// The engine at its begin.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn origin(&self) -> Result<Origin, Fault> {
        format::origin(self.origin.0, self.origin.1)
    }

    /// Bytes that say so in the recording.
    pub fn origin_bytes(&self) -> u64 {
        self.origin.1.len() as u64
    }

    /// The records in order. After a fault there is none.
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.frames, time: self.header.time }
    }
}

/// The records of a segment.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    time: Time,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = frame::take(&mut self.rest).and_then(|(kind, body)| format::record(kind, body, self.time));
        match &record {
            Ok(Record::Event(time, _)) => self.time = *time,
            Ok(_) => {}
            Err(_) => self.rest = &[],
        }
        Some(record)
    }
}
