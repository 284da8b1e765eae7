//! A simulated pool without sockets or clock: connections, jobs and the script in `mod`, the handshake
//! in `requests`, the judgement of a share in
//! `share`, wording in `wire`, what it is told to be in `spec`, what it counts in `stats`.
//!
//! Call [`SimPool::accept`] when a connection comes, [`SimPool::receive`] for its bytes, [`SimPool::closed`] when the
//! other end closed, and [`SimPool::tick`] when [`SimPool::next_deadline`] has come; each appends what is to be sent.

mod job;
mod requests;
mod share;
mod spec;
mod stats;
mod vardiff;
mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use job::PoolJob;
pub use spec::{
    Flavour, JobIds, LoginOrder, OutageMode, PoolSpec, RejectShape, Script, Suggest, Vardiff, VersionRolling,
};
pub use stats::{PoolSnapshot, Reason, ShareCounts, ShareRecord};

use crate::frame::{Complaints, Lines};
use crate::hex;
use crate::rng::Rng;
use job::Jobs;

/// What a pool wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolOut {
    /// Write these bytes.
    Send {
        /// To whom.
        conn: u64,
        /// Whole lines.
        bytes: Vec<u8>,
    },
    /// Close the connection once all is written. [`SimPool::closed`] is not called for it.
    Close {
        /// Which.
        conn: u64,
    },
}

/// One connection as the pool sees it.
#[derive(Clone, Debug, Default)]
struct Conn {
    lines: Lines,
    /// What came while the pool was frozen.
    held: Vec<u8>,
    /// The mask that `mining.configure` was granted.
    mask: Option<u32>,
    subscribed: bool,
    resumed: bool,
    extranonce1: Vec<u8>,
    extranonce2_bytes: usize,
    wants_extranonce: bool,
    user: Option<String>,
    difficulty: String,
    sent: VecDeque<SentJob>,
    counts: ShareCounts,
    /// Accepted since vardiff looked last.
    lately: u32,
    /// Who calls, if the runner has said so, and which of its calls this is.
    caller: Option<u64>,
    /// What tells its jobs apart where extranonce1 has no room for it.
    tag: u64,
}

/// A job as one connection was told it.
#[derive(Clone, Debug)]
struct SentJob {
    seq: u64,
    difficulty: f64,
    /// The lowest difficulty that the connection had since.
    easiest: f64,
    coinb1: Vec<u8>,
    extranonce1: Vec<u8>,
    extranonce2_bytes: usize,
    mask: Option<u32>,
}

/// Where a job that a miner has comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The connection that was sent it.
    pub conn: u64,
    /// The job.
    pub job: &'a PoolJob,
    /// So many bytes at the end of the beginning are the first of the pool's extranonce2.
    pub inside: usize,
    /// The size of the pool's whole extranonce2.
    pub extranonce2_bytes: usize,
    /// The connection's extranonce1 when it was sent.
    pub extranonce1: &'a [u8],
    /// The connection's difficulty when it was sent.
    pub difficulty: f64,
    /// The connection's difficulty now.
    pub difficulty_now: f64,
    /// The version bits that the connection was granted, both now and when it was sent or since.
    pub mask: Option<u32>,
    /// The authorised user.
    pub user: &'a str,
}

/// The pool.
#[derive(Clone, Debug)]
pub struct SimPool {
    spec: PoolSpec,
    rng: Rng,
    jobs: Jobs,
    conns: BTreeMap<u64, Conn>,
    sessions: BTreeMap<String, Vec<u8>>,
    /// What each caller was given last: extranonce1 and tag.
    callers: BTreeMap<u64, (Vec<u8>, u64)>,
    next_extranonce1: u64,
    seen: BTreeSet<[u8; 32]>,
    seen_order: VecDeque<[u8; 32]>,
    records: VecDeque<ShareRecord>,
    script: VecDeque<(u64, Script)>,
    outage: Option<(OutageMode, u64)>,
    next_job_us: u64,
    next_vardiff_us: u64,
    /// What vardiff found for each user.
    suits: BTreeMap<String, String>,
    /// Of a thousand good shares, so many are refused; and how far the next one is.
    refuses: (u64, u64),
    stats: PoolSnapshot,
}

impl SimPool {
    /// A pool at time 0; its first job is made at the first call.
    pub fn new(spec: PoolSpec) -> SimPool {
        let mut script = spec.script.clone();
        script.sort_by_key(|(at, _)| *at);
        SimPool {
            rng: Rng::new(spec.seed, "pool"),
            jobs: Jobs::new(&spec),
            conns: BTreeMap::new(),
            sessions: BTreeMap::new(),
            callers: BTreeMap::new(),
            refuses: (0, 0),
            next_extranonce1: 1,
            seen: BTreeSet::new(),
            seen_order: VecDeque::new(),
            records: VecDeque::new(),
            script: script.into(),
            outage: None,
            next_job_us: 0,
            suits: BTreeMap::new(),
            next_vardiff_us: spec.vardiff.map_or(u64::MAX, |v| v.every_us),
            stats: PoolSnapshot { name: spec.name.clone(), ..PoolSnapshot::default() },
            spec,
        }
    }

    /// What it was told to be; changes of the script included.
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// The remembered jobs, oldest first.
    pub fn jobs(&self) -> impl DoubleEndedIterator<Item = &PoolJob> {
        self.jobs.kept()
    }

    /// It works as it should, as far as it is concerned.
    pub fn is_up(&self) -> bool {
        self.outage.is_none() && self.spec.refuse_worker.is_none() && self.spec.answers_submits
    }

    /// Its verdicts so far.
    pub fn shares(&self) -> &ShareCounts {
        &self.stats.shares
    }

    /// What it finds wrong so far.
    pub fn complaints(&self) -> &Complaints {
        &self.stats.complaints
    }

    /// The connection stands, as far as the pool knows.
    pub fn knows(&self, conn: u64) -> bool {
        self.conns.contains_key(&conn)
    }

    /// True while new connections are to be refused.
    pub fn refuses(&self) -> bool {
        matches!(self.outage, Some((OutageMode::Refuse, _)))
    }

    /// A copy of the counters.
    pub fn snapshot(&self) -> PoolSnapshot {
        let connections =
            self.conns.iter().map(|(id, conn)| (*id, conn.user.clone().unwrap_or_default(), conn.counts.clone()));
        PoolSnapshot {
            connections: connections.collect(),
            difficulty: self.spec.difficulty.clone(),
            outage: self.outage.map(|(mode, _)| mode),
            ..self.stats.clone()
        }
    }

    /// Takes out the verdicts since the last call, at most the latest 10,000.
    pub fn take_shares(&mut self) -> Vec<ShareRecord> {
        self.records.drain(..).collect()
    }

    /// A connection came.
    pub fn accept(&mut self, conn: u64, now_us: u64, out: &mut Vec<PoolOut>) {
        self.tick(now_us, out);
        self.stats.connects += 1;
        match self.outage {
            Some((OutageMode::Close | OutageMode::Refuse, _)) => out.push(PoolOut::Close { conn }),
            _ => {
                let difficulty = self.spec.difficulty.clone();
                self.conns.insert(conn, Conn { difficulty, tag: conn, ..Conn::default() });
            }
        }
    }

    /// Says who calls on a connection that was just accepted: a pool that gives the same again knows it by that.
    pub fn called_by(&mut self, conn: u64, caller: u64) {
        if let Some(state) = self.conns.get_mut(&conn) {
            state.caller = Some(caller);
        }
    }

    /// The other end closed.
    pub fn closed(&mut self, conn: u64) {
        if self.conns.remove(&conn).is_some() {
            self.stats.disconnects += 1;
        }
    }

    /// Bytes came, cut anywhere.
    pub fn receive(&mut self, conn: u64, bytes: &[u8], now_us: u64, out: &mut Vec<PoolOut>) {
        self.tick(now_us, out);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        match self.outage {
            Some((OutageMode::Frozen, _)) => return state.held.extend_from_slice(bytes),
            Some(_) => {
                // Whole lines are lost, not pieces of them.
                state.lines.push(bytes);
                return;
            }
            None => {}
        }
        let lines = state.lines.push(bytes);
        if state.lines.pending() > 65_536 {
            self.stats.complaints.push(now_us, || "65,536 bytes without the end of a line".into());
            return self.close(conn, out);
        }
        for line in lines {
            self.stats.lines += 1;
            self.line(conn, &line, now_us, out);
            if !self.conns.contains_key(&conn) {
                break;
            }
        }
    }

    /// When [`tick`](SimPool::tick) is due.
    pub fn next_deadline(&self) -> u64 {
        let script = self.script.front().map_or(u64::MAX, |(at, _)| *at);
        script.min(self.outage.map_or(self.next_job_us.min(self.next_vardiff_us), |(_, until)| until))
    }

    /// Makes jobs and plays the script, as far as the time has come.
    pub fn tick(&mut self, now_us: u64, out: &mut Vec<PoolOut>) {
        while let Some((_, script)) = self.script.pop_front_if(|(at, _)| *at <= now_us) {
            self.play(script, now_us, out);
        }
        if self.outage.is_some_and(|(_, until)| until <= now_us) {
            self.set_outage(None, now_us, out);
        }
        if self.outage.is_none() && self.next_job_us <= now_us {
            let seq = self.jobs.current().map_or(0, |job| job.seq + 1);
            self.new_job(seq > 0 && seq.is_multiple_of(u64::from(self.spec.jobs_per_block.max(1))), now_us, out);
        }
        if self.outage.is_none() && self.next_vardiff_us <= now_us {
            self.adjust(now_us, out);
        }
    }

    /// Which connection was sent the job that a coinbase with this beginning is of: the pool's job id, the extranonce2
    /// that the beginning already holds, the size of the whole, and the difficulty at which it was sent.
    pub fn origin(&self, head: &[u8]) -> Option<Origin<'_>> {
        let job = self.jobs.kept().rev().find(|job| job.begins(head))?;
        self.conns.iter().find_map(|(conn, state)| {
            // What is compared first is what differs.
            let is = |sent: &&SentJob| {
                head.get(sent.coinb1.len()..).is_some_and(|rest| rest.starts_with(&sent.extranonce1))
                    && head.starts_with(&sent.coinb1)
            };
            let sent = state.sent.iter().rev().skip_while(|sent| sent.seq > job.seq);
            let sent = sent.take_while(|sent| sent.seq == job.seq).find(is)?;
            Some(Origin {
                conn: *conn,
                job,
                inside: head.len() - sent.coinb1.len() - sent.extranonce1.len(),
                extranonce2_bytes: sent.extranonce2_bytes,
                extranonce1: &sent.extranonce1,
                difficulty: sent.difficulty,
                difficulty_now: state.difficulty.parse().unwrap_or(1.0),
                mask: sent.mask.zip(state.mask).map(|(then, now)| then & now),
                user: state.user.as_deref().unwrap_or_default(),
            })
        })
    }

    /// Takes the pool out, until the given time, or back.
    pub fn set_outage(&mut self, outage: Option<(OutageMode, u64)>, now_us: u64, out: &mut Vec<PoolOut>) {
        let before = self.outage;
        self.outage = outage;
        if let Some((OutageMode::Close | OutageMode::Refuse, _)) = outage {
            for conn in std::mem::take(&mut self.conns).into_keys() {
                out.push(PoolOut::Close { conn });
            }
        }
        if let Some((OutageMode::Silent, _)) = outage {
            // What was held is lost with all that follows; again whole lines.
            for conn in self.conns.values_mut() {
                let held = std::mem::take(&mut conn.held);
                conn.lines.push(&held);
            }
        }
        if outage.is_none() && before.is_some() {
            let held: Vec<(u64, Vec<u8>)> =
                self.conns.iter_mut().map(|(id, conn)| (*id, std::mem::take(&mut conn.held))).collect();
            self.new_job(true, now_us, out);
            for (conn, bytes) in held {
                self.receive(conn, &bytes, now_us, out);
            }
        }
    }

    /// Does one thing of a script now.
    pub fn play(&mut self, script: Script, now_us: u64, out: &mut Vec<PoolOut>) {
        // One that is out tells nobody: what it would tell holds for those who come later.
        match (script, self.outage.is_some()) {
            (Script::SetExtranonce { extranonce2_bytes, .. }, true) => self.spec.extranonce2_bytes = extranonce2_bytes,
            (Script::SetDifficulty(text), true) => self.spec.difficulty = text,
            (Script::NewBlock | Script::SetVersionMask(_) | Script::Raw(_), true) => {}
            (script, _) => self.does(script, now_us, out),
        }
    }

    fn does(&mut self, script: Script, now_us: u64, out: &mut Vec<PoolOut>) {
        match script {
            Script::Outage { mode, until_us } => self.set_outage(Some((mode, until_us)), now_us, out),
            Script::SetExtranonce { extranonce2_bytes, subscribers_only } => {
                self.set_extranonce(extranonce2_bytes, subscribers_only, out);
                self.new_job(false, now_us, out);
            }
            Script::SetDifficulty(text) => {
                self.spec.difficulty.clone_from(&text);
                for conn in self.ready() {
                    self.tell_difficulty(conn, &text, out);
                }
            }
            Script::SetVersionMask(mask) => {
                // What does not roll versions does not begin to.
                if !matches!(self.spec.version_rolling, VersionRolling::Mask(_)) {
                    return;
                }
                self.spec.version_rolling = VersionRolling::Mask(mask);
                for (conn, state) in self.conns.iter_mut().filter(|(_, c)| c.mask.is_some()) {
                    let before = state.mask.replace(mask);
                    // What is on its way may be of a job that was sent when the mask was another again.
                    for sent in &mut state.sent {
                        sent.mask = sent.mask.zip(before).map(|(then, before)| then | before);
                    }
                    let line = wire::call(self.spec.flavour, "mining.set_version_mask", &format!("[\"{mask:08x}\"]"));
                    out.push(PoolOut::Send { conn: *conn, bytes: line.into_bytes() });
                }
            }
            Script::NewBlock => self.new_job(true, now_us, out),
            Script::Reconnect { host, port } => {
                self.tell_all("client.reconnect", &format!("[{},{port},0]", wire::text(&host)), "null", out);
            }
            Script::ShowMessage(words) => {
                self.tell_all("client.show_message", &format!("[{}]", wire::text(&words)), "null", out);
            }
            Script::Ping => self.tell_all("mining.ping", "[]", "7001", out),
            Script::GetVersion => self.tell_all("client.get_version", "[]", "7002", out),
            Script::ChangeSizes { extranonce1_bytes, extranonce2_bytes } => {
                self.spec.extranonce1_bytes = extranonce1_bytes;
                self.spec.extranonce2_bytes = extranonce2_bytes;
                self.sessions.clear();
            }
            Script::RefuseWorker(words) => self.spec.refuse_worker = words,
            Script::RefuseShares { permille } => self.refuses = (permille, 0),
            Script::AnswerSubmits(answers) => self.spec.answers_submits = answers,
            Script::Raw(line) => {
                for conn in self.ready() {
                    out.push(PoolOut::Send { conn, bytes: format!("{line}\n").into_bytes() });
                }
            }
        }
    }

    /// Connections that get jobs.
    fn ready(&self) -> Vec<u64> {
        let early = self.spec.login == LoginOrder::WithSubscribe;
        let ready = |c: &Conn| c.subscribed && (early || c.user.is_some());
        self.conns.iter().filter(|(_, c)| ready(c)).map(|(id, _)| *id).collect()
    }

    fn tell_all(&mut self, method: &str, params: &str, id: &str, out: &mut Vec<PoolOut>) {
        if self.outage.is_some() {
            return;
        }
        let line = wire::call_with_id(self.spec.flavour, method, params, id);
        for conn in self.ready() {
            out.push(PoolOut::Send { conn, bytes: line.clone().into_bytes() });
        }
    }

    fn close(&mut self, conn: u64, out: &mut Vec<PoolOut>) {
        if self.conns.remove(&conn).is_some() {
            out.push(PoolOut::Close { conn });
        }
    }

    fn new_job(&mut self, new_block: bool, now_us: u64, out: &mut Vec<PoolOut>) {
        let bytes = self.spec.extranonce1_bytes + self.spec.extranonce2_bytes;
        self.jobs.advance(&self.spec, bytes, new_block, now_us);
        self.stats.jobs += 1;
        self.stats.blocks += u64::from(new_block);
        self.next_job_us = now_us + self.spec.job_interval_us;
        for conn in self.ready() {
            self.oddities(conn, out);
            self.send_job(conn, out);
        }
    }

    /// What a nasty pool sends before a job.
    fn oddities(&mut self, conn: u64, out: &mut Vec<PoolOut>) {
        if self.spec.flavour != Flavour::Nasty {
            return;
        }
        let difficulty = self.conns.get(&conn).map(|c| c.difficulty.clone()).unwrap_or_default();
        let line = match self.rng.below(8) {
            0 => "\r\n\n".to_owned(),
            1 => "this is not JSON\n".to_owned(),
            2 => "{\"id\":null,\"method\":\"mining.hello\",\"params\":{}}\n".to_owned(),
            3 => "{\"id\":99999999,\"result\":true,\"error\":null}\n".to_owned(),
            4 => format!("{{\"jsonrpc\":\"2.0\",\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}],\"x\":[]}}\n"),
            5 => "{\"method\":\"client.show_message\",\"params\":[\"tab\\tbell\\u0007 \\ud83d\\ude00\"]}\n".to_owned(),
            6 => "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"odd\",\"00\",\"\",\"\",[],\"1\",\"2\",\"3\"]}\n".to_owned(),
            _ => "{\"id\":5,\"method\":\"mining.unheard\",\"params\":[]}\n[]\n".to_owned(),
        };
        out.push(PoolOut::Send { conn, bytes: line.into_bytes() });
    }

    fn tell_difficulty(&mut self, conn: u64, text: &str, out: &mut Vec<PoolOut>) {
        if let Some(state) = self.conns.get_mut(&conn) {
            text.clone_into(&mut state.difficulty);
            let new: f64 = text.parse().unwrap_or(1.0);
            for sent in &mut state.sent {
                sent.easiest = sent.easiest.min(new);
            }
            let line = wire::call(self.spec.flavour, "mining.set_difficulty", &format!("[{text}]"));
            out.push(PoolOut::Send { conn, bytes: line.into_bytes() });
        }
    }

    fn send_job(&mut self, conn: u64, out: &mut Vec<PoolOut>) {
        let (Some(state), Some(job)) = (self.conns.get_mut(&conn), self.jobs.current()) else { return };
        if state.sent.len() == 256 {
            state.sent.pop_front();
        }
        let coinb1 = job.coinb1_for(state.tag, &state.extranonce1);
        let line = wire::call(self.spec.flavour, "mining.notify", &job.params(&coinb1));
        state.sent.push_back(SentJob {
            coinb1,
            seq: job.seq,
            difficulty: state.difficulty.parse().unwrap_or(1.0),
            easiest: state.difficulty.parse().unwrap_or(1.0),
            extranonce1: state.extranonce1.clone(),
            extranonce2_bytes: state.extranonce2_bytes,
            mask: state.mask,
        });
        out.push(PoolOut::Send { conn, bytes: line.into_bytes() });
    }

    fn draw_extranonce1(&mut self) -> Vec<u8> {
        let number = self.next_extranonce1.wrapping_add(self.spec.seed << 8).to_le_bytes();
        self.next_extranonce1 += 1;
        let mut bytes = number.to_vec();
        bytes.push(0xee);
        bytes.truncate(self.spec.extranonce1_bytes);
        bytes
    }

    fn set_extranonce(&mut self, extranonce2_bytes: usize, subscribers_only: bool, out: &mut Vec<PoolOut>) {
        self.spec.extranonce2_bytes = extranonce2_bytes;
        for conn in self.ready() {
            let extranonce1 = self.draw_extranonce1();
            let Some(state) = self.conns.get_mut(&conn) else { continue };
            if subscribers_only && !state.wants_extranonce {
                continue;
            }
            let params = format!("[\"{}\",{extranonce2_bytes}]", hex::encode(&extranonce1));
            state.extranonce1 = extranonce1;
            state.extranonce2_bytes = extranonce2_bytes;
            let line = wire::call(self.spec.flavour, "mining.set_extranonce", &params);
            out.push(PoolOut::Send { conn, bytes: line.into_bytes() });
        }
    }
}
