//! An event and its time as bytes. What arrives on connections is most of a recording and has a form of its own; the rest
//! is postcard's form of [`Event`].

use alloc::vec::Vec;

use super::frame::{put_varint, take_varint};
use crate::event::Event;
use crate::ids::{Conn, MinerId, UpstreamId};
use crate::time::{Span, Time};

const OTHER: u8 = 0;
const FROM_MINER: u8 = 1;
const FROM_UPSTREAM: u8 = 2;
const TICK: u8 = 3;

/// Appends an event that came `passed` after the one before.
pub(super) fn put(out: &mut Vec<u8>, passed: Span, event: &Event<'_>) {
    put_varint(out, passed.0);
    match event {
        Event::Received { conn, bytes } => {
            let (side, id) = match conn {
                Conn::Miner(id) => (FROM_MINER, id.0),
                Conn::Upstream(id) => (FROM_UPSTREAM, id.0),
            };
            out.push(side);
            put_varint(out, id);
            out.extend_from_slice(bytes);
        }
        Event::Tick => out.push(TICK),
        event => {
            out.push(OTHER);
            // Plain data into a growing vector: there is nothing that can fail.
            out.extend(postcard::to_allocvec(event).unwrap_or_default());
        }
    }
}

/// Reads an event; `before` is the time of the one before. None if this version cannot.
pub(super) fn take(mut body: &[u8], before: Time) -> Option<(Time, Event<'_>)> {
    let time = Time(before.0.checked_add(take_varint(&mut body)?)?);
    let (form, mut body) = body.split_first()?;
    let event = match *form {
        FROM_MINER => Event::Received { conn: Conn::Miner(MinerId(take_varint(&mut body)?)), bytes: body },
        FROM_UPSTREAM => Event::Received { conn: Conn::Upstream(UpstreamId(take_varint(&mut body)?)), bytes: body },
        TICK if body.is_empty() => Event::Tick,
        OTHER => match postcard::take_from_bytes(body) {
            Ok((event, [])) => event,
            _ => return None,
        },
        _ => return None,
    };
    Some((time, event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, PoolConfig};
    use crate::event::Command;
    use alloc::boxed::Box;
    use alloc::vec;

    #[test]
    fn every_event_comes_back() {
        let miner = Conn::Miner(MinerId(300));
        let upstream = UpstreamId(u64::MAX);
        let config = Config::with_pools(vec![PoolConfig::new("A")], vec![1_000_000]);
        let events = [
            Event::Tick,
            Event::WallClock { unix_micros: u64::MAX },
            Event::MinerAccepted { miner: MinerId(1), peer: "192.0.2.1:5000".parse().unwrap() },
            Event::MinerAccepted { miner: MinerId(2), peer: "[2001:db8::1]:5000".parse().unwrap() },
            Event::Connected { upstream },
            Event::ConnectFailed { upstream, reason: "name not found" },
            Event::Received { conn: miner, bytes: b"{\"id\":1}\n" },
            Event::Received { conn: Conn::Upstream(upstream), bytes: &[0, 255] },
            Event::Closed { conn: miner, reason: "" },
            Event::SendQueue { conn: miner, bytes: 70_000 },
            Event::Command(Command::SetWeights(vec![1, 999_999])),
            Event::Command(Command::SetConfig(Box::new(config))),
            Event::Command(Command::Drain),
        ];
        for event in events {
            let mut bytes = Vec::new();
            put(&mut bytes, Span(12_345), &event);
            assert_eq!(take(&bytes, Time(7)), Some((Time(12_352), event)));
        }
        assert_eq!(take(&[0, 9], Time(0)), None);
        assert_eq!(take(&[], Time(0)), None);
        assert_eq!(take(&[1, TICK], Time(u64::MAX)), None, "a time beyond all times");
    }
}
