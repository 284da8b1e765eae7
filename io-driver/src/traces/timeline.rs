//! A recording as lines that a person can read: when, who, what.

use std::collections::BTreeMap;

use anyhow::bail;
use dpmp_core::config::slot_of_key;
use dpmp_core::{Action, ActionBuf, Command, Conn, Engine, Event, MinerId, Notice, PoolId, Time, UpstreamId};

use crate::cli::PrintFilter;

/// Longer messages are cut.
const LONGEST: usize = 200;

/// Prints steps. Remembers who is who.
#[derive(Debug)]
pub struct Timeline {
    miner: Option<String>,
    pool: Option<PoolId>,
    event: Option<String>,
    from: Time,
    to: Time,
    workers: BTreeMap<MinerId, String>,
    pools: BTreeMap<UpstreamId, (PoolId, Option<MinerId>)>,
    /// The begin of a line that has not come to its end.
    partial: BTreeMap<Conn, Vec<u8>>,
}

/// Whom a line is about.
#[derive(Clone, Copy, Default)]
struct Subject {
    miner: Option<MinerId>,
    pool: Option<PoolId>,
}

impl Timeline {
    /// Shows what the filter lets through.
    pub fn new(filter: &PrintFilter) -> anyhow::Result<Timeline> {
        let pool = match &filter.pool {
            None => None,
            Some(letter) => match slot_of_key(&letter.to_ascii_uppercase()) {
                None => bail!("--pool {letter}: pools are called A to H"),
                pool => pool,
            },
        };
        let time = |seconds: Option<f64>, or| seconds.map_or(or, |s| Time((s * 1e6) as u64));
        Ok(Timeline {
            miner: filter.miner.clone(),
            pool,
            event: filter.event.as_ref().map(|name| name.to_ascii_lowercase()),
            from: time(filter.from, Time::ZERO),
            to: time(filter.to, Time(u64::MAX)),
            workers: BTreeMap::new(),
            pools: BTreeMap::new(),
            partial: BTreeMap::new(),
        })
    }

    /// Learns who is there when a segment begins.
    pub fn begin(&mut self, engine: &Engine) {
        self.workers = engine.miners().map(|m| (m.miner, m.worker.to_owned())).collect();
        self.pools = engine.upstreams().map(|(upstream, pool, miner)| (upstream, (pool, miner))).collect();
    }

    /// An event in a few words.
    pub fn describe(event: &Event<'_>) -> String {
        match event {
            Event::Received { conn, bytes } => {
                format!("{} bytes from {}: {}", bytes.len(), bare(*conn), shorten(&String::from_utf8_lossy(bytes)))
            }
            Event::Command(Command::SetConfig(_)) => "a new config".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Shows what the engine is told.
    pub fn event(&mut self, time: Time, event: &Event<'_>, mut say: impl FnMut(&str)) {
        let (conn, name, words) = match event {
            Event::Tick => return,
            Event::Received { conn, bytes } => return self.received(time, *conn, bytes, &mut say),
            Event::WallClock { unix_micros } => {
                (None, "WallClock", crate::clock::rfc3339(unix_micros / 1_000_000).to_owned())
            }
            Event::MinerAccepted { miner, peer } => {
                (Some(Conn::Miner(*miner)), "MinerAccepted", format!("connects from {peer}"))
            }
            Event::Connected { upstream } => (Some(Conn::Upstream(*upstream)), "Connected", "is connected".to_owned()),
            Event::ConnectFailed { upstream, reason } => {
                (Some(Conn::Upstream(*upstream)), "ConnectFailed", format!("cannot be reached: {reason}"))
            }
            Event::Closed { conn, reason } => (Some(*conn), "Closed", format!("is gone: {reason}")),
            Event::SendQueue { conn, bytes } => (Some(*conn), "SendQueue", format!("has {bytes} bytes to read yet")),
            Event::Command(command) => {
                let words = match command {
                    Command::SetConfig(_) => "a new config".to_owned(),
                    Command::SetWeights(weights) => format!("weights {weights:?}"),
                    Command::SetAutoBalance(true) => "weights by hash rate".to_owned(),
                    Command::SetAutoBalance(false) => "weights by hand".to_owned(),
                    Command::Drain => "stop".to_owned(),
                };
                (None, "Command", words)
            }
            Event::OracleAnswer(Ok(body)) => {
                (None, "OracleAnswer", format!("the oracle answers {}", shorten(&String::from_utf8_lossy(body))))
            }
            Event::OracleAnswer(Err(why)) => (None, "OracleAnswer", format!("the oracle does not answer: {why}")),
        };
        self.line(time, conn, &[name], &words, &mut say);
    }

    /// Whole lines are shown, wherever they were cut.
    fn received(&mut self, time: Time, conn: Conn, bytes: &[u8], say: &mut impl FnMut(&str)) {
        let mut held = self.partial.remove(&conn).unwrap_or_default();
        held.extend_from_slice(bytes);
        let whole = held.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        for line in held[..whole].split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let text = String::from_utf8_lossy(line.trim_ascii());
            self.line(time, Some(conn), &["Received", method(&text)], &format!("> {}", shorten(&text)), say);
        }
        held.drain(..whole);
        if !held.is_empty() {
            self.partial.insert(conn, held);
        }
    }

    /// Shows what came of it.
    pub fn outcome(&mut self, time: Time, out: &ActionBuf, mut say: impl FnMut(&str)) {
        for action in out.actions() {
            match action {
                Action::Connect { upstream, pool, host, port } => {
                    self.pools.entry(*upstream).or_insert((*pool, None)).0 = *pool;
                    let words = format!("connect to {host}:{port}");
                    self.line(time, Some(Conn::Upstream(*upstream)), &["Connect"], &words, &mut say);
                }
                Action::Send { conn, bytes } => {
                    let text = String::from_utf8_lossy(out.bytes(bytes));
                    let text = text.trim_end();
                    self.line(time, Some(*conn), &["Send", method(text)], &format!("< {}", shorten(text)), &mut say);
                }
                Action::PauseReading(conn) => self.line(time, Some(*conn), &["PauseReading"], "is not read", &mut say),
                Action::ResumeReading(conn) => {
                    self.line(time, Some(*conn), &["ResumeReading"], "is read again", &mut say);
                }
                Action::Close(conn) => self.line(time, Some(*conn), &["Close"], "is closed", &mut say),
                Action::FetchOracle { url } => {
                    self.line(time, None, &["FetchOracle"], &format!("ask {}", shorten(url)), &mut say);
                }
                Action::Drained => self.line(time, None, &["Drained"], "everything is closed", &mut say),
                Action::Notice(notice) => self.notice(time, notice, &mut say),
            }
        }
    }

    fn notice(&mut self, time: Time, notice: &Notice, say: &mut impl FnMut(&str)) {
        let subject = match notice {
            // Told by the lines themselves.
            Notice::LinesReceived { .. } | Notice::ShareSubmitted { .. } => return,
            Notice::PoolConnecting { upstream, pool, who, .. } => {
                self.pools.insert(*upstream, (*pool, who.as_ref().map(|who| who.miner)));
                Subject { miner: who.as_ref().map(|who| who.miner), pool: Some(*pool) }
            }
            Notice::MinerReady { who, .. } | Notice::MinerSubscribed { who, .. } => {
                self.workers.insert(who.miner, who.worker.to_string());
                Subject { miner: Some(who.miner), pool: None }
            }
            other => subject(other),
        };
        let text = format!("{notice:?}");
        let name = text.split([' ', '{', '(']).next().unwrap_or_default();
        let rest = tidy(&without_who(text[name.len()..].trim().trim_matches(['{', '}']).trim()));
        self.show(time, subject, &[name], &format!("* {name} {}", shorten(&rest)), say);
    }

    fn subject_of(&self, conn: Conn) -> Subject {
        match conn {
            Conn::Miner(miner) => Subject { miner: Some(miner), pool: None },
            Conn::Upstream(upstream) => {
                let (pool, miner) = self.pools.get(&upstream).copied().unzip();
                Subject { miner: miner.flatten(), pool }
            }
        }
    }

    fn line(&self, time: Time, conn: Option<Conn>, names: &[&str], words: &str, say: &mut impl FnMut(&str)) {
        let subject = conn.map(|conn| self.subject_of(conn)).unwrap_or_default();
        let who = match conn {
            Some(Conn::Upstream(upstream)) => format!("pool#{} ", upstream.0),
            _ => String::new(),
        };
        self.show(time, subject, names, &format!("{who}{words}"), say);
    }

    fn show(&self, time: Time, subject: Subject, names: &[&str], words: &str, say: &mut impl FnMut(&str)) {
        let worker = subject.miner.and_then(|miner| self.workers.get(&miner)).map_or("", String::as_str);
        let wanted = self.miner.as_ref().is_none_or(|wanted| {
            subject.miner.is_some_and(|miner| *wanted == miner.0.to_string() || *wanted == *worker)
        }) && self.pool.is_none_or(|wanted| subject.pool == Some(wanted))
            && self.event.as_ref().is_none_or(|wanted| names.iter().any(|name| name.eq_ignore_ascii_case(wanted)))
            && (self.from..=self.to).contains(&time);
        if !wanted {
            return;
        }
        let pool = subject.pool.map_or("-".to_owned(), |pool| pool.to_string());
        let miner = match subject.miner {
            Some(miner) if worker.is_empty() => format!("#{}", miner.0),
            Some(miner) => format!("#{} {worker}", miner.0),
            None => "-".to_owned(),
        };
        say(&format!("{:>12.6} {pool} {miner:<12} {words}", time.0 as f64 / 1e6));
    }
}

/// The method of a line of Stratum, or `answer`.
fn method(text: &str) -> &str {
    let Some(at) = text.find("\"method\"") else { return "answer" };
    text[at + 8..].split('"').nth(1).unwrap_or("answer")
}

fn bare(conn: Conn) -> String {
    match conn {
        Conn::Miner(miner) => format!("miner #{}", miner.0),
        Conn::Upstream(upstream) => format!("pool connection #{}", upstream.0),
    }
}

/// At most [`LONGEST`] characters, without control characters.
fn shorten(text: &str) -> String {
    let mut out: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out.trim_end().to_owned()
}

/// A notice's fields without the miner's, which stands before them.
fn without_who(fields: &str) -> String {
    let Some(start) = fields.find("who: ") else { return fields.to_owned() };
    let Some(end) = fields[start..].find('}').map(|at| start + at + 1) else { return fields.to_owned() };
    let end = end + fields[end..].chars().take_while(|c| matches!(c, ')' | ',' | ' ')).count();
    [&fields[..start], &fields[end..]].concat()
}

/// Numbers as people write them: pools by letter, lengths of time in seconds, difficulties as one number.
fn tidy(fields: &str) -> String {
    let mut out = String::new();
    let mut rest = fields;
    while let Some((at, word)) = ["PoolId(", "UpstreamId(", "JobId(", "Span(", "Difficulty {"]
        .iter()
        .filter_map(|w| Some((rest.find(w)?, *w)))
        .min()
    {
        out.push_str(&rest[..at]);
        let inside = &rest[at + word.len()..];
        let Some(end) = inside.find([')', '}']) else { break };
        let (value, after) = inside.split_at(end);
        let mut numbers = value.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse::<u64>().ok());
        let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        out.push_str(&match word {
            "PoolId(" => u8::try_from(first).map_or_else(|_| "?".to_owned(), |slot| PoolId(slot).to_string()),
            "JobId(" => format!("{first:08x}"),
            "Span(" => format!("{} s", first as f64 / 1e6),
            "Difficulty {" if second > 0 => format!("{first}e-{second}"),
            "Difficulty {" => first.to_string(),
            _ => format!("#{first}"),
        });
        rest = &after[1..];
    }
    out.push_str(rest);
    out
}

/// Whom a fact is about.
fn subject(notice: &Notice) -> Subject {
    use Notice::*;
    let (who, pool) = match notice {
        MinerConnected { who }
        | MinerSubscribed { who, .. }
        | MinerReady { who, .. }
        | MinerDisconnected { who, .. }
        | MinerBadLine { who, .. }
        | MinerRequest { who, .. }
        | MinerClogged { who, .. }
        | MinerWarning { who, .. }
        | MinerIdle { who }
        | ShareSubmitted { who } => (Some(who), None),
        DifficultyTold { who, pool, .. }
        | JobForwarded { who, pool, .. }
        | PoolSwitched { who, to: pool, .. }
        | BlockCandidate { who, pool, .. }
        | PoolHeldOff { who, pool, .. }
        | PoolUsable { who, pool, .. } => (Some(who), Some(*pool)),
        ShareResult { who, pool, .. } => (Some(who), *pool),
        PoolConnecting { who, pool, .. }
        | PoolConnected { who, pool, .. }
        | PoolConnectFailed { who, pool, .. }
        | AuthResult { who, pool, .. }
        | PoolDown { who, pool, .. }
        | PoolClosed { who, pool, .. }
        | PoolDifficulty { who, pool, .. }
        | PoolJob { who, pool, .. }
        | PoolExtranonce { who, pool, .. } => (who.as_ref(), Some(*pool)),
        PoolSubscribed { pool, .. }
        | PoolChain { pool, .. }
        | PoolMessage { pool, .. }
        | PoolReconnectAsked { pool, .. }
        | PoolBadLine { pool, .. } => (None, Some(*pool)),
        _ => (None, None),
    };
    Subject { miner: who.map(|who| who.miner), pool }
}
