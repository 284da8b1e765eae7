//! One connection of a simulated miner, from its first request to its end.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::spec::{Ids, Patience, Personality, SetExtranonce, Step};
use super::work::{Found, Job};
use super::{MinerOut, SimMiner, check};
use crate::frame::Lines;
use crate::hex;
use crate::target::Target;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To see whether the port speaks TLS.
    ClientHello,
    /// To see whether there is a pool.
    Look { authorise: bool },
    /// To work.
    Stay,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Step(Step),
    Submit { difficulty: f64 },
}

/// The connection.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) purpose: Purpose,
    pub(super) since_us: u64,
    last_data_us: u64,
    lines: Lines,
    next_step: usize,
    next_id: u64,
    /// By the id's JSON text, oldest first: cpuminer has one id for all submits.
    pending: BTreeMap<String, VecDeque<(Asked, u64)>>,
    got_line: bool,
    authorizing: bool,
    pub(super) authorised: bool,
    extranonce: Option<(Vec<u8>, usize)>,
    constant: u64,
    wants_extranonce: bool,
    pub(super) difficulty: Option<f64>,
    /// When difficulty was told last without a job since.
    difficulty_us: Option<u64>,
    asked_mask: bool,
    mask: Option<u32>,
    mask_told: bool,
    ids_seen: Vec<String>,
    /// The latest first.
    pub(super) jobs: VecDeque<Job>,
    pub(super) changed_us: u64,
}

/// A request is overdue after this; the proxy answers for a pool after 30 s.
const OVERDUE_US: u64 = 40_000_000;

impl Session {
    pub(super) fn new(purpose: Purpose, now_us: u64, constant: u64) -> Session {
        Session {
            purpose,
            since_us: now_us,
            last_data_us: now_us,
            lines: Lines::default(),
            next_step: 0,
            next_id: 1,
            pending: BTreeMap::new(),
            got_line: false,
            authorizing: false,
            authorised: false,
            extranonce: None,
            constant,
            wants_extranonce: false,
            difficulty: None,
            difficulty_us: None,
            asked_mask: false,
            mask: None,
            mask_told: false,
            ids_seen: Vec::new(),
            jobs: VecDeque::new(),
            changed_us: now_us,
        }
    }

    pub(super) fn extranonce_bytes(&self) -> Option<(usize, usize)> {
        self.extranonce.as_ref().map(|(extranonce1, bytes)| (extranonce1.len(), *bytes))
    }

    pub(super) fn unanswered(&self) -> u64 {
        let submits = self.pending.values().flatten().filter(|(asked, _)| matches!(asked, Asked::Submit { .. }));
        submits.count() as u64
    }

    fn steps<'a>(&self, personality: &'a Personality) -> &'a [Step] {
        match self.purpose {
            Purpose::ClientHello => &[],
            Purpose::Look { authorise: false } => &[Step::Subscribe],
            Purpose::Look { authorise: true } => &[Step::Subscribe, Step::Authorize],
            Purpose::Stay => &personality.handshake,
        }
    }

    /// New pieces of work roll these bits from now on.
    fn use_mask(&mut self, mask: Option<u32>) {
        self.mask = mask;
        for job in &mut self.jobs {
            (job.mask, job.work) = (mask, None);
        }
    }

    fn oldest_request_us(&self) -> Option<u64> {
        self.pending.values().filter_map(|queue| queue.front()).map(|(_, at)| *at).min()
    }

    /// How long the handshake waits for a reply before it goes on without, or gives up.
    fn step_wait_us(&self, personality: &Personality, step: Step) -> u64 {
        match step {
            Step::Subscribe => personality.subscribe_us,
            Step::Configure(_) | Step::Authorize => 30_000_000,
            _ => 1_000_000,
        }
    }

    /// The step whose reply the next one waits for.
    fn waiting_for(&self, personality: &Personality) -> Option<Step> {
        let steps = self.steps(personality);
        let step = *steps.get(self.next_step.checked_sub(1)?)?;
        let asked = |(asked, _): &(Asked, u64)| *asked == Asked::Step(step);
        (self.next_step < steps.len() && self.pending.values().flatten().any(asked)).then_some(step)
    }

    /// The step whose reply is waited for with the least patience, and until when.
    fn impatient(&self, personality: &Personality) -> Option<(Step, u64)> {
        let waiting = self.waiting_for(personality);
        let steps = self.pending.values().flatten().filter_map(|(asked, at)| match asked {
            Asked::Step(step) if needed(*step) || waiting == Some(*step) => {
                Some((*step, at + self.step_wait_us(personality, *step)))
            }
            _ => None,
        });
        steps.min_by_key(|(_, until)| *until)
    }

    pub(super) fn next_deadline(&self, personality: &Personality) -> u64 {
        let silence = personality.silence_us.map(|us| self.last_data_us + us);
        let no_job = personality.no_job_us.map(|us| self.changed_us + us);
        let overdue = self.oldest_request_us().map(|at| at + OVERDUE_US);
        let step = self.impatient(personality).map(|(_, until)| until);
        let hello = (self.purpose == Purpose::ClientHello).then_some(self.since_us + 5_000_000);
        [silence, no_job, overdue, step, hello].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// Without a reply to these the miner gives up.
fn needed(step: Step) -> bool {
    matches!(step, Step::Subscribe | Step::Configure(_) | Step::Authorize)
}

impl SimMiner {
    /// Bytes came, cut anywhere.
    pub fn receive(&mut self, bytes: &[u8], now_us: u64, out: &mut Vec<MinerOut>) {
        let Some(session) = &mut self.session else { return };
        session.last_data_us = now_us;
        if session.purpose == Purpose::ClientHello {
            return;
        }
        let lines = session.lines.push(bytes);
        let pending = session.lines.pending();
        for line in lines {
            self.line(&line, now_us, out);
            if self.session.is_none() {
                return;
            }
        }
        if pending > self.spec.personality.line_limit {
            self.hang_up(now_us, out, || format!("{pending} bytes without the end of a line"));
        }
    }

    /// Timers: silence, patience, overdue replies.
    pub fn tick(&mut self, now_us: u64, out: &mut Vec<MinerOut>) {
        let personality = &self.spec.personality;
        let Some(session) = &mut self.session else { return };
        if now_us < session.next_deadline(personality) {
            return;
        }
        if session.purpose == Purpose::ClientHello && now_us >= session.since_us + 5_000_000 {
            return self.hang_up(now_us, out, || "no close after a TLS ClientHello".into());
        }
        if personality.silence_us.is_some_and(|us| now_us >= session.last_data_us + us) {
            return self.hang_up(now_us, out, || "silence: no data for too long".into());
        }
        if personality.no_job_us.is_some_and(|us| now_us >= session.changed_us + us) {
            return self.hang_up(now_us, out, || "no job for too long".into());
        }
        for (id, queue) in &mut session.pending {
            while let Some((asked, at)) = queue.pop_front_if(|(_, at)| now_us >= *at + OVERDUE_US) {
                self.stats.violations.push(now_us, || format!("{asked:?} with id {id} of {at} µs never answered"));
            }
        }
        if let Some((step, until)) = session.impatient(personality)
            && now_us >= until
        {
            if needed(step) {
                return self.hang_up(now_us, out, || format!("{step:?} not answered in time"));
            }
            self.advance(now_us, out);
        }
    }

    /// Sends the next request of the handshake, or all that are left.
    pub(super) fn advance(&mut self, now_us: u64, out: &mut Vec<MinerOut>) {
        loop {
            let Some(session) = &mut self.session else { return };
            let Some(step) = session.steps(&self.spec.personality).get(session.next_step).copied() else { return };
            session.next_step += 1;
            let (method, params) = self.request(step);
            self.ask(Asked::Step(step), method, &params, now_us, out);
            if !self.spec.personality.pipelined {
                return;
            }
        }
    }

    fn request(&mut self, step: Step) -> (&'static str, String) {
        let text = |s: &str| Value::from(s).to_string();
        let Some(session) = &mut self.session else { return ("mining.ping", "[]".into()) };
        match step {
            Step::Configure(mask) => {
                session.asked_mask = true;
                let options = format!("{{\"version-rolling.mask\": \"{mask:08x}\"}}");
                ("mining.configure", format!("[[\"version-rolling\"], {options}]"))
            }
            Step::Subscribe => {
                let resume = self.resume.as_deref().map(|s| format!(", {}", text(s))).unwrap_or_default();
                ("mining.subscribe", format!("[{}{resume}]", text(&self.spec.personality.agent)))
            }
            Step::Authorize => {
                session.authorizing = true;
                ("mining.authorize", format!("[{}, {}]", text(&self.spec.user), text(&self.spec.password)))
            }
            Step::ExtranonceSubscribe => {
                session.wants_extranonce = true;
                ("mining.extranonce.subscribe", "[]".into())
            }
            Step::SuggestDifficulty(difficulty) => ("mining.suggest_difficulty", format!("[{difficulty}]")),
            Step::SuggestTarget(difficulty) => {
                let target = Target::of_difficulty(difficulty).to_be_bytes();
                ("mining.suggest_target", format!("[\"{}\"]", hex::encode(&target)))
            }
            Step::GetTransactions => {
                let job = session.jobs.front().map(|job| job.id.clone()).unwrap_or_default();
                ("mining.get_transactions", format!("[{}]", text(&job)))
            }
            Step::MultiVersion => ("mining.multi_version", "[1]".into()),
            Step::Capabilities => ("mining.capabilities", "[{\"suggesteddifficulty\": true}]".into()),
            Step::Ping => ("mining.ping", "[]".into()),
        }
    }

    fn ask(&mut self, asked: Asked, method: &str, params: &str, now_us: u64, out: &mut Vec<MinerOut>) {
        let Some(session) = &mut self.session else { return };
        let number = session.next_id;
        session.next_id += 1;
        let id = match (self.spec.personality.ids, asked) {
            (Ids::FourForSubmits, Asked::Submit { .. }) => "4".to_owned(),
            (Ids::Words, Asked::Step(Step::Authorize)) => "\"auth\"".to_owned(),
            (Ids::Words, Asked::Step(Step::GetTransactions)) => "\"txlist\"".to_owned(),
            (Ids::Strings, _) => format!("\"r{number}\""),
            _ => number.to_string(),
        };
        session.pending.entry(id.clone()).or_default().push_back((asked, now_us));
        let line = match asked {
            Asked::Submit { .. } => format!("{{\"method\": \"{method}\", \"params\": {params}, \"id\":{id}}}\n"),
            Asked::Step(_) => format!("{{\"id\": {id}, \"method\": \"{method}\", \"params\": {params}}}\n"),
        };
        out.push(MinerOut::Send(line.into_bytes()));
    }

    pub(super) fn submit(&mut self, found: Found, late: bool, now_us: u64, out: &mut Vec<MinerOut>) {
        let params = found.params(&self.spec.user, self.spec.personality.spelling);
        self.stats.submitted += 1;
        self.stats.submitted_late += u64::from(late);
        self.stats.last_share_us = Some(now_us);
        self.ask(Asked::Submit { difficulty: found.difficulty }, "mining.submit", &params, now_us, out);
        if self.found.len() == 10_000 {
            self.found.pop_front();
        }
        self.found.push_back(found);
    }

    pub(super) fn end_session(&mut self, now_us: u64) {
        if let Some(session) = self.session.take() {
            self.stats.lost_with_connection += session.unanswered();
            self.idle_since.get_or_insert(now_us);
        }
    }

    fn hang_up(&mut self, now_us: u64, out: &mut Vec<MinerOut>, why: impl FnOnce() -> String) {
        self.stats.hangups += 1;
        self.stats.violations.push(now_us, || format!("hung up: {}", why()));
        out.push(MinerOut::Close);
        self.end_session(now_us);
    }

    fn violation(&mut self, now_us: u64, what: impl FnOnce() -> String) {
        self.stats.violations.push(now_us, what);
    }

    fn line(&mut self, line: &[u8], now_us: u64, out: &mut Vec<MinerOut>) {
        if line.len() > self.spec.personality.line_limit {
            return self.hang_up(now_us, out, || format!("a line of {} bytes", line.len()));
        }
        let text = String::from_utf8_lossy(line).into_owned();
        let message: Value = match serde_json::from_str(&text) {
            Ok(message @ Value::Object(_)) => message,
            _ => return self.violation(now_us, || format!("no JSON object: {text:.80}")),
        };
        match message.get("method").and_then(Value::as_str) {
            Some(method) => self.call(&text, &message, method, now_us, out),
            None => self.reply(&message, now_us, out),
        }
        if let Some(session) = &mut self.session {
            session.got_line = true;
        }
    }

    fn call(&mut self, text: &str, message: &Value, method: &str, now_us: u64, out: &mut Vec<MinerOut>) {
        if let Some(wrong) = check::notification(text, message, method) {
            self.violation(now_us, || wrong);
        }
        let Some(session) = &self.session else { return };
        let (got_line, authorizing, authorised) = (session.got_line, session.authorizing, session.authorised);
        if !got_line {
            self.violation(now_us, || format!("{method} before the reply to the first request"));
        } else if !authorised {
            self.violation(now_us, || format!("{method} before the authorize reply"));
        }
        let foreign = !matches!(method, "mining.notify" | "mining.set_difficulty" | "client.show_message");
        if authorizing && foreign && self.spec.personality.patience == Patience::ForeignLineIsRefusal {
            return self.hang_up(now_us, out, || format!("{method} taken for a refused authorize"));
        }
        let none = Vec::new();
        let params = message.get("params").and_then(Value::as_array).unwrap_or(&none);
        let id = message.get("id").filter(|id| !id.is_null());
        match method {
            "mining.notify" => self.notify(params, now_us),
            "mining.set_difficulty" => self.set_difficulty(params, now_us),
            "mining.set_extranonce" => self.set_extranonce(params, now_us, out),
            "mining.set_version_mask" => self.set_version_mask(params, now_us),
            "mining.ping" | "client.get_version" => {
                let answer = if method == "mining.ping" { "pong" } else { &self.spec.personality.agent };
                let id = id.map_or("null".into(), Value::to_string);
                out.push(MinerOut::Send(format!("{{\"id\":{id},\"result\":\"{answer}\",\"error\":null}}\n").into()));
            }
            "client.show_message" => {}
            _ => self.violation(now_us, || format!("unknown method {method}")),
        }
    }

    fn notify(&mut self, params: &[Value], now_us: u64) {
        let (mut job, clean) = match check::job(params) {
            Ok(parts) => parts,
            Err(wrong) => return self.violation(now_us, || wrong),
        };
        let personality = &self.spec.personality;
        let Some(session) = &mut self.session else { return };
        if let Some(wrong) = check::job_id(&job.id, &session.ids_seen, personality.crc_job_ids) {
            self.stats.violations.push(now_us, || wrong);
        }
        if session.ids_seen.len() == 4096 {
            session.ids_seen.remove(0);
        }
        session.ids_seen.push(job.id.clone());
        let (Some((extranonce1, bytes)), Some(difficulty)) = (&session.extranonce, session.difficulty) else {
            return self.violation(now_us, || "a job before extranonce and difficulty".into());
        };
        job.extranonce1.clone_from(extranonce1);
        (job.extranonce2_bytes, job.difficulty, job.mask) = (*bytes, difficulty, session.mask);
        let coinbase = job.coinb1.len() + extranonce1.len() + bytes + job.coinb2.len();
        if coinbase > personality.coinbase_limit {
            self.stats.violations.push(now_us, || format!("a coinbase of {coinbase} bytes"));
        }
        job.counter = match personality.extranonce2 {
            super::Extranonce2::Constant => session.constant,
            super::Extranonce2::Counter => session.jobs.iter().map(|job| job.counter).max().unwrap_or(0),
            _ => 0,
        };
        session.difficulty_us = None;
        session.jobs.push_front(job);
        session.jobs.truncate(personality.late_jobs + 1);
        session.changed_us = now_us;
        self.stats.jobs += 1;
        self.stats.clean_jobs += u64::from(clean);
        self.stats.last_job_us = Some(now_us);
        if let Some(since) = self.idle_since.take() {
            self.stats.idle_us += now_us.saturating_sub(since);
        }
    }

    fn set_difficulty(&mut self, params: &[Value], now_us: u64) {
        let difficulty = match check::difficulty(params) {
            Ok(difficulty) => difficulty,
            Err(wrong) => return self.violation(now_us, || wrong),
        };
        let Some(session) = &mut self.session else { return };
        // A repeat after a long silence keeps a connection without work alive.
        let soon = session.difficulty_us.is_some_and(|at| now_us < at + 30_000_000);
        session.difficulty = Some(difficulty);
        session.difficulty_us = Some(now_us);
        if soon {
            self.violation(now_us, || "two set_difficulty before one notify".into());
        }
    }

    fn set_extranonce(&mut self, params: &[Value], now_us: u64, out: &mut Vec<MinerOut>) {
        let Some(session) = &mut self.session else { return };
        if !session.wants_extranonce {
            self.stats.violations.push(now_us, || "set_extranonce to a miner that never asked for it".into());
        }
        match self.spec.personality.set_extranonce {
            SetExtranonce::HangUp => self.hang_up(now_us, out, || "got set_extranonce".into()),
            SetExtranonce::Ignore => {}
            SetExtranonce::Honour => {
                let extranonce1 = params.first().and_then(Value::as_str).and_then(hex::decode);
                let bytes = params.get(1).and_then(Value::as_u64);
                match (extranonce1, bytes) {
                    (Some(extranonce1), Some(bytes)) => self.use_extranonce(extranonce1, bytes, now_us),
                    _ => self.violation(now_us, || "set_extranonce with odd parameters".into()),
                }
            }
        }
    }

    fn use_extranonce(&mut self, extranonce1: Vec<u8>, bytes: u64, now_us: u64) {
        let (personality, length) = (&self.spec.personality, extranonce1.len());
        let bytes = bytes.min(64) as usize;
        let sizes = &personality.extranonce2_sizes;
        let bears = (sizes.is_empty() || sizes.contains(&bytes)) && bytes > 0;
        if !bears || extranonce1.is_empty() && personality.needs_extranonce1 {
            self.violation(now_us, || format!("extranonces of {length} and {bytes} bytes: this firmware cannot"));
        }
        if let Some(session) = &mut self.session {
            session.extranonce = Some((extranonce1, bytes));
        }
    }

    fn set_version_mask(&mut self, params: &[Value], now_us: u64) {
        let mask = params.first().and_then(Value::as_str).filter(|m| m.len() == 8).and_then(hex::number);
        let Some(session) = &mut self.session else { return };
        let (again, unasked) = (session.mask_told, !session.asked_mask);
        session.mask_told = true;
        match mask {
            Some(mask) => session.use_mask(Some(mask)),
            None => self.violation(now_us, || "set_version_mask without eight hex digits".into()),
        }
        if again || unasked {
            self.violation(now_us, || "set_version_mask a second time, or unasked".into());
        }
    }

    fn reply(&mut self, message: &Value, now_us: u64, out: &mut Vec<MinerOut>) {
        if let Some(wrong) = check::reply(message) {
            self.violation(now_us, || wrong);
        }
        let id = message.get("id").map_or("none".into(), Value::to_string);
        let Some(session) = &mut self.session else { return };
        let Some((asked, at)) = session.pending.get_mut(&id).and_then(VecDeque::pop_front) else {
            self.stats.answered_twice += 1;
            return self.violation(now_us, || format!("a reply to nothing that is open: {message:.120}"));
        };
        session.pending.retain(|_, queue| !queue.is_empty());
        let (result, error) = (message.get("result"), message.get("error").filter(|e| !e.is_null()));
        let good = error.is_none() && result.is_some_and(|r| *r != Value::Bool(false));
        match asked {
            Asked::Submit { difficulty } => {
                self.stats.slowest_answer_us = self.stats.slowest_answer_us.max(now_us.saturating_sub(at));
                if good && result == Some(&Value::Bool(true)) {
                    self.stats.accepted += 1;
                    self.stats.accepted_difficulty += difficulty;
                } else {
                    let code = error.and_then(|e| e.get(0)).and_then(Value::as_i64).unwrap_or(0);
                    *self.stats.rejected.entry(code).or_default() += 1;
                    self.stats.last_refusal = error.and_then(|e| e.get(1)?.as_str()).unwrap_or("?").to_owned();
                }
            }
            Asked::Step(step) => self.step_answered(step, good, result, now_us, out),
        }
    }

    fn step_answered(&mut self, step: Step, good: bool, result: Option<&Value>, now_us: u64, out: &mut Vec<MinerOut>) {
        let Some(session) = &mut self.session else { return };
        match step {
            Step::Subscribe => {
                let list = result.and_then(Value::as_array).cloned().unwrap_or_default();
                let extranonce1 = list.get(1).and_then(Value::as_str).and_then(hex::decode);
                let (Some(extranonce1), Some(bytes)) = (extranonce1, list.get(2).and_then(Value::as_u64)) else {
                    return self.hang_up(now_us, out, || format!("a subscribe reply of no use: {result:?}"));
                };
                let session_id = list[0].as_array().and_then(|subs| subs.first()?.get(1)?.as_str());
                self.resume = session_id.map(str::to_owned).or(self.resume.take());
                self.use_extranonce(extranonce1, bytes, now_us);
            }
            Step::Authorize => {
                session.authorizing = false;
                session.authorised = good;
                if !good {
                    return self.hang_up(now_us, out, || "authorize refused".into());
                }
            }
            Step::Configure(_) => {
                let mask = result.filter(|r| r.get("version-rolling") == Some(&Value::Bool(true)));
                session.use_mask(mask.and_then(|r| hex::number(r.get("version-rolling.mask")?.as_str()?)));
                if session.mask.is_none() && self.spec.personality.insists_on_mask {
                    // Known of these builds, and only wrong when it happens again and again.
                    self.stats.mask_refusals += 1;
                    self.stats.hangups += 1;
                    out.push(MinerOut::Close);
                    return self.end_session(now_us);
                }
            }
            _ => {}
        }
        let Some(session) = &self.session else { return };
        if let Purpose::Look { .. } = session.purpose
            && session.pending.is_empty()
            && session.next_step >= session.steps(&self.spec.personality).len()
        {
            out.push(MinerOut::Close);
            return self.end_session(now_us);
        }
        if session.waiting_for(&self.spec.personality).is_none() {
            self.advance(now_us, out);
        }
    }
}
