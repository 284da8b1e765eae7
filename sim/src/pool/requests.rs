//! What a simulated pool makes of each line: the handshake and its oddities, by the software that is imitated.

use serde_json::Value;

use super::spec::{Flavour, LoginOrder, Suggest, VersionRolling};
use super::{PoolOut, SimPool, wire};
use crate::hex;

/// A request as it was read.
pub(super) struct Request<'a> {
    pub(super) conn: u64,
    /// The id's JSON text.
    id: String,
    pub(super) params: &'a [Value],
}

impl SimPool {
    pub(super) fn line(&mut self, conn: u64, line: &[u8], now_us: u64, out: &mut Vec<PoolOut>) {
        if self.spec.flavour == Flavour::Ckpool && line.len() > 1024 {
            self.stats.complaints.push(now_us, || format!("a line of {} bytes, more than 1,024", line.len()));
            return self.close(conn, out);
        }
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            self.stats.complaints.push(now_us, || format!("not JSON: {}", String::from_utf8_lossy(line)));
            if self.spec.flavour == Flavour::Ckpool {
                out.push(PoolOut::Send { conn, bytes: b"Invalid JSON, disconnecting\n".to_vec() });
            }
            return self.close(conn, out);
        };
        let id = message.get("id").map_or("null".to_owned(), Value::to_string);
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            match id.as_str() {
                "7001" | "7002" => self.stats.replies += 1,
                // A nasty pool asks what nobody knows, and gets an error for it.
                "5" if self.spec.flavour == Flavour::Nasty => self.stats.replies += 1,
                _ => self.stats.complaints.push(now_us, || format!("unasked reply {message}")),
            }
            return;
        };
        let none = Vec::new();
        let params = message.get("params").and_then(Value::as_array).unwrap_or(&none);
        let request = Request { conn, id, params };
        match method {
            "mining.configure" => self.configure(&request, out),
            "mining.subscribe" => self.subscribe(&request, out),
            "mining.authorize" => self.authorize(&request, now_us, out),
            "mining.submit" => self.submit(&request, now_us, out),
            "mining.suggest_difficulty" | "mining.suggest_target" => self.suggest(&request, method, out),
            "mining.extranonce.subscribe" => self.extranonce_subscribe(&request, out),
            "mining.ping" if self.spec.flavour == Flavour::WellBehaved => self.reply(&request, "\"pong\"", "null", out),
            "mining.pong" => self.stats.replies += 1,
            _ => self.unknown(&request, out),
        }
    }

    pub(super) fn reply(&self, request: &Request<'_>, result: &str, error: &str, out: &mut Vec<PoolOut>) {
        let line = wire::reply(self.spec.flavour, &request.id, result, error);
        out.push(PoolOut::Send { conn: request.conn, bytes: line.into_bytes() });
    }

    fn unknown(&self, request: &Request<'_>, out: &mut Vec<PoolOut>) {
        match self.spec.flavour {
            Flavour::PublicPool | Flavour::Nasty => {}
            Flavour::Datum => self.reply(request, "null", "[-3,\"Method not found\",null]", out),
            _ => self.reply(request, "null", "[20,\"Not supported.\",null]", out),
        }
    }

    fn extranonce_subscribe(&mut self, request: &Request<'_>, out: &mut Vec<PoolOut>) {
        if let Some(state) = self.conns.get_mut(&request.conn) {
            state.wants_extranonce = true;
        }
        match self.spec.flavour {
            Flavour::WellBehaved | Flavour::Npm => self.reply(request, "true", "null", out),
            _ => self.unknown(request, out),
        }
    }

    fn configure(&mut self, request: &Request<'_>, out: &mut Vec<PoolOut>) {
        let asked = request.params.get(1).and_then(|o| o.get("version-rolling.mask")).and_then(Value::as_str);
        let asked = asked.and_then(hex::number).unwrap_or(u32::MAX);
        match self.spec.version_rolling {
            VersionRolling::Mask(mask) => {
                let mask = mask & asked;
                if let Some(state) = self.conns.get_mut(&request.conn) {
                    state.mask = Some(mask);
                }
                let result = format!("{{\"version-rolling\":true,\"version-rolling.mask\":\"{mask:08x}\"}}");
                self.reply(request, &result, "null", out);
            }
            VersionRolling::False => self.reply(request, "{\"version-rolling\":false}", "null", out),
            VersionRolling::Error => self.reply(request, "null", "[20,\"Unknown method\",null]", out),
            VersionRolling::Silence => {}
        }
    }

    fn subscribe(&mut self, request: &Request<'_>, out: &mut Vec<PoolOut>) {
        let conn = request.conn;
        let session = request.params.get(1).and_then(Value::as_str);
        let resumes = matches!(self.spec.flavour, Flavour::Ckpool | Flavour::WellBehaved);
        let resumed = session.filter(|_| resumes).and_then(|s| self.sessions.get(s)).cloned();
        let taken = |en1: &Vec<u8>| self.conns.values().any(|c| c.subscribed && c.extranonce1 == *en1);
        let resumed = resumed.filter(|en1| !taken(en1));
        let (caller, tag) = self.conns.get(&conn).map_or((None, conn), |state| (state.caller, state.tag));
        let again = caller.filter(|_| self.spec.same_again).and_then(|caller| self.callers.get(&caller)).cloned();
        let again = again.filter(|(en1, _)| en1.len() == self.spec.extranonce1_bytes);
        let again = again
            .filter(|(en1, tag)| !self.conns.values().any(|c| c.subscribed && c.extranonce1 == *en1 && c.tag == *tag));
        let (extranonce1, tag) = match (resumed.clone(), again) {
            (Some(extranonce1), _) => (extranonce1, tag),
            (None, Some(again)) => again,
            (None, None) => (self.draw_extranonce1(), tag),
        };
        if let Some(caller) = caller.filter(|_| self.callers.len() < 10_000) {
            self.callers.insert(caller, (extranonce1.clone(), tag));
        }
        let bytes = self.spec.extranonce2_bytes;
        let session = format!("{:08x}", self.next_extranonce1.wrapping_mul(0x9e37_79b1) as u32);
        if self.sessions.len() < 10_000 {
            self.sessions.insert(session.clone(), extranonce1.clone());
        }
        let result = wire::subscription(self.spec.flavour, &session, &hex::encode(&extranonce1), bytes);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.subscribed = true;
        state.resumed = resumed.is_some();
        state.extranonce1 = extranonce1;
        state.extranonce2_bytes = bytes;
        state.tag = tag;
        let difficulty = state.difficulty.clone();
        self.reply(request, &result, "null", out);
        match self.spec.login {
            LoginOrder::WithSubscribe => {
                self.tell_difficulty(conn, &difficulty, out);
                self.send_job(conn, out);
            }
            LoginOrder::BeforeAuthorizeReply => self.tell_difficulty(conn, &difficulty, out),
            LoginOrder::AfterAuthorizeReply => {}
        }
    }

    fn authorize(&mut self, request: &Request<'_>, now_us: u64, out: &mut Vec<PoolOut>) {
        let (flavour, conn) = (self.spec.flavour, request.conn);
        let user = request.params.first().and_then(Value::as_str).unwrap_or_default().to_owned();
        if flavour == Flavour::PublicPool && request.params.len() != 2 || user.is_empty() {
            self.stats.complaints.push(now_us, || format!("authorize with {} params", request.params.len()));
            return self.reply(request, "null", "[20,\"Authorization validation error\",\"\"]", out);
        }
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if state.user.is_some() && flavour == Flavour::Ckpool {
            self.stats.complaints.push(now_us, || "a second authorize on one connection".into());
            return;
        }
        if let Some(words) = &self.spec.refuse_worker {
            let error = wire::error(self.spec.reject, 24, words);
            return self.reply(request, error.0, &error.1, out);
        }
        let suits = self.suits.get(&user).cloned();
        state.user = Some(user);
        if let Some(text) = suits {
            // A user who comes again goes on where he was.
            self.tell_difficulty(conn, &text, out);
        }
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let (subscribed, difficulty) = (state.subscribed, state.difficulty.clone());
        self.stats.authorised += 1;
        if subscribed && self.spec.login == LoginOrder::BeforeAuthorizeReply {
            self.send_job(conn, out);
            self.tell_difficulty(conn, &difficulty, out);
        }
        self.reply(request, "true", "null", out);
        if subscribed && self.spec.login == LoginOrder::AfterAuthorizeReply {
            self.tell_difficulty(conn, &difficulty, out);
            self.send_job(conn, out);
        }
    }

    fn suggest(&mut self, request: &Request<'_>, method: &str, out: &mut Vec<PoolOut>) {
        let wanted = request.params.first().and_then(Value::as_f64).filter(|d| *d > 0.0);
        match (self.spec.suggest, wanted) {
            (Suggest::Answered, _) => self.reply(request, "true", "null", out),
            (Suggest::Obeyed, Some(_)) if method == "mining.suggest_difficulty" => {
                let text = request.params[0].to_string();
                let subscribed = self.conns.get(&request.conn).is_some_and(|c| c.subscribed);
                if subscribed {
                    self.tell_difficulty(request.conn, &text, out);
                } else if let Some(state) = self.conns.get_mut(&request.conn) {
                    state.difficulty = text;
                }
            }
            _ => {}
        }
    }
}
