//! An event and its time as bytes. Each event has a number of its own, and what belongs to it follows: bytes of
//! connections as they are, a config as JSON (see `origin`), the rest in postcard's form. So a new event, or a new field of
//! the config, leaves older recordings readable.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::frame::{put_varint, take_varint};
use super::origin::sane;
use crate::config::Config;
use crate::event::{Command, Event};
use crate::ids::{Conn, MinerId, UpstreamId};
use crate::time::{Span, Time};

const FROM_MINER: u8 = 1;
const FROM_UPSTREAM: u8 = 2;
const TICK: u8 = 3;
const WALL_CLOCK: u8 = 4;
const MINER_ACCEPTED: u8 = 5;
const CONNECTED: u8 = 6;
const CONNECT_FAILED: u8 = 7;
const CLOSED: u8 = 8;
const SEND_QUEUE: u8 = 9;
const SET_WEIGHTS: u8 = 10;
const SET_CONFIG: u8 = 11;
const DRAIN: u8 = 12;
const SET_AUTO_BALANCE: u8 = 13;
const ORACLE_ANSWER: u8 = 14;
const ORACLE_FAILURE: u8 = 15;

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
        Event::WallClock { unix_micros } => plain(out, WALL_CLOCK, unix_micros),
        Event::MinerAccepted { miner, peer } => plain(out, MINER_ACCEPTED, &(miner, peer)),
        Event::Connected { upstream } => plain(out, CONNECTED, upstream),
        Event::ConnectFailed { upstream, reason } => plain(out, CONNECT_FAILED, &(upstream, reason)),
        Event::Closed { conn, reason } => plain(out, CLOSED, &(conn, reason)),
        Event::SendQueue { conn, bytes } => plain(out, SEND_QUEUE, &(conn, bytes)),
        Event::Command(Command::SetWeights(weights)) => plain(out, SET_WEIGHTS, weights),
        Event::Command(Command::SetConfig(config)) => {
            out.push(SET_CONFIG);
            out.extend(serde_json::to_vec(config).unwrap_or_default());
        }
        Event::Command(Command::Drain) => out.push(DRAIN),
        Event::Command(Command::SetAutoBalance(active)) => plain(out, SET_AUTO_BALANCE, active),
        Event::OracleAnswer(Ok(body)) => plain(out, ORACLE_ANSWER, body),
        Event::OracleAnswer(Err(why)) => plain(out, ORACLE_FAILURE, why),
    }
}

/// Plain data into a growing vector: there is nothing that can fail.
fn plain(out: &mut Vec<u8>, number: u8, data: &impl Serialize) {
    out.push(number);
    out.extend(postcard::to_allocvec(data).unwrap_or_default());
}

/// What was written by [`plain`], and nothing behind it.
fn take_plain<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(body) {
        Ok((data, [])) => Some(data),
        _ => None,
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
        WALL_CLOCK => Event::WallClock { unix_micros: take_plain(body)? },
        MINER_ACCEPTED => {
            let (miner, peer) = take_plain(body)?;
            Event::MinerAccepted { miner, peer }
        }
        CONNECTED => Event::Connected { upstream: take_plain(body)? },
        CONNECT_FAILED => {
            let (upstream, reason) = take_plain(body)?;
            Event::ConnectFailed { upstream, reason }
        }
        CLOSED => {
            let (conn, reason) = take_plain(body)?;
            Event::Closed { conn, reason }
        }
        SEND_QUEUE => {
            let (conn, bytes) = take_plain(body)?;
            Event::SendQueue { conn, bytes }
        }
        SET_WEIGHTS => Event::Command(Command::SetWeights(take_plain(body)?)),
        SET_CONFIG => {
            let config: Box<Config> = serde_json::from_slice(body).ok()?;
            if !sane(&config) {
                return None;
            }
            Event::Command(Command::SetConfig(config))
        }
        SET_AUTO_BALANCE => Event::Command(Command::SetAutoBalance(take_plain(body)?)),
        ORACLE_ANSWER => Event::OracleAnswer(Ok(take_plain(body)?)),
        ORACLE_FAILURE => Event::OracleAnswer(Err(take_plain(body)?)),
        DRAIN if body.is_empty() => Event::Command(Command::Drain),
        _ => return None,
    };
    Some((time, event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PoolConfig;
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
            Event::Command(Command::SetAutoBalance(true)),
            Event::OracleAnswer(Ok(b"{}")),
            Event::OracleAnswer(Err("timed out")),
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
