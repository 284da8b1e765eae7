//! What a simulated miner makes of each line: jobs, difficulty, extranonce, replies.

use std::collections::VecDeque;

use serde_json::Value;

use super::session::{Asked, Purpose};
use super::spec::{Patience, SetExtranonce, Step};
use super::{MinerOut, SimMiner, check};
use crate::hex;

impl SimMiner {
    pub(super) fn line(&mut self, line: &[u8], now_us: u64, out: &mut Vec<MinerOut>) {
        if line.len() > self.spec.personality.line_limit {
            return self.hang_up(now_us, out, || format!("a line of {} bytes", line.len()));
        }
        if let Some(session) = &mut self.session {
            session.quiet_us = now_us.saturating_sub(session.last_line_us);
            session.last_line_us = now_us;
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
        job.clean = clean;
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
        // After a long silence it keeps a connection without work alive, and the real one may follow any time.
        // What was held up comes all at once.
        let held_up = now_us < self.bad_network_until_us;
        let soon = !held_up && session.difficulty_us.is_some_and(|at| now_us < at + 30_000_000);
        if session.difficulty == Some(difficulty) {
            // It changes nothing: to keep the connection alive.
            return;
        }
        session.difficulty = Some(difficulty);
        session.difficulty_us = (session.quiet_us < 35_000_000 && !held_up).then_some(now_us);
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
                    let words = error.and_then(|e| e.get(1)?.as_str()).unwrap_or_default().to_owned();
                    if self.stats.refusals.len() < 20 {
                        *self.stats.refusals.entry((code, words)).or_default() += 1;
                    }
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
