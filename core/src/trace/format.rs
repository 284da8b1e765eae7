//! What the frames of a segment mean: header, records, end.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::digest::Digest;
use super::event;
use super::fold;
use super::frame::{self, FORMAT_VERSION, Fault, Kind, MAGIC};
use super::origin::{Origin, Start, sane};
use crate::event::Event;
use crate::time::{Span, Time};

const REDACTED: u8 = 1;

/// The begin of a segment: where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the program that recorded it.
    pub program: String,
    /// The version of the engine's checkpoints: a program that has another can replay only what begins at the first event.
    pub checkpoint_version: u32,
    /// Counted up from 1 by whoever records.
    pub number: u64,
    /// When it was begun, microseconds since 1970, UTC; 0 if nobody knows.
    pub unix_micros: u64,
    /// The engine's time when it was begun.
    pub time: Time,
    /// Names, addresses and payout scripts are pseudonyms, and the hashes of the checked headers are recorded.
    pub redacted: bool,
}

/// One thing in a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    /// What the engine was told, and when.
    Event(Time, Event<'a>),
    /// The digest after the last event's step.
    Sent(Digest),
    /// The last event's step sent nothing.
    Quiet,
    /// The hashes of the headers that the next event's step checks, in order; only in redacted recordings.
    Hashes(Vec<[u8; 32]>),
}

/// Why a segment was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It was large enough.
    Full = 1,
    /// Somebody asked for it.
    Asked = 2,
    /// The engine panicked: the last event is the one that it did not survive.
    Crash = 3,
    /// The program ended.
    Stopped = 4,
}

impl EndReason {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            EndReason::Full => "full",
            EndReason::Asked => "closed on request",
            EndReason::Crash => "the engine crashed",
            EndReason::Stopped => "the program stopped",
        }
    }
}

pub(super) fn put_header(out: &mut Vec<u8>, header: &Header) {
    out.extend_from_slice(&MAGIC);
    frame::put(out, Kind::Header, |out| {
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.push(if header.redacted { REDACTED } else { 0 });
        out.extend_from_slice(&header.checkpoint_version.to_le_bytes());
        out.extend_from_slice(&header.number.to_le_bytes());
        out.extend_from_slice(&header.unix_micros.to_le_bytes());
        out.extend_from_slice(&header.time.0.to_le_bytes());
        out.extend_from_slice(header.program.as_bytes());
    });
}

/// Takes magic and header.
pub(super) fn take_header(input: &mut &[u8]) -> Result<Header, Fault> {
    let rest = input.strip_prefix(&MAGIC).ok_or(Fault::UnknownKind)?;
    let mut rest = rest;
    let (Kind::Header, mut body) = frame::take(&mut rest)? else { return Err(Fault::OutOfOrder) };
    let version = u16::from_le_bytes(take(&mut body)?);
    if version != FORMAT_VERSION {
        return Err(Fault::Version(version));
    }
    let [flags] = take(&mut body)?;
    let header = Header {
        redacted: flags & REDACTED != 0,
        checkpoint_version: u32::from_le_bytes(take(&mut body)?),
        number: u64::from_le_bytes(take(&mut body)?),
        unix_micros: u64::from_le_bytes(take(&mut body)?),
        time: Time(u64::from_le_bytes(take(&mut body)?)),
        program: core::str::from_utf8(body).map_err(|_| Fault::Unreadable)?.into(),
    };
    *input = rest;
    Ok(header)
}

fn take<const N: usize>(body: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (bytes, rest) = body.split_first_chunk::<N>().ok_or(Fault::Unreadable)?;
    *body = rest;
    Ok(*bytes)
}

/// Where the segment begins.
pub(super) fn put_origin(out: &mut Vec<u8>, origin: &Origin) {
    match origin {
        // Plain data into a growing vector: there is nothing that can fail.
        Origin::Start(start) => {
            frame::put(out, Kind::Start, |out| out.extend(serde_json::to_vec(start).unwrap_or_default()));
        }
        Origin::Checkpoint(bytes) => frame::put(out, Kind::Checkpoint, |out| fold::fold(out, bytes)),
    }
}

/// What was written by [`put_origin`].
pub(super) fn origin(kind: Kind, body: &[u8]) -> Result<Origin, Fault> {
    match kind {
        Kind::Start => match serde_json::from_slice::<Box<Start>>(body) {
            Ok(start) if sane(&start.config) => Ok(Origin::Start(start)),
            _ => Err(Fault::Unreadable),
        },
        Kind::Checkpoint => fold::unfold(body).map(Origin::Checkpoint).ok_or(Fault::Unreadable),
        _ => Err(Fault::OutOfOrder),
    }
}

pub(super) fn put_event(out: &mut Vec<u8>, passed: Span, event: &Event<'_>) {
    frame::put(out, Kind::Event, |out| event::put(out, passed, event));
}

/// The outcome of a step: the digest, if anything was sent.
pub(super) fn put_outcome(out: &mut Vec<u8>, sent: Option<Digest>) {
    match sent {
        Some(digest) => frame::put(out, Kind::Sent, |out| out.extend_from_slice(&digest.0.to_le_bytes())),
        None => frame::put(out, Kind::Quiet, |_| ()),
    }
}

pub(super) fn put_hashes(out: &mut Vec<u8>, hashes: &[[u8; 32]]) {
    frame::put(out, Kind::Hashes, |out| out.extend_from_slice(hashes.as_flattened()));
}

pub(super) fn put_end(out: &mut Vec<u8>, reason: EndReason) {
    frame::put(out, Kind::End, |out| out.push(reason as u8));
}

/// A frame behind the checkpoint: a record, or the end.
pub(super) fn record<'a>(kind: Kind, body: &'a [u8], before: Time) -> Result<Record<'a>, Fault> {
    match kind {
        Kind::Event => {
            let (time, event) = event::take(body, before).ok_or(Fault::Unreadable)?;
            Ok(Record::Event(time, event))
        }
        Kind::Sent => {
            let digest = body.try_into().map_err(|_| Fault::Unreadable)?;
            Ok(Record::Sent(Digest(u64::from_le_bytes(digest))))
        }
        Kind::Quiet => Ok(Record::Quiet),
        Kind::Hashes => match body.as_chunks::<32>() {
            (hashes, []) => Ok(Record::Hashes(hashes.to_vec())),
            _ => Err(Fault::Unreadable),
        },
        Kind::Header | Kind::Start | Kind::Checkpoint | Kind::End => Err(Fault::OutOfOrder),
    }
}

pub(super) fn end(body: &[u8]) -> Result<EndReason, Fault> {
    match body {
        [1] => Ok(EndReason::Full),
        [2] => Ok(EndReason::Asked),
        [3] => Ok(EndReason::Crash),
        [4] => Ok(EndReason::Stopped),
        _ => Err(Fault::Unreadable),
    }
}
