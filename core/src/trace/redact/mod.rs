//! A recording without names: wallets, passwords, workers, hosts, addresses and payout scripts become pseudonyms of the
//! same length, the same everywhere, and the result replays like any other recording.
//!
//! To the engine names are opaque: only their equality and length can change what it does. So the recording is run
//! once as it was, which verifies its digests and gives the hashes of the checked headers, and once more with
//! pseudonyms and those hashes ([`Pow::Given`]), which gives the new digests. Each step of the second run must send the same
//! kinds of messages of the same lengths to the same places; and no name may be left in the bytes at the end.
//!
//! `names` is the table of pseudonyms, `lines` knows where in a line a name is, `streams` puts cut lines together,
//! `check` looks for what is left.

mod check;
mod error;
mod lines;
mod names;
mod streams;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::format::{Header, Record};
use super::origin::{Origin, Start};
use super::reader::{Ending, Part, Reader, Segment};
use super::recorder::SegmentWriter;
use super::replay::{Replay, ReplayError};
use crate::action::{Action, ActionBuf};
use crate::config::Config;
use crate::engine::{Engine, Memory, Pseudonyms, rename_config, rename_memory};
use crate::event::{Command, Event};
use crate::ids::Conn;
use crate::share::Pow;
use check::Secrets;
pub use error::RedactError;
pub use names::Names;
use streams::Streams;

/// A recording that can be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Segments in it.
    pub segments: u64,
    /// Steps in it.
    pub steps: u64,
    /// Bytes of the original that are damaged, and not in it.
    pub damaged: u64,
}

/// Redacts a recording. `key` is the only source of chance: who knows it can tell whether a name that he guesses is in the
/// recording, so it is to be drawn anew each time and forgotten.
///
/// # Errors
/// When it does not replay as it is, or when a check of the result fails.
pub fn redact(recording: &[u8], key: [u8; 32]) -> Result<Redacted, RedactError> {
    let mut segments = Vec::new();
    let mut damaged = 0;
    for part in Reader::new(recording) {
        match part {
            Part::Damage(damage) => damaged += damage.bytes,
            Part::Segment(segment) => {
                if let Ending::Damaged(damage) = segment.ending {
                    damaged += damage.bytes;
                }
                segments.push(segment);
            }
        }
    }
    if segments.is_empty() {
        return Err(RedactError::Empty);
    }
    let mut names = Names::new(key);
    let mut secrets = Secrets::default();
    // A start is JSON: the names of its fields stay.
    let fields = serde_json::to_string(&Start::new(Config::default(), Memory::default(), 0)).unwrap_or_default();
    fields.split('"').zip(fields.split('"').skip(1)).filter(|(_, after)| after.starts_with(':')).for_each(
        |(field, _)| {
            secrets.public(field);
        },
    );
    for segment in &segments {
        collect(segment, &mut names, &mut secrets).map_err(|error| failed(segment, error))?;
    }
    let mut redacted = Redacted { bytes: Vec::new(), segments: 0, steps: 0, damaged };
    for segment in &segments {
        redacted.steps += rewrite(segment, &mut names, &secrets, &mut redacted.bytes)?;
        redacted.segments += 1;
    }
    secrets.check(&redacted.bytes)?;
    Ok(redacted)
}

fn failed(segment: &Segment<'_>, error: ReplayError) -> RedactError {
    RedactError::Replay { segment: segment.header.number, error }
}

/// Learns all names of a segment.
fn collect(segment: &Segment<'_>, names: &mut Names, secrets: &mut Secrets) -> Result<(), ReplayError> {
    let engine = segment.restore()?;
    engine.names(&mut |name| {
        names.learn(name);
        secrets.name(name);
    });
    engine.known_addresses().for_each(|address| secrets.address(address));
    let streams = streams(&engine, segment);
    for record in segment.records().filter_map(Result::ok) {
        let Record::Event(_, event) = record else { continue };
        match event {
            Event::MinerAccepted { peer, .. } => secrets.address(peer.ip()),
            Event::Command(Command::SetConfig(config)) => {
                // An engine knows where in a config names are.
                Engine::new(*config, &Memory::default(), 0).names(&mut |name| {
                    names.learn(name);
                    secrets.name(name);
                });
            }
            _ => {}
        }
    }
    for (conn, line) in streams.lines() {
        lines::tells(conn, line, |name| {
            names.learn(name);
            secrets.name(name);
        });
        if let (Conn::Miner(_), Some(agent)) = (conn, lines::agent(line)) {
            secrets.public(&agent);
        }
    }
    Ok(())
}

/// What came from each connection.
fn streams(engine: &Engine, segment: &Segment<'_>) -> Streams {
    let mut streams = Streams::default();
    for (conn, bytes) in engine.held_bytes() {
        streams.push(conn, &bytes);
    }
    for record in segment.records() {
        if let Ok(Record::Event(_, Event::Received { conn, bytes })) = record {
            streams.push(conn, bytes);
        }
    }
    streams
}

/// What the engine's data is renamed with.
struct Renaming<'a> {
    names: &'a mut Names,
    streams: &'a mut Streams,
}

impl Pseudonyms for Renaming<'_> {
    fn name(&mut self, text: &str) -> String {
        self.names.name(text)
    }

    fn words(&mut self, text: &str) -> String {
        self.names.text(text, 0)
    }

    fn address(&mut self, address: IpAddr) -> IpAddr {
        self.names.address(address)
    }

    fn coinbase(&mut self, first: &mut [u8], second: &mut [u8]) {
        self.names.coinbase_half(first, true);
        self.names.coinbase_half(second, false);
    }

    fn held(&mut self, conn: Conn, bytes: &mut [u8]) {
        let new = self.streams.take(conn, bytes.len());
        if new.len() == bytes.len() {
            bytes.copy_from_slice(new);
        }
    }
}

/// Appends a segment with pseudonyms. Gives its steps.
fn rewrite(segment: &Segment<'_>, names: &mut Names, secrets: &Secrets, out: &mut Vec<u8>) -> Result<u64, RedactError> {
    let number = segment.header.number;
    let fail = |error| failed(segment, error);
    let mut original = Replay::new(segment).map_err(fail)?;
    let mut streams = streams(original.engine(), segment);
    streams.rewrite(names);
    let header = Header { redacted: true, ..segment.header.clone() };
    let (mut second, origin) = renamed(segment, original.engine(), &mut Renaming { names, streams: &mut streams })?;
    // A name may be cut by the end of a read, or by folding: they are looked for where they are whole.
    secrets.check(&second.checkpoint())?;
    streams.whole().try_for_each(|bytes| secrets.check(bytes))?;
    let mut writer = SegmentWriter::new(&header, &origin);
    let (mut was, mut is) = (ActionBuf::new(), ActionBuf::new());
    let unfinished = matches!(segment.records().last(), Some(Ok(Record::Event(..))));
    let events = segment.records().filter(|r| matches!(r, Ok(Record::Event(..)))).count() as u64;
    while let Some((time, event)) = original.event().map_err(fail)? {
        let step = original.summary().steps + 1;
        if unfinished && step == events {
            // Its step may be the one that the engine did not survive: it is not tried here.
            with_pseudonyms(event, names, &mut streams, |event| writer.event(time, &event));
            break;
        }
        original.run(time, event.clone(), &mut was).map_err(fail)?;
        writer.hashes(was.checked_hashes());
        if !was.checked_hashes().is_empty() {
            second.set_proof_of_work(Pow::Given(was.checked_hashes().iter().copied().collect()));
        }
        is.clear();
        with_pseudonyms(event, names, &mut streams, |event| {
            writer.event(time, &event);
            second.step(time, event, &mut is);
        });
        writer.outcome(&is, 0);
        if !alike(&was, &is) {
            return Err(RedactError::Diverged { segment: number, step });
        }
    }
    match segment.ending {
        Ending::Closed(reason) => out.extend(writer.end(reason)),
        Ending::Open | Ending::Damaged(_) => out.extend(writer.take(Vec::new())),
    }
    Ok(events)
}

/// The engine at the segment's begin with pseudonyms, and how it is written.
fn renamed(
    segment: &Segment<'_>,
    engine: &Engine,
    renaming: &mut Renaming<'_>,
) -> Result<(Engine, Origin), RedactError> {
    let origin = segment.origin().map_err(|_| failed(segment, ReplayError::Origin))?;
    let given = Pow::Given(Default::default());
    Ok(match origin {
        Origin::Start(mut start) => {
            rename_config(&mut start.config, renaming);
            rename_memory(&mut start.memory, renaming);
            let mut second = start.engine();
            second.set_proof_of_work(given);
            (second, Origin::Start(start))
        }
        Origin::Checkpoint(_) => {
            let mut second = engine.clone();
            second.rename(renaming);
            second.set_proof_of_work(given);
            let checkpoint = second.checkpoint();
            (second, Origin::Checkpoint(checkpoint))
        }
    })
}

/// Gives `then` the event with pseudonyms.
fn with_pseudonyms(event: Event<'_>, names: &mut Names, streams: &mut Streams, then: impl FnOnce(Event<'_>)) {
    match event {
        Event::Received { conn, bytes } => then(Event::Received { conn, bytes: streams.take(conn, bytes.len()) }),
        Event::MinerAccepted { miner, mut peer } => {
            peer.set_ip(names.address(peer.ip()));
            then(Event::MinerAccepted { miner, peer });
        }
        Event::ConnectFailed { upstream, reason } => {
            then(Event::ConnectFailed { upstream, reason: &names.reason(reason) });
        }
        Event::Closed { conn, reason } => then(Event::Closed { conn, reason: &names.reason(reason) }),
        Event::Command(Command::SetConfig(mut config)) => {
            rename_config(&mut config, &mut Renaming { names, streams });
            then(Event::Command(Command::SetConfig(config)));
        }
        event @ (Event::Tick
        | Event::WallClock { .. }
        | Event::Connected { .. }
        | Event::SendQueue { .. }
        | Event::OracleAnswer(Ok(_))
        | Event::Command(Command::SetWeights(_) | Command::SetAutoBalance(_) | Command::Drain)) => then(event),
        Event::OracleAnswer(Err(why)) => then(Event::OracleAnswer(Err(&names.reason(why)))),
    }
}

/// The same things were sent, at the same lengths, to the same places.
fn alike(was: &ActionBuf, is: &ActionBuf) -> bool {
    let told = |action: &&Action| !matches!(action, Action::Notice(_));
    let (mut a, mut b) = (was.actions().iter().filter(told), is.actions().iter().filter(told));
    loop {
        return match (a.next(), b.next()) {
            (None, None) => true,
            (Some(Action::Send { conn: to, bytes: x }), Some(Action::Send { conn: also_to, bytes: y }))
                if to == also_to && was.bytes(x).len() == is.bytes(y).len() =>
            {
                continue;
            }
            (
                Some(Action::Connect { upstream: x, host: host_x, .. }),
                Some(Action::Connect { upstream: y, host: host_y, .. }),
            ) if x == y && host_x.len() == host_y.len() => continue,
            (Some(Action::FetchOracle { url: x }), Some(Action::FetchOracle { url: y })) if x.len() == y.len() => {
                continue;
            }
            (
                Some(x @ (Action::Close(_) | Action::PauseReading(_) | Action::ResumeReading(_) | Action::Drained)),
                Some(y),
            ) if x == y => continue,
            _ => false,
        };
    }
}
