//! One connection of a simulated miner, from its first request to its end.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::spec::{Ids, Personality, Spelling, Step};
use super::work::{Found, Job};
use super::{MinerOut, SimMiner};
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
pub(super) enum Asked {
    Step(Step),
    Submit { difficulty: f64 },
}

/// The connection.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) purpose: Purpose,
    pub(super) since_us: u64,
    pub(super) last_data_us: u64,
    /// When the latest line was whole, and how long none had come before it.
    pub(super) last_line_us: u64,
    pub(super) quiet_us: u64,
    pub(super) lines: Lines,
    pub(super) next_step: usize,
    pub(super) next_id: u64,
    /// By the id's JSON text, oldest first: cpuminer has one id for all submits.
    pub(super) pending: BTreeMap<String, VecDeque<(Asked, u64)>>,
    pub(super) got_line: bool,
    pub(super) authorizing: bool,
    pub(super) authorised: bool,
    pub(super) extranonce: Option<(Vec<u8>, usize)>,
    pub(super) constant: u64,
    pub(super) wants_extranonce: bool,
    pub(super) difficulty: Option<f64>,
    /// When difficulty was told last without a job since; not if that was only to break a long silence.
    pub(super) difficulty_us: Option<u64>,
    pub(super) asked_mask: bool,
    pub(super) mask: Option<u32>,
    pub(super) mask_told: bool,
    pub(super) ids_seen: Vec<String>,
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
            last_line_us: now_us,
            quiet_us: 0,
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

    pub(super) fn steps<'a>(&self, personality: &'a Personality) -> &'a [Step] {
        match self.purpose {
            Purpose::ClientHello => &[],
            Purpose::Look { authorise: false } => &[Step::Subscribe],
            Purpose::Look { authorise: true } => &[Step::Subscribe, Step::Authorize],
            Purpose::Stay => &personality.handshake,
        }
    }

    /// New pieces of work roll these bits from now on.
    pub(super) fn use_mask(&mut self, mask: Option<u32>) {
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
    pub(super) fn waiting_for(&self, personality: &Personality) -> Option<Step> {
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

    /// Replies are not overdue before `excused_us`.
    pub(super) fn next_deadline(&self, personality: &Personality, excused_us: u64) -> u64 {
        let silence = personality.silence_us.map(|us| self.last_data_us + us);
        let no_job = personality.no_job_us.map(|us| self.changed_us + us);
        let overdue = self.oldest_request_us().map(|at| (at + OVERDUE_US).max(excused_us));
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
        if now_us < session.next_deadline(personality, self.bad_network_until_us) {
            return;
        }
        if session.purpose == Purpose::ClientHello && now_us >= session.since_us + 5_000_000 {
            return self.hang_up(now_us, out, || "no close after a TLS ClientHello".into());
        }
        if personality.silence_us.is_some_and(|us| now_us >= session.last_data_us + us) {
            return self.hang_up(now_us, out, || "silence: no data for too long".into());
        }
        if personality.no_job_us.is_some_and(|us| now_us >= session.changed_us + us) {
            self.bad_network_until_us = self.bad_network_until_us.max(self.no_work_until_us);
            return self.hang_up(now_us, out, || "no job for too long".into());
        }
        for (id, queue) in &mut session.pending {
            let overdue = |at: u64| now_us >= at + OVERDUE_US && now_us >= self.bad_network_until_us;
            while let Some((asked, at)) = queue.pop_front_if(|(_, at)| overdue(*at)) {
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
        let again = (self.stats.submitted + 1).checked_rem(self.spec.repeats_every) == Some(0);
        let second = again.then(|| Found { again: true, ..found.clone() });
        self.submit_once(found, self.spec.personality.spelling, late, now_us, out);
        if let Some(second) = second {
            let spelling = match self.spec.personality.spelling {
                Spelling::Upper => Spelling::Lower,
                _ => Spelling::Upper,
            };
            self.stats.repeated += 1;
            self.submit_once(second, spelling, late, now_us, out);
        }
    }

    fn submit_once(&mut self, found: Found, spelling: Spelling, late: bool, now_us: u64, out: &mut Vec<MinerOut>) {
        let params = found.params(&self.spec.user, spelling);
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

    pub(super) fn hang_up(&mut self, now_us: u64, out: &mut Vec<MinerOut>, why: impl FnOnce() -> String) {
        self.stats.hangups += 1;
        if now_us >= self.bad_network_until_us {
            self.stats.violations.push(now_us, || format!("hung up: {}", why()));
        }
        out.push(MinerOut::Close);
        self.end_session(now_us);
    }

    pub(super) fn violation(&mut self, now_us: u64, what: impl FnOnce() -> String) {
        self.stats.violations.push(now_us, what);
    }
}
